"""One device, one client, one penalty -> the slots that fit, or why none does.

- Known where: the location must be certain and fresh enough, whatever the penalty is.
- Known who, but not where (no switch is read, or none has it): a MAC block is still right on a device that blocks whole
  MACs, as the MAC comes from the gateway's own table. It is not right for a MAC that some edge port shows and that
  could not be pinned: then two stations may be using it, and one of them may have copied it.
- A subnet is only put where a device takes it as one: its addresses one by one would let the next one through.
- Everybody at once is only ever meant by who says so: no client's cap becomes everybody's.
- A person who names the device answers for the place; who names the MAC, for the identity.
- A penalty on a MAC or an address is preferred to one on a port, which hits whoever is plugged in there.
- Being blocked hides a client: drop entries shadow it in forwarding tables. So what holds a penalty already counts as
  fit to hold it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from switchguard.core.changes import Enforced, Enforcer, HeldSlot, Scope, Slot
from switchguard.core.copies import port_meant
from switchguard.core.decide import is_manual
from switchguard.core.everybody import everyone_meant
from switchguard.core.explain import client_phrase, penalty_phrase
from switchguard.core.ladder import in_box
from switchguard.core.model import Attribution, Gap, Location, Mac, Role, Station, reaches_beyond_its_link
from switchguard.core.pairs import Peers
from switchguard.core.penalties import Block, Penalty, RateLimit, SessionCap, Subject, Verdict
from switchguard.core.policy import Policy
from switchguard.core.safeguards import Objection, not_at, not_on_port, seen_at_edge


@dataclass(frozen=True, slots=True)
class Situation:
    """What planning knows, apart from the verdicts."""

    attribution: Attribution
    held: Mapping[Slot, HeldSlot]
    enforced: Mapping[str, Enforced | Gap]
    enforcers: Mapping[str, Enforcer]
    policy: Policy
    now: datetime
    pairs: Peers
    """Of switches that can enforce."""

    def on(self, device: str) -> Enforced | Gap:
        """What the device enforces; a device that nobody asked is a gap like any other."""
        return self.enforced.get(device, Gap(device, "enforced", "it is not among the devices that were asked"))

    def readable(self, device: str) -> bool:
        return not isinstance(self.on(device), Gap)

    def as_put(self, verdict: Verdict, device: str) -> Penalty:
        """The verdict's penalty as this device is to have it: a limit in the box, where the device has one."""
        penalty, box, enforcer = verdict.penalty, self.policy.box, self.enforcers.get(device)
        if box is None or enforcer is None or not enforcer.facts.boxes:
            return penalty
        if isinstance(penalty, RateLimit) and in_box(verdict):
            return replace(penalty, within=box.bits_per_second)
        return penalty

    def present(self, slot: Slot) -> Penalty | None:
        """What is in the slot, as far as the device could be read."""
        there = self.on(slot.device)
        return None if isinstance(there, Gap) else there.get(slot)


@dataclass(frozen=True, slots=True)
class Unit:
    """The part of a verdict that is placed as one: one MAC of a MAC block, else all of it."""

    whom: Subject
    macs: tuple[Mac, ...]
    key: Mac | None

    @property
    def verdict(self) -> Verdict:
        return self.whom.verdict

    @property
    def what(self) -> str:
        who = f"{self.key} of {self.verdict.client}" if self.key and str(self.key) not in self.verdict.client else ""
        return f"{penalty_phrase(self.verdict.penalty)} for {who or client_phrase(self.verdict.client)}"


def units(whom: Subject) -> tuple[Unit, ...]:
    """A MAC block goes MAC by MAC, each to where that MAC is; a MAC that cannot be placed does not free the others."""
    if _by_mac(whom.verdict.penalty) and whom.macs:
        return tuple(Unit(whom, (mac,), mac) for mac in whom.macs)
    return (Unit(whom, whom.macs, None),)


def unit_key(verdict: Verdict, slot: Slot) -> Mac | None:
    """Which unit of the verdict a slot belongs to."""
    return slot.station.mac if _by_mac(verdict.penalty) else None


