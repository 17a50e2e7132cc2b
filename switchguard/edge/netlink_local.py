"""Netfilter's netlink sockets on this very machine: requests, dumps, news. What messages mean is the driver's business.

A socket belongs to the network namespace that its thread was in when it was opened. Needs CAP_NET_ADMIN.
"""

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from switchguard.errors import CommandRefused, StreamLost, Unreachable

_NETLINK_NETFILTER, _SOL_NETLINK, _ADD_MEMBERSHIP = 12, 270, 1
_RCVBUFFORCE = 33
"""SO_RCVBUFFORCE, which passes net.core.rmem_max by (socket(7)); Python has no name for it."""
_NEWS_BUFFER = 64 << 20
"""Octets: 65,000 new sessions at once did not fill it."""
_BLOCK, _DATAGRAM = 8 << 20, 1 << 16
"""How much is handed on at once, and more than the kernel ever sends at once (32 KiB, af_netlink.c)."""
_HEADER = struct.Struct("=IHHIIi")
"""struct nlmsghdr and the error number after it, in the messages that end an answer."""
_ERROR, _DONE = 2, 3


class LocalNetlink:
    def __init__(self, device: str, patience_s: float) -> None:
        """`patience_s` bounds each silence."""
        self._device, self._patience_s = device, patience_s

    def ask(self, request: bytes) -> Iterator[memoryview]:
        """The answer in blocks; each is overwritten by the next. CommandRefused in the kernel's words."""
        with closing(self._socket()) as line:
            try:
                line.send(request)
                yield from self._blocks(line)
            except OSError as error:
                raise Unreachable(self._device, f"the kernel's answer stopped: {error}") from error

    def news(self, groups: Sequence[int], tick_s: float) -> Iterator[bytes]:
        """Everything that came during a tick, and then what came during the next."""
        with closing(self._socket()) as line:
            _enlarge(line)
            for group in groups:
                line.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
            line.setblocking(False)
            while True:
                # The kernel keeps what comes meanwhile: one awakening per tick, not one per session.
                time.sleep(tick_s)
                yield b"".join(self._waiting(line, time.monotonic() + tick_s))

    def _socket(self) -> socket.socket:
        try:
            line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
            line.bind((0, 0))
        except OSError as error:
            raise Unreachable(self._device, f"the kernel offers no netfilter netlink: {error.strerror}") from error
        line.settimeout(self._patience_s)
        return line

    def _blocks(self, line: socket.socket) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(_BLOCK))
        filled, ended = 0, False
        while not ended:
            size = line.recv_into(buffer[filled:])
            ended = self._ends(buffer[filled : filled + size])
            filled += size
            if ended or filled > _BLOCK - _DATAGRAM:
                yield buffer[:filled]
                filled = 0

    def _ends(self, datagram: memoryview) -> bool:
        """An error comes alone, the end of a dump last. CommandRefused if it says that something went wrong."""
        if len(datagram) < _HEADER.size:
            return False
        _, kind, _, _, _, number = _HEADER.unpack_from(datagram)
        length, last, _, _, _, result = _HEADER.unpack_from(datagram, len(datagram) - _HEADER.size)
        if last == _DONE and length == _HEADER.size:
            kind, number = last, result
        if kind not in (_ERROR, _DONE):
            return False
        if number and number != -errno.ENOENT:
            raise CommandRefused(self._device, "a request for connection tracking", os.strerror(-number))
        return True

    def _waiting(self, line: socket.socket, deadline: float) -> Iterator[bytes]:
        """What has come so far; after the deadline even a flood has to wait for the next time."""
        while time.monotonic() < deadline:
            try:
                yield line.recv(_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                lost = error.errno == errno.ENOBUFS
                why = "more sessions came than could be followed" if lost else f"the kernel said {error.strerror}"
                raise StreamLost(self._device, f"the stream of sessions has a hole: {why}") from error


def _enlarge(line: socket.socket) -> None:
    """Without the privilege for it, as far as net.core.rmem_max allows."""
    try:
        line.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _NEWS_BUFFER)
    except PermissionError:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NEWS_BUFFER)
