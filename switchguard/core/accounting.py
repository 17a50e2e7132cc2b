"""Two looks at the tables -> who moved how much in between: a certain lower bound, and nothing is counted twice.

A translation table has the octets of the sessions that are in it now. Between two readings of it an address has moved

    now - before + all octets of the sessions that ended in between

A gateway that tells of ended sessions (`accounting: events`) makes that exact. Without it the last term is missing,
and what remains is a lower bound, because a session that ended takes away with it what was counted for it before; it
counts as nothing where it is negative. Where even the oldest session is younger than the previous reading, all octets
are new, which is a better lower bound. The sum of lower bounds is one too, so a long history never exceeds the truth.
What is lost is mostly short sessions; a long download is exact but for its last minute.

An address that is lent to people (users.py) is counted for whoever began the sessions in it. After a hand-over the new
holder's are all new; what the former one's moved in their last moments is lost, never the new holder's.

Where no gateway counts a client's octets, the counters of its access port do: everything that passed the port, local
traffic included, exact for one MAC, shared out by sessions and marked as an estimate for several. A port counts for
those who were behind it at both readings; whoever just moved begins anew. A gateway that counts single clients
(`accounting: nft`, client_counters.py) is believed instead of its table. A client is counted by one way at a time, and
what one way has covered another never covers again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from switchguard.core.client_counters import CounterBook, count_clients
from switchguard.core.evidence import Traffic
from switchguard.core.model import (
    Address,
    Attribution,
    Client,
    ClientId,
    Mac,
    NatUsage,
    PortCounters,
    Reading,
    Role,
    Snapshot,
    UserSession,
)
from switchguard.core.rates import LONGEST_GAP_S, Rate, rate
from switchguard.core.users import share_out, user_id, zone_at

Way = Literal["nat", "port", "counters"]
Place = tuple[str, str]
"""(device, port)"""

LONGEST_SPAN_S = 86_400.0
"""64-bit counters do not wrap within it, whatever the speed."""
CLOCK_S = 1.0
"""Ages of sessions are told in whole seconds, rounded down."""
_SETTLED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Octets:
    """`received` came from the internet."""

    received: int
    sent: int

    def __add__(self, other: "Octets") -> "Octets":
        return Octets(self.received + other.received, self.sent + other.sent)

    def __sub__(self, other: "Octets") -> "Octets":
        return Octets(self.received - other.received, self.sent - other.sent)

    def at_least(self, floor: "Octets") -> "Octets":
        return Octets(max(self.received, floor.received), max(self.sent, floor.sent))

    def at_most(self, ceiling: "Octets") -> "Octets":
        return Octets(min(self.received, ceiling.received), min(self.sent, ceiling.sent))


NOTHING = Octets(0, 0)

Ended = Mapping[str, Mapping[Address, Octets]]
"""Gateway -> inside address -> all octets of its sessions whose end was told since the previous reading. A gateway that
is missing here does not tell, or may have been missed for a moment."""


@dataclass(frozen=True, slots=True)
class Total:
    """What the sessions of one inside address had moved at a reading. `octets` None: the table does not tell."""

    client: ClientId | None
    octets: Octets | None
    sessions: int = 0
    owed: Octets = NOTHING
    """Negative where a session left the table before its end was told: what was counted for it comes once more."""


@dataclass(frozen=True, slots=True)
class NatBook:
    """One gateway's table at its last reading."""

    began: datetime
    ended: datetime
    totals: Mapping[Address, Total] = field(default_factory=dict)
    tells: bool = False
    """Whether it counts octets at all."""


@dataclass(frozen=True, slots=True)
class PortBook:
    """One port's counters at their last reading, and who was behind it."""

    counters: PortCounters
    macs: frozenset[Mac] = frozenset()


@dataclass(frozen=True, slots=True)
class Books:
    """Where counting goes on from; empty at the very beginning."""

    gateways: Mapping[str, NatBook] = field(default_factory=dict)
    ports: Mapping[Place, PortBook] = field(default_factory=dict)
    settled: Mapping[ClientId, tuple[Way, datetime]] = field(default_factory=dict)
    """By which way a client was counted last, and until when."""
    clients: Mapping[str, CounterBook] = field(default_factory=dict)
    """By gateway that counts single clients."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one client moved."""

    client: ClientId
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class Opened:
    """New sessions of one inside address between two readings: a lower bound, like its octets."""

    address: Address
    start: datetime
    end: datetime
    sessions: int


