"""Penalties that a person asks for, measured at the clients: put, shown, timed, paused, moved, lifted."""

import sys
from contextlib import ExitStack

import pytest
from desk import INTERNET_HOST, ON_CORE, ON_SW1, ON_SW2, PATIENCE_S, Desk

from switchguard.lab.control import Lab, LabClient
from switchguard.lab.moves import traded

pytestmark = pytest.mark.lab

ASK = """
import select, socket, sys, time
host, first, count, size = sys.argv[1], *map(int, sys.argv[2:])
lines = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
for port, line in enumerate(lines, first):
    try:
        line.sendto(bytes(size), (host, port))
    except OSError:
        pass
answered, deadline = 0, time.monotonic() + 1.5
while answered < count and (left := deadline - time.monotonic()) > 0:
    for line in select.select(lines, [], [], left)[0]:
        line.recv(4096)
        answered += 1
print(answered)
"""


def answered(client: LabClient, first: int, count: int, size: int = 40) -> int:
    """Of so many datagrams, each a session of its own, to the ports from `first` on: how many come back."""
    done = client.run([sys.executable, "-c", ASK, INTERNET_HOST, str(first), str(count), str(size)])
    return int(done.stdout)


def flash(lab: Lab) -> dict[str, int]:
    files = (lab.directory / "state" / "sw1" / "flash").iterdir()
    return {file.name: file.stat().st_mtime_ns for file in files}


# --- asking ----------------------------------------------------------------------------------------------------------


def test_every_spelling_of_a_mac_means_the_same_client(lab: Lab, desk: Desk) -> None:
    spellings = ("0200.0000.0007", "02-00-00-00-00-07")
    plans = desk.types_each([("block", "mac", mac, "--dry-run", "--json") for mac in spellings])
    assert {plan.status for plan in plans} == {2}
    changes = [plan.object["devices"][0]["changes"][0]["station"] for plan in plans]
    assert changes == [{"port": None, "vlan": 10, "mac": "02:00:00:00:00:07"}] * len(spellings)


@pytest.mark.parametrize(("words", "status"), [(("--dry-run",), 2), (("--json",), 3)])
def test_nothing_is_touched_without_a_yes(lab: Lab, desk: Desk, words: tuple[str, ...], status: int) -> None:
    """On IOS a candidate would be a file in flash, on EOS a session that stays."""
    before = [desk.running(switch) for switch in ("core", "sw1")], flash(lab)
    core, sw1 = desk.types_each([("block", "mac", desk.mac(client), *words) for client in (ON_CORE, ON_SW1)])
    assert (core.status, sw1.status) == (status, status)
    assert "mac address-table static 0200.0000.0007 vlan 10 drop" in core.out
    assert "mac address-table static 0200.0000.0008 vlan 20 drop" in sw1.out
    if status == 3:
        assert "--yes says yes beforehand" in core.err
    assert ([desk.running(switch) for switch in ("core", "sw1")], flash(lab)) == before
    assert (desk.offline(), desk.states(), desk.pending()) == (set(), {}, False)


def test_a_person_is_asked_and_no_means_no(lab: Lab, desk: Desk) -> None:
    words = ("block", "mac", desk.mac(ON_CORE))
    declined = desk.answers("n", *words)
    assert (declined.status, "nothing was changed\n" in declined.out) == (3, True), declined.out
    assert (desk.offline(), desk.states()) == (set(), {})
    agreed = desk.answers("y", *words)
    assert (agreed.status, "done: new: a block of its MAC" in agreed.out) == (0, True), agreed.out
    assert desk.offline() == {ON_CORE}


def test_a_block_says_where_it_is_and_until_when_and_unblock_takes_it_back(lab: Lab, desk: Desk) -> None:
    said = desk.types("block", "mac", desk.mac(ON_SW1), "--yes", "--for", "2h", "--reason", "a test")
    assert said.status == 0
    assert "sw1 (diff: computed)\n+mac address-table static 0200.0000.0008 vlan 20 drop\n" in said.out
    assert "done: new: a block of its MAC for 02:00:00:00:00:08 in VLAN 20 on sw1" in said.out
    assert "(2 h left) because a test" in said.out
    assert (desk.offline(), lab.sessions(ON_SW1)) == ({ON_SW1}, 0)
    lifted = desk.types("unblock", "mac", "0200.0000.0008", "--yes")
    assert lifted.status == 0
    assert "lifted for mac:02:00:00:00:00:08: a block of its MAC" in lifted.out
    assert (desk.offline(), desk.ours(), desk.states()) == (set(), [], {})
    again = desk.types("unblock", "mac", desk.mac(ON_SW1), "--yes")
    assert (again.status, again.err) == (
        1,
        "error: no penalty of ours stands against 02:00:00:00:00:08; `switchguard penalties` lists them\n",
    )


