"""Open vSwitch on Linux (2.13 or newer): a switch in software, whose own tools make real differences.

Reads
* `ovs-appctl fdb/show BRIDGE`, with port numbers translated by `ovs-ofctl show`; a bond goes by the name of its first
  member. VLAN 0 is "untagged".
* `ovs-appctl dpctl/dump-conntrack -m -s`, its size and its limit: see `_ovs_conntrack`. The kernel's datapath has no
  limit of its own, and says so by refusing.
* neighbours, interfaces, counters and LLDP as the kernel has them: see `_kernel_tables`.

Writes, on every bridge, each bridge in one bundle (all or nothing; OpenFlow 1.4)
* block: two flows that drop what comes from the MAC and what goes to it, in all VLANs.
* limit: a meter for each direction, and two flows that pass through them to the bridge's own switching. Where somebody
  else's flows decide what is forwarded, that would go past them: refused.
What is ours is known by its cookie. Diffs are Open vSwitch's own (`ovs-ofctl diff-flows`).

Oddities: flows are lost when ovs-vswitchd restarts, and come back with the next cycle. `diff-flows` leaves with status
2 when there is a difference. Meters are no part of its diff, and are added to it.
Run against Open vSwitch 3.1; sources: ovs-ofctl(8), ovs-appctl(8), ovs-vsctl(8).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

from switchguard.core.changes import Change, Diff, Enforced, Facts, Slot
from switchguard.core.model import FdbEntry, Mac, NatSize, NatUsage, Network, Station
from switchguard.core.penalties import Block, Penalty, RateLimit
from switchguard.errors import CommandRefused, DeviceError, UnexpectedOutput
from switchguard.ports import Capture, NatTable, Session

from . import _ovs_conntrack
from ._captured import require_whole_rows
from ._kernel_tables import KernelTables
from ._lines import before_end, lines_of

COOKIE = "0x53470001"
DROP, METER = 60_000, 59_000
"""Priorities of our flows."""
FIRST_METER = 0x5347_0001
OFCTL = "ovs-ofctl -O OpenFlow14"
_EACH = 'for b in $(ovs-vsctl list-br); do echo "bridge $b"; {} || exit; done; echo end'
FDB = _EACH.format(f'{OFCTL} show "$b" && ovs-appctl fdb/show "$b"')
FLOWS = _EACH.format(f'{OFCTL} --no-stats dump-flows "$b" && {OFCTL} dump-meters "$b"')
CONNTRACK = "ovs-appctl dpctl/dump-conntrack -m -s && echo end"
_INCOMPLETE = Block(by="address")
"""What a slot holds of which a bridge lacks a part: nothing that we would write, so it is repaired and taken away."""

_BRIDGE = re.compile(r"bridge ([\w.-]+)")
_ROW = re.compile(r" *(\d+|LOCAL) +(\d+) +([0-9a-f:]{17}) +(\d+|static|\?)")
_HEADING = re.compile(r" *port +VLAN +MAC +Age", re.IGNORECASE)
_PORT = re.compile(r" (\d+|LOCAL)\(([^()\s]+)\): addr:[0-9a-f:]{17}")
_ABOUT = re.compile(r"OFPT?(?:ST)?_\w+ .*|n_tables:.*|capabilities:.*|actions:.*| {5}\w+: .*|OFPT_GET_CONFIG_REPLY.*")
"""What else `ovs-ofctl show` says of a bridge and its ports."""
_FLOW = re.compile(r"(?:cookie=(0x[0-9a-f]+), )?((?:[\w.]+=[^ ]*, )*)priority=(\d+)(?:,(\S+))? actions=(\S+)")
_OF_ONE = re.compile(r"dl_(src|dst)=([0-9a-f:]{17})")
_TO_METER = re.compile(r"meter:(\d+),NORMAL")
_METER = re.compile(r"meter=(\d+) (?:[a-z]+ )*bands=")
_BAND = re.compile(r"type=\w+ rate=(\d+)(?: \w+=\d+)*")
_REPLY = re.compile(r"(?:OFPST_\w+|NXST_\w+) reply .*")

Directed = tuple[str, Mac]
"""src or dst, and whose."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """What a bridge does, as far as we care."""

    flows: tuple[str, ...] = ()
    """All of them, as printed."""
    dropped: frozenset[Directed] = frozenset()
    metered: Mapping[Directed, int] = field(default_factory=dict)
    """-> number of the meter."""
    rates: Mapping[int, int] = field(default_factory=dict)
    """Our meters -> kilobits per second."""
    plain: bool = True
    """Whether everything that is not ours is switched as usual, or dropped."""


Bridges = Mapping[str, Bridge]


class OvsLinux(KernelTables):
    platform = "ovs_linux"
    facts = Facts(
        penalties={Block.kind: ("mac_device",), RateLimit.kind: ("mac_device",)},
        directions="both",
        ownership="cookie",
        diff="device",
        dry_run_diff="device",
    )
    captures: ClassVar[Mapping[str, Capture]] = {"conntrack": _ovs_conntrack.CAPTURE}

    # --- reading -----------------------------------------------------------------------------------------------------

    def cli_fdb(self, session: Session) -> tuple[FdbEntry, ...]:
        return tuple(row for _bridge, lines in _sections(session, FDB) for row in _stations(session.device.name, lines))

    def nat(self, session: Session) -> tuple[NatUsage, ...]:
        return self.nat_table(session).usages

    def nat_table(self, session: Session) -> NatTable:
        chunks = (f"{line}\n".encode() for line in before_end(session, session.ask(CONNTRACK)))
        return require_whole_rows(session.device.name, _ovs_conntrack.read(chunks, session.device.name))

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        return _ovs_conntrack.read(chunks, self.platform, inside)

    def nat_size(self, session: Session) -> NatSize:
        return NatSize(session.device.name, _number(session, "ct-get-nconns"), _limit(session))

    # --- writing -----------------------------------------------------------------------------------------------------

    def enforced(self, session: Session) -> Enforced:
        return _standing(session.device.name, _bridges(session))

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """The flows of a bridge on which exactly `before` stands; meters are numbered from the first one."""
        before = _with(Bridge(), [change.inverse() for change in changes])
        return _bundle(before, _with(before, changes))

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return Diff("\n".join(_differences(session, _bridges(session), changes)), "device")

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        """Each bridge in turn; meters before the flows that use them, and away after them."""
        bridges = _bridges(session)
        diff = Diff("\n".join(_differences(session, bridges, changes)), "device")
        for name, bridge in bridges.items():
            _install(session, name, bridge, _with(bridge, changes))
        return diff


# --- forwarding tables and sizes -------------------------------------------------------------------------------------


def _sections(session: Session, command: str) -> list[tuple[str, list[str]]]:
    """Bridge by bridge."""
    sections: list[tuple[str, list[str]]] = []
    for line in before_end(session, session.ask(command)):
        if found := _BRIDGE.fullmatch(line):
            sections.append((found[1], []))
        elif not sections:
            raise UnexpectedOutput(session.device.name, line)
        else:
            sections[-1][1].append(line)
    return sections


def _stations(device: str, lines: Iterable[str]) -> Iterator[FdbEntry]:
    """The bridge itself (LOCAL) is no station."""
    names: dict[str, str] = {}
    seen = False
    for line in lines:
        if found := _PORT.fullmatch(line):
            names[found[1]] = found[2]
        elif _HEADING.fullmatch(line):
            seen = True
        elif seen and (found := _ROW.fullmatch(line)) and found[1] in names:
            number, vlan, mac, age = found.groups()
            if number != "LOCAL":
                seconds = float(age) if age.isdigit() else None
                yield FdbEntry(device, names[number], Mac.parse(mac), int(vlan) or None, age == "static", seconds)
        elif not _ABOUT.fullmatch(line):
            raise UnexpectedOutput(device, line)
    if not seen:
        raise UnexpectedOutput(device, "", "no forwarding table after")


def _number(session: Session, question: str) -> int:
    match lines_of(session, session.ask(f"ovs-appctl dpctl/{question}")):
        case [number] if number.isdecimal():
            return int(number)
        case lines:
            raise UnexpectedOutput(session.device.name, "; ".join(lines), f"no number after {question}")


def _limit(session: Session) -> int | None:
    """The kernel's datapath does not tell."""
    try:
        return _number(session, "ct-get-maxconns")
    except CommandRefused:
        return None


