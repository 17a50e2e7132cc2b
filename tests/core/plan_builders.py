"""A small network for planning: gw routes and translates, core switches, sw1 and sw2 have the clients on port Gi0/<n>.

Everything enforces; gw blocks MACs as their first hop and clears sessions, the switches block a MAC per VLAN, the
access switches limit and quarantine a port.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from switchguard.core.changes import Enforced, Enforcer, Facts, HeldSlot, Plan, Slot
from switchguard.core.model import (
    Address,
    Attribution,
    Client,
    ClientId,
    Device,
    FdbEntry,
    Gap,
    Location,
    Mac,
    Mode,
    NatUsage,
    PathStep,
    Role,
    Station,
)
from switchguard.core.penalties import Block, Exemption, Penalty, Verdict
from switchguard.core.plan import plan
from switchguard.core.policy import Policy, Safeguards, Zone

State = Literal["planned", "pushed", "verified", "failed", "releasing"]

NOW = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

GW = Device("gw", "linux", Role.GATEWAY, Mode.ENFORCE)
CORE = Device("core", "arista_eos", Role.CORE, Mode.ENFORCE)
SW1 = Device("sw1", "cisco_ios", Role.ACCESS, Mode.ENFORCE)
SW2 = Device("sw2", "cisco_ios", Role.ACCESS, Mode.ENFORCE)
ROUTER_FACTS = Facts({"block": ("mac_adjacent", "address"), "cap": ("address",), "limit": ("address",)})
CORE_FACTS = Facts({"block": ("mac_vlan",)})
ACCESS_FACTS = Facts({"block": ("mac_vlan",), "limit": ("port",), "quarantine": ("port",)})
ENFORCERS: Mapping[str, Enforcer] = {
    "gw": Enforcer(GW, ROUTER_FACTS, clears_sessions=True),
    "core": Enforcer(CORE, CORE_FACTS),
    "sw1": Enforcer(SW1, ACCESS_FACTS),
    "sw2": Enforcer(SW2, ACCESS_FACTS),
}
UPLINKS = {
    ("core", "Gi0/1"): "gw is its neighbour",
    ("core", "Gi0/2"): "sw1 is its neighbour",
    ("core", "Gi0/3"): "sw2 is its neighbour",
    ("sw1", "Gi0/24"): "core is its neighbour",
    ("sw2", "Gi0/24"): "core is its neighbour",
}
CORE_MAC = Mac(0x02AA00000002)
CORE_ADDRESS = ip_address("10.10.0.2")
NOTHING: Mapping[str, Enforced | Gap] = {name: {} for name in ENFORCERS}
WIDE = Safeguards(new_per_cycle=100, share_of_clients=1.0)
"""Brakes that do not bite, for tests of other things."""
UNREADABLE = Gap("core", "enforced", "no answer in 10 s")


def mac(number: int) -> Mac:
    """Client `number`'s: 02:00:00:00:00:07 for 7."""
    return Mac(0x020000000000 + number)


def ip(number: int) -> Address:
    """Client `number`'s: 10.10.0.107 for 7."""
    return ip_address(f"10.10.0.{100 + number}")


def who(number: int) -> ClientId:
    return ClientId(f"mac:{mac(number)}")


def usage(number: int, device: str = "gw") -> NatUsage:
    return NatUsage(device, ip(number), 1500, 1490, 900, 0.3, 0.7, 0.2, 0.98, 0.94, bytes_in=2_500_000, bytes_out=10)


def client(
    number: int, on: str | None = "sw1", vlan: int | None = 10, confidence: float = 0.95, age: float = 4
) -> Client:
    """A client with one MAC and one address on port Gi0/<number>; `on` None: nobody knows where."""
    place = None
    if on is not None:
        path = (PathStep("gw", "arp", f"{ip(number)} is {mac(number)}", 4.0),)
        place = Location(on, Station(f"Gi0/{number}", vlan, mac(number)), age, confidence, path)
    why = "" if place else "no forwarding table has it"
    return Client(who(number), (mac(number),), (ip(number),), usage(number), place, why)


def world(*clients: Client, **changes: Any) -> Attribution:
    """What attribution says of these clients, and of the wires between the devices; `changes` replace its fields."""
    located = [it.location for it in clients if it.location is not None]
    rows: dict[Mac, tuple[FdbEntry, ...]] = {}
    ports: dict[tuple[str, str], frozenset[Mac]] = {}
    for place in located:
        port, there = place.station.port, place.station.mac
        assert port is not None
        assert there is not None
        trunk = "Gi0/2" if place.device == "sw1" else "Gi0/3"
        vlan = place.station.vlan
        rows[there] = (FdbEntry("core", trunk, there, vlan), FdbEntry(place.device, port, there, vlan))
        ports[place.device, port] = ports.get((place.device, port), frozenset()) | {there}
    seen = Attribution(
        at=NOW,
        clients=tuple(sorted(clients, key=lambda it: it.identity)),
        infrastructure={CORE_MAC: "core"},
        infrastructure_addresses={CORE_ADDRESS: "core"},
        uplinks=UPLINKS,
        uplinks_known=frozenset({"core", "sw1", "sw2"}),
        vlans={name: frozenset({10, 20}) for name in ("core", "sw1", "sw2")},
        macs_on_port=ports,
        sightings=rows,
    )
    return replace(seen, **changes)


