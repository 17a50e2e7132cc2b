"""A list of who has which addresses, as CSV: a file that something else writes, or what a program prints.

    user,address,since,until,peer
    alice,10.99.0.7,2026-11-20T19:31:12+01:00,,192.0.2.7
    bob,10.99.0.8 2001:db8:99::8,,,

`user` and `address` must be there, the other columns may. Several addresses are separated by blanks, a network is one
as well. Without `since` whoever is in the list has the addresses for as long as they stay there. A program must end
with status 0; a file that somebody writes in place is best replaced instead, since half a line is none.
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime

from switchguard.core.user_sessions import Told
from switchguard.edge.vpn.reading import CannotRead, Read, held, notes, outside, person, shown

NEEDED, OPTIONAL = ("user", "address"), ("since", "until", "peer")


def read_list(text: str, at: datetime) -> Read:
    """CannotRead without a header. Empty lines and lines that begin with # are skipped."""
    whole, _, rest = text.removeprefix("\ufeff").rpartition("\n")
    rows = list(_rows(whole))
    if not rows:
        raise CannotRead(f"is empty; its first line names the columns: {','.join((*NEEDED, *OPTIONAL))}")
    (number, header), *people = rows
    try:
        names = [name.lower() for name in _fields(header)]
    except ValueError as error:
        raise CannotRead(f"line {number}: {error}") from None
    if missing := [name for name in NEEDED if name not in names]:
        raise CannotRead(f"line {number}: there is no column {missing[0]!r}, only {', '.join(names)}")
    wrong: list[str] = []
    told: list[Told] = []
    for line, row in people:
        try:
            fields = _fields(row)
            if len(fields) != len(names):
                raise ValueError(f"{len(fields)} fields, where the first line has {len(names)}")
            told += _session(dict(zip(names, fields, strict=True)), at)
        except (ValueError, OverflowError) as error:
            wrong.append(f"line {line}: {error}")
    if rest.strip():
        wrong.append(f"the last line does not end: {shown(rest)}")
    return Read(tuple(told), notes(wrong), not wrong)


def _rows(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _fields(row: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([row]))]
    except csv.Error as error:
        raise ValueError(f"{error}: {shown(row)}") from None


def _session(said: Mapping[str, str], at: datetime) -> Iterator[Told]:
    """What begins later than now is not read yet."""
    since, until = _moment(said.get("since", "")), _moment(said.get("until", ""))
    addresses = held(said["address"].split())
    if not addresses:
        raise ValueError("no address")
    if until is not None and since is None:
        raise ValueError("an end without a beginning")
    if since is None or since <= at:
        peer = outside(said.get("peer", ""))
        yield Told(person(said["user"]), addresses, since, until if until is None or until <= at else None, peer)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is no time; write it like 2026-11-20T19:31:12+01:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"{shown(text)} does not tell its zone; write it like 2026-11-20T19:31:12+01:00")
    return moment
