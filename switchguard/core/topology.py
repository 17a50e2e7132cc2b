"""Forwarding tables -> what was seen where, which MACs are our own, and which ports lead to switches, not to clients.

A port is an uplink for the first of these reasons that holds:

1. the site declares it (`Device.uplinks`);
2. LLDP or CDP names one of our own devices there, or a bridge, router or access point that is no telephone;
3. a MAC of one of our other devices is seen behind it. The shared MACs of virtual routers do not count: they are seen
   wherever the active router happens to be;
4. LLDP names such a neighbour on a port that has no stations of its own, as members of an aggregate have none: then the
   ports behind which that neighbour's MACs are seen, or, if they are seen nowhere, all aggregates of the device, unless
   the neighbour is its MLAG peer: most aggregates are shared with that one;
5. the forwarding table itself calls it the link to the MLAG peer, which says nothing about any other port.

All of these err towards "uplink". A host that announces itself as a bridge hides its port from us; that costs one
missed client, and the opposite mistake would cost a whole floor.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from switchguard.core.model import PEER_LINK, Device, FdbEntry, Link, Mac, Role, Snapshot
from switchguard.core.reserved import never_a_client

Place = tuple[str, str]
"""(device, port)"""

_NEIGHBOURS = {"bridge": "a bridge", "router": "a router", "wlan-access-point": "an access point"}
_NO_PORTS = frozenset({"", "0", "cpu", "drop", "router", "self", "switch"})
"""What forwarding tables call the places that are no port."""
_NUMBERED = re.compile(r"([a-z][a-z-]*?)[ -]?(\d[\d/.:_]*)")
_AGGREGATE = re.compile(
    r"(ae|bond|bridge-aggregation|bundle-ether|eth-trunk|lacp|lag|po|port-?channel|team|trk) ?\d.*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Sightings:
    """The forwarding rows that mean something. Rows that name no port, or one that is down, are counted."""

    rows: Mapping[Mac, tuple[FdbEntry, ...]]
    ports: Mapping[Place, frozenset[Mac]]
    vlans: Mapping[str, frozenset[int]]
    skipped: Mapping[tuple[str, str], int]
    """(device, why) -> how many rows."""


@dataclass(frozen=True, slots=True)
class Uplinks:
    why: Mapping[Place, str]
    known: frozenset[str]
    """As `established` documents."""


@lru_cache(maxsize=65536)
def port_key(name: str) -> str:
    """`GigabitEthernet1/0/1`, `Gi1/0/1` and `gi 1/0/1` are one port; so are Junos `ge-0/0/1` and its unit `.0`."""
    text = name.strip().lower()
    match = _NUMBERED.fullmatch(text)
    return f"{match[1][:2]}{match[2].removesuffix('.0')}" if match else text


def is_aggregate(port: str) -> bool:
    """By its name: Port-channel, ae, bond, Eth-Trunk, Bridge-Aggregation, Trk and the like."""
    return _AGGREGATE.fullmatch(port) is not None


# --- what was seen ---------------------------------------------------------------------------------------------------


def sightings(snapshot: Snapshot) -> Sightings:
    """Forwarding rows by MAC and by port, in an order of their own. Group and virtual-router MACs are nobody's.

    Sorted are the ports, not the rows: taken port by port, those of a MAC come in order by themselves.
    """
    down = {(interface.device, interface.name) for interface in snapshot.interfaces if interface.up is False}
    rows: dict[int, list[FdbEntry]] = defaultdict(list)
    ports: dict[Place, frozenset[Mac]] = {}
    vlans: dict[str, set[int | None]] = defaultdict(set)
    skipped: Counter[tuple[str, str]] = Counter()
    for place, found in sorted(_by_port(snapshot.fdb).items()):
        if why := _phantom(place, down):
            skipped[place[0], why] += len(found)
            continue
        ports[place] = frozenset([row.mac for row in found])
        vlans[place[0]].update([row.vlan for row in found])
        if len(ports[place]) < len(found):
            found.sort(key=_order_on_a_port)
        for row in found:
            rows[row.mac.value].append(row)
    told = {device: frozenset([number for number in of if number is not None]) for device, of in vlans.items()}
    return Sightings(
        {found[0].mac: tuple(found) for found in rows.values()},
        ports,
        {device: numbers for device, numbers in told.items() if numbers},
        skipped,
    )


def _by_port(rows: Iterable[FdbEntry]) -> Mapping[Place, list[FdbEntry]]:
    """Those that may be a client's."""
    found: dict[Place, list[FdbEntry]] = defaultdict(list)
    for row in rows:
        if not never_a_client(row.mac):
            found[row.device, row.port].append(row)
    return found


