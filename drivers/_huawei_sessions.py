"""`display nat session all` of AR routers, `display firewall session table [verbose]` of USG -> usage per client.

A block of the former, whose labels differ for ICMP (`Type Code IcmpId`, `New IcmpId`), and which ends in `Total : N`:

    Protocol          : TCP(6)
    SrcAddr  Port Vpn : 10.10.0.7       3780
    DestAddr Port Vpn : 198.51.100.9    5888
    NAT-Info
      New SrcAddr     : 203.0.113.2
      New SrcPort     : ----
      New DestAddr    : ----
      New DestPort    : ----

eNSP prints the ports there with their octets swapped (5888 is 0x1700, and telnet's 23 is 0x0017), and nobody can tell
from a table whether a router does. So no ports are told from it: half of all HTTPS clients would seem to use high
ones. Its verbose form is not read, for want of an example.

A session of the latter is a line, or four to six when it is verbose:

    tcp  VPN: public --> public  ID: c487ff040b8e48826df65be3df4
    Zone: trust --> untrust  TTL: 00:20:00  Left: 00:19:59
    Recv Interface: GigabitEthernet1/0/0
    Interface: GigabitEthernet1/0/1  NextHop: 203.0.113.1  MAC: 0200-0000-0001
    <--packets: 14 bytes: 931 --> packets: 15 bytes: 736
    10.10.0.7:2057[203.0.113.2:2051] --> 198.51.100.9:443 PolicyName: web

What varies: the header (`Current Total Sessions : N`, missing on some releases), a line with the time before it, a
blank after `VPN:`, `Recv Interface` (younger), `+->` for sessions with an ALG, the real address in brackets after the
source or the destination, the word `Remote` for what the other unit of a pair sent (no session of this one), and lines
that a terminal of 80 columns has broken anywhere. The first word is a transport or a service: services have ports
too, of which transport is known for the usual ones.

Which side is the client: see `_sides`; one without translation must be private, where nobody said what is inside.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address

from switchguard.core.model import NatUsage, Network
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Capture, NatTable

from ._captured import Lines, Refuse, Strays, table_of
from ._nat_tally import Entry, Tallies
from ._sides import PRIVATE, sides, within

_IP = r"\d{1,3}(?:\.\d{1,3}){3}"
_END = rf"({_IP})(?::(\d+))?(?:\[({_IP})(?::\d+)?\])?"
_VPN = r"VPN: ?\S+ --> \S+"
_HEAD = rf"([a-z][\w.-]*) +{_VPN}"
_FLOW = rf"{_END} (?:--|\+-)> ?{_END}"
_SHORT = re.compile(rf"{_HEAD} +(Remote +)?{_FLOW}(?: PolicyName: ?\S+)?")
_LONG_HEAD = re.compile(rf"{_HEAD} +(Remote +)?ID: ?\w+")
_LONG_FLOW = re.compile(rf"{_FLOW}(?: PolicyName: ?\S+)?")
_ZONE = re.compile(r"Zone: ?\S+ --> \S+ +TTL: ?(\d+:\d\d:\d\d) +Left: ?(\d+:\d\d:\d\d)")
_OCTETS = re.compile(r"<--packets: ?(\d+) bytes: ?(\d+) +--> ?packets: ?(\d+) bytes: ?(\d+)")
_ABOUT = re.compile(r"(?:Recv )?Interface: ?\S+(?: +NextHop: ?\S+ +MAC: ?\S+)?")
_CURRENT = re.compile(r"Current [Tt]otal [Ss]essions ?: ?(\d+)")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: ?[+-]\d\d:\d\d)?(?: DST)?")
_PROMPT = re.compile(r"(?:HRP_[A-Z])?[<\[][\w.-]+[>\]] ?display .*")
_BEGINS = re.compile(
    rf"{_HEAD}|Zone:|(?:Recv )?Interface:|<--packets:|{_IP}(?::\d+)?[\[ ]|Current |\d{{4}}-\d\d-\d\d |HRP_"
    r"|[<\[][A-Za-z_]"
)
"""How the lines of a table begin, without the blank before them; what begins otherwise goes on with the one before."""
_TCP = frozenset({"tcp", "ftp", "ftp-data", "http", "https", "telnet", "ssh", "smtp", "pop3", "imap", "rtsp", "bgp"})
_UDP = frozenset({"udp", "ntp", "snmp", "tftp", "dhcp", "rip", "syslog"})
_NO_PORTS = frozenset({"icmp", "gre", "esp", "ah", "ospf", "igmp", "pim", "vrrp", "ipip"})

SESSIONS = "sessions"
FIREWALL = "firewall"
CAPTURES: Mapping[str, Capture] = {
    SESSIONS: Capture(
        printed_by=("display nat session all",),
        row=re.compile(r"\s*(?:NAT Session Table Information:|(?:Src|Dest)Addr +(?:Port +)?Vpn +: )"),
    ),
    FIREWALL: Capture(
        printed_by=("display firewall session table",),
        row=re.compile(rf"\s*{_HEAD} |\s*Current [Tt]otal [Ss]essions ?: ?\d"),
    ),
}


@dataclass(slots=True)
class _Flow:
    """A session while its lines are read: both ends as the initiator sees them, and the real addresses in brackets."""

    protocol: str = ""
    ends: tuple[IPv4Address, IPv4Address] | None = None
    real: tuple[IPv4Address | None, IPv4Address | None] = (None, None)
    ports: tuple[int | None, int | None] = (None, None)
    remote: bool = False
    """Of the other unit."""
    left: tuple[int, int] | None = None
    """Seconds that it may be idle, and that are left of them."""
    octets: tuple[int, int] | None = None
    """Of the initiator, and of whom it called."""


@dataclass(slots=True)
class _Counted:
    rows: int = 0
    said: int | None = None

    @property
    def whole(self) -> bool:
        return self.said == self.rows


_Reader = Callable[[Iterable[str], Refuse, _Counted], Iterator[_Flow]]


def usage(device: str, text: str, table: str) -> tuple[NatUsage, ...]:
    """UnexpectedOutput for a line that is none of the table's, or without a total that is that of its sessions."""
    tallies, counted = Tallies(), _Counted()

    def refuse(line: str) -> None:
        raise UnexpectedOutput(device, line)

    lines = (line + "\n" for line in text.splitlines())
    _tally(_Unbroken(line.encode() for line in lines), table, refuse, tallies, counted, ())
    if not counted.whole:
        raise UnexpectedOutput(device, text.strip()[-80:], f"{counted.rows} sessions of {counted.said}")
    return tallies.usages(device)


