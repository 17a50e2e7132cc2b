"""An ASA as far as our lines go, prepared as its driver asks for."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from configured_switch import ConfiguredSwitch

from switchguard.core.changes import Change, Slot
from switchguard.core.penalties import Block
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree, render
from switchguard.lab.frontends.kinds import kinds

PREPARED = """\
object-group network SWITCHGUARD-BLOCK
 network-object host 192.0.2.1
object-group network SERVERS
 network-object host 10.10.9.9
access-list inside_in extended deny ip object-group SWITCHGUARD-BLOCK any
access-group inside_in in interface inside"""
BLOCK = Change(Slot("sw1", "block", address=ip_address("10.10.0.7")), None, Block(by="address"))
OTHER = Change(Slot("sw1", "block", address=ip_address("10.10.0.8")), None, Block(by="address"))
SUBNET = Change(Slot("sw1", "block", network=ip_network("10.20.0.0/24")), None, Block(by="address"))
CHANGES = ((BLOCK,), (BLOCK, OTHER), (SUBNET, BLOCK))


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


def _no_candidate(_: ConfiguredSwitch, _tree: Tree, _typed: Sequence[str]) -> str:
    raise NotImplementedError


GRAMMAR = Grammar(
    (
        Rule(GLOBAL, "object-group network <name>", opens="group"),
        Rule("group", "network-object host <address>", check=_not_empty, group="entry"),
        Rule("group", "network-object <address> <address>", check=_not_empty, group="entry"),
        Rule(GLOBAL, "access-list <name> extended <of:permit,deny> ip <line>", group="ace"),
        Rule(GLOBAL, "access-group <name> in interface <name>"),
    ),
    kinds((), ""),
)
