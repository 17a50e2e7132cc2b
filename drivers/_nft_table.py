"""Penalties as elements of sets in an nftables table of our own, `inet switchguard`; other tables are never touched.

    block_mac                   prerouting, priority raw    the client's own frames; what is sent to it still leaves
    block_ip4, block_ip6        the same, and forward       both ways
    cap_N_ip4, cap_N_ip6        forward                     no new session while N that we saw begin still last
    cap_N_everyone              forward                     the same for each address behind these interfaces
    limit_N_ip4, limit_N_ip6    forward                     policing to N bit/s, each way on its own
    limit_N_of_C_ip4, ..._ip6   forward                     the same, and to C bit/s for all of a C together: the box
    ports_N_ip4, ports_N_ip6    forward                     no TCP or UDP to ports above N
    ..._net4_L, ..._net6_L      the same                    subnets of prefix length L, each as if it were one client

Each value N has sets and a base chain of its own, so that adding one never edits another. A script is one transaction
(`nft -f -`) and may run any number of times: `add` leaves existing tables, sets, chains and elements alone, rules are
flushed and written anew, and an element goes by `add` and `delete`, because `delete` alone fails where there is none
and `destroy` is unknown before nft 1.0.7. Sessions counted and bytes metered so far live in sets too, and survive.

A subnet is an element of a plain set for its length, where packets are looked up by their masked address. An interval
set would refuse a subnet within another one, or (`auto-merge`) give back what nobody put there.

Oddities: `fwd` and `meter` are reserved words; priority `raw` comes before connection tracking, so that what a blocked
client sends makes no new entries; `limit` is drop-only and counts bytes, so that rates are rounded down to whole bytes;
a cap counts what it saw begin, and lets sessions live that are older; a cap for everyone goes by the `lan_interfaces`
that the site has when it is put there, so that nobody outside is counted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts, SessionCap
from switchguard.errors import CommandRefused, DeviceError, NotConfigured, UnexpectedOutput
from switchguard.ports import Session

from ._lines import json_of

TABLE = "inet switchguard"
LIST = f"nft -j list table {TABLE}"
CHECK, APPLY = "nft -c -f -", "nft -f -"
_SET = re.compile(
    r"block_(?P<mac>mac)"
    r"|cap_(?P<each>\d+)_everyone"
    r"|(?:block|(?P<kind>cap|limit|ports)_(?P<value>\d+)(?:_of_(?P<box>\d+))?)_(?:ip[46]|net[46]_(?P<length>\d+))"
)
_SUBNETS = re.compile(r"(?P<penalty>\w+)_net(?P<family>[46])_(?P<length>\d+)")
_INTERFACE = re.compile(r"[A-Za-z0-9_.@:-]{1,15}")
"""What we let into a script, of all that the kernel would take for a name (IFNAMSIZ is 16)."""
EVERYONE = "lan_interfaces"
"""The element of a cap for everyone, until the site's names of the interfaces take its place."""
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

    def comes(self, lan: Sequence[str]) -> str:
        """Without `lan`, the names of the interfaces that the clients are behind, a remark in their place."""
        if self.element != EVERYONE:
            return self.line("add")
        return replace(self, element=", ".join(lan)).line("add") if lan else f"# {self.line('add')}"

    def goes(self) -> Iterator[str]:
        if self.element == EVERYONE:
            yield f"flush set {TABLE} {self.set_name}"
        else:
            yield from (self.line(verb) for verb in ("add", "delete"))


