"""Passes on time, never two at once, releases to the minute, and a clean stop.

Tables are read before a pass begins, and a pass between two polls (between.py) may be made meanwhile, in sessions of
its own: who was seen to begin hundreds of sessions is not spared because somewhere an agent does not answer.

One APScheduler job per class of poll, not per device; `misfire_grace_time=None`, since the default drops a late run
in silence.

APScheduler plans by the wall clock. Where that is set, back or forward, everything is due at once, and what was seen
and counted by the old time is left alone, as after a start: no span that contains such a step says how long it was.
Penalties go on ending by the clock, whatever it shows; the log says so.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from switchguard.between import pass_on_hint, pass_on_sight
from switchguard.core.calm import patience_s
from switchguard.core.clocks import Clocks, stepped
from switchguard.core.explain import duration
from switchguard.core.model import Mac, NatSize, Snapshot, Table
from switchguard.core.pace import Pace, after, costs, out_of_turn, stretched
from switchguard.core.policy import Policy
from switchguard.core.refresh import refresh
from switchguard.core.surge import surge
from switchguard.core.tally import Crossing, Watching
from switchguard.cycle import PLACES, USAGE, Doors, Pass, one_pass
from switchguard.errors import SwitchguardError
from switchguard.ports import Stream
from switchguard.watch import Follower, Sentry

HINT_PAUSE = timedelta(milliseconds=250)
"""Between two looks for hints."""
LOOKS, LOOKS_WITHIN = 4, timedelta(seconds=8)
"""At most so many in any such time, since anybody may send hints: a move is told by several of them."""
CLOCK_LOOK_S = 1.0
"""Between two looks whether somebody set the clock."""
ONCE_MORE = timedelta(seconds=1)
"""After a poll during which the clock was set, which is over by then."""
HINTED_DEVICES = 50
"""At most so many are looked at for hints; the next poll finds the rest."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How often each class of table is read."""

    nat_size: timedelta = timedelta(seconds=10)
    nat: timedelta = timedelta(seconds=60)
    tables: timedelta = timedelta(minutes=5)
    counters: timedelta = timedelta(seconds=60)
    nat_ceiling: float = 0.1
    """Share of the time that reading the whole NAT table may take (core/pace.py); 0.0-1.0, not 0.0."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How the polls are doing."""

    nat: timedelta
    """How often the whole NAT table is read at the moment,"""
    stretched: float
    """and how many times as long as configured that is: 1.0 while the table is cheap."""
    pass_s: float = 0.0
    """What the last pass took, from poll to outcome."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Job -> how often its time came while it was still at it, or waiting for another: never two at once."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a reload replaces: policy, doors, periods, and what is followed between two polls."""

    policy: Policy
    doors: Doors
    periods: Periods
    begins: Mapping[str, Stream] = field(default_factory=dict)
    """Gateway -> the sessions that begin there: `detect: stream`."""
    watching: Watching = field(default_factory=Watching)
    counters: frozenset[Table] = frozenset({"counters"})
    """What is read every `periods.counters`."""
    quick: Doors | None = None
    """For passes between two polls: the same devices in other sessions. None: `doors`."""
    count_anew: Callable[[], None] = lambda: None
    """From the next reading on, whatever was counted before: the clock was set."""

    @property
    def between(self) -> Doors:
        return self.quick or self.doors


class _Stopping(Exception):
    """Nothing begins any more."""