def read_capture(chunks: Iterable[bytes], device: str, table: str, inside: Sequence[Network]) -> NatTable:
    """Not `complete` when the table tells another total than that of its sessions."""
    lines, tallies, counted = _Unbroken(chunks), Tallies(inside), _Counted()
    strays = Strays(lines)
    _tally(lines, table, strays.refuse, tallies, counted, inside)
    found = table_of(lines, strays, tallies, device)
    return replace(found, complete=found.complete and (counted.whole or (counted.said is None and table == FIREWALL)))


def _tally(
    lines: Iterable[str], table: str, refuse: Refuse, tallies: Tallies, counted: _Counted, inside: Sequence[Network]
) -> None:
    for flow in _READERS[table](lines, refuse, counted):
        counted.rows += 1
        entry = _entry(flow, inside)
        if entry:
            tallies.add(entry)
        elif not flow.remote:
            tallies.add_nobodys()


def _entry(flow: _Flow, inside: Sequence[Network]) -> Entry | None:
    """None where it is no session of a client of this device."""
    if flow.remote or not flow.ends:
        return None
    (source, destination), (seen_as, real) = flow.ends, flow.real
    seen_as, real = seen_as or source, real or destination
    who = sides((source, destination), (real, seen_as), inside)
    began, local, remote = who.began, who.local, who.remote
    if not inside and began and not within(local, PRIVATE):
        if not within(real, PRIVATE) or real == destination:
            return None
        began, local, remote = False, real, source
    port = flow.ports[1] if began else flow.ports[0]
    octets = flow.octets if began or not flow.octets else (flow.octets[1], flow.octets[0])
    return Entry(
        local.packed,
        flow.protocol,
        remote.packed,
        port,
        unanswered=None if octets is None else (octets[0] == 0) != (octets[1] == 0),
        idle_s=None if flow.left is None else float(max(flow.left[0] - flow.left[1], 0)),
        octets=octets,
    )


# --- firewalls -------------------------------------------------------------------------------------------------------


class _Unbroken(Lines):
    """Lines as they were before a terminal broke them. `number` is that of a line's beginning."""

    def __iter__(self) -> Iterator[str]:
        held, begun = "", 0
        for line in super().__iter__():
            here = self.number
            if held and line.strip() and not line[0].isspace() and not _BEGINS.match(line):
                held += line
                continue
            if begun:
                self.number = begun
                yield held
                self.number = here
            held, begun = line, here
        if begun:
            self.number = begun
            yield held


