"""A recorded evening, played through the same passes as in the service: who would have been penalised, and who nearly.

The clock is the recording's. Site and devices count as enforcing, because the question is what the policy would do;
nothing is contacted. Nearest to a rule comes who did most of what it counts and was not penalised by it: for this each
rule is asked a second time, without its threshold and without its excuses.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from switchguard.core.changes import Enforcer
from switchguard.core.decide import decide, ended, is_over
from switchguard.core.evidence import Evidence, Streaks
from switchguard.core.explain import penalty_phrase
from switchguard.core.model import Attribution, Client, ClientId, Mode, Snapshot
from switchguard.core.penalties import Decision, Finding, Notify, PastPenalty, Refusal, Release, Verdict
from switchguard.core.plan import nothing
from switchguard.core.policy import Policy, Rule
from switchguard.core.rules import (
    advance,
    blind_spots,
    connections,
    judge_all,
    nat_pressure,
    naughty_factor,
    quota,
    share_of_link,
    unusual_traffic,
)
from switchguard.core.safeguards import Objection, exempt_by, refuse, subject
from switchguard.core.spared import spare
from switchguard.cycle import PLACES, USAGE, Doors, Pass, one_pass

ASKS_NOBODY = (unusual_traffic.KIND,)
"""Kinds that judge no clients, so that nobody comes near them."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One penalty, as the policy would have given it."""

    verdict: Verdict
    refusal: Refusal | None = None
    """Why nothing came of it, though the rule was broken: it is exempt, say."""
    release: Release | None = None
    """None: it still stood when the evening ended."""

    @property
    def only_told(self) -> bool:
        return isinstance(self.verdict.penalty, Notify)


@dataclass(frozen=True, slots=True)
class Near:
    """Somebody whom a rule did not penalise, at the moment when it was closest. `polls` in a row over the threshold."""

    rule: Rule
    finding: Finding
    at: datetime
    polls: int = 0

    @property
    def share(self) -> float:
        """Of the threshold."""
        return self.finding.value / self.rule.above

    @property
    def because(self) -> str:
        """What it did. Of a quota without how much is allowed, which was taken away for the question."""
        because = self.finding.because
        return because.rpartition(", of ")[0] if self.rule.kind == quota.KIND else because


@dataclass(frozen=True, slots=True)
class Played:
    """What would have happened."""

    began: datetime
    ended: datetime
    looks: int
    clients: Mapping[ClientId, Client]
    """Everybody who was there, as last seen."""
    rulings: tuple[Ruling, ...]
    """In the order of time."""
    nearest: tuple[Near, ...]
    """By rule, closest first."""
    blind: tuple[tuple[str, str], ...]
    """(rule, sentence): who never judged anybody, and for want of what."""
    paused: tuple[tuple[datetime, str], ...] = ()
    """Looks at which nobody was judged, and why."""

    def penalised(self) -> Mapping[ClientId, tuple[Ruling, ...]]:
        """Client -> what it would have got: not what came to nothing, probation, or what everybody has."""
        found: dict[ClientId, tuple[Ruling, ...]] = {}
        for it in self.rulings:
            verdict = it.verdict
            if it.refusal is None and not verdict.routine and not verdict.probation:
                found[verdict.client] = (*found.get(verdict.client, ()), it)
        return found


