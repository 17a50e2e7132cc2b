"""Blocks of conntrack lines -> columns, for the rows that look like one of `SHAPES`: TCP, UDP and ICMP, undecorated.

A row is taken only if everything that is read from it was found where the shape says, with the right word before it;
the numbers of those that were not taken are handed back. The pattern is the one of `_conntrack_rows`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ._conntrack_rows import timeouts_of
from ._nat_columns import UNKNOWN, Flags, Inet, Signed, some_rows
from ._text_columns import Positions, Text, word


@dataclass(frozen=True, slots=True)
class Entries:
    """Rows of one address family. `UNKNOWN` where a row does not tell; times in seconds."""

    source: Inet
    destination: Inet
    reply_source: Inet
    translated: Flags
    """Answers go to another address than the source."""
    redirected: Flags
    """Answers come from another address than the destination."""
    sport: Signed
    dport: Signed
    tcp: Flags
    udp: Flags
    sent: Signed
    received: Signed
    unreplied: Flags
    idle: Signed
    age: Signed


@dataclass(frozen=True, slots=True)
class Shape:
    """The words before each `=` of a line up to mark=, in their order; what follows mark= is free."""

    tuple_keys: tuple[str, ...]
    counted: bool

    @property
    def keys(self) -> tuple[str, ...]:
        one_way = (*self.tuple_keys, *(("packets", "bytes") if self.counted else ()))
        return (*one_way, *one_way, "mark")

    @property
    def reply(self) -> int:
        """Where the second tuple begins."""
        return len(self.keys) // 2

    @property
    def has_ports(self) -> bool:
        return "dport" in self.tuple_keys


SHAPES = tuple(
    Shape(keys, counted)
    for keys in (("src", "dst", "sport", "dport"), ("src", "dst", "type", "code", "id"))
    for counted in (True, False)
)
_MOST_AFTER_MARK = 6
"""secctx, zone, delta-time, start, use, id. More means that two lines ran into each other."""
_PROTOCOLS = (("tcp", " 6 "), ("udp", " 17 "), ("icmp", " 1 "), ("icmpv6", " 58 "))
_STATES = ("ESTABLISHED", "TIME_WAIT", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "CLOSE")
_NO_STATE = len(_STATES)
_STATE_LENGTHS = np.array([*map(len, _STATES), -1])
_PROTOCOL_LENGTHS = np.array([len(number) for _, number in _PROTOCOLS])


class Clock:
    """Idle seconds from protocol, state and time left, for the timeouts that one gateway has."""

    def __init__(self, seconds: Mapping[str, int]) -> None:
        self._known = np.zeros(2 * len(_PROTOCOLS) * (_NO_STATE + 1), bool)
        self._timeouts = np.zeros((3, self._known.size), np.int64)
        for code in range(self._known.size):
            kind, assured = divmod(code, 2)
            protocol, state = divmod(kind, _NO_STATE + 1)
            name = _STATES[state] if state < _NO_STATE else None
            possible = timeouts_of(_PROTOCOLS[protocol][0], name, bool(assured), seconds)
            if possible:
                self._known[code] = True
                self._timeouts[:, code] = (*possible, *possible[-1:] * 2)[:3]

    def idle(self, protocol: Signed, state: Signed, assured: Flags, left: Signed) -> Signed:
        code = 2 * ((_NO_STATE + 1) * protocol + state) + assured
        since = [column[code] - left for column in self._timeouts]
        idle = np.where(since[0] >= 0, since[0], np.where(since[1] >= 0, since[1], np.maximum(since[2], 0)))
        return np.where(self._known[code], idle, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the lines of a block begin, and where their equal signs are."""

    text: Text
    starts: Positions
    equals: Positions
    first: Positions
    counts: Positions

    @classmethod
    def of(cls, block: bytes, padding: int) -> "Lines":
        """The lines of a block that have an end; it begins with `padding` octets that are none."""
        text = Text(block)
        ends, equals = text.positions("\n"), text.positions("=")
        starts = np.concatenate([[padding], ends[:-1] + 1])[: len(ends)]
        upto = np.searchsorted(equals, ends)
        first = np.concatenate([[0], upto[:-1]])[: len(ends)]
        return cls(text, starts, equals, first, upto - first)

    def columns(self, clock: Clock) -> Iterator[tuple[Positions, Entries]]:
        """Numbers of lines and what they say, for those that have one of the shapes."""
        rows = np.arange(len(self.starts))
        for shape in SHAPES:
            matching = self._matching(shape, rows)
            if matching.size:
                yield from _Columns(self, shape, rows[matching], clock).entries()
                rows = rows[~matching]

    def _matching(self, shape: Shape, rows: Positions) -> Flags:
        counts, least = self.counts[rows], len(shape.keys)
        long_enough = np.flatnonzero((counts >= least) & (counts <= least + _MOST_AFTER_MARK))
        first, found = self.first[rows[long_enough]], np.ones(long_enough.size, bool)
        for number, key in enumerate(shape.keys):
            found &= self.text.ends_with(self.equals[first + number], f" {key}")
            if not found.any():
                break
        matching = np.zeros(rows.size, bool)
        matching[long_enough] = found
        return matching


