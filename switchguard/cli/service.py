"""`run`: the service, and `status`: how it is."""

import logging
import os
import signal
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from queue import SimpleQueue

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.explain import change_sentence, refusal_sentence
from switchguard.core.notices import notices
from switchguard.core.tally import Watching
from switchguard.cycle import Pass
from switchguard.edge.endings import EndingsFollower
from switchguard.edge.logs import configure_logs
from switchguard.edge.traps import TrapReceiver, senders
from switchguard.errors import SwitchguardError
from switchguard.schedule import Periods, Service, Setup

LOG = logging.getLogger("switchguard")

CUTS_REACH = timedelta(days=3)
"""Ends of penalties that are younger keep the history from being summed across them: days are summed by then."""

STOP_WITHIN_S = 4.5
"""After SIGTERM. A push that takes longer is left to the ledger: the next start repairs it."""


def run(ctx: typer.Context) -> None:
    """The service: polls, judges, penalises and releases on time. SIGTERM stops it within 5 s, SIGHUP reloads the site.

    Example: switchguard --site /etc/switchguard run
    """
    configure_logs("plain" if sys.stderr.isatty() else "json")
    wiring = listening(Wiring.of(ctx.obj))
    service = Service(setup(wiring), tell, lambda result: report(wiring, result, service.following()))
    asked: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.put(received))
    service.start()
    followers = follow_endings(wiring)
    traps = hear_traps(wiring, service)
    tell("started", site=str(wiring.site.path), mode=str(wiring.site.policy.mode), devices=len(wiring.devices))
    while asked.get() == signal.SIGHUP:
        wiring = reload(ctx, service, wiring)
        for follower in followers:
            follower.stop()
        followers = follow_endings(wiring)
        if traps is not None:
            traps.stop()
        traps = hear_traps(wiring, service)
    ended = service.stop(STOP_WITHIN_S)
    tell("stopped", unfinished_pass=not ended)
    os._exit(0)  # a worker that still waits for a device may not hold the process up


def tell(event: str, **facts: object) -> None:
    LOG.info(event, extra=facts)


def warn(event: str, **facts: object) -> None:
    LOG.warning(event, extra=facts)


def listening(wiring: Wiring) -> Wiring:
    wiring.warn = warn
    return wiring


def setup(wiring: Wiring) -> Setup:
    poll, follow = wiring.site.poll, wiring.site.follow
    return Setup(
        wiring.site.policy,
        wiring.doors(),
        Periods(poll.nat_size, poll.nat, poll.tables, poll.counters),
        begins=wiring.streams("begins") if follow.begins else {},
        watching=Watching(follow.tick.total_seconds(), round(follow.window / follow.tick), follow.windows),
    )


def hear_traps(wiring: Wiring, service: Service) -> TrapReceiver | None:
    """Where the site says so. A port that is taken costs the traps and nothing else."""
    where = wiring.site.traps
    if where is None:
        return None
    receiver = TrapReceiver(where, senders(wiring.site.endpoints), lambda hint: service.nudge(hint.device, hint.macs))
    try:
        receiver.start()
    except SwitchguardError as error:
        warn("traps are not heard", why=str(error))
        return None
    return receiver


def follow_endings(wiring: Wiring) -> tuple[EndingsFollower, ...]:
    """With `accounting: events`: one thread per gateway that tells of sessions as they end."""
    chosen = wiring.streams("ends") if wiring.site.follow.ends else {}
    followers = tuple(EndingsFollower(name, it, wiring.memory.endings, clock, warn) for name, it in chosen.items())
    for follower in followers:
        follower.start()
    return followers


def reload(ctx: typer.Context, service: Service, wiring: Wiring) -> Wiring:
    """A broken site changes nothing: the old one stays in force."""
    try:
        fresh = listening(Wiring.of(ctx.obj))
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
    for notice in notices(result.decision, result.plan):
        wiring.notifier.tell(notice.subject, notice.text)
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
            "blind_spots": blind_now(wiring, result),
        }
    )
    wiring.memory.tidy(wiring.site.policy, wiring.ledger.past(clock() - CUTS_REACH), clock())


def blind_now(wiring: Wiring, result: Pass) -> list[objects.Json]:
    """Of a pass that asked no rule (for a hint, for a stream, in doubt about the tables): as the last one found."""
    if result.blind is not None:
        return objects.blind_spot_objects(result.blind)
    last = wiring.ledger.status() or {}
    return list(last.get("blind_spots", ()))


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
    show.show_blind_spots((it["rule"], it["why"]) for it in last.get("blind_spots", ()))
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
