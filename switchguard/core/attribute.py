"""Whose usage, and behind which port: translation tables + ARP/ND + forwarding tables minus uplinks.

An inside address becomes a MAC through the ARP and neighbour tables of all devices together, and the MAC becomes one
edge port through the forwarding tables (locate.py, with the formulas of age and confidence; topology.py for uplinks).
What is ambiguous stays unattributed, with its reason: we would rather miss a heavy user than blame a neighbour.

* An address with two MACs (it changed hands, somebody took it, or a router answers for others) is nobody's: it is a
  client of its own, without MAC and without place. If one of the MACs is our own, the address is infrastructure.
* The IPv4 and IPv6 addresses of one MAC are one client, and their usage is summed (usage.py). A MAC with very many is a
  router or VPN concentrator; the planner sees that by their number. Link-local addresses are the same on every link:
  they show that a MAC is there and identify nobody.
* Our own devices' and this host's MACs and addresses, and those of virtual routers, are no clients.
* In zones of users an address is the person's who had it when the traffic began, whatever ARP says (users.py).
* An address that no ARP table has (a VPN, a routed network, a missing table) is a client by its address alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from ipaddress import IPv4Address
from operator import attrgetter
from typing import Generic, TypeVar

from switchguard.core.copies import disputes, told_apart
from switchguard.core.locate import Nowhere, View, listed, locate, view_of
from switchguard.core.model import (
    Address,
    Attribution,
    Client,
    ClientId,
    Link,
    Mac,
    NatUsage,
    Neighbor,
    Snapshot,
    Unattributed,
)
from switchguard.core.reserved import is_virtual_router, never_a_client
from switchguard.core.topology import Place, Ports, link_order, owners, port_key, sightings, uplinks
from switchguard.core.usage import merge
from switchguard.core.users import share_out, without_users

THIS_HOST = "this host"

_SIX = 1 << 128
_LINK_LOCAL_4, _LINK_LOCAL_6 = 0xA9FE, _SIX >> 118 | 0x3FA
"""169.254.0.0/16 and fe80::/10, the first bits of their `_number`."""

T = TypeVar("T")


class _Groups(Generic[T]):
    """Things by number. Nearly every number has one only, which then needs no list of its own."""

    def __init__(self) -> None:
        self.first: dict[int, T] = {}
        self.several: dict[int, list[T]] = {}

    def add(self, number: int, thing: T) -> None:
        if number not in self.first:
            self.first[number] = thing
        else:
            self.several.setdefault(number, [self.first[number]]).append(thing)

    def of(self, number: int) -> Sequence[T]:
        if number in self.several:
            return self.several[number]
        return (self.first[number],) if number in self.first else ()

    def of_all(self, numbers: Sequence[int]) -> Sequence[T]:
        return self.of(numbers[0]) if len(numbers) == 1 else [thing for number in numbers for thing in self.of(number)]


Usages = _Groups[NatUsage]
"""By `_number` of the address."""


def attribute(snapshot: Snapshot) -> Attribution:
    """Every MAC and inside address as a client, with its place or why it has none. Row order is irrelevant."""
    people, snapshot = share_out(snapshot), without_users(snapshot)
    seen, ours = sightings(snapshot), owners(snapshot)
    ports = Ports(snapshot, seen)
    ways = uplinks(snapshot, seen, ours, ports)
    heard = _hear(snapshot, _infrastructure(snapshot, ours))
    usages = _usages(snapshot.nat)
    view = view_of(snapshot, seen, ways)
    by_mac, contested = _by_mac(heard, usages, view)
    disputed = disputes(snapshot, seen, ways, by_mac, {client.macs[0] for client in contested})
    clients = [*_by_address(heard, usages, view), *told_apart(by_mac, disputed, snapshot.nat), *people.clients]
    unattributed = [
        *map(_nobodys_mac, contested),
        *_nobodys_addresses(heard, usages),
        *people.unattributed,
        *_skipped(seen.skipped, "forwarding table"),
        *_skipped(heard.skipped, "neighbour table"),
    ]
    return Attribution(
        at=snapshot.at,
        clients=tuple(sorted(clients, key=attrgetter("identity"))),
        unattributed=tuple(sorted(unattributed, key=lambda it: (it.what, it.why))),
        infrastructure=heard.infrastructure,
        infrastructure_addresses=heard.infrastructure_addresses,
        uplinks=ways.why,
        uplinks_known=ways.known,
        vlans=seen.vlans,
        macs_on_port=seen.ports,
        neighbors_on_port=_neighbors_on_port(snapshot.links, ports),
        sightings=seen.rows,
        contested=disputed,
        user_zones=snapshot.user_zones,
        gaps=tuple(sorted(snapshot.gaps, key=lambda gap: (gap.device, gap.table, gap.why))),
    )


def name_of_address(address: Address) -> str:
    """How `Attribution.unattributed` names an address."""
    return f"address {address}"


# --- who has which address -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Heard:
    """What all ARP and neighbour tables say together. MACs and addresses are numbers here: there are very many, and a
    number is found in a table five times as fast as an address."""

    macs: _Groups[int]
    """Clients' MACs -> the addresses that are theirs alone."""
    bare: Set[int]
    """Clients' MACs that have no address to themselves."""
    rows: _Groups[Neighbor]
    """By address."""
    contested: Mapping[Address, str]
    """Addresses with several MACs -> why they are nobody's."""
    infrastructure: Mapping[Mac, str]
    infrastructure_addresses: Mapping[Address, str]
    skipped: Mapping[tuple[str, str], int]
    """(device, why) -> how many rows."""


