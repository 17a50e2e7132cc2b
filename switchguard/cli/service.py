"""`run`: the service, and `status`: how it is."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from types import FrameType

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.explain import change_sentence, refusal_sentence
from switchguard.core.tally import Watching
from switchguard.cycle import Pass
from switchguard.edge.logs import configure_logs
from switchguard.errors import SwitchguardError
from switchguard.schedule import Periods, Service, Setup

LOG = logging.getLogger("switchguard")

STOP_WITHIN_S = 4.5
"""After SIGTERM. A push that takes longer is left to the ledger: the next start repairs it."""


def run(ctx: typer.Context) -> None:
    """The service: polls, judges, penalises and releases on time. SIGTERM stops it within 5 s, SIGHUP reloads the site.

    Example: switchguard --site /etc/switchguard run
    """
    configure_logs("plain" if sys.stderr.isatty() else "json")
    wiring = Wiring.of(ctx.obj)
    service = Service(setup(wiring), tell, lambda result: report(wiring, result, service.following()))
    wake = threading.Event()
    asked: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    service.start()
    tell("started", site=str(wiring.site.path), mode=str(wiring.site.policy.mode), devices=len(wiring.devices))
    while True:
        wake.wait()
        wake.clear()
        if any(number != signal.SIGHUP for number in asked):
            break
        asked.clear()
        wiring = reload(ctx, service, wiring)
    ended = service.stop(STOP_WITHIN_S)
    tell("stopped", unfinished_pass=not ended)
    os._exit(0)  # a worker that still waits for a device may not hold the process up


def tell(event: str, **facts: object) -> None:
    LOG.info(event, extra=facts)


def warn(event: str, **facts: object) -> None:
    LOG.warning(event, extra=facts)


def setup(wiring: Wiring) -> Setup:
    poll, follow = wiring.site.poll, wiring.site.follow
    return Setup(
        wiring.site.policy,
        wiring.doors(),
        Periods(poll.nat_size, poll.nat, poll.tables),
        begins=wiring.streams("begins") if follow.begins else {},
        watching=Watching(follow.tick.total_seconds(), round(follow.window / follow.tick), follow.windows),
    )


def reload(ctx: typer.Context, service: Service, wiring: Wiring) -> Wiring:
    """A broken site changes nothing: the old one stays in force."""
    try:
        fresh = Wiring.of(ctx.obj)
        service.reload(setup(fresh))
    except SwitchguardError as error:
        warn("not reloaded, the old site stays in force", why=str(error))
        return wiring
    wiring.sessions.close()
    tell("reloaded", site=str(fresh.site.path))
    return fresh


def report(wiring: Wiring, result: Pass, following: Mapping[str, str]) -> None:
    """What a pass did, to the log and for `status`."""
    for outcome in result.outcomes:
        tell(outcome.state, device=outcome.change.slot.device, what=change_sentence(outcome.change), why=outcome.why)
    for refusal in (*result.plan.refusals, *result.decision.declined):
        warn("refused", what=refusal_sentence(refusal), safeguard=refusal.safeguard)
    for change in result.plan.observed:
        tell("observed", device=change.slot.device, what=change_sentence(change))
    for gap in result.snapshot.gaps:
        warn("gap", device=gap.device, table=gap.table, why=gap.why)
    if result.calm:
        warn("not judging", why=result.calm)
    snapshot = result.snapshot
    wiring.ledger.save_status(
        {
            "at": clock().isoformat(),
            "pid": os.getpid(),
            "mode": str(wiring.site.policy.mode),
            "clients": len(result.attribution.clients),
            "translations": {
                size.device: {"entries": size.entries, "limit": size.limit} for size in snapshot.nat_sizes
            },
            "seconds": {f"{r.device} {r.table}": round(r.seconds, 3) for r in snapshot.readings},
            "gaps": [objects.gap_object(gap) for gap in snapshot.gaps],
            "calm": result.calm,
            "streams": dict(following),
        }
    )


def status(ctx: typer.Context, as_json: Json = False) -> None:
    """How the service is: last pass, table sizes, gaps, penalties, and whether writes are paused.

    Example: switchguard status --json
    """
    wiring = Wiring.of(ctx.obj)
    last = wiring.ledger.status()
    paused = wiring.ledger.paused()
    standing = len(wiring.ledger.standing())
    alive = last is not None and process_lives(int(last["pid"]))
    if as_json:
        typer.echo(
            objects.dump(
                {
                    "running": alive,
                    "paused": paused,
                    "penalties": standing,
                    "mode": wiring.site.policy.mode,
                    "last_pass": last,
                }
            )
        )
        return
    show.say(f"service: {'running' if alive else 'not running'}, mode {wiring.site.policy.mode}")
    show.say(f"writes: {'paused - ' + paused if paused else 'allowed'}")
    show.say(f"penalties standing: {standing}")
    if last is None:
        show.say("no pass has been made yet")
        return
    age = (clock() - datetime.fromisoformat(last["at"])).total_seconds()
    show.say(f"last pass: {age:.0f} s ago, {last['clients']} clients")
    for name, size in last["translations"].items():
        ceiling = f" of {size['limit']:,}" if size["limit"] else ""
        show.say(f"  {name}: {size['entries']:,}{ceiling} translations")
    for name, trouble in last.get("streams", {}).items():
        show.say(f"  {name}: {'only polled: ' + trouble if trouble else 'sessions are followed as they begin'}")
    for gap in last["gaps"]:
        show.complain(f"  gap: {gap['device']} {gap['table']}: {gap['why']}")


def process_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
