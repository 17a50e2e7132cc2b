"""MACs that never belong to a client."""

import pytest

from switchguard.core.model import Mac
from switchguard.core.reserved import is_virtual_router, never_a_client


@pytest.mark.parametrize(
    ("mac", "protocol"),
    [
        ("00:00:5e:00:01:01", "VRRP for IPv4"),
        ("00:00:5e:00:01:ff", "VRRP for IPv4"),
        ("00:00:5e:00:02:05", "VRRP for IPv6"),
        ("00:00:0c:07:ac:01", "HSRP version 1"),
        ("00:00:0c:9f:f0:01", "HSRP version 2"),
        ("00:00:0c:9f:ff:ff", "HSRP version 2"),
        ("00:05:73:a0:00:01", "HSRP for IPv6"),
        ("00:05:73:a0:0f:ff", "HSRP for IPv6"),
        ("00:07:b4:00:01:02", "GLBP"),
    ],
)
def test_virtual_routers_are_known_by_their_macs(mac: str, protocol: str) -> None:
    assert is_virtual_router(Mac.parse(mac)) == protocol
    assert never_a_client(Mac.parse(mac)) == f"a virtual router's address ({protocol})"


@pytest.mark.parametrize(
    "mac", ["00:00:5e:00:03:01", "00:00:0c:07:ad:01", "00:00:0c:9f:e0:01", "00:05:73:a1:00:01", "02:00:00:00:00:07"]
)
def test_their_vendors_ordinary_macs_are_clients_like_any_other(mac: str) -> None:
    assert never_a_client(Mac.parse(mac)) is None


@pytest.mark.parametrize(
    ("mac", "why"),
    [
        ("00:00:00:00:00:00", "the zero MAC address (an incomplete entry)"),
        ("ff:ff:ff:ff:ff:ff", "the broadcast address"),
        ("01:00:5e:00:00:fb", "a multicast address"),
        ("33:33:00:00:00:01", "a multicast address"),
        ("03:00:00:00:00:01", "a multicast address"),
    ],
)
def test_groups_and_zero_are_nobodys(mac: str, why: str) -> None:
    assert never_a_client(Mac.parse(mac)) == why
