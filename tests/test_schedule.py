"""The service keeps time: a jump pulls the whole table, passes never meet, a failure stops nothing, a stop is clean."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from switchguard.core.changes import Plan
from switchguard.core.evidence import Evidence
from switchguard.core.model import Attribution, Device, NatSize, Reading, Role, Snapshot, Table
from switchguard.core.penalties import PastPenalty
from switchguard.core.policy import Policy
from switchguard.cycle import Doors, Pass
from switchguard.edge.ledger import SqlLedger
from switchguard.errors import LedgerError
from switchguard.schedule import Periods, Service, Setup

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
    events: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def gather(self, tables: Collection[Table]) -> Snapshot:
        now = datetime.now(UTC)
        if set(tables) == {"nat_size"}:
            with self.changed:
                self.asked += 1
                self.changed.notify_all()
            sizes = (NatSize("gw", self.size, 65_536),)
            return Snapshot(now, (GATEWAY,), nat_sizes=sizes, readings=(Reading("gw", "nat_size", now, 1, 0.0),))
        with self.changed:
            self.inside += 1
            self.most_inside = max(self.inside, self.most_inside)
            self.changed.notify_all()
        self.gate.wait(PATIENCE_S)
        with self.changed:
            self.inside -= 1
        if self.trouble is not None:
            raise self.trouble
        return Snapshot(now, (GATEWAY,), readings=tuple(Reading("gw", table, now, 0, 0.0) for table in tables))

    def doors(self) -> Doors:
        return Doors(self.gather, dict, apply, self.ledger, {}, lambda: datetime.now(UTC), recall, keep)

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
    return Service(Setup(Policy(), world.doors(), periods), world.tell, world.report)


def test_a_jump_of_the_size_pulls_the_whole_table_at_once(world: World) -> None:
    running = service(world, nat_size=OFTEN)
    running.start()
    assert world.wait_for(lambda: world.passes == 1)
    world.size = 2_000
    assert world.wait_for(lambda: world.passes == 2)
    assert "reading the whole table now" in world.events
    assert running.stop(PATIENCE_S)


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
