"""What is printed for people -> the same without control characters: a hostname must not steer the terminal.

Names come from DHCP, errors quote what a device answered, and many commands print both. So it is done where all of them
come together, and not by whoever prints. Colours are Rich's own, made afterwards.
"""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.measure import Measurement
from rich.segment import Segment

from switchguard.core.plain import plain


class Harmless(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Washed(it) for it in renderables]


class _Washed:
    def __init__(self, inside: ConsoleRenderable) -> None:
        self._inside = inside

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return _washed(console.render(self._inside, options))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._inside)


def _washed(segments: Iterable[Segment]) -> Iterable[Segment]:
    """Orders to the terminal are Rich's; lines stay lines."""
    for it in segments:
        yield it if it.control else Segment("\n".join(map(plain, it.text.split("\n"))), it.style)
