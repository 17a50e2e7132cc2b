"""One login to an IOS switch: its prompt, its modes, and what each typed line does."""

from collections.abc import Awaitable, Callable, Mapping

from switchguard.lab.frontends import ios_text
from switchguard.lab.frontends.config import (
    Command,
    Objection,
    Place,
    SyntaxComplaint,
    after_leaving,
    enter,
    find,
    mode_of,
)
from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.ios_box import IosBox
from switchguard.lab.frontends.ios_commands import EXEC, SHOW, USER, exec_grammar
from switchguard.lab.frontends.pipes import pipe
from switchguard.lab.frontends.ssh import CONTROL_Z, Ask

_ROUTINE = ("file prompt quiet", "no file prompt quiet")
"""What NAPALM types around every change; no commit, so no fault applies."""
_PROMPTS = {
    "": "config",
    "interface": "config-if",
    "vlan": "config-vlan",
    "policy-map": "config-pmap",
    "policy-map-class": "config-pmap-c",
    "class-map": "config-cmap",
    "archive": "config-archive",
    "ip-acl": "config-ext-nacl",
    "mac-acl": "config-ext-macl",
}


class IosSession:
    """`over` is true once the user has left."""

    def __init__(self, box: IosBox, user: str, ask: Ask) -> None:
        self.box, self.user, self.ask = box, user, ask
        self.enabled = not box.enable_secret
        self.over = False
        self._open: tuple[str, ...] | None = None
        """Sections of the configuration that we are in; None outside of configuration mode."""
        self._changed = False
        self._grammar = exec_grammar(box, {pattern: mode for pattern, (mode, _) in _ACTIONS.items()})

    @property
    def prompt(self) -> str:
        if self._open is None:
            return f"{self.box.switch.hostname}{'#' if self.enabled else '>'}"
        return f"{self.box.switch.hostname}({_PROMPTS[mode_of(self._place())]})#"

    async def answer(self, line: str) -> str:
        """What the switch prints after this line, without the next prompt. SessionCut ends the connection instead."""
        await self.box.switch.faults.mute()
        typed = line.strip()
        if typed.endswith(CONTROL_Z):
            typed = "end" if self._open is not None else ""
        if not typed or typed.startswith("!"):
            return ""
        if self._open is None:
            return await self._execute(typed)
        if typed.startswith("do "):
            return await self._execute(typed[3:].strip())
        return await self._configure(typed)

    async def _execute(self, line: str) -> str:
        words, bar, after = line.partition("|")
        filtered = pipe(after) if bar else None
        parsed = self._grammar.parse(EXEC if self.enabled else USER, words.rstrip())
        if isinstance(parsed, SyntaxComplaint):
            return ios_text.complaint(parsed, len(self.prompt))
        if bar and (filtered is None or parsed.rule.pattern not in SHOW):
            return ios_text.complaint(SyntaxComplaint("invalid", 0, len(words), line), len(self.prompt))
        if parsed.rule.pattern in SHOW:
            text = SHOW[parsed.rule.pattern](self.box, parsed)
        else:
            text = await _ACTIONS[parsed.rule.pattern][1](self, parsed)
        return filtered(text) if filtered else text

    # --- configuration mode ------------------------------------------------------------------------------------------

    def _place(self) -> Place:
        """Where the next line goes. Another session may have deleted the section that we were in."""
        running, path = self.box.switch.running, self._open or ()
        return Place(running, path if find(running, path) else ())

    async def _configure(self, line: str) -> str:
        if line in ("end", "exit"):
            return self._leave(line)
        fault = Fault.NONE if line in _ROUTINE else await self.box.switch.faults.before_commit()
        if fault is Fault.REFUSE_COMMIT:
            return ios_text.complaint(SyntaxComplaint("invalid", 0, 0, line), len(self.prompt))
        place = self._place()
        entered = enter(self.box.grammar, place, line)
        if isinstance(entered, SyntaxComplaint):
            return ios_text.complaint(entered, len(self.prompt))
        if isinstance(entered, Objection):
            return entered.message
        self._open = entered.path
        if fault is not Fault.IGNORE_COMMIT:
            self.box.switch.install(entered.tree)
        if line not in _ROUTINE:
            self._changed = True
            self.box.switch.faults.amid_commit()
        return ""

    def _leave(self, word: str) -> str:
        left_all = word == "end" or not self._open
        self._open = None if left_all else after_leaving(self._open or (), word)
        if left_all and self._changed:
            self._changed = False
            self.box.switch.faults.after_commit()
        return ""

    # --- actions -----------------------------------------------------------------------------------------------------

    async def leave(self, _: Command) -> str:
        self.over = True
        return ""

    async def enable(self, _: Command) -> str:
        secret = self.box.enable_secret
        if self.enabled or await self.ask("Password: ", False) == secret:
            self.enabled = True
            return ""
        return "% Access denied"

    async def disable(self, _: Command) -> str:
        self.enabled = not self.box.enable_secret
        return ""

    async def terminal(self, _: Command) -> str:
        return ""

    async def configure_terminal(self, command: Command) -> str:
        backup = ""
        if command.arguments:
            self.box.keep_for_rollback(int(command.arguments[0]), self.user)
            backup = "Rollback Confirmed Change: Backing up current running config to flash:archive-0\n\n"
        self._open = ()
        return f"{backup}Enter configuration commands, one per line.  End with CNTL/Z."

    async def confirm(self, _: Command) -> str:
        if self.box.rollback is None:
            return "%No Rollback Confirmed Change pending"
        self.box.confirm()
        return ""

    async def revert(self, _: Command) -> str:
        if self.box.rollback is None:
            return "%No Rollback Confirmed Change pending"
        self.box.revert()
        return "Rollback Confirmed Change: rolling back.\n\nTotal number of passes: 1\nRollback Done"

    async def replace(self, command: Command) -> str:
        name, *minutes = command.arguments
        text = self.box.content(name)
        if text is None:
            return f"%Error opening {name} (No such file or directory)"
        if minutes:
            self.box.keep_for_rollback(int(minutes[0]), self.user)
        return await self.box.replace(text)

    async def write_memory(self, _: Command) -> str:
        self.box.switch.save()
        return "Building configuration...\n[OK]"

    async def copy(self, command: Command) -> str:
        source, target = command.arguments
        if not self.box.quiet:
            target = (
                await self.ask(f"Destination filename [{target.removeprefix('flash:').lstrip('/')}]? ", True) or target
            )
            target = target if ":" in target or target == command.arguments[1] else f"flash:{target}"
        text = self.box.content(source)
        if text is None:
            return f"%Error opening {source} (No such file or directory)"
        return await self.box.write(target, text)


