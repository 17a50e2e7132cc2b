"""nftables as far as our own table goes: as a model that knows only the lines we may write, and the real one."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Mac, Role, Station
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts, SessionCap
from switchguard.errors import CommandRefused
from switchguard.ports import Candidate, Oid, Session, SnmpValue, Transport

DEVICE = Device("gw1", "linux", Role.GATEWAY)
_OBJECT = (
    r"(?P<verb>add|delete|flush) (?P<sort>table|set|chain|rule|limit|element) inet switchguard"
    r"(?: (?P<name>\w+))?(?: (?P<rest>.*))?"
)
_SET = re.compile(
    r"\{ type (ether_addr|ipv4_addr|ipv6_addr|ifname);(?: size \d+;)?(?: flags [a-z,]+;)?(?: timeout 1m;)? \}"
)
_CHAIN = re.compile(r"\{ type filter hook (prerouting priority raw|forward priority filter); policy accept; \}")
_LIMIT = re.compile(r"\{ rate over \d+ bytes/second burst \d+ bytes; \}")
_KEY: Mapping[str, Callable[[str], object]] = {
    "ether_addr": Mac.parse,
    "ipv4_addr": IPv4Address,
    "ipv6_addr": IPv6Address,
    "ifname": json.loads,
}


def _change(penalty: Penalty, address: str = "", mac: str = "") -> Change:
    if "/" in address:
        return Change(Slot("gw1", penalty.kind, network=ip_network(address)), None, penalty)
    where = IPv6Address(address) if ":" in address else IPv4Address(address) if address else None
    slot = Slot("gw1", penalty.kind, Station(mac=Mac.parse(mac) if mac else None), where)
    return Change(slot, None, penalty)


CHANGES = (
    (_change(Block(), mac="02:00:00:00:00:07"),),
    (_change(Block("address"), "10.10.0.7"), _change(Block("address"), "2001:db8:10::7")),
    (_change(SessionCap(100), "10.10.0.7"), _change(SessionCap(50), "10.10.0.8"), _change(SessionCap(0), "10.10.0.9")),
    (_change(RateLimit(64_000), "10.10.0.7"), _change(RateLimit(1_000_000_000), "2001:db8:10::7")),
    (
        _change(RateLimit(64_000, within=20_000_000), "10.10.0.7"),
        _change(RateLimit(128_000, within=20_000_000), "2001:db8:10::7"),
        _change(RateLimit(2_000_000), "10.10.0.8"),
    ),
    (_change(RateLimit(64_000, within=20_000_000), "10.10.0.7"), _change(RateLimit(1_234_568), "10.10.0.8")),
    (
        _change(RestrictPorts(), "10.10.0.7"),
        _change(SessionCap(100), "10.10.0.7"),
        _change(Block(), mac="02:00:00:00:00:08"),
    ),
    (
        _change(Block("address"), "192.0.2.0/24"),
        _change(Block("address"), "192.0.3.0/24"),
        _change(Block("address"), "192.0.0.0/16"),
        _change(Block("address"), "192.0.2.7/32"),
        _change(Block("address"), "192.0.2.7"),
        _change(Block("address"), "2001:db8:1::/64"),
        _change(Block("address"), "2001:db8::/48"),
    ),
    (
        _change(SessionCap(100), "198.51.100.0/24"),
        _change(RateLimit(64_000), "198.51.100.0/24"),
        _change(RateLimit(64_000, within=20_000_000), "2001:db8:1::/64"),
        _change(RestrictPorts(), "198.51.0.0/16"),
        _change(RestrictPorts(), "10.10.0.7"),
    ),
)


class Model:
    """Refuses every line outside our grammar, and whatever nft would refuse; a script is all or nothing."""

    device = DEVICE

    def __init__(self) -> None:
        self._sets: dict[str, tuple[str, list[str]]] | None = None
        self._chains: dict[str, list[str]] = {}
        self._limits: set[str] = set()

    def speaks(self, transport: Transport) -> bool:
        return transport == "cli"

    def ask(self, command: str) -> str:
        if command == "tc -j qdisc show":
            return "[]\n"
        assert command == "nft -j list table inet switchguard"
        if self._sets is None:
            raise CommandRefused("gw1", command, "Error: No such file or directory")
        found: list[object] = [
            {"metainfo": {"json_schema_version": 1}},
            {"table": {"family": "inet", "name": "switchguard"}},
        ]
        found += [
            {"set": {"name": name, "type": kind, "elem": list(elements)}}
            for name, (kind, elements) in self._sets.items()
        ]
        for rules in self._chains.values():
            found += [
                {"rule": {"expr": [{"match": {"right": word}} for word in re.findall(r"@\w+", rule)]}} for rule in rules
            ]
        return json.dumps({"nftables": found}) + "\n"

    def feed(self, command: str, text: str) -> str:
        trial = deepcopy(self)
        for line in text.splitlines():
            trial._run(command, line)
        if command == "nft -f -":
            self._sets, self._chains, self._limits = trial._sets, trial._chains, trial._limits
        else:
            assert command == "nft -c -f -"
        return ""

    def _run(self, command: str, line: str) -> None:
        found = re.fullmatch(_OBJECT, line)
        if not found:
            raise CommandRefused("gw1", command, f"Error: syntax error: {line}")
        verb, sort, name, rest = found.group("verb", "sort", "name", "rest")
        match verb, sort:
            case "add", "table" if name is None:
                self._sets = {} if self._sets is None else self._sets
            case "add", "set" if kind := _SET.fullmatch(rest):
                assert self._sets is not None
                self._sets.setdefault(name, (kind[1], []))
            case "add", "chain" if _CHAIN.fullmatch(rest):
                self._chains.setdefault(name, [])
            case "flush", "chain":
                self._chains[name].clear()
            case "flush", "set":
                assert self._sets is not None
                self._sets[name][1].clear()
            case "add", "limit" if _LIMIT.fullmatch(rest):
                self._limits.add(name)
            case "add", "rule":
                assert self._sets is not None
                assert {word[1:] for word in re.findall(r"@\w+", rest)} <= self._sets.keys()
                assert set(re.findall(r'limit name "(\w+)"', rest)) <= self._limits
                self._chains[name].append(rest)
            case (("add" | "delete"), "element"):
                self._element(command, verb, name, rest)
            case _:
                raise CommandRefused("gw1", command, f"Error: syntax error: {line}")

    def _element(self, command: str, verb: str, name: str, rest: str) -> None:
        assert self._sets is not None
        kind, elements = self._sets[name]
        for text in rest.removeprefix("{ ").removesuffix(" }").split(", "):
            value = str(_KEY[kind](text))
            if verb == "add":
                elements += [] if value in elements else [value]
            elif value in elements:
                elements.remove(value)
            else:
                raise CommandRefused("gw1", command, "Error: Could not process rule: No such file or directory")

    def stream(self, command: str) -> Iterator[bytes]:
        raise NotImplementedError

    def configure(self, lines: Sequence[str]) -> str:
        raise NotImplementedError

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        raise NotImplementedError

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        raise NotImplementedError

    def candidate(self, lines: Sequence[str]) -> AbstractContextManager[Candidate]:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Kernel(Model):
    """The real nft, conntrack and ip, in user and network namespaces that end with this session."""

    def __init__(self) -> None:
        super().__init__()
        command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo ready; exec sleep 100"]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._holder.stdout is not None
        ready = self._holder.stdout.readline()
        if not ready or subprocess.run(self._inside("nft list tables"), capture_output=True).returncode:
            Kernel.close(self)
            pytest.skip("no permission for a network namespace with nftables")

    def _inside(self, command: str) -> list[str]:
        namespaces = ["nsenter", "--target", str(self._holder.pid), "--user", "--net", "--preserve-credentials"]
        return [*namespaces, "sh", "-c", command]

    def _run_inside(self, command: str, text: str = "") -> bytes:
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(
            self._inside(command), input=text.encode(), capture_output=True, env=environment, timeout=20
        )
        if done.returncode:
            raise CommandRefused("gw1", command, done.stderr.decode())
        return done.stdout

    def ask(self, command: str) -> str:
        return self._run_inside(command).decode()

    def feed(self, command: str, text: str) -> str:
        return self._run_inside(command, text).decode()

    def stream(self, command: str) -> Iterator[bytes]:
        yield self._run_inside(command)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()


class Shaper(Kernel):
    """The same with a LAN interface that the site names, so that limits can be shaped."""

    device = replace(DEVICE, lan_interfaces=("lan0",))

    def __init__(self) -> None:
        super().__init__()
        self._run_inside("ip link add name lan0 up type veth peer name far0")
        try:
            self._run_inside("ip link add name try0 type ifb && ip link del dev try0")
        except CommandRefused as error:
            Kernel.close(self)
            pytest.skip(f"this kernel has no ifb devices: {error.answer.strip()}")


REAL: Mapping[str, Callable[[], Session]] = {"kernel": Kernel, "shaper": Shaper}
