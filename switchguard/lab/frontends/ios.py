"""IOS over SSH: `python -m switchguard.lab.frontends.ios --switch sw1 --listen 10.255.0.11:22 --state DIR`.

A shell for people and Netmiko, single commands, and SCP into flash when `ip scp server enable` is configured, which
is how NAPALM brings a candidate. To be started in the switch's network namespace.
"""

from collections.abc import Sequence
from pathlib import Path

import asyncssh

from switchguard.lab.frontends.ios_box import IosBox
from switchguard.lab.frontends.ios_session import IosSession
from switchguard.lab.frontends.ssh import SshServer, forever
from switchguard.lab.frontends.start import Options, options, run
from switchguard.lab.frontends.switch import Switch


class _Flash(asyncssh.SFTPServer):
    """What SCP may reach: files in flash, by name."""

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes], switch: Switch) -> None:
        super().__init__(chan)
        self._switch = switch

    def map_path(self, path: bytes) -> bytes:
        file = self._switch.file(path.decode(errors="replace"))
        if "ip scp server enable" not in self._switch.running:
            raise asyncssh.SFTPPermissionDenied("Administratively disabled.")
        if file is None:
            raise asyncssh.SFTPNoSuchFile("No such file or directory")
        return bytes(file)


def ssh_server(box: IosBox, passwords: dict[str, str], host_key: Path) -> SshServer:
    return SshServer(
        box.switch.name,
        passwords,
        host_key,
        lambda user, ask: IosSession(box, user, ask),
        box.reload,
        lambda channel: _Flash(channel, box.switch),
    )


async def serve(given: Options) -> None:
    box = IosBox(given.switch, given.plane, given.chassis, given.state, given.faults, given.enable_secret)
    await forever(ssh_server(box, given.passwords, given.state / "ssh_host_key"), given)


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "IOS over SSH"))


if __name__ == "__main__":
    main()
