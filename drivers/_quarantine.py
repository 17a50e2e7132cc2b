"""`switchport access vlan N`: an access port in a VLAN where it can do no harm, and back to the one that it had.

    policy-map SWITCHGUARD-VLAN-10-99-Gi0-7     the port was in VLAN 10, and we moved it to 99
    interface GigabitEthernet0/7
     switchport access vlan 99

Every port is in some VLAN, so the line alone does not say that it is ours, nor where the port came from. An empty
policy-map, attached to nothing, says both, in the same commit: it outlives our ledger, a second cause and a change of
the quarantine VLAN, and is never captured again while it stands. A release puts the port back, unless somebody has
moved it meanwhile: then it stays where it was put, and only the note goes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Quarantine
from switchguard.errors import DeviceError

from . import _port_names
from ._config_lines import Config, Edit, Line

_ACCESS = "switchport access vlan "
_NOTE = re.compile(r"SWITCHGUARD-VLAN-(\d+)-(\d+)-(\S+)")
_NO_ACCESS_PORT = re.compile(r"no switchport|switchport mode (?!access$).+|channel-group .+")


@dataclass(frozen=True, slots=True)
class Wording:
    policy: str
    """What stands before the name of a policy where it is defined, with a blank at the end."""
    says_access: bool
    """Whether an access port has `switchport mode access` in the configuration, because it is not the default."""
    told_as: Callable[[str], str]
    """A port's long name -> how the platform's ifName tells it."""


@dataclass(frozen=True, slots=True)
class _Note:
    original: int
    quarantine: int
    line: Line


def standing(wording: Wording, device: str, config: Config) -> Enforced:
    """Every port with a note of ours, and the VLAN that it is in."""
    return {
        Slot(device, Quarantine.kind, Station(port=wording.told_as(port))): Quarantine(
            _vlan(config, port), note.original
        )
        for port in _ports(config)
        if (note := _note(wording, config, port)) is not None
    }


def edits(wording: Wording, change: Change, config: Config) -> tuple[Edit, ...]:
    """DeviceError for a port that is no access port, that is there already, or that somebody has moved since."""
    port = _port_names.for_a_command(change.slot.device, change.slot.station.port or "")
    note = _note(wording, config, port)
    match change.after:
        case Quarantine(vlan=vlan):
            return tuple(_moved(wording, change, config, port, vlan, note))
        case None if note is not None:
            back = _back(config, port, note) if _vlan(config, port) == note.quarantine else ()
            return (*back, _unwritten(note))
        case None:
            return ()
    raise DeviceError(change.slot.device, f"{change.after} is no quarantine")


def rendered(wording: Wording, change: Change) -> tuple[str, ...]:
    """As far as it can be said without the device, which alone knows the VLAN that the port has."""
    port = _port_names.for_a_command(change.slot.device, change.slot.station.port or "")
    if isinstance(change.after, Quarantine):
        return (f"interface {port}", f" {_ACCESS}{change.after.vlan}", "exit")
    if isinstance(change.before, Quarantine) and change.before.original is not None:
        note = _note_line(wording, change.before.original, change.before.vlan, port)
        return (f"interface {port}", f" {_ACCESS}{change.before.original}", "exit", f"no {note.text}")
    return (f"! {port} goes back to the VLAN that it had",)


def _moved(
    wording: Wording, change: Change, config: Config, port: str, vlan: int, note: _Note | None
) -> Iterator[Edit]:
    device, now = change.slot.device, _vlan(config, port)
    if why_not := _no_access_port(wording, config, port):
        raise DeviceError(device, why_not)
    if note is None and now == vlan:
        raise DeviceError(device, f"{port} is in VLAN {vlan} already, and not because of us")
    if note is not None and now != note.quarantine:
        raise DeviceError(device, f"somebody has moved {port} from quarantine to VLAN {now}")
    if note is not None:
        yield _unwritten(note)
    line = _note_line(wording, now if note is None else note.original, vlan, port)
    yield Edit(line, (), line)
    wanted = Line((f"interface {port}",), f"{_ACCESS}{vlan}")
    yield Edit(wanted, _access_lines(config, port), wanted)


def _back(config: Config, port: str, note: _Note) -> tuple[Edit, ...]:
    """VLAN 1 is not written: it is what a port has without the line."""
    interface = (f"interface {port}",)
    if note.original == 1:
        return (Edit(Line(interface, f"no {_ACCESS.strip()}"), _access_lines(config, port)),)
    wanted = Line(interface, f"{_ACCESS}{note.original}")
    return (Edit(wanted, _access_lines(config, port), wanted),)


def _unwritten(note: _Note) -> Edit:
    return Edit(Line((), f"no {note.line.text}"), (note.line,))


# --- the configuration -----------------------------------------------------------------------------------------------


def _ports(config: Config) -> list[str]:
    heads = (line.text for line in config if line.path == () and line.text.startswith("interface "))
    return [head.removeprefix("interface ") for head in heads]


def _access_lines(config: Config, port: str) -> tuple[Line, ...]:
    return tuple(line for line in config if line.path == (f"interface {port}",) and line.text.startswith(_ACCESS))


def _vlan(config: Config, port: str) -> int:
    return next((int(line.text.removeprefix(_ACCESS)) for line in _access_lines(config, port)), 1)


def _note(wording: Wording, config: Config, port: str) -> _Note | None:
    for line in config:
        found = _NOTE.fullmatch(line.text.removeprefix(wording.policy)) if line.path == () else None
        if found and found[3] == _spelt(port):
            return _Note(int(found[1]), int(found[2]), line)
    return None


def _note_line(wording: Wording, original: int, vlan: int, port: str) -> Line:
    return Line((), f"{wording.policy}SWITCHGUARD-VLAN-{original}-{vlan}-{_spelt(port)}")


def _spelt(port: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", _port_names.short(port))


def _no_access_port(wording: Wording, config: Config, port: str) -> str:
    if port not in _ports(config):
        return f"it has no port {port}"
    said = [line.text for line in config if line.path == (f"interface {port}",)]
    if wrong := [text for text in said if _NO_ACCESS_PORT.fullmatch(text)]:
        return f"{port} is no access port: {wrong[0]}"
    if wording.says_access and "switchport mode access" not in said:
        return f"{port} is not said to be an access port (switchport mode access)"
    return ""
