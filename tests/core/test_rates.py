"""Counters to rates, or the reason why not."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from builders import NOON, port
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.model import Interface, PortCounters
from switchguard.core.rates import NoRate, Rate, rate, rates, restarted, uptimes

FIRST = PortCounters("sw1", "Gi0/7", NOON, 1000, 2000, uptime_s=5000.0, discontinuity_s=0.0)


def later(octets_in: int, octets_out: int, seconds: float = 60) -> PortCounters:
    return replace(
        FIRST,
        at=NOON + timedelta(seconds=seconds),
        in_octets=octets_in,
        out_octets=octets_out,
        uptime_s=5000 + seconds,
    )


def no_rate(why: str) -> NoRate:
    return NoRate("sw1", "Gi0/7", why)


def test_octets_per_interval_are_bits_per_second() -> None:
    assert rate(FIRST, later(1000 + 7500, 2000 + 60)) == Rate("sw1", "Gi0/7", 1000.0, 8.0, 60.0)


def test_an_idle_port_has_a_rate_of_zero() -> None:
    assert rate(FIRST, later(1000, 2000)) == Rate("sw1", "Gi0/7", 0.0, 0.0, 60.0)


@pytest.mark.parametrize("bits", [32, 64])
def test_one_wrap_is_traffic(bits: Literal[32, 64]) -> None:
    before = replace(FIRST, bits=bits, in_octets=2**bits - 100)
    assert rate(before, replace(later(50, 2000), bits=bits)) == Rate("sw1", "Gi0/7", 20.0, 0.0, 60.0)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("speed", [None, 100_000_000])
def test_a_reset_is_no_traffic(bits: Literal[32, 64], speed: int | None) -> None:
    before = replace(FIRST, bits=bits, in_octets=10_000_000)
    assert rate(before, replace(later(500, 2000), bits=bits), speed) == no_rate("in octets: reset")


def test_outbound_counters_are_watched_as_well() -> None:
    assert rate(replace(FIRST, out_octets=10_000_000), later(1000, 5)) == no_rate("out octets: reset")


def test_more_than_the_port_can_carry_is_no_traffic() -> None:
    assert rate(FIRST, later(10**9, 2000), 100_000_000) == no_rate("in octets: more than the port can carry")


def test_a_32_bit_counter_on_a_fast_port_may_wrap_unseen() -> None:
    before, now = replace(FIRST, bits=32), replace(later(1500, 2500), bits=32)
    why = "in octets: a 32-bit counter may wrap more than once in 60 s at this speed"
    assert rate(before, now, 1_000_000_000) == no_rate(why)


def test_a_restart_gives_no_rate() -> None:
    assert rate(FIRST, replace(later(9000, 9000), uptime_s=20.0)) == no_rate("the device restarted")


def test_an_uptime_that_wraps_after_497_days_is_no_restart() -> None:
    before = replace(FIRST, uptime_s=2**32 / 100 - 10)
    assert isinstance(rate(before, replace(later(8500, 2000), uptime_s=50.0)), Rate)


def test_a_discontinuity_gives_no_rate() -> None:
    why = "the device says that the counters were interrupted"
    assert rate(FIRST, replace(later(9000, 9000), discontinuity_s=5010.0)) == no_rate(why)


def test_an_agent_that_tells_neither_uptime_nor_discontinuity_has_rates() -> None:
    before = replace(FIRST, uptime_s=None, discontinuity_s=None)
    assert isinstance(rate(before, replace(later(8500, 2000), uptime_s=None, discontinuity_s=None)), Rate)
    assert isinstance(rate(before, later(8500, 2000)), Rate)


def test_a_poll_gap_gives_no_rate() -> None:
    assert rate(FIRST, later(8500, 2000, 901)) == no_rate("901 s between two readings, more than 900 s")
    assert isinstance(rate(FIRST, later(8500, 2000, 901), longest_gap_s=1000), Rate)


@pytest.mark.parametrize("seconds", [0, -5])
def test_readings_must_be_in_order(seconds: float) -> None:
    assert rate(FIRST, later(8500, 2000, seconds)) == no_rate("the two readings are not in order of time")


def test_a_change_of_counter_width_gives_no_rate() -> None:
    now = replace(later(8500, 2000), bits=32)
    assert rate(FIRST, now) == no_rate("64-bit counters before, 32-bit counters now")


def test_two_ports_have_no_rate_together() -> None:
    with pytest.raises(ValueError, match="sw1 Gi0/7 and sw1 Gi0/8 are two ports"):
        rate(FIRST, replace(later(0, 0), port="Gi0/8"))


def test_all_ports_at_once() -> None:
    new = replace(later(0, 0), port="Gi0/8")
    fast = replace(later(10**9, 2000), port="Gi0/6")
    found = rates([FIRST, replace(FIRST, port="Gi0/6")], [new, later(8500, 2000), fast], [slow("Gi0/6")])
    assert found == (
        NoRate("sw1", "Gi0/6", "in octets: more than the port can carry"),
        Rate("sw1", "Gi0/7", 1000.0, 0.0, 60.0),
        NoRate("sw1", "Gi0/8", "first reading"),
    )


def slow(name: str) -> Interface:
    return replace(port("sw1", name), speed_bps=10_000_000)


def test_uptimes_are_the_shortest_of_each_device() -> None:
    rows = [FIRST, replace(FIRST, port="b", uptime_s=40.0), replace(FIRST, device="sw2", uptime_s=None)]
    assert uptimes(rows) == {"sw1": 40.0}


@pytest.mark.parametrize(("before", "now"), [(None, 5.0), (5.0, None), (5.0, 65.0), (5.0, 5.0)])
def test_uptime_that_does_not_fall_is_no_restart(before: float | None, now: float | None) -> None:
    assert not restarted(before, now, 60)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 10**12), st.integers(1, 900))
def test_a_64_bit_counter_gives_its_increment_wherever_it_stands(start: int, step: int, seconds: int) -> None:
    before = replace(FIRST, in_octets=start)
    found = rate(before, later((start + step) % 2**64, 2000, seconds))
    assert found == Rate("sw1", "Gi0/7", step * 8 / seconds, 0.0, seconds)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.one_of(st.none(), st.integers(1, 10**9)))
def test_a_rate_is_never_negative_nor_above_what_the_port_carries(one: int, two: int, speed: int | None) -> None:
    found = rate(replace(FIRST, in_octets=one, bits=32), replace(later(two, 2000), bits=32), speed)
    if isinstance(found, Rate):
        assert 0 <= found.in_bps <= (speed or 2**32) * 1.25
