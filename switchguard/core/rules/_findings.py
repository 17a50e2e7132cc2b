"""What a rule says, as a Finding: about a client, or about something that is no client."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from switchguard.core.evidence import Evidence
from switchguard.core.model import Client, ClientId
from switchguard.core.penalties import Finding, Notify, Penalty, RateLimit, SessionCap, Unit
from switchguard.core.policy import Rule

SHOWN = 3
"""So many names a sentence has."""


def about(
    client: Client,
    evidence: Evidence,
    rule: Rule,
    value: float,
    because: str,
    unit: Unit = "",
    *,
    threshold: float | None = None,
    penalty: Penalty | None = None,
    until: datetime | None = None,
    routine: bool = False,
) -> Finding:
    """The client is over the threshold (the rule's own, unless told otherwise) once more."""
    return Finding(
        client=client.identity,
        rule=rule.name,
        value=value,
        threshold=rule.above if threshold is None else threshold,
        because=because,
        streak=evidence.streak(rule, client.identity) + 1,
        macs=client.macs,
        addresses=client.addresses,
        location=client.location,
        unit=unit,
        penalty=penalty,
        until=until,
        routine=routine,
    )


def alarm(
    subject: str, evidence: Evidence, rule: Rule, value: float, because: str, unit: Unit = "", *, again: timedelta
) -> Finding:
    """Something that people should know and that is no client's fault: told, not punished, whatever the penalty is,
    and told again after a while if it goes on."""
    client = ClientId(subject)
    return Finding(
        client,
        rule.name,
        value,
        rule.above,
        because,
        evidence.streak(rule, client) + 1,
        unit=unit,
        penalty=Notify(),
        until=evidence.now + again,
    )


def gentle(rule: Rule) -> bool:
    """The rule's penalty slows down and cuts nobody off: harmless for however many."""
    return isinstance(rule.sentence.penalty, RateLimit | SessionCap)


def first_few(names: Sequence[str], most: int = SHOWN) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
