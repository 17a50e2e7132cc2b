"""What a site says about its history and its logs."""

from datetime import timedelta
from pathlib import Path

import pytest

from switchguard.edge.history import Retention
from switchguard.edge.settings import Site, load_site
from switchguard.errors import SiteError


def site(directory: Path, text: str) -> Site:
    (directory / "switchguard.yaml").write_text(text)
    (directory / "hosts.yaml").write_text("{}\n")
    return load_site(directory)


def test_a_history_is_kept_as_long_as_the_site_says(tmp_path: Path) -> None:
    found = site(tmp_path, "history: {minutes: 1d, days: 90d}\n")
    assert found.history == Retention(timedelta(days=1), timedelta(days=60), timedelta(days=90))


def test_a_log_has_the_sites_clock_and_starts_at_the_site(tmp_path: Path) -> None:
    (log,) = site(tmp_path, "time_zone: Europe/Berlin\nlogs:\n  netperf: {file: kern.log, match: Incoming}\n").logs
    assert (log.name, log.file, log.match, str(log.zone)) == (
        "netperf",
        tmp_path / "kern.log",
        "Incoming",
        "Europe/Berlin",
    )


def test_as_much_history_as_is_kept_may_be_asked_for(tmp_path: Path) -> None:
    assert len(site(tmp_path, "rules: {odd: {kind: unusual_traffic, history: 60d}}\n").policy.rules) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("history: {minutes: 90d}\n", "minutes must not be kept longer than hours"),
        ("history: {minutes: 2}\n", "has no unit"),
        ("history: {years: 2d}\n", "unknown key 'history.years'"),
        ("logs: {netperf: {file: kern.log}}\n", "'logs.netperf.match' is missing"),
        (
            "logs: {netperf: {file: kern.log, match: x}}\n"
            "rules: {many: {kind: connections, log: netprf, penalty: {notify: true}}}\n",
            "did you mean 'netperf'?",
        ),
        ("rules: {odd: {kind: unusual_traffic, history: 9w}}\n", "hours are kept for 60d only (history.hours)"),
        ("history: {hours: 10d}\nrules: {odd: {kind: unusual_traffic}}\n", "'odd' would never judge"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SiteError, match=r"switchguard\.yaml:\d") as caught:
        site(tmp_path, text)
    assert why in str(caught.value)
