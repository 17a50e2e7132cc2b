"""What FortiOS enforces of ours, read from the tables that `show` prints, and the edits that change it.

A block is a member of the group; a limit and a cap are one shaper with a policy, an address, and a name for all three.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from typing import TypeVar

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Address, Mac, Station
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from ._fortios_config import Entry, Table, quoted, table
from ._typed import Dialect, Step

GROUP = "switchguard"
ADDRESS, ADDRESS6, ADDRGRP = "firewall address", "firewall address6", "firewall addrgrp"
POLICY, SHAPER, SHAPING = "firewall policy", "firewall shaper per-ip-shaper", "firewall shaping-policy"
TABLES = (ADDRESS, ADDRESS6, ADDRGRP, POLICY, SHAPER, SHAPING)
_OURS = "switchguard-"
_UNITS = {"kbps": 1_000, "mbps": 1_000_000, "gbps": 1_000_000_000}
_MOST_KBPS, _MOST_SESSIONS = 16_776_000, 2_097_000
_Whose = TypeVar("_Whose", Mac, Address)


@dataclass(frozen=True, slots=True)
class Config:
    """The tables that concern us."""

    tables: Mapping[str, Table] = field(default_factory=lambda: {path: {} for path in TABLES})

    @property
    def members(self) -> tuple[str, ...] | None:
        """None: there is no such group."""
        group = self.tables[ADDRGRP].get(GROUP)
        return None if group is None else group.settings.get("member", ())

    @property
    def denies(self) -> bool:
        """Whether a policy in force drops what the group sends. `deny` is what a policy does that says nothing."""
        return any(
            GROUP in policy.settings.get("srcaddr", ())
            and policy.told("action", "deny") == "deny"
            and policy.told("status", "enable") == "enable"
            for policy in self.tables[POLICY].values()
        )


@dataclass(frozen=True, slots=True)
class Shaped:
    """What one address may have; None: as much as it likes."""

    kbps: int | None = None
    sessions: int | None = None


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
    blocked = {Slot(device, Block.kind, Station(mac=mac)): _block(mac, config) for mac in _macs_of(config)}
    shaped = (item for address in _addresses_of(config) for item in _shaping(device, address, config))
    return {**blocked, **dict(shaped)}


def _macs_of(config: Config) -> Iterator[Mac]:
    return _named_by((*(config.members or ()), *config.tables[ADDRESS]), Mac.parse)


def _addresses_of(config: Config) -> Iterator[Address]:
    return _named_by(config.tables[SHAPER], ip_address)


def _named_by(names: Iterable[str], parse: Callable[[str], _Whose]) -> Iterator[_Whose]:
    """Whom our names among these are of; others, and those of the other sort, are passed over."""
    for name in dict.fromkeys(names):
        if name.startswith(_OURS):
            with suppress(ValueError):
                yield parse(name.removeprefix(_OURS))


def _block(mac: Mac, config: Config) -> Block:
    entry = config.tables[ADDRESS].get(f"{_OURS}{mac}")
    whole = entry is not None and entry.settings.get("type") == ("mac",) and _spelt(entry) == str(mac)
    in_group = f"{_OURS}{mac}" in (config.members or ())
    return Block("mac" if whole and in_group and config.denies else "address")


def _spelt(entry: Entry) -> str:
    return " ".join(entry.settings.get("macaddr", ())).lower()


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
    path, settings = _as_object(address)
    entry = config.tables[path].get(f"{_OURS}{address}")
    policies = [it for it in config.tables[SHAPING].values() if it.told("per-ip-shaper") == f"{_OURS}{address}"]
    return (
        entry is not None
        and all(entry.settings.get(key) == value for key, value in settings.items())
        and len(policies) == 1
        and all(policies[0].settings.get(key) == value for key, value in _policy(address).items())
        and policies[0].told("status", "enable") == "enable"
    )


def _as_object(address: Address) -> tuple[str, Mapping[str, tuple[str, ...]]]:
    """The table that an address belongs to, and its settings there."""
    if address.version == 4:
        return ADDRESS, {"subnet": (str(address), "255.255.255.255")}
    return ADDRESS6, {"ip6": (f"{address}/128",)}


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

    def commands(self, device: str) -> tuple[str, ...]:
        name = self.name if self.path == SHAPING else quoted(device, self.name)
        if self.settings is None:
            return f"config {self.path}", f"    delete {name}", "end"
        lines = (_setting(device, key, words) for key, words in self.settings.items())
        moved = (f"    move {name} before {self.before}",) if self.before else ()
        return f"config {self.path}", f"    edit {name}", *(f"        {it}" for it in lines), "    next", *moved, "end"

    def shown(self, device: str, config: Config) -> tuple[str, ...]:
        """The lines that go."""
        entry = config.tables[self.path].get(self.name)
        keys = () if entry is None else entry.settings if self.settings is None else self.settings
        lost = {key: entry.settings[key] for key in keys if key in entry.settings} if entry else {}
        return replace(self, settings=lost, before="").commands(device) if lost else ()


def _setting(device: str, key: str, words: tuple[str, ...] | None) -> str:
    bare = key in ("type", "subnet", "ip6", "ip-version", "max-bandwidth", "max-concurrent-session")
    return f"set {key} {' '.join(it if bare else quoted(device, it) for it in words)}" if words else f"unset {key}"


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
    group, policy = Entry(GROUP, {"member": ("none",)}), Entry("1", {"srcaddr": (GROUP,)})
    theirs = Config({**empty.tables, ADDRGRP: {GROUP: group}, POLICY: {"1": policy}})
    made = [replace(change, before=None, after=change.before) for change in changes if change.before]
    return _after(theirs, _edits(made, theirs))


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    device = changes[0].slot.device if changes else ""
    edits = _edits(changes, config)
    return tuple(
        Step(
            edit.commands(device),
            minus=edit.shown(device, config),
            plus=() if edit.settings is None else replace(edit, before="").commands(device),
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
    made: list[Edit] = list(_group_edits(blocks, config))
    for address, shaped in wanted.items():
        made += _shaping_edits(address, shaped, _after(config, made))
    return tuple(made)


def _group_edits(changes: Sequence[Change], config: Config) -> Iterator[Edit]:
    """An entry must exist before it becomes a member, and be no member when it goes."""
    names = {f"{_OURS}{_mac(change)}": change for change in changes}
    coming = [name for name, change in names.items() if change.after is not None]
    going = [name for name, change in names.items() if change.after is None]
    for name in coming:
        yield Edit(ADDRESS, name, {"type": ("mac",), "macaddr": (name.removeprefix(_OURS),)})
    stands = config.members
    if stands is not None:
        members = tuple(dict.fromkeys((*(it for it in stands if it not in going), *coming)))
        if members != stands:
            yield Edit(ADDRGRP, GROUP, {"member": members or None})
    yield from (Edit(ADDRESS, name, None) for name in going if name in config.tables[ADDRESS])


def _mac(change: Change) -> Mac:
    mac, after = change.slot.station.mac, change.after
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
    name, (path, told) = f"{_OURS}{address}", _as_object(address)
    policies = [key for key, it in config.tables[SHAPING].items() if it.told("per-ip-shaper") == name]
    if wanted == Shaped():
        yield from (Edit(SHAPING, key, None) for key in policies)
        yield from (Edit(of, name, None) for of in (SHAPER, path) if name in config.tables[of])
        return
    shaper = config.tables[SHAPER].get(name, Entry(name)).settings
    limits = {
        "max-bandwidth": None if wanted.kbps is None else (str(wanted.kbps),),
        "bandwidth-unit": None,
        "max-concurrent-session": None if wanted.sessions is None else (str(wanted.sessions),),
    }
    yield from _if_needed(Edit(path, name, told), config)
    yield from _if_needed(
        Edit(SHAPER, name, {key: it for key, it in limits.items() if it is not None or key in shaper}), config
    )
    numbers = [int(key) for key in config.tables[SHAPING] if key.isdecimal()]
    key = policies[0] if policies else str(max(numbers, default=0) + 1)
    first = next((other for other in config.tables[SHAPING] if other != key), "")
    settings = {"status": None, **_policy(address)} if policies else _policy(address)
    yield from _if_needed(Edit(SHAPING, key, settings, first), config)
    yield from (Edit(SHAPING, other, None) for other in policies[1:])


def _if_needed(edit: Edit, config: Config) -> Iterator[Edit]:
    stands = config.tables[edit.path].get(edit.name, Entry("")).settings
    if any(stands.get(key) != words for key, words in (edit.settings or {}).items()):
        yield edit


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind != Block.kind:
        return ""
    if config.members is None:
        return (
            f"it has no address group {GROUP!r}, whose members a policy of yours would deny; make one with member none"
        )
    if not config.denies:
        return f"no policy denies what comes from the address group {GROUP!r}, so that a block would not be in force"
    if all(member.startswith(_OURS) for member in config.members):
        return f"FortiOS keeps no empty group: give {GROUP!r} a member of your own, such as none"
    return ""


DIALECT: Dialect[Config] = Dialect(_read, _assume, _standing, _steps, _obstacle)
