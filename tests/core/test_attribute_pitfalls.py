"""How attribution goes wrong elsewhere: each pitfall by name."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from builders import BRIDGE, CORE, OWN, SW1, arp, fdb, ip, mac, network, only, port, seen_on, swarm, usage

from switchguard.core.attribute import attribute
from switchguard.core.model import Client, FdbEntry, Link, Mac, Neighbor, Unattributed

SEVEN = "mac:02:00:00:00:00:07"
VIRTUAL = [
    Mac.parse(text)
    for text in (
        "00:00:5e:00:01:0a",
        "00:00:5e:00:02:0a",
        "00:00:0c:07:ac:0a",
        "00:00:0c:9f:f0:0a",
        "00:05:73:a0:00:0a",
        "00:07:b4:00:0a:01",
    )
]


def where(client: Client) -> tuple[str, str | None] | None:
    return (client.location.device, client.location.station.port) if client.location else None


def test_stale_arp_whose_mac_has_left_the_forwarding_tables_points_to_no_port() -> None:
    client = only(attribute(network([swarm(7)], [arp(7)])), SEVEN)
    assert client.location is None
    assert client.why_no_location == "no forwarding table has it on a port that is up; its ARP entry may be stale"


def test_stale_arp_that_a_second_router_contradicts_blames_neither() -> None:
    rows = [arp(7), arp(7, "core", "Vlan10", mac(8))]
    found = attribute(network([swarm(7)], rows, (*seen_on("sw1", 7), *seen_on("sw1", 8))))
    assert all(client.usage is None for client in found.clients if client.macs)


def test_proxy_arp_of_our_own_router_makes_addresses_infrastructure_not_clients() -> None:
    proxied = [Neighbor("gw", "lan0", ip(number), OWN["core"]) for number in range(20, 40)]
    found = attribute(network([swarm(25)], proxied))
    assert found.clients == ()
    assert found.unattributed == (Unattributed("address 10.10.0.25", "it is infrastructure: core", 1500),)


def test_an_address_taken_from_our_own_gateway_is_infrastructure() -> None:
    stolen = [Neighbor("core", "Vlan10", ip(1), OWN["gw"]), Neighbor("core", "Vlan10", ip(1), mac(7))]
    found = attribute(network([swarm(1)], stolen, seen_on("sw1", 7)))
    assert found.infrastructure_addresses == {ip(1): "gw"}
    assert only(found, SEVEN).usage is None


def test_a_router_behind_a_client_port_is_one_mac_with_many_addresses() -> None:
    rows = [Neighbor("gw", "lan0", ip(number), mac(7)) for number in range(100, 109)]
    client = only(attribute(network([usage(number) for number in range(100, 109)], rows, seen_on("sw1", 7))), SEVEN)
    assert len(client.addresses) == 9
    assert client.usage is not None
    assert client.usage.sessions == 9 * 20


@pytest.mark.parametrize("empty", [Mac(0), Mac((1 << 48) - 1), Mac.parse("33:33:00:00:00:01")])
def test_incomplete_arp_entries_belong_to_nobody(empty: Mac) -> None:
    found = attribute(network([], [arp(7), arp(7, holder=empty)]))
    assert [client.identity for client in found.clients] == [SEVEN]
    assert found.unattributed[0].what == "1 row of gw's neighbour table"


def test_link_local_addresses_are_alike_on_every_link_and_identify_nobody() -> None:
    shared, zeroconf = ip_address("fe80::1"), ip_address("169.254.1.1")
    rows = [
        Neighbor("gw", "lan0", shared, mac(7)),
        Neighbor("gw", "lan1", shared, mac(8)),
        Neighbor("gw", "lan0", zeroconf, mac(7)),
        Neighbor("gw", "lan0", shared, VIRTUAL[1]),
        Neighbor("gw", "lan0", shared, OWN["core"]),
    ]
    found = attribute(network([], rows))
    assert [(client.identity, client.addresses) for client in found.clients] == [
        (SEVEN, ()),
        ("mac:02:00:00:00:00:08", ()),
    ]
    assert found.unattributed == ()


@pytest.mark.parametrize("nowhere", ["0", "", "CPU", "Drop"])
def test_port_zero_is_no_place(nowhere: str) -> None:
    found = attribute(network([], [arp(7)], (*seen_on("sw1", 7), fdb("core", nowhere, 7))))
    assert where(only(found, SEVEN)) == ("sw1", "Gi0/7")
    assert found.unattributed[0].what == "1 row of core's forwarding table"
    assert ("core", nowhere) not in found.macs_on_port


@pytest.mark.parametrize("static", [True, False])
def test_rows_that_outlive_their_link_on_a_port_that_is_down_are_phantoms(static: bool) -> None:
    phantom = replace(fdb("sw2", "Gi0/3", 7), static=static)
    snapshot = network([], [arp(7)], (*seen_on("sw1", 7), phantom), interfaces=[port("sw2", "Gi0/3", up=False)])
    found = attribute(snapshot)
    assert where(only(found, SEVEN)) == ("sw1", "Gi0/7")
    assert found.unattributed == (Unattributed("1 row of sw2's forwarding table", "port Gi0/3 is down"),)
    assert phantom not in found.sightings[mac(7)]


def test_an_unmanaged_switch_behind_a_port_lowers_nothing_and_is_told() -> None:
    rows = [fdb("sw1", "Gi0/7", number) for number in range(7, 27)]
    found = attribute(network([], [arp(7)], rows))
    client = only(found, SEVEN)
    assert where(client) == ("sw1", "Gi0/7")
    assert client.location is not None
    assert client.location.confidence == 1.0
    assert len(found.macs_on_port["sw1", "Gi0/7"]) == 20


@pytest.mark.parametrize("virtual", VIRTUAL, ids=str)
def test_a_virtual_routers_mac_makes_no_uplink_and_no_client(virtual: Mac) -> None:
    snapshot = network([], [arp(7)], [fdb("sw1", "Gi0/7", 7), fdb("sw1", "Gi0/7", virtual)])
    shared = (port("core", "Vlan10", owner=virtual), port("gw", "vrrp0", owner=virtual))
    found = attribute(replace(snapshot, interfaces=(*snapshot.interfaces, *shared)))
    assert where(only(found, SEVEN)) == ("sw1", "Gi0/7")
    assert ("sw1", "Gi0/7") not in found.uplinks
    assert virtual not in found.infrastructure
    assert [client.identity for client in found.clients] == [SEVEN]


def test_an_mlag_pair_that_both_see_the_client_on_uplinks_gives_one_place() -> None:
    second = replace(CORE, name="core2")
    own = Mac(0x02AA00000009)
    base = network([swarm(7)], [arp(7)], seen_on("sw1", 7))
    snapshot = replace(
        base,
        devices=(*base.devices, second),
        fdb=(*base.fdb, fdb("core2", "Po10", 7), fdb("core2", "Po10", OWN["sw1"]), fdb("core", "Po1", own)),
        links=(*base.links, Link("core2", "Gi0/49", "sw1", BRIDGE), Link("core2", "Gi0/50", "core", BRIDGE)),
        interfaces=(*base.interfaces, port("core2", "Po10", owner=own)),
    )
    assert where(only(attribute(snapshot), SEVEN)) == ("sw1", "Gi0/7")


def test_a_host_that_is_dual_homed_to_an_mlag_pair_has_no_single_place() -> None:
    base = network([swarm(7)], [arp(7)], [fdb("core", "Po20", 7), fdb("sw1", "Po20", 7)])
    client = only(attribute(base), SEVEN)
    assert client.location is None
    assert "core Po20, sw1 Po20" in client.why_no_location


def test_a_lag_is_an_uplink_although_lldp_names_only_its_members() -> None:
    base = network([], [arp(7)], [fdb("sw1", "Po1", 7), fdb("sw2", "Gi0/7", 7)])
    moved = tuple(replace(row, port="Po1") if row.port == "Gi0/24" and row.device == "sw1" else row for row in base.fdb)
    members = tuple(
        replace(row, port="Gi0/23") if row.device == "sw1" else row for row in base.links if row.device != "core"
    )
    snapshot = replace(base, fdb=moved, links=members)
    found = attribute(snapshot)
    assert ("sw1", "Po1") in found.uplinks
    assert where(only(found, SEVEN)) == ("sw2", "Gi0/7")


def test_a_lag_whose_neighbour_is_seen_nowhere_makes_all_aggregates_uplinks() -> None:
    """Out-of-band management: no MAC of our own is ever in the clients' forwarding tables."""
    base = network([], [arp(7)], [fdb("core", "Po1", 7), fdb("core", "Gi0/9", 9)])
    links = (Link("core", "Gi0/49", "sw1.example.net", BRIDGE),)
    snapshot = replace(base, fdb=tuple(row for row in base.fdb if row.mac in (mac(7), mac(9))), links=links)
    found = attribute(snapshot)
    why = "Gi0/49 may be a member of it, and sw1 is its neighbour"
    assert found.uplinks == {("core", "Gi0/49"): "sw1 is its neighbour", ("core", "Po1"): why}
    assert only(found, SEVEN).why_no_location == f"it is seen only on uplinks: core Po1 ({why})"


