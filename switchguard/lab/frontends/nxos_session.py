"""One NX-OS switch and the logins to it: its prompt, its modes, and what each typed line does.

Every line takes effect by itself; a merge has no diff of the device. The fault wrong-diff therefore changes nothing
here. Checkpoints are files of ours: the rollback to one of them puts the configuration back as a whole.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from switchguard.lab.frontends import nxos_text
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, SyntaxComplaint, Tree, render
from switchguard.lab.frontends.config_mode import ConfigMode
from switchguard.lab.frontends.derive import derive_nxos
from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.grammar_nxos import nxos_grammar
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.frontends.pipes import pipes
from switchguard.lab.frontends.ssh import CONTROL_Z
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane, Switch, Vendor
from switchguard.lab.frontends.tables import address_table, arp_table

_PROMPTS = {
    "": "config",
    "interface": "config-if",
    "vlan": "config-vlan",
    "policy-map": "config-pmap-qos",
    "policy-map-class": "config-pmap-c-qos",
}
_NO_FILE = "No such file or directory"


def nxos_switch(name: str, plane: ForwardingPlane, chassis: Chassis, state: Path, faults: Faults) -> Switch:
    vendor = Vendor(nxos_grammar(plane.ports(), chassis.own_macs), 2, derive_nxos)
    return Switch(name, vendor, plane, chassis, state, faults)


class NxosSession:
    """`over` is true once the user has left."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.over = False
        self._config = ConfigMode(switch, self._complaint)
        self._exec = Grammar([Rule(GLOBAL, pattern) for pattern in _COMMANDS], kinds(switch.plane.ports(), "Vlan"))

    @property
    def prompt(self) -> str:
        mode = f"({_PROMPTS[self._config.mode]})" if self._config.is_open else ""
        return f"{self.switch.hostname}{mode}# "

    async def answer(self, line: str) -> str:
        """What the switch prints after this line, without the next prompt. SessionCut ends the connection instead."""
        await self.switch.faults.mute()
        typed = line.strip()
        if typed.endswith(CONTROL_Z):
            typed = "end" if self._config.is_open else ""
        if not typed or typed.startswith("!") or not typed.isprintable():
            return ""
        return await (self._config.answer(typed) if self._config.is_open else self._execute(typed))

    async def _execute(self, line: str) -> str:
        words, bar, after = line.partition("|")
        filtered = pipes(after) if bar else str
        parsed = self._exec.parse(GLOBAL, words.rstrip())
        if isinstance(parsed, SyntaxComplaint):
            return self._complaint(parsed)
        if filtered is None:
            return self._complaint(SyntaxComplaint("invalid", 0, len(words), line))
        return filtered(await _COMMANDS[parsed.rule.pattern](self, parsed))

    def _complaint(self, what: SyntaxComplaint) -> str:
        return nxos_text.complaint(what, len(self.prompt))

    # --- show --------------------------------------------------------------------------------------------------------

    async def version(self, _: Command) -> str:
        return nxos_text.show_version(self.switch)

    async def running(self, command: Command) -> str:
        return nxos_text.running_config(self._lines(self.switch.running), command.text)

    async def startup(self, command: Command) -> str:
        return nxos_text.running_config(self._lines(self.switch.read(self.switch.startup)[0]), command.text)

    def _lines(self, tree: Tree) -> list[str]:
        lines = render(self.switch.vendor.grammar, tree, self.switch.vendor.indent)
        return ["" if line == "!" else line for line in lines]

    async def mac_table(self, _: Command) -> str:
        return nxos_text.mac_address_table(address_table(self.switch), self.switch.chassis.base_mac.dotted())

    async def arp(self, command: Command) -> str:
        return nxos_text.arp(arp_table(), "all contexts" if command.text.endswith("all") else "context default")

    # --- actions -----------------------------------------------------------------------------------------------------

    async def leave(self, _: Command) -> str:
        self.over = True
        return ""

    async def nothing(self, _: Command) -> str:
        return ""

    async def configure_terminal(self, _: Command) -> str:
        self._config.open()
        return "Enter configuration commands, one per line. End with CNTL/Z."

    async def save(self, _: Command) -> str:
        self.switch.save()
        return f"[{'#' * 40}] 100%\nCopy complete, now saving to disk (please wait)...\nCopy complete."

    async def checkpoint(self, command: Command) -> str:
        file = self._file(command)
        if file is None:
            return f"ERROR: {command.arguments[0]}: invalid file name"
        file.write_text(self.switch.text())
        return "Done"

    async def rollback(self, command: Command) -> str:
        file = self._file(command)
        if file is None or not file.exists():
            return f"ERROR: {_NO_FILE}\nRollback failed."
        self.switch.install(self.switch.read(file.read_text())[0])
        steps = ("Generating Rollback Patch", "Executing Rollback Patch", "Verification is Successful.")
        return "\n".join((*steps, "Rollback completed successfully."))

    async def directory(self, command: Command) -> str:
        file = self._file(command)
        if file is None or not file.exists():
            return _NO_FILE
        return f"{file.stat().st_size:12}    Nov 20 08:00:00 2026  {file.name}\n\nUsage for bootflash://sup-local"

    def _file(self, command: Command) -> Path | None:
        return self.switch.file(f"flash:{command.arguments[0].removeprefix('bootflash:')}")


_Action = Callable[[NxosSession, Command], Awaitable[str]]

_COMMANDS: Mapping[str, _Action] = {
    "show version": NxosSession.version,
    "show running-config": NxosSession.running,
    "show running-config all": NxosSession.running,
    "show startup-config": NxosSession.startup,
    "show mac address-table": NxosSession.mac_table,
    "show ip arp": NxosSession.arp,
    "show ip arp vrf all": NxosSession.arp,
    "exit": NxosSession.leave,
    "terminal width <number:24-511>": NxosSession.nothing,
    "terminal length <number:0-511>": NxosSession.nothing,
    "terminal dont-ask": NxosSession.nothing,
    "no terminal dont-ask": NxosSession.nothing,
    "configure terminal": NxosSession.configure_terminal,
    "copy running-config startup-config": NxosSession.save,
    "checkpoint file <name>": NxosSession.checkpoint,
    "rollback running-config file <name>": NxosSession.rollback,
    "dir <name>": NxosSession.directory,
}
