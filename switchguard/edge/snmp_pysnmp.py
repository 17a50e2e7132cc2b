"""pysnmp: SNMPv3 with every protocol that it has, and whatever the fast engine does not tell (snmp_gufo.py).

Imported when it is first needed: it takes 10 MB of memory, and most sites speak v2c only. One engine serves all
devices that share credentials, because an engine costs 50 ms and remembers which SNMPv3 agent is which. Names of
objects are never looked up (`lookupMib=False`): that would take four times as long.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyasn1.type import univ
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto import errind, rfc1905

from switchguard.edge.snmp_line import Address, Denied, EngineKey, Garbled, Index, Page, Reply, Silence
from switchguard.ports import Oid, SnmpValue

_OUTSTANDING = 50
"""Requests in flight per engine: one socket's receive buffer holds about that many answers."""


_engines: dict[EngineKey, "PysnmpEngine"] = {}
_open: set["PysnmpEngine"] = set()
"""Both touched on the loop's thread only; engines that were replaced are open for a while, too."""


def engine_of(key: EngineKey) -> "PysnmpEngine":
    if key not in _engines:
        _engines[key] = PysnmpEngine(key)
    return _engines[key]


def adopt(key: EngineKey, engine: "PysnmpEngine") -> None:
    """Use this one from now on; requests that others have under way on the old one may still finish."""
    old = _engines.get(key)
    _engines[key] = engine
    if old is not None:
        asyncio.get_running_loop().call_later(60, old.close)


async def close_engines() -> None:
    for engine in tuple(_open):
        engine.close()
    await asyncio.sleep(0)  # lets the cancelled timers of the engines finish


AUTHENTICATION = {
    "md5": hlapi.USM_AUTH_HMAC96_MD5,
    "sha": hlapi.USM_AUTH_HMAC96_SHA,
    "sha224": hlapi.USM_AUTH_HMAC128_SHA224,
    "sha256": hlapi.USM_AUTH_HMAC192_SHA256,
    "sha384": hlapi.USM_AUTH_HMAC256_SHA384,
    "sha512": hlapi.USM_AUTH_HMAC384_SHA512,
}
PRIVACY = {
    "des": hlapi.USM_PRIV_CBC56_DES,
    "aes": hlapi.USM_PRIV_CFB128_AES,
    "aes192": hlapi.USM_PRIV_CFB192_AES,
    "aes256": hlapi.USM_PRIV_CFB256_AES,
}
_BLUMENTHAL = {"aes192": hlapi.USM_PRIV_CFB192_AES_BLUMENTHAL, "aes256": hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL}


class PysnmpEngine:
    """An engine with one set of credentials. Made and used on the loop's thread only."""

    def __init__(self, key: EngineKey) -> None:
        self._engine = hlapi.SnmpEngine()
        self._credentials = _credentials(key)
        self._one_by_one = key.access.version == "1"
        self._turns = asyncio.Semaphore(_OUTSTANDING)
        self._targets: dict[tuple[Address, float], Any] = {}
        _open.add(self)

    async def exchange(
        self, address: Address, context: str, oids: Sequence[Index], repetitions: int, wait_s: float
    ) -> tuple[list[tuple[Index, SnmpValue | None]], str, int]:
        """GETBULK (GETNEXT in SNMPv1), or GET with 0 `repetitions`: rows, error-status and error-index."""
        peer = (self._engine, self._credentials, await self._target(address, wait_s))
        where = hlapi.ContextData(contextName=context.encode())
        objects = [hlapi.ObjectType(hlapi.ObjectIdentity(oid)) for oid in oids]
        async with self._turns:
            if repetitions and self._one_by_one:
                answer = hlapi.next_cmd(*peer, where, *objects, lookupMib=False)
            elif repetitions:
                answer = hlapi.bulk_cmd(*peer, where, 0, repetitions, *objects, lookupMib=False)
            else:
                answer = hlapi.get_cmd(*peer, where, *objects, lookupMib=False)
            try:
                # Not wait_for: until Python 3.12 it can swallow the cancellation by an outer timeout.
                async with asyncio.timeout(wait_s + 1):
                    indication, status, index, rows = await answer
            except TimeoutError as error:
                raise Silence from error
            except PySnmpError as error:
                raise Garbled(str(error)) from error
        _raise_for(indication)
        if int(status):
            return [], str(status.prettyPrint()), int(index)
        return [(tuple(oid), _value(value)) for oid, value in rows], "", 0

    async def _target(self, address: Address, wait_s: float) -> Any:
        """Kept, because pysnmp resolves even a number in a thread."""
        if (address, wait_s) not in self._targets:
            kind = hlapi.Udp6TransportTarget if ":" in address[0] else hlapi.UdpTransportTarget
            self._targets[address, wait_s] = await kind.create(address, timeout=wait_s, retries=0)
        return self._targets[address, wait_s]

    def close(self) -> None:
        _open.discard(self)
        self._engine.close_dispatcher()


