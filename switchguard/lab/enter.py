"""The way into the lab: namespaces of its own for processes, files and network, as root or as an ordinary user.

The lab's first process is process 1 of its own PID namespace. When it ends, for whatever reason, the kernel ends
everything else in there and takes the namespaces down: nothing can be left behind. Files live on a tmpfs that only the
lab sees.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from switchguard.errors import LabError
from switchguard.lab.kernel import CAP_SYS_ADMIN, NAMED, effective_capabilities
from switchguard.lab.topology import USERNAME

LAB_DIR = Path("/run/lab")
"""As the lab's own processes see it."""

FIRST_PROCESS = "switchguard.lab"
LIFELINE = "SWITCHGUARD_LIFELINE"
"""Environment variable with the file descriptor whose end is the lab's end."""
ATTACHED_PROCESS = "switchguard.lab.attach"

PACKAGES: Mapping[str, str] = {
    "unshare": "util-linux",
    "mount": "util-linux",
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "iperf3": "iperf3",
    "snmpd": "snmpd",
    "snmpset": "snmp",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ssh-keyscan": "openssh-client",
    "ovs-vswitchd": "openvswitch-switch",
    "ovs-vsctl": "openvswitch-switch",
}
"""Program -> the Debian or Ubuntu package that brings it."""

ORPHANED = 128 + signal.SIGHUP
"""Exit status of a first process that nobody waits for any more."""

_PASSWORD_HASH = "$6$switchguard$XBJkpNE2ccjOZoxr8ym7GLGWyUjoPnKv1/I/2Pi/7tJC67HVd3gky3m7llJUu95tMM/CHd6pjGFM5TKexou990"  # noqa: S105
"""SHA-512 crypt(5) of topology.PASSWORD."""


def search_path() -> str:
    """PATH with switchguard itself, and with the administrators' directories, which an ordinary user has not in it."""
    own = str(Path(sys.executable).parent)
    return os.pathsep.join((own, os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def enter(arguments: Sequence[str]) -> int:
    """Have a lab that does `run CMD…` or `up`, and give back its exit status. LabError says what the machine lacks.

    The lab lives as long as this process: it holds a pipe that the lab's first process listens to.
    """
    check_programs()
    check_namespaces()
    listening, lifeline = os.pipe()
    environment = os.environ | {"PATH": search_path(), LIFELINE: str(listening)}
    command = [*_unshare(), sys.executable, "-m", FIRST_PROCESS, *arguments]
    process = subprocess.Popen(command, env=environment, pass_fds=[listening])
    os.close(listening)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # those inside hear it as well, and end in their own way
    status = process.wait()
    os.close(lifeline)
    return status if status >= 0 else 128 - status


def missing_packages(path: str) -> list[str]:
    """Packages that would have to be installed, judging from what is in the directories of `path`."""
    return sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=path)})


def check_programs() -> None:
    """LabError names every missing package and the one command that installs them."""
    missing = missing_packages(search_path())
    if missing:
        raise LabError(f"the lab needs {', '.join(missing)}; install with: sudo apt install {' '.join(missing)}")


def check_namespaces() -> None:
    """LabError if the kernel does not let us have namespaces of our own."""
    tried = subprocess.run(
        [*_unshare(), "true"], capture_output=True, text=True, check=False, env={"PATH": search_path()}
    )
    if tried.returncode == 0:
        return
    why = tried.stderr.strip()
    if os.geteuid() == 0:
        raise LabError(f"this system does not let even root create namespaces (a container?): {why}")
    raise LabError(
        f"this system forbids user namespaces to ordinary users: {why}. Run the lab as root, or allow them: "
        "sysctl kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
    )


def _unshare() -> list[str]:
    """Users keep their own uid and all capabilities: as uid 0 of a user namespace sshd's setgroups(2) would fail."""
    as_user = [] if CAP_SYS_ADMIN in effective_capabilities() else ["-U", "--map-current-user", "--keep-caps"]
    return ["unshare", *as_user, "-nmpuf", "--kill-child", "--mount-proc"]


