"""Between the look and the push: is the MAC that is about to be blocked still where the evidence was, and the port that
is about to be limited still the client's?

A plan may be minutes old when it is pushed: a person thought about it, a device was slow. By then the MAC may be at
somebody else's port, and somebody else at the client's. Only tables of devices that had the MAC at its own port, or
that the penalty is put on, are asked.
On an aggregate of both switches of a pair it is where it was as long as one of them has it there: then the other may
have it behind any of its uplinks, which the link between the two is one of.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from switchguard.core.changes import Change, Tenants, Whereabouts
from switchguard.core.copies import listed_ports, port_meant
from switchguard.core.model import PEER_LINK, Attribution, FdbEntry, Location, Mac, Snapshot
from switchguard.core.penalties import Block, Subject
from switchguard.core.reserved import never_a_client
from switchguard.core.topology import Place


def whereabouts(changes: Iterable[Change], attribution: Attribution) -> Iterator[Whereabouts]:
    """For each MAC that is newly blocked and has a place: what its own switch and the one to be changed say of it."""
    wanted: dict[Mac, set[str]] = {}
    for change in changes:
        if is_new_block(change) and change.slot.station.mac is not None:
            wanted.setdefault(change.slot.station.mac, set()).add(change.slot.device)
    for client in attribution.clients if wanted else ():
        location = client.location
        if location is None or location.station.mac not in wanted:
            continue
        mac = location.station.mac
        for device in sorted({location.device, *wanted[mac]}):
            if found := _on(device, mac, location, attribution):
                yield found


def tenants(changes: Iterable[Change], people: Collection[Subject], attribution: Attribution) -> Iterator[Tenants]:
    """For each port that is newly penalised: who is on it, by its own switch."""
    for change in changes:
        if (place := _newly_hit(change)) is None:
            continue
        whose = [whom for whom in people if whom.verdict.id in change.verdicts]
        there = attribution.macs_on_port.get(place, frozenset())
        clients = {mac for whom in whose if port_meant(whom.verdict) is None for mac in whom.macs}
        known = there.union(*(whom.macs for whom in whose))
        yield Tenants(*place, known, there & clients, _read_at(place, whose, attribution))


def moved(changes: Iterable[Change], macs: Mapping[Mac, str], ports: Mapping[Place, str]) -> Mapping[Change, str]:
    """Which of these must not be made, by what is said of MACs and of ports."""
    told: dict[Change, str] = {}
    for change in changes:
        mac, place = change.slot.station.mac, _newly_hit(change)
        if mac is not None and mac in macs and is_new_block(change):
            told[change] = macs[mac]
        elif place is not None and place in ports:
            told[change] = ports[place]
    return told


def is_new_block(change: Change) -> bool:
    return isinstance(change.after, Block) and change.before is None and change.slot.station.mac is not None


def _newly_hit(change: Change) -> Place | None:
    """The port that the change penalises, if nothing of the kind is there yet."""
    port = change.slot.station.port
    return (change.slot.device, port) if port is not None and change.before is None and change.after else None


def stale(expected: Iterable[Whereabouts], now: datetime, fresh: timedelta) -> tuple[Whereabouts, ...]:
    """Those that were read too long ago to be believed, with everything else about the same MAC."""
    chosen = tuple(expected)
    late = {it.mac for it in chosen if now - it.at > fresh}
    return tuple(it for it in chosen if it.mac in late)


def stale_ports(expected: Iterable[Tenants], now: datetime, fresh: timedelta) -> tuple[Tenants, ...]:
    return tuple(it for it in expected if now - it.at > fresh)


def gone(expected: Iterable[Whereabouts], looked: Snapshot) -> Mapping[Mac, str]:
    """The MACs that are not, or not only, where they were, and where they are."""
    chosen = tuple(expected)
    macs = {it.mac for it in chosen}
    rows: dict[tuple[str, Mac], set[str]] = {}
    for row in looked.fdb:
        if row.mac in macs:
            rows.setdefault((row.device, row.mac), set()).add(row.port)
    missing = _unread(chosen, looked)
    told = ((it.mac, _changed(it, rows, missing)) for it in chosen)
    return {mac: sentence for mac, sentence in told if sentence}


def changed_hands(expected: Iterable[Tenants], looked: Snapshot) -> Mapping[Place, str]:
    """The ports on which the client is no more, or somebody who was not, and what is to be said of them."""
    chosen = tuple(expected)
    missing = _unread(chosen, looked)
    rows = tuple(row for row in looked.fdb if not never_a_client(row.mac))
    told = (((it.device, it.port), _other_hands(it, rows, missing)) for it in chosen)
    return {place: sentence for place, sentence in told if sentence}


def _other_hands(it: Tenants, rows: Iterable[FdbEntry], missing: Mapping[str, str]) -> str:
    """A port on which the client is silent for a moment may be anybody's the next."""
    place, whom = f"{it.device} {it.port}", ", ".join(map(str, sorted(it.meant)))
    if it.device in missing:
        return f"whether {place} is still the same cannot be asked: {missing[it.device]}"
    here = [row for row in rows if row.device == it.device]
    there = {row.mac for row in here if row.port == it.port}
    if it.meant and it.meant.isdisjoint(there):
        now_at = listed_ports(sorted({(it.device, row.port) for row in here if row.mac in it.meant}))
        return f"{whom} is not on {place} any more{f', but on {now_at}' if now_at else ''}"
    newcomers = sorted(there - it.macs)
    return f"{place} has somebody else's MAC now: {', '.join(map(str, newcomers))}" if newcomers else ""


