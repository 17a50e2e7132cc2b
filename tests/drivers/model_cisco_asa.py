"""An ASA as far as our lines go, prepared as its driver asks for."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from configured_switch import ConfiguredSwitch

from switchguard.core.changes import Change, Slot
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree, render
from switchguard.lab.frontends.kinds import kinds

PREPARED = """\
object-group network SWITCHGUARD-BLOCK
 network-object host 192.0.2.1
object-group network SERVERS
 network-object host 10.10.9.9
access-list inside_in extended deny ip object-group SWITCHGUARD-BLOCK any
access-group inside_in in interface inside
class-map inspection_default
policy-map global_policy
 class inspection_default
  inspect dns preset_dns_map
service-policy global_policy global"""
BLOCK = Change(Slot("sw1", "block", address=ip_address("10.10.0.7")), None, Block(by="address"))
OTHER = Change(Slot("sw1", "block", address=ip_address("10.10.0.8")), None, Block(by="address"))
SUBNET = Change(Slot("sw1", "block", network=ip_network("10.20.0.0/24")), None, Block(by="address"))
CAP = Change(Slot("sw1", "cap", address=ip_address("10.10.0.7")), None, SessionCap(200))
OTHER_CAP = Change(Slot("sw1", "cap", address=ip_address("10.10.0.8")), None, SessionCap(200))
LOWER_CAP = Change(Slot("sw1", "cap", address=ip_address("2001:db8::7")), None, SessionCap(50))
LIMIT = Change(Slot("sw1", "limit", address=ip_address("10.10.0.7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", address=ip_address("10.10.0.9")), None, RateLimit(2_000_000))
CHANGES = (
    (BLOCK,),
    (BLOCK, OTHER),
    (SUBNET, BLOCK),
    (CAP,),
    (CAP, OTHER_CAP, LOWER_CAP),
    (LIMIT,),
    (LIMIT, BLOCK, OTHER_CAP, OTHER_LIMIT, LOWER_CAP),
)


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    firewall = ConfiguredSwitch("cisco_asa", GRAMMAR, 1, {"show running-config": _text}, _no_candidate)
    firewall.type_in(PREPARED)
    return firewall


def _text(firewall: ConfiguredSwitch) -> str:
    lines = render(firewall.grammar, firewall.running, firewall.indent)
    return "\n".join([": Saved", *lines, "Cryptochecksum:0123456789abcdef", ": end"])


def _not_empty(tree: Tree, command: Command) -> str:
    """A group that an access list refers to keeps one entry."""
    groups = [node for node in tree.values() if node.rule.opens == "group" and command.slot in node.children]
    empty = command.negated and groups and len(groups[0].children) == 1
    return f"ERROR: unable to remove {command.text}: the object-group would be empty" if empty else ""


def _list_is_there(tree: Tree, command: Command) -> str:
    there = any(node.text.startswith(f"access-list {command.arguments[0]} ") for node in tree.values())
    return "" if there or command.negated else f"ERROR: access-list {command.arguments[0]} does not exist"


def _list_is_free(tree: Tree, command: Command) -> str:
    """The last entry of a list that a class refers to stays."""
    name = command.arguments[0]
    left = [it for it in tree.values() if it.slot != command.slot and it.text.startswith(f"access-list {name} ")]
    users = [it for it in tree.values() if f"match access-list {name}" in it.children]
    return f"ERROR: access-list {name} is in use by {users[0].text}" if command.negated and users and not left else ""


def _class_is_there(tree: Tree, command: Command) -> str:
    missing = not command.negated and f"class-map {command.arguments[0]}" not in tree
    return f"ERROR: class-map {command.arguments[0]} not configured" if missing else ""


def _class_is_free(tree: Tree, command: Command) -> str:
    users = [it for it in tree.values() if f"class {command.arguments[0]}" in it.children]
    return f"ERROR: class-map {command.arguments[0]} is in use by {users[0].text}" if command.negated and users else ""


def _no_candidate(_: ConfiguredSwitch, _tree: Tree, _typed: Sequence[str]) -> str:
    raise NotImplementedError


GRAMMAR = Grammar(
    (
        Rule(GLOBAL, "object-group network <name>", opens="group"),
        Rule("group", "network-object host <address>", check=_not_empty, group="entry"),
        Rule("group", "network-object <address> <address>", check=_not_empty, group="entry"),
        Rule(GLOBAL, "access-list <name> extended <of:permit,deny> ip <line>", group="ace", check=_list_is_free),
        Rule(GLOBAL, "access-group <name> in interface <name>"),
        Rule(GLOBAL, "class-map <name>", opens="class-map", check=_class_is_free),
        Rule("class-map", "match | access-list <name>", check=_list_is_there),
        Rule(GLOBAL, "policy-map <name>", opens="policy-map"),
        Rule("policy-map", "class <name>", opens="class", entered=True, check=_class_is_there),
        Rule("class", "inspect <line>"),
        Rule("class", "set connection | per-client-max <number:0-2000000>"),
        Rule("class", "set connection timeout | idle <duration>"),
        Rule("class", "police input | <number:8000-2000000000> <number:1000-512000000>"),
        Rule(GLOBAL, "service-policy <name> | <of:global>"),
        Rule(GLOBAL, "service-policy <name> interface <name>"),
    ),
    kinds((), ""),
)
