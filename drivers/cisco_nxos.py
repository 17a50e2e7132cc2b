"""Cisco NX-OS, Nexus 3000 to 9000: blocks and limits. Its address translation is not read: nobody has shown us how.

Reads
* `show mac address-table`: its flags, and rows that lead to the CPU, to a router or nowhere. SNMP only where there is
  no command line: like other Cisco switches, it keeps one BRIDGE-MIB per VLAN (`_vlan_bridges`).
* `show ip arp vrf all`, without incomplete rows and the switch's own (age `-`).
* SNMP where the site configures it (`_snmp_tables`) for interfaces, counters, links and neighbours.
* `show running-config | egrep "..."`, and the same once more with `| count`: the configuration has no end that could
  be told from a lost connection.

Commands go over SSH, or with `napalm: {transport: https}` over NX-API (`feature nxapi`), which answers them with the
same text. Its certificate is verified; `ca_file` may hold the switch's own.

A vPC pair is one place, once the site says `mlag_peer` on both: a station on a port-channel of both peers is in the
tables of both. One on a port of one peer only is shown by the other on `vPC Peer-Link`, which is no place of its own.
A block goes to both peers in either case, as traffic may cross both.

Writes, through NAPALM's merge candidate over SSH or NX-API
* block: `mac address-table static M vlan V drop` (Nexus 3548 Layer 2 Configuration Guide), taken back without the word
  drop. A MAC access list for the source is not written: it sees packets of IP only below `mac packet-classify`, which
  takes IP access lists out of force on that port.
* limit: policy-map of type qos `SWITCHGUARD-<port>`, attached inbound: what the client sends. The form of the policer
  is the full one, which is how it is shown: rate in bps, burst in ms.

Oddities: NAPALM computes the diff of a merge by itself, from the running configuration; the device says nothing. Before
each commit it makes a checkpoint file, after it a copy to the startup configuration. After a line that NX-API refuses
it goes back to that checkpoint as a whole. Over NX-API it would accept any certificate, so it gets a transport of ours
(edge/session_nxapi.py).
Sources: configuration guides as named; the NX-API CLI chapter of the Nexus 9000 Programmability Guide; batfish and
public configurations (police); recordings of genieparser; NAPALM 5 (nxos.py, nxos_ssh.py).
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from switchguard.core.changes import Enforced, Facts, Slot
from switchguard.core.model import PEER_LINK, FdbEntry, Mac, Neighbor, Station
from switchguard.core.penalties import Block, Penalty, RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from . import _port_limit, _port_names, _static_drop, _vlan_bridges
from ._candidate import Dialect
from ._cisco_switch import SHOW_MAC_TABLE, CiscoSwitch
from ._config_lines import Config, Part
from ._port_limit import Wording
from ._rows import rows
from ._static_drop import TableRow

SHOW_CONFIG = (
    'show running-config | egrep "^mac address-table static|^policy-map|^ +class|^ +police|^interface|^ +service-policy'
    '|^vlan configuration|^control-plane|^system qos"'
)
COUNT_CONFIG = f"{SHOW_CONFIG} | count"
SHOW_ARP = "show ip arp vrf all"
LEAST_BPS = 8_000

_POLICY = Wording("policy-map type qos ", "service-policy type qos input ")
_MAC = r"[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}"


class CiscoNXOS(CiscoSwitch):
    platform = "cisco_nxos"
    facts = Facts(
        penalties={Block.kind: ("mac_vlan",), RateLimit.kind: ("port",)},
        directions="both",
        ownership="ledger",
        unverified=(
            "nothing has been run on a Nexus switch; the lines follow Cisco's guides and public configurations",
            "a static drop stops frames from the MAC as well as frames to it: no guide says so",
            "of a vPC pair, both peers have to be configured, and neither learns a MAC anew that it is told to drop",
            "over NX-API, cli_ascii takes the same pipes as a terminal",
            "egrep takes alternatives in quotes, and its lines can be counted by another pipe",
            f"a policer goes down to {LEAST_BPS} bit/s, and class class-default takes one",
            "a policer that is typed again replaces the one before",
        ),
    )

    # --- reading -----------------------------------------------------------------------------------------------------

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        if session.speaks("cli"):
            return self.cli_fdb(session)
        return _vlan_bridges.fdb(session) if _vlan_bridges.has_vlans(session) else super().fdb(session)

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        """With the stations of the vPC peer: behind the link to it, in the VLANs that both have."""
        device = session.device.name
        table = _mac_table(device, session.ask(SHOW_MAC_TABLE), beside=True)
        return tuple(FdbEntry(device, port, row.mac, row.vlan, row.static) for row in table for port in row.ports)

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_arp(session.device.name, session.ask(SHOW_ARP)))

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect:
        return _DIALECT

    def mac_table(self, device: str, text: str) -> tuple[TableRow, ...]:
        return _mac_table(device, text)


# --- wording ---------------------------------------------------------------------------------------------------------


def _parts(slot: Slot, penalty: Penalty | None) -> tuple[Part, ...]:
    match slot.kind, penalty:
        case Block.kind, None | Block(by="mac"):
            return _static_drop.parts(slot, penalty, undo="no {}")
        case RateLimit.kind, None:
            return _port_limit.parts(_POLICY, slot, None)
        case RateLimit.kind, RateLimit(bits_per_second=bps) if bps >= LEAST_BPS:
            return _port_limit.parts(_POLICY, slot, f"police cir {bps} bps bc 200 ms conform transmit violate drop")
    raise DeviceError(slot.device, f"NX-OS cannot express {penalty} in {slot}")


_UNIT_BPS = {"bps": 1, "kbps": 1_000, "mbps": 1_000_000, "gbps": 1_000_000_000}
_POLICER = re.compile(r"police (?:cir )?(\d+) (bps|kbps|mbps|gbps)\b.*")


def _standing(device: str, config: Config) -> Enforced:
    return _static_drop.standing(device, config) | {
        Slot(device, RateLimit.kind, Station(port=_nx_name(port))): RateLimit(_rate(config, port))
        for port in _port_limit.our_ports(_POLICY, config)
    }


def _rate(config: Config, port: str) -> int:
    """0 for a policy of ours without a policer that we understand: it is then replaced or taken away."""
    found = [_POLICER.fullmatch(line) for line in _port_limit.policers(_POLICY, config, port)]
    return next((int(it[1]) * _UNIT_BPS[it[2]] for it in found if it), 0)


def _obstacle(slot: Slot, config: Config) -> str:
    if slot.kind == Block.kind:
        return _static_drop.obstacle(slot, config)
    port = _port_names.long(slot.station.port or "")
    name = _port_limit.foreign_policy(_POLICY, config, port)
    return f"{port} has the service-policy {name} of somebody else, and takes only one inbound" if name else ""


def _nx_name(port: str) -> str:
    """As NX-OS tells it in ifName: long, `port-channel` in small letters, and mgmt0."""
    return _port_names.long(port).replace("Port-channel", "port-channel").replace("Management", "mgmt")


_DIALECT = Dialect(SHOW_CONFIG, _parts, _standing, _obstacle, "typed", count=COUNT_CONFIG)


# --- show commands ---------------------------------------------------------------------------------------------------

_TABLE_HEADING = re.compile(r"\s*VLAN(?:/BD)? +MAC Address +Type +age +Secure +NTFY +Ports(?:/SWID\.SSID\.LID)?")
_TABLE_ROW = re.compile(
    rf"\s*([*+GCO~E]*) *(\d+|-) +({_MAC}) +(dynamic|static|secure) +(?:\d+|-|NA|~~~) +[TF~]+ +[TF~]+ +(\S.*)",
    re.IGNORECASE,
)
_TABLE_NOISE = re.compile(
    r"\s*Note: MAC table entries displayed are getting read from software\."
    r"|\s*Use the 'hardware-age' keyword to get information related to 'Age'"
    r"|\s*Legend:|\s*\* - primary entry, G - Gateway MAC, .*|\s*age - seconds since last seen,\+ - primary entry .*"
    r"|\s*\(T\) - True, \(F\) - False *,.*|\s*-+(?:\+-+)+|\s+"
)
_NOWHERE = re.compile(r"Drop(?: \(\S+\))?|sup-eth\d+\(R\)(?: \(\S+\))?|\(R\)|vPC Peer-Link(?:\(R\))?|nve\d+\(\S+\)")
"""Where no station of this switch's own can be: the CPU, a router, nowhere, the vPC peer, the far end of a tunnel."""


