"""Whose traffic it is where addresses are lent: the person's who had the address when it began, or nobody's."""

from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address, ip_network

import pytest
from builders import NOON, arp, seen_on, usage
from user_builders import MINUTE, VPN, at, client_of, lent, look, row, session

from switchguard.core.attribute import attribute
from switchguard.core.evidence import Connections
from switchguard.core.model import Address, Gap, Neighbor, Snapshot, Unattributed, UserZone
from switchguard.core.users import lost, user_id, whose_now


def users_of(snapshot: Snapshot) -> dict[str, int]:
    """Client -> sessions."""
    return {it.identity: it.usage.sessions if it.usage else 0 for it in attribute(snapshot).clients}


def nobodys(snapshot: Snapshot) -> list[str]:
    return [it.why for it in attribute(snapshot).unattributed]


def test_who_is_connected_is_a_client_by_name() -> None:
    (client,) = attribute(look(10, [row(7)], session("alice", 7))).clients
    assert (client.identity, client.owner, client.macs, client.addresses) == ("user:alice", "alice", (), (lent(7),))
    assert client.location is None
    assert client.why_no_location == "a user of vpn/openvpn: a session has neither MAC nor port"


def test_several_addresses_and_devices_of_a_person_are_one_client() -> None:
    six = ip_address("2001:db8:99::7")
    seen = look(10, [row(7), row(six), row(8)], session("alice", 7, six), session("alice", 8), session("bob", 9))
    alice = client_of(attribute(seen).clients, "alice")
    assert alice.addresses == (lent(7), lent(8), six)
    assert users_of(seen) == {"user:alice": 60, "user:bob": 0}


def test_a_new_holder_is_not_blamed_for_the_one_before() -> None:
    """The table still has what bob began before alice got his address."""
    seen = look(20, [row(7, oldest=900)], session("bob", 7, since=0, until=18), session("alice", 7, since=18))
    assert users_of(seen) == {"user:alice": 0}
    (why,) = nobodys(seen)
    assert why == (
        "its sessions cannot be told apart by who had it when: "
        "bob (from 12:00:00 until 12:18:00), alice (from 12:18:00 until now)"
    )


def test_what_is_all_from_before_the_handover_is_the_former_holders() -> None:
    """Bob has another address by now, and is one client with what he left behind."""
    seen = look(
        20,
        [row(7, 300, oldest=900, newest=150), row(8, 20, oldest=60)],
        session("bob", 7, since=0, until=18),
        session("alice", 7, since=18),
        session("bob", 8, since=18.5),
    )
    assert users_of(seen) == {"user:alice": 0, "user:bob": 320}
    assert client_of(attribute(seen).clients, "bob").addresses == (lent(8),)


def test_what_is_all_from_after_the_handover_is_the_new_holders() -> None:
    seen = look(20, [row(7, oldest=100)], session("bob", 7, since=0, until=18), session("alice", 7, since=18))
    assert users_of(seen) == {"user:alice": 20}


def test_what_somebody_left_behind_who_is_gone_makes_nobody_a_client() -> None:
    seen = look(20, [row(7, oldest=900, newest=150)], session("bob", 7, since=0, until=18))
    assert users_of(seen) == {}
    assert nobodys(seen) == ["its sessions are those of bob, who is not connected any more"]


def test_an_address_that_changed_hands_between_two_polls_is_told_apart_by_time() -> None:
    """Two hand-overs within a minute: the middle one's translations are neither the first one's nor the last one's."""
    people = (session("a", 7, until=9.2), session("b", 7, since=9.2, until=9.6), session("c", 7, since=9.6))
    assert users_of(look(10, [row(7, oldest=40, newest=30)], *people)) == {"user:c": 0}
    assert nobodys(look(10, [row(7, oldest=40, newest=30)], *people)) == [
        "its sessions are those of b, who is not connected any more"
    ]
    assert users_of(look(10, [row(7, oldest=20)], *people)) == {"user:c": 20}


def test_without_a_session_an_address_in_the_zone_is_nobodys() -> None:
    seen = look(10, [row(7)])
    assert users_of(seen) == {}
    assert nobodys(seen) == ["nobody has a session with it in the zone vpn"]


def test_elsewhere_nothing_changes() -> None:
    seen = replace(look(10, [usage(7), row(7)], session("alice", 7)), neighbors=(arp(7),), fdb=tuple(seen_on("sw1", 7)))
    assert users_of(seen) == {"mac:02:00:00:00:00:07": 20, "user:alice": 20}


