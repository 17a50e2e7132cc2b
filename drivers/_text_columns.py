"""Numbers and addresses out of a block of text, thousands at once: eight characters are one machine word.

Positions are int64 arrays. Every reader answers with the values and the positions after them; a position of -1 means
that there is no such thing here, and its value means nothing. Nothing is believed about a text that was not looked at.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Words = NDArray[np.uint64]
Halves = NDArray[np.uint32]
Flags = NDArray[np.bool_]

PADDING = 64
"""Octets that a block needs before and after its lines, so that a word may be loaded across their ends."""


def word(text: str) -> np.uint64:
    """Up to eight characters as they lie in memory; the missing ones are zero."""
    return np.uint64(int.from_bytes(text.encode().ljust(8, b"\0"), "little"))


def _repeated(octet: int, size: int = 8) -> int:
    return int.from_bytes(bytes([octet]) * size, "little")


_SPACES, _ZEROS = np.uint64(_repeated(0x20)), np.uint64(_repeated(ord("0")))
_ONES, _TOPS, _SIXES, _HIGH = (np.uint64(_repeated(n)) for n in (0x01, 0x80, 0x06, 0xF0))
_POSITION = np.uint64(0x0001020304050607)
"""Times 256**n, its top octet is n: the position of a single set octet."""
_DOTS_4, _SPACES_4, _ZEROS_4 = (np.uint32(_repeated(n, 4)) for n in (ord("."), 0x20, ord("0")))
_ONES_4, _TOPS_4, _SIXES_4, _HIGH_4 = (np.uint32(_repeated(n, 4)) for n in (0x01, 0x80, 0x06, 0xF0))
_POSITION_4 = np.uint32(0x00010203)
_TENS = 10 ** np.arange(9, dtype=np.uint64)
_AFTER: tuple[np.uint64, ...] = tuple(np.uint64((1 << 8 * n) - 1) for n in range(9))
_KEEP = np.array(_AFTER, np.uint64)
"""How many octets of a word count -> the mask that keeps them."""


class Text:
    """A block of bytes with PADDING at both ends, seen as octets and as words that begin at any octet."""

    def __init__(self, block: bytes) -> None:
        self.octets: NDArray[np.uint8] = np.frombuffer(block, np.uint8)
        self._words: Words = np.ndarray((len(block) - 7,), "<u8", block, strides=(1,))
        self._halves: Halves = np.ndarray((len(block) - 3,), "<u4", block, strides=(1,))

    def positions(self, character: str) -> Positions:
        return np.flatnonzero(self.octets == ord(character))

    def words(self, at: Positions) -> Words:
        return self._words[at]

    def ends_with(self, at: Positions, text: str) -> Flags:
        """Whether the up to eight characters before `at` are these."""
        shift = np.uint64(64 - 8 * len(text))
        expected = np.uint64(int.from_bytes(text.encode(), "little"))
        found: Flags = self._words[at - 8] >> shift == expected
        return found

    def numbers(self, at: Positions) -> tuple[NDArray[np.int64], Positions]:
        """Decimal numbers of up to 15 digits that a space ends."""
        values, lengths, good = _leading_digits(self._words[at])
        ends = np.where(good & (lengths > 0), at + lengths, -1)
        longer = np.flatnonzero(good & (lengths == 8))
        if longer.size:
            more, count, rest_good = _leading_digits(self._words[at[longer] + 8])
            values[longer] = values[longer] * _TENS[count] + more
            ends[longer] = np.where(rest_good & (count < 8), at[longer] + 8 + count, -1)
        return values.astype(np.int64), ends

    def ipv4(self, at: Positions) -> tuple[Words, Positions]:
        """Dotted IPv4 addresses that a space ends, as numbers."""
        value = np.zeros(len(at), np.uint32)
        good = np.ones(len(at), bool)
        where = at
        for terminators in (_DOTS_4, _DOTS_4, _DOTS_4, _SPACES_4):
            text = self._halves[where]
            gaps = text ^ terminators
            stop = (gaps - _ONES_4) & ~gaps & _TOPS_4
            length = ((stop & (~stop + np.uint32(1))) >> np.uint32(7)) * _POSITION_4 >> np.uint32(24)
            digits = (text ^ _ZEROS_4) << (np.uint32(32) - np.uint32(8) * length)
            octet = (digits >> np.uint32(24)) + (digits >> np.uint32(16) & np.uint32(255)) * np.uint32(10)
            octet += (digits >> np.uint32(8) & np.uint32(255)) * np.uint32(100)
            good &= (length > 0) & ((digits | digits + _SIXES_4) & _HIGH_4 == 0) & (octet < 256)
            value = value << np.uint32(8) | octet
            where = where + length + 1
        return value.astype(np.uint64), np.where(good, where - 1, -1)

    def ipv6(self, at: Positions) -> tuple[Words, Words, Positions]:
        """IPv6 addresses (RFC 4291, 2.2, without the dotted form) that a space ends: the upper and the lower half."""
        parts = np.zeros((len(at), 9), np.uint32)
        rows = np.arange(len(at))
        part, digits, gap = (np.zeros(len(at), np.int64) for _ in range(3))
        gap -= 1
        good = np.ones(len(at), bool)
        ends = np.full(len(at), -1, np.int64)
        for offset in range(40):
            octet = self.octets[at + offset]
            digit = _HEX[octet]
            is_digit = (digit < 16) & good & (ends < 0)
            is_colon = (octet == ord(":")) & good & (ends < 0)
            over = (octet == ord(" ")) & good & (ends < 0)
            parts[rows[is_digit], part[is_digit]] = parts[rows[is_digit], part[is_digit]] << 4 | digit[is_digit]
            doubled = is_colon & (digits == 0) & (offset > 0)
            if offset == 1:
                good &= (self.octets[at] != ord(":")) | is_colon
            good &= ~(doubled & (gap >= 0)) & (is_digit | is_colon | over | (ends >= 0))
            good &= ~(over & (digits == 0) & (gap != part))
            gap = np.where(doubled, part, gap)
            digits = np.where(is_digit, digits + 1, np.where(is_colon, 0, digits))
            part = part + (is_colon & ~doubled & (offset > 0))
            good &= (digits <= 4) & (part <= 8)
            ends = np.where(over & good, at + offset, ends)
        return _halves_of(parts, part, digits, gap, np.where(good, ends, -1))

    def same(self, one: Positions, other: Positions, lengths: Positions) -> Flags:
        """Whether the texts of these lengths, and the characters after them, are equal."""
        equal: Flags = (self._words[one] ^ self._words[other]) & _KEEP[np.clip(lengths + 1, 0, 8)] == 0
        for offset in range(8, int(lengths.max(initial=0)) + 1, 8):
            undecided = np.flatnonzero(equal & (lengths >= offset))
            at, also_at = one[undecided] + offset, other[undecided] + offset
            count = np.minimum(lengths[undecided] + 1 - offset, 8)
            equal[undecided] = (self._words[at] ^ self._words[also_at]) & _KEEP[count] == 0
        return equal


_HEX = np.full(256, 255, np.uint32)
_HEX[[ord(c) for c in "0123456789abcdef"]] = range(16)
_HEX[[ord(c) for c in "ABCDEF"]] = range(10, 16)


def _leading_digits(text: Words) -> tuple[Words, NDArray[Any], Flags]:
    """The number at the start of each word, its digits (8: no space in sight), and whether they all were digits."""
    gaps = text ^ _SPACES
    stop = (gaps - _ONES) & ~gaps & _TOPS
    length = ((stop & (~stop + np.uint64(1))) >> np.uint64(7)) * _POSITION >> np.uint64(56)
    length = np.where(stop == 0, np.uint64(8), length)
    digits = (text ^ _ZEROS) << (np.uint64(64) - np.uint64(8) * length)
    good = (digits | digits + _SIXES) & _HIGH == 0
    pairs = digits * np.uint64(10 * 256 + 1) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
    fours = pairs * np.uint64(100 * 65536 + 1) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
    values = fours * np.uint64(10000 * 2**32 + 1) >> np.uint64(32)
    return values, length.astype(np.int64), good


def _halves_of(
    parts: NDArray[np.uint32], part: Positions, digits: Positions, gap: Positions, ends: Positions
) -> tuple[Words, Words, Positions]:
    """Groups as they were written -> two 64-bit halves; `::` at `gap` stands for the missing zeros."""
    written = part + (digits > 0)
    complete = np.where(gap < 0, written == 8, written < 8)
    column = np.arange(8)
    missing = np.where(gap < 0, 0, 8 - written)[:, None]
    after = (gap[:, None] >= 0) & (column >= gap[:, None] + missing)
    inside = (gap[:, None] >= 0) & (column >= gap[:, None]) & ~after
    source = np.clip(np.where(after, column - missing, column), 0, 8)
    groups = np.where(inside, 0, np.take_along_axis(parts, source, axis=1)).astype(np.uint64)
    shifts = np.array([48, 32, 16, 0], np.uint64)
    high = np.bitwise_or.reduce(groups[:, :4] << shifts, axis=1)
    low = np.bitwise_or.reduce(groups[:, 4:] << shifts, axis=1)
    return high, low, np.where(complete, ends, -1)
