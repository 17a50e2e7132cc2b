"""Devices -> Snapshot: ask all of them at once; a table that we did not get is a Gap, never an empty table.

One session per device, one thread per session. A device that fails in one table still gives the others; the session
sees to it that a lost transport fails at once instead of waiting for every time-out (edge/session.py).

SNMP is cheap for us and slow only for the devices, so many more of them are asked at once than logins are made, and
all columns of a device are read in one go before its tables are made of them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from threading import Semaphore
from time import monotonic
from traceback import extract_tb
from typing import TypeVar

from switchguard import plugins
from switchguard.core.changes import Enforced
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
    PortCounters,
    Reading,
    Role,
    Snapshot,
    Table,
)
from switchguard.errors import DeviceError, SwitchguardError
from switchguard.ports import (
    CountsClients,
    CountsOctets,
    Driver,
    Enforces,
    NatTable,
    Oid,
    Opens,
    ReadsAhead,
    ReadsArp,
    ReadsCounters,
    ReadsDestinations,
    ReadsFdb,
    ReadsInterfaces,
    ReadsLeases,
    ReadsLinks,
    ReadsNat,
    ReadsNatSize,
    Session,
    TellsColumns,
)

Clock = Callable[[], datetime]
Steady = Callable[[], float]
"""Seconds of a clock that nobody sets: how long something took is told by this one alone."""
Tell = Callable[[str], None]
DriverOf = Callable[[str], Driver]
Row = NatUsage | NatSize | Neighbor | FdbEntry | PortCounters | Link | Interface | Destination | Lease | ClientOctets
_Reader = Callable[[Session], tuple[Row, ...]]
_R = TypeVar("_R", NatUsage, NatSize, Neighbor, FdbEntry, PortCounters, Link, Interface, Lease, ClientOctets)
_T = TypeVar("_T")

_GATEWAYS_ONLY: frozenset[Table] = frozenset({"nat", "nat_size", "octets"})
"""A switch whose platform could translate addresses is not asked for translations that it does not make."""
MOST_DESTINATIONS = 64
"""Of one gateway."""
_THIS_HOST = "this host"
_SNMP_AT_ONCE = 128
"""Devices that are read over SNMP alone: 10,000 questions a second to agents that take 10 ms for each."""


def gather(
    devices: Collection[Device],
    opens: Opens,
    tables: Collection[Table],
    clock: Clock,
    *,
    workers: int = 16,
    tell: Tell | None = None,
    driver_of: DriverOf = plugins.driver,
    snooping: Collection[str] = (),
    steady: Steady = monotonic,
) -> Snapshot:
    """Every device for those of `tables` that its driver can read: `workers` logins at a time, and 128 by SNMP alone.

    `tell` gets one line per device, as it finishes. `snooping`: the devices that are asked for leases.
    Rows are in the order of `devices`, then as the device gave them.
    """
    at, chosen, watch = clock(), tuple(devices), _Watch(clock, steady)
    logins = Semaphore(workers)

    def ask(device: Device) -> tuple[_Answer, ...]:
        unasked: frozenset[Table] = frozenset() if device.name in snooping else frozenset({"leases"})
        return _ask(device, driver_of, opens, frozenset(tables) - unasked, watch, logins)

    def told(device: Device, answers: tuple[_Answer, ...]) -> None:
        if tell is not None:
            tell(_summary(device, answers))

    answers = [answer for by_device in _at_once(ask, chosen, max(workers, _SNMP_AT_ONCE), told) for answer in by_device]
    macs, addresses, own_gaps = _this_host()
    return Snapshot(
        at,
        chosen,
        nat=_rows(answers, NatUsage),
        nat_sizes=_rows(answers, NatSize),
        neighbors=_rows(answers, Neighbor),
        fdb=_rows(answers, FdbEntry),
        counters=_rows(answers, PortCounters),
        client_octets=_rows(answers, ClientOctets),
        links=_rows(answers, Link),
        interfaces=_rows(answers, Interface),
        own_macs=macs,
        own_addresses=addresses,
        readings=tuple(answer.outcome for answer in answers if isinstance(answer.outcome, Reading)),
        gaps=tuple(answer.outcome for answer in answers if isinstance(answer.outcome, Gap)) + own_gaps,
        destinations=tuple(row for answer in answers for row in answer.destinations),
        leases=_rows(answers, Lease),
    )


def read_enforced(
    devices: Collection[Device],
    opens: Opens,
    *,
    workers: int = 32,
    tell: Tell | None = None,
    driver_of: DriverOf = plugins.driver,
    steady: Steady = monotonic,
) -> Mapping[str, Enforced | Gap]:
    """Device name -> what it enforces now; devices whose driver cannot enforce are left out."""
    started = steady()

    def read(device: Device) -> Enforced | Gap | None:
        try:
            driver = driver_of(device.platform)
            if not isinstance(driver, Enforces):
                return None
            with opens(device) as session:
                return driver.enforced(session)
        except Exception as error:  # noqa: BLE001 - the boundary of a device: whatever fails is its Gap
            return Gap(device.name, "enforced", _why(error))

    def told(device: Device, held: Enforced | Gap | None) -> None:
        if tell is not None and held is not None:
            what = held.why if isinstance(held, Gap) else f"{len(held)} enforced"
            tell(f"{device.name}: {what}, {steady() - started:.1f} s")

    chosen = tuple(devices)
    found = zip(chosen, _at_once(read, chosen, workers, told), strict=True)
    return {device.name: held for device, held in found if held is not None}


# --- one device ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Watch:
    """Two clocks: when something was, and how long it took."""

    clock: Clock
    steady: Steady


@dataclass(frozen=True, slots=True)
class _Answer:
    outcome: Reading | Gap
    rows: tuple[Row, ...] = ()
    destinations: tuple[Destination, ...] = ()
    """What the table `nat` tells beside its rows."""


def _ask(
    device: Device, driver_of: DriverOf, opens: Opens, tables: frozenset[Table], watch: _Watch, logins: Semaphore
) -> tuple[_Answer, ...]:
    try:
        driver = driver_of(device.platform)
        readers = _readers(driver, watch.clock)
    except SwitchguardError as error:
        return tuple(_Answer(Gap(device.name, table, str(error))) for table in sorted(tables))
    unasked = _GATEWAYS_ONLY if device.role is not Role.GATEWAY else frozenset()
    wanted = {table: reader for table, reader in readers.items() if table in tables - unasked}
    if not wanted:
        return ()
    try:
        with opens(device) as session:
            columns = _columns(driver, session, wanted)
            with nullcontext() if columns.keys() >= wanted.keys() else logins:
                return _read_all(device, wanted, columns, session, watch)
    except Exception as error:  # noqa: BLE001 - the boundary of a device: whatever fails is its Gap
        return tuple(_Answer(Gap(device.name, table, _why(error))) for table in wanted)


def _columns(driver: Driver, session: Session, tables: Iterable[Table]) -> Mapping[Table, tuple[tuple[Oid, ...], ...]]:
    """The SNMP columns of those tables that are made of such."""
    if not (isinstance(driver, TellsColumns) and isinstance(session, ReadsAhead) and session.speaks("snmp")):
        return {}
    return {table: columns for table in tables if (columns := driver.columns({table}))}


def _read_all(
    device: Device,
    readers: Mapping[Table, _Reader],
    columns: Mapping[Table, tuple[tuple[Oid, ...], ...]],
    session: Session,
    watch: _Watch,
) -> tuple[_Answer, ...]:
    """Tables that are read ahead share the time of that, and its beginning is when they were true."""
    if not columns or not isinstance(session, ReadsAhead):
        return tuple(_read(device, table, reader, session, watch) for table, reader in readers.items())
    at, started = watch.clock(), watch.steady()
    with session.ahead(tuple(dict.fromkeys(group for groups in columns.values() for group in groups))):
        share_s = (watch.steady() - started) / len(columns)
        return tuple(
            _read(device, table, reader, session, watch, (at, share_s) if table in columns else None)
            for table, reader in readers.items()
        )


def _read(
    device: Device,
    table: Table,
    reader: _Reader,
    session: Session,
    watch: _Watch,
    ahead: tuple[datetime, float] | None = None,
) -> _Answer:
    """A parser may stumble over what no recording showed: that costs this table, and the Gap says where it happened."""
    started, received = watch.steady(), _received(session)
    at, share_s = ahead or (watch.clock(), 0.0)
    try:
        rows = reader(session)
    except Exception as error:  # noqa: BLE001 - the boundary of a table: whatever fails is its Gap
        answering = _received(session) > received
        return _Answer(Gap(device.name, table, _why(error), watch.steady() - started if answering else 0.0))
    beside = tuple(row for row in rows[-MOST_DESTINATIONS:] if isinstance(row, Destination)) if table == "nat" else ()
    rows = rows[: len(rows) - len(beside)]
    octets = _received(session) - received or None
    cost = share_s + watch.steady() - started
    return _Answer(Reading(device.name, table, at, len(rows), cost, octets), rows, beside)


def _received(session: Session) -> int:
    return session.received if isinstance(session, CountsOctets) else 0


def _readers(driver: Driver, clock: Clock) -> dict[Table, _Reader]:
    """What a driver can read, in the order of asking."""
    readers: dict[Table, _Reader] = {}
    if isinstance(driver, ReadsNatSize):
        nat_size = driver.nat_size
        readers["nat_size"] = lambda session: (nat_size(session),)
    if isinstance(driver, ReadsDestinations):
        table = driver.nat_table
        readers["nat"] = lambda session: _with_destinations(table(session))
    elif isinstance(driver, ReadsNat):
        readers["nat"] = driver.nat
    if isinstance(driver, ReadsArp):
        readers["arp"] = driver.arp
    if isinstance(driver, ReadsFdb):
        readers["fdb"] = driver.fdb
    if isinstance(driver, ReadsInterfaces):
        readers["interfaces"] = driver.interfaces
    if isinstance(driver, ReadsLinks):
        readers["links"] = driver.links
    if isinstance(driver, ReadsCounters):
        counters = driver.counters
        readers["counters"] = lambda session: counters(session, clock())
    if isinstance(driver, CountsClients):
        readers["octets"] = driver.client_octets
    if isinstance(driver, ReadsLeases):
        leases = driver.leases
        readers["leases"] = lambda session: leases(session, clock())
    return readers


def _with_destinations(table: NatTable) -> tuple[Row, ...]:
    """They come last; a few tell enough, whatever the driver tells."""
    return (*table.usages, *table.destinations[:MOST_DESTINATIONS])


def _why(error: Exception) -> str:
    match error:
        case DeviceError():
            return error.why
        case SwitchguardError():
            return str(error)
    place = extract_tb(error.__traceback__)[-1]
    return f"the driver failed: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"


def _summary(device: Device, answers: tuple[_Answer, ...]) -> str:
    readings = [answer.outcome for answer in answers if isinstance(answer.outcome, Reading)]
    gaps = [f"no {answer.outcome.table}: {answer.outcome.why}" for answer in answers if isinstance(answer.outcome, Gap)]
    rows, seconds = sum(reading.rows for reading in readings), sum(reading.seconds for reading in readings)
    return "; ".join([f"{device.name}: {len(readings)} tables, {rows} rows, {seconds:.1f} s", *gaps])


# --- all devices -----------------------------------------------------------------------------------------------------


def _at_once(
    work: Callable[[Device], _T], devices: tuple[Device, ...], workers: int, told: Callable[[Device, _T], None]
) -> Iterator[_T]:
    """Results in the order of `devices`; `told` is called in this thread, in the order of finishing."""
    with ThreadPoolExecutor(max_workers=max(1, min(workers, len(devices))), thread_name_prefix="device") as pool:
        futures = {pool.submit(work, device): device for device in devices}
        for future in as_completed(futures):
            told(futures[future], future.result())
    return (future.result() for future in futures)


def _rows(answers: list[_Answer], kind: type[_R]) -> tuple[_R, ...]:
    """An answer has rows of one kind, so looking at the first of them is enough: there are hundreds of thousands."""
    chosen = [answer.rows for answer in answers if answer.rows and isinstance(answer.rows[0], kind)]
    return tuple(row for rows in chosen for row in rows if isinstance(row, kind))


# --- the machine that we run on --------------------------------------------------------------------------------------


def _this_host() -> tuple[tuple[Mac, ...], tuple[Address, ...], tuple[Gap, ...]]:
    """Its MACs and addresses, which must never be blocked; a Gap if Linux does not tell them."""
    try:
        return own_macs(), own_addresses(), ()
    except OSError as error:
        return (), (), (Gap(_THIS_HOST, "interfaces", f"our own addresses are unknown: {error}"),)


def own_macs() -> tuple[Mac, ...]:
    """From /sys/class/net; loopback and tunnels without an Ethernet address are left out."""
    texts = {file.read_text().strip() for file in Path("/sys/class/net").glob("*/address")}
    macs = {Mac.parse(text) for text in texts if len(text) == len("02:00:00:00:00:01")}
    return tuple(sorted(macs - {Mac(0)}))


def own_addresses() -> tuple[Address, ...]:
    """From the kernel's routing trie and if_inet6, which need no program; without loopback."""
    v4 = {IPv4Address(text) for text in _local_v4(Path("/proc/net/fib_trie").read_text())}
    v6 = {IPv6Address(int(line.split()[0], 16)) for line in _lines(Path("/proc/net/if_inet6"))}
    addresses: tuple[Address, ...] = (*sorted(v4), *sorted(v6))
    return tuple(address for address in addresses if not address.is_loopback)


def _local_v4(trie: str) -> Iterator[str]:
    """A leaf `|-- 192.0.2.1` followed by `/32 host LOCAL` is an address of ours (net/ipv4/fib_trie.c)."""
    leaf = ""
    for line in trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            yield leaf


def _lines(file: Path) -> list[str]:
    """A kernel without IPv6 has no such file."""
    return file.read_text().splitlines() if file.exists() else []
