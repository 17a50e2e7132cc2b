"""What a pass decided -> messages for people: lines for the log, and letters for the outbox.

A notice is told once, when it begins; while it stands the same breach says nothing more, so that `lasts` of a notice
is how often somebody hears of the same client.

A letter goes to whom it concerns: the person that the device belongs to, the contact of the client's zone, the
operators. The first two hear of a penalty when a device has it and of a notice when it begins, so that nobody is told
of a block that a safeguard refused or that failed; the operators are told why nothing was done, and once more when it
was. In observe mode, and of limits that are nobody's fault, only operators hear.
Every pass names all that is due, also what earlier ones named: the outbox has each letter once, and somebody who became
known a little later is told all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Literal

from switchguard.core.calendar import next_at
from switchguard.core.changes import Plan
from switchguard.core.decide import MANUAL, TIME_IS_UP
from switchguard.core.explain import concerns, release_sentence, verdict_sentence
from switchguard.core.ladder import in_box, zone_of
from switchguard.core.letters import Addressee, Contact, Event, Facts, Letter, Register, facts, mail_address, not_done
from switchguard.core.model import Attribution, Mode, NatUsage
from switchguard.core.penalties import Decision, Finding, Notify, Refusal, Verdict
from switchguard.core.policy import Policy

LATE = timedelta(hours=1)
"""Whoever becomes known (a mail address, a registry that could not be read) is told of no notice older than this."""
PEOPLE = ("mac:", "user:", "address:")
"""How the identities of clients begin whose devices are somebody's."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message as a Notifier takes it."""

    subject: str
    text: str


def notices(decision: Decision, plan: Plan) -> tuple[Notice, ...]:
    """Of one pass; both were made at the same time. Who is exempt is refused even a notice."""
    spared = {refusal.verdict for refusal in plan.refusals if refusal.verdict is not None}
    told = [it for it in decision.standing if _begins(it, plan.at) and it.id not in spared]
    left = [it for it in decision.released if in_box(it.verdict) and it.why != TIME_IS_UP]
    made = []
    if told:
        made.append(Notice(f"{_clients(told)} noticed", "\n".join(verdict_sentence(it) for it in told)))
    if left:
        emptied = f"the box was emptied: {_clients([it.verdict for it in left])}"
        made.append(Notice(emptied, "\n".join(release_sentence(it) for it in left)))
    return tuple(made)


def _begins(verdict: Verdict, at: datetime) -> bool:
    return isinstance(verdict.penalty, Notify) and verdict.since == at


def _clients(verdicts: Sequence[Verdict]) -> str:
    count = len({verdict.client for verdict in verdicts})
    return f"{count} client" if count == 1 else f"{count} clients"


# --- letters ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told what."""

    people: bool = False
    """Whether there is a mail server to tell people by."""
    operators: int = 0
    """To how many places operators' messages go."""
    zones: frozenset[str] = frozenset()
    """Those that have a contact."""
    ends: Literal["nobody", "operators", "everyone"] = "operators"
    users: str | None = None
    """Mail address of a VPN user, `{user}@example.org`."""
    language: str = "en"
    languages: frozenset[str] = frozenset({"en"})
    digest_at: time | None = None
    """When operators and zones are told, once a day; None: with each pass."""


@dataclass(frozen=True)
class News:
    """What a pass decided, and on what grounds."""

    decision: Decision
    plan: Plan
    attribution: Attribution
    findings: Sequence[Finding] = ()

    @cached_property
    def placed(self) -> frozenset[str]:
        """Verdicts that some device is about to get."""
        return frozenset(ident for it in self.plan.changes if it.after is not None for ident in it.verdicts)

    @cached_property
    def observed(self) -> frozenset[str]:
        return frozenset(ident for it in self.plan.observed if it.after is not None for ident in it.verdicts)

    @cached_property
    def refused(self) -> Mapping[str, Refusal]:
        return {it.verdict: it for it in self.plan.refusals if it.verdict is not None}

    def usage(self, verdict: Verdict) -> NatUsage | None:
        return next((it.usage for it in self.attribution.clients if concerns(verdict, it)), None)

    def finding(self, verdict: Verdict) -> Finding | None:
        return next((it for it in self.findings if (it.rule, it.client) == (verdict.rule, verdict.client)), None)


def letters(news: News, policy: Policy, telling: Telling, register: Register) -> tuple[Letter, ...]:
    """All that is due; the same again if asked again."""
    writer = _Writer(news, policy, telling, register)
    begun = (letter for verdict in news.decision.standing for letter in writer.begun(verdict))
    over = (letter for it in news.decision.released for letter in writer.ended(it.verdict, it.why))
    return (*begun, *over)


