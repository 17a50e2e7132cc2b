"""A university's VPN on a Friday evening: a swarm whose owner knows nothing of it, an address that changes hands."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from evening_builders import (
    Doing,
    Guest,
    Script,
    address,
    browsing,
    download,
    guest,
    household,
    mail,
    play_out,
    power_user,
    resolver,
    swarm,
    video_call,
)

from switchguard.core.model import Address, Network, Reading, Snapshot, UserSession, UserZone
from switchguard.edge.evening import Evening

END = 361
BEGINS = datetime(2026, 11, 20, 18, tzinfo=UTC)
_SOURCE = "vpn/wireguard"
_ZONE = UserZone("vpn", (ip_network("10.99.0.0/16"), ip_network("2001:db8:99::/48")), BEGINS - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A person's session from minute `start` to `end` with these addresses."""

    user: str
    held: Address | Network
    start: int = 0
    end: int = END

    def at(self, minute: int, now: datetime) -> UserSession:
        """As known in a minute of the evening."""
        ended = BEGINS + timedelta(minutes=self.end) if self.end <= minute else None
        since = BEGINS + timedelta(minutes=self.start)
        return UserSession(_SOURCE, self.user, (self.held,), since, ended, address("192.0.2.7"), now)


def tunnels() -> tuple[Tunnel, ...]:
    """Alice leaves at minute 210, and bob gets her address two minutes later; she comes back with another one."""
    return (
        Tunnel("alice", address("10.99.0.7"), 10, 210),
        Tunnel("bob", address("10.99.0.7"), 212),
        Tunnel("alice", address("10.99.0.21"), 230),
        Tunnel("dora", address("10.99.0.8"), 20),
        Tunnel("erin", address("10.99.0.9")),
        Tunnel("erin", address("2001:db8:99::9")),
        Tunnel("frank", address("10.99.0.10"), 5, 200),
        Tunnel("mirror", address("10.99.0.11")),
        Tunnel("branch office", ip_network("10.99.4.0/28")),
    )


def _user(name: str, at: str, *doing: Doing) -> Guest:
    return Guest(name, None, address(at), None, doing)


def innocents() -> tuple[Guest, ...]:
    """Bob's address has alice's translations in it when he gets it. The mirror is exempt."""
    return (
        _user("bob", "10.99.0.7", browsing(218, END)),
        _user("erin's laptop", "10.99.0.9", power_user(0, END)),
        _user("erin over IPv6", "2001:db8:99::9", video_call(30, 120)),
        _user("frank", "10.99.0.10", browsing(5, 90), download(90, 110, 60), browsing(110, 200)),
        _user("mirror", "10.99.0.11", swarm(0, END, 900, down=1.0, up=40.0)),
        _user("the branch's household", "10.99.4.3", household(0, END)),
        _user("the branch's mail", "10.99.4.4", mail(0, END, 200)),
        *(guest(number, f"room {number}", browsing(0, END)) for number in range(9, 20)),
        guest(7, "resolver", resolver(0, END)),
    )


def offenders() -> tuple[Guest, ...]:
    """Alice wants to print one page, and forgets the VPN. Her translations stay in the table for some minutes after
    she has left. Dora reads what she is told, and stops her client. 25 lives in the dormitory, where there are MACs."""
    return (
        _user("alice", "10.99.0.7", swarm(14, 216, down=2.0, up=2.0)),
        _user("alice again", "10.99.0.21", browsing(230, 240), swarm(240, END, down=2.0, up=2.0)),
        _user("dora", "10.99.0.8", swarm(22, 60, down=2.0, up=2.0), browsing(60, 240)),
        guest(25, "dormitory", swarm(30, 120)),
    )


def evening() -> Evening:
    """Every look with the sessions of that moment, as its source would tell them."""
    played = play_out(
        Script(
            "a university's VPN, Friday evening until one",
            BEGINS,
            minutes=360,
            every=2,
            guests=(*innocents(), *offenders()),
        )
    )
    return replace(played, looks=tuple(_with_users(look) for look in played.looks))


def _with_users(look: Snapshot) -> Snapshot:
    minute = (look.at - BEGINS) // timedelta(minutes=1)
    users = tuple(_known(minute, look.at))
    reading = Reading(_SOURCE, "users", look.at, sum(it.until is None for it in users), 0.0)
    return replace(look, users=users, user_zones=(_ZONE,), readings=(*look.readings, reading))


def _known(minute: int, now: datetime) -> Iterator[UserSession]:
    return (it.at(minute, now) for it in tunnels() if it.start <= minute)
