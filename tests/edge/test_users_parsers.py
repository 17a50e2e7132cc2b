"""What VPN gateways print -> people's sessions: whole records count, and what is left over is said."""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchguard.core.user_sessions import Told
from switchguard.edge.vpn.listing import read_list
from switchguard.edge.vpn.openvpn import read_status
from switchguard.edge.vpn.reading import CannotRead, Read, outside, person
from switchguard.edge.vpn.strongswan import read_sas
from switchguard.edge.vpn.wireguard import COMMAND, read_names, read_peers

NOW = datetime(2026, 11, 20, 19, 40, tzinfo=UTC)
STAMP = int(NOW.timestamp())
IDLE = timedelta(minutes=3)


def key(letter: str) -> str:
    return letter * 43 + "="


def told(user: str, *held: str, since: datetime | None = None, until: datetime | None = None) -> Told:
    addresses = tuple(ip_network(it) if "/" in it else ip_address(it) for it in held)
    return Told(user, addresses, since, until, ip_address("192.0.2.7"))


# --- WireGuard -------------------------------------------------------------------------------------------------------


def peer(letter: str, allowed: str = "10.99.0.7/32", ago: int | None = 30, interface: str = "wg0") -> str:
    shaken = 0 if ago is None else STAMP - ago
    return "\t".join((interface, key(letter), "-", "192.0.2.7:51820", allowed, str(shaken), "1204", "1900", "25"))


def dump(*peers: str) -> str:
    return "\n".join((str(STAMP), f"wg0\t-\t{key('S')}\t51820\toff", *peers, ""))


def wireguard(text: str) -> Read:
    return read_peers(text, "wg0", {key("A"): "alice"}, IDLE)


def test_a_key_is_a_person_and_its_allowed_ips_are_the_persons() -> None:
    read = wireguard(dump(peer("A", "10.99.0.7/32,2001:db8:99::7/128,10.99.4.0/24")))
    assert read == Read((told("alice", "10.99.0.7", "10.99.4.0/24", "2001:db8:99::7"),))


def test_a_key_without_a_name_is_somebody_all_the_same() -> None:
    assert [it.user for it in wireguard(dump(peer("B"))).told] == ["peer-BBBBBBBBBBBB"]


def test_who_has_not_shaken_hands_for_minutes_is_not_connected() -> None:
    (away,) = wireguard(dump(peer("A", ago=500))).told
    assert away.until == NOW - timedelta(seconds=320)


@pytest.mark.parametrize("row", [peer("A", ago=None), peer("A", "(none)"), peer("A", interface="wg1")])
def test_who_never_came_or_is_elsewhere_is_left_out(row: str) -> None:
    assert wireguard(dump(row)) == Read(())


def test_a_row_of_another_version_is_said_and_the_others_count() -> None:
    read = wireguard(dump(peer("A"), peer("B") + "\tnew"))
    assert [it.user for it in read.told] == ["alice"]
    assert (read.note, read.complete) == ("line 4 of the dump has 10 fields, where a peer has 9", False)


def test_no_complaint_repeats_a_key() -> None:
    broken = f"{STAMP}\nwg0\t{key('P')}\t{key('S')}\nwg0\t-\t{key('S')}\t51820\toff\n{peer('A', 'x')}\n"
    assert key("P") not in wireguard(broken).note


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "clock was not told"),
        ("wg0\t-\t-\t51820\toff\n", "clock was not told"),
        (f"{STAMP}\n", "there is no WireGuard interface wg0"),
        (f"{STAMP}\nwg1\t-\t-\t51820\toff\n", "there is no WireGuard interface wg0"),
    ],
)
def test_a_gateway_without_the_interface_tells_nothing(text: str, why: str) -> None:
    with pytest.raises(CannotRead, match=why):
        wireguard(text)