@dataclass(frozen=True, slots=True)
class _Writer:
    news: News
    policy: Policy
    telling: Telling
    register: Register

    def begun(self, verdict: Verdict) -> Iterator[Letter]:
        news, refusal = self.news, self.news.refused.get(verdict.id)
        notice = isinstance(verdict.penalty, Notify)
        if verdict.routine and not notice:
            return
        if refusal is not None and (notice or refusal.safeguard == "exemption"):
            return
        fresh, placed = news.plan.at - verdict.since <= LATE, verdict.id in news.placed
        if self._open() and not verdict.routine and (placed or (notice and fresh)):
            yield from self._to_those_concerned(verdict, "begins", once_done=placed)
        if fresh or placed:
            yield from self._to_operators(verdict, "begins", note=self._note(verdict, refusal), once_done=placed)

    def ended(self, verdict: Verdict, why: str) -> Iterator[Letter]:
        if isinstance(verdict.penalty, Notify) or verdict.routine or self.telling.ends == "nobody":
            return
        if self._open() and self.telling.ends == "everyone":
            yield from self._to_those_concerned(verdict, "ends", why)
        yield from self._to_operators(verdict, "ends", why)

    def _open(self) -> bool:
        """Whether anybody but the operators may hear."""
        return self.policy.mode is Mode.ENFORCE

    def _note(self, verdict: Verdict, refusal: Refusal | None) -> str:
        if refusal is not None and verdict.id not in self.news.placed:
            return not_done(f"{refusal.why} [{refusal.safeguard}]")
        observed = verdict.id in self.news.observed or not self._open()
        return "observe mode: nothing is done" if observed and verdict.id not in self.news.placed else ""

    def _to_those_concerned(
        self, verdict: Verdict, event: Event, why: str = "", once_done: bool = False
    ) -> Iterator[Letter]:
        told, at = self._facts(verdict, why), self.news.plan.at
        if self.telling.people and (person := self._person(verdict)) is not None:
            yield Letter(person, event, told, at, once_done)
        if told.zone in self.telling.zones:
            zone = Addressee("zone", told.zone, language=self.telling.language)
            yield Letter(zone, event, told, self._digest(), once_done)

    def _to_operators(
        self, verdict: Verdict, event: Event, why: str = "", note: str = "", once_done: bool = False
    ) -> Iterator[Letter]:
        if not self.telling.operators:
            return
        told, due = self._facts(verdict, why, note), self._digest()
        for number in range(1, self.telling.operators + 1):
            to = Addressee("operators", str(number), language=self.telling.language)
            yield Letter(to, event, told, due, once_done)

    def _digest(self) -> datetime:
        at, of_day = self.news.plan.at, self.telling.digest_at
        return at if of_day is None else next_at(at, of_day, self.policy.zone)

    def _facts(self, verdict: Verdict, why: str, note: str = "") -> Facts:
        kinds = {rule.name: rule.kind for rule in self.policy.rules}
        zone = zone_of(verdict.addresses, self.policy.zones)
        return facts(
            verdict,
            MANUAL if verdict.rule == MANUAL else kinds.get(verdict.rule, ""),
            self.news.usage(verdict),
            self.news.finding(verdict),
            person=self._name(verdict),
            zone="" if zone is None else zone.name,
            ended=why,
            note=note,
        )

    def _name(self, verdict: Verdict) -> str:
        """To whom any of its MACs is registered, else the VPN user. Nobody, where a port is meant: its MAC may be its
        victim's, which somebody else has copied."""
        if not verdict.client.startswith(PEOPLE):
            return ""
        registered = (self.register.owners[mac] for mac in verdict.macs if mac in self.register.owners)
        sort, _, name = verdict.client.partition(":")
        return next(registered, name if sort == "user" else "")

    def _person(self, verdict: Verdict) -> Addressee | None:
        """None for somebody who cannot be reached."""
        name = self._name(verdict)
        known = self.register.contacts.get(name, Contact())
        mail = known.mail or (self._mail_of_user(name) if verdict.client == f"user:{name}" else "")
        language = known.language if known.language in self.telling.languages else self.telling.language
        return Addressee("person", name, mail, language) if mail else None

    def _mail_of_user(self, name: str) -> str:
        """A VPN's users are named by strangers too: what makes no plain mail address of ours is none."""
        if self.telling.users is None or not name:
            return ""
        user, at, domain = name.partition("@")
        mail = self.telling.users.replace("{user}", user)
        try:
            return "" if at and not mail.endswith(f"@{domain}") else mail_address(mail)
        except ValueError:
            return ""
