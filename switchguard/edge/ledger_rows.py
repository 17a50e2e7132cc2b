"""The ledger's rows: how verdicts, slots and events are kept, inside a transaction that somebody else opened."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select, update

from switchguard.core.changes import Change, HeldSlot, Outcome, Slot
from switchguard.core.penalties import Exemption, Release, Verdict
from switchguard.edge import ledger_tables as tables
from switchguard.edge.snapshots import from_json, to_json

SERVICE = "switchguard"
"""Who did what nobody asked for by name."""
LET_BACK = "let back"
"""A client's own wish."""

GONE = "wanted no more, and already gone from the device"

_LIFTED = '{"change": {"after": null,'
"""How the detail of an outcome begins that took something off a device."""

T = TypeVar("T")


# --- penalties -------------------------------------------------------------------------------------------------------


def sentence(connection: Connection, verdict: Verdict, at: datetime) -> None:
    table, text = tables.penalties, dump(verdict)
    row = connection.execute(select(table).where(table.c.id == verdict.id)).first()
    if row is not None and (
        row.released_at is not None or text == row.verdict or verdict == load(Verdict, row.verdict)
    ):
        return
    if row is None:
        values = {"id": verdict.id, "since": verdict.since, "released_why": ""}
        connection.execute(insert(table).values(**values, **_columns(verdict)))
    else:
        connection.execute(update(table).where(table.c.id == verdict.id).values(**_columns(verdict)))
    what = "sentenced" if row is None else "changed"
    who, subjects = verdict.requested_by or SERVICE, verdict_subjects(verdict)
    tell(connection, at, who, what, verdict.because, subjects, {"verdict": verdict})


def _columns(verdict: Verdict) -> dict[str, object]:
    routine = int(verdict.routine)
    return {"client": verdict.client, "rule": verdict.rule, "routine": routine, "verdict": dump(verdict)}


def end(connection: Connection, release: Release, at: datetime) -> None:
    table, verdict = tables.penalties, release.verdict
    standing = (table.c.id == verdict.id) & table.c.released_at.is_(None)
    if connection.execute(update(table).where(standing).values(released_at=at, released_why=release.why)).rowcount:
        tell(connection, at, SERVICE, "ended", release.why, verdict_subjects(verdict), {"verdict": verdict})


def served(connection: Connection, chosen: ColumnElement[bool]) -> frozenset[str]:
    """Ids of the chosen penalties that were seen on some device, by what the history has of them."""
    subject, event = tables.event_subjects.c, tables.events.c
    put = (event.what == "verified") & event.detail.not_like(f"{_LIFTED}%")
    there = select(subject.subject).where(
        subject.subject.in_(select(tables.penalties.c.id).where(chosen)),
        subject.event == event.id,
        (event.what == "adopted") | put,
    )
    return frozenset(connection.execute(there.distinct()).scalars())


def forget_routine(
    connection: Connection, before: datetime, spared: Collection[str], spared_before: datetime, most: int
) -> int:
    """The oldest first, except what is on some device still. What people did, and what is told of others too, stays."""
    table, subject, event = tables.penalties.c, tables.event_subjects.c, tables.events.c
    ended = select(table.id).where(table.routine == 1, table.released_at < before).order_by(table.released_at)
    if spared:
        ended = ended.where(table.rule.not_in(spared) | (table.released_at < spared_before))
    if connection.execute(ended.limit(1)).first() is None:
        return 0
    held = {ident for slot in held_slots(connection) for ident in slot.verdicts}
    there = connection.execute(ended.limit(most + len(held))).scalars()
    gone = [ident for ident in there if ident not in held][:most]
    connection.execute(delete(tables.penalties).where(table.id.in_(gone)))
    told = select(subject.event).where(subject.subject.in_(gone))
    by_us = set(connection.execute(select(event.id).where(event.id.in_(told), event.who == SERVICE)).scalars())
    shared = select(subject.event).join(tables.penalties, table.id == subject.subject).where(subject.event.in_(by_us))
    forgotten = by_us.difference(connection.execute(shared).scalars())
    connection.execute(delete(tables.event_subjects).where(subject.event.in_(forgotten)))
    connection.execute(delete(tables.events).where(event.id.in_(forgotten)))
    return len(gone)


def still_standing(connection: Connection, releases: Sequence[Release]) -> tuple[Release, ...]:
    """Those whose penalty nobody has ended in the meantime."""
    table, wanted = tables.penalties.c, [it.verdict.id for it in releases]
    stand = select(table.id).where(table.id.in_(wanted), table.released_at.is_(None))
    here = set(connection.execute(stand).scalars())
    return tuple(it for it in releases if it.verdict.id in here)