def test_a_foreign_bridge_on_a_lag_is_found_by_its_chassis() -> None:
    chassis = mac(500)
    rows = [fdb("core", "Po7", chassis), fdb("core", "Po7", 7), fdb("core", "Po8", 8)]
    found = attribute(network([], [], rows, links=[Link("core", "Gi0/47", "unmanaged", BRIDGE, chassis)]))
    assert ("core", "Po7") in found.uplinks
    assert ("core", "Po8") not in found.uplinks


def test_every_spelling_of_a_port_is_the_same_port() -> None:
    base = network([], [arp(7)], seen_on("sw1", 7))
    links = tuple(replace(link, port=link.port.replace("Gi", "GigabitEthernet")) for link in base.links)
    found = attribute(replace(base, links=links))
    assert where(only(found, SEVEN)) == ("sw1", "Gi0/7")
    assert ("sw1", "Gi0/24") in found.uplinks
    assert ("sw1", "Gi0/24") in found.neighbors_on_port


def test_an_access_points_clients_are_not_located_at_its_port() -> None:
    ap = Link("sw1", "Gi0/7", "ap-3", frozenset({"wlan-access-point", "bridge"}))
    client = only(attribute(network([], [arp(7)], seen_on("sw1", 7), links=[ap])), SEVEN)
    assert client.location is None
    assert "sw1 Gi0/7 (its neighbour ap-3 is a bridge)" in client.why_no_location


