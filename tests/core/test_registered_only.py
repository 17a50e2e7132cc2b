"""Unregistered devices get a tier, or nothing; a list that cannot be read shuts out nobody."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOON, mac
from evidence_builders import HOUR, MINUTE, client, found, here, rule, who

from switchguard.core.evidence import Evidence
from switchguard.core.model import Mac
from switchguard.core.penalties import Block
from switchguard.core.policy import Sentence
from switchguard.core.rules import blind_spots
from switchguard.core.rules.registered_only import Params, judge

RULE = rule("registered_only")


def guests(ago: timedelta = HOUR, registry: Mapping[Mac, str] | None = None) -> Evidence:
    """Clients 7 and 8; 8 is registered."""
    people = {mac(8): "ann"} if registry is None else registry
    first = dict.fromkeys((mac(7), mac(8)), NOON - ago)
    return replace(here(client(7), client(8)), registry=people, first_seen=first)


def test_who_is_not_on_the_list_is_found() -> None:
    (finding,) = judge(guests(), RULE)
    assert (finding.client, finding.routine) == (who(7), True)
    assert finding.because == "its MAC is registered to nobody, 1 h after it was first seen"


def test_there_is_time_to_register() -> None:
    assert judge(guests(14 * MINUTE), RULE) == ()
    assert len(judge(guests(14 * MINUTE), replace(RULE, params=Params(grace=MINUTE)))) == 1


@pytest.mark.parametrize(
    ("registry", "why"),
    [(None, "there is no registry, or it could not be read"), ({}, "the registry is empty")],
)
def test_a_list_that_cannot_be_read_shuts_out_nobody(registry: Mapping[Mac, str] | None, why: str) -> None:
    evidence = replace(guests(), registry=registry)
    assert judge(evidence, RULE) == ()
    assert blind_spots(evidence, [RULE]) == (("r", why),)


def test_a_list_that_can_be_read_is_no_blind_spot() -> None:
    assert blind_spots(guests(), [RULE]) == ()


def test_one_registered_mac_of_several_is_enough() -> None:
    both = replace(client(7), macs=(mac(7), mac(8)))
    assert judge(replace(guests(), attribution=here(both).attribution), RULE) == ()


def test_an_address_without_a_mac_cannot_be_looked_up() -> None:
    assert judge(replace(guests(), attribution=here(replace(client(7), macs=())).attribution), RULE) == ()


def test_of_a_device_that_the_ledger_does_not_know_nothing_is_said() -> None:
    assert found(judge(replace(guests(), first_seen={}), RULE)) == []


def test_shutting_people_out_is_no_routine() -> None:
    """Half a list would shut out half the house: the brakes must see that."""
    (finding,) = judge(guests(), replace(RULE, sentence=Sentence(Block())))
    assert not finding.routine
