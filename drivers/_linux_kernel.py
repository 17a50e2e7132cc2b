"""What a Linux gateway is asked over netlink, when it is the machine that we run on: no command, no text in between."""

from collections.abc import Collection, Mapping
from typing import Protocol

from switchguard.core.model import Address, NatUsage
from switchguard.ports import Session, SpeaksNetlink

from . import _netlink
from ._conntrack import sum_entries
from ._ctnetlink_columns import read_entries

TIME = "date +%s"


class LocalSession(Session, SpeaksNetlink, Protocol):
    """A session for which `speaks("netlink")`."""


def usages(session: LocalSession, own: Collection[Address], timeouts: Mapping[str, int]) -> tuple[NatUsage, ...]:
    """The whole table, summed per inside address."""
    parts = read_entries(
        session.netlink(_netlink.dump()), session.device.name, lambda: int(session.ask(TIME)), timeouts
    )
    return sum_entries(parts, session.device.name, own=own).usages
