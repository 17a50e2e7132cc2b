"""`show conn`, `show conn detail` and `show xlate` of ASA and Firepower -> usage per client.

Layouts, which are told apart row by row:

* `show conn`: `TCP outside 198.51.100.9:443 inside 10.10.0.7:51413, idle 0:00:30, bytes 1965, flags UIO`; one or two
  blanks before an address, any word for an interface; a unit of a cluster adds a block of its own counts;
* `show conn detail`: a slash before the port, two to four lines per connection, ages like `1Y25D` and `2h39m`; an
  interface may be `zone:nameif(nameif)`; the octets may be missing; an older form has all of it in one line;
* `show xlate`: no remote hosts; flags may be on a line of their own; up to 8.2 `Global G Local L nconns n econns n`.

What counts of `show xlate` are ports (`TCP PAT from ...`): static entries, and those of an address as a whole, hold no
session. Which machine of a connection is the client, no row says: `Sides` does. A connection between two clients, or
without one, is nobody's. So is one of IPv6, whose spelling nobody has shown us. One counter has the octets of both
directions; they count as received. A TCP connection without the flag U never came up.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from switchguard.core.model import Network
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Capture, NatTable

from ._captured import Lines, Refuse, Strays, table_of
from ._nat_tally import Entry, Tallies
from ._sides import PRIVATE, within

_V4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_V6 = r"\[?[0-9a-fA-F.]*:[0-9a-fA-F:.]*:\S*"
_SPAN = r"(?:\d+:\d\d:\d\d|(?:\d+[YWDhms])+)"
_PROTOCOL = r"[A-Z][A-Z0-9-]*|\d{1,3}"
_FLAGS = r"flags ?(-|[A-Za-z]\w*|-\w+)?(?: ?[\w-]+)* ?"
_TOLD = rf"idle ({_SPAN}),? bytes (\d+),? {_FLAGS}"
_CONN = re.compile(rf"({_PROTOCOL}) +(\S+) +({_V4})(?::(\d+))? +(\S+) +({_V4})(?::(\d+))?, {_TOLD}")
_CONN_V6 = re.compile(rf"(?:{_PROTOCOL}) +\S+ +{_V6} +\S+ +{_V6}, {_TOLD}")
_DETAIL = re.compile(rf"({_PROTOCOL}) +(\S+?): ?({_V4})/(\d+) +(\S+?): ?({_V4})/(\d+)(?:,| +{_TOLD})")
_ABOUT = re.compile(
    rf"{_FLAGS}, idle ({_SPAN}), uptime ({_SPAN}), timeout {_SPAN}(?:, bytes (\d+))?(?:, Rx-RingNum \d+, \S+)?"
)
_XLATE = re.compile(
    rf"(?:NAT|([A-Z]+) PAT) from \S+?: ?({_V4})(?:/\d+)? to \S+?: ?{_V4}(?:/\d+)?(?: +(flags \S+ idle .+))?"
)
_XLATE_FLAGS = re.compile(rf"flags (\w+) idle ({_SPAN}) timeout {_SPAN}")
_XLATE_OLD = re.compile(rf"Global {_V4} Local ({_V4}) nconns (\d{{1,6}}) econns \d+")
IN_USE = re.compile(r"(\d+) in use, \d+ most used")
NOISE = re.compile(
    r"Initiator: \S+, Responder: \S+|Connection lookup keyid: \d+|[\w.-]+(?:\(LOCAL\))?:\*+|Cluster:"
    r"|(?:fwd|dir|centralized|VPN redirect) connections: \d+ in use, \d+ most used"
    r"|Inspect Snort:|preserve-connection: \d+ enabled, \d+ in effect, \d+ most enabled, \d+ most in effect"
    r"|(?:Flags: )?[A-Za-z] - [a-zA-Z-]+(?:, [A-Za-z] - [a-zA-Z-]+)*,?"
)
_UNIT_S = {"Y": 31_536_000, "W": 604_800, "D": 86_400, "h": 3_600, "m": 60, "s": 1}
_OUTSIDE = "outside"
"""How ASA calls the interface of level 0 by itself."""

CAPTURES: Mapping[str, Capture] = {
    "conn": Capture(
        printed_by=("show conn",),
        row=re.compile(
            rf"\s*(?:{_PROTOCOL}) +\S+ +{_V4}(?::\d+)? +\S+ +{_V4}(?::\d+)?, idle "
            rf"|\s*(?:{_PROTOCOL}) +\S+?: ?{_V4}/\d+ +\S+?: ?{_V4}/\d+(?:,| idle)"
        ),
    ),
    "xlate": Capture(
        printed_by=("show xlate",),
        row=re.compile(rf"\s*(?:NAT|[A-Z]+ PAT) from \S+?: ?{_V4}\S* to |\s*Global {_V4} Local {_V4} nconns "),
    ),
}


@dataclass(frozen=True, slots=True)
class End:
    """One of the two machines of a connection."""

    nameif: str
    address: IPv4Address
    port: int | None


Rank = Callable[[End], tuple[int, ...]]
"""Which of two ends is the client: the one that ranks higher; neither where they rank alike."""


def by_level(levels: Mapping[str, int]) -> Rank:
    """By the security levels of their interfaces; those of the clients' are higher. KeyError for one not listed."""
    return lambda end: (levels[end.nameif],)


