from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchguard.edge.units import (
    DURATIONS,
    parse_duration,
    parse_factor,
    parse_rate,
    parse_share,
    parse_size,
    spell_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("5m", 300), ("2h", 7200), ("2d", 172_800), ("1w", 604_800), ("1.5h", 5400)]
)
def test_a_duration_is_an_amount_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


def test_rates_and_sizes_are_decimal_unless_they_say_otherwise() -> None:
    assert parse_rate("64kbps") == 64_000
    assert parse_rate("1.5 Mbps") == 1_500_000
    assert parse_size("1GB") == 10**9
    assert parse_size("1GiB") == 2**30


def test_shares_are_percentages_and_factors_have_an_x() -> None:
    assert parse_share("12%") == 0.12
    assert parse_share("0%") == 0.0
    assert parse_factor("2x") == 2.0


@pytest.mark.parametrize("text", ["IN50GB1M", "12", "-1d", "1d2h", "1 d ", "", "d", "1e3s", "١d", "0s", "2D"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|no time"):
        parse_duration(text)


def test_a_bare_number_is_told_that_its_unit_is_missing() -> None:
    with pytest.raises(ValueError, match=r"'12' has no unit; write a duration like 10s, 5m, 2h, 2d"):
        parse_duration("12")


@pytest.mark.parametrize("text", ["64", "64kBps", "64KBPS", "-64kbps", "0kbps", "0.0001bps", "IN50GB1M"])
def test_a_rate_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"64|rate|0"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["64.5kbps", "999bps", "1.0001Mbps"])
def test_a_rate_that_devices_would_round_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number of kilobits"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["IN50GB1M", "1G", "1gb", "12", "0GB"])
def test_a_size_that_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@pytest.mark.parametrize("text", ["101%", "12", "0.12", "-5%", "%"])
def test_a_share_goes_from_nothing_to_all_of_it(text: str) -> None:
    with pytest.raises(ValueError, match="share"):
        parse_share(text)


def test_repeating_never_pays() -> None:
    with pytest.raises(ValueError, match="1x or more"):
        parse_factor("0.5x")


def test_a_duration_that_leads_out_of_the_calendar_is_refused() -> None:
    datetime(2026, 11, 20, tzinfo=UTC) - 16 * parse_duration("36525d")
    with pytest.raises(ValueError, match="'36526d' is more than a hundred years"):
        parse_duration("36526d")
    with pytest.raises(ValueError, match="more than a hundred years"):
        parse_duration("999999999999w")


@given(st.integers(1, 5_000), st.sampled_from(sorted(DURATIONS)))
def test_spelling_a_duration_and_reading_it_again_gives_the_same(amount: int, unit: str) -> None:
    duration = parse_duration(f"{amount}{unit}")
    assert parse_duration(spell_duration(duration)) == duration


def test_a_fraction_of_a_second_is_spelled_as_one() -> None:
    assert spell_duration(timedelta(seconds=0.5)) == "0.5s"
