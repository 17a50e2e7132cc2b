"""One process at a time changes a device; whoever waits in vain is told for whom."""

import subprocess
import sys
from pathlib import Path

import pytest

from switchguard.edge.turns import Alone, Turns
from switchguard.errors import AlreadyRunning, Busy

HOLDER = """
import sys
from pathlib import Path
from switchguard.edge.turns import Turns

with Turns(Path(sys.argv[1]), "process 4711 (switchguard run)").take("core1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def impatient(folder: Path) -> Turns:
    """Waits a second by a clock that only its own sleep moves."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Turns(folder, "somebody else", 1.0, sleep, lambda: now[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db.locks"


def test_a_device_that_another_process_changes_is_waited_for_and_then_left_to_it(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Busy) as told, impatient(folder).take("core1"):
            pass
        holder.kill()
    assert str(told.value) == "core1: process 4711 (switchguard run) is changing it; we waited 1 s"
    with impatient(folder).take("core1"):
        """Whoever was killed holds nothing any more."""


def test_two_devices_do_not_wait_for_each_other(folder: Path) -> None:
    turns = impatient(folder)
    with turns.take("core1"), turns.take("core2"):
        assert sorted(file.name for file in folder.iterdir()) == ["core1", "core2"]


def test_a_turn_ends_with_its_block(folder: Path) -> None:
    turns = impatient(folder)
    for _ in range(2):
        with turns.take("core1"):
            pass


def test_two_threads_of_one_process_take_turns_too(folder: Path) -> None:
    turns = impatient(folder)
    with turns.take("core1"), pytest.raises(Busy), turns.take("core1"):
        pass


def test_a_name_with_a_slash_is_a_file_like_any_other(folder: Path) -> None:
    with impatient(folder).take("../sw/1"):
        assert [file.name for file in folder.iterdir()] == ["..%2Fsw%2F1"]


def test_a_folder_that_cannot_be_made_keeps_us_from_the_device(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(Busy, match=r"its lock .* cannot be opened: Not a directory"),
        impatient(tmp_path / "file" / "locks").take("core1"),
    ):
        pass


def test_without_a_folder_nobody_waits() -> None:
    turns = Turns(None, "somebody")
    with turns.take("core1"), turns.take("core1"):
        pass


# --- one service -----------------------------------------------------------------------------------------------------

SERVICE = """
import sys
from pathlib import Path
from switchguard.edge.turns import Alone

Alone(Path(sys.argv[1]), "process 4711 (switchguard run)").take()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_service_is_refused_with_the_name_of_the_first_until_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "state" / "ledger.db.run"
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=r"process 4711 \(switchguard run\) runs with this ledger already"):
            Alone(file, "process 4712").take()
        first.kill()
    later = Alone(file, "process 4712")
    later.take()
    later.leave()


def test_a_service_that_leaves_makes_room(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db.run"
    first, second = Alone(file, "first"), Alone(file, "second")
    first.take()
    first.take()
    with pytest.raises(AlreadyRunning, match="first runs"):
        second.take()
    first.leave()
    second.take()
    second.leave()


def test_where_there_is_no_place_beside_the_ledger_nobody_is_refused() -> None:
    for who in ("first", "second"):
        Alone(None, who).take()
