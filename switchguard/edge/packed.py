"""An answer that is compressed on the gateway and unpacked here: for a link that is slower than both.

A conntrack table becomes a fifth as long (gzip -1). On a fast link it only costs the gateway processor time; so it is
off unless the site says `compress: true` for the host.
"""

import zlib
from collections.abc import Iterable, Iterator

from switchguard.errors import UnexpectedOutput

AT_ONCE = 1 << 20
"""Octets that one step unpacks at most."""


def packed(command: str) -> str:
    """The command with its output through gzip, and its own exit status (POSIX sh has no pipefail)."""
    return f"exec 3>&1; status=$({{ {{ ( {command} ); echo $? >&4; }} | gzip -1 >&3; }} 4>&1); exit $status"


def unpacked(device: str, command: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """UnexpectedOutput if what came is no gzip, or less than all of it."""
    unpacker = zlib.decompressobj(31)
    try:
        for chunk in chunks:
            while chunk:
                if text := unpacker.decompress(chunk, AT_ONCE):
                    yield text
                chunk = unpacker.unconsumed_tail
    except zlib.error as error:
        raise UnexpectedOutput(device, command, f"no gzip came back ({error}); is it installed there?") from error
    if not unpacker.eof:
        raise UnexpectedOutput(device, command, "a compressed answer that was cut off")
