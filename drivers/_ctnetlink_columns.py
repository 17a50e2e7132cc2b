"""The kernel's connection tracking as netlink messages -> columns, many entries at a time.

The same attributes at the same places make a layout: one protocol of one address family has a few of them, depending
on counters, marks and extensions (the tuple of an ICMP entry alone is longer than that of a TCP entry). A layout is
read once from the first entry that has it; every other entry of its length is compared with all its headers in bulk,
and those that agree are read by position. An entry without what is expected raises UnexpectedOutput.

What the text of `conntrack -L` says is what the columns say: `_conntrack_rows` has the rules for idle times.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from switchguard.errors import UnexpectedOutput

from . import _netlink as wire
from ._conntrack_columns import Entries
from ._conntrack_rows import DEFAULT_TIMEOUTS, timeouts_of
from ._nat_columns import UNKNOWN, Flags, Inet, Signed

Path = tuple[int, ...]
"""Types of attributes, the outer one first."""
Seconds = Callable[[], int]

_SEEN_REPLY, _ASSURED, _OFFLOADED = 1 << 1, 1 << 2, 1 << 14 | 1 << 15
"""enum ip_conntrack_status (nf_conntrack_common.h); offloaded in software or hardware."""
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp"}
_TCP_STATES = (
    *("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT"),
    *("LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"),
)
_SCTP_STATES = (
    *("NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT"),
    *("SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT"),
)
_STATES: Mapping[str, tuple[Path, tuple[str, ...]]] = {
    "tcp": ((wire.PROTOCOL_INFO, 1, 1), _TCP_STATES),
    "sctp": ((wire.PROTOCOL_INFO, 3, 1), _SCTP_STATES),
}
"""Where the state is, and what its numbers mean (nf_conntrack_tcp.h, nf_conntrack_sctp.h)."""
_NESTED: frozenset[Path] = frozenset(
    {
        (wire.ORIGINAL,),
        (wire.REPLY,),
        *((side, part) for side in (wire.ORIGINAL, wire.REPLY) for part in (wire.TUPLE_IP, wire.TUPLE_PROTO)),
        (wire.PROTOCOL_INFO,),
        *(path[:2] for path, _ in _STATES.values()),
        (wire.COUNTERS_SENT,),
        (wire.COUNTERS_RECEIVED,),
        (wire.STAMPS,),
    }
)
_NUMBER, _SOURCE_PORT, _TARGET_PORT = 1, 2, 3
_OCTETS = 2
_PROTOCOL: Path = (wire.ORIGINAL, wire.TUPLE_PROTO, _NUMBER)


def read_entries(
    blocks: Iterable[wire.Octets], device: str, clock: Seconds, timeouts: Mapping[str, int] = DEFAULT_TIMEOUTS
) -> Iterator[Entries]:
    """Entries of one address family at a time, from blocks of whole messages. `clock`: seconds since 1970, asked only
    if the kernel notes when a session began."""
    reader = _Reader(device, clock, {**DEFAULT_TIMEOUTS, **timeouts})
    for block in blocks:
        yield from reader.read(block)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in a message, in words from its beginning."""

    headers: tuple[tuple[int, int], ...]
    """Places of headers (and of the protocol's number) and the word that is there."""
    values: Mapping[Path, int]
    version: int
    protocol: str


