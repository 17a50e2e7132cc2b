"""Shares of the link: who spoils it for others, and who may have all of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOON
from evidence_builders import LIMIT, MB, MINUTE, client, found, here, minutes, rule, standing, who

from switchguard.core.decide import decide
from switchguard.core.evidence import Evidence, LinkLoad, Traffic
from switchguard.core.model import ClientId
from switchguard.core.penalties import RateLimit
from switchguard.core.policy import Policy, Rule
from switchguard.core.rules import advance, blind_spots, cuts
from switchguard.core.rules.share_of_link import Params, judge

HOG = rule("share_of_link", 0.12)
MBPS = 1_000_000
PER_MINUTE = 7_500_000
"""Octets in a minute at 1 Mbit/s."""
FULL = LinkLoad("gw", "wan0", 100 * MBPS, 20 * MBPS, in_bps=95 * MBPS, out_bps=2 * MBPS)
EMPTY = replace(FULL, in_bps=14 * MBPS)


def crowd(link: LinkLoad | None, **mbps: tuple[float, float]) -> Evidence:
    """`c7=(in, out)`: client 7 has moved so many Mbit/s for five minutes."""
    numbers = {int(name[1:]): rates for name, rates in mbps.items()}
    moved = {who(n): minutes(5, int(i * PER_MINUTE), int(o * PER_MINUTE)) for n, (i, o) in numbers.items()}
    return replace(here(*(client(n) for n in numbers)), link=link, traffic=moved)


def with_params(**params: object) -> Rule:
    return replace(HOG, params=Params(**params))  # type: ignore[arg-type]  # the names are checked by the dataclass


def test_who_takes_more_than_the_share_of_a_full_link_is_found() -> None:
    (finding,) = judge(crowd(FULL, c7=(13, 0), c8=(12, 0), c9=(3, 0)), HOG)
    assert (finding.client, finding.unit) == (who(7), "share")
    assert finding.value == pytest.approx(0.13)
    assert finding.because == "13 Mbit/s in is 13% of the link's 100 Mbit/s, whose load is 95%"


def test_a_big_download_on_an_empty_link_is_nobodys_business() -> None:
    """A Linux ISO over HTTPS at full speed, 5 GB: peak throughput to anyone who needs it while there is room (T17)."""
    assert judge(crowd(EMPTY, c7=(14, 0)), HOG) == ()
    assert judge(crowd(replace(EMPTY, in_bps=79 * MBPS), c7=(79, 0)), HOG) == ()
    assert judge(crowd(replace(EMPTY, in_bps=100 * MBPS), c7=(98, 0)), HOG) == ()


def test_alone_is_who_leaves_others_next_to_nothing_that_they_miss() -> None:
    assert found(judge(crowd(FULL, c7=(89, 0), c8=(5, 0)), HOG)) == [who(7)]
    assert judge(crowd(FULL, c7=(90.5, 0), c8=(4.5, 0)), HOG) == ()
    assert found(judge(crowd(FULL, c7=(90.5, 0), c8=(4.5, 0)), with_params(others_above=0.0))) == [who(7)]


@pytest.mark.parametrize("hog", [50, 94, 97, 99])
def test_who_starves_everybody_is_not_alone(hog: int) -> None:
    """Forty others want something, and share what is left: at 99 % each of them gets 25 kbit/s."""
    others = {f"c{n}": ((100 - hog) / 40, 0.0) for n in range(8, 48)}
    evidence = crowd(replace(FULL, in_bps=100 * MBPS), c7=(hog, 0), **others)
    assert found(judge(evidence, HOG)) == [who(7)]


def test_telephones_that_sleep_do_not_make_a_download_at_night_a_crime() -> None:
    """Forty move next to nothing each; nine wake up and fetch their mail."""
    night = {f"c{n}": (0.005, 0.005) for n in range(17, 57)}
    awake = {f"c{n}": (0.1, 0.05) for n in range(8, 17)}
    evidence = crowd(replace(FULL, in_bps=99 * MBPS), c7=(98, 0), **night, **awake)
    assert judge(evidence, HOG) == ()
    assert found(judge(evidence, with_params(others_active=9))) == [who(7)]
    assert found(judge(evidence, with_params(active_above=4_000))) == [who(7)]


def test_others_who_are_busy_the_other_way_do_not_count() -> None:
    up = {f"c{n}": (0.0, 0.2) for n in range(8, 28)}
    assert judge(crowd(replace(FULL, in_bps=99 * MBPS), c7=(98, 0), **up), HOG) == ()


def test_a_video_call_and_a_game_stay_far_below() -> None:
    assert judge(crowd(FULL, c7=(4, 2), c8=(0.2, 0.1)), HOG) == ()


def test_an_upload_is_no_crime_while_only_the_download_is_crowded() -> None:
    """A backup at night: 19 of 20 Mbit/s up, while others fill the way down."""
    assert judge(crowd(replace(FULL, out_bps=15 * MBPS), c7=(0.5, 15)), HOG) == ()
    assert found(judge(crowd(replace(FULL, out_bps=17 * MBPS), c7=(0.5, 15)), HOG)) == [who(7)]


@pytest.mark.parametrize(("direction", "caught"), [("in", [who(7)]), ("out", [who(8)]), ("both", [who(7), who(8)])])
def test_each_way_has_its_own_capacity(direction: str, caught: list[ClientId]) -> None:
    evidence = crowd(replace(FULL, out_bps=19 * MBPS), c7=(20, 1), c8=(5, 4))
    assert found(judge(evidence, with_params(direction=direction))) == caught


def test_without_the_load_nobody_is_judged_unless_the_load_does_not_matter() -> None:
    blind = replace(FULL, in_bps=None, out_bps=None)
    assert judge(crowd(blind, c7=(50, 0)), HOG) == ()
    (finding,) = judge(crowd(blind, c7=(50, 0)), with_params(only_while_link_above=0.0))
    assert finding.because.endswith("whose load is not known")


def test_what_is_missing_is_said() -> None:
    assert blind_spots(crowd(None), [HOG]) == (("r", "the site names no link"),)
    unknown = crowd(replace(FULL, in_bps=None, out_bps=None), c7=(1, 1))
    assert blind_spots(unknown, [HOG]) == (("r", "the load of gw wan0 is not known"),)
    assert blind_spots(crowd(FULL), [HOG]) == (("r", "nobody's traffic of the last minutes is known"),)
    assert blind_spots(crowd(FULL, c7=(1, 1)), [HOG]) == ()


def test_between_the_thresholds_the_streak_neither_grows_nor_ends() -> None:
    streaks = {("r", str(who(7))): 2, ("r", str(who(8))): 2}
    evidence = replace(crowd(FULL, c7=(6, 0), c8=(5, 0), c9=(6, 0)), streaks=streaks)
    findings = judge(evidence, HOG)
    assert [(it.client, it.streak) for it in findings] == [(who(7), 2)]
    assert "not under the green threshold yet" in findings[0].because
    assert advance(streaks, findings) == {("r", who(7)): 2}


def test_a_member_stays_though_its_usage_falls() -> None:
    """Of course it falls: it is limited. The clock alone ends a penalty (P1)."""
    verdict = standing(7, penalty=RateLimit(64_000), until=NOON + MINUTE)
    limited = crowd(FULL, c7=(0.06, 0))
    decision = decide(judge(limited, HOG), (verdict,), (), Policy(rules=(HOG,)), NOON)
    assert (decision.standing, decision.released) == ((verdict,), ())


def test_one_burst_is_no_share() -> None:
    """A page with many pictures: ten seconds at full speed."""
    quiet = crowd(FULL, c8=(1, 0))
    burst = Traffic(NOON - MINUTE, NOON, int(95 * PER_MINUTE / 6), 0)
    evidence = replace(quiet, traffic={**quiet.traffic, who(7): (burst,)})
    assert judge(replace(evidence, attribution=here(client(7)).attribution), HOG) == ()


def test_old_traffic_says_nothing_about_now() -> None:
    evidence = crowd(FULL, c7=(50, 0))
    assert judge(replace(evidence, now=NOON + 6 * MINUTE), HOG) == ()


def test_a_history_of_a_minute_is_too_short_and_an_hour_too_long() -> None:
    one = replace(crowd(FULL, c7=(50, 0)), traffic={who(7): minutes(1, 50 * PER_MINUTE)})
    assert judge(one, HOG) == ()
    rolled_up = (Traffic(NOON - 60 * MINUTE, NOON, 3_000 * PER_MINUTE, 0),)
    assert judge(replace(one, traffic={who(7): rolled_up}), HOG) == ()


def test_a_poll_that_was_late_costs_nobody_a_minute() -> None:
    late = tuple(replace(span, start=span.start - timedelta(seconds=20)) for span in minutes(1, 13 * PER_MINUTE))
    spans = (*minutes(4, 13 * PER_MINUTE, now=NOON - MINUTE - timedelta(seconds=20)), *late)
    evidence = replace(crowd(FULL, c7=(0, 0)), traffic={who(7): spans})
    (finding,) = judge(evidence, with_params(only_while_link_above=0.9))
    assert finding.value == pytest.approx(5 * 13 / (5 + 1 / 3) / 100)


def test_an_estimate_counts_only_where_the_site_says_so() -> None:
    guessed = tuple(replace(span, estimate=True) for span in minutes(5, 20 * PER_MINUTE))
    evidence = replace(crowd(FULL, c7=(1, 0)), traffic={who(7): guessed})
    assert judge(evidence, HOG) == ()
    assert judge(evidence, with_params(estimates=True))[0].because.startswith("about 20 Mbit/s")


def test_who_has_no_known_traffic_is_not_judged() -> None:
    evidence = crowd(FULL, c7=(50, 0))
    assert found(judge(replace(evidence, attribution=here(client(8)).attribution), HOG)) == []


def test_the_ledger_learns_how_far_back_minutes_are_needed() -> None:
    assert cuts([HOG], NOON) == (NOON - timedelta(minutes=5.5),)


def test_a_mean_over_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="over is no time at all"):
        Params(over=timedelta(0))


def test_the_penalty_is_the_rules() -> None:
    (finding,) = judge(crowd(FULL, c7=(13, 0)), HOG)
    (verdict,) = decide([finding], (), (), Policy(rules=(HOG,)), NOON).standing
    assert verdict.penalty == LIMIT.penalty
    assert 13 * MBPS * 5 * 60 / 8 < 500 * MB
