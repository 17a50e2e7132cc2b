"""A changed MAC through whole passes, with a real ledger: found, blocked, recognised, blocked again, and released."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from builders import NOON, arp, fdb, mac, network, swarm
from identity_builders import MINUTE, sketch
from plan_builders import CORE, CORE_FACTS

from switchguard.core.changes import Enforced, Enforcer
from switchguard.core.evidence import Evidence
from switchguard.core.model import Attribution, Mac, Mode, NatUsage, Snapshot, Table
from switchguard.core.penalties import Block, Exemption, PastPenalty, Release
from switchguard.core.policy import IdentityPolicy, Policy, Rule, Sentence, Zone
from switchguard.cycle import Doors, Pass, look, remember
from switchguard.edge.history import History, Note
from switchguard.edge.ledger import SqlLedger

FRESH = Mac(0xDA0000000007)
HOUR = timedelta(hours=1)
RULE = Rule("swarm", "naughty_factor", 0.8, 1, Sentence(Block(), HOUR))
POLICY = Policy(
    mode=Mode.ENFORCE,
    zones=(Zone("lan", (ip_network("10.10.0.0/16"),)),),
    rules=(RULE,),
    identity=IdentityPolicy(for_polls=1),
)


@dataclass
class Network:
    """What the devices say next, and everything else that a pass needs."""

    ledger: SqlLedger
    seen: Snapshot = field(default_factory=network)

    def shows(self, minutes: float, who: Mac, *nat: NatUsage) -> None:
        rows = (fdb("core", "Gi0/2", who), fdb("sw1", "Gi0/7", who), fdb("sw2", "Gi0/24", who))
        at = NOON + minutes * MINUTE
        found = network(nat, (arp(7, holder=who),), rows)
        self.seen = replace(found, at=at, readings=tuple(replace(it, at=at) for it in found.readings))

    def passes(self, policy: Policy = POLICY) -> Pass:
        done = look(policy, self.doors(), self.seen)
        remember(self.doors(), done)
        macs = [mac for client in done.attribution.clients for mac in client.macs]
        History(self.ledger.store).add(Note(self.seen.at, macs=macs), {})
        return done

    def doors(self) -> Doors:
        def gather(_tables: Collection[Table]) -> Snapshot:
            return self.seen

        def enforced() -> dict[str, Enforced]:
            return {CORE.name: {}}

        def recall(policy: Policy, _seen: Snapshot, found: Attribution, past: Sequence[PastPenalty]) -> Evidence:
            return Evidence(found, found.at, past=tuple(past), registry=policy.registry)

        enforcers: dict[str, Enforcer] = {CORE.name: Enforcer(CORE, CORE_FACTS)}
        return Doors(
            gather, enforced, lambda _: (), self.ledger, enforcers, lambda: self.seen.at, recall, lambda *_: None
        )


def talks(hosts: range, oldest_s: float) -> NatUsage:
    return replace(swarm(7, 800, len(hosts)), sketch=sketch(hosts), oldest_s=oldest_s, newest_s=1.0)


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Network]:
    made = Network(SqlLedger(tmp_path / "ledger.db", clock=lambda: NOON))
    made.shows(-120, mac(7))
    made.passes()
    yield made
    made.ledger.close()


def changed_mac(lan: Network) -> Pass:
    lan.shows(0, mac(7), talks(range(790), 600))
    lan.passes()
    lan.shows(2, FRESH, replace(talks(range(100, 790), 60), sessions=60))  # too few for the rule
    return lan.passes()


def test_the_penalty_follows_and_is_planned_like_any_other(lan: Network) -> None:
    seen = changed_mac(lan)
    first, second = seen.decision.standing
    assert (first.follows, second.follows, second.macs) == (None, first.id, (FRESH,))
    assert second.until == first.until == NOON + HOUR
    assert FRESH in {change.slot.station.mac for change in seen.plan.changes}
    assert [it.id for it in lan.ledger.standing()] == [first.id, second.id]


def test_an_exempt_client_is_recognised_and_left_alone(lan: Network) -> None:
    lan.ledger.add_exemption(Exemption("e1", "the speaker", mac=FRESH), "ada")
    seen = changed_mac(lan)
    assert FRESH not in {change.slot.station.mac for change in seen.plan.changes}
    (spared,) = seen.decision.spared
    assert (spared.macs, len(lan.ledger.standing())) == ((FRESH,), 1)
    assert [it.safeguard for it in seen.plan.refusals if it.verdict == spared.id] == ["exemption"]


def test_lifting_the_first_lifts_what_followed_and_nothing_comes_back(lan: Network) -> None:
    first, second = changed_mac(lan).decision.standing
    lan.ledger.sentence((), (Release(first, "pardoned (ada)"),), NOON + 3 * MINUTE)
    lan.shows(4, FRESH)
    seen = lan.passes()
    assert [(it.verdict.id, it.why) for it in seen.decision.released] == [
        (second.id, "the penalty that it follows has ended")
    ]
    assert lan.ledger.standing() == ()


def test_lifting_what_followed_leaves_it_lifted(lan: Network) -> None:
    first, second = changed_mac(lan).decision.standing
    lan.ledger.sentence((), (Release(second, "a mistake (ada)"),), NOON + 3 * MINUTE)
    for minutes in (4, 5):
        lan.shows(minutes, FRESH, replace(talks(range(100, 790), 60), sessions=60))
        assert [it.id for it in lan.passes().decision.standing] == [first.id]


def test_both_end_at_the_same_moment(lan: Network) -> None:
    changed_mac(lan)
    lan.shows(60, FRESH)
    assert len(lan.passes().decision.released) == 2
    assert lan.ledger.standing() == ()


def test_never_means_never(lan: Network) -> None:
    careful = replace(POLICY, identity=IdentityPolicy(follow_above=1.0, for_polls=1))
    lan.shows(0, mac(7), talks(range(790), 600))
    lan.passes(careful)
    lan.shows(2, FRESH, replace(talks(range(100, 790), 60), sessions=60))
    assert len(lan.passes(careful).decision.standing) == 1
    assert [it.new for it in lan.ledger.links()] == [FRESH]


# --- a person with several devices -----------------------------------------------------------------------------------

CABLE, RADIO = mac(7), mac(8)
ALICES = replace(
    POLICY, registry={CABLE: "alice", RADIO: "alice"}, identity=IdentityPolicy(per_person=True, for_polls=1)
)


def both_there(lan: Network, minutes: float, *nat: NatUsage) -> None:
    """The laptop by cable on sw1, and the same one by radio on another port of it."""
    rows = tuple(
        fdb(switch, port, who)
        for who, own in ((CABLE, "Gi0/7"), (RADIO, "Gi0/8"))
        for switch, port in (("core", "Gi0/2"), ("sw1", own), ("sw2", "Gi0/24"))
    )
    lan.shows(minutes, CABLE)
    found = network(nat, (arp(7, holder=CABLE), arp(8, holder=RADIO)), rows)
    lan.seen = replace(lan.seen, nat=found.nat, neighbors=found.neighbors, fdb=found.fdb)


def test_all_macs_of_a_person_are_blocked_by_one_penalty(lan: Network) -> None:
    both_there(lan, 0, talks(range(790), 600))
    seen = lan.passes(ALICES)
    (verdict,) = seen.decision.standing
    assert (verdict.client, verdict.macs) == ("user:alice", (CABLE, RADIO))
    assert {change.slot.station.mac for change in seen.plan.changes} == {CABLE, RADIO}


def test_the_device_that_a_person_takes_out_later_is_taken_in(lan: Network) -> None:
    lan.shows(0, CABLE, talks(range(790), 600))
    (alone,) = lan.passes(ALICES).decision.standing
    assert alone.macs == (CABLE,)
    both_there(lan, 2)
    seen = lan.passes(ALICES)
    assert [(it.id, it.macs) for it in seen.decision.standing] == [(alone.id, (CABLE, RADIO))]
    assert RADIO in {change.slot.station.mac for change in seen.plan.changes}


def test_an_exemption_of_one_device_spares_the_person(lan: Network) -> None:
    lan.ledger.add_exemption(Exemption("e1", "the lecture's recording", mac=RADIO), "ada")
    both_there(lan, 0, talks(range(790), 600))
    seen = lan.passes(ALICES)
    assert seen.plan.changes == ()
    assert {it.safeguard for it in seen.plan.refusals} == {"exemption"}


def test_without_the_setting_a_mac_is_a_client(lan: Network) -> None:
    both_there(lan, 0, talks(range(790), 600))
    seen = lan.passes(replace(ALICES, identity=IdentityPolicy(for_polls=1)))
    assert {change.slot.station.mac for change in seen.plan.changes} == {CABLE}
