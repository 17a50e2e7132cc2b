"""switchguard on the gateway itself: netlink against `conntrack`, on a real kernel in namespaces of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

INSIDE = Path(__file__).with_name("inside_kernel.py")
NAMESPACES = ["unshare", "--user", "--map-root-user", "--net"]


def inside(what: str) -> Any:
    """What inside_kernel.py says; the test is skipped where this machine permits no such namespaces."""
    if subprocess.run([*NAMESPACES, "nft", "list", "tables"], capture_output=True).returncode:
        pytest.skip("no permission for a network namespace with nftables")
    done = subprocess.run(
        [*NAMESPACES, sys.executable, str(INSIDE), what], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_netlink_and_text_say_the_same_of_a_real_table() -> None:
    found = inside("compare")
    assert found["kernel"] == found["text"]
    assert set(found["kernel"]) == {"10.0.0.7", "10.1.0.1", "10.1.0.2", "10.1.0.3", "fd00::7", "fd00:1::1", "fd00:1::2"}


def test_only_the_sessions_of_the_address_are_deleted() -> None:
    found = inside("clear")
    assert found["gone"] == 15
    assert found["after"] == {
        who: count for who, count in found["before"].items() if who not in ("10.1.0.1", "fd00:1::1")
    }


def test_every_session_is_heard_when_it_begins_and_when_it_ends() -> None:
    found = inside("events")
    assert found["begun"] == {"10.0.0.7": 200, "fd00::7": 100}
    assert found["ended"] == {"10.0.0.7": 200, "fd00::7": 100, "10.0.0.8": 50}


def test_the_octets_of_sessions_between_two_polls_are_counted() -> None:
    assert inside("events")["octets"] == {"10.0.0.7": 200 * 128, "fd00::7": 100 * 148, "10.0.0.8": 50 * 1000}


def test_a_stream_that_could_not_be_followed_says_so_and_goes_on() -> None:
    found = inside("overflow")
    assert "more sessions came than could be followed" in found["missed"]
    assert 0 < found["heard"] < 1000
    assert found["afterwards"] == {"10.0.0.9": 5}
