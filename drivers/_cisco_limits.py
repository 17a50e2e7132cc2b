"""`show ip nat limits all-host` of IOS-XE, saved -> how many translations each host has, and nothing else of them.

The cheapest answer to who fills the table: a line per host instead of one per translation. A router has it only while
all hosts have a cap (`ip nat translation max-entries all-host N`). It tells neither remote hosts nor ports, ages or
octets, so that no factor can be computed from it, and the clients of a saved one are ranked by their sessions. That is
all that it is read for: nobody who asks a live router can do with sessions alone, and for a table's size there is
`show ip nat statistics`. Hosts of the same address in several VRFs are one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from switchguard.core.model import NatUsage, Network
from switchguard.ports import Capture, NatTable

from ._captured import Lines, Strays
from ._sides import within

_HEADING = re.compile(r"Host\s+Max Entries\s+Use Count\s+Miss Count")
_ROW = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3})\s+(\d+)\s+(\d+)\s+(\d+)")
_TOTAL = re.compile(r"Total number of limit entries: (\d+)")
_NOISE = re.compile(
    r"-+|Load for five secs: .*; five minutes: \d+%|Time source is .+, \d+:\d\d:\d\d\S* .+ \d{4}|\S+[>#].*"
)
CAPTURE = Capture(
    printed_by=("show ip nat limits all-host",),
    row=re.compile(rf"\s*(?:{_HEADING.pattern}|{_ROW.pattern}|{_TOTAL.pattern})\s*$"),
)


def read_capture(chunks: Iterable[bytes], device: str, inside: Sequence[Network]) -> NatTable:
    """Incomplete unless the total is that of the rows."""
    lines, uses = Lines(chunks), Counter[IPv4Address]()
    strays, rows, total = Strays(lines), 0, None
    for raw in lines:
        line = raw.strip()
        if (row := _ROW.fullmatch(line)) and (host := _host(row[1])) is not None:
            rows += 1
            uses[host] += int(row[3])
        elif said := _TOTAL.fullmatch(line):
            total = int(said[1])
        elif line and not _HEADING.fullmatch(line) and not _NOISE.fullmatch(line):
            strays.refuse(raw)
    ours = {host: count for host, count in uses.items() if count and (not inside or within(host, inside))}
    usages = sorted((_usage(device, *it) for it in ours.items()), key=lambda it: (-it.sessions, int(it.address)))
    entries, complete = uses.total(), lines.complete and total == rows
    return NatTable(
        entries, tuple(usages), entries - sum(ours.values()), strays.count, strays.samples, complete=complete
    )


def _host(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def _usage(device: str, host: IPv4Address, sessions: int) -> NatUsage:
    """Nothing is known of them but their number."""
    return NatUsage(
        device,
        host,
        sessions,
        remotes=0,
        remote_ports=0,
        tcp_share=0.0,
        udp_share=0.0,
        unanswered_share=None,
        high_port_share=0.0,
        active_share=None,
    )
