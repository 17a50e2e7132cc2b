"""Sessions that are followed as they begin and end: a swarm that no poll waits for, and octets that no poll sees."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from desk import ON_CORE, ON_SW1, PATIENCE_S, Desk, Running

from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered

pytestmark = pytest.mark.lab

LAB_POLLS = "poll: {nat_size: 2s, nat: 2s, tables: 5s, counters: 5s, nat_ceiling: 100%}"
RARELY = "poll: {nat_size: 1h, nat: 1h, tables: 1h, counters: 1h}"
DATAGRAMS, OCTETS = 200, 1000
SEND = """
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    for n in range(int(sys.argv[2])):
        line.sendto(bytes(int(sys.argv[3])), (sys.argv[1], 20_000 + n))
        time.sleep(float(sys.argv[4]))
"""


def send(lab: Lab, client: str, datagrams: int = DATAGRAMS, pause_s: float = 0.005) -> None:
    """So many sessions; the pause is what the lab's links, which hold a hundred packets, need to lose none."""
    words = [sys.executable, "-c", SEND, "198.18.0.1", str(datagrams), str(OCTETS), str(pause_s)]
    assert lab.client(client).run(words).returncode == 0


def first_pass(lab: Lab, desk: Desk, service: Running) -> None:
    lab.wait_for(lambda: (desk.ledger.status() or {}).get("pid") == service.process.pid, "a first pass", PATIENCE_S)


# --- beginnings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(lab: Lab, desk: Desk) -> Iterator[Running]:
    """It follows sessions, and polls once an hour."""
    desk.policy(LAB_POLLS, f"{RARELY}\ndetect: stream")
    with desk.begins("run") as running:
        first_pass(lab, desk, running)
        lab.wait_for(lambda: bool(running.tells("following sessions as they begin")), "the stream", PATIENCE_S)
        yield running


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("client", [ON_CORE, ON_SW1])
def test_a_swarm_is_cut_without_waiting_for_a_poll(lab: Lab, desk: Desk, client: str) -> None:
    traffic = lab.swarm(client)
    lab.wait_for(lambda: desk.states() == {desk.mac(client): "verified"}, "the block", PATIENCE_S)
    lab.wait_for(lambda: lab.sessions(client) < 100, "its sessions deleted", PATIENCE_S)
    assert traffic.going_on
    assert desk.offline() == {client}
    (record,) = desk.ledger.penalties()
    assert "all begun within seconds" in record.verdict.because


def test_a_busy_browser_is_left_alone(lab: Lab, desk: Desk, service: Running) -> None:
    lab.start(ON_CORE, "browse", "--seconds=4").process.wait()
    assert (desk.states(), service.tells("over the threshold, looking now")) == ({}, [])


def test_a_stream_that_misses_something_goes_on(lab: Lab, desk: Desk, service: Running) -> None:
    """As many sessions at once as the conntrack of Debian 12 cannot follow; with another one this is a quiet test."""
    send(lab, ON_SW1, datagrams=3000, pause_s=0.0)
    lab.swarm(ON_CORE)
    lab.wait_for(lambda: desk.mac(ON_CORE) in desk.states(), "the swarm found all the same", PATIENCE_S)
    assert not service.tells("stream lost, only polls find anybody here")
    status = desk.types("status", "--json")
    assert status.object["last_pass"]["streams"] == {"gw": ""}


# --- ends ------------------------------------------------------------------------------------------------------------


def test_octets_of_sessions_that_no_poll_has_seen_are_counted(lab: Lab, desk: Desk) -> None:
    """They begin and end between two polls."""
    desk.policy(LAB_POLLS, f"{LAB_POLLS.replace('nat: 2s', 'nat: 10s')}\naccounting: events")
    client = lab.client(ON_SW1)
    with desk.begins("run") as service:
        first_pass(lab, desk, service)
        for _ in range(2):  # the first reading after the stream has begun is what the next one is compared with
            next_reading(lab, desk)
        send(lab, ON_SW1)
        end_one_by_one(lab, client.address)
        sent = 0.99 * DATAGRAMS * (OCTETS + 28)  # spread over time, to the part of it that is over
        lab.wait_for(lambda: used(desk, f"mac:{client.own_mac}") >= sent, "the octets", PATIENCE_S)
        assert not service.tells("stream lost, octets are a lower bound here")


def end_one_by_one(lab: Lab, address: str) -> None:
    """All at once would be more than the conntrack of Debian 12 can tell of while the machine is busy."""
    with entered(lab.topology.gateway.name):
        for n in range(DATAGRAMS):
            session = ["-s", address, "-p", "udp", "--orig-port-dst", str(20_000 + n)]
            subprocess.run(["conntrack", "-D", *session], check=True, capture_output=True)


def used(desk: Desk, client: str) -> int:
    said = desk.types("usage", "--json")
    return sum(row["octets_out"] for row in said.object["usage"] if row["client"] == client) if not said.status else 0


def next_reading(lab: Lab, desk: Desk) -> None:
    """Of the NAT table: what a pass has kept is in the ledger when its status is."""
    before = (desk.ledger.status() or {}).get("at")
    lab.wait_for(lambda: (desk.ledger.status() or {}).get("at") != before, "the next poll", PATIENCE_S)
