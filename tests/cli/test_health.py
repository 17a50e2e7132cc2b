"""What `status` says of the service, and of what reading the tables costs."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchguard.cli.health import cost_lines, ledger_octets, liveliness
from switchguard.cli.service import hear

NAT = {"device": "gw1", "table": "nat", "rows": 812, "seconds": 0.6, "octets": 13_500_000}
ARP = {"device": "gw1", "table": "arp", "rows": 900, "seconds": 0.1, "octets": None}


def noted(**more: Any) -> dict[str, Any]:
    return {"costs": [NAT, ARP], "nat_period_s": 60.0, "nat_stretched": 1.0, **more}


def test_a_gateways_table_is_said_with_its_cost() -> None:
    assert list(cost_lines(noted())) == ["gw1: reading them takes 0.60 s and 13.5 MB, 1.0% of the time"]


def test_a_stretched_period_is_said_with_its_reason() -> None:
    *_, last = cost_lines(noted(nat_period_s=120.0, nat_stretched=2.0))
    why = "reading them takes long (poll.nat_ceiling)"
    assert last == f"they are read every 2 min, 2.0 times as rarely as configured: {why}"


def test_a_platform_that_tells_no_octets_has_seconds_only() -> None:
    assert list(cost_lines(noted(costs=[{**NAT, "octets": None}]))) == [
        "gw1: reading them takes 0.60 s, 1.0% of the time"
    ]


def test_what_an_older_service_noted_is_no_error() -> None:
    assert list(cost_lines({"at": "2026-11-20T12:00:00+00:00"})) == []


def test_a_ledger_in_a_database_has_no_size() -> None:
    assert str(ledger_octets("postgresql://db/switchguard")) == "nan"


@pytest.mark.parametrize(
    ("event", "level"),
    [("failed", "WARNING"), ("stream lost, polling until it is back", "WARNING"), ("reading soon", "INFO")],
)
def test_what_went_wrong_in_the_service_is_told_as_a_warning(
    event: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "switchguard"):
        hear(event, why="ledger: database or disk is full", gateway="gw")
    assert [(record.message, record.levelname) for record in caplog.records] == [(event, level)]


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def passed(ago: timedelta) -> dict[str, Any]:
    return noted(at=(NOON - ago).isoformat())


def test_a_service_that_makes_passes_is_running() -> None:
    assert liveliness(passed(timedelta(minutes=14)), NOON) == "running"
    assert liveliness(passed(timedelta(seconds=-2)), NOON) == "running"


def test_a_service_without_a_pass_for_long_is_not_called_running() -> None:
    said = "not making passes: its process lives, but the last one is 1 h ago"
    assert liveliness(passed(timedelta(hours=1)), NOON) == said
    assert liveliness({**passed(timedelta(hours=1)), "nat_period_s": 3600.0}, NOON) == "running"


def test_a_pass_ahead_of_the_clock_is_no_sign_of_life() -> None:
    said = "not making passes: the last one is 1 h ahead of the clock, which was set back"
    assert liveliness(passed(timedelta(hours=-1)), NOON) == said