@pytest.mark.parametrize("more", [0, 1])
def test_no_secret_leaves_the_gateway_whatever_the_version(tmp_path: Path, more: int) -> None:
    """With `wg` as a later one might print it; real shell and awk."""
    new = "\tnew" * more
    interface = f"wg0\t{key('P')}\t{key('S')}\t51820\toff{new}\n"
    with_secret = peer("A").replace("\t-\t", f"\t{key('Q')}\t")
    wg = tmp_path / "wg"
    wg.write_text(f"#!/bin/sh\ncat <<'EOF'\n{interface}{with_secret}{new}\nEOF\n")
    wg.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = subprocess.run(["sh", "-c", COMMAND], env={"PATH": path}, capture_output=True, text=True, check=True).stdout
    assert key("P") not in said
    assert key("Q") not in said
    assert (key("A") in said) is not more


def test_names_are_read_from_lines_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    file.write_text(f"\ufeff# people\n\n{key('A')} alice\n{key('B')} Bob Smith\n", encoding="utf-8")
    assert read_names(file) == {key("A"): "alice", key("B"): "Bob Smith"}


@pytest.mark.parametrize(
    ("line", "why"),
    [("alice", "people.txt:2: begins with no public key"), (f"{key('A')} ", "people.txt:2: '' is no name of a user")],
)
def test_a_wrong_line_of_names_is_said_with_its_number(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "people.txt"
    file.write_text(f"# people\n{line}\n")
    with pytest.raises(CannotRead, match=why):
        read_names(file)
    with pytest.raises(CannotRead, match="cannot be read"):
        read_names(tmp_path / "none")


# --- OpenVPN ---------------------------------------------------------------------------------------------------------

HEADERS = (
    "HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,"
    "Connected Since,Connected Since (time_t),Username,Client ID,Peer ID,Data Channel Cipher"
)
ROUTES = "HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)"
OLDER = HEADERS.replace("Virtual IPv6 Address,", "").replace(",Client ID,Peer ID,Data Channel Cipher", "")


def client(name: str = "alice", address: str = "10.99.0.7", user: str = "UNDEF", six: str = "") -> str:
    began = f"2026-11-20 19:31:12,{STAMP - 528}"
    return f"CLIENT_LIST,{name},192.0.2.7:51820,{address},{six},1204,1900,{began},{user},0,0,AES-256-GCM"


def route(address: str, name: str = "alice") -> str:
    return f"ROUTING_TABLE,{address},{name},192.0.2.7:51820,2026-11-20 19:39:58,{STAMP - 2}"


def status(*rows: str, header: str = HEADERS, end: str = "END\n", written: int = STAMP) -> str:
    lines = ("TITLE,OpenVPN 2.6.14", f"TIME,x,{written}", header, *rows, ROUTES)
    return "\n".join((*lines, "GLOBAL_STATS,Max bcast/mcast queue length,0", end))


ALICE = told("alice", "10.99.0.7", since=NOW - timedelta(seconds=528))


def test_version_2_tells_who_has_which_address_since_when() -> None:
    assert read_status(status(client()), NOW) == Read((ALICE,))


def test_version_3_has_tabs_instead() -> None:
    assert read_status(status(client()).replace(",", "\t"), NOW) == Read((ALICE,))


def test_older_releases_have_fewer_columns() -> None:
    row = client().replace("10.99.0.7,,", "10.99.0.7,").removesuffix(",0,0,AES-256-GCM")
    assert read_status(status(row, header=OLDER), NOW) == Read((ALICE,))


def test_a_username_counts_more_than_the_certificate() -> None:
    assert [it.user for it in read_status(status(client("laptop-7", user="alice")), NOW).told] == ["alice"]


def test_ipv6_and_routed_networks_are_the_clients_too() -> None:
    text = status(client(six="2001:db8:99::7")).replace(ROUTES, "\n".join((ROUTES, route("10.99.4.0/24"))))
    assert [str(it) for it in read_status(text, NOW).told[0].addresses] == [
        "10.99.0.7",
        "10.99.4.0/24",
        "2001:db8:99::7",
    ]


@pytest.mark.parametrize("address", ["22:1d:63:bf:62:38", "22:1d:63:bf:62:38@7", "10.99.0.7C"])
def test_cached_routes_and_macs_of_a_bridged_tunnel_add_nothing(address: str) -> None:
    text = status(client()).replace(ROUTES, "\n".join((ROUTES, route(address))))
    assert read_status(text, NOW) == Read((ALICE,))


@pytest.mark.parametrize("cached", ["2001:db8:99::5C", "2001:db8:99::abcdC"])
def test_a_cached_ipv6_route_is_the_address_alone(cached: str) -> None:
    text = status(client()).replace(ROUTES, "\n".join((ROUTES, route(cached))))
    (alice,) = read_status(text, NOW).told
    assert [str(it) for it in alice.addresses] == ["10.99.0.7", cached.removesuffix("C")]


@pytest.mark.parametrize("row", [client("UNDEF", ""), client("alice", ""), client("alice", "::")])
def test_who_is_still_connecting_is_nobody_yet(row: str) -> None:
    assert read_status(status(row), NOW) == Read(())


@pytest.mark.parametrize("cut", ["", "CLIENT_LIST,bob,192.0.2.8:1"])
def test_of_a_file_that_is_being_written_the_whole_lines_count(cut: str) -> None:
    text = "\n".join(("TITLE,OpenVPN", f"TIME,x,{STAMP}", HEADERS, client(), cut))
    read = read_status(text, NOW)
    assert read.told == (ALICE,)
    assert not read.complete
    assert read.note.startswith("it is still being written: no END, the last whole line is 'CLIENT_LIST,alice,")
    assert ("bob" in read.note) is bool(cut)


def test_a_row_that_is_none_is_said_and_the_others_count() -> None:
    """A common name with a comma: version 2 has no way to write one."""
    read = read_status(status(client(), client("CN=x,O=y")), NOW)
    assert (read.told, read.complete) == ((ALICE,), False)
    assert read.note.startswith("line 5 is no row of its table: 'CLIENT_LIST,CN=x,O=y,")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the status is empty"),
        ("OpenVPN CLIENT LIST\nUpdated,Thu Jun 18 08:12:15 2015\n", "version 1, whose times have no zone"),
        ("OpenVPN STATISTICS\n", "is no status of OpenVPN, version 2 or 3; it begins with 'OpenVPN STATISTICS'"),
        ("TITLE,OpenVPN\nEND\n", "does not tell its TIME"),
        (status(client(), written=STAMP - 900), "is of 2026-11-20 19:25:00 UTC; OpenVPN does not write it any more"),
        (
            status(header=HEADERS.replace("Virtual Address,", "")),
            "line 3: CLIENT_LIST .* has no column 'Virtual Address'",
        ),
        (status(written=0).replace("TIME,x,0", "TIME,x,never"), "line 2: 'never' is no time"),
    ],
)
def test_another_version_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(CannotRead, match=why):
        read_status(text, NOW)


