"""What the history knows: who moved how much, hour by hour, and what else was followed over time.

Whoever adds up takes the coarsest spans that fit into a window, and each moment once; whoever looks at one client gets
the finest there are. A span belongs to the window in which it begins.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from heapq import nsmallest
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, TextClause, bindparam, text

from switchguard.core.accounting import Metered
from switchguard.core.evidence import Connections, Traffic
from switchguard.core.model import Address, ClientId, Mac
from switchguard.edge import history_sql as sql
from switchguard.edge.history import POLL, moment_of, second_after, second_of
from switchguard.edge.ledger_tables import Store


@dataclass(frozen=True, slots=True)
class Used:
    """What one client used in a window. Octets are sums, the others the largest that was seen."""

    client: ClientId
    addresses: tuple[Address, ...]
    owner: str | None
    octets_in: int
    octets_out: int
    estimated: bool
    sessions: int | None = None
    remotes: int | None = None
    factor: float | None = None

    @property
    def octets(self) -> int:
        return self.octets_in + self.octets_out


@dataclass(frozen=True, slots=True)
class Sample:
    """One span of a series."""

    start: datetime
    end: datetime
    a: int
    b: int
    seconds: float

    @classmethod
    def of(cls, metered: Metered) -> "Sample":
        """What was measured just now, as it will be kept."""
        octets, seconds = metered.octets, (metered.end - metered.start).total_seconds()
        return cls(metered.start, metered.end, octets.received, octets.sent, seconds)


class Archive:
    """Reads what `History` writes, from the same store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def traffic(self, edges: Sequence[datetime], recent: datetime) -> Mapping[ClientId, tuple[Traffic, ...]]:
        """Everybody's traffic since the first edge, summed between two edges each; since `recent` as it was polled.

        What was counted and what was estimated between two edges are two spans of the same time.
        """
        found: dict[ClientId, list[Traffic]] = {}
        bounds = [*sorted({second_after(edge) for edge in edges if edge < recent}), second_after(recent)]
        with self._store.reading() as connection:
            names = _names(connection)
            for begins, until in pairwise(bounds):
                for row in _sums(connection, _cover(connection, begins, until)):
                    span = Traffic(
                        moment_of(begins), moment_of(until), row.octets_in, row.octets_out, bool(row.estimate)
                    )
                    found.setdefault(names[row.client], []).append(span)
            for row in connection.execute(text(sql.POLLED), {"since": second_after(recent)}):
                span = Traffic(
                    moment_of(row.begins), moment_of(row.ends), row.octets_in, row.octets_out, bool(row.estimate)
                )
                _append(found.setdefault(names[row.client], []), span)
        return {client: tuple(spans) for client, spans in found.items()}

    def used(self, since: datetime, until: datetime) -> tuple[Used, ...]:
        """What everybody used in spans that began within the window, sorted by client."""
        with self._store.reading() as connection:
            cover = _cover(connection, second_of(since), second_of(until))
            people = {row.id: row for row in connection.execute(text(sql.PEOPLE))}
            rows = connection.execute(_many_of(sql.SUMS_OF_CLIENTS, "spans"), {"spans": cover}).all()
        return tuple(sorted((_used(people[row.client], row) for row in rows), key=lambda it: it.client))

    def most(
        self,
        windows: Iterable[tuple[datetime, datetime]],
        amount: Callable[[int, int], int],
        limit: int | None,
        wanted: Callable[[ClientId, tuple[Address, ...]], bool] = lambda _client, _addresses: True,
    ) -> Iterator[tuple[Used, ...]]:
        """The same window by window, by `amount` of octets in and out, most first and at most `limit` of them, without
        who used nothing and who is not wanted."""
        with self._store.reading() as connection:
            people = {row.id: row for row in connection.execute(text(sql.PEOPLE))}
            chosen = {id_ for id_, row in people.items() if wanted(ClientId(row.client), _addresses(row.addresses))}
            for since, until in windows:
                spans = _cover(connection, second_of(since), second_of(until))
                rows = connection.execute(_many_of(sql.SUMS_OF_CLIENTS, "spans"), {"spans": spans})
                found = [
                    (-amount(into or 0, out or 0), people[client].client, row)
                    for row in rows
                    for client, into, out in (row[:3],)
                    if client in chosen and (into or out)
                ]
                ranked = sorted(found) if limit is None else nsmallest(limit, found)
                yield tuple(_used(people[row.client], row) for _, _, row in ranked)

    def spans_of(
        self, client: ClientId, since: datetime, until: datetime
    ) -> tuple[tuple[datetime, datetime, Used], ...]:
        """One client's usage span by span, the finest there are, oldest first."""
        window = {"since": second_of(since), "until": second_of(until), "client": client}
        with self._store.reading() as connection:
            person = connection.execute(text(f"{sql.PEOPLE} WHERE client = :client"), window).first()
            if person is None:
                return ()
            rows = connection.execute(text(sql.OF_CLIENT), {**window, "id": person.id}).all()
        finest = _finest(rows)
        return tuple((moment_of(row.begins), moment_of(row.ends), _used(person, row)) for row in finest)

    def clients_named(self, *names: str) -> tuple[ClientId, ...]:
        """Identities that are one of these names, or had one of them as an address or owner last."""
        with self._store.reading() as connection:
            rows = connection.execute(text(f"{sql.PEOPLE} ORDER BY client")).all()
        wanted = set(names)
        return tuple(
            ClientId(row.client)
            for row in rows
            if row.client in wanted or row.owner in wanted or not wanted.isdisjoint(row.addresses.split())
        )

    def first_seen(self, macs: Iterable[Mac]) -> Mapping[Mac, datetime]:
        query = _many_of(sql.FIRST_SEEN, "macs")
        with self._store.reading() as connection:
            rows = connection.execute(query, {"macs": [mac.value for mac in macs]}).all()
        return {Mac(row.mac): moment_of(row.first_seen) for row in rows}

    def samples(
        self, kind: str, since: datetime, until: datetime, grain: int = POLL
    ) -> Mapping[tuple[str, str], tuple[Sample, ...]]:
        """(place, name) -> its samples of one grain, oldest first."""
        window = {"kind": kind, "grain": grain, "since": second_of(since), "until": second_of(until)}
        found: dict[tuple[str, str], list[Sample]] = {}
        with self._store.reading() as connection:
            for row in connection.execute(text(sql.SAMPLES), window):
                sample = Sample(moment_of(row.begins), moment_of(row.ends), row.a, row.b, row.seconds)
                found.setdefault((row.place, row.name), []).append(sample)
        return {name: tuple(samples) for name, samples in found.items()}

    def opened(
        self,
        place: str,
        since: datetime,
        until: datetime,
        at_least: int = 1,
        whose: Mapping[Address, str] | None = None,
    ) -> Mapping[Address, tuple[Connections, ...]]:
        """New connections per source of a log (or `nat`), as fine as they are known, of those who opened at least so
        many in all. Sources that are the same one's (`whose`) count together; any other is its own."""
        begins = second_of(since)
        with self._store.reading() as connection:
            spans = _cover(connection, begins, second_of(until))
            sums = connection.execute(_many_of(sql.SUMS_OF_SOURCES, "spans"), {"place": place, "spans": spans}).all()
            names = {row.id: address for row, address in _busy(sums, at_least, whose or {})}
            found: dict[Address, list[Row[Any]]] = {}
            for row in connection.execute(_many_of(sql.OPENED, "series"), {"since": begins, "series": list(names)}):
                found.setdefault(names[row.series], []).append(row)
        return {address: tuple(map(_connections, _finest(rows))) for address, rows in found.items()}

    def opened_by(self, source: str, since: datetime) -> tuple[Connections, ...]:
        """One source's new connections, in all logs together."""
        wanted = {"name": source, "since": second_of(since)}
        with self._store.reading() as connection:
            rows = connection.execute(text(sql.OPENED_BY), wanted).all()
        return tuple(map(_connections, _finest(rows)))


