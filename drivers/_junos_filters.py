"""Blocks and limits as firewall filters of the family ethernet-switching (EX, QFX).

A VLAN has one filter for what enters it, by whatever port; ours is bound where there is none:

    firewall family ethernet-switching filter SWITCHGUARD-10 term sent from source-mac-address 02:00:00:00:00:07/48
    firewall family ethernet-switching filter SWITCHGUARD-10 term sent then discard
    firewall family ethernet-switching filter SWITCHGUARD-10 term received from destination-mac-address 02:...:07/48
    firewall family ethernet-switching filter SWITCHGUARD-10 term received then discard
    firewall family ethernet-switching filter SWITCHGUARD-10 term others then accept
    vlans clients forwarding-options filter input SWITCHGUARD-10

(`vlans clients filter input ...` without ELS). A filter ends in an unwritten discard, hence `others`. A term whose
conditions are gone matches every frame: with the last MAC, the filter goes as a whole, and its binding in the same
commit.

A limit is a policer in a filter of its own, bound to unit 0 of the access port.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from switchguard.core.changes import Enforced, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.errors import DeviceError

from . import _junos_config, _junos_tables
from ._junos_config import Config, Edit, Statement

FILTERS: Statement = ("firewall", "family", "ethernet-switching", "filter")
POLICERS: Statement = ("firewall", "policer")
_SENT, _RECEIVED, _OTHERS = "sent", "received", "others"
_FIELDS = {_SENT: "source-mac-address", _RECEIVED: "destination-mac-address"}
_PREFIX = "SWITCHGUARD-"
_ELS_BINDING: Statement = ("forwarding-options", "filter", "input")
_OLD_BINDING: Statement = ("filter", "input")
_UNIT: Statement = ("unit", "0", "family", "ethernet-switching")
_BURST_S = 1.5
_BURSTS = 15_000, 100_000_000
"""Octets; ten Ethernet frames, and the largest that is documented for every platform."""


# --- VLANs -----------------------------------------------------------------------------------------------------------


def vlans(config: Config) -> dict[str, int]:
    """Name -> number."""
    said = _junos_config.below(config, ("vlans",))
    return {line[0]: int(line[2]) for line in said if len(line) == 3 and line[1] == "vlan-id" and line[2].isdecimal()}


def vlan_name(device: str, config: Config, vlan: int) -> str:
    names = [name for name, number in vlans(config).items() if number == vlan]
    if len(names) != 1:
        raise DeviceError(device, f"{len(names) or 'no'} VLANs with number {vlan} are configured, and one is needed")
    return names[0]


def binding(config: Config, name: str) -> tuple[Statement, str] | None:
    """Where a VLAN says which filter is for what enters it, and which."""
    for place in (_ELS_BINDING, _OLD_BINDING):
        for bound in _junos_config.below(config, ("vlans", name, *place)):
            if len(bound) == 1:
                return place, bound[0]
    return None


# --- blocks ----------------------------------------------------------------------------------------------------------


def filter_name(vlan: int) -> str:
    return f"{_PREFIX}{vlan}"


def filter_lines(vlan: int, macs: Iterable[Mac]) -> Iterator[Statement]:
    """Nothing at all for no MAC."""
    blocked = sorted(macs, key=lambda mac: mac.value)
    head = (*FILTERS, filter_name(vlan), "term")
    if not blocked:
        return
    for term, field in _FIELDS.items():
        for mac in blocked:
            yield *head, term, "from", field, f"{mac}/48"
        yield *head, term, "then", "discard"
    yield *head, _OTHERS, "then", "accept"


_A_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}/48")


def blocked(config: Config, vlan: int) -> set[Mac]:
    """Every MAC in our filter of this VLAN, also if it is not as we write it. What is no MAC makes it not whole."""
    lines = _junos_config.below(config, (*FILTERS, filter_name(vlan), "term"))
    said = {line[3] for line in lines if len(line) == 4 and line[1] == "from" and line[2] in _FIELDS.values()}
    return {Mac.parse(it[:-3]) for it in said if _A_MAC.fullmatch(it)}


def _is_whole(config: Config, vlan: int) -> bool:
    """Whether our filter discards them all in both directions, and nobody else."""
    lines = _junos_config.below(config, (*FILTERS, filter_name(vlan), "term"))
    wanted = [line[len(FILTERS) + 2 :] for line in filter_lines(vlan, blocked(config, vlan))]
    in_order = list(dict.fromkeys(line[0] for line in lines)) == [_SENT, _RECEIVED, _OTHERS]
    return set(lines) == set(wanted) and in_order


def standing_blocks(device: str, config: Config) -> Enforced:
    """A filter that is bound nowhere stops nobody. One that is not as we write it may stop anybody: its blocks are told
    as what nobody wants, and are made anew or taken away."""
    found: dict[Slot, Block] = {}
    for name, vlan in vlans(config).items():
        bound = binding(config, name)
        if bound and bound[1] == filter_name(vlan):
            block = Block("mac" if _is_whole(config, vlan) else "address")
            found |= {Slot(device, Block.kind, Station(vlan=vlan, mac=mac)): block for mac in blocked(config, vlan)}
    return found


def block_edit(config: Config, vlan: int, macs: Iterable[Mac]) -> Edit:
    """`macs` shall be blocked in that VLAN, and nobody else. The binding is left out."""
    return _junos_config.edit(config, [(*FILTERS, filter_name(vlan))], filter_lines(vlan, macs))


def with_binding(config: Config, edit: Edit, name: str, vlan: int, has_els: Callable[[], bool]) -> Edit:
    """The filter is bound to the VLAN of this name for as long as it has a line."""
    bound = binding(config, name)
    place = bound[0] if bound else _ELS_BINDING if has_els() else _OLD_BINDING
    line = ("vlans", name, *place, filter_name(vlan))
    lines = (*edit.wanted, line) if edit.wanted else ()
    return _junos_config.edit(config, (*edit.heads, line), lines)


def block_obstacle(config: Config, name: str, vlan: int) -> str:
    """Why a VLAN cannot have our filter; empty if it can."""
    bound = binding(config, name)
    if bound and bound[1] != filter_name(vlan):
        return f"VLAN {name} has the filter {bound[1]} of somebody else for what enters it, and takes only one"
    return ""


def station(slot: Slot) -> tuple[Mac, int]:
    mac, vlan = slot.station.mac, slot.station.vlan
    if mac is None or vlan is None or not 1 <= vlan <= 4094:
        raise DeviceError(slot.device, f"a block needs a MAC and a VLAN from 1 to 4094, not {slot.station}")
    if mac.is_multicast or not mac.value:
        raise DeviceError(slot.device, f"only a unicast address can be blocked, and {mac} is none")
    return mac, vlan


# --- limits ----------------------------------------------------------------------------------------------------------


def port_of(slot: Slot) -> str:
    port = slot.station.port or ""
    if not _junos_tables.is_port(port):
        raise DeviceError(slot.device, f"{port!r} is no name of a port, so it is not put into a command")
    return _junos_tables.physical(port)


def limit_edit(config: Config, port: str, bits_per_second: int | None) -> Edit:
    """None: no limit."""
    name = limit_name(port)
    head, policer = (*FILTERS, name), (*POLICERS, name)
    bound = ("interfaces", port, *_UNIT, "filter", "input", name)
    lines: tuple[Statement, ...] = ()
    if bits_per_second:
        burst = min(max(int(bits_per_second * _BURST_S / 8), _BURSTS[0]), _BURSTS[1])
        lines = (
            (*policer, "if-exceeding", "bandwidth-limit", _junos_config.amount(bits_per_second)),
            (*policer, "if-exceeding", "burst-size-limit", _junos_config.amount(burst)),
            (*policer, "then", "discard"),
            (*head, "term", _OTHERS, "then", "policer", name),
            (*head, "term", _OTHERS, "then", "accept"),
            bound,
        )
    return _junos_config.edit(config, (policer, head, bound), lines)


def standing_limits(device: str, config: Config) -> Enforced:
    """0 bits per second for one that is not as we write it: it is then replaced or taken away."""
    found: dict[Slot, RateLimit] = {}
    for line in _junos_config.below(config, ("interfaces",)):
        if line[1:-1] == (*_UNIT, "filter", "input") and line[-1] == limit_name(line[0]):
            rate = _rate(config, line[0])
            found[Slot(device, RateLimit.kind, Station(port=line[0]))] = RateLimit(rate)
    return found


def _rate(config: Config, port: str) -> int:
    said = _junos_config.below(config, (*POLICERS, limit_name(port), "if-exceeding", "bandwidth-limit"))
    rate = _junos_config.number(said[0][0]) if said and said[0] else 0
    edit = limit_edit(config, port, rate)
    return rate if rate and not edit.plus and not edit.minus else 0


def limit_obstacle(config: Config, port: str) -> str:
    """Why a port cannot have our limit; empty if it can."""
    said = _junos_config.below(config, ("interfaces", port))
    if any("802.3ad" in line for line in said):
        return f"{port} is a member of an aggregate"
    if not any(line[: len(_UNIT)] == _UNIT for line in said):
        return f"{port} switches no frames, as far as its configuration says"
    names = [line[-1] for line in said if line[:-1] == (*_UNIT, "filter", "input")]
    foreign = [name for name in names if name != limit_name(port)]
    return f"{port} has the filter {foreign[0]} of somebody else, and takes only one inbound" if foreign else ""


def limit_name(port: str) -> str:
    """Of everything that we write for a port."""
    return _PREFIX + re.sub(r"[^A-Za-z0-9]", "-", port)
