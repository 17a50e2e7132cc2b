"""What a pass remembers: before it judges, everything that happened so far; when it has judged, what happened now.

`recall` writes nothing, so a dry run sees what the service would see: the history, and on top of it what this very
poll adds. `keep` then adds it for good. Both count on from the same books, so it does not matter how many processes
look, and only what was kept once is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from switchguard.core.accounting import Account, Books, account
from switchguard.core.evidence import (
    NAT,
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
from switchguard.core.model import Address, Attribution, Client, ClientId, Mac, Snapshot
from switchguard.core.penalties import PastPenalty
from switchguard.core.person import together
from switchguard.core.policy import Policy, Rule, SharedLink
from switchguard.core.rules import adds_up, connections, cuts, nat_pressure, unusual_traffic
from switchguard.core.rules.naughty_factor import factor
from switchguard.core.users import whose_now
from switchguard.edge.archive import Archive, Sample
from switchguard.edge.connection_log import Batch, ConnectionLog
from switchguard.edge.endings import Endings
from switchguard.edge.history import HOUR, POLL, History, Note, SeriesRow, UsageRow
from switchguard.edge.registry import Registered
from switchguard.edge.tails import Tail
from switchguard.edge.trails import Trails

RECENT = timedelta(minutes=15)
"""So far back everybody's traffic is told poll by poll."""
SIZES = nat_pressure.LONGEST_TREND
"""So far back the sizes of tables are told."""
NOW = timedelta(minutes=10)
"""An interface's rate now is the mean of this long."""
LINK_KNOWN = timedelta(minutes=5)
"""A link's rate that is older says nothing about its load."""
FULL_ENOUGH_S = 600
"""An hour of which less was measured is no sample."""
_MINUTE = timedelta(minutes=1)