_Action = Callable[[IosSession, Command], Awaitable[str]]

_ACTIONS: Mapping[str, tuple[str, _Action]] = {
    "exit": (USER, IosSession.leave),
    "logout": (USER, IosSession.leave),
    "quit": (USER, IosSession.leave),
    "enable": (USER, IosSession.enable),
    "disable": (EXEC, IosSession.disable),
    "terminal width <number:0-512>": (USER, IosSession.terminal),
    "terminal length <number:0-512>": (USER, IosSession.terminal),
    "configure terminal": (EXEC, IosSession.configure_terminal),
    "configure terminal revert timer <number:1-120>": (EXEC, IosSession.configure_terminal),
    "configure confirm": (EXEC, IosSession.confirm),
    "configure revert now": (EXEC, IosSession.revert),
    "configure replace <name>": (EXEC, IosSession.replace),
    "configure replace <name> force": (EXEC, IosSession.replace),
    "configure replace <name> force revert trigger error": (EXEC, IosSession.replace),
    "configure replace <name> force revert timer <number:1-120>": (EXEC, IosSession.replace),
    "configure replace <name> force revert trigger error timer <number:1-120>": (EXEC, IosSession.replace),
    "write": (EXEC, IosSession.write_memory),
    "write memory": (EXEC, IosSession.write_memory),
    "copy <name> <name>": (EXEC, IosSession.copy),
}
