"""One ArubaOS-Switch and the logins to it: a banner that waits for a key, a prompt behind control codes, questions at
the end.

Every line takes effect by itself, and nothing makes a diff: the fault wrong-diff changes nothing here.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from switchguard.lab.frontends import procurve_text
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, SyntaxComplaint, render
from switchguard.lab.frontends.config_mode import ConfigMode
from switchguard.lab.frontends.derive import derive_procurve
from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.grammar_procurve import procurve_grammar
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.frontends.ssh import Ask
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane, Switch, Vendor
from switchguard.lab.frontends.tables import address_table, arp_table
from switchguard.lab.plane import PortRow


def procurve_switch(name: str, plane: ForwardingPlane, chassis: Chassis, state: Path, faults: Faults) -> Switch:
    vendor = Vendor(procurve_grammar(plane.ports(), chassis.own_macs), 3, derive_procurve, initial=_initial)
    return Switch(name, vendor, plane, chassis, state, faults)


def _initial(name: str, ports: Sequence[PortRow]) -> list[str]:
    """VLANs have ports here, not ports VLANs."""
    lines = [f'hostname "{name}"']
    for vlan in sorted({vlan for port in ports for vlan in port.vlans}):
        own = _listed(port for port in ports if port.access_vlan == vlan)
        trunks = _listed(port for port in ports if port.access_vlan is None and vlan in port.vlans)
        lines.append(f"vlan {vlan}")
        lines += [f"   untagged {own}"] if own else []
        lines += [f"   tagged {trunks}"] if trunks else []
        lines.append("   exit")
    return lines


def _listed(ports: Iterable[PortRow]) -> str:
    return ",".join(port.long for port in ports)


class ProcurveSession:
    """`over` is true once the user has left. Without an enable secret everybody is a manager."""

    def __init__(self, switch: Switch, enable_secret: str, ask: Ask) -> None:
        self.switch = switch
        self.over = False
        self._secret, self._ask = enable_secret, ask
        self._greeted, self._manager = False, not enable_secret
        self._config = ConfigMode(switch, procurve_text.complaint)
        self._exec = Grammar([Rule(GLOBAL, pattern) for pattern in _COMMANDS], kinds(switch.plane.ports(), ""))

    @property
    def prompt(self) -> str:
        if not self._greeted:
            return procurve_text.BANNER
        name, end = self.switch.hostname.strip('"'), "#" if self._manager else ">"
        return f"{procurve_text.CURSOR}{name}{self._where}{end} "

    @property
    def _where(self) -> str:
        if not self._config.is_open:
            return ""
        section = self._config.section
        return f"({section.replace('interface ', 'eth-').replace('vlan ', 'vlan-') or 'config'})"

    async def answer(self, line: str) -> str:
        """What the switch prints after this line, without the next prompt. SessionCut ends the connection instead."""
        self._greeted = True
        typed = line.strip()
        if not typed or not typed.isprintable():
            return ""
        await self.switch.faults.mute()
        parsed = self._exec.parse(GLOBAL, typed)
        leaves = typed in ("exit", "end")
        if self._config.is_open and (leaves or isinstance(parsed, SyntaxComplaint)):
            return await self._config.answer(typed)
        if isinstance(parsed, SyntaxComplaint):
            return procurve_text.complaint(parsed)
        if not self._manager and parsed.rule.pattern not in _FOR_OPERATORS:
            return procurve_text.complaint(SyntaxComplaint("invalid", 0, 0, typed))
        return await _COMMANDS[parsed.rule.pattern](self, parsed)

    # --- show --------------------------------------------------------------------------------------------------------

    async def running(self, _: Command) -> str:
        """A port with nothing but defaults has no section."""
        told = {
            slot: node for slot, node in self.switch.running.items() if node.children or node.rule.opens != "interface"
        }
        lines = render(self.switch.vendor.grammar, told, self.switch.vendor.indent)
        return procurve_text.running_config(line for line in lines if line != "!")

    async def mac_addresses(self, _: Command) -> str:
        return procurve_text.mac_addresses(address_table(self.switch))

    async def arp(self, _: Command) -> str:
        return procurve_text.arp(arp_table())

    async def lockouts(self, _: Command) -> str:
        return procurve_text.lockouts(self.switch.running)

    async def rate_limits(self, _: Command) -> str:
        return procurve_text.rate_limits(self.switch.running, self.switch.plane.ports())

    # --- actions -----------------------------------------------------------------------------------------------------

    async def nothing(self, _: Command) -> str:
        return ""

    async def enable(self, _: Command) -> str:
        if self._manager or await self._ask("Password: ", False) == self._secret:
            self._manager = True
            return ""
        return "Invalid password"

    async def configure(self, _: Command) -> str:
        self._config.open()
        return ""

    async def save(self, _: Command) -> str:
        self.switch.save()
        return ""

    async def leave(self, _: Command) -> str:
        if await self._ask(procurve_text.LOG_OUT, True) != "y":
            return ""
        saved, _refused = self.switch.read(self.switch.startup)
        if saved != self.switch.running and await self._ask(procurve_text.SAVE, True) == "y":
            self.switch.save()
        self.over = True
        return ""


_Action = Callable[[ProcurveSession, Command], Awaitable[str]]

_COMMANDS: Mapping[str, _Action] = {
    "show running-config": ProcurveSession.running,
    "show mac-address": ProcurveSession.mac_addresses,
    "show arp": ProcurveSession.arp,
    "show lockout-mac": ProcurveSession.lockouts,
    "show rate-limit all": ProcurveSession.rate_limits,
    "enable": ProcurveSession.enable,
    "terminal width <number:61-1920>": ProcurveSession.nothing,
    "no page": ProcurveSession.nothing,
    "configure": ProcurveSession.configure,
    "configure terminal": ProcurveSession.configure,
    "write memory": ProcurveSession.save,
    "exit": ProcurveSession.leave,
    "logout": ProcurveSession.leave,
}
_FOR_OPERATORS = frozenset(
    {"show mac-address", "show arp", "enable", "terminal width <number:61-1920>", "exit", "logout"}
)
