"""What comes after the bar in `show running-config | include mac`: filters over the lines of an answer.

NX-OS has more of them in one line, and a pattern with bars of its own in quotes: `| egrep "^mac|^interface" | count`.
"""

import re
from collections.abc import Callable, Iterator
from functools import reduce

Filter = Callable[[str], str]


def pipe(words: str) -> Filter | None:
    """The filter that these words name, abbreviated or not; None if there is no such filter, or no pattern for it."""
    verb, _, pattern = words.strip().partition(" ")
    known = [name for name in _FILTERS if verb and name.startswith(verb.lower())]
    if not known or not pattern:
        return None
    try:
        wanted = re.compile(pattern.strip())
    except re.error:
        return None
    return lambda text: "\n".join(_FILTERS[known[0]](text.splitlines(), wanted))


def pipes(words: str) -> Filter | None:
    """One filter after the other. None if there is one that there is not."""
    stages = [_stage(stage.strip()) for stage in re.findall(r'(?:"[^"]*"|[^|"])+', words)]
    known = [stage for stage in stages if stage]
    if not stages or len(known) < len(stages):
        return None
    return lambda text: reduce(lambda said, stage: stage(said), known, text)


def _stage(words: str) -> Filter | None:
    if words == "count":
        return lambda text: str(len(text.splitlines()))
    verb, _, pattern = words.partition(" ")
    return pipe(f"{'include' if verb in ('grep', 'egrep') else verb} {pattern.strip().strip(chr(34))}")


def _include(lines: list[str], wanted: re.Pattern[str]) -> Iterator[str]:
    return (line for line in lines if wanted.search(line))


def _exclude(lines: list[str], wanted: re.Pattern[str]) -> Iterator[str]:
    return (line for line in lines if not wanted.search(line))


def _begin(lines: list[str], wanted: re.Pattern[str]) -> Iterator[str]:
    begun = False
    for line in lines:
        begun = begun or bool(wanted.search(line))
        if begun:
            yield line


def _section(lines: list[str], wanted: re.Pattern[str]) -> Iterator[str]:
    """Every matching line with what is indented below it."""
    depth: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent <= depth:
            depth = None
        if depth is None and wanted.search(line):
            depth = indent
        if depth is not None:
            yield line


_FILTERS: dict[str, Callable[[list[str], re.Pattern[str]], Iterator[str]]] = {
    "include": _include,
    "exclude": _exclude,
    "begin": _begin,
    "section": _section,
}
