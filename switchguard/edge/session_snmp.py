"""SNMP v2c and v3: GET, and tables by GETBULK, from ordinary threads. All asyncio of the product lives here.

One background event loop serves every session; one pysnmp engine serves all devices that share credentials, because an
engine costs 50 ms and remembers which SNMPv3 agent is which. Only `_Pysnmp` knows pysnmp: another engine needs no more
than its `exchange`.

Sources: GETBULK and its exceptions RFC 3416 4.2.3, USM reports RFC 3414 3.2, noSuchName from SNMPv1 proxies RFC 2576 4.
Oddities: agents stay silent on a wrong community and, net-snmp 5.9 among others, on a wrong privacy key; AES-192 and
AES-256 with a hash that is too short for them exist with two incompatible key extensions, Reeder's and Blumenthal's.
"""

import asyncio
import atexit
import socket
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

from pyasn1.type import univ
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto import errind, rfc1905

from switchguard.errors import CommandRefused, DeviceError, LoginRefused, NotConfigured, UnexpectedOutput, Unreachable
from switchguard.ports import Oid, SnmpAccess, SnmpValue

_T = TypeVar("_T")
_Numbers = tuple[int, ...]

_BACK_OFF = 1.5
"""Each further try waits this much longer than the one before."""
_OUTSTANDING = 50
"""Requests in flight per engine: one socket's receive buffer holds about that many answers."""
_GET_AT_ONCE = 20
_TOO_BIG, _NO_SUCH_NAME = "tooBig", "noSuchName"


@dataclass(frozen=True, slots=True)
class Limits:
    """Brakes on one walk. 30 rows per answer stay below one Ethernet frame for the tables that we read."""

    rows: int = 1_000_000
    seconds: float = 120.0
    repetitions: int = 30


class _Silence(Exception):
    """No answer in time, or none that our engine can relate to the request."""


class _Denied(Exception):
    """The agent does not accept our SNMPv3 user; str() says what about it."""


@dataclass(frozen=True, slots=True)
class _Request:
    """GETBULK of one object with `repetitions`, or GET of all `oids` when that is 0."""

    oids: tuple[_Numbers, ...]
    repetitions: int = 0


@dataclass(frozen=True, slots=True)
class _Reply:
    """`status` is RFC 3416's error-status, "" for noError; None stands for its three exceptions."""

    rows: tuple[tuple[_Numbers, SnmpValue | None], ...]
    status: str = ""
    index: int = 0


_UPTIME = _Request(((1, 3, 6, 1, 2, 1, 1, 3, 0),))


