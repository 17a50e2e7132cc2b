"""Two looks at forwarding tables -> where MACs that move about have been lately.

A forwarding table has one row for a MAC and VLAN: of two stations with the same MAC, whoever sent last. So one look
shows one of them, and only several looks show the alternation. What is remembered of a MAC begins with the ports at
which the look before its first move found it, and goes on with every port that it came to; uplinks are among them,
since which ports are uplinks is known only later (copies.py). It fades half an hour after the last move. A MAC that
stays, or that comes from nowhere, leaves no trail; one that was the last on its port and is not heard any more does: it
may be asleep there, when a copy of it turns up elsewhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from switchguard.core.model import Attribution, Contested, FdbEntry, Mac, Sight, Snapshot

MEMORY = timedelta(minutes=30)
MOST = 24
"""Arrivals of one MAC that are kept, the newest ones: enough for any judgement, and a loop fills no memory."""

Rows = Mapping[str, set[tuple[str, int]]]
"""Device -> (port, MAC as a number)."""


def followed(old: Snapshot, new: Snapshot) -> tuple[Sight, ...]:
    """What is known after the newer look. Only devices whose forwarding tables both have are compared."""
    known = _united((*old.sights, *new.sights))
    came = tuple(_came(old, new, known))
    return _remembered(_united((*known, *came)), new.at)


def noted(snapshot: Snapshot, attribution: Attribution) -> Snapshot:
    """With the ports of MACs that are on several now: whoever is still on them in a later look has not just moved."""
    several = {mac for mac, it in attribution.contested.items() if len(_edges(it, attribution)) > 1}
    if not several:
        return snapshot
    kept = {sight.mac for sight in snapshot.sights}
    read = _read_at(snapshot)
    found = [
        Sight(mac, row.device, row.port, read.get(row.device, snapshot.at), came=False, last=snapshot.at)
        for mac in several - kept
        for row in attribution.sightings.get(mac, ())
    ]
    still = (replace(sight, last=snapshot.at) if sight.mac in several else sight for sight in snapshot.sights)
    return replace(snapshot, sights=_united((*still, *found)))


def _edges(it: Contested, attribution: Attribution) -> set[tuple[str, str]]:
    return {(row.device, row.port) for row in attribution.sightings.get(it.mac, ())} & {*it.ports}


def _came(old: Snapshot, new: Snapshot, known: Iterable[Sight]) -> Iterator[Sight]:
    """Arrivals at ports where the look before did not have them; with the first one, where that look had them. And
    those who fell silent on a port of their own."""
    before, now = _read_at(old), _read_at(new)
    both = {device for device in before.keys() & now.keys() if before[device] < now[device]}
    were, are = _rows(old.fdb, both), _rows(new.fdb, both)
    arrivals = [
        (device, port, number) for device in both for port, number in are.get(device, set()) - were.get(device, set())
    ]
    trailed = {sight.mac.value for sight in known}
    for device in both:
        taken = {port for port, _ in are.get(device, ())}
        for port, number in were.get(device, set()) - are.get(device, set()):
            if port not in taken and number not in trailed:
                yield Sight(Mac(number), device, port, before[device], came=False, last=now[device])
    if not arrivals:
        return
    moving = {number for _, _, number in arrivals}
    homes: dict[int, list[FdbEntry]] = defaultdict(list)
    for row in old.fdb:
        if row.mac.value in moving:
            homes[row.mac.value].append(row)
    for number in moving & homes.keys() - trailed:
        for row in homes[number]:
            at = before.get(row.device, old.at)
            yield Sight(row.mac, row.device, row.port, at, came=False, last=now.get(row.device, new.at))
    for device, port, number in arrivals:
        if number in trailed or number in homes:
            yield Sight(Mac(number), device, port, now[device], came=True, last=now[device])


def _rows(fdb: Iterable[FdbEntry], devices: set[str]) -> Rows:
    """Static rows are configured, and say nothing about who sent last."""
    rows: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for row in fdb:
        if row.device in devices and not row.static:
            rows[row.device].add((row.port, row.mac.value))
    return rows


def _read_at(snapshot: Snapshot) -> Mapping[str, datetime]:
    return {reading.device: reading.at for reading in snapshot.readings if reading.table == "fdb"}


def _united(sights: Iterable[Sight]) -> tuple[Sight, ...]:
    """Each once, as late as anybody knows it; in an order of their own."""
    latest: dict[Sight, datetime] = {}
    for sight in sights:
        key = replace(sight, last=sight.at)
        latest[key] = max(sight.last, latest.get(key, sight.last))
    united = (replace(sight, last=last) for sight, last in latest.items())
    return tuple(sorted(united, key=lambda it: (it.mac, it.at, it.device, it.port, it.came)))


def _remembered(sights: tuple[Sight, ...], now: datetime) -> tuple[Sight, ...]:
    """Those of MACs that moved within the memory, of each where it was at first and its newest arrivals."""
    by_mac: dict[Mac, list[Sight]] = defaultdict(list)
    for sight in sights:
        by_mac[sight.mac].append(sight)
    return tuple(sight for trail in by_mac.values() for sight in _newest(trail, now))


def _newest(trail: list[Sight], now: datetime) -> list[Sight]:
    if max(sight.last for sight in trail) < now - MEMORY:
        return []
    came = [sight for sight in trail if sight.came][-MOST:]
    return [sight for sight in trail if not sight.came] + came
