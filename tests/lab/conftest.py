"""Tests of the lab and with the lab: `switchguard lab run pytest tests/lab -m lab`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, own_site

from switchguard.lab.control import Lab


@pytest.fixture(scope="session")
def running_lab() -> Lab:
    """The lab that pytest runs in, as the tests before left it."""
    if "SWITCHGUARD_LAB" not in os.environ:
        pytest.skip("not inside a lab; run: switchguard lab run pytest tests/lab -m lab")
    return Lab.current()


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    """The lab as it is just after `lab up`, with every client known to the tables."""
    running_lab.reset()
    running_lab.greet()
    yield running_lab
    running_lab.quiet()


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Desk:
    """A site of one's own in such a lab."""
    return own_site(lab, tmp_path / "site")


@pytest.fixture
def heeded_ctrl_c() -> Iterator[None]:
    """Commands listen to SIGINT, although a shell in the background starts its own with that signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
