"""A day or a time that a person wrote -> the moment that is meant, by the clock of the site that it was written for.

Whoever writes `2026-12-01` for a conference in Los Angeles means the day there, whatever clock the machine has: many
machines have UTC.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

YEARS = range(1970, 9999)
"""Others are typos, or leave no room for an offset."""
_DAY = timedelta(days=1)


def parse_end(text: str) -> datetime:
    """A day counts to its end. Without an offset it is what a clock on a wall shows: see `by`. ValueError."""
    day = _parse_day(text)
    return _parse_time(text) if day is None else datetime.combine(day + _DAY, time.min)


def parse_start(text: str) -> datetime:
    """A day counts from its start; else as `parse_end`."""
    day = _parse_day(text)
    return _parse_time(text) if day is None else datetime.combine(day, time.min)


def by(zone: tzinfo, moment: datetime) -> datetime:
    """In UTC; the zone is asked only where nothing else was said."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


def _parse_day(text: str) -> date | None:
    """None if it is no day."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in YEARS else None


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.year not in YEARS:
        raise ValueError(f"{text!r} is not a time; write it like 2026-12-01 or 2026-12-01T18:00+01:00")
    return moment
