"""A site's `notices:` -> who is told, where, in which words, and how hard it is tried.

Nothing is fetched and nobody is asked when a site is read; but every template and every language is tried then, so that
a notice does not fail for its text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from switchguard.core.letters import mail_address
from switchguard.core.notices import Telling
from switchguard.edge.complaints import at
from switchguard.edge.credentials import ReferredSecret, read_reference
from switchguard.edge.marks import Marked, Steps
from switchguard.edge.notice_models import NoticesModel
from switchguard.edge.notify_texts import Texts, read_texts
from switchguard.edge.paths import below
from switchguard.edge.words import known_language
from switchguard.errors import SiteError
from switchguard.ports import Secret


@dataclass(frozen=True, slots=True)
class Targets:
    """Where messages go. Apprise addresses are secrets."""

    mail: Secret | None = None
    operators: tuple[Secret, ...] = ()
    zones: Mapping[str, Secret | str] = field(default_factory=dict)
    """Zone -> an apprise address, or the mail address of its contact."""

    def secrets(self) -> Iterator[Secret]:
        yield from (it for it in (self.mail, *self.operators, *self.zones.values()) if isinstance(it, Secret))


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard it is tried."""

    most: int = 4
    within: timedelta = timedelta(days=1)
    timeout_s: float = 20.0
    give_up_after: timedelta = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """A site's `notices:`, checked."""

    telling: Telling
    targets: Targets
    texts: Texts
    pace: Pace
    contact: str = ""
    """Whom people can ask."""


def notice_settings(
    model: NoticesModel, contacts: Mapping[str, Any], language: str, site: Path, marked: Marked
) -> NoticeSettings:
    """`contacts`: zone -> what the site says about its contact. SiteError with the line of what is wrong."""
    texts = read_texts(below(site, model.folder))
    try:
        known_language(language, texts.words)
    except SiteError as error:
        raise at(marked, ("language",), str(error)) from error
    targets = Targets(
        mail=None if model.mail is None else _secret(model.mail, site, marked, ("notices", "mail")),
        operators=tuple(
            _secret(it, site, marked, ("notices", "operators", number)) for number, it in enumerate(model.operators)
        ),
        zones={name: _contact(name, it, site, marked, model) for name, it in contacts.items() if it is not None},
    )
    telling = Telling(
        people=model.mail is not None,
        operators=len(model.operators),
        zones=frozenset(targets.zones),
        ends=model.ends,
        users=model.users,
        language=language,
        languages=frozenset(texts.words),
        digest_at=model.digest_at if model.digest == "day" else None,
    )
    pace = Pace(model.most, model.within, model.timeout.total_seconds(), model.give_up_after)
    return NoticeSettings(telling, targets, texts, pace, model.contact)


def _contact(zone: str, said: Any, site: Path, marked: Marked, model: NoticesModel) -> Secret | str:
    """A mail address in plain text, or a reference to an apprise address."""
    way = ("zones", zone, "contact")
    if not isinstance(said, str):
        return _secret(said, site, marked, way)
    if model.mail is None:
        raise at(marked, way, f"zone {zone!r}: its contact is a mail address, and notices has no 'mail' to send it by")
    try:
        return mail_address(said)
    except ValueError as error:
        raise at(marked, way, f"zone {zone!r}: contact: {error}, nor a reference to an apprise address") from error


def _secret(said: Any, site: Path, marked: Marked, way: Steps) -> Secret:
    name = ".".join(map(str, way))
    try:
        return ReferredSecret("notices", name, read_reference(said, site))
    except ValueError as error:
        raise at(marked, way, f"{name}: {error}") from error
