"""The network behaves like one: everybody reaches the internet, VLANs are apart, the gateway counts sessions."""

import pytest

from switchguard.lab.control import Lab
from switchguard.lab.ping import Echoes
from switchguard.lab.traffic import SILENT

pytestmark = pytest.mark.lab

ALL = Echoes(3, 3)
NONE = Echoes(3, 0)
GREETINGS = 2
"""Echo requests that every client may have sent before; each is a translation for 30 s."""
SOMEWHERE = "198.19.255.254"


def test_every_client_reaches_the_internet(lab: Lab) -> None:
    assert set(lab.ping_all(SOMEWHERE, count=3).values()) == {ALL}


def test_beyond_the_answering_addresses_nobody_answers(lab: Lab) -> None:
    assert lab.client("c01").ping(str(SILENT + 1)) == NONE


def test_clients_of_one_vlan_reach_each_other_across_switches(lab: Lab) -> None:
    assert lab.client("c01").ping(lab.client("c11").address) == ALL


def test_the_other_vlan_is_reached_through_the_gateway(lab: Lab) -> None:
    assert lab.client("c01").ping(lab.client("c02").address) == ALL


def test_the_other_vlan_is_not_reached_directly(lab: Lab) -> None:
    """With an address of VLAN 20, in VLAN 10, nobody of VLAN 20 is there."""
    client = lab.client("c01")
    client.run(["ip", "address", "add", "10.20.3.254/22", "dev", "eth0"])
    try:
        assert client.ping(lab.client("c02").address) == NONE
    finally:
        client.run(["ip", "address", "delete", "10.20.3.254/22", "dev", "eth0"])


def test_a_swarm_is_one_translation_per_peer(lab: Lab) -> None:
    lab.swarm("c07", peers=300, seconds=60, rate=2000)
    lab.wait_for(lambda: lab.sessions("c07") >= 300, "300 translations")
    assert lab.sessions("c07") <= 300 + GREETINGS
    assert lab.sessions("c09") <= GREETINGS


def test_ordinary_traffic_stays_small(lab: Lab) -> None:
    lab.start("c02", "browse", "--seconds=60")
    lab.wait_for(lambda: lab.sessions("c02") >= 60, "60 sessions")
    assert lab.sessions("c02") <= 60 + GREETINGS


def test_a_download_is_one_session(lab: Lab) -> None:
    before = lab.sessions("c05")
    lab.start("c05", "bulk", "--seconds=60")
    lab.wait_for(lambda: lab.sessions("c05") == before + 1, "a session")


def test_a_resolver_asks_from_ever_new_ports(lab: Lab) -> None:
    lab.start("c12", "dns", "--seconds=60", "--rate=500")
    lab.wait_for(lambda: lab.sessions("c12") > 200, "200 questions")


def test_the_internet_visits_the_server(lab: Lab) -> None:
    lab.start(lab.topology.server, "serve", "--seconds=60")
    before = lab.table_size()
    lab.start("internet", "visit", "--visitors=50", "--seconds=60")
    lab.wait_for(lambda: lab.table_size() >= before + 50, "50 visitors")


def test_a_client_with_a_new_mac_is_reachable_at_once(lab: Lab) -> None:
    client = lab.client("c09")
    client.change_mac("02:00:00:00:99:09")
    assert client.mac == "02:00:00:00:99:09"
    assert client.ping(SOMEWHERE) == ALL


def test_reset_gives_the_first_mac_back(lab: Lab) -> None:
    client = lab.client("c09")
    client.change_mac("02:00:00:00:99:09")
    lab.reset()
    assert client.mac == client.own_mac