def held_by(unit: Unit, situation: Situation) -> frozenset[Slot]:
    """The slots that we filled (or meant to) for this unit."""
    verdict = unit.verdict
    ours = (slot for slot, held in situation.held.items() if verdict.id in held.verdicts)
    return frozenset(slot for slot in ours if unit_key(verdict, slot) == unit.key)


def holding(unit: Unit, situation: Situation) -> set[str]:
    """The devices of these slots."""
    return {slot.device for slot in held_by(unit, situation)}


# --- which slots on a device -----------------------------------------------------------------------------------------


def slots_on(
    name: str, unit: Unit, situation: Situation, occupied: Collection[Slot], named: bool
) -> tuple[Slot, ...] | Objection:
    enforcer = situation.enforcers.get(name)
    if enforcer is None:
        there_are = ", ".join(sorted(situation.enforcers)) or "none"
        return Objection("unsupported", f"it is no device that can enforce; there are: {there_are}")
    slots = _first_fitting(enforcer, unit, situation, named)
    if isinstance(slots, Objection):
        return slots
    there = situation.on(name)
    if isinstance(there, Gap) and not situation.held.keys() >= set(slots):
        return Objection("gap", f"what it enforces now could not be read: {there.why}")
    return no_room(enforcer, slots, occupied) or slots


def _first_fitting(enforcer: Enforcer, unit: Unit, situation: Situation, named: bool) -> tuple[Slot, ...] | Objection:
    """In the first scope that works; if none does, why the best one does not."""
    scopes = _scopes(unit.whom, enforcer, named)
    results = [_in_scope(scope, enforcer.device.name, unit, situation) for scope in scopes]
    fitting = [result for result in results if not isinstance(result, Objection)]
    return (fitting or results or [_no_way(unit, enforcer)])[0]


def _no_way(unit: Unit, enforcer: Enforcer) -> Objection:
    platform, wish = enforcer.device.platform, penalty_phrase(unit.verdict.penalty)
    if everyone_meant(unit.verdict):
        return Objection("unsupported", f"{platform} has no way here for {wish} for everyone")
    why = f"{platform} has no way here for {wish}{'' if unit.whom.network is None else ' on a whole subnet'}"
    if enforcer.facts.penalties.get(unit.verdict.penalty.kind) == ("everyone",):
        why += ", only for everyone at once, which is for a person to ask for (`switchguard cap everyone`)"
    return Objection("unsupported", why)


def _scopes(whom: Subject, enforcer: Enforcer, named: bool) -> list[Scope]:
    """The driver's order, but a port comes last, and only where it was named. A cap is the gateway's that translates:
    the same platform may be a switch, which would refuse it; likewise a limit by address where there are some by port.
    """
    penalty = whom.verdict.penalty
    every = enforcer.facts.penalties.get(penalty.kind, ())
    if isinstance(penalty, SessionCap) and enforcer.device.role is not Role.GATEWAY:
        return []
    if everyone_meant(whom.verdict):
        return [scope for scope in every if scope == "everyone"]
    if whom.network is not None:
        return [scope for scope in every if scope == "network"]
    if port_meant(whom.verdict) is not None:
        return [scope for scope in every if scope == "port"]
    offered = [scope for scope in every if scope not in ("network", "everyone")]
    if isinstance(penalty, Block):
        return [scope for scope in offered if (scope == "address") == (penalty.by == "address") and scope != "port"]
    ports: list[Scope] = ["port"] if named and "port" in offered else []
    if "port" in offered and isinstance(penalty, RateLimit) and enforcer.device.role is not Role.GATEWAY:
        return [scope for scope in offered if scope not in ("port", "address")] + ports
    return [scope for scope in offered if scope != "port"] + ports


