"""What the inside needs from the outside: small Protocols, no implementations.

Drivers speak to a `Session` and return core values; they open nothing and keep nothing. A driver has exactly the
capability Protocols whose methods it defines (`isinstance(driver, ReadsNat)`); the matrix is printed from that.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from re import Pattern
from typing import Literal, Protocol, runtime_checkable

from switchguard.core.changes import Change, Diff, Enforced, Facts, HeldSlot, Intent, Outcome, Plan
from switchguard.core.letters import Letter
from switchguard.core.model import (
    Address,
    ClientOctets,
    Destination,
    Device,
    FdbEntry,
    Gap,
    Interface,
    Lease,
    Link,
    Mac,
    NatSize,
    NatUsage,
    Neighbor,
    Network,
    PortCounters,
    Table,
)
from switchguard.core.penalties import Exemption, PastPenalty, Release, Verdict
from switchguard.core.traces import Arrivals, Identities

Transport = Literal["cli", "snmp", "candidate", "netlink"]
Oid = str
"""Dotted numbers without a leading dot, such as 1.3.6.1.2.1.17.4.3.1.2."""
SnmpValue = int | bytes | str
"""INTEGER, counters, gauges, TimeTicks: int; OCTET STRING, IpAddress: bytes; OBJECT IDENTIFIER: dotted str."""


# --- reaching devices ------------------------------------------------------------------------------------------------


class Secret:
    """A password or community. Its repr and str are `***`; `reveal()` is called only where a library needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class SnmpAccess:
    """v1 and v2c: `community`. v3: `user` with authentication and privacy (authPriv), RFC 3414 and RFC 3826."""

    version: Literal["1", "2c", "3"] = "2c"
    community: Secret | None = None
    user: str | None = None
    auth_key: Secret | None = None
    auth_protocol: Literal["md5", "sha", "sha224", "sha256", "sha384", "sha512"] = "sha"
    priv_key: Secret | None = None
    priv_protocol: Literal["des", "aes", "aes192", "aes256"] = "aes"
    port: int = 161
    timeout_s: float = 2.0
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen for traps and informs, and whose to understand."""

    address: str
    port: int
    accesses: tuple[SnmpAccess, ...]
    engine_ids: tuple[bytes, ...] = ()
    """Of the devices that send SNMPv3 traps."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach a device. `host` is an address or name, or `local` for the machine we run on."""

    host: str
    port: int | None = None
    username: str | None = None
    password: Secret | None = None
    enable_password: Secret | None = None
    key_file: str | None = None
    known_hosts: str | None = None
    """File of accepted SSH host keys; without it the user's own known_hosts. There is no way to accept any key."""
    timeout_s: float = 10.0
    snmp: SnmpAccess | None = None
    napalm_options: Mapping[str, object] = field(default_factory=dict)
    """Passed as `optional_args` to the NAPALM driver, e.g. {"transport": "https"} for EOS."""
    compress: bool = False
    """Whether streamed answers of a remote shell come through gzip, for a link that is slower than that."""
    ca_file: str | None = None
    """File of those who vouch for the device's TLS certificate; without it, whom this machine trusts (edge/tls.py)."""


@runtime_checkable
class Candidate(Protocol):
    """A loaded, not yet committed configuration change (NAPALM). Leaving the context without commit discards it."""

    def diff(self) -> str:
        """The device's own diff of candidate and running configuration."""

    def commit(self) -> None: ...


class Session(Protocol):
    """A conversation with one device. Opens transports when first needed; every method may raise a DeviceError."""

    @property
    def device(self) -> Device: ...

    def speaks(self, transport: Transport) -> bool:
        """Whether the site configures this transport; no traffic."""

    def ask(self, command: str) -> str:
        """One exec command, its whole answer. On Linux a non-zero exit status raises CommandRefused."""

    def stream(self, command: str) -> Iterator[bytes]:
        """The same, in chunks while they arrive (an exec channel where the device has a real shell)."""

    def feed(self, command: str, text: str) -> str:
        """A shell command with `text` on its standard input (`nft -f -`). Only on devices with a real shell."""

    def configure(self, lines: Sequence[str]) -> str:
        """Configuration lines outside a candidate. A line that the device refuses raises CommandRefused."""

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        """SNMP GET; None for noSuchObject and noSuchInstance."""

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        """One column or subtree: sub-identifiers after `column` -> value. Empty when the agent has no such table."""

    def candidate(self, lines: Sequence[str]) -> AbstractContextManager[Candidate]:
        """Load `lines` as a merge candidate."""

    def close(self) -> None: ...


@runtime_checkable
class SpeaksNetlink(Protocol):
    """What a session with the machine that we run on can do besides: netfilter without a command in between. To be
    used where `speaks("netlink")`."""

    def netlink(self, request: bytes) -> Iterator[memoryview]:
        """One request of netfilter's subsystem: its answer in blocks of whole messages, each of which is overwritten by
        the next. CommandRefused in the kernel's words."""

    def netlink_news(self, groups: Sequence[int], tick_s: float) -> Iterator["News"]:
        """The same of what these multicast groups tell, for as long as it is iterated: a block about every `tick_s`,
        also an empty one."""