def _mac_table(device: str, text: str, beside: bool = False) -> tuple[TableRow, ...]:
    """Every row. Those of gateway MACs (`G`) are of the switch and its peers. `beside`: the link to the peer counts."""
    found = rows(device, text, _TABLE_ROW, _TABLE_HEADING, _TABLE_NOISE)
    return tuple(_table_row(device, row, beside) for row in found)


def _table_row(device: str, row: re.Match[str], beside: bool) -> TableRow:
    flags, vlan, mac, sort, where = row.groups()
    if not _NOWHERE.fullmatch(where) and not _port_names.is_port(where):
        raise UnexpectedOutput(device, row[0])
    static = sort.lower() != "dynamic"
    return TableRow(
        Mac.parse(mac),
        int(vlan) if vlan.isdigit() else None,
        static,
        static and where.startswith("Drop"),
        () if "G" in flags.upper() else _ports(where, beside),
    )


def _ports(where: str, beside: bool) -> tuple[str, ...]:
    if where == PEER_LINK and beside:
        return (PEER_LINK,)
    return (_nx_name(where),) if _port_names.is_port(where) else ()


_ARP_HEADING = re.compile(r"\s*Address +Age +MAC Address +Interface +Flags")
_ARP_ROW = re.compile(rf"\s*(\d+(?:\.\d+){{3}}) +(\S+) +({_MAC}|INCOMPLETE) +(\S+)(?: +[-+*#A-Z ]+)?", re.IGNORECASE)
_ARP_TOTAL = re.compile(r"\s*Total number of entries: (\d+)")
_ARP_NOISE = re.compile(
    r"\s*Flags: \* - Adjacencies learnt on non-active FHRP router"
    r"|\s*(?:\+|#|CP|PS|RO|D) - [A-Z][\w -]*(?:, [\w ]+)*|\s*IP ARP Table for (?:all contexts|context \S+)|\s+"
)


