"""Penalties as lines of VyOS' configuration: what we want of them all, compared with what stands.

    set firewall group mac-group SWITCHGUARD mac-address '02:00:00:00:00:07'
    set firewall ipv4 name SWITCHGUARD rule 10 source group mac-group 'SWITCHGUARD'
    set firewall ipv4 forward filter rule 1 jump-target 'SWITCHGUARD'
    set qos policy limiter SWITCHGUARD class 2 match client ip source address '10.10.0.7/32'

A penalty stands when all lines that it needs do. Lines go by deleting the shortest path of our own under which nothing
stays: VyOS keeps a node whose last leaf was deleted, and refuses a rule without an action.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import count

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Address, Mac, Station
from switchguard.core.penalties import Block, Penalty, RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from ._typed import Dialect, Step

NAME = "SWITCHGUARD"
CONFIGURATION = "show configuration commands | sed '$a end'"
VERSION = "show version"
JUMP_RULE = "1"
FIRST_CLASS, LAST_CLASS = 2, 4090
_MATCH = "client"
_VERSION = re.compile(r"^ *Version: +VyOS (\d+)\.(\d+)", re.MULTILINE)
_KBIT = re.compile(r"(\d+)kbit")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """One of our groups, and the rules of our rulesets that look into it."""

    kind: str
    leaf: str
    families: tuple[str, ...]
    rules: Mapping[str, str]
    """Number of a rule -> which side it looks at."""

    @property
    def root(self) -> Path:
        return ("firewall", "group", self.kind, NAME)

    def member(self, text: str) -> Path:
        return (*self.root, self.leaf, text)

    def reference(self, side: str) -> Path:
        return (side, "group", self.kind.removeprefix("ipv6-"), NAME)

    def needs(self) -> Iterator[Path]:
        """The lines that put it in force on 1.4 and later."""
        for family in self.families:
            yield from _ruleset(family)
            for number, side in self.rules.items():
                rule = ("firewall", family, "name", NAME, "rule", number)
                yield (*rule, "action", "drop")
                yield (*rule, *self.reference(side))


_BOTH = {"20": "source", "21": "destination"}
_BOTH_NETS = {"30": "source", "31": "destination"}
GROUPS = {
    "mac": _Group("mac-group", "mac-address", ("ipv4", "ipv6"), {"10": "source"}),
    "address4": _Group("address-group", "address", ("ipv4",), _BOTH),
    "address6": _Group("ipv6-address-group", "address", ("ipv6",), _BOTH),
    "network4": _Group("network-group", "network", ("ipv4",), _BOTH_NETS),
    "network6": _Group("ipv6-network-group", "network", ("ipv6",), _BOTH_NETS),
}


def _ruleset(family: str) -> Iterator[Path]:
    """Our own rules, and the jump that leads there."""
    yield ("firewall", family, "name", NAME, "default-action", "return")
    jump = _jump(family)
    yield (*jump, "action", "jump")
    yield (*jump, "jump-target", NAME)


def _jump(family: str) -> Path:
    return ("firewall", family, "forward", "filter", "rule", JUMP_RULE)


@dataclass(frozen=True, slots=True)
class Config:
    lines: frozenset[Path] = frozenset()
    """All of the configuration's."""
    modern: bool = True
    """1.4 or later."""
    lan: tuple[str, ...] = ()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Group -> members, in force or not."""
    limits: Mapping[int, tuple[Address, int]] = field(default_factory=dict)
    """Class -> whose it is, and its bits per second; what is not whole is 0."""

    def below(self, path: Path) -> frozenset[Path]:
        return frozenset(line for line in self.lines if line[: len(path)] == path)


# --- reading ---------------------------------------------------------------------------------------------------------


def read(session: Session) -> Config:
    device = session.device.name
    version = _VERSION.search(said := session.ask(VERSION))
    if not version:
        raise UnexpectedOutput(device, said.strip()[:80], "no version of VyOS")
    lines = frozenset(_lines(device, session.ask(CONFIGURATION)))
    modern = (int(version[1]), int(version[2])) >= (1, 4)
    try:
        return _config(lines, modern, session.device.lan_interfaces)
    except ValueError as error:
        raise UnexpectedOutput(device, str(error), "a line of ours that is damaged") from error


def _lines(device: str, text: str) -> Iterator[Path]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[-1] != "end" or len(lines) < 2:
        raise UnexpectedOutput(device, (lines or [""])[-1], "a configuration that is cut off")
    for line in lines[:-1]:
        try:
            word, *path = shlex.split(line)
        except ValueError:
            word, path = "", []
        if word != "set" or not path:
            raise UnexpectedOutput(device, line)
        yield tuple(path)


def _config(lines: frozenset[Path], modern: bool, lan: tuple[str, ...]) -> Config:
    members = {
        name: frozenset(line[-1] for line in lines if line[:-1] == (*group.root, group.leaf))
        for name, group in GROUPS.items()
    }
    for name, found in members.items():
        for member in found:
            _slot("", name, member)
    config = Config(lines, modern, lan, members)
    limits = {number: _limit(config, number) for number in _classes(lines)}
    return Config(lines, modern, lan, members, {number: it for number, it in limits.items() if it is not None})


def _classes(lines: frozenset[Path]) -> frozenset[int]:
    root = ("qos", "policy", "limiter", NAME, "class")
    return frozenset(int(line[len(root)]) for line in lines if line[: len(root)] == root and len(line) > len(root))


def _limit(config: Config, number: int) -> tuple[Address, int] | None:
    """Whose a class is. None for one without an address, 0 bit/s for one that lacks something."""
    root = ("qos", "policy", "limiter", NAME, "class", str(number))
    told = {line[len(root) :]: line for line in config.below(root)}
    whose = [
        ip_network(path[-1]).network_address for path in told if path[:1] == ("match",) and path[-2:-1] == ("address",)
    ]
    rates = [
        int(found[1]) * 1000 for path in told if path[:1] == ("bandwidth",) and (found := _KBIT.fullmatch(path[-1]))
    ]
    if len(whose) != 1:
        return None
    whole = len(rates) == 1 and frozenset(_lines_of_limit(number, whose[0], rates[0], config.lan)) <= config.lines
    return whose[0], rates[0] if whole else 0


def _slot(device: str, group: str, member: str) -> Slot:
    """ValueError for a member that is none."""
    if group == "mac":
        return Slot(device, Block.kind, Station(mac=Mac.parse(member)))
    if group.startswith("network"):
        return Slot(device, Block.kind, network=ip_network(member))
    return Slot(device, Block.kind, address=ip_address(member))


def _standing(device: str, config: Config) -> Enforced:
    blocks = {
        _slot(device, name, member): Block() if name == "mac" else Block("address")
        for name, members in config.members.items()
        if _in_force(GROUPS[name], config)
        for member in members
    }
    limits = {
        Slot(device, RateLimit.kind, address=whose): RateLimit(bits_per_second)
        for whose, bits_per_second in config.limits.values()
    }
    return {**blocks, **limits}


def _in_force(group: _Group, config: Config) -> bool:
    if config.modern:
        undisturbed = not any(_strange(family, config) for family in group.families)
        return undisturbed and frozenset(group.needs()) <= config.lines
    return bool(_dropping(group, config))


def _dropping(group: _Group, config: Config) -> frozenset[Path]:
    """Rules of an administrator on 1.2 and 1.3 that drop what comes from members."""
    reference = group.reference("source")
    rules = frozenset(line[:5] for line in config.lines if line[0] == "firewall" and line[5:] == reference)
    drops = frozenset(it[:5] for it in config.lines if it[5:] in (("action", "drop"), ("action", "reject")))
    return rules & drops - frozenset(it[:5] for it in config.lines if it[5:] == ("disable",))


# --- writing ---------------------------------------------------------------------------------------------------------


def _assume(changes: Sequence[Change]) -> Config:
    """As 1.4 or later, on a router whose LAN interfaces are not known."""
    before = [change.inverse() for change in changes]
    return _config(frozenset(_wanted(before, Config())), True, ())


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    if not changes:
        return ()
    wanted = frozenset(_wanted(changes, config))
    ours = frozenset(line for line in config.lines if _root(line, config))
    others = config.lines - ours
    going, coming = sorted(ours - wanted), sorted(wanted - ours)
    gone = dict.fromkeys(_shortest(line, others | wanted, config) for line in going)
    return (
        Step(
            (*(_text("delete", path) for path in gone), *(_text("set", line) for line in coming)),
            minus=tuple(_text("set", line) for line in going),
            plus=tuple(_text("set", line) for line in coming),
        ),
    )


def _wanted(changes: Sequence[Change], config: Config) -> Iterator[Path]:
    """Every line of ours that shall stand. What is there but not whole was in force for nobody, and goes."""
    members = {
        name: set(config.members.get(name, ())) if _in_force(group, config) else set() for name, group in GROUPS.items()
    }
    limits = {whose: (number, bps) for number, (whose, bps) in config.limits.items()}
    for change in changes:
        match _place(change):
            case str(group), str(member):
                members[group].discard(member)
                members[group] |= {member} if change.after else set()
            case whose:
                _relimit(limits, whose, change.after)
    for name, of in GROUPS.items():
        yield from (of.member(member) for member in members[name])
        yield from of.needs() if members[name] and config.modern else ()
    for whose, (number, bps) in limits.items():
        yield from _lines_of_limit(number, whose, bps, config.lan) if bps else ()


def _relimit(limits: dict[Address, tuple[int, int]], whose: Address, after: Penalty | None) -> None:
    number, _ = limits.pop(whose, (0, 0))
    if isinstance(after, RateLimit):
        taken = {used for used, _ in limits.values()}
        free = number or next(it for it in count(FIRST_CLASS) if it not in taken)
        limits[whose] = free, after.bits_per_second


def _place(change: Change) -> tuple[str, str] | Address:
    """Group and member, or whose limit. DeviceError for what cannot be expressed."""
    slot, penalty = change.slot, change.after or change.before
    mac, address, network = slot.station.mac, slot.address, slot.network
    match penalty:
        case Block(by="mac") if (
            mac is not None and (address, network) == (None, None) and mac.value and not mac.is_multicast
        ):
            return "mac", str(mac)
        case Block(by="address") if address is not None and network is None:
            return f"address{address.version}", str(address)
        case Block(by="address") if network is not None and address is None and network.prefixlen:
            return f"network{network.version}", str(network)
        case RateLimit(bits_per_second=bps, within=None) if address is not None and network is None:
            if bps >= 1000 and bps % 1000 == 0:
                return address
    raise DeviceError(slot.device, f"VyOS cannot express {penalty} in {slot}")


def _lines_of_limit(number: int, whose: Address, bits_per_second: int, lan: Sequence[str]) -> Iterator[Path]:
    """Upload where it comes in, download where it goes out, and the policies around them."""
    rate, family = f"{bits_per_second // 1000}kbit", "ip" if whose.version == 4 else "ipv6"
    shaper = ("qos", "policy", "shaper", NAME)
    for policy, side in (("limiter", "source"), ("shaper", "destination")):
        root = ("qos", "policy", policy, NAME, "class", str(number))
        yield (*root, "bandwidth", rate)
        yield (*root, "match", _MATCH, family, side, "address", f"{whose}/{whose.max_prefixlen}")
    yield (*shaper, "class", str(number), "ceiling", rate)
    yield (*shaper, "bandwidth", "10gbit")
    yield (*shaper, "default", "bandwidth", "100%")
    yield (*shaper, "default", "queue-type", "fq-codel")
    yield from (("qos", "interface", name, way, NAME) for name in lan for way in ("ingress", "egress"))


def _root(line: Path, config: Config) -> Path:
    """The shortest path to this line that is ours to delete; empty for a line of somebody else. Where somebody else's
    rule refers to a group or a ruleset of ours, only members are: without what it refers to, nothing is committed."""
    match line:
        case ("firewall", "group", kind, name, *_) if name == NAME:
            families = next((group.families for group in GROUPS.values() if group.kind == kind), ())
            shared = not config.modern or any(_strange(family, config) for family in families)
            return line if shared else line[:4]
        case ("firewall", "ipv4" | "ipv6" as family, *_) if config.modern and not _strange(family, config):
            roots = ("firewall", family, "name", NAME), _jump(family)
            return next((it for it in roots if line[: len(it)] == it), ())
        case ("qos", "policy", "limiter" | "shaper", name, *_) if name == NAME:
            return line[:4]
        case ("qos", "interface", _, "ingress" | "egress", name) if name == NAME:
            return line[:4]
    return ()


def _shortest(line: Path, staying: frozenset[Path], config: Config) -> Path:
    least = len(_root(line, config))
    paths = (line[:length] for length in range(least, len(line)))
    return next((it for it in paths if not any(other[: len(it)] == it for other in staying)), line)


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind == RateLimit.kind:
        return _no_room_for_a_limit(config)
    name = "mac" if slot.station.mac else f"address{slot.address.version}" if slot.address else ""
    group = GROUPS[name or f"network{slot.network.version if slot.network else 4}"]
    if not config.modern:
        if name == "mac":
            return "before VyOS 1.4 there are no groups of MACs; block the address instead"
        if not _dropping(group, config):
            return f"no rule of the firewall drops what comes from {group.kind} {NAME}, so that it would do nothing"
        return ""
    strange = [family for family in group.families if _strange(family, config)]
    if strange:
        return f"rule {JUMP_RULE} of firewall {strange[0]} forward filter is somebody else's; give it another number"
    return ""


def _strange(family: str, config: Config) -> frozenset[Path]:
    """What somebody else says in the rule that would be ours."""
    return config.below(_jump(family)) - frozenset(_ruleset(family))


def _no_room_for_a_limit(config: Config) -> str:
    if not config.modern:
        return "limits are written on VyOS 1.4 and later"
    if not config.lan:
        return "the site names no lan_interfaces"
    taken = (config.below(("qos", "interface", name, way)) for name in config.lan for way in ("ingress", "egress"))
    strange = [line for lines in taken for line in lines if line[-1] != NAME]
    if strange:
        return f"{strange[0][2]} has the {strange[0][3]} policy {strange[0][4]} of somebody else"
    return "" if len(config.limits) <= LAST_CLASS - FIRST_CLASS else "no class of the policies is free"


def _text(verb: str, path: Path) -> str:
    """Only words that need no quotes are ever ours."""
    return " ".join((verb, *path))


DIALECT: Dialect[Config] = Dialect(read, _assume, _standing, _steps, _obstacle)
