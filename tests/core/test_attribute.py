"""Whose usage, and behind which port."""

import re
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from builders import GW, NOON, OWN, arp, fdb, ip, mac, network, only, port, reading, seen_on, swarm, usage

from switchguard.core import locate
from switchguard.core.attribute import attribute
from switchguard.core.model import (
    Attribution,
    Client,
    ClientId,
    Gap,
    Location,
    NatUsage,
    Neighbor,
    PathStep,
    Snapshot,
    Station,
    Table,
    Unattributed,
)

SEVEN = "mac:02:00:00:00:00:07"


def aged(snapshot: Snapshot, device: str, table: Table, seconds: float) -> Snapshot:
    others = tuple(row for row in snapshot.readings if (row.device, row.table) != (device, table))
    return replace(snapshot, readings=(*others, reading(device, table, seconds)))


def place(attribution: Attribution, identity: str = SEVEN) -> Location:
    location = only(attribution, identity).location
    assert location is not None
    return location


def test_translations_lead_through_arp_and_forwarding_tables_to_the_edge_port() -> None:
    found = attribute(network([swarm(7)], [arp(7)], seen_on("sw1", 7)))
    core_row = PathStep("core", "fdb", "02:00:00:00:00:07 on Gi0/2 in VLAN 10, an uplink: sw1 is its neighbour", 0.0)
    far_row = PathStep("sw2", "fdb", "02:00:00:00:00:07 on Gi0/24 in VLAN 10, an uplink: core is its neighbour", 0.0)
    path = (
        PathStep("gw", "nat", "10.10.0.7 has 1,500 sessions", 0.0),
        PathStep("gw", "arp", "10.10.0.7 is 02:00:00:00:00:07 on lan0", 0.0),
        core_row,
        far_row,
        PathStep("sw1", "fdb", "02:00:00:00:00:07 on Gi0/7 in VLAN 10", 0.0),
    )
    location = Location("sw1", Station("Gi0/7", 10, mac(7)), 0.0, 1.0, path)
    assert found.clients == (Client(ClientId(SEVEN), (mac(7),), (ip(7),), swarm(7), location),)
    assert found.unattributed == ()


def test_the_planner_learns_vlans_stations_and_neighbours_of_every_port() -> None:
    found = attribute(network([], [arp(7)], seen_on("sw1", 7)))
    assert found.vlans == {name: frozenset({10}) for name in ("core", "sw1", "sw2")}
    assert found.macs_on_port["sw1", "Gi0/7"] == {mac(7)}
    assert [link.neighbor for link in found.neighbors_on_port["core", "Gi0/2"]] == ["sw1"]
    assert [(row.device, row.port) for row in found.sightings[mac(7)]] == [
        ("core", "Gi0/2"),
        ("sw1", "Gi0/7"),
        ("sw2", "Gi0/24"),
    ]
    assert found.infrastructure == {own: name for name, own in OWN.items()}
    assert found.uplinks_known == {"core", "sw1", "sw2"}


def test_a_quiet_machine_has_a_place_too() -> None:
    client = only(attribute(network([], [], seen_on("sw2", 9))), "mac:02:00:00:00:00:09")
    assert client.usage is None
    assert client.location is not None
    assert client.location.device == "sw2"


def test_ipv4_and_ipv6_addresses_of_one_mac_are_one_client() -> None:
    six = ip_address("2001:db8::7")
    four, both = usage(7, 30, 10), usage(six, 50, 20)
    neighbors = [arp(7), Neighbor("gw", "lan0", six, mac(7))]
    client = only(attribute(network([four, both], neighbors, seen_on("sw1", 7))), SEVEN)
    assert client.addresses == (ip(7), six)
    assert client.usage is not None
    assert (client.usage.sessions, client.usage.address) == (80, six)


def test_two_gateways_with_the_same_client_are_summed() -> None:
    second = replace(GW, name="gw2")
    rows = (usage(7, 30), usage(7, 12, device="gw2"))
    snapshot = network(rows, [arp(7), arp(7, "gw2")], seen_on("sw1", 7))
    client = only(attribute(replace(snapshot, devices=(*snapshot.devices, second))), SEVEN)
    assert client.usage is not None
    assert client.usage.sessions == 42