def _unread(expected: Iterable[Whereabouts | Tenants], looked: Snapshot) -> Mapping[str, str]:
    """The devices that cannot vouch for anybody, and why."""
    why = {gap.device: gap.why for gap in looked.gaps if gap.table == "fdb"}
    read = {reading.device for reading in looked.readings if reading.table == "fdb"}
    return {it.device: why.get(it.device, "it did not answer") for it in expected if it.device not in read}


def _read_at(place: Place, whose: Iterable[Subject], attribution: Attribution) -> datetime:
    """When the port's own switch told who is on it."""
    places = (client.location for whom in whose for client in whom.clients if client.location is not None)
    steps = (step for it in places for step in it.path if (step.table, step.device) == ("fdb", place[0]))
    return attribution.at - timedelta(seconds=min((step.age_s for step in steps), default=0.0))


def _on(device: str, mac: Mac, location: Location, attribution: Attribution) -> Whereabouts | None:
    rows = [row for row in attribution.sightings.get(mac, ()) if row.device == device]
    if not rows:
        return None
    ages = [step.age_s for step in location.path if step.table == "fdb" and step.device == device]
    edge = location.station.port if device in location.devices else None
    at = attribution.at - timedelta(seconds=min(ages, default=0.0))
    twin = next((it for it in location.devices if it != device), None) if edge is not None else None
    around = {PEER_LINK, *(port for name, port in attribution.uplinks if name == device)} if twin is not None else ()
    return Whereabouts(mac, device, _ports(rows).union(around), edge, at, twin)


def _ports(rows: Iterable[FdbEntry]) -> frozenset[str]:
    return frozenset(row.port for row in rows)


def _changed(it: Whereabouts, rows: Mapping[tuple[str, Mac], Collection[str]], missing: Mapping[str, str]) -> str:
    ports = rows.get((it.device, it.mac), ())
    if it.device in missing:
        return f"whether {it.mac} is still there cannot be asked: {it.device}: {missing[it.device]}"
    others = listed_ports((it.device, port) for port in sorted(set(ports) - it.ports))
    at_twin = it.twin is not None and it.edge in rows.get((it.twin, it.mac), ())
    if it.edge is None or (at_twin and it.edge not in ports):
        return f"{it.mac} has moved since it was judged: it is on {others}" if others else ""
    place = listed_ports([(it.device, it.edge)])
    if others and it.edge in ports:
        return f"{it.mac} is on several ports now: {place}, {others}"
    if it.edge not in ports:
        where = others or listed_ports((it.device, port) for port in sorted(ports))
        tail = f", but on {where}" if where else ""
        return f"{it.mac} is not on {place} any more{tail}"
    return ""
