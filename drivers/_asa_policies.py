"""Caps and limits of addresses in the service policy of an ASA: what its configuration tells, and what changes it.

    access-list SWITCHGUARD-CAP-200 extended permit ip host 10.10.0.7 any
    class-map SWITCHGUARD-CAP-200
     match access-list SWITCHGUARD-CAP-200
    access-list SWITCHGUARD-LIMIT-10.10.0.8 extended permit ip host 10.10.0.8 any
    access-list SWITCHGUARD-LIMIT-10.10.0.8 extended permit ip any host 10.10.0.8
    class-map SWITCHGUARD-LIMIT-10.10.0.8
     match access-list SWITCHGUARD-LIMIT-10.10.0.8
    policy-map global_policy
     class SWITCHGUARD-CAP-200
      set connection per-client-max 200
     class SWITCHGUARD-LIMIT-10.10.0.8
      police input 64000 12000
    service-policy global_policy global

`per-client-max` counts every client of its class for itself, so all who may have as many share a class. A policer is
the whole class's: everybody who is limited has one. Of the classes of a policy that say something about connections
only the first that a packet matches counts, likewise of those that police; and a policy of an interface that does so
takes the place of the global one there. Where somebody else's could come before ours, ours is not believed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Address
from switchguard.core.penalties import RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput

from ._typed import Step

SHOW_CONFIG = (
    "show running-config | include ^access-list SWITCHGUARD-|^class-map|^ match access-list SWITCHGUARD-|^policy-map"
    "|^ class|^  set connection|^  police|^service-policy|^: end"
)
KNOWN = re.compile(
    r"access-list \S.*|class-map \S.*| match access-list \S+|policy-map \S.*| class \S.*"
    r"|  (?:set connection|police) \S.*|service-policy \S.*"
)
MOST_SESSIONS = 2_000_000
LEAST_BPS, MOST_BPS = 8_000, 2_000_000_000
_LEAST_BURST, _MOST_BURST = 1_000, 512_000_000
_EVERYWHERE = "global"
_DEFAULT = "class-default"
_NAME = re.compile(r"SWITCHGUARD-(?:CAP-(\d{1,7})|LIMIT-(\d+(?:\.\d+){3}))")
_LIST = re.compile(r"access-list (\S+) (.*)")
_HEAD = re.compile(r"(class-map|policy-map) (\S+)")
_BOUND = re.compile(r"service-policy (\S+) (global|interface \S+)(?: fail-close)?")
_ENTRY = re.compile(r"extended permit ip (?:host (\S+) any[46]?|any[46]? host (\S+))")
_CAPPED = re.compile(r"set connection (?:.* )?per-client-max (\d+)(?: .*)?")
_POLICED = re.compile(r"police input (\d+)(?: \d+)?(?: conform-action transmit)?(?: exceed-action drop)?")
_FEATURE = {
    SessionCap.kind: re.compile(r"set connection (?!advanced-options |decrement-ttl).*"),
    RateLimit.kind: re.compile(r"police input .*"),
}
"""What decides the same about a packet as ours does. Normalization and the TTL are other features."""

Classes = Mapping[str, tuple[str, ...]]
"""In order -> what they do with connections and rates."""


@dataclass(frozen=True, slots=True)
class Policies:
    """What of a configuration concerns us."""

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Our access lists -> what stands behind their names."""
    matches: Mapping[str, str] = field(default_factory=dict)
    """Every class -> its access list, if that is named like ours."""
    maps: Mapping[str, Classes] = field(default_factory=dict)
    bound: Mapping[str, str] = field(default_factory=dict)
    """`global`, or an interface -> policy."""

    @property
    def everywhere(self) -> str:
        """The policy that our classes belong to; empty if there is none."""
        return self.bound.get(_EVERYWHERE, "")

    @property
    def classes(self) -> Classes:
        return self.maps.get(self.everywhere, {})


@dataclass(frozen=True, slots=True)
class Ours:
    """A class of ours, whole: the entries of its access list, and what it does. Without entries there is none."""

    entries: tuple[str, ...] = ()
    does: str = ""


