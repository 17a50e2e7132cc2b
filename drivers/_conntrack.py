"""A Linux connection-tracking table as text -> usage per inside address, in bulk.

Blocks of about 4 MB are read as columns (`_conntrack_columns`); rows of rarer protocols and with rarer decorations are
read one by one (`_conntrack_rows`). Every line is a row, known noise, or counted and quoted.

Which side is the client: the initiator, if its source address is translated; the machine that answers, if the entry
was redirected to it from outside. Without translation it is the initiator, unless only the other side is private.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

import numpy as np

from switchguard.core.model import Address, NatUsage, Network

from ._conntrack_columns import Clock, Entries, Lines
from ._conntrack_rows import DEFAULT_TIMEOUTS, NOISE, Row, idle_of, parse_row, timeouts_of
from ._nat_columns import UNKNOWN, Batch, Flags, Inet, Tally
from ._text_columns import PADDING

BLOCK = 4 << 20
"""Octets that are read at once: temporary columns then fit the caches, and calls are still rare."""
SAMPLES = 3
_PAD = b" " * PADDING
PRIVATE: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
)
"""RFC 1918, RFC 6598 (carriers' NAT), RFC 3927, RFC 4193, RFC 4291."""


@dataclass(frozen=True, slots=True)
class NatTable:
    """What a table held. `entries` = the sessions of all `usages` + `not_clients`."""

    entries: int
    usages: tuple[NatUsage, ...]
    """Busiest first."""
    not_clients: int = 0
    """Rows of the gateway itself and of machines outside."""
    unparsed: int = 0
    samples: tuple[tuple[int, str], ...] = ()
    """Line number and text of the first three lines that are neither rows nor noise."""
    complete: bool = True
    """Whether the last line was a whole one."""


def read_conntrack(
    chunks: Iterable[bytes],
    device: str,
    *,
    inside: Sequence[Network] = (),
    own: Collection[Address] = (),
    timeouts: Mapping[str, int] = DEFAULT_TIMEOUTS,
) -> NatTable:
    """`inside`: the clients' networks, if known; every other row is then nobody's. `own`: the gateway's addresses.
    `timeouts`: seconds by sysctl name without `nf_conntrack_`; what is missing is as Linux has it."""
    reader = _Reader(tuple(inside), {**DEFAULT_TIMEOUTS, **timeouts})
    rest = b""
    for block in _blocks(chunks):
        reader.read(block)
        rest = block[max(block.rfind(b"\n") + 1, PADDING) : -PADDING]
    if rest:
        reader.read_cut(rest)
    return reader.result(device, frozenset(own))


def sum_entries(parts: Iterable[Entries], device: str, *, own: Collection[Address] = ()) -> NatTable:
    """The same from columns that were read elsewhere, each of one address family."""
    reader = _Reader((), DEFAULT_TIMEOUTS)
    for entries in parts:
        reader.add(entries)
    return reader.result(device, frozenset(own))


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """At least BLOCK octets at once, padded. What follows the last newline of a block comes again with the next one."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= BLOCK:
            block = b"".join((_PAD, *waiting, _PAD))
            rest = block[max(block.rfind(b"\n") + 1, PADDING) : -PADDING]
            if len(rest) < size:
                yield block
            waiting, size = [rest], len(rest)
    if size:
        yield b"".join((_PAD, *waiting, _PAD))


class _Reader:
    """The state between two blocks."""

    def __init__(self, inside: tuple[Network, ...], timeouts: Mapping[str, int]) -> None:
        self._inside, self._timeouts, self._clock = inside, timeouts, Clock(timeouts)
        self._tallies = {4: Tally(), 6: Tally()}
        self._lines = self._entries = self._foreign = self._unparsed = 0
        self._samples: list[tuple[int, str]] = []
        self._complete = True

    def read(self, block: bytes) -> None:
        lines = Lines.of(block, PADDING)
        left = np.ones(len(lines.starts), bool)
        for rows, entries in lines.columns(self._clock):
            self.add(entries)
            left[rows] = False
        self._read_one_by_one(block, lines, np.flatnonzero(left).tolist())
        self._lines += len(lines.starts)

    def read_cut(self, line: bytes) -> None:
        """The last line, if nothing ended it: taken for what it says, if it is a row."""
        self.read(b"".join((_PAD, line, b"\n", _PAD)))
        self._complete = False

    def _read_one_by_one(self, block: bytes, lines: Lines, numbers: Iterable[int]) -> None:
        rows: dict[int, list[Row]] = {4: [], 6: []}
        for number in numbers:
            start = int(lines.starts[number])
            text = block[start : block.index(b"\n", start)].decode("utf-8", "replace")
            row = parse_row(text)
            if row:
                rows[row.source.version].append(row)
            elif not NOISE.fullmatch(text):
                self._unparsed += 1
                if len(self._samples) < SAMPLES:
                    self._samples.append((self._lines + number + 1, text))
        for some in rows.values():
            if some:
                self.add(_entries_of(some, self._timeouts))

    def add(self, entries: Entries) -> None:
        batch, foreign = _from_the_inside(entries, self._inside)
        self._entries += len(entries.idle)
        self._foreign += foreign
        if len(batch.idle):
            self._tallies[4 if entries.source.high is None else 6].add(batch)

    def result(self, device: str, own: frozenset[Address]) -> NatTable:
        usages: list[NatUsage] = []
        for tally in filter(len, self._tallies.values()):
            translates = tally.any("translated")

            def left_out(address: Address, translated: bool, translates: bool = translates) -> bool:
                """Where addresses are translated, an address outside the private ones that never was is no client."""
                outside = translates and not self._inside and not translated and not _private(address)
                return outside or address in own

            kept, others = tally.usages(device, left_out)
            usages += kept
            self._foreign += others
        usages.sort(key=lambda usage: (-usage.sessions, usage.address.version, int(usage.address)))
        return NatTable(
            self._entries, tuple(usages), self._foreign, self._unparsed, tuple(self._samples), self._complete
        )


# --- sides -----------------------------------------------------------------------------------------------------------


def _from_the_inside(entries: Entries, inside: tuple[Network, ...]) -> tuple[Batch, int]:
    """Each row as its client sees it, and how many rows have no side that is inside."""
    if inside:
        outward, inward = _within(entries.source, inside), _within(entries.reply_source, inside)
        inbound, ours = inward & ~outward, inward | outward
    else:
        inbound, ours = _inbound(entries), None
    batch = Batch(
        client=entries.reply_source.where(inbound, entries.source),
        remote=entries.source.where(inbound, entries.destination),
        port=np.where(inbound, entries.sport, entries.dport),
        tcp=entries.tcp,
        udp=entries.udp,
        translated=entries.translated | entries.redirected,
        unanswered=entries.unreplied,
        idle=entries.idle,
        sent=np.where(inbound, entries.received, entries.sent),
        received=np.where(inbound, entries.sent, entries.received),
        age=entries.age,
    )
    if ours is None or ours.all():
        return batch, 0
    rows = np.flatnonzero(ours)
    return batch.at(rows), len(ours) - rows.size


def _inbound(entries: Entries) -> Flags:
    """Whether the side that answers is the client, where nobody said which networks are inside."""
    public = ~_within(entries.source, PRIVATE)
    if not public.any():
        return public
    to_private = _within(entries.reply_source, PRIVATE)
    port_forward = entries.redirected & ~entries.translated
    masqueraded = entries.translated & ~entries.redirected
    return public & ~masqueraded & (port_forward | to_private)


def _within(inet: Inet, networks: Iterable[Network]) -> Flags:
    found = np.zeros(len(inet.low), bool)
    for network in networks:
        if (network.version == 4) == (inet.high is None):
            start, mask = int(network.network_address), int(network.netmask)
            low = inet.low & np.uint64(mask & 2**64 - 1) == np.uint64(start & 2**64 - 1)
            if inet.high is not None:
                low &= inet.high & np.uint64(mask >> 64) == np.uint64(start >> 64)
            found |= low
    return found


def _private(address: Address) -> bool:
    return any(address in network for network in PRIVATE if network.version == address.version)


def _entries_of(rows: Sequence[Row], timeouts: Mapping[str, int]) -> Entries:
    """Rows of one address family that were read one by one."""

    def inet(addresses: Iterable[Address]) -> Inet:
        numbers = [int(address) for address in addresses]
        low = np.array([number & 2**64 - 1 for number in numbers], np.uint64)
        return Inet(low, np.array([n >> 64 for n in numbers], np.uint64) if rows[0].source.version == 6 else None)

    def told(values: Iterable[int | None]) -> "np.typing.NDArray[np.int64]":
        return np.array([UNKNOWN if value is None else value for value in values], np.int64)

    def idle(row: Row) -> int | None:
        if row.offloaded:
            return 0
        known = timeouts_of(row.protocol, row.state, row.assured, timeouts)
        return None if row.left is None else idle_of(row.left, known)

    return Entries(
        source=inet(row.source for row in rows),
        destination=inet(row.destination for row in rows),
        reply_source=inet(row.reply_source for row in rows),
        translated=np.array([row.reply_destination != row.source for row in rows]),
        redirected=np.array([row.reply_source != row.destination for row in rows]),
        sport=told(row.sport for row in rows),
        dport=told(row.dport for row in rows),
        tcp=np.array([row.protocol == "tcp" for row in rows]),
        udp=np.array([row.protocol == "udp" for row in rows]),
        sent=told(row.sent for row in rows),
        received=told(row.received for row in rows),
        unreplied=np.array([row.unreplied for row in rows]),
        idle=told(idle(row) for row in rows),
        age=told(row.age for row in rows),
    )
