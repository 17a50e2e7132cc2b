"""The page over a real ledger: one's own case, the button, and everything that somebody may try."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from reception import CONTACT, CULPRIT, GRANTED, MACS, MINUTE, NEIGHBOUR, NOW, Reception, address_of, verdict

from switchguard.core.changes import Change, Plan, Slot
from switchguard.core.decide import decide
from switchguard.core.model import Mac
from switchguard.core.penalties import Block, Notify, PastPenalty, Quarantine, RateLimit, Release, SessionCap
from switchguard.core.policy import Probation
from switchguard.core.visitors import Case, Landing, LetMeBack, let_back
from switchguard.web.landing import API

CLEAR = "Nothing is held against you"
CAPPED = "Your device is limited to 50 connections at a time"


def token(reception: Reception, address: str = CULPRIT) -> str:
    found = re.search(r'name="token" value="([^"]+)"', reception.text(address))
    assert found is not None, "there is no button"
    return found[1]


# --- one's own case --------------------------------------------------------------------------------------------------


def test_a_client_reads_why_since_when_until_when_and_what_to_do(reception: Reception) -> None:
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    page = reception.text()
    for words in (CAPPED, "today at 14:02", "today at 16:02", "1,490 different computers", "peer exchange", CONTACT):
        assert words in page


def test_a_neighbour_reads_nothing_of_it(reception: Reception) -> None:
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    for address in (NEIGHBOUR, "10.10.0.200", "2001:db8::7", "127.0.0.1"):
        page = reception.text(address)
        assert CLEAR in page
        assert "connections" not in page


def test_whoever_takes_over_an_address_reads_nothing_of_the_one_before(reception: Reception) -> None:
    reception.sentence(verdict(SessionCap(50)))
    reception.look({CULPRIT: Mac.parse("02:00:00:00:00:33"), "10.10.0.50": MACS[CULPRIT]})
    assert CLEAR in reception.text(CULPRIT)
    assert CAPPED in reception.text("10.10.0.50")


def test_a_penalty_of_this_very_minute_is_told_before_the_next_look(reception: Reception) -> None:
    reception.look()
    reception.sentence(verdict(SessionCap(50), since=NOW))
    assert CAPPED in reception.text()


def test_nothing_is_told_of_what_is_only_observed(reception: Reception) -> None:
    reception.sentence(verdict(Block()), on_device=False)
    reception.look()
    assert CLEAR in reception.text()


def test_a_notice_needs_no_device(reception: Reception) -> None:
    reception.sentence(verdict(Notify(), "early"))
    reception.look()
    assert "A friendly notice" in reception.text()


def test_old_knowledge_is_none(reception: Reception) -> None:
    assert reception.get().status_code == 503
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    reception.now += timedelta(minutes=16)
    page = reception.get()
    assert (page.status_code, "We cannot tell right now" in page.text, CAPPED in page.text) == (503, True, False)


def test_after_a_change_of_addresses_probation_is_its_clients_and_not_the_neighbours(reception: Reception) -> None:
    """The pass that begins it decides some seconds after its tables were read."""
    caught = verdict(SessionCap(50), until=NOW)
    reception.sentence(caught)
    decided = decide((), [caught], (), reception.policy, NOW + timedelta(seconds=5))
    (watched,) = decided.standing
    reception.ledger.sentence(decided.standing, decided.released, watched.since)
    put = Change(Slot("gw1", "cap", address=address_of("10.10.0.50")), None, watched.penalty, (watched.id,))
    reception.ledger.intend(Plan(NOW, (put,)))
    reception.lift()
    reception.look({CULPRIT: MACS[NEIGHBOUR], "10.10.0.50": MACS[CULPRIT]})
    assert CLEAR in reception.text(CULPRIT)
    assert "limited to 200 connections" in reception.text("10.10.0.50")


@pytest.mark.parametrize(
    ("wanted", "title"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "Gegen Sie liegt nichts vor"),
        ("fr", "Rien ne vous est reproché"),
        ("es-MX, en;q=0.1", "No hay nada en su contra"),
        ("sv, ja;q=0.5", CLEAR),
        ("de;q=0, fr;q=0.1", "Rien ne vous est reproché"),
        ("", CLEAR),
        ("\x00;;q=", CLEAR),
    ],
)
def test_the_language_is_the_visitors(reception: Reception, wanted: str, title: str) -> None:
    reception.look()
    assert title in reception.get(Accept_Language=wanted).text


def test_whoever_speaks_none_of_the_languages_reads_the_sites_own(tmp_path: Path) -> None:
    reception = Reception(tmp_path, Landing(language="de"))
    reception.look()
    assert "Gegen Sie liegt nichts vor" in reception.get(Accept_Language="sv").text
    assert CLEAR in reception.get(Accept_Language="en").text
    assert CLEAR in Reception(tmp_path, Landing(language="tlh")).get(Accept_Language="sv").text


def test_a_language_may_be_chosen_on_the_page(reception: Reception) -> None:
    reception.look()
    assert "Rien ne vous" in reception.get("/?lang=fr", Accept_Language="de").text
    assert "Gegen Sie" in reception.get("/?lang=<script>", Accept_Language="de").text


# --- the button ------------------------------------------------------------------------------------------------------


def test_the_button_lets_back_in_at_the_next_pass_and_probation_follows(reception: Reception) -> None:
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    pressed = reception.press(token(reception), path="/let-me-back?lang=de")
    assert (pressed.status_code, pressed.headers["Location"]) == (303, "/?lang=de")
    (watched,) = reception.ledger.standing()
    assert (watched.penalty, watched.probation, watched.until) == (SessionCap(200), True, NOW + MINUTE)
    assert [it.penalty for it in reception.ledger.held()] == [SessionCap(50)], "devices are the service's business"
    assert "You are being let back in" in reception.text()
    reception.lift()
    reception.look()
    assert CLEAR in reception.text()


def test_it_is_on_record_as_the_persons_own_request(reception: Reception) -> None:
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    reception.press(token(reception))
    told = [event for event in reception.ledger.history(str(MACS[CULPRIT])) if event.what == "let back"]
    assert [(event.who, event.at, event.why) for event in told] == [
        (f"whoever is at {CULPRIT}", NOW, "fixed, its user says: let back in at the own wish")
    ]
    assert reception.ledger.past(NOW - timedelta(days=1)) == (
        PastPenalty(verdict(SessionCap(50)).client, "swarm", NOW - 28 * MINUTE, NOW),
    ), "it counts as an offence, so that the next time lasts longer"


def test_the_rule_counts_from_the_beginning(reception: Reception) -> None:
    client = verdict(SessionCap(50)).client
    reception.ledger.remember(NOW, {("swarm", client): 9, ("swarm", "mac:other"): 2})
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    reception.press(token(reception))
    assert reception.ledger.streaks() == {("swarm", "mac:other"): 2}


def again(reception: Reception, number: int) -> None:
    """The same client is caught once more."""
    reception.lift()
    reception.sentence(verdict(SessionCap(50), id=f"again-{number}"))
    reception.look()


def test_so_many_times_a_day_and_no_more(reception: Reception) -> None:
    again(reception, 0)
    assert "Possible 2 more times" in reception.text()
    first = token(reception)
    assert reception.press(first).status_code == 303
    reception.now += timedelta(hours=1)
    again(reception, 1)
    assert "Possible once more" in reception.text()
    assert reception.press(token(reception)).status_code == 303
    again(reception, 2)
    assert "as often as is possible" in reception.text()
    assert "<form" not in reception.text()
    assert reception.press(first).status_code == 409, "a form that was kept does not help"
    reception.now += timedelta(hours=23, minutes=30)
    again(reception, 3)
    assert "Possible once more" in reception.text()


def test_a_changed_address_makes_no_new_client(reception: Reception) -> None:
    again(reception, 0)
    assert reception.press(token(reception)).status_code == 303
    reception.lift()
    reception.sentence(verdict(SessionCap(50), id="again-1"))
    reception.look({"10.10.0.50": MACS[CULPRIT]})
    assert "Possible once more" in reception.text("10.10.0.50")


def test_many_presses_at_once_are_counted_one_by_one(tmp_path: Path) -> None:
    reception = Reception(tmp_path, replace(GRANTED, let_me_back=LetMeBack(1)))
    again(reception, 0)
    pressed = token(reception)
    with ThreadPoolExecutor(5) as pool:
        answers = [it.status_code for it in pool.map(lambda _: reception.press(pressed), range(5))]
    assert answers == [303] * 5, "whoever taps twice is let back in, and is not told that it was refused"
    assert len([it for it in reception.ledger.history() if it.what == "let back"]) == 1


def test_two_presses_of_the_same_moment_are_one_wish_with_one_probation(reception: Reception) -> None:
    """The second one was read before the first one was written down."""
    again(reception, 0)
    (caught,) = reception.ledger.standing()
    case = Case(caught, "naughty_factor", "in force")
    for later in (timedelta(0), timedelta(microseconds=1)):
        lifted, watched = let_back([case], reception.policy, LetMeBack(), NOW + later)
        assert reception.ledger.let_back(lifted, watched, "a visitor", NOW + later, per_day=2)
    assert [it.since for it in reception.ledger.standing()] == [NOW]
    assert reception.ledger.wishes(lifted, NOW + MINUTE) == 1


def test_what_somebody_else_lifted_in_the_meantime_gets_no_probation(reception: Reception) -> None:
    swarm, probing = verdict(SessionCap(50)), verdict(SessionCap(50), "probing")
    reception.sentence(swarm, probing)
    cases = [Case(swarm, "naughty_factor", "in force"), Case(probing, "connections", "in force")]
    own = LetMeBack(2, Probation(SessionCap(200), MINUTE))
    lifted, watched = let_back(cases, reception.policy, own, NOW)
    reception.ledger.sentence((), [Release(swarm, "by hand")], NOW)
    assert reception.ledger.let_back(lifted, watched, "a visitor", NOW, per_day=2)
    assert [(it.rule, it.probation) for it in reception.ledger.standing()] == [("probing", True)]


def test_a_new_mac_of_the_same_device_brings_no_new_wishes(reception: Reception) -> None:
    """The neighbour's MAC is the same device: the penalty went over to it."""
    own = verdict(SessionCap(50), id="own", since=NOW)
    over = verdict(SessionCap(50), address=NEIGHBOUR, id="over", since=NOW, follows="own")
    reception.sentence(own, over)
    reception.look()
    assert reception.press(token(reception)).status_code == 303
    reception.lift()
    reception.now += MINUTE
    assert "Possible once more" in reception.text(NEIGHBOUR)
    assert reception.press(token(reception, NEIGHBOUR), NEIGHBOUR).status_code == 303
    again(reception, 1)
    assert "as often as is possible" in reception.text(), "nor has the device more wishes with its first MAC"


