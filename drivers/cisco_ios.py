"""Cisco IOS and IOS-XE: Catalyst switches (blocks, limits) and routers that do NAT (translations).

Reads
* SNMP where the site configures it (`_snmp_tables`): neighbours, interfaces, counters, LLDP and CDP, forwarding
  table.
* the forwarding table: a Catalyst answers BRIDGE-MIB per VLAN, and to a plain community for VLAN 1 only. So when that
  is empty or does not tell VLANs, `show mac address-table` is believed instead where the command line is configured,
  and else every VLAN is asked for its own (`_vlan_bridges`). The command has three layouts (Catalyst 2960-9000; 6500;
  4500); rows that lead to the CPU, the router or nowhere (`Drop`) are no places where a station could be and are left
  out.
* `show ip arp`, of the global table and of every VRF (`_cisco_arp`). IPv6 is read over SNMP only. An agent tells of the
  global table only, since VRFs need contexts that nobody configures: a gateway is asked for its VRFs over the command
  line as well.
* `show ip dhcp snooping binding`: leases that the switch overheard, where the site asks for them.
* `show clock`, `show ip nat translations verbose`, `show ip nat statistics`: see `_cisco_nat`.
* the size of the table over SNMP where it is configured and one of three MIBs counts (`_cisco_nat_snmp`). None of them
  has the table's limit, so `show ip nat statistics` is asked for it as well where there is a command line.
* `show running-config | include ...`: static drops, our policies, what is attached where, caps; see `_config_lines`.

Writes, through NAPALM's merge candidate
* block: `mac address-table static M vlan V drop`, taken back without the word drop (Catalyst 3560, 2960 and IE
  guides; peers that add it, such as hier_config, write a form that Cisco does not document). Frames from and to the
  MAC go, in that VLAN, on that switch; not those that the switch itself answers.
* limit of one client, on routers that translate: a class of its own, policed in both directions on the interface that
  says `ip nat inside`; see `_address_limit`, which also says what is in its way. A device is asked for these lines in
  a second question, and only if its role is `gateway`: a line of IOS holds 254 characters. Which interface is inside,
  the router says, not the site.
* limit of a port: policy-map `SWITCHGUARD-<port>` with a policer, attached to the access port inbound: what the client
  sends. Burst is 1.5 seconds' worth, at least 8,000 and at most 1,000,000 octets, which is what a Catalyst 3750 takes.
  `police cir` is the form of routers and IOS-XE; 2960, 3560 and 3750 know only the `catalyst` form. A plug-in for
  those is two lines: `class Catalyst(CiscoIOS): police = "catalyst"`. Both are read.
* cap, on routers that translate: `ip nat translation max-entries host A N`, and `... all-host N` for everybody by
  himself; see `_nat_caps`. The client's sessions are forgotten one by one (`_cisco_clear`).
* quarantine: `switchport access vlan N` on a port that is said to be an access port, with an empty policy-map that
  keeps the VLAN it came from; see `_quarantine`.

Oddities: loading a candidate writes a file to flash, so a preview is computed instead of asked for. NAPALM notices no
other error than `Invalid input detected`; the two refusals `% CPU destined address ...` and `% Only unicast addresses
...` pass for success, and only reading back tells. `write memory` after every commit makes blocks survive a reload.
Sources: Cisco command references as named; NAPALM 5 (ios.py); recordings of genieparser and ntc-templates.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import ClassVar, Literal

from switchguard.core.changes import Enforced, Facts, Slot
from switchguard.core.model import Address, FdbEntry, Lease, Mac, NatSize, NatUsage, Neighbor, Network, Role, Station
from switchguard.core.penalties import Block, Penalty, Quarantine, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput, Unreachable
from switchguard.ports import Capture, NatTable, Session

from . import (
    _address_limit,
    _cisco_arp,
    _cisco_clear,
    _cisco_limits,
    _cisco_nat,
    _cisco_nat_snmp,
    _nat_caps,
    _port_limit,
    _port_names,
    _quarantine,
    _static_drop,
    _vlan_bridges,
)
from ._candidate import Dialect, Together
from ._cisco_arp import MAC, PREAMBLE
from ._cisco_nat_snmp import CNE_ADDR_TRANSLATION_NUM_ACTIVE
from ._cisco_switch import CiscoSwitch
from ._config_lines import Config, Part
from ._port_limit import Wording
from ._static_drop import TableRow

SHOW_CONFIG = (
    "show running-config | include "
    "^mac address-table static|^policy-map|^ +class|^ +police|^interface|^ service-policy"
    "|^ switchport access vlan|^ switchport mode|^ no switchport$|^ channel-group|^ip nat translation max-entries"
    "|^control-plane|^end"
)
SHOW_ROUTER_CONFIG = (
    "show running-config | include ^interface|^ (ip|ipv6) address|^ (vrf|ip vrf) forw|^ ip nat inside|^ service-policy"
    "|^(policy|class)-map|^ +(class|police)|^ match access-group name SG-|^(ip|ipv6|mac|arp) access-list"
    "|^ .*permit ip.* host |^control-pl|^end"
)
"""A command line of IOS holds 254 characters."""
_POLICY = Wording("policy-map ", "service-policy input ")
_QUARANTINE = _quarantine.Wording("policy-map ", says_access=True, told_as=_port_names.short)
LEAST_BPS = 8_000
"""Below this no policer of IOS goes (IOS QoS command reference, `police`)."""


class CiscoIOS(CiscoSwitch):
    platform = "cisco_ios"
    police: ClassVar[Literal["cir", "catalyst"]] = "cir"
    facts = Facts(
        penalties={
            Block.kind: ("mac_vlan",),
            SessionCap.kind: ("address", "everyone"),
            RateLimit.kind: ("address", "port"),
            Quarantine.kind: ("port",),
        },
        directions="both",
        only_ipv4=frozenset({SessionCap.kind}),
        ownership="ledger",
        diff="device",
        dry_run_diff="computed",
        unverified=(
            "nothing has been run on a Cisco device; the lines follow Cisco's command references",
            "class class-default takes a policer on Catalyst 2960 and 3560; those need `mls qos`",
            "a limit counts what the client sends; Catalyst 2960, 3560 and 3750 police inbound only",
            "a policer that is typed again replaces the one before",
            "an empty policy-map that is attached to nothing stays in the configuration",
            "a quarantine VLAN that does not exist is created, with a line that our check of the diff refuses",
            "show archive config incremental-diffs lists lines as they were typed",
            "every operational Ethernet VLAN answers with its own bridge tables, also one without ports",
            "In_bytes of IOS-XE translations are the client's outgoing octets",
            "a cap on translations that is typed again replaces the one before",
            "for a host with a cap of its own, that one counts and not the one for all hosts",
            "a router polices classes in both directions on any inside interface, sub-interfaces and SVIs included",
            "a class can be added to and taken from a policy that is attached",
            "a class-map matches an IPv6 access list by its name, as it does one of IPv4",
            "the default context of an agent has the neighbours of the global table only",
            "the modules of a router that counts its translations over SNMP each count their own",
        ),
    )

    captures: ClassVar[Mapping[str, Capture]] = {
        "translations": _cisco_nat.CAPTURE,
        "limits": _cisco_limits.CAPTURE,
    }

    # --- reading -----------------------------------------------------------------------------------------------------

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        """From the command line or VLAN by VLAN where SNMP has nothing, or nothing but VLAN 1; see above."""
        if not session.speaks("snmp"):
            return self.cli_fdb(session)
        try:
            rows = super().fdb(session)
        except UnexpectedOutput:
            rows = ()
        if rows and all(row.vlan is not None for row in rows):
            return rows
        if session.speaks("cli"):
            return self.cli_fdb(session)
        return _vlan_bridges.fdb(session) if _vlan_bridges.has_vlans(session) else super().fdb(session)

    def arp(self, session: Session) -> tuple[Neighbor, ...]:
        rows = super().arp(session)
        if session.device.role is Role.GATEWAY and session.speaks("snmp") and session.speaks("cli"):
            return tuple(dict.fromkeys((*rows, *_cisco_arp.of_vrfs(session))))
        return rows

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return _cisco_arp.neighbors(session)

    def leases(self, session: Session, at: datetime) -> tuple[Lease, ...]:
        return tuple(_leases(session.device.name, session.ask("show ip dhcp snooping binding"), at))

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        clock = session.ask("show clock")
        return _cisco_nat.usage(session.device.name, session.ask("show ip nat translations verbose"), clock)

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        if table == "limits":
            return _cisco_limits.read_capture(chunks, self.platform, inside)
        return _cisco_nat.read_capture(chunks, self.platform, inside)

    def nat_size(self, session: Session) -> NatSize:
        """Counted over SNMP where that counts anything. The limit only the command tells; of a router that is too busy
        to be logged into, the count alone is better than nothing."""
        device = session.device.name
        counted = _cisco_nat_snmp.entries(session) if session.speaks("snmp") else None
        if not session.speaks("cli"):
            if counted is None:
                raise UnexpectedOutput(device, CNE_ADDR_TRANSLATION_NUM_ACTIVE, "the agent counts no translations")
            return NatSize(device, counted, None)
        try:
            entries, limit = _cisco_nat.size(device, session.ask("show ip nat statistics"))
        except Unreachable:
            if not counted:
                raise
            return NatSize(device, counted, None)
        return NatSize(device, counted or entries, limit)

    # --- writing -----------------------------------------------------------------------------------------------------

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        return _cisco_clear.clear(session, addresses)

    @property
    def dialect(self) -> Dialect:
        return Dialect(
            SHOW_CONFIG,
            self._parts,
            _standing,
            _obstacle,
            "commands",
            _QUARANTINE,
            closing=("end",),
            at_gateways=SHOW_ROUTER_CONFIG,
            together=Together(
                lambda slot: slot.kind == RateLimit.kind and slot.address is not None,
                lambda device, config, changes: _address_limit.edits(device, config, changes, self._policer),
                lambda changes: _address_limit.rendered(changes, self._policer),
            ),
        )

    def mac_table(self, device: str, text: str) -> tuple[TableRow, ...]:
        return _mac_table(device, text)

    def _parts(self, slot: Slot, penalty: Penalty | None) -> tuple[Part, ...]:
        match slot.kind, penalty:
            case Block.kind, None | Block(by="mac"):
                return _static_drop.parts(slot, penalty, undo="no {}")
            case SessionCap.kind, None | SessionCap():
                return _nat_caps.parts(_nat_caps.IOS, slot, penalty)
            case RateLimit.kind, None:
                return _port_limit.parts(_POLICY, slot, None)
            case RateLimit.kind, RateLimit(bits_per_second=bps):
                return _port_limit.parts(_POLICY, slot, self._policer(slot.device, bps))
        raise DeviceError(slot.device, f"IOS cannot express {penalty} in {slot}")

    def _policer(self, device: str, bps: int) -> str:
        if bps < LEAST_BPS:
            raise DeviceError(device, f"IOS cannot limit anything to {bps} bit/s, only to {LEAST_BPS} or more")
        burst = min(max(bps * 3 // 16, 8_000), 1_000_000)
        if self.police == "catalyst":
            return f"police {bps} {burst} exceed-action drop"
        return f"police cir {bps} bc {burst} conform-action transmit exceed-action drop"


# --- the running configuration ---------------------------------------------------------------------------------------


def _standing(device: str, config: Config) -> Enforced:
    return (
        _static_drop.standing(device, config)
        | _nat_caps.standing(_nat_caps.IOS, device, config)
        | _address_limit.standing(device, config)
        | {
            Slot(device, RateLimit.kind, Station(port=_port_names.short(port))): RateLimit(_rate(config, port))
            for port in _port_limit.our_ports(_POLICY, config)
        }
    )


def _rate(config: Config, port: str) -> int:
    """0 for a policy of ours that limits nothing, because its policer is gone: it is then replaced or taken away."""
    policers = (
        re.match(r"police (?:cir |rate )?(\d+)\b", line) for line in _port_limit.policers(_POLICY, config, port)
    )
    return next((int(found[1]) for found in policers if found), 0)


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind == Block.kind:
        return _static_drop.obstacle(slot, config)
    if slot.kind == SessionCap.kind:
        return ""
    if slot.address is not None:
        return _address_limit.obstacle(slot, config)
    port = _port_names.long(slot.station.port or "")
    name = _port_limit.foreign_policy(_POLICY, config, port)
    whose = "for single clients" if name.startswith("SWITCHGUARD-") else "of somebody else"
    return f"{port} has the service-policy {name} {whose}, and takes only one inbound" if name else ""


# --- show commands ---------------------------------------------------------------------------------------------------

_TABLE_NOISE = re.compile(
    r"Mac Address Table|Unicast Entries|[-+]+|-{2,}(?: +-{2,})*|Vlan Mac Address Type Ports"
    r"|Legend: \* - primary entry|age - seconds since last seen|n/a - not available"
    r"|vlan mac address type (?:learn age ports|protocols port)",
    re.IGNORECASE,
)
_TABLE_ROW = re.compile(
    rf"(?:\* *)?(\d+|All|---) +({MAC}) +(static|dynamic)"
    r"(?: +(?:Yes|No) +(?:\d+|-|n/a)| +[a-z]+(?:,[a-z]+)*(?= ))? +(\S.*)",
    re.IGNORECASE,
)
_TABLE_TOTAL = re.compile(r"Total Mac Addresses for this criterion: (\d+)", re.IGNORECASE)
_NO_PORTS = {"cpu", "drop", "router", "switch", "vpc", "peer-link"}


def _mac_table(device: str, text: str) -> tuple[TableRow, ...]:
    """Every row. UnexpectedOutput for a table cut short: its total differs from its rows, or there is neither."""
    rows: list[tuple[Mac, int | None, bool, list[str]]] = []
    total: int | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if found := _TABLE_ROW.fullmatch(line):
            vlan = int(found[1]) if found[1].isdigit() else None
            ports = _port_list(device, raw, found[4])
            rows.append((Mac.parse(found[2]), vlan, found[3].lower() == "static", ports))
        elif found := _TABLE_TOTAL.fullmatch(line):
            total = int(found[1])
        elif rows and raw.startswith(" " * 16):
            rows[-1][3].extend(_port_list(device, raw, line))
        elif line and not _TABLE_NOISE.fullmatch(" ".join(line.split())) and not PREAMBLE.fullmatch(line):
            raise UnexpectedOutput(device, raw)
    if total != len(rows) and (total is not None or not rows):
        raise UnexpectedOutput(device, text.strip()[-80:], f"{len(rows)} rows of {total} in the forwarding table")
    return tuple(_table_row(*row) for row in rows)


def _table_row(mac: Mac, vlan: int | None, static: bool, names: Sequence[str]) -> TableRow:
    ports = tuple(_port_names.short(name) for name in names if name.lower() not in _NO_PORTS)
    stations = tuple(port for port in ports if not port.startswith("Vl"))
    return TableRow(mac, vlan, static, static and "drop" in map(str.lower, names), stations)


def _port_list(device: str, raw: str, text: str) -> list[str]:
    names = [name for name in re.split(r"[,\s]+", text) if name]
    if not all(_port_names.is_port(name) or name.lower() in _NO_PORTS for name in names):
        raise UnexpectedOutput(device, raw)
    return names


_LEASE_NOISE = re.compile(r"MacAddress +IpAddress +Lease\(sec\) +Type +VLAN +Interface|-+(?: +-+){5}")
_LEASE_ROW = re.compile(
    r"([0-9A-F]{2}(?::[0-9A-F]{2}){5}) +(\d+(?:\.\d+){3}) +(\d+|infinite) +[a-z][\w-]* +\d+ +\S+", re.IGNORECASE
)
_LEASE_TOTAL = re.compile(r"Total number of bindings: (\d+)")


def _leases(device: str, text: str, at: datetime) -> Iterator[Lease]:
    """A switch overhears neither hostname nor client identifier. UnexpectedOutput unless the total is that of the rows,
    for a list cut short is none."""
    rows, total = 0, None
    for raw in text.splitlines():
        line = raw.strip()
        if found := _LEASE_ROW.fullmatch(line):
            rows += 1
            until = None if found[3].lower() == "infinite" else at + timedelta(seconds=int(found[3]))
            yield _lease(device, raw, found[2], found[1], until)
        elif found := _LEASE_TOTAL.fullmatch(line):
            total = int(found[1])
        elif line and not _LEASE_NOISE.fullmatch(line) and not PREAMBLE.fullmatch(line):
            raise UnexpectedOutput(device, raw)
    if total != rows:
        raise UnexpectedOutput(device, text.strip()[-80:], f"{rows} rows of {total} bindings")


def _lease(device: str, raw: str, address: str, mac: str, until: datetime | None) -> Lease:
    try:
        return Lease(device, IPv4Address(address), Mac.parse(mac), until=until)
    except ValueError:
        raise UnexpectedOutput(device, raw) from None
