"""Verdicts + what devices already enforce -> the changes to make, or not: the only maker of a Change.

A plan is the difference between two mappings from slots to penalties: what should be true, and what is. Per slot:

    wanted   on the device   ours by the ledger   ->
    yes      no              yes or no                put it there (again, if a reload lost it)
    yes      yes             yes                      nothing; adopted if the ledger does not know that it is true
    yes      yes             no                       refused (foreign): somebody else's, neither adopted nor lifted
    yes      another value   yes                      change it
    no       yes             yes                      lift it
    no       no              yes                      forgotten
    -        not readable    yes or no                refused (gap): the device keeps what it has

Several causes in one slot: it stays until the last one ends, at the strictest of their values. A slot that a standing
verdict leaves (its client moved) stays until the new one has been seen on its device.

`mode: observe` keeps us from adding and changing, never from lifting: what we put there ends on time, whatever the mode
is by then. So `observed` never holds a release, and turning a device to observe lets its penalties run out. A slot that
stands on an exempt client is lifted. A pause, or exemptions that cannot be read, stop releases as well.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from switchguard.core.brakes import brake
from switchguard.core.changes import Basis, Change, Enforced, Enforcer, HeldSlot, Plan, SessionFlush, Slot
from switchguard.core.decide import is_manual, is_over
from switchguard.core.everybody import everyone_meant, how_many_now, never_everyone, spared_by
from switchguard.core.explain import client_phrase, not_ours, penalty_phrase, slot_phrase
from switchguard.core.fit import Situation, Unit, held_by, units
from switchguard.core.model import Attribution, Gap, reaches_beyond_its_link
from switchguard.core.pairs import peers
from switchguard.core.penalties import Block, Exemption, Notify, Refusal, Release, Subject, Verdict
from switchguard.core.place import Placement, completion, in_force, place, stays
from switchguard.core.policy import Policy
from switchguard.core.safeguards import (
    Objection,
    enforces,
    exempt_by,
    never,
    never_whole,
    overrides_exemption,
    refuse,
    subject,
)
from switchguard.core.stillthere import tenants, whereabouts
from switchguard.core.wants import ENDED, Want, Wants, wants

UNSPARING = "it holds for each address behind that gateway, whoever has it: such a line can spare nobody"

Step = Change | Slot | Refusal
"""What becomes of a slot: a change (ends alike: adopted), forgotten, or refused."""


def plan(
    *,
    wanted: Sequence[Verdict],
    attribution: Attribution,
    held: Sequence[HeldSlot],
    enforced: Mapping[str, Enforced | Gap],
    enforcers: Mapping[str, Enforcer],
    exemptions: Sequence[Exemption] | Gap,
    policy: Policy,
    paused: str | None,
    now: datetime,
) -> Plan:
    """`wanted` is every verdict that should stand, old and new; nothing wanted releases all that we hold.

    A pause changes nothing on devices; who is exempt is told all the same, since what is remembered follows from it.

    New penalties, for the brakes, are those of rules that hold no slot yet: a verdict that the brakes refused does not
    slip through as an old one in the next cycle. The order of all inputs but the zones is irrelevant.
    """
    pause = Refusal("every change", f"paused: {paused}", "paused")
    if isinstance(exemptions, Gap):
        why = f"the exemptions cannot be read ({exemptions.why}), so nothing is written"
        unread = Refusal("every change", why, "exemption")
        return Plan(now, refusals=(unread if paused is None else pause,))
    exempt = (*policy.exemptions, *exemptions)
    pairs = peers(enforcer.device for enforcer in enforcers.values())
    situation = Situation(attribution, {it.slot: it for it in held}, enforced, enforcers, policy, now, pairs)
    people, refused = _admit(wanted, exempt, situation)
    if paused is not None:
        return Plan(now, refusals=(pause, *(it for it in refused if it.safeguard == "exemption")))
    placements, unplaced = _place_all(people, situation)
    allowed, braked = brake(placements, {whom.verdict.id for whom in people if not whom.verdict.routine}, situation)
    pardoned = {refusal.verdict: refusal.why for refusal in refused if refusal.verdict is not None}
    goal = wants(allowed, people, pardoned, situation)
    slots = sorted({*goal.slots, *situation.held}, key=_slot_order)
    steps = [step for slot in slots for step in _settle(slot, goal, exempt, situation)]
    made = _plan(steps, (*refused, *unplaced, *braked, *goal.refusals), people, situation)
    return replace(made, basis=Basis(tuple(held), tuple(exemptions), tuple(people)))


def nothing(now: datetime) -> Plan:
    """The plan that changes nothing."""
    return Plan(now)


def restricted(whole: Plan, verdicts: Collection[str], held: Sequence[HeldSlot]) -> Plan:
    """The part of a plan that concerns these verdicts, wanted or ended; refusals that concern everybody stay in it."""
    theirs = {it.slot for it in held if not set(it.verdicts).isdisjoint(verdicts)}

    def concerned(change: Change) -> bool:
        return not set(change.verdicts).isdisjoint(verdicts) or change.slot in theirs

    return Plan(
        at=whole.at,
        changes=tuple(change for change in whole.changes if concerned(change)),
        observed=tuple(change for change in whole.observed if concerned(change)),
        refusals=tuple(it for it in whole.refusals if it.verdict is None or it.verdict in verdicts),
        flushes=tuple(flush for flush in whole.flushes if flush.verdict in verdicts),
        adopted=tuple(change for change in whole.adopted if concerned(change)),
        forgotten=tuple(slot for slot in whole.forgotten if slot in theirs),
        whereabouts=whole.whereabouts,
        tenants=whole.tenants,
        basis=whole.basis,
    )


def lifted_because(whole: Plan, released: Iterable[Release], held: Sequence[HeldSlot]) -> Plan:
    """The same plan, where each release says why the penalties in its slot ended."""
    whys = {it.verdict.id: it.why for it in released}
    causes = {it.slot: "; ".join(dict.fromkeys(whys[id_] for id_ in it.verdicts if id_ in whys)) for it in held}

    def told(change: Change) -> Change:
        why = causes.get(change.slot) if change.after is None and change.why == ENDED else None
        return replace(change, why=why) if why else change

    return replace(whole, changes=tuple(map(told, whole.changes)))


# --- whom ------------------------------------------------------------------------------------------------------------


def _admit(
    wanted: Iterable[Verdict], exempt: Sequence[Exemption], situation: Situation
) -> tuple[list[Subject], list[Refusal]]:
    """The subjects that may be penalised at all: a person's requests first, then the oldest. A notice goes to no
    device, but an exempt client is not even told."""
    people, refused = [], []
    for verdict in sorted({it.id: it for it in wanted}.values(), key=_rank):
        if is_over(verdict, situation.now):
            continue
        slots = (slot for slot, it in situation.held.items() if verdict.id in it.verdicts)
        whom = subject(verdict, situation.attribution, slots)
        objection = never(whom, exempt, situation.attribution, situation.now)
        if objection is None and whom.network is not None:
            objection = never_whole(whom.network, situation.attribution, situation.policy)
        objection = objection or never_everyone(verdict, exempt, situation.attribution, situation.policy, situation.now)
        if objection:
            what = f"{penalty_phrase(verdict.penalty)} for {client_phrase(verdict.client)}"
            refused.append(refuse(verdict, what, objection))
        elif not isinstance(verdict.penalty, Notify):
            people.append(whom)
    return people, refused


def _rank(verdict: Verdict) -> tuple[bool, datetime, str]:
    return (not is_manual(verdict), verdict.since, verdict.id)


# --- where -----------------------------------------------------------------------------------------------------------


def _place_all(people: Iterable[Subject], situation: Situation) -> tuple[list[Placement], list[Refusal]]:
    """One after the other, so that the last entry of a full list is given away once."""
    wanted = {whom.verdict.id for whom in people}
    occupied = _occupied(wanted, situation)
    placements: list[Placement] = []
    refused: list[Refusal] = []
    for unit in (unit for whom in people for unit in units(whom)):
        found = _place_one(unit, situation, occupied)
        if isinstance(found, Refusal):
            refused.append(found)
            continue
        placements += found
        occupied.update(slot for placement in found for slot in placement.slots)
    return placements, refused


def _place_one(unit: Unit, situation: Situation, occupied: Collection[Slot]) -> tuple[Placement, ...] | Refusal:
    """Nothing for a unit that simply keeps what it has; what is in force is not given up for a refusal."""
    found = None if stays(unit, situation) else place(unit, situation, occupied)
    if isinstance(found, Placement):
        return (found,)
    if isinstance(found, Refusal) and not any(in_force(slot, situation) for slot in held_by(unit, situation)):
        return found
    return completion(unit, situation, occupied)


def _occupied(wanted: Collection[str], situation: Situation) -> set[Slot]:
    """Everybody's entries, less ours that nobody wants any more: releases go first and make room."""
    there = {slot for table in situation.enforced.values() if not isinstance(table, Gap) for slot in table}
    return there - {slot for slot, held in situation.held.items() if set(held.verdicts).isdisjoint(wanted)}


