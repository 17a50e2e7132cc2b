"""`ip nat translation max-entries ...`: how many translations a router lets one inside host have, or every one of them.

    IOS     ip nat translation max-entries host 10.10.0.7 200        ip nat translation max-entries all-host 500
    EOS     ip nat translation max-entries 200 10.10.0.7             ip nat translation max-entries 500 host

Of the same command's other forms (`all-vrf`, `vrf`, `list`, the bare number for the whole table) nothing is ours. A cap
keeps new translations from being made; those that are there stay until they end (IOS IP Addressing Services Command
Reference; Rate Limiting NAT Translation, 12.3(4)T). It is taken back as it stands, with its number, as the reference
asks for; 0 stands for no cap. Which one counts for a host that has one of its own beside the one for all, no reference
says.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from switchguard.core.changes import Slot
from switchguard.core.penalties import Penalty, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput

from ._config_lines import Config, Part

COMMAND = "ip nat translation max-entries "
_WHOSE, _SESSIONS = r"(?P<address>\S+)", r"(?P<sessions>\d+)"


@dataclass(frozen=True, slots=True)
class Wording:
    """Where the number stands, before or after whose it is, and how that is said."""

    one: str
    """With {} for the address."""
    everyone: str
    most: int
    number_first: bool = False
    others: str = r"(?!)"
    """What follows the command where it is none of ours, as a pattern."""

    def part(self, slot: Slot, cap: SessionCap | None) -> Part:
        whose = self.everyone if slot.address is None else self.one.format(slot.address)
        number = str(cap.sessions) if cap else ""
        if self.number_first:
            wants = f"{COMMAND}{number} {whose}" if cap else None
            return Part((), COMMAND, wants, ends=f" {whose}", replaces=False)
        return Part((), f"{COMMAND}{whose} ", f"{COMMAND}{whose} {number}" if cap else None)

    @property
    def row(self) -> re.Pattern[str]:
        whose = f"(?:{self.everyone}|{self.one.format(_WHOSE)})"
        said = f"{_SESSIONS} {whose}" if self.number_first else f"{whose} {_SESSIONS}"
        return re.compile(COMMAND + said)


IOS = Wording("host {}", "all-host", 2_147_483_647, others=r"(?:all-vrf |vrf |list |\d).*")
EOS = Wording("{}", "host", 4_294_967_295, number_first=True, others=r"\d+")
"""No later line is known to replace an earlier one, so the earlier one is taken away first."""


def parts(wording: Wording, slot: Slot, cap: SessionCap | None) -> tuple[Part, ...]:
    """DeviceError for a slot that is neither an IPv4 address's nor everybody's."""
    if not isinstance(slot.address, IPv4Address) and slot != Slot(slot.device, SessionCap.kind):
        raise DeviceError(slot.device, f"a cap on translations needs an IPv4 address, not {slot}")
    if cap and cap.sessions < 1:
        raise DeviceError(slot.device, f"a cap of {cap.sessions} would be none: 0 stands for no limit")
    if cap and cap.sessions > wording.most:
        raise DeviceError(slot.device, f"a cap of {cap.sessions} is more than the {wording.most} that can be said")
    return (wording.part(slot, cap),)


def standing(wording: Wording, device: str, config: Config) -> dict[Slot, Penalty]:
    """Every cap on a host and the one on all, whoever configured it: whose it is, the ledger knows."""
    lines = (line.text for line in config if line.path == () and line.text.startswith(COMMAND))
    entries = (_entry(wording, device, line) for line in lines if not re.fullmatch(COMMAND + wording.others, line))
    return {slot: cap for slot, cap in entries if cap.sessions}


def _entry(wording: Wording, device: str, line: str) -> tuple[Slot, SessionCap]:
    found = wording.row.fullmatch(line)
    if not found:
        raise UnexpectedOutput(device, line)
    try:
        whose = IPv4Address(found["address"]) if found["address"] else None
        return Slot(device, SessionCap.kind, address=whose), SessionCap(int(found["sessions"]))
    except ValueError:
        raise UnexpectedOutput(device, line) from None
