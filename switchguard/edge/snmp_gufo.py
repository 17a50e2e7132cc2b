"""gufo-snmp: SNMP thirty times cheaper than pysnmp, as a line to one agent with a socket of its own.

One question is under way at a time, so that one answer is all that a receive buffer ever holds, however many agents are
asked at once. Its sockets are used below its sessions, which hide why a walk ended.

What gufo-snmp 0.13 does not do, and who does it instead:

* it drops the error-status. An answer without usable rows may be tooBig, noSuchName, genErr or the end of the MIB; the
  same question then goes over `second`, a line of pysnmp, whose answer counts;
* it continues a walk only from its own last answer and with its first number of repetitions: otherwise, `second`;
* IpAddress and OBJECT IDENTIFIER both become text. Four numbers below 256 are an address, unless they begin as an
  object identifier may (0.0 to 2.39): `second` tells;
* a row with the value NULL, which no answer may have (RFC 3416 3), is dropped without notice;
* in SNMPv3 it does not check the digest of an answer (one that is all zeros is accepted), and goes through whatever
  waits in its socket until a message has the number that it asked with. Its socket is therefore one of a pair, whose
  other end is ours: it gets an answer only after snmp_usm.py has found that it comes from the agent, and is new;
* it has no contexts, and says nothing about refused users and keys: `second`.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from gufo.snmp import NoSuchInstance, SnmpDecodeError
from gufo.snmp._fast import GetIter, SnmpV1ClientSocket, SnmpV2cClientSocket, SnmpV3ClientSocket
from gufo.snmp.user import (
    Aes128Key,
    Aes192Key,
    Aes256Key,
    BaseAuthKey,
    BasePrivKey,
    DesKey,
    KeyExpansion,
    KeyType,
    Md5Key,
    Sha1Key,
    Sha224Key,
    Sha256Key,
    Sha384Key,
    Sha512Key,
    User,
)

from switchguard.edge.snmp_line import Address, EngineKey, Index, Line, Page, Reply, Silence
from switchguard.edge.snmp_usm import Agent, Envelope, NoEnvelope, envelope
from switchguard.ports import Oid, Secret, SnmpValue

_T = TypeVar("_T")
_Socket = SnmpV1ClientSocket | SnmpV2cClientSocket | SnmpV3ClientSocket

_HASHES: dict[str, type[BaseAuthKey]] = {
    "md5": Md5Key,
    "sha": Sha1Key,
    "sha224": Sha224Key,
    "sha256": Sha256Key,
    "sha384": Sha384Key,
    "sha512": Sha512Key,
}
_CIPHERS: dict[str, type[BasePrivKey]] = {"des": DesKey, "aes": Aes128Key, "aes192": Aes192Key, "aes256": Aes256Key}
_LARGEST = 65_535
"""Octets of a datagram."""


class _Unclear(Exception):
    """An answer of which gufo does not tell enough."""


class GufoLine:
    """Opened, used and closed on the loop's thread only. SNMPv1 has no GETBULK: a page is a row."""

    def __init__(self, engine: _Socket, wire: "_Wire", second: Line, bulk: bool = True) -> None:
        self._socket, self._wire, self._second, self._bulk = engine, wire, second, bulk
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
        """gufo closes a socket when nobody has it any more. Errors hold on to lines, and those would hold on to it till
        the garbage collector comes by, which may be after the last descriptor was used up."""
        self._wire.close()
        del self._socket

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


class UserLine(GufoLine):
    """SNMPv3, which begins with an introduction: the agent tells its engine ID, and then proves that it has our key.
    One that does not is asked over `second`, which knows what is wrong."""

    def __init__(self, address: Address, key: EngineKey, second: Line) -> None:
        access = key.access
        assert access.auth_key is not None  # noqa: S101 - SnmpClient has seen to it
        assert access.priv_key is not None  # noqa: S101
        engine = SnmpV3ClientSocket(_name(address), b"", "", 0, b"", 0, b"", 0, 0, 0, 0)
        self._protocol = access.auth_protocol
        auth_key, priv_key = (_master(self._protocol, it) for it in (access.auth_key, access.priv_key))
        self._user = User(
            access.user or "",
            auth_key=_HASHES[self._protocol](auth_key, KeyType.Master),
            priv_key=_CIPHERS[access.priv_protocol](priv_key, KeyType.Master),
            key_expansion=KeyExpansion.Blumenthal if key.blumenthal else KeyExpansion.Cisco,
        )
        self._guard = _Guard(engine.get_fd())
        self._trusts: bool | None = None
        super().__init__(engine, self._guard, second)
        self._engine = engine

    @property
    def agent(self) -> Agent | None:
        """As it has introduced itself."""
        return self._guard.agent

    @property
    def second(self) -> Line:
        return self._second

    def leave_to_second(self) -> None:
        """From now on: it gets answers where this one does not."""
        self._trusts = False

    async def get(self, oids: Sequence[Oid], wait_s: float) -> Reply:
        return await (super().get if await self._is_met(wait_s) else self._second.get)(oids, wait_s)

    async def page(self, column: Oid, after: Index, repetitions: int, wait_s: float) -> Page:
        page = super().page if await self._is_met(wait_s) else self._second.page
        return await page(column, after, repetitions, wait_s)

    async def _is_met(self, wait_s: float) -> bool:
        """Also again, where an agent that restarted does not take our clock for its own any more."""
        if self._trusts is None or (self._trusts and not self._guard.is_met):
            try:
                await self._meet(wait_s)
                self._trusts = True
            except _Unclear:
                self._trusts = False
        return self._trusts

    async def _meet(self, wait_s: float) -> None:
        user, guard = self._user, self._guard
        if guard.agent is None:
            await self._refresh(wait_s)
            name = self._engine.get_engine_id()
            key = _HASHES[self._protocol].get_localized_key(user.get_auth_key(), name)
            guard.agent = Agent(name, user.name.encode(), self._protocol, key)
            algorithms = user.get_auth_alg(), user.get_auth_key(), user.get_priv_alg(), user.get_priv_key()
            self._engine.set_keys(user.name, *algorithms)
        await self._refresh(wait_s)
        guard.is_met = True

    async def _refresh(self, wait_s: float) -> None:
        await self._guard.ask(lambda: self._engine.send_refresh(), lambda: self._engine.recv_refresh(), wait_s)

    def close(self) -> None:
        super().close()
        del self._engine


