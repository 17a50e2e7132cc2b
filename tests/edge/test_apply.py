import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import pytest
from crash_device import BlindDriver, Rack, ToyDriver, toy

from switchguard.core.changes import Change, Diff, HeldSlot, Outcome, Plan, SessionFlush, Slot, Tenants, Whereabouts
from switchguard.core.model import ClientId, Device, FdbEntry, Mac, Reading, Snapshot, Station
from switchguard.core.outdated import LIFTED
from switchguard.core.penalties import Block, Penalty, RateLimit, Release, SessionCap, Verdict
from switchguard.edge.apply import Turn, apply, moves
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.turns import Turns
from switchguard.errors import CommandRefused, DeviceError, LedgerError, UnexpectedDiff
from switchguard.ports import Driver, Session

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
DEVICES = {name: toy(name) for name in ("core1", "core2", "core3")}
GATEWAY = {"gw1": toy("gw1")}


def mac_block(device: str, number: int, vlan: int = 10) -> Slot:
    return Slot(device, "block", Station(vlan=vlan, mac=Mac(0x020000000000 + number)))


def put(slot: Slot, *verdicts: str) -> Change:
    return Change(slot, None, Block(), verdicts or ("v1",), "swarm")


def lift(slot: Slot) -> Change:
    return Change(slot, Block(), None, (), "its time is up")


def verdict(name: str, number: int) -> Verdict:
    mac = Mac(0x020000000000 + number)
    return Verdict(name, ClientId(f"mac:{mac}"), "swarm", Block(), AT, AT + timedelta(hours=2), "swarm", (mac,))


@dataclass
class Scene:
    """A rack of toy devices, a real ledger, and a clock that goes on by a second each time it is asked."""

    rack: Rack
    ledger: SqlLedger
    told: list[str] = field(default_factory=list)
    driver_of: Callable[[str], Driver] | None = None
    turns: Turn = lambda _device: nullcontext()
    _seconds: Iterator[int] = field(default_factory=count)

    def clock(self) -> datetime:
        return AT + timedelta(seconds=next(self._seconds))

    def hold(self, slot: Slot, *verdicts: str) -> None:
        """Something that an earlier cycle put there."""
        change = put(slot, *verdicts)
        self.ledger.intend(Plan(AT, (change,)))
        self.ledger.record((Outcome(change, "verified", "", None, 0.0),), AT)
        self.rack.write(slot.device, {**self.rack.read(slot.device), slot: Block()})

    def apply(self, *changes: Change, flushes: tuple[SessionFlush, ...] = (), workers: int = 8) -> tuple[Outcome, ...]:
        return apply(
            Plan(AT, changes, flushes=flushes),
            devices={**DEVICES, **GATEWAY},
            opens=self.rack.opens,
            ledger=self.ledger,
            clock=self.clock,
            driver_of=self.driver_of or self.rack.driver_of,
            workers=workers,
            tell=self.told.append,
            turns=self.turns,
        )

    def states(self) -> dict[Slot, str]:
        return {held.slot: held.state for held in self.ledger.held()}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    ledger = SqlLedger(tmp_path / "ledger.db", clock=lambda: AT)
    yield Scene(Rack(tmp_path), ledger)
    ledger.close()


def on_device(scene: Scene, device: str) -> dict[Slot, Penalty]:
    return scene.rack.read(device)


# --- what goes well --------------------------------------------------------------------------------------------------


def test_a_change_is_pushed_read_back_and_recorded(scene: Scene) -> None:
    slot = mac_block("core1", 1)
    (outcome,) = scene.apply(put(slot))
    assert (outcome.state, outcome.why) == ("verified", "")
    assert outcome.diff is not None
    assert outcome.seconds > 0
    assert on_device(scene, "core1") == {slot: Block()}
    assert scene.states() == {slot: "verified"}
    assert scene.told == ["core1: block MAC 02:00:00:00:00:01 VLAN 10 verified"]


def test_a_cap_for_everyone_is_a_place_of_its_own(scene: Scene) -> None:
    everyone, one = Slot("core1", "cap"), Slot("core1", "cap", address=ip_address("10.10.0.7"))
    changes = [Change(slot, None, SessionCap(500), ("v1",), "the table is full") for slot in (everyone, one)]
    assert [it.state for it in scene.apply(*changes)] == ["verified", "verified"]
    assert scene.told[0] == "core1: cap everyone verified"
    assert scene.states() == {everyone: "verified", one: "verified"}
    scene.apply(Change(everyone, SessionCap(500), None, (), "its time is up"))
    assert scene.states() == {one: "verified"}
    assert on_device(scene, "core1") == {one: SessionCap(500)}


