"""An offence, a rule and a zone -> which penalty, and until when: ladders, times of the day, probation, the box.

A ladder's step follows from the same decayed memory as escalation, rounded: a client that behaved for long enough
stands on the first step again. Every step before the last lasts what it says; only the last one grows.

A zone's ladder says the hardest that may happen there. The order of hardness, softest first: a notice, a cap of
sessions, a rate limit, a restriction of ports, quarantine, a block; of two with a number, the larger number is softer.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

from switchguard.core.calendar import Calendar, next_at
from switchguard.core.model import Address
from switchguard.core.penalties import Block, Notify, Penalty, Quarantine, RateLimit, RestrictPorts, SessionCap, Verdict
from switchguard.core.policy import Box, Sentence, Zone

LONGEST = timedelta(days=3650)
"""Where escalation without `at_most` stops growing, so that an end is always a date."""

_SOFTEST_FIRST: tuple[type, ...] = (Notify, SessionCap, RateLimit, RestrictPorts, Quarantine, Block)


def step(sentence: Sentence, decayed_offences: float) -> tuple[Sentence, float]:
    """The ladder's step for this many decayed offences, and how many of them make that step grow."""
    steps = (sentence, *sentence.then)
    number = min(int(decayed_offences + 0.5), len(steps) - 1)
    if number < len(steps) - 1:
        return steps[number], 0.0
    return steps[number], max(0.0, decayed_offences - number)


def how_long(sentence: Sentence, decayed_offences: float) -> timedelta | None:
    """The term for somebody with this many decayed offences; None: until somebody lifts it. An `escalate` below one
    counts as one: repeating never pays."""
    if sentence.lasts is None:
        return None
    ceiling = sentence.at_most if sentence.at_most is not None else max(sentence.lasts, LONGEST)
    try:
        factor: float = max(1.0, sentence.escalate) ** decayed_offences
    except OverflowError:
        return ceiling
    if sentence.lasts.total_seconds() * factor >= ceiling.total_seconds():
        return ceiling
    return sentence.lasts * factor


def ends(sentence: Sentence, decayed_offences: float, now: datetime, zone: tzinfo) -> datetime | None:
    """When a step that begins now is over; None: when somebody lifts it."""
    if sentence.until is not None:
        return next_at(now, sentence.until, zone)
    term = how_long(sentence, decayed_offences)
    return None if term is None else now + term


# --- zones -----------------------------------------------------------------------------------------------------------


def zone_of(addresses: Iterable[Address], zones: Iterable[Zone]) -> Zone | None:
    """The first zone that holds any of these addresses."""
    known = tuple(addresses)
    for zone in zones:
        for network in zone.networks:
            if any(it.version == network.version and it in network for it in known):
                return zone
    return None


def softened(penalty: Penalty, zone: Zone | None, offence: int) -> Penalty:
    """What the zone lets happen to somebody with this offence, counted from 1; never harder than `penalty`."""
    if zone is None or not zone.ladder:
        return penalty
    allowed = zone.ladder[min(offence, len(zone.ladder)) - 1]
    return min(penalty, allowed, key=hardness)


def hardness(penalty: Penalty) -> tuple[int, int]:
    """Larger is harder."""
    rank = _SOFTEST_FIRST.index(type(penalty))
    match penalty:
        case SessionCap(number) | RateLimit(number) | RestrictPorts(number):
            return rank, -number
        case _:
            return rank, 0


def cuts_nobody_off(penalty: Penalty) -> bool:
    """It tells or slows down: harmless for however many. A ladder that began gently may end with something else."""
    return isinstance(penalty, Notify | SessionCap | RateLimit)


# --- the box ---------------------------------------------------------------------------------------------------------


def in_box(verdict: Verdict) -> bool:
    """Limited for an offence; a limit for everybody, and probation, are none."""
    return isinstance(verdict.penalty, RateLimit) and not verdict.routine and not verdict.probation


def emptied(box: Box | None, verdict: Verdict, now: datetime, zone: tzinfo) -> str | None:
    """Why the box lets this verdict go: a time to empty it has come since. None: it does not. What a person asked for
    is the person's to end."""
    if box is None or box.empty_at is None or verdict.requested_by is not None or not in_box(verdict):
        return None
    if verdict.since >= Calendar(zone, box.empty_at).window(now, "day").start:
        return None
    return f"the box is emptied every day at {box.empty_at:%H:%M}"


def at_latest(
    box: Box | None, penalty: Penalty, until: datetime | None, now: datetime, zone: tzinfo
) -> datetime | None:
    """When a limit ends, given that the box is emptied."""
    if box is None or box.empty_at is None or not isinstance(penalty, RateLimit):
        return until
    emptying = next_at(now, box.empty_at, zone)
    return emptying if until is None else min(until, emptying)
