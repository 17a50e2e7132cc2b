"""Sessions of people + translations -> whose traffic it is, by the time at which it began.

An address of a VPN is lent: who has it now may not be who filled the table from it. So a row of a translation table is
a person's only if one session of that person covers all of its translations, from the oldest beginning to the newest,
and no session of anybody else lies in between. Rows from before a hand-over are the former holder's, if they are all
from before; a row with some of each is nobody's until the old ones have left the table.

Where the gateway does not tell how old its translations are, the address must have been one person's for ten minutes:
longer than what somebody who has gone leaves behind (`nf_conntrack_tcp_timeout_unacknowledged` and `..._udp_timeout_
stream` are five and two minutes; what stays longer moves nothing).

A person is one client, with all addresses that are theirs now, and no MAC. Sessions that were not confirmed for five
minutes are over as far as penalties go: nobody shall inherit one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

from switchguard.core.evidence import Connections
from switchguard.core.model import (
    Address,
    Attribution,
    Client,
    ClientId,
    NatUsage,
    Network,
    Snapshot,
    Unattributed,
    UserSession,
    UserZone,
)
from switchguard.core.penalties import Block, Penalty, Quarantine
from switchguard.core.usage import merge
from switchguard.core.user_sessions import ALWAYS, CONFIRMED_FOR, overlap

UNTOLD = timedelta(minutes=10)
"""How old translations may be whose age is not told."""
CLOCK = timedelta(seconds=2)
"""Ages are told in whole seconds, and two clocks may differ."""


def user_id(user: str) -> ClientId:
    return ClientId(f"user:{user}")


def zone_at(address: Address, zones: Iterable[UserZone]) -> UserZone | None:
    """The zone in which this address is lent to people."""
    return _finder(zones)(address)


def _finder(zones: Iterable[UserZone]) -> Callable[[Address], UserZone | None]:
    """The same for many addresses: a table has hundreds of thousands, and numbers compare fast."""
    spans = [
        (network.version, int(network.network_address), int(network.broadcast_address), zone)
        for zone in zones
        for network in zone.networks
    ]

    def find(address: Address) -> UserZone | None:
        number = int(address)
        for version, first, last, zone in spans:
            if first <= number <= last and version == address.version:
                return zone
        return None

    return find


# --- whose traffic ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions say of a snapshot. `whose` has only rows that are somebody's."""

    whose: Mapping[tuple[str, Address], UserSession]
    """(gateway, inside address) -> the session in which all of its translations began."""
    connected: Mapping[Address, UserSession] = field(default_factory=dict)
    """The session that has each address at this moment."""
    clients: tuple[Client, ...] = ()
    unattributed: tuple[Unattributed, ...] = ()


def share_out(snapshot: Snapshot) -> Shared:
    """Everybody with a session, and the rows of the translation tables in zones of users, each somebody's or not."""
    if not snapshot.user_zones:
        return Shared({})
    book, zone_of = _Book(snapshot), _finder(snapshot.user_zones)
    whose: dict[tuple[str, Address], UserSession] = {}
    theirs: dict[str, list[NatUsage]] = defaultdict(list)
    nobodys: list[Unattributed] = []
    for row in snapshot.nat:
        zone = zone_of(row.address)
        if zone is None:
            continue
        session = book.session_of(row, zone)
        if session is not None:
            whose[row.device, row.address] = session
        if session is not None and book.here(session.user):
            theirs[session.user].append(row)
        else:
            nobodys.append(Unattributed(f"address {row.address}", book.why_not(row, zone, session), row.sessions))
    return Shared(whose, book.connected(), tuple(book.clients(theirs)), tuple(nobodys))


def without_users(snapshot: Snapshot) -> Snapshot:
    """The snapshot without the rows that only sessions can attribute: no ARP table says whose a lent address is."""
    if not snapshot.user_zones:
        return snapshot
    zone_of = _finder(snapshot.user_zones)
    return replace(
        snapshot,
        nat=tuple(row for row in snapshot.nat if zone_of(row.address) is None),
        neighbors=tuple(row for row in snapshot.neighbors if zone_of(row.address) is None),
    )


