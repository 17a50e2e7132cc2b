"""FortiGate firewalls, FortiOS 6.4 and newer for writing: sessions, neighbours, deny groups, and shapers per address.

Reads
* `diagnose sys session list`, or `get system session list` where the user's profile has no diagnosis: see
  `_fortios_sessions`; without a command line fgIpSessTable (FORTINET-FORTIGATE-MIB), which knows no translations.
* fgSysSesCount for the size. A limit is not told; it depends on the model and on what else needs memory.
* SNMP where the site configures it (`_snmp_tables`), else `get system arp`. The template of ntc-templates takes any
  word for a MAC.
* `show firewall ...`: the tables that are written to, and the policies.

Writes
* block: an address of type mac, a single address, or a subnet, made a member of the address group `switchguard`. The
  administrator's own deny policy, before those that accept, has that group for its source; without it nothing would be
  in force, and nothing is written. FortiOS keeps no empty group: it needs one member more (`none` does). Members come
  and go by `append` and `unselect`, which leave others alone. A MAC is known on links of the firewall's own only. For
  addresses of IPv6 there is a group of the same name among `firewall addrgrp6`, which the policy has as `srcaddr6`.
* limit and cap on sessions per address: one per-ip-shaper with `max-bandwidth` and `max-concurrent-session`, and one
  shaping policy for it before all others. The first shaping policy that fits is the only one that counts, so both
  penalties of a client share it. The bandwidth is both directions' together.
* not written: `diagnose user banned-ip`. The group does the same, and can be read back. What the list of bans prints
  for one without an end, for IPv6 and when it is empty is documented nowhere; the firewall's own bans come and go in
  it, so that it can be checked against its count (`stat`) only by luck, and a bad reading would leave everything else
  unread; a ban has no name, and is forgotten at a restart.

Oddities: every command is of the VDOM that the user is in. On a firewall with several, the account must belong to the
one that has the clients: outside of a VDOM these commands are refused. netmiko sets `output standard` of the system
console where it is `more`, and resets it at the end, so that even reading writes a line there. Lines take effect at the
`end` of their table, and are kept then (`cfg-save automatic`).
Sources: FortiOS CLI Reference 6.4 and 7.0 (firewall address, address6, addrgrp, addrgrp6, policy, shaper per-ip-shaper,
shaping-policy), Administration Guide 7.4 (IP ban using the CLI); Fortinet's technical tip on multi-option values.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import ClassVar

from switchguard.core.changes import Facts
from switchguard.core.model import Address, Mac, NatSize, NatUsage, Neighbor, Network
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import CommandRefused, NotConfigured, UnexpectedOutput
from switchguard.ports import Capture, NatTable, Oid, Session

from . import _fortios_sessions
from ._captured import require_whole_rows
from ._fortios_edits import DIALECT, Config
from ._nat_tally import Entry as Translation
from ._nat_tally import summarize
from ._rows import rows
from ._snmp import bad_value, no_table, numbers_of, octets_of, require_length
from ._snmp_tables import SnmpTables
from ._typed import Dialect, Typed

SESSIONS, SESSION_ROWS = "diagnose sys session list", "get system session list"
FILTER = "diagnose sys session filter"
SESSION_COUNT: Oid = "1.3.6.1.4.1.12356.101.4.1.8.0"
SESSION_TABLE: Oid = "1.3.6.1.4.1.12356.101.11.2.1.1"
_ARP_HEADING = re.compile(r"Address +Age\(min\) +Hardware Addr +Interface")
_ARP_ROW = re.compile(r"(\d+(?:\.\d+){3}) +(\d+) +([0-9a-f]{2}(?::[0-9a-f]{2}){5}) +(\S+)")


class Fortinet(Typed, SnmpTables):
    platform = "fortinet"
    facts = Facts(
        penalties={
            Block.kind: ("mac_adjacent", "address", "network"),
            RateLimit.kind: ("address",),
            SessionCap.kind: ("address",),
        },
        directions="source",
        ownership="named set",
        unverified=(
            "nothing has been run on a FortiGate; lines follow the CLI Reference",
            "a shaping policy without source interfaces counts for all of them",
            "org and reply of statistic are what the session's initiator sent and received",
            "the session filter counts for the terminal that set it, and for no other",
            "abort leaves a table that was edited in part, without effect",
            "a group takes MACs and addresses together",
            "a session that stands is looked at again when its client becomes a member of a denied group",
        ),
    )
    captures: ClassVar[Mapping[str, Capture]] = {
        "sessions": _fortios_sessions.DETAILED,
        "list": _fortios_sessions.LISTED,
    }

    # --- reading -----------------------------------------------------------------------------------------------------

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        if session.speaks("snmp") and not session.speaks("cli"):
            return _over_snmp(session)
        session.ask(f"{FILTER} clear")
        try:
            return _detailed(session).usages
        except CommandRefused:
            return _strict(session, _fortios_sessions.read_listed([session.ask(SESSION_ROWS).encode()], _name(session)))

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        read = _fortios_sessions.read_detailed if table == "sessions" else _fortios_sessions.read_listed
        return read(chunks, self.platform, inside)

    def nat_size(self, session: Session) -> NatSize:
        if not session.speaks("snmp"):
            raise NotConfigured(_name(session), "the size is read over SNMP, and the site gives no SNMP access")
        count = session.get([SESSION_COUNT])[SESSION_COUNT]
        if count is None:
            raise no_table(session, SESSION_COUNT, "count of sessions")
        if not isinstance(count, int):
            raise bad_value(session, SESSION_COUNT, (), count)
        return NatSize(_name(session), count, None)

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_arp(_name(session), session.ask("get system arp")))

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect[Config]:
        return DIALECT

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        """Of IPv4. Without a filter, `clear` would forget everybody's: it is only typed when the filter shows nobody
        else's sessions."""
        return sum(_forget(session, whose) for whose in addresses if whose.version == 4)


