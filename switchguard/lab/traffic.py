"""What the lab's clients do, and the internet that answers them. Everything has a rate and an end.

`python -m switchguard.lab.traffic swarm --peers 1500 --seconds 20`, from inside a client's namespace. The internet
answers on every address of topology.ANSWERING: UDP comes back as it was sent; over TCP a line `SEND n` is answered with
n octets, everything else with itself.
"""

import argparse
import asyncio
import random
import resource
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from switchguard.lab.topology import ANSWERING, WAN
from switchguard.lab.wires import ANSWERING_PORT, SERVED_PORT

Peer = tuple[str, int]

SILENT = IPv4Address("198.20.0.0")
"""Above ANSWERING: peers that have gone away."""
_DATAGRAM = b"d1:ad2:id20:the lab's own swarm!e1:q4:ping1:t2:aa1:y1:qe"
_CHUNK = bytes(16_384)
_TICK_S = 0.02
_RETRY_S = 1.0
_AT_ONCE = struct.pack("ii", 1, 0)
"""Of SO_LINGER: who is stopped resets its sessions. The kernel would go on saying goodbye for minutes, and each goodbye
that a gateway has forgotten the session of is a new translation."""


def peers(count: int, silent_share: float, seed: int) -> list[Peer]:
    """Distinct hosts, each on a port above 1024; the same ones for the same seed. The last ones never answer."""
    chance = random.Random(seed)
    hosts = chance.sample(range(ANSWERING.num_addresses), count)
    silent = round(count * silent_share)
    base = [ANSWERING.network_address] * (count - silent) + [SILENT] * silent
    return [(str(first + host), chance.randint(1025, 65_535)) for first, host in zip(base, hosts, strict=True)]


# --- clients ---------------------------------------------------------------------------------------------------------


