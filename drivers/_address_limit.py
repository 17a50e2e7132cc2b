"""Rate limits for single clients on a router of Cisco's, by address: one class each, in one policy per inside interface
and direction.

    ip access-list extended SG-10.10.0.7-UP
     permit ip host 10.10.0.7 any
    class-map match-any SG-10.10.0.7-UP
     match access-group name SG-10.10.0.7-UP
    policy-map SWITCHGUARD-UP-Gi0-1
     class SG-10.10.0.7-UP
      police cir 64000 bc 12000 conform-action transmit exceed-action drop
    interface GigabitEthernet0/1
     service-policy input SWITCHGUARD-UP-Gi0-1

and the same once more with DOWN, `permit ip any host 10.10.0.7` and `output`. An inside interface is one that says `ip
nat inside`: there, packets have the client's own address in both directions. A client that is on the network of one of
them is limited there; one that is behind another router is limited on every one, as it may come in anywhere. One whose
address is on the networks of two (of different VRFs), or who may be behind routers of several VRFs, is not limited:
nobody could say who is meant. Lists of IPv6 are `ipv6 access-list`, with the 32 digits of the address in the name: the
name of a class has at most 40.

An interface takes one policy in each direction; where somebody else's is attached, the limit is refused. A class goes
before its class-map, which cannot be deleted while it is in use; with the last class of a policy the policy goes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Address, Network
from switchguard.core.penalties import Penalty, RateLimit

from . import _port_names
from ._config_lines import Config, Edit, Line, Path, canonical

Policer = Callable[[str, int], str]
"""Device and bits per second -> the line that polices a class."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction, as the client sees it."""

    name: str
    attach: str
    """What stands before the name of a policy where it is attached, with a blank at the end."""
    entry: str
    """Of the access list, with the client's address."""


_WAYS = (_Way("UP", "service-policy input ", "host {} any"), _Way("DOWN", "service-policy output ", "any host {}"))
_CLASS = re.compile(r"SG-(\d+(?:\.\d+){3}|[0-9a-f]{32})-(?:UP|DOWN)")
_POLICY = re.compile(r"policy-map SWITCHGUARD-(?:UP|DOWN)-\S+")
_ENTRY = re.compile(r"(?:sequence )?(?:\d+ )?(permit ipv?6? .*?)(?: sequence \d+)?")
_RATE = re.compile(r"police (?:cir |rate )?(\d+)\b.*")


def standing(device: str, config: Config) -> dict[Slot, Penalty]:
    """Everybody with a class, a class-map or an access list of ours. 0 for a limit that is not whole, or not everywhere
    where it should be: it is then completed or taken away."""
    router = _Router.of(config)
    return {
        Slot(device, RateLimit.kind, address=address): RateLimit(_rate(router, address))
        for address in sorted(router.known(), key=lambda it: (it.version, int(it)))
    }


def obstacle(slot: Slot, config: Config) -> str:
    """Why the client must not be limited; empty if it may."""
    router = _Router.of(config)
    if slot.address is None:
        return f"{slot} names nobody"
    if not router.inside:
        return "none of its interfaces is said to face the clients (ip nat inside)"
    ports = router.ports_of(slot.address)
    if len(ports) > 1 and router.is_connected(slot.address):
        return f"{slot.address} is on the networks of {' and '.join(ports)}, and nobody can say who is meant"
    if len(vrfs := {router.vrf_of(port) for port in ports}) > 1:
        told = " and ".join(sorted(vrf or "the global table" for vrf in vrfs))
        return f"{slot.address} may be behind routers of {told}, and nobody can say who is meant"
    foreign = (_foreign(router, port, way) for port in ports for way in _WAYS)
    strangers = (_strangers(router, slot.address, way) for way in _WAYS)
    return next(filter(None, (*foreign, *strangers)), "")


def edits(device: str, config: Config, changes: Sequence[Change], policer: Policer) -> tuple[Edit, ...]:
    """What has to be typed, in order: detached and deleted first, defined and attached then."""
    router = _Router.of(config)
    wanted = {it.slot.address: it.after for it in changes if it.slot.address is not None}
    police = {
        address: policer(device, limit.bits_per_second)
        for address, limit in wanted.items()
        if isinstance(limit, RateLimit)
    }
    going = [address for address in wanted if address not in police]
    places = {address: _places(router, address) for address in police}
    return (
        *_unclassed(router, wanted, places),
        *(edit for address in going for edit in _undefined(router, address)),
        *(edit for address, line in police.items() for edit in _defined(router, address, line, places[address])),
        *_attached(router, {policy: place for of in places.values() for policy, place in of.items()}),
    )


