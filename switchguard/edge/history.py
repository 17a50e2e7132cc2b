"""Who used how much, for months: written in every pass, rolled up from polls to hours to days, pruned, asked.

A span is a stretch of time with rows for everybody who used something in it. Polls of the same minute share one. When
an hour is over, its spans are summed into one of grain `HOUR`, likewise a day; a sum never reaches across one of the
`cuts` that the rules name, so that no window's usage depends on how old it is. Finer spans stay until their time is up
(`Retention`), and know what they are `part_of`.

Rows are placed by time first, so that a poll is one contiguous write and a pruned span one contiguous delete. Every
method is one transaction, except `tidy`, which is many small ones.
"""

import json
import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from sqlalchemy import Connection, text

from switchguard.core.accounting import Books
from switchguard.core.calendar import Calendar
from switchguard.core.model import Address, ClientId, Mac
from switchguard.edge import history_sql as sql
from switchguard.edge.books import books_from, books_text
from switchguard.edge.ledger_tables import Store

POLL, HOUR, DAY = 0, 1, 2
"""Grains of spans."""
USAGE = 0
STRANDS: Mapping[str, int] = {"size": 1, "rate": 2, "opened": 3}
"""Kind of series -> the strand of its spans: tables are not read at the same moment."""
MINUTE_S = 60
SEEN_AGAIN_S = 3600
"""How often the last sight of a MAC is written down."""
_BOOKS = "books"


@dataclass(frozen=True, slots=True)
class Retention:
    """How long spans of each grain are kept."""

    minutes: timedelta = timedelta(days=2)
    hours: timedelta = timedelta(days=60)
    days: timedelta = timedelta(days=400)
    routine: timedelta = timedelta(days=7)
    """Of penalties that were nobody's fault and have ended."""

    def __post_init__(self) -> None:
        if not self.minutes <= self.hours <= self.days:
            raise ValueError("minutes must not be kept longer than hours, nor hours longer than days")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one client used in a poll. None: not known."""

    client: ClientId
    start: datetime
    end: datetime
    octets_in: int | None = None
    octets_out: int | None = None
    estimate: bool = False
    sessions: int | None = None
    remotes: int | None = None
    factor: float | None = None


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """What else is followed over time; ledger_tables.py says what `a` and `b` are for each kind."""

    kind: str
    place: str
    name: str
    start: datetime
    end: datetime
    a: int
    b: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Everything that one pass leaves behind."""

    at: datetime
    usage: Sequence[UsageRow] = ()
    series: Sequence[SeriesRow] = ()
    people: Mapping[ClientId, tuple[tuple[Address, ...], str | None]] = field(default_factory=dict)
    """Client -> its addresses and its owner."""
    macs: Collection[Mac] = ()
    cuts: Sequence[datetime] = ()


