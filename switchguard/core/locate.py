"""A MAC and the forwarding tables -> the one edge port behind which it is, how old that knowledge is, and how sure.

The edge port is the one that is no uplink (topology.py); an aggregate of both switches of a pair is one (pairs.py). A
MAC on two edge ports has no place: its owner moved, somebody copied it, or one of the ports is an uplink that nobody
recognised. A MAC that is in ARP but in no forwarding table has none either: ARP remembers for hours (four, on Cisco),
forwarding tables for five minutes, so the ARP entry may be stale.

The same MAC in several VLANs on one port is one place. Its VLAN is the one in which its address lives, by the name of
the gateway's interface (`Vlan10`, `eth1.10`), else the lowest. Where the forwarding table tells no VLAN (BRIDGE-MIB),
the other switches' tables do, if they agree.

`age_s` is that of the older of the two rows it rests on, ARP and forwarding. `confidence` is a product of

    1 - age / 1200 s   freshness: 0.75 after five minutes, never below 0.5
    0.6                the uplinks of that device were not established: the port may lead to another switch
    0.8                a device whose uplinks were not established has the MAC on a further port
    0.9                another device's forwarding or ARP table is missing: it may know a second holder
    0.95               the VLAN is learned from another switch
    0.9                several VLANs, and nothing to choose by
    0.8                only static rows, which outlive the station, and nobody tells that the port is up

Many MACs on one port (an unmanaged switch or access point behind it) do not lower it: one MAC is cut there as well as
anywhere, and `Attribution.macs_on_port` tells the planner what an action on the whole port would hit.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from switchguard.core.model import FdbEntry, Location, Mac, NatUsage, Neighbor, PathStep, Snapshot, Station, Table
from switchguard.core.pairs import Peers, each_once, peers, twin
from switchguard.core.topology import Place, Sightings, Uplinks

FADES_S = 1200.0
STALEST = 0.5
UNCERTAIN_UPLINKS = 0.6
CONTRADICTED = 0.8
MISSING_TABLE = 0.9
BORROWED_VLAN = 0.95
SEVERAL_VLANS = 0.9
UNCONFIRMED_STATIC = 0.8

_VLAN_INTERFACE = re.compile(r"(?:.*\.|vlan[ _-]?)(\d{1,4})", re.IGNORECASE)
_SHOWN = 3
"""Items of a list in a sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No place, and why. `contested`: because there are several."""

    why: str
    contested: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What places are found with, worked out once for all MACs."""

    seen: Sightings
    ways: Uplinks
    ages: Mapping[Table, Mapping[str, float]]
    """Seconds since a table was read, by device."""
    blind: frozenset[str]
    """Devices whose forwarding or ARP table is missing."""
    missing: Mapping[Table, str]
    """Table -> the end of a sentence about what was not found."""
    up: frozenset[Place]
    pairs: Peers


def view_of(snapshot: Snapshot, seen: Sightings, ways: Uplinks) -> View:
    ages: dict[Table, dict[str, float]] = {"nat": {}, "arp": {}, "fdb": {}}
    for it in snapshot.readings:
        if it.table in ages:
            ages[it.table][it.device] = max((snapshot.at - it.at).total_seconds(), 0.0)
    return View(
        seen,
        ways,
        ages,
        frozenset(gap.device for gap in snapshot.gaps if gap.table in ("fdb", "arp")),
        {"fdb": _missing(snapshot, "fdb", "forwarding table"), "arp": _missing(snapshot, "arp", "ARP table")},
        frozenset((interface.device, interface.name) for interface in snapshot.interfaces if interface.up),
        peers(snapshot.devices),
    )


def locate(mac: Mac, heard: Sequence[Neighbor], usage: NatUsage | None, view: View) -> Location | Nowhere:
    """`heard` are the ARP and neighbour rows of the MAC's own addresses, `usage` what it does with them."""
    rows, uplinks = view.seen.rows.get(mac, ()), view.ways.why
    edges = {(row.device, row.port) for row in rows}.difference(uplinks)
    if view.pairs and len(edges) > 1:
        edges = each_once(edges, view.pairs, view.ways.known)
    chosen = edges if len(edges) == 1 else {place for place in edges if place[0] in view.ways.known}
    if len(chosen) == 1:
        (place,) = chosen
        return _place(place, mac, rows, heard, usage, view, contradicted=len(edges) > 1)
    if edges:
        where = listed([f"{device} {port}" for device, port in sorted(edges)])
        why = f"it is on {len(edges)} edge ports: {where}; it moved, is copied, or one of them is an undeclared uplink"
        return Nowhere(why, contested=True)
    if rows:
        places = sorted({(row.device, row.port) for row in rows})
        where = listed([f"{device} {port} ({uplinks[device, port]})" for device, port in places])
        return Nowhere(f"it is seen only on uplinks: {where}" + view.missing["fdb"])
    stale = "; its ARP entry may be stale" if heard else ""
    return Nowhere("no forwarding table has it on a port that is up" + stale + view.missing["fdb"])


