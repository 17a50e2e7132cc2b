"""What a stream saw: quick because few devices are asked, and as careful as any other pass."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest
from three_switches import CULPRIT, EVERYWHERE, NOW, POLICY, VERDICT, Network

from switchguard.between import pass_on_sight
from switchguard.core.changes import Facts
from switchguard.core.model import NatUsage, Snapshot
from switchguard.core.penalties import Block, Exemption, Quarantine
from switchguard.core.policy import Policy, Rule, Sentence, Zone
from switchguard.core.tally import Crossing
from switchguard.cycle import PLACES, Pass
from switchguard.edge.ledger import SqlLedger

USAGE = NatUsage("gw", IPv4Address("10.10.0.7"), 900, 900, 900, 0.3, 0.7, None, 1.0, 1.0)
CROSSING = Crossing("swarm", USAGE, 0.97, 3)
RULE = Rule("swarm", "naughty_factor", 0.5, 2, Sentence(Block()))
POLICED = replace(POLICY, rules=(RULE,))


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(SqlLedger(str(tmp_path / "ledger.db")))


def sight(
    network: Network, before: Snapshot, policy: Policy = POLICED, crossing: Crossing = CROSSING
) -> tuple[Pass, list[set[str]], list[set[str]]]:
    """The pass, who was asked for places during it, in turn, and who for what it enforces."""
    network.asked, network.asked_enforced = [], []
    seen = pass_on_sight(policy, network.doors(), [crossing], before)
    assert {tables for names, tables in network.asked if names != {"gw"}} == {PLACES}
    return seen, [set(names) for names, _ in network.asked], [set(names) for names in network.asked_enforced]


def test_only_the_gateway_and_the_clients_own_switch_are_asked(network: Network) -> None:
    seen, read, enforced = sight(network, network.whole())
    assert network.blocked_on() == {"sw1"}
    assert (read, enforced) == ([{"gw"}, {"sw1"}], [{"sw1"}])
    assert {device.name for device in seen.snapshot.devices} == EVERYWHERE
    assert [verdict.macs for verdict in network.ledger.standing()] == [(CULPRIT,)]


def test_who_is_not_there_any_more_is_looked_for_everywhere(network: Network) -> None:
    before = network.whole()
    network.plugged_into = "sw3"
    _, read, enforced = sight(network, before)
    assert network.blocked_on() == {"sw3"}
    assert (read, enforced[-1]) == ([{"gw"}, {"sw1"}, EVERYWHERE], {"sw3"})


def test_whom_nobody_knows_is_looked_for_everywhere(network: Network) -> None:
    before = network.whole()
    _, read, _ = sight(network, replace(before, neighbors=()))
    assert read == [EVERYWHERE]
    assert network.blocked_on() == {"sw1"}


def test_before_a_whole_port_is_acted_upon_every_switch_is_read(network: Network) -> None:
    network.facts = Facts({"quarantine": ("port",)})
    rule = replace(RULE, sentence=Sentence(Quarantine(99)))
    _, read, _ = sight(network, network.whole(), replace(POLICED, rules=(rule,)))
    assert read == [{"gw"}, {"sw1"}, EVERYWHERE]
    assert [change.slot.station.port for change in network.plans[-1].changes] == ["Gi0/7"]


def test_other_peoples_penalties_are_left_to_the_next_pass_of_the_schedule(network: Network) -> None:
    over = replace(VERDICT, until=NOW)
    network.ledger.sentence([over], [], NOW)
    seen, _, enforced = sight(network, network.whole(), crossing=replace(CROSSING, rule="another rule"))
    assert (seen.plan.changes, seen.decision.released, enforced) == ((), (), [])
    assert [verdict.id for verdict in network.ledger.standing()] == [over.id]


def test_a_client_that_is_exempt_is_exempt_here_too(network: Network) -> None:
    spared = replace(POLICED, exemptions=(Exemption("server", "it serves", network=ip_network("10.10.0.7/32")),))
    seen, _, enforced = sight(network, network.whole(), spared)
    assert (seen.plan.changes, enforced) == ((), [])
    assert [refusal.safeguard for refusal in seen.plan.refusals] == ["exemption"]
    assert network.ledger.standing() == (), "nothing waits for the end of the exemption"


def test_a_place_that_cannot_do_it_is_not_taken_for_one_that_was_not_asked(network: Network) -> None:
    """The zone wants the core, which this network's switches are not; the next place is the client's own switch."""
    core = replace(POLICED, zones=(Zone("all", (ip_network("10.10.0.0/16"),), "core"),))
    _, _, enforced = sight(network, network.whole(), core)
    assert (network.blocked_on(), enforced) == ({"sw1"}, [{"sw1"}])
