"""What VyOS prints of its connections -> usage per inside address. For tables that somebody saved.

    show conntrack table ipv4 (Vyatta, EdgeOS, VyOS 1.2 and 1.3; a legend of the states above it)
        1015736576 10.10.0.7:58172        198.18.0.12:22         tcp [6] ES       430279
    the same of early 1.4, and with both directions, mark and zone of later ones
        3409467955  10.10.0.7:50112  198.18.0.1:443  tcp  ESTABLISHED  431999
        2033666077  10.10.0.7:50112  198.18.0.1:443  198.18.0.1:443  203.0.113.5:50112  tcp  ESTABLISHED  431999  0
    show nat source translations (no remote hosts; icmp with an id or without; a type, or mark and zone, at the end)
        10.10.0.7:123        203.0.113.5:123      udp   19

None tells octets. Without the directions of answers, the private side is the client. TCP that has not got further than
SYN SENT counts as unanswered; of other protocols it is not told. Sessions of connectionless protocols have no state,
and columns of marks may be empty, so that a row is told by its addresses.
Sources: vyos-1x (src/op_mode/conntrack.py, nat.py, show_nat_translations.py, pull requests 656 and 1407) and the VyOS
documentation of conntrack-sync.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from switchguard.core.model import Address, Network
from switchguard.ports import Capture, NatTable

from ._captured import Refuse, read_captured
from ._nat_tally import Entry
from ._sides import sides

_END = r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?|[0-9a-f]*:[0-9a-f:.]+"
_PROTOCOL = r"[a-z][a-z0-9-]*|\d{1,3}"
_VYATTA = re.compile(rf"\d+\s+({_END})\s+({_END})\s+({_PROTOCOL})\s+\[\d+\](?:\s+([A-Z]{{2}}))?\s+\d+")
_TABULATED = re.compile(
    rf"\d+\s+({_END})\s+({_END})(?:\s+({_END})\s+({_END}))?\s+({_PROTOCOL})(?:\s+([A-Z][A-Z0-9_]+))?\s+\d+"
    r"(?:\s+\d+){0,2}"
)
_TRANSLATION = re.compile(rf"({_END})\s+({_END})\s+({_PROTOCOL})\s+\d+(?:\s+(?:\d+|[a-z]+)){{0,2}}")
_NOISE = re.compile(
    r"TCP state codes: .*|FW - FIN WAIT, .*|TW - TIME WAIT, .*|CONN ID\s+Source\s.*|Connection id\s+Source\s.*"
    r"|Id\s+Original src\s.*|Pre-NAT\s+Post-NAT\s.*|[-\s]*|Entries not found"
)
_SILENT = {"SS", "SYN_SENT"}
_NO_PORTS = {"icmp", "icmpv6", "gre", "esp", "ah", "ospf", "igmp", "unknown"}
CAPTURES: Mapping[str, Capture] = {
    "conntrack": Capture(("show conntrack table",), re.compile(rf"\s*(?:{_VYATTA.pattern}|{_TABULATED.pattern})\s*$")),
    "translations": Capture(("show nat source translations",), re.compile(rf"\s*(?:{_TRANSLATION.pattern})\s*$")),
}


class _End(NamedTuple):
    address: Address
    port: int | None


def read(chunks: Iterable[bytes], table: str, device: str, inside: Sequence[Network] = ()) -> NatTable:
    make = partial(_session, inside=inside) if table == "conntrack" else _translation
    return read_captured(chunks, device, partial(_entries, make=make), inside)


def _entries(lines: Iterable[str], refuse: Refuse, make: Callable[[str], Entry | None]) -> Iterator[Entry]:
    for line in lines:
        said = line.strip()
        if _NOISE.fullmatch(said):
            continue
        try:
            entry = make(said)
        except ValueError:
            entry = None
        if entry:
            yield entry
        else:
            refuse(line)


def _session(line: str, inside: Sequence[Network]) -> Entry | None:
    """ValueError for an address that is none."""
    if found := _VYATTA.fullmatch(line):
        protocol, state = found[3], found[4]
        back = found[2], found[1]
    elif found := _TABULATED.fullmatch(line):
        protocol, state = found[5], found[6]
        back = (found[3], found[4]) if found[3] else (found[2], found[1])
    else:
        return None
    source, destination = _end(found[1], protocol), _end(found[2], protocol)
    answering, answered = _end(back[0], protocol), _end(back[1], protocol)
    who = sides((source.address, destination.address), (answering.address, answered.address), inside)
    return Entry(
        who.local.packed,
        protocol,
        who.remote.packed,
        destination.port if who.began else source.port,
        unanswered=state in _SILENT if protocol == "tcp" and state else None,
    )


def _translation(line: str) -> Entry | None:
    found = _TRANSLATION.fullmatch(line)
    return Entry(_end(found[1], found[3]).address.packed, found[3], None, None) if found else None


def _end(text: str, protocol: str) -> _End:
    """A port is joined to its address by a colon, also to one of IPv6; translations of icmp have an id there."""
    if protocol in _NO_PORTS and ("." not in text or ":" not in text):
        return _End(ip_address(text), None)
    address, _, port = text.rpartition(":")
    return _End(ip_address(address), int(port) if protocol in ("tcp", "udp") else None)
