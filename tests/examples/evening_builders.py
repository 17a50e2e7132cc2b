"""Evenings out of people and what they do: deterministic, so that a generated recording can be compared.

A guest does one thing at a time (`Doing`): so many sessions to so many hosts, so many bits per second each way. From
that come the translation table with its octets, the link's counters, ARP and the forwarding tables, look by look. The
octets of a doing grow from zero, as those of its sessions do; a small wobble, the same in every run, keeps the numbers
from looking drawn with a ruler.

    gw1 lan0 -- Et1 core1 Et2 -- Gi0/24 sw1        wan0 of gw1 is the link that everybody shares
                          Et3 -- Gi0/24 sw2
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from itertools import pairwise
from typing import TypeVar

from switchguard.core.evidence import Connections, InterfaceRates, RateSample
from switchguard.core.model import (
    Address,
    Device,
    FdbEntry,
    Interface,
    Link,
    Mac,
    NatSize,
    NatUsage,
    Neighbor,
    PortCounters,
    Reading,
    Role,
    Snapshot,
    Table,
)
from switchguard.edge.evening import Evening

T = TypeVar("T")

MBPS = 1_000_000
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)

GATEWAY = Device("gw1", "linux", Role.GATEWAY, lan_interfaces=("lan0",))
CORE = Device("core1", "arista_eos", Role.CORE)
ACCESS = (Device("sw1", "cisco_ios", Role.ACCESS), Device("sw2", "cisco_ios", Role.ACCESS))
NETWORK = (GATEWAY, CORE, *ACCESS)
_OWN = {device.name: Mac(0x02AA00000001 + number) for number, device in enumerate(NETWORK)}
_CABLES = (
    ("gw1", "lan0", "core1"),
    ("core1", "Et1", "gw1"),
    ("core1", "Et2", "sw1"),
    ("core1", "Et3", "sw2"),
    ("sw1", "Gi0/24", "core1"),
    ("sw2", "Gi0/24", "core1"),
)
_WAY = {"gw1": "Et1", "sw1": "Et2", "sw2": "Et3"}
VLAN = 10


@dataclass(frozen=True, slots=True)
class Doing:
    """What somebody does from minute `start` up to minute `end` of the evening."""

    start: int
    end: int
    sessions: int
    remotes: int
    down_bps: float = 0.0
    up_bps: float = 0.0
    tcp: float = 0.9
    unanswered: float = 0.01
    high_ports: float = 0.05
    active: float = 0.5
    port: int = 443
    port_share: float = 0.8
    ports: int = 6
    lasting: bool = True
    """Its sessions last as long as the doing, or only some seconds each."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody with one device, here from minute `here` on, until `gone`."""

    name: str
    mac: Mac | None
    """None: no ARP table has it, it comes through a VPN."""
    address: Address
    place: tuple[str, str] | None
    """Switch and port."""
    doing: tuple[Doing, ...] = ()
    here: int = 0
    gone: int = 1_000_000
    also_at: tuple[str, str] | None = None
    """A second port where its MAC is seen: somebody copied it."""

    def __post_init__(self) -> None:
        if any(later.start < earlier.end for earlier, later in pairwise(self.doing)):
            raise ValueError(f"{self.name} does two things at a time")


@dataclass(frozen=True, slots=True)
class Script:
    """A whole evening before it is played out."""

    about: str
    begins: datetime
    minutes: int
    every: int
    """Minutes from look to look."""
    guests: tuple[Guest, ...]
    crowd_bps: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    """From this minute on everybody who is not told one by one moves so much, down and up."""
    crowd_sessions: Mapping[int, int] = field(default_factory=dict)
    table_limit: int | None = None


# --- what people do --------------------------------------------------------------------------------------------------


