"""Slot by slot: what should be true against what is."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest
from plan_builders import (
    ENFORCERS,
    HOUR,
    NOW,
    UNREADABLE,
    State,
    at,
    client,
    ip,
    mac,
    observing,
    ours,
    planned,
    policy,
    request,
    safeguards_of,
    slots_of,
    verdict,
    who,
    world,
)

from switchguard.core.changes import Change, Enforced, Facts, Plan, SessionFlush, Slot
from switchguard.core.model import ClientId, Gap, Mode, Station
from switchguard.core.penalties import Block, Exemption, Notify, RateLimit, Refusal, Release, RestrictPorts, SessionCap
from switchguard.core.plan import lifted_because, restricted
from switchguard.core.wants import strictest

V7 = verdict(7)
BECAUSE = "1,490 of 1,500 sessions go to different hosts"
NEW = Change(at("core", 7), None, Block(), ("swarm-7",), BECAUSE)


# --- the table -------------------------------------------------------------------------------------------------------


def test_wanted_and_absent_is_put_there_and_the_gateway_forgets_its_sessions() -> None:
    assert planned([V7], world(client(7))) == Plan(
        NOW, changes=(NEW,), flushes=(SessionFlush("gw", (ip(7),), "swarm-7"),)
    )


def test_wanted_present_and_ours_is_left_alone() -> None:
    made = planned([V7], world(client(7)), [ours(at("core", 7), V7)], {"core": {at("core", 7): Block()}})
    assert made == Plan(NOW)


def test_wanted_and_lost_in_a_reload_is_put_there_again() -> None:
    assert planned([V7], world(client(7)), [ours(at("core", 7), V7)]).changes == (NEW,)


def test_wanted_and_lost_is_put_there_again_although_the_client_is_not_seen() -> None:
    made = planned([V7], world(), [ours(at("core", 7), V7)])
    assert (made.changes, made.refusals) == ((NEW,), ())


@pytest.mark.parametrize("state", ["planned", "pushed", "failed", "releasing"])
def test_what_is_true_already_is_adopted_not_pushed(state: State) -> None:
    held = ours(at("core", 7), V7, state=state)
    made = planned([V7], world(client(7)), [held], {"core": {at("core", 7): Block()}})
    assert (made.changes, made.adopted) == ((), (replace(NEW, before=Block()),))
    assert made.flushes == (SessionFlush("gw", (ip(7),), "swarm-7"),)


def test_a_second_cause_of_what_is_there_is_recorded_without_a_push() -> None:
    quota = verdict(7, rule="quota")
    held = ours(at("core", 7), V7)
    made = planned([V7, quota], world(client(7)), [held], {"core": {at("core", 7): Block()}})
    assert [change.verdicts for change in made.adopted] == [("quota-7", "swarm-7")]
    assert (made.changes, made.flushes) == ((), ())


def test_what_somebody_else_put_there_is_neither_adopted_nor_lifted() -> None:
    made = planned([V7], world(client(7)), (), {"core": {at("core", 7): Block()}})
    assert (made.changes, made.adopted) == ((), ())
    assert made.refusals == (
        Refusal(
            f"a block of its MAC for {mac(7)} in VLAN 10 on core",
            "a block of its MAC is there already and not ours to touch",
            "foreign",
            who(7),
            "swarm-7",
            "core",
        ),
    )
    assert planned((), world(client(7)), (), {"core": {at("core", 7): Block()}}) == Plan(NOW)


def test_another_value_is_changed() -> None:
    capped = verdict(7, SessionCap(100))
    slot = Slot("gw", "cap", address=ip(7))
    held = ours(slot, capped, penalty=SessionCap(200))
    made = planned([capped], world(client(7)), [held], {"gw": {slot: SessionCap(200)}}, by=policy("gateway"))
    assert made.changes == (Change(slot, SessionCap(200), SessionCap(100), ("swarm-7",), BECAUSE),)


def test_what_nobody_wants_any_more_is_lifted() -> None:
    made = planned((), world(client(7)), [ours(at("core", 7), V7)], {"core": {at("core", 7): Block()}})
    assert made == Plan(NOW, changes=(Change(at("core", 7), Block(), None, (), "its penalty has ended"),))


def test_a_release_that_somebody_asked_for_says_so_and_no_other() -> None:
    held = [ours(at("core", 7), V7), ours(at("core", 8), verdict(8))]
    whole = planned((), world(), held, {"core": {at("core", 7): Block(), at("core", 8): Block()}})
    told = lifted_because(whole, [Release(V7, "by hand (ada)")], held)
    assert [it.why for it in told.changes] == ["by hand (ada)", "its penalty has ended"]


def test_lines_on_a_device_that_is_no_more_are_told_with_the_ways_out() -> None:
    held = [ours(at("sw9", 7), V7)]
    (told,) = planned((), world(), held).refusals
    assert (told.what, told.safeguard, told.verdict, told.device, told.lifting) == (
        f"release of {mac(7)} in VLAN 10 on sw9",
        "gap",
        V7.id,
        "sw9",
        True,
    )
    assert "sw9 keeps what it has: it is no longer in hosts.yaml" in told.why
    assert "put it back under that name" in told.why
    assert "release-all --forget sw9" in told.why
    (kept,) = planned([V7], world(), held).refusals
    assert (kept.why, kept.lifting) == (told.why, False)


def test_what_nobody_wants_and_nobody_has_is_forgotten() -> None:
    assert planned((), world(), [ours(at("core", 7), V7)]) == Plan(NOW, forgotten=(at("core", 7),))


def test_a_verdict_that_is_over_is_not_wanted_whoever_says_so() -> None:
    made = planned([V7], world(client(7)), now=NOW + 2 * HOUR)
    assert made == Plan(NOW + 2 * HOUR)


def test_a_notice_changes_no_device() -> None:
    assert planned([verdict(7, Notify())], world(client(7))) == Plan(NOW)


def test_releases_come_first() -> None:
    held = ours(at("sw2", 9), verdict(9))
    made = planned([V7], world(client(7)), [held], {"sw2": {at("sw2", 9): Block()}})
    assert [(change.slot, change.after) for change in made.changes] == [(at("sw2", 9), None), (at("core", 7), Block())]


# --- gaps ------------------------------------------------------------------------------------------------------------


def test_a_device_that_cannot_be_read_keeps_what_it_has_wanted_or_not() -> None:
    held = [ours(at("core", 7), V7), ours(at("core", 8), verdict(8), verdict(8, rule="quota"))]
    made = planned([V7], world(client(7)), held, {"core": UNREADABLE})
    assert (made.changes, made.adopted, made.forgotten) == ((), (), ())
    assert [(it.safeguard, it.verdict, it.device) for it in made.refusals] == [
        ("gap", "quota-8", "core"),
        ("gap", "swarm-7", "core"),
        ("gap", "swarm-8", "core"),
    ]


def test_a_device_that_was_not_asked_is_a_gap() -> None:
    made = planned([], world(), [ours(at("core9", 7), V7)])
    assert (made.changes, made.forgotten, safeguards_of(made)) == ((), (), ["gap"])


def test_a_device_that_left_the_inventory_is_a_gap() -> None:
    enforcers = {name: it for name, it in ENFORCERS.items() if name != "core"}
    made = planned([], world(), [ours(at("core", 7), V7)], {"core": {at("core", 7): Block()}}, enforcers)
    assert (made.changes, safeguards_of(made)) == ((), ["gap"])


# --- several causes --------------------------------------------------------------------------------------------------


def test_the_last_cause_to_end_opens_the_slot() -> None:
    quota = verdict(7, rule="quota")
    held, there = [ours(at("core", 7), V7, quota)], {"core": {at("core", 7): Block()}}
    one_left = planned([quota], world(client(7)), held, there)
    assert (one_left.changes, [it.verdicts for it in one_left.adopted]) == ((), [("quota-7",)])
    assert [change.after for change in planned([], world(client(7)), held, there).changes] == [None]


def test_of_several_causes_the_strictest_value_counts() -> None:
    loose, strict = verdict(7, SessionCap(500), "loose"), verdict(7, SessionCap(50), "strict")
    slot = Slot("gw", "cap", address=ip(7))
    made = planned([loose, strict], world(client(7)), by=policy("gateway"))
    assert [(it.slot, it.after, it.verdicts) for it in made.changes] == [
        (slot, SessionCap(50), ("loose-7", "strict-7"))
    ]
    held = [ours(slot, loose, strict, penalty=SessionCap(50))]
    after = planned([loose], world(client(7)), held, {"gw": {slot: SessionCap(50)}}, by=policy("gateway"))
    assert [(it.before, it.after) for it in after.changes] == [(SessionCap(50), SessionCap(500))]


def test_strictest_is_the_lowest_number_of_its_kind() -> None:
    assert strictest([RateLimit(2), RateLimit(1)]) == RateLimit(1)
    assert strictest([RestrictPorts(80), RestrictPorts(1024)]) == RestrictPorts(80)
    assert strictest([Block("mac"), Block("address")]) == strictest([Block("address"), Block("mac")])


# --- clients that move -----------------------------------------------------------------------------------------------


def test_a_block_that_follows_its_client_leaves_the_old_place_only_when_the_new_one_is_seen() -> None:
    old, new = at("sw1", 7), at("sw2", 7)
    seen, held = world(client(7, on="sw2")), [ours(old, V7)]
    first = planned([V7], seen, held, {"sw1": {old: Block()}}, by=policy("access"))
    assert [(it.slot, it.after) for it in first.changes] == [(new, Block())]
    held = [ours(old, V7), ours(new, V7, state="pushed")]
    not_there_yet = planned([V7], seen, held, {"sw1": {old: Block()}}, by=policy("access"))
    assert [(it.slot, it.after) for it in not_there_yet.changes] == [(new, Block())]
    there = {"sw1": {old: Block()}, "sw2": {new: Block()}}
    last = planned([V7], seen, held, there, by=policy("access"))
    assert last.changes == (Change(old, Block(), None, (), "the penalty is in force at its new place"),)
    assert slots_of(replace(last, changes=last.adopted)) == [new]


def test_a_new_place_that_cannot_be_read_does_not_open_the_old_one() -> None:
    there: Mapping[str, Enforced | Gap] = {
        "sw1": {at("sw1", 7): Block()},
        "sw2": Gap("sw2", "enforced", "refused the password"),
    }
    held = [ours(at("sw1", 7), V7), ours(at("sw2", 7), V7)]
    made = planned([V7], world(client(7, on="sw2")), held, there, by=policy("access"))
    assert (made.changes, safeguards_of(made)) == ((), ["gap"])


def test_a_block_by_somebody_else_at_the_new_place_does_not_open_the_old_one() -> None:
    there = {"sw1": {at("sw1", 7): Block()}, "sw2": {at("sw2", 7): Block()}}
    made = planned([V7], world(client(7, on="sw2")), [ours(at("sw1", 7), V7)], there, by=policy("access"))
    assert (made.changes, safeguards_of(made)) == ((), ["foreign"])


def test_a_cap_follows_the_client_to_its_new_address() -> None:
    capped, other = verdict(7, SessionCap(100)), ip_address("10.10.0.200")
    slot, new = Slot("gw", "cap", address=ip(7)), Slot("gw", "cap", address=other)
    capped = replace(capped, addresses=())
    held, there = [ours(slot, capped, penalty=SessionCap(100))], {"gw": {slot: SessionCap(100)}}
    moved = world(replace(client(7), addresses=(other,)))
    made = planned([capped], moved, held, there, by=policy("gateway"))
    assert [(it.slot, it.after) for it in made.changes] == [(new, SessionCap(100))]


def test_an_address_that_somebody_else_has_now_is_let_go() -> None:
    capped = verdict(7, SessionCap(100))
    slot = Slot("gw", "cap", address=ip(7))
    held, there = [ours(slot, capped, penalty=SessionCap(100))], {"gw": {slot: SessionCap(100)}}
    seen = world(replace(client(8), addresses=(ip(7),)))
    made = planned([capped], seen, held, there, by=policy("gateway"))
    assert [(it.slot, it.after, it.why) for it in made.changes] == [(slot, None, f"{ip(7)} is {who(8)}'s now")]
    assert safeguards_of(made) == ["spread"]


def test_a_port_with_somebody_else_on_it_is_let_go() -> None:
    limited = verdict(7, RateLimit(64_000))
    slot = Slot("sw1", "limit", Station(port="Gi0/7"))
    held, there = [ours(slot, limited, penalty=RateLimit(64_000))], {"sw1": {slot: RateLimit(64_000)}}
    seen = world(macs_on_port={("sw1", "Gi0/7"): frozenset({mac(8)})})
    assert [it.after for it in planned([limited], seen, held, there, by=policy("access")).changes] == [None]
    nobody = planned([limited], world(), held, there, by=policy("access"))
    assert nobody == Plan(NOW)


def test_a_port_that_became_an_uplink_is_let_go() -> None:
    limited = verdict(7, RateLimit(64_000))
    slot = Slot("sw1", "limit", Station(port="Gi0/24"))
    held, there = [ours(slot, limited, penalty=RateLimit(64_000))], {"sw1": {slot: RateLimit(64_000)}}
    made = planned([limited], world(), held, there, by=policy("access"))
    assert ([it.after for it in made.changes], safeguards_of(made)) == ([None], ["uplink"])


def test_a_lost_port_limit_is_not_put_back_while_the_uplinks_are_unknown() -> None:
    limited = verdict(7, RateLimit(64_000))
    slot = Slot("sw1", "limit", Station(port="Gi0/7"))
    held = [ours(slot, limited, penalty=RateLimit(64_000))]
    made = planned([limited], world(uplinks_known=frozenset()), held, by=policy("access"))
    assert (made.changes, made.forgotten, safeguards_of(made)) == ((), (slot,), ["uplink"])


def test_a_lost_cap_is_put_back() -> None:
    capped = verdict(7, SessionCap(100))
    slot = Slot("gw", "cap", address=ip(7))
    held = [ours(slot, capped, penalty=SessionCap(100))]
    made = planned([capped], world(client(7)), held, by=policy("gateway"))
    assert slots_of(made) == [slot]


def test_a_blocked_client_that_vanishes_from_its_switch_is_not_chased_to_the_gateway() -> None:
    """Its own drop entry hides it from the forwarding table, while the gateway's ARP remembers it for hours."""
    held, there = [ours(at("sw1", 7), V7)], {"sw1": {at("sw1", 7): Block()}}
    assert planned([V7], world(client(7, on=None)), held, there, by=policy("access")) == Plan(NOW)