def test_an_address_with_two_macs_is_left_unattributed() -> None:
    rows = [arp(7), arp(7, holder=mac(8))]
    found = attribute(network([swarm(7)], rows, (*seen_on("sw1", 7), *seen_on("sw1", 8))))
    why = "2 MACs answer for it: 02:00:00:00:00:07 on gw, 02:00:00:00:00:08 on gw"
    assert only(found, "address:10.10.0.7") == Client(ClientId("address:10.10.0.7"), (), (ip(7),), swarm(7), None, why)
    assert found.unattributed == (Unattributed("address 10.10.0.7", why, 1500),)
    assert only(found, SEVEN).usage is None
    assert only(found, SEVEN).addresses == ()


def test_a_mac_on_two_edge_ports_is_left_unattributed() -> None:
    rows = (*seen_on("sw1", 7), fdb("sw2", "Gi0/5", 7))
    found = attribute(network([swarm(7)], [arp(7)], rows))
    client = only(found, SEVEN)
    why = "it is on 2 edge ports: sw1 Gi0/7, sw2 Gi0/5; it moved, is copied, or one of them is an undeclared uplink"
    assert (client.location, client.why_no_location) == (None, why)
    assert client.usage == swarm(7)
    assert found.unattributed == (Unattributed("MAC 02:00:00:00:00:07", why, 1500),)


def test_a_mac_on_two_ports_of_one_switch_is_left_unattributed() -> None:
    rows = (fdb("sw1", "Gi0/5", 7, 10), fdb("sw1", "Gi0/6", 7, 20))
    assert only(attribute(network([], [arp(7)], rows)), SEVEN).location is None


def test_a_mac_seen_only_on_uplinks_has_no_place() -> None:
    client = only(attribute(network([swarm(7)], [arp(7)], [fdb("core", "Gi0/2", 7)])), SEVEN)
    assert (client.location, client.why_no_location) == (
        None,
        "it is seen only on uplinks: core Gi0/2 (sw1 is its neighbour)",
    )


def test_an_address_without_arp_is_a_client_by_its_address() -> None:
    client = only(attribute(network([swarm(7)])), "address:10.10.0.7")
    assert (client.macs, client.why_no_location) == ((), "no ARP or neighbour table has it")


def test_a_missing_arp_table_is_named_as_the_reason() -> None:
    gap = Gap("gw", "arp", "no answer in time")
    found = attribute(network([swarm(7)], [arp(7)], gaps=[gap]))
    why = "no ARP or neighbour table has it; missing is the ARP table of gw (no answer in time)"
    assert only(found, "address:10.10.0.7").why_no_location == why
    assert found.gaps == (gap,)


def test_the_missing_table_of_a_switch_in_between_is_named() -> None:
    snapshot = network([swarm(7)], [arp(7)], seen_on("sw1", 7), without=[("sw1", "fdb")])
    client = only(attribute(snapshot), SEVEN)
    assert client.location is None
    assert client.why_no_location.endswith("; missing is the forwarding table of sw1 (no answer in time)")


def test_infrastructure_is_no_client() -> None:
    own_address, vip, host = ip_address("10.10.0.2"), ip_address("10.10.0.1"), ip_address("10.10.0.250")
    neighbors = [
        Neighbor("core", "Vlan10", own_address, OWN["gw"]),
        Neighbor("core", "Vlan10", vip, replace(mac(0), value=0x00005E000101)),
    ]
    nat = [usage(own_address, 5), usage(vip, 6), usage(host, 7)]
    snapshot = replace(network(nat, neighbors, [fdb("sw1", "Gi0/9", 99)]), own_macs=(mac(99),), own_addresses=(host,))
    found = attribute(snapshot)
    assert found.clients == ()
    assert found.infrastructure_addresses == {
        own_address: "gw",
        vip: "a virtual router (VRRP for IPv4)",
        host: "this host",
    }
    assert found.infrastructure[mac(99)] == "this host"
    assert {(it.what, it.sessions) for it in found.unattributed} == {
        ("address 10.10.0.1", 6),
        ("address 10.10.0.2", 5),
        ("address 10.10.0.250", 7),
    }


