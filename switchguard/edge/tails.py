"""A file that others write to, read on from where reading stopped.

Where that was is known by how the file began and how far it was read, not by its name or inode: so one that was
renamed, compressed, or copied and truncated is recognised.
"""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

HEAD = 512
"""Octets at the beginning that identify a file: a few lines with their time stamps."""
LONGEST_LINE = 16_384
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Tail:
    """How far a log has been read: the file that begins like this, up to here."""

    head: int
    """How many octets the digest is of."""
    digest: str
    offset: int
    written: int
    """When the file had been written to last, in nanoseconds since 1970."""

    def spelled(self) -> str:
        return f"{self.head} {self.digest} {self.offset} {self.written}"

    @classmethod
    def read(cls, text: str) -> "Tail":
        head, digest, offset, written = text.split()
        return cls(int(head), digest, int(offset), int(written))


def tail_at(beginning: bytes, offset: int, written: int) -> Tail:
    """A file that begins like this has been read up to the offset."""
    head = beginning[:offset]
    return Tail(len(head), hashlib.sha256(head).hexdigest(), offset, written)


def is_same(file: Path, tail: Tail) -> bool:
    """An empty file begins like any other, and its inode may be another file's by now: nothing tells which it was."""
    if not tail.head:
        return False
    try:
        with opened(file) as stream:
            return hashlib.sha256(stream.read(tail.head)).hexdigest() == tail.digest
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def opened(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def skip(stream: IO[bytes], offset: int, file: Path) -> None:
    """A compressed stream cannot go back; its beginning is read anew, in pieces."""
    if file.suffix != ".gz":
        stream.seek(offset)
        return
    stream.seek(0)
    while offset > 0 and (piece := stream.read(min(offset, _CHUNK))):
        offset -= len(piece)
