"""Tables that every SNMP agent words alike: neighbours, forwarding, interfaces, counters, and links (`_snmp_links`).

Reads IP-MIB (RFC 4293) ipNetToPhysical and ipNetToMedia, Q-BRIDGE-MIB and BRIDGE-MIB (RFC 4363, RFC 4188) and IF-MIB
(RFC 2863). Ports and interfaces are named by ifName everywhere.

Oddities that agents are known for, and what happens to them here:

* the index of dot1qTpFdbTable is a filtering database, not a VLAN: it is translated by dot1qVlanFdbId, whose TimeMark
  is ignored; only an agent without that table is believed that both numbers are one; a database shared by several
  VLANs gives `vlan=None`;
* Q-BRIDGE may be partly filled, hiding stations that BRIDGE-MIB has: the two are united;
* bridge ports are not ifIndexes: dot1dBasePortIfIndex translates; only an agent without that table is believed that
  they are. A row whose port is missing from a filled table names no place, and is left out, like port 0;
* MACs in an index may carry their length (7 sub-identifiers beginning with 6);
* rows come and go between the walks of two columns; a row that one of them lacks is read without that column.

A subtree that the agent does not have is an error (a Gap), never an empty table.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from switchguard.core.model import Address, FdbEntry, Interface, Link, Mac, Neighbor, PortCounters, Table
from switchguard.errors import NotConfigured
from switchguard.ports import Oid, Session

from ._snmp import (
    DOT1D_BASE_PORT_IF_INDEX,
    IF_ALIAS,
    IF_NAME,
    IF_PHYS_ADDRESS,
    Index,
    Walks,
    bad_row,
    bad_value,
    by_port,
    mac_of,
    named,
    names_of,
    no_table,
    numbers_of,
    octets_of,
    require_length,
    text_of,
)
from ._snmp_links import LINK_COLUMNS, links

SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
IF_SPEED = "1.3.6.1.2.1.2.2.1.5"
IF_OPER_STATUS = "1.3.6.1.2.1.2.2.1.8"
IF_IN_OCTETS = "1.3.6.1.2.1.2.2.1.10"
IF_OUT_OCTETS = "1.3.6.1.2.1.2.2.1.16"
IF_HC_IN_OCTETS = "1.3.6.1.2.1.31.1.1.1.6"
IF_HC_OUT_OCTETS = "1.3.6.1.2.1.31.1.1.1.10"
IF_HIGH_SPEED = "1.3.6.1.2.1.31.1.1.1.15"
IF_COUNTER_DISCONTINUITY_TIME = "1.3.6.1.2.1.31.1.1.1.19"
IP_NET_TO_MEDIA = "1.3.6.1.2.1.4.22.1"
IP_NET_TO_PHYSICAL = "1.3.6.1.2.1.4.35.1"
DOT1D_BASE_BRIDGE_ADDRESS = "1.3.6.1.2.1.17.1.1.0"
DOT1D_TP_FDB = "1.3.6.1.2.1.17.4.3.1"
DOT1Q_TP_FDB = "1.3.6.1.2.1.17.7.1.2.2.1"
DOT1Q_VLAN_FDB_ID = "1.3.6.1.2.1.17.7.1.4.2.1.3"

_COLUMNS: Mapping[str, tuple[tuple[Oid, ...], ...]] = {
    "arp": (
        (IF_PHYS_ADDRESS,),
        (IF_NAME,),
        tuple(f"{IP_NET_TO_MEDIA}.{column}" for column in (2, 4)),
        tuple(f"{IP_NET_TO_PHYSICAL}.{column}" for column in (4, 6, 7)),
    ),
    "fdb": (
        (DOT1D_BASE_PORT_IF_INDEX,),
        *(tuple(f"{table}.{column}" for column in (2, 3)) for table in (DOT1Q_TP_FDB, DOT1D_TP_FDB)),
        (DOT1Q_VLAN_FDB_ID,),
        (IF_NAME,),
    ),
    "interfaces": tuple(
        (oid,) for oid in (IF_NAME, IF_PHYS_ADDRESS, IF_ALIAS, IF_OPER_STATUS, IF_HIGH_SPEED, DOT1D_BASE_BRIDGE_ADDRESS)
    ),
    "counters": tuple(
        (oid,) for oid in (IF_NAME, SYS_UP_TIME, IF_HC_IN_OCTETS, IF_HC_OUT_OCTETS, IF_COUNTER_DISCONTINUITY_TIME)
    ),
    "links": LINK_COLUMNS,
}
"""Table -> what it always takes. What else depends on the answers."""

_FDB_SELF, _FDB_INVALID, _FDB_MGMT = 4, 2, 5


class SnmpTables:
    """The tables of a driver: from SNMP where the site configures it, else from the command line if the driver can."""

    def columns(self, tables: Collection[Table]) -> tuple[tuple[Oid, ...], ...]:
        """What the tables are made of; none of those that the driver always reads in another way."""
        ours = [table for table in tables if getattr(type(self), table, None) is getattr(SnmpTables, table, self)]
        return tuple(dict.fromkeys(group for table in ours for group in _COLUMNS[table]))

    def arp(self, session: Session) -> tuple[Neighbor, ...]:
        return arp(session) if session.speaks("snmp") else self.cli_arp(session)

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return fdb(session) if session.speaks("snmp") else self.cli_fdb(session)

    def interfaces(self, session: Session) -> tuple[Interface, ...]:
        return interfaces(session) if session.speaks("snmp") else self.cli_interfaces(session)

    def counters(self, session: Session, at: datetime) -> tuple[PortCounters, ...]:
        return counters(session, at) if session.speaks("snmp") else self.cli_counters(session, at)

    def links(self, session: Session) -> tuple[Link, ...]:
        return links(session) if session.speaks("snmp") else self.cli_links(session)

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        raise _needs_snmp(session)

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        raise _needs_snmp(session)

    def cli_interfaces(self, session: Session) -> tuple[Interface, ...]:
        raise _needs_snmp(session)

    def cli_counters(self, session: Session, at: datetime) -> tuple[PortCounters, ...]:
        raise _needs_snmp(session)

    def cli_links(self, session: Session) -> tuple[Link, ...]:
        raise _needs_snmp(session)


def _needs_snmp(session: Session) -> NotConfigured:
    return NotConfigured(session.device.name, "this table is read over SNMP, and the site gives no SNMP access")


# --- neighbours ------------------------------------------------------------------------------------------------------


def arp(session: Session) -> tuple[Neighbor, ...]:
    """Complete ARP and ND entries of other machines, from ipNetToPhysical and the older ipNetToMedia together.

    Where the two disagree about an address, both rows are told: one is out of date, and nobody can say from here which
    (net-snmp 5.9.3 keeps the old MAC in ipNetToPhysical). An address with two MACs is nobody's.

    Left out: incomplete and invalid rows, zero and multicast MACs, and rows with one of the device's own MACs."""
    own = set(_own_macs(session).values())
    names = names_of(session)
    media, physical = _net_to_media(session), _net_to_physical(session)
    if not media and not physical:
        raise no_table(session, IP_NET_TO_PHYSICAL, "neighbour table")
    disowned = {key for key, mac in physical.items() if mac is None}
    rows = dict.fromkeys((*physical.items(), *((key, mac) for key, mac in media.items() if key not in disowned)))
    return tuple(
        Neighbor(session.device.name, named(names, index), address, mac)
        for (index, address), mac in rows
        if mac is not None and mac not in own and mac.value and not mac.is_multicast
        if not (address.is_multicast or address.is_loopback or address.is_unspecified)
    )


