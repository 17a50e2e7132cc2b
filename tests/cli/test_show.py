"""What people see: the whole plan, and nothing that steers their terminal."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from rich.text import Text

from switchguard.cli import objects, show
from switchguard.core.changes import Change, Diff, Plan, SessionFlush, Slot
from switchguard.core.model import Gap, Mac, Station
from switchguard.core.penalties import Block

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SLOT = Slot("sw1", "block", Station(vlan=10, mac=Mac(0x020000000007)))
FLUSH = SessionFlush("gw", (ip_address("10.10.0.7"), ip_address("2001:db8::7")), "v1")
PLAN = Plan(NOW, (Change(SLOT, None, Block("mac")),), flushes=(FLUSH,))
DIFFS = {"sw1": Diff("+mac address-table static 0200.0000.0007 vlan 10 drop\n", "computed")}


def test_a_plan_tells_whose_sessions_will_be_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_plan(PLAN, DIFFS)
    assert capsys.readouterr().out == (
        "sw1 (diff: computed)\n+mac address-table static 0200.0000.0007 vlan 10 drop\n"
        "also: forget the sessions of 10.10.0.7, 2001:db8::7 on gw\n"
    )
    assert objects.plan_object(PLAN, DIFFS)["flushes"] == [
        {"device": "gw", "addresses": ["10.10.0.7", "2001:db8::7"]},
    ]


def test_a_device_s_words_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_gaps([Gap("sw1", "fdb", "unexpected line '\x1b[2J\x1b]0;owned\x07'")])
    rows = show.table("client")
    rows.add_row("a \x1b[31mphone")
    show.console().print(rows)
    show.show_diff("+description \x9b2Jgone\n-description")
    printed = capsys.readouterr()
    assert printed.err == "gap: sw1 fdb: unexpected line '·[2J·]0;owned'\n"
    assert [line.rstrip() for line in printed.out.splitlines()] == [
        "client",
        "a ·[31mphone",
        "+description ·2Jgone",
        "-description",
    ]


def test_colours_of_our_own_stay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    show.console().print(Text("0.99\x1b[0m", style="bold red"))
    assert capsys.readouterr().out == "\x1b[1;31m0.99·[0m\x1b[0m\n"