def test_a_user_who_drops_a_mac_does_not_shake_it_off() -> None:
    alice = replace(V7, client=ClientId("user:alice"), macs=())
    now_with = replace(client(8), identity=ClientId("user:alice"))
    held, there = [ours(at("core", 7), alice)], {"core": {at("core", 7): Block()}}
    made = planned([alice], world(now_with), held, there)
    assert [(it.slot, it.after) for it in made.changes] == [(at("core", 8), Block())]


# --- sessions --------------------------------------------------------------------------------------------------------


def test_link_local_addresses_have_no_sessions() -> None:
    seen = world(replace(client(7), addresses=(ip_address("fe80::7"), ip(7))))
    assert planned([V7], seen).flushes == (SessionFlush("gw", (ip(7),), "swarm-7"),)


def test_an_address_with_a_scope_has_no_sessions_that_could_be_named() -> None:
    seen = world(replace(client(7), addresses=(ip_address("2001:db8::7%x;y"), ip(7))))
    assert planned([V7], seen).flushes == (SessionFlush("gw", (ip(7),), "swarm-7"),)


def test_a_client_without_addresses_has_no_sessions_to_forget() -> None:
    seen = world(replace(client(7), addresses=()))
    assert planned([replace(V7, addresses=())], seen).flushes == ()


