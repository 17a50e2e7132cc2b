"""Who may not write the ledger, or not now, reads it all the same, and is told what writing would take."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_ledger import AT, VERDICT

from switchguard.edge.ledger import SqlLedger
from switchguard.errors import LedgerError

NOBODY = 65534


@pytest.fixture
def path() -> Iterator[Path]:
    """In a folder that everybody may look into."""
    folder = Path(tempfile.mkdtemp(prefix="switchguard-"))
    file = folder / "switchguard.db"
    ledger = SqlLedger(file)
    ledger.sentence((VERDICT,), (), AT)
    ledger.close()
    yield file
    folder.chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def somebody_else(path: Path, mode: int = 0o444) -> Iterator[None]:
    """Who may look, and nothing else; root may always write, so root becomes nobody."""
    for file in path.parent.iterdir():
        file.chmod(mode)
    path.parent.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_ledger_that_cannot_be_written_can_be_read(path: Path) -> None:
    with somebody_else(path):
        ledger = SqlLedger(path)
        assert ledger.standing() == (VERDICT,)
        ledger.close()


def test_what_the_service_has_just_written_is_read_too(path: Path) -> None:
    service = SqlLedger(path)
    service.pause("keynote", "ada")
    with somebody_else(path):
        ledger = SqlLedger(path)
        assert (ledger.paused() or "").startswith("keynote")
        ledger.close()
    service.close()


def test_who_looks_on_sees_what_a_service_that_starts_later_writes(path: Path) -> None:
    with somebody_else(path):
        ledger = SqlLedger(path)
        assert ledger.paused() is None
    path.parent.chmod(0o755)
    path.chmod(0o644)
    service = SqlLedger(path)
    service.pause("keynote", "ada")
    assert (ledger.paused() or "").startswith("keynote")
    service.close()
    ledger.close()


def test_writing_it_says_what_that_would_take(path: Path) -> None:
    with somebody_else(path):
        ledger = SqlLedger(path)
        with pytest.raises(LedgerError, match="its folder must be readable and, to put anything on record, writable"):
            ledger.pause("keynote", "ada")
        ledger.close()


def test_an_older_ledger_that_cannot_be_written_is_not_misread(path: Path) -> None:
    path.unlink()
    old = sqlite3.connect(path)
    for version in ("v1", "v2"):
        old.executescript(Path(__file__).with_name(f"ledger_{version}.sql").read_text())
    old.close()
    with somebody_else(path), pytest.raises(LedgerError, match="writable"):
        SqlLedger(path)


def test_one_that_cannot_even_be_looked_at_says_so(path: Path) -> None:
    with somebody_else(path, 0o000), pytest.raises(LedgerError, match="must be readable"):
        SqlLedger(path)
