"""What an Arista EOS switch takes as configuration.

Static drops, MAC access lists, policers, service-policy and shaping follow the schema and the golden configurations of
Arista's own AVD project (aristanetworks/avd). Rules that name the EOS User Manual name the place to look and are
unverified, as are all texts of refusals. Nothing was checked on hardware.
"""

import re
from collections.abc import Sequence
from itertools import product

from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Place, Rule, Tree, find, mode_of
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.plane import PortRow

LISTS = ("ip-acl", "mac-acl")


def eos_grammar(ports: Sequence[PortRow], abbreviates: bool = False) -> Grammar:
    """eAPI takes no abbreviations unless the request says autoComplete."""
    rules = (*_SYSTEM, *_NAT, *_LISTS, *_QOS, *_INTERFACE, *_MAC_TABLE, *_SNMP)
    return Grammar(rules, kinds(ports, "Vlan,Management"), abbreviates, prepare=numbered)


def numbered(place: Place, line: str) -> str:
    """EOS numbers an entry that is typed without a number: ten after the last one (User Manual, ACLs)."""
    if mode_of(place) not in LISTS or not re.match(r"(permit|deny)\b", line.strip()):
        return line
    section = find(place.tree, place.path)
    used = [int(slot) for slot in section.children if slot.isdigit()] if section else []
    return f"{max(used, default=0) + 10} {line.strip()}"


def _policy_is_there(tree: Tree, command: Command) -> str:
    """The text is unverified."""
    name = command.arguments[-1] if command.arguments else ""
    missing = not command.negated and f"policy-map type quality-of-service {name}" not in tree
    return f"Policy map {name} is not configured" if missing else ""


def _port_stays(_: Tree, command: Command) -> str:
    """The text is unverified."""
    physical = command.negated and command.slot.startswith("interface Ethernet")
    return "Cannot remove a physical interface" if physical else ""


# EOS User Manual: Hostname, Usernames (Account, Session and AAA), VLANs; AVD: management_api_http.
_SYSTEM = (
    Rule(GLOBAL, "hostname | <name>"),
    Rule(GLOBAL, "username <name> | privilege <number:0-15> role <name> secret <line>", group="username"),
    Rule(GLOBAL, "username <name> | privilege <number:0-15> secret <line>", group="username"),
    Rule(GLOBAL, "management api http-commands", opens="http"),
    Rule("http", "protocol http"),
    Rule("http", "protocol https"),
    Rule(GLOBAL, "vlan <vlan>", opens="vlan"),
    Rule("vlan", "name | <name>"),
)

# AVD golden configurations, ip_nat: the number stands first. Whether a later cap of the same address takes the place of
# an earlier one is not said; here both stand, so that who relies on it is found out.
_NAT_CAP = "ip nat translation max-entries <number:1-4294967295>"
_NAT = (
    Rule(GLOBAL, "ip nat translation max-entries | <number:1-4294967295>", group="nat"),
    Rule(GLOBAL, f"{_NAT_CAP} host", group="nat"),
    Rule(GLOBAL, f"{_NAT_CAP} <address>", group="nat"),
    Rule(GLOBAL, "ip nat translation low-mark | <number:1-99>", group="nat"),
    Rule(GLOBAL, "ip nat translation low-mark <number:1-99> host", group="nat"),
)

# AVD golden configurations, mac_access_lists: `10 deny 00:50:56:aa:bb:cc 00:00:00:00:00:00 any` (address and inverse
# mask); User Manual, ACLs: `no <number>` removes an entry, entries without number get one.
_MAC_FORMS = ("any", "<colon-mac> <colon-mac>")
_ADDRESS_FORMS = ("any", "host <address>", "<prefix>")
_SEQUENCE = "<number:1-4294967295>"
_LISTS = (
    Rule(GLOBAL, "ip access-list <name>", opens="ip-acl"),
    *(
        Rule("ip-acl", f"{_SEQUENCE} | {action} ip {source} {destination}", group="ip-acl")
        for action, source, destination in product(("permit", "deny"), _ADDRESS_FORMS, _ADDRESS_FORMS)
    ),
    Rule(GLOBAL, "mac access-list <name>", opens="mac-acl"),
    Rule("mac-acl", "counters per-entry"),
    *(
        Rule("mac-acl", f"{_SEQUENCE} | {action} {source} {destination}", group="mac-acl")
        for action, source, destination in product(("permit", "deny"), _MAC_FORMS, _MAC_FORMS)
    ),
)

# AVD schema: class_maps, policy_maps.qos (police rate N bps|kbps|mbps burst-size N bytes|kbytes|mbytes).
_QOS = (
    Rule(GLOBAL, "class-map type qos match-any <name>", opens="class-map"),
    Rule("class-map", "match ip access-group | <name>"),
    Rule("class-map", "match mac access-group | <name>"),
    Rule(GLOBAL, "policy-map type quality-of-service <name>", opens="policy-map", group="policy-map"),
    Rule(
        GLOBAL,
        "policy-map <name>",
        opens="policy-map",
        spelling="policy-map type quality-of-service {0}",
        group="policy-map",
    ),
    Rule("policy-map", "class <name>", opens="policy-map-class", entered=True),
    Rule(
        "policy-map-class",
        "police rate | <number:1-200000000000> <of:bps,kbps,mbps> "
        "burst-size <number:1-128000000> <of:bytes,kbytes,mbytes>",
    ),
)

# User Manual: Ethernet Ports, VLANs; AVD golden configurations: service_policy qos input, shape rate in kbps, mac
# access-group.
_INTERFACE = (
    Rule(GLOBAL, "interface <port>", opens="interface", check=_port_stays),
    Rule("interface", "description | <line>"),
    Rule("interface", "shutdown"),
    Rule("interface", "switchport access vlan | <vlan>"),
    Rule("interface", "switchport trunk native vlan | <vlan>"),
    Rule("interface", "switchport trunk allowed vlan | <vlans>"),
    Rule("interface", "switchport mode | <of:access,trunk>"),
    Rule("interface", "ip address | <prefix>"),
    Rule("interface", "mac access-group | <name> in"),
    Rule("interface", "service-policy type qos input | <name>", check=_policy_is_there, group="service-policy"),
    Rule(
        "interface",
        "service-policy input | <name>",
        spelling="service-policy type qos input | {0}",
        check=_policy_is_there,
        group="service-policy",
    ),
    Rule("interface", "shape rate | <number:8-200000000> kbps"),
)

# User Manual, `mac address-table static`: `no` is documented with and without the destination; (MAC, VLAN) is unique.
_STATIC = "mac address-table static <mac> vlan <vlan>"
_MAC_TABLE = (
    Rule(GLOBAL, "mac address-table aging-time | <number:0-1000000>"),
    Rule(GLOBAL, f"{_STATIC} | drop", group="mac"),
    Rule(GLOBAL, f"{_STATIC} | interface <port>", group="mac"),
)

# User Manual, SNMP.
_SNMP = (
    Rule(GLOBAL, "snmp-server community <name> | <of:ro,rw>"),
    Rule(GLOBAL, "snmp-server location | <line>"),
    Rule(GLOBAL, "snmp-server contact | <line>"),
)
