"""A hint that a station moved: a look at the right devices, penalties that follow, and nothing else."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest

from switchguard.core.changes import Enforced, Enforcer, Facts, Plan
from switchguard.core.evidence import Evidence
from switchguard.core.model import (
    Attribution,
    ClientId,
    Device,
    FdbEntry,
    Gap,
    Interface,
    Link,
    Mac,
    Mode,
    Neighbor,
    Reading,
    Role,
    Snapshot,
    Table,
)
from switchguard.core.penalties import Block, PastPenalty, Verdict
from switchguard.core.policy import Policy, Safeguards, Zone
from switchguard.cycle import PLACES, Doors, Pass, pass_on_hint
from switchguard.edge.ledger import SqlLedger
from switchguard.schedule import Periods, Service, Setup

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CULPRIT, OTHER = Mac(0x020000000007), Mac(0x020000000008)
PATIENCE_S = 10.0
SWITCHES = tuple(Device(f"sw{number}", "cisco_ios", Role.ACCESS, Mode.ENFORCE) for number in (1, 2, 3))
GATEWAY = Device("gw", "linux", Role.GATEWAY)
POLICY = Policy(
    Mode.ENFORCE,
    (Zone("all", (ip_network("10.10.0.0/16"),), "access"),),
    safeguards=Safeguards(new_per_cycle=100, share_of_clients=1.0),
)
VERDICT = Verdict(
    "swarm-7",
    ClientId(f"mac:{CULPRIT}"),
    "swarm",
    Block(),
    NOW,
    NOW + timedelta(hours=2),
    "1,490 of 1,500 sessions go to different hosts",
    (CULPRIT,),
    (IPv4Address("10.10.0.7"),),
)


@dataclass
class Network:
    """Three access switches behind one core; the culprit is plugged into one of them."""

    ledger: SqlLedger
    plugged_into: str = "sw1"
    asked: list[tuple[frozenset[str], frozenset[Table]]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def whole(self, tables: Collection[Table] = PLACES) -> Snapshot:
        return self.part({device.name for device in (GATEWAY, *SWITCHES)}, tables, noted=False)

    def part(self, names: Collection[str], tables: Collection[Table], noted: bool = True) -> Snapshot:
        if noted:
            self.asked.append((frozenset(names), frozenset(tables)))
        chosen = tuple(device for device in (GATEWAY, *SWITCHES) if device.name in names)
        switches = [device.name for device in chosen if device.role is Role.ACCESS]
        read: dict[str, tuple[Table, ...]] = dict.fromkeys(switches, ("fdb", "links", "interfaces"))
        read |= {"gw": ("arp",)} if "gw" in names else {}
        return Snapshot(
            NOW,
            chosen,
            neighbors=(Neighbor("gw", "lan0", IPv4Address("10.10.0.7"), CULPRIT),) if "gw" in names else (),
            fdb=tuple(row for name in switches for row in self._rows(name)),
            links=tuple(Link(name, "Gi0/24", "core", frozenset({"bridge"})) for name in switches),
            interfaces=tuple(
                Interface(name, port, 1, None, "", True) for name in switches for port in ("Gi0/7", "Gi0/24")
            ),
            readings=tuple(Reading(name, table, NOW, 1, 0.1) for name, of in read.items() for table in of),
        )

    def _rows(self, name: str) -> tuple[FdbEntry, ...]:
        port = "Gi0/7" if name == self.plugged_into else "Gi0/24"
        return FdbEntry(name, port, CULPRIT, 10), FdbEntry(name, "Gi0/24", OTHER, 10)

    def enforced(self) -> dict[str, Enforced | Gap]:
        held: dict[str, Enforced | Gap] = {device.name: {} for device in SWITCHES}
        for slot in self.ledger.held():
            held[slot.slot.device] = {slot.slot: slot.penalty}
        return held

    def apply(self, plan: Plan) -> tuple[()]:
        self.ledger.intend(plan)
        self.plans.append(plan)
        return ()

    def doors(self) -> Doors:
        facts = Facts({"block": ("mac_vlan",)})
        return Doors(
            self.whole,
            self.enforced,
            self.apply,
            self.ledger,
            {device.name: Enforcer(device, facts) for device in SWITCHES},
            lambda: NOW,
            recall,
            keep,
            self.part,
        )

    def blocked_on(self) -> set[str]:
        return {change.slot.device for change in self.plans[-1].changes if change.after is not None}


def recall(_policy: Policy, _seen: Snapshot, attribution: Attribution, _past: Collection[PastPenalty]) -> Evidence:
    return Evidence(attribution, NOW)


def keep(_policy: Policy, _seen: Snapshot, _attribution: Attribution) -> None:
    """Nothing is remembered here."""


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
    assert network.asked == []


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
    rarely = timedelta(hours=1)
    doors = replace(network.doors(), clock=lambda: datetime.now(UTC))
    made = Service(Setup(POLICY, doors, Periods(rarely, rarely, rarely, rarely)), heard.tell, heard.report)
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
    looked_at = {name for names, _ in network.asked for name in names}
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
    assert len(network.asked) <= 2
