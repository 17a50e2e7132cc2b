"""NX-OS over NX-API: commands as JSON-RPC in an HTTPS request, answered with the text that a terminal would show.

Read for this: Cisco Nexus 9000 Series NX-OS Programmability Guide, NX-API CLI (method `cli_ascii` for text, `cli` for
configuration, one JSON object per command; refusals are error objects, whatever the HTTP status says); answers of a
Nexus 9000 in NAPALM's tests.

NAPALM's driver `nxos` gets this instead of its own transport, which accepts any TLS certificate, obeys proxies of the
environment and takes an HTML page for a defect. What it asks of it: `show`, `config_list`, `save`. Each
request is a connection of its own: nothing stands open between two looks. After a device was lost no further request
is made, so that the rollback after a failed merge cannot undo what has taken effect meanwhile unseen.
"""

import json
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import BadStatusLine, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead, RemoteDisconnected
from time import monotonic
from typing import Any, Literal

from switchguard.edge import tls
from switchguard.edge.session_netmiko import PATIENCE, REFUSED, refusal_in
from switchguard.errors import (
    CommandRefused,
    DeviceError,
    LoginRefused,
    NotConfigured,
    UnexpectedOutput,
    Unreachable,
)
from switchguard.ports import Endpoint

PORT = 443
PATH = "/ins"
MOST_OCTETS = 64 << 20
"""Of an answer: a running configuration of a large switch has a few megabytes."""
_QUOTED = 80
"""Characters of a senseless answer that a message repeats."""

Method = Literal["cli", "cli_ascii"]


