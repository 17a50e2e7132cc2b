"""Templates and words: four languages that agree, and a mistake is found when the site is read, with its line."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from switchguard.core.advice import TROUBLE_NAMES
from switchguard.core.letters import Addressee, Letter
from switchguard.edge.notify_texts import SORTS, Texts, read_texts, sample_letter
from switchguard.edge.penalty_models import KINDS
from switchguard.edge.words import SHIPPED, read_words
from switchguard.errors import SiteError

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LANGUAGES = ("de", "en", "es", "fr")


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def text_for(texts: Texts, kind: str, language: str) -> str:
    to = Addressee("person" if kind == "person" else "operators", "1", language=language)
    return texts.message([sample_letter(to, NOON)], "room 3", UTC).text


# --- ours ------------------------------------------------------------------------------------------------------------


def test_there_are_four_languages_with_words_and_templates(tmp_path: Path) -> None:
    assert tuple(read_texts(tmp_path / "none").words) == LANGUAGES
    assert {it.name for it in SHIPPED.glob("*.txt")} == {f"{s}.{it}.txt" for s, it in product(SORTS, LANGUAGES)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_sentence(language: str) -> None:
    words = read_words()[language]
    assert set(words.troubles) == set(TROUBLE_NAMES)
    assert set(words.penalties) == set(KINDS)
    assert all(
        len(trouble.how) == len(read_words()["en"].troubles[name].how) for name, trouble in words.troubles.items()
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_own_templates_pass_the_check_that_a_sites_have_to(tmp_path: Path, language: str) -> None:
    for sort in SORTS:
        written(tmp_path, f"{sort}.{language}.txt", (SHIPPED / f"{sort}.{language}.txt").read_text(encoding="utf-8"))
    assert text_for(read_texts(tmp_path), "person", language)


@pytest.mark.parametrize(("language", "kind"), [*product(LANGUAGES, ("person", "operators"))])
def test_lines_are_short_enough_for_any_mail_reader(tmp_path: Path, language: str, kind: str) -> None:
    text = text_for(read_texts(tmp_path / "none"), kind, language)
    assert max(map(len, text.splitlines())) <= 78
    assert "612" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_persons_mail_has_no_word_that_was_meant_for_operators(tmp_path: Path, language: str) -> None:
    for sort in ("begins", "ends"):
        written(tmp_path, f"{sort}.{language}.txt", "Subject: x\n{{ because }} {{ why }}")
    sample = sample_letter(Addressee("person", "1", language=language), NOON)
    secret = replace(
        sample.facts, because="his neighbour eve complained", measured="94 % active", ended="eve is content"
    )
    both = (replace(sample, facts=secret), Letter(sample.to, "ends", secret, NOON))
    for folder, letter in product((tmp_path, tmp_path / "none"), both):
        assert "eve" not in read_texts(folder).message([letter], "room 3", UTC).text
    staff = replace(sample, to=Addressee("operators", "1", language=language), facts=secret)
    assert "his neighbour eve complained" in read_texts(tmp_path / "none").message([staff], "", UTC).text


# --- a site's --------------------------------------------------------------------------------------------------------


def test_a_sites_own_template_takes_the_place_of_ours_in_its_language_only(tmp_path: Path) -> None:
    texts = read_texts(written(tmp_path, "begins.en.txt", "Subject: hi\n\nThe desk is in {{ contact }}.\n"))
    assert text_for(texts, "person", "en") == "The desk is in room 3.\n"
    assert "Guten Tag" in text_for(texts, "person", "de")


def test_a_sites_own_language_needs_words_and_three_templates(tmp_path: Path) -> None:
    written(tmp_path, "it.yaml", (SHIPPED / "en.yaml").read_text(encoding="utf-8").replace("English", "Italiano"))
    with pytest.raises(SiteError, match=r"begins\.it\.txt: is missing: language 'it' needs it\.yaml, begins\.it\.txt"):
        read_texts(tmp_path)
    for sort in SORTS:
        written(tmp_path, f"{sort}.it.txt", "Subject: ciao\n\nCiao.\n")
    assert text_for(read_texts(tmp_path), "person", "it") == "Ciao.\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Subject: x\n\n{{ nobody }}", r":3: 'nobody' means nothing here; there are: action, addresses, because"),
        ("Subject: x\n{% if person == 'zz' %}\n{{ bar }}{% endif %}", ":3: 'bar' means nothing here"),
        ("Subject: x\n\n{% if foo", ":3: unexpected end of template"),
        ("Subject: x\n\n\n{{ seen.foo }}", ":4: 'list object' has no attribute 'foo'"),
        ("Subject: x\n{{ seen[17] }}", ":2: list object has no element 17"),
        ("Subject: x\n{{ because | shout }}", ":2: No filter named 'shout'"),
        ("Subject: x\n{{ 1 / (offence - 1) }}", ":2: division by zero"),
        ("Subject: x\n{{ until + 1 }}", ":2: can only concatenate str"),
        ("hello", ":1: the first line has to be 'Subject: …', not 'hello'"),
        ("Subject:\n\nhello", ":1: the first line has to be 'Subject: …'"),
        ("Subject: x\n{{ ''.__class__.__mro__ }}", ":2: reaches for what a template may not"),
        ("Subject: x\n{% include 'other.txt' %}", "other.txt"),
        ("Subject: x\n{% include 'begins.en.txt' %}", ":2: goes in circles"),
        ("Subject: x\n{% macro again() %}{{ again() }}{% endmacro %}\n{{ again() }}", ":2: goes in circles"),
        ("Subject: x\n{{ person | xmlattr }}", ":2: 'str' object has no attribute 'items'"),
        ("Subject: x\n{{ macs | dictsort }}", ":2: 'list' object has no attribute 'items'"),
        ("Subject: x\n{% for n in range(10000000) %}{% endfor %}", ":2: Range too big"),
    ],
)
def test_a_mistake_in_a_template_is_an_error_with_file_and_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SiteError, match=rf"begins\.en\.txt.*{complaint}"):
        read_texts(written(tmp_path, "begins.en.txt", text))


def test_a_template_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "begins.en.txt").write_bytes(b"Subject: \xff\n")
    with pytest.raises(SiteError, match=r"begins\.en\.txt: is not UTF-8 text"):
        read_texts(tmp_path)


def test_a_template_of_no_language_or_sort_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"begins\.it\.txt: no language called 'it'; there are: de, en, es, fr"):
        read_texts(written(tmp_path, "begins.it.txt", "Subject: x\n"))
    (tmp_path / "begins.it.txt").unlink()
    with pytest.raises(SiteError, match=r"begin\.en\.txt: is no template; there are: begins\.<language>\.txt"):
        read_texts(written(tmp_path, "begin.en.txt", "Subject: x\n"))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("{until}", "{till}", r"en\.yaml:\d+: until: has {till}, and may have {until}"),
        ("{rate}", "{rate.__class__}", r"penalties\.limit: has {rate.__class__}, and may have {rate}"),
        ("{sessions} connections to", "{sessions!r} connections to", r"numbers\.sessions: has {sessions}"),
        ("{port};", "{port;", r"penalties\.ports: expected '}' before end of string"),
        ("forever:", "for_ever:", "unknown key 'for_ever'; did you mean 'forever'"),
        ('  notify: "', '  # notify: "', "'penalties.notify' is missing"),
    ],
)
def test_a_mistake_in_the_words_is_an_error_with_its_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = (SHIPPED / "en.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(SiteError, match=complaint):
        read_texts(written(tmp_path, "en.yaml", text.replace(old, new)))
