"""Follows one gateway's sessions while they begin, in a thread, and says at once when somebody crosses a threshold.

A stream that is lost (the connection, or more events than could be followed) is said to be lost, and begun again after
a while: until then the polls find whom they find. Nothing is decided here.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing

from switchguard.core.model import Rule
from switchguard.core.tally import Crossing, Tallies, Watching, slide
from switchguard.errors import SwitchguardError
from switchguard.ports import Stream

AGAIN_AFTER_S, AT_MOST_S = 2.0, 60.0
"""Pause after the first loss; it doubles with each loss that follows before anything was received."""


class Watcher(threading.Thread):
    def __init__(
        self,
        gateway: str,
        stream: Stream,
        rules: Sequence[Rule],
        watching: Watching,
        crossed: Callable[[Sequence[Crossing]], None],
        tell: Callable[..., None],
    ) -> None:
        """`crossed` and `tell` are called in this thread."""
        super().__init__(name=f"watch {gateway}", daemon=True)
        self.gateway = gateway
        self.trouble = "its stream of sessions has not begun yet"
        """"" while the stream is followed."""
        self._stream, self._rules, self._watching = stream, rules, watching
        self._crossed, self._tell = crossed, tell
        self._stopped = threading.Event()

    def run(self) -> None:
        pause = AGAIN_AFTER_S
        while not self._stopped.is_set():
            try:
                self._follow()
            except SwitchguardError as error:
                pause = AGAIN_AFTER_S if not self.trouble else min(2 * pause, AT_MOST_S)
                self.trouble = str(error)
                self._tell("stream lost, only polls find anybody here", gateway=self.gateway, why=self.trouble)
                self._stopped.wait(pause)

    def stop(self) -> None:
        """Within a tick; does not wait for it."""
        self._stopped.set()

    def _follow(self) -> None:
        """Until stopped. A new stream begins with an empty window: what was missed is not guessed."""
        tallies = Tallies()
        with closing(self._stream(self._watching.tick_s)) as ticks:
            for begun in ticks:
                if self._stopped.is_set():
                    return
                if self.trouble:
                    self.trouble = ""
                    self._tell("following sessions as they begin", gateway=self.gateway)
                tallies, crossings = slide(tallies, begun, self._rules, self._watching)
                if crossings:
                    self._crossed(crossings)
