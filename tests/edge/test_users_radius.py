"""RADIUS accounting, read while FreeRADIUS writes it: sessions begin, go on and end, whatever happens to the files."""

import gzip
import os
import shutil
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from switchguard.core.user_sessions import Told
from switchguard.edge.vpn.radius import Detail
from switchguard.edge.vpn.reading import CannotRead

NOW = datetime(2026, 11, 20, 19, 40, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def record(status: str, minutes: float, session: str = "5A0B", user: str | None = "alice", **said: str) -> str:
    """So many minutes ago. Underscores in names are hyphens."""
    attributes = {
        "Acct-Status-Type": status,
        "Acct-Session-Id": f'"{session}"',
        "NAS-IP-Address": "198.51.100.1",
        **({} if user is None else {"User-Name": f'"{user}"'}),
        **{name.replace("_", "-"): value for name, value in said.items()},
        "Timestamp": str(int(ago(minutes).timestamp())),
    }
    return "Fri Nov 20 19:31:12 2026\n" + "".join(f"\t{name} = {it}\n" for name, it in attributes.items()) + "\n"


def start(minutes: float, session: str = "5A0B", user: str = "alice", address: str = "10.99.0.7") -> str:
    return record("Start", minutes, session, user, Framed_IP_Address=address)


def told(user: str, address: str, since: float, until: float | None = None) -> Told:
    return Told(user, (ip_address(address),), ago(since), None if until is None else ago(until))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "detail-20261120"


def write(file: Path, *records: str, mode: str = "a", written: datetime = NOW) -> None:
    with file.open(mode) as stream:
        stream.writelines(records)
    os.utime(file, (written.timestamp(), written.timestamp()))


def detail(file: Path) -> Detail:
    return Detail(str(file.parent / "detail*"))


def test_a_start_opens_a_session_and_a_stop_ends_it(file: Path) -> None:
    write(file, start(20), start(18, "5A0C", "bob", "10.99.0.8"), record("Stop", 5))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 20, 5), told("bob", "10.99.0.8", 18))


def test_an_interim_update_alone_tells_when_the_session_began(file: Path) -> None:
    write(file, record("Interim-Update", 2, Framed_IP_Address="10.99.0.7", Acct_Session_Time="1080"))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 20),)


def test_a_delayed_packet_is_of_when_it_was_meant(file: Path) -> None:
    write(file, record("Start", 18, Framed_IP_Address="10.99.0.7", Acct_Delay_Time="120"))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 20),)


def test_an_address_that_comes_later_is_taken_and_ipv6_as_well(file: Path) -> None:
    """The Start often is too early for an address; a prefix belongs to the session whole."""
    update = record("Interim-Update", 19, Framed_IP_Address="10.99.0.7", Framed_IPv6_Prefix="2001:db8:99:7::/64")
    write(file, record("Start", 20), update)
    (session,) = detail(file).read(NOW).told
    assert session.addresses == (ip_address("10.99.0.7"), ip_network("2001:db8:99:7::/64"))


def test_reading_goes_on_where_it_stopped(file: Path) -> None:
    write(file, start(20))
    reader = detail(file)
    reader.read(NOW)
    write(file, record("Stop", 5))
    assert reader.read(NOW).told == (told("alice", "10.99.0.7", 20, 5),)
    assert reader.read(NOW).told == (told("alice", "10.99.0.7", 20, 5),)


@pytest.mark.parametrize("cut", [10, 60, -2])
def test_a_record_that_is_being_written_waits(file: Path, cut: int) -> None:
    stop = record("Stop", 5)
    write(file, start(20), stop[:cut])
    reader = detail(file)
    assert reader.read(NOW).told == (told("alice", "10.99.0.7", 20),)
    write(file, stop[cut:])
    assert reader.read(NOW).told == (told("alice", "10.99.0.7", 20, 5),)


