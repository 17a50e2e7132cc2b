"""Rate limits that wait instead of dropping: a class of a hierarchical token bucket for each client and direction.

    lan0  clsact   egress   pref 20480+n   to the client    redirect to sgdown
                   ingress  pref 20480+n   from the client  redirect to sgup
    sgdown, sgup   ifb devices with HTB 5347:
                   5347:1   the box: rate and ceil are what its members have together
                   5347:n   a member, below the box (ceil is its slice, next to nothing is guaranteed) or alone
                   pref n   its address -> its class; n is from 16 on, written in hexadecimal in a class

Two devices of our own collect what all LAN interfaces carry, so that the box is one ceiling for all of them, and so
that no root qdisc of an interface is ever touched, whoever put it there. Addresses are the inside ones: what comes from
a client is taken before it is translated, what goes to it after. Everybody else's traffic passes no filter of ours but
the comparison with members' addresses.

An interface whose clsact has filters of somebody else, or that has the older `ingress`, is left alone, and so is a
device of our names with somebody else's qdisc: then there is an obstacle, and limits are policed instead. What is left
over from a crash is known by its number and taken away by the next change.

Oddities: `tc -j class show` tells no JSON (iproute2 6.1) and rounds rates that need more than six digits, so that such
a limit is an obstacle as well; a filter that is typed twice is there twice; fw, flower and matchall are not built into
every kernel, u32 and mirred are older. What two LAN interfaces send each other is limited too.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from switchguard.core.model import Address
from switchguard.core.penalties import RateLimit
from switchguard.errors import CommandRefused, UnexpectedOutput
from switchguard.ports import Session

from ._lines import lines_of, rows_of

QDISCS = "tc -j qdisc show"
TC, IP = "tc -batch -", "ip -batch -"
DOWN, UP = "sgdown", "sgup"
MAJOR = "5347"
BOX = 1
FIRST, LAST = 16, 16_383
"""Numbers of members."""
REDIRECT = 20_480
_WAYS = ((DOWN, "egress", "dst"), (UP, "ingress", "src"))
"""Device, side of the LAN interface, and which address of a packet is the client's."""
_OFFSETS = {(4, "src"): 12, (4, "dst"): 16, (6, "src"): 8, (6, "dst"): 24}
"""Where an address begins in the header (RFC 791, RFC 8200)."""
_GUARANTEED_BPS = 1_000
"""Of a member of the box, so that the members' guarantees together do not lift the ceiling."""
_UNITS = {"bit": 1, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12}
_CLASS = re.compile(
    rf"class htb {MAJOR}:(?P<number>[0-9a-f]+) (?:root|parent {MAJOR}:(?P<parent>[0-9a-f]+))(?: leaf [0-9a-f]+:)?"
    r"(?: prio \d+)? rate \d+[KMGT]?bit ceil (?P<ceil>\d+)(?P<unit>[KMGT]?bit) burst \S+b cburst \S+b"
)


@dataclass(frozen=True, slots=True)
class _Class:
    bits_per_second: int
    boxed: bool


