"""YAML with the line of everything in it, so that every complaint about a file can say where.

Plain words follow YAML 1.2: only `true` and `false` are truth values, 12:34 is no number and 2026-12-01 no date. In
YAML 1.1, which PyYAML speaks by itself, the MAC address 10:22:33:44:55:16 is the number 8068409716.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from switchguard.errors import SiteError

Steps = tuple[str | int, ...]
"""The way to a value: keys of mappings and positions in lists."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A file's data, and the line (from 1) of every value in it."""

    file: str
    data: Any
    lines: Mapping[Steps, int] = field(default_factory=dict)

    def line_of(self, steps: Sequence[str | int]) -> int | None:
        """Of the value, or of the nearest thing around it."""
        return next(
            (self.lines[way] for n in range(len(steps), -1, -1) if (way := tuple(steps[:n])) in self.lines), None
        )


def read_marked(path: Path) -> Marked:
    """SiteError for a file that cannot be read, is no YAML, or says the same key twice."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_Loader)
    except OSError as error:
        raise SiteError(f"cannot be read: {error.strerror}", str(path)) from error
    except UnicodeDecodeError as error:
        raise SiteError(f"is not UTF-8 text: {error}", str(path)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SiteError(f"no YAML: {error.problem}", str(path), mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise SiteError(f"no YAML: {error}", str(path)) from error
    lines: dict[Steps, int] = {}
    data = None if node is None else _Reader(str(path), lines).read(node, ())
    return Marked(str(path), data, lines)


class _Loader(yaml.SafeLoader):
    """Only words of YAML 1.2's core schema (yaml.org/spec/1.2.2, 10.3.2) mean something else than text, and of its
    numbers only those that read as they are written: 020000000007 and 1200e0000007 stay MAC addresses."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML declares it


for _tag, _words, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"0|-?[1-9][0-9]*", list("-0123456789")),
    ("float", r"-?[0-9]*\.[0-9]+", list("-.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_words})$"), _first)


@dataclass(frozen=True, slots=True)
class _Reader:
    file: str
    lines: dict[Steps, int]

    def read(self, node: yaml.Node, way: Steps) -> Any:
        self.lines.setdefault(way, node.start_mark.line + 1)
        if len(way) > 20:
            raise SiteError("nested too deeply", self.file, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, way)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*way, number)) for number, item in enumerate(node.value)]
        return _scalar(node.tag.rpartition(":")[2], str(node.value))

    def _mapping(self, node: yaml.MappingNode, way: Steps) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in result:
                first = self.lines[*way, key]
                raise SiteError(f"{key!r} is here twice; the first time in line {first}", self.file, line)
            self.lines[*way, key] = line
            result[key] = self.read(value_node, (*way, key))
        return result


def _scalar(tag: str, text: str) -> str | int | float | bool | None:
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return float(text)
        case _:
            return text
