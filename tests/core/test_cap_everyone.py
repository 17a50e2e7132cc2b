"""A cap for everybody behind a gateway: only a person's, never what a client's cap becomes, and nobody is cut off."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from plan_builders import (
    ENFORCERS,
    HOUR,
    NOTHING,
    NOW,
    WIDE,
    Reality,
    able,
    client,
    ip,
    mac,
    ours,
    planned,
    policy,
    request,
    safeguards_of,
    verdict,
    world,
)

from switchguard.core.changes import Enforcer, Facts, HeldSlot, Plan, Slot
from switchguard.core.decide import manual
from switchguard.core.everybody import everyone_on
from switchguard.core.explain import release_sentence, verdict_sentence
from switchguard.core.model import ClientId
from switchguard.core.penalties import Block, Exemption, Penalty, Release, SessionCap, Verdict

SLOT = Slot("gw", "cap")
BOTH = able("gw", Facts({"cap": ("address", "everyone")}))
ALONE = able("gw", Facts({"cap": ("everyone",)}))
SERVERS = Exemption("x1", "servers", network=ip_network("10.10.0.0/28"))


def everyone(
    sessions: int = 500, on: str = "gw", override: bool = False, who: str = "anna", penalty: Penalty | None = None
) -> Verdict:
    asked = penalty or SessionCap(sessions)
    return manual(
        everyone_on(on), asked, NOW, HOUR, "the table is full", who, on_device=on, override_exemption=override
    )


def made(
    *wanted: Verdict,
    exemptions: Sequence[Exemption] = (),
    held: Sequence[HeldSlot] = (),
    enforcers: Mapping[str, Enforcer] = BOTH,
) -> Plan:
    there = {it.slot: it.penalty for it in held}
    seen = world(client(7), client(8))
    return planned(wanted, seen, held, {"gw": there}, enforcers, exemptions)


def refused(plan: Plan) -> str:
    assert plan.changes == ()
    (refusal,) = plan.refusals
    return f"{refusal.what}: {refusal.why}"


# --- what it comes to ------------------------------------------------------------------------------------------------


def test_it_is_one_slot_of_its_gateway_without_anybody_in_it() -> None:
    (change,) = made(everyone()).changes
    assert (change.slot, change.before, change.after) == (SLOT, None, SessionCap(500))


def test_the_plan_says_that_nobody_is_spared_and_how_many_it_hits_now() -> None:
    (change,) = made(everyone()).changes
    assert change.why == (
        "the table is full, asked for by anna, it holds for each address behind that gateway, whoever has it: such a"
        " line can spare nobody, 2 of 2 clients seen there have more now"
    )


def test_it_comes_once_and_goes_on_time() -> None:
    asked = everyone()
    start = Reality(NOTHING)
    there = start.after(planned([asked], world(), (), start.enforced, BOTH))
    again = planned([asked], world(), there.held, there.enforced, BOTH)
    assert (again.changes, again.adopted, again.refusals) == ((), (), ())
    later = planned([asked], world(), there.held, there.enforced, BOTH, now=NOW + 2 * HOUR)
    assert there.after(later) == start


def test_a_reload_that_lost_it_is_repaired() -> None:
    asked = everyone()
    held = ours(SLOT, asked, penalty=SessionCap(500))
    plan = planned([asked], world(client(7)), [held], enforcers=BOTH)
    assert [(it.slot, it.after) for it in plan.changes] == [(SLOT, SessionCap(500))]


def test_of_two_requests_the_lower_number_counts_and_the_other_stays_behind_it() -> None:
    hard, soft = everyone(300), everyone(800, who="ben")
    (change,) = made(hard, soft).changes
    assert (change.after, set(change.verdicts)) == (SessionCap(300), {hard.id, soft.id})
    held = ours(SLOT, hard, soft, penalty=SessionCap(300))
    (eased,) = made(soft, held=[held]).changes
    assert eased.after == SessionCap(800)


def test_what_it_means_is_told_once_however_many_ask_for_it() -> None:
    asked = everyone(300, override=True), everyone(800, override=True, who="ben")
    (change,) = made(*asked, exemptions=[SERVERS]).changes
    assert sorted(change.why.split(", it holds", 1)[0].split("; ")) == [
        "the table is full, asked for by anna",
        "the table is full, asked for by ben",
    ]
    assert change.why.endswith(
        ", it holds for each address behind that gateway, whoever has it: such a line can spare nobody, 2 of 2 clients"
        " seen there have more now, overriding the exemption: servers"
    )


def test_a_client_s_own_cap_is_another_slot() -> None:
    alone = request(7, SessionCap(20))
    plan = made(everyone(), alone)
    assert {it.slot for it in plan.changes} == {SLOT, Slot("gw", "cap", address=ip(7))}


def test_the_sentences_name_it_as_people_do() -> None:
    asked = everyone()
    assert verdict_sentence(asked, NOW) == (
        "everyone on gw: a cap of 500 sessions since 14:02 until 15:02 (1 h left) because the table is full"
        " (asked for by anna)"
    )
    assert release_sentence(Release(asked, "enough")).startswith("everyone on gw: a cap of 500 sessions")


# --- never ----------------------------------------------------------------------------------------------------------


def test_a_clients_cap_never_becomes_everybodys() -> None:
    told = refused(made(request(7, SessionCap(500)), enforcers=ALONE))
    assert "linux has no way here for a cap of 500 sessions, only for everyone at once" in told
    assert refused(made(verdict(7, SessionCap(500)), enforcers=ALONE)) == told.replace("manual", "swarm")


def test_a_rule_cannot_pass_for_a_person() -> None:
    forged = replace(everyone(), rule="swarm", requested_by=None)
    assert made(forged).changes == ()
    unsigned = replace(everyone(), requested_by=None)
    assert made(unsigned).changes == ()


def test_the_name_alone_is_not_enough() -> None:
    elsewhere = replace(everyone(), on_device="core")
    nowhere = replace(everyone(), on_device=None)
    other = replace(everyone(), client=ClientId("user:everyone:gw"))
    for wanted in (elsewhere, nowhere, other):
        assert SLOT not in {it.slot for it in made(wanted).changes}


def test_nothing_but_a_cap_can_be_for_everyone() -> None:
    assert "only a cap of sessions can be for everybody" in refused(made(everyone(penalty=Block("address"))))


def test_fewer_sessions_than_the_least_are_refused_and_the_site_says_what_the_least_is() -> None:
    assert "fewer than 50 sessions for each would cut people off" in refused(made(everyone(49)))
    assert len(made(everyone(50)).changes) == 1
    by = policy(safeguards=replace(WIDE, least_for_everyone=10))
    assert len(planned([everyone(10)], world(), enforcers=BOTH, by=by).changes) == 1


def test_a_switch_is_no_gateway() -> None:
    on_switch = able("sw1", Facts({"cap": ("everyone",)}))
    told = refused(planned([everyone(on="sw1")], world(), enforcers=on_switch))
    assert "cisco_ios has no way here for a cap of 500 sessions for everyone" in told


def test_a_gateway_without_such_a_line_says_so() -> None:
    assert "linux has no way here for a cap of 500 sessions for everyone" in refused(
        made(everyone(), enforcers=ENFORCERS)
    )


def test_somebody_elses_line_is_left_alone() -> None:
    plan = planned([everyone()], world(), (), {"gw": {SLOT: SessionCap(1000)}}, BOTH)
    assert (plan.changes, safeguards_of(plan)) == ((), ["foreign"])


# --- who is exempt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "exemption",
    [SERVERS, Exemption("x2", "keynote", mac=mac(9)), Exemption("x3", "boss", user="alice")],
    ids=["network", "mac", "user"],
)
def test_an_exemption_refuses_it_unless_the_person_overrides_that(exemption: Exemption) -> None:
    assert f"who is exempt: {exemption.why}" in refused(made(everyone(), exemptions=[exemption]))
    (change,) = made(everyone(override=True), exemptions=[exemption]).changes
    assert change.why.endswith(f"overriding the exemption: {exemption.why}")


def test_an_exemption_of_somewhere_else_or_of_yesterday_does_not_matter() -> None:
    partner = Exemption("x1", "partner", network=ip_network("192.0.2.0/24"))
    assert len(made(everyone(), exemptions=[partner]).changes) == 1
    over = replace(SERVERS, until=NOW - timedelta(seconds=1))
    assert len(made(everyone(), exemptions=[over]).changes) == 1


def test_without_zones_every_exempt_network_may_be_inside() -> None:
    plan = planned([everyone()], world(), enforcers=BOTH, exemptions=[SERVERS], by=replace(policy(), zones=()))
    assert safeguards_of(plan) == ["exemption"]


def test_an_exemption_that_came_later_lifts_it() -> None:
    asked = everyone()
    plan = made(asked, held=[ours(SLOT, asked, penalty=SessionCap(500))], exemptions=[SERVERS])
    assert [(it.slot, it.after) for it in plan.changes] == [(SLOT, None)]
