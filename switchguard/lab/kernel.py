"""System calls that Python 3.11 does not wrap: entering namespaces, and keeping capabilities across exec."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEW = {"user": 0x1000_0000, "mnt": 0x0002_0000, "net": 0x4000_0000, "uts": 0x0400_0000, "pid": 0x2000_0000}
"""Kinds of namespaces that a lab has of its own, as /proc/PID/ns calls them (linux/sched.h)."""

NAMED = Path("/run/netns")
"""Where `ip netns` keeps the network namespaces that have a name."""

CAP_SYS_ADMIN = 21
"""Makes namespaces and mounts (capabilities(7))."""

_CAPABILITY_VERSION_3 = 0x2008_0522
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityWord(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def effective_capabilities() -> frozenset[int]:
    """What this process may do now, in its own user namespace (proc(5), CapEff)."""
    status = Path("/proc/self/status").read_text().splitlines()
    bits = int(next(line for line in status if line.startswith("CapEff:")).split()[1], 16)
    return frozenset(number for number in range(bits.bit_length()) if bits >> number & 1)


def setns(fd: int, kinds: int) -> None:
    """setns(2): this thread enters the namespaces of a pidfd or of a /proc/PID/ns file."""
    _check(_libc.setns(fd, kinds), "setns")


def keep_capabilities() -> None:
    """Let the next exec keep what we may do now, although we are not root (capabilities(7), "ambient")."""
    header, words = _CapabilityHeader(_CAPABILITY_VERSION_3, 0), (_CapabilityWord * 2)()
    _check(_libc.capget(ctypes.byref(header), words), "capget")
    for word in words:
        word.inheritable = word.permitted
    _check(_libc.capset(ctypes.byref(header), words), "capset")
    permitted = words[0].permitted | words[1].permitted << 32
    for capability in range(permitted.bit_length()):
        if permitted >> capability & 1:
            _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl")


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Work in a named network namespace: sockets opened and processes started in here stay there.

    Only the calling thread moves, so that threads can be in different namespaces.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(NAMED / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(there, CLONE_NEW["net"])
        try:
            yield
        finally:
            setns(home, CLONE_NEW["net"])
    finally:
        os.close(there)
        os.close(home)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
