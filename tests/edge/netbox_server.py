"""A server on 127.0.0.1 that speaks as NetBox's documentation and serializers say that NetBox does."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "0123456789abcdef0123456789abcdef01234567"
Row = dict[str, Any]


@dataclass
class Shelf:
    """Path -> rows; and how this NetBox behaves."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    page: int = 1000
    accepts: str = f"Token {TOKEN}"
    raw: Mapping[str, tuple[int, Mapping[str, str], bytes]] = field(default_factory=dict)
    """Path -> status, headers and body to give instead."""
    untold: int = 0
    """Rows that are counted and not told."""
    asked: list[str] = field(default_factory=list)
    url: str = ""


def mac(number: int, address: str, device: Row | None, kind: str = "dcim.interface") -> Row:
    key = "device" if kind == "dcim.interface" else "virtual_machine"
    interface = {"id": 100 + number, "url": "…", "display": "eth0", key: device, "name": "eth0", "description": ""}
    return {
        "id": number,
        "display": address,
        "mac_address": address,
        "assigned_object_type": kind if device else None,
        "assigned_object_id": 100 + number if device else None,
        "assigned_object": interface if device else None,
        "description": "",
        "tags": [],
    }


def named(number: int, name: str | None, **more: object) -> Row:
    return {"id": number, "url": "…", "display": name or f"Unnamed ({number})", "name": name, **more}


def contact(kind: str, number: int, name: str, priority: str | None) -> Row:
    said = {"value": priority, "label": priority.title()} if priority else None
    return {"id": 1, "object_type": kind, "object_id": number, "contact": named(1, name), "priority": said}


@contextmanager
def netbox(shelf: Shelf, context: ssl.SSLContext | None = None) -> Iterator[Shelf]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            shelf.asked.append(self.path)
            if parts.path in shelf.raw:
                self.answer(*shelf.raw[parts.path])
            elif self.headers["Authorization"] != shelf.accepts:
                self.answer(403, {}, b'{"detail": "Invalid token"}')
            elif parts.path not in shelf.rows:
                self.answer(404, {}, b"<html>")
            else:
                self.answer(200, {}, json.dumps(self.listed(parts.path, parse_qs(parts.query))).encode())

        def listed(self, path: str, query: Mapping[str, list[str]]) -> Row:
            rows = shelf.rows[path]
            start, limit = int(query.get("offset", ["0"])[0]), min(int(query["limit"][0]), shelf.page)
            rest = f"http://inside.example{path}?limit={limit}&offset={start + limit}"
            return {
                "count": len(rows) + shelf.untold,
                "next": rest if start + limit < len(rows) else None,
                "previous": None,
                "results": rows[start : start + limit],
            }

        def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        shelf.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield shelf
        finally:
            server.shutdown()
            thread.join()
