"""What clients are found to have done, and what should therefore be true of them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from switchguard.core.model import Address, Client, ClientId, Location, Mac, Network


@dataclass(frozen=True, slots=True)
class Notify:
    kind: ClassVar[str] = "notify"


@dataclass(frozen=True, slots=True)
class SessionCap:
    kind: ClassVar[str] = "cap"
    sessions: int


@dataclass(frozen=True, slots=True)
class RateLimit:
    kind: ClassVar[str] = "limit"
    bits_per_second: int
    within: int | None = None
    """Bits per second that everybody in the box has on this device together; None: not in the box. Only the planner
    says so, by `Policy.box`: a rule's or a person's penalty is the member's slice."""


@dataclass(frozen=True, slots=True)
class RestrictPorts:
    """Only remote ports up to this one."""

    kind: ClassVar[str] = "ports"
    up_to: int = 1024


@dataclass(frozen=True, slots=True)
class Block:
    kind: ClassVar[str] = "block"
    by: Literal["mac", "address"] = "mac"


@dataclass(frozen=True, slots=True)
class Quarantine:
    kind: ClassVar[str] = "quarantine"
    vlan: int
    original: int | None = field(default=None, compare=False)
    """The VLAN that the port had, told by the device: where a release leads to. Nothing that penalties differ by."""


Penalty = Notify | SessionCap | RateLimit | RestrictPorts | Block | Quarantine


Unit = Literal["", "share", "octets", "connections", "seconds"]
"""How a finding's numbers are written; `` is a bare number."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's opinion of one client in one cycle. `streak` counts consecutive cycles over the threshold.

    What is no client is named likewise: `gateway:gw1`, `interface:gw1 wan0`, `network:192.0.2.0/24`.
    """

    client: ClientId
    rule: str
    value: float
    threshold: float
    because: str
    streak: int = 1
    macs: tuple[Mac, ...] = ()
    addresses: tuple[Address, ...] = ()
    location: Location | None = None
    unit: Unit = ""
    """Of `value` and `threshold`."""
    penalty: Penalty | None = None
    """Instead of the rule's own: `Notify` for an alarm about something that is no client, a tier of a new device."""
    until: datetime | None = None
    """When the penalty shall end, instead of the rule's own term."""
    network: Network | None = None
    """Where a whole subnet is meant, and `addresses` are only those of it that were seen."""
    routine: bool = False
    """Nobody's fault (a limit for everybody, a tier): new ones may be many without looking like a mistake of ours, as
    long as they cut nobody off."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A penalty for a client, its cause, and its end. `id` stays the same for its whole life: cycles compare by it."""

    id: str
    client: ClientId
    rule: str
    """The rule's name, or `manual` for a person's request."""
    penalty: Penalty
    since: datetime
    until: datetime | None
    because: str
    macs: tuple[Mac, ...] = ()
    addresses: tuple[Address, ...] = ()
    offence: int = 1
    """How many penalties of this rule the client has had, decayed; 1 is the first."""
    requested_by: str | None = None
    on_device: str | None = None
    vlan: int | None = None
    """Asked for by name (`--on`, `--vlan`), instead of located."""
    override_exemption: bool = False
    location: Location | None = None
    """Where the client was when it was sentenced: evidence. Where the penalty goes is decided anew by every plan."""
    network: Network | None = None
    """A whole subnet is meant."""
    routine: bool = False
    """Nobody's fault, as in Finding."""
    probation: bool = False
    """What follows a penalty of this rule that ended: no offence, and no reason to let the next one go."""
    follows: str | None = None
    """The id of another MAC's penalty that went over to this one, as it is probably the same device (identity.py)."""
    observed: bool = False
    """A notice of a time when the site only observed: nobody but the operators was told."""

    @property
    def covers(self) -> Network | None:
        """The subnet that the penalty is put on; a notice is put on none."""
        return None if isinstance(self.penalty, Notify) else self.network


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a verdict means, as far as the network shows it now.

    A penalty may be put on `macs` and `addresses`. The other fields take in everybody who shares an identity, a MAC or
    what we hold with it, and count for safeguards only: blocking one MAC of an exempt person is blocking that person.
    """

    verdict: Verdict
    macs: tuple[Mac, ...]
    addresses: tuple[Address, ...]
    clients: tuple[Client, ...]
    all_macs: frozenset[Mac]
    all_addresses: frozenset[Address]
    users: frozenset[str]

    @property
    def network(self) -> Network | None:
        """The subnet that the penalty covers. A notice covers nothing but those who were seen."""
        return self.verdict.covers


@dataclass(frozen=True, slots=True)
class Release:
    """A penalty that ends now."""

    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that we declined to do. `safeguard` is a stable word for programs: exemption, infrastructure, uplink,
    confidence, capacity, blast_radius, router, observe, gap, foreign, spread, unsupported, unlocated, paused,
    copied_mac (more than one station may be using the MAC); of a Decision, where a breach is still too young, streak.
    """

    what: str
    why: str
    safeguard: str
    client: ClientId | None = None
    verdict: str | None = None
    device: str | None = None
    lifting: bool = False
    """It is a release: what has ended is on the device still, and stays on record until it is gone."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that should stand after this cycle (old and new alike), what ends, and what was let off and why."""

    standing: tuple[Verdict, ...]
    released: tuple[Release, ...] = ()
    declined: tuple[Refusal, ...] = ()
    spared: tuple[Verdict, ...] = ()
    """What would have been a penalty, and is none, because an exemption says no: the plan's refusals say which one."""


@dataclass(frozen=True, slots=True)
class PastPenalty:
    """What escalation remembers: a penalty of this rule that ended."""

    client: ClientId
    rule: str
    since: datetime
    ended: datetime
    routine: bool = False
    """Nobody's fault, as in Finding, or only a notice."""
    served: bool = True
    """Some device had it, or the notice was told. What nobody got is no offence."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """Exactly one of network, mac and user is set. Matches whole values, never substrings."""

    id: str
    why: str
    network: Network | None = None
    mac: Mac | None = None
    user: str | None = None
    until: datetime | None = None
