"""Whoever copies a line from the documentation or from the help gets a command that exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from switchguard.cli.main import app
from switchguard.cli.pages import walk

ROOT = Path(__file__).parents[2]
PAPERS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
COMMANDS = dict(walk(typer.main.get_command(app), ()))
NAMES = {path[:length] for path in COMMANDS for length in range(1, len(path) + 1)}
ENDS = {"&&", "||", ";", "|", ">", "<", "#"}


def invocations(line: str) -> Iterator[list[str]]:
    """The words after each `switchguard` of a shell line, as the shell would give them to the program."""
    words = shlex.split(line.removeprefix("$ "), posix=True)
    while words:
        end = next((n for n, word in enumerate(words) if word in ENDS), len(words))
        command = words[:end]
        while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
            del command[0]
        if command and command[0] == "switchguard":
            yield command[1:]
        words = words[end + 1 :]


def copyable(paper: Path) -> Iterator[list[str]]:
    """Lines of blocks of commands, and commands within a text that are more than a name; nothing with an ellipsis."""
    text = paper.read_text()
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in (line for block in blocks for line in block.splitlines()):
        yield from invocations(line)
    for line in re.findall(r"`(switchguard [^`\n]+)`", text):
        yield from (words for words in invocations(line) if "…" not in line and tuple(words) not in NAMES)


def resolve(arguments: list[str]) -> str:
    """The command that these words are for, everything parsed and nothing run. typer.TyperException for a mistake."""
    command: Any = typer.main.get_command(app)
    context, name, rest = None, "switchguard", list(arguments)
    while True:
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return str(context.command_path)
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)


LINES = sorted({shlex.join(words) for paper in PAPERS for words in copyable(paper)})


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_documentation_can_be_typed(line: str) -> None:
    assert resolve(shlex.split(line)).startswith("switchguard ")


def test_there_are_such_lines() -> None:
    assert len(LINES) > 15


def test_a_mistake_would_be_noticed() -> None:
    with pytest.raises(typer.TyperException):
        resolve(["block", "mac", "02:00:00:00:00:07", "--fore", "2h"])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_has_an_example_of_that_command(path: tuple[str, ...]) -> None:
    (example,) = re.findall(r"^ *Example: (.*)$", COMMANDS[path].help or "", re.MULTILINE)
    found = [resolve(words) for words in invocations(example)]
    assert found[-1] == " ".join(("switchguard", *path))