def is_connected(session: UserSession, at: datetime) -> bool:
    return session.until is None and (session.seen is None or at - session.seen <= CONFIRMED_FOR)


def whose_now(
    connections: Mapping[str, Mapping[Address, tuple[Connections, ...]]], snapshot: Snapshot
) -> Mapping[str, Mapping[Address, tuple[Connections, ...]]]:
    """Of addresses that are lent: only what was opened since they were lent to who has them now."""
    if not snapshot.user_zones:
        return connections
    connected = share_out(snapshot).connected

    def theirs(address: Address, opened: tuple[Connections, ...]) -> tuple[Connections, ...]:
        if zone_at(address, snapshot.user_zones) is None:
            return opened
        session = connected.get(address)
        return () if session is None else tuple(it for it in opened if it.start >= session.since)

    return {
        log: {it: mine for it, opened in sources.items() if (mine := theirs(it, opened))}
        for log, sources in connections.items()
    }


class _Book:
    """The sessions of one snapshot, by address."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._at, self._zones = snapshot.at, snapshot.user_zones
        self._gaps = tuple(gap for gap in snapshot.gaps if gap.table == "users")
        self._read = {it.device: (it.at, it.seconds) for it in snapshot.readings if it.table == "nat"}
        self._exact: dict[Address, list[UserSession]] = defaultdict(list)
        self._wide: list[tuple[Network, UserSession]] = []
        self._connected: dict[str, list[UserSession]] = defaultdict(list)
        for session in snapshot.users:
            self._enter(session)

    def _enter(self, session: UserSession) -> None:
        for held in session.addresses:
            if isinstance(held, IPv4Network | IPv6Network):
                self._wide.append((held, session))
            else:
                self._exact[held].append(session)
        if is_connected(session, self._at):
            self._connected[session.user].append(session)

    def here(self, user: str) -> bool:
        """Connected now, maybe with another address."""
        return user in self._connected

    def session_of(self, row: NatUsage, zone: UserZone) -> UserSession | None:
        """The one session in which all translations of this row began, and nobody else's did."""
        began, newest = self._span_of(row)
        found = self._sessions(row.address)
        covering = [it for it in found if self._covers(it.session, row, zone, began, newest)]
        best = max(covering, key=lambda it: (it.width, it.session.since), default=None)
        if best is None:
            return None
        others = (it for it in found if it.width >= best.width and it.session.user != best.session.user)
        return None if any(_within(it.session, began, newest) for it in others) else best.session

    def _span_of(self, row: NatUsage) -> tuple[datetime, datetime]:
        """When the oldest translation began, or as long ago as it may have begun, and the newest."""
        at, seconds = self._read.get(row.device, (self._at, 0.0))
        oldest = UNTOLD if row.oldest_s is None else timedelta(seconds=row.oldest_s)
        return at - oldest, at + timedelta(seconds=seconds - (row.newest_s or 0.0))

    def _covers(self, session: UserSession, row: NatUsage, zone: UserZone, began: datetime, newest: datetime) -> bool:
        if newest > _last_moment(session) + CLOCK:
            return False
        watched = zone.followed_since is not None and zone.followed_since <= began
        return session.since <= began + CLOCK or (row.oldest_s is None and watched)

    def _sessions(self, address: Address) -> list["_Held"]:
        """Of everybody who has or had it. A whole network counts less than what lies in it, as routes do."""
        exact = [_Held(it, address.max_prefixlen) for it in self._exact.get(address, ())]
        wide = (_Held(it, net.prefixlen) for net, it in self._wide if net.version == address.version and address in net)
        return [*exact, *wide]

    def why_not(self, row: NatUsage, zone: UserZone, session: UserSession | None) -> str:
        """Why this row makes nobody look guilty."""
        if session is not None:
            return f"its sessions are those of {session.user}, who is not connected any more"
        found = self._sessions(row.address)
        gaps = [gap for gap in self._gaps if gap.device.partition("/")[0] == zone.name]
        unread = f"; {gaps[0].device} cannot be read: {gaps[0].why}" if gaps else ""
        if not found:
            return f"nobody has a session with it in the zone {zone.name}{unread}"
        holders = ", ".join(f"{it.session.user} {_times(it.session)}" for it in found[-3:])
        if len({it.session.user for it in found}) > 1:
            return f"its sessions cannot be told apart by who had it when: {holders}{unread}"
        ages = "may be" if row.oldest_s is None else "are"
        return f"its sessions {ages} older or newer than the session of who has it: {holders}{unread}"

    def clients(self, theirs: Mapping[str, Sequence[NatUsage]]) -> Iterator[Client]:
        for user, sessions in sorted(self._connected.items()):
            rows = theirs.get(user, ())
            lent = {held for it in sessions for held in it.addresses if not isinstance(held, IPv4Network | IPv6Network)}
            used = {row.address for row in rows if any(_has(it, row.address) for it in sessions)}
            addresses = sorted((it for it in lent | used if self._is_lent(it)), key=lambda it: (it.version, int(it)))
            yield Client(
                identity=user_id(user),
                macs=(),
                addresses=tuple(addresses),
                usage=merge(rows) if rows else None,
                location=None,
                why_no_location=f"a user of {_listed(sessions)}: a session has neither MAC nor port",
                owner=user,
            )

    def connected(self) -> Mapping[Address, UserSession]:
        """Of addresses that are told one by one."""
        return {
            address: next(it for it in sessions if is_connected(it, self._at))
            for address, sessions in self._exact.items()
            if self._is_lent(address)
        }

    def _is_lent(self, address: Address) -> bool:
        """In a zone of users, and the only person's who has it now."""
        now = [it for it in self._sessions(address) if is_connected(it.session, self._at)]
        width = max((it.width for it in now), default=0)
        holders = {it.session.user for it in now if it.width == width}
        return zone_at(address, self._zones) is not None and len(holders) == 1


