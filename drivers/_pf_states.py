"""`pfctl -ss` with or without -v, of FreeBSD, OPNsense, pfSense and macOS -> usage per inside address.

    all tcp 203.0.113.2:64414 (10.10.0.107:22829) -> 198.18.0.3:443       ESTABLISHED:ESTABLISHED
       [2837096760 + 392192] wscale 7  [2817892562 + 65792] wscale 10
       age 00:01:09, expires in 23:58:51, 249:432 pkts, 14863:616615 bytes, rule 3
       id: 6694fa6200000003 creatorid: a2e0f312

`->` leaves by the interface, `<-` enters by it; what was translated is in parentheses, on the own side. macOS prints a
chain of three instead (`inside -> translated -> remote`). With one interface in front of the clients and one behind
them, every forwarded session is there twice, entering and leaving: a session between the same two machines and ports is
that one again. Packets and octets are "by whoever began:by the other" (pf_print_state.c of FreeBSD). How long ago a
session was used is not told: `expires in` counts down from a timeout that depends on the rule.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from switchguard.core.model import Address, Network
from switchguard.ports import Capture, NatTable

from ._captured import Refuse, read_captured
from ._nat_tally import Entry
from ._sides import PRIVATE, within

_END = r"~?(?:[\d.]+(?::\d+)?|[0-9a-fA-F:.]+(?:%\w+)?(?:\[\d+\])?)"
_STATES = r"[A-Z0-9_]+:[A-Z0-9_]+"
_HEAD = re.compile(
    rf"(\S+) ([a-z0-9-]+) ({_END})(?: \(({_END})\))? (->|<-) ({_END})(?: (?:->|<-) ({_END}))? +({_STATES})"
)
_PARTS = re.compile(r"~?([\d.]+)(?::(\d+))?|~?([0-9a-fA-F:.]+?)(?:%\w+)?(?:\[(\d+)\])?")
_COUNTS = re.compile(
    r"age (?:(\d+) days? )?(\d+):(\d\d):(\d\d), expires in \S.*?, (\d+):(\d+) pkts, (\d+):(\d+) bytes(?:, [a-z].*)?"
)
_MORE = re.compile(r"\[\d+ \+ \d+\](?:\([+-]?\d+\))?.*|id: [0-9a-f]+ creatorid: [0-9a-f]+.*|origif: \S+.*|route-to: .*")
_SILENT = {"NO_TRAFFIC", "CLOSED"}
NOISE = ("", "end")
"""The latter is what the driver has printed behind a whole answer."""
CAPTURE = Capture(
    printed_by=("pfctl -ss", "pfctl -ss -vv"),
    row=re.compile(rf"\S+ [a-z0-9-]+ {_END}(?: \({_END}\))? (?:->|<-) {_END} .*{_STATES}"),
)


class End(NamedTuple):
    address: Address
    port: int | None


Key = tuple[str, End, End]


@dataclass(slots=True)
class _State:
    """A state while its lines are read."""

    protocol: str
    source: End
    destination: End
    answered: bool
    age_s: float | None = None
    octets: tuple[int, int] | None = None


def read(chunks: Iterable[bytes], device: str, inside: Sequence[Network] = ()) -> NatTable:
    """Without `inside`, private addresses are (RFC 1918, RFC 6598, RFC 4193): sessions of clients with global IPv6
    addresses are then nobody's."""
    networks = tuple(inside) or PRIVATE
    return read_captured(chunks, device, partial(_entries, inside=networks), networks)


def _entries(lines: Iterable[str], refuse: Refuse, inside: Sequence[Network]) -> Iterator[Entry]:
    """Of every session, once."""
    seen: set[Key] = set()
    for state in _states(lines, refuse):
        began = within(state.source.address, inside) or not within(state.destination.address, inside)
        local, remote = (state.source, state.destination) if began else (state.destination, state.source)
        key = state.protocol, local, remote
        if key not in seen:
            seen.add(key)
            yield _entry(state, local, remote, began)


def _states(lines: Iterable[str], refuse: Refuse) -> Iterator[_State]:
    state: _State | None = None
    for line in lines:
        text = line.strip()
        if found := _HEAD.fullmatch(text):
            if state:
                yield state
            try:
                state = _begin(found)
            except ValueError:
                state = None
                refuse(line)
        elif state and (found := _COUNTS.fullmatch(text)):
            _count(state, found)
        elif text not in NOISE and not (state and _MORE.fullmatch(text)):
            refuse(line)
    if state:
        yield state


def _begin(head: re.Match[str]) -> _State:
    """Who began it and to whom, before and after translation: the client's own address, and the machine it meant.
    ValueError for an address that is none."""
    _, protocol, first, translated, arrow, second, third, states = head.groups()
    answered = not _SILENT & set(states.split(":"))
    if third:  # macOS: inside, translated, remote, whichever way
        inner, outer = _end(first), _end(third)
        return _State(protocol, *((inner, outer) if arrow == "->" else (outer, inner)), answered)
    own, other = _end(translated if translated and arrow == "->" else first), _end(second)
    if arrow == "->":
        return _State(protocol, own, other, answered)
    meant = _end(translated) if translated and within(other.address, PRIVATE) else own
    return _State(protocol, other, meant, answered)


def _end(text: str) -> End:
    found = _PARTS.fullmatch(text)
    if not found:
        raise ValueError(text)
    address, port = found[1] or found[3], found[2] or found[4]
    return End(ip_address(address), int(port) if port else None)


def _count(state: _State, found: re.Match[str]) -> None:
    days, hours, minutes, seconds, _sent, answers, out, back = (int(it or 0) for it in found.groups())
    state.age_s = float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    state.octets = out, back
    state.answered = answers > 0


def _entry(state: _State, local: End, remote: End, began: bool) -> Entry:
    octets = state.octets if began or state.octets is None else state.octets[::-1]
    return Entry(
        local.address.packed,
        state.protocol,
        remote.address.packed,
        remote.port if state.protocol in ("tcp", "udp") else None,
        unanswered=not state.answered,
        age_s=state.age_s,
        octets=octets,
    )
