"""What a gateway's own counters say of each client is counted once: instead of its table, never beside it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from builders import NOON, arp, ip, mac, network, seen_on, usage

from switchguard.core.accounting import Books, Moved, account
from switchguard.core.attribute import attribute
from switchguard.core.evidence import Traffic
from switchguard.core.model import ClientId, ClientOctets, Gap, NatUsage, Reading, Snapshot

MINUTE = timedelta(minutes=1)
SEVEN, EIGHT = ClientId(f"mac:{mac(7)}"), ClientId(f"mac:{mac(8)}")


def counts(number: int, received: int, sent: int = 0) -> ClientOctets:
    return ClientOctets("gw", ip(number), received, sent)


def table(number: int, received: int) -> NatUsage:
    return replace(usage(number, 3), bytes_in=received, bytes_out=0)


def look(
    minute: float, counted: Iterable[ClientOctets] | None, nat: Iterable[NatUsage] = (), gaps: Iterable[Gap] = ()
) -> Snapshot:
    """`counted` None: nobody asked."""
    at = NOON + minute * MINUTE
    seen = network(nat, [arp(7), arp(8)], [*seen_on("sw1", 7), *seen_on("sw2", 8)], gaps)
    readings = [Reading(it.device, it.table, at, it.rows, 0.1) for it in seen.readings]
    rows = tuple(counted or ())
    if counted is not None:
        readings.append(Reading("gw", "octets", at, len(rows), 0.1))
    return replace(seen, at=at, readings=tuple(readings), client_octets=rows)


def moved(*snapshots: Snapshot) -> list[tuple[Moved, ...]]:
    books, found = Books(), []
    for snapshot in snapshots:
        told = account(books, snapshot, attribute(snapshot))
        books = told.books
        found.append(told.moved)
    return found


def between(start: float, end: float, received: int, sent: int = 0) -> Traffic:
    return Traffic(NOON + start * MINUTE, NOON + end * MINUTE, received, sent)


def test_the_first_reading_counts_nothing_and_the_next_what_came_since() -> None:
    first, second = moved(look(0, [counts(7, 1000, 50)]), look(1, [counts(7, 1500, 80), counts(8, 10)]))
    assert first == ()
    assert second == (Moved(SEVEN, between(0, 1, 500, 30)), Moved(EIGHT, between(0, 1, 10)))


def test_counters_that_began_anew_are_all_new() -> None:
    _, second = moved(look(0, [counts(7, 1000)]), look(1, [counts(7, 200)]))
    assert second == (Moved(SEVEN, between(0, 1, 200)),)


def test_a_table_that_counts_the_same_octets_is_not_added() -> None:
    _, second = moved(look(0, [counts(7, 1000)], [table(7, 1000)]), look(1, [counts(7, 5000)], [table(7, 4000)]))
    assert second == (Moved(SEVEN, between(0, 1, 4000)),)


def test_the_table_counts_until_the_counters_have_a_beginning() -> None:
    """The first reading of the counters says nothing of the time before."""
    _, second, third = moved(
        look(0, None, [table(7, 1000)]),
        look(1, [counts(7, 100)], [table(7, 3000)]),
        look(2, [counts(7, 600)], [table(7, 3500)]),
    )
    assert second == (Moved(SEVEN, between(0, 1, 2000)),)
    assert third == (Moved(SEVEN, between(1, 2, 500)),)


def test_where_counters_cannot_be_read_the_table_counts_and_nothing_comes_twice() -> None:
    gap = Gap("gw", "octets", "no such table")
    looks = (
        look(0, [counts(7, 0)], [table(7, 0)]),
        look(1, [counts(7, 1000)], [table(7, 1000)]),
        look(2, None, [table(7, 1700)], [gap]),
        look(3, [counts(7, 2500)], [table(7, 2500)]),
        look(4, [counts(7, 2600)], [table(7, 2600)]),
    )
    octets = [sum(it.traffic.octets_in for it in found) for found in moved(*looks)]
    assert octets == [0, 1000, 700, 0, 100]


def test_an_address_that_changed_hands_is_nobodys_for_that_time() -> None:
    later = look(1, [counts(7, 9000)])
    taken = replace(later, neighbors=tuple(replace(it, mac=mac(8)) for it in later.neighbors))
    _, second = moved(look(0, [counts(7, 1000)]), taken)
    assert second == ()


def test_the_same_reading_is_counted_once() -> None:
    once = look(0, [counts(7, 1000)])
    _, second, third = moved(
        once, look(1, [counts(7, 1500)]), replace(look(1, [counts(7, 1500)]), at=NOON + 2 * MINUTE)
    )
    assert second != ()
    assert third == ()