def test_there_is_no_button_unless_the_site_grants_it(tmp_path: Path) -> None:
    reception = Reception(tmp_path, Landing())
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    assert "<form" not in reception.text()
    good = Reception(tmp_path / "other").page().tokens.make(verdict(SessionCap(50)).addresses[0], NOW)
    assert reception.press(good).status_code == 403
    assert len(reception.ledger.standing()) == 1


def test_what_a_person_asked_for_has_no_button(reception: Reception) -> None:
    reception.sentence(verdict(Block(), "manual", requested_by="ada"))
    reception.look()
    assert "<form" not in reception.text()


def test_with_two_penalties_only_what_may_be_lifted_is(reception: Reception) -> None:
    manual = verdict(Block(), "manual", requested_by="ada")
    reception.sentence(verdict(SessionCap(50)), manual)
    reception.look()
    assert reception.press(token(reception)).status_code == 303
    assert manual in reception.ledger.standing()


def test_the_pages_own_probation_is_the_policys(tmp_path: Path) -> None:
    own = LetMeBack(1, Probation(RateLimit(1_000_000), timedelta(hours=1)))
    reception = Reception(tmp_path, Landing(let_me_back=own))
    again(reception, 0)
    reception.press(token(reception))
    assert [it.penalty for it in reception.ledger.standing()] == [RateLimit(1_000_000)]


