"""Where a gateway's sessions lead to: the same whichever way the table comes, bounded, and exact."""

from collections import Counter
from importlib import import_module
from ipaddress import ip_network
from typing import Any

import pytest
from generate_conntrack import conntrack_lines

from switchguard.core.model import Destination

conntrack: Any = import_module("switchguard.drivers._conntrack")
destinations: Any = import_module("switchguard.drivers._nat_destinations")


def row(remote: str, port: int, octets: int | None = None, near: int = 40000, client: str = "10.10.0.7") -> str:
    moved = "" if octets is None else f"packets=1 bytes={octets} "
    version = "ipv6     10" if ":" in client else "ipv4     2"
    public = client if ":" in client else "203.0.113.1"
    return (
        f"{version} tcp      6 431999 ESTABLISHED src={client} dst={remote} sport={near} dport={port} {moved}"
        f"src={remote} dst={public} sport={port} dport={near} {moved}[ASSURED] mark=0 use=1\n"
    )


def told(*lines: str) -> tuple[Destination, ...]:
    found: tuple[Destination, ...] = conntrack.read_conntrack(["".join(lines).encode()], "gw1").destinations
    return found


def test_sessions_to_one_network_and_port_are_one_destination_whoever_has_them() -> None:
    assert told(
        row("198.51.100.7", 443, 100), row("198.51.100.9", 443, 50, client="10.10.0.8"), row("198.51.100.9", 22, 1)
    ) == (
        Destination(ip_network("198.51.100.0/24"), 443, 2, 300, "gw1"),
        Destination(ip_network("198.51.100.0/24"), 22, 1, 2, "gw1"),
    )


def test_ipv6_is_counted_by_48_bits() -> None:
    lines = [row(f"2001:db8:7:{n}::1", 6881, client="fd00:10::7") for n in (1, 2)]
    assert told(*lines) == (Destination(ip_network("2001:db8:7::/48"), 6881, 2, None, "gw1"),)


def test_a_ping_has_no_port_and_a_table_without_accounting_no_octets() -> None:
    ping = (
        "ipv4     2 icmp     1 29 src=10.10.0.7 dst=192.0.2.9 type=8 code=0 id=7 "
        "src=192.0.2.9 dst=203.0.113.1 type=0 code=0 id=7 mark=0 use=1\n"
    )
    assert told(ping) == (Destination(ip_network("192.0.2.0/24"), None, 1, None, "gw1"),)


def test_one_large_download_is_told_beside_many_sessions() -> None:
    crowd = [row(f"198.51.{n}.1", 443, 10, near) for n in range(100, 130) for near in (40000, 40001)]
    found = told(*crowd, row("192.0.2.9", 443, 10**10))
    assert len(found) <= destinations.BY_SESSIONS + destinations.BY_OCTETS
    assert Destination(ip_network("192.0.2.0/24"), 443, 1, 2 * 10**10, "gw1") in found


def test_a_big_table_counts_as_if_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "_FOLD_AT", 700)
    monkeypatch.setattr(conntrack, "BLOCK", 1 << 16)
    lines = list(conntrack_lines(5000))
    plain = Counter(
        (words["dst"].rpartition(".")[0], words.get("dport")) for words in map(_first_direction, lines)
    ).most_common(5)
    assert [
        ((str(it.network.network_address).rpartition(".")[0], str(it.port or "") or None), it.sessions)
        for it in told(*lines)[:5]
    ] == plain


def _first_direction(line: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in line.split() if "=" in word]
    return {name: value for name, _, value in reversed(pairs)}


def test_an_empty_table_leads_nowhere() -> None:
    assert told() == ()
