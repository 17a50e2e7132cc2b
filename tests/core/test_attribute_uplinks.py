"""Which ports lead to other switches, and when that is really known."""

from dataclasses import replace

import pytest
from builders import BRIDGE, CORE, DEVICES, GW, NOON, OWN, SW1, backbone, fdb, mac, network, port

from switchguard.core.attribute import attribute
from switchguard.core.model import Device, Gap, Link, Mac, Role, Snapshot, Table
from switchguard.core.topology import is_aggregate, port_key


def declared(snapshot: Snapshot, device: Device, *uplinks: str) -> Snapshot:
    devices = tuple(replace(it, uplinks=uplinks) if it == device else it for it in snapshot.devices)
    return replace(snapshot, devices=devices)


def bare(snapshot: Snapshot) -> Snapshot:
    """No neighbours told and no MAC of our own known."""
    return replace(snapshot, links=(), interfaces=())


def test_lldp_shows_uplinks() -> None:
    found = attribute(replace(backbone(), interfaces=()))
    assert found.uplinks["sw1", "Gi0/24"] == "core is its neighbour"


def test_our_own_macs_show_uplinks_without_lldp() -> None:
    found = attribute(replace(backbone(), links=()))
    assert found.uplinks["sw1", "Gi0/24"] == "gw's own 02:aa:00:00:00:01 is behind it"
    assert found.uplinks_known == {"core", "sw1", "sw2"}


def test_declared_uplinks_count_in_any_spelling() -> None:
    found = attribute(declared(bare(backbone()), SW1, "GigabitEthernet0/24"))
    assert found.uplinks["sw1", "Gi0/24"] == "the site declares it"
    assert "sw1" in found.uplinks_known


def test_a_declared_uplink_that_does_not_exist_makes_uplinks_unknown() -> None:
    found = attribute(declared(backbone(), SW1, "Gi0/99"))
    assert found.uplinks["sw1", "Gi0/99"] == "the site declares it"
    assert "sw1" not in found.uplinks_known


@pytest.mark.parametrize("name", ["sw2", "SW2", "sw2.example.net", "sw2(FOC1234X0AB)"])
def test_a_neighbour_with_the_name_of_our_device_is_an_uplink_whatever_it_says(name: str) -> None:
    link = Link("sw1", "Gi0/5", name, frozenset({"telephone"}), mac(77))
    found = attribute(network([], [], [fdb("sw1", "Gi0/5", 77)], links=[link]))
    assert found.uplinks["sw1", "Gi0/5"] == "sw2 is its neighbour"
    assert found.infrastructure[mac(77)] == "sw2"


def test_a_neighbour_with_our_devices_chassis_is_an_uplink_whatever_its_name() -> None:
    found = attribute(network(links=[Link("sw1", "Gi0/5", "renamed", frozenset(), OWN["sw2"])]))
    assert found.uplinks["sw1", "Gi0/5"] == "sw2 is its neighbour"


@pytest.mark.parametrize(
    ("capability", "sort"), [("bridge", "a bridge"), ("router", "a router"), ("wlan-access-point", "an access point")]
)
def test_foreign_network_gear_is_an_uplink_and_its_mac_stays_blockable(capability: str, sort: str) -> None:
    link = Link("sw1", "Gi0/5", "home-box", frozenset({capability}), mac(5))
    found = attribute(network([], [], [fdb("sw1", "Gi0/5", 5)], links=[link]))
    assert found.uplinks["sw1", "Gi0/5"] == f"its neighbour home-box is {sort}"
    assert mac(5) not in found.infrastructure


@pytest.mark.parametrize("capabilities", [frozenset(), frozenset({"station-only"}), frozenset({"telephone", "bridge"})])
def test_stations_and_telephones_are_no_uplinks(capabilities: frozenset[str]) -> None:
    found = attribute(network([], [], [fdb("sw1", "Gi0/5", 5)], links=[Link("sw1", "Gi0/5", "x", capabilities)]))
    assert ("sw1", "Gi0/5") not in found.uplinks


