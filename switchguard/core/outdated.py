"""Between the plan and its record: what has been decided since, that the plan could not know of?

A person may think about a question for minutes, and the service and several people may use one ledger. Whoever comes
second is refused and can try again; the service does so with its next pass. Looked at in the moment in which the plan
goes on record, so that nothing comes in between.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from switchguard.core.changes import Basis, Change, HeldSlot, Plan, Slot
from switchguard.core.everybody import everyone_meant
from switchguard.core.penalties import Exemption, Penalty, RateLimit, Subject
from switchguard.core.safeguards import exempt_by, overrides_exemption

SINCE = "changed since the plan was made; try again"
LIFTED = f"{SINCE}: the penalty has been lifted"
WANTED = f"{SINCE}: another penalty is meant to be there now"


def outdated(
    plan: Plan,
    held: Sequence[HeldSlot],
    stand: Collection[str],
    ended: Collection[str],
    exemptions: Sequence[Exemption],
    now: datetime,
) -> Mapping[Change, str]:
    """Of what the plan changes or adopts, what must not be, and why. `stand`, `ended`: ids of penalties that do by now;
    what is in neither is not on record yet, as a person's who is just being asked."""
    basis = plan.basis or Basis(tuple(held), tuple(exemptions), ())
    spared = dict(_spared(basis, exemptions, now))
    void = {**dict.fromkeys(ended, LIFTED), **spared}
    anew = unforeseen(plan, held, stand)
    penalties = {whom.verdict.id: whom.verdict.penalty for whom in basis.people}
    told: dict[Change, str] = {}
    for change in (*plan.changes, *plan.adopted):
        if not anew.get(change.slot, frozenset()).issubset(change.verdicts):
            told[change] = WANTED
        elif change.after is not None and not _still_wanted(change, change.after, void, penalties):
            told[change] = next(void[it] for it in change.verdicts if it in void)
    return told


def unforeseen(plan: Plan, held: Sequence[HeldSlot], stand: Collection[str]) -> Mapping[Slot, frozenset[str]]:
    """The slots that have got a cause since, and which: only what stands is one."""
    if plan.basis is None:
        return {}
    known = {it.slot: it.verdicts for it in plan.basis.held}
    anew = {it.slot: frozenset(it.verdicts).difference(known.get(it.slot, ())).intersection(stand) for it in held}
    return {slot: causes for slot, causes in anew.items() if causes}


def _still_wanted(change: Change, after: Penalty, void: Collection[str], penalties: Mapping[str, Penalty]) -> bool:
    """Of several causes the strictest gave the value: without it the value is another one."""
    left = [it for it in change.verdicts if it not in void]
    if len(left) == len(change.verdicts):
        return True
    return any(_alone(penalties.get(it, after)) == _alone(after) for it in left)


def _alone(penalty: Penalty) -> Penalty:
    return replace(penalty, within=None) if isinstance(penalty, RateLimit) else penalty


def _spared(basis: Basis, exemptions: Sequence[Exemption], now: datetime) -> Iterator[tuple[str, str]]:
    """Whom an exemption covers that is new, and which. What there was before, the plan has seen to."""
    new = [it for it in exemptions if it not in basis.exemptions]
    for whom in basis.people if new else ():
        exemption = _first(new, now) if everyone_meant(whom.verdict) else exempt_by(whom, new, now)
        if exemption is not None and not overrides_exemption(whom.verdict):
            yield whom.verdict.id, f"{SINCE}: {_who(whom)} is exempt: {exemption.why}"


def _first(exemptions: Sequence[Exemption], now: datetime) -> Exemption | None:
    """For what holds for everybody: anybody's. Whether it concerns one of them, the next plan finds out."""
    return next((it for it in exemptions if it.until is None or it.until > now), None)


def _who(whom: Subject) -> str:
    return "somebody there" if everyone_meant(whom.verdict) else "the client"
