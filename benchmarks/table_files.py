"""Conntrack tables as files, and mawk's count of them per client: what the readers are measured against."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GENERATE = Path(__file__).parents[1] / "tests/drivers/generate_conntrack.py"
COUNT = r"""
# Per client: mappings, distinct remote hosts, distinct remote ports, tcp, udp, idle.
{
    at = $3 == "tcp" ? 7 : 6
    client = $at
    if (substr(client, 1, 4) != "src=") next
    remote = $(at + 1)
    mappings[client]++
    if (!((client, remote) in met)) { met[client, remote]; hosts[client]++ }
    silent = index($0, "[UNREPLIED]") > 0
    if ($3 == "tcp") {
        tcp[client]++
        silent = silent || $6 != "ESTABLISHED" || $5 < 431400
    } else if ($3 == "udp") udp[client]++
    idle[client] += silent
    port = $(at + 3)
    if (substr(port, 1, 6) == "dport=" && !((client, port) in used)) { used[client, port]; ports[client]++ }
}
END { for (c in mappings) print c, mappings[c], hosts[c], ports[c], tcp[c] + 0, udp[c] + 0, idle[c] + 0 }
"""


def write_table(file: Path, lines: int) -> None:
    with file.open("wb") as out:
        subprocess.run([sys.executable, GENERATE, str(lines)], stdout=out, check=True)


def mawk(file: Path) -> list[str]:
    if shutil.which("mawk") is None:
        raise SystemExit("mawk is what this is measured against: apt install mawk")
    return ["mawk", COUNT, str(file)]


def as_installed(bytecode: Path) -> Mapping[str, str]:
    """The environment of a process whose bytecode is kept, as pip leaves it, wherever this one keeps its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(bytecode), "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: seconds of the clock, seconds of processors, megabytes at most."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def cost_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """CalledProcessError if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(wall_s, _cpu_s(used), used.ru_maxrss / 1024)


def _cpu_s(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime
