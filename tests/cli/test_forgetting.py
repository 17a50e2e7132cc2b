"""What the service forgets of limits that everybody had, and what it does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from switchguard.cli.service import forget_routine
from switchguard.cli.wiring import Wiring
from switchguard.core.model import ClientId, Mac
from switchguard.core.penalties import RateLimit, Release, Verdict
from switchguard.edge.settings import load_site

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MAC = Mac(0x020000000007)
LIMIT = Verdict("1", ClientId(f"mac:{MAC}"), "all", RateLimit(10**6), NOW, None, "everybody", (MAC,), routine=True)
POLICY = "rules: {all: {kind: everyone, penalty: {limit: 1Mbps, lasts: 2h%s}}}\n"


@pytest.mark.parametrize(
    ("text", "days_left"),
    [
        (POLICY % "", [3, 6]),
        (POLICY % "" + "history: {routine: 4d}\n", [3]),
        (POLICY % ", escalate: 2x, forget_after: 1d", [3, 6, 8]),
    ],
)
def test_limits_for_everybody_are_kept_a_week_or_as_long_as_they_count(
    tmp_path: Path, text: str, days_left: list[int]
) -> None:
    (tmp_path / "switchguard.yaml").write_text(text)
    (tmp_path / "hosts.yaml").write_text("{}\n")
    wiring = Wiring(load_site(tmp_path))
    for days in (3, 6, 8, 20):
        it = replace(LIMIT, id=str(days), since=NOW - days * DAY)
        wiring.ledger.sentence((it,), (), it.since)
        wiring.ledger.sentence((), (Release(it, "its time is up"),), it.since)
    forget_routine(wiring, NOW)
    left = [int(it.verdict.id) for it in wiring.ledger.penalties(include_released=True)]
    assert sorted(left) == days_left
