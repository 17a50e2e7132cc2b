"""What the history remembers, as evidence: so that a policy can be asked what it would have done, without the tables.

Five minutes at a time. Of each client the history has octets, the most sessions and the highest naughty factor in that
time, and which addresses it had last; of everything else what is followed over time. Where a client was is not kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchguard.core.evidence import (
    Connections,
    Evidence,
    InterfaceRates,
    LinkLoad,
    RateSample,
    TableHistory,
    TableSize,
    Traffic,
)
from switchguard.core.keys import params_of
from switchguard.core.model import Address, Attribution, Client, ClientId, Mac
from switchguard.core.policy import Policy
from switchguard.core.rules import connections, cuts, nat_pressure
from switchguard.edge.archive import Archive, Sample, Used
from switchguard.edge.evidence import compared
from switchguard.edge.history import HOUR

STEP = timedelta(minutes=5)
SIZES = nat_pressure.LONGEST_TREND
_WHY = "the history does not tell where anybody was"

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Moment:
    """`evidence` without streaks and penalties, which depend on the policy; `used` in the minutes before."""

    evidence: Evidence
    used: Mapping[ClientId, Used]


def moments(archive: Archive, policy: Policy, since: datetime, until: datetime) -> Iterator[Moment]:
    """Oldest first; times in which nothing at all was kept are left out."""
    memory = _Memory.of(archive, policy, since, until)
    spans = _spans(archive, policy, since)
    traffic: dict[ClientId, list[Traffic]] = defaultdict(list)
    known: dict[ClientId, Used] = {}
    begins = since
    while begins < until:
        ends = min(begins + STEP, until)
        used = {it.client: it for it in archive.used(begins, ends)}
        known |= used
        present = dict(used)
        while spans and spans[-1][1].end <= ends:
            client, span = spans.pop()
            traffic[client].append(span)
            if client in known:  # of a span that began before this step, and counts from its end on
                present[client] = known[client]
        if present or memory.knows(begins, ends):
            yield Moment(memory.evidence(policy, present, traffic, begins, ends), used)
        begins = ends


def _spans(archive: Archive, policy: Policy, since: datetime) -> list[tuple[ClientId, Traffic]]:
    """What was moved since the windows of the rules began, as it was polled from `since` on; the newest first."""
    told = archive.traffic(cuts(policy.rules, since), since)
    spans = [(client, span) for client, spans in told.items() for span in spans]
    return sorted(spans, key=lambda it: (it[1].end, it[1].start), reverse=True)


@dataclass(frozen=True, slots=True)
class _Memory:
    """All that is followed over time, read once."""

    rates: Mapping[Place, Sequence[Sample]]
    hours: Mapping[Place, Sequence[Sample]]
    sizes: Mapping[Place, Sequence[Sample]]
    opened: Mapping[str, Mapping[Address, Sequence[Connections]]]
    first_seen: Mapping[Mac, datetime]

    @classmethod
    def of(cls, archive: Archive, policy: Policy, since: datetime, until: datetime) -> "_Memory":
        told = [params_of(it, connections.Params) for it in policy.rules if it.kind == connections.KIND]
        macs = {mac for it in archive.used(since, until) for mac in _macs(it.client)}
        return cls(
            rates=archive.samples("rate", since, until),
            hours=archive.samples("rate", since - compared(policy.rules), until, HOUR),
            sizes=archive.samples("size", since - SIZES, until),
            opened={it.log: archive.opened(it.log, since - it.window, until) for it in told},
            first_seen=archive.first_seen(macs),
        )

    def knows(self, begins: datetime, ends: datetime) -> bool:
        sources = (it for log in self.opened.values() for source in log.values() for it in source)
        return any(begins <= it.start < ends for it in sources) or any(
            begins < it.end <= ends for samples in (*self.rates.values(), *self.sizes.values()) for it in samples
        )

    def evidence(
        self,
        policy: Policy,
        used: Mapping[ClientId, Used],
        traffic: Mapping[ClientId, Sequence[Traffic]],
        begins: datetime,
        ends: datetime,
    ) -> Evidence:
        now = {place: rate for place, samples in self.rates.items() if (rate := _rate(samples, begins, ends))}
        return Evidence(
            Attribution(ends, tuple(_client(it) for it in used.values())),
            ends,
            tables=tuple(_tables(policy, self.sizes, ends)),
            link=_link(policy, self.rates, ends),
            traffic={client: tuple(spans) for client, spans in traffic.items()},
            connections={
                log: {source: tuple(it for it in them if it.start < ends) for source, them in sources.items()}
                for log, sources in self.opened.items()
            },
            registry=policy.registry,
            first_seen={mac: first for mac, first in self.first_seen.items() if first <= ends},
            interfaces=tuple(
                InterfaceRates(*place, tuple(_hours(self.hours.get(place, ()), ends)), rate)
                for place, rate in now.items()
            ),
        )


def _client(used: Used) -> Client:
    return Client(used.client, _macs(used.client), used.addresses, None, None, _WHY, used.owner)


def _macs(client: ClientId) -> tuple[Mac, ...]:
    sort, _, name = client.partition(":")
    return (Mac.parse(name),) if sort == "mac" else ()


def _rate(samples: Sequence[Sample], begins: datetime, ends: datetime) -> RateSample | None:
    """The mean of the spans that ended within."""
    chosen = [it for it in samples if begins < it.end <= ends and it.seconds]
    seconds = sum(it.seconds for it in chosen)
    if not seconds:
        return None
    came, went = (8 * sum(octets) / seconds for octets in ((it.a for it in chosen), (it.b for it in chosen)))
    return RateSample(chosen[0].start, chosen[-1].end, came, went)


def _hours(samples: Sequence[Sample], ends: datetime) -> Iterator[RateSample]:
    return (
        RateSample(it.start, it.end, it.a * 8 / it.seconds, it.b * 8 / it.seconds)
        for it in samples
        if it.end <= ends and it.seconds
    )


def _link(policy: Policy, rates: Mapping[Place, Sequence[Sample]], ends: datetime) -> LinkLoad | None:
    """As loaded as it was between the last two readings."""
    link = policy.link
    if link is None:
        return None
    before = [it for it in rates.get((link.device, link.interface), ()) if it.end <= ends]
    rate = _rate(before[-1:], ends - STEP, ends)
    load = (None, None) if rate is None else (rate.in_bps, rate.out_bps)
    return LinkLoad(link.device, link.interface, link.capacity_in_bps, link.capacity_out_bps, *load)


def _tables(policy: Policy, sizes: Mapping[Place, Sequence[Sample]], ends: datetime) -> Iterator[TableHistory]:
    for (device, _), samples in sizes.items():
        known = [it for it in samples if ends - SIZES < it.end <= ends]
        if known:
            limit = known[-1].b if known[-1].b >= 0 else None
            yield TableHistory(
                device, tuple(TableSize(it.end, it.a) for it in known), limit, policy.public_addresses.get(device)
            )
