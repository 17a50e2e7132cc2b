"""Plan -> what became of every change: intent on record, push, read back, record.

Each device is worked on by one session at a time, with all its changes in one commit; devices do not wait for each
other, except that what follows a client to a new place is lifted from the old one only when the new one is verified.
A change that a device cannot have, or that somebody else's line is in the way of, keeps no other one waiting, least of
all a release: they are then made part by part. Right before a push the device is asked whether the slots to be filled
are still empty: what an administrator has typed since the plan was made is not ours, now or later.
Whatever goes wrong on the way, the device is asked again what is true, and that is what is recorded. A process that
dies in the middle leaves `planned` or `pushed` slots behind, from which the next cycle's plan finds out where things
stand.

Sessions end their own waiting: a device that hangs raises Unreachable within its timeout.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from switchguard import plugins
from switchguard.core.changes import Change, Diff, Enforced, HeldSlot, Outcome, Plan, SessionFlush, Slot
from switchguard.core.explain import not_ours
from switchguard.core.model import Device
from switchguard.edge.recheck import FRESH, Look, gone_by_now
from switchguard.errors import CommandRefused, DeviceError, LedgerError, SwitchguardError, UnexpectedDiff
from switchguard.ports import ClearsSessions, Driver, Enforces, Ledger, Opens

log = logging.getLogger(__name__)

_OF_SOME_CHANGE = (DeviceError, CommandRefused, UnexpectedDiff)
"""Exactly these: what becomes of a connection or of the answers has nothing to do with any one change."""

Turn = Callable[[str], AbstractContextManager[None]]
"""Device -> ours alone until the end of the block, or Busy."""


def _nobody_else(_device: str) -> AbstractContextManager[None]:
    return nullcontext()


def apply(
    plan: Plan,
    *,
    devices: Mapping[str, Device],
    opens: Opens,
    ledger: Ledger,
    clock: Callable[[], datetime],
    driver_of: Callable[[str], Driver] = plugins.driver,
    workers: int = 32,
    tell: Callable[[str], None] | None = None,
    turns: Turn = _nobody_else,
    look: Look | None = None,
    fresh: timedelta = FRESH,
) -> tuple[Outcome, ...]:
    """One outcome per change, in the plan's order. `tell` hears a sentence per change and flush, as they end.
    `turns` gives each device to one process at a time (turns.py). `look` reads forwarding tables again, for MACs and
    ports that were read longer ago than `fresh`; without it they are believed to be the same.

    A device that fails makes failed outcomes and stops nobody else. LedgerError, and whatever interrupts the caller,
    travels when the devices in progress have been read back and recorded; nothing new is begun after it.
    """
    intent = ledger.intend(plan)
    hands = _Hands(devices, opens, driver_of, ledger, clock, turns, frozenset(it.slot for it in intent.held))
    moved = gone_by_now(plan, look, clock(), fresh) if look is not None else {}
    work = _Work(plan, intent.held, hands, tell or (lambda _sentence: None), {**moved, **intent.outdated})
    with ThreadPoolExecutor(workers, thread_name_prefix="apply") as pool:
        try:
            work.run(pool)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    order = {change: number for number, change in enumerate(plan.changes)}
    return tuple(sorted(work.outcomes, key=lambda outcome: order[outcome.change]))


def moves(plan: Plan, held: Iterable[HeldSlot]) -> Mapping[Change, tuple[Change, ...]]:
    """Each release that belongs to a move -> the new places it waits for.

    That is: a verdict for which the slot was filled is put somewhere else by the same plan.
    """
    causes = {slot.slot: slot.verdicts for slot in held}
    new = [change for change in plan.changes if change.after is not None]
    waits = {
        release: tuple(c for c in new if not set(c.verdicts).isdisjoint(causes.get(release.slot, ())))
        for release in plan.changes
        if release.after is None
    }
    return {release: places for release, places in waits.items() if places}


# --- the order of things ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Done:
    """What one job came to: outcomes of changes, or the sentence about one flush."""

    outcomes: tuple[Outcome, ...] = ()
    flush: SessionFlush | None = None
    remark: str = ""


@dataclass
class _Work:
    """What is still to be done, and by which device next. Lives in the caller's thread only."""

    plan: Plan
    held: tuple[HeldSlot, ...]
    hands: "_Hands"
    tell: Callable[[str], None]
    gone: Mapping[Change, str] = field(default_factory=dict)
    """What must not be made any more, and why."""
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._waiting = dict(moves(self.plan, self.held))
        self._changes = [change for change in self.plan.changes if change not in self._waiting]
        self._flushes = list(self.plan.flushes)

    def run(self, pool: ThreadPoolExecutor) -> None:
        running: dict[Future[_Done], str] = {}
        while True:
            self._settle_moves()
            for device, job in self._startable(busy=set(running.values())):
                running[pool.submit(job)] = device
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                del running[future]
                self._settle(future.result())

    def _startable(self, busy: set[str]) -> Iterable[tuple[str, Callable[[], _Done]]]:
        for device in dict.fromkeys(change.slot.device for change in self._changes):
            if device not in busy:
                busy.add(device)
                batch = tuple(change for change in self._changes if change.slot.device == device)
                self._changes = [change for change in self._changes if change.slot.device != device]
                yield device, partial(self._change, device, batch)
        for flush in tuple(self._flushes):
            if flush.device in busy or (settled := self._verified(self._blocks(flush))) is None:
                continue
            self._flushes.remove(flush)
            if settled:
                busy.add(flush.device)
                yield flush.device, partial(self._flush, flush)

    def _change(self, device: str, batch: tuple[Change, ...]) -> _Done:
        """Who is not where he was is not penalised, nor who was let off since, and the others are."""
        refused = {change: self.gone[change] for change in batch if change in self.gone}
        told = self.hands.refuse(refused) if refused else ()
        staying = tuple(change for change in batch if change not in self.gone)
        return _Done((*told, *(self.hands.change(device, staying) if staying else ())))

    def _flush(self, flush: SessionFlush) -> _Done:
        return _Done(flush=flush, remark=self.hands.flush(flush))

    def _settle_moves(self) -> None:
        """Releases whose new place is verified may go; those whose new place failed stay, and say so."""
        for release, places in tuple(self._waiting.items()):
            settled = self._verified(places)
            if settled is None:
                continue
            del self._waiting[release]
            if settled:
                self._changes.append(release)
            else:
                new = ", ".join(_place(change.slot) for change in places)
                why = f"stays until the new place is verified: {new}"
                self._settle(_Done(self.hands.refuse({release: why})))

    def _blocks(self, flush: SessionFlush) -> tuple[Change, ...]:
        return tuple(c for c in self.plan.changes if c.after is not None and flush.verdict in c.verdicts)

    def _verified(self, changes: Iterable[Change]) -> bool | None:
        """Whether all of them are; None while one is still to come."""
        states = {outcome.change: outcome.state for outcome in self.outcomes}
        found = [states.get(change) for change in changes]
        return None if None in found else all(state == "verified" for state in found)

    def _settle(self, done: _Done) -> None:
        for outcome in done.outcomes:
            self.outcomes.append(outcome)
            because = f": {outcome.why}" if outcome.why else ""
            self.tell(f"{_place(outcome.change.slot)} {outcome.state}{because}")
        if done.flush is not None:
            self.tell(f"{done.flush.device}: {done.remark}")
            blocks = self._blocks(done.flush)
            self.outcomes = [_remarked(it, done.remark) if it.change in blocks else it for it in self.outcomes]


