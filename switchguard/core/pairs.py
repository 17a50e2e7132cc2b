"""Two switches that are one to whoever is plugged into both: vPC, MLAG, MC-LAG, VSX.

A station on an aggregate of both is in both forwarding tables, each time on that switch's own member of it: one place,
not two. The site says which switches are a pair (`Device.mlag_peer`, by both); the aggregate has the same name on both.
A station on any other port is on that port alone, and the peer has it behind the link between the two.

Traffic for either kind may cross the peer, so a MAC that is blocked on one is blocked on both.
"""

from collections.abc import Collection, Iterable, Mapping

from switchguard.core.model import Device
from switchguard.core.topology import Place, is_aggregate

Peers = Mapping[str, str]
"""Device -> the other one of its pair."""


def peers(devices: Iterable[Device]) -> Peers:
    """Those who name each other."""
    named = {device.name: device.mlag_peer for device in devices if device.mlag_peer is not None}
    return {name: peer for name, peer in named.items() if named.get(peer) == name and peer != name}


def twin(place: Place, pairs: Peers) -> Place | None:
    """The same aggregate on the peer, whether or not anybody is seen there."""
    device, port = place
    peer = pairs.get(device)
    return (peer, port) if peer is not None and is_aggregate(port) else None


def whole(place: Place, pairs: Peers) -> Place:
    """One name for both ends: that of the first of the two switches."""
    return min(place, twin(place, pairs) or place)


def each_once(places: Collection[Place], pairs: Peers, rather: Collection[str]) -> set[Place]:
    """Of an aggregate that is among the places with both ends, the one on the device that is in `rather`."""

    def is_kept(place: Place) -> bool:
        other = twin(place, pairs)
        return other not in places or other is None or _rank(place, rather) < _rank(other, rather)

    return {place for place in places if is_kept(place)}


def _rank(place: Place, rather: Collection[str]) -> tuple[bool, str]:
    return (place[0] not in rather, place[0])
