"""The lab's first process: builds everything, then runs a command (`run CMD…`) or waits to be stopped (`up`).

When it ends, the kernel ends everything that runs in here.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from switchguard.errors import LabError
from switchguard.lab import services, site, wires
from switchguard.lab.control import Lab
from switchguard.lab.enter import LAB_DIR, furnish, hang_on_lifeline
from switchguard.lab.topology import LAB

STOPPED = 128 + signal.SIGTERM

WELCOME = """\
The lab is up ({seconds:.1f} s): {clients} clients, {switches} switches, a gateway and an internet. Its site is {site}.
From another terminal:
  switchguard lab attach switchguard check --connect
  switchguard lab attach bash
Ctrl-C ends it and everything in it."""


def build() -> list[services.Running]:
    """The whole lab, answering, every client known to the tables. LabError says what could not be had."""
    furnish()
    os.environ["SWITCHGUARD_LAB"] = str(LAB_DIR)
    wires.lay(LAB)
    running = services.start_all(LAB)
    os.environ["SWITCHGUARD_SITE"] = str(site.write(LAB))
    Lab.current().greet()
    return running


def run(command: Sequence[str], running: Sequence[services.Running]) -> int:
    """Exit status of the command, as a shell would tell it; what died meanwhile is named on standard error."""
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        raise LabError(f"{command[0]}: {error.strerror}") from error
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = process.wait()
    for each in running:
        if each.process.poll() is not None:
            print(f"switchguard: {each.service.name} did not survive the lab", file=sys.stderr)  # noqa: T201
    return status if status >= 0 else 128 - status


def wait() -> int:
    """Until Ctrl-C; SIGTERM ends us wherever we are."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        return 0
    return STOPPED


def main(arguments: Sequence[str]) -> int:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _stop)
    hang_on_lifeline()
    try:
        running = build()
        if arguments[0] == "run":
            return run(arguments[1:], running)
    except LabError as error:
        print(f"switchguard: {error}", file=sys.stderr)  # noqa: T201  the first process has nobody above it
        return 1
    text = WELCOME.format(
        seconds=time.monotonic() - began,
        clients=len(LAB.clients),
        switches=len(LAB.switches),
        site=os.environ["SWITCHGUARD_SITE"],
    )
    print(text, flush=True)  # noqa: T201
    return wait()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
