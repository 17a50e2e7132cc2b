"""Traps and informs from switches: a port went up or down, or somebody's MAC came or went.

Who knows a community, or how to invent a sender, can send such messages. They are hints and nothing else: a hint makes
us look, at few devices and not too often; what is then seen, and only that, may change a
plan.

* linkUp and linkDown (RFC 2863, SNMPv2-MIB 1.3.6.1.6.3.1.1.5.3 and .4) name no station;
* cmnMacChangedNotification of CISCO-MAC-NOTIFICATION-MIB packs tuples of 11 octets: what happened (1 learnt, 2 removed,
  0 nothing more), VLAN (2), MAC (6), dot1dBasePort (2); cmnMacMoveNotification has the MAC in an object of its own;
* any notification that carries objects of Q-BRIDGE-MIB's or BRIDGE-MIB's forwarding table has MACs in their indexes.

SNMPv1 traps are understood as pysnmp translates them (RFC 2576 3.1). For SNMPv3 traps the sender's engine is the
authority, so its engine ID must be known beforehand; informs need none.
"""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from pysnmp.carrier.asyncio.dgram import udp, udp6
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import ntfrcv
from pysnmp.proto.api import v2c

from switchguard.core.model import Mac
from switchguard.edge.snmp_loop import background
from switchguard.edge.snmp_pysnmp import AUTHENTICATION, PRIVACY
from switchguard.errors import SiteError
from switchguard.ports import Endpoint, Listening, SnmpAccess

Numbers = tuple[int, ...]
What = Literal["a link changed", "a station changed"]

_TRAP_OID: Numbers = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
_LINKS: frozenset[Numbers] = frozenset({(1, 3, 6, 1, 6, 3, 1, 1, 5, 3), (1, 3, 6, 1, 6, 3, 1, 1, 5, 4)})
_CISCO_MAC: Numbers = (1, 3, 6, 1, 4, 1, 9, 9, 215)
_CISCO_CHANGES: Numbers = (*_CISCO_MAC, 1, 1, 8, 1, 2)
_CISCO_MOVED: Numbers = (*_CISCO_MAC, 1, 3, 3)
_CHANGE = 11
PAUSE_S = 0.5
"""Between two hints of one device: a port comes up, and then its station is learnt."""
_VERSION_3, _AUTH_PRIV = 3, 3
"""RFC 3412 6.1 (SnmpMessageProcessingModel), RFC 3411 5 (SnmpSecurityLevel)."""
_FORWARDING: tuple[Numbers, ...] = ((1, 3, 6, 1, 2, 1, 17, 7, 1, 2, 2, 1), (1, 3, 6, 1, 2, 1, 17, 4, 3, 1))


@dataclass(frozen=True, slots=True)
class Hint:
    """`macs` that a device says came or went; none if it does not say."""

    device: str
    what: What
    macs: frozenset[Mac] = frozenset()


def meaning(device: str, variables: Iterable[tuple[Numbers, object]]) -> Hint | None:
    """What a notification hints at; None if at nothing that matters here."""
    named = dict(variables)
    kind = named.get(_TRAP_OID)
    if kind in _LINKS:
        return Hint(device, "a link changed")
    macs = frozenset(mac for oid, value in named.items() for mac in _macs(oid, value))
    return Hint(device, "a station changed", macs) if macs else None


def _macs(oid: Numbers, value: object) -> Iterable[Mac]:
    if isinstance(value, bytes) and oid[: len(_CISCO_CHANGES)] == _CISCO_CHANGES:
        return _changes(value)
    if isinstance(value, bytes) and oid[: len(_CISCO_MOVED)] == _CISCO_MOVED and len(value) == 6:
        return (Mac.from_octets(value),)
    for table in _FORWARDING:
        octets = oid[len(table) + 1 :][-6:]
        if oid[: len(table)] == table and len(octets) == 6 and max(octets) < 256:
            return (Mac.from_octets(bytes(octets)),)
    return ()


def _changes(octets: bytes) -> Iterable[Mac]:
    for start in range(0, len(octets) - _CHANGE + 1, _CHANGE):
        if octets[start] == 0:
            return
        yield Mac.from_octets(octets[start + 3 : start + 9])


# --- not too often ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Patience:
    """Passes hints on: the first of a device at once, what follows within `pause_s` together when that is over.

    `later(seconds, work)` calls back, `monotonic` is a clock in seconds. So a storm costs one look per device
    and pause.
    """

    tell: Callable[[Hint], None]
    monotonic: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]
    pause_s: float = PAUSE_S
    _told_at: dict[str, float] = field(default_factory=dict)
    _waiting: dict[str, Hint] = field(default_factory=dict)

    def hear(self, hint: Hint) -> None:
        waiting = self._waiting.get(hint.device)
        if waiting is not None:
            self._waiting[hint.device] = _both(waiting, hint)
            return
        over = self._told_at.get(hint.device, float("-inf")) + self.pause_s
        now = self.monotonic()
        if now >= over:
            self._pass_on(hint)
            return
        self._waiting[hint.device] = hint
        self.later(over - now, lambda: self._pass_on(self._waiting.pop(hint.device)))

    def _pass_on(self, hint: Hint) -> None:
        self._told_at[hint.device] = self.monotonic()
        self.tell(hint)


