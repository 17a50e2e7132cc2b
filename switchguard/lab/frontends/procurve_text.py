"""Answers of an ArubaOS-Switch, in the layouts that its real ones have (a 2920 on 16.08)."""

from collections.abc import Iterable, Sequence

from switchguard.lab.frontends.config import Node, SyntaxComplaint, Tree
from switchguard.lab.frontends.grammar_procurve import dashed
from switchguard.lab.frontends.tables import AddressRow, ArpRow
from switchguard.lab.plane import PortRow

MODEL = "HP J9727A 2920-24G-PoE+ Switch"
REVISION = "WB.16.08.0001"
BANNER = f"""{MODEL}
Software revision {REVISION}

(C) Copyright of its vendor; this one is part of a network lab.

Press any key to continue"""
CURSOR = "\x1b[1;24r\x1b[24;1H\x1b[2K\x1b[24;1H\x1b[?25h"
"""What it writes before every prompt: scroll all lines, go to the last one, empty it, show the cursor."""
LOG_OUT = "Do you want to log out (y/n)? "
SAVE = "Do you want to save the current configuration (y/n/^C)? "
_COMPLAINTS = {"invalid": "Invalid", "incomplete": "Incomplete", "ambiguous": "Ambiguous"}


def complaint(what: SyntaxComplaint) -> str:
    return f"{_COMPLAINTS[what.kind]} input: {what.word if what.kind == 'invalid' else what.line.split()[-1]}"


def running_config(lines: Iterable[str]) -> str:
    """Without an end: the prompt is all that follows the last line."""
    return "\n".join(("", "Running configuration:", "", f"; J9727A Configuration Editor; {REVISION}", "", *lines, ""))


def mac_addresses(rows: Iterable[AddressRow]) -> str:
    head = (
        "",
        " Status and Counters - Port Address Table",
        "",
        "  MAC Address   Port    VLAN",
        "  ------------- ------- ----",
    )
    return "\n".join((*head, *(f"  {dashed(row.mac)} {_port(row):<7} {row.vlan}" for row in rows), ""))


def _port(row: AddressRow) -> str:
    return row.port.long if row.port else ""


def arp(rows: Iterable[ArpRow]) -> str:
    """Nobody says which port leads to a neighbour of the management."""
    head = (
        "",
        " IP ARP table",
        "",
        "  IP Address       MAC Address       Type    Port",
        "  ---------------  ----------------- ------- ----",
    )
    return "\n".join((*head, *(f"  {row.address:<15}  {dashed(row.mac)}     dynamic" for row in rows), ""))


def lockouts(running: Tree) -> str:
    macs = [node.arguments[0] for node in running.values() if node.rule.group == "lockout"]
    total = f" Number of locked out MAC addresses = {len(macs)}"
    return "\n".join((" Locked Out Addresses", "", *(f"  {mac}" for mac in macs), total))


def rate_limits(running: Tree, ports: Sequence[PortRow]) -> str:
    head = (
        " All-Traffic Rate Limit Maximum %",
        "",
        "  Port  | Inbound Limit Mode     Radius Override | Outbound Limit Mode     Radius Override",
        "  ----- + ------------- -------- --------------- + -------------- -------- ---------------",
    )
    sections = ((port.long, running.get(f"interface {port.long}")) for port in ports)
    return "\n".join((*head, *(f"  {name:<5} | {_limit(at, 'in')} | {_limit(at, 'out')}" for name, at in sections)))


def _limit(section: Node | None, way: str) -> str:
    line = section.children.get(f"rate-limit all {way}") if section else None
    return f"{line.arguments[0]:<13} kbps     No-override" if line else "Disabled      Disabled No-override"
