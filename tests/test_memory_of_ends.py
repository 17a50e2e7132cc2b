"""How far back a pass remembers the ends of penalties: nobody pays twice for the same, however soon a rule forgets."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from switchguard.core.evidence import Evidence, Traffic
from switchguard.core.model import Attribution, ClientId, Device, Mac, NatUsage, Neighbor, Role, Snapshot
from switchguard.core.penalties import Notify, PastPenalty, RateLimit, Release, Verdict
from switchguard.core.policy import Policy, Rule, Sentence, Zone
from switchguard.core.rules import connections, new_device, quota
from switchguard.cycle import Doors, Pass, longest_memory, look
from switchguard.edge.ledger import SqlLedger

DAY, GB = timedelta(days=1), 10**9
FIRST = datetime(2026, 7, 1, tzinfo=UTC)
NOW = FIRST + 19.5 * DAY
FORGETS = Sentence(RateLimit(1_000_000), DAY, forget_after=timedelta(minutes=1))
MONTHLY = Rule("monthly", quota.KIND, 50 * GB, 1, FORGETS, quota.Params(per="month"))
BURSTS = Rule("bursts", connections.KIND, 500, 1, FORGETS, connections.Params(window=5 * DAY))
TIERS = Rule("tiers", new_device.KIND, 0, 1, FORGETS)
ADDRESS, MAC = ip_address("10.0.0.1"), Mac(0x001B21000001)
ANN = ClientId(f"mac:{MAC}")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    opened = SqlLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def passes(ledger: SqlLedger, policy: Policy, *spans: Traffic) -> Pass:
    """A look at a network with one client, who has moved so much."""
    usage = NatUsage("gw", ADDRESS, 5, 4, 3, 1.0, 0.0, 0.0, 0.0, 0.5)
    device = Device("gw", "linux", Role.GATEWAY)
    seen = Snapshot(NOW, (device,), nat=(usage,), neighbors=(Neighbor("gw", "lan0", ADDRESS, MAC),))

    def recall(_: Policy, _seen: Snapshot, found: Attribution, past: Sequence[PastPenalty]) -> Evidence:
        return Evidence(found, found.at, past=tuple(past), traffic={ANN: spans})

    doors = Doors(lambda _: seen, dict, lambda _: (), ledger, {}, lambda: NOW, recall, lambda *_: None)
    return look(policy, doors, seen)


def ended(ledger: SqlLedger, rule: Rule, at: datetime, routine: bool = False) -> None:
    verdict = Verdict(f"{at:%d%H%M%S}", ANN, rule.name, RateLimit(1), at - DAY, at, "", (MAC,), routine=routine)
    ledger.sentence((verdict,), (), at - DAY)
    ledger.sentence((), (Release(verdict, "its time is up"),), at)


def test_what_was_paid_for_on_the_third_is_not_paid_for_on_the_twentieth(ledger: SqlLedger) -> None:
    on_the_first = Traffic(FIRST, FIRST + DAY / 4, 60 * GB, 0)
    assert [it.client for it in passes(ledger, Policy(rules=(MONTHLY,)), on_the_first).findings] == [ANN]
    ended(ledger, MONTHLY, FIRST + 2 * DAY)
    assert passes(ledger, Policy(rules=(MONTHLY,)), on_the_first).findings == ()


@pytest.mark.parametrize(
    ("rules", "back"),
    [
        ((), 16 * timedelta(days=7)),
        ((Rule("r", "everyone", 0, 1, FORGETS),), timedelta(minutes=16)),
        ((MONTHLY,), NOW - FIRST),
        ((BURSTS,), 5 * DAY),
        ((TIERS,), timedelta(hours=2, minutes=30)),
        ((BURSTS, TIERS, Rule("r", "everyone", 0, 1, Sentence(Notify(), forget_after=DAY))), 16 * DAY),
    ],
)
def test_it_remembers_as_long_as_any_rule_needs(rules: tuple[Rule, ...], back: timedelta) -> None:
    assert longest_memory(Policy(rules=rules), NOW) == back


# --- what was nobody's fault ------------------------------------------------------------------------------------------


class Counting(SqlLedger):
    """How often it is asked for the past, and what it tells."""

    asked = 0
    told: tuple[PastPenalty, ...] = ()

    def past(self, since: datetime, routine_of: Collection[str] | None = None) -> tuple[PastPenalty, ...]:
        self.asked += 1
        self.told = super().past(since, routine_of)
        return self.told


def test_a_pass_asks_for_the_past_once(tmp_path: Path) -> None:
    ledger = Counting(tmp_path / "ledger.db")
    passes(ledger, Policy(rules=(MONTHLY,)))
    assert ledger.asked == 1


LIMITED = Rule("limited", "everyone", 0, 1, Sentence(RateLimit(10**6)))


@pytest.mark.parametrize(
    ("policy", "needed"),
    [
        (Policy(rules=(LIMITED,)), False),
        (Policy(rules=(replace(LIMITED, sentence=replace(LIMITED.sentence, escalate=2)),)), True),
        (Policy(rules=(replace(LIMITED, sentence=replace(LIMITED.sentence, then=(LIMITED.sentence,))),)), True),
        (Policy(rules=(LIMITED,), zones=(Zone("lan", (ip_network("10.0.0.0/8"),), ladder=(Notify(),)),)), True),
    ],
)
def test_limits_for_everybody_are_read_only_where_a_second_one_may_differ(
    tmp_path: Path, policy: Policy, needed: bool
) -> None:
    ledger = Counting(tmp_path / "ledger.db")
    ended(ledger, LIMITED, NOW - DAY, routine=True)
    passes(ledger, policy)
    assert bool(ledger.told) is needed
