"""Whole answers of a shell command as lines or JSON; half an answer is an error."""

import json
from typing import Any

from switchguard.errors import UnexpectedOutput
from switchguard.ports import Session

_QUOTED = 80
"""Characters of an answer that an error shows."""


def lines_of(session: Session, answer: str) -> list[str]:
    """Lines without their ends. A command that finished ends its last line."""
    if answer and not answer.endswith("\n"):
        raise UnexpectedOutput(session.device.name, answer[-_QUOTED:], "an answer that ends in the middle of a line")
    return answer.splitlines()


def before_end(session: Session, answer: str) -> list[str]:
    """Lines of a command that prints `end` behind a whole answer, without that one."""
    *lines, end = lines_of(session, answer) or [""]
    if end != "end":
        raise UnexpectedOutput(session.device.name, end, "an answer that was cut off at")
    return lines


def rows_of(session: Session, answer: str) -> list[dict[str, Any]]:
    """A JSON list of objects. iproute2 prints nothing at all for some empty lists."""
    rows = json_of(session, answer) if answer.strip() else []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedOutput(session.device.name, answer[:_QUOTED], "no list of JSON objects")
    return rows


def json_of(session: Session, answer: str) -> Any:
    try:
        return json.loads(answer)
    except ValueError as error:
        raise UnexpectedOutput(session.device.name, answer[:_QUOTED], f"no JSON ({error})") from error
