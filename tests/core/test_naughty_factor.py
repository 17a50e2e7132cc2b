"""The naughty factor, and the calibration that docs/scoring.md promises."""

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
from builders import NOON, arp, mac, network, seen_on, swarm, usage
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.attribute import attribute
from switchguard.core.evidence import Evidence
from switchguard.core.model import Attribution, Client, ClientId, NatUsage
from switchguard.core.penalties import Block, Finding
from switchguard.core.policy import Rule, Sentence
from switchguard.core.rules.naughty_factor import KIND, factor, judge

RULE = Rule("swarm", KIND, above=0.8, for_polls=3, sentence=Sentence(Block()))
BROWSER = usage(7, 60, 35, tcp_share=0.7, active_share=0.8, high_port_share=0.3, unanswered_share=0.02)
RESOLVER = usage(7, 9000, 4000, tcp_share=0.03, high_port_share=0.01, top_port=53, top_port_share=0.97)
PROXY = usage(7, 4000, 900, tcp_share=0.98, high_port_share=0.02, top_port=443, top_port_share=0.9)
SERVER = usage(
    7, 3000, 900, remote_ports=2900, tcp_share=1, high_port_share=0.99, active_share=0.9, top_port_share=0.001
)

# --- the calibration table -------------------------------------------------------------------------------------------

DOC = Path(__file__).parents[2] / "docs" / "scoring.md"


def calibration() -> Iterator[tuple[str, ...]]:
    for line in DOC.read_text().split("## Calibration")[1].split("##")[0].splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if len(cells) == 12 and cells[1].isdigit():
            yield cells


def share(cell: str) -> float | None:
    return None if cell == "–" else int(cell.removesuffix(" %")) / 100


def certain(cell: str) -> float:
    told = share(cell)
    assert told is not None
    return told


@pytest.mark.parametrize("row", list(calibration()), ids=lambda row: f"{row[0]}, {row[1]} sessions")
def test_the_documented_calibration_is_what_the_product_computes(row: tuple[str, ...]) -> None:
    _, sessions, hosts, tcp, active, unanswered, high, port, port_share, value, certainty, sort = row
    rated = factor(
        usage(
            7,
            int(sessions),
            int(hosts),
            tcp_share=certain(tcp),
            active_share=share(active),
            unanswered_share=share(unanswered),
            high_port_share=certain(high),
            top_port=None if port == "–" else int(port),
            top_port_share=share(port_share),
        )
    )
    assert (f"{rated.value:.2f}", f"{rated.certainty:.2f}", rated.sort) == (value, certainty, sort)


def test_the_calibration_table_is_not_empty() -> None:
    assert len(list(calibration())) >= 20


@pytest.mark.parametrize(("active", "enough"), [(1.0, 240), (None, 340)])
def test_the_documented_number_of_sessions_reaches_the_usual_threshold(active: float | None, enough: int) -> None:
    assert factor(replace(swarm(7, enough, enough), active_share=active)).value >= 0.8
    assert factor(replace(swarm(7, enough - 10, enough - 10), active_share=active)).value < 0.8


# --- what must hold --------------------------------------------------------------------------------------------------

SHARES = st.floats(0, 1)


@settings(deadline=None)
@given(SHARES, SHARES, SHARES, SHARES)
def test_twenty_sessions_to_one_host_are_fine_whatever_they_are(
    tcp: float, high: float, active: float, unanswered: float
) -> None:
    row = usage(
        7,
        20,
        1,
        tcp_share=tcp,
        high_port_share=high,
        active_share=active,
        unanswered_share=unanswered,
        top_port_share=1,
    )
    assert factor(row).value < 0.05


@settings(deadline=None)
@given(SHARES, SHARES, SHARES, SHARES)
def test_sixteen_tabs_skype_and_three_vpns_are_fine_whatever_they_are(
    tcp: float, high: float, active: float, unanswered: float
) -> None:
    row = usage(7, 60, 35, tcp_share=tcp, high_port_share=high, active_share=active, unanswered_share=unanswered)
    assert factor(row).value < 0.25


