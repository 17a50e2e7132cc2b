"""A block on EOS, from the driver through NAPALM to the frames: both directions are cut, for one client only."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block
from switchguard.edge.session import open_session
from switchguard.edge.settings import load_site
from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.plane import link_states
from switchguard.ports import Enforces, Session

pytestmark = pytest.mark.lab

DRIVER = cast(Enforces, plugins.driver("arista_eos"))
DATAGRAMS = 200
SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    for n in range(int(sys.argv[2])):
        line.sendto(b"nobody has to answer", (sys.argv[1], 20_000 + n))
"""


@pytest.fixture
def core(lab: Lab) -> Iterator[Session]:
    site = load_site(Path(os.environ["SWITCHGUARD_SITE"]))
    device = next(device for device in site.devices if device.name == "core")
    with open_session(device, site.endpoints["core"]) as session:
        yield session


def block(lab: Lab, client: str) -> Change:
    found = lab.client(client)
    return Change(Slot("core", "block", Station(vlan=found.vlan, mac=Mac.parse(found.own_mac))), None, Block())


def send(lab: Lab, client: str, address: str = "198.18.0.1") -> None:
    """Datagrams to as many ports of one host."""
    assert lab.client(client).run([sys.executable, "-c", SEND, address, str(DATAGRAMS)]).returncode == 0


def running(core: Session) -> str:
    return core.ask("show running-config")


def online(lab: Lab) -> set[str]:
    return {name for name, echoes in lab.ping_all("198.18.0.1").items() if echoes.received}


def test_one_client_is_cut_and_nobody_else_until_the_release(lab: Lab, core: Session) -> None:
    before, everybody = running(core), {client.name for client in lab.clients()}
    DRIVER.push(core, [block(lab, "c07"), block(lab, "c08")])
    assert online(lab) == everybody - {"c07", "c08"}
    DRIVER.push(core, [block(lab, "c08").inverse()])
    assert online(lab) == everybody - {"c07"}
    DRIVER.push(core, [block(lab, "c07").inverse()])
    assert online(lab) == everybody
    assert running(core) == before


def test_what_a_blocked_client_sends_fills_no_table(lab: Lab, core: Session) -> None:
    DRIVER.push(core, [block(lab, "c07")])
    before = lab.sessions("c07")
    send(lab, "c07")
    send(lab, "c05")
    lab.wait_for(lambda: lab.sessions("c05") >= DATAGRAMS, "the neighbour's translations")
    assert lab.sessions("c07") <= before


def test_a_static_drop_alone_would_let_it_out(lab: Lab, core: Session) -> None:
    with core.candidate(["mac address-table static 0200.0000.0007 vlan 10 drop"]) as candidate:
        candidate.commit()
    send(lab, "c07")
    lab.wait_for(lambda: lab.sessions("c07") >= DATAGRAMS, "translations of a client that gets no answers")
    DRIVER.push(core, [block(lab, "c07")])
    assert "10 deny 02:00:00:00:00:07 00:00:00:00:00:00 any" in running(core)


def test_nothing_reaches_a_blocked_client_either(lab: Lab, core: Session) -> None:
    def received() -> int:
        with entered("c07"):
            return int(link_states()["eth0"]["stats64"]["rx"]["packets"])

    there, here = lab.client("c07"), lab.client("c11")
    known = ["ip", "neigh", "replace", there.address, "lladdr", there.own_mac, "dev", "eth0"]
    assert here.run(known).returncode == 0
    DRIVER.push(core, [block(lab, "c07")])
    before = received()
    send(lab, "c11", there.address)
    assert lab.client("c11").ping(lab.client("c09").address).received
    assert received() < before + DATAGRAMS // 2
    DRIVER.push(core, [block(lab, "c07").inverse()])
    before = received()
    send(lab, "c11", there.address)
    lab.wait_for(lambda: received() >= before + DATAGRAMS, "the datagrams at the client")
    assert here.run(["ip", "neigh", "del", there.address, "dev", "eth0"]).returncode == 0


def test_a_preview_touches_nothing(lab: Lab, core: Session) -> None:
    before = running(core)
    diff = DRIVER.preview(core, [block(lab, "c07")])
    assert diff.source == "device"
    assert "+   10 deny 02:00:00:00:00:07 00:00:00:00:00:00 any" in diff.text.splitlines()
    assert running(core) == before
    assert DRIVER.push(core, [block(lab, "c07")]) == diff
