"""Who is known again under another MAC, as the ledger keeps it: inside a transaction that somebody else opened.

Traces are few and of a fixed size; those that matter no more go at once. Links are kept as long as the history of a
client's days, those that somebody has undone for ever.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, or_, select, text

from switchguard.core.identity import link_sentence
from switchguard.core.model import Mac
from switchguard.core.traces import Arrivals, Identities, Link, Trace
from switchguard.edge import ledger_rows as rows
from switchguard.edge import ledger_tables as tables
from switchguard.edge.history import SEEN_AGAIN_S, moment_of, second_of
from switchguard.edge.history_sql import FIRST_SEEN

LATELY = timedelta(days=1)
"""Links that were looked at since then are told to a pass."""
KEPT = timedelta(days=400)
_SETTLED = "SELECT mac FROM macs WHERE first_seen <= :since AND last_seen >= :gone"
"""Who came long ago and has not been away."""


def identities(connection: Connection, now: datetime) -> Identities:
    link, trace = tables.links.c, tables.traces.c
    recent = select(link.link).where(or_(link.at >= now - LATELY, link.undone == 1)).order_by(link.old, link.new)
    return Identities(
        tuple(rows.load(Trace, it) for it in connection.execute(select(trace.trace).order_by(trace.mac)).scalars()),
        tuple(rows.load(Link, it) for it in connection.execute(recent).scalars()),
    )


def arrivals(connection: Connection, macs: Collection[Mac], now: datetime, within: timedelta) -> Arrivals:
    """The last sight of a MAC is written down once an hour, so who was away for less than two is not known to be. Whom
    the very first look found was there before it."""
    oldest = connection.execute(select(func.min(tables.macs.c.first_seen))).scalar()
    if oldest is None:
        return Arrivals({}, settled=False)
    began = second_of(now - within)
    since = {"since": max(began, oldest), "gone": second_of(now) - 2 * SEEN_AGAIN_S}
    settled = set(connection.execute(text(_SETTLED), since).scalars())
    came = [mac for mac in macs if mac.value not in settled]
    query = text(FIRST_SEEN).bindparams(bindparam("macs", expanding=True))
    known = connection.execute(query, {"macs": [mac.value for mac in came]}).all() if came else ()
    first = {row.mac: moment_of(row.first_seen) for row in known}
    return Arrivals({mac: first.get(mac.value) for mac in came}, settled=oldest < began)


def keep(connection: Connection, before: Identities, after: Identities, at: datetime) -> None:
    old, new = ({trace.mac: trace for trace in them.traces} for them in (before, after))
    for mac in old.keys() - new.keys():
        connection.execute(delete(tables.traces).where(tables.traces.c.mac == mac.value))
    for mac, trace in new.items():
        if old.get(mac) != trace:
            rows.put(connection, tables.traces, {"mac": mac.value}, {"trace": rows.dump(trace)})
    _keep_links(connection, set(after.links) - set(before.links), at)
    forgotten = (tables.links.c.at < at - KEPT) & (tables.links.c.undone == 0)
    connection.execute(delete(tables.links).where(forgotten))


def _keep_links(connection: Connection, changed: Iterable[Link], at: datetime) -> None:
    """A person may have undone one since it was read."""
    for link in sorted(changed, key=lambda it: (it.old, it.new)):
        there = _link(connection, link.old, link.new)
        if there is None or there.undone is None:
            _put(connection, link)
        if there is None:
            rows.tell(connection, at, rows.SERVICE, "linked", link_sentence(link), _subjects(link), {"link": link})


def links(connection: Connection, macs: Collection[Mac] | None) -> tuple[Link, ...]:
    """By time."""
    link = tables.links.c
    found: set[Link] = set()
    wanted: set[int] | None = None if macs is None else {mac.value for mac in macs}
    while True:
        query = select(link.link)
        if wanted is not None:
            query = query.where(or_(link.old.in_(wanted), link.new.in_(wanted)))
        more = {rows.load(Link, it) for it in connection.execute(query).scalars()} - found
        found |= more
        if wanted is None or not more:
            return tuple(sorted(found, key=lambda it: (it.since, it.old, it.new)))
        wanted |= {mac.value for it in more if it.undone is None for mac in (it.old, it.new)}


def unlink(connection: Connection, one: Mac, other: Mac, who: str, why: str, at: datetime) -> None:
    undone = f"{why} ({who})"
    for old, new in ((one, other), (other, one)):
        there = _link(connection, old, new) or Link(old, new, 0.0, (), at, at)
        _put(connection, replace(there, undone=undone, polls=0))
    rows.tell(connection, at, who, "unlinked", f"{one} and {other} are two devices: {why}", (str(one), str(other)))


def _link(connection: Connection, old: Mac, new: Mac) -> Link | None:
    link = tables.links.c
    found = connection.execute(select(link.link).where(link.old == old.value, link.new == new.value)).scalar()
    return None if found is None else rows.load(Link, found)


def _put(connection: Connection, link: Link) -> None:
    values = {"at": link.at, "undone": int(link.undone is not None), "link": rows.dump(link)}
    rows.put(connection, tables.links, {"old": link.old.value, "new": link.new.value}, values)


def _subjects(link: Link) -> tuple[str, str]:
    return str(link.old), str(link.new)
