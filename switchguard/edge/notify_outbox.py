"""Notices in the ledger: written in the transaction that writes their verdicts, taken out by whoever sends them.

What says that a penalty begins is `planned` until the transaction that records that a device has the penalty: whatever
dies in between, nobody is told of a block that no device got, and nobody who got one is forgotten. If it comes to
nothing, operators are told why; and that it was done after all, in place of that if they have not been told yet.

Taking a batch moves its next attempt into the future and counts the attempt: of two processes only one sends it, and
one that is killed between sending and recording leaves it to be sent once more, at most. What cannot be sent is tried
again after one minute, two, four and so on, at most every hour, until it is given up; given up is not gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from switchguard.core.letters import NOT_DONE, Letter, not_done
from switchguard.edge import ledger_rows as rows
from switchguard.edge.ledger_tables import Store, outbox, penalties

State = Literal["planned", "waiting", "sent", "failed"]
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
KEPT = timedelta(days=90)
"""What was sent or given up stays for so long, and as long as its penalty stands."""
MOST_AT_ONCE = 200
"""Letters in one message."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter, and how it fares."""

    name: str
    addressee: str
    letter: Letter
    state: State
    written: datetime
    due: datetime
    tries: int
    settled: datetime | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How many wait, of them how many after a failure, how many were given up; and the newest trouble."""

    waiting: int = 0
    troubled: int = 0
    failed: int = 0
    trouble: str = ""

    def sentence(self) -> str:
        """`notices: 3 wait, 2 of them after a failure; 1 given up: …`."""
        troubled = f", {self.troubled} of them after a failure" if self.troubled else ""
        given_up = f"; {self.failed} given up" if self.failed else ""
        trouble = f": {self.trouble}" if self.trouble else ""
        return f"notices: {self.waiting} {'waits' if self.waiting == 1 else 'wait'}{troubled}{given_up}{trouble}"


def put(connection: Connection, letters: Iterable[Letter], at: datetime) -> None:
    """Those that are not there yet. Whoever was not told that a penalty began is not told that it ended, and once it is
    said that it is done nobody is told that it is not."""
    wanted = {letter.key: letter for letter in letters}
    known = _known(connection, {letter.facts.verdict for letter in wanted.values()})
    for name, letter in wanted.items():
        began = known.get(name.replace(" ends ", " begins ", 1), "planned") != "planned"
        done = known.get(name.removesuffix(NOT_DONE), "planned") != "planned"
        if name in known or done or (letter.event == "ends" and letter.to.kind != "operators" and not began):
            continue
        _insert(connection, letter, at)


def _insert(connection: Connection, letter: Letter, at: datetime) -> None:
    values = {
        "name": letter.key,
        "verdict": letter.facts.verdict,
        "addressee": f"{letter.to.kind} {letter.to.mail or letter.to.name}",
        "letter": rows.dump(letter),
        "state": "planned" if letter.once_done else "waiting",
        "written": at,
        "due": letter.due,
        "tries": 0,
        "trouble": "",
    }
    connection.execute(insert(outbox).values(**values))


def _known(connection: Connection, verdicts: set[str]) -> dict[str, str]:
    """Name -> state."""
    query = select(outbox.c.name, outbox.c.state).where(outbox.c.verdict.in_(verdicts))
    return {row[0]: row[1] for row in connection.execute(query)} if verdicts else {}


# --- what becomes of what was planned --------------------------------------------------------------------------------


def done(connection: Connection, verdicts: Sequence[str], at: datetime) -> None:
    """A device has these penalties: what was planned may go, and what would say otherwise need not any more."""
    for name, letter in _planned(connection, verdicts):
        fresh = _due_at(letter, max(letter.due, at))
        values = {"state": "waiting", "due": fresh.due, "letter": rows.dump(fresh)}
        connection.execute(update(outbox).where(outbox.c.name == name).values(**values))
        connection.execute(delete(outbox).where(outbox.c.name == f"{name}{NOT_DONE}", outbox.c.state == "waiting"))


def not_done_yet(connection: Connection, verdicts: Sequence[str], at: datetime, why: str) -> None:
    """It was tried and came to nothing, this time: operators hear that, and why."""
    for _, letter in _planned(connection, verdicts):
        if letter.to.kind == "operators":
            noted = replace(_due_at(letter, max(letter.due, at)), facts=replace(letter.facts, note=not_done(why)))
            put(connection, [noted], at)


def forget_what_ended(connection: Connection) -> None:
    """What was planned for a penalty that stands no more."""
    standing = select(penalties.c.id).where(penalties.c.released_at.is_(None))
    connection.execute(delete(outbox).where(outbox.c.state == "planned", outbox.c.verdict.not_in(standing)))


def _planned(connection: Connection, verdicts: Sequence[str]) -> list[tuple[str, Letter]]:
    mine = (outbox.c.state == "planned", outbox.c.verdict.in_(verdicts))
    return [(row.name, rows.load(Letter, row.letter)) for row in connection.execute(select(outbox).where(*mine))]


class Outbox:
    """LedgerError from every method, with the store's name, when the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def due(self, now: datetime) -> tuple[str, ...]:
        """Addressees for whom something is due, the longest waiting first."""
        when = func.min(outbox.c.due)
        query = select(outbox.c.addressee).where(outbox.c.state == "waiting", outbox.c.due <= now)
        with self._store.reading() as connection:
            return tuple(connection.execute(query.group_by(outbox.c.addressee).order_by(when)).scalars())

    def peek(self, addressee: str, now: datetime) -> tuple[Entry, ...]:
        """All that is due for this one, oldest first, as much as fits into one message."""
        with self._store.reading() as connection:
            return _due(connection, addressee, now)

    def take(self, addressee: str, now: datetime, until: datetime) -> tuple[Entry, ...]:
        """The same, tried once more; nobody else's before `until`."""
        with self._store.writing() as connection:
            found = _due(connection, addressee, now)
            names = [it.name for it in found]
            taken = update(outbox).where(outbox.c.name.in_(names)).values(due=until, tries=outbox.c.tries + 1)
            connection.execute(taken)
        return found

    def sent(self, entries: Sequence[Entry], at: datetime, how: str) -> None:
        """Told in the history of the client too."""
        with self._store.writing() as connection:
            self._settle(connection, entries, "sent", at, "")
            for it in entries:
                rows.tell(connection, at, rows.SERVICE, "told", how, _subjects(it))

    def wait(self, addressee: str, now: datetime, until: datetime) -> None:
        """What is due for this one is due later, without having been tried."""
        mine = (outbox.c.addressee == addressee, outbox.c.state == "waiting", outbox.c.due <= now)
        with self._store.writing() as connection:
            connection.execute(update(outbox).where(*mine).values(due=until))

    def troubled(self, entries: Sequence[Entry], at: datetime, why: str, give_up_after: timedelta) -> None:
        """To be tried again later, or given up."""
        over = [it for it in entries if at - it.letter.due >= give_up_after]
        again = [it for it in entries if it not in over]
        with self._store.writing() as connection:
            for it in again:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(it.tries, 10))
                mine = update(outbox).where(outbox.c.name == it.name)
                connection.execute(mine.values(due=at + pause, trouble=why))
            self._settle(connection, over, "failed", at, why)
            for it in over:
                rows.tell(connection, at, rows.SERVICE, "not told", f"{it.letter.to}: {why}", _subjects(it))

    def _settle(self, connection: Connection, entries: Sequence[Entry], state: State, at: datetime, why: str) -> None:
        names = [it.name for it in entries]
        connection.execute(
            update(outbox).where(outbox.c.name.in_(names)).values(state=state, settled=at, due=at, trouble=why)
        )

    def recent(self, addressee: str, since: datetime) -> tuple[datetime, ...]:
        """When this one got messages, oldest first."""
        mine = (outbox.c.addressee == addressee, outbox.c.state == "sent", outbox.c.settled > since)
        query = select(outbox.c.settled).where(*mine).distinct().order_by(outbox.c.settled)
        with self._store.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def next_due(self) -> datetime | None:
        query = select(func.min(outbox.c.due)).where(outbox.c.state == "waiting")
        with self._store.reading() as connection:
            return connection.execute(query).scalar()

    def entries(self, state: State | None = None, limit: int | None = None) -> tuple[Entry, ...]:
        """The newest ones, oldest first."""
        query = select(outbox).order_by(outbox.c.written.desc(), outbox.c.name.desc()).limit(limit)
        with self._store.reading() as connection:
            found = connection.execute(query if state is None else query.where(outbox.c.state == state))
            return tuple(reversed([_entry(row) for row in found]))

    def standing(self) -> Standing:
        counts: Mapping[State, int]
        with self._store.reading() as connection:
            query = select(outbox.c.state, func.count()).group_by(outbox.c.state)
            counts = {row[0]: row[1] for row in connection.execute(query)}
            waiting = outbox.c.state == "waiting"
            bad = select(func.count()).where(waiting, outbox.c.trouble != "")
            troubled = connection.execute(bad).scalar_one()
            said = select(outbox.c.trouble).where(outbox.c.trouble != "", outbox.c.state != "sent")
            trouble = connection.execute(said.order_by(outbox.c.written.desc()).limit(1)).scalar()
        return Standing(counts.get("waiting", 0), troubled, counts.get("failed", 0), trouble or "")

    def retry(self, at: datetime) -> int:
        """What was given up, and what waits after a failure, is due now, with all its patience; how many those are."""
        again = (outbox.c.state == "failed") | ((outbox.c.state == "waiting") & (outbox.c.trouble != ""))
        with self._store.writing() as connection:
            found = [_entry(row) for row in connection.execute(select(outbox).where(again))]
            for it in found:
                fresh = rows.dump(_due_at(it.letter, at))
                values = {"state": "waiting", "due": at, "tries": 0, "settled": None, "letter": fresh}
                connection.execute(update(outbox).where(outbox.c.name == it.name).values(**values))
        return len(found)

    def tidy(self, now: datetime) -> int:
        """Forgets what was settled long ago; how many rows."""
        standing = select(penalties.c.id).where(penalties.c.released_at.is_(None))
        old = (outbox.c.settled < now - KEPT, outbox.c.verdict.not_in(standing))
        with self._store.writing() as connection:
            return connection.execute(delete(outbox).where(*old)).rowcount


def _due(connection: Connection, addressee: str, now: datetime) -> tuple[Entry, ...]:
    mine = (outbox.c.addressee == addressee, outbox.c.state == "waiting", outbox.c.due <= now)
    query = select(outbox).where(*mine).order_by(outbox.c.written, outbox.c.name).limit(MOST_AT_ONCE)
    return tuple(_entry(row) for row in connection.execute(query))


def _due_at(letter: Letter, at: datetime) -> Letter:
    return replace(letter, due=at, once_done=False)


def _subjects(entry: Entry) -> set[str]:
    told = entry.letter.facts
    return {told.verdict, told.client, *map(str, told.macs), *map(str, told.addresses)}


def _entry(row: Row[Any]) -> Entry:
    letter = rows.load(Letter, row.letter)
    return Entry(row.name, row.addressee, letter, row.state, row.written, row.due, row.tries, row.settled, row.trouble)
