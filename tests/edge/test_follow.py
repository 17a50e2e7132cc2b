"""Commands that do not end, and the kernel's own sockets: followed for as long as somebody listens."""

from pathlib import Path

import pytest
from servers import Sshd

from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.edge.stream import streams
from switchguard.errors import NotConfigured, StreamLost
from switchguard.ports import Endpoint, Follows, SpeaksNetlink

GATEWAY = Device("gw1", "linux", Role.GATEWAY)
SWITCH = Device("sw1", "cisco_ios", Role.ACCESS)
TICK_S = 0.05


def at(gateway: Sshd) -> Endpoint:
    return Endpoint(
        "127.0.0.1",
        gateway.port,
        username=Path("~").expanduser().owner(),
        key_file=gateway.key_file,
        known_hosts=gateway.known_hosts,
        timeout_s=5.0,
    )


def test_what_a_command_says_arrives_while_it_runs(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        assert isinstance(session, Follows)
        chunks = session.follow("echo one; exec sleep 100", TICK_S)
        assert next(filter(None, chunks)) == b"one\n"
        assert [next(chunks), next(chunks)] == [b"", b""]


def test_a_command_that_ends_is_a_stream_that_is_lost(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        assert isinstance(session, Follows)
        with pytest.raises(StreamLost, match="'echo over' has ended"):
            list(session.follow("echo over", TICK_S))


def test_other_commands_go_on_beside_it(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        assert isinstance(session, Follows)
        chunks = session.follow("exec sleep 100", TICK_S)
        next(chunks)
        assert session.ask("echo on") == "on\n"
        assert next(chunks) == b""


def test_a_switch_has_no_commands_to_follow() -> None:
    with open_session(SWITCH, Endpoint("192.0.2.1", username="net")) as session:
        assert isinstance(session, Follows)
        with pytest.raises(NotConfigured, match="no shell"):
            next(session.follow("conntrack -E", TICK_S))


def test_only_the_machine_that_we_run_on_speaks_netlink(gateway: Sshd) -> None:
    with open_session(GATEWAY, Endpoint("local")) as session:
        assert session.speaks("netlink")
    with open_session(GATEWAY, at(gateway)) as session:
        assert isinstance(session, SpeaksNetlink)
        assert not session.speaks("netlink")
        with pytest.raises(NotConfigured, match="not this device's"):
            next(session.netlink(b""))


def test_streams_are_offered_by_gateways_whose_driver_can_follow() -> None:
    devices = (GATEWAY, SWITCH, Device("gw2", "cisco_ios", Role.GATEWAY), Device("fw", "linux", Role.CORE))
    found = streams(devices, lambda device: open_session(device, Endpoint("local")), "begins")
    assert list(found) == ["gw1"]