def by_interface(ours: Collection[str]) -> Rank:
    return lambda end: (end.nameif in ours,)


def by_address(inside: Sequence[Network]) -> Rank:
    """By the clients' networks; without them whoever is not at the interface `outside`, or has a private address."""
    if inside:
        return lambda end: (within(end.address, inside),)
    return lambda end: (end.nameif != _OUTSIDE, within(end.address, PRIVATE))


@dataclass(frozen=True, slots=True)
class _Row:
    """A connection (two ends), or a translation (one)."""

    protocol: str
    ends: tuple[End, ...]
    idle_s: float | None = None
    age_s: float | None = None
    octets: int | None = None
    flags: str = ""
    times: int = 1


def read(chunks: Iterable[bytes], device: str, rank: Rank, inside: Sequence[Network] = ()) -> NatTable:
    """Lines that are no rows are counted. A table with far fewer rows than its heading promises is not complete: some
    come and go while it is printed, and the device's own are not in it."""
    lines, tallies = Lines(chunks), Tallies(inside)
    strays = Strays(lines)
    table = _Table(strays.refuse)
    for row in table.rows(lines):
        entry = _entry(device, row, rank)
        for _ in range(row.times):
            tallies.add_nobodys() if entry is None else tallies.add(entry)
    found = table_of(lines, strays, tallies, device)
    whole = table.promised <= 2 * (found.entries + table.without_sessions) + 20 and not table.cut
    return replace(found, complete=found.complete and whole)


def _entry(device: str, row: _Row, rank: Rank) -> Entry | None:
    """None: nobody's. UnexpectedOutput for an interface that the device did not list."""
    ends = _client_first(device, row.ends, rank)
    if not ends:
        return None
    client, remote = ends[0], ends[1] if len(ends) > 1 else None
    protocol = row.protocol.lower()
    return Entry(
        client.address.packed,
        protocol,
        remote.address.packed if remote else None,
        remote.port if remote and protocol in ("tcp", "udp") else None,
        unanswered="U" not in row.flags if remote and protocol == "tcp" else None,
        idle_s=row.idle_s,
        age_s=row.age_s,
        octets=None if row.octets is None else (0, row.octets),
    )


def _client_first(device: str, ends: tuple[End, ...], rank: Rank) -> tuple[End, ...]:
    """A translation tells the client alone. Empty where neither is."""
    if len(ends) < 2:
        return ends
    try:
        ranks = [rank(end) for end in ends]
    except KeyError as unknown:
        raise UnexpectedOutput(device, str(unknown), "a connection on an interface that is not listed") from None
    if ranks[0] == ranks[1]:
        return ()
    return ends if ranks[0] > ranks[1] else ends[::-1]


