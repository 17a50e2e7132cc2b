"""Attribution of a large network keeps the garbage collector waiting, and no longer than that."""

import gc

import pytest

from switchguard.cycle import undisturbed


def test_the_collector_waits_and_then_works_again() -> None:
    with undisturbed():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_does_not_leave_it_waiting() -> None:
    with pytest.raises(ValueError, match="in between"), undisturbed():
        raise ValueError("in between")
    assert gc.isenabled()


def test_whoever_had_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with undisturbed():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
