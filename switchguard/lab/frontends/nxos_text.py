"""Answers of an NX-OS switch, in the layouts that its real ones have (a Nexus 9000 on 9.3)."""

import time
from collections.abc import Iterable, Sequence

from switchguard.lab.frontends.config import SyntaxComplaint
from switchguard.lab.frontends.ios_text import serial
from switchguard.lab.frontends.switch import Switch
from switchguard.lab.frontends.tables import AddressRow, ArpRow

_COMPLAINTS = {"invalid": "Invalid", "incomplete": "Incomplete", "ambiguous": "Ambiguous"}


def complaint(what: SyntaxComplaint, indent: int = 0) -> str:
    """The marker stands below the word; `indent` is how far the line was moved right by the prompt."""
    return f"{' ' * (indent + what.column)}^\n% {_COMPLAINTS[what.kind]} command at '^' marker.\n"


def show_version(switch: Switch) -> str:
    days, minutes = divmod(int(time.time() - switch.started) // 60, 1440)
    return "\n".join(
        (
            "Cisco Nexus Operating System (NX-OS) Software",
            "",
            "Software",
            "  NXOS: version 9.3(5)",
            "",
            "Hardware",
            "  cisco Nexus9000 C93180YC-FX Chassis ",
            f"  Processor Board ID {serial(switch)}",
            f"  Device name: {switch.hostname}",
            "",
            f"Kernel uptime is {days} day(s), {minutes // 60} hour(s), {minutes % 60} minute(s), 0 second(s)",
        )
    )


def running_config(lines: Iterable[str], command: str) -> str:
    """Without an end: the prompt is all that follows the last line."""
    when = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime())
    return "\n".join(
        ("", f"!Command: {command}", f"!Time: {when}", "", "version 9.3(5) Bios:version 07.66", *lines, "")
    )


def mac_address_table(rows: Sequence[AddressRow], own: str) -> str:
    head = (
        "Legend: ",
        "        * - primary entry, G - Gateway MAC, (R) - Routed MAC, O - Overlay MAC",
        "        age - seconds since last seen,+ - primary entry using vPC Peer-Link,",
        "        (T) - True, (F) - False, C - ControlPlane MAC, ~ - vsan",
        "   VLAN     MAC Address      Type      age     Secure NTFY Ports",
        "---------+-----------------+--------+---------+------+----+------------------",
    )
    body = (
        f"* {row.vlan:4}     {row.mac.dotted()}   {'static ' if row.static else 'dynamic'}  "
        f"{'-' if row.static else row.age_s:<9} F      F    {_short(row)}"
        for row in rows
    )
    return "\n".join((*head, *body, f"G    -     {own}   static   -         F      F    sup-eth1(R)"))


def _short(row: AddressRow) -> str:
    return row.port.long.replace("Ethernet", "Eth") if row.port else "Drop"


def arp(rows: Sequence[ArpRow], table: str) -> str:
    head = (
        "",
        "Flags: * - Adjacencies learnt on non-active FHRP router",
        "       + - Adjacencies synced via CFSoE",
        "       # - Adjacencies Throttled for Glean",
        "       CP - Added via L2RIB, Control plane Adjacencies",
        "       PS - Added via L2RIB, Peer Sync",
        "       RO - Re-Originated Peer Sync Entry",
        "       D - Static Adjacencies attached to down interface",
        "",
        f"IP ARP Table for {table}",
        f"Total number of entries: {len(rows)}",
        "Address         Age       MAC Address     Interface       Flags",
    )
    return "\n".join((*head, *(f"{row.address:15} 00:00:09  {row.mac.dotted()}  Vlan1           " for row in rows)))
