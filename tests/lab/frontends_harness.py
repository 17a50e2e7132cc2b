"""Front ends on loopback over a plane that only remembers: for tests that need no network."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from switchguard.core.model import Mac
from switchguard.lab.frontends.faults import Fault, Faults
from switchguard.lab.frontends.ssh import SshServer
from switchguard.lab.frontends.switch import Chassis
from switchguard.lab.plane import FdbRow, PlaneState, PortRow

USER, PASSWORD = "netadmin", "lab-only"
CLIENT, NEIGHBOUR = "02:00:00:00:00:07", "02:00:00:00:00:08"
OWN = Mac.parse("02:5a:00:0b:00:00")
T = TypeVar("T")


@dataclass
class RecordingPlane:
    """Two access ports in VLAN 10 and a trunk; remembers what it was last asked to do."""

    prefix: str
    """Gi0_ or Et."""
    state: PlaneState = field(default_factory=PlaneState)
    learnt: list[FdbRow] = field(default_factory=list)

    def fdb(self) -> list[FdbRow]:
        return self.learnt

    def ports(self) -> list[PortRow]:
        return [self._port(1, 10), self._port(2, 10), self._port(24, None)]

    def sync(self, wanted: PlaneState) -> None:
        self.state = wanted

    def _port(self, number: int, access_vlan: int | None) -> PortRow:
        name = f"{self.prefix}{number}"
        short = name.replace("_", "/")
        long = short.replace("Et", "Ethernet") if self.prefix == "Et" else short.replace("Gi", "GigabitEthernet")
        up = name not in self.state.down
        return PortRow(name, short, long, 10_000 + number, up, access_vlan, (access_vlan,) if access_vlan else (10, 20))


def chassis() -> Chassis:
    return Chassis(OWN)


class Loop:
    """An event loop in a thread of its own, so that blocking clients can be tested against it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def call(self, work: Callable[[], T]) -> T:
        async def called() -> T:
            return work()

        return self.run(called())

    def stop(self) -> None:
        async def cancel_all() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            for _ in range(5):
                await asyncio.sleep(0)  # cut connections are closed a few turns of the loop later

        self.run(cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def serving(loop: Loop, server: SshServer) -> Iterator[int]:
    """The port on which it answers, until the end of the loop."""
    acceptor = loop.run(server.start("127.0.0.1", 0))
    yield acceptor.get_port()
    loop.call(server.reload)
    loop.call(acceptor.close)
    loop.run(acceptor.wait_closed())
    loop.stop()


class FaultSwitch:
    """Tells one front end what to do wrong, as a person does: by writing a word to a file."""

    def __init__(self, directory: Path, switch: str) -> None:
        directory.mkdir(exist_ok=True)
        self._directory, self._switch = directory, switch
        self.faults = Faults(directory, switch)

    def set(self, fault: Fault) -> None:
        (self._directory / self._switch).write_text(f"{fault}\n")
