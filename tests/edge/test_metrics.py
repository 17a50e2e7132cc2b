"""The page for Prometheus, fetched as Prometheus does."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.request import urlopen

import pytest

from switchguard.core.changes import Change, Outcome, Slot
from switchguard.core.model import ClientId, Device, Gap, Mac, NatSize, Reading, Role, Snapshot, Station
from switchguard.core.penalties import Block, Finding, RateLimit, Refusal
from switchguard.edge.metrics import Metrics, PassNumbers
from switchguard.errors import Unreachable

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
MAC = Mac.parse("02:00:00:00:00:07")
SEEN = Snapshot(
    AT,
    (Device("gw1", "linux", Role.GATEWAY),),
    nat_sizes=(NatSize("gw1", 60_000, 65_536),),
    readings=(Reading("gw1", "nat", AT, 812, 0.25, 13_500_000), Reading("gw1", "arp", AT, 900, 0.1)),
)
BLOCK = Change(Slot("core1", "block", Station(mac=MAC)), None, Block())
PASS = PassNumbers(
    at=AT,
    clients=812,
    unattributed=3,
    findings=(
        Finding(ClientId(f"mac:{MAC}"), "swarm", 0.95, 0.8, "1,500 remote hosts", addresses=(ip_address("10.0.0.7"),)),
    ),
    penalties=(Block(), Block(), RateLimit(64_000)),
    refusals=(Refusal("a block", "too many at once", "new_per_cycle"),),
    outcomes=(Outcome(BLOCK, "verified", "", None, 0.4),),
    gaps=(Gap("sw2", "fdb", "no answer"),),
    seconds=1.5,
    paused=False,
    judging=True,
)


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics(lambda: 4096.0)
    yield made
    made.stop()


def page(metrics: Metrics) -> str:
    with urlopen(f"http://127.0.0.1:{metrics.serve('127.0.0.1', 0)}/metrics") as answer:
        return str(answer.read().decode())


def numbers(metrics: Metrics) -> dict[str, float]:
    lines = (line for line in page(metrics).splitlines() if line.startswith("switchguard_"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_what_a_gathering_cost_is_added_up_by_device_and_table(metrics: Metrics) -> None:
    metrics.read(SEEN)
    metrics.read(SEEN)
    told = numbers(metrics)
    nat = '{device="gw1",table="nat"}'
    assert told[f"switchguard_table_read_seconds_sum{nat}"] == 0.5
    assert told[f"switchguard_table_read_seconds_count{nat}"] == 2
    assert told[f"switchguard_table_read_bytes_total{nat}"] == 27_000_000
    assert told[f"switchguard_table_rows{nat}"] == 812
    assert told['switchguard_nat_entries{device="gw1"}'] == 60_000
    assert told['switchguard_nat_limit{device="gw1"}'] == 65_536


def test_what_a_pass_came_to(metrics: Metrics) -> None:
    metrics.passed(PASS)
    metrics.keeps_time(2.0, {"counters": 1}, {"gw1": True})
    metrics.lost("gw1")
    told = numbers(metrics)
    assert told.pop("switchguard_last_pass_timestamp_seconds") == AT.timestamp()
    assert told == {
        "switchguard_clients": 812,
        "switchguard_unattributed": 3,
        'switchguard_findings{rule="swarm"}': 1,
        'switchguard_penalties{kind="block"}': 2,
        'switchguard_penalties{kind="limit"}': 1,
        'switchguard_refusals{safeguard="new_per_cycle"}': 1,
        'switchguard_changes_total{device="core1",outcome="verified"}': 1,
        'switchguard_gap{device="sw2",table="fdb"}': 1,
        "switchguard_pass_seconds_count": 1,
        "switchguard_pass_seconds_sum": 1.5,
        "switchguard_paused": 0,
        "switchguard_judging": 1,
        "switchguard_nat_period_stretch": 2,
        'switchguard_polls_skipped{job="counters"}': 1,
        'switchguard_stream_up{device="gw1"}': 1,
        'switchguard_stream_losses_total{device="gw1"}': 1,
        "switchguard_ledger_bytes": 4096,
    }


def test_a_gap_that_closed_is_gone_from_the_page(metrics: Metrics) -> None:
    metrics.passed(PASS)
    metrics.passed(PassNumbers(AT, 0, 0, (), (), (), (), gaps=(), seconds=0.0, paused=False, judging=True))
    assert not [name for name in numbers(metrics) if name.startswith(("switchguard_gap", "switchguard_penalties{"))]


def test_no_client_is_named(metrics: Metrics) -> None:
    metrics.read(SEEN)
    metrics.passed(PASS)
    told = page(metrics)
    assert str(MAC) not in told
    assert "10.0.0.7" not in told


def test_a_port_that_is_taken_is_said(metrics: Metrics) -> None:
    other = Metrics(lambda: 0.0)
    port = metrics.serve("127.0.0.1", 0)
    with pytest.raises(Unreachable, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        other.serve("127.0.0.1", port)


def test_the_document_names_every_number(metrics: Metrics) -> None:
    metrics.read(SEEN)
    metrics.passed(PASS)
    families = re.findall(r"^# TYPE (switchguard_\w+) ", page(metrics), re.MULTILINE)
    document = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    assert {name for name in families if f"`{name}`" not in document} == set()
