"""What an EOS switch answers to `show`: (pattern -> structure and text). The structures follow real answers where one
could be read (forwarding table, ARP) and what NAPALM reads from them elsewhere; the interface of a dropped address is
unverified.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from switchguard.core.model import Mac
from switchguard.lab.frontends.config import Command, Tree
from switchguard.lab.frontends.eos_box import MOST_PENDING, EosBox
from switchguard.lab.frontends.pipes import pipe
from switchguard.lab.frontends.tables import AddressRow, PortState, address_table, arp_table, port_states

VERSION = "4.28.3M"


@dataclass(frozen=True, slots=True)
class Output:
    """`data` is None for a command that eAPI does not convert."""

    text: str
    data: dict[str, Any] | None = None


Answer = Callable[[EosBox, Command], Output]


def _version(box: EosBox, _: Command) -> Output:
    mac = str(box.switch.chassis.base_mac)
    data = {
        "mfgName": "Arista",
        "modelName": "vEOS-lab",
        "hardwareRevision": "",
        "serialNumber": f"LAB{box.switch.chassis.base_mac.value & 0xFFFFFFFF:08X}",
        "systemMacAddress": mac,
        "version": VERSION,
        "internalVersion": f"{VERSION}-LAB",
        "architecture": "x86_64",
        "bootupTimestamp": box.switch.started,
        "uptime": box.uptime,
        "memTotal": 2006636,
        "memFree": 1106636,
    }
    lines = (
        "Arista vEOS-lab",
        "Hardware version: ",
        f"Serial number: {data['serialNumber']}",
        f"System MAC address: {box.switch.chassis.base_mac.dotted()}",
        "",
        f"Software image version: {VERSION}",
        "Architecture: x86_64",
        f"Uptime: {int(box.uptime) // 60} minutes",
    )
    return Output("\n".join(lines), data)


def _hostname(box: EosBox, _: Command) -> Output:
    name = box.switch.hostname
    return Output(f"Hostname: {name}\nFQDN:     {name}", {"hostname": name, "fqdn": name})


# --- forwarding table, ARP -------------------------------------------------------------------------------------------


def _mac_table(wanted: Callable[[AddressRow, Command], bool]) -> Answer:
    def answer(box: EosBox, command: Command) -> Output:
        rows = [row for row in address_table(box.switch) if wanted(row, command)]
        entries = [_mac_entry(row) for row in rows]
        data = {"unicastTable": {"tableEntries": entries}, "multicastTable": {"tableEntries": []}}
        return Output(_mac_text(rows), data)

    return answer


def _mac_entry(row: AddressRow) -> dict[str, Any]:
    seen = {} if row.static else {"moves": 1, "lastMove": time.time() - row.age_s}
    return {
        "macAddress": str(row.mac),
        "vlanId": row.vlan,
        "interface": row.port.long if row.port else "Drop",
        "entryType": "static" if row.static else "dynamic",
        **seen,
    }


def _mac_text(rows: Sequence[AddressRow]) -> str:
    head = (
        "          Mac Address Table",
        "------------------------------------------------------------------",
        "",
        "Vlan    Mac Address       Type        Ports      Moves   Last Move",
        "----    -----------       ----        -----      -----   ---------",
    )
    body = (
        f"{row.vlan:4}    {row.mac.dotted()}    {'STATIC' if row.static else 'DYNAMIC':8}    "
        f"{row.port.long.replace('Ethernet', 'Et') if row.port else 'Drop':8}".rstrip()
        + ("" if row.static else f"   1       0:00:{row.age_s:02} ago")
        for row in rows
    )
    return "\n".join((*head, *body, f"Total Mac Addresses for this criterion: {len(rows)}"))


def _arp(all_vrfs: bool) -> Answer:
    def answer(_: EosBox, __: Command) -> Output:
        rows = arp_table()
        neighbors = [
            {"hwAddress": row.mac.dotted(), "address": row.address, "interface": row.interface, "age": 0}
            for row in rows
        ]
        counts = {"dynamicEntries": len(rows), "staticEntries": 0, "notLearnedEntries": 0, "totalEntries": len(rows)}
        data = {"ipV4Neighbors": neighbors, **counts}
        text = (f"{row.address:15}  0:00:00  {row.mac.dotted()}  {row.interface}" for row in rows)
        return Output(
            "\n".join(("Address         Age (sec)  Hardware Addr   Interface", *text)),
            {"vrfs": {"default": data}} if all_vrfs else data,
        )

    return answer


# --- ports -----------------------------------------------------------------------------------------------------------


def _interfaces(box: EosBox, command: Command) -> Output:
    asked = command.arguments
    states = [state for state in port_states(box.switch) if not asked or state.port.long in asked]
    text = (
        f"{state.port.long} is {_status(state)}, line protocol is {'up' if state.up else 'down'}\n"
        f"  Hardware is Ethernet, address is {state.mac.dotted()} (bia {state.mac.dotted()})\n"
        f"     {state.in_packets} packets input, {state.in_octets} bytes\n"
        f"     {state.out_packets} packets output, {state.out_octets} bytes"
        for state in states
    )
    return Output("\n".join(text), {"interfaces": {state.port.long: _interface(state) for state in states}})


def _status(state: PortState) -> str:
    return "up" if state.up else "down" if state.enabled else "administratively down"


def _interface(state: PortState) -> dict[str, Any]:
    return {
        "name": state.port.long,
        "description": state.description,
        "hardware": "ethernet",
        "interfaceStatus": "connected" if state.up else "notconnect" if state.enabled else "disabled",
        "lineProtocolStatus": "up" if state.up else "down",
        "mtu": 9214,
        "bandwidth": 1_000_000_000,
        "physicalAddress": str(state.mac),
        "interfaceCounters": {
            "inOctets": state.in_octets,
            "outOctets": state.out_octets,
            "inUcastPkts": state.in_packets,
            "outUcastPkts": state.out_packets,
        },
    }


def _vlan(box: EosBox, _: Command) -> Output:
    sections = [node for node in box.switch.running.values() if node.rule.opens == "vlan"]
    names = {
        node.arguments[0]: node.children["name"].arguments[0]
        if "name" in node.children
        else f"VLAN{node.arguments[0]:>04}"
        for node in sections
    }
    members = {vlan: [port.long for port in box.switch.plane.ports() if int(vlan) in port.vlans] for vlan in names}
    data = {
        vlan: {"name": name, "status": "active", "dynamic": False, "interfaces": {port: {} for port in members[vlan]}}
        for vlan, name in names.items()
    }
    text = (f"{vlan:5} {name:32} active    {', '.join(members[vlan])}" for vlan, name in names.items())
    return Output("\n".join(("VLAN  Name                             Status    Ports", *text)), {"vlans": data})


def _lldp(box: EosBox, _: Command) -> Output:
    neighbors = [
        {"port": each.long, "neighborDevice": each.system, "neighborPort": each.port_id, "ttl": 120}
        for each in box.switch.chassis.neighbors
    ]
    text = (f"{each.long:13} {each.system:24} {each.port_id:22} 120" for each in box.switch.chassis.neighbors)
    head = "Port          Neighbor Device ID       Neighbor Port ID       TTL"
    return Output("\n".join((head, *text)), {"lldpNeighbors": neighbors})


# --- configuration ---------------------------------------------------------------------------------------------------


def _config(box: EosBox, tree: Tree | None = None) -> Output:
    shown = box.switch.running if tree is None else tree
    text = f"! device: {box.switch.hostname} (vEOS-lab, EOS-{VERSION})\n!\n{box.switch.text(shown)}"
    return Output(text, {"cmds": _nested(shown), "header": [], "comments": []})


def _nested(tree: Tree) -> dict[str, Any]:
    return {
        node.text: {"cmds": _nested(node.children), "comments": []} if node.rule.opens else None
        for node in tree.values()
    }


def _running(box: EosBox, _: Command) -> Output:
    return _config(box)


def _running_section(box: EosBox, command: Command) -> Output:
    filtered = pipe(f"section {command.arguments[0]}")
    return Output(filtered(box.switch.text()) if filtered else "")


def _running_interface(box: EosBox, command: Command) -> Output:
    node = box.switch.running.get(f"interface {command.arguments[0]}")
    return Output(_config(box, {node.slot: node} if node else {}).text.replace("!\nend\n", ""))


def _startup(box: EosBox, _: Command) -> Output:
    return Output(f"! Command: show startup-config\n{box.switch.startup}")


def _sessions(box: EosBox, _: Command) -> Output:
    trial = box.trial
    data: dict[str, dict[str, Any]] = {
        name: {
            "state": session.state,
            "commitUser": "",
            "description": "",
            "instances": {},
            **({"commitBy": trial.ends} if trial and trial.session == name else {}),
        }
        for name, session in box.sessions.items()
    }
    text = (f"  {name:30} {session.state}" for name, session in box.sessions.items())
    return Output(
        "\n".join(
            (
                "Maximum number of completed sessions: 1",
                f"Maximum number of pending sessions: {MOST_PENDING}",
                "",
                *text,
            )
        ),
        {"sessions": data, "maxSavedSessions": 1, "maxOpenSessions": MOST_PENDING},
    )


def _session_config(box: EosBox, command: Command) -> Output:
    return Output(_config(box, box.named(command.arguments[0]).place.tree).text)


def _session_diffs(box: EosBox, command: Command) -> Output:
    return Output(box.diffs(command.arguments[0]))


SHOW: Mapping[str, Answer] = {
    "show version": _version,
    "show hostname": _hostname,
    "show mac address-table": _mac_table(lambda _, __: True),
    "show mac address-table dynamic": _mac_table(lambda row, _: not row.static),
    "show mac address-table static": _mac_table(lambda row, _: row.static),
    "show mac address-table address <mac>": _mac_table(lambda row, asked: row.mac == Mac.parse(asked.arguments[0])),
    "show mac address-table vlan <vlan>": _mac_table(lambda row, asked: str(row.vlan) == asked.arguments[0]),
    "show mac address-table interface <port>": _mac_table(
        lambda row, asked: row.port is not None and row.port.long == asked.arguments[0]
    ),
    "show arp": _arp(all_vrfs=False),
    "show ip arp": _arp(all_vrfs=False),
    "show arp vrf all": _arp(all_vrfs=True),
    "show ip arp vrf all": _arp(all_vrfs=True),
    "show interfaces": _interfaces,
    "show interfaces <port>": _interfaces,
    "show vlan": _vlan,
    "show lldp neighbors": _lldp,
    "show running-config": _running,
    "show running-config all": _running,
    "show running-config sanitized": _running,
    "show running-config section <line>": _running_section,
    "show running-config interfaces <port>": _running_interface,
    "show startup-config": _startup,
    "show configuration sessions": _sessions,
    "show configuration sessions detail": _sessions,
    "show session-config named <name>": _session_config,
    "show session-config named <name> diffs": _session_diffs,
}

PRIVILEGED = ("show running-config", "show startup-config", "show session-config")
"""How commands begin that an unprivileged user may not give."""
