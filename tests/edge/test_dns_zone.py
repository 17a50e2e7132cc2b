"""Lists of names become zones that real resolvers load and answer from; nothing else of a list gets into them."""

import random
import shutil
import socket
import string
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchguard.edge.dns_zone import Format, Names, ascii_form, read_names, zone
from switchguard.errors import SiteError

PAGE, PAGE6 = ip_address("192.0.2.80"), ip_address("2001:db8::80")
WORLD = ip_address("198.51.100.1"), ip_address("2001:db8:ffff::1")
LIST = """\
# where trackers are
udp://tracker.opentracker.example:1337/announce   # as lists have them
http://TRACKER.example.org:80/announce?info_hash=0
tracker.example.org.
  swarm_1.example.net

bücher.example
wss://192.0.2.9/announce
"""
LISTED = ("tracker.opentracker.example", "tracker.example.org", "swarm_1.example.net", "xn--bcher-kva.example")
A, NS, TXT, AAAA, HTTPS = 1, 2, 16, 28, 65
PATIENCE_S = 20.0


@pytest.fixture
def names(tmp_path: Path) -> Names:
    file = tmp_path / "trackers.txt"
    file.write_text(LIST)
    return read_names(file)


def complaint(tmp_path: Path, text: str) -> str:
    file = tmp_path / "trackers.txt"
    file.write_text(text)
    with pytest.raises(SiteError) as caught:
        read_names(file)
    return str(caught.value).removeprefix(str(file))


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_of_names_and_urls_is_read_and_what_is_left_out_is_told(names: Names) -> None:
    assert names == Names(LISTED, repeated=((4, "tracker.example.org"),), addresses=((8, "192.0.2.9"),))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("*.example.org", "'*.example.org' is a wildcard; write the name alone, what is below it goes with it"),
        ("http://*.example.org/", "'*.example.org' is a wildcard; write the name alone, what is below it goes with it"),
        ("org", "'org' is no name of a host below some domain"),
        (".", "'.' is no name of a host"),
        ("a..example.org", "'a..example.org' is no name of a host"),
        ("-a.example.org", "'-a.example.org' is no name of a host"),
        ("a b.example.org", "'a b.example.org' is no name of a host"),
        ('a".example.org', "'a\".example.org' is no name of a host"),
        ("a;b.example.org", "'a;b.example.org' is no name of a host"),
        ("a/b.example.org", "'a/b.example.org' is no name of a host"),
        ("$INCLUDE.example", "'$INCLUDE.example' is no name of a host"),
        ("1.2.3", "'1.2.3' is no name of a host below some domain"),
        (f"{'a' * 64}.example", f"'{'a' * 64}.example' is no name of a host"),
        (f"{'a.' * 110}example", f"'{'a.' * 110}example' is no name of a host"),
        ("udp://", "'udp://' has no host"),
        (
            "32.1.0.0.127.rpz-client-ip",
            "'32.1.0.0.127.rpz-client-ip' would be a rule of a policy zone, not a name: "
            "no label may begin like 'rpz-client-ip'",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, why: str) -> None:
    assert complaint(tmp_path, f"good.example.org\n{line}\n") == f":2: {why}"


def test_a_mark_of_the_byte_order_before_a_comment_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# trackers\ngood.example.org\n", encoding="utf-8-sig")
    assert read_names(tmp_path / "list").names == ("good.example.org",)


def test_several_bad_lines_are_told_at_once_but_not_a_whole_list(tmp_path: Path) -> None:
    told = complaint(tmp_path, "x\n" * 7)
    assert told.startswith(":1: 'x' is no name")
    assert "; line 5: " in told
    assert told.endswith("; and 2 more")


def test_no_list_an_empty_one_and_a_binary_one_are_errors(tmp_path: Path) -> None:
    assert complaint(tmp_path, "# nothing\n\n") == ": has no names"
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SiteError, match="is no UTF-8 text: invalid start byte at octet 0"):
        read_names(tmp_path / "binary")
    with pytest.raises(SiteError, match="No such file"):
        read_names(tmp_path / "absent")


@pytest.mark.parametrize(
    "line",
    [
        "32.1.0.0.127.rpz-client-ip",
        "udp://0.0.0.0.0.RPZ-IP:6969/announce",
        "ns.example.org.rpz-nsdname",
        "24.0.2.0.192.rpz-nsip.",
        "tracker.rpz-drop",
        "rpz-passthru.example.org",
        "32.1.0.0.127.\N{FULLWIDTH LATIN SMALL LETTER R}pz-client-ip",
    ],
)
def test_a_rule_of_a_policy_zone_is_no_name_whatever_the_format(line: str) -> None:
    with pytest.raises(ValueError, match="would be a rule of a policy zone"):
        ascii_form(line.partition("://")[2].partition(":")[0] or line)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_whatever_a_list_says_nothing_but_a_plain_name_comes_out(line: str) -> None:
    try:
        made = ascii_form(line)
    except ValueError:
        return
    assert set(made) <= set(string.ascii_lowercase + string.digits + "-_.")
    assert len(made) <= 200
    assert ascii_form(made) == made
    assert not any(label.startswith("rpz-") for label in made.split("."))


def test_the_list_of_the_conference_is_good() -> None:
    found = read_names(Path(__file__).parents[2] / "examples" / "conference" / "trackers.txt")
    assert (len(found.names), found.repeated, found.addresses) == (3, (), ())


# --- resolvers -------------------------------------------------------------------------------------------------------


