"""The machine that we run on, when it is itself the gateway: commands through /bin/sh, without SSH.

Every command comes from a driver of ours; text from the network never becomes part of one. Standard input is a file,
not a pipe, so that a command that does not read it cannot block us.
"""

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import IO

from switchguard.errors import CommandRefused, Unreachable

SYSTEM_PATH = "/usr/sbin:/sbin"
"""Where conntrack, nft and ip live; the PATH of services and of unprivileged users often lacks it."""
_CHUNK = 1 << 16
_COMPLAINT = 4096


class LocalShell:
    def __init__(self, device: str, patience_s: float) -> None:
        """`patience_s` bounds a whole command."""
        self._device, self._patience_s = device, patience_s

    def stream(self, command: str, text: str = "") -> Iterator[bytes]:
        """Standard output in chunks. CommandRefused on a non-zero exit status, Unreachable if it takes too long."""
        deadline = time.monotonic() + self._patience_s
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as complaints:
            given.write(text.encode())
            given.seek(0)
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=_environment(),
                start_new_session=True,
            )
            try:
                yield from self._chunks(process, command, deadline)
                status = process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise self._too_long(command) from error
            finally:
                _end(process)
            if status:
                raise CommandRefused(self._device, command, _complaint(complaints, status))

    @property
    def alive(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing stays open between two commands."""

    def _chunks(self, process: subprocess.Popen[bytes], command: str, deadline: float) -> Iterator[bytes]:
        assert process.stdout is not None  # noqa: S101 - a pipe, by construction
        output = process.stdout.fileno()
        waiting = select.poll()
        waiting.register(output, select.POLLIN)
        while True:
            if not waiting.poll(1000 * max(0.0, deadline - time.monotonic())):
                raise self._too_long(command)
            chunk = os.read(output, _CHUNK)
            if not chunk:
                return
            yield chunk

    def _too_long(self, command: str) -> Unreachable:
        return Unreachable(self._device, f"{command!r} took longer than {self._patience_s:g} s and was stopped")


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{SYSTEM_PATH}:{os.environ.get('PATH', '/usr/bin:/bin')}", "LC_ALL": "C"}


def _complaint(complaints: IO[bytes], status: int) -> str:
    complaints.seek(0)
    return complaints.read(_COMPLAINT).decode(errors="replace").strip() or f"exit status {status}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the command and everything that it started, if it still runs."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
