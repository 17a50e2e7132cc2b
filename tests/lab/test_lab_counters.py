"""A real gateway counts its clients: what passed, by whom, and nothing where nothing may be written."""

import sys

import pytest
from desk import PATIENCE_S, Desk

from switchguard.lab.control import Lab

pytestmark = pytest.mark.lab

DATAGRAMS, OCTETS = 200, 1000
SEND = """
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    for n in range(int(sys.argv[2])):
        line.sendto(bytes(int(sys.argv[3])), (sys.argv[1], 20_000 + n))
        time.sleep(0.005)  # the lab's links hold a hundred packets
"""


def send(lab: Lab, client: str) -> int:
    """Octets of IP packets."""
    words = [sys.executable, "-c", SEND, "198.18.0.1", str(DATAGRAMS), str(OCTETS)]
    assert lab.client(client).run(words).returncode == 0
    return DATAGRAMS * (OCTETS + 28)


def counted(desk: Desk) -> dict[str, dict[str, int]]:
    said = desk.types("counters", "show", "--json")
    assert said.status == 0, said.err
    assert said.undocumented == set()
    return {row["address"]: row for row in said.object["counters"]}


def test_by_hand_a_gateway_counts_what_its_clients_move_and_stops_when_told(lab: Lab, desk: Desk) -> None:
    gateway = lab.topology.gateway.name
    assert desk.types("counters", "show").status == 1
    shown = desk.types("counters", "install", "--dry-run", "--json")
    assert (shown.status, shown.object["done"]) == (2, False)
    assert shown.undocumented == set()
    unasked = desk.types("counters", "install")
    assert (unasked.status, unasked.err.startswith("refused: nobody to ask")) == (3, True)
    assert desk.types("counters", "install", "--on", gateway, "--yes").status == 0
    address = lab.client("c07").address
    sent = send(lab, "c07")
    before = counted(desk)[address]
    assert before["octets_out"] >= sent
    assert before["packets_out"] >= DATAGRAMS
    assert desk.types("counters", "install", "--yes").status == 0  # again: what was counted stays
    assert counted(desk)[address]["octets_out"] >= before["octets_out"]
    assert desk.types("counters", "remove", "--yes").status == 0
    assert desk.types("counters", "show").status == 1


def test_a_pause_holds_counters_off_too(lab: Lab, desk: Desk) -> None:
    assert desk.types("pause", "keynote").status == 0
    refused = desk.types("counters", "install", "--yes")
    assert (refused.status, "paused: keynote" in refused.err) == (3, True)


def test_the_service_lets_the_gateway_count_and_knows_what_was_used(lab: Lab, desk: Desk) -> None:
    desk.policy("mode: enforce\n", "mode: enforce\naccounting: nft\n")
    address = lab.client("c07").address
    with desk.begins("run") as service:
        lab.wait_for(lambda: bool(service.tells("clients are counted from now on")), "counters", PATIENCE_S)
        send(lab, "c07")
        lab.wait_for(lambda: used(desk, address) > 0, "a first reading of them", PATIENCE_S)
        before, sent = used(desk, address), send(lab, "c07")
        lab.wait_for(lambda: used(desk, address) >= before + sent, "the octets", PATIENCE_S)


def test_in_observe_mode_the_service_writes_nothing(lab: Lab, desk: Desk) -> None:
    desk.policy("mode: enforce\n", "mode: observe\naccounting: nft\n")
    with desk.begins("run") as service:
        lab.wait_for(lambda: any(it["table"] == "octets" for it in service.tells("gap")), "a gap", PATIENCE_S)
        assert service.tells("clients are counted from now on") == []
    assert desk.types("counters", "show").status == 1


def used(desk: Desk, address: str) -> int:
    said = desk.types("usage", "--json")
    rows = said.object["usage"] if said.status == 0 else ()
    return sum(row["octets_out"] for row in rows if address in row["addresses"])