def play(policy: Policy, doors: Doors, turns: Iterable[datetime]) -> Played:
    """`turns` makes the doors show one look after the other. ValueError without any."""
    notes, ledger = _Notes(replace(policy, mode=Mode.ENFORCE)), doors.ledger

    def recall(policy: Policy, snapshot: Snapshot, seen: Attribution, past: Sequence[PastPenalty]) -> Evidence:
        """As it is recalled for judging, it is also noted down who comes near a rule, and what cannot be seen."""
        found = doors.recall(policy, snapshot, seen, past)
        notes.watch(replace(found, streaks=ledger.streaks(), standing=ledger.standing(), past=tuple(past)), judge_all)
        return found

    watched = replace(doors, recall=recall, enforcers=enforcing(doors.enforcers))
    before: Snapshot | None = None
    for at in turns:
        passed = one_pass(notes.policy, watched, watched.gather(USAGE | PLACES), before)
        notes.take(at, passed)
        before = passed.snapshot
    return notes.played()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the history knows of some minutes. `evidence` is without streaks and penalties, which the policy makes."""

    evidence: Evidence
    factors: Mapping[ClientId, tuple[float, str]]
    """The highest naughty factor, and what is known of it in a sentence."""


def play_remembered(policy: Policy, moments: Iterable[Remembered], each: timedelta, poll: timedelta) -> Played:
    """Without tables there is no place to put a penalty, so no safeguard but an exemption speaks. A moment stands for
    so many polls in a row. ValueError without any moment."""
    polls = max(1, round(each / poll))
    rules = tuple(replace(it, for_polls=-(-it.for_polls // polls)) for it in policy.rules)
    notes = _Notes(replace(policy, rules=rules, mode=Mode.ENFORCE))
    streaks: Streaks = {}
    standing: tuple[Verdict, ...] = ()
    past: tuple[PastPenalty, ...] = ()
    for moment in moments:
        now = moment.evidence.now
        evidence = replace(moment.evidence, streaks=streaks, standing=standing, past=past)
        judge = partial(_judge_remembered, factors=moment.factors)
        notes.watch(evidence, judge)
        findings = judge(evidence, notes.policy.rules)
        decision = decide(findings, standing, past, notes.policy, now)
        made = replace(nothing(now), refusals=tuple(_exempt(decision, evidence.attribution, policy)))
        decision = spare(decision, {it.id for it in standing}, made)
        notes.take(now, Pass(Snapshot(now, ()), evidence.attribution, findings, decision, made))
        streaks, standing = advance(streaks, findings), decision.standing
        past = (*past, *(ended(it.verdict, now) for it in decision.released if not it.verdict.probation))
    return notes.played()


def _judge_remembered(
    evidence: Evidence, rules: Iterable[Rule], factors: Mapping[ClientId, tuple[float, str]]
) -> tuple[Finding, ...]:
    """The naughty factor as it was rated then; everything else is counted anew."""
    chosen = tuple(rules)
    rated = (
        naughty_factor.judge_as_rated(evidence, rule, factors) for rule in chosen if rule.kind == naughty_factor.KIND
    )
    counted = judge_all(evidence, [rule for rule in chosen if rule.kind != naughty_factor.KIND])
    return (*counted, *(finding for findings in rated for finding in findings))


def _exempt(decision: Decision, attribution: Attribution, policy: Policy) -> Iterator[Refusal]:
    for verdict in decision.standing:
        whom = subject(verdict, attribution)
        exemption = exempt_by(whom, policy.exemptions, attribution.at)
        if exemption is not None:
            objection = Objection("exemption", f"it is exempt: {exemption.why}")
            yield refuse(verdict, f"{penalty_phrase(verdict.penalty)} for {verdict.client}", objection)


def relaxed(rule: Rule) -> Rule:
    """The rule without its threshold and its excuses: it finds everybody who does at all what it counts."""
    match rule.params:
        case connections.Params() as of_connections:
            own = replace(of_connections, steady_for=timedelta(0), breaks=of_connections.window, subnets="no")
            return replace(rule, above=0.0, params=own)
        case share_of_link.Params() as of_share:
            return replace(rule, above=0.0, params=replace(of_share, only_while_link_above=0.0, others_above=0.0))
        case nat_pressure.Params() as of_table:
            return replace(rule, above=0.0, params=replace(of_table, blame_above=None))
        case _:
            return replace(rule, above=0.0)


def enforcing(enforcers: Mapping[str, Enforcer]) -> Mapping[str, Enforcer]:
    """The same devices, as if they could be written to."""
    return {name: replace(it, device=replace(it.device, mode=Mode.ENFORCE)) for name, it in enforcers.items()}


@dataclass
class _Notes:
    """What is written down while the evening is played."""

    policy: Policy
    looks: list[datetime] = field(default_factory=list)
    clients: dict[ClientId, Client] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    in_force: set[str] = field(default_factory=set)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    spared: dict[tuple[str, ClientId], Verdict] = field(default_factory=dict)
    """The latest of each rule and client."""
    releases: dict[str, Release] = field(default_factory=dict)
    nearest: dict[tuple[str, ClientId], Near] = field(default_factory=dict)
    streaks: dict[tuple[str, ClientId], int] = field(default_factory=dict)
    blind: dict[str, str] | None = None
    paused: list[tuple[datetime, str]] = field(default_factory=list)

    def watch(self, evidence: Evidence, judge: Callable[[Evidence, Iterable[Rule]], tuple[Finding, ...]]) -> None:
        """Who comes near a rule, and what cannot be seen."""
        rules = {rule.name: rule for rule in self.policy.rules if _has_a_measure(rule)}
        for finding in judge(evidence, map(relaxed, rules.values())):
            before = self.nearest.get((finding.rule, finding.client))
            if before is None or finding.value > before.finding.value:
                self.nearest[finding.rule, finding.client] = Near(rules[finding.rule], finding, evidence.now)
        blind = dict(blind_spots(evidence, self.policy.rules))
        self.blind = blind if self.blind is None else {it: why for it, why in self.blind.items() if it in blind}

    def take(self, at: datetime, seen: Pass) -> None:
        self.looks.append(at)
        if seen.calm:
            self.paused.append((at, seen.calm))
        self.clients |= {client.identity: client for client in seen.attribution.clients}
        for finding in seen.findings:
            key = finding.rule, finding.client
            self.streaks[key] = max(finding.streak, self.streaks.get(key, 0))
        self.verdicts |= {verdict.id: verdict for verdict in seen.decision.standing}
        self.verdicts |= {verdict.id: verdict for verdict in self._spared(seen.decision.spared)}
        self.releases |= {release.verdict.id: release for release in seen.decision.released}
        self.in_force |= {id_ for change in seen.plan.changes for id_ in change.verdicts}
        for refusal in seen.plan.refusals:
            if refusal.verdict is not None:
                self.refusals.setdefault(refusal.verdict, refusal)

    def _spared(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """Once for as long as the penalty would have stood; the rule goes on finding it meanwhile."""
        for verdict in verdicts:
            key = verdict.rule, verdict.client
            if key not in self.spared or is_over(self.spared[key], verdict.since):
                self.spared[key] = verdict
                yield verdict

    def played(self) -> Played:
        rulings = tuple(self._ruling(verdict) for verdict in self.verdicts.values())
        concerned = {(it.verdict.rule, it.verdict.client) for it in rulings}
        nearest = (
            replace(near, polls=self.streaks.get(key, 0)) for key, near in self.nearest.items() if key not in concerned
        )
        return Played(
            began=min(self.looks),
            ended=max(self.looks),
            looks=len(self.looks),
            clients=dict(sorted(self.clients.items())),
            rulings=tuple(sorted(rulings, key=lambda it: (it.verdict.since, it.verdict.rule, it.verdict.client))),
            nearest=tuple(sorted(nearest, key=lambda it: (it.rule.name, -it.share, it.finding.client))),
            blind=tuple(sorted((self.blind or {}).items())),
            paused=tuple(self.paused),
        )

    def _ruling(self, verdict: Verdict) -> Ruling:
        refusal = None if verdict.id in self.in_force else self.refusals.get(verdict.id)
        return Ruling(verdict, refusal, self.releases.get(verdict.id))


def _has_a_measure(rule: Rule) -> bool:
    return rule.above > 0 and rule.kind not in ASKS_NOBODY
