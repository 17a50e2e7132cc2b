"""Two clocks side by side: what was set is told from what went by, and a drift is no step."""

from datetime import timedelta

from builders import NOON

from switchguard.core.clocks import Clocks, stepped

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
BEFORE = Clocks(NOON, 100.0)


def test_time_that_goes_by_is_no_step() -> None:
    assert stepped(BEFORE, Clocks(NOON + HOUR, 100.0 + 3600.0)) is None


def test_a_clock_that_was_set_back_is_found_whatever_went_by_meanwhile() -> None:
    assert stepped(BEFORE, Clocks(NOON - HOUR + SECOND, 101.0)) == -HOUR


def test_a_clock_that_was_set_forward_is_found_too() -> None:
    assert stepped(BEFORE, Clocks(NOON + HOUR + SECOND, 101.0)) == HOUR


def test_a_clock_that_is_a_little_off_is_left_alone() -> None:
    assert stepped(BEFORE, Clocks(NOON + 3 * SECOND, 101.0)) is None
