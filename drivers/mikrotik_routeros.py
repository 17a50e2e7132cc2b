"""MikroTik RouterOS 6.45 to 7: gateways with connection tracking, routers and switches with a bridge.

Reads
* `/ip firewall connection print detail`: see `_routeros_connections`; `/ip firewall connection tracking print` for the
  size. No MIB of MikroTik's has either.
* SNMP where the site configures it (`_snmp_tables`); else `/interface bridge host`, `/ip arp`, `/ipv6 neighbor`,
  `/interface` and `/ip neighbor`, which knows LLDP, CDP and MikroTik's own protocol.
* the lists below, each as a whole: what stands before our rules decides whether they are ever reached.

Writes, each rule with a comment like `switchguard:block:02:00:00:00:00:07`, before everybody else's in its list
* block by MAC: `/interface bridge filter`, from and to the MAC, for what is bridged; on a switch whose ports are
  hardware offloaded, `/interface ethernet switch rule` as well, from and to the MAC, for what the chip forwards by
  itself; `/ip firewall raw` and `/ipv6 firewall raw` with `src-mac-address` for what is routed, which therefore needs
  the client on a link of its own.
* block by address or subnet: `/ip[v6] firewall raw` with `src-address`.
* limit per address: `/queue simple` with the same `max-limit` both ways.
* cap on sessions per address: `/ip[v6] firewall filter` with `connection-limit`, for new sessions.

Oddities: adding is not idempotent, removing by comment is. Everything is kept at once, nothing has to be saved. Frames
that a switch chip forwards pass no bridge filter. Where such a chip has no rules (most small ones), or the `acl` of
CRS1xx and CRS2xx instead, a block on the switch is refused (`hw=no` on the ports), and so is one that might not fit
(`_routeros_chips`); while rules of a chip are changed, none of them is in force for a moment. On a gateway no rules of
chips are written: what it routes passes `raw`. Connections that are fasttracked pass no queue: a limit is refused while
there is such a rule; a block holds for them only when the sessions are cleared. A router without the package for IPv6
has no such lists. netmiko adds `+ct511w4098h` to the name of the user, which not every RADIUS server likes.
Sources: help.mikrotik.com: Filter, Raw, Connection tracking, Queues, Bridging and Switching, Switch Chip Features,
Marvell Prestera (CRS3xx) switch chip features, Scripting.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import ClassVar

from switchguard.core.changes import Facts
from switchguard.core.model import (
    Address,
    FdbEntry,
    Interface,
    Link,
    Mac,
    NatSize,
    NatUsage,
    Neighbor,
    Network,
)
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Capture, NatTable, Session

from . import _routeros_connections
from ._captured import require_whole_rows
from ._routeros_print import Row, asked, fields, listed, listed_if_known, put_together
from ._routeros_rules import DIALECT, Config
from ._snmp_tables import SnmpTables
from ._typed import Dialect, Typed

CONNECTIONS = "/ip firewall connection print detail without-paging"
SIZE = "/ip firewall connection tracking print without-paging"
HOSTS = "/interface bridge host print terse without-paging"
ARP = "/ip arp print terse without-paging"
NEIGHBORS = "/ipv6 neighbor print terse without-paging"
INTERFACES = "/interface print terse without-paging"
DISCOVERED = "/ip neighbor print detail without-paging"
_DISCOVERED = re.compile(r"\s*\d+\s+([A-Z]*)\s*(interface=.*)")
_PAIRS = re.compile(r'(?:[a-z][a-z0-9-]*=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$))+')
_CAPABILITIES = {
    "bridge": "bridge",
    "router": "router",
    "wlan-ap": "wlan-access-point",
    "telephone": "telephone",
    "station-only": "station-only",
}
_SETTING = re.compile(r"\s*([a-z0-9-]+): ?(.*)")


class MikrotikRouteros(Typed, SnmpTables):
    platform = "mikrotik_routeros"
    facts = Facts(
        penalties={
            Block.kind: ("mac_device", "address", "network"),
            RateLimit.kind: ("address",),
            SessionCap.kind: ("address",),
        },
        directions="source",
        ownership="comment",
        unverified=(
            "nothing has been run on a RouterOS device; lines follow MikroTik's documentation",
            "connection-limit caps sessions of UDP too",
            "octets of fasttracked packets are not part of orig-bytes and repl-bytes",
            "the number in place-before is that of the last print",
            "a print and a :put in one line print one after the other",
            "ports whose frames the switch chip forwards have the flag H",
            "a rule of a switch chip may be put before dynamic ones, and shows new-dst-ports only where it has any",
        ),
    )
    captures: ClassVar[Mapping[str, Capture]] = {"connections": _routeros_connections.CAPTURE}

    # --- reading -----------------------------------------------------------------------------------------------------

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        text = "".join(f"{line}\n" for line in asked(session, CONNECTIONS))
        device = session.device.name
        return require_whole_rows(device, _routeros_connections.read([text.encode()], device)).usages

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        return _routeros_connections.read(chunks, self.platform, inside)

    def nat_size(self, session: Session) -> NatSize:
        device, told = session.device.name, {}
        for line in filter(str.strip, asked(session, SIZE)):
            if not (found := _SETTING.fullmatch(line.rstrip())):
                raise UnexpectedOutput(device, line)
            told[found[1]] = found[2].replace(" ", "")
        sizes = [told.get(key, "") for key in ("total-entries", "max-entries")]
        if not all(size.isdecimal() for size in sizes):
            raise UnexpectedOutput(device, str(told), "no total-entries and max-entries in")
        return NatSize(device, int(sizes[0]), int(sizes[1]))

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        device = session.device.name
        return tuple(_station(device, row) for row in listed(session, HOSTS) if _is_learned(row))

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        """ND too, on a router that has it."""
        told = (*listed(session, ARP), *(listed_if_known(session, NEIGHBORS) or ()))
        found = (_neighbor(session.device.name, row) for row in told if row.in_force)
        return tuple(neighbor for neighbor in found if neighbor is not None)

    def cli_interfaces(self, session: Session) -> tuple[Interface, ...]:
        device = session.device.name
        return tuple(_interface(device, row) for row in listed(session, INTERFACES))

    def cli_links(self, session: Session) -> tuple[Link, ...]:
        """A switch that nobody has announced himself to yet has none."""
        device = session.device.name
        return tuple(
            _link(device, line, text) for line, _, text in put_together(asked(session, DISCOVERED), _DISCOVERED)
        )

    # --- writing -----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> Dialect[Config]:
        return DIALECT

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        """Of IPv4; those of a subnet address by address. Sessions of IPv6 are in nobody's NAT table."""
        wanted = [it for it in addresses if it.version == 4]
        networks = [it for it in wanted if not isinstance(it, Address)]
        alone: set[Address] = {it for it in wanted if isinstance(it, Address)}
        if networks:
            alone |= {usage.address for usage in self.nat(session) if any(usage.address in it for it in networks)}
        return sum(_forget(session, address) for address in sorted(alone, key=int))


