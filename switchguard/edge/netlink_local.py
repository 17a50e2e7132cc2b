"""Netfilter's netlink sockets on this very machine: requests, dumps, news. What messages mean is the driver's business.

A socket belongs to the network namespace that its thread was in when it was opened. Needs CAP_NET_ADMIN.
"""

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import cycle

from switchguard.errors import CommandRefused, StreamLost, Unreachable
from switchguard.ports import News

_NETLINK_NETFILTER, _SOL_NETLINK, _ADD_MEMBERSHIP = 12, 270, 1
_RCVBUFFORCE = 33
"""SO_RCVBUFFORCE, which passes net.core.rmem_max by (socket(7)); Python has no name for it."""
_NEWS_BUFFER = 64 << 20
"""Octets: 65,000 new sessions at once did not fill it."""
_BLOCK, _DATAGRAM = 4 << 20, 1 << 16
"""How much is handed on at once, and more than the kernel ever sends at once (32 KiB, af_netlink.c)."""
_HEADER = struct.Struct("=IHHIIi")
"""struct nlmsghdr and the error number after it, in the messages that end an answer."""
_ERROR, _DONE = 2, 3


class LocalNetlink:
    def __init__(self, device: str, patience_s: float) -> None:
        """`patience_s` bounds each silence."""
        self._device, self._patience_s = device, patience_s

    def ask(self, request: bytes) -> Iterator[memoryview]:
        """The answer in blocks. CommandRefused in the kernel's words.

        While one is looked at, a thread receives the next: nearly all of the time is the kernel's, which makes its
        table into messages while it is being asked for them. A block is overwritten when the one after it was taken.
        """
        with closing(self._socket()) as line, ThreadPoolExecutor(1, "netlink") as receiver:
            try:
                line.send(request)
                buffers = cycle([memoryview(bytearray(_BLOCK)), memoryview(bytearray(_BLOCK))])
                coming, ended = receiver.submit(self._receive, line, next(buffers)), False
                while not ended:
                    block, ended = coming.result()
                    if not ended:
                        coming = receiver.submit(self._receive, line, next(buffers))
                    yield block
            except OSError as error:
                raise Unreachable(self._device, f"the kernel's answer stopped: {error}") from error

    def news(self, groups: Sequence[int], tick_s: float) -> Iterator[News]:
        """Everything that came during a tick, and then what came during the next. A socket that overflowed goes on."""
        with closing(self._socket()) as line:
            _enlarge(line)
            for group in groups:
                line.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
            line.setblocking(False)
            while True:
                # The kernel keeps what comes meanwhile: one awakening per tick, not one per session.
                time.sleep(tick_s)
                yield self._waiting(line, time.monotonic() + tick_s)

    def _socket(self) -> socket.socket:
        try:
            line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
            line.bind((0, 0))
        except OSError as error:
            raise Unreachable(self._device, f"the kernel offers no netfilter netlink: {error.strerror}") from error
        line.settimeout(self._patience_s)
        return line

    def _receive(self, line: socket.socket, buffer: memoryview) -> tuple[memoryview, bool]:
        """Whole messages, and whether they were the last."""
        filled, ended = 0, False
        while not ended and filled <= len(buffer) - _DATAGRAM:
            size = line.recv_into(buffer[filled:])
            ended = self._ends(buffer[filled : filled + size])
            filled += size
        return buffer[:filled], ended

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

    def _waiting(self, line: socket.socket, deadline: float) -> News:
        """What has come so far; after the deadline even a flood has to wait for the next time."""
        heard, missed = [], ""
        while time.monotonic() < deadline:
            try:
                heard.append(line.recv(_DATAGRAM))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise StreamLost(self._device, f"the stream of sessions broke: {error.strerror}") from error
                missed = "more sessions came than could be followed"
        return News(b"".join(heard), missed)


def _enlarge(line: socket.socket) -> None:
    """Without the privilege for it, as far as net.core.rmem_max allows."""
    try:
        line.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _NEWS_BUFFER)
    except PermissionError:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NEWS_BUFFER)
