"""One pass, top to bottom: tables in, plan out, outcomes recorded.

Everything that touches the world comes in through `Doors`, so a pass is the same in the service, on the command
line, from a saved snapshot and in a test.
"""

import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from switchguard.core.attribute import attribute
from switchguard.core.calm import pause_reason
from switchguard.core.changes import Enforced, Enforcer, HeldSlot, Outcome, Plan, Slot
from switchguard.core.decide import decide
from switchguard.core.evidence import Evidence
from switchguard.core.follow import follow, suspects
from switchguard.core.letters import Letter
from switchguard.core.model import Attribution, Gap, Mac, Snapshot, Table
from switchguard.core.notices import News
from switchguard.core.penalties import Decision, Finding, PastPenalty, Penalty, Verdict
from switchguard.core.person import as_people, widened
from switchguard.core.plan import plan, restricted
from switchguard.core.policy import Policy
from switchguard.core.rates import LONGEST_GAP_S
from switchguard.core.refresh import refresh
from switchguard.core.rules import advance, blind_spots, ends_matter_since, judge_all
from switchguard.core.same import present, seen_again
from switchguard.core.spared import spare
from switchguard.core.traces import Identities
from switchguard.core.trails import noted
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
    enforced_on: Callable[[Collection[str]], Mapping[str, Enforced | Gap]] | None = None
    """Like `enforced`, of these devices only; likewise."""
    people: Callable[[Policy], Mapping[Mac, str] | None] = field(default=lambda policy: policy.registry)
    """Whose each registered MAC is, as the registry is now."""
    letters: Callable[[News], tuple[Letter, ...]] = field(default=lambda _news: ())
    """What people are to be told of a decision; it goes to the ledger together with it."""


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
    identities: tuple[Identities, Identities] = (Identities(), Identities())
    """Who was known as whom before, and is now."""
    past: tuple[PastPenalty, ...] = ()
    """Penalties that had ended before it, asked for once."""


def one_pass(
    policy: Policy,
    doors: Doors,
    gathered: Snapshot,
    before: Snapshot | None = None,
    longest_gap_s: float = LONGEST_GAP_S,
) -> Pass:
    """Judge what was gathered, decide, plan, record the intent, apply. New penalties are decided on places read just
    now. After a silence of more than `longest_gap_s` nobody is judged."""
    seen = look(policy, doors, gathered, before, longest_gap_s)
    fresh = {reading.table for reading in seen.snapshot.readings if reading.at >= seen.snapshot.at}
    if seen.plan.changes and not fresh >= PLACES:
        seen = reconsider(policy, doors, seen, refresh(seen.snapshot, doors.gather(PLACES)))
    remember(doors, seen)
    seen = finish_moves(policy, doors, replace(seen, outcomes=doors.apply(seen.plan)))
    doors.keep(policy, seen.snapshot, seen.attribution)
    return seen


def look(
    policy: Policy,
    doors: Doors,
    gathered: Snapshot,
    before: Snapshot | None = None,
    longest_gap_s: float = LONGEST_GAP_S,
) -> Pass:
    """The pass without its consequences: nothing is written, neither to a device nor to the ledger."""
    snapshot = refresh(before, gathered)
    attribution = who_is_where(snapshot)
    calm = pause_reason(before, snapshot, longest_gap_s) if before is not None else None
    past = past_of(policy, doors, attribution.at)
    if calm:
        return _settle(policy, doors, snapshot, attribution, (), calm, past)
    evidence = evidence_of(policy, doors, snapshot, attribution, past)
    seen = _settle(policy, doors, snapshot, attribution, judge_all(evidence, policy.rules), None, past)
    return replace(seen, blind=blind_spots(evidence, policy.rules))


