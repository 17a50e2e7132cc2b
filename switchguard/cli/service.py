"""`run`: the service."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING

import typer

from switchguard.cli.counters import install, may_count
from switchguard.cli.health import ledger_octets, pass_object
from switchguard.cli.leftovers import gone, gone_sentence
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.copies import contested_of
from switchguard.core.explain import change_sentence, contested_sentence, refusal_sentence
from switchguard.core.model import Snapshot, Table
from switchguard.core.notices import notices
from switchguard.core.tally import Watching
from switchguard.core.visitors import faces
from switchguard.cycle import Pass, growing, longest_memory
from switchguard.edge.endings import EndingsFollower
from switchguard.edge.logs import configure_logs
from switchguard.edge.metrics import Metrics, PassNumbers
from switchguard.edge.thrift import give_back, share_one_heap
from switchguard.errors import SwitchguardError
from switchguard.schedule import Periods, Rhythm, Service, Setup

if TYPE_CHECKING:
    from switchguard.edge.traps import TrapReceiver

LOG = logging.getLogger("switchguard")

LOST = "stream lost"
"""How the events begin that tell of one."""
FAILED = "failed"
"""A job of the service, or what was to be put on a device."""
CUTS_REACH = timedelta(days=3)
"""Ends of penalties that are younger keep the history from being summed across them: days are summed by then."""

STOP_WITHIN_S = 4.5
"""After SIGTERM. A push that takes longer is left to the ledger: the next start repairs it."""


def run(ctx: typer.Context) -> None:
    """The service: polls, judges, penalises and releases on time. SIGTERM stops it within 5 s, SIGHUP reloads the site.

    One at a time per ledger.

    Example: switchguard --site /etc/switchguard run
    """
    share_one_heap()
    configure_logs("plain" if sys.stderr.isatty() else "json")
    wiring = listening(Wiring.of(ctx.obj))
    wiring.alone.take()
    metrics = Metrics(lambda: ledger_octets(wiring.site.ledger))
    service = Service(
        setup(wiring, metrics), counting(metrics, hear), lambda result: report(wiring, result, service, metrics)
    )
    asked: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.put(received))
    service.start()
    deliver(wiring)
    offer(wiring, metrics)
    followers = follow_endings(wiring, metrics)
    traps = hear_traps(wiring, service)
    tell("started", site=str(wiring.site.path), mode=str(wiring.site.policy.mode), devices=len(wiring.devices))
    warn_of_lines_left(wiring)
    while asked.get() == signal.SIGHUP:
        wiring = reload(ctx, service, wiring, metrics)
        deliver(wiring)
        offer(wiring, metrics)
        for follower in followers:
            follower.stop()
        followers = follow_endings(wiring, metrics)
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


def hear(event: str, **facts: object) -> None:
    """Of the service: what went wrong is a warning."""
    (warn if event == FAILED or event.startswith(LOST) else tell)(event, **facts)


def listening(wiring: Wiring) -> Wiring:
    wiring.warn = warn
    return wiring


def counting(metrics: Metrics, say: Callable[..., None]) -> Callable[..., None]:
    """Says it; and streams that were lost are counted."""

    def told(event: str, **facts: object) -> None:
        say(event, **facts)
        if event.startswith(LOST):
            metrics.lost(str(facts["gateway"]))

    return told


def offer(wiring: Wiring, metrics: Metrics) -> None:
    """Numbers for Prometheus, where the site says so. A port that is taken costs them and nothing else."""
    metrics.stop()
    if wiring.site.metrics is None:
        return
    try:
        metrics.serve(*wiring.site.metrics)
    except SwitchguardError as error:
        warn("metrics are not offered", why=str(error))


def deliver(wiring: Wiring) -> None:
    """Notices leave in a thread of their own, where the site has any."""
    if wiring.postman is not None:
        wiring.postman.start()


def setup(wiring: Wiring, metrics: Metrics) -> Setup:
    poll, follow, doors = wiring.site.poll, wiring.site.follow, wiring.doors()

    def gather(tables: Collection[Table]) -> Snapshot:
        snapshot = doors.gather(tables)
        metrics.read(snapshot)
        keep_counting(wiring, snapshot)
        return snapshot

    return Setup(
        wiring.site.policy,
        replace(doors, gather=gather),
        Periods(poll.nat_size, poll.nat, poll.tables, poll.counters, poll.nat_ceiling),
        begins=wiring.streams("begins") if follow.begins else {},
        watching=Watching(follow.tick.total_seconds(), round(follow.window / follow.tick), follow.windows),
        counters=frozenset({"counters", "octets"} if follow.counters else {"counters"}),
        quick=wiring.hurried().doors(),
        count_anew=lambda: wiring.memory.count_anew(clock()),
    )


def keep_counting(wiring: Wiring, snapshot: Snapshot) -> None:
    """With `accounting: nft`: a gateway that does not count (yet, or since it was restarted) is told to, if it may be
    written to at all."""
    for gap in snapshot.gaps:
        if gap.table != "octets" or wiring.ledger.paused() or not may_count(wiring, gap.device):
            continue
        try:
            install(wiring, gap.device)
        except SwitchguardError as error:
            warn("clients are not counted", device=gap.device, why=str(error))
        else:
            tell("clients are counted from now on", device=gap.device)


def hear_traps(wiring: Wiring, service: Service) -> "TrapReceiver | None":
    """Where the site says so. A port that is taken costs the traps and nothing else."""
    where = wiring.site.traps
    if where is None:
        return None
    from switchguard.edge.traps import TrapReceiver, senders  # pysnmp takes 10 MB, which only traps and v3 need

    receiver = TrapReceiver(where, senders(wiring.site.endpoints), lambda hint: service.nudge(hint.device, hint.macs))
    try:
        receiver.start()
    except SwitchguardError as error:
        warn("traps are not heard", why=str(error))
        return None
    return receiver


def follow_endings(wiring: Wiring, metrics: Metrics) -> tuple[EndingsFollower, ...]:
    """With `accounting: events`: one thread per gateway that tells of sessions as they end."""
    chosen = wiring.streams("ends") if wiring.site.follow.ends else {}
    endings, told = wiring.memory.endings, counting(metrics, warn)
    followers = tuple(EndingsFollower(name, it, endings, clock, told) for name, it in chosen.items())
    for follower in followers:
        follower.start()
    return followers


def reload(ctx: typer.Context, service: Service, wiring: Wiring, metrics: Metrics) -> Wiring:
    """A broken site changes nothing: the old one stays in force."""
    try:
        fresh = listening(Wiring.of(ctx.obj))
        ready = setup(fresh, metrics)
        stay_alone(fresh, wiring)
    except SwitchguardError as error:
        warn("not reloaded, the old site stays in force", why=str(error))
        return wiring
    service.reload(ready)
    wiring.sessions.close()
    if wiring.postman is not None:
        wiring.postman.stop()
    tell("reloaded", site=str(fresh.site.path))
    warn_of_lines_left(fresh)
    return fresh


def stay_alone(fresh: Wiring, wiring: Wiring) -> None:
    """With the same ledger as before, or with another one, if nobody else has it."""
    if fresh.site.ledger == wiring.site.ledger:
        fresh.alone = wiring.alone
        return
    fresh.alone.take()
    wiring.alone.leave()


def warn_of_lines_left(wiring: Wiring) -> None:
    """On devices that are not in hosts.yaml any more: only a person can do something about these."""
    try:
        left = gone(wiring)
    except SwitchguardError as error:
        warn(FAILED, job="lines left on devices that are gone", why=str(error))
        return
    for device, held in left.items():
        warn("lines left on a device that is gone", device=device, lines=len(held), why=gone_sentence(device, held))


def report(wiring: Wiring, result: Pass, service: Service, metrics: Metrics) -> None:
    """What a pass did, to the log, for `status` and for Prometheus."""
    for outcome in result.outcomes:
        say = tell if outcome.state == "verified" else warn
        say(outcome.state, device=outcome.change.slot.device, what=change_sentence(outcome.change), why=outcome.why)
    for refusal in (*result.plan.refusals, *result.decision.declined):
        warn("refused", what=refusal_sentence(refusal), safeguard=refusal.safeguard)
    for change in result.plan.observed:
        tell("observed", device=change.slot.device, what=change_sentence(change))
    for it in contested_of(result.attribution):
        warn("contested MAC", mac=str(it.mac), what=contested_sentence(it), certain=it.certain)
    for gap in result.snapshot.gaps:
        warn("gap", device=gap.device, table=gap.table, why=gap.why)
    for notice in notices(result.decision, result.plan):
        wiring.notifier.tell(notice.subject, notice.text)
    if wiring.postman is not None:
        wiring.postman.nudge()
    if result.calm:
        warn("not judging", why=result.calm)
    following, rhythm = service.following(), service.rhythm()
    wiring.ledger.save_status(pass_object(wiring, result, following, rhythm))
    metrics.passed(pass_numbers(wiring, result, rhythm))
    metrics.keeps_time(rhythm.stretched, rhythm.skipped, {name: not trouble for name, trouble in following.items()})
    wiring.ledger.save_faces(faces(result.attribution, wiring.ledger.present()))
    wiring.memory.tidy(wiring.site.policy, wiring.ledger.past(clock() - CUTS_REACH, ()), clock())
    forget_routine(wiring, clock())
    give_back()


def forget_routine(wiring: Wiring, now: datetime) -> None:
    """Limits for everybody that have ended, as long ago as the site says; not as long as escalation remembers them."""
    policy = wiring.site.policy
    before = now - wiring.site.history.routine
    wiring.ledger.forget_routine(before, growing(policy), min(before, now - longest_memory(policy, now)))


def pass_numbers(wiring: Wiring, result: Pass, rhythm: Rhythm) -> PassNumbers:
    return PassNumbers(
        at=clock(),
        clients=len(result.attribution.clients),
        unattributed=len(result.attribution.unattributed),
        findings=result.findings,
        penalties=tuple(verdict.penalty for verdict in wiring.ledger.standing()),
        refusals=(*result.plan.refusals, *result.decision.declined),
        outcomes=result.outcomes,
        gaps=result.snapshot.gaps,
        seconds=rhythm.pass_s,
        paused=wiring.ledger.paused() is not None,
        judging=result.calm is None,
    )
