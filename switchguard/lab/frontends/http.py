"""An HTTP server as a network device has one for its command API: one request per connection, basic authentication.

What a request is answered is the front end's own business; see `HttpServer`.
"""

import asyncio
import base64
import binascii
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from switchguard.lab.frontends.faults import SessionCut

LONGEST_HEAD, LONGEST_BODY = 65_536, 4_194_304
PATIENCE_S = 30.0
"""For a request to arrive."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: HTTPStatus
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def octets(self) -> bytes:
        content = self.body.encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in (headers | dict(self.headers)).items()]
        return "\r\n".join((f"HTTP/1.1 {self.status} {self.status.phrase}", *lines, "", "")).encode() + content


class BadRequest(Exception):
    """What does not even look like a request."""


class HttpServer:
    """All clients of one switch. `path` is where its API is; `answer` makes a reply of the body of a request, and may
    raise SessionCut; `stranger` is what is said to who has no password."""

    def __init__(
        self,
        name: str,
        passwords: Mapping[str, str],
        path: str,
        answer: Callable[[bytes], Awaitable[Reply]],
        stranger: Reply,
    ) -> None:
        self.passwords = passwords
        self._name, self._path, self._answer, self._stranger = name, path, answer, stranger
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int, context: ssl.SSLContext | None = None) -> asyncio.Server:
        return await asyncio.start_server(self._serve, host, port, limit=LONGEST_HEAD, ssl=context)

    def cut(self) -> None:
        """Every connection, without another word."""
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
            print(f"{self._name}: {error!r}", file=sys.stderr, flush=True)  # noqa: T201  the front end's log
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader) -> Reply:
        try:
            async with asyncio.timeout(PATIENCE_S):
                verb, path, headers, body = await _request(reader)
        except (BadRequest, asyncio.LimitOverrunError):
            return Reply(HTTPStatus.BAD_REQUEST)
        if path != self._path:
            return Reply(HTTPStatus.NOT_FOUND)
        if not self._knows(headers.get("authorization", "")):
            return self._stranger
        if verb != "POST":
            return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
        return await self._answer(body)

    def _knows(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return scheme.lower() == "basic" and self.passwords.get(user) == password


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
