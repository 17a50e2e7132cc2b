"""The clock on the wall beside one that only goes on -> by how much somebody set the one on the wall.

Machines without a battery get the time from the network minutes after they began, and others are put right by hand.
Whatever was planned by the wall clock before that is due at a wrong moment, and no two readings that stand on either
side of it say how long something took.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST_STEP = timedelta(seconds=5)
"""Less is what a busy machine loses between two looks, or what NTP corrects, and delays nothing by more than that."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both of them, looked at together."""

    wall: datetime
    steady_s: float
    """Of a clock that nobody can set, from any beginning: time.monotonic()."""


def stepped(before: Clocks, now: Clocks) -> timedelta | None:
    """By how much the wall clock was set meanwhile, below zero for back; None if it was not. A machine that slept looks
    like one whose clock was set forward, and is treated like it."""
    off = (now.wall - before.wall) - timedelta(seconds=now.steady_s - before.steady_s)
    return off if abs(off) >= LEAST_STEP else None
