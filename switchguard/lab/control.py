"""The lab from inside, for tests and the demo: clients that ping and misbehave, devices that are told to fail."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from switchguard.errors import LabError
from switchguard.lab.kernel import entered
from switchguard.lab.ping import Echoes, ping
from switchguard.lab.plane import Plane, link_states, open_plane
from switchguard.lab.topology import LAB, Topology

PATIENCE_S = 15.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class LabClient:
    """One client, by its namespace. `own_mac` is the one that it starts with."""

    name: str
    vlan: int
    address: str
    gateway: str
    own_mac: str

    @property
    def mac(self) -> str:
        """The one that it has now."""
        with entered(self.name):
            return str(link_states()["eth0"]["address"])

    def ping(self, address: str, count: int = 3, interval_s: float = 0.05, wait_s: float = 0.5) -> Echoes:
        """(sent, received): `count` echo requests, and the answers until `wait_s` after the last one."""
        with entered(self.name):
            return ping(address, count, interval_s, wait_s)

    def run(self, arguments: Sequence[str], timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """A command to its end; its output is text, its status is the caller's business."""
        with entered(self.name):
            return subprocess.run(arguments, capture_output=True, text=True, timeout=timeout_s, check=False)

    def change_mac(self, mac: str) -> None:
        """As devices with randomised addresses do. It announces itself (gratuitous ARP), as after joining a network."""
        with entered(self.name):
            _run("ip", "link", "set", "dev", "eth0", "address", mac)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Something that a client does. It ends by itself, or when told to."""

    process: subprocess.Popen[bytes]

    @property
    def going_on(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@dataclass(slots=True)
class Lab:
    """The lab that we are in. Remembers only the traffic that it started itself."""

    directory: Path
    topology: Topology = LAB
    _traffic: list[Traffic] = field(default_factory=list)

    @classmethod
    def current(cls) -> Self:
        """LabError outside of a lab."""
        directory = os.environ.get("SWITCHGUARD_LAB")
        if not directory:
            raise LabError("this is not inside a lab; start it with: switchguard lab run COMMAND")
        return cls(Path(directory))

    # --- clients

    def client(self, name: str) -> LabClient:
        """KeyError for a name that is no client."""
        found = self.topology.client(name)
        return LabClient(found.name, found.vlan, str(found.address.ip), str(found.gateway), found.mac)

    def clients(self) -> tuple[LabClient, ...]:
        return tuple(self.client(client.name) for client in self.topology.clients)

    def swarm(self, client: str, peers: int = 1500, seconds: float = 120.0, rate: int = 1000) -> Traffic:
        """BitTorrent-like traffic to so many peers, at so many datagrams per second."""
        return self.start(client, "swarm", f"--peers={peers}", f"--seconds={seconds}", f"--rate={rate}")

    def start(self, namespace: str, *words: str) -> Traffic:
        """Any other command of lab/traffic.py, in a client's namespace or in `internet`."""
        with entered(namespace):
            process = subprocess.Popen([sys.executable, "-m", "switchguard.lab.traffic", *words])
        traffic = Traffic(process)
        self._traffic.append(traffic)
        return traffic

    def ping_all(self, address: str | None = None, count: int = 1) -> Mapping[str, Echoes]:
        """Every client at the same time, each its own gateway if no address is given."""

        def one(client: LabClient) -> Echoes:
            return client.ping(address or client.gateway, count)

        clients = self.clients()
        with ThreadPoolExecutor(len(clients)) as pool:
            return dict(zip((client.name for client in clients), pool.map(one, clients), strict=True))

    def greet(self) -> None:
        """Every client says a word to its gateway, so that ARP and forwarding tables know it."""
        self.wait_for(lambda: all(echoes.received for echoes in self.ping_all().values()), "a greeting from everybody")

    def wait_for(self, true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        """Until it is true. LabError names what did not come in time."""
        deadline = time.monotonic() + patience_s
        while not true():
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not within {patience_s:.0f} s")
            time.sleep(_POLL_S)

    # --- the gateway

    def sessions(self, client: str) -> int:
        """Translations of this client's address in the gateway."""
        with entered(self.topology.gateway.name):
            return len(_run("conntrack", "-L", "-s", self.client(client).address).splitlines())

    def table_size(self) -> int:
        """All translations in the gateway."""
        with entered(self.topology.gateway.name):
            return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())

    # --- switches

    @contextmanager
    def plane(self, switch: str) -> Iterator[Plane]:
        """A switch's forwarding plane, behind the back of its front end."""
        with entered(switch):
            yield open_plane(switch)

    def fault(self, switch: str, word: str) -> None:
        """Tell a switch's front end to misbehave; frontends/faults.py lists the words, `none` ends it."""
        if switch not in self.topology.front_ends:
            raise KeyError(switch)
        (self.directory / "faults" / switch).write_text(f"{word}\n")

    def reload(self, switch: str) -> None:
        """The running configuration is lost, the startup configuration takes its place. LabError if that takes long."""
        self._ask_reload(switch)
        self._await_reload(switch)

    def quiet(self) -> None:
        """End the traffic that was started here."""
        for traffic in self._traffic:
            traffic.stop()
        self._traffic.clear()

    def reset(self) -> None:
        """As after `lab up`: no traffic, no faults, no penalties, first configurations, first MACs, empty tables."""
        self.quiet()
        for name in self.topology.front_ends:
            self.fault(name, "none")
            shutil.copy(self._state(name, "factory-config"), self._state(name, "startup-config"))
            self._ask_reload(name)
        for client in self.clients():
            if client.mac != client.own_mac:
                client.change_mac(client.own_mac)
        for name in self.topology.front_ends:
            self._await_reload(name)
        self._reset_gateway()
        for switch in self.topology.switches:
            with self.plane(switch.name) as plane:
                plane.flush()
        shutil.rmtree(self.directory / "site" / "state", ignore_errors=True)

    def _state(self, switch: str, name: str) -> Path:
        return self.directory / "state" / switch / name

    def _reload_file(self, switch: str) -> Path:
        return self.directory / "faults" / f"{switch}.reload"

    def _ask_reload(self, switch: str) -> None:
        self._reload_file(switch).touch()

    def _await_reload(self, switch: str) -> None:
        """The front end takes the file away when it is done."""
        self.wait_for(partial(_gone, self._reload_file(switch)), f"reload of {switch}")

    def _reset_gateway(self) -> None:
        for namespace in (self.topology.gateway.name, "internet"):
            with entered(namespace):
                for line in _run("nft", "list", "tables").splitlines():
                    if line.split()[-1] != "lab":
                        _run("nft", "delete", *line.split())
                for line in _run("ip", "-br", "link", "show", "type", "ifb").splitlines():
                    _run("ip", "link", "del", "dev", line.split()[0])
                for qdisc in json.loads(_run("tc", "-j", "qdisc", "show")):
                    if qdisc["kind"] == "clsact":
                        _run("tc", "qdisc", "del", "dev", qdisc["dev"], "clsact")
                _run("conntrack", "-F")
                _run("ip", "neigh", "flush", "all")


def _gone(path: Path) -> bool:
    return not path.exists()


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
