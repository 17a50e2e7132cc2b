"""One login to the command line of a Junos switch: what people and Netmiko ask there. It configures nothing: NAPALM
does that through NETCONF.

Read for this: Juniper's CLI User Guide (pipes), netmiko's `juniper_junos` (what it types first and waits for), and
PyEZ's recordings of the switching table of a switch with ELS.
"""

import re
from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape

from switchguard.lab.frontends.junos_box import JunosBox
from switchguard.lab.frontends.junos_config import display_set, display_text

_CLI = {
    r"set cli screen-width (\d+)": "Screen width set to {}",
    r"set cli screen-length (\d+)": "Screen length set to {}",
    r"set cli complete-on-space off": "Disabling complete-on-space",
}
_RELEASE = "21.4R3-S5.4"
_XML = "http://xml.juniper.net/junos/21.4R0/junos"


class JunosCli:
    """`over` is true once the user has left."""

    def __init__(self, box: JunosBox, user: str) -> None:
        self._box, self._user = box, user
        self.over = False

    @property
    def prompt(self) -> str:
        return f"{self._user}@{self._box.hostname}> "

    async def answer(self, line: str) -> str:
        """What one line prints. SessionCut ends the connection instead."""
        await self._box.faults.mute()
        command, *pipes = (" ".join(part.split()) for part in _parts(line))
        for pattern, answer in _CLI.items():
            if found := re.fullmatch(pattern, command):
                return answer.format(*found.groups()) + "\n"
        if command in ("exit", "quit"):
            self.over = True
            return ""
        if not command:
            return ""
        text = self._shown(command, pipes)
        for each in pipes:
            filtered = _pipe(each)
            text = filtered(text) if filtered and text is not None else None
        return "unknown command." if text is None else text.rstrip("\n") + "\n\n"

    def _shown(self, command: str, pipes: list[str]) -> str | None:
        """With the pipes that are no filters, but other ways to say it; None for a command that there is not."""
        match command, "display xml" in pipes, "display set" in pipes:
            case "show configuration", False, True:
                return "\n".join(display_set(self._box.active))
            case "show configuration", False, False:
                return "\n".join(display_text(self._box.active))
            case "show ethernet-switching table", True, False:
                return _xml(_mac_table(self._box))
            case "show ethernet-switching table summary", True, False:
                return _xml(_mac_summary(self._box))
            case "show version", False, False:
                return f"Hostname: {self._box.hostname}\nModel: ex3400-24t\nJunos: {_RELEASE}"
        return None


def _parts(line: str) -> list[str]:
    """At every bar outside of quotes."""
    return re.findall(r'(?:"[^"]*"|[^|"])+', line) or [""]


# --- pipes -----------------------------------------------------------------------------------------------------------


def _pipe(words: str) -> Callable[[str], str] | None:
    if words in ("no-more", "display set", "display xml", "display inheritance no-comments"):
        return str
    found = re.fullmatch(r'(match|except|last) (?:"([^"]*)"|(\S+))', words)
    if not found:
        return None
    return lambda text: "\n".join(_filtered(found[1], text.splitlines(), found[2] or found[3]))


def _filtered(verb: str, lines: list[str], word: str) -> list[str]:
    if verb == "last":
        return lines[-int(word) :] if word.isdecimal() and int(word) else []
    return [line for line in lines if bool(re.search(word, line, re.IGNORECASE)) == (verb == "match")]


# --- tables ----------------------------------------------------------------------------------------------------------


def _xml(lines: Iterator[str]) -> str:
    reply = [f'<rpc-reply xmlns:junos="{_XML}">', *(f"    {line}" for line in lines)]
    return "\n".join((*reply, "    <cli>", "        <banner></banner>", "    </cli>", "</rpc-reply>"))


def _mac_table(box: JunosBox) -> Iterator[str]:
    rows, names = box.plane.fdb(), {port.name: port.long for port in box.plane.ports()}
    vlans = {int(it[2].split()[1]): it[1] for it in box.active if it[0] == "vlans" and it[-1].startswith("vlan-id ")}
    yield f'<l2ng-l2ald-rtb-macdb xmlns="{_XML}-l2al">'
    yield '    <l2ng-l2ald-mac-entry-vlan junos:style="brief-rtb">'
    yield f"        <mac-count-global>{len(rows)}</mac-count-global>"
    yield f"        <learnt-mac-count>{len(rows)}</learnt-mac-count>"
    yield "        <l2ng-l2-mac-routing-instance>default-switch</l2ng-l2-mac-routing-instance>"
    for row in rows:
        told = {
            "vlan-name": vlans.get(row.vlan, f"__{row.vlan}__"),
            "address": row.mac,
            "flags": "D",
            "age": "-",
            "logical-interface": f"{names[row.port]}.0",
        }
        yield "        <l2ng-mac-entry>"
        yield from (f"            <l2ng-l2-mac-{it}>{escape(said)}</l2ng-l2-mac-{it}>" for it, said in told.items())
        yield "        </l2ng-mac-entry>"
    yield "    </l2ng-l2ald-mac-entry-vlan>"
    yield "</l2ng-l2ald-rtb-macdb>"


def _mac_summary(box: JunosBox) -> Iterator[str]:
    yield f'<l2ng-l2ald-rtb-macdb xmlns="{_XML}-l2al">'
    yield "    <l2ng-l2ald-ethernet-switching-table-summary>"
    yield f"        <l2ng-l2-total-mac-count>{len(box.plane.fdb())}</l2ng-l2-total-mac-count>"
    yield "    </l2ng-l2ald-ethernet-switching-table-summary>"
    yield "</l2ng-l2ald-rtb-macdb>"