class History:
    """In the ledger's store. Safe for threads and several processes, as the ledger is."""

    def __init__(self, store: Store, retention: Retention | None = None, zone: tzinfo = UTC) -> None:
        self._store, self.retention, self._calendar = store, retention or Retention(), Calendar(zone)
        self._clients: dict[str, tuple[int, str, str]] = {}
        self._series: dict[tuple[str, str, str], int] = {}
        self._writing = threading.Lock()

    # --- writing -----------------------------------------------------------------------------------------------------

    def books(self) -> Books:
        """Where counting goes on from."""
        with self._store.reading() as connection:
            return _books(connection)

    def keep(self, count: Callable[[Books], tuple[Books, Note]]) -> None:
        """Count on from the books, and keep what comes out together with the new books: a crash, or a second process,
        makes nothing count twice."""
        with self._transaction() as connection:
            books, note = count(_books(connection))
            _put_note(connection, _BOOKS, books_text(books))
            self._write(connection, note)

    def add(self, note: Note, marks: Mapping[str, str]) -> None:
        """What has been read from elsewhere (a log), together with where to go on reading."""
        with self._transaction() as connection:
            for name, value in marks.items():
                _put_note(connection, name, value)
            self._write(connection, note)

    def mark(self, name: str) -> str | None:
        """Where to go on reading."""
        with self._store.reading() as connection:
            return _noted(connection, name)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """What was learnt of ids in a transaction that failed is not true."""
        with self._writing:
            try:
                with self._store.writing() as connection:
                    yield connection
            except BaseException:
                self._clients, self._series = {}, {}
                raise

    def _write(self, connection: Connection, note: Note) -> None:
        cuts = sorted(second_after(cut) for cut in note.cuts)
        clients = self._client_ids(connection, note)
        spans: dict[tuple[int, int, int], int] = {}

        def span_of(strand: int, start: datetime, end: datetime) -> int:
            key = (strand, second_of(start), second_of(end))
            if key not in spans:
                spans[key] = _span(connection, *key, cuts)
            return spans[key]

        usage = [
            {
                "span": span_of(USAGE, row.start, row.end),
                "client": clients[row.client],
                "estimate": int(row.estimate),
                "octets_in": row.octets_in,
                "octets_out": row.octets_out,
                "sessions": row.sessions,
                "remotes": row.remotes,
                "factor": None if row.factor is None else round(1000 * row.factor),
            }
            for row in note.usage
        ]
        _many(connection, sql.ADD_USAGE, usage)
        series = self._series_ids(connection, {(row.kind, row.place, row.name) for row in note.series})
        readings = [
            {
                "span": span_of(STRANDS[row.kind], row.start, row.end),
                "series": series[row.kind, row.place, row.name],
                "a": row.a,
                "b": row.b,
                "seconds": round((row.end - row.start).total_seconds()),
            }
            for row in note.series
        ]
        for kind in {row.kind for row in note.series}:
            chosen = [it for it, row in zip(readings, note.series, strict=True) if row.kind == kind]
            _many(connection, sql.ADD_SIZE if kind == "size" else sql.ADD_READING, chosen)
        now = second_of(note.at)
        _many(
            connection, sql.SEE_MAC, [{"mac": mac.value, "now": now, "before": now - SEEN_AGAIN_S} for mac in note.macs]
        )

    def _client_ids(self, connection: Connection, note: Note) -> Mapping[str, int]:
        people = dict(note.people)
        wanted = people.keys() | {row.client for row in note.usage}
        if not wanted <= self._clients.keys():
            self._load_clients(connection)
        for client in sorted(wanted):
            addresses, owner = people.get(client, ((), None))
            known = self._clients.get(client)
            spelled = f" {' '.join(map(str, addresses))} " if addresses else (known[1] if known else "")
            values = {"client": client, "addresses": spelled, "owner": owner or (known[2] if known else "")}
            if known is None:
                connection.execute(text(sql.NEW_CLIENT), values)
            elif known[1:] != (values["addresses"], values["owner"]):
                connection.execute(text(sql.SAME_CLIENT), values)
                self._clients[client] = (known[0], values["addresses"], values["owner"])
        if not wanted <= self._clients.keys():
            self._load_clients(connection)
        return {client: self._clients[client][0] for client in wanted}

    def _load_clients(self, connection: Connection) -> None:
        rows = connection.execute(text(sql.PEOPLE))
        self._clients = {row.client: (row.id, row.addresses, row.owner) for row in rows}

    def _series_ids(
        self, connection: Connection, wanted: set[tuple[str, str, str]]
    ) -> Mapping[tuple[str, str, str], int]:
        if not wanted <= self._series.keys():
            fresh = [dict(zip(("kind", "place", "name"), it, strict=True)) for it in wanted - self._series.keys()]
            _many(connection, sql.NEW_SERIES, fresh)
            rows = connection.execute(text("SELECT id, kind, place, name FROM series"))
            self._series = {(row.kind, row.place, row.name): row.id for row in rows}
        return self._series

    # --- roll-up and pruning -----------------------------------------------------------------------------------------

    def tidy(self, now: datetime, cuts: Sequence[datetime] = (), steps: int = 50) -> int:
        """Sum up what is complete, forget what is old, in at most so many transactions; how many were needed.

        Each takes some milliseconds, so that a poll never waits for long. Call it again after the next pass.
        """
        edges = sorted(second_after(cut) for cut in cuts)
        done = 0
        for grain in (POLL, HOUR):
            while done < steps and self._roll_up(grain, now, edges):
                done += 1
        while done < steps and self._prune(now):
            done += 1
        return done

    def _roll_up(self, grain: int, now: datetime, cuts: Sequence[int]) -> bool:
        """The oldest complete hour or day that has not been summed yet; False when there is none."""
        with self._store.writing() as connection:
            oldest = connection.execute(text(sql.OLDEST), {"grain": grain}).scalar()
            if oldest is None:
                return False
            window = self._calendar.window(moment_of(oldest), "hour" if grain == POLL else "day")
            until = min([second_of(window.end), *cuts[bisect_right(cuts, oldest) :][:1]])
            if window.end + timedelta(seconds=2 * MINUTE_S) > now:
                return False
            whole = {"grain": grain, "begins": oldest, "until": until}
            ends = connection.execute(text(sql.LATEST_END), whole).scalar() or until
            new = _new_span(connection, grain + 1, USAGE, oldest, min(max(ends, oldest), until))
            connection.execute(text(sql.BELONG), {**whole, "new": new})
            connection.execute(text(sql.SUM_USAGE), {"new": new})
            connection.execute(text(sql.SUM_READINGS), {"new": new})
        return True

    def _prune(self, now: datetime) -> bool:
        """One span whose time is up; False when there is none."""
        kept = self.retention
        with self._store.writing() as connection:
            for grain, keep in ((POLL, kept.minutes), (HOUR, kept.hours), (DAY, kept.days)):
                old = {"grain": grain, "before": second_of(now - keep), "last": int(grain == DAY)}
                span = connection.execute(text(sql.OLD), old).scalar()
                if span is not None:
                    for statement in sql.FORGET:
                        connection.execute(text(statement), {"span": span})
                    return True
            forgotten = second_of(now - kept.days)
            return bool(connection.execute(text(sql.FORGET_MACS), {"before": forgotten}).rowcount)


