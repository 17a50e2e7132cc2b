"""What a client is told: the right trouble, its numbers, its end; and nothing that is not its business."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from zoneinfo import ZoneInfo

import pytest

from switchguard.core.advice import TROUBLE_NAMES, TROUBLES, Trouble, Words, advice
from switchguard.core.letters import Facts
from switchguard.core.model import ClientId, Mac
from switchguard.core.penalties import Block, Notify, Penalty, Quarantine, RateLimit, RestrictPorts, SessionCap, Unit
from switchguard.core.rules import KINDS

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
WORDS = Words(
    language="xx",
    name="Test",
    moment="%d.%m. %H:%M",
    decimal=",",
    thousands=".",
    until="until {until}",
    forever="for ever",
    troubles={name: Trouble(f"seen {name}", f"harm {name}", (f"how {name}",)) for name in TROUBLE_NAMES},
    numbers={
        "sessions": "{sessions} to {remotes}",
        "connections": "{value} new of {threshold}",
        "share": "{value} share of {threshold}",
        "octets": "{value} moved of {threshold}",
    },
    penalties={
        "notify": "nothing",
        "cap": "at most {sessions}",
        "limit": "at {rate}",
        "ports": "up to {port}",
        "block": "blocked",
        "quarantine": "elsewhere",
    },
)
FACTS = Facts(
    verdict="v1",
    client=ClientId("mac:02:00:00:00:00:07"),
    kind="naughty_factor",
    penalty=Notify(),
    since=NOON,
    until=NOON + timedelta(hours=2),
    because="1,490 of 1,500 sessions go to different hosts",
    macs=(Mac(0x020000000007),),
    addresses=(ip_address("10.10.0.7"),),
    sessions=1500,
    remotes=1490,
)


@pytest.mark.parametrize("kind", [*KINDS, "manual", ""])
def test_every_kind_of_rule_has_something_to_say(kind: str) -> None:
    said = advice(replace(FACTS, kind=kind), WORDS, UTC)
    assert said.seen[0] == f"seen {TROUBLES.get(kind, 'other')}"
    assert said.how


def test_every_trouble_is_of_a_kind_that_there_is() -> None:
    assert set(TROUBLES) <= {*KINDS, "manual"}


def test_connections_are_counted_as_the_language_writes_numbers() -> None:
    assert advice(FACTS, WORDS, UTC).seen == ("seen connections", "1.500 to 1.490")


@pytest.mark.parametrize(
    ("kind", "value", "threshold", "unit", "sentence"),
    [
        ("share_of_link", 0.125, 0.12, "share", "12,5 % share of 12 %"),
        ("quota", 1.5e9, 1e9, "octets", "1,5 GB moved of 1 GB"),
        ("connections", 5000, 500, "connections", "5.000 new of 500"),
    ],
)
def test_the_number_that_was_over_the_threshold_is_told(
    kind: str, value: float, threshold: float, unit: Unit, sentence: str
) -> None:
    told = replace(FACTS, kind=kind, value=value, threshold=threshold, unit=unit, sessions=None)
    assert advice(told, WORDS, UTC).seen[1:] == (sentence,)


@pytest.mark.parametrize("unit", ["", "seconds"])
def test_a_number_that_means_nothing_to_a_visitor_is_left_out(unit: Unit) -> None:
    told = replace(FACTS, value=0.97, threshold=0.8, unit=unit, sessions=None)
    assert advice(told, WORDS, UTC).seen == ("seen connections",)


@pytest.mark.parametrize(
    ("penalty", "done"),
    [
        (Notify(), "nothing"),
        (SessionCap(1500), "at most 1.500"),
        (RateLimit(1_500_000, 20_000_000), "at 1,5 Mbit/s"),
        (RestrictPorts(1024), "up to 1024"),
        (Block(), "blocked"),
        (Quarantine(99), "elsewhere"),
    ],
)
def test_what_is_done_is_told_with_its_number_and_without_ours(penalty: Penalty, done: str) -> None:
    assert advice(replace(FACTS, penalty=penalty), WORDS, UTC).done == done


def test_times_are_told_by_the_clock_on_the_wall() -> None:
    said = advice(FACTS, WORDS, ZoneInfo("Europe/Berlin"))
    assert (said.since, said.until) == ("04.05. 14:00", "until 04.05. 16:00")


def test_without_an_end_it_says_so() -> None:
    assert advice(replace(FACTS, until=None), WORDS, UTC).until == "for ever"
