"""`show security flow session` of an SRX, as text and through `| display xml` -> usage per inside address.

    Session ID: 254, Policy name: web/4, State: Stand-alone, Timeout: 1800, Valid
      In: 10.20.0.13/54397 --> 198.51.100.2/443;tcp, Conn Tag: 0x0, If: ge-0/0/2.0, Pkts: 7, Bytes: 1925,
      Out: 198.51.100.2/443 --> 203.0.113.2/2772;tcp, Conn Tag: 0x0, If: ge-0/0/1.0, Pkts: 5, Bytes: 1865,
    Total sessions: 1

What varies: the head of a session (`Valid` alone, `Session State: Valid`, `State: ...` on some releases, `HA State:
...` in a cluster, `Service-set: ...` in `show services sessions` of an MX), the end of its lines (comma, nothing, or
`CP Session ID: n`), `Conn Tag` (younger), and the frames around the sessions of each node and each PIC. Every frame
ends in its own total.

Which side is the client: see `_sides`; where nobody said which networks are inside, it must be private or translated.
In a cluster both nodes list a session: only the active one counts. Sessions of the device itself (interface
`.local..n`) and those of one direction (ends of a tunnel) are nobody's.

The text tells how long a session may still be idle, not how long it has been; XML tells both, and the age. XML is read
line by line, one element in each, as the command line prints it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import NamedTuple

from switchguard.core.model import Address, Network
from switchguard.ports import Capture, NatTable

from ._captured import Lines, Refuse, Strays, table_of
from ._nat_tally import Entry, Tallies
from ._sides import PRIVATE, sides, within

_HEAD = re.compile(
    r"Session ID: \d+(?:, Service-set: [^,]+)?, Policy name: [^,]+(?:, (?:HA )?State: (?P<state>[\w -]+))?"
    r", Timeout: (?:-?\d+|N/A)(?:, Session State)?(?:: |, )(?:Valid|Pending|Invalid)"
)
_END = r"([\d.]+|[0-9a-fA-F:]+(?:\.[\d.]+)?)/(\d+)"
_WING = re.compile(
    rf"(In|Out): {_END} --> {_END};([\w.-]+)(?:, Conn Tag: 0x[0-9a-f]+)?, If: (\S+), Pkts: (\d+), Bytes: (\d+)"
    r"(?:,| *, CP Session ID: \d+,?)?"
)
_TOTAL = re.compile(r"Total sessions: (\d+)")
_FRAME = re.compile(r"node\d+:|-{10,}|Flow Sessions on FPC\d+ PIC\d+:")
_OWN = ".local."
_DOUBLE = "Backup"


class Wing(NamedTuple):
    """One direction of a session."""

    source: Address
    source_port: int
    destination: Address
    destination_port: int
    protocol: str
    interface: str
    packets: int
    octets: int


@dataclass(slots=True)
class _Session:
    """While its lines are read."""

    state: str = ""
    forth: Wing | None = None
    back: Wing | None = None
    idle_s: float | None = None
    age_s: float | None = None


TEXT = Capture(
    printed_by=("show security flow session", "show services sessions"),
    row=re.compile(r"\s*(?:Session ID: \d+, (?:Service-set|Policy name): |(?:In|Out): \S+/\d+ --> \S+/\d+;)"),
)
XML = Capture(
    printed_by=("show security flow session | display xml",),
    row=re.compile(r"\s*<(?:flow-session[ >]|flow-information[ >]|session-identifier>)"),
)


class _Counted:
    """Sessions of a table, and whether every frame of it had its total."""

    def __init__(self) -> None:
        self.since_total = self.totals = 0
        self.wrong = ""
        """A total that is not that of its sessions."""

    def total(self, line: str, number: int) -> None:
        if number != self.since_total:
            self.wrong = self.wrong or line
        self.since_total = 0
        self.totals += 1

    @property
    def whole(self) -> bool:
        return not self.wrong and not self.since_total and self.totals > 0


@lru_cache(1 << 16)
def _address(text: str) -> Address:
    """Kept, because most come again. ValueError for a text that is none."""
    return ip_address(text)


def read_text(chunks: Iterable[bytes], device: str, inside: Sequence[Network] = ()) -> NatTable:
    """Not `complete` when a total is missing, or is another than that of the sessions before it."""
    return _read(chunks, device, inside, _in_text)


def read_xml(chunks: Iterable[bytes], device: str, inside: Sequence[Network] = ()) -> NatTable:
    return _read(chunks, device, inside, _in_xml)


_Sessions = Callable[[Iterable[str], Refuse, _Counted], Iterator[_Session]]


def _read(chunks: Iterable[bytes], device: str, inside: Sequence[Network], sessions: _Sessions) -> NatTable:
    lines, tallies, counted = Lines(chunks), Tallies(inside), _Counted()
    strays = Strays(lines)
    for session in sessions(lines, strays.refuse, counted):
        entry = _entry(session, inside)
        if entry:
            tallies.add(entry)
        elif session.state != _DOUBLE:
            tallies.add_nobodys()
    return replace(table_of(lines, strays, tallies, device), complete=counted.whole)


def _entry(session: _Session, inside: Sequence[Network]) -> Entry | None:
    forth, back = session.forth, session.back
    if session.state == _DOUBLE or not forth or not back or _is_own(forth) or _is_own(back):
        return None
    who = sides((forth.source, forth.destination), (back.source, back.destination), inside)
    untranslated = (forth.source, forth.destination) == (back.destination, back.source)
    if not inside and untranslated and not within(who.local, PRIVATE):
        return None
    ways = (forth.octets, back.octets) if who.began else (back.octets, forth.octets)
    port = forth.destination_port if who.began else forth.source_port
    return Entry(
        who.local.packed,
        forth.protocol,
        who.remote.packed,
        port if forth.protocol in ("tcp", "udp") else None,
        unanswered=back.packets == 0,
        idle_s=session.idle_s,
        age_s=session.age_s,
        octets=ways,
    )


def _is_own(wing: Wing) -> bool:
    return wing.interface.startswith(_OWN)


# --- text ------------------------------------------------------------------------------------------------------------


def _in_text(lines: Iterable[str], refuse: Refuse, counted: _Counted) -> Iterator[_Session]:
    session: _Session | None = None
    for line in lines:
        text = line.strip()
        wing, head = _WING.fullmatch(text), _HEAD.fullmatch(text)
        if session and not wing and text:
            yield session
            session = None
        if head:
            session, counted.since_total = _Session(head["state"] or ""), counted.since_total + 1
        elif wing and session and _add(session, wing):
            continue
        elif total := _TOTAL.fullmatch(text):
            counted.total(line, int(total[1]))
        elif text and not _FRAME.fullmatch(text):
            refuse(line)
    if session:
        yield session


def _add(session: _Session, found: re.Match[str]) -> bool:
    """False for a direction that the session has already, or an address that is none."""
    way, source, sport, destination, dport, protocol, interface, packets, octets = found.groups()
    try:
        ends = _address(source), int(sport), _address(destination), int(dport)
    except ValueError:
        return False
    wing = Wing(*ends, protocol, interface, int(packets), int(octets))
    if way == "In" and not session.forth:
        session.forth = wing
    elif way == "Out" and session.forth and not session.back:
        session.back = wing
    else:
        return False
    return True


# --- XML -------------------------------------------------------------------------------------------------------------

_ELEMENT = re.compile(r"<([\w-]+)(?: [^<>]*)?>([^<>]*)</\1>|<([\w-]+)(?: [^<>]*)?/>")
_TAG = re.compile(r"<(/?)([\w-]+)(?: [^<>]*)?>|<\?xml [^<>]*\?>")


def _in_xml(lines: Iterable[str], refuse: Refuse, counted: _Counted) -> Iterator[_Session]:
    session: dict[str, str] = {}
    wings: list[dict[str, str]] = []
    told = session
    for line in lines:
        text = line.strip()
        element, tag = _ELEMENT.fullmatch(text), _TAG.fullmatch(text)
        if element and element[1] == "displayed-session-count" and element[2].strip().isdigit():
            counted.total(line, int(element[2]))
        elif element:
            told[element[1] or element[3]] = (element[2] or "").strip()
        elif tag and tag[2] == "flow-session" and not tag[1]:
            session, wings = {}, []
            told = session
        elif tag and tag[2] == "flow-information" and not tag[1]:
            told = {}
            wings.append(told)
        elif tag and tag[2] == "flow-session":
            counted.since_total += 1
            yield from _of_elements(session, wings, partial(refuse, line))
            told = {}
        elif text and not tag:
            refuse(line)


def _of_elements(
    session: dict[str, str], wings: list[dict[str, str]], refuse: Callable[[], None]
) -> Iterator[_Session]:
    try:
        made = [_wing(wing) for wing in wings]
        idle, age = _idle(session), float(session["duration"]) if "duration" in session else None
    except (KeyError, ValueError):
        refuse()
        return
    if [wing.get("direction") for wing in wings] not in (["In"], ["In", "Out"]):
        refuse()
        return
    yield _Session(session.get("session-state", ""), made[0], made[1] if len(made) > 1 else None, idle, age)


def _wing(told: dict[str, str]) -> Wing:
    """KeyError or ValueError for one that lacks something."""
    return Wing(
        _address(told["source-address"]),
        int(told["source-port"]),
        _address(told["destination-address"]),
        int(told["destination-port"]),
        told["protocol"],
        told["interface-name"],
        int(told["pkt-cnt"]),
        int(told["byte-cnt"]),
    )


def _idle(session: dict[str, str]) -> float | None:
    """The clock of a session is set to its timeout by every packet. None for one that has more left than that."""
    configured, left = session.get("configured-timeout", ""), session.get("timeout", "")
    idle = int(configured) - int(left) if configured.isdigit() and left.isdigit() else -1
    return float(idle) if idle >= 0 else None
