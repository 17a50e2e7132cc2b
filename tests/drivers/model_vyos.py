"""A VyOS router as far as our lines go, under the lab's grammar; an administrator has lines of his own.

hier_config does not know that `delete` takes away all that is below a path, so `typed` has what it comes to.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from ipaddress import ip_address, ip_network

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Mac, Role, Station
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts
from switchguard.errors import CommandRefused
from switchguard.lab.frontends.grammar_vyos import (
    MODERN,
    Invalid,
    Patterns,
    Tree,
    objections,
    parse,
    shown,
    with_line,
    without,
)
from switchguard.ports import Candidate, Oid, SnmpValue, Transport

HIER_CONFIG = "VYOS"
DEVICE = Device("gw1", "vyos", Role.GATEWAY, lan_interfaces=("eth1", "eth2"))
BEFORE = """\
set system host-name gw1
set interfaces ethernet eth1 address 10.10.0.1/24
set firewall group address-group SERVERS address 10.10.0.2
set firewall ipv4 forward filter rule 10 action accept
set firewall ipv4 forward filter rule 10 source group address-group SERVERS
set qos policy shaper WAN bandwidth 200mbit
set qos policy shaper WAN default bandwidth 100%
set qos interface eth0 egress WAN
"""
VERSION = """\
Version:          VyOS 1.4.0
Release train:    sagitta

Built by:         vyos_bld@localhost
Copyright:        VyOS maintainers and contributors
"""


def change(penalty: Penalty, who: str) -> Change:
    if "/" in who:
        return Change(Slot("gw1", penalty.kind, network=ip_network(who)), None, penalty)
    if len(who) == 17 and who.count(":") == 5:
        return Change(Slot("gw1", penalty.kind, Station(mac=Mac.parse(who))), None, penalty)
    return Change(Slot("gw1", penalty.kind, address=ip_address(who)), None, penalty)


BY_ADDRESS = Block("address")
CHANGES = (
    (change(Block(), "02:00:00:00:00:07"),),
    (change(Block(), "02:00:00:00:00:07"), change(Block(), "02:00:00:00:00:08")),
    (change(BY_ADDRESS, "10.10.0.7"), change(BY_ADDRESS, "2001:db8:10::7")),
    (change(BY_ADDRESS, "192.0.2.0/24"), change(BY_ADDRESS, "2001:db8:1::/64"), change(BY_ADDRESS, "192.0.2.7")),
    (change(RateLimit(64_000), "10.10.0.7"), change(RateLimit(2_000_000), "2001:db8:10::7")),
    (change(RestrictPorts(), "10.10.0.7"), change(RestrictPorts(), "192.0.2.0/24"), change(BY_ADDRESS, "10.10.0.7")),
    (
        change(RestrictPorts(0), "10.10.0.7"),
        change(RestrictPorts(80), "10.10.0.8"),
        change(RestrictPorts(), "2001:db8::7"),
    ),
    (change(RateLimit(128_000), "10.10.0.7"), change(BY_ADDRESS, "10.10.0.8"), change(Block(), "02:00:00:00:00:09")),
)


def entered(tree: Tree, lines: Sequence[str], patterns: Patterns) -> Tree:
    for line in lines:
        verb, *path = parse(line)
        tree = with_line(tree, tuple(path), patterns) if verb == "set" else without(tree, tuple(path))
    return tree


class Model:
    """A `ports.Session`."""

    device = DEVICE

    def __init__(self, before: str = BEFORE, version: str = VERSION, patterns: Patterns = MODERN) -> None:
        self.running = entered(frozenset(), before.splitlines(), patterns)
        self.version, self.patterns = version, patterns
        self.typed: list[Sequence[str]] = []

    def text(self) -> str:
        return "\n".join(shown(self.running))

    def speaks(self, transport: Transport) -> bool:
        return transport == "cli"

    def ask(self, command: str) -> str:
        match command:
            case "show version":
                return self.version
            case "show configuration commands | sed '$a end'":
                return f"{self.text()}\nend\n"
        raise CommandRefused("gw1", command, "Invalid command")

    def configure(self, lines: Sequence[str]) -> str:
        try:
            tree = entered(self.running, lines, self.patterns)
        except Invalid as error:
            raise CommandRefused("gw1", "; ".join(lines), str(error)) from error
        if objection := next(objections(tree), ""):
            raise CommandRefused("gw1", "commit", objection)
        gone, come = shown(self.running - tree), shown(tree - self.running)
        self.typed.append([*(f"delete {line.removeprefix('set ')}" for line in gone), *come])
        self.running = tree
        return ""

    def stream(self, command: str) -> Iterator[bytes]:
        yield self.ask(command).encode()

    def feed(self, command: str, text: str) -> str:
        raise NotImplementedError

    def candidate(self, lines: Sequence[str]) -> AbstractContextManager[Candidate]:
        raise NotImplementedError

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        raise NotImplementedError

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        raise NotImplementedError

    def close(self) -> None:
        pass


def spelt_for_hier_config(typed: Sequence[str]) -> list[str]:
    """It calls every line by its `set`."""
    return [f"delete set{line.removeprefix('delete')}" if line.startswith("delete ") else line for line in typed]
