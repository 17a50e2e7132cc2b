"""Echo requests from the network namespace that we are in (RFC 792), many and quickly, with exact counts."""

import os
import select
import socket
import struct
import time
from typing import NamedTuple

_ECHO_REPLY, _ECHO_REQUEST = 0, 8
_HEADER = struct.Struct("!BBHHH")
_PAYLOAD = b"switchguard"


class Echoes(NamedTuple):
    sent: int
    received: int


def ping(address: str, count: int, interval_s: float, wait_s: float) -> Echoes:
    """Answers until `wait_s` after the last request, each counted once. A request that cannot leave counts as sent."""
    identifier = int.from_bytes(os.urandom(2))
    answered: set[int] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as line:
        for sequence in range(count):
            _send(line, address, identifier, sequence)
            answered |= _listen(line, identifier, interval_s if sequence < count - 1 else wait_s, count - len(answered))
    return Echoes(count, len(answered))


def echo_request(identifier: int, sequence: int) -> bytes:
    """One request, checksum and all."""
    draft = _HEADER.pack(_ECHO_REQUEST, 0, 0, identifier, sequence) + _PAYLOAD
    return _HEADER.pack(_ECHO_REQUEST, 0, _checksum(draft), identifier, sequence) + _PAYLOAD


def echoed(packet: bytes, identifier: int) -> int | None:
    """The sequence number if this IPv4 packet is an answer to one of our requests."""
    kind, _, _, whose, sequence = _HEADER.unpack_from(packet, (packet[0] & 0x0F) * 4)
    return int(sequence) if kind == _ECHO_REPLY and whose == identifier else None


def _send(line: socket.socket, address: str, identifier: int, sequence: int) -> None:
    try:
        line.sendto(echo_request(identifier, sequence), (address, 0))
    except OSError:
        return


def _listen(line: socket.socket, identifier: int, seconds: float, missing: int) -> set[int]:
    """Sequence numbers answered within so many seconds; sooner when nothing is missing."""
    heard: set[int] = set()
    deadline = time.monotonic() + seconds
    while len(heard) < missing and (left := deadline - time.monotonic()) > 0:
        if select.select([line], [], [], left)[0]:
            sequence = echoed(line.recv(2048), identifier)
            if sequence is not None:
                heard.add(sequence)
    return heard


def _checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