@dataclass(frozen=True, slots=True)
class _Side:
    """One of our devices: its classes by number, and which address leads to which."""

    classes: Mapping[int, _Class] = field(default_factory=dict)
    addresses: Mapping[int, Address] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shaping:
    """What stands, and what is in the way."""

    lan: tuple[str, ...]
    there: frozenset[str] = frozenset()
    """Those of our devices that exist."""
    ours: frozenset[str] = frozenset()
    """Those of them that have our HTB."""
    sides: Mapping[str, _Side] = field(default_factory=dict)
    redirects: Mapping[tuple[str, str], frozenset[int]] = field(default_factory=dict)
    """(Interface, side) -> numbers of members."""
    hooked: frozenset[str] = frozenset()
    """Interfaces that have a clsact."""
    strangers: Mapping[str, str] = field(default_factory=dict)
    """Interfaces with filters of somebody else -> on which side."""
    obstacle: str = ""
    """Why nothing can be shaped here; empty: it can."""

    def limits(self) -> Mapping[Address, RateLimit]:
        """Address -> its limit; 0 bit/s for one that is not whole, which is then replaced or taken away."""
        return {address: self._limit(number, address) for number, address in self.members().items()}

    def numbers(self) -> frozenset[int]:
        """Of everything that is there, whole or not; the box is none."""
        found = {n for side in self.sides.values() for n in (*side.classes, *side.addresses)}
        return frozenset(found.union(*self.redirects.values())) - {BOX}

    def members(self) -> Mapping[int, Address]:
        """Number -> address."""
        return {number: address for side in self.sides.values() for number, address in side.addresses.items()}

    def _limit(self, number: int, address: Address) -> RateLimit:
        found = {self._on(device, side, number, address) for device, side, _ in _WAYS}
        limit = found.pop()
        return limit if limit is not None and not found else RateLimit(0)

    def _on(self, device: str, side: str, number: int, address: Address) -> RateLimit | None:
        """In one direction; None if a part is missing."""
        there = self.sides.get(device, _Side())
        member, box = there.classes.get(number), there.classes.get(BOX)
        led = self.lan and all(number in self.redirects.get((lan, side), ()) for lan in self.lan)
        if member is None or there.addresses.get(number) != address or not led or (member.boxed and box is None):
            return None
        return RateLimit(member.bits_per_second, box.bits_per_second if member.boxed and box is not None else None)


def why_not(shaping: Shaping, limit: RateLimit) -> str:
    """Why this limit cannot be shaped; empty if it can."""
    if shaping.obstacle:
        return shaping.obstacle
    odd = [bps for bps in (limit.bits_per_second, limit.within) if bps is not None and not _is_told_exactly(bps)]
    return f"tc would not tell {odd[0]} bit/s exactly" if odd else ""


def _is_told_exactly(bits_per_second: int) -> bool:
    """Whole octets, and what `tc class show` does not round (iproute2, print_rate)."""
    left = bits_per_second
    while left and left % 1_000 == 0:
        left //= 1_000
    return bits_per_second >= 8 and bits_per_second % 8 == 0 and left < 1_000_000


# --- reading ---------------------------------------------------------------------------------------------------------


def read(session: Session, hooks: bool = False) -> Shaping:
    """What stands, and what is in the way. `hooks`: look for other people's filters too, before something is added."""
    try:
        return _read(session, hooks)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedOutput(
            session.device.name, str(error), "an answer of tc that lacks, or has too much of"
        ) from None


def _read(session: Session, hooks: bool) -> Shaping:
    lan = session.device.lan_interfaces
    try:
        qdiscs = rows_of(session, session.ask(QDISCS))
    except CommandRefused as error:
        return Shaping(lan, obstacle=f"tc cannot be asked: {error.answer.strip()}")
    there = frozenset(it["dev"] for it in qdiscs if it.get("dev") in (DOWN, UP))
    ours = frozenset(it["dev"] for it in qdiscs if it.get("dev") in (DOWN, UP) and it.get("handle") == f"{MAJOR}:")
    hooked = frozenset(it["dev"] for it in qdiscs if it.get("kind") == "clsact")
    asked = sorted(hooked) if ours else sorted(hooked.intersection(lan)) if hooks else ()
    filters = {
        (name, side): _filters(session, f"tc -j filter show dev {name} {side}")
        for name in asked
        for _, side, _ in _WAYS
    }
    strangers = {name: side for (name, side), found in filters.items() if not all(map(_is_ours, found))}
    return Shaping(
        lan,
        there,
        ours,
        {device: _side(session, device, of) for device, _, of in _WAYS if device in ours},
        {where: _redirects(found) for where, found in filters.items()},
        hooked,
        strangers,
        _obstacle(lan, qdiscs, strangers),
    )


def _obstacle(lan: Sequence[str], qdiscs: Iterable[Mapping[str, Any]], strangers: Mapping[str, str]) -> str:
    if not lan:
        return "the site names no lan_interfaces"
    for qdisc in qdiscs:
        device, kind, handle = qdisc.get("dev"), qdisc.get("kind"), qdisc.get("handle")
        if device in lan and kind == "ingress":
            return f"{device} has an ingress qdisc of somebody else"
        if device in (DOWN, UP) and qdisc.get("root") and handle not in ("0:", f"{MAJOR}:"):
            return f"{device} has the root qdisc {kind} {handle} of somebody else"
    return next((f"{name} has {side} filters of somebody else" for name, side in strangers.items() if name in lan), "")


