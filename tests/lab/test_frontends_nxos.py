"""The NX-OS front end: the real NAPALM and Netmiko get through, and lines that the switch would refuse are refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napalm
import pytest
from frontends_harness import CLIENT, OWN, PASSWORD, USER, FaultSwitch, Loop, RecordingPlane, chassis, serving
from napalm.base.exceptions import MergeConfigException
from netmiko import ConnectHandler

from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.errors import CommandRefused, DeviceError, LoginRefused, Unreachable
from switchguard.lab.frontends.certificate import self_signed, showing
from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.grammar_nxos import INVALID_MAC
from switchguard.lab.frontends.nxos import ssh_server
from switchguard.lab.frontends.nxos_api import NxosApi
from switchguard.lab.frontends.nxos_session import nxos_switch
from switchguard.lab.frontends.switch import Switch
from switchguard.lab.plane import FdbRow, PlaneState
from switchguard.ports import Endpoint, Secret, Session

BLOCK = "mac address-table static 0200.0000.0007 vlan 10 drop"
UNBLOCK = "no mac address-table static 0200.0000.0007 vlan 10"
BLOCKED = PlaneState(drops=frozenset({(CLIENT, 10)}))
LIMIT = """\
policy-map type qos SWITCHGUARD-Et1
 class class-default
  police cir 64000 bps bc 200 ms conform transmit violate drop
  exit
 exit
interface Ethernet1
 service-policy type qos input SWITCHGUARD-Et1
 exit
