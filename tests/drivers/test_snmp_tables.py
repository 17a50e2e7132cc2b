"""Pitfalls of ARP, forwarding, interface, counter and neighbour tables over SNMP, one claim each."""

from collections.abc import Callable, Iterable
from importlib import import_module

import pytest
from replay import AT, Replay, Rows, numbers

from switchguard.core.model import Device, FdbEntry, Link, Mac, Neighbor, Role
from switchguard.errors import NotConfigured, UnexpectedOutput
from switchguard.ports import SnmpValue, Transport

tables = import_module("switchguard.drivers._snmp_tables").SnmpTables()

NAMES: dict[str, SnmpValue] = {"1.3.6.1.2.1.31.1.1.1.1.101": b"Gi0/1", "1.3.6.1.2.1.31.1.1.1.1.102": b"Gi0/2"}
BRIDGE_PORTS: dict[str, SnmpValue] = {"1.3.6.1.2.1.17.1.4.1.2.1": 101, "1.3.6.1.2.1.17.1.4.1.2.2": 102}
MAC = Mac.parse("02:00:00:00:00:07")
Q_PORT, Q_STATUS = "1.3.6.1.2.1.17.7.1.2.2.1.2", "1.3.6.1.2.1.17.7.1.2.2.1.3"
D_PORT, D_STATUS = "1.3.6.1.2.1.17.4.3.1.2", "1.3.6.1.2.1.17.4.3.1.3"
VLAN_FDB = "1.3.6.1.2.1.17.7.1.4.2.1.3"
OWN_MAC = "1.3.6.1.2.1.2.2.1.6.101"
LLDP = "1.0.8802.1.1.2.1"


def agent(*rows: dict[str, SnmpValue], speaks: Iterable[Transport] = ("snmp",)) -> Replay:
    """An agent with these objects and no others."""
    merged: Rows = {numbers(oid): value for some in (NAMES, *rows) for oid, value in some.items()}
    return Replay(Device("sw1", "snmp", Role.ACCESS), frozenset(speaks), walked=((1,),), rows=merged)


def station(
    index: str, port: int, status: int, port_column: str = Q_PORT, status_column: str = Q_STATUS
) -> dict[str, SnmpValue]:
    return {f"{port_column}.{index}": port, f"{status_column}.{index}": status}


def fdb(*rows: dict[str, SnmpValue]) -> list[tuple[str, str, int | None, bool]]:
    found: tuple[FdbEntry, ...] = tables.fdb(agent(BRIDGE_PORTS, *rows))
    return sorted((entry.port, str(entry.mac), entry.vlan, entry.static) for entry in found)


# --- forwarding tables -----------------------------------------------------------------------------------------------


def test_a_filtering_database_is_not_a_vlan() -> None:
    assert fdb(station("5.2.0.0.0.0.7", 1, 3), {f"{VLAN_FDB}.0.10": 5}) == [("Gi0/1", str(MAC), 10, False)]


def test_the_time_mark_is_ignored_and_the_newest_row_counts() -> None:
    rows: dict[str, SnmpValue] = {f"{VLAN_FDB}.0.10": 5, f"{VLAN_FDB}.900.10": 6}
    assert fdb(station("6.2.0.0.0.0.7", 1, 3), rows) == [("Gi0/1", str(MAC), 10, False)]


def test_a_database_of_several_vlans_tells_no_vlan() -> None:
    rows: dict[str, SnmpValue] = {f"{VLAN_FDB}.0.10": 5, f"{VLAN_FDB}.0.11": 5}
    assert fdb(station("5.2.0.0.0.0.7", 1, 3), rows) == [("Gi0/1", str(MAC), None, False)]


def test_only_without_the_vlan_table_both_numbers_are_one() -> None:
    assert fdb(station("10.2.0.0.0.0.7", 1, 3)) == [("Gi0/1", str(MAC), 10, False)]
    assert fdb(station("10.2.0.0.0.0.7", 1, 3), {f"{VLAN_FDB}.0.20": 20}) == [("Gi0/1", str(MAC), None, False)]
    assert fdb(station("65537.2.0.0.0.0.7", 1, 3)) == [("Gi0/1", str(MAC), None, False)]


def test_a_partly_filled_q_bridge_hides_nothing() -> None:
    rows = (station("10.2.0.0.0.0.7", 1, 3), station("2.0.0.0.0.8", 2, 3, D_PORT, D_STATUS))
    assert fdb(*rows) == [("Gi0/1", str(MAC), 10, False), ("Gi0/2", "02:00:00:00:00:08", None, False)]


def test_the_same_sighting_in_both_tables_is_one() -> None:
    rows = (station("10.2.0.0.0.0.7", 1, 3), station("2.0.0.0.0.7", 1, 3, D_PORT, D_STATUS))
    assert fdb(*rows) == [("Gi0/1", str(MAC), 10, False)]


