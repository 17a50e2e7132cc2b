"""RouterOS's lists of rules: which of them are ours, what they amount to, and what has to be typed for a change.

Every rule of ours has a comment like `switchguard:block:02:00:00:00:00:07`, and is put before everybody else's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Address, Mac, Role, Station
from switchguard.core.penalties import Block, Penalty, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from . import _macs, _routeros_chips
from ._routeros_chips import Chip
from ._routeros_print import Row, listed_if_known
from ._typed import Dialect, Step

BRIDGE, CHIP, QUEUE = "/interface bridge filter", "/interface ethernet switch rule", "/queue simple"
RAW = {4: "/ip firewall raw", 6: "/ipv6 firewall raw"}
FILTER = {4: "/ip firewall filter", 6: "/ipv6 firewall filter"}
LISTS = (BRIDGE, *RAW.values(), *FILTER.values(), QUEUE)
_NOT_EVERYWHERE = (CHIP, RAW[6], FILTER[6])
"""Missing from devices without a switch chip, without rules for it, or without IPv6."""
_OURS = "switchguard:"
_KINDS = (Block.kind, RateLimit.kind, SessionCap.kind)
_WHOLE_MAC, _WHOLE_ADDRESS = "/FF:FF:FF:FF:FF:FF", re.compile(r"/(?:32|128)\b")
_RATE = re.compile(r"(\d+)([kMG]?)/(\d+)([kMG]?)")
_BARE = re.compile(r"[\w.,:/-]+")
_FACTOR = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a list, as we add it."""

    menu: str
    told: Mapping[str, str]

    def matches(self, menu: str, row: Row) -> bool:
        whole = all(key in row.fields and _is(key, row.fields[key], value) for key, value in self.told.items())
        return menu == self.menu and row.in_force and whole

    def line(self, comment: str, place: str = "") -> str:
        told = " ".join(f"{key}={_typed(value)}" for key, value in self.told.items())
        return f'{self.menu} add {told} comment="{comment}"{place}'


@dataclass(frozen=True, slots=True)
class Config:
    """The lists as they stand."""

    lists: Mapping[str, tuple[Row, ...]] = field(default_factory=lambda: dict.fromkeys(LISTS, ()))
    """Without those that the device does not have."""
    chips: tuple[Chip, ...] = ()
    """Of a switch: those that forward by themselves."""
    routes: bool = True
    """Whether packets of clients pass its lists of IP and its queues: not at an access switch."""

    def named(self, comment: str) -> list[tuple[str, Row]]:
        return [(menu, row) for menu, of in self.lists.items() for row in of if row.fields.get("comment") == comment]


# --- rules -----------------------------------------------------------------------------------------------------------


def _read(session: Session) -> Config:
    is_switch = session.device.role is not Role.GATEWAY
    menus = (*LISTS, CHIP) if is_switch else LISTS
    found = {menu: listed_if_known(session, f"{menu} print terse without-paging") for menu in menus}
    needed = [menu for menu, of in found.items() if of is None and menu not in _NOT_EVERYWHERE]
    if needed:
        raise UnexpectedOutput(session.device.name, needed[0], "there is no list")
    return Config(
        {menu: of for menu, of in found.items() if of is not None},
        _routeros_chips.read(session) if is_switch else (),
        session.device.role is not Role.ACCESS,
    )


def _standing(device: str, config: Config) -> Enforced:
    comments = dict.fromkeys(
        row.fields["comment"]
        for of in config.lists.values()
        for row in of
        if row.fields.get("comment", "").startswith(_OURS)
    )
    slots = {comment: _slot(device, comment) for comment in comments}
    ours = {slot: comment for comment, slot in slots.items() if slot and _comment(slot) == comment}
    return {slot: _penalty(slot, config.named(comment), config) for slot, comment in ours.items()}


def _slot(device: str, comment: str) -> Slot | None:
    """What a comment says; None for somebody else's that begins alike."""
    kind, _, whom = comment.removeprefix(_OURS).partition(":")
    try:
        if kind == Block.kind and len(whom) == 17:
            return Slot(device, kind, Station(mac=Mac.parse(whom)))
        if kind == Block.kind and "/" in whom:
            return Slot(device, kind, network=ip_network(whom))
        return Slot(device, kind, address=ip_address(whom)) if kind in _KINDS else None
    except ValueError:
        return None


