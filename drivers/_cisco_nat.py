"""`show ip nat translations [verbose]` of IOS and IOS-XE -> usage per inside local address.

Own parser: the template of ntc-templates swaps the ports of outside local and outside global, and loses rows of gre
and esp. Layouts, all of which may be mixed in one answer:

* plain: `Pro  Inside global  Inside local  Outside local  Outside global`, `---` where there is nothing;
* classic verbose: ages relative (`create 00:00:34, use 00:00:33 timeout:86400000, left 00:00:26`), flags on their own
  line from column 0, the table's header repeated in the middle of an entry on long answers;
* IOS-XE verbose: ages absolute by the device's clock (`create: 02/15/12 11:38:01, use: ...`), and from 17.x packets
  and octets;
* an inside global of 18 characters or more may leave no blank before the inside local
  (`203.0.113.227:68192.168.1.3:68`): it is taken apart where both ports become equal, and is an error where that is
  not unique.

What counts: rows of a protocol with an inside local address. Rows without a protocol (`---`, the address's own entry
in a pool), static entries and entries of outside sources hold no session of a client. Rows without an outside address
are sessions whose remote host is not told. `In_bytes` are the client's outgoing octets: in a recorded ping without
all its answers the requests are counted there; no reference page says so.

In a file that somebody saved there is often no answer to `show clock`. A line of it above the table, or of `terminal
exec prompt timestamp`, is taken; else the latest moment that the table tells counts as now.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address

from switchguard.core.model import NatUsage, Network
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Capture, NatTable

from ._captured import Lines, Strays, table_of
from ._nat_tally import Entry, Tallies, summarize
from ._port_names import is_port

_END = r"(?:-{2,3}|\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?)"
_PROTOCOL = r"---|[a-z][a-z0-9-]*|\d{1,3}"
_ROW = re.compile(rf"({_PROTOCOL})\s+({_END})\s+({_END})\s+({_END})\s+({_END})")
_JOINED = re.compile(
    rf"({_PROTOCOL})\s+(\d{{1,3}}(?:\.\d{{1,3}}){{3}}):(\d+)((?:\.\d{{1,3}}){{3}}):(\d+)\s+({_END})\s+({_END})"
)
_HEADER = re.compile(r"Pro\s+Inside global\s+Inside local\s+Outside local\s+Outside global")
_TOTAL = re.compile(r"Total number of translations: (\d+)")

_SPAN = r"(?:\d+:\d\d:\d\d|(?:\d+[ywdh]){1,2}|never)"
_DATE = r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d"
_RELATIVE = re.compile(
    rf"create ({_SPAN}), use ({_SPAN}),? timeout:\d+(?:, left {_SPAN})?,?(?: Map-Id\(\w+\): ?\d+,?)?(?: flags:)?"
)
_ABSOLUTE = re.compile(rf"create:? ({_DATE}), use:? ({_DATE}), timeout: ?\d+:\d\d:\d\d")
_FLAGS = re.compile(
    r"(?:flags: ?)?([a-z][a-z-]*(?:, [a-z][a-z-]*)*), use_count: ?\d+"
    r"(?:, VRF ?: ?\S+)?(?:, entry-id: ?\d+)?(?:, lc_entries: ?\d+)?,?"
)
_XE_FLAGS = re.compile(r"Flags: ([a-z][a-z, -]*)")
_OCTETS = re.compile(r"In_pkts: (\d+) In_bytes: (\d+), Out_pkts: (\d+) Out_bytes: (\d+)")
_OTHER_XE = re.compile(
    r"Map-Id\(\w+\): ?\d+(?:, Mac-Address: \S+\s+Input-IDB:(?: \S+)?)?|Mac-Address: \S+\s+Input-IDB:(?: \S+)?"
    r"|entry-id: 0x[0-9a-f]+, use_count: ?\d+"
    r"|RuleID : \d+|ALG Application Type: \S+|WLAN-Flags: \S+|Output-IDB:(?: \S+)?"
)
_OTHER = re.compile(
    r"flags:|Group_id:\d+\s+vrf: \S+|Format\(H:M:S\) Time-left :\S+:-?\d+"
    r"|Load for five secs: .*; five minutes: \d+%|Time source is .+, \d+:\d\d:\d\d\S* .+ \d{4}"
)
_MAPPING = r"(?:\[Id: \d+\] )?(?:access-list|route-map) \S+(?: (?:pool|interface) \S+)?"
_OPEN_ENDED = re.compile(_MAPPING)
"""Some releases leave the count of references out; as the last line it was cut off."""
_STATISTICS = re.compile(
    r"Total (?:active )?translations: \d+ \(\d+ static, \d+ dynamic; \d+ extended\)"
    r"|(?:Outside|Inside) interfaces:(?: \S+,?)*|Peak translations: \d+(?:, occurred \S+ ago)?"
    r"|Dynamic mappings:|-- (?:Inside|Outside) (?:Source|Destination)|nat-limit statistics:|Reserved portblock stats"
    rf"|{_MAPPING}(?: refcount \d+)?"
    r"|pool \S+:(?: id \d+,)? netmask [\d.]+|start [\d.]+ end [\d.]+"
    r"|type \S+, total addresses \d+, allocated \d+ \(\d+%\), misses \d+"
    r"|longest chain in pool: \S+'s addr-hash: \d+, average len \d+,chains \d+/\d+"
    r"|max entry: max allowed \d+, used \d+, missed \d+"
    r"|total (?:tcp|udp) ports \w+(?: from tpm)? lo:\d+ hi:\d+|tcp ports reserved flag \d+ udp ports reserved flag \d+"
    r"|Reserved port setting \w+ provisioned \w+|(?:[A-Z][\w-]*(?: [\w-]+)*: \d+,? ?)+"
)
"""Lines of `show ip nat statistics`; the last form is a name and a number, once or more often."""
_CLOCK = re.compile(r"[*.]?(\d\d:\d\d:\d\d)(?:\.\d+)? \S+ [A-Z][a-z]{2} ([A-Z][a-z]{2} {1,2}\d{1,2} \d{4})")
_UNIT_S = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3_600}


@dataclass(slots=True)
class _Row:
    """An entry while its lines are read."""

    protocol: str
    local: IPv4Address
    remote: IPv4Address | None
    remote_port: int | None
    age_s: float | None = None
    idle_s: float | None = None
    packets: tuple[int, int] | None = None
    octets: tuple[int, int] | None = None
    static: bool = False

    @property
    def entry(self) -> Entry:
        return Entry(
            self.local.packed,
            self.protocol,
            self.remote.packed if self.remote else None,
            self.remote_port,
            unanswered=None if self.packets is None else (self.packets[0] == 0) != (self.packets[1] == 0),
            idle_s=self.idle_s,
            age_s=self.age_s,
            octets=self.octets,
        )


CAPTURE = Capture(
    printed_by=("show ip nat translations",),
    row=re.compile(
        rf"\s*(?:(?:{_PROTOCOL})\s+(?:{_END})\s+(?:{_END})\s+(?:{_END})\s+(?:{_END})\s*$|Pro\s+Inside global\s)"
    ),
)
_NEVER = datetime(9999, 1, 1)
"""Instead of a clock that nobody read."""


def usage(device: str, text: str, clock: str) -> tuple[NatUsage, ...]:
    """`clock` is the answer to `show clock`, given before the table, so that no session is called idle for too long."""
    table = _Table(device, _clock(device, clock), _raise)
    usages = summarize(device, (row.entry for row in table.rows(text.splitlines()) if not row.static))
    if table.cut:
        raise UnexpectedOutput(device, text.rstrip().rpartition("\n")[2], "a translation table without its total")
    return usages


def read_capture(chunks: Iterable[bytes], device: str, inside: Sequence[Network]) -> NatTable:
    """The same from a file, with lines counted that are no rows."""
    lines, tallies = Lines(chunks), Tallies(inside)
    strays = Strays(lines)
    table = _Table(device, None, lambda error: strays.refuse(error.line))
    ahead_s = float("inf")
    for row in table.rows(lines):
        if not row.static:
            tallies.add(row.entry)
        if row.idle_s is not None:
            ahead_s = min(ahead_s, row.idle_s)
    found = table_of(lines, strays, tallies, device, ahead_s if table.clockless else 0.0)
    return replace(found, complete=found.complete and not table.cut)


def _raise(error: UnexpectedOutput) -> None:
    raise error


def size(device: str, text: str) -> tuple[int, int | None]:
    """Entries and limit from `show ip nat statistics`. No limit where none is configured (0, or 2^31 - 1)."""
    for raw in text.splitlines():
        said = " ".join(raw.split())
        if said and not (_STATISTICS.fullmatch(said) or _OTHER.fullmatch(said) or _are_ports(said)):
            raise UnexpectedOutput(device, raw)
    if _OPEN_ENDED.fullmatch(" ".join(text.rstrip().rpartition("\n")[2].split())):
        raise UnexpectedOutput(device, text.rstrip().rpartition("\n")[2], "statistics that are cut short")
    total = re.search(r"^\s*Total (?:active )?translations: (\d+) \(", text, re.MULTILINE)
    if not total:
        raise UnexpectedOutput(device, text.strip().partition("\n")[0], "no total of the active translations")
    allowed = re.search(r"^\s*max entry: max allowed (\d+), used \d+", text, re.MULTILINE)
    limit = int(allowed[1]) if allowed else 0
    return int(total[1]), limit if 0 < limit < (1 << 31) - 1 else None


def _are_ports(line: str) -> bool:
    """The lists after `Outside interfaces:` wrap."""
    return all(is_port(name) for name in re.split(r", ?| ", line))


# --- lines -----------------------------------------------------------------------------------------------------------


class _Table:
    """The rows of one answer. What is no row and no noise goes to `refuse`, which may raise it."""

    def __init__(self, device: str, clock: datetime | None, refuse: Callable[[UnexpectedOutput], None]) -> None:
        self._device, self._clock, self._refuse = device, clock, refuse
        self._looks_for_a_clock = clock is None
        self._needs_total = self._has_total = False

    @property
    def cut(self) -> bool:
        """Whether the total is missing that IOS-XE finishes its tables with; to be asked at the end."""
        return self._needs_total and not self._has_total

    @property
    def clockless(self) -> bool:
        """Whether idle times were computed although nobody told what time it was."""
        return self._needs_total and self._clock is None

    def rows(self, lines: Iterable[str]) -> Iterator[_Row]:
        row: _Row | None = None
        for raw in lines:
            line = raw.strip()
            try:
                fields = _fields(self._device, line)
                begun = _row(self._device, raw, fields) if fields else None
                if not fields:
                    self._read_other(raw, line, row)
            except UnexpectedOutput as error:
                self._refuse(error)
                fields, begun = (raw,), None
            if fields:
                if row:
                    yield row
                row = begun
        if row:
            yield row

    def _read_other(self, raw: str, line: str, row: _Row | None) -> None:
        if _TOTAL.fullmatch(line):
            self._has_total = True
        elif self._looks_for_a_clock and (clock := _CLOCK.search(line)):
            self._clock = _moment(self._device, raw, clock)
        elif not _is_noise(line):
            absolute = _detail(self._device, raw, line, row, self._clock or _NEVER)
            self._needs_total = self._needs_total or absolute


def _is_noise(line: str) -> bool:
    return not line or bool(_HEADER.fullmatch(line) or _OTHER.fullmatch(line))


def _fields(device: str, line: str) -> tuple[str, ...]:
    """Protocol, inside local, outside global of a row; empty for any other line."""
    if row := _ROW.fullmatch(line):
        return row[1], row[3], row[5]
    if joined := _JOINED.fullmatch(line):
        return joined[1], _taken_apart(device, line, joined[3], joined[4], joined[5]), joined[7]
    return ()


def _taken_apart(device: str, line: str, digits: str, rest: str, port: str) -> str:
    """The inside local address out of `port``first octet`, where the port must be the inside local's own."""
    octet = digits.removeprefix(port)
    if octet == digits or not octet or int(octet) > 255 or str(int(octet)) != octet:
        raise UnexpectedOutput(device, line, "two addresses without a blank, and no telling where the second begins")
    return f"{octet}{rest}:{port}"