@pytest.mark.parametrize("status", [2, 4])
def test_invalid_and_own_entries_are_left_out(status: int) -> None:
    assert fdb(station("10.2.0.0.0.0.7", 1, status)) == []


def test_a_managed_entry_is_static() -> None:
    assert fdb(station("10.2.0.0.0.0.7", 1, 5)) == [("Gi0/1", str(MAC), 10, True)]


def test_port_zero_is_no_port() -> None:
    assert fdb(station("10.2.0.0.0.0.7", 0, 3)) == []


def test_a_bridge_port_is_not_an_ifindex() -> None:
    ports: dict[str, SnmpValue] = {"1.3.6.1.2.1.17.1.4.1.2.101": 102}
    assert [entry.port for entry in tables.fdb(agent(ports, station("10.2.0.0.0.0.7", 101, 3)))] == ["Gi0/2"]


def test_a_port_that_a_filled_map_lacks_names_no_place() -> None:
    assert fdb(station("10.2.0.0.0.0.7", 101, 3)) == []


def test_without_any_map_bridge_ports_are_ifindexes() -> None:
    assert [entry.port for entry in tables.fdb(agent(station("10.2.0.0.0.0.7", 101, 3)))] == ["Gi0/1"]


def test_a_mac_may_carry_its_length_in_the_index() -> None:
    rows = (station("10.6.2.0.0.0.0.7", 1, 3), station("6.2.0.0.0.0.8", 2, 3, D_PORT, D_STATUS))
    assert fdb(*rows) == [("Gi0/1", str(MAC), 10, False), ("Gi0/2", "02:00:00:00:00:08", None, False)]


def test_a_row_without_a_status_arrived_between_two_walks() -> None:
    assert fdb({f"{Q_PORT}.10.2.0.0.0.0.7": 1}) == [("Gi0/1", str(MAC), 10, False)]


def test_an_empty_bridge_is_an_empty_table() -> None:
    assert fdb() == []


# --- neighbours ------------------------------------------------------------------------------------------------------

PHYSICAL, MEDIA = "1.3.6.1.2.1.4.35.1", "1.3.6.1.2.1.4.22.1"
OCTETS = MAC.octets


def arp(*rows: dict[str, SnmpValue]) -> list[tuple[str, str, str]]:
    found: tuple[Neighbor, ...] = tables.arp(agent(*rows))
    return sorted((row.interface, str(row.address), str(row.mac)) for row in found)


def test_the_tables_are_united_per_address() -> None:
    """Agents keep IPv6 in the new table and IPv4 in the old one, or both in both."""
    rows: dict[str, SnmpValue] = {
        f"{PHYSICAL}.4.101.2.16.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.7": OCTETS,
        f"{MEDIA}.2.101.10.0.0.7": OCTETS,
    }
    assert arp(rows) == [("Gi0/1", "10.0.0.7", str(MAC)), ("Gi0/1", "2001:db8::7", str(MAC))]


def test_the_new_table_wins() -> None:
    rows: dict[str, SnmpValue] = {
        f"{PHYSICAL}.4.101.1.4.10.0.0.7": OCTETS,
        f"{PHYSICAL}.7.101.1.4.10.0.0.7": 7,
        f"{MEDIA}.2.101.10.0.0.7": OCTETS,
        f"{MEDIA}.2.101.10.0.0.8": OCTETS,
    }
    assert arp(rows) == [("Gi0/1", "10.0.0.8", str(MAC))]


@pytest.mark.parametrize("octets", [b"", bytes(6), bytes.fromhex("01005e0000fb"), bytes(4), bytes(20)])
def test_what_is_no_unicast_mac_is_left_out(octets: bytes) -> None:
    assert arp({f"{MEDIA}.2.101.10.0.0.7": octets}) == []


def test_own_addresses_are_no_neighbours() -> None:
    assert arp({OWN_MAC: OCTETS, f"{MEDIA}.2.101.10.0.0.7": OCTETS}) == []


def test_invalid_rows_are_left_out() -> None:
    assert arp({f"{MEDIA}.2.101.10.0.0.7": OCTETS, f"{MEDIA}.4.101.10.0.0.7": 2}) == []


def test_zoned_addresses_lose_their_zone() -> None:
    index = "101.4.20.254.128.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.0.0.101"
    assert arp({f"{PHYSICAL}.4.{index}": OCTETS}) == [("Gi0/1", "fe80::7", str(MAC))]


def test_a_mac_of_an_odd_length_is_an_error() -> None:
    with pytest.raises(UnexpectedOutput):
        arp({f"{MEDIA}.2.101.10.0.0.7": bytes(7)})


# --- a table that is not there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read",
    [tables.arp, tables.fdb, tables.links, lambda session: tables.counters(session, AT)],
    ids=["arp", "fdb", "links", "counters"],
)
def test_a_table_that_the_agent_does_not_have_is_never_an_empty_one(read: Callable[[Replay], object]) -> None:
    with pytest.raises(UnexpectedOutput, match="has no"):
        read(agent())


