"""The harness of the benchmarks: what counts as a regression, and what it leaves alone. Nothing is measured here."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.__main__ import (
    BENCHMARKS,
    TOLERANCE,
    Bar,
    Benchmark,
    Result,
    key_of,
    report_lines,
    results_of,
    run,
    store,
    stored_ratios,
    write_report,
)

RATIO = Bar("time of mawk's", lambda report: report["ratio"], 0.5)
SECONDS = Bar("together", lambda report: report["s"], 1.0, "s")
BENCHMARK = Benchmark("reading", "reading a table", (RATIO, SECONDS))


def results(ratio: float, stored: Mapping[str, float] = {}) -> list[Result]:
    return results_of(BENCHMARK, {"ratio": ratio, "s": 0.2}, stored)


def test_a_number_below_its_bar_is_fine_and_one_above_it_is_not() -> None:
    assert [result.missed for result in (*results(0.5), *results(0.6))] == [False, False, True, False]


def test_a_ratio_that_became_worse_than_the_tolerance_is_a_regression() -> None:
    stored = {key_of(BENCHMARK, RATIO): 0.2}
    steady, worse = (results(0.2 * (1 + TOLERANCE) + step, stored)[0] for step in (-0.01, 0.01))
    assert (steady.verdict, worse.verdict) == ("ok", "regressed, was 0.2")


def test_only_ratios_are_kept_and_the_first_one_stays(tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    store(results(0.2), stored_ratios(file), anew=False, file=file)
    store(results(0.4), stored_ratios(file), anew=False, file=file)
    assert stored_ratios(file) == {"reading: time of mawk's": 0.2}
    store(results(0.4), stored_ratios(file), anew=True, file=file)
    assert stored_ratios(file) == {"reading: time of mawk's": 0.4}


def test_the_report_replaces_what_was_measured_and_keeps_what_people_wrote(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    for day in (19, 20):
        at = datetime(2026, 11, day, tzinfo=UTC)
        write_report(list(report_lines("a machine", at, results(0.6), {"ssh_poll": "sshd wants to be root"})), file)
        if day == 19:
            file.write_text("Before.\n" + file.read_text() + "After.\n")
    text = file.read_text()
    assert text.startswith("Before.\n# Performance\n")
    assert text.endswith("After.\n")
    assert text.count("a machine") == 1
    assert "2026-11-20 00:00 UTC" in text
    assert "| reading a table | time of mawk's | 0.6 (at most 0.5) | over the bar |" in text
    assert "| ssh_poll | – | not measured | sshd wants to be root |" in text


def test_what_cannot_be_run_says_why() -> None:
    assert run(replace(BENCHMARK, module="no_such_thing")) == "there is no such benchmark yet"


@pytest.mark.parametrize("benchmark", [each for each in BENCHMARKS if each.file.exists()], ids=lambda each: each.name)
def test_every_benchmark_has_a_bar(benchmark: Benchmark) -> None:
    assert benchmark.bars
