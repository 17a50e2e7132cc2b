"""What every command prints with --json, in a lab with something to tell: one object, its keys all documented."""

import pytest
from desk import ON_CORE, ON_SW1, Desk

from switchguard.lab.control import Lab

pytestmark = pytest.mark.lab


def test_every_object_has_its_schema_and_documented_keys_only(lab: Lab, desk: Desk) -> None:
    mac, address = desk.mac(ON_CORE), lab.client(ON_CORE).address
    saved = str(desk.site / "evening.json.gz")
    swarm = lab.swarm(ON_SW1)
    lab.wait_for(lambda: lab.sessions(ON_SW1) > 1000, "something to judge")
    swarm.stop()
    first = (
        ("block", "mac", mac, "--yes", "--json"),
        ("exempt", "add", "10.10.0.0/28", "--why", "servers", "--json"),
        ("poll", "--save", saved, "--json"),
    )
    second = (
        ("check", "--connect", "--json"), ("top", "--json"), ("locate", address, "--json"), ("explain", mac, "--json"),
        ("explain", desk.mac(ON_SW1), "--from", saved, "--json"), ("plan", "--json"), ("penalties", "--json"),
        ("status", "--json"), ("exempt", "list", "--json"),
    )  # fmt: skip
    third = (
        ("cap", "ip", address, "--sessions", "5", "--yes", "--json"),
        ("limit", "mac", mac, "--rate", "1Mbps", "--yes", "--json"),
        ("unblock", "mac", mac, "--yes", "--json"),
        ("apply", "--yes", "--json"),
        ("release-all", "--yes", "--json"),
        ("release-all", "--yes", "--json"),
        ("block", "mac", desk.mac("c12"), "--json"),
    )
    said = dict(zip((first + second), desk.types_each(first, 1) + desk.types_each(second, 2), strict=True))
    said |= dict(zip(third, desk.types_each(third, 1), strict=True))
    assert {words: found for words in said if (found := said[words].undocumented)} == {}
    assert said["exempt", "list", "--json"].object["exemptions"][-1]["network"] == "10.10.0.0/28"
    assert [row["mac"] for row in said["exempt", "list", "--json"].object["exemptions"]] == [None, None]
    assert said["penalties", "--json"].object["penalties"][0]["state"] == "verified"
    assert said["plan", "--json"].status == 0, "once over the threshold is not yet enough"
    assert said["block", "mac", desk.mac("c12"), "--json"].object["outcomes"] == []
