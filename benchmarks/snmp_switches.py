"""One full cycle over a thousand switches, 10 ms away: gathered, decoded and attributed, in seconds of one core.

`python -m benchmarks.snmp_switches`. The same columns of a part of the switches are then read with pysnmp's high-level
API and with parallel processes of snmpbulkwalk, and scaled to as many switches; nothing is decoded or attributed there.
Prints JSON: seconds of wall clock and of CPU, of the client alone, and the ratios.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

from pysnmp.hlapi.v3arch import asyncio as hlapi

from benchmarks.snmp_agents import PORT, address_of, clients_of, mac_of_client
from switchguard import plugins
from switchguard.cli.main import spare_the_collector
from switchguard.core.attribute import attribute
from switchguard.core.model import Device, NatUsage, Neighbor, Role, Snapshot, Table
from switchguard.edge.gather import gather
from switchguard.edge.kept import KeptSessions
from switchguard.ports import Endpoint, Secret, SnmpAccess, TellsColumns

TABLES: frozenset[Table] = frozenset({"fdb", "interfaces", "links", "counters"})
PLATFORM = "arista_eos"


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float

    def scaled(self, factor: float) -> "Cost":
        return Cost(self.wall_s * factor, self.cpu_s * factor)


def cost_of(work: Callable[[], object]) -> Cost:
    """CPU of this process and of the children that it waited for."""

    def cpu_s() -> float:
        whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        return sum(sum(resource.getrusage(who)[:2]) for who in whose)

    wall, cpu = time.perf_counter(), cpu_s()
    work()
    return Cost(time.perf_counter() - wall, cpu_s() - cpu)


@contextmanager
def agents(switches: int, processes: int, delay_s: float) -> Iterator[None]:
    options = ["--switches", str(switches), "--processes", str(processes), "--delay", str(delay_s)]
    command = [sys.executable, "-m", "benchmarks.snmp_agents", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes were asked for
        for _ in range(processes):
            process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


class Site:
    """The switches as a site has them, and the clients that a gateway would know."""

    def __init__(self, switches: int) -> None:
        self.devices = [Device(f"sw{number:04}", PLATFORM, Role.ACCESS) for number in range(switches)]
        access = SnmpAccess(community=Secret("public"), port=PORT)
        hosts = {device.name: address_of(number) for number, device in enumerate(self.devices)}
        self._sessions = KeptSessions({name: Endpoint(host, snmp=access) for name, host in hosts.items()}, 150.0)
        clients = [client for number in range(switches) for client in clients_of(number)]
        addresses = {client: IPv4Address(0x0A000001 + client) for client in clients}
        self._neighbors = tuple(
            Neighbor("gw", "lan0.10", address, mac_of_client(client)) for client, address in addresses.items()
        )
        self._nat = tuple(NatUsage("gw", address, 40, 30, 5, 0.8, 0.2, 0.1, 0.1, 0.5) for address in addresses.values())

    def cycle(self) -> Snapshot:
        def clock() -> datetime:
            return datetime.now(UTC)

        return gather(self.devices, self._sessions.open, TABLES, clock)

    def attributed(self, snapshot: Snapshot) -> int:
        """How many clients have a place."""
        known = attribute(replace(snapshot, neighbors=self._neighbors, nat=self._nat))
        return sum(client.location is not None for client in known.clients)


# --- the others ------------------------------------------------------------------------------------------------------


def columns() -> list[str]:
    driver = plugins.driver(PLATFORM)
    assert isinstance(driver, TellsColumns)  # noqa: S101 - it has SNMP tables
    return [oid for group in driver.columns(TABLES) for oid in group if not oid.endswith(".0")]


def with_pysnmp(hosts: Sequence[str], walked: Sequence[str], at_once: int = 50) -> int:
    """bulk_walk_cmd without looking names up, 50 switches at a time; rows."""

    async def one(engine: hlapi.SnmpEngine, turns: asyncio.Semaphore, host: str) -> int:
        rows = 0
        async with turns:
            target = await hlapi.UdpTransportTarget.create((host, PORT), timeout=2, retries=2)
            for column in walked:
                walk = hlapi.bulk_walk_cmd(
                    engine,
                    hlapi.CommunityData("public"),
                    target,
                    hlapi.ContextData(),
                    0,
                    50,
                    hlapi.ObjectType(hlapi.ObjectIdentity(column)),
                    lookupMib=False,
                    lexicographicMode=False,
                )
                async for indication, _, _, found in walk:
                    if indication:
                        raise RuntimeError(f"{host} {column}: {indication}")
                    rows += len(found)
        return rows

    async def all_of_them() -> int:
        engine, turns = hlapi.SnmpEngine(), asyncio.Semaphore(at_once)
        rows = sum(await asyncio.gather(*(one(engine, turns, host) for host in hosts)))
        engine.close_dispatcher()
        return rows

    return asyncio.run(all_of_them())


def with_processes(hosts: Sequence[str], walked: Sequence[str], at_once: int = 16) -> int:
    """snmpbulkwalk, one process for each column of each switch, 16 at a time; lines of output."""

    def one(question: tuple[str, str]) -> int:
        host, column = question
        options = ["-v2c", "-cpublic", "-Onq", "-m", "", "-Cr50", f"{host}:{PORT}", column]
        output = subprocess.run(["snmpbulkwalk", *options], capture_output=True, check=True).stdout
        return output.count(b"\n")

    with ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(one, [(host, column) for host in hosts for column in walked]))


# --- side by side ----------------------------------------------------------------------------------------------------


def ours(site: Site, rounds: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for number in range(rounds):
        seen: list[Snapshot] = []
        located: list[int] = []
        read = cost_of(lambda seen=seen: seen.append(site.cycle()))  # type: ignore[misc] # bound at once
        thought = cost_of(lambda seen=seen, located=located: located.append(site.attributed(seen[0])))  # type: ignore[misc]
        found[f"round {number + 1}"] = {
            "gathered": read.__dict__,
            "attributed": thought.__dict__,
            "cpu_s": read.cpu_s + thought.cpu_s,
            "rows": sum(reading.rows for reading in seen[0].readings),
            "located": located[0],
            "gaps": len(seen[0].gaps),
        }
    return found


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--switches", type=int, default=1000)
    arguments.add_argument("--part", type=int, default=50, help="switches for the others, scaled up")
    arguments.add_argument("--processes", type=int, default=2, help="of simulated agents")
    arguments.add_argument("--delay", type=float, default=0.010)
    arguments.add_argument("--rounds", type=int, default=2, help="the first one knows nothing of what is settled")
    given = arguments.parse_args()
    spare_the_collector()
    with agents(given.switches, given.processes, given.delay):
        result: dict[str, object] = {"switches": given.switches, **ours(Site(given.switches), given.rounds)}
        if given.part:
            part = [address_of(number) for number in range(min(given.part, given.switches))]
            factor = given.switches / len(part)
            for name, work in (("pysnmp", with_pysnmp), ("snmpbulkwalk", with_processes)):
                cost = cost_of(lambda work=work: work(part, columns()))  # type: ignore[misc]
                result[name] = cost.scaled(factor).__dict__
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
