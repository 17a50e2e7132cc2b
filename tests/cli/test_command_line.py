"""The command line without a network: which site, what an operator's mistakes are answered with, and the exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from switchguard.cli.act import overruling
from switchguard.cli.main import run
from switchguard.cli.wiring import site_directory
from switchguard.core.changes import HeldSlot, Slot
from switchguard.core.decide import manual
from switchguard.core.everybody import everyone_on
from switchguard.core.model import (
    Device,
    FdbEntry,
    Interface,
    Mac,
    NatSize,
    NatUsage,
    Neighbor,
    Reading,
    Role,
    Snapshot,
)
from switchguard.core.penalties import RateLimit, SessionCap
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.snapshots import save_snapshot

SWITCHGUARD = Path(sys.executable).with_name("switchguard")
MAC = Mac.parse("02:00:00:00:00:07")
POLICY = """\
mode: enforce
zones:
  guests: {networks: [10.10.0.0/16], enforce_at: access}
exempt:
  - {network: 10.10.0.0/28, why: servers}
rules:
  swarm:
    kind: naughty_factor
    above: 0.8
    for_polls: 1
    penalty: {block: mac, lasts: 2h}
"""
HOSTS = """\
gw:
  hostname: 127.0.0.1
  port: 1
  platform: linux
  username: nobody
  data: {switchguard: {role: gateway, mode: enforce, password: {env: NOWHERE_SET}, known_hosts: known_hosts}}
sw1:
  hostname: 127.0.0.1
  port: 1
  platform: cisco_ios
  username: nobody
  data: {switchguard: {role: access, mode: enforce, password: {file: secret}, known_hosts: known_hosts}}