# --- somebody else's hand on the button ------------------------------------------------------------------------------


def test_a_form_that_was_not_read_changes_nothing(reception: Reception) -> None:
    again(reception, 0)
    for invented in ("", "x", "99999999999.0", "9" * 300):
        assert reception.press(invented).status_code == 403
    assert len(reception.ledger.standing()) == 1


def test_a_form_is_good_for_who_read_it(reception: Reception) -> None:
    again(reception, 0)
    reception.sentence(verdict(SessionCap(50), address=NEIGHBOUR))
    reception.look()
    assert reception.press(token(reception, NEIGHBOUR)).status_code == 403
    assert len(reception.ledger.standing()) == 2


def test_an_hour_later_the_form_must_be_read_again(reception: Reception) -> None:
    again(reception, 0)
    old = token(reception)
    reception.now += timedelta(minutes=61)
    reception.look()
    assert reception.press(old).status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_a_form_lets_back(reception: Reception, method: str) -> None:
    again(reception, 0)
    there = {"REMOTE_ADDR": CULPRIT}
    answer = reception.app.test_client().open("/let-me-back", method=method, environ_overrides=there)
    assert answer.status_code in (302, 405)
    assert len(reception.ledger.standing()) == 1


# --- whose address ---------------------------------------------------------------------------------------------------


