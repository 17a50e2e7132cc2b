"""Forgets the translations of some inside hosts on a router of Cisco's, one by one: there is no form for a whole host.

`clear ip nat translation {tcp|udp} inside G gport L lport [outside L lport G gport]` (IOS IP Addressing Services
Command Reference; the global address comes first inside, the local one outside). Rows of other protocols have no such
form and end by themselves; static entries stay.
"""

import re
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, ip_network

from switchguard.core.model import Address, Network
from switchguard.errors import CommandRefused
from switchguard.ports import Session

MOST = 1_000
"""How many translations are forgotten in one go; each takes a command, and those of a blocked client end by themselves.
"""
_END = r"(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5})"
_ROW = re.compile(rf"\s*(tcp|udp)\s+{_END}\s+{_END}\s+(?:{_END}\s+{_END}|---\s+---)\s*")


def clear(session: Session, addresses: Collection[Address | Network]) -> int:
    """How many went. A row that ended in between is refused, and was none of ours any more; CommandRefused when every
    one is."""
    networks = [ip_network(address) for address in addresses]
    lines = list(_commands(session.ask("show ip nat translations"), networks))[:MOST]
    refused: CommandRefused | None = None
    gone = 0
    for line in lines:
        try:
            session.ask(line)
            gone += 1
        except CommandRefused as error:
            refused = error
    if refused and not gone:
        raise refused
    return gone


def _commands(text: str, networks: Collection[Network]) -> Iterator[str]:
    for line in text.splitlines():
        found = _ROW.fullmatch(line)
        if found and _is_in(found[4], networks):
            protocol, inner, port, local, local_port, *outside = found.groups()
            said = f"clear ip nat translation {protocol} inside {inner} {port} {local} {local_port}"
            yield f"{said} outside {' '.join(outside)}" if outside[0] else said


def _is_in(local: str, networks: Collection[Network]) -> bool:
    try:
        address = IPv4Address(local)
    except ValueError:
        return False
    return any(address in network for network in networks)
