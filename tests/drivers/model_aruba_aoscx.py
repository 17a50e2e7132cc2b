"""An AOS-CX switch as far as our lines go."""

import re
from collections.abc import Sequence

from configured_switch import ConfiguredSwitch

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree, render
from switchguard.lab.frontends.kinds import kinds

HIER_CONFIG = "ARUBA_AOSCX"

MAC, OTHER = Mac.parse("02:00:00:00:00:07"), Mac.parse("02:00:00:00:00:08")
BLOCK = Change(Slot("sw1", "block", Station(mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(mac=OTHER)), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="1/1/7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", Station(port="1/1/1")), None, RateLimit(2_000_000))
ON_LAG = Change(Slot("sw1", "limit", Station(port="lag100")), None, RateLimit(2_000_000))
CHANGES = ((BLOCK,), (BLOCK, OTHER_BLOCK), (LIMIT,), (LIMIT, BLOCK, OTHER_LIMIT, ON_LAG))
START = """\
hostname sw1
mac-lockout 02:00:00:00:00:09
class ip VOICE
    10 match udp any any
policy VOICE
    10 class ip VOICE action cir kbps 500 cbs 0 exceed drop
interface 1/1/1
    no shutdown
interface 1/1/7
    no shutdown
    description a client's
interface 1/1/8
    apply policy VOICE in
interface lag 100
    no shutdown"""


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    switch = ConfiguredSwitch(
        "aruba_aoscx",
        _grammar(),
        4,
        {
            "show mac-address-table lockout": _lockouts,
            "show running-config": _config,
            "show running-config | count": lambda it: str(len(_config(it).splitlines())),
        },
        _no_candidate,
    )
    switch.type_in(START)
    return switch


def _config(switch: ConfiguredSwitch) -> str:
    lines = render(switch.grammar, switch.running, switch.indent)
    return "\n".join(
        ["Current configuration:", "!", "!Version ArubaOS-CX FL.10.06.0110", *lines, "!", "https-server vrf mgmt"]
    )


def _grammar() -> Grammar:
    return Grammar(
        (
            Rule(GLOBAL, "hostname | <name>"),
            Rule(GLOBAL, "mac-lockout <colon-mac>", group="lockout", check=_unicast),
            Rule(GLOBAL, "class <of:ip,ipv6> <name>", opens="class", check=_class_is_free),
            Rule("class", "<number:1-4294967295> | match <line>"),
            Rule(GLOBAL, "policy <name>", opens="policy", check=_policy_is_free),
            Rule(
                "policy",
                "<number:1-4294967295> | class <of:ip,ipv6> <name> action cir kbps <number:1-100000000> "
                "cbs <number:0-1000000> exceed drop",
                check=_class_is_there,
            ),
            Rule(GLOBAL, "interface <cx-port>", opens="interface"),
            Rule("interface", "no shutdown"),
            Rule("interface", "description | <line>"),
            Rule("interface", "apply policy | <name> in", check=_policy_is_there),
        ),
        {
            **kinds((), ""),
            "cx-port": _port,
            "colon-mac": lambda word, _: word if word.count(":") == 5 else None,
        },
    )


def _port(word: str, _: str) -> str | None:
    """The grammar hands on `lag 100` in one word."""
    found = re.fullmatch(r"(1/1/[1-8])|(lag)(\d+)", word)
    return found and (found[1] or f"{found[2]} {found[3]}")


def _uses(tree: Tree, words: str) -> bool:
    return any(words in line.text for node in tree.values() for line in node.children.values())


def _class_is_there(tree: Tree, command: Command) -> str:
    family_and_name = f"class {' '.join(command.arguments[1:3])}"
    return "" if command.negated or family_and_name in tree else f"Class {command.arguments[2]} does not exist."


def _class_is_free(tree: Tree, command: Command) -> str:
    used = command.negated and _uses(tree, f"{command.slot} action ")
    return f"Class {command.arguments[1]} is in use." if used else ""


def _policy_is_there(tree: Tree, command: Command) -> str:
    return "" if command.negated or f"policy {command.arguments[0]}" in tree else "Policy does not exist."


def _policy_is_free(tree: Tree, command: Command) -> str:
    used = command.negated and _uses(tree, f"apply policy {command.arguments[0]} in")
    return f"Policy {command.arguments[0]} is in use." if used else ""


def _unicast(_: Tree, command: Command) -> str:
    return "Invalid MAC address" if Mac.parse(command.arguments[0]).is_multicast else ""


def _lockouts(switch: ConfiguredSwitch) -> str:
    macs = [node.arguments[0] for node in switch.running.values() if node.rule.group == "lockout"]
    rows = [f"{mac}    static" for mac in macs]
    head = [f"Number of MAC lockout addresses : {len(macs)}", "", "MAC Address          Type", "-" * 42]
    return "\n".join([*head, *rows])


def _no_candidate(_: ConfiguredSwitch, _tree: Tree, _typed: Sequence[str]) -> str:
    raise NotImplementedError
