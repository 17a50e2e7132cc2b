"""A verdict + the network as seen + what each device can do -> where the penalty goes, or why nowhere.

The zone names the place: a role or a device. Where that place cannot do it (no such penalty, VLAN not carried, list
full, not readable) the switch of the client's location is asked next, then the gateways. All devices of a place must be
able to, or the next place is asked: half a block is none. With one switch of a pair (pairs.py) goes the other, for what
is blocked by MAC: traffic crosses both. One that cannot be read just now is wanted all the same, and gets it when it
can; one that does not carry the VLAN needs none. A port is used only at the place that the zone or a person
names, never as a fallback: naming an access switch for what it can only put on a port is the opt-in.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from switchguard.core.changes import Slot
from switchguard.core.copies import port_meant
from switchguard.core.fit import (
    Situation,
    Unit,
    first_hops,
    held_by,
    holding,
    location_of,
    no_room,
    slots_on,
    why_unlocated,
)
from switchguard.core.ladder import zone_of
from switchguard.core.model import Mac, Role
from switchguard.core.pairs import Peers
from switchguard.core.penalties import Block, Refusal
from switchguard.core.policy import Zone
from switchguard.core.safeguards import Objection, not_anew, refuse
from switchguard.core.users import lost, needs_a_mac

Found = Mapping[str, tuple[Slot, ...] | Objection]
"""Device -> the slots that fit, or why none does."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a unit goes. `note` says why not to the place that was asked first."""

    unit: Unit
    slots: tuple[Slot, ...]
    note: str = ""


def stays(unit: Unit, situation: Situation) -> bool:
    """In force somewhere by MAC or port, as far as we know, while its client is nowhere to be followed to."""
    if location_of(unit) is not None or unit.verdict.on_device is not None:
        return False
    return any(
        slot.address is None and slot.network is None and in_force(slot, situation) for slot in held_by(unit, situation)
    )


def in_force(slot: Slot, situation: Situation) -> bool:
    """Seen there, or verified once and gone (a reload, to be repaired), or on a device that we cannot look at now."""
    verified = slot in situation.held and situation.held[slot].state == "verified"
    return verified or not situation.readable(slot.device) or situation.present(slot) is not None


def place(unit: Unit, situation: Situation, occupied: Collection[Slot]) -> Placement | Refusal:
    """Slots for this unit, given the `occupied` ones (everybody's), or the Refusal that tells every place's reason."""
    objection = _out_of_reach(unit, situation)
    if objection:
        return refuse(unit.verdict, unit.what, objection)
    if there := _blocked_already(unit, situation):
        return Placement(unit, there)
    reasons: list[tuple[str | None, Objection]] = []
    for rank, devices in enumerate(_places(unit, situation)):
        each = {name: slots_on(name, unit, situation, occupied, named=rank == 0) for name in devices}
        found = _of_one_mind(each, unit, situation)
        wrong = [(name, result) for name, result in found.items() if isinstance(result, Objection)]
        slots = tuple(slot for result in found.values() if not isinstance(result, Objection) for slot in result)
        if slots and not wrong:
            return Placement(unit, slots, _told(reasons))
        reasons += wrong or [(None, _nobody(unit, situation))]
    device, first = reasons[0]
    return refuse(unit.verdict, unit.what, Objection(first.safeguard, _told(reasons)), device)


def _out_of_reach(unit: Unit, situation: Situation) -> Objection | None:
    """Why no place at all is right."""
    verdict, attribution = unit.verdict, situation.attribution
    if why := needs_a_mac(verdict.client, unit.macs, verdict.penalty):
        return Objection("unlocated", why)
    if verdict.client.startswith("user:") and not unit.whom.clients and not unit.whom.addresses:
        return Objection("unlocated", f"{verdict.client.removeprefix('user:')} is not connected now")
    gone = [it for it in verdict.addresses if lost(it, verdict.client, attribution)]
    if gone and not unit.whom.addresses and not unit.macs:
        return Objection("unlocated", f"{gone[0]} is lent to users, and not to {verdict.client} now")
    return not_anew(unit.whom, unit.macs, attribution, situation.policy.safeguards, _cut(unit.macs, situation))


def _cut(macs: Collection[Mac], situation: Situation) -> frozenset[Mac]:
    """Those that a block of ours hides."""
    blocks = (slot for slot in situation.held if slot.station.mac in macs and slot.kind == Block.kind)
    return frozenset(it.station.mac for it in blocks if it.station.mac is not None and _stands(it, situation))


def _blocked_already(unit: Unit, situation: Situation) -> tuple[Slot, ...]:
    """Where this MAC is blocked for another cause, while it is nowhere to be seen: the new one counts there too."""
    if unit.key is None or location_of(unit) is not None or unit.verdict.on_device is not None:
        return ()
    there = (slot for slot in situation.held if (slot.station.mac, slot.kind) == (unit.key, Block.kind))
    return tuple(slot for slot in there if _stands(slot, situation))


def _stands(slot: Slot, situation: Situation) -> bool:
    """Seen there, or verified once: what was merely meant cuts nobody."""
    return situation.held[slot].state == "verified" or situation.present(slot) is not None


# --- pairs -----------------------------------------------------------------------------------------------------------


