"""A saved table from a file or standard input: its octets while they are read, and whose table it is.

gzip is told by its first octets, not by a name, and is inflated in a thread of its own while the driver reads. Text
from Windows (UTF-16, byte order marks) is recoded. The first lines are compared with how the rows of every driver's
captures begin; the driver with the most matches is meant.
"""

import codecs
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from switchguard import plugins
from switchguard.errors import CaptureError
from switchguard.ports import ReadsCapture

CHUNK = 1 << 20
HEAD_OCTETS = 1 << 16
HEAD_LINES = 200
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Opened:
    """A file that is being read: `head` first, then `chunks` once (the head is part of it)."""

    def __init__(self, name: str, stream: IO[bytes], tell: Callable[[int], None]) -> None:
        self.name = name
        self.damage = ""
        """Why not all of it could be read, as a sentence; to be asked at the end."""
        self._stream, self._tell = stream, tell
        self.chunks = _recoded(self._inflated())
        first: list[bytes] = []
        while sum(map(len, first)) < HEAD_OCTETS and (chunk := next(self.chunks, b"")):
            first.append(chunk)
        self.chunks = chain(first, self.chunks)
        self.head = _lines(b"".join(first))

    def _inflated(self) -> Iterator[bytes]:
        octets = self._octets()
        first = next(octets, b"")
        octets = chain([first], octets)
        return _one_ahead(self._unzipped(octets)) if first.startswith(_GZIP) else octets

    def _octets(self) -> Iterator[bytes]:
        """As they lie on disk, or come through a pipe."""
        try:
            while chunk := self._stream.read(CHUNK):
                self._tell(len(chunk))
                yield chunk
        except OSError as error:
            self.damage = f"{self.name}: {error.strerror or error}"

    def _unzipped(self, octets: Iterable[bytes]) -> Iterator[bytes]:
        """Also of several members, as rotated logs have them, and of what is left of a damaged file."""
        member = zlib.decompressobj(31)
        try:
            for chunk in octets:
                while chunk:
                    if member.eof:
                        member = zlib.decompressobj(31)
                    if text := member.decompress(chunk, CHUNK):
                        yield text
                    chunk = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
        except zlib.error as error:
            self.damage = f"{self.name}: damaged gzip ({error}); what comes before is counted"
            return
        if not member.eof:
            self.damage = f"{self.name}: the gzip file is cut off; what comes before is counted"


@contextmanager
def open_capture(path: str, tell: Callable[[int], None] = lambda _octets: None) -> Iterator[Opened]:
    """`-` is standard input. `tell` gets the number of octets after each read. CaptureError if it cannot be opened."""
    name = "standard input" if path == "-" else path
    with _stream(path) as stream:
        yield Opened(name, stream, tell)


def _stream(path: str) -> AbstractContextManager[IO[bytes]]:
    if path == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(path).open("rb", buffering=0)
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}") from error


def _one_ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The next one is made while this one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, chunks, b"")
        while chunk := coming.result():
            coming = pool.submit(next, chunks, b"")
            yield chunk


def _recoded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    if first.startswith(_UTF16):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        return (decoder.decode(chunk).encode() for chunk in chain([first], chunks))
    return chain([first.removeprefix(codecs.BOM_UTF8)], chunks)


def _lines(octets: bytes) -> tuple[str, ...]:
    """The first ones that say something."""
    text = octets[:HEAD_OCTETS].decode("utf-8", "replace").splitlines()
    return tuple(line for line in text[:HEAD_LINES] if line.strip())


# --- whose table it is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """One capture of one platform, and how many of the first lines begin like its rows."""

    platform: str
    table: str
    rows: int

    def __str__(self) -> str:
        return f"{self.platform} {self.table}"


def readers() -> tuple[str, ...]:
    """Platforms whose saved tables can be read."""
    return tuple(name for name in plugins.driver_names() if isinstance(plugins.driver(name), ReadsCapture))


def reader(platform: str) -> ReadsCapture:
    """CaptureError if that platform's saved tables cannot be read, UnknownPlugin if there is no such platform."""
    driver = plugins.driver(platform)
    if not isinstance(driver, ReadsCapture):
        raise CaptureError(f"no saved table of {platform} can be read; there are: {', '.join(readers())}")
    return driver


def recognise(head: Sequence[str], platforms: Iterable[str]) -> tuple[Kind, ...]:
    """What a file that begins like this may be, the best guess first; nothing if no line looks like a row."""
    kinds = (
        Kind(platform, table, sum(capture.row.match(line) is not None for line in head))
        for platform in platforms
        for table, capture in reader(platform).captures.items()
    )
    return tuple(sorted((kind for kind in kinds if kind.rows), key=lambda kind: -kind.rows))


def choose(file: Opened, platform: str | None, table: str | None) -> Kind:
    """What to read the file as. CaptureError if it is something else than it is said to be, or nothing known."""
    if platform is None:
        return _recognised(file, table)
    captures = reader(platform).captures
    if table is not None and table not in captures:
        raise CaptureError(f"{platform} has no saved table {table!r}; there are: {', '.join(captures)}")
    wanted = [kind for kind in recognise(file.head, [platform]) if table in (None, kind.table)]
    if wanted:
        return wanted[0]
    if others := recognise(file.head, readers()):
        other = others[0]
        raise CaptureError(
            f"{file.name} is no {platform} {table or 'table'}: it looks like {other}; "
            f"try --platform {other.platform} --table {other.table}"
        )
    return Kind(platform, table or next(iter(captures)), 0)


def _recognised(file: Opened, table: str | None) -> Kind:
    kinds = [kind for kind in recognise(file.head, readers()) if table in (None, kind.table)]
    if kinds:
        return kinds[0]
    if not file.head:
        raise CaptureError(f"{file.name} is empty; --platform says what it would be: {', '.join(readers())}")
    raise CaptureError(
        f"{file.name} looks like no saved table that is known; it begins {file.head[0][:80]!r}. "
        f"--platform says what it is: {', '.join(readers())}"
    )