def _net_to_physical(session: Session) -> dict[tuple[int, Address], Mac | None]:
    """None: the row is there, but it does not say where the address is."""
    macs = octets_of(session, f"{IP_NET_TO_PHYSICAL}.4")
    types = numbers_of(session, f"{IP_NET_TO_PHYSICAL}.6")
    states = numbers_of(session, f"{IP_NET_TO_PHYSICAL}.7")
    invalid, local, useless = 2, 5, {5, 7}
    rows = {}
    for index, octets in macs.items():
        usable = types.get(index) not in (invalid, local) and states.get(index) not in useless
        mac = mac_of(session, f"{IP_NET_TO_PHYSICAL}.4", index, octets)
        rows[_physical_index(session, index)] = mac if usable else None
    for index in (*types, *states):
        _physical_index(session, index)
    return rows


def _physical_index(session: Session, index: Index) -> tuple[int, Address]:
    """ifIndex, InetAddressType (RFC 4001; 3 and 4 append a zone), length, octets."""
    match index:
        case [port, 1 | 3, 4 | 8, *octets] if len(octets) == index[2] and max(octets) < 256:
            return port, IPv4Address(bytes(octets[:4]))
        case [port, 2 | 4, 16 | 20, *octets] if len(octets) == index[2] and max(octets) < 256:
            return port, IPv6Address(bytes(octets[:16]))
    raise bad_row(session, IP_NET_TO_PHYSICAL, index)


