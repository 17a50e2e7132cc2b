"""From the tables of a small network to the lines on its switch, through every step of the core."""

from collections.abc import Mapping

from builders import NOON, arp, mac, network, seen_on, swarm, usage
from plan_builders import ENFORCERS, HOUR, Reality, policy

from switchguard.core.attribute import attribute
from switchguard.core.changes import Enforced, Plan, Slot
from switchguard.core.decide import decide
from switchguard.core.explain import location_sentence
from switchguard.core.model import FdbEntry, Gap, Snapshot, Station
from switchguard.core.penalties import Block, Finding, Verdict
from switchguard.core.plan import plan
from switchguard.core.policy import Policy, Rule, Sentence

NOTHING: Mapping[str, Enforced | Gap] = {name: {} for name in ENFORCERS}
RULE = Rule("swarm", "naughty_factor", 0.8, 1, Sentence(Block(), 2 * HOUR))


def snapshot(*rows: FdbEntry) -> Snapshot:
    return network([swarm(7), usage(8)], [arp(7), arp(8)], (*rows, *seen_on("sw2", 8)))


def verdicts() -> tuple[Verdict, ...]:
    client = next(it for it in attribute(snapshot()).clients if mac(7) in it.macs)
    found = Finding(client.identity, "swarm", 0.95, 0.8, "1,490 hosts", 1, client.macs, client.addresses)
    return decide([found], (), (), Policy(rules=(RULE,)), NOON).standing


def plan_on(tables: Snapshot, reality: Reality, wanted: tuple[Verdict, ...]) -> Plan:
    return plan(
        wanted=wanted,
        attribution=attribute(tables),
        held=reality.held,
        enforced=reality.enforced,
        enforcers=ENFORCERS,
        exemptions=(),
        policy=policy("access"),
        paused=None,
        now=NOON,
    )


def block(device: str) -> Slot:
    return Slot(device, "block", Station(vlan=10, mac=mac(7)))


def test_a_swarm_is_blocked_on_its_switch_and_followed_to_the_next() -> None:
    reality = Reality(NOTHING)
    first = plan_on(snapshot(*seen_on("sw1", 7)), reality, verdicts())
    assert [(it.slot, it.after) for it in first.changes] == [(block("sw1"), Block())]
    assert [it.addresses for it in first.flushes] == [verdicts()[0].addresses]
    reality = reality.after(first)
    hidden = snapshot()
    assert plan_on(hidden, reality, verdicts()) == Plan(NOON), "its drop entry hides it: the block stays"
    moved = snapshot(*seen_on("sw2", 7))
    second = plan_on(moved, reality, verdicts())
    assert [(it.slot, it.after) for it in second.changes] == [(block("sw2"), Block())]
    reality = reality.after(second)
    third = plan_on(moved, reality, verdicts())
    assert [(it.slot, it.after) for it in third.changes] == [(block("sw1"), None)]
    reality = reality.after(third)
    assert [it.slot for it in reality.held] == [block("sw2")]
    assert [(it.slot, it.after) for it in plan_on(moved, reality, ()).changes] == [(block("sw2"), None)]


def test_a_mac_that_somebody_copied_is_blocked_nowhere() -> None:
    copied = snapshot(*seen_on("sw1", 7), *seen_on("sw2", 7))
    made = plan_on(copied, Reality(NOTHING), verdicts())
    assert (made.changes, [it.safeguard for it in made.refusals]) == ((), ["copied_mac"])


def test_the_place_it_was_decided_on_can_be_told() -> None:
    client = next(it for it in attribute(snapshot(*seen_on("sw1", 7))).clients if mac(7) in it.macs)
    assert location_sentence(client.location) == "sw1 port Gi0/7, VLAN 10, seen 0 s ago, confidence 1.00"
