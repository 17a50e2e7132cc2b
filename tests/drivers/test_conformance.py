"""Every driver against every recording of its platform: the right value, and never half a table in silence.

Recordings under `snmp/` are platform-neutral: every driver that takes its tables from `SnmpTables` must read them.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import READS, Recording, Replay, Rows, numbers, read, recordings

from switchguard import plugins
from switchguard.core.model import Table
from switchguard.errors import DeviceError
from switchguard.ports import Enforces, SnmpValue

SnmpTables: type = import_module("switchguard.drivers._snmp_tables").SnmpTables
DRIVERS = plugins.driver_names()
RECORDED = recordings()
CASES = [
    pytest.param(name, recording, id=f"{name}-{recording}")
    for recording, name in itertools.product(RECORDED, DRIVERS)
    if recording.platform in (name, "snmp" if isinstance(plugins.driver(name), SnmpTables) else name)
]
every_recording = pytest.mark.parametrize(("name", "recording"), CASES)


# --- the right value -------------------------------------------------------------------------------------------------


@every_recording
def test_a_recording_gives_the_expected_value(name: str, recording: Recording) -> None:
    assert read(plugins.driver(name), recording.table, recording.session()) == recording.expected


@pytest.mark.parametrize("recording", RECORDED, ids=str)
def test_a_recording_names_its_source(recording: Recording) -> None:
    assert (recording.path / "SOURCE").read_text().strip()


@pytest.mark.parametrize("recording", RECORDED, ids=str)
def test_a_recording_belongs_to_a_driver_and_a_table(recording: Recording) -> None:
    assert recording.platform in (*DRIVERS, "snmp")
    assert recording.table in READS


@pytest.mark.parametrize("name", DRIVERS)
def test_a_claimed_table_has_a_recording(name: str) -> None:
    """`SnmpTables` is proven by the neutral recordings; what a driver says in its own words needs its own."""
    platforms = {name, "snmp"} if isinstance(plugins.driver(name), SnmpTables) else {name}
    recorded = {recording.table for recording in RECORDED if recording.platform in platforms}
    claimed = {table for table, capability in READS.items() if isinstance(plugins.driver(name), capability)}
    assert claimed <= recorded


@pytest.mark.parametrize("name", [name for name in DRIVERS if isinstance(plugins.driver(name), Enforces)])
def test_a_driver_that_writes_has_a_circular_test(name: str) -> None:
    """`model_<platform>.py` is a device that understands the lines; `test_writing.py` runs every driver against it."""
    assert find_spec(f"model_{name}") is not None


# --- mangled text ----------------------------------------------------------------------------------------------------

Mangle = Callable[[str], Iterator[str]]


def cut_in_the_middle_of_a_line(text: str) -> Iterator[str]:
    """The middle line and the last one that says something, each cut at two fifths: the connection went away."""
    ends = [(m.start(), m.end()) for m in re.finditer(r"[^\n]*\S[^\n]*", text)]
    for start, end in {ends[len(ends) // 2], ends[-1]} if ends else ():
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        yield text[: first + max(1, (end - first) * 2 // 5)]


def with_pager_prompt(text: str) -> Iterator[str]:
    yield _inserted(text, " --More-- ")


def with_garbage(text: str) -> Iterator[str]:
    yield _inserted(text, "Nov 20 08:00:00.123: %LINK-3-UPDOWN: changed state to up")
    yield _inserted(text, "\x1b[7m0xdeadbeef ... ?")


def an_error_instead(text: str) -> Iterator[str]:
    yield "% Invalid input detected at '^' marker.\n"
    yield "bash: line 1: command not found\n"


def on_a_narrow_terminal(text: str) -> Iterator[str]:
    """Every line broken after 50 columns."""
    yield "".join(line[at : at + 50] + "\n" for line in text.splitlines() for at in range(0, len(line), 50))


def in_another_language(text: str) -> Iterator[str]:
    """Lines without a digit, which are headings, in words that nobody foresaw."""
    yield "".join(
        re.sub(r"[^\W\d_]{3,}", "Übersicht", line) if not re.search(r"\d", line) else line
        for line in text.splitlines(keepends=True)
    )


def _inserted(text: str, line: str) -> str:
    lines = text.splitlines(keepends=True)
    middle = (len(lines) + 1) // 2
    return "".join([*lines[:middle], line + "\n", *lines[middle:]])


def mangled(recording: Recording, mangle: Mangle, free_text: bool = True) -> Iterator[Replay]:
    """The recording's session with one of its answers mangled, for each answer and each way."""
    whole = recording.session()
    for question, text in whole.answers.items():
        if text.strip() and (free_text or question[1] not in whole.free_text):
            for worse in mangle(text):
                yield replace(whole, answers={**whole.answers, question: worse}, asked=[])


