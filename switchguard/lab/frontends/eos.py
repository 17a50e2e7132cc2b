"""EOS over eAPI: `python -m switchguard.lab.frontends.eos --switch core --listen 10.255.0.10:80 --state DIR`.

JSON-RPC over HTTP with basic authentication (Arista eAPI Command API). To be started in the switch's network namespace.
"""

import asyncio
import base64
import binascii
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from switchguard.lab.frontends.eos_box import EosBox
from switchguard.lab.frontends.eos_cli import RequestFailed, run_commands
from switchguard.lab.frontends.faults import SessionCut
from switchguard.lab.frontends.start import Options, options, run

PATH = "/command-api"
LONGEST_HEAD, LONGEST_BODY = 65_536, 4_194_304
PATIENCE_S = 30.0
"""For a request to arrive."""
PARSE_ERROR, NO_METHOD, BAD_PARAMS = -32700, -32601, -32602
"""JSON-RPC 2.0, section 5.1."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: HTTPStatus
    body: str
    headers: Mapping[str, str]

    def octets(self) -> bytes:
        content = self.body.encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in (headers | dict(self.headers)).items()]
        return "\r\n".join((f"HTTP/1.1 {self.status} {self.status.phrase}", *lines, "", "")).encode() + content


class BadRequest(Exception):
    """What does not even look like a request."""


class EosServer:
    """All clients of one switch."""

    def __init__(self, box: EosBox, passwords: Mapping[str, str]) -> None:
        self.box, self.passwords = box, passwords
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, host, port, limit=LONGEST_HEAD)

    def reload(self) -> None:
        self.box.reload()
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The boundary of one request: whatever goes wrong in it ends its connection, and nothing else."""
        self._open.add(writer)
        try:
            reply = await self._reply(reader)
            writer.write(reply.octets())
            await writer.drain()
        except (SessionCut, ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            writer.transport.abort()
        except Exception as error:  # noqa: BLE001  see above
            print(f"{self.box.switch.name}: {error!r}", file=sys.stderr, flush=True)  # noqa: T201  the front end's log
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader) -> Reply:
        try:
            async with asyncio.timeout(PATIENCE_S):
                verb, path, headers, body = await _request(reader)
        except (BadRequest, asyncio.LimitOverrunError):
            return Reply(HTTPStatus.BAD_REQUEST, "", {})
        if path != PATH:
            return Reply(HTTPStatus.NOT_FOUND, "", {})
        if not self._knows(headers.get("authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="COMMAND_API_AUTH"'}
            return Reply(
                HTTPStatus.UNAUTHORIZED, "Unable to authenticate user: Bad username/password combination", challenge
            )
        if verb != "POST":
            return Reply(HTTPStatus.METHOD_NOT_ALLOWED, "", {})
        return Reply(HTTPStatus.OK, json.dumps(await self._call(body)), {})

    def _knows(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return scheme.lower() == "basic" and self.passwords.get(user) == password

    async def _call(self, body: bytes) -> dict[str, Any]:
        try:
            request = json.loads(body)
        except ValueError:
            return _error(None, PARSE_ERROR, "Parse error")
        if not isinstance(request, dict) or request.get("method") != "runCmds":
            return _error(None, NO_METHOD, "Method not found")
        identity, params = request.get("id"), request.get("params")
        if not isinstance(params, dict) or not isinstance(params.get("cmds"), list):
            return _error(identity, BAD_PARAMS, "Invalid params")
        as_text, abbreviated = params.get("format") == "text", params.get("autoComplete") is True
        try:
            results = await run_commands(self.box, params["cmds"], as_text, abbreviated)
        except RequestFailed as failed:
            data = [*failed.results, {"errors": list(failed.failure.errors)}]
            return _error(identity, failed.failure.code, str(failed), data)
        return {"jsonrpc": "2.0", "id": identity, "result": results}


def _error(identity: object, code: int, message: str, data: Sequence[object] = ()) -> dict[str, Any]:
    extra = {"data": list(data)} if data else {}
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message, **extra}}


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    """Verb, path, headers in lower case, body (RFC 9112, with a Content-Length). BadRequest for anything else."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and int(length) <= LONGEST_BODY):
        raise BadRequest
    return words[0], words[1], headers, await reader.readexactly(int(length))


async def serve(given: Options) -> None:
    box = EosBox(given.switch, given.plane, given.chassis, given.state, given.faults, given.enable_secret)
    server = EosServer(box, given.passwords)
    await server.start(given.host, given.port)
    while True:
        await given.faults.reload_asked()
        server.reload()
        given.faults.reload_done()


def main(arguments: Sequence[str] | None = None) -> None:
    run(serve, options(arguments, "EOS over eAPI"))


if __name__ == "__main__":
    main()
