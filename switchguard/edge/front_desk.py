"""What the landing page asks the ledger: what stands against an address, and please let it back.

The service writes down after every pass whom each address means (`Faces`); the page reads that, in another process.
It talks to no device: what is lifted here is taken off its device by the service's next pass, with every safeguard.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchguard.core.model import Address
from switchguard.core.penalties import Notify
from switchguard.core.policy import Policy
from switchguard.core.visitors import Case, Faces, Known, Landing, State, let_back, liftable, names
from switchguard.edge.ledger import PenaltyRecord, SqlLedger

TOO_OLD = timedelta(minutes=15)
"""Addresses that the service has not looked at for this long, or for three times the period of its polls if that is
longer, may be somebody else's by now: the page then says nothing about anybody."""


@dataclass(frozen=True, slots=True)
class FrontDesk:
    ledger: SqlLedger
    policy: Policy
    landing: Landing
    period: timedelta
    """Between two polls of the service."""
    clock: Callable[[], datetime]

    def find(self, address: Address) -> Known | None:
        """None if nobody can say: the service has not looked lately. LedgerError if the ledger cannot be read."""
        seen = self.ledger.faces()
        if seen is None or self.clock() - seen.at > max(TOO_OLD, 3 * self.period):
            return None
        return self._known(seen, address)

    def let_back(self, address: Address) -> bool:
        """Whether the visitor is let back, by this press or by one just before. LedgerError if the ledger cannot be
        written."""
        granted, known = self.landing.let_me_back, self.find(address)
        if granted is None or known is None:
            return False
        now = self.clock()
        releases, watched = let_back(known.cases, self.policy, granted, now)
        if not releases:
            return any(case.state == "ending" for case in known.cases)
        who = f"whoever is at {address}"
        return self.ledger.let_back(releases, watched, who, now, granted.per_day)

    def _known(self, seen: Faces, address: Address) -> Known:
        meant = seen.of(address)
        records = self.ledger.records(meant, seen.at)
        concerned = [it for it in records if it.verdict.id in meant or names(it.verdict, address)]
        cases = tuple(self._cases(concerned))
        return Known(seen.at, cases, self._wishes(cases))

    def _cases(self, records: list[PenaltyRecord]) -> Iterator[Case]:
        """Nothing is told of what is only observed: no device does it."""
        kinds = {rule.name: rule.kind for rule in self.policy.rules}
        for record in records:
            if (state := _state(record)) is not None:
                yield Case(record.verdict, kinds.get(record.verdict.rule, ""), state)

    def _wishes(self, cases: tuple[Case, ...]) -> int | None:
        granted, now = self.landing.let_me_back, self.clock()
        if granted is None or not any(map(liftable, cases)):
            return None
        releases, _ = let_back(cases, self.policy, granted, now)
        return max(0, granted.per_day - self.ledger.wishes(releases, now))


def _state(record: PenaltyRecord) -> State | None:
    if record.released_at is not None:
        return "ending" if record.slots else None
    if isinstance(record.verdict.penalty, Notify):
        return "told"
    return "in force" if record.slots else None
