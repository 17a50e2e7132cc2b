"""When a source opened its connections: hour by hour for people, and whether it ever took a break.

"Real humans take breaks": somebody who tests a network tests for a while and goes to bed. A machine that runs a test
every few minutes around the clock is the one that keeps others from testing.

Connections are known by the minute at first and by the hour or day when they are older. What is not known is assumed in
the source's favour: its breaks are as long as they may have been, and it was no faster than it must have been.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from switchguard.core.evidence import Connections
from switchguard.core.explain import duration

_MINUTE = timedelta(minutes=1)
JITTER = timedelta(seconds=5)
"""By so much a stretch may be longer: two readings are never exactly a period apart."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`span` from the first to the last connection; `longest_break` between two of them, or since the last one. Both
    to the minute, where that is known; of an older connection, the hour."""

    connections: int
    first: datetime
    last: datetime
    longest_break: timedelta

    @property
    def span(self) -> timedelta:
        return self.last - self.first


def rhythm(connections: Sequence[Connections], now: datetime) -> Rhythm | None:
    """None if there are no connections."""
    opened = [it for it in connections if it.count]
    if not opened:
        return None
    last = opened[-1].start
    breaks = [_latest(later) - earlier.start for earlier, later in pairwise(opened)]
    longest = max(*breaks, max(now, last) - last, timedelta(0))
    return Rhythm(sum(it.count for it in opened), min(_latest(opened[0]), last), last, longest)


def _latest(connections: Connections) -> datetime:
    """When the span's only connection may have been at the latest, to the minute."""
    return max(connections.start, connections.end - _MINUTE)


def united(sources: Iterable[Sequence[Connections]]) -> tuple[Connections, ...]:
    """Several sources' connections as one's, span by span."""
    total: Counter[tuple[datetime, timedelta]] = Counter()
    for connections in sources:
        for it in connections:
            total[it.start, it.lasts] += it.count
    return tuple(Connections(start, total[start, lasts], lasts) for start, lasts in sorted(total))


def busiest(connections: Sequence[Connections], within: timedelta) -> int:
    """The most connections that some stretch of this length must have had.

    Spans that fit into a stretch together add up. One that is longer has a part that is no longer than the stretch and
    has at least its share: of 360 connections in an hour, 60 in some ten minutes.
    """
    most = running = oldest = 0
    fine = [it for it in connections if it.lasts <= within + JITTER]
    for it in fine:
        running += it.count
        while it.end - fine[oldest].start > within + JITTER:
            running -= fine[oldest].count
            oldest += 1
        most = max(most, running)
    shares = (ceil(it.count / ceil(it.lasts / within)) for it in connections if it.lasts > within + JITTER)
    return max(most, max(shares, default=0))


def rhythm_sentence(found: Rhythm | None) -> str:
    """Tested briefly, continually, or stopped and came back."""
    return "no connections" if found is None else ", ".join(_clauses(found))


def _clauses(found: Rhythm) -> Iterator[str]:
    times = "connection" if found.connections == 1 else "connections"
    yield f"{found.connections:,} {times} in {duration(found.span)}"
    yield f"longest break {duration(found.longest_break)}"
