"""Translations one by one -> one summary per inside address, without keeping the translations.

For tables that come as text for people, a few ten thousand rows at most, whose rows may lack anything; `_nat_columns`
is for the large ones. Both hash remote addresses alike, so that the sketches of clients of two gateways compare.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nsmallest
from ipaddress import ip_address
from statistics import median
from typing import NamedTuple

from switchguard.core.model import NatUsage

from ._nat_columns import ACTIVE_WITHIN_S, HIGH_PORT, SKETCH_SIZE

_64_BITS = (1 << 64) - 1


class Entry(NamedTuple):
    """One translation. IPv4 addresses packed; None where the platform does not tell."""

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
    idle_s: list[float] = field(default_factory=list)
    age_s: list[float] = field(default_factory=list)
    octets: list[tuple[int, int]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.protocols[entry.protocol] += 1
        if entry.remote_port is not None:
            self.ports[entry.remote_port] += 1
        if entry.remote is not None:
            self.remotes.add(entry.remote)
        if entry.unanswered is not None:
            self.answers[entry.unanswered] += 1
        if entry.idle_s is not None:
            self.idle_s.append(entry.idle_s)
        if entry.age_s is not None:
            self.age_s.append(entry.age_s)
        if entry.octets is not None:
            self.octets.append(entry.octets)


def summarize(device: str, entries: Iterable[Entry]) -> tuple[NatUsage, ...]:
    """Sorted by address."""
    tallies: dict[bytes, _Tally] = {}
    for entry in entries:
        tallies.setdefault(entry.local, _Tally()).add(entry)
    return tuple(_usage(device, local, tally) for local, tally in sorted(tallies.items()))


def _usage(device: str, local: bytes, tally: _Tally) -> NatUsage:
    sessions = tally.protocols.total()
    top_port, top_sessions = min(tally.ports.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
    idle_s, age_s, octets = tally.idle_s, tally.age_s, tally.octets
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
        active_share=sum(idle < ACTIVE_WITHIN_S for idle in idle_s) / len(idle_s) if idle_s else None,
        median_idle_s=median(idle_s) if idle_s else None,
        bytes_out=sum(sent for sent, _ in octets) if octets else None,
        bytes_in=sum(received for _, received in octets) if octets else None,
        oldest_s=max(age_s, default=None),
        newest_s=min(age_s, default=None),
        sketch=tuple(nsmallest(SKETCH_SIZE, (_hash(remote) for remote in tally.remotes))),
        top_port=top_port,
        top_port_share=top_sessions / sessions if top_port is not None else None,
    )


def _hash(address: bytes) -> int:
    """SplitMix64's finaliser of an IPv4 address as a number, as in `_nat_columns.mix`."""
    z = int.from_bytes(address) + 0x9E3779B97F4A7C15 & _64_BITS
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _64_BITS
    return z ^ z >> 31
