"""A real SMTP server on the loopback that can be dead, refuse, hang, and recover; and a real webhook."""

import asyncio
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

PATIENCE_S = 10.0

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # what it says belongs to no command's standard error


@dataclass
class Mailbox:
    """What arrived, and how the server behaves: `refuse` is an answer to RCPT, `hold` keeps it from answering DATA."""

    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuse: str = ""
    hold: bool = False
    asked: threading.Event = field(default_factory=threading.Event)
    """Somebody is waiting for an answer."""
    release: threading.Event = field(default_factory=threading.Event)
    kill: int | None = None
    """A process that does not live to hear that its mail was taken."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:  # fmt: skip
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.asked.set()
        if self.hold:
            await asyncio.to_thread(self.release.wait, PATIENCE_S)
            return "451 come back later"
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        with self.changed:
            self.mails += [(to, mail) for to in envelope.rcpt_tos]
            self.changed.notify_all()
        if self.kill is not None:
            os.kill(self.kill, signal.SIGKILL)
        return "250 OK"

    def wait_for(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.mails) >= count, PATIENCE_S)

    def subjects(self) -> list[tuple[str, str]]:
        return [(to, str(mail["Subject"])) for to, mail in self.mails]

    def texts(self) -> list[str]:
        return [str(mail.get_content()) for _, mail in self.mails]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def smtp(mailbox: Mailbox, port: int) -> Iterator[None]:
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield
    finally:
        mailbox.release.set()
        server.stop()


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[int, list[Any]]]:
    """Its port, and the documents that were posted to it."""
    posted: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *_arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], posted
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)
