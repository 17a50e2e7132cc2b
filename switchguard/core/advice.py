"""A penalty -> what its client should be told: what was seen, what it does to others, how to set it right, until when.

The words are data (`Words`, one per language); this says which of them fit. Nothing of it is secret: no threshold but
the one that was crossed, no other client, no device of the network. Mails and the landing page are made of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from switchguard.core.explain import rate, volume
from switchguard.core.letters import Facts
from switchguard.core.penalties import (
    Block,
    Notify,
    Penalty,
    Quarantine,
    RateLimit,
    RestrictPorts,
    SessionCap,
    Unit,
)

TROUBLES: Mapping[str, str] = {
    "naughty_factor": "connections",
    "connections": "connections",
    "nat_pressure": "connections",
    "share_of_link": "traffic",
    "quota": "traffic",
    "registered_only": "unregistered",
    "new_device": "new",
    "manual": "manual",
}
"""Kind of rule -> what the trouble is, for people; any other is `other`."""
TROUBLE_NAMES = (*dict.fromkeys(TROUBLES.values()), "other")
NUMBERS: Mapping[Unit, str] = {"connections": "connections", "share": "share", "octets": "octets"}
"""Unit of a finding -> the sentence that tells its numbers; others mean nothing to a visitor."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What to say about one sort of trouble."""

    seen: str
    harm: str
    how: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """One language. `numbers` and `penalties` are sentences with `{names}` in them, `moment` is a strftime format."""

    language: str
    name: str
    moment: str
    decimal: str
    thousands: str
    until: str
    forever: str
    troubles: Mapping[str, Trouble]
    numbers: Mapping[str, str]
    penalties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Advice:
    """In one language, ready to be laid out. Whole sentences, except for the times."""

    seen: tuple[str, ...]
    harm: str
    how: tuple[str, ...]
    done: str
    since: str
    until: str
    """`until …`, or that it has no end of its own."""


def advice(told: Facts, words: Words, zone: tzinfo) -> Advice:
    """Times are told by the clock of this zone."""
    trouble = words.troubles[TROUBLES.get(told.kind, "other")]
    return Advice(
        seen=(trouble.seen, *_numbers(told, words)),
        harm=trouble.harm,
        how=trouble.how,
        done=_done(told.penalty, words),
        since=_moment(told.since, words, zone),
        until=words.forever if told.until is None else words.until.format(until=_moment(told.until, words, zone)),
    )


def _numbers(told: Facts, words: Words) -> Iterator[str]:
    """The connections that were open, where those are the trouble; the value that was over the threshold."""
    if TROUBLES.get(told.kind) == "connections" and told.sessions and told.remotes:
        counts = {"sessions": _count(told.sessions, words), "remotes": _count(told.remotes, words)}
        yield words.numbers["sessions"].format(**counts)
    if told.value is not None and told.threshold is not None and told.unit in NUMBERS:
        value, threshold = (_amount(it, told.unit, words) for it in (told.value, told.threshold))
        yield words.numbers[NUMBERS[told.unit]].format(value=value, threshold=threshold)


def _amount(number: float, unit: Unit, words: Words) -> str:
    match unit:
        case "share":
            return f"{_decimal(f'{100 * number:.3g}', words)} %"
        case "octets":
            return _decimal(volume(number), words)
        case _:
            return _count(number, words)


def _count(number: float, words: Words) -> str:
    return f"{number:,.0f}".replace(",", words.thousands)


def _decimal(text: str, words: Words) -> str:
    return text.replace(".", words.decimal)


def _done(penalty: Penalty, words: Words) -> str:
    text = words.penalties[penalty.kind]
    match penalty:
        case SessionCap(sessions):
            return text.format(sessions=_count(sessions, words))
        case RateLimit(bits_per_second):
            return text.format(rate=_decimal(rate(bits_per_second), words))
        case RestrictPorts(up_to):
            return text.format(port=up_to)
        case Notify() | Block() | Quarantine():
            return text


def _moment(when: datetime, words: Words, zone: tzinfo) -> str:
    return when.astimezone(zone).strftime(words.moment)
