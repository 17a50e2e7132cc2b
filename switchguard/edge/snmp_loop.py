"""The event loop that every SNMP session shares, in a thread of its own."""

import asyncio
import atexit
import sys
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Background:
    """Stopped, with everything that it holds, when the interpreter exits."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="snmp", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Waits for the result; the work bounds its own time."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _stop(self) -> None:
        if "switchguard.edge.snmp_pysnmp" in sys.modules:  # else nobody has ever made an engine
            from switchguard.edge.snmp_pysnmp import close_engines

            asyncio.run_coroutine_threadsafe(close_engines(), self.loop).result(timeout=2)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=2)
        self.loop.close()


_starting = threading.Lock()


@cache
def _only_background() -> _Background:
    return _Background()


def background() -> _Background:
    with _starting:
        return _only_background()
