"""Configuration lines of IOS and EOS: where each stands, and what has to be typed so that the wanted ones stand.

The configuration is read through one `| include` that keeps the heads of sections and `end`, so that the place of a
line follows from the lines before it, and `end` proves that the answer is whole.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from switchguard.errors import UnexpectedOutput

from . import _port_names

Path = tuple[str, ...]

_MAC = re.compile(r"\b(?:[0-9A-F]{4}(?:\.[0-9A-F]{4}){2}|[0-9A-F]{2}(?::[0-9A-F]{2}){5})\b", re.IGNORECASE)
_SECTION = re.compile(
    r"interface \S+|policy-map .+|class-map .+|vlan configuration .+|control-plane(?: .+)?|system qos"
    r"|(?:mac|ip|ipv6|arp) access-list .+"
)
_CLASS = re.compile(r"class \S.*")
_IN_POLICY = re.compile(r"(?:no )?class \S.*")
_LEAF = re.compile(
    r"mac address-table static |police |service-policy |shape rate |mac access-group |channel-group "
    r"|(no )?switchport$|switchport default mode |switchport access vlan \d+$|switchport mode "
    r"|ip nat translation max-entries "
    r"|\d+ (permit|deny|remark) |(counters|statistics) per-entry$"
    r"|(?:sequence )?(?:\d+ )?permit ip|match access-group name |ip nat inside\b|(ip|ipv6) address "
    r"|(ip )?vrf forwarding "
)
_TOP_LEVEL = re.compile(r"(no )?(mac[ -]address-table |policy-map |class-map |(ip|ipv6) access-list )")


@dataclass(frozen=True, slots=True)
class Line:
    """One line in canonical spelling, inside the sections of `path`, outermost first. None: they are not shown."""

    path: Path | None
    text: str

    @property
    def opens(self) -> bool:
        """Whether it is the head of a section."""
        return bool(_SECTION.fullmatch(self.text) or _CLASS.fullmatch(self.text))

    @property
    def inside(self) -> Path | None:
        """The path of the lines that follow, if it is the head of a section."""
        return None if self.path is None else (*self.path, self.text)


Config = Collection[Line]
"""The lines of a running configuration that concern us, heads of sections included."""


def canonical(text: str) -> str:
    """One blank between words, MACs in lower case, interface names in full."""
    words = " ".join(text.split())
    if words.lower().startswith("interface "):
        words = f"interface {_port_names.long(words[10:].replace(' ', ''))}"
    return _MAC.sub(lambda mac: mac.group().lower(), words)


def place(text: str, path: Path | None) -> Line:
    """A line that follows others in `path`. Sections are known by their heads; of a vendor's indentation only this
    matters: a line without any, which heads no section that we know, ends the one before."""
    said = canonical(text)
    if _SECTION.fullmatch(said) or _TOP_LEVEL.match(said):
        return Line((), said)
    if _IN_POLICY.fullmatch(said) and path and path[0].startswith("policy-map "):
        return Line(path[:1], said)
    return Line(path if text[:1].isspace() else (), said)


def path_after(line: Line) -> Path | None:
    return line.inside if line.opens else line.path


def read(device: str, text: str) -> Config:
    """The answer to `show running-config | include ...`. UnexpectedOutput for one that does not finish with `end`."""
    said = [raw for raw in text.splitlines() if raw.strip() and raw.strip() != "!"]
    if not said or said[-1].strip() != "end":
        raise UnexpectedOutput(device, said[-1] if said else "", "a running configuration without its end")
    return tuple(_placed(device, said[:-1]))


def read_counted(device: str, text: str, count: str) -> Config:
    """The same where a configuration has no end, but its lines can be counted: `count` is the answer to that."""
    said = [raw for raw in text.splitlines() if raw.strip()]
    if not count.strip().isdecimal() or int(count) != len(said):
        raise UnexpectedOutput(device, count.strip(), f"{len(said)} lines of a running configuration, which should be")
    return tuple(_placed(device, said))


def _placed(device: str, said: Iterable[str]) -> Iterator[Line]:
    path: Path | None = ()
    for raw in said:
        line = place(raw, path)
        if not line.opens and not _LEAF.match(line.text):
            raise UnexpectedOutput(device, raw)
        path = path_after(line)
        yield line


# --- wanted lines ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One line that a penalty needs. `wants` None: it must not stand. `undo` is what takes it away again."""

    path: Path
    owns: str
    """How every line begins that would stand in the same place."""
    wants: str | None
    undo: Line | None = None
    """None: the line that stands, with `no` before it."""
    ends: str = ""
    """How every such line also ends, where its beginning does not tell its place."""
    replaces: bool = True
    """Whether the device lets the wanted line take that place; if not, what stands there is taken away first."""

    def standing(self, config: Config) -> list[Line]:
        there = (line for line in config if line.path == self.path)
        return [line for line in there if line.text.startswith(self.owns) and line.text.endswith(self.ends)]


@dataclass(frozen=True, slots=True)
class Edit:
    """One command, and what it does to the configuration."""

    command: Line
    minus: tuple[Line, ...] = ()
    plus: Line | None = None


def edits(parts: Sequence[Part], config: Config) -> tuple[Edit, ...]:
    """What is missing is typed in order; what must go is taken away in reverse order: detached first, then deleted."""
    undone = [edit for part in reversed(parts) if part.wants is None for edit in _undone(part, config)]
    return (*undone, *(edit for part in parts if part.wants is not None for edit in _done(part, part.wants, config)))


def _done(part: Part, wants: str, config: Config) -> tuple[Edit, ...]:
    stands, wanted = tuple(part.standing(config)), Line(part.path, wants)
    if stands == (wanted,):
        return ()
    if part.replaces:
        return (Edit(wanted, stands, wanted),)
    return (*_undone(part, config), Edit(wanted, (), wanted))


def _undone(part: Part, config: Config) -> tuple[Edit, ...]:
    """What takes away what stands: the line, or an empty section that was left over."""
    stands = tuple(part.standing(config))
    if part.undo is None:
        return tuple(Edit(Line(line.path, f"no {line.text}"), (line,)) for line in stands)
    left_over = Line((), part.undo.text.removeprefix("no ")) in config
    return (Edit(part.undo, stands),) if stands or left_over else ()


def commands(wanted: Iterable[Edit]) -> tuple[str, ...]:
    """To be typed as they are; every section that is entered is left again."""
    typed: list[str] = []
    for line in dict.fromkeys(edit.command for edit in wanted):
        heads = line.path or ()
        typed += [f"{' ' * depth}{head}" for depth, head in enumerate(heads)]
        typed.append(f"{' ' * len(heads)}{line.text}")
        typed += [f"{' ' * depth}exit" for depth in reversed(range(len(heads)))]
    return tuple(typed)
