"""Linux gateways, whatever filters there: netfilter's connection tracking, over a shell or, on this machine, netlink.

Oddities: octet counts need net.netfilter.nf_conntrack_acct=1, and apply to sessions that begin after it was set;
`conntrack -D` leaves with status 1 when there was nothing to delete.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import chain
from shlex import quote
from typing import ClassVar

from switchguard.core.model import Address, NatSize, NatUsage, Network
from switchguard.errors import CommandRefused, StreamLost, UnexpectedOutput
from switchguard.ports import Capture, Follows, NatTable, Session, SpeaksNetlink, Tick

from . import _conntrack_news, _iproute, _linux_kernel, _netlink
from ._conntrack import CAPTURE, read_conntrack
from ._kernel_tables import KernelTables
from ._lines import lines_of, rows_of

DUMP = "conntrack -L -o extended"
NAT = f"case $(conntrack -V) in *v1.[0-3].*|*v1.4.[0-6][!0-9]*) {DUMP} -f ipv4 && {DUMP} -f ipv6;; *) {DUMP};; esac"
"""Both families. conntrack-tools 1.4.7 dumps them at once; each dump makes the kernel walk through the whole table."""
SYSCTL = "/proc/sys/net/netfilter"
TIMEOUTS = f"grep -s . {SYSCTL}/nf_conntrack_*timeout*"
NAT_SIZE = f"cat {SYSCTL}/nf_conntrack_count {SYSCTL}/nf_conntrack_max"
ADDRESSES = "ip -j addr show"
EVENTS = f"cat {SYSCTL}/nf_conntrack_events"


class ConnectionTracking(KernelTables):
    platform: str
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

    def nat_begins(self, session: Session, tick_s: float) -> Iterator[Tick]:
        """From the kernel itself where we run on it, else from `conntrack -E` on a channel of its own."""
        return map(_linux_kernel.begun, self._news(session, "NEW", _netlink.GROUP_NEW, tick_s))

    def nat_ends(self, session: Session, tick_s: float) -> Iterator[Tick]:
        """Octets need net.netfilter.nf_conntrack_acct=1 when the session begins."""
        return self._news(session, "DESTROY", _netlink.GROUP_DESTROY, tick_s)

    def _news(self, session: Session, event: str, group: int, tick_s: float) -> Iterator[Tick]:
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
        return read_conntrack(chunks, self.platform, inside=inside)

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

    # --- forgetting ---

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        """Sessions that these addresses and subnets began. Each costs a walk of the whole table on the gateway: in the
        kernel alone where that honours our filter, else with all of it passed to conntrack (ten times as long)."""
        return sum(self._clear(session, address) for address in addresses)

    def _clear(self, session: Session, source: Address | Network) -> int:
        if isinstance(source, IPv4Address | IPv6Address) and isinstance(session, SpeaksNetlink):
            cleared = _linux_kernel.clear(session, source) if session.speaks("netlink") else None
            if cleared is not None:
                return cleared
        command = f"conntrack -D -f ipv{source.version} -s {quote(str(source))}"
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