class _Reader:
    def __init__(self, device: str, clock: Seconds, timeouts: Mapping[str, int]) -> None:
        self._device, self._clock, self._timeouts = device, clock, timeouts
        self._layouts: dict[int, list[_Layout]] = {}

    def read(self, block: wire.Octets) -> Iterator[Entries]:
        starts = wire.starts_of(block, self._device)
        words = np.frombuffer(block, wire.NATIVE)
        kinds, _ = wire.halves(words[starts + 1])
        starts = starts[(kinds == wire.ENTRY) | (kinds == wire.DELETE)]
        lengths = words[starts]
        found: dict[int, list[Entries]] = {4: [], 6: []}
        for length in np.unique(lengths).tolist():
            for layout, rows in self._sorted(words, starts[lengths == length], length):
                found[layout.version].append(self._entries(_Rows(block, rows, layout)))
        yield from (together(parts) for parts in found.values() if parts)

    def _sorted(self, words: wire.Words, starts: wire.Places, length: int) -> Iterator[tuple[_Layout, wire.Places]]:
        """Messages of one length, by layout."""
        for layout in self._layouts.setdefault(length, []):
            fits = _fits(words, starts, layout)
            if fits.any():
                yield layout, starts[fits]
                starts = starts[~fits]
        while starts.size:
            first = int(starts[0])
            layout = self._layout(words[first : first + (length + 3) // 4])
            self._layouts[length].append(layout)
            fits = _fits(words, starts, layout)
            yield layout, starts[fits]
            starts = starts[~fits]

    def _layout(self, words: wire.Words) -> _Layout:
        family = bytes(words[4:5])[0]
        headers, values = [(4, int(words[4]))], {}
        for path, place, length in _attributes(words, wire.HEADER_WORDS, (), self._device):
            headers.append((place, int(words[place])))
            if length > 4:
                values[path] = place + 1
        if _PROTOCOL not in values or family not in (wire.INET, wire.INET6):
            raise UnexpectedOutput(self._device, bytes(words).hex(), "no entry of connection tracking")
        place = values[_PROTOCOL]
        number = bytes(words[place : place + 1])[0]
        headers += [(place, int(words[place])), (1, int(words[1]))]
        version = 4 if family == wire.INET else 6
        return _Layout(tuple(headers), values, version, _PROTOCOLS.get(number, "unknown"))

    def _entries(self, rows: "_Rows") -> Entries:
        layout, count = rows.layout, rows.count
        source, destination = rows.inet(wire.ORIGINAL, 0), rows.inet(wire.ORIGINAL, 1)
        reply_source, reply_destination = rows.inet(wire.REPLY, 0), rows.inet(wire.REPLY, 1)
        status = rows.number((wire.STATUS,), 0)
        return Entries(
            source=source,
            destination=destination,
            reply_source=reply_source,
            translated=_differ(reply_destination, source),
            redirected=_differ(reply_source, destination),
            sport=rows.port(_SOURCE_PORT),
            dport=rows.port(_TARGET_PORT),
            tcp=np.full(count, layout.protocol == "tcp"),
            udp=np.full(count, layout.protocol == "udp"),
            sent=rows.long((wire.COUNTERS_SENT, _OCTETS)),
            received=rows.long((wire.COUNTERS_RECEIVED, _OCTETS)),
            unreplied=status & _SEEN_REPLY == 0,
            idle=self._idle(rows, status),
            age=self._age(rows),
        )

    def _idle(self, rows: "_Rows", status: Signed) -> Signed:
        """Timeout of the entry's state - time left; an offloaded entry has no time left and is as if just used."""
        left = rows.number((wire.TIMEOUT,), UNKNOWN)
        path, names = _STATES.get(rows.layout.protocol, ((), ()))
        state = rows.number(path, 0) >> 24 if path in rows.layout.values else np.full(rows.count, len(names))
        assured = status & _ASSURED != 0
        idle = np.full(rows.count, UNKNOWN)
        codes = 2 * np.minimum(state, len(names)) + assured
        for code in np.flatnonzero(np.bincount(codes)).tolist():
            name = names[code // 2] if code // 2 < len(names) else None
            possible = timeouts_of(rows.layout.protocol, name, bool(code & 1), self._timeouts)
            if possible:
                chosen = codes == code
                idle[chosen] = _since(left[chosen], possible)
        if (wire.TIMEOUT,) not in rows.layout.values:
            idle[:] = UNKNOWN
        offloaded = np.flatnonzero(status & _OFFLOADED)
        if offloaded.size:
            idle[offloaded] = 0
        return idle

    def _age(self, rows: "_Rows") -> Signed:
        began = rows.long((wire.STAMPS, 1))
        if not rows.count or began[0] == UNKNOWN:
            return began
        age: Signed = np.maximum(self._clock() - began // 1_000_000_000, 0)
        return age


@dataclass(frozen=True, slots=True)
class _Rows:
    """Messages of one layout in a block."""

    block: wire.Octets
    starts: wire.Places
    layout: _Layout

    @property
    def count(self) -> int:
        return len(self.starts)

    def word(self, place: int) -> Signed:
        """One word of each, as the network orders octets."""
        taken = np.frombuffer(self.block, ">u4").take(self.starts + place)
        return taken.astype(np.int64)

    def number(self, path: Path, default: int) -> Signed:
        place = self.layout.values.get(path)
        return np.full(self.count, default) if place is None else self.word(place)

    def long(self, path: Path) -> Signed:
        place = self.layout.values.get(path)
        if place is None:
            return np.full(self.count, UNKNOWN)
        return self.word(place) << 32 | self.word(place + 1)

    def port(self, which: int) -> Signed:
        """16 bits, at the beginning of their word."""
        place = self.layout.values.get((wire.ORIGINAL, wire.TUPLE_PROTO, which))
        return np.full(self.count, UNKNOWN) if place is None else self.word(place) >> 16

    def inet(self, side: int, end: int) -> Inet:
        """`end` 0: source, 1: destination. CTA_IP_V4_SRC is 1, _V4_DST 2, _V6_SRC 3, _V6_DST 4."""
        family = 1 if self.layout.version == 4 else 3
        place = self.layout.values[side, wire.TUPLE_IP, family + end]
        if self.layout.version == 4:
            return Inet(self.word(place).view(np.uint64))
        high, low = ((self.word(place + at) << 32 | self.word(place + at + 1)).view(np.uint64) for at in (0, 2))
        return Inet(low, high)


def _attributes(words: wire.Words, place: int, outer: Path, device: str) -> Iterator[tuple[Path, int, int]]:
    """Path, place of the header and length of every attribute, those nested in others after them."""
    while place < len(words):
        length, kind = (int(half) for half in wire.halves(words[place]))
        upto = place + (length + 3) // 4
        if length < 4 or upto > len(words):
            raise UnexpectedOutput(device, bytes(words).hex(), "a netlink attribute that does not fit into its message")
        path = (*outer, kind & wire.TYPE_MASK)
        yield path, place, length
        if path in _NESTED:
            yield from _attributes(words[:upto], place + 1, path, device)
        place = upto


def _fits(words: wire.Words, starts: wire.Places, layout: _Layout) -> Flags:
    fits = np.ones(len(starts), bool)
    for place, word in layout.headers:
        fits &= words.take(starts + place) == word
    return fits


def _differ(one: Inet, other: Inet) -> Flags:
    low: Flags = one.low != other.low
    return low if one.high is None else low | (one.high != other.high)


def _since(left: Signed, timeouts: tuple[int, ...]) -> Signed:
    """As `_conntrack_rows.idle_of`, for many."""
    idle = np.zeros(len(left), np.int64)
    for timeout in reversed(timeouts):
        idle = np.where(timeout >= left, timeout - left, idle)
    return idle


def together(parts: list[Entries]) -> Entries:
    """Several of one address family as one."""
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {}
    for field in fields(Entries):
        values = [getattr(part, field.name) for part in parts]
        columns[field.name] = _joined(values) if isinstance(values[0], Inet) else np.concatenate(values)
    return Entries(**columns)


def _joined(inets: list[Inet]) -> Inet:
    halves = [inet.high for inet in inets if inet.high is not None]
    return Inet(np.concatenate([inet.low for inet in inets]), np.concatenate(halves) if halves else None)
