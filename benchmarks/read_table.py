"""The reader of a conntrack table inside a running process: 65,536 lines that are in memory already.

`python -m benchmarks.read_table`. This is what a poll costs beside waiting for the gateway. Prints milliseconds as
JSON, the fastest and the median of several rounds, and the ratio to mawk's count of the same lines in a file.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.table_files import cost_of, mawk, write_table
from switchguard import plugins
from switchguard.ports import NatTable, ReadsCapture

CHUNK = 1 << 16


def read(chunks: list[bytes]) -> NatTable:
    driver = plugins.driver("linux")
    if not isinstance(driver, ReadsCapture):
        raise SystemExit("the linux driver reads no saved table")
    return driver.read_capture(chunks, "conntrack", ())


def measure(lines: int, rounds: int, file: Path) -> dict[str, object]:
    write_table(file, lines)
    octets = file.read_bytes()
    chunks = [octets[start : start + CHUNK] for start in range(0, len(octets), CHUNK)]
    held = read(chunks)
    ours, theirs = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        read(chunks)
        ours.append(time.perf_counter() - began)
        theirs.append(cost_of(mawk(file)).wall_s)
    return {
        "entries": held.entries,
        "clients": len(held.usages),
        "fastest_ms": round(1000 * min(ours), 1),
        "median_ms": round(1000 * statistics.median(ours), 1),
        "mawk_ms": round(1000 * statistics.median(theirs), 1),
        "ratio": round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=65_536)
    options.add_argument("--rounds", type=int, default=15)
    chosen = options.parse_args()
    with TemporaryDirectory(prefix="switchguard-bench-") as directory:
        report = measure(chosen.lines, chosen.rounds, Path(directory) / "table.txt")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
