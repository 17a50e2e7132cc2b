"""`usage` and the hours of `explain`, from a history that was kept."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from switchguard.cli.main import run
from switchguard.cli.usage import Hour, hours_of, parse_since
from switchguard.core.calendar import Calendar
from switchguard.core.model import ClientId
from switchguard.edge.archive import Archive
from switchguard.edge.history import History, Note, SeriesRow, UsageRow
from switchguard.edge.ledger_tables import Store
from switchguard.errors import BadTarget

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
ANN, BOB = ClientId("mac:02:00:00:00:00:07"), ClientId("mac:02:00:00:00:00:08")
PEOPLE = {ANN: ((ip_address("10.10.0.7"),), None), BOB: ((ip_address("10.20.0.8"),), "bob")}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose history has two clients: the first received much, the other sent much."""
    (tmp_path / "switchguard.yaml").write_text("time_zone: UTC\nledger: ledger.db\n")
    (tmp_path / "hosts.yaml").write_text("{}\n")
    moved = ((ANN, 30, 5_000_000, 1_000, False), (ANN, 2, 1_000_000, 1_000, False), (BOB, 2, 1_000, 3_000_000, True))
    rows = [
        UsageRow(who, NOW - ago * HOUR, NOW - ago * HOUR + HOUR / 60, came, went, guess, 40, 20, 0.25)
        for who, ago, came, went, guess in moved
    ]
    store = Store(tmp_path / "ledger.db")
    History(store).keep(lambda books: (books, Note(NOW, rows, people=PEOPLE)))
    store.close()
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], site: Path, *words: str, code: int = 0) -> str:
    assert run(["--site", str(site), "usage", *words]) == code
    printed = capsys.readouterr()
    return printed.err if code else printed.out


def clients(text: str) -> list[tuple[str, int, int]]:
    return [(it["client"], it["octets_in"], it["octets_out"]) for it in json.loads(text)["usage"]]


ONE_DAY = [(BOB, 1_000, 3_000_000), (ANN, 1_000_000, 1_000)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ONE_DAY),
        (("--sort", "in"), ONE_DAY[::-1]),
        (("--limit", "1"), ONE_DAY[:1]),
        (("--network", "10.10.0.0/16"), ONE_DAY[1:]),
        (("--client", "0200.0000.0007"), ONE_DAY[1:]),
        (("--client", "10.20.0.8"), ONE_DAY[:1]),
        (("--client", "bob"), ONE_DAY[:1]),
        (("--since", "40h"), [(ANN, 6_000_000, 2_000), ONE_DAY[0]]),
        (("--since", "1h"), []),
    ],
)
def test_who_moved_how_much(
    capsys: pytest.CaptureFixture[str], site: Path, words: Sequence[str], expected: list[tuple[str, int, int]]
) -> None:
    assert clients(said(capsys, site, "--json", *words)) == expected


def test_each_window_has_its_own_sums(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    found = json.loads(said(capsys, site, "--per", "hour", "--since", "40h", "--json"))["usage"]
    assert [(it["client"], it["start"] <= it["end"]) for it in found] == [(ANN, True), (BOB, True), (ANN, True)]


def test_a_table_marks_estimates_and_says_whose_it_is(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    first = said(capsys, site).splitlines()[1].split()
    assert first == ["bob", "10.20.0.8", "~1.0", "kB", "~3.0", "MB", "~3.0", "MB", "40"]


def test_a_spreadsheet_can_read_it(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(said(capsys, site, "--csv"))))
    assert [(it["owner"], it["addresses"], it["octets"], it["estimated"]) for it in rows] == [
        ("bob", "10.20.0.8", "3001000", "True"),
        ("", "10.10.0.7", "1001000", "False"),
    ]


def test_a_day_begins_at_midnight_by_the_sites_clock_for_programs_too(
    capsys: pytest.CaptureFixture[str], site: Path
) -> None:
    (site / "switchguard.yaml").write_text("time_zone: Asia/Tokyo\nledger: ledger.db\n")
    told = json.loads(said(capsys, site, "--per", "day", "--json"))
    rows = list(csv.DictReader(io.StringIO(said(capsys, site, "--per", "day", "--csv"))))
    assert rows
    assert [it["start"] for it in told["usage"]] == [it["start"] for it in rows]
    assert {it["start"][10:] for it in (*rows, *told["usage"])} == {"T00:00:00+09:00"}
    assert told["since"].endswith("T00:00:00+09:00")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--per", "year"), "there are: hour, day, week, month"),
        (("--sort", "name"), "there are: total, in, out"),
        (("--network", "10.10.0.1/16"), "host bits"),
        (("--client", "10.10.0.99"), "the history knows nobody called '10.10.0.99'"),
        (("--since", "yesterday"), "neither a duration such as 2d nor a date"),
    ],
)
def test_a_typo_is_an_error(capsys: pytest.CaptureFixture[str], site: Path, words: Sequence[str], why: str) -> None:
    assert why in said(capsys, site, *words, code=1)


def test_a_site_without_history_says_so(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    assert "kept no usage" in said(capsys, site, "--since", "1h")


def test_since_is_so_long_ago_or_a_day_of_the_site() -> None:
    there = ZoneInfo("America/Los_Angeles")
    assert parse_since("2h", NOW, there) == NOW - 2 * HOUR
    assert parse_since("2026-05-01T12:00+02:00", NOW, there) == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert parse_since("2026-05-01T12:00", NOW, there) == datetime(2026, 5, 1, 19, tzinfo=UTC)
    assert parse_since("2026-05-01", NOW, there) == datetime(2026, 5, 1, 7, tzinfo=UTC)
    with pytest.raises(BadTarget):
        parse_since("soon", NOW, there)


def test_hours_show_breaks_and_what_the_logs_counted(tmp_path: Path) -> None:
    start = datetime(2026, 5, 1, 10, tzinfo=UTC)
    store = Store(tmp_path / "ledger.db")
    usage = [
        UsageRow(ANN, start + n * HOUR, start + n * HOUR + HOUR / 60, 10, 1, sessions=n, factor=0.5) for n in (0, 2)
    ]
    series = [SeriesRow("opened", "netperf", "10.10.0.7", start, start + HOUR / 60, 7)]
    History(store).add(Note(start, usage, series), {})
    hours = hours_of(Archive(store), [ANN], ["10.10.0.7"], start, start + 3 * HOUR, Calendar())
    store.close()
    assert hours == [
        Hour(start, 10, 1, 0, 0, 0.5, 7),
        Hour(start + HOUR),
        Hour(start + 2 * HOUR, 10, 1, 2, 0, 0.5),
    ]
