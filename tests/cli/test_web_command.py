"""`web landing` and `dns-zone`: what they say, how they end, and what they do not let happen."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from switchguard.cli.main import run
from switchguard.core.model import Attribution
from switchguard.core.visitors import faces
from switchguard.edge.ledger import SqlLedger

ROOT = Path(__file__).parents[2]
SWITCHGUARD = str(Path(sys.executable).with_name("switchguard"))
DOCUMENTED = set(re.findall(r"[a-z_]+", (ROOT / "docs" / "json.md").read_text()))
PATIENCE_S = 60.0
OPENER = build_opener(ProxyHandler({}))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    made = tmp_path / "site"
    shutil.copytree(ROOT / "examples" / "first-evening", made)
    return made


@dataclass(frozen=True)
class Said:
    returncode: int
    stdout: str
    stderr: str


def types(site: Path, *words: str) -> Said:
    """A command that ends by itself."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(["--site", str(site), *words])
    return Said(status, out.getvalue(), err.getvalue())


def looked(site: Path) -> None:
    """As after a pass of the service that found nobody."""
    ledger = SqlLedger(site / "state" / "switchguard.db")
    ledger.save_faces(faces(Attribution(datetime.now(UTC), ()), ()))
    ledger.close()


@contextmanager
def serving(site: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The page as a process, and its URL, as it says it itself."""
    command = [SWITCHGUARD, "--site", str(site), "web", "landing", "--listen", "127.0.0.1:0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            said += line
        yield json.loads(said)["url"], process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def fetch(url: str, **headers: str) -> tuple[int, str]:
    try:
        with OPENER.open(Request(url, headers=headers), timeout=10) as answer:  # noqa: S310  our own page
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


# --- web landing -----------------------------------------------------------------------------------------------------


def test_it_serves_and_ends_when_asked_to(site: Path) -> None:
    looked(site)
    with serving(site) as (url, process):
        status, page = fetch(url, **{"Accept-Language": "de", "X-Forwarded-For": "10.10.0.107"})
        assert (status, "Gegen Sie liegt nichts vor" in page) == (200, True)
        assert fetch(f"{url}generate_204")[0] == 200, "led to the page"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_neither_silence_nor_size_holds_it_up(site: Path) -> None:
    looked(site)
    with serving(site) as (url, process):
        assert fetch(url, Cookie="x" * 20_000)[0] == 431
        port = int(url.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.sendall(b"GET / HTTP/1.1\r\n")
            assert fetch(url)[0] == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


def dial(port: int, here: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(here, 0))
    line.sendall(b"GET / HTTP/1.1\r\nX: ")
    return line


def is_open(line: socket.socket) -> bool:
    """Whether the other side waits for more."""
    line.settimeout(0.2)
    try:
        return line.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def visits(port: int, here: str) -> bool:
    try:
        with dial(port, here) as line:
            line.sendall(b"x\r\nHost: x\r\nConnection: close\r\n\r\n")
            return line.recv(12) == b"HTTP/1.1 200"
    except ConnectionError:
        return False


def test_one_host_with_more_connections_than_there_are_keeps_nobody_else_out(site: Path) -> None:
    looked(site)
    with serving(site) as (url, _):
        port = int(url.rstrip("/").rpartition(":")[2])
        with ExitStack() as held:
            lines = [held.enter_context(dial(port, "127.0.0.2")) for _ in range(520)]
            assert visits(port, "127.0.0.3")
            assert [is_open(it) for it in (lines[0], lines[19], lines[20], lines[-1])] == [True, True, False, False]
        assert eventually(lambda: visits(port, "127.0.0.2")), "and may come again when it has closed them"


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


BRIEF = """\
from ipaddress import ip_network
from switchguard.web.serving import Bounds, serve

def app(environ, start):
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]

