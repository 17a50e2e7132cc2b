"""Translations one by one -> one summary per inside address, without keeping the translations.

For tables that come as text for people, whose rows may lack anything; `_nat_columns` is for the large ones. What is
kept grows with the variety of a table, not with its length. Both hash remote addresses alike (`_nat_columns` has the
definition), so that the sketches of clients of two gateways compare and unite, whatever the gateways are.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from ipaddress import ip_address
from itertools import accumulate
from typing import NamedTuple

from switchguard.core.model import NatUsage, Network

from ._nat_columns import ACTIVE_WITHIN_S, HIGH_PORT, SKETCH_SIZE

_64_BITS = (1 << 64) - 1


class Entry(NamedTuple):
    """One translation. Addresses packed; None where the platform does not tell."""

    local: bytes
    protocol: str
    remote: bytes | None
    remote_port: int | None
    """Of tcp and udp only."""
    unanswered: bool | None = None
    idle_s: float | None = None
    age_s: float | None = None
    octets: tuple[int, int] | None = None
    """From the client, to the client."""


@dataclass(slots=True)
class _Tally:
    protocols: Counter[str] = field(default_factory=Counter)
    ports: Counter[int] = field(default_factory=Counter)
    remotes: set[bytes] = field(default_factory=set)
    answers: Counter[bool] = field(default_factory=Counter)
    idle_s: Counter[float] = field(default_factory=Counter)
    newest_s: float | None = None
    oldest_s: float | None = None
    octets: tuple[int, int] | None = None

    def add(self, entry: Entry) -> None:
        self.protocols[entry.protocol] += 1
        if entry.remote_port is not None:
            self.ports[entry.remote_port] += 1
        if entry.remote is not None:
            self.remotes.add(entry.remote)
        if entry.unanswered is not None:
            self.answers[entry.unanswered] += 1
        if entry.idle_s is not None:
            self.idle_s[entry.idle_s] += 1
        if entry.age_s is not None:
            self.newest_s = entry.age_s if self.newest_s is None else min(self.newest_s, entry.age_s)
            self.oldest_s = entry.age_s if self.oldest_s is None else max(self.oldest_s, entry.age_s)
        if entry.octets is not None:
            sent, received = self.octets or (0, 0)
            self.octets = sent + entry.octets[0], received + entry.octets[1]


class Tallies:
    """Adds up translations. `inside`: the clients' networks, where somebody said so; other rows are nobody's."""

    def __init__(self, inside: Sequence[Network] = ()) -> None:
        self._inside = inside
        self._tallies: dict[bytes, _Tally] = {}
        self._foreign: set[bytes] = set()
        self.entries = self.not_clients = 0

    def add(self, entry: Entry) -> None:
        self.entries += 1
        tally = self._tallies.get(entry.local)
        if tally is None:
            if entry.local in self._foreign or not _within(entry.local, self._inside):
                self._foreign.add(entry.local)
                self.not_clients += 1
                return
            tally = self._tallies[entry.local] = _Tally()
        tally.add(entry)

    def add_nobodys(self) -> None:
        """A row that is no client's session."""
        self.entries += 1
        self.not_clients += 1

    def usages(self, device: str, ahead_s: float = 0.0) -> tuple[NatUsage, ...]:
        """Sorted by address. `ahead_s` is taken off every idle time and age: how far ahead the clock was by which they
        were computed."""
        return tuple(_usage(device, local, tally, ahead_s) for local, tally in sorted(self._tallies.items()))


def summarize(device: str, entries: Iterable[Entry]) -> tuple[NatUsage, ...]:
    """Sorted by address."""
    tallies = Tallies()
    for entry in entries:
        tallies.add(entry)
    return tallies.usages(device)


def hash_of(address: bytes) -> int:
    """The hash of `_nat_columns` for one address, packed."""
    number = int.from_bytes(address)
    return _mix(number) if len(address) == 4 else _mix(_mix(number >> 64) + number & _64_BITS)


def _mix(number: int) -> int:
    z = number + 0x9E3779B97F4A7C15 & _64_BITS
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _64_BITS
    return z ^ z >> 31


def _within(local: bytes, networks: Collection[Network]) -> bool:
    return not networks or any(ip_address(local) in network for network in networks)


def _usage(device: str, local: bytes, tally: _Tally, ahead_s: float) -> NatUsage:
    sessions = tally.protocols.total()
    top_port, top_sessions = min(tally.ports.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
    idle_s = {max(idle - ahead_s, 0.0): count for idle, count in tally.idle_s.items()}
    timed = sum(idle_s.values())
    return NatUsage(
        device,
        ip_address(local),
        sessions,
        remotes=len(tally.remotes),
        remote_ports=len(tally.ports),
        tcp_share=tally.protocols["tcp"] / sessions,
        udp_share=tally.protocols["udp"] / sessions,
        unanswered_share=tally.answers[True] / tally.answers.total() if tally.answers else None,
        high_port_share=sum(count for port, count in tally.ports.items() if port > HIGH_PORT) / sessions,
        active_share=sum(n for idle, n in idle_s.items() if idle < ACTIVE_WITHIN_S) / timed if timed else None,
        median_idle_s=_median(idle_s) if timed else None,
        bytes_out=tally.octets[0] if tally.octets else None,
        bytes_in=tally.octets[1] if tally.octets else None,
        oldest_s=None if tally.oldest_s is None else max(tally.oldest_s - ahead_s, 0.0),
        newest_s=None if tally.newest_s is None else max(tally.newest_s - ahead_s, 0.0),
        sketch=tuple(nsmallest(SKETCH_SIZE, (hash_of(remote) for remote in tally.remotes))),
        top_port=top_port,
        top_port_share=top_sessions / sessions if top_port is not None else None,
    )


def _median(counts: dict[float, int]) -> float:
    """Of values that each occur so often."""
    values = sorted(counts)
    upto = list(accumulate(counts[value] for value in values))
    lower, upper = (next(v for v, n in zip(values, upto, strict=True) if n > at) for at in _middle(upto[-1]))
    return (lower + upper) / 2


def _middle(rows: int) -> tuple[int, int]:
    return (rows - 1) // 2, rows // 2
