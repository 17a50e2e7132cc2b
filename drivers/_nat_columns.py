"""Columns of a translation table -> one summary per inside address, a batch of rows at a time, no object per row.

Kept between batches are sums per inside address and the *distinct* (address, remote), (address, remote port) and
(address, idle time) pairs with their counts, so that memory follows the variety of a table, not its length.

The sketch of a remote set is bottom-k (Cohen and Kaplan, 2007): the `SKETCH_SIZE` smallest values of a 64-bit hash.
With k hashes below h, the set has about (k - 1) * 2**64 / h members; of two sets, the share of common values among
the k smallest of their union estimates |A and B| / |A or B|. The hash is the finaliser of SplitMix64 (Steele, Lea and
Flood, 2014) of the address as a number; an IPv6 address is first folded to `mix(high) + low`. Distinct IPv6 addresses
are told apart by that fold: in a table with a million of them, two fall together with a probability of 3e-8. This is
the hash of every sketch, whichever reader made it (`_nat_tally.hash_of` is the same for one address), so that sketches
of several gateways can be united.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from switchguard.core.model import Address, Destination, NatUsage

from ._nat_destinations import Destinations
from ._sorted_columns import added_up, united

Unsigned = NDArray[np.uint64]
Signed = NDArray[np.int64]
Flags = NDArray[np.bool_]

ACTIVE_WITHIN_S = 60
HIGH_PORT = 1024
SKETCH_SIZE = 64
UNKNOWN = -1
"""In `Batch`: a port, idle time, age or octet count that the row does not tell."""
_RECENT_BITS = 14
_FOLD_AT = 1 << 21
"""Pairs that may wait before equal ones are counted together: 16 MB."""
_SKETCHED_AT_ONCE = 1 << 16
"""Pairs whose hashes are looked at together: they then fit the caches."""


@dataclass(frozen=True, slots=True)
class Inet:
    """A column of addresses: the number of an IPv4 address, or the two halves of an IPv6 address."""

    low: Unsigned
    high: Unsigned | None = None

    def keys(self) -> Unsigned:
        """One number for each address; equal addresses have equal keys."""
        return self.low if self.high is None else mix(self.high) + self.low

    def at(self, rows: NDArray[np.int64]) -> "Inet":
        return Inet(self.low[rows], None if self.high is None else self.high[rows])

    def put(self, rows: NDArray[np.int64], others: "Inet") -> "Inet":
        """These addresses, with others in some rows."""
        low, high = self.low.copy(), None if self.high is None else self.high.copy()
        low[rows] = others.low
        if high is not None and others.high is not None:
            high[rows] = others.high
        return Inet(low, high)

    def where(self, chosen: Flags, other: "Inet") -> "Inet":
        """These addresses, but the other's where not chosen."""
        if self.high is None or other.high is None:
            return Inet(np.where(chosen, self.low, other.low))
        return Inet(np.where(chosen, self.low, other.low), np.where(chosen, self.high, other.high))

    def addresses(self) -> list[Address]:
        if self.high is None:
            return [IPv4Address(number) for number in self.low.tolist()]
        pairs = zip(self.high.tolist(), self.low.tolist(), strict=True)
        return [IPv6Address(high << 64 | low) for high, low in pairs]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a translation table, all of one address family. Times in seconds, traffic in octets."""

    client: Inet
    remote: Inet
    port: Signed
    tcp: Flags
    udp: Flags
    translated: Flags
    """Whether the row changes an address."""
    unanswered: Flags
    idle: Signed
    sent: Signed
    received: Signed
    age: Signed

    def at(self, rows: NDArray[np.int64]) -> "Batch":
        return Batch(**some_rows(self, rows))


def some_rows(columns: Any, rows: NDArray[np.int64]) -> dict[str, Any]:
    """The fields of a dataclass of columns, for some of the rows."""
    values = {field_.name: getattr(columns, field_.name) for field_ in fields(columns)}
    return {name: value.at(rows) if isinstance(value, Inet) else value[rows] for name, value in values.items()}


def mix(number: Unsigned) -> Unsigned:
    """SplitMix64's finaliser: a bijection in which every input bit moves every output bit."""
    z = number + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


