"""What an IOS Catalyst switch takes as configuration. Every group of rules names the reference that it follows.

Read for this: static drops with their two refusals (Catalyst 2950/2955 Command Reference OL-10102-01, Catalyst 3560
Software Configuration Guide OL-8553-06), policers and their limits (Catalyst 3560 Command Reference 78-16405-05, the
same guide), `service-policy` (IOS Quality of Service Solutions Command Reference, Catalyst 3750 Command Reference).
The other references are named as the place to look: those rules, and all texts marked so, are unverified. Nothing was
checked on hardware.
"""

from collections.abc import Collection, Sequence
from itertools import product

from switchguard.core.model import Mac
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.plane import PortRow

ONLY_UNICAST = "% Only unicast addresses can be configured to be dropped"
CPU_ADDRESS = "% CPU destined address cannot be configured as drop address"


def ios_grammar(ports: Sequence[PortRow], own_macs: Collection[Mac]) -> Grammar:
    """`own_macs` are the switch's own addresses: frames to them go to its CPU."""
    rules = (*_SYSTEM, *_NAT, *_QOS, *_LISTS, *_interface(ports), *_mac_table(own_macs), *_SNMP)
    return Grammar(rules, kinds(ports, "Vlan"))


# --- refusals --------------------------------------------------------------------------------------------------------


def _policy_is_there(tree: Tree, command: Command) -> str:
    """Text as IOS prints it for MQC policies; not in the reference, unverified."""
    name = command.arguments[-1] if command.arguments else ""
    missing = not command.negated and f"policy-map {name}" not in tree
    return f"% policy map {name} not configured" if missing else ""


def _class_is_there(tree: Tree, command: Command) -> str:
    """Text unverified, as above."""
    name = command.arguments[0]
    missing = not command.negated and name != "class-default" and not _has_class_map(tree, name)
    return f"% class map {name} not configured" if missing else ""


def _has_class_map(tree: Tree, name: str) -> bool:
    return any(node.rule.opens == "class-map" and node.arguments[0] == name for node in tree.values())


def _class_is_free(tree: Tree, command: Command) -> str:
    """IOS does not delete a class-map that a policy has; the text is unverified."""
    name = command.arguments[0]
    users = [
        node.text for node in tree.values() if node.rule.opens == "policy-map" and f"class {name}" in node.children
    ]
    return f"% Class-map {name} is being used by {users[0]}" if command.negated and users else ""


def _policy_is_free(tree: Tree, command: Command) -> str:
    """IOS does not delete a policy that is in use; the text is unverified."""
    name = command.arguments[0]
    users = [
        node.text for node in tree.values() if any(_attaches(child.text, name) for child in node.children.values())
    ]
    return f"% Policy map {name} is attached to {users[0]}, detach it first" if command.negated and users else ""


def _attaches(line: str, policy: str) -> bool:
    return line in (f"service-policy input {policy}", f"service-policy output {policy}")


def _port_stays(_: Tree, command: Command) -> str:
    physical = command.negated and not command.slot.startswith("interface Vlan")
    return "% Removal of physical interfaces is not permitted" if physical else ""


# --- rules -----------------------------------------------------------------------------------------------------------

# Cisco IOS Configuration Fundamentals Command Reference (hostname, file prompt, archive, path, maximum, `ip scp server
# enable` in the Security Command Reference S-Z, username in the same, T-Z); VLANs: Catalyst 3560 Command Reference,
# `vlan`.
_SYSTEM = (
    Rule(GLOBAL, "version | <line>"),
    Rule(GLOBAL, "hostname | <name>"),
    Rule(GLOBAL, "username <name> | privilege <number:0-15> secret <line>", group="username"),
    Rule(GLOBAL, "username <name> | privilege <number:0-15> password <line>", group="username"),
    Rule(GLOBAL, "username <name> | secret <line>", group="username"),
    Rule(GLOBAL, "ip domain-name | <name>"),
    Rule(GLOBAL, "ip scp server enable"),
    Rule(GLOBAL, "file prompt quiet"),
    Rule(GLOBAL, "archive", opens="archive"),
    Rule("archive", "path | <name>"),
    Rule("archive", "maximum | <number:1-14>"),
    Rule(GLOBAL, "vlan <vlan>", opens="vlan"),
    Rule("vlan", "name | <name>"),
)

# Cisco IOS IP Addressing Services Command Reference, `ip nat translation max-entries`. That a later line for the same
# host replaces the earlier one, and that 0 is refused, is unverified. 0 means no cap for all hosts.
_NAT = (
    Rule(GLOBAL, "ip nat translation max-entries | <number:1-2147483647>", group="nat"),
    Rule(GLOBAL, "ip nat translation max-entries all-host | <number:0-2147483647>", group="nat"),
    Rule(GLOBAL, "ip nat translation max-entries host <address> | <number:1-2147483647>", group="nat"),
)