# --- strongSwan ------------------------------------------------------------------------------------------------------

SA = (
    "list-sa event {campus {uniqueid=7 version=2 state=ESTABLISHED local-host=198.51.100.1 local-port=4500 "
    "local-id=vpn.example.org remote-host=192.0.2.7 remote-port=4500 remote-id=C=DE, O=Example, CN=alice {EAP}"
    "initiator-spi=94fe0de3ab9ca06a established=528 rekey-time=12815 remote-vips=[{VIPS}] "
    "child-sas {net-7 {name=net uniqueid=1 state=INSTALLED mode=TUNNEL bytes-in=588 rekey-time=2013 "
    "local-ts=[0.0.0.0/0] remote-ts=[10.99.0.7/32]}}}}"
)
END = "list-sas reply {}\n"


def sa(eap: str = "", vips: str = "10.99.0.7") -> str:
    return SA.replace("{EAP}", eap).replace("{VIPS}", vips) + "\n"


def test_an_ike_sa_is_a_persons_session() -> None:
    assert read_sas(sa("remote-eap-id=alice ") + END, NOW) == Read((ALICE,))


def test_without_eap_the_ike_identity_is_the_person() -> None:
    assert [it.user for it in read_sas(sa() + END, NOW).told] == ["C=DE, O=Example, CN=alice"]