@dataclass
class Memory:
    """The door of a pass to what is remembered. `tell` hears of logs and registries that cannot be read."""

    history: History
    archive: Archive
    tell: Callable[..., None]
    logs: Sequence[ConnectionLog] = ()
    registry: Registered | None = None
    endings: Endings = field(default_factory=Endings)
    _told: dict[str, str] = field(default_factory=dict)

    # --- before judging ----------------------------------------------------------------------------------------------

    @cached_property
    def trails(self) -> Trails:
        return Trails(self.history)

    def recall(
        self, policy: Policy, snapshot: Snapshot, attribution: Attribution, past: Sequence[PastPenalty]
    ) -> Evidence:
        """Everything but streaks and penalties, which the ledger itself knows."""
        now, people = attribution.at, self._people(policy)
        counted = self._count(self.history.books(), policy, snapshot, attribution)
        return Evidence(
            attribution,
            now,
            tables=self._tables(policy, snapshot, now),
            link=None if policy.link is None else self._link(policy.link, counted, now),
            traffic=self._traffic(policy, past, counted, now),
            connections=whose_now(self._connections(policy, attribution, people), snapshot),
            registry=people,
            no_registry=(self.registry and self.registry.why) or "",
            first_seen=self.archive.first_seen(_macs(attribution)),
            interfaces=self._interfaces(counted, now, back) if (back := compared(policy.rules)) else (),
            destinations=tuple(sorted(snapshot.destinations, key=lambda it: -it.sessions)),
        )

    def _traffic(
        self, policy: Policy, past: Sequence[PastPenalty], counted: Account, now: datetime
    ) -> Mapping[ClientId, tuple[Traffic, ...]]:
        edges = cuts(policy.rules, now)
        adding = {rule.name for rule in policy.rules if adds_up(rule)}
        ends = [it.ended for it in past if it.rule in adding and it.ended > edges[0]]
        found = {who: list(spans) for who, spans in self.archive.traffic([*edges, *ends], now - RECENT).items()}
        for moved in counted.moved:
            found.setdefault(moved.client, []).append(moved.traffic)
        return {client: tuple(spans) for client, spans in found.items()}

    def _link(self, link: SharedLink, counted: Account, now: datetime) -> LinkLoad:
        """As loaded as it was between the last two readings; not known if those are old. The interface faces the
        internet, so what it receives goes to the clients."""
        place = (link.device, link.interface)
        just_now = [Sample.of(it) for it in counted.metered if (it.device, it.interface) == place]
        before = self.archive.samples("rate", now - LINK_KNOWN, now).get(place, ())
        rate = _rate((just_now or before)[-1:]) if just_now or before else None
        return LinkLoad(
            link.device,
            link.interface,
            link.capacity_in_bps,
            link.capacity_out_bps,
            None if rate is None else rate.in_bps,
            None if rate is None else rate.out_bps,
        )

    def _tables(self, policy: Policy, snapshot: Snapshot, now: datetime) -> tuple[TableHistory, ...]:
        known = self.archive.samples("size", now - SIZES, now)
        return tuple(
            TableHistory(
                size.device,
                (
                    *(TableSize(it.end, it.a) for it in known.get((size.device, ""), ()) if it.end < snapshot.at),
                    TableSize(snapshot.at, size.entries),
                ),
                size.limit,
                policy.public_addresses.get(size.device),
            )
            for size in snapshot.nat_sizes
        )

    def _connections(
        self, policy: Policy, attribution: Attribution, people: Mapping[Mac, str] | None
    ) -> Mapping[str, Mapping[Address, tuple[Connections, ...]]]:
        """Only what some rule asks for. Clients are many: of them, only those who could be over a threshold, with all
        their addresses together."""
        now = attribution.at
        windows: dict[str, timedelta] = {}
        enough: dict[str, float] = {}
        for rule, params in _connection_rules(policy.rules):
            windows[params.log] = max(params.window, windows.get(params.log, params.window))
            least = rule.above if params.burst is None else min(rule.above, params.burst)
            enough[params.log] = min(least, enough.get(params.log, least))
        judged = together(attribution, people) if people and policy.identity.per_person else attribution
        whose = {address: client.identity for client in judged.clients for address in client.addresses}
        return {
            log: self.archive.opened(log, now - window, now, int(enough[log]) + 1 if log == NAT else 1, whose)
            for log, window in windows.items()
            if log == NAT or any(log == it.name for it in self.logs)
        }

    def _people(self, policy: Policy) -> Mapping[Mac, str] | None:
        """As the file is now, not as it was when the site was read."""
        if self.registry is None:
            return policy.registry
        people = self.registry.people()
        self._say("registry", self.registry.why)
        return people

    def _interfaces(self, counted: Account, now: datetime, back: timedelta) -> tuple[InterfaceRates, ...]:
        """Now is the last ten minutes, or the time since the last reading, if that is longer."""
        hours = self.archive.samples("rate", now - back, now, HOUR)
        recent = {place: list(samples) for place, samples in self.archive.samples("rate", now - NOW, now, POLL).items()}
        for it in counted.metered:
            recent.setdefault((it.device, it.interface), []).append(Sample.of(it))
        return tuple(
            InterfaceRates(
                device,
                interface,
                tuple(_rate([it]) for it in hours.get((device, interface), ()) if it.seconds >= FULL_ENOUGH_S),
                _rate(recent[device, interface]) if (device, interface) in recent else None,
            )
            for device, interface in sorted(hours.keys() | recent.keys())
        )

    # --- after judging -----------------------------------------------------------------------------------------------

    def keep(self, policy: Policy, snapshot: Snapshot, attribution: Attribution) -> None:
        """What this poll adds."""

        def count(before: Books) -> tuple[Books, Note]:
            counted = self._count(before, policy, snapshot, attribution)
            return counted.books, _note(before, counted, policy, snapshot, attribution)

        self.history.keep(count)
        self.endings.settled(self.history.books())
        self.trails.keep(snapshot.sights, attribution.at)

    def count_anew(self, now: datetime) -> None:
        """From the next reading on: the clock was set, and from then until now is no span that anything moved in."""
        self.history.keep(lambda _before: (Books(), Note(now)))
        self.endings.anew(now)

    def tidy(self, policy: Policy, past: Sequence[PastPenalty], now: datetime) -> int:
        """After a pass, when nobody waits: read what the logs have got, sum up, forget. How much there was to do."""
        for log in self.logs:
            self._read(log, policy, now)
        return self.history.tidy(now, edges(policy.rules, past, now))

    def _count(self, books: Books, policy: Policy, snapshot: Snapshot, attribution: Attribution) -> Account:
        link = policy.link
        meters = () if link is None else ((link.device, link.interface),)
        return account(books, snapshot, attribution, self.endings.since(books, snapshot), meters)

    def _read(self, log: ConnectionLog, policy: Policy, now: datetime) -> None:
        """A log that cannot be read is said once, until it can be read again."""
        window = max((it.window for _, it in _connection_rules(policy.rules) if it.log == log.name), default=None)
        since = now - (window or self.history.retention.minutes)
        mark = f"log {log.name}"
        spelled = self.history.mark(mark)
        bad, sample = 0, None
        try:
            for batch in log.news(None if spelled is None else Tail.read(spelled), since):
                self.history.add(Note(now, series=_opened(log.name, batch, since)), {mark: batch.tail.spelled()})
                bad, sample = bad + batch.bad, sample or batch.sample
        except OSError as error:
            self._say(mark, f"{log.file}: {error.strerror or error}")
            return
        self._say(mark, None)
        if bad:
            self.tell("lines that make no sense", log=log.name, lines=bad, first=sample)

    def _say(self, what: str, why: str | None) -> None:
        if why is not None and self._told.get(what) != why:
            self.tell("cannot be read", what=what, why=why)
        self._told[what] = why or ""