# --- the configuration -----------------------------------------------------------------------------------------------


def read(device: str, lines: Iterable[str]) -> Policies:
    """UnexpectedOutput for an entry of one of our lists that we would not have typed."""
    lists, matches = dict[str, tuple[str, ...]](), dict[str, str]()
    maps, bound = dict[str, dict[str, tuple[str, ...]]](), dict[str, str]()
    sort = name = inner = ""
    for line in lines:
        if not line.startswith(" "):
            found = _HEAD.fullmatch(line)
            sort, name = found.groups() if found else ("", "")
            inner = ""
        match sort:
            case "class-map":
                matches[name] = line.removeprefix(" match access-list ") if line.startswith(" ") else ""
            case "policy-map" if line.startswith(" class "):
                inner = line.removeprefix(" class ")
                maps[name][inner] = ()
            case "policy-map" if inner:
                maps[name][inner] += (line.strip(),)
            case "policy-map":
                maps[name] = {}
            case _ if line.startswith("service-policy "):
                bound |= _binding(device, line)
            case _ if (found := _LIST.fullmatch(line)) and _NAME.fullmatch(found[1]):
                lists[found[1]] = (*lists.get(found[1], ()), _entry(device, line, found[2]))
    return Policies(lists, matches, maps, bound)


def _binding(device: str, line: str) -> dict[str, str]:
    found = _BOUND.fullmatch(line)
    if not found:
        raise UnexpectedOutput(device, line)
    return {found[2].removeprefix("interface "): found[1]}


def _entry(device: str, line: str, entry: str) -> str:
    found = _ENTRY.fullmatch(entry)
    try:
        ip_address(found[1] or found[2] if found else "")
    except ValueError:
        raise UnexpectedOutput(device, line, "an entry of an access list of ours that we did not make:") from None
    return entry


def standing(device: str, policies: Policies) -> Enforced:
    """What is not whole, or not in force, counts as a cap or a limit of 0, which nobody wants: it is then made anew, or
    taken away."""
    caps: dict[Slot, SessionCap] = {}
    for sessions, addresses in _capped(policies).items():
        stands = _is_in_force(policies, _cap(sessions, addresses), _cap_name(sessions), SessionCap.kind)
        for address in addresses:
            slot = Slot(device, SessionCap.kind, address=address)
            caps[slot] = SessionCap(sessions if stands and slot not in caps else 0)
    return {
        **caps,
        **{
            Slot(device, RateLimit.kind, address=address): RateLimit(_limited_to(policies, address))
            for address in _limited(policies)
        },
    }


def _capped(policies: Policies) -> dict[int, list[Address]]:
    """Sessions -> who may have as many, by our lists."""
    named = {name: _NAME.fullmatch(name) for name in policies.lists}
    return {int(found[1]): list(_sources(policies.lists[name])) for name, found in named.items() if found and found[1]}


def _sources(entries: Iterable[str]) -> Iterator[Address]:
    for entry in entries:
        if (found := _ENTRY.fullmatch(entry)) and found[1]:
            yield ip_address(found[1])


def _limited(policies: Policies) -> dict[IPv4Address, None]:
    """Whoever has something of a limit."""
    addresses: dict[IPv4Address, None] = {}
    for name in (*policies.lists, *policies.matches, *(name for classes in policies.maps.values() for name in classes)):
        if (found := _NAME.fullmatch(name)) and found[2]:
            with suppress(ValueError):
                addresses[IPv4Address(found[2])] = None
    return addresses


def _limited_to(policies: Policies, address: IPv4Address) -> int:
    """Bits per second; 0 where the limit is not in force."""
    name = _limit_name(address)
    rates = [int(found[1]) for it in policies.classes.get(name, ()) if (found := _POLICED.fullmatch(it))]
    stands = rates and _is_in_force(policies, _limit(address, rates[0]), name, RateLimit.kind)
    return rates[0] if stands else 0


