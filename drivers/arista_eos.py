"""Arista EOS switches: blocks and limits; EOS as a NAT gateway is not read, since nobody has shown us what it prints.

Reads
* SNMP where the site configures it (`_snmp_tables`): neighbours, forwarding table (Q-BRIDGE), interfaces, counters,
  links.
* `show mac address-table | json`, `show ip arp vrf all | json` where it does not. Stations behind Vxlan are another
  switch's and left out; so are rows that lead to the CPU, the router or nowhere. A neighbour is on the first
  interface it is told with.
* `show running-config | include ...`: static drops, access lists, our policies, what is attached where, which ports
  are switched; see `_config_lines`.

Writes, through NAPALM's configuration session; a preview is the device's own diff of a session that is aborted
* block: two sorts of lines. `mac address-table static M vlan V drop` stops what is destined for the MAC, and nothing
  else (Arista's AVD says so): alone it would leave a client without answers, but its datagrams would still go out and
  fill the gateway's table. So a MAC access list `SWITCHGUARD`, bound inbound to every switched port, denies what comes
  from it; see `_mac_list`. The list has no VLANs: while a MAC is blocked in one VLAN, its frames are dropped in all
  VLANs of those ports. A port with somebody else's inbound MAC access list is left alone; a station that is seen
  behind such a port, in the VLAN to block, cannot be blocked and is refused. Ports that become switched later get the
  list with the next block or release. The list of that name is ours alone, and so is every denial in it.
  A block is reported where the static drop stands, an administrator's included, whether or not the list denies its
  MAC; a denial without static drop is no block. The next push of any block or release brings the list in line.
* limit: policy-map `SWITCHGUARD-<port>` of type quality-of-service with a policer, attached inbound (what the client
  sends; burst of 1.5 seconds' worth), and `shape rate` on the port (what it receives), in whole kbit/s from 8 on.
* cap, on switches that translate: `ip nat translation max-entries N A`, and `... N host` for everybody by himself; see
  `_nat_caps`. A host that has reached its cap gets no new translation until it has fewer than the low mark, which is a
  share of the cap (`ip nat translation low-mark PERCENT host`): a capped client may stand still for longer than it is
  over the number. We leave that mark as it is.
* quarantine: `switchport access vlan N`, with an empty policy-map that keeps the VLAN it came from; see `_quarantine`.

Oddities: NAPALM saves after a commit (`write memory`), and keeps the *startup* configuration for its own rollback,
which we do not use. The diff is a unified one with three lines of context, so the interface of a changed line may not
be shown.
Sources: Arista AVD schema and golden configurations (static drop, access lists with address and inverse mask, police,
service-policy, shape rate, NAT); Arista on the low mark, as quoted at OpenConfig; EOS User Manual (access lists on
ports and channels); NAPALM 5 (eos.py).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from switchguard.core.changes import Change, Diff, Enforced, Facts, Slot
from switchguard.core.model import FdbEntry, Mac, Neighbor, Station
from switchguard.core.penalties import Block, Penalty, Quarantine, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from . import _candidate, _config_lines, _mac_list, _nat_caps, _port_limit, _port_names, _quarantine, _static_drop
from ._candidate import Dialect
from ._config_lines import Config, Edit, Line, Part
from ._port_limit import Wording
from ._snmp_tables import SnmpTables
from ._static_drop import TableRow

SHOW_CONFIG = "show running-config | include " + "|".join(
    (
        "^mac address-table static",
        "^policy-map|^ +class|^ +police",
        "^interface|^   service-policy|^   shape rate|^   mac access-group|^   channel-group",
        "^   switchport access vlan|^   switchport mode",
        "^   no switchport$|^   switchport$|^switchport default mode",
        "^mac access-list|^ip access-list|^ipv6 access-list|^ip nat translation max-entries",
        "^   [0-9]+ permit|^   [0-9]+ deny|^   [0-9]+ remark|^   counters per-entry|^   statistics per-entry",
        "^end",
    )
)
SHOW_MAC_TABLE = "show mac address-table | json"
SHOW_ARP = "show ip arp vrf all | json"
LEAST_KBPS = 8
"""Arista AVD schema: police rate 8 to 200,000,000 kbps."""

_POLICY = Wording("policy-map type quality-of-service ", "service-policy type qos input ")
_SHAPED = re.compile(r"shape rate (\d+) (kbps)\b")
_BPS = {"bps": 1, "kbps": 1_000, "mbps": 1_000_000}
_NO_PORTS = {"", "cpu", "drop", "router", "switch"}


class AristaEOS(SnmpTables):
    platform = "arista_eos"
    facts = Facts(
        penalties={
            Block.kind: ("mac_vlan",),
            SessionCap.kind: ("address", "everyone"),
            RateLimit.kind: ("port",),
            Quarantine.kind: ("port",),
        },
        directions="both",
        only_ipv4=frozenset({SessionCap.kind}),
        ownership="ledger",
        diff="device",
        dry_run_diff="device",
        unverified=(
            "nothing has been run on an Arista device",
            "a static drop stops frames to the MAC and not those from it, as AVD describes it",
            "an entry of a MAC access list is `10 deny M 00:00:00:00:00:00 any`, numbered from 1 to 4294967295",
            "`mac access-group ... in` sees frames that carry IP, of every VLAN, on every platform and on channels",
            "a port with an IP access list or a service-policy takes a MAC access list as well",
            "`no switchport`, or `switchport` below `switchport default mode routed`, show in the configuration",
            "an empty policy-map that is attached to nothing stays in the configuration",
            "how `show mac address-table | json` shows a static drop",
            "class class-default takes a policer, and a policer or shape rate typed again replaces the one before",
            "a cap counts the translations of an inside address, whatever their protocol and VRF",
            "for a host with a cap of its own, that one counts and not the one for all hosts",
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
        """As if exactly `before` stood in every slot. Which ports the list is bound to, only the device knows."""
        device = changes[0].slot.device if changes else ""
        listed = _list_edits(device, _before(changes), changes)
        return (*_candidate.render(_DIALECT, changes), *_config_lines.commands(listed))

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _load(session, changes, commit=False)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _load(session, changes, commit=True)


def _load(session: Session, changes: Sequence[Change], commit: bool) -> Diff:
    """The lines of every change, and every line of the access list by itself: none of them may be missing."""
    device, config = session.device.name, _candidate.read(_DIALECT, session)
    own = _candidate.due(_DIALECT, device, config, changes)
    listed = _list_edits(device, config, changes)
    _require_reach(session, config, changes)
    return _candidate.load(_DIALECT, session, (*own, *((edit,) for edit in listed)), commit)


# --- blocks ----------------------------------------------------------------------------------------------------------


def _blocks(changes: Iterable[Change]) -> list[tuple[Station, Mac, bool]]:
    """Who is blocked (True) or released (False), and where."""
    stations = ((change.slot.station, change.after) for change in changes if change.slot.kind == Block.kind)
    return [(station, station.mac, after is not None) for station, after in stations if station.mac]


def _list_edits(device: str, config: Config, changes: Sequence[Change]) -> tuple[Edit, ...]:
    blocks = _blocks(changes)
    if not blocks:
        return ()
    dropped = {slot.station for slot in _static_drop.standing(device, config)}
    dropped -= {station for station, _, blocked in blocks if not blocked}
    dropped |= {station for station, _, blocked in blocks if blocked}
    to_block = tuple(mac for _, mac, blocked in blocks if blocked)
    return _mac_list.edits(device, config, to_block, {station.mac for station in dropped if station.mac})


def _before(changes: Sequence[Change]) -> Config:
    """What stands when every slot is as the changes found it, and nobody else has configured anything."""
    blocked = [change for change in changes if change.slot.kind == Block.kind and change.before]
    drops = [part for change in blocked for part in _parts(change.slot, change.before)]
    macs = dict.fromkeys(change.slot.station.mac for change in blocked if change.slot.station.mac)
    return (*(Line(part.path, part.wants) for part in drops if part.wants), *_mac_list.lines(macs))


def _require_reach(session: Session, config: Config, changes: Sequence[Change]) -> None:
    """DeviceError when a station to block is behind a port where somebody else's access list is in the way."""
    foreign = _mac_list.foreign(config)
    wanted = {(station.vlan, mac) for station, mac, blocked in _blocks(changes) if blocked}
    if not foreign or not wanted:
        return
    device = session.device.name
    for row in _mac_table(device, session.ask(SHOW_MAC_TABLE)):
        for port in map(_port_names.long, row.ports):
            if port in foreign and (row.vlan, row.mac) in wanted:
                why = f"{row.mac} is behind {port}, which has the mac access-group {foreign[port]} of somebody else"
                raise DeviceError(device, f"{why} and takes only one inbound: what it sends could not be stopped")


