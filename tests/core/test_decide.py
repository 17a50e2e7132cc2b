"""Who is under which penalty, and until when."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import HOUR, NOW, ip, mac, verdict, who

from switchguard.core.decide import TIME_IS_UP, decide, is_manual, manual, offences
from switchguard.core.ladder import LONGEST, how_long
from switchguard.core.model import ClientId
from switchguard.core.penalties import Block, Finding, Notify, PastPenalty, RateLimit, Refusal, Release, Verdict
from switchguard.core.policy import Policy, Rule, Sentence

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
SENTENCE = Sentence(Block(), lasts=2 * HOUR, escalate=2.0, at_most=2 * DAY, forget_after=WEEK)
SWARM = Rule("swarm", "naughty_factor", above=0.8, for_polls=3, sentence=SENTENCE)
HOG = Rule("hog", "share_of_link", above=0.12, for_polls=1, sentence=Sentence(RateLimit(64_000)))
POLICY = Policy(rules=(SWARM, HOG))


def finding(number: int = 7, streak: int = 3, rule: str = "swarm", because: str = "1,490 hosts") -> Finding:
    return Finding(who(number), rule, 0.93, 0.8, because, streak, (mac(number),), (ip(number),))


def ended(ago: timedelta, number: int = 7, rule: str = "swarm") -> PastPenalty:
    return PastPenalty(who(number), rule, NOW - ago - 2 * HOUR, NOW - ago)


def only(found: tuple[Verdict, ...]) -> Verdict:
    (one,) = found
    return one


# --- from a finding to a penalty -------------------------------------------------------------------------------------


def test_a_breach_for_long_enough_is_a_penalty_with_its_evidence() -> None:
    sentenced = only(decide([finding()], (), (), POLICY, NOW).standing)
    assert sentenced == Verdict(
        id=sentenced.id,
        client=who(7),
        rule="swarm",
        penalty=Block(),
        since=NOW,
        until=NOW + 2 * HOUR,
        because="1,490 hosts",
        macs=(mac(7),),
        addresses=(ip(7),),
    )


def test_a_breach_that_is_too_young_is_let_off_and_told() -> None:
    decision = decide([finding(streak=2)], (), (), POLICY, NOW)
    assert decision.standing == ()
    assert decision.declined == (
        Refusal(f"swarm on {who(7)}", "over the threshold in 2 of 3 polls so far", "streak", client=who(7)),
    )


def test_a_finding_of_a_rule_that_the_policy_lacks_leads_to_nothing() -> None:
    decision = decide([finding(rule="gone")], (), (), POLICY, NOW)
    assert (decision.standing, [it.safeguard for it in decision.declined]) == ((), ["unsupported"])


def test_a_standing_penalty_is_neither_doubled_nor_extended() -> None:
    standing = verdict(7, since=NOW - HOUR)
    assert decide([finding(streak=60)], [standing], (), POLICY, NOW).standing == (standing,)


def test_a_client_with_a_better_name_now_is_still_the_same_offender() -> None:
    standing = verdict(7, since=NOW - HOUR)
    renamed = replace(finding(), client=ClientId("user:alice"))
    assert decide([renamed], [standing], (), POLICY, NOW).standing == (standing,)


def test_two_rules_have_their_penalties_apart() -> None:
    standing = verdict(7, since=NOW - HOUR)
    after = decide([finding(rule="hog", streak=1)], [standing], (), POLICY, NOW).standing
    assert [it.rule for it in after] == ["swarm", "hog"]


def test_a_manual_penalty_does_not_replace_that_of_a_rule() -> None:
    by_hand = manual(who(7), Block(), NOW - HOUR, None, "complaints", "anna")
    assert len(decide([finding()], [by_hand], (), POLICY, NOW).standing) == 2


def test_a_client_with_several_macs_is_penalised_once_with_all_of_them() -> None:
    both = replace(finding(), client=ClientId("user:alice"), macs=(mac(9), mac(7)))
    assert only(decide([both], (), (), POLICY, NOW).standing).macs == (mac(7), mac(9))


def test_of_two_findings_by_one_rule_the_longer_streak_counts() -> None:
    decision = decide([finding(streak=3), finding(streak=1)], (), (), POLICY, NOW)
    assert (len(decision.standing), decision.declined) == (1, ())


def test_the_same_breach_has_the_same_id_on_every_run_and_no_other_has_it() -> None:
    def id_of(number: int, now: datetime) -> str:
        return only(decide([finding(number)], (), (), POLICY, now).standing).id

    assert id_of(7, NOW) == id_of(7, NOW)
    assert len({id_of(7, NOW), id_of(8, NOW), id_of(7, NOW + HOUR)}) == 3
    assert id_of(7, NOW).isalnum()


@given(st.permutations([finding(1), finding(2, streak=1), finding(3), finding(3, rule="hog")]))
def test_the_order_of_findings_is_irrelevant(findings: list[Finding]) -> None:
    in_order = [finding(1), finding(2, streak=1), finding(3), finding(3, rule="hog")]
    assert decide(findings, (), (), POLICY, NOW) == decide(in_order, (), (), POLICY, NOW)


# --- the end ---------------------------------------------------------------------------------------------------------


def test_a_penalty_ends_at_its_very_end() -> None:
    standing = verdict(7, since=NOW - 2 * HOUR)
    decision = decide((), [standing], (), POLICY, NOW)
    assert (decision.standing, decision.released) == ((), (Release(standing, TIME_IS_UP),))


def test_unplugging_is_no_pardon() -> None:
    standing = verdict(7, since=NOW - HOUR)
    assert decide((), [standing], (), POLICY, NOW).standing == (standing,)


def test_a_rule_that_left_the_policy_pardons_nobody() -> None:
    standing = verdict(7, since=NOW - HOUR)
    assert decide((), [standing], (), Policy(), NOW).standing == (standing,)


def test_a_penalty_without_an_end_waits_for_somebody() -> None:
    standing = replace(verdict(7), until=None)
    assert decide((), [standing], (), POLICY, NOW + 1000 * DAY).standing == (standing,)


def test_who_goes_on_when_it_ends_is_sentenced_at_once_and_for_longer() -> None:
    decision = decide([finding()], [verdict(7, since=NOW - 2 * HOUR)], (), POLICY, NOW)
    assert only(decision.standing).until == NOW + 4 * HOUR
    assert only(decision.standing).offence == 2


@given(st.integers(0, 10_000), st.booleans())
def test_only_the_clock_ends_a_penalty(minutes: int, still_seen: bool) -> None:
    standing = verdict(7)
    now = NOW + timedelta(minutes=minutes)
    decision = decide([finding(streak=1)] if still_seen else (), [standing], (), POLICY, now)
    assert (standing in decision.standing) == (minutes < 120)
    assert (Release(standing, TIME_IS_UP) in decision.released) == (minutes >= 120)


# --- escalation and its decay ----------------------------------------------------------------------------------------


def test_the_second_offence_doubles_the_first() -> None:
    sentenced = only(decide([finding()], (), [ended(timedelta(0))], POLICY, NOW).standing)
    assert (sentenced.until, sentenced.offence) == (NOW + 4 * HOUR, 2)


def test_others_and_other_rules_offences_do_not_count() -> None:
    past = [ended(timedelta(0), number=8), ended(timedelta(0), rule="hog")]
    assert only(decide([finding()], (), past, POLICY, NOW).standing).until == NOW + 2 * HOUR


def test_after_one_forget_after_an_offence_counts_half() -> None:
    assert offences(who(7), "swarm", [ended(WEEK)], WEEK, NOW) == pytest.approx(0.5)


def test_an_offence_that_ends_in_the_future_counts_once() -> None:
    """Two clocks that differ by a second must not make it more than one."""
    assert offences(who(7), "swarm", [ended(-HOUR)], WEEK, NOW) == 1.0


def test_forgetting_at_once_forgets_at_once() -> None:
    assert offences(who(7), "swarm", [ended(timedelta(0))], timedelta(0), NOW) == 0.0


def test_a_term_never_exceeds_its_ceiling() -> None:
    assert how_long(SENTENCE, 1e9) == 2 * DAY
    assert how_long(SENTENCE, 50) == 2 * DAY


def test_without_a_ceiling_a_term_still_ends() -> None:
    assert how_long(replace(SENTENCE, at_most=None), 1e6) == LONGEST
    assert how_long(replace(SENTENCE, at_most=None), 60) == LONGEST


def test_a_sentence_until_somebody_lifts_it_does_not_escalate() -> None:
    assert how_long(replace(SENTENCE, lasts=None), 5) is None


def test_repeating_never_pays() -> None:
    assert how_long(replace(SENTENCE, escalate=0.5), 3) == 2 * HOUR


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=30),
    st.integers(0, 400),
    st.integers(0, 400),
)
def test_escalation_decays_while_a_client_behaves(days_ago: list[int], sooner: int, later: int) -> None:
    past = [ended(days * DAY) for days in days_ago]
    first, last = sorted((sooner, later))

    def term(days: int) -> timedelta:
        n = offences(who(7), "swarm", past, WEEK, NOW + days * DAY)
        length = how_long(replace(SENTENCE, at_most=None), n)
        assert length is not None
        return length

    assert term(last) <= term(first)


@given(st.lists(st.integers(0, 400), max_size=30), st.integers(0, 40))
def test_each_half_life_halves_what_is_remembered(days_ago: list[int], weeks: int) -> None:
    past = [ended(days * DAY) for days in days_ago]
    remembered = offences(who(7), "swarm", past, WEEK, NOW)
    assert offences(who(7), "swarm", past, WEEK, NOW + weeks * WEEK) == pytest.approx(remembered * 0.5**weeks)


@given(st.floats(0, 1e4), st.floats(1, 10))
def test_a_term_lies_between_the_first_and_the_ceiling(decayed: float, escalate: float) -> None:
    length = how_long(replace(SENTENCE, escalate=escalate), decayed)
    assert length is not None
    assert 2 * HOUR <= length <= 2 * DAY


# --- a person's request ----------------------------------------------------------------------------------------------


def test_a_persons_request_says_who_asked_and_where() -> None:
    asked = manual(
        who(7),
        Block(),
        NOW,
        HOUR,
        "complaints",
        "anna",
        macs=(mac(9), mac(7)),
        addresses=(ip(7),),
        on_device="sw1",
        vlan=10,
        override_exemption=True,
    )
    assert asked == Verdict(
        id=asked.id,
        client=who(7),
        rule="manual",
        penalty=Block(),
        since=NOW,
        until=NOW + HOUR,
        because="complaints",
        macs=(mac(7), mac(9)),
        addresses=(ip(7),),
        requested_by="anna",
        on_device="sw1",
        vlan=10,
        override_exemption=True,
    )


def test_a_persons_request_may_have_no_end() -> None:
    assert manual(who(7), Notify(), NOW, None, "hello", "anna").until is None


def test_two_requests_at_the_same_moment_are_two() -> None:
    block = manual(who(7), Block(), NOW, HOUR, "complaints", "anna")
    limit = manual(who(7), RateLimit(64_000), NOW, HOUR, "complaints", "anna")
    assert block.id != limit.id


def test_nobody_asks_anonymously() -> None:
    with pytest.raises(ValueError, match="the name of the person"):
        manual(who(7), Block(), NOW, HOUR, "complaints", "")


def test_a_rule_called_manual_is_no_person() -> None:
    assert not is_manual(verdict(7, rule="manual"))
    assert is_manual(manual(who(7), Block(), NOW, HOUR, "complaints", "anna"))
