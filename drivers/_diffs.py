"""Is the change that a device announces exactly ours? And the same change as text where no device is asked.

Three sorts of announcement, all as NAPALM hands them on:

* IOS, `show archive config incremental-diffs`: the commands that would run, `+` before each, `-` before those with
  `no`;
* NX-OS, where NAPALM takes from the candidate what stands in the running configuration: what is left of our own
  commands, without signs; it says nothing that the device has found out;
* EOS, `show session-config named S diffs`: lines of the configuration that come (`+`) and go (`-`), others for
  orientation. After `@@` the sections of a line may not be shown; then its text alone is compared.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from switchguard.errors import DeviceError, UnexpectedDiff

from ._config_lines import Edit, Line, Path, path_after, place

Sort = Literal["commands", "typed", "lines"]
Signed = tuple[str, Line]

_NO_DIFF = "incremental-diff failed"
"""NAPALM's banner over our own lines, on an IOS that cannot make the diff: it says nothing about the device."""
_NOISE = ("exit", "end")


def check(device: str, diff: str, wanted: Sequence[Sequence[Edit]], sort: Sort) -> None:
    """UnexpectedDiff for any line that is not ours; DeviceError when one of the `wanted` changes does not show."""
    if _NO_DIFF in diff:
        raise UnexpectedDiff(device, diff.splitlines()[:1])
    ours = [expected(edits, sort) for edits in wanted]
    told = [signed for signed in _read(_with_signs(diff) if sort == "typed" else diff) if signed[0] != " "]
    foreign = [sign + line.text for sign, line in told if not _is_ours(sign, line, [one for of in ours for one in of])]
    if foreign:
        raise UnexpectedDiff(device, foreign)
    for of in ours:
        if not any(_same(sign, line, one) for sign, line in told for one in of):
            missing = "; ".join(sign + line.text for sign, line in of)
            raise DeviceError(device, f"its diff does not show {missing!r}, so nothing was committed")


def expected(edits: Iterable[Edit], sort: Sort) -> list[Signed]:
    if sort != "lines":
        return [("-" if edit.command.text.startswith("no ") else "+", edit.command) for edit in edits]
    return [signed for edit in edits for signed in [*(("-", line) for line in edit.minus), *_signed("+", edit.plus)]]


def computed(edits: Iterable[Edit]) -> str:
    """The lines that come and go, below the heads of their sections; empty when nothing changes. A head goes with its
    lines only if it is said to: other lines of that section may stay."""
    wanted = tuple(edits)
    gone = {(*(edit.command.path or ()), edit.command.text.removeprefix("no ")) for edit in wanted}
    said: list[str] = []
    shown: Path = ()
    for sign, line in dict.fromkeys(expected(wanted, "lines")):
        heads = line.path or ()
        for depth, head in enumerate(heads):
            if shown[: depth + 1] != heads[: depth + 1]:
                stays = sign == "-" and not any(heads[: upto + 1] in gone for upto in range(depth + 1))
                mark = " " if head.startswith("interface ") or stays else sign
                said.append(f"{mark}{' ' * depth}{head}")
        said.append(f"{sign}{' ' * len(heads)}{line.text}")
        shown = heads
    return "\n".join(said)


def _signed(sign: str, line: Line | None) -> list[Signed]:
    return [(sign, line)] if line else []


def _with_signs(diff: str) -> str:
    return "\n".join(("-" if line.strip().startswith("no ") else "+") + line for line in diff.splitlines() if line)


def _read(diff: str) -> Iterator[Signed]:
    path: Path | None = ()
    for raw in diff.splitlines():
        if raw.startswith("@@"):
            path = None
            continue
        sign, text = (raw[0], raw[1:]) if raw[:1] in ("+", "-", " ") else (" ", raw)
        if not text.strip() or text.strip() in _NOISE or text.strip().startswith("!") or raw.startswith(("---", "+++")):
            continue
        line = place(text, path)
        path = path_after(line)
        yield sign, line


def _is_ours(sign: str, line: Line, ours: Sequence[Signed]) -> bool:
    """The head of a section is ours when one of our lines stands in that section, or is the head itself."""
    if any(_same(sign, line, one) for one in ours):
        return True
    if line.opens and line.inside is None:
        return any(line.text in (one.path or ()) for _, one in ours)
    return line.opens and any((one.path or ())[: len(line.inside or ())] == line.inside for _, one in ours)


def _same(sign: str, line: Line, one: Signed) -> bool:
    return sign == one[0] and line.text == one[1].text and line.path in (None, one[1].path)
