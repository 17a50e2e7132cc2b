"""A new gathering laid over the last one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from switchguard.core.model import Destination, Device, FdbEntry, Gap, Mac, Neighbor, Reading, Role, Snapshot
from switchguard.core.refresh import refresh

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
GW = Device("gw", "linux", Role.GATEWAY)
SW = Device("sw1", "cisco_ios", Role.ACCESS)
FDB = FdbEntry("sw1", "Gi0/1", Mac(7), 10)
ARP = Neighbor("gw", "lan0", ip_address("10.10.0.7"), Mac(7))
OLD = Snapshot(
    NOON,
    (GW, SW),
    neighbors=(ARP,),
    fdb=(FDB,),
    readings=(Reading("gw", "arp", NOON, 1, 0.1), Reading("sw1", "fdb", NOON, 1, 0.1)),
)


def test_the_first_gathering_is_taken_as_it_is() -> None:
    assert refresh(None, OLD) is OLD


def test_a_table_that_was_not_asked_for_keeps_its_rows_and_its_age() -> None:
    new = Snapshot(LATER, (GW, SW), neighbors=(ARP,), readings=(Reading("gw", "arp", LATER, 1, 0.1),))
    both = refresh(OLD, new)
    assert both.at == LATER
    assert both.fdb == (FDB,)
    assert {(r.table, r.at) for r in both.readings} == {("arp", LATER), ("fdb", NOON)}


def test_a_table_that_was_read_replaces_every_old_row() -> None:
    moved = replace(FDB, port="Gi0/2")
    new = Snapshot(LATER, (GW, SW), fdb=(moved,), readings=(Reading("sw1", "fdb", LATER, 1, 0.1),))
    assert refresh(OLD, new).fdb == (moved,)


def test_an_empty_table_is_an_answer() -> None:
    new = Snapshot(LATER, (GW, SW), readings=(Reading("sw1", "fdb", LATER, 0, 0.1),))
    assert refresh(OLD, new).fdb == ()


def test_a_gap_takes_the_old_rows_with_it() -> None:
    gap = Gap("sw1", "fdb", "no answer")
    both = refresh(OLD, Snapshot(LATER, (GW, SW), gaps=(gap,)))
    assert both.fdb == ()
    assert both.gaps == (gap,)


def test_a_gap_ends_when_the_table_is_read_again() -> None:
    gone = refresh(OLD, Snapshot(LATER, (GW, SW), gaps=(Gap("sw1", "fdb", "no answer"),)))
    back = refresh(gone, Snapshot(LATER, (GW, SW), fdb=(FDB,), readings=(Reading("sw1", "fdb", LATER, 1, 0.1),)))
    assert back.gaps == ()
    assert back.fdb == (FDB,)


def test_a_device_that_left_the_inventory_takes_its_tables_along() -> None:
    left = refresh(OLD, Snapshot(LATER, (GW,)))
    assert left.fdb == ()
    assert left.neighbors == (ARP,)


def test_destinations_are_as_old_as_the_translations() -> None:
    there = Destination(ip_network("198.51.100.0/24"), 443, 9, None, "gw")
    before = replace(OLD, destinations=(there,))
    assert refresh(before, Snapshot(LATER, (GW, SW))).destinations == (there,)
    asked = Snapshot(LATER, (GW, SW), readings=(Reading("gw", "nat", LATER, 0, 0.1),))
    assert refresh(before, asked).destinations == ()
