"""Small evidence for tests of rules: a few clients, and what they moved, in spans of a minute or an hour."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from builders import NOON, ip, mac

from switchguard.core.evidence import Connections, Evidence, Traffic
from switchguard.core.model import Attribution, Client, ClientId, NatUsage
from switchguard.core.penalties import Finding, PastPenalty, Penalty, RateLimit, Verdict
from switchguard.core.policy import Rule, RuleParams, Sentence

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LIMIT = Sentence(RateLimit(64_000), lasts=2 * HOUR)
MB, GB = 10**6, 10**9


def client(number: int, usage: NatUsage | None = None, owner: str | None = None) -> Client:
    """Client `number` with its own MAC and address."""
    return Client(who(number), (mac(number),), (ip(number),), usage, None, "not looked for", owner)


def who(number: int) -> ClientId:
    return ClientId(f"mac:{mac(number)}")


def here(*clients: Client, now: datetime = NOON) -> Evidence:
    """These clients and nothing else."""
    return Evidence(Attribution(now, clients), now)


def rule(kind: str, above: float = 0.0, params: RuleParams | None = None, sentence: Sentence = LIMIT) -> Rule:
    """Called `r`, for one poll."""
    return Rule("r", kind, above, 1, sentence, params)


def minutes(count: int, octets_in: int = 0, octets_out: int = 0, now: datetime = NOON) -> tuple[Traffic, ...]:
    """The last `count` minutes, so much in each."""
    starts = (now - back * MINUTE for back in range(count, 0, -1))
    return tuple(Traffic(start, start + MINUTE, octets_in, octets_out) for start in starts)


def hour(start: datetime, octets_in: int = 0, octets_out: int = 0, estimate: bool = False) -> Traffic:
    return Traffic(start, start + HOUR, octets_in, octets_out, estimate)


def every(period: timedelta, lasting: timedelta, count: int = 1, until: datetime = NOON) -> tuple[Connections, ...]:
    """`count` connections every `period`, for so long, the last ones at `until`."""
    return tuple(Connections(until - n * period, count) for n in range(int(lasting / period), -1, -1))


def at(hours: Iterable[float], count: int = 1) -> tuple[Connections, ...]:
    """`count` connections so many hours before noon."""
    return tuple(Connections(NOON - it * HOUR, count) for it in sorted(hours, reverse=True))


def ended(number: int, ago: timedelta, name: str = "r", routine: bool = False) -> PastPenalty:
    """A penalty of client `number` that ended so long ago."""
    return PastPenalty(who(number), name, NOON - ago - HOUR, NOON - ago, routine)


def standing(number: int, name: str = "r", penalty: Penalty = LIMIT.penalty, until: datetime | None = None) -> Verdict:
    return Verdict("1", who(number), name, penalty, NOON - HOUR, until, "", macs=(mac(number),))


def found(findings: Iterable[Finding]) -> list[ClientId]:
    """Whom the findings are about."""
    return [finding.client for finding in findings]
