"""Windows by the wall clock: days of 23 and 25 hours, ends of months, weeks, and odd time zones."""

from datetime import UTC, datetime, time, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchguard.core.calendar import Calendar, Per, Window, hour_of_week, next_at

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = (
    UTC,
    BERLIN,
    KOLKATA,
    LORD_HOWE,
    ZoneInfo("America/New_York"),
    ZoneInfo("Pacific/Apia"),
    timezone(-timedelta(hours=9)),
)
HOUR = timedelta(hours=1)


def window(start: str, end: str) -> Window:
    return Window(datetime.fromisoformat(start), datetime.fromisoformat(end))


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_a_day_begins_at_the_sites_midnight() -> None:
    assert Calendar(BERLIN).window(berlin("2026-07-01T00:30"), "day") == window(
        "2026-06-30T22:00+00:00", "2026-07-01T22:00+00:00"
    )


def test_a_day_may_begin_at_any_hour() -> None:
    """Not when somebody started the service (P9)."""
    calendar = Calendar(BERLIN, time(6))
    early, late = berlin("2026-07-01T05:59"), berlin("2026-07-01T06:00")
    assert calendar.window(early, "day").end == late == calendar.window(late, "day").start


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_the_day_on_which_the_clocks_change_is_one_day(day: str, hours: int) -> None:
    found = Calendar(BERLIN).window(berlin(f"{day}T12:00"), "day")
    assert found.end - found.start == hours * HOUR
    assert found.start == berlin(f"{day}T00:00")


def test_a_start_that_the_clocks_leap_over_is_that_much_later() -> None:
    calendar = Calendar(BERLIN, time(2, 30))
    assert calendar.window(berlin("2026-03-29T12:00"), "day").start == berlin("2026-03-29T03:30")


def test_a_start_that_comes_twice_is_the_first_of_the_two() -> None:
    calendar = Calendar(BERLIN, time(2, 30))
    first = berlin("2026-10-25T02:30")
    again = first.replace(fold=1)
    assert calendar.window(first, "day").start == calendar.window(again, "day").start == first.astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ("2026-01-31T12:00", "2026-01-01T00:00", "2026-02-01T00:00"),
        ("2026-02-28T23:59", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_a_month_ends_with_its_last_day(now: str, start: str, end: str) -> None:
    assert Calendar(BERLIN).window(berlin(now), "month") == Window(
        berlin(start).astimezone(UTC), berlin(end).astimezone(UTC)
    )


def test_a_month_may_begin_on_the_day_of_the_bill() -> None:
    calendar = Calendar(BERLIN, month_starts=15)
    assert calendar.window(berlin("2026-03-14T12:00"), "month").start == berlin("2026-02-15T00:00")
    assert calendar.window(berlin("2026-01-03T12:00"), "month").start == berlin("2025-12-15T00:00")
    assert calendar.window(berlin("2026-03-15T00:00"), "month").end == berlin("2026-04-15T00:00")


def test_sunday_belongs_to_the_week_that_ends() -> None:
    """A week that is counted from Monday and released on Saturday catches the same people twice."""
    sunday, monday = berlin("2026-11-22T23:59"), berlin("2026-11-23T00:00")
    assert Calendar(BERLIN).window(sunday, "week") == Window(
        berlin("2026-11-16T00:00").astimezone(UTC), monday.astimezone(UTC)
    )
    assert Calendar(BERLIN, week_starts="sunday").window(sunday, "week").start == berlin("2026-11-22T00:00")


def test_an_hour_begins_when_the_wall_clock_says_so() -> None:
    now = datetime(2026, 5, 1, 12, 10, tzinfo=UTC)
    assert Calendar(UTC).window(now, "hour").start == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert Calendar(KOLKATA).window(now, "hour").start == datetime(2026, 5, 1, 11, 30, tzinfo=UTC)
    assert Calendar(UTC, time(0, 15)).window(now, "hour").start == datetime(2026, 5, 1, 11, 15, tzinfo=UTC)


MOMENTS = st.datetimes(datetime(2008, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
PERIODS: tuple[Per, ...] = ("hour", "day", "week", "month")
TIMES = st.times().map(lambda it: it.replace(second=0, microsecond=0))


@given(MOMENTS, st.sampled_from(PERIODS), st.sampled_from(ZONES), TIMES, st.integers(1, 28))
def test_windows_follow_each_other_without_gap_or_overlap(
    now: datetime, per: Per, zone: ZoneInfo, starts: time, first: int
) -> None:
    calendar = Calendar(zone, starts, month_starts=first)
    here = calendar.window(now, per)
    assert here.start <= now < here.end
    assert calendar.window(here.start, per) == here
    assert calendar.window(here.end - timedelta(microseconds=1), per) == here
    assert calendar.window(here.end, per).start == here.end


def test_the_day_that_samoa_left_out_is_no_day() -> None:
    """On the 29th of December 2011 it became the 31st."""
    calendar = Calendar(ZoneInfo("Pacific/Apia"))
    days = [calendar.window(datetime(2011, 12, 29, 12, tzinfo=UTC) + n * 24 * HOUR, "day") for n in range(4)]
    assert all(earlier.end == later.start for earlier, later in pairwise(days))
    assert {day.end - day.start for day in days} == {24 * HOUR}


def test_the_next_midnight_is_never_now() -> None:
    midnight = berlin("2026-03-29T00:00")
    assert next_at(midnight, time(0), BERLIN) - midnight.astimezone(UTC) == 23 * HOUR
    assert next_at(berlin("2026-11-20T23:59"), time(0), BERLIN) == berlin("2026-11-21T00:00")


def test_the_hour_of_the_week_is_that_of_the_wall_clock() -> None:
    assert hour_of_week(berlin("2026-11-16T00:30"), BERLIN) == 0
    assert hour_of_week(berlin("2026-11-22T23:30"), BERLIN) == 167
    assert hour_of_week(berlin("2026-07-06T09:00"), BERLIN) == hour_of_week(berlin("2026-12-07T09:00"), BERLIN)
