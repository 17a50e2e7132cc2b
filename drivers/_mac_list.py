"""A MAC access list of our own on every switched port: what EOS needs beside a static drop, to stop frames *from* a
station.

    mac access-list SWITCHGUARD
       10 deny 02:00:00:00:00:07 00:00:00:00:00:00 any
       1000000 permit any any
    interface Ethernet7
       mac access-group SWITCHGUARD in

The list is bound to all switched ports at once, so that a station stays blocked wherever on this switch it goes next,
and the next block is a single line. It denies a MAC in all VLANs of a port: the same MAC blocked in two VLANs has one
line. What the list must hold follows from the static drops: a line goes when the last static drop of its MAC is gone,
whoever had put that there, and with the last line go the bindings and the list.

A port takes one list in each direction. Where somebody else's is bound inbound, the port is left alone.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count

from switchguard.core.model import Mac
from switchguard.errors import DeviceError

from ._config_lines import Config, Edit, Line, Path

NAME = "SWITCHGUARD"
HEAD = Line((), f"mac access-list {NAME}")
INSIDE: Path = (HEAD.text,)
LAST = Line(INSIDE, "1000000 permit any any")
"""An access list ends in an unwritten `deny any any`. Its number leaves room for 99,999 stations."""
BINDING = f"mac access-group {NAME} in"

_DENY = re.compile(r"\d+ deny ([0-9a-f]{2}(?::[0-9a-f]{2}){5}) 00:00:00:00:00:00 any")
_DECIDES = re.compile(r"\d+ (?:permit|deny) .+")
_BOUND = re.compile(r"mac access-group (\S+) in")
_FRONT_PANEL = re.compile(r"interface (?:Ethernet|Port-channel)[\d/]+")
_STEP = 10


def lines(macs: Iterable[Mac]) -> tuple[Line, ...]:
    """The list as it stands after these were blocked in this order on a switch that had none; empty for none."""
    denials = tuple(_denial(_STEP * number, mac) for number, mac in enumerate(macs, start=1))
    return (HEAD, *denials, LAST) if denials else ()


def edits(device: str, config: Config, blocked: Collection[Mac], dropped: Collection[Mac]) -> tuple[Edit, ...]:
    """What has to be typed so that the list holds `blocked` and what it held already, as far as it is in `dropped`:
    the MACs of which a static drop will stand.

    DeviceError when the list has entries that are not ours and something is to be blocked: one of them may let the
    station in. Without anything to block, our lines are taken out and the rest stays, bindings included.
    """
    denied = _denied(config)
    wanted = [mac for mac in dict.fromkeys((*denied.values(), *blocked)) if mac in dropped]
    strangers = _strangers(config)
    if strangers and blocked:
        raise DeviceError(device, f"{HEAD.text} has lines of somebody else: {'; '.join(strangers)}")
    if not wanted and not strangers:
        return tuple(_taken_away(config))
    gone = [Edit(_undo(line), (line,)) for line, mac in denied.items() if mac not in wanted]
    missing = () if strangers else _missing(config, [mac for mac in wanted if mac not in denied.values()])
    return (*gone, *(Edit(line, (), line) for line in missing))


def foreign(config: Config) -> Mapping[str, str]:
    """Switched ports with somebody else's list inbound -> its name."""
    bound = {port: _bound(said) for port, said in _switched_ports(config).items()}
    return {port: name for port, name in bound.items() if name not in ("", NAME)}


def _missing(config: Config, macs: Iterable[Mac]) -> Iterator[Line]:
    for number, mac in zip(_free_numbers(config), macs, strict=False):
        yield _denial(number, mac)
    if LAST not in config:
        yield LAST
    for port, said in _switched_ports(config).items():
        if not _bound(said):
            yield Line((f"interface {port}",), BINDING)


def _taken_away(config: Config) -> Iterator[Edit]:
    """Unbound everywhere, then deleted with all that is in it."""
    for line in config:
        if line.text == BINDING:
            yield Edit(Line(line.path, f"no {BINDING}"), (line,))
    whole = tuple(line for line in config if line == HEAD or line.path == INSIDE)
    if whole:
        yield Edit(Line((), f"no {HEAD.text}"), whole)


# --- entries ---------------------------------------------------------------------------------------------------------


def _denial(number: int, mac: Mac) -> Line:
    """Address and inverse mask: all zeros is this address only."""
    return Line(INSIDE, f"{number} deny {mac} 00:00:00:00:00:00 any")


def _undo(line: Line) -> Line:
    return Line(line.path, f"no {line.text.split()[0]}")


def _denied(config: Config) -> dict[Line, Mac]:
    found = ((line, _DENY.fullmatch(line.text)) for line in config if line.path == INSIDE)
    return {line: Mac.parse(match[1]) for line, match in found if match}


def _strangers(config: Config) -> list[str]:
    """Entries that decide about frames and are not ours. Remarks and counters decide nothing."""
    ours = {LAST, *_denied(config)}
    return [line.text for line in config if line.path == INSIDE and _DECIDES.fullmatch(line.text) and line not in ours]


def _free_numbers(config: Config) -> Iterator[int]:
    used = {line.text.split()[0] for line in config if line.path == INSIDE}
    return (number for number in count(_STEP, _STEP) if str(number) not in used)


# --- ports -----------------------------------------------------------------------------------------------------------


def _switched_ports(config: Config) -> dict[str, set[str]]:
    """Front-panel ports and channels that switch frames, by long name -> their lines. Members follow their channel."""
    inside: dict[Path | None, set[str]] = defaultdict(set)
    for line in config:
        inside[line.path].add(line.text)
    routed = "switchport default mode routed" in inside[()]
    heads = (line.text for line in config if line.path == () and _FRONT_PANEL.fullmatch(line.text))
    return {head.removeprefix("interface "): inside[(head,)] for head in heads if _switches(inside[(head,)], routed)}


def _switches(said: set[str], routed_by_default: bool) -> bool:
    if any(line.startswith("channel-group ") for line in said):
        return False
    return "switchport" in said if routed_by_default else "no switchport" not in said


def _bound(said: Iterable[str]) -> str:
    """The name of the list that is bound inbound, or an empty string."""
    return next((found[1] for line in said if (found := _BOUND.fullmatch(line))), "")
