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
* An address that no ARP table has (a VPN, a routed network, a missing table) is a client by its address alone.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

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

THIS_HOST = "this host"

Usages = Mapping[Address, list[NatUsage]]


def attribute(snapshot: Snapshot) -> Attribution:
    """Every MAC and inside address as a client, with its place or why it has none. Row order is irrelevant."""
    seen, ours = sightings(snapshot), owners(snapshot)
    ports = Ports(snapshot, seen)
    ways = uplinks(snapshot, seen, ours, ports)
    heard = _hear(snapshot, _infrastructure(snapshot, ours))
    usages = _usages(snapshot.nat)
    view = view_of(snapshot, seen, ways)
    located = tuple(_by_mac(heard, usages, view))
    clients = [*(client for client, _ in located), *_by_address(heard, usages, view)]
    unattributed = [
        *(_nobodys_mac(client) for client, contested in located if contested),
        *_nobodys_addresses(heard, usages),
        *_skipped(seen.skipped, "forwarding table"),
        *_skipped(heard.skipped, "neighbour table"),
    ]
    return Attribution(
        at=snapshot.at,
        clients=tuple(sorted(clients, key=lambda client: client.identity)),
        unattributed=tuple(sorted(unattributed, key=lambda it: (it.what, it.why))),
        infrastructure=heard.infrastructure,
        infrastructure_addresses=heard.infrastructure_addresses,
        uplinks=ways.why,
        uplinks_known=ways.known,
        vlans=seen.vlans,
        macs_on_port=seen.ports,
        neighbors_on_port=_neighbors_on_port(snapshot.links, ports),
        sightings=seen.rows,
        gaps=tuple(sorted(snapshot.gaps, key=lambda gap: (gap.device, gap.table, gap.why))),
    )


def name_of_address(address: Address) -> str:
    """How `Attribution.unattributed` names an address."""
    return f"address {address}"


# --- who has which address -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Heard:
    """What all ARP and neighbour tables say together."""

    macs: Mapping[Mac, list[Neighbor]]
    """Clients' MACs -> the rows of the addresses that are theirs alone."""
    addresses: Container[Address]
    """All that some table has."""
    contested: Mapping[Address, str]
    """Addresses with several MACs -> why they are nobody's."""
    infrastructure: Mapping[Mac, str]
    infrastructure_addresses: Mapping[Address, str]
    skipped: Mapping[tuple[str, str], int]
    """(device, why) -> how many rows."""


def _hear(snapshot: Snapshot, infrastructure: Mapping[Mac, str]) -> _Heard:
    rows, link_local, skipped = _sorted_out(snapshot)
    macs: dict[Mac, list[Neighbor]] = {mac: [] for mac in link_local if mac not in infrastructure}
    own = dict.fromkeys(snapshot.own_addresses, THIS_HOST)
    contested: dict[Address, str] = {}
    for address, found in rows.items():
        if len(found) == 1 and address not in own and not _owner(found[0].mac, infrastructure):
            macs.setdefault(found[0].mac, []).append(found[0])
            continue
        holders = {row.mac for row in found}
        owner = next(filter(None, (_owner(mac, infrastructure) for mac in sorted(holders))), None)
        if owner or address in own:
            own.setdefault(address, owner or THIS_HOST)
            holders.clear()
        if len(holders) > 1:
            contested[address] = f"{len(holders)} MACs answer for it: {_claims(found)}"
        for mac in holders:
            macs.setdefault(mac, [])
        if len(holders) == 1:
            macs[found[0].mac] += found
    return _Heard(macs, rows.keys(), contested, infrastructure, own, skipped)