# --- spans -----------------------------------------------------------------------------------------------------------


def _span(connection: Connection, strand: int, begins: int, ends: int, cuts: Sequence[int]) -> int:
    """The span of these seconds: one that is there, or that ends where this begins and is still short, or a new one."""
    near = {"strand": strand, "begins": begins, "ends": ends, "reach": begins - MINUTE_S}
    for row in connection.execute(text(sql.NEAR), near):
        if (row.begins, row.ends) == (begins, ends):
            return int(row.id)
        if row.ends == begins and ends - row.begins <= MINUTE_S and not _between(cuts, row.begins, begins):
            connection.execute(text(sql.LONGER_SPAN), {"ends": ends, "id": row.id})
            return int(row.id)
    return _new_span(connection, POLL, strand, begins, ends)


def _between(cuts: Sequence[int], after: int, upto: int) -> bool:
    return bisect_right(cuts, after) < bisect_right(cuts, upto)


def _new_span(connection: Connection, grain: int, strand: int, begins: int, ends: int) -> int:
    values = {"grain": grain, "strand": strand, "begins": begins, "ends": ends}
    return int(connection.execute(text(sql.NEW_SPAN), values).scalar_one())


# --- small things ----------------------------------------------------------------------------------------------------


def second_of(moment: datetime) -> int:
    return int(moment.timestamp() // 1)


def second_after(moment: datetime) -> int:
    """The first whole second that is not before the moment: what begins from then on, began after it."""
    return -int(-moment.timestamp() // 1)


def moment_of(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _many(connection: Connection, statement: str, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        connection.execute(text(statement), [dict(row) for row in rows])


def _books(connection: Connection) -> Books:
    noted = _noted(connection, _BOOKS)
    return Books() if noted is None else books_from(noted)


def _noted(connection: Connection, name: str) -> str | None:
    value = connection.execute(text("SELECT value FROM notes WHERE name = :name"), {"name": name}).scalar()
    return None if value is None else str(json.loads(value))


def _put_note(connection: Connection, name: str, value: str) -> None:
    connection.execute(text(sql.NOTE), {"name": name, "value": json.dumps(value)})
