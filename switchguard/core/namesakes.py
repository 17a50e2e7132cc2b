"""DHCP leases -> MACs that more than one DHCP client uses at the same time.

A client tells the server its hostname and, often, an identifier. While a lease holds, another one for the same MAC that
contradicts it means a second station, a second system on the same machine, or a copy:

* two hostnames, by their first label and without regard to capitals;
* two client identifiers with an address each, both of which are in use: a machine that boots over the network tells
  another identifier before its system starts, and leaves that first address alone;
* another hostname or identifier for the very same address (the server knows clients by their MAC), while the older
  lease would still hold. By itself that is a machine that was given another name, and whoever is about to be blocked
  could do it at will: it counts if the former name has come back since, or if the MAC is on several ports (copies.py).

IPv4 and IPv6 leases are never compared: a DUID is no client identifier. What is not told contradicts nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from switchguard.core.model import Address, Lease, Mac, Snapshot

_LONGEST = 40
"""Characters of a name that are told: it is text from the network."""


@dataclass(frozen=True, slots=True)
class Namesake:
    """Which leases of a MAC contradict each other."""

    why: str
    renamed: bool = False
    """It is but another name for the same address, and the former one has not come back."""


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


def namesakes(snapshot: Snapshot, in_use: Collection[Address]) -> Mapping[Mac, Namesake]:
    """By MAC. `in_use` are addresses that some table shows to be there now."""
    current, former = _by_mac(snapshot.leases, snapshot.at), _by_mac(snapshot.superseded, snapshot.at)
    found = (
        (mac, _namesake(current.get(mac, []), former.get(mac, []), in_use)) for mac in current.keys() | former.keys()
    )
    return {mac: it for mac, it in found if it is not None}


def _by_mac(leases: Iterable[Lease], now: datetime) -> Mapping[Mac, list[Lease]]:
    theirs: dict[Mac, list[Lease]] = defaultdict(list)
    for lease in leases:
        if _holds(lease, now):
            theirs[lease.mac].append(lease)
    return {mac: _in_order(its) for mac, its in theirs.items()}


def _namesake(current: Collection[Lease], former: Collection[Lease], in_use: Collection[Address]) -> Namesake | None:
    """A pair of addresses at the same time says more than another name for one address."""
    if len(current) + len(former) < 2:
        return None
    both = next(_reasons(current, in_use, of_one_address=False), None)
    if both is not None:
        return Namesake(both)
    why = next(_reasons(_in_order((*current, *former)), in_use), None)
    return None if why is None else Namesake(why, renamed=not _came_back(current, former))


def _came_back(current: Iterable[Lease], former: Collection[Lease]) -> bool:
    """A name that was given up is told again, and one in between is not."""
    for lease in current:
        theirs = [it for it in former if it.address == lease.address]
        if any(_same(it, lease) for it in theirs) and any(_contradict(it, lease) for it in theirs):
            return True
    return False


def _same(one: Lease, other: Lease) -> bool:
    told = (one.hostname and other.hostname) or (one.client_id and other.client_id)
    return bool(told) and not _contradict(one, other)


def _reasons(leases: Iterable[Lease], in_use: Collection[Address], *, of_one_address: bool = True) -> Iterator[str]:
    for one, other in combinations(leases, 2):
        if one.address.version != other.address.version or not _contradict(one, other):
            continue
        if one.address == other.address and not of_one_address:
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
