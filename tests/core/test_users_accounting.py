"""Octets across a hand-over of an address: each person's are the person's, and in doubt they are nobody's."""

from collections.abc import Mapping

from user_builders import lent, look, row, session

from switchguard.core.accounting import Books, Ended, Octets, account
from switchguard.core.attribute import attribute
from switchguard.core.model import Snapshot


def counted(*looks: Snapshot, ended: Mapping[int, Ended] | None = None) -> list[dict[str, int]]:
    """What each look adds: client -> octets received."""
    books, found = Books(), []
    for number, snapshot in enumerate(looks):
        made = account(books, snapshot, attribute(snapshot), (ended or {}).get(number))
        books = made.books
        found.append({str(it.client): it.traffic.octets_in for it in made.moved})
    return found


def told(received: int) -> Mapping[int, Ended]:
    """At the second look: octets of sessions that ended since the first."""
    return {1: {"gw": {lent(7): Octets(received, 0)}}}


BOB, ALICE = session("bob", 7, until=10.5), session("alice", 7, since=10.5)


def test_one_holder_is_counted_as_everybody_is() -> None:
    alice = session("alice", 7)
    assert counted(
        look(10, [row(7, received=1000, oldest=300)], alice), look(11, [row(7, received=1500, oldest=360)], alice)
    ) == [
        {},
        {"user:alice": 500},
    ]


def test_after_a_handover_the_new_holders_octets_are_all_new() -> None:
    before = look(10, [row(7, received=9_000_000, oldest=300)], session("bob", 7))
    after = look(11, [row(7, received=700, oldest=20)], BOB, ALICE)
    assert counted(before, after) == [{}, {"user:alice": 700}]


def test_the_former_holders_last_octets_are_never_the_new_holders() -> None:
    """Told by the gateway when bob's sessions ended: 5 MB that he moved after the first look. They are lost, not
    alice's."""
    before = look(10, [row(7, received=9_000_000, oldest=300)], session("bob", 7))
    after = look(11, [row(7, received=700, oldest=20)], BOB, ALICE)
    assert counted(before, after, ended=told(14_000_000)) == [{}, {"user:alice": 700}]


def test_octets_of_both_in_one_row_are_nobodys() -> None:
    before = look(10, [row(7, received=9_000_000, oldest=300)], session("bob", 7))
    after = look(11, [row(7, received=9_500_000, oldest=360)], BOB, ALICE)
    assert counted(before, after) == [{}, {}]


def test_what_the_former_holder_goes_on_moving_is_still_his() -> None:
    """Alice has done nothing yet."""
    before = look(10, [row(7, received=9_000_000, oldest=300, newest=200)], session("bob", 7))
    after = look(11, [row(7, received=9_400_000, oldest=360, newest=260)], BOB, ALICE)
    assert counted(before, after) == [{}, {"user:bob": 400_000}]


def test_sessions_that_ended_are_counted_for_who_stayed() -> None:
    alice = session("alice", 7)
    assert counted(look(10, [row(7, received=1000, oldest=300)], alice), look(11, [], alice), ended=told(1800)) == [
        {},
        {"user:alice": 800},
    ]


def test_sessions_that_ended_are_nobodys_when_somebody_came_in_between() -> None:
    before = look(10, [row(7, received=1000, oldest=300)], session("bob", 7))
    assert counted(before, look(11, [], BOB, ALICE), ended=told(1800)) == [{}, {}]


def test_who_comes_back_in_another_session_is_not_counted_for_who_came_in_between() -> None:
    people = (session("bob", 7, until=10.2), session("alice", 7, since=10.2, until=10.6), session("bob", 7, since=10.6))
    before = look(10, [row(7, received=1000, oldest=300)], session("bob", 7))
    after = look(11, [row(7, received=50, oldest=10)], *people)
    assert counted(before, after, ended=told(8_000_000)) == [{}, {"user:bob": 50}]


def test_addresses_of_one_person_add_up() -> None:
    alice = (session("alice", 7), session("alice", 8))
    before = look(10, [row(7, received=100), row(8, received=100)], *alice)
    after = look(11, [row(7, received=400, oldest=120), row(8, received=150, oldest=120)], *alice)
    assert counted(before, after) == [{}, {"user:alice": 350}]
