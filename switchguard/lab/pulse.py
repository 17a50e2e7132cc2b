"""A heartbeat of every client at once: who reaches the internet, and from which moment on somebody does not."""

import os
import select
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from switchguard.errors import LabError
from switchguard.lab.kernel import entered
from switchguard.lab.ping import echo_request, echoed

BEAT_S = 0.2
LATE_S = 1.0
"""An answer that takes longer is none: in the lab they take less than a millisecond."""
IN_A_ROW = 3
"""A request or two may be lost on a busy machine; whoever is cut loses them all."""


@dataclass(slots=True)
class Pulse:
    """Echo requests from each client's namespace, one every `beat_s`. Times are time.time()."""

    address: str
    clients: Sequence[str]
    beat_s: float = BEAT_S
    _sent: dict[str, list[float]] = field(default_factory=dict)
    _answered: dict[str, set[int]] = field(default_factory=dict)
    _lines: dict[str, socket.socket] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        for name in self.clients:
            with entered(name):
                self._lines[name] = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self._sent[name], self._answered[name] = [], set()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for line in self._lines.values():
            line.close()

    def lost(self, client: str, since: float, until: float) -> int:
        """Requests of that time that stayed unanswered; the last second is still open and does not count."""
        return len(self._misses(client, since, min(until, time.time() - LATE_S)))

    def cut(self, client: str, since: float) -> float | None:
        """When the first of IN_A_ROW requests was sent that all stayed unanswered."""
        missed: list[float] = []
        answered, open_from = set(self._answered[client]), time.time() - LATE_S
        for n, moment in enumerate(tuple(self._sent[client])):
            missed = [*missed, moment] if since <= moment <= open_from and n not in answered else []
            if len(missed) == IN_A_ROW:
                return missed[0]
        return None

    def answered_since(self, client: str, since: float) -> bool:
        return any(self._sent[client][sequence] >= since for sequence in tuple(self._answered[client]))

    def last_answered(self, client: str) -> float:
        """When the last request was sent that somebody answered. LabError if none was."""
        answered = tuple(self._answered[client])
        if not answered:
            raise LabError(f"nobody ever answered {client}")
        return self._sent[client][max(answered)]

    def _misses(self, client: str, since: float, until: float) -> list[float]:
        answered = set(self._answered[client])
        sent = tuple(self._sent[client])
        return [moment for n, moment in enumerate(sent) if since <= moment <= until and n not in answered]

    def _beat(self) -> None:
        identifier = os.getpid() & 0xFFFF
        names = {line: name for name, line in self._lines.items()}
        due = time.monotonic()
        while not self._stop.is_set():
            for name, line in self._lines.items():
                self._send(name, line, identifier)
            due += self.beat_s
            self._hear(names, identifier, due)

    def _hear(self, names: Mapping[socket.socket, str], identifier: int, until: float) -> None:
        """What has come is heard even when it is late for the next beat."""
        while heard := select.select([*names], [], [], max(until - time.monotonic(), 0.0))[0]:
            for line in heard:
                sequence = echoed(line.recv(2048), identifier)
                if sequence is not None:
                    self._answered[names[line]].add(sequence)

    def _send(self, name: str, line: socket.socket, identifier: int) -> None:
        sequence = len(self._sent[name])
        self._sent[name].append(time.time())
        try:
            line.sendto(echo_request(identifier, sequence), (self.address, 0))
        except OSError:
            return  # no route, no neighbour: as good as lost