def _order_on_a_port(row: FdbEntry) -> tuple[int, bool, float]:
    return (-1 if row.vlan is None else row.vlan, row.static, -1.0 if row.age_s is None else row.age_s)


def _phantom(place: Place, down: set[Place]) -> str | None:
    _, port = place
    if port.lower() in _NO_PORTS:
        return f"not learned on a port ({port or 'no port'})"
    return f"port {port} is down" if place in down else None


# --- which MACs are our own ------------------------------------------------------------------------------------------


def owners(snapshot: Snapshot) -> Mapping[Mac, frozenset[str]]:
    """Our own devices' MACs: their interfaces', and the chassis that LLDP shows under one of their names."""
    names = _Names(device.name for device in snapshot.devices)
    found: dict[Mac, set[str]] = defaultdict(set)
    for interface in snapshot.interfaces:
        if interface.mac is not None and not never_a_client(interface.mac):
            found[interface.mac].add(interface.device)
    for link in snapshot.links:
        device = names.find(link.neighbor)
        if device and link.chassis is not None and not never_a_client(link.chassis):
            found[link.chassis].add(device)
    return {mac: frozenset(devices) for mac, devices in found.items()}


class _Names:
    """Our devices by the names that they may announce: with or without domain, serial number or capitals."""

    def __init__(self, names: Iterable[str]) -> None:
        self._full: dict[str, str] = {}
        self._first: dict[str, str] = {}
        for name in sorted(names):
            self._full.setdefault(_spoken(name), name)
            if label := _label(name):
                self._first.setdefault(label, name)

    def find(self, announced: str) -> str | None:
        return self._full.get(_spoken(announced)) or self._first.get(_label(announced))


def _spoken(name: str) -> str:
    return name.split("(")[0].strip().casefold()


def _label(name: str) -> str:
    """The host part; none for an IP address, whose first number is no name."""
    label = _spoken(name).split(".")[0]
    return "" if label.isdigit() else label


# --- which ports are uplinks -----------------------------------------------------------------------------------------


class Ports:
    """The ports of each device as its tables spell them."""

    def __init__(self, snapshot: Snapshot, seen: Sightings) -> None:
        self.exact = {*seen.ports, *((row.device, row.name) for row in snapshot.interfaces)}
        self.with_stations = seen.ports.keys()

    def spellings(self, device: str, name: str) -> list[str]:
        """That very port if there is one, else those that mean the same, else the name as it is."""
        return [name] if (device, name) in self.exact else self._alike.get((device, port_key(name)), [name])

    def aggregates(self, device: str) -> list[str]:
        return [port for port in self._of.get(device, ()) if is_aggregate(port)]

    @cached_property
    def _of(self) -> Mapping[str, list[str]]:
        ports: dict[str, list[str]] = defaultdict(list)
        for device, port in sorted(self.exact):
            ports[device].append(port)
        return ports

    @cached_property
    def _alike(self) -> Mapping[Place, list[str]]:
        alike: dict[Place, list[str]] = defaultdict(list)
        for device, port in sorted(self.exact):
            alike[device, port_key(port)].append(port)
        return alike


def uplinks(snapshot: Snapshot, seen: Sightings, ours: Mapping[Mac, frozenset[str]], ports: Ports) -> Uplinks:
    """Every uplink with its reason, in the forwarding table's spelling of the port."""
    leading = tuple(_leading_on(snapshot, ours))
    beside = {place: "its MLAG peer is there" for place in seen.ports if place[1] == PEER_LINK}
    declared = dict(_declared(snapshot, ports))
    discovered = {
        **dict(_aggregated(leading, ports, seen, ours, {(it.name, it.mlag_peer) for it in snapshot.devices})),
        **dict(_sighted(seen, ours)),
        **dict(_linked(leading, ports)),
    }
    return Uplinks(beside | discovered | declared, established(snapshot, ports, declared, discovered))