def _row(device: str, raw: str, fields: tuple[str, ...]) -> _Row | None:
    protocol, local, remote = fields
    if protocol == "---" or local.startswith("--"):
        return None
    try:
        address, _ = _end(local)
        host, port = (None, None) if remote.startswith("--") else _end(remote)
    except ValueError:
        raise UnexpectedOutput(device, raw) from None
    return _Row(protocol, address, host, port if protocol in ("tcp", "udp") else None)


def _end(text: str) -> tuple[IPv4Address, int | None]:
    address, _, port = text.partition(":")
    return IPv4Address(address), int(port) if port else None


def _detail(device: str, raw: str, line: str, row: _Row | None, now: datetime) -> bool:
    """Add what a line under a row tells; whether it is one of IOS-XE, whose tables finish with a total."""
    said = " ".join(line.split())
    target = row or _Row("---", IPv4Address(0), None, None)
    if found := _RELATIVE.fullmatch(said):
        target.age_s, target.idle_s = _seconds(found[1]), _seconds(found[2])
        return False
    if found := _FLAGS.fullmatch(said):
        target.static = "static" in found[1].split(", ")
        return False
    if found := _ABSOLUTE.fullmatch(said):
        target.age_s, target.idle_s = (_since(device, raw, moment, now) for moment in found.groups())
    elif found := _XE_FLAGS.fullmatch(said):
        target.static = "static" in found[1].split(", ")
    elif found := _OCTETS.fullmatch(said):
        numbers = [int(number) for number in found.groups()]
        target.packets, target.octets = (numbers[0], numbers[2]), (numbers[1], numbers[3])
    elif not _OTHER_XE.fullmatch(said):
        raise UnexpectedOutput(device, raw)
    return True


