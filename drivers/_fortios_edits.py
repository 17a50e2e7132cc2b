"""What FortiOS enforces of ours, read from the tables that `show` prints, and the edits that change it.

A block is a member of the group, which FortiOS keeps apart for IPv4, with MACs, and IPv6. A limit and a cap are one
shaper with a policy, an address, and a name for all three.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from itertools import takewhile
from typing import TypeVar

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Address, Mac, Network, Station
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from ._fortios_config import Entry, Table, quoted, table
from ._typed import Dialect, Step

GROUP = "switchguard"
ADDRESS, ADDRGRP = "firewall address", "firewall addrgrp"
ADDRESS6, ADDRGRP6 = "firewall address6", "firewall addrgrp6"
POLICY, SHAPER, SHAPING = "firewall policy", "firewall shaper per-ip-shaper", "firewall shaping-policy"
TABLES = (ADDRESS, ADDRESS6, ADDRGRP, ADDRGRP6, POLICY, SHAPER, SHAPING)
_OURS = "switchguard-"
_BLOCKED = f"{_OURS}block-"
"""Before an address or a subnet: a blocked one and a shaped one may be the same."""
_SOURCES = {ADDRGRP: "srcaddr", ADDRGRP6: "srcaddr6"}
"""What of a policy names groups of this sort."""
_UNITS = {"kbps": 1_000, "mbps": 1_000_000, "gbps": 1_000_000_000}
_MOST_KBPS, _MOST_SESSIONS = 16_776_000, 2_097_000
_Whose = TypeVar("_Whose", Mac, Address, Network)
_Member = Mac | Network


@dataclass(frozen=True, slots=True)
class Config:
    """The tables that concern us."""

    tables: Mapping[str, Table] = field(default_factory=lambda: {path: {} for path in TABLES})

    def members(self, path: str) -> tuple[str, ...] | None:
        """Of the group in that table. None: there is no such group."""
        group = self.tables[path].get(GROUP)
        return None if group is None else group.settings.get("member", ())

    def denies(self, path: str) -> bool:
        """Whether a policy in force drops what the group sends. `deny` is what a policy does that says nothing."""
        return any(
            GROUP in policy.settings.get(_SOURCES[path], ())
            and policy.told("action", "deny") == "deny"
            and policy.told("status", "enable") == "enable"
            for policy in self.tables[POLICY].values()
        )


@dataclass(frozen=True, slots=True)
class Shaped:
    """What one address may have; None: as much as it likes."""

    kbps: int | None = None
    sessions: int | None = None


@dataclass(frozen=True, slots=True)
class _Object:
    """What stands for somebody who is blocked."""

    name: str
    path: str
    """The table that it belongs to."""
    group: str
    """The table of the group that it is a member of."""
    settings: Mapping[str, tuple[str, ...]]


# --- the configuration -----------------------------------------------------------------------------------------------


def _read(session: Session) -> Config:
    device = session.device.name
    tables = {path: table(device, session.ask(f"show {path}"), path) for path in TABLES}
    for shaper in tables[SHAPER].values():
        for key in ("max-bandwidth", "max-concurrent-session"):
            if not shaper.told(key, "0").isdecimal():
                raise UnexpectedOutput(device, shaper.told(key), f"no number for {key} of {shaper.name!r}")
    return Config(tables)


def _standing(device: str, config: Config) -> Enforced:
    """What of ours is not whole, or not in force, is told as something that nobody wants: it is then made anew, or
    removed."""
    blocked = {_slot(device, it): _block(it, config) for it in _blocked(config)}
    shaped = (item for address in _shaped_ones(config) for item in _shaping(device, address, config))
    return {**blocked, **dict(shaped)}


def _blocked(config: Config) -> Iterator[_Member]:
    """Whoever has something of a block."""
    grouped = (name for path in _SOURCES for name in config.members(path) or ())
    names = dict.fromkeys((*grouped, *config.tables[ADDRESS], *config.tables[ADDRESS6]))
    found = (*_named_by(names, _OURS, Mac.parse), *_named_by(names, _BLOCKED, ip_network))
    yield from (member for member in found if _object(member).name in names)


def _shaped_ones(config: Config) -> Iterator[Address]:
    return _named_by(config.tables[SHAPER], _OURS, ip_address)


def _named_by(names: Iterable[str], ours: str, parse: Callable[[str], _Whose]) -> Iterator[_Whose]:
    """Whom our names among these are of; others, and those of another sort, are passed over."""
    for name in names:
        if name.startswith(ours):
            with suppress(ValueError):
                yield parse(name.removeprefix(ours))


def _slot(device: str, member: _Member) -> Slot:
    """A subnet of one address is that address."""
    if isinstance(member, Mac):
        return Slot(device, Block.kind, Station(mac=member))
    if member.prefixlen == member.max_prefixlen:
        return Slot(device, Block.kind, address=member.network_address)
    return Slot(device, Block.kind, network=member)


def _block(member: _Member, config: Config) -> Block:
    meant = _object(member)
    entry = config.tables[meant.path].get(meant.name, Entry(""))
    whole = all(tuple(map(str.lower, entry.settings.get(key, ()))) == it for key, it in meant.settings.items())
    grouped = meant.name in (config.members(meant.group) or ()) and config.denies(meant.group)
    by_mac = isinstance(member, Mac)
    return Block("mac" if by_mac == (whole and grouped) else "address")


def _object(member: _Member) -> _Object:
    if isinstance(member, Mac):
        return _Object(f"{_OURS}{member}", ADDRESS, ADDRGRP, {"type": ("mac",), "macaddr": (str(member),)})
    name = f"{_BLOCKED}{member.network_address if member.prefixlen == member.max_prefixlen else member}"
    if isinstance(member, IPv4Network):
        return _Object(name, ADDRESS, ADDRGRP, {"subnet": (str(member.network_address), str(member.netmask))})
    return _Object(name, ADDRESS6, ADDRGRP6, {"ip6": (str(member),)})


def _shaping(device: str, address: Address, config: Config) -> Iterator[tuple[Slot, RateLimit | SessionCap]]:
    stands = _shaped(address, config)
    whole = _is_applied(address, config)
    if stands.kbps:
        yield Slot(device, RateLimit.kind, address=address), RateLimit(stands.kbps * 1_000 if whole else 0)
    if stands.sessions:
        yield Slot(device, SessionCap.kind, address=address), SessionCap(stands.sessions if whole else 0)


def _shaped(address: Address, config: Config) -> Shaped:
    shaper = config.tables[SHAPER].get(f"{_OURS}{address}")
    if shaper is None:
        return Shaped()
    bits = int(shaper.told("max-bandwidth", "0")) * _UNITS.get(shaper.told("bandwidth-unit", "kbps"), 0)
    return Shaped(bits // 1_000 or None, int(shaper.told("max-concurrent-session", "0")) or None)


def _is_applied(address: Address, config: Config) -> bool:
    meant = _object(ip_network(address))
    entry = config.tables[meant.path].get(f"{_OURS}{address}")
    policies = [it for it in config.tables[SHAPING].values() if it.told("per-ip-shaper") == f"{_OURS}{address}"]
    return (
        entry is not None
        and all(entry.settings.get(key) == value for key, value in meant.settings.items())
        and len(policies) == 1
        and all(policies[0].settings.get(key) == value for key, value in _policy(address).items())
        and policies[0].told("status", "enable") == "enable"
        and _is_first(f"{_OURS}{address}", config)
    )


def _is_first(shaper: str, config: Config) -> bool:
    """Whether no policy of somebody else comes before the one with this shaper."""
    before = takewhile(lambda it: it.told("per-ip-shaper") != shaper, config.tables[SHAPING].values())
    return all(it.told("per-ip-shaper").startswith(_OURS) or it.told("status", "enable") != "enable" for it in before)


def _policy(address: Address) -> Mapping[str, tuple[str, ...]]:
    name, version = f"{_OURS}{address}", "" if address.version == 4 else "6"
    return {
        **({"ip-version": ("6",)} if version else {}),
        "service": ("ALL",),
        "dstintf": ("any",),
        f"srcaddr{version}": (name,),
        f"dstaddr{version}": ("all",),
        "per-ip-shaper": (name,),
    }


# --- edits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry of one table. Settings that are None are put back to their default; no settings: it is deleted."""

    path: str
    name: str
    settings: Mapping[str, tuple[str, ...] | None] | None
    before: str = ""
    """The entry that it is moved before."""
    joining: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    """Members of a group, typed instead of its setting: others may come and go meanwhile."""

    @property
    def told(self) -> "Edit":
        """As the configuration shows it."""
        return replace(self, before="", joining=(), leaving=())

    def commands(self, device: str) -> tuple[str, ...]:
        name = self.name if self.path == SHAPING else quoted(device, self.name)
        if self.settings is None:
            return f"config {self.path}", f"    delete {name}", "end"
        lines = [_setting(device, key, words) for key, words in self.settings.items()]
        if self.joining or self.leaving:
            lines = [*_members(device, "append", self.joining), *_members(device, "unselect", self.leaving)]
        moved = (f"    move {name} before {self.before}",) if self.before else ()
        return f"config {self.path}", f"    edit {name}", *(f"        {it}" for it in lines), "    next", *moved, "end"

    def shown(self, device: str, config: Config) -> tuple[str, ...]:
        """The lines that go."""
        entry = config.tables[self.path].get(self.name)
        keys = () if entry is None else entry.settings if self.settings is None else self.settings
        lost = {key: entry.settings[key] for key in keys if key in entry.settings} if entry else {}
        return replace(self.told, settings=lost).commands(device) if lost else ()


