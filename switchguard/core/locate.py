"""A MAC and the forwarding tables -> the one edge port behind which it is, how old that knowledge is, and how sure.

The edge port is the one that is no uplink (topology.py). A MAC on two edge ports has no place: its owner moved,
somebody copied it, or one of the ports is an uplink that nobody recognised. A MAC that is in ARP but in no forwarding
table has none either: ARP remembers for hours (four, on Cisco), forwarding tables for five minutes, so the ARP entry
may be stale.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from switchguard.core.model import FdbEntry, Location, Mac, NatUsage, Neighbor, PathStep, Snapshot, Station, Table
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
    ages: Mapping[tuple[str, Table], float]
    fdb_ages: Mapping[str, float]
    """Those of the forwarding tables alone, by device: they are looked up most."""
    blind: frozenset[str]
    """Devices whose forwarding or ARP table is missing."""
    missing: Mapping[Table, str]
    """Table -> the end of a sentence about what was not found."""
    up: frozenset[Place]


def view_of(snapshot: Snapshot, seen: Sightings, ways: Uplinks) -> View:
    ages = {(it.device, it.table): max((snapshot.at - it.at).total_seconds(), 0.0) for it in snapshot.readings}
    return View(
        seen,
        ways,
        ages,
        {device: age_s for (device, table), age_s in ages.items() if table == "fdb"},
        frozenset(gap.device for gap in snapshot.gaps if gap.table in ("fdb", "arp")),
        {"fdb": _missing(snapshot, "fdb", "forwarding table"), "arp": _missing(snapshot, "arp", "ARP table")},
        frozenset((interface.device, interface.name) for interface in snapshot.interfaces if interface.up),
    )


def locate(mac: Mac, heard: Sequence[Neighbor], usage: NatUsage | None, view: View) -> Location | Nowhere:
    """`heard` are the ARP and neighbour rows of the MAC's own addresses, `usage` what it does with them."""
    rows = view.seen.rows.get(mac, ())
    places = [(row.device, row.port) for row in rows]
    edges = {place for place in places if place not in view.ways.why}
    chosen = edges if len(edges) == 1 else {place for place in edges if place[0] in view.ways.known}
    if len(chosen) == 1:
        (place,) = chosen
        sighted = list(zip(rows, places, strict=True))
        return _place(place, mac, sighted, heard, usage, view, contradicted=len(edges) > 1)
    if edges:
        where = listed([f"{device} {port}" for device, port in sorted(edges)])
        why = f"it is on {len(edges)} edge ports: {where}; it moved, is copied, or one of them is an undeclared uplink"
        return Nowhere(why, contested=True)
    if rows:
        where = listed([f"{device} {port} ({view.ways.why[device, port]})" for device, port in sorted(set(places))])
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
    sighted: Sequence[tuple[FdbEntry, Place]],
    heard: Sequence[Neighbor],
    usage: NatUsage | None,
    view: View,
    contradicted: bool,
) -> Location:
    device, port = place
    here = [row for row, at in sighted if at == place]
    vlan, vlan_weight = _vlan(here, [row for row, _ in sighted], heard)
    evidence = _evidence_of_address(mac, heard, usage, view)
    age = max([min(_age(row, view) for row in here), *(step.age_s for step in evidence if step.table == "arp")])
    weights = (
        max(1 - age / FADES_S, STALEST),
        1.0 if device in view.ways.known else UNCERTAIN_UPLINKS,
        CONTRADICTED if contradicted else 1.0,
        MISSING_TABLE if view.blind - {device} else 1.0,
        vlan_weight,
        UNCONFIRMED_STATIC if all(row.static for row in here) and place not in view.up else 1.0,
    )
    passed = [(row, at) for row, at in sighted if at != place]
    path = (*evidence, *_evidence_of_port(mac, here, passed, view))
    return Location(device, Station(port, vlan, mac), age, prod(weights), path)


def _vlan(here: Sequence[FdbEntry], rows: Sequence[FdbEntry], heard: Sequence[Neighbor]) -> tuple[int | None, float]:
    """The VLAN and its weight in the confidence."""
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
    return view.fdb_ages.get(row.device, 0.0) + (row.age_s or 0.0)


def _evidence_of_address(
    mac: Mac, heard: Sequence[Neighbor], usage: NatUsage | None, view: View
) -> tuple[PathStep, ...]:
    """The busiest address's row in the translation table, and the freshest ARP row that gives it this MAC."""
    if not heard:
        return ()
    address = usage.address if usage else heard[0].address
    row = heard[0]
    if len(heard) > 1:
        row = min(
            (row for row in heard if row.address == address),
            key=lambda row: (view.ages.get((row.device, "arp"), 0.0), row.device, row.interface),
        )
    age = view.ages.get((row.device, "arp"), 0.0)
    arp = PathStep(row.device, "arp", f"{address} is {mac} on {row.interface}", age)
    if usage is None:
        return (arp,)
    nat_age = view.ages.get((usage.device, "nat"), 0.0)
    return (PathStep(usage.device, "nat", f"{address} has {usage.sessions:,} sessions", nat_age), arp)


def _evidence_of_port(
    mac: Mac, here: Sequence[FdbEntry], passed: Sequence[tuple[FdbEntry, Place]], view: View
) -> list[PathStep]:
    """Every forwarding row of the MAC, the place itself last."""
    name, why, ages = str(mac), view.ways.why, view.fdb_ages
    return [
        PathStep(
            row.device,
            "fdb",
            name + _position(row.port, row.vlan, why.get(at, "perhaps; nothing tells")),
            ages.get(row.device, 0.0) + (row.age_s or 0.0),
        )
        for row, at in passed
    ] + [PathStep(row.device, "fdb", name + _position(row.port, row.vlan, None), _age(row, view)) for row in here]


@lru_cache(maxsize=65536)
def _position(port: str, vlan: int | None, uplink: str | None) -> str:
    """The same for all that pass a port."""
    within = "" if vlan is None else f" in VLAN {vlan}"
    return f" on {port}{within}" if uplink is None else f" on {port}{within}, an uplink: {uplink}"
