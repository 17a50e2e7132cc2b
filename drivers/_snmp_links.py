"""Neighbours of a port from LLDP-MIB (IEEE 802.1AB-2005) and CISCO-CDP-MIB.

lldpRemLocalPortNum is not an ifIndex. lldpLocPortTable says which interface it is, in words that depend on the
subtype of its port id; agents that only number their ports mean the bridge port. A neighbour on a port that we cannot
name is an error: an uplink that we fail to recognise would look like an edge port.
"""

from collections.abc import Iterable
from typing import TypeVar

from switchguard.core.model import Link
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Session

from ._snmp import (
    DOT1D_BASE_PORT_IF_INDEX,
    IF_ALIAS,
    IF_DESCR,
    IF_NAME,
    IF_PHYS_ADDRESS,
    Index,
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

Key = TypeVar("Key")

LLDP_LOC_PORT = "1.0.8802.1.1.2.1.3.7.1"
LLDP_REM = "1.0.8802.1.1.2.1.4.1.1"
CDP_CACHE = "1.3.6.1.4.1.9.9.23.1.2.1.1"
CDP_GLOBAL_RUN = "1.3.6.1.4.1.9.9.23.1.3.1.0"

LINK_COLUMNS = (
    (IF_NAME,),
    *((f"{LLDP_LOC_PORT}.{column}",) for column in (2, 3, 4)),
    tuple(f"{LLDP_REM}.{column}" for column in (5, 4, 9, 12)),
    tuple(f"{CDP_CACHE}.{column}" for column in (6, 9)),
    *((oid,) for oid in (IF_DESCR, IF_ALIAS, IF_PHYS_ADDRESS, DOT1D_BASE_PORT_IF_INDEX)),
)

_CAPABILITIES = {2: "bridge", 3: "wlan-access-point", 4: "router", 5: "telephone", 7: "station-only"}
"""Bit of LldpSystemCapabilitiesMap, counted from the left, -> our word."""
_CDP_CAPABILITIES = {0x01: "router", 0x02: "bridge", 0x04: "bridge", 0x08: "bridge", 0x80: "telephone"}
"""Router, transparent and source-route bridge, switch, phone; access points say transparent bridge."""
_CHASSIS_MAC = 4
"""LldpChassisIdSubtype macAddress."""


def links(session: Session) -> tuple[Link, ...]:
    """LLDP neighbours, and those CDP neighbours that LLDP does not name. No agent for either is an error."""
    names = names_of(session)
    ports = {index[0]: octets for index, octets in by_port(session, f"{LLDP_LOC_PORT}.3", octets_of).items()}
    lldp = tuple(_lldp(session, names, ports))
    told = {(link.port, link.neighbor) for link in lldp}
    cdp = tuple(link for link in _cdp(session, names) if (link.port, link.neighbor) not in told)
    if not ports and not lldp and not cdp and session.get([CDP_GLOBAL_RUN])[CDP_GLOBAL_RUN] != 1:
        raise no_table(session, LLDP_LOC_PORT, "LLDP or CDP tables")
    return (*lldp, *cdp)


def _lldp(session: Session, names: dict[int, str], ports: dict[int, bytes]) -> Iterable[Link]:
    """Index of lldpRemTable: TimeMark, local port, neighbour. The same neighbour under two TimeMarks is one link."""
    subtypes = numbers_of(session, f"{LLDP_REM}.4")
    chassis = octets_of(session, f"{LLDP_REM}.5")
    system = octets_of(session, f"{LLDP_REM}.9")
    enabled = octets_of(session, f"{LLDP_REM}.12")
    for column in (subtypes, chassis, system, enabled):
        require_length(session, LLDP_REM, column, 3)
    if not chassis:
        return ()
    port_of = _local_ports(session, names, ports)

    def link(index: Index, octets: bytes) -> Link:
        _, local, _ = index
        if local not in port_of:
            where = f"{LLDP_REM}.5.{'.'.join(map(str, index))}"
            raise UnexpectedOutput(session.device.name, where, "an LLDP neighbour on a port that is no interface")
        of_mac = subtypes.get(index) == _CHASSIS_MAC
        mac = mac_of(session, f"{LLDP_REM}.5", index, octets) if of_mac else None
        name = text_of(system.get(index, b"")) or str(mac or text_of(octets))
        return Link(session.device.name, port_of[local], name, _lldp_capabilities(enabled.get(index, b"")), mac)

    return dict.fromkeys(link(index, octets) for index, octets in chassis.items())


def _local_ports(session: Session, names: dict[int, str], ports: dict[int, bytes]) -> dict[int, str]:
    """LLDP's local port number -> ifName. Words first, because numbers always seem to fit."""
    subtypes = by_port(session, f"{LLDP_LOC_PORT}.2", numbers_of)
    described = by_port(session, f"{LLDP_LOC_PORT}.4", octets_of)
    by_text = _interfaces_by_text(session, names)
    by_mac = _unique((octets, index) for (index,), octets in by_port(session, IF_PHYS_ADDRESS, octets_of).items())
    bridge_ports = by_port(session, DOT1D_BASE_PORT_IF_INDEX, numbers_of)

    def interface(local: int) -> int | None:
        octets = ports.get(local, b"")
        match subtypes.get((local,)):
            case 3:  # macAddress
                found = by_mac.get(octets)
            case 1 | 5 | 7:  # interfaceAlias, interfaceName, local
                found = by_text.get(text_of(octets))
            case _:
                found = None
        if found is None:
            found = by_text.get(text_of(described.get((local,), b"")))
        if found is None:
            found = bridge_ports.get((local,))
        return found

    numbered = {local: interface(local) for local in ports.keys() | {port for (port,) in bridge_ports}}
    return {local: named(names, index) for local, index in numbered.items() if index is not None}


def _interfaces_by_text(session: Session, names: dict[int, str]) -> dict[str, int]:
    """ifName, ifDescr and ifAlias -> ifIndex, as far as they are unique; an ifName beats an equal description."""
    described = by_port(session, IF_DESCR, octets_of)
    aliases = by_port(session, IF_ALIAS, octets_of)
    return {
        **_unique((text_of(octets), index) for (index,), octets in aliases.items()),
        **_unique((text_of(octets), index) for (index,), octets in described.items()),
        **_unique((name, index) for index, name in names.items()),
    }


def _unique(pairs: Iterable[tuple[Key, int]]) -> dict[Key, int]:
    """Without the empty keys and the keys that several interfaces share."""
    found: dict[Key, list[int]] = {}
    for key, index in pairs:
        found.setdefault(key, []).append(index)
    return {key: indexes[0] for key, indexes in found.items() if key and len(indexes) == 1}


def _lldp_capabilities(octets: bytes) -> frozenset[str]:
    bits = int.from_bytes(octets[:1])
    return frozenset(word for bit, word in _CAPABILITIES.items() if bits >> (7 - bit) & 1)


def _cdp(session: Session, names: dict[int, str]) -> Iterable[Link]:
    """Index of cdpCacheTable: ifIndex, neighbour. A host that is nothing else is a station."""
    capabilities = octets_of(session, f"{CDP_CACHE}.9")
    devices = octets_of(session, f"{CDP_CACHE}.6")
    require_length(session, CDP_CACHE, (*capabilities, *devices), 2)

    def link(index: Index, device: bytes) -> Link:
        bits = int.from_bytes(capabilities.get(index, b"")[-1:])
        words = frozenset(word for bit, word in _CDP_CAPABILITIES.items() if bits & bit)
        host = 0x10
        if not words and bits & host:
            words = frozenset({"station-only"})
        return Link(session.device.name, named(names, index[0]), text_of(device), words)

    return dict.fromkeys(link(index, device) for index, device in devices.items())
