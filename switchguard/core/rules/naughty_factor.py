"""How much a client looks like a swarm, 0.0-1.0: many sessions, mostly to different hosts, active, to high ports.

    factor = crowd * spread * activity * suspicion        (each clipped to 0.0-1.0)

    crowd      s^2 / (s^2 + 120^2)          s sessions: 20 are a power user's, 120 make one half, 700 make 0.97
    spread     (h/s - floor) / 0.35         h distinct remote hosts; floor = 0.15 + 0.35 * visited
      visited  (tcp - 0.9) / 0.1 * (1 - unanswered / 0.05): all TCP and all answered, like a server's visitors
    activity   share active / 0.6           0.9 if the platform does not tell
    suspicion  1 - (1 - ports) * (1 - silence)
      ports    0.1 + 0.9 * share to ports above 1024 / 0.6
      silence  (unanswered - 0.3) / 0.5     0 if the platform does not tell: a scanner knocks at closed doors

docs/scoring.md has the calibration, and what each number rests on.

`sort` names what the client is by its ports. The unanswered queries of a resolver are no evidence (lame servers are its
daily bread, and when the uplink fails all stay unanswered), so `silence` does not count for it.

`certainty` is 1.0, times 0.75 without idle times, 0.85 without the share unanswered, 0.95 without the most frequent
port. A missing column makes the factor less certain; it neither makes nor unmakes a swarm.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from switchguard.core.evidence import Evidence
from switchguard.core.keys import About, Threshold
from switchguard.core.model import ClientId, NatUsage
from switchguard.core.penalties import Finding
from switchguard.core.policy import Rule
from switchguard.core.rules._findings import about
from switchguard.core.rules._sight import clients_of, in_sight

KIND = "naughty_factor"
ABOUT = About(
    "clients whose part of the translation table looks like a swarm; docs/scoring.md explains the factor",
    threshold=Threshold("above", "number", "the factor, from 0.0 to 1.0", at_most=1.0),
)

Sort = Literal["swarm", "scanner", "resolver", "proxy", "server", "ordinary"]

HALF_CROWD = 120
UNKNOWN_ACTIVITY = 0.9
MANY = 200
"""Sessions from which on a client is worth a name: ten times a power user's."""
DOMINANT = 0.7
"""Share of sessions to one port that makes that port the client's purpose."""
LOOKUPS = {53: "DNS", 123: "NTP", 853: "DNS over TLS"}
WEB = {80: "HTTP", 443: "HTTPS", 3128: "a proxy", 8080: "HTTP"}

_NAMED: Mapping[Sort, str] = {
    "swarm": "",
    "ordinary": "",
    "scanner": ": a scanner",
    "resolver": ": a resolver, not a swarm",
    "proxy": ": a proxy or a busy browser, not a swarm",
    "server": ": visitors of a server, it seems",
}


@dataclass(frozen=True, slots=True)
class Factor:
    """One client's naughty factor: value and certainty 0.0-1.0, the parts whose product the value is, a sentence."""

    value: float
    parts: Mapping[str, float]
    because: str
    certainty: float
    sort: Sort
    clauses: tuple[str, ...] = ()
    """`because` in pieces."""


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Everyone in sight whose factor is above the rule's threshold. No factor is above its `crowd`, which spares most
    clients of a large network a closer look."""
    rated = (
        (client, factor(usage))
        for client, usage in in_sight(evidence, rule)
        if _crowd(usage.sessions) > rule.above and prod(_parts(usage).values()) > rule.above
    )
    return tuple(about(client, evidence, rule, rating.value, rating.because) for client, rating in rated)


def judge_as_rated(evidence: Evidence, rule: Rule, rated: Mapping[ClientId, tuple[float, str]]) -> tuple[Finding, ...]:
    """The same where only the factor was kept, and a sentence, but not the table."""
    return tuple(
        about(client, evidence, rule, *rated[client.identity])
        for client in clients_of(evidence, rule)
        if client.identity in rated and rated[client.identity][0] > rule.above
    )


def factor(usage: NatUsage) -> Factor:
    """The naughty factor of one client's usage, on its own."""
    parts = _parts(usage)
    value = prod(parts.values())
    sort = _sort(usage, value)
    clauses = tuple(_clauses(usage))
    named = _NAMED[sort]
    pieces = (*clauses, named.removeprefix(": ")) if named else clauses
    return Factor(value, parts, ", ".join(clauses) + named, _certainty(usage), sort, pieces)


