"""50 blocks on 20 switches in one cycle, against the slowest switch alone: nobody waits for anybody else.

`python -m benchmarks.many_blocks`. Ten front ends of EOS and ten of IOS, one of which takes seconds for each commit, as
an old switch does. Each round reads what is enforced, pushes and reads back: first the slow switch's own part, then all
of it. Prints JSON: medians in seconds and their ratio.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.front_ends import PASSWORD, USER, VLAN
from switchguard.core.changes import Change, Plan, Slot
from switchguard.core.model import Device, Mac, Mode, Role, Station
from switchguard.core.penalties import Block
from switchguard.edge.apply import apply
from switchguard.edge.gather import read_enforced
from switchguard.edge.kept import KeptSessions
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.session_netmiko import fetch_host_key
from switchguard.edge.turns import Turns
from switchguard.ports import Endpoint, Secret

SLOW = "cisco_ios-slow"


def clock() -> datetime:
    return datetime.now(UTC)


@contextmanager
def front_ends(eos: int, ios: int, folder: Path, slow_s: float) -> Iterator[Mapping[str, Sequence[int]]]:
    options = ["--eos", str(eos), "--ios", str(ios), "--folder", str(folder), "--slow", str(slow_s)]
    command = [sys.executable, "-m", "benchmarks.front_ends", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes were asked for
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


class Site:
    def __init__(self, folder: Path, ports: Mapping[str, Sequence[int]], slow: int) -> None:
        self._hosts = folder / "known_hosts"
        self._hosts.touch()
        self.endpoints = {
            f"{platform}-{number}": self._endpoint(platform, port)
            for platform, of_platform in ports.items()
            for number, port in enumerate(of_platform)
        }
        self.endpoints[SLOW] = self._endpoint("cisco_ios", slow)
        self.devices = {
            name: Device(name, name.rpartition("-")[0], Role.ACCESS, Mode.ENFORCE) for name in self.endpoints
        }
        self._ledger = SqlLedger(folder / "ledger.db")
        self._turns = Turns(folder / "locks", "benchmark")
        self._sessions = KeptSessions(self.endpoints, 150.0)

    def close(self) -> None:
        self._sessions.close()
        self._ledger.close()

    def cycle(self, changes: Sequence[Change]) -> float:
        """Seconds; every change verified, or the benchmark fails."""
        started = time.perf_counter()
        concerned = [self.devices[name] for name in {change.slot.device for change in changes}]
        read_enforced(concerned, self._sessions.open)
        outcomes = apply(
            Plan(clock(), tuple(changes)),
            devices=self.devices,
            opens=self._sessions.open,
            ledger=self._ledger,
            clock=clock,
            turns=self._turns.take,
        )
        if failed := [f"{it.change.slot.device}: {it.why}" for it in outcomes if it.state != "verified"]:
            raise RuntimeError("; ".join(failed))
        return time.perf_counter() - started

    def _endpoint(self, platform: str, port: int) -> Endpoint:
        if platform == "arista_eos":
            options: dict[str, object] = {"transport": "http", "port": port}
            return Endpoint("127.0.0.1", username=USER, password=Secret(PASSWORD), napalm_options=options)
        endpoint = Endpoint("127.0.0.1", port, USER, Secret(PASSWORD), known_hosts=str(self._hosts))
        with self._hosts.open("a") as known:
            known.write(fetch_host_key(endpoint).line + "\n")
        return endpoint


def blocks(devices: Sequence[str], count: int) -> list[Change]:
    """In turn; the slow switch has its part like everybody."""
    slots = (
        Slot(devices[number % len(devices)], "block", Station(None, VLAN, Mac(0x020000000000 + number)))
        for number in range(count)
    )
    return [Change(slot, None, Block(), ("v1",), "a benchmark") for slot in slots]


def measured(site: Site, changes: Sequence[Change]) -> float:
    """And taken back again."""
    seconds = site.cycle(changes)
    site.cycle([change.inverse() for change in changes])
    return seconds


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--blocks", type=int, default=50)
    arguments.add_argument("--switches", type=int, default=20, help="half of them EOS; the last IOS is slow")
    arguments.add_argument("--slow", type=float, default=3.0, help="seconds for each commit of the slow one")
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    half = given.switches // 2
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = stack.enter_context(front_ends(half, given.switches - half - 1, folder / "quick", 0.0))
        slow = stack.enter_context(front_ends(0, 1, folder / "slow", given.slow))
        site = Site(folder, ports, slow["cisco_ios"][0])
        stack.callback(site.close)
        everywhere = blocks(list(site.devices), given.blocks)
        its_part = [change for change in everywhere if change.slot.device == SLOW]
        alone, together = [], []
        for _ in range(given.rounds):
            alone.append(measured(site, its_part))
            together.append(measured(site, everywhere))
    slowest_s, all_s = statistics.median(alone), statistics.median(together)
    found = {"slowest_alone_s": slowest_s, "together_s": all_s, "ratio": all_s / slowest_s}
    sys.stdout.write(json.dumps({**found, "blocks": given.blocks, "switches": given.switches}, indent=2) + "\n")


if __name__ == "__main__":
    main()
