"""Safety rule 4: after a counter reset, a poll gap or a shrunken table, judging pauses."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOON, arp, network, reading, seen_on, usage

from switchguard.core.calm import patience_s, pause_reason
from switchguard.core.model import Gap, PortCounters, Reading, Snapshot

CROWD = range(1, 101)
BEFORE = network([usage(n) for n in CROWD], [arp(n) for n in CROWD], [row for n in CROWD for row in seen_on("sw1", n)])


def after(snapshot: Snapshot, seconds: float = 60) -> Snapshot:
    """The same network a little later, every table read anew."""
    passed = timedelta(seconds=seconds)
    readings = tuple(replace(row, at=row.at + passed) for row in snapshot.readings)
    return replace(snapshot, at=snapshot.at + passed, readings=readings)


def counters(uptime_s: float | None) -> tuple[PortCounters, ...]:
    return (PortCounters("sw1", "Gi0/1", NOON, 0, 0, uptime_s=uptime_s),)


def test_an_ordinary_poll_is_judged() -> None:
    assert pause_reason(BEFORE, after(BEFORE)) is None


def test_judging_pauses_after_a_poll_gap() -> None:
    assert pause_reason(BEFORE, after(BEFORE, 3600)) == "nothing was read for 3600 s"
    assert pause_reason(BEFORE, after(BEFORE, 3600), longest_gap_s=7200) is None


def test_judging_pauses_where_the_clock_was_set_back() -> None:
    assert pause_reason(BEFORE, after(BEFORE, -3600)) == "the clock was set back by 3600 s"
    assert pause_reason(BEFORE, after(BEFORE, -1)) is None


def test_a_table_that_is_read_rarely_by_wish_is_judged() -> None:
    rarely = timedelta(minutes=30)
    assert pause_reason(BEFORE, after(BEFORE, 1860), patience_s(rarely)) is None
    assert pause_reason(BEFORE, after(BEFORE, 3 * 1800), patience_s(rarely)) == "nothing was read for 5400 s"


def test_a_table_that_is_read_often_may_miss_a_quarter_of_an_hour() -> None:
    assert patience_s(timedelta(seconds=60)) == 900


def test_judging_pauses_after_a_counter_reset() -> None:
    before, now = replace(BEFORE, counters=counters(5000.0)), replace(BEFORE, counters=counters(12.0))
    assert pause_reason(before, after(now)) == "sw1 restarted"


@pytest.mark.parametrize("uptime", [5060.0, 5000.0, None])
def test_a_device_that_keeps_running_is_judged(uptime: float | None) -> None:
    before, now = replace(BEFORE, counters=counters(5000.0)), replace(BEFORE, counters=counters(uptime))
    assert pause_reason(before, after(now)) is None


def test_judging_pauses_after_a_shrunken_table() -> None:
    now = after(replace(BEFORE, nat=BEFORE.nat[:40]))
    assert pause_reason(BEFORE, now) == "gw's nat table shrank from 100 to 40 rows"
    assert pause_reason(BEFORE, after(replace(BEFORE, neighbors=()))) == "gw's arp table shrank from 100 to 0 rows"
    assert pause_reason(BEFORE, after(replace(BEFORE, fdb=()))) == "core's fdb table shrank from 103 to 0 rows"


def test_a_swarm_that_was_cut_is_no_shrunken_table() -> None:
    """The number of sessions collapses; the number of clients does not."""
    busy = replace(BEFORE, nat=(usage(1, 60_000), *BEFORE.nat[1:]))
    assert pause_reason(busy, after(replace(BEFORE, nat=BEFORE.nat[1:]))) is None


def test_a_small_table_may_halve() -> None:
    few = replace(BEFORE, nat=BEFORE.nat[:49])
    assert pause_reason(few, after(replace(BEFORE, nat=BEFORE.nat[:5]))) is None


def test_a_missing_table_is_a_gap_and_not_a_shrunken_one() -> None:
    gap = Gap("gw", "nat", "no answer in time")
    now = after(replace(BEFORE, nat=(), gaps=(gap,)))
    assert pause_reason(BEFORE, now) is None
    assert pause_reason(now, after(BEFORE, 120)) is None


def test_a_device_that_left_the_inventory_is_no_shrunken_table() -> None:
    devices = tuple(device for device in BEFORE.devices if device.name != "sw2")
    rows = tuple(row for row in BEFORE.fdb if row.device != "sw2")
    assert pause_reason(BEFORE, after(replace(BEFORE, devices=devices, fdb=rows))) is None


def test_the_same_reading_is_not_judged_twice() -> None:
    again = replace(BEFORE, at=NOON + timedelta(seconds=10))
    assert pause_reason(BEFORE, again) == "no translation table was read since the last judgement"


def test_one_of_two_gateways_read_anew_is_judged() -> None:
    second = Reading("gw2", "nat", NOON, 100, 0.1)
    before = replace(BEFORE, readings=(*BEFORE.readings, second))
    now = replace(before, readings=(*BEFORE.readings, replace(second, at=NOON + timedelta(seconds=60))))
    assert pause_reason(before, now) is None


def test_a_network_without_translation_tables_is_judged_by_the_others() -> None:
    bare = replace(BEFORE, readings=(reading("gw", "arp"),))
    assert pause_reason(bare, bare) is None