def _net_to_media(session: Session) -> dict[tuple[int, Address], Mac | None]:
    macs = octets_of(session, f"{IP_NET_TO_MEDIA}.2")
    types = numbers_of(session, f"{IP_NET_TO_MEDIA}.4")
    invalid = 2
    rows: dict[tuple[int, Address], Mac | None] = {}
    for index, octets in macs.items():
        if len(index) != 5 or max(index[1:]) > 255:
            raise bad_row(session, IP_NET_TO_MEDIA, index)
        mac = mac_of(session, f"{IP_NET_TO_MEDIA}.2", index, octets)
        rows[index[0], IPv4Address(bytes(index[1:]))] = None if types.get(index) == invalid else mac
    require_length(session, IP_NET_TO_MEDIA, types, 5)
    return rows


# --- forwarding tables -----------------------------------------------------------------------------------------------


def fdb(session: Session, otherwise: Mapping[int, int | None] | None = None) -> tuple[FdbEntry, ...]:
    """Learned and static stations of Q-BRIDGE and BRIDGE-MIB together; `self` and `invalid` rows are left out.

    `otherwise`: the VLANs of filtering databases as a vendor's own table has them, for an agent that does not say."""
    base_ports = numbers_of(session, DOT1D_BASE_PORT_IF_INDEX)
    require_length(session, DOT1D_BASE_PORT_IF_INDEX, base_ports, 1)
    with_vlan, without = bridge_rows(session, DOT1Q_TP_FDB, 1), bridge_rows(session, DOT1D_TP_FDB, 0)
    if not base_ports and not with_vlan and not without:
        raise no_table(session, "1.3.6.1.2.1.17", "bridge tables")
    vlans = _vlan_of_fdb(session) or otherwise
    names = names_of(session)
    ports = {port: named(names, index) for (port,), index in base_ports.items()} or names
    entries = [
        FdbEntry(session.device.name, ports[port], mac, vlans.get(fdb_id) if vlans else _believed(fdb_id), static)
        for (fdb_id,), mac, port, static in with_vlan
        if port in ports
    ]
    told = {(entry.mac, entry.port) for entry in entries}
    entries += [
        FdbEntry(session.device.name, ports[port], mac, None, static)
        for _, mac, port, static in without
        if port in ports and (mac, ports[port]) not in told
    ]
    return tuple(entries)


def bridge_rows(session: Walks, table: Oid, keys: int) -> list[tuple[Index, Mac, int, bool]]:
    """(what precedes the MAC in the index, MAC, bridge port, static) of each row that forwards to a port."""
    ports, statuses = numbers_of(session, f"{table}.2"), numbers_of(session, f"{table}.3")
    rows = []
    for index, port in ports.items():
        station = _station(index, keys)
        if station is None:
            raise bad_row(session, table, index)
        status = statuses.get(index)
        if port and status not in (_FDB_SELF, _FDB_INVALID):
            rows.append((*station, port, status == _FDB_MGMT))
    for index in statuses.keys() - ports.keys():
        if _station(index, keys) is None:
            raise bad_row(session, table, index)
    return rows


@lru_cache(maxsize=65536)
def _station(index: Index, keys: int) -> tuple[Index, Mac] | None:
    """Kept, because most switches know most stations; None where the index has another shape."""
    key, octets = index[:-6], index[-6:]
    if len(octets) < 6 or max(octets) > 255 or len(key) - keys not in (0, 1) or key[keys:] not in ((), (6,)):
        return None
    return key[:keys], Mac.from_octets(bytes(octets))


def _vlan_of_fdb(session: Session) -> dict[int, int | None]:
    """Filtering database -> its VLAN, None if several VLANs share it. Index: TimeMark, VLAN; the newest row counts."""
    rows = numbers_of(session, DOT1Q_VLAN_FDB_ID)
    require_length(session, DOT1Q_VLAN_FDB_ID, rows, 2)
    database = {vlan: fdb_id for (_, vlan), fdb_id in sorted(rows.items())}
    members = defaultdict(set)
    for vlan, fdb_id in database.items():
        members[fdb_id].add(vlan)
    return {fdb_id: min(vlans) if len(vlans) == 1 else None for fdb_id, vlans in members.items()}