def _remarked(outcome: Outcome, remark: str) -> Outcome:
    return replace(outcome, why="; ".join(part for part in (outcome.why, remark) if part))


# --- one device ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Attempt:
    """How far a push came: its diff, what the device enforced after it, and what went wrong."""

    diff: Diff | None = None
    now: Enforced | None = None
    trouble: str = ""
    refused: bool = False
    """What was asked for is the trouble, or may be: without one of the changes the others might do."""
    paused: str | None = None
    looked: bool = False
    """Whether the slots to be filled were seen to be nobody else's."""
    foreign: Mapping[Change, str] = field(default_factory=dict)
    """What somebody else's line is in the way of; nothing was pushed then."""


@dataclass(frozen=True, slots=True)
class _Hands:
    """Touches devices. Every method ends with the ledger told; only a LedgerError leaves."""

    devices: Mapping[str, Device]
    opens: Opens
    driver_of: Callable[[str], Driver]
    ledger: Ledger
    clock: Callable[[], datetime]
    turns: Turn
    ours: frozenset[Slot] = frozenset()
    """Slots that the ledger had as ours before this plan was put on record."""

    def change(self, name: str, changes: tuple[Change, ...], looked: bool = False) -> tuple[Outcome, ...]:
        """`looked`: these have been tried together with others. What is there now may be there by that."""
        began = self.clock()
        attempt = self._attempt(name, changes, looked)
        if attempt.paused is not None:
            return self.refuse(dict.fromkeys(changes, f"paused: {attempt.paused}"), tried=looked)
        if attempt.foreign:
            rest = tuple(change for change in changes if change not in attempt.foreign)
            return (*self.refuse(attempt.foreign), *(self.change(name, rest) if rest else ()))
        if attempt.refused and len(changes) > 1:
            return tuple(it for part in _parts(changes) for it in self.change(name, part, attempt.looked))
        if attempt.now is None:
            attempt = self._look_again(name, attempt)
        seconds = max(0.0, (self.clock() - began).total_seconds())
        outcomes = tuple(_outcome(change, attempt, seconds) for change in changes)
        self.ledger.record(outcomes, self.clock())
        return outcomes

    def refuse(self, refused: Mapping[Change, str], tried: bool = False) -> tuple[Outcome, ...]:
        """What is not done, and why. A slot that was not ours before is not ours by that, unless it was `tried`."""
        outcomes = tuple(Outcome(change, "refused", why, None, 0.0) for change, why in refused.items())
        new = set() if tried else set(self._new(refused))
        self.ledger.record([it for it in outcomes if it.change not in new], self.clock())
        self.ledger.disown([it for it in outcomes if it.change in new], self.clock())
        return outcomes

    def flush(self, flush: SessionFlush) -> str:
        """The sentence about it. A flush that fails costs time until the sessions run out by themselves, no more."""
        try:
            driver, device = self._driver(flush.device), self.devices[flush.device]
            if not isinstance(driver, ClearsSessions):
                return f"sessions stay until they time out: {device.platform} cannot clear them"
            with self.opens(device) as session:
                if (paused := self.ledger.paused()) is not None:
                    return f"sessions stay until they time out: paused: {paused}"
                cleared = driver.clear_sessions(session, flush.addresses)
                return f"{cleared} session{'' if cleared == 1 else 's'} cleared on {flush.device}"
        except LedgerError:
            raise
        except SwitchguardError as error:
            return f"sessions stay until they time out: {error}"
        except Exception as error:  # noqa: BLE001 - process boundary: a driver's defect must not stop other devices
            return f"sessions stay until they time out: {_defect(error)}"

    def _attempt(self, name: str, changes: Sequence[Change], looked: bool) -> _Attempt:
        attempt = _Attempt(looked=looked)
        try:
            driver = self._enforcing(name)
            with self.turns(name), self.opens(self.devices[name]) as session:
                if (paused := self.ledger.paused()) is not None:
                    return _Attempt(paused=paused)
                new = [] if looked else self._new(changes)
                if new:
                    attempt = replace(attempt, foreign=self._foreign(new, driver.enforced(session)), looked=True)
                    if attempt.foreign:
                        return attempt
                    if (paused := self.ledger.paused()) is not None:
                        return _Attempt(paused=paused)
                attempt = replace(attempt, diff=driver.push(session, changes))
                self.ledger.pushed(changes, self.clock())
                attempt = replace(attempt, now=driver.enforced(session))
        except LedgerError:
            raise
        except SwitchguardError as error:
            refused = attempt.diff is None and type(error) in _OF_SOME_CHANGE
            return replace(attempt, trouble=_reason(error), refused=refused)
        except Exception as error:  # noqa: BLE001 - process boundary: a driver's defect must not stop other devices
            return replace(attempt, trouble=_defect(error), refused=attempt.diff is None)
        return attempt

    def _new(self, changes: Iterable[Change]) -> list[Change]:
        """What fills slots that were empty when the plan was made, and not ours."""
        return [it for it in changes if it.before is None and it.after is not None and it.slot not in self.ours]

    def _foreign(self, new: Iterable[Change], there: Enforced) -> Mapping[Change, str]:
        """Of those, whose slot somebody has filled since. Unless that was another process of ours, which the ledger
        knows by now; what this one has only planned, it has not put anywhere yet."""
        filled = [change for change in new if change.slot in there]
        done = {it.slot for it in self.ledger.held() if it.state != "planned"} if filled else set()
        return {it: not_ours(there[it.slot]) for it in filled if it.slot not in done}

    def _look_again(self, name: str, attempt: _Attempt) -> _Attempt:
        """What is true after trouble, in a new session: the old one may be the trouble."""
        try:
            driver = self._enforcing(name)
            with self.opens(self.devices[name]) as session:
                return replace(attempt, now=driver.enforced(session))
        except SwitchguardError as error:
            blind = _reason(error)
        except Exception as error:  # noqa: BLE001 - process boundary: a driver's defect must not stop other devices
            blind = _defect(error)
        if blind == attempt.trouble:
            return attempt
        return replace(attempt, trouble=f"{attempt.trouble}; what it enforces now could not be read: {blind}")

    def _driver(self, name: str) -> Driver:
        if name not in self.devices:
            raise DeviceError(name, "is no longer in the inventory")
        return self.driver_of(self.devices[name].platform)

    def _enforcing(self, name: str) -> Enforces:
        driver = self._driver(name)
        if not isinstance(driver, Enforces):
            raise DeviceError(name, f"the driver {driver.platform} cannot enforce anything")
        return driver


