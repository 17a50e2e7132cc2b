"""One EOS switch as all its clients see it: configuration sessions, the commit, and the timer that takes a commit
back."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from switchguard.lab.frontends.config import (
    LEAVE,
    Complaint,
    Grammar,
    Place,
    Tree,
    after_leaving,
    enter,
    load,
    render,
    unified,
)
from switchguard.lab.frontends.derive import derive_eos
from switchguard.lab.frontends.faults import Fault, Faults, SessionCut
from switchguard.lab.frontends.grammar_eos import eos_grammar
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane, Switch, Vendor

PRESET = ("management api http-commands", " protocol http")


MOST_PENDING = 5
"""Sessions that nobody committed or aborted. The number is the default as far as we know, unverified."""


class CommandFailed(Exception):
    """eAPI's code and what `errors` says about the command."""

    def __init__(self, code: int, summary: str, *errors: str) -> None:
        super().__init__(summary)
        self.code, self.summary, self.errors = code, summary, errors


@dataclass
class ConfigSession:
    """Starts as a snapshot of the running configuration; its commit overwrites what others changed since (User Manual,
    Configure Session), and its diff shows that."""

    place: Place
    state: Literal["pending", "completed", "pendingCommitTimer"] = "pending"


@dataclass(frozen=True, slots=True)
class Trial:
    """A commit that is taken back unless it is confirmed."""

    session: str
    before: Tree
    ends: float
    timer: asyncio.TimerHandle


class EosBox:
    """`second_s` is how long a second of the commit timer takes, in seconds."""

    def __init__(
        self,
        name: str,
        plane: ForwardingPlane,
        chassis: Chassis,
        state: Path,
        faults: Faults,
        enable_secret: str = "",
        second_s: float = 1.0,
    ) -> None:
        ports = plane.ports()
        vendor = Vendor(eos_grammar(ports, abbreviates=True), 3, derive_eos, PRESET)
        self.switch = Switch(name, vendor, plane, chassis, state, faults)
        self._strict = eos_grammar(ports)
        self.enable_secret = enable_secret
        self.second_s = second_s
        self.sessions: dict[str, ConfigSession] = {}
        self.trial: Trial | None = None

    @property
    def uptime(self) -> float:
        return time.time() - self.switch.started

    def grammar(self, abbreviated: bool) -> Grammar:
        return self.switch.vendor.grammar if abbreviated else self._strict

    # --- sessions ----------------------------------------------------------------------------------------------------

    def open(self, name: str) -> ConfigSession:
        """The session of this name, back at its top; a new one if there is none that could go on."""
        standing = self.sessions.get(name)
        if standing is None or standing.state == "completed":
            if sum(session.state == "pending" for session in self.sessions.values()) >= MOST_PENDING:
                raise CommandFailed(
                    1000, "could not run command", "Maximum number of pending sessions has been reached"
                )
            self.sessions[name] = standing = ConfigSession(Place(self.switch.running))
        standing.place = Place(standing.place.tree)
        return standing

    def type(self, session: ConfigSession, line: str, abbreviated: bool) -> Complaint | None:
        if line in LEAVE:
            session.place = Place(session.place.tree, after_leaving(session.place.path, line))
            return None
        answer = enter(self.grammar(abbreviated), session.place, line)
        if not isinstance(answer, Place):
            return answer
        session.place = answer
        return None

    def diffs(self, name: str) -> str:
        tree = self._to_commit(self.named(name))
        running, wanted = (self._lines(each) for each in (self.switch.running, tree))
        return "\n".join(unified(running, wanted, "system:/running-config", f"session:/{name}-session-config"))

    def named(self, name: str) -> ConfigSession:
        if name not in self.sessions:
            raise CommandFailed(1000, "could not run command", f"Session {name} does not exist")
        return self.sessions[name]

    async def take(self, tree: Tree) -> None:
        """Make what was typed outside of a session the running configuration."""
        fault = await self.switch.faults.before_commit()
        if fault is Fault.REFUSE_COMMIT:
            raise CommandFailed(1000, "could not run command", "Out of resources")
        if fault is not Fault.IGNORE_COMMIT:
            self.switch.install(tree)
            self.switch.faults.amid_commit()

    async def commit(self, name: str, seconds: int | None = None) -> None:
        """All lines at once. A second commit of a session on trial confirms it."""
        session = self.named(name)
        fault = await self.switch.faults.before_commit()
        if fault is Fault.REFUSE_COMMIT:
            raise CommandFailed(1000, "could not run command", f"Commit of session {name} failed: out of resources")
        if self.trial and self.trial.session == name:
            self.keep()
            return
        before = self.switch.running
        if fault is not Fault.IGNORE_COMMIT:
            self.switch.install(self._to_commit(session))
        session.state = "completed"
        if seconds is not None:
            self._try(name, before, seconds)
        if fault is Fault.DROP_SESSION:
            raise SessionCut

    def abort(self, name: str) -> None:
        """Forget a session; a commit on trial is taken back."""
        self.named(name)
        if self.trial and self.trial.session == name:
            self.take_back()
        self.sessions.pop(name, None)

    async def replace(self, path: str) -> None:
        """`configure replace FILE`: all of it or nothing."""
        text = self.content(path)
        if text is None:
            raise CommandFailed(1000, "could not run command", f"Error opening {path} (No such file or directory)")
        tree, refused = self.switch.read(text)
        if refused:
            raise CommandFailed(1000, "could not run command", f"Cannot parse {refused[0][0]!r}")
        if self._lines(tree) != self._lines(self.switch.running):
            fault = await self.switch.faults.before_commit()
            if fault is Fault.REFUSE_COMMIT:
                raise CommandFailed(1000, "could not run command", "Configuration replace failed: out of resources")
            if fault is not Fault.IGNORE_COMMIT:
                self.switch.install(tree)

    # --- trial -------------------------------------------------------------------------------------------------------

    def keep(self) -> None:
        if self.trial:
            self.trial.timer.cancel()
            self.sessions[self.trial.session].state = "completed"
        self.trial = None

    def take_back(self) -> None:
        if self.trial:
            self.switch.install(self.trial.before)
        self.keep()

    def _try(self, name: str, before: Tree, seconds: int) -> None:
        timer = asyncio.get_running_loop().call_later(seconds * self.second_s, self.take_back)
        self.trial = Trial(name, before, self.uptime + seconds * self.second_s, timer)
        self.sessions[name].state = "pendingCommitTimer"

    # --- files -------------------------------------------------------------------------------------------------------

    def content(self, name: str) -> str | None:
        match name:
            case "running-config":
                return self.switch.text()
            case "startup-config":
                return self.switch.startup
        path = self.switch.file(name)
        return path.read_text() if path and path.exists() else None

    def copy(self, source: str, target: str) -> None:
        text, path = self.content(source), self.switch.file(target)
        if text is None:
            raise CommandFailed(1000, "could not run command", f"Error opening {source} (No such file or directory)")
        if target == "startup-config":
            self.switch.write_startup(text)
        elif path is None:
            raise CommandFailed(1000, "could not run command", f"Error opening {target} (Invalid argument)")
        else:
            path.write_text(text)

    def reload(self) -> None:
        if self.trial:
            self.trial.timer.cancel()
        self.trial = None
        self.sessions.clear()
        self.switch.reload()

    def _to_commit(self, session: ConfigSession) -> Tree:
        foreign = self.switch.faults.foreign()
        return load(self.switch.vendor.grammar, session.place.tree, foreign)[0]

    def _lines(self, tree: Tree) -> list[str]:
        return render(self.switch.vendor.grammar, tree, self.switch.vendor.indent)
