"""What the linux driver says of this namespace's real table, by netlink and as text; run by test_local_kernel.py.

`unshare --user --map-root-user --net python inside_kernel.py WHAT` prints one JSON object.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from ipaddress import ip_address
from typing import Any

from switchguard import plugins
from switchguard.core.model import Address, Device, NatUsage, Role
from switchguard.edge.session import open_session
from switchguard.ports import Endpoint, Session, Tick, Transport

GATEWAY = Device("gw1", "linux", Role.GATEWAY)
LOCAL = Endpoint("local")
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "sctp": 132}
CREATE = 0x600
"""NLM_F_CREATE | NLM_F_EXCL."""
FREELY = {socket.AF_INET: (socket.IPPROTO_IP, 15), socket.AF_INET6: (socket.IPPROTO_IPV6, 78)}
"""IP_FREEBIND, IPV6_FREEBIND: from addresses that are routed here and listed nowhere."""
DRIVER: Any = plugins.driver("linux")
wire: Any = import_module("switchguard.drivers._netlink")


class TextOnly:
    """The same machine without netlink: what the driver does over SSH."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.device = session.device

    def speaks(self, transport: Transport) -> bool:
        return transport == "cli"

    def ask(self, command: str) -> str:
        return self._session.ask(command)

    def stream(self, command: str) -> Iterator[bytes]:
        return self._session.stream(command)


def run(*commands: str) -> None:
    for command in commands:
        subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602 - our own words


def sysctl(name: str, value: int) -> None:
    with open(f"/proc/sys/net/{name}", "w") as file:
        file.write(str(value))


def network() -> None:
    """Loopback is inside and outside, tracked, of both families; all of these addresses are here, none is listed."""
    sysctl("netfilter/nf_conntrack_acct", 1)
    run(
        "ip link set lo up",
        "ip route add local 10.0.0.0/8 dev lo",
        "ip route add local 198.51.100.0/24 dev lo",
        "ip -6 route add local fd00::/16 dev lo",
        "ip -6 route add local 2001:db8::/32 dev lo",
        "nft add table inet t",
        "nft add chain inet t out '{ type filter hook output priority 0; }'",
        "nft add rule inet t out ct state new counter",
    )


def insert(
    protocol: str, source: str, target: str, sport: int, dport: int, left: int, status: int = 0, state: int = 0
) -> None:
    """One entry, its source translated. `state` is that of TCP, `status` of enum ip_conntrack_status."""
    here, there = ip_address(source), ip_address(target)
    public = ip_address("203.0.113.5" if here.version == 4 else "2001:db8:ffff::5")
    attributes = [
        one_way(wire.ORIGINAL, here, there, upper(protocol, sport, dport, asks=True)),
        one_way(wire.REPLY, there, public, upper(protocol, dport, sport, asks=False)),
        wire.attribute(wire.STATUS, (status | 8).to_bytes(4)),
        wire.attribute(wire.TIMEOUT, left.to_bytes(4)),
    ]
    if protocol == "tcp":
        inner = wire.attribute(1, wire.attribute(1, bytes([state])), nested=True)
        attributes.append(wire.attribute(wire.PROTOCOL_INFO, inner, nested=True))
    family = wire.INET if here.version == 4 else wire.INET6
    with open_session(GATEWAY, LOCAL) as session:
        kernel: Any = session
        list(kernel.netlink(wire.message(wire.ENTRY, CREATE | wire.ACK, family, attributes)))


def one_way(side: int, source: Address, target: Address, protocol: bytes) -> bytes:
    first = 1 if source.version == 4 else 3
    addresses = wire.attribute(first, source.packed) + wire.attribute(first + 1, target.packed)
    inner = wire.attribute(wire.TUPLE_IP, addresses, nested=True) + wire.attribute(
        wire.TUPLE_PROTO, protocol, nested=True
    )
    return bytes(wire.attribute(side, inner, nested=True))


def upper(protocol: str, source: int, target: int, asks: bool) -> bytes:
    """The part of a tuple above the addresses; for ICMP, the greater number is the identifier."""
    number = wire.attribute(1, bytes([NUMBERS[protocol]]))
    if not protocol.startswith("icmp"):
        return bytes(number + wire.attribute(2, source.to_bytes(2)) + wire.attribute(3, target.to_bytes(2)))
    first, kinds = (4, (8, 0)) if protocol == "icmp" else (7, (128, 129))
    identifier = wire.attribute(first, max(source, target).to_bytes(2))
    return bytes(
        number + identifier + wire.attribute(first + 1, bytes([kinds[not asks]])) + wire.attribute(first + 2, b"\0")
    )


