"""gufo-snmp: SNMPv1 and v2c thirty times cheaper than pysnmp, as a line to one agent with a socket of its own.

One question is under way at a time, so that one answer is all that a receive buffer ever holds, however many agents are
asked at once. Its sockets are used below its sessions, which hide why a walk ended.

What gufo-snmp 0.13 does not do, and who does it instead:

* it drops the error-status. An answer without usable rows may be tooBig, noSuchName, genErr or the end of the MIB; the
  same question then goes over `second`, a line of pysnmp, whose answer counts;
* it continues a walk only from its own last answer and with its first number of repetitions: otherwise, `second`;
* IpAddress and OBJECT IDENTIFIER both become text. Four numbers below 256 are an address, unless they begin as an
  object identifier may (0.0 to 2.39): `second` tells;
* a row with the value NULL, which no answer may have (RFC 3416 3), is dropped without notice;
* in SNMPv3 it does not check the digest of an answer (one that is all zeros is accepted), so that anybody on the way
  could invent forwarding tables. SNMPv3 is therefore not spoken with it.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from gufo.snmp import NoSuchInstance, SnmpDecodeError
from gufo.snmp._fast import GetIter, SnmpV1ClientSocket, SnmpV2cClientSocket

from switchguard.edge.snmp_line import Address, Index, Line, Page, Reply, Silence
from switchguard.ports import Oid, SnmpValue

_T = TypeVar("_T")


class _Unclear(Exception):
    """An answer of which gufo does not tell enough."""


class GufoLine:
    """Opened, used and closed on the loop's thread only. SNMPv1 has no GETBULK: a page is a row."""

    def __init__(self, address: Address, community: str, second: Line, bulk: bool = True) -> None:
        host, port = address
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._socket = (SnmpV2cClientSocket if bulk else SnmpV1ClientSocket)(name, community, 0, 0, 0, 0)
        self._second, self._bulk = second, bulk
        self._loop = asyncio.get_running_loop()
        self._wire = _Wire(self._loop, self._socket.get_fd())
        self._walk: tuple[Oid, Index, int, GetIter] | None = None
        """Column, last row, repetitions and gufo's own notes."""

    async def get(self, oids: Sequence[Oid], wait_s: float) -> Reply:
        try:
            return Reply(tuple((await self._values(oids, wait_s)).items()))
        except (_Unclear, NoSuchInstance):
            return await self._second.get(oids, wait_s)

    async def page(self, column: Oid, after: Index, repetitions: int, wait_s: float) -> Page:
        notes = self._notes(column, after, repetitions)
        if notes is None:
            return await self._second.page(column, after, repetitions, wait_s)
        try:
            page = await self._page(column, notes, wait_s)
        except _Unclear:
            return await self._second.page(column, after, repetitions, wait_s)
        self._walk = (column, page.rows[-1][0] if page.rows else after, repetitions, notes)
        return page

    def close(self) -> None:
        self._wire.close()

    def _notes(self, column: Oid, after: Index, repetitions: int) -> GetIter | None:
        if not after:
            return GetIter(column, repetitions)
        if self._walk is not None and self._walk[:3] == (column, after, repetitions):
            return self._walk[3]
        return None

    async def _page(self, column: Oid, notes: GetIter, wait_s: float) -> Page:
        found: list[Any]
        if self._bulk:
            found = await self._wire.ask(
                lambda: self._socket.send_get_bulk(notes), lambda: self._socket.recv_get_bulk(notes), wait_s
            )
        else:
            found = await self._wire.ask(
                lambda: self._socket.send_get_next(notes), lambda: [self._socket.recv_get_next(notes)], wait_s
            )
        ended = found[-1] is None
        skip = len(column) + 1
        rows = [
            (_index(oid[skip:]), value if type(value) in _PLAIN else _value(value))
            for oid, value in (found[:-1] if ended else found)
        ]
        return Page(rows, ended)

    async def _values(self, oids: Sequence[Oid], wait_s: float) -> dict[Oid, SnmpValue | None]:
        """What is missing from an answer is asked for once more by itself: only then does gufo say why."""
        asked = list(oids)
        found = await self._wire.ask(
            lambda: self._socket.send_get_many(asked), lambda: self._socket.recv_get_many(), wait_s
        )
        if not found.keys() <= set(asked):
            raise _Unclear
        return {oid: _value(found[oid]) if oid in found else await self._missing(oid, wait_s) for oid in asked}

    async def _missing(self, oid: Oid, wait_s: float) -> SnmpValue | None:
        try:
            value = await self._wire.ask(lambda: self._socket.send_get(oid), lambda: self._socket.recv_get(), wait_s)
        except NoSuchInstance:
            return None
        return _value(value)


class _Wire:
    """Questions and answers of one socket: it is registered with the loop once, not once per question."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        self._loop, self._descriptor = loop, descriptor
        self._answer: asyncio.Future[Any] | None = None
        self._receive: Callable[[], Any] | None = None
        loop.add_reader(descriptor, self._readable)

    async def ask(self, send: Callable[[], None], receive: Callable[[], _T], wait_s: float) -> _T:
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._answer = answer
        self._receive = receive
        try:
            send()
        except OSError as error:  # also the echo of an earlier datagram that nobody took
            raise Silence from error
        alarm = self._loop.call_later(wait_s, _give_up, answer)
        try:
            return await answer
        finally:
            alarm.cancel()
            self._answer = None

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)

    def _readable(self) -> None:
        answer, receive = self._answer, self._receive
        if answer is None or answer.done() or receive is None:
            self._drop()
            return
        try:
            value = receive()
        except (BlockingIOError, TimeoutError, SnmpDecodeError):
            return  # an old answer, a refusal by ICMP, or no SNMP at all: the real answer may still come
        except StopAsyncIteration:
            answer.set_exception(_Unclear())
        except NoSuchInstance as error:
            answer.set_exception(error)
        except OSError:
            answer.set_exception(Silence())
        else:
            answer.set_result(value)

    def _drop(self) -> None:
        """An answer that comes too late may not reach gufo: it would count as read, and its rows would be missing."""
        with suppress(OSError):
            os.read(self._descriptor, 1)


def _give_up(answer: "asyncio.Future[Any]") -> None:
    if not answer.done():
        answer.set_exception(Silence())


_PLAIN = frozenset({int, bytes})


@lru_cache(maxsize=65536)
def _index(suffix: str) -> Index:
    """Kept, because the columns of a table share their indexes, and switches their tables."""
    return tuple(map(int, suffix.split("."))) if suffix else ()


def _value(value: object) -> SnmpValue:
    if isinstance(value, int | bytes):
        return value
    if not isinstance(value, str):
        raise _Unclear
    numbers = [int(part) for part in value.split(".")]
    if len(numbers) != 4 or max(numbers) > 255:
        return value
    if numbers[0] <= 2 and numbers[1] <= 39:
        raise _Unclear
    return bytes(numbers)
