"""What a Linux gateway is asked over netlink, when it is the machine that we run on: no command, no text in between.

Deleting by filter exists since Linux 6.8 (ctnetlink_flush_conntrack with CTA_FILTER). An older kernel takes the tuple
in the same request for a whole one and refuses it as incomplete (-EINVAL), so that no kernel known to us would flush
its table; we do not rely on it, and ask nobody to delete whose filtered dumps were not seen to be right.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Protocol

from switchguard.core.model import Address
from switchguard.errors import CommandRefused
from switchguard.ports import NatTable, Session, SpeaksNetlink, Tick

from . import _netlink
from ._conntrack import sum_entries
from ._ctnetlink_columns import read_entries

TIME = "date +%s"
_NOBODY = {4: ip_address("0.0.0.1"), 6: ip_address("100::1")}
"""Sources that no session has: of the network 0/8 (RFC 1122), of the discard prefix (RFC 6666)."""


class LocalSession(Session, SpeaksNetlink, Protocol):
    """A session for which `speaks("netlink")`."""


def table(session: LocalSession, own: Collection[Address], timeouts: Mapping[str, int]) -> NatTable:
    """All of it, summed per inside address."""
    return _sums(session, session.netlink(_netlink.dump()), own, timeouts)


def news(
    session: LocalSession, group: int, own: Collection[Address], timeouts: Mapping[str, int], tick_s: float
) -> Iterator[Tick]:
    """What one multicast group tells in each tick, summed per inside address."""
    for news in session.netlink_news((group,), tick_s):
        rows = _sums(session, (news.octets,), own, timeouts).usages if news.octets else ()
        yield Tick(rows, news.missed)


def clear(session: LocalSession, address: Address) -> int | None:
    """Delete what this address began, and say how many went; None where the kernel does not do that by filter."""
    before = _began(session, address)
    if not before:
        return before
    if _began(session, _NOBODY[address.version]) != 0:
        return None
    try:
        for _ in session.netlink(_netlink.delete_from(address)):
            pass
    except CommandRefused:
        return None
    after = _began(session, address)
    return None if after is None else max(before - after, 0)


def _began(session: LocalSession, address: Address) -> int | None:
    """How many entries the kernel lists as begun by this address; None if it lists any other."""
    count = 0
    try:
        for entries in read_entries(session.netlink(_netlink.dump_from(address)), session.device.name, lambda: 0):
            if {*entries.source.addresses()} != {address}:
                return None
            count += len(entries.idle)
    except CommandRefused:
        return None
    return count


def _sums(
    session: LocalSession, blocks: Iterable[_netlink.Octets], own: Collection[Address], timeouts: Mapping[str, int]
) -> NatTable:
    entries = read_entries(blocks, session.device.name, lambda: int(session.ask(TIME)), timeouts)
    return sum_entries(entries, session.device.name, own=own)


def begun(tick: Tick) -> Tick:
    """Sessions at their first packet: nobody can have answered yet, which is no evidence, and all are active."""
    return replace(tick, rows=tuple(replace(row, unanswered_share=None, active_share=1.0) for row in tick.rows))
