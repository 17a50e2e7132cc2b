"""What is remembered of clients so that they are known again under another MAC: the nouns of identity.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from switchguard.core.model import Address, Mac

KEPT_PRINTS = 3
KEPT_ADDRESSES = 8


@dataclass(frozen=True, slots=True)
class Print:
    """The remote hosts that a client talked to at one moment: how many, and the sketch of them."""

    at: datetime
    remotes: int
    sketch: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """What is remembered of one MAC, at a fixed size."""

    mac: Mac
    first_seen: datetime
    appeared: datetime
    """When it came this time."""
    last_seen: datetime
    last_active: datetime
    """When it certainly did something: came, moved, or began a session."""
    device: str | None = None
    port: str | None = None
    vlan: int | None = None
    hostname: str | None = None
    client_id: str | None = None
    addresses: tuple[Address, ...] = ()
    """At most KEPT_ADDRESSES."""
    prints: tuple[Print, ...] = ()
    """The newest last, at most KEPT_PRINTS."""


@dataclass(frozen=True, slots=True)
class Link:
    """`new` is probably the device that was `old`. `similarity`: the remote hosts' estimate and its bounds."""

    old: Mac
    new: Mac
    confidence: float
    because: tuple[str, ...]
    since: datetime
    at: datetime
    """When the confidence was worked out last."""
    polls: int = 1
    """In how many polls in a row it was above the policy's threshold; kept once it has been for long enough."""
    similarity: tuple[float, float, float] | None = None
    followed: tuple[str, ...] = ()
    """The penalties of `old` that were carried over to `new`: each at most once."""
    undone: str | None = None
    """Who said that they are two devices, and why."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Who has come lately, of those who are there."""

    first_seen: Mapping[Mac, datetime | None]
    """MAC -> when it was seen for the first time ever; None: now."""
    settled: bool = True
    """Whether somebody has been watching for longer than that."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Everything that is known about who is whom."""

    traces: tuple[Trace, ...] = ()
    links: tuple[Link, ...] = ()
