"""`switchguard analyze` of a file of a million conntrack lines, from its start to its end, against mawk's count.

`python -m benchmarks.analyze_file`. Both run in turns, each in a process of its own; prints medians and their ratio as
JSON, and the largest memory of any round.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.table_files import Cost, as_installed, cost_of, mawk, write_table


def measure(lines: int, rounds: int, directory: Path) -> dict[str, object]:
    file, little = directory / "table.txt", directory / "little.txt"
    write_table(file, lines)
    write_table(little, 100)
    environment = as_installed(directory / "bytecode")
    analyze = [str(Path(sys.executable).with_name("switchguard")), "analyze", str(file)]
    cost_of([*analyze[:-1], str(little)], environment)
    pairs = [(cost_of(mawk(file)), cost_of(analyze, environment)) for _ in range(rounds)]
    return {
        "lines": lines,
        "mawk_s": _median(pair[0] for pair in pairs),
        "analyze_s": _median(pair[1] for pair in pairs),
        "ratio": round(statistics.median(ours.wall_s / theirs.wall_s for theirs, ours in pairs), 3),
        "cpu_ratio": round(statistics.median(ours.cpu_s / theirs.cpu_s for theirs, ours in pairs), 3),
        "nothing_to_read_s": round(cost_of([*analyze[:-1], str(little)], environment).wall_s, 3),
        "peak_mb": round(max(ours.peak_mb for _, ours in pairs)),
    }


def _median(costs: Iterable[Cost]) -> float:
    return round(statistics.median(cost.wall_s for cost in costs), 3)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with TemporaryDirectory(prefix="switchguard-bench-") as directory:
        sys.stdout.write(json.dumps(measure(chosen.lines, chosen.rounds, Path(directory)), indent=1) + "\n")


if __name__ == "__main__":
    main()
