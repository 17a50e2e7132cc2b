"""Juniper Junos: SRX gateways (sessions, a cap for everyone), EX and QFX switches with and without ELS (blocks, limits,
quarantine).

Reads
* SNMP where the site configures it (`_snmp_tables`): neighbours, forwarding table, interfaces, counters, links. The
  index of the forwarding table is an internal number of the VLAN; where Q-BRIDGE-MIB does not translate it, Juniper's
  own tables do (JUNIPER-L2ALD-MIB with ELS, JUNIPER-VLAN-MIB without).
* `show security flow session`: see `_junos_sessions`. Its size is jnxJsSPUMonitoringCurrentTotalSession of
  JUNIPER-SRX5000-SPU-MONITORING-MIB, else `show security flow session summary`.
* `show ethernet-switching table | display xml`, `show arp no-resolve`: see `_junos_tables`. A port is told without its
  unit 0, as counters and LLDP call it.
* `show configuration | ... | display set`: filters, VLANs, interfaces, screens, zones; see `_junos_config`.
* not `show ethernet-switching table` as text: the same command line prints it as XML, also where NETCONF is not spoken,
  and where rows came by EVPN the text's heading does not tell their number, so that half a table would pass for one.

Writes, through NAPALM's candidate: locked, compared, committed, or rolled back to what is active. That is NETCONF over
SSH (`set system services netconf ssh`), on the port of SSH unless the site says `napalm: {port: 830}`
* block: a MAC in one VLAN, both ways, by a filter of ours bound to what enters that VLAN; see `_junos_filters`. A VLAN
  with somebody else's filter is left alone, and the block refused.
* limit: a policer in a filter of ours, bound inbound to the access port: what the client sends. Burst is 1.5 seconds'
  worth.
* cap, for everyone only: a screen of ours for the zones of the clients, which counts every address of a zone and spares
  none; see `_junos_screens`.
* quarantine: an access port in another VLAN, with a note of where it came from; see `_junos_quarantine`.
* sessions of a blocked client: `clear security flow session source-prefix ADDRESS`.

Oddities: a term whose last condition is deleted matches every frame. A candidate that somebody else has left
uncommitted keeps us out: the lock is refused. Filters need TCAM, of which a commit may find too little; then nothing
changes.
Sources: Junos CLI reference (firewall filters and policers of EX, `show security flow session`, `limit-session`); the
Terraform provider for Junos (binding with ELS); LibreNMS and netdisco (MIBs); PyEZ's recordings of both switching
tables; NAPALM 5 (junos.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import ClassVar

from switchguard.core.changes import Change, Diff, Enforced, Facts, Slot
from switchguard.core.model import Address, Device, FdbEntry, Mac, NatSize, NatUsage, Neighbor, Network
from switchguard.core.penalties import Block, Penalty, Quarantine, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Capture, NatTable, Session

from . import (
    _junos_config,
    _junos_filters,
    _junos_quarantine,
    _junos_screens,
    _junos_sessions,
    _junos_tables,
)
from ._captured import require_whole_rows
from ._junos_config import Config, Edit
from ._snmp import numbers_of, require_length
from ._snmp_tables import SnmpTables, fdb

SESSIONS = "show security flow session"
SUMMARY = "show security flow session summary"
MAC_TABLE = "show ethernet-switching table | display xml"
MAC_SUMMARY = "show ethernet-switching table summary | display xml"
ARP = "show arp no-resolve"
CLEAR = "clear security flow session source-prefix"
LEAST_BPS = 32_000
"""The smallest bandwidth-limit of every platform's reference."""

_CURRENT, _MOST = (f"1.3.6.1.4.1.2636.3.39.1.12.1.{column}.0" for column in (2, 3))
_ELS_TAG, _ELS_DATABASE = (f"1.3.6.1.4.1.2636.3.48.1.3.1.1.{column}" for column in (3, 5))
_OLD_TAG = "1.3.6.1.4.1.2636.3.40.1.5.1.5.1.5"


