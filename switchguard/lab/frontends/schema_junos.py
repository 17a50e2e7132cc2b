"""What a Junos switch with ELS takes as configuration, as far as the lab needs it, what its commit refuses, and what it
asks of the forwarding plane.

Read for this: Juniper's reference of `firewall family ethernet-switching`, `policer`, `vlans ... forwarding-options
filter`, `interfaces ... family ethernet-switching` (ELS). Texts of refusal are unverified.

- A filter is read term by term; the first whose conditions all hold decides. A term without conditions holds for every
  frame. What no term decides is discarded.
- What enters a VLAN includes frames to a station of it, which came in by another port.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from switchguard.lab.frontends.config import Kind
from switchguard.lab.frontends.junos_config import Config, Refusal, Schema, Statement, schema
from switchguard.lab.frontends.kinds import name, number, one_of, vlan
from switchguard.lab.plane import PlaneState, PortRow

_FAMILY = "family ethernet-switching"
_ACCESS = ("unit 0", _FAMILY, "interface-mode access")
_TERM = f"firewall > {_FAMILY} > filter <name> > term <name>"
_PORT = "interfaces > <port>"
_UNIT = f"{_PORT} > unit <number:0-0> > {_FAMILY}"
_PATTERNS = (
    "system > host-name | <name>",
    "system > services > ssh",
    "system > services > netconf > ssh",
    f"{_PORT} > description | <name>",
    f"{_PORT} > disable",
    f"{_UNIT} > interface-mode | <of:access,trunk>",
    f"{_UNIT} > vlan > members > <name>",
    f"{_UNIT} > filter > input | <name>",
    "snmp > location | <name>",
    "snmp > contact | <name>",
    *(f"{_TERM} > from > {way}-mac-address > <mac-prefix>" for way in ("source", "destination")),
    *(f"{_TERM} > then > {action}" for action in ("discard", "accept", "policer | <name>", "count | <name>")),
    "firewall > policer <name> > if-exceeding > bandwidth-limit | <amount:32000-100000000000>",
    "firewall > policer <name> > if-exceeding > burst-size-limit | <amount:1500-100000000000>",
    "firewall > policer <name> > then > discard",
    "vlans > <name> > vlan-id | <vlan>",
    "vlans > <name> > description | <name>",
    "vlans > <name> > interface > <unit>",
    "vlans > <name> > forwarding-options > filter > input | <name>",
    "security > screen > ids-option <name> > alarm-without-drop",
    "security > screen > ids-option <name> > limit-session > source-ip-based | <number:1-8000000>",
    "security > zones > security-zone <name> > screen | <name>",
    "security > zones > security-zone <name> > interfaces > <unit>",
)
QUARANTINE = 99
"""A VLAN of the lab's switches that leads nowhere."""
_UNITS = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


def junos_schema(ports: Sequence[PortRow]) -> Schema:
    names = {port.long for port in ports}
    kinds: dict[str, Kind] = {
        "name": name,
        "number": number,
        "of": one_of,
        "vlan": vlan,
        "port": lambda word, _: word if word in names else None,
        "mac-prefix": _mac_prefix,
        "amount": _amount,
        "unit": lambda word, _: word if re.fullmatch(r"[a-z]+[-\d/]*\.\d+|all", word) else None,
    }
    return schema(_PATTERNS, kinds)


def _mac_prefix(word: str, _: str) -> str | None:
    return word.lower() if re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}/48", word) else None


def _amount(word: str, limits: str) -> str | None:
    """Shown with the largest letter that it is a multiple of."""
    value = amount(word)
    if number(str(value), limits) is None:
        return None
    letters = (letter for letter, size in sorted(_UNITS.items(), key=lambda it: -it[1]) if value % size == 0)
    letter = next(letters, "")
    return f"{value // _UNITS.get(letter, 1)}{letter}"


def amount(word: str) -> int:
    """64k is 64000; -1 for what is no amount."""
    found = re.fullmatch(r"(\d+)([kmg]?)", word)
    return int(found[1]) * _UNITS.get(found[2], 1) if found else -1


def initial(hostname: str, ports: Sequence[PortRow]) -> list[str]:
    """The configuration that a switch of the lab has when nobody touched it."""
    lines = [f"set system host-name {hostname}", "set system services ssh", "set system services netconf ssh"]
    lines += [f"set vlans v{number} vlan-id {number}" for number in sorted({it for port in ports for it in port.vlans})]
    lines += [f"set vlans quarantine vlan-id {QUARANTINE}"]
    for port in ports:
        unit = f"set interfaces {port.long} unit 0 {_FAMILY}"
        if port.access_vlan is None:
            lines += [f"{unit} interface-mode trunk", *(f"{unit} vlan members v{each}" for each in port.vlans)]
        else:
            lines += [f"{unit} interface-mode access", f"{unit} vlan members v{port.access_vlan}"]
    return [*lines, 'set snmp location "the lab"']


# --- the commit ------------------------------------------------------------------------------------------------------