class Nxapi:
    """Questions and lines to one switch. Every method may raise a DeviceError; none has a secret in it."""

    def __init__(self, device: str, endpoint: Endpoint) -> None:
        if endpoint.password is None:
            raise NotConfigured(device, f"NX-API needs a password for {endpoint.username!r}")
        self._device, self._endpoint = device, endpoint
        self._port = _port(device, endpoint)
        self._secret = endpoint.password.reveal()
        self._login = b64encode(f"{endpoint.username}:{self._secret}".encode()).decode()
        self._patience_s = PATIENCE * endpoint.timeout_s
        self._lost: DeviceError | None = None

    def ask(self, command: str) -> str:
        """CommandRefused in the device's words."""
        answer = self.show(command)
        if refusal := refusal_in(answer):
            raise CommandRefused(self._device, command, refusal)
        return answer

    def configure(self, lines: str | Sequence[str]) -> list[str]:
        """CommandRefused at the first line that is refused; those before it stay in effect."""
        typed = [line for line in (lines.splitlines() if isinstance(lines, str) else lines) if line.strip()]
        commands = ["configure terminal", *typed, "end"]
        answers = self._texts(commands, "cli")
        for command, answer in zip(commands, answers, strict=True):
            if refusal := re.search(REFUSED, answer, re.MULTILINE):
                raise CommandRefused(self._device, command, refusal.group(0))
        return answers

    @property
    def alive(self) -> bool:
        return self._lost is None

    def close(self) -> None:
        """Nothing is open."""

    # --- as NAPALM asks its transport --------------------------------------------------------------------------------

    def show(self, command: str, raw_text: bool = True) -> str:
        return self._texts([command], "cli_ascii" if raw_text else "cli")[0]

    def config_list(self, commands: Sequence[str]) -> list[str]:
        """Of NAPALM's own making: checkpoints, and what goes before and after them."""
        return self._texts(commands, "cli")

    def save(self, filename: str = "startup-config") -> bool:
        self.ask(f"copy running-config {filename}")
        return True

    def rollback(self, filename: str) -> None:
        """After a merge that failed: back to the checkpoint that was made just before it, also in the startup
        configuration."""
        command = f"rollback running-config file {filename}"
        if "Rollback failed" in (answer := self.ask(command)):
            raise CommandRefused(self._device, command, answer)
        self.save()

    # --- requests ----------------------------------------------------------------------------------------------------

    def _texts(self, commands: Sequence[str], method: Method) -> list[str]:
        request = [
            {"jsonrpc": "2.0", "method": method, "params": {"cmd": command, "version": 1}, "id": number}
            for number, command in enumerate(commands, 1)
        ]
        doing = commands[0] if len(commands) == 1 else f"{len(commands)} lines"
        status, body = self._post(json.dumps(request).encode(), doing)
        if status in (401, 403):
            raise LoginRefused(self._device, f"NX-API refuses user {self._endpoint.username!r} with this password")
        answers = self._objects(status, body)
        for answer in answers:
            if "error" in answer:
                raise CommandRefused(self._device, _of(answer, commands), _complaint(answer["error"]))
        if status != 200 or [answer.get("id") for answer in answers] != [*range(1, len(commands) + 1)]:
            what = f"{len(answers)} answers to {len(commands)} commands, HTTP status {status}"
            raise UnexpectedOutput(self._device, self._quoted(body), what)
        return [self._text(answer.get("result"), method, body) for answer in answers]

    def _objects(self, status: int, body: bytes) -> list[dict[str, Any]]:
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        answers = [found] if isinstance(found, dict) else found
        if not isinstance(answers, list) or not all(isinstance(it, dict) for it in answers):
            raise UnexpectedOutput(self._device, self._quoted(body), f"no answer of NX-API, HTTP status {status}")
        return answers

    def _text(self, result: object, method: Method, body: bytes) -> str:
        match result:
            case None:
                return ""
            case {"msg": str() as text}:
                return text
            case _ if method == "cli":
                return ""
        raise UnexpectedOutput(self._device, self._quoted(body), "an answer of NX-API without its text")

    def _quoted(self, body: bytes) -> str:
        """The beginning, without what we sent to be let in: some pages repeat what they were asked."""
        text = body.decode(errors="replace")
        for secret in (self._login, self._secret):
            text = text.replace(secret, "***") if secret else text
        return text[:_QUOTED]

    def _post(self, request: bytes, doing: str) -> tuple[int, bytes]:
        if self._lost is not None:
            raise self._lost
        headers = {"Content-Type": "application/json-rpc", "Authorization": f"Basic {self._login}"}
        host, ca_file = self._endpoint.host, self._endpoint.ca_file
        try:
            with self._translated(doing):
                connection = HTTPSConnection(host, self._port)
                with closing(connection):
                    connection.sock = tls.connect(self._device, host, self._port, ca_file, self._endpoint.timeout_s)
                    connection.sock.settimeout(self._patience_s)
                    connection.request("POST", PATH, request, headers)
                    answer = connection.getresponse()
                    return answer.status, self._body(answer, doing)
        except Unreachable as error:
            self._lost = error
            raise

    def _body(self, answer: HTTPResponse, doing: str) -> bytes:
        """Bounded in size and in time, however slowly it drips."""
        parts, size, deadline = [], 0, monotonic() + self._patience_s
        while part := answer.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > MOST_OCTETS:
                raise UnexpectedOutput(self._device, "", f"an answer of more than {MOST_OCTETS >> 20} MB to {doing!r}")
            if monotonic() > deadline:
                raise TimeoutError
        if answer.length:  # announced, and never sent
            raise IncompleteRead(b"")
        return b"".join(parts)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException) as error:
            raise self._meaning(error, doing) from error

    def _meaning(self, error: Exception, doing: str) -> DeviceError:
        where = f"{self._endpoint.host}:{self._port}"
        match error:
            case ssl.SSLCertVerificationError():
                return tls.distrusted(self._device, where, error)
            case TimeoutError():
                return Unreachable(self._device, f"no answer to {doing!r} within {self._patience_s:g} s")
            case ConnectionRefusedError():
                return Unreachable(self._device, f"{where} refuses the connection")
            case RemoteDisconnected() | IncompleteRead() | ConnectionError() | ssl.SSLEOFError():
                return Unreachable(self._device, f"{where} closed the connection during {doing!r}")
            case ssl.SSLError():
                return UnexpectedOutput(self._device, error.reason or str(error), f"no TLS from {where}")
            case BadStatusLine() | HTTPException():
                return UnexpectedOutput(self._device, self._quoted(str(error).encode()), f"no HTTP from {where}")
        return Unreachable(self._device, f"{where}: {getattr(error, 'strerror', None) or error}")


def _port(device: str, endpoint: Endpoint) -> int:
    port = endpoint.napalm_options.get("port", PORT)
    if not isinstance(port, int) or not 0 < port < 1 << 16:
        raise NotConfigured(device, f"napalm.port is no TCP port: {port!r}")
    return port


def _of(answer: dict[str, Any], commands: Sequence[str]) -> str:
    """The command that this answers; a request that could not even be read has no number."""
    number = answer.get("id")
    known = isinstance(number, int) and 0 < number <= len(commands)
    return commands[number - 1] if known and isinstance(number, int) else "; ".join(commands)


def _complaint(error: object) -> str:
    match error:
        case {"data": {"msg": str() as said}} if said.strip():
            return said.strip()
        case {"message": str() as said}:
            return said
    return "an error without words"