def test_a_telephone_with_a_machine_behind_it_is_no_uplink() -> None:
    phone = Link("sw1", "Gi0/7", "SEP001122334455", frozenset({"bridge", "telephone"}), mac(300))
    found = attribute(network([], [arp(7)], (*seen_on("sw1", 7), fdb("sw1", "Gi0/7", 300, 50)), links=[phone]))
    assert where(only(found, SEVEN)) == ("sw1", "Gi0/7")
    assert found.neighbors_on_port["sw1", "Gi0/7"] == (phone,)
    assert found.macs_on_port["sw1", "Gi0/7"] == {mac(7), mac(300)}


def test_a_copied_mac_gets_its_rightful_owner_no_place() -> None:
    """Somebody who copies a MAC to get its owner cut achieves nothing but ambiguity."""
    found = attribute(network([swarm(7)], [arp(7)], (*seen_on("sw1", 7), fdb("sw2", "Gi0/13", 7))))
    assert only(found, SEVEN).location is None


def test_a_client_that_copies_our_own_mac_becomes_an_uplink_not_a_target() -> None:
    found = attribute(network([], [], [fdb("sw1", "Gi0/7", OWN["gw"])]))
    assert found.clients == ()
    assert found.uplinks["sw1", "Gi0/7"] == "gw's own 02:aa:00:00:00:01 is behind it"


def test_duplicate_rows_count_once() -> None:
    rows = seen_on("sw1", 7)
    assert where(only(attribute(network([], [arp(7), arp(7)], (*rows, *rows))), SEVEN)) == ("sw1", "Gi0/7")


def test_of_rows_with_different_ages_on_one_port_the_fresh_one_counts() -> None:
    rows = [FdbEntry("sw1", "Gi0/7", mac(7), vlan, age_s=age) for vlan, age in ((10, 290.0), (20, 1.0))]
    client = only(attribute(network([], [], rows)), SEVEN)
    assert client.location is not None
    assert client.location.age_s == 1.0


def test_a_device_that_left_the_inventory_is_no_authority_on_uplinks() -> None:
    base = network([], [arp(7)], seen_on("sw1", 7))
    found = attribute(replace(base, devices=tuple(device for device in base.devices if device != SW1)))
    assert "sw1" not in found.uplinks_known