# --- flows -----------------------------------------------------------------------------------------------------------


def _bridges(session: Session) -> Bridges:
    return {name: _bridge(session.device.name, lines) for name, lines in _sections(session, FLOWS)}


def _bridge(device: str, lines: Iterable[str]) -> Bridge:
    flows: list[str] = []
    dropped: set[Directed] = set()
    metered: dict[Directed, int] = {}
    rates: dict[int, int] = {}
    plain, meter = True, 0
    for line in lines:
        if found := _METER.fullmatch(line):
            meter = int(found[1])
        elif found := _BAND.fullmatch(line):
            rates |= {meter: int(found[1])} if meter >= FIRST_METER else {}
        elif found := _FLOW.fullmatch(line.strip()):
            flows.append(line.strip())
            cookie, _more, _priority, match, actions = found.groups()
            if cookie != COOKIE:
                plain = plain and actions in ("NORMAL", "drop")
            elif (of := _OF_ONE.fullmatch(match or "")) and actions == "drop":
                dropped.add((of[1], Mac.parse(of[2])))
            elif of and (through := _TO_METER.fullmatch(actions)):
                metered[of[1], Mac.parse(of[2])] = int(through[1])
            else:
                raise UnexpectedOutput(device, line, "a flow with our cookie that we would not write")
        elif line.strip() and not _REPLY.fullmatch(line):
            raise UnexpectedOutput(device, line)
    return Bridge(tuple(flows), frozenset(dropped), metered, rates, plain)


