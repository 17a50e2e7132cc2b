"""Statements of a Junos configuration: read as `display set` prints them, changed by `set` and `delete`, and compared
with what `show | compare` announces.

A statement is its words, without the `set` in front. `display set` has no end that a lost connection would lack, so the
last line is asked for once more, and must be the same. Groups and interface ranges are expanded by `display
inheritance`; what is deactivated does not stand.

The announcement is a patch of the other notation, below the place where it applies:

    [edit firewall family ethernet-switching filter SWITCHGUARD-10 term from from source-mac-address]
    +        02:00:00:00:00:08/48;
    [edit vlans]
    -   V20 {
    -       vlan-id 20;
    -   }

Words before a brace and the words of all braces around it make a statement again, so how a release breaks its lines
makes no difference.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from switchguard.core.changes import Diff
from switchguard.errors import UnexpectedDiff, UnexpectedOutput
from switchguard.ports import Session

Statement = tuple[str, ...]
Config = Collection[Statement]
"""In the order of the configuration, which is that of its terms."""

SHOW = (
    "show configuration | display inheritance no-comments | display set"
    ' | match "^(set|deactivate) (firewall|vlans|interfaces|security (screen|zones)) "'
)
SHOW_LAST = f"{SHOW} | last 1"

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')
_LINE = re.compile(r"(set|deactivate) (?:firewall|vlans|interfaces|security (?:screen|zones)) \S.*")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}/48", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+)([kmg]?)")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_AMOUNTS = ("bandwidth-limit", "burst-size-limit")
_ONE_VALUE = (*_AMOUNTS, "source-ip-based", "input", "screen")
"""What is followed by a value, and by no more than one."""


# --- reading ---------------------------------------------------------------------------------------------------------


def read(session: Session) -> Config:
    device = session.device.name
    said = [line.strip() for line in session.ask(SHOW).splitlines() if line.strip()]
    last = session.ask(SHOW_LAST).strip()
    if not said or said[-1] != last:
        quoted = said[-1] if said else ""
        raise UnexpectedOutput(device, quoted, f"a configuration that does not end as it should ({last[:80]!r})")
    return tuple(_standing(device, said))


def _standing(device: str, said: Iterable[str]) -> Iterator[Statement]:
    lines: list[Statement] = []
    idle: list[Statement] = []
    for line in said:
        found = _LINE.fullmatch(line)
        if not found:
            raise UnexpectedOutput(device, line)
        (lines if found[1] == "set" else idle).append(statement(line)[1:])
    return (line for line in lines if not any(line[: len(off)] == off for off in idle))


def statement(text: str) -> Statement:
    """Canonical words: MACs in lower case, amounts as Junos shortens them."""
    words = _WORD.findall(text)
    return tuple(_canonical(before, word) for before, word in zip(["", *words], words, strict=False))


def _canonical(before: str, word: str) -> str:
    if _MAC.fullmatch(word):
        return str(word).lower()
    found = _AMOUNT.fullmatch(word) if before in _AMOUNTS else None
    return amount(int(found[1]) * _UNITS[found[2]]) if found else word


def amount(number: int) -> str:
    """64000 -> 64k; k, m and g are powers of a thousand."""
    unit = next(unit for unit, size in sorted(_UNITS.items(), key=lambda it: -it[1]) if number % size == 0)
    return f"{number // _UNITS[unit]}{unit}"


def number(text: str) -> int:
    """64k -> 64000; 0 for a text that is no amount."""
    found = _AMOUNT.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else 0


def below(config: Config, head: Statement) -> tuple[Statement, ...]:
    """What stands at that place, without the words of the place."""
    return tuple(line[len(head) :] for line in config if line[: len(head)] == head)


# --- writing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of the statements below `heads`, which are ours alone: `stood` stand, `wanted` shall."""

    heads: tuple[Statement, ...]
    stood: tuple[Statement, ...]
    wanted: tuple[Statement, ...]

    @property
    def minus(self) -> tuple[Statement, ...]:
        """A place where nothing stands yet does not go when it is filled."""
        return tuple(line for line in self.stood if not below(self.wanted, line))

    @property
    def plus(self) -> tuple[Statement, ...]:
        return tuple(line for line in self.wanted if line not in self.stood)

    def commands(self) -> Iterator[str]:
        """A place of which nothing shall stand is deleted as a whole: without its statements, an empty one would stay
        behind, and an empty condition means everything. Where there is room for one value, it is not named when it is
        deleted, and not deleted when another takes its place."""
        gone = [head for head in self.heads if below(self.stood, head) and not below(self.wanted, head)]
        emptied = [head for head in gone if not _within(head, (it for it in gone if it != head))]
        for head in emptied:
            yield f"delete {' '.join(head[:-1] if head[-2] in _ONE_VALUE else head)}"
        replaced = [line[:-1] for line in self.plus if line[-2] in _ONE_VALUE]
        for line in self.minus:
            if not _within(line, emptied) and line[:-1] not in replaced:
                yield f"delete {' '.join(line)}"
        yield from (f"set {' '.join(line)}" for line in self.plus)


