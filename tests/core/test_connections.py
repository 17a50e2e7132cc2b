"""Connections per source: bursts, machines that never sleep, and hopping; and all the people who are left alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from builders import NOON, ip
from evidence_builders import DAY, HOUR, LIMIT, MINUTE, at, client, every, found, here, rule, standing, who

from switchguard.core.attribute import name_of_address
from switchguard.core.decide import decide
from switchguard.core.evidence import NAT, Connections, Evidence
from switchguard.core.model import Address, ClientId, Unattributed
from switchguard.core.penalties import Block, Notify, PastPenalty, RateLimit, Verdict
from switchguard.core.policy import Policy, Rule
from switchguard.core.rules import blind_spots
from switchguard.core.rules.connections import Params, judge

LOG = Params(log="netperf", burst=300)
RULE = rule("connections", 500, LOG)
BOT = every(5 * MINUTE, 2 * DAY)
"""A test every five minutes, around the clock: 577 of them."""
OUTSIDE = "192.0.2."


def logged(sources: Mapping[str, tuple[Connections, ...]], name: str = "netperf") -> Evidence:
    seen: dict[Address, tuple[Connections, ...]] = {ip_address(text): it for text, it in sources.items()}
    return replace(here(), connections={name: seen})


def with_params(**params: object) -> Rule:
    return replace(RULE, params=replace(LOG, **params))  # type: ignore[arg-type]  # the names are checked there


def test_a_machine_that_never_sleeps_is_found() -> None:
    (finding,) = judge(logged({OUTSIDE + "1": BOT}), RULE)
    assert (finding.client, finding.addresses) == ("address:192.0.2.1", (ip_address("192.0.2.1"),))
    assert (finding.value, finding.threshold, finding.unit) == (577, 500, "connections")
    assert finding.because == "577 connections in 2 d, longest break 5 min"


@pytest.mark.parametrize(
    "connections",
    [
        pytest.param(at(range(20)), id="few tests"),
        pytest.param(every(MINUTE, 3 * HOUR, count=4), id="an afternoon of many tests"),
        pytest.param((*every(MINUTE, 8 * HOUR, until=NOON - 30 * HOUR), *every(MINUTE, 8 * HOUR)), id="went to bed"),
        pytest.param(every(5 * MINUTE, 39 * HOUR, 2, until=NOON - 8 * HOUR), id="stopped eight hours ago"),
        pytest.param(every(5 * MINUTE, 20 * HOUR, 3), id="not yet a day"),
        pytest.param(every(15 * MINUTE, 2 * DAY, 2), id="a monitor, four times an hour"),
        pytest.param((), id="nothing"),
    ],
)
def test_real_humans_take_breaks(connections: tuple[Connections, ...]) -> None:
    assert judge(logged({OUTSIDE + "1": connections}), RULE) == ()


def test_thousands_between_two_runs_are_caught_by_their_rate() -> None:
    (finding,) = judge(logged({OUTSIDE + "1": every(MINUTE, 2 * MINUTE, 2000)}), RULE)
    assert (finding.value, finding.threshold) == (6000, 300)
    assert finding.because == "6,000 connections within 10 min"
    assert judge(logged({OUTSIDE + "1": every(MINUTE, 2 * MINUTE, 2000)}), with_params(burst=None)) == ()


def test_a_burst_is_counted_in_its_own_time() -> None:
    assert judge(logged({OUTSIDE + "1": at([0, 0.3, 0.6], count=300)}), RULE) == ()


def test_what_is_older_than_the_window_does_not_count() -> None:
    old = every(5 * MINUTE, 2 * DAY, count=5, until=NOON - 2 * DAY - MINUTE)
    assert judge(logged({OUTSIDE + "1": old}), RULE) == ()


def test_who_has_the_penalty_is_not_listed_again() -> None:
    """Only offenders that are not blocked yet (N3)."""
    blocked = replace(standing(1), client=ClientId("address:192.0.2.1"), macs=())
    evidence = replace(logged({OUTSIDE + "1": BOT, OUTSIDE + "10": BOT}), standing=(blocked,))
    assert found(judge(evidence, RULE)) == ["address:192.0.2.10"]


def test_what_came_before_a_release_does_not_count_again() -> None:
    past = PastPenalty(ClientId("address:192.0.2.1"), "r", NOON - DAY, NOON - HOUR)
    assert judge(replace(logged({OUTSIDE + "1": BOT}), past=(past,)), RULE) == ()


def test_only_sources_in_the_rules_networks_are_judged() -> None:
    elsewhere = replace(RULE, networks=(ip_network("198.51.100.0/24"),))
    assert judge(logged({OUTSIDE + "1": BOT}), elsewhere) == ()


def test_another_log_is_another_rules_business() -> None:
    evidence = logged({OUTSIDE + "1": BOT}, "sshd")
    assert judge(evidence, RULE) == ()
    assert blind_spots(evidence, [RULE]) == (("r", "no connections from netperf are known"),)
    assert blind_spots(logged({}), [RULE]) == ()


# --- our own clients -------------------------------------------------------------------------------------------------


def test_connections_through_the_gateway_are_a_clients() -> None:
    nat = with_params(log=NAT)
    seven = replace(client(7), addresses=(ip(7), ip_address("2001:db8::7")))
    halves = {str(ip(7)): every(10 * MINUTE, 2 * DAY), "2001:db8::7": every(10 * MINUTE, 2 * DAY, until=NOON - MINUTE)}
    evidence = replace(logged(halves, NAT), attribution=here(seven, client(8)).attribution)
    (finding,) = judge(evidence, nat)
    assert (finding.client, finding.macs) == (who(7), seven.macs)
    assert finding.value == 577


def test_no_subnet_of_our_own_clients_is_ever_meant() -> None:
    evidence = logged({str(ip(n)): every(5 * MINUTE, 2 * DAY, 1, NOON - n * MINUTE) for n in range(1, 9)}, NAT)
    assert {it.network for it in judge(evidence, with_params(log=NAT, subnets="apply"))} == {None}


def test_an_address_that_is_contested_is_nobodys() -> None:
    nobody = replace(client(7), identity=ClientId(f"address:{ip(7)}"), macs=())
    evidence = replace(logged({str(ip(7)): BOT}, NAT), attribution=here(nobody).attribution)
    assert len(judge(evidence, with_params(log=NAT))) == 1
    contested = replace(evidence.attribution, unattributed=(Unattributed(name_of_address(ip(7)), "two MACs"),))
    assert judge(replace(evidence, attribution=contested), with_params(log=NAT)) == ()


# --- subnets ---------------------------------------------------------------------------------------------------------


def hopping(hosts: int, version: int = 4, networks: int = 1) -> dict[str, tuple[Connections, ...]]:
    """One bot that takes another address each time; each of them alone is harmless."""
    sources: dict[str, list[Connections]] = {}
    for number, it in enumerate(BOT):
        host, net = number % hosts + 1, number % networks
        address = IPv4Address(f"198.51.{net}.{host}") if version == 4 else IPv6Address(f"2001:db8:1:{net}::{host}")
        sources.setdefault(str(address), []).append(it)
    return {address: tuple(connections) for address, connections in sources.items()}


def test_who_hops_inside_a_subnet_is_suggested_as_a_subnet() -> None:
    (finding,) = judge(logged(hopping(50)), RULE)
    assert (finding.client, finding.network) == ("network:198.51.0.0/24", ip_network("198.51.0.0/24"))
    assert finding.penalty == Notify()
    assert len(finding.addresses) == 50
    assert finding.because == (
        "50 sources of 198.51.0.0/24 together: 577 connections in 2 d, longest break 5 min "
        "(198.51.0.1, 198.51.0.2, 198.51.0.3 and 47 more)"
    )


def test_a_subnet_gets_the_penalty_only_where_the_site_says_so() -> None:
    assert [it.penalty for it in judge(logged(hopping(50)), with_params(subnets="apply"))] == [None]
    assert judge(logged(hopping(50)), with_params(subnets="no")) == ()


def test_the_penalty_of_a_subnet_is_for_the_whole_of_it() -> None:
    by = with_params(subnets="apply")
    (verdict,) = decide(judge(logged(hopping(50)), by), (), (), Policy(rules=(by,)), NOON).standing
    assert (verdict.network, verdict.penalty) == (ip_network("198.51.0.0/24"), LIMIT.penalty)


def test_hopping_between_subnets_is_seen_as_the_wide_one() -> None:
    assert [it.network for it in judge(logged(hopping(50, networks=7)), RULE)] == [ip_network("198.51.0.0/16")]


def test_one_busy_narrow_subnet_makes_no_guilty_wide_one() -> None:
    sources = {**hopping(50), "198.51.9.1": at(range(20)), "198.51.8.1": at(range(20))}
    assert [it.network for it in judge(logged(sources), RULE)] == [ip_network("198.51.0.0/24")]


def test_a_few_neighbours_are_no_hopper() -> None:
    assert judge(logged(hopping(4)), RULE) == ()


def test_who_is_guilty_alone_is_no_evidence_against_the_neighbours() -> None:
    neighbours = {f"{OUTSIDE}{n}": at(range(24), count=2) for n in range(2, 9)}
    evidence = logged({OUTSIDE + "1": BOT, **neighbours})
    assert found(judge(evidence, RULE)) == ["address:192.0.2.1"]
    bot, source = ClientId("address:192.0.2.1"), (ip_address(OUTSIDE + "1"),)
    blocked = replace(standing(7), client=bot, macs=(), addresses=source)
    assert judge(replace(evidence, standing=(blocked,)), RULE) == ()
    assert judge(replace(evidence, past=(PastPenalty(bot, "r", NOON - HOUR, NOON),)), RULE) == ()


def test_privacy_addresses_of_one_customer_are_one() -> None:
    (finding,) = judge(logged(hopping(3, version=6)), RULE)
    assert finding.network == ip_network("2001:db8:1::/64")


def test_a_site_that_hops_over_its_networks_is_one() -> None:
    assert [it.network for it in judge(logged(hopping(1, 6, networks=9)), RULE)] == [ip_network("2001:db8:1::/48")]


@pytest.mark.parametrize(
    ("penalty", "silent"), [(RateLimit(64_000), True), (Block("address"), True), (Notify(), False)]
)
def test_a_subnet_that_has_its_penalty_is_not_judged_again(penalty: RateLimit | Block | Notify, silent: bool) -> None:
    network = ip_network("198.51.0.0/24")
    verdict = Verdict("1", ClientId(f"network:{network}"), "r", penalty, NOON - HOUR, None, "", network=network)
    assert (judge(replace(logged(hopping(50)), standing=(verdict,)), RULE) == ()) is silent


def paid(network: str, told: bool = False) -> PastPenalty:
    return PastPenalty(ClientId(f"network:{network}"), "r", NOON - 3 * HOUR, NOON - HOUR, routine=told)


@pytest.mark.parametrize("network", ["192.0.2.0/24", "192.0.0.0/16"])
def test_what_a_subnet_has_paid_for_its_sources_do_not_pay_for_again(network: str) -> None:
    """490 connections before the subnet's penalty, 11 after it, by a source that never had one of its own."""
    before = every(5 * MINUTE, 489 * 5 * MINUTE, until=NOON - 4 * HOUR)
    evidence = logged({OUTSIDE + "1": (*before, *every(MINUTE, 10 * MINUTE))})
    assert [it.value for it in judge(evidence, RULE)] == [501]
    assert judge(replace(evidence, past=(paid(network),)), RULE) == ()
    assert len(judge(replace(evidence, past=(paid("198.51.100.0/24"), paid("2001:db8::/64"))), RULE)) == 1


def test_what_was_only_suggested_has_paid_for_nothing() -> None:
    assert len(judge(replace(logged({OUTSIDE + "1": BOT}), past=(paid("192.0.2.0/24", told=True),)), RULE)) == 1


def test_of_one_customer_two_addresses_are_enough_whatever_subnet_sources_says() -> None:
    many = with_params(subnet_sources=50)
    assert [it.network for it in judge(logged(hopping(2, version=6)), many)] == [ip_network("2001:db8:1::/64")]
    assert judge(logged(hopping(2)), many) == ()


# --- parameters ------------------------------------------------------------------------------------------------------


def test_a_window_in_which_nobody_could_be_steady_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody could ever be steady"):
        Params(window=timedelta(hours=12))


def test_a_burst_longer_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than burst_within"):
        Params(window=DAY, burst_within=2 * DAY)
