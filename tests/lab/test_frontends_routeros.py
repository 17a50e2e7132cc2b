"""The RouterOS front end: our driver gets through the real Netmiko, and the plane does what the lists say."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from frontends_harness import CLIENT, NEIGHBOUR, PASSWORD, USER, FaultSwitch, Loop, RecordingPlane, chassis, serving

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, FdbEntry, Mac, Role, Station
from switchguard.core.penalties import Block
from switchguard.edge.session import open_session
from switchguard.edge.session_netmiko import fetch_host_key
from switchguard.errors import CommandRefused, LoginRefused, Unreachable
from switchguard.lab.frontends.faults import Fault
from switchguard.lab.frontends.routeros import ssh_server
from switchguard.lab.frontends.routeros_box import RouterosBox
from switchguard.lab.frontends.routeros_console import EMPTY, Item
from switchguard.lab.plane import FdbRow, PlaneState
from switchguard.ports import Endpoint, Secret, Session

DRIVER: Any = plugins.driver("mikrotik_routeros")
SWITCH = Device("sw1", "mikrotik_routeros", Role.ACCESS)
BLOCK = Change(Slot("sw1", "block", Station(mac=Mac.parse(CLIENT))), None, Block())
PORTS = ("ether1", "ether2", "ether24")
BLOCKED = PlaneState(
    denied=frozenset((port, CLIENT) for port in PORTS), denied_to=frozenset((port, CLIENT) for port in PORTS)
)
BRIDGE, CHIP, PORT = "/interface bridge filter", "/interface ethernet switch rule", "/interface bridge port"
HEARD = [FdbRow(CLIENT, 10, "ether1", 3), FdbRow(NEIGHBOUR, 10, "ether2", 1)]


@dataclass
class Lab:
    """A switch that answers at `endpoint`."""

    plane: RecordingPlane
    told: FaultSwitch
    box: RouterosBox
    loop: Loop
    endpoint: Endpoint

    def login(self, password: str = PASSWORD) -> Any:
        told = Endpoint(
            "127.0.0.1",
            self.endpoint.port,
            username=USER,
            password=Secret(password),
            known_hosts=self.endpoint.known_hosts,
            timeout_s=5.0,
        )
        return open_session(SWITCH, told)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    plane = RecordingPlane("ether", learnt=HEARD)
    told, loop = FaultSwitch(tmp_path / "faults", "sw1"), Loop()
    box = RouterosBox("sw1", plane, chassis(), tmp_path, told.faults)
    server = ssh_server(box, {USER: PASSWORD}, tmp_path / "ssh_host_key")
    known = tmp_path / "known_hosts"
    with serving(loop, server) as port:
        known.write_text(f"{fetch_host_key(Endpoint('127.0.0.1', port, timeout_s=5.0)).line}\n")
        yield Lab(plane, told, box, loop, Endpoint("127.0.0.1", port, known_hosts=str(known)))


@pytest.fixture
def session(lab: Lab) -> Iterator[Session]:
    with lab.login() as opened:
        yield opened


# --- the driver ------------------------------------------------------------------------------------------------------


def test_a_block_takes_effect_both_ways_and_can_be_taken_back(lab: Lab, session: Session) -> None:
    start = lab.box.lists
    DRIVER.push(session, [BLOCK])
    assert (lab.plane.state, DRIVER.enforced(session)) == (BLOCKED, {BLOCK.slot: BLOCK.after})
    DRIVER.push(session, [BLOCK.inverse()])
    assert (lab.plane.state, lab.box.lists) == (PlaneState(), start)


def test_a_block_of_the_bridge_alone_lets_through_what_the_switch_chip_forwards(lab: Lab, session: Session) -> None:
    DRIVER.push(session, [BLOCK])
    session.configure([f'{PORT} set [find interface="ether1"] hw=yes'])
    others = frozenset((port, CLIENT) for port in PORTS[1:])
    assert lab.plane.state == PlaneState(denied=others, denied_to=others)
    assert DRIVER.enforced(session)[BLOCK.slot] != BLOCK.after


def test_what_the_switch_chip_forwards_is_blocked_by_rules_of_its_own(lab: Lab, session: Session) -> None:
    session.configure([f'{PORT} set [find interface="{port}"] hw=yes' for port in PORTS[:2]])
    start = lab.box.lists
    DRIVER.push(session, [BLOCK])
    assert (lab.plane.state, len(lab.box.lists[CHIP]), len(lab.box.lists[BRIDGE])) == (BLOCKED, 2, 2)
    assert DRIVER.enforced(session) == {BLOCK.slot: BLOCK.after}
    DRIVER.push(session, [BLOCK.inverse()])
    assert (lab.plane.state, lab.box.lists) == (PlaneState(), start)


def test_an_earlier_rule_of_the_chip_that_accepts_everything_decides(lab: Lab, session: Session) -> None:
    session.configure([f'{PORT} set [find interface="ether1"] hw=yes', f"{CHIP} add switch=switch1 ports=ether1"])
    told = f"switch=switch1 src-mac-address={CLIENT}/FF:FF:FF:FF:FF:FF"
    session.configure([f'{CHIP} add {told} new-dst-ports=""'])
    assert lab.plane.state == PlaneState()


def test_a_block_twice_is_a_block_once(lab: Lab, session: Session) -> None:
    DRIVER.push(session, [BLOCK])
    once = lab.box.lists
    DRIVER.push(session, [BLOCK])
    assert lab.box.lists == once


def test_a_rule_that_accepts_everything_does_not_stand_before_ours(lab: Lab, session: Session) -> None:
    theirs = Item({"chain": "forward", "action": "accept"})
    lab.loop.call(lambda: lab.box.install({**EMPTY, BRIDGE: (theirs,)}))
    DRIVER.push(session, [BLOCK])
    assert (lab.plane.state, lab.box.lists[BRIDGE][-1]) == (BLOCKED, theirs)


def test_forwarding_entries_are_of_others_only(session: Session) -> None:
    rows = [FdbEntry("sw1", "ether1", Mac.parse(CLIENT), 10), FdbEntry("sw1", "ether2", Mac.parse(NEIGHBOUR), 10)]
    assert list(DRIVER.cli_fdb(session)) == rows


def test_a_block_survives_a_restart(lab: Lab, session: Session, tmp_path: Path) -> None:
    DRIVER.push(session, [BLOCK])
    again = RecordingPlane("ether")
    RouterosBox("sw1", again, chassis(), tmp_path, lab.told.faults)
    assert again.state == BLOCKED


# --- the terminal ----------------------------------------------------------------------------------------------------


def test_a_line_that_the_console_refuses_is_named(session: Session) -> None:
    with pytest.raises(CommandRefused, match="input does not match any value of chain") as refused:
        session.configure(["/ip firewall raw add chain=sideways action=drop"])
    assert refused.value.line == "/ip firewall raw add chain=sideways action=drop"


def test_a_question_that_the_console_refuses_is_named(session: Session) -> None:
    with pytest.raises(CommandRefused, match="bad command name"):
        session.ask("/ip firewal raw print")


def test_nothing_of_ciscos_is_typed_to_save(lab: Lab, session: Session) -> None:
    assert "copy" not in session.configure(['/ip firewall raw add chain=prerouting comment="x"'])


def test_a_wrong_password_is_refused(lab: Lab) -> None:
    with lab.login("guess") as session, pytest.raises(LoginRefused):
        session.ask(":put 1")


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_change_that_is_refused_or_ignored_leaves_things_as_they_were(lab: Lab, session: Session) -> None:
    lab.told.set(Fault.REFUSE_COMMIT)
    with pytest.raises(CommandRefused, match="not enough permissions"):
        DRIVER.push(session, [BLOCK])
    lab.told.set(Fault.IGNORE_COMMIT)
    DRIVER.push(session, [BLOCK])
    assert (lab.plane.state, DRIVER.enforced(session)) == (PlaneState(), {})


def test_half_a_block_is_made_whole_by_the_next_push(lab: Lab) -> None:
    lab.told.set(Fault.DROP_SESSION)
    with lab.login() as session, pytest.raises(Unreachable):
        DRIVER.push(session, [BLOCK])
    lab.told.set(Fault.NONE)
    assert len(lab.box.lists[BRIDGE]) == 1
    with lab.login() as session:
        DRIVER.push(session, [BLOCK])
    assert lab.plane.state == BLOCKED
