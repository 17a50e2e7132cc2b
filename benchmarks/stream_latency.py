"""How soon a swarm is found and cut when its sessions are followed as they begin; measured from the client's own pings.

`switchguard lab run python -m benchmarks.stream_latency`, inside a lab. The tables are polled once a minute, so that
nobody is found by a poll. For each place of enforcement: a client starts a swarm; when it crosses the threshold is
taken from the gateway's kernel by a window of our own, when it is cut from the last ping that was answered.
"""

import argparse
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from switchguard import plugins
from switchguard.core.model import Device, NatUsage, Role
from switchguard.core.rules.naughty_factor import factor
from switchguard.core.usage import merge
from switchguard.edge.session import open_session
from switchguard.edge.settings import load_site
from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.topology import INTERNET
from switchguard.ports import Endpoint, FollowsNat

ABOVE = 0.8
PATIENCE_S = 20.0
PING_EVERY_S = 0.02
DETECTED = '"event": "over the threshold'


class Pings(threading.Thread):
    """Echo requests from one client, fifty a second, and when each answered one was sent."""

    def __init__(self, client: str, address: str) -> None:
        super().__init__(daemon=True)
        self.answered: dict[int, float] = {}
        self.sent: list[float] = []
        self._ended = threading.Event()
        self._address = address
        with entered(client):
            self._line = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._line.setblocking(False)

    def run(self) -> None:
        while not self._ended.wait(PING_EVERY_S):
            head = struct.pack(">BBHHH", 8, 0, 0, 0x5347, len(self.sent) & 0xFFFF)
            total = sum(struct.unpack(">4H", head))
            check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
            self.sent.append(time.time())
            self._line.sendto(head[:2] + struct.pack(">H", check) + head[4:], (self._address, 0))
            self._read()

    def _read(self) -> None:
        while True:
            try:
                answer = self._line.recv(256)[20:]
            except BlockingIOError:
                return
            kind, _, _, identity, number = struct.unpack(">BBHHH", answer[:8])
            if (kind, identity) == (0, 0x5347):
                self.answered[number] = self.sent[number]

    def stop(self) -> None:
        self._ended.set()
        self.join()
        self._line.close()


class Crossing(threading.Thread):
    """When the sessions of one address since the beginning crossed the threshold, from a stream of our own."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address, self.at = address, 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        driver, gateway = plugins.driver("linux"), Device("gw", "linux", Role.GATEWAY)
        rows: list[NatUsage] = []
        with entered("gw"), open_session(gateway, Endpoint("local")) as session:
            if not isinstance(driver, FollowsNat):
                return
            for begun in driver.nat_begins(session, 0.02):
                rows += [row for row in begun if str(row.address) == self.address]
                if self._ended.is_set() or (rows and factor(merge(rows)).value > ABOVE):
                    self.at = time.time()
                    return

    def stop(self) -> None:
        self._ended.set()
        self.join()


@contextmanager
def service(site: Path, namespace: str | None) -> Iterator[Path]:
    """`switchguard run`; yields its log."""
    log = site.parent / "stream.log"
    command = [str(Path(sys.executable).with_name("switchguard")), "--site", str(site), "run"]
    with log.open("w") as file:
        if namespace is None:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        else:
            with entered(namespace):
                process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def until(true: Any, what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.01)
    return found


def said(log: Path, words: str) -> dict[str, Any] | None:
    found = (line for line in log.read_text().splitlines() if words in line)
    return next((json.loads(line) for line in found), None)


def policy(site: Path, place: str, penalty: str, local: bool) -> None:
    file = site / "switchguard.yaml"
    text = re.sub(r"^(poll|detect|stream):.*\n", "", file.read_text(), flags=re.M)
    text = re.sub(r"enforce_at: \w+", f"enforce_at: {place}", text)
    text = re.sub(r"penalty: {.*}", f"penalty: {{block: {penalty}, lasts: 2h}}", text)
    file.write_text(text + "poll: {nat_size: 60s, nat: 60s, tables: 5m}\ndetect: stream\n")
    if local:
        hosts = site / "hosts.yaml"
        hosts.write_text(re.sub(r"(gw:\n  hostname: )\S+", r"\1local", hosts.read_text()))
        groups = site / "groups.yaml"  # the lab's agent does not listen on loopback
        groups.write_text(re.sub(r"(role: gateway\n.*\n) +snmp:.*\n", r"\1", groups.read_text()))


def measure(lab: Lab, site: Path, place: str, penalty: str, client: str, local: bool) -> dict[str, object]:
    lab.reset()
    lab.greet()
    policy(site, place, penalty, local)
    load_site(site)
    whose = lab.client(client)
    pings, crossing = Pings(client, str(INTERNET.ip)), Crossing(whose.address)
    with service(site, "gw" if local else None) as log:
        until(lambda: said(log, "following sessions"), "the stream")
        time.sleep(3.0)
        crossing.start()
        pings.start()
        time.sleep(0.3)
        began = time.time()
        traffic = lab.swarm(client)
        until(lambda: said(log, DETECTED), "the detection")
        until(lambda: said(log, "verified"), "the block")
        time.sleep(1.0)
        pings.stop()
        crossing.stop()
        traffic.stop()
        found, verified = said(log, DETECTED), said(log, "verified")
        stamps = [line for line in (found, verified) if line]
    cut = max(pings.answered.values())
    return {
        "place": place,
        "gateway": "local" if local else "ssh",
        "began_to_crossed": round(crossing.at - began, 2),
        "crossed_to_cut": round(cut - crossing.at, 2),
        "log": stamps,
        "times": {"crossed": crossing.at, "cut": cut},
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--local", action="store_true", help="the service runs on the gateway")
    options.add_argument("places", nargs="*", default=["gateway:address:c07", "core:mac:c07"])
    chosen = options.parse_args()
    lab, site = Lab.current(), Path(os.environ["SWITCHGUARD_SITE"])
    for place in chosen.places:
        where, penalty, client = place.split(":")
        sys.stdout.write(json.dumps(measure(lab, site, where, penalty, client, chosen.local)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
