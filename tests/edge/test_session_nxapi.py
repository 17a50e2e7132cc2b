"""NX-OS over HTTPS: nobody is believed without his certificate, and whatever comes back is an answer or an error."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from nxapi_server import CUT, NxApi, nxapi
from servers import free_port, tcp

from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.errors import (
    CommandRefused,
    LoginRefused,
    NotConfigured,
    UnexpectedOutput,
    UnknownHostKey,
    Unreachable,
)
from switchguard.lab.frontends.certificate import KEY, self_signed
from switchguard.ports import Endpoint, Secret, Session

NX1 = Device("nx1", "cisco_nxos", Role.CORE)
LINE = "mac address-table static 0200.0000.0007 vlan 10 drop"
UNDO = "rollback running-config file rollback_config.txt"
CHECKPOINT = ["terminal dont-ask", "checkpoint file rollback_config.txt", "no terminal dont-ask"]
MERGE = ["configure terminal", LINE, "end"]
RECORDINGS = sorted(
    path.parent for path in (Path(__file__).parent.parent / "recordings" / "cisco_nxos").glob("*/*/session.yaml")
)
SAVE = "copy running-config startup-config"


def login(port: int, ca_file: Path | None, timeout_s: float = 2.0) -> Endpoint:
    return Endpoint(
        "127.0.0.1",
        username="net",
        password=Secret("secret"),
        timeout_s=timeout_s,
        napalm_options={"transport": "https", "port": port},
        ca_file=None if ca_file is None else str(ca_file),
    )


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The device's own: for a name that nobody asks for."""
    return self_signed(tmp_path, "nxos")


@contextmanager
def asking(device: NxApi, certificate: Path, timeout_s: float = 2.0) -> Iterator[Session]:
    with nxapi(device, certificate) as switch, open_session(NX1, login(switch.port, certificate, timeout_s)) as session:
        yield session


# --- questions -------------------------------------------------------------------------------------------------------


def test_an_answer_is_the_text_of_the_terminal(certificate: Path) -> None:
    device = NxApi({"show clock": "08:00:00.123 UTC Fri Nov 20 2026\n"})
    with asking(device, certificate) as session:
        assert session.ask("show clock") == "08:00:00.123 UTC Fri Nov 20 2026\n"
    assert device.heard == ["show clock"]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_recorded_answer_arrives_as_it_was_recorded(certificate: Path, recording: Path) -> None:
    """What the driver makes of it is then the same as over SSH."""
    asked = yaml.safe_load((recording / "session.yaml").read_text())["ask"]
    answers = {question: (recording / file).read_text() for question, file in asked.items()}
    with asking(NxApi(answers), certificate) as session:
        assert {question: session.ask(question) for question in answers} == answers


def test_a_command_that_says_nothing_says_nothing(certificate: Path) -> None:
    with asking(NxApi(), certificate) as session:
        assert session.ask("show running-config | egrep nothing") == ""


@pytest.mark.parametrize("said", [ValueError("% Invalid command"), "% Invalid command at '^' marker.\n"])
def test_a_question_that_is_refused_is_quoted(certificate: Path, said: str | Exception) -> None:
    with (
        asking(NxApi({"show clok": said}), certificate) as session,
        pytest.raises(CommandRefused, match=r"nx1: refused 'show clok': % Invalid command"),
    ):
        session.ask("show clok")


# --- who is believed -------------------------------------------------------------------------------------------------


def test_an_authority_that_vouches_for_the_address_is_enough(tmp_path: Path) -> None:
    vouched = self_signed(tmp_path, "nxos", ["127.0.0.1"])
    with asking(NxApi({"show clock": "now"}), vouched) as session:
        assert session.ask("show clock") == "now"


