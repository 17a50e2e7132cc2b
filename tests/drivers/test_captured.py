"""Tables that are text for people, read from a file: numbered lines, networks inside, and times by somebody's clock."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from ipaddress import ip_address, ip_network
from statistics import median
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

captured = import_module("switchguard.drivers._captured")
tally = import_module("switchguard.drivers._nat_tally")
INSIDE = ip_address("10.20.0.15").packed
REMOTE = ip_address("192.0.2.80").packed


def entry(local: bytes = INSIDE, **told: Any) -> Any:
    return tally.Entry(local, "tcp", REMOTE, 443, **told)


def words(lines: Iterable[str], refuse: Any) -> Iterator[Any]:
    """A driver whose rows are the word `row`."""
    for line in lines:
        if line == "row":
            yield entry()
        else:
            refuse(line)


@given(st.lists(st.sampled_from([b"row\n", b"row\r\n", b"other\n"]), max_size=30), st.integers(1, 9))
def test_lines_count_the_same_however_they_arrive(lines: list[bytes], size: int) -> None:
    data = b"".join(lines)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    found = captured.read_captured(chunks, "gw1", words)
    other = [number for number, line in enumerate(lines, 1) if line == b"other\n"]
    assert (found.entries, found.unparsed) == (len(lines) - len(other), len(other))
    assert found.samples == tuple((number, "other") for number in other[:3])
    assert found.complete


def test_a_last_line_without_an_end_counts_and_is_told() -> None:
    found = captured.read_captured([b"row\nro", b"w"], "gw1", words)
    assert (found.entries, found.complete) == (2, False)


def test_rows_outside_the_named_networks_are_nobodys() -> None:
    tallies = tally.Tallies([ip_network("10.20.0.0/24")])
    for local in (INSIDE, ip_address("10.30.0.1").packed, INSIDE):
        tallies.add(entry(local))
    assert [(str(usage.address), usage.sessions) for usage in tallies.usages("gw1")] == [("10.20.0.15", 2)]
    assert (tallies.entries, tallies.not_clients) == (3, 1)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40), st.integers(0, 100))
def test_idle_times_are_what_they_are_without_being_kept_one_by_one(idle: list[int], ahead: int) -> None:
    tallies = tally.Tallies()
    for seconds in idle:
        tallies.add(entry(idle_s=float(seconds + ahead), age_s=float(seconds + ahead)))
    (usage,) = tallies.usages("gw1", float(ahead))
    assert usage.median_idle_s == median(idle)
    assert usage.active_share == sum(seconds < 60 for seconds in idle) / len(idle)
    assert (usage.oldest_s, usage.newest_s) == (max(idle), min(idle))