"""
"""Port 1 refuses connections; nothing waits for a time-out."""


@dataclass(frozen=True, slots=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True, slots=True)
class Prompt:
    """Where commands are typed, about one site."""

    site: Path
    capsys: pytest.CaptureFixture[str]

    def types(self, *words: str) -> Said:
        status = run(["--site", str(self.site), *words])
        printed = self.capsys.readouterr()
        assert "defect" not in printed.err, printed.err
        return Said(status, printed.out, printed.err)

    def policy(self, before: str, after: str) -> None:
        file = self.site / "switchguard.yaml"
        file.write_text(file.read_text().replace(before, after))


def write_site(directory: Path) -> Path:
    directory.mkdir()
    (directory / "switchguard.yaml").write_text(POLICY)
    (directory / "hosts.yaml").write_text(HOSTS)
    (directory / "secret").write_text("guessed\n")
    (directory / "known_hosts").touch()
    return directory


@pytest.fixture
def prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(write_site(tmp_path / "site"), capsys)


# --- which site ------------------------------------------------------------------------------------------------------


def test_the_site_that_is_named_wins_over_the_environment_and_that_over_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHGUARD_SITE", "/from/environment")
    assert site_directory(Path("/named")) == Path("/named")
    assert site_directory(None) == Path("/from/environment")
    monkeypatch.delenv("SWITCHGUARD_SITE")
    installed = Path("/etc/switchguard")
    assert site_directory(None) == (installed if (installed / "switchguard.yaml").exists() else tmp_path)


def test_every_command_finds_the_site_of_the_environment(
    prompt: Prompt, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHGUARD_SITE", str(prompt.site))
    assert run(["check", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["site"], told["mode"], told["rules"]) == (str(prompt.site), "enforce", ["swarm"])
    assert [device["device"] for device in told["devices"]] == ["gw", "sw1"]


# --- mistakes in the site --------------------------------------------------------------------------------------------

MISTAKES = (
    ("mode: enforce", "mod: enforce", "switchguard.yaml:1: unknown key 'mod'; did you mean 'mode'?"),
    (
        "for_polls: 1",
        "for_pols: 1",
        "switchguard.yaml:10: unknown key 'rules.swarm.for_pols'; did you mean 'for_polls'?",
    ),
    ("lasts: 2h", "lasts: 2", "switchguard.yaml:11: "),
    ("enforce_at: access", "enforce_at: acess", "did you mean 'access'?"),
    ("kind: naughty_factor", "kind: naughty", "did you mean 'naughty_factor'?"),
    ("10.10.0.0/28", "10.10.0.1/28", "switchguard.yaml:5: "),
    ("rules:", "rules: [", "switchguard.yaml:"),
)


@pytest.mark.parametrize(("before", "after", "message"), MISTAKES, ids=[after for _, after, _ in MISTAKES])
def test_a_mistake_in_the_policy_is_shown_with_its_line_and_the_right_word(
    prompt: Prompt, before: str, after: str, message: str
) -> None:
    prompt.policy(before, after)
    said = prompt.types("check")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith(f"error: {prompt.site}")
    assert message in said.err
    assert not (prompt.site / "state").exists()


def test_an_unknown_platform_is_shown_with_its_line_and_the_right_word(prompt: Prompt) -> None:
    hosts = prompt.site / "hosts.yaml"
    hosts.write_text(HOSTS.replace("cisco_ios", "cisco_oss"))
    said = prompt.types("check")
    assert (said.status, "no driver called 'cisco_oss'; did you mean 'cisco_ios'?" in said.err) == (1, True)
    assert f"{hosts}:10: " in said.err


def test_a_site_that_is_not_there_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--site", str(tmp_path / "nowhere"), "top"]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'nowhere'}: is no directory with a switchguard.yaml in it\n"


# --- mistakes in a command -------------------------------------------------------------------------------------------

MISTYPED = (
    (("blok",), "No such command 'blok'"),
    (("top", "--bye", "factor"), "No such option: --bye"),
    (("top", "--by", "size"), "there are: factor, sessions, remotes, bytes"),
    (("block", "mac"), "MAC"),
    (("block", "mac", "02:00:00:00:00"), "'02:00:00:00:00' is not a MAC address; write it like 02:00:00:00:00:07"),
    (("block", "mac", "0200.0000.000g"), "'0200.0000.000g' is not a MAC address"),
    (("block", "mac", str(MAC), "--for", "soon"), "'soon' is not a duration; write a duration like 10s, 5m, 2h, 2d"),
    (("block", "mac", str(MAC), "--for", "0s"), "'0s' is no time at all"),
    (("block", "mac", str(MAC), "--for", "3000000d"), "'3000000d' is more than a hundred years"),
    (("block", "mac", str(MAC), "--vlan", "4095"), "--vlan"),
    (("block", "mac", str(MAC), "--on", "core"), "no device called 'core'. There are: gw, sw1"),
    (("block", "mac", str(MAC), "--on", "sw11"), "no device called 'sw11'; did you mean 'sw1'? There are: gw, sw1"),
    (("block", "ip", "10.10.0.300"), "'10.10.0.300' is not an IP address; write it like 10.10.0.107"),
    (("limit", "mac", str(MAC), "--rate", "64"), "'64' has no unit; write a rate like 64kbps"),
    (("cap", "ip", "10.10.0.7", "--sessions", "0"), "--sessions"),
    (("cap", "everyone", "--sessions", "4294967296", "--on", "gw"), "--sessions"),
    (("cap", "everyone", "--sessions", "500"), "--on"),
    (("cap", "everyone", "--sessions", "500", "--on", "gww"), "no device called 'gww'; did you mean 'gw'?"),
    (
        ("unblock", "everyone", "--on", "gw"),
        "no penalty of ours stands against everyone on gw; `switchguard penalties`",
    ),
    (("unblock", "mac", str(MAC)), f"no penalty of ours stands against {MAC}"),
    (("locate", "10.10.0.300"), "'10.10.0.300' is neither a MAC address, an IP address nor a user name"),
    (("exempt", "add", "10.10.0.1/24", "--why", "x"), "'10.10.0.1/24' is not a network"),
    (("exempt", "add", str(MAC), "--why", "x", "--until", "never"), "'never' is neither a duration such as 2d nor a"),
    (("exempt", "add", str(MAC), "--why", "x", "--until", "2020-01-01"), "'2020-01-01' is over already: here it is 20"),
    (("exempt", "add", "10.10.O.5", "--why", "x"), "'10.10.O.5' is neither a MAC address, an IP address nor a user"),
    (("exempt", "add", "10.10.0.1x", "--why", "x"), "'10.10.0.1x' is neither a MAC address, an IP address nor"),
    (("exempt", "add", "10.10.0.1,10.10.0.2", "--why", "x"), "'10.10.0.1,10.10.0.2' is neither a MAC address, an"),
    (("exempt", "add", "02-00-00-00-00-0g", "--why", "x"), "'02-00-00-00-00-0g' is neither a MAC address, an IP"),
    (("exempt", "add", "0200.0000.000g", "--why", "x"), "'0200.0000.000g' is neither a MAC address, an IP address"),
    (("exempt", "add", "alcie", "--why", "x"), "nobody called 'alcie' is known. Write user:alcie for somebody who has"),
    (("exempt", "remove", "nobody"), "no exemption has the id 'nobody'"),
    (("exempt", "remove", "site 10.10.0.0/28"), "is in switchguard.yaml; take it out there"),
    (("top", "--from", "/nowhere/snap.json"), "/nowhere/snap.json: cannot be read"),
)


@pytest.mark.parametrize(("words", "message"), MISTYPED, ids=[" ".join(words) for words, _ in MISTYPED])
def test_a_mistyped_command_is_answered_with_a_sentence_and_nothing_is_done(
    prompt: Prompt, words: tuple[str, ...], message: str
) -> None:
    said = prompt.types(*words)
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("error: ")
    assert message in said.err
    assert prompt.types("penalties").out == "nothing stands\n"


def test_no_command_at_all_gets_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 1
    printed = capsys.readouterr()
    assert "Usage: switchguard" in printed.out
    assert printed.err == ""


def test_it_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"switchguard {version('switchguard')}\n"


def test_a_shell_completes_commands() -> None:
    asked = {"_SWITCHGUARD_COMPLETE": "complete_bash", "COMP_WORDS": "switchguard exempt re", "COMP_CWORD": "2"}
    done = subprocess.run([SWITCHGUARD], env=os.environ | asked, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["remove"]


def test_secrets_that_are_not_there_are_named_before_anybody_is_asked(prompt: Prompt) -> None:
    said = prompt.types("check")
    assert (said.status, said.err) == (0, "missing: the environment variable NOWHERE_SET is not set (gw password)\n")
    (prompt.site / "secret").unlink()
    said = prompt.types("check", "--json")
    assert [it["of"] for it in said.object["missing_credentials"]] == ["gw", "sw1"]


def test_an_exemption_of_the_policy_that_is_over_is_noted_with_its_line(prompt: Prompt) -> None:
    assert prompt.types("check", "--json").object["exemptions_over"] == []
    old = "exempt:\n  - {network: 10.10.1.0/24, why: last year, until: 2020-01-01}\n"
    prompt.policy("exempt:\n", old + "  - {mac: 020000000009, why: keynote, until: 2100-01-01}\n")
    note = "switchguard.yaml:5: 10.10.1.0/24 (last year) is exempt no more"
    assert prompt.types("check", "--json").object["exemptions_over"] == [note]
    said = prompt.types("check")
    assert (said.status, f"note: {note}" in said.out) == (0, True)


def test_a_device_that_need_not_prove_who_it_is_is_named(prompt: Prompt) -> None:
    hosts = prompt.site / "hosts.yaml"
    before = hosts.read_text()
    said = {}
    for way in ("https", "http"):
        core = "core: {platform: arista_eos, data: {switchguard: {role: core, napalm: {transport: %s}}}}\n"
        hosts.write_text(before + core % way)
        said[way] = prompt.types("check", "--json").object["trusts_anybody"]
    assert said == {"https": [], "http": ["core"]}
    assert "nothing proves that it is core" in prompt.types("check").out


# --- devices that cannot be reached ----------------------------------------------------------------------------------


def test_every_device_that_does_not_answer_is_a_gap_with_its_reason(prompt: Prompt) -> None:
    said = prompt.types("check", "--connect", "--json")
    assert said.status == 1
    whys = {(gap["device"], gap["table"]): gap["why"] for gap in said.object["gaps"]}
    assert {table for device, table in whys if device == "gw"} >= {"nat", "nat_size", "arp", "enforced"}
    assert all("NOWHERE_SET" in why for (device, _), why in whys.items() if device == "gw")
    assert whys["sw1", "enforced"] == "127.0.0.1:1 refuses the connection"


def test_a_block_that_can_be_put_nowhere_is_refused_and_leaves_no_trace(prompt: Prompt) -> None:
    said = prompt.types("block", "mac", str(MAC), "--yes")
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith(f"refused: a block of its MAC for mac:{MAC}")
    assert prompt.types("penalties", "--history", "--json").object["penalties"] == []


def test_a_cap_for_everyone_is_refused_while_somebody_is_exempt(prompt: Prompt) -> None:
    words = ("cap", "everyone", "--sessions", "500", "--on", "gw", "--yes")
    said = prompt.types(*words)
    assert (said.status, said.out) == (3, "")
    assert said.err == (
        "refused: a cap of 500 sessions for everyone on gw: it would hold for 10.10.0.0/28 too, who is exempt: servers"
        " [exemption]\n"
    )
    overridden = prompt.types(*words, "--override-exemption", "--json")
    assert [it["safeguard"] for it in overridden.object["refusals"]] == ["gap"]
    assert prompt.types("penalties", "--history", "--json").object["penalties"] == []


def test_nobody_caps_everyone_to_what_would_cut_them_off(prompt: Prompt) -> None:
    words = ("cap", "everyone", "--on", "gw", "--override-exemption", "--yes", "--sessions")
    assert "fewer than 50 sessions for each would cut people off" in prompt.types(*words, "20").err
    prompt.policy("mode: enforce\n", "mode: enforce\nsafeguards: {least_for_everyone: 20}\n")
    assert "cut people off" not in prompt.types(*words, "20").err


def test_what_was_gathered_is_shown_beside_what_was_not(prompt: Prompt) -> None:
    said = prompt.types("top")
    assert (said.status, "nobody uses the network" in said.out) == (0, True)
    assert "gap: sw1 fdb: 127.0.0.1:1 refuses the connection" in said.err


# --- a snapshot instead of devices -----------------------------------------------------------------------------------


@pytest.fixture
def evening(tmp_path: Path) -> str:
    """One client behind one switch, with a swarm."""
    now = datetime.now(UTC)
    address = ip_address("10.10.0.107")
    uplink, gateway = Mac.parse("02:5a:00:00:00:18"), Mac.parse("02:67:00:00:00:0a")
    usage = NatUsage("gw", address, 1500, 1490, 1400, 0.3, 0.7, 0.1, 0.98, 0.94)
    rows = (FdbEntry("sw1", "Gi0/7", MAC, 10), FdbEntry("sw1", "Gi0/24", gateway, 10))
    interfaces = (
        Interface("gw", "lan0", 1, gateway),
        Interface("sw1", "Gi0/24", 24, uplink),
        Interface("sw1", "Gi0/7", 7),
    )
    tables = (
        ("gw", "nat"),
        ("gw", "nat_size"),
        ("gw", "arp"),
        ("gw", "interfaces"),
        ("sw1", "fdb"),
        ("sw1", "interfaces"),
    )
    snapshot = Snapshot(
        now,
        (Device("gw", "linux", Role.GATEWAY), Device("sw1", "cisco_ios", Role.ACCESS)),
        nat=(usage,),
        nat_sizes=(NatSize("gw", 1500, 16384),),
        neighbors=(Neighbor("gw", "lan0", address, MAC),),
        fdb=rows,
        interfaces=interfaces,
        readings=tuple(Reading(device, table, now, 1, 0.1) for device, table in tables),  # type: ignore[arg-type]  # Tables
    )
    save_snapshot(tmp_path / "evening.json.gz", snapshot)
    return str(tmp_path / "evening.json.gz")


def test_a_saved_evening_is_ranked_and_located(prompt: Prompt, evening: str) -> None:
    (client,) = prompt.types("top", "--from", evening, "--json").object["clients"]
    assert (client["macs"], client["sessions"]) == ([str(MAC)], 1500)
    assert client["factor"] > 0.9
    found = prompt.types("locate", "10.10.0.107", "--from", evening)
    assert (found.status, found.out.splitlines()[0]) == (0, f"mac:{MAC}  10.10.0.107")
    assert "sw1 port Gi0/7" in found.out


def test_a_plan_of_a_saved_evening_touches_no_device_and_leaves_with_2(prompt: Prompt, evening: str) -> None:
    said = prompt.types("plan", "--from", evening, "--json")
    assert said.status == 2
    (device,) = said.object["devices"]
    assert (device["device"], device["diff"], device["diff_source"]) == (
        "sw1",
        "+ mac address-table static 0200.0000.0007 vlan 10 drop\n",
        "computed",
    )
    assert prompt.types("penalties", "--history", "--json").object["penalties"] == []


# --- what needs no device --------------------------------------------------------------------------------------------


def test_a_pause_is_seen_by_status_until_writes_resume(prompt: Prompt) -> None:
    assert prompt.types("resume").out == "writes were not paused\n"
    prompt.types("pause", "keynote until noon")
    assert "keynote until noon" in prompt.types("status", "--json").object["paused"]
    assert "writes: paused - keynote until noon" in prompt.types("status").out
    assert prompt.types("resume").out == "resumed\n"
    assert prompt.types("status", "--json").object["paused"] is None


@pytest.mark.parametrize(
    "words",
    [
        ("block", "ip", "2001:db8::1%a;}b", "--yes"),
        ("cap", "ip", "2001:db8::1%x\ny", "--sessions", "5", "--yes"),
        ("exempt", "add", "fe80::1%x;y", "--why", "it is ours"),
        ("exempt", "add", "fe80::%x/64", "--why", "it is ours"),
        ("locate", "2001:db8::1%lan10"),
    ],
)
def test_an_address_with_a_scope_is_refused(prompt: Prompt, words: tuple[str, ...]) -> None:
    said = prompt.types(*words)
    assert (said.status, "has a scope; write the" in said.err) == (1, True), said.err
    assert prompt.types("penalties").out == "nothing stands\n"


def test_an_exemption_is_listed_beside_those_of_the_policy_until_it_is_removed(prompt: Prompt) -> None:
    made = prompt.types("exempt", "add", "0200.0000.0007", "--why", "keynote encoder", "--until", "2d", "--json")
    ident = made.object["exemption"]["id"]
    listed = prompt.types("exempt", "list", "--json").object["exemptions"]
    assert [(each["network"], each["mac"], each["why"]) for each in listed] == [
        ("10.10.0.0/28", None, "servers"),
        (None, str(MAC), "keynote encoder"),
    ]
    assert prompt.types("exempt", "remove", ident).out == f"removed: {ident}\n"
    assert len(prompt.types("exempt", "list", "--json").object["exemptions"]) == 1


def test_only_a_user_who_is_known_can_be_exempted_by_the_bare_name(prompt: Prompt) -> None:
    assert "exempt: user:alice" in prompt.types("exempt", "add", "user:alice", "--why", "pays for it").out
    assert "did you mean 'alice'? Write user:alcie for" in prompt.types("exempt", "add", "alcie", "--why", "x").err
    assert prompt.types("exempt", "add", "alice", "--why", "x").status == 0
    assert [it["user"] for it in prompt.types("exempt", "list", "--json").object["exemptions"]] == [
        None, "alice", "alice",
    ]  # fmt: skip


@pytest.mark.parametrize("where", ["registry", "vpn"])
def test_who_is_registered_or_connected_is_known(prompt: Prompt, where: str) -> None:
    if where == "registry":
        people = "registry: {file: people.csv}\nidentity: {per_person: true}\n"
        prompt.policy("mode: enforce\n", f"mode: enforce\n{people}")
        (prompt.site / "people.csv").write_text("mac,person\n02:00:00:00:00:09,j.r.r.tolkien\n")
    else:
        zone = "zones:\n  vpn: {networks: [10.99.0.0/16], enforce_at: gw, users: {csv: {file: vpn.csv}}}\n"
        prompt.policy("zones:\n", zone)
        (prompt.site / "vpn.csv").write_text("user,address\nj.r.r.tolkien,10.99.0.7\n")
    assert prompt.types("exempt", "add", "j.r.r.tolkien", "--why", "writes").status == 0
    assert "did you mean 'j.r.r.tolkien'?" in prompt.types("exempt", "add", "j.r.r.tolkein", "--why", "writes").err


def test_a_person_whose_devices_count_each_for_itself_is_exempted_by_those(prompt: Prompt) -> None:
    prompt.policy("mode: enforce\n", "mode: enforce\nregistry: {file: people.csv}\n")
    (prompt.site / "people.csv").write_text("mac,person\n02:00:00:00:00:09,ada\n02:00:00:00:00:08,ada\n")
    said = prompt.types("exempt", "add", "ada", "--why", "x")
    assert (said.status, said.out) == (1, "")
    assert said.err.endswith("exempt 02:00:00:00:00:08, 02:00:00:00:00:09\n")


def test_the_day_an_exemption_ends_is_the_sites_in_every_answer(prompt: Prompt) -> None:
    prompt.policy("mode: enforce\n", "mode: enforce\ntime_zone: America/Los_Angeles\n")
    made = prompt.types("exempt", "add", str(MAC), "--why", "keynote", "--until", "2100-12-01", "--json")
    assert made.object["exemption"]["until"] == "2100-12-02T08:00:00+00:00"
    assert "2100-12-02" in prompt.types("exempt", "list").out
    assert "00:00:00" in prompt.types("exempt", "list").out


def test_who_is_exempt_from_now_on_ends_a_cap_for_everyone(prompt: Prompt) -> None:
    now = datetime.now(UTC)
    capped = manual(everyone_on("gw"), SessionCap(500), now, timedelta(hours=2), "full", "ada", on_device="gw")
    ledger = SqlLedger(prompt.site / "state" / "switchguard.db")
    ledger.sentence([capped], (), now)
    assert prompt.types("exempt", "add", "192.0.2.0/24", "--why", "a partner").status == 0
    assert ledger.standing() == (capped,)
    prompt.types("exempt", "add", "10.10.7.0/24", "--why", "keynote")
    assert ledger.standing() == ()
    ledger.close()
    told = prompt.types("penalties", "--history", "--json").object["penalties"]
    assert [(it["client"], it["why_released"].partition(" (")[0]) for it in told] == [
        ("everyone:gw", "exempted: keynote")
    ]
    assert "everyone on gw" in prompt.types("penalties", "--history").out


def test_what_people_and_networks_write_is_shown_as_it_is(prompt: Prompt) -> None:
    """Square brackets and colons mean something to the library that makes the tables."""
    now, why = datetime.now(UTC), "[/b] [red]full[/red] :a:"
    ledger = SqlLedger(prompt.site / "state" / "switchguard.db")
    ledger.sentence([manual(everyone_on("gw"), SessionCap(500), now, None, why, "ada", on_device="gw")], (), now)
    ledger.close()
    assert why in prompt.types("penalties").out


def test_of_several_causes_the_hardest_is_named() -> None:
    now = datetime.now(UTC)
    cap, limit = (manual(everyone_on("gw"), it, now, None, "", "ada") for it in (SessionCap(800), RateLimit(64_000)))
    boxed = HeldSlot(Slot("gw", "limit"), RateLimit(64_000, within=20_000_000), "verified", (limit.id,), now)
    held = [HeldSlot(Slot("gw", "cap"), SessionCap(300), "verified", (cap.id, "another"), now), boxed]
    assert overruling(cap, held) == {"a cap of 300 sessions"}
    assert overruling(limit, held) == set()


def test_with_nothing_on_record_there_is_nothing_to_release(prompt: Prompt) -> None:
    assert prompt.types("release-all", "--yes") == Said(0, "nothing stands\n", "")
    assert prompt.types("release-all", "--json").object == {
        "schema": 1,
        "devices": [],
        "flushes": [],
        "refusals": [],
        "outcomes": [],
    }


def test_status_says_that_nothing_runs(prompt: Prompt) -> None:
    said = prompt.types("status")
    assert (said.status, said.out.splitlines()[0]) == (0, "service: not running, mode enforce")
    assert "no pass has been made yet" in said.out


def test_a_ledger_that_cannot_be_opened_is_named(prompt: Prompt) -> None:
    (prompt.site / "state").mkdir()
    (prompt.site / "state" / "switchguard.db").write_text("this is no database, whatever its name says" * 100)
    said = prompt.types("penalties")
    assert (said.status, said.out) == (1, "")
    assert f"{prompt.site / 'state' / 'switchguard.db'}" in said.err


# --- the process -----------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback(prompt: Prompt) -> None:
    words = [str(SWITCHGUARD), "--site", str(prompt.site), "drivers", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert "Traceback" not in command.stderr.read()


def test_a_stream_that_is_closed_keeps_nobody_from_working(prompt: Prompt) -> None:
    command = f"{SWITCHGUARD} --site {prompt.site} pause keynote <&- >&-"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    assert "keynote" in prompt.types("status").out
    both = subprocess.run(["sh", "-c", f"{SWITCHGUARD} --site {prompt.site} nonsense <&- >&- 2>&-"], check=False)
    assert both.returncode == 1


def test_what_finds_no_room_is_no_defect(prompt: Prompt) -> None:
    command = f"{SWITCHGUARD} --site {prompt.site} drivers >/dev/full"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (
        1,
        "error: what was to be written could not be: No space left on device\n",
    )


def test_a_process_that_is_nobody_without_a_home_works(prompt: Prompt) -> None:
    """A number without a name, as in a container; the number of this test is another one outside."""
    words = ["unshare", "--user", "--map-user=54321", "env", "-i", str(SWITCHGUARD), "--site", str(prompt.site)]
    said = subprocess.run([*words, "pause", "keynote"], capture_output=True, text=True, check=False)
    if "unshare" in said.stderr:
        pytest.skip(f"no user namespaces here: {said.stderr}")
    assert (said.returncode, said.stderr) == (0, "")
    assert "uid-54321" in prompt.types("status").out


@pytest.fixture
def heeded_ctrl_c() -> Iterator[None]:
    """Commands listen to SIGINT, although a shell in the background starts its own with that signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_ctrl_c_while_looking_ends_with_130(prompt: Prompt) -> None:
    """`top --watch` goes on until somebody stops it."""
    words = [str(SWITCHGUARD), "--site", str(prompt.site), "top", "--watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline()
        command.send_signal(signal.SIGINT)
        said = command.stderr.read()
        assert command.wait() == 130
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said


def test_the_command_is_installed_where_python_is() -> None:
    assert shutil.which("switchguard", path=str(SWITCHGUARD.parent)) == str(SWITCHGUARD)