# --- wording ---------------------------------------------------------------------------------------------------------


def _parts(slot: Slot, penalty: Penalty | None) -> tuple[Part, ...]:
    match slot.kind, penalty:
        case Block.kind, None | Block(by="mac"):
            return _static_drop.parts(slot, penalty, undo="no {} drop")
        case SessionCap.kind, None | SessionCap():
            return _nat_caps.parts(_nat_caps.EOS, slot, penalty)
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
    caps = _nat_caps.standing(_nat_caps.EOS, device, config)
    return {**_static_drop.standing(device, config), **caps} | {
        Slot(device, RateLimit.kind, Station(port=_eos_name(port))): RateLimit(bits_per_second)
        for port, bits_per_second in _limits(config).items()
    }


def _limits(config: Config) -> dict[str, int]:
    """Ports -> bits per second. 0 when the two directions are not limited alike: such a limit is then replaced or taken
    away. A port that is still shaped as our policy polices, which somebody has detached, has half a limit of ours."""
    attached = {port: _rate(config, port) for port in _port_limit.our_ports(_POLICY, config)}
    shaped = (line.path[0].removeprefix("interface ") for line in config if line.path and _SHAPED.match(line.text))
    halves = (port for port in shaped if not _port_limit.foreign_policy(_POLICY, config, port) and _rate(config, port))
    return {**dict.fromkeys(halves, 0), **attached}