def _number(address: Address) -> int:
    """Equal addresses have equal numbers, IPv4 addresses the lower ones."""
    return int(address) if isinstance(address, IPv4Address) else int(address) | _SIX


def _hear(snapshot: Snapshot, infrastructure: Mapping[Mac, str]) -> _Heard:
    rows, bare, skipped = _sorted_out(snapshot)
    nobodys = {mac.value for mac in infrastructure}
    bare -= nobodys
    macs = _Groups[int]()
    own = dict.fromkeys(snapshot.own_addresses, THIS_HOST)
    own_numbers = {_number(address) for address in own}
    contested: dict[Address, str] = {}
    for number, row in rows.first.items():
        holders = {it.mac for it in rows.several[number]} if number in rows.several else {row.mac}
        known = row.mac.value in nobodys or number in own_numbers or is_virtual_router(row.mac)
        if len(holders) == 1 and not known:
            macs.add(row.mac.value, number)
            continue
        owner = next(filter(None, (_owner(mac, infrastructure) for mac in sorted(holders))), None)
        if owner or number in own_numbers:
            own.setdefault(row.address, owner or THIS_HOST)
            continue
        contested[row.address] = f"{len(holders)} MACs answer for it: {_claims(rows.of(number))}"
        bare |= {mac.value for mac in holders}
    return _Heard(macs, bare, rows, contested, infrastructure, own, skipped)


def _sorted_out(snapshot: Snapshot) -> tuple[_Groups[Neighbor], set[int], Mapping[tuple[str, str], int]]:
    """Rows by address, MACs with a link-local address, and how many rows say nothing about a client."""
    rows = _Groups[Neighbor]()
    link_local: set[int] = set()
    skipped: Counter[tuple[str, str]] = Counter()
    indoors = {device.name: {port_key(name) for name in device.lan_interfaces} for device in snapshot.devices}
    for row in snapshot.neighbors:
        facing = indoors.get(row.device)
        reserved = never_a_client(row.mac)
        number = _number(row.address)
        if facing and port_key(row.interface) not in facing:
            skipped[row.device, f"{row.interface} does not face the clients"] += 1
        elif reserved and not is_virtual_router(row.mac):
            skipped[row.device, f"{row.mac} is {reserved}"] += 1
        elif not (number >> 16 == _LINK_LOCAL_4 or number >> 118 == _LINK_LOCAL_6):
            rows.add(number, row)
        elif not reserved:
            link_local.add(row.mac.value)
    return rows, link_local, skipped


