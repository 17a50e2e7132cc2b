"""A log that is written, rotated, compressed and truncated under our eyes: every line is counted once."""

import gzip
import os
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.edge import connection_log
from switchguard.edge.connection_log import Batch, ConnectionLog
from switchguard.edge.tails import Tail

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
SEVEN = ip_address("192.0.2.7")


def line(source: str = "192.0.2.7", minute: int = 12, words: str = "Incoming netperf ") -> str:
    return (
        f"Nov 20 09:{minute:02}:42 gw kernel: [{minute}.5] {words}IN=eth0 OUT= SRC={source} DST=198.51.100.1 "
        "PROTO=TCP SPT=40000 DPT=12865\n"
    )


@pytest.fixture
def log(tmp_path: Path) -> ConnectionLog:
    return ConnectionLog("netperf", tmp_path / "kern.log", "Incoming netperf")


def write(file: Path, *lines: str, mode: str = "a") -> None:
    with file.open(mode) as stream:
        stream.writelines(lines)
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))


def read(log: ConnectionLog, tail: Tail | None = None) -> tuple[int, Tail]:
    """How many connections came after the tail, and the new one."""
    batches = list(log.news(tail, LONG_AGO))
    return sum(sum(batch.counts.values()) for batch in batches), batches[-1].tail


def only(log: ConnectionLog) -> Batch:
    (batch,) = log.news(None, LONG_AGO)
    return batch


# --- lines -----------------------------------------------------------------------------------------------------------


def test_connections_are_counted_per_source_and_minute(log: ConnectionLog) -> None:
    write(log.file, line(minute=12), line(minute=12), line(minute=13), line("2001:db8::7", 13))
    twelve, thirteen = (datetime(2026, 11, 20, 9, minute, tzinfo=UTC) for minute in (12, 13))
    assert only(log).counts == {(SEVEN, twelve): 2, (SEVEN, thirteen): 1, (ip_address("2001:db8::7"), thirteen): 1}


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("Nov 20 09:12:42", "2026-11-20T08:12:42+00:00"),
        ("Nov  2 09:12:42", "2026-11-02T08:12:42+00:00"),
        ("<4>Nov 20 09:12:42", "2026-11-20T08:12:42+00:00"),
        ("Dec 31 23:59:59", "2025-12-31T22:59:59+00:00"),
        ("2026-11-20T09:12:42.123456+01:00", "2026-11-20T08:12:42+00:00"),
        ("2026-11-20T09:12:42Z", "2026-11-20T09:12:42+00:00"),
        ("2026-11-20 09:12:42,5", "2026-11-20T08:12:42+00:00"),
    ],
)
def test_time_stamps_of_every_sort_are_understood(tmp_path: Path, stamp: str, moment: str) -> None:
    log = ConnectionLog("x", tmp_path / "x.log", "in", ZoneInfo("Europe/Berlin"))
    found = log.read_line(f"{stamp} gw kernel: in SRC=192.0.2.7 \n".encode(), NOW)
    assert found == (SEVEN, datetime.fromisoformat(moment))


@pytest.mark.parametrize(
    "bad",
    [
        "Nov 20 09:12:42 gw kernel: Incoming netperf SRC=192.0.2.700 DPT=1\n",
        "Nov 20 09:12:42 gw kernel: Incoming netperf DPT=1\n",
        "Nov 31 09:12:42 gw kernel: Incoming netperf SRC=192.0.2.7\n",
        "yesterday gw kernel: Incoming netperf SRC=192.0.2.7\n",
        "Nov 20 09:12:42 Incoming netperf SRC=192.0.2.7x\n",
    ],
)
def test_a_line_that_makes_no_sense_is_counted_and_quoted(log: ConnectionLog, bad: str) -> None:
    write(log.file, line(), bad, line(words="something else "))
    batch = only(log)
    assert (sum(batch.counts.values()), batch.bad, batch.sample) == (1, 1, bad.rstrip())