class JuniperJunos(SnmpTables):
    platform = "juniper_junos"
    facts = Facts(
        penalties={
            Block.kind: ("mac_vlan",),
            SessionCap.kind: ("everyone",),
            RateLimit.kind: ("port",),
            Quarantine.kind: ("port",),
        },
        directions="both",
        ownership="named set",
        diff="device",
        dry_run_diff="device",
        timed_revert=True,
        unverified=(
            "nothing has been run on a Juniper device",
            "a filter for what enters a VLAN sees the frames from and to a station of that VLAN, on every platform",
            "a port with a filter of its own still goes through that of its VLAN",
            "`vlans NAME forwarding-options filter input` is where a VLAN with ELS says which filter it has",
            "somebody else's uncommitted changes in the candidate make the lock fail",
            "a commit that finds too little TCAM for a filter fails, and changes nothing",
            "a filter that is bound nowhere takes no TCAM, and is no reason for a commit to fail",
            "an access port may get another VLAN while a filter is bound to it",
            "a screen's `limit-session` lets sessions live that began before it",
            "`clear security flow session source-prefix` takes both families, and says how many it cleared",
            "`| match` takes this expression, and `| last 1` after it shows the last line",
            "`display inheritance` expands interface ranges and leaves out nothing that stands",
            "`show | compare` shows amounts as `display set` does",
            "`show security flow session summary` of several PICs tells each its own maximum",
            "jnxL2aldVlanTable and jnxExVlanTable number VLANs as the forwarding table does",
            "show arp no-resolve on a switch shows the port in brackets after the interface of the VLAN",
        ),
    )
    captures: ClassVar[Mapping[str, Capture]] = {
        "sessions": _junos_sessions.TEXT,
        "sessions-xml": _junos_sessions.XML,
    }

    # --- reading -----------------------------------------------------------------------------------------------------

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        text = session.ask(SESSIONS)
        device = session.device.name
        table = require_whole_rows(device, _junos_sessions.read_text([text.encode()], device))
        if not table.complete:
            raise UnexpectedOutput(session.device.name, text.strip()[-80:], "a session table without its right total")
        return table.usages

    def nat_size(self, session: Session) -> NatSize:
        device = session.device.name
        if session.speaks("snmp"):
            told = session.get([_CURRENT, _MOST])
            current, most = told[_CURRENT], told[_MOST]
            if not isinstance(current, int) or not isinstance(most, int):
                raise UnexpectedOutput(device, f"{_CURRENT} = {current!r}", "the agent has no number of sessions")
            return NatSize(device, current, most or None)
        used, limit = _junos_tables.size(device, session.ask(SUMMARY))
        return NatSize(device, used, limit or None)

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        read = _junos_sessions.read_xml if table == "sessions-xml" else _junos_sessions.read_text
        return read(chunks, self.platform, inside)

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        if not session.speaks("snmp"):
            return self.cli_fdb(session)
        entries = fdb(session, _vlans_of_databases(session))
        return tuple(replace(entry, port=_junos_tables.physical(entry.port)) for entry in entries)

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        vlans = _junos_filters.vlans(_junos_config.read(session))
        return tuple(_junos_tables.fdb(session.device.name, session.ask(MAC_TABLE), vlans))

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_junos_tables.arp(session.device.name, session.ask(ARP)))

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        device, total = session.device.name, 0
        for address in addresses:
            total += _junos_tables.cleared(device, session.ask(f"{CLEAR} {ip_network(address)}"))
        return total

    # --- writing -----------------------------------------------------------------------------------------------------

    def enforced(self, session: Session) -> Enforced:
        return _standing(session.device, _junos_config.read(session))

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """As if exactly `before` stood in every slot. How a filter is bound to its VLAN and a screen to its zones is
        left out: what those are called, only the device knows."""
        config, moves = _assumed(changes), [it for it in changes if it.slot.kind == Quarantine.kind]
        others = [it for it in changes if it not in moves]
        edits = (*(edit for edit, _ in _block_edits(config, others)), *_edits("", config, (), others))
        lines = tuple(line for edit in edits for line in edit.commands())
        ports = (_junos_filters.port_of(change.slot) for change in moves)
        moved = (line for it, port in zip(moves, ports, strict=True) for line in _junos_quarantine.rendered(it, port))
        return (*lines, *moved)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _junos_config.load(session, _due(session, changes), commit=False)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _junos_config.load(session, _due(session, changes), commit=True)


def _vlans_of_databases(session: Session) -> Mapping[int, int | None]:
    """Number of a forwarding table -> its VLAN, from Juniper's own tables; empty if the agent has none of them."""
    tags, databases = numbers_of(session, _ELS_TAG), numbers_of(session, _ELS_DATABASE)
    old = numbers_of(session, _OLD_TAG)
    for column, rows in ((_ELS_TAG, tags), (_ELS_DATABASE, databases), (_OLD_TAG, old)):
        require_length(session, column, rows, 1)
    return {database: tags.get(index) for index, database in databases.items()} or {
        it: tag for (it,), tag in old.items()
    }


# --- what stands, and what has to change -----------------------------------------------------------------------------


def _standing(device: Device, config: Config) -> Enforced:
    return {
        **_junos_filters.standing_blocks(device.name, config),
        **_junos_filters.standing_limits(device.name, config),
        **_junos_quarantine.standing(device.name, config),
        **_junos_screens.standing(device.name, config, device.lan_interfaces),
    }


