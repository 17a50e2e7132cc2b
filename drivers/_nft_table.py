"""Penalties as elements of sets in an nftables table of our own, `inet switchguard`; other tables are never touched.

    block_mac                   prerouting, priority raw    the client's own frames; what is sent to it still leaves
    block_ip4, block_ip6        the same, and forward       both ways
    cap_N_ip4, cap_N_ip6        forward                     no new session while N that we saw begin still last
    limit_N_ip4, limit_N_ip6    forward                     policing to N bit/s, each way on its own
    limit_N_of_C_ip4, ..._ip6   forward                     the same, and to C bit/s for all of a C together: the box
    ports_N_ip4, ports_N_ip6    forward                     no TCP or UDP to ports above N

Each value N has sets and a base chain of its own, so that adding one never edits another. A script is one transaction
(`nft -f -`) and may run any number of times: `add` leaves existing tables, sets, chains and elements alone, rules are
flushed and written anew, and an element goes by `add` and `delete`, because `delete` alone fails where there is none
and `destroy` is unknown before nft 1.0.7. Sessions counted and bytes metered so far live in sets too, and survive.

Oddities: `fwd` and `meter` are reserved words; priority `raw` comes before connection tracking, so that what a blocked
client sends makes no new entries; `limit` is drop-only and counts bytes, so that
rates are rounded down to whole bytes; a cap counts what it saw begin, and lets sessions live that are older.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from switchguard.core.model import Block, Change, Mac, Penalty, RateLimit, RestrictPorts, SessionCap, Slot, Station
from switchguard.errors import DeviceError, UnexpectedOutput

TABLE = "inet switchguard"
_SET = re.compile(r"block_(?P<block>mac|ip4|ip6)|(?P<kind>cap|limit|ports)_(?P<value>\d+)(?:_of_(?P<box>\d+))?_ip[46]")
_LEAST = {"cap": 0, "limit": 8, "ports": 0}
_MOST = {"cap": 1_000_000, "limit": 1_000_000_000_000, "ports": 65535}
"""Values that nft takes: at least a byte a second, at most what fits its numbers."""
_LEAST_BURST = 16_000
"""Bytes that may pass at once: about ten full frames, without which TCP cannot open its window."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one penalty of one slot sits: a set and an element of it."""

    set_name: str
    element: str

    def line(self, verb: str) -> str:
        return f"{verb} element {TABLE} {self.set_name} {{ {self.element} }}"


def place_of(slot: Slot, penalty: Penalty) -> Place:
    """DeviceError for what no set of ours can express. Only numbers, MACs and addresses are ever written."""
    mac, address = slot.station.mac, slot.address
    match penalty:
        case Block(by="mac") if mac is not None and address is None and mac.value and not mac.is_multicast:
            return Place("block_mac", str(mac))
        case Block(by="address") if address is not None:
            return Place(f"block_ip{address.version}", str(address))
        case SessionCap(sessions=value) | RateLimit(bits_per_second=value) | RestrictPorts(up_to=value):
            box = penalty.within if isinstance(penalty, RateLimit) else None
            if address is not None and all(
                _LEAST[penalty.kind] <= it <= _MOST[penalty.kind] for it in (value, value if box is None else box)
            ):
                shared = "" if box is None else f"_of_{box}"
                return Place(f"{penalty.kind}_{value}{shared}_ip{address.version}", str(address))
    raise DeviceError(slot.device, f"{penalty} cannot be put on {address or slot.station}")


# --- writing ---------------------------------------------------------------------------------------------------------


def script(changes: Sequence[Change]) -> tuple[str, ...]:
    """One transaction, a command on each line: nothing, or all of it."""
    going = [place_of(change.slot, change.before) for change in changes if change.before is not None]
    coming = [place_of(change.slot, change.after) for change in changes if change.after is not None]
    if not going and not coming:
        return ()
    names = dict.fromkeys(re.sub(r"_(mac|ip4|ip6)$", "", place.set_name) for place in (*going, *coming))
    return (
        f"add table {TABLE}",
        *(line for name in names for line in _definition(name)),
        *(place.line(verb) for place in going for verb in ("add", "delete")),
        *(place.line("add") for place in coming),
    )


def _definition(name: str) -> Iterator[str]:
    """The sets, chains and rules of one penalty: `block`, or kind and value."""
    kind, _, value = name.partition("_")
    if kind == "block":
        yield f"add set {TABLE} block_mac {{ type ether_addr; }}"
    yield f"add set {TABLE} {name}_ip4 {{ type ipv4_addr; }}"
    yield f"add set {TABLE} {name}_ip6 {{ type ipv6_addr; }}"
    match kind:
        case "block":
            yield from _chain("block_in", "prerouting", "raw", _block_in())
            yield from _chain("block_through", "forward", "filter", _block_through())
        case "cap":
            yield from _metered(name, ("seen",), "")
            yield from _chain(name, "forward", "filter", _cap(name, int(value)))
        case "limit":
            slice_, _, box = value.partition("_of_")
            yield from _metered(name, ("up", "down"), "flags dynamic,timeout; timeout 1m;")
            yield from (_box(box, way) for way in ("up", "down") if box)
            yield from _chain(name, "forward", "filter", _limit(name, int(slice_), box))
        case "ports":
            yield from _chain(name, "forward", "filter", _ports(name, int(value)))