def _believed(fdb_id: int) -> int | None:
    return fdb_id if 1 <= fdb_id <= 4094 else None


# --- interfaces and counters -----------------------------------------------------------------------------------------


def interfaces(session: Session) -> tuple[Interface, ...]:
    """All of IF-MIB. A bridge address that no interface has is added as an interface `(bridge)` with index 0."""
    names, macs = names_of(session), _own_macs(session)
    if not names:
        raise no_table(session, IF_NAME, "interfaces")
    aliases = {index: text_of(octets) for (index,), octets in by_port(session, IF_ALIAS, octets_of).items()}
    statuses = by_port(session, IF_OPER_STATUS, numbers_of)
    megabits = by_port(session, IF_HIGH_SPEED, numbers_of)
    bits = {} if all(megabits.get((index,)) for index in names) else by_port(session, IF_SPEED, numbers_of)
    up, down_states = 1, {2, 5, 6, 7}

    def state(index: int) -> bool | None:
        status = statuses.get((index,))
        return True if status == up else False if status in down_states else None

    def speed(index: int) -> int | None:
        return megabits.get((index,), 0) * 1_000_000 or bits.get((index,)) or None

    found = [
        Interface(session.device.name, name, index, macs.get(index), aliases.get(index, ""), state(index), speed(index))
        for index, name in names.items()
    ]
    bridge = _bridge_address(session)
    if bridge and bridge not in macs.values():
        found.append(Interface(session.device.name, "(bridge)", 0, bridge))
    return tuple(found)


def counters(session: Session, at: datetime) -> tuple[PortCounters, ...]:
    """64-bit octet counters, and 32-bit ones of the ports that have no others."""
    names = names_of(session)
    ticks = session.get([SYS_UP_TIME])[SYS_UP_TIME]
    if ticks is not None and not isinstance(ticks, int):
        raise bad_value(session, SYS_UP_TIME, (), ticks)
    wide = _octet_counts(session, IF_HC_IN_OCTETS, IF_HC_OUT_OCTETS)
    narrow = _octet_counts(session, IF_IN_OCTETS, IF_OUT_OCTETS) if names.keys() - wide.keys() else {}
    if not wide and not narrow:
        raise no_table(session, IF_HC_IN_OCTETS, "octet counters")
    broken = by_port(session, IF_COUNTER_DISCONTINUITY_TIME, numbers_of)
    uptime_s = None if ticks is None else ticks / 100

    def port(index: int) -> PortCounters:
        received, sent = wide.get(index) or narrow[index]
        bits, since = 64 if index in wide else 32, broken.get((index,))
        discontinuity_s = None if since is None else since / 100
        return PortCounters(
            session.device.name,
            named(names, index),
            at,
            received,
            sent,
            64 if bits == 64 else 32,
            uptime_s,
            discontinuity_s,
        )

    return tuple(port(index) for index in sorted(wide.keys() | narrow.keys()))


def _octet_counts(session: Session, received: Oid, sent: Oid) -> dict[int, tuple[int, int]]:
    inward, outward = by_port(session, received, numbers_of), by_port(session, sent, numbers_of)
    return {index[0]: (inward[index], outward[index]) for index in inward.keys() & outward.keys()}


def _own_macs(session: Session) -> dict[int, Mac]:
    rows = {
        index[0]: mac_of(session, IF_PHYS_ADDRESS, index, octets)
        for index, octets in by_port(session, IF_PHYS_ADDRESS, octets_of).items()
    }
    return {index: mac for index, mac in rows.items() if mac is not None and mac.value}


def _bridge_address(session: Session) -> Mac | None:
    octets = session.get([DOT1D_BASE_BRIDGE_ADDRESS])[DOT1D_BASE_BRIDGE_ADDRESS]
    if octets is None:
        return None
    if not isinstance(octets, bytes):
        raise bad_value(session, DOT1D_BASE_BRIDGE_ADDRESS, (), octets)
    return mac_of(session, DOT1D_BASE_BRIDGE_ADDRESS, (), octets)
