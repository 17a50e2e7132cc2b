"""What one reading of a source brought, and the words from the network that are let in."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network

from switchguard.core.model import Address, Network, plain_address, plain_network
from switchguard.core.user_sessions import Told

LONGEST_NAME = 128
SHOWN = 160
"""Characters of a line that are repeated in a complaint."""
_ENDPOINT = re.compile(r"(?:(?:udp|tcp)[\w-]*:)?(?:\[([0-9a-fA-F:.]+)(?:%[^\]]*)?\]|([0-9.]+))(?::\d+)?")


class CannotRead(Exception):
    """The source says nothing that can be used; a sentence for the Gap."""


@dataclass(frozen=True, slots=True)
class Read:
    """`note` says what could not be understood: the whole records count all the same."""

    told: tuple[Told, ...]
    note: str = ""
    complete: bool = True
    """Whether everybody who is connected is in it."""


def person(text: str) -> str:
    """A name as it may be shown and kept. ValueError for an empty or very long one, or one with control characters."""
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"{shown(text)} is no name of a user")
    return name


def held(texts: Iterable[str]) -> tuple[Address | Network, ...]:
    """Addresses, and networks of more than one address, in a fixed order, none twice. ValueError for anything else."""
    return tuple(sorted({_held(text) for text in texts}, key=lambda it: (it.version, str(it))))


def _held(text: str) -> Address | Network:
    network: IPv4Network | IPv6Network = plain_network(text, strict=False)
    if network.prefixlen < network.max_prefixlen:
        return network
    return network.network_address


def outside(endpoint: str) -> Address | None:
    """Where a tunnel comes from: the address of `192.0.2.7:51820`, `[2001:db8::7%eth0]:51820` or `udp4:192.0.2.7:1194`.
    None for what is none: it is only told to people."""
    found = _ENDPOINT.fullmatch(endpoint.strip())
    try:
        return plain_address(found[1] or found[2]) if found else None
    except ValueError:
        return None


def stamp(text: str) -> datetime:
    """Whole seconds since 1970. ValueError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise ValueError(f"{shown(text)} is no time")
    return datetime.fromtimestamp(int(text), UTC)


def shown(line: str) -> str:
    """For a complaint: not longer than it helps, and nothing that steers a terminal."""
    return repr(line if len(line) <= SHOWN else line[:SHOWN] + "…")


def notes(of: Iterable[str]) -> str:
    """The first complaint, and how many more there are."""
    told = tuple(of)
    more = f", and {len(told) - 1} more like it" if len(told) > 1 else ""
    return told[0] + more if told else ""
