"""`conntrack -E` as conntrack-tools 1.4.7 prints it."""

from importlib import import_module
from typing import Any

import pytest

from switchguard.errors import StreamLost

news: Any = import_module("switchguard.drivers._conntrack_news")

NEW = (
    b"    [NEW] ipv4     2 udp      17 30 src=10.20.0.7 dst=198.18.0.%d sport=6881 dport=6881 [UNREPLIED]"
    b" src=198.18.0.%d dst=203.0.113.5 sport=6881 dport=6881\n"
)
END = (
    b"[DESTROY] ipv4     2 tcp      6 src=10.20.0.7 dst=198.18.0.1 sport=50000 dport=443 packets=9 bytes=900"
    b" src=198.18.0.1 dst=203.0.113.5 sport=443 dport=50000 packets=8 bytes=9000 [ASSURED]\n"
)
DROPPED = (
    b"WARNING: We have hit ENOBUFS! We are losing events.\n"
    b"This message means that the current netlink socket buffer size is too small.\n"
    b"Please, check --buffer-size in conntrack(8) manpage.\n"
)
NOTICE = b"NOTICE: Netlink socket buffer size has been set to 33554432 bytes.\n"


def read(*chunks: bytes) -> list[list[tuple[str, int, int | None, int | None]]]:
    """Address, sessions, octets out and in, tick by tick."""
    ticks = news.read_news(chunks, "gw1", frozenset(), {})
    return [[(str(row.address), row.sessions, row.bytes_out, row.bytes_in) for row in tick.rows] for tick in ticks]


def test_beginnings_are_summed_per_tick() -> None:
    assert read(NEW % (1, 1) + NEW % (2, 2), b"", NEW % (3, 3)) == [
        [("10.20.0.7", 2, None, None)],
        [],
        [("10.20.0.7", 1, None, None)],
    ]


def test_an_end_has_all_octets() -> None:
    assert read(END) == [[("10.20.0.7", 1, 900, 9000)]]


def test_an_end_that_somebody_has_made_is_an_end() -> None:
    """`conntrack -D` while `conntrack -E` runs, as conntrack-tools 1.4.7 tells it."""
    assert read(END.replace(b"\n", b" [USERSPACE] portid=3844068348 progname=conntrack\n")) == read(END)


def test_a_line_that_arrives_in_two_pieces_is_one() -> None:
    line = NEW % (1, 1)
    assert read(line[:50], line[50:]) == [[], [("10.20.0.7", 1, None, None)]]


def test_the_size_of_the_buffer_is_no_event() -> None:
    assert read(NOTICE + NEW % (1, 1)) == [[("10.20.0.7", 1, None, None)]]


def test_dropped_events_are_said_to_be_missed_and_the_others_count() -> None:
    """The three lines of conntrack-tools 1.4.7 may arrive in two ticks."""
    first, second = DROPPED[:60], DROPPED[60:]
    found = list(news.read_news([NEW % (1, 1) + first, second + NEW % (2, 2), NEW % (3, 3)], "gw1", frozenset(), {}))
    assert [bool(tick.missed) for tick in found] == [True, True, False]
    assert [[row.sessions for row in tick.rows] for tick in found] == [[1], [1], [1]]


def test_what_is_no_event_ends_the_stream() -> None:
    with pytest.raises(StreamLost, match="Operation not permitted"):
        read(b"conntrack v1.4.7 (conntrack-tools): Operation not permitted\n")
