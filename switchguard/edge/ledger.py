"""What was decided, meant and done: the memory that survives a crash, and that `explain` reads months later.

Each method is one transaction. What is enforced lives in `slots` while we hold it; what happened lives in `events`,
which only ever grows, but for what was nobody's fault (`forget_routine`). The service and the command line may use one
ledger at the same time.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select

from switchguard.core.changes import Change, HeldSlot, Intent, Outcome, Plan, Slot
from switchguard.core.decide import ended
from switchguard.core.letters import Letter
from switchguard.core.model import Gap, Mac
from switchguard.core.outdated import outdated, unforeseen
from switchguard.core.penalties import Exemption, PastPenalty, Release, Verdict
from switchguard.core.traces import Arrivals, Identities, Link
from switchguard.core.visitors import A_DAY, Faces
from switchguard.edge import identity_rows, notify_outbox
from switchguard.edge import ledger_rows as rows
from switchguard.edge import ledger_tables as tables
from switchguard.edge.ledger_tables import Store
from switchguard.edge.snapshots import from_json
from switchguard.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `detail` has the evidence as plain data.

    Of an outcome that is `change`, `diff`, `state`, `why`, `seconds`; else `verdict`, `change`, `slot` or `exemption`.

    `what`: sentenced, changed, ended, let back, verified, failed, refused, adopted, forgotten, exempted, unexempted,
    linked, unlinked, paused, resumed, told, not told. `subjects`: whom and what it is about, as `history` finds it.
    """

    at: datetime
    who: str
    what: str
    why: str
    subjects: tuple[str, ...]
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PenaltyRecord:
    """A penalty with its end, if it has ended, and the places where it sits, then too."""

    verdict: Verdict
    released_at: datetime | None
    why_released: str
    slots: tuple[HeldSlot, ...]

    @property
    def state(self) -> str:
        """`unplaced`, the state of its least finished slot, `releasing` or `released`."""
        if self.released_at is not None:
            return "releasing" if self.slots else "released"
        states = {held.state for held in self.slots}
        return next((s for s in ("failed", "planned", "pushed", "releasing", "verified") if s in states), "unplaced")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqlLedger:
    """ports.Ledger in an SQLite file (a path) or another database (a URL). Safe for threads and for several processes.

    `clock` dates what a person does (pause, exemptions); everything else is told its time. Every method, and opening,
    raises LedgerError with the store's name when the store fails.
    """

    def __init__(self, where: str | Path, clock: Callable[[], datetime] = _utc_now) -> None:
        self._store, self._clock = Store(where), clock

    @property
    def store(self) -> Store:
        """For the history of usage, which lives in the same database."""
        return self._store

    def close(self) -> None:
        self._store.close()

    # --- penalties ---------------------------------------------------------------------------------------------------

    def standing(self) -> tuple[Verdict, ...]:
        """What should be true: those that have not been released, oldest first."""
        table = tables.penalties.c
        query = select(table.verdict).where(table.released_at.is_(None)).order_by(table.since, table.id)
        with self._store.reading() as connection:
            return tuple(rows.load(Verdict, text) for text in connection.execute(query).scalars())

    def penalties(self, include_released: bool = False) -> tuple[PenaltyRecord, ...]:
        """What clients feel, oldest first: what stands, and what has ended but is on some device still."""
        query = select(tables.penalties).order_by(tables.penalties.c.since, tables.penalties.c.id)
        with self._store.reading() as connection:
            held = rows.held_slots(connection)
            if not include_released:
                query = query.where(_here(held))
            return tuple(_penalty_record(row, held) for row in connection.execute(query))

    def served(self) -> frozenset[str]:
        with self._store.reading() as connection:
            return rows.served(connection, tables.penalties.c.released_at.is_(None))

    def past(self, since: datetime, routine_of: Collection[str] | None = None) -> tuple[PastPenalty, ...]:
        """Penalties that ended since then. `routine_of`: those that were nobody's fault, only of these rules; with a
        limit for everybody they are most of all rows."""
        table = tables.penalties.c
        at, chosen = table.released_at, table.released_at >= since
        if routine_of is not None:
            chosen &= (table.routine == 0) | table.rule.in_(routine_of)
        query = select(table.verdict, at).where(chosen).order_by(at, table.id)
        with self._store.reading() as connection:
            verdicts = [(rows.load(Verdict, row.verdict), row.released_at) for row in connection.execute(query)]
            served = rows.served(connection, chosen)
        return tuple(ended(it, when, it.id in served) for it, when in verdicts if not it.probation)

    def sentence(
        self, verdicts: Sequence[Verdict], released: Sequence[Release], at: datetime, letters: Sequence[Letter] = ()
    ) -> None:
        """A penalty that has ended stays ended, whoever still lists it: another process may have lifted it since."""
        with self._store.writing() as connection:
            for verdict in verdicts:
                rows.sentence(connection, verdict, at)
            for release in released:
                rows.end(connection, release, at)
            notify_outbox.put(connection, letters, at)
            notify_outbox.forget_what_ended(connection)

    def forget_routine(
        self, before: datetime, spared: Collection[str] = (), spared_before: datetime | None = None, most: int = 200
    ) -> int:
        """What was nobody's fault and ended before then goes, and what was told of it; how many went. Of these rules,
        whose memory is longer, only what ended before that."""
        with self._store.writing() as connection:
            return rows.forget_routine(connection, before, spared, spared_before or before, most)

    # --- the landing page --------------------------------------------------------------------------------------------

    def present(self) -> tuple[Verdict, ...]:
        """Penalties that have not been released, or are on some device still."""
        with self._store.reading() as connection:
            here = select(tables.penalties.c.verdict).where(_here(rows.held_slots(connection)))
            return tuple(rows.load(Verdict, text) for text in connection.execute(here).scalars())

    def save_faces(self, faces: Faces) -> None:
        """Whom each address means, as of the last pass."""
        with self._store.writing() as connection:
            rows.note(connection, "faces", faces)

    def faces(self) -> Faces | None:
        with self._store.reading() as connection:
            found = rows.noted(connection, "faces")
        return None if found is None else from_json(Faces, found)

    def records(self, ids: Collection[str], since: datetime) -> tuple[PenaltyRecord, ...]:
        """Of these penalties, ended or not, and of all that began since then."""
        table = tables.penalties
        query = select(table).where(table.c.id.in_(ids) | (table.c.since >= since)).order_by(table.c.since, table.c.id)
        with self._store.reading() as connection:
            held = rows.held_slots(connection)
            return tuple(_penalty_record(row, held) for row in connection.execute(query))

    def wishes(self, releases: Sequence[Release], at: datetime) -> int:
        """How often these clients were let back at their own wish, in the day before, with whichever MAC."""
        with self._store.reading() as connection:
            return rows.wishes(connection, releases, at - A_DAY)

    def let_back(
        self, releases: Sequence[Release], watched: Sequence[Verdict], who: str, at: datetime, per_day: int
    ) -> bool:
        """A client's own wish: these penalties end, others take their place, and the rules count from the beginning.
        False, and nothing is changed, if that was wished `per_day` times already, however many ask at once. Whoever
        presses twice has wished once: what has ended in the meantime is granted, and nothing takes its place."""
        with self._store.writing() as connection:
            lifted = rows.still_standing(connection, releases)
            if lifted and rows.wishes(connection, lifted, at - A_DAY) >= per_day:
                return False
            causes = {(it.verdict.client, it.verdict.rule) for it in lifted}
            for verdict in watched:
                if (verdict.client, verdict.rule) in causes:
                    rows.sentence(connection, verdict, at)
            for release in lifted:
                rows.end(connection, release, at)
                rows.count_anew(connection, release.verdict)
                whose = rows.verdict_subjects(release.verdict) | rows.same_device(connection, release.verdict)
                rows.tell(connection, at, who, rows.LET_BACK, release.why, whose)
            notify_outbox.forget_what_ended(connection)
        return True

    # --- slots -------------------------------------------------------------------------------------------------------

    def held(self) -> tuple[HeldSlot, ...]:
        with self._store.reading() as connection:
            return rows.held_slots(connection)

    def intend(self, plan: Plan) -> Intent:
        """What is outdated by now is not meant; a slot that somebody has filled since is not forgotten."""
        with self._store.writing() as connection:
            held = rows.held_slots(connection)
            stale, anew = _outdated(connection, plan, held)
            for change in plan.changes:
                if change not in stale:
                    rows.mean(connection, change, "planned" if change.after else "releasing", plan.at)
            for change in plan.adopted:
                if change not in stale:
                    rows.adopt(connection, change, plan.at)
                    notify_outbox.done(connection, change.verdicts, plan.at)
            for slot in plan.forgotten:
                if slot not in anew:
                    rows.forget(connection, slot, plan.at)
        return Intent(held, {change: why for change, why in stale.items() if change in plan.changes})

    def outdated(self, plan: Plan) -> Mapping[Change, str]:
        """What `intend` would not put on record now, and why."""
        with self._store.reading() as connection:
            stale, _ = _outdated(connection, plan, rows.held_slots(connection))
        return {change: why for change, why in stale.items() if change in plan.changes}

    def pushed(self, changes: Sequence[Change], at: datetime) -> None:
        with self._store.writing() as connection:
            for change in changes:
                if change.after is not None:
                    rows.set_slot(connection, change.slot, state="pushed")

    def record(self, outcomes: Sequence[Outcome], at: datetime) -> None:
        """What was verified is verified or gone; a release that failed or was refused is still to be done.

        An outcome that repeats word for word, cycle after cycle, is told once in the history. Letters about a penalty
        may be sent once it is verified.
        """
        with self._store.writing() as connection:
            for outcome in outcomes:
                rows.record(connection, outcome, at)
                _hold_or_send_letters(connection, outcome, at)

    def disown(self, outcomes: Sequence[Outcome], at: datetime) -> None:
        """Refused before anything was tried: what was intended there never was ours. What somebody types there just
        because we did not, does not become ours either."""
        with self._store.writing() as connection:
            for outcome in outcomes:
                rows.record(connection, outcome, at)
                rows.disown(connection, outcome.change.slot)
                _hold_or_send_letters(connection, outcome, at)

    def forget_device(self, device: str, who: str, why: str) -> tuple[HeldSlot, ...]:
        """A device that is gone for good: what we had there is ours no more, and nobody will lift it. What stood there
        and has not ended stands, and is put wherever its client turns up."""
        with self._store.writing() as connection:
            gone = tuple(held for held in rows.held_slots(connection) if held.slot.device == device)
            for held in gone:
                rows.forget(connection, held.slot, self._clock(), who, why)
        return gone

    # --- who is whom -------------------------------------------------------------------------------------------------

    def identities(self, now: datetime) -> Identities:
        with self._store.reading() as connection:
            return identity_rows.identities(connection, now)

    def arrivals(self, macs: Collection[Mac], now: datetime, within: timedelta) -> Arrivals:
        with self._store.reading() as connection:
            return identity_rows.arrivals(connection, macs, now, within)

    def keep_identities(self, before: Identities, after: Identities, at: datetime) -> None:
        if before != after:
            with self._store.writing() as connection:
                identity_rows.keep(connection, before, after, at)

    def links(self, macs: Collection[Mac] | None = None) -> tuple[Link, ...]:
        """All that are remembered, or those of these MACs and of what these are linked with, and so on."""
        with self._store.reading() as connection:
            return identity_rows.links(connection, macs)

    def unlink(self, one: Mac, other: Mac, who: str, why: str) -> None:
        """They are two devices, from now on, whatever it looks like."""
        with self._store.writing() as connection:
            identity_rows.unlink(connection, one, other, who, why, self._clock())

    # --- exemptions --------------------------------------------------------------------------------------------------

    def exemptions(self, now: datetime) -> tuple[Exemption, ...] | Gap:
        try:
            with self._store.reading() as connection:
                return rows.exemptions(connection, now)
        except LedgerError as error:
            return Gap("ledger", "exemptions", str(error))

    def add_exemption(self, exemption: Exemption, who: str) -> None:
        """Replaces an exemption of the same id."""
        with self._store.writing() as connection:
            rows.put(connection, tables.exemptions, {"id": exemption.id}, {"exemption": rows.dump(exemption)})
            subjects = rows.exemption_subjects(exemption)
            rows.tell(connection, self._clock(), who, "exempted", exemption.why, subjects, {"exemption": exemption})

    def remove_exemption(self, exemption_id: str, who: str, why: str = "") -> bool:
        """Whether there was one."""
        table = tables.exemptions
        with self._store.writing() as connection:
            text = connection.execute(select(table.c.exemption).where(table.c.id == exemption_id)).scalar()
            if text is None:
                return False
            connection.execute(delete(table).where(table.c.id == exemption_id))
            exemption = rows.load(Exemption, text)
            subjects = rows.exemption_subjects(exemption)
            rows.tell(connection, self._clock(), who, "unexempted", why, subjects, {"exemption": exemption})
        return True

    # --- cycles ------------------------------------------------------------------------------------------------------

    def streaks(self) -> Mapping[tuple[str, str], int]:
        with self._store.reading() as connection:
            return {(row.rule, row.client): row.polls for row in connection.execute(select(tables.streaks))}

    def remember(self, at: datetime, streaks: Mapping[tuple[str, str], int]) -> None:
        with self._store.writing() as connection:
            connection.execute(delete(tables.streaks))
            counts = [{"rule": rule, "client": client, "polls": n} for (rule, client), n in streaks.items()]
            if counts:
                connection.execute(insert(tables.streaks), counts)
            rows.note(connection, "last_cycle", at.isoformat())

    def last_cycle(self) -> datetime | None:
        with self._store.reading() as connection:
            at = rows.noted(connection, "last_cycle")
        return None if at is None else datetime.fromisoformat(at)

    def save_status(self, status: Mapping[str, object]) -> None:
        """What the running service says about itself: plain data."""
        with self._store.writing() as connection:
            rows.note(connection, "status", dict(status))

    def status(self) -> Mapping[str, Any] | None:
        with self._store.reading() as connection:
            found: Mapping[str, Any] | None = rows.noted(connection, "status")
        return found

    # --- pause -------------------------------------------------------------------------------------------------------

    def paused(self) -> str | None:
        with self._store.reading() as connection:
            pause = rows.noted(connection, "pause")
        if pause is None:
            return None
        if not isinstance(pause, Mapping) or not {"why", "who", "at"} <= pause.keys():
            raise LedgerError(f"the note that says whether writes are paused makes no sense: {pause!r:.80}")
        return f"{pause['why']} ({pause['who']}, {pause['at']})"

    def pause(self, why: str, who: str) -> None:
        at = self._clock()
        with self._store.writing() as connection:
            rows.note(connection, "pause", {"why": why, "who": who, "at": at.isoformat(timespec="seconds")})
            rows.tell(connection, at, who, "paused", why)

    def resume(self, who: str, why: str = "") -> bool:
        """Whether there was a pause to end."""
        with self._store.writing() as connection:
            there_was = connection.execute(delete(tables.notes).where(tables.notes.c.name == "pause")).rowcount > 0
            if there_was:
                rows.tell(connection, self._clock(), who, "resumed", why)
        return there_was

    # --- history -----------------------------------------------------------------------------------------------------

    def history(self, *targets: str, limit: int | None = None) -> tuple[Event, ...]:
        """Oldest first: events that concern any target (client id, MAC in any spelling, address, verdict id, device);
        without targets all of them. `limit`: only so many of the newest."""
        query = select(tables.events).order_by(tables.events.c.id.desc()).limit(limit)
        subject = tables.event_subjects
        if targets:
            names = {name for target in targets for name in _spellings(target)}
            concerned = select(subject.c.event).where(subject.c.subject.in_(names))
            query = query.where(tables.events.c.id.in_(concerned))
        with self._store.reading() as connection:
            newest_first = connection.execute(query).all()
            return tuple(_event(connection, row) for row in reversed(newest_first))


