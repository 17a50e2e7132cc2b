"""Rules that can judge nobody say so, to people and to programs."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from switchguard.cli.health import pass_object
from switchguard.cli.main import run
from switchguard.cli.wiring import Wiring
from switchguard.core.model import Device, Mac, NatSize, NatUsage, Neighbor, Reading, Role, Snapshot, Table
from switchguard.cycle import look
from switchguard.edge.snapshots import load_snapshot, save_snapshot
from switchguard.schedule import Rhythm

NOW = datetime.now(UTC)
MAC, ADDRESS = Mac(0x020000000007), ip_address("10.10.0.7")
POLICY = """\
ledger: ledger.db
registry: {file: people.csv}
rules:
  members: {kind: registered_only, penalty: {limit: 1Mbps}}
  surprises: {kind: unusual_traffic}
"""
BLIND = [
    {"rule": "members", "why": "the registry is empty"},
    {"rule": "surprises", "why": "no interface's history is known"},
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "switchguard.yaml").write_text(POLICY)
    (tmp_path / "people.csv").write_text("mac,person\n")
    (tmp_path / "hosts.yaml").write_text("gw1: {platform: linux, data: {switchguard: {role: gateway}}}\n")
    tables: tuple[Table, ...] = ("nat", "nat_size", "arp")
    save_snapshot(
        tmp_path / "seen.json",
        Snapshot(
            NOW,
            (Device("gw1", "linux", Role.GATEWAY),),
            nat=(NatUsage("gw1", ADDRESS, 5, 4, 3, 1.0, 0.0, 0.0, 0.0, 0.5),),
            nat_sizes=(NatSize("gw1", 5, 1000),),
            neighbors=(Neighbor("gw1", "lan0", ADDRESS, MAC),),
            readings=tuple(Reading("gw1", table, NOW, 1, 0.1) for table in tables),
        ),
    )
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], site: Path, *words: str) -> Any:
    run(["--site", str(site), *words])
    printed = capsys.readouterr()
    return json.loads(printed.out) if "--json" in words else printed.err


@pytest.mark.parametrize("command", [("plan",), ("explain", str(ADDRESS))])
def test_plan_and_explain_name_them(capsys: pytest.CaptureFixture[str], site: Path, command: tuple[str, ...]) -> None:
    words = (*command, "--from", str(site / "seen.json"))
    assert said(capsys, site, *words, "--json")["blind_spots"] == BLIND
    assert "blind: rule 'members' can judge nobody: the registry is empty\n" in said(capsys, site, *words)


def test_why_a_registry_cannot_be_read_is_the_reason(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    (site / "switchguard.yaml").write_text(
        POLICY.replace("file: people.csv", "netbox: {url: https://netbox.example.org, token: {env: NO_SUCH_TOKEN}}")
    )
    spots = said(capsys, site, "plan", "--from", str(site / "seen.json"), "--json")["blind_spots"]
    assert spots[0]["why"].endswith("the environment variable NO_SUCH_TOKEN is not set")


@pytest.mark.parametrize(
    ("said_of_gw1", "limit", "because"),
    [
        ("", 1000, "900 of 1,000 translations are in use (the table's own limit)"),
        (", public_addresses: 1", 1000, "900 of 950 translations are in use (the ports of 1 public address)"),
        (", public_addresses: 2", 1000, "900 of 1,000 translations are in use (the table's own limit)"),
        (", public_addresses: 1", None, "900 of 950 translations are in use (the ports of 1 public address)"),
    ],
)
def test_which_ceiling_a_table_is_near_is_said(
    capsys: pytest.CaptureFixture[str], site: Path, said_of_gw1: str, limit: int | None, because: str
) -> None:
    """The recorded look knows nothing of public addresses: the site does."""
    (site / "switchguard.yaml").write_text("rules: {table: {kind: nat_pressure, ports_per_address: 950}}\n")
    hosts = f"gw1: {{platform: linux, data: {{switchguard: {{role: gateway{said_of_gw1}}}}}}}\n"
    (site / "hosts.yaml").write_text(hosts)
    seen = load_snapshot(site / "seen.json")
    save_snapshot(site / "full.json", replace(seen, nat_sizes=(NatSize("gw1", 900, limit),)))
    (rule,) = said(capsys, site, "plan", "--from", str(site / "full.json"), "--json")["rules"]
    assert [it["because"] for it in rule["hits"]] == [because]
    wiring = Wiring.of(site)
    result = look(wiring.site.policy, doors := wiring.doors_from(site / "full.json"), doors.gather(()))
    wiring.ledger.save_status(pass_object(wiring, result, {}, Rhythm(timedelta(minutes=1), 1.0)))
    run(["--site", str(site), "status"])
    assert because.replace(" are in use", "") in capsys.readouterr().out


def test_a_gateway_that_tells_no_limit_and_has_no_known_addresses_is_blind(
    capsys: pytest.CaptureFixture[str], site: Path
) -> None:
    (site / "switchguard.yaml").write_text("rules: {table: {kind: nat_pressure}}\n")
    save_snapshot(
        site / "full.json", replace(load_snapshot(site / "seen.json"), nat_sizes=(NatSize("gw1", 900, None),))
    )
    (spot,) = said(capsys, site, "plan", "--from", str(site / "full.json"), "--json")["blind_spots"]
    assert "the site not how many `public_addresses` it has" in spot["why"]


def test_status_tells_those_of_the_last_pass_that_judged(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    wiring = Wiring.of(site)
    seen = look(wiring.site.policy, doors := wiring.doors_from(site / "seen.json"), doors.gather(()))
    for result in (seen, replace(seen, blind=None)):
        wiring.ledger.save_status(pass_object(wiring, result, {}, Rhythm(timedelta(minutes=1), 1.0)))
    last = said(capsys, site, "status", "--json")["last_pass"]
    assert (last["blind_spots"], last["pid"]) == (BLIND, os.getpid())
    assert "blind: rule 'surprises'" in said(capsys, site, "status")
