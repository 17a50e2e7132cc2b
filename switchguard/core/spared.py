"""A decision + the plan that was made of it -> the decision without those whom the plan found to be exempt.

Whether somebody is exempt is decided in one place, on the way to every change, by everything that a penalty would
touch. Here that answer reaches what is remembered: a rule's verdict that an exemption refused is not kept until the
exemption is over, and one that stood ends for good. What a person asked for is the person's to end.
"""

from collections.abc import Collection
from dataclasses import replace

from switchguard.core.changes import Plan
from switchguard.core.decide import is_manual
from switchguard.core.penalties import Decision, Release


def spare(decision: Decision, before: Collection[str], made: Plan) -> Decision:
    """`before`: ids of what stood before this cycle; all other verdicts are new, and become none. The refusals stay in
    the plan, so that people see who was spared, and why."""
    why = {it.verdict: it.why for it in made.refusals if it.safeguard == "exemption" and it.verdict is not None}
    spared = {it.id: why[it.id] for it in decision.standing if it.id in why and not is_manual(it)}
    if not spared:
        return decision
    theirs = tuple(it for it in decision.standing if it.id in spared)
    return replace(
        decision,
        standing=tuple(it for it in decision.standing if it.id not in spared),
        released=(*decision.released, *(Release(it, spared[it.id]) for it in theirs if it.id in before)),
        spared=tuple(it for it in theirs if it.id not in before),
    )