def _declared(snapshot: Snapshot, ports: Ports) -> Iterator[tuple[Place, str]]:
    for device in snapshot.devices:
        for name in device.uplinks:
            for port in ports.spellings(device.name, name):
                yield (device.name, port), "the site declares it"


def _leading_on(snapshot: Snapshot, ours: Mapping[Mac, frozenset[str]]) -> Iterator[tuple[Link, str, str]]:
    """(link, which of our devices it names or nothing, why it leads on); of several on a port the last one counts."""
    names = _Names(device.name for device in snapshot.devices)
    for link in sorted(snapshot.links, key=link_order, reverse=True):
        device = names.find(link.neighbor) or _joined(ours.get(link.chassis, frozenset()) if link.chassis else ())
        sorts = [sort for capability, sort in _NEIGHBOURS.items() if capability in link.capabilities]
        if device:
            yield link, device, f"{device} is its neighbour"
        elif sorts and "telephone" not in link.capabilities:
            yield link, "", f"its neighbour {link.neighbor} is {sorts[0]}"


def link_order(link: Link) -> tuple[str, str, str, tuple[str, ...], int]:
    chassis = -1 if link.chassis is None else link.chassis.value
    return (link.device, link.port, link.neighbor, tuple(sorted(link.capabilities)), chassis)


def _linked(leading: Iterable[tuple[Link, str, str]], ports: Ports) -> Iterator[tuple[Place, str]]:
    for link, _, why in leading:
        for port in ports.spellings(link.device, link.port):
            yield (link.device, port), why


def _sighted(seen: Sightings, ours: Mapping[Mac, frozenset[str]]) -> Iterator[tuple[Place, str]]:
    for mac in sorted(ours.keys() & seen.rows.keys(), reverse=True):
        for row in seen.rows[mac]:
            others = ours[mac] - {row.device}
            if others:
                yield (row.device, row.port), f"{_joined(others)}'s own {mac} is behind it"


def _aggregated(
    leading: Iterable[tuple[Link, str, str]],
    ports: Ports,
    seen: Sightings,
    ours: Mapping[Mac, frozenset[str]],
    pairs: Collection[tuple[str, str | None]],
) -> Iterator[tuple[Place, str]]:
    macs: dict[str, list[Mac]] = defaultdict(list)
    for mac, devices in ours.items():
        for device in devices:
            macs[device].append(mac)
    for link, device, why in leading:
        if any((link.device, port) in ports.with_stations for port in ports.spellings(link.device, link.port)):
            continue
        theirs = [*macs.get(device, []), *([link.chassis] if link.chassis else [])]
        behind = {row.port for mac in theirs for row in seen.rows.get(mac, ()) if row.device == link.device}
        is_peer = (link.device, device) in pairs
        for port in behind or (() if is_peer else ports.aggregates(link.device)):
            yield (link.device, port), f"{link.port} may be a member of it, and {why}"


def established(
    snapshot: Snapshot, ports: Ports, declared: Mapping[Place, str], discovered: Mapping[Place, str]
) -> frozenset[str]:
    """The devices on which another switch behind a port would have been noticed. In doubt: not.

    Never without the forwarding table. By declaration: every declared port must exist. By discovery: at least one
    uplink must carry stations (a gateway may have none), the device's own neighbour table must not be missing, and,
    unless it shows a neighbour, neither may any other device's interface table, by whose MACs we would recognise it.
    """
    missing = {(gap.device, gap.table) for gap in snapshot.gaps}
    seeing = {device for device, _ in ports.with_stations}
    talking = {link.device for link in snapshot.links}
    leading = {device for device, port in discovered if (device, port) in ports.with_stations}
    nameless = {device for device, table in missing if table == "interfaces"}

    def is_established(device: Device) -> bool:
        name = device.name
        if (name, "fdb") in missing or name not in seeing:
            return False
        if device.uplinks:
            return all(place in ports.exact for place in declared if place[0] == name)
        if (name, "links") in missing or (nameless - {name} and name not in talking):
            return False
        return device.role is Role.GATEWAY or name in leading

    return frozenset(device.name for device in snapshot.devices if is_established(device))


def _joined(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))
