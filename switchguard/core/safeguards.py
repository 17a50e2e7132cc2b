"""What must never be touched, what must not be touched now, and how much at once looks like our own mistake.

Three kinds, because a standing penalty reacts differently to each:
- `never`, `never_whole`: exemptions, reserved and infrastructure addresses, and subnets that are too large or not one
  zone's. Refuses, and lifts what stands.
- `not_anew`, `not_at`, `not_on_port`: routers, uplinks, weak evidence. Refuses what is new; what stands, stays: a
  client must not be able to shake off a penalty by moving, hiding or taking a dozen addresses.
- `not_copied`, `copied_by_now`: a MAC that two stations may be using is not blocked, whoever asks, and no override
  helps: an exemption is the site's own wish, which its people may overrule; whose MAC it is, is a fact. Where two
  stations certainly are there at once, what stands is lifted as well: we would rather miss a heavy user than ban the
  neighbour whose MAC he copied.
- `too_many`, `too_many_on`: brakes. They stop new penalties, never a release.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from switchguard.core.changes import Slot
from switchguard.core.copies import port_meant
from switchguard.core.decide import is_manual
from switchguard.core.model import PEER_LINK, Address, Attribution, Client, Device, Link, Location, Mac, Mode, Network
from switchguard.core.penalties import Block, Exemption, Refusal, Subject, Verdict
from switchguard.core.policy import Policy, Safeguards
from switchguard.core.reserved import never_a_client
from switchguard.core.topology import Place, is_aggregate
from switchguard.core.users import lost


@dataclass(frozen=True, slots=True)
class Objection:
    """Why not, and the safeguard's stable word. It becomes a Refusal where verdict and device are known."""

    safeguard: str
    why: str


def subject(verdict: Verdict, attribution: Attribution, held: Iterable[Slot] = ()) -> Subject:
    """The verdict's own MACs and addresses and those that its identity has now, less what is somebody else's now."""
    if (place := port_meant(verdict)) is not None:
        return _port_itself(verdict, place, attribution)
    named_macs = _named_macs(verdict)
    named_addresses = {it for it in _named_addresses(verdict) if not lost(it, verdict.client, attribution)}

    def shares(client: Client) -> bool:
        if _any_within(client.addresses, verdict.covers):
            return True
        if verdict.client == client.identity or not named_macs.isdisjoint(client.macs):
            return True
        return not named_macs and not named_addresses.isdisjoint(client.addresses)

    def is_it(client: Client) -> bool:
        """The verdict's own client, not merely a person who also has one of its MACs."""
        return verdict.client == client.identity or (bool(client.macs) and named_macs.issuperset(client.macs))

    clients = tuple(client for client in attribution.clients if shares(client))
    others = tuple(client for client in attribution.clients if not shares(client))
    taken = {address for client in others for address in client.addresses}
    taken_macs = {mac for client in others for mac in client.macs}
    same = [client for client in clients if is_it(client)]
    macs = named_macs.union(*(client.macs for client in same if client.identity == verdict.client))
    addresses = named_addresses.union(*(client.addresses for client in same)) - taken
    slots = tuple(held)
    held_macs = {slot.station.mac for slot in slots if slot.station.mac is not None} - taken_macs
    held_addresses = {slot.address for slot in slots if slot.address is not None} - taken
    held_addresses = {it for it in held_addresses if not lost(it, verdict.client, attribution)}
    lent = {it.mac for it in attribution.contested.values() if not addresses.isdisjoint(it.addresses)}
    return Subject(
        verdict,
        macs=tuple(sorted(macs)),
        addresses=tuple(sorted(addresses, key=lambda it: (it.version, int(it)))),
        clients=clients,
        all_macs=frozenset(macs | held_macs | lent | {mac for client in clients for mac in client.macs}),
        all_addresses=frozenset(addresses | held_addresses | {a for client in clients for a in client.addresses}),
        users=frozenset(_users(verdict, clients)),
    )


