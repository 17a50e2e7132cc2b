"""Too much at once looks like our own mistake: the brakes on new penalties.

What counts as new is what would be written for the first time: a rule's verdict that holds no slot anywhere. So a
verdict that was refused is still new in the next cycle, and cannot slip through as an old one. Verdicts of one cycle
are judged together, by their `since`: too many are all refused, for as long as they stand. Verdicts left over from
several cycles (a pause, a switch that could not be read) are let in oldest first, never more in one cycle than the
brake allows. Verdicts that would only be observed are held against the brake as they came, cycle by cycle.

A person's requests, probation and penalties that follow their client pass the brakes one by one; only a full device
stops them. What is nobody's fault (a limit for everybody, a tier) may be as many as there are clients, and takes none
of a device's room for penalties. Releases never pass here at all.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import groupby

from switchguard.core.decide import is_manual
from switchguard.core.fit import Situation
from switchguard.core.penalties import Refusal, Verdict
from switchguard.core.place import Placement
from switchguard.core.safeguards import Objection, enforces, refuse, too_many, too_many_on
from switchguard.core.wants import strictest

_LATER = Objection(
    "blast_radius", "this cycle's new penalties are already as many as may be; the next cycle tries again"
)


def brake(
    placements: Sequence[Placement], standing: Collection[str], situation: Situation
) -> tuple[list[Placement], list[Refusal]]:
    """The placements that may happen, and refusals for the others. `standing`: ids of all verdicts that are wanted,
    but for those that are nobody's fault."""
    gate = _Gate(standing, situation)
    fresh: list[Placement] = []
    for placement in placements:
        verdict = placement.unit.verdict
        if verdict.routine or not _writes(placement, situation):
            gate.allowed.append(placement)
        elif is_manual(verdict) or verdict.probation or verdict.id in gate.known:
            gate.judge([placement], None)
        else:
            fresh.append(placement)
    fresh.sort(key=_since)
    gate.let_in_turn([it for it in fresh if _is_real(it, situation)])
    for _, cycle in groupby((it for it in fresh if not _is_real(it, situation)), key=_since):
        gate.let_in_turn(list(cycle))
    return gate.allowed, gate.refused


class _Gate:
    """Counts what was let in, and what each device holds by then."""

    def __init__(self, standing: Collection[str], situation: Situation) -> None:
        self._limits = situation.policy.safeguards
        self._clients = len(situation.attribution.clients)
        self._holding: dict[str, set[str]] = {}
        for slot, held in situation.held.items():
            self._holding.setdefault(slot.device, set()).update(set(held.verdicts).intersection(standing))
        self.known = {verdict for held in situation.held.values() for verdict in held.verdicts}
        self.allowed: list[Placement] = []
        self.refused: list[Refusal] = []

    def let_in_turn(self, fresh: Iterable[Placement]) -> None:
        """Cycle by cycle, oldest first, all of a cycle or none of it."""
        admitted: set[Verdict] = set()
        for _, cycle in groupby(fresh, key=_since):
            group = list(cycle)
            verdicts = {it.unit.verdict for it in group}
            alone = too_many(verdicts, self._clients, self._limits)
            together = too_many(admitted | verdicts, self._clients, self._limits)
            if self.judge(group, alone or (_LATER if together else None)):
                admitted |= verdicts

    def judge(self, group: Sequence[Placement], objection: Objection | None) -> bool:
        """Lets in all of the group or nobody."""
        objection = objection or self._full(group)
        if objection is not None:
            self.refused += [refuse(it.unit.verdict, it.unit.what, objection, it.slots[0].device) for it in group]
            return False
        self.allowed += group
        for placement in group:
            for slot in placement.slots:
                self._holding.setdefault(slot.device, set()).add(placement.unit.verdict.id)
        return True

    def _full(self, group: Sequence[Placement]) -> Objection | None:
        for device in sorted({slot.device for it in group for slot in it.slots}):
            there = self._holding.get(device, set())
            more = {it.unit.verdict.id for it in group if any(slot.device == device for slot in it.slots)} - there
            if more and (objection := too_many_on(device, len(there | more), self._limits)):
                return objection
        return None


def _writes(placement: Placement, situation: Situation) -> bool:
    """Whether it needs a change: not for what is there already, is somebody else's, or cannot be read."""
    for slot in placement.slots:
        there = situation.present(slot)
        if there is None and situation.readable(slot.device):
            return True
        penalty = situation.as_put(placement.unit.verdict, slot.device)
        if there is not None and slot in situation.held and strictest((there, penalty)) != there:
            return True
    return False


def _is_real(placement: Placement, situation: Situation) -> bool:
    devices = (situation.enforcers[slot.device].device for slot in placement.slots)
    return any(enforces(situation.policy, device) for device in devices)


def _since(placement: Placement) -> datetime:
    return placement.unit.verdict.since
