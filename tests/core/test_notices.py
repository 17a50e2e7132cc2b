"""Who is told what: those concerned when it is so, operators always, and nobody for what is nobody's fault."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from plan_builders import NOW, client, ip, mac, request, verdict, world

from switchguard.core.changes import Change, Plan, Slot
from switchguard.core.letters import Addressee, Contact, Letter, Register, mail_address
from switchguard.core.model import ClientId, Mode, Station
from switchguard.core.notices import LATE, News, Telling, letters, notices
from switchguard.core.penalties import (
    Block,
    Decision,
    Finding,
    Notify,
    Penalty,
    Quarantine,
    RateLimit,
    Refusal,
    Release,
    SessionCap,
    Verdict,
)
from switchguard.core.policy import Policy, Rule, Sentence, Zone

ADA = Contact("ada@example.org", "de")
REGISTER = Register({mac(7): "Ada"}, {"Ada": ADA})
POLICY = Policy(
    Mode.ENFORCE,
    zones=(Zone("delegates", (ip_network("10.10.0.0/16"),)),),
    rules=(Rule("swarm", "naughty_factor", 0.8, 1, Sentence(Block())),),
)
TELLING = Telling(
    people=True, operators=2, zones=frozenset({"delegates"}), ends="everyone", languages=frozenset({"en", "de"})
)
TO_ADA = Addressee("person", "Ada", "ada@example.org", "de")
TO_ZONE = Addressee("zone", "delegates", language="en")
TO_OPERATORS = (Addressee("operators", "1", language="en"), Addressee("operators", "2", language="en"))
USER = replace(verdict(7, Notify()), client=ClientId("user:alice"), macs=())


def news(*standing: Verdict, put: Sequence[Verdict] = (), refusals: Sequence[Refusal] = (), **more: Any) -> News:
    changes = tuple(change(it) for it in put)
    plan = Plan(NOW, changes=changes, refusals=tuple(refusals))
    return replace(News(Decision(standing), plan, world(client(7))), **more)


def change(of: Verdict) -> Change:
    return Change(Slot("core", "block", Station(None, 10, of.macs[0])), None, of.penalty, (of.id,), "swarm")


def told(
    what: News, policy: Policy = POLICY, telling: Telling = TELLING, register: Register = REGISTER
) -> list[Addressee]:
    return [letter.to for letter in letters(what, policy, telling, register)]


def refused(of: Verdict, safeguard: str) -> Refusal:
    return Refusal("a block", "an exemption says so", safeguard, of.client, of.id)


def test_a_notice_goes_to_the_person_the_zone_and_the_operators() -> None:
    assert told(news(verdict(7, Notify()))) == [TO_ADA, TO_ZONE, *TO_OPERATORS]


def test_a_letter_has_the_numbers_of_the_moment() -> None:
    finding = Finding(verdict(7).client, "swarm", 0.97, 0.8, "because")
    (first, *_) = letters(news(verdict(7, Notify()), findings=(finding,)), POLICY, TELLING, REGISTER)
    facts = first.facts
    assert (facts.kind, facts.sessions, facts.remotes) == ("naughty_factor", 1500, 1490)
    assert (facts.value, facts.threshold, facts.person, facts.zone) == (0.97, 0.8, "Ada", "delegates")


@pytest.mark.parametrize("penalty", [Block(), RateLimit(64_000), SessionCap(100)])
def test_of_a_penalty_people_hear_when_a_device_is_about_to_get_it(penalty: Penalty) -> None:
    blocked = verdict(7, penalty)
    assert told(news(blocked, put=[blocked])) == [TO_ADA, TO_ZONE, *TO_OPERATORS]
    assert told(news(blocked)) == [*TO_OPERATORS]


def test_a_penalty_that_is_put_on_a_device_late_is_told_then() -> None:
    """Operators too: what they have heard is that it was not done."""
    old = verdict(7, since=NOW - 2 * LATE)
    assert told(news(old, put=[old])) == [TO_ADA, TO_ZONE, *TO_OPERATORS]


def test_letters_of_what_is_only_planned_wait_until_it_is_done_and_notices_do_not() -> None:
    blocked, noticed = verdict(7), verdict(8, Notify())
    made = letters(news(blocked, noticed, put=[blocked]), POLICY, TELLING, REGISTER)
    assert {it.facts.penalty: it.once_done for it in made} == {Block(): True, Notify(): False}


def test_that_nothing_was_done_is_another_letter_than_that_it_was() -> None:
    blocked = verdict(7)
    refusal = refused(blocked, "uplink")
    not_done, done = (
        letters(what, POLICY, replace(TELLING, people=False, zones=frozenset(), operators=1), REGISTER)
        for what in (news(blocked, refusals=[refusal]), news(blocked, put=[blocked]))
    )
    assert [it.key for it in (*not_done, *done)] == [
        f"{blocked.id} begins operators 1 not done",
        f"{blocked.id} begins operators 1",
    ]


def test_of_a_refused_block_only_operators_hear_and_why() -> None:
    blocked = verdict(7)
    made = letters(news(blocked, refusals=[refused(blocked, "uplink")]), POLICY, TELLING, REGISTER)
    assert [letter.to for letter in made] == [*TO_OPERATORS]
    assert made[0].facts.note == "not done: an exemption says so [uplink]"


@pytest.mark.parametrize("penalty", [Notify(), Block()])
def test_of_whoever_is_exempt_nobody_hears(penalty: Penalty) -> None:
    spared = verdict(7, penalty)
    assert told(news(spared, refusals=[refused(spared, "exemption")])) == []


def test_in_observe_mode_only_operators_hear() -> None:
    observing = replace(POLICY, mode=Mode.OBSERVE)
    made = letters(news(verdict(7, Notify())), observing, TELLING, REGISTER)
    assert [letter.to for letter in made] == [*TO_OPERATORS]
    assert made[0].facts.note == "observe mode: nothing is done"


def test_on_a_device_in_observe_mode_nothing_is_done_so_the_person_is_told_nothing() -> None:
    blocked = verdict(7)
    plan = Plan(NOW, observed=(change(blocked),))
    made = letters(News(Decision((blocked,)), plan, world(client(7))), POLICY, TELLING, REGISTER)
    assert [letter.to for letter in made] == [*TO_OPERATORS]
    assert made[0].facts.note == "observe mode: nothing is done"


def test_a_limit_that_is_nobodys_fault_is_told_to_nobody() -> None:
    everybody = replace(verdict(7, RateLimit(1_000_000)), routine=True)
    assert told(news(everybody, put=[everybody])) == []


def test_what_is_no_client_is_for_operators_only() -> None:
    alarm = replace(verdict(7, Notify()), client=ClientId("gateway:gw1"), macs=(), addresses=())
    assert told(news(alarm)) == [*TO_OPERATORS]


def test_whoever_becomes_known_within_the_hour_is_told_all_the_same() -> None:
    earlier, long_ago = (verdict(7, Notify(), since=NOW - ago) for ago in (timedelta(minutes=59), 2 * LATE))
    assert TO_ADA in told(news(earlier))
    assert told(news(long_ago)) == []


def test_asking_twice_names_the_same_letters() -> None:
    what = news(verdict(7, Notify()))
    once, again = (letters(what, POLICY, TELLING, REGISTER) for _ in range(2))
    assert [it.key for it in once] == [it.key for it in again]
    assert len({it.key for it in once}) == 4


@pytest.mark.parametrize(
    ("ends", "hear"),
    [("nobody", []), ("operators", [*TO_OPERATORS]), ("everyone", [TO_ADA, TO_ZONE, *TO_OPERATORS])],
)
def test_who_hears_that_a_penalty_ended_is_configured(ends: Any, hear: list[Addressee]) -> None:
    over = news(decision=Decision((), (Release(verdict(7), "its time is up"),)))
    made = letters(over, POLICY, replace(TELLING, ends=ends), REGISTER)
    assert [(it.to, it.event, it.facts.ended) for it in made] == [(it, "ends", "its time is up") for it in hear]


def test_that_a_notice_ended_is_no_news() -> None:
    over = news(decision=Decision((), (Release(verdict(7, Notify()), "its time is up"),)))
    assert told(over) == []


def test_what_a_person_asked_for_is_told_as_such() -> None:
    asked = request(7)
    made = letters(news(asked, put=[asked]), POLICY, TELLING, REGISTER)
    assert {it.facts.kind for it in made} == {"manual"}


@pytest.mark.parametrize(
    "told_of",
    [
        replace(
            request(7), because="room 12 again, his neighbour eve complained; 577 of 612 sessions go to different hosts"
        ),
        replace(
            verdict(7),
            because="follows a6d626ffd02b, because it is probably what was 02:00:00:00:00:99; 94 % active",
            follows="a6d626ffd02b",
        ),
        replace(verdict(7), because="it seems to use a copy of 02:00:00:00:00:99, which was on sw1 Gi0/1"),
    ],
    ids=["a person's words", "another MAC", "another device"],
)
def test_what_is_not_the_clients_own_business_is_for_operators_alone(told_of: Verdict) -> None:
    (first, *_, last) = letters(news(told_of, put=[told_of]), POLICY, TELLING, REGISTER)
    assert (first.to, first.facts.measured, last.facts.because) == (TO_ADA, "", told_of.because)


def test_of_a_findings_sentence_its_client_reads_its_own_numbers() -> None:
    because = "the table of gw1 is nearly full, and 577 of 612 sessions go to different hosts, 93 % active (10.10.0.9)"
    caught = replace(verdict(7), because=f"on probation after a block of its MAC: {because}")
    (first, *_) = letters(news(caught, put=[caught]), POLICY, TELLING, REGISTER)
    assert first.facts.measured == "577 of 612 sessions go to different hosts, 93 % active"


def test_a_daily_digest_is_due_at_its_hour_of_the_site() -> None:
    berlin = replace(POLICY, zone=ZoneInfo("Europe/Berlin"))
    made = letters(news(verdict(7, Notify())), berlin, replace(TELLING, digest_at=time(7)), REGISTER)
    morning = datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert [(it.to.kind, it.due) for it in made[:3]] == [("person", NOW), ("zone", morning), ("operators", morning)]


# --- people ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "mail"),
    [
        ("alice", "alice@vpn.example.org"),
        ("alice@vpn.example.org", "alice@vpn.example.org"),
        ("alice@elsewhere.example", None),
        ("a b", None),
        ("alice\r\nBcc: x", None),
        ("x,y", None),
        ("", None),
    ],
)
def test_a_vpn_user_has_a_mail_address_by_pattern_if_the_name_makes_one(user: str, mail: str | None) -> None:
    someone = replace(USER, client=ClientId(f"user:{user}"))
    telling = replace(TELLING, operators=0, zones=frozenset(), users="{user}@vpn.example.org")
    assert [it.mail for it in told(news(someone), telling=telling)] == ([mail] if mail else [])


def test_the_registry_knows_better_than_the_pattern() -> None:
    telling = replace(TELLING, operators=0, zones=frozenset(), users="{user}@vpn.example.org")
    known = Register({}, {"alice": Contact("alice@home.example", "de")})
    assert told(news(USER), telling=telling, register=known) == [
        Addressee("person", "alice", "alice@home.example", "de")
    ]


def test_the_pattern_is_for_vpn_users_only() -> None:
    telling = replace(TELLING, operators=0, zones=frozenset(), users="{user}@vpn.example.org")
    assert told(news(verdict(7, Notify())), telling=telling, register=Register({mac(7): "Ada"})) == []


@pytest.mark.parametrize("penalty", [Notify(), Quarantine(99)])
def test_the_owner_of_a_copied_mac_is_not_told_that_it_was_them(penalty: Penalty) -> None:
    """The finding about the port of the copy has the copied MAC, which is registered to its victim."""
    copy = replace(verdict(7, penalty), client=ClientId("interface:sw2 Gi0/5"))
    made = letters(news(copy, put=[copy]), POLICY, TELLING, REGISTER)
    assert [it.to for it in made] == [TO_ZONE, *TO_OPERATORS]
    assert {it.facts.person for it in made} == {""}


def test_a_language_that_nobody_can_write_becomes_the_sites() -> None:
    italian = Register({mac(7): "Ada"}, {"Ada": Contact("ada@example.org", "it")})
    assert told(news(verdict(7, Notify())), register=italian)[0].language == "en"


def test_without_a_mail_server_no_person_is_told() -> None:
    assert told(news(verdict(7, Notify())), telling=replace(TELLING, people=False)) == [TO_ZONE, *TO_OPERATORS]


@pytest.mark.parametrize(
    "text",
    ["", "ada", "a@b@c", "ada@example.org\n", "ada@example.org,bob@x", "Ada <a@b>", "-x@y", "a..b@c", "ä@b", "a@-b c"],
)
def test_what_is_more_or_less_than_one_mail_address_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no mail address"):
        mail_address(text)


def test_two_letters_of_one_penalty_to_one_addressee_are_the_same() -> None:
    one, other = (Letter(TO_ADA, "begins", letters(news(verdict(7, Notify())), POLICY, TELLING, REGISTER)[0].facts, at)
                  for at in (NOW, NOW + LATE))  # fmt: skip
    assert one.key == other.key


# --- for the log -----------------------------------------------------------------------------------------------------


def test_the_log_gets_one_message_of_all_who_were_noticed() -> None:
    first, second = verdict(7, Notify()), verdict(8, Notify())
    plan = Plan(NOW)
    (message,) = notices(Decision((first, second)), plan)
    assert message.subject == "2 clients noticed"
    assert str(ip(7)) not in message.subject