@dataclass(frozen=True, slots=True)
class Metered:
    """What one interface carried. `octets.received` is what it received."""

    device: str
    interface: str
    start: datetime
    end: datetime
    octets: Octets


@dataclass(frozen=True, slots=True)
class Account:
    """What two looks say together, and the books for the next."""

    books: Books
    moved: tuple[Moved, ...] = ()
    """One per client and span, in the order of clients and time."""
    opened: tuple[Opened, ...] = ()
    metered: tuple[Metered, ...] = ()
    """The gateways' interfaces, and those of `meters`."""


def account(
    books: Books,
    snapshot: Snapshot,
    attribution: Attribution,
    ended: Ended | None = None,
    meters: Collection[Place] = (),
) -> Account:
    """A table that was not read since the last time, or not at all, leaves its page in the books as it is.

    `meters`: interfaces to be metered beside those of the gateways.
    """
    sums = _by_gateway(snapshot.nat)
    everywhere = {
        address: client.identity
        for client in attribution.clients
        for address in client.addresses
        if zone_at(address, attribution.user_zones) is None
    }
    lent = _lent(snapshot)

    def holders_of(gateway: str) -> Mapping[Address, ClientId | None]:
        return {**everywhere, **{it: user_id(of.user) for it, of in lent.get(gateway, {}).items()}}

    by_client = count_clients(books.clients, snapshot, holders_of)
    gateways = dict(books.gateways)
    parts: list[Moved] = []
    opened: list[Opened] = []
    for reading in _newer(snapshot.readings, books.gateways):
        book, borrowed = gateways.get(reading.device), lent.get(reading.device, {})
        holders = holders_of(reading.device)
        page = _page(book, reading, sums.get(reading.device, {}), holders)
        gateways[reading.device] = page
        if book is not None:
            rows, told = sums.get(reading.device, {}), (ended or {}).get(reading.device)
            gateways[reading.device], found = _compared(book, page, rows, told, holders, borrowed)
            parts += found if reading.device not in by_client.gateways else ()
            opened += _opened(book, page, rows)
    by_port = {
        client.identity
        for client in attribution.clients
        if by_client.addresses.isdisjoint(client.addresses) and _needs_port(client, gateways)
    }
    ports, of_ports, metered = _ports(books.ports, snapshot, attribution, by_port, meters)
    counted: list[tuple[Way, Moved]] = [("nat", it) for it in parts if it.client not in by_port]
    counted += [("port", it) for it in of_ports]
    counted += [("counters", Moved(*it)) for it in by_client.moved]
    moved, settled = _settle(books.settled, counted, snapshot.at)
    return Account(Books(gateways, ports, settled, by_client.books), moved, tuple(opened), metered)


# --- translation tables ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """All rows of one inside address in one gateway's table."""

    octets: Octets | None
    sessions: int
    oldest_s: float | None


def _by_gateway(nat: Iterable[NatUsage]) -> Mapping[str, Mapping[Address, _Row]]:
    found: dict[str, dict[Address, _Row]] = defaultdict(dict)
    for usage in nat:
        known = usage.bytes_in is not None and usage.bytes_out is not None
        row = _Row(Octets(usage.bytes_in or 0, usage.bytes_out or 0) if known else None, usage.sessions, usage.oldest_s)
        before = found[usage.device].get(usage.address)
        found[usage.device][usage.address] = row if before is None else _both(before, row)
    return found


def _both(one: _Row, other: _Row) -> _Row:
    octets = None if one.octets is None or other.octets is None else one.octets + other.octets
    oldest = None if one.oldest_s is None or other.oldest_s is None else max(one.oldest_s, other.oldest_s)
    return _Row(octets, one.sessions + other.sessions, oldest)


def _newer(readings: Iterable[Reading], gateways: Mapping[str, NatBook]) -> Iterator[Reading]:
    for reading in readings:
        book = gateways.get(reading.device)
        if reading.table == "nat" and (book is None or reading.at > book.began):
            yield reading


