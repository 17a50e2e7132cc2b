"""The languages in which people are told things: YAML files, ours and the site's, read strictly.

A site's own `it.yaml` in its folder of notices adds Italian, its own `de.yaml` replaces ours. Which names a sentence
may have in braces is fixed; any other is an error with its line, so that no notice fails for its words.
"""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Formatter

from switchguard.core.advice import Trouble, Words
from switchguard.edge.complaints import at, checked
from switchguard.edge.marks import Marked, Steps, read_marked
from switchguard.edge.strict import Strict
from switchguard.errors import SiteError

SHIPPED = Path(str(files("switchguard") / "words"))
NAMES: Mapping[Steps, frozenset[str]] = {
    ("until",): frozenset({"until"}),
    ("numbers", "sessions"): frozenset({"sessions", "remotes"}),
    ("numbers", "connections"): frozenset({"value", "threshold"}),
    ("numbers", "share"): frozenset({"value", "threshold"}),
    ("numbers", "octets"): frozenset({"value", "threshold"}),
    ("penalties", "cap"): frozenset({"sessions"}),
    ("penalties", "limit"): frozenset({"rate"}),
    ("penalties", "ports"): frozenset({"port"}),
}
"""The way to a sentence -> what may stand in braces there. In all other sentences braces are braces."""


class TroubleModel(Strict):
    seen: str
    harm: str
    how: list[str]

    def trouble(self) -> Trouble:
        return Trouble(self.seen, self.harm, tuple(self.how))


class TroublesModel(Strict):
    connections: TroubleModel
    traffic: TroubleModel
    unregistered: TroubleModel
    new: TroubleModel
    manual: TroubleModel
    other: TroubleModel


class NumbersModel(Strict):
    sessions: str
    connections: str
    share: str
    octets: str


class PenaltiesModel(Strict):
    notify: str
    cap: str
    limit: str
    ports: str
    block: str
    quarantine: str


class WordsModel(Strict):
    name: str
    moment: str
    decimal: str
    thousands: str
    until: str
    forever: str
    troubles: TroublesModel
    numbers: NumbersModel
    penalties: PenaltiesModel


def read_words(folder: Path | None = None) -> Mapping[str, Words]:
    """Language -> its words: those that come with switchguard, then a site's own. SiteError with the line."""
    places = (SHIPPED, folder) if folder is not None and folder.is_dir() else (SHIPPED,)
    found = {file.stem: file for place in places for file in sorted(place.glob("*.yaml"))}
    return {language: _words(language, file) for language, file in sorted(found.items())}


def _words(language: str, file: Path) -> Words:
    marked = read_marked(file)
    model = checked(WordsModel, marked)
    for way, allowed in NAMES.items():
        if why := next(_wrong_names(_text(marked, way), allowed), None):
            raise at(marked, way, f"{'.'.join(map(str, way))}: {why}")
    return Words(
        language=language,
        name=model.name,
        moment=model.moment,
        decimal=model.decimal,
        thousands=model.thousands,
        until=model.until,
        forever=model.forever,
        troubles={name: getattr(model.troubles, name).trouble() for name in TroublesModel.model_fields},
        numbers=model.numbers.model_dump(),
        penalties=model.penalties.model_dump(),
    )


def _text(marked: Marked, way: Steps) -> str:
    here = marked.data
    for step in way:
        here = here[step]
    return str(here)


def _wrong_names(text: str, allowed: frozenset[str]) -> Iterator[str]:
    """Only bare names, and only these."""
    choices = ", ".join(f"{{{name}}}" for name in sorted(allowed))
    try:
        for _, name, spec, conversion in Formatter().parse(text):
            if name is not None and (name not in allowed or spec or conversion):
                yield f"has {{{name}}}, and may have {choices}"
    except ValueError as error:
        yield f"{error}; there may be {choices}"


def known_language(language: str, known: Mapping[str, Words]) -> str:
    """SiteError with the choices."""
    if language not in known:
        raise SiteError(f"no language called {language!r}; there are: {', '.join(known)}")
    return language
