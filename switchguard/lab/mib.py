"""What a lab switch tells over SNMP: its interfaces, forwarding table, VLANs and neighbours, as a `pass_persist` agent.

snmpd starts it in the device's namespace and asks line by line (snmpd.conf(5), PASS_PERSIST). IF-MIB (RFC 2863),
BRIDGE-MIB (RFC 4188), Q-BRIDGE-MIB (RFC 4363) and LLDP-MIB (IEEE 802.1AB) with the numbers that trip people up: the
bridge port is not the ifIndex, and on one switch the filtering database is not the VLAN.
"""

import argparse
import json
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, TextIO

from switchguard.lab.plane import FdbRow, link_states, open_plane
from switchguard.lab.topology import LAB, VLANS, Port, Switch

Oid = tuple[int, ...]
Links = Mapping[str, Mapping[str, Any]]
"""Of plane.link_states."""
ArpRow = tuple[IPv4Address, str]

MEMORY_S = 0.3
"""A walk sees one moment; the next walk sees the next."""

_INTERFACES: Oid = (1, 3, 6, 1, 2, 1, 2)
_IF_X: Oid = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
_IP: Oid = (1, 3, 6, 1, 2, 1, 4)
_BRIDGE: Oid = (1, 3, 6, 1, 2, 1, 17)
_Q_BRIDGE: Oid = (*_BRIDGE, 7, 1)
_LLDP: Oid = (1, 0, 8802, 1, 1, 2, 1)

_ETHERNET = 6
_LEARNED, _SELF = 3, 4
_DYNAMIC, _REACHABLE = 3, 1
_MAC_ADDRESS, _INTERFACE_NAME = 4, 5
_BRIDGE_BIT, _ROUTER_BIT, _TELEPHONE_BIT = 0x20, 0x08, 0x04
"""LldpSystemCapabilitiesMap is BITS: bit 0 is the highest one of the first octet."""


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


def switch_rows(switch: Switch, fdb: Iterable[FdbRow], links: Links, neighbors: Iterable[ArpRow]) -> Iterator[Row]:
    """Everything that a switch tells at this moment."""
    yield from _interfaces(switch, links)
    yield from _arp(switch.make.management[0], neighbors)
    yield from _bridge(switch)
    yield from _forwarding(switch, fdb)
    yield from _vlans(switch)
    yield from _lldp(_Cable(port.number, port.short, port.long, _neighbor(switch, port)) for port in switch.ports)


def gateway_rows() -> Iterator[Row]:
    """What an LLDP daemon on the gateway would tell; everything else snmpd knows itself."""
    core = LAB.switches[0]
    ports = [port for port in core.ports if port.peer == LAB.gateway.name]
    for number, port in enumerate(ports, start=1):
        there = _Neighbor(_mac(core.bridge_mac), port.short, core.name, core.make.description, _BRIDGE_BIT)
        yield from _lldp([_Cable(number, port.peer_interface, port.peer_interface, there)])


def neighbors_in(namespace_output: str) -> list[ArpRow]:
    """(address, MAC) of `ip -j neigh`; entries without a MAC are no rows of the MIB."""
    return [(IPv4Address(row["dst"]), row["lladdr"]) for row in json.loads(namespace_output) if "lladdr" in row]


def _number(oid: Oid, value: int, kind: str = "integer") -> Row:
    return Row(oid, kind, str(value))


def _text(oid: Oid, value: str) -> Row:
    return Row(oid, "string", value)


def _octets(oid: Oid, value: bytes) -> Row:
    return Row(oid, "octet", value.hex(" "))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


# --- IF-MIB ----------------------------------------------------------------------------------------------------------


def _interfaces(switch: Switch, links: Links) -> Iterator[Row]:
    ports = [_Interface(port.if_index, port.short, port.long, port.alias, links[port.name]) for port in switch.ports]
    interfaces = [*ports, _Interface(*switch.make.management, "management", links["mgmt0"])]
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