def _is_in_force(policies: Policies, whole: Ours, name: str, kind: str) -> bool:
    listed = set(map(_bare, policies.lists.get(name, ())))
    return (
        listed == set(map(_bare, whole.entries))
        and policies.matches.get(name) == name
        and _does(policies, name, whole)
        and not _replaced(policies, kind)
        and not any(_before(policies, kind, name))
    )


def _does(policies: Policies, name: str, whole: Ours) -> bool:
    """The device may have put something of its own, or of others, into the same line."""
    wanted = _CAPPED.fullmatch(whole.does) or _POLICED.fullmatch(whole.does)
    told = (_CAPPED.fullmatch(it) or _POLICED.fullmatch(it) for it in policies.classes.get(name, ()))
    return wanted is not None and any(found and found.re is wanted.re and found[1] == wanted[1] for found in told)


def _bare(entry: str) -> str:
    """`any` is told as any4 or any6 by some releases."""
    return re.sub(r"\bany[46]\b", "any", entry)


# --- what is in the way ----------------------------------------------------------------------------------------------


def obstacle(slot: Slot, policies: Policies) -> str:
    """Why nothing of this kind may be put there: it would not be in force. Empty if it would."""
    if not policies.everywhere:
        return "no policy is applied to all interfaces, to which a class could be added (`service-policy ... global`)"
    if why := _replaced(policies, slot.kind):
        return why
    for name in _before(policies, slot.kind, ""):
        about = _about(slot.kind)
        return (
            f"class {name} of {policies.everywhere} decides about {about} before a class of ours would: of those that "
            "do, only the first that a packet matches counts"
        )
    return ""


def _replaced(policies: Policies, kind: str) -> str:
    """What takes the place of the global policy at some interface, as a sentence."""
    for interface, policy in policies.bound.items():
        if interface != _EVERYWHERE and any(_decides(does, kind) for does in policies.maps.get(policy, {}).values()):
            return f"{policy}, the policy of {interface}, decides about {_about(kind)} there instead of the global one"
    return ""


def _before(policies: Policies, kind: str, name: str) -> Iterator[str]:
    """Somebody else's classes that a packet could match before the class of that name."""
    for other, does in policies.classes.items():
        if other == name:
            return
        if other != _DEFAULT and not _NAME.fullmatch(other) and _decides(does, kind):
            yield other


def _decides(does: Iterable[str], kind: str) -> bool:
    return any(_FEATURE[kind].fullmatch(it) for it in does)


def _about(kind: str) -> str:
    return "connections" if kind == SessionCap.kind else "rates"


# --- changes ---------------------------------------------------------------------------------------------------------


def assume(changes: Sequence[Change]) -> Policies:
    """If exactly `before` stood in every slot, in the policy that every ASA begins with."""
    policy = "global_policy"
    empty = Policies(maps={policy: {}}, bound={_EVERYWHERE: policy})
    stood = [replace(change, before=None, after=change.before) for change in changes if change.before]
    goals = _goals(stood, empty)
    return Policies(
        lists={name: goal.entries for name, goal in goals.items()},
        matches={name: name for name in goals},
        maps={policy: {name: (goal.does,) for name, goal in goals.items()}},
        bound=empty.bound,
    )


def steps(changes: Sequence[Change], policies: Policies) -> tuple[Step, ...]:
    """DeviceError for what cannot be expressed. What comes is typed before what goes: nobody is without a cap
    meanwhile."""
    goals = _goals(changes, policies)
    coming = (step for name, goal in goals.items() for step in _coming(goal, name, policies))
    return (*coming, *(step for name, goal in goals.items() for step in _going(goal, name, policies)))


