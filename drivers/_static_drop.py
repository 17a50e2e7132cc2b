"""`mac address-table static M vlan V drop`: the line with which IOS and EOS block a station in one VLAN.

The running configuration decides whether a block stands; the forwarding table may only object. A `Drop` row alone
proves nothing, because IOS shows `DYNAMIC Drop` for stations that 802.1X or port security keeps out. The last command
for a MAC and VLAN wins on the device, so that a drop would silently replace an administrator's `... interface Gi0/3`:
it is refused.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from switchguard.core.changes import Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, Penalty
from switchguard.errors import DeviceError, UnexpectedOutput

from ._config_lines import Config, Line, Part

COMMAND = "mac address-table static"

_STATIC = re.compile(rf"{COMMAND} (\S+) vlan (\d+) (drop|interface \S.*)")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the forwarding table as its command prints it, entries that lead to no port included."""

    mac: Mac
    vlan: int | None
    static: bool
    drops: bool
    ports: tuple[str, ...]


def parts(slot: Slot, penalty: Penalty | None, undo: str) -> tuple[Part, ...]:
    """`undo` is the vendor's way to take the line back, with {} for MAC and VLAN."""
    mac, vlan = _station(slot)
    there = f"{COMMAND} {mac.dotted()} vlan {vlan}"
    return (Part((), f"{there} ", f"{there} drop" if penalty else None, Line((), undo.format(there))),)


def _station(slot: Slot) -> tuple[Mac, int]:
    mac, vlan = slot.station.mac, slot.station.vlan
    if mac is None or vlan is None or not 1 <= vlan <= 4094:
        raise DeviceError(slot.device, f"a block needs a MAC and a VLAN from 1 to 4094, not {slot.station}")
    if mac.is_multicast or not mac.value:
        raise DeviceError(slot.device, f"only unicast addresses can be dropped, and {mac} is none")
    return mac, vlan


def standing(device: str, config: Config) -> dict[Slot, Penalty]:
    """Every static drop, whoever configured it: whose it is, the ledger knows."""
    return {
        Slot(device, Block.kind, Station(vlan=vlan, mac=mac)): Block()
        for mac, vlan, action in _entries(device, config)
        if action == "drop"
    }


def obstacle(slot: Slot, config: Config) -> str:
    """Why the slot cannot be filled: the static entry that would be overwritten. Empty if it can."""
    for mac, vlan, action in _entries(slot.device, config):
        if (mac, vlan) == (slot.station.mac, slot.station.vlan) and action != "drop":
            return f"{mac} in VLAN {vlan} has a static entry to {action}, which a drop would overwrite"
    return ""


def _entries(device: str, config: Config) -> Iterator[tuple[Mac, int, str]]:
    for line in config:
        if line.path == () and line.text.startswith(COMMAND):
            yield _entry(device, line.text)


def _entry(device: str, text: str) -> tuple[Mac, int, str]:
    found = _STATIC.fullmatch(text)
    if not found:
        raise UnexpectedOutput(device, text)
    try:
        return Mac.parse(found[1]), int(found[2]), found[3]
    except ValueError:
        raise UnexpectedOutput(device, text) from None


def require_in_force(device: str, blocks: Iterable[Slot], table: Iterable[TableRow]) -> None:
    """DeviceError when the forwarding table shows a station on a port although the configuration drops it.

    A configured drop that the table does not show at all is believed: not every release lists them.
    """
    told = tuple(table)
    dropped = {(row.mac, row.vlan) for row in told if row.drops}
    learned = {(row.mac, row.vlan): row.ports for row in told if row.ports and not row.static}
    for slot in blocks:
        key = (slot.station.mac, slot.station.vlan)
        if key in learned and key not in dropped:
            where = ", ".join(learned[key])
            raise DeviceError(
                device,
                f"it is configured to drop {key[0]} in VLAN {key[1]}, but its forwarding table has it on {where}",
            )
