"""Reading a table takes no more than its share of the time, and the first jump is looked at immediately."""

from datetime import timedelta

import pytest
from builders import NOON, network, usage
from hypothesis import given
from hypothesis import strategies as st

from switchguard.core.model import Gap, Reading
from switchguard.core.pace import LONGEST, Pace, after, costs, out_of_turn, stretched

MINUTE = timedelta(minutes=1)
TENTH = 0.1


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_a_cheap_table_is_read_on_its_period() -> None:
    assert stretched(Pace(), MINUTE, TENTH) == MINUTE
    assert stretched(after(Pace(), NOON, 0.3, TENTH), MINUTE, TENTH) == MINUTE


def test_a_dear_table_is_read_as_rarely_as_the_ceiling_says() -> None:
    assert stretched(after(Pace(), NOON, 12.0, TENTH), MINUTE, TENTH) == seconds(120)


def test_no_table_is_so_dear_that_nobody_looks_for_hours() -> None:
    pace = after(Pace(), NOON, 3600.0, TENTH)
    assert stretched(pace, MINUTE, TENTH) == LONGEST
    assert stretched(pace, 2 * LONGEST, TENTH) == 2 * LONGEST
    again = after(pace, NOON + LONGEST, 3600.0, TENTH)
    assert again.paid == NOON + 2 * LONGEST


def test_the_period_is_back_when_three_readings_in_a_row_were_cheap() -> None:
    pace = after(Pace(), NOON, 12.0, TENTH)
    for _ in range(2):
        pace = after(pace, NOON, 0.3, TENTH)
        assert stretched(pace, MINUTE, TENTH) == seconds(120)
    assert stretched(after(pace, NOON, 0.3, TENTH), MINUTE, TENTH) == MINUTE


def test_the_first_jump_is_looked_at_immediately() -> None:
    pace = after(Pace(), NOON, 3.0, TENTH)
    assert out_of_turn(pace, NOON + seconds(5), TENTH) == NOON + seconds(5)
    assert out_of_turn(Pace(), NOON, TENTH) == NOON


def test_the_second_jump_waits_until_the_first_is_paid() -> None:
    pace = after(after(Pace(), NOON, 3.0, TENTH), NOON + seconds(5), 3.0, TENTH)
    assert out_of_turn(pace, NOON + seconds(10), TENTH) == NOON + seconds(30)


def test_a_debt_is_forgotten_once_it_is_paid() -> None:
    pace = after(Pace(), NOON, 3.0, TENTH)
    later = after(pace, NOON + MINUTE, 3.0, TENTH)
    assert later.paid == NOON + MINUTE + seconds(30)


@given(st.lists(st.floats(0.01, 20.0), min_size=2, max_size=40), st.floats(0.01, 1.0))
def test_jumps_without_end_cost_no_more_than_the_ceiling(spent: list[float], ceiling: float) -> None:
    """But for the last reading and one on credit."""
    pace, now = Pace(), NOON
    for cost in spent:
        now = out_of_turn(pace, now, ceiling)
        pace = after(pace, now, cost, ceiling)
    assert sum(spent[:-2]) <= ceiling * (now - NOON).total_seconds() + 1e-3


@pytest.mark.parametrize("ceiling", [0.05, 1.0])
def test_readings_in_turn_never_exceed_the_ceiling(ceiling: float) -> None:
    pace = after(Pace(), NOON, 9.0, ceiling)
    assert ceiling * stretched(pace, seconds(1), ceiling).total_seconds() >= 9.0 - 1e-6


def test_only_what_was_read_now_is_a_cost() -> None:
    stale = Reading("gw2", "nat", NOON - MINUTE, 1, 7.0)
    seen = network([usage(1)], [], [])
    seen_now = [Reading("gw", "nat", NOON, 1, 2.5), Reading("gw", "arp", NOON, 1, 9.0), stale]
    snapshot = type(seen)(NOON, seen.devices, readings=tuple(seen_now))
    assert costs(snapshot, NOON) == {"gw": 2.5}


def test_an_answer_without_an_end_is_a_cost_and_silence_is_none() -> None:
    seen = network([], [], [])
    gaps = (Gap("gw", "nat", "no answer in time", 60.0), Gap("gw2", "nat", "no credentials"), Gap("gw", "arp", "", 9.0))
    assert costs(type(seen)(NOON, seen.devices, gaps=gaps), NOON) == {"gw": 60.0}
