import io
import json
import logging
from collections.abc import Iterator

import pytest

from switchguard.edge.logs import configure_logs
from switchguard.edge.notify import LogNotifier
from switchguard.ports import Notifier


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_service_logs_one_json_object_per_line() -> None:
    out = io.StringIO()
    configure_logs("json", stream=out)
    logging.getLogger("switchguard.cycle").info("blocked %s", "02:00:00:00:00:07", extra={"device": "core1"})
    (line,) = out.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "blocked 02:00:00:00:00:07",
        "device": "core1",
        "level": "info",
        "logger": "switchguard.cycle",
    }


def test_an_exception_in_json_has_its_traceback() -> None:
    out = io.StringIO()
    configure_logs("json", stream=out)
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("switchguard").exception("a driver failed")
    assert "ValueError: odd" in json.loads(out.getvalue())["exception"]


def test_a_terminal_gets_lines_without_colour_when_it_is_none() -> None:
    out = io.StringIO()
    configure_logs("plain", stream=out)
    logging.getLogger("switchguard").warning("paused", extra={"who": "ada"})
    assert "paused" in out.getvalue()
    assert "who=ada" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_the_routine_of_libraries_is_no_news() -> None:
    out = io.StringIO()
    configure_logs("plain", stream=out)
    logging.getLogger("paramiko").info("Connected (version 2.0)")
    logging.getLogger("switchguard").debug("details")
    assert out.getvalue() == ""


def test_a_poll_that_is_left_out_is_no_warning_of_the_library() -> None:
    out = io.StringIO()
    configure_logs("plain", stream=out)
    text = 'Execution of job "%s" skipped: maximum number of running instances reached (%d)'
    logging.getLogger("apscheduler.scheduler").warning(text, "usage", 1)
    assert out.getvalue() == ""


def test_configuring_again_replaces_what_was() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs("plain", stream=first)
    configure_logs("plain", logging.DEBUG, second)
    logging.getLogger("switchguard").debug("details")
    assert (first.getvalue(), "details" in second.getvalue()) == ("", True)


def test_messages_for_people_are_in_the_log() -> None:
    out = io.StringIO()
    configure_logs("json", stream=out)
    notifier: Notifier = LogNotifier()
    notifier.tell("1 client blocked", "02:00:00:00:00:07 on core1")
    assert json.loads(out.getvalue())["event"] == "1 client blocked: 02:00:00:00:00:07 on core1"


def test_a_message_is_one_line_and_steers_no_terminal() -> None:
    out = io.StringIO()
    configure_logs("plain", stream=out)
    logging.getLogger("switchguard").warning("quoted %s", "\x1b[2J\nforged", extra={"line": "\x1b[2J\nforged"})
    (line,) = out.getvalue().splitlines()
    assert "quoted ·[2J·forged" in line
    assert "\x1b" not in line
