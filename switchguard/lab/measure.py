"""What a client really gets: bits per second by iperf3, sessions by what the gateway tracks.

iperf3 counts TCP's payload: 1448 of the 1514 octets of a frame.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from switchguard.errors import LabError
from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.topology import ANSWERING, INTERNET

FIRST_PORT = 5201
MBIT = 1_000_000
OFFERED = 30 * MBIT
"""What each client tries."""
ATTEMPTS = 300
_SESSIONS = """
import socket, sys
for number in range(int(sys.argv[3])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as session:
        session.bind(("", 30_000 + number))
        session.sendto(b"one more session", (sys.argv[1], int(sys.argv[2])))
"""


@contextmanager
def iperf_servers(lab: Lab, clients: Sequence[str]) -> Iterator[None]:
    """One server on the internet for each client, ready when this begins."""
    ports = range(FIRST_PORT, FIRST_PORT + len(clients))
    with entered("internet"):
        running = [
            subprocess.Popen(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for port in ports
        ]
    try:
        lab.wait_for(lambda: all(map(_listened_to, ports)), "the servers of iperf3")
        yield
    finally:
        for server in running:
            server.terminate()
            server.wait()


def rates(lab: Lab, clients: Sequence[str], download: bool, seconds: int = 6) -> Mapping[str, float]:
    """Bits per second of payload, all at the same time, after two seconds to settle; the servers' own order of clients.

    LabError with iperf3's words when it fails.
    """

    def one(number: int) -> float:
        words = ["iperf3", "-c", str(INTERNET.ip), "-p", str(FIRST_PORT + number), "-t", str(seconds), "-O", "2", "-J"]
        done = lab.client(clients[number]).run([*words, "-b", str(OFFERED), *(["-R"] if download else [])])
        if done.returncode != 0:
            raise LabError(f"iperf3 from {clients[number]}: {done.stdout or done.stderr}")
        return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])

    with ThreadPoolExecutor(len(clients)) as pool:
        return dict(zip(clients, pool.map(one, range(len(clients))), strict=True))


def try_sessions(lab: Lab, client: str, port: int) -> None:
    """300 datagrams from 300 ports to one host."""
    words = [sys.executable, "-c", _SESSIONS, str(ANSWERING.network_address + 1), str(port), str(ATTEMPTS)]
    done = lab.client(client).run(words)
    if done.returncode != 0:
        raise LabError(f"sessions from {client}: {done.stderr}")


def udp_sessions(lab: Lab, client: str, port: int) -> int:
    """Those of them that the gateway tracks."""
    with entered(lab.topology.gateway.name):
        words = ["conntrack", "-L", "-p", "udp", "-s", lab.client(client).address, "--dport", str(port)]
        return len(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines())


def _listened_to(port: int) -> bool:
    """Without knocking: a server of iperf3 takes any connection for a test."""
    with entered("internet"):
        words = ["ss", "-Hltn", f"sport = :{port}"]
        return bool(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