# --- slot by slot ----------------------------------------------------------------------------------------------------


def _settle(slot: Slot, goal: Wants, exempt: Sequence[Exemption], situation: Situation) -> tuple[Step, ...]:
    """The table at the top, one line at a time."""
    want, held, there = goal.slots.get(slot), situation.held.get(slot), situation.on(slot.device)
    if isinstance(there, Gap) or slot.device not in situation.enforcers:
        return _all_refused(slot, want, held, Objection("gap", _out_of_hand(slot, there, situation)))
    present = there.get(slot)
    if want is None:
        return (slot,) if present is None else (Change(slot, present, None, (), goal.lifted.get(slot, ENDED)),)
    if held is None and present is not None:
        objection = Objection("foreign", not_ours(present))
        return _all_refused(slot, want, held, objection)
    if present != want.penalty:
        return (Change(slot, present, want.penalty, want.verdicts, _why(want, exempt, situation)),)
    if held is not None and (held.state, set(held.verdicts)) == ("verified", set(want.verdicts)):
        return ()
    return (Change(slot, present, present, want.verdicts, _why(want, exempt, situation)),)


def _out_of_hand(slot: Slot, there: Enforced | Gap, situation: Situation) -> str:
    """Why nothing can be done on this device now, and by whom something can, if not by the next pass."""
    keeps = f"{slot.device} keeps what it has: "
    if slot.device not in situation.enforcers:
        return (
            f"{keeps}it is no longer in hosts.yaml as a device that can be written to, and has this line of ours; put"
            f" it back under that name, or take the line off by hand and say"
            f" `switchguard release-all --forget {slot.device}`"
        )
    return keeps + (there.why if isinstance(there, Gap) else "nothing is known of it")


