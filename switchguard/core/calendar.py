"""Hours, days, weeks and months as people count them: by the wall clock of a time zone, from a chosen hour.

The zone comes as a value. A day that is 23 or 25 hours long because the clocks change is one day; a start that the
clocks leap over is that much later on that day; one that comes twice is the first of the two. Windows of one kind
follow each other without gap or overlap, so nothing is counted twice or forgotten.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

Per = Literal["hour", "day", "week", "month"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to `end`, both in UTC, so that differences are lengths of time."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a site's periods begin. An hour begins at the minute of `day_starts`."""

    zone: tzinfo = UTC
    day_starts: time = time(0)
    week_starts: Weekday = "monday"
    month_starts: int = 1
    """Day of the month, 1-28: every month has it."""

    def window(self, now: datetime, per: Per) -> Window:
        """The period of this kind that `now` is in."""
        then = now.astimezone(UTC)
        if per == "hour":
            return self._hour(then)
        first = self._first_day(self._day(then), per)
        return Window(self._start_of(first), self._start_of(_next(first, per)))

    def _hour(self, now: datetime) -> Window:
        """By the zone's distance from whole hours on New Year's Day, lest an hour be cut when the clocks change."""
        distance = datetime(now.astimezone(self.zone).year, 1, 1, tzinfo=self.zone).utcoffset() or timedelta(0)
        minute = timedelta(minutes=self.day_starts.minute)
        start = now - (now - datetime.min.replace(tzinfo=UTC) + distance - minute) % _HOUR
        return Window(start, start + _HOUR)

    def _day(self, now: datetime) -> date:
        """The day that has begun last."""
        today = now.astimezone(self.zone).date()
        return today if self._start_of(today) <= now else today - _DAY

    def _first_day(self, day: date, per: Per) -> date:
        if per == "week":
            return day - (day.weekday() - WEEKDAYS.index(self.week_starts)) % 7 * _DAY
        if per == "month":
            first = day.replace(day=self.month_starts)
            return first if first <= day else (first.replace(day=1) - _DAY).replace(day=self.month_starts)
        return day

    def _start_of(self, day: date) -> datetime:
        return datetime.combine(day, self.day_starts, self.zone).astimezone(UTC)


def next_at(now: datetime, at: time, zone: tzinfo) -> datetime:
    """When it is this time of the day next, in UTC; `now` itself does not count."""
    return Calendar(zone, at).window(now, "day").end


def hour_of_week(moment: datetime, zone: tzinfo) -> int:
    """0 is Monday's first hour, 167 Sunday's last, by the wall clock."""
    local = moment.astimezone(zone)
    return local.weekday() * 24 + local.hour


def _next(first: date, per: Per) -> date:
    if per == "month":
        return (first.replace(day=28) + 7 * _DAY).replace(day=first.day)
    return first + (7 * _DAY if per == "week" else _DAY)
