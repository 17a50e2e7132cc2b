"""A Linux connection-tracking table as text -> usage per inside address, in bulk.

Blocks of about 3 MB are read as columns (`_conntrack_columns`); rows of rarer protocols and with rarer decorations are
read one by one (`_conntrack_rows`). Every line is a row, known noise, or counted and quoted. Two threads read blocks
while a third adds them up: numpy lets go of the interpreter's lock while it computes.

Which side is the client: the initiator, if its source address is translated; the machine that answers, if the entry
was redirected to it from outside. Without translation it is the initiator, unless only the other side is private.
"""

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from switchguard.core.model import Address, NatUsage, Network
from switchguard.ports import Capture, NatTable

from ._conntrack_columns import Clock, Entries, Lines
from ._conntrack_rows import DEFAULT_TIMEOUTS, NOISE, Row, idle_of, parse_row, timeouts_of
from ._nat_columns import UNKNOWN, Batch, Flags, Inet, Tally
from ._nat_destinations import busiest_first
from ._sides import PRIVATE
from ._text_columns import PADDING

CAPTURE = Capture(
    printed_by=("conntrack -L", "/proc/net/nf_conntrack", "/proc/net/ip_conntrack"),
    row=re.compile(
        r"(?:ipv[46] +\d+ +)?[a-z][a-z0-9-]* +(?:\d+ +){0,2}(?:[A-Z][A-Z0-9_]* +)?(?:timeout=\d+, stream_timeout=\d+ )?"
        r"src=\S+ +dst=\S+ .*\bsrc=\S+ +dst="
    ),
)

BLOCK = 3 << 20
"""Octets that are read at once: temporary columns then fit the caches, and calls are still rare."""
LONGEST_LINE = 1 << 16
"""What follows in a longer line is left out; it is no row anyway."""
SAMPLES = 3
THREADS = 2
_PAD = b" " * PADDING


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
    reader, sums = _Reader(tuple(inside), {**DEFAULT_TIMEOUTS, **timeouts}), _Sums(bool(inside))
    for part in _read_ahead(reader, _blocks(chunks)):
        sums.add(part)
    return sums.result(device, frozenset(own))


def sum_entries(parts: Iterable[Entries], device: str, *, own: Collection[Address] = ()) -> NatTable:
    """The same from columns that were read elsewhere, each of one address family."""
    sums = _Sums(inside_known=False)
    for entries in parts:
        sums.add_batch(*_from_the_inside(entries, ()))
    return sums.result(device, frozenset(own))


@dataclass(frozen=True, slots=True)
class _Block:
    """Padded text of whole lines; what follows its last newline comes again with the next one."""

    text: bytes
    cut: bool = False
    """The one line of it had no end."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one block says. Samples are numbered from its first line."""

    lines: int
    batches: tuple[tuple[Batch, int], ...]
    """Rows that have a client, and how many have none."""
    unparsed: int
    samples: tuple[tuple[int, str], ...]
    cut: bool


def _blocks(chunks: Iterable[bytes]) -> Iterator[_Block]:
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= BLOCK:
            text, rest = _padded(waiting)
            if len(rest) < size:
                yield _Block(text)
            waiting, size = [rest[:LONGEST_LINE]], min(len(rest), LONGEST_LINE)
    text, rest = _padded(waiting)
    yield _Block(text)
    if rest:
        yield _Block(_padded([rest, b"\n"])[0], cut=True)


def _padded(parts: Iterable[bytes]) -> tuple[bytes, bytes]:
    """One block, and what follows its last newline."""
    block = b"".join((_PAD, *parts, _PAD))
    return block, block[max(block.rfind(b"\n") + 1, PADDING) : -PADDING]


def _read_ahead(reader: "_Reader", blocks: Iterable[_Block]) -> Iterator[_Part]:
    """In order. No more blocks are in memory than threads can work at, and one."""
    under_way: deque[Future[_Part]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for block in blocks:
            under_way.append(pool.submit(reader.read, block))
            if len(under_way) > THREADS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


class _Reader:
    """What does not change from block to block."""

    def __init__(self, inside: tuple[Network, ...], timeouts: Mapping[str, int]) -> None:
        self._inside, self._timeouts, self._clock = inside, timeouts, Clock(timeouts)

    def read(self, block: _Block) -> _Part:
        lines = Lines.of(block.text, PADDING)
        left = np.ones(len(lines.starts), bool)
        batches = []
        for numbers, entries in lines.columns(self._clock):
            batches.append(_from_the_inside(entries, self._inside))
            left[numbers] = False
        rows, strays = _one_by_one(block.text, lines, np.flatnonzero(left).tolist())
        for some in rows:
            batches.append(_from_the_inside(_entries_of(some, self._timeouts), self._inside))
        return _Part(len(lines.starts), tuple(batches), len(strays), tuple(strays[:SAMPLES]), block.cut)


def _one_by_one(block: bytes, lines: Lines, numbers: Iterable[int]) -> tuple[list[list[Row]], list[tuple[int, str]]]:
    """Rows by address family, and numbers and texts of the lines that are none."""
    rows: dict[int, list[Row]] = {4: [], 6: []}
    strays = []
    for number in numbers:
        start = int(lines.starts[number])
        text = block[start : block.index(b"\n", start)].decode("utf-8", "replace")
        row = parse_row(text)
        if row:
            rows[row.source.version].append(row)
        elif not NOISE.fullmatch(text):
            strays.append((number + 1, text))
    return [some for some in rows.values() if some], strays


class _Sums:
    """What all blocks say together."""

    def __init__(self, inside_known: bool) -> None:
        self._inside_known = inside_known
        self._tallies = {4: Tally(), 6: Tally()}
        self._lines = self._entries = self._foreign = self._unparsed = 0
        self._samples: list[tuple[int, str]] = []
        self._complete = True

    def add(self, part: _Part) -> None:
        for batch, foreign in part.batches:
            self.add_batch(batch, foreign)
        self._unparsed += part.unparsed
        wanted = SAMPLES - len(self._samples)
        self._samples += [(self._lines + number, text) for number, text in part.samples[:wanted]]
        self._lines += part.lines
        self._complete = not part.cut

    def add_batch(self, batch: Batch, foreign: int) -> None:
        """`foreign`: rows that are left out of it."""
        self._entries += len(batch.idle) + foreign
        self._foreign += foreign
        if len(batch.idle):
            self._tallies[4 if batch.client.high is None else 6].add(batch)

    def result(self, device: str, own: frozenset[Address]) -> NatTable:
        usages: list[NatUsage] = []
        destinations = [it for tally in self._tallies.values() for it in tally.take_destinations(device)]
        for tally in filter(len, self._tallies.values()):
            translates = tally.any("translated")

            def left_out(address: Address, translated: bool, translates: bool = translates) -> bool:
                """Where addresses are translated, an address outside the private ones that never was is no client."""
                outside = translates and not self._inside_known and not translated and not _private(address)
                return outside or address in own

            kept, others = tally.usages(device, left_out)
            usages += kept
            self._foreign += others
        usages.sort(key=lambda usage: (-usage.sessions, usage.address.version, int(usage.address)))
        return NatTable(
            self._entries,
            tuple(usages),
            self._foreign,
            self._unparsed,
            tuple(self._samples),
            self._complete,
            tuple(sorted(destinations, key=busiest_first)),
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
