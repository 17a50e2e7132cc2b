"""Notices and real servers: none is lost to a dead one, none is sent twice, none breaks out of its text."""

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from mail_server import PATIENCE_S, Mailbox, free_port, smtp, webhook

from switchguard.core.letters import Addressee, Event, Facts, Letter
from switchguard.core.model import ClientId, Mac
from switchguard.core.notices import Telling
from switchguard.core.penalties import Block, Notify, Release, Verdict
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.logs import configure_logs
from switchguard.edge.notify_outbox import FIRST_PAUSE, LONGEST_PAUSE, Outbox
from switchguard.edge.notify_post import Delivery, Postman
from switchguard.edge.notify_settings import NoticeSettings, Pace, Targets
from switchguard.edge.notify_texts import read_texts
from switchguard.ports import Secret

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MAC = Mac(0x020000000007)
ADA = Addressee("person", "Ada", "ada@example.org", "en")
BOB = Addressee("person", "Bob", "bob@example.org", "de")
ZONE = Addressee("zone", "delegates", language="en")
FIRST, SECOND = (Addressee("operators", number, language="en") for number in "12")


def verdict(name: str = "v1") -> Verdict:
    because = "577 of 612 sessions go to different hosts"
    client = ClientId(f"mac:{MAC}")
    return Verdict(name, client, "swarm", Notify(), NOON, NOON + timedelta(hours=2), because, (MAC,))


def letter(to: Addressee = ADA, name: str = "v1", event: Event = "begins", **changes: Any) -> Letter:
    it = verdict(name)
    told = Facts(name, it.client, "naughty_factor", it.penalty, it.since, it.until, it.because, it.macs, sessions=612,
                 remotes=577, person=to.name, measured=it.because)  # fmt: skip
    return Letter(to, event, replace(told, **changes), NOON)