def _standing(device: str, bridges: Bridges) -> Enforced:
    every = tuple(bridges.values())
    blocked = {mac for bridge in every for _way, mac in bridge.dropped}
    limited = {mac for bridge in every for _way, mac in bridge.metered}
    stands: dict[Slot, Penalty] = {_slot(device, Block.kind, mac): _block(mac, every) for mac in blocked}
    return stands | {_slot(device, RateLimit.kind, mac): _rate(mac, every) for mac in limited}


def _slot(device: str, kind: str, mac: Mac) -> Slot:
    return Slot(device, kind, Station(mac=mac))


def _block(mac: Mac, every: Iterable[Bridge]) -> Block:
    return Block() if all(bridge.dropped >= set(_ways(mac)) for bridge in every) else _INCOMPLETE


def _rate(mac: Mac, every: Iterable[Bridge]) -> RateLimit:
    """0 where it differs between bridges and directions, or is missing: replaced and taken away, never kept."""
    told = {bridge.rates.get(bridge.metered.get(way, 0), 0) for bridge in every for way in _ways(mac)}
    return RateLimit(told.pop() * 1000 if len(told) == 1 else 0)


def _ways(mac: Mac) -> tuple[Directed, Directed]:
    return ("src", mac), ("dst", mac)


# --- what shall be ---------------------------------------------------------------------------------------------------


