"""One pass, top to bottom: tables in, plan out, outcomes recorded.

Everything that touches the world comes in through `Doors`, so a pass is the same in the service, on the command
line, from a saved snapshot and in a test.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from switchguard.core.attribute import attribute
from switchguard.core.calm import pause_reason
from switchguard.core.changes import Enforced, Enforcer, Outcome, Plan
from switchguard.core.decide import decide
from switchguard.core.evidence import Evidence
from switchguard.core.model import Attribution, Gap, Snapshot, Table
from switchguard.core.penalties import Decision, Finding, PastPenalty, Verdict
from switchguard.core.plan import plan
from switchguard.core.policy import Policy
from switchguard.core.refresh import refresh
from switchguard.core.rules import advance, blind_spots, judge_all
from switchguard.core.tally import Crossing, sighted, with_windows
from switchguard.ports import Ledger

PLACES: frozenset[Table] = frozenset({"arp", "fdb", "links", "interfaces"})
"""The tables that say who is where."""
USAGE: frozenset[Table] = frozenset({"nat", "nat_size", "arp"})
"""The tables that say who uses what."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The outside world, as a pass sees it."""

    gather: Callable[[Collection[Table]], Snapshot]
    enforced: Callable[[], Mapping[str, Enforced | Gap]]
    apply: Callable[[Plan], tuple[Outcome, ...]]
    ledger: Ledger
    enforcers: Mapping[str, Enforcer]
    clock: Callable[[], datetime]
    recall: Callable[[Policy, Snapshot, Attribution, Sequence[PastPenalty]], Evidence]
    """Everything that a rule may look at, except what the ledger tells. Writes nothing."""
    keep: Callable[[Policy, Snapshot, Attribution], None]
    """Who used how much since the last pass, for the next one and for months."""
    gather_from: Callable[[Collection[str], Collection[Table]], Snapshot] | None = None
    """Like `gather`, of these devices only. None: only all of them together (a saved snapshot)."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass saw, thought and did."""

    snapshot: Snapshot
    attribution: Attribution
    findings: tuple[Finding, ...]
    decision: Decision
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    calm: str | None = None
    """Why judging paused, if it did."""
    blind: tuple[tuple[str, str], ...] | None = None
    """(rule, sentence): who could judge nobody, and for want of what. None: no rule was asked."""


def one_pass(policy: Policy, doors: Doors, tables: Collection[Table], before: Snapshot | None = None) -> Pass:
    """Gather, judge, decide, plan, record the intent, apply. New penalties are decided on places read just now."""
    seen = look(policy, doors, tables, before)
    fresh = {reading.table for reading in seen.snapshot.readings if reading.at >= seen.snapshot.at}
    if seen.plan.changes and not fresh >= PLACES:
        seen = reconsider(policy, doors, seen, refresh(seen.snapshot, doors.gather(PLACES)))
    remember(doors, seen)
    outcomes = doors.apply(seen.plan)
    doors.keep(policy, seen.snapshot, seen.attribution)
    return replace(seen, outcomes=outcomes)


def look(policy: Policy, doors: Doors, tables: Collection[Table], before: Snapshot | None = None) -> Pass:
    """The pass without its consequences: nothing is written, neither to a device nor to the ledger."""
    snapshot = refresh(before, doors.gather(tables))
    attribution = attribute(snapshot)
    calm = pause_reason(before, snapshot) if before is not None else None
    if calm:
        return _settle(policy, doors, snapshot, attribution, (), calm)
    evidence = evidence_of(policy, doors, snapshot, attribution)
    seen = _settle(policy, doors, snapshot, attribution, judge_all(evidence, policy.rules), None)
    return replace(seen, blind=blind_spots(evidence, policy.rules))


