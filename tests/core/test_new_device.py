"""A new MAC starts slow and earns its speed; whoever fakes MACs starts from zero each time."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from builders import NOON, mac
from evidence_builders import DAY, HOUR, MINUTE, client, ended, found, here, rule, standing, who

from switchguard.core.decide import ANOTHER_STEP, decide
from switchguard.core.decide import ended as remembered
from switchguard.core.evidence import Evidence
from switchguard.core.penalties import Block, Notify, RateLimit, Release, SessionCap
from switchguard.core.policy import Policy, Rule, Zone
from switchguard.core.rules import blind_spots
from switchguard.core.rules.new_device import Params, Tier, judge

RULE = rule("new_device")
SLOW, FASTER = RateLimit(1_000_000), RateLimit(5_000_000)


def seen(ago: timedelta, number: int = 7) -> Evidence:
    """One client, first seen so long ago."""
    return replace(here(client(number)), first_seen={mac(number): NOON - ago})


def with_params(**params: object) -> Rule:
    return replace(RULE, params=Params(**params))  # type: ignore[arg-type]  # the names are checked by the dataclass


@pytest.mark.parametrize(
    ("ago", "tier", "left"),
    [
        (timedelta(0), SLOW, 30 * MINUTE),
        (29 * MINUTE, SLOW, MINUTE),
        (30 * MINUTE, FASTER, 2 * HOUR),
        (2 * HOUR, FASTER, 30 * MINUTE),
    ],
)
def test_it_climbs_tier_by_tier(ago: timedelta, tier: RateLimit, left: timedelta) -> None:
    (finding,) = judge(seen(ago), RULE)
    assert (finding.penalty, finding.until, finding.routine) == (tier, NOON + left, True)


def test_at_the_top_there_is_no_limit() -> None:
    assert judge(seen(2.5 * HOUR), RULE) == ()


def test_the_next_tier_follows_when_the_last_one_ends() -> None:
    policy = Policy(rules=(RULE,))
    first = decide(judge(seen(29 * MINUTE), RULE), (), (), policy, NOON).standing
    assert [(it.penalty, it.until, it.routine) for it in first] == [(SLOW, NOON + MINUTE, True)]
    later = NOON + MINUTE
    evidence = replace(seen(29 * MINUTE), now=later, standing=first)
    assert [it.penalty for it in decide(judge(evidence, RULE), first, (), policy, later).standing] == [FASTER]


def test_a_tier_that_is_over_before_it_begins_is_left_out() -> None:
    """The pass takes a moment; the tier may end within it."""
    late = NOON + 2 * MINUTE
    assert decide(judge(seen(29 * MINUTE), RULE), (), (), Policy(rules=(RULE,)), late).standing == ()


def test_another_mac_starts_from_zero() -> None:
    evidence = replace(here(client(7), client(8)), first_seen={mac(7): NOON - DAY, mac(8): NOON})
    assert found(judge(evidence, RULE)) == [who(8)]


def test_misbehaving_sends_it_back_to_the_first_tier() -> None:
    veteran = seen(DAY)
    (penalised,) = judge(replace(veteran, standing=(standing(7, "swarm"),)), RULE)
    assert (penalised.penalty, penalised.until) == (SLOW, NOON + 30 * MINUTE)
    (released,) = judge(replace(veteran, past=(ended(7, HOUR, "swarm"),)), RULE)
    assert (released.penalty, released.until) == (FASTER, NOON + 90 * MINUTE)


def test_misbehaving_on_a_faster_tier_leads_back_to_the_first_one_at_once() -> None:
    """It climbs again from the end of the other penalty: through every tier, and not from one that it had before."""
    policy = Policy(rules=(RULE,))
    (fast,) = decide(judge(seen(HOUR), RULE), (), (), policy, NOON).standing
    block = replace(standing(7, "swarm", until=NOON + 10 * MINUTE), id="2", penalty=Block())
    caught = NOON + 5 * MINUTE
    evidence = replace(seen(HOUR), now=caught, standing=(fast, block))
    decision = decide(judge(evidence, RULE), (fast, block), (), policy, caught)
    assert decision.released == (Release(fast, ANOTHER_STEP),)
    slow = decision.standing[-1]
    assert (slow.penalty, slow.until) == (SLOW, caught + 30 * MINUTE)
    later = NOON + 10 * MINUTE
    evidence = replace(seen(HOUR), now=later, standing=(slow, block))
    assert decide(judge(evidence, RULE), (slow, block), (), policy, later).standing == (slow,)


def test_a_tier_that_its_zone_softens_stays_what_it_is() -> None:
    lenient = Zone("guests", (ip_network("10.10.0.0/16"),), ladder=(Notify(), SessionCap(100)))
    policy = Policy(zones=(lenient,), rules=(RULE,))
    (told,) = decide(judge(seen(HOUR), RULE), (), (), policy, NOON).standing
    assert told.penalty == Notify()
    later = NOON + MINUTE
    evidence = replace(seen(HOUR), now=later, standing=(told,))
    assert decide(judge(evidence, RULE), (told,), (), policy, later).standing == (told,)


def test_what_happens_to_others_or_to_everybody_is_no_misbehaviour() -> None:
    veteran = seen(DAY)
    limit = replace(standing(7, "everybody"), routine=True)
    others = replace(veteran, standing=(standing(8, "swarm"), limit), past=(ended(7, HOUR, "everybody", routine=True),))
    assert judge(others, RULE) == ()
    assert judge(replace(veteran, past=(ended(7, HOUR, "r"),)), RULE) == ()


def test_who_was_only_told_something_keeps_its_speed() -> None:
    veteran, notice = seen(DAY), replace(standing(7, "early"), penalty=Notify())
    assert judge(replace(veteran, standing=(notice,)), RULE) == ()
    assert judge(replace(veteran, past=(remembered(notice, NOON - HOUR),)), RULE) == ()


def test_registered_devices_need_not_climb() -> None:
    evidence = replace(seen(timedelta(0)), registry={mac(7): "ann"})
    assert judge(evidence, RULE) == ()
    assert len(judge(evidence, with_params(registered_too=True))) == 1


def test_on_the_first_evening_not_everybody_is_new() -> None:
    assert judge(seen(MINUTE), with_params(known_before=NOON)) == ()
    assert len(judge(seen(MINUTE), with_params(known_before=NOON - HOUR))) == 1


def test_of_a_device_that_the_ledger_does_not_know_nothing_is_said() -> None:
    assert judge(here(client(7)), RULE) == ()
    assert blind_spots(here(client(7)), [RULE]) == (("r", "it is not known when devices were first seen"),)
    assert blind_spots(seen(DAY), [RULE]) == ()


def test_an_address_without_a_mac_is_no_device() -> None:
    evidence = seen(timedelta(0))
    assert judge(replace(evidence, attribution=here(replace(client(7), macs=())).attribution), RULE) == ()


def test_a_tier_may_be_a_cap() -> None:
    capped = with_params(tiers=(Tier(cap=50, lasts=HOUR),))
    (finding,) = judge(seen(MINUTE), capped)
    assert finding.penalty == SessionCap(50)
    assert finding.because == "new here, and well-behaved for 1 min: tier 1 of 1, a cap of 50 sessions"


@pytest.mark.parametrize("tier", [{}, {"limit": 1000, "cap": 10}])
def test_a_tier_is_one_thing(tier: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="exactly one of limit and cap"):
        Tier(**tier)  # type: ignore[arg-type]  # both are whole numbers


def test_without_tiers_there_is_nothing_to_climb() -> None:
    with pytest.raises(ValueError, match="nothing to climb"):
        Params(tiers=())
