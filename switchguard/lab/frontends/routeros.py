"""RouterOS over SSH: `python -m switchguard.lab.frontends.routeros --switch sw1 --listen 10.255.0.11:22 --state DIR`.

A console for people and Netmiko. To be started in the switch's network namespace.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.routeros_box import RouterosBox
from switchguard.lab.frontends.routeros_console import Console
from switchguard.lab.frontends.ssh import SshServer, forever
from switchguard.lab.frontends.start import Options, options, run

_CHANGES = re.compile(r" (?:add|remove|set) ")


class RouterosSession:
    """One login. Every line that changes something takes effect by itself: there is nothing to commit or to save."""

    def __init__(self, box: RouterosBox, user: str) -> None:
        self._box, self._user = box, user.partition("+")[0]
        self._console = Console(lambda: box.lists, box.install, box.answers())
        self.over = False

    @property
    def prompt(self) -> str:
        return f"[{self._user}@{self._box.name}] > "

    async def answer(self, line: str) -> str:
        await self._box.faults.mute()
        typed = line.strip()
        if typed == "quit":
            self.over = True
            return "interrupted\n"
        if not _CHANGES.search(typed):
            return self._console.run(typed)
        fault = await self._box.faults.before_commit()
        if fault is Fault.REFUSE_COMMIT:
            return "failure: not enough permissions (9)\n"
        if fault is Fault.IGNORE_COMMIT:
            return ""
        said = self._console.run(typed)
        self._box.faults.amid_commit()
        self._box.faults.after_commit()
        return said


class RouterosServer(SshServer):
    def accepts(self, username: str, password: str) -> bool:
        """What follows a plus are wishes about the terminal, not a part of the name (SSH, console login options)."""
        return super().accepts(username.partition("+")[0], password)


def ssh_server(box: RouterosBox, passwords: dict[str, str], host_key: Path) -> SshServer:
    return RouterosServer(box.name, passwords, host_key, lambda user, _ask: RouterosSession(box, user), box.reload)


async def serve(given: Options) -> None:
    box = RouterosBox(given.switch, given.plane, given.chassis, given.state, given.faults)
    await forever(ssh_server(box, given.passwords, given.state / "ssh_host_key"), given)


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "RouterOS over SSH"))


if __name__ == "__main__":
    main()