bounds = Bounds(per_address=2, request_s=1.0, look_every_s=1, proxies=(ip_network("127.0.0.9/32"),))
serve(app, "127.0.0.1", 0, lambda port: print(port, flush=True), bounds)
"""


@pytest.fixture
def brief() -> Iterator[int]:
    """The port of a server with little patience."""
    process = subprocess.Popen([sys.executable, "-c", BRIEF], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("drop", [b"x", b"\r\n"])
def test_a_request_that_drips_is_not_waited_for(brief: int, drop: bytes) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", brief)) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX: " if drop == b"x" else drop)
        while is_open(line):
            assert time.monotonic() - began < PATIENCE_S / 2, "it waits for ever"
            with suppress(OSError):
                line.sendall(drop)


def test_a_connection_that_is_used_stays(brief: int) -> None:
    with socket.create_connection(("127.0.0.1", brief)) as line:
        line.settimeout(10)
        for _ in range(8):
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok"):
                piece = line.recv(1000)
                assert piece, "it was closed"
                answer += piece
            time.sleep(0.4)


def test_everybody_comes_by_the_sites_own_proxy(brief: int) -> None:
    with ExitStack() as held:
        lines = {here: [held.enter_context(dial(brief, here)) for _ in range(4)] for here in ("127.0.0.8", "127.0.0.9")}
        assert [is_open(it) for it in lines["127.0.0.9"]] == [True] * 4
        assert visits(brief, "127.0.0.9")


def test_a_port_in_use_is_named(site: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = [SWITCHGUARD, "--site", str(site), "web", "landing", "--listen", f"127.0.0.1:{port}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert f"error: nobody can listen on 127.0.0.1 port {port}: " in done.stderr
    assert "Address already in use" in done.stderr


@pytest.mark.parametrize(
    "listen", ["8080", "localhost:8080", "127.0.0.1", "127.0.0.1:99999", "::1:8080", "300.0.0.1:80"]
)
def test_a_bad_address_to_listen_on_is_named(site: Path, listen: str) -> None:
    done = types(site, "web", "landing", "--listen", listen)
    assert (done.returncode, listen.split(":99999")[0].split(":80")[0] in done.stderr) == (1, True)


def test_a_ledger_that_cannot_be_read_is_named(site: Path) -> None:
    (site / "state").mkdir()
    (site / "state" / "switchguard.db").write_text("this is no database, whatever its name says")
    done = types(site, "web", "landing", "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert done.stderr == f"error: ledger {site}/state/switchguard.db: file is not a database\n"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("<h1>{{ view.title }}</h1>\n{{ vew.intro }}\n", ":2: 'vew' is undefined"),
        ("{{ view.titel }}", ":1: 'switchguard.web.story.View object' has no attribute 'titel'"),
        ("<p>\n{% for x in y %}\n", ":2: Unexpected end of template."),
        ("{% include 'other.html' %}", ":1: no template is called 'other.html'"),
        ("<p>\n{{ 1 + 'a' }}", ":2: unsupported operand type(s) for +: 'int' and 'str'"),
        ("<p>\n{{ 1 / 0 }}", ":2: division by zero"),
        ("{{ view.tone | dictsort }}", ":1: 'str' object has no attribute 'items'"),
        ("<p>\n{% include 'page.html' %}", ":2: goes in circles: something includes or calls itself"),
    ],
)
def test_a_template_with_a_mistake_is_found_at_the_start(site: Path, template: str, why: str) -> None:
    (site / "landing").mkdir()
    (site / "landing" / "page.html").write_text(template)
    done = types(site, "web", "landing", "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {site}/landing/page.html{why}"), done.stderr


def test_a_sites_own_template_is_used(site: Path) -> None:
    (site / "landing").mkdir()
    (site / "landing" / "page.html").write_text("{{ language.code }}: {{ view.title }}")
    looked(site)
    with serving(site) as (url, _):
        assert fetch(f"{url}?lang=de") == (200, "de: Gegen Sie liegt nichts vor")


def test_it_says_that_no_service_has_run_yet(site: Path) -> None:
    done = types(site, "web", "landing", "--preview", "10.10.0.107")
    assert (done.returncode, "We cannot tell right now" in done.stdout) == (0, True)


def test_a_preview_has_documented_keys(site: Path) -> None:
    looked(site)
    done = types(site, "web", "landing", "--preview", "10.10.0.107", "--lang", "fr", "--json")
    found = json.loads(done.stdout)
    assert (found["known"], found["captive"], found["penalties"], found["title"]) == (
        True,
        False,
        [],
        "Rien ne vous est reproché",
    )
    assert set(found) <= DOCUMENTED
    unknown = types(site, "web", "landing", "--preview", "10.10.0.107", "--lang", "sv")
    assert (unknown.returncode, "no language called 'sv'" in unknown.stderr) == (1, True)


def test_a_portal_that_is_not_https_is_refused_with_its_line(site: Path) -> None:
    policy = site / "switchguard.yaml"
    policy.write_text(policy.read_text() + "landing: {url: 'http://help.example.org/'}\n")
    done = types(site, "check")
    assert done.returncode == 1
    assert "landing.url: 'http://help.example.org/' is no address of a page; write it like https://" in done.stderr


def test_other_commands_do_not_wait_for_the_web() -> None:
    """Nor does `web landing` for the libraries of devices, beyond what every command of a site has."""
    seen = subprocess.run(
        [sys.executable, "-c", "import sys, switchguard.cli.act, switchguard.cli.service; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert not {"flask", "werkzeug", "waitress", "switchguard.web.landing"} & set(seen.stdout.split())


# --- dns-zone --------------------------------------------------------------------------------------------------------


@pytest.fixture
def trackers(tmp_path: Path) -> Path:
    file = tmp_path / "trackers.txt"
    file.write_text("tracker.example.org\nudp://192.0.2.9:80\ntracker.example.org\n")
    return file


def test_a_zone_goes_to_standard_output_and_what_is_left_out_beside_it(site: Path, trackers: Path) -> None:
    done = types(site, "dns-zone", "--list", str(trackers), "--to", "192.0.2.80", "--format", "dnsmasq")
    assert (done.returncode, done.stdout) == (
        0,
        "# 1 name, and all below it, lead to 192.0.2.80\nlocal=/tracker.example.org/\n"
        "address=/tracker.example.org/192.0.2.80\n",
    )
    assert done.stderr == (
        f"{trackers}:2: left out: 192.0.2.9 is an address, and DNS cannot lead it elsewhere\n"
        f"{trackers}:3: left out: tracker.example.org is in the list already\n"
    )


def test_a_zone_goes_to_a_file(site: Path, trackers: Path, tmp_path: Path) -> None:
    zone = tmp_path / "switchguard.rpz"
    words = ("dns-zone", "--list", str(trackers), "--to", "192.0.2.80", "--to", "2001:db8::80")
    done = types(site, *words, "--output", str(zone))
    assert (done.returncode, done.stdout) == (0, f"{zone}: 1 name\n")
    assert "*.tracker.example.org AAAA 2001:db8::80\n" in zone.read_text()
    refused = types(site, *words, "--output", str(tmp_path / "absent" / "zone"))
    assert (refused.returncode, "No such file or directory" in refused.stderr) == (1, True)


def test_a_zone_has_documented_keys(site: Path, trackers: Path) -> None:
    done = types(site, "dns-zone", "--list", str(trackers), "--to", "192.0.2.80", "--json")
    found = json.loads(done.stdout)
    assert found["left_out"] == [
        {"line": 2, "text": "192.0.2.9", "why": "address"},
        {"line": 3, "text": "tracker.example.org", "why": "repeated"},
    ]
    assert set(found) | set(found["left_out"][0]) <= DOCUMENTED


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--to", "example.org"), "'example.org' is not an IP address"),
        (("--to", "0.0.0.0"), "0.0.0.0 is no address that a page can have"),  # noqa: S104  refused
        (("--to", "192.0.2.1", "--to", "192.0.2.2"), "--to is for one IPv4 and one IPv6 address at most"),
        (("--to", "192.0.2.1", "--format", "bind"), "'bind' is not one of 'rpz', 'unbound', 'dnsmasq'"),
    ],
)
def test_a_bad_target_or_format_is_named(site: Path, trackers: Path, words: tuple[str, ...], why: str) -> None:
    done = types(site, "dns-zone", "--list", str(trackers), *words)
    assert (done.returncode, why in done.stderr) == (1, True), done.stderr
