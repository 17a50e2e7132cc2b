"""Penalties as lines of VyOS' configuration: what we want of them all, compared with what stands.

    set firewall group mac-group SWITCHGUARD mac-address '02:00:00:00:00:07'
    set firewall ipv4 name SWITCHGUARD rule 10 source group mac-group 'SWITCHGUARD'
    set firewall ipv4 forward filter rule 1 jump-target 'SWITCHGUARD'
    set qos policy limiter SWITCHGUARD-UP class 2 match client ip source address '10.10.0.7/32'

A penalty stands when all lines that it needs do. Lines go by deleting the shortest path of our own under which nothing
stays: VyOS keeps a node whose last leaf was deleted, and refuses a rule without an action.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Address
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from ._typed import Dialect, Step
from ._vyos_groups import GROUPS, JUMP_RULE, LAST_PORT, NAME, Group, Path, group, jump, key_of, ruleset, slot_of, whom
from ._vyos_limits import FIRST_CLASS, LAST_CLASS, Limit, Policies, bound_interfaces

CONFIGURATION = "show configuration commands | sed '$a end'"
VERSION = "show version"
_VERSION = re.compile(r"^ *Version: +VyOS (\d+)\.(\d+)", re.MULTILINE)
_FAMILIES = "ipv4", "ipv6"
_RULESETS = tuple(("firewall", family, "name", NAME) for family in _FAMILIES)


@dataclass(frozen=True, slots=True)
class Config:
    lines: frozenset[Path] = frozenset()
    """All of the configuration's."""
    modern: bool = True
    """1.4 or later."""
    lan: tuple[str, ...] = ()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Key of a group -> members, in force or not."""
    limits: Mapping[int, Limit] = field(default_factory=dict)
    """By their class."""
    referred: frozenset[Path] = frozenset()
    """Groups and rulesets to which somebody else's rules refer: without them, nothing would be committed."""

    @property
    def policies(self) -> Policies:
        return Policies(self.modern, self.lan)

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


def _names_a_group(line: Path) -> bool:
    return line[:2] == ("firewall", "group") and len(line) >= 4


def _config(lines: frozenset[Path], modern: bool, lan: tuple[str, ...]) -> Config:
    ours = {line[:4]: key for line in lines if _names_a_group(line) and (key := key_of(*line[2:4]))}
    members = {
        key: frozenset(line[-1] for line in lines if line[:-1] == (*root, group(key).leaf))
        for root, key in sorted(ours.items())
    }
    for key, found in members.items():
        for member in found:
            slot_of("", key, member)
    lan = lan or bound_interfaces(lines, modern)
    return Config(lines, modern, lan, members, Policies(modern, lan).read(lines), frozenset(_referred(lines)))


def _referred(lines: frozenset[Path]) -> Iterator[Path]:
    """Not by our own rules."""
    for line in lines:
        if line[:4] in _RULESETS or line[:6] in map(jump, _FAMILIES):
            continue
        match line:
            case (*_, "group", kind, name):
                yield from (("firewall", "group", of, name.removeprefix("!")) for of in (kind, f"ipv6-{kind}"))
            case ("firewall", family, *_, "jump-target" | "default-jump-target", name):
                yield ("firewall", family, "name", name)


def _standing(device: str, config: Config) -> Enforced:
    """Members that are not in force, and those with two limits of ports, as damaged."""
    stands: dict[Slot, Penalty] = {}
    for key, members in config.members.items():
        of = group(key)
        in_force = _in_force(of, config)
        for slot in (slot_of(device, key, member) for member in members):
            stands[slot] = of.penalty if in_force and slot not in stands else of.damaged
    limits = {
        Slot(device, RateLimit.kind, address=whose): RateLimit(bits_per_second)
        for whose, bits_per_second in config.limits.values()
    }
    return {**stands, **limits}


def _in_force(of: Group, config: Config) -> bool:
    if config.modern:
        return _is_whole(of, config) and not any(_lets_through(of, family, config) for family in of.families)
    return bool(_dropping(of, config))


def _is_whole(of: Group, config: Config) -> bool:
    undisturbed = not any(_strange(family, config) for family in of.families)
    return undisturbed and frozenset(of.needs()) <= config.lines


def _lets_through(of: Group, family: str, config: Config) -> bool:
    """Whether somebody else has narrowed or disabled a rule of the group, or put one before that spares its members."""
    last, needs = max(map(int, of.rules)), frozenset(of.needs())
    for line in config.below(("firewall", family, "name", NAME, "rule")):
        number, *said = line[5:] or ("",)
        if number in of.rules and line not in needs and said[:1] not in (["description"], ["log"]):
            return True
        if number.isdecimal() and int(number) < last and said[:1] == ["action"] and said[-1] not in ("drop", "reject"):
            return True
    return False


def _dropping(of: Group, config: Config) -> frozenset[Path]:
    """Rules of an administrator on 1.2 and 1.3 that drop what comes from members, or what of it they shall not have."""
    reference, *others = of.matchers("source")
    rules = frozenset(
        line[:5]
        for line in config.lines
        if line[0] == "firewall" and line[5:] == reference and {(*line[:5], *it) for it in others} <= config.lines
    )
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
    if not config.modern:
        _require_old(changes, config)
    others = config.lines - ours
    going, coming = sorted(ours - wanted), sorted(wanted - config.lines)
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
    stays = _is_whole if config.modern else _in_force
    members = {key: set(found) if stays(group(key), config) else set() for key, found in config.members.items()}
    limits = {whose: (number, bps) for number, (whose, bps) in config.limits.items()}
    for change in changes:
        match _place(change):
            case str(who), str(member):
                _regroup(members, who, member, change)
            case whose:
                _relimit(limits, whose, change.after)
    for of, found in ((group(key), found) for key, found in members.items() if found):
        yield from (of.member(member) for member in found)
        yield from of.needs() if config.modern else ()
    for whose, (number, bps) in limits.items():
        yield from config.policies.lines(number, whose, bps) if bps else ()