def _in_scope(scope: Scope, device: str, unit: Unit, situation: Situation) -> tuple[Slot, ...] | Objection:
    if scope == "everyone":
        return (Slot(device, unit.verdict.penalty.kind),)
    if scope == "network":
        return _whole_network(device, unit)
    if scope == "address":
        return _weak(unit, situation) or _by_address(device, unit, situation)
    if not unit.macs and scope != "port":
        return Objection("unlocated", "none of its MACs is known")
    if scope == "port":
        return _on_port(device, unit, situation)
    if scope == "mac_vlan":
        return _per_vlan(device, unit, situation)
    return _unsure_who(unit, situation) or _whole_mac(scope, device, unit, situation)


def _by_address(device: str, unit: Unit, situation: Situation) -> tuple[Slot, ...] | Objection:
    kind, meant = unit.verdict.penalty.kind, [it for it in unit.whom.addresses if reaches_beyond_its_link(it)]
    if not meant:
        return Objection("unlocated", "none of its addresses is known")
    enforcer = situation.enforcers.get(device)
    only_ipv4 = enforcer is not None and kind in enforcer.facts.only_ipv4
    slots = tuple(Slot(device, kind, address=it) for it in meant if it.version == 4 or not only_ipv4)
    return slots or Objection(
        "unsupported", "it can do that for IPv4 addresses only, and none of the client's is known"
    )


def _whole_network(device: str, unit: Unit) -> tuple[Slot, ...] | Objection:
    if _by_mac(unit.verdict.penalty):
        return Objection("unsupported", "a subnet has no MAC: its penalty must be {block: address}")
    if unit.whom.network is not None and not reaches_beyond_its_link(unit.whom.network.network_address):
        return Objection("unsupported", "a subnet of one link means nothing elsewhere")
    return (Slot(device, unit.verdict.penalty.kind, network=unit.whom.network),)


def _whole_mac(scope: Scope, device: str, unit: Unit, situation: Situation) -> tuple[Slot, ...] | Objection:
    adjacent = unit.verdict.on_device is not None or device in first_hops(unit) | holding(unit, situation)
    if scope == "mac_adjacent" and not adjacent:
        return Objection("unsupported", "it blocks a MAC only as its first hop, which it is not known to be")
    return tuple(Slot(device, unit.verdict.penalty.kind, Station(mac=mac)) for mac in unit.macs)


def _per_vlan(device: str, unit: Unit, situation: Situation) -> tuple[Slot, ...] | Objection:
    """In every VLAN where the MAC is seen and that the device carries. The VLAN of the location must be among them."""
    if objection := _unsure_which_vlan(unit, situation):
        return objection
    location = location_of(unit)
    home = unit.verdict.vlan or (location.station.vlan if location is not None else None)
    carried = situation.attribution.vlans.get(device, frozenset()) | _held_vlans(device, unit, situation)
    wanted = {mac: _vlans(mac, home, unit, situation) & carried for mac in unit.macs}
    if any(not vlans or (home is not None and home not in vlans) for vlans in wanted.values()):
        return Objection("unsupported", f"it carries no VLAN {home}" if home else "it carries no VLAN of this MAC")
    kind = unit.verdict.penalty.kind
    slots = tuple(Slot(device, kind, Station(vlan=v, mac=mac)) for mac in unit.macs for v in sorted(wanted[mac]))
    return _somebody_pinned_it(slots, situation) or slots


def _held_vlans(device: str, unit: Unit, situation: Situation) -> frozenset[int]:
    held = (slot for slot in held_by(unit, situation) if slot.device == device)
    return frozenset(slot.station.vlan for slot in held if slot.station.vlan is not None)


def _vlans(mac: Mac, home: int | None, unit: Unit, situation: Situation) -> frozenset[int]:
    """Learned rows only: a static row may be the shadow of a drop entry."""
    if unit.verdict.vlan is not None:
        return frozenset({unit.verdict.vlan})
    rows = situation.attribution.sightings.get(mac, ())
    seen = {row.vlan for row in rows if row.vlan is not None and not row.static}
    return frozenset(seen | ({home} if home is not None else set()))