def _infrastructure(snapshot: Snapshot, ours: Mapping[Mac, frozenset[str]]) -> Mapping[Mac, str]:
    return dict.fromkeys(snapshot.own_macs, THIS_HOST) | {mac: " and ".join(sorted(of)) for mac, of in ours.items()}


def _owner(mac: Mac, infrastructure: Mapping[Mac, str]) -> str | None:
    protocol = is_virtual_router(mac)
    return infrastructure.get(mac) or (f"a virtual router ({protocol})" if protocol else None)


def _claims(rows: Iterable[Neighbor]) -> str:
    return listed([f"{mac} on {device}" for device, mac in sorted({(row.device, row.mac) for row in rows})])


# --- clients ---------------------------------------------------------------------------------------------------------


def _usages(nat: Iterable[NatUsage]) -> Usages:
    usages = _Groups[NatUsage]()
    for usage in nat:
        usages.add(_number(usage.address), usage)
    return usages


def _by_mac(heard: _Heard, usages: Usages, view: View) -> tuple[list[Client], list[Client]]:
    """Clients by MAC, and those of them whose MAC is contested between ports."""
    seen = {mac.value: mac for mac in view.seen.rows if mac not in heard.infrastructure}
    clients, contested = [], []
    for number in sorted({*heard.macs.first, *heard.bare, *seen}):
        mac = seen.get(number) or Mac(number)
        numbers = sorted(heard.macs.of(number))
        addresses = tuple([heard.rows.first[address].address for address in numbers])
        theirs = usages.of_all(numbers)
        usage = merge(theirs) if theirs else None
        place = locate(mac, heard.rows.of_all(numbers), usage, view)
        if not isinstance(place, Nowhere):
            clients.append(Client(ClientId(f"mac:{mac}"), (mac,), addresses, usage, place))
            continue
        clients.append(Client(ClientId(f"mac:{mac}"), (mac,), addresses, usage, None, place.why))
        if place.contested:
            contested.append(clients[-1])
    return clients, contested


def _by_address(heard: _Heard, usages: Usages, view: View) -> Iterator[Client]:
    own = {_number(address) for address in heard.infrastructure_addresses}
    unheard = (number for number in usages.first if number not in heard.rows.first and number not in own)
    addresses = (usages.first[number].address for number in unheard)
    for address in (*addresses, *heard.contested):
        theirs = usages.of(_number(address))
        why = heard.contested.get(address, "no ARP or neighbour table has it" + view.missing["arp"])
        yield Client(ClientId(f"address:{address}"), (), (address,), merge(theirs) if theirs else None, None, why)


# --- what nobody is blamed for ---------------------------------------------------------------------------------------


def _nobodys_mac(client: Client) -> Unattributed:
    return Unattributed(f"MAC {client.macs[0]}", client.why_no_location, client.usage.sessions if client.usage else 0)


def _nobodys_addresses(heard: _Heard, usages: Usages) -> Iterator[Unattributed]:
    for address, why in heard.contested.items():
        yield Unattributed(name_of_address(address), why, _sessions(usages.of(_number(address))))
    for address, owner in heard.infrastructure_addresses.items():
        theirs = usages.of(_number(address))
        if theirs:
            yield Unattributed(name_of_address(address), f"it is infrastructure: {owner}", _sessions(theirs))


def _sessions(usages: Iterable[NatUsage]) -> int:
    return sum(usage.sessions for usage in usages)


def _skipped(rows: Mapping[tuple[str, str], int], table: str) -> Iterator[Unattributed]:
    for (device, why), count in rows.items():
        yield Unattributed(f"{count} {'row' if count == 1 else 'rows'} of {device}'s {table}", why)


def _neighbors_on_port(links: Iterable[Link], ports: Ports) -> Mapping[Place, tuple[Link, ...]]:
    found: dict[Place, list[Link]] = defaultdict(list)
    for link in sorted(links, key=link_order):
        for port in ports.spellings(link.device, link.port):
            found[link.device, port].append(link)
    return {place: tuple(of) for place, of in found.items()}
