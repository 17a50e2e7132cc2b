"""Who is known again under another MAC, as the ledger keeps it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from switchguard.core.model import Mac
from switchguard.core.traces import Arrivals, Identities, Link, Print, Trace
from switchguard.edge.history import History, Note
from switchguard.edge.ledger import SqlLedger

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
A, B, C = (Mac(0x020000000000 + number) for number in (1, 2, 3))
TRACE = Trace(A, NOW, NOW, NOW, NOW, "sw1", "Gi0/1", 10, "tom", "ff:01", prints=(Print(NOW, 3, (1, 2, 2**64 - 1)),))
LINK = Link(A, B, 0.97, ("on the same port",), NOW, NOW, 2, (0.9, 0.8, 0.95), ("v1",))
KNOWN = Identities((TRACE,), (LINK,))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    opened = SqlLedger(tmp_path / "ledger.db", clock=lambda: NOW)
    yield opened
    opened.close()


def test_what_is_kept_is_what_comes_back(ledger: SqlLedger) -> None:
    ledger.keep_identities(Identities(), KNOWN, NOW)
    assert ledger.identities(NOW) == KNOWN


def test_a_trace_that_matters_no_more_is_forgotten_and_a_link_is_not(ledger: SqlLedger) -> None:
    ledger.keep_identities(Identities(), KNOWN, NOW)
    ledger.keep_identities(KNOWN, replace(KNOWN, traces=()), NOW)
    assert ledger.identities(NOW) == replace(KNOWN, traces=())
    assert ledger.identities(NOW + timedelta(days=2)).links == ()
    assert ledger.links() == (LINK,)


def test_links_are_forgotten_after_a_year_but_never_what_somebody_undid(ledger: SqlLedger) -> None:
    other = replace(LINK, new=C)
    ledger.keep_identities(Identities(), Identities((), (LINK, other)), NOW)
    ledger.unlink(A, C, "ada", "two laptops")
    later = NOW + timedelta(days=500)
    ledger.keep_identities(Identities(), Identities((replace(TRACE, last_seen=later),)), later)
    assert {(it.old, it.new) for it in ledger.links()} == {(A, C), (C, A)}
    assert all(it.undone == "two laptops (ada)" for it in ledger.identities(later).links)


def test_a_pass_that_still_believes_in_a_link_does_not_restore_it(ledger: SqlLedger) -> None:
    ledger.keep_identities(Identities(), KNOWN, NOW)
    ledger.unlink(B, A, "ada", "two laptops")
    ledger.keep_identities(KNOWN, Identities((TRACE,), (replace(LINK, confidence=0.99),)), NOW)
    assert [it.undone for it in ledger.links({A})] == ["two laptops (ada)"] * 2


def test_two_macs_that_were_never_linked_can_be_kept_apart(ledger: SqlLedger) -> None:
    ledger.unlink(A, C, "ada", "mine and Tom's")
    assert [(it.old, it.new, it.confidence) for it in ledger.links()] == [(A, C, 0.0), (C, A, 0.0)]


def test_links_are_found_from_either_end_and_further_on(ledger: SqlLedger) -> None:
    further = replace(LINK, old=B, new=C, since=NOW + HALF_HOUR)
    ledger.keep_identities(Identities(), Identities((), (LINK, further)), NOW)
    assert ledger.links({A}) == ledger.links({C}) == (LINK, further)
    assert ledger.links({Mac(9)}) == ()


def test_the_history_tells_of_a_link_and_of_its_undoing(ledger: SqlLedger) -> None:
    ledger.keep_identities(Identities(), KNOWN, NOW)
    ledger.unlink(A, B, "ada", "two laptops")
    assert [(it.what, it.who) for it in ledger.history(str(B))] == [("linked", "switchguard"), ("unlinked", "ada")]
    assert "is probably what was 02:00:00:00:00:01" in ledger.history(str(A))[0].why


def test_arrivals_are_the_new_ones_and_those_who_were_away(ledger: SqlLedger) -> None:
    history = History(ledger.store)

    def seen(at: datetime, *macs: Mac) -> None:
        history.add(Note(at, macs=macs), {})

    seen(NOW - timedelta(hours=9), A, B)
    seen(NOW - HALF_HOUR / 3, A, C)
    arrived = ledger.arrivals((A, B, C, Mac(9)), NOW, HALF_HOUR)
    assert arrived == Arrivals({B: NOW - timedelta(hours=9), C: NOW - HALF_HOUR / 3, Mac(9): None}, settled=True)


def test_whom_the_first_look_finds_has_not_just_come(ledger: SqlLedger) -> None:
    assert ledger.arrivals((A,), NOW, HALF_HOUR) == Arrivals({}, settled=False)
    History(ledger.store).add(Note(NOW, macs=[A]), {})
    later = NOW + HALF_HOUR / 2
    assert ledger.arrivals((A, B), later, HALF_HOUR) == Arrivals({B: None}, settled=False)
