"""Limits as classes of VyOS' policies: a limiter for what comes into LAN interfaces, a shaper for what leaves there.

    set qos policy limiter SWITCHGUARD-UP class 2 match client ip source address '10.10.0.7/32'
    set qos policy shaper SWITCHGUARD-DOWN class 2 match client ip destination address '10.10.0.7/32'
    set qos interface eth1 ingress 'SWITCHGUARD-UP'

1.2 and 1.3 call it `traffic-policy limiter`, and `interfaces ethernet eth1 vif 10 traffic-policy in`. No two policies
of any kind may have one name, whatever the release (vyos-1x src/conf_mode/qos.py; vyatta-cfg-qos vyatta-qos.pl).
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from ipaddress import ip_network

from switchguard.core.model import Address

from ._vyos_groups import NAME, Path

FIRST_CLASS, LAST_CLASS = 2, 4090
_MATCH = "client"
_KBIT = re.compile(r"(\d+)kbit")
_INTERFACE = re.compile(r"((?:eth|bond|br)\d+)(?:\.(\d+))?")
_KINDS = {"eth": "ethernet", "bond": "bonding", "br": "bridge"}

Lines = Set[Path]
Limit = tuple[Address, int]
"""Whose, and bits per second; what is not whole is 0."""


@dataclass(frozen=True, slots=True)
class _Policy:
    kind: str
    name: str
    side: str
    """Of a packet, the client's address."""
    way: str
    old_way: str
    """Of an interface, on 1.4 and later, and before."""


_UP = _Policy("limiter", f"{NAME}-UP", "source", "ingress", "in")
_DOWN = _Policy("shaper", f"{NAME}-DOWN", "destination", "egress", "out")
_BOTH = (_UP, _DOWN)


@dataclass(frozen=True, slots=True)
class Policies:
    """Where a router has them."""

    modern: bool
    """1.4 or later."""
    lan: tuple[str, ...]

    def read(self, lines: Lines) -> Mapping[int, Limit]:
        """Class -> its limit."""
        root = (*self._root(_UP), "class")
        numbers = {int(line[len(root)]) for line in lines if line[: len(root)] == root and len(line) > len(root)}
        found = {number: self._limit(lines, number) for number in numbers}
        return {number: it for number, it in found.items() if it is not None}

    def _limit(self, lines: Lines, number: int) -> Limit | None:
        """None for a class without an address."""
        root = (*self._root(_UP), "class", str(number))
        told = [line[len(root) :] for line in lines if line[: len(root)] == root]
        whose = [
            ip_network(it[-1]).network_address for it in told if it[:1] == ("match",) and it[-2:-1] == ("address",)
        ]
        rates = [int(found[1]) * 1000 for it in told if it[:1] == ("bandwidth",) and (found := _KBIT.fullmatch(it[-1]))]
        if len(whose) != 1:
            return None
        whole = len(rates) == 1 and frozenset(self.lines(number, whose[0], rates[0])) <= lines
        return whose[0], rates[0] if whole else 0

    def lines(self, number: int, whose: Address, bits_per_second: int) -> Iterator[Path]:
        """Everything that one limit needs."""
        rate, family = f"{bits_per_second // 1000}kbit", "ip" if whose.version == 4 else "ipv6"
        for policy in _BOTH:
            root = (*self._root(policy), "class", str(number))
            yield (*root, "bandwidth", rate)
            yield (*root, "match", _MATCH, family, policy.side, "address", f"{whose}/{whose.max_prefixlen}")
            yield from ((*binding, policy.name) for name in self.lan if (binding := self._binding(name, policy)))
        shaper = self._root(_DOWN)
        yield (*shaper, "class", str(number), "ceiling", rate)
        yield (*shaper, "bandwidth", "10gbit")
        yield (*shaper, "default", "bandwidth", "100%")
        yield (*shaper, "default", "queue-type", "fq-codel")

    def root_of(self, line: Path) -> Path:
        """The shortest path to a line that is ours to delete; empty for somebody else's."""
        roots = [self._root(policy) for policy in _BOTH]
        if found := next((root for root in roots if line[: len(root)] == root), ()):
            return found
        bound = any(line[-1] == policy.name for policy in _BOTH)
        if self.modern:
            return line[:-1] if bound and line[:2] == ("qos", "interface") else ()
        return line[:-1] if bound and line[:1] == ("interfaces",) and line[-3:-2] == ("traffic-policy",) else ()

    def why_not(self, lines: Lines) -> str:
        """Why no limit can be written; empty if one can."""
        if not self.lan:
            return "the site names no lan_interfaces"
        for name in self.lan:
            path = _path(name)
            if not path and not self.modern:
                return f"it is not known what kind of interface {name} is"
            if path and any(line[: len(path) + 1] in ((*path, "mirror"), (*path, "redirect")) for line in lines):
                return f"{name} mirrors or redirects what comes in, which is not to be had with a policy"
            for policy in _BOTH:
                binding = self._binding(name, policy)
                others = [line[-1] for line in lines if line[:-1] == binding and line[-1] != policy.name]
                if others:
                    return f"{name} has the {policy.way} policy {others[0]} of somebody else"
        return ""

    def _root(self, policy: _Policy) -> Path:
        return (*(("qos", "policy") if self.modern else ("traffic-policy",)), policy.kind, policy.name)

    def _binding(self, interface: str, policy: _Policy) -> Path:
        """Empty for an interface whose kind is not known."""
        if self.modern:
            return ("qos", "interface", interface, policy.way)
        path = _path(interface)
        return (*path, "traffic-policy", policy.old_way) if path else ()


def bound_interfaces(lines: Lines, modern: bool) -> tuple[str, ...]:
    """Those that have a policy of ours: the LAN's, where the site does not say any more which these are."""
    ours = [line for line in lines if line[-1] in (_UP.name, _DOWN.name)]
    if modern:
        return tuple(sorted({line[2] for line in ours if line[:2] == ("qos", "interface")}))
    places = {line[2:-3] for line in ours if line[:1] == ("interfaces",) and line[-3:-2] == ("traffic-policy",)}
    return tuple(sorted(".".join((name, *vif[1:])) for name, *vif in places))


def _path(interface: str) -> Path:
    """Where it is configured. Empty if that is not known."""
    found = _INTERFACE.fullmatch(interface)
    if not found:
        return ()
    whole = ("interfaces", _KINDS[found[1].rstrip("0123456789")], found[1])
    return (*whole, "vif", found[2]) if found[2] else whole
