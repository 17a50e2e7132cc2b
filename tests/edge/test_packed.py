"""An answer that came through gzip is the same answer, and the command's own exit status counts."""

import subprocess
from pathlib import Path

import pytest
from servers import Sshd

from switchguard.core.model import Device, Role
from switchguard.edge.packed import packed, unpacked
from switchguard.edge.session import open_session
from switchguard.errors import CommandRefused, UnexpectedOutput
from switchguard.ports import Endpoint

GATEWAY = Device("gw1", "linux", Role.GATEWAY)


def run(command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["/bin/sh", "-c", packed(command)], capture_output=True)


@pytest.mark.parametrize(
    ("command", "status"), [("seq 100000", 0), ("true", 0), ("echo some; exit 3", 3), ("nothing", 127)]
)
def test_the_exit_status_is_the_commands_own(command: str, status: int) -> None:
    whole = subprocess.run(["/bin/sh", "-c", command], capture_output=True)
    done = run(command)
    assert done.returncode == whole.returncode == status
    assert b"".join(unpacked("gw1", command, [done.stdout])) == whole.stdout


def test_chunks_may_end_anywhere() -> None:
    octets = run("seq 10000").stdout
    pieces = (octets[start : start + 100] for start in range(0, len(octets), 100))
    assert b"".join(unpacked("gw1", "seq", pieces)).count(b"\n") == 10000


@pytest.mark.parametrize(
    ("octets", "why"), [(b"plain text", "no gzip came back"), (run("seq 9").stdout[:-4], "cut off")]
)
def test_anything_else_is_an_error(octets: bytes, why: str) -> None:
    with pytest.raises(UnexpectedOutput, match=why):
        list(unpacked("gw1", "seq", [octets]))


def endpoint(gateway: Sshd) -> Endpoint:
    me = Path("~").expanduser().owner()
    return Endpoint(
        "127.0.0.1", gateway.port, me, key_file=gateway.key_file, known_hosts=gateway.known_hosts, compress=True
    )


def test_a_session_unpacks_what_it_streams(gateway: Sshd) -> None:
    with open_session(GATEWAY, endpoint(gateway)) as session:
        assert b"".join(session.stream("seq 30000")) == "".join(f"{n}\n" for n in range(1, 30001)).encode()


def test_a_refusal_names_the_command_that_was_asked(gateway: Sshd) -> None:
    with open_session(GATEWAY, endpoint(gateway)) as session, pytest.raises(CommandRefused) as refused:
        list(session.stream("echo no >&2; false"))
    assert (refused.value.line, refused.value.answer) == ("echo no >&2; false", "no")
