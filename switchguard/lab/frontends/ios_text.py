"""Answers of an IOS switch, in the layouts that its real ones have (a Catalyst 2960X on 15.2)."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from switchguard.lab.frontends.config import Edit, SyntaxComplaint, Tree
from switchguard.lab.frontends.switch import FLASH_OCTETS, Neighbor, Switch
from switchguard.lab.frontends.tables import AddressRow, ArpRow, PortState

IMAGE = "Cisco IOS Software, C2960X Software (C2960X-UNIVERSALK9-M), Version 15.2(7)E3, RELEASE SOFTWARE (fc3)"


def complaint(what: SyntaxComplaint, indent: int = 0) -> str:
    """The marker stands below the word; `indent` is how far the line was moved right by the prompt."""
    match what.kind:
        case "invalid":
            return f"{' ' * (indent + what.column)}^\n% Invalid input detected at '^' marker.\n"
        case "incomplete":
            return "% Incomplete command.\n"
        case "ambiguous":
            return f'% Ambiguous command:  "{what.line.strip()}"'


def show_version(switch: Switch) -> str:
    mac = str(switch.chassis.base_mac).upper()
    return "\n".join(
        (
            IMAGE,
            "Technical Support: http://www.cisco.com/techsupport",
            "",
            "ROM: Bootstrap program is C2960X boot loader",
            "",
            f"{switch.hostname} uptime is {uptime(time.time() - switch.started)}",
            "System returned to ROM by power-on",
            'System image file is "flash:c2960x-universalk9-mz.152-7.E3.bin"',
            "",
            "cisco WS-C2960X-24TS-L (APM86XXX) processor (revision A0) with 524288K bytes of memory.",
            f"Processor board ID {serial(switch)}",
            f"{len(switch.plane.ports())} Gigabit Ethernet interfaces",
            "The password-recovery mechanism is enabled.",
            "",
            f"Base ethernet MAC Address       : {mac}",
            "Model number                    : WS-C2960X-24TS-L",
            f"System serial number            : {serial(switch)}",
            "",
            "Configuration register is 0xF",
        )
    )


def serial(switch: Switch) -> str:
    return f"LAB{switch.chassis.base_mac.value & 0xFFFFFFFF:08X}"


def uptime(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 1440} days, {minutes // 60 % 24} hours, {minutes % 60} minutes"


def mac_address_table(rows: Sequence[AddressRow]) -> str:
    head = [
        "          Mac Address Table",
        "-------------------------------------------",
        "",
        "Vlan    Mac Address       Type        Ports",
        "----    -----------       --------    -----",
    ]
    body = [
        f"{row.vlan:4}    {row.mac.dotted()}    {'STATIC' if row.static else 'DYNAMIC':8}    "
        f"{row.port.short if row.port else 'Drop'}"
        for row in rows
    ]
    return "\n".join((*head, *body, f"Total Mac Addresses for this criterion: {len(rows)}"))


def arp(rows: Iterable[ArpRow]) -> str:
    head = "Protocol  Address          Age (min)  Hardware Addr   Type   Interface"
    body = (f"Internet  {row.address:15}          0   {row.mac.dotted()}  ARPA   Vlan1" for row in rows)
    return "\n".join((head, *body))


def interfaces(states: Iterable[PortState]) -> str:
    return "\n".join(_interface(state) for state in states)


def _interface(state: PortState) -> str:
    reason = "connected" if state.up else "notconnect" if state.enabled else "disabled"
    mac = state.mac.dotted()
    lines = [
        f"{state.port.long} is {_status(state)}, line protocol is {'up' if state.up else 'down'} ({reason}) ",
        f"  Hardware is Gigabit Ethernet, address is {mac} (bia {mac})",
        *([f"  Description: {state.description}"] if state.description else []),
        "  MTU 1500 bytes, BW 1000000 Kbit/sec, DLY 10 usec, ",
        "     reliability 255/255, txload 1/255, rxload 1/255",
        "  Encapsulation ARPA, loopback not set",
        "  Full-duplex, 1000Mb/s, media type is 10/100/1000BaseTX",
        f"     {state.in_packets} packets input, {state.in_octets} bytes, 0 no buffer",
        "     0 runts, 0 giants, 0 throttles ",
        "     0 input errors, 0 CRC, 0 frame, 0 overrun, 0 ignored",
        f"     {state.out_packets} packets output, {state.out_octets} bytes, 0 underruns",
        "     0 output errors, 0 collisions, 1 interface resets",
    ]
    return "\n".join(lines)


def _status(state: PortState) -> str:
    return "up" if state.up else "down" if state.enabled else "administratively down"


def ip_interface_brief(states: Iterable[PortState]) -> str:
    head = "Interface              IP-Address      OK? Method Status                Protocol"
    body = (
        f"{state.port.long:22} unassigned      YES unset  {_status(state):21} {'up' if state.up else 'down'}"
        for state in states
    )
    return "\n".join((head, *body))


def vlan_brief(running: Tree, states: Sequence[PortState], only: int | None = None) -> str:
    head = (
        "",
        "VLAN Name                             Status    Ports",
        "---- -------------------------------- --------- -------------------------------",
    )
    members: dict[int, list[str]] = {1: []}
    names = {1: "default"}
    for node in running.values():
        if node.rule.opens == "vlan":
            vlan = int(node.arguments[0])
            members[vlan] = []
            names[vlan] = node.children["name"].arguments[0] if "name" in node.children else f"VLAN{vlan:04}"
    for state in states:
        section = running.get(f"interface {state.port.long}")
        lines = section.children if section else {}
        if lines.get("switchport mode") is None or lines["switchport mode"].arguments[0] != "trunk":
            vlan = int(lines["switchport access vlan"].arguments[0]) if "switchport access vlan" in lines else 1
            members.setdefault(vlan, []).append(state.port.short)
    body = [
        row
        for vlan in sorted(members)
        if only in (None, vlan)
        for row in _vlan(vlan, names.get(vlan, f"VLAN{vlan:04}"), members[vlan])
    ]
    return "\n".join((*head, *body))


def _vlan(vlan: int, name: str, ports: Sequence[str]) -> list[str]:
    """Four ports to a line."""
    fours = [", ".join(ports[start : start + 4]) for start in range(0, len(ports), 4)] or [""]
    return [f"{vlan:<4} {name:32} active    {fours[0]}".rstrip(), *(" " * 48 + four for four in fours[1:])]


def lldp_neighbors(neighbors: Sequence[Neighbor]) -> str:
    head = (
        "Capability codes:",
        "    (R) Router, (B) Bridge, (T) Telephone, (C) DOCSIS Cable Device",
        "    (W) WLAN Access Point, (P) Repeater, (S) Station, (O) Other",
        "",
        "Device ID           Local Intf     Hold-time  Capability      Port ID",
    )
    body = (f"{each.system:20}{each.short:15}120        {each.capabilities:16}{each.port_id}" for each in neighbors)
    return "\n".join((*head, *body, "", f"Total entries displayed: {len(neighbors)}"))


def directory(files: Iterable[Path], title: str, used: int) -> str:
    """`dir` of the flash, or of one file in it."""
    when = "Mar 1 1993 00:01:00 +00:00"
    rows = (
        f"{number:5}  -rwx{path.stat().st_size:12}  {when}  {path.name}" for number, path in enumerate(files, start=2)
    )
    footer = f"{FLASH_OCTETS} bytes total ({FLASH_OCTETS - used} bytes free)"
    return "\n".join((f"Directory of {title}", "", *rows, "", footer))


def archive(path: str, count: int) -> str:
    return "\n".join(
        (
            "The maximum archive configurations allowed is 10.",
            f"There are currently {count} archive configurations saved.",
            f"The next archive file will be named {path}-<timestamp>-{count}",
            " Archive #  Name",
            *(f"   {number:<9}" for number in range(1, 11)),
        )
    )


def incremental_diffs(lines: Sequence[str]) -> str:
    return "\n".join(("!List of Commands:", *lines, "end", *([] if lines else ["!No changes were found"])))


def contextual_diffs(edits: Iterable[Edit]) -> str:
    lines = [f"{' ' * edit.depth}{edit.sign.strip()}{edit.text}" for edit in edits]
    return "\n".join(("!Contextual Config Diffs:", *(lines or ["!No changes were found"])))


def running_config(text: str) -> str:
    """As `show running-config` prints it."""
    return f"Building configuration...\n\nCurrent configuration : {len(text)} bytes\n!\n{text}"


def rollback_timer(minutes: int, user: str, since: float) -> str:
    when = time.strftime("%H:%M:%S UTC %a %b %d %Y", time.gmtime(since))
    facts: Mapping[str, str] = {
        "Time configured(or reconfigured)": when,
        "Timer type": "absolute timer",
        "Timer value": f"{minutes} min",
        "User": user,
    }
    return "\n".join(f"{key}: {value}" for key, value in facts.items())


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
