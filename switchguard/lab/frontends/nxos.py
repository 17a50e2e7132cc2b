"""NX-OS over SSH: `python -m switchguard.lab.frontends.nxos --switch core --listen 10.255.0.2:22 --state DIR`.

A shell for people, Netmiko and NAPALM's nxos_ssh; and NX-API on the usual port of HTTPS, for the same switch. To be
started in the switch's network namespace.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from switchguard.lab.frontends.certificate import self_signed, showing
from switchguard.lab.frontends.nxos_api import PORT, NxosApi
from switchguard.lab.frontends.nxos_session import NxosSession, nxos_switch
from switchguard.lab.frontends.ssh import SshServer, forever
from switchguard.lab.frontends.start import Options, options, run
from switchguard.lab.frontends.switch import Switch


def ssh_server(
    switch: Switch, passwords: dict[str, str], host_key: Path, restart: Callable[[], None] | None = None
) -> SshServer:
    return SshServer(
        switch.name, passwords, host_key, lambda _user, _ask: NxosSession(switch), restart or switch.reload
    )


async def serve(given: Options) -> None:
    switch = nxos_switch(given.switch, given.plane, given.chassis, given.state, given.faults)
    api = NxosApi(switch, given.passwords)
    await api.start(given.host, PORT, showing(self_signed(given.state, given.switch)))

    def restart() -> None:
        switch.reload()
        api.cut()

    await forever(ssh_server(switch, given.passwords, given.state / "ssh_host_key", restart), given)


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "NX-OS over SSH and NX-API"))


if __name__ == "__main__":
    main()
