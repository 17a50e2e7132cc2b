"""SSH: a vendor's command line through netmiko, a real shell through the exec channels of paramiko, strict host keys.

A device with a real shell gets one exec channel per command: no prompt, no pager, standard error and the exit status
apart from the answer, and a million lines stream at the speed of the network. netmiko's own `linux` type would need a
prompt, and takes 10 s to log out where the prompt ends in `#`.

Nothing waits for ever: `timeout_s` bounds connecting and logging in, `PATIENCE` times that bounds one command, and
three times that the silence of an exec channel. All exceptions of netmiko and paramiko become DeviceErrors here.
"""

import hashlib
import logging
import re
import shlex
import socket
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netmiko
import paramiko
from netmiko.channel import SSHChannel
from netmiko.linux.linux_ssh import LinuxSSH
from paramiko.ssh_exception import NoValidConnectionsError

from switchguard.core.model import Device
from switchguard.edge.session_local import SYSTEM_PATH
from switchguard.errors import (
    CommandRefused,
    DeviceError,
    LoginRefused,
    NotConfigured,
    StreamLost,
    UnexpectedOutput,
    UnknownHostKey,
    Unreachable,
)
from switchguard.ports import Endpoint

PATIENCE = 6.0
"""How many `timeout_s` one command may take."""
_SILENCE = 3.0
_CHUNK = 1 << 16
_WINDOW = 1 << 24
"""Octets of an exec channel that may be under way; paramiko's 2 MiB slow a long dump down."""
_COMPLAINT = 4096
_ACCEPT = "`switchguard check --connect --accept-host-keys`"

REFUSED = (
    r"^\s*(?:%(?!\s*Warning)(?![A-Z0-9_]+-\d-).*|(?:ERROR|Error|error|failure):.*"
    r"|(?:syntax error|unknown command|Invalid input|Command authorization failed|expected end of command).*"
    r"|(?:Incomplete|Ambiguous) input.*"
    r"|(?:bad command name|expected command name|input does not match|invalid value|missing value\(s\)|no such item).*"
    r"|(?:Command fail\.|[Uu]nknown action|command parse error|value parse error|entry not found in datasource).*"
    r"|(?:node_check_object fail|object (?:set|check) operator error).*"
    r"|Configuration path: .* is not valid.*|(?:Set|Value validation) failed.*)$"
)
"""A line by which a device refuses the one before it, whoever made the device. Not warnings, not syslog messages."""

SSH_ERRORS = (paramiko.SSHException, netmiko.NetmikoBaseException, OSError, EOFError, ValueError)
"""Everything that netmiko and paramiko raise when a device misbehaves."""

# What they log is a traceback of what they raise as well.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


KEPT_AT_ONCE = frozenset({"mikrotik_routeros"})
"""Platforms that keep what is typed without being told; netmiko would type Cisco's words for it."""
LEAVES = {"fortinet": "abort"}
"""What leaves a half-typed section, where netmiko knows no such word: nothing of it takes effect."""
CLEARS = {"huawei_vrpv8": "clear configuration candidate"}
"""What takes back lines that are typed and not committed, where leaving would ask and netmiko does not answer."""
SHELLS = frozenset({"linux_iptables", "pf"})
"""Platforms with a real shell that netmiko does not know by this name."""


PROMPTS = {"vyos": r"[#$>] ?$"}
"""Platforms that netmiko asks for their mode, eleven times for one change, by waiting until nothing has been said for
two seconds -> how their prompts end."""


def refusal_in(answer: str) -> str:
    """The vendor's error line among the first ones of an answer; "" if there is none."""
    first = [line for line in answer.splitlines() if line.strip()][:5]
    refusal = re.search(REFUSED, "\n".join(first), re.MULTILINE)
    return refusal.group(0) if refusal else ""


def has_shell(platform: str) -> bool:
    """Whether netmiko takes this platform for a machine with a real shell, or we know better."""
    known = platform in netmiko.platforms and issubclass(netmiko.ssh_dispatcher(platform), LinuxSSH)
    return known or platform in SHELLS


