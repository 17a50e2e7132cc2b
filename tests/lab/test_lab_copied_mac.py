"""Somebody copies a neighbour's MAC and runs a swarm: the neighbour is not banned, and the report names the port."""

from collections.abc import Callable
from typing import Any

import pytest
from desk import PATIENCE_S, Desk, Running

from switchguard.lab.control import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

OWNER, HOME = "c01", ("sw1", "Gi0/1")
IN_ANOTHER_VLAN, ITS_PORT = "c12", ("sw2", "Gi0/2")
"""Per-VLAN tables keep the two apart, so that both of them work."""
ACROSS, ACROSS_PORT = "c15", ("sw2", "Gi0/5")
"""In the owner's VLAN, on the other switch: frames to the owner go to whoever sent last."""
NEXT_DOOR, NEXT_PORT = "c09", ("sw1", "Gi0/9")
"""On the owner's switch, where a louder copy is all that the table shows."""
RULE = "rules:\n  copies: {kind: copied_mac, penalty: {quarantine: 99, lasts: 1h}}\n"


def copies(lab: Lab, copier: str) -> None:
    """Whoever changes a MAC takes the link down for it, so that a switch forgets the old one. He knows the gateway's
    MAC, for the answer to his ARP request may go to the owner."""
    client = lab.client(copier)
    client.change_mac(lab.client(OWNER).own_mac)
    known = ("lladdr", lab.topology.gateway.mac(client.vlan), "nud", "permanent")
    client.run(["ip", "neigh", "replace", client.gateway, "dev", "eth0", *known]).check_returncode()
    with lab.plane(lab.topology.access_of(copier)[0].name) as plane:
        plane.flush()
    lab.swarm(copier, rate=300)


def until(lab: Lab, true: Callable[[], bool], what: str) -> None:
    """The owner goes on working meanwhile, as far as the copy lets him."""

    def now() -> bool:
        lab.client(OWNER).ping(lab.client(OWNER).gateway)
        return true()

    lab.wait_for(now, what, 2 * PATIENCE_S)


def begun(lab: Lab, desk: Desk, service: Running) -> None:
    """The service has seen everybody where they belong."""
    lab.wait_for(lambda: (desk.ledger.status() or {}).get("pid") == service.process.pid, "a first pass", PATIENCE_S)


def refusals(service: Running) -> list[dict[str, Any]]:
    return [it for it in service.tells("refused") if it["safeguard"] == "copied_mac"]


def ports_in(report: dict[str, Any]) -> set[tuple[str, str]]:
    (found,) = report["contested"]
    return {(port["device"], port["port"]) for port in found["ports"]}


def test_the_owner_of_a_copied_mac_works_on_and_the_report_names_the_ports(lab: Lab, desk: Desk) -> None:
    with desk.begins("run") as service:
        begun(lab, desk, service)
        copies(lab, IN_ANOTHER_VLAN)
        until(lab, lambda: len(refusals(service)) >= 2, "a swarm that is not blocked")
        assert "may be used by more than one station" in refusals(service)[-1]["what"]
        assert (desk.offline(), desk.ours(), desk.ledger.held()) == (set(), [], ())
        assert ports_in(desk.types("top", "--json").object) == {HOME, ITS_PORT}
        assert ports_in(desk.types("explain", "--json", lab.client(OWNER).address).object) == {HOME, ITS_PORT}
        said = desk.types("block", "mac", lab.client(OWNER).own_mac, "--yes", "--override-exemption")
        assert said.status == 3
        assert "sw1 Gi0/1, sw2 Gi0/2" in said.err
        assert "[copied_mac]" in said.err
    assert lab.client(OWNER).ping(lab.client(OWNER).gateway, count=10).received == 10


def test_the_port_of_the_copy_is_put_into_quarantine_and_the_owner_works_again(lab: Lab, desk: Desk) -> None:
    desk.policy("rules:\n", RULE)
    with desk.begins("run") as service:
        begun(lab, desk, service)
        copies(lab, ACROSS)
        until(lab, lambda: bool(desk.ledger.held()), "a penalty")
        until(lab, lambda: {it.state for it in desk.ledger.held()} == {"verified"}, "its being in force")
        (held,) = desk.ledger.held()
        assert (held.slot.device, held.slot.station.port, held.slot.kind) == (*ACROSS_PORT, "quarantine")
        assert any("suspicious is sw2 port Gi0/5" in it["what"] for it in service.tells("contested MAC"))
        until(lab, lambda: desk.offline() == {ACROSS}, "the owner's return, and nobody else's loss")
        assert not any(it["what"].startswith("new: a block") for it in service.tells("verified"))


def test_a_louder_copy_on_the_same_switch_gets_nobody_banned(lab: Lab, desk: Desk) -> None:
    with desk.begins("run") as service:
        begun(lab, desk, service)
        copies(lab, NEXT_DOOR)
        until(lab, lambda: len(refusals(service)) >= 3, "a swarm that is not blocked")
        assert (desk.ours(), desk.ledger.held()) == ([], ())
        assert ports_in(desk.types("top", "--json").object) == {HOME, NEXT_PORT}
    lab.quiet()
    lab.client(NEXT_DOOR).change_mac(lab.client(NEXT_DOOR).own_mac)
    lab.wait_for(lambda: desk.offline() == set(), "everybody", PATIENCE_S)
