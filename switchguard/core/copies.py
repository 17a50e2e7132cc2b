"""Forwarding tables, their recent past and DHCP leases -> MACs that somebody may have copied, and from which port.

Whoever copies a neighbour's MAC must not get the neighbour banned. So a MAC is *contested*, and never blocked by MAC,
while it is on two edge ports, comes and goes between ports, or has two DHCP clients (namesakes.py). It is contested as
well when it moved and the port that it left is still up, with nobody on it: a machine that was carried away takes its
link with it, but one that is drowned out by a louder copy on the same switch keeps it.

It is *certain* that there are two stations, not one that moved, when

* it is on two edge ports, and was on both already in an earlier look: a station that moved is gone from its old port
  at its first broadcast. In different VLANs no broadcast tells, so there it takes as long as tables remember (300 s);
* it came back to a port within a minute, or changed ports three times and more within half an hour. People carry
  machines about, but not so;
* two DHCP clients use it. Another name for the same address is another client if the MAC is on several ports, or the
  former name has come back; on one port it is a machine with another name.

What is spared: moving once, whatever the ports. Uplinks, behind which every MAC is seen. Going back and forth between
ports that both have several other stations (access points that do not announce themselves). Aggregates on two switches
(multi-chassis); those of a declared pair are one port (pairs.py). Two ports that share three such MACs and more are one
undeclared uplink, not three copies, and a device whose uplinks are not known says nothing.

The *suspect* is the one of two ports that the MAC came to while an earlier look had found it on the other. Where both
were found at once, or more than two ports are concerned, it cannot be told; the ports are named, and none is penalised.
An owner who comes back to a port of his own while a copy has been there all along is mistaken for it: the default
penalty is therefore a notice.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from switchguard.core.model import (
    PEER_LINK,
    Address,
    Attribution,
    Client,
    ClientId,
    Contested,
    FdbEntry,
    Location,
    Mac,
    NatUsage,
    Sight,
    Snapshot,
    Station,
    Table,
)
from switchguard.core.namesakes import Namesake, namesakes
from switchguard.core.pairs import Peers, peers, twin, whole
from switchguard.core.penalties import Notify, Verdict
from switchguard.core.topology import Place, Sightings, Uplinks, is_aggregate, port_key
from switchguard.core.usage import merge

BACK_WITHIN = timedelta(seconds=60)
"""Nobody carries a machine to another port and back so fast."""
CHANGES = 3
"""So many changes of port within the memory of trails.py are no errand."""
AGEING = timedelta(seconds=300)
"""How long forwarding tables remember who is gone (IEEE 802.1Q 8.8.3, the default)."""
CROWD = 3
"""Other stations on a port that make it look like an access point's."""
SKEW = timedelta(seconds=5)
"""Tables of one look are not read at the very same moment."""
SHARED = 3
"""Contested MACs that two ports have in common, from which on they are one network."""
CONFIDENCE = 0.8
"""Of the suspect's place: it rests on who came later."""


@dataclass(frozen=True, slots=True)
class _Network:
    """What a MAC's ports are judged by."""

    snapshot: Snapshot
    seen: Sightings
    ways: Uplinks
    read_at: Mapping[str, datetime]
    """Device -> when its forwarding table was read."""
    up: Mapping[Place, datetime]
    """Ports that are up, and when that was read; none with a neighbour that would keep them up by itself."""
    pairs: Peers

    def is_edge(self, place: Place) -> bool:
        """Nor the link to an MLAG peer, behind which nobody may be just now."""
        return place not in self.ways.why and place[0] in self.ways.known and place[1] != PEER_LINK

    def whole(self, place: Place) -> Place:
        return whole(place, self.pairs) if self.pairs else place

    def stations(self, place: Place) -> frozenset[Mac]:
        """On both ends of an aggregate that a pair has in common."""
        there = self.seen.ports.get(place, frozenset())
        other = twin(place, self.pairs) if self.pairs else None
        return there if other is None else there | self.seen.ports.get(other, frozenset())

    def crowded(self, place: Place) -> bool:
        return len(self.stations(place)) > CROWD


@dataclass(frozen=True, slots=True)
class _Trail:
    """The edge ports of one MAC: where it was found at first, the way since then, and where it is now."""

    homes: Mapping[Place, datetime]
    steps: tuple[tuple[Place, datetime], ...]
    """Every arrival at a port other than the one before."""
    rows: Mapping[Place, tuple[FdbEntry, ...]]

    @property
    def ports(self) -> tuple[Place, ...]:
        return tuple(sorted({*self.homes, *(place for place, _ in self.steps), *self.rows}))


