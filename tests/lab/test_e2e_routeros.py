"""What only RouterOS has at the access layer: rules in an order, and changes that take effect line by line.

`switchguard lab run --switch sw1=mikrotik_routeros --switch sw2=mikrotik_routeros pytest tests/lab/test_e2e_routeros.py
-m lab`; skipped in a lab of other makes. See test_e2e_makes for what all makes have to do.
"""

from collections.abc import Iterator

import pytest
from desk import ON_SW1, Desk

from switchguard.lab.control import Lab
from switchguard.lab.topology import LAB

FILTER, CHIP = "/interface bridge filter", "/interface ethernet switch rule"
OFFLOADED = ("ether8", "ether24")
"""The ports of ON_SW1 and of the cable to the core."""
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        LAB.switch("sw1").make.platform != "mikrotik_routeros", reason="sw1 of this lab is of another make"
    ),
]


def rules(desk: Desk, menu: str = FILTER) -> list[str]:
    return desk.ask("sw1", f"{menu} print terse without-paging")


@pytest.fixture
def offloaded(desk: Desk) -> Iterator[None]:
    """Frames between these ports pass no bridge."""
    _set_hw(desk, "yes")
    yield
    _set_hw(desk, "no")


def _set_hw(desk: Desk, choice: str) -> None:
    for port in OFFLOADED:
        desk.ask("sw1", f'/interface bridge port set [find interface="{port}"] hw={choice}')


def test_a_rule_of_somebody_elses_that_accepts_everything_is_left_alone_and_in_nobodys_way(desk: Desk) -> None:
    desk.ask("sw1", f'{FILTER} add chain=forward action=accept comment="the hall"')
    theirs = rules(desk)
    assert desk.types("block", "mac", desk.mac(ON_SW1), "--yes").status == 0
    assert desk.offline() == {ON_SW1}
    assert desk.types("release-all", "--yes").status == 0
    assert (rules(desk), len(theirs)) == (theirs, 1)
    desk.ask("sw1", f'{FILTER} remove [find comment="the hall"]')
    assert (desk.offline(), rules(desk)) == (set(), [])


def test_half_a_block_that_a_lost_session_left_is_made_whole_by_the_next_pass(lab: Lab, desk: Desk) -> None:
    lab.fault("sw1", "drop-session")
    said = desk.types("block", "mac", desk.mac(ON_SW1), "--yes")
    assert (said.status, "closed the connection" in said.out, len(rules(desk))) == (1, True, 1)
    lab.fault("sw1", "none")
    assert desk.types("apply", "--yes").status == 0
    assert (desk.offline(), len(rules(desk)), set(desk.states().values())) == ({ON_SW1}, 2, {"verified"})
    assert desk.types("release-all", "--yes").status == 0
    assert (desk.offline(), rules(desk)) == (set(), [])


@pytest.mark.usefixtures("offloaded")
def test_no_bridge_filter_sees_a_client_whose_port_is_hardware_offloaded(desk: Desk) -> None:
    for side in ("src", "dst"):
        told = f"chain=forward {side}-mac-address={desk.mac(ON_SW1)}/FF:FF:FF:FF:FF:FF action=drop"
        desk.ask("sw1", f'{FILTER} add {told} comment="the hall"')
    assert (len(rules(desk)), desk.offline()) == (2, set())
    desk.ask("sw1", f'{FILTER} remove [find comment="the hall"]')


@pytest.mark.usefixtures("offloaded")
def test_a_client_whose_port_is_hardware_offloaded_is_cut_by_the_switch_chip(desk: Desk) -> None:
    said = desk.types("block", "mac", desk.mac(ON_SW1), "--yes")
    assert (said.status, CHIP in said.out) == (0, True), said.out + said.err
    assert (desk.offline(), len(rules(desk, CHIP)), set(desk.states().values())) == ({ON_SW1}, 2, {"verified"})
    assert desk.types("release-all", "--yes").status == 0
    assert (desk.offline(), rules(desk, CHIP), rules(desk)) == (set(), [], [])


def test_a_port_that_becomes_hardware_offloaded_frees_nobody_for_longer_than_one_pass(desk: Desk) -> None:
    assert desk.types("block", "mac", desk.mac(ON_SW1), "--yes").status == 0
    _set_hw(desk, "yes")
    assert desk.offline() == set()
    assert desk.types("apply", "--yes").status == 0
    assert desk.offline() == {ON_SW1}
    _set_hw(desk, "no")
    assert desk.types("release-all", "--yes").status == 0
    assert (desk.offline(), rules(desk, CHIP), rules(desk)) == (set(), [], [])


def test_a_limit_belongs_on_the_router(desk: Desk) -> None:
    said = desk.types("limit", "mac", desk.mac(ON_SW1), "--rate", "64kbps", "--on", "sw1", "--yes")
    assert (said.status, "an access switch bridges" in said.out + said.err) == (1, True), said.out + said.err