def test_an_administrators_own_drop_is_neither_ours_nor_lifted(lab: Lab, desk: Desk) -> None:
    theirs = "mac address-table static 0200.0000.0007 vlan 10 drop"
    desk.configure_core(theirs)
    said = desk.types("block", "mac", desk.mac(ON_CORE), "--yes")
    assert (said.status, "not ours to touch" in said.err) == (3, True)
    assert desk.types("release-all", "--yes").out == "nothing stands\n"
    assert theirs in desk.running("core")


def test_a_drop_that_an_administrator_types_while_we_ask_is_theirs_too(lab: Lab, desk: Desk) -> None:
    theirs = "mac address-table static 0200.0000.0007 vlan 10 drop"
    said = desk.answers("y", "block", "mac", desk.mac(ON_CORE), meanwhile=lambda: desk.configure_core(theirs))
    assert (said.status, "not ours to touch" in said.out) == (3, True)
    assert desk.types("unblock", "mac", desk.mac(ON_CORE), "--yes").status == 0
    assert theirs in desk.running("core")


def test_what_others_do_while_we_ask_is_not_undone_by_the_answer(lab: Lab, desk: Desk) -> None:
    """Lifted, exempted, or blocked once more: the answer was to another question."""
    lifted, exempt, again = desk.mac(ON_SW2), desk.mac(ON_SW1), desk.mac(ON_CORE)
    lab.fault("sw2", "refuse-commit")
    desk.types("block", "mac", lifted, "--yes")
    lab.fault("sw2", "none")
    lab.greet()
    said = desk.answers("y", "apply", meanwhile=lambda: desk.types("unblock", "mac", lifted, "--yes"))
    assert (said.status, desk.ours()) == (3, []), said.out

    said = desk.answers(
        "y", "block", "mac", exempt, meanwhile=lambda: desk.types("exempt", "add", exempt, "--why", "speaker", "--yes")
    )
    assert (said.status, desk.ours(), desk.states()) == (3, [], {}), said.out

    assert desk.types("block", "mac", again, "--yes").status == 0
    lines = desk.ours()
    said = desk.answers(
        "y", "unblock", "mac", again, meanwhile=lambda: desk.types("block", "mac", again, "--for", "3h", "--yes")
    )
    assert "changed since the plan was made" in " ".join(said.out.split())
    assert (said.status, desk.ours(), desk.states()) == (3, lines, {again: "verified"}), said.out


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_pause_stops_even_the_release_by_the_clock_until_writes_resume(lab: Lab, desk: Desk) -> None:
    assert desk.types("block", "mac", desk.mac(ON_CORE), "--yes", "--for", "4s").status == 0
    assert desk.types("pause", "keynote until noon").status == 0
    refused = desk.types("block", "mac", desk.mac(ON_SW1), "--yes")
    assert (refused.status, "paused: keynote until noon" in refused.err) == (3, True)
    with desk.begins("run") as service:
        lab.wait_for(lambda: desk.states() == {}, "the end of the penalty", PATIENCE_S)
        lab.wait_for(lambda: any("keynote" in e["what"] for e in service.tells("refused")), "a refusal", PATIENCE_S)
        assert desk.offline() == {ON_CORE}
        assert desk.types("resume").out == "resumed\n"
        lab.wait_for(lambda: desk.offline() == set(), "the release", PATIENCE_S)
    assert desk.ours() == []
    assert desk.types("resume").out == "writes were not paused\n"


