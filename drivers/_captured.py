"""A saved answer, line by line, for drivers whose tables are text for people: numbered, and no line left out silently.

A driver that reads lines strictly becomes one that reads captures when it takes lines and a `refuse` to call with a
line that is no row and no noise: asking a session raises there, `read_capture` counts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from switchguard.core.model import Network
from switchguard.errors import UnexpectedOutput
from switchguard.ports import NatTable

from ._nat_tally import Entry, Tallies

Refuse = Callable[[str], None]
"""To be called with a line as it came."""
SAMPLES = 3
LONGEST_LINE = 1 << 16
"""What follows in a longer line is left out; it is no row anyway."""


class Lines:
    """The lines of a file that arrives in chunks. While one is worked on, `number` is its own, from 1."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.number = 0
        self.complete = True
        """Whether the last line was a whole one; to be asked at the end."""

    def __iter__(self) -> Iterator[str]:
        rest = b""
        for chunk in self._chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield self._next(line)
            rest = rest[:LONGEST_LINE]
        if rest:
            self.complete = False
            yield self._next(rest)

    def _next(self, line: bytes) -> str:
        self.number += 1
        return line.decode("utf-8", "replace").rstrip("\r")


class Strays:
    """Counts lines that nobody could read, and keeps the first three."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.count = 0
        self.samples: tuple[tuple[int, str], ...] = ()

    def refuse(self, line: str) -> None:
        self.count += 1
        if len(self.samples) < SAMPLES:
            self.samples = (*self.samples, (self._lines.number, line))


def read_captured(
    chunks: Iterable[bytes],
    device: str,
    entries: Callable[[Iterable[str], Refuse], Iterable[Entry]],
    inside: Sequence[Network] = (),
) -> NatTable:
    """`entries` makes translations of lines, and refuses those that it cannot read."""
    lines, tallies = Lines(chunks), Tallies(inside)
    strays = Strays(lines)
    for entry in entries(lines, strays.refuse):
        tallies.add(entry)
    return table_of(lines, strays, tallies, device)


def require_whole_rows(device: str, table: NatTable) -> NatTable:
    """What a capture may have too many of, a device may not: UnexpectedOutput quotes the first line that is no row."""
    if table.unparsed:
        raise UnexpectedOutput(device, table.samples[0][1])
    return table


def table_of(lines: Lines, strays: Strays, tallies: Tallies, device: str, ahead_s: float = 0.0) -> NatTable:
    """What was read, busiest clients first. `ahead_s` as in `Tallies.usages`."""
    usages = sorted(tallies.usages(device, ahead_s), key=lambda usage: -usage.sessions)
    return NatTable(tallies.entries, tuple(usages), tallies.not_clients, strays.count, strays.samples, lines.complete)
