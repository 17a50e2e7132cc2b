"""Sessions as they begin: who crosses, when, and what a pass makes of it."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from switchguard.core.attribute import attribute
from switchguard.core.evidence import Evidence
from switchguard.core.model import Device, Mac, NatUsage, Neighbor, Role, Snapshot
from switchguard.core.penalties import Block
from switchguard.core.policy import Rule, Sentence
from switchguard.core.tally import Crossing, Tallies, Watching, sighted, slide, with_windows

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULE = Rule("swarm", "naughty_factor", 0.8, 5, Sentence(Block()))
WATCHING = Watching(tick_s=0.25, ticks=8, in_a_row=3)
GATEWAY = Device("gw1", "linux", Role.GATEWAY)


def begun(address: str = "10.0.0.7", sessions: int = 200, first: int = 0, port_share: float = 1.0) -> NatUsage:
    """So many sessions in a tick, each to another host; `first` tells the hosts of two ticks apart."""
    hashes = tuple(sorted(hash_of(first + number) for number in range(sessions)))[:64]
    return NatUsage(
        device="gw1",
        address=ip_address(address),
        sessions=sessions,
        remotes=sessions,
        remote_ports=sessions,
        tcp_share=0.3,
        udp_share=0.7,
        unanswered_share=None,
        high_port_share=port_share,
        active_share=1.0,
        sketch=hashes,
    )


def hash_of(number: int) -> int:
    return (number * 0x9E3779B97F4A7C15 + 0x1234567) % 2**64


def follow(ticks: list[list[NatUsage]], watching: Watching = WATCHING) -> list[tuple[Crossing, ...]]:
    """The crossings of each tick."""
    tallies, found = Tallies(), []
    for rows in ticks:
        tallies, crossings = slide(tallies, rows, [RULE], watching)
        found.append(crossings)
    return found


def swarm(ticks: int, each: int = 200) -> list[list[NatUsage]]:
    return [[begun(sessions=each, first=each * number)] for number in range(ticks)]


def test_a_swarm_crosses_after_three_windows_in_a_row() -> None:
    found = follow(swarm(5))
    assert [len(crossings) for crossings in found] == [0, 0, 0, 1, 0]
    (crossing,) = found[3]
    assert (crossing.rule, crossing.address, crossing.in_a_row) == ("swarm", ip_address("10.0.0.7"), 3)
    assert crossing.usage.sessions == 800


def test_somebody_who_stays_over_the_threshold_is_looked_at_once_per_window() -> None:
    crossed = [number for number, crossings in enumerate(follow(swarm(20))) if crossings]
    assert crossed == [3, 11, 19]


def test_a_burst_that_ends_is_forgotten_after_a_window() -> None:
    tallies = Tallies()
    for rows in (*swarm(4), *[[]] * WATCHING.ticks):
        tallies, _ = slide(tallies, rows, [RULE], WATCHING)
    assert (tallies.sessions, tallies.streaks) == ({}, {})


def test_a_burst_that_is_over_before_the_third_window_is_no_swarm() -> None:
    assert not any(follow([*swarm(2, each=300), *[[]] * 9]))


def test_a_tick_that_missed_everything_of_a_swarm_neither_lengthens_nor_ends_its_row() -> None:
    tallies, crossed = Tallies(), list[int]()
    heard = swarm(6)
    heard[2] = []
    for number, rows in enumerate(heard):
        tallies, crossings = slide(tallies, rows, [RULE], WATCHING, missed=not rows)
        crossed += [number] if crossings else []
    assert crossed == [4]


def test_a_busy_browser_is_no_swarm() -> None:
    assert not any(follow([[begun(sessions=200, first=200 * number, port_share=0.0)] for number in range(20)]))


def test_many_sessions_to_one_host_are_no_swarm() -> None:
    one_host = replace(begun(), remotes=1, sketch=(hash_of(1),))
    assert not any(follow([[one_host]] * 20))


def test_rules_that_need_octets_are_left_to_the_polls() -> None:
    quota = replace(RULE, kind="quota")
    assert slide(Tallies(), [begun(sessions=5000)], [quota], replace(WATCHING, in_a_row=1))[1] == ()


@given(st.lists(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 500)), unique_by=lambda it: it[0]), max_size=30))
def test_a_window_holds_exactly_the_last_ticks(ticks: list[list[tuple[int, int]]]) -> None:
    tallies = Tallies()
    for rows in ticks:
        tallies, _ = slide(tallies, [begun(f"10.0.0.{who}", count) for who, count in rows], [RULE], WATCHING)
    expected: dict[object, int] = {}
    for rows in ticks[-WATCHING.ticks :]:
        for who, count in rows:
            address = ip_address(f"10.0.0.{who}")
            expected[address] = expected.get(address, 0) + count
    assert tallies.sessions == expected


# --- what a pass makes of it -----------------------------------------------------------------------------------------

CROSSING = Crossing("swarm", begun(sessions=900), 0.97, 3)


def evidence(*neighbors: Neighbor) -> Evidence:
    snapshot = Snapshot(NOON, (GATEWAY,), neighbors=neighbors)
    return Evidence(attribute(with_windows(snapshot, [CROSSING])), NOON)


def neighbor(mac: int) -> Neighbor:
    return Neighbor("gw1", "lan0", ip_address("10.0.0.7"), Mac(mac))


def test_a_crossing_is_a_finding_about_the_client_behind_the_address() -> None:
    (found,) = sighted(evidence(neighbor(0x020000000007)), [RULE], [CROSSING])
    assert (found.client, found.rule, found.streak) == ("mac:02:00:00:00:00:07", "swarm", RULE.for_polls)
    assert "3 windows in a row" in found.because


def test_an_address_that_two_claim_is_nobodys() -> None:
    assert sighted(evidence(neighbor(0x020000000007), neighbor(0x020000000008)), [RULE], [CROSSING]) == ()


def test_only_those_who_crossed_are_judged() -> None:
    other = replace(begun("10.0.0.9", sessions=900), device="gw1")
    snapshot = with_windows(Snapshot(NOON, (GATEWAY,), nat=(other,)), [CROSSING])
    found = sighted(Evidence(attribute(snapshot), NOON), [RULE], [CROSSING])
    assert [finding.client for finding in found] == ["address:10.0.0.7"]
