"""Where the ledger lives: its database, its tables, and the ordered steps that bring an older one to them.

An SQLite file beside the site, or any database that SQLAlchemy has a URL for. SQLite runs in WAL mode with
synchronous=FULL, because an intent that a power cut can forget is no intent; writers take the write lock when they
begin, so that two processes queue up instead of failing half-way. Who may not write, or not now, can read all the same.
Every error of the database leaves as a LedgerError that names the store.

An empty store gets the tables as they are below; an older one gets every migration after its version. A test holds both
ways to the same result. Values of the core are JSON (edge/snapshots.py); a column of its own has only what is searched
or sorted by. Times are UTC text of fixed width, so that they sort as text in any database.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from pwd import getpwuid
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from switchguard.errors import LedgerError

SCHEMA = 6

PATIENCE_S = 15.0
"""How long one process waits for the other's transaction; ours take milliseconds."""


class Moment(TypeDecorator[datetime]):
    """An aware time as `2026-05-01T12:00:00.000000+00:00`."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


# --- tables ----------------------------------------------------------------------------------------------------------

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

penalties = Table(
    "penalties",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("released_at", Moment, index=True),
    Column("released_why", Text, nullable=False),
    Column("rule", Text, nullable=False, server_default=""),
    Column("routine", SmallInteger, nullable=False, server_default="0"),
)
"""`routine`: nobody's fault, as a limit for everybody; there may be very many of these."""
Index("penalties_by_end", penalties.c.routine, penalties.c.released_at)