def place_of(slot: Slot, penalty: Penalty) -> Place:
    """DeviceError for what no set of ours can express. Only numbers, MACs and addresses are ever written."""
    mac, address = slot.station.mac, slot.address
    who = _members_of(slot)
    match penalty:
        case SessionCap(sessions=value) if slot == Slot(slot.device, penalty.kind) and value <= _MOST[penalty.kind]:
            return Place(f"cap_{value}_everyone", EVERYONE)
        case Block(by="mac") if mac is not None and who is None and mac.value and not mac.is_multicast:
            return Place("block_mac", str(mac))
        case Block(by="address") if who is not None:
            return Place(f"block_{who[0]}", who[1])
        case SessionCap(sessions=value) | RateLimit(bits_per_second=value) | RestrictPorts(up_to=value):
            box = penalty.within if isinstance(penalty, RateLimit) else None
            if who is not None and all(
                _LEAST[penalty.kind] <= it <= _MOST[penalty.kind] for it in (value, value if box is None else box)
            ):
                shared = "" if box is None else f"_of_{box}"
                return Place(f"{penalty.kind}_{value}{shared}_{who[0]}", who[1])
    raise DeviceError(slot.device, f"{penalty} cannot be put on {address or slot.network or slot.station}")


def _members_of(slot: Slot) -> tuple[str, str] | None:
    """How the set's name ends, and the element. None for a MAC, and for what is both an address and a subnet."""
    match slot.address, slot.network:
        case (address, None) if address is not None:
            return f"ip{address.version}", str(address)
        case (None, network) if network is not None and network.prefixlen > 0:
            return f"net{network.version}_{network.prefixlen}", str(network.network_address)
        case _:
            return None


# --- on a gateway ----------------------------------------------------------------------------------------------------


def listed(session: Session) -> Mapping[Slot, Penalty]:
    """Our own table's contents; nothing if there is none."""
    return standing(session.device.name, _listing(session))


def _listing(session: Session) -> Any:
    try:
        return json_of(session, session.ask(LIST))
    except CommandRefused as error:
        if "No such file or directory" in error.answer:
            return {"nftables": []}
        raise


def check(session: Session, changes: Sequence[Change]) -> None:
    """CommandRefused if the kernel would not take the script."""
    session.feed(CHECK, _text(session, changes))


def apply(session: Session, changes: Sequence[Change]) -> None:
    """One transaction: all of it or nothing."""
    session.feed(APPLY, _text(session, changes))


def element(slot: Slot, penalty: Penalty) -> str:
    place = place_of(slot, penalty)
    return f"{TABLE} {place.set_name} {{ {place.element} }}"


def _text(session: Session, changes: Sequence[Change]) -> str:
    """NotConfigured for a cap for everyone where the site does not say behind which interfaces."""
    device, needs_lan = session.device, any(it.slot == Slot(it.slot.device, "cap") and it.after for it in changes)
    lan = quoted_interfaces(device.name, device.lan_interfaces, "a cap for everyone needs") if needs_lan else ()
    idle = _idle(device.name, _listing(session))
    return "".join(f"{line}\n" for line in script(changes, lan, idle))


def quoted_interfaces(device: str, names: Sequence[str], who_needs_them: str) -> tuple[str, ...]:
    """As a script has them. NotConfigured without any: then nobody knows which side the clients are on."""
    if not names or not all(_INTERFACE.fullmatch(name) for name in names):
        told = ", ".join(map(repr, names)) or "none"
        why = f"{who_needs_them} `lan_interfaces`, the names of those that face the clients, not {told}"
        raise NotConfigured(device, why)
    return tuple(f'"{name}"' for name in names)


# --- writing ---------------------------------------------------------------------------------------------------------


def script(changes: Sequence[Change], lan: Sequence[str] = (), idle: Iterable[str] = ()) -> tuple[str, ...]:
    """One transaction, a command on each line: nothing, or all of it. `lan`: interfaces, quoted, for whom it needs.
    `idle`: sets that no rule looks into. What is in one stands for nothing, and must not come into force by ours."""
    going = [place_of(change.slot, change.before) for change in changes if change.before is not None]
    coming = [place_of(change.slot, change.after) for change in changes if change.after is not None]
    if not going and not coming:
        return ()
    names = dict.fromkeys(re.sub(r"_(mac|ip4|ip6)$", "", place.set_name) for place in (*going, *coming))
    return (
        f"add table {TABLE}",
        *(line for name in names for line in _definition(name)),
        *(f"flush set {TABLE} {name}" for name in idle),
        *(line for place in going for line in place.goes()),
        *(place.comes(lan) for place in coming),
    )