def test_a_gateway_that_only_observes_forgets_nothing() -> None:
    made = planned([V7], world(client(7)), enforcers=observing("gw"))
    assert (slots_of(made), made.flushes) == ([at("core", 7)], ())


def test_a_cap_leaves_the_sessions_alone() -> None:
    assert planned([verdict(7, SessionCap(100))], world(client(7)), by=policy("gateway")).flushes == ()


def test_an_address_that_is_somebody_elses_by_now_keeps_its_sessions() -> None:
    seen = world(replace(client(7), addresses=()), replace(client(8), addresses=(ip(7),)))
    assert planned([V7], seen).flushes == ()


# --- observe ---------------------------------------------------------------------------------------------------------


def test_a_person_hears_that_a_device_only_observes() -> None:
    made = planned([request(7)], world(client(7)), enforcers=observing("core"))
    assert (made.changes, slots_of(replace(made, changes=made.observed))) == ((), [at("core", 7)])
    assert safeguards_of(made) == ["observe"]


def test_both_the_site_and_the_device_must_enforce() -> None:
    watching = planned([V7], world(client(7)), by=policy(mode=Mode.OBSERVE))
    assert (watching.changes, len(watching.observed), watching.refusals) == ((), 1, ())
    half = planned([V7], world(client(7)), enforcers=observing("core"))
    assert (half.changes, len(half.observed)) == ((), 1)