def test_an_address_as_a_name_is_matched_as_a_whole() -> None:
    numbered = Device("10.0.0.1", "cisco_ios", Role.ACCESS)
    snapshot = replace(network(links=[Link("sw1", "Gi0/5", "10.9.9.9", frozenset())]), devices=(*DEVICES, numbered))
    assert ("sw1", "Gi0/5") not in attribute(snapshot).uplinks


@pytest.mark.parametrize("table", ["fdb", "links"])
def test_a_gap_makes_discovered_uplinks_unknown(table: Table) -> None:
    assert "sw1" not in attribute(network(without=[("sw1", table)])).uplinks_known


def test_a_device_whose_macs_are_unknown_could_hide_behind_any_port_without_lldp() -> None:
    snapshot = network(without=[("sw2", "interfaces")])
    assert attribute(snapshot).uplinks_known == {"core", "sw1", "sw2"}
    assert attribute(replace(snapshot, links=())).uplinks_known == {"sw2"}


def test_a_gap_does_not_touch_declared_uplinks() -> None:
    snapshot = declared(network(without=[("sw1", "links"), ("core", "interfaces")]), SW1, "Gi0/24")
    assert "sw1" in attribute(snapshot).uplinks_known


def test_no_sign_of_any_uplink_means_unknown() -> None:
    assert attribute(bare(backbone())).uplinks_known == frozenset()


def test_a_bridging_gateway_may_have_no_uplink_at_all() -> None:
    rows = (fdb("gw", "lan1", 7), fdb("core", "Gi0/9", 8))
    snapshot = Snapshot(NOON, (GW, CORE), fdb=rows, interfaces=(port("gw", "lan1"), port("core", "Gi0/9")))
    assert attribute(snapshot).uplinks_known == {"gw"}
    assert attribute(replace(snapshot, gaps=(Gap("core", "interfaces", "silent"),))).uplinks_known == frozenset()


def test_a_mac_that_two_devices_share_is_both_of_theirs() -> None:
    shared = Mac(0x02AA000000FF)
    twins = (port("core", "Vlan10", owner=shared), port("sw2", "Vlan10", owner=shared))
    found = attribute(network([], [], [fdb("sw1", "Gi0/6", shared), fdb("core", "Gi0/8", shared)], interfaces=twins))
    assert found.infrastructure[shared] == "core and sw2"
    assert found.uplinks["sw1", "Gi0/6"] == "core and sw2's own 02:aa:00:00:00:ff is behind it"
    assert found.uplinks["core", "Gi0/8"] == "sw2's own 02:aa:00:00:00:ff is behind it"


def test_a_blocked_redundant_link_is_an_uplink_without_stations() -> None:
    found = attribute(network(links=[Link("sw1", "Gi0/23", "core", BRIDGE)]))
    assert found.uplinks["sw1", "Gi0/23"] == "core is its neighbour"
    assert found.uplinks["sw1", "Gi0/24"] == "core is its neighbour"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GigabitEthernet1/0/1", "Gi1/0/1"),
        ("Port-channel10", "Po10"),
        ("Ethernet49/1", "Et49/1"),
        ("gi 1/0/1", "Gi1/0/1"),
        ("ge-0/0/1.0", "ge-0/0/1"),
        (" br-lan ", "br-lan"),
    ],
)
def test_spellings_of_one_port(one: str, other: str) -> None:
    assert port_key(one) == port_key(other)


@pytest.mark.parametrize(("one", "other"), [("Gi1/0/1", "Gi1/0/10"), ("Gi1/0/1", "Te1/0/1"), ("lan0", "wan0")])
def test_different_ports_stay_different(one: str, other: str) -> None:
    assert port_key(one) != port_key(other)


@pytest.mark.parametrize("name", ["Po1", "Port-channel12", "ae0", "ae0.0", "bond0", "Eth-Trunk3", "Trk1", "lag 5"])
def test_aggregates_by_name(name: str) -> None:
    assert is_aggregate(name)


@pytest.mark.parametrize("name", ["Gi1/0/1", "eth0", "Ethernet1", "port1", "lan0"])
def test_ordinary_ports_are_no_aggregates(name: str) -> None:
    assert not is_aggregate(name)
