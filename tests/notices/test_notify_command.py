"""`switchguard notify`: what the servers answer, what waits, and the exit codes."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mail_server import PATIENCE_S, Mailbox, free_port, smtp, webhook

from switchguard.cli.main import run
from switchguard.core.letters import Addressee, Facts, Letter
from switchguard.core.model import ClientId
from switchguard.core.penalties import Notify
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.notify_outbox import Outbox
from switchguard.edge.notify_post import Postman
from switchguard.edge.settings import load_site

SWITCHGUARD = Path(sys.executable).with_name("switchguard")
POLICY = """\
mode: enforce
zones:
  guests: {networks: [10.10.0.0/16], contact: desk@example.org}
notices:
  mail: {env: SG_TEST_MAIL}
  operators: [{env: SG_TEST_HOOK}]
  contact: room 3
"""
HOSTS = """\
gw:
  hostname: 127.0.0.1
  platform: linux
  data: {switchguard: {role: gateway}}
"""
ADA = Addressee("person", "Ada", "ada@example.org", "en")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Where commands are typed, about one site, and the servers of that site."""

    site: Path
    capsys: pytest.CaptureFixture[str]
    mail: Mailbox
    port: int
    setenv: Callable[[str, str], None]

    def types(self, *words: str) -> tuple[int, str, str]:
        status = run(["--site", str(self.site), "notify", *words])
        printed = self.capsys.readouterr()
        assert "defect" not in printed.err, printed.err
        return status, printed.out, printed.err

    def reads(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.types(*words, "--json")[1])
        return found

    def hook(self, port: int) -> None:
        self.setenv("SG_TEST_HOOK", f"json://127.0.0.1:{port}/hunter22")

    def writes(self, *to: Addressee, at: datetime | None = None) -> None:
        """Letters, as a pass that was just made would."""
        now = at or datetime.now(UTC)
        facts = Facts("v1", ClientId("user:ada"), "quota", Notify(), now, None, "2 GB since noon")
        ledger = SqlLedger(self.site / "state/switchguard.db")
        ledger.sentence((), (), now, [Letter(it, "begins", facts, now) for it in to])
        ledger.close()


@pytest.fixture
def prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Prompt:
    for name, text in (("switchguard.yaml", POLICY), ("hosts.yaml", HOSTS)):
        (tmp_path / name).write_text(text)
    port = free_port()
    monkeypatch.setenv("SG_TEST_MAIL", f"mailto://noc:hunter22@127.0.0.1:{port}?from=noc@example.org&mode=insecure")
    monkeypatch.setenv("SG_TEST_HOOK", "json://127.0.0.1:1/hunter22")
    return Prompt(tmp_path, capsys, Mailbox(), port, monkeypatch.setenv)


@pytest.fixture
def open_mail(monkeypatch: pytest.MonkeyPatch, prompt: Prompt) -> None:
    """A mail server that wants no login."""
    monkeypatch.setenv("SG_TEST_MAIL", f"mailto://127.0.0.1:{prompt.port}?from=noc@example.org")


@pytest.mark.usefixtures("open_mail")
def test_a_sample_goes_to_everybody_whom_the_site_names(prompt: Prompt) -> None:
    with smtp(prompt.mail, prompt.port), webhook() as (port, posted):
        prompt.hook(port)
        status, out, _ = prompt.types("test")
    assert (status, out) == (0, "operators 1: sent\nthe contact of zone guests: sent\n")
    assert [to for to, _ in prompt.mail.mails] == ["desk@example.org"]
    assert len(posted) == 1


@pytest.mark.usefixtures("open_mail")
def test_a_sample_to_somebody_is_in_the_language_asked_for(prompt: Prompt) -> None:
    with smtp(prompt.mail, prompt.port):
        assert prompt.types("test", "--to", "ada@example.org", "--language", "fr")[0] == 0
    assert prompt.mail.subjects() == [("ada@example.org", "[sample] Votre appareil dans notre réseau")]


def test_who_does_not_take_it_is_named_with_the_reason_and_exit_code_1(prompt: Prompt) -> None:
    status, out, err = prompt.types("test")
    assert (status, out) == (1, "")
    assert "operators 1: not sent: " in err
    assert "the contact of zone guests: not sent: " in err
    assert "Connection refused" in err
    assert "hunter22" not in err


