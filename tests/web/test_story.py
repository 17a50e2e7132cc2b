"""What a visitor reads: numbers from the rules' own sentences, and nothing that is not the visitor's business."""

from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from reception import BERLIN, NOW, POLICY, verdict

from switchguard.core.decide import on_probation
from switchguard.core.evidence import Connections
from switchguard.core.model import NatUsage
from switchguard.core.penalties import (
    Block,
    Notify,
    Penalty,
    Quarantine,
    RateLimit,
    RestrictPorts,
    SessionCap,
    Verdict,
)
from switchguard.core.policy import Probation
from switchguard.core.rhythm import rhythm, rhythm_sentence
from switchguard.core.rules.naughty_factor import factor
from switchguard.core.visitors import Case, Known, State
from switchguard.web.story import Item, View, view
from switchguard.web.words import languages

WORDS = languages(Path("/nonexistent"))
HERE = NOW.astimezone(BERLIN)


def told(*cases: Case, language: str = "en", wishes: int | None = None) -> View:
    return view(Known(NOW, cases, wishes), WORDS[language], HERE)


def case(what: Verdict, kind: str = "naughty_factor", state: State = "in force") -> Case:
    return Case(what, kind, state)


def only(what: Verdict, kind: str = "naughty_factor", language: str = "en") -> Item:
    (item,) = told(case(what, kind), language=language).items
    return item


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_the_numbers_of_a_swarm_are_those_of_the_rule() -> None:
    usage = NatUsage("gw", ip_address("10.10.0.107"), 1500, 1490, 1400, 0.3, 0.7, 0.4, 0.98, 0.94)
    said = only(verdict(SessionCap(50), because=factor(usage).because), language="de")
    assert said.facts == (
        "1.500 Verbindungen gleichzeitig, zu 1.490 verschiedenen Rechnern",
        "94\u00a0% davon in Benutzung",
        "40\u00a0% davon ohne Antwort",
        "98\u00a0% davon zu Ports, wie sie Tauschbörsen benutzen (über 1024)",
    )


@pytest.mark.parametrize(
    ("because", "fact"),
    [
        ("1.5 GB received and sent since 2026-11-20 00:00, of 1 GB a day", "1,5 Go sur 1 Go par jour"),
        (
            "about 1.5 GB sent by 3 devices of one person since 2026-11-20 00:00, of 1 GB a week",
            "1,5 Go sur 1 Go par semaine",
        ),
        (
            "about 40 Mbit/s out is 20% of the link's 200 Mbit/s, whose load is 90%",
            "40 Mbit/s, soit 20\u00a0% de la ligne de 200 Mbit/s",
        ),
        ("1,800 connections within 30 min", "1\u202f800 connexions en 30 min"),
    ],
)
def test_numbers_of_other_rules_are_told_too(because: str, fact: str) -> None:
    assert only(verdict(RateLimit(64_000), because=because), "quota", "fr").facts == (fact,)


def test_the_rhythm_of_connections_is_told() -> None:
    """In the words that the rule itself uses."""
    found = rhythm([Connections(NOW - timedelta(hours=33), 505), Connections(NOW - timedelta(hours=1), 100)], NOW)
    (fact,) = only(verdict(Block(), because=rhythm_sentence(found)), "connections").facts
    assert fact.startswith("605 connections in 1 d ")


# --- what is not told ------------------------------------------------------------------------------------------------


def everything(shown: View) -> str:
    return repr(shown)


def test_other_peoples_addresses_stay_in_the_ledger() -> None:
    because = "8 sources of 203.0.113.0/24 together: 502 connections in 1 d (203.0.113.10, 203.0.113.20 and 6 more)"
    subnet = verdict(Block("address"), network=ip_network("203.0.113.0/24"), because=because, macs=())
    shown = told(case(subnet, "connections"))
    assert "203.0.113" not in everything(shown)
    assert shown.items[0].facts == ()


