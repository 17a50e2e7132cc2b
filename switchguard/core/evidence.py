"""Everything that a rule may look at, as one value: `judge(evidence, rule)` needs nothing else and asks nobody.

Whoever fills it (the pass, from the ledger and the tables) may leave out whatever the site does not have: each part has
an empty default, and a rule that finds its part empty finds nobody guilty. Moments are aware, rates are bits per
second, traffic is octets, shares are 0.0-1.0. Sequences over time are ordered, oldest first, and do not overlap.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from switchguard.core.model import Address, Attribution, Client, ClientId, Destination, Mac
from switchguard.core.penalties import PastPenalty, Verdict
from switchguard.core.policy import Rule

Streaks = Mapping[tuple[str, str], int]
"""(rule, client) -> consecutive polls over the threshold, before this one."""

NAT = "nat"
"""The name under which `Evidence.connections` has what the translation tables tell."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one client moved from `start` up to `end`. `octets_in` came from the internet, `octets_out` went there.

    Spans may have any length (a minute, an hour, a day): the ledger rolls up as it likes, but never across a moment
    that `rules.cuts` names. A span that begins before a window counts in no part of it: a lower bound, so that nobody
    is blamed for a guess about when within the span it was.
    """

    start: datetime
    end: datetime
    octets_in: int
    octets_out: int
    estimate: bool = False
    """Shared out by sessions between several MACs behind one port, not counted."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """How full a translation table was."""

    at: datetime
    entries: int


@dataclass(frozen=True, slots=True)
class TableHistory:
    """One gateway's translation table. The last size is the present."""

    device: str
    sizes: tuple[TableSize, ...]
    limit: int | None = None
    """What the device says that it holds at most; None if it does not."""
    public_addresses: int | None = None
    """As many as the site says that it translates to, each with so many ports; None: nobody says."""


@dataclass(frozen=True, slots=True)
class LinkLoad:
    """The link to the internet that everybody shares. `in` is towards the clients; None if the load is not known."""

    device: str
    interface: str
    capacity_in_bps: int
    capacity_out_bps: int
    in_bps: float | None = None
    """Mean between the last two readings of the interface's counters."""
    out_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Connections:
    """How many new connections one source opened in the span that begins at `start`.

    When within the span is not known: of what is older than some days, not even the minute.
    """

    start: datetime
    count: int
    lasts: timedelta = timedelta(minutes=1)

    @property
    def end(self) -> datetime:
        return self.start + self.lasts


@dataclass(frozen=True, slots=True)
class RateSample:
    """An interface's mean rates from `start` up to `end`; `in` is what the interface received."""

    start: datetime
    end: datetime
    in_bps: float
    out_bps: float


@dataclass(frozen=True, slots=True)
class InterfaceRates:
    """One interface's `history`, an hour a sample, for four weeks or more, and how it is `now` (the last minutes)."""

    device: str
    interface: str
    history: tuple[RateSample, ...]
    now: RateSample | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One poll's evidence. Only `attribution` and `now` are needed; the rest is history, or comes from the site."""

    attribution: Attribution
    now: datetime
    streaks: Streaks = field(default_factory=dict)
    standing: tuple[Verdict, ...] = ()
    """Penalties in force."""
    past: tuple[PastPenalty, ...] = ()
    """Penalties that have ended: usage counts again from there."""
    tables: tuple[TableHistory, ...] = ()
    link: LinkLoad | None = None
    traffic: Mapping[ClientId, tuple[Traffic, ...]] = field(default_factory=dict)
    """Also of clients that are not here at the moment. A client that is missing has no known usage."""
    connections: Mapping[str, Mapping[Address, tuple[Connections, ...]]] = field(default_factory=dict)
    """Name of a log, or `nat` -> source -> its new connections. A minute without any has no entry."""
    registry: Mapping[Mac, str] | None = None
    """Registered MAC -> the person it belongs to. None: there is no registry, or it could not be read."""
    no_registry: str = ""
    """Why it could not be read."""
    first_seen: Mapping[Mac, datetime] = field(default_factory=dict)
    interfaces: tuple[InterfaceRates, ...] = ()
    destinations: tuple[Destination, ...] = ()
    """By sessions, most first; as many as the platform tells, those with most octets among them."""

    def streak(self, rule: Rule, client: ClientId) -> int:
        """Polls in a row over the threshold, before this one."""
        return self.streaks.get((rule.name, client), 0)

    def released(self, rule: Rule, client: ClientId) -> datetime | None:
        """When the client's last penalty of this rule ended."""
        return max((it.ended for it in self.past if (it.rule, it.client) == (rule.name, client)), default=None)

    def person(self, client: Client) -> str | None:
        """To whom the client is registered: by any of its MACs, else its own name (a VPN user)."""
        registered = (self.registry[mac] for mac in client.macs if self.registry and mac in self.registry)
        return next(registered, client.owner)


def traffic_since(spans: tuple[Traffic, ...], since: datetime) -> Iterator[Traffic]:
    """The spans that lie wholly after the moment."""
    return (span for span in spans if span.start >= since)


def age(now: datetime, then: datetime) -> timedelta:
    """Never negative, whatever two clocks think of each other."""
    return max(now - then, timedelta(0))
