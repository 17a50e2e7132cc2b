"""`rules test` and `plan --policy` as a person types them; and a policy with a mistake, of which nothing starts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from switchguard.cli.main import run
from switchguard.edge.evening import load_evening
from switchguard.edge.snapshots import save_snapshot

ROOT = Path(__file__).parents[2]
CONFERENCE = ROOT / "examples/conference"
EVENING = CONFERENCE / "evening.json.gz"
STRICTER = """\
zones: {delegates: {networks: [10.10.0.0/16], enforce_at: core}}
rules: {swarm: {kind: naughty_factor, above: 0.5, for_polls: 1, penalty: {block: mac, lasts: 1h}}}
"""
DOCUMENTED = set(re.findall(r"[a-z_]+", (ROOT / "docs/json.md").read_text()))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The conference's, whose ledger nobody else uses; with five looks of its evening, and another policy."""
    place = tmp_path / "site"
    copytree(CONFERENCE, place)
    (place / "stricter.yaml").write_text(STRICTER)
    save_snapshot(place / "snap.json", load_evening(EVENING).looks[0])
    return place


def answer(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def keys(value: object, skip: frozenset[str] = frozenset({"penalty"})) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in skip:
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


# --- an evening ------------------------------------------------------------------------------------------------------


def test_rules_test_tells_programs_everything(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "--site", site, "rules", "test", EVENING, "--json")
    told: dict[str, Any] = json.loads(out)
    assert (code, told["schema"], told["looks"], told["clients"]) == (0, 1, 151, 35)
    assert set(keys(told)) - DOCUMENTED == set()
    assert [it["client"] for it in told["penalties"] if it["rule"] == "swarm"] == [
        "mac:02:00:00:00:00:19",
        "mac:02:00:00:00:00:1e",
    ]
    (copied,) = told["spared"]
    assert (copied["client"], copied["safeguard"]) == ("address:10.10.0.131", "copied_mac")
    assert not (site / "state").exists()


def test_another_policy_has_another_evening(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a lower threshold the small swarm is blocked too."""
    monkeypatch.setenv("COLUMNS", "118")
    code, out, _ = answer(capsys, "--site", site, "plan", "--policy", site / "stricter.yaml", "--from", EVENING)
    assert code == 2
    assert "penalised: 3 clients" in out
    assert re.search(r"Fri 1\d:40 .*02:00:00:00:00:1a .*swarm +a block of its MAC", out)


def test_the_site_may_be_told_with_the_command(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, "rules", "test", site / "snap.json", "--site", site, "--nearest", "1")
    assert code == 0
    assert "penalised: nobody" in out
    assert "blind: rule 'hog' can judge nobody: the load of gw1 wan0 is not known" in err


def test_plan_says_of_every_rule_whom_it_hits(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "--site", site, "plan", "--from", site / "snap.json")
    assert code == 2
    assert "rule swarm: nobody\n" in out
    assert "rule guests_cap: 2\n  02:00:00:00:00:20: everybody here has a cap of 100 sessions (1 of 1 polls)\n" in out


def test_plan_says_it_to_programs_too(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = answer(capsys, "--site", site, "plan", "--from", site / "snap.json", "--json")
    told: dict[str, Any] = json.loads(out)
    assert set(keys(told["rules"])) - DOCUMENTED == set()
    assert {rule["rule"]: len(rule["hits"]) for rule in told["rules"] if rule["hits"]} == {
        "guests_cap": 2,
        "guests_rate": 2,
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no json", "is no evening: "),
        ("{}", "is no evening: an object with schema and evening (or snapshot) is expected"),
        ('{"schema": 9, "evening": {}}', "has schema 9; this switchguard reads schema 1"),
        ('{"schema": 1, "evening": {"about": "x", "looks": []}}', "an evening has at least one look"),
        ('{"schema": 1, "evening": {"about": "x"}}', "missing: looks"),
    ],
)
def test_what_is_no_evening_is_said(site: Path, text: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "odd.json").write_text(text)
    code, _, err = answer(capsys, "--site", site, "rules", "test", site / "odd.json")
    assert code == 1
    assert f"{site / 'odd.json'}: " in err
    assert why in err


# --- a policy with a mistake -----------------------------------------------------------------------------------------

MISTAKES = {
    "unknown key": ("modee: observe", 2, "unknown key 'modee'; did you mean 'mode'?"),
    "unknown key of a rule": (
        "rules: {big: {kind: quota, byts: 1GB, penalty: notify}}",
        2,
        "unknown key 'rules.big.byts'; did you mean 'bytes'?",
    ),
    "nonsense": ("rules: {big: {kind: quota, bytes: IN50GB1M, penalty: notify}}", 2, "'IN50GB1M' is not an amount"),
    "no unit": ("rules: {big: {kind: quota, bytes: 12, penalty: notify}}", 2, "'12' has no unit"),
    "negative": ("rules: {big: {kind: quota, bytes: -1GB, penalty: notify}}", 2, "'-1GB' is not an amount"),
    "overlapping zones": (
        "zones:\n  one: {networks: [10.0.0.0/8]}\n  two: {networks: [10.1.0.0/16]}",
        4,
        "10.1.0.0/16 of zone 'two' overlaps 10.0.0.0/8 of zone 'one'",
    ),
    "two rules with one name": (
        "rules:\n  a: {kind: everyone, penalty: {cap: 9}}\n  a: {kind: everyone, penalty: {cap: 8}}",
        4,
        "'a' is here twice; the first time in line 3",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", [("check",), ("run",), ("plan",), ("rules", "test", str(EVENING))], ids=" ".join)
def test_with_a_mistake_in_the_policy_nothing_starts(
    site: Path, command: tuple[str, ...], mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, line, why = MISTAKES[mistake]
    (site / "switchguard.yaml").write_text(f"# a policy\n{text}\n")
    code, out, err = answer(capsys, "--site", site, *command)
    assert (code, out) == (1, "")
    assert f"{site / 'switchguard.yaml'}:{line}: " in err
    assert why in err
    assert not (site / "state").exists()


def test_a_mistake_in_another_policy_is_found_in_that_file(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "stricter.yaml").write_text("\nrules: {big: {kind: quotta}}\n")
    code, _, err = answer(capsys, "--site", site, "plan", "--policy", site / "stricter.yaml")
    assert code == 1
    assert f"{site / 'stricter.yaml'}:2: " in err
    assert "did you mean 'quota'" in err


# --- the documentation -----------------------------------------------------------------------------------------------


def test_the_output_in_the_documentation_is_real(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, shown = re.findall(
        r"```console\n\$ switchguard (.*?)\n(.*?)```", (ROOT / "docs/examples.md").read_text(), re.S
    )[0]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "118")
    code, out, _ = answer(capsys, *command.split())
    assert code == 0
    assert [line.rstrip() for line in out.splitlines()] == shown.splitlines()
