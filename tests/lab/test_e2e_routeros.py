"""What only RouterOS has at the access layer: rules in an order, and changes that take effect line by line.

`switchguard lab run --switch sw1=mikrotik_routeros --switch sw2=mikrotik_routeros pytest tests/lab/test_e2e_routeros.py
-m lab`; skipped in a lab of other makes. See test_e2e_makes for what all makes have to do.
"""

import pytest
from desk import ON_SW1, Desk

from switchguard.lab.control import Lab
from switchguard.lab.topology import LAB

FILTER = "/interface bridge filter"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        LAB.switch("sw1").make.platform != "mikrotik_routeros", reason="sw1 of this lab is of another make"
    ),
]


def rules(desk: Desk) -> list[str]:
    return desk.ask("sw1", f"{FILTER} print terse without-paging")


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


def test_a_limit_belongs_on_the_router(desk: Desk) -> None:
    said = desk.types("limit", "mac", desk.mac(ON_SW1), "--rate", "64kbps", "--on", "sw1", "--yes")
    assert (said.status, "an access switch bridges" in said.out + said.err) == (1, True), said.out + said.err