def who_is_where(snapshot: Snapshot) -> Attribution:
    with undisturbed():
        return attribute(snapshot)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Python's garbage collector waits. While the values of a large network are made, it would look through all that
    there is ten times, which takes as long as making them, and find nothing: values hold no cycles."""
    waits = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if waits:
            gc.enable()


def evidence_of(
    policy: Policy, doors: Doors, snapshot: Snapshot, attribution: Attribution, past: tuple[PastPenalty, ...]
) -> Evidence:
    """What the tables say now, and what is remembered."""
    ledger = doors.ledger
    evidence = replace(
        doors.recall(policy, snapshot, attribution, past),
        streaks=ledger.streaks(),
        standing=ledger.standing(),
        past=past,
    )
    return as_people(evidence) if policy.identity.per_person else evidence


def reconsider(policy: Policy, doors: Doors, seen: Pass, snapshot: Snapshot) -> Pass:
    """The same findings, placed on a newer view of the network."""
    attribution = who_is_where(snapshot)
    again = _settle(policy, doors, snapshot, attribution, seen.findings, seen.calm, seen.past)
    return replace(again, blind=seen.blind)


def _settle(
    policy: Policy,
    doors: Doors,
    snapshot: Snapshot,
    attribution: Attribution,
    findings: tuple[Finding, ...],
    calm: str | None,
    past: tuple[PastPenalty, ...],
) -> Pass:
    now = doors.clock()
    standing = with_all_their_macs(policy, doors, attribution)
    decision = decide(findings, standing, past, policy, now, doors.ledger.served())
    before, known = who_is_whom(policy, doors, snapshot, attribution, decision, past, judged=calm is None)
    decision, links = follow(decision, known.links, attribution, policy, now)
    made = make_plan(policy, doors, attribution, decision.standing, now)
    return Pass(
        noted(snapshot, attribution),
        attribution,
        findings,
        spare(decision, {it.id for it in standing}, made),
        made,
        calm=calm,
        identities=(before, replace(known, links=links)),
        past=past,
    )


def with_all_their_macs(policy: Policy, doors: Doors, attribution: Attribution) -> tuple[Verdict, ...]:
    """What stands; where a person counts as one client, a person's penalty takes in what the person has brought."""
    standing = doors.ledger.standing()
    people = doors.people(policy) if policy.identity.per_person and standing else None
    return widened(standing, attribution, people) if people else standing


def who_is_whom(
    policy: Policy,
    doors: Doors,
    snapshot: Snapshot,
    attribution: Attribution,
    decision: Decision,
    past: Sequence[PastPenalty],
    *,
    judged: bool,
) -> tuple[Identities, Identities]:
    """Who was known as whom before this pass, and is now. While nobody is under a penalty, nobody is looked at."""
    ledger, rules = doors.ledger, policy.identity
    before, at = ledger.identities(attribution.at), attribution.at
    meant = (*decision.standing, *(release.verdict for release in decision.released))
    wanted = suspects(meant, past, rules, at)
    if not wanted:
        return before, replace(before, traces=())
    arrivals = ledger.arrivals(tuple(present(attribution)), at, rules.within)
    return before, seen_again(before, wanted, arrivals, attribution, snapshot.leases, rules, judged)


def make_plan(
    policy: Policy,
    doors: Doors,
    attribution: Attribution,
    wanted: Sequence[Verdict],
    now: datetime,
    enforced: Mapping[str, Enforced | Gap] | None = None,
) -> Plan:
    """What should be true against what is: the only way to a Plan outside the core, whoever asks. `enforced` is what
    devices have told already; without it all of them are asked, if there is anything to put or to lift."""
    held = doors.ledger.held()
    if enforced is None:
        enforced = doors.enforced() if wanted or held else {}
    return plan(
        wanted=wanted,
        attribution=attribution,
        held=held,
        enforced=enforced,
        enforcers=doors.enforcers,
        exemptions=doors.ledger.exemptions(now),
        policy=policy,
        paused=doors.ledger.paused(),
        now=now,
    )