def _due(session: Session, changes: Sequence[Change]) -> tuple[Edit, ...]:
    """DeviceError for what cannot be expressed, and where somebody else's statements are in the way."""
    device, config = session.device, _junos_config.read(session)
    stands = _standing(device, config)
    needed = [change for change in changes if stands.get(change.slot) != change.after]
    for change in needed:
        if change.after is not None and (why_not := _obstacle(device, config, change.slot, change.after)):
            raise DeviceError(device.name, why_not)
    zones = _junos_screens.zones_of(config, device.lan_interfaces)
    return (*_bound_edits(session, config, needed), *_edits(device.name, config, zones, needed))


def _obstacle(device: Device, config: Config, slot: Slot, wanted: Penalty) -> str:
    match wanted:
        case RateLimit():
            return _junos_filters.limit_obstacle(config, _junos_filters.port_of(slot))
        case SessionCap():
            return _junos_screens.obstacle(config, device.lan_interfaces)
        case Quarantine(vlan=vlan):
            return _junos_quarantine.obstacle(device.name, config, _junos_filters.port_of(slot), vlan)
    _, vlan = _junos_filters.station(slot)
    return _junos_filters.block_obstacle(config, _junos_filters.vlan_name(slot.device, config, vlan), vlan)


def _bound_edits(session: Session, config: Config, changes: Sequence[Change]) -> Iterator[Edit]:
    """Blocks with their bindings. Which sort of binding a switch takes is asked only where it has none yet."""
    for edit, vlan in _block_edits(config, changes):
        name = _junos_filters.vlan_name(session.device.name, config, vlan)
        yield _junos_filters.with_binding(config, edit, name, vlan, lambda: _has_els(session))


def _has_els(session: Session) -> bool:
    return _junos_tables.has_els(session.device.name, session.ask(MAC_SUMMARY))


def _block_edits(config: Config, changes: Sequence[Change]) -> Iterator[tuple[Edit, int]]:
    """One for each VLAN, bindings left out."""
    wanted: dict[int, set[Mac]] = {}
    for change in changes:
        if change.slot.kind != Block.kind:
            continue
        mac, vlan = _junos_filters.station(change.slot)
        macs = wanted.setdefault(vlan, _junos_filters.blocked(config, vlan))
        match change.after:
            case None:
                macs.discard(mac)
            case Block(by="mac"):
                macs.add(mac)
            case _:
                raise _inexpressible(change.slot, change.after)
    for vlan, macs in wanted.items():
        yield _junos_filters.block_edit(config, vlan, macs), vlan


def _edits(device: str, config: Config, zones: Sequence[str], changes: Sequence[Change]) -> Iterator[Edit]:
    """Of everything but blocks. `zones`: those of the clients."""
    for change in changes:
        slot, after = change.slot, change.after
        match slot.kind, after:
            case RateLimit.kind, None:
                yield _junos_filters.limit_edit(config, _junos_filters.port_of(slot), None)
            case RateLimit.kind, RateLimit(bits_per_second=bps) if bps >= LEAST_BPS:
                yield _junos_filters.limit_edit(config, _junos_filters.port_of(slot), bps)
            case SessionCap.kind, None if slot == Slot(slot.device, slot.kind):
                yield _junos_screens.edit(config, zones, None)
            case SessionCap.kind, SessionCap(sessions=most) if slot == Slot(slot.device, slot.kind):
                if not 1 <= most <= _junos_screens.MOST:
                    raise _inexpressible(slot, after)
                yield _junos_screens.edit(config, zones, most)
            case Quarantine.kind, None:
                yield _junos_quarantine.edit(device, config, _junos_filters.port_of(slot), None)
            case Quarantine.kind, Quarantine(vlan=vlan):
                yield _junos_quarantine.edit(device, config, _junos_filters.port_of(slot), vlan)
            case Block.kind, _:
                pass
            case _:
                raise _inexpressible(slot, after)


def _inexpressible(slot: Slot, penalty: Penalty | None) -> DeviceError:
    return DeviceError(slot.device, f"Junos cannot express {penalty} in {slot}")


def _assumed(changes: Sequence[Change]) -> Config:
    """The statements of every `before`."""
    blocks: dict[int, list[Mac]] = defaultdict(list)
    lines: list[_junos_config.Statement] = []
    for change in changes:
        match change.before:
            case Block():
                mac, vlan = _junos_filters.station(change.slot)
                blocks[vlan].append(mac)
            case SessionCap(sessions=most):
                lines += _junos_screens.edit((), (), most).wanted
            case RateLimit(bits_per_second=bps):
                lines += _junos_filters.limit_edit((), _junos_filters.port_of(change.slot), bps).wanted
    return (*lines, *(line for vlan, macs in blocks.items() for line in _junos_filters.filter_lines(vlan, macs)))
