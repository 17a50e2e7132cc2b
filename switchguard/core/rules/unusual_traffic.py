"""An interface whose traffic is not what it always is at this hour of the week: an incident, told at once.

    score = |now - median| / spread        of each direction, the larger one counts

The median is that of the same hour of the week and the two hours beside it in all earlier weeks, by the site's clock;
the spread is 1.4826 times the median absolute deviation (which is a standard deviation where the traffic is normal, and
does not mind that one of the weeks was itself an incident), but at least a tenth of the median and `at_least` divided
by the threshold. With less history than `history` the rule says so and judges nothing; it looks back that long and a
week, at least five weeks, as far as the site keeps hours (`history.hours`). It never punishes: the alarm
names the clients, remote networks and ports that are busiest at this moment, so that people can look while it lasts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo
from statistics import median
from typing import Literal

from switchguard.core.calendar import hour_of_week
from switchguard.core.evidence import Evidence, InterfaceRates, RateSample, Traffic, age
from switchguard.core.explain import duration, rate, volume
from switchguard.core.keys import About, Bps, Threshold, key, params_of
from switchguard.core.model import Destination
from switchguard.core.penalties import Finding, Notify
from switchguard.core.policy import Rule, RuleParams, Sentence
from switchguard.core.rules._findings import SHOWN, alarm, first_few

KIND = "unusual_traffic"

NORMAL = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""
LEAST_SPREAD = 0.1
"""Of the median: traffic that repeats more exactly than this is luck."""
FEWEST_SAMPLES = 4
"""Fewer say nothing about an hour, however long the history."""
LOOKS_BACK = timedelta(weeks=5)
"""At least so far back an interface's hours are compared; further, if there must be more history."""
_WEEK_HOURS = 168
_A_DAY = timedelta(days=1)
_A_WEEK = timedelta(weeks=1)

Way = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    history: timedelta = key("how much history there must be before the rule says anything", timedelta(weeks=2))
    at_least: Bps = key("a difference smaller than this is none", 1_000_000, at_least=1)
    tell_again: timedelta = key("an alarm that goes on is told again after this long", timedelta(hours=6))
    drops_too: bool = key("unusually little traffic is an alarm as well", True)
    time_zone: tzinfo = key("whose clock tells the hour of the week; without it, the site's", UTC)

    @property
    def looks_back(self) -> timedelta:
        """A week more than there must be: the oldest hours are forgotten while they are still wanted."""
        return max(LOOKS_BACK, self.history + _A_WEEK)


ABOUT = About(
    "interfaces whose traffic is unusual for the hour of the week: an alarm, never a penalty",
    Params,
    Threshold("above", "number", "how many times the usual spread the difference must be", 6.0),
    sentence=Sentence(Notify()),
    penalties=(),
)


@dataclass(frozen=True, slots=True)
class Swing:
    """How far one direction is from what is usual. `score` counts spreads; it is negative where there is less."""

    way: Way
    now_bps: float
    usual_bps: float
    score: float


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """An alarm for every interface that is over the threshold."""
    params = params_of(rule, Params)
    worst = (
        (interface, max(_swings(interface, rule, params), key=lambda swing: abs(swing.score), default=None))
        for interface in evidence.interfaces
        if not _too_young(interface, evidence, params)
    )
    return tuple(
        alarm(_name(interface), evidence, rule, abs(swing.score), _because(swing, evidence), again=params.tell_again)
        for interface, swing in worst
        if swing is not None
    )


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    params = params_of(rule, Params)
    young = (
        f"{it.device} {it.interface}: {duration(_known_for(it, evidence))} of {duration(params.history)} of history"
        for it in evidence.interfaces
        if _too_young(it, evidence, params)
    )
    return tuple(young) if evidence.interfaces else ("no interface's history is known",)


def _known_for(interface: InterfaceRates, evidence: Evidence) -> timedelta:
    return age(evidence.now, interface.history[0].start) if interface.history else timedelta(0)


def _too_young(interface: InterfaceRates, evidence: Evidence, params: Params) -> bool:
    return _known_for(interface, evidence) < params.history


def _swings(interface: InterfaceRates, rule: Rule, params: Params) -> Iterator[Swing]:
    """The directions that are over the threshold."""
    now = interface.now
    if now is None:
        return
    usual = [it for it in interface.history if it.end <= now.start - _A_DAY and _same_hour(it, now, params.time_zone)]
    if len(usual) < FEWEST_SAMPLES:
        return
    ways: tuple[tuple[Way, float, list[float]], ...] = (
        ("in", now.in_bps, [it.in_bps for it in usual]),
        ("out", now.out_bps, [it.out_bps for it in usual]),
    )
    for way, bps, before in ways:
        swing = _swing(way, bps, before, rule, params)
        if abs(swing.score) > rule.above and (swing.score > 0 or params.drops_too):
            yield swing


def _same_hour(sample: RateSample, now: RateSample, zone: tzinfo) -> bool:
    """Or the one before or after it."""
    apart = (hour_of_week(sample.start, zone) - hour_of_week(now.start, zone)) % _WEEK_HOURS
    return apart in (0, 1, _WEEK_HOURS - 1)


def _swing(way: Way, now: float, before: list[float], rule: Rule, params: Params) -> Swing:
    usual = median(before)
    deviation = NORMAL * median(abs(bps - usual) for bps in before)
    least = params.at_least / rule.above if rule.above else 0.0
    spread = max(deviation, LEAST_SPREAD * usual, least, 1.0)
    return Swing(way, now, usual, (now - usual) / spread)


def _name(interface: InterfaceRates) -> str:
    return f"interface:{interface.device} {interface.interface}"


def _because(swing: Swing, evidence: Evidence) -> str:
    size = "more" if swing.score > 0 else "less"
    sentence = (
        f"{rate(swing.now_bps)} {swing.way} where {rate(swing.usual_bps)} is usual at this hour of the week, "
        f"{abs(swing.score):.1f} times the usual spread {size}"
    )
    return "; ".join((sentence, *_at_this_moment(evidence)))


def _at_this_moment(evidence: Evidence) -> Iterator[str]:
    """Who and what is busiest now: clients by their newest traffic, else by sessions; remote networks and ports."""
    if clients := _busiest_clients(evidence):
        yield f"busiest clients: {first_few(clients)}"
    if evidence.destinations:
        yield f"busiest remote networks: {first_few([_remote(it) for it in evidence.destinations])}"
        largest = max(evidence.destinations, key=lambda it: it.octets or 0)
        if largest.octets and largest not in evidence.destinations[:SHOWN]:
            yield f"most traffic with {_remote(largest)}"


def _remote(it: Destination) -> str:
    port = "" if it.port is None else f" port {it.port}"
    moved = "" if it.octets is None else f", {volume(it.octets)}"
    return f"{it.network}{port} ({it.sessions:,} sessions{moved})"


def _busiest_clients(evidence: Evidence) -> list[str]:
    moved = [(_newest_bps(spans), client) for client, spans in evidence.traffic.items() if spans]
    if moved:
        return [f"{client} ({rate(bps)})" for bps, client in sorted(moved, key=lambda it: (-it[0], it[1]))]
    used = [(it.usage.sessions, it.identity) for it in evidence.attribution.clients if it.usage is not None]
    return [f"{client} ({sessions:,} sessions)" for sessions, client in sorted(used, key=lambda it: (-it[0], it[1]))]


def _newest_bps(spans: tuple[Traffic, ...]) -> float:
    last = spans[-1]
    seconds = (last.end - last.start).total_seconds()
    return (last.octets_in + last.octets_out) * 8 / seconds if seconds else 0.0
