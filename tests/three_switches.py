"""A gateway and three access switches behind one core, as values: whoever asks sees who is plugged in where."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_network

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
from switchguard.cycle import PLACES, Doors
from switchguard.edge.ledger import SqlLedger

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CULPRIT, OTHER = Mac(0x020000000007), Mac(0x020000000008)
SWITCHES = tuple(Device(f"sw{number}", "cisco_ios", Role.ACCESS, Mode.ENFORCE) for number in (1, 2, 3))
GATEWAY = Device("gw", "linux", Role.GATEWAY)
MAC_BLOCKS = Facts({"block": ("mac_vlan",)})
EVERYWHERE = frozenset(device.name for device in (GATEWAY, *SWITCHES))
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
    asked_enforced: list[frozenset[str]] = field(default_factory=list)
    """Of which devices it was asked what they enforce."""
    facts: Facts = MAC_BLOCKS
    plans: list[Plan] = field(default_factory=list)

    def whole(self, tables: Collection[Table] = PLACES) -> Snapshot:
        self.asked.append((EVERYWHERE, frozenset(tables)))
        return self.part(EVERYWHERE, tables, noted=False)

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

    def enforced(self, names: Collection[str] = EVERYWHERE) -> dict[str, Enforced | Gap]:
        self.asked_enforced.append(frozenset(names))
        held: dict[str, Enforced | Gap] = {device.name: {} for device in SWITCHES if device.name in names}
        for slot in self.ledger.held():
            if slot.slot.device in held:
                held[slot.slot.device] = {slot.slot: slot.penalty}
        return held

    def apply(self, plan: Plan) -> tuple[()]:
        self.ledger.intend(plan)
        self.plans.append(plan)
        return ()

    def doors(self) -> Doors:
        return Doors(
            self.whole,
            self.enforced,
            self.apply,
            self.ledger,
            {device.name: Enforcer(device, self.facts) for device in SWITCHES},
            lambda: NOW,
            recall,
            keep,
            self.part,
            self.enforced,
        )

    def blocked_on(self) -> set[str]:
        return {change.slot.device for change in self.plans[-1].changes if change.after is not None}


def recall(_policy: Policy, _seen: Snapshot, attribution: Attribution, _past: Collection[PastPenalty]) -> Evidence:
    return Evidence(attribution, NOW)


def keep(_policy: Policy, _seen: Snapshot, _attribution: Attribution) -> None:
    """Nothing is remembered here."""
