"""Several addresses' parts of the translation tables -> one client's: IPv4, IPv6, privacy addresses of one machine."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import mul
from typing import cast

from switchguard.core.model import NatUsage
from switchguard.core.sketch import unite

Column = tuple[float | None, ...]
"""One field of several usages."""


def merge(usages: Sequence[NatUsage]) -> NatUsage:
    """The sum of at least one usage; `device` and `address` are the busiest one's, the order is irrelevant.

    Exact: sessions, bytes, shares (weighted by sessions), oldest, newest. Estimated: `remotes`, `sketch` (sketch.py)
    and the median idle time (the weighted median of the medians). Certain lower bounds, so that nobody is blamed for an
    estimate: `remote_ports` (the largest) and `top_port_share`. What one address with sessions does not tell is
    not told of the sum.
    """
    if len(usages) == 1:
        return usages[0]
    ordered = sorted(usages, key=_busiest_first)
    weights = [usage.sessions for usage in ordered if usage.sessions]
    sessions = sum(weights)
    tcp, udp, unanswered, high, active, idle, oldest, newest = _shares(ordered) if weights else ((),) * 8
    sketch, remotes = unite([usage.sketch for usage in ordered], [usage.remotes for usage in ordered])
    top_port, top_share = _top_port(ordered, sessions)
    return NatUsage(
        device=ordered[0].device,
        address=ordered[0].address,
        sessions=sessions,
        remotes=remotes,
        remote_ports=max([usage.remote_ports for usage in ordered]),
        tcp_share=_mean(tcp, weights, sessions) or 0.0,
        udp_share=_mean(udp, weights, sessions) or 0.0,
        unanswered_share=_mean(unanswered, weights, sessions),
        high_port_share=_mean(high, weights, sessions) or 0.0,
        active_share=_mean(active, weights, sessions),
        median_idle_s=_median(idle, weights),
        bytes_out=_octets([usage.bytes_out for usage in ordered]),
        bytes_in=_octets([usage.bytes_in for usage in ordered]),
        oldest_s=max(_told(oldest), default=None),
        newest_s=min(_told(newest), default=None),
        sketch=sketch,
        top_port=top_port,
        top_port_share=top_share,
    )


def _busiest_first(usage: NatUsage) -> tuple[int, int, int, str]:
    return (-usage.sessions, usage.address.version, int(usage.address), usage.device)


def _shares(usages: Iterable[NatUsage]) -> Iterable[Column]:
    """What counts by sessions, column by column: of those that have any."""
    rows = [
        (
            usage.tcp_share,
            usage.udp_share,
            usage.unanswered_share,
            usage.high_port_share,
            usage.active_share,
            usage.median_idle_s,
            usage.oldest_s,
            usage.newest_s,
        )
        for usage in usages
        if usage.sessions
    ]
    return zip(*rows, strict=True)


def _told(values: Column) -> tuple[float, ...]:
    """None of them, if one of those that have sessions does not tell."""
    return () if None in values else cast(tuple[float, ...], values)


def _mean(values: Column, weights: Sequence[int], sessions: int) -> float | None:
    told = _told(values)
    if not told:
        return None
    mean: float = sum(map(mul, told, weights)) / sessions
    return min(max(mean, min(told)), max(told))


def _median(values: Column, weights: Sequence[int]) -> float | None:
    told = _told(values)
    if not told:
        return None
    ordered = sorted(zip(told, weights, strict=True))
    passed = list(accumulate(weight for _, weight in ordered))
    return ordered[bisect_left(passed, passed[-1] / 2)][0]


def _octets(octets: Sequence[int | None]) -> int | None:
    told = [count for count in octets if count is not None]
    return sum(told) if len(told) == len(octets) else None


def _top_port(usages: Sequence[NatUsage], sessions: int) -> tuple[int | None, float | None]:
    if not sessions:
        return None, None
    to_port: dict[int, float] = defaultdict(float)
    for usage in usages:
        if usage.top_port is not None and usage.top_port_share is not None:
            to_port[usage.top_port] += usage.top_port_share * usage.sessions
    if not to_port:
        return None, None
    port = min(to_port, key=lambda port: (-to_port[port], port))
    return port, min(to_port[port] / sessions, 1.0)
