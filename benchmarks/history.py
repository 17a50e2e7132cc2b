"""A day of 2,000 clients at one-minute polls in the ledger: how large, how long to write, to sum and to ask.

    python -m benchmarks.history --clients 2000 --hours 24

Every client moves something in every poll, which no real network does. Writing is the whole of a pass's memory: books,
usage, series, MACs. Prints one JSON object; bars: `day_mb` < 300, `usage_s` and `explain_s` < 0.3.
"""

import argparse
import json
import operator
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from random import Random

from switchguard.core.accounting import Books, NatBook, Octets, Total
from switchguard.core.model import ClientId, Mac
from switchguard.edge.archive import Archive
from switchguard.edge.history import History, Note, SeriesRow, UsageRow
from switchguard.edge.ledger_tables import Store

START = datetime(2026, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def note(clients: int, minute: int, chance: Random) -> tuple[Books, Note]:
    """What one poll adds."""
    start, end = START + minute * MINUTE, START + (minute + 1) * MINUTE
    names = [ClientId(f"mac:{Mac(0x020000000000 + number)}") for number in range(clients)]
    addresses = [ip_address(0x0A0A0000 + number) for number in range(clients)]
    usage = [
        UsageRow(
            name,
            start,
            end,
            int(chance.lognormvariate(13, 2)),
            int(chance.lognormvariate(11, 2)),
            False,
            chance.randrange(400),
            chance.randrange(200),
            chance.random(),
        )
        for name in names
    ]
    totals = {
        address: Total(name, Octets(chance.randrange(10**9), chance.randrange(10**8)), 40)
        for address, name in zip(addresses, names, strict=True)
    }
    series = [
        SeriesRow("size", "gw", "", end, end, 40_000, 65_536),
        *(SeriesRow("rate", "gw", f"eth{number}", start, end, 10**9, 10**8) for number in range(4)),
    ]
    people = {name: ((address,), None) for name, address in zip(names, addresses, strict=True)}
    macs = [Mac(0x020000000000 + number) for number in range(clients)]
    return Books({"gw": NatBook(start, end, totals, True)}), Note(end, usage, series, people, macs)


def measure(directory: Path, clients: int, hours: int) -> dict[str, object]:
    file = directory / "ledger.db"
    store, chance = Store(file), Random(1)
    history, archive = History(store), Archive(store)
    writing: list[float] = []
    tidying: list[float] = []
    for minute in range(hours * 60):
        made = note(clients, minute, chance)
        writing.append(timed(lambda made=made: history.keep(lambda _: made)))  # type: ignore[misc]  # called at once
        step = START + (minute + 1) * MINUTE
        tidying.append(timed(lambda step=step: history.tidy(step, steps=1)))  # type: ignore[misc]  # called at once
    end = START + hours * 60 * MINUTE
    store.close()
    size = sum(it.stat().st_size for it in directory.iterdir())
    store = Store(file)
    archive = Archive(store)
    client = ClientId(f"mac:{Mac(0x020000000000 + clients // 2)}")
    asked = {
        "usage_s": lambda: tuple(archive.most([(START, end + MINUTE)], operator.add, None)),
        "usage_hourly_s": lambda: tuple(
            archive.most(
                [(START + n * 60 * MINUTE, START + (n + 1) * 60 * MINUTE) for n in range(hours)], operator.add, 20
            )
        ),
        "explain_s": lambda: (archive.clients_named("10.10.3.232"), archive.spans_of(client, START, end + MINUTE)),
        "recall_s": lambda: archive.traffic([START, end - 6 * MINUTE], end - 15 * MINUTE),
    }
    return {
        "clients": clients,
        "polls": hours * 60,
        "rows": clients * hours * 60,
        "day_mb": round(size / 1e6 * 24 / hours, 1),
        "octets_per_row": round(size / (clients * hours * 60), 1),
        "write_s": round(sorted(writing)[len(writing) // 2], 4),
        "write_worst_s": round(max(writing), 4),
        "tidy_worst_s": round(max(tidying), 4),
        **{name: round(min(timed(work) for _ in range(3)), 4) for name, work in asked.items()},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clients", type=int, default=2_000)
    options.add_argument("--hours", type=int, default=24)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        sys.stdout.write(json.dumps(measure(Path(directory), chosen.clients, chosen.hours), indent=1) + "\n")


if __name__ == "__main__":
    main()
