"""`ovs-appctl dpctl/dump-conntrack -m -s` -> usage per inside address.

    udp,orig=(src=10.0.0.5,dst=198.18.0.9,sport=40000,dport=53,packets=2,bytes=120),reply=(src=198.18.0.9,...),id=7,zone=6,
    status=SEEN_REPLY|CONFIRMED|SRC_NAT_DONE,timeout=59,protoinfo=(state=ESTABLISHED)

one session in one line; without -m and -s there are neither counters nor status. A packet that goes through several
zones is tracked in each of them (OVN does so for every session): a session with the addresses and ports of an earlier
line is that one again. Which side is the client: see `_sides`. How long ago a session was used or began is not told
without the device's clock.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_address

from switchguard.core.model import Network
from switchguard.ports import Capture, NatTable

from ._captured import Refuse, read_captured
from ._nat_tally import Entry
from ._sides import sides

_TUPLE = r"\(src=([0-9a-fA-F:.]+),dst=([0-9a-fA-F:.]+)((?:,[a-z]+=\d+)*)\)"
_ROW = re.compile(rf"([a-z0-9]+),orig={_TUPLE},reply={_TUPLE}((?:,[a-z_]+=(?:\([^()]*\)|[^(),]+))*)")
_NUMBER = re.compile(r",([a-z]+)=(\d+)")
NOISE = ("", "end")
"""The latter is what the driver has printed behind a whole answer."""
CAPTURE = Capture(printed_by=("ovs-appctl dpctl/dump-conntrack",), row=re.compile(r"[a-z0-9]+,orig=\(src="))

Key = tuple[str, str, str, str, str]


def read(chunks: Iterable[bytes], device: str, inside: Sequence[Network] = ()) -> NatTable:
    return read_captured(chunks, device, partial(_entries, inside=inside), inside)


def _entries(lines: Iterable[str], refuse: Refuse, inside: Sequence[Network]) -> Iterator[Entry]:
    """Of every session, once."""
    seen: set[Key] = set()
    for line in lines:
        if line.strip() in NOISE:
            continue
        found = _ROW.fullmatch(line.strip())
        try:
            entry = _entry(found, seen, inside) if found else None
        except ValueError:
            found = entry = None
        if not found:
            refuse(line)
        elif entry:
            yield entry


def _entry(row: re.Match[str], seen: set[Key], inside: Sequence[Network]) -> Entry | None:
    """None for one that was there before. ValueError for an address that is none."""
    protocol, source, destination, there, answers, answered, back, rest = row.groups()
    sent, received = dict(_NUMBER.findall(there)), dict(_NUMBER.findall(back))
    who = sides((ip_address(source), ip_address(destination)), (ip_address(answers), ip_address(answered)), inside)
    key = protocol, source, destination, *(sent.get(name, "") for name in ("sport", "dport"))
    if key in seen:
        return None
    seen.add(key)
    ways = (sent, received) if who.began else (received, sent)
    port = sent.get("dport") if who.began else sent.get("sport")
    return Entry(
        who.local.packed,
        protocol,
        who.remote.packed,
        int(port) if port and protocol in ("tcp", "udp") else None,
        unanswered=_unanswered(received, rest),
        octets=(int(ways[0]["bytes"]), int(ways[1]["bytes"])) if "bytes" in sent and "bytes" in received else None,
    )


def _unanswered(received: dict[str, str], rest: str) -> bool | None:
    if "packets" in received:
        return received["packets"] == "0"
    return "SEEN_REPLY" not in rest if ",status=" in rest else None
