"""Templates: the shipped page, or the site's own `landing/page.html` in its place. Everything put into them is escaped.

Every kind of page is printed once in every language at the start, so that a template which names something that does
not exist is found by its author and not by a visitor.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError

from switchguard.core.model import ClientId
from switchguard.core.penalties import Notify, Penalty, Quarantine, SessionCap, Verdict
from switchguard.core.visitors import Case, Known, State
from switchguard.errors import LandingError
from switchguard.web.story import View, message, view
from switchguard.web.words import FOLDER, Language

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
    """LandingError names the template, the line, and what is wrong with it."""

    def __init__(self, site: Path) -> None:
        self._folder = site / FOLDER
        self._templates = Environment(
            loader=ChoiceLoader([FileSystemLoader(self._folder), PackageLoader("switchguard.web")]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def print(self, sheet: Sheet) -> str:
        try:
            template = self._templates.get_template(PAGE)
            return template.render({name: getattr(sheet, name) for name in Sheet.__slots__})
        except TemplateSyntaxError as error:
            raise LandingError(f"{error.filename}:{error.lineno}: {error.message}") from error
        except TemplateNotFound as error:
            raise LandingError(f"{self._where(error)}: no template is called {error.name!r}") from error
        except (TemplateError, UnicodeDecodeError) as error:
            raise LandingError(f"{self._where(error)}: {error}") from error

    def check(self, languages: Mapping[str, Language], contact: str) -> None:
        """One of each kind of page, in every language."""
        for language in languages.values():
            for sample in _samples(language):
                self.print(Sheet(sample, language, languages, contact, "token", "nonce"))

    def _where(self, error: Exception) -> str:
        """The innermost line of a template that the error comes from."""
        steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename.endswith(".html")]
        return f"{steps[-1].filename}:{steps[-1].lineno}" if steps else str(self._folder / PAGE)


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
