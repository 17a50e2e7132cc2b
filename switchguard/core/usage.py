"""Several addresses' parts of the translation tables -> one client's: IPv4, IPv6, privacy addresses of one machine."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate

from switchguard.core.model import NatUsage
from switchguard.core.sketch import unite

Weighted = list[tuple[float, int]]
"""(value, sessions)"""


def merge(usages: Sequence[NatUsage]) -> NatUsage:
    """The sum of at least one usage; `device` and `address` are the busiest one's, the order is irrelevant.

    Exact: sessions, bytes, shares (weighted by sessions), oldest, newest. Estimated: `remotes`, `sketch` (sketch.py)
    and the median idle time (the weighted median of the medians). Certain lower bounds, so that nobody is blamed for an
    estimate: `remote_ports` (the largest) and `top_port_share`. What one address with sessions does not tell is
    not told of the sum.
    """
    ordered = sorted(
        usages, key=lambda usage: (-usage.sessions, usage.address.version, int(usage.address), usage.device)
    )
    busiest = ordered[0]
    if len(ordered) == 1:
        return busiest
    sessions = sum(usage.sessions for usage in ordered)
    sketch, remotes = unite([usage.sketch for usage in ordered], [usage.remotes for usage in ordered])
    top_port, top_share = _top_port(ordered, sessions)
    return NatUsage(
        device=busiest.device,
        address=busiest.address,
        sessions=sessions,
        remotes=remotes,
        remote_ports=max(usage.remote_ports for usage in ordered),
        tcp_share=_told(ordered, lambda usage: usage.tcp_share, _mean) or 0.0,
        udp_share=_told(ordered, lambda usage: usage.udp_share, _mean) or 0.0,
        unanswered_share=_told(ordered, lambda usage: usage.unanswered_share, _mean),
        high_port_share=_told(ordered, lambda usage: usage.high_port_share, _mean) or 0.0,
        active_share=_told(ordered, lambda usage: usage.active_share, _mean),
        median_idle_s=_told(ordered, lambda usage: usage.median_idle_s, _median),
        bytes_out=_octets([usage.bytes_out for usage in ordered]),
        bytes_in=_octets([usage.bytes_in for usage in ordered]),
        oldest_s=_told(ordered, lambda usage: usage.oldest_s, lambda told: max(age for age, _ in told)),
        newest_s=_told(ordered, lambda usage: usage.newest_s, lambda told: min(age for age, _ in told)),
        sketch=sketch,
        top_port=top_port,
        top_port_share=top_share,
    )


def _told(
    usages: Sequence[NatUsage], ask: Callable[[NatUsage], float | None], summed: Callable[[Weighted], float]
) -> float | None:
    """None if one of those that have sessions does not tell, or none has any."""
    answers = [(ask(usage), usage.sessions) for usage in usages if usage.sessions]
    told = [(answer, sessions) for answer, sessions in answers if answer is not None]
    return summed(told) if told and len(told) == len(answers) else None


def _mean(told: Weighted) -> float:
    mean = sum(value * weight for value, weight in told) / sum(weight for _, weight in told)
    return min(max(mean, min(value for value, _ in told)), max(value for value, _ in told))


def _median(told: Weighted) -> float:
    ordered = sorted(told)
    passed = list(accumulate(weight for _, weight in ordered))
    return ordered[bisect_left(passed, passed[-1] / 2)][0]


def _octets(octets: Sequence[int | None]) -> int | None:
    told = [count for count in octets if count is not None]
    return sum(told) if len(told) == len(octets) else None


def _top_port(usages: Sequence[NatUsage], sessions: int) -> tuple[int | None, float | None]:
    to_port: dict[int, float] = defaultdict(float)
    for usage in usages:
        if usage.top_port is not None and usage.top_port_share is not None:
            to_port[usage.top_port] += usage.top_port_share * usage.sessions
    if not to_port or not sessions:
        return None, None
    port = min(to_port, key=lambda port: (-to_port[port], port))
    return port, min(to_port[port] / sessions, 1.0)
