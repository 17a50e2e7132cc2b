"""What another policy would have done, by the ledger's history alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from evening_builders import mac

from switchguard.cli.main import run
from switchguard.cli.wiring import Wiring
from switchguard.core.attribute import attribute
from switchguard.core.model import ClientId
from switchguard.core.policy import Policy
from switchguard.cycle import Doors
from switchguard.edge.evening import load_evening
from switchguard.edge.hindsight import STEP, moments
from switchguard.edge.history import Note, UsageRow
from switchguard.edge.settings import load_site
from switchguard.edge.stage import Stage
from switchguard.replay import Played, Remembered, play, play_remembered

EXAMPLES = Path(__file__).parents[2] / "examples"
MINUTE = timedelta(minutes=1)
SOMEBODY = ClientId("mac:02:00:00:00:00:07")


@cache
def remembered(name: str) -> Played:
    """The example's own policy, on what its evening left in the history."""
    wiring = Wiring(load_site(EXAMPLES / name))
    site, evening = wiring.site, load_evening(EXAMPLES / name / "evening.json.gz")
    stage = Stage(evening, site.policy, site.logs, site.history)
    doors = Doors(
        gather=stage.gather,
        enforced=lambda: stage.enforced(tuple(wiring.enforcers)),
        apply=stage.apply,
        ledger=stage.ledger,
        enforcers=wiring.enforcers,
        clock=stage.clock,
        recall=stage.memory.recall,
        keep=stage.memory.keep,
    )
    play(site.policy, doors, stage.turn())
    found = moments(stage.memory.archive, site.policy, evening.looks[0].at, evening.looks[-1].at)
    kept = [Remembered(it.evidence, {who: (used.factor or 0.0, "x") for who, used in it.used.items()}) for it in found]
    return play_remembered(site.policy, kept, STEP, site.poll.nat)


def hit(name: str, rule: str) -> set[str]:
    return {it.verdict.client for it in remembered(name).rulings if it.verdict.rule == rule and it.refusal is None}


def macs(*numbers: int) -> set[str]:
    return {f"mac:{mac(number)}" for number in numbers}


def test_the_history_remembers_who_ran_a_swarm() -> None:
    """31 too: that its MAC was at two ports is in no history."""
    assert hit("conference", "swarm") == {*macs(25, 30), "address:10.10.0.131"}


def test_the_history_remembers_whose_quota_was_used_up() -> None:
    assert hit("conference", "fair") == macs(28, 29)


def test_the_history_remembers_who_filled_the_link_and_who_was_alone() -> None:
    assert hit("penalty-box", "hog") == macs(25, 26)


def test_the_history_remembers_an_exemption() -> None:
    spared = {it.verdict.client: it.refusal.why for it in remembered("penalty-box").rulings if it.refusal is not None}
    assert spared == dict.fromkeys(macs(6), "it is exempt: the hall's own server")


def test_the_sites_public_addresses_count_for_what_was_recorded() -> None:
    """The evening itself knows nothing of them."""
    site, evening = load_site(EXAMPLES / "conference"), load_evening(EXAMPLES / "conference" / "evening.json.gz")
    policy = replace(site.policy, public_addresses={"gw1": 1})
    stage = Stage(evening, policy, (), site.history)
    for _ in stage.turn():
        seen = stage.gather(())
        stage.memory.keep(policy, seen, attribute(seen))
    known = moments(stage.memory.archive, policy, evening.looks[0].at, stage.clock())
    assert {table.public_addresses for it in known for table in it.evidence.tables} == {1}


def test_without_history_there_is_nothing_to_play() -> None:
    with pytest.raises(ValueError, match="empty"):
        play_remembered(Policy(), (), STEP, MINUTE)


# --- as a person types it --------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """It is about noon there, whenever the test runs."""
    hours = datetime.now(UTC).hour - 12
    (tmp_path / "switchguard.yaml").write_text("ledger: ledger.db\n")
    (tmp_path / "other.yaml").write_text(
        f"ledger: ledger.db\ntime_zone: Etc/GMT{hours:+d}\n"
        "rules: {daily: {kind: quota, bytes: 1GB, per: day, penalty: {limit: 64kbps}}}\n"
    )
    (tmp_path / "hosts.yaml").write_text("gw1: {platform: linux, data: {switchguard: {role: gateway}}}\n")
    return tmp_path


@pytest.mark.parametrize("late_s", [-30, 0, 60])
def test_plan_asks_the_history(site: Path, late_s: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A minute of it may lie across two of the five-minute steps that the history is looked at in."""
    now = datetime.now(UTC)
    began = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0) - 10 * MINUTE + timedelta(seconds=late_s)
    row = UsageRow(SOMEBODY, began, began + MINUTE, 2_000_000_000, 1, sessions=9, remotes=3, factor=0.1)
    Wiring(load_site(site)).memory.history.add(Note(now, usage=[row], people={SOMEBODY: ((), None)}), {})
    code = run(["--site", str(site), "plan", "--policy", str(site / "other.yaml"), "--from", "history", "--json"])
    (penalty,) = json.loads(capsys.readouterr().out)["penalties"]
    assert (code, penalty["client"], penalty["rule"]) == (2, SOMEBODY, "daily")


def test_whom_a_person_has_exempted_the_history_spares_too(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    began = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0) - 10 * MINUTE
    row = UsageRow(SOMEBODY, began, began + MINUTE, 2_000_000_000, 1)
    Wiring(load_site(site)).memory.history.add(Note(now, usage=[row], people={SOMEBODY: ((), None)}), {})
    run(["--site", str(site), "exempt", "add", "020000000007", "--why", "keynote"])
    capsys.readouterr()
    code = run(["--site", str(site), "plan", "--policy", str(site / "other.yaml"), "--from", "history", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (code, said["penalties"]) == (0, [])
    assert [it["why_not"] for it in said["spared"]] == ["it is exempt: keynote"]


def test_a_day_without_history_is_said(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["--site", str(site), "plan", "--policy", str(site / "other.yaml"), "--from", "history"])
    assert code == 1
    assert "error: the history has kept nothing since 00:00" in capsys.readouterr().err
