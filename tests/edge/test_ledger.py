import json
import multiprocessing
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from switchguard.core.changes import Basis, Change, Diff, HeldSlot, Intent, Outcome, Plan, Slot
from switchguard.core.model import ClientId, Gap, Mac, Station
from switchguard.core.outdated import LIFTED, WANTED
from switchguard.core.penalties import Block, Exemption, Notify, PastPenalty, RateLimit, Release, Subject, Verdict
from switchguard.edge import ledger_tables
from switchguard.edge.archive import Archive
from switchguard.edge.ledger import SqlLedger
from switchguard.errors import LedgerError
from switchguard.ports import Ledger

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAC = Mac.parse("02:00:00:00:00:07")
VERDICT = Verdict(
    id="5f0c2a9b77d1",
    client=ClientId(f"mac:{MAC}"),
    rule="swarm",
    penalty=Block(),
    since=AT,
    until=AT + 2 * HOUR,
    because="1,490 of 1,500 sessions go to different hosts, 94 % active",
    macs=(MAC,),
    addresses=(ip_address("10.0.0.7"), ip_address("2001:db8::7")),
)
SLOT = Slot("core1", "block", Station(vlan=10, mac=MAC))
PUT = Change(SLOT, None, Block(), (VERDICT.id,), "swarm")
LIFT = Change(SLOT, Block(), None, (), "its time is up")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "switchguard.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqlLedger]:
    opened = SqlLedger(path, clock=lambda: AT)
    yield opened
    opened.close()


def outcome(change: Change, state: str = "verified", why: str = "") -> Outcome:
    return Outcome(change, state, why, Diff("+mac address-table static", "device"), 1.5)  # type: ignore[arg-type]  # of the three


def whats(ledger: SqlLedger, *targets: str) -> list[str]:
    return [event.what for event in ledger.history(*targets)]


def test_it_is_a_ledger(ledger: SqlLedger) -> None:
    promise: Ledger = ledger
    assert promise.held() == ()


# --- penalties -------------------------------------------------------------------------------------------------------


