"""Windows Routing and Remote Access (RRAS) and WinNAT: a translation table that somebody exported, for `analyze`.

Nothing is asked of a Windows machine. RRAS shows its mappings in its console ("Show Mappings") and by the protocol
MS-RRASM; no command of netsh or PowerShell prints them. WinNAT (`New-NetNat`, Hyper-V, containers) is another engine:

    Get-NetNatSession | ConvertTo-Json | Out-File sessions.json
    Get-NetNatSession | Export-Csv sessions.csv

Reads CSV (comma, semicolon or tab; quoted or not) and JSON (several objects, or a single one without a list around it,
as ConvertTo-Json has it) whose columns are named as in MS-RRASM 2.2.1.2.184 (Protocol, Direction, Private Address,
Private Port, Public Address, Public Port, Remote Address, Remote Port, Idle Time) or as Get-NetNatSession names them;
blanks and capitals do not matter. Protocols are names or numbers, idle times seconds. Neither tells octets. A CSV file
that was cut off between two lines looks like a whole one.

Blocks belong on the switches: neither engine has a list of whom it does not translate.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, ClassVar

from switchguard.core.model import Network
from switchguard.ports import Capture, NatTable

from ._captured import Lines, Refuse, Strays, table_of
from ._nat_tally import Entry, Tallies

_NAMES = {
    "local": ("privateaddress", "internalsourceaddress"),
    "remote": ("remoteaddress", "externaldestinationaddress"),
    "port": ("remoteport", "externaldestinationport"),
    "protocol": ("protocol",),
    "idle": ("idletime",),
}
"""What we want of a row -> what its column may be called, without blanks and capitals."""
_NUMBERED = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "41": "ipv6", "47": "gre", "50": "esp", "51": "ah"}
_PROTOCOL = re.compile(r"[a-z][a-z0-9-]*|\d{1,3}")
_LOCAL = r"(?:private[ _]?address|internal[ _]?source[ _]?address)"
_REMOTE = r"(?:remote[ _]?address|external[ _]?destination[ _]?address)"
_HEADING = re.compile(rf'(?=[^{{]*[,;\t]"?{_LOCAL}|"?{_LOCAL})(?=[^{{]*[,;\t]"?{_REMOTE}|"?{_REMOTE})', re.IGNORECASE)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class WindowsRras:
    platform = "windows_rras"
    captures: ClassVar[Mapping[str, Capture]] = {
        "csv": Capture(("Get-NetNatSession | Export-Csv", "Show Mappings"), _HEADING),
        "json": Capture(
            ("Get-NetNatSession | ConvertTo-Json",),
            re.compile(rf'[^"]*(?:"[^"]*"[^"]*)*?"{_LOCAL}"\s*:', re.IGNORECASE),
        ),
    }

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        lines, tallies = Lines(_one_object_a_line(chunks) if table == "json" else chunks), Tallies(inside)
        strays = Strays(lines)
        rows = _Objects() if table == "json" else _Csv()
        for line, row in rows.read(lines, strays.refuse):
            try:
                tallies.add(_entry(row))
            except ValueError:
                strays.refuse(line)
        found = table_of(lines, strays, tallies, self.platform)
        return replace(found, complete=rows.complete(found.complete))


Row = Mapping[str, object]


def _entry(row: Row) -> Entry:
    """ValueError for a row without an address, or with anything that is none."""
    told = {what: str(value) for what, value in _told(row) if value not in (None, "")}
    if "local" not in told or "protocol" not in told:
        raise ValueError("no client or protocol")
    protocol = _NUMBERED.get(told["protocol"], told["protocol"].lower())
    if not _PROTOCOL.fullmatch(protocol):
        raise ValueError(f"no protocol: {protocol}")
    remote = ip_address(told["remote"]) if "remote" in told else None
    return Entry(
        ip_address(told["local"]).packed,
        protocol,
        None if remote is None or remote.is_unspecified else remote.packed,
        _number(told["port"], 65_535) if protocol in ("tcp", "udp") and "port" in told else None,
        idle_s=float(_number(told["idle"], 0xFFFF_FFFF)) if "idle" in told else None,
    )


def _number(text: str, most: int) -> int:
    if not text.isdecimal() or int(text) > most:
        raise ValueError(f"no number up to {most}: {text}")
    return int(text)


def _told(row: Row) -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        for what, names in _NAMES.items():
            if _plain(name) in names:
                yield what, value


def _plain(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()


# --- CSV -------------------------------------------------------------------------------------------------------------


class _Csv:
    """A heading, then rows. PowerShell 5 says `#TYPE` first."""

    def read(self, lines: Iterable[str], refuse: Refuse) -> Iterator[tuple[str, Row]]:
        heading: list[str] = []
        separator = ","
        for line in lines:
            if not line.strip() or (not heading and line.startswith("#TYPE")):
                continue
            if not heading and _HEADING.match(line):
                separator = max(",;\t", key=line.count)
                heading = _cells(line, separator)
                if not heading:
                    refuse(line)
            elif heading and len(cells := _cells(line, separator)) == len(heading):
                yield line, dict(zip(heading, cells, strict=True))
            else:
                refuse(line)

    def complete(self, last_line_ended: bool) -> bool:
        return last_line_ended


def _cells(line: str, separator: str) -> list[str]:
    """None of a line that is damaged."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


# --- JSON ------------------------------------------------------------------------------------------------------------


def _one_object_a_line(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`ConvertTo-Json -Compress` writes the whole table on one line."""
    rest = b""
    for chunk in chunks:
        *parts, rest = (rest + chunk).split(b"},{")
        yield b"".join(part + b"},\n{" for part in parts)
        keep = max(len(rest) - 2, 0)
        yield rest[:keep]
        rest = rest[keep:]
    yield rest


class _Objects:
    """Objects of a list, or a single one, put together from their lines."""

    def __init__(self) -> None:
        self._open = self._lists = 0

    def read(self, lines: Iterable[str], refuse: Refuse) -> Iterator[tuple[str, Row]]:
        waiting: list[str] = []
        for line in lines:
            shape = _STRING.sub("", line)
            self._lists += shape.count("[") - shape.count("]")
            if not self._open and "{" not in shape:
                if shape.strip(" \t[],"):
                    refuse(line)
                continue
            waiting.append(line)
            self._open = max(self._open + shape.count("{") - shape.count("}"), 0)
            if not self._open:
                yield from _parsed(waiting, refuse)
                waiting = []
        if waiting:
            refuse(waiting[0])

    def complete(self, _last_line_ended: bool) -> bool:
        """What was opened is closed; PowerShell need not end the last line."""
        return not self._open and not self._lists


def _parsed(lines: Sequence[str], refuse: Refuse) -> Iterator[tuple[str, Row]]:
    try:
        found: Any = json.loads(" ".join(lines).strip(" \t[],"))
    except ValueError:
        found = None
    if isinstance(found, dict):
        yield lines[0], found
    else:
        refuse(lines[0])
