"""Counters of single clients, as a gateway may keep them -> who moved how much between two readings of them.

They only grow until the gateway restarts or forgets an idle client; one that is lower than before has begun anew, and
all of it is new. An address that changed hands in between is nobody's for that time. A gateway whose clients are
counted like this is counted by nothing else at the same time (accounting.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from switchguard.core.evidence import Traffic
from switchguard.core.model import Address, ClientId, ClientOctets, Snapshot

Holders = Callable[[str], Mapping[Address, ClientId | None]]
"""Gateway -> whose each address is."""


@dataclass(frozen=True, slots=True)
class CounterBook:
    """One gateway's counters at their last reading: (holder, octets to them, octets from them)."""

    at: datetime
    totals: Mapping[Address, tuple[ClientId | None, int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    books: Mapping[str, CounterBook]
    moved: tuple[tuple[ClientId, Traffic], ...] = ()
    gateways: frozenset[str] = frozenset()
    """Those that count now and did before: their translation tables need not tell octets."""

    @property
    def addresses(self) -> frozenset[Address]:
        """Of clients who are counted."""
        return frozenset(address for name in self.gateways for address in self.books[name].totals)


def count_clients(books: Mapping[str, CounterBook], snapshot: Snapshot, holders: Holders) -> Counted:
    """A gateway whose counters could not be read keeps its page, and counts no more until they can."""
    rows: dict[str, list[ClientOctets]] = {}
    for row in snapshot.client_octets:
        rows.setdefault(row.device, []).append(row)
    read = {reading.device: reading.at for reading in snapshot.readings if reading.table == "octets"}
    pages = {name: _page(at, rows.get(name, ()), holders(name)) for name, at in read.items()}
    moved = [item for name, page in pages.items() if name in books for item in _moved(books[name], page)]
    return Counted({**books, **pages}, tuple(moved), frozenset(books.keys() & pages.keys()))


def _page(at: datetime, rows: Iterable[ClientOctets], holders: Mapping[Address, ClientId | None]) -> CounterBook:
    return CounterBook(at, {row.address: (holders.get(row.address), row.octets_in, row.octets_out) for row in rows})


def _moved(before: CounterBook, now: CounterBook) -> Iterator[tuple[ClientId, Traffic]]:
    if now.at <= before.at:
        return
    for address, (holder, came, went) in now.totals.items():
        owner, had_come, had_gone = before.totals.get(address, (holder, 0, 0))
        if holder is None or owner != holder:
            continue
        anew = came < had_come or went < had_gone
        octets_in, octets_out = (came, went) if anew else (came - had_come, went - had_gone)
        if octets_in or octets_out:
            yield holder, Traffic(before.at, now.at, octets_in, octets_out)
