"""Groups of VyOS' firewall that hold whom we penalise, and the rules that look into them.

    SWITCHGUARD               blocked                              rule 10 MACs, 20 and 21 addresses, 30 and 31 subnets
    SWITCHGUARD-PORTS-1024    no TCP or UDP to ports above 1024    rule 101024 addresses, 201024 subnets

From 1.4 on the rules are our own, in a ruleset SWITCHGUARD of each family to which rule 1 of `forward filter` jumps.
Before, they are an administrator's. A group has a key: `mac`, `address4`, `network6`, `address4>1024`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from switchguard.core.changes import Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, Penalty, RestrictPorts

NAME = "SWITCHGUARD"
JUMP_RULE = "1"
LAST_PORT = 65_535
_OF_PORTS = re.compile(rf"{NAME}-PORTS-(\d{{1,5}})")
_FIRST_RULE = {"address": 100_000, "network": 200_000}
"""Of those for ports: the highest port that is left is added."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """One of our groups, and the rules that look into it."""

    kind: str
    leaf: str
    families: tuple[str, ...]
    rules: Mapping[str, str]
    """Number of a rule -> which side it looks at."""
    up_to: int | None = None
    """The highest port that is left to its members; None: they have nothing at all."""

    @property
    def name(self) -> str:
        return NAME if self.up_to is None else f"{NAME}-PORTS-{self.up_to}"

    @property
    def root(self) -> Path:
        return ("firewall", "group", self.kind, self.name)

    @property
    def beyond(self) -> str:
        """The ports that are taken from members, as a rule tells them; empty for all."""
        if self.up_to is None:
            return ""
        return f"{self.up_to + 1}-{LAST_PORT}" if self.up_to + 1 < LAST_PORT else str(LAST_PORT)

    @property
    def penalty(self) -> Penalty:
        if self.up_to is not None:
            return RestrictPorts(self.up_to)
        return Block("mac" if self.leaf == "mac-address" else "address")

    @property
    def damaged(self) -> Penalty:
        """What a member is shown with that no rule looks at: nothing that we would write."""
        if self.up_to is not None:
            return RestrictPorts(LAST_PORT)
        return Block("address" if self.leaf == "mac-address" else "mac")

    def member(self, text: str) -> Path:
        return (*self.root, self.leaf, text)

    def matchers(self, side: str) -> Iterator[Path]:
        """What a rule says of its packets."""
        yield (side, "group", self.kind.removeprefix("ipv6-"), self.name)
        if self.beyond:
            yield from (("protocol", "tcp_udp"), ("destination", "port", self.beyond))

    def needs(self) -> Iterator[Path]:
        """The lines that put it in force on 1.4 and later."""
        for family in self.families:
            yield from ruleset(family)
            for number, side in self.rules.items():
                rule = ("firewall", family, "name", NAME, "rule", number)
                yield (*rule, "action", "drop")
                yield from ((*rule, *matcher) for matcher in self.matchers(side))


_BOTH = {"20": "source", "21": "destination"}
_BOTH_NETS = {"30": "source", "31": "destination"}
GROUPS = {
    "mac": Group("mac-group", "mac-address", ("ipv4", "ipv6"), {"10": "source"}),
    "address4": Group("address-group", "address", ("ipv4",), _BOTH),
    "address6": Group("ipv6-address-group", "address", ("ipv6",), _BOTH),
    "network4": Group("network-group", "network", ("ipv4",), _BOTH_NETS),
    "network6": Group("ipv6-network-group", "network", ("ipv6",), _BOTH_NETS),
}
"""Of the blocked."""


def group(key: str) -> Group:
    who, _, up_to = key.partition(">")
    if not up_to:
        return GROUPS[who]
    return replace(GROUPS[who], rules={str(_FIRST_RULE[who[:-1]] + int(up_to)): "source"}, up_to=int(up_to))


def key_of(kind: str, name: str) -> str | None:
    """None for a group that is not ours."""
    who = next((key for key, it in GROUPS.items() if it.kind == kind), None)
    ports = _OF_PORTS.fullmatch(name)
    if name == NAME or who in (None, "mac"):
        return who if name == NAME else None
    return f"{who}>{int(ports[1])}" if ports and int(ports[1]) < LAST_PORT else None


def whom(slot: Slot) -> tuple[str, str] | None:
    """Key of the group of the blocked, and the member. None where no group can hold it."""
    match slot.station.mac, slot.address, slot.network:
        case Mac() as mac, None, None if mac.value and not mac.is_multicast:
            return "mac", str(mac)
        case None, address, None if address is not None:
            return f"address{address.version}", str(address)
        case None, None, network if network is not None and network.prefixlen:
            return f"network{network.version}", str(network)
    return None


def slot_of(device: str, key: str, member: str) -> Slot:
    """ValueError for a member that is none."""
    who, _, up_to = key.partition(">")
    kind = RestrictPorts.kind if up_to else Block.kind
    if who == "mac":
        return Slot(device, kind, Station(mac=Mac.parse(member)))
    if who.startswith("network"):
        return Slot(device, kind, network=ip_network(member))
    return Slot(device, kind, address=ip_address(member))


def ruleset(family: str) -> Iterator[Path]:
    """Our own rules, and the jump that leads there."""
    yield ("firewall", family, "name", NAME, "default-action", "return")
    yield (*jump(family), "action", "jump")
    yield (*jump(family), "jump-target", NAME)


def jump(family: str) -> Path:
    return ("firewall", family, "forward", "filter", "rule", JUMP_RULE)
