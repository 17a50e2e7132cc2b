"""A VyOS router in the gateway's namespace: its configurations, and what of them the kernel is told.

Groups and rules of the firewall become a table `vyos` of nftables for each family, in one transaction. Limiters and
shapers are policed there too, address by address: the lab shows that a limit is a limit, not how packets wait.
Addresses, NAT and routes of the gateway are the lab's own.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from switchguard.errors import LabError
from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.grammar_vyos import Path as Words
from switchguard.lab.frontends.grammar_vyos import Tree, below, parse, shown, with_line

Install = Callable[[Tree], None]
_SETS = {
    "mac-group": ("M", "ether_addr", ""),
    "address-group": ("A", "ipv4_addr", ""),
    "ipv6-address-group": ("A", "ipv6_addr", ""),
    "network-group": ("N", "ipv4_addr", " flags interval; auto-merge;"),
    "ipv6-network-group": ("N", "ipv6_addr", " flags interval; auto-merge;"),
}
_FAMILIES = {"ipv4": ("ip", "ipv4_addr"), "ipv6": ("ip6", "ipv6_addr")}
_VERDICTS = {"reject": "drop", "jump": ""}
_UNITS = {"kbit": 10**3, "mbit": 10**6, "gbit": 10**9, "bit": 1}
_LEAST_BURST = 16_000


class VyosBox:
    """`state` holds the startup configuration; the running one is lost with the process, as in a power cut."""

    def __init__(self, name: str, preset: Sequence[str], state: Path, faults: Faults, install: Install) -> None:
        self.name, self.faults = name, faults
        self._install, self._startup = install, state / "startup-config"
        if not self._startup.exists():
            state.mkdir(parents=True, exist_ok=True)
            self._startup.write_text("".join(f"set {line}\n" for line in preset))
        self.running: Tree = frozenset()
        self.reload()

    def install(self, tree: Tree) -> None:
        """Make this the running configuration, on the wire first."""
        self._install(tree)
        self.running = tree

    def save(self) -> None:
        self._startup.write_text("".join(f"{line}\n" for line in shown(self.running)))

    def reload(self) -> None:
        tree: Tree = frozenset()
        for line in self._startup.read_text().splitlines():
            tree = with_line(tree, parse(line)[1:])
        self.install(tree)


def in_kernel(tree: Tree) -> None:
    """LabError if nftables does not take it."""
    text = "".join(f"{line}\n" for line in ruleset(tree))
    done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"nftables refuses the firewall of VyOS: {done.stderr.strip()}")


def ruleset(tree: Tree) -> Iterator[str]:
    for family, (nft, address) in _FAMILIES.items():
        yield from (f"table {nft} vyos {{}}", f"delete table {nft} vyos", f"table {nft} vyos {{")
        yield from _sets(tree, address)
        names = sorted({it[3] for it in below(tree, ("firewall", family, "name"))})
        for name in names:
            yield f"chain NAME_{name} {{}}"
        for name in names:
            yield from _chain(tree, ("firewall", family, "name", name), f"NAME_{name}", nft, "drop")
        yield "chain limits {"
        yield "type filter hook forward priority filter - 1; policy accept;"
        yield from _limits(tree, nft)
        yield "}"
        yield from _chain(tree, ("firewall", family, "forward", "filter"), "FORWARD", nft, "accept")
        yield "}"


def _sets(tree: Tree, address: str) -> Iterator[str]:
    for kind, (letter, of, flags) in _SETS.items():
        for name in (
            sorted({it[3] for it in below(tree, ("firewall", "group", kind))}) if of in (address, "ether_addr") else ()
        ):
            members = sorted(it[-1] for it in below(tree, ("firewall", "group", kind, name)) if len(it) == 6)
            elements = f" elements = {{ {', '.join(members)} }};" if members else ""
            yield f"set {letter}_{name} {{ type {of};{flags}{elements} }}"


def _chain(tree: Tree, root: Words, name: str, nft: str, usual: str) -> Iterator[str]:
    lines = below(tree, root)
    endings = [it[-1] for it in lines if it[len(root)] == "default-action"] or [usual]
    yield f"chain {name} {{"
    if name == "FORWARD":
        yield "type filter hook forward priority filter; policy accept;"
    for number in sorted({int(it[len(root) + 1]) for it in lines if it[len(root)] == "rule"}):
        yield _rule(
            {it[len(root) + 2 :] for it in lines if it[len(root) : len(root) + 2] == ("rule", str(number))}, nft
        )
    yield _VERDICTS.get(endings[0], endings[0])
    yield "}"


def _rule(lines: set[Words], nft: str) -> str:
    told = {it[:-1]: it[-1] for it in lines}
    parts: list[str] = []
    for side, key in (("source", "saddr"), ("destination", "daddr")):
        if name := told.get((side, "group", "mac-group")):
            parts.append(f"ether {key} @M_{name}")
        for kind, letter in (("address-group", "A"), ("network-group", "N")):
            if name := told.get((side, "group", kind)):
                parts.append(f"{nft} {key} @{letter}_{name}")
        if address := told.get((side, "address")):
            parts.append(f"{nft} {key} {address}")
    if protocol := told.get(("protocol",)):
        parts.append(f"meta l4proto {{ {protocol.replace('_', ', ')} }}")
    if ports := told.get(("destination", "port")):
        parts.append(f"th dport {ports}")
    action = told[("action",)]
    target = told.get(("jump-target",))
    return " ".join([*parts, f"jump NAME_{target}" if target else _VERDICTS.get(action, action)])


def _limits(tree: Tree, nft: str) -> Iterator[str]:
    """Of policies that are bound to an interface."""
    bound = {it[-1] for it in below(tree, ("qos", "interface"))}
    for policy, side, key in (("limiter", "source", "saddr"), ("shaper", "destination", "daddr")):
        for name in sorted(bound):
            classes = {it[5] for it in below(tree, ("qos", "policy", policy, name, "class"))}
            for number in sorted(classes, key=int):
                lines = below(tree, ("qos", "policy", policy, name, "class", number))
                rates = [it[-1] for it in lines if it[6] == "bandwidth"]
                addresses = [
                    it[-1] for it in lines if it[6] == "match" and it[8] == nft.replace("6", "v6") and it[9] == side
                ]
                yield from (f"{nft} {key} {address} limit {_rate(rates[0])} drop" for address in addresses if rates)


def _rate(text: str) -> str:
    unit = next(it for it in _UNITS if text.endswith(it))
    octets = int(text.removesuffix(unit)) * _UNITS[unit] // 8
    return f"rate over {octets} bytes/second burst {max(_LEAST_BURST, octets // 4)} bytes"
