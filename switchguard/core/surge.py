"""Is the translation table growing so fast, or so full, that the whole of it should be read now?"""

from switchguard.core.model import NatSize

LEAST_JUMP = 200
"""Entries. A page with many pictures opens dozens of sessions; nobody needs hundreds at once (seeds T5)."""
JUMP_SHARE = 0.02
"""Of the table: on a gateway with 50,000 translations a swarm is 3 %, ordinary coming and going in 10 s less."""
HIGH_MARK = 0.80
"""Of the ceiling: from here on every size poll pulls the table, before new sessions are refused."""


def surge(before: NatSize | None, now: NatSize) -> str | None:
    """Why to read the whole table at once, or None. The first size of a gateway is no jump."""
    if now.limit and now.entries >= HIGH_MARK * now.limit:
        return f"{now.device}: {now.entries:,} of {now.limit:,} translations, {now.entries / now.limit:.0%} full"
    if before is None:
        return None
    grown = now.entries - before.entries
    if grown >= max(LEAST_JUMP, JUMP_SHARE * before.entries):
        return f"{now.device}: {grown:,} translations more than at the last look ({now.entries:,} now)"
    return None
