"""`notices:` in a site: strict, with references for whatever holds a password, and nothing starts with a mistake."""

from datetime import time, timedelta
from pathlib import Path

import pytest

from switchguard.core.letters import Contact
from switchguard.core.model import Mac
from switchguard.edge.notify_settings import NoticeSettings
from switchguard.edge.registry import Registry, read_register
from switchguard.edge.settings import Site, load_site, missing_credentials
from switchguard.errors import SiteError

HOSTS = """\
gw1:
  hostname: 192.0.2.1
  platform: linux
  data: {switchguard: {role: gateway}}
"""
POLICY = """\
mode: enforce
time_zone: Europe/Berlin
language: de
zones:
  delegates: {networks: [10.10.0.0/16], contact: desk@example.org}
  guests: {networks: [10.20.0.0/16], contact: {env: SG_TEST_GUESTS}}
  lab: {networks: [10.30.0.0/16]}
registry: {file: people.csv}
notices:
  mail: {env: SG_TEST_MAIL}
  operators: [{file: chat}, {command: [echo, "syslog://"]}]
  digest: day
  digest_at: "06:30"
  users: "{user}@example.org"
  contact: room 3
  most: 2
  within: 12h
"""
PEOPLE = """\
mac,person,mail,language
02:00:00:00:00:07,ada,ada@example.org,de
02:00:00:00:00:08,ada,,
,bob,bob@example.org,
"""


def site(folder: Path, policy: str = POLICY, people: str = PEOPLE) -> Site:
    for name, text in (("switchguard.yaml", policy), ("hosts.yaml", HOSTS), ("people.csv", people)):
        (folder / name).write_text(text)
    return load_site(folder)


def notices(folder: Path, policy: str = POLICY) -> NoticeSettings:
    made = site(folder, policy).notices
    assert made is not None
    return made


def test_everything_that_is_said_is_taken(tmp_path: Path) -> None:
    made = notices(tmp_path)
    telling = made.telling
    assert (telling.people, telling.operators, telling.zones) == (True, 2, frozenset({"delegates", "guests"}))
    assert (telling.language, telling.digest_at, telling.users) == ("de", time(6, 30), "{user}@example.org")
    assert (made.pace.most, made.pace.within, made.contact) == (2, timedelta(hours=12), "room 3")
    assert made.targets.zones["delegates"] == "desk@example.org"


def test_a_site_that_says_nothing_tells_nobody(tmp_path: Path) -> None:
    assert site(tmp_path, "mode: observe\n").notices is None


def test_addresses_are_secrets_that_show_themselves_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SG_TEST_MAIL", "mailto://noc:hunter22@smtp.example.org")
    made = notices(tmp_path)
    assert made.targets.mail is not None
    assert made.targets.mail.reveal() == "mailto://noc:hunter22@smtp.example.org"
    assert "hunter22" not in repr(made)


