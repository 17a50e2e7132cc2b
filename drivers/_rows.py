"""A table for people, strictly: every line is a row, known noise, or an error.

ntc-templates are used where they are as strict. Many are not: with no rule for what stands before the heading, an
error message is an empty table; without an end to the pattern of a row, half a row is a whole one.
"""

import re
from collections.abc import Iterator

from switchguard.errors import UnexpectedOutput

RULE = re.compile(r"\s*-[-\s+]*")
"""The line under a heading."""


def rows(
    device: str, text: str, row: re.Pattern[str], heading: re.Pattern[str], noise: re.Pattern[str] = RULE
) -> Iterator[re.Match[str]]:
    """The rows below a heading. Patterns match whole lines, without blanks at their ends.

    UnexpectedOutput for a line that is none of the three, and for an answer without a heading or a row: whoever asks is
    a neighbour of the device himself, so a table that is empty was cut off. Tables that may be empty have a total.
    """
    seen, count = False, 0
    for raw in text.splitlines():
        line = raw.rstrip()
        if seen and (found := row.fullmatch(line)):
            count += 1
            yield found
        elif heading.fullmatch(line):
            seen = True
        elif line and not noise.fullmatch(line):
            raise UnexpectedOutput(device, raw)
    if not count:
        raise UnexpectedOutput(
            device, text.strip()[-80:], "a table without a row" if seen else "no heading of a table in"
        )


def counted(
    device: str,
    text: str,
    row: re.Pattern[str],
    total: re.Pattern[str],
    heading: re.Pattern[str],
    noise: re.Pattern[str] = RULE,
) -> tuple[re.Match[str], ...]:
    """The same of a table that says how many rows it has, and may therefore be empty.

    The first group of `total` is the number; a table in parts has several, of which the sum counts.
    """
    found: list[re.Match[str]] = []
    seen, said = False, None
    for raw in text.splitlines():
        line = raw.rstrip()
        if seen and (one := row.fullmatch(line)):
            found.append(one)
        elif number := total.fullmatch(line):
            said = (said or 0) + int(number[1])
        elif heading.fullmatch(line):
            seen = True
        elif line and not noise.fullmatch(line):
            raise UnexpectedOutput(device, raw)
    if said != len(found):
        raise UnexpectedOutput(device, text.strip()[-80:], f"{len(found)} rows of {said} in a table")
    return tuple(found)
