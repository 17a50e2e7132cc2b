"""So many octets per hour, day, week or month, for each client or each person.

What counts is what moved since the window began, or since the last penalty of this rule ended, whichever is later, also
where it was only observed or a safeguard refused it: nobody pays twice for the same download. A person's usage is that
of everything registered to the person; each of the person's devices that is here gets the penalty, and one that comes
later has it until it ends for the others. While a client has it, the rule does not judge that client.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from typing import Literal

from switchguard.core.calendar import Calendar, Per, Weekday, Window
from switchguard.core.evidence import Evidence, Traffic, traffic_since
from switchguard.core.explain import moment, volume
from switchguard.core.keys import About, Threshold, key, params_of
from switchguard.core.model import Client, ClientId
from switchguard.core.penalties import Finding, Verdict
from switchguard.core.policy import Rule, RuleParams
from switchguard.core.rules._findings import about
from switchguard.core.rules._sight import clients_of, holds

KIND = "quota"

_WAYS = {"in": "received", "out": "sent", "both": "received and sent"}


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    per: Per = key("how long a window is", "day")
    direction: Literal["in", "out", "both"] = key("`in` is towards the clients; `both`: the sum", "both")
    starts: time = key("the time of day at which a window begins; of an hour, the minute", time(0))
    week_starts: Weekday = key("the day on which a week begins", "monday")
    month_starts: int = key("the day on which a month begins", 1, at_least=1, at_most=28)
    time_zone: tzinfo = key("whose clock it is; without it, the site's", UTC)
    for_each: Literal["client", "person"] = key(
        "`person`: all devices registered to the same person share one quota", "client"
    )
    estimates: bool = key("count traffic that could only be estimated", False)
    until_window_ends: bool = key("the penalty ends with the window, whatever `lasts` says", False)

    @property
    def needs(self) -> tuple[Literal["registry"], ...]:
        return ("registry",) if self.for_each == "person" else ()

    def window(self, now: datetime) -> Window:
        return Calendar(self.time_zone, self.starts, self.week_starts, self.month_starts).window(now, self.per)


ABOUT = About(
    "clients, or people, that moved more than so much in an hour, day, week or month",
    Params,
    Threshold("bytes", "octets", "how much is allowed in a window"),
    for_polls=1,
)


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Every client here whose quota is used up."""
    params = params_of(rule, Params)
    window = params.window(evidence.now)
    devices = _devices(evidence) if params.for_each == "person" else {}
    found = (
        _judge(client, _accounts(client, evidence, devices), window, evidence, rule, params)
        for client in clients_of(evidence, rule)
        if not holds(evidence, rule, client)
    )
    return tuple(finding for finding in found if finding is not None)


def looks_back(rule: Rule, now: datetime) -> tuple[datetime, ...]:
    return (params_of(rule, Params).window(now).start,)


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    missing = [] if evidence.traffic else ["nobody's traffic is known"]
    if params_of(rule, Params).for_each == "person" and evidence.registry is None:
        missing.append(evidence.no_registry or "there is no registry that says whose a device is")
    return tuple(missing)


def _devices(evidence: Evidence) -> Mapping[str, tuple[ClientId, ...]]:
    """Person -> everything of the person's that may have an account, here or not."""
    known: dict[str, set[ClientId]] = {}
    for mac, person in (evidence.registry or {}).items():
        known.setdefault(person, {ClientId(f"user:{person}")}).add(ClientId(f"mac:{mac}"))
    for client in evidence.attribution.clients:
        if (whose := evidence.person(client)) is not None:
            known.setdefault(whose, set()).add(client.identity)
    return {person: tuple(sorted(accounts)) for person, accounts in known.items()}


def _accounts(client: Client, evidence: Evidence, devices: Mapping[str, tuple[ClientId, ...]]) -> tuple[ClientId, ...]:
    person = evidence.person(client) if devices else None
    return (client.identity,) if person is None else devices[person]


def _judge(
    client: Client, accounts: Sequence[ClientId], window: Window, evidence: Evidence, rule: Rule, params: Params
) -> Finding | None:
    released = (it for account in accounts if (it := evidence.released(rule, account)) is not None)
    since = max((window.start, *released))
    counted = {
        account: [it for it in traffic_since(spans, since) if params.estimates or not it.estimate]
        for account in accounts
        if (spans := evidence.traffic.get(account))
    }
    used = sum(_octets(spans, params) for spans in counted.values())
    if used <= rule.above:
        return None
    because = _because(used, since, counted, rule, params)
    until = window.end if params.until_window_ends else _ends_for_the_others(accounts, evidence, rule)
    return about(client, evidence, rule, used, because, "octets", until=until)


def _ends_for_the_others(accounts: Collection[ClientId], evidence: Evidence, rule: Rule) -> datetime | None:
    """When the penalty ends that the person's other devices have; None: they have none, or one that somebody lifts."""
    ends = [
        verdict.until
        for verdict in evidence.standing
        if verdict.rule == rule.name and not verdict.probation and not _accounts_of(verdict).isdisjoint(accounts)
    ]
    known = [end for end in ends if end is not None]
    return max(known, default=None) if len(known) == len(ends) else None


def _accounts_of(verdict: Verdict) -> set[ClientId]:
    return {verdict.client, *(ClientId(f"mac:{mac}") for mac in verdict.macs)}


def _octets(spans: Iterable[Traffic], params: Params) -> int:
    came, went = params.direction != "out", params.direction != "in"
    return sum(span.octets_in * came + span.octets_out * went for span in spans)


def _because(
    used: int, since: datetime, counted: Mapping[ClientId, Sequence[Traffic]], rule: Rule, params: Params
) -> str:
    roughly = "about " if any(span.estimate for spans in counted.values() for span in spans) else ""
    together = f" by {len(counted)} devices of one person" if len(counted) > 1 else ""
    return (
        f"{roughly}{volume(used)} {_WAYS[params.direction]}{together} "
        f"since {moment(since.astimezone(params.time_zone))}, of {volume(rule.above)} a {params.per}"
    )
