"""How soon a swarm is found and cut by a service that follows sessions as they begin: measured from the client's pings
and from the gateway's kernel, and from the service's log only when it says that it has found somebody."""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from switchguard import plugins
from switchguard.core.model import Device, NatUsage, Role
from switchguard.core.rules.naughty_factor import factor
from switchguard.core.usage import merge
from switchguard.edge.session import open_session
from switchguard.errors import LabError
from switchguard.lab.control import Lab, LabClient
from switchguard.lab.kernel import entered
from switchguard.lab.pulse import LATE_S, Pulse
from switchguard.lab.topology import INTERNET
from switchguard.ports import Endpoint, FollowsNat

FOLLOWING, FOUND, VERIFIED = "following sessions as they begin", "over the threshold, looking now", "verified"
PATIENCE_S = 20.0
_BEAT_S = 0.02

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Swift:
    """Seconds from one moment to the next, and how many of the client's sessions the gateway then forgot."""

    began_to_crossed: float
    crossed_to_found: float
    found_to_cut: float
    cut_to_verified: float
    deleted: int


def cut_at_once(lab: Lab, log: Path, client: str, above: float) -> Swift:
    """This client starts a swarm, while a service whose log this is follows the gateway's sessions. `above` is its
    rule's threshold. LabError if that is not noticed."""
    whose = lab.client(client)
    crossing = Crossing(whose.address, above)
    with Pulse(str(INTERNET.ip), [client], _BEAT_S) as pulse:
        crossing.start()
        time.sleep(20 * _BEAT_S)
        began = time.time()
        traffic = lab.swarm(client)
        found = until(lambda: _said(log, FOUND, whose), f"{client} found")
        verified = until(lambda: _said(log, VERIFIED, whose), f"the block of {client}")
        time.sleep(1.5 * LATE_S)
        cut = pulse.last_answered(client)
        traffic.stop()
        crossing.stop()
    deleted = re.search(r"(\d+) sessions? cleared", str(verified["why"]))
    return Swift(
        crossing.at - began,
        _moment(found) - crossing.at,
        cut - _moment(found),
        _moment(verified) - cut,
        int(deleted[1]) if deleted else 0,
    )


def until(true: Callable[[], _T | None], what: str, patience_s: float = PATIENCE_S) -> _T:
    """What it is when it is true. LabError names what did not come in time."""
    deadline = time.monotonic() + patience_s
    while not (found := true()):
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {patience_s:.0f} s")
        time.sleep(_BEAT_S / 2)
    return found


def follows(log: Path) -> bool:
    """Whether the service has begun to."""
    return FOLLOWING in log.read_text()


def hurried(site: Path) -> None:
    """The gateway acts for one VLAN, access switches for the other, and nobody is found by a poll."""
    policy = site / "switchguard.yaml"
    text = re.sub(r"poll: {.*}", "poll: {nat_size: 10s, nat: 60s, tables: 5m}", policy.read_text())
    policy.write_text(text.replace("enforce_at: core", "enforce_at: gateway") + "detect: stream\n")


class Crossing(threading.Thread):
    """When the sessions of one address since the beginning crossed the threshold, from a stream of our own."""

    def __init__(self, address: str, above: float) -> None:
        super().__init__(name="crossing", daemon=True)
        self.at = 0.0
        self._address, self._above = address, above
        self._ended = threading.Event()

    def run(self) -> None:
        driver, gateway = plugins.driver("linux"), Device("gw", "linux", Role.GATEWAY)
        rows: list[NatUsage] = []
        with entered("gw"), open_session(gateway, Endpoint("local")) as session:
            if not isinstance(driver, FollowsNat):
                raise LabError("the linux driver follows no sessions")
            for tick in driver.nat_begins(session, _BEAT_S):
                rows += [row for row in tick.rows if str(row.address) == self._address]
                if self._ended.is_set() or (rows and factor(merge(rows)).value > self._above):
                    self.at = time.time()
                    return

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _said(log: Path, event: str, whose: LabClient) -> dict[str, Any] | None:
    """The first time that the service said so of this client; a line that is still being written is none."""
    lines = (line for line in log.read_text().split("\n")[:-1] if line.startswith("{"))
    events = (json.loads(line) for line in lines if whose.address in line or whose.own_mac in line)
    return next((told for told in events if told["event"] == event), None)


def _moment(told: dict[str, Any]) -> float:
    return datetime.fromisoformat(told["timestamp"]).timestamp()
