"""Commands on this very machine."""

import os
import select
from pathlib import Path

import pytest

from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.errors import CommandRefused, NotConfigured, Unreachable
from switchguard.ports import Endpoint, Secret, SnmpAccess

HERE = Device("gw1", "linux", Role.GATEWAY)
LOCAL = Endpoint("local")


def ends(pid: int) -> bool:
    """Whether a process is gone, or goes within 10 s."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended, _, _ = select.select([process], [], [], 10)
    os.close(process)
    return bool(ended)


def test_a_command_answers_with_its_standard_output() -> None:
    with open_session(HERE, LOCAL) as session:
        assert session.ask("echo one; echo noise >&2") == "one\n"


def test_a_failing_command_is_refused_with_its_complaint() -> None:
    with open_session(HERE, LOCAL) as session, pytest.raises(CommandRefused) as refused:
        session.ask("echo 'No such set' >&2; exit 1")
    assert refused.value.answer == "No such set"


def test_a_program_that_is_not_there_is_refused() -> None:
    with open_session(HERE, LOCAL) as session, pytest.raises(CommandRefused, match="not found"):
        session.ask("conntrack-of-tomorrow -L")


def test_a_long_answer_comes_in_pieces() -> None:
    with open_session(HERE, LOCAL) as session:
        pieces = list(session.stream("seq 100000"))
    assert len(pieces) > 1
    assert b"".join(pieces).splitlines()[-1] == b"100000"


def test_a_reader_may_stop_before_the_end() -> None:
    with open_session(HERE, LOCAL) as session:
        assert next(iter(session.stream("yes"))).startswith(b"y\n")
        assert session.ask("echo on") == "on\n"


def test_a_script_of_any_length_is_fed_to_a_command_that_may_not_read_it() -> None:
    script = "add element\n" * 20_000
    with open_session(HERE, LOCAL) as session:
        assert session.feed("cat", script) == script
        assert session.feed("true", script) == ""


def test_a_command_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with (
        open_session(HERE, Endpoint("local", timeout_s=0.05)) as session,
        pytest.raises(Unreachable, match=r"took longer than 0.3 s and was stopped"),
    ):
        session.ask(f"sleep 60 & echo $! > {pids}; wait")
    assert ends(int(pids.read_text()))


def test_system_programs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with open_session(HERE, LOCAL) as session:
        assert session.ask("echo $PATH") == "/usr/sbin:/sbin:/usr/bin:/bin\n"


def test_this_machine_needs_no_credentials_and_takes_no_candidates() -> None:
    with open_session(HERE, LOCAL) as session:
        assert [session.speaks("cli"), session.speaks("snmp"), session.speaks("candidate")] == [True, False, False]
        with pytest.raises(NotConfigured, match="no SNMP access"):
            session.walk("1.3.6.1.2.1.1")
        with pytest.raises(NotConfigured, match="no candidates for linux"), session.candidate(["x"]):
            pass


def test_the_agent_of_this_machine_is_asked_over_loopback(snmp_port: int) -> None:
    endpoint = Endpoint("local", snmp=SnmpAccess(community=Secret("public"), port=snmp_port))
    with open_session(HERE, endpoint) as session:
        assert session.get(["1.3.6.1.2.1.1.5.0"]) == {"1.3.6.1.2.1.1.5.0": os.uname().nodename.encode()}
