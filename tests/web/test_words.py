"""Four languages say the same things, and a site may say them in its own words."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from reception import BERLIN, NOW

from switchguard.core.clauses import CLAUSES
from switchguard.core.rules import KINDS
from switchguard.errors import SiteError
from switchguard.web.words import Language, languages

SHIPPED = languages(Path("/nonexistent"))
ENGLISH = SHIPPED["en"]


def ways(texts: Any, way: str = "") -> Iterator[tuple[str, frozenset[str], int]]:
    """The way to every text, its placeholders, and how many there are of it."""
    if isinstance(texts, dict):
        for name, text in texts.items():
            yield from ways(text, f"{way}.{name}")
        return
    lines = [texts] if isinstance(texts, str) else texts
    yield way, frozenset(name for line in lines for _, name, _, _ in Formatter().parse(line) if name), len(lines)


def own(site: Path, name: str, text: str) -> Path:
    (site / "landing").mkdir(exist_ok=True)
    (site / "landing" / name).write_text(text)
    return site


def test_four_languages_are_shipped_and_english_is_the_first() -> None:
    assert list(SHIPPED) == ["en", "de", "es", "fr"]


@pytest.mark.parametrize("language", SHIPPED.values(), ids=str)
def test_a_language_says_everything_that_english_says(language: Language) -> None:
    assert set(ways(language.texts)) == set(ways(ENGLISH.texts))


def test_there_are_words_for_every_rule_about_clients_and_every_number() -> None:
    """`nat_pressure` tells of the same trouble as the factor; the others here are about an interface or a port."""
    assert set(KINDS) - {"nat_pressure", "unusual_traffic", "copied_mac"} <= set(ENGLISH.texts["kind"])
    assert set(CLAUSES) <= set(ENGLISH.texts["fact"])


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("en", ("1,490", "1.5 GB", "64 kbit/s", "today at 14:02", "1 h 32 min", "3 December 2026, 00:00")),
        ("de", ("1.490", "1,5 GB", "64 kbit/s", "heute um 14:02 Uhr", "1 Std. 32 Min.", "3. Dezember 2026, 00:00 Uhr")),
        ("fr", ("1\u202f490", "1,5 Go", "64 kbit/s", "aujourd’hui à 14:02", "1 h 32 min", "3 décembre 2026, 00:00")),
        ("es", ("1.490", "1,5 GB", "64 kbit/s", "hoy a las 14:02", "1 h 32 min", "3 de diciembre de 2026, 00:00")),
    ],
)
def test_numbers_and_times_are_written_as_the_language_does(code: str, written: tuple[str, ...]) -> None:
    language, now = SHIPPED[code], NOW.astimezone(BERLIN)
    assert written == (
        language.number("1,490"),
        language.amount("1.5 GB"),
        language.amount("64 kbit/s"),
        language.moment(NOW - timedelta(minutes=28), now),
        language.span(timedelta(minutes=92)),
        language.moment(now.replace(month=12, day=3, hour=0, minute=0), now),
    )


def test_yesterday_and_tomorrow_are_days_of_the_sites_clock() -> None:
    now = NOW.astimezone(BERLIN)
    assert ENGLISH.moment(NOW + timedelta(hours=9, minutes=30), now) == "tomorrow at 00:00"
    assert ENGLISH.moment(NOW - timedelta(hours=15), now) == "yesterday at 23:30"


def test_a_site_replaces_single_texts_and_adds_languages(tmp_path: Path) -> None:
    own(tmp_path, "de.toml", '[page]\ncontact = "Hilfe:"\n')
    own(tmp_path, "it.toml", 'name = "Italiano"\n[penalty]\nlimit = "Limite: {rate}"\n')
    found = languages(tmp_path)
    assert list(found) == ["en", "de", "es", "fr", "it"]
    assert found["de"].say("page.contact") == "Hilfe:"
    assert found["de"].say("page.title") == "Ihr Netzzugang"
    assert found["it"].say("penalty.limit", rate="1 Mbit/s") == "Limite: 1 Mbit/s"
    assert found["it"].say("page.title") == "Your network access"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("de.toml", "[page", "Expected ']' at the end of a table declaration (at end of document)"),
        ("de.toml", '[pages]\ntitle = "x"\n', "no text is called 'pages'; there are: name, numbers"),
        ("de.toml", '[page]\ntitel = "x"\n', "no text is called 'page.titel'; there are: title, clear_title"),
        ("de.toml", "[page]\ntitle = 5\n", "'page.title' must be a str"),
        (
            "de.toml",
            '[penalty]\nlimit = "{speed}"\n',
            "'penalty.limit' names {speed}, which is nothing that can be said",
        ),
        ("de.toml", '[penalty]\nlimit = "{rate"\n', "'penalty.limit': expected '}' before end of string"),
        ("de.toml", '[penalty]\nlimit = "{rate.real}"\n', "'penalty.limit' names {rate.real}, which is nothing"),
        ("de.toml", '[penalty]\ncap = "{sessions:d}"\n', "'penalty.cap': write {sessions} alone, without ! and :"),
        ("de.toml", '[penalty]\ncap = "{sessions!z}"\n', "'penalty.cap': write {sessions} alone"),
        ("de.toml", '[penalty]\ncap = "{sessions:{x}}"\n', "'penalty.cap': write {sessions} alone"),
        ("de.toml", '[fact]\nquota = "{used:d}"\n', "'fact.quota': write {used} alone"),
        ("de.toml", "[kind.quota]\nfix = [1]\n", "'kind.quota.fix': a list of texts is expected"),
        ("de.toml", '[times]\nmonths = ["x"]\n', "'times.months' has 1 months"),
        ("german.toml", "", "'german' is no language; name the file like it.toml or pt-BR.toml"),
    ],
)
def test_a_mistake_in_a_sites_own_words_names_file_and_text(tmp_path: Path, name: str, text: str, why: str) -> None:
    with pytest.raises(SiteError) as caught:
        languages(own(tmp_path, name, text))
    assert str(caught.value).startswith(f"{tmp_path / 'landing' / name}: {why}")
