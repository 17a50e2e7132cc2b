"""Which step of a ladder, how hard at most, until when, and what follows a release."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import (
    HOUR,
    NOW,
    ROUTER_FACTS,
    WIDE,
    able,
    client,
    ip,
    mac,
    ours,
    planned,
    policy,
    request,
    verdict,
    who,
    world,
)

from switchguard.core.changes import Slot
from switchguard.core.decide import TIME_IS_UP, decide
from switchguard.core.ladder import ends, hardness, in_box, softened, step, zone_of
from switchguard.core.model import Mode, Station
from switchguard.core.notices import notices
from switchguard.core.penalties import (
    Block,
    Decision,
    Exemption,
    Finding,
    Notify,
    PastPenalty,
    Penalty,
    Quarantine,
    RateLimit,
    Release,
    RestrictPorts,
    SessionCap,
    Verdict,
)
from switchguard.core.policy import Box, Policy, Probation, Rule, Safeguards, Sentence, Zone

DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
LAST = Sentence(Block(), lasts=2 * HOUR, escalate=2.0, at_most=2 * DAY)
LADDER = Sentence(
    Notify(), lasts=HOUR, then=(Sentence(SessionCap(100), HOUR), Sentence(RateLimit(64_000), 6 * HOUR), LAST)
)
LIMIT = Sentence(RateLimit(64_000), lasts=DAY)
PENALTIES = st.one_of(
    st.just(Notify()),
    st.builds(SessionCap, st.integers(1, 500)),
    st.builds(RateLimit, st.integers(8_000, 10_000_000)),
    st.builds(RestrictPorts, st.integers(1, 65_535)),
    st.builds(Quarantine, st.integers(1, 4094)),
    st.just(Block()),
)


def by(sentence: Sentence, **changes: object) -> Policy:
    rule = Rule("swarm", "naughty_factor", above=0.8, for_polls=1, sentence=sentence)
    return replace(Policy(Mode.ENFORCE, rules=(rule,)), **changes)  # type: ignore[arg-type]  # fields by name


def breach(number: int = 7) -> Finding:
    return Finding(who(number), "swarm", 0.93, 0.8, "1,490 hosts", 3, (mac(number),), (ip(number),))


def ended(ago: timedelta) -> PastPenalty:
    return PastPenalty(who(7), "swarm", NOW - ago - HOUR, NOW - ago)


def sentenced(rules: Policy, *past: PastPenalty, now: datetime = NOW) -> Verdict:
    (one,) = decide([breach()], (), past, rules, now).standing
    return one


def limited(number: int = 7, since: datetime = NOW - HOUR, until: datetime | None = None) -> Verdict:
    return replace(verdict(number, RateLimit(64_000), since=since), until=until)


# --- ladders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "penalty", "lasts"),
    [
        (0, Notify(), HOUR),
        (1, SessionCap(100), HOUR),
        (2, RateLimit(64_000), 6 * HOUR),
        (3, Block(), 2 * HOUR),
        (4, Block(), 4 * HOUR),
        (5, Block(), 8 * HOUR),
        (50, Block(), 2 * DAY),
    ],
)
def test_each_further_offence_takes_the_next_step_and_the_last_one_grows(
    earlier: int, penalty: Penalty, lasts: timedelta
) -> None:
    once_more = sentenced(by(LADDER), *(ended(timedelta(0)) for _ in range(earlier)))
    assert (once_more.penalty, once_more.until, once_more.offence) == (penalty, NOW + lasts, earlier + 1)


def test_good_behaviour_leads_down_again() -> None:
    thrice = tuple(ended(timedelta(days=14)) for _ in range(3))
    assert sentenced(by(LADDER), *thrice).penalty == SessionCap(100)
    assert sentenced(by(LADDER), *(ended(timedelta(days=70)) for _ in range(3))).penalty == Notify()


def test_a_step_that_stands_is_not_the_next_one_yet() -> None:
    first = sentenced(by(LADDER))
    assert decide([breach()], [first], (), by(LADDER), NOW + timedelta(minutes=59)).standing == (first,)
    (second,) = decide([breach()], [first], (), by(LADDER), NOW + HOUR).standing
    assert second.penalty == SessionCap(100)


@given(st.floats(0, 1e6))
def test_more_offences_never_lead_to_a_lower_step(decayed: float) -> None:
    steps = [LADDER, *LADDER.then]
    assert steps.index(step(LADDER, decayed)[0]) <= steps.index(step(LADDER, decayed + 0.1)[0])


@given(st.floats(0, 1e6))
def test_a_ladder_of_one_step_grows_as_ever(decayed: float) -> None:
    assert step(LAST, decayed) == (LAST, decayed)


# --- until a time of the day -----------------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20T23:59", "2026-11-21T00:00"),
        ("2026-11-20T00:00", "2026-11-21T00:00"),
        ("2026-03-28T12:00", "2026-03-29T00:00"),
        ("2026-03-29T00:30", "2026-03-30T00:00"),
        ("2026-10-25T00:30", "2026-10-26T00:00"),
        ("2026-12-31T12:00", "2027-01-01T00:00"),
    ],
)
def test_until_midnight_is_by_the_clock_on_the_wall(now: str, until: str) -> None:
    midnight = by(replace(LIMIT, until=time(0)), zone=BERLIN)
    assert sentenced(midnight, now=at(now).astimezone(UTC)).until == at(until)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-20", 24)])
def test_a_day_is_as_long_as_it_is(day: str, hours: int) -> None:
    begins = at(f"{day}T00:00").astimezone(UTC)
    until = ends(replace(LIMIT, until=time(0)), 0, begins, BERLIN)
    assert until is not None
    assert until - begins == timedelta(hours=hours)


def test_a_time_that_the_clocks_leap_over_is_still_an_end() -> None:
    until = ends(replace(LIMIT, until=time(2, 30)), 0, at("2026-03-29T01:00").astimezone(UTC), BERLIN)
    assert until == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)), st.times().map(lambda it: it.replace(second=0)))
def test_the_end_is_ahead_and_at_most_a_long_day_away(now: datetime, clock: time) -> None:
    moment = now.replace(tzinfo=UTC)
    until = ends(replace(LIMIT, until=clock.replace(microsecond=0)), 0, moment, BERLIN)
    assert until is not None
    assert timedelta(0) < until - moment <= timedelta(hours=26)


def test_a_member_stays_until_the_end_of_the_day_though_it_uses_nothing() -> None:
    midnight = by(replace(LIMIT, until=time(0)))
    member = sentenced(midnight)
    for minutes in range(0, 598, 13):
        assert decide((), [member], (), midnight, NOW + timedelta(minutes=minutes)).standing == (member,)
    assert decide((), [member], (), midnight, NOW + timedelta(minutes=598)).released == (Release(member, TIME_IS_UP),)


# --- zones -----------------------------------------------------------------------------------------------------------

VPN = Zone("vpn", (ip_network("10.10.0.0/16"),), ladder=(Notify(), SessionCap(100)))


def test_a_zone_softens_what_a_rule_asks_for() -> None:
    gentle = by(LAST, zones=(VPN,))
    assert sentenced(gentle).penalty == Notify()
    assert [sentenced(gentle, *[ended(timedelta(0))] * n).penalty for n in (1, 2, 9)] == [SessionCap(100)] * 3


def test_the_term_stays_the_rules_own() -> None:
    assert sentenced(by(LAST, zones=(VPN,)), ended(timedelta(0))).until == NOW + 4 * HOUR


def test_a_zone_without_the_client_softens_nothing() -> None:
    elsewhere = replace(VPN, networks=(ip_network("10.99.0.0/16"),))
    assert sentenced(by(LAST, zones=(elsewhere,))).penalty == Block()
    assert zone_of((ip(7),), (elsewhere, VPN)) == VPN


@given(PENALTIES, st.lists(PENALTIES, max_size=4), st.integers(1, 10))
def test_a_zone_never_makes_anything_harder(penalty: Penalty, ladder: list[Penalty], offence: int) -> None:
    zone = Zone("some", (), ladder=tuple(ladder))
    softer = softened(penalty, zone, offence)
    assert hardness(softer) <= hardness(penalty)
    assert softer in (penalty, *ladder)


# --- probation -------------------------------------------------------------------------------------------------------

WATCHED = replace(LAST, probation=Probation(RateLimit(1_000_000), HOUR))


def released(rules: Policy, *findings: Finding) -> Decision:
    standing = replace(verdict(7, since=NOW - 2 * HOUR), until=NOW)
    return decide(findings, [standing], (), rules, NOW)


def test_probation_follows_when_the_time_is_up() -> None:
    (probation,) = released(by(WATCHED)).standing
    assert (probation.penalty, probation.since, probation.until) == (RateLimit(1_000_000), NOW, NOW + HOUR)
    assert probation.probation
    assert probation.because == ("on probation after a block of its MAC: 1,490 of 1,500 sessions go to different hosts")


def test_probation_ends_by_the_clock_and_nothing_follows_it() -> None:
    (probation,) = released(by(WATCHED)).standing
    after = decide((), [probation], (), by(WATCHED), NOW + HOUR)
    assert (after.standing, after.released) == ((), (Release(probation, TIME_IS_UP),))


def test_who_goes_on_at_once_is_sentenced_instead() -> None:
    (again,) = released(by(WATCHED), breach()).standing
    assert (again.penalty, again.probation, again.offence) == (Block(), False, 2)


def test_probation_protects_from_nothing_and_is_no_offence() -> None:
    (probation,) = released(by(WATCHED)).standing
    later = decide([breach()], [probation], [PastPenalty(who(7), "swarm", NOW - 2 * HOUR, NOW)], by(WATCHED), NOW)
    assert {(it.probation, it.offence) for it in later.standing} == {(True, 1), (False, 2)}
    ended_too = decide([breach()], [probation], (), by(WATCHED), NOW + HOUR)
    assert [it.offence for it in ended_too.standing] == [1]


def test_a_zone_softens_probation_too() -> None:
    (probation,) = released(by(WATCHED, zones=(VPN,))).standing
    assert probation.penalty == Notify()


def test_a_person_who_lifts_a_penalty_means_it() -> None:
    by_hand = replace(request(7), until=NOW)
    assert decide((), [by_hand], (), by(WATCHED), NOW).standing == ()


# --- the box ---------------------------------------------------------------------------------------------------------

BOX = Box(20_000_000, empty_at=time(4))


def test_emptying_lets_everybody_in_the_box_go() -> None:
    night = by(LIMIT, box=BOX)
    members = [limited(1), limited(2)]
    due = datetime(2026, 11, 21, 4, tzinfo=UTC)
    assert decide((), members, (), night, due - timedelta(seconds=1)).released == ()
    decision = decide((), members, (), night, due)
    assert decision.standing == ()
    assert {it.why for it in decision.released} == {"the box is emptied every day at 04:00"}


def test_emptying_that_was_missed_is_made_up_for() -> None:
    assert len(decide((), [limited()], (), by(LIMIT, box=BOX), NOW + 3 * DAY).released) == 1


def test_who_came_after_the_emptying_stays() -> None:
    morning = datetime(2026, 11, 21, 4, tzinfo=UTC)
    member = limited(since=morning)
    assert decide((), [member], (), by(LIMIT, box=BOX), morning + HOUR).standing == (member,)


def test_a_new_member_is_told_the_hour_of_the_emptying() -> None:
    assert sentenced(by(LIMIT, box=BOX)).until == datetime(2026, 11, 21, 4, tzinfo=UTC)
    assert sentenced(by(replace(LIMIT, lasts=HOUR), box=BOX)).until == NOW + HOUR


def test_emptying_lifts_only_what_is_in_the_box() -> None:
    blocked = verdict(1, since=NOW - HOUR)
    by_hand = replace(request(2, RateLimit(64_000)), until=None)
    for_everybody = replace(limited(3), routine=True)
    stay = [replace(blocked, until=None), by_hand, for_everybody]
    assert len(decide((), stay, (), by(LIMIT, box=BOX), NOW + 3 * DAY).standing) == 3


def test_no_probation_follows_an_emptying() -> None:
    watched = by(replace(LIMIT, probation=Probation(RateLimit(1_000_000), HOUR)), box=BOX)
    assert decide((), [limited()], (), watched, NOW + DAY).standing == ()


def on_gateway(number: int) -> Slot:
    return Slot("gw", "limit", Station(), ip(number))


def boxed_world(*verdicts: Verdict) -> list[Penalty | None]:
    """What the gateway is asked for."""
    rules = replace(policy("gateway", WIDE), box=BOX)
    able_to = able("gw", replace(ROUTER_FACTS, boxes=True))
    seen = world(*(client(number) for number in range(1, 9)))
    return [change.after for change in planned(verdicts, seen, by=rules, enforcers=able_to).changes]


def test_limits_for_offences_are_planned_within_the_box() -> None:
    assert boxed_world(limited(1), limited(2)) == [RateLimit(64_000, within=20_000_000)] * 2


def test_a_limit_for_everybody_and_probation_are_outside_it() -> None:
    everybody, watched = replace(limited(1), routine=True), replace(limited(2), probation=True)
    assert boxed_world(everybody, watched) == [RateLimit(64_000)] * 2
    assert not in_box(everybody)


def test_of_two_causes_one_of_which_is_in_the_box_the_lower_limit_counts_and_the_box() -> None:
    everybody = replace(limited(1), id="everybody-1", rule="everybody", routine=True, penalty=RateLimit(32_000))
    assert boxed_world(limited(1), everybody) == [RateLimit(32_000, within=20_000_000)]


def test_a_device_without_boxes_limits_each_alone() -> None:
    rules = replace(policy("gateway", WIDE), box=BOX)
    made = planned([limited(1)], world(client(1)), by=rules)
    assert [change.after for change in made.changes] == [RateLimit(64_000)]


def test_what_stands_in_the_box_stays_there() -> None:
    rules = replace(policy("gateway", WIDE), box=BOX)
    there = {on_gateway(1): RateLimit(64_000, within=20_000_000)}
    holding = [ours(on_gateway(1), limited(1), penalty=RateLimit(64_000, within=20_000_000))]
    able_to = able("gw", replace(ROUTER_FACTS, boxes=True))
    made = planned([limited(1)], world(client(1)), holding, {"gw": there}, able_to, by=rules)
    assert (made.changes, made.adopted, made.refusals) == ((), (), ())


# --- notices ---------------------------------------------------------------------------------------------------------


def told(rules: Policy, decision: Decision) -> list[str]:
    made = planned(decision.standing, world(client(7)), by=replace(policy(), box=rules.box))
    return [f"{it.subject}: {it.text}" for it in notices(decision, made)]


def test_a_notice_is_told_once_and_goes_to_no_device() -> None:
    rules = by(replace(LADDER, then=()))
    first = decide([breach()], (), (), rules, NOW)
    (message,) = told(rules, first)
    assert message.startswith(f"1 client noticed: {who(7)}: a notice since 2026-11-20 14:02")
    assert planned(first.standing, world(client(7))).changes == ()
    again = decide([breach()], first.standing, (), rules, NOW + HOUR / 2)
    assert notices(again, planned(again.standing, world(client(7)), now=NOW + HOUR / 2)) == ()


def test_an_exempt_client_is_not_even_told_of() -> None:
    decision = decide([breach()], (), (), by(LADDER), NOW)
    spared = planned(decision.standing, world(client(7)), exemptions=[Exemption("e", "a server", mac=mac(7))])
    assert notices(decision, spared) == ()
    assert [it.safeguard for it in spared.refusals] == ["exemption"]


def test_the_emptying_is_one_message_about_everybody() -> None:
    night = by(LIMIT, box=BOX)
    decision = decide((), [limited(1), limited(2)], (), night, NOW + DAY)
    (message,) = told(night, decision)
    assert message.startswith("the box was emptied: 2 clients: ")


# --- the brakes ------------------------------------------------------------------------------------------------------


def test_a_night_that_puts_many_on_probation_is_no_mistake_of_ours() -> None:
    watched = [replace(limited(number), probation=True) for number in range(1, 5)]
    braked = planned(watched, world(*map(client, range(1, 5))), by=policy("gateway", Safeguards(new_per_cycle=1)))
    assert len(braked.changes) == 4


def test_a_limit_for_everybody_is_no_mistake_and_takes_no_room() -> None:
    everybody = [replace(limited(number), routine=True) for number in range(1, 5)]
    narrow = policy("gateway", Safeguards(new_per_cycle=1, share_of_clients=1.0, per_device=1))
    made = planned([*everybody, verdict(9, SessionCap(9))], world(*map(client, (1, 2, 3, 4, 9))), by=narrow)
    assert len(made.changes) == 5


# --- quarantine ------------------------------------------------------------------------------------------------------


def test_a_port_stays_in_quarantine_until_the_last_cause_ends() -> None:
    port = Slot("sw1", "quarantine", Station(port="Gi0/7"))
    one, two = verdict(7, Quarantine(99)), verdict(7, Quarantine(99), rule="hog")
    holding = [ours(port, one, two, penalty=Quarantine(99))]
    there = {"sw1": {port: Quarantine(99, original=10)}}
    at_access = policy("access")
    still = planned([two], world(client(7, vlan=99)), holding, there, by=at_access)
    assert (still.changes, [it.after for it in still.adopted]) == ((), [Quarantine(99)])
    (release,) = planned([], world(client(7, vlan=99)), holding, there, by=at_access).changes
    assert isinstance(release.before, Quarantine)
    assert (release.after, release.before.original) == (None, 10)


def test_quarantine_is_a_port_action_with_all_its_safeguards() -> None:
    assert planned([verdict(7, Quarantine(99))], world(client(7)), by=policy("core")).changes == ()
    crowded = replace(world(client(7)), macs_on_port={("sw1", "Gi0/7"): frozenset({mac(7), mac(8)})})
    refused = planned([verdict(7, Quarantine(99))], crowded, by=policy("access"))
    assert [it.safeguard for it in refused.refusals] == ["spread"]
