"""Penalties of people: they follow the person, and leave an address before it can harm whoever gets it next."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_network

import pytest
from plan_builders import HOUR, NOW, WIDE, ours, planned
from user_builders import SOURCE, VPN, lent

from switchguard.core.attribute import attribute
from switchguard.core.changes import Enforced, HeldSlot, Plan, Slot
from switchguard.core.model import Attribution, ClientId, Gap, Mode, Snapshot, UserSession
from switchguard.core.penalties import Block, Exemption, Notify, Penalty, Quarantine, RateLimit, SessionCap, Verdict
from switchguard.core.policy import Policy, Zone
from switchguard.core.users import user_id

CAP = SessionCap(100)
POLICY = Policy(Mode.ENFORCE, (Zone("vpn", VPN.networks, "gateway"),), (), (), WIDE)


def of(user: str, penalty: Penalty = CAP, *addresses: int, by: str | None = None) -> Verdict:
    """As it was sentenced a while ago, with the addresses of then."""
    rule = "swarm" if by is None else "manual"
    held = tuple(lent(it) for it in addresses)
    return Verdict(f"v-{user}", user_id(user), rule, penalty, NOW - HOUR, NOW + HOUR, "", (), held, requested_by=by)


def connected(user: str, *numbers: int, seen_s: float = 0) -> UserSession:
    held = tuple(lent(it) for it in numbers)
    return UserSession(SOURCE, user, held, NOW - HOUR, seen=NOW - seen_s * (HOUR / 3600))


def world(*sessions: UserSession, gaps: tuple[Gap, ...] = ()) -> Attribution:
    return attribute(Snapshot(NOW, (), users=sessions, user_zones=(VPN,), gaps=gaps))


def slot(number: int, kind: str = "cap") -> Slot:
    return Slot("gw", kind, address=lent(number))


def made(
    verdicts: Iterable[Verdict],
    seen: Attribution,
    held: Iterable[HeldSlot] = (),
    exempt: Iterable[Exemption] = (),
) -> Plan:
    slots = tuple(held)
    there: Mapping[str, Enforced] = {"gw": {it.slot: it.penalty for it in slots}}
    return planned(verdicts, seen, slots, there, by=POLICY, exemptions=tuple(exempt), now=NOW)


def steps(plan: Plan) -> list[tuple[Slot, Penalty | None]]:
    return [(it.slot, it.after) for it in plan.changes]


def refused(plan: Plan) -> list[str]:
    return [it.why for it in plan.refusals]


@pytest.mark.parametrize("penalty", [CAP, RateLimit(5_000_000), Block("address")])
def test_a_person_is_penalised_at_the_gateway_by_every_address(penalty: Penalty) -> None:
    plan = made([of("alice", penalty, 7)], world(connected("alice", 7, 8), connected("bob", 9)))
    assert steps(plan) == [(slot(7, penalty.kind), penalty), (slot(8, penalty.kind), penalty)]


@pytest.mark.parametrize("penalty", [Block("mac"), Quarantine(99)])
def test_what_needs_a_mac_is_refused_with_the_reason(penalty: Penalty) -> None:
    plan = made([of("alice", penalty, 7)], world(connected("alice", 7)))
    assert plan.changes == ()
    assert refused(plan) == [
        "alice is known by a session, which has neither MAC nor port; "
        "a notice, a cap, a limit or a block by address works"
    ]


def test_a_penalty_follows_to_a_new_address_and_leaves_the_old_one_in_the_same_plan() -> None:
    verdict = of("alice", CAP, 7)
    plan = made([verdict], world(connected("alice", 8)), [ours(slot(7), verdict, penalty=CAP)])
    assert steps(plan) == [(slot(7), None), (slot(8), CAP)]


def test_the_next_holder_of_an_address_gets_it_clean() -> None:
    """Bob has alice's address now; that she was sentenced with it makes no difference."""
    verdict = of("alice", CAP, 7)
    plan = made([verdict], world(connected("bob", 7)), [ours(slot(7), verdict, penalty=CAP)])
    assert steps(plan) == [(slot(7), None)]
    assert "10.99.0.7 is not user:alice's any more: it is lent to others" in plan.changes[0].why


def test_a_penalty_leaves_an_address_before_anybody_else_has_it() -> None:
    verdict = of("alice", CAP, 7)
    plan = made([verdict], world(), [ours(slot(7), verdict, penalty=CAP)])
    assert steps(plan) == [(slot(7), None)]


def test_an_old_address_that_was_never_penalised_is_not_penalised_now() -> None:
    plan = made([of("alice", CAP, 7)], world(connected("bob", 7)))
    assert plan.changes == ()
    assert refused(plan) == ["alice is not connected now"]


def test_a_penalty_waits_for_who_is_away() -> None:
    verdict = of("alice", CAP, 7)
    away = made([verdict], world())
    assert (away.changes, refused(away)) == ((), ["alice is not connected now"])
    assert steps(made([verdict], world(connected("alice", 12)))) == [(slot(12), CAP)]


def test_an_address_in_the_zone_is_not_penalised_for_itself() -> None:
    """A verdict from before the zone had a source of users."""
    verdict = replace(of("x", CAP, 7), client=ClientId("address:10.99.0.7"))
    plan = made([verdict], world(connected("bob", 7)), [ours(slot(7), verdict, penalty=CAP)])
    assert steps(plan) == [(slot(7), None)]
    assert refused(made([verdict], world(connected("bob", 7)))) == [
        "10.99.0.7 is lent to users, and not to address:10.99.0.7 now"
    ]


def test_for_some_minutes_a_silent_source_changes_nothing_and_then_it_frees() -> None:
    """Who has the address is then as good as unknown, and the next one shall not inherit anything."""
    verdict, gap = of("alice", CAP, 7), Gap("vpn/openvpn", "users", "no answer")
    held = [ours(slot(7), verdict, penalty=CAP)]
    assert made([verdict], world(connected("alice", 7, seen_s=290), gaps=(gap,)), held).changes == ()
    assert steps(made([verdict], world(connected("alice", 7, seen_s=310), gaps=(gap,)), held)) == [(slot(7), None)]


@pytest.mark.parametrize(
    "exemption",
    [Exemption("1", "the keynote", user="alice"), Exemption("1", "servers", network=ip_network("10.99.0.8/32"))],
)
def test_who_is_exempt_is_left_alone_with_all_addresses(exemption: Exemption) -> None:
    verdict = of("alice", CAP, 7)
    held = [ours(slot(7), verdict, penalty=CAP)]
    assert steps(made([verdict], world(connected("alice", 7, 8)), held, [exemption])) == [(slot(7), None)]


def test_a_notice_needs_no_place() -> None:
    plan = made([of("alice", Notify(), 7)], world(connected("alice", 7)))
    assert (plan.changes, plan.refusals) == ((), ())


def test_planning_twice_changes_nothing() -> None:
    verdict = of("alice", CAP, 7)
    held = [ours(slot(7), verdict, penalty=CAP)]
    assert made([verdict], world(connected("alice", 7)), held).changes == ()