# --- inside ----------------------------------------------------------------------------------------------------------


def furnish() -> None:
    """First thing inside: a /run of our own, and the accounts that sshd needs. Nothing of this reaches the host."""
    _mount("-t", "tmpfs", "-o", "size=256m,mode=755", "tmpfs", "/run")
    NAMED.mkdir()
    Path("/run/sshd").mkdir(mode=0o755)
    for part in ("etc", "home", "log", "faults", "ovs", "state", "site"):
        (LAB_DIR / part).mkdir(parents=True)
    etc, uid, gid = LAB_DIR / "etc", os.geteuid(), os.getegid()
    passwd = Path("/etc/passwd").read_text() + f"{USERNAME}:x:{uid}:{gid}::{LAB_DIR / 'home'}:/bin/bash\n"
    (etc / "passwd").write_text(passwd)
    (etc / "shadow").write_text(f"{USERNAME}:{_PASSWORD_HASH}:19000::::::\n")
    (etc / "group").write_text(Path("/etc/group").read_text() if uid == 0 else _with_own_tty(gid))
    for name in ("passwd", "shadow", "group"):
        _mount("--bind", str(etc / name), f"/etc/{name}")


def hang_on_lifeline() -> None:
    """End this process, and with it the lab, when the one that asked for the lab is gone, however it went."""
    descriptor = int(os.environ.pop(LIFELINE))
    os.set_inheritable(descriptor, False)

    def listen() -> None:
        os.read(descriptor, 1)
        os._exit(ORPHANED)

    threading.Thread(target=listen, daemon=True).start()


def _with_own_tty(gid: int) -> str:
    """sshd gives a terminal to group tty, which in a user namespace can only be our own group."""
    lines = Path("/etc/group").read_text().splitlines()
    return "\n".join(f"tty:x:{gid}:" if line.startswith("tty:") else line for line in lines) + "\n"


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"mount {' '.join(words)}: {done.stderr.strip()}")


# --- from outside ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunningLab:
    """`pid` is the first process as the host numbers it; `arguments` is what it was started with."""

    pid: int
    arguments: tuple[str, ...]


def running_labs() -> list[RunningLab]:
    """Labs of this user (root: of everybody), from /proc; a lab keeps no record that could outlive it."""
    found = (_lab_at(Path(entry)) for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)))
    return [lab for lab in found if lab]


def choose_lab(pid: int | None) -> RunningLab:
    """The lab with this first process, or the only one. LabError lists those there are."""
    labs = running_labs()
    chosen = [lab for lab in labs if pid in (None, lab.pid)]
    if len(chosen) == 1:
        return chosen[0]
    there_are = ", ".join(f"{lab.pid} ({' '.join(lab.arguments)})" for lab in labs) or "none"
    if not chosen:
        asked = "no lab is running" if pid is None else f"no lab has process {pid}"
        raise LabError(f"{asked}; there are: {there_are}. Start one with: switchguard lab up")
    raise LabError(f"several labs are running; choose one with --pid: {there_are}")


def attach(lab: RunningLab, command: Sequence[str]) -> NoReturn:
    """Become `command` inside a running lab. A fresh interpreter enters, since a process with threads may not."""
    words = [sys.executable, "-m", ATTACHED_PROCESS, str(lab.pid), *command]
    os.execvpe(words[0], words, os.environ | {"PATH": search_path()})  # noqa: S606  no shell is wanted


def _lab_at(process: Path) -> RunningLab | None:
    """The lab whose first process this is. Processes that end or that we may not look at are none of ours."""
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        if words[1:3] != ["-m", FIRST_PROCESS]:
            return None
        levels = next(line for line in (process / "status").read_text().splitlines() if line.startswith("NSpid:"))
        os.stat(process / "ns" / "net")
    except (OSError, StopIteration):
        return None
    return RunningLab(int(process.name), tuple(words[3:])) if levels.split()[-1] == "1" else None