"""
MARKER = "% Invalid command at '^' marker."


@dataclass
class Lab:
    """A switch that answers on `port`."""

    plane: RecordingPlane
    told: FaultSwitch
    switch: Switch
    loop: Loop
    port: int
    https: int
    certificate: Path

    def running(self) -> str:
        return self.loop.call(self.switch.text)

    @contextmanager
    def over_https(self, password: str = PASSWORD, timeout_s: float = 2.0) -> Iterator[Session]:
        """As switchguard does."""
        options = {"transport": "https", "port": self.https}
        secret, vouched = Secret(password), str(self.certificate)
        way = Endpoint("127.0.0.1", None, USER, secret, timeout_s=timeout_s, napalm_options=options, ca_file=vouched)
        with open_session(Device("sw1", "cisco_nxos", Role.ACCESS), way) as session:
            yield session


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    plane = RecordingPlane("Et", learnt=[FdbRow(CLIENT, 10, "Et1", 3)])
    told, loop = FaultSwitch(tmp_path / "faults", "sw1"), Loop()
    switch = loop.call(lambda: nxos_switch("sw1", plane, chassis(), tmp_path, told.faults))
    server = ssh_server(switch, {USER: PASSWORD}, tmp_path / "ssh_host_key")
    certificate = self_signed(tmp_path, "sw1")
    api = NxosApi(switch, {USER: PASSWORD})
    listening = loop.run(api.start("127.0.0.1", 0, showing(certificate)))
    with serving(loop, server) as port:
        yield Lab(plane, told, switch, loop, port, listening.sockets[0].getsockname()[1], certificate)
        loop.call(api.cut)
        loop.call(listening.close)


@pytest.fixture
def driver(lab: Lab) -> Iterator[Any]:
    """NAPALM, logged in."""
    opened = napalm.get_network_driver("nxos_ssh")("127.0.0.1", USER, PASSWORD, optional_args={"port": lab.port})
    opened.open()
    yield opened
    opened.device.disconnect()


@pytest.fixture
def terminal(lab: Lab) -> Iterator[Any]:
    """Netmiko, logged in."""
    opened = ConnectHandler("127.0.0.1", username=USER, password=PASSWORD, device_type="cisco_nxos", port=lab.port)
    yield opened
    opened.disconnect()


# --- NAPALM ----------------------------------------------------------------------------------------------------------


def test_a_merge_takes_effect_is_saved_and_can_be_taken_back(lab: Lab, driver: Any) -> None:
    before = lab.running()
    driver.load_merge_candidate(config=BLOCK)
    assert driver.compare_config() == BLOCK
    driver.commit_config()
    assert (lab.plane.state, BLOCK in lab.switch.startup) == (BLOCKED, True)
    driver.load_merge_candidate(config=UNBLOCK)
    driver.commit_config()
    assert (lab.plane.state, lab.running()) == (PlaneState(), before)


def test_a_line_that_stands_is_no_difference(lab: Lab, driver: Any) -> None:
    for _ in range(2):
        driver.load_merge_candidate(config=BLOCK)
        driver.commit_config()
    driver.load_merge_candidate(config=BLOCK)
    assert driver.compare_config() == ""


def test_a_policy_limits_what_a_port_receives(lab: Lab, driver: Any) -> None:
    driver.load_merge_candidate(config=LIMIT)
    driver.commit_config()
    assert lab.plane.state.rates == {"Et1": 64_000}


def test_a_refused_merge_is_rolled_back(lab: Lab, driver: Any) -> None:
    before = lab.running()
    driver.load_merge_candidate(config=f"{BLOCK}\nno such line")
    with pytest.raises(MergeConfigException):
        driver.commit_config()
    assert lab.running() == before


def test_the_forwarding_table_is_read(driver: Any) -> None:
    (learnt,) = [row for row in driver.get_mac_address_table() if row["vlan"] == 10]
    assert (learnt["mac"], learnt["interface"], learnt["static"]) == (CLIENT, "Ethernet1", False)


@pytest.mark.parametrize("fault", [Fault.REFUSE_COMMIT, Fault.IGNORE_COMMIT])
def test_a_switch_that_does_not_obey_drops_nothing(lab: Lab, driver: Any, fault: Fault) -> None:
    lab.told.set(fault)
    driver.load_merge_candidate(config=BLOCK)
    if fault is Fault.REFUSE_COMMIT:
        with pytest.raises(MergeConfigException):
            driver.commit_config()
    else:
        driver.commit_config()
    assert (lab.plane.state, BLOCK in lab.running()) == (PlaneState(), False)


# --- what it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (f"mac address-table static {OWN.dotted()} vlan 10 drop", INVALID_MAC),
        ("mac address-table static 0100.5e00.0007 vlan 10 drop", INVALID_MAC),
        ("mac address-table static 0200.0000.0007 vlan 4095 drop", MARKER),
        (f"{UNBLOCK} drop", MARKER),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused(lab: Lab, terminal: Any, line: str, answer: str) -> None:
    assert answer in terminal.send_config_set([line])
    assert lab.plane.state == PlaneState()


def test_a_policy_in_use_is_not_deleted(terminal: Any) -> None:
    terminal.send_config_set(LIMIT.splitlines())
    assert "is in use by interface Ethernet1" in terminal.send_config_set(["no policy-map type qos SWITCHGUARD-Et1"])


def test_an_unknown_command_and_an_unknown_filter_are_marked(terminal: Any) -> None:
    assert MARKER in terminal.send_command("show nonsense")
    assert MARKER in terminal.send_command("show version | shout")


# --- what it prints --------------------------------------------------------------------------------------------------


def test_lines_of_a_configuration_can_be_chosen_and_counted(terminal: Any) -> None:
    terminal.send_config_set([BLOCK])
    asked = 'show running-config | egrep "^mac address-table|^vlan 10"'
    lines = terminal.send_command(asked).splitlines()
    assert sorted(lines) == [BLOCK, "vlan 10"]
    assert terminal.send_command(f"{asked} | count").strip() == "2"


def test_a_blocked_station_is_shown_as_dropped(terminal: Any) -> None:
    terminal.send_config_set([BLOCK])
    rows = [line.split() for line in terminal.send_command("show mac address-table").splitlines()]
    assert ["*", "10", "0200.0000.0007", "static", "-", "F", "F", "Drop"] in rows


def test_a_checkpoint_is_gone_back_to_as_a_whole(lab: Lab, terminal: Any) -> None:
    before = lab.running()
    assert terminal.send_command("checkpoint file before.txt").strip() == "Done"
    terminal.send_config_set([BLOCK])
    assert "Rollback failed." in terminal.send_command("rollback running-config file other.txt")
    assert "completed successfully" in terminal.send_command("rollback running-config file before.txt")
    assert (lab.plane.state, lab.running()) == (PlaneState(), before)


# --- NX-API ----------------------------------------------------------------------------------------------------------


def commit(session: Session, *lines: str) -> None:
    with session.candidate(lines) as candidate:
        candidate.commit()


def test_both_ways_tell_the_same(lab: Lab, terminal: Any) -> None:
    with lab.over_https() as session:
        for command in (
            "show mac address-table",
            "show ip arp vrf all",
            'show running-config | egrep "^vlan|^interface"',
        ):
            assert session.ask(command).split() == terminal.send_command(command).split()


def test_a_merge_over_https_takes_effect_is_saved_and_can_be_taken_back(lab: Lab) -> None:
    before = lab.running()
    with lab.over_https() as session:
        with session.candidate([BLOCK]) as candidate:
            assert (candidate.diff(), lab.plane.state) == (BLOCK, PlaneState())
            candidate.commit()
        assert (lab.plane.state, BLOCK in lab.switch.startup) == (BLOCKED, True)
        commit(session, UNBLOCK)
    assert (lab.plane.state, lab.running()) == (PlaneState(), before)


def test_sections_over_https_are_entered_and_left(lab: Lab) -> None:
    with lab.over_https() as session:
        commit(session, *LIMIT.splitlines())
    assert lab.plane.state.rates == {"Et1": 64_000}


def test_a_refused_merge_over_https_is_rolled_back(lab: Lab) -> None:
    before = lab.running()
    with lab.over_https() as session, pytest.raises(CommandRefused, match="no such line"):
        commit(session, BLOCK, "no such line")
    assert (lab.plane.state, lab.running()) == (PlaneState(), before)


@pytest.mark.parametrize("command", ["show nonsense", "configure session x", "show version | shout"])
def test_an_unknown_command_over_https_is_refused(lab: Lab, command: str) -> None:
    with lab.over_https() as session, pytest.raises(CommandRefused, match="Invalid command"):
        session.ask(command)


def test_a_stranger_is_not_let_in_over_https(lab: Lab) -> None:
    with lab.over_https("guess") as session, pytest.raises(LoginRefused):
        session.ask("show version")


@pytest.mark.parametrize(
    ("fault", "error", "state"),
    [
        (Fault.REFUSE_COMMIT, CommandRefused, PlaneState()),
        (Fault.DROP_SESSION_BEFORE, Unreachable, PlaneState()),
        (Fault.DROP_SESSION, Unreachable, BLOCKED),
        (Fault.DROP_SESSION_AFTER, Unreachable, BLOCKED),
    ],
)
def test_a_switch_that_misbehaves_over_https_is_blamed(
    lab: Lab, fault: Fault, error: type[DeviceError], state: PlaneState
) -> None:
    lab.told.set(fault)
    with lab.over_https() as session, pytest.raises(error):
        commit(session, BLOCK)
    assert lab.plane.state == state


def test_a_switch_that_ignores_a_commit_over_https_shows_so(lab: Lab) -> None:
    lab.told.set(Fault.IGNORE_COMMIT)
    with lab.over_https() as session:
        commit(session, BLOCK)
        assert BLOCK not in session.ask("show running-config")


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.MUTE])
def test_a_switch_that_hangs_over_https_is_given_up(lab: Lab, fault: Fault) -> None:
    lab.told.set(fault)
    with lab.over_https(timeout_s=0.2) as session, pytest.raises(Unreachable, match="no answer to"):
        commit(session, BLOCK)
    assert lab.plane.state == PlaneState()
    lab.told.set(Fault.NONE)
