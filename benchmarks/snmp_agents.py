"""A thousand simulated switches on loopback addresses: SNMPv2c agents that answer 10 ms after they were asked.

Each has 48 ports with four 64-bit counters, 300 forwarding entries and one LLDP neighbour, and what a driver wants to
know besides. Variables are encoded once; a request is answered by finding its place and joining bytes, so that several
of these processes keep up with any client. Answers stay below 1,472 octets, like those of a careful agent.
"""

import argparse
import heapq
import select
import socket
import sys
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from multiprocessing import Process

from switchguard.core.model import Mac

PORT = 16161
PORTS, STATIONS, OWN_STATIONS = 48, 300, 40
LARGEST = 1400
"""Octets of variables in one answer; with the headers it fits into an Ethernet frame."""
ROOMY_BUFFER = 4 << 20
Numbers = tuple[int, ...]


def address_of(switch: int) -> str:
    return f"127.16.{switch // 250}.{switch % 250 + 1}"


def mac_of_client(client: int) -> Mac:
    return Mac(0x020000000000 + client)


def own_mac(switch: int, port: int) -> Mac:
    return Mac(0x0A0000000000 + switch * 256 + port)


def clients_of(switch: int) -> range:
    """Those that are plugged into this switch, on its ports from 2 on."""
    return range(OWN_STATIONS * switch, OWN_STATIONS * (switch + 1))


# --- BER -------------------------------------------------------------------------------------------------------------


def tlv(tag: int, body: bytes) -> bytes:
    length = len(body)
    if length < 128:
        return bytes((tag, length)) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + body


def number(value: int, tag: int = 0x02) -> bytes:
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def oid_body(oid: Numbers) -> bytes:
    body = bytearray((oid[0] * 40 + oid[1],))
    for part in oid[2:]:
        septets = [part & 0x7F]
        while part := part >> 7:
            septets.append(part & 0x7F | 0x80)
        body += bytes(reversed(septets))
    return bytes(body)


