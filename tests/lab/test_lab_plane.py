"""What a configuration asks for happens on the wire, to those it is meant for and to nobody else."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from switchguard.lab.control import Lab, LabClient
from switchguard.lab.kernel import entered
from switchguard.lab.plane import FdbRow, PlaneState

pytestmark = pytest.mark.lab

MBIT = 1_000_000


@pytest.fixture
def lab(lab: Lab) -> Iterator[Lab]:
    """Planes are changed behind the front ends' backs, and put right afterwards."""
    yield lab
    for switch in lab.topology.switches:
        with lab.plane(switch.name) as plane:
            plane.sync(PlaneState())


def sync(lab: Lab, switch: str, wanted: PlaneState) -> None:
    with lab.plane(switch) as plane:
        plane.sync(wanted)


def silent(lab: Lab) -> set[str]:
    return {name for name, echoes in lab.ping_all(count=3).items() if not echoes.received}


@pytest.mark.parametrize("switch", ["core", "sw1"])
def test_a_drop_cuts_exactly_one_client(lab: Lab, switch: str) -> None:
    sync(lab, switch, PlaneState(drops=frozenset({("02:00:00:00:00:07", 10)})))
    assert silent(lab) == {"c07"}


def test_a_drop_in_another_vlan_cuts_nobody(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(drops=frozenset({("02:00:00:00:00:07", 20)})))
    assert silent(lab) == set()


def test_a_drop_can_be_taken_back(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(drops=frozenset({("02:00:00:00:00:07", 10)})))
    sync(lab, "sw1", PlaneState())
    assert silent(lab) == set()


def test_doing_it_twice_changes_nothing(lab: Lab) -> None:
    wanted = PlaneState(
        drops=frozenset({("02:00:00:00:00:07", 10)}), rates={"Gi0_1": 4 * MBIT}, shapes={"Gi0_1": 8 * MBIT}
    )
    sync(lab, "sw1", wanted)
    sync(lab, "sw1", wanted)
    assert silent(lab) == {"c07"}


def test_a_dropped_address_is_forgotten(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(drops=frozenset({("02:00:00:00:00:07", 10)})))
    with lab.plane("sw1") as plane:
        assert not [row for row in plane.fdb() if row.mac == "02:00:00:00:00:07"]


def test_a_destination_drop_lets_the_client_send_but_not_receive(lab: Lab) -> None:
    sync(lab, "core", PlaneState(drops_to=frozenset({("02:00:00:00:00:07", 10)})))
    lab.swarm("c07", peers=50, seconds=30)
    lab.wait_for(lambda: lab.sessions("c07") >= 30, "requests that arrive")
    assert silent(lab) == {"c07"}


def test_a_denied_source_cannot_send(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(denied=frozenset({("Gi0_7", "02:00:00:00:00:07")})))
    assert silent(lab) == {"c07"}


def test_a_port_that_is_shut_is_down_at_both_ends(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(down=frozenset({"Gi0_7"})))
    with lab.plane("sw1") as plane:
        assert [port.name for port in plane.ports() if not port.up] == ["Gi0_7"]
    assert silent(lab) == {"c07"}


def test_a_trunk_that_is_shut_takes_everybody_behind_it_along(lab: Lab) -> None:
    sync(lab, "core", PlaneState(down=frozenset({"Et4"})))
    assert silent(lab) == {f"c{number}" for number in range(11, 21)}


def test_the_forwarding_table_says_who_is_behind_which_port(lab: Lab) -> None:
    with lab.plane("sw2") as plane:
        found = {(row.mac, row.vlan): row.port for row in plane.fdb()}
    expected = {
        (client.mac, client.vlan): lab.topology.access_of(client.name)[1].name for client in lab.topology.clients[10:]
    }
    expected |= {(lab.topology.gateway.mac(vlan), vlan): "Gi0_24" for vlan in (10, 20)}
    assert expected.items() <= found.items()


def test_flushing_forgets_everything(lab: Lab) -> None:
    with lab.plane("sw2") as plane:
        plane.flush()
        assert plane.fdb() == list[FdbRow]()


def datagram_socket(client: LabClient) -> socket.socket:
    with entered(client.name):
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.setblocking(False)
    return line


def received_bps(sender: LabClient, receiver: LabClient) -> float:
    """20 Mbit/s are sent for a second; what arrives meanwhile."""
    size, began, sent, received = 1250, time.monotonic(), 0, 0
    with datagram_socket(sender) as source, datagram_socket(receiver) as sink:
        sink.bind((receiver.address, 9))
        while (passed := time.monotonic() - began) < 1.0:
            if sent < passed * 20 * MBIT / 8:
                sent += source.sendto(bytes(size), (receiver.address, 9))
            with suppress(BlockingIOError):
                received += len(sink.recv(size))
    return received * 8 / passed


def test_what_a_client_sends_can_be_policed(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(rates={"Gi0_1": 4 * MBIT}))
    assert received_bps(lab.client("c01"), lab.client("c11")) < 10 * MBIT
    assert received_bps(lab.client("c03"), lab.client("c11")) > 10 * MBIT


def test_what_a_client_receives_can_be_shaped(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(shapes={"Gi0_1": 4 * MBIT}))
    assert received_bps(lab.client("c11"), lab.client("c01")) < 10 * MBIT
    assert received_bps(lab.client("c11"), lab.client("c03")) > 10 * MBIT


def test_a_limit_can_be_taken_back(lab: Lab) -> None:
    sync(lab, "sw1", PlaneState(rates={"Gi0_1": 4 * MBIT}, shapes={"Gi0_1": 4 * MBIT}))
    sync(lab, "sw1", PlaneState())
    assert received_bps(lab.client("c01"), lab.client("c11")) > 10 * MBIT
    assert received_bps(lab.client("c11"), lab.client("c01")) > 10 * MBIT
