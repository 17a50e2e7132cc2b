"""Who moved how much between two looks: never more than the truth, never twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from builders import NOON, arp, fdb, ip, mac, network, seen_on, usage
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.accounting import Account, Books, Ended, Moved, Octets, account
from switchguard.core.attribute import attribute
from switchguard.core.evidence import Traffic
from switchguard.core.model import ClientId, FdbEntry, Gap, Mac, NatUsage, Neighbor, PortCounters, Reading, Snapshot

MINUTE = timedelta(minutes=1)
SEVEN, EIGHT = ClientId(f"mac:{mac(7)}"), ClientId(f"mac:{mac(8)}")


def row(
    number: int,
    received: int | None,
    sent: int | None = 0,
    sessions: int = 3,
    oldest_s: float | None = None,
    device: str = "gw",
) -> NatUsage:
    return replace(usage(number, sessions, device=device), bytes_in=received, bytes_out=sent, oldest_s=oldest_s)


def poll(
    minute: float,
    nat: Iterable[NatUsage] = (),
    neighbors: Iterable[Neighbor] = (arp(7), arp(8)),
    rows: Iterable[FdbEntry] = (*seen_on("sw1", 7), *seen_on("sw2", 8)),
    counters: Iterable[PortCounters] = (),
    gaps: Iterable[Gap] = (),
) -> Snapshot:
    """A look at the network, some minutes after noon."""
    at = NOON + minute * MINUTE
    seen = network(nat, neighbors, rows, gaps)
    readings = (Reading(it.device, it.table, at, it.rows, 0.1) for it in seen.readings)
    return replace(seen, at=at, readings=tuple(readings), counters=tuple(counters))


def counted(*snapshots: Snapshot, ended: Mapping[int, Ended] | None = None) -> list[Account]:
    """What each look adds to those before."""
    books, accounts = Books(), []
    for number, snapshot in enumerate(snapshots):
        found = account(books, snapshot, attribute(snapshot), (ended or {}).get(number))
        books = found.books
        accounts.append(found)
    return accounts


def moved(*snapshots: Snapshot, ended: Mapping[int, Ended] | None = None) -> list[tuple[Moved, ...]]:
    return [it.moved for it in counted(*snapshots, ended=ended)]


def spans(minute: float, received: int, sent: int = 0, since: float | None = None, who: ClientId = SEVEN) -> Moved:
    start = NOON + (minute - 1 if since is None else since) * MINUTE
    return Moved(who, Traffic(start, NOON + minute * MINUTE, received, sent))


# --- translation tables ----------------------------------------------------------------------------------------------


def test_the_first_look_says_nothing_about_any_time() -> None:
    assert moved(poll(0, [row(7, 5_000_000, 100)])) == [()]


def test_growth_is_traffic() -> None:
    assert moved(poll(0, [row(7, 1_000, 10)]), poll(1, [row(7, 6_000, 30)]))[1] == (spans(1, 5_000, 20),)


def test_a_client_that_is_new_in_the_table_moved_all_it_has() -> None:
    assert moved(poll(0), poll(1, [row(7, 6_000)]))[1] == (spans(1, 6_000),)


def test_sessions_that_end_take_nothing_back() -> None:
    assert moved(poll(0, [row(7, 9_000)]), poll(1, [row(7, 2_000)]), poll(2, [row(7, 2_500)]))[1:] == [
        (),
        (spans(2, 500),),
    ]


def test_where_all_sessions_are_younger_than_the_last_look_all_octets_are_new() -> None:
    assert moved(poll(0, [row(7, 9_000)]), poll(1, [row(7, 2_000, oldest_s=40.0)]))[1] == (spans(1, 2_000),)


def test_a_session_as_old_as_the_last_look_may_have_been_counted() -> None:
    assert moved(poll(0, [row(7, 9_000)]), poll(1, [row(7, 2_000, oldest_s=59.5)]))[1] == ()


def test_ends_that_are_told_make_it_exact() -> None:
    ended = {1: {"gw": {ip(7): Octets(9_500, 0), ip(8): Octets(70, 0)}}}
    looks = (poll(0, [row(7, 9_000)]), poll(1, [row(7, 2_000)]))
    assert moved(*looks, ended=ended)[1] == (spans(1, 2_500), spans(1, 70, who=EIGHT))


def test_an_end_that_is_told_late_is_not_counted_again() -> None:
    late: dict[int, Ended] = {1: {"gw": {}}, 2: {"gw": {ip(7): Octets(9_000, 0)}}}
    assert moved(poll(0, [row(7, 9_000)]), poll(1), poll(2, [row(7, 50)]), ended=late)[1:] == [(), (spans(2, 50),)]


def test_a_gap_is_bridged_by_the_next_look() -> None:
    gap = Gap("gw", "nat", "no answer in time")
    looks = (poll(0, [row(7, 1_000)]), poll(1, gaps=[gap]), poll(2, [row(7, 4_000)]))
    assert moved(*looks)[1:] == [(), (spans(2, 3_000, since=0),)]


def test_a_table_that_was_not_read_again_is_not_counted_again() -> None:
    first, second = poll(0, [row(7, 1_000)]), poll(1, [row(7, 4_000)])
    again = replace(second, at=second.at + MINUTE)
    assert moved(first, second, again)[2] == ()


def test_an_address_that_changed_hands_is_nobodys_for_that_time() -> None:
    other = [arp(8), replace(arp(7), mac=mac(8))]
    looks = (poll(0, [row(7, 1_000)]), poll(1, [row(7, 4_000)], other), poll(2, [row(7, 4_500)], other))
    assert moved(*looks)[1:] == [(), (spans(2, 500, who=EIGHT),)]


def test_two_addresses_of_a_client_are_summed() -> None:
    both = [arp(7), replace(arp(7), address=ip(77)), arp(8)]
    looks = (poll(0, [row(7, 100), row(77, 0)], both), poll(1, [row(7, 150), row(77, 9)], both))
    assert moved(*looks)[1] == (spans(1, 59),)


def test_octets_that_begin_to_be_counted_are_a_new_beginning() -> None:
    looks = (poll(0, [row(7, None, None)]), poll(1, [row(7, 4_000)]), poll(2, [row(7, 4_100)]))
    assert moved(*looks)[1:] == [(), (spans(2, 100),)]


def test_new_sessions_are_counted_likewise() -> None:
    looks = (poll(0, [row(7, 0, sessions=10)]), poll(1, [row(7, 0, sessions=25), row(8, 0, sessions=4)]))
    assert {(it.address, it.sessions) for it in counted(*looks)[1].opened} == {(ip(7), 15), (ip(8), 4)}


# --- ports -----------------------------------------------------------------------------------------------------------


def port(minute: float, received: int, sent: int, device: str = "sw1", name: str = "Gi0/7") -> PortCounters:
    """Counters as the switch has them: it receives what the client sends."""
    return PortCounters(device, name, NOON + minute * MINUTE, received, sent, uptime_s=1_000 + 60 * minute)


def silent(
    minute: float, *counters: PortCounters, rows: Iterable[FdbEntry] | None = None, sessions: int = 3
) -> Snapshot:
    """A look at a network whose gateway counts no octets."""
    nat = [row(7, None, None, sessions), row(8, None, None)]
    return poll(minute, nat, rows=rows or (*seen_on("sw1", 7), *seen_on("sw2", 8)), counters=counters)


def test_without_octets_in_the_table_the_access_port_counts_for_the_one_mac_behind_it() -> None:
    looks = (silent(0, port(0, 100, 1_000)), silent(1, port(1, 150, 9_000)))
    assert moved(*looks)[1] == (spans(1, 8_000, 50),)


def test_a_counter_that_wraps_is_traffic_and_one_that_was_reset_is_none() -> None:
    wrap = (silent(0, replace(port(0, 100, 2**32 - 10), bits=32)), silent(1, replace(port(1, 100, 90), bits=32)))
    reset = (silent(0, port(0, 100, 10**9)), silent(1, replace(port(1, 0, 90), uptime_s=5.0)))
    assert moved(*wrap)[1] == (spans(1, 100),)
    assert moved(*reset)[1] == ()


def shared(switch_rows: Iterable[FdbEntry] = ()) -> tuple[FdbEntry, ...]:
    """Client 8 is behind client 7's port as well."""
    return (*seen_on("sw1", 7), *(replace(it, mac=mac(8)) for it in seen_on("sw1", 7)), *switch_rows)