def test_a_gateway_that_answers_arp_for_its_tunnels_is_not_the_client() -> None:
    """Proxy ARP: all of the VPN would else be one MAC, the gateway's."""
    proxy = Neighbor("core", "Vlan10", lent(7), arp(9).mac)
    assert users_of(replace(look(10, [row(7)], session("alice", 7)), neighbors=(proxy,)))["user:alice"] == 20


# --- ages that are not told ------------------------------------------------------------------------------------------


def test_where_ages_are_not_told_ten_minutes_in_one_hand_are_enough() -> None:
    assert users_of(look(30, [row(7, oldest=None, newest=None)], session("alice", 7, since=19))) == {"user:alice": 20}


def test_where_ages_are_not_told_a_recent_handover_makes_it_nobodys() -> None:
    people = (session("bob", 7, until=25), session("alice", 7, since=25))
    assert users_of(look(30, [row(7, oldest=None, newest=None)], *people)) == {"user:alice": 0}
    assert users_of(look(36, [row(7, oldest=None, newest=None)], *people)) == {"user:alice": 20}


@pytest.mark.parametrize(("followed", "sessions"), [(at(0), 20), (at(28), 0), (None, 0)])
def test_a_young_session_needs_that_its_predecessors_would_be_known(followed: datetime | None, sessions: int) -> None:
    zone = UserZone("vpn", VPN.networks, followed)
    seen = look(30, [row(7, oldest=None, newest=None)], session("alice", 7, since=27), zone=zone)
    assert users_of(seen) == {"user:alice": sessions}


# --- networks --------------------------------------------------------------------------------------------------------


def test_a_router_behind_a_tunnel_has_a_whole_network() -> None:
    seen = look(10, [row(33), row(40)], session("branch", ip_network("10.99.0.32/28")))
    assert client_of(attribute(seen).clients, "branch").addresses == (lent(33), lent(40))


def test_an_address_counts_more_than_the_network_around_it() -> None:
    seen = look(10, [row(33), row(34)], session("branch", ip_network("10.99.0.32/28")), session("alice", 33))
    assert users_of(seen) == {"user:alice": 20, "user:branch": 20}


def test_an_address_that_two_people_have_at_once_is_nobodys() -> None:
    seen = look(10, [row(7)], session("alice", 7), session("bob", 7))
    assert users_of(seen) == {"user:alice": 0, "user:bob": 0}
    assert client_of(attribute(seen).clients, "alice").addresses == ()


# --- sources that are silent -----------------------------------------------------------------------------------------


def test_a_source_that_cannot_be_read_says_so_where_somebody_is_missing() -> None:
    gap = Gap("vpn/openvpn", "users", "status.log: no such file")
    assert nobodys(look(10, [row(7)], gaps=(gap,))) == [
        "nobody has a session with it in the zone vpn; vpn/openvpn cannot be read: status.log: no such file"
    ]


def test_traffic_newer_than_the_last_word_of_a_source_is_nobodys() -> None:
    assert users_of(look(12, [row(7)], session("alice", 7, seen=10))) == {"user:alice": 0}


def test_who_was_not_confirmed_for_five_minutes_is_nobody() -> None:
    assert users_of(look(15.1, [], session("alice", 7, seen=10))) == {}


# --- what may be done ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "user", "is_lost"),
    [
        (lent(7), "alice", False),
        (lent(7), "bob", True),
        (lent(9), "alice", True),
        (ip_address("10.10.0.7"), "x", False),
    ],
)
def test_an_address_is_lost_when_it_is_somebody_elses_or_nobodys(address: Address, user: str, is_lost: bool) -> None:
    seen = attribute(look(10, [], session("alice", 7), session("bob", 8)))
    assert lost(address, user_id(user), seen) is is_lost


def test_connections_from_before_a_session_are_not_held_against_its_user() -> None:
    """A log of connections knows addresses only."""
    opened = tuple(Connections(at(minute), 100) for minute in (5, 17, 18, 19))
    seen = look(20, [], session("bob", 7, until=18), session("alice", 7, since=18))
    outside = ip_address("10.10.0.7")
    assert whose_now({"log": {lent(7): opened, lent(8): opened, outside: opened}}, seen) == {
        "log": {lent(7): opened[2:], outside: opened}
    }


def test_rows_that_are_nobodys_are_counted_with_their_sessions() -> None:
    seen = attribute(look(10, [row(7, 750)]))
    assert seen.unattributed == (
        Unattributed("address 10.99.0.7", "nobody has a session with it in the zone vpn", 750),
    )
    assert seen.at == NOON + 10 * MINUTE
