"""The EOS front end: the real NAPALM gets through over eAPI, and it is as stubborn as a real switch."""

import base64
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import napalm
import pytest
from frontends_harness import CLIENT, PASSWORD, USER, FaultSwitch, Loop, RecordingPlane, chassis
from napalm.base.exceptions import MergeConfigException
from pyeapi.eapilib import CommandError, ConnectionError

from switchguard.lab.frontends.eos import EosServer
from switchguard.lab.frontends.eos_box import EosBox
from switchguard.lab.frontends.faults import FOREIGN_LINE, Fault
from switchguard.lab.plane import FdbRow, PlaneState

BLOCK = "mac address-table static 0200.0000.0007 vlan 10 drop"
BLOCKED = PlaneState(drops_to=frozenset({(CLIENT, 10)}))


@dataclass
class Lab:
    """A switch that answers on `port`."""

    plane: RecordingPlane
    told: FaultSwitch
    box: EosBox
    server: EosServer
    loop: Loop
    port: int

    def running(self) -> str:
        return self.loop.call(self.box.switch.text)

    def driver(self, password: str = PASSWORD, timeout: float = 5.0) -> Any:
        """NAPALM, logged in."""
        options = {"transport": "http", "port": self.port}
        opened = napalm.get_network_driver("eos")("127.0.0.1", USER, password, timeout=timeout, optional_args=options)
        opened.open()
        return opened

    def run(self, *commands: object, **params: object) -> Any:
        """What eAPI answers to these commands."""
        body = {"jsonrpc": "2.0", "id": "1", "method": "runCmds", "params": {"version": 1, "cmds": commands, **params}}
        return self.post(json.dumps(body).encode())

    def post(self, body: bytes) -> Any:
        client = HTTPConnection("127.0.0.1", self.port, timeout=5)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        client.request("POST", "/command-api", body, {"Authorization": f"Basic {login}"})
        answer = json.loads(client.getresponse().read())
        client.close()
        return answer

    def refusal(self, *commands: object) -> tuple[int, list[str]]:
        error = self.run(*commands)["error"]
        return error["code"], error["data"][-1]["errors"]


def start(tmp_path: Path, second_s: float = 1.0) -> Iterator[Lab]:
    plane = RecordingPlane("Et", learnt=[FdbRow(CLIENT, 10, "Et1", 3)])
    told, loop = FaultSwitch(tmp_path / "faults", "core"), Loop()
    box = loop.call(lambda: EosBox("core", plane, chassis(), tmp_path, told.faults, second_s=second_s))
    server = EosServer(box, {USER: PASSWORD})
    listening = loop.run(server.start("127.0.0.1", 0))
    yield Lab(plane, told, box, server, loop, listening.sockets[0].getsockname()[1])
    loop.call(server.reload)
    loop.call(listening.close)
    loop.stop()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    yield from start(tmp_path)


# --- NAPALM ----------------------------------------------------------------------------------------------------------


def test_napalm_blocks_and_takes_it_back(lab: Lab) -> None:
    before, driver = lab.running(), lab.driver()
    driver.load_merge_candidate(config=BLOCK)
    assert f"+{BLOCK}" in driver.compare_config().splitlines()
    assert lab.plane.state == PlaneState()
    driver.commit_config()
    assert lab.plane.state == BLOCKED
    assert BLOCK in lab.box.switch.startup
    driver.rollback()
    assert lab.plane.state == PlaneState()
    driver.close()
    assert lab.running() == before


def test_a_dry_run_leaves_nothing(lab: Lab) -> None:
    before, driver = lab.running(), lab.driver()
    driver.load_merge_candidate(config=BLOCK)
    driver.compare_config()
    driver.close()
    assert lab.running() == before
    assert lab.box.sessions == {}


def test_the_diff_is_unified_below_two_names(lab: Lab) -> None:
    lab.run("enable", "configure session s", "snmp-server contact me", "end")
    shown = lab.run("enable", "show session-config named s diffs", format="text")["result"][1]["output"]
    assert shown.splitlines() == [
        "--- system:/running-config",
        "+++ session:/s-session-config",
        "@@ -20,3 +20,5 @@",
        "    switchport mode trunk",
        " !",
        " snmp-server location the lab",
        "+!",
        "+snmp-server contact me",
    ]


def test_napalm_replaces_the_whole_configuration(lab: Lab) -> None:
    driver = lab.driver()
    driver.load_replace_candidate(config=lab.running().replace("the lab", "elsewhere"))
    assert "-snmp-server location the lab\n+snmp-server location elsewhere" in driver.compare_config()
    driver.commit_config()
    driver.close()
    assert "snmp-server location elsewhere" in lab.running()