class SnmpClient:
    """One agent. An agent that never answered, or was silent twice in a row, is not waited for again."""

    def __init__(self, device: str, host: str, access: SnmpAccess, limits: Limits | None = None) -> None:
        if why := lacking(access):
            raise NotConfigured(device, why)
        self._device, self._host, self._access, self._limits = device, host, access, limits or Limits()
        self._engine_key = _EngineKey(replace(access, port=0, timeout_s=0, retries=0))
        self._address: tuple[str, int] | None = None
        self._heard = self._in_the_clear = False
        self._silences = 0
        self._lost: DeviceError | None = None

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        """None for noSuchObject and noSuchInstance. Raises as `walk` does."""
        wanted = [_numbers(oid) for oid in oids]
        values = _background().run(self._bounded(self._get_all(wanted)))
        return dict(zip(oids, values, strict=True))

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        """Unreachable, LoginRefused, CommandRefused (an error-status) or UnexpectedOutput (loops, no end)."""
        return _background().run(self._bounded(self._walk(_numbers(column))))

    async def _bounded(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await work
        except TimeoutError as error:
            raise Unreachable(self._device, f"its SNMP table had no end after {self._limits.seconds:g} s") from error

    async def _walk(self, root: _Numbers) -> dict[_Numbers, SnmpValue]:
        rows: dict[_Numbers, SnmpValue] = {}
        last, repetitions = root, self._limits.repetitions
        while True:
            reply = await self._ask(_Request((last,), repetitions))
            if reply.status == _NO_SUCH_NAME:
                return rows
            if reply.status == _TOO_BIG or not (reply.status or reply.rows):
                repetitions = self._smaller(repetitions, last)
                continue
            self._check(reply, "GETBULK", last)
            for oid, value in reply.rows:
                if value is None:
                    return rows
                if oid <= last:
                    raise UnexpectedOutput(
                        self._device, _dotted(oid), f"its SNMP table goes back after {_dotted(last)}"
                    )
                if oid[: len(root)] != root:
                    return rows
                rows[oid[len(root) :]] = value
                last = oid
            if len(rows) > self._limits.rows:
                raise UnexpectedOutput(self._device, _dotted(last), f"more than {self._limits.rows} rows in a table")

    def _smaller(self, repetitions: int, oid: _Numbers) -> int:
        if repetitions == 1:
            raise UnexpectedOutput(self._device, _dotted(oid), "not even one SNMP row fits into its answer after")
        return repetitions // 2

    async def _get_all(self, oids: list[_Numbers]) -> list[SnmpValue | None]:
        values: list[SnmpValue | None] = []
        for start in range(0, len(oids), _GET_AT_ONCE):
            values += await self._get(oids[start : start + _GET_AT_ONCE])
        return values

    async def _get(self, oids: list[_Numbers]) -> list[SnmpValue | None]:
        reply = await self._ask(_Request(tuple(oids)))
        if reply.status == _TOO_BIG and len(oids) > 1:
            half = len(oids) // 2
            return await self._get(oids[:half]) + await self._get(oids[half:])
        if reply.status == _NO_SUCH_NAME and 0 < reply.index <= len(oids):
            others = oids[: reply.index - 1] + oids[reply.index :]
            values = await self._get(others) if others else []
            return [*values[: reply.index - 1], None, *values[reply.index - 1 :]]
        self._check(reply, "GET", oids[0])
        if [oid for oid, _ in reply.rows] != oids:
            answered = ", ".join(_dotted(oid) for oid, _ in reply.rows)
            raise UnexpectedOutput(self._device, answered, "answered other SNMP objects than asked for")
        return [value for _, value in reply.rows]

    def _check(self, reply: _Reply, operation: str, oid: _Numbers) -> None:
        if reply.status:
            raise CommandRefused(self._device, f"SNMP {operation} {_dotted(oid)}", reply.status)

    async def _ask(self, request: _Request) -> _Reply:
        if self._lost is not None:
            raise self._lost
        try:
            reply = await self._persist(request)
        except _Silence as silence:
            self._silences += 1
            error = self._why_silent()
            if not self._heard or self._silences > 1:
                self._lost = error
            raise error from silence
        except _Denied as denied:
            self._lost = LoginRefused(self._device, f"SNMPv3 user {self._access.user!r} refused: {denied}")
            raise self._lost from denied
        except PySnmpError as error:
            raise UnexpectedOutput(self._device, str(error), "SNMP cannot make sense of the answer") from error
        self._heard, self._silences = True, 0
        return reply

    async def _persist(self, request: _Request) -> _Reply:
        wait = self._access.timeout_s
        for _ in range(self._access.retries + 1):
            try:
                return await _engine(self._engine_key).exchange(await self._resolved(), request, wait)
            except _Silence:
                wait *= _BACK_OFF
        if self._access.version == "3" and not self._heard and await self._answers_in_the_clear():
            return await self._introduce(request)
        raise _Silence

    async def _answers_in_the_clear(self) -> bool:
        """Whether the agent reacts to a request that is authenticated but not encrypted, even if by refusing it."""
        engine = _Pysnmp(_EngineKey(self._engine_key.access, encrypted=False))
        try:
            await engine.exchange(await self._resolved(), _UPTIME, self._access.timeout_s)
        except _Silence:
            return False
        except _Denied:
            pass
        finally:
            engine.close()
        self._in_the_clear = True
        return True

    async def _introduce(self, request: _Request) -> _Reply:
        """Meet the agent as if for the first time: it may have been replaced, and then our engine does not understand
        its reports any more; and its privacy key may be derived in the other way."""
        other = replace(self._engine_key, blumenthal=not self._engine_key.blumenthal)
        ways = (self._engine_key, other) if self._access.priv_protocol in _BLUMENTHAL else (self._engine_key,)
        for way in ways:
            engine = _Pysnmp(way)
            try:
                reply = await engine.exchange(await self._resolved(), request, self._access.timeout_s)
            except _Silence:
                engine.close()
                continue
            _adopt(way, engine)
            self._engine_key = way
            return reply
        raise _Silence

    async def _resolved(self) -> tuple[str, int]:
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
        if self._access.version == "2c":
            return Unreachable(self._device, f"no answer from {where}; wrong address or community")
        if not self._in_the_clear:
            return Unreachable(self._device, f"no answer to SNMPv3 from {where}")
        return LoginRefused(
            self._device,
            f"SNMPv3 user {self._access.user!r} is known and its authentication key is right, but nothing that we "
            f"encrypt is answered: wrong privacy key or protocol ({self._access.priv_protocol})",
        )


def lacking(access: SnmpAccess) -> str:
    """What the site must still say before this can be used, or "". Passwords of 8 and more: RFC 3414 11.2."""
    if access.version == "2c":
        return "" if access.community else "the site gives no SNMP community"
    if not access.user:
        return "the site gives no SNMPv3 user"
    if not access.auth_key or not access.priv_key:
        return "SNMPv3 is used with authentication and privacy only: the site must give both keys"
    if min(len(access.auth_key.reveal()), len(access.priv_key.reveal())) < 8:
        return "SNMPv3 keys have at least 8 characters"
    return ""


def _numbers(oid: Oid) -> _Numbers:
    return tuple(int(part) for part in oid.split("."))


def _dotted(oid: _Numbers) -> str:
    return ".".join(map(str, oid))


# --- the background loop ---------------------------------------------------------------------------------------------


class _Background:
    """An event loop in a daemon thread; stopped, with everything that it holds, when the interpreter exits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="snmp", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Waits for the result; the work bounds its own time."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        asyncio.run_coroutine_threadsafe(_close_engines(), self._loop).result(timeout=2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2)
        self._loop.close()


_starting = threading.Lock()


@cache
def _only_background() -> _Background:
    return _Background()


def _background() -> _Background:
    with _starting:
        return _only_background()


# --- pysnmp ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _EngineKey:
    """Credentials, without what differs between devices that share them."""

    access: SnmpAccess
    blumenthal: bool = False
    encrypted: bool = True


_engines: dict[_EngineKey, "_Pysnmp"] = {}
_open: set["_Pysnmp"] = set()
"""Both touched on the loop's thread only; engines that were replaced are open for a while, too."""


def _engine(key: _EngineKey) -> "_Pysnmp":
    if key not in _engines:
        _engines[key] = _Pysnmp(key)
    return _engines[key]


def _adopt(key: _EngineKey, engine: "_Pysnmp") -> None:
    """Use this one from now on; requests that others have under way on the old one may still finish."""
    old = _engines.get(key)
    _engines[key] = engine
    if old is not None:
        asyncio.get_running_loop().call_later(60, old.close)


async def _close_engines() -> None:
    for engine in tuple(_open):
        engine.close()
    await asyncio.sleep(0)  # lets the cancelled timers of the engines finish


_AUTHENTICATION = {
    "md5": hlapi.USM_AUTH_HMAC96_MD5,
    "sha": hlapi.USM_AUTH_HMAC96_SHA,
    "sha224": hlapi.USM_AUTH_HMAC128_SHA224,
    "sha256": hlapi.USM_AUTH_HMAC192_SHA256,
    "sha384": hlapi.USM_AUTH_HMAC256_SHA384,
    "sha512": hlapi.USM_AUTH_HMAC384_SHA512,
}
_PRIVACY = {
    "des": hlapi.USM_PRIV_CBC56_DES,
    "aes": hlapi.USM_PRIV_CFB128_AES,
    "aes192": hlapi.USM_PRIV_CFB192_AES,
    "aes256": hlapi.USM_PRIV_CFB256_AES,
}
_BLUMENTHAL = {"aes192": hlapi.USM_PRIV_CFB192_AES_BLUMENTHAL, "aes256": hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL}


class _Pysnmp:
    """An engine with one set of credentials. Made and used on the loop's thread only."""

    def __init__(self, key: _EngineKey) -> None:
        self._engine = hlapi.SnmpEngine()
        self._credentials = _credentials(key)
        self._turns = asyncio.Semaphore(_OUTSTANDING)
        self._targets: dict[tuple[tuple[str, int], float], Any] = {}
        _open.add(self)

    async def exchange(self, address: tuple[str, int], request: _Request, wait_s: float) -> _Reply:
        """One request, one answer. Raises _Silence, _Denied or PySnmpError."""
        peer = (self._engine, self._credentials, await self._target(address, wait_s), hlapi.ContextData())
        objects = [hlapi.ObjectType(hlapi.ObjectIdentity(oid)) for oid in request.oids]
        async with self._turns:
            if request.repetitions:
                answer = hlapi.bulk_cmd(*peer, 0, request.repetitions, *objects, lookupMib=False)
            else:
                answer = hlapi.get_cmd(*peer, *objects, lookupMib=False)
            try:
                # Not wait_for: until Python 3.12 it can swallow the cancellation by an outer timeout.
                async with asyncio.timeout(wait_s + 1):
                    indication, status, index, rows = await answer
            except TimeoutError as error:
                raise _Silence from error
        _raise_for(indication)
        if int(status):
            return _Reply((), str(status.prettyPrint()), int(index))
        return _Reply(tuple((tuple(oid), _value(value)) for oid, value in rows))

    async def _target(self, address: tuple[str, int], wait_s: float) -> Any:
        """Kept, because pysnmp resolves even a number in a thread."""
        if (address, wait_s) not in self._targets:
            kind = hlapi.Udp6TransportTarget if ":" in address[0] else hlapi.UdpTransportTarget
            self._targets[address, wait_s] = await kind.create(address, timeout=wait_s, retries=0)
        return self._targets[address, wait_s]

    def close(self) -> None:
        _open.discard(self)
        self._engine.close_dispatcher()


def _credentials(key: _EngineKey) -> Any:
    access = key.access
    if access.version == "2c":
        return hlapi.CommunityData(access.community.reveal() if access.community else "")
    privacy = _BLUMENTHAL if key.blumenthal else _PRIVACY
    encrypts = key.encrypted and access.priv_key is not None
    return hlapi.UsmUserData(
        access.user,
        authKey=access.auth_key.reveal() if access.auth_key else None,
        authProtocol=_AUTHENTICATION[access.auth_protocol],
        privKey=access.priv_key.reveal() if access.priv_key and encrypts else None,
        privProtocol=privacy[access.priv_protocol] if encrypts else None,
    )


def _raise_for(indication: Exception | None) -> None:
    match indication:
        case None | errind.EmptyResponse():
            return
        case errind.RequestTimedOut() | errind.NotInTimeWindow() | errind.UnknownEngineID():
            raise _Silence
        case errind.UnknownUserName() | errind.UnknownSecurityName():
            raise _Denied("the agent does not know this user")
        case errind.WrongDigest() | errind.AuthenticationFailure() | errind.AuthenticationError():
            raise _Denied("wrong authentication key or protocol")
        case errind.DecryptionError() | errind.EncryptionError():
            raise _Denied("wrong privacy key or protocol")
        case errind.UnsupportedSecurityLevel():
            raise _Denied("the agent does not allow authPriv for this user")
        case _:
            raise PySnmpError(str(indication))


def _value(value: Any) -> SnmpValue | None:
    """None for noSuchObject, noSuchInstance and endOfMibView."""
    match value:
        case rfc1905.NoSuchObject() | rfc1905.NoSuchInstance() | rfc1905.EndOfMibView():
            return None
        case univ.Null():  # before OctetString, of which pyasn1 makes it a subclass
            raise PySnmpError("a variable without a value")
        case univ.Integer():
            return int(value)
        case univ.OctetString():
            return bytes(value)
        case univ.ObjectIdentifier():
            return str(value)
        case _:
            raise PySnmpError(f"a value of a type that SNMP does not have: {value!r}")
