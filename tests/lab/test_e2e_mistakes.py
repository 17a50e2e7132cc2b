"""Sites with something wrong in them, devices that are not as they should be, and clients that nobody may block."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from desk import ON_SW1, ON_SW2, Desk

from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered

pytestmark = pytest.mark.lab


# --- clients ---------------------------------------------------------------------------------------------------------


def test_whoever_must_not_be_blocked_is_not_and_the_reason_is_said(lab: Lab, desk: Desk) -> None:
    """Every one of them asked for with --yes."""
    reasons = {
        "01:00:5e:00:00:01": "is a multicast address [infrastructure]",
        "ff:ff:ff:ff:ff:ff": "is the broadcast address [infrastructure]",
        "00:00:5e:00:01:0a": "is a virtual router's address (VRRP for IPv4) [infrastructure]",
        "02:67:77:00:00:0a": "belongs to gw [infrastructure]",
        "02:5a:00:0a:00:00": "belongs to core [infrastructure]",
        "02:00:00:00:00:03": "it is exempt: the server that the internet visits [exemption]",
        "02:aa:bb:cc:dd:ee": "core: it carries no VLAN of this MAC",
    }
    said = desk.types_each([("block", "mac", mac, "--yes") for mac in reasons])
    assert [(each.status, each.out) for each in said] == [(3, "")] * len(reasons)
    assert [reason for reason, each in zip(reasons.values(), said, strict=True) if reason not in each.err] == []
    assert (desk.offline(), desk.states(), desk.ours()) == (set(), {}, [])


def test_who_is_not_there_cannot_be_located_or_explained(lab: Lab, desk: Desk) -> None:
    locate, explain = desk.types_each([("locate", "02:aa:bb:cc:dd:ee"), ("explain", "02:aa:bb:cc:dd:ee")])
    assert (locate.status, locate.out) == (1, "not located: it is in no ARP, forwarding or translation table now\n")
    assert (explain.status, "nothing is known of 02:aa:bb:cc:dd:ee" in explain.err) == (1, True)


# --- devices ---------------------------------------------------------------------------------------------------------

Ailment = Callable[[Lab, Desk], None]


def wrong_password(_lab: Lab, desk: Desk) -> None:
    (desk.site / "secrets" / "old").write_text("outdated\n")
    desk.host("sw1", password={"file": "secrets/old"})


def missing_password(_lab: Lab, desk: Desk) -> None:
    desk.host("sw1", password={"env": "NOWHERE_SET"})


def unknown_host_key(_lab: Lab, desk: Desk) -> None:
    known = desk.site / "known_hosts"
    lines = known.read_text().splitlines(keepends=True)
    known.write_text("".join(line for line in lines if not line.startswith("10.255.0.11 ")))


def another_host_key(_lab: Lab, desk: Desk) -> None:
    """That of sw2 in place of sw1's."""
    known = desk.site / "known_hosts"
    lines = [line for line in known.read_text().splitlines(keepends=True) if not line.startswith("10.255.0.11 ")]
    theirs = [line.replace("10.255.0.12 ", "10.255.0.11 ") for line in lines if line.startswith("10.255.0.12 ")]
    known.write_text("".join(lines + theirs))


def wrong_community(_lab: Lab, desk: Desk) -> None:
    (desk.site / "secrets" / "other").write_text("public\n")
    desk.host("sw1", snmp={"version": "2c", "community": {"file": "secrets/other"}, "timeout": "1s", "retries": 0})


AILMENTS = (
    (wrong_password, "10.255.0.11:22 refuses user 'netadmin' with this password", {"enforced"}),
    (missing_password, "NOWHERE_SET", {"enforced"}),
    (unknown_host_key, "10.255.0.11:22 shows an SSH host key that is not on file: ssh-ed25519 SHA256:", {"enforced"}),
    (another_host_key, "10.255.0.11:22 shows another SSH host key than before", {"enforced"}),
    (wrong_community, "", {"arp", "fdb", "interfaces", "links", "counters"}),
)


@pytest.mark.parametrize(("ailment", "why", "tables"), AILMENTS, ids=lambda it: getattr(it, "__name__", ""))
def test_a_device_that_cannot_be_read_is_a_gap_and_the_others_are_read(
    lab: Lab, desk: Desk, ailment: Ailment, why: str, tables: set[str]
) -> None:
    ailment(lab, desk)
    checked = desk.types("check", "--connect", "--json")
    assert checked.status == 1
    gaps = checked.object["gaps"]
    assert {(gap["device"], gap["table"]) for gap in gaps} == {("sw1", table) for table in tables}
    assert [gap for gap in gaps if why not in gap["why"]] == []
    assert {row["device"] for row in checked.object["tables"]} >= {"gw", "core", "sw2"}


@contextmanager
def unplugged(switch: str) -> Iterator[None]:
    """Off the management network."""
    with entered(switch):
        subprocess.run(["ip", "link", "set", "dev", "mgmt0", "down"], check=True)
    try:
        yield
    finally:
        with entered(switch):
            subprocess.run(["ip", "link", "set", "dev", "mgmt0", "up"], check=True)


def test_a_dead_switch_is_a_gap_and_only_its_own_clients_are_out_of_reach(lab: Lab, desk: Desk) -> None:
    """What is behind it is seen on uplinks alone, and nothing is written on such evidence."""
    desk.impatient()
    with unplugged("sw1"):
        checked, behind_it, elsewhere = desk.types_each(
            [("check", "--connect", "--json"), *(("block", "mac", desk.mac(c), "--yes") for c in (ON_SW1, ON_SW2))]
        )
    assert {gap["device"] for gap in checked.object["gaps"]} == {"sw1"}
    assert (checked.status, behind_it.status, elsewhere.status) == (1, 3, 0)
    assert "is seen on uplinks only" in behind_it.err
    assert (desk.offline(), list(desk.states())) == ({ON_SW2}, [desk.mac(ON_SW2)])


@contextmanager
def babbling(namespace: str, port: int, text: bytes) -> Iterator[None]:
    """Whoever connects gets this, whatever they say."""
    with entered(namespace):
        door = socket.create_server(("", port))

    def babble() -> None:
        while True:
            try:
                line, _ = door.accept()
            except OSError:
                return
            with line:
                line.sendall(text)
                line.shutdown(socket.SHUT_WR)
                while line.recv(4096):
                    pass

    thread = threading.Thread(target=babble, name="babble", daemon=True)
    thread.start()
    try:
        yield
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join()


def test_a_device_that_answers_garbage_is_a_gap(lab: Lab, desk: Desk) -> None:
    desk.impatient()
    desk.host("core", napalm={"transport": "http", "port": 8081}, ca_file=None)
    desk.port("sw1", 2222)
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n<html>hello!</ht"
    with babbling("core", 8081, page), babbling("sw1", 2222, b"220 an FTP server\r\n"):
        checked = desk.types("check", "--connect", "--json")
    assert checked.status == 1
    whys = {gap["device"]: gap["why"] for gap in checked.object["gaps"] if gap["table"] == "enforced"}
    assert whys == {
        "core": "login: no eAPI answer: 'unable to connect to eAPI'",
        "sw1": "10.255.0.11:2222 closed the connection",
    }
