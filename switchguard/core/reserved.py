"""MACs that never belong to a client, whoever asks: groups, zero, and the addresses that redundant gateways share."""

from switchguard.core.model import Mac

_VIRTUAL_ROUTERS = (
    (0x00005E0001, 8, "VRRP for IPv4"),  # RFC 5798 7.3; CARP uses the same
    (0x00005E0002, 8, "VRRP for IPv6"),
    (0x00000C07AC, 8, "HSRP version 1"),  # RFC 2281 5.4
    (0x00000C9FF, 12, "HSRP version 2"),
    (0x000573A0, 16, "HSRP for IPv6"),
    (0x0007B4, 24, "GLBP"),
)
"""(prefix, how many bits follow it, whose it is). GLBP forwarders are 00:07:b4:00:xx:yy; the whole OUI is kept."""
_OUIS = frozenset(prefix << rest >> 24 for prefix, rest, _ in _VIRTUAL_ROUTERS)
_SUSPECTS = _OUIS | {0}
"""Outside them and the groups all are ordinary: tables are long, so most MACs are asked one question only."""


def is_virtual_router(mac: Mac) -> str | None:
    """The protocol whose virtual router has this MAC. It moves between our routers, so it says nothing about a port."""
    if mac.value >> 24 not in _OUIS:
        return None
    for prefix, rest, protocol in _VIRTUAL_ROUTERS:
        if mac.value >> rest == prefix:
            return protocol
    return None


def never_a_client(mac: Mac) -> str | None:
    """Why no client can have this MAC, or None. Such a MAC is no evidence about anybody, and never blocked."""
    if mac.value >> 24 not in _SUSPECTS and not mac.value >> 40 & 1:
        return None
    if mac.value == 0:
        return "the zero MAC address (an incomplete entry)"
    if mac.value == (1 << 48) - 1:
        return "the broadcast address"
    if mac.is_multicast:
        return "a multicast address"
    protocol = is_virtual_router(mac)
    return f"a virtual router's address ({protocol})" if protocol else None
