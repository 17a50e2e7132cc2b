"""Whichever way a pass is made, what people are told is in the ledger with the verdicts, and once."""

from dataclasses import replace
from pathlib import Path

import pytest
from three_switches import CULPRIT, NOW, POLICY, VERDICT, Network

from switchguard.between import pass_on_hint
from switchguard.core.letters import Addressee, Contact, Register
from switchguard.core.notices import News, Telling, letters
from switchguard.core.penalties import Release
from switchguard.cycle import Doors, look, one_pass
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.notify_outbox import Outbox

TELLING = Telling(people=True)
REGISTER = Register({CULPRIT: "Ada"}, {"Ada": Contact("ada@example.org")})
ADA = Addressee("person", "Ada", "ada@example.org", "en")


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(SqlLedger(str(tmp_path / "ledger.db")))


def doors(network: Network) -> Doors:
    return replace(network.doors(), letters=lambda news: letters(news, POLICY, TELLING, REGISTER))


def told(network: Network) -> list[Addressee]:
    return [it.letter.to for it in Outbox(network.ledger.store).entries()]


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
    assert network.blocked_on() == {"sw2"}
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
