"""When the whole translation table is worth reading now."""

import pytest

from switchguard.core.model import NatSize
from switchguard.core.surge import surge


def test_the_first_size_of_a_gateway_is_no_jump() -> None:
    assert surge(None, NatSize("gw", 5000, 65536)) is None


def test_hundreds_more_at_once_are_a_jump() -> None:
    why = surge(NatSize("gw", 400, 65536), NatSize("gw", 900, 65536))
    assert why == "gw: 500 translations more than at the last look (900 now)"


@pytest.mark.parametrize(("before", "now"), [(400, 599), (50_000, 50_900), (900, 400), (400, 400)])
def test_ordinary_breathing_is_none(before: int, now: int) -> None:
    assert surge(NatSize("gw", before, 65536), NatSize("gw", now, 65536)) is None


def test_a_nearly_full_table_is_read_at_every_look() -> None:
    full = NatSize("gw", 13_200, 16_384)
    assert surge(full, full) == "gw: 13,200 of 16,384 translations, 81% full"


def test_without_a_ceiling_only_growth_counts() -> None:
    huge = NatSize("gw", 1_000_000, None)
    assert surge(huge, huge) is None
