"""What a walk needs of an SNMP engine, whichever it is: a line to one agent that carries GET and GETBULK.

An engine adds nothing of its own: retries, back-off, sizes, order of rows and what errors mean are the client's
business (session_snmp.py), so that every engine gives the same results (tests/edge/test_snmp_engines.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from switchguard.ports import Oid, SnmpAccess, SnmpValue

Index = tuple[int, ...]
Address = tuple[str, int]
"""A numeric address and a UDP port."""


class Silence(Exception):
    """No answer in time, or none that the engine can relate to the request."""


class Denied(Exception):
    """The agent does not accept our SNMPv3 user; str() says what about it."""


class Garbled(Exception):
    """An answer that is no SNMP, or has a value of a type that SNMP does not have."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Credentials, without what differs between devices that share them."""

    access: SnmpAccess
    blumenthal: bool = False
    encrypted: bool = True


def lengthens_keys(access: SnmpAccess) -> bool:
    """Whether the privacy key may be made in two ways, Reeder's and Blumenthal's."""
    return access.priv_protocol in ("aes192", "aes256")


@dataclass(frozen=True, slots=True)
class Reply:
    """To GET. `status` is RFC 3416's error-status, "" for noError; None stands for its three exceptions."""

    values: tuple[tuple[Oid, SnmpValue | None], ...] = ()
    status: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """To GETBULK: the rows within the column, as the agent gave them."""

    rows: list[tuple[Index, SnmpValue]] = field(default_factory=list)
    ended: bool = False
    """Something beyond the column followed, or the end of the MIB."""
    status: str = ""


class Line(Protocol):
    """Each call is one question, asked once. Raises Silence, Denied or Garbled."""

    async def get(self, oids: Sequence[Oid], wait_s: float) -> Reply: ...

    async def page(self, column: Oid, after: Index, repetitions: int, wait_s: float) -> Page:
        """What follows the row `after` (the column's beginning: no numbers), at most `repetitions` rows."""

    def close(self) -> None: ...