def test_a_block_on_an_access_switch_can_be_extended_while_the_client_is_hidden_by_it(lab: Lab, desk: Desk) -> None:
    for lasts in ("2s", "2h"):
        assert desk.types("block", "mac", desk.mac(ON_SW1), "--yes", "--for", lasts).status == 0
    with desk.begins("run"):
        lab.wait_for(lambda: len(desk.ledger.penalties()) == 1, "the end of the first one", PATIENCE_S)
        assert (desk.offline(), len(desk.ours())) == ({ON_SW1}, 1)
    said = desk.types("unblock", "mac", desk.mac(ON_SW1), "--yes")
    assert (said.status, "because by hand" in said.out) == (0, True)
    assert desk.offline() == set()


def test_a_client_with_two_causes_is_released_when_the_last_one_ends(lab: Lab, desk: Desk) -> None:
    for lasts in ("2s", "2h"):
        assert desk.types("block", "mac", desk.mac(ON_CORE), "--yes", "--for", lasts).status == 0
    with desk.begins("run"):
        lab.wait_for(lambda: len(desk.ledger.penalties()) == 1, "the end of one cause", PATIENCE_S)
        lab.wait_for(lambda: desk.states() == {desk.mac(ON_CORE): "verified"}, "a settled ledger", PATIENCE_S)
        assert desk.offline() == {ON_CORE}
        assert desk.types("unblock", "mac", desk.mac(ON_CORE), "--yes").status == 0
        assert desk.offline() == set()


# --- place -----------------------------------------------------------------------------------------------------------


def test_a_block_follows_its_client_to_another_switch_and_vlan(lab: Lab, desk: Desk) -> None:
    """c08, in VLAN 20 behind sw1, unplugs and comes back where c11 was: VLAN 10 behind sw2, which the core guards."""
    mac = desk.mac(ON_SW1)
    assert desk.types("block", "mac", mac, "--yes").status == 0
    with desk.begins("run"):
        assert (
            lab.client(ON_SW1).run(["ip", "link", "set", "dev", "eth0", "address", "02:00:00:00:88:88"]).returncode == 0
        )
        lab.client("c11").change_mac(mac)
        lab.wait_for(lambda: "c11" in desk.offline(), "the block at the new place", PATIENCE_S)
        lab.wait_for(
            lambda: {it.slot.device for it in desk.ledger.held()} == {"core"}, "the old one lifted", PATIENCE_S
        )
    assert desk.offline() == {"c11"}
    assert not [line for line in desk.running("sw1") if "drop" in line]


def test_a_named_device_is_used_instead_of_the_zones(lab: Lab, desk: Desk) -> None:
    assert desk.types("block", "mac", desk.mac(ON_CORE), "--on", "sw1", "--yes").status == 0
    assert desk.offline() == {ON_CORE}
    assert [held.slot.device for held in desk.ledger.held()] == ["sw1"]


# --- whom not --------------------------------------------------------------------------------------------------------


def test_an_exempt_client_is_spared_unless_a_person_insists(lab: Lab, desk: Desk) -> None:
    mac = desk.mac(ON_CORE)
    assert desk.types("block", "mac", mac, "--yes").status == 0
    assert desk.types("exempt", "add", mac, "--why", "keynote encoder", "--yes").status == 0
    assert (desk.offline(), desk.states()) == (set(), {})
    refused = desk.types("block", "mac", mac, "--yes")
    assert (refused.status, "it is exempt: keynote encoder [exemption]" in refused.err) == (3, True)
    assert desk.offline() == set()
    insisted = desk.types("block", "mac", mac, "--yes", "--override-exemption")
    assert (insisted.status, "overriding the exemption: keynote encoder" in insisted.out) == (0, True)
    assert desk.offline() == {ON_CORE}


def test_observe_writes_nothing_for_the_site_or_for_one_device(lab: Lab, desk: Desk) -> None:
    desk.host("sw1", mode="observe")
    watched, done = desk.types_each([("block", "mac", desk.mac(client), "--yes") for client in (ON_SW1, ON_CORE)])
    assert (watched.status, done.status) == (3, 0)
    assert "observe mode, will not be pushed" in watched.out
    assert "observe mode" in watched.err
    assert desk.offline() == {ON_CORE}
    desk.policy("mode: enforce", "mode: observe")
    assert desk.types("block", "mac", desk.mac("c12"), "--yes").status == 3
    assert desk.offline() == {ON_CORE}
    assert desk.types("release-all", "--yes").status == 0, "observe never keeps what we put there"
    assert desk.offline() == set()