# --- part of a plan --------------------------------------------------------------------------------------------------


def test_a_persons_part_of_a_plan_is_about_nothing_else() -> None:
    asked, ended = request(9), verdict(8)
    held = [ours(at("core", 8), ended), ours(at("core", 5), verdict(5)), ours(at("core", 6), verdict(6))]
    there = {"core": {at("core", 8): Block(), at("core", 5): Block()}}
    seen = world(client(7), client(9), replace(client(3), location=None))
    whole = planned([V7, asked, verdict(3)], seen, held, there, exemptions=[Exemption("x", "stage", mac=mac(3))])
    part = restricted(whole, {asked.id, ended.id}, held)
    assert [(it.slot, it.after) for it in part.changes] == [(at("core", 8), None), (at("core", 9), Block())]
    assert (part.refusals, part.forgotten, [it.verdict for it in part.flushes]) == ((), (), [asked.id])
    assert restricted(whole, {"swarm-6"}, held).forgotten == (at("core", 6),)
    assert [it.safeguard for it in restricted(whole, {"swarm-3"}, held).refusals] == ["exemption"]


def test_what_concerns_everybody_concerns_a_part_too() -> None:
    whole = planned([V7], world(client(7)), paused="keynote")
    assert restricted(whole, {"swarm-7"}, ()).refusals == whole.refusals


def test_lifting_one_of_two_causes_is_part_of_the_plan_for_it() -> None:
    loose, strict = verdict(7, SessionCap(500), "loose"), verdict(7, SessionCap(50), "strict")
    slot = Slot("gw", "cap", address=ip(7))
    held = [ours(slot, loose, strict, penalty=SessionCap(50))]
    whole = planned([loose], world(client(7)), held, {"gw": {slot: SessionCap(50)}}, by=policy("gateway"))
    assert restricted(whole, {"strict-7"}, held).changes == whole.changes != ()


def test_facts_may_say_nothing_at_all() -> None:
    bare = {name: replace(it, facts=Facts({})) for name, it in ENFORCERS.items()}
    made = planned([V7], world(client(7)), enforcers=bare)
    assert (made.changes, safeguards_of(made)) == ((), ["unsupported"])
