"""From reading to reading: who is connected, since when, and until when."""

from user_builders import SOURCE, at, lent, session

from switchguard.core.model import UserSession
from switchguard.core.user_sessions import ALWAYS, Told, carry_on


def told(user: str, *numbers: int, since: float | None = None) -> Told:
    return Told(user, tuple(lent(it) for it in numbers), None if since is None else at(since))


def known(user: str, *numbers: int, since: float | None = None, until: float | None = None, seen: float) -> UserSession:
    made = session(user, *numbers, since=since or 0, until=until, seen=seen)
    return made if since is not None else UserSession(SOURCE, user, made.addresses, ALWAYS, made.until, None, at(seen))


def test_a_session_that_is_told_again_goes_on() -> None:
    before = [known("alice", 7, since=1, seen=10)]
    assert carry_on(before, [told("alice", 7, since=1)], SOURCE, at(11), at(10)) == (
        known("alice", 7, since=1, seen=11),
    )


def test_who_is_not_mentioned_any_more_left_when_seen_last() -> None:
    """Until then it is certain; what came after may have been anybody's."""
    assert carry_on([known("alice", 7, since=1, seen=10)], [], SOURCE, at(11), at(10)) == (
        known("alice", 7, since=1, until=10, seen=10),
    )


def test_from_half_a_list_nobody_has_left() -> None:
    before = [known("alice", 7, since=1, seen=10), known("bob", 8, since=2, seen=10)]
    half = [told("bob", 8, since=2)]
    assert carry_on(before, half, SOURCE, at(11), at(10), complete=False) == (
        before[0],
        known("bob", 8, since=2, seen=11),
    )


def test_from_half_a_list_who_lost_the_address_to_another_has_left() -> None:
    found = carry_on(
        [known("alice", 7, since=1, seen=10)], [told("bob", 7, since=10.5)], SOURCE, at(11), at(10), complete=False
    )
    assert [(it.user, it.until) for it in found] == [("alice", at(10)), ("bob", None)]


def test_ended_sessions_are_remembered_for_a_day() -> None:
    before = [known("alice", 7, since=1, until=9, seen=9)]
    assert carry_on(before, [], SOURCE, at(24 * 60 + 9), at(10)) == tuple(before)
    assert carry_on(before, [], SOURCE, at(24 * 60 + 10), at(10)) == ()


# --- sources that tell no times --------------------------------------------------------------------------------------


def test_who_was_there_at_the_first_look_was_there_always() -> None:
    assert carry_on([], [told("alice", 7)], SOURCE, at(0), None) == (known("alice", 7, seen=0),)


def test_a_newcomer_to_a_free_address_has_it_since_the_look_before() -> None:
    assert carry_on([], [told("alice", 7)], SOURCE, at(11), at(10)) == (known("alice", 7, since=10, seen=11),)


def test_a_newcomer_to_somebody_elses_address_has_it_from_now_on() -> None:
    found = carry_on([known("bob", 7, seen=10)], [told("alice", 7)], SOURCE, at(11), at(10))
    assert [(it.user, it.since, it.until) for it in found] == [("bob", ALWAYS, at(10)), ("alice", at(11), None)]


def test_a_newcomer_after_a_long_silence_has_it_from_now_on() -> None:
    assert carry_on([], [told("alice", 7)], SOURCE, at(30), at(10)) == (known("alice", 7, since=30, seen=30),)


def test_who_comes_back_to_an_address_that_was_nobody_elses_meanwhile_had_it_all_along() -> None:
    """A WireGuard peer that slept: nobody else's key can use its address."""
    away = carry_on([known("alice", 7, since=1, seen=10)], [], SOURCE, at(11), at(10))
    (back,) = carry_on(away, [told("alice", 7)], SOURCE, at(15), at(14))
    assert (back.since, back.until) == (at(1), None)


def test_who_comes_back_after_somebody_else_begins_anew() -> None:
    before = [known("alice", 7, since=1, until=10, seen=10), known("bob", 7, since=11, until=13, seen=13)]
    found = carry_on(before, [told("alice", 7)], SOURCE, at(15), at(14))
    assert [(it.user, it.since, it.until) for it in found] == [
        ("alice", at(1), at(10)),
        ("bob", at(11), at(13)),
        ("alice", at(14), None),
    ]


# --- new keys --------------------------------------------------------------------------------------------------------


def test_new_keys_are_no_new_session() -> None:
    before = [known("alice", 7, since=1, seen=10)]
    (one,) = carry_on(before, [told("alice", 7, since=10.5)], SOURCE, at(11), at(10), renewed=True)
    assert one.since == at(1)


def test_without_new_keys_a_later_beginning_is_another_session() -> None:
    found = carry_on([known("alice", 7, since=1, seen=10)], [told("alice", 7, since=10.5)], SOURCE, at(11), at(10))
    assert [(it.since, it.until) for it in found] == [(at(1), at(10)), (at(10.5), None)]