def _port_itself(verdict: Verdict, place: Place, attribution: Attribution) -> Subject:
    """A port is penalised only while it is the suspect of a copied MAC. Everybody who is seen there, and the owner of
    the MAC, count for safeguards: if we are wrong about the port, it is them whom it hits."""
    suspicions = [it for it in attribution.contested.values() if it.suspect and _place_of(it.suspect) == place]
    macs = {*verdict.macs, *attribution.macs_on_port.get(place, ())}
    there = tuple(client for client in attribution.clients if not macs.isdisjoint(client.macs))
    owners = {it for mac in verdict.macs if mac in attribution.contested for it in attribution.contested[mac].addresses}
    location = suspicions[0].suspect if suspicions else None
    port = Client(
        verdict.client, verdict.macs, (), None, location, "" if location else "nothing is suspicious there now"
    )
    return Subject(
        verdict,
        macs=verdict.macs,
        addresses=(),
        clients=(port,),
        all_macs=frozenset(macs),
        all_addresses=frozenset(owners | {address for client in there for address in client.addresses}),
        users=frozenset(_users(verdict, there)),
    )


def _place_of(location: Location) -> tuple[str, str | None]:
    return location.device, location.station.port


def refuse(verdict: Verdict, what: str, objection: Objection, device: str | None = None) -> Refusal:
    return Refusal(what, objection.why, objection.safeguard, client=verdict.client, verdict=verdict.id, device=device)


def enforces(policy: Policy, device: Device) -> bool:
    """Both the site and the device must say so (rule 9)."""
    return policy.mode is Mode.ENFORCE and device.mode is Mode.ENFORCE


# --- never -----------------------------------------------------------------------------------------------------------


def never(whom: Subject, exemptions: Iterable[Exemption], attribution: Attribution, now: datetime) -> Objection | None:
    """Whom no penalty may touch, whoever asks. Only an exemption can be overridden, and only by a person."""
    for mac in sorted(whom.all_macs):
        if why := never_a_client(mac):
            return Objection("infrastructure", f"{mac} is {why}")
        if owner := attribution.infrastructure.get(mac):
            return Objection("infrastructure", f"{mac} belongs to {owner}")
    covered = {it for it in attribution.infrastructure_addresses if _any_within((it,), whom.network)}
    for address in sorted(whom.all_addresses | covered, key=str):
        if owner := attribution.infrastructure_addresses.get(address):
            return Objection("infrastructure", f"{address} belongs to {owner}")
    exempt = exempt_by(whom, exemptions, now)
    if exempt is None or overrides_exemption(whom.verdict):
        return None
    return Objection("exemption", f"it is exempt: {exempt.why}")


def never_whole(network: Network, attribution: Attribution, policy: Policy) -> Objection | None:
    """Why no penalty may cover this subnet, whoever asks. One with clients of ours must lie within a single network of
    one zone, so that nobody next door is hit; elsewhere on the internet only its size counts."""
    limits = policy.safeguards
    widest = limits.widest_subnet if network.version == 4 else limits.widest_subnet_ipv6
    if network.prefixlen < widest:
        return Objection(
            "blast_radius", f"{network} is larger than a /{widest}, the widest subnet that may be penalised"
        )
    if any(getattr(network, sort) for sort in ("is_multicast", "is_loopback", "is_link_local", "is_unspecified")):
        return Objection("infrastructure", f"{network} is reserved")
    ours = sorted(it.identity for it in attribution.clients if _any_within(it.addresses, network))
    touched = [zone for zone in policy.zones if any(network.overlaps(it) for it in zone.networks)]
    if len(touched) > 1:
        return Objection("spread", f"{network} is in several zones: {', '.join(zone.name for zone in touched)}")
    if touched and not any(_inside(network, it) for it in touched[0].networks):
        return Objection("spread", f"{network} is more than the zone {touched[0].name}")
    if ours and not touched:
        return Objection("spread", f"{network} has clients of ours ({ours[0]}), but is in no zone")
    return None