async def swarm(count: int, seconds: float, packets_per_second: int, seed: int) -> None:
    """BitTorrent as a NAT table sees it: two in three peers over UDP from one port, the rest over TCP, all busy."""
    found = peers(count, silent_share=0.05, seed=seed)
    chance = random.Random(seed)
    chance.shuffle(found)
    over_tcp = found[: count // 3]
    talks = [_chat(peer, every_s=5.0, size=64) for peer in over_tcp]
    await _until(seconds, [_gossip(found[count // 3 :], packets_per_second), *talks])


async def browse(seconds: float, seed: int) -> None:
    """Sixteen tabs: 60 sessions to 35 hosts on the ports of the web, most of them waiting."""
    chance = random.Random(seed)
    hosts = [host for host, _ in peers(35, silent_share=0.0, seed=seed)]
    chosen = hosts + chance.choices(hosts, k=25)
    sessions = [(host, chance.choice((443, 443, 443, 80))) for host in chosen]
    await _until(seconds, [_chat(session, every_s=chance.uniform(1, 20), size=400) for session in sessions])


async def bulk(seconds: float, bits_per_second: int) -> None:
    """One big download from one host."""
    await _until(seconds, [_download((str(ANSWERING.network_address + 7), 443), bits_per_second)])


async def dns(seconds: float, queries_per_second: int, seed: int) -> None:
    """A resolver: one short question each, from a new port, to port 53 of very many servers."""
    chance = random.Random(seed)

    async def ask_on() -> None:
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as question:
                _send(question, _DATAGRAM, (str(ANSWERING[chance.randrange(ANSWERING.num_addresses)]), 53))
            await asyncio.sleep(1 / queries_per_second)

    await _until(seconds, [ask_on()])


async def serve(seconds: float) -> None:
    """A server behind the gateway that is popular with the internet; `visit` is the internet's part of it."""
    server = await asyncio.start_server(_answer, port=SERVED_PORT, backlog=1024)
    async with server:
        await _until(seconds, [server.serve_forever()])


async def visit(visitors: int, seconds: float, seed: int) -> None:
    """From inside `internet`: that many hosts, one session each, to the port that the gateway forwards."""
    hosts = [host for host, _ in peers(visitors, silent_share=0.0, seed=seed)]
    target = (str(WAN.ip), SERVED_PORT)
    await _until(seconds, [_chat(target, every_s=5.0, size=400, source=host) for host in hosts])


async def _until(seconds: float, tasks: Sequence[Awaitable[None]]) -> None:
    """Do all of it at the same time, and stop after so long."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*tasks)
    except TimeoutError:
        return


async def _gossip(targets: Sequence[Peer], packets_per_second: int) -> None:
    """A datagram to one peer after the other, round and round, from a single socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        asyncio.get_running_loop().add_reader(line, _discard, line)
        began, sent = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) * packets_per_second)
            for number in range(sent, due):
                _send(line, _DATAGRAM, targets[number % len(targets)])
            sent = due
            await asyncio.sleep(_TICK_S)


async def _chat(peer: Peer, every_s: float, size: int, source: str | None = None) -> None:
    """Say something from time to time, and listen; connect again when the session is lost, as programs do."""
    while True:
        try:
            local = (source, 0) if source else None
            reader, writer = await asyncio.open_connection(*peer, local_addr=local)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            try:
                while True:
                    writer.write(bytes(size))
                    await reader.readexactly(size)
                    await asyncio.sleep(every_s)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(_RETRY_S)


async def _download(peer: Peer, bits_per_second: int) -> None:
    reader, writer = await asyncio.open_connection(*peer)
    pause_s = len(_CHUNK) * 8 / bits_per_second
    try:
        while True:
            writer.write(f"SEND {len(_CHUNK)}\n".encode())
            await asyncio.gather(reader.readexactly(len(_CHUNK)), asyncio.sleep(pause_s))
    finally:
        writer.close()


def _send(line: socket.socket, datagram: bytes, peer: Peer) -> None:
    """A swarm does not mind a lost datagram, nor that the network is cut: it goes on."""
    try:
        line.sendto(datagram, peer)
    except OSError:
        return


def _discard(line: socket.socket) -> None:
    try:
        line.recv(2048)
    except OSError:
        return


# --- the internet ----------------------------------------------------------------------------------------------------


async def internet() -> None:
    """Answers until the lab ends; how much is up to those who ask."""
    line = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    line.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    line.setblocking(False)
    asyncio.get_running_loop().add_reader(line, _reflect, line)
    server = await asyncio.start_server(_answer, port=ANSWERING_PORT, backlog=4096)
    async with server:
        await server.serve_forever()


def _reflect(line: socket.socket) -> None:
    """Send datagrams back. Source and destination change places, which leaves every checksum as it was."""
    for _ in range(64):
        try:
            packet = line.recv(65_535)
        except BlockingIOError:
            return
        source, target = packet[12:16], packet[16:20]
        start = (packet[0] & 0x0F) * 4
        ports = packet[start : start + 4]
        if IPv4Address(target) not in ANSWERING or IPv4Address(source) in ANSWERING:
            continue
        back = packet[:12] + target + source + packet[20:start] + ports[2:] + ports[:2] + packet[start + 4 :]
        _send(line, back, (str(IPv4Address(source)), 0))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            orders = [line for line in data.split(b"\n") if line.startswith(b"SEND ")]
            for order in orders:
                writer.write(bytes(min(int(order.split()[1]), 10_000_000)))
            if not orders:
                writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()


# --- the command line ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Option:
    name: str
    kind: Callable[[str], float]
    default: float


_SECONDS = _Option("--seconds", float, 20.0)
_SEED = _Option("--seed", int, 1)
_COMMANDS: dict[str, tuple[Callable[..., Awaitable[None]], tuple[_Option, ...]]] = {
    "swarm": (swarm, (_Option("--peers", int, 1500), _SECONDS, _Option("--rate", int, 1000), _SEED)),
    "browse": (browse, (_SECONDS, _SEED)),
    "bulk": (bulk, (_SECONDS, _Option("--bits-per-second", int, 20_000_000))),
    "dns": (dns, (_SECONDS, _Option("--rate", int, 200), _SEED)),
    "serve": (serve, (_SECONDS,)),
    "visit": (visit, (_Option("--visitors", int, 300), _SECONDS, _SEED)),
    "internet": (internet, ()),
}


def _arguments(words: Sequence[str]) -> tuple[Callable[..., Awaitable[None]], list[float]]:
    parser = argparse.ArgumentParser(prog="switchguard.lab.traffic")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, options) in _COMMANDS.items():
        command = commands.add_parser(name)
        for option in options:
            command.add_argument(option.name, type=option.kind, default=option.default)
    chosen = parser.parse_args(words)
    work, options = _COMMANDS[chosen.command]
    return work, [getattr(chosen, option.name.strip("-").replace("-", "_")) for option in options]


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    work, values = _arguments(sys.argv[1:])
    asyncio.run(_awaited(work(*values)))


async def _awaited(work: Awaitable[None]) -> None:
    await work


if __name__ == "__main__":
    main()