def _regroup(members: dict[str, set[str]], who: str, member: str, change: Change) -> None:
    """Out of every group of its kind of penalty, and into one."""
    for key, found in members.items():
        if key == who if change.slot.kind == Block.kind else key.startswith(f"{who}>"):
            found.discard(member)
    if change.after is not None:
        members.setdefault(_key(who, change.after), set()).add(member)


def _key(who: str, penalty: Penalty) -> str:
    return f"{who}>{penalty.up_to}" if isinstance(penalty, RestrictPorts) else who


def _require_old(changes: Sequence[Change], config: Config) -> None:
    """DeviceError for what 1.2 and 1.3 cannot do: look into a group for which no administrator's rule is, and limit
    addresses of both families."""
    versions = {whose.version for whose, _ in config.limits.values()}
    for change in changes:
        match change.after, whom(change.slot):
            case RestrictPorts() as after, (who, _):
                of = group(_key(who, after))
                if not _dropping(of, config):
                    what = f"what goes from {of.kind} {of.name} to ports {of.beyond}"
                    raise DeviceError(change.slot.device, f"no rule of the firewall drops {what}; it would do nothing")
            case RateLimit(), _ if change.slot.address:
                versions.add(change.slot.address.version)
                if len(versions) > 1:
                    why = "before VyOS 1.4 a limiter is for addresses of IPv4 or of IPv6, not for both"
                    raise DeviceError(change.slot.device, why)


def _relimit(limits: dict[Address, tuple[int, int]], whose: Address, after: Penalty | None) -> None:
    number, _ = limits.pop(whose, (0, 0))
    if isinstance(after, RateLimit):
        taken = {used for used, _ in limits.values()}
        free = number or next(it for it in count(FIRST_CLASS) if it not in taken)
        limits[whose] = free, after.bits_per_second


def _place(change: Change) -> tuple[str, str] | Address:
    """Key of the blocked's group and member, or whose limit. DeviceError for what cannot be expressed."""
    slot, after, place = change.slot, change.after, whom(change.slot)
    match slot.kind, after, place:
        case Block.kind, None, (str(), str()):
            return place
        case Block.kind, Block(), (str(who), str()) if after == GROUPS[who].penalty:
            return place
        case RestrictPorts.kind, None, (str(who), str()) if who != "mac":
            return place
        case RestrictPorts.kind, RestrictPorts(up_to=most), (str(who), str()) if who != "mac" and 0 <= most < LAST_PORT:
            return place
        case RateLimit.kind, None, _ if slot.address:
            return slot.address
        case RateLimit.kind, RateLimit(bits_per_second=bps, within=None), _ if slot.address and not slot.network:
            if bps >= 1000 and bps % 1000 == 0:
                return slot.address
    raise DeviceError(slot.device, f"VyOS cannot express {after or change.before} in {slot}")


def _root(line: Path, config: Config) -> Path:
    """The shortest path to this line that is ours to delete; empty for a line of somebody else. Where somebody else's
    rule refers to a group or a ruleset of ours, only members are: without what it refers to, nothing is committed."""
    match line:
        case ("firewall", "group", kind, name, *_) if key := key_of(kind, name):
            shared = line[:4] in config.referred or any(_strange(family, config) for family in group(key).families)
            return line[:4] if config.modern and not shared else line if len(line) > 4 else ()
        case ("firewall", family, "name", name, *rest) if line[:4] in config.referred and name == NAME:
            return line[:6] if config.modern and rest[:1] == ["rule"] and not _strange(family, config) else ()
        case ("firewall", "ipv4" | "ipv6" as family, *_) if config.modern and not _strange(family, config):
            roots = ("firewall", family, "name", NAME), jump(family)
            return next((it for it in roots if line[: len(it)] == it), ())
    return config.policies.root_of(line)


def _shortest(line: Path, staying: frozenset[Path], config: Config) -> Path:
    least = len(_root(line, config))
    paths = (line[:length] for length in range(least, len(line)))
    return next((it for it in paths if not any(other[: len(it)] == it for other in staying)), line)


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind == RateLimit.kind:
        full = len(config.limits) > LAST_CLASS - FIRST_CLASS
        return config.policies.why_not(config.lines) or ("no class of the policies is free" if full else "")
    who, _ = whom(slot) or ("", "")
    if not who:
        return ""
    of = GROUPS[who]
    if not config.modern:
        if who == "mac":
            return "before VyOS 1.4 there are no groups of MACs; block the address instead"
        if slot.kind == Block.kind and not _dropping(of, config):
            return f"no rule of the firewall drops what comes from {of.kind} {NAME}, so that it would do nothing"
        return ""
    strange = [family for family in of.families if _strange(family, config)]
    if strange:
        return f"rule {JUMP_RULE} of firewall {strange[0]} forward filter is somebody else's; give it another number"
    return ""


def _strange(family: str, config: Config) -> frozenset[Path]:
    """What somebody else says in the rule that would be ours."""
    return config.below(jump(family)) - frozenset(ruleset(family))


def _text(verb: str, path: Path) -> str:
    """Only words that need no quotes are ever ours."""
    return " ".join((verb, *path))


DIALECT: Dialect[Config] = Dialect(read, _assume, _standing, _steps, _obstacle)
