"""VyOS over SSH: `python -m switchguard.lab.frontends.vyos --listen 10.255.0.2:22 --state DIR`.

To be started in the gateway's network namespace: the kernel there is the router's.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.ssh import SshServer
from switchguard.lab.frontends.start import credentials
from switchguard.lab.frontends.vyos_box import VyosBox, in_kernel
from switchguard.lab.frontends.vyos_session import VyosSession
from switchguard.lab.topology import LAB


def ssh_server(box: VyosBox, passwords: dict[str, str], host_key: Path) -> SshServer:
    return SshServer(box.name, passwords, host_key, lambda user, _ask: VyosSession(box, user), box.reload)


def preset() -> tuple[str, ...]:
    """What an administrator typed before us."""
    gateway = LAB.gateway
    lans = (f"interfaces ethernet lan{vlan} address {address}" for vlan, address in gateway.lans.items())
    return (f"system host-name {gateway.name}", *lans)


async def _serve(host: str, port: int, state: Path, faults: Faults) -> None:
    box = VyosBox(LAB.gateway.name, preset(), state, faults, in_kernel)
    server = ssh_server(box, credentials(state / "credentials"), state / "ssh_host_key")
    await server.start(host, port)
    while True:
        await faults.reload_asked()
        server.reload()
        faults.reload_done()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="VyOS over SSH")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR", help="startup configuration, keys")
    given = parser.parse_args(arguments)
    host, _, port = given.listen.rpartition(":")
    lab = os.environ.get("SWITCHGUARD_LAB")
    faults = Faults(Path(lab) / "faults" if lab else None, LAB.gateway.name)
    asyncio.run(_serve(host, int(port), given.state, faults))


if __name__ == "__main__":
    main()