def browsing(start: int, end: int, sessions: int = 24, down: float = 0.6) -> Doing:
    """Pages, mail, a messenger."""
    return Doing(start, end, sessions, sessions * 2 // 3, down * MBPS, 0.05 * MBPS)


def power_user(start: int, end: int) -> Doing:
    """A browser with 16 tabs, a telephone program, three VPNs."""
    return Doing(
        start, end, 60, 35, 2 * MBPS, 0.4 * MBPS, tcp=0.7, unanswered=0.02, high_ports=0.3, active=0.8, port_share=0.6
    )


def video_call(start: int, end: int) -> Doing:
    """Few sessions, steady, both ways, mostly UDP to one high port."""
    return Doing(start, end, 9, 4, 3 * MBPS, 2 * MBPS, 0.3, 0.0, 0.7, 1.0, 3478, 0.6, 4)


def game(start: int, end: int) -> Doing:
    """A shooter: servers, a voice channel, and a list of other servers that it asked."""
    return Doing(start, end, 45, 40, 0.2 * MBPS, 0.1 * MBPS, 0.2, 0.1, 0.9, 0.4, 27015, 0.5, 12)


def household(start: int, end: int) -> Doing:
    """A whole family behind a router of its own, hence behind one MAC: telephones, a television, two browsers."""
    return Doing(start, end, 150, 80, 6 * MBPS, 0.8 * MBPS, 0.85, 0.02, 0.12, 0.45)


def download(start: int, end: int, mbps: float) -> Doing:
    """A Linux ISO over HTTPS: a few sessions to one host, as fast as it goes."""
    return Doing(start, end, 6, 1, mbps * MBPS, mbps * MBPS / 50, 1.0, 0.0, 0.0, 1.0, 443, 1.0, 1)


def backup(start: int, end: int, mbps: float) -> Doing:
    """To a server far away: the same the other way round."""
    return Doing(start, end, 4, 1, mbps * MBPS / 50, mbps * MBPS, 1.0, 0.0, 0.0, 1.0, 22, 1.0, 1)


def resolver(start: int, end: int) -> Doing:
    """Thousands of short sessions to as many name servers."""
    return Doing(start, end, 9000, 4000, 1 * MBPS, 0.3 * MBPS, 0.03, 0.06, 0.01, 0.4, 53, 0.97, 30)


def mail(start: int, end: int, sessions: int = 600, mbps: float = 2) -> Doing:
    """A mail server that delivers: hundreds of hosts, some of which do not answer."""
    return Doing(
        start,
        end,
        sessions,
        sessions * 2 // 3,
        mbps / 4 * MBPS,
        mbps * MBPS,
        tcp=1.0,
        unanswered=0.12,
        high_ports=0.02,
        active=0.5,
        port=25,
        port_share=0.85,
    )


def swarm(start: int, end: int, sessions: int = 750, down: float = 8.0, up: float = 3.0) -> Doing:
    """BitTorrent."""
    return Doing(
        start, end, sessions, sessions * 98 // 100, down * MBPS, up * MBPS, 0.4, 0.15, 0.97, 0.93, 6881, 0.08, 400
    )


# --- an evening ------------------------------------------------------------------------------------------------------


def play_out(script: Script) -> Evening:
    """Everything that was told, look by look."""
    looks = tuple(_look(script, minute) for minute in range(0, script.minutes + 1, script.every))
    known = {it.mac: script.begins - _DAY for it in script.guests if it.mac is not None and it.here == 0}
    return Evening(script.about, looks, first_seen=known)


def _look(script: Script, minute: int) -> Snapshot:
    at = script.begins + minute * _MINUTE
    here = [guest for guest in script.guests if guest.here <= minute < guest.gone]
    nat = tuple(row for guest in here for row in _row(guest, minute))
    look = Snapshot(
        at,
        NETWORK,
        nat=nat,
        nat_sizes=(NatSize("gw1", _table_size(script, nat, minute), script.table_limit),),
        counters=(_link(script, minute),),
        readings=tuple(_readings(at, "gw1", ("nat", "nat_size", "counters"))),
    )
    before = minute - script.every
    moved = any(before < edge <= minute for guest in script.guests for edge in (guest.here, guest.gone))
    return _with_places(look, here) if minute == 0 or moved else look


def _row(guest: Guest, minute: int) -> Iterator[NatUsage]:
    doing = _now(guest, minute)
    if doing is None:
        return
    sessions = max(1, round(doing.sessions * _wobble(guest.name, minute)))
    seconds = (minute - doing.start) * 60 if doing.lasting else min(30, (minute - doing.start) * 60)
    yield NatUsage(
        "gw1",
        guest.address,
        sessions,
        min(sessions, max(1, round(doing.remotes * sessions / doing.sessions))),
        doing.ports,
        doing.tcp,
        round(1 - doing.tcp, 3),
        doing.unanswered,
        doing.high_ports,
        doing.active,
        bytes_out=round(doing.up_bps * seconds / 8),
        bytes_in=round(doing.down_bps * seconds / 8),
        oldest_s=float(seconds),
        top_port=doing.port,
        top_port_share=doing.port_share,
    )


def _now(guest: Guest, minute: int) -> Doing | None:
    return next((it for it in guest.doing if it.start <= minute < it.end), None)


def _wobble(name: str, minute: int) -> float:
    """0.95 to 1.05."""
    return 0.95 + sha256(f"{name} {minute}".encode()).digest()[0] / 2550


def _table_size(script: Script, nat: Iterable[NatUsage], minute: int) -> int:
    return sum(row.sessions for row in nat) + _at(script.crowd_sessions, minute, 0)


def _link(script: Script, minute: int) -> PortCounters:
    """What everybody moved since the evening began."""
    down = up = 0.0
    for guest in script.guests:
        for it in guest.doing:
            seconds = 60 * max(0, min(minute, it.end, guest.gone) - max(it.start, guest.here))
            down, up = down + it.down_bps * seconds / 8, up + it.up_bps * seconds / 8
    for passed in range(minute):
        came, went = _at(script.crowd_bps, passed, (0.0, 0.0))
        down, up = down + came * 60 / 8, up + went * 60 / 8
    at = script.begins + minute * _MINUTE
    return PortCounters("gw1", "wan0", at, round(down), round(up), uptime_s=86_400.0 + 60 * minute)


def _at(steps: Mapping[int, T], minute: int, otherwise: T) -> T:
    return next((steps[start] for start in sorted(steps, reverse=True) if start <= minute), otherwise)


def _with_places(look: Snapshot, here: Sequence[Guest]) -> Snapshot:
    """ARP and forwarding tables, and who hears whom."""
    tables: Mapping[str, tuple[Table, ...]] = {
        device.name: ("arp", "interfaces") if device is GATEWAY else ("fdb", "links", "interfaces")
        for device in NETWORK
    }
    readings = (row for device in NETWORK for row in _readings(look.at, device.name, tables[device.name]))
    return replace(
        look,
        neighbors=tuple(Neighbor("gw1", "lan0", it.address, it.mac) for it in here if it.mac is not None),
        fdb=(*_own_rows(), *(row for guest in here for row in _seen(guest))),
        links=tuple(
            Link(device, port, name, frozenset({"bridge"}), _OWN[name])
            for device, port, name in _CABLES
            if device != "gw1"
        ),
        interfaces=tuple(
            Interface(device, port, 1, _OWN[device], up=True) for device, port, _ in (*_CABLES, ("gw1", "wan0", ""))
        ),
        readings=(*look.readings, *readings),
    )


def _own_rows() -> Iterator[FdbEntry]:
    for device in ("core1", "sw1", "sw2"):
        for name, own in _OWN.items():
            if name != device:
                yield FdbEntry(device, _WAY[name] if device == "core1" else "Gi0/24", own, VLAN)


def _seen(guest: Guest) -> Iterator[FdbEntry]:
    """On its port, and on the way there."""
    for place in (guest.place, guest.also_at):
        if place is not None and guest.mac is not None:
            switch, port = place
            yield FdbEntry(switch, port, guest.mac, VLAN)
            if place is guest.place:
                yield FdbEntry("core1", _WAY[switch], guest.mac, VLAN)
                yield FdbEntry("sw2" if switch == "sw1" else "sw1", "Gi0/24", guest.mac, VLAN)


def _readings(at: datetime, device: str, tables: Iterable[Table]) -> Iterator[Reading]:
    return (Reading(device, table, at, 0, 0.0) for table in tables)


# --- what the tables do not tell -------------------------------------------------------------------------------------


def weeks_of(
    device: str, interface: str, until: datetime, weeks: int, bps: Mapping[int, tuple[float, float]]
) -> InterfaceRates:
    """Every hour of so many weeks: `bps` in and out, by the hour of the day from which on it holds; half on Sundays."""
    first = until.replace(minute=0, second=0, microsecond=0) - weeks * 7 * _DAY
    hours = [first + n * _HOUR for n in range(weeks * 168) if first + (n + 1) * _HOUR <= until]
    return InterfaceRates(device, interface, tuple(_sample(hour, bps) for hour in hours))


def _sample(hour: datetime, bps: Mapping[int, tuple[float, float]]) -> RateSample:
    usual = (0.5 if hour.weekday() == 6 else 1.0) * _wobble("rate", hour.day * 24 + hour.hour)
    came, went = _at(bps, hour.hour, (0.0, 0.0))
    return RateSample(hour, hour + _HOUR, round(usual * came), round(usual * went))


def measuring(begins: datetime, start: int, end: int, every: float, count: int = 1) -> tuple[Connections, ...]:
    """So many connections every so many minutes."""
    moments = (start + n * every for n in range(int((end - start) / every)))
    return tuple(Connections(begins + int(minute) * _MINUTE, count) for minute in moments)


def address(text: str) -> Address:
    return ip_address(text)


def mac(number: int) -> Mac:
    """02:00:00:00:00:07 for 7."""
    return Mac(0x020000000000 + number)


def guest(number: int, name: str, *doing: Doing, net: str = "10.10", here: int = 0, gone: int = 1_000_000) -> Guest:
    """Number 7 has the seventh MAC, address and port."""
    switch = "sw1" if number < 24 else "sw2"
    return Guest(
        name, mac(number), ip_address(f"{net}.0.{100 + number}"), (switch, f"Gi0/{number % 24}"), doing, here, gone
    )
