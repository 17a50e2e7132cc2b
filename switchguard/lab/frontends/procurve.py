"""ArubaOS-Switch over SSH: `python -m switchguard.lab.frontends.procurve --switch sw2 --listen ADDRESS:22 --state DIR`.

A shell for people and Netmiko. To be started in the switch's network namespace.
"""

from collections.abc import Sequence
from pathlib import Path

from switchguard.lab.frontends.procurve_session import ProcurveSession, procurve_switch
from switchguard.lab.frontends.ssh import SshServer, forever
from switchguard.lab.frontends.start import Options, options, run
from switchguard.lab.frontends.switch import Switch


def ssh_server(switch: Switch, passwords: dict[str, str], host_key: Path, enable_secret: str = "") -> SshServer:
    return SshServer(
        switch.name,
        passwords,
        host_key,
        lambda _user, ask: ProcurveSession(switch, enable_secret, ask),
        switch.reload,
    )


async def serve(given: Options) -> None:
    switch = procurve_switch(given.switch, given.plane, given.chassis, given.state, given.faults)
    await forever(ssh_server(switch, given.passwords, given.state / "ssh_host_key", given.enable_secret), given)


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "ArubaOS-Switch over SSH"))


if __name__ == "__main__":
    main()