class Register:
    """Numbers addresses, and remembers them. A few thousand recent ones are found without sorting."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.uint64)
        self._numbers = np.zeros(0, np.int64)
        self._recent_keys = np.zeros(1 << _RECENT_BITS, np.uint64)
        self._recent_numbers = np.full(1 << _RECENT_BITS, -1)
        self._parts: list[Inet] = []
        self.size = 0

    def numbers(self, inet: Inet) -> Signed:
        keys = inet.keys()
        places = (mix(keys) >> np.uint64(64 - _RECENT_BITS)).astype(np.int64)
        numbers = self._recent_numbers[places]
        missing = np.flatnonzero((self._recent_keys[places] != keys) | (numbers < 0))
        if missing.size:
            numbers[missing] = self._looked_up(inet.at(missing))
            self._recent_keys[places[missing]] = keys[missing]
            self._recent_numbers[places[missing]] = numbers[missing]
        return numbers

    def _looked_up(self, inet: Inet) -> Signed:
        keys = inet.keys()
        order = np.argsort(keys)
        keys = keys[order]
        starts = np.concatenate([[True], keys[1:] != keys[:-1]])
        keys, one_of_each = keys[starts], order[starts]
        slots = np.searchsorted(self._keys, keys)
        known = self._keys.take(slots, mode="clip") == keys if self._keys.size else np.zeros(keys.size, bool)
        assigned = np.empty(keys.size, np.int64)
        assigned[known] = self._numbers[slots[known]]
        new = np.flatnonzero(~known)
        if new.size:
            assigned[new] = np.arange(self.size, self.size + new.size)
            self._keys, (self._numbers,) = united(self._keys, [self._numbers], keys[new], [assigned[new]])
            self._parts.append(inet.at(one_of_each[new]))
            self.size += new.size
        numbered = np.empty(order.size, np.int64)
        numbered[order] = assigned[np.cumsum(starts) - 1]
        return numbered

    def inet(self) -> Inet:
        """All of them, by number."""
        low = np.concatenate([np.zeros(0, np.uint64), *(part.low for part in self._parts)])
        halves = [part.high for part in self._parts if part.high is not None]
        return Inet(low, np.concatenate(halves) if halves else None)


class Counts:
    """Pairs (client number, small number below 2**32) and how often each occurred."""

    def __init__(self) -> None:
        self._keys, self._counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self._waiting: list[Unsigned] = []
        self._size = 0

    def add(self, client: Signed, number: Unsigned) -> None:
        self._waiting.append(client.astype(np.uint64) << np.uint64(32) | number)
        self._size += len(client)
        if self._size >= _FOLD_AT:
            self._fold()

    def _fold(self) -> None:
        keys, counts, _ = added_up(np.concatenate(self._waiting), [])
        self._waiting, self._size = [], 0
        self._keys, (self._counts,) = united(self._keys, [self._counts], keys, [counts])

    def by_client(self, clients: int) -> tuple[Signed, Unsigned, Signed]:
        """Where each client's part begins (one more at the end), the numbers in ascending order, their counts. Once:
        nothing is kept."""
        if self._waiting:
            self._fold()
        keys, counts = self._keys, self._counts
        self._keys, self._counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        begins = np.searchsorted(keys, np.arange(clients + 1, dtype=np.uint64) << np.uint64(32))
        return begins, keys & np.uint64(0xFFFFFFFF), counts


@dataclass
class Tally:
    """Adds up batches of one address family. `usages` may be asked once, at the end."""

    clients: Register = field(default_factory=Register)
    remotes: Register | None = None
    """IPv6 remotes are numbered, because a pair holds 32 bits of them; an IPv4 address is its own number."""
    pairs: Counts = field(default_factory=Counts)
    ports: Counts = field(default_factory=Counts)
    idle: Counts = field(default_factory=Counts)
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """By client. Sums of octets stay exact below 2**53: eight petabytes."""
    oldest: Signed = field(default_factory=lambda: np.zeros(0, np.int64))
    newest: Signed = field(default_factory=lambda: np.zeros(0, np.int64))
    destinations: Destinations = field(default_factory=Destinations)

    def add(self, batch: Batch) -> None:
        self.destinations.add(batch)
        client = self.clients.numbers(batch.client)
        self.pairs.add(client, self._remote_numbers(batch.remote))
        has_port, told = np.flatnonzero(batch.port >= 0), np.flatnonzero(batch.idle >= 0)
        self.ports.add(client[has_port], batch.port[has_port].astype(np.uint64))
        self.idle.add(client[told], batch.idle[told].astype(np.uint64))
        self._sum("sessions", client)
        self._sum("tcp", client[batch.tcp])
        self._sum("udp", client[batch.udp])
        self._sum("unanswered", client[batch.unanswered])
        self._sum("translated", client[batch.translated])
        self._sum("high", client[batch.port > HIGH_PORT])
        self._sum("timed", client[told])
        self._sum("active", client[told][batch.idle[told] < ACTIVE_WITHIN_S])
        for name, octets in (("sent", batch.sent), ("received", batch.received)):
            counted = np.flatnonzero(octets >= 0)
            self._sum(f"{name} told", client[counted])
            self._sum(name, client[counted], octets[counted])
        self._age(client, batch.age)

    def _remote_numbers(self, remote: Inet) -> Unsigned:
        if remote.high is None:
            return remote.low
        self.remotes = self.remotes or Register()
        return self.remotes.numbers(remote).astype(np.uint64)

    def _sum(self, name: str, client: Signed, amounts: Signed | None = None) -> None:
        added = np.bincount(client, amounts, minlength=self.clients.size).astype(np.float64)
        before = self.sums.get(name)
        if before is not None:
            added[: before.size] += before
        self.sums[name] = added

    def _age(self, client: Signed, age: Signed) -> None:
        new = self.clients.size - len(self.oldest)
        self.oldest = np.concatenate([self.oldest, np.full(new, UNKNOWN)])
        self.newest = np.concatenate([self.newest, np.full(new, np.iinfo(np.int64).max)])
        told = np.flatnonzero(age >= 0)
        if told.size:
            np.maximum.at(self.oldest, client[told], age[told])
            np.minimum.at(self.newest, client[told], age[told])

    def __len__(self) -> int:
        """How many clients."""
        return self.clients.size

    def any(self, name: str) -> bool:
        return bool(self.sums.get(name, np.zeros(1)).any())

    def take_destinations(self, device: str) -> tuple[Destination, ...]:
        """Once: then they are forgotten, for what comes next needs the memory."""
        told = self.destinations.told(device)
        self.destinations = Destinations()
        return told

    def usages(self, device: str, left_out: Callable[[Address, bool], bool]) -> tuple[list[NatUsage], int]:
        """Summaries of all clients but those `left_out(address, ever translated)`, and the sessions of the latter."""
        columns = self._columns()
        in_order = [columns[field_.name] for field_ in fields(NatUsage)[2:]]
        translated = (self.sums["translated"] > 0).tolist()
        kept, others = [], 0
        for address, was, *values in zip(self.clients.inet().addresses(), translated, *in_order, strict=True):
            usage = NatUsage(device, address, *values)
            if left_out(address, was):
                others += usage.sessions
            else:
                kept.append(usage)
        return kept, others

    def _columns(self) -> dict[str, list[Any]]:
        """The fields of NatUsage, by client."""
        total = {name: values.astype(np.int64).tolist() for name, values in self.sums.items()}
        sessions = total["sessions"]

        def share(part: str, whole: str = "sessions") -> list[float | None]:
            return [p / w if w else None for p, w in zip(total[part], total[whole], strict=True)]

        def known(name: str) -> list[int | None]:
            return [v if told else None for v, told in zip(total[name], total[f"{name} told"], strict=True)]

        def aged(values: Signed) -> list[float | None]:
            return [float(v) if v0 >= 0 else None for v, v0 in zip(values.tolist(), self.oldest.tolist(), strict=True)]

        remotes, sketches = self._remote_sets()
        ports, top_port, top_count = self._port_sets()
        return {
            "sessions": sessions,
            "remotes": remotes,
            "remote_ports": ports,
            "tcp_share": share("tcp"),
            "udp_share": share("udp"),
            "unanswered_share": share("unanswered"),
            "high_port_share": share("high"),
            "active_share": share("active", "timed"),
            "median_idle_s": self._median_idle(),
            "bytes_out": known("sent"),
            "bytes_in": known("received"),
            "oldest_s": aged(self.oldest),
            "newest_s": aged(self.newest),
            "sketch": sketches,
            "top_port": top_port,
            "top_port_share": [c / s if c else None for c, s in zip(top_count, sessions, strict=True)],
        }

    def _remote_sets(self) -> tuple[list[int], list[tuple[int, ...]]]:
        """How many distinct remotes each client has, and the sketch of the set.

        Only hashes that can be among the smallest are sorted: of n random ones, those below 4 * k / n."""
        begins, numbers, _ = self.pairs.by_client(self.clients.size)
        remotes = None if self.remotes is None else self.remotes.inet().keys()
        sketches: list[tuple[int, ...]] = []
        for some in _slices(begins, _SKETCHED_AT_ONCE):
            own = numbers[some[0] : some[-1]]
            hashes = mix(own if remotes is None else remotes[own.astype(np.int64)])
            sketches += _sketches(hashes, np.diff(some))
        return np.diff(begins).tolist(), sketches

    def _port_sets(self) -> tuple[list[int], list[int | None], list[int]]:
        """Distinct remote ports, the most frequent one (the lowest of several), and how often it occurs."""
        begins, ports, counts = self.ports.by_client(self.clients.size)
        sizes = np.diff(begins)
        best = np.zeros(self.clients.size, np.int64)
        if ports.size:
            ranked = counts << 16 | 65535 - ports.astype(np.int64)
            best[sizes > 0] = np.maximum.reduceat(ranked, begins[:-1][sizes > 0])
        top = [65535 - (rank & 65535) if rank else None for rank in best.tolist()]
        return sizes.tolist(), top, (best >> 16).tolist()

    def _median_idle(self) -> list[float | None]:
        begins, idle, counts = self.idle.by_client(self.clients.size)
        if not idle.size:
            return [None] * self.clients.size
        upto = np.cumsum(counts)
        before = np.concatenate([[0], upto])[begins]
        rows = np.diff(before)
        lower, upper = before[:-1] + (rows - 1) // 2, before[:-1] + rows // 2
        at = np.searchsorted(upto, np.stack([lower, upper]), side="right").clip(0, idle.size - 1)
        middle = idle[at].sum(axis=0) / 2
        return [value if some else None for value, some in zip(middle.tolist(), rows.tolist(), strict=True)]


def _slices(begins: Signed, most: int) -> Iterator[Signed]:
    """The same beginnings, in parts of about so many rows."""
    wanted = np.arange(0, int(begins[-1]), most)
    edges = np.unique(np.append(np.searchsorted(begins[:-1], wanted), len(begins) - 1))
    for first, last in pairwise(edges.tolist()):
        yield begins[first : last + 1]


def _sketches(hashes: Unsigned, sizes: Signed) -> list[tuple[int, ...]]:
    """The smallest hashes of several sets that follow each other.

    Only those that can be among the smallest are sorted: of n random ones, those below 4 * k / n."""
    owner = np.repeat(np.arange(sizes.size), sizes)
    limit = np.minimum(4.0 * SKETCH_SIZE / np.maximum(sizes, 1), 1.0) * 2.0**64
    near = np.flatnonzero(hashes < np.repeat(np.minimum(limit, 2.0**64 - 2048).astype(np.uint64), sizes))
    if (np.bincount(owner[near], minlength=sizes.size) < np.minimum(sizes, SKETCH_SIZE)).any():
        near = np.arange(hashes.size)
    near = near[np.argsort(hashes[near])]
    small = np.uint16 if sizes.size < 1 << 16 else np.int64  # which numpy sorts without comparing
    near = near[np.argsort(owner[near].astype(small), kind="stable")]
    edges = np.searchsorted(owner[near], np.arange(sizes.size + 1))
    smallest = hashes[near]
    return [tuple(smallest[a : min(a + SKETCH_SIZE, b)].tolist()) for a, b in pairwise(edges.tolist())]