@runtime_checkable
class CountsOctets(Protocol):
    """A session that knows how much the device has sent."""

    @property
    def received(self) -> int:
        """Octets of answers since it was opened: what a shell, a terminal or the kernel said. SNMP is not counted."""


@dataclass(frozen=True, slots=True)
class News:
    """Whole messages of netlink, and why some more were dropped, if they were."""

    octets: bytes = b""
    missed: str = ""


@runtime_checkable
class ReadsAhead(Protocol):
    """A session that can read many SNMP columns in one go. To be used where `speaks("snmp")`."""

    def ahead(self, groups: Sequence[Sequence[Oid]]) -> AbstractContextManager[None]:
        """Inside, `walk` and `get` of these columns and scalars (which end in .0) answer from one common reading. The
        later ones of a group are only asked for if the first has rows, and count as empty otherwise."""


@runtime_checkable
class WalksVlans(Protocol):
    """A session with a switch that keeps one BRIDGE-MIB per VLAN (Cisco)."""

    def walk_vlan(self, column: Oid, vlan: int) -> Mapping[tuple[int, ...], SnmpValue]:
        """As `walk`, in that VLAN's own MIB: `community@vlan`, or the SNMPv3 context `vlan-N`."""


@runtime_checkable
class Follows(Protocol):
    """A session whose shell can run a command that does not end by itself."""

    def follow(self, command: str, tick_s: float) -> Iterator[bytes]:
        """Its output while it arrives, an empty chunk after every `tick_s` of silence. StreamLost when it ends."""


Opens = Callable[[Device], AbstractContextManager[Session]]
"""How gather and apply get a session; the composition root decides what is behind it."""


# --- what a driver can do --------------------------------------------------------------------------------------------


@runtime_checkable
class TellsColumns(Protocol):
    """A driver that says beforehand what it will read over SNMP."""

    def columns(self, tables: Collection[Table]) -> tuple[tuple[Oid, ...], ...]:
        """As `ahead` takes them, for those of `tables` that it reads over SNMP; answers may call for more."""


@runtime_checkable
class ReadsNat(Protocol):
    def nat(self, session: Session) -> tuple[NatUsage, ...]: ...


@runtime_checkable
class ReadsDestinations(Protocol):
    """Tells with the translations, from one and the same reading, where most of them lead to."""

    def nat_table(self, session: Session) -> "NatTable": ...


@runtime_checkable
class ReadsNatSize(Protocol):
    def nat_size(self, session: Session) -> NatSize: ...


@runtime_checkable
class ReadsArp(Protocol):
    def arp(self, session: Session) -> tuple[Neighbor, ...]: ...


@runtime_checkable
class ReadsFdb(Protocol):
    def fdb(self, session: Session) -> tuple[FdbEntry, ...]: ...


@runtime_checkable
class ReadsInterfaces(Protocol):
    def interfaces(self, session: Session) -> tuple[Interface, ...]:
        """Includes every MAC that the device itself owns (ifPhysAddress, bridge address)."""


@runtime_checkable
class ReadsCounters(Protocol):
    def counters(self, session: Session, at: datetime) -> tuple[PortCounters, ...]: ...


@runtime_checkable
class CountsClients(Protocol):
    """A gateway that can be made to count what each client moves. Counting stops and delays no packet."""

    def client_octets(self, session: Session) -> tuple[ClientOctets, ...]:
        """CommandRefused where it does not count yet."""

    def counters_script(self, device: Device) -> tuple[str, ...]:
        """What would be written. NotConfigured where the site does not say on which side the clients are."""

    def install_counters(self, session: Session) -> None:
        """Where they count already, nothing is lost."""

    def remove_counters(self, session: Session) -> None:
        """Also where there are none."""


@runtime_checkable
class ReadsLinks(Protocol):
    def links(self, session: Session) -> tuple[Link, ...]: ...


@runtime_checkable
class ReadsLeases(Protocol):
    def leases(self, session: Session, at: datetime) -> tuple[Lease, ...]:
        """DHCP leases that the device has given or overheard; `at` is now, for those that tell how long they last."""


@dataclass(frozen=True, slots=True)
class NatTable:
    """What a table held. `entries` = the sessions of all `usages` + `not_clients`."""

    entries: int
    usages: tuple[NatUsage, ...]
    """Busiest first."""
    not_clients: int = 0
    """Rows of the gateway itself and of machines outside."""
    unparsed: int = 0
    samples: tuple[tuple[int, str], ...] = ()
    """Line number and text of the first three lines that are neither rows nor noise."""
    complete: bool = True
    """Whether the last line was a whole one."""
    destinations: tuple[Destination, ...] = ()
    """Remote networks and ports with most sessions or octets, of whoever's rows; most sessions first."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One output of a platform that can be read from a file, long after somebody saved it."""

    printed_by: tuple[str, ...]
    """Words of the commands that print it, or the names of the files."""
    row: Pattern[str]
    """Matches how its rows begin, as no other output does: tells what a file is. Only the driver reads them."""


