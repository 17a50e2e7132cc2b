"""What only EOS does: both directions of a limit, and a unified diff from a session that may be aborted."""

from typing import cast

import pytest
from configured_switch import ConfiguredSwitch
from model_arista_eos import BLOCK, LIMIT, OTHER_LIMIT, Model

from switchguard import plugins
from switchguard.core.model import Change, RateLimit, Slot, Station
from switchguard.errors import DeviceError, UnexpectedDiff
from switchguard.ports import Enforces

DRIVER = cast(Enforces, plugins.driver("arista_eos"))


@pytest.fixture
def switch() -> ConfiguredSwitch:
    return Model()


def test_a_block_is_one_line_and_taken_back_with_the_same_words() -> None:
    assert DRIVER.render([BLOCK]) == ("mac address-table static 0200.0000.0007 vlan 10 drop",)
    assert DRIVER.render([BLOCK.inverse()]) == ("no mac address-table static 0200.0000.0007 vlan 10 drop",)


def test_a_block_is_known_to_stop_frames_to_the_mac_only() -> None:
    assert DRIVER.facts.directions == "destination"


def test_a_limit_polices_what_comes_and_shapes_what_goes() -> None:
    assert DRIVER.render([LIMIT]) == (
        "policy-map type quality-of-service SWITCHGUARD-Et7",
        " class class-default",
        "  police rate 64 kbps burst-size 12 kbytes",
        " exit",
        "exit",
        "interface Ethernet7",
        " service-policy type qos input SWITCHGUARD-Et7",
        "exit",
        "interface Ethernet7",
        " shape rate 64 kbps",
        "exit",
    )


def test_a_limit_is_detached_before_it_is_deleted() -> None:
    assert DRIVER.render([LIMIT.inverse()]) == (
        "interface Ethernet7",
        " no shape rate",
        "exit",
        "interface Ethernet7",
        " no service-policy type qos input SWITCHGUARD-Et7",
        "exit",
        "no policy-map type quality-of-service SWITCHGUARD-Et7",
    )


def test_another_rate_replaces_both_lines(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [LIMIT])
    diff = DRIVER.push(switch, [Change(LIMIT.slot, RateLimit(64_000), RateLimit(2_000_000))])
    assert {line for line in diff.text.splitlines() if line[0] in "+-"} == {
        "-      police rate 64 kbps burst-size 12 kbytes",
        "+      police rate 2000 kbps burst-size 375 kbytes",
        "-   shape rate 64 kbps",
        "+   shape rate 2000 kbps",
    }
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(2_000_000)}


def test_the_inverse_restores_the_whole_configuration(switch: ConfiguredSwitch) -> None:
    before = switch.text()
    changes = [BLOCK, LIMIT, OTHER_LIMIT]
    DRIVER.push(switch, changes)
    DRIVER.push(switch, [change.inverse() for change in reversed(changes)])
    assert switch.text() == before


@pytest.mark.parametrize("bps", [7_000, 64_500])
def test_a_rate_that_eos_cannot_express_is_refused(bps: int) -> None:
    with pytest.raises(DeviceError, match="cannot express"):
        DRIVER.render([Change(Slot("sw1", "limit", Station(port="Ethernet7")), None, RateLimit(bps))])


@pytest.mark.parametrize(
    ("standing", "change", "why"),
    [
        ("mac address-table static 0200.0000.0007 vlan 10 interface Ethernet3", BLOCK, "static entry to interface"),
        ("interface Ethernet7\n shape rate 10000 kbps", LIMIT, "shape rate of somebody else"),
        (
            "policy-map type quality-of-service VOICE\ninterface Ethernet7\n service-policy type qos input VOICE",
            LIMIT,
            "service-policy VOICE of somebody else",
        ),
    ],
)
def test_other_people_s_lines_are_not_overwritten(
    switch: ConfiguredSwitch, standing: str, change: Change, why: str
) -> None:
    switch.type_in(standing)
    before = switch.text()
    for attempt in (DRIVER.push, DRIVER.preview):
        with pytest.raises(DeviceError, match=why):
            attempt(switch, [change])
    DRIVER.push(switch, [change.inverse()])
    assert switch.text() == before


def test_a_limit_in_one_direction_is_repaired(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [LIMIT])
    switch.type_in("interface Ethernet7\n no shape rate")
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(0)}
    DRIVER.push(switch, [LIMIT])
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(64_000)}


def test_a_preview_is_the_device_s_diff_and_commits_nothing(switch: ConfiguredSwitch) -> None:
    diff = DRIVER.preview(switch, [BLOCK])
    assert diff.source == "device"
    assert "+mac address-table static 0200.0000.0007 vlan 10 drop" in diff.text.splitlines()
    assert switch.commits == 0


@pytest.mark.parametrize("extra", ["snmp-server contact somebody-else", "no vlan 20", "vlan 30"])
def test_a_line_that_is_not_ours_stops_the_commit(switch: ConfiguredSwitch, extra: str) -> None:
    switch.extra = (extra,)
    for attempt in (DRIVER.push, DRIVER.preview):
        with pytest.raises(UnexpectedDiff):
            attempt(switch, [BLOCK])
    assert switch.commits == 0


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "@@ -1,3 +1,3 @@\n-mac address-table static 0200.0000.0007 vlan 10 drop",
        "@@ -1,3 +1,4 @@\n interface Ethernet3\n+   shape rate 64 kbps",
        "+mac address-table static 0200.0000.0007 vlan 10 drop\n router bgp 65000\n+   shape rate 64 kbps",
    ],
)
def test_a_diff_that_is_not_what_we_meant_stops_the_commit(switch: ConfiguredSwitch, shown: str) -> None:
    switch.shown_diff = shown
    with pytest.raises(DeviceError):
        DRIVER.push(switch, [BLOCK, LIMIT])
    assert switch.commits == 0


def test_an_interface_may_be_too_far_above_to_be_shown(switch: ConfiguredSwitch) -> None:
    switch.shown_diff = (
        "@@ -20,3 +20,5 @@\n    switchport access vlan 10\n    switchport mode access\n"
        "+   service-policy type qos input SWITCHGUARD-Et7\n+   shape rate 64 kbps\n !\n"
        "@@ -40,3 +42,6 @@\n+policy-map type quality-of-service SWITCHGUARD-Et7\n+   class class-default\n"
        "+      police rate 64 kbps burst-size 12 kbytes\n+!"
    )
    DRIVER.push(switch, [LIMIT])
    assert switch.commits == 1


def test_a_block_that_the_forwarding_table_contradicts_is_no_block(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    question = "show mac address-table | json"
    table = switch.answers[question](switch).replace('"static"', '"dynamic"').replace("Drop", "Ethernet7")
    switch.answers = {**switch.answers, question: lambda _: table}
    with pytest.raises(DeviceError, match="its forwarding table has it on Ethernet7"):
        DRIVER.enforced(switch)
