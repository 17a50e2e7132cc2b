"""AOS-CX: whose policy is on a port, what is left of a limit, and a configuration that must be whole."""

from typing import cast

import pytest
from configured_switch import ConfiguredSwitch
from model_aruba_aoscx import LIMIT, ON_LAG, Model

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Block, Penalty, RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Enforces

DRIVER = cast(Enforces, plugins.driver("aruba_aoscx"))
OURS = "SWITCHGUARD-1-1-7"


def said(switch: ConfiguredSwitch, word: str) -> list[str]:
    return [line.strip() for line in switch.text().splitlines() if word in line]


def test_a_limit_polices_both_families_on_the_way_in() -> None:
    switch = Model()
    DRIVER.push(switch, [LIMIT])
    assert said(switch, OURS) == [
        f"class ip {OURS}",
        f"class ipv6 {OURS}-V6",
        f"policy {OURS}",
        f"10 class ip {OURS} action cir kbps 64 cbs 0 exceed drop",
        f"20 class ipv6 {OURS}-V6 action cir kbps 64 cbs 0 exceed drop",
        f"apply policy {OURS} in",
    ]


def test_a_release_leaves_the_port_and_others_policies_as_they_were() -> None:
    switch = Model()
    start = switch.text()
    DRIVER.push(switch, [LIMIT, ON_LAG])
    DRIVER.push(switch, [LIMIT.inverse(), ON_LAG.inverse()])
    assert switch.text() == start


def test_for_another_rate_only_the_policy_is_typed() -> None:
    switch = Model()
    DRIVER.push(switch, [LIMIT])
    DRIVER.push(switch, [Change(LIMIT.slot, LIMIT.after, RateLimit(128_000))])
    assert [line for line in switch.typed[-1] if not line.startswith(" ")] == [f"policy {OURS}", "exit"]
    assert DRIVER.enforced(switch) == {**DRIVER.enforced(Model()), LIMIT.slot: RateLimit(128_000)}


def test_a_channel_is_called_as_the_configuration_has_it() -> None:
    switch = Model()
    DRIVER.push(switch, [ON_LAG])
    assert "interface lag 100" in switch.typed[-1]
    assert DRIVER.enforced(switch)[ON_LAG.slot] == ON_LAG.after


def test_a_port_with_somebody_elses_policy_is_left_alone() -> None:
    switch = Model()
    change = Change(Slot("sw1", "limit", Station(port="1/1/8")), None, RateLimit(64_000))
    with pytest.raises(DeviceError, match="1/1/8 has the policy VOICE of somebody else"):
        DRIVER.push(switch, [change])
    assert switch.typed == []


@pytest.mark.parametrize(
    "lines",
    [
        f"policy {OURS}\n    20 class ipv6 {OURS}-V6 action cir kbps 9999 cbs 0 exceed drop",
        f"policy {OURS}\n    30 class ip VOICE action cir kbps 500 cbs 0 exceed drop",
        f"class ip {OURS}\n    10 match udp any any",
    ],
)
def test_what_somebody_changed_is_no_limit_of_ours_and_is_put_right(lines: str) -> None:
    switch = Model()
    DRIVER.push(switch, [LIMIT])
    switch.type_in(lines)
    assert DRIVER.enforced(switch)[LIMIT.slot] == RateLimit(0)
    DRIVER.push(switch, [LIMIT])
    assert DRIVER.enforced(switch)[LIMIT.slot] == LIMIT.after


def test_a_policy_that_is_applied_no_more_is_no_limit() -> None:
    switch = Model()
    DRIVER.push(switch, [LIMIT])
    switch.type_in(f"interface 1/1/7\n    no apply policy {OURS} in")
    assert DRIVER.enforced(switch)[LIMIT.slot] == RateLimit(0)
    DRIVER.push(switch, [LIMIT])
    assert DRIVER.enforced(switch)[LIMIT.slot] == LIMIT.after


@pytest.mark.parametrize("typed", range(1, 13))
def test_whatever_a_lost_session_left_is_found_and_taken_away(typed: int) -> None:
    switch = Model()
    start = switch.text()
    switch.type_in("\n".join(DRIVER.render([LIMIT])[:typed]))
    stands = DRIVER.enforced(switch)[LIMIT.slot]
    DRIVER.push(switch, [Change(LIMIT.slot, stands, None)])
    assert switch.text() == start


@pytest.mark.parametrize(
    ("port", "section"), [("1/1/7", "interface 1/1/7"), ("lag100", "interface lag 100 multi-chassis static")]
)
@pytest.mark.parametrize("ending", ["", " per-interface"])
def test_somebody_elses_policy_is_seen_whatever_follows_its_name(port: str, section: str, ending: str) -> None:
    text = f"hostname sw1\n{section}\n    apply policy VOICE in{ending}\n"
    switch = Model()
    switch.answers = {
        **switch.answers,
        "show running-config": lambda _: text,
        "show running-config | count": lambda _: "3",
    }
    with pytest.raises(DeviceError, match=f"{port} has the policy VOICE of somebody else"):
        DRIVER.preview(switch, [Change(Slot("sw1", "limit", Station(port=port)), None, RateLimit(64_000))])


@pytest.mark.parametrize("count", ["11", "", "1 of 14"])
def test_a_configuration_with_fewer_or_more_lines_than_counted_is_an_error(count: str) -> None:
    switch = Model()
    switch.answers = {**switch.answers, "show running-config | count": lambda _: count}
    with pytest.raises(UnexpectedOutput, match="lines of a configuration, which should be"):
        DRIVER.enforced(switch)


@pytest.mark.parametrize(
    ("port", "penalty", "why"),
    [
        ("1/1/7", RateLimit(999), "cannot express"),
        ("1/1/7", RateLimit(64_000, within=1), "cannot express"),
        ("1/1/7\nreload", RateLimit(64_000), "no name of a port"),
        (None, RateLimit(64_000), "no name of a port"),
    ],
)
def test_what_a_policy_cannot_express_is_refused(port: str | None, penalty: Penalty, why: str) -> None:
    with pytest.raises(DeviceError, match=why):
        DRIVER.render([Change(Slot("sw1", "limit", Station(port=port)), None, penalty)])


def test_a_port_is_not_blocked() -> None:
    with pytest.raises(DeviceError, match="needs a unicast MAC"):
        DRIVER.render([Change(Slot("sw1", "block", Station(port="1/1/7")), None, Block())])