# --- notes -----------------------------------------------------------------------------------------------------------


def _note(before: Books, counted: Account, policy: Policy, snapshot: Snapshot, attribution: Attribution) -> Note:
    moved = [_moved_row(it.client, it.traffic) for it in counted.moved]
    used = list(_used_rows(before, counted.books, attribution.clients))
    named = {row.client for row in (*moved, *used)}
    people = {it.identity: (it.addresses, it.owner) for it in attribution.clients if it.identity in named}
    follow_nat = any(params.log == NAT for _, params in _connection_rules(policy.rules))
    series = [*_sizes(snapshot), *_rates(counted), *(_opened_by_clients(counted) if follow_nat else ())]
    return Note(attribution.at, [*moved, *used], series, people, _macs(attribution), cuts(policy.rules, attribution.at))


def _moved_row(client: ClientId, traffic: Traffic) -> UsageRow:
    span = traffic
    return UsageRow(client, span.start, span.end, span.octets_in, span.octets_out, span.estimate)


def _used_rows(before: Books, now: Books, clients: Iterable[Client]) -> Iterator[UsageRow]:
    """How everybody with sessions looked at this reading, in the span that it ends."""
    for client in clients:
        usage = client.usage
        old, new = (book.gateways.get(usage.device) if usage else None for book in (before, now))
        if usage is not None and old is not None and new is not None and new.began > old.began:
            rating = factor(usage).value
            yield UsageRow(
                client.identity,
                old.began,
                new.began,
                sessions=usage.sessions,
                remotes=usage.remotes,
                factor=rating,
            )


def _sizes(snapshot: Snapshot) -> Iterator[SeriesRow]:
    """Only those that this poll asked for."""
    fresh = {it.device: it.at for it in snapshot.readings if it.table == "nat_size" and it.at >= snapshot.at}
    for size in snapshot.nat_sizes:
        if (at := fresh.get(size.device)) is not None:
            limit = -1 if size.limit is None else size.limit
            yield SeriesRow("size", size.device, "", at, at, size.entries, limit)


def _rates(counted: Account) -> Iterator[SeriesRow]:
    for it in counted.metered:
        yield SeriesRow("rate", it.device, it.interface, it.start, it.end, it.octets.received, it.octets.sent)


def _opened_by_clients(counted: Account) -> Iterator[SeriesRow]:
    for it in counted.opened:
        yield SeriesRow("opened", NAT, str(it.address), it.start, it.end, it.sessions)


def _opened(log: str, batch: Batch, since: datetime) -> list[SeriesRow]:
    """What is older than anybody looks back is read over."""
    return [
        SeriesRow("opened", log, str(source), minute, minute + _MINUTE, count)
        for (source, minute), count in batch.counts.items()
        if minute >= since
    ]


def edges(rules: Iterable[Rule], past: Iterable[PastPenalty], now: datetime) -> list[datetime]:
    """Where a sum over time has to stop: at the ends of penalties too, of the rules that count what came after. Not of
    any other: a limit for everybody ends every other minute, and hours would never be summed."""
    known = tuple(rules)
    counting = {rule.name for rule in known if adds_up(rule) or rule.kind == connections.KIND}
    return [*cuts(known, now), *(it.ended for it in past if it.rule in counting)]


# --- small things ----------------------------------------------------------------------------------------------------


def _connection_rules(rules: Iterable[Rule]) -> Iterator[tuple[Rule, connections.Params]]:
    return ((rule, params_of(rule, connections.Params)) for rule in rules if rule.kind == connections.KIND)


def compared(rules: Iterable[Rule]) -> timedelta:
    """So far back an interface's hours are told: as far as any rule compares them; nothing if none does."""
    asking = (params_of(rule, unusual_traffic.Params) for rule in rules if rule.kind == unusual_traffic.KIND)
    return max((params.looks_back for params in asking), default=timedelta(0))


def _macs(attribution: Attribution) -> frozenset[Mac]:
    """Everybody's who is here, seen in whatever table."""
    clients = {mac for client in attribution.clients for mac in client.macs}
    return frozenset(clients | (attribution.sightings.keys() - attribution.infrastructure.keys()))


def _rate(samples: Sequence[Sample]) -> RateSample:
    seconds = sum(it.seconds for it in samples) or 1
    came, went = sum(it.a for it in samples), sum(it.b for it in samples)
    return RateSample(samples[0].start, samples[-1].end, came * 8 / seconds, went * 8 / seconds)
