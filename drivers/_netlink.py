"""Netfilter's netlink protocol as octets: what to ask a kernel for its connection tracking, and where messages begin.

Linux include/uapi/linux/netlink.h, nfnetlink.h, nfnetlink_conntrack.h; RFC 3549. Message and attribute headers are in
the machine's own byte order, what attributes of conntrack hold is in the network's; everything begins at a multiple of
four octets.
"""

import struct
import sys
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from switchguard.core.model import Address
from switchguard.errors import UnexpectedOutput

Octets = bytes | memoryview
Words = NDArray[np.uint32]
Places = NDArray[np.int64]

NATIVE = np.dtype("<u4" if sys.byteorder == "little" else ">u4")
HEADER, FAMILY = struct.Struct("=IHHII"), struct.Struct("=BBH")
"""struct nlmsghdr (length, type, flags, sequence, port) and struct nfgenmsg (family, version, resource)."""
HEADER_WORDS = (HEADER.size + FAMILY.size) // 4
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
TYPE_MASK = 0x3FFF
"""Without the bits for `nested` and `in network byte order`."""

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
"""NLM_F_REQUEST, NLM_F_ACK, NLM_F_ROOT | NLM_F_MATCH."""
ENTRY, GET, DELETE = 0x100, 0x101, 0x102
"""Type of message: NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, _GET, _DELETE. Answers and news of the first kind
hold an entry, those of the last kind say that it is gone."""
GROUP_NEW, GROUP_DESTROY = 1, 3
"""NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY."""
UNSPEC, INET, INET6 = 0, 2, 10

# enum ctattr_type and those nested in it
ORIGINAL, REPLY, STATUS, PROTOCOL_INFO, TIMEOUT = 1, 2, 3, 4, 7
COUNTERS_SENT, COUNTERS_RECEIVED, ID, STAMPS, FILTER = 9, 10, 12, 20, 25
TUPLE_IP, TUPLE_PROTO = 1, 2
FILTER_ORIGINAL = 1
_FILTER_SOURCE_ADDRESS = 1 << 0
"""CTA_FILTER_F_CTA_IP_SRC, net/netfilter/nf_conntrack_netlink.c."""
_SEQUENCE = 0x53574744
"""Of every request; no other word of a table is likely to be the same, and none can pass for a header unnoticed."""


def attribute(kind: int, *parts: bytes, nested: bool = False) -> bytes:
    value = b"".join(parts)
    head = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind | (_NESTED if nested else 0))
    return head + value + bytes(-len(value) % 4)


def message(kind: int, flags: int, family: int, attributes: Iterable[bytes] = ()) -> bytes:
    """Of version 1: the family is heeded when something is deleted, too."""
    body = FAMILY.pack(family, 1 if kind == DELETE else 0, 0) + b"".join(attributes)
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, _SEQUENCE, 0) + body


def dump() -> bytes:
    """Every entry, of both address families."""
    return message(GET, DUMP, UNSPEC)


def dump_from(address: Address) -> bytes:
    """The entries that this address began, if the kernel honours the filter (Linux 5.8); else possibly all."""
    return message(GET, DUMP, _family(address), _only_from(address))


def delete_from(address: Address) -> bytes:
    """Delete what this address began. A kernel that does not know the filter deletes *everything*: only to be sent to
    one whose filtered dump was seen to be right."""
    return message(DELETE, ACK, _family(address), _only_from(address))


def halves(words: Words) -> tuple[Words, Words]:
    """The first and the second 16 bits of words, as they lie in memory."""
    low, high = words & np.uint32(0xFFFF), words >> np.uint32(16)
    return (low, high) if sys.byteorder == "little" else (high, low)


def _only_from(address: Address) -> tuple[bytes, bytes]:
    """The source of the original direction alone, from an otherwise empty tuple."""
    source = attribute(1 if address.version == 4 else 3, address.packed)
    flags = _FILTER_SOURCE_ADDRESS.to_bytes(4, sys.byteorder)
    wanted = attribute(ORIGINAL, attribute(TUPLE_IP, source, nested=True), nested=True)
    return wanted, attribute(FILTER, attribute(FILTER_ORIGINAL, flags), attribute(2, bytes(4)), nested=True)


def _family(address: Address) -> int:
    return INET if address.version == 4 else INET6


def starts_of(block: Octets, device: str) -> Places:
    """Where each message of a block begins, in words. The block begins with one and ends with one.

    Answers to our requests are found by the sequence number that we gave them, all at once; what does not join without
    gaps, such as news, is followed header by header.
    """
    words = np.frombuffer(block, NATIVE)
    guessed = np.flatnonzero(words == _SEQUENCE) - 2
    if guessed.size and guessed[0] == 0:
        ends = guessed + (words[guessed].astype(np.int64) + 3) // 4
        if ends[-1] == words.size and (ends[:-1] == guessed[1:]).all():
            return guessed
    return _followed(words, device)


def _followed(words: Words, device: str) -> Places:
    starts, place = [], 0
    lengths = words.data
    while place < len(lengths):
        starts.append(place)
        if lengths[place] < HEADER.size:
            raise UnexpectedOutput(device, bytes(words[place : place + 4]).hex(), "no netlink message")
        place += (lengths[place] + 3) // 4
    if place != len(lengths):
        raise UnexpectedOutput(device, bytes(words[-4:]).hex(), "a netlink message that ends in the middle")
    return np.array(starts, np.int64)