def _rate(config: Config, port: str) -> int:
    """0 when the policy of the port and its shaper differ."""
    policers = (
        re.match(r"police rate (\d+) (bps|kbps|mbps)\b", line) for line in _port_limit.policers(_POLICY, config, port)
    )
    shapes = (_SHAPED.match(line) for line in _port_limit.lines_in((f"interface {port}",), config))
    rates = [int(found[1]) * _BPS[found[2]] for found in (*policers, *shapes) if found]
    return rates[0] if len(rates) == 2 and rates[0] == rates[1] else 0


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind == Block.kind:
        return _static_drop.obstacle(slot, config)
    if slot.kind == SessionCap.kind:
        return ""
    port = _port_names.long(slot.station.port or "")
    name = _port_limit.foreign_policy(_POLICY, config, port)
    if name:
        return f"{port} has the service-policy {name} of somebody else, and takes only one inbound"
    shaped = any(line.startswith("shape rate ") for line in _port_limit.lines_in((f"interface {port}",), config))
    ours = port in _limits(config)
    return f"{port} has a shape rate of somebody else, which a limit would overwrite" if shaped and not ours else ""


def _eos_name(port: str) -> str:
    """As EOS tells it in ifName: long, and `Port-Channel` with a second capital."""
    return _port_names.long(port).replace("Port-channel", "Port-Channel")


_QUARANTINE = _quarantine.Wording("policy-map type quality-of-service ", says_access=False, told_as=_eos_name)
_DIALECT = Dialect(SHOW_CONFIG, _parts, _standing, _obstacle, "lines", _QUARANTINE)


# --- show commands ---------------------------------------------------------------------------------------------------


def _json(device: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = next(iter(text.splitlines()[error.lineno - 1 :]), "")
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