def test_several_macs_behind_a_port_share_by_sessions_and_it_is_an_estimate() -> None:
    looks = [silent(n, port(n, 0, 1_000 * n), rows=shared(), sessions=9) for n in (0, 1)]
    found = {it.client: (it.traffic.octets_in, it.traffic.estimate) for it in moved(*looks)[1]}
    assert found == {SEVEN: (750, True), EIGHT: (250, True)}


def test_who_just_moved_begins_anew() -> None:
    looks = (
        silent(0, port(0, 0, 0), port(0, 0, 0, "sw2")),
        silent(1, port(1, 0, 5_000), port(1, 0, 7_000, "sw2"), rows=(*seen_on("sw2", 7), *seen_on("sw2", 8))),
        silent(2, port(2, 0, 5_000), port(2, 0, 7_500, "sw2"), rows=(*seen_on("sw2", 7), *seen_on("sw2", 8))),
    )
    assert moved(*looks)[1:] == [(), (spans(2, 500),)]


def test_an_uplink_counts_for_nobody() -> None:
    looks = [silent(n, port(n, 0, 10**6 * n, "sw1", "Gi0/24")) for n in (0, 1)]
    assert moved(*looks)[1] == ()


def test_where_the_gateway_counts_the_port_does_not() -> None:
    looks = [poll(n, [row(7, 1_000 * n)], counters=[port(n, 0, 9_000 * n)]) for n in (1, 2)]
    assert moved(*looks)[1] == (spans(2, 1_000),)


