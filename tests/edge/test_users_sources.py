"""All sources of a site together: asked on their machines, followed from reading to reading, silent ones said."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from switchguard.core.attribute import attribute
from switchguard.core.model import Device, Gap, Role, Snapshot
from switchguard.core.user_sessions import ALWAYS
from switchguard.edge.session import open_session
from switchguard.edge.settings import Site, load_site, missing_credentials
from switchguard.edge.vpn.management import ask_status
from switchguard.edge.vpn.pages import pages_from, pages_text
from switchguard.edge.vpn.reading import CannotRead
from switchguard.edge.vpn.sources import Command, Listing, OpenVPN, Pages, Source, Users, UsersOf, UserSource
from switchguard.errors import SiteError
from switchguard.ports import Endpoint, Secret

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GW = Device("gw1", "linux", Role.GATEWAY)
NETWORKS = (ip_network("10.99.0.0/16"),)
STATUS = """\
TITLE,OpenVPN 2.6.14
TIME,2026-11-20 12:00:00,{now}
HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Connected Since (time_t)
CLIENT_LIST,alice,192.0.2.7:51820,10.99.0.7,{since}
END
"""


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def users(clock: Clock, *sources: Source, recall: Pages | None = None) -> Users:
    named = tuple(UserSource(f"vpn/{number}", it) for number, it in enumerate(sources, 1))
    zone = UsersOf("vpn", NETWORKS, named)
    opens = {"gw1": Endpoint("local")}
    known = recall or {}
    return Users([zone], {"gw1": GW}, lambda it: open_session(it, opens[it.name]), clock, lambda: known)


def seen(of: Users, clock: Clock) -> Snapshot:
    return of.seen_by(Snapshot(clock(), ()))


def who(snapshot: Snapshot) -> list[tuple[str, datetime, datetime | None]]:
    return [(it.user, it.since, it.until) for it in snapshot.users]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_file_is_read_where_it_is(tmp_path: Path, clock: Clock) -> None:
    """On a device by its shell, here by ours; whatever its name has in it."""
    file = tmp_path / "it's status.log"
    file.write_text(STATUS.format(now=int(NOON.timestamp()), since=int(NOON.timestamp()) - 60))
    found = seen(users(clock, OpenVPN("gw1", str(file)), OpenVPN(None, str(file))), clock)
    assert found.gaps == ()
    assert [(it.source, it.user, it.since) for it in found.users] == [
        ("vpn/1", "alice", NOON - MINUTE),
        ("vpn/2", "alice", NOON - MINUTE),
    ]
    assert [(it.device, it.table, it.rows) for it in found.readings] == [("vpn/1", "users", 1), ("vpn/2", "users", 1)]


def test_sessions_are_followed_from_reading_to_reading(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "list.csv"
    file.write_text("user,address\nalice,10.99.0.7\n")
    of = users(clock, Listing(file))
    assert who(seen(of, clock)) == [("alice", ALWAYS, None)]
    clock.now += MINUTE
    file.write_text("user,address\nbob,10.99.0.8\n")
    assert who(seen(of, clock)) == [("alice", ALWAYS, NOON), ("bob", NOON, None)]


def test_the_next_process_goes_on_where_the_last_one_stopped(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "list.csv"
    file.write_text("user,address\nalice,10.99.0.7\n")
    before = users(clock, Listing(file))
    first = seen(before, clock)
    clock.now += MINUTE
    file.write_text("user,address\nbob,10.99.0.7\n")
    after = seen(users(clock, Listing(file), recall=pages_from(pages_text(before.pages))), clock)
    assert who(after) == [("alice", ALWAYS, NOON), ("bob", NOON + MINUTE, None)]
    assert after.user_zones == first.user_zones


def test_what_another_release_left_behind_is_put_away() -> None:
    assert pages_from('{"vpn/1": {"colour": "blue"}}') == {}
    assert pages_from(None) == {}


def test_only_addresses_of_the_zone_count(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "list.csv"
    file.write_text("user,address\nalice,10.99.0.7 192.168.1.7 0.0.0.0/0\nbob,10.0.0.0/8\n")
    (alice,) = seen(users(clock, Listing(file)), clock).users
    assert (alice.user, alice.addresses) == ("alice", (ip_address("10.99.0.7"),))


def test_a_source_of_another_zone_is_said(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "list.csv"
    file.write_text("user,address\nbob,10.98.0.7\n")
    assert seen(users(clock, Listing(file)), clock).gaps == (
        Gap("vpn/1", "users", "none of its 1 sessions has an address in 10.99.0.0/16"),
    )


def test_a_program_prints_a_list(tmp_path: Path, clock: Clock) -> None:
    printed = Command(("printf", r"user,address\nalice,10.99.0.7\n"), tmp_path)
    assert who(seen(users(clock, printed), clock)) == [("alice", ALWAYS, None)]


# --- not reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (Listing(Path("/nonexistent/list.csv")), "/nonexistent/list.csv: cannot be read: No such file or directory"),
        (Command(("sh", "-c", "echo no >&2; exit 3"), Path("/")), "sh: ended with status 3: no"),
        (Command(("/nonexistent/list",), Path("/")), "/nonexistent/list: cannot be run: No such file or directory"),
        (OpenVPN(None, "/nonexistent/status"), "this machine: refused 'cat -- /nonexistent/status': cat: "),
        (OpenVPN(None, None, "unix:/nonexistent/m"), "unix:/nonexistent/m: No such file or directory"),
    ],
    ids=["file", "status", "program", "device", "socket"],
)
def test_a_source_that_cannot_be_read_is_a_gap(clock: Clock, source: Source, why: str) -> None:
    (gap,) = seen(users(clock, source), clock).gaps
    assert (gap.device, gap.table) == ("vpn/1", "users")
    assert gap.why.startswith(why)


def test_a_defect_of_one_parser_is_a_gap_and_the_others_are_read(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "list.csv"
    file.write_text("user,address\nalice,10.99.0.7\n")
    found = seen(users(clock, object(), Listing(file)), clock)  # type: ignore[arg-type]  # no source at all
    assert [it.user for it in found.users] == ["alice"]
    (gap,) = found.gaps
    assert (gap.device, gap.table) == ("vpn/1", "users")
    assert gap.why.startswith("a defect in switchguard: ")


def test_what_a_silent_source_told_last_is_believed_for_five_minutes(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "list.csv"
    file.write_text("user,address\nalice,10.99.0.7\n")
    of = users(clock, Listing(file))
    seen(of, clock)
    file.unlink()
    clients = []
    for _ in range(2):
        clock.now += 4 * MINUTE
        found = seen(of, clock)
        assert [it.table for it in found.gaps] == ["users"]
        clients.append([it.identity for it in attribute(found).clients])
    assert clients == [["user:alice"], []]


def test_after_a_long_silence_sessions_are_followed_anew(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "list.csv"
    file.write_text("user,address\nalice,10.99.0.7\n")
    of = users(clock, Listing(file))
    followed = []
    for minutes in (0, 1, 20):
        clock.now = NOON + minutes * MINUTE
        followed.append(seen(of, clock).user_zones[0].followed_since)
    assert followed == [NOON, NOON, NOON + 20 * MINUTE]


# --- the management interface ----------------------------------------------------------------------------------------


@contextmanager
def manager(where: Path, *says: bytes) -> Iterator[list[bytes]]:
    """Speaks as OpenVPN 2.6 does: something first, then an answer to each line. Gives the lines that it heard."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(where))
        listening.listen(1)

        def serve() -> None:
            with listening.accept()[0] as line, line.makefile("rb") as spoken:
                line.sendall(says[0])
                for answer, asked in zip(says[1:], spoken, strict=False):
                    heard.append(asked.strip())
                    line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield heard
        finally:
            thread.join()


