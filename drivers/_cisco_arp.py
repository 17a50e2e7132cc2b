"""Neighbours of IOS and IOS-XE: `show ip arp`, and the same once more for every VRF (IOS-XE has no `vrf all`).

The VRFs are those of `show vrf`, or of `show ip vrf` where a release has no other; a device that knows neither has
none. One without IPv4 has no such neighbours and is not asked, nor are the platform's internal ones. A VRF that cannot
be read spoils the whole table, and is named.

A neighbour does not tell its VRF: an address that two VRFs have, with two MACs, is no MAC's, as any address with two
MACs is, and nobody is blocked for it. Own and static rows (age `-`) and incomplete ones are left out.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from switchguard.core.model import Mac, Neighbor
from switchguard.errors import CommandRefused, UnexpectedOutput
from switchguard.ports import Session

from . import _port_names

PREAMBLE = re.compile(r"Load for five secs: .*; five minutes: \d+%|Time source is .+, \d+:\d\d:\d\d\S* .+ \d{4}")
"""What `terminal exec prompt timestamp` puts above every answer."""
MAC = r"[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}"

_HEADER = re.compile(r"Protocol +Address +Age \(min\) +Hardware Addr +Type +Interface")
_ROW = re.compile(
    rf"Internet +(\d+(?:\.\d+){{3}}) +(\d+|-) +({MAC}|Incomplete) +[A-Z0-9][\w.]*(?: +(\S+)(?: +pv +\d+)?)?"
)


def neighbors(session: Session) -> tuple[Neighbor, ...]:
    """Of the global table and of every VRF."""
    return (*_neighbors(session.device.name, session.ask("show ip arp")), *of_vrfs(session))


def of_vrfs(session: Session) -> tuple[Neighbor, ...]:
    """Without those of the global table."""
    device, rows = session.device.name, list[Neighbor]()
    for vrf in _vrfs(session):
        try:
            rows += _neighbors(device, session.ask(f"show ip arp vrf {vrf}"))
        except UnexpectedOutput as error:
            raise UnexpectedOutput(device, error.line, f"among the neighbours in VRF {vrf}") from error
    return tuple(rows)


def _neighbors(device: str, text: str) -> Iterator[Neighbor]:
    for raw in text.splitlines():
        line = raw.strip()
        if not line or _HEADER.fullmatch(line) or PREAMBLE.fullmatch(line):
            continue
        found = _ROW.fullmatch(line)
        if not found or (found[4] and not _port_names.is_port(found[4])):
            raise UnexpectedOutput(device, raw)
        address, age, mac, interface = found.groups()
        if age != "-" and mac != "Incomplete":
            yield _neighbor(device, raw, address, mac, interface)


def _neighbor(device: str, raw: str, address: str, mac: str, interface: str | None) -> Neighbor:
    if not interface:
        raise UnexpectedOutput(device, raw)
    try:
        return Neighbor(device, _port_names.short(interface), IPv4Address(address), Mac.parse(mac))
    except ValueError:
        raise UnexpectedOutput(device, raw) from None


# --- VRFs ------------------------------------------------------------------------------------------------------------

_QUESTIONS = ("show vrf", "show ip vrf")
_VRF_HEADER = re.compile(r"Name +Default RD +(?:Protocols +)?Interfaces")
_VRF_ROW = re.compile(r"(\S+) +(?:<not set>|[\d.]+:\d+)(?: +(ipv4|ipv6|ipv4,ipv6))?(?: +(\S+))?")
_VRF_INTERNAL = re.compile(r"Platform iVRF Name +iVRF Id +Interfaces|__Platform_iVRF:\S+ +\d+(?: +\S+)?")
_MORE_INTERFACES = re.compile(r"\s{20,}(\S+)\s*")
_NAME = re.compile(r"[A-Za-z0-9][\w.:@/+#%&*=~,-]*")
"""Of a VRF, as far as one is put into a command: no pipe, no question mark, no quotes."""


def _vrfs(session: Session) -> tuple[str, ...]:
    """Those with IPv4. CommandRefused unless the command is just unknown."""
    for question in _QUESTIONS:
        try:
            return tuple(_names(session.device.name, session.ask(question)))
        except CommandRefused as refused:
            if "Invalid input" not in refused.answer:
                raise
    return ()


def _names(device: str, text: str) -> Iterator[str]:
    """A list without VRFs may have a heading or not. UnexpectedOutput for a name that is fit for no command."""
    by_protocol = False
    for raw in text.splitlines():
        line = raw.strip()
        if not line or PREAMBLE.fullmatch(line) or _VRF_INTERNAL.fullmatch(line):
            continue
        if _VRF_HEADER.fullmatch(line):
            by_protocol = "Protocols" in line
        elif row := _VRF_ROW.fullmatch(line):
            name, protocols, interface = row.groups()
            if not _NAME.fullmatch(name) or (interface and not _port_names.is_port(interface)):
                raise UnexpectedOutput(device, raw)
            if "ipv4" in (protocols or "") or (protocols is None and not by_protocol):
                yield name
        elif not (more := _MORE_INTERFACES.fullmatch(raw)) or not _port_names.is_port(more[1]):
            raise UnexpectedOutput(device, raw)
