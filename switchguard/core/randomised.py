"""A randomised MAC is thrown away within hours or days: what a policy makes of a rule's penalty for one.

A block of such a MAC soon blocks nobody, and takes an entry of a switch's list meanwhile. So a policy may shorten it,
or put something else in its place, on the address or on the port, where every safeguard of ports holds.
"""

from dataclasses import replace
from datetime import datetime

from switchguard.core.penalties import Block, Notify, Verdict
from switchguard.core.policy import IdentityPolicy


def randomised(verdict: Verdict) -> bool:
    """Every MAC that it means is a locally administered one."""
    return bool(verdict.macs) and all(mac.is_local for mac in verdict.macs)


def eased(verdict: Verdict, policy: IdentityPolicy, now: datetime) -> Verdict:
    """The verdict as the policy wants it for a randomised MAC; any other verdict as it is. What a person asked for,
    what everybody has, and notices stay as they are."""
    untouched = verdict.requested_by is not None or verdict.routine or isinstance(verdict.penalty, Notify)
    if untouched or not randomised(verdict):
        return verdict
    by_mac = isinstance(verdict.penalty, Block) and verdict.penalty.by == "mac"
    instead = policy.randomised_instead if by_mac else None
    latest = None if policy.randomised_at_most is None else now + policy.randomised_at_most
    ends = [end for end in (verdict.until, latest) if end is not None]
    return replace(verdict, penalty=instead or verdict.penalty, until=min(ends, default=None))
