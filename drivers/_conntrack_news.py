"""`conntrack -E` as it is printed -> usage per inside address, tick by tick.

    [NEW] ipv4     2 udp      17 30 src=10.20.0.7 dst=198.18.0.1 sport=6881 dport=6881 [UNREPLIED] src=198.18.0.1 ...

An event is a line of the table behind a word in brackets, ten characters wide; those of ended sessions have no time
left. When the kernel had to drop events, conntrack says so in three lines and goes on: so does the stream, with a tick
that says that it is not complete.

conntrack-tools 1.4.7 enlarges the wrong one of its two sockets (`ss -f netlink -m` shows it), 1.4.8 the right one. So
with 1.4.7 a burst is too much for it whatever the size: of 3,000 sessions that began within 40 ms, it told 2,300. Only
the kinds of events that are asked for are sent to it at all; filters by address (`-s`) are its own business, after the
kernel has sent everything, and spare no event.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from switchguard.core.model import Address, NatUsage
from switchguard.errors import StreamLost
from switchguard.ports import Tick

from ._conntrack import read_conntrack

_BUFFER = 64 << 20
"""Octets that the kernel keeps for conntrack when it cannot follow."""
_NOTICE = re.compile(rb"^NOTICE: .*\n", re.MULTILINE)
"""How large the buffer has become."""
_DROPPED = re.compile(
    rb"^(?:WARNING: We have hit ENOBUFS! |This message means that the current netlink socket buffer |"
    rb"Please, check --buffer-size ).*\n",
    re.MULTILINE,
)
_BY_HAND = re.compile(rb" +\[USERSPACE\] portid=.*$", re.MULTILINE)
"""Who deleted it, where somebody did: conntrack itself, after one of our blocks."""
_WORDS = (b"    [NEW] ", b"[DESTROY] ")


def command(event: str) -> str:
    """For a shell; `event` is NEW or DESTROY."""
    return f"exec conntrack -E -e {event} -o extended -b {_BUFFER} 2>&1"


def read_news(
    chunks: Iterable[bytes], device: str, own: Collection[Address], timeouts: Mapping[str, int]
) -> Iterator[Tick]:
    """One tick per chunk, as complete as its lines are. StreamLost at a line that is no event."""
    rest = b""
    for chunk in chunks:
        text, newline, rest = (rest + chunk).rpartition(b"\n")
        text, dropped = _DROPPED.subn(b"", text + newline)
        missed = "conntrack could not follow the kernel: more sessions came at once than its buffer holds"
        yield Tick(_usages(text, device, own, timeouts) if text else (), missed if dropped else "")


def _usages(text: bytes, device: str, own: Collection[Address], timeouts: Mapping[str, int]) -> tuple[NatUsage, ...]:
    text = _BY_HAND.sub(b"", _NOTICE.sub(b"", text))
    for word in _WORDS:
        text = text.replace(word, b"")
    table = read_conntrack([text], device, own=own, timeouts=timeouts)
    if table.unparsed:
        _, line = table.samples[0]
        raise StreamLost(device, f"conntrack says no event, but {line!r}")
    return table.usages
