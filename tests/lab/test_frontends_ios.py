"""The IOS front end: the real NAPALM and Netmiko get through, and it is as stubborn as a real switch."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import napalm
import pytest
from frontends_harness import CLIENT, OWN, PASSWORD, USER, FaultSwitch, Loop, RecordingPlane, T, chassis, serving
from napalm.base.exceptions import MergeConfigException
from netmiko import ConnectHandler
from netmiko.exceptions import NetmikoAuthenticationException

from switchguard.errors import LabError
from switchguard.lab.frontends.faults import FOREIGN_LINE, Fault, SessionCut
from switchguard.lab.frontends.grammar_ios import CPU_ADDRESS, ONLY_UNICAST
from switchguard.lab.frontends.ios import ssh_server
from switchguard.lab.frontends.ios_box import IosBox
from switchguard.lab.frontends.ios_session import IosSession
from switchguard.lab.frontends.ssh import SshServer
from switchguard.lab.plane import FdbRow, PlaneState

BLOCK = "mac address-table static 0200.0000.0007 vlan 10 drop"
UNBLOCK = "no mac address-table static 0200.0000.0007 vlan 10"
BLOCKED = PlaneState(drops=frozenset({(CLIENT, 10)}))
MARKER = "% Invalid input detected at '^' marker."


@dataclass
class Lab:
    """A switch that answers on `port`."""

    plane: RecordingPlane
    told: FaultSwitch
    box: IosBox
    server: SshServer
    loop: Loop
    port: int

    def running(self) -> str:
        return self.loop.call(self.box.switch.text)

    def put(self, name: str, *lines: str) -> None:
        """A file in flash, as SCP would leave it."""
        (self.box.switch.flash / name).write_text("\n".join((*lines, "end", "")))


def make_box(state: Path, plane: RecordingPlane, told: FaultSwitch, **more: Any) -> IosBox:
    return IosBox("sw1", plane, chassis(), state, told.faults, **more)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    plane = RecordingPlane("Gi0_", learnt=[FdbRow(CLIENT, 10, "Gi0_1", 3)])
    told, loop = FaultSwitch(tmp_path / "faults", "sw1"), Loop()
    box = loop.call(lambda: make_box(tmp_path, plane, told))
    server = ssh_server(box, {USER: PASSWORD}, tmp_path / "ssh_host_key")
    with serving(loop, server) as port:
        yield Lab(plane, told, box, server, loop, port)


@pytest.fixture
def driver(lab: Lab) -> Iterator[Any]:
    """NAPALM, logged in."""
    opened = napalm.get_network_driver("ios")("127.0.0.1", USER, PASSWORD, optional_args={"port": lab.port})
    opened.open()
    yield opened
    if opened.device:
        opened.device.disconnect()


def login(lab: Lab, password: str = PASSWORD) -> Any:
    """Netmiko."""
    return ConnectHandler("127.0.0.1", username=USER, password=password, device_type="cisco_ios", port=lab.port)


# --- NAPALM and Netmiko ----------------------------------------------------------------------------------------------


def test_napalm_blocks_and_takes_it_back(lab: Lab, driver: Any) -> None:
    before = lab.running()
    driver.load_merge_candidate(config=f"{BLOCK}\nend\n")
    assert driver.compare_config() == f"+{BLOCK}"
    assert lab.plane.state == PlaneState()
    driver.commit_config()
    assert lab.plane.state == BLOCKED
    assert BLOCK in lab.box.switch.startup
    driver.rollback()
    assert lab.plane.state == PlaneState()
    driver.close()
    assert lab.running() == before


def test_a_dry_run_leaves_nothing_but_an_empty_file(lab: Lab, driver: Any) -> None:
    before, startup = lab.running(), lab.box.switch.startup
    driver.load_merge_candidate(config=f"{BLOCK}\nend\n")
    driver.compare_config()
    driver.discard_config()
    driver.close()
    assert (lab.running(), lab.box.switch.startup) == (before, startup)
    assert (lab.box.switch.flash / "merge_config.txt").read_text() == ""


def test_napalm_replaces_the_whole_configuration(lab: Lab, driver: Any) -> None:
    wanted = lab.running().replace("snmp-server location the lab", "snmp-server location elsewhere")
    driver.load_replace_candidate(config=wanted)
    assert driver.compare_config() == "+snmp-server location elsewhere\n-snmp-server location the lab"
    driver.commit_config()
    assert "snmp-server location elsewhere" in lab.running()


def test_napalm_undoes_a_merge_with_an_unknown_line(lab: Lab, driver: Any) -> None:
    lab.put("merge_config.txt", BLOCK, "mac address-table foo")
    with pytest.raises(MergeConfigException, match="Invalid input detected"):
        driver.commit_config()
    assert lab.plane.state == PlaneState()


def test_napalm_takes_a_refused_address_for_success(lab: Lab, driver: Any) -> None:
    lab.put("merge_config.txt", f"mac address-table static {OWN.dotted()} vlan 10 drop")
    driver.commit_config()
    assert lab.plane.state == PlaneState()


def test_a_commit_on_trial_takes_itself_back(lab: Lab, driver: Any) -> None:
    lab.put("merge_config.txt", BLOCK)
    driver.commit_config(revert_in=60)
    assert driver.has_pending_commit()
    assert lab.plane.state == BLOCKED
    driver.rollback()
    assert lab.plane.state == PlaneState()


def test_napalm_reads_its_tables(driver: Any) -> None:
    assert driver.get_facts()["interface_list"] == [
        "GigabitEthernet0/1",
        "GigabitEthernet0/2",
        "GigabitEthernet0/24",
    ]
    assert driver.get_interfaces()["GigabitEthernet0/2"]["is_enabled"]
    row = driver.get_mac_address_table()[0]
    assert (row["mac"], row["interface"], row["vlan"], row["static"]) == (CLIENT, "Gi0/1", 10, False)


def test_netmiko_types_and_saves(lab: Lab) -> None:
    with login(lab) as session:
        assert MARKER not in session.send_config_set([BLOCK, "interface Gi0/2", "shutdown"])
        assert lab.plane.state == PlaneState(drops=BLOCKED.drops, down=frozenset({"Gi0_2"}))
        assert BLOCK not in lab.box.switch.startup
        assert "[OK]" in session.save_config()
        assert "  10    0200.0000.0007    STATIC      Drop" in session.send_command("show mac address-table")
    assert BLOCK in lab.box.switch.startup


def test_a_wrong_password_is_refused(lab: Lab) -> None:
    with pytest.raises(NetmikoAuthenticationException):
        login(lab, "guess")


def test_scp_needs_to_be_enabled(lab: Lab, tmp_path: Path) -> None:
    async def send(target: str) -> None:
        source = tmp_path / "some.txt"
        source.write_text("x")
        options: dict[str, Any] = {"username": USER, "password": PASSWORD, "known_hosts": None, "config": None}
        async with asyncssh.connect("127.0.0.1", lab.port, **options) as connection:
            await asyncssh.scp(source, (connection, target))

    lab.loop.run(send("flash:/allowed.txt"))
    with pytest.raises(asyncssh.SFTPError):
        lab.loop.run(send("/tmp/outside"))  # noqa: S108  must not be reached
    lab.loop.run(type_into(lab.box, "configure terminal", "no ip scp server enable"))
    with pytest.raises(asyncssh.SFTPError):
        lab.loop.run(send("flash:/refused.txt"))
    assert [path.name for path in lab.box.switch.flash.iterdir()] == ["allowed.txt"]


@pytest.mark.parametrize("fault", [Fault.DROP_SESSION_BEFORE, Fault.DROP_SESSION, Fault.DROP_SESSION_AFTER])
def test_a_dropped_session_ends_without_an_answer(lab: Lab, fault: Fault) -> None:
    lab.put("merge_config.txt", BLOCK)
    lab.loop.run(type_into(lab.box, "configure terminal", "file prompt quiet"))
    lab.told.set(fault)
    assert "copied" not in lab.loop.run(converse(lab.port, b"copy flash:/merge_config.txt running-config\n"))
    assert lab.plane.state == (PlaneState() if fault is Fault.DROP_SESSION_BEFORE else BLOCKED)


def test_a_reload_loses_what_was_not_saved_and_cuts_everybody(lab: Lab) -> None:
    session = login(lab)
    session.send_config_set([BLOCK])
    lab.loop.call(lab.server.reload)
    assert lab.plane.state == PlaneState()
    with pytest.raises(OSError, match="closed"):
        session.send_command("show version")
    session.disconnect()


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff" * 2000, b"GET / HTTP/1.0\r\n\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 100, b""]
)
def test_garbage_on_the_port_does_not_stop_the_switch(lab: Lab, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", lab.port)) as client:
        client.sendall(garbage)
    assert "sw1#" in lab.loop.run(converse(lab.port, b"\n"))


@pytest.mark.parametrize(
    "typed",
    [
        b"\xff\xfe\x00\x1b[A\n",
        b"show " + b"x" * 10_000 + b"\n",
        b"conf t\ninterface\nmac address-table static\n\x1a",
        b"half a line",
        b"show running-config | include (\n",
        b"show mac\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x03\r\n",
    ],
)
def test_whatever_is_typed_the_switch_goes_on(lab: Lab, typed: bytes) -> None:
    lab.loop.run(converse(lab.port, typed))
    assert "uptime is" in lab.loop.run(converse(lab.port, b"show version\n"))


async def converse(port: int, typed: bytes) -> str:
    """Type, hang up, and say what the switch printed until then."""
    options: dict[str, Any] = {"username": USER, "password": PASSWORD, "known_hosts": None, "config": None}
    async with asyncssh.connect("127.0.0.1", port, **options) as connection:
        process = await connection.create_process(encoding=None, term_type="vt100")
        process.stdin.write(typed)
        process.stdin.write_eof()
        printed: bytes = await process.stdout.read()
        return printed.decode(errors="replace")


# --- one login, without SSH ------------------------------------------------------------------------------------------


async def nobody(question: str, echo: bool) -> str:
    raise AssertionError(f"asked {question!r}")


async def type_into(box: IosBox, *lines: str) -> list[str]:
    session = IosSession(box, USER, nobody)
    return [await session.answer(line) for line in lines]


Scene = Callable[[IosBox, RecordingPlane, FaultSwitch], Awaitable[T]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene[T]], T]:
    """Runs a scene with a new switch in an event loop of its own."""

    def played(scene: Scene[T]) -> T:
        plane, told = RecordingPlane("Gi0_", learnt=[FdbRow(CLIENT, 10, "Gi0_1", 3)]), FaultSwitch(tmp_path, "sw1")

        async def main() -> T:
            return await scene(make_box(tmp_path, plane, told, minute_s=0.01), plane, told)

        return asyncio.run(main())

    return played


Play = Callable[[Scene[Any]], Any]


def answers(play: Play, *lines: str) -> list[str]:
    async def scene(box: IosBox, _: RecordingPlane, __: FaultSwitch) -> list[str]:
        return await type_into(box, *lines)

    result: list[str] = play(scene)
    return result


def test_the_marker_stands_below_the_word(play: Play) -> None:
    assert answers(play, "show foo") == [f"{' ' * len('sw1#show ')}^\n{MARKER}\n"]
    assert answers(play, "conf t", "mac address-table foo")[1].index("^") == len("sw1(config)#mac address-table ")


def test_half_a_command_is_incomplete(play: Play) -> None:
    assert answers(play, "show mac", "copy") == ["% Incomplete command.\n"] * 2


def test_unknown_filters_are_refused(play: Play) -> None:
    assert all(MARKER in said for said in answers(play, "show version | foo x", "show version | include", "dir | foo"))


def test_messages_are_ciscos(play: Play) -> None:
    multicast, own = (f"mac address-table static {mac} vlan 10 drop" for mac in ("0100.5e00.0001", OWN.dotted()))
    assert answers(play, "conf t", multicast, own)[1:] == [ONLY_UNICAST, CPU_ADDRESS]


def test_filters_select_lines(play: Play) -> None:
    included, section = answers(play, "show run | inc ^interface|^end", "show run | sec interface GigabitEthernet0/1$")
    assert included.split("\n") == [*(f"interface GigabitEthernet0/{n}" for n in (1, 2, 24)), "end"]
    assert section == "interface GigabitEthernet0/1\n switchport access vlan 10\n switchport mode access"


def test_tables_can_be_asked_in_parts(play: Play) -> None:
    shown = answers(
        play,
        "show mac address-table address 0200.0000.0007",
        "show mac address-table vlan 20",
        "show mac address-table interface gi0/1",
        "show mac address-table static",
    )
    assert ["0200.0000.0007" in said for said in shown] == [True, False, True, False]
    assert answers(play, "show vlan brief")[0].count("Gi0/1") == 1
    assert "unassigned" in answers(play, "show ip interface brief")[0]


def test_the_prompt_shows_the_mode(play: Play) -> None:
    async def scene(box: IosBox, _: RecordingPlane, __: FaultSwitch) -> list[str]:
        session = IosSession(box, USER, nobody)
        prompts = []
        for line in ("conf t", "int gi0/1", "policy-map P", "class class-default", "exit", "hostname other", "end"):
            await session.answer(line)
            prompts.append(session.prompt)
        return prompts

    assert play(scene) == [
        "sw1(config)#",
        "sw1(config-if)#",
        "sw1(config-pmap)#",
        "sw1(config-pmap-c)#",
        "sw1(config-pmap)#",
        "other(config)#",
        "other#",
    ]


def test_without_the_secret_only_little_is_allowed(tmp_path: Path) -> None:
    async def scene() -> tuple[list[str], str]:
        async def secret(_: str, echo: bool) -> str:
            assert not echo
            return "sesame"

        box = make_box(tmp_path, RecordingPlane("Gi0_"), FaultSwitch(tmp_path, "sw1"), enable_secret="sesame")
        session = IosSession(box, USER, secret)
        said = [await session.answer("show running-config"), session.prompt, await session.answer("enable")]
        return said, session.prompt

    (refused, before, _), after = asyncio.run(scene())
    assert MARKER in refused
    assert (before, after) == ("sw1>", "sw1#")


def test_a_copy_asks_unless_told_not_to(play: Play) -> None:
    async def scene(box: IosBox, _: RecordingPlane, __: FaultSwitch) -> list[str]:
        asked: list[str] = []

        async def enter(question: str, echo: bool) -> str:
            asked.append(question)
            return ""

        session = IosSession(box, USER, enter)
        await session.answer("copy run start")
        await session.answer("copy running-config flash:/saved.txt")
        return asked

    assert play(scene) == ["Destination filename [start]? ", "Destination filename [saved.txt]? "]


def test_a_trial_ends_by_the_clock(play: Play) -> None:
    async def scene(box: IosBox, plane: RecordingPlane, _: FaultSwitch) -> tuple[PlaneState, PlaneState]:
        await type_into(box, "configure terminal revert timer 1", BLOCK, "end")
        during = plane.state
        while box.rollback:  # noqa: ASYNC110  it is the clock that ends it
            await asyncio.sleep(0.005)
        return during, plane.state

    assert play(scene) == (BLOCKED, PlaneState())


def test_a_confirmed_trial_stays(play: Play) -> None:
    async def scene(box: IosBox, plane: RecordingPlane, _: FaultSwitch) -> tuple[bool, PlaneState]:
        await type_into(box, "configure terminal revert timer 120", BLOCK, "end", "configure confirm")
        return box.rollback is None, plane.state

    assert play(scene) == (True, BLOCKED)


# --- faults ----------------------------------------------------------------------------------------------------------

Outcome = tuple[str, PlaneState]


def merged(play: Play, fault: Fault, *lines: str) -> Outcome:
    """What `copy FILE running-config` says under a fault, and what is then in force."""

    async def scene(box: IosBox, plane: RecordingPlane, told: FaultSwitch) -> Outcome:
        told.set(fault)
        try:
            return await box.merge(lines), plane.state
        except SessionCut:
            return "cut", plane.state

    result: Outcome = play(scene)
    return result


def test_a_refused_commit_changes_nothing_and_says_so(play: Play) -> None:
    said, state = merged(play, Fault.REFUSE_COMMIT, BLOCK)
    assert MARKER in said
    assert state == PlaneState()


def test_an_ignored_commit_changes_nothing_and_does_not_say_so(play: Play) -> None:
    said, state = merged(play, Fault.IGNORE_COMMIT, BLOCK)
    assert (said, state) == (merged(play, Fault.NONE, BLOCK)[0], PlaneState())


def test_half_of_the_lines_take_effect_when_cut_in_the_middle(play: Play) -> None:
    other = BLOCK.replace("0007", "0008")
    assert merged(play, Fault.DROP_SESSION, BLOCK, other) == ("cut", BLOCKED)
    assert merged(play, Fault.DROP_SESSION_BEFORE, BLOCK, other) == ("cut", PlaneState())


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.MUTE])
def test_a_hanging_switch_answers_nothing_and_does_nothing(play: Play, fault: Fault) -> None:
    async def scene(box: IosBox, plane: RecordingPlane, told: FaultSwitch) -> tuple[bool, PlaneState]:
        (box.switch.flash / "f").write_text(BLOCK)
        await type_into(box, "configure terminal", "file prompt quiet")
        told.set(fault)
        answer = asyncio.create_task(type_into(box, "copy flash:f running-config"))
        await asyncio.sleep(0.1)
        hung = not answer.done()
        told.set(Fault.NONE)
        with pytest.raises(SessionCut):
            await answer
        return hung, plane.state

    assert play(scene) == (True, PlaneState())


def test_a_wrong_diff_announces_a_line_that_would_be_committed(play: Play) -> None:
    async def scene(box: IosBox, plane: RecordingPlane, told: FaultSwitch) -> tuple[str, bool]:
        (box.switch.flash / "f").write_text(BLOCK)
        told.set(Fault.WRONG_DIFF)
        diff = (await type_into(box, "show archive config incremental-diffs flash:f ignorecase"))[0]
        await box.merge([BLOCK])
        return diff, FOREIGN_LINE in box.switch.text()

    assert play(scene) == (f"!List of Commands:\n{BLOCK}\n{FOREIGN_LINE}\nend", True)


def test_typed_lines_meet_the_faults_as_well(play: Play) -> None:
    async def scene(box: IosBox, plane: RecordingPlane, told: FaultSwitch) -> tuple[list[str], PlaneState]:
        told.set(Fault.REFUSE_COMMIT)
        said = await type_into(box, "configure terminal", "file prompt quiet", BLOCK)
        told.set(Fault.DROP_SESSION_AFTER)
        with pytest.raises(SessionCut):
            await type_into(box, "configure terminal", BLOCK, "end")
        return said, plane.state

    said, state = play(scene)
    assert [MARKER in each for each in said] == [False, False, True]
    assert state == BLOCKED


def test_a_word_that_is_no_fault_is_named(tmp_path: Path) -> None:
    told = FaultSwitch(tmp_path, "sw1")
    (tmp_path / "sw1").write_text("explode")
    with pytest.raises(LabError, match="'explode' is no fault; there are: none, refuse-commit"):
        told.faults.now()


def test_a_startup_configuration_with_an_unknown_line_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "startup-config").write_text("frobnicate\n")
    with pytest.raises(LabError, match="'frobnicate'"):
        make_box(tmp_path, RecordingPlane("Gi0_"), FaultSwitch(tmp_path / "faults", "sw1"))


def test_a_reload_is_asked_for_by_a_file(tmp_path: Path) -> None:
    told = FaultSwitch(tmp_path, "sw1")
    request = tmp_path / "sw1.reload"

    async def asked() -> None:
        waiting = asyncio.create_task(told.faults.reload_asked())
        await asyncio.sleep(0)
        assert not waiting.done()
        request.touch()
        await waiting
        told.faults.reload_done()

    asyncio.run(asked())
    assert not request.exists()