def test_a_device_that_somebody_else_changes_is_left_to_them_and_stops_nobody(scene: Scene, tmp_path: Path) -> None:
    theirs, ours = (Turns(tmp_path / "locks", who, patience_s=0.0) for who in ("process 7 (switchguard run)", "us"))
    scene.turns = ours.take
    with theirs.take("core1"):
        busy, free = scene.apply(put(mac_block("core1", 1)), put(mac_block("core2", 2)))
    assert (busy.state, busy.why) == ("failed", "process 7 (switchguard run) is changing it; we waited 0 s")
    assert free.state == "verified"
    assert on_device(scene, "core1") == {}


def test_twenty_devices_are_worked_on_at_once(tmp_path: Path) -> None:
    """Each waits in the middle of its push until all the others are there too: none waits for another to be done."""
    everybody = threading.Barrier(20, timeout=30)
    rack, ledger = Rack(tmp_path), SqlLedger(tmp_path / "ledger.db", clock=lambda: AT)
    devices = {f"core{number}": toy(f"core{number}") for number in range(20)}

    @contextmanager
    def opens(device: Device) -> Iterator[Session]:
        everybody.wait()
        with rack.opens(device) as session:
            yield session

    changes = tuple(put(mac_block(name, number)) for name in devices for number in range(3))
    outcomes = apply(
        Plan(AT, changes), devices=devices, opens=opens, ledger=ledger, clock=lambda: AT, driver_of=rack.driver_of
    )
    ledger.close()
    assert {outcome.state for outcome in outcomes} == {"verified"}
    assert sorted(rack.commits) == sorted((name, 3) for name in devices)


def test_a_release_leaves_neither_line_nor_slot(scene: Scene) -> None:
    slot = mac_block("core1", 1)
    scene.hold(slot, "v1")
    assert [outcome.state for outcome in scene.apply(lift(slot))] == ["verified"]
    assert on_device(scene, "core1") == {}
    assert scene.states() == {}


def test_all_changes_of_a_device_go_in_one_commit_over_one_session(scene: Scene) -> None:
    scene.apply(*(put(mac_block(device, n)) for n in range(5) for device in ("core1", "core2")))
    assert sorted(scene.rack.commits) == [("core1", 5), ("core2", 5)]
    assert sorted(scene.rack.opened) == ["core1", "core2"]


def test_outcomes_come_in_the_order_of_the_plan(scene: Scene) -> None:
    changes = [put(mac_block(device, n)) for n in range(3) for device in ("core3", "core1")]
    assert [outcome.change for outcome in scene.apply(*changes)] == changes


def test_an_empty_plan_contacts_nobody(scene: Scene) -> None:
    assert scene.apply() == ()
    assert scene.rack.opened == []


def test_the_intent_is_on_record_before_the_device_is_touched(scene: Scene) -> None:
    seen: list[dict[Slot, str]] = []
    scene.rack.steps = lambda: seen.append(scene.states())
    held, new = mac_block("core1", 1), mac_block("core1", 2)
    scene.hold(held, "v1")
    scene.apply(lift(held), put(new, "v2"))
    assert seen[0] == {held: "releasing", new: "planned"}


# --- rule 6 ----------------------------------------------------------------------------------------------------------


def administrator_types(scene: Scene, slot: Slot) -> None:
    """After the plan was made: the same line as ours would be."""
    scene.rack.write(slot.device, {**scene.rack.read(slot.device), slot: Block()})


def test_rule_6_a_line_that_an_administrator_typed_since_the_plan_does_not_become_ours(scene: Scene) -> None:
    theirs, ours = mac_block("core1", 1), mac_block("core1", 2)
    administrator_types(scene, theirs)
    refused, done = scene.apply(put(theirs), put(ours, "v2"))
    assert (refused.state, refused.why) == ("refused", "a block of its MAC is there already and not ours to touch")
    assert done.state == "verified"
    assert scene.states() == {ours: "verified"}, "nothing from which a later pass would take it for ours"
    assert scene.rack.commits == [("core1", 1)]