def test_a_line_without_end_is_read_in_pieces(log: ConnectionLog) -> None:
    write(log.file, "Incoming netperf " + "x" * 100_000 + "\n", line())
    assert sum(only(log).counts.values()) == 1


# --- the hour that comes twice, and the one that never comes ----------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
CLOCKS_CHANGE = [
    pytest.param(datetime(2026, 10, 25, 0, tzinfo=UTC), id="back"),
    pytest.param(datetime(2026, 3, 29, 0, tzinfo=UTC), id="forward"),
]


@pytest.mark.parametrize("style", ["syslog", "iso"])
@pytest.mark.parametrize("begins", CLOCKS_CHANGE)
@pytest.mark.parametrize("minutes_a_read", [1, 7, 600])
def test_every_hour_has_what_it_had_when_the_clocks_change(
    tmp_path: Path, begins: datetime, minutes_a_read: int, style: str
) -> None:
    """A line every ten seconds for four hours, read all the while or all at once."""
    log = ConnectionLog("netperf", tmp_path / "kern.log", "Incoming netperf", BERLIN)
    found, tail = Counter[datetime](), None
    moments = [begins + timedelta(seconds=10 * number) for number in range(4 * 360)]
    for first in range(0, len(moments), 6 * minutes_a_read):
        some = moments[first : first + 6 * minutes_a_read]
        write(log.file, *(at_clock(it.astimezone(BERLIN), style) for it in some))
        os.utime(log.file, (some[-1].timestamp(), some[-1].timestamp()))
        for batch in log.news(tail, LONG_AGO):
            for (_, minute), count in batch.counts.items():
                found[minute.replace(minute=0)] += count
            tail = Tail.read(batch.tail.spelled())
    assert found == {begins + timedelta(hours=hour): 360 for hour in range(4)}


def test_a_line_that_comes_a_little_late_is_of_no_other_hour(tmp_path: Path) -> None:
    log = ConnectionLog("netperf", tmp_path / "kern.log", "Incoming netperf", BERLIN)
    first = [datetime(2026, 10, 25, 0, minute, tzinfo=UTC).astimezone(BERLIN) for minute in (20, 15, 21)]
    write(log.file, *(at_clock(it, "syslog") for it in first))
    os.utime(log.file, (datetime(2026, 10, 26, tzinfo=UTC).timestamp(),) * 2)
    assert sorted(minute.hour for _, minute in only(log).counts) == [0, 0, 0]


def at_clock(at: datetime, style: str) -> str:
    stamp = f"{at:%b} {at.day:2d} {at:%H:%M:%S}" if style == "syslog" else f"{at:%Y-%m-%d %H:%M:%S}"
    return f"{stamp} gw kernel: Incoming netperf IN=eth0 SRC={SEVEN} DPT=12865\n"


# --- once ------------------------------------------------------------------------------------------------------------


def test_nothing_is_read_twice(log: ConnectionLog) -> None:
    write(log.file, line(), line())
    count, tail = read(log)
    write(log.file, line())
    assert (count, read(log, tail)[0]) == (2, 1)
    assert Tail.read(tail.spelled()) == tail


def test_a_line_that_is_being_written_waits(log: ConnectionLog) -> None:
    half = len(line()) // 2
    write(log.file, line(), line()[:half])
    count, tail = read(log)
    write(log.file, line()[half:])
    assert (count, read(log, tail)[0]) == (1, 1)


@pytest.mark.parametrize("way", ["renamed", "compressed", "copied and truncated"])
def test_a_rotated_log_is_read_to_its_end_and_then_the_new_one(log: ConnectionLog, way: str) -> None:
    write(log.file, *(line(minute=minute) for minute in range(5)))
    count, tail = read(log)
    write(log.file, line(minute=6), line(minute=7))
    old = log.file.with_name("kern.log.1")
    if way == "copied and truncated":
        shutil.copy2(log.file, old)
        log.file.write_text("")
    else:
        log.file.rename(old)
    if way == "compressed":
        with gzip.open(f"{old}.gz", "wb") as packed:
            packed.write(old.read_bytes())
        old.unlink()
    write(log.file, line(minute=8))
    more, tail = read(log, tail)
    assert (count, more, read(log, tail)[0]) == (5, 3, 0)


