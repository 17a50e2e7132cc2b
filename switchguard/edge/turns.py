"""One process at a time changes a device: a lock file for each of them, beside the ledger.

The service and a person may push to one device at the same moment. What each of them pushes is right by itself, and the
ledger would find out afterwards; but two sessions in one configuration are how lines get lost. The lock is flock(2) and
advisory: it ends with whoever holds it, also when that is killed, and other programs do not know of it.

And one service at a time per ledger (`Alone`): two would count every poll twice.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from switchguard.errors import AlreadyRunning, Busy

PATIENCE_S = 30.0
"""A push takes seconds; on a slow switch with many lines, some more."""
_LOOK_EVERY_S = 0.05
_LONGEST_NOTE = 200


class Turns:
    """`folder` None: nobody waits for anybody (the ledger is no file, so that there is no place beside it)."""

    def __init__(
        self,
        folder: Path | None,
        who: str,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`who` is what others are told who wait for us."""
        self._folder, self._who, self._patience_s = folder, who, patience_s
        self._sleep, self._monotonic = sleep, monotonic

    @contextmanager
    def take(self, device: str) -> Iterator[None]:
        """Ours until the end of the block. Busy, naming the holder, if it did not become free in time."""
        if self._folder is None:
            yield
            return
        note = self._open(device)
        try:
            self._wait(note, device)
            os.ftruncate(note, 0)
            os.pwrite(note, self._who.encode()[:_LONGEST_NOTE], 0)
            yield
        finally:
            os.close(note)

    def _open(self, device: str) -> int:
        assert self._folder is not None  # noqa: S101 - asked before
        file = self._folder / quote(device, safe="")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Busy(device, f"its lock {file} cannot be opened: {error.strerror}") from error

    def _wait(self, note: int, device: str) -> None:
        deadline = self._monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._monotonic() >= deadline:
                    holder = os.pread(note, _LONGEST_NOTE, 0).decode(errors="replace") or "somebody"
                    why = f"{holder} is changing it; we waited {self._patience_s:g} s"
                    raise Busy(device, why) from None
                self._sleep(_LOOK_EVERY_S)


class Alone:
    """The one service of a ledger, from `take` until `leave` or the end of the process, however that ends.

    `file` None: nobody can tell (the ledger is no file, so that there is no place beside it).
    """

    def __init__(self, file: Path | None, who: str) -> None:
        self._file, self._who = file, who
        self._note: int | None = None

    def take(self) -> None:
        """AlreadyRunning, naming the other one, if there is one. Taken twice is taken once."""
        if self._file is None or self._note is not None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            note = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AlreadyRunning(
                f"whether another service runs is not known: {self._file}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(note, _LONGEST_NOTE, 0).decode(errors="replace") or "another process"
            os.close(note)
            why = f"{holder} runs with this ledger already; two would count every poll twice"
            raise AlreadyRunning(why) from None
        os.ftruncate(note, 0)
        os.pwrite(note, self._who.encode()[:_LONGEST_NOTE], 0)
        self._note = note

    def leave(self) -> None:
        if self._note is not None:
            os.close(self._note)
            self._note = None