def test_rule_6_what_a_person_types_because_we_were_paused_does_not_become_ours(scene: Scene) -> None:
    scene.ledger.pause("keynote", "ada")
    slot = mac_block("core1", 1)
    assert [it.state for it in scene.apply(put(slot))] == ["refused"]
    assert scene.states() == {}


def test_rule_7_what_a_process_that_died_had_meant_is_its_own(scene: Scene) -> None:
    slot = mac_block("core1", 1)
    scene.ledger.intend(Plan(AT, (put(slot),)))
    administrator_types(scene, slot)  # by the look of it; in truth it was us
    assert [it.state for it in scene.apply(put(slot))] == ["verified"]
    assert scene.states() == {slot: "verified"}


def test_what_another_process_of_ours_has_put_there_since_is_ours(scene: Scene) -> None:
    slot = mac_block("core1", 1)

    def other_process() -> None:
        scene.rack.steps = lambda: None
        scene.hold(slot, "v1")

    scene.rack.steps = other_process
    assert [it.state for it in scene.apply(put(slot))] == ["verified"]


def test_what_cannot_be_looked_at_before_the_push_is_not_pushed(scene: Scene) -> None:
    scene.rack.faults["core1"] = "unreadable"
    assert [it.state for it in scene.apply(put(mac_block("core1", 1)))] == ["failed"]
    assert on_device(scene, "core1") == {}


def test_what_a_batch_had_put_there_before_it_failed_is_not_taken_for_somebody_elses(scene: Scene) -> None:
    scene.driver_of = lambda _platform: HalfwayDriver()
    assert [it.state for it in scene.apply(*(put(mac_block("core1", n)) for n in (1, 2)))] == ["verified", "verified"]


def test_what_a_batch_may_have_put_there_stays_ours_when_somebody_pauses_then(scene: Scene) -> None:
    scene.driver_of = lambda _platform: HalfwayDriver()
    scene.rack.steps = lambda: scene.ledger.pause("wrong client!", "ada") if on_device(scene, "core1") else None
    slots = [mac_block("core1", n) for n in (1, 2)]
    assert [it.state for it in scene.apply(*(put(slot) for slot in slots))] == ["refused", "refused"]
    assert on_device(scene, "core1") == {slots[0]: Block()}
    assert scene.states() == dict.fromkeys(slots, "planned"), "the next pass finds out where things stand"


class HalfwayDriver(ToyDriver):
    """Takes the first line of several, and then refuses."""

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        diff = super().push(session, changes[:1])
        if len(changes) > 1:
            raise CommandRefused(session.device.name, "the second line", "% Invalid input detected")
        return diff


# --- rule 9 ----------------------------------------------------------------------------------------------------------


def test_rule_9_a_pause_stops_every_write(scene: Scene) -> None:
    scene.ledger.pause("keynote", "ada")
    held, new = mac_block("core1", 1), mac_block("core2", 2)
    scene.hold(held, "v1")
    outcomes = scene.apply(lift(held), put(new, "v2"), flushes=(SessionFlush("gw1", (), "v9"),))
    assert [outcome.state for outcome in outcomes] == ["refused", "refused"]
    assert all("paused: keynote (ada" in outcome.why for outcome in outcomes)
    assert on_device(scene, "core1") == {held: Block()}
    assert on_device(scene, "core2") == {}
    assert scene.rack.flushed == []


def test_rule_9_a_pause_is_heeded_by_the_very_next_write(scene: Scene) -> None:
    """One worker: the second device's turn comes after the first one's lines, during which somebody pauses."""
    scene.rack.steps = lambda: scene.ledger.pause("wrong client!", "ada") if on_device(scene, "core1") else None
    outcomes = scene.apply(put(mac_block("core1", 1)), put(mac_block("core2", 2)), workers=1)
    assert [outcome.state for outcome in outcomes] == ["verified", "refused"]
    assert on_device(scene, "core2") == {}


def test_rule_9_a_pause_while_the_device_is_looked_at_is_heeded_too(scene: Scene) -> None:
    scene.rack.steps = lambda: scene.ledger.pause("wrong client!", "ada")
    assert [outcome.state for outcome in scene.apply(put(mac_block("core1", 1)))] == ["refused"]
    assert on_device(scene, "core1") == {}


