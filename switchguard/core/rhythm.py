"""When a source opened its connections: hour by hour for people, and whether it ever took a break.

"Real humans take breaks": somebody who tests a network tests for a while and goes to bed. A machine that runs a test
every few minutes around the clock is the one that keeps others from testing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from switchguard.core.evidence import Connections
from switchguard.core.explain import duration

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`span` from the first to the last connection; `longest_break` between two of them, or since the last one."""

    connections: int
    first: datetime
    last: datetime
    longest_break: timedelta

    @property
    def span(self) -> timedelta:
        return self.last - self.first


def rhythm(connections: Sequence[Connections], now: datetime) -> Rhythm | None:
    """None if there are no connections."""
    starts = [it.start for it in connections if it.count]
    if not starts:
        return None
    longest = max(later - earlier for earlier, later in pairwise((*starts, max(now, starts[-1]))))
    return Rhythm(sum(it.count for it in connections), starts[0], starts[-1], longest)


def united(sources: Iterable[Sequence[Connections]]) -> tuple[Connections, ...]:
    """Several sources' connections as one's, span by span."""
    total: Counter[datetime] = Counter()
    for connections in sources:
        for it in connections:
            total[it.start] += it.count
    return tuple(Connections(start, total[start]) for start in sorted(total))


def busiest(connections: Sequence[Connections], within: timedelta) -> int:
    """The most connections in any stretch of this length."""
    most = running = oldest = 0
    for it in connections:
        running += it.count
        while connections[oldest].start <= it.start - within:
            running -= connections[oldest].count
            oldest += 1
        most = max(most, running)
    return most


def rhythm_sentence(found: Rhythm | None) -> str:
    """Tested briefly, continually, or stopped and came back."""
    return "no connections" if found is None else ", ".join(_clauses(found))


def _clauses(found: Rhythm) -> Iterator[str]:
    times = "connection" if found.connections == 1 else "connections"
    yield f"{found.connections:,} {times} in {duration(found.span)}"
    yield f"longest break {duration(found.longest_break)}"