# --- less than a block -----------------------------------------------------------------------------------------------


def test_a_cap_lets_exactly_so_many_sessions_through(lab: Lab, desk: Desk) -> None:
    client = lab.client(ON_CORE)
    assert answered(client, 5000, 40) == 40
    assert desk.types("cap", "ip", client.address, "--sessions", "25", "--yes").status == 0
    assert answered(client, 6000, 40) == 25
    assert answered(lab.client("c09"), 6000, 40) == 40
    assert desk.types("unblock", "ip", client.address, "--yes").status == 0
    assert answered(client, 7000, 40) == 40


def test_a_cap_for_everyone_meets_who_has_more_and_nobody_else_and_can_be_taken_back(lab: Lab, desk: Desk) -> None:
    greedy, busy, modest = lab.client(ON_CORE), lab.client(ON_SW1), lab.client("c09")
    words = ("cap", "everyone", "--sessions", "50", "--on", "gw", "--yes")
    refused = desk.types(*words)
    assert (refused.status, "who is exempt: the server that the internet visits" in refused.err) == (3, True)
    said = desk.types(*words, "--override-exemption", "--for", "2h")
    assert said.status == 0, said.err
    assert "note: new: a cap of 50 sessions for everyone on gw" in said.out
    assert "such a line can spare nobody" in said.out
    assert "overriding the exemption: the server that the internet visits" in said.out
    (penalty,) = desk.types("penalties", "--json").object["penalties"]
    assert (penalty["client"], penalty["state"]) == ("everyone:gw", "verified")
    assert [answered(client, 6000, 80) for client in (greedy, busy)] == [50, 50]
    assert answered(modest, 6000, 40) == 40
    assert "everyone on gw: a cap of 50 sessions" in desk.types("explain", greedy.address).out
    assert desk.types("unblock", "everyone", "--on", "gw", "--yes").status == 0
    assert (desk.states(), desk.elements()) == ({}, [])
    assert answered(greedy, 7000, 80) == 80


def test_a_cap_for_everyone_ends_on_time(lab: Lab, desk: Desk) -> None:
    words = ("--sessions", "50", "--on", "gw", "--override-exemption", "--for", "1s", "--yes")
    assert desk.types("cap", "everyone", *words).status == 0
    lab.wait_for(lambda: desk.types("apply", "--yes").status == 0 and not desk.elements(), "the end of the cap")
    assert desk.types("penalties").out == "nothing stands\n"


def test_a_limit_on_its_port_slows_a_client_and_nobody_else(lab: Lab, desk: Desk) -> None:
    burst = {"count": 60, "size": 1000}
    limited = lab.client(ON_SW1)
    assert answered(limited, 5000, **burst) > 50
    said = desk.types("limit", "mac", limited.mac, "--rate", "64kbps", "--yes")
    assert (said.status, "for port Gi0/8 on sw1" in said.out) == (0, True), said.out
    assert 0 < answered(limited, 6000, **burst) < 40
    assert answered(lab.client("c09"), 6000, **burst) > 50
    assert desk.types("unblock", "mac", limited.mac, "--yes").status == 0
    assert answered(limited, 7000, **burst) > 50


def test_a_port_that_changes_hands_while_we_ask_is_not_limited(lab: Lab, desk: Desk) -> None:
    """c08 and c06 are in one VLAN of one switch: nothing but the port tells them apart."""
    words = ("limit", "mac", desk.mac(ON_SW1), "--rate", "1Mbps", "--on", "sw1")
    with ExitStack() as until_then:
        trade = traded(lab, ON_SW1, "c06")
        said = desk.answers("y", *words, meanwhile=lambda: until_then.enter_context(trade))
    assert said.status == 3, said.out
    assert f"{desk.mac(ON_SW1)} is not on sw1 Gi0/8 any more" in " ".join(said.out.split())
    assert desk.ours() == []


def test_a_block_of_an_address_is_put_at_the_gateway(lab: Lab, desk: Desk) -> None:
    address = lab.client(ON_CORE).address
    assert desk.types("block", "ip", address, "--yes").status == 0
    assert (desk.offline(), len(desk.elements())) == ({ON_CORE}, 1)
    assert desk.types("unblock", "ip", address, "--yes").status == 0
    assert (desk.offline(), desk.elements()) == (set(), [])