def _comment(slot: Slot) -> str:
    return f"{_OURS}{slot.kind}:{slot.station.mac or slot.address or slot.network}"


def _penalty(slot: Slot, found: Sequence[tuple[str, Row]], config: Config) -> Penalty:
    """What the rules of one comment amount to. Where one of them is missing, doubled, disabled or changed, something
    that nobody wants: it is then replaced, or removed."""
    whole = _meant(slot, found)
    wanted: tuple[Rule, ...] = ()
    with suppress(DeviceError):
        wanted = _rules(slot, whole, config) if whole else ()
    once = all(sum(rule.matches(*row) for row in found) == 1 for rule in wanted)
    if whole and once and len(found) == len(wanted):
        return whole
    if slot.kind == Block.kind:
        return Block("address" if slot.station.mac else "mac")
    return RateLimit(0) if slot.kind == RateLimit.kind else SessionCap(0)


def _meant(slot: Slot, found: Sequence[tuple[str, Row]]) -> Penalty | None:
    told = found[0][1].fields
    if slot.kind == Block.kind:
        return Block("mac" if slot.station.mac else "address")
    if slot.kind == RateLimit.kind:
        rate = _RATE.fullmatch(_normal("max-limit", told.get("max-limit", "")))
        return RateLimit(int(rate[1])) if rate and int(rate[1]) else None
    cap = re.fullmatch(r"(\d+),\d+", told.get("connection-limit", ""))
    return SessionCap(int(cap[1])) if cap and int(cap[1]) else None


def _rules(slot: Slot, penalty: Penalty, config: Config) -> tuple[Rule, ...]:
    """DeviceError for what RouterOS cannot express, or not here."""
    match penalty, slot.station.mac, slot.address or slot.network:
        case Block(by="mac"), Mac() as mac, None if mac.value and not mac.is_multicast:
            wanted = tuple(_mac_rules(_macs.colons_upper(mac), config))
        case Block(by="address"), None, whom if whom is not None:
            wanted = (Rule(RAW[whom.version], {"chain": "prerouting", "src-address": str(whom), "action": "drop"}),)
        case RateLimit(bits_per_second=bps, within=None), None, whom if slot.address and bps > 0:
            target = f"{whom}/{slot.address.max_prefixlen}"
            wanted = (Rule(QUEUE, {"name": f"switchguard-{whom}", "target": target, "max-limit": f"{bps}/{bps}"}),)
        case SessionCap(sessions=most), None, whom if slot.address and most > 0:
            wanted = (_cap(slot.address, most),)
        case _:
            raise DeviceError(slot.device, f"RouterOS cannot express {penalty} in {slot}")
    for rule in wanted:
        if rule.menu not in config.lists:
            why = "its switch chip has no rules" if rule.menu == CHIP else "IPv6 is not installed"
            raise DeviceError(slot.device, f"it has no list {rule.menu}: {why}")
    return wanted


def _mac_rules(mac: str, config: Config) -> Iterator[Rule]:
    """A chip looks at what its ports receive: what comes from the MAC at one of them, what goes to it at another."""
    for whose in ("src-mac-address", "dst-mac-address"):
        yield Rule(BRIDGE, {"chain": "forward", whose: f"{mac}{_WHOLE_MAC}", "action": "drop"})
        for chip in config.chips:
            told = {"switch": chip.name, "ports": ",".join(chip.ports), whose: f"{mac}{_WHOLE_MAC}"}
            yield Rule(CHIP, {**told, "new-dst-ports": ""})
    for menu in RAW.values():
        if menu in config.lists:
            yield Rule(menu, {"chain": "prerouting", "src-mac-address": mac, "action": "drop"})


def _cap(address: Address, most: int) -> Rule:
    told = {"chain": "forward", "src-address": str(address), "connection-state": "new"}
    return Rule(
        FILTER[address.version], {**told, "connection-limit": f"{most},{address.max_prefixlen}", "action": "drop"}
    )


