"""When the network looks different because our view of it broke, nobody is judged in this cycle.

A mass of new offenders right after a restart, a long silence or a table that lost half its rows is a mistake of ours
far more often than a swarm. Standing penalties and streaks stay as they are meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

from switchguard.core.model import Reading, Snapshot, Table
from switchguard.core.rates import LONGEST_GAP_S, restarted, uptimes

SHRUNKEN = 0.5
"""A table with fewer than this share of its former rows is no longer the same view."""
PERIODS_MISSED = 2.5
"""Of the translation-table poll: as many as may be missing before a silence is a gap."""
SLACK_S = 5.0
"""By which a later view may seem to be the earlier one: clocks are put right a little all the time."""
FEW_ROWS = 50
"""Smaller tables may halve by ordinary coming and going."""


def patience_s(period: timedelta) -> float:
    """The longest silence that is no gap, where translation tables are read this often: 15 min or more."""
    return max(LONGEST_GAP_S, PERIODS_MISSED * period.total_seconds())


def pause_reason(previous: Snapshot, current: Snapshot, longest_gap_s: float = LONGEST_GAP_S) -> str | None:
    """Why judging pauses in this cycle, or None.

    A table that is missing altogether is a Gap and keeps its own rules; here it counts neither as read nor as shrunken.
    `longest_gap_s` must exceed the period of the translation-table poll: `patience_s`.
    """
    return next(_reasons(previous, current, longest_gap_s), None)


def _reasons(previous: Snapshot, current: Snapshot, longest_gap_s: float) -> Iterator[str]:
    before, now = _read_at(previous.readings, "nat"), _read_at(current.readings, "nat")
    if now and before == now:
        yield "no translation table was read since the last judgement"
    silent = (current.at - previous.at).total_seconds()
    if silent < -SLACK_S:
        yield f"the clock was set back by {-silent:.0f} s"
    if silent > longest_gap_s:
        yield f"nothing was read for {silent:.0f} s"
    yield from _restarts(previous, current)
    yield from _shrunken(previous, current)


def _read_at(readings: Iterable[Reading], table: Table) -> set[tuple[str, float]]:
    return {(reading.device, reading.at.timestamp()) for reading in readings if reading.table == table}


def _restarts(previous: Snapshot, current: Snapshot) -> Iterator[str]:
    before, now = uptimes(previous.counters), uptimes(current.counters)
    elapsed = (current.at - previous.at).total_seconds()
    for device in sorted(before.keys() & now.keys()):
        if restarted(before[device], now[device], elapsed):
            yield f"{device} restarted"


def _shrunken(previous: Snapshot, current: Snapshot) -> Iterator[str]:
    missing = {(gap.device, gap.table) for gap in (*previous.gaps, *current.gaps)}
    here = {device.name for device in current.devices}
    before, now = _rows(previous), _rows(current)
    for (device, table), rows in sorted(before.items()):
        left = now[device, table]
        if (device, table) in missing or device not in here:
            continue
        if rows >= FEW_ROWS and left < SHRUNKEN * rows:
            yield f"{device}'s {table} table shrank from {rows:,} to {left:,} rows"


def _rows(snapshot: Snapshot) -> Counter[tuple[str, Table]]:
    """Inside addresses, neighbours and stations: a client that is cut loses one row of each, however busy it was."""
    count: Counter[tuple[str, Table]] = Counter()
    count.update((row.device, "nat") for row in snapshot.nat)
    count.update((row.device, "arp") for row in snapshot.neighbors)
    count.update((row.device, "fdb") for row in snapshot.fdb)
    return count
