"""What could not be lifted is never out of sight: switches that do not answer, and switches that are gone for good."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from test_command_line import MAC, Prompt, write_site

from switchguard.core.changes import Change, Outcome, Plan, Slot
from switchguard.core.decide import manual
from switchguard.core.model import ClientId, Station
from switchguard.core.penalties import Block, Release, Verdict
from switchguard.edge.ledger import SqlLedger

NOW = datetime.now(UTC)
BLOCK = manual(ClientId(f"mac:{MAC}"), Block(), NOW, timedelta(hours=2), "noise", "ada", macs=(MAC,))
SLOT = Slot("sw1", "block", Station(vlan=10, mac=MAC))
HIS = str(MAC)


@pytest.fixture
def prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(write_site(tmp_path / "site"), capsys)


@pytest.fixture
def ledger(prompt: Prompt) -> Iterator[SqlLedger]:
    """A client is blocked on sw1, which answers nobody."""
    opened = SqlLedger(prompt.site / "state" / "switchguard.db")
    put(opened, BLOCK, SLOT)
    yield opened
    opened.close()


def put(ledger: SqlLedger, verdict: Verdict, slot: Slot) -> None:
    change = Change(slot, None, Block(), (verdict.id,), "noise")
    ledger.sentence([verdict], (), NOW)
    ledger.intend(Plan(NOW, (change,)))
    ledger.record([Outcome(change, "verified", "", None, 0.1)], NOW)


def sell_sw1(prompt: Prompt) -> None:
    hosts = prompt.site / "hosts.yaml"
    hosts.write_text(hosts.read_text().partition("sw1:")[0])


@pytest.mark.parametrize("words", [("unblock", "mac", HIS, "--yes"), ("release-all", "--yes")], ids=["one", "all"])
def test_a_release_that_waits_for_its_switch_is_on_record_and_said_to_be_left(
    prompt: Prompt, ledger: SqlLedger, words: tuple[str, ...]
) -> None:
    said = prompt.types(*words)
    assert said.status == 3
    assert f"refused: release of {HIS} in VLAN 10 on sw1: sw1 keeps what it has" in said.err
    assert "1 still to be lifted, on sw1: it stays on record, and every pass tries again" in said.err
    assert (ledger.standing(), [record.state for record in ledger.penalties()]) == ((), ["releasing"])


def test_what_has_ended_and_could_not_be_lifted_is_in_every_view(prompt: Prompt, ledger: SqlLedger) -> None:
    ledger.sentence((), (Release(BLOCK, "its time is up"),), NOW)
    (listed,) = prompt.types("penalties", "--json").object["penalties"]
    assert (listed["state"], listed["device"]) == ("releasing", "sw1")
    said = prompt.types("status")
    assert "penalties standing: 0" in said.out
    assert "ended, but still to be lifted: 1, on sw1" in said.err
    told = prompt.types("status", "--json").object
    assert (told["penalties"], told["releasing"]) == (1, 1)
    again = prompt.types("unblock", "mac", HIS, "--yes")
    assert (again.status, "still to be lifted, on sw1" in again.err) == (3, True)


def test_a_switch_that_is_no_more_in_hosts_yaml_is_told_by_check_and_by_every_release(
    prompt: Prompt, ledger: SqlLedger
) -> None:
    assert (prompt.types("check").status, len(ledger.held())) == (0, 1)
    sell_sw1(prompt)
    said = prompt.types("check")
    assert said.status == 1
    assert "sw1 is no longer in hosts.yaml" in said.err
    assert "put it back under that name, or take them off by hand" in said.err
    (left,) = prompt.types("check", "--json").object["lines_left"]
    assert (left["device"], left["slots"][0]["station"]["mac"]) == ("sw1", HIS)
    assert "it is no longer in hosts.yaml" in prompt.types("unblock", "mac", HIS, "--yes").err


def test_what_was_on_a_switch_that_is_gone_can_be_forgotten_and_the_history_says_by_whom(
    prompt: Prompt, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell_sw1(prompt)
    ledger.sentence((), (Release(BLOCK, "its time is up"),), NOW)
    shown = prompt.types("release-all", "--forget", "sw1", "--dry-run")
    assert (shown.status, f"forget: a block of its MAC for {HIS} in VLAN 10 on sw1" in shown.out) == (2, True)
    assert prompt.types("release-all", "--forget", "sw1").status == 3, "nobody to ask"
    assert len(ledger.held()) == 1
    monkeypatch.setenv("SUDO_USER", "ada")
    done = prompt.types("release-all", "--forget", "sw1", "--reason", "sold", "--yes")
    assert (done.status, "forgotten: 1 on sw1" in done.out) == (0, True)
    assert (ledger.held(), prompt.types("penalties").out) == ((), "nothing stands\n")
    event = ledger.history(HIS)[-1]
    assert (event.who, event.what, event.why) == ("ada", "forgotten", "sw1 is gone: sold")


def test_a_switch_that_is_still_there_is_never_forgotten(prompt: Prompt, ledger: SqlLedger) -> None:
    said = prompt.types("release-all", "--forget", "sw1", "--yes")
    assert (said.status, len(ledger.held())) == (3, 1)
    assert said.err == "refused: sw1 is in hosts.yaml; what we have there is lifted, not forgotten\n"


def test_a_switch_that_never_had_a_line_of_ours_is_answered_with_those_that_have(
    prompt: Prompt, ledger: SqlLedger
) -> None:
    sell_sw1(prompt)
    said = prompt.types("release-all", "--forget", "sw9", "--yes")
    assert (said.status, len(ledger.held())) == (1, 1)
    assert said.err == "error: we have nothing on 'sw9'; devices that are gone: sw1\n"


def test_while_writes_are_paused_a_release_is_not_on_record(prompt: Prompt, ledger: SqlLedger) -> None:
    prompt.types("pause", "keynote")
    assert prompt.types("unblock", "mac", HIS, "--yes").status == 3
    assert ledger.standing() == (BLOCK,)
