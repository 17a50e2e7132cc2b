"""`ip nat translation max-entries host A N`: how many translations a router of Cisco's lets one inside host have.

Of the same command's other forms (`all-host`, `all-vrf`, `list`, the bare number for the whole table) nothing is ours.
A cap keeps new translations from being made; those that are there stay until they end (IOS IP Addressing Services
Command Reference; Rate Limiting NAT Translation, 12.3(4)T).
"""

import re
from ipaddress import IPv4Address

from switchguard.core.changes import Slot
from switchguard.core.penalties import Penalty, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput

from ._config_lines import Config, Part

COMMAND = "ip nat translation max-entries host"
_CAP = re.compile(rf"{COMMAND} (\S+) (\d+)")


def parts(slot: Slot, cap: SessionCap | None) -> tuple[Part, ...]:
    """DeviceError for a slot without an IPv4 address. Taken back as it stands, with its number."""
    if not isinstance(slot.address, IPv4Address):
        raise DeviceError(slot.device, f"a cap on translations needs an IPv4 address, not {slot}")
    if cap and cap.sessions < 1:
        raise DeviceError(slot.device, f"a cap of {cap.sessions} would be none: 0 stands for no limit")
    there = f"{COMMAND} {slot.address} "
    return (Part((), there, f"{there}{cap.sessions}" if cap else None),)


def standing(device: str, config: Config) -> dict[Slot, Penalty]:
    """Every cap on a host, whoever configured it: whose it is, the ledger knows."""
    lines = (line.text for line in config if line.path == () and line.text.startswith(COMMAND))
    return dict(_entry(device, line) for line in lines)


def _entry(device: str, line: str) -> tuple[Slot, Penalty]:
    found = _CAP.fullmatch(line)
    if not found:
        raise UnexpectedOutput(device, line)
    try:
        return Slot(device, SessionCap.kind, address=IPv4Address(found[1])), SessionCap(int(found[2]))
    except ValueError:
        raise UnexpectedOutput(device, line) from None
