"""Logs on standard error: lines for a terminal, JSON for a service. Who logs uses the standard library's logging."""

import logging
import sys
from typing import IO, Literal

import structlog

from switchguard.core.plain import plain

CHATTY = ("paramiko", "netmiko", "nornir", "apscheduler", "pysnmp", "asyncssh", "urllib3")
"""Libraries whose routine is no news."""
QUIET = ("apscheduler.scheduler",)
"""Whose warnings are none either: that one poll is left out while the last one is still going on, the service says in
its own words."""


def configure_logs(style: Literal["plain", "json"], level: int = logging.INFO, stream: IO[str] | None = None) -> None:
    """Replaces what was configured before. `extra={"client": ...}` becomes a field of its own."""
    out = sys.stderr if stream is None else stream
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=style == "json"),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(style, out)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.ERROR))


def _renderers(style: Literal["plain", "json"], out: IO[str]) -> list[structlog.typing.Processor]:
    if style == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        _on_one_line,
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def _on_one_line(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What is logged may quote a device. JSON and a field's `repr` have no control characters; a message has."""
    return {**event, "event": plain(str(event["event"]))}
