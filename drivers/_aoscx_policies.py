"""Limits of ports on AOS-CX: what its configuration tells of them, and the lines that change it.

    class ip SWITCHGUARD-1-1-7
        10 match any any any
    class ipv6 SWITCHGUARD-1-1-7-V6
        10 match any any any
    policy SWITCHGUARD-1-1-7
        10 class ip SWITCHGUARD-1-1-7 action cir kbps 64 cbs 0 exceed drop
        20 class ipv6 SWITCHGUARD-1-1-7-V6 action cir kbps 64 cbs 0 exceed drop
    interface 1/1/7
        apply policy SWITCHGUARD-1-1-7 in

Every port has all of it for itself: a limit can be taken back without looking at others, and what is ours is known by
its name. The burst is 0, as in HPE's examples.
"""

import re
from collections.abc import Mapping, Sequence

from switchguard.core.changes import Change, Enforced, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Session

from ._typed import Step

SHOW_CONFIG = "show running-config"
COUNT_CONFIG = f"{SHOW_CONFIG} | count"
PORT = re.compile(r"\d+(?:/\d+/\d+(?::\d+)?)?|lag\d+")
"""1/1/36, 1/1/4:2 of a port that is split, lag100; plain numbers on the first models."""
_OURS = "SWITCHGUARD-"
_SECTION = re.compile(rf"((?:class (?:ip|ipv6)|policy) {_OURS}\S+|interface \S+(?: \d+)?)(?: multi-chassis\b.*)?")
_APPLIED = re.compile(r"apply policy (\S+) in(?: .*)?")
_POLICED = re.compile(r"\d+ class ip (\S+) action cir kbps (\d+) cbs \d+ exceed drop")

Sections = Mapping[str, tuple[str, ...]]
"""Head -> lines, of what is named like ours; of an interface the policies that are applied inbound."""


# --- the configuration -----------------------------------------------------------------------------------------------


def read(session: Session) -> Sections:
    """UnexpectedOutput unless there are as many lines as the switch counts: a configuration has no end of its own."""
    lines = session.ask(SHOW_CONFIG).strip().splitlines()
    count = session.ask(COUNT_CONFIG).strip()
    if re.findall(r"\d+", count) != [str(len(lines))]:
        raise UnexpectedOutput(session.device.name, count, f"{len(lines)} lines of a configuration, which should be")
    sections: dict[str, tuple[str, ...]] = {}
    head = ""
    for line in lines:
        said = " ".join(line.split())
        if not line.startswith(" "):
            head = found[1] if (found := _SECTION.fullmatch(said)) else ""
            sections |= {head: ()} if head else {}
        elif head and (_APPLIED.fullmatch(said) or not head.startswith("interface ")):
            sections[head] += (said,)
    return sections


def standing(device: str, sections: Sections) -> Enforced:
    """Every port with anything of ours."""
    ports = {port: head for head in sections if (port := _port(head))}
    return {
        Slot(device, RateLimit.kind, Station(port=port)): RateLimit(_kbps(head, sections) * 1000)
        for port, head in ports.items()
        if _applied(head, sections) == _name(port) or not sections.keys().isdisjoint({*_ours(port, 0)} - {head})
    }


def _kbps(interface: str, sections: Sections) -> int:
    """0 where something of it is missing, or says what we would not: it is then made anew, or taken away."""
    port = _port(interface)
    policy = sections.get(f"policy {_name(port)}", ())
    told = [int(found[2]) for line in policy if (found := _POLICED.fullmatch(line))]
    whole = told and all(sections.get(head, ()) == lines for head, lines in _ours(port, told[0]).items())
    return told[0] if whole else 0


def _ours(port: str, kbps: int) -> dict[str, tuple[str, ...]]:
    """In the order in which it must be typed; taken away in the reverse."""
    name, everything = _name(port), ("10 match any any any",)
    action = f"action cir kbps {kbps} cbs 0 exceed drop"
    return {
        f"class ip {name}": everything,
        f"class ipv6 {name}-V6": everything,
        f"policy {name}": (f"10 class ip {name} {action}", f"20 class ipv6 {name}-V6 {action}"),
        _interface(port): (f"apply policy {name} in",),
    }


def _name(port: str) -> str:
    return _OURS + re.sub(r"[^A-Za-z0-9]", "-", port)


def _interface(port: str) -> str:
    """As the configuration has it: `interface lag 100` for what tables call lag100."""
    return f"interface {port.replace('lag', 'lag ')}"


def _port(interface: str) -> str:
    """Empty for a section that is no port's."""
    port = interface.removeprefix("interface ").replace("lag ", "lag")
    return port if PORT.fullmatch(port) else ""


def _applied(interface: str, sections: Sections) -> str:
    """The name of the policy, or an empty string."""
    found = [_APPLIED.fullmatch(line) for line in sections.get(interface, ())]
    return next((it[1] for it in found if it), "")


# --- changes ---------------------------------------------------------------------------------------------------------


def assume(changes: Sequence[Change]) -> Sections:
    stood = [(change.slot.station.port or "", change.before) for change in changes]
    made = (_ours(port, it.bits_per_second // 1000) for port, it in stood if isinstance(it, RateLimit))
    return {head: lines for sections in made for head, lines in sections.items()}


def obstacle(slot: Slot, sections: Sections) -> str:
    """A policy that is applied takes the place of another one."""
    port = slot.station.port or ""
    name = _applied(_interface(port), sections)
    return "" if name in ("", _name(port)) else f"{port} has the policy {name} of somebody else, and takes only one"


def step(change: Change, sections: Sections) -> Step:
    """DeviceError for what cannot be expressed."""
    port, after = change.slot.station.port or "", change.after
    if not PORT.fullmatch(port):
        raise DeviceError(change.slot.device, f"{port!r} is no name of a port, so it is not put into a command")
    match after:
        case None:
            return _gone(_ours(port, 0), sections)
        case RateLimit(bits_per_second=bps, within=None) if bps >= 1000:
            return _made(_ours(port, bps // 1000), sections)
    raise DeviceError(change.slot.device, f"AOS-CX cannot express {after} in {change.slot}")


def _made(wanted: Sections, sections: Sections) -> Step:
    """Entries of other numbers than ours are somebody's mistake: the sections have our name."""
    typed, minus, plus = list[str](), list[str](), list[str]()
    for head, lines in wanted.items():
        stands = sections.get(head, ())
        numbers = {line.split()[0] for line in lines}
        spare = [line.split()[0] for line in stands if line.split()[0] not in numbers]
        come = [line for line in lines if line not in stands]
        if come or spare:
            typed += _section(head, [*(f"no {number}" for number in spare), *come], "exit")
            minus += _section(head, [line for line in stands if line not in lines])
            plus += _section(head, come)
    return Step(tuple(typed), tuple(minus), tuple(plus))


def _gone(ours: Sections, sections: Sections) -> Step:
    typed, minus = list[str](), list[str]()
    for head, lines in reversed([*ours.items()]):
        if head.startswith("interface "):
            applied = [line for line in sections.get(head, ()) if f"{line} ".startswith(f"{lines[0]} ")]
            typed += _section(head, [f"no {line}" for line in applied], "exit")
            minus += _section(head, applied)
        elif head in sections:
            typed.append(f"no {head}")
            minus += _section(head, sections[head])
    return Step(tuple(typed), tuple(minus))


def _section(head: str, lines: Sequence[str], *end: str) -> list[str]:
    """Nothing without lines."""
    return [head, *(f"    {line}" for line in lines), *end] if lines else []