def _side(session: Session, device: str, of: str) -> _Side:
    classes = lines_of(session, session.ask(f"tc class show dev {device}"))
    filters = _filters(session, f"tc -j filter show dev {device} parent {MAJOR}:")
    addresses = ((row["pref"], _address(session, row["options"]["match"], of)) for row in filters if _matches(row))
    return _Side(dict(_class(session, line) for line in classes), dict(addresses))


def _class(session: Session, line: str) -> tuple[int, _Class]:
    found = _CLASS.fullmatch(line.strip())
    if not found:
        raise UnexpectedOutput(session.device.name, line, "no class of an HTB of ours")
    bits_per_second = int(found["ceil"]) * _UNITS[found["unit"]]
    return int(found["number"], 16), _Class(bits_per_second, boxed=found["parent"] is not None)


def _filters(session: Session, command: str) -> list[dict[str, Any]]:
    """Rows as `tc -j` tells them; of a filter with several, `match` is a list."""
    text = session.ask(command)
    try:
        rows = json.loads(text or "[]", object_pairs_hook=_with_all_matches)
    except json.JSONDecodeError as error:
        raise UnexpectedOutput(session.device.name, text[:80], f"no JSON ({error.msg})") from None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("pref"), int) for row in rows
    ):
        raise UnexpectedOutput(session.device.name, text[:80], "no list of filters")
    return rows


