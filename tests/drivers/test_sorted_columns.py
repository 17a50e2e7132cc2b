"""Sorted keys with amounts say the same as a Counter, in whatever portions they come."""

from collections import Counter
from importlib import import_module
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

columns: Any = import_module("switchguard.drivers._sorted_columns")

ROWS = st.lists(st.tuples(st.sampled_from([0, 1, 7, 2**63, 2**64 - 1]), st.integers(0, 2**40)), max_size=12)
PORTIONS = st.lists(ROWS, max_size=4)


@given(PORTIONS)
def test_portions_add_up_to_the_whole(portions: list[list[tuple[int, int]]]) -> None:
    keys, amounts = np.zeros(0, np.uint64), [np.zeros(0, np.int64), np.zeros(0, np.int64)]
    for portion in portions:
        more = np.array([key for key, _ in portion], np.uint64)
        further = np.array([amount for _, amount in portion], np.int64)
        more, counts, sums = columns.added_up(more, [further])
        keys, amounts = columns.united(keys, amounts, more, [counts, *sums])
    rows = [row for portion in portions for row in portion]
    occurred, summed = Counter(key for key, _ in rows), Counter[int]()
    for key, amount in rows:
        summed[key] += amount
    assert keys.tolist() == sorted(occurred)
    assert amounts[0].tolist() == [occurred[key] for key in sorted(occurred)]
    assert amounts[1].tolist() == [summed[key] for key in sorted(occurred)]


@given(ROWS)
def test_without_amounts_only_occurrences_are_counted(rows: list[tuple[int, int]]) -> None:
    keys, counts, sums = columns.added_up(np.array([key for key, _ in rows], np.uint64), [])
    assert dict(zip(keys.tolist(), counts.tolist(), strict=True)) == Counter(key for key, _ in rows)
    assert sums == []
