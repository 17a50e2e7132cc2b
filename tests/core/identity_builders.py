"""Populations for tests of identity: swarms with churn, phones with their clouds, and what a site remembers of them."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b

from builders import NOON, mac

from switchguard.core.identity import COMMON, Scene, floors
from switchguard.core.model import Mac
from switchguard.core.sketch import Sketch
from switchguard.core.traces import Print, Trace

K = 64
"""Hashes in a sketch, as the drivers make them."""
MINUTE = timedelta(minutes=1)


def hash_of(host: int | str) -> int:
    return int.from_bytes(blake2b(str(host).encode(), digest_size=8).digest())


def sketch(hosts: Iterable[int | str]) -> Sketch:
    return tuple(sorted(map(hash_of, hosts))[:K])


def seen_talking(hosts: Sequence[int | str] | set[int], at: datetime = NOON) -> Print:
    chosen = set(hosts)
    return Print(at, len(chosen), sketch(chosen))


def randomised(number: int) -> Mac:
    return Mac(0xDA0000000000 + number)


def burnt_in(number: int) -> Mac:
    """A MAC of a manufacturer."""
    return Mac(0x001B21000000 + number)


def trace(who: Mac | int, appeared: datetime, gone: datetime | None = None, port: str | None = "Gi0/7") -> Trace:
    """Somebody who came then, and was first seen then; `gone`: last seen and last active."""
    chosen = mac(who) if isinstance(who, int) else who
    last = appeared if gone is None else gone
    return Trace(chosen, appeared, appeared, last, last, "sw1", port, 10)


def told(before: Trace, hostname: str | None = None, client_id: str | None = None) -> Trace:
    return replace(before, hostname=hostname, client_id=client_id)


def talking(before: Trace, *sets: Sequence[int] | set[int]) -> Trace:
    return replace(before, prints=tuple(seen_talking(hosts) for hosts in sets))


def scene(at: datetime, traces: Iterable[Trace], others: Sequence[Print] = ()) -> Scene:
    """As it is when nobody else is there but those in `traces` and `others`."""
    everybody = tuple(traces)
    here = [(it.device, it.port, it.mac) for it in everybody if it.last_seen >= at]
    ports = {(device, port) for device, port, _ in here if device is not None and port is not None}
    return Scene(
        at,
        on_port={place: frozenset(mac for *where, mac in here if tuple(where) == place) for place in ports},
        names={name: frozenset(it.mac for it in everybody if it.hostname == name) for name in _names(everybody)},
        floors={**dict.fromkeys((it.mac for it in everybody), COMMON), **floors(everybody, others)},
    )


def _names(traces: Iterable[Trace]) -> set[str]:
    return {it.hostname for it in traces if it.hostname is not None}


class Swarm:
    """Who shares a torrent. A tracker and the DHT name peers at random, of whom a client keeps some; peers come and go,
    and each client's DHT talks to nodes of its own."""

    def __init__(self, peers: int, seed: int, churn_per_minute: float = 0.02) -> None:
        self.chance, self.churn = random.Random(seed), churn_per_minute
        self.peers = [self.chance.getrandbits(32) for _ in range(peers)]

    def later(self, minutes: float) -> None:
        """So many of them are others now."""
        share = 1 - (1 - self.churn) ** minutes
        self.peers = [self.chance.getrandbits(32) if self.chance.random() < share else peer for peer in self.peers]

    def joined(self, peers: int, nodes: int = 100) -> set[int]:
        """What a new client talks to: so many of the swarm, and DHT nodes."""
        chosen = self.chance.sample(self.peers, min(peers, len(self.peers)))
        return {*chosen, *(self.chance.getrandbits(32) for _ in range(nodes))}

    def went_on(self, before: set[int], share: float = 0.75) -> set[int]:
        """What the same client talks to, back after a change of MAC: most of what it knew, and some new ones."""
        here = sorted(before)
        kept = self.chance.sample(here, round(share * len(here)))
        return {*kept, *self.chance.sample(self.peers, min(len(self.peers), len(here) - len(kept)))}
