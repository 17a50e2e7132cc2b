"""NX-OS over SSH: `python -m switchguard.lab.frontends.nxos --switch core --listen 10.255.0.2:22 --state DIR`.

A shell for people, Netmiko and NAPALM's nxos_ssh. To be started in the switch's network namespace.
"""

from collections.abc import Sequence
from pathlib import Path

from switchguard.lab.frontends.nxos_session import NxosSession, nxos_switch
from switchguard.lab.frontends.ssh import SshServer, forever
from switchguard.lab.frontends.start import Options, options, run
from switchguard.lab.frontends.switch import Switch


def ssh_server(switch: Switch, passwords: dict[str, str], host_key: Path) -> SshServer:
    return SshServer(switch.name, passwords, host_key, lambda _user, _ask: NxosSession(switch), switch.reload)


async def serve(given: Options) -> None:
    switch = nxos_switch(given.switch, given.plane, given.chassis, given.state, given.faults)
    await forever(ssh_server(switch, given.passwords, given.state / "ssh_host_key"), given)


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "NX-OS over SSH"))


if __name__ == "__main__":
    main()
