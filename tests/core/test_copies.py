"""A MAC that somebody copied is told from one that moved, and the port of the copy from the owner's."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from builders import NOON, arp, backbone, fdb, ip, mac, network, only, port, reading, seen_on, swarm, usage
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.attribute import attribute
from switchguard.core.model import Attribution, Contested, FdbEntry, Lease, Link, Mac, NatUsage, Sight, Snapshot
from switchguard.core.refresh import refresh
from switchguard.core.trails import MEMORY, MOST, noted

SEVEN = "mac:02:00:00:00:00:07"
HOME, AWAY, THIRD = ("sw1", "Gi0/7"), ("sw2", "Gi0/7"), ("sw1", "Gi0/5")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
Place = tuple[str, str]


def at(*places: Place, vlan: int = 10, who: int | Mac = 7) -> tuple[FdbEntry, ...]:
    """The forwarding rows of somebody who was heard on these ports; every other switch has them on its uplink."""
    rows = [fdb(device, name, who, vlan) for device, name in places]
    ways = {"sw1": "Gi0/2", "sw2": "Gi0/3"}
    behind = {device for device, _ in places}
    rows += [fdb(device, "Gi0/24", who, vlan) for device in ("sw1", "sw2") if device not in behind]
    return (*rows, fdb("core", ways[places[-1][0]], who, vlan))


def look(
    after: timedelta,
    *rows: FdbEntry,
    nat: Iterable[NatUsage] = (),
    leases: Iterable[Lease] = (),
    up: Iterable[Place] = (),
    down: Iterable[Place] = (),
) -> Snapshot:
    """What one reading of all tables showed, so long after noon."""
    links = [*(port(*place) for place in up), *(port(*place, up=False) for place in down)]
    seen = network(nat, [arp(7), arp(8, holder=mac(7))], rows, interfaces=links)
    when = NOON + after
    readings = tuple(replace(it, at=when) for it in seen.readings)
    return replace(seen, at=when, readings=readings, leases=tuple(leases))


def watched(*looks: Snapshot) -> Attribution:
    """The last of several looks, with what the earlier ones left in memory, as the passes of the service have it."""
    seen = noted(looks[0], attribute(looks[0]))
    for each in looks[1:]:
        seen = refresh(seen, each)
        seen = noted(seen, attribute(seen))
    return attribute(seen)


def every(pause: timedelta, *ways: tuple[FdbEntry, ...], nat: Iterable[NatUsage] = ()) -> Attribution:
    return watched(*(look(number * pause, *rows, nat=nat) for number, rows in enumerate(ways)))


def suspect_of(seen: Attribution) -> Place | None:
    found = seen.contested[mac(7)].suspect
    return (found.device, found.station.port or "") if found else None


# --- who is innocent -------------------------------------------------------------------------------------------------


def test_moving_once_is_no_copy() -> None:
    seen = every(5 * SECOND, at(HOME), at(HOME), at(AWAY), at(AWAY))
    assert seen.contested == {}
    assert only(seen, SEVEN).location is not None


def test_moving_on_to_a_third_port_is_no_copy() -> None:
    assert every(5 * MINUTE, at(HOME), at(AWAY), at(THIRD)).contested == {}


def test_an_errand_and_back_is_no_copy() -> None:
    assert every(5 * MINUTE, at(HOME), at(AWAY), at(HOME)).contested == {}


def test_leaving_and_coming_back_to_the_same_port_is_no_copy() -> None:
    assert every(5 * SECOND, at(HOME), (), at(HOME), (), at(HOME), (), at(HOME)).contested == {}


def test_a_row_that_a_move_left_behind_is_contested_and_not_certain() -> None:
    seen = every(5 * SECOND, at(HOME), at(HOME, AWAY))
    why = "it is on several edge ports: sw1 Gi0/7, sw2 Gi0/7; it moved, or it is copied"
    assert seen.contested == {mac(7): Contested(mac(7), (HOME, AWAY), why, certain=False, addresses=(ip(7), ip(8)))}


def test_a_row_in_another_vlan_may_be_left_behind_for_as_long_as_tables_remember() -> None:
    both = (*at(HOME, vlan=10), *at(AWAY, vlan=20))
    assert not every(MINUTE, at(HOME), both, both, both).contested[mac(7)].certain
    assert every(2 * MINUTE, at(HOME), both, both, both, both).contested[mac(7)].certain


def test_an_edge_port_and_uplinks_are_one_place() -> None:
    assert every(5 * SECOND, at(HOME), at(HOME), at(HOME)).contested == {}


def test_a_mac_behind_uplinks_alone_is_not_suspected() -> None:
    one, other = at(HOME)[1:], at(AWAY)[1:]
    assert every(5 * SECOND, one, other, one, other, one).contested == {}


def test_roaming_between_two_access_points_is_no_copy() -> None:
    """Neither of them announces itself; what gives them away is how many stations they have."""
    crowds = tuple(row for number in range(20, 24) for row in at(HOME, who=number)) + tuple(
        row for number in range(30, 34) for row in at(AWAY, who=number)
    )
    here, there = (*at(HOME), *crowds), (*at(AWAY), *crowds)
    assert every(5 * SECOND, here, there, here, there, here).contested == {}


def test_many_macs_on_the_same_two_ports_are_an_undeclared_uplink() -> None:
    rows = tuple(row for number in (7, 8, 9) for row in at(HOME, AWAY, who=number))
    seen = every(5 * SECOND, rows, rows, rows)
    assert [it.certain for it in seen.contested.values()] == [False, False, False]


def test_an_aggregate_on_two_switches_is_one_place() -> None:
    rows = at(("sw1", "Po7"), ("sw2", "Po7"))
    assert not every(5 * SECOND, rows, rows, rows).contested[mac(7)].certain


def test_who_moves_takes_the_link_along() -> None:
    gone = [look(number * 5 * SECOND, *at(place), down=[HOME]) for number, place in enumerate([HOME, THIRD])]
    assert watched(*gone).contested == {}


def test_a_port_that_a_telephone_keeps_up_tells_nothing() -> None:
    phone = Link(*HOME, "phone", frozenset({"telephone"}))
    looks = [
        replace(seen, links=(*seen.links, phone))
        for seen in (look(0 * SECOND, *at(HOME)), look(5 * SECOND, *at(THIRD), up=[HOME]))
    ]
    assert watched(*looks).contested == {}


# --- who is not ------------------------------------------------------------------------------------------------------


def test_two_ports_at_once_in_two_looks_are_two_stations() -> None:
    both = at(HOME, AWAY)
    seen = every(5 * SECOND, at(HOME), both, both)
    assert seen.contested[mac(7)].why == "it is on 2 edge ports at once: sw1 Gi0/7, sw2 Gi0/7"
    assert seen.contested[mac(7)].at_once


def test_on_one_switch_they_take_turns() -> None:
    seen = every(5 * SECOND, at(HOME), at(THIRD), at(HOME))
    assert seen.contested[mac(7)].why == "it changed 2 times between ports within minutes: sw1 Gi0/5, sw1 Gi0/7"
    assert seen.contested[mac(7)].at_once


def test_slow_turns_take_one_more() -> None:
    assert every(5 * MINUTE, at(HOME), at(THIRD), at(HOME), at(THIRD)).contested[mac(7)].certain


def test_the_port_that_it_came_to_later_is_the_suspect() -> None:
    both = at(HOME, AWAY)
    assert suspect_of(every(5 * SECOND, at(HOME), both, both)) == AWAY
    assert suspect_of(every(5 * SECOND, at(AWAY), both, both)) == HOME
    assert suspect_of(every(5 * SECOND, at(HOME), at(THIRD), at(HOME))) == THIRD


def test_of_two_that_were_found_at_once_none_is_the_suspect() -> None:
    both = at(HOME, AWAY)
    seen = every(5 * SECOND, both, both)
    assert (seen.contested[mac(7)].certain, suspect_of(seen)) == (True, None)


def test_of_three_ports_none_is_the_suspect() -> None:
    assert suspect_of(every(5 * SECOND, at(HOME), at(AWAY), at(HOME), at(THIRD))) is None


def test_a_suspicion_fades_when_one_of_them_is_left() -> None:
    away = [look(number * 5 * SECOND, *at(*there)) for number, there in enumerate([[HOME], [THIRD], [HOME]])]
    later = [look(MEMORY * part + MINUTE, *at(HOME)) for part in (0.5, 1.0, 1.5)]
    assert mac(7) in watched(*away, later[0]).contested
    assert watched(*away, *later).contested == {}


def test_what_one_of_them_does_is_not_the_others() -> None:
    nat = [swarm(8), usage(7)]
    both = at(HOME, AWAY)
    seen = every(5 * SECOND, at(HOME), both, both, nat=nat)
    used = {client.identity: client.usage.sessions for client in seen.clients if client.usage}
    assert used == {"address:10.10.0.7": 20, "address:10.10.0.8": 1500}
    assert only(seen, SEVEN).location is None


def test_a_port_that_it_left_and_that_is_still_up_makes_it_contested() -> None:
    """A louder copy on the same switch: the table shows nobody but the copy."""
    looks = look(0 * SECOND, *at(HOME), up=[HOME]), look(5 * SECOND, *at(THIRD), up=[HOME])
    (found,) = watched(*looks).contested.values()
    assert found.why == "it came from sw1 Gi0/7 to sw1 Gi0/5, but the port that it left is still up"
    assert (found.certain, found.ports) == (False, (THIRD, HOME))


def test_who_sleeps_at_a_port_that_is_up_is_not_banned_for_a_copy_elsewhere() -> None:
    looks = look(0 * SECOND, *at(HOME), up=[HOME]), look(MINUTE, up=[HOME]), look(2 * MINUTE, *at(THIRD), up=[HOME])
    assert [it.ports for it in watched(*looks).contested.values()] == [(THIRD, HOME)]
    unplugged = look(2 * MINUTE, *at(THIRD), down=[HOME])
    assert watched(*looks[:2], unplugged).contested == {}


# --- leases ----------------------------------------------------------------------------------------------------------


def lease(number: int, hostname: str | None = None, client_id: str | None = None, **more: datetime) -> Lease:
    return Lease("dhcp", ip(number), mac(7), hostname, client_id, **more)


def doubled(*leases: Lease) -> bool:
    seen = watched(look(0 * SECOND, *at(HOME), leases=leases))
    return mac(7) in seen.contested


def test_two_hostnames_are_two_clients() -> None:
    leases = [lease(7, "anna"), lease(8, "mallory")]
    (found,) = watched(look(0 * SECOND, *at(HOME), leases=leases)).contested.values()
    assert found.why == "two DHCP clients use it: anna (10.10.0.7) and mallory (10.10.0.8)"
    assert (found.certain, found.at_once, found.suspect) == (True, False, None)


@pytest.mark.parametrize(
    ("leases", "is_it"),
    [
        ([lease(7, "anna"), lease(8, "ANNA.example.org")], False),
        ([lease(7, "anna"), lease(8)], False),
        ([lease(7, client_id="01:aa"), lease(8, client_id="00:bb")], True),
        ([lease(7, client_id="01:aa"), lease(9, client_id="00:bb")], False),
        ([lease(7, "anna"), lease(8, "mallory", until=NOON - MINUTE)], False),
    ],
    ids=["same name", "no name", "both in use", "only one in use", "over"],
)
def test_only_what_contradicts_counts(leases: list[Lease], is_it: bool) -> None:
    assert doubled(*leases) is is_it


ENDS = NOON + 60 * MINUTE


def named(minutes: float, name: str, *places: Place, ident: str | None = None) -> Snapshot:
    return look(minutes * MINUTE, *at(*(places or (HOME,))), leases=[lease(7, name, ident, until=ENDS)])


def test_who_gives_himself_another_name_is_no_copy() -> None:
    """Or whoever is about to be blocked would do so."""
    looks = named(0, "anna"), named(5, "mallory"), named(10, "mallory")
    assert watched(*looks).contested == {}
    assert watched(named(0, "anna", ident="01:aa"), named(5, "anna", ident="00:bb")).contested == {}


def test_nor_who_does_so_twice() -> None:
    assert watched(named(0, "anna"), named(5, "mallory"), named(10, "eve")).contested == {}


def test_two_names_that_take_turns_for_one_address_are_two_clients() -> None:
    looks = named(0, "anna"), named(5, "mallory"), named(10, "anna")
    (found,) = watched(*looks).contested.values()
    assert (found.certain, found.why) == (
        True,
        "two DHCP clients use it: anna (10.10.0.7) and mallory (10.10.0.7)",
    )
    assert watched(*looks, named(15, "mallory")).contested[mac(7)].certain
    assert watched(*looks, look(61 * MINUTE, *at(HOME), leases=[lease(7, "anna")])).contested == {}


def test_another_name_at_another_port_contradicts_the_lease_that_still_holds() -> None:
    before, after = named(0, "anna"), named(5, "mallory", AWAY)
    assert watched(before, after).contested[mac(7)].certain
    assert suspect_of(watched(before, after)) == AWAY
    late = look(61 * MINUTE, *at(AWAY), leases=[lease(7, "mallory")])
    assert watched(before, late).contested == {}


def test_a_namesake_at_another_port_is_the_suspect() -> None:
    looks = look(0 * SECOND, *at(HOME)), look(MINUTE, *at(AWAY), leases=[lease(7, "anna"), lease(8, "mallory")])
    assert suspect_of(watched(*looks)) == AWAY


# --- whatever the tables ---------------------------------------------------------------------------------------------

bounded = settings(deadline=None, max_examples=50)
"""Several whole networks a case, on a machine that may be busy."""
PLACES = st.lists(st.sampled_from([HOME, AWAY, THIRD]), min_size=1, max_size=2, unique=True)


@bounded
@given(st.lists(PLACES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_rows_is_irrelevant(way: list[list[Place]], chance: object) -> None:
    def shuffled(rows: tuple[FdbEntry, ...]) -> tuple[FdbEntry, ...]:
        mixed = list(rows)
        chance.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
        return tuple(mixed)

    straight = [look(number * 5 * SECOND, *at(*there)) for number, there in enumerate(way)]
    mixed = [replace(it, fdb=shuffled(it.fdb)) for it in straight]
    assert watched(*straight).contested == watched(*mixed).contested


@bounded
@given(st.lists(st.sampled_from([HOME, AWAY, THIRD, ("sw2", "Gi0/9")]), max_size=5, unique=True))
def test_who_never_returns_to_a_port_and_is_never_on_two_is_no_copy(way: list[Place]) -> None:
    """For as many moves as an errand has."""
    places = way[:3]
    assert every(5 * SECOND, *(at(place) for place in places or [HOME])).contested == {}


@bounded
@given(st.lists(PLACES, min_size=1, max_size=6))
def test_a_suspect_is_never_where_the_mac_was_found_at_first(way: list[list[Place]]) -> None:
    found = every(5 * SECOND, *(at(*there) for there in way)).contested.get(mac(7))
    if found is not None and found.suspect is not None:
        assert way[0] != [(found.suspect.device, found.suspect.station.port)]
        assert (found.suspect.device, found.suspect.station.port) in found.ports


@bounded
@given(st.integers(0, 2 * MOST))
def test_the_memory_of_one_mac_is_bounded(turns: int) -> None:
    places = [HOME if number % 2 == 0 else THIRD for number in range(turns + 1)]
    looks = [look(number * 5 * SECOND, *at(place)) for number, place in enumerate(places)]
    seen = looks[0]
    for _, later in pairwise(looks):
        seen = refresh(seen, later)
    assert len(seen.sights) <= MOST + len(at(HOME))


def test_a_look_without_forwarding_tables_remembers_what_was_known() -> None:
    sight = Sight(mac(7), "sw1", "Gi0/7", NOON, came=False, last=NOON)
    old = replace(backbone(), fdb=(*backbone().fdb, *seen_on("sw1", 7)), sights=(sight,))
    new = replace(backbone(), at=NOON + MINUTE, readings=(reading("gw", "nat"),))
    assert refresh(old, new).sights == (sight,)
