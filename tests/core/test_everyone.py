"""The same limit for everybody of a zone."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from builders import ip
from evidence_builders import client, found, here, rule, who

from switchguard.core.penalties import Block, Penalty, Quarantine, SessionCap
from switchguard.core.policy import Sentence
from switchguard.core.rules.everyone import judge

RULE = rule("everyone")


def test_everybody_has_the_limit_and_nobody_is_to_blame() -> None:
    findings = judge(here(client(7), client(8)), RULE)
    assert found(findings) == [who(7), who(8)]
    assert {(it.routine, it.because) for it in findings} == {(True, "everybody here has a limit of 64 kbit/s")}


def test_only_those_of_the_zone() -> None:
    zone = replace(RULE, networks=(ip_network(f"{ip(7)}/32"),), sentence=Sentence(SessionCap(100)))
    assert found(judge(here(client(7), client(8)), zone)) == [who(7)]


@pytest.mark.parametrize("penalty", [Block(), Quarantine(99)])
def test_nobody_can_cut_everybody_off(penalty: Penalty) -> None:
    assert judge(here(client(7)), replace(RULE, sentence=Sentence(penalty))) == ()