def _name(session: Session) -> str:
    return session.device.name


# --- sessions --------------------------------------------------------------------------------------------------------


def _detailed(session: Session) -> NatTable:
    text = session.ask(SESSIONS)
    found = _fortios_sessions.read_detailed([text.encode()], _name(session))
    _strict(session, found)
    _fortios_sessions.require_total(_name(session), text, found.entries)
    return found


def _strict(session: Session, found: NatTable) -> tuple[NatUsage, ...]:
    require_whole_rows(_name(session), found)
    if not found.entries:
        raise UnexpectedOutput(_name(session), "", "a list without a session")
    return found.usages


def _over_snmp(session: Session) -> tuple[NatUsage, ...]:
    """fgIpSessProto, FromAddr, ToAddr, ToPort. Rows come and go between the walks."""
    columns = [f"{SESSION_TABLE}.{column}" for column in (2, 3, 5, 6)]
    protocols, ports = numbers_of(session, columns[0]), numbers_of(session, columns[3])
    source, destination = octets_of(session, columns[1]), octets_of(session, columns[2])
    for column, found in zip(columns, (protocols.keys(), source.keys(), destination.keys(), ports.keys()), strict=True):
        require_length(session, column, found, 1)
    whole = protocols.keys() & source.keys() & destination.keys() & ports.keys()
    if not whole:
        raise no_table(session, SESSION_TABLE, "table of sessions")
    return summarize(
        _name(session),
        (
            _translation(session, protocols[index], source[index], destination[index], ports[index])
            for index in sorted(whole)
        ),
    )


def _translation(session: Session, protocol: int, source: bytes, destination: bytes, port: int) -> Translation:
    for octets in (source, destination):
        if len(octets) != 4:
            raise bad_value(session, SESSION_TABLE, (), octets)
    name = {1: "icmp", 6: "tcp", 17: "udp"}.get(protocol, str(protocol))
    return Translation(source, name, destination, port if name in ("tcp", "udp") else None)


def _forget(session: Session, whose: Address | Network) -> int:
    """How many sessions went."""
    words = f"{whose}" if isinstance(whose, Address) else f"{whose.network_address} {whose.broadcast_address}"
    session.ask(f"{FILTER} clear")
    session.ask(f"{FILTER} src {words}")
    try:
        count = _only_of(session, session.ask(SESSIONS), whose)
        if count:
            session.ask("diagnose sys session clear")
    finally:
        session.ask(f"{FILTER} clear")
    return count


def _only_of(session: Session, text: str, whose: Address | Network) -> int:
    """How many sessions a list has. UnexpectedOutput if anybody else began one of them."""
    for source in _fortios_sessions.sources(text):
        if source != whose if isinstance(whose, Address) else source not in whose:
            raise UnexpectedOutput(
                _name(session), str(source), f"a session of somebody else's, filtered for {whose}, of"
            )
    found = _fortios_sessions.read_detailed([text.encode()], _name(session))
    if found.unparsed:
        raise UnexpectedOutput(_name(session), found.samples[0][1])
    _fortios_sessions.require_total(_name(session), text, found.entries)
    return found.entries


def _arp(device: str, text: str) -> Iterator[Neighbor]:
    for row in rows(device, text, _ARP_ROW, _ARP_HEADING):
        try:
            yield Neighbor(device, row[4], IPv4Address(row[1]), Mac.parse(row[3]))
        except ValueError:
            raise UnexpectedOutput(device, row[0]) from None
