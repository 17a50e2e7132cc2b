"""A port goes into the quarantine VLAN and comes back to where it was, on both switches that can."""

from types import ModuleType
from typing import cast

import model_arista_eos
import model_cisco_ios
import pytest
from configured_switch import ConfiguredSwitch

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Quarantine
from switchguard.errors import DeviceError
from switchguard.ports import Enforces

BOTH = pytest.mark.parametrize("platform", [model_cisco_ios, model_arista_eos], ids=["cisco_ios", "arista_eos"])
NOTES = {
    "cisco_ios": "policy-map SWITCHGUARD-VLAN",
    "arista_eos": "policy-map type quality-of-service SWITCHGUARD-VLAN",
}


def made(platform: ModuleType) -> tuple[Enforces, ConfiguredSwitch, Slot]:
    switch: ConfiguredSwitch = platform.Model()
    return cast(Enforces, plugins.driver(switch.platform)), switch, platform.QUARANTINE.slot


def interface(slot: Slot) -> str:
    return f"interface {(slot.station.port or '').replace('Gi', 'GigabitEthernet')}"


def put(driver: Enforces, switch: ConfiguredSwitch, slot: Slot, vlan: int | None, before: int | None = None) -> None:
    stood, wanted = (None if it is None else Quarantine(it) for it in (before, vlan))
    driver.push(switch, [Change(slot, stood, wanted)])


@BOTH
def test_the_port_moves_and_the_note_says_where_from(platform: ModuleType) -> None:
    driver, switch, slot = made(platform)
    put(driver, switch, slot, 99)
    assert "switchport access vlan 99" in switch.text()
    assert f"{NOTES[switch.platform]}-10-99-" in switch.text()
    found = driver.enforced(switch)[slot]
    assert isinstance(found, Quarantine)
    assert (found.vlan, found.original) == (99, 10)


@BOTH
def test_a_release_restores_every_line(platform: ModuleType) -> None:
    driver, switch, slot = made(platform)
    before = switch.text()
    put(driver, switch, slot, 99)
    put(driver, switch, slot, None, before=99)
    assert switch.text() == before


@BOTH
def test_the_original_is_captured_once_whatever_the_second_cause_asks_for(platform: ModuleType) -> None:
    driver, switch, slot = made(platform)
    before = switch.text()
    put(driver, switch, slot, 99)
    put(driver, switch, slot, 98, before=99)
    found = driver.enforced(switch)[slot]
    assert isinstance(found, Quarantine)
    assert (found.vlan, found.original) == (98, 10)
    put(driver, switch, slot, None, before=98)
    assert switch.text() == before


@BOTH
def test_a_port_without_the_line_comes_back_to_vlan_1(platform: ModuleType) -> None:
    driver, switch, slot = made(platform)
    switch.type_in(f"{interface(slot)}\n no switchport access vlan")
    before = switch.text()
    put(driver, switch, slot, 99)
    put(driver, switch, slot, None, before=99)
    assert switch.text() == before


@BOTH
def test_where_somebody_has_moved_the_port_to_it_stays(platform: ModuleType) -> None:
    driver, switch, slot = made(platform)
    put(driver, switch, slot, 99)
    switch.type_in(f"{interface(slot)}\n switchport access vlan 20")
    assert driver.enforced(switch)[slot] == Quarantine(20)
    with pytest.raises(DeviceError, match="somebody has moved"):
        put(driver, switch, slot, 99, before=20)
    put(driver, switch, slot, None, before=20)
    assert slot not in driver.enforced(switch)
    assert NOTES[switch.platform] not in switch.text()
    assert "switchport access vlan 20" in switch.text()


@BOTH
def test_a_trunk_is_no_place_for_it(platform: ModuleType) -> None:
    driver, switch, slot = made(platform)
    switch.type_in(f"{interface(slot)}\n switchport mode trunk")
    before = switch.text()
    with pytest.raises(DeviceError, match="no access port: switchport mode trunk"):
        put(driver, switch, slot, 99)
    assert switch.text() == before


@BOTH
def test_a_port_that_is_there_for_other_reasons_is_not_ours(platform: ModuleType) -> None:
    driver, switch, slot = made(platform)
    switch.type_in(f"{interface(slot)}\n switchport access vlan 99")
    with pytest.raises(DeviceError, match="already, and not because of us"):
        put(driver, switch, slot, 99)
    assert driver.enforced(switch) == {}


@BOTH
def test_a_port_that_the_switch_does_not_have_is_refused(platform: ModuleType) -> None:
    driver, switch, _ = made(platform)
    missing = Slot("sw1", Quarantine.kind, Station(port="Ethernet77" if "eos" in switch.platform else "Gi0/77"))
    with pytest.raises(DeviceError, match="it has no port"):
        put(driver, switch, missing, 99)


@BOTH
def test_without_the_device_only_the_device_knows_where_it_goes_back_to(platform: ModuleType) -> None:
    driver, _, slot = made(platform)
    assert driver.render([Change(slot, None, Quarantine(99))])[1] == " switchport access vlan 99"
    assert driver.render([Change(slot, Quarantine(99), None)])[0].startswith("! ")
    assert driver.render([Change(slot, Quarantine(99, original=10), None)])[1] == " switchport access vlan 10"
