"""A MAC that was never seen before starts on a slow tier and climbs while it behaves.

Whoever fakes a new MAC starts from zero each time. A penalty of another rule sends a climber back to the first tier: it
climbs again from the end of that penalty. Registered devices need not climb, unless the rule says so, and neither do
those that were seen before `known_before`: on the first evening everybody is new.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from switchguard.core.evidence import Evidence, age
from switchguard.core.explain import duration, penalty_phrase
from switchguard.core.keys import About, Bps, key, params_of
from switchguard.core.model import Client
from switchguard.core.penalties import Finding, Notify, Penalty, RateLimit, SessionCap
from switchguard.core.policy import Rule, RuleParams, Sentence
from switchguard.core.rules._findings import about
from switchguard.core.rules._sight import clients_of

KIND = "new_device"


@dataclass(frozen=True, slots=True)
class Tier:
    """One step. Exactly one of `limit` and `cap` is set."""

    limit: Bps | None = key("at most this much traffic", None, at_least=1)
    cap: int | None = key("at most this many sessions at a time", None, at_least=1)
    lasts: timedelta = key("how long until the next tier, or full speed", timedelta(minutes=30))

    def __post_init__(self) -> None:
        if (self.limit is None) == (self.cap is None):
            raise ValueError("a tier is exactly one of limit and cap")

    @property
    def penalty(self) -> Penalty:
        return SessionCap(self.cap) if self.cap is not None else RateLimit(self.limit or 0)


SLOW_START = (Tier(limit=1_000_000), Tier(limit=5_000_000, lasts=timedelta(hours=2)))


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    tiers: tuple[Tier, ...] = key("the steps, slowest first; by default 1Mbps for 30m, then 5Mbps for 2h", SLOW_START)
    registered_too: bool = key("devices that are registered to a person climb as well", False)
    known_before: datetime | None = key("devices first seen before this moment are not new", None)

    def __post_init__(self) -> None:
        if not self.tiers:
            raise ValueError("without tiers there is nothing to climb")


ABOUT = About(
    "devices that are new here: slow at first, faster while they behave",
    Params,
    for_polls=1,
    sentence=Sentence(Notify(), timedelta(hours=1)),
    penalties=(),
)


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Everyone who is still on a tier; the penalty is the tier's, and ends with it."""
    params = params_of(rule, Params)
    climbing = (
        (client, since)
        for client in clients_of(evidence, rule)
        if (since := _climbs_since(client, evidence, rule, params)) is not None
    )
    found = (_judge(client, since, evidence, rule, params) for client, since in climbing)
    return tuple(finding for finding in found if finding is not None)


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    return () if evidence.first_seen else ("it is not known when devices were first seen",)


def heeds_ends_since(rule: Rule, now: datetime) -> datetime:
    """A setback is over with the last tier."""
    return now - sum((tier.lasts for tier in params_of(rule, Params).tiers), timedelta(0))


def _climbs_since(client: Client, evidence: Evidence, rule: Rule, params: Params) -> datetime | None:
    """None if the client is not new, or nobody knows whether it is."""
    if not client.macs or not all(mac in evidence.first_seen for mac in client.macs):
        return None
    if not params.registered_too and not (evidence.registry or {}).keys().isdisjoint(client.macs):
        return None
    first = max(evidence.first_seen[mac] for mac in client.macs)
    if params.known_before is not None and first < params.known_before:
        return None
    return max((first, *_setbacks(client, evidence, rule)))


def _setbacks(client: Client, evidence: Evidence, rule: Rule) -> Iterator[datetime]:
    """Ends of its penalties of other rules; now, for one in force. A limit for everybody is none, nor is a notice."""
    for past in evidence.past:
        if past.client == client.identity and past.rule != rule.name and not past.routine:
            yield past.ended
    for verdict in evidence.standing:
        told = verdict.routine or isinstance(verdict.penalty, Notify)
        if verdict.client == client.identity and verdict.rule != rule.name and not told:
            yield evidence.now


def _judge(client: Client, since: datetime, evidence: Evidence, rule: Rule, params: Params) -> Finding | None:
    behaved = age(evidence.now, since)
    ends = tuple(accumulate(tier.lasts for tier in params.tiers))
    number = bisect_right(ends, behaved)
    if number == len(ends):
        return None
    penalty, end = params.tiers[number].penalty, ends[number]
    step = f"tier {number + 1} of {len(ends)}, {penalty_phrase(penalty)}"
    return about(
        client,
        evidence,
        rule,
        behaved.total_seconds(),
        f"new here, and well-behaved for {duration(behaved)}: {step}",
        "seconds",
        threshold=end.total_seconds(),
        penalty=penalty,
        until=since + end,
        routine=True,
    )
