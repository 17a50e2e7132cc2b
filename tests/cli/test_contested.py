"""What commands say of a MAC that two stations use, from a saved snapshot and from the memory of the service."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from switchguard.cli.main import run
from switchguard.cli.wiring import Wiring
from switchguard.core.attribute import attribute
from switchguard.core.model import (
    Device,
    FdbEntry,
    Link,
    Mac,
    NatUsage,
    Neighbor,
    Reading,
    Role,
    Sight,
    Snapshot,
    Table,
)
from switchguard.core.refresh import refresh
from switchguard.core.trails import noted
from switchguard.edge.snapshots import save_snapshot

NOW = datetime.now(UTC)
MAC, ADDRESS, OTHER = Mac(0x020000000007), ip_address("10.10.0.7"), ip_address("10.10.0.8")
DEVICES = (
    Device("gw1", "linux", Role.GATEWAY),
    Device("core1", "arista_eos", Role.CORE),
    Device("sw1", "cisco_ios", Role.ACCESS),
)
POLICY = """\
mode: enforce
ledger: ledger.db
zones: {all: {networks: [10.10.0.0/16], enforce_at: core}}
safeguards: {share_of_clients: 100%}
rules:
  swarm: {kind: naughty_factor, above: 0.8, for_polls: 1, penalty: {block: mac}}
  copies: {kind: copied_mac, for_polls: 1, penalty: {quarantine: 99}}
"""
HOSTS = """\
gw1: {platform: linux, data: {switchguard: {role: gateway, mode: enforce}}}
core1: {platform: arista_eos, data: {switchguard: {role: core, mode: enforce}}}
sw1: {platform: cisco_ios, data: {switchguard: {role: access, mode: enforce}}}
"""
SENTENCE = (
    "contested: 02:00:00:00:00:07 is used by more than one station: it changed 2 times between ports within minutes: "
    "sw1 Gi0/7, sw1 Gi0/9; suspicious is sw1 port Gi0/9"
)


def looked(port: str, after_s: int) -> Snapshot:
    """The MAC on this port of sw1, whose Gi0/24 leads to core1."""
    at = NOW + timedelta(seconds=after_s)
    own = Mac(0x02AA00000002)
    read: tuple[tuple[str, Table], ...] = (("gw1", "nat"), ("gw1", "arp"), ("sw1", "fdb"), ("sw1", "links"))
    return Snapshot(
        at,
        DEVICES,
        nat=(NatUsage("gw1", OTHER, 1500, 1490, 900, 0.33, 0.67, 0.2, 0.98, 0.94),),
        neighbors=(Neighbor("gw1", "lan0", ADDRESS, MAC), Neighbor("gw1", "lan0", OTHER, MAC)),
        fdb=(FdbEntry("sw1", port, MAC, 10), FdbEntry("sw1", "Gi0/24", own, 10)),
        links=(Link("sw1", "Gi0/24", "core1", frozenset({"bridge"}), own),),
        readings=tuple(Reading(device, table, at, 1, 0.1) for device, table in read),
    )


def watched() -> Snapshot:
    """Home, away, and home again, within seconds."""
    seen = looked("Gi0/7", 0)
    for after_s, port in ((5, "Gi0/9"), (10, "Gi0/7")):
        seen = refresh(noted(seen, attribute(seen)), looked(port, after_s))
    return seen


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "switchguard.yaml").write_text(POLICY)
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    save_snapshot(tmp_path / "seen.json", watched())
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], site: Path, *words: str) -> Any:
    run(["--site", str(site), *words, "--from", str(site / "seen.json")])
    printed = capsys.readouterr()
    return json.loads(printed.out) if "--json" in words else printed.out + printed.err


def test_people_are_told_by_whatever_command(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("top",), ("explain", str(MAC)), ("explain", str(OTHER)), ("plan",)):
        assert SENTENCE in said(capsys, site, *words).splitlines()


def test_programs_are_told_the_ports(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("top", "--json"), ("explain", str(ADDRESS), "--json"), ("plan", "--json")):
        (found,) = said(capsys, site, *words)["contested"]
        assert (found["mac"], found["addresses"]) == (str(MAC), [str(ADDRESS), str(OTHER)])
        assert found["ports"] == [{"device": "sw1", "port": "Gi0/7"}, {"device": "sw1", "port": "Gi0/9"}]
        assert (found["certain"], found["at_once"]) == (True, True)
        assert (found["suspect"]["device"], found["suspect"]["port"]) == ("sw1", "Gi0/9")


def test_what_is_planned_is_the_port_and_never_the_mac(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = said(capsys, site, "plan", "--json")
    assert [(device["device"], device["changes"][0]["kind"]) for device in planned["devices"]] == [
        ("sw1", "quarantine")
    ]
    assert planned["devices"][0]["changes"][0]["station"]["port"] == "Gi0/9"
    (refusal,) = planned["refusals"]
    assert refusal["safeguard"] == "copied_mac"
    assert "sw1 Gi0/7, sw1 Gi0/9" in refusal["why"]


def test_a_command_remembers_what_the_service_saw(site: Path) -> None:
    """Two processes on one ledger: what one look cannot show, the memory does."""
    sight = Sight(MAC, "sw1", "Gi0/7", NOW, came=False, last=NOW)
    Wiring.of(site).memory.trails.keep((sight,), NOW)
    assert Wiring.of(site).memory.trails.known(NOW) == (sight,)
    assert Wiring.of(site).memory.trails.known(NOW + timedelta(hours=1)) == ()
