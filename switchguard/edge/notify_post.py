"""Sends what is in the outbox, in a thread of its own: a pass never waits for a mail server.

One message per addressee and round, about everything that is due; not more often than the site allows, in which case it
waits and goes together. A server that could not be reached is left alone for the rest of the round, and one that has
not answered in time until it does, so that a round is bounded by the number of servers, not of letters.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from switchguard.core.letters import Addressee, Letter
from switchguard.edge.notify_apprise import Unsent, load, send
from switchguard.edge.notify_outbox import FIRST_PAUSE, Entry, Outbox
from switchguard.edge.notify_settings import NoticeSettings
from switchguard.edge.notify_texts import Message, sample_letter
from switchguard.errors import LedgerError
from switchguard.ports import Secret

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
"""For letters that another process wrote."""
SLACK = timedelta(seconds=30)
"""Beside the time that sending may take: before then nobody else takes a batch, however its sender ended."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message. `why` is empty when it was sent."""

    to: str
    letters: int
    why: str = ""


class Tells(Protocol):
    def __call__(self, event: str, **facts: object) -> None: ...


@dataclass(frozen=True, slots=True)
class _Way:
    """Which server, and the mail address behind it."""

    server: Secret
    to: str = ""


class Postman:
    """`round()` by hand, or `start()` and `stop()`. `zone` is the site's, for the times in the texts."""

    def __init__(
        self, outbox: Outbox, settings: NoticeSettings, zone: tzinfo, clock: Callable[[], datetime], tell: Tells
    ) -> None:
        self._outbox, self._settings, self._zone, self._clock, self._tell = outbox, settings, zone, clock, tell
        self._stuck: dict[Secret, threading.Thread] = {}
        self._asked, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="notices", daemon=True)

    def start(self) -> None:
        """Once; again changes nothing."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """What is being sent is sent; nothing else is."""
        self._stopping.set()
        self._asked.set()

    def nudge(self) -> None:
        """There may be something new."""
        self._asked.set()

    def round(self) -> tuple[Delivery, ...]:
        """Everything that is due now, once. Raises LedgerError."""
        unreachable: set[Secret] = set()
        made = []
        load()
        for addressee in self._outbox.due(self._clock()):
            if self._stopping.is_set():
                break
            made += self._spared(addressee, unreachable)
        return tuple(made)

    def test(self, to: Sequence[Addressee]) -> tuple[Delivery, ...]:
        """A sample to each, past the outbox: what each server says now."""
        load()
        letters = [(it, sample_letter(it, self._clock())) for it in to]
        answers = [(it, self._try([letter], "[sample] ")) for it, letter in letters]
        return tuple(Delivery(str(it), 1, "" if answer is None else answer.why) for it, answer in answers)

    def everywhere(self) -> tuple[Addressee, ...]:
        """Every addressee that the site itself names."""
        telling = self._settings.telling
        operators = (Addressee("operators", str(n), language=telling.language) for n in range(1, telling.operators + 1))
        zones = (Addressee("zone", name, language=telling.language) for name in sorted(telling.zones))
        return (*operators, *zones)

    # --- one round ---------------------------------------------------------------------------------------------------

    def _spared(self, addressee: str, unreachable: set[Secret]) -> list[Delivery]:
        """Whatever goes wrong with one addressee's messages, the others get theirs."""
        try:
            return self._serve(addressee, unreachable)
        except LedgerError:
            raise
        except Exception as error:  # process boundary: templates and services are strangers' programs
            log.exception("a notice failed in a way that it should not")
            self._outbox.wait(addressee, now := self._clock(), now + FIRST_PAUSE)
            return [Delivery(addressee, 0, f"a defect: {type(error).__name__}: {error}")]

    def _serve(self, addressee: str, unreachable: set[Secret]) -> list[Delivery]:
        now, pace = self._clock(), self._settings.pace
        entries = self._outbox.peek(addressee, now)
        if not entries:
            return []
        way = self._way(entries[0].letter.to)
        if isinstance(way, _Way) and (way.server in unreachable or self._is_stuck(way.server)):
            self._outbox.wait(addressee, now, now + FIRST_PAUSE)
            return []
        if (free := self._free_at(entries[0].letter.to, addressee, now)) > now:
            self._outbox.wait(addressee, now, free)
            return []
        taken = self._outbox.take(addressee, now, now + timedelta(seconds=pace.timeout_s) + SLACK)
        if not taken:
            return []
        answer = self._try([it.letter for it in taken])
        return [self._record(taken, answer, way, unreachable)]

    def _record(
        self, taken: Sequence[Entry], answer: Unsent | None, way: _Way | Unsent, unreachable: set[Secret]
    ) -> Delivery:
        to, now = str(taken[0].letter.to), self._clock()
        if answer is None:
            self._outbox.sent(taken, now, to)
            self._tell("told", to=to, notices=len(taken))
            return Delivery(to, len(taken))
        if answer.unreachable and isinstance(way, _Way):
            unreachable.add(way.server)
        self._outbox.troubled(taken, now, answer.why, self._settings.pace.give_up_after)
        self._tell("not told", to=to, notices=len(taken), why=answer.why)
        return Delivery(to, len(taken), answer.why)

    def _free_at(self, to: Addressee, addressee: str, now: datetime) -> datetime:
        """When this one may hear from us again; operators always may."""
        pace = self._settings.pace
        recent = () if to.kind == "operators" else self._outbox.recent(addressee, now - pace.within)
        return now if len(recent) < pace.most else recent[-pace.most] + pace.within

    # --- one message -------------------------------------------------------------------------------------------------

    def _try(self, letters: Sequence[Letter], mark: str = "") -> Unsent | None:
        way, settings = self._way(letters[0].to), self._settings
        if isinstance(way, Unsent):
            return way
        message = settings.texts.message(letters, settings.contact, self._zone)
        if message.trouble:
            self._tell("template failed", why=message.trouble)
        return self._in_time(way, replace(message, subject=mark + message.subject))

    def _way(self, to: Addressee) -> _Way | Unsent:
        """As the site is now: it may have changed since the letter was written."""
        targets = self._settings.targets
        match to.kind:
            case "person":
                return Unsent("the site has no mail server") if targets.mail is None else _Way(targets.mail, to.mail)
            case "operators":
                number = int(to.name)
                there = len(targets.operators)
                return _Way(targets.operators[number - 1]) if number <= there else Unsent(f"there are only {there}")
            case "zone":
                contact = targets.zones.get(to.name)
        if isinstance(contact, str):
            return Unsent("the site has no mail server") if targets.mail is None else _Way(targets.mail, contact)
        return Unsent("the zone has no contact any more") if contact is None else _Way(contact)

    def _in_time(self, way: _Way, message: Message) -> Unsent | None:
        """A server that drips is not waited for; should it take the message later all the same, it gets it twice."""
        patience = self._settings.pace.timeout_s
        answers: list[Unsent | None] = []
        worker = threading.Thread(
            target=lambda: answers.append(send(way.server, message, patience, way.to)), name="notice", daemon=True
        )
        worker.start()
        worker.join(patience)
        if answers:
            return answers[0]
        self._stuck[way.server] = worker
        return Unsent(f"no answer within {patience:g} s", unreachable=True)

    def _is_stuck(self, server: Secret) -> bool:
        worker = self._stuck.get(server)
        return worker is not None and worker.is_alive()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._asked.clear()
            pause_s = LOOK_EVERY_S
            try:
                self.round()
                self._outbox.tidy(self._clock())
                pause_s = self._pause_s()
            except LedgerError as error:
                self._tell("the outbox cannot be read", why=str(error))
            except Exception as error:  # process boundary: without this thread nobody is told anything
                log.exception("a round of notices failed in a way that it should not")
                self._tell("a round of notices failed", why=f"{type(error).__name__}: {error}")
            self._asked.wait(pause_s)

    def _pause_s(self) -> float:
        due = self._outbox.next_due()
        left = LOOK_EVERY_S if due is None else (due - self._clock()).total_seconds()
        return min(LOOK_EVERY_S, max(1.0, left))