def _parts(usage: NatUsage) -> dict[str, float]:
    return {
        "crowd": _crowd(usage.sessions),
        "spread": _clip((_hosts_per_session(usage) - 0.15 - 0.35 * _visited(usage)) / 0.35),
        "activity": UNKNOWN_ACTIVITY if usage.active_share is None else _clip(usage.active_share / 0.6),
        "suspicion": 1 - (1 - _ports(usage)) * (1 - _silence(usage)),
    }


def _crowd(sessions: int) -> float:
    return sessions * sessions / (sessions * sessions + HALF_CROWD * HALF_CROWD)


def _hosts_per_session(usage: NatUsage) -> float:
    return _clip(usage.remotes / usage.sessions) if usage.sessions else 0.0


def _visited(usage: NatUsage) -> float:
    return _clip((usage.tcp_share - 0.9) / 0.1) * _clip(1 - (usage.unanswered_share or 0.0) / 0.05)


def _ports(usage: NatUsage) -> float:
    return 0.1 + 0.9 * _clip(usage.high_port_share / 0.6)


def _silence(usage: NatUsage) -> float:
    if usage.unanswered_share is None or _mostly_to(LOOKUPS, usage):
        return 0.0
    return _clip((usage.unanswered_share - 0.3) / 0.5)


def _mostly_to(ports: Mapping[int, str], usage: NatUsage) -> bool:
    return usage.top_port in ports and (usage.top_port_share or 0.0) >= DOMINANT


def _clip(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _certainty(usage: NatUsage) -> float:
    return (
        (0.75 if usage.active_share is None else 1.0)
        * (0.85 if usage.unanswered_share is None else 1.0)
        * (0.95 if usage.top_port is None else 1.0)
    )


def _sort(usage: NatUsage, value: float) -> Sort:
    if usage.sessions < MANY:
        return "swarm" if value >= 0.5 else "ordinary"
    if _mostly_to(LOOKUPS, usage):
        return "resolver"
    if _silence(usage) >= 0.5 and _hosts_per_session(usage) >= 0.5:
        return "scanner"
    if _mostly_to(WEB, usage):
        return "proxy"
    if (
        _visited(usage) >= 0.5
        and usage.high_port_share >= 0.6
        and _hosts_per_session(usage) < 0.5 <= usage.remotes / 50
    ):
        return "server"
    return "swarm" if value >= 0.5 else "ordinary"


def _clauses(usage: NatUsage) -> Iterator[str]:
    hosts = min(usage.remotes, usage.sessions)
    if hosts == 1:
        yield f"{usage.sessions:,} {'session goes' if usage.sessions == 1 else 'sessions go'} to one host"
    else:
        yield f"{hosts:,} of {usage.sessions:,} sessions go to different hosts"
    yield "idle times unknown" if usage.active_share is None else f"{_percent(usage.active_share)} active"
    if usage.unanswered_share is not None and usage.unanswered_share >= 0.1:
        yield f"{_percent(usage.unanswered_share)} unanswered"
    if usage.top_port is not None and usage.top_port_share is not None and usage.top_port_share >= DOMINANT:
        name = LOOKUPS.get(usage.top_port) or WEB.get(usage.top_port)
        yield f"{_percent(usage.top_port_share)} to port {usage.top_port}{f' ({name})' if name else ''}"
    elif usage.sessions >= MANY:
        yield f"{_percent(usage.high_port_share)} to ports above 1024"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