# --- rule 8 ----------------------------------------------------------------------------------------------------------


def test_rule_8_the_old_place_is_released_after_the_new_one_is_verified(scene: Scene) -> None:
    old, new = mac_block("core1", 1), mac_block("core2", 1)
    scene.hold(old, "v1")
    order: list[tuple[bool, bool]] = []
    scene.rack.steps = lambda: order.append((old in on_device(scene, "core1"), new in on_device(scene, "core2")))
    assert [outcome.state for outcome in scene.apply(lift(old), put(new, "v1"))] == ["verified", "verified"]
    assert (False, False) not in order
    assert scene.states() == {new: "verified"}


def test_rule_8_the_old_place_stays_when_the_new_one_fails(scene: Scene) -> None:
    old, new = mac_block("core1", 1), mac_block("core2", 1)
    scene.hold(old, "v1")
    scene.rack.faults["core2"] = "refuse"
    gone, put_there = scene.apply(lift(old), put(new, "v1"))
    assert (gone.state, put_there.state) == ("refused", "failed")
    assert gone.why == "stays until the new place is verified: core2: block MAC 02:00:00:00:00:01 VLAN 10"
    assert on_device(scene, "core1") == {old: Block()}
    assert scene.states() == {old: "releasing", new: "failed"}


def test_rule_8_a_failing_move_keeps_no_other_release_waiting(scene: Scene) -> None:
    moving, over = mac_block("core1", 1), mac_block("core1", 2)
    scene.hold(moving, "v1")
    scene.hold(over, "v2")
    scene.rack.faults["core2"] = "drop before"
    scene.apply(lift(moving), lift(over), put(mac_block("core2", 1), "v1"))
    assert on_device(scene, "core1") == {moving: Block()}


def test_a_move_within_one_device_takes_two_commits(scene: Scene) -> None:
    old, new = mac_block("core1", 1, vlan=10), mac_block("core1", 1, vlan=20)
    scene.hold(old, "v1")
    scene.apply(lift(old), put(new, "v1"))
    assert on_device(scene, "core1") == {new: Block()}
    assert scene.rack.commits == [("core1", 1), ("core1", 1)]


def test_only_a_release_whose_cause_goes_elsewhere_is_a_move() -> None:
    old, over, new = mac_block("core1", 1), mac_block("core1", 2), mac_block("core2", 1)
    held = [HeldSlot(slot, Block(), "verified", (name,), AT) for slot, name in ((old, "v1"), (over, "v2"))]
    plan = Plan(AT, (lift(old), lift(over), put(new, "v1")))
    assert moves(plan, held) == {lift(old): (put(new, "v1"),)}


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("refuse", "% Invalid input detected"),
        ("drop before", "connection lost"),
        ("wrong diff", "nothing was committed: 'no router bgp 65000'"),
        ("lose", "pushed, but the device shows nothing instead of Block"),
        ("defect", "a defect in the driver: KeyError: 'vlan'"),
        ("unreadable", "connection lost"),
    ],
)
def test_a_failed_push_is_recorded_as_failed_and_stops_nobody_else(scene: Scene, fault: str, why: str) -> None:
    scene.rack.faults["core1"] = fault  # type: ignore[assignment]  # from the list above
    broken, fine = mac_block("core1", 1), mac_block("core2", 2)
    failed, verified = scene.apply(put(broken), put(fine))
    assert (failed.state, verified.state) == ("failed", "verified")
    assert why in failed.why
    assert scene.states() == {broken: "failed", fine: "verified"}


class PickyDriver(ToyDriver):
    """Of a switch that cannot have one of the blocks, whatever comes with it."""

    def __init__(self, impossible: Slot, why: Callable[[], Exception]) -> None:
        self.impossible, self.why = impossible, why

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        if any(change.slot == self.impossible and change.after is not None for change in changes):
            raise self.why()
        return super().push(session, changes)