def _with(bridge: Bridge, changes: Sequence[Change]) -> Bridge:
    """The same bridge afterwards."""
    dropped, metered, rates = set(bridge.dropped), dict(bridge.metered), dict(bridge.rates)
    for change in changes:
        mac = _client(change)
        match change.slot.kind, change.after:
            case Block.kind, None:
                dropped -= set(_ways(mac))
            case Block.kind, Block(by="mac"):
                dropped |= set(_ways(mac))
            case RateLimit.kind, None:
                for way in _ways(mac):
                    rates.pop(metered.pop(way, 0), None)
            case RateLimit.kind, RateLimit(bits_per_second=bps) if bps >= 1000:
                for way in _ways(mac):
                    free = (number for number in count(FIRST_METER) if number not in rates)
                    metered[way] = metered.get(way) or next(free)
                    rates[metered[way]] = bps // 1000
            case _:
                raise DeviceError(change.slot.device, f"Open vSwitch cannot express {change.after} in {change.slot}")
    kept = [flow for flow in bridge.flows if f"cookie={COOKIE}," not in flow]
    ours = [*(_dropping(way) for way in sorted(dropped)), *(_metering(way, metered[way]) for way in sorted(metered))]
    return Bridge((*kept, *ours), frozenset(dropped), metered, rates, bridge.plain)


def _client(change: Change) -> Mac:
    mac = change.slot.station.mac
    if mac is None or mac.is_multicast or not mac.value:
        raise DeviceError(change.slot.device, f"a flow needs a unicast MAC, not {change.slot.station}")
    return mac


def _dropping(way: Directed) -> str:
    return f"cookie={COOKIE}, priority={DROP},dl_{way[0]}={way[1]} actions=drop"


def _metering(way: Directed, meter: int) -> str:
    return f"cookie={COOKIE}, priority={METER},dl_{way[0]}={way[1]} actions=meter:{meter},NORMAL"


def _bundle(before: Bridge, after: Bridge) -> tuple[str, ...]:
    """Lines for `ovs-ofctl --bundle add-flows`."""
    gone = [flow for flow in before.flows if flow not in after.flows]
    come = [flow for flow in after.flows if flow not in before.flows]
    return (
        *(
            "delete_strict " + flow.replace(f"cookie={COOKIE}, ", f"cookie={COOKIE}/-1,").split(" actions=")[0]
            for flow in gone
        ),
        *("add " + flow.replace(", ", ",").replace(" actions=", ",actions=") for flow in come),
    )


def _differences(session: Session, bridges: Bridges, changes: Sequence[Change]) -> Iterator[str]:
    """Open vSwitch's own words, bridge by bridge where there are several; the meters' are ours."""
    for name, bridge in bridges.items():
        after = _with(bridge, changes)
        if not after.plain and set(after.metered) - set(bridge.metered):
            why = f"flows of somebody else decide what bridge {name} forwards, and a limit would go past them"
            raise DeviceError(session.device.name, why)
        lines = [*_meter_lines(bridge, after), *_flow_lines(session, name, bridge, after)]
        if lines:
            yield from ([f"bridge {name}"] if len(bridges) > 1 else [])
            yield from lines


def _meter_lines(before: Bridge, after: Bridge) -> Iterator[str]:
    for sign, these, others in (("-", before.rates, after.rates), ("+", after.rates, before.rates)):
        yield from (
            f"{sign}meter={it} kbps band=type=drop rate={these[it]}" for it in these if others.get(it) != these[it]
        )


def _flow_lines(session: Session, name: str, before: Bridge, after: Bridge) -> list[str]:
    if not _bundle(before, after):
        return []
    command = f"{OFCTL} diff-flows {name} /dev/stdin || [ $? -eq 2 ]"
    return session.feed(command, "".join(f"{flow}\n" for flow in after.flows)).splitlines()


def _install(session: Session, name: str, before: Bridge, after: Bridge) -> None:
    for number, kbps in after.rates.items():
        if before.rates.get(number) != kbps:
            verb = "mod-meter" if number in before.rates else "add-meter"
            session.ask(f"{OFCTL} {verb} {name} meter={number},kbps,band=type=drop,rate={kbps}")
    if lines := _bundle(before, after):
        session.feed(f"{OFCTL} --bundle add-flows {name} -", "".join(f"{line}\n" for line in lines))
    for number in before.rates.keys() - after.rates.keys():
        session.ask(f"{OFCTL} del-meter {name} meter={number}")
