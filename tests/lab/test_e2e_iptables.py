"""A Linux gateway without nftables: the same kernel, told with ipset and iptables over SSH."""

import re
import shutil
import subprocess

import pytest
from desk import ON_SW1, Desk

from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.topology import LAB

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(LAB.gateway.platform != "linux", reason="the gateway of this lab is no Linux machine"),
    pytest.mark.skipif(not (shutil.which("ipset") and shutil.which("iptables")), reason="no ipset or iptables here"),
]


@pytest.fixture
def iptables_desk(desk: Desk) -> Desk:
    hosts = desk.site / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("platform: linux\n", "platform: linux_iptables\n"))
    return desk


def test_a_block_by_mac_cuts_that_client_and_nobody_else_until_it_is_released(iptables_desk: Desk) -> None:
    said = iptables_desk.types("block", "mac", iptables_desk.mac(ON_SW1), "--on", "gw", "--yes")
    assert said.status == 0, said.out + said.err
    assert iptables_desk.offline() == {ON_SW1}
    assert iptables_desk.types("release-all", "--yes").status == 0
    assert iptables_desk.offline() == set()


def test_a_block_by_address_does_the_same(lab: Lab, iptables_desk: Desk) -> None:
    said = iptables_desk.types("block", "ip", lab.client(ON_SW1).address, "--yes")
    assert said.status == 0, said.out + said.err
    assert iptables_desk.offline() == {ON_SW1}
    assert iptables_desk.types("release-all", "--yes").status == 0
    assert iptables_desk.offline() == set()


def test_a_cap_stops_new_sessions_and_lets_the_others_live(lab: Lab, iptables_desk: Desk) -> None:
    said = iptables_desk.types("cap", "ip", lab.client(ON_SW1).address, "--sessions", "20", "--yes")
    assert said.status == 0, said.out + said.err
    lab.swarm(ON_SW1, peers=300, seconds=10.0, rate=300)
    lab.wait_for(lambda: dropped_by_the_cap(lab) > 300, "sessions that are not let through")
    assert 20 <= lab.sessions(ON_SW1) <= 25
    assert iptables_desk.types("release-all", "--yes").status == 0
    lab.wait_for(lambda: lab.sessions(ON_SW1) > 30, "more sessions")


def dropped_by_the_cap(lab: Lab) -> int:
    """Packets."""
    with entered(lab.topology.gateway.name):
        done = subprocess.run(["iptables-save", "-c", "-t", "filter"], capture_output=True, text=True, check=True)
    counted = re.findall(r"^\[(\d+):\d+\] -A switchguard .*sg_cap_20_ip4", done.stdout, re.MULTILINE)
    return sum(map(int, counted))