def _with_all_matches(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    matches = [value for name, value in pairs if name == "match"]
    return {**dict(pairs), **({"match": matches} if matches else {})}


def _matches(row: Mapping[str, Any]) -> bool:
    return "match" in row.get("options", {})


def _address(session: Session, matches: Sequence[Mapping[str, Any]], of: str) -> Address:
    """The whole address, from words of 32 bits."""
    words = sorted((int(word["off"]), int(str(word["value"]), 16)) for word in matches)
    number = sum(value << 32 * place for place, (_, value) in enumerate(reversed(words)))
    for version, size, make in ((4, 1, IPv4Address), (6, 4, IPv6Address)):
        begins = _OFFSETS[version, of]
        if [at for at, _ in words] == [begins + 4 * n for n in range(size)]:
            return make(number)
    raise UnexpectedOutput(session.device.name, str(matches), "a filter of ours that matches no address")


def _redirects(filters: Iterable[Mapping[str, Any]]) -> frozenset[int]:
    return frozenset(row["pref"] - REDIRECT for row in filters if _matches(row) and _is_ours(row))


def _is_ours(row: Mapping[str, Any]) -> bool:
    """By its number, and by where it leads; rows without a match are the tables of those that have one."""
    actions = row.get("options", {}).get("actions", ())
    leads = {action.get("to_dev") for action in actions}
    return FIRST <= row["pref"] - REDIRECT <= LAST and leads <= {DOWN, UP}


# --- writing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """Commands, for `tc -batch` and before and after it for `ip -batch`."""

    before: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def do(self, session: Session) -> None:
        for program, lines in ((IP, self.before), (TC, self.commands), (IP, self.after)):
            if lines:
                session.feed(program, "".join(f"{line}\n" for line in lines))


def work(shaping: Shaping, going: Iterable[Address], coming: Mapping[Address, RateLimit]) -> Work:
    """From what stands to what shall: `going` are taken away, `coming` put in place of whatever they have."""
    stands = shaping.limits()
    members = {address: number for number, address in shaping.members().items()}
    replaced = {members[address] for address in (*going, *coming) if address in members}
    orphans = shaping.numbers() - set(members.values())
    staying = {address for address, number in members.items() if number not in replaced} - set(coming)
    if not staying and not coming:
        return _dismantled(shaping)
    numbers = _free(shaping.numbers() - replaced - orphans)
    return Work(
        tuple(f"link add name {name} up type ifb" for name, _, _ in _WAYS if name not in shaping.there),
        (
            *(line for number in sorted(replaced | orphans) for line in _gone(shaping, number)),
            *_hooks(shaping),
            *_box([*coming.values(), *(stands[address] for address in staying)]),
            *(
                line
                for (address, limit), number in zip(coming.items(), numbers, strict=False)
                for line in _member(shaping.lan, number, address, limit)
            ),
        ),
    )


def _free(used: Iterable[int]) -> Iterator[int]:
    taken = set(used)
    return (number for number in range(FIRST, LAST + 1) if number not in taken)


def _hooks(shaping: Shaping) -> Iterator[str]:
    for device, _, _ in _WAYS:
        if device not in shaping.ours:
            yield f"qdisc add dev {device} root handle {MAJOR}: htb"
    for lan in shaping.lan:
        if lan not in shaping.hooked:
            yield f"qdisc add dev {lan} clsact"


def _box(limits: Iterable[RateLimit]) -> Iterator[str]:
    """The last ceiling counts; the planner has one for all."""
    ceilings = [limit.within for limit in limits if limit.within is not None]
    for device, _, _ in _WAYS if ceilings else ():
        rate = _rate(ceilings[0], ceilings[0])
        yield f"class replace dev {device} parent {MAJOR}: classid {MAJOR}:{BOX:x} htb {rate}"


def _member(interfaces: Sequence[str], number: int, address: Address, limit: RateLimit) -> Iterator[str]:
    """Redirected last, when there is somewhere to go."""
    bps = limit.bits_per_second
    family, word = ("ip", "ip") if address.version == 4 else ("ipv6", "ip6")
    parent, least = (f"{MAJOR}:", bps) if limit.within is None else (f"{MAJOR}:{BOX:x}", min(bps, _GUARANTEED_BPS))
    for device, side, of in _WAYS:
        match = f"u32 match {word} {of} {address}/{address.max_prefixlen}"
        member = f"{MAJOR}:{number:x}"
        yield f"class add dev {device} parent {parent} classid {member} htb {_rate(least, bps)}"
        yield f"qdisc add dev {device} parent {member} handle {number:x}: bfifo limit {_room(bps)}"
        yield f"filter add dev {device} parent {MAJOR}: protocol {family} pref {number} {match} flowid {member}"
        for lan in interfaces:
            lead = f"action mirred egress redirect dev {device}"
            yield f"filter add dev {lan} {side} protocol {family} pref {REDIRECT + number} {match} {lead}"


def _rate(least: int, most: int) -> str:
    """Ten milliseconds' worth may pass at once, or about a frame."""
    burst = max(1_600, most // 800)
    return f"rate {least}bit ceil {most}bit burst {burst} cburst {burst} quantum 1514"


def _room(bits_per_second: int) -> int:
    """Octets that may wait: half a second's worth, at least two of the 64 KiB that TCP hands over at once."""
    return max(131_072, bits_per_second // 16)


def _gone(shaping: Shaping, number: int) -> Iterator[str]:
    for (lan, side), there in shaping.redirects.items():
        if number in there:
            yield f"filter del dev {lan} {side} pref {REDIRECT + number}"
    for device, has in shaping.sides.items():
        if number in has.addresses:
            yield f"filter del dev {device} parent {MAJOR}: pref {number}"
        if number in has.classes:
            yield f"class del dev {device} classid {MAJOR}:{number:x}"


def _dismantled(shaping: Shaping) -> Work:
    """Nobody is limited any more: nothing of ours stays. A clsact with somebody else's filters is theirs by now."""
    asked = sorted({lan for lan, _ in shaping.redirects})
    foreign = [number for number in sorted(shaping.numbers()) if shaping.strangers]
    commands = (
        *(line for number in foreign for line in _gone(shaping, number)),
        *(f"qdisc del dev {lan} clsact" for lan in asked if shaping.ours and lan not in shaping.strangers),
    )
    return Work((), commands, tuple(f"link del dev {name}" for name in sorted(shaping.there)))