def test_without_virtual_addresses_the_childrens_networks_count() -> None:
    text = (
        sa().replace("remote-vips=[10.99.0.7] ", "").replace("[10.99.0.7/32]", "[10.99.4.0/24[tcp/443] 10.99.0.9/32]")
    )
    assert [str(it) for it in read_sas(text + END, NOW).told[0].addresses] == ["10.99.0.9", "10.99.4.0/24"]


def test_what_is_not_established_is_nobody_yet() -> None:
    assert read_sas(sa().replace("ESTABLISHED", "CONNECTING") + END, NOW) == Read(())


def test_warnings_of_swanctl_come_first() -> None:
    assert read_sas("no files found matching '/etc/x.conf'\n" + sa("remote-eap-id=alice ") + END, NOW) == Read((ALICE,))


def test_an_identity_cannot_claim_somebody_elses_address() -> None:
    """Values are not escaped, and the identity is the client's own words."""
    read = read_sas(sa("remote-eap-id=x remote-vips=[10.99.0.9] ") + sa("remote-eap-id=alice ") + END, NOW)
    assert read.told == (ALICE,)
    assert read.note.startswith("'remote-vips' is said twice: ")


@pytest.mark.parametrize(
    ("version", "identities", "user"),
    [
        ("1", "group1 remote-xauth-id=mallory", "mallory"),
        ("1", "group1 remote-eap-id=bob remote-xauth-id=mallory", "mallory"),
        ("1", "group1 remote-eap-id=bob", "group1"),
        ("2", "mallory remote-xauth-id=bob", "mallory"),
        ("2", "x remote-eap-id=mallory", "mallory"),
    ],
)
def test_a_version_of_ike_has_one_way_to_say_who_logged_in(version: str, identities: str, user: str) -> None:
    """Whoever chooses an IKE identity may write the other way into it."""
    text = sa().replace("version=2", f"version={version}").replace("C=DE, O=Example, CN=alice", identities)
    assert [it.user for it in read_sas(text + END, NOW).told] == [user]


@pytest.mark.parametrize("seconds", ["9" * 14, "9" * 25])
def test_a_session_older_than_time_is_said_and_the_others_count(seconds: str) -> None:
    read = read_sas(sa().replace("=528", f"={seconds}") + sa("remote-eap-id=alice ") + END, NOW)
    assert (read.told, read.complete) == ((ALICE,), False)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (sa()[:300] + "\n" + END, "a section "),
        (sa().replace("established=528 ", "") + END, "it does not say since when"),
        (sa("remote-eap-id=\x1b[2J "), "'\\x1b[2J' is no name of a user"),
        (sa(vips="10.99.0.300") + END, "'10.99.0.300' does not appear"),
        (sa(), "the answer is cut off"),
        (sa() + "list-sb event {}\n" + END, "a line that is none of the answer"),
    ],
)
def test_what_strongswan_says_otherwise_is_said(text: str, note: str) -> None:
    read = read_sas(text, NOW)
    assert note in read.note
    assert not read.complete


