"""The plan of the lab is sound, without building it."""

import pytest

from switchguard.errors import LabError
from switchguard.lab.makes import chosen, chosen_gateway
from switchguard.lab.site import hosts, policy
from switchguard.lab.topology import ANSWERING, LAB


def test_the_internet_has_131072_answering_addresses() -> None:
    assert ANSWERING.num_addresses == 131_072


def test_a_client_is_known_by_its_number() -> None:
    seventh = LAB.client("c07")
    assert (seventh.mac, str(seventh.address), seventh.vlan) == ("02:00:00:00:00:07", "10.10.0.107/22", 10)


def test_odd_clients_are_in_vlan_10_and_even_ones_in_vlan_20() -> None:
    assert {client.name for client in LAB.clients if client.vlan == 20} == {f"c{n:02}" for n in range(2, 21, 2)}


def test_every_client_has_one_port_in_its_own_vlan() -> None:
    ports = [(client, LAB.access_of(client.name)[1]) for client in LAB.clients]
    assert all(port.access_vlan == client.vlan for client, port in ports)


def test_no_two_interfaces_share_a_mac_and_no_two_cables_an_end() -> None:
    ends = [end for cable in LAB.cables() for end in cable]
    assert len({end.mac for end in ends}) == len({(end.namespace, end.interface) for end in ends}) == len(ends)


def test_there_is_one_cable_per_client_two_to_the_gateway_and_two_trunks() -> None:
    assert len(list(LAB.cables())) == 24


def test_bridge_port_and_if_index_always_differ() -> None:
    assert all(port.number != port.if_index for switch in LAB.switches for port in switch.ports)


def test_the_filtering_database_is_not_the_vlan_on_one_switch() -> None:
    assert [switch.name for switch in LAB.switches if any(vlan != fid for vlan, fid in switch.fdb_ids.items())] == [
        "sw2"
    ]


def test_the_site_lists_exactly_the_managed_devices() -> None:
    assert [line[:-1] for line in hosts(LAB).splitlines() if line and not line.startswith(" ")] == list(LAB.managed)


def test_the_site_gives_no_secret_away() -> None:
    assert "lab-" not in hosts(LAB) + policy(LAB)


def test_the_gateway_is_a_linux_machine_unless_somebody_chooses_another() -> None:
    assert [chosen_gateway(text) for text in ("", "sw1=arista_eos", "sw1=arista_eos,gw=vyos")] == [
        "linux",
        "linux",
        "vyos",
    ]
    assert chosen("gw=vyos") == chosen("")


@pytest.mark.parametrize(("text", "why"), [("gw=solaris", "there are: linux, vyos"), ("gate=vyos", "sw1, sw2, gw")])
def test_a_gateway_that_there_is_not_cannot_be_chosen(text: str, why: str) -> None:
    with pytest.raises(LabError, match=why):
        chosen(text)
