"""What an NX-OS switch takes as configuration, as far as our lines go.

Read for this: static drops (Nexus 3548 Layer 2 Switching Configuration Guide), the full form of policers and
`service-policy type qos` (configurations in batfish, public ones; Nexus 9000 control plane policing chapter). Messages
are unverified, and nothing was checked on hardware.
"""

from collections.abc import Collection, Sequence

from switchguard.core.model import Mac
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.plane import PortRow

INVALID_MAC = "ERROR: Invalid MAC address: only unicast addresses of other machines can be static"


def nxos_grammar(ports: Sequence[PortRow], own_macs: Collection[Mac]) -> Grammar:
    """`own_macs` are the switch's own addresses: frames to them go to its CPU."""
    return Grammar((*_SYSTEM, *_QOS, *_interface(ports), *_mac_table(own_macs)), kinds(ports, "Vlan"))


def _policy_is_there(tree: Tree, command: Command) -> str:
    name = command.arguments[-1] if command.arguments else ""
    missing = not command.negated and f"policy-map type qos {name}" not in tree
    return f"ERROR: policy-map {name} of type qos does not exist" if missing else ""


def _policy_is_free(tree: Tree, command: Command) -> str:
    name = command.arguments[0]
    line = f"service-policy type qos input {name}"
    users = [node.text for node in tree.values() if any(child.text == line for child in node.children.values())]
    return f"ERROR: policy-map {name} is in use by {users[0]}" if command.negated and users else ""


_SYSTEM = (
    Rule(GLOBAL, "version | <line>"),
    Rule(GLOBAL, "hostname | <name>"),
    Rule(GLOBAL, "feature <name>"),
    Rule(GLOBAL, "vlan <vlan>", opens="vlan"),
    Rule("vlan", "name | <name>"),
    Rule(GLOBAL, "snmp-server location | <line>"),
    Rule(GLOBAL, "snmp-server contact | <line>"),
)

_UNITS = "<of:bps,kbps,mbps,gbps>"
_QOS = (
    Rule(GLOBAL, "policy-map type qos <name>", opens="policy-map", check=_policy_is_free),
    Rule("policy-map", "class <name>", opens="policy-map-class", entered=True),
    Rule(
        "policy-map-class",
        f"police | cir <number:0-400000000000> {_UNITS} bc <number:1-512000000> <of:ms,us,bytes,kbytes,mbytes> "
        "conform transmit violate drop",
    ),
)


def _interface(ports: Sequence[PortRow]) -> tuple[Rule, ...]:
    if not ports:
        return ()
    return (
        Rule(GLOBAL, "interface <port>", opens="interface"),
        Rule("interface", "description | <line>"),
        Rule("interface", "switchport"),
        Rule("interface", "switchport mode | <of:access,trunk>"),
        Rule("interface", "switchport access vlan | <vlan>"),
        Rule("interface", "switchport trunk native vlan | <vlan>"),
        Rule("interface", "switchport trunk allowed vlan | <vlans>"),
        Rule("interface", "spanning-tree port type edge"),
        Rule("interface", "shutdown"),
        Rule("interface", "service-policy type qos input | <name>", check=_policy_is_there),
    )


def _mac_table(own_macs: Collection[Mac]) -> tuple[Rule, ...]:
    """The last of the two wins; `no` is documented without the word drop, so with it the line is refused."""

    def droppable(_: Tree, command: Command) -> str:
        mac = Mac.parse(command.arguments[0])
        return INVALID_MAC if not command.negated and (mac.is_multicast or mac in own_macs) else ""

    slot = "mac address-table static <mac> vlan <vlan>"
    return (
        Rule(GLOBAL, f"{slot} | drop", undo=(slot,), group="mac", check=droppable),
        Rule(GLOBAL, f"{slot} | interface <port>", undo=(slot, f"{slot} interface <port>"), group="mac"),
    )