class _Wire:
    """Questions and answers of one socket: it is registered with the loop once, not once per question."""

    def __init__(self, descriptor: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._answer: asyncio.Future[Any] | None = None
        self._receive: Callable[[], Any] | None = None
        self._loop.add_reader(descriptor, self._readable)

    async def ask(self, send: Callable[[], None], receive: Callable[[], _T], wait_s: float) -> _T:
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._answer = answer
        self._receive = receive
        try:
            self._send(send)
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

    def _send(self, send: Callable[[], None]) -> None:
        send()

    def _readable(self) -> None:
        answer, receive = self._answer, self._receive
        if answer is None or answer.done() or receive is None:
            self._drop()
            return
        try:
            self._admit()
            value = receive()
        except (BlockingIOError, TimeoutError, SnmpDecodeError, NoEnvelope):
            return  # an old answer, a refusal by ICMP, or no SNMP at all: the real answer may still come
        except StopAsyncIteration:
            answer.set_exception(_Unclear())
        except (NoSuchInstance, _Unclear, Silence) as error:
            answer.set_exception(error)
        except OSError:
            answer.set_exception(Silence())
        else:
            answer.set_result(value)

    def _admit(self) -> None:
        """Before gufo reads."""

    def _drop(self) -> None:
        """An answer that comes too late may not reach gufo: it would count as read, and its rows would be missing."""
        with suppress(OSError):
            os.read(self._descriptor, 1)


class _Guard(_Wire):
    """Between gufo and the network in SNMPv3. Before `agent` is known, only the report that names it is let in; before
    it `is_met`, its clock need not be enciphered."""

    def __init__(self, descriptor: int) -> None:
        self.agent: Agent | None = None
        self.is_met = False
        self._asked = -1
        self._network = socket.socket(fileno=os.dup(descriptor))
        self._network.setblocking(False)
        self._inside, gufos = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with gufos:
            for end in (self._inside, gufos):
                end.setblocking(False)
            os.dup2(gufos.fileno(), descriptor)
        super().__init__(self._network.fileno())

    def close(self) -> None:
        super().close()
        self._network.close()
        self._inside.close()

    def _send(self, send: Callable[[], None]) -> None:
        send()
        question = self._inside.recv(_LARGEST)
        self._asked = envelope(question).message
        self._network.send(question)

    def _admit(self) -> None:
        """_Unclear where the agent objects to how it was asked: nobody signs such a report. Silence where it has signed
        something that is not enciphered: that our clock is not its own (RFC 3414 3.2 (7)), since it restarted."""
        datagram = self._network.recv(_LARGEST)
        found = envelope(datagram)
        if found.message != self._asked:
            raise NoEnvelope
        if self._is_genuine(datagram, found):
            if self.is_met and not found.is_encrypted:
                self.is_met = False
                raise Silence
            self._inside.send(datagram)
        elif found.is_authenticated:
            raise NoEnvelope
        else:
            raise _Unclear

    def _is_genuine(self, datagram: bytes, found: Envelope) -> bool:
        return not found.is_authenticated if self.agent is None else self.agent.wrote(datagram, found)


def community_line(address: Address, community: str, second: Line, bulk: bool = True) -> GufoLine:
    """SNMPv2c, or SNMPv1 without `bulk`."""
    engine = (SnmpV2cClientSocket if bulk else SnmpV1ClientSocket)(_name(address), community, 0, 0, 0, 0)
    return GufoLine(engine, _Wire(engine.get_fd()), second, bulk)


def _name(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@lru_cache(maxsize=64)
def _master(protocol: str, password: Secret) -> bytes:
    """Kept: it is the hash of a megabyte (RFC 3414 A.2)."""
    return _HASHES[protocol].get_master_key(password.reveal().encode())


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
