"""`switchguard run` is stopped, killed, reloaded and interrupted at bad moments, and the network is as it should be."""

import random
import signal
import time

import pytest
import yaml
from desk import ON_CORE, ON_SW1, PATIENCE_S, Desk, Running

from switchguard.lab.control import Lab

pytestmark = pytest.mark.lab


def wish(lab: Lab, desk: Desk, client: str, switch: str, *words: str) -> None:
    """A block that is on record and nowhere else: the switch refused it."""
    lab.fault(switch, "refuse-commit")
    assert desk.types("block", "mac", desk.mac(client), "--yes", *words).status == 1
    lab.fault(switch, "none")


def passes(service: Running, desk: Desk) -> str:
    """When the service made its last pass, as `status` tells it; "" before the first."""
    last = desk.ledger.status()
    return str(last["at"]) if last and last["pid"] == service.process.pid else ""


# --- killed ----------------------------------------------------------------------------------------------------------


def test_killed_in_the_middle_of_a_block_it_finishes_the_block_next_time(lab: Lab, desk: Desk) -> None:
    wish(lab, desk, ON_CORE, "core")
    lab.fault("core", "hang")
    with desk.begins("run") as service:
        lab.wait_for(desk.pending, "a push in progress", PATIENCE_S)
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    assert (desk.offline(), desk.pending()) == (set(), True), "the switch waits for somebody who is gone"
    lab.fault("core", "none")
    with desk.begins("run"):
        lab.wait_for(lambda: desk.offline() == {ON_CORE}, "the block", PATIENCE_S)
        lab.wait_for(lambda: desk.states() == {desk.mac(ON_CORE): "verified"}, "the block on record", PATIENCE_S)


def test_killed_in_the_middle_of_a_release_it_finishes_the_release_next_time(lab: Lab, desk: Desk) -> None:
    assert desk.types("block", "mac", desk.mac(ON_CORE), "--yes", "--for", "3s").status == 0
    lab.fault("core", "hang")
    with desk.begins("run") as service:
        lab.wait_for(desk.pending, "a release in progress", PATIENCE_S)
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    assert (desk.offline(), desk.states()) == ({ON_CORE}, {})
    lab.fault("core", "none")
    with desk.begins("run"):
        lab.wait_for(lambda: desk.offline() == set(), "the release", PATIENCE_S)
        lab.wait_for(lambda: desk.ledger.held() == (), "the release on record", PATIENCE_S)


@pytest.mark.timeout(300)
def test_killed_at_any_moment_it_neither_orphans_a_block_nor_loses_a_release(lab: Lab, desk: Desk) -> None:
    """Blocks of a few seconds come and go on two switches while the service dies again and again: somewhere after the
    first, second, ... thing that it did."""
    desk.policy("lasts: 2h, escalate: 2x, at_most: 2d", "lasts: 4s")
    desk.policy("for_polls: 2", "for_polls: 1")
    desk.policy("rules:", "safeguards: {share_of_clients: 20%}\nrules:")
    moments = random.Random(4)
    for client in (ON_CORE, ON_SW1):
        lab.swarm(client, rate=400)
    for things in (1, 2, 4):
        done = len(desk.ledger.history()) + things
        with desk.begins("run") as service:
            lab.wait_for(lambda done=done: len(desk.ledger.history()) >= done, "something done", PATIENCE_S)  # type: ignore[misc]
            time.sleep(moments.uniform(0.0, 0.7))  # the moment is what is tried out here
            service.end(signal.SIGKILL)
    lab.quiet()
    with desk.begins("run"):
        lab.wait_for(lambda: not desk.ledger.penalties() and not desk.ledger.held(), "the end of it all", PATIENCE_S)
        lab.wait_for(lambda: desk.offline() == set(), "everybody back", PATIENCE_S)
    assert {event.what for event in desk.ledger.history()} >= {"sentenced", "verified", "ended"}
    assert desk.ours() == []


# --- stopped ---------------------------------------------------------------------------------------------------------


def test_it_stops_when_asked_to(lab: Lab, desk: Desk) -> None:
    with desk.begins("run") as service:
        lab.wait_for(lambda: bool(passes(service, desk)), "a first pass", PATIENCE_S)
        status = desk.types("status", "--json")
        assert (status.object["running"], status.undocumented) == (True, set())
        assert service.end(signal.SIGTERM) == 0
        assert [event["unfinished_pass"] for event in service.tells("stopped")] == [False]
    assert desk.types("status", "--json").object["running"] is False


