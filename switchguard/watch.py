"""Follows one gateway's sessions as they begin, in a thread, and says at once when somebody crosses a threshold.

A stream that is lost (the connection, or more events than could be followed) is said to be lost, and begun again after
a while: until then the polls find whom they find. Nothing is decided here.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from switchguard.core.model import NatUsage
from switchguard.core.policy import Rule
from switchguard.core.tally import Crossing, Tallies, Watching, slide
from switchguard.errors import SwitchguardError
from switchguard.ports import Stream

AGAIN_AFTER_S, AT_MOST_S = 2.0, 60.0
"""Pause after the first loss; it doubles with each loss that follows before anything was received."""


class Hears(Protocol):
    """What is told, in one thread."""

    def begin(self) -> None:
        """From now on nothing is missed; also after something was."""

    def hear(self, rows: Sequence[NatUsage]) -> None:
        """One tick."""

    def lose(self) -> None:
        """Something may have been missed."""


class Follower(threading.Thread):
    def __init__(self, gateway: str, stream: Stream, tick_s: float, hears: Hears, tell: Callable[..., None]) -> None:
        """`hears` and `tell` are called in this thread."""
        super().__init__(name=f"watch {gateway}", daemon=True)
        self.gateway = gateway
        self.trouble = "its stream of sessions has not begun yet"
        """Empty while the stream is followed."""
        self._stream, self._tick_s, self._hears, self._tell = stream, tick_s, hears, tell
        self._stopped = threading.Event()

    def run(self) -> None:
        pause = AGAIN_AFTER_S
        while not self._stopped.is_set():
            try:
                self._follow()
            except SwitchguardError as error:
                pause = min(2 * pause, AT_MOST_S) if self.trouble else AGAIN_AFTER_S
                self.trouble = str(error)
                self._hears.lose()
                self._tell("stream lost, only polls find anybody here", gateway=self.gateway, why=str(error))
                self._stopped.wait(pause)

    def stop(self) -> None:
        """Within a tick; does not wait for it."""
        self._stopped.set()

    def _follow(self) -> None:
        """Until stopped, or lost."""
        with closing(self._stream(self._tick_s)) as ticks:
            for rows in ticks:
                if self._stopped.is_set():
                    return
                if self.trouble:
                    self.trouble = ""
                    self._hears.begin()
                    self._tell("following sessions as they begin", gateway=self.gateway)
                else:
                    self._hears.hear(rows)


@dataclass(slots=True)
class Sentry:
    """Judges beginnings. A new stream begins with an empty window: what was missed is not guessed."""

    rules: Sequence[Rule]
    watching: Watching
    crossed: Callable[[Sequence[Crossing]], None]
    missed: Callable[[], None]
    """Asked to look at the tables instead: too many sessions at once are a reason in themselves."""
    _tallies: Tallies = field(default_factory=Tallies)

    def begin(self) -> None:
        self._tallies = Tallies()

    def hear(self, rows: Sequence[NatUsage]) -> None:
        self._tallies, crossings = slide(self._tallies, rows, self.rules, self.watching)
        if crossings:
            self.crossed(crossings)

    def lose(self) -> None:
        self._tallies = Tallies()
        self.missed()