def exempt_by(whom: Subject, exemptions: Iterable[Exemption], now: datetime) -> Exemption | None:
    """The first exemption, by id, that covers any MAC, address or user of the subject and has not expired."""
    for exemption in sorted(exemptions, key=lambda it: it.id):
        if (exemption.until is None or exemption.until > now) and _covers(exemption, whom):
            return exemption
    return None


def overrides_exemption(verdict: Verdict) -> bool:
    """A rule cannot override, whatever its verdicts claim."""
    return verdict.override_exemption and is_manual(verdict)


# --- not now ---------------------------------------------------------------------------------------------------------


def not_anew(
    whom: Subject, macs: Iterable[Mac], attribution: Attribution, limits: Safeguards, cut: Collection[Mac] = ()
) -> Objection | None:
    """A MAC that looks like a router, that is only known from beyond our edge, or that somebody may have copied. Those
    that we `cut` ourselves are hidden at our edge: that the others still remember them says nothing."""
    chosen = tuple(macs)
    if objection := not_copied(whom, chosen, attribution):
        return objection
    for mac in chosen:
        addresses = {it for client in whom.clients if mac in client.macs for it in client.addresses}
        if len(addresses) > limits.max_addresses_per_mac:
            why = f"{mac} has {len(addresses)} addresses, more than {limits.max_addresses_per_mac}: it may be a router"
            return Objection("router", why)
        if mac not in cut and only_on_uplinks(mac, attribution):
            return Objection("uplink", f"{mac} is seen on uplinks only, so it is beyond our edge")
    return None


def not_copied(whom: Subject, macs: Collection[Mac], attribution: Attribution) -> Objection | None:
    """A block that the owner of a copied MAC would feel: of the MAC, or of the only address that all its stations
    have. Where they have several, the one that offends may be blocked."""
    penalty = whom.verdict.penalty
    if not isinstance(penalty, Block):
        return None
    for mac, it in sorted(attribution.contested.items()):
        named = mac in macs or (not macs and not set(it.addresses).isdisjoint(whom.addresses))
        alone = mac in whom.macs or it.addresses == whom.addresses
        if named and (penalty.by == "mac" or alone):
            return Objection("copied_mac", f"{mac} may be used by more than one station: {it.why}")
    return None


def copied_by_now(mac: Mac | None, attribution: Attribution) -> Objection | None:
    """Why a block of this MAC must not stay: it certainly hits somebody else too."""
    it = attribution.contested.get(mac) if mac is not None else None
    if it is None or not it.at_once:
        return None
    return Objection("copied_mac", f"{mac} is used by more than one station: {it.why}")


def only_on_uplinks(mac: Mac, attribution: Attribution) -> bool:
    """The link between the switches of a pair leads to the other one's ports: what those are, its own table tells, if
    nobody's is missing."""
    whole = not any(gap.table == "fdb" for gap in attribution.gaps)
    seen = [row for row in attribution.sightings.get(mac, ()) if row.port != PEER_LINK or not whole]
    return bool(seen) and all((row.device, row.port) in attribution.uplinks for row in seen)


def seen_at_edge(mac: Mac, attribution: Attribution) -> bool:
    return any((row.device, row.port) not in attribution.uplinks for row in attribution.sightings.get(mac, ()))


def not_at(location: Location, limits: Safeguards) -> Objection | None:
    """Evidence too weak or too old to write on it."""
    if location.confidence < limits.min_confidence:
        why = f"its place is known with confidence {location.confidence:.2f}, below {limits.min_confidence:.2f}"
        return Objection("confidence", why)
    if location.age_s > limits.max_age_s:
        why = f"it was last seen {location.age_s:.0f} s ago, longer than {limits.max_age_s:.0f} s"
        return Objection("confidence", why)
    return None