# --- lines -----------------------------------------------------------------------------------------------------------


class _Table:
    """The rows of one answer. What is no row and no noise goes to `refuse`."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._begun: _Row | None = None
        """A row whose second line is due."""
        self.promised = 0
        """By the heading; 0 where units of a cluster have one each."""
        self.without_sessions = 0
        self._headings = 0

    @property
    def cut(self) -> bool:
        """Whether a row lacks its second line; to be asked at the end."""
        return self._begun is not None

    def rows(self, lines: Iterable[str]) -> Iterator[_Row]:
        for raw in lines:
            said = " ".join(raw.split())
            try:
                row = self._row(said)
            except ValueError:
                self._refuse(raw)
                continue
            if row is not None:
                yield row

    def _row(self, said: str) -> _Row | None:
        """A row that this line completes. ValueError for a line that is none."""
        if begun := self._begun:
            self._begun = None
            return self._completed(begun, said)
        if found := _CONN.fullmatch(said):
            return _Row(found[1], _ends(found), _seconds(found[8]), octets=int(found[9]), flags=found[10] or "")
        if found := _DETAIL.fullmatch(said):
            return self._detail(found)
        if found := _XLATE.fullmatch(said):
            return self._translation(found)
        if found := _XLATE_OLD.fullmatch(said):
            return _Row("any", (End("", IPv4Address(found[1]), None),), times=int(found[2]))
        if _CONN_V6.fullmatch(said):
            return _Row("any", ())
        self._other(said)
        return None

    def _other(self, said: str) -> None:
        if found := IN_USE.fullmatch(said):
            self._headings += 1
            self.promised = int(found[1]) if self._headings == 1 else 0
        elif said and not NOISE.fullmatch(said):
            raise ValueError(said)

    def _detail(self, found: re.Match[str]) -> _Row | None:
        row = _Row(found[1], _ends(found))
        if found[8]:
            return replace(row, idle_s=_seconds(found[8]), octets=int(found[9]), flags=found[10] or "")
        self._begun = row
        return None

    def _translation(self, found: re.Match[str]) -> _Row | None:
        row = _Row(found[1] or "", (End("", IPv4Address(found[2]), None),))
        if found[3]:
            return self._completed(row, found[3])
        self._begun = row
        return None

    def _completed(self, begun: _Row, said: str) -> _Row | None:
        if len(begun.ends) == 2 and (found := _ABOUT.fullmatch(said)):
            octets = int(found[4]) if found[4] else None
            ages = _seconds(found[2]), _seconds(found[3])
            return replace(begun, flags=found[1] or "", idle_s=ages[0], age_s=ages[1], octets=octets)
        found = _XLATE_FLAGS.fullmatch(said)
        if len(begun.ends) == 2 or not found:
            raise ValueError(said)
        if not begun.protocol or "s" in found[1]:
            self.without_sessions += 1
            return None
        return replace(begun, idle_s=_seconds(found[2]))


def _ends(found: re.Match[str]) -> tuple[End, End]:
    return _end(found[2], found[3], found[4]), _end(found[5], found[6], found[7])


def _end(nameif: str, address: str, port: str | None) -> End:
    """`zone:nameif(nameif)` is nameif."""
    bare = re.fullmatch(r"\S+:(\S+)\(\1\)", nameif)
    return End(bare[1] if bare else nameif, IPv4Address(address), int(port) if port else None)


def _seconds(span: str) -> float:
    """h:mm:ss, or 1Y25D, 2h39m, 21s."""
    if ":" in span:
        hours, minutes, seconds = (int(part) for part in span.split(":"))
        return float(hours * 3600 + minutes * 60 + seconds)
    return float(sum(int(number) * _UNIT_S[unit] for number, unit in re.findall(r"(\d+)([YWDhms])", span)))
