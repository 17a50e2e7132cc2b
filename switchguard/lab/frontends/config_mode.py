"""Configuration mode of one login, on vendors where every typed line takes effect by itself."""

from collections.abc import Callable, Collection

from switchguard.lab.frontends.config import Objection, Place, SyntaxComplaint, after_leaving, enter, find, mode_of
from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.switch import Switch

Complain = Callable[[SyntaxComplaint], str]
"""How the vendor words it."""


class ConfigMode:
    """`routine` are lines that are typed around every change: no commit, so no fault applies."""

    def __init__(self, switch: Switch, complain: Complain, routine: Collection[str] = ()) -> None:
        self._switch, self._complain, self._routine = switch, complain, routine
        self._path: tuple[str, ...] | None = None
        """Sections of the configuration that we are in; None outside of configuration mode."""
        self._changed = False

    @property
    def is_open(self) -> bool:
        return self._path is not None

    @property
    def mode(self) -> str:
        """Of the innermost section, as the grammar calls it."""
        return mode_of(self._place())

    @property
    def section(self) -> str:
        """The line that opened the innermost section, empty outside of all."""
        return self._path[-1] if self._path else ""

    def open(self) -> None:
        self._path = ()

    async def answer(self, line: str) -> str:
        """What one line prints. SessionCut ends the connection instead."""
        if line in ("end", "exit"):
            return self._leave(line)
        routine = line in self._routine
        fault = Fault.NONE if routine else await self._switch.faults.before_commit()
        if fault is Fault.REFUSE_COMMIT:
            return self._complain(SyntaxComplaint("invalid", 0, 0, line))
        entered = enter(self._switch.vendor.grammar, self._place(), line)
        if isinstance(entered, SyntaxComplaint):
            return self._complain(entered)
        if isinstance(entered, Objection):
            return entered.message
        self._path = entered.path
        if fault is not Fault.IGNORE_COMMIT:
            self._switch.install(entered.tree)
        if not routine:
            self._changed = True
            self._switch.faults.amid_commit()
        return ""

    def _place(self) -> Place:
        """Where the next line goes. Another session may have deleted the section that we were in."""
        running, path = self._switch.running, self._path or ()
        return Place(running, path if find(running, path) else ())

    def _leave(self, word: str) -> str:
        left_all = word == "end" or not self._path
        self._path = None if left_all else after_leaving(self._path or (), word)
        if left_all and self._changed:
            self._changed = False
            self._switch.faults.after_commit()
        return ""