def oid_numbers(body: bytes) -> Numbers:
    parts, value = [body[0] // 40, body[0] % 40], 0
    for octet in body[1:]:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            parts.append(value)
            value = 0
    return tuple(parts)


def parts_of(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a sequence: tag and body."""
    at = 0
    while at < len(message):
        tag, length = message[at], message[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(message[at : at + octets])
            at += octets
        yield tag, message[at : at + length]
        at += length


# --- one switch ------------------------------------------------------------------------------------------------------


def dotted(text: str) -> Numbers:
    return tuple(map(int, text.split(".")))


def variables(switch: int) -> Iterator[tuple[Numbers, bytes]]:
    """What the agent of a switch knows, in no order."""
    column = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
    for port in range(1, PORTS + 1):
        name = b"Ethernet%d" % port
        for prefix, value in (
            (f"{column[0]}.2", tlv(4, name)),
            (f"{column[0]}.6", tlv(4, own_mac(switch, port).octets)),
            (f"{column[0]}.8", number(1)),
            (f"{column[1]}.1", tlv(4, name)),
            (f"{column[1]}.6", number(1 << 40, 0x46)),
            (f"{column[1]}.7", number(1 << 30, 0x46)),
            (f"{column[1]}.10", number(1 << 41, 0x46)),
            (f"{column[1]}.11", number(1 << 31, 0x46)),
            (f"{column[1]}.15", number(1000, 0x42)),
            (f"{column[1]}.18", tlv(4, b"")),
            (f"{column[1]}.19", number(0, 0x43)),
            ("1.3.6.1.2.1.17.1.4.1.2", number(port)),
            ("1.0.8802.1.1.2.1.3.7.1.2", number(5)),
            ("1.0.8802.1.1.2.1.3.7.1.3", tlv(4, name)),
            ("1.0.8802.1.1.2.1.3.7.1.4", tlv(4, name)),
        ):
            yield (*dotted(prefix), port), value
    yield from stations(switch)
    neighbour = "1.0.8802.1.1.2.1.4.1.1"
    for prefix, value in (
        (f"{neighbour}.4", number(4)),
        (f"{neighbour}.5", tlv(4, bytes.fromhex("0e0000000001"))),
        (f"{neighbour}.9", tlv(4, b"core1")),
        (f"{neighbour}.12", tlv(4, b"\x28\0")),
    ):
        yield (*dotted(prefix), 0, 1, 1), value
    for scalar, value in (
        ("1.3.6.1.2.1.1.3.0", number(int(time.monotonic() * 100) % 2**31, 0x43)),
        ("1.3.6.1.2.1.31.1.5.0", number(4200, 0x43)),
        ("1.0.8802.1.1.2.1.2.1.0", number(4300, 0x43)),
        ("1.3.6.1.2.1.17.1.1.0", tlv(4, own_mac(switch, 0).octets)),
        ("1.3.6.1.6.3.10.2.1.2.0", number(7)),
    ):
        yield dotted(scalar), value


def stations(switch: int) -> Iterator[tuple[Numbers, bytes]]:
    """Its own clients on ports of their own, the others behind port 1; and the VLANs' databases."""
    table = dotted("1.3.6.1.2.1.17.7.1.2.2.1")
    own = clients_of(switch)
    for client in range(own.start, own.start + STATIONS):
        index = (10, *mac_of_client(client).octets)
        yield (*table, 2, *index), number(client - own.start + 2 if client in own else 1)
        yield (*table, 3, *index), number(3)
    yield (*dotted("1.3.6.1.2.1.17.7.1.4.2.1.3"), 0, 10), number(10)


class Switch:
    def __init__(self, switch: int) -> None:
        found = sorted(variables(switch))
        self._oids = [oid for oid, _ in found]
        self._encoded = [tlv(0x30, tlv(6, oid_body(oid)) + value) for oid, value in found]
        self._values = dict(found)

    def answer(self, message: bytes) -> bytes:
        (_, body), *_ = parts_of(message)
        (_, version), (_, community), (kind, pdu) = parts_of(body)
        (_, request), _, (_, repetitions), (_, bindings) = parts_of(pdu)
        asked = [next(parts_of(binding))[1] for _, binding in parts_of(bindings)]
        rows = self._next(asked[0], int.from_bytes(repetitions)) if kind == 0xA5 else map(self._value, asked)
        response = tlv(2, request) + b"\x02\x01\x00\x02\x01\x00" + tlv(0x30, b"".join(rows))
        return tlv(0x30, tlv(2, version) + tlv(4, community) + tlv(0xA2, response))

    def _value(self, oid: bytes) -> bytes:
        return tlv(0x30, tlv(6, oid) + self._values.get(oid_numbers(oid), b"\x80\0"))

    def _next(self, oid: bytes, repetitions: int) -> Iterable[bytes]:
        start = bisect_right(self._oids, oid_numbers(oid))
        size = 0
        for place in range(start, min(start + repetitions, len(self._encoded))):
            size += len(self._encoded[place])
            if size > LARGEST:
                return
            yield self._encoded[place]
        if start + repetitions > len(self._encoded):
            yield tlv(0x30, tlv(6, oid) + b"\x82\0")


# --- many of them ----------------------------------------------------------------------------------------------------


def serve(switches: Iterable[int], delay_s: float) -> None:
    """Until the process is ended; says `ready` once all of them listen."""
    poll, known = select.epoll(), {}
    for switch in switches:
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOMY_BUFFER)
        listening.bind((address_of(switch), PORT))
        listening.setblocking(False)
        poll.register(listening, select.EPOLLIN)
        known[listening.fileno()] = (listening, Switch(switch))
    print("ready", flush=True)  # noqa: T201 - whoever started us waits for it
    due: list[tuple[float, int, socket.socket, bytes, tuple[str, int]]] = []
    order = 0
    while True:
        wait_s = max(due[0][0] - time.monotonic(), 0) if due else None
        for descriptor, _ in poll.poll(wait_s):
            listening, switch_known = known[descriptor]
            message, peer = listening.recvfrom(65535)
            order += 1
            heapq.heappush(due, (time.monotonic() + delay_s, order, listening, switch_known.answer(message), peer))
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, _, listening, answer, peer = heapq.heappop(due)
            listening.sendto(answer, peer)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--switches", type=int, default=1000)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--delay", type=float, default=0.010)
    given = arguments.parse_args()
    shares = [range(first, given.switches, given.processes) for first in range(given.processes)]
    workers = [Process(target=serve, args=(share, given.delay), daemon=True) for share in shares]
    for worker in workers:
        worker.start()
    sys.stdin.read()  # whoever started us ends us by closing our standard input


if __name__ == "__main__":
    main()