def _goals(changes: Iterable[Change], policies: Policies) -> dict[str, Ours]:
    """Every class that changes -> what shall be of it."""
    goals: dict[str, Ours] = {}
    capped = _capped(policies)
    for change in changes:
        match change.slot.kind, change.slot.address, change.after:
            case SessionCap.kind, IPv4Address() | IPv6Address() as address, None:
                goals |= _moved(address, None, capped)
            case SessionCap.kind, IPv4Address() | IPv6Address() as address, SessionCap(most) if (
                0 < most <= MOST_SESSIONS
            ):
                goals |= _moved(address, most, capped)
            case RateLimit.kind, IPv4Address() as address, None:
                goals[_limit_name(address)] = Ours()
            case RateLimit.kind, IPv4Address() as address, RateLimit(bps, None) if LEAST_BPS <= bps <= MOST_BPS:
                goals[_limit_name(address)] = _limit(address, bps)
            case _:
                raise DeviceError(change.slot.device, f"ASA cannot express {change.after} in {change.slot}")
    return goals


def _moved(address: Address, to: int | None, capped: dict[int, list[Address]]) -> dict[str, Ours]:
    """The caps that have one client more or less, when it is moved to where it belongs."""
    changed = [sessions for sessions, addresses in capped.items() if address in addresses]
    for sessions in changed:
        capped[sessions] = [other for other in capped[sessions] if other != address]
    if to is not None:
        changed.append(to)
        capped.setdefault(to, []).append(address)
    return {_cap_name(sessions): _cap(sessions, capped[sessions]) for sessions in changed}


def _cap_name(sessions: int) -> str:
    return f"SWITCHGUARD-CAP-{sessions}"


def _cap(sessions: int, addresses: Iterable[Address]) -> Ours:
    entries = (f"extended permit ip host {it} any{'6' if it.version == 6 else ''}" for it in addresses)
    return Ours(tuple(entries), f"set connection per-client-max {sessions}")


def _limit_name(address: IPv4Address) -> str:
    return f"SWITCHGUARD-LIMIT-{address}"


def _limit(address: IPv4Address, bps: int) -> Ours:
    """With a burst of one and a half seconds' worth, as Cisco's examples have it."""
    burst = min(max(bps * 3 // 16, _LEAST_BURST), _MOST_BURST)
    entries = (f"extended permit ip host {address} any", f"extended permit ip any host {address}")
    return Ours(entries, f"police input {bps} {burst}")


def _coming(goal: Ours, name: str, policies: Policies) -> Iterator[Step]:
    """A list stands before its class, and a class before it is put into the policy."""
    listed = set(map(_bare, policies.lists.get(name, ())))
    yield from (_line(f"access-list {name} {entry}") for entry in goal.entries if _bare(entry) not in listed)
    matching = _matching(name)
    if goal.entries and policies.matches.get(name) != name:
        yield Step((*matching, "exit"), plus=matching)
    if goal.entries and policies.everywhere in policies.maps and not _does(policies, name, goal):
        stood = _in_policy(policies.everywhere, name, policies)
        lines = (*stood[:2], f"  {goal.does}")
        yield Step((*lines, " exit", "exit"), minus=stood if name in policies.classes else (), plus=lines)


def _going(goal: Ours, name: str, policies: Policies) -> Iterator[Step]:
    """The other way round. A class goes from wherever it is: another policy may have been applied since."""
    for policy, classes in policies.maps.items():
        if name in classes and not (goal.entries and policy == policies.everywhere):
            stood = _in_policy(policy, name, policies)
            yield Step((stood[0], f" no class {name}", "exit"), minus=stood)
    matching, wanted = _matching(name), set(map(_bare, goal.entries))
    if not goal.entries and name in policies.matches:
        yield Step((f"no {matching[0]}",), minus=matching)
    gone = [entry for entry in policies.lists.get(name, ()) if _bare(entry) not in wanted]
    yield from (_line(f"access-list {name} {entry}", gone=True) for entry in gone)


def _matching(name: str) -> tuple[str, ...]:
    return (f"class-map {name}", f" match access-list {name}")


def _in_policy(policy: str, name: str, policies: Policies) -> tuple[str, ...]:
    """What stands of a class there, with its heads."""
    does = policies.maps.get(policy, {}).get(name, ())
    return (f"policy-map {policy}", f" class {name}", *(f"  {it}" for it in does))


def _line(line: str, gone: bool = False) -> Step:
    return Step((f"no {line}",), minus=(line,)) if gone else Step((line,), plus=(line,))
