"""Before a push: the forwarding tables on which new MAC blocks rest, read again unless they were read just now."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from switchguard.core.changes import Plan
from switchguard.core.model import Mac, Snapshot
from switchguard.core.stillthere import gone, stale

FRESH = timedelta(seconds=5)
"""A pass reads places before it blocks: only a person's pause, or a slow device, makes a table older than this."""

Look = Callable[[Collection[str]], Snapshot]
"""The forwarding tables of these devices, as they are now."""


def gone_by_now(plan: Plan, look: Look, now: datetime) -> Mapping[Mac, str]:
    """MACs that must not be blocked now, and why: what the next pass sees, decides anew."""
    doubtful = stale(plan.whereabouts, now, FRESH)
    if not doubtful:
        return {}
    return gone(doubtful, look(sorted({it.device for it in doubtful})))