def mixed_table() -> None:
    """TCP, UDP, ICMP and SCTP of both families: made by hand with translation, and UDP by real packets."""
    answered, assured = 2, 6
    for number in range(5):
        v4, v6 = f"192.0.2.{number + 1}", f"2001:db8::{number + 1}"
        insert("tcp", "10.1.0.1", v4, 1000 + number, 443, left=431_000, status=assured, state=3)
        insert("tcp", "10.1.0.1", v4, 2000 + number, 6881, left=110, state=1)
        insert("udp", "10.1.0.2", v4, 3000 + number, 53, left=25, status=answered)
        insert("udp", "10.1.0.2", v4, 4000 + number, 9000, left=100, status=assured)
        insert("icmp", "10.1.0.2", v4, 5000 + number, 0, left=20, status=answered)
        insert("sctp", "10.1.0.3", v4, 6000 + number, 38412, left=200)
        insert("tcp", "fd00:1::1", v6, 1000 + number, 443, left=431_000, status=assured, state=3)
        insert("udp", "fd00:1::2", v6, 3000 + number, 6881, left=25)
        insert("icmpv6", "fd00:1::2", v6, 5000 + number, 0, left=20, status=answered)
    knock("10.0.0.7", "198.51.100.1", 40)
    knock("fd00::7", "2001:db8::1", 30)


def knock(source: str, target: str, times: int, octets: int = 100) -> None:
    """One datagram each to so many ports."""
    family = socket.AF_INET if "." in source else socket.AF_INET6
    for port in range(9000, 9000 + times):
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.setsockopt(*FREELY[family], 1)
            line.bind((source, 0))
            line.sendto(bytes(octets), (target, port))


def told(rows: tuple[NatUsage, ...]) -> dict[str, str]:
    return {str(row.address): repr(row) for row in rows}


def compare() -> object:
    network()
    mixed_table()
    with open_session(GATEWAY, LOCAL) as session:
        session_text: Any = TextOnly(session)
        for _ in range(20):  # idle times are whole seconds: both readings within one of them
            first = told(DRIVER.nat(session_text))
            kernel = told(DRIVER.nat(session))
            if first == told(DRIVER.nat(session_text)):
                return {"kernel": kernel, "text": first}
    return {}


def clear() -> object:
    network()
    mixed_table()
    with open_session(GATEWAY, LOCAL) as session:
        before = {str(row.address): row.sessions for row in DRIVER.nat(session)}
        gone = DRIVER.clear_sessions(session, [ip_address("10.1.0.1"), ip_address("fd00:1::1"), ip_address("10.9.9.9")])
        after = {str(row.address): row.sessions for row in DRIVER.nat(session)}
    return {"before": before, "gone": gone, "after": after}


def events() -> object:
    """Sessions begin while we look; then they end."""
    network()
    with open_session(GATEWAY, LOCAL) as session:
        begins = DRIVER.nat_begins(session, 0.05)
        next(begins)
        knock("10.0.0.7", "198.51.100.1", 200)
        knock("fd00::7", "2001:db8::1", 100)
        begun = added([next(begins) for _ in range(5)])
        ends = DRIVER.nat_ends(session, 0.05)
        next(ends)
        knock("10.0.0.8", "198.51.100.1", 50, octets=972)
        run("conntrack -F")
        ended = [next(ends) for _ in range(5)]
    octets = {str(row.address): (row.bytes_out or 0) for tick in ended for row in tick.rows}
    return {"begun": begun, "ended": added(ended), "octets": octets}


def added(ticks: list[Tick]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in (row for tick in ticks for row in tick.rows):
        found[str(row.address)] = found.get(str(row.address), 0) + row.sessions
    return found


def overflow() -> object:
    """Nobody listens for too long, with a small buffer."""
    network()
    from switchguard.edge import netlink_local

    netlink_local._NEWS_BUFFER = 4096
    with open_session(GATEWAY, LOCAL) as session:
        begins = DRIVER.nat_begins(session, 0.05)
        next(begins)
        for _ in range(20):
            knock("10.0.0.7", "198.51.100.1", 50)
        tick = next(begins)
        knock("10.0.0.9", "198.51.100.1", 5)
        afterwards = added([next(begins) for _ in range(3)])
    return {"missed": tick.missed, "heard": sum(row.sessions for row in tick.rows), "afterwards": afterwards}


if __name__ == "__main__":
    print(json.dumps({"compare": compare, "clear": clear, "events": events, "overflow": overflow}[sys.argv[1]]()))  # noqa: T201
