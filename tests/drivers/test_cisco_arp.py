"""Neighbours of IOS, VRF by VRF: one that cannot be read is an error that names it, never half a table."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from replay import Replay

from switchguard import plugins
from switchguard.core.attribute import attribute
from switchguard.core.model import Mac, Neighbor, Role, Snapshot
from switchguard.errors import CommandRefused, DeviceError, UnexpectedOutput
from switchguard.ports import ReadsArp

DRIVER = cast(ReadsArp, plugins.driver("cisco_xe"))
RECORDED = Path(__file__).parents[1] / "recordings/cisco_xe/arp/vrfs"
GUESTS = ("ask", "show ip arp vrf GUESTS")
_NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def router() -> Replay:
    return Replay.load(RECORDED)


def answering(router: Replay, question: str, answer: str) -> Replay:
    return replace(router, answers={**router.answers, ("ask", question): answer})


def test_every_vrf_with_ipv4_is_asked_and_no_other(router: Replay) -> None:
    DRIVER.arp(router)
    assert [question for _, question in router.asked] == [
        "show ip arp",
        "show vrf",
        "show ip arp vrf GUESTS",
        "show ip arp vrf Mgmt-intf",
        "show ip arp vrf STAFF",
    ]


@pytest.mark.parametrize(("role", "vrfs"), [(Role.GATEWAY, True), (Role.CORE, False)])
def test_a_gateway_that_is_read_over_snmp_is_asked_for_its_vrfs_besides(router: Replay, role: Role, vrfs: bool) -> None:
    agent = Replay.load(RECORDED.parents[2] / "snmp/arp/old_table_only")
    both = replace(
        agent,
        device=replace(router.device, role=role),
        transports=frozenset({"snmp", "cli"}),
        answers={question: text for question, text in router.answers.items() if question != ("ask", "show ip arp")},
    )
    in_vrfs = set(DRIVER.arp(router)) - set(_neighbors(router))
    assert in_vrfs
    assert in_vrfs <= set(DRIVER.arp(both)) if vrfs else in_vrfs.isdisjoint(DRIVER.arp(both))
    assert {row.address for row in DRIVER.arp(replace(agent, device=router.device))} <= {
        row.address for row in DRIVER.arp(both)
    }


def _neighbors(router: Replay) -> tuple[Neighbor, ...]:
    """Of the global table."""
    return DRIVER.arp(answering(router, "show vrf", ""))


def test_a_vrf_that_cannot_be_read_is_named(router: Replay) -> None:
    garbled = answering(router, "show ip arp vrf STAFF", "Internet  10.40.0.9")
    with pytest.raises(UnexpectedOutput, match=r"among the neighbours in VRF STAFF: 'Internet  10\.40\.0\.9'"):
        DRIVER.arp(garbled)


def test_a_vrf_that_is_refused_is_named(router: Replay) -> None:
    router.refusals[GUESTS[1]] = "% IP routing table vrf GUESTS does not exist"
    with pytest.raises(CommandRefused, match="vrf GUESTS"):
        DRIVER.arp(router)


def test_not_being_allowed_to_see_the_vrfs_is_not_the_same_as_having_none(router: Replay) -> None:
    router.refusals["show vrf"] = "% Authorization failed."
    with pytest.raises(CommandRefused):
        DRIVER.arp(router)


@pytest.mark.parametrize("name", ["a|b", "what?", '"GUESTS"', "-x", "GUESTS\u2028"])
def test_no_name_from_the_network_reaches_a_command_unchecked(router: Replay, name: str) -> None:
    listed = answering(router, "show vrf", f"{name:32} 65000:20              ipv4        Gi0/0/1.20\n")
    with pytest.raises(DeviceError):
        DRIVER.arp(listed)
    assert [question for _, question in router.asked if name in question] == []


def test_an_address_of_two_vrfs_has_no_mac_that_could_be_blamed(router: Replay) -> None:
    neighbors = DRIVER.arp(router)
    seen = attribute(Snapshot(at=_NOW, devices=(router.device,), neighbors=neighbors))
    owners = {str(address): client.macs for client in seen.clients for address in client.addresses}
    assert owners == {"10.20.0.8": (Mac.parse("0200.0000.0028"),), "10.10.0.7": ()}
