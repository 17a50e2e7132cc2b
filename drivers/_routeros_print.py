"""What RouterOS prints of its lists: rows of `key=value` behind a number and flags, in one line or wrapped.

     0  SAC Fs  protocol=tcp src-address=10.10.0.7:1643
                dst-address=198.18.0.5:443 orig-bytes=1 804

`print terse` is one line per row, `print detail` as many as the terminal needs. A value may contain blanks: numbers are
grouped by them, and comments and names of interfaces are somebody's free text. Such an answer has no end that could be
told from a lost connection, so `asked` has the device say one after it; several commands in a line are documented
("Scripting", command line structure).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from switchguard.errors import CommandRefused, UnexpectedOutput
from switchguard.ports import Session

END = "end of the list"
_KEY = re.compile(r"(?:^|\s)([a-z][a-z0-9-]*)=")
_HEAD = re.compile(r"\s*(\d+)\s+([A-Za-z* ]*?)\s*([a-z][a-z0-9-]*=.*)")
_LEGEND = r"[A-Za-z*] - [A-Za-z-]+(?:[,;] (?:[A-Za-z*] - [A-Za-z-]+))*[,;]?"
NOISE = re.compile(
    rf"(?:Flags: )?{_LEGEND}|Columns: [A-Z, -]+|#(?: +[A-Z-]+(?:\.\.)?)+|\d\d:\d\d:\d\d echo: .*"
    rf"|\[[^\[\]]+@[^\[\]]+\] .*>.*|{END}"
)
"""Legends, headings, prompts that somebody saved too, and the log that RouterOS writes onto terminals."""


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    flags: frozenset[str]
    """One letter each; X is disabled, I invalid or inactive, D dynamic, in every list."""
    fields: Mapping[str, str]

    @property
    def in_force(self) -> bool:
        return not self.flags & {"X", "I"}


def asked(session: Session, command: str) -> list[str]:
    """The lines of a whole answer, without its end."""
    *lines, end = session.ask(f'{command}; :put "{END}"').rstrip().splitlines() or [""]
    if end.strip() != END:
        raise UnexpectedOutput(session.device.name, end, "an answer that was cut off at")
    return lines


def listed(session: Session, command: str) -> tuple[Row, ...]:
    """Of a `print terse`."""
    return tuple(rows(session.device.name, asked(session, command)))


def listed_if_known(session: Session, command: str) -> tuple[Row, ...] | None:
    """None on a router that does not have such a list."""
    try:
        return listed(session, command)
    except CommandRefused as error:
        if "bad command name" not in error.answer:
            raise
        return None


def rows(device: str, lines: Iterable[str]) -> Iterator[Row]:
    """Of a `print terse`: what is neither a row nor noise is an error."""
    for line in lines:
        if not line.strip() or NOISE.fullmatch(line.strip()):
            continue
        if not (row := row_of(line)):
            raise UnexpectedOutput(device, line)
        yield row


def row_of(line: str) -> Row | None:
    head = _HEAD.fullmatch(line.rstrip())
    return Row(int(head[1]), frozenset(head[2].replace(" ", "")), fields(head[3])) if head else None


def put_together(lines: Iterable[str], head: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """First line, flags, and `key=value ...` of each row of a `print detail`, wrapped or not. The third is empty for a
    line that begins no row. `head` matches how rows begin; its groups are the flags and the rest."""
    first = flags = text = ""
    for line in lines:
        said = line.strip()
        begins = head.fullmatch(line.rstrip())
        if NOISE.fullmatch(said):
            continue
        if said and text and not begins:
            text = f"{text} {said}"
            continue
        if text:
            yield first, flags, text
            text = ""
        if begins:
            first, flags, text = line, *begins.groups()
        elif said:
            yield line, "", ""
    if text:
        yield first, flags, text


def fields(text: str) -> Mapping[str, str]:
    """Of a text that begins with a key. The first of two values for one key counts."""
    _, *parts = _KEY.split(text)
    values = (value.strip() for value in parts[1::2])
    told: dict[str, str] = {}
    for key, value in zip(parts[::2], values, strict=True):
        told.setdefault(key, value.removeprefix('"').removesuffix('"'))
    return told
