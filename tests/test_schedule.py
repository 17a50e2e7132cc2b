"""The service keeps time: a jump pulls the whole table, passes never meet, a failure stops nothing, a stop is clean."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from switchguard.core.changes import Enforced, Plan
from switchguard.core.clocks import Clocks
from switchguard.core.evidence import Evidence
from switchguard.core.model import Attribution, Device, Gap, NatSize, Reading, Role, Snapshot, Table
from switchguard.core.penalties import PastPenalty
from switchguard.core.policy import Policy
from switchguard.cycle import PLACES, USAGE, Doors, Pass
from switchguard.edge.ledger import SqlLedger
from switchguard.errors import LedgerError
from switchguard.schedule import Periods, Rhythm, Service, Setup

PATIENCE_S = 10.0
GATEWAY = Device("gw", "linux", Role.GATEWAY)
RARELY, OFTEN = timedelta(hours=1), timedelta(milliseconds=100)


@dataclass
class World:
    """A gateway whose table has a size, and a service that asks for it."""

    ledger: SqlLedger
    size: int = 100
    gate: threading.Event = field(default_factory=threading.Event)
    """Closed: a pass waits in the middle of its gathering."""
    asked: int = 0
    passes: int = 0
    inside: int = 0
    most_inside: int = 0
    trouble: LedgerError | None = None
    off: timedelta = timedelta(0)
    """By which somebody set the clock."""
    counted_anew: int = 0
    asked_for: list[frozenset[Table]] = field(default_factory=list)
    """By each poll but those for sizes."""
    costs_s: float = 0.0
    """What reading the whole table is said to take."""
    events: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def gather(self, tables: Collection[Table]) -> Snapshot:
        now = self.clock()
        if set(tables) == {"nat_size"}:
            with self.changed:
                self.asked += 1
                self.changed.notify_all()
            sizes = (NatSize("gw", self.size, 65_536),)
            return Snapshot(now, (GATEWAY,), nat_sizes=sizes, readings=(Reading("gw", "nat_size", now, 1, 0.0),))
        with self.changed:
            self.inside += 1
            self.asked_for.append(frozenset(tables))
            self.most_inside = max(self.inside, self.most_inside)
            self.changed.notify_all()
        self.gate.wait(PATIENCE_S)
        with self.changed:
            self.inside -= 1
        if self.trouble is not None:
            raise self.trouble
        readings = tuple(Reading("gw", table, now, 0, self.costs_s) for table in tables)
        return Snapshot(now, (GATEWAY,), readings=readings)

    def doors(self) -> Doors:
        return Doors(self.gather, dict, apply, self.ledger, {}, self.clock, recall, keep)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.off

    def count_anew(self) -> None:
        self.counted_anew += 1

    def tell(self, event: str, **_facts: object) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def report(self, _result: Pass) -> None:
        with self.changed:
            self.passes += 1
            self.changed.notify_all()

    def wait_for(self, true: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(true, PATIENCE_S)


def apply(_plan: Plan) -> tuple[()]:
    return ()


def recall(_policy: Policy, _seen: Snapshot, attribution: Attribution, _past: Collection[PastPenalty]) -> Evidence:
    return Evidence(attribution, attribution.at)


def keep(_policy: Policy, _seen: Snapshot, _attribution: Attribution) -> None:
    """Nothing is remembered here."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(SqlLedger(str(tmp_path / "ledger.db")))
    made.gate.set()
    return made


def service(world: World, nat: timedelta = RARELY, nat_size: timedelta = RARELY) -> Service:
    periods = Periods(nat_size=nat_size, nat=nat, tables=RARELY, counters=RARELY)
    return Service(Setup(Policy(), world.doors(), periods, count_anew=world.count_anew), world.tell, world.report)


def test_a_jump_of_the_size_pulls_the_whole_table_at_once(world: World) -> None:
    running = service(world, nat_size=OFTEN)
    running.start()
    assert world.wait_for(lambda: world.passes == 1)
    world.size = 2_000
    assert world.wait_for(lambda: world.passes == 2)
    assert "reading the whole table now" in world.events
    assert running.stop(PATIENCE_S)


def test_a_table_that_is_dear_to_read_is_read_less_often_until_it_is_cheap_again(world: World) -> None:
    world.costs_s = 60.0
    running = service(world, nat=timedelta(seconds=1))
    running.start()
    assert world.wait_for(lambda: world.passes == 1)
    assert replace(running.rhythm(), pass_s=0.0) == Rhythm(timedelta(minutes=10), 600.0)
    assert "reading the NAT table is dear, so it is read less often" in world.events
    world.costs_s = 0.01
    for passes in (2, 3, 4):
        running.reload(Setup(Policy(), world.doors(), Periods(RARELY, timedelta(seconds=1), RARELY, RARELY, 1.0)))
        assert world.wait_for(lambda passes=passes: world.passes == passes)  # type: ignore[misc] # bound at once
    assert running.rhythm().stretched == 1.0
    assert "reading the NAT table is cheap again, it is read as often as configured" in world.events
    assert running.stop(PATIENCE_S)


