"""Which MAC belongs to whom: a CSV or YAML file that people keep, read strictly and again whenever it changes.

    mac,person                       ada:
    02:00:00:00:00:07,ada              - 02:00:00:00:00:07
    0200.0000.0008,ada                 - 0200.0000.0008

It may say how people are told things (docs/notices.md); who has no device, a VPN user, has only that.

    mac,person,mail,language                     ada: {macs: [02:00:00:00:00:07], mail: ada@example.org, language: de}
    02:00:00:00:00:07,ada,ada@example.org,de     bob: {mail: bob@example.org}
    ,bob,bob@example.org,

A file that cannot be read at the start is an error with its line. One that breaks while the service runs is none to
stop for: the registry is then unknown (`None`), and rules that need it judge nobody until it is right again.
"""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from switchguard.core.letters import Contact, Register, mail_address
from switchguard.core.model import Mac
from switchguard.edge.marks import Marked, read_marked
from switchguard.errors import SiteError

COLUMNS = ("mac", "person")
SEPARATORS = (",", ";", "\t")

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,8})?")
"""As BCP 47 has them: `de`, `pt-BR`."""
YAML_KEYS = ("macs", "mail", "language")


@dataclass(frozen=True, slots=True)
class Row:
    """As it is written; the MAC may be missing where there is a mail address."""

    line: int
    mac: str
    person: str
    mail: str = ""
    language: str = ""


_State = tuple[int, int, int]
"""Inode, size, time of the last change."""


class Registered(Protocol):
    """A list of devices and their people, kept by somebody else."""

    why: str | None
    """Why the last `people` was None."""

    def people(self) -> Mapping[Mac, str] | None: ...

    def contacts(self) -> Mapping[str, Contact]:
        """How to reach them, as of the last `people`; who is missing here cannot be reached."""


class Registry:
    """The list is a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state: _State | None = None
        self._register: Register | None = None
        self.why: str | None = None

    def people(self) -> Mapping[Mac, str] | None:
        """As the file is now; it is parsed only when it has changed."""
        try:
            state = _state(self._file)
            if state != self._state:
                self._register, self._state, self.why = read_register(self._file), state, None
        except SiteError as error:
            self._register, self._state, self.why = None, None, str(error)
        except OSError as error:
            self._register, self._state, self.why = None, None, f"{self._file}: {error.strerror}"
        return None if self._register is None else self._register.owners

    def contacts(self) -> Mapping[str, Contact]:
        return {} if self._register is None else self._register.contacts


def read_registry(file: Path) -> Mapping[Mac, str]:
    """Only the devices."""
    return read_register(file).owners


def read_register(file: Path) -> Register:
    """SiteError with file and line: unreadable, no MAC, no name, a MAC that belongs to two people, two mail addresses
    or languages of one person, or something that is none."""
    people: dict[Mac, str] = {}
    contacts: dict[str, Contact] = {}
    for row in _rows(file):
        try:
            if row.mac or not (row.mail or row.language):
                _own(people, Mac.parse(row.mac), row)
            if row.mail or row.language:
                contacts[row.person] = _contact(contacts.get(row.person, Contact()), row)
        except ValueError as error:
            raise SiteError(str(error), str(file), row.line) from None
    return Register(people, contacts)


def known_languages(file: Path, known: Collection[str]) -> None:
    """SiteError with the line of the first person whom nobody could write to in that language."""
    for row in _rows(file):
        if row.language and row.language not in known:
            why = f"{row.person}: no language called {row.language!r}; there are: {', '.join(sorted(known))}"
            raise SiteError(why, str(file), row.line)


def _rows(file: Path) -> Iterator[Row]:
    return _from_yaml(file) if file.suffix in (".yaml", ".yml") else _from_csv(file)


def _own(people: dict[Mac, str], mac: Mac, row: Row) -> None:
    if not row.person:
        raise ValueError(f"{row.mac} belongs to nobody")
    if people.setdefault(mac, row.person) != row.person:
        raise ValueError(f"{mac} belongs to {people[mac]!r} already, and to {row.person!r}")


def _contact(known: Contact, row: Row) -> Contact:
    """With what this row adds. Every row of a person may repeat it."""
    if not row.person:
        raise ValueError(f"{row.mail or row.language} belongs to nobody")
    if row.language and not LANGUAGE.fullmatch(row.language):
        raise ValueError(f"{row.language!r} is no language; write it like de")
    if row.mail:
        mail_address(row.mail)
    for had, has in ((known.mail, row.mail), (known.language, row.language)):
        if had and has and had != has:
            raise ValueError(f"{row.person!r} has {had} already, and {has}")
    return Contact(row.mail or known.mail, row.language or known.language)


def _from_csv(file: Path) -> Iterator[Row]:
    """Empty lines and lines that begin with # are skipped; the columns `mail` and `language` may be missing, and others
    are nobody's business."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"cannot be read: {error}", str(file)) from error
    rows = list(_fields(file, lines))
    if not rows:
        raise SiteError(f"is empty; its first line names the columns: {','.join(COLUMNS)}", str(file))
    (number, header), *people = rows
    names = [name.strip().lower() for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        why = f"has no column {missing[0]!r}; its first line must name {' and '.join(COLUMNS)}"
        raise SiteError(why, str(file), number)
    columns = {name: names.index(name) for name in (*COLUMNS, "mail", "language") if name in names}
    for line, fields in people:
        if len(fields) != len(names):
            raise SiteError(f"has {len(fields)} fields, where the first line has {len(names)}", str(file), line)
        yield Row(line, **{name: fields[number].strip() for name, number in columns.items()})


def _fields(file: Path, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Separated by whatever separates the names of the columns: spreadsheets export comma, semicolon or tab."""
    separator = ""
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        separator = separator or max(SEPARATORS, key=line.count)
        try:
            yield number, next(csv.reader([line], delimiter=separator, strict=True))
        except csv.Error as error:
            raise SiteError(f"is no row of a CSV file: {error}", str(file), number) from error


def _from_yaml(file: Path) -> Iterator[Row]:
    marked = read_marked(file)
    data = marked.data if marked.data is not None else {}
    if not isinstance(data, Mapping):
        raise SiteError("is not a mapping of people to lists of MAC addresses", str(file), 1)
    for person, said in data.items():
        yield from _of_person(str(person), said, file, marked)


def _of_person(person: str, said: Any, file: Path, marked: Marked) -> Iterator[Row]:
    """A list of MAC addresses, or a mapping that has one and how to reach the person."""
    line, way = marked.line_of((person,)) or 1, (person,) if isinstance(said, list) else (person, "macs")
    about = said if isinstance(said, Mapping) else {"macs": said}
    unknown = [name for name in about if name not in YAML_KEYS]
    if unknown:
        why = f"{person}: unknown key {unknown[0]!r}; known are: {', '.join(YAML_KEYS)}"
        raise SiteError(why, str(file), marked.line_of((person, unknown[0])))
    macs = about.get("macs", [])
    if not isinstance(macs, list):
        raise SiteError(f"{person}: a list of MAC addresses is expected, not {macs!r}", str(file), marked.line_of(way))
    mail, language = (str(about.get(name) or "") for name in ("mail", "language"))
    if mail or language:
        yield Row(line, "", person, mail, language)
    for number, mac in enumerate(macs):
        yield Row(marked.line_of((*way, number)) or line, str(mac), person)


def _state(file: Path) -> _State:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
