"""`make bench`: every benchmark, one after the other, against its bar and against the last time.

Each benchmark is a program of its own that prints JSON. Here its numbers are compared with the bars, and those that do
not depend on the machine's speed (`ratio`: of two things measured in turns in one run) with benchmarks/ratios.json: one
that became worse by more than `TOLERANCE` is a regression. Prints a table, writes it into docs/performance.md between
its two marks with machine and date, and leaves with status 1 if a bar was missed or something regressed, 2 if something
could not be run. `--only NAME` runs some, `--store` makes today's ratios the ones to compare with.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent
RATIOS, REPORT = HERE / "ratios.json", HERE.parent / "docs/performance.md"
TOLERANCE = 0.25
"""Ratios of one run are steady within a tenth on a quiet machine, and within a fifth on a busy one."""
BEGIN, END = "<!-- measured by make bench -->", "<!-- end of what was measured -->"
LONGEST_S = 900

Report = Mapping[str, Any]
Unit = Literal["ratio", "share", "s", "ms", "MB"]
"""A share is a ratio that depends on the machine."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One number of a report and how large it may be."""

    name: str
    value: Callable[[Report], float]
    at_most: float
    unit: Unit = "ratio"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`what` is the sentence for people."""

    name: str
    what: str
    bars: tuple[Bar, ...]
    module: str = ""
    """In this folder, where it is not called like the benchmark."""
    arguments: tuple[str, ...] = ()
    lab: bool = False
    """Inside a lab of its own."""

    @property
    def file(self) -> Path:
        return HERE / f"{self.module or self.name}.py"

    @property
    def command(self) -> tuple[str, ...]:
        lab = (str(Path(sys.executable).with_name("switchguard")), "lab", "run") if self.lab else ()
        return (*lab, sys.executable, "-m", f"benchmarks.{self.file.stem}", *self.arguments)


@dataclass(frozen=True, slots=True)
class Result:
    """One bar's number today, and what was stored."""

    benchmark: Benchmark
    bar: Bar
    value: float
    before: float | None

    @property
    def missed(self) -> bool:
        return self.value > self.bar.at_most

    @property
    def regressed(self) -> bool:
        return self.before is not None and self.value > self.before * (1 + TOLERANCE)

    @property
    def verdict(self) -> str:
        if self.regressed:
            return f"regressed, was {self.before:.3g}"
        return "over the bar" if self.missed else "ok"


_FOUND = (Bar("crossed to found", lambda r: r["crossed_to_found"], 1, "s"),)

BENCHMARKS = (
    Benchmark(
        "analyze_file",
        "`analyze` of 1,000,000 conntrack lines, whole process, against mawk's count of the same file",
        (
            Bar("time of mawk's", lambda r: r["ratio"], 1 / 3),
            Bar("memory", lambda r: r["peak_mb"], 200, "MB"),
        ),
    ),
    Benchmark(
        "read_table",
        "65,536 conntrack lines in a running process",
        (
            Bar("fastest", lambda r: r["fastest_ms"], 60, "ms"),
            Bar("time of mawk's", lambda r: r["ratio"], 1.0),
        ),
    ),
    Benchmark(
        "local_dump",
        "local poll of a kernel table of 255,000 entries, against a bare recv of the same dump",
        (Bar("time of recv's", lambda r: r["ratio"], 1.25),),
    ),
    Benchmark(
        "ssh_poll",
        "poll of 65,536 entries over SSH, against `ssh host conntrack -L >/dev/null`",
        (
            Bar("time of ssh's, session opened for it", lambda r: r["ratio"], 1.15),
            Bar("time of ssh's, session kept", lambda r: r["kept_ratio"], 1.15),
        ),
    ),
    Benchmark(
        "snmp_switches",
        "1,000 simulated switches, 10 ms away: gathered, decoded, attributed",
        (
            Bar("one core", lambda r: r["round 1"]["cpu_s"], 6, "s"),
            Bar("wall clock of pysnmp's", lambda r: _wall(r) / r["pysnmp"]["wall_s"], 0.1),
            Bar("wall clock of snmpbulkwalk's", lambda r: _wall(r) / r["snmpbulkwalk"]["wall_s"], 0.1),
        ),
    ),
    Benchmark(
        "attribution",
        "attribution and judgement of 50,000 clients",
        (Bar("together", lambda r: r["together_s"], 1, "s"),),
    ),
    Benchmark(
        "history",
        "a day of 2,000 clients, polled every minute, in SQLite",
        (
            Bar("on disk", lambda r: r["day_mb"], 300, "MB"),
            Bar("`usage`", lambda r: r["usage_s"], 0.3, "s"),
            Bar("`usage --per hour -n 20`", lambda r: r["usage_hourly_s"], 0.3, "s"),
            Bar("`explain`", lambda r: r["explain_s"], 0.3, "s"),
        ),
    ),
    Benchmark(
        "stream_gateway",
        "`detect: stream` over SSH: a swarm is found after it crossed the threshold, and cut on the gateway",
        (*_FOUND, Bar("found to cut", lambda r: r["found_to_cut"], 0.5, "s")),
        module="stream_latency",
        arguments=("--times", "5", "gateway:address:c07"),
        lab=True,
    ),
    Benchmark(
        "stream_switch",
        "`detect: stream` over SSH: a swarm is found after it crossed the threshold, and cut on an EOS switch",
        (*_FOUND, Bar("found to cut", lambda r: r["found_to_cut"], 3, "s")),
        module="stream_latency",
        arguments=("--times", "5", "core:mac:c07"),
        lab=True,
    ),
    Benchmark(
        "stream_ios",
        "`detect: stream` over SSH: a swarm is found after it crossed the threshold, and cut on an IOS switch",
        (*_FOUND, Bar("found to cut", lambda r: r["found_to_cut"], 3, "s")),
        module="stream_latency",
        arguments=("--times", "5", "access:mac:c07"),
        lab=True,
    ),
    Benchmark(
        "stream_local",
        "`detect: stream` on the gateway itself: a swarm is found after it crossed the threshold, and cut there",
        (*_FOUND, Bar("found to cut", lambda r: r["found_to_cut"], 0.5, "s")),
        module="stream_latency",
        arguments=("--local", "--times", "5", "gateway:address:c07"),
        lab=True,
    ),
    Benchmark(
        "pursuit",
        "traps: a blocked client moves to another IOS switch, and is cut there",
        (Bar("first trap to cut", lambda r: r["told_to_cut"], 2, "s"),),
        module="pursuit_latency",
        arguments=("--times", "5"),
        lab=True,
    ),
    Benchmark(
        "many_blocks",
        "50 blocks on 20 switches in one cycle, against the slowest switch alone",
        (Bar("time of the slowest's", lambda r: r["ratio"], 1.2),),
    ),
    Benchmark(
        "idle_service",
        "idle service with 100 devices, an hour's polls",
        (
            Bar("share of a core", lambda r: r["core_share"], 0.02, "share"),
            Bar("resident", lambda r: r["memory_mb"], 150, "MB"),
            Bar("grown since the first quarter", lambda r: r["growth"], 1.05, "share"),
        ),
    ),
)


