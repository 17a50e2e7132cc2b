"""`/ip firewall connection print` of RouterOS 6 and 7, terse, detail or as a table -> usage per inside address.

    0 SAC Fs protocol=tcp src-address=10.10.0.7:1643 dst-address=198.18.0.5:443 ... orig-bytes=25 675
      orig-fasttrack-bytes=5 395 repl-bytes=56 568 ...

Own parser: the template of ntc-templates needs a TCP state, and raises on every row of UDP. Ports are joined to the
address on RouterOS 6, and fields of their own for IPv6 and on RouterOS 7. Numbers are grouped by blanks. Details wrap,
also in the middle of a number. Octets of fasttracked packets are counted apart, and are added here. Flags: `S` a reply
was seen, `s` and `d` one end is translated. `timeout` counts down from a setting, so that nothing tells how long ago
a session was used. The table (`print` alone) has neither octets nor translated addresses.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from switchguard.core.model import Address, Network
from switchguard.ports import Capture, NatTable

from ._captured import Refuse, read_captured
from ._nat_tally import Entry
from ._routeros_print import fields, put_together
from ._sides import sides

_NUMBER = r"\d{1,3}(?: \d{3})*|\d+"
_SIDES = ("src", "dst", "reply-src", "reply-dst")
_SHAPES: Mapping[str, re.Pattern[str]] = {
    key: re.compile(shape)
    for keys, shape in (
        (("protocol", "tcp-state"), r"[a-z0-9][a-z0-9-]*"),
        ([f"{side}-address" for side in _SIDES], r"\d+(?:\.\d+){3}(?::\d+)?|[0-9a-f:.]+|\[[0-9a-f:.]+\]:\d+"),
        ([f"{side}-port" for side in _SIDES], r"\d{1,5}"),
        (("icmp-type", "icmp-code", "icmp-id"), r"\d+"),
        (("gre-key", "gre-version", "gre-protocol", "connection-type", "connection-mark", "p2p"), r"\S*"),
        (("timeout",), r"(?:\d+[wdhms])+"),
        ([f"{way}-{kind}" for way in ("orig", "repl") for kind in ("packets", "bytes")], _NUMBER),
        ([f"{way}-fasttrack-{kind}" for way in ("orig", "repl") for kind in ("packets", "bytes")], _NUMBER),
        (("orig-rate", "repl-rate"), r"[\d.]+ ?[kMG]?bps"),
    )
    for key in keys
}
_FLAGS = r"[ESACDFHscd* ]*?"
_HEAD = re.compile(rf"\s*\d+\s+({_FLAGS})\s*(protocol=.*)")
_END = r"\d+(?:\.\d+){3}(?::\d+)?|[0-9a-f]*:[0-9a-f:.]+|\[[0-9a-f:.]+\]:\d+"
_TABLE_ROW = re.compile(
    rf"\s*\d+\s+({_FLAGS})\s*((?!protocol=)[a-z][a-z0-9-]*)\s+({_END})\s+({_END})"
    r"(?:\s+[a-z][a-z-]*)?(?:\s+(?:\d+[wdhms])+)?"
)
CAPTURE = Capture(
    printed_by=("firewall connection print",),
    row=re.compile(
        rf"\s*\d+\s+{_FLAGS}\s*(?:protocol=\S+ |(?!protocol=)[a-z][a-z0-9-]*\s+(?:{_END})\s+(?:{_END})(?:\s|$))"
    ),
)


class _End(NamedTuple):
    address: Address
    port: int | None


def read(chunks: Iterable[bytes], device: str, inside: Sequence[Network] = ()) -> NatTable:
    return read_captured(chunks, device, partial(_entries, inside=inside), inside)


def _entries(lines: Iterable[str], refuse: Refuse, inside: Sequence[Network]) -> Iterator[Entry]:
    for line, flags, text in put_together(lines, _HEAD):
        try:
            entry = _detailed(flags, text, inside) if text else _tabulated(line, inside)
        except ValueError:
            entry = None
        if entry:
            yield entry
        else:
            refuse(line)


def _detailed(flags: str, text: str, inside: Sequence[Network]) -> Entry | None:
    """ValueError for an address that is none; None for a row with anything that is not known, or too little."""
    told = fields(text)
    if not all(key in _SHAPES and _SHAPES[key].fullmatch(value) for key, value in told.items()):
        return None
    if any(f"{side}-address" not in told for side in _SIDES) or "timeout" not in told:
        return None
    ends = [_end(told[f"{side}-address"], told.get(f"{side}-port")) for side in _SIDES]
    return _entry(told["protocol"], flags, ends, _octets(told), inside)


def _tabulated(line: str, inside: Sequence[Network]) -> Entry | None:
    row = _TABLE_ROW.fullmatch(line.rstrip())
    if not row:
        return None
    source, destination = _end(row[3]), _end(row[4])
    return _entry(row[2], row[1], [source, destination, destination, source], None, inside)


def _entry(
    protocol: str, flags: str, ends: Sequence[_End], octets: tuple[int, int] | None, inside: Sequence[Network]
) -> Entry:
    source, destination, answering, answered = ends
    who = sides((source.address, destination.address), (answering.address, answered.address), inside)
    port = destination.port if who.began else source.port
    return Entry(
        who.local.packed,
        protocol,
        who.remote.packed,
        port if protocol in ("tcp", "udp") else None,
        unanswered="S" not in flags,
        octets=octets if who.began or octets is None else octets[::-1],
    )


def _end(text: str, port: str | None = None) -> _End:
    address, joined = text, port
    if text.startswith("["):
        address, _, joined = text[1:].rpartition("]:")
    elif "." in text and text.count(":") == 1:
        address, _, joined = text.partition(":")
    return _End(ip_address(address), int(joined) if joined else None)


def _octets(told: Mapping[str, str]) -> tuple[int, int] | None:
    """From whoever began it, to it. None where the device was not asked for them."""
    if "orig-bytes" not in told or "repl-bytes" not in told:
        return None
    sent, received = (
        sum(int(told.get(f"{way}-{kind}", "0").replace(" ", "")) for kind in ("bytes", "fasttrack-bytes"))
        for way in ("orig", "repl")
    )
    return sent, received
