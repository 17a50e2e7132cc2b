"""Traffic against its own history of the same hour of the week."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
from builders import NOON, swarm, usage
from evidence_builders import DAY, HOUR, MINUTE, client, here, minutes, rule, who

from switchguard.core.evidence import Evidence, InterfaceRates, RateSample
from switchguard.core.model import Destination
from switchguard.core.penalties import Notify
from switchguard.core.policy import Rule
from switchguard.core.rules import blind_spots
from switchguard.core.rules.unusual_traffic import Params, judge

RULE = rule("unusual_traffic", 6)
MBPS = 1_000_000.0
WEEK = 7 * DAY


def daily(when: datetime) -> float:
    """40 Mbit/s by day, 2 at night; a little different every day."""
    wobble = 1 + 0.05 * (when.toordinal() % 3 - 1)
    return (40 if 8 <= when.hour < 22 else 2) * MBPS * wobble


def history(
    length: timedelta, now: datetime = NOON, pattern: Callable[[datetime], float] = daily
) -> tuple[RateSample, ...]:
    hours = int(length / HOUR)
    starts = (now - back * HOUR for back in range(hours, 0, -1))
    return tuple(RateSample(start, start + HOUR, pattern(start), pattern(start) / 4) for start in starts)


def wan(
    in_mbps: float,
    out_mbps: float | None = None,
    now: datetime = NOON,
    length: timedelta = 4 * WEEK,
    pattern: Callable[[datetime], float] = daily,
) -> Evidence:
    """The interface moves that much now; without `out_mbps` what is usual."""
    out_bps = pattern(now) / 4 if out_mbps is None else out_mbps * MBPS
    sample = RateSample(now - 5 * MINUTE, now, in_mbps * MBPS, out_bps)
    return replace(here(now=now), interfaces=(InterfaceRates("gw", "wan0", history(length, now, pattern), sample),))


def test_a_swing_at_an_unusual_hour_is_an_incident() -> None:
    night = NOON.replace(hour=3)
    (alarm,) = judge(wan(40, now=night), RULE)
    assert (alarm.client, alarm.penalty, alarm.until) == ("interface:gw wan0", Notify(), night + 6 * HOUR)
    assert alarm.because.startswith("40 Mbit/s in where 2 Mbit/s is usual at this hour of the week")


def test_the_same_traffic_by_day_is_none() -> None:
    assert judge(wan(40), RULE) == ()
    assert judge(wan(48), RULE) == ()


def test_less_than_usual_is_an_incident_too_unless_nobody_wants_to_know() -> None:
    (alarm,) = judge(wan(0.1), RULE)
    assert "usual spread less" in alarm.because
    assert judge(wan(0.1), replace(RULE, params=Params(drops_too=False))) == ()


def test_each_direction_is_looked_at() -> None:
    (alarm,) = judge(wan(40, 90), RULE)
    assert alarm.because.startswith("90 Mbit/s out where 10 Mbit/s is usual")


def test_before_two_weeks_it_says_so_and_judges_nothing() -> None:
    young = wan(400, length=13 * DAY)
    assert judge(young, RULE) == ()
    assert blind_spots(young, [RULE]) == (("r", "gw wan0: 13 d of 14 d of history"),)
    assert len(judge(wan(400, length=14 * DAY), RULE)) == 1
    assert blind_spots(wan(400), [RULE]) == ()


def test_without_any_history_it_says_so() -> None:
    assert blind_spots(here(), [RULE]) == (("r", "no interface's history is known"),)
    empty = replace(here(), interfaces=(InterfaceRates("gw", "wan0", ()),))
    assert blind_spots(empty, [RULE]) == (("r", "gw wan0: 0 s of 14 d of history"),)


def test_one_bad_week_in_the_history_hides_nothing_and_explains_nothing() -> None:
    """The median does not mind one week of ten times as much; the mean would."""

    def with_an_incident(when: datetime) -> float:
        return daily(when) * (10 if NOON - 2.5 * WEEK < when < NOON - 1.5 * WEEK else 1)

    assert judge(wan(40, pattern=with_an_incident), RULE) == ()
    assert len(judge(wan(400, pattern=with_an_incident), RULE)) == 1


def test_a_small_difference_is_none_however_steady_the_line_is() -> None:
    assert judge(wan(0.9, pattern=lambda _: 0.0), RULE) == ()
    assert len(judge(wan(2, pattern=lambda _: 0.0), RULE)) == 1


def test_the_hour_is_that_of_the_sites_clock() -> None:
    """When the clocks change, people change with them: 08:30 in Berlin is 07:30 UTC in winter and was 06:30 before."""
    berlin = ZoneInfo("Europe/Berlin")

    def office(when: datetime) -> float:
        return 40 * MBPS if when.astimezone(berlin).hour >= 8 else 2 * MBPS

    morning = datetime(2026, 10, 26, 6, 30, tzinfo=NOON.tzinfo)
    berlin_rule = replace(RULE, params=Params(time_zone=berlin))
    assert judge(wan(2, now=morning, pattern=office), berlin_rule) == ()
    assert len(judge(wan(2, now=morning + 3 * HOUR, pattern=office), berlin_rule)) == 1


def test_what_just_happened_is_no_history() -> None:
    """The incident itself must not become what is usual within the hour."""

    def for_two_hours(when: datetime) -> float:
        return 400 * MBPS if when > NOON - 3 * HOUR else daily(when)

    assert len(judge(wan(400, 10, pattern=for_two_hours), RULE)) == 1


def test_an_hour_with_too_few_samples_is_not_judged() -> None:
    evidence = wan(400)
    (interface,) = evidence.interfaces
    sparse = (interface.history[0], *interface.history[-2:])
    assert judge(replace(evidence, interfaces=(replace(interface, history=sparse),)), RULE) == ()


def test_without_a_present_there_is_nothing_to_compare() -> None:
    evidence = wan(400)
    (interface,) = evidence.interfaces
    assert judge(replace(evidence, interfaces=(replace(interface, now=None),)), RULE) == ()


def told(evidence: Evidence, by: Rule = RULE) -> str:
    (alarm,) = judge(replace(evidence, interfaces=wan(400).interfaces), by)
    return alarm.because.partition("; ")[2]


def test_the_alarm_names_who_and_what_is_busiest_at_this_moment() -> None:
    busy = replace(
        here(client(7), client(8)),
        traffic={who(7): minutes(2, 75_000_000, 7_500_000), who(8): minutes(2, 7_500_000), who(9): ()},
        destinations=(Destination(ip_network("198.51.100.0/24"), 25, 3000), Destination(ip_network("::/0"), None, 9)),
    )
    assert told(busy) == (
        f"busiest clients: {who(7)} (11 Mbit/s), {who(8)} (1 Mbit/s); "
        "busiest remote networks: 198.51.100.0/24 port 25 (3,000 sessions), ::/0 (9 sessions)"
    )


def test_without_octets_the_busiest_are_those_with_most_sessions() -> None:
    people = here(client(7, usage(7, 20)), client(8, swarm(8)), client(9))
    assert told(people) == f"busiest clients: {who(8)} (1,500 sessions), {who(7)} (20 sessions)"


def test_when_nothing_is_known_the_alarm_is_just_that() -> None:
    assert told(here()) == ""


def test_a_threshold_of_zero_is_everything_that_is_not_exactly_usual() -> None:
    assert len(judge(wan(41), replace(RULE, above=0.0))) == 1


@pytest.mark.parametrize("seconds", [0.0])
def test_a_span_without_length_has_no_rate(seconds: float) -> None:
    (span,) = minutes(1, 1000)
    instant = replace(span, end=span.start + timedelta(seconds=seconds))
    assert told(replace(here(client(7)), traffic={who(7): (instant,)})) == f"busiest clients: {who(7)} (0 bit/s)"


def test_the_alarm_names_the_largest_transfer_too() -> None:
    crowd = [Destination(ip_network(f"198.51.{n}.0/24"), 443, 9, 1000) for n in range(4)]
    large = Destination(ip_network("192.0.2.0/24"), 873, 1, 5_000_000_000)
    said = told(replace(here(), destinations=(*crowd, large)))
    assert said.startswith("busiest remote networks: 198.51.0.0/24 port 443 (9 sessions, 1 kB)")
    assert said.endswith(" and 2 more; most traffic with 192.0.2.0/24 port 873 (1 sessions, 5 GB)")
