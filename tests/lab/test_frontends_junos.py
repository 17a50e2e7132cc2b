"""The Junos front end and the real path to it: our driver, NAPALM, PyEZ and Netmiko, over SSH to loopback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import napalm
import pytest
from frontends_harness import CLIENT, PASSWORD, USER, FaultSwitch, Loop, RecordingPlane, chassis

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Mac, Role, Station
from switchguard.core.penalties import Block, Quarantine, RateLimit, SessionCap
from switchguard.edge.session import open_session
from switchguard.errors import (
    CommandRefused,
    DeviceError,
    LabError,
    LoginRefused,
    UnexpectedDiff,
    UnknownHostKey,
    Unreachable,
)
from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.junos import ssh_server
from switchguard.lab.frontends.junos_box import FOREIGN, JunosBox
from switchguard.lab.frontends.junos_config import display_set
from switchguard.lab.frontends.ssh import SshServer
from switchguard.lab.plane import FdbRow, PlaneState
from switchguard.ports import Endpoint, Enforces, ReadsFdb, Secret, Session

JUNOS = cast(Enforces, plugins.driver("juniper_junos"))
MAC = Mac.parse(CLIENT)
BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=MAC)), None, Block())
MOVED = Change(Slot("sw1", "quarantine", Station(port="ge-0/0/1")), None, Quarantine(99))
LIMIT = Change(Slot("sw1", "limit", Station(port="ge-0/0/1")), None, RateLimit(64_000))
BLOCKED = PlaneState(drops=frozenset({(CLIENT, 10)}))
Opens = Callable[..., Session]


@dataclass
class Lab:
    """A switch that answers on `port`."""

    plane: RecordingPlane
    told: FaultSwitch
    box: JunosBox
    server: SshServer
    loop: Loop
    port: int
    state: Path

    def active(self) -> list[str]:
        return self.loop.call(lambda: display_set(self.box.active))

    def endpoint(self, known_hosts: Path, password: str = PASSWORD) -> Endpoint:
        return Endpoint("127.0.0.1", self.port, USER, Secret(password), known_hosts=str(known_hosts), timeout_s=5.0)

    @property
    def known_hosts(self) -> Path:
        key = (self.state / "ssh_host_key.pub").read_text()
        file = self.state / "known_hosts"
        file.write_text(f"[127.0.0.1]:{self.port} {key}")
        return file


def make_box(state: Path, plane: RecordingPlane, told: FaultSwitch, **more: Any) -> JunosBox:
    return JunosBox("sw1", plane, chassis(), state, told.faults, **more)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    plane = RecordingPlane("ge-0_0_", learnt=[FdbRow(CLIENT, 10, "ge-0_0_1", 3)])
    told, loop = FaultSwitch(tmp_path / "faults", "sw1"), Loop()
    box = loop.call(lambda: make_box(tmp_path, plane, told))
    server = ssh_server(box, {USER: PASSWORD}, tmp_path / "ssh_host_key")
    acceptor = loop.run(server.start("127.0.0.1", 0))
    yield Lab(plane, told, box, server, loop, acceptor.get_port(), tmp_path)
    loop.call(server.reload)
    loop.call(acceptor.close)
    loop.run(acceptor.wait_closed())
    loop.stop()


@pytest.fixture
def switch(lab: Lab) -> Iterator[Session]:
    with open_session(Device("sw1", "juniper_junos", Role.ACCESS), lab.endpoint(lab.known_hosts)) as session:
        yield session


def load(session: Session) -> None:
    """Without a look at the configuration, so that NAPALM is the first to log in."""
    with session.candidate(["set vlans v30 vlan-id 30"]):
        pass


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_a_block_there_and_back(lab: Lab, switch: Session) -> None:
    before = lab.active()
    diff = JUNOS.push(switch, [BLOCK])
    assert diff.source == "device"
    assert "filter SWITCHGUARD-10 {" in diff.text
    assert lab.plane.state == BLOCKED
    assert JUNOS.enforced(switch) == {BLOCK.slot: Block()}
    JUNOS.push(switch, [BLOCK.inverse()])
    assert (lab.active(), lab.plane.state) == (before, PlaneState())


def test_a_preview_leaves_neither_change_nor_lock(lab: Lab, switch: Session) -> None:
    before = lab.active()
    diff = JUNOS.preview(switch, [BLOCK, LIMIT])
    assert (lab.active(), lab.plane.state, lab.box.owner) == (before, PlaneState(), None)
    assert lab.box.candidate == lab.box.active
    assert JUNOS.push(switch, [BLOCK, LIMIT]) == diff
    assert lab.plane.state == PlaneState(drops=BLOCKED.drops, rates={"ge-0_0_1": 64_000})


def test_quarantine_there_and_back(lab: Lab, switch: Session) -> None:
    before = sorted(lab.active())
    JUNOS.push(switch, [MOVED])
    assert lab.plane.state == PlaneState(moved={"ge-0_0_1": 99})
    assert JUNOS.enforced(switch) == {MOVED.slot: Quarantine(99)}
    JUNOS.push(switch, [MOVED.inverse()])
    assert (sorted(lab.active()), lab.plane.state) == (before, PlaneState())


def test_an_access_port_in_two_vlans_is_refused(lab: Lab, switch: Session) -> None:
    unit = "interfaces ge-0/0/1 unit 0 family ethernet-switching"
    with (
        pytest.raises(CommandRefused, match="has multiple VLANs"),
        switch.candidate([f"set {unit} vlan members quarantine"]) as candidate,
    ):
        candidate.commit()
    assert lab.plane.state == PlaneState()


def test_a_cap_for_everyone_there_and_back(lab: Lab) -> None:
    firewall = Device("sw1", "juniper_junos", Role.GATEWAY, lan_interfaces=("irb.10",))
    cap = Change(Slot("sw1", "cap"), None, SessionCap(500))
    with open_session(firewall, lab.endpoint(lab.known_hosts)) as session:
        with session.candidate(["set security zones security-zone trust interfaces irb.10"]) as candidate:
            candidate.commit()
        before = sorted(lab.active())
        assert "screen SWITCHGUARD" in JUNOS.preview(session, [cap]).text
        JUNOS.push(session, [cap])
        assert JUNOS.enforced(session) == {cap.slot: SessionCap(500)}
        JUNOS.push(session, [cap.inverse()])
        assert (sorted(lab.active()), JUNOS.enforced(session)) == (before, {})


def test_the_forwarding_table_names_port_and_vlan(switch: Session) -> None:
    (entry,) = cast(ReadsFdb, plugins.driver("juniper_junos")).fdb(switch)
    assert (entry.port, entry.mac, entry.vlan) == ("ge-0/0/1", MAC, 10)


def test_a_block_survives_a_power_cut(lab: Lab, switch: Session) -> None:
    JUNOS.push(switch, [BLOCK])
    lab.loop.call(lab.server.reload)
    assert lab.plane.state == BLOCKED


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_refused_commit_changes_nothing_and_leaves_no_lock(lab: Lab, switch: Session) -> None:
    before = lab.active()
    lab.told.set(Fault.REFUSE_COMMIT)
    with pytest.raises(CommandRefused, match="refused 'commit': configuration check-out failed"):
        JUNOS.push(switch, [BLOCK])
    assert (lab.active(), lab.box.candidate, lab.box.owner) == (before, lab.box.active, None)
    lab.told.set(Fault.NONE)
    JUNOS.push(switch, [BLOCK])
    assert lab.plane.state == BLOCKED


def test_a_commit_that_is_only_said_to_be_done_shows_when_reading_back(lab: Lab, switch: Session) -> None:
    lab.told.set(Fault.IGNORE_COMMIT)
    JUNOS.push(switch, [BLOCK])
    assert JUNOS.enforced(switch) == {}


@pytest.mark.parametrize(
    ("fault", "state"),
    [(Fault.DROP_SESSION_BEFORE, PlaneState()), (Fault.DROP_SESSION, BLOCKED), (Fault.DROP_SESSION_AFTER, BLOCKED)],
)
def test_a_dropped_session_is_told_and_its_lock_goes_with_it(
    lab: Lab, switch: Session, fault: Fault, state: PlaneState
) -> None:
    lab.told.set(fault)
    with pytest.raises(Unreachable, match="closed the connection during 'commit'"):
        JUNOS.push(switch, [BLOCK])
    switch.close()
    lab.told.set(Fault.NONE)
    assert (lab.plane.state, lab.box.owner, lab.box.candidate) == (state, None, lab.box.active)


def test_a_diff_with_a_line_that_is_not_ours_is_not_committed(lab: Lab, switch: Session) -> None:
    lab.told.set(Fault.WRONG_DIFF)
    with pytest.raises(UnexpectedDiff, match=FOREIGN.removeprefix("set ")):
        JUNOS.push(switch, [BLOCK])
    assert lab.plane.state == PlaneState()


def test_what_somebody_else_has_not_committed_yet_is_not_thrown_away(lab: Lab, switch: Session) -> None:
    lab.loop.call(lambda: lab.box.load(["set vlans v30 vlan-id 30"]))
    with pytest.raises(CommandRefused, match="configuration database modified"):
        JUNOS.push(switch, [BLOCK])
    assert lab.box.candidate != lab.box.active


def test_a_line_that_the_switch_does_not_know_is_quoted(lab: Lab, switch: Session) -> None:
    with pytest.raises(CommandRefused, match="vlan syntax error"), switch.candidate(["set vlan v10"]):
        pass
    assert lab.box.owner is None


def test_another_host_key_is_never_accepted(lab: Lab, tmp_path: Path) -> None:
    empty = tmp_path / "nobody_known"
    empty.touch()
    device = Device("sw1", "juniper_junos", Role.ACCESS)
    with open_session(device, lab.endpoint(empty)) as session, pytest.raises(UnknownHostKey, match="not on file"):
        load(session)


def test_a_wrong_password_is_told(lab: Lab) -> None:
    device = Device("sw1", "juniper_junos", Role.ACCESS)
    endpoint = lab.endpoint(lab.known_hosts, "wrong")
    with open_session(device, endpoint) as session, pytest.raises(LoginRefused):
        load(session)


# --- the front end itself --------------------------------------------------------------------------------------------


@pytest.fixture
def driver(lab: Lab) -> Iterator[Any]:
    """NAPALM, logged in."""
    opened = napalm.get_network_driver("junos")("127.0.0.1", USER, PASSWORD, optional_args={"port": lab.port})
    opened.open()
    yield opened
    opened.close()


def test_a_binding_to_a_filter_that_is_not_there_is_no_commit(lab: Lab, driver: Any) -> None:
    before = lab.active()
    driver.load_merge_candidate(config="set vlans v10 forwarding-options filter input NOBODY")
    with pytest.raises(Exception, match="NOBODY"):
        driver.commit_config()
    driver.discard_config()
    assert lab.active() == before


def test_a_commit_on_trial_is_taken_back_unless_it_is_confirmed(lab: Lab, driver: Any) -> None:
    before = lab.active()
    driver.load_merge_candidate(config="set vlans v30 vlan-id 30")
    driver.commit_config(revert_in=60)
    assert "set vlans v30 vlan-id 30" in lab.active()
    lab.loop.call(lab.box.revert)
    assert lab.active() == before


def test_a_power_cut_takes_a_commit_on_trial_back_and_keeps_a_confirmed_one(lab: Lab, driver: Any) -> None:
    for confirmed in (True, False):
        driver.load_merge_candidate(config=f"set vlans v3{int(confirmed)} vlan-id 3{int(confirmed)}")
        driver.commit_config(revert_in=60)
        if confirmed:
            driver.confirm_commit()
    lab.loop.call(lab.box.reload)
    assert [line for line in lab.active() if line.startswith("set vlans v3")] == ["set vlans v31 vlan-id 31"]


def test_rolling_back_one_commit_restores_the_one_before(lab: Lab, driver: Any) -> None:
    before = lab.active()
    driver.load_merge_candidate(config="set vlans v30 vlan-id 30")
    driver.commit_config()
    driver.rollback()
    assert lab.active() == before


def test_a_stored_configuration_with_an_unknown_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "startup-config").write_text("set nonsense\n")
    with pytest.raises(LabError, match="'nonsense'"):
        make_box(tmp_path, RecordingPlane("ge-0_0_"), FaultSwitch(tmp_path / "faults", "sw1"))


@pytest.mark.parametrize("command", ["show nonsense", "show version | display xml", "show configuration | sort"])
def test_an_unknown_command_is_refused_in_the_vendors_words(switch: Session, command: str) -> None:
    with pytest.raises(DeviceError, match="unknown command"):
        switch.ask(command)