@dataclass(frozen=True, slots=True)
class _Members:
    """The clients, or subnets of one length, of one penalty and family: a set, and how a packet is looked up in it."""

    set_name: str
    family: int
    purposes: str
    """How the names of the sets begin that count or meter each of them."""
    mask: str = ""

    def key(self, side: str) -> str:
        return f"{'ip' if self.family == 4 else 'ip6'} {side}{self.mask}"

    def match(self, side: str) -> str:
        return f"{self.key(side)} @{self.set_name}"

    def metered(self, purpose: str) -> str:
        return f"{self.purposes}_{purpose}{self.family}"


def _members(name: str) -> tuple[_Members, ...]:
    subnets = _SUBNETS.fullmatch(name)
    if subnets is None:
        return tuple(_Members(f"{name}_ip{family}", family, name) for family in (4, 6))
    family = int(subnets["family"])
    any_address = "0.0.0.0" if family == 4 else "::"  # noqa: S104  the mask is all that is asked of it
    mask = ip_network(f"{any_address}/{subnets['length']}").netmask
    return (_Members(name, family, name, f" & {mask}"),)


def _definition(name: str) -> Iterator[str]:
    """The sets, chains and rules of one penalty: `block`, or kind and value; for subnets also family and length."""
    if name.endswith("_everyone"):
        yield from _for_everyone(name, int(name.split("_")[1]))
        return
    subnets, members = _SUBNETS.fullmatch(name), _members(name)
    kind, _, value = (subnets["penalty"] if subnets else name).partition("_")
    if name == "block":
        yield f"add set {TABLE} block_mac {{ type ether_addr; }}"
    yield from (f"add set {TABLE} {it.set_name} {{ type ipv{it.family}_addr; }}" for it in members)
    match kind:
        case "block":
            macs = ("ether saddr @block_mac drop",) if name == "block" else ()
            incoming = (*macs, *(f"{it.match('saddr')} drop" for it in members))
            yield from _chain(f"{name}_in", "prerouting", "raw", incoming)
            yield from _chain(f"{name}_through", "forward", "filter", (f"{it.match('daddr')} drop" for it in members))
        case "cap":
            yield from _metered(members, ("seen",), "")
            yield from _chain(name, "forward", "filter", _cap(members, int(value)))
        case "limit":
            slice_, _, box = value.partition("_of_")
            yield from _metered(members, ("up", "down"), "flags dynamic,timeout; timeout 1m;")
            yield from (_box(box, way) for way in ("up", "down") if box)
            yield from _chain(name, "forward", "filter", _limit(members, int(slice_), box))
        case "ports":
            yield from _chain(name, "forward", "filter", _ports(members, int(value)))