# --- spans -----------------------------------------------------------------------------------------------------------


def _cover(connection: Connection, begins: int, until: int) -> list[int]:
    """Spans that begin within, the coarsest that fit, no moment twice."""
    rows = connection.execute(text(sql.WITHIN), {"begins": begins, "until": until}).all()
    has_parts = {row.part_of for row in rows}
    covered: set[int] = set()
    chosen: list[int] = []
    for row in rows:
        if row.part_of in covered:
            covered.add(row.id)
        elif row.grain == POLL or row.ends <= until or row.id not in has_parts:
            covered.add(row.id)
            chosen.append(row.id)
    return chosen


def _finest(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Without spans of which finer ones are among the rows."""
    wholes = {row.part_of for row in rows}
    return [row for row in rows if row.id not in wholes]


def _sums(connection: Connection, spans: Sequence[int]) -> Sequence[Row[Any]]:
    return connection.execute(_many_of(sql.SUMS_KNOWN, "spans"), {"spans": spans}).all()


def _busy(sums: Sequence[Row[Any]], at_least: int, whose: Mapping[Address, str]) -> list[tuple[Row[Any], Address]]:
    known = [(row, _address(row.name)) for row in sums]
    totals: Counter[str | Address] = Counter()
    for row, address in known:
        totals[whose.get(address, address)] += row.a
    return [(row, address) for row, address in known if totals[whose.get(address, address)] >= at_least]


@lru_cache(maxsize=100_000)
def _address(spelled: str) -> Address:
    return ip_address(spelled)


def _connections(row: Row[Any]) -> Connections:
    return Connections(moment_of(row.begins), row.a, timedelta(seconds=row.ends - row.begins))


def _append(spans: list[Traffic], span: Traffic) -> None:
    """Two gateways are not read at the same moment: what overlaps is one span."""
    last = spans[-1] if spans else None
    if last is None or span.start >= last.end or span.estimate != last.estimate:
        spans.append(span)
        return
    spans[-1] = Traffic(
        min(last.start, span.start),
        max(last.end, span.end),
        last.octets_in + span.octets_in,
        last.octets_out + span.octets_out,
        last.estimate,
    )


def _names(connection: Connection) -> Mapping[int, ClientId]:
    return {row.id: ClientId(row.client) for row in connection.execute(text(sql.PEOPLE))}


@lru_cache(maxsize=100_000)
def _addresses(spelled: str) -> tuple[Address, ...]:
    return tuple(map(ip_address, spelled.split()))


def _used(person: Row[Any], row: Row[Any]) -> Used:
    return Used(
        client=ClientId(person.client),
        addresses=_addresses(person.addresses),
        owner=person.owner or None,
        octets_in=row.octets_in or 0,
        octets_out=row.octets_out or 0,
        estimated=bool(row.estimate),
        sessions=row.sessions,
        remotes=row.remotes,
        factor=None if row.factor is None else row.factor / 1000,
    )


def _many_of(statement: str, name: str) -> TextClause:
    """A statement with a list of any length, also none, in the place of one value."""
    return text(statement).bindparams(bindparam(name, expanding=True))
