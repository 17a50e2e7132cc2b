"""Passes on time, never two at once, releases to the minute, and a clean stop.

One APScheduler job per class of poll, not per device; `misfire_grace_time=None`, since the default drops a late run
in silence.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from switchguard.core.model import NatSize, Policy, Snapshot
from switchguard.core.refresh import refresh
from switchguard.core.surge import surge
from switchguard.core.tally import Crossing, Watching
from switchguard.cycle import PLACES, USAGE, Doors, Pass, one_pass, pass_on_sight
from switchguard.errors import SwitchguardError
from switchguard.ports import Stream
from switchguard.watch import Watcher


@dataclass(frozen=True, slots=True)
class Periods:
    """How often each class of table is read."""

    nat_size: timedelta = timedelta(seconds=10)
    nat: timedelta = timedelta(seconds=60)
    tables: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a reload replaces: policy, doors, periods, and what is followed between two polls."""

    policy: Policy
    doors: Doors
    periods: Periods
    begins: Mapping[str, Stream] = field(default_factory=dict)
    """Gateway -> the sessions that begin there: `detect: stream`."""
    watching: Watching = Watching()


class Service:
    """`start()`, then `stop()`. `tell(event, **facts)` hears everything that happens, `report(Pass)` every pass."""

    def __init__(self, setup: Setup, tell: Callable[..., None], report: Callable[[Pass], None]) -> None:
        self._setup, self._tell, self._report = setup, tell, report
        self._seen: Snapshot | None = None
        self._sizes: dict[str, NatSize] = {}
        self._passing = threading.Lock()
        self._watchers: tuple[Watcher, ...] = ()
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            # One worker makes passes, one asks for sizes: a long pass delays the next one, it never meets it.
            executors={"passes": ThreadPoolExecutor(1), "sizes": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        every = self._setup.periods
        now = self._setup.doors.clock()
        for name, work, period, executor in (
            ("usage", self._usage, every.nat, "passes"),
            ("places", self._places, every.tables, "passes"),
            ("sizes", self._ask_sizes, every.nat_size, "sizes"),
        ):
            self._scheduler.add_job(
                self._guarded(name, work),
                IntervalTrigger(seconds=period.total_seconds()),
                id=name,
                executor=executor,
                next_run_time=now,
            )
        self._scheduler.start()
        self._watch()

    def reload(self, setup: Setup) -> None:
        """From the next run on; what has been seen stays, with its age."""
        with self._passing:
            self._setup = setup
        self._watch()
        for name, period in self._periods().items():
            self._scheduler.reschedule_job(name, trigger=IntervalTrigger(seconds=period.total_seconds()))
        self._hurry("reloaded")

    def stop(self, patience_s: float) -> bool:
        """No new run starts; True when the one in progress ended in time."""
        for watcher in self._watchers:
            watcher.stop()
        self._scheduler.shutdown(wait=False)
        return self._passing.acquire(timeout=patience_s)

    def following(self) -> Mapping[str, str]:
        """Gateway -> "" while its stream is followed, else why only polls find anybody there."""
        return {watcher.gateway: watcher.trouble for watcher in self._watchers}

    def _watch(self) -> None:
        """One thread per gateway that tells of sessions while they begin; those of an older setup end."""
        for watcher in self._watchers:
            watcher.stop()
        setup = self._setup
        self._watchers = tuple(
            Watcher(gateway, stream, setup.policy.rules, setup.watching, self._crossed, self._tell)
            for gateway, stream in setup.begins.items()
        )
        for watcher in self._watchers:
            watcher.start()

    def _crossed(self, crossings: Sequence[Crossing]) -> None:
        """From a watcher's thread: the pass is made by the worker that makes all passes, as soon as it is free."""
        whose = ", ".join(str(crossing.address) for crossing in crossings)
        self._tell("over the threshold, looking now", addresses=whose, rule=crossings[0].rule)
        self._scheduler.add_job(self._guarded("sight", lambda: self._on_sight(crossings)), executor="passes")

    def _on_sight(self, crossings: Sequence[Crossing]) -> None:
        if self._seen is None:  # nobody knows anybody yet; the first pass is on its way
            return
        with self._passing:
            result = pass_on_sight(self._setup.policy, self._setup.doors, crossings, self._seen)
            self._seen = result.snapshot
        self._report(result)
        self._come_back_for(result)

    def _periods(self) -> Mapping[str, timedelta]:
        every = self._setup.periods
        return {"usage": every.nat, "places": every.tables, "sizes": every.nat_size}

    def _guarded(self, name: str, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except SwitchguardError as error:
                self._tell("failed", job=name, why=str(error))

        return run

    def _usage(self) -> None:
        with self._passing:
            tables = USAGE if self._seen else USAGE | PLACES
            result = one_pass(self._setup.policy, self._setup.doors, tables, self._seen)
            self._seen = result.snapshot
        self._report(result)
        self._come_back_for(result)

    def _places(self) -> None:
        with self._passing:
            if self._seen is not None:  # the first usage pass reads the places too
                self._seen = refresh(self._seen, self._setup.doors.gather(PLACES))

    def _ask_sizes(self) -> None:
        sizes = {size.device: size for size in self._setup.doors.gather({"nat_size"}).nat_sizes}
        whys = [why for name, size in sizes.items() if (why := surge(self._sizes.get(name), size))]
        self._sizes = sizes
        if whys:
            self._hurry("; ".join(whys))

    def _come_back_for(self, result: Pass) -> None:
        """Sooner than the period says: for a client on its way to a verdict, and for the next release."""
        now, every = self._setup.doors.clock(), self._setup.periods
        patience = {rule.name: rule.for_polls for rule in self._setup.policy.rules}
        if any(found.streak < patience[found.rule] for found in result.findings):
            self._bring_forward(now + min(every.nat_size, every.nat))
        ends = [verdict.until for verdict in result.decision.standing if verdict.until is not None]
        if ends:
            self._bring_forward(max(min(ends), now))

    def _hurry(self, why: str) -> None:
        self._tell("reading the whole table now", why=why)
        self._bring_forward(self._setup.doors.clock())

    def _bring_forward(self, when: datetime) -> None:
        job = self._scheduler.get_job("usage")
        if job is not None and job.next_run_time is not None and when < job.next_run_time:
            job.modify(next_run_time=when)