class _Columns:
    """The lines of one shape."""

    def __init__(self, lines: Lines, shape: Shape, rows: Positions, clock: Clock) -> None:
        self._lines, self._text, self._shape, self._clock = lines, lines.text, shape, clock
        self._rows, self._first = rows, lines.first[rows]

    def entries(self) -> Iterator[tuple[Positions, Entries]]:
        """By address family. Where no layer-3 word tells the family, what is no IPv4 address may be an IPv6 one."""
        marked, protocol, state, left, good = self._heads(self._at(0) - 3)
        for version, other in ((4, 6), (6, 4)):
            chosen = np.flatnonzero(good & (marked != other))
            if not chosen.size:
                continue
            part = (
                self
                if chosen.size == good.size
                else _Columns(self._lines, self._shape, self._rows[chosen], self._clock)
            )
            entries, fits = part._entries(version, protocol[chosen], state[chosen], left[chosen])
            if fits.all():
                yield part._rows, entries
            else:
                taken = np.flatnonzero(fits)
                yield part._rows[taken], Entries(**some_rows(entries, taken))
            good[chosen[fits]] = False

    def _at(self, key: int) -> Positions:
        return self._lines.equals[self._first + key]

    def _heads(self, sources: Positions) -> tuple[Signed, Signed, Signed, Signed, Flags]:
        """Layer-3 word (0: none), protocol, state, time left, and whether all of it is as it should be."""
        text, start = self._text, self._lines.starts[self._rows]
        head = text.words(start)
        four = (head == word("ipv4    ")) & (text.words(start + 3) == word("4     2 "))
        six = (head == word("ipv6    ")) & (text.words(start + 4) == word("     10 "))
        begin = start + 11 * four + 12 * six
        name, number = text.words(begin), text.words(begin + 8)
        protocol = np.full(len(start), -1)
        for index, (protocol_name, digits) in enumerate(_PROTOCOLS):
            keep = np.uint64((1 << 8 * len(digits)) - 1)
            protocol[(name == word(protocol_name.ljust(8))) & (number & keep == word(digits))] = index
        left_at = begin + 8 + _PROTOCOL_LENGTHS[protocol]
        left, ends = text.numbers(left_at)
        timeless = left_at == sources
        state_at = np.where(timeless, sources, ends + 1)
        state = self._states(state_at)
        good = (protocol >= 0) & (timeless | (ends >= 0)) & (state_at + _STATE_LENGTHS[state] + 1 == sources)
        good &= (protocol == 0) | (state == _NO_STATE)
        return 4 * four + 6 * six, protocol, state, np.where(timeless, UNKNOWN, left), good

    def _states(self, at: Positions) -> Signed:
        begins = self._text.words(at)
        state = np.full(len(at), _NO_STATE)
        for index, name in enumerate(_STATES):
            state[begins == word(f"{name} src"[:8])] = index
        return state

    def _entries(self, version: int, protocol: Signed, state: Signed, left: Signed) -> tuple[Entries, Flags]:
        reply, last = self._shape.reply, len(self._shape.keys) - 1
        source, destination, reply_source, translated, redirected, fits = self._addresses(version)
        sport, dport, sent, received = self._numbers(fits)
        unreplied = self._flag(self._at(reply) - 4, ("REPLIED]",), fits)[0]
        assured, offloaded = self._flag(self._at(last) - 5, ("ASSURED]", "OFFLOAD]"), fits)
        idle = np.where(left >= 0, self._clock.idle(protocol, state, assured, left), UNKNOWN)
        entries = Entries(
            source=source,
            destination=destination,
            reply_source=reply_source,
            translated=translated,
            redirected=redirected,
            sport=sport,
            dport=dport,
            tcp=protocol == 0,
            udp=protocol == 1,
            sent=sent,
            received=received,
            unreplied=unreplied,
            idle=np.where(offloaded, 0, idle),
            age=self._ages(),
        )
        return entries, fits

    def _addresses(self, version: int) -> tuple[Inet, Inet, Inet, Flags, Flags, Flags]:
        text, reply = self._text, self._shape.reply
        from_at, to_at, back_at = self._at(0) + 1, self._at(1) + 1, self._at(reply) + 1
        source, from_end = _inet(text, from_at, version)
        destination, to_end = _inet(text, to_at, version)
        fits = (from_end >= 0) & (to_end >= 0)
        translated = ~text.same(from_at, self._at(reply + 1) + 1, from_end - from_at)
        redirected = ~text.same(to_at, back_at, to_end - to_at)
        elsewhere = np.flatnonzero(redirected & fits)
        reply_source = destination
        if elsewhere.size:
            other, other_end = _inet(text, back_at[elsewhere], version)
            reply_source = destination.put(elsewhere, other)
            fits[elsewhere] &= other_end >= 0
        return source, destination, reply_source, translated, redirected, fits

    def _numbers(self, fits: Flags) -> tuple[Signed, Signed, Signed, Signed]:
        """Both ports and both octet counts, as far as the shape has them."""
        shape = self._shape
        ports = (2, 3) if shape.has_ports else (None, None)
        octets = (shape.reply - 1, 2 * shape.reply - 1) if shape.counted else (None, None)
        unknown = np.full(len(self._rows), UNKNOWN)
        columns = []
        for key in (*ports, *octets):
            values, ends = (unknown, unknown + 1) if key is None else self._text.numbers(self._at(key) + 1)
            fits &= ends >= 0
            columns.append(values)
        return columns[0], columns[1], columns[2], columns[3]

    def _flag(self, at: Positions, endings: tuple[str, ...], fits: Flags) -> list[Flags]:
        """Which of the words in brackets, if any, stands right before; if none does, a number must."""
        before = self._text.octets[at - 1]
        found = [self._text.ends_with(at, ending) for ending in endings]
        fits &= reduce(np.logical_or, found, (before >= ord("0")) & (before <= ord("9")))
        return found

    def _ages(self) -> Signed:
        """delta-time=, one of the words after mark=; a line with no more than use= after it has none."""
        ages = np.full(len(self._rows), UNKNOWN)
        known = len(self._shape.keys)
        counts = self._lines.counts[self._rows] - known
        for extra in range(_MOST_AFTER_MARK):
            rows = np.flatnonzero(counts > max(extra, 1))
            if not rows.size:
                break
            at = self._lines.equals[self._first[rows] + known + extra]
            hit = self._text.ends_with(at, "lta-time")
            values, ends = self._text.numbers(at[hit] + 1)
            ages[rows[hit]] = np.where(ends >= 0, values, UNKNOWN)
        return ages


def _inet(text: Text, at: Positions, version: int) -> tuple[Inet, Positions]:
    if version == 4:
        low, ends = text.ipv4(at)
        return Inet(low), ends
    high, low, ends = text.ipv6(at)
    return Inet(low, high), ends