@dataclass(frozen=True, slots=True)
class _Held:
    """A session that has an address. `width` is the prefix length by which it has it."""

    session: UserSession
    width: int


def _last_moment(session: UserSession) -> datetime:
    """Until when the session is known to have lasted."""
    if session.until is not None:
        return session.until
    return session.seen or datetime.max.replace(tzinfo=UTC) - CLOCK


def _within(session: UserSession, began: datetime, newest: datetime) -> bool:
    return session.since < newest and _last_moment(session) > began


def _has(session: UserSession, address: Address) -> bool:
    return overlap(session.addresses, (address,))


def _times(session: UserSession) -> str:
    since = "" if session.since == ALWAYS else f"from {session.since:%H:%M:%S} "
    return f"({since}{'until now' if session.until is None else f'until {session.until:%H:%M:%S}'})"


def _listed(sessions: Iterable[UserSession]) -> str:
    return ", ".join(sorted({it.source for it in sessions}))


# --- what may be done ------------------------------------------------------------------------------------------------


def lost(address: Address, client: ClientId, attribution: Attribution) -> bool:
    """Whether an address that is lent to people is not this client's now: nothing of its may be put there or stay."""
    if zone_at(address, attribution.user_zones) is None:
        return False
    return not any(it.identity == client and address in it.addresses for it in attribution.clients)


def needs_a_mac(client: ClientId, macs: Iterable[object], penalty: Penalty) -> str | None:
    """Why this cannot be done to a person who is only known by sessions; None if it can."""
    by_mac = isinstance(penalty, Quarantine) or (isinstance(penalty, Block) and penalty.by == "mac")
    if not by_mac or any(macs) or not client.startswith("user:"):
        return None
    return (
        f"{client.removeprefix('user:')} is known by a session, which has neither MAC nor port; "
        "a notice, a cap, a limit or a block by address works"
    )
