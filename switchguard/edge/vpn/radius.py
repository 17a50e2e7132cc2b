"""RADIUS accounting (RFC 2866) as FreeRADIUS's `detail` module writes it: a date, attributes, an empty line.

    Fri Nov 20 19:31:12 2026
        Acct-Status-Type = Start
        Acct-Session-Id = "5A0B7C1D"
        User-Name = "alice"
        NAS-IP-Address = 192.0.2.1
        Framed-IP-Address = 10.99.0.7
        Framed-IPv6-Prefix = 2001:db8:99:7::/64
        Timestamp = 1763663472

The Timestamp, less Acct-Delay-Time, is when it happened. A Start or Interim-Update opens a session, a Stop ends it, and
so do Accounting-On and -Off of its server, an address that somebody else gets, and a day without any word of it. What
is told late, of a time before something that is known already, is of the past only: it gives nobody an address back.
Ids of sessions begin anew when a server restarts, so another user, or a later Start, with the same id is another
session. Files are read on from where reading stopped, also when they were renamed or compressed; a record that is still
being written waits for the next reading.
"""

import glob
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from gzip import BadGzipFile
from pathlib import Path

from switchguard.core.model import Address, Network
from switchguard.core.user_sessions import ALWAYS, Told, overlap
from switchguard.edge.tails import HEAD, LONGEST_LINE, Tail, is_same, opened, skip, tail_at
from switchguard.edge.vpn.reading import CannotRead, Read, held, notes, person, shown, stamp

REACH = timedelta(days=2)
"""How old a file may be that is read at the beginning."""
SILENT = timedelta(days=1)
"""A session of which nothing has been heard for so long has ended without a Stop."""
LONGEST_RECORD = 400
"""Lines."""
SAME_START = timedelta(seconds=5)
"""A Start that is sent again tells its delay in whole seconds."""
AHEAD = timedelta(hours=1)
"""A clock may be wrong by this much; what is told of a later time would stand for ever."""
_MOST_SECONDS = 2**32 - 1
"""Numbers in RADIUS have 32 bits (RFC 2865, 5)."""
_BEGINS, _ENDS, _RESTARTS = ("Start", "Interim-Update", "Alive"), ("Stop",), ("Accounting-On", "Accounting-Off")
_ADDRESSES = ("Framed-IP-Address", "Framed-IPv6-Address", "Framed-IPv6-Prefix", "Delegated-IPv6-Prefix")
_SERVERS = ("NAS-IP-Address", "NAS-IPv6-Address", "NAS-Identifier")
_NO_ADDRESS = ("0.0.0.0", "255.255.255.254", "255.255.255.255")  # noqa: S104 - RFC 2865, 5.8: the server chooses

Key = tuple[str, str]
"""Server and session id."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a record tells, or all of them together."""

    key: Key
    user: str
    addresses: tuple[Address | Network, ...]
    since: datetime
    heard: datetime
    until: datetime | None = None