def _sorted_out(
    snapshot: Snapshot,
) -> tuple[Mapping[Address, list[Neighbor]], set[Mac], Mapping[tuple[str, str], int]]:
    """Rows by address, MACs with a link-local address, and how many rows say nothing about a client."""
    rows: dict[Address, list[Neighbor]] = defaultdict(list)
    link_local: set[Mac] = set()
    skipped: Counter[tuple[str, str]] = Counter()
    indoors = {device.name: {port_key(name) for name in device.lan_interfaces} for device in snapshot.devices}
    for row in snapshot.neighbors:
        facing = indoors.get(row.device)
        reserved = never_a_client(row.mac)
        if facing and port_key(row.interface) not in facing:
            skipped[row.device, f"{row.interface} does not face the clients"] += 1
        elif reserved and not is_virtual_router(row.mac):
            skipped[row.device, f"{row.mac} is {reserved}"] += 1
        elif not _is_link_local(row.address):
            rows[row.address].append(row)
        elif not reserved:
            link_local.add(row.mac)
    return rows, link_local, skipped


def _is_link_local(address: Address) -> bool:
    """169.254.0.0/16 and fe80::/10; in integers, because tables are long."""
    number = int(address)
    return number >> 16 == 0xA9FE if address.version == 4 else number >> 118 == 0x3FA


def _infrastructure(snapshot: Snapshot, ours: Mapping[Mac, frozenset[str]]) -> Mapping[Mac, str]:
    return dict.fromkeys(snapshot.own_macs, THIS_HOST) | {mac: " and ".join(sorted(of)) for mac, of in ours.items()}


def _owner(mac: Mac, infrastructure: Mapping[Mac, str]) -> str | None:
    protocol = is_virtual_router(mac)
    return infrastructure.get(mac) or (f"a virtual router ({protocol})" if protocol else None)


def _claims(rows: Iterable[Neighbor]) -> str:
    return listed([f"{mac} on {device}" for device, mac in sorted({(row.device, row.mac) for row in rows})])


# --- clients ---------------------------------------------------------------------------------------------------------


def _usages(nat: Iterable[NatUsage]) -> Usages:
    usages: dict[Address, list[NatUsage]] = defaultdict(list)
    for usage in nat:
        usages[usage.address].append(usage)
    return dict(usages)


def _by_mac(heard: _Heard, usages: Usages, view: View) -> Iterator[tuple[Client, bool]]:
    """Each client, and whether its MAC is contested between ports."""
    unheard = (mac for mac in view.seen.rows if mac not in heard.macs and mac not in heard.infrastructure)
    for mac in (*heard.macs, *unheard):
        rows = heard.macs.get(mac, [])
        if len(rows) > 1:
            rows = sorted(rows, key=_address_order)
        addresses = tuple([row.address for row in rows])
        if len(rows) > 1:
            addresses = tuple(dict.fromkeys(addresses))
        theirs = [usage for address in addresses for usage in usages.get(address, ())]
        usage = merge(theirs) if theirs else None
        identity = ClientId(f"mac:{mac}")
        place = locate(mac, rows, usage, view)
        if isinstance(place, Nowhere):
            yield Client(identity, (mac,), addresses, usage, None, place.why), place.contested
        else:
            yield Client(identity, (mac,), addresses, usage, place), False


def _by_address(heard: _Heard, usages: Usages, view: View) -> Iterator[Client]:
    unheard = (it for it in usages if it not in heard.addresses and it not in heard.infrastructure_addresses)
    for address in dict.fromkeys((*unheard, *heard.contested)):
        usage = merge(usages[address]) if address in usages else None
        why = heard.contested.get(address, "no ARP or neighbour table has it" + view.missing["arp"])
        yield Client(ClientId(f"address:{address}"), (), (address,), usage, None, why)


def _address_order(row: Neighbor) -> tuple[int, int, str, str]:
    return (row.address.version, int(row.address), row.device, row.interface)


# --- what nobody is blamed for ---------------------------------------------------------------------------------------


def _nobodys_mac(client: Client) -> Unattributed:
    return Unattributed(f"MAC {client.macs[0]}", client.why_no_location, client.usage.sessions if client.usage else 0)


def _nobodys_addresses(heard: _Heard, usages: Usages) -> Iterator[Unattributed]:
    for address, why in heard.contested.items():
        yield Unattributed(name_of_address(address), why, _sessions(usages.get(address, ())))
    for address, owner in heard.infrastructure_addresses.items():
        if address in usages:
            why = f"it is infrastructure: {owner}"
            yield Unattributed(name_of_address(address), why, _sessions(usages[address]))


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
