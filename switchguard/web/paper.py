"""Templates: the shipped page, or the site's own `landing/page.html` in its place. Everything put into them is escaped.

Every kind of page is printed once in every language at the start, so that a template with a mistake is found by its
author and not by a visitor. Where one fails all the same, the visitor gets ours.
"""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError

from switchguard.core.model import ClientId
from switchguard.core.penalties import Notify, Penalty, Quarantine, SessionCap, Verdict
from switchguard.core.visitors import Case, Known, State
from switchguard.errors import LandingError
from switchguard.web.story import View, message, view
from switchguard.web.words import FOLDER, Language

LOG = logging.getLogger("switchguard.landing")

PAGE = "page.html"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a template is given, by these names: `view`, `language` (`code`, `texts`), `languages`, `contact`, `token`
    of the form, and the `nonce` that style elements need."""

    view: View
    language: Language
    languages: Mapping[str, Language]
    contact: str
    token: str
    nonce: str


class Paper:
    """The site's template, or ours."""

    def __init__(self, site: Path) -> None:
        self._folder = site / FOLDER
        ours = PackageLoader("switchguard.web")
        self._templates = _environment(ChoiceLoader([FileSystemLoader(self._folder), ours]))
        self._ours = _environment(ours)

    def print(self, sheet: Sheet) -> str:
        """A visitor gets a page, and the log what is wrong with the site's template."""
        try:
            return _printed(self._templates, sheet)
        except Exception as error:  # noqa: BLE001 - process boundary: a template is a stranger's program
            LOG.error("template failed; ours is used", extra={"why": self._complaint(error)})
            return _printed(self._ours, sheet)

    def check(self, languages: Mapping[str, Language], contact: str) -> None:
        """One of each kind of page, in every language. LandingError names the template, the line, and what is wrong
        with it."""
        for language in languages.values():
            for sample in _samples(language):
                sheet = Sheet(sample, language, languages, contact, "token", "nonce")
                try:
                    _printed(self._templates, sheet)
                except Exception as error:  # process boundary: a template is a stranger's program
                    raise LandingError(self._complaint(error)) from error

    def _complaint(self, error: Exception) -> str:
        match error:
            case TemplateSyntaxError():
                return f"{error.filename}:{error.lineno}: {error.message}"
            case TemplateNotFound():
                return f"{self._where(error)}: no template is called {error.name!r}"
            case RecursionError():
                return f"{self._where(error)}: goes in circles: something includes or calls itself"
            case _:
                return f"{self._where(error)}: {str(error) or type(error).__name__}"

    def _where(self, error: Exception) -> str:
        """The innermost line of a template that the error comes from."""
        steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename.endswith(".html")]
        return f"{steps[-1].filename}:{steps[-1].lineno}" if steps else str(self._folder / PAGE)


def _environment(loader: BaseLoader) -> Environment:
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printed(templates: Environment, sheet: Sheet) -> str:
    return templates.get_template(PAGE).render({name: getattr(sheet, name) for name in Sheet.__slots__})


def _samples(language: Language) -> tuple[View, ...]:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    told, capped, moved = (_case(it, now) for it in (Notify(), SessionCap(50), Quarantine(99)))
    ending = _case(SessionCap(50), now, "ending")
    known = [
        Known(now),
        Known(now, (told,)),
        Known(now, (capped, moved), 2),
        Known(now, (capped,), 0),
        Known(now, (ending,)),
        None,
    ]
    messages = (message(language, name) for name in ("refused", "too_many", "bad"))
    return (*(view(it, language, now) for it in known), *messages)


def _case(penalty: Penalty, now: datetime, state: State = "in force") -> Case:
    client, address = ClientId("mac:02:00:00:00:00:07"), ip_address("192.0.2.7")
    because = "1,490 of 1,500 sessions go to different hosts, 94 % active, 98 % to ports above 1024"
    verdict = Verdict("0", client, "swarm", penalty, now, now + timedelta(hours=2), because, addresses=(address,))
    return Case(verdict, "naughty_factor", "told" if isinstance(penalty, Notify) else state)
