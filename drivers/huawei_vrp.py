"""Huawei VRP 5: S switches (blocks, limits), AR routers and USG firewalls (translations).

Reads
* SNMP where the site configures it (`_snmp_tables`). Of the forwarding table, HUAWEI-L2MAM-MIB's hwDynFdbTable too,
  whose values are ifIndexes and whose index ends in the VLAN and the name of a VSI (LibreNMS, vrp.inc.php).
* `display firewall session table verbose`, and `display nat session all` of a device that does not know it: see
  `_huawei_sessions`. The number of translations over SNMP only (HUAWEI-NAT-EXT-MIB, hwNatSessionNumOfEntries).
* `display arp all`, whose rows go on in a second line with the VLAN of a sub-interface; `display mac-address`, whose
  first columns are VLAN/VSI or VLAN/VSI/BD, and whose blackholes lead to `-`. Both have totals, which must be right.
  ntc-templates has no rule for rows of a VSI, for the age, or for the total that VRP 8 words, and takes the command
  `display nat session all` for `dir`, hence the readers here.
* `display current-configuration`, of which `return` is the end: what stands; `display mac-address blackhole`, whether
  it does.

Writes
* block: `mac-address blackhole 0200-0000-0007 vlan 10`, taken back with `undo` before the same line. Never with less:
  `undo mac-address blackhole` alone, or with a VLAN alone, takes away everybody's (command references of NE8000, USG).
  Frames from and to the MAC go (S3700 V100R006 guide, which the later ones do not contradict: they speak of the
  destination). A static entry of the same MAC and VLAN is in the way.
* limit: `qos lr inbound cir N` and `qos lr outbound cir N` on the access port, in kbit/s and at least 64 (S series
  command reference, qos lr inbound); the device adds a burst to the line. `undo qos lr inbound` takes it away.
* not written: `car` in a traffic behavior, which needs a traffic policy, of which a port takes one, and that is the
  administrator's; limits per address, which every series of routers words its own way (`qos car ... per-address`,
  `bandlimit`), so that others would refuse the line. `huawei_vrpv8` writes `qos car`, where there is one for ports.

Oddities: a blackhole has no comment, so the ledger alone knows whose it is. MACs are spelled 0200-0000-0007. Tables
shorten the names of ports (GE0/0/1, XGE0/0/1), configuration and ifName do not.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from typing import Any, ClassVar

from switchguard.core.changes import Change, Enforced, Facts, Slot
from switchguard.core.model import FdbEntry, Mac, NatSize, NatUsage, Neighbor, Network, Station, Table
from switchguard.core.penalties import Block, Penalty, RateLimit
from switchguard.errors import CommandRefused, DeviceError, NotConfigured, UnexpectedOutput
from switchguard.ports import Capture, NatTable, Oid, Session

from . import _huawei_fdb, _huawei_sessions, _macs, _port_names
from ._rows import counted
from ._snmp import bad_value
from ._snmp_tables import SnmpTables
from ._typed import Dialect, Step, Typed

HW_NAT_SESSION_NUM_OF_ENTRIES = "1.3.6.1.4.1.2011.5.25.226.2.14.1.0"
LEAST_KBPS = 64
_DIRECTIONS = ("inbound", "outbound")
_MAC = r"[0-9a-f]{4}(?:-[0-9a-f]{4}){2}"

Limit = Callable[[str, int | None], Step]
Place = tuple[Mac, int | None]
"""A MAC and its VLAN; None for one in all VLANs, as some releases take it."""


@dataclass(frozen=True, slots=True)
class Config:
    """What of a configuration concerns us."""

    blackholes: frozenset[Place] = frozenset()
    statics: frozenset[Place] = frozenset()
    rates: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Port -> direction -> kilobits per second."""