def test_a_line_that_eos_does_not_know_is_refused_at_once(lab: Lab) -> None:
    driver = lab.driver()
    with pytest.raises(MergeConfigException, match=r"Invalid input \(at token 2: 'foo'\)"):
        driver.load_merge_candidate(config=f"{BLOCK}\nmac address-table foo")
    driver.close()
    assert lab.box.sessions == {}


def test_a_commit_on_trial_can_be_confirmed_or_taken_back(lab: Lab) -> None:
    driver = lab.driver()
    driver.load_merge_candidate(config=BLOCK)
    driver.commit_config(revert_in=300)
    assert 295 <= driver._get_pending_commits()[driver.config_session] <= 300
    driver.rollback()
    assert lab.plane.state == PlaneState()
    driver.load_merge_candidate(config=BLOCK)
    driver.commit_config(revert_in=300)
    driver.confirm_commit()
    assert not driver.has_pending_commit()
    driver.close()
    assert lab.plane.state == BLOCKED


def test_a_commit_on_trial_ends_by_the_clock(tmp_path: Path) -> None:
    for lab in start(tmp_path, second_s=0.0):
        before = lab.running()
        lab.run("enable", "configure session s", BLOCK, "end", "configure session s commit timer 00:05:00")
        lab.run("show version")
        assert (lab.running(), lab.box.trial) == (before, None)


def test_napalm_reads_its_tables(lab: Lab) -> None:
    driver = lab.driver()
    assert driver.get_facts()["interface_list"] == ["Ethernet1", "Ethernet2", "Ethernet24"]
    row = driver.get_mac_address_table()[0]
    assert (row["mac"], row["interface"], row["vlan"], row["static"]) == (CLIENT, "Ethernet1", 10, False)
    assert driver.get_vlans()["20"]["interfaces"] == ["Ethernet24"]
    assert driver.get_interfaces()["Ethernet1"]["is_up"]
    assert driver.get_lldp_neighbors() == {}
    assert "interface Ethernet1" in driver.get_config()["running"]
    assert isinstance(driver.get_arp_table(), list)
    driver.close()


def test_a_wrong_password_is_refused(lab: Lab) -> None:
    with pytest.raises(ConnectionError, match="Unauthorized"):
        lab.driver("guess")


# --- eAPI ------------------------------------------------------------------------------------------------------------


def test_an_error_names_the_command_and_keeps_the_results_before_it(lab: Lab) -> None:
    error = lab.run("enable", "show hostname", "show foo", "show version")["error"]
    assert error == {
        "code": 1002,
        "message": "CLI command 3 of 4 'show foo' failed: invalid command",
        "data": [{}, {"hostname": "core", "fqdn": "core"}, {"errors": ["Invalid input (at token 1: 'foo')"]}],
    }


def test_abbreviations_need_to_be_asked_for(lab: Lab) -> None:
    assert lab.refusal("sh ver") == (1002, ["Invalid input (at token 0: 'sh')"])
    assert lab.run("sh ver", autoComplete=True)["result"][0]["version"] == "4.28.3M"


def test_configuration_needs_privilege(lab: Lab) -> None:
    assert lab.refusal("show running-config")[0] == 1005
    assert lab.refusal("configure session s")[0] == 1005


def test_filters_work_on_text_only(lab: Lab) -> None:
    included = "show running-config | include ^interface|^end"
    assert lab.refusal("enable", included)[0] == 1003
    text = lab.run("enable", included, format="text")["result"][1]["output"]
    assert text == "interface Ethernet1\ninterface Ethernet2\ninterface Ethernet24\nend\n"
    section = lab.run("enable", "show running-config section Ethernet24", format="text")["result"][1]["output"]
    assert section.splitlines()[0] == "interface Ethernet24"


def test_json_can_be_asked_for_as_text(lab: Lab) -> None:
    text = lab.run("show mac address-table | json", format="text")["result"][0]["output"]
    assert json.loads(text)["unicastTable"]["tableEntries"][0]["interface"] == "Ethernet1"


def test_configuration_is_told_as_a_tree(lab: Lab) -> None:
    commands = lab.run("enable", "show running-config")["result"][1]["cmds"]
    assert commands["hostname core"] is None
    assert "switchport mode access" in commands["interface Ethernet1"]["cmds"]


