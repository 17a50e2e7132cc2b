"""What a running configuration asks of the forwarding plane: derive(running) -> PlaneState, with each vendor's own
meaning of a line.

- IOS and, as we suppose, NX-OS drop a MAC as source and as destination; EOS only as destination, so there the source
  needs a MAC access list on the port.
- On IOS a MAC access list sees only frames that carry no IP: it changes nothing here.
- An applied access list ends in an unwritten `deny any`. A list that lets nothing else in is a shut port to those
  behind it, and is derived as one; a list that does not exist, or is empty, lets everything in.
- A policer counts for the whole port, whatever its class matches: behind an access port there is one client.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from switchguard.core.model import Mac
from switchguard.lab.frontends.config import Node, Tree
from switchguard.lab.plane import MacInVlan, PlaneState, PortRow

_IN_VLAN = "switchport access vlan"
_UNITS = {"bps": 1, "kbps": 1_000, "mbps": 1_000_000, "gbps": 1_000_000_000}


def derive_ios(running: Tree, ports: Sequence[PortRow]) -> PlaneState:
    configured = _configured(running, ports)
    return PlaneState(
        drops=_drops(running),
        down=frozenset(name for name, lines in configured.items() if "shutdown" in lines),
        rates=dict(_policed(running, configured, "service-policy input", "policy-map {}", _ios_rate)),
        shapes=dict(_policed(running, configured, "service-policy output", "policy-map {}", _ios_rate)),
        moved=_moved(configured, ports),
    )


def derive_eos(running: Tree, ports: Sequence[PortRow]) -> PlaneState:
    configured = _configured(running, ports)
    lists = {name: _entries(running, lines) for name, lines in configured.items()}
    cut_off = (name for name, entries in lists.items() if entries and not any(_permits_all(entry) for entry in entries))
    policy = "policy-map type quality-of-service {}"
    return PlaneState(
        drops_to=_drops(running),
        denied=frozenset((name, mac) for name, entries in lists.items() for mac in _denied(entries)),
        down=frozenset(name for name, lines in configured.items() if "shutdown" in lines) | frozenset(cut_off),
        rates=dict(_policed(running, configured, "service-policy type qos input", policy, _eos_rate)),
        shapes={
            name: int(lines["shape rate"].arguments[0]) * _UNITS["kbps"]
            for name, lines in configured.items()
            if "shape rate" in lines
        },
        moved=_moved(configured, ports),
    )


def derive_nxos(running: Tree, ports: Sequence[PortRow]) -> PlaneState:
    configured = _configured(running, ports)
    policy = "policy-map type qos {}"
    return PlaneState(
        drops=_drops(running),
        down=frozenset(name for name, lines in configured.items() if "shutdown" in lines),
        rates=dict(_policed(running, configured, "service-policy type qos input", policy, _eos_rate)),
        moved=_moved(configured, ports),
    )


def derive_procurve(running: Tree, ports: Sequence[PortRow]) -> PlaneState:
    """A lockout counts in every VLAN of the switch; limits count all that passes."""
    configured = _configured(running, ports)
    locked = (node.arguments[0] for node in running.values() if node.rule.group == "lockout")
    vlans = {vlan for port in ports for vlan in port.vlans}
    return PlaneState(
        drops=frozenset((str(Mac.parse(mac)), vlan) for mac in locked for vlan in vlans),
        down=frozenset(name for name, lines in configured.items() if "disable" in lines),
        rates=dict(_limited(configured, "rate-limit all in")),
        shapes=dict(_limited(configured, "rate-limit all out")),
    )


def _limited(configured: Mapping[str, Tree], slot: str) -> Iterator[tuple[str, int]]:
    for name, lines in configured.items():
        if slot in lines:
            yield name, int(lines[slot].arguments[0]) * _UNITS["kbps"]


def _configured(running: Tree, ports: Sequence[PortRow]) -> Mapping[str, Tree]:
    """Kernel name of each port -> the lines of its interface section."""
    sections = ((port.name, running.get(f"interface {port.long}")) for port in ports)
    return {name: section.children for name, section in sections if section}


def _moved(configured: Mapping[str, Tree], ports: Sequence[PortRow]) -> Mapping[str, int]:
    """Access ports that are said to be in another VLAN than the one they are built for."""
    built = {port.name: port.access_vlan for port in ports if port.access_vlan is not None}
    said = {name: lines[_IN_VLAN] for name, lines in configured.items() if _IN_VLAN in lines}
    vlans = {name: int(line.arguments[0]) for name, line in said.items() if name in built}
    return {name: vlan for name, vlan in vlans.items() if vlan != built[name]}


def _drops(running: Tree) -> frozenset[MacInVlan]:
    dropping = (node for node in running.values() if node.rule.group == "mac" and node.text.endswith(" drop"))
    return frozenset((str(Mac.parse(node.arguments[0])), int(node.arguments[1])) for node in dropping)


# --- MAC access lists ------------------------------------------------------------------------------------------------


def _entries(running: Tree, lines: Tree) -> list[Node]:
    """The list that a port's frames go through, by number."""
    applied = lines.get("mac access-group")
    section = running.get(f"mac access-list {applied.arguments[0]}") if applied else None
    numbered = [node for slot, node in section.children.items() if slot.isdigit()] if section else []
    return sorted(numbered, key=lambda node: int(node.slot))


def _permits_all(entry: Node) -> bool:
    words = entry.text.split()[1:]
    return words == ["permit", "any", "any"]


def _denied(entries: Sequence[Node]) -> Iterator[str]:
    """Sources denied whatever the destination, up to the entry that permits everything."""
    for entry in entries:
        words = entry.text.split()[1:]
        if _permits_all(entry):
            return
        if words[0] == "deny" and words[2:] == ["00:00:00:00:00:00", "any"]:
            yield words[1]


# --- rates -----------------------------------------------------------------------------------------------------------


def _policed(
    running: Tree, configured: Mapping[str, Tree], attached: str, policy: str, rate: Callable[[Node], int]
) -> Iterator[tuple[str, int]]:
    for name, lines in configured.items():
        service = lines.get(attached)
        section = running.get(policy.format(service.arguments[0])) if service else None
        classes = section.children.values() if section else ()
        rates = [rate(line) for each in classes for line in each.children.values()]
        if rates:
            yield name, min(rates)


def _ios_rate(line: Node) -> int:
    """The first number of `police` and of `shape average` is bits per second."""
    return int(line.arguments[0])


def _eos_rate(line: Node) -> int:
    """A number and its unit; NX-OS as well."""
    return int(line.arguments[0]) * _UNITS[line.arguments[1]]