def _chain(name: str, hook: str, priority: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"add chain {TABLE} {name} {{ type filter hook {hook} priority {priority}; policy accept; }}"
    yield f"flush chain {TABLE} {name}"
    yield from (f"add rule {TABLE} {name} {rule}" for rule in rules)


def _metered(name: str, purposes: Iterable[str], options: str) -> Iterator[str]:
    """Sets that rules fill with a counter or a bucket for each client."""
    for purpose in purposes:
        for family in "46":
            wanted = options or "flags dynamic;"
            yield f"add set {TABLE} {name}_{purpose}{family} {{ type ipv{family}_addr; size 65535; {wanted} }}"


def _block_in() -> Iterator[str]:
    yield "ether saddr @block_mac drop"
    yield "ip saddr @block_ip4 drop"
    yield "ip6 saddr @block_ip6 drop"


def _block_through() -> Iterator[str]:
    yield "ip daddr @block_ip4 drop"
    yield "ip6 daddr @block_ip6 drop"


def _cap(name: str, sessions: int) -> Iterator[str]:
    for ip, family in (("ip", 4), ("ip6", 6)):
        count = f"add @{name}_seen{family} {{ {ip} saddr ct count over {sessions} }} drop"
        yield f"ct state new {ip} saddr @{name}_ip{family} {count}"


def _limit(name: str, bits_per_second: int, box: str) -> Iterator[str]:
    """First the member's own slice, then what all have together: what is dropped uses up nothing of the box."""
    for ip, family in (("ip", 4), ("ip6", 6)):
        for side, purpose in (("saddr", "up"), ("daddr", "down")):
            member = f"{ip} {side} @{name}_ip{family}"
            yield f"{member} update @{name}_{purpose}{family} {{ {ip} {side} limit {_rate(bits_per_second)} }} drop"
            if box:
                yield f'{member} limit name "box_{box}_{purpose}" drop'


def _box(bits_per_second: str, way: str) -> str:
    return f"add limit {TABLE} box_{bits_per_second}_{way} {{ {_rate(int(bits_per_second))}; }}"


def _rate(bits_per_second: int) -> str:
    rate = bits_per_second // 8
    return f"rate over {rate} bytes/second burst {max(_LEAST_BURST, rate // 4)} bytes"


def _ports(name: str, highest: int) -> Iterator[str]:
    for ip, family in (("ip", 4), ("ip6", 6)):
        yield f"{ip} saddr @{name}_ip{family} meta l4proto {{ tcp, udp }} th dport > {highest} drop"


# --- reading ---------------------------------------------------------------------------------------------------------


def standing(device: str, listing: Mapping[str, Any]) -> dict[Slot, Penalty]:
    """What the listing of our table (`nft -j list table`) enforces. A set that no rule looks into enforces nothing."""
    objects = listing.get("nftables")
    if not isinstance(objects, list):
        raise UnexpectedOutput(device, str(listing)[:80], "no list of nftables objects")
    rules = str([thing["rule"] for thing in objects if "rule" in thing])
    return {
        slot: penalty
        for thing in objects
        if "set" in thing and f"'@{thing['set'].get('name')}'" in rules
        for slot, penalty in _elements(device, thing["set"])
    }


def _elements(device: str, found: Mapping[str, Any]) -> Iterator[tuple[Slot, Penalty]]:
    name = _SET.fullmatch(str(found.get("name")))
    if not name:
        return
    for element in found.get("elem", ()):
        value = element["elem"].get("val") if isinstance(element, dict) and "elem" in element else element
        try:
            yield _slot(device, name, str(value))
        except ValueError as error:
            raise UnexpectedOutput(
                device, f"{name[0]}: {element}", "an element that is neither MAC nor address"
            ) from error


def _slot(device: str, name: re.Match[str], value: str) -> tuple[Slot, Penalty]:
    if name["block"] == "mac":
        return Slot(device, Block.kind, Station(mac=Mac.parse(value))), Block()
    address = ip_address(value)
    if name["block"]:
        return Slot(device, Block.kind, address=address), Block("address")
    penalty: Penalty
    match name["kind"], int(name["value"]):
        case "cap", number:
            penalty = SessionCap(number)
        case "limit", number:
            penalty = RateLimit(number, int(name["box"]) if name["box"] else None)
        case _, number:
            penalty = RestrictPorts(number)
    return Slot(device, penalty.kind, address=address), penalty