@settings(deadline=None)
@given(st.integers(700, 800), SHARES, st.floats(0.6, 1), st.floats(0.9, 1), st.one_of(st.none(), SHARES))
def test_seven_hundred_active_sessions_to_as_many_hosts_are_a_swarm(
    sessions: int, tcp: float, high: float, active: float, unanswered: float | None
) -> None:
    row = usage(
        7,
        sessions,
        sessions,
        tcp_share=tcp,
        high_port_share=high,
        active_share=active,
        unanswered_share=unanswered,
        top_port=6881,
        top_port_share=0.1,
    )
    assert factor(row).value > 0.9
    assert factor(row).sort in ("swarm", "scanner")


@pytest.mark.parametrize(("row", "sort"), [(RESOLVER, "resolver"), (PROXY, "proxy"), (SERVER, "server")])
def test_a_busy_service_is_told_apart_and_reported_as_what_it_is(row: NatUsage, sort: str) -> None:
    rated = factor(row)
    assert rated.sort == sort
    assert rated.value < 0.1
    assert sort in rated.because


def test_a_failing_uplink_makes_no_resolver_a_scanner() -> None:
    usual, failing = factor(RESOLVER), factor(replace(RESOLVER, unanswered_share=1.0))
    assert failing == replace(usual, because=failing.because, clauses=failing.clauses)


def test_a_few_hundred_web_sessions_are_no_swarm() -> None:
    assert factor(usage(7, 400, 300, high_port_share=0.05, active_share=1.0)).value < 0.25


USAGES = st.builds(
    usage,
    st.just(7),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    tcp_share=SHARES,
    high_port_share=SHARES,
    active_share=st.one_of(st.none(), SHARES),
    unanswered_share=st.one_of(st.none(), SHARES),
    top_port=st.sampled_from([None, 53, 443, 6881]),
    top_port_share=st.one_of(st.none(), SHARES),
)


@settings(deadline=None)
@given(USAGES)
def test_the_factor_and_its_parts_and_its_certainty_are_shares(row: NatUsage) -> None:
    rated = factor(row)
    assert all(0 <= it <= 1 for it in (rated.value, rated.certainty, *rated.parts.values()))
    assert rated.value == prod(rated.parts.values())
    assert list(rated.parts) == ["crowd", "spread", "activity", "suspicion"]


@settings(deadline=None)
@given(USAGES, st.integers(0, 10_000))
def test_more_hosts_never_lower_it(row: NatUsage, more: int) -> None:
    assert factor(replace(row, remotes=row.remotes + more)).value >= factor(row).value


@settings(deadline=None)
@given(USAGES, st.integers(1, 50))
def test_more_of_the_same_never_lowers_it(row: NatUsage, times: int) -> None:
    grown = replace(row, sessions=row.sessions * times, remotes=row.remotes * times)
    assert factor(grown).value >= factor(row).value - 1e-12


LESS_AND_MORE = st.tuples(SHARES, SHARES).map(sorted)


@settings(deadline=None)
@given(USAGES, LESS_AND_MORE)
def test_more_activity_never_lowers_it(row: NatUsage, active: list[float]) -> None:
    less, more = (factor(replace(row, active_share=it)).value for it in active)
    assert less <= more


@settings(deadline=None)
@given(USAGES, LESS_AND_MORE)
def test_more_high_ports_never_lower_it(row: NatUsage, high: list[float]) -> None:
    less, more = (factor(replace(row, high_port_share=it)).value for it in high)
    assert less <= more


@settings(deadline=None)
@given(USAGES, LESS_AND_MORE)
def test_more_unanswered_sessions_never_lower_it(row: NatUsage, unanswered: list[float]) -> None:
    less, more = (factor(replace(row, unanswered_share=it)).value for it in unanswered)
    assert less <= more


@settings(deadline=None)
@given(USAGES, st.integers(0, 10_000))
def test_more_sessions_to_the_same_hosts_never_raise_the_spread(row: NatUsage, more: int) -> None:
    some = replace(row, sessions=row.sessions + 1)
    diluted = replace(some, sessions=some.sessions + more)
    assert factor(diluted).parts["spread"] <= factor(some).parts["spread"]


@settings(deadline=None)
@given(USAGES)
def test_a_missing_idle_column_makes_it_less_certain_and_not_wrong(row: NatUsage) -> None:
    blind = factor(replace(row, active_share=None))
    most, none = factor(replace(row, active_share=1.0)), factor(replace(row, active_share=0.0))
    assert none.value <= blind.value <= most.value
    assert blind.value == pytest.approx(0.9 * most.value)
    assert blind.certainty == 0.75 * most.certainty