def test_the_same_as_an_object(prompt: Prompt) -> None:
    (operators, _) = prompt.reads("test")["deliveries"]
    assert (operators["to"], operators["notices"], operators["sent"]) == ("operators 1", 1, False)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("test", "--to", "nobody"), "no addressee called 'nobody'. There are: a mail address, guests, operators"),
        (("test", "--to", "guest"), "did you mean 'guests'?"),
        (("test", "--to", "a@b, c@d"), "'a@b, c@d' is no mail address"),
        (("test", "--to", "a@b", "--language", "it"), "no language called 'it'; there are: de, en, es, fr"),
        (("outbox", "--state", "lost"), "'lost' is not one of"),
    ],
)
def test_a_mistake_is_answered_with_the_choices(prompt: Prompt, words: tuple[str, ...], complaint: str) -> None:
    status, _, err = prompt.types(*words)
    assert (status, complaint in err) == (1, True), err


def test_a_site_without_notices_says_so(prompt: Prompt) -> None:
    (prompt.site / "switchguard.yaml").write_text("mode: observe\n")
    status, _, err = prompt.types("test")
    assert (status, "the site tells nobody: it has no 'notices'" in err) == (1, True)


@pytest.mark.usefixtures("open_mail")
def test_what_is_due_can_be_sent_by_hand(prompt: Prompt) -> None:
    prompt.writes(ADA)
    with smtp(prompt.mail, prompt.port):
        assert prompt.types("send") == (0, "Ada <ada@example.org>: sent\n", "")
        assert prompt.types("send") == (0, "nothing is due\n", "")
    (notice,) = prompt.reads("outbox")["notices"]
    assert (notice["state"], notice["to"]["mail"], notice["tries"]) == ("sent", "ada@example.org", 1)


@pytest.mark.usefixtures("open_mail")
def test_a_sender_that_is_killed_between_sending_and_recording_sends_twice_at_most(prompt: Prompt) -> None:
    prompt.writes(ADA)
    with smtp(prompt.mail, prompt.port), subprocess.Popen(
        [SWITCHGUARD, "--site", prompt.site, "notify", "send"], stdout=subprocess.DEVNULL
    ) as sender:  # fmt: skip
        prompt.mail.kill = sender.pid
        assert sender.wait(PATIENCE_S) == -signal.SIGKILL
        prompt.mail.kill = None
        assert prompt.types("send") == (0, "nothing is due\n", "")
        site = load_site(prompt.site)
        assert site.notices is not None
        ledger, later = SqlLedger(site.ledger), datetime.now(UTC) + timedelta(minutes=2)
        postman = Postman(Outbox(ledger.store), site.notices, UTC, lambda: later, _unheard)
        assert [it.why for it in postman.round()] == [""]
        assert postman.round() == ()
        ledger.close()
    assert len(prompt.mail.mails) == 2


def test_the_outbox_shows_what_waits_and_why(prompt: Prompt) -> None:
    prompt.writes(ADA)
    assert prompt.types("send")[0] == 1
    status, out, _ = prompt.types("outbox")
    assert status == 0
    assert "Ada <ada@example.org>" in out
    assert "notices: 1 waits, 1 of them after a failure: " in out
    assert prompt.reads("outbox", "--state", "failed")["notices"] == []
    assert run(["--site", str(prompt.site), "status"]) == 0
    assert "notices: 1 waits, 1 of them after a failure: " in prompt.capsys.readouterr().out


def test_status_says_nothing_of_notices_while_there_are_none(prompt: Prompt) -> None:
    assert run(["--site", str(prompt.site), "status"]) == 0
    assert "notices" not in prompt.capsys.readouterr().out


@pytest.mark.usefixtures("open_mail")
def test_what_was_given_up_can_be_tried_again(prompt: Prompt) -> None:
    prompt.writes(ADA, at=datetime.now(UTC) - timedelta(days=3))
    assert prompt.types("send")[0] == 1
    assert prompt.reads("outbox")["failed"] == 1
    assert prompt.types("retry") == (0, "1 notice is due again\n", "")
    with smtp(prompt.mail, prompt.port):
        assert prompt.types("send")[0] == 0
    assert prompt.types("retry") == (0, "0 notices are due again\n", "")


def test_a_template_with_a_mistake_stops_every_command_with_its_line(prompt: Prompt) -> None:
    (prompt.site / "notices").mkdir()
    (prompt.site / "notices/begins.en.txt").write_text("Subject: hi\n\n{{ nobody }}\n")
    status, _, err = prompt.types("test")
    assert (status, "notices/begins.en.txt:3: 'nobody' means nothing here" in err) == (1, True)


def _unheard(event: str, **facts: object) -> None:
    pass