def test_a_file_that_was_renamed_or_compressed_is_the_same_file(file: Path) -> None:
    write(file, start(20), start(19, "5A0C", "bob", "10.99.0.8"))
    reader = detail(file)
    reader.read(NOW)
    write(file, record("Stop", 6))
    renamed = file.rename(file.with_name("detail.1"))
    write(file, record("Stop", 5, "5A0C", "bob"))
    both = (told("alice", "10.99.0.7", 20, 6), told("bob", "10.99.0.8", 19, 5))
    assert reader.read(NOW).told == both
    with gzip.open(f"{renamed}.gz", "wb") as packed, renamed.open("rb") as plain:
        shutil.copyfileobj(plain, packed)
    renamed.unlink()
    assert reader.read(NOW).told == both


def test_old_files_are_left_alone(file: Path) -> None:
    write(file.with_name("detail-20261101"), start(20), written=NOW - timedelta(days=19))
    write(file, start(18, user="bob"))
    assert [it.user for it in detail(file).read(NOW).told] == ["bob"]


def test_whoever_gets_an_address_ends_the_session_before(file: Path) -> None:
    """The Stop of a server that crashed never comes."""
    write(file, start(20), start(5, "5A0C", "bob"))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 20, 5), told("bob", "10.99.0.7", 5))


def test_a_server_that_restarts_has_no_sessions(file: Path) -> None:
    other = record("Start", 19, "1", "bob", Framed_IP_Address="10.99.0.8").replace("198.51.100.1", "198.51.100.2")
    write(file, start(20), other, record("Accounting-On", 5, user=None))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 20, 5), told("bob", "10.99.0.8", 19))


def test_a_session_that_nothing_is_heard_of_for_a_day_is_over(file: Path) -> None:
    write(file, start(24 * 60 + 1))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 24 * 60 + 1, 24 * 60 + 1),)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (record("Dance", 5), "Acct-Status-Type 'Dance'"),
        (record("Start", 5, user="a\x1bb", Framed_IP_Address="10.99.0.9"), "is no name of a user"),
        (record("Start", 5, Framed_IP_Address="10.99.0.900"), "'10.99.0.900'"),
        (record("Start", 5).replace("Timestamp = 1", "Timestamp = x1"), "is no time"),
        (record("Start", 5).replace('Acct-Session-Id = "5A0B"', 'Acct-Session-Id = ""'), "no Acct-Session-Id"),
        (record("Start", 5).replace(" = ", ": "), "is no attribute"),
        (
            record("Start", 5, Framed_IP_Address="10.99.0.7", Acct_Delay_Time="99999999999999999999"),
            "is no number of seconds",
        ),
        (
            record("Interim-Update", 5, Framed_IP_Address="10.99.0.7", Acct_Session_Time="99999999999999"),
            "is no number of seconds",
        ),
        (start(-120, address="10.99.0.8"), "of 2026-11-20 21:40 UTC, which is to come"),
    ],
)
def test_a_record_that_makes_no_sense_is_said_and_the_others_count(file: Path, bad: str, why: str) -> None:
    write(file, bad, start(20, "5A0C", "bob", "10.99.0.8"))
    read = detail(file).read(NOW)
    assert [it.user for it in read.told] == ["bob"]
    assert why in read.note
    assert "detail-20261120: a record that makes no sense" in read.note


# --- what comes late, and ids that come again ------------------------------------------------------------------------

ALICE_THEN_BOB = (start(60), start(1, "5A0C", "bob"))
HANDED_OVER = (told("alice", "10.99.0.7", 60, 1), told("bob", "10.99.0.7", 1))


def late(status: str, **said: str) -> str:
    """Of five minutes ago, sent again until it came through."""
    return record(status, 0, Framed_IP_Address="10.99.0.7", Acct_Delay_Time="300", **said)


@pytest.mark.parametrize(
    "word", [late("Interim-Update"), late("Interim-Update", Acct_Session_Time="3300"), late("Start")]
)
def test_a_late_word_gives_nobody_the_address_back(file: Path, word: str) -> None:
    write(file, *ALICE_THEN_BOB, word)
    found = detail(file).read(NOW).told
    assert set(HANDED_OVER) <= {*found}
    assert [it for it in found if it.until is None] == [HANDED_OVER[1]]


def test_a_late_word_of_somebody_unknown_is_of_the_past(file: Path) -> None:
    write(file, ALICE_THEN_BOB[1], late("Interim-Update", Acct_Session_Time="3300"))
    assert detail(file).read(NOW).told == HANDED_OVER


