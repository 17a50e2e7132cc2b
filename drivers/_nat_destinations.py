"""Columns of a translation table -> the remote networks and ports that most of it leads to, no object per row.

A remote network is a /24, or a /48 of IPv6: what one provider or one site commonly has. With the port it fits into one
number of 64 bits, so that equal pairs are found by sorting. Told are those with most sessions, and those with most
octets where the table counts them: an incident of either sort is then among them.
"""

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from switchguard.core.model import Destination

from ._sorted_columns import added_up, united

if TYPE_CHECKING:
    from ._nat_columns import Batch

BY_SESSIONS, BY_OCTETS = 15, 5
"""How many are told. Who is among both counts once."""
_FOLD_AT = 1 << 18
"""Rows that may wait before equal pairs are added up: 4 MB."""


@dataclass
class Destinations:
    """Adds up rows of one address family. Memory follows the variety of networks and ports, not the rows."""

    wide: bool = False
    """IPv6."""
    counted: bool = False
    """Whether any row told its octets."""
    _keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    _sessions: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _octets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _waiting: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = field(default_factory=list)
    _size: int = 0

    def add(self, batch: "Batch") -> None:
        remote = batch.remote
        self.wide = remote.high is not None
        network = remote.low >> np.uint64(8) if remote.high is None else remote.high >> np.uint64(16)
        octets = np.maximum(batch.sent, 0) + np.maximum(batch.received, 0)
        self.counted = self.counted or bool((batch.sent >= 0).any() or (batch.received >= 0).any())
        self._waiting.append((network << np.uint64(16) | np.maximum(batch.port, 0).astype(np.uint64), octets))
        self._size += len(octets)
        if self._size >= _FOLD_AT:
            self._fold()

    def _fold(self) -> None:
        keys, octets = (np.concatenate(columns) for columns in zip(*self._waiting, strict=True))
        self._waiting, self._size = [], 0
        keys, sessions, (octets,) = added_up(keys, [octets])
        self._keys, (self._sessions, self._octets) = united(
            self._keys, [self._sessions, self._octets], keys, [sessions, octets]
        )

    def told(self, device: str) -> tuple[Destination, ...]:
        """By sessions, most first."""
        if self._waiting:
            self._fold()
        chosen = _largest(self._sessions, BY_SESSIONS)
        if self.counted:
            chosen = np.union1d(chosen, _largest(self._octets, BY_OCTETS))
        return tuple(sorted((self._destination(device, row) for row in chosen.tolist()), key=busiest_first))

    def _destination(self, device: str, row: int) -> Destination:
        network, port = divmod(int(self._keys[row]), 1 << 16)
        octets = int(self._octets[row]) if self.counted else None
        place = ip_network((network << 80, 48) if self.wide else (network << 8, 24))
        return Destination(place, port or None, int(self._sessions[row]), octets, device)


def busiest_first(it: Destination) -> tuple[int, int, int, int]:
    return -it.sessions, it.network.version, int(it.network.network_address), it.port or 0


def _largest(amounts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Where they are. Of equal ones, those with the lower network and port."""
    if len(amounts) <= most:
        return np.arange(len(amounts))
    least = np.partition(amounts, -most)[-most]
    above, equal = np.flatnonzero(amounts > least), np.flatnonzero(amounts == least)
    return np.concatenate([above, equal[: most - len(above)]])
