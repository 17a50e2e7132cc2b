"""A small real network for tests of decisions: gw - core - sw1, sw2, with clients on the access switches' edge ports.

gw lan0 -- Gi0/1 core Gi0/2 -- Gi0/24 sw1 Gi0/<n>: client n
                      Gi0/3 -- Gi0/24 sw2 Gi0/<n>: client n
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from switchguard.core.model import (
    Address,
    Attribution,
    Client,
    Device,
    FdbEntry,
    Gap,
    Interface,
    Link,
    Mac,
    NatUsage,
    Neighbor,
    Reading,
    Role,
    Snapshot,
    Table,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
GW = Device("gw", "linux", Role.GATEWAY)
CORE = Device("core", "arista_eos", Role.CORE)
SW1 = Device("sw1", "cisco_ios", Role.ACCESS)
SW2 = Device("sw2", "cisco_ios", Role.ACCESS)
DEVICES = (GW, CORE, SW1, SW2)
OWN = {"gw": Mac(0x02AA00000001), "core": Mac(0x02AA00000002), "sw1": Mac(0x02AA00000003), "sw2": Mac(0x02AA00000004)}
BRIDGE = frozenset({"bridge"})


_SWITCH_TABLES: tuple[Table, ...] = ("fdb", "links", "interfaces")
_GATEWAY_TABLES: tuple[Table, ...] = ("nat", "arp", "interfaces")


def mac(number: int) -> Mac:
    """Client `number`'s, 02:00:00:00:00:07 for 7."""
    return Mac(0x020000000000 + number)


def ip(number: int) -> Address:
    """Client `number`'s, 10.10.0.7 for 7."""
    return ip_address(f"10.10.{number >> 8}.{number & 255}")


def usage(
    address: Address | int = 7,
    sessions: int = 20,
    remotes: int | None = None,
    device: str = "gw",
    remote_ports: int = 3,
    tcp_share: float = 0.8,
    unanswered_share: float | None = 0.0,
    high_port_share: float = 0.1,
    active_share: float | None = 0.5,
    sketch: Sequence[int] = (),
    top_port: int | None = 443,
    top_port_share: float | None = 0.6,
) -> NatUsage:
    """An ordinary client's part of the translation table, unless told otherwise."""
    return NatUsage(
        device=device,
        address=ip(address) if isinstance(address, int) else address,
        sessions=sessions,
        remotes=max(sessions // 2, 1) if remotes is None else remotes,
        remote_ports=remote_ports,
        tcp_share=tcp_share,
        udp_share=1 - tcp_share,
        unanswered_share=unanswered_share,
        high_port_share=high_port_share,
        active_share=active_share,
        sketch=tuple(sketch),
        top_port=top_port,
        top_port_share=top_port_share,
    )


def swarm(address: Address | int = 7, sessions: int = 1500, remotes: int = 1490) -> NatUsage:
    """What BitTorrent leaves in the table."""
    return usage(
        address,
        sessions,
        remotes,
        remote_ports=900,
        tcp_share=0.33,
        unanswered_share=0.2,
        high_port_share=0.98,
        active_share=0.94,
        top_port=6881,
        top_port_share=0.1,
    )


def arp(number: int, device: str = "gw", interface: str = "lan0", holder: Mac | None = None) -> Neighbor:
    """Client `number` has its own address."""
    return Neighbor(device, interface, ip(number), holder or mac(number))


def fdb(device: str, port: str, who: int | Mac, vlan: int | None = 10) -> FdbEntry:
    return FdbEntry(device, port, mac(who) if isinstance(who, int) else who, vlan)


def port(device: str, name: str, up: bool | None = True, owner: Mac | None = None) -> Interface:
    return Interface(device, name, 1, owner, up=up)


def backbone() -> Snapshot:
    """The network without clients: who hears whom, and which MACs are its own."""
    cables = (
        ("gw", "lan0", "core"),
        ("core", "Gi0/1", "gw"),
        ("core", "Gi0/2", "sw1"),
        ("core", "Gi0/3", "sw2"),
        ("sw1", "Gi0/24", "core"),
        ("sw2", "Gi0/24", "core"),
    )
    ways = {"core": {"gw": "Gi0/1", "sw1": "Gi0/2", "sw2": "Gi0/3"}}
    return Snapshot(
        at=NOON,
        devices=DEVICES,
        fdb=tuple(
            fdb(device, ways.get(device, {}).get(name, "Gi0/24"), own)
            for device in ("core", "sw1", "sw2")
            for name, own in OWN.items()
            if name != device
        ),
        links=tuple(Link(device, at, name, BRIDGE, OWN[name]) for device, at, name in cables if device != "gw"),
        interfaces=tuple(port(device, at, owner=OWN[device]) for device, at, _ in cables),
        readings=tuple(
            reading(device.name, table)
            for device in DEVICES
            for table in (_GATEWAY_TABLES if device is GW else _SWITCH_TABLES)
        ),
    )


def reading(device: str, table: Table, age_s: float = 0.0) -> Reading:
    return Reading(device, table, NOON - timedelta(seconds=age_s), 100, 0.1)


def seen_on(switch: str, number: int, vlan: int | None = 10) -> tuple[FdbEntry, ...]:
    """The rows that client `number` on that access switch leaves in all three forwarding tables."""
    other, way, far = {"sw1": ("sw2", "Gi0/2", "Gi0/24"), "sw2": ("sw1", "Gi0/3", "Gi0/24")}[switch]
    return (
        fdb("core", way, number, vlan),
        fdb(switch, f"Gi0/{number}", number, vlan),
        fdb(other, far, number, vlan),
    )


def network(
    nat: Iterable[NatUsage] = (),
    neighbors: Iterable[Neighbor] = (),
    rows: Iterable[FdbEntry] = (),
    gaps: Iterable[Gap] = (),
    links: Iterable[Link] = (),
    interfaces: Iterable[Interface] = (),
    without: Sequence[tuple[str, Table]] = (),
) -> Snapshot:
    """The backbone with these rows added, and without the tables that a gap in `without` or `gaps` stands for."""
    base = backbone()
    gone = {*without, *((gap.device, gap.table) for gap in gaps)}
    return replace(
        base,
        nat=tuple(nat),
        neighbors=tuple(row for row in neighbors if (row.device, "arp") not in gone),
        fdb=tuple(row for row in (*base.fdb, *rows) if (row.device, "fdb") not in gone),
        links=tuple(row for row in (*base.links, *links) if (row.device, "links") not in gone),
        interfaces=tuple(row for row in (*base.interfaces, *interfaces) if (row.device, "interfaces") not in gone),
        readings=tuple(row for row in base.readings if (row.device, row.table) not in gone),
        gaps=(*gaps, *(Gap(device, table, "no answer in time") for device, table in without)),
    )


def only(attribution: Attribution, identity: str) -> Client:
    """The client of that identity."""
    (client,) = (client for client in attribution.clients if client.identity == identity)
    return client
