"""NX-API on 127.0.0.1, over real TLS: what it is asked it remembers, what it answers is told to it."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from switchguard.lab.frontends.certificate import showing

LOGIN = "Basic bmV0OnNlY3JldA=="
"""net:secret"""
CUT = b"\x00cut"
"""A body that does not come: the connection is closed instead."""


@dataclass
class NxApi:
    """`answers`: command -> text, or an error's sentence, or CUT. `reply` is said whatever is asked: status, body."""

    answers: Mapping[str, str | Exception | bytes] = field(default_factory=dict)
    reply: tuple[int, bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    port: int = 0
    quiet: threading.Event = field(default_factory=threading.Event)
    """While it is set, nothing is answered."""
    go_on: threading.Event = field(default_factory=threading.Event)

    def respond(self, authorization: str, request: bytes) -> tuple[int, bytes]:
        if self.reply is not None:
            return self.reply
        if authorization != LOGIN:
            return 401, b""
        asked = json.loads(request)
        answers: list[dict[str, object]] = []
        for it in asked:
            command = it["params"]["cmd"]
            self.heard.append(command)
            answer = self.answers.get(command, "")
            if isinstance(answer, bytes):
                return 0, answer
            if isinstance(answer, Exception):
                error = {"code": -32602, "message": "Invalid params", "data": {"msg": f"{answer}\n"}}
                answers.append({"jsonrpc": "2.0", "error": error, "id": it["id"]})
                return 400, json.dumps(answers).encode()
            answers.append({"jsonrpc": "2.0", "result": {"msg": answer} if answer else None, "id": it["id"]})
        return 200, json.dumps(answers[0] if len(asked) == 1 else answers).encode()


@contextmanager
def nxapi(device: NxApi, certificate: Path) -> Iterator[NxApi]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-length"]))
            if device.quiet.is_set():
                device.go_on.wait(10)
                return
            status, body = device.respond(self.headers.get("Authorization", ""), request)
            if body == CUT:
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **device.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up, or does not like the certificate, is what is tested."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = showing(certificate).wrap_socket(server.socket, server_side=True)
        device.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield device
        finally:
            device.go_on.set()
            server.shutdown()
            thread.join(10)
