"""A hint that a station moved: a look at the right devices, penalties that follow, and nothing else."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest
from three_switches import CULPRIT, EVERYWHERE, NOW, OTHER, POLICY, SWITCHES, VERDICT, Network

from switchguard.between import pass_on_hint
from switchguard.core.model import Reading, Snapshot, Table
from switchguard.cycle import PLACES, Pass
from switchguard.edge.ledger import SqlLedger
from switchguard.errors import SwitchguardError
from switchguard.schedule import LOOKS, Periods, Service, Setup

PATIENCE_S = 10.0
RARELY = timedelta(hours=1)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(SqlLedger(str(tmp_path / "ledger.db")))


def test_a_penalty_follows_who_moved_and_only_the_devices_concerned_are_read(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    first = pass_on_hint(POLICY, network.doors(), ["sw1"], network.whole())
    assert first is not None
    assert network.blocked_on() == {"sw1"}
    network.plugged_into = "sw2"
    moved = pass_on_hint(POLICY, network.doors(), ["sw2"], first.snapshot)
    assert moved is not None
    assert network.asked[-1] == (frozenset({"sw1", "sw2"}), PLACES)
    assert network.blocked_on() == {"sw2"}
    assert {device.name for device in moved.snapshot.devices} == {"gw", "sw1", "sw2", "sw3"}


def test_nobody_is_judged_and_nothing_is_read_while_nobody_has_a_penalty(network: Network) -> None:
    assert pass_on_hint(POLICY, network.doors(), ["sw1"], network.whole()) is None
    assert [asked for asked in network.asked if asked[0] != EVERYWHERE] == []


@dataclass
class Heard:
    """What a service says."""

    events: list[str] = field(default_factory=list)
    passed: threading.Event = field(default_factory=threading.Event)
    looked: threading.Event = field(default_factory=threading.Event)

    def tell(self, event: str, **_facts: object) -> None:
        self.events.append(event)
        if event == "looked because of a hint":
            self.looked.set()

    def report(self, _result: Pass) -> None:
        self.passed.set()


def service(network: Network, heard: Heard) -> Service:
    doors = replace(network.doors(), clock=lambda: datetime.now(UTC))
    made = Service(Setup(POLICY, doors, Periods(RARELY, RARELY, RARELY, RARELY)), heard.tell, heard.report)
    made.start()
    assert heard.passed.wait(PATIENCE_S)
    return made


def test_a_service_looks_when_a_station_under_a_penalty_is_hinted_at(network: Network) -> None:
    for_ever = replace(VERDICT, until=None)
    network.ledger.sentence([for_ever], [], NOW)
    heard = Heard()
    running = service(network, heard)
    running.nudge("sw2", frozenset({OTHER}))
    running.nudge("sw3", frozenset({OTHER, CULPRIT}))
    assert heard.looked.wait(PATIENCE_S)
    assert running.stop(PATIENCE_S)
    looked_at = {name for names, _ in network.asked if names != EVERYWHERE for name in names}
    assert "sw3" in looked_at
    assert "sw2" not in looked_at


def test_a_storm_of_hints_is_few_looks(network: Network) -> None:
    network.ledger.sentence([replace(VERDICT, until=None)], [], NOW)
    heard = Heard()
    running = service(network, heard)
    for _ in range(1000):
        for device in SWITCHES:
            running.nudge(device.name)
    assert heard.looked.wait(PATIENCE_S)
    assert running.stop(PATIENCE_S)
    assert len([names for names, _ in network.asked if names != EVERYWHERE]) <= LOOKS


def test_a_look_does_not_wait_for_a_poll_that_waits_for_a_device(network: Network) -> None:
    network.ledger.sentence([replace(VERDICT, until=None)], [], NOW)
    heard, polled, answers = Heard(), threading.Semaphore(0), threading.Event()

    def gather(tables: Collection[Table]) -> Snapshot:
        """The first poll is answered at once."""
        polled.release()
        if heard.passed.is_set():
            assert answers.wait(PATIENCE_S)
        return network.whole(tables)

    def clock() -> datetime:
        return datetime.now(UTC)

    quick = replace(network.doors(), clock=clock)
    often = Periods(RARELY, timedelta(milliseconds=200), RARELY, RARELY, 1.0)
    running = Service(Setup(POLICY, replace(quick, gather=gather), often, quick=quick), heard.tell, heard.report)
    running.start()
    assert heard.passed.wait(PATIENCE_S)
    for _ in ("places", "counters", "usage"):  # all that begin together, and then the one that waits
        assert polled.acquire(timeout=PATIENCE_S)
    network.plugged_into = "sw2"
    running.nudge("sw2", frozenset({CULPRIT}))
    assert heard.looked.wait(PATIENCE_S)
    assert not answers.is_set()
    assert network.blocked_on() == {"sw2"}
    assert not running.stop(0.1)
    answers.set()


def test_a_look_takes_nothing_back_that_a_poll_has_read_meanwhile(network: Network) -> None:
    network.ledger.sentence([replace(VERDICT, until=None)], [], NOW)
    made: SimpleQueue[Pass] = SimpleQueue()
    looking, counted = threading.Event(), threading.Event()
    counts = Reading("sw1", "counters", NOW, 24, 0.1)
    told: list[Reading] = []

    def gather(tables: Collection[Table]) -> Snapshot:
        """Counters are told once, while somebody looks; when they are asked for again, they have been taken in."""
        snapshot = network.whole(tables)
        if "counters" not in tables or not looking.is_set():
            return snapshot
        if told:
            counted.set()
            return snapshot
        told.append(counts)
        return replace(snapshot, readings=(*snapshot.readings, counts))

    def gather_from(names: Collection[str], tables: Collection[Table]) -> Snapshot:
        looking.set()
        assert counted.wait(PATIENCE_S)
        return network.part(names, tables)

    doors = replace(network.doors(), gather=gather, clock=lambda: datetime.now(UTC))
    often = Periods(RARELY, RARELY, RARELY, timedelta(milliseconds=100))
    setup = Setup(POLICY, doors, often, quick=replace(doors, gather_from=gather_from))
    running = Service(setup, Heard().tell, made.put)
    running.start()
    made.get(timeout=PATIENCE_S)
    running.nudge("sw1", frozenset({CULPRIT}))
    made.get(timeout=PATIENCE_S)
    running.reload(setup)
    assert counts in made.get(timeout=PATIENCE_S).snapshot.readings
    assert running.stop(PATIENCE_S)


def test_what_waits_for_a_worker_does_not_begin_once_it_stops(network: Network) -> None:
    network.ledger.sentence([replace(VERDICT, until=None)], [], NOW)
    others, passed = set(threading.enumerate()), threading.Semaphore(0)
    failed, told = threading.Event(), threading.Event()
    looks: list[Collection[str]] = []

    def gather_from(names: Collection[str], _tables: Collection[Table]) -> Snapshot:
        looks.append(names)
        raise SwitchguardError("nobody answers")

    def tell(event: str, **_facts: object) -> None:
        """Who looked in vain is kept busy for a while."""
        if event == "failed":
            failed.set()
            assert told.wait(PATIENCE_S)

    doors = replace(network.doors(), gather_from=gather_from, clock=lambda: datetime.now(UTC))
    setup = Setup(POLICY, doors, Periods(RARELY, RARELY, RARELY, RARELY))
    running = Service(setup, tell, lambda _pass: passed.release())
    running.start()
    assert passed.acquire(timeout=PATIENCE_S)
    running.nudge("sw1", frozenset({CULPRIT}))
    assert failed.wait(PATIENCE_S)
    running.nudge("sw2", frozenset({CULPRIT}))
    running.reload(setup)  # what is due after that hint is done
    assert passed.acquire(timeout=PATIENCE_S)
    assert running.stop(PATIENCE_S)
    told.set()
    for thread in set(threading.enumerate()) - others:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert len(looks) == 1
