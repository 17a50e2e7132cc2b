"""HPE Aruba AOS-CX (6000 to 10000): blocks at the edge.

Reads
* SNMP where the site configures it (`_snmp_tables`).
* `show mac-address-table` and `show arp all-vrfs` else. Both tell how many rows they have, the former before them.
  Rows that lead into a tunnel (`vxlan1(10.1.1.1)`) are no place where a station could be, and are left out. The
  template of ntc-templates for the latter takes any line for noise, an error message too, hence the reader here.
* `show mac-address-table lockout`: what stands.

Writes
* block: `mac-lockout 02:00:00:00:00:07`: frames from and to the MAC go, on all ports and in all VLANs of that switch;
  it outranks port security and 802.1X (AOS-CX 10.06 Layer 2 Bridging Guide). 128 is the least that a guide promises;
  that of the 8320 to 8360 says 200. Of a VSX pair each switch needs its own, unless `vsx-sync mac-lockout` copies it.

No limits: policers are configured with classes and policies, of which no command tells the whole with an end that a
lost connection lacks. A lockout has no comment, so the ledger alone knows whose it is.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from switchguard.core.changes import Change, Enforced, Facts, Slot
from switchguard.core.model import FdbEntry, Mac, Neighbor, Station
from switchguard.core.penalties import Block, Penalty
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from ._rows import counted
from ._snmp_tables import SnmpTables
from ._typed import Dialect, Step, Typed

LOCKOUTS = 128

Config = frozenset[Mac]
"""The MACs that are locked out."""


class ArubaAosCx(Typed, SnmpTables):
    platform = "aruba_aoscx"
    facts = Facts(
        penalties={Block.kind: ("mac_device",)},
        directions="both",
        capacity={Block.kind: LOCKOUTS},
        ownership="ledger",
        unverified=(
            "nothing has been run on an AOS-CX device; the lines follow the guides named in the driver",
            "without a lockout, the table of lockouts says 0 or, as the whole table does, No MAC entries found",
            "128 lockouts are what every model holds; guides say 128 or 200",
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
        return Dialect(_read, _assume, _standing, _steps)


# --- lockouts --------------------------------------------------------------------------------------------------------

_MAC = r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}"
_NONE = "No MAC entries found."
_LOCKOUT_TOTAL = re.compile(r"Number of MAC lockout addresses *: *(\d+)")
_LOCKOUT_HEADING = re.compile(r"MAC Address +Type")
_LOCKOUT_ROW = re.compile(rf"({_MAC}) +static", re.IGNORECASE)


def _read(session: Session) -> Config:
    text = session.ask("show mac-address-table lockout")
    if text.strip() == _NONE:
        return frozenset()
    rows = counted(session.device.name, text, _LOCKOUT_ROW, _LOCKOUT_TOTAL, _LOCKOUT_HEADING)
    return frozenset(Mac.parse(row[1]) for row in rows)


def _standing(device: str, config: Config) -> Enforced:
    return {Slot(device, Block.kind, Station(mac=mac)): Block() for mac in config}


def _assume(changes: Sequence[Change]) -> Config:
    stood = (change.slot.station.mac for change in changes if change.before is not None)
    return frozenset(mac for mac in stood if mac)


def _steps(changes: Sequence[Change], _config: Config) -> tuple[Step, ...]:
    return tuple(_step(change.slot, change.after) for change in changes)


def _step(slot: Slot, after: Penalty | None) -> Step:
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
_PORT = re.compile(r"\d+(?:/\d+/\d+(?::\d+)?)?|lag\d+")
"""1/1/36, 1/1/4:2 of a port that is split, lag100; plain numbers on the first models."""
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
        if _PORT.fullmatch(row[4]):
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