def rendered(changes: Iterable[Change], policer: Policer) -> Iterator[str]:
    """As far as it can be said without the router, which alone knows the inside interfaces."""
    for change in changes:
        match change.slot.address, change.after:
            case None, _:
                continue
            case address, RateLimit(bits_per_second=bps):
                police = policer(change.slot.device, bps)
                for way in _WAYS:
                    access_list, class_map = _list(address, way), _class_map(address, way)
                    yield from (access_list.text, f" {_permit(address, way)}", "exit")
                    yield from (class_map.text, f" match access-group name {_name(address, way)}", "exit")
                    yield f"! {_name(address, way)}, {police}: {way.attach.strip()}, on the inside interface"
            case address, _:
                yield from (f"! the class {_name(address, way)} goes from its policy" for way in _WAYS)
                yield from (f"no {_class_map(address, way).text}" for way in _WAYS)
                yield from (f"no {_list(address, way).text}" for way in _WAYS)


# --- the configuration -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Router:
    """The configuration by section."""

    inside: Mapping[str, Collection[Network]]
    """Interfaces that face the clients -> the networks on them."""
    sections: Mapping[Path, Sequence[str]]
    lines: Config = field(repr=False)

    @classmethod
    def of(cls, config: Config) -> "_Router":
        sections: dict[Path, list[str]] = defaultdict(list)
        for line in config:
            if line.path is not None:
                sections[line.path].append(line.text)
        inside = {
            path[0].removeprefix("interface "): tuple(_networks(said))
            for path, said in sections.items()
            if path and path[0].startswith("interface ") and "ip nat inside" in said
        }
        return cls(inside, sections, config)

    def said(self, *path: str) -> Sequence[str]:
        return self.sections.get(path, ())

    def stands(self, head: Line) -> bool:
        return head.text in self.said()

    def whole(self, *heads: Path) -> tuple[Line, ...]:
        """The lines in these sections, or the head of one that has none."""
        inside = tuple(line for line in self.lines if line.path in heads and line.inside not in self.sections)
        return inside or tuple(line for line in self.lines if line.inside in heads)

    def is_connected(self, address: Address) -> bool:
        return any(address in network for networks in self.inside.values() for network in networks)

    def ports_of(self, address: Address) -> tuple[str, ...]:
        """Where the client is, or may be."""
        near = [port for port, networks in self.inside.items() if any(address in network for network in networks)]
        return tuple(near or self.inside)

    def vrf_of(self, port: str) -> str:
        """Empty for the global table."""
        said = (text.partition("vrf forwarding ")[2] for text in self.said(f"interface {port}"))
        return next(filter(None, said), "")

    def policies(self) -> list[str]:
        """The heads of ours."""
        return [head for head in self.said() if _POLICY.fullmatch(head)]

    def classes(self, policy: str) -> list[str]:
        """Their names, a stranger's included."""
        return [text.removeprefix("class ") for text in self.said(policy) if text.startswith("class ")]

    def known(self) -> set[Address]:
        heads = [head.rpartition(" ")[2] for head in self.said() if re.match(r"class-map |ipv?6? access-list ", head)]
        found = (_CLASS.fullmatch(name) for name in (*heads, *(it for p in self.policies() for it in self.classes(p))))
        return {address for it in found if it and (address := _address(it[1])) is not None}


def _networks(said: Iterable[str]) -> Iterator[Network]:
    """Of `ip address A M [secondary]` and `ipv6 address A/N`; one that the interface is given is not known."""
    for words in map(str.split, said):
        with suppress(ValueError, IndexError):
            if words[:2] == ["ip", "address"]:
                yield IPv4Interface(f"{words[2]}/{words[3]}").network
            elif words[:2] == ["ipv6", "address"] and "/" in words[2]:
                yield IPv6Interface(words[2]).network


def _address(text: str) -> Address | None:
    try:
        return ip_address(text) if "." in text else IPv6Address(int(text, 16))
    except ValueError:
        return None


def _rate(router: _Router, address: Address) -> int:
    ports = router.ports_of(address)
    rates = {_rate_at(router, address, port, way) for port in ports for way in _WAYS}
    return rates.pop() if len(rates) == 1 else 0


def _rate_at(router: _Router, address: Address, port: str, way: _Way) -> int:
    """0 if anything is missing, or out of force."""
    name, policy = _name(address, way), _policy(port, way)
    is_whole = (
        way.attach + policy in router.said(f"interface {port}")
        and f"match access-group name {name}" in router.said(_class_map(address, way).text)
        and _entries(router, address, way) == [_permit(address, way)]
    )
    police = (_RATE.fullmatch(line) for line in router.said(f"policy-map {policy}", f"class {name}"))
    return next((int(it[1]) for it in police if it), 0) if is_whole else 0


def _entries(router: _Router, address: Address, way: _Way) -> list[str]:
    """Without their numbers, which not every release shows."""
    found = (_ENTRY.fullmatch(text) for text in router.said(_list(address, way).text))
    return [_shown(it[1]) for it in found if it]


