"""What a site wants: zones, rules with their sentences, brakes, the shared link."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, time, timedelta, tzinfo
from typing import Literal

from switchguard.core.model import Mac, Mode, Network
from switchguard.core.penalties import Exemption, Penalty


@dataclass(frozen=True, slots=True)
class Zone:
    """Clients by network, and where their penalties go: a role or a device name. The first matching zone counts."""

    name: str
    networks: tuple[Network, ...]
    enforce_at: str = "core"
    ladder: tuple[Penalty, ...] = ()
    """The hardest that a rule may do here to a first offence, a second one, and so on; empty: whatever it asks for."""


@dataclass(frozen=True, slots=True)
class Probation:
    """A softer penalty for a while after a release. It is no offence, and grows by nothing."""

    penalty: Penalty
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Sentence:
    """How hard and for how long: `lasts` grows by `escalate` per decayed offence, up to `at_most`.

    With `then` it is the first step of a ladder: each further offence takes the next one, and the last one grows.
    """

    penalty: Penalty
    lasts: timedelta | None = timedelta(hours=2)
    """None: until somebody releases it."""
    escalate: float = 1.0
    at_most: timedelta | None = None
    forget_after: timedelta = timedelta(days=7)
    """An ended penalty counts half after this long (half-life), so that escalation provably decays. Of a ladder, the
    first step's counts."""
    until: time | None = None
    """Instead of `lasts`: when it is this time of the day next, by the clock of the site's time zone."""
    probation: Probation | None = None
    then: tuple["Sentence", ...] = ()


class RuleParams:
    """What a kind of rule can be told beside its threshold: a frozen dataclass in the rule's own module."""

    __slots__ = ()

    @property
    def needs(self) -> tuple[Literal["link", "registry"], ...]:
        """Parts of the policy without which such a rule would never find anybody."""
        return ()

    def fits(self, above: float) -> None:
        """ValueError if the parameters make no sense with this threshold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One named rule of the policy. `kind` names a module in core/rules."""

    name: str
    kind: str
    above: float
    """The threshold, in the kind's own unit (a factor or share 0.0-1.0, octets, connections); 0.0 where it has none."""
    for_polls: int
    sentence: Sentence
    params: RuleParams | None = None
    """None: the kind's defaults."""
    networks: tuple[Network, ...] = ()
    """Only clients with an address in one of these; empty: everybody."""


@dataclass(frozen=True, slots=True)
class Safeguards:
    """Brakes. A tripped brake refuses all new penalties of the cycle: so many at once look like our own mistake."""

    new_per_cycle: int = 10
    share_of_clients: float = 0.05
    """New penalties per cycle, as a share of the clients seen (at least one is always allowed)."""
    per_device: int = 50
    """Penalties that one device may hold in total."""
    max_addresses_per_mac: int = 8
    max_macs_per_port: int = 1
    """For port actions; a telephone does not count."""
    min_confidence: float = 0.7
    max_age_s: float = 300.0
    """Observations older than this do not justify a write."""
    widest_subnet: int = 16
    """Prefix length: no penalty covers a larger IPv4 network than this. Below, of an IPv6 network."""
    widest_subnet_ipv6: int = 48
    least_for_everyone: int = 50
    """Sessions: everybody at once is never capped to fewer. A browser holds some dozens."""


@dataclass(frozen=True, slots=True)
class Box:
    """Everybody who is limited for an offence shares this much, each way, whatever their own slices add up to."""

    bits_per_second: int
    empty_at: time | None = None
    """Every day at this time of the site's time zone, the rules' limits in it end."""


@dataclass(frozen=True, slots=True)
class SharedLink:
    """The link to the internet that everybody shares; the interface receives what goes to the clients."""

    device: str
    interface: str
    capacity_in_bps: int
    """Towards the clients."""
    capacity_out_bps: int


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """When two MACs count as one device, and what a randomised one changes."""

    follow_above: float = 0.8
    """A penalty goes over to another MAC when the confidence is above this, 0.0-1.0; 1.0: never."""
    for_polls: int = 2
    """In so many polls in a row."""
    within: timedelta = timedelta(minutes=30)
    """The new MAC must come this soon after the old one was last seen."""
    per_person: bool = False
    """All MACs registered to a person are one client."""
    randomised_at_most: timedelta | None = None
    """No rule's penalty of a randomised MAC is longer."""
    randomised_instead: Penalty | None = None
    """What a randomised MAC gets instead of a block of the MAC."""


@dataclass(frozen=True, slots=True)
class Policy:
    mode: Mode = Mode.OBSERVE
    zones: tuple[Zone, ...] = ()
    rules: tuple[Rule, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    """From the policy file; the ledger holds those that were added on the command line."""
    safeguards: Safeguards = Safeguards()
    box: Box | None = None
    zone: tzinfo = UTC
    """The site's time zone: what `until` and `empty_at` mean."""
    link: SharedLink | None = None
    registry: Mapping[Mac, str] | None = None
    """MAC -> the person that it is registered to."""
    identity: IdentityPolicy = IdentityPolicy()
    public_addresses: Mapping[str, int] = field(default_factory=dict)
    """Gateway -> to how many it translates, where the site says so: their ports are a ceiling too."""