def _all_refused(slot: Slot, want: Want | None, held: HeldSlot | None, objection: Objection) -> tuple[Refusal, ...]:
    """To every verdict that wants the slot, or else wanted it."""
    if want is not None:
        what = f"{penalty_phrase(want.penalty)} for {slot_phrase(slot)}"
        return tuple(refuse(wish.verdict, what, objection, slot.device) for wish in want.wishes)
    ended = held.verdicts if held is not None else ()
    what = f"release of {slot_phrase(slot)}"
    told = Refusal(what, objection.why, objection.safeguard, device=slot.device, lifting=True)
    return tuple(replace(told, verdict=it) for it in ended)


def _why(want: Want, exempt: Sequence[Exemption], situation: Situation) -> str:
    causes = "; ".join(_cause(wish.verdict, wish.note, exempt, situation) for wish in want.wishes)
    return ", ".join((causes, *_for_everyone(want, exempt, situation)))


def _for_everyone(want: Want, exempt: Sequence[Exemption], situation: Situation) -> Iterable[str]:
    """Told once, however many ask for it."""
    meant = [wish.verdict for wish in want.wishes if everyone_meant(wish.verdict)]
    if not meant:
        return
    yield UNSPARING
    if many := how_many_now(replace(meant[0], penalty=want.penalty), situation.attribution):
        yield many
    spared = spared_by(exempt, situation.attribution, situation.policy, situation.now)
    if spared is not None:
        yield f"overriding the exemption: {spared.why}"