def test_the_second_jump_in_a_row_waits_until_the_first_look_is_paid_for(world: World) -> None:
    world.costs_s = 60.0
    running = service(world, nat_size=OFTEN)
    running.start()
    assert world.wait_for(lambda: world.passes == 1)
    world.size = 2_000
    assert world.wait_for(lambda: world.passes == 2)
    world.size = 4_000
    assert world.wait_for(lambda: "reading the whole table soon" in world.events)
    assert world.passes == 2
    assert running.stop(PATIENCE_S)


def test_a_turn_that_is_left_out_is_said_once_and_counted(world: World) -> None:
    world.gate.clear()
    running = service(world, nat=OFTEN)
    running.start()
    assert world.wait_for(lambda: running.rhythm().skipped.get("usage", 0) > 2)
    assert world.events.count("its time came again before it was done, so one turn is left out") == 1
    world.gate.set()
    assert running.stop(PATIENCE_S)


def test_where_there_is_nothing_to_put_or_to_lift_no_device_is_asked_what_it_enforces(world: World) -> None:
    asked: list[str] = []

    def enforced() -> dict[str, Enforced | Gap]:
        asked.append("all of them")
        return {}

    doors = replace(world.doors(), enforced=enforced)
    running = Service(Setup(Policy(), doors, Periods(RARELY, OFTEN, RARELY, RARELY)), world.tell, world.report)
    running.start()
    assert world.wait_for(lambda: world.passes > 1)
    assert running.stop(PATIENCE_S)
    assert asked == []


def test_a_quiet_table_is_left_alone(world: World) -> None:
    running = service(world, nat_size=OFTEN)
    running.start()
    assert world.wait_for(lambda: world.passes == 1)
    world.size = 150
    asked = world.asked
    assert world.wait_for(lambda: world.asked > asked + 3)
    assert world.passes == 1
    assert running.stop(PATIENCE_S)


def test_a_pass_that_takes_long_is_never_met_by_the_next_one(world: World) -> None:
    world.gate.clear()
    running = service(world, nat=OFTEN)
    running.start()
    assert world.wait_for(lambda: world.inside == 1)
    running.reload(Setup(Policy(), world.doors(), Periods(RARELY, OFTEN, RARELY, RARELY)))
    world.gate.set()
    assert world.wait_for(lambda: world.passes >= 3)
    assert world.most_inside == 1
    assert running.stop(PATIENCE_S)


def test_a_pass_that_fails_is_said_and_the_next_one_comes(world: World) -> None:
    world.trouble = LedgerError("the disk is full")
    running = service(world, nat=OFTEN)
    running.start()
    assert world.wait_for(lambda: "failed" in world.events)
    world.trouble = None
    assert world.wait_for(lambda: world.passes >= 1)
    assert running.stop(PATIENCE_S)


def test_stopping_says_whether_the_pass_in_progress_ended(world: World) -> None:
    world.gate.clear()
    running = service(world)
    running.start()
    assert world.wait_for(lambda: world.inside == 1)
    assert running.stop(0.1) is False
    world.gate.set()


@pytest.mark.parametrize(("off", "said"), [(-1, "set back by 1 h"), (1, "set forward by 1 h")])
def test_a_clock_that_was_set_is_said_once(world: World, off: int, said: str) -> None:
    running = service(world)
    running.start()
    world.off = timedelta(hours=off)
    assert world.wait_for(lambda: f"the clock was {said}" in world.events)
    for _ in range(3):
        running.compare_clocks(Clocks(world.clock(), time.monotonic()))
    assert [event for event in world.events if "clock" in event] == [f"the clock was {said}"]
    assert running.stop(PATIENCE_S)


def test_after_the_clock_was_set_back_passes_go_on(world: World) -> None:
    running = service(world)
    running.start()
    assert world.wait_for(lambda: world.passes == 1)
    before = len(world.asked_for)
    world.off = timedelta(hours=-1)
    assert world.wait_for(lambda: world.passes == 2)
    assert "the clock was set back by 1 h" in world.events
    assert any(tables >= USAGE | PLACES for tables in world.asked_for[before:])
    assert world.counted_anew == 1
    assert running.stop(PATIENCE_S)


def test_what_was_gathered_while_the_clock_was_set_is_left_alone(world: World) -> None:
    world.gate.clear()
    running = service(world)
    running.start()
    assert world.wait_for(lambda: world.inside > 0)
    world.off = timedelta(hours=-1)
    assert world.wait_for(lambda: "the clock was set back by 1 h" in world.events)
    assert world.passes == 0
    world.gate.set()
    assert world.wait_for(lambda: world.passes == 1)
    assert (world.asked_for[0], world.counted_anew) == (world.asked_for[-1], 1)
    assert running.stop(PATIENCE_S)


def test_a_table_is_cheap_again_when_the_clock_that_made_it_dear_was_set(world: World) -> None:
    world.costs_s = 60.0
    running = service(world, nat=timedelta(seconds=1))
    running.start()
    assert world.wait_for(lambda: world.passes == 1)
    world.costs_s, world.off = 0.01, timedelta(hours=-1)
    assert world.wait_for(lambda: world.passes == 2)
    assert running.rhythm().stretched == 1.0
    assert running.stop(PATIENCE_S)
