"""Sessions that outlive one use: the next poll of a device finds its connection still open.

A login costs a switch more than the question that follows it (netmiko needs a third of a second for one). One session a
device, one user at a time: two threads never talk into the same terminal. Who cannot wait until a table has been read
gets a second one, for as long as the first is in use.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from switchguard.core.model import Device
from switchguard.edge.session import DeviceSession
from switchguard.edge.snmp_settled import Settled
from switchguard.ports import Endpoint, Session


@dataclass(slots=True)
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    session: DeviceSession | None = None
    used_at: float = 0.0
    settled: Settled | None = None
    """Outlives the session: what SNMP says has not changed is not read again."""


class KeptSessions:
    """`open` fits where ports.Opens is asked for. `monotonic` is a clock in seconds."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], keep_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoints, self._keep_s, self._monotonic = endpoints, keep_s, monotonic
        self._kept = {name: _Kept(settled=Settled(monotonic)) for name in endpoints}
        self._second = {name: _Kept(settled=Settled(monotonic)) for name in endpoints}
        self._closed = False

    @contextmanager
    def open(self, device: Device) -> Iterator[Session]:
        """The device's session, when nobody else uses it. What was lost, or rested too long, is opened anew."""
        kept = self._kept[device.name]
        with kept.lock, self._used(device, kept) as session:
            yield session

    @contextmanager
    def open_now(self, device: Device) -> Iterator[Session]:
        """The same, or the second session while somebody uses it."""
        first, second = self._kept[device.name], self._second[device.name]
        if not first.lock.acquire(blocking=False):
            with second.lock, self._used(device, second) as session:
                yield session
            return
        try:
            with self._used(device, first) as session:
                yield session
        finally:
            first.lock.release()

    @contextmanager
    def _used(self, device: Device, kept: _Kept) -> Iterator[Session]:
        """By whoever has the lock."""
        session = self._awake(kept) or DeviceSession(device, self._endpoints[device.name], kept.settled)
        kept.session = None
        try:
            yield session
        except BaseException:
            session.close()  # in the middle of something: nobody knows what the other end still says
            raise
        if not self._closed and session.rest():
            kept.session, kept.used_at = session, self._monotonic()
        else:
            session.close()

    def close(self) -> None:
        """Closes what rests; a session in use closes when its user is done, and so does every one from now on."""
        self._closed = True
        for kept in (*self._kept.values(), *self._second.values()):
            if kept.lock.acquire(blocking=False):
                try:
                    if kept.session is not None:
                        kept.session.close()
                        kept.session = None
                finally:
                    kept.lock.release()

    def _awake(self, kept: _Kept) -> DeviceSession | None:
        session = kept.session
        if session is None:
            return None
        if self._monotonic() - kept.used_at <= self._keep_s and session.rest():
            return session
        session.close()
        return None
