"""The languages of the page: texts from TOML files, and numbers, times and spans as each language writes them.

A site's own `landing/xx.toml` replaces single texts of a language, or adds one, where English stands in for what it
does not say. Every text may only name the placeholders that the English one has, and these as they are: a typing error
is found at the start.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any

from switchguard.core.explain import duration
from switchguard.errors import SiteError

ENGLISH = "en"
FOLDER = "landing"
"""Below the site: its own texts and its own template."""
Texts = Mapping[str, Any]
"""Tables of texts, lists of texts, texts."""

_CODE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_SPAN = re.compile(r"(\d+) (d|h|min|s)\b")
_AMOUNT = re.compile(r"([\d.,]+) ?([A-Za-z/]*)")


@dataclass(frozen=True, slots=True)
class Language:
    """One language. `code` is a tag of BCP 47."""

    code: str
    texts: Texts

    def say(self, way: str, **values: object) -> str:
        """The text at `page.title`, with its placeholders filled. KeyError for a way that leads nowhere."""
        found: Any = self.texts
        for step in way.split("."):
            found = found[step]
        return str(found).format_map(values)

    def listed(self, way: str) -> tuple[str, ...]:
        found: Any = self.texts
        for step in way.split("."):
            found = found[step]
        return tuple(found)

    def number(self, english: str) -> str:
        """`1,490` and `0.5` as they are written here."""
        numbers = self.texts["numbers"]
        return english.translate({ord(","): numbers["thousands"], ord("."): numbers["decimal"]})

    def amount(self, english: str) -> str:
        """`1.5 GB`, `64 kbit/s`, `12 %`: number and unit as they are written here."""
        found = _AMOUNT.fullmatch(english)
        if found is None:
            return english
        unit = self.texts["units"].get(found[2], found[2])
        return f"{self.number(found[1])} {unit}".strip()

    def span(self, length: timedelta | str) -> str:
        """`1 h 30 min`: a length of time, or one that explain.py has written."""
        english = duration(length) if isinstance(length, timedelta) else length
        return _SPAN.sub(lambda found: f"{found[1]} {self.texts['units'][found[2]]}", english)

    def moment(self, when: datetime, now: datetime) -> str:
        """`today at 14:02`, in the time zone of `now`."""
        here, times = when.astimezone(now.tzinfo), self.texts["times"]
        clock = f"{here:%H:%M}"
        days = (here.date() - now.date()).days
        if days in (-1, 0, 1):
            return str(times[("yesterday", "today", "tomorrow")[days + 1]]).format(time=clock)
        month = times["months"][here.month - 1]
        return str(times["other"]).format(day=here.day, month=month, year=here.year, time=clock)


def preferred(known: Mapping[str, Language], wanted: Iterable[str]) -> Language:
    """The first that is there of these tags, best first; `es-MX` is content with `es`. English if there is none."""
    by_tag = {code.lower(): language for code, language in known.items()}
    for tag in wanted:
        whole, main = tag.lower(), tag.lower().partition("-")[0]
        if found := by_tag.get(whole) or by_tag.get(main):
            return found
    return known[ENGLISH]


def languages(site: Path) -> Mapping[str, Language]:
    """By code, English first. SiteError names the file and the text that is wrong."""
    shipped = {
        it.name.removesuffix(".toml"): tomllib.loads(it.read_text("utf-8"))
        for it in sorted(files(__package__).joinpath("languages").iterdir(), key=lambda it: it.name)
        if it.name.endswith(".toml")
    }
    english = shipped[ENGLISH]
    merged = {ENGLISH: english, **shipped}
    for file in sorted((site / FOLDER).glob("*.toml")):
        code = file.stem
        if not _CODE.fullmatch(code):
            raise SiteError(f"{code!r} is no language; name the file like it.toml or pt-BR.toml", str(file))
        merged[code] = _merged(merged.get(code, english), _read(file), english, str(file))
    return {code: Language(code, texts) for code, texts in merged.items()}


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SiteError(str(error), str(file)) from error


def _merged(base: Texts, own: Texts, english: Texts, file: str, way: str = "") -> dict[str, Any]:
    made = dict(base)
    for name, text in own.items():
        here = f"{way}{name}"
        if name not in english:
            raise SiteError(f"no text is called {here!r}; there are: {', '.join(english)}", file)
        if isinstance(english[name], dict) and isinstance(text, dict):
            made[name] = _merged(base[name], text, english[name], file, f"{here}.")
            continue
        if type(text) is not type(english[name]):
            raise SiteError(f"{here!r} must be a {type(english[name]).__name__}", file)
        _check(text, english[name], here, file)
        made[name] = text
    return made


def _check(text: str | list[str], english: str | list[str], way: str, file: str) -> None:
    if isinstance(text, list) and way.endswith("months") and len(text) != len(english):
        raise SiteError(f"{way!r} has {len(text)} months", file)
    try:
        strange = set(_placeholders(text)) - set(_placeholders(english))
    except ValueError as error:
        raise SiteError(f"{way!r}: {error}", file) from error
    if strange:
        raise SiteError(f"{way!r} names {{{min(strange)}}}, which is nothing that can be said there", file)


def _placeholders(text: str | list[str]) -> Iterator[str]:
    for line in [text] if isinstance(text, str) else text:
        if not isinstance(line, str):
            raise ValueError("a list of texts is expected")
        for _, name, spec, conversion in Formatter().parse(line):
            if spec or conversion:
                raise ValueError(f"write {{{name}}} alone, without ! and : and what follows them")
            if name is not None:
                yield name
