"""A new gathering laid over the last one: the newest answer of every table, since not every table is read each time."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol, TypeVar

from switchguard.core.model import Gap, Lease, Reading, Snapshot, Table
from switchguard.core.namesakes import superseded
from switchguard.core.trails import followed


class _OfDevice(Protocol):
    @property
    def device(self) -> str: ...


class _OfTable(_OfDevice, Protocol):
    @property
    def table(self) -> Table: ...


Row = TypeVar("Row", bound=_OfDevice)
Note = TypeVar("Note", bound=_OfTable)


def refresh(old: Snapshot | None, new: Snapshot) -> Snapshot:
    """Tables that `new` asked for replace those of `old`, row for row or by their gap; the others stay, with their age.

    Devices that left the inventory leave with their tables. A lease source that is no device stays until it answers;
    sources of users are asked all together, and what they say goes on from what they said before.
    """
    if old is None:
        return new
    asked = {(r.device, r.table) for r in new.readings} | {(g.device, g.table) for g in new.gaps}
    anew = any(table == "users" for _, table in asked)
    present = {device.name for device in new.devices} | _servers(old, "leases")
    present |= set() if anew else _servers(old, "users")

    def merged(table: Table, before: tuple[Row, ...], after: tuple[Row, ...]) -> tuple[Row, ...]:
        kept = (row for row in before if row.device in present and (row.device, table) not in asked)
        return (*kept, *after)

    return replace(
        new,
        nat=merged("nat", old.nat, new.nat),
        nat_sizes=merged("nat_size", old.nat_sizes, new.nat_sizes),
        neighbors=merged("arp", old.neighbors, new.neighbors),
        fdb=merged("fdb", old.fdb, new.fdb),
        counters=merged("counters", old.counters, new.counters),
        client_octets=merged("octets", old.client_octets, new.client_octets),
        links=merged("links", old.links, new.links),
        interfaces=merged("interfaces", old.interfaces, new.interfaces),
        leases=(*_kept_leases(old, present, asked), *new.leases),
        sights=followed(old, new),
        superseded=superseded(old, new),
        users=new.users if anew else old.users,
        user_zones=new.user_zones if anew else old.user_zones,
        destinations=merged("nat", old.destinations, new.destinations),
        readings=(*_of_others(old.readings, present, asked), *new.readings),
        gaps=(*_of_others(old.gaps, present, asked), *new.gaps),
    )


def _servers(old: Snapshot, table: Table) -> set[str]:
    notes: tuple[Reading | Gap, ...] = (*old.readings, *old.gaps)
    return {note.device for note in notes if note.table == table} - {device.name for device in old.devices}


def _kept_leases(old: Snapshot, present: set[str], asked: set[tuple[str, Table]]) -> Iterator[Lease]:
    return (row for row in old.leases if row.source in present and (row.source, "leases") not in asked)


def _of_others(notes: Iterable[Note], present: set[str], asked: set[tuple[str, Table]]) -> Iterator[Note]:
    return (note for note in notes if note.device in present and (note.device, note.table) not in asked)
