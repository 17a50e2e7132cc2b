"""VPNs in the lab: a WireGuard gateway on `gw` whose peers are clients of the lab, each with a tunnel of its own.

The kernel may have no WireGuard, so wireguard-go does it, over /dev/net/tun.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.topology import ANSWERING

GATEWAY, PORT = "10.99.0.1/24", 51820
ATTEMPTS, MANY = 300, 150
"""Of so many datagrams at once a busy machine may lose some."""
_SESSIONS = """
import socket, sys
for number in range(int(sys.argv[3])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as session:
        session.bind((sys.argv[4], 30_000 + number))
        session.sendto(b"one more session", (sys.argv[1], int(sys.argv[2])))
"""


def why_no_tunnels() -> str:
    """What is missing here; empty if nothing is."""
    for program in ("wg", "wireguard-go", "openvpn", "openssl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun: {error.strerror}"
    return ""


def wg(namespace: str, *words: str, text: str = "") -> str:
    return _run(namespace, "wg", *words, text=text).strip()


def _run(namespace: str, *words: str, text: str = "") -> str:
    with entered(namespace):
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a tunnel, at one of the lab's clients."""

    name: str
    client: str
    address: str
    interface: str
    public: str


@dataclass
class Vpn:
    lab: Lab
    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    public: str = ""

    def open(self) -> None:
        (self.directory / "people.txt").touch()
        self.public = self._interface("gw", "wg0", GATEWAY)
        wg("gw", "set", "wg0", "listen-port", str(PORT))

    def connect(self, name: str, client: str, address: str) -> Person:
        """A person whose traffic to the internet goes through the tunnel."""
        interface = f"wg-{name}"
        public = self._interface(client, interface, f"{address}/32")
        wg("gw", "set", "wg0", "peer", public, "allowed-ips", f"{address}/32")
        gateway = self.lab.client(client).gateway
        ends = ("peer", self.public, "endpoint", f"{gateway}:{PORT}", "allowed-ips", "0.0.0.0/0")
        wg(client, "set", interface, *ends, "persistent-keepalive", "1")
        for network in ("198.18.0.0/15", "198.20.0.0/16", GATEWAY.partition("/")[0]):
            _run(client, "ip", "route", "replace", network, "dev", interface)
        person = Person(name, client, address, interface, public)
        self.lab.wait_for(lambda: self._shook_hands(public), f"the handshake of {name}")
        with (self.directory / "people.txt").open("a") as people:
            people.write(f"{public} {name}\n")
        return person

    def disconnect(self, person: Person) -> None:
        wg("gw", "set", "wg0", "peer", person.public, "remove")
        _run(person.client, "ip", "link", "del", person.interface)

    def try_sessions(self, person: Person, port: int) -> int:
        """So many datagrams from so many ports to one host; how many of them the gateway let in."""
        host = str(ANSWERING.network_address + 1)
        _run(person.client, sys.executable, "-c", _SESSIONS, host, str(port), str(ATTEMPTS), person.address)
        assert self.lab.client(person.client).ping(GATEWAY.partition("/")[0]).received, "the tunnel is gone"
        tracked = _run("gw", "conntrack", "-L", "-p", "udp", "-s", person.address, "--dport", str(port))
        return len(tracked.splitlines())

    def _interface(self, namespace: str, name: str, address: str) -> str:
        """Up, with a new key; its public one."""
        with entered(namespace):
            process = subprocess.Popen(
                ["wireguard-go", "-f", name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.processes.append(process)
        self.lab.wait_for(lambda: Path(f"/run/wireguard/{name}.sock").exists(), name)
        private = wg(namespace, "genkey")
        key = self.directory / f"{name}.key"
        key.touch(mode=0o600)
        key.write_text(private)
        wg(namespace, "set", name, "private-key", str(key))
        _run(namespace, "ip", "address", "add", address, "dev", name)
        _run(namespace, "ip", "link", "set", "dev", name, "mtu", "1380", "up")
        return wg(namespace, "pubkey", text=private)

    def _shook_hands(self, public: str) -> bool:
        rows = (line.split() for line in wg("gw", "show", "wg0", "latest-handshakes").splitlines())
        return any(key == public and at != "0" for key, at in rows)

    def close(self) -> None:
        """A tunnel ends with its process, and the routes into it with the tunnel."""
        for process in self.processes:
            process.terminate()
            process.wait()


@contextmanager
def vpn(lab: Lab, directory: Path) -> Iterator[Vpn]:
    made = Vpn(lab, directory)
    try:
        made.open()
        yield made
    finally:
        made.close()