def pass_on_sight(policy: Policy, doors: Doors, crossings: Sequence[Crossing], before: Snapshot) -> Pass:
    """A pass for what a stream saw, which does not wait for the translation tables. Only those who crossed are judged,
    on places read just now; every safeguard is the same, and so is the way from verdict to device."""
    snapshot = refresh(before, doors.gather(PLACES))
    places_only = tuple(reading for reading in snapshot.readings if reading.table != "nat")
    calm = pause_reason(before, replace(snapshot, readings=places_only))
    attribution = attribute(with_windows(snapshot, crossings))
    evidence = evidence_of(policy, doors, snapshot, attribution)
    findings = () if calm else sighted(evidence, policy.rules, crossings)
    seen = _settle(policy, doors, snapshot, attribution, findings, calm)
    doors.ledger.sentence(seen.decision.standing, seen.decision.released, doors.clock())
    return replace(seen, outcomes=doors.apply(seen.plan))


def pass_on_hint(policy: Policy, doors: Doors, devices: Collection[str], before: Snapshot) -> Pass | None:
    """A pass for a hint that somebody came, left or moved at one of these devices: nobody is judged, but penalties
    follow those who have one. Read anew are only these devices and those that hold penalties, where whoever moved
    may have left from. None if nobody is under a penalty."""
    standing = doors.ledger.standing()
    if not standing or doors.gather_from is None:
        return None
    holders = {held.slot.device for held in doors.ledger.held()}
    fresh = doors.gather_from({*devices, *holders}, PLACES)
    snapshot = refresh(before, replace(fresh, devices=before.devices))
    seen = _settle(policy, doors, snapshot, attribute(snapshot), (), None)
    doors.ledger.sentence(seen.decision.standing, seen.decision.released, doors.clock())
    return replace(seen, outcomes=doors.apply(seen.plan))


def evidence_of(policy: Policy, doors: Doors, snapshot: Snapshot, attribution: Attribution) -> Evidence:
    """What the tables say now, and what is remembered."""
    ledger = doors.ledger
    past = ledger.past(attribution.at - longest_memory(policy))
    return replace(
        doors.recall(policy, snapshot, attribution, past),
        streaks=ledger.streaks(),
        standing=ledger.standing(),
        past=past,
    )


def reconsider(policy: Policy, doors: Doors, seen: Pass, snapshot: Snapshot) -> Pass:
    """The same findings, placed on a newer view of the network."""
    return replace(_settle(policy, doors, snapshot, attribute(snapshot), seen.findings, seen.calm), blind=seen.blind)


def _settle(
    policy: Policy,
    doors: Doors,
    snapshot: Snapshot,
    attribution: Attribution,
    findings: tuple[Finding, ...],
    calm: str | None,
) -> Pass:
    now, ledger = doors.clock(), doors.ledger
    decision = decide(findings, ledger.standing(), ledger.past(now - longest_memory(policy)), policy, now)
    made = make_plan(policy, doors, attribution, decision.standing, now)
    return Pass(snapshot, attribution, findings, decision, made, calm=calm)


def make_plan(policy: Policy, doors: Doors, attribution: Attribution, wanted: Sequence[Verdict], now: datetime) -> Plan:
    """What should be true against what is: the only way to a Plan outside the core, whoever asks."""
    return plan(
        wanted=wanted,
        attribution=attribution,
        held=doors.ledger.held(),
        enforced=doors.enforced(),
        enforcers=doors.enforcers,
        exemptions=doors.ledger.exemptions(now),
        policy=policy,
        paused=doors.ledger.paused(),
        now=now,
    )


def longest_memory(policy: Policy) -> timedelta:
    """How far back escalation looks: sixteen half-lives of the slowest rule, when an offence weighs nothing."""
    return 16 * max((rule.sentence.forget_after for rule in policy.rules), default=timedelta(days=7))


def remember(doors: Doors, seen: Pass) -> None:
    """The pass's opinion to the ledger, before any device is touched: streaks, sentences, releases."""
    now = doors.clock()
    if not seen.calm:
        doors.ledger.remember(now, advance(doors.ledger.streaks(), seen.findings, seen.attribution.gaps))
    doors.ledger.sentence(seen.decision.standing, seen.decision.released, now)