def _wall(report: Report) -> float:
    """The first round, which knows nothing of what is settled."""
    return float(report["round 1"]["gathered"]["wall_s"])


# --- running ---------------------------------------------------------------------------------------------------------


def run(benchmark: Benchmark) -> Report | str:
    """What it printed, or why there is nothing."""
    if not benchmark.file.exists():
        return "there is no such benchmark yet"
    try:
        done = subprocess.run(
            benchmark.command, capture_output=True, text=True, timeout=LONGEST_S, cwd=HERE.parent, check=False
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {LONGEST_S} s"
    if done.returncode:
        return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
    try:
        found = json.loads(done.stdout[done.stdout.find("{") :])
    except ValueError:
        return f"printed no JSON: {done.stdout[:80]!r}"
    return found if isinstance(found, dict) else "printed no JSON object"


def results_of(benchmark: Benchmark, report: Report, stored: Mapping[str, float]) -> list[Result]:
    return [
        Result(benchmark, bar, float(bar.value(report)), stored.get(key_of(benchmark, bar))) for bar in benchmark.bars
    ]


def key_of(benchmark: Benchmark, bar: Bar) -> str:
    return f"{benchmark.name}: {bar.name}"


def stored_ratios(file: Path = RATIOS) -> dict[str, float]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def store(results: Sequence[Result], stored: Mapping[str, float], anew: bool, file: Path = RATIOS) -> None:
    """Ratios that were never stored are kept; the others only if `anew`."""
    today = {key_of(r.benchmark, r.bar): round(r.value, 4) for r in results if r.bar.unit == "ratio"}
    kept = {**stored, **today} if anew else {**today, **stored}
    file.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


# --- telling ---------------------------------------------------------------------------------------------------------


def machine() -> str:
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    gigabytes = int(memory[1]) / 1e6 if memory else 0
    return (
        f"{os.cpu_count()} × {cpu[1] if cpu else platform.machine()}, {gigabytes:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, numpy {version('numpy')}, load {os.getloadavg()[0]:.1f} at the beginning"
    )


def written(result: Result) -> str:
    unit = "" if result.bar.unit in ("ratio", "share") else f" {result.bar.unit}"
    return f"{result.value:.3g}{unit} (at most {result.bar.at_most:.3g}{unit})"


def report_lines(where: str, at: datetime, results: Sequence[Result], failures: Mapping[str, str]) -> Iterator[str]:
    yield BEGIN
    yield f"{at:%Y-%m-%d %H:%M} UTC, {where}, switchguard {version('switchguard')}."
    yield ""
    yield "| what | number | measured | |"
    yield "|---|---|---|---|"
    for result in results:
        yield f"| {result.benchmark.what} | {result.bar.name} | {written(result)} | {result.verdict} |"
    for name, why in failures.items():
        yield f"| {name} | – | not measured | {why.replace('|', '/')} |"
    yield END


def write_report(lines: Sequence[str], file: Path = REPORT) -> None:
    """What people wrote around the marks stays."""
    text = file.read_text() if file.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(before + "\n".join(lines) + after)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--only", action="append", choices=[each.name for each in BENCHMARKS], help="repeatable")
    options.add_argument("--store", action="store_true", help="today's ratios are the ones to compare with")
    chosen = options.parse_args()
    where, stored = machine(), stored_ratios()
    say(where)
    results: list[Result] = []
    failures: dict[str, str] = {}
    for benchmark in (each for each in BENCHMARKS if not chosen.only or each.name in chosen.only):
        report = run(benchmark)
        if isinstance(report, str):
            failures[benchmark.name] = report
            say(f"{benchmark.name}: not measured: {report}")
            continue
        for result in results_of(benchmark, report, stored):
            results.append(result)
            say(f"{benchmark.name}: {result.bar.name}: {written(result)}: {result.verdict}")
    store(results, stored, chosen.store)
    if not chosen.only:
        write_report(list(report_lines(where, datetime.now(UTC), results, failures)))
    if any(result.missed or result.regressed for result in results):
        return 1
    return 2 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