def test_a_site_without_snmp_says_so() -> None:
    with pytest.raises(NotConfigured, match="no SNMP access"):
        tables.arp(agent(speaks=["cli"]))


# --- interfaces and counters -----------------------------------------------------------------------------------------


def test_the_bridges_own_address_is_among_the_interfaces() -> None:
    found = tables.interfaces(agent({"1.3.6.1.2.1.17.1.1.0": OCTETS}))
    assert [(it.name, it.index) for it in found if it.mac == MAC] == [("(bridge)", 0)]


def test_counters_know_their_width_and_the_agents_clock() -> None:
    session = agent(_counted())
    wide, narrow = tables.counters(session, AT)
    assert (wide.port, wide.in_octets, wide.bits, wide.uptime_s, wide.discontinuity_s) == (
        "Gi0/1",
        1 << 40,
        64,
        42.0,
        1.5,
    )
    assert (narrow.port, narrow.in_octets, narrow.bits, narrow.discontinuity_s) == ("Gi0/2", 7, 32, None)


def _counted() -> dict[str, SnmpValue]:
    return {
        "1.3.6.1.2.1.1.3.0": 4200,
        "1.3.6.1.2.1.31.1.1.1.6.101": 1 << 40,
        "1.3.6.1.2.1.31.1.1.1.10.101": 1,
        "1.3.6.1.2.1.31.1.1.1.19.101": 150,
        "1.3.6.1.2.1.2.2.1.10.102": 7,
        "1.3.6.1.2.1.2.2.1.16.102": 8,
    }


# --- neighbouring devices --------------------------------------------------------------------------------------------


def neighbour(local: int, name: bytes = b"core1", capabilities: bytes = b"\x20\x00") -> dict[str, SnmpValue]:
    index = f"0.{local}.1"
    return {
        f"{LLDP}.4.1.1.4.{index}": 4,
        f"{LLDP}.4.1.1.5.{index}": OCTETS,
        f"{LLDP}.4.1.1.9.{index}": name,
        f"{LLDP}.4.1.1.12.{index}": capabilities,
    }


def local_port(number: int, subtype: int, name: bytes) -> dict[str, SnmpValue]:
    return {f"{LLDP}.3.7.1.2.{number}": subtype, f"{LLDP}.3.7.1.3.{number}": name}


def links(*rows: dict[str, SnmpValue]) -> tuple[Link, ...]:
    found: tuple[Link, ...] = tables.links(agent(*rows))
    return found


@pytest.mark.parametrize(
    ("subtype", "name"),
    [(5, b"Gi0/2"), (7, b"Gi0/2"), (1, b"to core"), (3, b"\x02\0\0\0\x0a\x02")],
    ids=["name", "local", "alias", "mac"],
)
def test_a_local_port_is_found_by_what_it_is_called(subtype: int, name: bytes) -> None:
    """Local port 101 is not ifIndex 101."""
    known: dict[str, SnmpValue] = {
        "1.3.6.1.2.1.31.1.1.1.18.102": b"to core",
        "1.3.6.1.2.1.2.2.1.6.102": b"\x02\0\0\0\x0a\x02",
    }
    (link,) = links(neighbour(101), local_port(101, subtype, name), known)
    assert link == Link("sw1", "Gi0/2", "core1", frozenset({"bridge"}), MAC)


def test_a_port_that_has_only_a_number_is_a_bridge_port() -> None:
    assert links(neighbour(2), local_port(2, 7, b"2"), BRIDGE_PORTS)[0].port == "Gi0/2"


def test_a_neighbour_on_a_port_that_cannot_be_named_is_an_error() -> None:
    with pytest.raises(UnexpectedOutput, match="no interface"):
        links(neighbour(9), local_port(9, 7, b"nine"))


def test_a_telephone_is_told_from_a_switch() -> None:
    (link,) = links(neighbour(2, capabilities=b"\x24\x00"), local_port(2, 5, b"Gi0/2"))
    assert link.capabilities == {"bridge", "telephone"}


def test_cdp_adds_what_lldp_does_not_say() -> None:
    cdp: dict[str, SnmpValue] = {
        "1.3.6.1.4.1.9.9.23.1.2.1.1.6.101.1": b"SEP0",
        "1.3.6.1.4.1.9.9.23.1.2.1.1.9.101.1": b"\0\0\x04\x90",
        "1.3.6.1.4.1.9.9.23.1.2.1.1.6.102.1": b"core1",
        "1.3.6.1.4.1.9.9.23.1.2.1.1.9.102.1": b"\0\0\0\x29",
    }
    found = links(neighbour(2), local_port(2, 5, b"Gi0/2"), cdp)
    assert [(link.port, link.neighbor, link.capabilities) for link in found] == [
        ("Gi0/2", "core1", frozenset({"bridge"})),
        ("Gi0/1", "SEP0", frozenset({"telephone"})),
    ]


def test_no_neighbours_is_not_no_agent() -> None:
    assert links(local_port(2, 5, b"Gi0/2")) == ()