def test_a_forged_header_is_not_believed(reception: Reception) -> None:
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    for name in ("X_Forwarded_For", "X_Real_IP", "Forwarded", "Client_IP"):
        assert CLEAR in reception.get(address=NEIGHBOUR, **{name: CULPRIT}).text
        assert CAPPED in reception.get(address=CULPRIT, **{name: NEIGHBOUR}).text


def test_behind_a_trusted_proxy_the_proxys_word_counts_and_the_visitors_does_not(tmp_path: Path) -> None:
    reception = Reception(tmp_path, Landing(trusted_proxies=(ip_network("127.0.0.1/32"),)))
    reception.sentence(verdict(SessionCap(50)))
    reception.look()
    assert CAPPED in reception.get(address="127.0.0.1", X_Forwarded_For=CULPRIT).text
    assert CLEAR in reception.get(address="127.0.0.1", X_Forwarded_For=f"{CULPRIT}, {NEIGHBOUR}").text
    assert CLEAR in reception.get(address=NEIGHBOUR, X_Forwarded_For=CULPRIT).text
    assert reception.get(address="127.0.0.1", X_Forwarded_For="unknown").status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "a b", "[::1", ""])
def test_the_host_that_was_asked_for_appears_nowhere(reception: Reception, host: str) -> None:
    reception.look()
    page = reception.get(Host=host)
    assert (page.status_code, CLEAR in page.text) == (200, True)
    assert "evil" not in page.text + str(page.headers)
    assert reception.get("/announce", Host=host).headers["Location"] == "/"


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_too_many_requests_are_told_to_wait_and_others_are_not(reception: Reception) -> None:
    reception.look()
    answers = [reception.get().status_code for _ in range(70)]
    assert (answers.count(200), answers.count(429)) == (60, 10)
    refused = reception.get(Accept_Language="fr")
    assert (refused.headers["Retry-After"], "Un instant" in refused.text) == ("60", True)
    assert reception.get(address=NEIGHBOUR).status_code == 200
    reception.tick_s = 60.0
    assert reception.get().status_code == 200


