"""docs/json.md names every key that the objects have."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from switchguard.cli import notify, objects
from switchguard.cli.health import cost_object
from switchguard.cli.usage import Hour, Line, hour_object, usage_object
from switchguard.core.calendar import Window
from switchguard.core.changes import Change, Diff, HeldSlot, Outcome, Plan, Slot
from switchguard.core.letters import Addressee, Letter, facts
from switchguard.core.model import (
    Attribution,
    Client,
    ClientId,
    Gap,
    Location,
    Mac,
    NatUsage,
    PathStep,
    Reading,
    Snapshot,
    Station,
    Unattributed,
)
from switchguard.core.penalties import Block, Exemption, Finding, Refusal, Verdict
from switchguard.core.rules.naughty_factor import factor
from switchguard.edge.archive import Used
from switchguard.edge.ledger import Event, PenaltyRecord
from switchguard.edge.notify_outbox import Entry, Standing
from switchguard.edge.notify_post import Delivery
from switchguard.errors import Unreachable

DOCUMENTED = set(re.findall(r"[a-z_]+", (Path(__file__).parents[2] / "docs/json.md").read_text()))
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MAC = Mac.parse("02:00:00:00:00:07")
USAGE = NatUsage("gw", ip_address("10.10.0.107"), 1500, 1490, 1400, 0.3, 0.7, 0.1, 0.98, 0.94)
WHERE = Location("sw1", Station("Gi0/7", 10, MAC), 3.0, 0.95, (PathStep("sw1", "fdb", "Gi0/7", 3.0),))
CLIENT = Client(ClientId(f"mac:{MAC}"), (MAC,), (USAGE.address,), USAGE, WHERE)
GAP = Gap("sw2", "fdb", "no answer")
CHANGE = Change(Slot("core", "block", Station(None, 10, MAC)), None, Block(), ("a1",), "block 02:00:00:00:00:07")
PLAN = Plan(NOW, changes=(CHANGE,), observed=(CHANGE,), refusals=(Refusal("x", "y", "observe"),))
HELD = HeldSlot(CHANGE.slot, Block(), "verified", ("a1",), NOW)
VERDICT = Verdict("a1", CLIENT.identity, "swarm", Block(), NOW, NOW, "because", (MAC,))
LETTER = Letter(Addressee("person", "Ada", "ada@example.org", "en"), "begins", facts(VERDICT, "quota"), NOW)
NOTICE = Entry(LETTER.key, "person ada@example.org", LETTER, "waiting", NOW, NOW, 1, None, "no answer")
SEEN = Attribution(NOW, (CLIENT,), (Unattributed("10.10.0.9", "two MACs", 3),), gaps=(GAP,))

OBJECTS: dict[str, objects.Json] = {
    "top": objects.top_object(SEEN, [(CLIENT, factor(USAGE))]),
    "locate": objects.locate_object("10.10.0.107", CLIENT, None),
    "plan": objects.plan_object(PLAN, {"core": Diff("+x", "device")}),
    "plan without diff": objects.plan_object(PLAN, {"core": Unreachable("core", "no answer")}),
    "outcome": objects.outcome_object(Outcome(CHANGE, "verified", "read back", Diff("+x", "device"), 1.0)),
    "lines left": {"lines_left": [{"device": "sw9", "slots": objects.held_objects([HELD])}]},
    "penalty": objects.penalty_record_object(PenaltyRecord(VERDICT, None, "", ())),
    "event": objects.event_object(Event(NOW, "alice", "verified", "why", (), {})),
    "factor": objects.factor_object(factor(USAGE)),
    "finding": objects.finding_object(Finding(CLIENT.identity, "swarm", 0.9, 0.8, "because")),
    "notice": notify.entry_object(NOTICE),
    "delivery": notify.delivery_object(Delivery("Ada <ada@example.org>", 1, "no answer")),
    "notices": asdict(Standing()),
    "blind spots": {"blind_spots": objects.blind_spot_objects([("quota", "nobody's traffic is known")])},
    "hour": hour_object(Hour(NOW, 1, 2, 3, 4, 0.5, 6)),
    "usage": usage_object(
        Line(Window(NOW, NOW), Used(CLIENT.identity, (USAGE.address,), None, 1, 2, False), "ada"), UTC
    ),
    "exemption": objects.exemption_object(Exemption("e1", "server", mac=MAC)),
    "cost": cost_object(Reading("gw", "nat", NOW, 3, 0.1, 270)),
    "poll": objects.poll_object(Snapshot(NOW, (), readings=(Reading("gw", "nat", NOW, 3, 0.1),), gaps=(GAP,)), 0.5),
}


def keys(value: object, skip: frozenset[str] = frozenset({"parts", "detail"})) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in skip:
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


@pytest.mark.parametrize("name", OBJECTS)
def test_every_key_is_documented(name: str) -> None:
    undocumented = set(keys(OBJECTS[name])) - DOCUMENTED - {"by"}
    assert undocumented == set()


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_json_with_its_schema_first(name: str) -> None:
    assert objects.dump(OBJECTS[name]).startswith('{\n  "schema": 1,')
