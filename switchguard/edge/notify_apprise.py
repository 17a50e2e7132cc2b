"""Messages through apprise: mail, chat, webhook, syslog and a hundred more, by the address that a site refers to.

apprise answers yes or no and tells the reason to its log. That is heard here and goes nowhere else, since an address
has passwords in it: what is repeated has lost them, and for anything but mail (where a reason is the server's own
words) the wording of libraries, which quote whole addresses, is left out.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.plugins import url_to_dict

from switchguard.core.plain import plain
from switchguard.edge.notify_texts import Message
from switchguard.errors import NotConfigured
from switchguard.ports import Secret

MAIL = ("mailto", "mailtos")
_LOG = logging.getLogger("apprise")
_LOG.propagate = False
_LOG.setLevel(logging.DEBUG)
_LOG.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Unsent:
    """Why a message was not taken. `unreachable`: others for the same server need not be tried just now."""

    why: str
    unreachable: bool = False


def load() -> None:
    """All of its services, which takes a second that no server should be blamed for."""
    _parts("json://localhost")


def send(address: Secret, message: Message, timeout_s: float, to: str = "") -> Unsent | None:
    """None when the server took it. `to`: through this mail server, to this mail address instead of its own."""
    try:
        parts = _parts(address.reveal())
        if to and parts["schema"] not in MAIL:
            raise ValueError(f"{parts['schema']}:// is no mail server; write it like mailtos://…")
    except (NotConfigured, ValueError) as error:
        return Unsent(str(error), unreachable=True)
    with _heard() as said:
        try:
            return None if _taken(parts, message, timeout_s, to) else said.reason(parts)
        except Exception as error:  # noqa: BLE001 - any of a hundred plugins: a notice is not lost for its defect
            return Unsent(f"{parts['schema']}:// failed: {type(error).__name__}")


def _parts(address: str) -> dict[str, Any]:
    parts = url_to_dict(address) if "://" in address else None  # type: ignore[no-untyped-call]  # apprise has no type
    if not parts:
        raise ValueError("is no address that apprise understands; write it like mailtos://user:password@host?from=…")
    return dict(parts)


def _taken(parts: dict[str, Any], message: Message, timeout_s: float, to: str) -> bool:
    asked = {**parts, "cto": timeout_s, "rto": timeout_s}
    if parts["schema"] in MAIL:
        asked["format"] = NotifyFormat.TEXT.value
    if to:
        asked = {name: it for name, it in asked.items() if name not in ("cc", "bcc")} | {"targets": [to]}
    service = Apprise.instantiate(asked, asset=_us(), suppress_exceptions=False)
    if service is None:
        return False
    return bool(service.notify(body=message.text, title=message.subject, body_format=NotifyFormat.TEXT))


def _us() -> AppriseAsset:
    """As services and headers show the sender."""
    return AppriseAsset(app_id="switchguard", app_desc="switchguard", app_url="")


@dataclass(slots=True)
class _Said:
    """What apprise told its log in this thread."""

    warnings: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def reason(self, parts: Mapping[str, Any]) -> Unsent:
        details = self.details if parts["schema"] in MAIL else []
        told = "; ".join(dict.fromkeys([*self.warnings, *details])) or f"{parts['schema']}:// did not take it"
        return Unsent(_without_secrets(told, parts), any("onnection error" in it.lower() for it in self.warnings))


class _Ear(logging.Handler):
    def __init__(self, said: _Said) -> None:
        super().__init__()
        self._said, self._thread = said, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self._said.warnings.append(text)
        elif text.startswith("Socket Exception: "):
            self._said.details.append(text.removeprefix("Socket Exception: "))


@contextmanager
def _heard() -> Iterator[_Said]:
    said = _Said()
    ear = _Ear(said)
    _LOG.addHandler(ear)
    try:
        yield said
    finally:
        _LOG.removeHandler(ear)


def _without_secrets(text: str, parts: Mapping[str, Any]) -> str:
    """Also from a server's own words, which may quote what it was told."""
    path = str(parts.get("fullpath") or "")
    said = [parts.get("password"), parts.get("user"), parts.get("url"), path, *path.split("/")]
    secrets = {str(it) for it in (*said, *dict(parts.get("qsd") or {}).values()) if it and len(str(it)) > 3}
    shown = {str(it) for it in parts.get("targets") or ()}
    for secret in sorted(secrets - shown, key=len, reverse=True):
        text = text.replace(secret, "***")
    return plain(text)[:500]
