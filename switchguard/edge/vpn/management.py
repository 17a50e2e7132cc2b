"""OpenVPN's management interface: `status 3` over TCP or a unix socket of this machine.

OpenVPN talks to one manager at a time; a second one waits unheard, so the conversation is short and says `quit`. Lines
that begin with `>` are news for whoever listens.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from switchguard.edge.vpn.reading import CannotRead, shown
from switchguard.ports import Secret

MOST_OCTETS = 64 << 20
_WANTS_PASSWORD = b"ENTER PASSWORD:"


def ask_status(where: str, password: Secret | None, patience_s: float) -> str:
    """What `status 3` says, to its END. CannotRead if nobody answers, or the password is wrong or missing."""
    try:
        with _connected(where, patience_s) as line:
            line.log_in(password)
            line.send("status 3")
            answer = line.until(b"END")
            with suppress(OSError):  # it has said everything, and may have hung up
                line.send("quit")
            return answer
    except TimeoutError:
        why = f"{where}: no answer within {patience_s:g} s; OpenVPN talks to one manager at a time"
        raise CannotRead(why) from None
    except OSError as error:
        raise CannotRead(f"{where}: {error.strerror or error}") from None


@contextmanager
def _connected(where: str, patience_s: float) -> Iterator["_Line"]:
    if where.startswith("unix:"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.settimeout(patience_s)
            made.connect(where.removeprefix("unix:"))
            yield _Line(made)
    else:
        host, _, port = where.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), patience_s) as made:
            yield _Line(made)


class _Line:
    def __init__(self, made: socket.socket) -> None:
        self._socket, self._unread = made, b""

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\r\n")

    def log_in(self, password: Secret | None) -> None:
        """The greeting comes at once, the question for a password instead of it."""
        while not self._unread.startswith((b">", _WANTS_PASSWORD)):
            self._more()
        if not self._unread.startswith(_WANTS_PASSWORD):
            return
        if password is None:
            raise CannotRead("the management interface wants a password; say where it is with `password`")
        self._unread = b""
        self.send(password.reveal())
        while not self._unread.startswith((b"SUCCESS:", b"ERROR:", _WANTS_PASSWORD)):
            self._more()
        if not self._unread.startswith(b"SUCCESS:"):
            raise CannotRead("the management interface does not accept the password")
        self._next()

    def until(self, last: bytes) -> str:
        lines: list[bytes] = []
        octets = 0
        while (said := self._next()) != last:
            if said.startswith(b"ERROR:"):
                raise CannotRead(f"`status 3` is answered {shown(said.decode(errors='replace'))}")
            octets += len(said)
            if octets > MOST_OCTETS:
                raise CannotRead("the status does not end")
            if not said.startswith(b">"):
                lines.append(said)
        return b"\n".join((*lines, last, b"")).decode("utf-8", "replace")

    def _next(self) -> bytes:
        while b"\n" not in self._unread:
            self._more()
        said, _, self._unread = self._unread.partition(b"\n")
        return said.rstrip(b"\r")

    def _more(self) -> None:
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise CannotRead("the management interface hung up")
        self._unread += chunk
