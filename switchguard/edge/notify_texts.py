"""Letters -> messages: jinja2 templates, ours and the site's, in the addressee's language.

`begins.<language>.txt` and `ends.<language>.txt` are for a person, `digest.<language>.txt` for operators and the
contacts of zones. The first line of each is `Subject: …`. Templates run in jinja2's sandbox, and a name that means
nothing is an error. Reading them tries each with every sort of penalty, so that a mistake is found when the site is
read, with its file and line. If one fails all the same, ours takes its place: a notice is not lost for its looks.

Whatever comes from networks and people has lost its control characters before a template sees it: a line break in a
name would begin a header of its own. The texts are plain; nothing in them is HTML.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import product
from pathlib import Path

from jinja2 import (
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
    TemplateSyntaxError,
    meta,
    nodes,
)
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from switchguard.core.advice import TROUBLES, Words, advice
from switchguard.core.decide import TIME_IS_UP
from switchguard.core.explain import client_phrase, penalty_phrase
from switchguard.core.letters import Addressee, Event, Facts, Letter
from switchguard.core.model import ClientId, Mac
from switchguard.core.penalties import Block, Notify, Penalty, Quarantine, RateLimit, RestrictPorts, SessionCap
from switchguard.core.plain import plain
from switchguard.edge.words import SHIPPED, known_language, read_words
from switchguard.errors import SiteError

SORTS = ("begins", "ends", "digest")
SHOWN = 50
"""So many items a digest has; of the others it says how many there are."""
LONGEST_WORD = 300
"""Characters that one value may have in a text."""
Names = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready to be sent. `trouble`: why it looks otherwise than the site wanted."""

    subject: str
    text: str
    trouble: str = ""


class Texts:
    """Every language's templates and words, checked."""

    def __init__(self, words: Mapping[str, Words], folder: Path | None) -> None:
        self.words = words
        self._ours = _environment(SHIPPED)
        self._theirs = self._ours if folder is None else _environment(folder, SHIPPED)

    def message(self, letters: Sequence[Letter], contact: str, zone: tzinfo) -> Message:
        """To one addressee, about all of these, which are at least one. Times are told by the clock of this zone."""
        to = letters[0].to
        language = to.language if to.language in self.words else "en"
        if to.kind != "person":
            return self._digest(letters, self.words[language], contact, zone)
        messages = [self._letter(letter, self.words[language], contact, zone) for letter in letters]
        subject = messages[0].subject + (f" (+{len(messages) - 1})" if len(messages) > 1 else "")
        trouble = next((it.trouble for it in messages if it.trouble), "")
        return Message(subject, f"\n\n{'-' * 40}\n\n".join(it.text for it in messages), trouble)

    def _letter(self, letter: Letter, words: Words, contact: str, zone: tzinfo) -> Message:
        return self._render(letter.event, words.language, {**_names(letter, words, zone), "contact": _plain(contact)})

    def _digest(self, letters: Sequence[Letter], words: Words, contact: str, zone: tzinfo) -> Message:
        to = letters[0].to
        names = {
            "items": [_names(letter, words, zone) for letter in letters[:SHOWN]],
            "count": len(letters),
            "more": max(0, len(letters) - SHOWN),
            "zone": _plain(to.name) if to.kind == "zone" else "",
            "contact": _plain(contact),
        }
        return self._render("digest", words.language, names)

    def _render(self, sort: str, language: str, names: Names) -> Message:
        try:
            return _message(self._theirs.get_template(f"{sort}.{language}.txt"), names)
        except Exception as error:  # noqa: BLE001 - process boundary: a template is a stranger's program
            fallback = language if (SHIPPED / f"{sort}.{language}.txt").exists() else "en"
            ours = _message(self._ours.get_template(f"{sort}.{fallback}.txt"), names)
            return replace(ours, trouble=f"{sort}.{language}.txt: {_why(error)}; ours was used")

    def check(self, folder: Path) -> None:
        """SiteError with file and line for the first template that a site has and that would not do."""
        for language, sort in product(self.words, SORTS):
            name = f"{sort}.{language}.txt"
            file = next((it for it in (folder / name, SHIPPED / name) if it.exists()), None)
            if file is None:
                raise SiteError(
                    f"is missing: language {language!r} needs {', '.join(_files(language))}", str(folder / name)
                )
            if file.parent == folder:
                self._check(file, language, sort)

    def _check(self, file: Path, language: str, sort: str) -> None:
        samples = list(_samples(sort, self.words[language]))
        try:
            _known_names(self._theirs, file, set(samples[0]))
            template = self._theirs.get_template(file.name)
            for names in samples:
                _message(template, names)
        except TemplateSyntaxError as error:
            where = error.filename if error.filename and Path(error.filename).exists() else str(file)
            raise SiteError(str(error.message), where, error.lineno) from error
        except UnicodeDecodeError as error:
            raise SiteError(f"is not UTF-8 text: {error}", str(file)) from error
        except _NoSubject as error:
            raise SiteError(str(error), str(file), 1) from error
        except SiteError:
            raise
        except Exception as error:  # process boundary: a template is a stranger's program
            raise SiteError(_why(error), str(file), _line(error, file)) from error


