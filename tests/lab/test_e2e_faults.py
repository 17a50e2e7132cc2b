"""Switches that misbehave while penalties are put on them: what the operator sees, what is true, and that it heals."""

from dataclasses import dataclass

import pytest
from desk import ON_CORE, ON_SW1, ON_SW2, PATIENCE_S, Desk, Said

from switchguard.lab.control import Lab
from switchguard.lab.frontends.faults import FOREIGN_LINE

pytestmark = pytest.mark.lab


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, what each of the two switches is then blamed for, and whether the block took effect all the same."""

    word: str
    core: str
    sw1: str
    took_effect: bool = False


CASES = (
    Case("refuse-commit", "refused 'commit'", "refused 'commit'"),
    Case("ignore-commit", "the device shows nothing", "the device shows nothing"),
    Case("drop-session-before", "closed connection", "closed the connection during 'commit'"),
    Case("drop-session", "although commit:", "although 10.255.0.11:22 closed the connection", took_effect=True),
    Case("drop-session-after", "although commit:", "although 10.255.0.11:22 closed the connection", took_effect=True),
    Case("wrong-diff", FOREIGN_LINE, FOREIGN_LINE),
)


def block(desk: Desk, client: str) -> tuple[str, ...]:
    return ("block", "mac", desk.mac(client), "--yes")


def misbehave(lab: Lab, word: str) -> None:
    for switch in ("core", "sw1"):
        lab.fault(switch, word)


def blamed(said: Said, device: str, why: str) -> bool:
    """One line names the change that failed, its device and the reason."""
    return any(
        line.startswith("FAILED: ") and f" on {device} " in line and why in said.out for line in said.out.splitlines()
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.word)
def test_a_switch_that_misbehaves_is_blamed_and_the_next_pass_repairs_it(lab: Lab, desk: Desk, case: Case) -> None:
    misbehave(lab, case.word)
    core, sw1 = desk.types_each([block(desk, ON_CORE), block(desk, ON_SW1)])
    if case.took_effect:
        assert (core.status, sw1.status) == (0, 0)
        assert case.core in core.out
        assert case.sw1 in sw1.out
    else:
        assert (core.status, sw1.status) == (1, 1)
        assert blamed(core, "core", case.core)
        assert blamed(sw1, "sw1", case.sw1)
        assert "every pass tries again" in core.err
    assert desk.offline() == ({ON_CORE, ON_SW1} if case.took_effect else set())
    assert set(desk.states().values()) == {"verified" if case.took_effect else "failed"}

    misbehave(lab, "none")
    assert desk.types("apply", "--yes").status == 0
    assert desk.offline() == {ON_CORE, ON_SW1}
    assert set(desk.states().values()) == {"verified"}
    assert FOREIGN_LINE not in desk.running("core") + desk.running("sw1")


def test_a_mute_switch_is_no_obstacle_and_keeps_what_it_has_until_it_speaks_again(lab: Lab, desk: Desk) -> None:
    desk.impatient()
    misbehave(lab, "mute")
    core, sw1 = desk.types_each([block(desk, ON_CORE), block(desk, ON_SW1)])
    assert (core.status, sw1.status) == (0, 0)
    assert "not at the first choice: core: what it enforces now could not be read" in core.out
    assert "sw1: what it enforces now could not be read" in sw1.out
    assert desk.offline() == {ON_CORE, ON_SW1}
    assert len(desk.elements()) == 1
    misbehave(lab, "none")
    assert desk.types("apply", "--yes").status == 0
    assert desk.offline() == {ON_CORE, ON_SW1}
    assert {held.slot.device for held in desk.ledger.held()} == {"gw", "core", "sw1"}, "first there, then gone here"

    lab.fault("sw1", "mute")
    said = desk.types("release-all", "--yes")
    assert (said.status, "sw1 keeps what it has" in said.err) == (3, True)
    assert "1 still to be lifted, on sw1" in said.err
    (left,) = desk.types("penalties", "--json").object["penalties"]
    assert (left["device"], left["state"]) == ("sw1", "releasing")
    assert (desk.offline(), desk.elements(), desk.states()) == ({ON_SW1}, [], {})
    lab.fault("sw1", "none")
    assert desk.types("apply", "--yes").status == 0
    assert (desk.offline(), desk.ours(), desk.ledger.held()) == (set(), [], ())


def test_a_reload_that_lost_the_blocks_is_made_good_by_the_next_pass(lab: Lab, desk: Desk) -> None:
    misbehave(lab, "drop-session")  # in the middle: in force, but not saved
    desk.types_each([block(desk, ON_CORE), block(desk, ON_SW1)])
    misbehave(lab, "none")
    lab.reload("core")
    lab.reload("sw1")
    lab.greet()
    assert desk.offline() == set()
    assert desk.types("apply", "--yes").status == 0
    assert desk.offline() == {ON_CORE, ON_SW1}
    lab.reload("core")
    lab.reload("sw1")
    assert desk.offline() == {ON_CORE, ON_SW1}, "this time they were saved"


def test_a_release_that_fails_is_not_forgotten(lab: Lab, desk: Desk) -> None:
    desk.types_each([block(desk, ON_CORE), block(desk, ON_SW1)])
    misbehave(lab, "refuse-commit")
    said = desk.types("release-all", "--yes")
    assert said.status == 1
    assert said.out.count("FAILED: lifted: ") == 2
    assert (desk.offline(), desk.states()) == ({ON_CORE, ON_SW1}, {})
    misbehave(lab, "none")
    assert desk.types("apply", "--yes").status == 0
    assert (desk.offline(), desk.ours(), desk.ledger.held()) == (set(), [], ())


def test_while_two_switches_hang_the_service_serves_the_third(lab: Lab, desk: Desk) -> None:
    """The verdicts are on record already; the pass that pushes them meets switches that do not answer."""
    desk.impatient()
    misbehave(lab, "refuse-commit")
    lab.fault("sw2", "refuse-commit")
    desk.types_each([block(desk, client) for client in (ON_CORE, ON_SW1, ON_SW2)])
    misbehave(lab, "hang")
    lab.fault("sw2", "none")
    with desk.begins("run") as service:
        lab.wait_for(lambda: desk.offline() == {ON_SW2}, "the block on the switch that answers", PATIENCE_S)
        lab.wait_for(lambda: len(service.tells("failed")) >= 2, "the failures on record", PATIENCE_S)
        whys = {event["device"]: event["why"] for event in service.tells("failed")}
        assert whys == {
            "core": "commit: no answer within 12 s",
            "sw1": "10.255.0.11:22 let us in, but shows no prompt during 'commit'",
        }
        misbehave(lab, "none")
        lab.wait_for(lambda: desk.offline() == {ON_CORE, ON_SW1, ON_SW2}, "all blocks", PATIENCE_S)
