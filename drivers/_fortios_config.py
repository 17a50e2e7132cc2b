"""The configuration that FortiOS shows: tables of entries of settings, `end` after each.

    config firewall addrgrp
        edit "switchguard"
            set member "none" "switchguard-02:00:00:00:00:07"
        next
    end

A word may be quoted, with backslashes before quotes, and then goes on over lines (comments, certificates).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from switchguard.errors import DeviceError, UnexpectedOutput

_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s"]+)', re.DOTALL)
_NAME = re.compile(r"[^\"\\<>()#'\x00-\x1f\x7f]{1,79}")
_ALL_OF_IT = 80


@dataclass(slots=True)
class Entry:
    """What one `edit` holds. Tables inside of it are passed over."""

    name: str
    settings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def told(self, key: str, otherwise: str = "") -> str:
        """The first word of a setting; FortiOS does not show one that is at its default."""
        return self.settings.get(key, (otherwise,))[0]


Table = Mapping[str, Entry]


def table(device: str, text: str, path: str) -> Table:
    """The entries of `config <path>` in their order. UnexpectedOutput for anything but one whole table of them."""
    lines = [words for words in _lines(device, text) if not words[0].startswith("#")]
    if not lines or lines[0] != ("config", *path.split()) or lines[-1] != ("end",):
        raise UnexpectedOutput(device, text.strip()[-_ALL_OF_IT:], f"no table {path!r} with an end in")
    entries: dict[str, Entry] = {}
    entry, depth = None, 0
    for words in lines[1:-1]:
        match words:
            case ("edit", name) if entry is None:
                entry = entries[name] = Entry(name)
            case ("next",) if entry is not None and not depth:
                entry = None
            case ("config", *_) if entry is not None:
                depth += 1
            case ("end",) if depth:
                depth -= 1
            case ("edit", _) | ("next",) if depth:
                pass
            case ("set", key, *values) if entry is not None and (values or depth):
                if not depth:
                    entry.settings[key] = tuple(values)
            case ("unset", _) if entry is not None:
                pass
            case _:
                raise UnexpectedOutput(device, " ".join(words))
    if entry is not None:
        raise UnexpectedOutput(device, text.strip()[-_ALL_OF_IT:], "an entry without its end in")
    return entries


def _lines(device: str, text: str) -> Iterator[tuple[str, ...]]:
    kept = ""
    for raw in text.splitlines():
        kept = f"{kept}\n{raw}" if kept else raw
        if _is_open(kept):
            continue
        if kept.strip():
            yield _words(device, kept)
        kept = ""
    if kept:
        raise UnexpectedOutput(device, kept[:_ALL_OF_IT], "a quoted word without its end in")


def _is_open(text: str) -> bool:
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', text)) % 2 == 1


def _words(device: str, line: str) -> tuple[str, ...]:
    words, at, text = [], 0, line.rstrip()
    while at < len(text):
        found = _WORD.match(text, at)
        if not found:
            raise UnexpectedOutput(device, line)
        words.append(re.sub(r"\\(.)", r"\1", found[1][1:-1]) if found[1].startswith('"') else found[1])
        at = found.end()
    return tuple(words)


def quoted(device: str, name: str) -> str:
    """A name to be typed. DeviceError for one with characters that FortiOS does not allow in names."""
    if not _NAME.fullmatch(name):
        raise DeviceError(device, f"{name!r} is no name for FortiOS, so it is not put into a command")
    return f'"{name}"'
