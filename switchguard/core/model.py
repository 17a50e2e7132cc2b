"""The nouns: what devices told us, what we concluded, and what should therefore be true on which device.

Every value is frozen. Times are aware datetimes, durations are timedelta or float seconds (the name ends in `_s`),
rates are bits per second, traffic is octets. `None` always means "the platform does not tell", never zero.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, NewType, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ClientId = NewType("ClientId", str)
"""`mac:02:00:00:00:00:07`, `address:10.99.0.7` or `user:alice`: the strongest identity that the evidence allows."""


def plain_address(text: str) -> Address:
    """ValueError for anything else, and for an address with a scope: after `%`, Python takes whatever stands there, and
    an address goes into commands."""
    address = ip_address(text)
    if _scope(address) is not None:
        raise ValueError(f"{text!r} has a scope; write the address without `%` and what follows")
    return address


def plain_network(text: str, strict: bool = True) -> Network:
    """The same for a network; `strict`: one with host bits is an error."""
    network: Network = ip_network(text, strict=strict)
    if _scope(network.network_address) is not None:
        raise ValueError(f"{text!r} has a scope; write the network without `%` and what follows")
    return network


def reaches_beyond_its_link(address: Address) -> bool:
    """Link-local ones are never translated and mean nothing elsewhere, and no more do those that name their link."""
    return not address.is_link_local and _scope(address) is None


def _scope(address: Address) -> str | None:
    return address.scope_id if isinstance(address, IPv6Address) else None


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
    mlag_peer: str | None = None
    """The other switch of a pair (pairs.py)."""
    public_addresses: int | None = None
    """Gateways: as many as it translates to, where each of their ports is for one translation at a time."""


# --- what devices tell -----------------------------------------------------------------------------------------------

Table = Literal[
    "nat",
    "nat_size",
    "arp",
    "fdb",
    "counters",
    "octets",
    "links",
    "interfaces",
    "leases",
    "users",
    "enforced",
    "exemptions",
]


@dataclass(frozen=True, slots=True)
class Gap:
    """A table that we did not get. Never the same thing as an empty table."""

    device: str
    table: Table
    why: str
    seconds: float = field(default=0.0, compare=False)
    """That the device spent on an answer which did not come to an end; 0.0 where it did not even begin."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One table that we did get: how many rows, when, how long it took, and what the device sent for it."""

    device: str
    table: Table
    at: datetime
    rows: int
    seconds: float
    octets: int | None = None


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


PEER_LINK = "vPC Peer-Link"
"""The port behind which a switch has its vPC peer, in the words of NX-OS."""


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
class ClientOctets:
    """What a gateway's own counters say that one inside address has moved since they began: octets of IP packets."""

    device: str
    address: Address
    octets_in: int
    """Towards the client."""
    octets_out: int
    packets_in: int = 0
    packets_out: int = 0


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
class Lease:
    """A DHCP lease (RFC 2131) as a server keeps it, or as a switch overheard it. What a client says of itself, its
    hostname and client identifier, is text from the network: good for comparing, never for believing."""

    source: str
    """The name of the lease source in the site's settings, or of the switch."""
    address: Address
    mac: Mac
    hostname: str | None = None
    client_id: str | None = None
    """Option 61 (RFC 2132) as lower-case hex with colons."""
    until: datetime | None = None
    """None: it never ends, or the source does not tell."""


@dataclass(frozen=True, slots=True)
class UserSession:
    """Who had which addresses from when to when, as a VPN or its accounting tells: the identity of those who have no
    MAC here. The name is text from the network."""

    source: str
    """The zone and the kind of source, such as `vpn/wireguard`."""
    user: str
    addresses: tuple[Address | Network, ...]
    since: datetime
    """Nobody else can have used the addresses from here on."""
    until: datetime | None = None
    """None: connected when it was `seen` last."""
    peer: Address | None = None
    """Where the tunnel comes from."""
    seen: datetime | None = None
    """When the source last told of it."""


@dataclass(frozen=True, slots=True)
class UserZone:
    """Networks whose addresses are people's by their sessions, and without a session nobody's."""

    name: str
    networks: tuple[Network, ...]
    followed_since: datetime | None = None
    """Since when all its sources have been read, so that a session would have been noticed. None: never yet."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One port in the recent past of a MAC that moves about: it came there at that moment, or was found there."""

    mac: Mac
    device: str
    port: str
    at: datetime
    came: bool
    last: datetime
    """When this still mattered: the memory fades from here."""


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
    client_octets: tuple[ClientOctets, ...] = ()
    """The table `octets`, of gateways that count single clients (`accounting: nft`)."""
    leases: tuple[Lease, ...] = ()
    """Those that stand, of every lease source: a server may list one address once only, two servers may differ."""
    sights: tuple[Sight, ...] = ()
    """Where MACs that move about were seen lately (trails.py)."""
    superseded: tuple[Lease, ...] = ()
    """Leases that still held when the same MAC got their address under another name."""
    users: tuple[UserSession, ...] = ()
    """Of every source of users, also those that ended within the last day: their traffic may still be in the tables."""
    user_zones: tuple[UserZone, ...] = ()


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
    path: Sequence[PathStep] = ()
    peer: str | None = None
    """The other switch of a pair, where it has the station on the same aggregate (pairs.py)."""

    @property
    def devices(self) -> tuple[str, ...]:
        """That have it on this port: one, or both of a pair."""
        return (self.device,) if self.peer is None else (self.device, self.peer)


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
class Contested:
    """A MAC that more than one station may be using (copies.py): never blocked by MAC, or its owner would be."""

    mac: Mac
    ports: tuple[tuple[str, str], ...]
    """(device, port), sorted: every edge port that it is, or lately was, on."""
    why: str
    certain: bool
    """More than one move explains. Otherwise it may have moved just now, and the next look tells."""
    at_once: bool = False
    """It is certain, and two stations were there at the same time: on two ports, or in turns."""
    suspect: Location | None = None
    """The port of the copy, where it can be told."""
    addresses: tuple[Address, ...] = ()


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
    contested: Mapping[Mac, Contested] = field(default_factory=dict)
    user_zones: tuple[UserZone, ...] = ()
    """Where an address is only touched while it is a connected user's."""
    gaps: tuple[Gap, ...] = ()
