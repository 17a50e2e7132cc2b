"""A command inside a running lab: `python -m switchguard.lab.attach PID CMD…`, PID being the lab's first process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from switchguard.errors import LabError
from switchguard.lab.enter import LAB_DIR
from switchguard.lab.kernel import CLONE_NEW, keep_capabilities, setns


def attach(pid: int, command: list[str]) -> int:
    """Exit status of the command. LabError if the lab is gone or is somebody else's, or there is no such command."""
    here = Path.cwd()
    try:
        own_user = _foreign(pid, "user")
        descriptor = os.pidfd_open(pid)
        setns(descriptor, sum(flag for kind, flag in CLONE_NEW.items() if _foreign(pid, kind)))
        if own_user:
            keep_capabilities()
    except OSError as error:
        raise LabError(f"cannot enter the lab of process {pid}: {error}") from error
    environment = os.environ | {"SWITCHGUARD_LAB": str(LAB_DIR), "SWITCHGUARD_SITE": str(LAB_DIR / "site")}
    try:
        process = subprocess.Popen(command, cwd=here, env=environment)
    except OSError as error:
        raise LabError(f"{command[0]}: {error.strerror}") from error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears it as well
    return process.wait()


def _foreign(pid: int, kind: str) -> bool:
    """Whether the process is in another namespace of this kind than we are; entering one's own is an error."""
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino != os.stat(f"/proc/self/ns/{kind}").st_ino


if __name__ == "__main__":
    try:
        status = attach(int(sys.argv[1]), sys.argv[2:])
    except LabError as error:
        sys.exit(f"switchguard: {error}")
    sys.exit(status if status >= 0 else 128 - status)
