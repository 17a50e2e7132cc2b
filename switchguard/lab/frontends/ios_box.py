"""One IOS switch as all its sessions see it: the files, the merge and the replace, and the timer that takes a change
back."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from switchguard.lab.frontends import ios_text
from switchguard.lab.frontends.config import Complaint, Grammar, SyntaxComplaint, Tree, differences, load
from switchguard.lab.frontends.derive import derive_ios
from switchguard.lab.frontends.faults import Fault, Faults, SessionCut
from switchguard.lab.frontends.grammar_ios import ios_grammar
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane, Switch, Vendor

PRESET = ("version 15.2", "ip scp server enable", "archive", " path flash:archive")
"""NAPALM needs SCP and, for changes that take themselves back, the archive."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """A change that is taken back unless somebody confirms it."""

    tree: Tree
    minutes: int
    user: str
    since: float
    timer: asyncio.TimerHandle


class IosBox:
    """`minute_s` is how long a minute of the rollback timer takes, in seconds."""

    def __init__(
        self,
        name: str,
        plane: ForwardingPlane,
        chassis: Chassis,
        state: Path,
        faults: Faults,
        enable_secret: str = "",
        minute_s: float = 60.0,
    ) -> None:
        vendor = Vendor(ios_grammar(plane.ports(), chassis.own_macs), 1, derive_ios, PRESET)
        self.switch = Switch(name, vendor, plane, chassis, state, faults)
        self.enable_secret = enable_secret
        self.minute_s = minute_s
        self.rollback: Rollback | None = None

    @property
    def grammar(self) -> Grammar:
        return self.switch.vendor.grammar

    @property
    def quiet(self) -> bool:
        """Whether commands on files go ahead without asking."""
        return "file prompt quiet" in self.switch.running

    # --- files -------------------------------------------------------------------------------------------------------

    def content(self, name: str) -> str | None:
        """The text of running-config, startup-config, null: or a file in flash; None if there is no such file."""
        match _named(name):
            case "running-config":
                return self.switch.text()
            case "startup-config":
                return self.switch.startup
            case "null:":
                return ""
        path = self.switch.file(name)
        return path.read_text(errors="replace") if path and path.exists() else None

    async def write(self, name: str, text: str) -> str:
        """What the copy to this place says. A copy to the running configuration is a merge."""
        match _named(name):
            case "running-config":
                return await self.merge(text.splitlines())
            case "startup-config":
                self.switch.write_startup(text)
                return "[OK]"
        path = self.switch.file(name)
        if path is None:
            return f"%Error opening {name} (Invalid argument)"
        path.write_text(text)
        return _copied(text)

    # --- changes -----------------------------------------------------------------------------------------------------

    async def merge(self, lines: Sequence[str]) -> str:
        """`copy FILE running-config`: every line takes effect by itself; those that do not are quoted with the
        complaint."""
        wanted = [line for line in (*lines, *self.switch.faults.foreign()) if line.strip()]
        fault = await self.switch.faults.before_commit()
        done = _copied("\n".join(wanted))
        if fault is Fault.REFUSE_COMMIT:
            return "\n".join((*(_quoted(line, SyntaxComplaint("invalid", 0, 0, line)) for line in wanted), done))
        if fault is Fault.IGNORE_COMMIT:
            return done
        if fault is Fault.DROP_SESSION:
            self.switch.install(load(self.grammar, self.switch.running, wanted[: (len(wanted) + 1) // 2])[0])
            raise SessionCut
        tree, refused = load(self.grammar, self.switch.running, wanted)
        self.switch.install(tree)
        self.switch.faults.after_commit()
        return "\n".join((*(_quoted(line, why) for line, why in refused), done))

    async def replace(self, text: str) -> str:
        """`configure replace`: all of the file or nothing of it."""
        tree, refused = self.switch.read(text)
        if refused:
            return "\n".join((*(_quoted(line, why) for line, why in refused), _ABORTED))
        if differences(self.grammar, self.switch.running, tree):
            fault = await self.switch.faults.before_commit()
            if fault is Fault.REFUSE_COMMIT:
                return _ABORTED
            if fault is not Fault.IGNORE_COMMIT:
                self.switch.install(tree)
                self.switch.faults.amid_commit()
                self.switch.faults.after_commit()
        return _REPLACED

    # --- changes on trial --------------------------------------------------------------------------------------------

    def keep_for_rollback(self, minutes: int, user: str) -> None:
        self.confirm()
        timer = asyncio.get_running_loop().call_later(minutes * self.minute_s, self.revert)
        self.rollback = Rollback(self.switch.running, minutes, user, time.time(), timer)

    def confirm(self) -> None:
        """The change stays."""
        if self.rollback:
            self.rollback.timer.cancel()
        self.rollback = None

    def revert(self) -> None:
        """The change goes, and whatever else was changed since."""
        if self.rollback:
            self.switch.install(self.rollback.tree)
        self.confirm()

    def reload(self) -> None:
        self.confirm()
        self.switch.reload()


_ABORTED = "Rollback aborted.The original configuration has been successfully restored."
_REPLACED = "\nTotal number of passes: 1\nRollback Done\n"
_NAMES = ("running-config", "startup-config")


def _named(name: str) -> str:
    """`run`, `system:running-config`, `start`, `nvram:startup-config`; other names are left alone."""
    bare = name.removeprefix("system:").removeprefix("nvram:").lstrip("/")
    return next((known for known in _NAMES if bare and known.startswith(bare.lower())), name)


def _copied(text: str) -> str:
    return f"{len(text)} bytes copied in 0.045 secs ({len(text) * 22} bytes/sec)"


def _quoted(line: str, why: Complaint) -> str:
    if isinstance(why, SyntaxComplaint):
        return f"{line}\n{ios_text.complaint(why)}" if why.kind == "invalid" else ios_text.complaint(why)
    return why.message


def files(box: IosBox) -> Iterator[Path]:
    return (path for path in sorted(box.switch.flash.iterdir()) if path.is_file())