def test_a_large_form_is_not_read(reception: Reception) -> None:
    reception.look()
    assert reception.press("x" * 5000).status_code == 413


@pytest.mark.parametrize("path", ["/", API, "/announce?info_hash=%00%ff", "/?lang=xx", "/%2e%2e/etc/passwd"])
def test_every_answer_forbids_scripts_framing_and_keeping(reception: Reception, path: str) -> None:
    reception.look()
    headers = reception.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'nonce-")
    assert "script" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "no-store" in headers["Cache-Control"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in headers


def test_a_nonce_is_never_used_twice(reception: Reception) -> None:
    reception.look()
    nonces = {re.search(r'nonce="([^"]+)"', reception.text())[1] for _ in range(5)}  # type: ignore[index]  # there is one
    assert len(nonces) == 5


def test_what_the_site_says_is_escaped(tmp_path: Path) -> None:
    reception = Reception(tmp_path, Landing(contact="<script>alert(1)</script> & co"))
    reception.look()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in reception.text()


# --- devices that ask ------------------------------------------------------------------------------------------------


def api(reception: Reception) -> dict[str, object]:
    answer = reception.get(API)
    assert answer.headers["Content-Type"] == "application/captive+json"
    assert answer.headers["Cache-Control"] == "private, no-store"
    found: dict[str, object] = json.loads(answer.text)
    return found


def test_a_device_learns_whether_it_is_captive_and_where_to_go(tmp_path: Path) -> None:
    reception = Reception(tmp_path, Landing(url="https://help.example.org/"))
    reception.look()
    there = {"user-portal-url": "https://help.example.org/", "can-extend-session": False}
    assert api(reception) == {"captive": False} | there
    reception.sentence(verdict(Quarantine(99)))
    reception.look()
    assert api(reception) == {"captive": True} | there


def test_whoever_is_only_slow_is_not_captive(reception: Reception) -> None:
    reception.sentence(verdict(RateLimit(64_000)))
    reception.look()
    assert api(reception) == {"captive": False}


def test_nothing_is_claimed_when_nobody_knows(reception: Reception) -> None:
    assert reception.get(API).status_code == 503


def test_a_devices_own_test_of_its_connection_is_led_to_the_page(tmp_path: Path) -> None:
    reception = Reception(tmp_path, Landing(url="https://help.example.org/"))
    for path in ("/generate_204", "/hotspot-detect.html", "/announce?info_hash=x", "//evil.example/x"):
        answer = reception.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, "https://help.example.org/"), path


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_ledger_that_fails_is_an_apology_and_a_line_in_the_log(
    reception: Reception, caplog: pytest.LogCaptureFixture
) -> None:
    reception.look()
    with reception.ledger.store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE notes")
    page = reception.get()
    assert (page.status_code, "We cannot tell right now" in page.text) == (503, True)
    (record,) = [it for it in caplog.records if it.name == "switchguard.landing"]
    assert "no such table: notes" in record.__dict__["why"]


@pytest.mark.parametrize(
    "mistake", ["{{ nope }}", "{{ 1 / 0 }}", "{% include 'page.html' %}", "{{ view.tone|dictsort }}"]
)
def test_a_template_that_fails_at_a_visitor_is_replaced_by_ours_and_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mistake: str
) -> None:
    (tmp_path / "landing").mkdir()
    own = f"{{{{ view.title }}}}\n{{% if view.wishes == 7 %}}{mistake}{{% endif %}}"
    (tmp_path / "landing" / "page.html").write_text(own)
    reception = Reception(tmp_path, Landing(let_me_back=LetMeBack(7)))
    reception.look()
    assert reception.text() == f"{CLEAR}\n"
    again(reception, 0)
    page = reception.get()
    assert (page.status_code, "Possible 7 more times" in page.text) == (200, True)
    (record,) = [it for it in caplog.records if it.name == "switchguard.landing"]
    assert f"{tmp_path}/landing/page.html:2: " in record.__dict__["why"]
