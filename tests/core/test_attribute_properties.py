"""What holds for every network, however odd its tables."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from random import Random
from typing import TypeVar

from builders import BRIDGE, CORE, GW, NOON, OWN, SW1, SW2, ip, mac, reading, usage
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.attribute import attribute
from switchguard.core.model import FdbEntry, Gap, Interface, Link, Mac, Neighbor, Snapshot, Table
from switchguard.core.reserved import never_a_client

Row = TypeVar("Row")

DEVICES = st.sampled_from(["gw", "core", "sw1", "sw2"])
PORTS = st.sampled_from(["Gi0/1", "Gi0/2", "Gi0/24", "GigabitEthernet0/24", "Po1", "0"])
SPECIAL = [*OWN.values(), Mac(0), Mac(0x00005E000101), Mac((1 << 48) - 1)]
MACS = st.one_of(st.integers(1, 5).map(mac), st.sampled_from(SPECIAL))
ADDRESSES = st.one_of(st.integers(1, 6).map(ip), st.sampled_from([ip_address("fe80::1"), ip_address("2001:db8::1")]))
TABLES: st.SearchStrategy[Table] = st.sampled_from(["arp", "fdb", "links", "interfaces"])
SKETCHES = st.lists(st.integers(0, 2**64 - 1), max_size=4, unique=True).map(sorted)
USAGES = st.builds(
    usage,
    ADDRESSES,
    st.integers(0, 2000),
    st.integers(0, 2000),
    DEVICES,
    active_share=st.one_of(st.none(), st.floats(0, 1)),
    sketch=SKETCHES,
    top_port=st.sampled_from([None, 53, 443]),
)
INTERFACES = st.sampled_from(["lan0", "Vlan10", "Vlan20"])
VLANS = st.sampled_from([None, 10, 20])
STATIONS = st.builds(FdbEntry, DEVICES, PORTS, MACS, VLANS, st.booleans(), st.one_of(st.none(), st.floats(0, 600)))
NAMES = st.sampled_from(["core", "sw1.example.net", "laptop"])
CAPABILITIES = st.sampled_from([frozenset[str](), BRIDGE, frozenset({"telephone"})])
UP = st.sampled_from([None, True, False])


def several(rows: st.SearchStrategy[Row], most: int) -> st.SearchStrategy[tuple[Row, ...]]:
    return st.lists(rows, max_size=most).map(tuple)


SNAPSHOTS = st.builds(
    Snapshot,
    at=st.just(NOON),
    devices=several(st.sampled_from([GW, CORE, SW1, SW2]), 5).map(lambda rows: tuple(sorted(set(rows), key=str))),
    nat=st.lists(USAGES, max_size=8, unique_by=lambda row: (row.device, row.address)).map(tuple),
    neighbors=several(st.builds(Neighbor, DEVICES, INTERFACES, ADDRESSES, MACS), 12),
    fdb=several(STATIONS, 20),
    links=several(st.builds(Link, DEVICES, PORTS, NAMES, CAPABILITIES, st.one_of(st.none(), MACS)), 6),
    interfaces=several(st.builds(Interface, DEVICES, PORTS, st.just(1), st.one_of(st.none(), MACS), up=UP), 8),
    own_macs=several(MACS, 1),
    own_addresses=several(ADDRESSES, 1),
    readings=st.lists(
        st.builds(reading, DEVICES, TABLES, st.floats(0, 900)),
        max_size=6,
        unique_by=lambda row: (row.device, row.table),
    ).map(tuple),
    gaps=several(st.builds(Gap, DEVICES, TABLES, st.just("silent")), 3),
)


def shuffled(rows: Sequence[Row], random: Random) -> tuple[Row, ...]:
    return tuple(random.sample(rows, len(rows)))


@settings(deadline=None)
@given(SNAPSHOTS, st.randoms(use_true_random=False))
def test_row_order_is_irrelevant(snapshot: Snapshot, random: Random) -> None:
    other = replace(
        snapshot,
        devices=shuffled(snapshot.devices, random),
        nat=shuffled(snapshot.nat, random),
        neighbors=shuffled(snapshot.neighbors, random),
        fdb=shuffled(snapshot.fdb, random),
        links=shuffled(snapshot.links, random),
        interfaces=shuffled(snapshot.interfaces, random),
        readings=shuffled(snapshot.readings, random),
        gaps=shuffled(snapshot.gaps, random),
    )
    assert attribute(other) == attribute(snapshot)


@settings(deadline=None)
@given(SNAPSHOTS)
def test_every_client_has_a_place_or_a_reason(snapshot: Snapshot) -> None:
    assert all((client.location is None) == bool(client.why_no_location) for client in attribute(snapshot).clients)


@settings(deadline=None)
@given(SNAPSHOTS)
def test_a_place_is_never_an_uplink_and_its_confidence_is_a_share(snapshot: Snapshot) -> None:
    found = attribute(snapshot)
    places = [client.location for client in found.clients if client.location]
    assert all((place.device, place.station.port) not in found.uplinks for place in places)
    assert all(0 < place.confidence <= 1 and place.age_s >= 0 for place in places)
    assert all(place.path[-1].device == place.device for place in places)


@settings(deadline=None)
@given(SNAPSHOTS)
def test_infrastructure_and_reserved_macs_are_never_clients(snapshot: Snapshot) -> None:
    found = attribute(snapshot)
    macs = {it for client in found.clients for it in client.macs}
    assert not macs & found.infrastructure.keys()
    assert not any(never_a_client(it) for it in macs)
    assert not {it for client in found.clients for it in client.addresses} & found.infrastructure_addresses.keys()


@settings(deadline=None)
@given(SNAPSHOTS)
def test_no_session_is_lost_or_counted_twice(snapshot: Snapshot) -> None:
    found = attribute(snapshot)
    of_clients = sum(client.usage.sessions for client in found.clients if client.usage)
    of_infrastructure = sum(row.sessions for row in snapshot.nat if row.address in found.infrastructure_addresses)
    assert of_clients + of_infrastructure == sum(row.sessions for row in snapshot.nat)


@settings(deadline=None)
@given(SNAPSHOTS)
def test_no_two_clients_share_an_identity_a_mac_or_an_address(snapshot: Snapshot) -> None:
    clients = attribute(snapshot).clients
    for things in (
        [client.identity for client in clients],
        [it for client in clients for it in client.macs],
        [address for client in clients for address in client.addresses],
    ):
        assert len(things) == len(set(things))