def _somebody_pinned_it(slots: Iterable[Slot], situation: Situation) -> Objection | None:
    """Of a static entry and a drop entry for one MAC and VLAN, a switch keeps the last: ours would erase theirs."""
    for slot in slots:
        if slot in situation.held or slot.station.mac is None or situation.present(slot) is not None:
            continue
        for row in situation.attribution.sightings.get(slot.station.mac, ()):
            if row.static and (row.device, row.vlan) == (slot.device, slot.station.vlan):
                return Objection("foreign", f"somebody has a static entry for {row.mac} on its port {row.port}")
    return None


def _on_port(device: str, unit: Unit, situation: Situation) -> tuple[Slot, ...] | Objection:
    location = location_of(unit)
    if location is None or location.station.port is None:
        return Objection("unlocated", f"its port is not known: {why_unlocated(unit)}")
    if location.device != device:
        return Objection("unsupported", f"the client is on a port of {location.device}")
    limits, port = situation.policy.safeguards, location.station.port
    slot = Slot(device, unit.verdict.penalty.kind, Station(port=port))
    in_force = slot in held_by(unit, situation) and situation.present(slot) is not None
    if in_force and (device, port) not in situation.attribution.uplinks:
        return (slot,)
    objection = not_at(location, limits) or not_on_port(device, port, unit.macs, situation.attribution, limits)
    return objection or (slot,)


def no_room(enforcer: Enforcer, slots: Iterable[Slot], occupied: Collection[Slot]) -> Objection | None:
    """The list's capacity counts everybody's entries. Beyond it the device would refuse, or worse, drop an old one."""
    kind = next(iter(slots)).kind
    capacity = enforcer.facts.capacity.get(kind)
    new = {slot for slot in slots if slot not in occupied}
    if capacity is None or not new:
        return None
    full = sum(slot.device == enforcer.device.name and slot.kind == kind for slot in occupied)
    if full + len(new) <= capacity:
        return None
    return Objection("capacity", f"it holds {full} of at most {capacity} entries of this kind")


# --- how certain -----------------------------------------------------------------------------------------------------


def location_of(unit: Unit) -> Location | None:
    """Where this unit's MAC is; a client with several MACs has one location, which is that of one of them. A subnet is
    nowhere in particular."""
    for client in unit.whom.clients if unit.whom.network is None else ():
        if client.location is None:
            continue
        if unit.key is None or client.location.station.mac == unit.key or client.macs == (unit.key,):
            return client.location
    return None


def _weak(unit: Unit, situation: Situation) -> Objection | None:
    """A known place must be certain and fresh, unless a person answers for it."""
    location = location_of(unit)
    if location is None or unit.verdict.on_device is not None:
        return None
    return not_at(location, situation.policy.safeguards)


def _unsure_who(unit: Unit, situation: Situation) -> Objection | None:
    """For devices that block a MAC wherever it is. Only a person may name a MAC that attribution does not know."""
    if location_of(unit) is not None or is_manual(unit.verdict):
        return _weak(unit, situation)
    if not unit.whom.clients:
        return Objection("unlocated", "the client is not seen now")
    if any(seen_at_edge(mac, situation.attribution) for mac in unit.macs):
        return Objection("unlocated", f"whose MAC it is, is not certain: {why_unlocated(unit)}")
    return None


def _unsure_which_vlan(unit: Unit, situation: Situation) -> Objection | None:
    if location_of(unit) is not None or unit.verdict.vlan is not None or is_manual(unit.verdict):
        return _weak(unit, situation)
    return Objection("unlocated", f"its VLAN is not known: {why_unlocated(unit)}")


def first_hops(unit: Unit) -> frozenset[str]:
    """Devices that resolved the client's address themselves; without such evidence, the gateway that translates it."""
    location = location_of(unit)
    resolved = {step.device for step in location.path if step.table == "arp"} if location is not None else set()
    using = {client.usage.device for client in unit.whom.clients if client.usage is not None}
    return frozenset(resolved or using)


def why_unlocated(unit: Unit) -> str:
    told = [client.why_no_location for client in unit.whom.clients if client.why_no_location]
    return "; ".join(sorted(set(told))) or "the client is not seen now"


def _by_mac(penalty: Penalty) -> bool:
    return isinstance(penalty, Block) and penalty.by == "mac"
