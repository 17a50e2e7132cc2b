"""What somebody is to be told, from the moment of the verdict until it has been sent: values for the outbox."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from switchguard.core.clauses import clauses
from switchguard.core.model import Address, ClientId, Mac, NatUsage
from switchguard.core.penalties import Finding, Penalty, Unit, Verdict

_MAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+%-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)*[A-Za-z0-9-]{1,63}")
"""Narrower than RFC 5321: nothing that a header, a command of SMTP or an address list could take for more than one."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One penalty as it was when it was decided: what a notice keeps until it is sent."""

    verdict: str
    """Its id."""
    client: ClientId
    kind: str
    """Of the rule; `manual` for a person's request."""
    penalty: Penalty
    since: datetime
    until: datetime | None
    because: str
    """For those who run the network."""
    macs: tuple[Mac, ...] = ()
    addresses: tuple[Address, ...] = ()
    offence: int = 1
    sessions: int | None = None
    remotes: int | None = None
    value: float | None = None
    threshold: float | None = None
    unit: Unit = ""
    person: str = ""
    zone: str = ""
    ended: str = ""
    """Why it ended, where it has."""
    note: str = ""
    """For those who run the network: why nothing was done. Empty where something was."""
    measured: str = ""
    """What of `because` its client may read."""


def facts(
    verdict: Verdict,
    kind: str,
    usage: NatUsage | None = None,
    finding: Finding | None = None,
    *,
    person: str = "",
    zone: str = "",
    ended: str = "",
    note: str = "",
) -> Facts:
    """Of a verdict by a rule of this kind. Numbers are told where the reading or the finding is at hand."""
    return Facts(
        verdict=verdict.id,
        client=verdict.client,
        kind=kind,
        penalty=verdict.penalty,
        since=verdict.since,
        until=verdict.until,
        because=verdict.because,
        macs=verdict.macs,
        addresses=verdict.addresses,
        offence=verdict.offence,
        sessions=None if usage is None else usage.sessions,
        remotes=None if usage is None else usage.remotes,
        value=None if finding is None else finding.value,
        threshold=None if finding is None else finding.threshold,
        unit="" if finding is None else finding.unit,
        person=person,
        zone=zone,
        ended=ended,
        note=note,
        measured=", ".join(it.group() for it in clauses(verdict).values()),
    )


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person is reached."""

    mail: str = ""
    language: str = ""
    """Empty: the site's."""


@dataclass(frozen=True, slots=True)
class Register:
    """Whose devices are whose, and how people are reached."""

    owners: Mapping[Mac, str] = field(default_factory=dict)
    contacts: Mapping[str, Contact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addressee:
    """A person by mail, a zone's contact, or one of the operators' targets, which are numbered from 1.

    Where the last two are reached is the site's to say when the letter is sent: that may be a secret.
    """

    kind: Literal["person", "zone", "operators"]
    name: str
    mail: str = ""
    language: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "person":
                return self.mail if self.name in ("", self.mail) else f"{self.name} <{self.mail}>"
            case "zone":
                return f"the contact of zone {self.name}"
            case "operators":
                return f"operators {self.name}"


Event = Literal["begins", "ends"]
NOT_DONE = " not done"
"""How the keys of letters end that say so."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One notice of one penalty to one addressee. Two with the same key are the same, whenever they were written. That
    something was not done is another notice than that it was: whoever heard the one may hear the other."""

    to: Addressee
    event: Event
    facts: Facts
    due: datetime
    """Not to be sent before."""
    once_done: bool = False
    """Nor before some device has the penalty: what is planned may come to nothing yet."""

    @property
    def key(self) -> str:
        done = f"{self.facts.verdict} {self.event} {self.to.kind} {self.to.mail or self.to.name}"
        return f"{done}{NOT_DONE}" if self.facts.note else done


def not_done(why: str) -> str:
    """The note about a penalty that was wanted."""
    return f"not done: {why}"


def mail_address(text: str) -> str:
    """ValueError unless it is one plain mail address."""
    if not _MAIL.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is no mail address; write it like ada@example.org")
    return text
