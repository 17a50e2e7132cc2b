"""All rules together: who may be judged, and how breaches add up over polls."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from builders import NOON, arp, mac, network, seen_on, swarm, usage

from switchguard.core.attribute import attribute
from switchguard.core.evidence import Evidence, Streaks, age
from switchguard.core.model import Attribution, ClientId, Gap, Neighbor
from switchguard.core.penalties import Block, Finding, PastPenalty
from switchguard.core.policy import Rule, RuleParams, Sentence
from switchguard.core.rules import KINDS, advance, judge_all, new_device

SWARM = Rule("swarm", "naughty_factor", above=0.8, for_polls=3, sentence=Sentence(Block()))
STRICT = Rule("strict", "naughty_factor", above=0.1, for_polls=1, sentence=Sentence(Block()))
SEVEN = ClientId("mac:02:00:00:00:00:07")


def seen(attribution: Attribution, streaks: Streaks | None = None) -> Evidence:
    return Evidence(attribution, NOON, streaks or {})


def breach(streak: int, client: ClientId = SEVEN) -> Finding:
    return Finding(client, "swarm", 0.9, 0.8, "", streak)


def test_the_folder_is_the_list_of_kinds() -> None:
    assert set(KINDS) == {
        "connections",
        "copied_mac",
        "everyone",
        "nat_pressure",
        "naughty_factor",
        "new_device",
        "quota",
        "registered_only",
        "share_of_link",
        "unusual_traffic",
    }
    assert all(kind == module.KIND for kind, module in KINDS.items())


def test_every_rule_is_asked_and_findings_come_in_order() -> None:
    snapshot = network([swarm(8), swarm(7)], [arp(7), arp(8)], (*seen_on("sw1", 7), *seen_on("sw1", 8)))
    found = judge_all(seen(attribute(snapshot)), [SWARM, STRICT])
    eight = ClientId("mac:02:00:00:00:00:08")
    assert [(it.rule, it.client) for it in found] == [
        ("strict", SEVEN),
        ("strict", eight),
        ("swarm", SEVEN),
        ("swarm", eight),
    ]


def test_an_unknown_kind_lists_those_there_are() -> None:
    rule = Rule("mine", "naughty_facter", 0.8, 3, Sentence(Block()))
    message = "rule 'mine': no kind of rule called 'naughty_facter'; there are: connections, copied_mac, "
    with pytest.raises(ValueError, match=message):
        judge_all(seen(attribute(network())), [rule])


def test_swarms_over_ipv4_and_ipv6_are_judged_as_one() -> None:
    six = ip_address("2001:db8::7")
    rows = [
        usage(address, 160, 160, high_port_share=1, active_share=1, sketch=range(first, first + 160))
        for address, first in ((7, 1), (six, 1000))
    ]
    neighbors = [arp(7), Neighbor("gw", "lan0", six, mac(7))]
    (finding,) = judge_all(seen(attribute(network(rows, neighbors))), [SWARM])
    assert finding.because.startswith("320 of 320 sessions")


def test_a_contested_address_is_not_judged() -> None:
    found = attribute(network([swarm(7)], [arp(7), arp(7, holder=mac(8))]))
    assert judge_all(seen(found), [SWARM]) == ()


def test_an_address_that_never_had_a_mac_is_judged_by_its_address() -> None:
    (finding,) = judge_all(seen(attribute(network([swarm(7)]))), [SWARM])
    assert finding.client == "address:10.10.0.7"


def test_an_address_without_mac_waits_while_an_arp_table_is_missing() -> None:
    """It may belong to a machine that is exempt by its MAC."""
    found = attribute(network([swarm(7)], without=[("gw", "arp")]))
    assert judge_all(seen(found), [SWARM]) == ()


def test_a_client_on_two_ports_is_judged_although_nothing_can_be_done_at_a_port() -> None:
    rows = (*seen_on("sw1", 7), *seen_on("sw2", 7))
    assert len(judge_all(seen(attribute(network([swarm(7)], [arp(7)], rows))), [SWARM])) == 1


def test_a_streak_grows_poll_by_poll_and_ends_with_the_breach() -> None:
    found = attribute(network([swarm(7)], [arp(7)]))
    streaks = advance({}, judge_all(seen(found), [SWARM]))
    assert streaks == {("swarm", SEVEN): 1}
    streaks = advance(streaks, judge_all(seen(found, streaks), [SWARM]))
    assert streaks == {("swarm", SEVEN): 2}
    calm = attribute(network([usage(7)], [arp(7)]))
    assert advance(streaks, judge_all(seen(calm, streaks), [SWARM])) == {}


@pytest.mark.parametrize("gap", [Gap("gw", "nat", "silent"), Gap("gw", "arp", "silent")])
def test_a_missing_table_pauses_streaks_of_whom_it_hides(gap: Gap) -> None:
    other = ClientId("mac:02:00:00:00:00:08")
    before: dict[tuple[str, str], int] = {("swarm", SEVEN): 2, ("swarm", other): 1}
    assert advance(before, [breach(3)], [gap]) == {("swarm", SEVEN): 3, ("swarm", other): 1}


def test_a_missing_forwarding_table_hides_no_usage() -> None:
    assert advance({("swarm", SEVEN): 2}, [], [Gap("sw1", "fdb", "no answer in time")]) == {}


# --- evidence --------------------------------------------------------------------------------------------------------


def test_parameters_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="rule 'swarm' of kind quota has the parameters of another kind"):
        judge_all(seen(attribute(network())), [replace(SWARM, kind="quota", params=everyone_else())])


def everyone_else() -> RuleParams:
    return new_device.Params()


def test_every_kind_of_rule_finds_nobody_where_there_is_no_evidence() -> None:
    nobody = Evidence(Attribution(NOON, ()), NOON)
    assert judge_all(nobody, [Rule("r", kind, 0.0, 1, Sentence(Block())) for kind in KINDS]) == ()


def test_every_kind_of_rule_finds_nobody_in_a_quiet_network_without_history() -> None:
    """A site that has switched everything on, in its first minute."""
    quiet = attribute(network([usage(7), usage(8, 60, 35)], [arp(7), arp(8)]))
    rules = [Rule("r", kind, 0.8, 1, Sentence(Block())) for kind in KINDS]
    assert judge_all(seen(quiet), rules) == ()


def test_a_clock_that_went_back_makes_nothing_older() -> None:
    assert age(NOON, NOON + timedelta(hours=1)) == timedelta(0)


def test_a_person_is_found_by_any_registered_mac_else_by_name() -> None:
    (client,) = attribute(network([usage(7)], [arp(7)])).clients
    alone = Evidence(Attribution(NOON, (client,)), NOON)
    assert alone.person(client) is None
    assert alone.person(replace(client, owner="ann")) == "ann"
    assert replace(alone, registry={mac(7): "bob"}).person(replace(client, owner="ann")) == "bob"


def test_the_last_release_counts() -> None:
    ends = (NOON - timedelta(hours=3), NOON - timedelta(hours=1))
    past = tuple(PastPenalty(SEVEN, "swarm", NOON - timedelta(days=1), end) for end in ends)
    evidence = replace(seen(attribute(network())), past=past)
    assert evidence.released(SWARM, SEVEN) == ends[1]
    assert evidence.released(STRICT, SEVEN) is None
