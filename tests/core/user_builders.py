"""A VPN at gw: people with lent addresses in 10.99.0.0/16, and looks at the table some minutes after noon."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from builders import DEVICES, NOON, usage

from switchguard.core.model import (
    Address,
    Client,
    Gap,
    NatUsage,
    Network,
    Reading,
    Snapshot,
    UserSession,
    UserZone,
)

MINUTE = timedelta(minutes=1)
VPN = UserZone("vpn", (ip_network("10.99.0.0/16"), ip_network("2001:db8:99::/48")), NOON - 60 * MINUTE)
SOURCE = "vpn/openvpn"


def lent(number: int) -> Address:
    """10.99.0.7 for 7."""
    return ip_address(f"10.99.0.{number}")


def at(minute: float) -> datetime:
    return NOON + minute * MINUTE


def session(
    user: str, *held: int | Address | Network, since: float = 0, until: float | None = None, seen: float | None = None
) -> UserSession:
    addresses = tuple(lent(it) if isinstance(it, int) else it for it in held)
    return UserSession(
        SOURCE,
        user,
        addresses,
        at(since),
        None if until is None else at(until),
        None,
        None if seen is None else at(seen),
    )


def row(
    number: int | Address,
    sessions: int = 20,
    oldest: float | None = 60,
    newest: float | None = 0,
    received: int | None = None,
    device: str = "gw",
) -> NatUsage:
    """`oldest` and `newest` in seconds."""
    address = lent(number) if isinstance(number, int) else number
    made = replace(
        usage(address, sessions, device=device), bytes_in=received, bytes_out=None if received is None else 0
    )
    return replace(made, oldest_s=oldest, newest_s=newest)


def look(
    minute: float,
    nat: Iterable[NatUsage],
    *sessions: UserSession,
    zone: UserZone = VPN,
    gaps: tuple[Gap, ...] = (),
) -> Snapshot:
    """The table is read within a tenth of a second, and the sessions right after it."""
    when = at(minute)
    rows = tuple(nat)
    return Snapshot(
        when,
        DEVICES,
        nat=rows,
        users=tuple(replace(it, seen=it.seen or when) if it.until is None else it for it in sessions),
        user_zones=(zone,),
        readings=(Reading("gw", "nat", when, len(rows), 0.1), Reading(SOURCE, "users", when, len(sessions), 0.0)),
        gaps=gaps,
    )


def client_of(snapshot_clients: Iterable[Client], user: str) -> Client:
    return next(it for it in snapshot_clients if it.identity == f"user:{user}")