def test_a_reference_that_leads_nowhere_is_named_by_the_check(tmp_path: Path) -> None:
    missing = {str(error) for error in missing_credentials(site(tmp_path))}
    assert missing == {
        "notices: notices.mail: the environment variable SG_TEST_MAIL is not set",
        f"notices: notices.operators.0: the file {tmp_path}/chat cannot be read: No such file or directory",
        "notices: zones.guests.contact: the environment variable SG_TEST_GUESTS is not set",
    }


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("{env: SG_TEST_MAIL}", "mailto://noc:hunter22@x", r":10: notices\.mail: a secret in plain text is refused"),
        ("{file: chat}", "slack://x", r":11: notices\.operators\.0: a secret in plain text"),
        ("contact: desk@example.org", "contact: desk", r":5: zone 'delegates': contact: 'desk' is no mail address"),
        ("  mail: {env: SG_TEST_MAIL}\n", "", "users can be told by mail only, and there is no 'mail'"),
        ("language: de", "language: it", r":3: no language called 'it'; there are: de, en, es, fr"),
        ("digest: day", "digest: week", "notices.digest"),
        ("most: 2", "mots: 2", r":16: unknown key 'notices\.mots'; did you mean 'most'"),
        ("{user}@example.org", "user@example.org", "has to have {user} in it once"),
        ("{user}@example.org", "{user}, x@example.org", "is no mail address"),
        ('digest_at: "06:30"', "digest_at: 6", "'6' is not a time of day"),
    ],
)
def test_a_mistake_is_an_error_with_its_line_and_without_the_secret(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in POLICY
    with pytest.raises(SiteError, match=complaint) as caught:
        site(tmp_path, POLICY.replace(old, new))
    assert "hunter22" not in str(caught.value)


def test_a_contact_without_notices_would_hear_nothing(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r":5: zone 'delegates': nobody is told: the site has no 'notices'"):
        site(tmp_path, POLICY[: POLICY.index("notices:")])


def test_a_contact_by_mail_needs_a_mail_server(tmp_path: Path) -> None:
    policy = POLICY.replace("  mail: {env: SG_TEST_MAIL}\n", "").replace('  users: "{user}@example.org"\n', "")
    with pytest.raises(SiteError, match="its contact is a mail address, and notices has no 'mail' to send it by"):
        site(tmp_path, policy)


def test_a_broken_template_stops_the_site(tmp_path: Path) -> None:
    (tmp_path / "notices").mkdir()
    (tmp_path / "notices/begins.de.txt").write_text("Subject: x\n\n{{ nobody }}\n")
    with pytest.raises(SiteError, match=r"notices/begins\.de\.txt:3: 'nobody' means nothing here"):
        site(tmp_path)


# --- how people are reached ------------------------------------------------------------------------------------------


def test_a_registry_says_how_people_are_reached(tmp_path: Path) -> None:
    site(tmp_path)
    register = read_register(tmp_path / "people.csv")
    assert register.owners == {Mac(0x020000000007): "ada", Mac(0x020000000008): "ada"}
    assert register.contacts == {"ada": Contact("ada@example.org", "de"), "bob": Contact("bob@example.org")}


def test_the_same_in_yaml(tmp_path: Path) -> None:
    site(tmp_path)
    (tmp_path / "people.yaml").write_text(
        "ada: {macs: [02:00:00:00:00:07, 02:00:00:00:00:08], mail: ada@example.org, language: de}\n"
        "bob: {mail: bob@example.org}\n"
    )
    assert read_register(tmp_path / "people.yaml") == read_register(tmp_path / "people.csv")


def test_a_registry_that_changes_changes_who_is_reached(tmp_path: Path) -> None:
    site(tmp_path)
    registry = Registry(tmp_path / "people.csv")
    assert registry.contacts() == {}
    registry.people()
    assert registry.contacts()["bob"] == Contact("bob@example.org")
    (tmp_path / "people.csv").write_text("mac,person\n02:00:00:00:00:07,ada\n")
    registry.people()
    assert registry.contacts() == {}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("02:00:00:00:00:09,eve,Eve <eve@example.org>,", r":5: 'Eve <eve@example.org>' is no mail address"),
        ("02:00:00:00:00:09,ada,other@example.org,", r":5: 'ada' has ada@example.org already, and other@example.org"),
        ("02:00:00:00:00:09,ada,,fr", r":5: 'ada' has de already, and fr"),
        ("02:00:00:00:00:09,eve,,Deutsch", r":5: 'Deutsch' is no language"),
        ("02:00:00:00:00:09,eve,,it", r":5: eve: no language called 'it'; there are: de, en, es, fr"),
        (",,x@example.org,", r":5: x@example.org belongs to nobody"),
        (",eve,,", r":5: '' is not a MAC address"),
    ],
)
def test_a_mistake_in_the_registry_is_an_error_with_its_line(tmp_path: Path, row: str, complaint: str) -> None:
    with pytest.raises(SiteError, match=rf"people\.csv{complaint}"):
        site(tmp_path, people=f"{PEOPLE}{row}\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ada: {mac: [02:00:00:00:00:07]}\n", ":1: ada: unknown key 'mac'; known are: macs, mail, language"),
        ("ada: {macs: 02:00:00:00:00:07}\n", ":1: ada: a list of MAC addresses is expected"),
        ("ada: {macs: [x]}\n", ":1: 'x' is not a MAC address"),
    ],
)
def test_likewise_in_yaml(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "people.yaml").write_text(text)
    with pytest.raises(SiteError, match=rf"people\.yaml{complaint}"):
        read_register(tmp_path / "people.yaml")
