"""SSH against a real sshd, and against a terminal that misbehaves on purpose."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from servers import DROP, HANG, CommandLine, Sshd, command_line, free_port, make_key, tcp

from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.edge.session_netmiko import fetch_host_key
from switchguard.errors import (
    CommandRefused,
    LoginRefused,
    NotConfigured,
    UnexpectedOutput,
    UnknownHostKey,
    Unreachable,
)
from switchguard.ports import Endpoint, Secret, Session

GATEWAY = Device("gw1", "linux", Role.GATEWAY)
SWITCH = Device("sw1", "cisco_ios", Role.ACCESS)


def me() -> str:
    """Whoever runs the tests: sshd runs as the same user."""
    return Path("~").expanduser().owner()


def at(gateway: Sshd, timeout_s: float = 5.0) -> Endpoint:
    return Endpoint(
        "127.0.0.1",
        gateway.port,
        username=me(),
        key_file=gateway.key_file,
        known_hosts=gateway.known_hosts,
        timeout_s=timeout_s,
    )


@contextmanager
def terminal(directory: Path, timeout_s: float = 2.0, **answers: str) -> Iterator[tuple[Session, CommandLine]]:
    """A session with a switch; answers are keyed by the command, `_` for a blank."""
    says = {command.replace("_", " "): answer for command, answer in answers.items()}
    with (
        command_line(CommandLine(says), directory) as switch,
        open_session(SWITCH, login(switch, timeout_s)) as session,
    ):
        yield session, switch


def login(switch: CommandLine, timeout_s: float = 2.0) -> Endpoint:
    return Endpoint(
        "127.0.0.1",
        switch.port,
        username="net",
        password=Secret("secret"),
        known_hosts=switch.known_hosts,
        timeout_s=timeout_s,
    )


# --- a machine with a real shell -------------------------------------------------------------------------------------


def test_a_shell_command_answers_with_its_standard_output(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        assert session.ask("printf 'one\\ntwo\\n'; echo noise >&2") == "one\ntwo\n"


def test_a_failing_shell_command_is_refused_with_its_complaint(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session, pytest.raises(CommandRefused) as refused:
        session.ask("echo half; echo 'No such table' >&2; exit 3")
    assert (refused.value.line[-6:], refused.value.answer) == ("exit 3", "No such table")


def test_a_shell_command_that_fails_without_a_word_shows_its_status(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session, pytest.raises(CommandRefused, match="exit status 7"):
        session.ask("exit 7")


def test_a_refused_command_does_not_end_the_conversation(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        with pytest.raises(CommandRefused):
            session.ask("false")
        assert session.ask("echo on") == "on\n"


def test_system_programs_are_found_without_a_login(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        assert session.ask("echo $PATH").startswith("/usr/sbin:/sbin:")


def test_quotes_and_dollars_arrive_as_they_are(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        assert session.ask("""X='a b'; echo "$X" '$X' | cat""") == "a b $X\n"


def test_a_long_answer_comes_in_pieces(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        pieces = list(session.stream("seq 200000"))
    assert len(pieces) > 1
    assert b"".join(pieces).split() == [str(number).encode() for number in range(1, 200001)]


def test_a_reader_may_stop_before_the_end(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        first = next(iter(session.stream("yes")))
        assert first.startswith(b"y\n")
        assert session.ask("echo on") == "on\n"


def test_a_script_is_fed_to_standard_input(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session:
        assert session.feed("tr a-z A-Z", "add element\n") == "ADD ELEMENT\n"


def test_configuration_lines_of_a_shell_are_commands(gateway: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "made"
    with open_session(GATEWAY, at(gateway)) as session:
        assert session.configure([f"echo 1 > {file}", f"cat {file}"]) == "1\n"


def test_a_silent_command_is_not_waited_for_again(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway, timeout_s=0.3)) as session:
        with pytest.raises(Unreachable, match="did not answer in time during 'sleep 20'"):
            session.ask("sleep 20")
        with pytest.raises(Unreachable, match="sleep 20"):
            session.ask("echo on")


def test_a_command_without_end_is_cut_off(gateway: Sshd) -> None:
    with (
        open_session(GATEWAY, at(gateway, timeout_s=0.2)) as session,
        pytest.raises(Unreachable, match=r"'while .*' took longer than 1.2 s"),
    ):
        session.ask("while sleep 0.05; do echo more; done")


def test_a_command_that_is_killed_is_refused(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session, pytest.raises(CommandRefused, match="it was killed"):
        session.ask("kill -9 $$")


def test_a_connection_that_breaks_in_the_middle_is_unreachable(gateway: Sshd) -> None:
    with open_session(GATEWAY, at(gateway)) as session, pytest.raises(Unreachable, match="lost in the middle"):
        session.ask("echo half; kill -9 $PPID; sleep 5")


# --- logging in ------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused(gateway: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    endpoint = replace(at(gateway), key_file=str(tmp_path / "other"))
    with (
        open_session(GATEWAY, endpoint) as session,
        pytest.raises(LoginRefused, match=f"refuses user '{me()}' with this key"),
    ):
        session.ask("true")


def test_a_wrong_password_is_refused(gateway: Sshd) -> None:
    endpoint = replace(at(gateway), key_file=None, password=Secret("guess"))
    with open_session(GATEWAY, endpoint) as session, pytest.raises(LoginRefused, match="with this password"):
        session.ask("true")


def test_a_wrong_password_of_a_terminal_is_refused(tmp_path: Path) -> None:
    with command_line(CommandLine(), tmp_path) as switch:
        endpoint = replace(login(switch), password=Secret("guess"))
        with open_session(SWITCH, endpoint) as session, pytest.raises(LoginRefused, match="user 'net'") as refused:
            session.ask("show clock")
    assert "guess" not in str(refused.value)


@pytest.mark.parametrize("device", [GATEWAY, SWITCH])
def test_a_port_where_nobody_listens_refuses(device: Device, gateway: Sshd) -> None:
    endpoint = replace(at(gateway), port=free_port())
    with open_session(device, endpoint) as session, pytest.raises(Unreachable, match="refuses the connection"):
        session.ask("true")


@pytest.mark.parametrize("device", [GATEWAY, SWITCH])
def test_a_device_that_accepts_and_says_nothing_does_not_hang_us(device: Device, gateway: Sshd) -> None:
    with (
        tcp(b"") as port,
        open_session(device, replace(at(gateway), port=port, timeout_s=0.3)) as session,
        pytest.raises(Unreachable),
    ):
        session.ask("true")


@pytest.mark.parametrize("device", [GATEWAY, SWITCH])
def test_a_service_that_is_not_ssh_is_unreachable(device: Device, gateway: Sshd) -> None:
    with tcp(b"220 smtp ready\r\n" * 200) as port:
        endpoint = replace(at(gateway), port=port, timeout_s=0.3)
        with open_session(device, endpoint) as session, pytest.raises(Unreachable):
            session.ask("true")


@pytest.mark.parametrize("device", [GATEWAY, SWITCH])
def test_a_key_file_that_is_not_there_is_named(device: Device, gateway: Sshd) -> None:
    endpoint = replace(at(gateway), key_file="/nonexistent/id")
    with (
        open_session(device, endpoint) as session,
        pytest.raises(NotConfigured, match="no SSH key file '/nonexistent/id'"),
    ):
        session.ask("true")


# --- host keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", [GATEWAY, SWITCH])
def test_an_unknown_host_key_is_shown_and_not_accepted(device: Device, gateway: Sshd, tmp_path: Path) -> None:
    endpoint = replace(at(gateway), known_hosts=str(tmp_path / "empty"))
    with open_session(device, endpoint) as session, pytest.raises(UnknownHostKey) as unknown:
        session.ask("true")
    assert fetch_host_key(endpoint).fingerprint in unknown.value.why
    assert "`switchguard check --connect --accept-host-keys`" in unknown.value.why


@pytest.mark.parametrize("device", [GATEWAY, SWITCH])
def test_a_changed_host_key_is_an_alarm(device: Device, gateway: Sshd, tmp_path: Path) -> None:
    (tmp_path / "old").write_text(f"[127.0.0.1]:{gateway.port} {make_key(tmp_path / 'impostor')}\n")
    endpoint = replace(at(gateway), known_hosts=str(tmp_path / "old"))
    with open_session(device, endpoint) as session, pytest.raises(UnknownHostKey, match="another SSH host key"):
        session.ask("true")


def test_the_fetched_line_is_what_makes_a_host_known(gateway: Sshd, tmp_path: Path) -> None:
    endpoint = replace(at(gateway), known_hosts=str(tmp_path / "accepted"))
    key = fetch_host_key(endpoint)
    (tmp_path / "accepted").write_text(key.line + "\n")
    with open_session(GATEWAY, endpoint) as session:
        assert session.ask("echo in") == "in\n"
    assert (key.type, key.line) == ("ssh-ed25519", Path(gateway.known_hosts).read_text().rsplit(" ", 1)[0])


def test_a_host_key_of_a_dead_host_is_unreachable(gateway: Sshd) -> None:
    with pytest.raises(Unreachable, match="refuses the connection"):
        fetch_host_key(replace(at(gateway), port=free_port()))


# --- a vendor's terminal ---------------------------------------------------------------------------------------------


def test_a_terminal_answers_without_echo_and_prompt(tmp_path: Path) -> None:
    with terminal(tmp_path, show_clock="12:00:00.000 UTC\n") as (session, _):
        assert session.ask("show clock").strip() == "12:00:00.000 UTC"
        assert b"".join(session.stream("show clock")).strip() == b"12:00:00.000 UTC"


def test_an_error_line_is_a_refusal(tmp_path: Path) -> None:
    answer = "       ^\n% Invalid input detected at '^' marker.\n\n"
    with terminal(tmp_path, show_nonsense=answer) as (session, _), pytest.raises(CommandRefused) as refused:
        session.ask("show nonsense")
    assert (refused.value.line, refused.value.answer.strip()) == (
        "show nonsense",
        "% Invalid input detected at '^' marker.",
    )


def test_percent_signs_further_down_are_text(tmp_path: Path) -> None:
    answer = "\n".join(["banner motd"] * 6) + "\n% Mind the gap\n"
    with terminal(tmp_path, show_running=answer) as (session, _):
        assert "% Mind the gap" in session.ask("show running")


def test_a_terminal_that_hangs_is_left_alone_afterwards(tmp_path: Path) -> None:
    with terminal(tmp_path, timeout_s=0.4, show_mac=HANG) as (session, switch):
        with pytest.raises(Unreachable, match=r"no answer to 'show mac' within 2.4 s"):
            session.ask("show mac")
        with pytest.raises(Unreachable, match="show mac"):
            session.ask("show clock")
        assert "show clock" not in switch.heard


def test_a_terminal_that_babbles_is_quoted(tmp_path: Path) -> None:
    with (
        terminal(tmp_path, timeout_s=0.4, show_mac="Mac Table\n  --More-- " + HANG) as (session, _),
        pytest.raises(UnexpectedOutput, match=r"no prompt within 2.4 s after 'show mac', but: '--More--'"),
    ):
        session.ask("show mac")


def test_a_terminal_that_hangs_up_in_mid_answer_is_unreachable_at_once(tmp_path: Path) -> None:
    with (
        terminal(tmp_path, timeout_s=10.0, show_mac="Mac Table\n 10  0200.0000.0007" + DROP) as (session, _),
        pytest.raises(Unreachable, match="closed the connection"),
    ):
        session.ask("show mac")


def test_a_terminal_without_a_prompt_is_unreachable(tmp_path: Path) -> None:
    with (
        command_line(CommandLine(prompt="Press any key to continue"), tmp_path) as switch,
        open_session(SWITCH, login(switch, 0.3)) as session,
        pytest.raises(Unreachable, match="shows no prompt"),
    ):
        session.ask("show clock")


def test_configuration_is_typed_in_configuration_mode(tmp_path: Path) -> None:
    with terminal(tmp_path) as (session, switch):
        session.configure(["mac address-table static 0200.0000.0007 vlan 10 drop"])
    start = switch.heard.index("configure terminal")
    assert switch.heard[start : start + 3] == [
        "configure terminal",
        "mac address-table static 0200.0000.0007 vlan 10 drop",
        "end",
    ]


def test_a_refused_configuration_line_is_named_and_the_rest_is_not_typed(tmp_path: Path) -> None:
    bad = "% Only unicast addresses can be configured to be dropped\n"
    with terminal(tmp_path, bad_line=bad, show_clock="12:00\n") as (session, switch):
        with pytest.raises(CommandRefused) as refused:
            session.configure(["good line", "bad line", "never typed"])
        assert session.ask("show clock").strip() == "12:00"
    assert (refused.value.line, refused.value.answer.strip()) == ("bad line", bad.strip())
    assert "good line" in switch.heard
    assert "never typed" not in switch.heard


def test_warnings_and_log_messages_are_no_refusals(tmp_path: Path) -> None:
    said = "%Warning: portfast should only be enabled on edge ports\n%SYS-5-CONFIG_I: Configured from console\n"
    with terminal(tmp_path, portfast=said) as (session, _):
        assert "portfast" in session.configure(["portfast"])


def test_a_terminal_has_no_shell_to_feed(tmp_path: Path) -> None:
    with terminal(tmp_path) as (session, _), pytest.raises(NotConfigured, match="cisco_ios has no shell"):
        session.feed("nft -f -", "")


def test_a_platform_that_netmiko_does_not_know_is_named(gateway: Sshd) -> None:
    strange = Device("x1", "abacus", Role.ACCESS)
    with open_session(strange, at(gateway)) as session, pytest.raises(NotConfigured, match="no platform 'abacus'"):
        session.ask("show clock")


# --- FortiOS ---------------------------------------------------------------------------------------------------------

FIREWALL = Device("fw1", "fortinet", Role.GATEWAY)
"""netmiko speaks no key exchange with it but old ones."""
FORTIOS = {
    "get system status | grep Virtual": "Virtual domain configuration: disable\n",
    "get system status | grep Version": "Version: FortiGate-VM64 v7.0.1,build0157,210714 (GA)\n",
    "get system console": "output              : standard\n",
}


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
def test_a_section_of_fortios_that_holds_a_refused_line_is_left_without_effect(tmp_path: Path) -> None:
    says = {**FORTIOS, "set colour blue": 'command parse error before "colour"\nCommand fail. Return code -61\n'}
    with (
        command_line(CommandLine(says, prompt="FGT #"), tmp_path) as terminal,
        open_session(FIREWALL, login(terminal, 5.0)) as session,
    ):
        with pytest.raises(CommandRefused) as refused:
            session.configure(["config firewall address", "    edit x", "        set colour blue", "    next", "end"])
        session.ask("get system arp")
    assert (refused.value.line.strip(), "command parse error" in refused.value.answer) == ("set colour blue", True)
    assert terminal.heard[-5:-2] == ["edit x", "set colour blue", "abort"]
