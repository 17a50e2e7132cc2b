"""Quotas: whose octets count, from when, and what they do not count."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
from builders import NOON, mac
from evidence_builders import DAY, GB, HOUR, MB, client, ended, found, here, hour, rule, standing, who

from switchguard.core.decide import decide
from switchguard.core.evidence import Evidence, Traffic
from switchguard.core.model import ClientId
from switchguard.core.penalties import Verdict
from switchguard.core.policy import Policy, Rule
from switchguard.core.rules import blind_spots, cuts
from switchguard.core.rules.quota import Params, judge

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = NOON.replace(hour=0)
DAILY = rule("quota", GB)


def used(traffic: dict[int, Iterable[Traffic]], now: datetime = NOON) -> Evidence:
    """Clients of these numbers, who moved that."""
    evidence = here(*(client(number) for number in traffic), now=now)
    return replace(evidence, traffic={who(number): tuple(spans) for number, spans in traffic.items()})


def per(**params: object) -> Rule:
    return replace(DAILY, params=Params(**params))  # type: ignore[arg-type]  # the names are checked by the dataclass


def test_who_moved_more_than_the_quota_today_is_found_and_nobody_else() -> None:
    evidence = used({7: [hour(MIDNIGHT, 900 * MB, 200 * MB)], 8: [hour(MIDNIGHT, 900 * MB, 100 * MB)]})
    (finding,) = judge(evidence, DAILY)
    assert finding.client == who(7)
    assert (finding.value, finding.threshold, finding.unit) == (1100 * MB, GB, "octets")
    assert finding.because == "1.1 GB received and sent since 2026-11-20 00:00, of 1 GB a day"


def test_yesterday_is_forgiven() -> None:
    assert judge(used({7: [hour(MIDNIGHT - HOUR, 5 * GB), hour(MIDNIGHT, 900 * MB)]}), DAILY) == ()


def test_a_span_that_began_before_the_window_counts_in_no_part_of_it() -> None:
    """We would rather miss half an hour than guess when within the span it was."""
    assert judge(used({7: [hour(MIDNIGHT - HOUR / 2, 5 * GB)]}), DAILY) == ()


@pytest.mark.parametrize(("direction", "caught"), [("in", [who(7)]), ("out", [who(8)]), ("both", [who(7), who(8)])])
def test_each_direction_can_be_counted_on_its_own(direction: str, caught: list[ClientId]) -> None:
    evidence = used({7: [hour(MIDNIGHT, 2 * GB, 1)], 8: [hour(MIDNIGHT, 1, 2 * GB)]})
    assert found(judge(evidence, per(direction=direction))) == caught


@pytest.mark.parametrize(("period", "caught"), [("hour", []), ("day", []), ("week", [who(7)]), ("month", [who(7)])])
def test_a_week_adds_up_what_no_day_shows(period: str, caught: list[ClientId]) -> None:
    evidence = used({7: [hour(NOON - days * DAY, 400 * MB) for days in range(4, -1, -1)]})
    assert found(judge(evidence, per(per=period))) == caught


def test_the_day_begins_at_the_sites_own_hour() -> None:
    evidence = used({7: [hour(MIDNIGHT + 2 * HOUR, 2 * GB)]})
    assert judge(evidence, per(starts=time(6))) == ()
    assert len(judge(evidence, per(starts=time(2)))) == 1


def test_the_day_is_that_of_the_sites_time_zone() -> None:
    """23:30 UTC is past midnight in Berlin."""
    evidence = used({7: [hour(MIDNIGHT - HOUR / 2, 2 * GB)]})
    assert judge(evidence, DAILY) == ()
    assert len(judge(evidence, per(time_zone=BERLIN))) == 1


def test_on_the_day_the_clocks_go_back_all_25_hours_count() -> None:
    evening = datetime(2026, 10, 25, 22, 30, tzinfo=UTC)
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)
    evidence = used({7: [hour(midnight + n * HOUR, 41 * MB) for n in range(25)]}, now=evening)
    assert len(judge(evidence, per(time_zone=BERLIN))) == 1


def test_usage_counts_again_from_the_release() -> None:
    """Somebody who was let go an hour ago has moved nothing yet."""
    evidence = used({7: [hour(MIDNIGHT, 2 * GB), hour(NOON - HOUR, 300 * MB)]})
    released = replace(evidence, past=(ended(7, HOUR),))
    assert judge(released, DAILY) == ()
    again = replace(released, traffic={who(7): (hour(MIDNIGHT, 2 * GB), hour(NOON - HOUR, 1100 * MB))})
    assert found(judge(again, DAILY)) == [who(7)]


def test_the_end_of_another_rules_penalty_or_of_somebody_elses_changes_nothing() -> None:
    evidence = used({7: [hour(MIDNIGHT, 2 * GB)]})
    others = (ended(7, HOUR, "another"), ended(8, HOUR))
    assert found(judge(replace(evidence, past=others), DAILY)) == [who(7)]


def test_nobody_pays_twice_for_the_same_download() -> None:
    """In the very cycle in which the penalty ends, what led to it is still in the books."""
    evidence = used({7: [hour(MIDNIGHT, 2 * GB)]})
    penalised = replace(evidence, standing=(standing(7, until=NOON),))
    decision = decide(judge(penalised, DAILY), penalised.standing, (), Policy(rules=(DAILY,)), NOON)
    assert decision.standing == ()
    assert len(decision.released) == 1


def test_who_relapses_on_probation_is_found() -> None:
    evidence = replace(
        used({7: [hour(MIDNIGHT, 2 * GB), hour(NOON - HOUR, 2 * GB)]}),
        past=(ended(7, HOUR),),
        standing=(replace(standing(7), probation=True),),
    )
    assert found(judge(evidence, DAILY)) == [who(7)]


def test_an_estimate_counts_only_where_the_site_says_so() -> None:
    """Of several machines behind one port, nobody knows for certain which it was."""
    evidence = used({7: [hour(MIDNIGHT, 2 * GB, estimate=True)]})
    assert judge(evidence, DAILY) == ()
    (finding,) = judge(evidence, per(estimates=True))
    assert finding.because.startswith("about 2 GB")


def test_all_devices_of_a_person_share_the_quota() -> None:
    evidence = used({7: [hour(MIDNIGHT, 600 * MB)], 8: [hour(MIDNIGHT, 600 * MB)], 9: [hour(MIDNIGHT, 600 * MB)]})
    registered = replace(evidence, registry={mac(7): "ann", mac(8): "ann", mac(9): "bob"})
    assert judge(registered, DAILY) == ()
    findings = judge(registered, per(for_each="person"))
    assert found(findings) == [who(7), who(8)]
    assert findings[0].value == 1200 * MB
    assert findings[0].because.startswith("1.2 GB received and sent by 2 devices of one person")


def test_a_device_that_comes_late_is_free_when_its_owners_others_are() -> None:
    """The telephone has paid for two days when the laptop appears: for the same download, not for two days more."""
    weekly = per(per="week", for_each="person")
    evidence = replace(used({7: [hour(MIDNIGHT, 2 * GB)], 8: []}), registry={mac(7): "ann", mac(8): "ann"})
    for others in (
        standing(7, until=NOON + HOUR),
        replace(standing(7, until=NOON + HOUR), client=ClientId("user:ann")),
    ):
        (finding,) = judge(replace(evidence, standing=(others,)), weekly)
        assert (finding.client, finding.until) == (who(8), NOON + HOUR)
    released = (ended(7, timedelta(0)),)
    assert judge(replace(evidence, past=released), weekly) == ()


def test_a_device_that_comes_when_its_owners_others_are_let_go_gets_nothing() -> None:
    weekly = per(per="week", for_each="person")
    evidence = replace(used({7: [hour(MIDNIGHT, 2 * GB)], 8: []}), registry={mac(7): "ann", mac(8): "ann"})
    over = (standing(7, until=NOON),)
    findings = judge(replace(evidence, standing=over), weekly)
    assert decide(findings, over, (), Policy(rules=(weekly,)), NOON).standing == ()


@pytest.mark.parametrize(
    "other",
    [
        standing(9, until=NOON + HOUR),
        standing(7, "another", until=NOON + HOUR),
        replace(standing(7, until=NOON + HOUR), probation=True),
        standing(7),
    ],
    ids=["of somebody else", "of another rule", "probation", "until somebody lifts it"],
)
def test_what_is_not_the_persons_penalty_with_an_end_ends_nothing(other: Verdict) -> None:
    weekly = per(per="week", for_each="person")
    evidence = replace(used({7: [hour(MIDNIGHT, 2 * GB)], 8: []}), registry={mac(7): "ann", mac(8): "ann"})
    assert {finding.until for finding in judge(replace(evidence, standing=(other,)), weekly)} == {None}


def test_a_device_that_was_switched_off_has_used_its_owners_quota_all_the_same() -> None:
    evidence = used({7: [hour(MIDNIGHT, 100 * MB)]})
    registered = replace(
        evidence,
        registry={mac(7): "ann", mac(8): "ann"},
        traffic={**evidence.traffic, who(8): (hour(MIDNIGHT, 2 * GB),)},
    )
    assert found(judge(registered, per(for_each="person"))) == [who(7)]


def test_a_person_on_the_vpn_and_on_the_wire_is_one_person() -> None:
    ann = replace(client(9, owner="ann"), identity=ClientId("user:ann"), macs=())
    evidence = replace(
        here(client(7), ann),
        registry={mac(7): "ann"},
        traffic={who(7): (hour(MIDNIGHT, 600 * MB),), ann.identity: (hour(MIDNIGHT, 600 * MB),)},
    )
    assert found(judge(evidence, per(for_each="person"))) == [who(7), ann.identity]


def test_who_is_registered_to_nobody_has_a_quota_of_ones_own() -> None:
    evidence = replace(used({7: [hour(MIDNIGHT, 2 * GB)]}), registry={mac(8): "ann"})
    assert found(judge(evidence, per(for_each="person"))) == [who(7)]


def test_only_the_rules_networks_are_judged() -> None:
    elsewhere = replace(DAILY, networks=(ip_network("10.99.0.0/16"),))
    assert judge(used({7: [hour(MIDNIGHT, 2 * GB)]}), elsewhere) == ()
    assert len(judge(used({7: [hour(MIDNIGHT, 2 * GB)]}), replace(DAILY, networks=(ip_network("10.10.0.0/24"),)))) == 1


def test_the_penalty_can_end_with_the_window() -> None:
    (finding,) = judge(used({7: [hour(MIDNIGHT, 2 * GB)]}), per(until_window_ends=True))
    assert finding.until == MIDNIGHT + DAY
    (verdict,) = decide([finding], (), (), Policy(rules=(DAILY,)), NOON).standing
    assert verdict.until == MIDNIGHT + DAY


def test_who_moved_nothing_that_is_known_is_not_judged() -> None:
    assert judge(here(client(7)), DAILY) == ()


def test_the_ledger_learns_across_which_moment_it_must_not_sum() -> None:
    weekly = replace(DAILY, name="weekly", params=Params(per="week"))
    assert cuts([DAILY, weekly], NOON) == (MIDNIGHT - 4 * DAY, MIDNIGHT)


def test_a_rule_that_knows_nothing_says_so() -> None:
    person = per(for_each="person")
    assert blind_spots(here(), [person]) == (
        ("r", "nobody's traffic is known"),
        ("r", "there is no registry that says whose a device is"),
    )
    assert blind_spots(replace(used({7: []}), registry={}), [person]) == ()


def test_a_backup_at_night_and_a_download_within_the_quota_are_nobodys_business() -> None:
    night = [hour(MIDNIGHT - timedelta(hours=3) + n * HOUR, 300 * MB) for n in range(5)]
    assert judge(used({7: night}), DAILY) == ()
