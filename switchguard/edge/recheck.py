"""Before a push: the forwarding tables on which new penalties of MACs and ports rest, read again unless they were read
just now."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from switchguard.core.changes import Change, Plan
from switchguard.core.model import Snapshot
from switchguard.core.stillthere import changed_hands, gone, moved, stale, stale_ports

FRESH = timedelta(seconds=5)
"""A pass reads places before it blocks: only a slow device makes a table older than this."""

NEVER_FRESH = timedelta(0)
"""For whoever asked a person in between: a plug is pulled and put in elsewhere faster than a question is answered."""

Look = Callable[[Collection[str]], Snapshot]
"""The forwarding tables of these devices, as they are now."""


def gone_by_now(plan: Plan, look: Look, now: datetime, fresh: timedelta = FRESH) -> Mapping[Change, str]:
    """Changes that would hit somebody else now, and why: what the next pass sees, decides anew."""
    macs, ports = stale(plan.whereabouts, now, fresh), stale_ports(plan.tenants, now, fresh)
    doubtful = {it.device for it in macs} | {it.device for it in ports}
    if not doubtful:
        return {}
    looked = look(sorted(doubtful))
    return moved(plan.changes, gone(macs, looked), changed_hands(ports, looked))
