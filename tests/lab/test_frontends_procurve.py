"""The ArubaOS-Switch front end: the real Netmiko gets past its banner and its questions, and so does our driver."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from frontends_harness import CLIENT, OWN, PASSWORD, USER, FaultSwitch, Loop, RecordingPlane, chassis
from netmiko import ConnectHandler

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, FdbEntry, Mac, Role, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.edge.session import open_session
from switchguard.errors import CommandRefused, DeviceError
from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.grammar_procurve import LOCKOUTS
from switchguard.lab.frontends.procurve import ssh_server
from switchguard.lab.frontends.procurve_session import procurve_switch
from switchguard.lab.frontends.switch import Switch
from switchguard.lab.plane import FdbRow, PlaneState
from switchguard.ports import Endpoint, Enforces, ReadsFdb, Secret, Session

BLOCK = Change(Slot("sw1", "block", Station(mac=Mac.parse(CLIENT))), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="A1")), None, RateLimit(64_000))
LINE = "lockout-mac 020000-000007"
BLOCKED = PlaneState(drops=frozenset({(CLIENT, 10), (CLIENT, 20)}))
DRIVER = cast(Enforces, plugins.driver("hp_procurve"))


@dataclass
class Lab:
    """A switch that answers on `port`."""

    plane: RecordingPlane
    told: FaultSwitch
    switch: Switch
    loop: Loop
    port: int
    host_key: str

    def running(self) -> str:
        return self.loop.call(self.switch.text)


def served(tmp_path: Path, enable_secret: str) -> Iterator[Lab]:
    plane = RecordingPlane("A", learnt=[FdbRow(CLIENT, 10, "A1", 3)])
    told, loop = FaultSwitch(tmp_path / "faults", "sw1"), Loop()
    switch = loop.call(lambda: procurve_switch("sw1", plane, chassis(), tmp_path, told.faults))
    server = ssh_server(switch, {USER: PASSWORD}, tmp_path / "ssh_host_key", enable_secret)
    acceptor = loop.run(server.start("127.0.0.1", 0))
    host_key = (tmp_path / "ssh_host_key.pub").read_text()
    yield Lab(plane, told, switch, loop, acceptor.get_port(), host_key)
    loop.call(server.reload)
    acceptor.close()
    loop.run(acceptor.wait_closed())
    loop.stop()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    yield from served(tmp_path, "")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Lab]:
    yield from served(tmp_path, "manager-only")


@pytest.fixture
def terminal(lab: Lab) -> Iterator[Any]:
    """Netmiko, logged in."""
    opened = ConnectHandler("127.0.0.1", username=USER, password=PASSWORD, device_type="hp_procurve", port=lab.port)
    yield opened
    opened.disconnect()


@pytest.fixture
def session(lab: Lab, tmp_path: Path) -> Iterator[Session]:
    """As the driver gets it."""
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{lab.port} {lab.host_key}")
    login = Endpoint("127.0.0.1", lab.port, username=USER, password=Secret(PASSWORD), known_hosts=str(known))
    with open_session(Device("sw1", "hp_procurve", Role.ACCESS), login) as opened:
        yield opened


# --- the driver ------------------------------------------------------------------------------------------------------


def test_a_block_counts_in_every_vlan_is_saved_and_is_taken_back(lab: Lab, session: Session) -> None:
    before = lab.running()
    DRIVER.push(session, [BLOCK])
    assert (lab.plane.state, LINE in lab.switch.startup) == (BLOCKED, True)
    assert DRIVER.enforced(session) == {BLOCK.slot: Block()}
    DRIVER.push(session, [BLOCK.inverse()])
    assert (lab.plane.state, lab.running(), LINE in lab.switch.startup) == (PlaneState(), before, False)


def test_a_limit_counts_both_ways(lab: Lab, session: Session) -> None:
    DRIVER.push(session, [LIMIT])
    assert (lab.plane.state.rates, lab.plane.state.shapes) == ({"A1": 64_000}, {"A1": 64_000})
    assert DRIVER.enforced(session) == {LIMIT.slot: RateLimit(64_000)}
    DRIVER.push(session, [LIMIT.inverse()])
    assert lab.plane.state == PlaneState()


def test_the_forwarding_table_is_read(session: Session) -> None:
    reader = plugins.driver("hp_procurve")
    assert isinstance(reader, ReadsFdb)
    assert reader.fdb(session) == (FdbEntry("sw1", "A1", Mac.parse(CLIENT), 10),)


def test_a_refused_line_is_named(lab: Lab, session: Session) -> None:
    lab.told.set(Fault.REFUSE_COMMIT)
    with pytest.raises(CommandRefused, match="Invalid input: lockout-mac"):
        DRIVER.push(session, [BLOCK])
    assert lab.plane.state == PlaneState()


def test_a_switch_that_ignores_a_block_is_found_out_by_reading_back(lab: Lab, session: Session) -> None:
    lab.told.set(Fault.IGNORE_COMMIT)
    DRIVER.push(session, [BLOCK])
    assert (lab.plane.state, DRIVER.enforced(session)) == (PlaneState(), {})


def test_a_connection_that_is_lost_in_mid_change_is_told(lab: Lab, session: Session) -> None:
    lab.told.set(Fault.DROP_SESSION)
    with pytest.raises(DeviceError):
        DRIVER.push(session, [BLOCK])
    assert lab.plane.state == BLOCKED


# --- what it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mac", [OWN, Mac.parse("01005e-000007")])
def test_a_line_that_cannot_be_meant_is_refused(lab: Lab, terminal: Any, mac: Mac) -> None:
    digits = f"{mac.value:012x}"
    assert "Invalid input" in terminal.send_config_set([f"lockout-mac {digits[:6]}-{digits[6:]}"])
    assert lab.plane.state == PlaneState()


def test_one_lockout_more_than_it_holds_is_refused(lab: Lab, terminal: Any) -> None:
    said = terminal.send_config_set([f"lockout-mac 020000-0001{n:02x}" for n in range(LOCKOUTS + 1)])
    assert said.count("Maximum number of lockout MAC addresses reached.") == 1
    assert f"addresses = {LOCKOUTS}" in terminal.send_command("show lockout-mac")
    assert len(lab.plane.state.drops) == LOCKOUTS * 2


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("show nonsense", "Invalid input: nonsense"),
        ("show rate-limit", "Incomplete input: rate-limit"),
        ("e", "Ambiguous input: e"),
        ("co | x", "Invalid input: |"),
    ],
)
def test_what_it_does_not_understand_is_named(terminal: Any, typed: str, complaint: str) -> None:
    assert terminal.send_command(typed).strip() == complaint


# --- logins ----------------------------------------------------------------------------------------------------------


def test_sections_show_in_the_prompt_and_end_leaves_them_all(terminal: Any) -> None:
    terminal.write_channel("configure\ninterface A1\n")
    terminal.read_until_pattern(r"sw1\(eth-A1\)# ")
    terminal.write_channel("show arp\nend\n")
    assert "IP ARP table" in terminal.read_until_pattern(r"end\s[^(]*sw1# ")


def test_without_the_secret_nobody_configures(guarded: Lab) -> None:
    login = {"username": USER, "password": PASSWORD, "device_type": "hp_procurve", "port": guarded.port}
    with pytest.raises(ValueError, match="Failed to enter enable mode"):
        ConnectHandler("127.0.0.1", secret="guess", **login)
    with ConnectHandler("127.0.0.1", secret="manager-only", **login) as manager:
        manager.send_config_set([LINE])
    assert guarded.plane.state == BLOCKED


def test_what_was_not_saved_is_asked_about_and_lost_in_a_restart(lab: Lab, terminal: Any) -> None:
    terminal.send_config_set([LINE])
    terminal.write_channel("logout\n")
    terminal.read_until_pattern(r"log out \(y/n\)\?")
    terminal.write_channel("y\n")
    assert "save the current configuration" in terminal.read_until_pattern(r"\(y/n/\^C\)\?")
    terminal.write_channel("n\n")
    lab.loop.call(lab.switch.reload)
    assert lab.plane.state == PlaneState()
