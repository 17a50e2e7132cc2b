"""The columnar reader of conntrack tables equals the plain one, whatever the rows and however they arrive."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any, cast

import pytest
import reference_conntrack
from generate_conntrack import conntrack_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import RECORDINGS, Replay

from switchguard import plugins
from switchguard.core.model import Device, NatUsage, Role
from switchguard.ports import ClearsSessions

conntrack = import_module("switchguard.drivers._conntrack")
rows = import_module("switchguard.drivers._conntrack_rows")
columns = import_module("switchguard.drivers._nat_columns")

TCP = (
    "ipv4     2 tcp      6 431999 ESTABLISHED src=10.20.0.15 dst=192.0.2.80 sport=51000 dport=443 packets=9 bytes=900 "
    "src=192.0.2.80 dst=203.0.113.5 sport=443 dport=51000 packets=8 bytes=9000 [ASSURED] mark=0 delta-time=7 use=1\n"
)


def read(text: str | bytes, *sizes: int, **options: object) -> Any:
    """The table, delivered in chunks of these sizes and the rest."""
    data = text.encode() if isinstance(text, str) else text
    return conntrack.read_conntrack(chunks(data, sizes), "gw1", **options)


def chunks(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size
    yield data[start:]


def by_address(usages: Iterable[NatUsage]) -> dict[object, NatUsage]:
    return {usage.address: usage for usage in usages}


# --- equal to the plain reader ---------------------------------------------------------------------------------------

addresses4 = st.one_of(
    st.integers(1, 6).map(lambda n: IPv4Address(f"10.20.0.{n}")),
    st.integers(1, 9).map(lambda n: IPv4Address(f"198.51.100.{n}")),
    st.sampled_from([IPv4Address("203.0.113.5"), IPv4Address("192.168.1.1"), IPv4Address("1.1.1.1")]),
    st.ip_addresses(v=4),
)
addresses6 = st.one_of(
    st.integers(1, 4).map(lambda n: IPv6Address(f"fd00:20::{n}")),
    st.integers(1, 4).map(lambda n: IPv6Address(f"2001:db8:20::{n}")),
    st.ip_addresses(v=6).map(lambda address: IPv6Address(int(address) | 1 << 125)),
)
ports = st.one_of(st.sampled_from([53, 80, 443, 1024, 1025]), st.integers(0, 65535))
octets = st.one_of(st.integers(0, 99_999_999), st.integers(0, 10**14))
states = st.sampled_from(
    ["ESTABLISHED", "TIME_WAIT", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "CLOSE"]
)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """One line as conntrack or /proc prints it; no NAT, source NAT, port forwarding, or both."""
    version = draw(st.sampled_from([4, 4, 4, 6]))
    address = addresses4 if version == 4 else addresses6
    source, destination = draw(address), draw(address)
    back_from = draw(address) if draw(st.integers(0, 3)) == 0 else destination
    back_to = draw(address) if draw(st.booleans()) else source
    in_full = draw(st.booleans())  # as /proc prints IPv6
    shown = [each.exploded if in_full else str(each) for each in (source, destination, back_from, back_to)]
    protocol, number, there, back = draw(protocols(version))
    counted = draw(st.booleans())
    left, state = str(draw(st.one_of(st.integers(0, 700), st.integers(0, 999_999)))), ""
    if protocol == "tcp":
        state = draw(states) + " "
    elif protocol == "sctp":
        state = "ESTABLISHED "
    flag = draw(st.sampled_from(["", "[ASSURED] ", "[OFFLOAD] ", "[HW_OFFLOAD] "]))
    if "OFFLOAD" in flag and draw(st.booleans()):
        left, state = "", ""
    counters = [f"packets=3 bytes={draw(octets)} " if counted else "" for _ in range(2)]
    head = f"{f'ipv{version}':8} {2 if version == 4 else 10} " if draw(st.booleans()) else ""
    unreplied = draw(st.sampled_from(["", "[UNREPLIED] "]))
    decorations = ("secctx=system_u:object_r:unlabeled_t:s0 ", "zone=5 ", f"delta-time={draw(st.integers(0, 9999))} ")
    tail = "mark=0 " + "".join(word for word in decorations if draw(st.booleans()))
    end = draw(st.sampled_from(["", " id=77", " "]))
    return (
        f"{head}{protocol:8} {number} {left}{' ' if left else ''}{state}src={shown[0]} dst={shown[1]} {there}"
        f"{counters[0]}{unreplied}src={shown[2]} dst={shown[3]} {back}{counters[1]}{flag}{tail}use=1{end}"
    )


@st.composite
def protocols(draw: st.DrawFn, version: int) -> tuple[str, int, str, str]:
    """Name, number, and what follows the addresses there and back."""
    near, far = draw(ports), draw(ports)
    match draw(st.sampled_from(["tcp", "tcp", "udp", "udp", "icmp", "gre", "sctp", "unknown"])):
        case "tcp" | "udp" | "sctp" as name:
            number = {"tcp": 6, "udp": 17, "sctp": 132}[name]
            return name, number, f"sport={near} dport={far} ", f"sport={far} dport={near} "
        case "icmp":
            kind = ("icmp", 1) if version == 4 else ("icmpv6", 58)
            return *kind, f"type=8 code=0 id={near} ", f"type=0 code=0 id={near} "
        case "gre":
            prefix = draw(st.sampled_from(["", "zone-orig=6 "]))
            return "gre", 47, f"srckey=0x1 dstkey=0x2 {prefix}", "srckey=0x2 dstkey=0x1 "
        case _:
            return "unknown", 99, "", ""


@settings(max_examples=300, deadline=None)
@given(st.lists(lines(), min_size=1, max_size=40), st.lists(st.integers(0, 900), max_size=8))
def test_every_table_reads_as_the_plain_reader_reads_it(table: list[str], sizes: list[int]) -> None:
    text = "".join(f"{line}\n" for line in table)
    expected, foreign = reference_conntrack.usages(text, rows.DEFAULT_TIMEOUTS)
    found = read(text, *sizes)
    assert (found.unparsed, found.samples, found.complete) == (0, (), True)
    assert by_address(found.usages) == expected
    assert (found.entries, found.not_clients) == (len(table), foreign)


@settings(max_examples=100, deadline=None)
@given(st.lists(lines(), min_size=1, max_size=40))
def test_with_known_networks_too(table: list[str]) -> None:
    inside = (ip_network("10.20.0.0/29"), ip_network("2001:db8:20::/64"))
    own = (ip_address("10.20.0.1"),)
    text = "".join(f"{line}\n" for line in table)
    expected, foreign = reference_conntrack.usages(text, rows.DEFAULT_TIMEOUTS, inside, own)
    found = read(text, inside=inside, own=own)
    assert by_address(found.usages) == expected
    assert found.not_clients == foreign


@settings(max_examples=50, deadline=None)
@given(st.lists(lines(), min_size=1, max_size=20), st.data())
def test_blocks_may_end_anywhere(table: list[str], data: st.DataObject) -> None:
    text = "".join(f"{line}\n" for line in table)
    sizes = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conntrack, "BLOCK", 100)
        assert read(text, *sizes) == read(text)


def test_a_big_table_reads_as_the_plain_reader_reads_it() -> None:
    text = "".join(conntrack_lines(20_000, seed=7))
    expected, _ = reference_conntrack.usages(text, rows.DEFAULT_TIMEOUTS)
    assert by_address(read(text, *(100_000 for _ in range(40))).usages) == expected


def test_pairs_are_folded_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_FOLD_AT", 1000)
    monkeypatch.setattr(conntrack, "BLOCK", 50_000)
    text = "".join(conntrack_lines(5_000, seed=3))
    expected, _ = reference_conntrack.usages(text, rows.DEFAULT_TIMEOUTS)
    assert by_address(read(text, *(20_000 for _ in range(60))).usages) == expected


NAT_RECORDINGS = sorted((RECORDINGS / "linux" / "nat").glob("*/table.txt"))


@pytest.mark.parametrize("path", NAT_RECORDINGS, ids=lambda path: path.parent.name)
def test_every_recorded_table_reads_as_the_plain_reader_reads_it(path: Path) -> None:
    expected, _ = reference_conntrack.usages(path.read_text(), rows.DEFAULT_TIMEOUTS)
    assert by_address(read(path.read_text()).usages) == expected


# --- nothing is lost -------------------------------------------------------------------------------------------------


def test_lines_that_are_no_rows_are_counted_and_the_first_three_quoted() -> None:
    found = read(TCP + "one\n" + TCP + "two\nthree\nfour\n")
    assert (found.entries, found.unparsed) == (2, 4)
    assert found.samples == ((2, "one"), (4, "two"), (5, "three"))


def test_line_numbers_count_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conntrack, "BLOCK", 300)
    text = TCP * 5 + "what?\n" + TCP * 5
    assert read(text, *(100 for _ in range(30))).samples == ((6, "what?"),)


def test_footers_and_empty_lines_are_noise() -> None:
    found = read(TCP + "\nconntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.\n  \n")
    assert (found.entries, found.unparsed) == (1, 0)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("src=10.20.0.15", "src=10.20.0.256"),
        ("src=10.20.0.15", "src=10.20.0"),
        ("src=10.20.0.15", "src=10.20.0.x"),
        ("dst=192.0.2.80", "dst=2001:db8::1"),
        ("dport=443", "dport=44x"),
        ("sport=51000", "port=51000"),
        ("bytes=9000", "bytes="),
        ("431999", "-1"),
        ("ESTABLISHED", "EST ABLISHED"),
        ("tcp      6", "tcp      7x"),
        ("[ASSURED]", "[ASSURE"),
        ("[ASSURED]", "[UNHEARD]"),
        ("mark=0", "mark"),
        ("use=1", "use=1" + TCP.strip()),
    ],
)
def test_a_damaged_row_is_no_row(right: str, wrong: str) -> None:
    line = TCP.replace(right, wrong, 1)
    found = read(TCP + line)
    assert (found.entries, found.unparsed, found.samples) == (1, 1, ((2, line.strip("\n")),))


def test_a_last_line_without_an_end_is_told() -> None:
    whole = read(TCP + TCP)
    cut = read(TCP + TCP.strip())
    assert (whole.complete, cut.complete) == (True, False)
    assert cut.entries == 2


@pytest.mark.parametrize("text", ["", "\n", " "])
def test_an_empty_table_is_an_empty_table(text: str) -> None:
    found = read(text)
    assert (found.entries, found.usages, found.unparsed) == (0, (), 0)


def test_carriage_returns_make_no_difference() -> None:
    assert read(TCP.replace("\n", "\r\n")) == read(TCP)


def test_bytes_that_are_no_text_are_quoted_too() -> None:
    assert read(TCP.encode() + b"\xff\xfe\n").samples == ((2, "\ufffd\ufffd"),)


# --- whose session, and how long ago ---------------------------------------------------------------------------------


def usage(text: str, **options: object) -> NatUsage:
    """Of the only client."""
    (found,) = read(text, **options).usages
    return found  # type: ignore[no-any-return]  # the module is loaded by name


def test_a_translated_source_is_the_client() -> None:
    found = usage(TCP)
    assert (str(found.address), found.bytes_out, found.bytes_in) == ("10.20.0.15", 900, 9000)
    assert (found.top_port, found.median_idle_s, found.oldest_s) == (443, 1.0, 7.0)


FORWARDED = (
    "tcp      6 100 ESTABLISHED src=198.51.100.9 dst=203.0.113.5 sport=50000 dport=8443 packets=1 bytes=100 "
    "src=10.20.0.9 dst=198.51.100.9 sport=443 dport=50000 packets=1 bytes=5000 [ASSURED] mark=0 use=1\n"
)


def test_a_server_behind_a_port_forward_is_the_client_of_that_session() -> None:
    found = usage(FORWARDED)
    assert (str(found.address), found.bytes_out, found.bytes_in) == ("10.20.0.9", 5000, 100)
    assert (found.remotes, found.top_port) == (1, 50000)


def test_a_client_whose_queries_are_redirected_stays_the_client() -> None:
    redirected = TCP.replace("src=192.0.2.80 dst=203.0.113.5", "src=10.20.0.1 dst=10.20.0.15")
    assert str(usage(redirected).address) == "10.20.0.15"


def test_the_gateway_and_its_visitors_are_no_clients() -> None:
    own = TCP.replace("10.20.0.15", "203.0.113.5")
    visitor = TCP.replace("10.20.0.15", "198.51.100.66").replace("192.0.2.80", "203.0.113.5")
    found = read(TCP + own + visitor.replace("dst=203.0.113.5 sport=443", "dst=198.51.100.66 sport=443"))
    assert [str(each.address) for each in found.usages] == ["10.20.0.15"]
    assert (found.entries, found.not_clients) == (3, 2)


def test_the_gateways_private_addresses_are_told_by_the_caller() -> None:
    assert read(TCP, own=[ip_address("10.20.0.15")]).not_clients == 1


def test_without_translation_the_initiator_is_the_client_unless_only_the_other_side_is_private() -> None:
    routed = TCP.replace("dst=203.0.113.5", "dst=10.20.0.15")
    inward = routed.replace("10.20.0.15", "198.51.100.66").replace("192.0.2.80", "10.20.0.9")
    both_public = routed.replace("10.20.0.15", "198.51.100.66")
    assert [str(usage(text).address) for text in (routed, inward, both_public)] == [
        *("10.20.0.15", "10.20.0.9", "198.51.100.66")
    ]


def test_without_accounting_octets_are_not_told() -> None:
    found = usage(TCP.replace(" packets=9 bytes=900", "").replace(" packets=8 bytes=9000", ""))
    assert (found.bytes_out, found.bytes_in) == (None, None)


@pytest.mark.parametrize(
    ("left", "state", "idle"),
    [
        ("431990", "ESTABLISHED", 10.0),
        ("290", "ESTABLISHED", 10.0),
        ("100", "TIME_WAIT", 20.0),
        ("0", "CLOSE", 10.0),
        ("500000", "ESTABLISHED", 0.0),
    ],
)
def test_idle_time_is_what_is_gone_of_the_timeout(left: str, state: str, idle: float) -> None:
    assert usage(TCP.replace("431999 ESTABLISHED", f"{left} {state}")).median_idle_s == idle


def test_the_gateways_own_timeouts_count() -> None:
    line = TCP.replace("431999", "7430")
    assert usage(line, timeouts={"tcp_timeout_established": 7440}).median_idle_s == 10.0


def test_an_offloaded_flow_is_active() -> None:
    line = TCP.replace("431999 ESTABLISHED ", "").replace("[ASSURED]", "[OFFLOAD]")
    assert (usage(line).active_share, usage(line).median_idle_s) == (1.0, 0.0)


def test_mapped_ipv4_addresses_are_read_one_by_one() -> None:
    line = TCP.replace("ipv4     2 ", "ipv6     10 ").replace("10.20.0.15", "::ffff:10.20.0.15")
    line = line.replace("192.0.2.80", "2001:db8::80").replace("203.0.113.5", "2001:db8::5")
    assert usage(line).address == ip_address("::ffff:10.20.0.15")


def test_two_clients_of_one_swarm_have_similar_sketches() -> None:
    one, other = read("".join(_swarm("10.20.0.7", range(2, 200)) + _swarm("10.20.0.8", range(40, 240)))).usages
    assert len(one.sketch) == len(other.sketch) == 64
    union = sorted({*one.sketch, *other.sketch})[:64]
    common = sum(value in one.sketch and value in other.sketch for value in union)
    assert 0.5 < common / 64 < 0.9  # 160 of 238 are common


def _swarm(client: str, hosts: range) -> list[str]:
    return [TCP.replace("10.20.0.15", client).replace("192.0.2.80", f"198.51.100.{host}") for host in hosts]


# --- one hash for all ------------------------------------------------------------------------------------------------

tally = import_module("switchguard.drivers._nat_tally")


@given(st.lists(st.ip_addresses(v=4), unique=True, max_size=90))
def test_a_sketch_is_the_same_whichever_reader_made_it(remotes: list[IPv4Address]) -> None:
    """So that the remote sets of one client behind a Linux and a Cisco gateway can be united."""
    table = "".join(TCP.replace("192.0.2.80", str(remote)) for remote in remotes)
    inside = ip_network("10.20.0.15/32")
    entries = [tally.Entry(inside.network_address.packed, "tcp", remote.packed, 443) for remote in remotes]
    columns_, ones = read(table, inside=[inside]).usages, tally.summarize("gw2", entries)
    assert [each.sketch for each in columns_] == [each.sketch for each in ones]


@given(st.ip_addresses(v=6))
def test_ipv6_addresses_are_hashed_alike_too(remote: IPv6Address) -> None:
    line = TCP.replace("ipv4     2 ", "ipv6     10 ").replace("10.20.0.15", "fd00:20::f")
    line = line.replace("192.0.2.80", str(remote)).replace("203.0.113.5", "2001:db8::5")
    (found,) = read(line, inside=[ip_network("fd00:20::f/128")]).usages
    assert found.sketch == (tally.hash_of(remote.packed),)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_line_without_an_end_is_not_kept_whole() -> None:
    """A disk image instead of a table must not fill the memory."""
    found = read(b"x" * 9_000_000 + b"\n" + TCP.encode(), *(1_000_000 for _ in range(8)))
    assert (found.entries, found.unparsed, len(found.samples[0][1]) < 5_000_000) == (1, 1, True)


def test_an_error_while_the_table_arrives_travels() -> None:
    def lost() -> Iterator[bytes]:
        yield TCP.encode()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        conntrack.read_conntrack(lost(), "gw1")


def test_whatever_an_address_holds_is_one_word_of_the_command() -> None:
    told = {("stream", "conntrack -D -f ipv6 -s '2001:db8::1%a;reboot'"): "one\ntwo\n"}
    gateway = Replay(Device("gw1", "linux", Role.GATEWAY), frozenset({"cli"}), told)
    driver = cast(ClearsSessions, plugins.driver("linux"))
    assert driver.clear_sessions(gateway, [IPv6Address("2001:db8::1%a;reboot")]) == 2