def value_or_error(name: str, table: Table, session: Replay) -> object:
    """None for a DeviceError; anything else that is raised is a defect and travels."""
    try:
        return read(plugins.driver(name), table, session)
    except DeviceError:
        return None


@every_recording
@pytest.mark.parametrize(
    "mangle",
    [
        cut_in_the_middle_of_a_line,
        with_pager_prompt,
        an_error_instead,
        on_a_narrow_terminal,
        in_another_language,
    ],
)
def test_damaged_text_is_an_error_or_makes_no_difference(name: str, recording: Recording, mangle: Mangle) -> None:
    for session in mangled(recording, mangle):
        assert value_or_error(name, recording.table, session) in (None, recording.expected)


@every_recording
def test_a_line_of_garbage_is_an_error(name: str, recording: Recording) -> None:
    for session in mangled(recording, with_garbage, free_text=False):
        assert value_or_error(name, recording.table, session) is None


@every_recording
def test_carriage_returns_make_no_difference(name: str, recording: Recording) -> None:
    whole = recording.session()
    text = {question: answer.replace("\n", "\r\n") for question, answer in whole.answers.items()}
    assert read(plugins.driver(name), recording.table, replace(whole, answers=text)) == recording.expected


@every_recording
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_whatever_arrives_is_a_value_or_an_error(name: str, recording: Recording, data: st.DataObject) -> None:
    """Characters lost, doubled or swapped anywhere: nothing but a DeviceError is ever raised."""
    whole = recording.session()
    texts = sorted(question for question, text in whole.answers.items() if text)
    if not texts:
        return
    question = data.draw(st.sampled_from(texts))
    text = whole.answers[question]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 80)))
    instead = data.draw(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=12))
    worse = text[:start] + data.draw(st.sampled_from((instead, text[start:end] * 2))) + text[end:]
    damaged = replace(whole, answers={**whole.answers, question: worse}, asked=[], damaged=True)
    value_or_error(name, recording.table, damaged)


# --- mangled SNMP ----------------------------------------------------------------------------------------------------


def index_cut_short(rows: Rows, oid: tuple[int, ...]) -> Rows:
    return {(row[:-1] if row == oid else row): value for row, value in rows.items()}


def index_too_long(rows: Rows, oid: tuple[int, ...]) -> Rows:
    return {((*row, 0) if row == oid else row): value for row, value in rows.items()}


def value_of_another_type(rows: Rows, oid: tuple[int, ...]) -> Rows:
    other: SnmpValue = b"\xff" if isinstance(rows[oid], int) else 7
    return {**rows, oid: other}


def address_cut_short(rows: Rows, oid: tuple[int, ...]) -> Rows:
    value = rows[oid]
    is_address = isinstance(value, bytes) and len(value) == 6 and not value.decode("latin-1").isprintable()
    return {**rows, oid: value[:-1]} if isinstance(value, bytes) and is_address else rows


@every_recording
@pytest.mark.parametrize("mangle", [index_cut_short, index_too_long, value_of_another_type, address_cut_short])
def test_a_damaged_snmp_row_is_an_error_or_makes_no_difference(
    name: str, recording: Recording, mangle: Callable[[Rows, tuple[int, ...]], Rows]
) -> None:
    """A scalar has no index to damage, and a row that is cut down to its column is no row any more."""
    whole = recording.session()
    read(plugins.driver(name), recording.table, whole)
    columns = {numbers(oid) for verb, oid in whole.asked if verb == "walk"}
    scalars = {numbers(oid) for verb, oid in whole.asked if verb == "get"}
    for oid in whole.rows:
        reindexed = mangle in (index_cut_short, index_too_long)
        if reindexed and (oid in scalars or (oid[:-1] in columns and mangle is index_cut_short)):
            continue
        session = replace(whole, rows=mangle(whole.rows, oid), asked=[])
        assert value_or_error(name, recording.table, session) in (None, recording.expected), oid