def plan_by_need(
    policy: Policy, doors: Doors, attribution: Attribution, wanted: Sequence[Verdict], whose: Collection[str]
) -> Plan:
    """The part of the plan that concerns these verdicts, when every device that it touches has been asked what it
    enforces now. Of all others, what the ledger has as verified counts as being there, and nothing is done to them."""
    now, held = doors.clock(), doors.ledger.held()
    if doors.enforced_on is None:
        return restricted(make_plan(policy, doors, attribution, wanted, now), whose, held)
    asked: dict[str, Enforced | Gap] = {}
    while True:
        enforced = {**_as_verified(doors, held), **asked}
        made = restricted(make_plan(policy, doors, attribution, wanted, now, enforced), whose, held)
        touched = {it.slot.device for it in (*made.changes, *made.observed, *made.adopted)}
        unasked = (touched | {slot.device for slot in made.forgotten}) - asked.keys()
        if not unasked:
            return made
        told = doors.enforced_on(unasked)
        asked |= {name: told.get(name, Gap(name, "enforced", "it does not tell")) for name in unasked}


def _as_verified(doors: Doors, held: Sequence[HeldSlot]) -> Mapping[str, Enforced]:
    by_device: dict[str, dict[Slot, Penalty]] = {name: {} for name in doors.enforcers}
    for it in held:
        if it.state == "verified":
            by_device.setdefault(it.slot.device, {})[it.slot] = it.penalty
    return by_device


def finish_moves(policy: Policy, doors: Doors, seen: Pass) -> Pass:
    """What has followed its client to a new place, and was seen there, is lifted from the old one. Now, because a
    client that is cut is soon in no forwarding table any more, and has no place."""
    there = {it.change.slot: it.change for it in seen.outcomes if it.state == "verified" and it.change.after}
    arrived = {verdict for change in there.values() for verdict in change.verdicts}
    left = {id_ for it in doors.ledger.held() if it.slot not in there for id_ in arrived.intersection(it.verdicts)}
    if not left:
        return seen
    made = plan_by_need(policy, doors, seen.attribution, doors.ledger.standing(), left)
    return replace(seen, outcomes=(*seen.outcomes, *doors.apply(made)))


def past_of(policy: Policy, doors: Doors, now: datetime) -> tuple[PastPenalty, ...]:
    """Every ended penalty that still makes a difference to anybody: to rules, to escalation, to who comes back with
    another MAC. What was nobody's fault makes one only to a rule of which somebody's next penalty is another one."""
    back = max(longest_memory(policy, now), policy.identity.within)
    return doors.ledger.past(now - back, growing(policy))


def growing(policy: Policy) -> frozenset[str]:
    """The rules of which a second penalty may differ from the first."""
    laddered = any(zone.ladder for zone in policy.zones)
    sentences = ((rule.name, rule.sentence) for rule in policy.rules)
    return frozenset(name for name, it in sentences if laddered or it.then or it.escalate > 1)


def longest_memory(policy: Policy, now: datetime) -> timedelta:
    """How far back an ended penalty makes a difference. To escalation: sixteen half-lives of the slowest rule, when an
    offence weighs nothing. To rules that look back: as far as they do, lest what it was for count a second time."""
    slowest = max((rule.sentence.forget_after for rule in policy.rules), default=timedelta(days=7))
    return max(16 * slowest, now - ends_matter_since(policy.rules, now))


def remember(doors: Doors, seen: Pass) -> None:
    """The pass's opinion to the ledger, before any device is touched: streaks, sentences, releases."""
    now = doors.clock()
    if not seen.calm:
        doors.ledger.remember(now, advance(doors.ledger.streaks(), seen.findings, seen.attribution.gaps))
    record(doors, seen, now)


def record(doors: Doors, seen: Pass, now: datetime) -> None:
    """What stands and what ends, and in the same moment what people are to be told of it."""
    doors.ledger.keep_identities(*seen.identities, now)
    news = News(seen.decision, seen.plan, seen.attribution, seen.findings)
    doors.ledger.sentence(seen.decision.standing, seen.decision.released, now, doors.letters(news))
