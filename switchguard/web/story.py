"""What stands against a visitor -> what the page says, in the visitor's language.

A finding's own sentence is never shown as it is: it is for operators, and may name other people's addresses. Only the
numbers of known clauses are taken from it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from switchguard.core.decide import is_manual
from switchguard.core.explain import rate
from switchguard.core.ladder import hardness
from switchguard.core.penalties import Notify, Penalty, RateLimit, RestrictPorts, SessionCap, Verdict
from switchguard.core.visitors import Case, Known
from switchguard.web.words import Language

Tone = Literal["clear", "held", "told", "ending", "routine", "message"]

_SPAN = r"\d+ (?:d|h|min|s)\b(?: \d+ (?:d|h|min|s)\b)?"
_DATA = r"[\d.,]+ [kMGT]?B"
_RATE = r"[\d.,]+ [kMGT]?bit/s"
FACTS: Mapping[str, re.Pattern[str]] = {
    "hosts": re.compile(r"(?P<hosts>[\d,]+) of (?P<sessions>[\d,]+) sessions go to different hosts"),
    "active": re.compile(r"(?P<share>\d+) % active"),
    "unanswered": re.compile(r"(?P<share>\d+) % unanswered"),
    "high_ports": re.compile(r"(?P<share>\d+) % to ports above 1024"),
    "within": re.compile(rf"(?P<connections>[\d,]+) connections within (?P<span>{_SPAN})"),
    "rhythm": re.compile(rf"(?P<connections>[\d,]+) connections in (?P<span>{_SPAN})"),
    "quota": re.compile(
        rf"(?P<used>{_DATA}) (?:received|sent)\b.*, of (?P<allowed>{_DATA}) a (?P<per>hour|day|week|month)"
    ),
    "share": re.compile(rf"(?P<rate>{_RATE}) (?:in|out) is (?P<share>\d+)% of the link's (?P<capacity>{_RATE})"),
}
"""Clauses of findings that a visitor may read, by the name of their text."""

SWARM, OTHER = "naughty_factor", "other"
_TOLD_ALIKE = {"nat_pressure": SWARM}


@dataclass(frozen=True, slots=True)
class Item:
    """One penalty."""

    title: str
    text: str
    since: str
    until: str
    """Empty for a notice."""
    left: str
    badge: str
    why: str
    facts: tuple[str, ...]
    others: str
    """Empty, with `fix`, where an item before says it already."""
    fix: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What a template shows: one heading, one sentence, and the penalties, hardest first."""

    tone: Tone
    title: str
    intro: str
    items: tuple[Item, ...] = ()
    hint: str = ""
    as_of: str = ""
    wishes: int | None = None
    """How often the visitor may still be let back; None: there is no button."""


def view(known: Known | None, language: Language, now: datetime) -> View:
    """`now` in the site's time zone."""
    if known is None:
        return message(language, "unknown")
    as_of = language.say("page.as_of", moment=language.moment(known.at, now))
    cases = sorted((it for it in known.cases if it.state != "ending"), key=_hardness, reverse=True)
    if not known.cases:
        title, text = (language.say(f"page.clear_{part}") for part in ("title", "text"))
        return View("clear", title, text, hint=language.say("page.clear_led_here"), as_of=as_of)
    items = tuple(_items(cases, language, now))
    if len(cases) < len(known.cases):
        title, text = (language.say(f"page.ending_{part}") for part in ("title", "text"))
        return View("ending", title, text, items, as_of=as_of)
    tone = _tone(cases)
    return View(tone, items[0].title, language.say(f"page.{tone}_intro"), items, "", as_of, known.wishes)


def message(language: Language, name: str) -> View:
    """A page about no penalty: unknown, refused, too_many, bad."""
    return View("message", language.say(f"page.{name}_title"), language.say(f"page.{name}_text"))


def _hardness(case: Case) -> tuple[tuple[int, int], datetime]:
    return hardness(case.verdict.penalty), case.verdict.since


def _tone(cases: Sequence[Case]) -> Literal["held", "told", "routine"]:
    offences = [case for case in cases if not case.verdict.routine]
    if not offences:
        return "routine"
    return "told" if all(case.state == "told" for case in cases) else "held"


def _items(cases: Sequence[Case], language: Language, now: datetime) -> Iterator[Item]:
    """The same advice is given once, with the hardest penalty that it is for."""
    given: set[tuple[str, ...]] = set()
    for item in (_item(case, language, now) for case in cases):
        yield replace(item, others="", fix=()) if item.fix in given else item
        given.add(item.fix)


def _item(case: Case, language: Language, now: datetime) -> Item:
    verdict, kind = case.verdict, f"kind.{_kind(case, language)}"
    title, text = _penalty(verdict.penalty, language)
    until, left = _end(verdict, language, now)
    return Item(
        title=title,
        text=text,
        since=language.moment(verdict.since, now),
        until=until,
        left=left,
        badge=language.say("page.probation") if verdict.probation else "",
        why=language.say(f"{kind}.why"),
        facts=tuple(_facts(verdict, language)),
        others=language.say(f"{kind}.others"),
        fix=language.listed(f"{kind}.fix"),
    )


def _end(verdict: Verdict, language: Language, now: datetime) -> tuple[str, str]:
    """Until when, and how long that is from now. What is told has no end: that of a notice only says when it is told
    again."""
    if isinstance(verdict.penalty, Notify):
        return "", ""
    if verdict.until is None:
        return language.say("page.until_lifted"), ""
    left = language.say("page.left", span=language.span(verdict.until - now)) if verdict.until > now else ""
    return language.moment(verdict.until, now), left


def _kind(case: Case, language: Language) -> str:
    if is_manual(case.verdict):
        return "manual"
    if case.verdict.network is not None:
        return "subnet"
    kind = _TOLD_ALIKE.get(case.kind, case.kind)
    return kind if kind in language.texts["kind"] else OTHER


def _penalty(penalty: Penalty, language: Language) -> tuple[str, str]:
    values: dict[str, str] = {}
    match penalty:
        case SessionCap(sessions):
            values["sessions"] = language.number(f"{sessions:,}")
        case RateLimit(bits_per_second):
            values["rate"] = language.amount(rate(bits_per_second))
        case RestrictPorts(up_to):
            values["port"] = str(up_to)
    return language.say(f"penalty.{penalty.kind}", **values), language.say(f"penalty_text.{penalty.kind}", **values)


def _facts(verdict: Verdict, language: Language) -> Iterator[str]:
    """Nothing of what a person wrote, and nothing of what a subnet did together."""
    if is_manual(verdict) or verdict.network is not None:
        return
    for name, pattern in FACTS.items():
        if found := pattern.search(verdict.because):
            yield language.say(
                f"fact.{name}", **{key: _value(key, text, language) for key, text in found.groupdict().items()}
            )


def _value(key: str, english: str, language: Language) -> str:
    match key:
        case "span":
            return language.span(english)
        case "per":
            return language.say(f"fact.per_{english}")
        case _:
            return language.amount(english)
