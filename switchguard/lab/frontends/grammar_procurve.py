"""What an ArubaOS-Switch takes as configuration, as far as the lab needs it.

Read for this: `lockout-mac` (ArubaOS-Switch Access Security Guide 16.08, MAC Lockout: its limit by the number of VLANs,
its two refusals), `rate-limit all` (Management and Configuration Guide 16.08). Their texts of refusal are unverified.
"""

import re
from collections.abc import Collection, Sequence

from switchguard.core.model import Mac
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.plane import PortRow

LOCKOUTS = 16
"""With up to 256 VLANs, whatever the model."""


def dashed_mac(word: str, _: str = "") -> str | None:
    """020000-000007, as it is typed and shown."""
    return word.lower() if re.fullmatch(r"[0-9a-fA-F]{6}-[0-9a-fA-F]{6}", word) else None


def dashed(mac: Mac) -> str:
    digits = f"{mac.value:012x}"
    return f"{digits[:6]}-{digits[6:]}"


def procurve_grammar(ports: Sequence[PortRow], own_macs: Collection[Mac]) -> Grammar:
    """`own_macs` are the switch's own addresses, which it does not lock out."""
    names = {port.long.lower(): port.long for port in ports}

    def lockable(tree: Tree, command: Command) -> str:
        if command.negated:
            return ""
        mac = Mac.parse(command.arguments[0])
        if mac.is_multicast or mac in own_macs:
            return f"Invalid input: {command.arguments[0]}"
        standing = [node for node in tree.values() if node.rule.group == "lockout" and node.slot != command.slot]
        return "Maximum number of lockout MAC addresses reached." if len(standing) >= LOCKOUTS else ""

    return Grammar(
        (
            Rule(GLOBAL, "hostname | <line>"),
            Rule(GLOBAL, "snmp-server location | <line>"),
            Rule(GLOBAL, "snmp-server contact | <line>"),
            Rule(GLOBAL, "vlan <vlan>", opens="vlan"),
            Rule("vlan", "name | <line>"),
            Rule("vlan", "untagged | <name>"),
            Rule("vlan", "tagged | <name>"),
            Rule(GLOBAL, "interface <plain-port>", opens="interface"),
            Rule("interface", "name | <line>"),
            Rule("interface", "disable"),
            Rule("interface", "rate-limit all in | kbps <number:1-10000000>"),
            Rule("interface", "rate-limit all out | kbps <number:1-10000000>"),
            Rule(GLOBAL, "lockout-mac <dashed-mac>", group="lockout", check=lockable),
        ),
        {
            **kinds(ports, ""),
            "dashed-mac": dashed_mac,
            "plain-port": lambda word, _: names.get(word.lower()),
        },
    )