class Service:
    """`start()`, then `stop()`. `tell(event, **facts)` hears everything that happens, `report(Pass)` every pass;
    `steady` are seconds of a clock that nobody can set."""

    def __init__(
        self,
        setup: Setup,
        tell: Callable[..., None],
        report: Callable[[Pass], None],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._setup, self._tell, self._report, self._steady = setup, tell, report, steady
        self._minding, self._clocks = threading.Lock(), self._look_at_clocks()
        self._clock_was_set = False
        """Since the last poll began: what was seen has wrong times."""
        self._seen: Snapshot | None = None
        self._sizes: dict[str, NatSize] = {}
        self._pace = Pace()
        self._hurried: datetime | None = None
        self._pass_s = 0.0
        self._skipped: Counter[str] = Counter()
        self._polling, self._passing = threading.Lock(), threading.Lock()
        """Held from a poll's first question to the end of its pass; and while somebody judges and acts."""
        self._stopping = threading.Event()
        self._followers: list[Follower] = []
        self._hinting = threading.Lock()
        self._hints: dict[str, frozenset[Mac]] = {}
        self._looked: deque[datetime] = deque(maxlen=LOOKS)
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            # One worker polls, one asks for sizes: a long poll delays the next one, it never meets it.
            executors={name: ThreadPoolExecutor(1) for name in ("polls", "between", "sizes")},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._skip, EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        every = self._setup.periods
        now = self._setup.doors.clock()
        for name, work, period, executor in (
            ("usage", self._usage, every.nat, "polls"),
            ("places", lambda: self._read_too(PLACES), every.tables, "polls"),
            ("counters", lambda: self._read_too(self._setup.counters), every.counters, "polls"),
            ("sizes", self._ask_sizes, every.nat_size, "sizes"),
        ):
            self._scheduler.add_job(
                self._guarded(name, work),
                IntervalTrigger(seconds=period.total_seconds()),
                id=name,
                name=name,
                executor=executor,
                next_run_time=now,
            )
        self._scheduler.start()
        threading.Thread(target=self._mind_the_clock, name="clock", daemon=True).start()
        self._watch()

    def reload(self, setup: Setup) -> None:
        """From the next run on; what has been seen stays, with its age. A run that waits for a device keeps nobody
        waiting here: it ends with the setup that it began with. The table is read at once, whatever it costs."""
        self._setup = setup
        self._pace = replace(self._pace, paid=None)
        self._watch()
        self._plan_anew()
        self._hurry("reloaded")

    def stop(self, patience_s: float) -> bool:
        """No new run starts, nor does one that waits for its turn, and what was only read is not acted on any more;
        True when all in progress ended in time."""
        self._stopping.set()
        for follower in self._followers:
            follower.stop()
        self._scheduler.shutdown(wait=False)
        until = time.monotonic() + patience_s
        locks = (self._polling, self._passing)
        ended = [it for it in locks if it.acquire(timeout=max(until - time.monotonic(), 0.0))]
        for lock in ended:
            lock.release()
        return len(ended) == len(locks)

    def compare_clocks(self, now: Clocks) -> None:
        """Looks whether somebody set the clock since the last time; then everything is due now."""
        with self._minding:
            off, self._clocks = stepped(self._clocks, now), now
        if off is None or self._stopping.is_set():
            return
        self._clock_was_set, self._pace, self._hurried = True, Pace(), None
        with self._hinting:
            self._looked.clear()
        self._plan_anew()
        for job in self._scheduler.get_jobs():
            with suppress(JobLookupError):  # it has just run, for the last time
                job.modify(next_run_time=now.wall)
        way, after = ("forward", "earlier") if off > timedelta(0) else ("back", "later")
        ending = sum(verdict.until is not None for verdict in self._setup.doors.ledger.standing())
        self._tell(
            f"the clock was set {way} by {duration(round(abs(off).total_seconds()))}",
            penalties=ending,
            why=f"penalties end by the clock: these do that much {after} than they were given",
        )

    def _mind_the_clock(self) -> None:
        look = self._guarded("clock", self._times_are_good)
        while not self._stopping.wait(CLOCK_LOOK_S):
            look()

    def _times_are_good(self) -> bool:
        """Not from when the clock was set until the next poll."""
        self.compare_clocks(self._look_at_clocks())
        return not self._clock_was_set

    def _look_at_clocks(self) -> Clocks:
        return Clocks(self._setup.doors.clock(), self._steady())

    def _plan_anew(self) -> None:
        for name, period in self._periods().items():
            if (job := self._scheduler.get_job(name)) is not None:  # None: we are stopping
                job.reschedule(IntervalTrigger(seconds=period.total_seconds()))

    def rhythm(self) -> Rhythm:
        configured, now = self._setup.periods.nat, self._nat_period()
        return Rhythm(now, now / configured, self._pass_s, dict(self._skipped))

    def following(self) -> Mapping[str, str]:
        """Gateway -> "" while its stream is followed, else why only polls find anybody there."""
        return {follower.gateway: follower.trouble for follower in self._followers}

    def nudge(self, device: str, macs: frozenset[Mac] = frozenset()) -> None:
        """Something says that a station came, left or moved at this device (`macs`: which ones, if it says so). If that
        may concern somebody under a penalty, a look follows, at once but not more often than every HINT_PAUSE."""
        with self._hinting:
            waiting = bool(self._hints)
            known = self._hints.get(device)
            self._hints[device] = macs if known is None else frozenset() if not known or not macs else known | macs
            when = max(self._setup.doors.clock(), self._hints_from())
        if not waiting:
            self._scheduler.add_job(self._guarded("hint", self._on_hints), "date", run_date=when, executor="between")

    def _on_hints(self) -> None:
        setup = self._setup
        with self._hinting:
            hints, self._hints = self._hints, {}
        penalised = {mac for verdict in setup.doors.ledger.standing() for mac in verdict.macs}
        concerned = sorted(device for device, macs in hints.items() if not macs or macs & penalised)[:HINTED_DEVICES]
        if not penalised or not concerned:
            return
        with self._alone(self._passing):
            before = self._known()
            if before is None:
                return
            result = pass_on_hint(setup.policy, setup.between, concerned, before)
            with self._hinting:
                self._looked.append(setup.doors.clock())
            if result is not None:
                self._tell("looked because of a hint", devices=", ".join(concerned))
                self._made_between(result, before)

    def _hints_from(self) -> datetime:
        """When hints may be heeded again."""
        if not self._looked:
            return datetime.min.replace(tzinfo=UTC)
        soonest = self._looked[-1] + HINT_PAUSE
        return max(soonest, self._looked[0] + LOOKS_WITHIN) if len(self._looked) == LOOKS else soonest

    def _watch(self) -> None:
        """One thread per gateway that tells of sessions as they begin; those of an older setup end."""
        for follower in self._followers:
            follower.stop()
        setup = self._setup
        self._followers = [
            Follower(gateway, stream, setup.watching.tick_s, self._sentry(gateway, setup), self._tell)
            for gateway, stream in setup.begins.items()
        ]
        for follower in self._followers:
            follower.start()

    def _sentry(self, gateway: str, setup: Setup) -> Sentry:
        def missed(why: str) -> None:
            self._hurry(f"{gateway}: sessions began that nobody heard of: {why}")

        return Sentry(setup.policy.rules, setup.watching, self._crossed, missed)

    def _crossed(self, crossings: Sequence[Crossing]) -> None:
        """From a watcher's thread."""
        whose = ", ".join(str(crossing.address) for crossing in crossings)
        self._tell("over the threshold, looking now", addresses=whose, rule=crossings[0].rule)
        self._scheduler.add_job(self._guarded("sight", lambda: self._on_sight(crossings)), executor="between")

    def _on_sight(self, crossings: Sequence[Crossing]) -> None:
        with self._alone(self._passing):
            setup, before = self._setup, self._known()
            if before is None:  # nobody knows anybody yet; the first pass is on its way
                return
            result = pass_on_sight(setup.policy, setup.between, crossings, before, patience_s(self._nat_period()))
            self._made_between(result, before)

    @contextmanager
    def _alone(self, lock: threading.Lock) -> Iterator[None]:
        """_Stopping when it is too late to begin anything."""
        with lock:
            if self._stopping.is_set():
                raise _Stopping
            yield

    def _made_between(self, result: Pass, before: Snapshot) -> None:
        """What was seen is not laid under the tables of a poll that had begun before, nor over those of one that came
        to its end meanwhile."""
        if self._polling.acquire(blocking=False):
            if self._seen is before:
                self._seen = result.snapshot
            self._polling.release()
        self._report(result)
        self._come_back_for(result)

    def _periods(self) -> Mapping[str, timedelta]:
        every = self._setup.periods
        return {
            "usage": self._nat_period(),
            "places": every.tables,
            "counters": every.counters,
            "sizes": every.nat_size,
        }

    def _guarded(self, name: str, work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except _Stopping:
                return
            except SwitchguardError as error:
                self._tell("failed", job=name, why=str(error))

        return run

    def _usage(self) -> None:
        with self._alone(self._polling):
            if not self._times_are_good():
                self._leave_the_old_time()
            setup, tables = self._setup, USAGE if self._seen else USAGE | PLACES
            self._hurried, began, started_s = None, setup.doors.clock(), self._steady()
            gathered = setup.doors.gather(tables)
            with self._alone(self._passing):
                if not self._times_are_good():
                    self._bring_forward(setup.doors.clock() + ONCE_MORE)
                    return
                result = one_pass(setup.policy, setup.doors, gathered, self._seen, patience_s(self._nat_period()))
                self._seen = result.snapshot
                self._pass_s = self._steady() - started_s
                begun = setup.doors.clock() - timedelta(seconds=self._pass_s)  # the clock may have been set meanwhile
                self._keep_pace(costs(result.snapshot, began), begun)
                self._report(result)
                self._come_back_for(result)

    def _leave_the_old_time(self) -> None:
        """What was seen and counted before the clock was set."""
        self._setup.count_anew()
        self._clock_was_set, self._seen = False, None

    def _known(self) -> Snapshot | None:
        """What was seen; None before anything was, and where its times are good for nothing."""
        return self._seen if self._times_are_good() else None

    def _read_too(self, tables: Collection[Table]) -> None:
        """For the next pass to find."""
        with self._alone(self._polling):
            if (seen := self._known()) is not None:  # the first usage pass reads the places too
                self._seen = refresh(seen, self._setup.doors.gather(tables))

    def _ask_sizes(self) -> None:
        sizes = {size.device: size for size in self._setup.doors.gather({"nat_size"}).nat_sizes}
        whys = [why for name, size in sizes.items() if (why := surge(self._sizes.get(name), size))]
        self._sizes = sizes
        if whys:
            self._hurry("; ".join(whys))

    def _nat_period(self) -> timedelta:
        every = self._setup.periods
        return stretched(self._pace, every.nat, every.nat_ceiling)

    def _keep_pace(self, spent_s: Mapping[str, float], began: datetime) -> None:
        """The dearest gateway counts: all of them are read in the same pass."""
        if not spent_s:
            return
        every, before = self._setup.periods, self._nat_period()
        gateway = max(spent_s, key=spent_s.__getitem__)
        self._pace = after(self._pace, began, spent_s[gateway], every.nat_ceiling)
        now = self._nat_period()
        if now == before:
            return
        if (job := self._scheduler.get_job("usage")) is not None:  # None: we are stopping
            job.reschedule(IntervalTrigger(seconds=now.total_seconds(), start_date=began + now))
        if self._hurried is not None:
            self._bring_forward(self._hurried)
        facts = {"seconds": round(spent_s[gateway], 1), "period_s": round(now.total_seconds())}
        if before == every.nat:
            self._tell("reading the NAT table is dear, so it is read less often", gateway=gateway, **facts)
        elif now == every.nat:
            self._tell("reading the NAT table is cheap again, it is read as often as configured", **facts)

    def _skip(self, event: JobSubmissionEvent) -> None:
        """Wanted, since two passes never meet; said once for each job, and counted."""
        self._skipped[event.job_id] += 1
        if self._skipped[event.job_id] == 1:
            self._tell("its time came again before it was done, so one turn is left out", job=event.job_id)

    def _come_back_for(self, result: Pass) -> None:
        """Sooner than the period says: for a client on its way to a verdict, and for the next release."""
        now, every = self._setup.doors.clock(), self._setup.periods
        patience = {rule.name: rule.for_polls for rule in self._setup.policy.rules}
        if any(found.streak < patience.get(found.rule, 0) for found in result.findings):
            self._bring_forward(self._affordable(now + min(every.nat_size, every.nat)))
        ends = [verdict.until for verdict in result.decision.standing if verdict.until is not None]
        if ends:
            self._bring_forward(max(min(ends), now))

    def _hurry(self, why: str) -> None:
        now = self._setup.doors.clock()
        when = self._affordable(now)
        if when == now:
            self._tell("reading the whole table now", why=why)
        else:
            self._tell("reading the whole table soon", why=why, in_s=round((when - now).total_seconds()))
        self._bring_forward(when)

    def _affordable(self, when: datetime) -> datetime:
        return out_of_turn(self._pace, when, self._setup.periods.nat_ceiling)

    def _bring_forward(self, when: datetime) -> None:
        self._hurried = when if self._hurried is None else min(when, self._hurried)
        job = self._scheduler.get_job("usage")
        if job is not None and job.next_run_time is not None and when < job.next_run_time:
            job.modify(next_run_time=when)
