"""What a lab switch tells over SNMP: its interfaces, forwarding table, VLANs and neighbours, as a `pass_persist` agent.

snmpd starts it in the switch's namespace and asks line by line (snmpd.conf(5), PASS_PERSIST). IF-MIB (RFC 2863),
BRIDGE-MIB (RFC 4188), Q-BRIDGE-MIB (RFC 4363) and LLDP-MIB (IEEE 802.1AB) with the numbers that trip people up: the
bridge port is not the ifIndex, and on one switch the filtering database is not the VLAN.
"""

import argparse
import sys
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from switchguard.lab.plane import FdbRow, Plane, link_states, open_plane
from switchguard.lab.topology import LAB, VLANS, Port, Switch

Oid = tuple[int, ...]

MEMORY_S = 0.3
"""A walk sees one moment; the next walk sees the next."""

_INTERFACES: Oid = (1, 3, 6, 1, 2, 1, 2)
_IF_X: Oid = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
_BRIDGE: Oid = (1, 3, 6, 1, 2, 1, 17)
_Q_BRIDGE: Oid = (*_BRIDGE, 7, 1)
_LLDP: Oid = (1, 0, 8802, 1, 1, 2, 1)

_ETHERNET = 6
_LEARNED, _SELF = 3, 4
_MAC_ADDRESS, _INTERFACE_NAME = 4, 5
_BRIDGE_BIT, _ROUTER_BIT, _TELEPHONE_BIT = 0x20, 0x08, 0x04
"""LldpSystemCapabilitiesMap is BITS: bit 0 is the highest one of the first octet."""

_MANAGEMENT = {"eos": (999_001, "Ma1", "Management1"), "ios": (1, "Fa0", "FastEthernet0")}
"""ifIndex, ifName and ifDescr of the management port."""


@dataclass(frozen=True, slots=True)
class Row:
    """One object. `kind` is pass_persist's word for its type, `value` what it writes in the third line."""

    oid: Oid
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class _Interface:
    index: int
    name: str
    description: str
    alias: str
    link: Mapping[str, Any]