@pytest.mark.parametrize(
    "why",
    [
        lambda: DeviceError("core1", "somebody else's list is bound there"),
        lambda: CommandRefused("core1", "drop", "% the table is full"),
        lambda: UnexpectedDiff("core1", ["no router bgp 65000"]),
        lambda: KeyError("vlan"),
    ],
)
def test_a_change_that_cannot_be_had_keeps_no_other_one_waiting(scene: Scene, why: Callable[[], Exception]) -> None:
    over, impossible, fine = (mac_block("core1", number) for number in range(3))
    scene.hold(over, "v0")
    scene.driver_of = lambda _platform: PickyDriver(impossible, why)
    outcomes = scene.apply(put(impossible), put(fine), lift(over))
    assert [outcome.state for outcome in outcomes] == ["failed", "verified", "verified"]
    assert [outcome.why != "" for outcome in outcomes] == [True, False, False]
    assert on_device(scene, "core1") == {fine: Block()}
    assert scene.states() == {impossible: "failed", fine: "verified"}


def test_a_switch_that_hangs_is_not_tried_again_for_each_change(scene: Scene) -> None:
    scene.rack.faults["core1"] = "drop before"
    scene.apply(*(put(mac_block("core1", number)) for number in range(5)))
    assert scene.rack.opened == ["core1", "core1"]


def test_a_session_that_drops_after_the_commit_has_blocked_all_the_same(scene: Scene) -> None:
    scene.rack.faults["core1"] = "drop after"
    (outcome,) = scene.apply(put(mac_block("core1", 1)))
    assert (outcome.state, outcome.why) == ("verified", "in place, although connection lost")
    assert scene.rack.opened == ["core1", "core1"]


def test_a_session_that_drops_halfway_is_told_truthfully_change_by_change(scene: Scene) -> None:
    scene.rack.faults["core1"] = "drop halfway"
    slots = [mac_block("core1", n) for n in range(4)]
    outcomes = scene.apply(*map(put, slots))
    assert [outcome.state for outcome in outcomes] == ["verified", "verified", "failed", "failed"]
    assert list(on_device(scene, "core1")) == slots[:2]


def test_a_release_that_fails_is_still_to_be_done(scene: Scene) -> None:
    slot = mac_block("core1", 1)
    scene.hold(slot, "v1")
    scene.rack.faults["core1"] = "refuse"
    assert [outcome.state for outcome in scene.apply(lift(slot))] == ["failed"]
    assert scene.states() == {slot: "releasing"}


def test_what_was_pushed_and_cannot_be_read_is_not_called_blocked(scene: Scene) -> None:
    scene.rack.steps = lambda: scene.rack.faults.update({"core1": "unreadable"}) if on_device(scene, "core1") else None
    (outcome,) = scene.apply(put(mac_block("core1", 1)))
    assert outcome.state == "failed"
    assert outcome.diff is not None


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            "refuse and go",
            "refused '.*': % Invalid input detected; what it enforces now could not be read: connection lost",
        ),
        ("defect and go", "a defect in the driver: KeyError: 'vlan'; what .* could not be read: a defect .*'port'"),
    ],
)
def test_both_troubles_are_told_when_the_device_cannot_be_asked_again(scene: Scene, fault: str, why: str) -> None:
    scene.rack.faults["core1"] = fault  # type: ignore[assignment]  # from the list above
    (outcome,) = scene.apply(put(mac_block("core1", 1)))
    assert outcome.state == "failed"
    assert re.search(why, outcome.why)


def test_a_device_that_left_the_inventory_is_a_failed_outcome(scene: Scene) -> None:
    (outcome,) = scene.apply(put(mac_block("core9", 1)))
    assert (outcome.state, outcome.why) == ("failed", "is no longer in the inventory")


def test_a_driver_that_cannot_enforce_is_a_failed_outcome(scene: Scene) -> None:
    scene.driver_of = lambda _platform: BlindDriver()
    (outcome,) = scene.apply(put(mac_block("core1", 1)))
    assert (outcome.state, outcome.why) == ("failed", "the driver blind cannot enforce anything")


def test_without_a_ledger_nothing_is_written(scene: Scene, tmp_path: Path) -> None:
    def lose_the_ledger() -> None:
        scene.ledger.close()
        (tmp_path / "ledger.db").write_bytes(b"no database at all, but long enough to be read as one" * 200)
        for leftover in tmp_path.glob("ledger.db-*"):
            leftover.unlink()

    scene.rack.steps = lose_the_ledger
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        scene.apply(put(mac_block("core1", 1)), put(mac_block("core2", 2)), workers=1)
    assert on_device(scene, "core2") == {}


