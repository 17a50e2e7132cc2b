"""How often a gateway may be asked for its whole translation table: as the site says, or less often where that is dear.

A reading that keeps the gateway busy for `c` seconds is paid for in `c / ceiling` seconds. From that follow

    period  = max(poll.nat, longest of the last three readings / ceiling)
    a reading out of turn (a jump, somebody on the way to a verdict): at once, if all readings but the last one are paid

so that in the long run reading takes at most `ceiling` of the time, and the first jump is looked at immediately. The
longest of three, because a table grows faster than it shrinks. Seconds are those from question to last row: what the
gateway itself works cannot be more. No reading has to be paid for longer than an hour (`LONGEST`): whoever looks more
rarely sees nobody, so where one takes longer than `ceiling` of an hour, it is the ceiling that gives way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchguard.core.model import Snapshot

REMEMBERED = 3
"""Readings."""
LONGEST = timedelta(hours=1)
"""That a period is stretched to, and that one reading is paid for."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the last readings cost, and when all of them are paid for."""

    recent_s: tuple[float, ...] = ()
    paid: datetime | None = None


def after(pace: Pace, began: datetime, seconds: float, ceiling: float) -> Pace:
    """With one more reading. `ceiling` is above 0.0; 1.0 means that any cost is allowed."""
    start = began if pace.paid is None else max(pace.paid, began)
    return Pace((*pace.recent_s, seconds)[-REMEMBERED:], start + _owed(seconds, ceiling))


def stretched(pace: Pace, configured: timedelta, ceiling: float) -> timedelta:
    """Between two readings in turn: never less than the configured one, and more than an hour only if that is."""
    return max(configured, _owed(max(pace.recent_s, default=0.0), ceiling))


def out_of_turn(pace: Pace, when: datetime, ceiling: float) -> datetime:
    """`when` somebody would like another reading -> when there may be one."""
    if pace.paid is None:
        return when
    return max(when, pace.paid - _owed(pace.recent_s[-1], ceiling))


def _owed(seconds: float, ceiling: float) -> timedelta:
    """In which a reading of so many seconds is paid for."""
    return min(timedelta(seconds=seconds / ceiling), LONGEST)


def costs(snapshot: Snapshot, since: datetime) -> Mapping[str, float]:
    """Gateway -> seconds that reading its table took since then, also in vain. One that does not even begin to answer
    has no cost, and keeps the others' tables from nothing."""
    told = {it.device: it.seconds for it in snapshot.readings if it.table == "nat" and it.at >= since}
    return told | {gap.device: gap.seconds for gap in snapshot.gaps if gap.table == "nat" and gap.seconds}
