"""What stands against a visitor -> what the page says, in the visitor's language.

A finding's own sentence is never shown as it is: only the numbers of known clauses (clauses.py) are taken from it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from switchguard.core.clauses import clauses
from switchguard.core.decide import is_manual
from switchguard.core.explain import rate
from switchguard.core.ladder import hardness
from switchguard.core.penalties import Notify, Penalty, RateLimit, RestrictPorts, SessionCap, Verdict
from switchguard.core.visitors import Case, Known
from switchguard.web.words import Language

Tone = Literal["clear", "held", "told", "ending", "routine", "message"]

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
    for name, found in clauses(verdict).items():
        values = {key: _value(key, text, language) for key, text in found.groupdict().items()}
        yield language.say(f"fact.{name}", **values)


def _value(key: str, english: str, language: Language) -> str:
    match key:
        case "span":
            return language.span(english)
        case "per":
            return language.say(f"fact.per_{english}")
        case _:
            return language.amount(english)