class HuaweiVrp(Typed, SnmpTables):
    platform = "huawei_vrp"
    facts = Facts(
        penalties={Block.kind: ("mac_vlan",), RateLimit.kind: ("port",)},
        directions="both",
        ownership="ledger",
        unverified=(
            "nothing has been run on a Huawei device; the lines follow the references named in the driver",
            "a blackhole drops what its MAC sends, too: only the S3700 guide says so",
            "display mac-address blackhole lists every blackhole that is in force",
            "hwNatSessionNumOfEntries counts the sessions of the whole device",
            "without sessions, display nat session all says Total : 0",
        ),
    )
    captures: ClassVar[Mapping[str, Capture]] = _huawei_sessions.CAPTURES

    # --- reading -----------------------------------------------------------------------------------------------------

    def columns(self, tables: Collection[Table]) -> tuple[tuple[Oid, ...], ...]:
        return super().columns(tables) + (_huawei_fdb.columns() if "fdb" in tables else ())

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return _huawei_fdb.fdb(session) if session.speaks("snmp") else self.cli_fdb(session)

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return tuple(self._fdb(session.device.name, session.ask("display mac-address")))

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(self._arp(session.device.name, session.ask("display arp all")))

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        """A firewall's sessions, or a router's translations."""
        device = session.device.name
        try:
            text = session.ask("display firewall session table verbose")
        except CommandRefused:
            return _huawei_sessions.usage(device, session.ask("display nat session all"), _huawei_sessions.SESSIONS)
        return _huawei_sessions.usage(device, text, _huawei_sessions.FIREWALL)

    def nat_size(self, session: Session) -> NatSize:
        device = session.device.name
        if not session.speaks("snmp"):
            raise NotConfigured(device, "the number of translations is read over SNMP, and the site gives no access")
        entries = session.get([HW_NAT_SESSION_NUM_OF_ENTRIES])[HW_NAT_SESSION_NUM_OF_ENTRIES]
        if entries is None:
            raise UnexpectedOutput(device, HW_NAT_SESSION_NUM_OF_ENTRIES, "the agent counts no translations")
        if not isinstance(entries, int):
            raise bad_value(session, HW_NAT_SESSION_NUM_OF_ENTRIES, (), entries)
        return NatSize(device, entries, None)

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        return _huawei_sessions.read_capture(chunks, self.platform, table, inside)

    # --- writing -----------------------------------------------------------------------------------------------------

    def enforced(self, session: Session) -> Enforced:
        stands = super().enforced(session)
        dropped = {slot for slot in stands if slot.kind == Block.kind}
        if dropped:
            _require_in_force(session.device.name, dropped, session.ask("display mac-address blackhole"))
        return stands

    @property
    def dialect(self) -> Dialect[Any]:
        return Dialect(_read, _assume, _standing, _steps, obstacle)

    # --- show commands -----------------------------------------------------------------------------------------------

    def port(self, name: str) -> str:
        """As configuration and ifName have it."""
        return _port_names.huawei(name)

    def _fdb(self, device: str, text: str) -> Iterator[FdbEntry]:
        for row in counted(device, text, _FDB_ROW, _FDB_TOTAL, _FDB_HEADING, _FDB_NOISE):
            if row[3] == "-":
                continue
            if not _port_names.is_huawei_port(row[3]):
                raise UnexpectedOutput(device, row[0])
            vlan = int(row[2]) if row[2].isdigit() else None
            yield FdbEntry(device, self.port(row[3]), Mac.parse(row[1]), vlan, row[4] in ("static", "sticky"))

    def _arp(self, device: str, text: str) -> Iterator[Neighbor]:
        """Not the device's own addresses, of type `I -`, nor those that nobody has answered for."""
        for row in counted(device, text, _ARP_ROW, _ARP_TOTAL, _ARP_HEADING, _ARP_NOISE):
            if not _port_names.is_huawei_port(row[4]):
                raise UnexpectedOutput(device, row[0])
            if row[3] == "I -" or row[2] == "Incomplete":
                continue
            try:
                yield Neighbor(device, self.port(row[4]), IPv4Address(row[1]), Mac.parse(row[2]))
            except ValueError:
                raise UnexpectedOutput(device, row[0]) from None