def test_nor_is_a_session_opened_again_that_has_stopped(file: Path) -> None:
    write(file, start(60), record("Stop", 4), late("Interim-Update"))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 60, 4),)


def test_nor_does_it_take_the_address_of_who_has_left_since(file: Path) -> None:
    write(file, *ALICE_THEN_BOB, record("Stop", 0.5, "5A0C", "bob"), late("Interim-Update"))
    assert all(it.until is not None for it in detail(file).read(NOW).told)


def test_a_late_restart_ends_what_began_before_it(file: Path) -> None:
    write(file, start(60), start(1, "5A0C", "bob", "10.99.0.8"), late("Accounting-On"))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 60, 5), told("bob", "10.99.0.8", 1))


def test_who_says_to_have_had_an_address_all_along_does_not_undo_who_had_it_in_between(file: Path) -> None:
    """Both had it then, so that nobody is blamed for it."""
    write(file, *ALICE_THEN_BOB, record("Interim-Update", 0, Framed_IP_Address="10.99.0.7", Acct_Session_Time="3600"))
    alice, again, bob = detail(file).read(NOW).told
    assert (alice, again) == (HANDED_OVER[0], told("alice", "10.99.0.7", 60))
    assert bob == told("bob", "10.99.0.7", 1, 0)


@pytest.mark.parametrize("status", ["Start", "Interim-Update"])
def test_another_user_with_the_same_id_is_another_session(file: Path, status: str) -> None:
    """A server that restarted counts its sessions from the beginning; its Accounting-On may be lost."""
    write(file, start(60), record(status, 1, user="bob", Framed_IP_Address="10.99.0.7"))
    assert detail(file).read(NOW).told == HANDED_OVER


def test_a_later_start_with_the_same_id_is_another_session(file: Path) -> None:
    write(file, start(60), start(1))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 60, 1), told("alice", "10.99.0.7", 1))


def test_a_start_that_is_sent_again_is_the_same_one(file: Path) -> None:
    write(file, start(60), record("Start", 59, Framed_IP_Address="10.99.0.7", Acct_Delay_Time="58"))
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 60),)


def test_a_late_stop_does_not_end_who_has_the_id_now(file: Path) -> None:
    write(file, start(60), start(1, user="bob"), late("Stop", Acct_Session_Time="3300"))
    assert [it.user for it in detail(file).read(NOW).told if it.until is None] == ["bob"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_that_has_just_been_renamed_is_missed_by_nobody(file: Path) -> None:
    """Its name is listed, and then it is gone."""
    write(file, start(20))
    file.with_name("detail-gone").symlink_to(file.with_name("nowhere"))
    read = detail(file).read(NOW)
    assert (read.told, read.note) == ((told("alice", "10.99.0.7", 20),), "")


def test_a_damaged_file_is_said_and_the_others_count(file: Path) -> None:
    write(file, start(20))
    write(file.with_name("detail-1.gz"), "not compressed at all\n")
    read = detail(file).read(NOW)
    assert read.told == (told("alice", "10.99.0.7", 20),)
    assert "detail-1.gz is damaged: Not a gzipped file" in read.note


def test_a_directory_beside_the_files_is_none_of_them(file: Path) -> None:
    write(file, start(20))
    file.with_name("detail-old").mkdir()
    assert detail(file).read(NOW).told == (told("alice", "10.99.0.7", 20),)


def test_a_file_that_is_away_for_one_reading_is_read_on(file: Path) -> None:
    write(file, start(20))
    other = file.with_name("detail-other")
    write(other, start(19, "5A0C", "bob", "10.99.0.8"))
    reader = detail(file)
    reader.read(NOW)
    hidden = file.rename(file.with_name("hidden"))
    reader.read(NOW)
    hidden.rename(file)
    write(file, record("Stop", 5))
    assert reader.read(NOW).told == (told("alice", "10.99.0.7", 20, 5), told("bob", "10.99.0.8", 19))


def test_no_file_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"there is no file .*detail\*"):
        Detail(str(tmp_path / "detail*")).read(NOW)