def test_rule_10_a_verdict_is_kept_with_its_evidence(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    assert ledger.standing() == (VERDICT,)
    (event,) = ledger.history(str(MAC))
    assert (event.at, event.who, event.what, event.why) == (AT, "switchguard", "sentenced", VERDICT.because)


def test_sentencing_again_changes_nothing(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.sentence((VERDICT,), (), AT + HOUR)
    assert ledger.standing() == (VERDICT,)
    assert whats(ledger) == ["sentenced"]


def test_a_changed_verdict_replaces_the_old_one_and_is_told(ledger: SqlLedger) -> None:
    longer = replace(VERDICT, until=AT + 4 * HOUR, requested_by="ada")
    ledger.sentence((VERDICT,), (), AT)
    ledger.sentence((longer,), (), AT + HOUR)
    assert ledger.standing() == (longer,)
    assert [(event.what, event.who) for event in ledger.history()] == [("sentenced", "switchguard"), ("changed", "ada")]


def test_rule_7_a_release_is_not_lost_to_somebody_who_still_lists_the_penalty(ledger: SqlLedger) -> None:
    """The command line lifts it while a cycle of the service, which read the ledger before, is on its way."""
    ledger.sentence((VERDICT,), (), AT)
    ledger.sentence((), (Release(VERDICT, "by hand (ada)"),), AT + HOUR)
    ledger.sentence((VERDICT,), (), AT + HOUR)
    assert ledger.standing() == ()


def test_an_ended_penalty_is_remembered_with_its_end(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.sentence((), (Release(VERDICT, "its time is up"),), AT + 2 * HOUR)
    ledger.sentence((), (Release(VERDICT, "its time is up"),), AT + 3 * HOUR)
    assert ledger.past(AT) == (PastPenalty(VERDICT.client, "swarm", AT, AT + 2 * HOUR, served=False),)
    assert ledger.past(AT + 3 * HOUR) == ()
    assert whats(ledger) == ["sentenced", "ended"]


def test_a_penalty_is_served_once_it_was_seen_on_a_device(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record((outcome(PUT, "failed", "refused"),), AT)
    assert ledger.served() == frozenset()
    ledger.record((outcome(PUT),), AT)
    assert ledger.served() == {VERDICT.id}
    ledger.sentence((), (Release(VERDICT, "its time is up"),), AT + HOUR)
    ledger.intend(Plan(AT + HOUR, (LIFT,)))
    ledger.record((outcome(LIFT),), AT + HOUR)
    assert (ledger.served(), [it.served for it in ledger.past(AT)]) == (frozenset(), [True])


def test_taking_away_what_never_worked_serves_nobody(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record((outcome(PUT, "failed", "no answer"),), AT)
    ledger.sentence((), (Release(VERDICT, "its time is up"),), AT + HOUR)
    ledger.intend(Plan(AT + HOUR, (LIFT,)))
    ledger.record((outcome(LIFT),), AT + HOUR)
    assert [it.served for it in ledger.past(AT)] == [False]


def test_what_was_found_in_place_for_it_serves_a_penalty_too(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, adopted=(Change(SLOT, Block(), Block(), (VERDICT.id,), "swarm"),)))
    assert ledger.served() == {VERDICT.id}


def test_a_place_that_is_lost_and_put_back_for_the_next_penalty_serves_that_one_too(ledger: SqlLedger) -> None:
    """The same words as the last time, about somebody else's doing."""
    again = replace(VERDICT, id="7d91c2a9b5f0", since=AT + 2 * HOUR)
    ledger.sentence((VERDICT, again), (), AT)
    for at, verdict in ((AT, VERDICT), (AT + 2 * HOUR, again)):
        put = replace(PUT, verdicts=(verdict.id,))
        ledger.intend(Plan(at, (put,)))
        ledger.record((outcome(put),), at)
    assert ledger.served() == {VERDICT.id, again.id}


def test_a_notice_is_served_by_being_told(ledger: SqlLedger) -> None:
    told = replace(VERDICT, penalty=Notify())
    watched = replace(told, id="7d91c2a9b5f0", observed=True)
    ledger.sentence((told, watched), (), AT)
    ledger.sentence((), (Release(told, "its time is up"), Release(watched, "its time is up")), AT + HOUR)
    assert [it.served for it in ledger.past(AT)] == [True, False]


def everybodys(number: int, ended: datetime | None = None, rule: str = "everyone") -> Verdict:
    """A limit for everybody, as it stands or has stood."""
    mac = Mac(0x020000001000 + number)
    client, limit = ClientId(f"mac:{mac}"), RateLimit(10**6)
    since = AT if ended is None else ended - HOUR
    return Verdict(f"{rule}{number}", client, rule, limit, since, since + HOUR, "for all", (mac,), routine=True)


def ends(ledger: SqlLedger, verdict: Verdict, at: datetime) -> None:
    ledger.sentence((verdict,), (), verdict.since)
    ledger.sentence((), (Release(verdict, "its time is up"),), at)


def test_what_was_nobodys_fault_is_not_among_the_past_unless_asked_for(ledger: SqlLedger) -> None:
    ends(ledger, VERDICT, AT + HOUR)
    for number, rule in enumerate(("everyone", "tiers")):
        ends(ledger, everybodys(number, AT + HOUR, rule), AT + HOUR)
    told = {names: {it.rule for it in ledger.past(AT, names)} for names in (None, (), ("tiers",))}
    assert told == {None: {"swarm", "everyone", "tiers"}, (): {"swarm"}, ("tiers",): {"swarm", "tiers"}}


def test_what_was_nobodys_fault_is_forgotten_in_time_and_nothing_else_is(ledger: SqlLedger) -> None:
    old, young, standing = everybodys(1, AT), everybodys(2, AT + 5 * HOUR), everybodys(3)
    ends(ledger, old, AT)
    ends(ledger, young, AT + 5 * HOUR)
    ends(ledger, VERDICT, AT)
    ledger.sentence((standing,), (), AT)
    assert ledger.forget_routine(AT + 2 * HOUR) == 1
    assert ledger.forget_routine(AT + 2 * HOUR) == 0
    known = {record.verdict.id for record in ledger.penalties(include_released=True)}
    assert known == {young.id, standing.id, VERDICT.id}
    assert whats(ledger, old.id) == whats(ledger, old.client) == []
    assert whats(ledger, young.id) == whats(ledger, VERDICT.id) == ["sentenced", "ended"]


def test_a_rule_that_grows_keeps_its_own_for_longer(ledger: SqlLedger) -> None:
    for number, rule in enumerate(("everyone", "registered")):
        ends(ledger, everybodys(number, AT, rule), AT)
    assert ledger.forget_routine(AT + 2 * HOUR, ("registered",), AT - HOUR) == 1
    assert [it.rule for it in ledger.past(AT)] == ["registered"]
    assert ledger.forget_routine(AT + 2 * HOUR, ("registered",), AT + HOUR) == 1


def test_what_is_on_a_device_still_is_not_forgotten(ledger: SqlLedger) -> None:
    limit = everybodys(7, AT)
    put = replace(PUT, after=limit.penalty, verdicts=(limit.id,))
    ledger.sentence((limit,), (), AT - HOUR)
    ledger.intend(Plan(AT, (put,)))
    ledger.record((outcome(put),), AT)
    ledger.sentence((), (Release(limit, "its time is up"),), AT)
    assert ledger.forget_routine(AT + HOUR) == 0
    lift = replace(LIFT, before=limit.penalty)
    ledger.intend(Plan(AT, (lift,)))
    ledger.record((outcome(lift),), AT)
    assert ledger.forget_routine(AT + HOUR) == 1
    assert ledger.history() == ()


def test_what_people_did_and_what_is_told_of_others_too_stays(ledger: SqlLedger) -> None:
    limit = everybodys(7, AT)
    both = replace(PUT, verdicts=(limit.id, VERDICT.id))
    ledger.sentence((limit, VERDICT), (), AT - HOUR)
    ledger.intend(Plan(AT, (both,)))
    ledger.record((outcome(both), outcome(LIFT)), AT)
    ledger.intend(Plan(AT, (LIFT,)))
    ledger.record((outcome(LIFT),), AT)
    assert ledger.let_back((Release(limit, "its own wish"),), (), "ada", AT, 3)
    assert ledger.forget_routine(AT + HOUR) == 1
    assert "let back" in whats(ledger, limit.id)
    assert "verified" in whats(ledger, VERDICT.id)
    assert "sentenced" not in whats(ledger, limit.id)


def test_the_state_of_a_penalty_is_that_of_its_places(ledger: SqlLedger) -> None:
    def state() -> str:
        (record,) = ledger.penalties(include_released=True)
        return record.state

    ledger.sentence((VERDICT,), (), AT)
    seen = [state()]
    ledger.intend(Plan(AT, (PUT,)))
    seen.append(state())
    ledger.pushed((PUT,), AT)
    seen.append(state())
    ledger.record((outcome(PUT, "failed", "refused"),), AT)
    seen.append(state())
    ledger.record((outcome(PUT),), AT)
    seen.append(state())
    ledger.sentence((), (Release(VERDICT, "its time is up"),), AT)
    seen.append(state())
    ledger.intend(Plan(AT, (LIFT,)))
    ledger.record((outcome(LIFT),), AT)
    seen.append(state())
    assert seen == ["unplaced", "planned", "pushed", "failed", "verified", "releasing", "released"]
    assert ledger.penalties() == ()


# --- slots -----------------------------------------------------------------------------------------------------------


def test_a_slot_remembers_since_when_and_for_whom_it_is_held(ledger: SqlLedger) -> None:
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record((outcome(PUT),), AT)
    ledger.intend(Plan(AT + HOUR, (LIFT,)))
    assert ledger.held() == (HeldSlot(SLOT, Block(), "releasing", (VERDICT.id,), AT),)


def test_a_slot_with_another_value_is_held_since_then(ledger: SqlLedger) -> None:
    slot = Slot("gw1", "limit", address=ip_address("10.0.0.7"))
    first, second = RateLimit(64_000), RateLimit(32_000)
    ledger.intend(Plan(AT, (Change(slot, None, first, ("v1",)),)))
    ledger.intend(Plan(AT + HOUR, (Change(slot, first, second, ("v1", "v2")),)))
    assert ledger.held() == (HeldSlot(slot, second, "planned", ("v1", "v2"), AT + HOUR),)


def test_a_slot_is_found_as_it_was_written_before_there_were_subnets(ledger: SqlLedger, path: Path) -> None:
    ledger.intend(Plan(AT, (PUT,)))
    with sqlite3.connect(path) as raw:
        ((text,),) = raw.execute("SELECT slot FROM slots")
    raw.close()
    assert json.loads(text).keys() == {"device", "kind", "station", "address"}


def test_a_subnet_is_held_beside_its_first_address(ledger: SqlLedger) -> None:
    address, subnet = Slot("gw1", "block", address=ip_address("192.0.2.0")), ip_network("192.0.2.0/24")
    both = (address, Slot("gw1", "block", network=subnet))
    changes = tuple(Change(slot, None, Block("address"), ("v1",)) for slot in both)
    ledger.intend(Plan(AT, changes))
    ledger.record([outcome(change) for change in changes], AT)
    assert {held.slot for held in ledger.held()} == set(both)
    assert whats(ledger, str(subnet)) == ["verified"]


def test_a_failed_release_is_still_to_be_done_and_a_refused_one_too(ledger: SqlLedger) -> None:
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record((outcome(PUT),), AT)
    ledger.intend(Plan(AT, (LIFT,)))
    ledger.pushed((LIFT,), AT)
    ledger.record((outcome(LIFT, "failed", "refused"), outcome(LIFT, "refused", "paused")), AT)
    assert [held.state for held in ledger.held()] == ["releasing"]


def test_what_was_put_there_meanwhile_is_not_dropped_with_the_release(ledger: SqlLedger) -> None:
    """Somebody blocks the client by hand while the service reads back that the old block is gone."""
    ledger.intend(Plan(AT, (LIFT,)))
    ledger.intend(Plan(AT, (replace(PUT, verdicts=("by hand",)),)))
    ledger.record((outcome(LIFT),), AT)
    assert [(held.state, held.verdicts) for held in ledger.held()] == [("planned", ("by hand",))]


def test_rule_7_a_push_whose_outcome_was_lost_is_adopted(ledger: SqlLedger) -> None:
    ledger.intend(Plan(AT, (PUT,)))
    ledger.intend(Plan(AT + HOUR, adopted=(PUT,)))
    assert [held.state for held in ledger.held()] == ["verified"]
    assert whats(ledger, "core1") == ["adopted"]


def test_rule_7_a_slot_that_is_empty_and_wanted_no_more_is_forgotten(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.intend(Plan(AT + HOUR, forgotten=(SLOT,)))
    ledger.intend(Plan(AT + HOUR, forgotten=(SLOT,)))
    assert ledger.held() == ()
    assert whats(ledger, VERDICT.id) == ["sentenced", "forgotten"]


# --- what was decided in the meantime --------------------------------------------------------------------------------

BY_HAND = replace(VERDICT, id="by hand", rule="manual", requested_by="ada")
WHOM = Subject(VERDICT, (MAC,), VERDICT.addresses, (), frozenset({MAC}), frozenset(VERDICT.addresses), frozenset())


def made(ledger: SqlLedger, *changes: Change, forgotten: tuple[Slot, ...] = ()) -> Plan:
    """As the planner makes it of what the ledger says now."""
    known = ledger.exemptions(AT)
    assert not isinstance(known, Gap)
    return Plan(AT, changes, forgotten=forgotten, basis=Basis(ledger.held(), known, (WHOM,)))


def adopts(ledger: SqlLedger, *verdicts: Verdict) -> None:
    """A penalty that finds the place filled by another one, as by `block` in another window."""
    ledger.sentence(verdicts, (), AT)
    ledger.intend(Plan(AT, adopted=(Change(SLOT, Block(), Block(), (VERDICT.id, *(it.id for it in verdicts))),)))


def test_a_block_of_what_was_lifted_since_the_plan_is_not_meant(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    plan = made(ledger, PUT)
    ledger.sentence((), (Release(VERDICT, "by hand (ada)"),), AT)
    assert ledger.outdated(plan) == {PUT: LIFTED}
    assert ledger.intend(plan) == Intent((), {PUT: LIFTED})
    assert ledger.held() == ()


def test_a_release_of_what_another_penalty_needs_since_the_plan_is_not_meant(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record((outcome(PUT),), AT)
    plan = made(ledger, LIFT)
    adopts(ledger, BY_HAND)
    ledger.sentence((), (Release(VERDICT, "by hand (bob)"),), AT)
    assert ledger.intend(plan).outdated == {LIFT: WANTED}
    assert [(it.state, it.verdicts) for it in ledger.held()] == [("verified", (VERDICT.id, BY_HAND.id))]


def test_whoever_was_exempted_since_the_plan_is_not_blocked(ledger: SqlLedger) -> None:
    plan = made(ledger, PUT)
    ledger.add_exemption(Exemption("e1", "speaker", mac=MAC), "ada")
    ledger.sentence((VERDICT,), (), AT)
    assert list(ledger.intend(plan).outdated) == [PUT]
    assert ledger.held() == ()


def test_a_slot_that_was_filled_anew_is_not_forgotten(ledger: SqlLedger) -> None:
    """Else what stands there would be nobody's, and never lifted."""
    ledger.intend(Plan(AT, (LIFT,)))
    plan = made(ledger, forgotten=(SLOT,))
    ledger.sentence((BY_HAND,), (), AT)
    ledger.intend(Plan(AT, (replace(PUT, verdicts=(BY_HAND.id,)),)))
    ledger.intend(plan)
    assert [it.verdicts for it in ledger.held()] == [(BY_HAND.id,)]


def test_what_somebody_else_has_put_there_is_disowned_and_told(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.disown((outcome(PUT, "refused", "not ours to touch"),), AT)
    assert (ledger.held(), whats(ledger, "core1")) == ((), ["refused"])


def test_what_another_pass_has_pushed_is_not_disowned_and_what_was_is_ours_once_it_stands(ledger: SqlLedger) -> None:
    refusal = outcome(PUT, "refused", "moved")
    ledger.intend(Plan(AT, (PUT,)))
    ledger.pushed((PUT,), AT)
    ledger.disown((refusal,), AT)
    assert [it.state for it in ledger.held()] == ["pushed"]
    ledger.intend(Plan(AT, (PUT,)))
    ledger.disown((refusal,), AT)
    ledger.record((outcome(PUT),), AT)
    assert [(it.state, it.verdicts) for it in ledger.held()] == [("verified", (VERDICT.id,))]


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_whole_story_is_found_by_any_name_of_the_client(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record((outcome(PUT),), AT + HOUR)
    ledger.sentence((), (Release(VERDICT, "its time is up"),), AT + 2 * HOUR)
    ledger.intend(Plan(AT, (LIFT,)))
    ledger.record((outcome(LIFT),), AT + 2 * HOUR)
    story = ["sentenced", "verified", "ended", "verified"]
    for name in ("0200.0000.0007", "10.0.0.7", "2001:DB8:0::7", VERDICT.client, VERDICT.id):
        assert whats(ledger, name) == story
    assert whats(ledger, "core1") == ["verified", "verified"]
    assert whats(ledger, "02:00:00:00:00:08") == []


def test_the_lines_of_a_push_are_in_the_history(ledger: SqlLedger) -> None:
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record((outcome(PUT),), AT)
    (event,) = ledger.history("core1")
    assert event.detail["diff"] == {"text": "+mac address-table static", "source": "device"}
    assert event.detail["seconds"] == 1.5


def test_a_failure_that_repeats_every_minute_is_told_once(ledger: SqlLedger) -> None:
    for state, why in [("failed", "no answer"), ("failed", "no answer"), ("failed", "refused"), ("verified", "")]:
        ledger.intend(Plan(AT, (PUT,)))
        ledger.record((outcome(PUT, state, why),), AT)
    assert [(event.what, event.why) for event in ledger.history()] == [
        ("failed", "no answer"),
        ("failed", "refused"),
        ("verified", "swarm"),
    ]


def test_the_newest_of_a_long_history_come_in_order(ledger: SqlLedger) -> None:
    for number in range(5):
        ledger.sentence((replace(VERDICT, id=str(number)),), (), AT + number * HOUR)
    assert [event.at for event in ledger.history(limit=2)] == [AT + 3 * HOUR, AT + 4 * HOUR]


# --- exemptions ------------------------------------------------------------------------------------------------------

ENCODER = Exemption("e1", "keynote encoder", mac=MAC, until=AT + HOUR)
SERVERS = Exemption("e2", "servers", network=ip_network("10.10.0.0/28"))


def test_an_exemption_counts_until_its_end(ledger: SqlLedger) -> None:
    ledger.add_exemption(ENCODER, "ada")
    ledger.add_exemption(SERVERS, "ada")
    assert ledger.exemptions(AT) == (ENCODER, SERVERS)
    assert ledger.exemptions(AT + HOUR) == (SERVERS,)


def test_an_exemption_can_be_changed_and_removed_and_the_history_says_by_whom(ledger: SqlLedger) -> None:
    ledger.add_exemption(ENCODER, "ada")
    ledger.add_exemption(replace(ENCODER, until=None), "ada")
    assert ledger.exemptions(AT + HOUR) == (replace(ENCODER, until=None),)
    assert ledger.remove_exemption("e1", "bob", "over")
    assert not ledger.remove_exemption("e1", "bob", "over")
    assert ledger.exemptions(AT) == ()
    events = [(event.what, event.who, event.why) for event in ledger.history(str(MAC))]
    told = ("exempted", "ada", "keynote encoder")
    assert events == [told, told, ("unexempted", "bob", "over")]


def test_rule_1_exemptions_that_cannot_be_read_are_a_gap(ledger: SqlLedger, path: Path) -> None:
    ledger.add_exemption(ENCODER, "ada")
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE exemptions SET exemption = '{\"id\": 7}'")
    raw.close()
    gap = ledger.exemptions(AT)
    assert isinstance(gap, Gap)
    assert str(path) in gap.why


# --- cycles, pause ---------------------------------------------------------------------------------------------------


def test_streaks_are_those_of_the_last_cycle(ledger: SqlLedger) -> None:
    assert ledger.last_cycle() is None
    ledger.remember(AT, {("swarm", "mac:1"): 1, ("swarm", "mac:2"): 3})
    ledger.remember(AT + HOUR, {("swarm", "mac:2"): 4})
    assert ledger.streaks() == {("swarm", "mac:2"): 4}
    assert ledger.last_cycle() == AT + HOUR
    ledger.remember(AT + HOUR, {})
    assert ledger.streaks() == {}


def test_a_pause_says_why_and_by_whom(ledger: SqlLedger) -> None:
    assert ledger.paused() is None
    ledger.pause("keynote until noon", "ada")
    assert ledger.paused() == "keynote until noon (ada, 2026-05-01T12:00:00+00:00)"
    assert ledger.resume("bob")
    assert not ledger.resume("bob")
    assert ledger.paused() is None
    assert [(event.what, event.who) for event in ledger.history()] == [("paused", "ada"), ("resumed", "bob")]


@pytest.mark.parametrize("note", ["{}", "7", '{"why": "keynote"}', '"keynote"'])
def test_a_pause_that_makes_no_sense_is_an_error_and_can_be_ended(ledger: SqlLedger, path: Path, note: str) -> None:
    ledger.pause("keynote until noon", "ada")
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE notes SET value = ? WHERE name = 'pause'", [note])
    with pytest.raises(LedgerError, match="whether writes are paused makes no sense"):
        ledger.paused()
    assert ledger.resume("bob")
    assert ledger.paused() is None


def test_the_running_service_leaves_its_status(ledger: SqlLedger) -> None:
    assert ledger.status() is None
    ledger.save_status({"pid": 7, "at": AT.isoformat(), "gaps": []})
    ledger.save_status({"pid": 8, "gaps": ["core1"]})
    assert ledger.status() == {"pid": 8, "gaps": ["core1"]}


# --- the store -------------------------------------------------------------------------------------------------------


def test_everything_survives_a_restart(ledger: SqlLedger, path: Path) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    again = SqlLedger(path)
    assert (again.standing(), again.held()) == (ledger.standing(), ledger.held())
    again.close()


def test_commits_reach_the_disk(path: Path) -> None:
    store = ledger_tables.Store(path)
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    store.close()


def test_a_url_is_taken_as_well(path: Path) -> None:
    path.parent.mkdir()
    by_url = SqlLedger(f"sqlite:///{path}")
    by_url.pause("by url", "ada")
    by_path = SqlLedger(path)
    assert by_path.paused() == by_url.paused()
    by_url.close()
    by_path.close()


@pytest.mark.parametrize("url", ["nosuchdatabase://x", "://", "sqlite:////proc/none/x.db"])
def test_a_store_that_cannot_be_opened_is_a_sentence(url: str) -> None:
    with pytest.raises(LedgerError, match=r"^ledger "):
        SqlLedger(url)


def test_a_password_in_a_url_is_not_told() -> None:
    with pytest.raises(LedgerError) as caught:
        SqlLedger("nosuchdatabase://ada:secret@db/switchguard")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_ledger_is_a_sentence_with_its_name(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(LedgerError, match=r"switchguard\.db: file is not a database"):
        SqlLedger(path)


def test_a_ledger_that_breaks_while_running_is_a_sentence_and_its_exemptions_a_gap(
    ledger: SqlLedger, path: Path
) -> None:
    ledger.close()
    for leftover in path.parent.glob("*-wal"):
        leftover.unlink()
    path.write_bytes(b"\0" * 8192)
    with pytest.raises(LedgerError, match=r"switchguard\.db"):
        ledger.standing()
    assert isinstance(ledger.exemptions(AT), Gap)


def version_1(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as raw:
        raw.executescript((Path(__file__).parent / "ledger_v1.sql").read_text())
    raw.close()


def test_a_ledger_of_version_1_is_brought_up_to_date_and_keeps_what_it_has(path: Path) -> None:
    version_1(path)
    old = SqlLedger(path)
    assert [verdict.id for verdict in old.standing()] == ["v1"]
    old.close()
    SqlLedger(path).close()


def test_a_ledger_of_version_2_keeps_who_used_how_much(path: Path) -> None:
    version_1(path)
    with sqlite3.connect(path) as raw:
        raw.executescript((Path(__file__).parent / "ledger_v2.sql").read_text())
    raw.close()
    old = SqlLedger(path)
    ((start, end, used),) = Archive(old.store).spans_of(ClientId("mac:02:00:00:00:00:07"), AT, AT + HOUR)
    assert (start, end) == (AT, AT)
    assert (used.sessions, used.remotes, used.factor, used.octets) == (700, 690, 0.97, 0)
    old.close()
    SqlLedger(path).close()


def test_an_older_ledger_learns_what_was_nobodys_fault(path: Path) -> None:
    ledger = SqlLedger(path)
    ends(ledger, everybodys(1, AT), AT)
    ends(ledger, VERDICT, AT)
    ledger.close()
    with sqlite3.connect(path) as raw:
        for statement in ("DROP INDEX penalties_by_end", "ALTER TABLE penalties DROP COLUMN rule"):
            raw.execute(statement)
        raw.execute("ALTER TABLE penalties DROP COLUMN routine")
        raw.execute("UPDATE schema_version SET version = 5")
    raw.close()
    ledger = SqlLedger(path)
    assert [it.rule for it in ledger.past(AT, ())] == ["swarm"]
    assert ledger.forget_routine(AT + HOUR) == 1
    ledger.close()


def test_migrating_and_creating_lead_to_the_same_tables(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "ledger.db", tmp_path / "new" / "ledger.db"
    version_1(old)
    for path in (old, new):
        SqlLedger(path).close()
    assert shape(old) == shape(new)


def shape(path: Path) -> dict[str, object]:
    engine = create_engine(f"sqlite:///{path}")
    inspector = inspect(engine)
    found: dict[str, object] = {
        table: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted((str(index["name"]), tuple(index["column_names"])) for index in inspector.get_indexes(table)),
        )
        for table in inspector.get_table_names()
    }
    engine.dispose()
    return found


def test_a_ledger_from_the_future_is_left_alone(ledger: SqlLedger, path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE schema_version SET version = 99")
    raw.close()
    with pytest.raises(LedgerError, match=rf"{path}: has schema 99, from a newer switchguard; this one knows up to"):
        SqlLedger(path)


# --- two processes ---------------------------------------------------------------------------------------------------


def write_much(path: str, writer: int) -> None:
    ledger = SqlLedger(path)
    for number in range(15):
        verdict = replace(VERDICT, id=f"{writer}-{number}")
        ledger.sentence((verdict,), (), AT)
        ledger.intend(Plan(AT, (replace(PUT, slot=replace(SLOT, device=f"{writer}-{number}")),)))
        assert verdict in ledger.standing()
    ledger.close()


def test_several_processes_open_and_write_one_ledger_at_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_much, args=(str(path), writer)) for writer in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    ledger = SqlLedger(path)
    assert len(ledger.standing()) == len(ledger.held()) == len(ledger.history()) == 45
    ledger.close()


# --- what could not be lifted ----------------------------------------------------------------------------------------


def hold(ledger: SqlLedger) -> None:
    """Verified, then ended, and its device did not answer."""
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.record([outcome(PUT)], AT)
    ledger.sentence((), (Release(VERDICT, "its time is up"),), AT + HOUR)


def test_a_penalty_that_has_ended_is_listed_until_it_is_off_its_device(ledger: SqlLedger) -> None:
    hold(ledger)
    assert ledger.standing() == ()
    (record,) = ledger.penalties()
    assert (record.verdict, record.released_at, record.state) == (VERDICT, AT + HOUR, "releasing")
    ledger.intend(Plan(AT + HOUR, (LIFT,)))
    ledger.record([outcome(LIFT)], AT + HOUR)
    assert ledger.penalties() == ()


def test_what_was_on_a_device_that_is_gone_is_forgotten_with_who_said_so(ledger: SqlLedger) -> None:
    hold(ledger)
    assert ledger.forget_device("core9", "ada", "sold") == ()
    (gone,) = ledger.forget_device("core1", "ada", "sold")
    assert (gone.slot, ledger.held(), ledger.penalties()) == (SLOT, (), ())
    *_, event = ledger.history(str(MAC))
    assert (event.who, event.what, event.why) == ("ada", "forgotten", "sold")
    assert {VERDICT.id, "core1"} <= set(event.subjects)


def test_what_has_not_ended_outlives_the_device_it_was_on(ledger: SqlLedger) -> None:
    ledger.sentence((VERDICT,), (), AT)
    ledger.intend(Plan(AT, (PUT,)))
    ledger.forget_device("core1", "ada", "sold")
    assert [(it.verdict, it.state) for it in ledger.penalties()] == [(VERDICT, "unplaced")]
