"""Hour by hour, and the breaks in between."""

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