def listed(items: Sequence[str]) -> str:
    """The first few and how many more."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _missing(snapshot: Snapshot, table: Table, name: str) -> str:
    gaps = sorted({(gap.device, gap.why) for gap in snapshot.gaps if gap.table == table})
    return f"; missing is the {name} of {listed([f'{device} ({why})' for device, why in gaps])}" if gaps else ""


def _place(
    place: Place,
    mac: Mac,
    rows: Sequence[FdbEntry],
    heard: Sequence[Neighbor],
    usage: NatUsage | None,
    view: View,
    contradicted: bool,
) -> Location:
    device, port = place
    here = [row for row in rows if row.port == port and row.device == device]
    other = _other_end(place, rows, view) if view.pairs else None
    vlan, vlan_weight = _vlan(here, rows, heard)
    claim = _claim(heard, usage, view) if heard else None
    age = _age(here[0], view) if len(here) == 1 else min([_age(row, view) for row in here])
    if claim:
        age = max(age, view.ages["arp"].get(claim.device, 0.0))
    confidence = max(1 - age / FADES_S, STALEST)
    if device not in view.ways.known:
        confidence *= UNCERTAIN_UPLINKS
    if contradicted:
        confidence *= CONTRADICTED
    if view.blind and view.blind - {device}:
        confidence *= MISSING_TABLE
    confidence *= vlan_weight
    if here[0].static and all(row.static for row in here) and place not in view.up:
        confidence *= UNCONFIRMED_STATIC
    path = Path((place,) if other is None else (place, other), mac, rows, claim, usage, view)
    return Location(device, Station(port, vlan, mac), age, confidence, path, None if other is None else other[0])


def _other_end(place: Place, rows: Sequence[FdbEntry], view: View) -> Place | None:
    """Where the peer has it on the same aggregate."""
    other = twin(place, view.pairs)
    there = other in {(row.device, row.port) for row in rows} and other not in view.ways.why
    return other if there else None


def _vlan(here: Sequence[FdbEntry], rows: Sequence[FdbEntry], heard: Sequence[Neighbor]) -> tuple[int | None, float]:
    """The VLAN and its weight in the confidence."""
    if len(here) == 1 and here[0].vlan is not None:
        return here[0].vlan, 1.0
    told = {row.vlan for row in here if row.vlan is not None}
    weight = 1.0 if told else BORROWED_VLAN
    choice = told or {row.vlan for row in rows if row.vlan is not None}
    if not choice:
        return None, 1.0
    if len(choice) > 1:
        lives = choice & {_vlan_of(row.interface) for row in heard}
        choice = lives if len(lives) == 1 else choice
    if len(choice) == 1:
        return min(choice), weight
    return min(told) if told else None, SEVERAL_VLANS


def _vlan_of(interface: str) -> int | None:
    match = _VLAN_INTERFACE.fullmatch(interface.strip())
    return int(match[1]) if match else None


def _age(row: FdbEntry, view: View) -> float:
    return view.ages["fdb"].get(row.device, 0.0) + (row.age_s or 0.0)


def _claim(heard: Sequence[Neighbor], usage: NatUsage | None, view: View) -> Neighbor:
    """The freshest row that gives the MAC its busiest address, or its first one where nothing is used."""
    if len(heard) == 1:
        return heard[0]
    address = usage.address if usage else heard[0].address
    return min(
        (row for row in heard if row.address == address),
        key=lambda row: (view.ages["arp"].get(row.device, 0.0), row.device, row.interface),
    )


# --- the way to it, for people ---------------------------------------------------------------------------------------


class Path(Sequence[PathStep]):
    """Every row that speaks for a place, the place itself last. Equal to the tuple of its steps; they are put into
    words when somebody reads them, which is so for few clients of many, and costs more than finding the place."""

    __slots__ = ("_claim", "_mac", "_places", "_rows", "_usage", "_view")

    def __init__(
        self,
        places: tuple[Place, ...],
        mac: Mac,
        rows: Sequence[FdbEntry],
        claim: Neighbor | None,
        usage: NatUsage | None,
        view: View,
    ) -> None:
        self._places, self._mac, self._rows = places, mac, rows
        self._claim, self._usage, self._view = claim, usage, view

    def _steps(self) -> tuple[PathStep, ...]:
        mac, view, usage = self._mac, self._view, self._usage
        passed = [row for row in self._rows if (row.device, row.port) not in self._places]
        here = [row for row in self._rows if (row.device, row.port) in self._places]
        return (
            *(_evidence_of_address(mac, self._claim, usage, view) if self._claim else ()),
            *(PathStep(row.device, "fdb", f"{mac} on {_passing(row, view)}", _age(row, view)) for row in passed),
            *(PathStep(row.device, "fdb", f"{mac} on {_position(row)}", _age(row, view)) for row in here),
        )

    @overload
    def __getitem__(self, at: int) -> PathStep: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[PathStep, ...]: ...

    def __getitem__(self, at: int | slice) -> PathStep | tuple[PathStep, ...]:
        return self._steps()[at]

    def __iter__(self) -> Iterator[PathStep]:
        return iter(self._steps())

    def __len__(self) -> int:
        return len(self._steps())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path | tuple) and self._steps() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._steps())

    def __repr__(self) -> str:
        return repr(self._steps())


def _evidence_of_address(mac: Mac, claim: Neighbor, usage: NatUsage | None, view: View) -> Iterator[PathStep]:
    """The busiest address's row in the translation table, and the ARP row that gives it this MAC."""
    if usage:
        nat_age = view.ages["nat"].get(usage.device, 0.0)
        yield PathStep(usage.device, "nat", f"{claim.address} has {usage.sessions:,} sessions", nat_age)
    arp_age = view.ages["arp"].get(claim.device, 0.0)
    yield PathStep(claim.device, "arp", f"{claim.address} is {mac} on {claim.interface}", arp_age)


def _position(row: FdbEntry) -> str:
    return row.port if row.vlan is None else f"{row.port} in VLAN {row.vlan}"


def _passing(row: FdbEntry, view: View) -> str:
    why = view.ways.why.get((row.device, row.port), "perhaps; nothing tells")
    return f"{_position(row)}, an uplink: {why}"
