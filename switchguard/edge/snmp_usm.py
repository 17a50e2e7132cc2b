"""Whether a datagram of SNMPv3 comes from the agent: the check that gufo-snmp 0.13 leaves out.

Only the envelope is read here, which is not encrypted: message and header RFC 3412 6, the security parameters RFC 3414
2.4, their digest RFC 3414 6 and 7 (MD5 and SHA, 12 octets) and RFC 7860 4 (SHA-2, 16 to 48), the order of the checks
RFC 3414 3.2. What is inside, and deciphering it, is gufo's business.
"""

import hmac
from dataclasses import dataclass

_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04
_AUTHENTICATED, _ENCRYPTED = 1, 2
_WINDOW_S = 150
"""RFC 3414 3.2 (7): older messages are not in the time window."""
DIGESTS = {
    "md5": ("md5", 12),
    "sha": ("sha1", 12),
    "sha224": ("sha224", 16),
    "sha256": ("sha256", 24),
    "sha384": ("sha384", 32),
    "sha512": ("sha512", 48),
}
"""Authentication protocol -> hash and octets of the digest."""


class NoEnvelope(Exception):
    """Octets that do not begin as a message of SNMPv3 with its security parameters does."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """`boots` and `time_s` are the agent's own count of restarts and of seconds since the last one."""

    message: int
    flags: int
    engine: bytes
    boots: int
    time_s: int
    user: bytes
    digest: slice

    @property
    def is_authenticated(self) -> bool:
        return bool(self.flags & _AUTHENTICATED)

    @property
    def is_encrypted(self) -> bool:
        return bool(self.flags & _ENCRYPTED)


def envelope(datagram: bytes) -> Envelope:
    """NoEnvelope where there is none."""
    try:
        message = _Octets(datagram).inside(_SEQUENCE)
        if message.number() != 3:
            raise NoEnvelope
        header = message.inside(_SEQUENCE)
        number, _most = header.number(), header.number()
        flags = header.octets()
        security = message.inside(_OCTETS).inside(_SEQUENCE)
        engine, boots, time_s, user = security.octets(), security.number(), security.number(), security.octets()
        digest = security.element(_OCTETS)
    except IndexError as error:
        raise NoEnvelope from error
    if len(flags) != 1:
        raise NoEnvelope
    return Envelope(number, flags[0], engine, boots, time_s, user, digest)


@dataclass(slots=True)
class Agent:
    """One agent as one user meets it: its localized authentication key (RFC 3414 2.6) and its clock."""

    engine: bytes
    user: bytes
    protocol: str
    key: bytes
    boots: int = 0
    time_s: int = 0

    def wrote(self, datagram: bytes, found: Envelope) -> bool:
        """Whether it is genuine and no older than what came before; notes its clock."""
        if not found.is_authenticated or (found.engine, found.user) != (self.engine, self.user):
            return False
        name, octets = DIGESTS[self.protocol]
        if found.digest.stop - found.digest.start != octets:
            return False
        signed = b"".join((datagram[: found.digest.start], bytes(octets), datagram[found.digest.stop :]))
        if not hmac.compare_digest(hmac.digest(self.key, signed, name)[:octets], datagram[found.digest]):
            return False
        if (found.boots, found.time_s) < (self.boots, self.time_s - _WINDOW_S):
            return False
        self.boots, self.time_s = max((self.boots, self.time_s), (found.boots, found.time_s))
        return True


class _Octets:
    """BER (ITU-T X.690 8.1), element by element, with definite lengths; IndexError where it is something else."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self._data, self._at = data, at
        self._end = len(data) if end is None else end

    def element(self, tag: int) -> slice:
        """Where the contents of the next element are."""
        data, at = self._data, self._at
        length, at = data[at + 1], at + 2
        if data[at - 2] != tag:
            raise IndexError(at)
        if length > 127:
            many = length - 128
            length, at = int.from_bytes(data[at : at + many], "big"), at + many
        if at + length > self._end:
            raise IndexError(at)
        self._at = at + length
        return slice(at, at + length)

    def inside(self, tag: int) -> "_Octets":
        where = self.element(tag)
        return _Octets(self._data, where.start, where.stop)

    def octets(self) -> bytes:
        return self._data[self.element(_OCTETS)]

    def number(self) -> int:
        return int.from_bytes(self._data[self.element(_INTEGER)], "big", signed=True)
