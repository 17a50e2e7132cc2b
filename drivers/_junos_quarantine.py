"""Quarantine on a Junos switch: an access port in a VLAN where it can do no harm, and back to the one that it had.

    firewall family ethernet-switching filter SWITCHGUARD-VLAN-ge-0-0-7 term from-clients then accept
    firewall family ethernet-switching filter SWITCHGUARD-VLAN-ge-0-0-7 term to-quarantine then accept
    interfaces ge-0/0/7 unit 0 family ethernet-switching vlan members quarantine

A filter that is bound nowhere is the note: the port was in the VLAN `clients` (as the configuration had it, by name or
by number), and we moved it. It comes and goes in the same commit, outlives our ledger, and is never written anew while
it stands. Where somebody has moved the port meanwhile, it stays, and only the note goes.

An access port is one with a single VLAN, said at the port itself. One that has it from a group, an interface range or
the VLAN's own list of ports is not touched: what we would delete there is not the port's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Quarantine

from . import _junos_config, _junos_filters
from ._junos_config import Config, Edit, Statement

_UNIT: Statement = ("unit", "0", "family", "ethernet-switching")
_MODES = (("interface-mode",), ("port-mode",))
"""With ELS and without."""
_WORD = re.compile(r"[A-Za-z0-9_-]{1,48}")
"""What of a VLAN's name may stand in the name of a term."""


@dataclass(frozen=True, slots=True)
class _Note:
    original: str
    quarantine: str


def standing(device: str, config: Config) -> Enforced:
    """Every port with a note of ours, and the VLAN that it is in; 0 for none, or for more than one."""
    return {
        Slot(device, Quarantine.kind, Station(port=port)): _quarantine(config, port, note)
        for port in dict.fromkeys(line[0] for line in _junos_config.below(config, ("interfaces",)))
        if (note := _note(config, port)) is not None
    }


def edit(device: str, config: Config, port: str, vlan: int | None) -> Edit:
    """None: back to where it was. DeviceError for a VLAN that is not configured."""
    note, now = _note(config, port), _members(config, port)
    if vlan is None:
        back = (note.original,) if note and now == (note.quarantine,) else now
        wanted = [_member(port, word) for word in back]
    else:
        target = _junos_filters.vlan_name(device, config, vlan)
        lines = _note_lines(port, note.original if note else now[0], target)
        wanted = [*lines, _member(port, target)]
    terms = {(*_note_head(port), *line[:2]) for line in _junos_config.below(config, _note_head(port))}
    return _junos_config.edit(config, (_note_head(port), *sorted(terms), _member(port)), wanted)


def obstacle(device: str, config: Config, port: str, vlan: int) -> str:
    """Why a port cannot be moved; empty if it can. DeviceError for a VLAN that is not configured."""
    said = _junos_config.below(config, ("interfaces", port))
    at_unit = [line[len(_UNIT) :] for line in said if line[: len(_UNIT)] == _UNIT]
    words, target = _members(config, port), _junos_filters.vlan_name(device, config, vlan)
    lists = [line[0] for line in _junos_config.below(config, ("vlans",)) if line[1:] == ("interface", f"{port}.0")]
    note = _note(config, port)
    if not said:
        return f"it has no port {port} in its configuration"
    if any("802.3ad" in line for line in said):
        return f"{port} is a member of an aggregate"
    if wrong := [line for line in at_unit if line[:1] in _MODES and line[1:] != ("access",)]:
        return f"{port} is no access port: {' '.join(wrong[0])}"
    if len(words) != 1 or lists:
        return f"{port} is no access port with one VLAN of its own: {', '.join((*words, *lists)) or 'none'}"
    if not _number(config, words[0]):
        return f"{port} is in {words[0]}, which is no single VLAN of this configuration"
    if not all(_WORD.fullmatch(word) for word in (words[0], target)):
        return f"{words[0]} or {target} is no name of a VLAN that a note could hold"
    if note is None and words[0] in (target, str(vlan)):
        return f"{port} is in VLAN {vlan} already, and not because of us"
    if note is not None and words[0] != note.quarantine:
        return f"somebody has moved {port} from quarantine to VLAN {words[0]}"
    return ""


def rendered(change: Change, port: str) -> Iterator[str]:
    """As far as it can be said without the device, which alone knows the VLAN that the port has, and their names."""
    members = " ".join(_member(port))
    match change.before, change.after:
        case _, Quarantine(vlan=vlan):
            yield from (f"delete {members}", f"set {members} {vlan}")
        case Quarantine(original=int(original)), _:
            yield from (f"delete {members}", f"set {members} {original}", f"delete {' '.join(_note_head(port))}")
        case _:
            yield f"# {port} goes back to the VLAN that it had"


# --- the configuration -----------------------------------------------------------------------------------------------


def _quarantine(config: Config, port: str, note: _Note) -> Quarantine:
    words = _members(config, port)
    return Quarantine(_number(config, words[0]) if len(words) == 1 else 0, _number(config, note.original) or None)


def _number(config: Config, word: str) -> int:
    return int(word) if word.isdecimal() else _junos_filters.vlans(config).get(word, 0)


def _members(config: Config, port: str) -> tuple[str, ...]:
    return tuple(line[0] for line in _junos_config.below(config, _member(port)) if line)


def _member(port: str, *word: str) -> Statement:
    return ("interfaces", port, *_UNIT, "vlan", "members", *word)


def _note_head(port: str) -> Statement:
    return (*_junos_filters.FILTERS, _junos_filters.limit_name(f"VLAN-{port}"))


def _note_lines(port: str, original: str, quarantine: str) -> tuple[Statement, ...]:
    terms = (f"from-{original}", f"to-{quarantine}")
    return tuple((*_note_head(port), "term", term, "then", "accept") for term in terms)


def _note(config: Config, port: str) -> _Note | None:
    """None also for one that is not as we write it."""
    lines = _junos_config.below(config, _note_head(port))
    terms = [line[1] for line in lines if line[:1] == ("term",) and len(line) > 1]
    starts = [next((term.removeprefix(way) for term in terms if term.startswith(way)), "") for way in ("from-", "to-")]
    note = _Note(*starts)
    whole = [(*_note_head(port), *line) for line in lines] == list(_note_lines(port, note.original, note.quarantine))
    return note if all(starts) and whole else None
