"""Linux: a cap for everyone counts each address behind the site's LAN interfaces by itself, and nobody outside."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from model_linux import DEVICE, Model
from test_linux import Gateway, change, driver

from switchguard.core.changes import Change, Slot
from switchguard.core.penalties import SessionCap
from switchguard.errors import NotConfigured

EVERYONE = Change(Slot("gw1", "cap"), None, SessionCap(5))


class BehindLan0(Model):
    device = replace(DEVICE, lan_interfaces=("lan0", "vlan.7"))


class GatewayOfLan0(Gateway):
    device = BehindLan0.device


@pytest.mark.parametrize("make", [BehindLan0, GatewayOfLan0])
def test_a_cap_for_everyone_comes_and_goes_beside_a_clients_own(make: Callable[[], Model]) -> None:
    device, own = make(), change(SessionCap(3))
    try:
        assert driver.preview(device, [EVERYONE]).text == "+ inet switchguard cap_5_everyone { lan_interfaces }\n"
        assert driver.enforced(device) == {}
        for _ in range(2):
            driver.push(device, [EVERYONE, own])
            assert driver.enforced(device) == {EVERYONE.slot: SessionCap(5), own.slot: SessionCap(3)}
        driver.push(device, [replace(EVERYONE, before=SessionCap(5), after=SessionCap(7))])
        assert driver.enforced(device) == {EVERYONE.slot: SessionCap(7), own.slot: SessionCap(3)}
        driver.push(device, [replace(EVERYONE, before=SessionCap(7), after=None)])
        assert driver.enforced(device) == {own.slot: SessionCap(3)}
        driver.push(device, [EVERYONE.inverse()])
        assert driver.enforced(device) == {own.slot: SessionCap(3)}
    finally:
        device.close()


def test_a_cap_for_everyone_needs_to_know_where_the_clients_are() -> None:
    device = Model()
    for step in (driver.preview, driver.push):
        with pytest.raises(NotConfigured, match=r"a cap for everyone needs `lan_interfaces`, .* not none"):
            step(device, [EVERYONE])
    assert driver.render([EVERYONE])[-1] == "# add element inet switchguard cap_5_everyone { lan_interfaces }"


def test_a_cap_for_everyone_goes_also_when_the_site_no_longer_says_where_clients_are() -> None:
    device = BehindLan0()
    driver.push(device, [EVERYONE])
    device.device = DEVICE
    driver.push(device, [EVERYONE.inverse()])
    assert driver.enforced(device) == {}


def test_each_address_behind_the_lan_has_a_cap_of_its_own() -> None:
    gateway = GatewayOfLan0()
    try:
        gateway.client_runs("ip addr add 10.10.0.8/24 dev client0")
        driver.push(gateway, [EVERYONE])
        gateway.sends(12)
        gateway.sends(3, source="10.10.0.8")
        assert gateway.forwarded() == 5 + 3
        gateway.sends(12, source="10.10.0.8", port=2001)
        assert gateway.forwarded() == 5 + 5
        driver.push(gateway, [EVERYONE.inverse()])
        gateway.sends(12, port=2002)
        assert gateway.forwarded() == 5 + 5 + 12
    finally:
        gateway.close()


def test_who_begins_sessions_from_outside_is_not_everyone() -> None:
    gateway = GatewayOfLan0()
    try:
        gateway.device = replace(DEVICE, lan_interfaces=("wan0",))
        driver.push(gateway, [EVERYONE])
        gateway.sends(12)
        assert gateway.forwarded() == 12
    finally:
        gateway.close()
