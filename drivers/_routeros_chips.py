"""Switch chips of a MikroTik device: which bridge ports they forward between, past every bridge filter, and how many
rules of their own they have room for.

    /interface bridge port            1 H interface=ether8 bridge=bridge1 hw=yes
    /interface ethernet switch port   7   name=ether8 switch=switch1
    /interface ethernet switch        0   name=switch1 type=Marvell-98DX3236

How many rules fit depends on what they match; `room` is what does in any case (Switch Chip Features, Rule Table;
Marvell Prestera switch chip features, Models). CRS1xx and CRS2xx have another list, `acl`, instead.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from switchguard.errors import UnexpectedOutput
from switchguard.ports import Session

from ._routeros_print import Row, listed

PORTS = "/interface bridge port print terse without-paging"
CHIPS = "/interface ethernet switch print terse without-paging"
CHIP_PORTS = "/interface ethernet switch port print terse without-paging"
_ROOM = (
    (re.compile(r"Atheros-?83(?:16|27)|QCA-?8337"), 8),
    (re.compile(r"(?:Marvell-)?88E6393X"), 42),
    (re.compile(r"Marvell-98(?:D|C)X\w+"), 128),
)
"""What `type` tells -> rules that fit."""
_ACL = re.compile(r"QCA-?85(?:11|13L?|19L?)")
"""CRS1xx and CRS2xx."""
_NAME = re.compile(r"[\w .:/+()#@-]+")
"""Of an interface or a chip, as far as one is put into a command: nothing that ends a list or a quotation."""


@dataclass(frozen=True, slots=True)
class Chip:
    name: str
    """Empty where it is not known which one it is."""
    kind: str
    ports: tuple[str, ...]
    """Of the bridge, between which it forwards by itself; of bonded ones the name of the bond."""

    @property
    def room(self) -> int:
        return next((room for kind, room in _ROOM if kind.fullmatch(self.kind)), 0)

    @property
    def why_not(self) -> str:
        """Why nobody can be blocked on these ports; empty if they can."""
        odd = [name for name in (self.name, *self.ports) if name and not _NAME.fullmatch(name)]
        if odd:
            return f"{odd[0]!r} is no name that is put into a command; give it another one"
        if self.room:
            return ""
        ports = ", ".join(self.ports)
        if not self.name:
            return f"it does not tell which of its switch chips forwards between {ports}; set hw=no on them"
        past = f"its switch chip {self.name} ({self.kind}) forwards between {ports}, which no bridge filter sees"
        if _ACL.fullmatch(self.kind):
            return f"{past}, and has an acl instead of rules, which is not written; set hw=no on them"
        return f"{past}, and has no rules; set hw=no on them"


def read(session: Session) -> tuple[Chip, ...]:
    """Those that forward anything by themselves. A port without a link counts: it may have one soon."""
    ports = [row.fields.get("interface", "?") for row in listed(session, PORTS) if "H" in row.flags]
    if not ports:
        return ()
    kinds = dict(_told(session.device.name, listed(session, CHIPS), "type"))
    chip_of = dict(_told(session.device.name, listed(session, CHIP_PORTS), "switch"))
    only = next(iter(kinds)) if len(kinds) == 1 else ""
    names = {port: chip_of.get(port, only) for port in ports}
    return tuple(
        Chip(name, kinds.get(name, ""), tuple(port for port in ports if names[port] == name))
        for name in sorted(set(names.values()))
    )


def _told(device: str, rows: Iterable[Row], key: str) -> Iterable[tuple[str, str]]:
    for row in rows:
        if not row.fields.get("name") or not row.fields.get(key):
            raise UnexpectedOutput(device, str(dict(row.fields)), f"no {key} in")
        yield row.fields["name"], row.fields[key]