class Cli:
    """A logged-in terminal. After a command without an end it is out of step, and must not be used again."""

    def __init__(self, device: Device, endpoint: Endpoint) -> None:
        if device.platform not in netmiko.platforms:
            raise NotConfigured(device.name, f"netmiko knows no platform {device.platform!r}")
        self._device, self._endpoint, self._platform = device.name, endpoint, device.platform
        self._patience_s = PATIENCE * endpoint.timeout_s
        options = netmiko_options(device.name, endpoint)
        with translated(device.name, endpoint):
            self._connection = netmiko.ConnectHandler(
                device_type=device.platform,
                host=endpoint.host,
                username=endpoint.username or "",
                password=endpoint.password.reveal() if endpoint.password else None,
                **options,
            )
        self._line = attentive(self._connection)
        if prompt := PROMPTS.get(device.platform):
            _look_for(prompt, self._connection)
        if endpoint.enable_password:
            self._enable()
        self._connection.read_timeout_override = self._patience_s

    def ask(self, command: str) -> str:
        """CommandRefused if one of the first lines of the answer is a vendor's error line."""
        with self._in_step(command):
            answer = str(self._connection.send_command(command))
        if refusal := refusal_in(answer):
            raise CommandRefused(self._device, command, refusal)
        return answer

    def configure(self, lines: Sequence[str]) -> str:
        """Stops at the first line that the device refuses; those before it stay in effect, unless the device has a
        candidate: then nothing does. What was accepted is committed and saved where the platform knows these steps."""
        line, commits = self._connection, type(self._connection).commit is not netmiko.BaseConnection.commit
        with self._in_step("configuration"):
            try:
                answer = line.send_config_set(list(lines), error_pattern=REFUSED, exit_config_mode=not commits)
                if commits:
                    self._commit()
                with suppress(NotImplementedError):
                    if self._platform not in KEPT_AT_ONCE:
                        line.save_config()
            except netmiko.ConfigInvalidException as error:
                self._clear()
                line.exit_config_mode()
                if word := LEAVES.get(self._platform):
                    line.send_command(word)
                said = re.search(r"at command: (.*), matched error: (.*)", str(error), re.DOTALL)
                typed, refusal = said.groups() if said else ("; ".join(lines), str(error))
                raise CommandRefused(self._device, typed, refusal) from error
            except ValueError as error:
                raise CommandRefused(self._device, "configure terminal", f"{error}; enable password?") from error
        return str(answer)

    def _commit(self) -> None:
        if self._platform in CLEARS:
            self._commit_or_clear()
            return
        try:
            self._connection.commit()
        except ValueError as error:
            self._connection.exit_config_mode()
            raise CommandRefused(self._device, "commit", str(error)) from error
        self._connection.exit_config_mode()

    def _commit_or_clear(self) -> None:
        """netmiko leaves configuration mode before it looks whether the commit went well, and the device then asks."""
        answer = str(self._connection.send_command("commit", expect_string=self._any_prompt))
        refusal = re.search(rf"{REFUSED}|Failed to generate committed config.*", answer, re.MULTILINE)
        if refusal:
            self._clear()
        self._connection.exit_config_mode()
        if refusal:
            raise CommandRefused(self._device, "commit", refusal.group(0))

    def _clear(self) -> None:
        if word := CLEARS.get(self._platform):
            self._connection.send_command(word, expect_string=self._any_prompt)

    @property
    def _any_prompt(self) -> str:
        """In configuration mode, whether or not something waits for a commit: [~sw1], [*sw1-GE1/0/3]."""
        return rf"\[[~*]?{re.escape(self._connection.base_prompt)}[^\]\n]*\]"

    @property
    def alive(self) -> bool:
        line = self._connection.remote_conn
        return isinstance(line, paramiko.Channel) and not line.closed and line.get_transport().is_active()

    def close(self) -> None:
        self._connection.read_timeout_override = 1.0
        self._connection.disconnect()

    def _enable(self) -> None:
        try:
            with translated(self._device, self._endpoint):
                self._connection.enable()
        except DeviceError:
            self.close()
            raise

    @contextmanager
    def _in_step(self, command: str) -> Iterator[None]:
        self._line.heard = ""
        with translated(self._device, self._endpoint):
            try:
                yield
            except netmiko.ReadTimeout as error:
                last = self._line.last_heard_after(command)
                if not last:
                    why = f"no answer to {command!r} within {self._patience_s:g} s"
                    raise Unreachable(self._device, why) from error
                why = f"no prompt within {self._patience_s:g} s after {command!r}, but"
                raise UnexpectedOutput(self._device, last, why) from error


