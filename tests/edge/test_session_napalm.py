"""Candidates through NAPALM's own drivers, against devices that say what real ones say when something is wrong."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from servers import DROP, HANG, CommandLine, Eapi, command_line, eapi, free_port, tcp

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
from switchguard.ports import Endpoint, Secret, Session

CORE = Device("core", "arista_eos", Role.CORE)
ACCESS = Device("sw1", "cisco_ios", Role.ACCESS)
LINE = "mac address-table static 0200.0000.0007 vlan 10 drop"
EOS_DIFF = f"--- system:/running-config\n+++ session:/napalm-session-config\n@@ -1 +1,2 @@\n+{LINE}\n"


def eapi_login(port: int, timeout_s: float = 2.0) -> Endpoint:
    options = {"transport": "http", "port": port}
    return Endpoint("127.0.0.1", username="net", password=Secret("secret"), timeout_s=timeout_s, napalm_options=options)


@contextmanager
def eos(**says: str | Exception) -> Iterator[tuple[Session, Eapi]]:
    """Answers are keyed by the command, `_` for a blank."""
    answers = {command.replace("_", " "): answer for command, answer in says.items()}
    with eapi(Eapi(answers)) as switch, open_session(CORE, eapi_login(switch.port)) as session:
        yield session, switch


def verbs(switch: Eapi) -> list[str]:
    """What happened to the configuration session."""
    return [command.split()[-1] for command in switch.heard if command.split()[-1] in {"commit", "abort"}]


# --- EOS, eAPI -------------------------------------------------------------------------------------------------------


def test_the_diff_is_the_devices_own_and_nothing_is_committed_by_looking() -> None:
    with eos(**{"show session-config named": EOS_DIFF}) as (session, switch):
        with session.candidate([LINE]) as candidate:
            assert candidate.diff() == f"@@ -1 +1,2 @@\n+{LINE}"
        assert LINE in switch.heard
        assert verbs(switch) == ["abort"]


def test_a_committed_candidate_is_not_discarded() -> None:
    with eos() as (session, switch):
        with session.candidate([LINE]) as candidate:
            candidate.commit()
        assert verbs(switch) == ["commit"]
        assert switch.heard[-1] == "write memory"


def test_an_error_of_the_caller_discards_the_candidate() -> None:
    with eos() as (session, switch):
        with pytest.raises(ZeroDivisionError), session.candidate([LINE]):
            raise ZeroDivisionError
        assert verbs(switch) == ["abort"]


def test_candidates_follow_one_another_in_one_session() -> None:
    with eos() as (session, switch):
        for _ in range(2):
            with session.candidate([LINE]) as candidate:
                candidate.commit()
        assert (verbs(switch), switch.heard.count("show version")) == (["commit", "commit"], 1)


def test_a_line_that_the_device_refuses_discards_the_candidate() -> None:
    with eos(**{LINE: ValueError("invalid command")}) as (session, switch):
        with pytest.raises(CommandRefused, match="invalid command"), session.candidate([LINE]):
            pass
        assert verbs(switch) == ["abort"]


def test_a_refused_commit_is_quoted_and_the_candidate_discarded() -> None:
    with eos(write_memory=ValueError("flash is full")) as (session, switch):
        with pytest.raises(CommandRefused, match="flash is full"), session.candidate([LINE]) as candidate:
            candidate.commit()
        assert verbs(switch) == ["commit", "abort"]


def test_questions_go_over_eapi_as_well() -> None:
    with eos(show_clock="Fri Nov 20 08:00:00 2026\n") as (session, switch):
        assert session.ask("show clock") == "Fri Nov 20 08:00:00 2026\n"
        assert switch.heard[-1] == "show clock"


def test_a_question_that_eapi_refuses_is_refused() -> None:
    with (
        eos(show_clok=ValueError("invalid command")) as (session, _),
        pytest.raises(CommandRefused, match=r"'show clok'.*invalid command"),
    ):
        session.ask("show clok")


def test_a_wrong_eapi_password_is_refused() -> None:
    with eapi(Eapi()) as switch:
        endpoint = replace(eapi_login(switch.port), password=Secret("guess"))
        with (
            open_session(CORE, endpoint) as session,
            pytest.raises(LoginRefused, match="user 'net'") as refused,
            session.candidate([LINE]),
        ):
            pass
    assert "guess" not in str(refused.value)


@pytest.mark.parametrize(
    "body", [b"<html>It works!</html>", b'{"jsonrpc": "2.0", "result": []}', b'{"hello": 1}', b"[]"]
)
def test_an_answer_that_is_no_eapi_is_unexpected(body: bytes) -> None:
    with (
        eapi(Eapi(body=body)) as switch,
        open_session(CORE, eapi_login(switch.port)) as session,
        pytest.raises(UnexpectedOutput),
        session.candidate([LINE]),
    ):
        pass


def test_a_service_that_is_not_http_is_no_eapi() -> None:
    with (
        tcp(b"SSH-2.0-OpenSSH\r\n") as port,
        open_session(CORE, eapi_login(port, 0.2)) as session,
        pytest.raises((UnexpectedOutput, Unreachable)),
        session.candidate([LINE]),
    ):
        pass


def test_a_device_that_accepts_and_says_nothing_does_not_hang_us() -> None:
    with tcp(b"") as port, open_session(CORE, eapi_login(port, 0.1)) as session:
        for _ in range(2):
            with pytest.raises(Unreachable, match="no answer within"), session.candidate([LINE]):
                pass


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with (
        open_session(CORE, eapi_login(free_port())) as session,
        pytest.raises(Unreachable, match="refused"),
        session.candidate([LINE]),
    ):
        pass


# --- IOS, SSH and SCP ------------------------------------------------------------------------------------------------

INCREMENTAL = "show archive config incremental-diffs flash:/merge_config.txt ignorecase"
COPY = "copy flash:/merge_config.txt running-config"
IOS_DIFF = f"!List of Commands:\n{LINE}\nend\n"


def ios_login(switch: CommandLine, timeout_s: float = 2.0) -> Endpoint:
    return Endpoint(
        "127.0.0.1",
        switch.port,
        username="net",
        password=Secret("secret"),
        known_hosts=switch.known_hosts,
        timeout_s=timeout_s,
    )


@contextmanager
def ios(flash: Path, answers: dict[str, str], timeout_s: float = 2.0) -> Iterator[tuple[Session, CommandLine]]:
    device = CommandLine({INCREMENTAL: IOS_DIFF, **answers}, flash=flash)
    with command_line(device, flash) as switch, open_session(ACCESS, ios_login(switch, timeout_s)) as session:
        yield session, switch


def test_ios_gets_the_lines_as_a_file_and_merges_it(flash: Path) -> None:
    with ios(flash, {COPY: "60 bytes copied in 0.1 secs\n"}) as (session, switch):
        with session.candidate([LINE, "end"]) as candidate:
            assert candidate.diff() == f"+{LINE}"
            candidate.commit()
        assert (flash / "merge_config.txt").read_text() == f"{LINE}\nend\n"
        assert switch.heard.index(COPY) < switch.heard.index("write mem")


def test_ios_refusals_that_napalm_takes_for_success_are_raised(flash: Path) -> None:
    said = "% Only unicast addresses can be configured to be dropped\n"
    with (
        ios(flash, {COPY: said + "60 bytes copied in 0.1 secs\n"}) as (session, _),
        pytest.raises(CommandRefused, match="Only unicast addresses"),
        session.candidate([LINE]) as candidate,
    ):
        candidate.commit()


def test_ios_log_messages_during_a_merge_are_no_refusals(flash: Path) -> None:
    said = "%SYS-5-CONFIG_I: Configured from console by net\n"
    with ios(flash, {COPY: said}) as (session, _), session.candidate([LINE]) as candidate:
        candidate.commit()


def test_an_echo_of_the_file_is_no_diff(flash: Path) -> None:
    answers = {INCREMENTAL: "% Invalid input detected at '^' marker.\n", "more flash:/merge_config.txt": LINE + "\n"}
    with (
        ios(flash, answers) as (session, _),
        pytest.raises(CommandRefused, match="this IOS makes no diff of a merge"),
        session.candidate([LINE]) as candidate,
    ):
        candidate.diff()


def test_advice_about_error_5_is_no_diff(flash: Path) -> None:
    with (
        ios(flash, {INCREMENTAL: "%PARSER: returned error 5\n"}) as (session, _),
        pytest.raises(CommandRefused, match="error 5"),
        session.candidate([LINE]) as candidate,
    ):
        candidate.diff()


def test_no_difference_is_an_empty_diff(flash: Path) -> None:
    says = "!List of Commands:\nend\n!No changes were found\n"
    with ios(flash, {INCREMENTAL: says}) as (session, _), session.candidate([LINE]) as candidate:
        assert candidate.diff() == ""


def test_ios_without_scp_says_how_to_enable_it(flash: Path) -> None:
    with (
        ios(flash, {"show running-config | inc ip scp server enable": "\n"}) as (session, _),
        pytest.raises(CommandRefused, match="ip scp server enable"),
        session.candidate([LINE]),
    ):
        pass


def test_a_failed_transfer_leaves_no_file_behind(flash: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with (
        ios(flash, {"show running-config | inc ip scp server enable": "\n"}) as (session, _),
        pytest.raises(CommandRefused),
        session.candidate([LINE]),
    ):
        pass
    assert list((tmp_path / "temporary").iterdir()) == []


def test_napalms_change_to_file_prompts_is_taken_back(flash: Path) -> None:
    with ios(flash, {}) as (session, switch):
        with session.candidate([LINE]) as candidate:
            candidate.commit()
        assert "no file prompt quiet" not in switch.heard
    assert "no file prompt quiet" in switch.heard


def test_ios_that_hangs_up_during_the_merge_is_unreachable_at_once(flash: Path) -> None:
    with (
        ios(flash, {COPY: DROP}, timeout_s=10.0) as (session, _),
        pytest.raises(Unreachable, match="closed the connection"),
        session.candidate([LINE]) as candidate,
    ):
        candidate.commit()


def test_ios_that_hangs_during_the_merge_is_left_alone_afterwards(flash: Path) -> None:
    with ios(flash, {COPY: HANG}, timeout_s=0.4) as (session, switch):
        for _ in range(2):
            with pytest.raises(Unreachable), session.candidate([LINE]) as candidate:
                candidate.commit()
        assert switch.heard.count(COPY) == 1


def test_napalm_checks_host_keys_whatever_its_options_say(flash: Path) -> None:
    with command_line(CommandLine(flash=flash), flash) as switch:
        endpoint = replace(ios_login(switch), known_hosts=str(flash / "none"), napalm_options={"ssh_strict": False})
        with (
            open_session(ACCESS, endpoint) as session,
            pytest.raises(UnknownHostKey, match="SHA256:"),
            session.candidate([LINE]),
        ):
            pass


def test_a_wrong_ios_password_is_refused(flash: Path) -> None:
    with command_line(CommandLine(flash=flash), flash) as switch:
        endpoint = replace(ios_login(switch), password=Secret("guess"))
        with open_session(ACCESS, endpoint) as session, pytest.raises(LoginRefused), session.candidate([LINE]):
            pass


def test_ios_where_nobody_listens_is_unreachable(flash: Path) -> None:
    endpoint = replace(ios_login(CommandLine(port=free_port())), known_hosts=str(flash / "none"))
    with (
        open_session(ACCESS, endpoint) as session,
        pytest.raises(Unreachable, match="refuses the connection"),
        session.candidate([LINE]),
    ):
        pass


def test_a_candidate_without_credentials_is_not_configured() -> None:
    with open_session(CORE, Endpoint("127.0.0.1")) as session:
        assert not session.speaks("candidate")
        with pytest.raises(NotConfigured, match="no user name"), session.candidate([LINE]):
            pass