def test_the_first_time_older_files_are_read_too(log: ConnectionLog) -> None:
    with gzip.open(log.file.with_name("kern.log.2.gz"), "wb") as packed:
        packed.write(line(minute=1).encode())
    write(log.file.with_name("kern.log.1"), line(minute=2), line(minute=3).rstrip())
    write(log.file.with_name("kern.log.bak"), line(minute=4))
    write(log.file, line(minute=5))
    count, tail = read(log)
    assert (count, read(log, tail)[0]) == (4, 0)


def test_a_rotated_log_that_is_there_plain_and_compressed_is_read_once(log: ConnectionLog) -> None:
    """`gzip -k`, or a compression that is not finished."""
    write(old := log.file.with_name("kern.log.1"), *(line(minute=minute) for minute in range(8)))
    for packed in (old.with_name("kern.log.1.gz"), old.with_name("kern.log.2.gz")):
        with gzip.open(packed, "wb") as stream:
            stream.write(line(minute=1).encode() * 5)
    write(log.file, line(minute=9))
    assert read(log)[0] == 8 + 5 + 1


def test_a_log_that_was_emptied_is_read_from_its_beginning_and_older_ones_are_not(log: ConnectionLog) -> None:
    write(log.file.with_name("kern.log.1"), line(minute=1))
    write(log.file, line(minute=2), line(minute=3))
    _, tail = read(log)
    write(log.file, line(minute=9), mode="w")
    assert read(log, tail)[0] == 1


def test_memory_is_bounded_and_every_batch_can_be_gone_on_from(
    log: ConnectionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_log, "MOST_COUNTS", 10)
    write(log.file, *(line(f"192.0.2.{n}") for n in range(35)))
    batches = list(log.news(None, LONG_AGO))
    assert [len(batch.counts) for batch in batches] == [10, 10, 10, 5]
    assert read(log, batches[1].tail)[0] == 15


def test_a_damaged_archive_is_told_and_stops_nothing(log: ConnectionLog) -> None:
    write(log.file, line())
    with gzip.open(packed := log.file.with_name("kern.log.1.gz"), "wb") as stream:
        stream.write(line().encode() * 100)
    packed.write_bytes(packed.read_bytes()[:60])
    batch = only(log)
    assert (sum(batch.counts.values()), batch.bad) == (1, 1)
    assert "kern.log.1.gz is damaged" in (batch.sample or "")


@given(st.lists(st.sampled_from(["line", "half", "rotate", "compress", "read"]), max_size=25))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_to_it_every_line_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    log = ConnectionLog("netperf", tmp_path_factory.mktemp("log") / "kern.log", "Incoming netperf")
    log.file.touch()
    os.utime(log.file, (NOW.timestamp(), NOW.timestamp()))
    written, found, tail = 0, Counter[str](), None
    for number, event in enumerate((*events, "read"), 1):
        moment = NOW.timestamp() + number
        if event in ("line", "half"):
            text = line(f"192.0.2.{number}", number)
            with log.file.open("a") as stream:
                stream.write(text)
            written += 1
        elif event == "rotate" and log.file.stat().st_size:
            log.file.rename(log.file.with_name(f"kern.log-{number}"))
            log.file.touch()
        elif event == "compress":
            for old in log.file.parent.glob("kern.log-*[0-9]"):
                with gzip.open(f"{old}.gz", "wb") as packed:
                    packed.write(old.read_bytes())
                shutil.copystat(old, f"{old}.gz")
                old.unlink()
        elif event == "read":
            for batch in log.news(tail, LONG_AGO):
                found.update({str(source): count for (source, _), count in batch.counts.items()})
                tail = batch.tail
        os.utime(log.file, (moment, moment))
    assert sum(found.values()) == len(found) == written