@dataclass
class Detail:
    """All files that a pattern names, and what they have told so far. For one reader at a time."""

    pattern: str
    _tails: list[Tail] = field(default_factory=list)
    _open: dict[Key, Session] = field(default_factory=dict)
    _ended: list[Session] = field(default_factory=list)
    _newest: datetime = ALWAYS
    """Of everything that was told, when the last thing happened."""

    def read(self, at: datetime) -> Read:
        """Everybody's sessions as of now. CannotRead if there is no such file, or one cannot be read."""
        wrong: list[str] = []
        for file in self._files(at):
            try:
                wrong += self._read_on(file, at)
            except FileNotFoundError:
                continue  # renamed or removed since we looked: the next reading has it under its new name
            except (EOFError, zlib.error, BadGzipFile) as error:
                wrong.append(f"{file} is damaged: {error}")
            except OSError as error:
                raise CannotRead(f"{file}: {error.strerror or error}") from None
        oldest = (at - REACH).timestamp() * 1e9
        self._tails = [it for it in self._tails if it.written >= oldest]
        for it in [it for it in self._open.values() if at - it.heard > SILENT]:
            self._end(it.key, it.heard)
        self._ended = [it for it in self._ended if it.until is not None and at - it.until <= REACH]
        sessions = sorted((*self._ended, *self._open.values()), key=lambda it: (it.since, it.user))
        return Read(tuple(Told(it.user, it.addresses, it.since, it.until) for it in sessions), notes(wrong))

    def _files(self, at: datetime) -> list[Path]:
        """Oldest first."""
        found = list(_regular(glob.glob(self.pattern)))
        if not found:
            raise CannotRead(f"there is no file {self.pattern}")
        return [file for written, file in sorted(found) if at.timestamp() - written <= REACH.total_seconds()]

    def _read_on(self, file: Path, now: datetime) -> Iterator[str]:
        """From where reading stopped, whatever the file was called then. Complaints."""
        tail = next((it for it in self._tails if is_same(file, it)), None)
        offset = tail.offset if tail is not None else 0
        with opened(file) as stream:
            beginning = stream.read(HEAD)
            skip(stream, offset, file)
            for record, length in _records(iter(lambda: stream.readline(LONGEST_LINE), b"")):
                offset += length
                try:
                    if record:
                        self._take(record, now)
                except ValueError as error:
                    yield f"{file}: a record that makes no sense ({error}): {shown(' '.join(record[:3]))}"
            written = os.fstat(stream.fileno()).st_mtime_ns
        if offset:
            self._tails = [*(it for it in self._tails if it is not tail), tail_at(beginning, offset, written)]

    def _take(self, record: list[str], now: datetime) -> None:
        """One record. ValueError if it makes no sense."""
        said = dict(_attribute(line) for line in record[1:])
        status = said.get("Acct-Status-Type", "")
        at = stamp(said.get("Timestamp", "")) - _seconds(said.get("Acct-Delay-Time", "0"))
        if at - now > AHEAD:
            raise ValueError(f"of {at:%Y-%m-%d %H:%M} UTC, which is to come")
        server = next((said[it] for it in _SERVERS if it in said), "")
        late, self._newest = at < self._newest, max(self._newest, at)
        if status in _RESTARTS:
            for key in [key for key, it in self._open.items() if key[0] == server and it.since <= at]:
                self._end(key, at)
            return
        if status not in (*_BEGINS, *_ENDS):
            raise ValueError(f"Acct-Status-Type {status!r}")
        key = (server, said.get("Acct-Session-Id", ""))
        if not key[1]:
            raise ValueError("no Acct-Session-Id")
        told = _session(said, key, at, status)
        before = self._open.get(key)
        if before is not None and before.since <= at:
            told = self._gone_on(before, told, status)
        if status in _ENDS:
            self._stopped(told, at)
        elif told.addresses:
            self._stands(told, at, late)

    def _gone_on(self, before: Session, told: Session, status: str) -> Session:
        """What was known of it stays: a Stop need not repeat addresses. Unless it is another one with the same id."""
        if told.user != before.user or (status == "Start" and told.since - before.since > SAME_START):
            self._end(before.key, told.since)
            return told
        if told.addresses and told.addresses != before.addresses:
            self._end(before.key, told.heard)
            return replace(told, since=told.heard)
        return replace(before, heard=max(before.heard, told.heard))

    def _stopped(self, told: Session, at: datetime) -> None:
        there = self._open.get(told.key)
        if there is not None and there.since <= at:
            del self._open[told.key]
        self._is_past(told, at)

    def _stands(self, told: Session, at: datetime, late: bool) -> None:
        """As of then, and if nothing that is known came later, as of now: whoever had the addresses until then has left
        unheard."""
        over = self._over_since(told, at) if late else None
        if over is not None:
            if not any(_covers(it, told, over) for it in self._ended):
                self._is_past(told, over)
            return
        for other in [it for it in self._open.values() if it.key != told.key and overlap(it.addresses, told.addresses)]:
            self._end(other.key, told.since if told.since >= other.since else at)
        self._open[told.key] = told

    def _over_since(self, told: Session, at: datetime) -> datetime | None:
        """When it was over that a session stood `at` that time: somebody has got an address of it, or the id, later."""
        later = [it for it in (*self._open.values(), *self._ended) if it.since > at]
        taken = [it.since for it in later if it.key == told.key or overlap(it.addresses, told.addresses)]
        own = [
            it.until for it in self._ended if it.key == told.key and it.until is not None and it.since <= at < it.until
        ]
        return min((*taken, *own), default=None)

    def _end(self, key: Key, at: datetime) -> None:
        self._is_past(self._open.pop(key), at)

    def _is_past(self, session: Session, until: datetime) -> None:
        if session.addresses:
            self._ended.append(replace(session, until=max(until, session.since)))


def _regular(names: Iterable[str]) -> Iterator[tuple[float, Path]]:
    """(when it was written to last, file), of those that are still there."""
    for name in names:
        try:
            found = Path(name).stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CannotRead(f"{name}: {error.strerror or error}") from None
        if stat.S_ISREG(found.st_mode):
            yield found.st_mtime, Path(name)


def _session(said: Mapping[str, str], key: Key, at: datetime, status: str) -> Session:
    """By one record alone."""
    addresses = held(said[it] for it in _ADDRESSES if it in said and said[it] not in _NO_ADDRESS)
    lasted = _seconds(said.get("Acct-Session-Time", "0"))
    return Session(key, person(said.get("User-Name", "")), addresses, at if status == "Start" else at - lasted, at)


def _seconds(text: str) -> timedelta:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MOST_SECONDS):
        raise ValueError(f"{shown(text)} is no number of seconds")
    return timedelta(seconds=int(text))


def _covers(known: Session, told: Session, until: datetime) -> bool:
    same = (known.key, known.user, known.addresses) == (told.key, told.user, told.addresses)
    return same and known.since <= told.since and known.until is not None and until <= known.until


def _records(lines: Iterable[bytes]) -> Iterator[tuple[list[str], int]]:
    """Whole records with their length in octets, up to the empty line that ends each. Empty lines alone are an empty
    one."""
    record: list[str] = []
    length = 0
    for line in lines:
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            return
        length += len(line)
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text.strip():
            record.append(text)
        if (not text.strip() or len(record) > LONGEST_RECORD) and length:
            yield record, length
            record, length = [], 0


def _attribute(line: str) -> tuple[str, str]:
    name, equals, value = line.strip().partition(" = ")
    if not equals:
        raise ValueError(f"{shown(line.strip())} is no attribute")
    return name, value.strip().removeprefix('"').removesuffix('"')
