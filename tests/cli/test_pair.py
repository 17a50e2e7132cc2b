"""What commands say of somebody who is plugged into both switches of a pair, from a saved snapshot."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from switchguard.cli.main import run
from switchguard.core.model import Device, FdbEntry, Mac, NatUsage, Neighbor, Reading, Role, Snapshot
from switchguard.edge.snapshots import save_snapshot

NOW = datetime.now(UTC)
MAC, ADDRESS = Mac(0x020000000007), ip_address("10.10.0.7")
NX1 = Device("nx1", "cisco_nxos", Role.CORE, uplinks=("port-channel1",), mlag_peer="nx2")
NX2 = replace(NX1, name="nx2", mlag_peer="nx1")
GATEWAY = Mac(0x02AA00000001)
HOSTS = """\
gw1: {platform: linux, data: {switchguard: {role: gateway}}}
nx1: {platform: cisco_nxos, data: {switchguard: {role: core, mlag_peer: nx2}}}
nx2: {platform: cisco_nxos, data: {switchguard: {role: core, mlag_peer: nx1}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "switchguard.yaml").write_text("ledger: ledger.db\n")
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    rows = [("port-channel10", MAC), ("port-channel1", GATEWAY)]
    seen = Snapshot(
        NOW,
        (Device("gw1", "linux", Role.GATEWAY), NX1, NX2),
        nat=(NatUsage("gw1", ADDRESS, 1500, 1490, 900, 0.33, 0.67, 0.2, 0.98, 0.94),),
        neighbors=(Neighbor("gw1", "lan0", ADDRESS, MAC),),
        fdb=tuple(FdbEntry(name, port, mac, 10) for name in ("nx1", "nx2") for port, mac in rows),
        readings=tuple(Reading(name, "fdb", NOW, 2, 0.1) for name in ("nx1", "nx2")),
    )
    save_snapshot(tmp_path / "seen.json", seen)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], site: Path, *words: str) -> str:
    assert run(["--site", str(site), *words, "--from", str(site / "seen.json")]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["locate", "explain"])
def test_the_place_is_on_both(capsys: pytest.CaptureFixture[str], site: Path, command: str) -> None:
    assert "nx1+nx2 port port-channel10, VLAN 10, seen 0 s ago" in said(capsys, site, command, "10.10.0.7")


def test_the_ranking_says_so_too(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    assert "nx1+nx2" in said(capsys, site, "top")


def test_programs_are_told_the_peer(capsys: pytest.CaptureFixture[str], site: Path) -> None:
    found = json.loads(said(capsys, site, "locate", "10.10.0.7", "--json"))
    assert (found["location"]["device"], found["location"]["port"], found["location"]["peer"]) == (
        "nx1",
        "port-channel10",
        "nx2",
    )
    assert [step["device"] for step in found["path"] if step["table"] == "fdb"] == ["nx1", "nx2"]
