"""DHCP leases -> MACs that more than one DHCP client uses at the same time.

A client tells the server its hostname and, often, an identifier. While a lease holds, another one for the same MAC that
contradicts it means a second station, a second system on the same machine, or a copy:

* two hostnames, by their first label and without regard to capitals;
* two client identifiers with an address each, both of which are in use: a machine that boots over the network tells
  another identifier before its system starts, and leaves that first address alone;
* another hostname or identifier for the very same address (the server knows clients by their MAC), while the older
  lease would still hold.

IPv4 and IPv6 leases are never compared: a DUID is no client identifier. What is not told contradicts nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import combinations

from switchguard.core.model import Address, Lease, Mac, Snapshot

_LONGEST = 40
"""Characters of a name that are told: it is text from the network."""


def superseded(old: Snapshot, new: Snapshot) -> tuple[Lease, ...]:
    """Leases of the older look whose address the same MAC has under another name in the newer one, before their end."""
    if not (old.superseded or (old.leases and new.leases)):
        return ()
    now = {(lease.address, lease.mac): lease for lease in new.leases}
    gone = (
        lease
        for lease in old.leases
        if (later := now.get((lease.address, lease.mac))) is not None and _contradict(lease, later)
    )
    return tuple(_in_order({lease for lease in (*old.superseded, *gone) if _holds(lease, new.at)}))


def namesakes(snapshot: Snapshot, in_use: Collection[Address]) -> Mapping[Mac, str]:
    """MAC -> which leases contradict each other. `in_use` are addresses that some table shows to be there now."""
    theirs: dict[Mac, list[Lease]] = defaultdict(list)
    for lease in (*snapshot.leases, *snapshot.superseded):
        if _holds(lease, snapshot.at):
            theirs[lease.mac].append(lease)
    several = ((mac, leases) for mac, leases in theirs.items() if len(leases) > 1)
    return {mac: why for mac, leases in several if (why := next(_reasons(_in_order(leases), in_use), None))}


def _reasons(leases: Iterable[Lease], in_use: Collection[Address]) -> Iterator[str]:
    for one, other in combinations(leases, 2):
        if one.address.version != other.address.version or not _contradict(one, other):
            continue
        both_used = one.address == other.address or {one.address, other.address} <= set(in_use)
        if both_used or not _alike(_label(one), _label(other)):
            yield f"two DHCP clients use it: {_told(one)} and {_told(other)}"


def _contradict(one: Lease, other: Lease) -> bool:
    return not (_alike(_label(one), _label(other)) and _alike(one.client_id, other.client_id))


def _alike(one: str | None, other: str | None) -> bool:
    """What is not told is like anything."""
    return not one or not other or one == other


def _label(lease: Lease) -> str | None:
    return lease.hostname.split(".")[0].casefold() if lease.hostname else None


def _holds(lease: Lease, now: datetime) -> bool:
    return lease.until is None or lease.until > now


def _told(lease: Lease) -> str:
    name = lease.hostname or lease.client_id or "without a name"
    return f"{name[:_LONGEST]} ({lease.address})"


def _in_order(leases: Iterable[Lease]) -> list[Lease]:
    return sorted(
        leases,
        key=lambda it: (
            it.address.version,
            int(it.address),
            it.mac,
            it.hostname or "",
            it.client_id or "",
            it.source,
            str(it.until),
        ),
    )