@pytest.mark.parametrize("row", [swarm(7), BROWSER, RESOLVER, PROXY, SERVER])
def test_without_idle_times_everybody_stays_on_the_same_side_of_the_threshold(row: NatUsage) -> None:
    assert (factor(replace(row, active_share=None)).value > 0.8) == (factor(row).value > 0.8)


# --- the sentence ----------------------------------------------------------------------------------------------------


def test_the_sentence_says_how_many_sessions_go_to_different_hosts_and_how_active_they_are() -> None:
    bare = replace(swarm(7), unanswered_share=0.0)
    assert factor(bare).because == (
        "1,490 of 1,500 sessions go to different hosts, 94 % active, 98 % to ports above 1024"
    )


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (usage(7, 20, 1), "20 sessions go to one host, 50 % active"),
        (usage(7, 1, 1), "1 session goes to one host, 50 % active"),
        (usage(7, 0, 0), "0 of 0 sessions go to different hosts, 50 % active"),
        (replace(BROWSER, active_share=None), "35 of 60 sessions go to different hosts, idle times unknown"),
        (
            RESOLVER,
            "4,000 of 9,000 sessions go to different hosts, 50 % active, 97 % to port 53 (DNS): "
            "a resolver, not a swarm",
        ),
        (
            PROXY,
            "900 of 4,000 sessions go to different hosts, 50 % active, 90 % to port 443 (HTTPS): "
            "a proxy or a busy browser, not a swarm",
        ),
        (
            SERVER,
            "900 of 3,000 sessions go to different hosts, 90 % active, 99 % to ports above 1024: "
            "visitors of a server, it seems",
        ),
        (
            usage(7, 5000, 5000, unanswered_share=0.95, active_share=0.9, top_port=445, top_port_share=1.0),
            "5,000 of 5,000 sessions go to different hosts, 90 % active, 95 % unanswered, 100 % to port 445: a scanner",
        ),
    ],
)
def test_sentences(row: NatUsage, sentence: str) -> None:
    assert factor(row).because == sentence


def test_an_estimate_of_hosts_above_the_sessions_is_not_repeated() -> None:
    assert factor(usage(7, 100, 104)).because.startswith("100 of 100 sessions")


# --- the rule --------------------------------------------------------------------------------------------------------


def test_the_rule_finds_who_is_above_the_threshold_and_nobody_else() -> None:
    rows = (*seen_on("sw1", 7), *seen_on("sw1", 8))
    seen = attribute(network([swarm(7), usage(8)], [arp(7), arp(8)], rows))
    found = judge(Evidence(seen, NOON), RULE)
    rated = factor(swarm(7))
    assert found == (
        Finding(
            ClientId("mac:02:00:00:00:00:07"),
            "swarm",
            rated.value,
            0.8,
            rated.because,
            1,
            (arp(7).mac,),
            (arp(7).address,),
            seen.clients[0].location,
        ),
    )


def test_exactly_the_threshold_is_not_above_it() -> None:
    value = factor(swarm(7)).value
    found = attribute(network([swarm(7)], [arp(7)]))
    assert judge(Evidence(found, NOON), replace(RULE, above=value)) == ()


def test_consecutive_breaches_are_counted_per_rule_and_client() -> None:
    found = attribute(network([swarm(7)], [arp(7)]))
    streaks = {("swarm", "mac:02:00:00:00:00:07"): 2, ("other", "mac:02:00:00:00:00:07"): 9}
    assert [finding.streak for finding in judge(Evidence(found, NOON, streaks), RULE)] == [3]


@settings(deadline=None)
@given(st.lists(USAGES, max_size=5), st.floats(0, 1))
def test_the_rule_finds_exactly_those_whose_factor_is_above_it(usages: list[NatUsage], above: float) -> None:
    clients = tuple(
        Client(ClientId(f"mac:{mac(number)}"), (mac(number),), (), usage, None, "somewhere")
        for number, usage in enumerate(usages)
    )
    rule = replace(RULE, above=above)
    guilty = {client.identity for client, usage in zip(clients, usages, strict=True) if factor(usage).value > above}
    assert {found.client for found in judge(Evidence(Attribution(NOON, clients), NOON), rule)} == guilty
