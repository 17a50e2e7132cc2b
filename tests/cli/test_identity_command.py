"""`links`, `unlink`, and what `top` and `explain` say of a client that has had other MACs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import typer
from test_command_line import MAC, Prompt, write_site

from switchguard.cli.act import show_and_ask
from switchguard.cli.options import Manner
from switchguard.cli.wiring import Wiring
from switchguard.core.changes import Change, Plan, Slot
from switchguard.core.model import ClientId, Device, FdbEntry, Mac, NatUsage, Neighbor, Reading, Role, Snapshot, Station
from switchguard.core.penalties import Block, Verdict
from switchguard.core.traces import Identities, Link
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.snapshots import save_snapshot

SECOND, THIRD = Mac.parse("da:00:00:00:00:02"), Mac.parse("da:00:00:00:00:03")
NOW = datetime.now(UTC)
LINKS = (
    Link(MAC, SECOND, 0.97, ("on the same port, sw1 Gi0/7",), NOW, NOW, 2, (0.9, 0.8, 0.95), ("first",)),
    Link(SECOND, THIRD, 0.92, ("with the same hostname",), NOW + timedelta(seconds=9), NOW, 2, None, ("second",)),
)


def verdict(ident: str, mac: Mac, follows: str | None = None) -> Verdict:
    until = NOW + timedelta(hours=1)
    return Verdict(ident, ClientId(f"mac:{mac}"), "swarm", Block(), NOW, until, f"why {ident}", (mac,), follows=follows)


@pytest.fixture
def prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prompt:
    site = write_site(tmp_path / "site")
    ledger = SqlLedger(site / "state/switchguard.db")
    three = (verdict("first", MAC), verdict("second", SECOND, "first"), verdict("third", THIRD, "second"))
    ledger.sentence(three, (), NOW)
    ledger.keep_identities(Identities(), Identities((), LINKS), NOW)
    ledger.close()
    return Prompt(site, capsys)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """The third MAC at work."""
    devices = (Device("gw", "linux", Role.GATEWAY), Device("sw1", "cisco_ios", Role.ACCESS))
    address = ip_address("10.10.0.107")
    usage = NatUsage("gw", address, 900, 890, 700, 0.3, 0.7, 0.1, 0.98, 0.94)
    seen = Snapshot(NOW, devices, (usage,), neighbors=(Neighbor("gw", "lan0", address, THIRD),))
    seen = replace(seen, fdb=(FdbEntry("sw1", "Gi0/7", THIRD, 10),), readings=(Reading("gw", "arp", NOW, 1, 0.1),))
    save_snapshot(tmp_path / "snap.json", seen)
    return tmp_path / "snap.json"


def test_links_lists_every_pair_and_only_one_mac_if_asked(prompt: Prompt) -> None:
    found = prompt.types("links", "--json").object["links"]
    assert [(it["old"], it["new"], it["confidence"]) for it in found] == [
        (str(MAC), str(SECOND), 0.97),
        (str(SECOND), str(THIRD), 0.92),
    ]
    assert prompt.types("links", "02-00-00-00-00-99", "--json").object["links"] == []
    assert "on the same port" in " ".join(prompt.types("links").out.split())


def test_explain_of_any_of_three_macs_is_one_story(prompt: Prompt, picture: Path) -> None:
    for mac in (MAC, SECOND, THIRD):
        told = prompt.types("explain", str(mac), "--from", str(picture), "--json").object
        assert [(it["old"], it["new"]) for it in told["links"]] == [(str(it.old), str(it.new)) for it in LINKS]
        assert [it["id"] for it in told["penalties"]] == ["first", "second", "third"]
        assert {it["follows"] for it in told["penalties"]} == {None, "first", "second"}
    said = prompt.types("explain", str(MAC), "--from", str(picture)).out
    assert f"probably one device with 3 MACs: {MAC}, {SECOND}, {THIRD}" in said
    assert f"{THIRD} is probably what was {SECOND}, confidence 0.92: with the same hostname" in said


def test_unlink_is_remembered_and_takes_back_what_went_over_and_further(prompt: Prompt) -> None:
    """No device can be asked here, so nothing is on any of them; the ledger is what counts."""
    prompt.types("unlink", str(MAC), str(SECOND), "--reason", "two laptops", "--yes", "--json")
    ledger = SqlLedger(prompt.site / "state/switchguard.db")
    assert [it.id for it in ledger.standing()] == ["first"]
    undone = [it.undone or "" for it in ledger.links({MAC}) if {it.old, it.new} == {MAC, SECOND}]
    assert all(it.startswith("two laptops (") for it in undone)
    assert len(undone) == 2
    ledger.close()


def test_unlink_of_two_that_nothing_went_over_between_only_remembers(prompt: Prompt) -> None:
    said = prompt.types("unlink", str(MAC), "02:00:00:00:00:99", "--json")
    assert said.status == 0
    assert said.object["outcomes"] == []
    assert len(said.object["links"]) == 2


def test_unlink_of_the_first_and_the_last_of_three_lifts_what_came_by_the_one_in_between(prompt: Prompt) -> None:
    prompt.types("unlink", str(MAC), str(THIRD), "--yes")
    ledger = SqlLedger(prompt.site / "state/switchguard.db")
    assert [it.id for it in ledger.standing()] == ["first", "second"]
    ledger.close()


def test_what_was_undone_is_told_once(prompt: Prompt, picture: Path) -> None:
    prompt.types("unlink", str(MAC), str(SECOND), "--reason", "two laptops", "--yes")
    prompt.types("unlink", str(MAC), "02:00:00:00:00:99", "--reason", "Tom's")
    said = " ".join(prompt.types("explain", str(MAC), "--from", str(picture)).out.split())
    assert "confidence 0.00" not in said
    assert said.count("undone: two laptops (") == 1
    assert said.count("are two devices: Tom's (") == 1
    rows = prompt.types("links").out
    assert "0.97" in rows
    assert rows.count("0.00") == 1


def test_what_nobody_agreed_to_is_not_remembered(prompt: Prompt) -> None:
    """There is something to push, and nobody to ask."""
    slot = Slot("sw1", "block", Station(mac=SECOND, vlan=10))
    plan, remembered = Plan(NOW, (Change(slot, Block(), None),)), list[str]()
    with pytest.raises(typer.Exit) as left:
        show_and_ask(Wiring.of(prompt.site), plan, Manner(), lambda: None, lambda: remembered.append("two devices"))
    assert (left.value.exit_code, remembered) == (3, [])


def test_what_is_agreed_to_is_remembered_before_it_is_done(prompt: Prompt) -> None:
    said = list[str]()
    show_and_ask(
        Wiring.of(prompt.site),
        Plan(NOW),
        Manner(yes=True),
        lambda: said.append("released"),
        lambda: said.append("two devices"),
    )
    assert said == ["two devices", "released"]


def test_a_dry_run_of_unlink_remembers_nothing(prompt: Prompt) -> None:
    prompt.types("unlink", str(MAC), str(SECOND), "--dry-run")
    assert all(it["undone"] is None for it in prompt.types("links", "--json").object["links"])


def test_one_mac_is_not_two_devices(prompt: Prompt) -> None:
    said = prompt.types("unlink", str(MAC), "0200.0000.0007")
    assert said.status == 1
    assert "02:00:00:00:00:07 is one MAC, not two" in said.err


def test_top_labels_a_randomised_mac(prompt: Prompt, picture: Path) -> None:
    assert "(randomised)" in prompt.types("top", "--from", str(picture)).out
    (client,) = prompt.types("top", "--from", str(picture), "--json").object["clients"]
    assert client["randomised"] is True
