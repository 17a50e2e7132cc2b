"""Who takes a large part of the shared link while it is crowded.

Each direction is judged on its own: an upload is no crime while the download is what is crowded. Somebody alone on
an empty link may have all of it: what everybody else moves at the same time tells. Others who get next to nothing
because one takes it all are told from others who want nothing by how many they are: a few people who read at night make
nobody a hog, a hall that crawls does. Where hardly a bit gets through to anybody else, that cannot be told any more.
A client over the threshold stays counted until it is under the green one: in between its streak neither grows nor
ends. Once it has a penalty, the clock alone ends that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from switchguard.core.calendar import Window
from switchguard.core.evidence import Evidence, LinkLoad, Traffic
from switchguard.core.explain import rate
from switchguard.core.keys import About, Bps, Share, Threshold, key, params_of
from switchguard.core.model import Client, ClientId
from switchguard.core.penalties import Finding
from switchguard.core.policy import Rule, RuleParams
from switchguard.core.rules._findings import about
from switchguard.core.rules._sight import clients_of

KIND = "share_of_link"

Direction = Literal["in", "out", "both"]
_SLACK = 1.1
"""Polls are never quite on time: the first span of the window may begin a little before it."""


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    below: Share = key("the green threshold: under this share the streak ends", 0.05)
    only_while_link_above: Share = key("nobody is judged while the link is less loaded than this, that way", 0.8)
    others_above: Share = key(
        "nobody is judged while everybody else together takes less than this, that way: it is spoilt for nobody; "
        "unless `others_active` says otherwise",
        0.05,
    )
    others_active: int = key(
        "while so many others each move more than `active_above`, that way, they are judged all the same: who leaves "
        "less than `others_above` to so many is not alone",
        10,
        at_least=1,
    )
    active_above: Bps = key("who moves more than this, taken over as long as the client, wants something", 10_000)
    direction: Direction = key("`in` is towards the clients; `both`: each on its own", "both")
    over: timedelta = key("the client's mean rate is taken over this long", timedelta(minutes=5))
    estimates: bool = key("count traffic that could only be estimated", False)

    def fits(self, above: float) -> None:
        if self.below > above:
            raise ValueError("below is more than above")

    @property
    def needs(self) -> tuple[Literal["link"]]:
        return ("link",)

    def __post_init__(self) -> None:
        if self.over <= timedelta(0):
            raise ValueError("over is no time at all")


ABOUT = About(
    "clients that take a large share of the shared link while it is crowded",
    Params,
    Threshold("above", "share", "the share of the link's capacity", 0.12),
)


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction of the link, when it is crowded."""

    name: Literal["in", "out"]
    capacity_bps: int
    load: float | None


@dataclass(frozen=True, slots=True)
class _Used:
    """A client's part of one direction."""

    way: _Way
    bps: float
    share: float


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Everyone above the threshold, and those above the green one who were above it before."""
    params, link = params_of(rule, Params), evidence.link
    ways = () if link is None else tuple(_crowded(link, params))
    window = _window(evidence, params)
    if not ways or window is None:
        return ()
    crowd = {way.name: _active(evidence, way, window, params) for way in ways}
    found = (_judge(client, ways, crowd, window, evidence, rule, params) for client in clients_of(evidence, rule))
    return tuple(finding for finding in found if finding is not None)


def looks_back(rule: Rule, now: datetime) -> tuple[datetime, ...]:
    return (now - params_of(rule, Params).over * _SLACK,)


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    params, link = params_of(rule, Params), evidence.link
    if link is None:
        return ("the site names no link",)
    if params.only_while_link_above and link.in_bps is None and link.out_bps is None:
        return (f"the load of {link.device} {link.interface} is not known",)
    if _window(evidence, params) is None:
        return ("nobody's traffic of the last minutes is known",)
    return ()


def _crowded(link: LinkLoad, params: Params) -> Iterator[_Way]:
    ways: tuple[tuple[Literal["in", "out"], int, float | None], ...] = (
        ("in", link.capacity_in_bps, link.in_bps),
        ("out", link.capacity_out_bps, link.out_bps),
    )
    for name, capacity, load_bps in ways:
        load = None if load_bps is None else load_bps / capacity
        if params.direction in (name, "both") and (load or 0.0) >= params.only_while_link_above:
            yield _Way(name, capacity, load)


def _window(evidence: Evidence, params: Params) -> Window | None:
    """The same for all clients: back from the newest span of any of them. None if that is old, or the window short."""
    end = max((spans[-1].end for spans in evidence.traffic.values() if spans), default=None)
    if end is None or evidence.now - end > params.over:
        return None
    earliest = end - params.over * _SLACK
    starts = (span.start for spans in evidence.traffic.values() for span in spans)
    start = min((start for start in starts if start >= earliest), default=end)
    return Window(start, end) if end - start >= params.over / 2 else None


def _active(evidence: Evidence, way: _Way, window: Window, params: Params) -> frozenset[ClientId]:
    """Who wants something, whatever they get."""
    return frozenset(
        who
        for who in evidence.traffic
        if _used(_spans(who, window, evidence, params), way, window).bps > params.active_above
    )


def _spans(client: ClientId, window: Window, evidence: Evidence, params: Params) -> list[Traffic]:
    return [
        span
        for span in evidence.traffic.get(client, ())
        if span.start >= window.start and (params.estimates or not span.estimate)
    ]


def _judge(
    client: Client,
    ways: Sequence[_Way],
    crowd: Mapping[Literal["in", "out"], frozenset[ClientId]],
    window: Window,
    evidence: Evidence,
    rule: Rule,
    params: Params,
) -> Finding | None:
    """`crowd`: way -> who is active that way."""
    spans = _spans(client.identity, window, evidence, params)
    shared = [
        way
        for way in ways
        if _others(spans, way) >= params.others_above
        or len(crowd[way.name] - {client.identity}) >= params.others_active
    ]
    if not shared:
        return None
    used = max((_used(spans, way, window) for way in shared), key=lambda it: it.share)
    before = evidence.streak(rule, client.identity)
    if used.share > rule.above:
        return about(client, evidence, rule, used.share, _because(used, spans), "share")
    if before and used.share > params.below:
        because = f"{_because(used, spans)}: less than before, but not under the green threshold yet"
        return replace(about(client, evidence, rule, used.share, because, "share"), streak=before)
    return None


def _used(spans: Sequence[Traffic], way: _Way, window: Window) -> _Used:
    bps = _octets(spans, way) * 8 / (window.end - window.start).total_seconds()
    return _Used(way, bps, bps / way.capacity_bps)


def _others(spans: Sequence[Traffic], way: _Way) -> float:
    """What the link carries for everybody else, as a share of it: as new as its load is. All of it if not known."""
    if way.load is None:
        return 1.0
    newest = [span for span in spans if span.end == spans[-1].end]
    seconds = max(((span.end - span.start).total_seconds() for span in newest), default=0.0)
    own_bps = _octets(newest, way) * 8 / seconds if seconds else 0.0
    return way.load - own_bps / way.capacity_bps


def _octets(spans: Sequence[Traffic], way: _Way) -> int:
    return sum(span.octets_in if way.name == "in" else span.octets_out for span in spans)


def _because(used: _Used, spans: Sequence[Traffic]) -> str:
    roughly = "about " if any(span.estimate for span in spans) else ""
    way = used.way
    return (
        f"{roughly}{rate(used.bps)} {way.name} is {used.share:.0%} of the link's {rate(way.capacity_bps)}, "
        f"whose load is {'not known' if way.load is None else f'{way.load:.0%}'}"
    )
