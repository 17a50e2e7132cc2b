"""What gateways tell of sessions that ended, until the next reading of the table is settled with it."""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from switchguard.core.accounting import NOTHING, Books, Ended, Octets
from switchguard.core.model import Address, NatUsage, Snapshot
from switchguard.errors import SwitchguardError
from switchguard.ports import Stream

TICK_S = 1.0
AGAIN_AFTER_S = 5.0


@dataclass
class _Told:
    since: datetime
    """Nothing was missed since then."""
    rows: list[tuple[datetime, Address, Octets]] = field(default_factory=list)


class Endings:
    """Safe for threads: streams tell, the pass asks."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._lock = threading.Lock()

    def follow(self, device: str, at: datetime) -> None:
        """From now on every end is told; also after some may have been missed."""
        with self._lock:
            self._told[device] = _Told(at)

    def anew(self, at: datetime) -> None:
        """The clock was set: what was told before has times that mean nothing now."""
        with self._lock:
            self._told = {device: _Told(at) for device in self._told}

    def lose(self, device: str) -> None:
        """The stream ended, or dropped something: what was told since the last reading is not everything."""
        with self._lock:
            self._told.pop(device, None)

    def tell(self, device: str, at: datetime, ended: Iterable[NatUsage]) -> None:
        """Sessions that ended, summed per address, with all octets that they moved."""
        with self._lock:
            if (told := self._told.get(device)) is not None:
                told.rows += [
                    (at, row.address, Octets(row.bytes_in or 0, row.bytes_out or 0))
                    for row in ended
                    if row.bytes_in is not None or row.bytes_out is not None
                ]

    def since(self, books: Books, snapshot: Snapshot) -> Ended:
        """Of gateways that were followed all the time since their last reading: what ended before the new one began."""
        began = _began(snapshot)
        with self._lock:
            return {
                device: _sum(told.rows, books.gateways[device].began, began[device])
                for device, told in self._told.items()
                if device in began and device in books.gateways and told.since <= books.gateways[device].began
            }

    def settled(self, books: Books) -> None:
        """The books have it: what ended before a gateway's last reading is not needed any more."""
        with self._lock:
            for device, told in self._told.items():
                if (book := books.gateways.get(device)) is not None:
                    told.rows = [row for row in told.rows if row[0] > book.began]


def _began(snapshot: Snapshot) -> Mapping[str, datetime]:
    return {reading.device: reading.at for reading in snapshot.readings if reading.table == "nat"}


def _sum(rows: Iterable[tuple[datetime, Address, Octets]], after: datetime, until: datetime) -> dict[Address, Octets]:
    sums: dict[Address, Octets] = {}
    for at, address, octets in rows:
        if after < at <= until:
            sums[address] = sums.get(address, NOTHING) + octets
    return sums


class EndingsFollower(threading.Thread):
    """Follows one gateway's sessions as they end, until stopped; a stream that is lost is begun again after a while."""

    def __init__(
        self, gateway: str, stream: Stream, endings: Endings, clock: Callable[[], datetime], tell: Callable[..., None]
    ) -> None:
        super().__init__(name=f"endings {gateway}", daemon=True)
        self._gateway, self._stream, self._endings = gateway, stream, endings
        self._clock, self._tell = clock, tell
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except SwitchguardError as error:
                self._tell("stream lost, octets are a lower bound here", gateway=self._gateway, why=str(error))
            self._endings.lose(self._gateway)
            self._stopped.wait(AGAIN_AFTER_S)

    def stop(self) -> None:
        """Within a tick; does not wait for it."""
        self._stopped.set()

    def _follow(self) -> None:
        followed = False
        with closing(self._stream(TICK_S)) as ticks:
            for tick in ticks:
                if self._stopped.is_set():
                    return
                if tick.missed:
                    self._tell("some ends were not heard of, octets are a lower bound", gateway=self._gateway)
                if not followed or tick.missed:
                    self._endings.follow(self._gateway, self._clock())
                    followed = True
                self._endings.tell(self._gateway, self._clock(), tick.rows)
