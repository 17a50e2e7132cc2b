"""Text with a unit -> a number: `64kbps`, `1GB`, `2d`, `12%`, `2x`. A bare number, a sign or a second unit is refused.

Every function raises ValueError with the sentence for the operator. Rates and sizes are decimal (1 kbps = 1,000 bit/s,
1 GB = 10^9 octets), as link capacities and quotas are sold; KiB, MiB and GiB are there for whoever means 1,024.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

DURATIONS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
RATES: Mapping[str, int] = {"bps": 1, "kbps": 10**3, "Mbps": 10**6, "Gbps": 10**9}
SIZES: Mapping[str, int] = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip

LONGEST = timedelta(days=36_525)
"""Times are counted from now in both directions, sixteenfold for what is to be forgotten: calendars begin and end."""

_AMOUNT = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,6})?) ?(?P<unit>%|[A-Za-z]+)", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """`10s`, `5m`, `2h`, `2d`, `1w`; more than nothing, and no more than LONGEST."""
    seconds = float(_parse(text, DURATIONS, "a duration", "10s, 5m, 2h, 2d"))
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is more than a hundred years")
    duration = timedelta(seconds=seconds)
    if not duration:
        raise ValueError(f"{text!r} is no time at all")
    return duration


def parse_rate(text: str) -> int:
    """Bits per second; more than nothing, and in whole kilobits: finer ones, many devices would round."""
    rate = _whole(_parse(text, RATES, "a rate", "64kbps, 20Mbps, 1Gbps"), text)
    if rate % 1000:
        raise ValueError(f"{text!r} is not a whole number of kilobits per second, which is what devices are told")
    return rate


def parse_size(text: str) -> int:
    """Octets; more than nothing."""
    return _whole(_parse(text, SIZES, "an amount of data", "500MB, 1GB, 1GiB"), text)


def parse_share(text: str) -> float:
    """`12%` is 0.12; from 0% to 100%."""
    share = _parse(text, {"%": 1}, "a share", "5%, 12.5%")
    if share > 100:
        raise ValueError(f"{text!r} is more than all of it; a share goes from 0% to 100%")
    return float(share / 100)


def parse_factor(text: str) -> float:
    """`2x`, `1.5x`; at least 1x."""
    factor = float(_parse(text, {"x": 1}, "a factor", "1.5x, 2x"))
    if factor < 1:
        raise ValueError(f"{text!r} would make it less each time; a factor is 1x or more")
    return factor


def spell_duration(duration: timedelta) -> str:
    """The other way: the largest unit that divides it, so that parsing gives the same value."""
    seconds = duration.total_seconds()
    for unit, length in reversed(tuple(DURATIONS.items())):
        if seconds % length == 0:
            return f"{int(seconds / length)}{unit}"
    return f"{seconds:g}s"


def spell_rate(bits_per_second: int) -> str:
    """`64kbps`: the largest unit that divides it."""
    unit, size = max((it for it in RATES.items() if bits_per_second % it[1] == 0), key=lambda it: it[1])
    return f"{bits_per_second // size}{unit}"


def _parse(text: str, units: Mapping[str, int], what: str, like: str) -> Decimal:
    match = _AMOUNT.fullmatch(text)
    if match is None or match["unit"] not in units:
        why = "has no unit" if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", text) else f"is not {what}"
        raise ValueError(f"{text!r} {why}; write {what} like {like} (units: {', '.join(units)})")
    return Decimal(match["number"]) * units[match["unit"]]


def _whole(amount: Decimal, text: str) -> int:
    if amount != amount.to_integral_value():
        raise ValueError(f"{text!r} is not a whole number of the smallest unit")
    if not amount:
        raise ValueError(f"{text!r} is nothing")
    return int(amount)
