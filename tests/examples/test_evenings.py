"""The examples: whole sites whose evening is played. Who is penalised, by which rule, and that nobody else is."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import evening_campus_vpn
import evening_conference
import evening_mail_server
import evening_netperf_server
import evening_penalty_box
import pytest
from evening_builders import Guest, mac

from switchguard.cli.rules import played_by
from switchguard.cli.wiring import Wiring
from switchguard.core.model import ClientId
from switchguard.core.penalties import Block, Notify, RateLimit, RestrictPorts, SessionCap
from switchguard.edge.evening import load_evening
from switchguard.edge.settings import load_site
from switchguard.replay import Played, Ruling

EXAMPLES = Path(__file__).parents[2] / "examples"
MAKERS = {
    "campus-vpn": evening_campus_vpn,
    "conference": evening_conference,
    "mail-server": evening_mail_server,
    "netperf-server": evening_netperf_server,
    "penalty-box": evening_penalty_box,
}
ALICE = ClientId("user:alice")
ROWS = {*(f"T{n}" for n in range(1, 18)), *(f"W{n}" for n in range(1, 5)), "V1", "V2"} | {
    *(f"P{n}" for n in range(1, 10)),
    *(f"N{n}" for n in range(1, 11)),
}


@cache
def played(name: str) -> Played:
    file = EXAMPLES / name / "evening.json.gz"
    return played_by(Wiring(load_site(EXAMPLES / name)), load_evening(file), file)


def by_rule(rulings: Iterable[Ruling]) -> Mapping[str, set[str]]:
    """Rule -> whom it hit."""
    found: dict[str, set[str]] = {}
    for it in rulings:
        found.setdefault(it.verdict.rule, set()).add(it.verdict.client)
    return found


def penalised(name: str) -> Mapping[str, set[str]]:
    return by_rule(it for rulings in played(name).penalised().values() for it in rulings if not it.only_told)


def told(name: str) -> Mapping[str, set[str]]:
    return by_rule(it for it in played(name).rulings if it.only_told and it.refusal is None)


def routine(name: str) -> Mapping[str, set[str]]:
    return by_rule(it for it in played(name).rulings if it.verdict.routine and it.refusal is None)


def spared(name: str) -> Mapping[str, set[str]]:
    return by_rule(it for it in played(name).rulings if it.refusal is not None)


def macs(*numbers: int) -> set[str]:
    return {f"mac:{mac(number)}" for number in numbers}


def addresses(*texts: str) -> set[str]:
    return {f"address:{text}" for text in texts}


def minute(name: str, number: int) -> datetime:
    begins: datetime = MAKERS[name].BEGINS
    return begins + timedelta(minutes=number)


def only(name: str, client: str, rule: str) -> Ruling:
    (ruling,) = (it for it in played(name).rulings if (it.verdict.client, it.verdict.rule) == (client, rule))
    return ruling


# --- the recordings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_the_recorded_evening_is_the_one_that_is_described(name: str) -> None:
    """After a change: `python tests/examples/make_evenings.py`."""
    assert load_evening(EXAMPLES / name / "evening.json.gz") == MAKERS[name].evening()


@pytest.mark.parametrize("name", MAKERS)
def test_every_look_was_judged_and_no_rule_was_blind(name: str) -> None:
    assert (played(name).paused, played(name).blind) == ((), ())


def test_nobody_does_two_things_at_a_time() -> None:
    with pytest.raises(ValueError, match="two things at a time"):
        Guest(
            "x", None, evening_conference.innocents()[0].address, None, evening_conference.offenders()[0].doing[:1] * 2
        )


# --- a conference ----------------------------------------------------------------------------------------------------


def test_at_the_conference_exactly_the_offenders_are_penalised() -> None:
    """25 and, with its new MAC, 30 run a swarm; 26 a small one, which costs it the high ports while the table is nearly
    full; 28 and 29 are one person's, who downloads more than a day's fair part with both."""
    assert penalised("conference") == {"swarm": macs(25, 30), "table": macs(26, 30), "fair": macs(28, 29)}


def test_at_the_conference_people_are_told_early_and_operators_in_time() -> None:
    assert told("conference") == {"early": {*macs(25, 26, 30), "address:10.10.0.131"}, "table": {"gateway:gw1"}}


def test_at_the_conference_what_everybody_has_is_nobodys_fault() -> None:
    assert routine("conference") == {
        "guests_rate": macs(32, 33),
        "guests_cap": macs(32, 33),
        "opt_in": macs(35),
        "slow_start": macs(25, 26, 27, 30),
    }


def test_a_copied_mac_gets_nobody_banned() -> None:
    assert spared("conference") == {"swarm": {"address:10.10.0.131"}}


def test_a_new_mac_is_found_within_three_polls() -> None:
    (first,), (again,) = macs(25), macs(30)
    assert only("conference", first, "swarm").verdict.since == minute("conference", 22)
    assert only("conference", again, "swarm").verdict.since == minute("conference", 64)


def test_the_penalties_of_the_conference_are_those_of_its_policy() -> None:
    kinds = {(it.verdict.rule, it.verdict.penalty) for it in played("conference").rulings if not it.verdict.routine}
    assert kinds == {
        ("early", Notify()),
        ("swarm", Block("mac")),
        ("table", Notify()),
        ("table", RestrictPorts(1024)),
        ("fair", RateLimit(1_000_000)),
    }


def test_five_gigabytes_at_full_speed_are_nobodys_business() -> None:
    (iso,) = macs(5)
    near = next(it for it in played("conference").nearest if it.finding.client == iso and it.rule.name == "hog")
    assert near.finding.value > 0.4
    assert iso not in played("conference").penalised()


# --- a penalty box ---------------------------------------------------------------------------------------------------


def test_into_the_penalty_box_go_exactly_those_who_fill_the_link() -> None:
    assert penalised("penalty-box") == {
        "hog": macs(25, 26),
        "terminals": macs(27),
        "swarm": addresses("10.99.0.7"),
    }


def test_the_box_is_left_at_midnight_and_not_before() -> None:
    """Its usage fell at once, for it is limited; that proves nothing."""
    for client in macs(25, 26):
        verdict = only("penalty-box", client, "hog").verdict
        assert (verdict.until, verdict.penalty) == (minute("penalty-box", 240), RateLimit(64_000))


def test_a_vpn_user_is_told_and_then_capped_but_never_blocked() -> None:
    assert [
        (it.verdict.penalty, it.verdict.offence)
        for it in played("penalty-box").rulings
        if it.verdict.client == "address:10.99.0.7"
    ] == [(Notify(), 1), (SessionCap(100), 2)]


def test_a_server_never_enters_the_box() -> None:
    assert spared("penalty-box") == {"hog": macs(6)}


def test_whoever_is_alone_on_the_link_may_have_all_of_it() -> None:
    """An ISO at 96 Mbit/s, a backup at 18.8 of 20: the link is full, and nobody else wants it."""
    alone = {str(it.finding.client): it.finding.value for it in played("penalty-box").nearest if it.rule.name == "hog"}
    assert all(alone[client] > 0.9 for client in macs(5, 8))


def test_in_the_hall_who_comes_near_the_quota_is_told() -> None:
    assert told("penalty-box") == {"polite": macs(25), "swarm": addresses("10.99.0.7")}


# --- a university's VPN ----------------------------------------------------------------------------------------------


def test_in_the_vpn_a_person_is_told_then_capped_then_limited_and_never_blocked() -> None:
    """Alice does not know that it runs: an hour to read the notice, then fewer sessions, then a slower line."""
    rulings = [it.verdict for it in played("campus-vpn").rulings if it.verdict.client == ALICE]
    assert [it.penalty for it in rulings[:3]] == [Notify(), SessionCap(100), RateLimit(2_000_000)]
    assert {it.penalty for it in rulings[3:]} == {RateLimit(2_000_000)}


def test_of_the_universitys_people_exactly_those_with_a_swarm_are_penalised() -> None:
    """Dora stopped when she was told. Bob got alice's address, with her translations in it. 25 lives in the dormitory,
    where there are MACs to block."""
    assert penalised("campus-vpn") == {"swarm": {ALICE, *macs(25)}}
    assert told("campus-vpn") == {"swarm": {ALICE, "user:dora", *macs(25)}}
    assert spared("campus-vpn") == {"swarm": {"user:mirror"}}


def test_a_person_is_one_client_with_all_addresses() -> None:
    clients = played("campus-vpn").clients
    assert [str(it) for it in clients[ClientId("user:erin")].addresses] == ["10.99.0.9", "2001:db8:99::9"]
    assert [str(it) for it in clients[ClientId("user:branch office")].addresses] == ["10.99.4.3", "10.99.4.4"]


# --- a mail server ---------------------------------------------------------------------------------------------------


def test_the_swing_at_four_in_the_morning_is_told_with_who_made_it() -> None:
    """Not the backup of every night, nor the busy hours of the day."""
    verdict = only("mail-server", "interface:gw1 wan0", "swing").verdict
    assert verdict.since == minute("mail-server", 16 * 60 + 30)
    assert "out where" in verdict.because
    assert f"busiest clients: mac:{mac(7)}" in verdict.because


def test_a_broken_client_is_told_then_shaped_and_never_blocked() -> None:
    (client,) = macs(8)
    steps = [it.verdict.penalty for it in played("mail-server").rulings if it.verdict.client == client]
    assert steps == [Notify(), RateLimit(256_000)]


def test_two_days_after_the_quota_it_is_free_again() -> None:
    (client,) = macs(9)
    ruling = only("mail-server", client, "moved_too_much")
    assert ruling.verdict.until == ruling.verdict.since + timedelta(days=2)
    assert ruling.release is not None


def test_of_the_mail_servers_customers_exactly_two_are_penalised() -> None:
    assert penalised("mail-server") == {"broken_client": macs(8), "moved_too_much": macs(9)}
    assert told("mail-server") == {"broken_client": macs(8), "swing": {"interface:gw1 wan0"}}
    assert (routine("mail-server"), spared("mail-server")) == ({}, {})


# --- a netperf server ------------------------------------------------------------------------------------------------


def test_of_the_netperf_servers_sources_exactly_the_machines_are_blocked() -> None:
    """Around the clock, in a burst, or hopping inside a /24. Not: busy afternoons, working days, now and then."""
    assert penalised("netperf-server") == {
        "abuse": {
            *addresses("198.51.100.7", "198.51.100.99", "192.0.2.40", "2001:db8:7::1"),
            "network:203.0.113.0/24",
        }
    }
    assert (told("netperf-server"), routine("netperf-server")) == ({}, {})


def test_an_exemption_is_for_the_whole_address() -> None:
    """192.0.2.4 is ours; 192.0.2.40 only begins like it."""
    assert spared("netperf-server") == {"abuse": addresses("192.0.2.4")}


def test_a_burst_is_caught_at_the_next_look() -> None:
    (burst,) = addresses("198.51.100.99")
    assert only("netperf-server", burst, "abuse").verdict.since == minute("netperf-server", 30 * 60 + 15)


def test_people_who_test_a_lot_and_sleep_are_left_alone() -> None:
    people = {str(it.finding.client): it for it in played("netperf-server").nearest}
    for client in addresses("198.51.100.20", "198.51.100.21"):
        assert people[client].finding.value > people[client].rule.above


# --- the field reports -----------------------------------------------------------------------------------------------


def test_every_row_that_a_policy_can_say_is_switched_on_somewhere() -> None:
    text = "".join((EXAMPLES / name / "switchguard.yaml").read_text() for name in MAKERS)
    assert ROWS - set(re.findall(r"\[([TWVPN]\d+)\]", text)) == set()


@pytest.mark.parametrize("name", MAKERS)
def test_a_site_names_every_rule_of_its_evening_and_writes_nothing_by_itself(name: str) -> None:
    site = load_site(EXAMPLES / name)
    assert site.policy.mode == "observe"
    assert {it.verdict.rule for it in played(name).rulings} <= {rule.name for rule in site.policy.rules}
