"""SNMP v1, v2c and v3: GET, and tables by GETBULK, from ordinary threads. All asyncio of the product lives here and
below.

One background event loop serves every session. gufo-snmp asks (snmp_gufo.py); pysnmp (snmp_pysnmp.py) does where there
is a context of SNMPv3, or gufo-snmp does not tell enough. Both are lines (snmp_line.py), and whatever makes a walk
trustworthy is here, for both alike: retries with back-off, answers that are too big or get lost because they are,
tables that go backwards or do not end, and what an error means.

Sources: GETBULK and its exceptions RFC 3416 4.2.3, USM reports RFC 3414 3.2, noSuchName from SNMPv1 proxies RFC 2576 4.
Oddities: agents stay silent on a wrong community and, net-snmp 5.9 among others, on a wrong privacy key; AES-192 and
AES-256 with a hash that is too short for them exist with two incompatible key extensions, Reeder's and Blumenthal's;
Cisco keeps one BRIDGE-MIB per VLAN, behind `community@vlan` in v2c and the context `vlan-N` in v3.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import lt
from typing import TYPE_CHECKING, Any, TypeVar

from switchguard.edge.snmp_gufo import UserLine, community_line
from switchguard.edge.snmp_line import (
    Address,
    Denied,
    EngineKey,
    Garbled,
    Index,
    Line,
    Page,
    Reply,
    Silence,
    lengthens_keys,
)
from switchguard.edge.snmp_loop import background
from switchguard.edge.snmp_settled import STAMPS, Rows, Settled, is_settled
from switchguard.errors import CommandRefused, DeviceError, LoginRefused, NotConfigured, UnexpectedOutput, Unreachable
from switchguard.ports import Oid, Secret, SnmpAccess, SnmpValue

if TYPE_CHECKING:
    from switchguard.edge.snmp_pysnmp import PysnmpLine

_T = TypeVar("_T")

_BACK_OFF = 1.5
"""Each further try waits this much longer than the one before."""
_SMALLER = 4
"""From the third try on, an answer has this much fewer rows: fragments of large ones get lost on some paths."""
_GET_AT_ONCE = 20
_TOO_BIG, _NO_SUCH_NAME = "tooBig", "noSuchName"


@dataclass(frozen=True, slots=True)
class Limits:
    """Brakes on one walk. 50 rows about fill an Ethernet frame, and agents stop by themselves where it is full."""

    rows: int = 1_000_000
    seconds: float = 120.0
    repetitions: int = 50


class SnmpClient:
    """One agent, asked one question at a time. One that never answered, or was silent twice in a row, is not waited for
    again."""

    def __init__(
        self,
        device: str,
        host: str,
        access: SnmpAccess,
        limits: Limits | None = None,
        settled: Settled | None = None,
        *,
        only_pysnmp: bool = False,
    ) -> None:
        """`settled` is what a former session with the same agent found; `only_pysnmp` is for comparing the engines."""
        if why := lacking(access):
            raise NotConfigured(device, why)
        self._device, self._host, self._access, self._limits = device, host, access, limits or Limits()
        self._settled = settled or Settled(time.monotonic)
        self._only_pysnmp = only_pysnmp
        self._engine_key = EngineKey(replace(access, port=0, timeout_s=0, retries=0))
        self._repetitions = self._limits.repetitions
        self._address: Address | None = None
        self._heard = self._in_the_clear = False
        self._silences = 0
        self._lost: DeviceError | None = None
        self._ahead: dict[Oid, Rows | DeviceError] = {}
        self._ahead_values: dict[Oid, SnmpValue | None] = {}

    @property
    def alive(self) -> bool:
        """Whether it is worth asking again."""
        return self._lost is None

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        """None for noSuchObject and noSuchInstance. Raises as `walk` does."""
        if self._ahead_values and self._ahead_values.keys() >= set(oids):
            return {oid: self._ahead_values[oid] for oid in oids}
        values = background().run(self._bounded(self._with_line("", lambda line: self._get_all(line, oids))))
        return dict(zip(oids, values, strict=True))

    def walk(self, column: Oid, vlan: int | None = None) -> Rows:
        """Unreachable, LoginRefused, CommandRefused (an error-status) or UnexpectedOutput (loops, no end). `vlan`: of
        the bridge that a Cisco switch has for that VLAN alone."""
        context = "" if vlan is None else f"vlan-{vlan}"
        found = None if context else self._ahead.get(column)
        if found is None:
            return background().run(self._bounded(self._with_line(context, lambda line: self._walk(line, column))))
        if isinstance(found, DeviceError):
            raise found
        return found

    @contextmanager
    def ahead(self, groups: Sequence[Sequence[Oid]]) -> Iterator[None]:
        """Reads these columns and scalars (which end in .0) in one go; inside, `walk` and `get` answer from that. What
        has not changed since the last time is not even asked for, nor the rest of a group whose first column is empty.
        Failures are raised by the `walk` concerned."""
        try:
            background().run(self._with_line("", lambda line: self._read_ahead(line, groups)))
        except DeviceError as error:
            self._ahead = {column: error for group in groups for column in group}
        try:
            yield
        finally:
            self._ahead, self._ahead_values = {}, {}

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _read_ahead(self, line: Line, groups: Sequence[Sequence[Oid]]) -> None:
        scalars = [oid for group in groups for oid in group if oid.endswith(".0")]
        stamps = STAMPS if any(is_settled(column) for group in groups for column in group) else ()
        try:
            asked = tuple(dict.fromkeys((*scalars, *stamps)))
            values = dict(zip(asked, await self._bounded(self._get_all(line, asked)), strict=True))
            self._ahead_values = {oid: values[oid] for oid in scalars}
            self._settled.note({oid: values[oid] for oid in stamps})
        except DeviceError:
            self._settled.note({})
        for group in groups:
            for column in group:
                if not (column in self._ahead or column.endswith(".0")):
                    barren = column != group[0] and self._ahead.get(group[0]) == {}
                    self._ahead[column] = {} if barren else await self._read_column(line, column)

    async def _read_column(self, line: Line, column: Oid) -> Rows | DeviceError:
        rows = self._settled.recall(column)
        if rows is None:
            try:
                rows = await self._bounded(self._walk(line, column))
            except DeviceError as error:
                return error
            self._settled.keep(column, rows)
        return rows

    async def _bounded(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await work
        except TimeoutError as error:
            raise Unreachable(self._device, f"its SNMP table had no end after {self._limits.seconds:g} s") from error

    async def _walk(self, line: Line, column: Oid) -> dict[Index, SnmpValue]:
        rows: dict[Index, SnmpValue] = {}
        last: Index = ()
        while True:
            page = await self._page(line, column, last)
            if page.status == _NO_SUCH_NAME:
                return rows
            if page.status == _TOO_BIG or not (page.status or page.rows or page.ended):
                self._be_smaller(_dotted(column, last))
                continue
            if page.status:
                raise CommandRefused(self._device, f"SNMP GETBULK {_dotted(column, last)}", page.status)
            last = self._in_order(column, last, page)
            rows.update(page.rows)
            if page.ended:
                return rows
            if len(rows) > self._limits.rows:
                why = f"more than {self._limits.rows} rows in a table"
                raise UnexpectedOutput(self._device, _dotted(column, last), why)

    def _in_order(self, column: Oid, last: Index, page: Page) -> Index:
        """The last row's index. An agent that goes back would be asked for ever."""
        indexes = [last, *(index for index, _ in page.rows)]
        if not all(map(lt, indexes, indexes[1:])):
            before, index = next((a, b) for a, b in pairwise(indexes) if a >= b)
            why = f"its SNMP table goes back after {_dotted(column, before)}"
            raise UnexpectedOutput(self._device, _dotted(column, index), why)
        return indexes[-1]

    async def _page(self, line: Line, column: Oid, last: Index) -> Page:
        """What finds its way only with fewer rows is asked for with fewer rows from then on."""
        asked = self._repetitions

        async def page(over: Line, attempt: int, wait_s: float) -> Page:
            nonlocal asked
            asked = self._repetitions if attempt < 2 else max(self._repetitions // _SMALLER, 1)
            return await over.page(column, last, asked, wait_s)

        found = await self._ask(line, page)
        self._repetitions = asked
        return found

    def _be_smaller(self, oid: Oid) -> None:
        if self._repetitions == 1:
            raise UnexpectedOutput(self._device, oid, "not even one SNMP row fits into its answer after")
        self._repetitions //= 2

    async def _get_all(self, line: Line, oids: Sequence[Oid]) -> list[SnmpValue | None]:
        values: list[SnmpValue | None] = []
        for start in range(0, len(oids), _GET_AT_ONCE):
            values += await self._get(line, oids[start : start + _GET_AT_ONCE])
        return values

    async def _get(self, line: Line, oids: Sequence[Oid]) -> list[SnmpValue | None]:
        async def get(over: Line, _attempt: int, wait_s: float) -> Reply:
            return await over.get(oids, wait_s)

        reply = await self._ask(line, get)
        if reply.status == _TOO_BIG and len(oids) > 1:
            half = len(oids) // 2
            return await self._get(line, oids[:half]) + await self._get(line, oids[half:])
        if reply.status == _NO_SUCH_NAME and 0 < reply.index <= len(oids):
            others = [*oids[: reply.index - 1], *oids[reply.index :]]
            values = await self._get(line, others) if others else []
            return [*values[: reply.index - 1], None, *values[reply.index - 1 :]]
        if reply.status:
            raise CommandRefused(self._device, f"SNMP GET {oids[0]}", reply.status)
        if [oid for oid, _ in reply.values] != list(oids):
            answered = ", ".join(oid for oid, _ in reply.values)
            raise UnexpectedOutput(self._device, answered, "answered other SNMP objects than asked for")
        return [value for _, value in reply.values]

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _with_line(self, context: str, work: Callable[[Line], Awaitable[_T]]) -> _T:
        address = await self._resolved()
        try:
            line = self._line(address, context)
        except OSError as error:  # no way there, or no descriptor left
            raise Unreachable(self._device, f"no socket to {address[0]}: {error}") from error
        try:
            return await work(line)
        finally:
            line.close()

    def _line(self, address: Address, context: str) -> Line:
        key = self._engine_key
        if self._access.version == "3":
            slow = _Late(lambda: _pysnmp_line(key, address, context))
            unsure = lengthens_keys(self._access) and not self._heard
            return slow if self._only_pysnmp or context or unsure else UserLine(address, key, slow)
        if context:
            key = replace(key, access=_of_vlan(key.access, context))
        slow = _Late(lambda: _pysnmp_line(key, address))
        community = key.access.community
        assert community is not None  # noqa: S101 - `lacking` has seen to it
        bulk = key.access.version == "2c"
        return slow if self._only_pysnmp else community_line(address, community.reveal(), slow, bulk)

    async def _ask(self, line: Line, question: Callable[[Line, int, float], Awaitable[_T]]) -> _T:
        if self._lost is not None:
            raise self._lost
        try:
            answer = await self._persist(line, question)
        except Silence as silence:
            self._silences += 1
            error = self._why_silent()
            if not self._heard or self._silences > 1:
                self._lost = error
            raise error from silence
        except Denied as denied:
            self._lost = LoginRefused(self._device, f"SNMPv3 user {self._access.user!r} refused: {denied}")
            raise self._lost from denied
        except Garbled as error:
            raise UnexpectedOutput(self._device, str(error), "SNMP cannot make sense of the answer") from error
        self._heard, self._silences = True, 0
        return answer

    async def _persist(self, line: Line, question: Callable[[Line, int, float], Awaitable[_T]]) -> _T:
        wait = self._access.timeout_s
        for attempt in range(self._access.retries + 1):
            try:
                return await question(line, attempt, wait)
            except Silence:
                wait *= _BACK_OFF
        if self._access.version == "3" and not self._heard:
            slow = _without_gufo(line)
            if await self._answers_in_the_clear(slow):
                answer = await self._introduce(slow, question)
                self._only_pysnmp = True
                return answer
        raise Silence

    async def _answers_in_the_clear(self, line: "PysnmpLine") -> bool:
        """Whether the agent reacts to a request that is authenticated but not encrypted, even if by refusing it."""
        from switchguard.edge.snmp_pysnmp import PysnmpEngine, PysnmpLine

        engine = PysnmpEngine(EngineKey(self._engine_key.access, encrypted=False))
        try:
            await PysnmpLine(engine, line.address).get(STAMPS[:1], self._access.timeout_s)
        except Silence:
            return False
        except Denied:
            pass
        finally:
            engine.close()
        self._in_the_clear = True
        return True

    async def _introduce(self, line: "PysnmpLine", question: Callable[[Line, int, float], Awaitable[_T]]) -> _T:
        """Meet the agent as if for the first time: it may have been replaced, and then our engine does not understand
        its reports any more; and its privacy key may be derived in the other way."""
        from switchguard.edge.snmp_pysnmp import PysnmpEngine, adopt

        other = replace(self._engine_key, blumenthal=not self._engine_key.blumenthal)
        for way in (self._engine_key, other) if lengthens_keys(self._access) else (self._engine_key,):
            engine = PysnmpEngine(way)
            try:
                answer = await question(replace(line, engine=engine), 0, self._access.timeout_s)
            except Silence:
                engine.close()
                continue
            adopt(way, engine)
            line.engine = engine
            self._engine_key = way
            return answer
        raise Silence

    async def _resolved(self) -> Address:
        if self._address is None:
            loop = asyncio.get_running_loop()
            try:
                found = await loop.getaddrinfo(self._host, self._access.port, type=socket.SOCK_DGRAM)
            except OSError as error:
                raise Unreachable(self._device, f"no address for {self._host!r}: {error}") from error
            self._address = str(found[0][4][0]), self._access.port
        return self._address

    def _why_silent(self) -> DeviceError:
        where = f"{self._host}:{self._access.port}"
        if self._heard:
            return Unreachable(self._device, f"the SNMP agent at {where} stopped answering")
        if self._access.version != "3":
            return Unreachable(self._device, f"no answer from {where}; wrong address or community")
        if not self._in_the_clear:
            return Unreachable(self._device, f"no answer to SNMPv3 from {where}")
        return LoginRefused(
            self._device,
            f"SNMPv3 user {self._access.user!r} is known and its authentication key is right, but nothing that we "
            f"encrypt is answered: wrong privacy key or protocol ({self._access.priv_protocol})",
        )


@dataclass(slots=True)
class _Late:
    """A line that is made when it is first needed: an engine of pysnmp costs 50 ms."""

    make: Callable[[], "PysnmpLine"]
    _line: "PysnmpLine | None" = None

    async def get(self, oids: Sequence[Oid], wait_s: float) -> Reply:
        return await self.made().get(oids, wait_s)

    async def page(self, column: Oid, after: Index, repetitions: int, wait_s: float) -> Page:
        return await self.made().page(column, after, repetitions, wait_s)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    def made(self) -> "PysnmpLine":
        self._line = self._line or self.make()
        return self._line


def _without_gufo(line: Line) -> "PysnmpLine":
    """Of SNMPv3, from now on."""
    slow = line
    if isinstance(line, UserLine):
        line.leave_to_second()
        slow = line.second
    assert isinstance(slow, _Late)  # noqa: S101 - what `_line` gives
    return slow.made()


def _pysnmp_line(key: EngineKey, address: Address, context: str = "") -> "PysnmpLine":
    from switchguard.edge.snmp_pysnmp import PysnmpLine, engine_of

    return PysnmpLine(engine_of(key), address, context)


def lacking(access: SnmpAccess) -> str:
    """What the site must still say before this can be used, or "". Passwords of 8 and more: RFC 3414 11.2."""
    if access.version != "3":
        return "" if access.community else "the site gives no SNMP community"
    if not access.user:
        return "the site gives no SNMPv3 user"
    if not access.auth_key or not access.priv_key:
        return "SNMPv3 is used with authentication and privacy only: the site must give both keys"
    if min(len(access.auth_key.reveal()), len(access.priv_key.reveal())) < 8:
        return "SNMPv3 keys have at least 8 characters"
    return ""


def _of_vlan(access: SnmpAccess, context: str) -> SnmpAccess:
    """Cisco's community string indexing."""
    community = access.community.reveal() if access.community else ""
    return replace(access, community=Secret(f"{community}@{context.removeprefix('vlan-')}"))


def _dotted(column: Oid, index: Index) -> Oid:
    return ".".join((column, *map(str, index)))
