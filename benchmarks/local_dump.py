"""How much a local poll costs beside the kernel's own work: a real table of 255,000 entries, polled and received.

`python -m benchmarks.local_dump`, as root or where user namespaces are allowed. Fills a table in a network namespace of
its own with TCP, UDP and ICMP entries of IPv4 and IPv6, 65 % of them of 100 swarms, and prints medians and their ratio
as JSON.
"""

import argparse
import json
import os
import random
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

from switchguard import plugins
from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.ports import Endpoint, ReadsNat, Session

NETFILTER = 12
GET_ALL = struct.pack("=IHHIIBBH", 20, 0x101, 0x301, 1, 0, 0, 0, 0)
CREATE = 0x1 | 0x200 | 0x400
SWARMS, CLIENTS = 100, 2000
Address = IPv4Address | IPv6Address


# --- filling a table -------------------------------------------------------------------------------------------------


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | 0x8000, b"".join(parts))


def one_way(side: int, source: Address, target: Address, protocol: bytes) -> bytes:
    first = 1 if source.version == 4 else 3
    addresses = nested(1, attribute(first, source.packed), attribute(first + 1, target.packed))
    return nested(side, addresses, nested(2, protocol))


def entry(source: Address, target: Address, protocol: str, ports: tuple[int, int], state: int) -> bytes:
    """A message that creates one entry, its source translated to an address of the gateway."""
    public: Address = IPv4Address("203.0.113.5") if source.version == 4 else IPv6Address("2001:db8:ffff::5")
    there, back, info = b"", b"", b""
    if protocol == "icmp":
        number, ask, answer = (1, 8, 0) if source.version == 4 else (58, 128, 129)
        first = 4 if source.version == 4 else 7
        head = attribute(1, bytes([number]))
        identity, code = attribute(first, struct.pack(">H", ports[0])), attribute(first + 2, b"\0")
        there, back = (head + identity + attribute(first + 1, bytes([kind])) + code for kind in (ask, answer))
    else:
        head = attribute(1, bytes([6 if protocol == "tcp" else 17]))
        there, back = (
            head + attribute(2, struct.pack(">H", a)) + attribute(3, struct.pack(">H", b))
            for a, b in (ports, ports[::-1])
        )
        info = nested(4, nested(1, attribute(1, bytes([state])))) if protocol == "tcp" else b""
    status = 0xE if state == 3 else 0x8
    attributes = (
        one_way(1, source, target, there),
        one_way(2, target, public, back),
        attribute(3, struct.pack(">I", status)),
        attribute(7, struct.pack(">I", random.randint(300, 5000))),
        info,
    )
    body = struct.pack("=BBH", 2 if source.version == 4 else 10, 0, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 0x100, CREATE, 0, 0) + body


def entries(count: int, seed: int = 7) -> Iterator[bytes]:
    chance = random.Random(seed)
    for number in range(count):
        client = chance.randrange(SWARMS) if chance.random() < 0.65 else chance.randrange(SWARMS, CLIENTS)
        six = client % 5 == 0
        far = chance.getrandbits(32) if client < SWARMS else chance.randrange(5000)
        source: Address = IPv6Address((0x20010DB8 << 96) + client + 1) if six else IPv4Address("10.0.0.1") + client
        target: Address = IPv6Address((0x2A00 << 112) + far + 1) if six else IPv4Address(0x20000000 + far % 0x60000000)
        protocol = chance.choices(("tcp", "udp", "icmp"), (45, 50, 5))[0]
        port = chance.randint(1025, 65535) if client < SWARMS else 443
        state = chance.choice((1, 3, 3, 3))
        yield entry(source, target, protocol, (1024 + number % 60000, port), state)


def fill(count: int) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as line:
        line.bind((0, 0))
        waiting: list[bytes] = []
        for message in entries(count):
            waiting.append(message)
            if len(waiting) == 200:
                line.send(b"".join(waiting))
                waiting = []
        if waiting:
            line.send(b"".join(waiting))


# --- measuring -------------------------------------------------------------------------------------------------------


def bare() -> int:
    """A dump that is received and not looked at: octets."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as line:
        line.bind((0, 0))
        line.send(GET_ALL)
        buffer = bytearray(1 << 16)
        octets = 0
        while True:
            size = line.recv_into(buffer)
            octets += size
            if size >= 20 and struct.unpack_from("=IH", buffer, size - 20) == (20, 3):
                return octets


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor: on a busy machine only the latter can be compared."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - busy


def measure(count: int, rounds: int) -> dict[str, object]:
    fill(count)
    driver, gateway = plugins.driver("linux"), Device("gw1", "linux", Role.GATEWAY)
    if not isinstance(driver, ReadsNat):
        raise SystemExit("the linux driver reads no translations")
    with open_session(gateway, Endpoint("local", timeout_s=60)) as session:
        samples = _rounds(driver, session, rounds)
        held = driver.nat(session)
    floor, poll = (statistics.median(seconds for seconds, _ in column) for column in zip(*samples, strict=True))
    return {
        "entries": sum(usage.sessions for usage in held),
        "clients": len(held),
        "octets": bare(),
        "bare_recv_s": round(floor, 3),
        "poll_s": round(poll, 3),
        "ratio": round(statistics.median(b[0] / a[0] for a, b in samples), 3),
        "processor_ratio": round(statistics.median(b[1] / a[1] for a, b in samples), 3),
        "rounds": [[round(a[0], 3), round(b[0], 3)] for a, b in samples],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _rounds(driver: ReadsNat, session: Session, rounds: int) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    driver.nat(session)
    return [(timed(bare), timed(lambda: driver.nat(session))) for _ in range(rounds)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=255_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--inside", action="store_true", help="the namespace is ours already")
    chosen = options.parse_args()
    if not chosen.inside:
        command = [sys.executable, "-m", "benchmarks.local_dump", "--inside", *sys.argv[1:]]
        raise SystemExit(subprocess.run(["unshare", "--user", "--map-root-user", "--net", *command]).returncode)
    with open("/proc/sys/net/netfilter/nf_conntrack_acct", "w") as accounting:
        accounting.write("1")
    os.environ.setdefault("LC_ALL", "C")
    sys.stdout.write(json.dumps(measure(chosen.entries, chosen.rounds), indent=1) + "\n")


if __name__ == "__main__":
    main()
