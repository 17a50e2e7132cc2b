"""The Linux driver where no recording reaches: what the kernel does with our lines, and what we never send."""

import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Protocol, cast

import pytest
from model_linux import Kernel, Model
from replay import AT, RECORDINGS, Replay

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Network, Station
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts, SessionCap
from switchguard.errors import CommandRefused, DeviceError, UnexpectedOutput
from switchguard.ports import (
    ClearsSessions,
    Enforces,
    ReadsArp,
    ReadsCounters,
    ReadsFdb,
    ReadsInterfaces,
    ReadsNat,
    ReadsNatSize,
)


class Everything(
    ReadsNat, ReadsNatSize, ReadsArp, ReadsFdb, ReadsInterfaces, ReadsCounters, Enforces, ClearsSessions, Protocol
):
    """What this driver can do; that it can is a test of the conformance suite."""


driver = cast(Everything, plugins.driver("linux"))

CLIENT, MAC = ip_address("10.10.0.7"), Mac.parse("02:00:00:00:00:07")


def change(penalty: Penalty, before: Penalty | None = None) -> Change:
    by_mac = isinstance(penalty, Block) and penalty.by == "mac"
    slot = Slot("gw1", penalty.kind, Station(mac=MAC) if by_mac else Station(), None if by_mac else CLIENT)
    return Change(slot, before, penalty)


# --- rendering -------------------------------------------------------------------------------------------------------


def test_a_higher_cap_replaces_the_lower_one() -> None:
    device = Model()
    driver.push(device, [change(SessionCap(50))])
    diff = driver.push(device, [change(SessionCap(100), SessionCap(50))])
    assert diff.text == ("- inet switchguard cap_50_ip4 { 10.10.0.7 }\n+ inet switchguard cap_100_ip4 { 10.10.0.7 }\n")
    assert list(driver.enforced(device).values()) == [SessionCap(100)]


def test_what_really_stands_goes_even_if_the_plan_thought_otherwise() -> None:
    device = Model()
    driver.push(device, [change(SessionCap(50))])
    driver.push(device, [change(SessionCap(100))])
    assert list(driver.enforced(device).values()) == [SessionCap(100)]


@pytest.mark.parametrize(
    "slot",
    [
        Slot("gw1", "block"),
        Slot("gw1", "block", Station(mac=Mac.parse("01:00:5e:00:00:01"))),
        Slot("gw1", "block", Station(mac=Mac(0))),
        Slot("gw1", "block", Station(port="lan0")),
    ],
    ids=["nothing", "multicast", "zero", "port"],
)
def test_what_no_set_can_hold_is_refused_before_anything_is_sent(slot: Slot) -> None:
    with pytest.raises(DeviceError, match="cannot be put"):
        driver.render([Change(slot, None, Block())])


@pytest.mark.parametrize("penalty", [RateLimit(0), RateLimit(7), SessionCap(-1), RestrictPorts(65536)])
def test_values_that_nft_would_not_take_are_refused(penalty: Penalty) -> None:
    with pytest.raises(DeviceError, match="cannot be put"):
        driver.render([change(penalty)])


def test_nothing_to_change_sends_nothing() -> None:
    assert driver.render([]) == ()
    assert driver.push(Model(), []).text == ""


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_set_that_no_rule_looks_into_enforces_nothing() -> None:
    listing = {"nftables": [{"set": {"name": "block_mac", "type": "ether_addr", "elem": [str(MAC)]}}]}
    assert driver.enforced(answering("nft -j list table inet switchguard", listing)) == {}


def test_what_was_not_in_force_does_not_come_into_force_by_the_way() -> None:
    """Whoever was released meanwhile would be blocked again, and nobody know why."""
    device, other = Model(), Change(Slot("gw1", "block", address=ip_address("10.10.0.8")), None, Block("address"))
    driver.push(device, [change(Block("address"))])
    device.feed("nft -f -", "flush chain inet switchguard block_in\nflush chain inet switchguard block_through\n")
    assert driver.enforced(device) == {}
    driver.push(device, [other])
    assert driver.enforced(device) == {other.slot: Block("address")}


def test_an_error_is_not_an_absent_table() -> None:
    session = Replay.load(RECORDINGS / "linux" / "enforced" / "no_table")
    command = "nft -j list table inet switchguard"
    session.refusals = {command: "Error: Operation not permitted (you must be root)"}
    with pytest.raises(CommandRefused):
        driver.enforced(session)


def test_a_neighbour_in_an_unknown_state_is_an_error() -> None:
    row = {"dst": "10.10.0.7", "dev": "lan0", "lladdr": str(MAC), "state": ["CONFUSED"]}
    with pytest.raises(UnexpectedOutput, match="CONFUSED"):
        driver.arp(answering("ip -j neigh show", [row]))


def test_a_machine_without_bridges_has_no_stations() -> None:
    assert driver.fdb(answering("bridge -j fdb show", [])) == ()


