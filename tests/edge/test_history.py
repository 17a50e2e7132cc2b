"""Months of usage: summed without counting anything twice or across a cut, forgotten in time."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.accounting import Books, NatBook, Octets, PortBook, Total
from switchguard.core.evidence import Connections, Traffic
from switchguard.core.model import ClientId, Mac, PortCounters
from switchguard.edge.archive import Archive, Used
from switchguard.edge.books import books_from, books_text
from switchguard.edge.history import DAY, HOUR, POLL, History, Note, Retention, SeriesRow, UsageRow
from switchguard.edge.ledger_tables import Store
from switchguard.errors import LedgerError

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE, AN_HOUR, A_DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ANN, BOB = ClientId("mac:02:00:00:00:00:07"), ClientId("mac:02:00:00:00:00:08")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "ledger.db")
    yield opened
    opened.close()


def row(minute: float, octets: int, client: ClientId = ANN, minutes: float = 1, estimate: bool = False) -> UsageRow:
    start = AT + minute * MINUTE
    return UsageRow(client, start, start + minutes * MINUTE, octets, 2 * octets, estimate, 5, 3, 0.25)


def put(history: History, *rows: UsageRow, cuts: Sequence[datetime] = ()) -> None:
    for one in rows:
        history.keep(lambda books, one=one: (books, Note(one.end, [one], cuts=cuts)))  # type: ignore[misc]  # bound now


def tidied(history: History, now: datetime, cuts: Sequence[datetime] = ()) -> None:
    while history.tidy(now, cuts, steps=3):
        pass


def total(archive: Archive, since: datetime, until: datetime, client: ClientId = ANN) -> int:
    return sum(it.octets_in for it in archive.used(since, until) if it.client == client)


def spans(store: Store) -> dict[int, int]:
    """How many spans of each grain there are."""
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT grain, count(*) FROM spans GROUP BY grain").all()
    return {row[0]: row[1] for row in rows}


# --- counting on -----------------------------------------------------------------------------------------------------

BOOKS = Books(
    {"gw": NatBook(AT, AT + MINUTE / 60, {ip_address("10.0.0.7"): Total(ANN, Octets(5, 6), 3, Octets(-1, 0))}, True)},
    {("sw1", "Gi0/7"): PortBook(PortCounters("sw1", "Gi0/7", AT, 1, 2, 32, 4.0), frozenset({Mac(7)}))},
    {ANN: ("nat", AT)},
)


def test_books_are_the_same_when_they_are_opened_again() -> None:
    assert books_from(books_text(BOOKS)) == BOOKS


def test_books_of_another_form_are_put_away() -> None:
    assert books_from(books_text(BOOKS).replace('"form":1', '"form":0')) == Books()


def test_what_is_kept_comes_with_its_books_or_not_at_all(store: Store) -> None:
    history, archive = History(store), Archive(store)
    history.keep(lambda _: (BOOKS, Note(AT, [row(0, 10)])))
    nothing = SeriesRow("size", "gw", "", AT, AT, None)  # type: ignore[arg-type]  # the store must refuse it
    with pytest.raises(LedgerError):
        history.keep(lambda _: (Books(), Note(AT, [row(1, 20), row(1, 1, BOB)], [nothing])))
    assert history.books() == BOOKS
    assert total(archive, AT, AT + AN_HOUR) == 10
    history.keep(lambda books: (books, Note(AT, [row(1, 5, BOB)])))
    assert total(archive, AT, AT + AN_HOUR, BOB) == 5


def test_polls_of_one_minute_share_a_span(store: Store) -> None:
    history = History(store)
    put(history, *(row(n / 10, 1, minutes=0.1) for n in range(25)))
    assert spans(store) == {POLL: 3}
    assert total(Archive(store), AT, AT + AN_HOUR) == 25


def test_a_span_is_not_made_longer_across_a_cut(store: Store) -> None:
    history, cut = History(store), AT + MINUTE / 2
    put(history, row(0, 1, minutes=0.5), row(0.5, 10, minutes=0.5), cuts=[cut])
    assert total(Archive(store), cut, AT + AN_HOUR) == 10


# --- roll-up ---------------------------------------------------------------------------------------------------------


def test_an_hour_and_a_day_are_summed_and_nothing_is_counted_twice(store: Store) -> None:
    history, archive = History(store), Archive(store)
    put(history, *(row(minute, 1) for minute in range(0, 48 * 60, 5)))
    tidied(history, AT + 2 * A_DAY + 3 * MINUTE)
    assert spans(store) == {POLL: 576, HOUR: 48, DAY: 2}
    assert total(archive, AT, AT + 3 * A_DAY) == 576
    assert total(archive, AT + 30 * MINUTE, AT + 3 * A_DAY) == 576 - 6
    (used,) = archive.used(AT, AT + AN_HOUR)
    assert used == Used(ANN, (), None, 12, 24, False, 5, 3, 0.25)


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 40)), min_size=1, max_size=25),
    st.lists(st.integers(0, 3000), max_size=3),
    st.integers(0, 3000),
)
@settings(max_examples=40, deadline=None)
def test_a_windows_usage_does_not_depend_on_how_old_it_is(
    moved: list[tuple[int, int]], cuts: list[int], now: int
) -> None:
    with TemporaryDirectory() as directory:
        store = Store(Path(directory) / "ledger.db")
        _same_whenever_asked(store, moved, cuts, now)
        store.close()


def _same_whenever_asked(store: Store, moved: list[tuple[int, int]], cuts: list[int], now: int) -> None:
    history, archive = History(store), Archive(store)
    edges = [AT + cut * MINUTE for cut in cuts]
    put(history, *(row(minute, 1, minutes=length) for minute, length in moved), cuts=edges)
    before = [total(archive, edge, AT + 10 * A_DAY) for edge in edges]
    tidied(history, AT + now * MINUTE, edges)
    tidied(history, AT + 4 * A_DAY, edges)
    assert [total(archive, edge, AT + 10 * A_DAY) for edge in edges] == before
    found = archive.traffic(edges, AT + 5 * A_DAY).get(ANN, ())
    assert sum(it.octets_in for it in found if edges and it.start >= min(edges)) == (max(before) if before else 0)


def test_days_are_those_of_the_sites_clock(store: Store) -> None:
    history = History(store, zone=ZoneInfo("Europe/Berlin"))
    put(history, *(row(60 * hour, 1) for hour in range(24)))
    tidied(history, AT + 1.5 * A_DAY)
    midnight = datetime(2026, 5, 1, 22, tzinfo=UTC)
    assert spans(store) == {POLL: 24, HOUR: 24, DAY: 2}
    assert total(Archive(store), midnight, midnight + A_DAY) == 14


def test_the_present_hour_is_not_summed_yet(store: Store) -> None:
    history = History(store)
    put(history, row(0, 1))
    tidied(history, AT + 59 * MINUTE)
    assert spans(store) == {POLL: 1}


def test_what_comes_late_for_an_hour_that_was_summed_is_not_lost(store: Store) -> None:
    history, archive = History(store), Archive(store)
    put(history, row(0, 1))
    tidied(history, AT + 2 * AN_HOUR)
    put(history, row(10, 5, minutes=300))
    tidied(history, AT + A_DAY)
    assert total(archive, AT, AT + A_DAY) == 6


# --- retention -------------------------------------------------------------------------------------------------------


def test_what_is_old_is_kept_more_coarsely_and_then_not_at_all(store: Store) -> None:
    history, archive = History(store, Retention(A_DAY, 3 * A_DAY, 30 * A_DAY)), Archive(store)
    put(history, *(row(minute, 1) for minute in range(0, 36 * 60, 10)))
    for days, left in ((2, {POLL: 60, HOUR: 36, DAY: 2}), (4, {HOUR: 24, DAY: 2}), (20, {DAY: 2}), (40, {})):
        tidied(history, AT + days * A_DAY + 2 * AN_HOUR)
        assert (days, spans(store)) == (days, left)
        assert total(archive, AT - A_DAY, AT + 9 * A_DAY) == (216 if left else 0)


def test_tidying_takes_small_steps(store: Store) -> None:
    history = History(store)
    put(history, *(row(60 * hour, 1) for hour in range(10)))
    assert history.tidy(AT + A_DAY, steps=4) == 4
    assert spans(store) == {POLL: 10, HOUR: 4}


def test_polls_go_on_while_what_is_old_is_summed_and_forgotten(store: Store) -> None:
    """Each step is a transaction of its own, so that polls come in between; what they add is all there at the end."""
    history, archive = History(store, Retention(A_DAY, 3 * A_DAY, 30 * A_DAY)), Archive(store)
    put(history, *(row(minute, 1) for minute in range(0, 24 * 60, 10)))
    now, done = AT + 2 * A_DAY, threading.Event()

    def tidying() -> None:
        while history.tidy(now, steps=1):
            pass
        done.set()

    worker = threading.Thread(target=tidying)
    worker.start()
    polled = 0
    while not done.is_set() or not polled:
        put(history, row(48 * 60 + polled, 1))
        polled += 1
    worker.join()
    assert total(archive, AT - A_DAY, AT + 9 * A_DAY) == 144 + polled
    assert spans(store)[HOUR] >= 24


def test_finer_spans_cannot_be_kept_longer() -> None:
    with pytest.raises(ValueError, match="must not be kept longer"):
        Retention(minutes=A_DAY, hours=AN_HOUR)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_traffic_is_summed_between_edges_and_polled_of_late(store: Store) -> None:
    history = History(store)
    put(history, *(row(minute, 1) for minute in range(120)), row(30, 7, estimate=True))
    found = Archive(store).traffic([AT + 20 * MINUTE, AT + 40 * MINUTE], AT + 118 * MINUTE)
    assert found[ANN] == (
        Traffic(AT + 20 * MINUTE, AT + 40 * MINUTE, 20, 40),
        Traffic(AT + 20 * MINUTE, AT + 40 * MINUTE, 7, 14, estimate=True),
        Traffic(AT + 40 * MINUTE, AT + 118 * MINUTE, 78, 156),
        Traffic(AT + 118 * MINUTE, AT + 119 * MINUTE, 1, 2),
        Traffic(AT + 119 * MINUTE, AT + 120 * MINUTE, 1, 2),
    )


def test_a_span_that_began_within_the_same_second_before_an_edge_does_not_count(store: Store) -> None:
    put(History(store), replace(row(0, 1), start=AT + timedelta(seconds=0.2)))
    edge = AT + timedelta(seconds=0.7)
    assert Archive(store).traffic([edge], AT + AN_HOUR) == {}


def test_somebody_is_found_by_address_and_owner(store: Store) -> None:
    history, archive = History(store), Archive(store)
    for address in ("10.0.0.6", "10.0.0.7"):
        people = {ANN: ((ip_address(address),), "ann")}
        history.keep(lambda books, people=people: (books, Note(AT, [row(0, 1)], people=people)))  # type: ignore[misc]
    assert archive.clients_named("10.0.0.7") == archive.clients_named("ann") == archive.clients_named(ANN) == (ANN,)
    assert archive.clients_named("10.0.0.6") == ()


def test_a_mac_is_first_seen_once(store: Store) -> None:
    history, archive = History(store), Archive(store)
    for hours in (0, 1, 50):
        history.keep(lambda books, at=AT + hours * AN_HOUR: (books, Note(at, macs=[Mac(7)])))  # type: ignore[misc]
    assert archive.first_seen([Mac(7), Mac(8)]) == {Mac(7): AT}
    tidied(history, AT + 399 * A_DAY)
    assert archive.first_seen([Mac(7)]) == {Mac(7): AT}
    tidied(history, AT + 500 * A_DAY)
    assert archive.first_seen([Mac(7)]) == {}


def series(kind: str, minute: int, a: int, b: int = 0, place: str = "gw", name: str = "") -> Note:
    start = AT + minute * MINUTE
    return Note(start, series=[SeriesRow(kind, place, name, start, start + MINUTE, a, b)])


def test_sizes_keep_their_largest_and_rates_their_sum(store: Store) -> None:
    history, archive = History(store), Archive(store)
    for minute, entries in enumerate((100, 900, 300)):
        history.add(series("size", minute, entries, 65536), {})
        history.add(series("rate", minute, entries, 1, name="wan0"), {})
    tidied(history, AT + 2 * AN_HOUR)
    (size,) = archive.samples("size", AT, AT + AN_HOUR, HOUR)["gw", ""]
    (rate,) = archive.samples("rate", AT, AT + AN_HOUR, HOUR)["gw", "wan0"]
    assert (size.a, size.b) == (900, 65536)
    assert (rate.a, rate.b, rate.seconds) == (1300, 3, 180)


def test_connections_are_as_fine_as_they_are_known(store: Store) -> None:
    history, archive = History(store), Archive(store)
    for minute in (0, 1, 90):
        history.add(series("opened", minute, 5, place="netperf", name="192.0.2.7"), {})
    history.add(series("opened", 0, 1, place="netperf", name="192.0.2.8"), {})
    tidied(history, AT + 5 * AN_HOUR)
    source = ip_address("192.0.2.7")
    seen = tuple(Connections(AT + minute * MINUTE, 5) for minute in (0, 1, 90))
    assert archive.opened("netperf", AT, AT + A_DAY, at_least=2) == {source: seen}


def test_a_mark_is_kept_with_what_was_read(store: Store) -> None:
    history = History(store)
    assert history.mark("log netperf") is None
    history.add(Note(AT), {"log netperf": "1 2 3"})
    assert History(store).mark("log netperf") == "1 2 3"
