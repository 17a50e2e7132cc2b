"""Switches to push to: the lab's front ends of EOS (eAPI) and IOS (SSH) on loopback, over ports that nobody is behind.

`python -m benchmarks.front_ends --eos 10 --ios 10 --folder DIR` prints one line of JSON, {"arista_eos": [port, ...],
"cisco_ios": [...]}, and serves until its standard input is closed. `--slow` seconds are what each commit takes besides.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from switchguard.core.model import Mac
from switchguard.lab.frontends.eos import EosServer
from switchguard.lab.frontends.eos_box import EosBox
from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.ios import ssh_server
from switchguard.lab.frontends.ios_box import IosBox
from switchguard.lab.frontends.switch import Chassis
from switchguard.lab.plane import FdbRow, PlaneState, PortRow

USER, PASSWORD, VLAN, PORTS = "netadmin", "lab-only", 10, 24


class Unplugged:
    """A forwarding plane that takes whatever it is told, `slow_s` after it was told."""

    def __init__(self, kernel: str, short: str, long: str, slow_s: float) -> None:
        self._names, self._slow_s = (kernel, short, long), slow_s

    def fdb(self) -> list[FdbRow]:
        return []

    def ports(self) -> list[PortRow]:
        kernel, short, long = self._names
        return [
            PortRow(f"{kernel}{number}", f"{short}{number}", f"{long}{number}", number, True, VLAN, (VLAN,))
            for number in range(1, PORTS + 1)
        ]

    def sync(self, wanted: PlaneState) -> None:
        time.sleep(self._slow_s)


async def serve(eos: int, ios: int, folder: Path, slow_s: float) -> None:
    ports: dict[str, list[int]] = {"arista_eos": [], "cisco_ios": []}
    kept = []
    for number in range(eos + ios):
        name, state = f"sw{number}", folder / str(number)
        state.mkdir(parents=True)
        chassis = Chassis(Mac(0x025A00000000 + 256 * number))
        if number < eos:
            eos_box = EosBox(name, Unplugged("Et", "Et", "Ethernet", slow_s), chassis, state, Faults(None, name))
            listening = await EosServer(eos_box, {USER: PASSWORD}).start("127.0.0.1", 0)
            ports["arista_eos"].append(listening.sockets[0].getsockname()[1])
        else:
            plane = Unplugged("Gi0_", "Gi0/", "GigabitEthernet0/", slow_s)
            ios_box = IosBox(name, plane, chassis, state, Faults(None, name))
            acceptor = await ssh_server(ios_box, {USER: PASSWORD}, state / "ssh_host_key").start("127.0.0.1", 0)
            ports["cisco_ios"].append(acceptor.get_port())
            kept.append(acceptor)
    print(json.dumps(ports), flush=True)  # noqa: T201 - whoever started us waits for it
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--eos", type=int, default=10)
    arguments.add_argument("--ios", type=int, default=10)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--slow", type=float, default=0.0, help="seconds")
    given = arguments.parse_args()
    asyncio.run(serve(given.eos, given.ios, given.folder, given.slow))


if __name__ == "__main__":
    main()
