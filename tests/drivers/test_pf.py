"""What only pf has: an anchor that must be led to, and states killed both ways."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from model_pf import BLOCK, CHANGES, Model

from switchguard import plugins
from switchguard.core.changes import Change
from switchguard.core.penalties import Block
from switchguard.errors import DeviceError, UnexpectedOutput

DRIVER: Any = plugins.driver("pf")


class Killer(Model):
    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._answers = iter(answers)

    def ask(self, command: str) -> str:
        self.asked.append(command)
        return next(self._answers)


def test_without_the_anchor_in_the_ruleset_nothing_is_written() -> None:
    firewall = Model(anchor=False)
    with pytest.raises(DeviceError, match='fw1: its ruleset has no line `anchor "switchguard"`'):
        DRIVER.push(firewall, CHANGES[1])
    assert (firewall.rules, firewall.entries) == ((), [])


def left_behind() -> Model:
    """A block was written, and then somebody took the anchor out of the ruleset."""
    firewall = Model()
    DRIVER.push(firewall, [BLOCK])
    firewall.anchor = False
    return firewall


def test_entries_behind_an_anchor_that_was_taken_out_are_shown_but_are_no_block() -> None:
    assert DRIVER.enforced(left_behind()) == {BLOCK.slot: Block(by="mac")}


def test_a_release_takes_away_what_is_not_in_force() -> None:
    firewall = left_behind()
    damaged = Change(BLOCK.slot, Block(by="mac"), None)
    assert DRIVER.push(firewall, [damaged]).text == "-<block> 10.10.0.107"
    assert (DRIVER.enforced(firewall), firewall.entries) == ({}, [])


def test_what_is_not_in_force_is_not_repaired_without_the_anchor() -> None:
    with pytest.raises(DeviceError, match="nothing of ours would be in force"):
        DRIVER.push(left_behind(), [BLOCK])


def test_an_anchor_that_lost_its_rules_gets_them_back_with_the_next_block() -> None:
    firewall = Model()
    DRIVER.push(firewall, [BLOCK])
    firewall.rules = ()
    assert DRIVER.enforced(firewall) == {BLOCK.slot: Block(by="mac")}
    DRIVER.push(firewall, [BLOCK])
    assert (DRIVER.enforced(firewall), firewall.entries) == ({BLOCK.slot: BLOCK.after}, ["10.10.0.107"])


def test_nobody_can_be_put_out_of_force() -> None:
    with pytest.raises(DeviceError, match="pf cannot express"):
        DRIVER.render([Change(BLOCK.slot, None, Block(by="mac"))])


def test_somebody_elses_rule_in_our_anchor_is_an_error() -> None:
    firewall = Model()
    firewall.rules = ("block drop quick from 10.0.0.1 to any",)
    with pytest.raises(UnexpectedOutput, match="a rule in the anchor 'switchguard' that is not ours"):
        DRIVER.enforced(firewall)


def test_states_are_killed_both_ways() -> None:
    firewall = Killer(
        [
            "killed 3 states from 1 sources and 0 destinations\n",
            "killed 1 states from 1 sources and 1 destinations\n",
            "killed 0 states from 1 sources and 0 destinations\n",
            "killed 2 states from 1 sources and 1 destinations\n",
        ]
    )
    assert DRIVER.clear_sessions(firewall, [ip_address("10.10.0.107"), ip_network("2001:db8:1::/64")]) == 6
    assert firewall.asked == [
        "pfctl -k 10.10.0.107 2>&1",
        "pfctl -k 0.0.0.0/0 -k 10.10.0.107 2>&1",
        "pfctl -k 2001:db8:1::/64 2>&1",
        "pfctl -k ::/0 -k 2001:db8:1::/64 2>&1",
    ]


def test_an_answer_that_counts_no_states_is_an_error() -> None:
    with pytest.raises(UnexpectedOutput, match="no count of killed states"):
        DRIVER.clear_sessions(Killer(["pfctl: /dev/pf: Permission denied\n"]), [ip_address("10.10.0.107")])
