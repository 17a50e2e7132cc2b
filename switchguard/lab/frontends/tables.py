"""What a switch knows, before a vendor's layout: forwarding rows with the configured ones, ARP, port states."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from switchguard.core.model import Mac
from switchguard.lab.frontends.config import Tree
from switchguard.lab.frontends.switch import Switch
from switchguard.lab.plane import PortRow

ARP = Path("/proc/net/arp")
"""Of the network namespace that we are in."""
_COMPLETE = 0x2


@dataclass(frozen=True, slots=True)
class AddressRow:
    """One row of the forwarding table. `port` is None for one that is dropped."""

    mac: Mac
    vlan: int
    static: bool
    port: PortRow | None
    age_s: int = 0


@dataclass(frozen=True, slots=True)
class ArpRow:
    address: str
    mac: Mac
    interface: str


@dataclass(frozen=True, slots=True)
class PortState:
    """Link and counters of one port. `enabled` is what the configuration says."""

    port: PortRow
    mac: Mac
    description: str
    enabled: bool
    up: bool
    in_octets: int = 0
    in_packets: int = 0
    out_octets: int = 0
    out_packets: int = 0


def address_table(switch: Switch) -> list[AddressRow]:
    """Learnt and configured rows, by VLAN and MAC. A configured row hides the learnt one."""
    ports = {port.name: port for port in switch.plane.ports()}
    learnt = {
        (row.vlan, Mac.parse(row.mac)): AddressRow(Mac.parse(row.mac), row.vlan, False, ports[row.port], row.age_s)
        for row in switch.plane.fdb()
        if row.port in ports
    }
    configured = {(row.vlan, row.mac): row for row in _configured(switch.running, list(ports.values()))}
    return [row for _, row in sorted((learnt | configured).items(), key=lambda item: item[0])]


def _configured(running: Tree, ports: list[PortRow]) -> Iterator[AddressRow]:
    by_name = {port.long: port for port in ports}
    for node in running.values():
        if node.rule.group == "mac":
            mac, vlan, *where = node.arguments
            yield AddressRow(Mac.parse(mac), int(vlan), True, by_name.get(where[0]) if where else None)


def arp_table() -> list[ArpRow]:
    """Complete entries of the kernel's ARP table (proc(5), net/arp)."""
    rows = (line.split() for line in ARP.read_text().splitlines()[1:])
    return [ArpRow(row[0], Mac.parse(row[3]), row[5]) for row in rows if int(row[2], 16) & _COMPLETE]


def port_states(switch: Switch) -> list[PortState]:
    links = switch.links()
    states = []
    for port in switch.plane.ports():
        section = switch.running.get(f"interface {port.long}")
        lines = section.children if section else {}
        counters = links.get(port.name, {}).get("stats64", {"rx": {}, "tx": {}})
        enabled = "shutdown" not in lines
        states.append(
            PortState(
                port,
                switch.port_mac(port),
                lines["description"].arguments[0] if "description" in lines else "",
                enabled,
                enabled and port.up,
                counters["rx"].get("bytes", 0),
                counters["rx"].get("packets", 0),
                counters["tx"].get("bytes", 0),
                counters["tx"].get("packets", 0),
            )
        )
    return states