def _both(first: Hint, second: Hint) -> Hint:
    """A link that changed may concern anybody."""
    if "a link changed" in (first.what, second.what):
        return Hint(first.device, "a link changed")
    return Hint(first.device, first.what, first.macs | second.macs)


# --- listening -------------------------------------------------------------------------------------------------------


class TrapReceiver:
    """Listens from `start` to `stop`. `tell` is called on the loop's thread and must be quick; `senders` are numeric
    addresses -> devices, and notifications from anywhere else are dropped."""

    def __init__(
        self, where: Listening, senders: Mapping[str, str], tell: Callable[[Hint], None], pause_s: float = PAUSE_S
    ) -> None:
        self._where, self._senders, self._tell, self._pause_s = where, senders, tell, pause_s
        self._engine: Any = None

    def start(self) -> None:
        """SiteError if the address is not ours or the port is taken."""
        background().run(self._start(self._bound()))

    def stop(self) -> None:
        background().run(self._stop())

    def _bound(self) -> socket.socket:
        where = self._where
        family = socket.AF_INET6 if ":" in where.address else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_DGRAM)
        try:
            listening.bind((where.address, where.port))
        except OSError as error:
            listening.close()
            raise SiteError(f"cannot listen for traps on {where.address}:{where.port}: {error.strerror}") from error
        listening.setblocking(False)
        return listening

    async def _start(self, listening: socket.socket) -> None:
        loop = background().loop
        patience = Patience(self._tell, loop.time, loop.call_later, self._pause_s)
        self._engine = engine.SnmpEngine()
        six = listening.family == socket.AF_INET6
        transport = (udp6.Udp6AsyncioTransport if six else udp.UdpAsyncioTransport)(loop=loop)
        domain = udp6.DOMAIN_NAME if six else udp.DOMAIN_NAME
        config.add_transport(self._engine, domain, transport.open_server_mode(sock=listening))
        for number, access in enumerate(self._where.accesses):
            _admit(self._engine, number, access, self._where.engine_ids)

        def heard(
            snmp: Any, reference: int, _engine_id: object, _context: object, variables: Any, _ours: object
        ) -> None:
            _, (address, *_) = snmp.message_dispatcher.get_transport_info(reference)
            device = self._senders.get(str(address).removeprefix("::ffff:"))
            hint = meaning(device, [(tuple(oid), _plain(value)) for oid, value in variables]) if device else None
            if hint is not None:
                patience.hear(hint)

        _Receiver(self._engine, heard)

    async def _stop(self) -> None:
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = None


def senders(endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """Numeric address -> device. A name without an address sends nothing that we could tell apart."""
    found = {}
    for device, endpoint in endpoints.items():
        with suppress(OSError):
            for *_, address in socket.getaddrinfo(endpoint.host, None, type=socket.SOCK_DGRAM):
                found[str(address[0])] = device
    return found


class _Receiver(ntfrcv.NotificationReceiver):  # type: ignore[misc] # pysnmp has no types
    """pysnmp's would also take a known user's word without signature and encryption."""

    def process_pdu(self, snmp: Any, model: int, security_model: int, name: Any, level: int, *more: Any) -> None:
        if model != _VERSION_3 or level == _AUTH_PRIV:
            super().process_pdu(snmp, model, security_model, name, level, *more)


def _admit(snmp: Any, number: int, access: SnmpAccess, engine_ids: Sequence[bytes]) -> None:
    if access.version != "3":
        config.add_v1_system(snmp, f"community-{number}", access.community.reveal() if access.community else "")
        return
    for engine_id in (None, *engine_ids):
        config.add_v3_user(
            snmp,
            access.user,
            AUTHENTICATION[access.auth_protocol],
            access.auth_key.reveal() if access.auth_key else None,
            PRIVACY[access.priv_protocol],
            access.priv_key.reveal() if access.priv_key else None,
            securityEngineId=None if engine_id is None else v2c.OctetString(engine_id),
        )


def _plain(value: Any) -> object:
    """Octets and object identifiers as Python has them; nothing else matters here."""
    if isinstance(value, v2c.OctetString):
        return bytes(value)
    return tuple(value) if isinstance(value, v2c.ObjectIdentifier) else None
