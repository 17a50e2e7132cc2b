"""Junos: an access port goes into quarantine and comes back, and no other port does."""

from importlib import import_module
from typing import Any, cast

import pytest
from model_juniper_junos import LIMIT, MOVED, JunosSwitch, Model

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Quarantine
from switchguard.errors import DeviceError
from switchguard.lab.plane import PlaneState
from switchguard.ports import Enforces

JUNOS = cast(Enforces, plugins.driver("juniper_junos"))
config: Any = import_module("switchguard.drivers._junos_config")
quarantine: Any = import_module("switchguard.drivers._junos_quarantine")
FAMILY = "interfaces ge-0/0/7 unit 0 family ethernet-switching"
MEMBERS = f"{FAMILY} vlan members"
NOTE = "firewall family ethernet-switching filter SWITCHGUARD-VLAN-ge-0-0-7"
OTHER = Change(MOVED.slot, Quarantine(99), Quarantine(20))


@pytest.fixture
def switch() -> JunosSwitch:
    return Model()


def told(switch: JunosSwitch) -> tuple[Quarantine, int | None]:
    """What stands, and the VLAN that the port came from, by which quarantines do not differ."""
    found = JUNOS.enforced(switch)[MOVED.slot]
    assert isinstance(found, Quarantine)
    return found, found.original


def test_the_port_moves_and_the_note_says_where_from(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [MOVED])
    assert switch.typed[-1] == (
        f"delete {MEMBERS} v10",
        f"set {NOTE} term from-v10 then accept",
        f"set {NOTE} term to-quarantine then accept",
        f"set {MEMBERS} quarantine",
    )
    assert switch.plane == PlaneState(moved={"ge-0_0_7": 99})
    assert told(switch) == (Quarantine(99), 10)


def test_a_release_restores_every_line_in_one_commit(switch: JunosSwitch) -> None:
    start = sorted(switch.text().splitlines())
    JUNOS.push(switch, [MOVED])
    JUNOS.push(switch, [MOVED.inverse()])
    assert switch.typed[-1] == (f"delete {NOTE}", f"delete {MEMBERS} quarantine", f"set {MEMBERS} v10")
    assert sorted(switch.text().splitlines()) == start
    assert switch.plane == PlaneState()


def test_a_port_whose_vlan_is_said_by_number_gets_the_number_back(switch: JunosSwitch) -> None:
    switch.type_in(f"delete {MEMBERS} v10\nset {MEMBERS} 10")
    start = sorted(switch.text().splitlines())
    JUNOS.push(switch, [MOVED])
    assert told(switch) == (Quarantine(99), 10)
    JUNOS.push(switch, [MOVED.inverse()])
    assert sorted(switch.text().splitlines()) == start


def test_the_original_is_captured_once_whatever_the_second_cause_asks_for(switch: JunosSwitch) -> None:
    start = sorted(switch.text().splitlines())
    JUNOS.push(switch, [MOVED])
    JUNOS.push(switch, [OTHER])
    assert told(switch) == (Quarantine(20), 10)
    assert f"delete {NOTE} term to-quarantine" in switch.typed[-1]
    JUNOS.push(switch, [Change(MOVED.slot, Quarantine(20), None)])
    assert sorted(switch.text().splitlines()) == start


