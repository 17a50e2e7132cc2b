"""Translation tables that are nearly full: told before, and punished only where the site says whom."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOON, swarm, usage
from evidence_builders import MINUTE, client, found, here, rule, who

from switchguard.core.evidence import Evidence, TableHistory, TableSize
from switchguard.core.model import Client
from switchguard.core.penalties import Notify
from switchguard.core.rules import blind_spots
from switchguard.core.rules.nat_pressure import PORTS, Params, judge, pressure

RULE = rule("nat_pressure", 0.8)
BLAMING = replace(RULE, params=Params(blame_above=0.5))


def history(*entries: int, limit: int | None = 65_536, every: timedelta = MINUTE) -> TableHistory:
    """Sizes, the last of them now."""
    last = len(entries) - 1
    return TableHistory("gw", tuple(TableSize(NOON - (last - n) * every, it) for n, it in enumerate(entries)), limit)


def with_tables(*tables: TableHistory, clients: Sequence[Client] = ()) -> Evidence:
    return replace(here(*clients), tables=tables)


def test_a_table_that_is_nearly_full_is_told_and_nobody_is_punished() -> None:
    (alarm,) = judge(with_tables(history(52_430), clients=[client(7, swarm(7))]), RULE)
    assert (alarm.client, alarm.penalty, alarm.unit) == ("gateway:gw", Notify(), "share")
    assert alarm.until == NOON + timedelta(hours=1)
    assert alarm.because == "52,430 of 65,536 translations are in use (the table's own limit)"
    assert judge(with_tables(history(52_000)), RULE) == ()


def test_a_table_that_will_soon_be_full_is_told_before() -> None:
    """40 % full, and 4,000 more every minute."""
    (alarm,) = judge(with_tables(history(10_000, 14_000, 18_000, 22_000, 26_000)), RULE)
    assert alarm.because == (
        "26,000 of 65,536 translations are in use (the table's own limit), 4,000 more every minute: full in 9 min 53 s"
    )
    assert alarm.value < alarm.threshold


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((20_000, 20_100, 20_050, 20_200, 20_100), id="ordinary coming and going"),
        pytest.param((20_000, 20_000, 20_000, 20_000, 45_000), id="one jump"),
        pytest.param((50_000, 40_000, 30_000, 20_000, 10_000), id="a flush"),
        pytest.param((10, 20, 40, 80, 160), id="the first guests of the morning"),
        pytest.param((10_000, 25_000, 50_000), id="too few sizes for a trend"),
    ],
)
def test_what_is_no_trend_is_no_alarm(entries: tuple[int, ...]) -> None:
    assert judge(with_tables(history(*entries)), RULE) == ()


def test_the_trend_is_that_of_the_last_minutes() -> None:
    table = history(0, 60_000, *(20_000 for _ in range(11)))
    found_ = pressure(table, Params())
    assert found_ is not None
    assert (found_.per_minute, found_.full_in) == (0, None)


def test_two_sizes_of_the_same_moment_make_no_slope() -> None:
    found_ = pressure(history(1, 2, 3, 4, 5, every=timedelta(0)), Params())
    assert found_ is not None
    assert found_.per_minute is None


@pytest.mark.parametrize(
    ("addresses", "limit", "share", "because"),
    [
        (1, 262_144, 120_000 / PORTS, "120,000 of 129,024 translations are in use (the ports of 1 public address)"),
        (1, None, 120_000 / PORTS, "120,000 of 129,024 translations are in use (the ports of 1 public address)"),
        (1, 125_000, 0.96, "120,000 of 125,000 translations are in use (the table's own limit)"),
    ],
)
def test_the_ceiling_is_the_lower_one_of_the_table_and_the_ports_of_the_public_addresses(
    addresses: int, limit: int | None, share: float, because: str
) -> None:
    table = replace(history(120_000, limit=limit), public_addresses=addresses)
    (alarm,) = judge(with_tables(table), RULE)
    assert (alarm.client, alarm.value, alarm.because) == ("gateway:gw", share, because)
    assert blind_spots(with_tables(table), [RULE]) == ()


@pytest.mark.parametrize("addresses", [None, 2])
def test_a_table_with_room_and_enough_addresses_is_no_alarm(addresses: int | None) -> None:
    assert judge(with_tables(replace(history(120_000, limit=262_144), public_addresses=addresses)), RULE) == ()


def test_a_site_may_say_how_many_ports_an_address_has() -> None:
    table = replace(history(50_000, limit=None), public_addresses=2)
    few = replace(RULE, params=Params(ports_per_address=30_000))
    (alarm,) = judge(with_tables(table), few)
    assert alarm.because == "50,000 of 60,000 translations are in use (the ports of 2 public addresses)"


def test_a_table_without_a_known_limit_is_not_judged_and_that_is_said() -> None:
    table = history(60_000, limit=None)
    assert judge(with_tables(table), RULE) == ()
    assert blind_spots(with_tables(table), [RULE]) == (
        ("r", "gw tells no limit of its translation table, and the site not how many `public_addresses` it has"),
    )
    assert blind_spots(here(), [RULE]) == (("r", "no gateway tells the size of its translation table"),)
    assert blind_spots(with_tables(history(1)), [RULE]) == ()


def test_a_table_without_a_size_is_not_judged() -> None:
    assert judge(with_tables(history()), RULE) == ()


def test_only_under_pressure_and_only_swarms_are_punished() -> None:
    people = [client(7, swarm(7)), client(8, usage(8, 60, 35)), client(9, swarm(9, 200, 190))]
    assert judge(with_tables(history(30_000), clients=people), BLAMING) == ()
    alarm, *blamed = judge(with_tables(history(60_000), clients=people), BLAMING)
    assert (alarm.client, alarm.penalty) == ("gateway:gw", Notify())
    assert found(blamed) == [who(7), who(9)]
    assert {it.penalty for it in blamed} == {None}
    assert blamed[0].threshold == 0.5
    assert blamed[0].because.startswith("the table of gw is nearly full, and 1,490 of 1,500 sessions")


def test_the_clients_of_another_gateway_have_no_part_in_it() -> None:
    elsewhere = client(7, replace(swarm(7), device="gw2"))
    assert found(judge(with_tables(history(60_000), clients=[elsewhere]), BLAMING)) == ["gateway:gw"]


def test_an_alarm_counts_its_polls_like_everything_else() -> None:
    evidence = replace(with_tables(history(60_000)), streaks={("r", "gateway:gw"): 2})
    assert [it.streak for it in judge(evidence, RULE)] == [3]
