"""What the generated traffic is, before any of it is sent."""

from ipaddress import ip_address

from switchguard.lab.plane import PlaneState, flows
from switchguard.lab.topology import ANSWERING, LAB
from switchguard.lab.traffic import peers


def test_a_swarm_has_as_many_hosts_as_peers_all_on_high_ports() -> None:
    found = peers(1500, silent_share=0.05, seed=1)
    assert len({host for host, _ in found}) == 1500
    assert all(port > 1024 for _, port in found)


def test_some_peers_have_gone_away() -> None:
    assert sum(ip_address(host) not in ANSWERING for host, _ in peers(1000, silent_share=0.05, seed=1)) == 50


def test_the_same_seed_is_the_same_swarm() -> None:
    assert peers(10, 0.0, seed=3) == peers(10, 0.0, seed=3) != peers(10, 0.0, seed=4)


def test_a_plane_with_nothing_to_do_only_forwards() -> None:
    assert list(flows(LAB.switch("sw1"), PlaneState())) == ["priority=0,actions=NORMAL"]


def test_a_drop_matches_untagged_frames_on_access_ports_of_that_vlan_and_tagged_ones_on_the_trunk() -> None:
    found = list(flows(LAB.switch("core"), PlaneState(drops=frozenset({("02:00:00:00:00:07", 10)}))))
    assert found == [
        "priority=100,in_port=1,vlan_tci=0x0000,dl_src=02:00:00:00:00:07,actions=drop",
        "priority=100,in_port=1,vlan_tci=0x0000,dl_dst=02:00:00:00:00:07,actions=drop",
        "priority=100,in_port=3,dl_vlan=10,dl_src=02:00:00:00:00:07,actions=drop",
        "priority=100,in_port=3,dl_vlan=10,dl_dst=02:00:00:00:00:07,actions=drop",
        "priority=100,in_port=4,dl_vlan=10,dl_src=02:00:00:00:00:07,actions=drop",
        "priority=100,in_port=4,dl_vlan=10,dl_dst=02:00:00:00:00:07,actions=drop",
        "priority=0,actions=NORMAL",
    ]


def test_a_destination_drop_lets_the_client_send() -> None:
    found = flows(LAB.switch("core"), PlaneState(drops_to=frozenset({("02:00:00:00:00:07", 10)})))
    assert not any("dl_src" in flow for flow in found)