def attentive(connection: netmiko.BaseConnection) -> "Line":
    """Without this, netmiko waits for its time-out when a device hangs up."""
    assert isinstance(connection.remote_conn, paramiko.Channel)  # noqa: S101 - what SSH device types have
    line = Line(connection.remote_conn, connection.encoding)
    connection.channel = line
    return line


def _look_for(prompt: str, connection: netmiko.BaseConnection) -> None:
    """Which mode it is in is then told by the next prompt."""
    check = connection.check_config_mode

    def look(check_string: str = "#", pattern: str = prompt, force_regex: bool = False) -> bool:
        connection.clear_buffer()
        return bool(check(check_string, pattern or prompt, force_regex))

    vars(connection)["check_config_mode"] = look


class Line(SSHChannel):
    """netmiko's channel; notices at once that the device hung up, and remembers the end of what it said."""

    heard = ""

    def read_buffer(self) -> str:
        new = super().read_buffer()
        if not new and (self.remote_conn is None or self.remote_conn.closed or self.remote_conn.eof_received):
            raise EOFError
        self.heard = (self.heard + new)[-1000:]
        return new

    def last_heard_after(self, command: str) -> str:
        """The last line after the echo of `command`, "" if there is none."""
        _, echo, answer = self.heard.rpartition(command)
        lines = [line.strip() for line in answer.splitlines() if echo and line.strip()]
        return lines[-1] if lines else ""


