"""Hour by hour, and the breaks in between."""

from dataclasses import replace
from datetime import timedelta

from builders import NOON
from evidence_builders import HOUR, MINUTE, at, every

from switchguard.core.evidence import Connections
from switchguard.core.rhythm import Rhythm, busiest, rhythm, rhythm_sentence, united


def test_a_rhythm_has_its_longest_break() -> None:
    assert rhythm(at([10, 9, 1]), NOON) == Rhythm(3, NOON - 10 * HOUR, NOON - HOUR, 8 * HOUR)


def test_who_stopped_is_on_a_break() -> None:
    found = rhythm(at([10, 9]), NOON)
    assert found is not None
    assert (found.longest_break, found.span) == (9 * HOUR, HOUR)


def test_a_clock_that_is_ahead_makes_no_break_before_now() -> None:
    found = rhythm((Connections(NOON + MINUTE, 1),), NOON)
    assert found is not None
    assert found.longest_break == timedelta(0)


def test_without_connections_there_is_no_rhythm() -> None:
    assert rhythm((), NOON) is None
    assert rhythm((Connections(NOON, 0),), NOON) is None
    assert rhythm_sentence(None) == "no connections"


def test_the_sentence_tells_how_many_how_long_and_the_break() -> None:
    assert rhythm_sentence(rhythm(at([10, 9, 1]), NOON)) == "3 connections in 9 h, longest break 8 h"
    assert rhythm_sentence(rhythm(at([1]), NOON)) == "1 connection in 0 s, longest break 1 h"


def test_several_sources_add_up_span_by_span() -> None:
    assert united([at([2, 1]), at([1, 0], count=3)]) == (
        Connections(NOON - 2 * HOUR, 1),
        Connections(NOON - HOUR, 4),
        Connections(NOON, 3),
    )
    assert united([]) == ()


def test_the_busiest_stretch_is_found_wherever_it_is() -> None:
    connections = (*every(MINUTE, HOUR, 1, NOON - 5 * HOUR), *every(MINUTE, 4 * MINUTE, 50))
    assert busiest(connections, 3 * MINUTE) == 150
    assert busiest(connections, HOUR) == 250
    assert busiest((), HOUR) == 0


# --- what is known by the hour only ----------------------------------------------------------------------------------


def test_an_hours_sum_is_no_burst() -> None:
    """Six a minute, steadily: 60 in any ten minutes, whether it is known by the minute or by the hour."""
    by_the_minute = every(MINUTE, 5 * HOUR - MINUTE, 6)
    by_the_hour = tuple(Connections(NOON - n * HOUR, 360, HOUR) for n in range(5, 0, -1))
    assert busiest(by_the_minute, 10 * MINUTE) == busiest(by_the_hour, 10 * MINUTE) == 60
    assert busiest(by_the_hour, 2 * HOUR) == busiest(by_the_minute, 2 * HOUR) == 720


def test_an_hour_in_which_some_ten_minutes_must_have_been_too_busy_tells_so() -> None:
    assert busiest((Connections(NOON - HOUR, 6001, HOUR),), 10 * MINUTE) == 1001


def test_an_hours_sum_hides_no_burst_beside_it() -> None:
    mixed = (Connections(NOON - 3 * HOUR, 360, HOUR), Connections(NOON - MINUTE, 250), Connections(NOON, 100))
    assert busiest(mixed, 10 * MINUTE) == 350


def test_polls_that_are_not_quite_on_time_add_up_as_ever() -> None:
    late = tuple(Connections(NOON + n * timedelta(seconds=60.4), 10, timedelta(seconds=60.4)) for n in range(20))
    assert busiest(late, 10 * MINUTE) == 100


def test_a_break_is_as_long_as_it_may_have_been() -> None:
    """In bed from 23:01 to 06:31, of which the hours' sums say only that there was something at 23 and at 6."""
    night = (Connections(NOON - 13 * HOUR, 5, HOUR), Connections(NOON - 6 * HOUR, 5, HOUR))
    found = rhythm(night, NOON - 5 * HOUR)
    assert found is not None
    assert found.longest_break == 8 * HOUR - MINUTE
    assert found.span == 6 * HOUR + MINUTE


def test_spans_of_different_lengths_stay_apart_when_sources_are_united() -> None:
    minute, hour = Connections(NOON, 1), Connections(NOON, 9, HOUR)
    assert united([(minute,), (hour,), (minute,)]) == (replace(minute, count=2), hour)
