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
so do Accounting-On and -Off of its server, an address that somebody else gets, and a day without any word of it. Files
are read on from where reading stopped, also when they were renamed or compressed; a record that is still being written
waits for the next reading.
"""

import glob
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from gzip import BadGzipFile
from pathlib import Path

from switchguard.core.user_sessions import Told, overlap
from switchguard.edge.tails import HEAD, LONGEST_LINE, Tail, is_same, opened, skip, tail_at
from switchguard.edge.vpn.reading import CannotRead, Read, held, notes, person, shown, stamp

REACH = timedelta(days=2)
"""How old a file may be that is read at the beginning."""
SILENT = timedelta(days=1)
"""A session of which nothing has been heard for so long has ended without a Stop."""
LONGEST_RECORD = 400
"""Lines."""
_BEGINS, _ENDS, _RESTARTS = ("Start", "Interim-Update", "Alive"), ("Stop",), ("Accounting-On", "Accounting-Off")
_ADDRESSES = ("Framed-IP-Address", "Framed-IPv6-Address", "Framed-IPv6-Prefix", "Delegated-IPv6-Prefix")
_SERVERS = ("NAS-IP-Address", "NAS-IPv6-Address", "NAS-Identifier")
_NO_ADDRESS = ("0.0.0.0", "255.255.255.254", "255.255.255.255")  # noqa: S104 - RFC 2865, 5.8: the server chooses

Key = tuple[str, str]
"""Server and session id."""


@dataclass(frozen=True, slots=True)
class Open:
    told: Told
    heard: datetime


@dataclass
class Detail:
    """All files that a pattern names, and what they have told so far. For one reader at a time."""

    pattern: str
    _tails: list[Tail] = field(default_factory=list)
    _open: dict[Key, Open] = field(default_factory=dict)
    _ended: list[Told] = field(default_factory=list)

    def read(self, at: datetime) -> Read:
        """Everybody's sessions as of now. CannotRead if there is no such file, or one cannot be read."""
        files = self._files(at)
        wrong: list[str] = []
        before, self._tails = self._tails, []
        for file in files:
            try:
                wrong += self._read_on(file, next((it for it in before if is_same(file, it)), None))
            except OSError as error:
                raise CannotRead(f"{file}: {error.strerror or error}") from None
            except (EOFError, zlib.error, BadGzipFile) as error:
                wrong.append(f"{file} is damaged: {error}")
        for key, it in [(key, it) for key, it in self._open.items() if at - it.heard > SILENT]:
            self._end(key, it.heard)
        self._ended = [it for it in self._ended if it.until is not None and at - it.until <= REACH]
        told = sorted((*self._ended, *(it.told for it in self._open.values())), key=lambda it: (it.since, it.user))
        return Read(tuple(told), notes(wrong))

    def _files(self, at: datetime) -> list[Path]:
        """Oldest first."""
        found = [Path(name) for name in glob.glob(self.pattern)]
        if not found:
            raise CannotRead(f"there is no file {self.pattern}")
        recent = [it for it in found if at.timestamp() - it.stat().st_mtime <= REACH.total_seconds()]
        return sorted(recent, key=lambda it: (it.stat().st_mtime, it.name))

    def _read_on(self, file: Path, tail: Tail | None) -> Iterator[str]:
        """From where reading stopped, whatever the file was called then. Complaints."""
        offset = tail.offset if tail is not None else 0
        with opened(file) as stream:
            beginning = stream.read(HEAD)
            skip(stream, offset, file)
            for record, length in _records(iter(lambda: stream.readline(LONGEST_LINE), b"")):
                offset += length
                try:
                    if record:
                        self._take(record)
                except ValueError as error:
                    yield f"{file}: a record that makes no sense ({error}): {shown(' '.join(record[:3]))}"
        self._tails.append(tail_at(beginning, offset, file.stat().st_mtime_ns))

    def _take(self, record: list[str]) -> None:
        """One record. ValueError if it makes no sense."""
        said = dict(_attribute(line) for line in record[1:])
        status = said.get("Acct-Status-Type", "")
        at = stamp(said.get("Timestamp", "")) - timedelta(seconds=int(said.get("Acct-Delay-Time", "0")))
        server = next((said[it] for it in _SERVERS if it in said), "")
        if status in _RESTARTS:
            for key in [it for it in self._open if it[0] == server]:
                self._end(key, at)
            return
        if status not in (*_BEGINS, *_ENDS):
            raise ValueError(f"Acct-Status-Type {status!r}")
        key = (server, said.get("Acct-Session-Id", ""))
        if not key[1]:
            raise ValueError("no Acct-Session-Id")
        told = self._session(said, key, at, status)
        if status in _ENDS:
            self._open[key] = Open(told, at)
            self._end(key, at)
        elif told.addresses:
            self._give_up(told, key, at)
            self._open[key] = Open(told, at)

    def _session(self, said: dict[str, str], key: Key, at: datetime, status: str) -> Told:
        """What was known of it stays: a Stop need not repeat addresses. Seconds since its start are told later on."""
        before = self._open.get(key)
        seconds = said.get("Acct-Session-Time", "")
        begun = at if status == "Start" or not seconds.isdecimal() else at - timedelta(seconds=int(seconds))
        since = begun if before is None or before.told.since is None else before.told.since
        addresses = held(said[it] for it in _ADDRESSES if it in said and said[it] not in _NO_ADDRESS)
        if before is not None and not addresses:
            addresses = before.told.addresses
        elif before is not None and before.told.addresses and before.told.addresses != addresses:
            self._end(key, at)
            since = at
        return Told(person(said.get("User-Name", "")), addresses, since)

    def _give_up(self, told: Told, key: Key, at: datetime) -> None:
        """Whoever had these addresses until now has left unheard."""
        others = [it for it, of in self._open.items() if it != key and overlap(of.told.addresses, told.addresses)]
        for other in others:
            self._end(other, min(at, told.since or at))

    def _end(self, key: Key, at: datetime) -> None:
        told = self._open.pop(key).told
        if told.addresses:
            self._ended.append(replace(told, until=max(at, told.since or at)))


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
