"""Who is connected, from one reading of a source to the next: sessions with a beginning and an end, kept for a day.

A source that only tells who has which addresses (WireGuard, a list without times) leaves the beginning to us: it is the
reading before, if the addresses were nobody's then. Who had them at our very first reading had them always: with
WireGuard the configuration binds addresses to a key, and nobody else can send from them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

from switchguard.core.model import Address, Network, UserSession

ALWAYS = datetime.fromtimestamp(0, UTC)
"""Since when somebody has an address who had it already when we looked for the first time."""
CONFIRMED_FOR = timedelta(minutes=5)
"""A session that its source has not confirmed for so long no longer says who has an address."""
REMEMBERED = timedelta(days=1)
"""Ended sessions are forgotten after this."""


@dataclass(frozen=True, slots=True)
class Told:
    """One session as a source tells it. `since` None: it only tells that the person has these addresses."""

    user: str
    addresses: tuple[Address | Network, ...]
    since: datetime | None = None
    until: datetime | None = None
    peer: Address | None = None


def carry_on(
    before: Iterable[UserSession],
    told: Iterable[Told],
    source: str,
    at: datetime,
    last_read: datetime | None,
    *,
    complete: bool = True,
    renewed: bool = False,
) -> tuple[UserSession, ...]:
    """What is known of a source's sessions after a reading at `at`; `last_read` is the one before.

    Who is not mentioned any more has left since they were seen last, unless the reading was not `complete`. `renewed`:
    the source tells a later beginning for a session that merely changed its keys; the first one then counts.
    """
    known = tuple(before)
    now = tuple(_followed(it, known, source, at, last_read, renewed) for it in told)
    said = {(it.user, it.addresses, it.since) for it in now}
    others = (it for it in known if (it.user, it.addresses, it.since) not in said)
    past = (it if _still_there(it, now, complete) else _ended(it) for it in others)
    kept = (it for it in past if it.until is None or at - it.until <= REMEMBERED)
    return tuple(sorted((*now, *kept), key=lambda it: (it.since, it.user, str(it.addresses))))


def _followed(
    told: Told, known: Sequence[UserSession], source: str, at: datetime, last_read: datetime | None, renewed: bool
) -> UserSession:
    since = told.since
    if since is None or renewed:
        same = [it for it in known if (it.user, it.addresses) == (told.user, told.addresses)]
        if renewed:
            same = [it for it in same if it.until is None and it.peer == told.peer]
        latest = max(same, key=lambda it: it.since, default=None)
        if latest is not None and not _disturbed(latest, known):
            since = latest.since if since is None else min(since, latest.since)
    if since is None:
        since = _first_sight(told, known, at, last_read)
    return UserSession(source, told.user, told.addresses, since, told.until, told.peer, at)


def _disturbed(session: UserSession, known: Iterable[UserSession]) -> bool:
    """Somebody else has had one of its addresses since it began."""
    return any(
        it.user != session.user and (it.until is None or it.until > session.since) and _share(it, session)
        for it in known
    )


def _first_sight(told: Told, known: Iterable[UserSession], at: datetime, last_read: datetime | None) -> datetime:
    """Nobody had it at the reading before, so it is theirs from then on. If somebody else had, or that was long ago:
    from now on."""
    if last_read is None:
        return ALWAYS
    if at - last_read > CONFIRMED_FOR:
        return at
    others = any(it.user != told.user and overlap(it.addresses, told.addresses) and it.until is None for it in known)
    return at if others else last_read


def _still_there(session: UserSession, now: Iterable[UserSession], complete: bool) -> bool:
    if session.until is not None:
        return True
    return not complete and not any(_share(session, it) for it in now)


def _ended(session: UserSession) -> UserSession:
    return replace(session, until=session.seen or session.since)


def _share(one: UserSession, other: UserSession) -> bool:
    return overlap(one.addresses, other.addresses)


def overlap(some: Iterable[Address | Network], others: Sequence[Address | Network]) -> bool:
    spans = [_span(it) for it in others]
    return any(
        version == of and low <= last and first <= high
        for version, low, high in map(_span, some)
        for of, first, last in spans
    )


def _span(held: Address | Network) -> tuple[int, int, int]:
    """IP version, first and last address as numbers."""
    if isinstance(held, IPv4Network | IPv6Network):
        return held.version, int(held.network_address), int(held.broadcast_address)
    return held.version, int(held), int(held)