def answering(command: str, answer: object) -> Replay:
    session = Replay.load(RECORDINGS / "linux" / "enforced" / "no_table")
    session.refusals = {}
    session.answers = {("ask", "tc -j qdisc show"): "[]\n", ("ask", command): json.dumps(answer) + "\n"}
    return session


def test_a_line_that_is_no_row_is_quoted_with_its_number() -> None:
    session = Replay.load(RECORDINGS / "linux" / "nat" / "all_protocols")
    (question,) = (each for each in session.answers if each[0] == "stream")
    session.answers[question] = session.answers[question] + "surprise\n"
    with pytest.raises(UnexpectedOutput, match=r"1 lines .* line 15: 'surprise'"):
        driver.nat(session)


# --- the real kernel -------------------------------------------------------------------------------------------------

SENDER = """
import socket
for number in range({datagrams}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as session:
        session.bind(("{source}", 20000 + number))
        session.sendto(bytes({octets}), ("192.0.2.9", {port}))
"""


class Gateway(Kernel):
    """Between a client (10.10.0.7, behind lan0, in a namespace of its own) and a network that swallows everything.

    Somebody else's table tracks connections, so that there are sessions to see."""

    def __init__(self) -> None:
        super().__init__()
        sleep = "exec unshare --net sh -c 'echo ready; exec sleep 100'"
        self._client = subprocess.Popen(self._inside(sleep), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._client.stdout is not None
        assert self._client.stdout.readline() == b"ready\n"
        self.ask(
            "set -e; ip link add lan0 type veth peer name client0; ip link add wan0 type veth peer name internet0;"
            f" ip link set client0 netns {self._client.pid}; ip link set internet0 up;"
            " ip link set lan0 up; ip addr add 10.10.0.1/24 dev lan0;"
            " ip link set wan0 up; ip addr add 203.0.113.5/24 dev wan0;"
            " ip neigh replace 203.0.113.1 lladdr 02:00:00:00:09:01 dev wan0; ip route add default via 203.0.113.1;"
            " echo 1 > /proc/sys/net/ipv4/ip_forward; nft add table inet other;"
            " nft 'add chain inet other tracked { type filter hook forward priority 10; }';"
            " nft add rule inet other tracked ct state new counter"
        )
        self.ask(
            f"nsenter --target {self._client.pid} --net sh -c 'set -e; ip link set client0 address {MAC};"
            f" ip link set client0 up; ip addr add {CLIENT}/24 dev client0; ip route add default via 10.10.0.1'"
        )

    def sends(self, datagrams: int, octets: int = 10, port: int = 2000, source: str = "") -> None:
        """As many UDP sessions from the client, each of one datagram."""
        script = SENDER.format(datagrams=datagrams, octets=octets, port=port, source=source)
        self.client_runs(f"{sys.executable} -", script)

    def client_runs(self, command: str, text: str = "") -> None:
        self.feed(f"nsenter --target {self._client.pid} --net {command}", text)

    def forwarded(self) -> int:
        """UDP sessions that got through to the network."""
        return sum(line.startswith("udp") for line in self.ask("conntrack -L -p udp").splitlines())

    def close(self) -> None:
        self._client.kill()
        self._client.wait()
        if self._client.stdout is not None:
            self._client.stdout.close()
        super().close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    it = Gateway()
    yield it
    it.close()


def test_without_a_penalty_everything_passes(gateway: Gateway) -> None:
    gateway.sends(12)
    assert gateway.forwarded() == 12


@pytest.mark.parametrize("penalty", [Block(), Block("address")], ids=["mac", "address"])
def test_a_blocked_client_makes_no_new_sessions(gateway: Gateway, penalty: Penalty) -> None:
    driver.push(gateway, [change(penalty)])
    gateway.sends(12)
    assert gateway.forwarded() == 0


def test_a_capped_client_gets_as_many_sessions_as_it_may(gateway: Gateway) -> None:
    driver.push(gateway, [change(SessionCap(5))])
    gateway.sends(12)
    assert gateway.forwarded() == 5


def test_a_limited_client_gets_its_burst_and_little_more(gateway: Gateway) -> None:
    driver.push(gateway, [change(RateLimit(8_000))])
    gateway.sends(100, octets=1000)
    assert 10 <= gateway.forwarded() <= 30


def test_only_allowed_ports_pass(gateway: Gateway) -> None:
    driver.push(gateway, [change(RestrictPorts(1024))])
    gateway.sends(3, port=2000)
    assert gateway.forwarded() == 0
    gateway.sends(3, port=80)
    assert gateway.forwarded() == 3


def test_a_released_client_is_free(gateway: Gateway) -> None:
    blocked = change(Block())
    driver.push(gateway, [blocked])
    driver.push(gateway, [blocked.inverse()])
    gateway.sends(3)
    assert gateway.forwarded() == 3


def test_a_blocked_clients_sessions_stay_until_they_are_cleared(gateway: Gateway) -> None:
    gateway.sends(12)
    driver.push(gateway, [change(Block())])
    assert gateway.forwarded() == 12
    assert driver.clear_sessions(gateway, [CLIENT]) == 12
    assert gateway.forwarded() == 0


SUBNET, NEXT_DOOR = ip_network("10.10.0.0/24"), ip_network("10.10.1.0/24")


def on_subnet(penalty: Penalty, network: Network = SUBNET) -> Change:
    return Change(Slot("gw1", penalty.kind, network=network), None, penalty)


@pytest.mark.parametrize(
    ("penalty", "through"),
    [(Block("address"), 0), (SessionCap(5), 5), (RestrictPorts(1024), 0)],
    ids=["block", "cap", "ports"],
)
def test_a_subnets_penalty_meets_who_is_in_it(gateway: Gateway, penalty: Penalty, through: int) -> None:
    driver.push(gateway, [on_subnet(penalty)])
    gateway.sends(12)
    assert gateway.forwarded() == through


def test_a_limited_subnet_gets_its_burst_and_little_more(gateway: Gateway) -> None:
    driver.push(gateway, [on_subnet(RateLimit(8_000))])
    gateway.sends(100, octets=1000)
    assert 10 <= gateway.forwarded() <= 30


@pytest.mark.parametrize("penalty", [Block("address"), SessionCap(5), RateLimit(8_000), RestrictPorts(1024)], ids=repr)
def test_a_subnets_penalty_leaves_the_one_next_door_alone(gateway: Gateway, penalty: Penalty) -> None:
    driver.push(gateway, [on_subnet(penalty, NEXT_DOOR)])
    gateway.sends(12, octets=1000)
    assert gateway.forwarded() == 12


def test_a_released_subnet_stays_blocked_as_part_of_a_wider_one(gateway: Gateway) -> None:
    wider, narrower = on_subnet(Block("address"), ip_network("10.10.0.0/16")), on_subnet(Block("address"))
    driver.push(gateway, [wider, narrower])
    driver.push(gateway, [narrower.inverse()])
    gateway.sends(3)
    assert gateway.forwarded() == 0
    driver.push(gateway, [wider.inverse()])
    gateway.sends(3)
    assert gateway.forwarded() == 3


def test_a_subnets_sessions_are_cleared_at_once(gateway: Gateway) -> None:
    gateway.sends(12)
    assert driver.clear_sessions(gateway, [NEXT_DOOR, ip_network("2001:db8::/48")]) == 0
    assert driver.clear_sessions(gateway, [SUBNET]) == 12
    assert gateway.forwarded() == 0


def test_an_element_with_host_bits_is_no_subnet() -> None:
    device = Model()
    driver.push(device, [on_subnet(Block("address"))])
    device.feed("nft -f -", "add element inet switchguard block_net4_24 { 10.10.0.7 }")
    with pytest.raises(UnexpectedOutput, match="no MAC, address or subnet"):
        driver.enforced(device)


def test_clearing_what_is_not_there_clears_nothing(gateway: Gateway) -> None:
    gateway.sends(2)
    assert driver.clear_sessions(gateway, [ip_address("10.10.0.70"), ip_address("2001:db8::7")]) == 0
    assert gateway.forwarded() == 2


def test_other_tables_stay_as_they_are(gateway: Gateway) -> None:
    before = gateway.ask("nft list table inet other")
    blocked = change(Block())
    driver.push(gateway, [blocked, change(SessionCap(5))])
    driver.push(gateway, [blocked.inverse()])
    assert gateway.ask("nft list table inet other") == before


def test_sessions_counted_so_far_survive_another_push(gateway: Gateway) -> None:
    driver.push(gateway, [change(SessionCap(5))])
    gateway.sends(5)
    other = Change(Slot("gw1", "cap", address=ip_address("10.10.0.8")), None, SessionCap(5))
    driver.push(gateway, [other])
    gateway.sends(5, port=2001)
    assert gateway.forwarded() == 5


def test_one_bad_line_changes_nothing(gateway: Gateway) -> None:
    driver.push(gateway, [change(Block())])
    before = gateway.ask("nft list ruleset")
    with pytest.raises(CommandRefused):
        gateway.feed("nft -f -", "add element inet switchguard block_mac { 02:00:00:00:00:09 }\nadd nonsense\n")
    assert gateway.ask("nft list ruleset") == before


def test_the_gateways_table_is_read_as_the_kernel_prints_it(gateway: Gateway) -> None:
    gateway.sends(12)
    (usage,) = driver.nat(gateway)
    assert (usage.address, usage.sessions, usage.remotes, usage.unanswered_share) == (CLIENT, 12, 1, 1.0)
    assert (usage.top_port, usage.active_share) == (2000, 1.0)


def test_the_gateways_other_tables_are_read_as_iproute_prints_them(gateway: Gateway) -> None:
    gateway.sends(1)
    neighbors = {str(row.address): row.mac for row in driver.arp(gateway)}
    assert neighbors["10.10.0.7"] == MAC
    assert {it.name for it in driver.interfaces(gateway)} == {"lo", "lan0", "wan0", "internet0"}
    assert {it.port for it in driver.counters(gateway, AT)} == {"lo", "lan0", "wan0", "internet0"}
    assert driver.fdb(gateway) == ()
    assert driver.nat_size(gateway).entries == 1
