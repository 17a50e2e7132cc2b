"""What was decided while a plan waited for its answer."""

from collections.abc import Iterable
from dataclasses import replace

from plan_builders import HOUR, NOW, at, client, mac, ours, planned, policy, request, verdict, world

from switchguard.core.changes import HeldSlot, Plan, Slot
from switchguard.core.everybody import everyone_on
from switchguard.core.model import Station
from switchguard.core.outdated import LIFTED, WANTED, outdated, unforeseen
from switchguard.core.penalties import Block, Exemption, RateLimit, SessionCap, Verdict

BLOCK = planned([verdict(7)], world(client(7)))
HELD = ours(at("core", 7), verdict(7))
THERE = {"core": {at("core", 7): Block()}}
LIFT = planned([], world(client(7)), [HELD], THERE)
ANOTHER = request(7)


def whys(
    plan: Plan,
    held: Iterable[HeldSlot] = (),
    stand: Iterable[Verdict] = (),
    ended: Iterable[Verdict] = (),
    exemptions: Iterable[Exemption] = (),
) -> list[str]:
    ids = ({it.id for it in stand}, {it.id for it in ended})
    return list(outdated(plan, tuple(held), *ids, tuple(exemptions), NOW + HOUR / 60).values())


def test_while_nothing_happens_a_plan_holds() -> None:
    assert whys(BLOCK, stand=[verdict(7)]) == []
    assert whys(LIFT, [HELD], ended=[verdict(7)]) == []


def test_what_is_not_on_record_yet_is_wanted_by_whoever_asks() -> None:
    assert whys(BLOCK) == []


def test_a_block_of_a_penalty_that_was_lifted_is_outdated() -> None:
    assert whys(BLOCK, ended=[verdict(7)]) == [LIFTED]


def test_a_block_with_a_cause_left_is_not() -> None:
    both = planned([verdict(7), ANOTHER], world(client(7)))
    assert whys(both, stand=[ANOTHER], ended=[verdict(7)]) == []


def test_a_value_that_only_the_lifted_cause_asked_for_is_outdated() -> None:
    strict, lax = verdict(7, RateLimit(64_000)), request(7, RateLimit(1_000_000))
    both = planned([strict, lax], world(client(7)), by=policy("access"))
    assert [it.after for it in both.changes] == [RateLimit(64_000)]
    assert whys(both, stand=[lax], ended=[strict]) == [LIFTED]
    assert whys(both, stand=[strict], ended=[lax]) == []


def test_a_release_of_a_place_that_another_penalty_has_got_since_is_outdated() -> None:
    now = ours(at("core", 7), verdict(7), ANOTHER)
    assert whys(LIFT, [now], stand=[ANOTHER], ended=[verdict(7)]) == [WANTED]
    assert unforeseen(LIFT, [now], {ANOTHER.id}) == {at("core", 7): {ANOTHER.id}}


def test_a_cause_that_came_and_went_keeps_no_release_back() -> None:
    assert whys(LIFT, [ours(at("core", 7), verdict(7), ANOTHER)], ended=[verdict(7), ANOTHER]) == []


def test_a_move_lifts_the_old_place_of_a_penalty_that_stands() -> None:
    moved = client(7, on="sw2")
    old, new = ours(at("sw1", 7), verdict(7)), ours(at("sw2", 7), verdict(7))
    there = {"sw1": {at("sw1", 7): Block()}, "sw2": {at("sw2", 7): Block()}}
    made = planned([verdict(7)], world(moved), [old, new], there, by=policy("access"))
    assert [(it.slot, it.after) for it in made.changes] == [(at("sw1", 7), None)]
    assert whys(made, [old, new], stand=[verdict(7)]) == []


def test_a_place_that_somebody_else_has_filled_for_another_cause_is_theirs() -> None:
    assert whys(BLOCK, [ours(at("core", 7), ANOTHER)], stand=[verdict(7), ANOTHER]) == [WANTED]


def test_the_same_penalty_may_be_placed_by_two_passes_at_once() -> None:
    assert whys(BLOCK, [HELD], stand=[verdict(7)]) == []


# --- exemptions ------------------------------------------------------------------------------------------------------


def test_who_was_exempted_since_by_mac_or_by_an_address_that_was_only_seen_is_spared() -> None:
    named = Exemption("e1", "keynote encoder", mac=mac(7))
    seen = Exemption("e2", "keynote encoder", network=policy().zones[0].networks[0].supernet(new_prefix=8))
    by_mac = planned([replace(verdict(7), addresses=())], world(client(7)))
    why = "changed since the plan was made; try again: the client is exempt: keynote encoder"
    assert whys(by_mac, exemptions=[named]) == [why]
    assert whys(by_mac, exemptions=[seen]) == [why]


def test_an_exemption_of_somebody_else_or_one_that_is_over_changes_nothing() -> None:
    assert whys(BLOCK, exemptions=[Exemption("e1", "", mac=mac(8))]) == []
    assert whys(BLOCK, exemptions=[Exemption("e1", "", mac=mac(7), until=NOW)]) == []


def test_who_overrides_exemptions_overrides_new_ones_too() -> None:
    insisting = planned([request(7, override_exemption=True)], world(client(7)))
    assert len(insisting.changes) == 1
    assert whys(insisting, exemptions=[Exemption("e1", "", mac=mac(7))]) == []


def test_an_exemption_keeps_no_release_back() -> None:
    assert whys(LIFT, [HELD], ended=[verdict(7)], exemptions=[Exemption("e1", "", mac=mac(7))]) == []


def test_a_cap_for_everybody_is_planned_anew_when_anybody_was_exempted() -> None:
    asked = request(7, SessionCap(5000), client=everyone_on("gw"), macs=(), addresses=(), on_device="gw")
    slot = Slot("gw", "cap", Station())
    made = replace(BLOCK, changes=(replace(BLOCK.changes[0], slot=slot, after=SessionCap(5000), verdicts=(asked.id,)),))
    assert made.basis is not None
    whom = replace(made.basis.people[0], verdict=asked)
    made = replace(made, basis=replace(made.basis, people=(whom,)))
    assert len(whys(made, exemptions=[Exemption("e1", "", user="ada")])) == 1
