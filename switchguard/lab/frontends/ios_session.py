"""One login to an IOS switch: its prompt, its modes, and what each typed line does."""

from collections.abc import Awaitable, Callable, Mapping

from switchguard.lab.frontends import ios_text
from switchguard.lab.frontends.config import Command, SyntaxComplaint
from switchguard.lab.frontends.config_mode import ConfigMode
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
        self._config = ConfigMode(box.switch, self._complaint, _ROUTINE)
        self._grammar = exec_grammar(box, {pattern: mode for pattern, (mode, _) in _ACTIONS.items()})

    @property
    def prompt(self) -> str:
        if not self._config.is_open:
            return f"{self.box.switch.hostname}{'#' if self.enabled else '>'}"
        return f"{self.box.switch.hostname}({_PROMPTS[self._config.mode]})#"

    async def answer(self, line: str) -> str:
        """What the switch prints after this line, without the next prompt. SessionCut ends the connection instead."""
        await self.box.switch.faults.mute()
        typed = line.strip()
        if typed.endswith(CONTROL_Z):
            typed = "end" if self._config.is_open else ""
        if not typed or typed.startswith("!"):
            return ""
        if not self._config.is_open:
            return await self._execute(typed)
        if typed.startswith("do "):
            return await self._execute(typed[3:].strip())
        return await self._config.answer(typed)

    async def _execute(self, line: str) -> str:
        words, bar, after = line.partition("|")
        filtered = pipe(after) if bar else None
        parsed = self._grammar.parse(EXEC if self.enabled else USER, words.rstrip())
        if isinstance(parsed, SyntaxComplaint):
            return self._complaint(parsed)
        if bar and (filtered is None or parsed.rule.pattern not in SHOW):
            return self._complaint(SyntaxComplaint("invalid", 0, len(words), line))
        if parsed.rule.pattern in SHOW:
            text = SHOW[parsed.rule.pattern](self.box, parsed)
        else:
            text = await _ACTIONS[parsed.rule.pattern][1](self, parsed)
        return filtered(text) if filtered else text

    def _complaint(self, what: SyntaxComplaint) -> str:
        return ios_text.complaint(what, len(self.prompt))

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
        self._config.open()
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
