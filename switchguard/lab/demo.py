"""The evening that switchguard is for, on the lab's network: every number measured from the clients, the gateway and
the switch, never taken from what switchguard believes.

A client starts a swarm; the running service finds it, shows the switch's own diff, blocks its MAC; the translation
table collapses; nobody else notices; it comes back with another MAC and is found again; its time runs out.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from switchguard import plugins
from switchguard.core.explain import location_sentence
from switchguard.core.identity import link_sentence
from switchguard.core.model import Device, Mac, Role
from switchguard.core.rules.naughty_factor import factor
from switchguard.core.traces import Link
from switchguard.edge.ledger import Event, PenaltyRecord, SqlLedger
from switchguard.edge.session import open_session
from switchguard.edge.settings import load_site
from switchguard.errors import LabError
from switchguard.lab.control import Lab, Traffic
from switchguard.lab.kernel import entered
from switchguard.lab.measure import ATTEMPTS, MBIT, OFFERED, iperf_servers, rates, try_sessions, udp_sessions
from switchguard.lab.pulse import Pulse
from switchguard.lab.swift import cut_at_once, follows, hurried
from switchguard.lab.topology import INTERNET
from switchguard.ports import Endpoint, ReadsNat

OFFENDER, GUEST, NEIGHBOUR = "c07", "c09", "c11"
HURRIED = {"gateway": "c13", "switch": "c14"}
"""Where the last act cuts whom: by the zones of their VLANs."""
CAP, CAP_PORT = 50, 4000
LIMIT_BPS = 4 * MBIT
OTHER_MAC = "02:00:00:00:77:07"
LASTS_S = 25
FOLLOW_ABOVE = 0.7
"""Less than usual: nobody has watched this network for long, so of no MAC is it known that it was never seen before."""
PATIENCE_S = 40.0
"""For each step; a demo that takes longer has failed, and says where."""
SETTLE_S = 3.0
"""From the cut to the second look at the table."""

Kind = Literal["title", "say", "output", "diff", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Scene:
    """Something to show, and when it was shown: seconds from the start."""

    at_s: float
    kind: Kind
    text: str


Tell = Callable[[Scene], None]


@dataclass(slots=True)
class Evening:
    """What the demo learnt, as `--json` prints it."""

    detected: bool = False
    client_mac: str = ""
    location: dict[str, object] = field(default_factory=dict)
    factor: float = 0.0
    sessions_before: int = 0
    sessions_after: int = 0
    diff: str = ""
    diff_source: str = ""
    cut: bool = False
    collateral: int = -1
    redetected_after_mac_change: bool = False
    same_device: dict[str, object] = field(default_factory=dict)
    """Old and new MAC, and how certain it is, and why, that they are one device; the penalties that went over."""
    released: bool = False
    cap: dict[str, int] = field(default_factory=dict)
    """Sessions asked for, and those that the gateway tracked of many that were tried."""
    limit: dict[str, float] = field(default_factory=dict)
    """Bits per second asked for, what the client got, and what its neighbour got meanwhile (iperf3)."""
    at_once: dict[str, dict[str, float]] = field(default_factory=dict)
    """Where, with sessions followed as they begin -> the seconds of each step, and how many sessions were deleted."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def as_it_should_be(self) -> bool:
        found = self.detected and self.cut and self.redetected_after_mac_change and self.released
        found = found and bool(self.same_device)
        quick = self.seconds.get("detected_to_cut", PATIENCE_S) < 5.0
        shrunk = self.sessions_after < self.sessions_before / 10
        gentle = self.capped_exactly and self.limited_within_a_tenth and self.at_once.keys() == HURRIED.keys()
        return found and quick and shrunk and gentle and self.collateral == 0 and self.diff_source == "device"

    @property
    def capped_exactly(self) -> bool:
        return bool(self.cap) and self.cap["sessions"] == self.cap["asked"]

    @property
    def limited_within_a_tenth(self) -> bool:
        near = bool(self.limit) and abs(self.limit["client"] - self.limit["asked"]) <= self.limit["asked"] / 10
        return near and self.limit["neighbour"] >= 0.9 * OFFERED

    def facts(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Demo:
    """One performance, inside a lab."""

    def __init__(self, lab: Lab, site: Path, tell: Tell) -> None:
        self.lab, self.site, self._tell = lab, site, tell
        self.started = time.time()
        self.evening = Evening()
        self.ledger = SqlLedger(load_site(site).ledger)
        self.threshold = load_site(site).policy.rules[0].above

    def play(self) -> Evening:
        self.lab.greet()
        everybody = [client.name for client in self.lab.clients()]
        with Pulse(str(INTERNET.ip), everybody) as pulse, running_service(self.site), self.own_traffic():
            self.an_ordinary_evening()
            traffic, over = self.a_swarm()
            cut_at = self.the_cut(pulse, over)
            self.the_table(traffic)
            traffic.stop()
            self.another_mac(pulse)
            self.the_end_by_the_clock(pulse)
            self.the_others(pulse, everybody, over - 5.0)
        self.gentler_penalties()
        self.at_once()
        self.evening.seconds["detected_to_cut"] = round(cut_at - over, 2)
        self.evening.seconds["total"] = round(time.time() - self.started, 1)
        return self.evening

    @contextmanager
    def own_traffic(self) -> Iterator[None]:
        """What the acts start ends with them, whoever's lab this is."""
        try:
            yield
        finally:
            self.lab.quiet()

    # --- acts

    def an_ordinary_evening(self) -> None:
        self.title("A quiet evening: 20 clients behind one NAT gateway, one core and two access switches")
        self.lab.start("c02", "browse", "--seconds=120")
        self.lab.start("c05", "bulk", "--seconds=120")
        self.lab.start("c12", "dns", "--seconds=120")
        self.wait(lambda: self.lab.table_size() > 150, "ordinary traffic")
        time.sleep(1.0)
        self.command("top", "-n", "4")

    def a_swarm(self) -> tuple[Traffic, float]:
        client = self.lab.client(OFFENDER)
        self.title(f"{OFFENDER} ({client.address}) starts a BitTorrent-like swarm to 1,500 peers")
        began = time.time()
        traffic = self.lab.swarm(OFFENDER)
        with self.watch_factor() as watch:
            self.wait(lambda: watch.over_at is not None, "the factor over the threshold")
            self.wait(lambda: self.penalty_of(client.mac) is not None, "a verdict")
        record = self.penalty_of(client.mac)
        if record is None or watch.over_at is None:
            raise LabError("the verdict was gone as soon as it was there")
        self.evening.detected = True
        self.evening.client_mac = str(record.verdict.macs[0])
        self.evening.location = self.where(record)
        self.evening.factor = round(watch.value, 3)
        self.evening.sessions_before = watch.most
        self.evening.seconds["swarm_to_detected"] = round(watch.over_at - began, 2)
        self.say(f"factor {watch.value:.2f} after {watch.over_at - began:.1f} s: {record.verdict.because}")
        return traffic, watch.over_at

    def where(self, record: PenaltyRecord) -> dict[str, object]:
        """Where switchguard found the client; LabError if that is not where the lab plugged it in."""
        found = record.verdict.location
        if found is None:
            raise LabError("the client was sentenced without having been located")
        self.say(f"found on {location_sentence(found)}")
        place: dict[str, object] = {"device": found.device, "port": found.station.port, "vlan": found.station.vlan}
        switch, port = self.lab.topology.access_of(OFFENDER)
        truth = {"device": switch.name, "port": port.short, "vlan": port.access_vlan}
        if place != truth:
            raise LabError(f"switchguard found the client at {place}, but it is at {truth}")
        return place

    def the_cut(self, pulse: Pulse, over: float) -> float:
        client = self.lab.client(OFFENDER)
        self.wait(lambda: self.verified(client.mac) is not None, "the block verified on the switch")
        self.wait(lambda: pulse.cut(OFFENDER, over) is not None, "the first lost ping")
        event, cut_at = self.verified(client.mac), pulse.cut(OFFENDER, over)
        if event is None or cut_at is None:
            raise LabError("the block came and went")
        diff = event.detail["diff"]
        self.evening.cut = not pulse.answered_since(OFFENDER, cut_at + 0.5)
        self.evening.diff, self.evening.diff_source = diff["text"], diff["source"]
        switch = event.detail["change"]["slot"]["device"]
        self.title(f"The block, as {switch} itself shows the difference (diff: {diff['source']})")
        self.tell("diff", diff["text"].rstrip())
        self.say(f"first lost ping {cut_at - over:.1f} s after the factor passed {self.threshold}")
        return cut_at

    def the_table(self, traffic: Traffic) -> None:
        time.sleep(SETTLE_S)
        self.evening.sessions_after = self.lab.sessions(OFFENDER)
        self.title("The translation table")
        still = "while the swarm goes on" if traffic.going_on else "the swarm has ended"
        before, after = self.evening.sessions_before, self.evening.sessions_after
        self.say(f"{OFFENDER}: {before:,} sessions before, {after:,} after ({still})")
        self.command("penalties")

    def another_mac(self, pulse: Pulse) -> None:
        self.title(f"{OFFENDER} changes its MAC to {OTHER_MAC} and starts again")
        client = self.lab.client(OFFENDER)
        client.change_mac(OTHER_MAC)
        client.ping(client.gateway)
        traffic = self.lab.swarm(OFFENDER)
        self.wait(lambda: self.found_by_usage(OTHER_MAC), "found again")
        self.wait(lambda: self.verified(OTHER_MAC) is not None, "blocked again")
        again = time.time()
        self.wait(lambda: pulse.cut(OFFENDER, again) is not None, "cut again")
        self.evening.redetected_after_mac_change = True
        self.say("found again by what it does, and cut again")
        self.recognised(self.evening.client_mac)
        traffic.stop()

    def recognised(self, old: str) -> None:
        """By its port, its peers and the moment: its penalty, if it still stands, goes over, beside the new one for
        what it did since."""
        self.wait(lambda: self.link_to(OTHER_MAC).confidence > FOLLOW_ABOVE, "recognised")
        self.wait(lambda: self.link_to(OTHER_MAC).followed or self.penalty_of(old) is None, "its penalty to go over")
        link = self.link_to(OTHER_MAC)
        self.evening.same_device = {
            "old": str(link.old),
            "new": str(link.new),
            "confidence": link.confidence,
            "because": list(link.because),
            "followed": list(link.followed),
        }
        if (str(link.old), str(link.new)) != (old, OTHER_MAC):
            raise LabError(f"switchguard took {link.new} for {link.old}, but it was {old}")
        self.say(f"and recognised: {link_sentence(link)}")

    def the_end_by_the_clock(self, pulse: Pulse) -> None:
        self.title(f"The penalty ends by the clock, {LASTS_S} s after it began")
        self.wait(lambda: not self.ledger.penalties(), "every penalty released")
        self.wait(lambda: not self.ledger.held(), "every line gone from the switch")
        free = time.time()
        self.wait(lambda: pulse.answered_since(OFFENDER, free), "the first ping that is answered again")
        self.evening.released = True
        self.say(f"{OFFENDER} is back on the network")

    def the_others(self, pulse: Pulse, everybody: list[str], since: float) -> None:
        others, now = [name for name in everybody if name != OFFENDER], time.time()
        hurt = [name for name in others if pulse.cut(name, since) is not None]
        lost = sum(pulse.lost(name, since, now) for name in others)
        self.evening.collateral = len(hurt)
        kind: Kind = "bad" if hurt else "good"
        fate = (
            f"were never cut off, though this machine lost {lost} of their pings" if lost else "lost not a single ping"
        )
        self.tell(kind, f"{len(others) - len(hurt)} of {len(others)} other clients {fate}")

    def gentler_penalties(self) -> None:
        """By hand, for somebody who only needs to be slowed down."""
        client = self.lab.client(GUEST)
        self.title(f"Gentler: {GUEST} gets a cap of {CAP} sessions, then a limit of {LIMIT_BPS // MBIT} Mbit/s")
        self.command("cap", "ip", client.address, "--sessions", str(CAP), "--for", "10m", "--yes")
        for _ in range(2):  # a busy switch may lose some of so many datagrams at once
            try_sessions(self.lab, GUEST, CAP_PORT)
        self.evening.cap = {"asked": CAP, "sessions": udp_sessions(self.lab, GUEST, CAP_PORT)}
        self.say(f"{ATTEMPTS} sessions tried, {self.evening.cap['sessions']} made")
        self.command("unblock", "ip", client.address, "--yes")
        self.command("limit", "mac", client.mac, "--rate", f"{LIMIT_BPS // MBIT}Mbps", "--for", "10m", "--yes")
        with iperf_servers(self.lab, [GUEST, NEIGHBOUR]):
            got = rates(self.lab, [GUEST, NEIGHBOUR], download=True, seconds=4)
        self.evening.limit = {"asked": LIMIT_BPS, "client": round(got[GUEST]), "neighbour": round(got[NEIGHBOUR])}
        self.say(f"iperf3: {GUEST} {got[GUEST] / MBIT:.1f} Mbit/s, its neighbour {got[NEIGHBOUR] / MBIT:.1f} Mbit/s")
        self.command("release-all", "--yes")

    def at_once(self) -> None:
        """With a service that does not wait for polls."""
        self.title("In a hurry: with `detect: stream`, sessions are followed as they begin")
        hurried(self.site)
        began = datetime.now(UTC).isoformat()
        with running_service(self.site) as log, self.own_traffic():
            self.wait(lambda: follows(log) and (self.ledger.status() or {"at": ""})["at"] > began, "the stream")
            for place, client in HURRIED.items():
                cut = cut_at_once(self.lab, log, client, self.threshold)
                self.evening.at_once[place] = {name: round(value, 2) for name, value in asdict(cut).items()}
                self.say(
                    f"{client}: found {cut.crossed_to_found:.2f} s after it crossed the threshold, cut on the {place} "
                    f"{cut.found_to_cut:.2f} s later, {cut.deleted:,} of its sessions deleted"
                )
        self.command("release-all", "--yes")

    # --- what is measured

    @contextmanager
    def watch_factor(self) -> Iterator["FactorWatch"]:
        watch = FactorWatch(self.lab.client(OFFENDER).address, self.threshold)
        watch.start()
        try:
            yield watch
        finally:
            watch.stop()

    def penalty_of(self, mac: str) -> PenaltyRecord | None:
        return next((r for r in self.ledger.penalties() if Mac.parse(mac) in r.verdict.macs), None)

    def link_to(self, mac: str) -> Link:
        """The most certain one, or one that says nothing."""
        none, now = Mac.parse(mac), datetime.now(UTC)
        return max(self.ledger.links({none}), key=lambda it: it.confidence, default=Link(none, none, 0.0, (), now, now))

    def found_by_usage(self, mac: str) -> bool:
        return any(r.verdict.follows is None for r in self.ledger.penalties() if Mac.parse(mac) in r.verdict.macs)

    def verified(self, mac: str) -> Event | None:
        """The event of a block that was read back from its device."""
        return next((e for e in self.ledger.history(mac) if e.what == "verified" and e.detail["change"]["after"]), None)

    # --- showing

    def title(self, text: str) -> None:
        self.tell("title", text)

    def say(self, text: str) -> None:
        self.tell("say", text)

    def tell(self, kind: Kind, text: str) -> None:
        self._tell(Scene(round(time.time() - self.started, 2), kind, text))

    def command(self, *words: str) -> None:
        """A command as a person would type it, and what it prints."""
        self.tell("output", f"$ switchguard {' '.join(words)}\n{self.switchguard(*words).rstrip()}")

    def switchguard(self, *words: str) -> str:
        done = subprocess.run(
            [sys.argv[0], "--site", str(self.site), *words], capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    def wait(self, true: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            if time.monotonic() > deadline:
                raise LabError(f"the demo waited {PATIENCE_S:.0f} s in vain for: {what}")
            time.sleep(0.05)


class FactorWatch(threading.Thread):
    """The factor of one address, read in the gateway's own namespace a few times a second."""

    def __init__(self, address: str, threshold: float) -> None:
        super().__init__(name="factor", daemon=True)
        self.address, self.threshold = address, threshold
        self.over_at: float | None = None
        self.value = 0.0
        self.most = 0
        self._ended = threading.Event()

    def run(self) -> None:
        gateway = Device("gw", "linux", Role.GATEWAY)
        driver = plugins.driver("linux")
        if not isinstance(driver, ReadsNat):
            raise LabError("the linux driver reads no translations")
        while not self._ended.wait(0.2):
            now = time.time()
            with entered("gw"), open_session(gateway, Endpoint("local")) as session:
                usage = next((u for u in driver.nat(session) if str(u.address) == self.address), None)
            if usage is None:
                continue
            value = factor(usage).value
            self.value, self.most = max(self.value, value), max(self.most, usage.sessions)
            if self.over_at is None and value > self.threshold:
                self.over_at = now

    def stop(self) -> None:
        self._ended.set()
        self.join()


@contextmanager
def running_service(site: Path) -> Iterator[Path]:
    """`switchguard run`, as systemd would run it; yields its log, which is beside the site."""
    with (site.parent / "demo.log").open("w") as log:
        service = subprocess.Popen([sys.argv[0], "--site", str(site), "run"], stdout=log, stderr=log)
        try:
            yield Path(log.name)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(timeout=10)


def quick_site() -> Path:
    """The lab's own site with a policy for people who watch: polls every second, penalties of seconds."""
    site = Path(os.environ["SWITCHGUARD_SITE"])
    policy = site / "switchguard.yaml"
    text = re.sub(r"penalty: {.*}", f"penalty: {{block: mac, lasts: {LASTS_S}s}}", policy.read_text())
    text = re.sub(r"poll: {.*}", "poll: {nat_size: 1s, nat: 1s, tables: 5s, nat_ceiling: 100%}", text)
    text += f"identity: {{follow_above: {FOLLOW_ABOVE}}}\n"
    policy.write_text(text)
    return site
