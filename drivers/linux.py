"""Linux gateways and bridges: netfilter's connection tracking, iproute2, an nftables table of our own.

Reads `conntrack -L -o extended` for both address families (conntrack-tools 1.4), /proc/sys/net/netfilter, `ip -j neigh`
and `bridge -j` (iproute2 4.18 or newer), and IF-MIB and LLDP-MIB over SNMP where the site configures it, else `ip -j`
and `lldpctl -f json0`. Writes with `nft -f -` (`_nft_table`) and, for limits, `tc -batch -` (`_linux_limits`); clears
sessions with `conntrack -D`.

Oddities: octet counts need net.netfilter.nf_conntrack_acct=1, and apply to sessions that begin after it was set;
`conntrack -D` leaves with status 1 when there was nothing to delete; a blocked client's sessions stay in the table
until they are deleted; net-snmp 5.9.3 goes on telling the first MAC of an address in ipNetToPhysicalTable after the
kernel has learnt another one, so neighbours are asked of the kernel where there is a shell; the kernel's forwarding
table lists the bridge's own and multicast addresses, marked `permanent` or `self`; unanswered neighbours stay for a
while as FAILED or INCOMPLETE; net-snmp has no bridge tables of its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from itertools import chain
from typing import Any, ClassVar

from switchguard.core.changes import Change, Diff, Enforced, Facts
from switchguard.core.model import (
    Address,
    FdbEntry,
    Interface,
    Link,
    NatSize,
    NatUsage,
    Neighbor,
    Network,
    PortCounters,
)
from switchguard.errors import CommandRefused, StreamLost, UnexpectedOutput
from switchguard.ports import Capture, Follows, NatTable, Session, SpeaksNetlink

from . import _conntrack_news, _iproute, _linux_kernel, _linux_limits, _netlink, _nft_table
from ._conntrack import CAPTURE, read_conntrack
from ._lines import json_of, lines_of, rows_of
from ._snmp_tables import SnmpTables

PLATFORM = "linux"
DUMP = "conntrack -L -o extended"
NAT = f"case $(conntrack -V) in *v1.[0-3].*|*v1.4.[0-6][!0-9]*) {DUMP} -f ipv4 && {DUMP} -f ipv6;; *) {DUMP};; esac"
"""Both families. conntrack-tools 1.4.7 dumps them at once; each dump makes the kernel walk through the whole table."""
SYSCTL = "/proc/sys/net/netfilter"
TIMEOUTS = f"grep -s . {SYSCTL}/nf_conntrack_*timeout*"
NAT_SIZE = f"cat {SYSCTL}/nf_conntrack_count {SYSCTL}/nf_conntrack_max"
ADDRESSES = "ip -j addr show"
NEIGHBORS = "ip -j neigh show"
FORWARDING = "bridge -j fdb show"
INTERFACES = "ip -j -s link show"
EVENTS = f"cat {SYSCTL}/nf_conntrack_events"
UPTIME = "cat /proc/uptime"
LLDP = "lldpctl -f json0"


class Linux(SnmpTables):
    platform = PLATFORM
    facts = Facts(
        penalties={
            "block": ("mac_adjacent", "address", "network"),
            "cap": ("address", "network"),
            "limit": ("address", "network"),
            "ports": ("address", "network"),
        },
        directions="source",
        ownership="named set",
        boxes=True,
    )
    captures: ClassVar[Mapping[str, Capture]] = {"conntrack": CAPTURE}

    # --- reading ---

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        """Usage per inside address. The gateway's own sessions are nobody's. Any line that is no row is an error."""
        return self.nat_table(session).usages

    def nat_table(self, session: Session) -> NatTable:
        """The same with the remote networks and ports that most sessions lead to, the gateway's own among them."""
        if isinstance(session, SpeaksNetlink) and session.speaks("netlink"):
            return _linux_kernel.table(session, self._own(session), self._timeouts(session))
        chunks = session.stream(NAT)
        begun = next(chunks, b"")  # the table is under way while the rest is asked
        own, timeouts = self._own(session), self._timeouts(session)
        table = read_conntrack(chain([begun], chunks), session.device.name, own=own, timeouts=timeouts)
        if table.unparsed:
            number, line = table.samples[0]
            what = f"{table.unparsed} lines of the NAT table are no rows, the first is line {number}"
            raise UnexpectedOutput(session.device.name, line, what)
        if not table.complete:
            raise UnexpectedOutput(session.device.name, DUMP, "a NAT table that ends in the middle of a line")
        return table

    def nat_begins(self, session: Session, tick_s: float) -> Iterator[tuple[NatUsage, ...]]:
        """From the kernel itself where we run on it, else from `conntrack -E` on a channel of its own."""
        return map(_linux_kernel.begun, self._news(session, "NEW", _netlink.GROUP_NEW, tick_s))

    def nat_ends(self, session: Session, tick_s: float) -> Iterator[tuple[NatUsage, ...]]:
        """Octets need net.netfilter.nf_conntrack_acct=1 when the session begins."""
        return self._news(session, "DESTROY", _netlink.GROUP_DESTROY, tick_s)

    def _news(self, session: Session, event: str, group: int, tick_s: float) -> Iterator[tuple[NatUsage, ...]]:
        own, timeouts = self._own(session), self._timeouts(session)
        if session.ask(EVENTS).strip() == "0":
            raise StreamLost(session.device.name, "net.netfilter.nf_conntrack_events is 0: the kernel tells no events")
        if isinstance(session, SpeaksNetlink) and session.speaks("netlink"):
            return _linux_kernel.news(session, group, own, timeouts, tick_s)
        if isinstance(session, Follows):
            chunks = session.follow(_conntrack_news.command(event), tick_s)
            return _conntrack_news.read_news(chunks, session.device.name, own, timeouts)
        raise StreamLost(session.device.name, "this session cannot follow a command")

    def _own(self, session: Session) -> frozenset[Address]:
        return _iproute.own_addresses(session, rows_of(session, session.ask(ADDRESSES)))

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        """Idle times as if the gateway had Linux's own timeouts."""
        return read_conntrack(chunks, PLATFORM, inside=inside)

    def nat_size(self, session: Session) -> NatSize:
        match lines_of(session, session.ask(NAT_SIZE)):
            case [entries, limit] if entries.isdecimal() and limit.isdecimal():
                return NatSize(session.device.name, int(entries), int(limit) or None)
            case lines:
                raise UnexpectedOutput(session.device.name, "; ".join(lines), "not the two numbers of conntrack's size")

    def _timeouts(self, session: Session) -> Mapping[str, int]:
        """nf_conntrack's own settings, `tcp_timeout_established` -> seconds; none where they cannot be read."""
        try:
            lines = lines_of(session, session.ask(TIMEOUTS))
        except CommandRefused:
            return {}
        return dict(_timeout(session, line) for line in lines)

    def arp(self, session: Session) -> tuple[Neighbor, ...]:
        return self.cli_arp(session) if session.speaks("cli") else super().arp(session)

    def cli_arp(self, session: Session) -> tuple[Neighbor, ...]:
        return tuple(_iproute.neighbors(session, rows_of(session, session.ask(NEIGHBORS))))

    def fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return self.cli_fdb(session) if session.speaks("cli") else super().fdb(session)

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return tuple(_iproute.stations(session, rows_of(session, session.ask(FORWARDING))))

    def cli_interfaces(self, session: Session) -> tuple[Interface, ...]:
        return tuple(_iproute.interfaces(session, self._links(session)))

    def cli_counters(self, session: Session, at: datetime) -> tuple[PortCounters, ...]:
        return tuple(_iproute.counters(session, self._links(session), at, self._uptime_s(session)))

    def cli_links(self, session: Session) -> tuple[Link, ...]:
        return tuple(_iproute.lldp_neighbors(session, json_of(session, session.ask(LLDP))))

    def _links(self, session: Session) -> list[dict[str, Any]]:
        return rows_of(session, session.ask(INTERFACES))

    def _uptime_s(self, session: Session) -> float:
        lines = lines_of(session, session.ask(UPTIME))
        found = re.fullmatch(r"(\d+\.\d+) \d+\.\d+", lines[0]) if len(lines) == 1 else None
        if not found:
            raise UnexpectedOutput(session.device.name, "; ".join(lines), "no uptime")
        return float(found[1])

    # --- writing ---

    def enforced(self, session: Session) -> Enforced:
        return _linux_limits.enforced(session)

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """The script for nftables, with every limit policed: where it can be shaped, only the gateway knows."""
        return _nft_table.script(changes)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _linux_limits.preview(session, changes)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _linux_limits.push(session, changes)

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        """Sessions that these addresses and subnets began. Each costs a walk of the whole table on the gateway: in the
        kernel alone where that honours our filter, else with all of it passed to conntrack (ten times as long)."""
        return sum(self._clear(session, address) for address in addresses)

    def _clear(self, session: Session, source: Address | Network) -> int:
        if isinstance(source, IPv4Address | IPv6Address) and isinstance(session, SpeaksNetlink):
            cleared = _linux_kernel.clear(session, source) if session.speaks("netlink") else None
            if cleared is not None:
                return cleared
        command = f"conntrack -D -f ipv{source.version} -s {source}"
        try:
            return sum(chunk.count(b"\n") for chunk in session.stream(command))
        except CommandRefused as error:
            if " 0 flow entries" in error.answer:
                return 0
            raise


def _timeout(session: Session, line: str) -> tuple[str, int]:
    path, _, seconds = line.partition(":")
    name = path.rpartition("/nf_conntrack_")[2]
    if not name.isidentifier() or not seconds.isdecimal():
        raise UnexpectedOutput(session.device.name, line, "no timeout of nf_conntrack")
    return name, int(seconds)
