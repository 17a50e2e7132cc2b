"""Ways to make a front end misbehave as real devices do: one word in <lab>/faults/<switch>, read before each step.

none                  behaves
refuse-commit         answers the commit with an error and changes nothing
ignore-commit         answers the commit as if it were done and changes nothing
hang                  does not answer the commit, nor do it, until the word is taken away; then cuts the session
mute                  the same for every command, so that nothing can be read either
drop-session-before   cuts the connection when asked to commit, before anything took effect
drop-session          cuts it in the middle: IOS after half of the lines, NX-OS after the first, EOS after the commit,
                      not yet saved
drop-session-after    cuts it when everything took effect, before saying so
wrong-diff            the diff shows a line that nobody asked for, and a commit would take that line as well (not on
                      NX-OS, which makes no diff)

A file <lab>/faults/<switch>.reload makes the switch restart: the running configuration is lost, the startup
configuration takes its place, every session is cut. The front end removes the file when it is done.
"""

import asyncio
from enum import StrEnum
from pathlib import Path

from switchguard.errors import LabError

FOREIGN_LINE = "snmp-server contact somebody-else"
"""What nobody asked for."""
LOOK_EVERY_S = 0.05
"""How soon a hanging device notices that it may go on, and how soon a reload begins."""


class Fault(StrEnum):
    NONE = "none"
    REFUSE_COMMIT = "refuse-commit"
    IGNORE_COMMIT = "ignore-commit"
    HANG = "hang"
    MUTE = "mute"
    DROP_SESSION_BEFORE = "drop-session-before"
    DROP_SESSION = "drop-session"
    DROP_SESSION_AFTER = "drop-session-after"
    WRONG_DIFF = "wrong-diff"


class SessionCut(Exception):
    """The front end ends this connection without another word."""


class Faults:
    """What one switch has been told to do wrong. `directory` None: nothing, ever."""

    def __init__(self, directory: Path | None, switch: str) -> None:
        self._word = directory / switch if directory else None
        self._reload = directory / f"{switch}.reload" if directory else None

    def now(self) -> Fault:
        """LabError for a word that is no fault."""
        word = self._word.read_text().strip() if self._word and self._word.exists() else ""
        try:
            return Fault(word or "none")
        except ValueError:
            raise LabError(f"{self._word}: {word!r} is no fault; there are: {', '.join(Fault)}") from None

    async def mute(self) -> None:
        """Before any command."""
        await self._stall(Fault.MUTE)

    async def before_commit(self) -> Fault:
        """What to do wrong with the commit that comes now; does not return in a session that hangs or is cut."""
        await self._stall(Fault.HANG)
        if self.now() is Fault.DROP_SESSION_BEFORE:
            raise SessionCut
        return self.now()

    def amid_commit(self) -> None:
        if self.now() is Fault.DROP_SESSION:
            raise SessionCut

    def after_commit(self) -> None:
        if self.now() is Fault.DROP_SESSION_AFTER:
            raise SessionCut

    def foreign(self) -> tuple[str, ...]:
        """The lines that a candidate has too many."""
        return (FOREIGN_LINE,) if self.now() is Fault.WRONG_DIFF else ()

    async def reload_asked(self) -> None:
        """Returns when a reload is asked for."""
        while not (self._reload and self._reload.exists()):  # noqa: ASYNC110  files do not tell when they appear
            await asyncio.sleep(LOOK_EVERY_S)

    def reload_done(self) -> None:
        if self._reload:
            self._reload.unlink(missing_ok=True)

    async def _stall(self, fault: Fault) -> None:
        if self.now() is not fault:
            return
        while self.now() is fault:  # noqa: ASYNC110  see above
            await asyncio.sleep(LOOK_EVERY_S)
        raise SessionCut