def not_on_port(
    device: str, port: str, macs: Collection[Mac], attribution: Attribution, limits: Safeguards
) -> Objection | None:
    """A port action hits whoever is on the port, so it needs a port that is the client's alone, but for a telephone."""
    if device not in attribution.uplinks_known:
        return Objection("uplink", f"the uplinks of {device} are not known, so no port of it is touched")
    if why := attribution.uplinks.get((device, port)):
        return Objection("uplink", f"{port} is an uplink: {why}")
    if is_aggregate(port):
        return Objection("uplink", f"{port} is a link aggregate")
    neighbors = attribution.neighbors_on_port.get((device, port), ())
    if others := [link.neighbor for link in neighbors if not is_telephone(link)]:
        return Objection("uplink", f"{port} has a neighbour that is no telephone: {', '.join(sorted(others))}")
    on_port = occupants(device, port, attribution)
    phones = sum(link.chassis is None for link in neighbors)
    if len(on_port) > limits.max_macs_per_port + phones:
        return Objection("spread", f"{port} has {len(on_port)} MACs, more than {limits.max_macs_per_port}")
    if on_port and on_port.isdisjoint(macs):
        return Objection("spread", f"{port} has somebody else's MAC now")
    return None


def occupants(device: str, port: str, attribution: Attribution) -> frozenset[Mac]:
    """The MACs on a port, less those of telephones that told theirs."""
    neighbors = attribution.neighbors_on_port.get((device, port), ())
    phones = {link.chassis for link in neighbors if is_telephone(link)}
    return attribution.macs_on_port.get((device, port), frozenset()) - phones


def is_telephone(link: Link) -> bool:
    """Telephones have a bridge in them and say so; one that routes or radiates is more than a telephone."""
    return "telephone" in link.capabilities and link.capabilities.isdisjoint({"router", "wlan-access-point"})


# --- brakes ----------------------------------------------------------------------------------------------------------


def too_many(new: Collection[Verdict], seen: int, limits: Safeguards) -> Objection | None:
    """One cycle's new verdicts against the brakes: how many, and of what share of the clients seen (one may always)."""
    clients = len({verdict.client for verdict in new})
    if len(new) <= limits.new_per_cycle and clients <= max(1, int(limits.share_of_clients * seen + 1e-9)):
        return None
    brake = f"{limits.new_per_cycle} per cycle, {limits.share_of_clients:.0%} of {seen} clients"
    why = f"{len(new)} new penalties at once look like our own mistake, so none is made (brakes: {brake})"
    return Objection("blast_radius", why)


def too_many_on(device: str, penalties: int, limits: Safeguards) -> Objection | None:
    """`penalties` that one device would hold, however many lines each takes there."""
    if penalties <= limits.per_device:
        return None
    return Objection("blast_radius", f"{device} would hold {penalties} penalties, more than {limits.per_device}")


def _named_macs(verdict: Verdict) -> set[Mac]:
    sort, _, name = verdict.client.partition(":")
    return {*verdict.macs, *((Mac.parse(name),) if sort == "mac" else ())}


def _named_addresses(verdict: Verdict) -> set[Address]:
    sort, _, name = verdict.client.partition(":")
    return {*verdict.addresses, *((ip_address(name),) if sort == "address" else ())}


def _users(verdict: Verdict, clients: Iterable[Client]) -> set[str]:
    owners = {client.owner for client in clients if client.owner is not None}
    identities = {verdict.client, *(client.identity for client in clients)}
    return owners | {it.removeprefix("user:") for it in identities if it.startswith("user:")}


def _covers(exemption: Exemption, whom: Subject) -> bool:
    network = exemption.network
    if network is not None and (
        _any_within(whom.all_addresses, network) or (whom.network is not None and whom.network.overlaps(network))
    ):
        return True
    return exemption.mac in whom.all_macs or exemption.user in whom.users


def _any_within(addresses: Iterable[Address], network: Network | None) -> bool:
    return network is not None and any(it.version == network.version and it in network for it in addresses)


def _inside(inner: Network, outer: Network) -> bool:
    """`subnet_of` for either family; two families never compare."""
    return inner.version == outer.version and inner.network_address in outer and inner.prefixlen >= outer.prefixlen