INFO = b">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"
ANSWER = b"TITLE\tOpenVPN 2.6.14\r\n>BYTECOUNT:1,2\r\nTIME\tx\t1795176314\r\nEND\r\n"


@pytest.mark.parametrize(
    ("password", "says"),
    [
        (None, (INFO, ANSWER)),
        (Secret("s"), (b"ENTER PASSWORD:", b"SUCCESS: password is correct\r\n" + INFO, ANSWER)),
    ],
)
def test_the_status_is_asked_for_and_news_are_passed_over(
    tmp_path: Path, password: Secret | None, says: Sequence[bytes]
) -> None:
    with manager(tmp_path / "m", *says) as heard:
        told = ask_status(f"unix:{tmp_path}/m", password, 5)
    assert told == "TITLE\tOpenVPN 2.6.14\nTIME\tx\t1795176314\nEND\n"
    assert heard == ([] if password is None else [b"s"]) + [b"status 3"]


@pytest.mark.parametrize(
    ("password", "says", "why"),
    [
        (None, (b"ENTER PASSWORD:",), "wants a password"),
        (Secret("x"), (b"ENTER PASSWORD:", b"ENTER PASSWORD:"), "does not accept the password"),
        (None, (INFO, b"ERROR: unknown command\r\n"), "`status 3` is answered 'ERROR: unknown command'"),
        (None, (INFO, b"TITLE\tOpen"), "hung up"),
    ],
)
def test_a_conversation_that_goes_wrong_is_said(
    tmp_path: Path, password: Secret | None, says: Sequence[bytes], why: str
) -> None:
    with manager(tmp_path / "m", *says), pytest.raises(CannotRead, match=why):
        ask_status(f"unix:{tmp_path}/m", password, 5)