@dataclass(slots=True)
class PysnmpLine:
    """`context` is SNMPv3's context name (RFC 3411 3.3.1); `engine` may be replaced by one that gets an answer."""

    engine: PysnmpEngine
    address: Address
    context: str = ""

    async def get(self, oids: Sequence[Oid], wait_s: float) -> Reply:
        numbers = [_numbers(oid) for oid in oids]
        rows, status, index = await self.engine.exchange(self.address, self.context, numbers, 0, wait_s)
        return Reply(tuple((".".join(map(str, oid)), value) for oid, value in rows), status, index)

    async def page(self, column: Oid, after: Index, repetitions: int, wait_s: float) -> Page:
        root = _numbers(column)
        found, status, _ = await self.engine.exchange(
            self.address, self.context, [(*root, *after)], repetitions, wait_s
        )
        rows: list[tuple[Index, SnmpValue]] = []
        for oid, value in found:
            if value is None or oid[: len(root)] != root:
                return Page(rows, ended=True)
            rows.append((oid[len(root) :], value))
        return Page(rows, status=status)

    def close(self) -> None:
        """The engine stays for others."""


def _credentials(key: EngineKey) -> Any:
    access = key.access
    if access.version != "3":
        community = access.community.reveal() if access.community else ""
        return hlapi.CommunityData(community, mpModel=0 if access.version == "1" else 1)
    privacy = _BLUMENTHAL if key.blumenthal else PRIVACY
    encrypts = key.encrypted and access.priv_key is not None
    return hlapi.UsmUserData(
        access.user,
        authKey=access.auth_key.reveal() if access.auth_key else None,
        authProtocol=AUTHENTICATION[access.auth_protocol],
        privKey=access.priv_key.reveal() if access.priv_key and encrypts else None,
        privProtocol=privacy[access.priv_protocol] if encrypts else None,
    )


def _numbers(oid: Oid) -> Index:
    return tuple(int(part) for part in oid.split("."))


def _raise_for(indication: Exception | None) -> None:
    match indication:
        case None | errind.EmptyResponse():
            return
        case errind.RequestTimedOut() | errind.NotInTimeWindow() | errind.UnknownEngineID():
            raise Silence
        case errind.UnknownUserName() | errind.UnknownSecurityName():
            raise Denied("the agent does not know this user")
        case errind.WrongDigest() | errind.AuthenticationFailure() | errind.AuthenticationError():
            raise Denied("wrong authentication key or protocol")
        case errind.DecryptionError() | errind.EncryptionError():
            raise Denied("wrong privacy key or protocol")
        case errind.UnsupportedSecurityLevel():
            raise Denied("the agent does not allow authPriv for this user")
        case _:
            raise Garbled(str(indication))


def _value(value: Any) -> SnmpValue | None:
    """None for noSuchObject, noSuchInstance and endOfMibView."""
    match value:
        case rfc1905.NoSuchObject() | rfc1905.NoSuchInstance() | rfc1905.EndOfMibView():
            return None
        case univ.Null():  # before OctetString, of which pyasn1 makes it a subclass
            raise Garbled("a variable without a value")
        case univ.Integer():
            return int(value)
        case univ.OctetString():
            return bytes(value)
        case univ.ObjectIdentifier():
            return str(value)
        case _:
            raise Garbled(f"a value of a type that SNMP does not have: {value!r}")
