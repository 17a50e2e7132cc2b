"""Sentences for people."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from plan_builders import HOUR, NOW, at, client, ip, mac, ours, request, usage, verdict, who

from switchguard.core import explain
from switchguard.core.changes import Change, SessionFlush, Slot
from switchguard.core.model import Location, Station
from switchguard.core.penalties import (
    Block,
    Finding,
    Notify,
    Penalty,
    Quarantine,
    RateLimit,
    Refusal,
    Release,
    RestrictPorts,
    SessionCap,
    Unit,
)

V7 = verdict(7)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (4, "4 s"),
        (60, "1 min"),
        (5400, "1 h 30 min"),
        (7200, "2 h"),
        (86_400 + 5, "1 d"),
        (187_230, "2 d 4 h"),
        (-90, "-1 min 30 s"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert explain.duration(seconds) == told
    assert explain.duration(timedelta(seconds=seconds)) == told


@pytest.mark.parametrize(
    ("bits", "told"),
    [(800, "800 bit/s"), (64_000, "64 kbit/s"), (2_500_000, "2.5 Mbit/s"), (999_999, "1000 kbit/s"), (1e9, "1 Gbit/s")],
)
def test_rates(bits: float, told: str) -> None:
    assert explain.rate(bits) == told


def test_volumes() -> None:
    assert [explain.volume(it) for it in (12, 1.5e9, 3e12)] == ["12 B", "1.5 GB", "3 TB"]


def test_moments_without_the_date_on_the_same_day_in_the_zone_of_the_reader() -> None:
    assert explain.moment(NOW, NOW + HOUR) == "14:02"
    assert explain.moment(NOW, NOW + 24 * HOUR) == "2026-11-20 14:02"
    assert explain.moment(NOW) == "2026-11-20 14:02"
    assert explain.moment(NOW, NOW.astimezone(timezone(2 * HOUR))) == "16:02"
    assert explain.moment(NOW, (NOW + 24 * HOUR).astimezone(timezone(2 * HOUR))) == "2026-11-20 16:02"


@pytest.mark.parametrize(
    ("penalty", "told"),
    [
        (Notify(), "a notice"),
        (SessionCap(1000), "a cap of 1,000 sessions"),
        (RateLimit(64_000), "a limit of 64 kbit/s"),
        (RestrictPorts(), "a restriction to remote ports up to 1024"),
        (Block(), "a block of its MAC"),
        (Block("address"), "a block of its address"),
        (Quarantine(99), "quarantine in VLAN 99"),
    ],
)
def test_penalties(penalty: Penalty, told: str) -> None:
    assert explain.penalty_phrase(penalty) == told


@pytest.mark.parametrize(
    ("slot", "told"),
    [
        (at("sw1", 7), "02:00:00:00:00:07 in VLAN 10 on sw1"),
        (Slot("gw", "cap", address=ip(7)), "10.10.0.107 on gw"),
        (Slot("sw1", "limit", Station(port="Gi0/7")), "port Gi0/7 on sw1"),
        (Slot("gw", "cap"), "everyone on gw"),
    ],
)
def test_slots(slot: Slot, told: str) -> None:
    assert explain.slot_phrase(slot) == told


def test_changes() -> None:
    slot = Slot("gw", "cap", address=ip(7))
    new = Change(slot, None, SessionCap(50), ("v",), "1,490 hosts")
    assert explain.change_sentence(new) == "new: a cap of 50 sessions for 10.10.0.107 on gw because 1,490 hosts"
    lifted = Change(slot, SessionCap(50), None)
    assert explain.change_sentence(lifted) == "lifted: a cap of 50 sessions for 10.10.0.107 on gw"
    changed = Change(slot, SessionCap(50), SessionCap(9), (), "quota")
    assert (
        explain.change_sentence(changed)
        == "changed: a cap of 50 sessions to a cap of 9 sessions for 10.10.0.107 on gw because quota"
    )
    assert explain.change_sentence(Change(slot, None, None)) == "new: nothing for 10.10.0.107 on gw"


def test_refusals() -> None:
    told = Refusal("a block of its MAC for mac:02", "it is exempt: stage", "exemption", device="core")
    assert explain.refusal_sentence(told) == "a block of its MAC for mac:02 on core: it is exempt: stage [exemption]"
    assert explain.refusal_sentence(replace(told, device=None)).startswith("a block of its MAC for mac:02: it is")
    assert explain.refusal_sentence(replace(told, what="release of mac:02 on core")).startswith(
        "release of mac:02 on core: it is"
    )


def test_a_verdict_says_since_until_and_why() -> None:
    assert explain.verdict_sentence(V7, NOW + HOUR) == (
        f"{who(7)}: a block of its MAC since 14:02 until 16:02 (1 h left)"
        " because 1,490 of 1,500 sessions go to different hosts (rule swarm)"
    )


def test_a_verdict_in_the_history_says_the_date() -> None:
    assert explain.verdict_sentence(replace(V7, offence=3)) == (
        f"{who(7)}: a block of its MAC since 2026-11-20 14:02 until 16:02"
        " because 1,490 of 1,500 sessions go to different hosts (rule swarm, offence 3)"
    )


def test_a_verdict_that_is_over_has_nothing_left() -> None:
    assert "left" not in explain.verdict_sentence(V7, NOW + 3 * HOUR)


def test_a_persons_verdict_says_who_asked_and_where() -> None:
    asked = request(7, until=None, on_device="sw1")
    assert explain.verdict_sentence(asked, NOW) == (
        f"{who(7)}: a block of its MAC on sw1 since 14:02 until somebody lifts it"
        " because complaints (asked for by anna)"
    )


def test_releases() -> None:
    told = explain.release_sentence(Release(V7, "its time is up"))
    assert told == f"{who(7)}: a block of its MAC of 2026-11-20 14:02 ends because its time is up"


@pytest.mark.parametrize(
    ("number", "unit", "told"),
    [
        (0.85, "", "0.85"),
        (0.123, "share", "12.3%"),
        (1.0, "share", "100%"),
        (1_500_000_000, "octets", "1.5 GB"),
        (6000.0, "connections", "6,000"),
        (5400, "seconds", "1 h 30 min"),
    ],
)
def test_a_number_has_its_unit(number: float, unit: Unit, told: str) -> None:
    assert explain.amount(number, unit) == told


def test_findings() -> None:
    found = Finding(who(7), "swarm", 0.934, 0.8, "1,490 hosts", 3)
    assert explain.finding_sentence(found) == ("rule swarm: 0.934, threshold 0.8, 3 polls in a row because 1,490 hosts")
    assert "1 poll because" in explain.finding_sentence(replace(found, streak=1))


def test_locations() -> None:
    place = client(7).location
    assert explain.location_sentence(place) == "sw1 port Gi0/7, VLAN 10, seen 4 s ago, confidence 0.95"
    assert explain.location_sentence(Location("gw", Station(), 90, 0.5)) == "gw, seen 1 min 30 s ago, confidence 0.50"
    assert explain.location_sentence(None, "on 2 edge ports") == "place unknown: on 2 edge ports"
    assert explain.location_sentence(None) == "place unknown"


def test_usage() -> None:
    seven = usage(7)
    told = "1,500 sessions to 1,490 hosts on gw"
    assert explain.usage_sentence(seven) == f"{told}, 94% active, 2.5 MB in, 10 B out"
    assert explain.usage_sentence(replace(seven, active_share=None, bytes_in=None)) == told


def test_flushes() -> None:
    flush = SessionFlush("gw", (ip(7), ip(8)), "v")
    assert explain.flush_sentence(flush) == "forget the sessions of 10.10.0.107, 10.10.0.108 on gw"


def test_the_story_of_a_client_is_about_nobody_else() -> None:
    findings = [Finding(who(n), "swarm", 0.9, 0.8, "many hosts") for n in (7, 8)]
    held = [ours(at("core", n), verdict(n)) for n in (7, 8)]
    refusals = [Refusal("a limit", "no", "uplink", client=who(n)) for n in (7, 8)]
    mine = Refusal("a cap", "no", "capacity", verdict=V7.id)
    told = explain.story(replace(client(7), owner="alice"), findings, [V7, verdict(8)], held, [*refusals, mine], NOW)
    assert told == (
        f"{who(7)}, alice: MAC {mac(7)}, address 10.10.0.107",
        "sw1 port Gi0/7, VLAN 10, seen 4 s ago, confidence 0.95",
        "1,500 sessions to 1,490 hosts on gw, 94% active, 2.5 MB in, 10 B out",
        "rule swarm: 0.9, threshold 0.8, 1 poll because many hosts",
        explain.verdict_sentence(V7, NOW),
        "a block of its MAC for 02:00:00:00:00:07 in VLAN 10 on core, verified since 2026-11-20 13:02",
        "declined: a limit: no [uplink]",
        "declined: a cap: no [capacity]",
    )


def test_a_client_of_whom_little_is_known_has_a_short_story() -> None:
    unknown = replace(client(7, on=None), macs=(), usage=None, addresses=())
    assert explain.story(unknown) == (
        f"{who(7)}: MAC unknown, address unknown",
        "place unknown: no forwarding table has it",
    )


def test_a_penalty_of_a_mac_concerns_whoever_has_the_mac() -> None:
    assert explain.concerns(replace(V7, client=who(1)), client(7))
    assert not explain.concerns(V7, client(8))


def test_no_text_from_outside_steers_the_terminal() -> None:
    evil = "\x1b[2J\x07\n"
    told = [
        explain.verdict_sentence(replace(V7, because=evil)),
        explain.refusal_sentence(Refusal(evil, evil, "foreign")),
        explain.change_sentence(Change(at("sw1", 7), None, Block(), (), evil)),
        *explain.story(replace(client(7, on=None), owner=evil, why_no_location=evil)),
    ]
    assert all(sentence.isprintable() for sentence in told)