def _firewall(lines: Iterable[str], refuse: Refuse, counted: _Counted) -> Iterator[_Flow]:
    flow, head_line = None, ""
    for raw in lines:
        line = " ".join(raw.split())
        if total := _CURRENT.fullmatch(line):
            counted.said = int(total[1])
        elif short := _SHORT.fullmatch(line):
            yield from _begun(_Flow(_transport(short[1]), remote=bool(short[2])), short.groups()[2:], raw, refuse)
        elif head := _LONG_HEAD.fullmatch(line):
            if flow:
                refuse(head_line)
            flow, head_line = _Flow(_transport(head[1]), remote=bool(head[2])), raw
        elif flow and (ends := _LONG_FLOW.fullmatch(line)):
            yield from _begun(flow, ends.groups(), raw, refuse)
            flow = None
        elif not line or _TIME.fullmatch(line) or _PROMPT.fullmatch(line):
            continue
        elif not flow or not _add(flow, line):
            refuse(raw)
    if flow:
        refuse(head_line)


def _begun(flow: _Flow, said: Sequence[str | None], raw: str, refuse: Refuse) -> Iterator[_Flow]:
    """The session with its ends, or nothing if an address is none."""
    told = said[0], said[3], said[2], said[5]
    source, destination, seen_as, real = (_address(text) for text in told)
    if source is None or destination is None or (told[2] and not seen_as) or (told[3] and not real):
        refuse(raw)
        return
    sport, dport = said[1], said[4]
    flow.ends, flow.real = (source, destination), (seen_as, real)
    if flow.protocol not in _NO_PORTS:
        flow.ports = int(sport) if sport else None, int(dport) if dport else None
    yield flow


def _add(flow: _Flow, line: str) -> bool:
    if zone := _ZONE.fullmatch(line):
        flow.left = _seconds(zone[1]), _seconds(zone[2])
    elif octets := _OCTETS.fullmatch(line):
        flow.octets = int(octets[4]), int(octets[2])
    else:
        return bool(_ABOUT.fullmatch(line))
    return True


def _transport(word: str) -> str:
    return "tcp" if word in _TCP else "udp" if word in _UDP else word


def _seconds(span: str) -> int:
    hours, minutes, seconds = (int(part) for part in span.split(":"))
    return hours * 3600 + minutes * 60 + seconds


# --- routers ---------------------------------------------------------------------------------------------------------

_NAT_PROTOCOL = re.compile(r"Protocol : (\w+)\(\d+\)")
_NAT_END = re.compile(rf"(Src|Dest)Addr (?:Port )?Vpn : ({_IP})(?: \d+)?(?: [A-Za-z_]\S*)?")
_NAT_NEW = re.compile(rf"New (Src|Dest)Addr : ({_IP}|-+)")
_NAT_OTHER = re.compile(
    r"NAT Session Table Information:|NAT-Info|Type Code IcmpId : \d+ \d+ \d+"
    r"|New (?:SrcPort|DestPort|IcmpId) : (?:\d+|-+)"
)
_NAT_TOTAL = re.compile(r"Total : (\d+)")


@dataclass(slots=True)
class _Block:
    protocol: str
    ends: dict[str, IPv4Address] = field(default_factory=dict)
    new: dict[str, IPv4Address | None] = field(default_factory=dict)

    @property
    def flow(self) -> _Flow | None:
        """None for a block that lacks something."""
        if self.ends.keys() != {"Src", "Dest"} or self.new.keys() != {"Src", "Dest"}:
            return None
        return _Flow(self.protocol, (self.ends["Src"], self.ends["Dest"]), (self.new["Src"], self.new["Dest"]))


def _router(lines: Iterable[str], refuse: Refuse, counted: _Counted) -> Iterator[_Flow]:
    block: _Block | None = None
    for raw in lines:
        line = " ".join(raw.split())
        protocol, total = _NAT_PROTOCOL.fullmatch(line), _NAT_TOTAL.fullmatch(line)
        if protocol or total:
            yield from _finished(block, refuse)
            block = _Block(protocol[1].lower()) if protocol else None
            counted.said = int(total[1]) if total else counted.said
        elif block and (end := _NAT_END.fullmatch(line)) and (address := _address(end[2])):
            block.ends[end[1]] = address
        elif block and (new := _NAT_NEW.fullmatch(line)) and (new[2].startswith("-") or _address(new[2])):
            block.new[new[1]] = _address(new[2])
        elif line and not _NAT_OTHER.fullmatch(line) and not _PROMPT.fullmatch(line):
            refuse(raw)
    yield from _finished(block, refuse)


def _finished(block: _Block | None, refuse: Refuse) -> Iterator[_Flow]:
    if block and (flow := block.flow):
        yield flow
    elif block:
        refuse(f"Protocol : {block.protocol}")


@lru_cache(maxsize=1 << 16)
def _address(text: str | None) -> IPv4Address | None:
    """None for what is none."""
    try:
        return IPv4Address(text or "")
    except ValueError:
        return None


_READERS: Mapping[str, _Reader] = {SESSIONS: _router, FIREWALL: _firewall}