class Shell:
    """Commands on a machine with a real shell, each in a channel of its own."""

    def __init__(self, device: str, endpoint: Endpoint) -> None:
        self._device, self._endpoint = device, endpoint
        self._client = paramiko.SSHClient()
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        if endpoint.known_hosts is None:
            self._client.load_system_host_keys()
        elif Path(endpoint.known_hosts).is_file():
            self._client.load_host_keys(endpoint.known_hosts)
        key = _key_file(device, endpoint)
        try:
            with translated(device, endpoint):
                self._connect(endpoint, key)
        except DeviceError:
            self._client.close()
            raise

    def _connect(self, endpoint: Endpoint, key: str | None) -> None:
        self._client.connect(
            endpoint.host,
            endpoint.port or 22,
            endpoint.username,
            endpoint.password.reveal() if endpoint.password else None,
            key_filename=key,
            timeout=endpoint.timeout_s,
            banner_timeout=endpoint.timeout_s,
            auth_timeout=endpoint.timeout_s,
            allow_agent=False,
            look_for_keys=False,
        )

    def stream(self, command: str, text: str = "") -> Iterator[bytes]:
        """Standard output in chunks, with `text` on standard input. CommandRefused on a non-zero exit status."""
        patience_s = PATIENCE * self._endpoint.timeout_s
        deadline = time.monotonic() + patience_s
        complaint = bytearray()
        with translated(self._device, self._endpoint, command), self._channel() as channel:
            channel.exec_command(_with_system_path(command))
            channel.sendall(text.encode())
            channel.shutdown_write()
            while chunk := channel.recv(_CHUNK):
                yield chunk
                while channel.recv_stderr_ready():
                    complaint += channel.recv_stderr(_CHUNK)
                if time.monotonic() > deadline:
                    raise Unreachable(self._device, f"{command!r} took longer than {patience_s:g} s")
            channel.status_event.wait(_SILENCE * self._endpoint.timeout_s)
            while channel.recv_stderr_ready():
                complaint += channel.recv_stderr(_CHUNK)
        self._check(command, channel, complaint[:_COMPLAINT].decode(errors="replace").strip())

    def follow(self, command: str, tick_s: float) -> Iterator[bytes]:
        """What a command that does not end says in each tick. StreamLost when it ends all the same."""
        with translated(self._device, self._endpoint, command), self._channel() as channel:
            channel.exec_command(_with_system_path(command))
            channel.shutdown_write()
            while True:
                yield b"".join(self._said(channel, command, time.monotonic() + tick_s))

    def _said(self, channel: paramiko.Channel, command: str, deadline: float) -> Iterator[bytes]:
        while (left := deadline - time.monotonic()) > 0:
            channel.settimeout(left)
            try:
                chunk = channel.recv(_CHUNK)
            except TimeoutError:
                return
            if not chunk:
                raise StreamLost(self._device, f"{command!r} has ended")
            yield chunk

    @property
    def alive(self) -> bool:
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _channel(self) -> Iterator[paramiko.Channel]:
        transport = self._client.get_transport()
        if transport is None:
            raise EOFError
        channel = transport.open_session(window_size=_WINDOW, timeout=self._endpoint.timeout_s)
        channel.settimeout(_SILENCE * self._endpoint.timeout_s)
        try:
            yield channel
        finally:
            channel.close()

    def _check(self, command: str, channel: paramiko.Channel, complaint: str) -> None:
        """A command that was killed has no exit status either, but its output ends properly."""
        status = channel.exit_status
        if status == -1 and not channel.eof_received:
            raise Unreachable(self._device, f"the connection was lost in the middle of {command!r}")
        if status:
            ended = "it was killed" if status == -1 else f"exit status {status}"
            raise CommandRefused(self._device, command, complaint or ended)


def _with_system_path(command: str) -> str:
    """Exec channels get no login PATH. Through `env` and `sh`, since the user's own shell may be anything."""
    return f'exec env PATH="{SYSTEM_PATH}:$PATH" LC_ALL=C /bin/sh -c {shlex.quote(command)}'


# --- credentials and host keys ---------------------------------------------------------------------------------------


def netmiko_options(device: str, endpoint: Endpoint) -> dict[str, Any]:
    """What netmiko needs to know beside host, user and password; NAPALM passes it on to netmiko."""
    key = _key_file(device, endpoint)
    return {
        "port": endpoint.port or 22,
        "secret": endpoint.enable_password.reveal() if endpoint.enable_password else "",
        "use_keys": key is not None,
        "key_file": key,
        "ssh_strict": True,
        "system_host_keys": endpoint.known_hosts is None,
        "alt_host_keys": endpoint.known_hosts is not None,
        "alt_key_file": endpoint.known_hosts or "",
        "conn_timeout": endpoint.timeout_s,
        "banner_timeout": endpoint.timeout_s,
        "auth_timeout": endpoint.timeout_s,
        "blocking_timeout": endpoint.timeout_s,
        "read_timeout_override": endpoint.timeout_s,
    }


def _key_file(device: str, endpoint: Endpoint) -> str | None:
    if endpoint.key_file is None:
        return None
    path = Path(endpoint.key_file).expanduser()
    if not path.is_file():
        raise NotConfigured(device, f"there is no SSH key file {str(path)!r}")
    return str(path)


@dataclass(frozen=True, slots=True)
class HostKey:
    """`fingerprint` as OpenSSH prints it; `line` is the one to append to a known_hosts file."""

    type: str
    fingerprint: str
    line: str