def test_an_interrupt_finishes_the_device_in_progress_and_begins_no_other(scene: Scene) -> None:
    """Ctrl-C arrives in the waiting thread while a worker is between two lines."""
    interrupted = threading.Event()

    def interrupt() -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    slots = [mac_block("core1", 1), mac_block("core1", 2), mac_block("core2", 3)]
    scene.told = Interrupting(interrupt)
    first = mac_block("core3", 9)
    with pytest.raises(KeyboardInterrupt):
        scene.apply(put(first), *map(put, slots), workers=1)
    states = scene.states()
    assert states[first] == "verified"
    assert {states[slots[0]], states[slots[1]]} <= {"verified", "planned"}
    assert states[slots[0]] == states[slots[1]]
    assert {slot for slot, state in states.items() if state == "verified"} == {
        slot for device in DEVICES for slot in on_device(scene, device)
    }


class Interrupting(list[str]):
    """Where the first sentence that is told meets a Ctrl-C."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        super().__init__()
        self._interrupt = interrupt

    def append(self, sentence: str) -> None:
        super().append(sentence)
        self._interrupt()


# --- sessions --------------------------------------------------------------------------------------------------------

ADDRESS = ip_address("10.0.0.7")


def test_sessions_are_cleared_after_the_block_is_verified(scene: Scene) -> None:
    slot = mac_block("core1", 1)
    (outcome,) = scene.apply(put(slot, "v1"), flushes=(SessionFlush("gw1", (ADDRESS,), "v1"),))
    assert scene.rack.flushed == [("gw1", ("10.0.0.7",))]
    assert (outcome.state, outcome.why) == ("verified", "1 session cleared on gw1")
    assert scene.told[-1] == "gw1: 1 session cleared on gw1"


def test_sessions_stay_when_the_block_failed(scene: Scene) -> None:
    scene.rack.faults["core1"] = "refuse"
    scene.apply(put(mac_block("core1", 1), "v1"), flushes=(SessionFlush("gw1", (ADDRESS,), "v1"),))
    assert scene.rack.flushed == []


def test_sessions_are_cleared_for_a_block_that_was_found_in_place(scene: Scene) -> None:
    scene.apply(flushes=(SessionFlush("gw1", (ADDRESS,), "v1"),))
    assert scene.rack.flushed == [("gw1", ("10.0.0.7",))]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("unreadable", "gw1: connection lost"),
        ("refuse", "gw1: refused 'flush 10.0.0.7': % Permission denied"),
        ("defect", "a defect in the driver: KeyError: 'flush'"),
    ],
)
def test_a_failed_flush_is_told_and_fails_no_block(scene: Scene, fault: str, why: str) -> None:
    scene.rack.faults["gw1"] = fault  # type: ignore[assignment]  # from the list above
    (outcome,) = scene.apply(put(mac_block("core1", 1), "v1"), flushes=(SessionFlush("gw1", (ADDRESS,), "v1"),))
    assert (outcome.state, outcome.why) == ("verified", f"sessions stay until they time out: {why}")


def test_a_gateway_that_cannot_clear_sessions_says_so(scene: Scene) -> None:
    scene.driver_of = lambda _platform: BlindDriver()
    scene.apply(flushes=(SessionFlush("gw1", (ADDRESS,), "v1"),))
    assert scene.told == ["gw1: sessions stay until they time out: toy cannot clear them"]


def test_the_history_tells_who_was_blocked_where_and_with_which_lines(scene: Scene) -> None:
    slot = mac_block("core1", 1)
    scene.ledger.sentence((verdict("v1", 1),), (), AT)
    scene.apply(put(slot, "v1"))
    (event,) = (it for it in scene.ledger.history("0200.0000.0001") if it.what == "verified")
    assert "core1" in event.subjects
    assert event.detail["diff"]["source"] == "computed"


# --- still there? ----------------------------------------------------------------------------------------------------

MOVER, STAYER = put(mac_block("core1", 7), "v7"), put(mac_block("core1", 8), "v8")


def seen_at(number: int, at: datetime) -> Whereabouts:
    return Whereabouts(Mac(0x020000000000 + number), "sw1", frozenset({f"Gi0/{number}"}), f"Gi0/{number}", at)


def tables(*ports: tuple[int, str]) -> Snapshot:
    rows = tuple(FdbEntry("sw1", port, Mac(0x020000000000 + number), 10) for number, port in ports)
    return Snapshot(AT, (), fdb=rows, readings=(Reading("sw1", "fdb", AT, len(rows), 0.1),))


def apply_looking(scene: Scene, at: datetime, look: Snapshot) -> tuple[tuple[Outcome, ...], list[Collection[str]]]:
    """The mover and the stayer, both seen at that time, and which tables were read again."""
    asked: list[Collection[str]] = []

    def looks(names: Collection[str]) -> Snapshot:
        asked.append(names)
        return look

    plan = Plan(AT, (MOVER, STAYER), whereabouts=(seen_at(7, at), seen_at(8, at)))
    outcomes = apply(
        plan,
        devices=DEVICES,
        opens=scene.rack.opens,
        ledger=scene.ledger,
        clock=scene.clock,
        driver_of=scene.rack.driver_of,
        look=looks,
    )
    return outcomes, asked


def test_a_mac_that_moved_since_it_was_judged_is_not_blocked_and_the_others_are(scene: Scene) -> None:
    outcomes, asked = apply_looking(scene, AT - timedelta(minutes=1), tables((7, "Gi0/9"), (8, "Gi0/8")))
    assert [(it.change, it.state) for it in outcomes] == [(MOVER, "refused"), (STAYER, "verified")]
    assert outcomes[0].why == "02:00:00:00:00:07 is not on sw1 Gi0/7 any more, but on sw1 Gi0/9"
    assert scene.rack.read("core1") == {STAYER.slot: Block()}
    assert asked == [["sw1"]], "one reading, of the device concerned"
    assert scene.states() == {STAYER.slot: "verified"}, "the next cycle decides anew"


def test_what_was_read_a_moment_ago_is_not_read_again(scene: Scene) -> None:
    outcomes, asked = apply_looking(scene, AT, tables())
    assert [it.state for it in outcomes] == ["verified", "verified"]
    assert asked == []


PORT = Change(Slot("sw1", "limit", Station(port="Gi0/9")), None, RateLimit(1_000_000), ("v9",), "hog")
NINES = Tenants("sw1", "Gi0/9", frozenset({Mac(0x020000000009)}), frozenset({Mac(0x020000000009)}), AT)


@pytest.mark.parametrize(("there", "state"), [(9, "verified"), (7, "refused")])
def test_a_port_that_has_changed_hands_since_is_not_limited(scene: Scene, there: int, state: str) -> None:
    (outcome,) = apply(
        Plan(AT, (PORT,), tenants=(replace(NINES, at=AT - timedelta(minutes=1)),)),
        devices={"sw1": toy("sw1")},
        opens=scene.rack.opens,
        ledger=scene.ledger,
        clock=scene.clock,
        driver_of=scene.rack.driver_of,
        look=lambda _names: tables((there, "Gi0/9")),
    )
    assert outcome.state == state
    assert (PORT.slot in scene.rack.read("sw1")) == (state == "verified")


# --- still wanted? ---------------------------------------------------------------------------------------------------


def test_what_was_lifted_while_somebody_thought_about_it_is_refused_and_the_rest_is_done(scene: Scene) -> None:
    lifted, stands = put(mac_block("core1", 1), "v1"), put(mac_block("core1", 2), "v2")
    scene.ledger.sentence((verdict("v1", 1), verdict("v2", 2)), (), AT)
    scene.ledger.sentence((), (Release(verdict("v1", 1), "by hand (ada)"),), AT)
    refused, done = scene.apply(lifted, stands)
    assert (refused.state, refused.why) == ("refused", LIFTED)
    assert done.state == "verified"
    assert on_device(scene, "core1") == {stands.slot: Block()}
    assert scene.states() == {stands.slot: "verified"}


def test_an_old_place_stays_when_the_new_one_has_become_outdated(scene: Scene) -> None:
    old, new = mac_block("core1", 1), mac_block("core2", 1)
    scene.hold(old, "v1")
    scene.ledger.sentence((verdict("v1", 1),), (), AT)
    scene.ledger.sentence((), (Release(verdict("v1", 1), "by hand (ada)"),), AT)
    assert [it.state for it in scene.apply(lift(old), put(new, "v1"))] == ["refused", "refused"]
    assert on_device(scene, "core2") == {}