def test_the_management_host_in_arp_is_this_host() -> None:
    snapshot = network([], [arp(7)], seen_on("sw1", 7))
    found = attribute(replace(snapshot, own_macs=(mac(7),), own_addresses=(ip(7),)))
    assert found.clients == ()
    assert found.infrastructure_addresses == {ip(7): "this host"}
    assert ("sw1", "Gi0/7") not in found.uplinks


def test_neighbours_on_the_internet_side_are_no_clients() -> None:
    snapshot = network([], [arp(7), arp(8, interface="wan0")])
    gateway = replace(GW, lan_interfaces=("lan0",))
    found = attribute(replace(snapshot, devices=(gateway, *snapshot.devices[1:])))
    assert [client.identity for client in found.clients] == [SEVEN]
    assert found.unattributed == (Unattributed("1 row of gw's neighbour table", "wan0 does not face the clients"),)


# --- age and confidence ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "confidence"), [(0, 1.0), (300, 0.75), (600, 0.5), (14400, 0.5)])
def test_confidence_fades_with_age(seconds: float, confidence: float) -> None:
    snapshot = aged(network([swarm(7)], [arp(7)], seen_on("sw1", 7)), "sw1", "fdb", seconds)
    found = place(attribute(snapshot))
    assert found.age_s == seconds
    assert found.confidence == pytest.approx(confidence)


def test_a_place_is_as_old_as_the_older_of_arp_and_forwarding_row() -> None:
    snapshot = aged(network([swarm(7)], [arp(7)], seen_on("sw1", 7)), "gw", "arp", 120)
    assert place(attribute(snapshot)).age_s == 120


def test_the_age_of_a_forwarding_row_adds_to_that_of_its_table() -> None:
    rows = [replace(row, age_s=40.0) for row in seen_on("sw1", 7)]
    assert place(attribute(aged(network([], [], rows), "sw1", "fdb", 60))).age_s == 100


def test_of_two_arp_tables_the_fresher_one_counts() -> None:
    snapshot = network([swarm(7)], [arp(7), arp(7, "core", "Vlan10")], seen_on("sw1", 7))
    snapshot = aged(aged(snapshot, "gw", "arp", 200), "core", "arp", 5)
    assert place(attribute(snapshot)).path[1].device == "core"


def test_a_clock_that_runs_ahead_makes_no_negative_age() -> None:
    snapshot = replace(network([], [arp(7)], seen_on("sw1", 7)), at=NOON - timedelta(seconds=9))
    assert place(attribute(snapshot)).age_s == 0


def test_unknown_uplinks_lower_confidence_below_the_default_threshold() -> None:
    snapshot = network([swarm(7)], [arp(7)], [fdb("sw1", "Gi0/7", 7)], without=[("sw1", "links")])
    found = attribute(snapshot)
    assert "sw1" not in found.uplinks_known
    assert place(found).confidence == pytest.approx(0.6)


def test_a_missing_table_elsewhere_lowers_confidence_a_little() -> None:
    snapshot = network([swarm(7)], [arp(7)], seen_on("sw1", 7), without=[("sw2", "fdb")])
    assert place(attribute(snapshot)).confidence == pytest.approx(0.9)


def test_a_switch_whose_uplinks_are_unknown_does_not_hide_a_sure_place() -> None:
    rows = (*seen_on("sw1", 7), fdb("sw2", "Gi0/9", 7))
    found = place(attribute(network([], [arp(7)], rows, without=[("sw2", "links")])))
    assert found.device == "sw1"
    assert found.confidence == pytest.approx(0.8)