def test_lines_outside_of_a_session_take_effect_at_once(lab: Lab) -> None:
    lab.run("enable", "configure", "interface Ethernet2", "shutdown", "exit", BLOCK, "end", "show hostname")
    assert lab.plane.state == PlaneState(drops_to=BLOCKED.drops_to, down=frozenset({"Et2"}))


def test_a_commit_overwrites_what_others_changed_meanwhile_and_its_diff_says_so(lab: Lab) -> None:
    lab.run("enable", "configure session s", BLOCK, "end")
    lab.run("enable", "configure", "interface Ethernet2", "shutdown", "end")
    shown = lab.run("enable", "show session-config named s diffs", format="text")["result"][1]["output"]
    assert [line for line in shown.splitlines()[3:] if line[0] in "+-"] == ["-   shutdown", f"+{BLOCK}", "+!"]
    lab.run("enable", "configure session s commit")
    assert lab.plane.state == BLOCKED


def test_sessions_that_nobody_ends_use_up_the_room(lab: Lab) -> None:
    for number in range(5):
        lab.run("enable", f"configure session s{number}", "end")
    assert lab.refusal("enable", "configure session s5")[1] == ["Maximum number of pending sessions has been reached"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32601),
        (b'{"method": "other"}', -32601),
        (b'{"method": "runCmds", "params": {"cmds": "show version"}}', -32602),
        (b'{"method": "runCmds", "params": {"cmds": [7]}}', 1002),
        (b'{"method": "runCmds", "params": {"cmds": [{"cmd": "show"}]}}', 1002),
    ],
)
def test_what_is_no_request_is_an_error(lab: Lab, body: bytes, code: int) -> None:
    assert lab.post(body)["error"]["code"] == code


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff" * 50_000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /command-api HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /command-api HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /command-api HTTP/1.1\r\nContent-Length: 50\r\n\r\nhalf",
        b"POST /command-api HTTP/1.1\r\nAuthorization: Basic \xff\r\n\r\n",
        b"",
    ],
)
def test_garbage_on_the_port_does_not_stop_the_switch(lab: Lab, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", lab.port)) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
    assert lab.run("show hostname")["result"][0]["hostname"] == "core"


# --- faults ----------------------------------------------------------------------------------------------------------


def loaded(lab: Lab) -> Any:
    driver = lab.driver(timeout=0.5)
    driver.load_merge_candidate(config=BLOCK)
    return driver


def test_a_refused_commit_changes_nothing_and_says_so(lab: Lab) -> None:
    driver = loaded(lab)
    lab.told.set(Fault.REFUSE_COMMIT)
    with pytest.raises(CommandError, match="out of resources"):
        driver.commit_config()
    driver.close()
    assert lab.plane.state == PlaneState()


def test_an_ignored_commit_changes_nothing_and_does_not_say_so(lab: Lab) -> None:
    driver = loaded(lab)
    lab.told.set(Fault.IGNORE_COMMIT)
    driver.commit_config()
    driver.close()
    assert lab.plane.state == PlaneState()


@pytest.mark.parametrize(
    ("fault", "state", "saved"),
    [
        (Fault.DROP_SESSION_BEFORE, PlaneState(), False),
        (Fault.DROP_SESSION, BLOCKED, False),
        (Fault.DROP_SESSION_AFTER, BLOCKED, True),
        (Fault.HANG, PlaneState(), False),
    ],
)
def test_a_lost_connection_tells_nothing(lab: Lab, fault: Fault, state: PlaneState, saved: bool) -> None:
    driver = loaded(lab)
    lab.told.set(fault)
    with pytest.raises(ConnectionError):
        driver.commit_config()
    assert lab.plane.state == state
    assert (BLOCK in lab.box.switch.startup) is saved


def test_a_mute_switch_answers_nothing(lab: Lab) -> None:
    lab.told.set(Fault.MUTE)
    with pytest.raises(ConnectionError):
        lab.driver(timeout=0.2)


def test_a_wrong_diff_announces_a_line_that_would_be_committed(lab: Lab) -> None:
    driver = loaded(lab)
    lab.told.set(Fault.WRONG_DIFF)
    assert f"+{FOREIGN_LINE}" in driver.compare_config()
    driver.commit_config()
    driver.close()
    assert FOREIGN_LINE in lab.running()


def test_a_reload_loses_what_was_not_saved(lab: Lab) -> None:
    lab.run("enable", "configure session s", BLOCK, "commit")
    assert lab.plane.state == BLOCKED
    lab.loop.call(lab.server.reload)
    assert lab.plane.state == PlaneState()
    assert lab.box.sessions == {}
