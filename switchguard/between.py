"""Passes between two polls: for what a stream of sessions saw, and for a hint that somebody moved.

They are quick because they ask few devices: those where the people concerned were last seen, and those that a plan is
about to touch. Every safeguard is the same as in a pass of the schedule, and so is the way from verdict to device. What
concerns nobody of those whom the pass is about, releases among it, is left to the next pass of the schedule.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from switchguard.core.calm import pause_reason
from switchguard.core.decide import decide
from switchguard.core.model import Attribution, Client, Role, Snapshot, Table
from switchguard.core.penalties import Finding, PastPenalty
from switchguard.core.policy import Policy
from switchguard.core.rates import LONGEST_GAP_S
from switchguard.core.refresh import refresh
from switchguard.core.spared import spare
from switchguard.core.tally import Crossing, sighted, with_windows
from switchguard.core.trails import noted
from switchguard.cycle import (
    PLACES,
    Doors,
    Pass,
    evidence_of,
    finish_moves,
    past_of,
    plan_by_need,
    record,
    who_is_where,
    who_is_whom,
    with_all_their_macs,
)


def pass_on_sight(
    policy: Policy,
    doors: Doors,
    crossings: Sequence[Crossing],
    before: Snapshot,
    longest_gap_s: float = LONGEST_GAP_S,
) -> Pass:
    """A pass for what a stream saw, which does not wait for the translation tables. Only those who crossed are judged,
    on places read just now: who has their addresses, and what is behind the switches where they were last seen; on
    every device if one of them is not there any more, was never anywhere, or would have a whole port acted upon."""
    near = _near(crossings, before)
    if near and doors.gather_from is not None:
        snapshot = _again(doors, _telling(crossings, before) - near, {"arp"}, before)
        snapshot = _again(doors, near, PLACES, snapshot)
        seen = _sight(policy, doors, crossings, before, snapshot, longest_gap_s)
        if all(_is_at_one_of(near, who) for who in _those(crossings, seen.attribution)) and not _acts_on_ports(seen):
            return _do(policy, doors, seen)
    whole = refresh(before, doors.gather(PLACES))
    return _do(policy, doors, _sight(policy, doors, crossings, before, whole, longest_gap_s))


def pass_on_hint(policy: Policy, doors: Doors, devices: Collection[str], before: Snapshot) -> Pass | None:
    """A pass for a hint that somebody came, left or moved at one of these devices: nobody is judged, but penalties
    follow those who have one. Read anew are only these devices and those that hold penalties, where whoever moved
    may have left from. None if nobody is under a penalty."""
    standing = doors.ledger.standing()
    if not standing or doors.gather_from is None:
        return None
    holders = {held.slot.device for held in doors.ledger.held()}
    snapshot = _again(doors, {*devices, *holders}, PLACES, before)
    seen = _settle(policy, doors, snapshot, who_is_where(snapshot), (), past_of(policy, doors, snapshot.at))
    return _do(policy, doors, seen)


# --- who is concerned, and where they are ----------------------------------------------------------------------------


def _near(crossings: Sequence[Crossing], before: Snapshot) -> frozenset[str]:
    """The switches of those who crossed; nothing if one of them is not known to be anywhere."""
    people = _those(crossings, who_is_where(before))
    places = [who.location.devices for who in people if who.location is not None]
    known = {address for who in people for address in who.addresses}
    if len(places) < len(people) or any(crossing.address not in known for crossing in crossings):
        return frozenset()
    return frozenset(device for devices in places for device in devices)


def _telling(crossings: Sequence[Crossing], before: Snapshot) -> frozenset[str]:
    """Who tells which MAC has these addresses: the gateways, and whoever told it the last time."""
    addresses = {crossing.address for crossing in crossings}
    gateways = (device.name for device in before.devices if device.role is Role.GATEWAY)
    return frozenset((*gateways, *(row.device for row in before.neighbors if row.address in addresses)))


def _again(doors: Doors, devices: Collection[str], tables: Collection[Table], before: Snapshot) -> Snapshot:
    """These tables of these devices, read anew."""
    if not devices or doors.gather_from is None:
        return before
    return refresh(before, replace(doors.gather_from(devices, tables), devices=before.devices))


def _those(crossings: Sequence[Crossing], attribution: Attribution) -> list[Client]:
    addresses = {crossing.address for crossing in crossings}
    return [client for client in attribution.clients if not addresses.isdisjoint(client.addresses)]


def _is_at_one_of(devices: Collection[str], client: Client) -> bool:
    return client.location is not None and client.location.device in devices


def _acts_on_ports(seen: Pass) -> bool:
    """On all that is behind one, that is."""
    return any(it.slot.station.port is not None and it.slot.station.mac is None for it in seen.plan.changes)


# --- from there on as ever -------------------------------------------------------------------------------------------


def _sight(
    policy: Policy,
    doors: Doors,
    crossings: Sequence[Crossing],
    before: Snapshot,
    snapshot: Snapshot,
    longest_gap_s: float,
) -> Pass:
    """Everything but its consequences."""
    places_only = tuple(reading for reading in snapshot.readings if reading.table != "nat")
    calm = pause_reason(before, replace(snapshot, readings=places_only), longest_gap_s)
    attribution = who_is_where(with_windows(snapshot, crossings))
    findings: tuple[Finding, ...] = ()
    past = past_of(policy, doors, attribution.at)
    if not calm:
        findings = sighted(evidence_of(policy, doors, snapshot, attribution, past), policy.rules, crossings)
    people = {finding.client for finding in findings}
    return replace(_settle(policy, doors, snapshot, attribution, findings, past, people), calm=calm)


def _settle(
    policy: Policy,
    doors: Doors,
    snapshot: Snapshot,
    attribution: Attribution,
    findings: tuple[Finding, ...],
    past: tuple[PastPenalty, ...],
    people: Collection[str] | None = None,
) -> Pass:
    """What follows for these people; None: for all who have a penalty. Nobody is released here."""
    now = doors.clock()
    standing = with_all_their_macs(policy, doors, attribution)
    decision = decide(findings, standing, past, policy, now, doors.ledger.served())
    known = who_is_whom(policy, doors, snapshot, attribution, decision, past, judged=False)
    theirs = tuple(verdict for verdict in decision.standing if people is None or verdict.client in people)
    made = plan_by_need(policy, doors, attribution, decision.standing, {verdict.id for verdict in theirs})
    spared = spare(replace(decision, standing=theirs), {it.id for it in standing}, made)
    done = replace(spared, released=())
    return Pass(noted(snapshot, attribution), attribution, findings, done, made, identities=known)


def _do(policy: Policy, doors: Doors, seen: Pass) -> Pass:
    record(doors, seen, doors.clock())
    return finish_moves(policy, doors, replace(seen, outcomes=doors.apply(seen.plan)))