slots = Table(
    "slots",
    metadata,
    Column("slot", Text, primary_key=True),
    Column("penalty", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("verdicts", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("last_outcome", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(32), nullable=False),
    Column("why", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

event_subjects = Table(
    "event_subjects",
    metadata,
    Column("event", Integer, ForeignKey("events.id"), primary_key=True),
    Column("subject", Text, primary_key=True),
)
Index("event_subjects_by_subject", event_subjects.c.subject)

exemptions = Table(
    "exemptions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("exemption", Text, nullable=False),
)

streaks = Table(
    "streaks",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("polls", Integer, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("client", Text, nullable=False, unique=True),
    Column("addresses", Text, nullable=False),
    Column("owner", Text, nullable=False),
)
"""Whoever has ever been seen to use something; `addresses` are the last ones, with blanks between and around."""

spans = Table(
    "spans",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("grain", SmallInteger, nullable=False),
    Column("strand", SmallInteger, nullable=False),
    Column("begins", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("part_of", Integer),
)
"""Stretches of time in whole seconds since 1970, each with rows in `usage` and `readings`. Grain 0 is as polled, 1 an
hour, 2 a day. As polled, each strand has its own: 0 usage, 1 sizes, 2 rates, 3 connections. `part_of`: the coarser span
that has all of it as well."""
Index("spans_by_time", spans.c.grain, spans.c.begins)
Index("spans_by_whole", spans.c.part_of)

usage = Table(
    "usage",
    metadata,
    Column("span", Integer, primary_key=True, autoincrement=False),
    Column("client", Integer, primary_key=True, autoincrement=False),
    Column("estimate", SmallInteger, primary_key=True, autoincrement=False),
    Column("octets_in", BigInteger),
    Column("octets_out", BigInteger),
    Column("sessions", Integer),
    Column("remotes", Integer),
    Column("factor", SmallInteger),
    sqlite_with_rowid=False,
)
"""What a client used in a span: octets are sums, the others the largest that was seen; `factor` in thousandths. What
was counted (0) and what was estimated (1) are two rows."""

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("place", Text, nullable=False),
    Column("name", Text, nullable=False),
)
"""What else is followed over time: `size` of a device's table, `rate` of a device's interface, `opened` connections of
a log's (or `nat`'s) source."""
Index("series_by_name", series.c.kind, series.c.place, series.c.name, unique=True)

readings = Table(
    "readings",
    metadata,
    Column("span", Integer, primary_key=True, autoincrement=False),
    Column("series", Integer, primary_key=True, autoincrement=False),
    Column("a", BigInteger, nullable=False),
    Column("b", BigInteger, nullable=False),
    Column("seconds", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""`size`: largest number of entries, limit (-1: none told). `rate`: octets in, octets out, seconds that they took.
`opened`: connections."""

macs = Table(
    "macs",
    metadata,
    Column("mac", BigInteger, primary_key=True, autoincrement=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("name", String(512), primary_key=True),
    Column("verdict", String(64), nullable=False),
    Column("addressee", Text, nullable=False),
    Column("letter", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("written", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("settled", Moment),
    Column("trouble", Text, nullable=False),
)
"""Notices: `planned` until some device has the penalty, `waiting` until `due`, then `sent` or `failed` (given up), and
when that was settled. `name` is the letter's key, so that nothing is written twice; `addressee` is the same for all
that may go together."""
Index("outbox_by_due", outbox.c.state, outbox.c.due)
Index("outbox_by_verdict", outbox.c.verdict)

traces = Table(
    "traces",
    metadata,
    Column("mac", BigInteger, primary_key=True, autoincrement=False),
    Column("trace", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What is remembered of the clients under a penalty and of those who have just arrived, to know them again."""

links = Table(
    "links",
    metadata,
    Column("old", BigInteger, primary_key=True, autoincrement=False),
    Column("new", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("undone", SmallInteger, nullable=False),
    Column("link", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Two MACs that are probably one device; `undone`: somebody said that they are two."""
Index("links_by_time", links.c.at)
Index("links_by_new", links.c.new)

notes = Table("notes", metadata, Column("name", String(32), primary_key=True), Column("value", Text, nullable=False))
"""One value per name: the pause, the last cycle, the service's status."""


# --- migrations ------------------------------------------------------------------------------------------------------


def _usage_history(connection: Connection) -> None:
    """Version 2: what each heavy client used, poll by poll, for `explain`."""
    connection.execute(
        text(
            "CREATE TABLE usage (client TEXT NOT NULL, at VARCHAR(32) NOT NULL, sessions INTEGER NOT NULL,"
            " remotes INTEGER NOT NULL, factor FLOAT, bytes_out INTEGER, bytes_in INTEGER, PRIMARY KEY (client, at))"
        )
    )
    connection.execute(text("CREATE INDEX usage_by_time ON usage (at)"))


_VERSION_3 = (
    "ALTER TABLE usage RENAME TO usage_2",
    "CREATE TABLE clients (id INTEGER NOT NULL, client TEXT NOT NULL, addresses TEXT NOT NULL, owner TEXT NOT NULL,"
    " PRIMARY KEY (id), UNIQUE (client))",
    "CREATE TABLE spans (id INTEGER NOT NULL, grain SMALLINT NOT NULL, strand SMALLINT NOT NULL,"
    " begins BIGINT NOT NULL, ends BIGINT NOT NULL, part_of INTEGER, PRIMARY KEY (id))",
    "CREATE INDEX spans_by_time ON spans (grain, begins)",
    "CREATE INDEX spans_by_whole ON spans (part_of)",
    "CREATE TABLE usage (span INTEGER NOT NULL, client INTEGER NOT NULL, estimate SMALLINT NOT NULL, octets_in BIGINT,"
    " octets_out BIGINT, sessions INTEGER, remotes INTEGER, factor SMALLINT, PRIMARY KEY (span, client, estimate))"
    " WITHOUT ROWID",
    "CREATE TABLE series (id INTEGER NOT NULL, kind VARCHAR(16) NOT NULL, place TEXT NOT NULL, name TEXT NOT NULL,"
    " PRIMARY KEY (id))",
    "CREATE UNIQUE INDEX series_by_name ON series (kind, place, name)",
    "CREATE TABLE readings (span INTEGER NOT NULL, series INTEGER NOT NULL, a BIGINT NOT NULL, b BIGINT NOT NULL,"
    " seconds INTEGER NOT NULL, PRIMARY KEY (span, series)) WITHOUT ROWID",
    "CREATE TABLE macs (mac BIGINT NOT NULL, first_seen BIGINT NOT NULL, last_seen BIGINT NOT NULL, PRIMARY KEY (mac))"
    " WITHOUT ROWID",
    "INSERT INTO clients (client, addresses, owner) SELECT DISTINCT client, '', '' FROM usage_2",
    "INSERT INTO spans (grain, strand, begins, ends) SELECT DISTINCT 0, 0, CAST(strftime('%s', at) AS INTEGER),"
    " CAST(strftime('%s', at) AS INTEGER) FROM usage_2",
    "INSERT INTO usage (span, client, estimate, sessions, remotes, factor)"
    " SELECT spans.id, clients.id, 0, max(old.sessions), max(old.remotes),"
    " CAST(round(1000 * max(old.factor)) AS INTEGER)"
    " FROM usage_2 AS old JOIN clients ON clients.client = old.client"
    " JOIN spans ON spans.grain = 0 AND spans.begins = CAST(strftime('%s', old.at) AS INTEGER) GROUP BY 1, 2",
    "DROP TABLE usage_2",
)
"""For SQLite: nothing else ever held an older version."""


def _long_history(connection: Connection) -> None:
    """Version 3: everybody's usage, with roll-ups, and what else is followed over time. The octets that version 2 had
    were those of the sessions of that moment, not of a span: they say nothing about traffic, and are left behind."""
    for statement in _VERSION_3:
        connection.execute(text(statement))


_VERSION_4 = (
    "CREATE TABLE outbox (name VARCHAR(512) NOT NULL, verdict VARCHAR(64) NOT NULL, addressee TEXT NOT NULL,"
    " letter TEXT NOT NULL, state VARCHAR(16) NOT NULL, written VARCHAR(32) NOT NULL, due VARCHAR(32) NOT NULL,"
    " tries INTEGER NOT NULL, settled VARCHAR(32), trouble TEXT NOT NULL, PRIMARY KEY (name))",
    "CREATE INDEX outbox_by_due ON outbox (state, due)",
    "CREATE INDEX outbox_by_verdict ON outbox (verdict)",
)


def _notices(connection: Connection) -> None:
    """Version 4: notices that wait to be sent."""
    for statement in _VERSION_4:
        connection.execute(text(statement))


_VERSION_5 = (
    "CREATE TABLE traces (mac BIGINT NOT NULL, trace TEXT NOT NULL, PRIMARY KEY (mac)) WITHOUT ROWID",
    "CREATE TABLE links (old BIGINT NOT NULL, new BIGINT NOT NULL, at VARCHAR(32) NOT NULL, undone SMALLINT NOT NULL,"
    " link TEXT NOT NULL, PRIMARY KEY (old, new)) WITHOUT ROWID",
    "CREATE INDEX links_by_time ON links (at)",
    "CREATE INDEX links_by_new ON links (new)",
)


def _identities(connection: Connection) -> None:
    """Version 5: who is known again under another MAC."""
    for statement in _VERSION_5:
        connection.execute(text(statement))


_VERSION_6 = (
    "ALTER TABLE penalties ADD COLUMN rule TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE penalties ADD COLUMN routine SMALLINT NOT NULL DEFAULT 0",
    "CREATE INDEX penalties_by_end ON penalties (routine, released_at)",
)


def _routine_penalties(connection: Connection) -> None:
    """Version 6: of whom each penalty is, and whether it was nobody's fault, so that those need not be read to be left
    out."""
    for statement in _VERSION_6:
        connection.execute(text(statement))
    known = connection.execute(text("SELECT id, verdict FROM penalties")).all()
    columns = [(row.id, json.loads(row.verdict)) for row in known]
    if columns:
        connection.execute(
            text("UPDATE penalties SET rule = :rule, routine = :routine WHERE id = :id"),
            [{"id": id_, "rule": it["rule"], "routine": int(it.get("routine", False))} for id_, it in columns],
        )


MIGRATIONS: dict[int, Callable[[Connection], None]] = {
    2: _usage_history,
    3: _long_history,
    4: _notices,
    5: _identities,
    6: _routine_penalties,
}
"""Version -> the step that leads to it from the one before."""


def bring_up_to_date(connection: Connection) -> None:
    """Inside one transaction. LedgerError if a newer switchguard wrote the store: we would misread it."""
    if not inspect(connection).has_table(schema_version.name):
        metadata.create_all(connection)
        connection.execute(schema_version.insert().values(version=SCHEMA))
        return
    version = connection.execute(select(schema_version.c.version)).scalar_one()
    if version > SCHEMA:
        raise LedgerError(f"has schema {version}, from a newer switchguard; this one knows up to {SCHEMA}")
    for step in range(version + 1, SCHEMA + 1):
        MIGRATIONS[step](connection)
    if version < SCHEMA:
        connection.execute(schema_version.update().values(version=SCHEMA))


# --- the database ---------------------------------------------------------------------------------------------------


class Store:
    """Transactions on one database. Opening creates or migrates it; LedgerError if that is impossible."""

    def __init__(self, where: str | Path) -> None:
        self.name = str(where)
        with self._translated():
            url = _url(where)
            self.name = url.database if url.get_backend_name() == "sqlite" and url.database else url.render_as_string()
            self._engine = _engine(url)
            self._writers = self._engine.execution_options(writes=True)
        if not self._up_to_date():
            with self.writing() as connection:
                bring_up_to_date(connection)

    def _up_to_date(self) -> bool:
        """Asked without writing, for those who only read."""
        with self.reading() as connection:
            if not inspect(connection).has_table(schema_version.name):
                return False
            return connection.execute(select(schema_version.c.version)).scalar() == SCHEMA

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._translated(), self._writers.begin() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except LedgerError as error:
            raise LedgerError(f"ledger {self.name}: {error}") from error
        except DBAPIError as error:
            raise LedgerError(f"ledger {self.name}: {error.orig}{_advice(str(error.orig))}") from error
        except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
            raise LedgerError(f"ledger {self.name}: {error}") from error


def _url(where: str | Path) -> URL:
    if isinstance(where, str) and "://" in where:
        return make_url(where)
    return URL.create("sqlite", database=str(where))


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if url.database and _only_to_read(Path(url.database)):
        return _reader(Path(url.database))
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    engine = create_engine(url, connect_args={"timeout": PATIENCE_S})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _only_to_read(file: Path) -> bool:
    """A file that we may not write, or beside which there is no place for what SQLite needs in WAL mode."""
    if not file.exists() or _writable(file, file.parent):
        return False
    log = _log(file)
    return not (log.exists() and _writable(file, log))


def _reader(file: Path) -> Engine:
    """Where nobody has the file open, it is taken as it is (sqlite.org/wal.html, read-only databases). Somebody may
    open it later, so each transaction asks again."""

    def connect() -> sqlite3.Connection:
        how = "mode=ro" if _log(file).exists() else "mode=ro&immutable=1"
        return sqlite3.connect(f"file:{quote(str(file.absolute()))}?{how}", PATIENCE_S, uri=True, isolation_level=None)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _log(file: Path) -> Path:
    return Path(f"{file}-wal")


def _writable(*paths: Path) -> bool:
    """For whoever runs this, and not on a file system that is read-only."""
    return all(os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids) for path in paths)


def _advice(trouble: str) -> str:
    """SQLite names neither the cause nor what would help."""
    if "readonly database" in trouble or "unable to open" in trouble:
        return (
            f"; the file and its folder must be readable and, to put anything on record, writable for whoever runs this"
            f" (now {_who()}), and their file system must not be mounted read-only"
        )
    return "; make room there" if "disk is full" in trouble else ""


def _who() -> str:
    with suppress(KeyError):
        return getpwuid(os.geteuid()).pw_name
    return f"uid {os.geteuid()}"


def _prepare(dbapi_connection: Any, _record: object) -> None:
    """Our own BEGIN instead of the driver's late one (docs.sqlalchemy.org, dialects/sqlite, transactions)."""
    dbapi_connection.isolation_level = None
    dbapi_connection.execute("PRAGMA journal_mode=WAL")
    dbapi_connection.execute("PRAGMA synchronous=FULL")
    dbapi_connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")