def _parts(changes: tuple[Change, ...]) -> tuple[tuple[Change, ...], ...]:
    """Releases first and together, unless there is nothing else; then one after the other."""
    releases = tuple(change for change in changes if change.after is None)
    others = tuple((change,) for change in changes if change.after is not None)
    return (releases, *others) if releases and others else tuple((change,) for change in changes)


def _outcome(change: Change, attempt: _Attempt, seconds: float) -> Outcome:
    if attempt.now is None:
        return Outcome(change, "failed", attempt.trouble, attempt.diff, seconds)
    found = attempt.now.get(change.slot)
    if found == change.after:
        why = f"in place, although {attempt.trouble}" if attempt.trouble else ""
        return Outcome(change, "verified", why, attempt.diff, seconds)
    why = attempt.trouble or f"pushed, but the device shows {found or 'nothing'} instead of {change.after or 'nothing'}"
    return Outcome(change, "failed", why, attempt.diff, seconds)


def _reason(error: SwitchguardError) -> str:
    return error.why if isinstance(error, DeviceError) else str(error)


def _defect(error: Exception) -> str:
    log.exception("a driver failed in a way that it should not")
    return f"a defect in the driver: {type(error).__name__}: {error}"


def _place(slot: Slot) -> str:
    station = slot.station
    parts = {
        "MAC": station.mac,
        "address": slot.address,
        "network": slot.network,
        "port": station.port,
        "VLAN": station.vlan,
    }
    where = " ".join(f"{name} {value}" for name, value in parts.items() if value is not None)
    return f"{slot.device}: {slot.kind} {where or 'everyone'}"
