"""Typing at a Huawei device of VRP 8: committed and saved, or taken back before anything asks about it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import HANG, CommandLine, command_line

from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.errors import CommandRefused
from switchguard.ports import Endpoint, Secret, Session

BLOCK = "mac-address blackhole 0200-0000-0007 vlan 10"
PROMPTS = {
    "system-view": "[~sw1]",
    BLOCK: "[*sw1]",
    "commit": "[~sw1]",
    "clear configuration candidate": "[~sw1]",
    "return": "<sw1>",
    "y": "<sw1>",
}
SAVES = {"save": f"Warning: The current configuration will be written to the device. Continue? [Y/N]:{HANG}"}
UNKNOWN = "             ^\nError: Unrecognized command found at '^' position.\n"


@contextmanager
def terminal(
    directory: Path, answers: Mapping[str, str], prompts: Mapping[str, str] = PROMPTS
) -> Iterator[tuple[Session, CommandLine]]:
    device = CommandLine({**SAVES, **answers}, "<sw1>", prompts, "quit")
    with command_line(device, directory) as switch:
        login = Endpoint(
            "127.0.0.1",
            switch.port,
            username="net",
            password=Secret("secret"),
            known_hosts=switch.known_hosts,
            timeout_s=2.0,
        )
        with open_session(Device("sw1", "huawei_vrpv8", Role.ACCESS), login) as session:
            yield session, switch


def after(word: str, heard: list[str]) -> list[str]:
    return heard[heard.index(word) :]


def test_what_is_typed_is_committed_and_saved(tmp_path: Path) -> None:
    with terminal(tmp_path, {}) as (session, switch):
        session.configure([BLOCK])
    assert after("system-view", switch.heard)[:6] == ["system-view", BLOCK, "commit", "return", "save", "y"]


def test_a_refused_line_takes_those_before_it_back_and_nothing_is_committed(tmp_path: Path) -> None:
    with terminal(tmp_path, {"bad line": UNKNOWN}) as (session, switch):
        with pytest.raises(CommandRefused, match="Unrecognized command"):
            session.configure([BLOCK, "bad line"])
        assert session.ask("display clock") == ""
    said = after("system-view", switch.heard)
    assert said[:5] == ["system-view", BLOCK, "bad line", "clear configuration candidate", "return"]
    assert "commit" not in said


def test_a_commit_that_fails_leaves_nothing_for_the_next_one(tmp_path: Path) -> None:
    prompts = {**PROMPTS, "commit": "[*sw1]"}
    with (
        terminal(tmp_path, {"commit": "Failed to generate committed config\n"}, prompts) as (session, switch),
        pytest.raises(CommandRefused, match="Failed to generate committed config"),
    ):
        session.configure([BLOCK])
    said = after("commit", switch.heard)
    assert said[:3] == ["commit", "clear configuration candidate", "return"]
    assert "save" not in said
