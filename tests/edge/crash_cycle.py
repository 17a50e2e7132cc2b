"""One cycle of switchguard over toy devices, in a process that can be told to die at its n-th step.

A step is just before every statement and every commit of the ledger's database, and before and after every line that a
device takes or answers.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from crash_device import Rack, ToyDriver, toy
from sqlalchemy import event
from sqlalchemy.engine import Engine

from switchguard.core.changes import Enforced, Enforcer, Plan, Slot
from switchguard.core.decide import decide
from switchguard.core.model import Attribution, ClientId, Gap, Mac, Mode, Station
from switchguard.core.penalties import Block, Decision, Verdict
from switchguard.core.plan import plan
from switchguard.core.policy import Policy
from switchguard.edge.apply import apply
from switchguard.edge.ledger import SqlLedger

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
DEVICES = {name: toy(name) for name in ("core1", "core2")}
ENFORCERS = {name: Enforcer(device, ToyDriver.facts, clears_sessions=True) for name, device in DEVICES.items()}
POLICY = Policy(mode=Mode.ENFORCE)

OVER, MOVING, NEW, STAYING = (Mac(0x020000000000 + n) for n in range(1, 5))


def verdict(mac: Mac, device: str, lasts: timedelta = timedelta(hours=2)) -> Verdict:
    return Verdict(
        id=f"v-{mac}",
        client=ClientId(f"mac:{mac}"),
        rule="manual",
        penalty=Block(),
        since=AT - timedelta(hours=1),
        until=AT - timedelta(hours=1) + lasts,
        because="by hand",
        macs=(mac,),
        addresses=(ip_address(f"10.0.0.{mac.value & 0xFF}"),),
        requested_by="ada",
        on_device=device,
        vlan=10,
    )


def block(device: str, mac: Mac) -> Slot:
    return Slot(device, "block", Station(vlan=10, mac=mac))


FINALLY: Mapping[str, set[Slot]] = {
    "core1": {block("core1", STAYING), block("core1", NEW)},
    "core2": {block("core2", MOVING)},
}
"""One release, one move, one new block, and one that stays."""


def set_the_scene(folder: Path) -> None:
    """Three verified blocks on core1. Of two clients things have changed since: one moved, one is new."""
    before = [verdict(OVER, "core1", lasts=timedelta(hours=1)), verdict(MOVING, "core1"), verdict(STAYING, "core1")]
    rack, ledger = Rack(folder), SqlLedger(folder / "ledger.db")
    for it in before:  # one by one: the brakes allow no three new penalties among so few clients
        ledger.sentence((it,), (), AT - timedelta(minutes=5))
        one_cycle(rack, ledger, AT - timedelta(minutes=5))
    assert set(rack.read("core1")) == {block("core1", mac) for mac in (OVER, MOVING, STAYING)}
    ledger.sentence((verdict(MOVING, "core2"), verdict(NEW, "core1")), (), AT - timedelta(minutes=1))
    ledger.close()


def one_cycle(rack: Rack, ledger: SqlLedger, now: datetime) -> Plan:
    decision = decide((), ledger.standing(), ledger.past(now - timedelta(days=7)), POLICY, now)
    made = make_plan(rack, ledger, decision, now)
    ledger.remember(now, {})
    ledger.sentence(decision.standing, decision.released, now)
    apply(
        made,
        devices=DEVICES,
        opens=rack.opens,
        ledger=ledger,
        clock=lambda: now,
        driver_of=rack.driver_of,
        workers=2,
    )
    return made


def make_plan(rack: Rack, ledger: SqlLedger, decision: Decision, now: datetime) -> Plan:
    enforced: Mapping[str, Enforced | Gap] = {name: rack.read(name) for name in DEVICES}
    return plan(
        wanted=decision.standing,
        attribution=Attribution(now, (), vlans=dict.fromkeys(DEVICES, frozenset({10}))),
        held=ledger.held(),
        enforced=enforced,
        enforcers=ENFORCERS,
        exemptions=ledger.exemptions(now),
        policy=POLICY,
        paused=ledger.paused(),
        now=now,
    )


def dies_at(step: int) -> Callable[..., None]:
    """A function that kills this process at its n-th call, as a power cut or `kill -9` would."""
    lock, calls = threading.Lock(), iter(range(1, step + 1))

    def count(*_details: object) -> None:
        with lock:
            if next(calls, step) == step:
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # until it has arrived

    return count


def cycle_that_dies(folder: str, step: int) -> None:
    die = dies_at(step)
    for moment in ("before_cursor_execute", "commit"):
        event.listen(Engine, moment, die)
    one_cycle(Rack(Path(folder), steps=die), SqlLedger(Path(folder) / "ledger.db"), AT)


def run_and_kill(folder: Path, step: int) -> bool:
    """Whether it died; False when the cycle had fewer steps than that and came to its end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["switchguard.core.plan", "switchguard.edge.apply", "switchguard.edge.ledger"])
    process = context.Process(target=cycle_that_dies, args=(str(folder), step))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def later(minutes: int) -> datetime:
    return AT + timedelta(minutes=minutes)
