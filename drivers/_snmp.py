"""SNMP columns with the types that their MIB promises; an agent that breaks the promise is quoted in an error."""

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, Protocol, TypeVar

from switchguard.core.model import Device, Mac
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Oid, Session, SnmpValue

Index = tuple[int, ...]
Value = TypeVar("Value")

IF_DESCR = "1.3.6.1.2.1.2.2.1.2"
IF_PHYS_ADDRESS = "1.3.6.1.2.1.2.2.1.6"
IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
IF_ALIAS = "1.3.6.1.2.1.31.1.1.1.18"
DOT1D_BASE_PORT_IF_INDEX = "1.3.6.1.2.1.17.1.4.1.2"


class Walks(Protocol):
    """What of a session reads tables."""

    @property
    def device(self) -> Device: ...

    def walk(self, column: Oid) -> Mapping[Index, SnmpValue]: ...


_OTHER_LINK_LAYERS = {4, 8, 16, 20}
"""Octets in a link-layer address that is no EUI-48: IPv4 tunnel, EUI-64, IPv6 tunnel, InfiniBand."""


def numbers_of(session: Walks, column: Oid) -> dict[Index, int]:
    """A column of INTEGER, counters, gauges or TimeTicks."""
    return {
        index: value if isinstance(value, int) else _refuse(session, column, index, value)
        for index, value in session.walk(column).items()
    }


def octets_of(session: Walks, column: Oid) -> dict[Index, bytes]:
    """A column of OCTET STRING."""
    return {
        index: value if isinstance(value, bytes) else _refuse(session, column, index, value)
        for index, value in session.walk(column).items()
    }


def by_port(session: Session, column: Oid, read: Callable[[Session, Oid], dict[Index, Value]]) -> dict[Index, Value]:
    """A column of a table whose index is one number."""
    rows = read(session, column)
    require_length(session, column, rows, 1)
    return rows


def require_length(session: Walks, column: Oid, indexes: Iterable[Index], length: int) -> None:
    for index in indexes:
        if len(index) != length:
            raise bad_row(session, column, index)


def mac_of(session: Walks, column: Oid, index: Index, octets: bytes) -> Mac | None:
    """None where there is no address, or one of another link layer (a tunnel, InfiniBand)."""
    if len(octets) == 6:
        return Mac.from_octets(octets)
    if octets and len(octets) not in _OTHER_LINK_LAYERS:
        raise bad_value(session, column, index, octets)
    return None


def text_of(octets: bytes) -> str:
    """DisplayString is ASCII (RFC 2579); what vendors add to it is shown as a replacement character."""
    return octets.rstrip(b"\0").decode("utf-8", "replace").strip()


def names_of(session: Session) -> dict[int, str]:
    """ifIndex -> ifName; ifDescr where an old agent leaves ifName out or empty."""
    names = {index: text_of(octets) for (index,), octets in by_port(session, IF_NAME, octets_of).items()}
    if names and all(names.values()):
        return names
    described = {index: text_of(octets) for (index,), octets in by_port(session, IF_DESCR, octets_of).items()}
    return described | {index: name for index, name in names.items() if name}


def named(names: Mapping[int, str], index: int) -> str:
    """An interface that appeared after its names were read keeps its number until the next poll."""
    return names.get(index) or f"ifIndex {index}"


def no_table(session: Session, oid: Oid, what: str) -> UnexpectedOutput:
    return UnexpectedOutput(session.device.name, oid, f"the agent has no {what}")


def bad_row(session: Walks, column: Oid, index: Index) -> UnexpectedOutput:
    return UnexpectedOutput(session.device.name, _dotted(column, index), "an SNMP row with an index of another shape")


def bad_value(session: Walks, column: Oid, index: Index, value: SnmpValue) -> UnexpectedOutput:
    row = f"{_dotted(column, index)} = {value!r}"
    return UnexpectedOutput(session.device.name, row, "an SNMP value that its MIB does not allow")


def _refuse(session: Walks, column: Oid, index: Index, value: SnmpValue) -> NoReturn:
    raise bad_value(session, column, index, value)


def _dotted(column: Oid, index: Index) -> str:
    return ".".join([column, *map(str, index)])
