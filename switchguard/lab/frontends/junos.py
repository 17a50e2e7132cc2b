"""Junos over SSH: `python -m switchguard.lab.frontends.junos --switch sw1 --listen 10.255.0.11:22 --state DIR`.

A command line for people and Netmiko, and the subsystem `netconf` for NAPALM, both on one port, as a device has them on
port 22 with `set system services netconf ssh`. To be started in the switch's network namespace.
"""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import asyncssh

from switchguard.lab.frontends.junos_box import JunosBox
from switchguard.lab.frontends.junos_cli import JunosCli
from switchguard.lab.frontends.junos_netconf import NetconfSession
from switchguard.lab.frontends.ssh import SshServer, forever
from switchguard.lab.frontends.start import Options, options, run


class _Channel:
    """A channel of SSH as NETCONF wants it."""

    def __init__(self, process: asyncssh.SSHServerProcess[str]) -> None:
        self._process = process

    async def read(self) -> str:
        text = await self._process.stdin.read(4096)
        if not text:
            raise EOFError
        return text

    def write(self, text: str) -> None:
        self._process.stdout.write(text)


def ssh_server(box: JunosBox, passwords: dict[str, str], host_key: Path) -> SshServer:
    numbers = count(1)

    async def netconf(process: asyncssh.SSHServerProcess[str]) -> None:
        await NetconfSession(box, _Channel(process), next(numbers)).converse()
        process.exit(0)

    return SshServer(
        box.name,
        passwords,
        host_key,
        lambda user, _: JunosCli(box, user),
        box.reload,
        subsystems={"netconf": netconf},
    )


async def serve(given: Options) -> None:
    box = JunosBox(given.switch, given.plane, given.chassis, given.state, given.faults)
    await forever(ssh_server(box, given.passwords, given.state / "ssh_host_key"), given)


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "Junos over SSH"))


if __name__ == "__main__":
    main()