def _cause(verdict: Verdict, note: str, exempt: Sequence[Exemption], situation: Situation) -> str:
    """The verdict's evidence, an overridden exemption, and why it is not where it was meant to be."""
    told = [verdict.because]
    if verdict.requested_by is not None:
        told.append(f"asked for by {verdict.requested_by}")
    if overrides_exemption(verdict) and not everyone_meant(verdict):
        spared = exempt_by(subject(verdict, situation.attribution), exempt, situation.now)
        told += [f"overriding the exemption: {spared.why}"] if spared is not None else []
    if note:
        told.append(f"not at the first choice: {note}")
    return ", ".join(told)


# --- all together ----------------------------------------------------------------------------------------------------


def _plan(
    steps: Sequence[Step], refusals: Iterable[Refusal], people: Collection[Subject], situation: Situation
) -> Plan:
    """Releases first; then everything in the order of its slot."""
    changes = [step for step in steps if isinstance(step, Change)]
    adopted = tuple(it for it in changes if it.before == it.after)
    ahead = [it for it in changes if it.before != it.after]
    real = sorted((it for it in ahead if _is_real(it, situation)), key=lambda it: it.after is not None)
    observed = tuple(it for it in ahead if not _is_real(it, situation))
    unheard = (step for step in steps if isinstance(step, Refusal))
    told = {*refusals, *unheard, *_unanswered(observed, people)}
    return Plan(
        at=situation.now,
        changes=tuple(real),
        observed=observed,
        refusals=tuple(sorted(told, key=_refusal_order)),
        flushes=tuple(_flushes([*real, *_unsettled(adopted, situation)], people, situation)),
        adopted=adopted,
        forgotten=tuple(step for step in steps if isinstance(step, Slot)),
        whereabouts=tuple(whereabouts(real, situation.attribution)),
        tenants=tuple(tenants(real, people, situation.attribution)),
    )


def _is_real(change: Change, situation: Situation) -> bool:
    return change.after is None or enforces(situation.policy, situation.enforcers[change.slot.device].device)


def _unanswered(observed: Iterable[Change], people: Iterable[Subject]) -> Iterable[Refusal]:
    """Rules in observe mode are expected to be watched only; a person who asked for something is told no."""
    asked = {whom.verdict.id: whom.verdict for whom in people if is_manual(whom.verdict)}
    for change in observed:
        for verdict in (asked[id_] for id_ in change.verdicts if id_ in asked):
            what = f"{penalty_phrase(verdict.penalty)} for {slot_phrase(change.slot)}"
            objection = Objection("observe", "the site or this device is in observe mode")
            yield refuse(verdict, what, objection, change.slot.device)


def _unsettled(adopted: Iterable[Change], situation: Situation) -> Iterable[Change]:
    """Pushes whose outcome was lost: what follows a push may be lost with it."""
    return (it for it in adopted if situation.held[it.slot].state != "verified")


def _flushes(changes: Iterable[Change], people: Iterable[Subject], situation: Situation) -> Iterable[SessionFlush]:
    """After a new block: each gateway that may be written to forgets the client's sessions, once per verdict."""
    blocked = {id_ for it in changes if isinstance(it.after, Block) for id_ in it.verdicts}
    gateways = sorted(
        name
        for name, enforcer in situation.enforcers.items()
        if enforcer.clears_sessions and enforces(situation.policy, enforcer.device)
    )
    for whom in sorted(people, key=lambda it: it.verdict.id):
        seen = tuple(address for address in whom.addresses if reaches_beyond_its_link(address))
        addresses = seen if whom.network is None else (whom.network,)
        if whom.verdict.id in blocked and addresses:
            yield from (SessionFlush(name, addresses, whom.verdict.id) for name in gateways)


def _slot_order(slot: Slot) -> tuple[str, str, int, int, str, tuple[int, int], tuple[int, int, int]]:
    station, address, network = slot.station, slot.address, slot.network
    return (
        slot.device,
        slot.kind,
        -1 if station.mac is None else station.mac.value,
        -1 if station.vlan is None else station.vlan,
        station.port or "",
        (0, 0) if address is None else (address.version, int(address)),
        (0, 0, 0) if network is None else (network.version, int(network.network_address), network.prefixlen),
    )


def _refusal_order(refusal: Refusal) -> tuple[str, str, str, str, str]:
    return (refusal.verdict or "", refusal.device or "", refusal.safeguard, refusal.what, refusal.why)