def _setting(device: str, key: str, words: tuple[str, ...] | None) -> str:
    bare = key in ("type", "subnet", "ip6", "ip-version", "max-bandwidth", "max-concurrent-session")
    return f"set {key} {' '.join(it if bare else quoted(device, it) for it in words)}" if words else f"unset {key}"


def _members(device: str, verb: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{verb} member {' '.join(quoted(device, it) for it in names)}"


def _after(config: Config, edits: Iterable[Edit]) -> Config:
    tables = {path: dict(entries) for path, entries in config.tables.items()}
    for edit in edits:
        entry = tables[edit.path].pop(edit.name, Entry(edit.name))
        if edit.settings is not None:
            settings = {**entry.settings, **edit.settings}
            tables[edit.path][edit.name] = Entry(edit.name, {k: it for k, it in settings.items() if it is not None})
    return Config(tables)


def _assume(changes: Sequence[Change]) -> Config:
    """The administrator's group and policy, and what stands in the slots."""
    empty = Config()
    group, policy = Entry(GROUP, {"member": ("none",)}), Entry("1", dict.fromkeys(_SOURCES.values(), (GROUP,)))
    theirs = Config({**empty.tables, **{path: {GROUP: group} for path in _SOURCES}, POLICY: {"1": policy}})
    made = [replace(change, before=None, after=change.before) for change in changes if change.before]
    return _after(theirs, _edits(made, theirs))


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    device = changes[0].slot.device if changes else ""
    edits = _edits(changes, config)
    return tuple(
        Step(
            edit.commands(device),
            minus=edit.shown(device, config),
            plus=() if edit.settings is None else edit.told.commands(device),
        )
        for edit in edits
    )


def _edits(changes: Sequence[Change], config: Config) -> tuple[Edit, ...]:
    blocks = [change for change in changes if change.slot.kind == Block.kind]
    wanted: dict[Address, Shaped] = {}
    for change in changes:
        if change.slot.kind != Block.kind:
            address = change.slot.address or IPv4Address(0)
            wanted[address] = _wanted(change, wanted.get(address) or _shaped(address, config))
    made: list[Edit] = list(_block_edits(blocks, config))
    for address, shaped in wanted.items():
        made += _shaping_edits(address, shaped, _after(config, made))
    return tuple(made)


def _block_edits(changes: Sequence[Change], config: Config) -> Iterator[Edit]:
    """An entry must exist before it becomes a member, and be no member when it goes."""
    objects = [(_object(_member(change)), change.after is not None) for change in changes]
    for group in _SOURCES:
        coming = [it for it, comes in objects if comes and it.group == group]
        going = [it for it, comes in objects if not comes and it.group == group]
        yield from (Edit(it.path, it.name, it.settings) for it in coming)
        yield from _group_edit(group, [it.name for it in coming], [it.name for it in going], config)
        yield from (Edit(it.path, it.name, None) for it in going if it.name in config.tables[it.path])


def _group_edit(path: str, coming: Sequence[str], going: Sequence[str], config: Config) -> Iterator[Edit]:
    stands = config.members(path)
    if stands is None:
        return
    joining = tuple(it for it in dict.fromkeys(coming) if it not in stands)
    leaving = tuple(it for it in stands if it in going)
    members = (*(it for it in stands if it not in leaving), *joining)
    if members != stands:
        yield Edit(path, GROUP, {"member": members or None}, joining=joining, leaving=leaving)


def _member(change: Change) -> _Member:
    slot, after = change.slot, change.after
    mac, whose = slot.station.mac, slot.address or slot.network
    if whose is not None and after in (None, Block("address")):
        return ip_network(whose)
    if mac is None or not mac.value or mac.is_multicast or after not in (None, Block("mac")):
        raise _cannot(change)
    return mac


def _wanted(change: Change, stands: Shaped) -> Shaped:
    match change.slot.kind, change.after:
        case _ if change.slot.address is None:
            raise _cannot(change)
        case RateLimit.kind, None:
            return replace(stands, kbps=None)
        case SessionCap.kind, None:
            return replace(stands, sessions=None)
        case RateLimit.kind, RateLimit(bits_per_second=bps, within=None) if 1 <= bps // 1_000 <= _MOST_KBPS:
            return replace(stands, kbps=bps // 1_000)
        case SessionCap.kind, SessionCap(sessions=most) if 1 <= most <= _MOST_SESSIONS:
            return replace(stands, sessions=most)
    raise _cannot(change)


def _cannot(change: Change) -> DeviceError:
    return DeviceError(change.slot.device, f"FortiOS cannot express {change.after} in {change.slot}")


def _shaping_edits(address: Address, wanted: Shaped, config: Config) -> Iterator[Edit]:
    name, meant = f"{_OURS}{address}", _object(ip_network(address))
    policies = [key for key, it in config.tables[SHAPING].items() if it.told("per-ip-shaper") == name]
    if wanted == Shaped():
        yield from (Edit(SHAPING, key, None) for key in policies)
        yield from (Edit(of, name, None) for of in (SHAPER, meant.path) if name in config.tables[of])
        return
    shaper = config.tables[SHAPER].get(name, Entry(name)).settings
    limits = {
        "max-bandwidth": None if wanted.kbps is None else (str(wanted.kbps),),
        "bandwidth-unit": None,
        "max-concurrent-session": None if wanted.sessions is None else (str(wanted.sessions),),
    }
    yield from _if_needed(Edit(meant.path, name, meant.settings), config)
    yield from _if_needed(
        Edit(SHAPER, name, {key: it for key, it in limits.items() if it is not None or key in shaper}), config
    )
    numbers = [int(key) for key in config.tables[SHAPING] if key.isdecimal()]
    key = policies[0] if policies else str(max(numbers, default=0) + 1)
    first = next((other for other in config.tables[SHAPING] if other != key), "")
    settings = {"status": None, **_policy(address)} if policies else _policy(address)
    place = Edit(SHAPING, key, settings, first)
    yield from _if_needed(place, config) if _is_first(name, config) else (place,)
    yield from (Edit(SHAPING, other, None) for other in policies[1:])


def _if_needed(edit: Edit, config: Config) -> Iterator[Edit]:
    stands = config.tables[edit.path].get(edit.name, Entry("")).settings
    if any(stands.get(key) != words for key, words in (edit.settings or {}).items()):
        yield edit


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind != Block.kind:
        return ""
    whose = slot.address or slot.network
    path = ADDRGRP6 if whose is not None and whose.version == 6 else ADDRGRP
    members = config.members(path)
    if members is None:
        return f"it has no `{path}` called {GROUP!r}, for a policy of yours to deny; make one, with member none"
    if not config.denies(path):
        return (
            f"no policy denies what has the `{path}` {GROUP!r} for its {_SOURCES[path]}, so no block would be in force"
        )
    if all(member.startswith(_OURS) for member in members):
        return f"FortiOS keeps no empty group: give the `{path}` {GROUP!r} a member of your own, such as none"
    return ""


DIALECT: Dialect[Config] = Dialect(_read, _assume, _standing, _steps, _obstacle)
