"""A reception in a site directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from reception import Reception


@pytest.fixture
def reception(tmp_path: Path) -> Iterator[Reception]:
    opened = Reception(tmp_path)
    yield opened
    opened.ledger.close()
