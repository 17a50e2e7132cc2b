"""HPE ArubaOS-Switch, once ProCurve (2530, 2920, 3500, 3810, 5400): blocks and limits at the edge.

Reads
* SNMP where the site configures it (`_snmp_tables`). Its Q-BRIDGE-MIB numbers filtering databases, not VLANs.
* `show mac-address` and `show arp` else. The VLAN column of the former is younger than the command. ntc-templates has
  templates for both that take an error message for an empty table, hence the readers here.
* `show lockout-mac` and `show rate-limit all`: what stands. The former counts itself.

Writes
* block: `lockout-mac 020000-000007`: frames from and to the MAC go, on all ports and in all VLANs of that switch; it
  outranks port security and 802.1X, and survives a restart (ArubaOS-Switch Access Security Guide 16.08, MAC Lockout).
  16 MACs are what every model holds with up to 256 VLANs; 16.08 holds 100 with up to 16 VLANs. The planner counts.
* limit: `rate-limit all in kbps N` and `... out ...` on the access port: both directions (Management and
  Configuration Guide, Rate-limiting).

Oddities: a lockout has no comment, so the ledger alone knows whose it is. MACs are spelled 020000-000007.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from switchguard.core.changes import Change, Enforced, Facts, Slot
from switchguard.core.model import FdbEntry, Mac, Neighbor, Station
from switchguard.core.penalties import Block, Penalty, RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from . import _macs
from ._rows import counted, rows
from ._snmp_tables import SnmpTables
from ._typed import Dialect, Step, Typed

LOCKOUTS = 16
_DIRECTIONS = ("in", "out")
_PORT = re.compile(r"(?:\d+/)?[A-Z]?\d+|Trk\d+", re.IGNORECASE)
_MAC = r"[0-9a-f]{6}-[0-9a-f]{6}"


@dataclass(frozen=True, slots=True)
class Config:
    """What of a configuration concerns us."""

    locked: frozenset[Mac] = frozenset()
    rates: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Port -> direction -> kilobits per second."""


class HpProcurve(Typed, SnmpTables):
    platform = "hp_procurve"
    facts = Facts(
        penalties={Block.kind: ("mac_device",), RateLimit.kind: ("port",)},
        directions="both",
        capacity={Block.kind: LOCKOUTS},
        ownership="ledger",
        unverified=(
            "nothing has been run on a ProCurve device; the lines follow the guides named in the driver",
            "show rate-limit all has these columns, and lists every port",
        ),
    )

    # --- reading -----------------------------------------------------------------------------------------------------

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return tuple(_fdb(session.device.name, session.ask("show mac-address")))

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_arp(session.device.name, session.ask("show arp")))

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect[Config]:
        return DIALECT


# --- the configuration -----------------------------------------------------------------------------------------------

_LOCKOUT_HEADING = re.compile(r" *Locked Out Addresses")
_LOCKOUT_ROW = re.compile(rf" *({_MAC})", re.IGNORECASE)
_LOCKOUT_TOTAL = re.compile(r" *Number of locked out MAC addresses = (\d+)")
_RATE_HEADING = re.compile(r" *Port +\| Inbound Limit +Mode +Radius Override +\| Outbound Limit +Mode +Radius Override")
_RATE_ROW = re.compile(r" *(\S+) +\| (\w+) +(\w+) +(\S+) +\| (\w+) +(\w+) +(\S+)")
_RATE_NOISE = re.compile(r"[-+\s]+|\s*All-Traffic Rate Limit Maximum %\s*")


def _read(session: Session) -> Config:
    """The configuration itself has no end that could be told from a lost connection; these two tables have."""
    device = session.device.name
    return Config(
        frozenset(_lockouts(device, session.ask("show lockout-mac"))),
        dict(_rates(device, session.ask("show rate-limit all"))),
    )


def _lockouts(device: str, text: str) -> Iterator[Mac]:
    for row in counted(device, text, _LOCKOUT_ROW, _LOCKOUT_TOTAL, _LOCKOUT_HEADING):
        yield Mac.parse(row[1])