def test_an_operators_reason_and_name_stay_in_the_ledger() -> None:
    manual = verdict(Block(), "manual", because="see ticket 4711, 5 connections within 3 min", requested_by="ada")
    shown = told(case(manual, ""))
    assert not any(word in everything(shown) for word in ("4711", "ada", "5 connections"))
    assert shown.items[0].why == "The people who run this network have put this in place by hand."


def test_what_another_mac_did_is_not_told_to_the_one_that_its_penalty_went_over_to() -> None:
    because = (
        "follows a6d626ffd02b, because it is what was 02:00:00:00:00:99; 577 of 612 sessions go to different hosts"
    )
    shown = told(case(verdict(SessionCap(50), because=because, follows="a6d626ffd02b")))
    assert (shown.items[0].facts, "577" in everything(shown)) == ((), False)


def test_neither_mac_nor_address_nor_rule_nor_device_is_shown() -> None:
    shown = everything(told(case(verdict(SessionCap(50), "swarm"))))
    assert not any(word in shown for word in ("02:00:00", "10.10.0", "swarm", "gw1"))


# --- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize(
    "penalty", [Notify(), SessionCap(50), RateLimit(64_000), RestrictPorts(), Block(), Quarantine(99)], ids=repr
)
def test_every_penalty_of_every_rule_can_be_told_in_every_language(penalty: Penalty, language: str) -> None:
    for kind in (*WORDS["en"].texts["kind"], "", "somebody_elses_rule"):
        item = only(verdict(penalty), kind, language)
        assert all((item.title, item.since, item.why, item.others, item.fix))
        assert "{" not in repr(item)


def test_the_hardest_penalty_comes_first() -> None:
    shown = told(
        case(verdict(Notify(), "early"), state="told"), case(verdict(RateLimit(64_000))), case(verdict(Block()))
    )
    assert [item.title for item in shown.items] == [
        "Your device is cut off from the network",
        "Your device is limited to 64 kbit/s",
        "A friendly notice",
    ]
    assert (shown.tone, shown.title) == ("held", "Your device is cut off from the network")


def test_the_same_advice_is_given_once() -> None:
    shown = told(
        case(verdict(Notify(), "early"), state="told"),
        case(verdict(SessionCap(50))),
        case(verdict(Block(), "daily"), "quota"),
    )
    assert [bool(item.fix) for item in shown.items] == [True, True, False]
    assert all(item.why for item in shown.items)


def test_a_notice_says_that_nothing_is_restricted_and_has_no_end() -> None:
    shown = told(case(verdict(Notify(), "early"), state="told"))
    assert (shown.tone, shown.items[0].until) == ("told", "")
    assert shown.intro.startswith("Nothing has been restricted.")


def test_what_everybody_has_is_nobodys_fault() -> None:
    shown = told(case(verdict(RateLimit(5_000_000), routine=True), "everyone"))
    assert (shown.tone, shown.title) == ("routine", "Your device is limited to 5 Mbit/s")


def test_until_somebody_lifts_it_is_no_time() -> None:
    item = only(verdict(Block(), until=None))
    assert (item.until, item.left) == ("somebody lifts it", "")


def test_a_penalty_whose_time_is_up_has_nothing_left() -> None:
    assert only(verdict(Block(), until=NOW - timedelta(seconds=5))).left == ""


def test_times_are_those_of_the_sites_clock() -> None:
    item = only(verdict(Block()))
    assert (item.since, item.until, item.left) == ("today at 14:02", "today at 16:02", "1 h 32 min left")


def test_probation_is_called_so_and_keeps_its_numbers() -> None:
    watched = on_probation(verdict(Block()), Probation(RateLimit(1_000_000), timedelta(hours=1)), POLICY, NOW)
    item = only(watched)
    assert (item.badge, item.title) == ("on probation", "Your device is limited to 1 Mbit/s")
    assert item.facts[0] == "1,500 connections at the same time, to 1,490 different computers"


def test_who_is_being_let_back_in_reads_that_and_not_the_old_case() -> None:
    shown = told(case(verdict(Block()), state="ending"))
    assert (shown.tone, shown.items) == ("ending", ())