def ask(port: int, name: str, kind: int, patience_s: float = 10.0) -> tuple[int, list[bytes]]:
    """The status of the answer, and the data of its records of this type (RFC 1035, section 4)."""
    number = random.randrange(1 << 16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(patience_s)
        line.sendto(question, ("127.0.0.1", port))
        answer = line.recv(4096)
    there, flags, _, count, _, _ = struct.unpack_from("!6H", answer)
    assert there == number
    found, at = [], len(question)
    for _ in range(count):
        at += 2 if answer[at] >= 0xC0 else answer.index(b"\0", at) - at + 1
        of, _, _, length = struct.unpack_from("!HHIH", answer, at)
        at += 10
        found += [answer[at : at + length]] if of == kind else []
        at += length
    return flags & 0xF, found


def free_port() -> int:
    """For UDP and TCP, below the ports that the kernel gives to whoever asks for any (32768 and up on Linux)."""
    while True:
        port = random.randrange(10_000, 32_000)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            suppress(OSError),
        ):
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(port: int, *command: str) -> Iterator[None]:
    """A resolver, from its first answer on."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                ask(port, LISTED[0], A, patience_s=0.2)
                break
            except OSError:
                assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
                assert time.monotonic() < deadline, f"{command[0]} does not answer"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


UNBOUND = """\
server:
    interface: 127.0.0.1
    port: {port}
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    do-not-query-localhost: no
    module-config: "{modules}"
    trust-anchor-signaling: no
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{world}
"""
RPZ = """\
rpz:
    name: switchguard.rpz
    zonefile: "{file}"
"""
INCLUDE = 'include: "{file}"\n'


def dnsmasq(port: int, *words: str) -> tuple[str, ...]:
    alone = (
        "--keep-in-foreground",
        "--log-facility=-",
        "--conf-file=",
        "--no-resolv",
        "--no-hosts",
        "--user=",
        "--pid-file=",
    )
    return ("dnsmasq", *alone, "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={port}", *words)


@contextmanager
def resolver(form: Format, text: str, folder: Path) -> Iterator[int]:
    """A real resolver with this zone, and the rest of the world behind it, where every name has the same addresses."""
    program = "dnsmasq" if form == "dnsmasq" else "unbound"
    for needed in {program, "dnsmasq"}:
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed; `.ci/system-packages --tests` installs it")
    port, world, file = free_port(), free_port(), folder / "zone"
    file.write_text(text)
    config = UNBOUND.format(
        port=port, folder=folder, modules="respip iterator" if form == "rpz" else "iterator", world=world
    )
    (folder / "unbound.conf").write_text(config + (RPZ if form == "rpz" else INCLUDE).format(file=file))
    unbound = ("unbound", "-d", "-c", str(folder / "unbound.conf"))
    command = dnsmasq(port, f"--server=127.0.0.1#{world}", f"--conf-file={file}") if form == "dnsmasq" else unbound
    with running(world, *dnsmasq(world, *(f"--address=/#/{it}" for it in WORLD))), running(port, *command):
        yield port


@pytest.mark.parametrize("form", ["rpz", "unbound", "dnsmasq"])
def test_a_real_resolver_leads_listed_names_and_all_below_them_to_the_page(
    form: Format, names: Names, tmp_path: Path
) -> None:
    with resolver(form, zone(names.names, (PAGE, PAGE6), form, 1), tmp_path) as port:
        for name in (*LISTED, "www.tracker.example.org", "a.b.tracker.example.org", "Tracker.Example.ORG"):
            assert ask(port, name, A) == (0, [PAGE.packed]), name
            assert ask(port, name, AAAA) == (0, [PAGE6.packed]), name
        for name in ("example.org", "nottracker.example.org", "tracker.example.com"):
            assert ask(port, name, A) == (0, [WORLD[0].packed]), name


@pytest.mark.parametrize("form", ["rpz", "unbound", "dnsmasq"])
def test_no_other_way_to_a_listed_name_is_told(form: Format, names: Names, tmp_path: Path) -> None:
    """With an IPv4 address alone nobody may learn the tracker's IPv6 address instead, nor its HTTPS record."""
    with resolver(form, zone(names.names, (PAGE,), form, 1), tmp_path) as port:
        assert ask(port, LISTED[1], A) == (0, [PAGE.packed])
        for kind in (AAAA, TXT, HTTPS):
            status, found = ask(port, LISTED[1], kind)
            assert (status in (0, 3), found) == (True, []), kind


def test_a_rule_about_clients_in_a_policy_zone_would_lead_everybody_away(tmp_path: Path) -> None:
    """Why such a line may not get into a list: a real resolver obeys it."""
    with resolver(
        "rpz", zone(("tracker.example.org", "8.0.0.0.127.rpz-client-ip"), (PAGE,), "rpz", 1), tmp_path
    ) as port:
        assert ask(port, "www.innocent.example", A) == (0, [PAGE.packed])


@pytest.mark.parametrize("form", ["rpz", "unbound", "dnsmasq"])
def test_a_listed_name_like_the_policy_zones_own_leads_nothing_else_away(form: Format, tmp_path: Path) -> None:
    """`switchguard.rpz` is what the zone itself is called; names of digits, and such without a policy's prefix, too."""
    listed = ("switchguard.rpz", "www.switchguard.rpz", "rpz.example.org", "32.1.0.0.127.rpzclient-ip.example")
    with resolver(form, zone(listed, (PAGE,), form, 1), tmp_path) as port:
        assert [ask(port, name, A) for name in listed] == [(0, [PAGE.packed])] * len(listed)
        for name in ("www.innocent.example", "example.org", "1.0.0.127.example"):
            assert ask(port, name, A) == (0, [WORLD[0].packed]), name