def disputes(
    snapshot: Snapshot, seen: Sightings, ways: Uplinks, clients: Iterable[Client], disputed: Collection[Mac]
) -> Mapping[Mac, Contested]:
    """`disputed` are the MACs that are on several edge ports right now; `clients` everybody, for their addresses."""
    leased = snapshot.leases or snapshot.superseded
    in_use = {row.address for row in snapshot.neighbors} if leased else set()
    doubled = namesakes(snapshot, in_use) if leased else {}
    trails: dict[Mac, list[Sight]] = defaultdict(list)
    for sight in snapshot.sights:
        trails[sight.mac].append(sight)
    candidates = {*disputed, *trails, *doubled} & {*seen.rows, *disputed}
    if not candidates:
        return {}
    view = _Network(snapshot, seen, ways, _read_at(snapshot, "fdb"), _up(snapshot), peers(snapshot.devices))
    found = {mac: _trail(mac, trails.get(mac, ()), view) for mac in sorted(candidates)}
    shared = _shared(found[mac] for mac in disputed)
    addresses = {client.macs[0]: client.addresses for client in clients if client.macs and client.macs[0] in candidates}
    judged = (
        (mac, _judge(mac, trail, doubled.get(mac), mac in disputed, shared, view)) for mac, trail in found.items()
    )
    return {mac: replace(it, addresses=addresses.get(mac, ())) for mac, it in judged if it is not None}


def told_apart(
    clients: Sequence[Client], contested: Mapping[Mac, Contested], nat: Iterable[NatUsage]
) -> Sequence[Client]:
    """A MAC that two stations use is nobody's, like an address that two MACs have: it has no place, and each of its
    addresses is a client of its own, so that what one of them does is not the other's."""
    copied = {mac: it for mac, it in contested.items() if it.at_once}
    if not copied:
        return clients
    theirs = {address for it in copied.values() for address in it.addresses}
    usages: dict[Address, list[NatUsage]] = defaultdict(list)
    for usage in nat:
        if usage.address in theirs:
            usages[usage.address].append(usage)
    return [it for client in clients for it in _apart(client, copied, usages)]


def port_name(ports: Iterable[Place]) -> ClientId:
    """How a port is named where a client's identity stands: `interface:sw1 Gi0/7`."""
    return ClientId(f"interface:{listed_ports(ports)}")


def port_meant(verdict: Verdict) -> Place | None:
    """The port that is to be penalised, if it is a port: notices about ports concern nobody's place."""
    sort, _, name = verdict.client.partition(":")
    if sort != "interface" or isinstance(verdict.penalty, Notify):
        return None
    device, _, port = name.partition(" ")
    return device, port


def listed_ports(ports: Iterable[Place]) -> str:
    return ", ".join(f"{device} {port}" for device, port in ports)


def contested_of(attribution: Attribution, client: Client | None = None) -> tuple[Contested, ...]:
    """By MAC: everything contested, or what concerns this client by a MAC or an address."""
    return tuple(
        it
        for mac, it in sorted(attribution.contested.items())
        if client is None or mac in client.macs or not set(it.addresses).isdisjoint(client.addresses)
    )


def _apart(
    client: Client, copied: Mapping[Mac, Contested], usages: Mapping[Address, list[NatUsage]]
) -> Iterator[Client]:
    it = copied.get(client.macs[0]) if len(client.macs) == 1 else None
    if it is None:
        yield client
        return
    yield Client(client.identity, client.macs, (), None, None, it.why)
    for address in client.addresses:
        usage = merge(usages[address]) if address in usages else None
        why = f"its MAC {it.mac} is not one station's: {it.why}"
        yield Client(ClientId(f"address:{address}"), (), (address,), usage, None, why)


def _read_at(snapshot: Snapshot, table: Table) -> Mapping[str, datetime]:
    return {it.device: it.at for it in snapshot.readings if it.table == table}


def _up(snapshot: Snapshot) -> Mapping[Place, datetime]:
    at = _read_at(snapshot, "interfaces")
    linked = {(it.device, port_key(it.port)) for it in snapshot.links}
    return {
        (it.device, it.name): at[it.device]
        for it in snapshot.interfaces
        if it.up and it.device in at and (it.device, port_key(it.name)) not in linked
    }


# --- one MAC ---------------------------------------------------------------------------------------------------------


def _trail(mac: Mac, sights: Iterable[Sight], view: _Network) -> _Trail:
    rows: dict[Place, list[FdbEntry]] = defaultdict(list)
    for row in view.seen.rows.get(mac, ()):
        if view.is_edge((row.device, row.port)):
            rows[view.whole((row.device, row.port))].append(row)
    edges = sorted((it for it in sights if view.is_edge((it.device, it.port))), key=lambda it: it.at)
    homes = {view.whole((it.device, it.port)): it.at for it in edges if not it.came}
    came = [(view.whole((it.device, it.port)), it.at) for it in edges if it.came]
    if len(rows) == 1:  # in the newest look, which the memory may not have yet
        came += [(place, view.read_at.get(place[0], view.snapshot.at)) for place in rows]
    steps: list[tuple[Place, datetime]] = []
    for place, at in came:
        before = steps[-1][0] if steps else next(iter(homes)) if len(homes) == 1 else None
        if place != before:
            steps.append((place, at))
    return _Trail(homes, tuple(steps), {place: tuple(of) for place, of in rows.items()})


