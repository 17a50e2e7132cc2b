"""Arista EOS switches: blocks and limits; EOS as a NAT gateway is not read, since nobody has shown us what it prints.

Reads
* SNMP where the site configures it (`_snmp_tables`): neighbours, forwarding table (Q-BRIDGE), interfaces, counters,
  links.
* `show mac address-table | json`, `show ip arp vrf all | json` where it does not. Stations behind Vxlan are another
  switch's and left out; so are rows that lead to the CPU, the router or nowhere. A neighbour is on the first
  interface it is told with.
* `show running-config | include ...`: static drops, our policies, what is attached where; see `_config_lines`.

Writes, through NAPALM's configuration session; a preview is the device's own diff of a session that is aborted
* block: `mac address-table static M vlan V drop`. Arista's AVD describes it as dropping what is *destined for* the
  MAC; nothing says that frames *from* it are dropped, so `directions` is "destination": the client gets no answer,
  but what it sends, such as UDP without acknowledgement, may still go out. Where that matters, block at the access
  switch or at the gateway. A MAC access list on the client's port would close it, but an access list holds for a
  whole port and ends in `deny any`, a port takes one, and a block is put where the MAC is wherever it goes next: it
  is deliberately not done here.
* limit: policy-map `SWITCHGUARD-<port>` of type quality-of-service with a policer, attached inbound (what the client
  sends; burst of 1.5 seconds' worth), and `shape rate` on the port (what it receives), in whole kbit/s from 8 on.

Oddities: NAPALM saves after a commit (`write memory`), and keeps the *startup* configuration for its own rollback,
which we do not use. The diff is a unified one with three lines of context, so the interface of a changed line may not
be shown.
Sources: Arista AVD schema and golden configurations (static drop, police, service-policy, shape rate); NAPALM 5
(eos.py).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from switchguard.core.model import (
    Block,
    Change,
    Diff,
    Enforced,
    Facts,
    FdbEntry,
    Mac,
    Neighbor,
    Penalty,
    RateLimit,
    Slot,
    Station,
)
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from . import _candidate, _port_limit, _port_names, _static_drop
from ._candidate import Dialect
from ._config_lines import Config, Line, Part
from ._port_limit import Wording
from ._snmp_tables import SnmpTables
from ._static_drop import TableRow

SHOW_CONFIG = (
    "show running-config | include "
    "^mac address-table static|^policy-map|^ +class|^ +police|^interface|^   service-policy|^   shape rate|^end"
)
SHOW_MAC_TABLE = "show mac address-table | json"
SHOW_ARP = "show ip arp vrf all | json"
LEAST_KBPS = 8
"""Arista AVD schema: police rate 8 to 200,000,000 kbps."""

_POLICY = Wording("policy-map type quality-of-service ", "service-policy type qos input ")
_BPS = {"bps": 1, "kbps": 1_000, "mbps": 1_000_000}
_NO_PORTS = {"", "cpu", "drop", "router", "switch"}


class AristaEOS(SnmpTables):
    platform = "arista_eos"
    facts = Facts(
        penalties={Block.kind: ("mac_vlan",), RateLimit.kind: ("port",)},
        directions="destination",
        ownership="ledger",
        diff="device",
        dry_run_diff="device",
        unverified=(
            "nothing has been run on an Arista device",
            "a static drop stops frames to the MAC; whether it also stops frames from it, no source says",
            "how `show mac address-table | json` shows a static drop",
            "class class-default takes a policer, and a policer or shape rate typed again replaces the one before",
            "`show ip arp vrf all | json` groups neighbours by VRF, as `show arp vrf all` does",
        ),
    )

    # --- reading -----------------------------------------------------------------------------------------------------

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        device = session.device.name
        return tuple(
            FdbEntry(device, port, row.mac, row.vlan, row.static)
            for row in _mac_table(device, session.ask(SHOW_MAC_TABLE))
            for port in row.ports
        )

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_arp(session.device.name, session.ask(SHOW_ARP)))

    # --- writing -----------------------------------------------------------------------------------------------------

    def enforced(self, session: Session) -> Enforced:
        stands = _candidate.standing(_DIALECT, session)
        blocks = [slot for slot in stands if slot.kind == Block.kind]
        if blocks:
            device = session.device.name
            _static_drop.require_in_force(device, blocks, _mac_table(device, session.ask(SHOW_MAC_TABLE)))
        return stands

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        return _candidate.render(_DIALECT, changes)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _candidate.preview_on_device(_DIALECT, session, changes)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _candidate.push(_DIALECT, session, changes)


# --- wording ---------------------------------------------------------------------------------------------------------


def _parts(slot: Slot, penalty: Penalty | None) -> tuple[Part, ...]:
    match slot.kind, penalty:
        case Block.kind, None | Block(by="mac"):
            return _static_drop.parts(slot, penalty, undo="no {} drop")
        case RateLimit.kind, None:
            return _limit(slot, None)
        case RateLimit.kind, RateLimit(bits_per_second=bps) if bps % 1_000 == 0 and bps // 1_000 >= LEAST_KBPS:
            return _limit(slot, bps // 1_000)
    raise DeviceError(slot.device, f"EOS cannot express {penalty} in {slot}")


def _limit(slot: Slot, kbps: int | None) -> tuple[Part, ...]:
    burst = min(max((kbps or 0) * 3 // 16, 1), 128_000)
    policy = _port_limit.parts(_POLICY, slot, f"police rate {kbps} kbps burst-size {burst} kbytes" if kbps else None)
    interface = policy[-1].path
    shape = Part(
        interface, "shape rate ", f"shape rate {kbps} kbps" if kbps else None, Line(interface, "no shape rate")
    )
    return (*policy, shape)


def _standing(device: str, config: Config) -> Enforced:
    return _static_drop.standing(device, config) | {
        Slot(device, RateLimit.kind, Station(port=_eos_name(port))): RateLimit(_rate(config, port))
        for port in _port_limit.our_ports(_POLICY, config)
    }


def _rate(config: Config, port: str) -> int:
    """0 when the two directions are not limited alike: such a limit is then replaced or taken away."""
    policers = (
        re.match(r"police rate (\d+) (bps|kbps|mbps)\b", line) for line in _port_limit.policers(_POLICY, config, port)
    )
    shapes = (
        re.match(r"shape rate (\d+) (kbps)\b", line) for line in _port_limit.lines_in((f"interface {port}",), config)
    )
    rates = [int(found[1]) * _BPS[found[2]] for found in (*policers, *shapes) if found]
    return rates[0] if len(rates) == 2 and rates[0] == rates[1] else 0


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind == Block.kind:
        return _static_drop.obstacle(slot, config)
    port = _port_names.long(slot.station.port or "")
    name = _port_limit.foreign_policy(_POLICY, config, port)
    if name:
        return f"{port} has the service-policy {name} of somebody else, and takes only one inbound"
    shaped = any(line.startswith("shape rate ") for line in _port_limit.lines_in((f"interface {port}",), config))
    ours = port in _port_limit.our_ports(_POLICY, config)
    return f"{port} has a shape rate of somebody else, which a limit would overwrite" if shaped and not ours else ""


def _eos_name(port: str) -> str:
    """As EOS tells it in ifName: long, and `Port-Channel` with a second capital."""
    return _port_names.long(port).replace("Port-channel", "Port-Channel")


_DIALECT = Dialect(SHOW_CONFIG, _parts, _standing, _obstacle, "lines")


# --- show commands ---------------------------------------------------------------------------------------------------


def _json(device: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.strip() else ""
        raise UnexpectedOutput(device, line, f"no JSON ({error.msg})") from None


def _mac_table(device: str, text: str) -> tuple[TableRow, ...]:
    said = _json(device, text)
    try:
        return tuple(_table_row(device, row) for row in said["unicastTable"]["tableEntries"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedOutput(device, text.strip()[:200], f"no forwarding table ({error!r})") from None


def _table_row(device: str, row: Mapping[str, Any]) -> TableRow:
    """`lastMove` says when a station changed its port, not when it was last heard: a row has no age."""
    name, static = str(row.get("interface", "")), row["entryType"].lower() == "static"
    port = _port(device, name)
    return TableRow(
        Mac.parse(row["macAddress"]),
        int(row["vlanId"]),
        static,
        static and name.lower() in ("", "drop"),
        (port,) if port else (),
    )


def _port(device: str, name: str) -> str:
    """Empty for a place where no station of ours can be."""
    if name.lower() in _NO_PORTS or re.match(r"(Vxlan|Vlan)\d+$", name):
        return ""
    if not _port_names.is_port(name):
        raise UnexpectedOutput(device, name, "a forwarding entry on no port that we know")
    return _eos_name(name)


def _arp(device: str, text: str) -> Iterator[Neighbor]:
    said = _json(device, text)
    try:
        rows = [row for vrf in said["vrfs"].values() for row in vrf["ipV4Neighbors"]]
        for row in rows:
            interface, mac = row["interface"].split(",")[0].strip(), Mac.parse(row["hwAddress"])
            if mac.value:
                yield Neighbor(device, interface, IPv4Address(row["address"]), mac)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedOutput(device, text.strip()[:200], f"no neighbour table ({error!r})") from None
