"""A lab begins, gives back its command's status, and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from switchguard.errors import LabError
from switchguard.lab import enter
from switchguard.lab.control import Lab
from switchguard.lab.site import policy
from switchguard.lab.topology import LAB

PATIENCE_S = 20.0
SWITCHGUARD = [sys.executable, "-c", "from switchguard.cli.main import main; main()"]


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.02)


def members(namespace: str) -> set[int]:
    """Processes in this PID namespace."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "ns" / "pid") == namespace:
                found.add(int(process.name))
        except OSError:
            continue
    return found


def start(*command: str) -> tuple[subprocess.Popen[str], enter.RunningLab]:
    """A lab that is up and runs a command that says `ready`, beside the one that we may be in."""
    before = enter.running_labs()
    process = subprocess.Popen([*SWITCHGUARD, "lab", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline(), "the lab did not come up"
    (lab,) = (lab for lab in enter.running_labs() if lab not in before)
    return process, lab


@pytest.mark.lab
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_the_command_line_is_killed(running_lab: Lab, end: signal.Signals) -> None:
    process, lab = start("run", "sh", "-c", "echo ready; sleep 100")
    namespace = os.readlink(f"/proc/{lab.pid}/ns/pid")
    assert len(members(namespace)) > 10
    process.send_signal(end)
    process.communicate()
    wait_for(lambda: not members(namespace))


@pytest.mark.lab
def test_nothing_is_left_when_the_first_process_is_killed(running_lab: Lab) -> None:
    process, lab = start("run", "sh", "-c", "echo ready; sleep 100")
    namespace = os.readlink(f"/proc/{lab.pid}/ns/pid")
    os.kill(lab.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode != 0
    wait_for(lambda: not members(namespace))


@pytest.mark.lab
def test_up_stays_until_interrupted_and_can_be_attached_to(running_lab: Lab) -> None:
    process, lab = start("up")
    attach = [*SWITCHGUARD, "lab", "attach", "--pid", str(lab.pid), "sh", "-c", "ip -o -4 addr show oob; exit 7"]
    done = subprocess.run(attach, capture_output=True, text=True, check=False)
    os.kill(lab.pid, signal.SIGINT)
    process.communicate()
    assert (done.returncode, "10.255.0.1/24" in done.stdout) == (7, True)
    assert process.returncode == 0


@pytest.mark.lab
@pytest.mark.parametrize(("command", "status"), [("exit 0", 0), ("exit 5", 5), ("kill -9 $$", 137)])
def test_the_status_is_that_of_the_command(running_lab: Lab, command: str, status: int) -> None:
    assert subprocess.run([*SWITCHGUARD, "lab", "run", "sh", "-c", command], check=False).returncode == status


@pytest.mark.lab
def test_a_command_finds_its_site_and_switchguard_reads_it(running_lab: Lab) -> None:
    site = Path(os.environ["SWITCHGUARD_SITE"])
    assert (site / "switchguard.yaml").read_text() == policy(LAB)
    checked = subprocess.run([*SWITCHGUARD, "check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.lab
def test_a_reloaded_switch_is_back_at_its_startup_configuration(lab: Lab) -> None:
    for switch in LAB.switches:
        lab.reload(switch.name)
    assert {echoes.received for echoes in lab.ping_all().values()} == {1}


def test_missing_packages_are_named() -> None:
    assert enter.missing_packages("/nowhere") == sorted(set(enter.PACKAGES.values()))


def test_a_lab_that_is_not_there_cannot_be_chosen() -> None:
    with pytest.raises(LabError, match="no lab has process 1;"):
        enter.choose_lab(1)


def test_outside_of_a_lab_there_is_no_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWITCHGUARD_LAB", raising=False)
    with pytest.raises(LabError, match="switchguard lab run"):
        Lab.current()