def _outdated(
    connection: Connection, plan: Plan, held: Sequence[HeldSlot]
) -> tuple[Mapping[Change, str], Collection[Slot]]:
    """What has become outdated, and the slots that have got causes since."""
    concerned = {it.slot for it in (*plan.changes, *plan.adopted)}.union(plan.forgotten)
    there = tuple(it for it in held if it.slot in concerned)
    causes = {id_ for it in there for id_ in it.verdicts}
    causes.update(id_ for it in (*plan.changes, *plan.adopted) for id_ in it.verdicts)
    stand, ended = rows.standing_or_ended(connection, causes)
    puts = any(it.after is not None for it in (*plan.changes, *plan.adopted))
    exempt = rows.exemptions(connection, plan.at) if puts else ()
    found = outdated(plan, there, stand, ended, exempt, plan.at)
    return found, unforeseen(plan, there, stand).keys()


def _here(held: Sequence[HeldSlot]) -> ColumnElement[bool]:
    """Not released, or on some device still."""
    table, still = tables.penalties.c, {ident for slot in held for ident in slot.verdicts}
    return table.released_at.is_(None) | table.id.in_(still)


def _hold_or_send_letters(connection: Connection, outcome: Outcome, at: datetime) -> None:
    change = outcome.change
    if change.after is None:
        return
    if outcome.state == "verified":
        notify_outbox.done(connection, change.verdicts, at)
    else:
        notify_outbox.not_done_yet(connection, change.verdicts, at, f"{change.slot.device}: {outcome.why}")


def _penalty_record(row: Row[Any], held: Sequence[HeldSlot]) -> PenaltyRecord:
    places = tuple(slot for slot in held if row.id in slot.verdicts)
    return PenaltyRecord(rows.load(Verdict, row.verdict), row.released_at, row.released_why, places)


def _event(connection: Connection, row: Row[Any]) -> Event:
    subject = tables.event_subjects.c
    query = select(subject.subject).where(subject.event == row.id).order_by(subject.subject)
    subjects = tuple(connection.execute(query).scalars())
    return Event(row.at, row.who, row.what, row.why, subjects, json.loads(row.detail))


def _spellings(target: str) -> Iterator[str]:
    """As it is (twelve hexadecimal digits may be the id of a verdict) and as the history writes MACs and addresses."""
    yield target
    for parse in (Mac.parse, ip_address):
        with suppress(ValueError):
            yield str(parse(target))