def _arp(interface: int, neighbors: Iterable[ArpRow]) -> Iterator[Row]:
    """ipNetToMediaTable and ipNetToPhysicalTable (RFC 4293): on a switch, who talks to its management address."""
    for address, mac in neighbors:
        old, new = (interface, *address.packed), (interface, 1, 4, *address.packed)
        yield _number((*_IP, 22, 1, 1, *old), interface)
        yield _octets((*_IP, 22, 1, 2, *old), _mac(mac))
        yield Row((*_IP, 22, 1, 3, *old), "ipaddress", str(address))
        yield _number((*_IP, 22, 1, 4, *old), _DYNAMIC)
        yield _octets((*_IP, 35, 1, 4, *new), _mac(mac))
        yield _number((*_IP, 35, 1, 6, *new), _DYNAMIC)
        yield _number((*_IP, 35, 1, 7, *new), _REACHABLE)


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
    learnt = [
        (switch.fdb_ids[row.vlan], _mac(row.mac), numbers[row.port], _LEARNED) for row in fdb if row.vlan in VLANS
    ]
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


@dataclass(frozen=True, slots=True)
class _Cable:
    """One local port and who is at the other end."""

    number: int
    port: str
    description: str
    neighbor: _Neighbor | None


def _lldp(cables: Iterable[_Cable]) -> Iterator[Row]:
    """lldpLocPortNum is the bridge port here, as the standard wants it, and not the ifIndex."""
    for cable in cables:
        entry = (*_LLDP, 3, 7, 1)
        yield _number((*entry, 2, cable.number), _INTERFACE_NAME)
        yield _text((*entry, 3, cable.number), cable.port)
        yield _text((*entry, 4, cable.number), cable.description)
        if cable.neighbor:
            yield from _remote(cable.number, cable.neighbor)


def _remote(number: int, neighbor: _Neighbor) -> Iterator[Row]:
    entry, index = (*_LLDP, 4, 1, 1), (0, number, 1)
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
        return _Neighbor(_mac(peer.bridge_mac), far.short, peer.name, peer.make.description, _BRIDGE_BIT)
    return None


# --- the conversation with snmpd -------------------------------------------------------------------------------------


class Agent:
    """Answers from a picture that is at most MEMORY_S old. `look` takes a new one; its rows may come in any order."""

    def __init__(self, look: Callable[[], Iterable[Row]]) -> None:
        self._look = look
        self._taken = float("-inf")
        self._oids: list[Oid] = []
        self._rows: dict[Oid, Row] = {}

    def get(self, oid: Oid) -> Row | None:
        self._refresh()
        return self._rows.get(oid)

    def next_after(self, oid: Oid) -> Row | None:
        self._refresh()
        place = bisect_right(self._oids, oid)
        return self._rows[self._oids[place]] if place < len(self._oids) else None

    def _refresh(self) -> None:
        if time.monotonic() - self._taken < MEMORY_S:
            return
        self._rows = {row.oid: row for row in self._look()}
        self._oids = sorted(self._rows)
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


def _look_at(device: str) -> Callable[[], Iterable[Row]]:
    if device == LAB.gateway.name:
        return gateway_rows
    switch, plane = LAB.switch(device), open_plane(device)

    def look() -> Iterable[Row]:
        told = subprocess.run(["ip", "-j", "neigh", "show", "dev", "mgmt0"], capture_output=True, text=True, check=True)
        return switch_rows(switch, plane.fdb(), link_states(), neighbors_in(told.stdout))

    return look


def main() -> None:
    parser = argparse.ArgumentParser(prog="switchguard.lab.mib", description=__doc__)
    parser.add_argument("--device", required=True, choices=list(LAB.managed))
    serve(Agent(_look_at(parser.parse_args().device)), sys.stdin, sys.stdout)


if __name__ == "__main__":
    main()
