"""Two readings of a port's counters -> bits per second, or the reason why they give none.

A counter that got smaller has wrapped or was reset, and only one of the two is traffic. The device's uptime and its
ifCounterDiscontinuityTime (RFC 2863, 3.1.5) tell which; where they are silent, the step must be one that the port can
have carried. When in doubt there is no rate: a made-up peak would be held against somebody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from switchguard.core.model import Interface, PortCounters

LONGEST_GAP_S = 900.0
"""Readings further apart do not speak of now. A 32-bit octet counter wraps every 34 s at 1 Gbit/s."""

UPTIME_WRAP_S = 2**32 / 100
"""sysUpTime is a 32-bit number of hundredths of seconds: 497 days."""

_LATE_S = 30.0
"""How much later than its time stamp a device may have answered."""

_BURST = 1.25
"""Traffic over nominal speed that two imprecise time stamps can feign."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Mean bits per second between two readings; `in` is what the port received."""

    device: str
    port: str
    in_bps: float
    out_bps: float
    seconds: float


@dataclass(frozen=True, slots=True)
class NoRate:
    """A port that has counters, but no rate this time."""

    device: str
    port: str
    why: str


def rates(
    previous: Iterable[PortCounters],
    current: Iterable[PortCounters],
    interfaces: Iterable[Interface] = (),
    longest_gap_s: float = LONGEST_GAP_S,
) -> tuple[Rate | NoRate, ...]:
    """One answer per port of `current`, sorted. `interfaces` tells the speeds that expose impossible steps."""
    before = {(counters.device, counters.port): counters for counters in previous}
    speeds = {(interface.device, interface.name): interface.speed_bps for interface in interfaces}
    now = {(counters.device, counters.port): counters for counters in current}
    return tuple(
        rate(before[key], now[key], speeds.get(key), longest_gap_s) if key in before else NoRate(*key, "first reading")
        for key in sorted(now)
    )


def rate(
    previous: PortCounters, current: PortCounters, speed_bps: int | None = None, longest_gap_s: float = LONGEST_GAP_S
) -> Rate | NoRate:
    """The rate between two readings of one port. ValueError for readings of two different ports."""
    if (previous.device, previous.port) != (current.device, current.port):
        raise ValueError(f"{previous.device} {previous.port} and {current.device} {current.port} are two ports")
    seconds = (current.at - previous.at).total_seconds()
    why = _unfit(previous, current, seconds, longest_gap_s)
    if why:
        return NoRate(current.device, current.port, why)
    steps: dict[str, float] = {}
    for way, before, now in (
        ("in", previous.in_octets, current.in_octets),
        ("out", previous.out_octets, current.out_octets),
    ):
        step = _step(before, now, current.bits, seconds, speed_bps)
        if isinstance(step, str):
            return NoRate(current.device, current.port, f"{way} octets: {step}")
        steps[way] = step * 8 / seconds
    return Rate(current.device, current.port, steps["in"], steps["out"], seconds)


def restarted(before_s: float | None, now_s: float | None, elapsed_s: float) -> bool:
    """Whether a device's uptime fell between two readings, other than by passing 497 days."""
    if before_s is None or now_s is None or now_s >= before_s:
        return False
    due = before_s + elapsed_s - UPTIME_WRAP_S
    return abs(now_s - due) > _LATE_S


def uptimes(counters: Iterable[PortCounters]) -> Mapping[str, float]:
    """Each device's shortest uptime among its counters, where it tells one."""
    shortest: dict[str, float] = {}
    for row in counters:
        if row.uptime_s is not None:
            shortest[row.device] = min(row.uptime_s, shortest.get(row.device, row.uptime_s))
    return shortest


def _unfit(previous: PortCounters, current: PortCounters, seconds: float, longest_gap_s: float) -> str | None:
    if seconds <= 0:
        return "the two readings are not in order of time"
    if seconds > longest_gap_s:
        return f"{seconds:.0f} s between two readings, more than {longest_gap_s:.0f} s"
    if previous.bits != current.bits:
        return f"{previous.bits}-bit counters before, {current.bits}-bit counters now"
    if restarted(previous.uptime_s, current.uptime_s, seconds):
        return "the device restarted"
    if None not in (marks := (previous.discontinuity_s, current.discontinuity_s)) and marks[0] != marks[1]:
        return "the device says that the counters were interrupted"
    return None


def _step(before: int, now: int, bits: int, seconds: float, speed_bps: int | None) -> int | str:
    """Octets between two readings, counting at most one wrap; or why they cannot be told."""
    size = 1 << bits
    octets = (now - before) % size
    if speed_bps:
        most = speed_bps * seconds / 8 * _BURST
        if most >= size:
            return f"a {bits}-bit counter may wrap more than once in {seconds:.0f} s at this speed"
        if octets > most:
            return "reset" if now < before else "more than the port can carry"
    elif now < before and octets >= size // 2:
        return "reset"
    return octets
