"""Findings + standing penalties + policy + now -> who is under which penalty, and until when.

The clock alone ends a penalty. Somebody who is blocked looks well-behaved, and somebody who pulled the plug looks
absent; neither is evidence, so neither shortens anything, and a rule that left the policy pardons nobody it caught.

Repeating makes it longer: a penalty lasts `lasts * escalate ** n`, at most `at_most`. `n` adds up the client's ended
penalties of the same rule, each worth 0.5 ** (time since its end / forget_after): one forget_after of good behaviour
halves the memory, so n tends to zero whatever it was. (fail2ban multiplies by two per ban in its database, so that
there the database's purge setting decides how long memory lasts.)
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from switchguard.core.model import (
    Address,
    ClientId,
    Decision,
    Finding,
    Location,
    Mac,
    PastPenalty,
    Penalty,
    Policy,
    Refusal,
    Release,
    Rule,
    Sentence,
    Verdict,
)

MANUAL = "manual"
"""The `rule` of a penalty that a person asked for."""

TIME_IS_UP = "its time is up"

LONGEST = timedelta(days=3650)
"""Where escalation without `at_most` stops growing, so that an end is always a date."""


def decide(
    findings: Sequence[Finding],
    standing: Sequence[Verdict],
    past: Sequence[PastPenalty],
    policy: Policy,
    now: datetime,
) -> Decision:
    """What stands after this cycle, what ends with it, and which findings led to nothing yet, and why.

    One penalty per client and rule at a time: a further finding neither adds a second one nor extends the first.
    """
    released = tuple(Release(verdict, TIME_IS_UP) for verdict in _in_order(standing) if is_over(verdict, now))
    staying = tuple(verdict for verdict in standing if not is_over(verdict, now))
    memory = (*past, *(PastPenalty(it.verdict.client, it.verdict.rule, it.verdict.since, now) for it in released))
    rules = {rule.name: rule for rule in reversed(policy.rules)}
    sentenced: list[Verdict] = []
    declined: list[Refusal] = []
    for finding in _worst_of_each(findings):
        match _judge(finding, rules.get(finding.rule), (*staying, *sentenced), memory, now):
            case Verdict() as verdict:
                sentenced.append(verdict)
            case Refusal() as refusal:
                declined.append(refusal)
            case None:
                pass
    return Decision(_in_order((*staying, *sentenced)), released, tuple(declined))


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
        id=_identify(client, f"{MANUAL} {penalty!r} {on_device} {vlan}", now),
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
    """How many earlier penalties still count, decayed by half per `forget_after` since each ended."""
    return sum(
        _weight(now - penalty.ended, forget_after)
        for penalty in past
        if penalty.client == client and penalty.rule == rule
    )


def how_long(sentence: Sentence, decayed_offences: float) -> timedelta | None:
    """The term for somebody with this many decayed offences; None: until somebody lifts it. An `escalate` below one
    counts as one: repeating never pays."""
    if sentence.lasts is None:
        return None
    ceiling = sentence.at_most if sentence.at_most is not None else max(sentence.lasts, LONGEST)
    try:
        factor: float = max(1.0, sentence.escalate) ** decayed_offences
    except OverflowError:
        return ceiling
    if sentence.lasts.total_seconds() * factor >= ceiling.total_seconds():
        return ceiling
    return sentence.lasts * factor


def _judge(
    finding: Finding, rule: Rule | None, standing: Iterable[Verdict], past: Iterable[PastPenalty], now: datetime
) -> Verdict | Refusal | None:
    if rule is None:
        return _let_off(finding, "the policy has no rule of this name", "unsupported")
    if any(_covers(verdict, finding) for verdict in standing):
        return None
    if finding.streak < rule.for_polls:
        return _let_off(finding, f"over the threshold in {finding.streak} of {rule.for_polls} polls so far", "streak")
    return _sentence(finding, rule, past, now)


def _sentence(finding: Finding, rule: Rule, past: Iterable[PastPenalty], now: datetime) -> Verdict:
    decayed = offences(finding.client, rule.name, past, rule.sentence.forget_after, now)
    term = how_long(rule.sentence, decayed)
    return Verdict(
        id=_identify(finding.client, rule.name, now),
        client=finding.client,
        rule=rule.name,
        penalty=finding.penalty or rule.sentence.penalty,
        since=now,
        until=finding.until or (None if term is None else now + term),
        because=finding.because,
        macs=tuple(sorted(finding.macs)),
        addresses=finding.addresses,
        offence=1 + int(decayed + 0.5),
        location=finding.location,
        network=finding.network,
        routine=finding.routine,
    )


def _covers(verdict: Verdict, finding: Finding) -> bool:
    """The same rule on the same client, also where it has got a better identity since (a user instead of a MAC)."""
    return verdict.rule == finding.rule and (
        verdict.client == finding.client or not set(verdict.macs).isdisjoint(finding.macs)
    )


def _weight(age: timedelta, forget_after: timedelta) -> float:
    if forget_after <= timedelta(0):
        return 0.0
    return float(0.5 ** (max(age, timedelta(0)) / forget_after))


def _identify(client: ClientId, rule: str, since: datetime) -> str:
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