def _typed(value: str) -> str:
    """Names of interfaces may have blanks."""
    return value if _BARE.fullmatch(value) else f'"{value}"'


def _is(key: str, said: str, wanted: str) -> bool:
    """A chip may tell the ports of a rule in another order, and one that is offloaded no more does no harm."""
    if key == "ports":
        return set(wanted.split(",")) <= set(said.split(","))
    return _normal(key, said) == _normal(key, wanted)


def _normal(key: str, value: str) -> str:
    """One spelling for what RouterOS prints otherwise than it was typed."""
    if key.endswith("mac-address"):
        return value.upper().removesuffix(_WHOLE_MAC)
    if key in ("src-address", "target"):
        return _WHOLE_ADDRESS.sub("", value)
    if key == "max-limit" and (rate := _RATE.fullmatch(value)):
        return f"{int(rate[1]) * _FACTOR[rate[2]]}/{int(rate[3]) * _FACTOR[rate[4]]}"
    return value


def _assume(changes: Sequence[Change]) -> Config:
    lists: dict[str, tuple[Row, ...]] = dict.fromkeys(LISTS, ())
    empty = Config()
    for change in changes:
        for rule in _rules(change.slot, change.before, empty) if change.before else ():
            row = Row(len(lists[rule.menu]), frozenset(), {**rule.told, "comment": _comment(change.slot)})
            lists[rule.menu] = (*lists[rule.menu], row)
    return Config(lists)


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    _require_room(changes, config)
    return tuple(_step(change, config) for change in changes)


def _require_room(changes: Sequence[Change], config: Config) -> None:
    """Ours come first, so that one too many would push somebody else's out of the chip. DeviceError for that."""
    replaced = {_comment(change.slot) for change in changes}
    stay = [row for row in config.lists.get(CHIP, ()) if row.fields.get("comment") not in replaced]
    come = [rule for change in changes if change.after for rule in _rules(change.slot, change.after, config)]
    for chip in config.chips:
        used = sum(row.fields.get("switch") == chip.name for row in stay)
        more = sum(rule.menu == CHIP and rule.told["switch"] == chip.name for rule in come)
        if more and used + more > chip.room:
            why = f"switch chip {chip.name} ({chip.kind}) surely has room for {chip.room} rules, not for {used + more}"
            raise DeviceError(changes[0].slot.device, why)


def _step(change: Change, config: Config) -> Step:
    comment = _comment(change.slot)
    stands = config.named(comment)
    wanted = _rules(change.slot, change.after, config) if change.after else ()
    removed = (f'{menu} remove [find comment="{comment}"]' for menu in dict.fromkeys(menu for menu, _ in stands))
    return Step(
        (*removed, *(rule.line(comment, _before_others(rule.menu, config.lists[rule.menu])) for rule in wanted)),
        minus=tuple(f"{menu} {_said(row)}" for menu, row in stands),
        plus=tuple(rule.line(comment) for rule in wanted),
    )


def _said(row: Row) -> str:
    return " ".join(f"{key}={value}" for key, value in row.fields.items())


def _before_others(menu: str, of: Sequence[Row]) -> str:
    """Dynamic rows, such as the counters of fasttrack, are always first; not so those of a chip (802.1X, snooping)."""
    movable = (row for row in of if menu == CHIP or "D" not in row.flags)
    others = (row for row in movable if not row.fields.get("comment", "").startswith(_OURS))
    first = next(others, None)
    return f" place-before={first.number}" if first else ""


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.station.mac:
        return next((chip.why_not for chip in config.chips if chip.why_not), "")
    if not config.routes:
        return "an access switch bridges: what has to be done by address belongs on the router"
    if slot.kind == RateLimit.kind and slot.address:
        for row in config.lists.get(FILTER[slot.address.version], ()):
            if row.in_force and row.fields.get("action") == "fasttrack-connection":
                return f"rule {row.number} of {FILTER[slot.address.version]} fasttracks connections, past every queue"
    return ""


DIALECT: Dialect[Config] = Dialect(_read, _assume, _standing, _steps, _obstacle)