def rows(switch: Switch, fdb: Iterable[FdbRow], links: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Everything the switch tells at this moment, in the order of the OIDs."""
    found = [*_interfaces(switch, links), *_bridge(switch), *_forwarding(switch, fdb), *_vlans(switch), *_lldp(switch)]
    return sorted(found, key=lambda row: row.oid)


def _number(oid: Oid, value: int, kind: str = "integer") -> Row:
    return Row(oid, kind, str(value))


def _text(oid: Oid, value: str) -> Row:
    return Row(oid, "string", value)


def _octets(oid: Oid, value: bytes) -> Row:
    return Row(oid, "octet", value.hex(" "))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


# --- IF-MIB ----------------------------------------------------------------------------------------------------------


def _interfaces(switch: Switch, links: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    ports = [_Interface(port.if_index, port.short, port.long, port.alias, links[port.name]) for port in switch.ports]
    interfaces = [*ports, _Interface(*_MANAGEMENT[switch.front_end], "management", links["mgmt0"])]
    yield _number((*_INTERFACES, 1, 0), len(interfaces))
    for interface in interfaces:
        yield from _if_table(interface)
        yield from _if_x_table(interface)


def _if_table(interface: _Interface) -> Iterator[Row]:
    entry, index, link = (*_INTERFACES, 2, 1), interface.index, interface.link
    received, sent = link["stats64"]["rx"], link["stats64"]["tx"]
    yield _number((*entry, 1, index), index)
    yield _text((*entry, 2, index), interface.description)
    yield _number((*entry, 3, index), _ETHERNET)
    yield _number((*entry, 5, index), 1_000_000_000, "gauge")
    yield _octets((*entry, 6, index), _mac(link["address"]))
    yield _number((*entry, 7, index), 1 if "UP" in link["flags"] else 2)
    yield _number((*entry, 8, index), 1 if link["operstate"] == "UP" else 2)
    yield _number((*entry, 10, index), received["bytes"] % 2**32, "counter")
    yield _number((*entry, 16, index), sent["bytes"] % 2**32, "counter")


def _if_x_table(interface: _Interface) -> Iterator[Row]:
    index, link = interface.index, interface.link
    yield _text((*_IF_X, 1, index), interface.name)
    yield _number((*_IF_X, 6, index), link["stats64"]["rx"]["bytes"], "counter64")
    yield _number((*_IF_X, 10, index), link["stats64"]["tx"]["bytes"], "counter64")
    yield _number((*_IF_X, 15, index), 1000, "gauge")
    yield _text((*_IF_X, 18, index), interface.alias)
    yield _number((*_IF_X, 19, index), 0, "timeticks")


# --- BRIDGE-MIB and Q-BRIDGE-MIB -------------------------------------------------------------------------------------


def _bridge(switch: Switch) -> Iterator[Row]:
    yield _octets((*_BRIDGE, 1, 1, 0), _mac(switch.bridge_mac))
    yield _number((*_BRIDGE, 1, 2, 0), len(switch.ports))
    yield _number((*_BRIDGE, 1, 3, 0), 2)
    for port in switch.ports:
        yield _number((*_BRIDGE, 1, 4, 1, 1, port.number), port.number)
        yield _number((*_BRIDGE, 1, 4, 1, 2, port.number), port.if_index)


def _forwarding(switch: Switch, fdb: Iterable[FdbRow]) -> Iterator[Row]:
    """dot1qTpFdbTable, and dot1dTpFdbTable, which cannot tell VLANs apart. The switch's own address is in both."""
    numbers = {port.name: port.number for port in switch.ports}
    learnt = [(switch.fdb_ids[row.vlan], _mac(row.mac), numbers[row.port], _LEARNED) for row in fdb]
    own = [(switch.fdb_ids[min(VLANS)], _mac(switch.bridge_mac), 0, _SELF)]
    without_vlan = {}
    for fdb_id, mac, number, status in learnt + own:
        entry = (*_Q_BRIDGE, 2, 2, 1)
        yield _number((*entry, 2, fdb_id, *mac), number)
        yield _number((*entry, 3, fdb_id, *mac), status)
        without_vlan[mac] = (number, status)
    for mac, (number, status) in without_vlan.items():
        entry = (*_BRIDGE, 4, 3, 1)
        yield _octets((*entry, 1, *mac), mac)
        yield _number((*entry, 2, *mac), number)
        yield _number((*entry, 3, *mac), status)


def _vlans(switch: Switch) -> Iterator[Row]:
    """Filtering database and name of each VLAN, and the VLAN of untagged frames of each port. The TimeMark is 0."""
    for vlan, name in VLANS.items():
        yield _number((*_Q_BRIDGE, 4, 2, 1, 3, 0, vlan), switch.fdb_ids[vlan], "gauge")
        yield _text((*_Q_BRIDGE, 4, 3, 1, 1, vlan), name)
    for port in switch.ports:
        yield _number((*_Q_BRIDGE, 4, 5, 1, 1, port.number), port.access_vlan or 1, "gauge")


# --- LLDP-MIB --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Neighbor:
    chassis: bytes
    port: str
    name: str
    description: str
    capabilities: int


def _lldp(switch: Switch) -> Iterator[Row]:
    """lldpLocPortNum is the bridge port here, as the standard wants it, and not the ifIndex."""
    for port in switch.ports:
        entry = (*_LLDP, 3, 7, 1)
        yield _number((*entry, 2, port.number), _INTERFACE_NAME)
        yield _text((*entry, 3, port.number), port.short)
        yield _text((*entry, 4, port.number), port.long)
        neighbor = _neighbor(switch, port)
        if neighbor:
            yield from _remote(port, neighbor)


def _remote(port: Port, neighbor: _Neighbor) -> Iterator[Row]:
    entry, index = (*_LLDP, 4, 1, 1), (0, port.number, 1)
    capabilities = bytes((neighbor.capabilities, 0))
    yield _number((*entry, 4, *index), _MAC_ADDRESS)
    yield _octets((*entry, 5, *index), neighbor.chassis)
    yield _number((*entry, 6, *index), _INTERFACE_NAME)
    yield _text((*entry, 7, *index), neighbor.port)
    yield _text((*entry, 8, *index), neighbor.port)
    yield _text((*entry, 9, *index), neighbor.name)
    yield _text((*entry, 10, *index), neighbor.description)
    yield _octets((*entry, 11, *index), capabilities)
    yield _octets((*entry, 12, *index), capabilities)


def _neighbor(switch: Switch, port: Port) -> _Neighbor | None:
    """Clients do not speak LLDP; a telephone on the way to one does."""
    if port.name in switch.telephones:
        chassis = bytes((0x02, 0x74, 0x65, 0x6C, 0, port.number))
        return _Neighbor(chassis, "Port 1", f"SEP{chassis.hex().upper()}", "IP telephone", _BRIDGE_BIT | _TELEPHONE_BIT)
    if port.peer == LAB.gateway.name and port.access_vlan is not None:
        chassis = _mac(LAB.gateway.mac(port.access_vlan))
        return _Neighbor(chassis, port.peer_interface, LAB.gateway.name, "Linux", _ROUTER_BIT)
    if port.access_vlan is None:
        peer = LAB.switch(port.peer)
        far = peer.port_to(switch.name)
        return _Neighbor(_mac(peer.bridge_mac), far.short, peer.name, peer.description, _BRIDGE_BIT)
    return None


# --- the conversation with snmpd -------------------------------------------------------------------------------------


class Agent:
    """Answers for one switch, from a picture of it that is at most MEMORY_S old."""

    def __init__(self, switch: Switch, plane: Plane) -> None:
        self._switch, self._plane = switch, plane
        self._taken = float("-inf")
        self._oids: list[Oid] = []
        self._rows: dict[Oid, Row] = {}

    def get(self, oid: Oid) -> Row | None:
        self._look()
        return self._rows.get(oid)

    def next_after(self, oid: Oid) -> Row | None:
        self._look()
        place = bisect_right(self._oids, oid)
        return self._rows[self._oids[place]] if place < len(self._oids) else None

    def _look(self) -> None:
        if time.monotonic() - self._taken < MEMORY_S:
            return
        found = rows(self._switch, self._plane.fdb(), link_states())
        self._oids = [row.oid for row in found]
        self._rows = {row.oid: row for row in found}
        self._taken = time.monotonic()


def serve(agent: Agent, questions: TextIO, answers: TextIO) -> None:
    """Until snmpd closes the pipe. Everything is read-only."""
    while question := questions.readline().strip():
        match question:
            case "PING":
                answers.write("PONG\n")
            case "get":
                answers.write(_written(agent.get(_oid(questions.readline()))))
            case "getnext":
                answers.write(_written(agent.next_after(_oid(questions.readline()))))
            case "set":
                questions.readline(), questions.readline()
                answers.write("not-writable\n")
            case _:
                answers.write("NONE\n")
        answers.flush()


def _written(row: Row | None) -> str:
    return f".{'.'.join(map(str, row.oid))}\n{row.kind}\n{row.value}\n" if row else "NONE\n"


def _oid(text: str) -> Oid:
    return tuple(int(part) for part in text.strip().strip(".").split(".") if part)


def main() -> None:
    parser = argparse.ArgumentParser(prog="switchguard.lab.mib", description=__doc__)
    parser.add_argument("--switch", required=True, choices=[switch.name for switch in LAB.switches])
    name = parser.parse_args().switch
    serve(Agent(LAB.switch(name), open_plane(name)), sys.stdin, sys.stdout)


if __name__ == "__main__":
    main()
