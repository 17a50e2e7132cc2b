"""The nouns: what devices told us, what we concluded, and what should therefore be true on which device.

Every value is frozen. Times are aware datetimes, durations are timedelta or float seconds (the name ends in `_s`),
rates are bits per second, traffic is octets. `None` always means "the platform does not tell", never zero.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import ClassVar, Literal, NewType, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ClientId = NewType("ClientId", str)
"""`mac:02:00:00:00:00:07`, `address:10.99.0.7` or `user:alice`: the strongest identity that the evidence allows."""

_MAC_SPELLINGS = re.compile(
    r"(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}(?:[.:-][0-9a-f]{4}){2}"
    r"|[0-9a-f]{6}-[0-9a-f]{6}|[0-9a-f]{12}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, order=True)
class Mac:
    """An EUI-48 as a number, so that every vendor's spelling compares equal."""

    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value < 1 << 48:
            raise ValueError(f"a MAC address has 48 bits, not {self.value:#x}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Any usual spelling: 02:00:…, 02-00-…, 0200.0000.0007, 020000-000007, 020000000007. ValueError otherwise."""
        if not _MAC_SPELLINGS.fullmatch(text.strip()):
            raise ValueError(
                f"{text!r} is not a MAC address; write it like 02:00:00:00:00:07, 0200.0000.0007 or 020000-000007"
            )
        return cls(int(re.sub(r"[^0-9A-Fa-f]", "", text), 16))

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Six octets as SNMP carries them (PhysAddress). ValueError for any other length."""
        if len(octets) != 6:
            raise ValueError(f"a MAC address has 6 octets, not {len(octets)}: {octets.hex()}")
        return cls(int.from_bytes(octets))

    def __hash__(self) -> int:
        """As the generated one, without a tuple in between: MACs are the keys of most tables."""
        return self.value

    @property
    def octets(self) -> bytes:
        return self.value.to_bytes(6)

    @property
    def is_multicast(self) -> bool:
        """The group bit (IEEE 802-2014, 8.2.2); broadcast has it too."""
        return bool(self.value >> 40 & 1)

    @property
    def is_local(self) -> bool:
        """Locally administered (IEEE 802-2014, 8.2.2): what randomised MACs set."""
        return bool(self.value >> 40 & 2)

    def dotted(self) -> str:
        """Cisco and Arista spelling, 0200.0000.0007."""
        digits = f"{self.value:012x}"
        return ".".join(digits[i : i + 4] for i in (0, 4, 8))

    def __str__(self) -> str:
        return self.octets.hex(":")


# --- devices ---------------------------------------------------------------------------------------------------------


class Role(StrEnum):
    GATEWAY = "gateway"
    CORE = "core"
    ACCESS = "access"


class Mode(StrEnum):
    OBSERVE = "observe"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Device:
    """One managed device. How to reach it is an `Endpoint` (ports.py); this is what decisions need to know."""

    name: str
    platform: str
    role: Role
    mode: Mode = Mode.OBSERVE
    uplinks: tuple[str, ...] = ()
    """Ports that the site declares to be uplinks, beside the discovered ones."""
    zone: str | None = None
    lan_interfaces: tuple[str, ...] = ()
    """Gateways: the interfaces that face the clients."""


# --- what devices tell -----------------------------------------------------------------------------------------------

Table = Literal["nat", "nat_size", "arp", "fdb", "counters", "links", "interfaces", "enforced", "exemptions"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A table that we did not get. Never the same thing as an empty table."""

    device: str
    table: Table
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One table that we did get: how many rows, when, and how long it took."""

    device: str
    table: Table
    at: datetime
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NatUsage:
    """One inside address's part of a translation table, summed while reading. Shares are 0.0-1.0 of `sessions`."""

    device: str
    address: Address
    sessions: int
    remotes: int
    """Distinct remote addresses."""
    remote_ports: int
    """Distinct remote ports."""
    tcp_share: float
    udp_share: float
    unanswered_share: float | None
    high_port_share: float
    """Sessions whose remote port is above 1024."""
    active_share: float | None
    """Sessions that moved a packet within the last minute."""
    median_idle_s: float | None = None
    bytes_out: int | None = None
    """From the client to the internet."""
    bytes_in: int | None = None
    oldest_s: float | None = None
    newest_s: float | None = None
    sketch: tuple[int, ...] = ()
    """The k smallest 64-bit hashes of the remote addresses, ascending (bottom-k sketch): set size and similarity."""
    top_port: int | None = None
    """The most frequent remote port, and below the share of sessions that go to it: a resolver is 53, a proxy 443."""
    top_port_share: float | None = None


@dataclass(frozen=True, slots=True)
class NatSize:
    device: str
    entries: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One row of an ARP or neighbour-discovery table (RFC 826, RFC 4861): complete and reachable or stale."""

    device: str
    interface: str
    address: Address
    mac: Mac


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """One row of a forwarding table (IEEE 802.1Q 8.8). `vlan` None: the table does not tell VLANs apart."""

    device: str
    port: str
    mac: Mac
    vlan: int | None
    static: bool = False
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """IF-MIB (RFC 2863): `name` is ifName; `mac` is ifPhysAddress, hence one of the device's own."""

    device: str
    name: str
    index: int
    mac: Mac | None = None
    alias: str = ""
    up: bool | None = None
    speed_bps: int | None = None


@dataclass(frozen=True, slots=True)
class PortCounters:
    """IF-MIB counters of one port. `bits` is 64 for ifHC*, 32 for the old ones."""

    device: str
    port: str
    at: datetime
    in_octets: int
    out_octets: int
    bits: Literal[32, 64] = 64
    uptime_s: float | None = None
    discontinuity_s: float | None = None
    """ifCounterDiscontinuityTime on the scale of `uptime_s`."""


@dataclass(frozen=True, slots=True)
class Link:
    """A neighbour on a port, from LLDP (IEEE 802.1AB) or CDP. A telephone is no uplink; a bridge, router or AP is."""

    device: str
    port: str
    neighbor: str
    capabilities: frozenset[str] = frozenset()
    """Of bridge, router, wlan-access-point, telephone, station-only."""
    chassis: Mac | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """A remote network and port that clients talk to at this moment."""

    network: Network
    port: int | None
    sessions: int
    octets: int | None = None
    """Both directions together, since the sessions began."""
    device: str = ""
    """Whose translation table says so."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one gathering saw, and what it could not see."""

    at: datetime
    devices: tuple[Device, ...]
    nat: tuple[NatUsage, ...] = ()
    nat_sizes: tuple[NatSize, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()
    counters: tuple[PortCounters, ...] = ()
    links: tuple[Link, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    own_macs: tuple[Mac, ...] = ()
    """Of the machine that switchguard runs on."""
    own_addresses: tuple[Address, ...] = ()
    readings: tuple[Reading, ...] = ()
    gaps: tuple[Gap, ...] = ()
    destinations: tuple[Destination, ...] = ()
    """Where most of the translations lead to, with the table `nat`: a few rows of each gateway that tells."""


# --- who and where ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Station:
    """Where something sits in a bridged network; None where it does not matter or is not known."""

    port: str | None = None
    vlan: int | None = None
    mac: Mac | None = None


@dataclass(frozen=True, slots=True)
class PathStep:
    """One row of evidence on the way to a location."""

    device: str
    table: Table
    entry: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Location:
    """The one edge port behind which a station is. `confidence` 0.0-1.0 as documented in attribute.py."""

    device: str
    station: Station
    age_s: float
    confidence: float
    path: tuple[PathStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """Who used the network. `why_no_location` says what could not be pinned; one of the two is always set."""

    identity: ClientId
    macs: tuple[Mac, ...]
    addresses: tuple[Address, ...]
    usage: NatUsage | None
    """Summed over the client's addresses; `address` is the busiest one."""
    location: Location | None
    why_no_location: str = ""
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Unattributed:
    """Usage, an address or a MAC that nobody is blamed for, and why."""

    what: str
    why: str
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class Attribution:
    """Clients sorted by identity, plus everything that a safeguard needs to know about the network."""

    at: datetime
    clients: tuple[Client, ...]
    unattributed: tuple[Unattributed, ...] = ()
    infrastructure: Mapping[Mac, str] = field(default_factory=dict)
    """Our own devices' and this host's MACs -> which device that is."""
    infrastructure_addresses: Mapping[Address, str] = field(default_factory=dict)
    uplinks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(device, port) -> why it counts as an uplink."""
    uplinks_known: frozenset[str] = frozenset()
    """Devices whose uplinks were established; a device that is missing here gets no port action."""
    vlans: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Device -> VLANs seen in its forwarding table."""
    macs_on_port: Mapping[tuple[str, str], frozenset[Mac]] = field(default_factory=dict)
    neighbors_on_port: Mapping[tuple[str, str], tuple[Link, ...]] = field(default_factory=dict)
    sightings: Mapping[Mac, tuple[FdbEntry, ...]] = field(default_factory=dict)
    """Every forwarding-table row of a MAC, uplinks included."""
    gaps: tuple[Gap, ...] = ()


# --- judgement -------------------------------------------------------------------------------------------------------


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
    """Nobody's fault (a limit for everybody, a tier): new ones may be many without looking like a mistake of ours."""


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


@dataclass(frozen=True, slots=True)
class Release:
    """A penalty that ends now."""

    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that should stand after this cycle (old and new alike), what ends, and what was let off and why."""

    standing: tuple[Verdict, ...]
    released: tuple[Release, ...] = ()
    declined: tuple["Refusal", ...] = ()


@dataclass(frozen=True, slots=True)
class PastPenalty:
    """What escalation remembers: a penalty of this rule that ended."""

    client: ClientId
    rule: str
    since: datetime
    ended: datetime
    routine: bool = False
    """Nobody's fault, as in Finding, or only a notice."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """Exactly one of network, mac and user is set. Matches whole values, never substrings."""

    id: str
    why: str
    network: Network | None = None
    mac: Mac | None = None
    user: str | None = None
    until: datetime | None = None


# --- plan ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """One place on one device where one kind of penalty can sit: the key of everything that is enforced.

    block by MAC: station.mac, and station.vlan where the platform blocks per VLAN (scope `mac_vlan`) · cap, limit and
    block by address: `address` · the same for a whole subnet: `network` · limit on a port: station.port.
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
class Refusal:
    """Something that we declined to do. `safeguard` is a stable word for programs: exemption, infrastructure, uplink,
    confidence, capacity, blast_radius, router, observe, gap, foreign, spread, unsupported, unlocated, paused; of a
    Decision, where a breach is still too young, streak."""

    what: str
    why: str
    safeguard: str
    client: ClientId | None = None
    verdict: str | None = None
    device: str | None = None


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

Scope = Literal["mac_vlan", "mac_device", "mac_adjacent", "address", "network", "port"]
"""Where a penalty of some kind can be put: a MAC in one VLAN, on the whole device, or only where the device is the
client's first hop; an inside address; a subnet, inside or out; a port."""


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
    unverified: tuple[str, ...] = ()
    """Statements about the platform that no real device has confirmed yet."""


@dataclass(frozen=True, slots=True)
class Enforcer:
    """A device together with what its driver can do."""

    device: Device
    facts: Facts
    clears_sessions: bool = False


# --- policy ----------------------------------------------------------------------------------------------------------


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