@runtime_checkable
class ReadsCapture(Protocol):
    @property
    def captures(self) -> Mapping[str, Capture]:
        """By a short name, for `switchguard analyze --table`."""

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        """Memory does not grow with the table. `table` is one of `captures`. `inside`: the clients' networks, where
        known; every other row is then nobody's. A line that is no row and no known noise is counted, never an error."""


@runtime_checkable
class Enforces(Protocol):
    """Render, preview, push, read back. Rendering is pure; `apply` decides the order and records every step."""

    facts: Facts

    def enforced(self, session: Session) -> Enforced:
        """Everything of the kinds in `facts.penalties` that the device enforces now, whoever put it there."""

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """The exact lines (for a person and for the push)."""

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        """The diff without touching the device: from the device where `facts.dry_run_diff` says so, else computed."""

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        """All changes in one commit; returns the diff. Raises UnexpectedDiff before committing anything foreign."""


@runtime_checkable
class ClearsSessions(Protocol):
    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        """Delete the sessions that these addresses, or anybody in these subnets, began; how many went."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick of a stream brought, summed per inside address; often nothing. What was heard is true even when
    more happened: `missed` says why not all of it was heard, and is empty when all was."""

    rows: tuple[NatUsage, ...] = ()
    missed: str = ""


Ticks = Generator[Tick, None, None]
Stream = Callable[[float], Ticks]
"""Follows one gateway: seconds per tick -> what each tick brought, for as long as it is iterated. StreamLost when
there will be no more; closing the iterator ends it."""


@runtime_checkable
class FollowsNat(Protocol):
    """Tells of every session while it happens, summed up per inside address and tick."""

    def nat_begins(self, session: Session, tick_s: float) -> Iterator[Tick]:
        """Sessions that began, about every `tick_s`, also nothing. StreamLost when it can be followed no more."""

    def nat_ends(self, session: Session, tick_s: float) -> Iterator[Tick]:
        """Sessions that ended, with all the octets that they moved. StreamLost likewise."""


class Driver(Protocol):
    """Every driver has a name and a netmiko platform; capabilities are the Protocols above."""

    platform: str


# --- memory and messages ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host as an inventory tells it, with what it inherits; `data` is what is said about it for switchguard."""

    name: str
    platform: str | None = None
    host: str | None = None
    port: int | None = None
    username: str | None = None
    password: object = None
    """A reference to a secret, or what will be refused: plain text."""
    data: Mapping[str, object] = field(default_factory=dict)


Interpret = Callable[[HostRow], tuple[Device, Endpoint]]
"""How the site reads a host's row, strictly and alike for every inventory. Raises SiteError."""


class Source(Protocol):
    """An inventory: devices and how to reach them."""

    def devices(self) -> Iterable[tuple[Device, Endpoint]]: ...


class Ledger(Protocol):
    """What was decided, meant and done. Every method is one transaction; LedgerError when the store fails."""

    def standing(self) -> tuple[Verdict, ...]:
        """Penalties that have not been released."""

    def served(self) -> frozenset[str]:
        """Ids of those of them that some device has or had: read back from it at least once."""

    def past(self, since: datetime, routine_of: Collection[str] | None = None) -> tuple[PastPenalty, ...]:
        """Penalties that ended since then. `routine_of`: those that were nobody's fault, only of these rules."""

    def held(self) -> tuple[HeldSlot, ...]:
        """Slots that are ours: planned, pushed, verified, failed or being released."""

    def exemptions(self, now: datetime) -> tuple[Exemption, ...] | Gap:
        """A Gap if they cannot be read: then nothing may be written."""

    def streaks(self) -> Mapping[tuple[str, str], int]:
        """(rule, client) -> consecutive cycles over the threshold, as of the last cycle."""

    def remember(self, at: datetime, streaks: Mapping[tuple[str, str], int]) -> None: ...

    def sentence(
        self, verdicts: Sequence[Verdict], released: Sequence[Release], at: datetime, letters: Sequence[Letter] = ()
    ) -> None:
        """Record new and changed verdicts and the end of others, with what people are to be told of them."""

    def intend(self, plan: Plan) -> Intent:
        """Before the push: every change as `planned` (or `releasing`), adopted as verified, forgotten as released.
        Except what has become outdated since the plan was made (core/outdated.py)."""

    def pushed(self, changes: Sequence[Change], at: datetime) -> None: ...

    def record(self, outcomes: Sequence[Outcome], at: datetime) -> None:
        """After reading back."""

    def disown(self, outcomes: Sequence[Outcome], at: datetime) -> None:
        """Refused before anything was tried: what was intended there is not ours."""

    def paused(self) -> str | None:
        """Why all writes are paused, or None."""

    def identities(self, now: datetime) -> Identities:
        """Who was known as whom lately, and who must not be."""

    def arrivals(self, macs: Collection[Mac], now: datetime, within: timedelta) -> Arrivals:
        """Which of these were seen for the first time since then, or again after hours."""

    def keep_identities(self, before: Identities, after: Identities, at: datetime) -> None:
        """What is new in them; nothing is written where nothing is."""


class Notifier(Protocol):
    def tell(self, subject: str, text: str) -> None: ...
