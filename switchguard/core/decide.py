"""Findings + standing penalties + policy + now -> who is under which penalty, and until when.

The clock alone ends a penalty. Somebody who is blocked looks well-behaved, and somebody who pulled the plug looks
absent; neither is evidence, so neither shortens anything, and a rule that left the policy pardons nobody it caught.

Repeating makes it longer: a penalty lasts `lasts * escalate ** n`, at most `at_most`. `n` adds up the client's ended
penalties of the same rule, each worth 0.5 ** (time since its end / forget_after): one forget_after of good behaviour
halves the memory, so n tends to zero whatever it was. What nobody got, because it was only observed or because a
safeguard refused it, was no warning to anybody, and is not counted. (fail2ban multiplies by two per ban in its
database, so that there the database's purge setting decides how long memory lasts.) A rule with a ladder takes its next
step instead, and a zone may soften what comes out (`ladder`).

When a rule's penalty has run its time it may be followed by probation, something softer for a while. Probation is no
offence, protects from no new penalty, and follows neither a person's release nor the emptying of the box. A client that
lifts its own penalty on the landing page gets it as well (visitors.py).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from switchguard.core.explain import penalty_phrase
from switchguard.core.ladder import at_latest, cuts_nobody_off, emptied, ends, softened, step, zone_of
from switchguard.core.model import Address, ClientId, Location, Mac, Mode
from switchguard.core.penalties import Decision, Finding, Notify, PastPenalty, Penalty, Refusal, Release, Verdict
from switchguard.core.policy import Policy, Probation, Rule
from switchguard.core.randomised import eased

MANUAL = "manual"
"""The `rule` of a penalty that a person asked for."""

TIME_IS_UP = "its time is up"
ANOTHER_STEP = "it is on another step now"


def decide(
    findings: Sequence[Finding],
    standing: Sequence[Verdict],
    past: Sequence[PastPenalty],
    policy: Policy,
    now: datetime,
    served: Collection[str] | None = None,
) -> Decision:
    """What stands after this cycle, what ends with it, and which findings led to nothing yet, and why.

    One penalty per client and rule at a time: a further finding neither adds a second one nor extends the first.
    `served`: ids of those in `standing` that some device has had; None: where there are no devices, all of them.
    """
    found = _worst_of_each(findings)
    released = tuple(_releases(found, standing, policy, now))
    gone = {release.verdict.id for release in released}
    staying = tuple(verdict for verdict in standing if verdict.id not in gone)
    over = (release.verdict for release in released if not release.verdict.probation)
    memory = (*past, *(ended(verdict, now, served is None or verdict.id in served) for verdict in over))
    rules = {rule.name: rule for rule in reversed(policy.rules)}
    sentenced: list[Verdict] = []
    declined: list[Refusal] = []
    for finding in found:
        match _judge(finding, rules.get(finding.rule), (*staying, *sentenced), memory, policy, now):
            case Verdict() as verdict:
                sentenced.append(verdict)
            case Refusal() as refusal:
                declined.append(refusal)
            case None:
                pass
    freed = [release.verdict for release in released if release.why == TIME_IS_UP]
    watched = [it for verdict in freed for it in _probation(verdict, rules.get(verdict.rule), sentenced, policy, now)]
    return Decision(_in_order((*staying, *sentenced, *watched)), released, tuple(declined))


def _releases(
    findings: Iterable[Finding], standing: Sequence[Verdict], policy: Policy, now: datetime
) -> Iterator[Release]:
    steps = tuple(it for it in findings if it.routine and it.penalty is not None and not _too_late(it, now))
    for verdict in _in_order(standing):
        if why := emptied(policy.box, verdict, now, policy.zone):
            yield Release(verdict, why)
        elif is_over(verdict, now):
            yield Release(verdict, TIME_IS_UP)
        elif any(_replaces(finding, verdict, policy) for finding in steps):
            yield Release(verdict, ANOTHER_STEP)


def _replaces(finding: Finding, verdict: Verdict, policy: Policy) -> bool:
    """This very client is on another step of what is nobody's fault, down as well as up. No offender's penalty ends
    like this."""
    if finding.penalty is None or not verdict.routine or finding.client != verdict.client:
        return False
    if not _covers(verdict, finding):
        return False
    return softened(finding.penalty, zone_of(verdict.addresses, policy.zones), verdict.offence) != verdict.penalty


def ended(verdict: Verdict, at: datetime, served: bool = True) -> PastPenalty:
    """What is remembered of it. Who was only told something did nothing that other rules should hold against it. A
    notice is `served` by being told."""
    notice = isinstance(verdict.penalty, Notify)
    return PastPenalty(
        verdict.client,
        verdict.rule,
        verdict.since,
        at,
        routine=verdict.routine or notice,
        served=not verdict.observed if notice else served,
    )


def is_over(verdict: Verdict, now: datetime) -> bool:
    """At the very moment of its end a penalty is over."""
    return verdict.until is not None and verdict.until <= now


def is_manual(verdict: Verdict) -> bool:
    """A person asked for it; no rule of the policy, whatever its name, can pass for one."""
    return verdict.rule == MANUAL and verdict.requested_by is not None


def manual(
    client: ClientId,
    penalty: Penalty,
    now: datetime,
    lasts: timedelta | None,
    reason: str,
    who: str,
    *,
    macs: tuple[Mac, ...] = (),
    addresses: tuple[Address, ...] = (),
    on_device: str | None = None,
    vlan: int | None = None,
    override_exemption: bool = False,
    location: Location | None = None,
) -> Verdict:
    """A person's request as a verdict. `lasts` None: until somebody lifts it. ValueError if `who` asks is empty.

    Only the `macs` and `addresses` given, and those that `client` has, are meant: for one MAC of a user with several,
    `client` is that MAC's identity, not the user's.
    """
    if not who:
        raise ValueError("a manual penalty needs the name of the person who asks for it")
    return Verdict(
        id=identify(client, f"{MANUAL} {penalty!r} {on_device} {vlan}", now),
        client=client,
        rule=MANUAL,
        penalty=penalty,
        since=now,
        until=None if lasts is None else now + lasts,
        because=reason,
        macs=tuple(sorted(macs)),
        addresses=addresses,
        requested_by=who,
        on_device=on_device,
        vlan=vlan,
        override_exemption=override_exemption,
        location=location,
    )


def offences(client: ClientId, rule: str, past: Iterable[PastPenalty], forget_after: timedelta, now: datetime) -> float:
    """How many earlier penalties that the client did get still count, decayed by half per `forget_after` since each
    ended."""
    return sum(
        _weight(now - penalty.ended, forget_after)
        for penalty in past
        if penalty.served and penalty.client == client and penalty.rule == rule
    )


def _judge(
    finding: Finding,
    rule: Rule | None,
    standing: Iterable[Verdict],
    past: Iterable[PastPenalty],
    policy: Policy,
    now: datetime,
) -> Verdict | Refusal | None:
    if rule is None:
        return _let_off(finding, "the policy has no rule of this name", "unsupported")
    if any(_covers(verdict, finding) for verdict in standing):
        return None
    if _too_late(finding, now):
        return None
    if finding.streak < rule.for_polls:
        return _let_off(finding, f"over the threshold in {finding.streak} of {rule.for_polls} polls so far", "streak")
    return _sentence(finding, rule, past, policy, now)


def _sentence(finding: Finding, rule: Rule, past: Iterable[PastPenalty], policy: Policy, now: datetime) -> Verdict:
    decayed = offences(finding.client, rule.name, past, rule.sentence.forget_after, now)
    offence = 1 + int(decayed + 0.5)
    taken, growth = step(rule.sentence, decayed)
    penalty = softened(finding.penalty or taken.penalty, zone_of(finding.addresses, policy.zones), offence)
    routine = finding.routine and cuts_nobody_off(penalty)
    until = finding.until or ends(taken, growth, now, policy.zone)
    if not routine:
        until = at_latest(policy.box, penalty, until, now, policy.zone)
    made = Verdict(
        id=identify(finding.client, rule.name, now),
        client=finding.client,
        rule=rule.name,
        penalty=penalty,
        since=now,
        until=until,
        because=finding.because,
        macs=tuple(sorted(finding.macs)),
        addresses=finding.addresses,
        offence=offence,
        location=finding.location,
        network=finding.network,
        routine=routine,
        observed=isinstance(penalty, Notify) and policy.mode is Mode.OBSERVE,
    )
    return eased(made, policy.identity, now)


def _probation(
    freed: Verdict, rule: Rule | None, sentenced: Iterable[Verdict], policy: Policy, now: datetime
) -> Iterator[Verdict]:
    """What follows the penalty that ended, by the step of its offence. Nothing for who is sentenced again at once."""
    blameless = freed.probation or freed.routine or freed.follows is not None or is_manual(freed)
    if rule is None or blameless or any(_same_cause(freed, verdict) for verdict in sentenced):
        return
    taken, _ = step(rule.sentence, freed.offence - 1)
    if taken.probation is not None:
        yield on_probation(freed, taken.probation, policy, now)


def on_probation(freed: Verdict, probation: Probation, policy: Policy, now: datetime) -> Verdict:
    """What a penalty is followed by that ends now; never harder than the client's zone allows. It follows no other
    penalty any more: it ends by its own time, and not with that one."""
    return replace(
        freed,
        id=identify(freed.client, f"probation {freed.rule}", now),
        penalty=softened(probation.penalty, zone_of(freed.addresses, policy.zones), freed.offence),
        since=now,
        until=now + probation.lasts,
        because=f"on probation after {penalty_phrase(freed.penalty)}: {freed.because}",
        probation=True,
        follows=None,
    )


def _too_late(finding: Finding, now: datetime) -> bool:
    """What it asks for would be over by now."""
    return finding.until is not None and finding.until <= now


def _covers(verdict: Verdict, finding: Finding) -> bool:
    """The same rule on the same client, also where it has got a better identity since (a user instead of a MAC). What
    went over from another MAC does not protect from a penalty of its own."""
    return not verdict.probation and verdict.follows is None and _same_cause(verdict, finding)


def _same_cause(one: Verdict, other: Verdict | Finding) -> bool:
    return one.rule == other.rule and (one.client == other.client or not set(one.macs).isdisjoint(other.macs))


def _weight(age: timedelta, forget_after: timedelta) -> float:
    if forget_after <= timedelta(0):
        return 0.0
    return float(0.5 ** (max(age, timedelta(0)) / forget_after))


def identify(client: ClientId, rule: str, since: datetime) -> str:
    """Twelve hexadecimal digits: the same on every run, and harmless as a comment on any device's command line."""
    return sha256(f"{client}|{rule}|{since.astimezone(UTC).isoformat()}".encode()).hexdigest()[:12]


def _let_off(finding: Finding, why: str, safeguard: str) -> Refusal:
    return Refusal(f"{finding.rule} on {finding.client}", why, safeguard, client=finding.client)


def _worst_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per client and rule, in a fixed order."""
    worst: dict[tuple[ClientId, str], Finding] = {}
    for finding in sorted(findings, key=lambda it: (it.client, it.rule, it.streak, it.value, it.because)):
        worst[finding.client, finding.rule] = finding
    return list(worst.values())


def _in_order(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    return tuple(sorted(verdicts, key=lambda it: (it.since, it.id)))
