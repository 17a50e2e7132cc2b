"""All MACs registered to one person as one client."""

from dataclasses import replace
from datetime import timedelta

from builders import NOON, arp, ip, mac, network, seen_on, swarm

from switchguard.core.attribute import attribute
from switchguard.core.evidence import Evidence, Traffic
from switchguard.core.model import ClientId
from switchguard.core.penalties import Block, Verdict
from switchguard.core.person import as_people, together, widened
from switchguard.core.policy import Rule, Sentence
from switchguard.core.rules import judge_all

REGISTRY = {mac(7): "ada", mac(8): "ada", mac(9): "bob"}
NAT = [swarm(7, 110, 110), swarm(8, 110, 110), swarm(11, 110, 110)]
ATTRIBUTION = attribute(
    network(
        NAT,
        [arp(number) for number in (7, 8, 11)],
        [row for number in (7, 8, 11) for row in seen_on("sw1", number)],
    )
)
ADA = ClientId("user:ada")
RULE = Rule("swarm", "naughty_factor", 0.6, 1, Sentence(Block()))


def test_wired_and_wireless_of_one_person_are_one_client_and_a_stranger_stays_one() -> None:
    people = {client.identity: client for client in together(ATTRIBUTION, REGISTRY).clients}
    ada = people[ADA]
    assert (ada.macs, ada.owner) == ((mac(7), mac(8)), "ada")
    assert set(ada.addresses) == {ip(7), ip(8)}
    assert ada.usage is not None
    assert ada.usage.sessions == 220
    assert ClientId(f"mac:{mac(11)}") in people
    assert ClientId("user:bob") not in people


def test_rules_see_the_sum_and_name_all_of_the_persons_macs() -> None:
    alone = Evidence(ATTRIBUTION, NOON, registry=REGISTRY)
    assert judge_all(alone, [RULE]) == ()
    (found,) = judge_all(as_people(alone), [RULE])
    assert (found.client, found.macs) == (ADA, (mac(7), mac(8)))


def test_traffic_of_the_same_minute_is_added_up_and_counted_once() -> None:
    def moved(octets: int, minute: int = 0) -> Traffic:
        start = NOON + timedelta(minutes=minute)
        return Traffic(start, start + timedelta(minutes=1), octets, 0)

    traffic = {
        ClientId(f"mac:{mac(7)}"): (moved(5), moved(1, 1)),
        ClientId(f"mac:{mac(8)}"): (moved(7),),
        ClientId(f"mac:{mac(11)}"): (moved(9),),
    }
    found = as_people(Evidence(ATTRIBUTION, NOON, traffic=traffic, registry=REGISTRY)).traffic
    assert found == {ADA: (moved(12), moved(1, 1)), ClientId(f"mac:{mac(11)}"): (moved(9),)}


def test_without_a_registry_nothing_changes() -> None:
    evidence = Evidence(ATTRIBUTION, NOON)
    assert as_people(evidence) == evidence


def test_what_the_person_brings_along_later_is_taken_in_but_not_by_a_persons_own_request() -> None:
    verdict = Verdict("v1", ADA, "swarm", Block(), NOON, None, "", (mac(7),))
    asked = replace(verdict, requested_by="eve")
    assert widened([verdict, asked], ATTRIBUTION, REGISTRY) == (replace(verdict, macs=(mac(7), mac(8))), asked)
