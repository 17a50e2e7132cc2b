"""A gateway that is a VyOS router: read, blocked on, limited on and restarted, over SSH with netmiko's own driver.

`switchguard lab run --switch gw=vyos pytest tests/lab/test_e2e_vyos.py -m lab`; skipped where the gateway is a Linux
machine.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest
from desk import ON_SW1, ON_SW2, Desk

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.penalties import RestrictPorts
from switchguard.edge.session import open_session
from switchguard.edge.settings import load_site
from switchguard.lab.control import Lab
from switchguard.lab.measure import try_sessions, udp_sessions
from switchguard.lab.topology import LAB
from switchguard.ports import Enforces

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(LAB.gateway.platform != "vyos", reason="the gateway of this lab is no VyOS router"),
]

MANY = 150
"""Of 300 datagrams sent at once."""


def startup(lab: Lab) -> str:
    return (lab.directory / "state" / "gw" / "startup-config").read_text()


def test_the_router_is_read_and_its_clients_are_found(lab: Lab, desk: Desk) -> None:
    lab.swarm(ON_SW1, peers=300, seconds=60.0)
    lab.wait_for(lambda: lab.sessions(ON_SW1) >= 300, "a swarm in the table")
    (busiest, *_) = desk.types("top", "--json").object["clients"]
    assert (busiest["addresses"], busiest["location"]["device"]) == ([lab.client(ON_SW1).address], "sw1")
    assert busiest["sessions"] >= 300


def test_a_block_by_mac_cuts_that_client_and_nobody_else_until_it_is_released(lab: Lab, desk: Desk) -> None:
    said = desk.types("block", "mac", desk.mac(ON_SW1), "--on", "gw", "--yes")
    assert said.status == 0, said.out + said.err
    assert desk.offline() == {ON_SW1}
    assert f"mac-group SWITCHGUARD mac-address '{desk.mac(ON_SW1)}'" in startup(lab)
    assert desk.types("release-all", "--yes").status == 0
    assert (desk.offline(), "SWITCHGUARD" in startup(lab)) == (set(), False)


def test_a_block_survives_a_restart(lab: Lab, desk: Desk) -> None:
    assert desk.types("block", "mac", desk.mac(ON_SW1), "--on", "gw", "--yes").status == 0
    lab.reload("gw")
    assert desk.offline() == {ON_SW1}


def test_a_limit_is_kept_and_taken_away(lab: Lab, desk: Desk) -> None:
    address = lab.client(ON_SW1).address
    said = desk.types("limit", "mac", desk.mac(ON_SW1), "--rate", "64kbps", "--on", "gw", "--yes")
    assert said.status == 0, said.out + said.err
    assert f"match client ip source address '{address}/32'" in startup(lab)
    assert desk.types("release-all", "--yes").status == 0
    assert "qos" not in startup(lab)


@pytest.mark.parametrize(("port", "passes"), [(1024, True), (1025, False)])
def test_only_ports_up_to_1024_until_the_release(lab: Lab, desk: Desk, port: int, passes: bool) -> None:
    driver, site = cast(Enforces, plugins.driver("vyos")), load_site(desk.site)
    slot = Slot("gw", RestrictPorts.kind, address=ip_address(lab.client(ON_SW1).address))
    device = next(device for device in site.devices if device.name == "gw")
    with open_session(device, site.endpoints["gw"]) as router:
        driver.push(router, [Change(slot, None, RestrictPorts())])
        assert driver.enforced(router) == {slot: RestrictPorts()}
        for client in (ON_SW1, ON_SW2):
            try_sessions(lab, client, port)
        lab.wait_for(lambda: udp_sessions(lab, ON_SW2, port) >= MANY, "the neighbour's sessions")
        assert (udp_sessions(lab, ON_SW1, port) >= MANY, desk.offline()) == (passes, set())
        driver.push(router, [Change(slot, RestrictPorts(), None)])
    assert "SWITCHGUARD" not in startup(lab)


@pytest.mark.parametrize("fault", ["refuse-commit", "ignore-commit", "drop-session-before"])
def test_a_commit_that_fails_blocks_nobody_and_is_told(lab: Lab, desk: Desk, fault: str) -> None:
    lab.fault("gw", fault)
    said = desk.types("block", "mac", desk.mac(ON_SW1), "--on", "gw", "--yes")
    lab.fault("gw", "none")
    assert (said.status, desk.offline()) == (1, set()), said.out + said.err


def test_where_somebody_else_has_the_first_rule_nothing_is_written(lab: Lab, desk: Desk) -> None:
    config = lab.directory / "state" / "gw" / "startup-config"
    _append(config, "set firewall ipv4 forward filter rule 1 action 'accept'\n")
    lab.reload("gw")
    said = desk.types("block", "mac", desk.mac(ON_SW1), "--on", "gw", "--yes")
    assert (said.status, "rule 1 of firewall ipv4 forward filter" in said.out + said.err) == (1, True), (
        said.out + said.err
    )
    assert desk.offline() == set()


def _append(file: Path, line: str) -> None:
    file.write_text(file.read_text() + line)
