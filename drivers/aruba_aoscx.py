"""HPE Aruba AOS-CX (6000 to 10000): blocks and limits at the edge.

Reads
* SNMP where the site configures it (`_snmp_tables`).
* `show mac-address-table` and `show arp all-vrfs` else. Both tell how many rows they have, the former before them.
  Rows that lead into a tunnel (`vxlan1(10.1.1.1)`) are no place where a station could be, and are left out. The
  template of ntc-templates for the latter takes any line for noise, an error message too, hence the reader here.
* `show mac-address-table lockout`, which counts itself, and `show running-config`: what stands. The configuration has
  no end that could be told from a lost connection, so it is asked for once more with `| count` (Command-Line Interface
  Guide 10.03, Pipe command).

Writes
* block: `mac-lockout 02:00:00:00:00:07`: frames from and to the MAC go, on all ports and in all VLANs of that switch;
  it outranks port security and 802.1X (AOS-CX 10.06 Layer 2 Bridging Guide). 128 is the least that a guide promises;
  that of the 8320 to 8360 says 200. Of a VSX pair each switch needs its own, unless `vsx-sync mac-lockout` copies it.
* limit: a policy of its own on the access port, with policers for IPv4 and for IPv6 apart, each with the whole rate;
  see `_aoscx_policies` (ArubaOS-CX 10.02 ACLs and Classifier Policies Guide). Inbound, which is what the client sends:
  it is the only direction that the guides police. A port with somebody else's policy inbound is left alone.

Oddities: a lockout has no comment, so the ledger alone knows whose it is. A policy that the hardware has no room for is
in the configuration all the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from switchguard.core.changes import Change, Enforced, Facts, Slot
from switchguard.core.model import FdbEntry, Mac, Neighbor, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from . import _aoscx_policies
from ._aoscx_policies import PORT, Sections
from ._rows import counted
from ._snmp_tables import SnmpTables
from ._typed import Dialect, Step, Typed

LOCKOUTS = 128


@dataclass(frozen=True, slots=True)
class Config:
    """What of a configuration concerns us."""

    locked: frozenset[Mac] = frozenset()
    sections: Sections = field(default_factory=dict)


class ArubaAosCx(Typed, SnmpTables):
    platform = "aruba_aoscx"
    facts = Facts(
        penalties={Block.kind: ("mac_device",), RateLimit.kind: ("port",)},
        directions="both",
        capacity={Block.kind: LOCKOUTS},
        ownership="ledger",
        unverified=(
            "nothing has been run on an AOS-CX device; the lines follow the guides named in the driver",
            "without a lockout, the table of lockouts says 0 or, as the whole table does, No MAC entries found",
            "128 lockouts are what every model holds; guides say 128 or 200",
            "a configuration has our sections as they were typed",
            "its lines are counted as they are shown, without blank ones before and after them",
            "an entry of a policy that is typed again replaces the one before, also where it is applied",
            "a burst of 0 leaves it to the switch how much comes through at once",
        ),
    )

    # --- reading -----------------------------------------------------------------------------------------------------

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return tuple(_fdb(session.device.name, session.ask("show mac-address-table")))

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_arp(session.device.name, session.ask("show arp all-vrfs")))

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect[Config]:
        return Dialect(_read, _assume, _standing, _steps, _obstacle)


# --- the configuration -----------------------------------------------------------------------------------------------

_MAC = r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}"
_NONE = "No MAC entries found."
_LOCKOUT_TOTAL = re.compile(r"Number of MAC lockout addresses *: *(\d+)")
_LOCKOUT_HEADING = re.compile(r"MAC Address +Type")
_LOCKOUT_ROW = re.compile(rf"({_MAC}) +static", re.IGNORECASE)


def _read(session: Session) -> Config:
    locked = _lockouts(session.device.name, session.ask("show mac-address-table lockout"))
    return Config(frozenset(locked), _aoscx_policies.read(session))


def _lockouts(device: str, text: str) -> Iterator[Mac]:
    if text.strip() != _NONE:
        for row in counted(device, text, _LOCKOUT_ROW, _LOCKOUT_TOTAL, _LOCKOUT_HEADING):
            yield Mac.parse(row[1])


def _standing(device: str, config: Config) -> Enforced:
    blocks = {Slot(device, Block.kind, Station(mac=mac)): Block() for mac in config.locked}
    return {**blocks, **_aoscx_policies.standing(device, config.sections)}


def _assume(changes: Sequence[Change]) -> Config:
    stood = (change.slot.station.mac for change in changes if isinstance(change.before, Block))
    return Config(frozenset(mac for mac in stood if mac), _aoscx_policies.assume(changes))


def _obstacle(slot: Slot, config: Config) -> str:
    return _aoscx_policies.obstacle(slot, config.sections) if slot.kind == RateLimit.kind else ""


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    return tuple(_step(change, config) for change in changes)


def _step(change: Change, config: Config) -> Step:
    slot, after = change.slot, change.after
    if slot.kind == RateLimit.kind:
        return _aoscx_policies.step(change, config.sections)
    if slot.kind != Block.kind or after not in (None, Block()):
        raise DeviceError(slot.device, f"AOS-CX cannot express {after} in {slot}")
    mac = slot.station.mac
    if mac is None or mac.is_multicast or not mac.value:
        raise DeviceError(slot.device, f"a block needs a unicast MAC, not {slot.station}")
    line = f"mac-lockout {mac}"
    return Step((line,), plus=(line,)) if after else Step((f"no {line}",), minus=(line,))


# --- show commands ---------------------------------------------------------------------------------------------------

_FDB_TOTAL = re.compile(r"Number of MAC addresses *: *(\d+)")
_FDB_HEADING = re.compile(r"MAC Address +VLAN +Type +Port")
_FDB_ROW = re.compile(rf"({_MAC}) +(\d+) +([a-z][a-z-]*) +(\S+)", re.IGNORECASE)
_FDB_NOISE = re.compile(r"-+|MAC age-time *: *\d+ seconds")
_TUNNEL = re.compile(r"vxlan\d+\(.+\)")
_ARP_TOTAL = re.compile(r"Total Number Of ARP Entries Listed[-:] ?(\d+)\.?")
_ARP_HEADING = re.compile(r"IPv4 Address +MAC +Port +Physical Port +State +VRF")
_ARP_ROW = re.compile(
    rf"(\d+(?:\.\d+){{3}}) +(?:({_MAC}) +)?(\S+)(?: +([^\s(]+(?:\([^)]*\))?))? +([a-z]+) +(\S+)", re.IGNORECASE
)
_USABLE = {"reachable", "stale", "delay", "probe", "permanent"}
"""Neighbours whose MAC is known; the others have failed, or were never heard."""


def _fdb(device: str, text: str) -> Iterator[FdbEntry]:
    if text.strip() == _NONE:
        return
    for row in counted(device, text, _FDB_ROW, _FDB_TOTAL, _FDB_HEADING, _FDB_NOISE):
        if PORT.fullmatch(row[4]):
            yield FdbEntry(device, row[4], Mac.parse(row[1]), int(row[2]), row[3].lower() == "static")
        elif not _TUNNEL.fullmatch(row[4]):
            raise UnexpectedOutput(device, row[0])


def _arp(device: str, text: str) -> Iterator[Neighbor]:
    """The port is the interface that routes, `vlan10`; the physical one is the forwarding table's to tell."""
    for row in counted(device, text, _ARP_ROW, _ARP_TOTAL, _ARP_HEADING):
        if row[2] and row[5].lower() in _USABLE:
            try:
                yield Neighbor(device, row[3], IPv4Address(row[1]), Mac.parse(row[2]))
            except ValueError:
                raise UnexpectedOutput(device, row[0]) from None