# --- times -----------------------------------------------------------------------------------------------------------


def _seconds(span: str) -> float | None:
    """hh:mm:ss, or 1d02h, 2w3d, 1y4w from a day on. None for `never`."""
    if ":" in span:
        hours, minutes, seconds = (int(part) for part in span.split(":"))
        return float(hours * 3600 + minutes * 60 + seconds)
    parts = re.findall(r"(\d+)([ywdh])", span)
    return float(sum(int(number) * _UNIT_S[unit] for number, unit in parts)) if parts else None


def _since(device: str, raw: str, moment: str, now: datetime) -> float:
    """Seconds before the clock was read; a moment after that counts as now."""
    try:
        return max((now - datetime.strptime(moment, "%m/%d/%y %H:%M:%S")).total_seconds(), 0.0)
    except ValueError:
        raise UnexpectedOutput(device, raw) from None


def _clock(device: str, text: str) -> datetime:
    """The device's own wall clock, without a zone, as its tables have it."""
    said: Iterable[str] = (
        line.strip() for line in text.splitlines() if line.strip() and not _OTHER.fullmatch(line.strip())
    )
    lines = list(said)
    found = _CLOCK.fullmatch(lines[0]) if len(lines) == 1 else None
    if not found:
        raise UnexpectedOutput(device, text.strip(), "no clock")
    return _moment(device, text.strip(), found)


def _moment(device: str, raw: str, found: re.Match[str]) -> datetime:
    try:
        return datetime.strptime(f"{found[1]} {' '.join(found[2].split())}", "%H:%M:%S %b %d %Y")
    except ValueError:
        raise UnexpectedOutput(device, raw, "no clock") from None