def _chain(name: str, hook: str, priority: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"add chain {TABLE} {name} {{ type filter hook {hook} priority {priority}; policy accept; }}"
    yield f"flush chain {TABLE} {name}"
    yield from (f"add rule {TABLE} {name} {rule}" for rule in rules)


def _metered(members: Iterable[_Members], purposes: Sequence[str], options: str) -> Iterator[str]:
    """Sets that rules fill with a counter or a bucket for each client or subnet."""
    wanted = options or "flags dynamic;"
    for it in members:
        for purpose in purposes:
            yield f"add set {TABLE} {it.metered(purpose)} {{ type ipv{it.family}_addr; size 65535; {wanted} }}"


def _cap(members: Iterable[_Members], sessions: int) -> Iterator[str]:
    for it in members:
        yield f"ct state new {it.match('saddr')} {_beyond(it, sessions)}"


def _for_everyone(name: str, sessions: int) -> Iterator[str]:
    """The set is of interfaces: an empty one caps nobody."""
    members = _members(name)
    yield f"add set {TABLE} {name} {{ type ifname; }}"
    yield from _metered(members, ("seen",), "")
    rules = (f"iifname @{name} ct state new {_beyond(it, sessions)}" for it in members)
    yield from _chain(name, "forward", "filter", rules)


def _beyond(it: _Members, sessions: int) -> str:
    return f"add @{it.metered('seen')} {{ {it.key('saddr')} ct count over {sessions} }} drop"


def _limit(members: Iterable[_Members], bits_per_second: int, box: str) -> Iterator[str]:
    """First the member's own slice, then what all have together: what is dropped uses up nothing of the box."""
    for it in members:
        for side, purpose in (("saddr", "up"), ("daddr", "down")):
            meter = f"{{ {it.key(side)} limit {_rate(bits_per_second)} }}"
            yield f"{it.match(side)} update @{it.metered(purpose)} {meter} drop"
            if box:
                yield f'{it.match(side)} limit name "box_{box}_{purpose}" drop'


def _box(bits_per_second: str, way: str) -> str:
    return f"add limit {TABLE} box_{bits_per_second}_{way} {{ {_rate(int(bits_per_second))}; }}"


def _rate(bits_per_second: int) -> str:
    rate = bits_per_second // 8
    return f"rate over {rate} bytes/second burst {max(_LEAST_BURST, rate // 4)} bytes"


def _ports(members: Iterable[_Members], highest: int) -> Iterator[str]:
    for it in members:
        yield f"{it.match('saddr')} meta l4proto {{ tcp, udp }} th dport > {highest} drop"


# --- reading ---------------------------------------------------------------------------------------------------------


def standing(device: str, listing: Mapping[str, Any]) -> dict[Slot, Penalty]:
    """What the listing of our table (`nft -j list table`) enforces. A set that no rule looks into enforces nothing."""
    looked_into = (found for found, is_looked_into in _sets(device, listing) if is_looked_into)
    return {slot: penalty for found in looked_into for slot, penalty in _elements(device, found)}


def _idle(device: str, listing: Mapping[str, Any]) -> list[str]:
    names = (str(found.get("name")) for found, is_looked_into in _sets(device, listing) if not is_looked_into)
    return [name for name in names if _SET.fullmatch(name)]


def _sets(device: str, listing: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """And whether a rule looks into them."""
    objects = listing.get("nftables")
    if not isinstance(objects, list):
        raise UnexpectedOutput(device, str(listing)[:80], "no list of nftables objects")
    rules = str([thing["rule"] for thing in objects if "rule" in thing])
    for found in (thing["set"] for thing in objects if "set" in thing):
        yield found, f"'@{found.get('name')}'" in rules


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
                device, f"{name[0]}: {element}", "an element that is no MAC, address or subnet"
            ) from error


def _slot(device: str, name: re.Match[str], value: str) -> tuple[Slot, Penalty]:
    """ValueError for an element that is no MAC, no address, or no subnet of its set's length."""
    if name["mac"]:
        return Slot(device, Block.kind, Station(mac=Mac.parse(value))), Block()
    if name["each"]:
        return Slot(device, SessionCap.kind), SessionCap(int(name["each"]))
    penalty = _penalty(name)
    if name["length"]:
        return Slot(device, penalty.kind, network=ip_network(f"{value}/{name['length']}")), penalty
    return Slot(device, penalty.kind, address=ip_address(value)), penalty


def _penalty(name: re.Match[str]) -> Penalty:
    match name["kind"]:
        case None:
            return Block("address")
        case "cap":
            return SessionCap(int(name["value"]))
        case "limit":
            return RateLimit(int(name["value"]), int(name["box"]) if name["box"] else None)
        case _:
            return RestrictPorts(int(name["value"]))