@dataclass
class World:
    """A site's ledger, and where its notices would go."""

    folder: Path
    mail: Mailbox = field(default_factory=Mailbox)
    port: int = field(default_factory=free_port)
    now: datetime = NOON
    operators: tuple[Secret, ...] = ()
    zones: Mapping[str, Secret | str] = field(default_factory=dict)
    pace: Pace = field(default_factory=lambda: Pace(timeout_s=PATIENCE_S))
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = SqlLedger(self.folder / "ledger.db", lambda: self.now)
        self.outbox = Outbox(self.ledger.store)

    def write(self, *letters: Letter) -> None:
        self.ledger.sentence([verdict(it.facts.verdict) for it in letters], (), self.now, letters)

    def postman(self) -> Postman:
        server = Secret(f"mailto://127.0.0.1:{self.port}?from=noc@example.org")
        telling = Telling(people=True, operators=len(self.operators), zones=frozenset(self.zones))
        settings = NoticeSettings(
            telling,
            Targets(server, self.operators, self.zones),
            read_texts(self.folder / "notices"),
            self.pace,
            "room 3, help@example.org",
        )
        return Postman(self.outbox, settings, UTC, lambda: self.now, self._tell)

    def _tell(self, event: str, **facts: object) -> None:
        self.said.append(f"{event} {facts}")

    def states(self) -> list[str]:
        return [it.state for it in self.outbox.entries()]


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Everything that anybody logs, as the service does."""
    root, written = logging.getLogger(), StringIO()
    handlers, level = root.handlers[:], root.level
    configure_logs("json", logging.DEBUG, written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ledger.close()


# --- mail ------------------------------------------------------------------------------------------------------------


def test_a_notice_arrives_with_numbers_advice_an_end_and_whom_to_ask(world: World) -> None:
    world.write(letter())
    with smtp(world.mail, world.port):
        assert world.postman().round() == (Delivery("Ada <ada@example.org>", 1),)
    assert world.mail.subjects() == [("ada@example.org", "Your device in our network")]
    (text,) = world.mail.texts()
    for word in ("612 connections to 577 other computers", "qBittorrent", "Hello Ada", "room 3, help@example.org"):
        assert word in text
    assert world.mail.mails[0][1].get_content_type() == "text/plain"


def test_everybody_is_written_to_in_their_own_language(world: World) -> None:
    world.write(letter(), letter(BOB))
    with smtp(world.mail, world.port):
        world.postman().round()
    assert sorted(world.mail.subjects()) == [
        ("ada@example.org", "Your device in our network"),
        ("bob@example.org", "Ihr Gerät in unserem Netz"),
    ]


def test_what_was_told_is_in_the_history_of_the_client(world: World) -> None:
    world.write(letter())
    with smtp(world.mail, world.port):
        world.postman().round()
    assert [(it.what, it.why) for it in world.ledger.history(str(MAC))][-1] == ("told", "Ada <ada@example.org>")


def test_a_name_with_a_line_break_begins_no_header_and_no_line(world: World) -> None:
    world.write(letter(person="Ada\r\nBcc: eve@example.org\r\n\r\nHi", measured="fine\r\n.\r\nMAIL FROM:<eve@x>"))
    (world.folder / "notices").mkdir()
    (world.folder / "notices/begins.en.txt").write_text("Subject: To {{ person }}\n\n{{ because }}\n")
    with smtp(world.mail, world.port):
        world.postman().round()
    ((to, mail),) = world.mail.mails
    assert (to, mail["Bcc"]) == ("ada@example.org", None)
    assert str(mail["Subject"]) == "To Ada··Bcc: eve@example.org····Hi"
    assert mail.get_content().strip() == "fine··.··MAIL FROM:<eve@x>"


# --- once ------------------------------------------------------------------------------------------------------------


def test_the_same_notice_written_by_many_passes_is_sent_once(world: World) -> None:
    with smtp(world.mail, world.port):
        for _ in range(3):
            world.write(letter())
            world.postman().round()
    assert len(world.mail.mails) == 1


def test_a_restart_sends_nothing_twice(world: World) -> None:
    with smtp(world.mail, world.port):
        world.write(letter())
        world.postman().round()
        again = World(world.folder, world.mail, world.port)
        again.write(letter())
        assert again.postman().round() == ()
        again.ledger.close()
    assert len(world.mail.mails) == 1


def test_of_two_senders_only_one_takes_a_notice(world: World) -> None:
    world.write(letter())
    taken = world.outbox.take("person ada@example.org", NOON, NOON + MINUTE)
    assert len(taken) == 1
    assert world.postman().round() == ()


def test_a_sender_that_died_before_recording_leaves_it_to_be_sent_once_more(world: World) -> None:
    world.write(letter())
    world.outbox.take("person ada@example.org", NOON, NOON + MINUTE)
    world.now += MINUTE
    with smtp(world.mail, world.port):
        assert len(world.postman().round()) == 1
        world.now += timedelta(days=1)
        assert world.postman().round() == ()
    assert (len(world.mail.mails), world.states()) == (1, ["sent"])


def test_a_penalty_that_nobody_was_told_of_does_not_end_with_a_notice(world: World) -> None:
    world.write(letter(name="v1"))
    world.write(letter(name="v1", event="ends"), letter(name="v2", event="ends"))
    assert [(it.letter.facts.verdict, it.letter.event) for it in world.outbox.entries()] == [
        ("v1", "begins"),
        ("v1", "ends"),
    ]


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_dead_server_loses_nothing_and_is_asked_again_ever_more_rarely(world: World) -> None:
    world.write(letter())
    pauses = []
    for _ in range(9):
        (delivery,) = world.postman().round()
        assert "Connection refused" in delivery.why
        (entry,) = world.outbox.entries()
        pauses.append(entry.due - world.now)
        world.now = entry.due
    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    with smtp(world.mail, world.port):
        assert world.postman().round() == (Delivery("Ada <ada@example.org>", 1),)
    assert (len(world.mail.mails), world.states()) == (1, ["sent"])


def test_what_cannot_be_sent_for_days_is_given_up_and_shown_and_can_be_tried_again(world: World) -> None:
    world.write(letter())
    world.now += world.pace.give_up_after
    world.postman().round()
    standing = world.outbox.standing()
    assert (standing.waiting, standing.failed) == (0, 1)
    assert "Connection refused" in standing.sentence()
    assert [it.what for it in world.ledger.history("v1")][-1] == "not told"
    assert world.outbox.retry(world.now) == 1
    with smtp(world.mail, world.port):
        world.postman().round()
    assert world.states() == ["sent"]


def test_a_refused_address_does_not_keep_others_from_their_mail(world: World) -> None:
    world.mail.refuse = "550 no such user here"
    world.write(letter(), letter(BOB))
    with smtp(world.mail, world.port):
        answers = world.postman().round()
        assert all("no such user here" in it.why for it in answers)
        world.mail.refuse = ""
        world.now += MINUTE
        assert [it.why for it in world.postman().round()] == ["", ""]


def test_a_server_that_hangs_is_left_alone_and_the_others_get_theirs(world: World) -> None:
    world.pace = Pace(timeout_s=1.0)
    world.mail.hold = True
    with smtp(world.mail, world.port), webhook() as (port, posted):
        world.operators = (Secret(f"json://127.0.0.1:{port}"),)
        world.write(letter(), letter(BOB), letter(FIRST))
        answers = world.postman().round()
    assert {it.to: bool(it.why) for it in answers if it.to == "operators 1"} == {"operators 1": False}
    assert len([it for it in answers if it.why]) == 1
    assert len(posted) == 1
    assert sorted(world.states()) == ["sent", "waiting", "waiting"]


def test_after_the_hang_both_get_their_mail(world: World) -> None:
    world.pace = Pace(timeout_s=1.0)
    world.mail.hold = True
    world.write(letter(), letter(BOB))
    with smtp(world.mail, world.port):
        world.postman().round()
    world.mail.hold, world.now = False, world.now + 5 * MINUTE
    with smtp(world.mail, world.port):
        world.postman().round()
    assert sorted(to for to, _ in world.mail.mails) == ["ada@example.org", "bob@example.org"]


def test_writing_a_verdict_does_not_wait_for_a_server_that_hangs(world: World) -> None:
    world.mail.hold = True
    world.write(letter())
    with smtp(world.mail, world.port):
        postman = world.postman()
        postman.start()
        assert world.mail.asked.wait(PATIENCE_S)
        world.write(letter(BOB, name="v2"))
        assert [it.id for it in world.ledger.standing()] == ["v1", "v2"]
        assert not world.mail.release.is_set()
        postman.stop()


def test_the_thread_sends_what_it_is_nudged_for(world: World) -> None:
    with smtp(world.mail, world.port):
        postman = world.postman()
        postman.start()
        world.write(letter())
        postman.nudge()
        assert world.mail.wait_for(1)
        postman.stop()


@pytest.mark.parametrize(
    "own",
    [
        "{{ 1 // (offence - 3) }}",
        "{% if offence > 2 %}{{ macs|dictsort }}{% endif %}",
        "{% if offence > 2 %}{% include 'begins.en.txt' %}{% endif %}",
        "{% if offence > 2 %}{{ person.nope }}{% endif %}",
    ],
)
def test_a_template_that_breaks_at_run_time_loses_no_notice(world: World, own: str) -> None:
    (world.folder / "notices").mkdir()
    (world.folder / "notices/begins.en.txt").write_text(f"Subject: hi\n\n{own}\n")
    world.write(letter(offence=3))
    with smtp(world.mail, world.port):
        world.postman().round()
    assert world.mail.subjects() == [("ada@example.org", "Your device in our network")]
    assert any("begins.en.txt" in it and "ours was used" in it for it in world.said)


def test_a_letter_that_cannot_be_written_keeps_no_other_one_waiting(world: World) -> None:
    """A language that a site has taken away again, an old letter that nobody foresaw: whatever it is."""
    world.operators = (Secret("json://127.0.0.1:9"),)
    strange = replace(letter(), to=replace(FIRST, name="no number"))
    with smtp(world.mail, world.port):
        postman = world.postman()
        postman.start()
        world.write(strange, letter(BOB, name="v2"))
        postman.nudge()
        assert world.mail.wait_for(1)
        assert postman._thread.is_alive()
        postman.stop()


# --- how often -------------------------------------------------------------------------------------------------------


def test_beyond_so_many_messages_notices_wait_and_go_together(world: World) -> None:
    world.pace = Pace(most=2, within=timedelta(days=1), timeout_s=PATIENCE_S)
    with smtp(world.mail, world.port):
        for number in range(4):
            world.now = NOON + number * timedelta(hours=1)
            world.write(letter(name=f"v{number}"))
            world.postman().round()
        assert len(world.mail.mails) == 2
        world.now = NOON + timedelta(days=1)
        world.postman().round()
    assert world.mail.subjects()[-1] == ("ada@example.org", "Your device in our network (+1)")
    assert world.states() == ["sent"] * 4


def test_operators_get_one_digest_of_everything_that_is_due(world: World) -> None:
    with webhook() as (one, first), webhook() as (two, second):
        world.operators = (Secret(f"json://127.0.0.1:{one}"), Secret(f"json://127.0.0.1:{two}"))
        world.write(*(letter(to, name=f"v{number}") for to in (FIRST, SECOND) for number in range(60)))
        world.postman().round()
    assert [len(first), len(second)] == [1, 1]
    assert first[0]["title"] == "switchguard: 60 items"
    assert "and 10 more" in first[0]["message"]


def test_a_zones_contact_gets_mail_about_the_zone(world: World) -> None:
    world.zones = {"delegates": "desk@example.org"}
    world.write(letter(ZONE))
    with smtp(world.mail, world.port):
        world.postman().round()
    assert world.mail.subjects() == [("desk@example.org", "switchguard: 1 item (delegates)")]


def test_a_contact_that_has_left_the_site_is_trouble_that_shows(world: World) -> None:
    world.write(letter(ZONE))
    (delivery,) = world.postman().round()
    assert delivery.why == "the zone has no contact any more"
    assert world.outbox.standing().troubled == 1


def test_what_was_settled_long_ago_is_forgotten_but_not_while_the_penalty_stands(world: World) -> None:
    world.write(letter(name="v1"), letter(name="v2"))
    with smtp(world.mail, world.port):
        world.postman().round()
    world.ledger.sentence((), (Release(verdict("v1"), "its time is up"),), NOON)
    assert world.outbox.tidy(NOON + timedelta(days=91)) == 1
    assert [it.letter.facts.verdict for it in world.outbox.entries()] == ["v2"]


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_no_password_is_told_or_logged(world: World, log: StringIO) -> None:
    with webhook(500) as (port, _):
        world.operators = (
            Secret(f"json://somebody:hunter22@127.0.0.1:{port}/tokentoken"),
            Secret("slack://hunter22/tokentoken"),
            Secret(f"mailto://somebody:hunter22@127.0.0.1:{world.port}?from=noc@example.org"),
        )
        sent = world.postman().test(world.postman().everywhere())
    told = f"{sent} {world.said} {log.getvalue()} {world.postman()._settings}"
    assert [bool(it.why) for it in sent] == [True, True, True]
    assert "hunter22" not in told
    assert "tokentoken" not in told


def test_a_mail_server_that_is_none_says_what_is_wanted(world: World) -> None:
    world.operators = (Secret("nonsense"),)
    (answer,) = world.postman().test((FIRST,))
    assert answer.why == "is no address that apprise understands; write it like mailtos://user:password@host?from=…"


def test_a_block_says_so(world: World) -> None:
    world.write(letter(penalty=Block()))
    with smtp(world.mail, world.port):
        world.postman().round()
    assert "Your device's access is blocked. This holds until 2026-05-04 14:00." in world.mail.texts()[0]


def test_no_thread_is_left_over(world: World) -> None:
    before = threading.active_count()
    with smtp(world.mail, world.port):
        world.write(letter())
        world.postman().round()
    assert threading.active_count() == before