def _shown(entry: str) -> str:
    """With the letters of an IPv6 address as IOS shows them, as far as they do not look like a MAC."""
    return canonical(" ".join(word.upper() if ":" in word else word for word in entry.split()))


def _foreign(router: _Router, port: str, way: _Way) -> str:
    ours, side = way.attach + _policy(port, way), way.attach.split()[1]
    names = [text for text in router.said(f"interface {port}") if text.startswith(way.attach) and text != ours]
    if not names:
        return ""
    return f"{port} has the {names[0]} of somebody else or for the whole port, and takes only one {side}"


def _strangers(router: _Router, address: Address, way: _Way) -> str:
    others = [text for text in _entries(router, address, way) if text != _permit(address, way)]
    return f"{_list(address, way).text} has a line of somebody else: {others[0]}" if others else ""


# --- wording ---------------------------------------------------------------------------------------------------------


def _name(address: Address, way: _Way) -> str:
    said = str(address) if address.version == 4 else f"{int(address):032x}"
    return f"SG-{said}-{way.name}"


def _policy(port: str, way: _Way) -> str:
    return f"SWITCHGUARD-{way.name}-{re.sub(r'[^A-Za-z0-9.]', '-', _port_names.short(port))}"


def _list(address: Address, way: _Way) -> Line:
    kind = "ip access-list extended" if address.version == 4 else "ipv6 access-list"
    return Line((), f"{kind} {_name(address, way)}")


def _class_map(address: Address, way: _Way) -> Line:
    return Line((), f"class-map match-any {_name(address, way)}")


def _permit(address: Address, way: _Way) -> str:
    return _shown(f"permit {'ip' if address.version == 4 else 'ipv6'} {way.entry.format(address)}")


# --- edits -----------------------------------------------------------------------------------------------------------

_Places = Mapping[str, tuple[str, _Way]]
"""Head of a policy -> where it is to be attached."""


def _places(router: _Router, address: Address) -> _Places:
    return {f"policy-map {_policy(port, way)}": (port, way) for port in router.ports_of(address) for way in _WAYS}


def _unclassed(router: _Router, changed: Collection[Address], places: Mapping[Address, _Places]) -> Iterator[Edit]:
    """Out of every policy goes the class of who is released, or is somewhere else now. A policy without any is
    detached and deleted."""
    for policy in router.policies():
        joining = {
            _name(who, way) for who, of in places.items() for way in _WAYS if policy in of and of[policy][1] == way
        }
        ours = {_name(who, way) for who in changed for way in _WAYS}
        classes = router.classes(policy)
        leaving = [name for name in classes if name in ours - joining]
        if not joining and len(leaving) == len(classes):
            yield from _deleted(router, policy)
            continue
        for name in leaving:
            section = (policy, f"class {name}")
            yield Edit(Line((policy,), f"no class {name}"), router.whole(section))


def _deleted(router: _Router, policy: str) -> Iterator[Edit]:
    name = policy.removeprefix("policy-map ")
    for line in router.lines:
        if line.path and line.path[0].startswith("interface ") and line.text in {way.attach + name for way in _WAYS}:
            yield Edit(Line(line.path, f"no {line.text}"), (line,))
    yield Edit(Line((), f"no {policy}"), router.whole((policy,), *((policy, text) for text in router.said(policy))))


def _undefined(router: _Router, address: Address) -> Iterator[Edit]:
    heads = (*(_class_map(address, way) for way in _WAYS), *(_list(address, way) for way in _WAYS))
    for head in heads:
        if router.stands(head):
            yield Edit(Line((), f"no {head.text}"), router.whole((head.text,)))


def _defined(router: _Router, address: Address, police: str, places: _Places) -> Iterator[Edit]:
    for way in _WAYS:
        class_map = (_class_map(address, way).text,)
        if not _entries(router, address, way):
            yield _added((_list(address, way).text,), _permit(address, way))
        if (match := f"match access-group name {_name(address, way)}") not in router.said(*class_map):
            yield _added(class_map, match)
        for policy in (policy for policy, place in places.items() if place[1] == way):
            section = (policy, f"class {_name(address, way)}")
            stands = [text for text in router.said(*section) if text.startswith("police ")]
            if len(stands) != 1 or not f"{police} ".startswith(f"{stands[0]} "):  # its actions may be on further lines
                yield _added(section, police, tuple(Line(section, text) for text in stands))


def _attached(router: _Router, places: _Places) -> Iterator[Edit]:
    for policy, (port, way) in places.items():
        line = way.attach + policy.removeprefix("policy-map ")
        if line not in router.said(f"interface {port}"):
            yield _added((f"interface {port}",), line)


def _added(path: Path, text: str, instead_of: tuple[Line, ...] = ()) -> Edit:
    return Edit(Line(path, text), instead_of, Line(path, text))