def verdict(number: int, penalty: Penalty | None = None, rule: str = "swarm", since: datetime = NOW) -> Verdict:
    return Verdict(
        id=f"{rule}-{number}",
        client=who(number),
        rule=rule,
        penalty=penalty or Block(),
        since=since,
        until=since + 2 * HOUR,
        because="1,490 of 1,500 sessions go to different hosts",
        macs=(mac(number),),
        addresses=(ip(number),),
    )


def request(number: int, penalty: Penalty | None = None, **changes: Any) -> Verdict:
    """A person's."""
    return replace(verdict(number, penalty, "manual"), **{"because": "complaints", "requested_by": "anna"} | changes)


def at(device: str, number: int, vlan: int | None = 10) -> Slot:
    """The slot of a MAC block."""
    return Slot(device, "block", Station(vlan=vlan, mac=mac(number)))


def ours(slot: Slot, *verdicts: Verdict, penalty: Penalty | None = None, state: State = "verified") -> HeldSlot:
    """A slot that is in the ledger."""
    return HeldSlot(slot, penalty or Block(), state, tuple(it.id for it in verdicts), NOW - HOUR)


def policy(
    enforce_at: str = "core",
    safeguards: Safeguards = WIDE,
    mode: Mode = Mode.ENFORCE,
    exemptions: tuple[Exemption, ...] = (),
) -> Policy:
    """All clients are in one zone."""
    zone = Zone("delegates", (ip_network("10.10.0.0/16"),), enforce_at)
    return Policy(mode, (zone,), (), exemptions, safeguards)


def planned(
    wanted: Iterable[Verdict] = (),
    attribution: Attribution | None = None,
    held: Iterable[HeldSlot] = (),
    enforced: Mapping[str, Enforced | Gap] | None = None,
    enforcers: Mapping[str, Enforcer] = ENFORCERS,
    exemptions: Sequence[Exemption] | Gap = (),
    by: Policy | None = None,
    paused: str | None = None,
    now: datetime = NOW,
) -> Plan:
    """`enforced` names the devices that differ from holding nothing."""
    return plan(
        wanted=tuple(wanted),
        attribution=attribution or world(),
        held=tuple(held),
        enforced={**NOTHING, **(enforced or {})},
        enforcers=enforcers,
        exemptions=exemptions,
        policy=by or policy(),
        paused=paused,
        now=now,
    )


def observing(*names: str) -> Mapping[str, Enforcer]:
    """The enforcers, these devices in observe mode."""
    return {
        name: replace(it, device=replace(it.device, mode=Mode.OBSERVE)) if name in names else it
        for name, it in ENFORCERS.items()
    }


def able(name: str, facts: Facts) -> Mapping[str, Enforcer]:
    """The enforcers, one of them able to do other things."""
    return {**ENFORCERS, name: replace(ENFORCERS[name], facts=facts)}


def safeguards_of(made: Plan) -> list[str]:
    return [refusal.safeguard for refusal in made.refusals]


def slots_of(made: Plan) -> list[Slot]:
    return [change.slot for change in made.changes]


@dataclass(frozen=True)
class Reality:
    """Devices and ledger, both of which do what they are told."""

    enforced: Mapping[str, Enforced | Gap]
    held: tuple[HeldSlot, ...] = ()

    def after(self, made: Plan) -> "Reality":
        tables = {name: table if isinstance(table, Gap) else dict(table) for name, table in self.enforced.items()}
        held = {it.slot: it for it in self.held}
        for change in made.changes:
            table = tables[change.slot.device]
            assert not isinstance(table, Gap), "a device that cannot be read is never written to"
            assert table.get(change.slot) == change.before
            if change.after is None:
                del table[change.slot], held[change.slot]
            else:
                table[change.slot] = change.after
                held[change.slot] = HeldSlot(change.slot, change.after, "verified", change.verdicts, NOW)
        for change in made.adopted:
            assert change.after is not None
            held[change.slot] = HeldSlot(change.slot, change.after, "verified", change.verdicts, NOW)
        for slot in made.forgotten:
            del held[slot]
        return Reality(tables, tuple(held.values()))