def _forget(session: Session, address: Address) -> int:
    """With the port behind a colon (RouterOS 6), and without (RouterOS 7, and protocols without ports)."""
    gone = 0
    for whose in (f'src-address~"^{address}:"', f'src-address="{address}"'):
        found = f"/ip firewall connection find {whose}"
        count = session.ask(f":put [:len [{found}]]").strip()
        if not count.isdecimal():
            raise UnexpectedOutput(session.device.name, count, "no count of connections in")
        if int(count):
            session.ask(f"/ip firewall connection remove [find {whose}]")
        gone += int(count)
    return gone


# --- tables ----------------------------------------------------------------------------------------------------------


def _is_learned(row: Row) -> bool:
    """Or somebody's static entry; not one of the device's own addresses (L)."""
    return row.in_force and "L" not in row.flags


def _station(device: str, row: Row) -> FdbEntry:
    told = row.fields
    port, vlan = told.get("on-interface") or told.get("interface", ""), told.get("vid", "")
    if not port or not (vlan.isdecimal() or not vlan) or int(vlan or 0) > 4094:
        raise UnexpectedOutput(device, str(dict(told)), "no forwarding entry")
    return FdbEntry(device, port, _mac(device, row), int(vlan) if vlan else None, "D" not in row.flags)


def _neighbor(device: str, row: Row) -> Neighbor | None:
    """None for one that did not answer."""
    told = row.fields
    if "mac-address" not in told or told.get("status") in ("failed", "incomplete"):
        return None
    try:
        address = ip_address(told["address"])
    except (KeyError, ValueError):
        raise UnexpectedOutput(device, str(dict(told)), "no neighbour") from None
    mac = _mac(device, row)
    return Neighbor(device, told.get("interface", ""), address, mac) if mac.value else None


def _interface(device: str, row: Row) -> Interface:
    told = row.fields
    if not told.get("name") or ("mac-address" not in told and "type" not in told):
        raise UnexpectedOutput(device, str(dict(told)), "no interface")
    mac = _mac(device, row) if "mac-address" in told else None
    up = "R" in row.flags and "X" not in row.flags
    return Interface(device, told["name"], row.number, mac if mac and mac.value else None, told.get("comment", ""), up)


def _link(device: str, line: str, text: str) -> Link:
    """The port is the first of the interfaces that heard the neighbour; the bridge that it is in comes after it."""
    told = fields(text) if _PAIRS.fullmatch(text) else {}
    port = told.get("interface", "").partition(",")[0]
    if not port:
        raise UnexpectedOutput(device, line)
    words = told.get("system-caps-enabled", "").split(",")
    capabilities = frozenset(_CAPABILITIES[word] for word in words if word in _CAPABILITIES)
    chassis = _mac(device, Row(0, frozenset(), told)) if "mac-address" in told else None
    return Link(device, port, told.get("identity", ""), capabilities, chassis)


def _mac(device: str, row: Row) -> Mac:
    try:
        return Mac.parse(row.fields.get("mac-address", ""))
    except ValueError:
        raise UnexpectedOutput(device, str(dict(row.fields)), "no MAC address in") from None