def edit(config: Config, heads: Sequence[Statement], wanted: Iterable[Statement]) -> Edit:
    return Edit(tuple(heads), tuple(line for line in config if _within(line, heads)), tuple(wanted))


def _within(line: Statement, heads: Iterable[Statement]) -> bool:
    return any(line[: len(head)] == head for head in heads)


def computed(edits: Iterable[Edit]) -> str:
    """The statements that go and come, as `display set` would print them."""
    signed = ((sign, line) for one in edits for sign, of in (("-", one.minus), ("+", one.plus)) for line in of)
    return "\n".join(f"{sign} set {' '.join(line)}" for sign, line in signed)


def load(session: Session, edits: Sequence[Edit], commit: bool) -> Diff:
    """The device's diff, which must be exactly ours. Without `commit`, the candidate is discarded."""
    lines = [command for one in edits for command in one.commands()]
    if not lines:
        return Diff("", "computed")
    with session.candidate(lines) as candidate:
        diff = candidate.diff()
        _check(session.device.name, diff, edits)
        if commit:
            candidate.commit()
    return Diff(diff, "device")


def _check(device: str, diff: str, edits: Iterable[Edit]) -> None:
    ours = {(sign, line) for one in edits for sign, of in (("-", one.minus), ("+", one.plus)) for line in of}
    told = set(_announced(diff))
    if told - ours:
        raise UnexpectedDiff(device, sorted(f"{sign} {' '.join(line)}" for sign, line in told - ours))
    if ours - told:
        missing = "; ".join(sorted(f"{sign} {' '.join(line)}" for sign, line in ours - told))
        raise UnexpectedDiff(device, [f"(missing) {missing}"])


_PLACE = re.compile(r"\[edit(?: (.+))?\]")
_OPENS = re.compile(r"(.*\S) *\{")
_SAYS = re.compile(r"(.*\S);")
_COMMENT = re.compile(r"\s*(?:##.*|/\*.*\*/)$")


def _announced(diff: str) -> Iterator[tuple[str, Statement]]:
    """Sign and statement of every line that comes or goes; a line of another shape is given as it is."""
    path: list[Statement] = []
    for raw in diff.splitlines():
        line = _COMMENT.sub("", raw.rstrip())
        sign, text = (line[0], line[1:].strip()) if line[:1] in ("+", "-", "!") else ("", line.strip())
        if place := _PLACE.fullmatch(text):
            path = [statement(place[1] or "")]
        elif opens := _OPENS.fullmatch(text):
            path.append(statement(opens[1]))
        elif text == "}" and path:
            path.pop()
        elif sign and text:
            said = _SAYS.fullmatch(text)
            yield sign, (*(word for part in path for word in part), *statement(said[1] if said else text))
