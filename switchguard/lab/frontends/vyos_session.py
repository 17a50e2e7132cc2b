"""One login to a VyOS router: operational mode, the shell below it, and configuration mode."""

import subprocess
from collections.abc import Callable, Mapping

from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.grammar_vyos import Invalid, Tree, objections, parse, shown, with_line, without
from switchguard.lab.frontends.vyos_box import VyosBox

VERSION = """\
Version:          VyOS 1.4.0
Release train:    sagitta

Built by:         vyos_bld@lab
Architecture:     x86_64
Copyright:        VyOS maintainers and contributors"""
_PROGRAMS = ("sudo conntrack ", "sudo lldpctl ", "ip ", "bridge ", "cat ")
"""Of the shell below the command line, whatever it would take besides."""
_EDIT = "[edit]"
_WITHHELD = {
    "commit-confirm": "this router reboots unless a commit is confirmed",
    "rollback": "this router reboots after a rollback",
}


class VyosSession:
    """`over` is true once the user has left."""

    def __init__(self, box: VyosBox, user: str) -> None:
        self.box, self.user, self.over = box, user, False
        self.candidate: Tree | None = None
        self._base: Tree = frozenset()

    @property
    def prompt(self) -> str:
        name = f"{self.user}@{self.box.name}"
        return f"{name}:~$ " if self.candidate is None else f"{name}# "

    async def answer(self, line: str) -> str:
        """What the router prints after this line, without the next prompt. SessionCut ends the connection instead."""
        await self.box.faults.mute()
        typed = line.strip()
        if self.candidate is None:
            return self._operate(typed)
        said = await self._configure(typed, self.candidate) if typed else ""
        return "\n".join(part for part in (said, self._where()) if part)

    def _where(self) -> str:
        """What is said before every prompt of configuration mode."""
        return "" if self.candidate is None else _EDIT

    # --- operational mode --------------------------------------------------------------------------------------------

    def _operate(self, typed: str) -> str:
        command, bar, filters = (part.strip() for part in typed.partition("|"))
        match command.split():
            case []:
                return ""
            case ["configure"]:
                self.candidate = self._base = self.box.running
                return _EDIT
            case ["exit" | "logout"]:
                self.over = True
                return ""
            case ["set", "terminal", "width" | "length", number] if number.isdecimal():
                return ""
        if command.startswith(_PROGRAMS):
            return _ran(typed.removeprefix("sudo "))
        show = _SHOWS.get(command)
        if show is None:
            return f"\n  Invalid command: [{command.split()[0]}]\n"
        text = show(self.box)
        return _ran(filters, f"{text}\n") if bar else text

    # --- configuration mode ------------------------------------------------------------------------------------------

    async def _configure(self, typed: str, candidate: Tree) -> str:
        verb, _, rest = typed.partition(" ")
        if verb in _WITHHELD:
            return _WITHHELD[verb]
        match verb, rest:
            case "set" | "delete", _:
                return self._change(verb, rest, candidate)
            case "compare", "":
                return _compared(self.box.running, candidate)
            case "commit", "":
                return await self._commit(candidate)
            case "save", "":
                self.box.save()
                return "Saving configuration to '/config/config.boot'...\nDone"
            case "discard", "":
                self.candidate = self.box.running
                return "Changes have been discarded"
            case "exit", "discard":
                self.candidate = None
                return "exit"
            case "exit", "":
                return self._leave(candidate)
            case "run", _:
                return self._operate(rest)
        return f"\n  Invalid command: [{verb}]\n"

    def _change(self, verb: str, rest: str, candidate: Tree) -> str:
        try:
            path = parse(rest)
            self.candidate = with_line(candidate, path) if verb == "set" else without(candidate, path)
        except Invalid as error:
            return f"\n  {error}\n"
        return ""

    def _leave(self, candidate: Tree) -> str:
        if candidate != self.box.running:
            return "Cannot exit: configuration modified.\nUse 'exit discard' to discard the changes and exit."
        self.candidate = None
        return "exit"

    async def _commit(self, candidate: Tree) -> str:
        fault = await self.box.faults.before_commit()
        if fault is Fault.REFUSE_COMMIT:
            return "\n[[firewall]] failed\nCommit failed\n"
        if candidate == self.box.running:
            return "No configuration changes to commit"
        if objection := next(objections(candidate), ""):
            return f"\n{objection}\n\n[[{'firewall' if 'QoS' not in objection else 'qos'}]] failed\nCommit failed\n"
        if fault is not Fault.IGNORE_COMMIT:
            self.box.install(candidate)
        self.candidate = self.box.running
        self.box.faults.amid_commit()
        self.box.faults.after_commit()
        return ""


def _compared(before: Tree, after: Tree) -> str:
    if before == after:
        return "No changes between working and active configurations."
    gone = [f"- {line.removeprefix('set ')}" for line in shown(before - after)]
    return "\n".join([*gone, *(f"+ {line.removeprefix('set ')}" for line in shown(after - before))])


def _ran(command: str, text: str = "") -> str:
    """Of the lab's own kernel. What a program says besides is on the terminal as well, after lines of its output."""
    done = subprocess.run(["/bin/sh", "-c", command], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


_SHOWS: Mapping[str, Callable[[VyosBox], str]] = {
    "show version": lambda _: VERSION,
    "show configuration commands": lambda box: "\n".join(shown(box.running)),
}