def test_where_somebody_has_moved_the_port_to_it_stays(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [MOVED])
    switch.type_in(f"delete {MEMBERS} quarantine\nset {MEMBERS} guests")
    assert told(switch) == (Quarantine(20), 10)
    with pytest.raises(DeviceError, match="somebody has moved ge-0/0/7 from quarantine to VLAN guests"):
        JUNOS.push(switch, [MOVED])
    JUNOS.push(switch, [MOVED.inverse()])
    assert f"set {MEMBERS} guests" in switch.text()
    assert NOTE not in switch.text()


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (f"set {FAMILY} interface-mode trunk", "ge-0/0/7 is no access port: interface-mode trunk"),
        (f"delete {MEMBERS}", "ge-0/0/7 is no access port with one VLAN of its own: none"),
        (f"delete {FAMILY} interface-mode\nset {MEMBERS} guests", "with one VLAN of its own: v10, guests"),
        ("set vlans guests interface ge-0/0/7.0", "with one VLAN of its own: v10, guests"),
        (f"delete {MEMBERS}\nset {MEMBERS} quarantine", "is in VLAN 99 already, and not because of us"),
        ("delete vlans quarantine", "no VLANs with number 99 are configured"),
        ("set vlans twin vlan-id 99", "2 VLANs with number 99 are configured"),
        (f"delete {MEMBERS}\nset {MEMBERS} 10-20", "ge-0/0/7 is in 10-20, which is no single VLAN"),
        (
            f"set vlans a.b vlan-id 30\ndelete {MEMBERS}\nset {MEMBERS} a.b",
            "a.b or quarantine is no name of a VLAN that",
        ),
    ],
    ids=[
        "trunk",
        "in none",
        "in two",
        "listed",
        "there already",
        "no such VLAN",
        "two such VLANs",
        "a range",
        "odd name",
    ],
)
def test_a_port_that_is_not_one_clients_access_is_left_alone(switch: JunosSwitch, typed: str, why: str) -> None:
    switch.type_in(typed)
    start = switch.text()
    with pytest.raises(DeviceError, match=why):
        JUNOS.push(switch, [MOVED])
    assert switch.text() == start


def test_a_port_as_a_switch_is_delivered_is_in_no_vlan_of_its_own(switch: JunosSwitch) -> None:
    """`set interfaces ge-0/0/7 unit 0 family ethernet-switching`, and no more."""
    said = [config.statement(line)[1:] for line in switch.text().splitlines()]
    bare = [*(line for line in said if "ge-0/0/7" not in line), tuple(FAMILY.split())]
    why = quarantine.obstacle("sw1", bare, "ge-0/0/7", 99)
    assert why == "ge-0/0/7 is no access port with one VLAN of its own: none"


def test_a_port_without_configuration_is_refused(switch: JunosSwitch) -> None:
    nowhere = Change(Slot("sw1", "quarantine", Station(port="ge-0/0/40")), None, Quarantine(99))
    with pytest.raises(DeviceError, match="it has no port ge-0/0/40 in its configuration"):
        JUNOS.push(switch, [nowhere])


def test_a_note_that_somebody_has_touched_is_none_of_ours(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [MOVED])
    switch.type_in(f"set {NOTE} term more then discard")
    assert MOVED.slot not in JUNOS.enforced(switch)
    with pytest.raises(DeviceError, match="is in VLAN 99 already, and not because of us"):
        JUNOS.push(switch, [MOVED])


def test_a_note_that_somebody_has_emptied_is_none(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [MOVED])
    switch.type_in(f"delete {NOTE} term from-v10\ndelete {NOTE} term to-quarantine")
    assert f"set {NOTE}" in switch.text().splitlines()
    assert MOVED.slot not in JUNOS.enforced(switch)


def test_a_limit_of_the_same_port_stays(switch: JunosSwitch) -> None:
    JUNOS.push(switch, [LIMIT])
    JUNOS.push(switch, [MOVED])
    assert JUNOS.enforced(switch) == {LIMIT.slot: LIMIT.after, MOVED.slot: Quarantine(99)}


def test_without_the_device_only_the_device_knows_where_it_goes_back_to() -> None:
    assert JUNOS.render([MOVED]) == (f"delete {MEMBERS}", f"set {MEMBERS} 99")
    assert JUNOS.render([MOVED.inverse()]) == ("# ge-0/0/7 goes back to the VLAN that it had",)
    known = Change(MOVED.slot, Quarantine(99, original=10), None)
    assert JUNOS.render([known]) == (f"delete {MEMBERS}", f"set {MEMBERS} 10", f"delete {NOTE}")