def test_a_manager_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    """OpenVPN lets a second manager wait."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/m")
        listening.listen(1)
        with pytest.raises(CannotRead, match="OpenVPN talks to one manager at a time"):
            ask_status(f"unix:{tmp_path}/m", None, 0.05)


# --- settings --------------------------------------------------------------------------------------------------------

HOSTS = "gw1: {hostname: local, platform: linux, data: {switchguard: {role: gateway}}}\n"


def site(tmp_path: Path, sources: str) -> Site:
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    (tmp_path / "switchguard.yaml").write_text(
        f"zones:\n  vpn:\n    networks: [10.99.0.0/16]\n    enforce_at: gateway\n    users:\n{sources}"
    )
    return load_site(tmp_path)


def test_every_kind_of_source_can_be_written_alone_or_in_a_list(tmp_path: Path) -> None:
    kinds = (
        "      - wireguard: {device: gw1, interface: wg0, names: people.txt, idle: 5m}\n"
        "      - openvpn: {status: /run/openvpn/udp.log, device: gw1}\n"
        "      - openvpn: {management: 127.0.0.1:7505, password: {file: password}}\n"
        "      - strongswan: {}\n"
        "      - radius: {detail: /var/log/radacct/*/detail-*}\n"
        "      - csv: {file: users.csv}\n"
        "      - command: {run: [whois-there, --csv]}\n"
    )
    (zone,) = site(tmp_path, kinds).users
    assert [it.name for it in zone.sources] == [
        "vpn/wireguard",
        "vpn/openvpn",
        "vpn/openvpn 2",
        "vpn/strongswan",
        "vpn/radius",
        "vpn/csv",
        "vpn/command",
    ]
    (alone,) = site(tmp_path, "      csv: {file: users.csv}\n").users
    assert alone.sources == (UserSource("vpn/csv", Listing(tmp_path / "users.csv")),)


def test_a_password_that_is_nowhere_is_missed(tmp_path: Path) -> None:
    made = site(tmp_path, "      openvpn: {management: 127.0.0.1:7505, password: {file: password}}\n")
    assert [str(it) for it in missing_credentials(made)] == [
        f"zones.vpn.users.openvpn: zones.vpn.users.openvpn.password: the file {tmp_path}/password cannot be read: "
        "No such file or directory"
    ]


@pytest.mark.parametrize(
    ("sources", "line", "why"),
    [
        ("      wireguard: {}\n", 6, "'zones.vpn.users.wireguard.interface' is missing"),
        ("      wireguard: {interface: 'wg0; reboot'}\n", 6, "should match pattern"),
        (
            "      wireguard: {interface: wg0, device: gw2}\n",
            6,
            "zone 'vpn': no device called 'gw2'; did you mean 'gw1'?",
        ),
        ("      openvpn: {}\n", 6, "either by its 'status' file or by 'management'"),
        ("      openvpn: {management: 192.0.2.1:7505}\n", 6, "should match pattern"),
        ("      openvpn: {status: x, password: {env: X}}\n", 6, "only the management interface has a password"),
        ("      openvpn: {management: 127.0.0.1:1, password: geheim}\n", 6, "a secret in plain text is refused"),
        ("      openvpn: {management: 127.0.0.1:1, device: gw1}\n", 6, "it has no 'device'"),
        ("      csv: {file: a}\n      radius: {detail: b}\n", 5, "exactly one of wireguard, openvpn, strongswan"),
        ("      - csv: {file: a}\n      - csv: {fil: b}\n", 7, "did you mean 'file'?"),
        ("      csv: vpn.csv\n", 6, "not 'vpn.csv'; known are: file"),
        ("      - cvs: {file: a}\n", 6, "did you mean 'csv'?"),
    ],
)
def test_a_wrong_key_is_said_with_its_line(tmp_path: Path, sources: str, line: int, why: str) -> None:
    with pytest.raises(SiteError) as error:
        site(tmp_path, sources)
    assert why in str(error.value)
    assert f"switchguard.yaml:{line}: " in str(error.value)