def read_texts(folder: Path) -> Texts:
    """Ours, and those of a site's folder, if it has one, in their place. SiteError with file and line."""
    if not folder.is_dir():
        return Texts(read_words(), None)
    texts = Texts(read_words(folder), folder)
    for file in sorted(folder.glob("*.txt")):
        sort, _, language = file.stem.partition(".")
        if sort not in SORTS:
            raise SiteError(
                f"is no template; there are: {', '.join(f'{it}.<language>.txt' for it in SORTS)}", str(file)
            )
        try:
            known_language(language, texts.words)
        except SiteError as error:
            raise SiteError(f"{error}; a new one needs {', '.join(_files(language))}", str(file)) from error
    texts.check(folder)
    return texts


def sample_letter(to: Addressee, at: datetime) -> Letter:
    """What `notify test` sends: nobody did this."""
    return Letter(to, "begins", replace(_facts("naughty_factor", SessionCap(100), at), note="a sample"), at)


# --- what templates know ---------------------------------------------------------------------------------------------


def _names(letter: Letter, words: Words, zone: tzinfo) -> Names:
    """Every name that a person's template has, and an item of a digest. What the rules say of others, and what people
    wrote for their colleagues, is not for the person."""
    told, for_person = letter.facts, letter.to.kind == "person"
    said = advice(told, words, zone)
    macs, addresses = [str(it) for it in told.macs], [str(it) for it in told.addresses]
    return {
        "event": letter.event,
        "client": _plain(told.client),
        "person": _plain(told.person),
        "device": _plain(", ".join([*macs, *addresses]) or client_phrase(told.client)),
        "macs": macs,
        "addresses": addresses,
        "zone": _plain(told.zone),
        "seen": list(said.seen),
        "harm": said.harm,
        "how": list(said.how),
        "done": said.done,
        "penalty": told.penalty.kind,
        "action": penalty_phrase(told.penalty),
        "since": said.since,
        "until": said.until,
        "because": _plain(told.measured if for_person else told.because),
        "offence": told.offence,
        "why": "" if for_person and told.ended != TIME_IS_UP else _plain(told.ended),
        "note": _plain(told.note),
    }


def _plain(text: str) -> str:
    """On one line, and not for ever."""
    line = plain(text)
    return line if len(line) <= LONGEST_WORD else f"{line[: LONGEST_WORD - 1]}…"


# --- checking --------------------------------------------------------------------------------------------------------


class _NoSubject(Exception):
    pass


def _environment(*folders: Path) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=False,  # plain text: nothing in it is a page
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )


def _message(template: Template, names: Names) -> Message:
    head, _, text = template.render(names).partition("\n")
    word, colon, subject = head.partition(":")
    if word != "Subject" or not colon or not subject.strip():
        raise _NoSubject(f"the first line has to be 'Subject: …', not {head[:60]!r}")
    return Message(_plain(subject.strip()), text.strip("\n") + "\n")


def _known_names(environment: ImmutableSandboxedEnvironment, file: Path, known: set[str]) -> None:
    """Also in branches that no sample takes."""
    tree = environment.parse(file.read_text(encoding="utf-8"), file.name, str(file))
    for name in sorted(meta.find_undeclared_variables(tree) - known - set(environment.globals)):
        line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), None)
        raise SiteError(f"{name!r} means nothing here; there are: {', '.join(sorted(known))}", str(file), line)


def _why(error: Exception) -> str:
    match error:
        case SecurityError():
            return f"reaches for what a template may not: {error}"
        case TemplateNotFound():
            return f"there is no template {error}"
        case OSError():
            return f"cannot be read: {error.strerror}"
        case RecursionError():
            return "goes in circles: something includes or calls itself"
        case _:
            return str(error) or type(error).__name__


def _line(error: Exception, file: Path) -> int | None:
    """jinja2 rewrites tracebacks, so that they have the template's own lines."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((it.lineno for it in reversed(frames) if it.filename == str(file)), None)


def _files(language: str) -> list[str]:
    return [f"{language}.yaml", *(f"{sort}.{language}.txt" for sort in SORTS)]


def _samples(sort: str, words: Words) -> Iterator[Names]:
    """Every sort of trouble and of penalty, with and without what may be missing."""
    at = datetime(2026, 5, 4, 12, tzinfo=UTC)
    penalties: tuple[Penalty, ...] = (
        Notify(),
        SessionCap(100),
        RateLimit(64_000),
        RestrictPorts(),
        Block(),
        Quarantine(99),
    )
    event: Event = "ends" if sort == "ends" else "begins"
    to = Addressee("person", "Ada", "ada@example.org")
    letters = [
        Letter(to, event, _facts(kind, penalty, at, full), at)
        for kind, penalty, full in product((*TROUBLES, ""), penalties, (True, False))
    ]
    items = [_names(letter, words, UTC) for letter in letters]
    for item in items if sort != "digest" else ():
        yield {**item, "contact": "help@example.org"}
        yield {**item, "contact": ""}
    for zone, more in product(("", "delegates"), (0, 7)) if sort == "digest" else ():
        yield {"items": items, "count": len(items) + more, "more": more, "zone": zone, "contact": ""}


def _facts(kind: str, penalty: Penalty, at: datetime, full: bool = True) -> Facts:
    sparse = Facts("0" * 12, ClientId("user:ada"), kind, penalty, at, None, "")
    if not full:
        return sparse
    return replace(
        sparse,
        client=ClientId("mac:02:00:00:00:00:07"),
        until=at + timedelta(hours=2),
        because="577 of 612 sessions go to different hosts, 93 % active",
        measured="577 of 612 sessions go to different hosts, 93 % active",
        macs=(Mac(0x020000000007),),
        offence=2,
        sessions=612,
        remotes=577,
        person="Ada",
        zone="delegates",
        ended=TIME_IS_UP,
        note="observe mode: nothing is done",
    )
