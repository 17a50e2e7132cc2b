"""Whichever way a pass is made, what people are told is in the ledger with the verdicts, and once."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from three_switches import CULPRIT, NOW, POLICY, VERDICT, Network

from switchguard.between import pass_on_hint
from switchguard.core.changes import Change, Outcome, Plan, Slot
from switchguard.core.letters import Addressee, Contact, Register
from switchguard.core.model import Attribution, Gap
from switchguard.core.notices import News, Telling, letters
from switchguard.core.penalties import Block, Decision, Notify, Penalty, Release
from switchguard.cycle import Doors, look, one_pass
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.notify_outbox import Outbox

TELLING = Telling(people=True)
WITH_OPERATORS = Telling(people=True, operators=1, digest_at=time(8))
REGISTER = Register({CULPRIT: "Ada"}, {"Ada": Contact("ada@example.org")})
ADA = Addressee("person", "Ada", "ada@example.org", "en")


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(SqlLedger(str(tmp_path / "ledger.db")))


Fate = Callable[[Change], Outcome]


def works(change: Change) -> Outcome:
    return Outcome(change, "verified", "", None, 0.1)


def moved(change: Change) -> Outcome:
    return Outcome(change, "refused", "02:00:00:00:00:07 is on several ports now: sw1 Gi0/7, sw1 Gi0/9", None, 0.1)


def breaks(change: Change) -> Outcome:
    return Outcome(change, "failed", "connection lost", None, 0.1)


def doors(network: Network, fate: Fate = works, telling: Telling = TELLING) -> Doors:
    """Devices on which a push becomes what `fate` says."""

    def apply(plan: Plan) -> tuple[Outcome, ...]:
        network.apply(plan)
        outcomes = tuple(map(fate, plan.changes))
        network.ledger.record(outcomes, NOW)
        return outcomes

    def enforced(names: Collection[str] = ("sw1", "sw2", "sw3")) -> Any:
        there: dict[str, dict[Slot, Penalty]] = {name: {} for name in names if name.startswith("sw")}
        for held in network.ledger.held():
            if held.state in ("verified", "pushed") and held.slot.device in there:
                there[held.slot.device][held.slot] = held.penalty
        return there

    return replace(
        network.doors(),
        apply=apply,
        enforced=enforced,
        enforced_on=enforced,
        letters=lambda news: letters(news, POLICY, telling, REGISTER),
    )


def told(network: Network) -> list[Addressee]:
    """What is sent, or will be when its time has come."""
    return [it.letter.to for it in Outbox(network.ledger.store).entries() if it.state != "planned"]


def notes(network: Network) -> list[str]:
    """To operators."""
    found = Outbox(network.ledger.store).entries()
    return [it.letter.facts.note for it in found if it.letter.to.kind == "operators" and it.state != "planned"]


def test_who_is_blocked_by_a_pass_of_the_schedule_is_told(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    one_pass(POLICY, doors(network), network.whole())
    assert told(network) == [ADA]


def test_who_is_blocked_after_a_hint_is_told_and_once_wherever_they_move(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    seen = pass_on_hint(POLICY, doors(network), ["sw1"], network.whole())
    assert seen is not None
    network.plugged_into = "sw2"
    pass_on_hint(POLICY, doors(network), ["sw2"], seen.snapshot)
    assert {held.slot.device for held in network.ledger.held()} == {"sw2"}
    assert told(network) == [ADA]


def test_a_site_that_tells_nobody_writes_no_letters(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    one_pass(POLICY, network.doors(), network.whole())
    assert told(network) == []


def test_letters_and_verdicts_are_written_together_or_not_at_all(network: Network) -> None:
    (letter,) = letters(decided(network), POLICY, TELLING, REGISTER)
    unwritable = replace(letter, due=None)  # type: ignore[arg-type] # so that it cannot be written
    with pytest.raises(TypeError):
        network.ledger.sentence([replace(VERDICT, id="swarm-8")], [], NOW, [unwritable])
    assert network.ledger.standing() == ()
    assert told(network) == []


def decided(network: Network) -> News:
    network.ledger.sentence([VERDICT], [], NOW)
    seen = look(POLICY, network.doors(), network.whole())
    network.ledger.sentence((), [Release(VERDICT, "only for this")], NOW)
    return News(seen.decision, seen.plan, seen.attribution)


# --- what came to nothing, and what came to something after all -----------------------------------------------------


@pytest.mark.parametrize("fate", [moved, breaks])
def test_nobody_is_told_of_a_block_that_no_device_got_and_operators_why(network: Network, fate: Fate) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    one_pass(POLICY, doors(network, fate, WITH_OPERATORS), network.whole())
    assert ADA not in told(network)
    assert notes(network) == [f"not done: sw1: {fate(decided_change(network)).why}"]


def test_who_is_blocked_in_the_second_attempt_is_told_then_and_with_the_numbers_of_the_first(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    for fate in (moved, breaks, works, works):
        one_pass(POLICY, doors(network, fate), network.whole())
    assert told(network) == [ADA]


def test_operators_who_have_not_heard_of_the_failure_yet_hear_only_of_the_success(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    for fate in (moved, works):
        one_pass(POLICY, doors(network, fate, WITH_OPERATORS), network.whole())
    assert notes(network) == [""]


def test_operators_who_have_heard_of_the_failure_hear_of_the_success_too(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    one_pass(POLICY, doors(network, breaks, WITH_OPERATORS), network.whole())
    outbox = Outbox(network.ledger.store)
    outbox.sent(outbox.peek("operators 1", NOW + timedelta(days=1)), NOW, "operators 1")
    for fate in (works, works):
        one_pass(POLICY, doors(network, fate, WITH_OPERATORS), network.whole())
    assert sorted(notes(network)) == ["", "not done: sw1: connection lost"]


def test_a_device_that_could_not_be_read_is_no_news_any_more_when_it_was_done_a_minute_later(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    there = doors(network, works, WITH_OPERATORS)
    down = {name: Gap(name, "enforced", "connection timed out") for name in ("sw1", "sw2", "sw3")}
    one_pass(POLICY, replace(there, enforced=lambda: down, enforced_on=lambda _names: down), network.whole())
    assert [note.startswith("not done: ") for note in notes(network)] == [True]
    one_pass(POLICY, there, network.whole())
    assert notes(network) == [""]
    assert ADA in told(network)


def test_what_is_done_is_not_said_to_be_undone_when_a_device_cannot_be_read_later(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    there = doors(network, works, WITH_OPERATORS)
    one_pass(POLICY, there, network.whole())
    down = {name: Gap(name, "enforced", "connection timed out") for name in ("sw1", "sw2", "sw3")}
    network.plugged_into = "sw2"
    one_pass(POLICY, replace(there, enforced=lambda: down, enforced_on=lambda _names: down), network.whole())
    assert notes(network) == [""]


@pytest.mark.parametrize("pushed", [False, True])
def test_who_dies_between_push_and_outcome_loses_no_letter_and_tells_nobody_twice(
    network: Network, pushed: bool
) -> None:
    network.ledger.sentence([VERDICT], [], NOW)

    class Killed(BaseException):
        """As by a signal."""

    def dies(plan: Plan) -> tuple[Outcome, ...]:
        network.ledger.intend(plan)
        network.ledger.pushed(plan.changes if pushed else (), NOW)
        raise Killed

    with pytest.raises(Killed):
        one_pass(POLICY, replace(doors(network), apply=dies), network.whole())
    assert told(network) == []
    for _ in range(2):
        one_pass(POLICY, doors(network), network.whole())
    assert told(network) == [ADA]


def test_what_was_lifted_before_any_device_had_it_is_told_to_nobody_not_even_its_end(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    telling = replace(TELLING, ends="everyone")
    one_pass(POLICY, doors(network, breaks, telling), network.whole())
    over = News(Decision((), (Release(VERDICT, "by hand"),)), Plan(NOW), Attribution(NOW, ()))
    network.ledger.sentence((), over.decision.released, NOW, letters(over, POLICY, telling, REGISTER))
    assert Outbox(network.ledger.store).entries() == ()


def test_a_letter_that_waited_for_its_device_has_all_its_patience(network: Network) -> None:
    network.ledger.sentence([VERDICT], [], NOW)
    one_pass(POLICY, doors(network, breaks), network.whole())
    (change,) = network.plans[-1].changes
    later = NOW + timedelta(days=3)
    network.ledger.record([works(change)], later)
    (entry,) = Outbox(network.ledger.store).entries()
    assert (entry.state, entry.due, entry.letter.due) == ("waiting", later, later)


def test_a_notice_needs_no_device(network: Network) -> None:
    noticed = replace(VERDICT, penalty=Notify())
    network.ledger.sentence([noticed], [], NOW)
    one_pass(POLICY, doors(network), network.whole())
    assert told(network) == [ADA]


def decided_change(network: Network) -> Change:
    (change,) = network.plans[-1].changes
    assert change.after == Block()
    return change