def _judge(
    mac: Mac,
    trail: _Trail,
    doubled: Namesake | None,
    disputed: bool,
    shared: Collection[frozenset[Place]],
    view: _Network,
) -> Contested | None:
    on_one_port = len(trail.ports) <= 1
    namesake = None if doubled is None or (doubled.renamed and on_one_port) else doubled.why
    turns = _in_turns(trail, view)
    both = _both(trail, shared, view) if disputed else None
    if turns or both:
        why = "; ".join(it for it in (both, turns, namesake) if it)
        return Contested(mac, trail.ports, why, certain=True, at_once=True, suspect=_suspect(mac, trail, view))
    if namesake:
        return Contested(mac, trail.ports, namesake, certain=True, suspect=_suspect(mac, trail, view))
    if left := _left(trail, view):
        return Contested(mac, trail.ports, left, certain=False)
    if disputed:
        ports = trail.ports or tuple(sorted({(it.device, it.port) for it in view.seen.rows.get(mac, ())}))
        where = listed_ports(trail.rows or ports)
        return Contested(mac, ports, f"it is on several edge ports: {where}; it moved, or it is copied", certain=False)
    return None


def _both(trail: _Trail, shared: Collection[frozenset[Place]], view: _Network) -> str | None:
    """Why it is certain that the ports on which it is now have a station each."""
    places = sorted(trail.rows)
    if len(places) < 2 or frozenset(places) in shared or any(is_aggregate(port) for _, port in places):
        return None
    if not _stayed(trail, view) or all(map(view.crowded, places)):
        return None
    return f"it is on {len(places)} edge ports at once: {listed_ports(places)}"


def _stayed(trail: _Trail, view: _Network) -> bool:
    """It is on all of its ports in looks that are later than its arrival at the last of them; much later, unless a
    broadcast would have told that it left."""
    arrived = {**trail.homes, **dict(trail.steps)}
    if not trail.rows.keys() <= arrived.keys():
        return False
    since = max(arrived[place] for place in trail.rows)
    vlans = [{row.vlan for row in rows} - {None} for rows in trail.rows.values()]
    needed = timedelta(0) if set.intersection(*vlans) else AGEING
    return all(view.read_at.get(device, since) - since > needed for device, _ in trail.rows)


def _in_turns(trail: _Trail, view: _Network) -> str | None:
    """Why moving about is not enough to explain its ports."""
    first = [(place, at) for place, at in trail.homes.items()] if len(trail.homes) == 1 else []
    way = [*first, *trail.steps]
    ports = {place for place, _ in way}
    if len(ports) < 2 or len(ports) == len(way) or all(map(view.crowded, ports)):
        return None
    back = any(
        here == place and at - left <= BACK_WITHIN
        for (here, _), (_, left), (place, at) in zip(way, way[1:], way[2:], strict=False)
    )
    changes = len(way) - 1
    if not back and changes < CHANGES:
        return None
    return f"it changed {changes} times between ports within minutes: {listed_ports(sorted(ports))}"


def _left(trail: _Trail, view: _Network) -> str | None:
    """The port that it left looks as if it were still there."""
    first = list(trail.homes.items()) if len(trail.homes) == 1 else []
    way = [*first, *trail.steps]
    if len(way) < 2 or len(trail.rows) != 1:
        return None
    (left, _), (here, arrived) = way[-2:]
    up_at = view.up.get(left)
    if up_at is None or up_at < arrived - SKEW or view.stations(left) or here not in trail.rows:
        return None
    return f"it came from {listed_ports([left])} to {listed_ports([here])}, but the port that it left is still up"


def _suspect(mac: Mac, trail: _Trail, view: _Network) -> Location | None:
    """The one of two ports that is not where it was found at first."""
    if len(trail.ports) != 2 or len(trail.homes) != 1:
        return None
    (place,) = set(trail.ports) - set(trail.homes)
    rows = trail.rows.get(place, ())
    last = max((at for step, at in trail.steps if step == place), default=None)
    seen = view.read_at.get(place[0], view.snapshot.at) if rows else last
    if seen is None:
        return None
    age_s = max((view.snapshot.at - seen).total_seconds(), 0.0)
    vlan = min((row.vlan for row in rows if row.vlan is not None), default=None)
    return Location(place[0], Station(place[1], vlan, mac), age_s, CONFIDENCE)


def _shared(trails: Iterable[_Trail]) -> frozenset[frozenset[Place]]:
    """Groups of ports on which too many MACs are at once."""
    counts = Counter(frozenset(trail.rows) for trail in trails)
    return frozenset(ports for ports, count in counts.items() if count >= SHARED)
