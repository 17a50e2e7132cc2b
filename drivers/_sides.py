"""Which of a session's two machines is the client, where a table tells both directions of every session.

The initiator, if its source address is translated; the machine that answers, if the session was redirected to it from
outside. Without translation it is the initiator, unless only the other side is private.
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

from switchguard.core.model import Address, Network

PRIVATE: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
)
"""RFC 1918, RFC 6598 (carriers' NAT), RFC 3927, RFC 4193, RFC 4291."""


class Sides(NamedTuple):
    local: Address
    remote: Address
    began: bool
    """Whether the client began the session."""


def sides(forth: tuple[Address, Address], back: tuple[Address, Address], inside: Collection[Network] = ()) -> Sides:
    """`forth` and `back` are source and destination of each direction. `inside`: where the clients are, if that is
    known; of a session that none of them has part in, whoever began it counts as local."""
    (source, destination), (reply_source, reply_destination) = forth, back
    if inside:
        began = within(source, inside) or not within(reply_source, inside)
    elif reply_destination != source:
        began = True
    elif reply_source != destination:
        began = False
    else:
        began = within(source, PRIVATE) or not within(destination, PRIVATE)
    return Sides(source, destination, True) if began else Sides(reply_source, source, False)


def within(address: IPv4Address | IPv6Address, networks: Collection[Network]) -> bool:
    return any(address in network for network in networks)