def check(config: Config) -> Iterator[Refusal]:
    """Filters, policers and screens that are named, but not there, and access ports in several VLANs."""
    screens = {it[2].split()[1] for it in config if it[:2] == ("security", "screen")}
    filters = {it[2].split()[1] for it in config if it[:2] == ("firewall", _FAMILY)}
    policers = {it[1].split()[1] for it in config if it[0] == "firewall" and it[1].startswith("policer ")}
    for it in config:
        named = it[-1].split()
        if it[-2:-1] == ("filter",) and named[0] == "input" and named[1] not in filters:
            yield Refusal(f"Referenced filter '{named[1]}' is not defined", it[-1], f"[edit {' '.join(it[:-1])}]")
        if it[-2:-1] == ("then",) and named[0] == "policer" and named[1] not in policers:
            yield Refusal("Referenced policer is not defined", it[-1], f"[edit {' '.join(it[:-1])}]")
        if it[1:2] == ("zones",) and named[0] == "screen" and named[1] not in screens:
            yield Refusal(f"Screen {named[1]} must be defined", it[-1], f"[edit {' '.join(it[:-1])}]")
    for port, vlans in _members(config).items():
        if len(vlans) > 1 and ("interfaces", port, *_ACCESS) in config:
            yield Refusal(f"Access interface <{port}.0> has multiple VLANs", port, f"[edit interfaces {port}]")


# --- the forwarding plane --------------------------------------------------------------------------------------------


def derive(config: Config, ports: Sequence[PortRow]) -> PlaneState:
    numbers = {it[1]: int(it[2].split()[1]) for it in config if it[0] == "vlans" and it[2:3] and "vlan-id" in it[2]}
    bound = {numbers[vlan_]: decision for vlan_, decision in _bound(config, "vlans") if vlan_ in numbers}
    on_ports = {
        port.name: filter_ for port in ports for long, filter_ in _bound(config, "interfaces") if long == port.long
    }
    shut = {it[1] for it in config if it[0] == "interfaces" and it[-1] == "disable"}
    behind = {port.name for port in ports for vlan_ in port.vlans if vlan_ in bound and not bound[vlan_].rest}
    return PlaneState(
        drops=frozenset((mac, vlan_) for vlan_, it in bound.items() for mac in it.sources & it.destinations),
        drops_to=frozenset((mac, vlan_) for vlan_, it in bound.items() for mac in it.destinations - it.sources),
        denied=frozenset(
            (port.name, mac)
            for port in ports
            for vlan_ in port.vlans
            if vlan_ in bound
            for mac in bound[vlan_].sources - bound[vlan_].destinations
        ),
        down=frozenset(
            behind
            | {port.name for port in ports if port.long in shut}
            | {port for port, it in on_ports.items() if not it.rest}
        ),
        rates={port: it.rate for port, it in on_ports.items() if it.rate},
        moved=_moved(config, numbers, ports),
    )


def _moved(config: Config, numbers: Mapping[str, int], ports: Sequence[PortRow]) -> Mapping[str, int]:
    """Access ports that are said to be in another VLAN than the one they are built for."""
    said = {port: numbers.get(vlans[0], 0) for port, vlans in _members(config).items()}
    built = {port.name: (said.get(port.long), port.access_vlan) for port in ports if port.access_vlan is not None}
    return {name: now for name, (now, before) in built.items() if now and now != before}


def _members(config: Config) -> Mapping[str, Sequence[str]]:
    """Port -> names of its VLANs."""
    found: dict[str, list[str]] = {}
    for it in config:
        if it[0] == "interfaces" and it[-3:-1] == ("vlan", "members"):
            found.setdefault(it[1], []).append(it[-1])
    return found


class _Decision:
    """What a filter does: MACs that it discards as source, as destination, and whether it lets the rest pass."""

    def __init__(self, terms: Mapping[str, list[Statement]], policers: Mapping[str, int]) -> None:
        self.sources: set[str] = set()
        self.destinations: set[str] = set()
        self.rest = False
        self.rate = 0
        for statements in terms.values():
            told = [it for it in statements if it]
            actions = {it[-1].split()[0]: it[-1].split()[-1] for it in told if it[0] == "then"}
            named = {way: {it[-1].removesuffix("/48") for it in told if it[:2] == ("from", way)} for way in _WAYS}
            if not any(named.values()):
                self.rate = policers.get(actions.get("policer", ""), 0)
                self.rest = "discard" not in actions
                return
            if "discard" in actions:
                self.sources |= named[_WAYS[0]]
                self.destinations |= named[_WAYS[1]]


_WAYS = ("source-mac-address", "destination-mac-address")


def _bound(config: Config, top: str) -> Iterator[tuple[str, _Decision]]:
    """Which VLAN or port has a filter for what enters it, and what that does."""
    policers = {it[1].split()[1]: amount(it[-1].split()[1]) for it in config if it[-1].startswith("bandwidth-limit ")}
    for it in config:
        if it[0] == top and it[-2:-1] == ("filter",) and it[-1].startswith("input "):
            head = ("firewall", _FAMILY, f"filter {it[-1].split()[1]}")
            terms: dict[str, list[Statement]] = {}
            for line in config:
                if line[:3] == head and len(line) > len(head):
                    terms.setdefault(line[3], []).append(line[4:])
            yield it[1], _Decision(terms, policers)