def test_what_is_no_answer_of_swanctl_is_refused() -> None:
    with pytest.raises(CannotRead, match='is no answer of `swanctl --list-sas --raw`: "connecting to'):
        read_sas("connecting to 'unix:///var/run/charon.vici' failed: No such file or directory\n", NOW)
    assert read_sas(END, NOW) == Read(())


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_tells_who_has_what() -> None:
    text = (
        "\ufeffuser,address,since,until,peer\n# the dormitory\n\n"
        "alice,10.99.0.7,2026-11-20T20:31:12+01:00,,192.0.2.7\n"
        '"Smith, Bob",10.99.0.8 2001:db8:99::8,,,192.0.2.7\n'
    )
    assert read_list(text, NOW) == Read((ALICE, told("Smith, Bob", "10.99.0.8", "2001:db8:99::8")))


def test_what_has_not_begun_is_not_there_and_what_will_end_has_not() -> None:
    rows = "x,10.99.0.9,2026-11-20T19:41Z,\nalice,10.99.0.7,2026-11-20T19:31:12Z,2026-11-20T23:00Z\n"
    (alice,) = read_list("user,address,since,until\n" + rows, NOW).told
    assert (alice.user, alice.until) == ("alice", None)


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("alice", "line 2: 1 fields, where the first line has 3"),
        ("alice,10.99.0.300,", "line 2: '10.99.0.300'"),
        (",10.99.0.7,", "line 2: '' is no name of a user"),
        ("alice,,", "line 2: no address"),
        ("alice,10.99.0.7,yesterday", "line 2: 'yesterday' is no time; write it like"),
        ("a" * 200_000 + ",10.99.0.7,", "line 2: field larger than field limit"),
        ("alice,10.99.0.7,2026-11-20T19:31", "line 2: '2026-11-20T19:31' does not tell its zone"),
    ],
)
def test_a_wrong_row_is_said_and_the_others_count(row: str, note: str) -> None:
    read = read_list(f"user,address,since\n{row}\nbob,10.99.0.8,\n", NOW)
    assert [it.user for it in read.told] == ["bob"]
    assert read.note.startswith(note)
    assert not read.complete


def test_half_a_line_waits() -> None:
    read = read_list("user,address\nalice,10.99.0.7\nbob,10.9", NOW)
    assert [it.user for it in read.told] == ["alice"]
    assert read.note == "the last line does not end: 'bob,10.9'"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("name,address\n", "line 1: there is no column 'user'"),
        ("x" * 200_000 + "\n", "line 1: field"),
    ],
)
def test_a_list_says_its_columns(text: str, why: str) -> None:
    with pytest.raises(CannotRead, match=why):
        read_list(text, NOW)


# --- everybody -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7:51820", "192.0.2.7"),
        ("[2001:db8::7%eth0]:51820", "2001:db8::7"),
        ("udp4:192.0.2.7:1194", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("(none)", None),
        ("192.0.2.700:1", None),
    ],
)
def test_where_a_tunnel_comes_from(text: str, address: str | None) -> None:
    assert outside(text) == (None if address is None else ip_address(address))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[31m", "x" * 129, "\u202ename"])
def test_a_name_cannot_steer_a_terminal(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a user"):
        person(name)


PARSERS: list[Callable[[str], Read]] = [
    wireguard,
    lambda text: read_status(text, NOW),
    lambda text: read_sas(text, NOW),
    lambda text: read_list(text, NOW),
]
WHOLE = [dump(peer("A")), status(client()), sa("remote-eap-id=alice ") + END, "user,address\nalice,10.99.0.7\n"]


@pytest.mark.parametrize(
    ("read", "whole"), list(zip(PARSERS, WHOLE, strict=True)), ids=["wg", "openvpn", "swan", "list"]
)
@given(data=st.data())
def test_whatever_is_cut_or_scribbled_over_is_said_and_never_breaks(
    read: Callable[[str], Read], whole: str, data: st.DataObject
) -> None:
    """Nor is anybody else than alice made of it."""
    start = data.draw(st.integers(0, len(whole)))
    scribble = data.draw(st.text(max_size=3))
    text = whole[:start] + scribble + whole[data.draw(st.integers(start, len(whole))) :]
    with suppress(CannotRead):
        assert len(read(text).told) <= 2