_FDB_HEADING = re.compile(r"MAC Address +VLAN/VSI(?:/BD)? +Learned-From +Type(?: +Age)?")
_FDB_ROW = re.compile(rf"({_MAC}) +(\d+|-)/[^/\s]+(?:/\S+)? +(\S+) +([a-z][a-z-]*)(?: +(?:\d+|-))?", re.IGNORECASE)
_FDB_TOTAL = re.compile(r"Total items(?: displayed =|:) *(\d+)")
_FDB_NOISE = re.compile(r"-+|Flags: .*|BD +: bridge-domain +Age : dynamic MAC learned time in seconds")
_ARP_HEADING = re.compile(r"IP ADDRESS +MAC ADDRESS +EXPIRE\(M\) +TYPE +INTERFACE(?: +VPN-INSTANCE)?")
_ARP_ROW = re.compile(
    rf"(\d+(?:\.\d+){{3}}) +({_MAC}|Incomplete)(?: +\d+)? +(I -|[A-Z][A-Z-][\d-]?) +(\S+)(?: +\S+)?", re.IGNORECASE
)
_ARP_TOTAL = re.compile(r"Total: *(\d+) +Dynamic: *\d+ +Static: *\d+ +Interface: *\d+(?: +Remote: *\d+)?")
_ARP_NOISE = re.compile(r"-+| +VLAN/CEVLAN(?: +PVC)?| +\d+/(?:\d+|-)(?: +\S+)?|Redirect: *\d+")


# --- the configuration -----------------------------------------------------------------------------------------------

_ENTRY = re.compile(rf"mac-address (?:blackhole ({_MAC})|static ({_MAC}) \S+)(?: vlan (\d+))?", re.IGNORECASE)
_ELSEWHERE = re.compile(r"mac-address (?:blackhole|static) .*(?: vsi | bridge-domain |ce-vlan|ce-default).*")
"""Entries of other bridges than VLANs."""
_RATE = re.compile(r" qos lr (inbound|outbound) cir (\d+)(?: cbs \d+)?")


def configuration(session: Session) -> list[str]:
    """Its lines. UnexpectedOutput without its end."""
    said = [line.rstrip() for line in session.ask("display current-configuration").splitlines() if line.strip()]
    if not said or said[-1] != "return":
        raise UnexpectedOutput(session.device.name, said[-1] if said else "", "a configuration without its end")
    return said


def _read(session: Session) -> Config:
    return read(session.device.name, configuration(session))


def read(device: str, said: Iterable[str]) -> Config:
    blackholes, statics = set[Place](), set[Place]()
    rates: dict[str, dict[str, int]] = {}
    port = ""
    for line in said:
        if not line.startswith(" "):
            port = line.removeprefix("interface ") if line.startswith("interface ") else ""
        if port and line.startswith(" qos lr "):
            way, kbps = _rate(device, line)
            rates.setdefault(port, {})[way] = kbps
        elif line.startswith(("mac-address blackhole ", "mac-address static ")) and not _ELSEWHERE.fullmatch(line):
            drops, place = _entry(device, line)
            (blackholes if drops else statics).add(place)
    return Config(frozenset(blackholes), frozenset(statics), rates)


def _entry(device: str, line: str) -> tuple[bool, Place]:
    """Whether it is a blackhole, and where."""
    found = _ENTRY.fullmatch(line)
    if not found or not (found[1] or found[3]):
        raise UnexpectedOutput(device, line)
    return bool(found[1]), (Mac.parse(found[1] or found[2]), int(found[3]) if found[3] else None)


def _rate(device: str, line: str) -> tuple[str, int]:
    """0 for a limit in another unit."""
    if found := _RATE.fullmatch(line):
        return found[1], int(found[2])
    words = line.split()
    if len(words) > 2 and words[2] in (*_DIRECTIONS, "pct", "pps"):
        return words[2], 0
    raise UnexpectedOutput(device, line)


def _standing(device: str, config: Config) -> Enforced:
    limits = {
        Slot(device, RateLimit.kind, Station(port=port)): RateLimit(_both(rates) * 1000)
        for port, rates in config.rates.items()
    }
    return {**blocks(device, config), **limits}


