"""Logs of a Linux firewall: what the LOG targets of iptables, ip6tables and nftables write, from a file only.

    Nov 20 08:00:00 gw1 kernel: [  12.345678] new: IN=lan0 OUT=wan0 MAC=... SRC=10.20.0.15 DST=192.0.2.80 LEN=60
    TOS=0x00 PREC=0x00 TTL=63 ID=218 DF PROTO=TCP SPT=51000 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0

(Linux net/netfilter/nf_log_syslog.c.) One line is one packet; a rule that logs new connections (`ct state new log`)
writes one for each. Packets that begin nothing are told apart where the line says so: TCP without SYN or with ACK, ICMP
that is no echo request. Whoever sent the packet is the client, so that visitors of a server can be counted; where
networks were named as inside and only the other side is in one of them, that side is. What ended, was answered or moved
how many octets is not told. Other messages in the same file are somebody else's, and noise.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import ClassVar

from switchguard.core.model import Address, Network
from switchguard.ports import Capture, NatTable

from ._captured import Lines, Strays, table_of
from ._nat_tally import Entry, Tallies

PLATFORM = "netfilter_log"

_PACKET = re.compile(
    r"\bSRC=(?P<source>[0-9a-fA-F.:]+) +DST=(?P<target>[0-9a-fA-F.:]+) .*?"
    r"\bPROTO=(?P<protocol>[A-Za-z0-9]+)(?P<rest>(?: .*)?)$"
)
_PORTS = re.compile(r" SPT=(\d{1,5}) DPT=(\d{1,5})(?: |$)")
_WITHOUT_PORTS = re.compile(r"\bFRAG:\d+|\bINCOMPLETE \[")
_ICMP_TYPE = re.compile(r" TYPE=(\d+)\b")
_ECHO_REQUESTS = {"8", "128"}
_HAVE_PORTS = {"tcp", "udp", "udplite", "sctp", "dccp"}
_FLAGS = {"SYN", "ACK", "FIN", "RST", "PSH", "URG"}
_OF_A_PACKET = re.compile(r"\bIN=\S* +(?:PHYSIN=\S* +)?OUT=|\bSRC=|\bDST=")
_ARP = re.compile(r" ARP HTYPE=\d+ ")
_MESSAGE = re.compile(
    r"(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*"
    r"|\[ *\d+\.\d+\]|\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\]) .*"
    r"|-- (?:Journal|Logs) begins? .*|-- Boot \w+ --|\s*"
)
"""Any line of syslog, journalctl or dmesg, whoever wrote it."""


class NetfilterLog:
    platform = PLATFORM
    captures: ClassVar[Mapping[str, Capture]] = {
        "log": Capture(("journalctl -k", "dmesg", "kern.log"), re.compile(rf".*{_PACKET.pattern}"))
    }

    def read_capture(self, chunks: Iterable[bytes], table: str, inside: Sequence[Network]) -> NatTable:
        """Sessions are logged packets that begin one."""
        lines, tallies = Lines(chunks), Tallies(inside)
        strays = Strays(lines)
        for line in lines:
            packet = _PACKET.search(line)
            entry = _entry(packet, inside) if packet else None
            if entry and packet and _begins(entry.protocol, packet["rest"]):
                tallies.add(entry)
            elif entry:
                tallies.add_nobodys()
            elif not _is_noise(line):
                strays.refuse(line)
        return table_of(lines, strays, tallies, PLATFORM)


def _is_noise(line: str) -> bool:
    if _OF_A_PACKET.search(line):
        return _ARP.search(line) is not None
    return _MESSAGE.fullmatch(line) is not None


def _entry(packet: re.Match[str], inside: Sequence[Network]) -> Entry | None:
    """None for a line that does not tell all of a packet."""
    protocol, rest = packet["protocol"].lower(), packet["rest"]
    ports = _PORTS.match(rest)
    if protocol in _HAVE_PORTS and not ports and not _WITHOUT_PORTS.search(packet[0]):
        return None
    try:
        source, target = _address(packet["source"]), _address(packet["target"])
    except ValueError:
        return None
    near, far = (int(ports[1]), int(ports[2])) if ports else (None, None)
    if inside and _within(target, inside) and not _within(source, inside):
        source, target, far = target, source, near
    return Entry(source.packed, protocol, target.packed, far)


_address = lru_cache(1 << 14)(ip_address)


def _begins(protocol: str, rest: str) -> bool:
    """Whether the packet may be the first one of a connection. A line that tells no flags is believed."""
    if protocol.startswith("icmp"):
        kind = _ICMP_TYPE.match(rest)
        return kind is None or kind[1] in _ECHO_REQUESTS
    if protocol != "tcp":
        return True
    flags = _FLAGS.intersection(rest.split())
    return not flags or ("SYN" in flags and "ACK" not in flags)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
