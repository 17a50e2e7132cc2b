"""How long it takes to attribute and to judge 50,000 clients: pure computation, nothing is asked.

`python -m benchmarks.attribution`. Every fifth client also has an IPv6 address, each is seen on its own switch and on
the uplink of one more, and 100 of them run swarms. Prints the fastest of several rounds as JSON. As in a pass, the
garbage collector looks through what was made only afterwards; that is part of `attributed_s`.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from switchguard.cli.main import spare_the_collector
from switchguard.core.attribute import attribute
from switchguard.core.evidence import Evidence
from switchguard.core.model import (
    Address,
    Attribution,
    Device,
    FdbEntry,
    Interface,
    Link,
    Mac,
    NatUsage,
    Neighbor,
    Reading,
    Role,
    Snapshot,
    Table,
)
from switchguard.core.penalties import Block
from switchguard.core.policy import Rule, Sentence
from switchguard.core.rules import judge_all
from switchguard.cycle import undisturbed

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PER_SWITCH, PER_PORT, SWARMS = 100, 2, 100
BRIDGE = frozenset({"bridge"})
RULES = (Rule("swarm", "naughty_factor", 0.8, 3, Sentence(Block())),)
_T = TypeVar("_T")


def mac_of(client: int) -> Mac:
    return Mac(0x020000000000 + client)


def addresses_of(client: int) -> tuple[Address, ...]:
    v4 = IPv4Address(0x0A000001 + client)
    return (v4,) if client % 5 else (v4, IPv6Address((0x20010DB8 << 96) + client))


def usage(address: Address, swarms: bool) -> NatUsage:
    if swarms:
        return NatUsage("gw", address, 1500, 1490, 900, 0.3, 0.7, 0.4, 0.95, 0.94)
    return NatUsage("gw", address, 20, 12, 3, 0.9, 0.1, 0.05, 0.05, 0.5)


def network(clients: int) -> Snapshot:
    """Access switches in a row, PER_SWITCH clients each; port 49 leads on."""
    switches = clients // PER_SWITCH
    devices = (
        Device("gw", "linux", Role.GATEWAY, lan_interfaces=("lan0",)),
        *(Device(f"sw{number:04}", "arista_eos", Role.ACCESS) for number in range(switches)),
    )
    neighbors, nat, fdb = [], [], []
    for client in range(clients):
        home, port = client // PER_SWITCH, client % PER_SWITCH // PER_PORT
        for address in addresses_of(client):
            neighbors.append(Neighbor("gw", "lan0", address, Mac(mac_of(client).value)))
            nat.append(usage(address, client % (clients // SWARMS) == 0))
        fdb.append(FdbEntry(f"sw{home:04}", f"Ethernet{port + 1}", Mac(mac_of(client).value), 10))
        fdb += [
            FdbEntry(f"sw{(home + further) % switches:04}", "Ethernet51", Mac(mac_of(client).value), 10)
            for further in range(1, 2)
        ]
    interfaces = tuple(
        Interface(f"sw{number:04}", f"Ethernet{port}", port, Mac(0x0A0000000000 + number * 256 + port), "", True)
        for number in range(switches)
        for port in range(1, 52)
    )
    links = tuple(Link(f"sw{number:04}", "Ethernet51", "core1", BRIDGE) for number in range(switches))
    read: dict[str, tuple[Table, ...]] = {"gw": ("nat", "arp")}
    readings = tuple(
        Reading(device.name, table, AT, 1, 0.1)
        for device in devices
        for table in read.get(device.name, ("fdb", "interfaces", "links"))
    )
    return Snapshot(
        AT,
        devices,
        nat=tuple(nat),
        neighbors=tuple(neighbors),
        fdb=tuple(fdb),
        links=links,
        interfaces=interfaces,
        readings=readings,
    )


def attributed(snapshot: Snapshot) -> Attribution:
    with undisturbed():
        found = attribute(snapshot)
    gc.collect(0)
    return found


def timed(work: Callable[[], _T]) -> tuple[float, _T]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--clients", type=int, default=50_000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    spare_the_collector()
    rounds = []
    for _ in range(given.rounds):
        snapshot = network(given.clients)
        attributed_s, found = timed(lambda snapshot=snapshot: attributed(snapshot))  # type: ignore[misc] # used at once
        judged_s, findings = timed(lambda found=found: judge_all(Evidence(found, AT), RULES))  # type: ignore[misc]
        rounds.append((attributed_s + judged_s, attributed_s, judged_s))
        located = sum(client.location is not None for client in found.clients)
    total_s, attributed_s, judged_s = min(rounds)
    report = {
        "clients": given.clients,
        "located": located,
        "findings": len(findings),
        "attributed_s": round(attributed_s, 3),
        "judged_s": round(judged_s, 3),
        "together_s": round(total_s, 3),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
