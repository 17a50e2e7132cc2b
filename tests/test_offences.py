"""What is held against somebody, through whole passes with a real ledger: what was really got, and nothing that an
exemption covered."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from three_switches import CULPRIT, NOW, OTHER, POLICY, VERDICT, Network

from switchguard.core.changes import Outcome, Plan
from switchguard.core.decide import manual
from switchguard.core.evidence import Evidence
from switchguard.core.model import Attribution, Mode, Snapshot, Table
from switchguard.core.penalties import Block, Exemption, Notify, PastPenalty, Penalty, Release
from switchguard.core.policy import Policy, Rule, Safeguards, Sentence
from switchguard.cycle import Doors, Pass, one_pass
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.ledger_tables import exemptions

HOUR = timedelta(hours=1)
GROWING = Sentence(Block(), 2 * HOUR, 2.0, 48 * HOUR)
LADDER = Sentence(Notify(), HOUR, then=(Sentence(Block(), HOUR), Sentence(Block("address"), HOUR)))
NO_MORE = Safeguards(new_per_cycle=0)


def by(sentence: Sentence, **changes: object) -> Policy:
    """A rule that finds the culprit whenever it is at it."""
    rule = Rule("opt_in", "registered_only", 0.0, 1, sentence)
    return replace(POLICY, rules=(rule,), **changes)  # type: ignore[arg-type]  # fields by name


@dataclass
class Days:
    """Passes over the same three switches, some hours after the start; what is put there is there at once."""

    network: Network
    now: datetime = NOW
    at_it: bool = True

    def passes(self, policy: Policy, hours: float, at_it: bool = True) -> Pass:
        self.now, self.at_it = NOW + hours * HOUR, at_it
        return one_pass(policy, self.doors(), self.look(()))

    def look(self, _tables: Collection[Table]) -> Snapshot:
        seen = self.network.whole()
        return replace(seen, at=self.now, readings=tuple(replace(it, at=self.now) for it in seen.readings))

    def recall(
        self, _policy: Policy, _seen: Snapshot, attribution: Attribution, _past: Sequence[PastPenalty]
    ) -> Evidence:
        registry = {OTHER if self.at_it else CULPRIT: "ann"}
        return Evidence(attribution, self.now, registry=registry, first_seen={CULPRIT: NOW - 24 * HOUR})

    def apply(self, plan: Plan) -> tuple[Outcome, ...]:
        outcomes = tuple(Outcome(change, "verified", "", None, 0.0) for change in plan.changes)
        self.network.ledger.intend(plan)
        self.network.ledger.record(outcomes, self.now)
        return outcomes

    def doors(self) -> Doors:
        return replace(
            self.network.doors(), gather=self.look, apply=self.apply, clock=lambda: self.now, recall=self.recall
        )


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    ledger = SqlLedger(tmp_path / "ledger.db", clock=lambda: NOW)
    yield Days(Network(ledger))
    ledger.close()


def sentence_of(seen: Pass) -> tuple[int, Penalty, timedelta]:
    """How many times, what, and for how long."""
    (verdict,) = seen.decision.standing
    assert verdict.until is not None
    return verdict.offence, verdict.penalty, verdict.until - verdict.since


def test_what_was_enforced_makes_the_next_one_longer(days: Days) -> None:
    assert sentence_of(days.passes(by(GROWING), 0)) == (1, Block(), 2 * HOUR)
    offence, _, term = sentence_of(days.passes(by(GROWING), 2))
    assert (offence, term > 3.9 * HOUR) == (2, True)


def test_a_day_of_observing_is_no_offence(days: Days) -> None:
    for hours in range(0, 24, 2):
        assert days.passes(by(GROWING, mode=Mode.OBSERVE), hours).plan.changes == ()
    assert sentence_of(days.passes(by(GROWING), 24)) == (1, Block(), 2 * HOUR)


def test_what_began_while_observing_counts_once_it_is_put_somewhere(days: Days) -> None:
    days.passes(by(GROWING, mode=Mode.OBSERVE), 0)
    assert len(days.passes(by(GROWING), 1).outcomes) == 1
    assert sentence_of(days.passes(by(GROWING), 2))[0] == 2


def test_what_a_brake_refused_is_no_offence(days: Days) -> None:
    braked = by(GROWING, safeguards=NO_MORE)
    assert [it.safeguard for it in days.passes(braked, 0).plan.refusals] == ["blast_radius"]
    assert sentence_of(days.passes(by(GROWING), 2)) == (1, Block(), 2 * HOUR)


def test_a_step_of_a_ladder_that_nobody_got_is_taken_again(days: Days) -> None:
    assert sentence_of(days.passes(by(LADDER), 0))[:2] == (1, Notify())
    assert sentence_of(days.passes(by(LADDER, safeguards=NO_MORE), 1))[:2] == (2, Block())
    assert sentence_of(days.passes(by(LADDER), 2))[:2] == (2, Block())
    assert sentence_of(days.passes(by(LADDER), 3))[:2] == (3, Block("address"))


def test_who_was_told_nothing_while_the_site_observed_is_told_first(days: Days) -> None:
    watching = by(LADDER, mode=Mode.OBSERVE)
    assert sentence_of(days.passes(watching, 0))[:2] == (1, Notify())
    assert sentence_of(days.passes(watching, 1))[:2] == (1, Notify())
    assert sentence_of(days.passes(by(LADDER), 2))[:2] == (1, Notify())
    assert sentence_of(days.passes(by(LADDER), 3))[:2] == (2, Block())


def test_a_block_that_a_person_lifted_was_one_all_the_same(days: Days) -> None:
    (verdict,) = days.passes(by(GROWING), 0).decision.standing
    days.network.ledger.sentence((), (Release(verdict, "pardoned (ada)"),), days.now)
    days.passes(by(GROWING), 0.5, at_it=False)
    assert sentence_of(days.passes(by(GROWING), 1))[0] == 2


# --- exemptions ------------------------------------------------------------------------------------------------------


STRESS_TEST = Exemption("e1", "a stress test, agreed with us", mac=CULPRIT, until=NOW + HOUR)
FOR_WEEKS = Sentence(Block(), timedelta(weeks=2))
FOR_EVER = Sentence(Block(), None)


@pytest.mark.parametrize("sentence", [FOR_WEEKS, FOR_EVER], ids=["for weeks", "until somebody lifts it"])
def test_what_was_done_while_exempt_is_not_held_against_anybody_later(days: Days, sentence: Sentence) -> None:
    days.network.ledger.add_exemption(STRESS_TEST, "ada")
    exempt = days.passes(by(sentence), 0)
    assert (exempt.decision.standing, days.network.ledger.standing()) == ((), ())
    after = days.passes(by(sentence), 72, at_it=False)
    assert (after.plan.changes, after.decision.standing) == ((), ())


def test_who_is_spared_is_told_in_every_plan_and_why(days: Days) -> None:
    days.network.ledger.add_exemption(STRESS_TEST, "ada")
    for hours in (0, 0.5):
        (refusal,) = days.passes(by(FOR_WEEKS), hours).plan.refusals
        assert (refusal.safeguard, refusal.why) == ("exemption", f"it is exempt: {STRESS_TEST.why}")


def test_who_goes_on_when_the_exemption_is_over_is_penalised_then(days: Days) -> None:
    days.network.ledger.add_exemption(STRESS_TEST, "ada")
    days.passes(by(GROWING), 0)
    assert sentence_of(days.passes(by(GROWING), 1)) == (1, Block(), 2 * HOUR)


def test_a_penalty_ends_for_good_when_its_client_becomes_exempt(days: Days) -> None:
    days.passes(by(FOR_WEEKS), 0)
    days.network.ledger.add_exemption(STRESS_TEST, "ada")
    seen = days.passes(by(FOR_WEEKS), 0.5)
    assert [it.why for it in seen.decision.released] == [f"it is exempt: {STRESS_TEST.why}"]
    assert [it.after for it in seen.plan.changes] == [None]
    assert (days.network.ledger.standing(), days.network.ledger.held()) == ((), ())
    assert days.passes(by(FOR_WEEKS), 2, at_it=False).plan.changes == ()
    assert sentence_of(days.passes(by(FOR_WEEKS), 3))[0] == 2, "it was served until then"


def test_an_exemption_during_a_pause_counts_too(days: Days) -> None:
    days.network.ledger.add_exemption(STRESS_TEST, "ada")
    days.network.ledger.pause("works on the core", "ada")
    assert [it.safeguard for it in days.passes(by(FOR_WEEKS), 0).plan.refusals] == ["paused", "exemption"]
    days.network.ledger.resume("ada")
    assert days.passes(by(FOR_WEEKS), 72, at_it=False).plan.changes == ()


def test_what_a_person_asked_for_stays_whatever_is_exempt(days: Days) -> None:
    """It waits, or overrides; who asked knows."""
    days.network.ledger.add_exemption(STRESS_TEST, "ada")
    waits = manual(VERDICT.client, Block(), NOW, None, "complaints", "ada", macs=(CULPRIT,))
    overrides = replace(waits, id="1", override_exemption=True)
    days.network.ledger.sentence((waits, overrides), (), NOW)
    seen = days.passes(by(FOR_WEEKS), 0.5, at_it=False)
    assert {it.id for it in days.network.ledger.standing()} == {waits.id, "1"}
    assert [(it.after, it.verdicts) for it in seen.plan.changes] == [(Block(), ("1",))]


def test_while_exemptions_cannot_be_read_nothing_ends_by_one(days: Days) -> None:
    days.passes(by(FOR_WEEKS), 0)
    days.network.ledger.add_exemption(STRESS_TEST, "ada")
    with days.network.ledger.store.writing() as connection:
        connection.execute(exemptions.update().values(exemption="{"))
    seen = days.passes(by(FOR_WEEKS), 0.5)
    assert (seen.plan.changes, seen.decision.released, len(seen.decision.standing)) == ((), (), 1)
