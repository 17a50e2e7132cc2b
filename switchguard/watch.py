"""Follows one gateway's sessions as they begin, in a thread, and says at once when somebody crosses a threshold.

A stream that is lost (with its connection, say) is said to be lost, and begun again after a while: until then the
polls find whom they find. One that only missed something goes on: what it did hear counts, and the tables are asked for
the rest. Nothing is decided here.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from switchguard.core.policy import Rule
from switchguard.core.tally import Crossing, Tallies, Watching, slide
from switchguard.errors import SwitchguardError
from switchguard.ports import Stream, Tick

AGAIN_AFTER_S, AT_MOST_S = 2.0, 60.0
"""Pause after the first loss; it doubles with each loss that follows before anything was received."""


class Hears(Protocol):
    """What is told, in one thread."""

    def begin(self) -> None:
        """The stream has begun; also after it was lost."""

    def hear(self, tick: Tick) -> None:
        """One tick."""

    def lose(self) -> None:
        """Nothing is heard any more."""


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
            for tick in ticks:
                if self._stopped.is_set():
                    return
                if self.trouble:
                    self.trouble = ""
                    self._hears.begin()
                    self._tell("following sessions as they begin", gateway=self.gateway)
                else:
                    self._hears.hear(tick)


@dataclass(slots=True)
class Sentry:
    """Judges beginnings. A new stream begins with an empty window: what was lost is not guessed."""

    rules: Sequence[Rule]
    watching: Watching
    crossed: Callable[[Sequence[Crossing]], None]
    missed: Callable[[str], None]
    """Told why, and asked to look at the tables too: too many sessions at once are a reason in themselves. Only after
    the windows in a row that might find somebody at once, and once per window: while a flood goes on, reading tables
    would be all that is done."""
    _tallies: Tallies = field(default_factory=Tallies)
    _heard_all: int = 0
    """Ticks until a hole in the stream is a new one."""
    _asks_in: int = 0
    _why: str = ""

    def begin(self) -> None:
        self._tallies = Tallies()

    def hear(self, tick: Tick) -> None:
        self._tallies, crossings = slide(self._tallies, tick.rows, self.rules, self.watching, bool(tick.missed))
        if crossings:
            self.crossed(crossings)
        self._ask(tick.missed)

    def _ask(self, missed: str) -> None:
        self._heard_all = max(self._heard_all - 1, 0)
        if missed and not self._heard_all:
            self._heard_all, self._asks_in, self._why = self.watching.ticks, self.watching.in_a_row + 1, missed
        if self._asks_in:
            self._asks_in -= 1
            if not self._asks_in:
                self.missed(self._why)

    def lose(self) -> None:
        self._tallies = Tallies()
        self.missed("the stream was lost")