@pytest.mark.parametrize("known", ["nobody", "another"])
def test_a_certificate_that_is_not_known_is_told_nothing(certificate: Path, tmp_path: Path, known: str) -> None:
    (tmp_path / "other").mkdir()
    on_file = None if known == "nobody" else self_signed(tmp_path / "other", "nxos")
    with nxapi(NxApi(), certificate) as switch, open_session(NX1, login(switch.port, on_file)) as session:
        with pytest.raises(UnknownHostKey, match=r"127\.0\.0\.1:\d+ shows a certificate .*ca_file"):
            session.ask("show clock")
        with pytest.raises(UnknownHostKey), session.candidate([LINE]) as candidate:
            candidate.commit()
    assert switch.heard == []


def test_whoever_lacks_the_key_of_the_certificate_on_file_is_refused(certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "thief").mkdir()
    stolen = self_signed(tmp_path / "thief", "nxos")
    stolen.write_text(certificate.read_text())
    with pytest.raises(ssl.SSLError), nxapi(NxApi(), stolen):
        pass
    assert stolen.with_name(KEY).read_text() != certificate.with_name(KEY).read_text()


def test_a_file_without_certificates_is_not_configured(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("none\n")
    with (
        open_session(NX1, login(free_port(), empty)) as session,
        pytest.raises(NotConfigured, match=r"empty\.pem holds no certificate"),
    ):
        session.ask("show clock")


def test_a_wrong_password_is_refused_and_not_repeated(certificate: Path) -> None:
    with nxapi(NxApi(), certificate) as switch:
        endpoint = replace(login(switch.port, certificate), password=Secret("guess"))
        with (
            open_session(NX1, endpoint) as session,
            pytest.raises(LoginRefused, match="NX-API refuses user 'net'") as refused,
        ):
            session.ask("show clock")
    assert "guess" not in str(refused.value)


def test_a_key_alone_is_no_way_in() -> None:
    endpoint = replace(login(1, None), password=None, key_file="key")
    with open_session(NX1, endpoint) as session:
        assert not session.speaks("cli")
        with pytest.raises(NotConfigured, match="NX-API takes no key"):
            session.ask("show clock")


# --- what else may come back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"<html>Internal Server Error</html>"),
        (500, b"{}"),
        (200, b"<html>It works!</html>"),
        (200, b""),
        (200, b"[]"),
        (200, b"7"),
        (200, b'{"jsonrpc": "2.0", "result": {"msg": "now"}}'),
        (200, b'{"jsonrpc": "2.0", "result": {"msg": "now"}, "id": 2}'),
        (200, b'{"jsonrpc": "2.0", "result": {"body": {}}, "id": 1}'),
        (200, b'[{"jsonrpc": "2.0", "result": null, "id": 1}, {"jsonrpc": "2.0", "result": null, "id": 2}]'),
        (302, b""),
    ],
)
def test_an_answer_that_is_no_answer_is_unexpected(certificate: Path, status: int, body: bytes) -> None:
    device = NxApi(reply=(status, body), headers={"Location": "http://127.0.0.1:1/ins"} if status == 302 else {})
    with asking(device, certificate) as session, pytest.raises(UnexpectedOutput, match=r"^nx1: "):
        session.ask("show clock")


def test_a_page_that_repeats_what_it_was_asked_tells_no_secret(certificate: Path) -> None:
    device = NxApi(reply=(500, b"Authorization: Basic bmV0OnNlY3JldA== (net:secret)"))
    with asking(device, certificate) as session, pytest.raises(UnexpectedOutput) as unexpected:
        session.ask("show clock")
    assert "bmV0OnNlY3JldA" not in str(unexpected.value)
    assert "secret" not in str(unexpected.value)


def test_an_error_without_a_number_is_still_an_error(certificate: Path) -> None:
    device = NxApi(reply=(400, b'{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}'))
    with asking(device, certificate) as session, pytest.raises(CommandRefused, match="'show clock': Parse error"):
        session.ask("show clock")


def test_an_answer_that_ends_in_the_middle_is_no_answer(certificate: Path) -> None:
    device = NxApi(reply=(200, b'{"jsonrpc"'), headers={"Content-Length": "4000"})
    with asking(device, certificate) as session, pytest.raises(Unreachable, match="closed the connection"):
        session.ask("show clock")


