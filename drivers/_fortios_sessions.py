"""The two session lists of FortiOS -> usage per inside address.

`diagnose sys session list`: about twenty lines per session, and a total that finishes the answer:

    session info: proto=6 proto_state=01 duration=83 expire=3576 timeout=3600 flags=00000000 ... use=4
    statistic(bytes/packets/allow_err): org=3969/32/1 reply=16481/45/1 tuples=2
    hook=post dir=org act=snat 10.10.0.7:52345->198.18.0.34:443(203.0.113.5:52345)
    hook=pre dir=reply act=dnat 198.18.0.34:443->203.0.113.5:52345(10.10.0.7:52345)

FortiOS 5.0 tells no duration. A timeout of 0 (UDP, ICMP) tells nothing about when a session was used; elsewhere that is
timeout less expire. ICMP has its id for a source port and its type for a destination port. Sessions of a virtual wire
pair may have a `reflect info` besides, with a total of its own.

`get system session list`: six columns that overflow, `-` where nothing is translated, no octets, no total:

    tcp     3570   10.10.0.7:49378  203.0.113.1:49378 198.18.3.131:443 -

Both are of the VDOM that the user is in. Which side is the client: see `_sides`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address

from switchguard.core.model import Address, Network
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Capture, NatTable

from ._captured import Refuse, read_captured
from ._nat_tally import Entry
from ._sides import Sides, sides

_INFO = re.compile(
    r"session info: proto=(\d+) proto_state=\w+(?: duration=(\d+))? expire=(\d+) timeout=(\d+) .*\buse=\d+"
)
_STATISTIC = re.compile(
    r"statistic\(bytes/packets/(?:allow_)?err\): org=(\d+)/(\d+)/\d+ reply=(\d+)/(\d+)/\d+ tuples=\d+"
)
_V4 = r"\d+(?:\.\d+){3}"
_HOOK = re.compile(rf"hook=\w+ dir=(org|reply) act=(?:noop|snat|dnat) ({_V4}):(\d+)->({_V4}):(\d+)\({_V4}:\d+\)")
_TOTAL = re.compile(r"total session:? (\d+)")
_OTHER = re.compile(
    r"(?!session info|statistic|hook=)"
    r"(?:(?:[a-z][\w -]*(?:\([\w/]+\))?|orgin->sink) ?[=:].*|pos/\(.*|reflect info \d+:|total reflect session num: \d+)"
)
_LIST_HEAD = re.compile(r"PROTO +EXPIRE +SOURCE +SOURCE-NAT +DESTINATION +DESTINATION-NAT")
_END = rf"{_V4}(?::\d+)?"
_LIST_ROW = re.compile(rf"([a-z0-9-]+) +(\d+) +({_END}) +(-|{_END}) +({_END}) +(-|{_END})")
_PROMPT = re.compile(r"\S+ (?:\([\w.-]+\) )?[#$] .*")
_NAMES = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmpv6", 132: "sctp"}
"""IANA, Assigned Internet Protocol Numbers."""
DETAILED = Capture(printed_by=("diagnose sys session list",), row=re.compile(r"session info: proto=\d+ "))
LISTED = Capture(
    printed_by=("get system session list",), row=re.compile(rf"[a-z0-9-]+ +\d+ +{_END} +(?:-|{_END}) +{_END} ")
)


@dataclass(slots=True)
class _Session:
    """A session while its lines are read. `ways`: source and destination with its port, `org` and `reply`."""

    line: str
    protocol: str
    age_s: float | None
    idle_s: float | None
    packets: tuple[int, int] | None = None
    octets: tuple[int, int] | None = None
    ways: dict[str, tuple[Address, int, Address, int]] = field(default_factory=dict)

    def entry(self, inside: Sequence[Network]) -> Entry:
        """KeyError where one of its directions was not told."""
        source, source_port, destination, port = self.ways["org"]
        answering, _, answered, _ = self.ways["reply"]
        who = sides((source, destination), (answering, answered), inside)
        octets = self.octets if who.began or self.octets is None else self.octets[::-1]
        unanswered = None if self.packets is None else self.packets[1] == 0
        return _entry(self.protocol, who, port if who.began else source_port, unanswered)._replace(
            idle_s=self.idle_s, age_s=self.age_s, octets=octets
        )


def read_detailed(chunks: Iterable[bytes], device: str, inside: Sequence[Network] = ()) -> NatTable:
    return read_captured(chunks, device, partial(_detailed, inside=inside), inside)


def read_listed(chunks: Iterable[bytes], device: str, inside: Sequence[Network] = ()) -> NatTable:
    return read_captured(chunks, device, partial(_listed, inside=inside), inside)


def require_total(device: str, text: str, entries: int) -> None:
    """UnexpectedOutput unless the last line is the total of as many sessions as were read."""
    last = text.rstrip().rpartition("\n")[2].strip()
    total = _TOTAL.fullmatch(last)
    if not total or int(total[1]) != entries:
        raise UnexpectedOutput(device, last, f"{entries} sessions, and no total of as many, in")


def sources(text: str) -> Iterator[Address]:
    """Who began each session of `diagnose sys session list`."""
    for line in text.splitlines():
        if (hook := _HOOK.fullmatch(line.strip())) and hook[1] == "org":
            yield IPv4Address(hook[2])


def _detailed(lines: Iterable[str], refuse: Refuse, inside: Sequence[Network]) -> Iterator[Entry]:
    for session in _sessions(lines, refuse):
        try:
            yield session.entry(inside)
        except KeyError:
            refuse(session.line)


def _sessions(lines: Iterable[str], refuse: Refuse) -> Iterator[_Session]:
    session: _Session | None = None
    for line in lines:
        said = line.strip()
        if info := _INFO.fullmatch(said):
            if session:
                yield session
            session = _begin(line, info)
        elif _TOTAL.fullmatch(said) or _PROMPT.fullmatch(said):
            pass
        elif said and not (session and _add(session, said)):
            refuse(line)
    if session:
        yield session


def _begin(line: str, info: re.Match[str]) -> _Session:
    number, duration, expire, timeout = (int(word) if word else None for word in info.groups())
    idle = max((timeout or 0) - (expire or 0), 0) if timeout else None
    return _Session(
        line,
        _NAMES.get(number or 0, str(number)),
        None if duration is None else float(duration),
        None if idle is None else float(idle),
    )


def _add(session: _Session, said: str) -> bool:
    """What a further line tells; whether it is one of a session."""
    if found := _STATISTIC.fullmatch(said):
        sent, out, received, back = (int(number) for number in found.groups())
        session.octets, session.packets = (sent, received), (out, back)
    elif found := _HOOK.fullmatch(said):
        try:
            way = IPv4Address(found[2]), int(found[3]), IPv4Address(found[4]), int(found[5])
        except ValueError:
            return False
        session.ways.setdefault(found[1], way)
    else:
        return bool(_OTHER.fullmatch(said))
    return True


def _listed(lines: Iterable[str], refuse: Refuse, inside: Sequence[Network]) -> Iterator[Entry]:
    for line in lines:
        said = line.strip()
        if not said or _LIST_HEAD.fullmatch(said) or _PROMPT.fullmatch(said):
            continue
        row = _LIST_ROW.fullmatch(said)
        try:
            entry = _of_row(row, inside) if row else None
        except ValueError:
            entry = None
        if entry:
            yield entry
        else:
            refuse(line)


def _of_row(row: re.Match[str], inside: Sequence[Network]) -> Entry:
    (source, source_port), (destination, port) = _end(row[3]), _end(row[5])
    answering = destination if row[6] == "-" else _end(row[6])[0]
    answered = source if row[4] == "-" else _end(row[4])[0]
    who = sides((source, destination), (answering, answered), inside)
    return _entry(row[1], who, port if who.began else source_port)


def _entry(protocol: str, who: Sides, port: int | None, unanswered: bool | None = None) -> Entry:
    told = port if protocol in ("tcp", "udp") else None
    return Entry(who.local.packed, protocol, who.remote.packed, told, unanswered)


def _end(text: str) -> tuple[Address, int | None]:
    address, _, port = text.partition(":")
    return IPv4Address(address), int(port) if port else None