def blocks(device: str, config: Config) -> Enforced:
    return {Slot(device, Block.kind, Station(vlan=vlan, mac=mac)): Block() for mac, vlan in config.blackholes}


def _both(rates: Mapping[str, int]) -> int:
    """0 where the directions differ: such a limit is nothing that we would have typed, and is replaced."""
    told = {rates.get(direction, 0) for direction in _DIRECTIONS}
    return told.pop() if len(told) == 1 else 0


def _require_in_force(device: str, blocks: Iterable[Slot], text: str) -> None:
    rows = counted(device, text, _FDB_ROW, _FDB_TOTAL, _FDB_HEADING, _FDB_NOISE)
    dropped = {(Mac.parse(row[1]), int(row[2]) if row[2].isdigit() else None) for row in rows}
    for slot in blocks:
        mac, vlan = slot.station.mac, slot.station.vlan
        if (mac, vlan) not in dropped and vlan is not None:
            why = f"it is configured to drop {mac} in VLAN {vlan}, but its table of blackholes has no such entry"
            raise DeviceError(device, why)


def _assume(changes: Sequence[Change]) -> Config:
    return Config(rates={port: dict.fromkeys(_DIRECTIONS, kbps) for port, kbps in limited_before(changes)})


def limited_before(changes: Sequence[Change]) -> Iterator[tuple[str, int]]:
    """Ports and kilobits per second."""
    for change in changes:
        if isinstance(change.before, RateLimit) and change.slot.station.port:
            yield change.slot.station.port, change.before.bits_per_second // 1000


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    return tuple(step(change.slot, change.after, partial(_limit, config=config)) for change in changes)


def step(slot: Slot, after: Penalty | None, limit: Limit) -> Step:
    """DeviceError for what cannot be expressed. `limit` words a limit in kilobits per second, or its end."""
    match slot.kind, after:
        case Block.kind, None | Block(by="mac"):
            return _blackhole(slot, after)
        case RateLimit.kind, None:
            return limit(_port(slot), None)
        case RateLimit.kind, RateLimit(bits_per_second=bps) if bps >= LEAST_KBPS * 1000:
            return limit(_port(slot), bps // 1000)
    raise DeviceError(slot.device, f"VRP cannot express {after} in {slot}")


def _port(slot: Slot) -> str:
    port = slot.station.port or ""
    if not _port_names.is_huawei_port(port):
        raise DeviceError(slot.device, f"{port!r} is no name of a port, so it is not put into a command")
    return port


def obstacle(slot: Slot, config: Config) -> str:
    at = slot.station
    if slot.kind == Block.kind and (at.mac, at.vlan) in config.statics:
        return f"{at.mac} in VLAN {at.vlan} has a static entry, which a blackhole would replace"
    return ""


def _blackhole(slot: Slot, after: Penalty | None) -> Step:
    mac, vlan = slot.station.mac, slot.station.vlan
    if mac is None or vlan is None or not 1 <= vlan <= 4094:
        raise DeviceError(slot.device, f"a block needs a MAC and a VLAN from 1 to 4094, not {slot.station}")
    if mac.is_multicast or not mac.value:
        raise DeviceError(slot.device, f"only unicast addresses can be dropped, and {mac} is none")
    line = f"mac-address blackhole {_macs.dashed(mac)} vlan {vlan}"
    return Step((line,), plus=(line,)) if after else Step((f"undo {line}",), minus=(line,))


def _limit(port: str, kbps: int | None, config: Config) -> Step:
    stood = config.rates.get(port, {})
    wanted = [f"qos lr {way} cir {kbps}" for way in _DIRECTIONS] if kbps else []
    typed = wanted or [f"undo qos lr {way}" for way in stood]
    head, gone = f"interface {port}", [f"qos lr {way} cir {rate}" for way, rate in stood.items()]
    return Step(
        (head, *(f" {line}" for line in typed), "quit"),
        minus=(head, *(f" {line}" for line in gone)) if gone else (),
        plus=(head, *(f" {line}" for line in wanted)) if wanted else (),
    )
