"""Configuration sessions on EOS: the names of ours, and those that nobody will ever finish.

EOS keeps a pending session until somebody commits or aborts it, and NAPALM changes nothing as long as one is pending.
So a process that is killed between loading and committing would lock out every later one. Ours are named after the host
and the process that opened them; when that process is gone, or has given the session up because the switch did not
answer, the session may go.
"""

import os
import re
import socket
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

_NUMBERS = count(1)
_in_use: set[str] = set()
"""Of this process."""
_OURS = re.compile(r"switchguard-(?P<host>[A-Za-z0-9]+)-(?P<pid>\d+)-(?P<start>\d+)-\d+")

Start = Callable[[int], int | None]
"""Process number -> when that process started, None if there is none or nobody tells."""


def start_of(pid: int) -> int | None:
    """In clock ticks since boot: two processes with the same number differ in it (proc(5), field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def new_name() -> str:
    """To be used once, and given up: EOS does not open a completed session again."""
    pid = os.getpid()
    name = f"switchguard-{_host()}-{pid}-{start_of(pid) or 0}-{next(_NUMBERS)}"
    _in_use.add(name)
    return name


def give_up(name: str | None) -> None:
    """This process does nothing more in a session, whatever became of it."""
    _in_use.discard(name or "")


def abandoned(names: Iterable[str], start: Start = start_of) -> tuple[str, ...]:
    """Sessions of processes of this host that run no more, and of this one that it has given up. None where /proc does
    not tell: better wait for somebody than abort a session that is in use."""
    if start(os.getpid()) is None:
        return ()
    ours = ((name, found) for name in names if (found := _OURS.fullmatch(name)) and found["host"] == _host())
    return tuple(name for name, found in ours if not _runs(name, int(found["pid"]), int(found["start"]), start))


def _runs(name: str, pid: int, began: int, start: Start) -> bool:
    return start(pid) == began and (pid != os.getpid() or name in _in_use)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:16] or "host"
