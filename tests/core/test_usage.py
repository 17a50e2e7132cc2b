"""Several addresses' usage as one client's."""

from dataclasses import replace
from hashlib import blake2b
from ipaddress import ip_address

import pytest
from builders import ip, swarm, usage
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.sketch import unite
from switchguard.core.usage import merge


def sketch(hosts: range, k: int = 64) -> tuple[int, ...]:
    """As a reader of translation tables makes it."""
    hashes = sorted(int.from_bytes(blake2b(str(host).encode(), digest_size=8).digest()) for host in hosts)
    return tuple(hashes[:k])


def test_one_address_is_itself() -> None:
    assert merge([swarm(7)]) == swarm(7)


def test_sums_and_weighted_shares() -> None:
    one = replace(
        usage(7, 30, 10, remote_ports=4, tcp_share=1.0, high_port_share=0.0, active_share=1.0, unanswered_share=0.0),
        bytes_in=100,
        bytes_out=10,
        oldest_s=50.0,
        newest_s=5.0,
        median_idle_s=3.0,
    )
    other = replace(
        usage(8, 10, 10, remote_ports=9, tcp_share=0.0, high_port_share=1.0, active_share=0.0, unanswered_share=0.4),
        bytes_in=1,
        bytes_out=2,
        oldest_s=70.0,
        newest_s=6.0,
        median_idle_s=9.0,
    )
    both = merge([other, one])
    assert (both.address, both.sessions, both.remote_ports) == (ip(7), 40, 9)
    assert (both.tcp_share, both.udp_share, both.high_port_share) == (0.75, 0.25, 0.25)
    assert both.active_share == 0.75
    assert both.unanswered_share == pytest.approx(0.1)
    assert (both.bytes_in, both.bytes_out) == (101, 12)
    assert (both.oldest_s, both.newest_s, both.median_idle_s) == (70.0, 5.0, 3.0)


def test_what_one_address_does_not_tell_is_not_told_of_the_sum() -> None:
    both = merge([usage(7, 30), replace(usage(8, 10, active_share=None, unanswered_share=None), bytes_in=5)])
    assert (both.active_share, both.unanswered_share, both.bytes_in) == (None, None, None)


def test_an_address_without_sessions_hides_nothing() -> None:
    both = merge([usage(7, 30, active_share=0.9), usage(8, 0, 0, active_share=None)])
    assert both.active_share == 0.9
    assert merge([usage(7, 0, 0), usage(8, 0, 0)]).active_share is None


def test_the_most_frequent_port_is_that_of_both_together() -> None:
    rows = [
        usage(7, 100, top_port=443, top_port_share=0.4),
        usage(8, 90, top_port=53, top_port_share=0.5),
        usage(9, 10, top_port=443, top_port_share=1.0),
    ]
    both = merge(rows)
    assert (both.top_port, both.top_port_share) == (443, 0.25)


def test_without_any_port_there_is_no_most_frequent_one() -> None:
    both = merge([usage(7, top_port=None), usage(8, top_port=None, top_port_share=None)])
    assert (both.top_port, both.top_port_share) == (None, None)
    assert merge([usage(7, 0, 0), usage(8, 0, 0)]).top_port is None


def test_remotes_common_to_both_addresses_count_once() -> None:
    one, other = usage(7, 60, 40, sketch=sketch(range(40))), usage(8, 60, 40, sketch=sketch(range(20, 60)))
    both = merge([one, other])
    assert both.remotes == 60
    assert both.sketch == sketch(range(60))


def test_remotes_beyond_the_sketch_are_estimated() -> None:
    k = 256
    one = usage(7, 5000, 3000, sketch=sketch(range(3000), k))
    other = usage(ip_address("2001:db8::7"), 5000, 3000, sketch=sketch(range(2000, 5000), k))
    both = merge([one, other])
    assert both.remotes == pytest.approx(5000, rel=0.2)
    assert both.sketch == sketch(range(5000), k)


def test_without_sketches_the_certain_lower_bound_stands() -> None:
    assert merge([usage(7, 500, 400), usage(8, 500, 300)]).remotes == 400


def test_an_empty_set_needs_no_sketch() -> None:
    assert unite([(), (1, 2)], [0, 2]) == ((1, 2), 2)
    assert unite([], []) == ((), 0)


def test_a_sketch_of_zeros_alone_breaks_nothing() -> None:
    assert unite([(0,), (0,)], [5, 5]) == ((0,), 5)


SETS = st.lists(st.sets(st.integers(0, 2**64 - 1), max_size=20), min_size=1, max_size=4)


@settings(deadline=None)
@given(SETS, st.integers(1, 30))
def test_the_union_is_between_the_largest_set_and_the_sum(sets: list[set[int]], k: int) -> None:
    sizes = [len(one) for one in sets]
    _, size = unite([tuple(sorted(one)[:k]) for one in sets], sizes)
    assert max(sizes) <= size <= sum(sizes)


@settings(deadline=None)
@given(SETS)
def test_whole_sets_are_counted_exactly(sets: list[set[int]]) -> None:
    sketch, size = unite([tuple(sorted(one)) for one in sets], [len(one) for one in sets])
    assert sketch == tuple(sorted(set().union(*sets)))
    assert size == len(sketch)
