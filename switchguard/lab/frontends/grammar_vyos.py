"""What a VyOS router takes as configuration, as far as the lab and the tests need it: of 1.4 and later, and of 1.3.

A configuration is a set of paths. `set` adds one (and replaces the value of a leaf that has only one), `delete` takes
away everything below a path, `commit` verifies the whole. Read for this: VyOS documentation, configuration/firewall
(ipv4, groups, legacy), configuration/trafficpolicy (limiter, shaper, interface), cli; the texts of refusals are those
of its backend. Unverified: that nothing else is verified.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface

from switchguard.core.model import Mac

Path = tuple[str, ...]
Tree = frozenset[Path]

_ACTIONS = {"accept", "continue", "drop", "jump", "return", "reject"}
_RATE = re.compile(r"(?:[1-9]\d*)(?:bit|kbit|mbit|gbit|%)?")
_NAME = re.compile(r"[A-Za-z][\w.-]{0,30}")


class Invalid(Exception):
    """What VyOS prints instead of taking a line."""


def _parses(make: Callable[[str], object]) -> Callable[[str], bool]:
    def accepts(word: str) -> bool:
        try:
            make(word)
        except ValueError:
            return False
        return True

    return accepts


def _between(least: int, most: int, word: str) -> bool:
    return word.isdecimal() and least <= int(word) <= most


_KINDS: dict[str, Callable[[str], bool]] = {
    "name": lambda word: bool(_NAME.fullmatch(word)),
    "text": lambda word: True,
    "mac": lambda word: bool(re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", word)) and _parses(Mac.parse)(word),
    "ip4": _parses(IPv4Address),
    "ip6": _parses(IPv6Address),
    "net4": lambda word: "/" in word and _parses(IPv4Network)(word),
    "net6": lambda word: "/" in word and _parses(IPv6Network)(word),
    "interface-address": lambda word: "/" in word and _parses(ip_interface)(word),
    "interface": lambda word: bool(re.fullmatch(r"[a-z][a-z0-9.]{1,14}", word)),
    "rule": partial(_between, 1, 999_999),
    "class": partial(_between, 1, 4095),
    "action": lambda word: word in _ACTIONS,
    "protocol": lambda word: word in {"all", "icmp", "tcp", "tcp_udp", "udp"},
    "ports": lambda word: bool(re.fullmatch(r"\d{1,5}(?:-\d{1,5})?", word)),
    "ending": lambda word: word in {"accept", "drop", "return", "reject"},
    "rate": lambda word: bool(_RATE.fullmatch(word)),
}
_RULE = (
    "action <action>",
    "description <text>",
    "jump-target <name>",
    "protocol <protocol>",
    "destination port <ports>",
    "source address <text>",
    "source group mac-group <name>",
    "source group address-group <name>",
    "source group network-group <name>",
    "destination group address-group <name>",
    "destination group network-group <name>",
)
_CLASS = (
    "bandwidth <rate>",
    "ceiling <rate>",
    *(
        f"match <name> {family} {side} address <{kind}>"
        for family, kind in (("ip", "net4"), ("ipv6", "net6"))
        for side in ("source", "destination")
    ),
)
_ALWAYS = (
    "system host-name <name>",
    "interfaces ethernet <interface> address <interface-address>",
    "interfaces ethernet <interface> redirect <interface>",
    "firewall group address-group <name> address <ip4>",
    "firewall group ipv6-address-group <name> address <ip6>",
    "firewall group network-group <name> network <net4>",
    "firewall group ipv6-network-group <name> network <net6>",
)
_POLICY = (
    *(f"{kind} <name> class <class> {rest}" for kind in ("limiter", "shaper") for rest in _CLASS),
    "shaper <name> bandwidth <rate>",
    "shaper <name> default bandwidth <rate>",
    "shaper <name> default queue-type <name>",
)
Patterns = tuple[Path, ...]
MODERN: Patterns = tuple(
    tuple(text.split())
    for text in (
        *_ALWAYS,
        "firewall group mac-group <name> mac-address <mac>",
        *(
            f"firewall {family} {chain}"
            for family in ("ipv4", "ipv6")
            for chain in (
                "forward filter default-action <ending>",
                "name <name> default-action <ending>",
                *(f"{where} rule <rule> {rest}" for where in ("forward filter", "name <name>") for rest in _RULE),
            )
        ),
        *(f"qos policy {rest}" for rest in _POLICY),
        "qos interface <interface> ingress <name>",
        "qos interface <interface> egress <name>",
    )
)
_NOT_YET = ("jump-target", "mac-group")
OLD: Patterns = tuple(
    tuple(text.split())
    for text in (
        *_ALWAYS,
        *(
            f"firewall {kind} <name> rule <rule> {rest}"
            for kind in ("name", "ipv6-name")
            for rest in (*_RULE, "disable")
            if not any(word in rest for word in _NOT_YET)
        ),
        "firewall name <name> default-action <ending>",
        *(f"traffic-policy {rest}" for rest in _POLICY),
        *(
            f"interfaces ethernet <interface> {vif}traffic-policy {way} <name>"
            for vif in ("", "vif <class> ")
            for way in ("in", "out")
        ),
    )
)
"""1.2 and 1.3."""
_SEVERAL = {("interfaces", "address"), ("group", "mac-address"), ("group", "address"), ("group", "network")}
"""Leaves with several values: where they are, and the leaf."""


_NODE = 4
"""Words up to the name of a group, which stays when its last member goes."""


def parse(text: str) -> Path:
    """The words of a line without its verb. Invalid for quotes that are not closed."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise Invalid("Invalid command") from None


