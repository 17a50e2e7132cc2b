"""Addresses -> the subnets that could be one and the same user hopping from address to address.

IPv4: a /24, then a /16. IPv6: a /64, which is one customer whose privacy addresses (RFC 8981) change by themselves,
then a /48, which is one site (RFC 6177).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from switchguard.core.model import Address, Network

LEVELS: tuple[tuple[int, int], ...] = ((4, 24), (6, 64), (4, 16), (6, 48))
"""(IP version, prefix length), narrow ones before wide ones."""

SAME_CUSTOMER = 2
"""Sources that a /64 needs, whatever `least` says: they are one customer's."""

_PARTS = {16: 24, 48: 64}
"""A wide prefix counts not addresses but narrow subnets: one busy /24 does not make a guilty /16."""


@dataclass(frozen=True, slots=True)
class Subnet:
    network: Network
    sources: tuple[Address, ...]


def subnets(sources: Collection[Address], version: int, prefix: int, least: int) -> Iterator[Subnet]:
    """In order, those in which at least `least` sources (or narrower subnets, where it is wide) take part; of a /64,
    `SAME_CUSTOMER`."""
    groups: dict[Network, list[Address]] = {}
    for address in sorted((it for it in sources if it.version == version), key=int):
        groups.setdefault(_around(address, prefix), []).append(address)
    for network, members in groups.items():
        parts = {_around(address, _PARTS[prefix]) if prefix in _PARTS else address for address in members}
        if len(parts) >= (SAME_CUSTOMER if prefix == 64 else least):
            yield Subnet(network, tuple(members))


def _around(address: Address, prefix: int) -> Network:
    return ip_network(f"{address}/{prefix}", strict=False)
