"""References to secrets -> secrets: `{env: NAME}`, `{file: path}`, `{command: [program, argument]}`. Never plain text.

A reference is followed when the secret is first needed, and remembered until the site is loaded again. So commands that
contact nobody need no password, and a reference that leads nowhere is a problem of that one device (NotConfigured), not
of the others.
"""

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NoReturn

from switchguard.edge.paths import below
from switchguard.errors import NotConfigured
from switchguard.ports import Secret

COMMAND_PATIENCE_S = 30.0
"""A password manager may have to ask a server; it cannot ask a person (its standard input is empty)."""

HOW = "write {env: NAME}, {file: path} or {command: [program, argument, ...]}"

Reference = tuple[str, tuple[str, ...]]
"""Sort (env, file, command) and its words."""


class ReferredSecret(Secret):
    """A secret that is fetched by the first `reveal()`; NotConfigured if the reference leads nowhere."""

    __slots__ = ("_device", "_reference", "_what")

    def __init__(self, device: str, what: str, reference: Reference) -> None:
        super().__init__("")
        self._device, self._what, self._reference = device, what, reference

    def reveal(self) -> str:
        try:
            return _fetch(self._reference)
        except _LeadsNowhere as error:
            raise NotConfigured(self._device, f"{self._what}: {error}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReferredSecret) and other._reference == self._reference

    def __hash__(self) -> int:
        return hash(self._reference)


def read_reference(value: object, base: Path) -> Reference:
    """A relative file is looked for below `base`. ValueError says how a reference is written, and never quotes a value
    that may be a password."""
    match value:
        case {"env": str(name), **rest} if not rest and name:
            return "env", (name,)
        case {"file": str(path), **rest} if not rest and path:
            return "file", (str(below(base, path)),)
        case {"command": [*words], **rest} if not rest and words and all(isinstance(word, str) for word in words):
            return "command", tuple(str(word) for word in words)
        case Mapping():
            raise ValueError(f"is no reference to a secret; {HOW}")
        case _:
            raise ValueError(
                f"a secret in plain text is refused, since files of a site end up in version control; {HOW}"
            )


def forget_secrets() -> None:
    """So that a password that was changed is fetched anew."""
    _fetch.cache_clear()


class _LeadsNowhere(Exception):
    pass


@cache
def _fetch(reference: Reference) -> str:
    match reference:
        case ("env", (name,)):
            secret = os.environ.get(name) or _nowhere(f"the environment variable {name} is not set")
        case ("file", (path,)):
            secret = _from_file(path)
        case (_, words):
            secret = _from_command(words)
    return secret


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text().strip("\r\n") or _nowhere(f"the file {path} is empty")
    except (OSError, UnicodeDecodeError) as error:
        _nowhere(f"the file {path} cannot be read: {getattr(error, 'strerror', None) or error}")


def _from_command(words: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_PATIENCE_S, check=False
        )
    except OSError as error:
        _nowhere(f"the command {words[0]} cannot be run: {error.strerror}")
    except (subprocess.TimeoutExpired, UnicodeDecodeError):
        _nowhere(f"the command {words[0]} gave no text within {COMMAND_PATIENCE_S:g} s")
    if done.returncode:
        _nowhere(f"the command {words[0]} ended with status {done.returncode}: {done.stderr.strip()[:200]}")
    return done.stdout.strip("\r\n") or _nowhere(f"the command {words[0]} printed nothing")


def _nowhere(why: str) -> NoReturn:
    raise _LeadsNowhere(why)