@pytest.mark.parametrize(
    "number",
    [
        locate.FADES_S,
        locate.STALEST,
        locate.UNCERTAIN_UPLINKS,
        locate.CONTRADICTED,
        locate.MISSING_TABLE,
        locate.BORROWED_VLAN,
        locate.SEVERAL_VLANS,
        locate.UNCONFIRMED_STATIC,
    ],
)
def test_every_number_of_the_confidence_is_documented(number: float) -> None:
    assert re.search(rf"\b{number:g}\b", locate.__doc__ or "")


# --- VLANs -----------------------------------------------------------------------------------------------------------


def test_a_mac_in_two_vlans_on_one_port_is_in_that_of_its_address() -> None:
    rows = (fdb("sw1", "Gi0/7", 7, 10), fdb("sw1", "Gi0/7", 7, 20))
    found = place(attribute(network([], [arp(7, "core", "Vlan20")], rows)))
    assert (found.station.vlan, found.confidence) == (20, 1.0)
    assert [step.entry for step in found.path[-2:]] == [
        "02:00:00:00:00:07 on Gi0/7 in VLAN 10",
        "02:00:00:00:00:07 on Gi0/7 in VLAN 20",
    ]


@pytest.mark.parametrize("interface", ["eth1.20", "br-lan.20", "vlan20", "Vlan 20", "VLAN-20"])
def test_the_gateways_interface_names_the_vlan(interface: str) -> None:
    rows = (fdb("sw1", "Gi0/7", 7, 10), fdb("sw1", "Gi0/7", 7, 20))
    assert place(attribute(network([], [arp(7, "core", interface)], rows))).station.vlan == 20


def test_two_vlans_and_nothing_to_choose_by_is_the_lowest_with_less_confidence() -> None:
    rows = (fdb("sw1", "Gi0/7", 7, 20), fdb("sw1", "Gi0/7", 7, 10))
    found = place(attribute(network([], [arp(7)], rows)))
    assert found.station.vlan == 10
    assert found.confidence == pytest.approx(0.9)


def test_a_switch_that_tells_no_vlan_learns_it_from_the_others() -> None:
    rows = (fdb("sw1", "Gi0/7", 7, None), fdb("core", "Gi0/2", 7, 30))
    found = place(attribute(network([], [arp(7)], rows)))
    assert found.station.vlan == 30
    assert found.confidence == pytest.approx(0.95)


def test_a_vlan_on_which_the_others_disagree_is_not_learned() -> None:
    rows = (fdb("sw1", "Gi0/7", 7, None), fdb("core", "Gi0/2", 7, 30), fdb("core", "Gi0/2", 7, 40))
    found = place(attribute(network([], [arp(7)], rows)))
    assert found.station.vlan is None
    assert found.confidence == pytest.approx(0.9)


def test_a_network_without_vlans_needs_none() -> None:
    found = place(attribute(network([], [arp(7)], seen_on("sw1", 7, None))))
    assert (found.station.vlan, found.confidence) == (None, 1.0)


def test_empty_tables_make_nobody() -> None:
    assert attribute(Snapshot(NOON, ())) == Attribution(NOON, ())


def test_usage_without_any_table_is_still_somebodys() -> None:
    row: NatUsage = usage(7)
    assert only(attribute(Snapshot(NOON, (GW,), nat=(row,))), "address:10.10.0.7").usage == row


def test_a_static_row_needs_a_port_that_is_known_to_be_up() -> None:
    rows = [replace(row, static=True) for row in seen_on("sw1", 7)]
    assert place(attribute(network([], [arp(7)], rows))).confidence == pytest.approx(0.8)
    live = network([], [arp(7)], rows, interfaces=[port("sw1", "Gi0/7")])
    assert place(attribute(live)).confidence == 1.0


def test_a_path_is_read_like_the_tuple_that_it_is_equal_to() -> None:
    snapshot = network([swarm(7)], [arp(7)], seen_on("sw1", 7))
    path, again = place(attribute(snapshot)).path, place(attribute(snapshot)).path
    steps = tuple(path)
    assert path == steps == path[:]
    assert path == again
    assert (len(path), path[-1], hash(path), repr(path)) == (5, steps[-1], hash(steps), repr(steps))
    assert path != steps[1:]