def test_it_stops_although_a_switch_hangs_and_a_reload_is_wanted(lab: Lab, desk: Desk) -> None:
    """With the default time-outs that switch would be waited for longer than this test waits."""
    wish(lab, desk, ON_CORE, "core")
    lab.fault("core", "hang")
    with desk.begins("run") as service:
        lab.wait_for(desk.pending, "a push in progress", PATIENCE_S)
        service.process.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: bool(service.tells("reloaded")), "the reload", 20.0)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=20.0) == 0
        assert [event["unfinished_pass"] for event in service.tells("stopped")] == [True]


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_ctrl_c_in_the_middle_of_a_block_leaves_nothing_half_written(lab: Lab, desk: Desk) -> None:
    desk.impatient()
    lab.fault("core", "hang")
    with desk.begins("block", "mac", desk.mac(ON_CORE), "--yes") as command:
        lab.wait_for(lambda: bool(desk.ledger.held()) and desk.pending(), "a push in progress", PATIENCE_S)
        assert command.end(signal.SIGINT) == 130
        said = command.log.read_text()
    assert "stopping: devices in the middle of something are let finish" in said
    assert "`switchguard penalties` shows how far it came" in said
    assert said.endswith("interrupted\n")
    assert (desk.offline(), desk.states()) == (set(), {desk.mac(ON_CORE): "failed"})
    lab.fault("core", "none")
    assert desk.types("apply", "--yes").status == 0
    assert (desk.offline(), desk.states()) == ({ON_CORE}, {desk.mac(ON_CORE): "verified"})


def test_a_second_service_is_refused_until_the_first_one_is_gone_however_it_went(lab: Lab, desk: Desk) -> None:
    """Two would count every poll twice."""
    with desk.begins("run") as service:
        lab.wait_for(lambda: bool(passes(service, desk)), "a first pass", PATIENCE_S)
        second = desk.types("run")
        assert (second.status, second.out) == (1, "")
        assert f"process {service.process.pid} " in second.err
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    with desk.begins("run") as service:
        lab.wait_for(lambda: bool(passes(service, desk)), "a first pass of the next one", PATIENCE_S)


# --- reloaded --------------------------------------------------------------------------------------------------------


def test_hangup_reloads_the_policy_and_a_broken_one_changes_nothing(lab: Lab, desk: Desk) -> None:
    with desk.begins("run") as service:
        lab.wait_for(lambda: bool(passes(service, desk)), "a first pass", PATIENCE_S)
        desk.policy("mode: enforce", "mode: observe")
        service.process.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: bool(service.tells("reloaded")), "the reload", PATIENCE_S)
        lab.wait_for(lambda: (desk.ledger.status() or {})["mode"] == "observe", "a pass in the new mode", PATIENCE_S)

        desk.policy("mode: observe", "mod: enforce")
        service.process.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: bool(service.tells("not reloaded, the old site stays in force")), "refusal", PATIENCE_S)
        (refused,) = service.tells("not reloaded, the old site stays in force")
        assert f"{desk.site / 'switchguard.yaml'}:2: unknown key 'mod'; did you mean 'mode'?" in refused["why"]
        before = passes(service, desk)
        lab.wait_for(lambda: passes(service, desk) > before, "one more pass", PATIENCE_S)
        assert (desk.ledger.status() or {})["mode"] == "observe"
        assert service.end(signal.SIGTERM) == 0


def test_a_switch_that_a_reload_renamed_is_told_until_it_is_back_under_its_name(lab: Lab, desk: Desk) -> None:
    assert desk.types("block", "mac", desk.mac(ON_SW1), "--yes", "--for", "20s").status == 0
    hosts = desk.site / "hosts.yaml"
    before = hosts.read_text()
    with desk.begins("run") as service:
        lab.wait_for(lambda: bool(passes(service, desk)), "a first pass", PATIENCE_S)
        named = yaml.safe_load(before)
        hosts.write_text(yaml.safe_dump({**{k: v for k, v in named.items() if k != "sw1"}, "access1": named["sw1"]}))
        service.process.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: bool(service.tells("lines left on a device that is gone")), "a warning", PATIENCE_S)
        (left,) = service.tells("lines left on a device that is gone")
        assert (left["level"], left["device"], left["lines"]) == ("warning", "sw1", 1)
        lab.wait_for(lambda: desk.ledger.standing() == (), "the end by the clock", PATIENCE_S)
        assert [record.state for record in desk.ledger.penalties()] == ["releasing"]
        assert "still to be lifted: 1, on sw1" in desk.types("status").err
        assert desk.types("check").status == 1
        said = desk.types("unblock", "mac", desk.mac(ON_SW1), "--yes")
        assert (said.status, "it is no longer in hosts.yaml" in said.err) == (3, True)
        assert desk.offline() == {ON_SW1}
        hosts.write_text(before)
        service.process.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: desk.offline() == set(), "the release", PATIENCE_S)
        lab.wait_for(lambda: desk.ledger.penalties() == (), "nothing left", PATIENCE_S)