def _arp(device: str, text: str) -> Iterator[Neighbor]:
    """UnexpectedOutput unless there are as many rows as the heading says; static ones (age `-`) may not be in it."""
    total, found, static = None, 0, 0
    for raw in text.splitlines():
        line = raw.rstrip()
        if said := _ARP_TOTAL.fullmatch(line):
            total = (total or 0) + int(said[1])
        elif row := _ARP_ROW.fullmatch(line):
            found += 1
            static += row[2] == "-"
            yield from _neighbor(device, row)
        elif line and not _ARP_HEADING.fullmatch(line) and not _ARP_NOISE.fullmatch(line):
            raise UnexpectedOutput(device, raw)
    if total not in (found, found - static):
        raise UnexpectedOutput(device, text.strip()[-80:], f"{found} rows of {total} in the neighbour table")


def _neighbor(device: str, row: re.Match[str]) -> Iterator[Neighbor]:
    """Nothing for an incomplete row, and for the switch's own."""
    address, age, mac, interface = row.groups()
    if not _port_names.is_port(interface):
        raise UnexpectedOutput(device, row[0])
    if age == "-" or mac.upper() == "INCOMPLETE":
        return
    try:
        yield Neighbor(device, _nx_name(interface), IPv4Address(address), Mac.parse(mac))
    except ValueError:
        raise UnexpectedOutput(device, row[0]) from None