def fetch_host_key(endpoint: Endpoint) -> HostKey:
    """The host key that a device shows now, whether known or not; no login. DeviceError is named after the host."""
    where = endpoint.host, endpoint.port or 22
    with translated(endpoint.host, endpoint), socket.create_connection(where, endpoint.timeout_s) as connection:
        transport = paramiko.Transport(connection)
        transport.banner_timeout = endpoint.timeout_s
        try:
            transport.start_client(timeout=endpoint.timeout_s)
            key = transport.get_remote_server_key()
        finally:
            transport.close()
    name = where[0] if where[1] == 22 else f"[{where[0]}]:{where[1]}"
    return HostKey(key.get_name(), _fingerprint(key), f"{name} {key.get_name()} {key.get_base64()}")


def _fingerprint(key: paramiko.PKey) -> str:
    return "SHA256:" + b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


# --- exceptions ------------------------------------------------------------------------------------------------------


@contextmanager
def translated(device: str, endpoint: Endpoint, command: str = "") -> Iterator[None]:
    """netmiko's and paramiko's exceptions become DeviceErrors; `command` is what we were waiting for."""
    try:
        yield
    except SSH_ERRORS as error:
        raise ssh_meaning(device, endpoint, error, command) from error


def ssh_meaning(device: str, endpoint: Endpoint, error: BaseException, command: str = "") -> DeviceError:
    """The libraries wrap causes into time-outs, so the first telling exception of the chain decides."""
    causes = tuple(cause for cause in _chain(error) if isinstance(cause, SSH_ERRORS)) or (error,)
    for cause in causes:
        match cause:
            case paramiko.BadHostKeyException():
                return _changed_key(device, endpoint, cause)
            case paramiko.SSHException() if "not found in known_hosts" in str(cause):
                return unknown_key(device, endpoint)
            case ValueError() if "enable mode" in str(cause):
                return LoginRefused(device, "the enable password is refused")
            case paramiko.AuthenticationException() if "timeout" not in str(cause).lower():
                how = f"key {endpoint.key_file}" if endpoint.key_file else "password"
                return LoginRefused(device, f"{_where(endpoint)} refuses user {endpoint.username!r} with this {how}")
    sentences = (_lost(cause, endpoint) for cause in reversed(causes))
    text = str(error).strip() or type(error).__name__
    why = next((sentence for sentence in sentences if sentence), f"{_where(endpoint)}: {text}")
    return Unreachable(device, f"{why} during {command!r}" if command else why)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Causes, outermost first, up to an earlier failure that somebody was already handling."""
    while error is not None and not isinstance(error, DeviceError):
        yield error
        error = error.__cause__ or error.__context__


def _lost(cause: BaseException, endpoint: Endpoint) -> str:
    match cause:
        case TimeoutError():
            return f"{_where(endpoint)} did not answer in time"
        case ConnectionRefusedError() | NoValidConnectionsError():
            return f"{_where(endpoint)} refuses the connection"
        case socket.gaierror():
            return f"no address for {endpoint.host!r}"
        case EOFError() | ConnectionResetError() | BrokenPipeError():
            return f"{_where(endpoint)} closed the connection"
        case netmiko.ReadTimeout() | ValueError():
            return f"{_where(endpoint)} let us in, but shows no prompt"
    return ""


def _where(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port or 22}"


def _changed_key(device: str, endpoint: Endpoint, error: paramiko.BadHostKeyException) -> UnknownHostKey:
    return UnknownHostKey(
        device,
        f"{_where(endpoint)} shows another SSH host key than before: {error.key.get_name()} {_fingerprint(error.key)}, "
        f"on file is {_fingerprint(error.expected_key)}; somebody may be in between. If it really was replaced, remove "
        f"the old line from {endpoint.known_hosts or 'known_hosts'} and run {_ACCEPT}",
    )


def unknown_key(device: str, endpoint: Endpoint) -> UnknownHostKey:
    shows = "an SSH host key that is not on file"
    with suppress(DeviceError):
        key = fetch_host_key(endpoint)
        shows = f"an SSH host key that is not on file: {key.type} {key.fingerprint}"
    return UnknownHostKey(device, f"{_where(endpoint)} shows {shows}; to accept it, run {_ACCEPT}")
