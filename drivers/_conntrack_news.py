"""`conntrack -E` as it is printed -> usage per inside address, tick by tick.

    [NEW] ipv4     2 udp      17 30 src=10.20.0.7 dst=198.18.0.1 sport=6881 dport=6881 [UNREPLIED] src=198.18.0.1 ...

An event is a line of the table behind a word in brackets, ten characters wide; those of ended sessions have no time
left. conntrack says on its standard error when the kernel had to drop events: that is a line like any other here.
conntrack-tools 1.4.7 enlarges the wrong one of its two sockets (`ss -f netlink -m` shows it), so that there a burst of
some hundred sessions at once may already be too many: the stream is lost, begun again, and the table is read instead.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from switchguard.core.model import Address, NatUsage
from switchguard.errors import StreamLost

from ._conntrack import read_conntrack

_BUFFER = 16 << 20
"""Octets that the kernel keeps for conntrack when it cannot follow."""
_NOTICE = re.compile(rb"^NOTICE: .*\n", re.MULTILINE)
"""How large the buffer has become."""
_WORDS = (b"    [NEW] ", b"[DESTROY] ")


def command(event: str) -> str:
    """For a shell; `event` is NEW or DESTROY."""
    return f"exec conntrack -E -e {event} -o extended -b {_BUFFER} 2>&1"


def read_news(
    chunks: Iterable[bytes], device: str, own: Collection[Address], timeouts: Mapping[str, int]
) -> Iterator[tuple[NatUsage, ...]]:
    """One tuple per chunk, as complete as its lines are. StreamLost at a line that is no event."""
    rest = b""
    for chunk in chunks:
        text, newline, rest = (rest + chunk).rpartition(b"\n")
        yield _usages(text + newline, device, own, timeouts) if text else ()


def _usages(text: bytes, device: str, own: Collection[Address], timeouts: Mapping[str, int]) -> tuple[NatUsage, ...]:
    text = _NOTICE.sub(b"", text)
    for word in _WORDS:
        text = text.replace(word, b"")
    table = read_conntrack([text], device, own=own, timeouts=timeouts)
    if table.unparsed:
        _, line = table.samples[0]
        raise StreamLost(device, f"conntrack says no event, but {line!r}")
    return table.usages