def _rates(device: str, text: str) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Ports with a limit, in kilobits per second; 0 for one in another unit."""
    for row in rows(device, text, _RATE_ROW, _RATE_HEADING, _RATE_NOISE):
        limits = {way: (row[at], row[at + 1]) for way, at in zip(_DIRECTIONS, (2, 5), strict=True)}
        told = {way: _kbps(*limit) for way, limit in limits.items() if limit[0] != "Disabled"}
        if told:
            yield row[1], told


def _kbps(limit: str, mode: str) -> int:
    return int(limit) if mode == "kbps" and limit.isdigit() else 0


def _standing(device: str, config: Config) -> Enforced:
    blocks = {Slot(device, Block.kind, Station(mac=mac)): Block() for mac in config.locked}
    limits = {
        Slot(device, RateLimit.kind, Station(port=port)): RateLimit(_both(rates) * 1000)
        for port, rates in config.rates.items()
    }
    return {**blocks, **limits}


def _both(rates: Mapping[str, int]) -> int:
    """0 where the directions differ: such a limit is nothing that we would have typed, and is replaced."""
    told = {rates.get(direction, 0) for direction in _DIRECTIONS}
    return told.pop() if len(told) == 1 else 0


def _assume(changes: Sequence[Change]) -> Config:
    before = [(change.slot.station, change.before) for change in changes]
    return Config(
        frozenset(station.mac for station, penalty in before if isinstance(penalty, Block) and station.mac),
        {
            station.port: dict.fromkeys(_DIRECTIONS, penalty.bits_per_second // 1000)
            for station, penalty in before
            if isinstance(penalty, RateLimit) and station.port
        },
    )


def _steps(changes: Sequence[Change], config: Config) -> tuple[Step, ...]:
    return tuple(_step(change.slot, change.after, config) for change in changes)


def _step(slot: Slot, after: Penalty | None, config: Config) -> Step:
    match slot.kind, after:
        case Block.kind, None | Block(by="mac"):
            return _lockout(slot, after)
        case RateLimit.kind, None:
            return _limit(slot, None, config)
        case RateLimit.kind, RateLimit(bits_per_second=bps) if bps >= 1000:
            return _limit(slot, bps // 1000, config)
    raise DeviceError(slot.device, f"ArubaOS-Switch cannot express {after} in {slot}")


def _lockout(slot: Slot, after: Penalty | None) -> Step:
    mac = slot.station.mac
    if mac is None or mac.is_multicast or not mac.value:
        raise DeviceError(slot.device, f"a block needs a unicast MAC, not {slot.station}")
    line = f"lockout-mac {_macs.six_dash_six(mac)}"
    return Step((line,), plus=(line,)) if after else Step((f"no {line}",), minus=(line,))


def _limit(slot: Slot, kbps: int | None, config: Config) -> Step:
    port = slot.station.port or ""
    if not _PORT.fullmatch(port):
        raise DeviceError(slot.device, f"{port!r} is no name of a port, so it is not put into a command")
    stood = [f"rate-limit all {way} kbps {rate}" for way, rate in config.rates.get(port, {}).items()]
    wanted = [f"rate-limit all {way} kbps {kbps}" for way in _DIRECTIONS] if kbps else []
    typed = wanted or [f"no rate-limit all {way}" for way in config.rates.get(port, {})]
    head = f"interface {port}"
    return Step(
        (head, *(f"   {line}" for line in typed), "exit"),
        minus=(head, *(f"   {line}" for line in stood)) if stood else (),
        plus=(head, *(f"   {line}" for line in wanted)) if wanted else (),
    )


DIALECT: Dialect[Config] = Dialect(_read, _assume, _standing, _steps)


# --- show commands ---------------------------------------------------------------------------------------------------

_FDB_HEADING = re.compile(r" *MAC Address +(?:Located on )?Port(?P<vlan> +VLAN)?")
_FDB_ROWS = {
    True: re.compile(rf" *({_MAC}) +(\S+) +(\d+)", re.IGNORECASE),
    False: re.compile(rf" *({_MAC}) +(\S+)", re.IGNORECASE),
}
"""Whether the heading has a column for the VLAN."""
_ARP_HEADING = re.compile(r" *IP Address +MAC Address +Type +Port")
_ARP_ROW = re.compile(rf" *(\d+(?:\.\d+){{3}}) +({_MAC}) +(dynamic|static)(?: +(\S+))?", re.IGNORECASE)
_NOISE = re.compile(r"[-\s]+|\s*Status and Counters - Port Address Table\s*|\s*IP ARP table\s*")


def _fdb(device: str, text: str) -> Iterator[FdbEntry]:
    tells = any((found := _FDB_HEADING.fullmatch(line.rstrip())) and found["vlan"] for line in text.splitlines())
    for row in rows(device, text, _FDB_ROWS[bool(tells)], _FDB_HEADING, _NOISE):
        if not _PORT.fullmatch(row[2]):
            raise UnexpectedOutput(device, row[0])
        yield FdbEntry(device, row[2], Mac.parse(row[1]), int(row[3]) if tells else None)


def _arp(device: str, text: str) -> Iterator[Neighbor]:
    """Rows without a port are of stations that the forwarding table has lost; their address is known all the same."""
    for row in rows(device, text, _ARP_ROW, _ARP_HEADING, _NOISE):
        try:
            yield Neighbor(device, row[4] or "", IPv4Address(row[1]), Mac.parse(row[2]))
        except ValueError:
            raise UnexpectedOutput(device, row[0]) from None
