"""Placements + slots that we hold -> what should be in which slot, and why the rest of what we hold should not.

Several causes in one slot are kept apart; the strictest value counts. A verdict leaves a slot only when all of its new
ones have been seen on their devices, so a client that moves is never free in between, nor if the new device fails.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from switchguard.core.changes import Slot
from switchguard.core.explain import penalty_phrase, slot_phrase
from switchguard.core.fit import Situation, unit_key
from switchguard.core.model import Mac
from switchguard.core.penalties import (
    Block,
    Penalty,
    Quarantine,
    RateLimit,
    Refusal,
    RestrictPorts,
    SessionCap,
    Subject,
    Verdict,
)
from switchguard.core.place import Placement
from switchguard.core.safeguards import Objection, copied_by_now, not_anew, not_on_port, occupants, refuse
from switchguard.core.users import lost

ENDED = "its penalty has ended"
MOVED = "the penalty is in force at its new place"


@dataclass(frozen=True, slots=True)
class Wish:
    """One verdict's claim to one slot. `note` says why not to the place that was asked first."""

    slot: Slot
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True, slots=True)
class Want:
    """What should be in a slot, and everybody who wants it there, by id."""

    penalty: Penalty
    wishes: tuple[Wish, ...]

    @property
    def verdicts(self) -> tuple[str, ...]:
        return tuple(wish.verdict.id for wish in self.wishes)


@dataclass(frozen=True, slots=True)
class Wants:
    """`lifted`: slots that we hold and nobody wants any more -> why."""

    slots: Mapping[Slot, Want]
    lifted: Mapping[Slot, str]
    refusals: tuple[Refusal, ...] = ()


def wants(
    placements: Collection[Placement], people: Iterable[Subject], pardoned: Mapping[str, str], situation: Situation
) -> Wants:
    """`people` are the verdicts that stand; `pardoned` those that a safeguard lifts, with its reason."""
    known = {whom.verdict.id: whom for whom in people}
    new = [Wish(slot, it.unit.verdict, it.note) for it in placements for slot in it.slots]
    arrived = {(it.unit.verdict.id, it.unit.key) for it in placements if _secured(it.slots, situation)}
    kept: list[Wish] = []
    reasons: dict[Slot, list[str]] = {}
    refusals: list[Refusal] = []
    for slot, held in situation.held.items():
        for verdict in held.verdicts:
            match _fate(slot, known.get(verdict), arrived, situation):
                case None:
                    kept.append(Wish(slot, known[verdict].verdict))
                case Objection() as objection:
                    refusals.append(_not_kept(slot, known[verdict].verdict, objection))
                    reasons.setdefault(slot, []).append(objection.why)
                case str() as moved_or_ended:
                    reasons.setdefault(slot, []).append(pardoned.get(verdict, moved_or_ended))
    slots = _merged((*kept, *new), situation)
    lifted = {slot: "; ".join(sorted(set(why))) for slot, why in reasons.items() if slot not in slots}
    return Wants(slots, lifted, tuple(refusals))


def strictest(penalties: Iterable[Penalty]) -> Penalty:
    """Of one kind: the lowest number. Two quarantine VLANs have no order of severity; the lower one is as good."""
    return min(penalties, key=lambda it: (_laxity(it), repr(it)))


def _together(slot: Slot, wishes: Collection[Wish], situation: Situation) -> Penalty:
    """What several causes come to on this device. Whom any of them puts into the box is in it, at the lowest limit."""
    penalties = [situation.as_put(wish.verdict, slot.device) for wish in wishes]
    harshest = strictest(penalties)
    boxes = [it.within for it in penalties if isinstance(it, RateLimit) and it.within is not None]
    return replace(harshest, within=min(boxes)) if boxes and isinstance(harshest, RateLimit) else harshest


def _laxity(penalty: Penalty) -> int:
    match penalty:
        case SessionCap(number) | RateLimit(number) | RestrictPorts(number) | Quarantine(number):
            return number
        case _:
            return 0


def _merged(wishes: Iterable[Wish], situation: Situation) -> Mapping[Slot, Want]:
    """A wish for a slot that the same verdict holds already says more than the bare fact of holding it."""
    by_slot: dict[Slot, dict[str, Wish]] = {}
    for wish in wishes:
        by_slot.setdefault(wish.slot, {})[wish.verdict.id] = wish
    return {
        slot: Want(_together(slot, them.values(), situation), tuple(them[id_] for id_ in sorted(them)))
        for slot, them in by_slot.items()
    }


def _secured(slots: Iterable[Slot], situation: Situation) -> bool:
    """Ours, and seen on the device."""
    return all(slot in situation.held and situation.present(slot) is not None for slot in slots)


def _fate(
    slot: Slot, whom: Subject | None, arrived: Collection[tuple[str, Mac | None]], situation: Situation
) -> Objection | str | None:
    """None: the verdict keeps this slot. Else why not."""
    if whom is None:
        return ENDED
    if (whom.verdict.id, unit_key(whom.verdict, slot)) in arrived:
        return MOVED
    return _unfit(slot, whom, situation)


def _unfit(slot: Slot, whom: Subject, situation: Situation) -> Objection | None:
    """Why a held slot must not stay or be put back: it would hit somebody else, or need a forbidden write."""
    if not situation.readable(slot.device):
        return None
    objection = _on_somebody_else(slot, whom, situation)
    lost = situation.present(slot) is None
    return objection or (_not_again(slot, whom, situation) if lost else None)


def _on_somebody_else(slot: Slot, whom: Subject, situation: Situation) -> Objection | None:
    attribution, port = situation.attribution, slot.station.port
    if slot.kind == Block.kind and (objection := copied_by_now(slot.station.mac, attribution)):
        return objection
    if slot.address is not None and lost(slot.address, whom.verdict.client, attribution):
        return Objection("spread", f"{slot.address} is not {whom.verdict.client}'s any more: it is lent to others")
    for client in attribution.clients:
        taken = slot.address in client.addresses or slot.station.mac in client.macs
        if taken and client not in whom.clients:
            return Objection("spread", f"{slot.address or slot.station.mac} is {client.identity}'s now")
    if port is None:
        return None
    if why := attribution.uplinks.get((slot.device, port)):
        return Objection("uplink", f"{port} is an uplink now: {why}")
    there = occupants(slot.device, port, attribution)
    gone = bool(there) and there.isdisjoint(whom.all_macs)
    return Objection("spread", f"{port} has somebody else's MAC now") if gone else None


def _not_again(slot: Slot, whom: Subject, situation: Situation) -> Objection | None:
    """Putting a lost slot back is a write, so what forbids writing at all forbids this too."""
    attribution, limits = situation.attribution, situation.policy.safeguards
    if slot.station.port is not None:
        return not_on_port(slot.device, slot.station.port, whom.macs, attribution, limits)
    return not_anew(whom, (slot.station.mac,) if slot.station.mac is not None else whom.macs, attribution, limits)


def _not_kept(slot: Slot, verdict: Verdict, objection: Objection) -> Refusal:
    return refuse(verdict, f"{penalty_phrase(verdict.penalty)} for {slot_phrase(slot)}", objection, slot.device)
