"""What stands on devices, what shall change there, and what a platform can be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from switchguard.core.model import Address, Device, Mac, Network, Station
from switchguard.core.penalties import Exemption, Penalty, Refusal, Subject


@dataclass(frozen=True, slots=True)
class Slot:
    """One place on one device where one kind of penalty can sit: the key of everything that is enforced.

    block by MAC: station.mac, and station.vlan where the platform blocks per VLAN (scope `mac_vlan`) · cap, limit and
    block by address: `address` · the same for a whole subnet: `network` · limit on a port: station.port · cap for
    everyone behind a gateway, each by itself: none of these.
    """

    device: str
    kind: str
    station: Station = Station()
    address: Address | None = None
    network: Network | None = None


Enforced = Mapping[Slot, Penalty]
"""What a device enforces now, of the kinds that we could have put there."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `before` to `after` in one slot. Made by core/plan.py only; swapped ends are its own rollback."""

    slot: Slot
    before: Penalty | None
    after: Penalty | None
    verdicts: tuple[str, ...] = ()
    """Ids of the verdicts that want `after`; empty for a release."""
    why: str = ""

    def inverse(self) -> "Change":
        return Change(self.slot, self.after, self.before, self.verdicts, f"undo: {self.why}")


@dataclass(frozen=True, slots=True)
class SessionFlush:
    """After a block: forget the client's sessions on this gateway, so that its table shrinks."""

    device: str
    addresses: tuple[Address | Network, ...]
    verdict: str


@dataclass(frozen=True, slots=True)
class HeldSlot:
    """A slot that we filled (or meant to), from the ledger. `verdicts` may be several causes."""

    slot: Slot
    penalty: Penalty
    state: Literal["planned", "pushed", "verified", "failed", "releasing"]
    verdicts: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a forwarding table had a MAC that is to be blocked: what the block rests on."""

    mac: Mac
    device: str
    ports: frozenset[str]
    """All ports of that device on which it was then."""
    edge: str | None
    """The one of them that is its own; None: the device only passed it on."""
    at: datetime
    """When the table said so."""
    twin: str | None = None
    """The other switch of a pair, whose aggregate of this name is the same place (pairs.py)."""


@dataclass(frozen=True, slots=True)
class Tenants:
    """Who was on a port that is to be penalised: whoever is plugged in there feels it."""

    device: str
    port: str
    macs: frozenset[Mac]
    """Everybody who was there, or is meant."""
    meant: frozenset[Mac]
    """Whose sake it is for, of those who were there: one of them must be there still. Empty where it is the port that
    is meant, as that of a copied MAC: its owner's frames may draw that MAC away at any moment."""
    at: datetime
    """When the table said so."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What the ledger said when a plan was made of it, and who was meant by whom the plan concerns."""

    held: tuple[HeldSlot, ...]
    exemptions: tuple[Exemption, ...]
    people: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` will be made in this order; `observed` would be, were the device in enforce mode."""

    at: datetime
    changes: tuple[Change, ...] = ()
    observed: tuple[Change, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    flushes: tuple[SessionFlush, ...] = ()
    adopted: tuple[Change, ...] = ()
    """True on the device and ours by the ledger (the outcome of a push was lost): record as verified, push nothing."""
    forgotten: tuple[Slot, ...] = ()
    """Ours by the ledger, wanted no more, and already gone from the device: record as released, push nothing."""
    whereabouts: tuple[Whereabouts, ...] = field(default=(), compare=False)
    """Of each MAC that a change would newly block: asked for again before the push."""
    tenants: tuple[Tenants, ...] = field(default=(), compare=False)
    """Of each port that a change would newly penalise: likewise."""
    basis: Basis | None = field(default=None, compare=False)
    """What to compare with when it is put on record: much may have been decided since. None: nothing."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What came of putting a plan on record."""

    held: tuple[HeldSlot, ...]
    """What was ours before."""
    outdated: Mapping[Change, str]
    """Not on record, and not to be made: something was decided since the plan was made, and what."""


@dataclass(frozen=True, slots=True)
class Diff:
    """Configuration lines about to change, for a person. `source` says who made it."""

    text: str
    source: Literal["device", "computed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change, after reading back."""

    change: Change
    state: Literal["verified", "failed", "refused"]
    why: str
    diff: Diff | None
    seconds: float


# --- what a driver declares ------------------------------------------------------------------------------------------

Scope = Literal["mac_vlan", "mac_device", "mac_adjacent", "address", "network", "port", "everyone"]
"""Where a penalty of some kind can be put: a MAC in one VLAN, on the whole device, or only where the device is the
client's first hop; an inside address; a subnet, inside or out; a port; every inside address at once, each counted by
itself (caps only, and never for one client's sake)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the planner must know about a platform before it asks for anything."""

    penalties: Mapping[str, tuple[Scope, ...]]
    """Kind of penalty -> scopes it can be expressed in, best first. Kinds not named are not supported."""
    directions: Literal["source", "destination", "both"] = "both"
    """Which frames a MAC block drops."""
    capacity: Mapping[str, int] = field(default_factory=dict)
    """Kind of penalty -> how many the device can hold, where a limit is known."""
    ownership: Literal["comment", "cookie", "named set", "ledger"] = "ledger"
    """How we recognise our own lines."""
    diff: Literal["device", "computed"] = "computed"
    """Who makes the diff of a real push."""
    dry_run_diff: Literal["device", "computed"] = "computed"
    """Who makes the diff when nothing may be touched."""
    timed_revert: bool = False
    boxes: bool = False
    """Whether limits can share a ceiling (`RateLimit.within`)."""
    only_ipv4: frozenset[str] = frozenset()
    """Kinds of penalty that are for IPv4 addresses: a client's others are passed over, as nothing translates them."""
    unverified: tuple[str, ...] = ()
    """Statements about the platform that no real device has confirmed yet."""


@dataclass(frozen=True, slots=True)
class Enforcer:
    """A device together with what its driver can do."""

    device: Device
    facts: Facts
    clears_sessions: bool = False