# Cisco IOS Quality of Service Solutions Command Reference: class-map, match, policy-map, class, police,
# service-policy, `shape average`. Catalyst 3560 Command Reference, `police`: only rate and burst in bytes
# (8000-1000000), with or without an exceed-action; `mls qos`. The router's form (cir, bc, conform-action) is accepted
# as well, since one front end stands for both families.
_QOS = (
    Rule(GLOBAL, "mls qos"),
    *(
        Rule(GLOBAL, f"class-map {typed}", opens="class-map", group="class-map", spelling=shown, check=_class_is_free)
        for typed, shown in (("match-all <name>", ""), ("match-any <name>", ""), ("<name>", "class-map match-all {0}"))
    ),
    Rule("class-map", "match any"),
    Rule("class-map", "match access-group name <name>"),
    Rule(GLOBAL, "policy-map <name>", opens="policy-map", check=_policy_is_free),
    Rule("policy-map", "class <name>", opens="policy-map-class", entered=True, check=_class_is_there),
    *(
        Rule("policy-map-class", f"police | {form}")
        for form in (
            "<number:8000-1000000000> <number:8000-1000000>",
            "<number:8000-1000000000> <number:8000-1000000> exceed-action <of:drop,policed-dscp-transmit>",
            "cir <number:8000-10000000000>",
            "cir <number:8000-10000000000> bc <number:1000-512000000>",
            "cir <number:8000-10000000000> conform-action transmit exceed-action drop",
            "cir <number:8000-10000000000> bc <number:1000-512000000> conform-action transmit exceed-action drop",
        )
    ),
    Rule("policy-map-class", "shape average | <number:8000-10000000000>"),
)

# Cisco IOS Security Command Reference, `ip access-list extended`, `permit (IP)`, `deny (IP)`; Cisco IOS IPv6 Command
# Reference, `ipv6 access-list`, `permit (IPv6)`, unverified; Catalyst 3560 Command
# Reference, `mac access-list extended` (matches frames that carry no IP).
_ADDRESS_FORMS = ("any", "host <address>", "<address> <address>")
_LISTS = (
    Rule(GLOBAL, "ip access-list extended <name>", opens="ip-acl"),
    *(
        Rule("ip-acl", f"{action} ip {source} {destination}", entered=True, group="ip-acl")
        for action, source, destination in product(("permit", "deny"), _ADDRESS_FORMS, _ADDRESS_FORMS)
    ),
    Rule(GLOBAL, "ipv6 access-list <name>", opens="ipv6-acl"),
    *(
        Rule("ipv6-acl", f"{action} ipv6 {source} {destination}", entered=True, group="ipv6-acl")
        for action, source, destination in product(
            ("permit", "deny"), ("any", "host <address6>"), ("any", "host <address6>")
        )
    ),
    Rule(GLOBAL, "mac access-list extended <name>", opens="mac-acl"),
    *(
        Rule("mac-acl", f"{action} {source} {destination}", entered=True, group="mac-acl")
        for action, source, destination in product(("permit", "deny"), ("any", "host <mac>"), ("any", "host <mac>"))
    ),
)


def _interface(ports: Sequence[PortRow]) -> tuple[Rule, ...]:
    """Catalyst 3560 Command Reference: interface, description, switchport, `switchport access|mode|trunk`, shutdown,
    `mac access-group`, service-policy, `spanning-tree portfast`; Cisco IOS IP Addressing Services Command Reference,
    `ip nat`, which a Catalyst 3560 has not: one front end stands for switches and routers."""
    if not ports:
        return ()
    return (
        Rule(GLOBAL, "interface <port>", opens="interface", check=_port_stays),
        Rule("interface", "description | <line>"),
        Rule("interface", "switchport access vlan | <vlan>"),
        Rule("interface", "switchport trunk native vlan | <vlan>"),
        Rule("interface", "switchport trunk allowed vlan | <vlans>"),
        Rule("interface", "switchport mode | <of:access,trunk>"),
        Rule("interface", "ip address | <address> <address>"),
        Rule("interface", "ipv6 address <prefix6>"),
        Rule("interface", "ip nat inside"),
        Rule("interface", "ip nat outside"),
        Rule("interface", "shutdown"),
        Rule("interface", "mac access-group | <name> in"),
        Rule("interface", "spanning-tree portfast"),
        Rule("interface", "service-policy input | <name>", check=_policy_is_there),
        Rule("interface", "service-policy output | <name>", check=_policy_is_there),
    )


def _mac_table(own_macs: Collection[Mac]) -> tuple[Rule, ...]:
    """Catalyst 2950/2955 Command Reference (OL-10102-01), `mac address-table static` and `... static drop`: the last
    of the two wins; `no` is documented without the word drop, so with it the line is refused; both messages are the
    guide's."""

    def droppable(_: Tree, command: Command) -> str:
        mac = Mac.parse(command.arguments[0])
        if command.negated:
            return ""
        return ONLY_UNICAST if mac.is_multicast else CPU_ADDRESS if mac in own_macs else ""

    slot = "mac address-table static <mac> vlan <vlan>"
    return (
        Rule(GLOBAL, "mac address-table aging-time | <number:0-1000000>"),
        Rule(GLOBAL, f"{slot} | drop", undo=(slot,), group="mac", check=droppable),
        Rule(GLOBAL, f"{slot} | interface <port>", undo=(slot, f"{slot} interface <port>"), group="mac"),
    )


# Cisco IOS SNMP Support Command Reference.
_SNMP = (
    Rule(GLOBAL, "snmp-server community <name> | <of:RO,RW>"),
    Rule(GLOBAL, "snmp-server location | <line>"),
    Rule(GLOBAL, "snmp-server contact | <line>"),
)