def test_a_switch_that_says_nothing_does_not_hang_us_and_is_asked_once(certificate: Path) -> None:
    device = NxApi()
    device.quiet.set()
    with asking(device, certificate, timeout_s=0.1) as session:
        for _ in range(2):
            with pytest.raises(Unreachable, match=r"no answer to 'show clock' within 0\.6 s"):
                session.ask("show clock")


def test_a_port_where_nobody_listens_is_unreachable(certificate: Path) -> None:
    with open_session(NX1, login(free_port(), certificate)) as session, pytest.raises(Unreachable, match="refuses"):
        session.ask("show clock")


def test_a_service_without_tls_is_no_nxapi(certificate: Path) -> None:
    with (
        tcp(b"SSH-2.0-OpenSSH\r\n") as port,
        open_session(NX1, login(port, certificate)) as session,
        pytest.raises((UnexpectedOutput, Unreachable)),
    ):
        session.ask("show clock")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("2.0"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["jsonrpc", "result", "msg", "body", "error", "data", "id"]), inner)
    ),
    max_leaves=8,
)


def test_whatever_arrives_is_text_or_an_error(certificate: Path) -> None:
    device = NxApi()
    with nxapi(device, certificate) as switch:

        @given(status=st.sampled_from([200, 400, 500]), body=st.binary(max_size=20) | JSON.map(json.dumps))
        @settings(max_examples=60, deadline=None)
        def answered(status: int, body: str | bytes) -> None:
            device.reply = status, body if isinstance(body, bytes) else body.encode()
            refusals = suppress(CommandRefused, UnexpectedOutput)
            with open_session(NX1, login(switch.port, certificate)) as session, refusals:
                assert isinstance(session.ask("show clock"), str)

        answered()


# --- candidates ------------------------------------------------------------------------------------------------------


def test_looking_at_a_candidate_changes_nothing(certificate: Path) -> None:
    device = NxApi({"show running-config all": "hostname nx1\n"})
    with asking(device, certificate) as session, session.candidate([LINE]) as candidate:
        assert candidate.diff() == LINE
    assert device.heard == ["show running-config all"]


def test_a_commit_makes_a_checkpoint_types_the_lines_and_saves(certificate: Path) -> None:
    device = NxApi()
    with asking(device, certificate) as session, session.candidate([LINE]) as candidate:
        candidate.commit()
    assert device.heard == [*CHECKPOINT, *MERGE, SAVE]


@pytest.mark.parametrize("said", [ValueError("% Invalid command"), "ERROR: Invalid MAC address\n"])
def test_a_line_that_is_refused_is_taken_back_and_quoted(certificate: Path, said: str | Exception) -> None:
    device = NxApi({LINE: said})
    with (
        asking(device, certificate) as session,
        pytest.raises(CommandRefused, match=r"(?s)Configuration merge failed.*Invalid"),
        session.candidate([LINE]) as candidate,
    ):
        candidate.commit()
    tried = MERGE[:2] if isinstance(said, Exception) else MERGE
    assert device.heard == [*CHECKPOINT, *tried, UNDO, SAVE]


def test_a_switch_that_is_lost_in_the_middle_is_left_alone(certificate: Path) -> None:
    """Whether the line took effect nobody knows: the next look tells, and no rollback undoes it unseen."""
    device = NxApi({LINE: CUT})
    with asking(device, certificate) as session:
        for _ in range(2):
            with pytest.raises(Unreachable, match="closed the connection"), session.candidate([LINE]) as candidate:
                candidate.commit()
    assert device.heard == [*CHECKPOINT, *MERGE[:2]]


def test_a_rollback_that_fails_is_said(certificate: Path) -> None:
    device = NxApi({LINE: ValueError("% Invalid command"), UNDO: "Generating Rollback Patch\nRollback failed.\n"})
    with (
        asking(device, certificate) as session,
        pytest.raises(CommandRefused, match=r"(?s)refused 'rollback running-config.*Rollback failed"),
        session.candidate([LINE]) as candidate,
    ):
        candidate.commit()
