"""What is remembered of the clients that matter to identity.py: those under a penalty, and those who have just arrived.

Of everybody else the next poll tells as much, so what is kept grows with the offenders and the arrivals of half an
hour, not with the network; while nobody is under a penalty, nothing is kept at all.

Somebody is there who is in a forwarding table, learnt and not configured; only where no switch is read, who is in a
neighbour table: those remember for hours.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import nlargest

from switchguard.core.identity import ENOUGH, Scene, contradicted, counted, floors, recognise
from switchguard.core.model import Address, Attribution, Client, Lease, Mac, NatUsage
from switchguard.core.policy import IdentityPolicy
from switchguard.core.traces import KEPT_ADDRESSES, KEPT_PRINTS, Arrivals, Identities, Link, Print, Trace

OTHERS = 200
"""So many other clients a set of remote hosts is compared with, those with most of them."""
LONGEST_NAME = 96
"""Characters that are kept of what a client says of itself."""


def present(attribution: Attribution) -> Mapping[Mac, Client]:
    """Everybody with a MAC of its own who is there now."""
    learnt = {mac for mac, rows in attribution.sightings.items() if any(not row.static for row in rows)}
    return {
        client.macs[0]: client
        for client in attribution.clients
        if len(client.macs) == 1 and (not attribution.sightings or client.macs[0] in learnt)
    }


def seen_again(
    known: Identities,
    suspects: Collection[Mac],
    arrivals: Arrivals,
    attribution: Attribution,
    leases: Sequence[Lease],
    policy: IdentityPolicy,
    judged: bool,
) -> Identities:
    """What is known after this pass. `suspects`: who is under a penalty, or was until a moment ago."""
    at, there = attribution.at, present(attribution)
    told = {lease.mac: lease for lease in sorted(leases, key=_lease_order)}
    traces = {trace.mac: trace for trace in known.traces if _matters(trace, suspects, at, policy)}
    for mac in {*traces, *suspects, *arrivals.first_seen} & there.keys():
        before = traces.get(mac)
        fresh = before or _arrived(mac, arrivals, at, policy)
        traces[mac] = _updated(fresh, there[mac], told.get(mac), _held_before(mac, traces, suspects), at)
    old = [trace for mac, trace in sorted(traces.items()) if mac in suspects]
    came = [trace for _, trace in sorted(traces.items()) if at - trace.appeared <= policy.within]
    others = _others(client for mac, client in there.items() if mac not in traces) if old and came else ()
    scene = Scene(
        at,
        attribution.macs_on_port,
        _tellers((lease.hostname, lease.mac) for lease in leases),
        _tellers((lease.client_id, lease.mac) for lease in leases),
        floors({it.mac: it for it in (*old, *came)}.values(), others),
        arrivals.settled,
    )
    links = counted(known.links, recognise(old, came, scene, policy), policy, judged)
    return Identities(tuple(it for _, it in sorted(traces.items())), tuple(_rechecked(links, traces, at)))


def _matters(trace: Trace, suspects: Collection[Mac], at: datetime, policy: IdentityPolicy) -> bool:
    return trace.mac in suspects or at - trace.appeared <= policy.within


def _rechecked(links: Iterable[Link], traces: Mapping[Mac, Trace], at: datetime) -> Iterator[Link]:
    """A link that what is seen now forbids is none any more."""
    for link in links:
        if link.confidence and link.undone is None and contradicted(link, traces):
            yield replace(link, confidence=0.0, because=("both were there at the same time",), at=at, polls=0)
        else:
            yield link


# --- one client ------------------------------------------------------------------------------------------------------


def _arrived(mac: Mac, arrivals: Arrivals, at: datetime, policy: IdentityPolicy) -> Trace:
    """The trace of somebody of whom there was none: a newcomer, or somebody who has long been there."""
    if mac not in arrivals.first_seen:
        long_ago = at - policy.within - timedelta(seconds=1)
        return Trace(mac, long_ago, long_ago, at, long_ago)
    first = arrivals.first_seen[mac] or at
    appeared = first if at - first <= policy.within else at
    return Trace(mac, first, appeared, at, appeared)


def _updated(
    before: Trace, client: Client, lease: Lease | None, held: Mapping[Address, datetime], at: datetime
) -> Trace:
    station = client.location.station if client.location is not None else None
    device = client.location.device if client.location is not None else before.device
    place = (before.device, before.port, before.vlan) if station is None else (device, station.port, station.vlan)
    moved = before.port is not None and place[:2] != (before.device, before.port)
    began = _began(client.usage, before, at)
    return replace(
        before,
        last_seen=at,
        last_active=max(before.last_active, at if moved else before.last_active, began or before.last_active),
        device=place[0],
        port=place[1],
        vlan=place[2],
        hostname=_short(lease.hostname if lease else None) or before.hostname,
        client_id=_short(lease.client_id if lease else None) or before.client_id,
        addresses=client.addresses[:KEPT_ADDRESSES] or before.addresses,
        prints=_prints(before, client, held, at),
    )


def _began(usage: NatUsage | None, before: Trace, at: datetime) -> datetime | None:
    """When its newest session began, if the gateway tells; that it has more remote hosts than ever says as much."""
    if usage is None:
        return None
    if usage.newest_s is not None:
        return at - timedelta(seconds=usage.newest_s)
    return at if before.prints and usage.remotes > max(it.remotes for it in before.prints) else None


def _prints(before: Trace, client: Client, held: Mapping[Address, datetime], at: datetime) -> tuple[Print, ...]:
    usage = client.usage
    if usage is None or usage.remotes < ENOUGH or not usage.sketch or _inherited(usage, client, held, at):
        return before.prints
    made = Print(at, usage.remotes, usage.sketch)
    if before.prints and before.prints[-1].sketch == made.sketch:
        return before.prints
    return (*before.prints, made)[-KEPT_PRINTS:]


def _inherited(usage: NatUsage, client: Client, held: Mapping[Address, datetime], at: datetime) -> bool:
    """Some of the sessions may be those of whoever had the address before."""
    until = max((held[address] for address in client.addresses if address in held), default=None)
    if until is None:
        return False
    return usage.oldest_s is None or at - timedelta(seconds=usage.oldest_s) <= until


def _held_before(mac: Mac, traces: Mapping[Mac, Trace], suspects: Collection[Mac]) -> Mapping[Address, datetime]:
    """Addresses of others under a penalty -> when those certainly used them last."""
    others = (traces[it] for it in suspects if it != mac and it in traces)
    return {address: trace.last_active for trace in others for address in trace.addresses}


# --- everybody -------------------------------------------------------------------------------------------------------


def _others(clients: Iterable[Client]) -> tuple[Print, ...]:
    usages = [it.usage for it in clients if it.usage is not None and it.usage.remotes >= ENOUGH and it.usage.sketch]
    busiest = nlargest(OTHERS, usages, key=lambda usage: (usage.remotes, str(usage.address)))
    return tuple(Print(datetime.min, usage.remotes, usage.sketch) for usage in busiest)


def _tellers(told: Iterable[tuple[str | None, Mac]]) -> Mapping[str, frozenset[Mac]]:
    found: dict[str, set[Mac]] = defaultdict(set)
    for text, mac in told:
        if (short := _short(text)) is not None:
            found[short].add(mac)
    return {text: frozenset(macs) for text, macs in found.items()}


def _short(text: str | None) -> str | None:
    """Names differ in nothing by their case (RFC 4343)."""
    return text[:LONGEST_NAME].lower() or None if text is not None else None


def _lease_order(lease: Lease) -> tuple[bool, float, str]:
    """The one that ends last is the newest; of what never ends, the last one by name."""
    return (lease.until is None, lease.until.timestamp() if lease.until else 0.0, lease.source)