def _page(
    book: NatBook | None, reading: Reading, rows: Mapping[Address, _Row], holders: Mapping[Address, ClientId | None]
) -> NatBook:
    """An empty table says nothing about whether octets are counted: it stays as it was."""
    totals = {address: Total(holders.get(address), row.octets, row.sessions) for address, row in rows.items()}
    tells = any(row.octets is not None for row in rows.values()) if rows else book is not None and book.tells
    return NatBook(reading.at, reading.at + timedelta(seconds=reading.seconds), totals, tells)


def _lent(snapshot: Snapshot) -> Mapping[str, Mapping[Address, UserSession]]:
    """Gateway -> address that is lent to people -> the session in which everything began that its table has; of an
    address that the table does not have, the session of now."""
    shared, tables = share_out(snapshot), {(row.device, row.address) for row in snapshot.nat}
    found: dict[str, dict[Address, UserSession]] = defaultdict(dict)
    for gateway in {reading.device for reading in snapshot.readings if reading.table == "nat"}:
        found[gateway] = {it: of for it, of in shared.connected.items() if (gateway, it) not in tables}
    for (gateway, address), session in shared.whose.items():
        found[gateway][address] = session
    return found


def _compared(
    before: NatBook,
    now: NatBook,
    rows: Mapping[Address, _Row],
    ended: Mapping[Address, Octets] | None,
    holders: Mapping[Address, ClientId | None],
    lent: Mapping[Address, UserSession],
) -> tuple[NatBook, list[Moved]]:
    """What each address moved; an address that changed hands in between is nobody's for that time, unless it is `lent`:
    then nothing of what its holder has now was in the table before."""
    totals, moved = dict(now.totals), []
    for address in now.totals.keys() | before.totals.keys() | (ended or {}).keys():
        old = before.totals.get(address, Total(holders.get(address), NOTHING))
        row = rows.get(address, _Row(NOTHING, 0, None))
        holder = holders.get(address)
        if old.octets is None or row.octets is None:
            continue
        if ended is not None:
            octets, owed = _exact(old, row.octets + ended.get(address, NOTHING))
            if owed != NOTHING:
                totals[address] = Total(holder, row.octets, row.sessions, owed)
        else:
            octets = _at_least(old.octets, row, (now.began - before.ended).total_seconds())
        session = lent.get(address)
        if session is not None and (session.since > before.began or old.client not in (None, holder)):
            octets, old = row.octets, replace(old, client=holder)
        if holder is not None and old.client == holder and octets != NOTHING:
            moved.append(Moved(holder, Traffic(before.began, now.began, octets.received, octets.sent)))
    return NatBook(now.began, now.ended, totals, now.tells or ended is not None), moved


def _exact(old: Total, total: Octets) -> tuple[Octets, Octets]:
    """The octets, and what is owed. A session can leave the table just before its end is told: then this time is less
    than nothing, and next time too much by as much. What is owed longer than that was never told, and is forgotten."""
    difference = total - (old.octets or NOTHING)
    return (difference + old.owed).at_least(NOTHING), difference.at_most(NOTHING)


def _at_least(before: Octets, row: _Row, elapsed_s: float) -> Octets:
    octets = row.octets or NOTHING
    if row.oldest_s is not None and row.oldest_s + CLOCK_S <= elapsed_s:
        return octets
    return (octets - before).at_least(NOTHING)


def _opened(before: NatBook, now: NatBook, rows: Mapping[Address, _Row]) -> Iterator[Opened]:
    elapsed_s = (now.began - before.ended).total_seconds()
    for address, row in rows.items():
        old = before.totals.get(address)
        young = row.oldest_s is not None and row.oldest_s + CLOCK_S <= elapsed_s
        count = row.sessions if old is None or young else row.sessions - old.sessions
        if count > 0:
            yield Opened(address, before.began, now.began, count)


def _needs_port(client: Client, gateways: Mapping[str, NatBook]) -> bool:
    """No gateway counts this client's octets: none of those that have its sessions does, or none at all."""
    pages = [
        book.totals[address] for book in gateways.values() for address in client.addresses if address in book.totals
    ]
    if pages:
        return all(total.octets is None for total in pages)
    return not any(book.tells for book in gateways.values())


# --- ports -----------------------------------------------------------------------------------------------------------