def completion(unit: Unit, situation: Situation, occupied: Collection[Slot]) -> tuple[Placement, ...]:
    """Of a unit that stays where it is: what is still missing on the other switch of a pair, with what is there. One
    could not be reached when the block was placed, and the client that is cut on the other is nowhere now."""
    pairs, held = _pairs(unit, situation), held_by(unit, situation)
    twins = {replace(it, device=pairs[it.device]) for it in held if it.device in pairs and in_force(it, situation)}
    missing = [slot for slot in twins - held if not _carries_not(slot, situation)]
    wanted = [it for it in missing if not no_room(situation.enforcers[it.device], (it,), occupied)]
    if not wanted or _out_of_reach(unit, situation):
        return ()
    return (Placement(unit, (*held, *wanted)),)


def _of_one_mind(found: Found, unit: Unit, situation: Situation) -> Found:
    """Where one of a pair can do it and the other only cannot tell now, the other is to do the same."""
    pairs = _pairs(unit, situation)
    return {name: _as_its_peer(name, found, pairs, situation) for name in found} if pairs else found


def _as_its_peer(name: str, found: Found, pairs: Peers, situation: Situation) -> tuple[Slot, ...] | Objection:
    own, peers_own = found[name], found.get(pairs.get(name, name))
    if not isinstance(own, Objection) or peers_own is None or isinstance(peers_own, Objection):
        return own
    slots = tuple(replace(slot, device=name) for slot in peers_own)
    if all(_carries_not(slot, situation) for slot in slots):
        return ()
    unseen = not situation.readable(name) or name not in situation.attribution.vlans
    return slots if unseen and own.safeguard in ("gap", "unsupported") else own


def _carries_not(slot: Slot, situation: Situation) -> bool:
    """Its forwarding table was read, and has nobody in this VLAN."""
    carried = situation.attribution.vlans.get(slot.device)
    return carried is not None and slot.station.vlan is not None and slot.station.vlan not in carried


def _with_peers(names: tuple[str, ...], unit: Unit, situation: Situation) -> tuple[str, ...]:
    pairs = _pairs(unit, situation)
    return tuple(dict.fromkeys(it for name in names for it in (name, pairs.get(name, name)))) if pairs else names


def _pairs(unit: Unit, situation: Situation) -> Peers:
    """For a block by MAC; an address or a port is on one of them only."""
    penalty = unit.verdict.penalty
    return situation.pairs if isinstance(penalty, Block) and penalty.by == "mac" else {}


# --- which devices ---------------------------------------------------------------------------------------------------


def _places(unit: Unit, situation: Situation) -> tuple[tuple[str, ...], ...]:
    """The groups of devices to ask, best first, none twice."""
    if (port := port_meant(unit.verdict)) is not None:
        return ((port[0],),)
    if unit.verdict.on_device is not None:
        return (_with_peers((unit.verdict.on_device,), unit, situation),)
    asked = _with_peers(_named(_zone_of(unit, situation), unit, situation), unit, situation)
    others = (_with_peers(_at_location(unit, situation), unit, situation), _gateways(unit, situation))
    return (asked, *(group for group in dict.fromkeys(others) if group and group != asked))


def _zone_of(unit: Unit, situation: Situation) -> Zone:
    """The zone of the subject's addresses, else one that asks for the core."""
    return zone_of(unit.whom.addresses, situation.policy.zones) or Zone("everybody else", ())


def _named(zone: Zone, unit: Unit, situation: Situation) -> tuple[str, ...]:
    """`enforce_at` is a role, also where a device has the same name, or else the name of a device."""
    match zone.enforce_at:
        case Role.ACCESS:
            return _at_location(unit, situation)
        case Role.GATEWAY:
            return _gateways(unit, situation)
        case Role.CORE:
            return _cores(unit, situation)
        case name:
            return (name,)


def _at_location(unit: Unit, situation: Situation) -> tuple[str, ...]:
    location = location_of(unit)
    return (location.device,) if location is not None else ()


def _cores(unit: Unit, situation: Situation) -> tuple[str, ...]:
    """The core switches that have the MAC in their table, else all. One that holds the penalty already stays in."""
    rows = (row for mac in unit.macs for row in situation.attribution.sightings.get(mac, ()))
    seeing = {row.device for row in rows} | holding(unit, situation)
    return _of_role(Role.CORE, seeing, situation)


def _gateways(unit: Unit, situation: Situation) -> tuple[str, ...]:
    """The gateways that the client is known to use, else all; one that holds the penalty already stays in."""
    using = {client.usage.device for client in unit.whom.clients if client.usage is not None}
    return _of_role(Role.GATEWAY, using | set(first_hops(unit)) | holding(unit, situation), situation)


def _of_role(role: Role, preferred: Collection[str], situation: Situation) -> tuple[str, ...]:
    names = sorted(name for name, enforcer in situation.enforcers.items() if enforcer.device.role is role)
    return tuple(name for name in names if name in preferred) or tuple(names)


def _nobody(unit: Unit, situation: Situation) -> Objection:
    """Why a group of devices is empty."""
    place = _zone_of(unit, situation).enforce_at
    if place == Role.ACCESS:
        return Objection("unlocated", f"its switch is not known: {why_unlocated(unit)}")
    return Objection("unsupported", f"no device that can enforce has the role {place}")


def _told(reasons: Iterable[tuple[str | None, Objection]]) -> str:
    return "; ".join(f"{name}: {it.why}" if name else it.why for name, it in reasons)
