"""A firewall's log, tailed: how many connections each source opened in which minute, every line once.

    Nov 20 09:12:42 gw kernel: [12.3] Incoming netperf IN=eth0 OUT= SRC=192.0.2.7 DST=198.51.100.1 PROTO=TCP DPT=12865
    2026-11-20T09:12:42.123456+01:00 gw kernel: ...

Where reading stopped is known by how the file began and how far it was read, not by its name or inode: so a log that
was renamed, compressed, or copied and truncated is recognised, its rest is read, and then whatever came after it. The
old time stamps tell neither year nor zone: the year is the one that makes them not later than the file, the zone is
given. When the clocks go back, an hour comes twice: a log is in order, so what seems to be earlier than the line before
it is of the second one. Lines without `match` are somebody else's. Those with it that make no sense are counted, and
the first is quoted.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from switchguard.core.model import Address, plain_address
from switchguard.edge.tails import HEAD, LONGEST_LINE, Tail, is_same, opened, skip, tail_at

MOST_COUNTS = 20_000
"""(source, minute) pairs that are held before they are handed on."""
_MINUTE = timedelta(minutes=1)

_SOURCE = re.compile(rb"\bSRC=([0-9A-Fa-f.:]{2,45})(?=\s|$)")
_ISO = re.compile(rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?\s")
_SYSLOG = re.compile(rb"(?:<\d+>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)\s")
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_LATE = timedelta(days=1)
"""By how much a time stamp may be later than its file, before it must be last year's."""
OUT_OF_ORDER = timedelta(minutes=10)
"""By how much a line may be earlier than the one before it, or later than its file, before another hour is meant."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read up to `tail`."""

    counts: Mapping[tuple[Address, datetime], int]
    """(source, minute) -> connections."""
    tail: Tail
    bad: int = 0
    sample: str | None = None
    """The first line that makes no sense."""


@dataclass(frozen=True, slots=True)
class ConnectionLog:
    """`zone` is that of time stamps that do not tell."""

    name: str
    file: Path
    match: str
    zone: tzinfo = UTC

    def news(self, tail: Tail | None, since: datetime) -> Iterator[Batch]:
        """Everything after `tail`, in batches of bounded size; OSError if it cannot be read.

        Without a tail everything from rotated files too, as far as they were written after `since`. A compressed one
        that is damaged counts as one bad line, wherever it breaks off.
        """
        damaged: list[str] = []
        order = _Order()
        for file, offset in self._unread(tail, since):
            if tail is not None and offset:  # it was written until then, so what comes now is later
                order.last = datetime.fromtimestamp(tail.written / 1e9, UTC)
            try:
                for batch in self._batches(file, offset, order):
                    sample = damaged[0] if damaged else batch.sample
                    yield replace(batch, bad=batch.bad + len(damaged), sample=sample)
                    damaged = []
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                damaged.append(f"{file} is damaged: {error}")

    def _unread(self, tail: Tail | None, since: datetime) -> list[tuple[Path, int]]:
        files = self._files(since)
        if tail is None:
            return [(file, 0) for file in files]
        for number in reversed(range(len(files))):
            if is_same(files[number], tail):
                return [(files[number], tail.offset), *((file, 0) for file in files[number + 1 :])]
        return [(file, 0) for file in files if file == self.file or file.stat().st_mtime_ns > tail.written]

    def _files(self, since: datetime) -> list[Path]:
        """Oldest first: rotated ones, then the log itself. One that is there plain and compressed is there once: it is
        being compressed, or was and is kept."""
        rotated = {
            file: file.stat().st_mtime
            for file in self.file.parent.glob(f"{_glob_safe(self.file.name)}[.-]*")
            if re.fullmatch(r"[.-][\d.-]+(\.gz)?", file.name.removeprefix(self.file.name))
        }
        once = (it for it in rotated if it.suffix != ".gz" or it.with_suffix("") not in rotated)
        recent = sorted((it for it in once if rotated[it] >= since.timestamp()), key=lambda it: rotated[it])
        return [*recent, self.file]

    def _batches(self, file: Path, offset: int, order: "_Order") -> Iterator[Batch]:
        """A line that is still being written waits, unless the file has been put away."""
        state = file.stat()
        found = _Found(self, written := datetime.fromtimestamp(state.st_mtime, UTC), order)
        with opened(file) as stream:
            beginning = stream.read(HEAD)

            def tail() -> Tail:
                return tail_at(beginning, offset, state.st_mtime_ns)

            skip(stream, offset, file)
            while line := stream.readline(LONGEST_LINE):
                if not line.endswith(b"\n") and len(line) < LONGEST_LINE and file == self.file:
                    break
                offset += len(line)
                found.add(line)
                if len(found.counts) >= MOST_COUNTS:
                    yield found.batch(tail())
                    found = _Found(self, written, order)
            yield found.batch(tail())

    def read_line(
        self, line: bytes, written: datetime, after: datetime | None = None
    ) -> tuple[Address, datetime] | None:
        """Source and moment of a line that matches, in a file that was last written to then; `after`: the moment of the
        line before it. None if it makes no sense."""
        source, at = _SOURCE.search(line), self._moment(line, written, after)
        if source is None or at is None:
            return None
        try:
            return plain_address(source[1].decode()), at
        except ValueError:
            return None

    def _moment(self, line: bytes, written: datetime, after: datetime | None) -> datetime | None:
        try:
            if iso := _ISO.match(line):
                at = datetime.fromisoformat((iso[1] + (iso[2] or b"")).decode())
                return at.astimezone(UTC) if at.tzinfo else _in_order(at.replace(tzinfo=self.zone), written, after)
            if old := _SYSLOG.match(line):
                day, hour, minute, second = (int(old[number]) for number in range(2, 6))
                year = written.astimezone(self.zone).year
                at = datetime(year, _MONTHS[old[1]], day, hour, minute, second, tzinfo=self.zone)
                return _in_order(at if at <= written + _LATE else at.replace(year=year - 1), written, after)
        except (ValueError, KeyError):
            return None
        return None


def _in_order(local: datetime, written: datetime, after: datetime | None) -> datetime:
    """The first of the two moments at which the clock showed this; the second, if the first would be out of order."""
    first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    fits = first < second <= written + OUT_OF_ORDER
    return second if fits and after is not None and first < after - OUT_OF_ORDER else first


@dataclass
class _Order:
    """How far a log has come, line by line, file by file."""

    last: datetime | None = None


@dataclass
class _Found:
    """One batch while it grows."""

    log: ConnectionLog
    written: datetime
    order: _Order
    counts: Counter[tuple[Address, datetime]] = field(default_factory=Counter)
    bad: int = 0
    sample: str | None = None

    def add(self, line: bytes) -> None:
        if self.log.match.encode() not in line:
            return
        read = self.log.read_line(line, self.written, self.order.last)
        if read is None:
            self.bad += 1
            self.sample = self.sample or line[:200].decode("utf-8", "replace").rstrip()
            return
        source, at = read
        self.order.last = at
        self.counts[source, at.replace(second=0, microsecond=0)] += 1

    def batch(self, tail: Tail) -> Batch:
        return Batch(dict(self.counts), tail, self.bad, self.sample)


def _glob_safe(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