def test_what_the_port_has_covered_the_table_does_not_cover_again() -> None:
    looks = (
        silent(0, port(0, 0, 0)),
        silent(1.5, port(1.5, 0, 4_000)),
        poll(2, [row(8, 1)], counters=[port(2, 0, 5_000)]),
        poll(3, [row(7, 900), row(8, 1)], counters=[port(3, 0, 9_000)]),
    )
    found = [it for part in moved(*looks) for it in part if it.client == SEVEN]
    assert [(it.traffic.start, it.traffic.end) for it in found] == [
        (NOON, NOON + 1.5 * MINUTE),
        (NOON + 2 * MINUTE, NOON + 3 * MINUTE),
    ]


def test_a_gap_at_the_gateway_does_not_call_in_the_ports() -> None:
    gap = Gap("gw", "nat", "no answer in time")
    looks = (
        poll(0, [row(7, 0)], counters=[port(0, 0, 0)]),
        poll(1, counters=[port(1, 0, 5_000)], gaps=[gap]),
        poll(2, counters=[port(2, 0, 9_000)], gaps=[gap]),
        poll(3, [row(7, 8_000)], counters=[port(3, 0, 9_500)]),
    )
    assert moved(*looks)[1:] == [(), (), (spans(3, 8_000, since=0),)]


def test_the_gateways_interfaces_are_metered() -> None:
    looks = [poll(n, counters=[port(n, 10 * n, 20 * n, "gw", "wan0")]) for n in (0, 1)]
    assert [(it.interface, it.octets) for it in counted(*looks)[1].metered] == [("wan0", Octets(10, 20))]


# --- the truth -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Session:
    """A session of client 7 as it really was: polls are at whole minutes, it moves octets evenly."""

    begins: float
    minutes: float
    octets_per_minute: int

    def had(self, minute: float) -> int:
        return int(min(max(minute - self.begins, 0.0), self.minutes) * self.octets_per_minute)

    def lives(self, minute: float) -> bool:
        return self.begins <= minute < self.begins + self.minutes


SESSIONS = st.lists(
    st.builds(
        Session,
        st.floats(0, 9.5).map(lambda it: round(it, 2)),
        st.floats(0.01, 6).map(lambda it: round(it, 2)),
        st.integers(0, 10**6),
    ),
    max_size=12,
)


def table(sessions: list[Session], minute: int, ages: bool) -> list[NatUsage]:
    alive = [it for it in sessions if it.lives(minute)]
    if not alive:
        return []
    oldest = float(int(max(60 * (minute - it.begins) for it in alive)))
    return [row(7, sum(it.had(minute) for it in alive), sessions=len(alive), oldest_s=oldest if ages else None)]


@given(SESSIONS, st.booleans(), st.sets(st.integers(1, 9)))
@settings(max_examples=150, deadline=None)
def test_never_more_than_the_truth_and_never_less_than_nothing(
    sessions: list[Session], ages: bool, missed: set[int]
) -> None:
    gap = [Gap("gw", "nat", "no answer in time")]
    looks = [poll(n, gaps=gap) if n in missed else poll(n, table(sessions, n, ages)) for n in range(11)]
    total = 0
    for minute, found in enumerate(moved(*looks)):
        total += sum(it.traffic.octets_in for it in found)
        assert all(it.traffic.octets_in >= 0 for it in found)
        assert total <= sum(it.had(minute) for it in sessions)


@given(SESSIONS)
@settings(max_examples=100, deadline=None)
def test_with_every_end_told_it_is_the_truth(sessions: list[Session]) -> None:
    looks = [poll(n, table(sessions, n, ages=False)) for n in range(11)]
    ended: dict[int, Ended] = {
        n: {"gw": {ip(7): Octets(sum(it.had(20) for it in sessions if n - 1 < it.begins + it.minutes <= n), 0)}}
        for n in range(1, 11)
    }
    total = sum(it.traffic.octets_in for found in moved(*looks, ended=ended) for it in found)
    before_the_first_look = sum(it.had(0) for it in sessions)
    assert total == sum(it.had(10) for it in sessions) - before_the_first_look


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), min_size=2, max_size=8))
@settings(max_examples=50, deadline=None)
def test_shares_of_a_port_never_exceed_it(steps: list[tuple[int, int]]) -> None:
    received = sent = 0
    looks = []
    for minute, (more, back) in enumerate(steps):
        received, sent = received + more, sent + back
        looks.append(silent(minute, port(minute, received, sent), rows=shared(), sessions=1 + minute))
    found = [it.traffic for part in moved(*looks) for it in part]
    assert sum(it.octets_out for it in found) <= received - steps[0][0]
    assert sum(it.octets_in for it in found) <= sent - steps[0][1]


@pytest.mark.parametrize("who", [mac(7), mac(8)])
def test_a_mac_on_two_ports_is_counted_at_none(who: Mac) -> None:
    rows = (fdb("sw1", "Gi0/3", who), fdb("sw2", "Gi0/4", who))
    looks = [
        poll(n, [], [], rows, [port(n, 0, 10**6 * n, "sw1", "Gi0/3"), port(n, 0, 10**6 * n, "sw2", "Gi0/4")])
        for n in (0, 1)
    ]
    assert moved(*looks)[1] == ()
