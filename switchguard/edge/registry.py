"""Which MAC belongs to whom: a CSV or YAML file that people keep, read strictly and again whenever it changes.

    mac,person                       ada:
    02:00:00:00:00:07,ada              - 02:00:00:00:00:07
    0200.0000.0008,ada                 - 0200.0000.0008

A file that cannot be read at the start is an error with its line. One that breaks while the service runs is none to
stop for: the registry is then unknown (`None`), and rules that need it judge nobody until it is right again.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from switchguard.core.model import Mac
from switchguard.edge.marks import read_marked
from switchguard.errors import SiteError

COLUMNS = ("mac", "person")
SEPARATORS = (",", ";", "\t")

Row = tuple[int, str, str]
"""Line, MAC as it is written, person."""
_State = tuple[int, int, int]
"""Inode, size, time of the last change."""


class Registered(Protocol):
    """A list of devices and their people, kept by somebody else."""

    why: str | None
    """Why the last `people` was None."""

    def people(self) -> Mapping[Mac, str] | None: ...


class Registry:
    """The list is a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state: _State | None = None
        self._people: Mapping[Mac, str] | None = None
        self.why: str | None = None

    def people(self) -> Mapping[Mac, str] | None:
        """As the file is now; it is parsed only when it has changed."""
        try:
            state = _state(self._file)
            if state != self._state:
                self._people, self._state, self.why = read_registry(self._file), state, None
        except SiteError as error:
            self._people, self._state, self.why = None, None, str(error)
        except OSError as error:
            self._people, self._state, self.why = None, None, f"{self._file}: {error.strerror}"
        return self._people


def read_registry(file: Path) -> Mapping[Mac, str]:
    """SiteError with file and line: unreadable, no MAC, no name, or a MAC that belongs to two people."""
    rows = _from_yaml(file) if file.suffix in (".yaml", ".yml") else _from_csv(file)
    people: dict[Mac, str] = {}
    for line, spelled, person in rows:
        try:
            mac = Mac.parse(spelled)
        except ValueError as error:
            raise SiteError(str(error), str(file), line) from None
        if not person:
            raise SiteError(f"{spelled} belongs to nobody", str(file), line)
        if people.setdefault(mac, person) != person:
            raise SiteError(f"{mac} belongs to {people[mac]!r} already, and to {person!r}", str(file), line)
    return people


def _from_csv(file: Path) -> Iterator[Row]:
    """Empty lines and lines that begin with # are skipped; other columns are nobody's business."""
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
    mac, person = (names.index(name) for name in COLUMNS)
    for line, fields in people:
        if len(fields) != len(names):
            raise SiteError(f"has {len(fields)} fields, where the first line has {len(names)}", str(file), line)
        yield line, fields[mac].strip(), fields[person].strip()


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
    for person, macs in data.items():
        if not isinstance(macs, list):
            why = f"{person}: a list of MAC addresses is expected, not {macs!r}"
            raise SiteError(why, str(file), marked.line_of((person,)))
        for number, mac in enumerate(macs):
            yield marked.line_of((person, number)) or 1, str(mac), str(person)


def _state(file: Path) -> _State:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
