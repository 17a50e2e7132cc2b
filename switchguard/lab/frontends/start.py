"""How every front end is started: whose it is, where it listens, where its files are."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from switchguard.core.model import Mac
from switchguard.errors import LabError
from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane, Neighbor
from switchguard.lab.plane import open_plane
from switchguard.lab.topology import LAB, PASSWORD, USERNAME, Switch

ENABLE = "enable"
"""The name in the credentials file whose password is the enable secret."""


@dataclass(frozen=True, slots=True)
class Options:
    switch: str
    host: str
    port: int
    state: Path
    plane: ForwardingPlane
    chassis: Chassis
    faults: Faults
    passwords: dict[str, str]
    enable_secret: str


def options(arguments: Sequence[str] | None, description: str) -> Options:
    """From the command line and $SWITCHGUARD_LAB. LabError for credentials that are no `user:password` lines."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--switch", required=True, help="name of the switch in the lab")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR", help="flash, startup configuration, keys")
    given = parser.parse_args(arguments)
    host, _, port = given.listen.rpartition(":")
    passwords = credentials(given.state / "credentials")
    lab = os.environ.get("SWITCHGUARD_LAB")
    switch = LAB.switch(given.switch)
    return Options(
        switch=given.switch,
        host=host.strip("[]"),
        port=int(port),
        state=given.state,
        plane=open_plane(given.switch),
        chassis=chassis(switch),
        faults=Faults(Path(lab) / "faults" if lab else None, given.switch),
        enable_secret=passwords.pop(ENABLE, ""),
        passwords=passwords,
    )


def chassis(switch: Switch) -> Chassis:
    port_macs = {port.name: Mac.parse(port.mac) for port in switch.ports}
    return Chassis(Mac.parse(switch.bridge_mac), port_macs, tuple(_neighbors(switch)))


def _neighbors(switch: Switch) -> Iterator[Neighbor]:
    """Switches, the gateway and telephones speak LLDP; clients do not."""
    switches = {each.name: each for each in LAB.switches}
    for port in switch.ports:
        if port.peer in switches:
            yield Neighbor(port.short, port.long, port.peer, switches[port.peer].port_to(switch.name).short, "B")
        elif port.peer == LAB.gateway.name:
            yield Neighbor(port.short, port.long, port.peer, port.peer_interface, "R")
        elif port.name in switch.telephones:
            yield Neighbor(port.short, port.long, f"SEP02{b'tel'.hex().upper()}00{port.number:02X}", "Port 1", "B,T")


def credentials(path: Path) -> dict[str, str]:
    """Lines `user:password`; without the file, the lab's own account."""
    if not path.exists():
        return {USERNAME: PASSWORD}
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    if not all(":" in line for line in lines):
        raise LabError(f"{path}: expected lines like user:password")
    return {user: password for user, _, password in (line.partition(":") for line in lines)}


def run(serve: Callable[[Options], Awaitable[None]], given: Options) -> None:
    """Until somebody ends the process."""

    async def forever() -> None:
        await serve(given)

    asyncio.run(forever())