def _ports(
    books: Mapping[Place, PortBook],
    snapshot: Snapshot,
    attribution: Attribution,
    by_port: set[ClientId],
    meters: Collection[Place],
) -> tuple[Mapping[Place, PortBook], list[Moved], tuple[Metered, ...]]:
    """Only the gateways' interfaces and ports whose clients need them have a page: a network has thousands of ports."""
    behind = _behind(attribution)
    gateways = {device.name for device in snapshot.devices if device.role is Role.GATEWAY}
    speeds = {(it.device, it.name): it.speed_bps for it in snapshot.interfaces}
    read = {counters.device for counters in snapshot.counters}
    present = {device.name for device in snapshot.devices}
    pages = {place: page for place, page in books.items() if place[0] in present - read}
    moved: list[Moved] = []
    metered: list[Metered] = []
    for counters in snapshot.counters:
        place = (counters.device, counters.port)
        clients = behind.get(place, ())
        metering = counters.device in gateways or place in meters
        if not metering and by_port.isdisjoint(client.identity for client in clients):
            continue
        book = PortBook(counters, attribution.macs_on_port.get(place, frozenset()))
        old = books.get(place)
        pages[place] = book if old is None or counters.at > old.counters.at else old
        step = (
            None if old is None or counters.at <= old.counters.at else _step(old.counters, counters, speeds.get(place))
        )
        if old is None or step is None:
            continue
        if metering:
            metered.append(Metered(*place, old.counters.at, counters.at, step))
        if old.macs == book.macs:
            moved += _shared(step, old.counters.at, counters.at, clients, book.macs, by_port)
    return pages, moved, tuple(metered)


def _behind(attribution: Attribution) -> Mapping[Place, list[Client]]:
    found: dict[Place, list[Client]] = defaultdict(list)
    for client in attribution.clients:
        if client.location is not None and client.location.station.port is not None:
            for device in client.location.devices:
                found[device, client.location.station.port].append(client)
    return found


def _step(before: PortCounters, now: PortCounters, speed_bps: int | None) -> Octets | None:
    longest = LONGEST_SPAN_S if now.bits == 64 or speed_bps else LONGEST_GAP_S
    found = rate(before, now, speed_bps, longest)
    if not isinstance(found, Rate):
        return None
    return Octets(round(found.in_bps * found.seconds / 8), round(found.out_bps * found.seconds / 8))


def _shared(
    step: Octets,
    start: datetime,
    end: datetime,
    clients: Iterable[Client],
    macs: frozenset[Mac],
    by_port: set[ClientId],
) -> Iterator[Moved]:
    """What the port received, its client sent. Several MACs share by sessions; without any, nobody is blamed."""
    if len(macs) == 1:
        for client in clients:
            if client.identity in by_port and step != NOTHING:
                yield Moved(client.identity, Traffic(start, end, step.sent, step.received))
        return
    sessions = {client.identity: client.usage.sessions if client.usage else 0 for client in clients}
    together = sum(sessions.values())
    for identity, own in sessions.items():
        if own and identity in by_port:
            came, went = step.sent * own // together, step.received * own // together
            yield Moved(identity, Traffic(start, end, came, went, estimate=True))


# --- both ------------------------------------------------------------------------------------------------------------


def _settle(
    settled: Mapping[ClientId, tuple[Way, datetime]], counted: Iterable[tuple[Way, Moved]], now: datetime
) -> tuple[tuple[Moved, ...], Mapping[ClientId, tuple[Way, datetime]]]:
    """Leave out what the other way has covered already; sum what one way says of the same time."""
    until = {client: it for client, it in settled.items() if now - it[1] <= _SETTLED_FOR}
    sums: dict[tuple[ClientId, datetime, datetime], Traffic] = {}
    for way, item in counted:
        span = item.traffic
        last = settled.get(item.client)
        if last is not None and last[0] != way and span.start < last[1]:
            continue
        key = (item.client, span.start, span.end)
        before = sums.get(key)
        sums[key] = span if before is None else _summed(before, span)
        latest = until.get(item.client)
        until[item.client] = (way, span.end if latest is None or latest[0] != way else max(latest[1], span.end))
    return tuple(Moved(key[0], sums[key]) for key in sorted(sums)), until


def _summed(one: Traffic, other: Traffic) -> Traffic:
    return Traffic(
        one.start,
        one.end,
        one.octets_in + other.octets_in,
        one.octets_out + other.octets_out,
        one.estimate or other.estimate,
    )
