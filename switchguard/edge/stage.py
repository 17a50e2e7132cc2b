"""A recorded evening as a world for the passes: a clock, devices that do as they are told, a ledger in memory.

What is remembered and written down goes through the same history and ledger as in the service, only that they are
gone afterwards. The recording does not know of the penalties: who would have been blocked goes on as recorded.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from switchguard.core.changes import Enforced, Outcome, Plan, Slot
from switchguard.core.evidence import Connections, InterfaceRates
from switchguard.core.model import Address, Gap, Snapshot, Table
from switchguard.core.penalties import Penalty
from switchguard.core.policy import Policy
from switchguard.core.refresh import refresh
from switchguard.edge.archive import Archive
from switchguard.edge.connection_log import ConnectionLog
from switchguard.edge.evening import Evening
from switchguard.edge.evidence import Memory, edges
from switchguard.edge.history import History, Note, Retention, SeriesRow
from switchguard.edge.ledger import SqlLedger

PLACES: frozenset[Table] = frozenset({"arp", "fdb", "links", "interfaces"})
TIDY_EVERY = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


def _nobody_listens(_event: str, **_facts: object) -> None:
    return


class Stage:
    """`turn` goes from look to look; everything else is as it is at the present one."""

    def __init__(self, evening: Evening, policy: Policy, logs: Sequence[ConnectionLog], retention: Retention) -> None:
        self._evening, self._policy = evening, policy
        self._now = evening.looks[0].at
        self._seen: Snapshot | None = None
        self.ledger = SqlLedger("sqlite://", self.clock)
        history = History(self.ledger.store, retention, policy.zone)
        self.memory = Memory(history, Archive(self.ledger.store), _nobody_listens, logs)

    def clock(self) -> datetime:
        return self._now

    def turn(self) -> Iterator[datetime]:
        """Every look, oldest first."""
        self._before_the_evening()
        log, tidied = self._log_lines(), self._now
        for look in self._evening.looks:
            self._now = look.at
            self._seen = refresh(self._seen, look)
            self.memory.history.add(Note(look.at, series=log(look.at)), {})
            yield look.at
            if look.at - tidied >= TIDY_EVERY:
                self._tidy()
                tidied = look.at

    # --- the doors of a pass -----------------------------------------------------------------------------------------

    def gather(self, _tables: Collection[Table]) -> Snapshot:
        """Everything known by now. Places that were not read anew count as if they had been: nothing moved."""
        seen = self._seen or self._evening.looks[0]
        readings = (replace(it, at=seen.at) if it.table in PLACES else it for it in seen.readings)
        return replace(seen, readings=tuple(readings))

    def enforced(self, names: Collection[str]) -> Mapping[str, Enforced | Gap]:
        """What was put there holds."""
        by_device: dict[str, dict[Slot, Penalty]] = {name: {} for name in names}
        for held in self.ledger.held():
            by_device.setdefault(held.slot.device, {})[held.slot] = held.penalty
        return by_device

    def apply(self, plan: Plan) -> tuple[Outcome, ...]:
        """Everything works at once."""
        outcomes = tuple(Outcome(change, "verified", "", None, 0.0) for change in plan.changes)
        self.ledger.intend(plan)
        self.ledger.record(outcomes, self._now)
        return outcomes

    # --- what is remembered ------------------------------------------------------------------------------------------

    def _before_the_evening(self) -> None:
        rates = [row for it in self._evening.interfaces for row in _hours(it)]
        self.memory.history.add(Note(self._now, series=rates), {})
        for since in sorted(set(self._evening.first_seen.values())):
            macs = [mac for mac, first in self._evening.first_seen.items() if first == since]
            self.memory.history.add(Note(since, macs=macs), {})
        self._tidy()

    def _tidy(self) -> None:
        """As the service does after its passes, until nothing is left to do."""
        past = self.ledger.past(self._now - timedelta(days=32))
        while self.memory.history.tidy(self._now, edges(self._policy.rules, past, self._now)):
            pass

    def _log_lines(self) -> Callable[[datetime], list[SeriesRow]]:
        """What the logs say that was not told before."""
        lines = sorted(
            ((log, source, it) for log, sources in self._evening.connections.items() for source, it in _flat(sources)),
            key=lambda line: (line[2].start, line[0], str(line[1])),
        )
        told = 0

        def until(moment: datetime) -> list[SeriesRow]:
            nonlocal told
            first = told
            while told < len(lines) and lines[told][2].start + _MINUTE <= moment:
                told += 1
            return [
                SeriesRow("opened", log, str(source), it.start, it.start + _MINUTE, it.count)
                for log, source, it in lines[first:told]
            ]

        return until


def _flat(sources: Mapping[Address, Sequence[Connections]]) -> Iterator[tuple[Address, Connections]]:
    return ((source, it) for source, connections in sources.items() for it in connections)


def _hours(interface: InterfaceRates) -> Iterator[SeriesRow]:
    for it in interface.history:
        seconds = (it.end - it.start).total_seconds()
        came, went = round(it.in_bps * seconds / 8), round(it.out_bps * seconds / 8)
        yield SeriesRow("rate", interface.device, interface.interface, it.start, it.end, came, went)
