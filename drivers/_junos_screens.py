"""A cap for everyone behind a firewall (SRX), as the screen of the zones that the clients are in.

    security screen ids-option SWITCHGUARD limit-session source-ip-based 500
    security zones security-zone trust screen SWITCHGUARD

The screen counts every source address of a zone by itself. Which zones are meant follows from the site's
`lan_interfaces`: those that have one of them, and no other interface, so that nobody on another side is counted. A zone
takes one screen, and somebody else's is left alone.
"""

from collections.abc import Sequence

from switchguard.core.changes import Enforced, Slot
from switchguard.core.penalties import SessionCap

from . import _junos_config, _junos_tables
from ._junos_config import Config, Edit, Statement

_NAME = "SWITCHGUARD"
_SCREEN: Statement = ("security", "screen", "ids-option", _NAME)
_LIMIT: Statement = ("limit-session", "source-ip-based")
_ZONES: Statement = ("security", "zones", "security-zone")
MOST = 8_000_000
"""The largest number that the reference has for SRX; a model may take less, and then refuses the commit."""


def standing(device: str, config: Config, lan: Sequence[str]) -> Enforced:
    """0 sessions for one that is not as we write it: it is then replaced or taken away. A screen that no zone has stops
    nobody."""
    bound = _bound(config)
    if not bound:
        return {}
    zones = bound if obstacle(config, lan) else zones_of(config, lan)
    said = [line[0] for line in _junos_config.below(config, (*_SCREEN, *_LIMIT)) if len(line) == 1]
    sessions = int(said[0]) if len(said) == 1 and said[0].isdecimal() else 0
    wrong = edit(config, zones, sessions)
    return {Slot(device, SessionCap.kind): SessionCap(0 if wrong.plus or wrong.minus else sessions)}


def zones_of(config: Config, lan: Sequence[str]) -> tuple[str, ...]:
    """The zones that have one of these interfaces."""
    wanted = {_junos_tables.physical(name) for name in lan}
    return tuple(zone for zone, has in _interfaces(config).items() if not wanted.isdisjoint(has))


def obstacle(config: Config, lan: Sequence[str]) -> str:
    """Why the clients' zones cannot have our screen; empty if they can."""
    if not lan:
        return "a cap for everyone needs `lan_interfaces`, the names of those that face the clients"
    by_zone, wanted = _interfaces(config), {_junos_tables.physical(name) for name in lan}
    if lost := sorted(wanted.difference(*by_zone.values())):
        return f"no security zone has the interface {lost[0]}"
    for zone in zones_of(config, lan):
        if others := sorted(by_zone[zone] - wanted):
            return f"zone {zone} also has {others[0]}, which is not among the site's lan_interfaces"
        screens = [line[0] for line in _junos_config.below(config, (*_ZONES, zone, "screen")) if line]
        if foreign := [name for name in screens if name != _NAME]:
            return f"zone {zone} has the screen {foreign[0]} of somebody else, and takes only one"
    return ""


def edit(config: Config, zones: Sequence[str], sessions: int | None) -> Edit:
    """None: no cap, in whatever zone it is."""
    lines: tuple[Statement, ...] = ()
    if sessions is not None:
        lines = ((*_SCREEN, *_LIMIT, str(sessions)), *(_binding(zone) for zone in zones))
    bindings = [_binding(zone) for zone in dict.fromkeys((*_bound(config), *zones))]
    return _junos_config.edit(config, (_SCREEN, *bindings), lines)


def _binding(zone: str) -> Statement:
    return (*_ZONES, zone, "screen", _NAME)


def _bound(config: Config) -> tuple[str, ...]:
    return tuple(line[0] for line in _junos_config.below(config, _ZONES) if line[1:] == ("screen", _NAME))


def _interfaces(config: Config) -> dict[str, set[str]]:
    """Of each zone; `all` is an interface like any other, which no site names."""
    found: dict[str, set[str]] = {}
    for line in _junos_config.below(config, _ZONES):
        has = found.setdefault(line[0], set())
        if len(line) > 2 and line[1] == "interfaces":
            has.add(_junos_tables.physical(line[2]))
    return found
