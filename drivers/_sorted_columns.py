"""Sorted keys with amounts beside them: counted once, and united later without sorting them again."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Amounts = NDArray[np.int64]
_Number = TypeVar("_Number", np.uint64, np.int64)


def added_up(keys: Keys, amounts: Sequence[Amounts]) -> tuple[Keys, Amounts, list[Amounts]]:
    """Distinct keys in ascending order, how often each occurred, and the sums of its amounts."""
    if not keys.size:
        return keys, np.zeros(0, np.int64), list(amounts)
    # To sort keys alone takes a fifth of the time that it takes to find their order.
    order = np.argsort(keys) if amounts else np.zeros(0, np.int64)
    keys = keys[order] if amounts else np.sort(keys)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    counts = np.diff(starts, append=keys.size)
    return keys[starts], counts, [np.add.reduceat(column[order], starts) for column in amounts]


def united(
    keys: Keys, amounts: Sequence[Amounts], more: Keys, further: Sequence[Amounts]
) -> tuple[Keys, list[Amounts]]:
    """Two of these as one. The first one's amounts are changed in place where both have a key."""
    if not keys.size:
        return more, list(further)
    at = np.searchsorted(keys, more)
    known = keys.take(at, mode="clip") == more
    for column, added in zip(amounts, further, strict=True):
        column[at[known]] += added[known]
    new = np.flatnonzero(~known)
    if not new.size:
        return keys, list(amounts)
    places = at[new] + np.arange(new.size)
    stay = np.ones(keys.size + new.size, np.bool_)
    stay[places] = False
    columns = [_merged(old, added[new], places, stay) for old, added in zip(amounts, further, strict=True)]
    return _merged(keys, more[new], places, stay), columns


def _merged(old: NDArray[_Number], new: NDArray[_Number], places: Amounts, stay: NDArray[np.bool_]) -> NDArray[_Number]:
    column = np.empty(stay.size, old.dtype)
    column[places], column[stay] = new, old
    return column