def standing_or_ended(connection: Connection, ids: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Which of these penalties stand, and which have ended; the others are not on record."""
    table = tables.penalties.c
    found = connection.execute(select(table.id, table.released_at).where(table.id.in_(ids))).all() if ids else []
    ended = frozenset(row.id for row in found if row.released_at is not None)
    return frozenset(row.id for row in found) - ended, ended


def exemptions(connection: Connection, now: datetime) -> tuple[Exemption, ...]:
    """Those that have not expired, by id."""
    query = select(tables.exemptions.c.exemption).order_by(tables.exemptions.c.id)
    found = (load(Exemption, text) for text in connection.execute(query).scalars())
    return tuple(it for it in found if it.until is None or it.until > now)


def wishes(connection: Connection, releases: Sequence[Release], since: datetime) -> int:
    """Moments at which a client of these was let back: several penalties at once are one wish. Neither a new address
    nor a new MAC makes a new client."""
    who = set().union(*(same_device(connection, release.verdict) for release in releases))
    subject, event = tables.event_subjects.c, tables.events.c
    concerned = select(subject.event).where(subject.subject.in_(who))
    asked = select(event.at).where(event.what == LET_BACK, event.at > since, event.id.in_(concerned)).distinct()
    return len(connection.execute(asked).all())


def same_device(connection: Connection, verdict: Verdict) -> set[str]:
    """Its client and MACs, and those of the penalty that it follows, and so on: one device under several names."""
    table, found, ids = tables.penalties.c, {verdict.id: verdict}, {verdict.follows} - {None}
    while ids := ids - found.keys():
        texts = connection.execute(select(table.verdict).where(table.id.in_(ids))).scalars()
        before = [load(Verdict, text) for text in texts]
        found |= {it.id: it for it in before}
        ids = {it.follows for it in before} - {None}
    return {str(name) for it in found.values() for name in (it.client, *it.macs)}


def count_anew(connection: Connection, verdict: Verdict) -> None:
    """Of the polls in a row over the rule's threshold, none count any more."""
    table = tables.streaks
    connection.execute(delete(table).where(table.c.rule == verdict.rule, table.c.client == verdict.client))


# --- slots -----------------------------------------------------------------------------------------------------------


def held_slots(connection: Connection) -> tuple[HeldSlot, ...]:
    return tuple(_held_slot(row) for row in connection.execute(select(tables.slots).order_by(tables.slots.c.slot)))


def _held_slot(row: Row[Any]) -> HeldSlot:
    document = {"slot": json.loads(row.slot), "penalty": json.loads(row.penalty), "state": row.state}
    verdicts, since = json.loads(row.verdicts), row.since.isoformat()
    return from_json(HeldSlot, {**document, "verdicts": verdicts, "since": since})


def _key(slot: Slot) -> str:
    """As ledgers have it from before slots could be subnets: the rows of all others are found by the same text."""
    document = to_json(slot)
    return json.dumps(
        {name: it for name, it in document.items() if name != "network" or it is not None}, sort_keys=True
    )


def _slot_row(connection: Connection, slot: Slot) -> Row[Any] | None:
    return connection.execute(select(tables.slots).where(tables.slots.c.slot == _key(slot))).first()


def mean(connection: Connection, change: Change, state: str, at: datetime) -> None:
    """A release keeps the penalty and the causes of its slot until it is verified; a new penalty has its own."""
    row = _slot_row(connection, change.slot)
    penalty = change.after or change.before
    verdicts = json.loads(row.verdicts) if row is not None and change.after is None else list(change.verdicts)
    same = row is not None and row.penalty == dump(penalty)
    known = row is not None and set(json.loads(row.verdicts)) == set(verdicts)
    values = {
        "penalty": dump(penalty),
        "state": state,
        "verdicts": json.dumps(verdicts),
        "since": row.since if row is not None and same else at,
        "last_outcome": row.last_outcome if row is not None and known else "",
    }
    put(connection, tables.slots, {"slot": _key(change.slot)}, values)


def adopt(connection: Connection, change: Change, at: datetime) -> None:
    mean(connection, change, "verified", at)
    why = change.why or "found in place after its outcome was lost"
    tell(connection, at, SERVICE, "adopted", why, change_subjects(connection, change), {"change": change})


def set_slot(connection: Connection, slot: Slot, **values: object) -> None:
    connection.execute(update(tables.slots).where(tables.slots.c.slot == _key(slot)).values(**values))


def _drop_slot(connection: Connection, slot: Slot) -> None:
    connection.execute(delete(tables.slots).where(tables.slots.c.slot == _key(slot)))


def disown(connection: Connection, slot: Slot) -> None:
    """What was only planned. What another pass has tried since, it holds."""
    here = (tables.slots.c.slot == _key(slot)) & (tables.slots.c.state == "planned")
    connection.execute(delete(tables.slots).where(here))


def forget(connection: Connection, slot: Slot, at: datetime, who: str = SERVICE, why: str = GONE) -> None:
    row = _slot_row(connection, slot)
    if row is None:
        return
    subjects = _slot_subjects(connection, slot, json.loads(row.verdicts))
    tell(connection, at, who, "forgotten", why, subjects, {"slot": slot})
    _drop_slot(connection, slot)


def record(connection: Connection, outcome: Outcome, at: datetime) -> None:
    change = outcome.change
    row, words = _slot_row(connection, change.slot), f"{outcome.state} {change.after} {outcome.why}"
    if row is None or row.last_outcome != words:
        subjects = change_subjects(connection, change)
        tell(connection, at, SERVICE, outcome.state, outcome.why or change.why, subjects, outcome)
    if outcome.state == "verified" and change.after is None:
        if row is not None and row.state == "releasing":  # else somebody has put something there since
            _drop_slot(connection, change.slot)
    elif outcome.state == "refused" or change.after is None:
        set_slot(connection, change.slot, last_outcome=words)
    else:
        if row is None:  # somebody has disowned it since: what stands there by us is ours all the same
            mean(connection, change, outcome.state, at)
        set_slot(connection, change.slot, state=outcome.state, last_outcome=words)


# --- events ----------------------------------------------------------------------------------------------------------


def tell(
    connection: Connection,
    at: datetime,
    who: str,
    what: str,
    why: str,
    subjects: Collection[str] = (),
    detail: object = None,
) -> None:
    values = {"at": at, "who": who, "what": what, "why": why, "detail": dump(detail or {})}
    event = connection.execute(insert(tables.events).values(**values)).inserted_primary_key
    if event is not None and subjects:
        rows = [{"event": event[0], "subject": subject} for subject in sorted(set(subjects))]
        connection.execute(insert(tables.event_subjects), rows)


def verdict_subjects(verdict: Verdict) -> set[str]:
    return {verdict.id, verdict.client, *map(str, verdict.macs), *map(str, verdict.addresses)}


def exemption_subjects(exemption: Exemption) -> set[str]:
    return {str(it) for it in (exemption.id, exemption.network, exemption.mac, exemption.user) if it is not None}


def change_subjects(connection: Connection, change: Change) -> set[str]:
    """Of a change: its place, and whoever it is about. A release finds its causes in the slot that it empties."""
    row = None if change.verdicts else _slot_row(connection, change.slot)
    return _slot_subjects(connection, change.slot, change.verdicts if row is None else json.loads(row.verdicts))


def _slot_subjects(connection: Connection, slot: Slot, verdicts: Sequence[str]) -> set[str]:
    place = {str(it) for it in (slot.device, slot.station.mac, slot.address, slot.network) if it is not None}
    query = select(tables.penalties.c.verdict).where(tables.penalties.c.id.in_(verdicts))
    causes = [load(Verdict, text) for text in connection.execute(query).scalars()]
    return place.union(verdicts, *map(verdict_subjects, causes))


# --- rows ------------------------------------------------------------------------------------------------------------


def dump(value: object) -> str:
    return json.dumps(to_json(value), sort_keys=True)


def load(kind: type[T], text: str) -> T:
    return from_json(kind, json.loads(text))


def put(connection: Connection, table: Table, key: Mapping[str, object], values: Mapping[str, object]) -> None:
    """Insert or replace, in words that every database understands."""
    here = [table.c[name] == value for name, value in key.items()]
    if not connection.execute(update(table).where(*here).values(**values)).rowcount:
        connection.execute(insert(table).values(**key, **values))


def note(connection: Connection, name: str, value: object) -> None:
    put(connection, tables.notes, {"name": name}, {"value": dump(value)})


def noted(connection: Connection, name: str) -> Any:
    text = connection.execute(select(tables.notes.c.value).where(tables.notes.c.name == name)).scalar()
    return None if text is None else json.loads(text)