def with_line(tree: Tree, path: Path, patterns: Patterns = MODERN) -> Tree:
    """After `set`. Invalid in the words of VyOS."""
    pattern = _pattern(path, patterns)
    several = any(where in path and leaf == path[-2] for where, leaf in _SEVERAL)
    replaced = (
        frozenset()
        if several
        else frozenset(it for it in tree if it[:-1] == path[:-1] and _pattern(it, patterns) == pattern)
    )
    return tree - replaced - {path[:_NODE]} | {path}


def without(tree: Tree, path: Path) -> Tree:
    """After `delete`. Invalid where there is nothing."""
    gone = frozenset(it for it in tree if it[: len(path)] == path)
    if not gone:
        raise Invalid("Nothing to delete (the specified node does not exist)")
    node = path[:_NODE]
    empty = (
        {node} if len(path) > _NODE and path[:2] == ("firewall", "group") and not below(tree - gone, node) else set()
    )
    return tree - gone | empty


def _pattern(path: Path, patterns: Patterns) -> Path:
    fits = [pattern for pattern in patterns if _depth(pattern, path) == len(pattern) == len(path)]
    if fits:
        return fits[0]
    deepest = max(_depth(pattern, path) for pattern in patterns)
    if deepest >= len(path):
        raise Invalid(f"Configuration path: [{' '.join(path)}] requires a value\n  Set failed")
    raise Invalid(f"Configuration path: {' '.join(path[:deepest])} [{path[deepest]}] is not valid\n  Set failed")


def _depth(pattern: Path, path: Path) -> int:
    """How many words fit."""
    for at, (token, word) in enumerate(zip(pattern, path, strict=False)):
        if not (_KINDS[token[1:-1]](word) if token.startswith("<") else token == word):
            return at
    return min(len(pattern), len(path))


# --- the whole -------------------------------------------------------------------------------------------------------


def objections(tree: Tree) -> Iterator[str]:
    """What a commit would be refused for."""
    for rule in sorted({it[: it.index("rule") + 2] for it in tree if "rule" in it[:6]}):
        yield from _of_rule(tree, rule)
    for root in (("qos", "policy"), ("traffic-policy",)):
        yield from _of_policies(tree, root)
    for line in sorted(tree):
        match line:
            case ("qos", "interface", name, way, policy):
                yield from _of_binding(tree, ("qos", "policy"), name, way, policy)
            case ("interfaces", *_, name, "traffic-policy", way, policy):
                yield from _of_binding(tree, ("traffic-policy",), name, way, policy)


def _of_policies(tree: Tree, root: Path) -> Iterator[str]:
    """A name says which policy is meant, of whatever kind it is."""
    policies = sorted({line[len(root) : len(root) + 2] for line in below(tree, root)})
    for kind, policy in policies:
        if any(other != kind and name == policy for other, name in policies):
            yield f'Conflicting policy name "{policy}", already in use!'
        if kind == "shaper" and not below(tree, (*root, kind, policy, "default", "bandwidth")):
            yield f'Default bandwidth must be defined for policy "{policy}"!'
        families = {line[len(root) + 6] for line in below(tree, (*root, kind, policy, "class")) if "match" in line}
        if root == ("traffic-policy",) and kind == "limiter" and len(families) > 1:
            yield f"traffic-policy limiter {policy} can not match on both ip and other types"


def _of_binding(tree: Tree, root: Path, interface: str, way: str, policy: str) -> Iterator[str]:
    wanted = "limiter" if way in ("ingress", "in") else "shaper"
    if not below(tree, (*root, wanted, policy)):
        yield f'QoS policy "{policy}" is not a {wanted}, and only that is valid for {way} on "{interface}"!'


def _of_rule(tree: Tree, rule: Path) -> Iterator[str]:
    lines = {it[len(rule) :] for it in below(tree, rule)}
    actions = {it[1] for it in lines if it[0] == "action"}
    if not actions:
        yield f"Rule action must be defined in rule {rule[-1]}"
    targets = {it[1] for it in lines if it[0] == "jump-target"}
    if ("jump" in actions) != bool(targets):
        yield "Action set to jump, but no jump-target specified" if "jump" in actions else "jump-target without a jump"
    ports = any(it[1:2] == ("port",) for it in lines)
    if ports and not any(it[0] == "protocol" and it[1] in {"tcp", "tcp_udp", "udp"} for it in lines):
        yield "Protocol must be tcp, udp, or tcp_udp when specifying a port or port-group"
    for target in targets:
        if not below(tree, ("firewall", rule[1], "name", target)):
            yield f"Invalid jump-target. Firewall {rule[1]} name {target} does not exist on the system"
    for it in lines:
        if it[1:2] == ("group",):
            kind = it[2] if it[2] == "mac-group" or "6" not in rule[1] else f"ipv6-{it[2]}"
            if not below(tree, ("firewall", "group", kind, it[3])):
                yield f'Invalid {kind} "{it[3]}" on firewall rule'


def below(tree: Tree, path: Path) -> Tree:
    return frozenset(it for it in tree if it[: len(path)] == path)


def shown(tree: Tree) -> list[str]:
    """As `show configuration commands` has it: the value of a leaf in quotes."""
    nodes = [f"set {' '.join(path)}" for path in sorted(tree) if len(path) == _NODE and path[0] == "firewall"]
    return [
        *nodes,
        *(f"set {' '.join(path[:-1])} '{path[-1]}'" for path in sorted(tree) if f"set {' '.join(path)}" not in nodes),
    ]
