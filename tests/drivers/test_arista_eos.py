"""What only EOS does: two lines for a block, both directions of a limit, and a diff from a session that is aborted."""

from itertools import takewhile
from typing import cast

import pytest
from configured_switch import ConfiguredSwitch
from model_arista_eos import BLOCK, CAP, FOR_ALL, IN_VLAN_20, LIMIT, MAC, OTHER_BLOCK, OTHER_CAP, OTHER_LIMIT, Model

from switchguard import plugins
from switchguard.core.changes import Change, Diff, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedDiff, UnexpectedOutput
from switchguard.ports import Enforces

DRIVER = cast(Enforces, plugins.driver("arista_eos"))
DROP = "mac address-table static 0200.0000.0007 vlan 10 drop"
LIST = "mac access-list SWITCHGUARD"
DENY = "10 deny 02:00:00:00:00:07 00:00:00:00:00:00 any"
BINDING = "mac access-group SWITCHGUARD in"


@pytest.fixture
def switch() -> ConfiguredSwitch:
    return Model()


def changed(diff: Diff) -> list[str]:
    return [line for line in diff.text.splitlines() if line[0] in "+-" and line[1:].strip() != "!"]


def bound(switch: ConfiguredSwitch) -> list[str]:
    """Ports with our list inbound."""
    return [node.arguments[0] for node in switch.running.values() if f"   {BINDING}" in below(switch, node.text)]


def entries(switch: ConfiguredSwitch) -> list[str]:
    return [line.strip() for line in below(switch, LIST)]


def show_below(switch: ConfiguredSwitch, head: str, line: str, indent: str = "   ") -> None:
    """From now on the switch shows a line that the model has no use for."""
    question = "show running-config"
    shown, more = switch.answers[question], f"{head}\n{indent}{line}\n"
    switch.answers = {**switch.answers, question: lambda it: shown(it).replace(f"{head}\n", more)}


def below(switch: ConfiguredSwitch, head: str) -> list[str]:
    """The lines of a section, as the switch shows them."""
    after = switch.text().split(f"{head}\n", 1)[-1].splitlines() if f"{head}\n" in switch.text() else []
    return list(takewhile(lambda line: line.startswith("   "), after))


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_a_block_stops_what_goes_to_the_station_and_what_comes_from_it() -> None:
    assert DRIVER.facts.directions == "both"
    assert DRIVER.render([BLOCK]) == (
        DROP,
        LIST,
        f" {DENY}",
        "exit",
        LIST,
        " 1000000 permit any any",
        "exit",
    )


def test_the_last_release_takes_the_whole_list_away() -> None:
    assert DRIVER.render([BLOCK.inverse()]) == (f"no {DROP}", f"no {LIST}")


def test_rendering_nothing_gives_no_lines() -> None:
    assert DRIVER.render([]) == ()


def test_the_list_is_bound_to_every_switched_port(switch: ConfiguredSwitch) -> None:
    diff = DRIVER.push(switch, [BLOCK])
    assert changed(diff) == [
        f"+{LIST}",
        f"+   {DENY}",
        "+   1000000 permit any any",
        *[f"+   {BINDING}"] * 9,
        f"+{DROP}",
    ]
    assert bound(switch) == [*(f"Ethernet{n}" for n in range(1, 9)), "Port-Channel1"]


def test_a_second_block_is_two_lines(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    assert changed(DRIVER.push(switch, [OTHER_BLOCK])) == [
        "+   20 deny 02:00:00:00:00:08 00:00:00:00:00:00 any",
        "+mac address-table static 0200.0000.0008 vlan 10 drop",
    ]


def test_a_free_number_is_used_again(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    DRIVER.push(switch, [OTHER_BLOCK])
    DRIVER.push(switch, [BLOCK.inverse()])
    assert entries(switch) == ["20 deny 02:00:00:00:00:08 00:00:00:00:00:00 any", "1000000 permit any any"]
    DRIVER.push(switch, [BLOCK])
    assert entries(switch)[0] == DENY


def test_a_mac_in_two_vlans_has_one_line_until_the_last_release(switch: ConfiguredSwitch) -> None:
    before = switch.text()
    DRIVER.push(switch, [BLOCK])
    assert changed(DRIVER.push(switch, [IN_VLAN_20])) == ["+mac address-table static 0200.0000.0007 vlan 20 drop"]
    assert changed(DRIVER.push(switch, [BLOCK.inverse()])) == [f"-{DROP}"]
    assert entries(switch) == [DENY, "1000000 permit any any"]
    DRIVER.push(switch, [IN_VLAN_20.inverse()])
    assert switch.text() == before


def test_a_drop_without_its_denial_is_a_block_and_gets_it_with_the_next_push(switch: ConfiguredSwitch) -> None:
    switch.type_in(DROP)
    assert DRIVER.enforced(switch) == {BLOCK.slot: Block()}
    DRIVER.push(switch, [BLOCK])
    assert entries(switch)[0] == DENY


def test_a_denial_without_its_drop_is_no_block_and_gets_it_with_the_next_push(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    switch.type_in(f"no {DROP}")
    assert DRIVER.enforced(switch) == {}
    assert changed(DRIVER.push(switch, [BLOCK])) == [f"+{DROP}"]


def test_a_denial_that_lost_its_drop_goes_with_the_next_push(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    switch.type_in(f"no {DROP}")
    DRIVER.push(switch, [OTHER_BLOCK])
    assert entries(switch) == ["20 deny 02:00:00:00:00:08 00:00:00:00:00:00 any", "1000000 permit any any"]


def test_the_denial_of_a_mac_that_an_administrator_drops_elsewhere_stays(switch: ConfiguredSwitch) -> None:
    switch.type_in("mac address-table static 0200.0000.0007 vlan 20 drop")
    DRIVER.push(switch, [BLOCK])
    DRIVER.push(switch, [BLOCK.inverse()])
    assert entries(switch)[0] == DENY


@pytest.mark.parametrize(
    "broken", [f"{LIST}\n no 1000000", f"interface Ethernet3\n no {BINDING}", f"no {LIST}", f"{LIST}\n no 10"]
)
def test_what_is_missing_comes_back_with_the_next_push(switch: ConfiguredSwitch, broken: str) -> None:
    DRIVER.push(switch, [BLOCK])
    whole = switch.text()
    switch.type_in(broken)
    DRIVER.push(switch, [BLOCK])
    assert switch.text() == whole


def test_an_empty_list_and_its_bindings_go_with_a_release(switch: ConfiguredSwitch) -> None:
    before = switch.text()
    DRIVER.push(switch, [BLOCK])
    switch.type_in(f"{LIST}\n no 10\n no 1000000")
    DRIVER.push(switch, [BLOCK.inverse()])
    assert switch.text() == before


@pytest.mark.parametrize("line", ["no switchport", "channel-group 1 mode active", "mac access-group CONTROL in"])
def test_a_port_that_does_not_switch_or_is_taken_is_left_alone(switch: ConfiguredSwitch, line: str) -> None:
    show_below(switch, "interface Ethernet5", line)
    DRIVER.push(switch, [BLOCK])
    assert bound(switch) == [*(f"Ethernet{n}" for n in (1, 2, 3, 4, 6, 7, 8)), "Port-Channel1"]


def test_where_ports_route_by_default_only_those_that_say_so_switch(switch: ConfiguredSwitch) -> None:
    show_below(switch, "hostname sw1", "switchport default mode routed", indent="")
    show_below(switch, "interface Ethernet3", "switchport")
    DRIVER.push(switch, [BLOCK])
    assert bound(switch) == ["Ethernet3"]


def test_an_outbound_list_is_no_obstacle(switch: ConfiguredSwitch) -> None:
    show_below(switch, "interface Ethernet5", "mac access-group CONTROL out")
    DRIVER.push(switch, [BLOCK])
    assert "Ethernet5" in bound(switch)


def test_a_station_behind_somebody_else_s_list_cannot_be_blocked(switch: ConfiguredSwitch) -> None:
    switch.type_in("interface Port-Channel1\n mac access-group CONTROL in")
    switch.learned = {(10, MAC): "Port-Channel1"}
    before = switch.text()
    for attempt in (DRIVER.push, DRIVER.preview):
        with pytest.raises(DeviceError, match="behind Port-channel1, which has the mac access-group CONTROL"):
            attempt(switch, [BLOCK])
    DRIVER.push(switch, [BLOCK.inverse()])
    assert switch.text() == before


def test_a_station_behind_another_port_is_blocked_and_the_taken_one_left_alone(switch: ConfiguredSwitch) -> None:
    switch.type_in("interface Ethernet3\n mac access-group CONTROL in")
    switch.learned = {(10, MAC): "Ethernet4", (20, MAC): "Ethernet3"}
    before = switch.text()
    DRIVER.push(switch, [BLOCK])
    assert "Ethernet3" not in bound(switch)
    DRIVER.push(switch, [BLOCK.inverse()])
    assert switch.text() == before


@pytest.mark.parametrize(
    "stranger", ["5 permit any any", "1000000 deny any any", "7 deny any 02:00:00:00:00:07 00:00:00:00:00:00"]
)
def test_somebody_else_s_entry_in_our_list_stops_a_block_and_stays_at_a_release(
    switch: ConfiguredSwitch, stranger: str
) -> None:
    DRIVER.push(switch, [BLOCK])
    switch.type_in(f"{LIST}\n {stranger}")
    with pytest.raises(DeviceError, match="mac access-list SWITCHGUARD has lines of somebody else"):
        DRIVER.push(switch, [OTHER_BLOCK])
    DRIVER.push(switch, [BLOCK.inverse()])
    assert DENY not in entries(switch)
    assert stranger in entries(switch)
    assert len(bound(switch)) == 9


def test_counters_in_our_list_go_with_it(switch: ConfiguredSwitch) -> None:
    before = switch.text()
    DRIVER.push(switch, [BLOCK])
    switch.type_in(f"{LIST}\n counters per-entry")
    DRIVER.push(switch, [BLOCK.inverse()])
    assert switch.text() == before


@pytest.mark.parametrize("missing", [f"+   {DENY}\n", "+   1000000 permit any any\n", f"+{DROP}", f"+   {BINDING}\n"])
def test_every_sort_of_line_must_show_in_the_diff(switch: ConfiguredSwitch, missing: str) -> None:
    whole = DRIVER.preview(switch, [BLOCK]).text
    switch.shown_diff = whole.replace(missing, "")
    with pytest.raises(DeviceError, match="does not show"):
        DRIVER.push(switch, [BLOCK])
    assert switch.commits == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (f"+   {DENY}", "+   10 deny 02:00:00:00:00:08 00:00:00:00:00:00 any"),
        (f"+   {BINDING}", "+   mac access-group SWITCHGUARD out"),
        (f"+{LIST}", "+mac access-list CONTROL"),
        (f"+   {DENY}", f"+   {DENY}\n-mac access-list CONTROL\n-   10 permit any any"),
    ],
)
def test_a_line_like_ours_is_not_ours(switch: ConfiguredSwitch, ours: str, theirs: str) -> None:
    switch.shown_diff = DRIVER.preview(switch, [BLOCK]).text.replace(ours, theirs, 1)
    with pytest.raises(UnexpectedDiff):
        DRIVER.push(switch, [BLOCK])
    assert switch.commits == 0


# --- limits ----------------------------------------------------------------------------------------------------------


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


DETACHED = "interface Ethernet7\n no service-policy type qos input SWITCHGUARD-Et7"


def test_a_port_whose_policy_somebody_has_detached_is_still_shaped_and_can_be_released(
    switch: ConfiguredSwitch,
) -> None:
    before = switch.text()
    DRIVER.push(switch, [LIMIT])
    switch.type_in(DETACHED)
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(0)}
    DRIVER.push(switch, [Change(LIMIT.slot, RateLimit(0), None)])
    assert switch.text() == before


def test_a_port_whose_policy_somebody_has_detached_is_limited_anew(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [LIMIT])
    switch.type_in(DETACHED)
    DRIVER.push(switch, [LIMIT])
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(64_000)}


@pytest.mark.parametrize(
    "typed",
    [
        f"{DETACHED}\n shape rate 10000 kbps",
        f"policy-map type quality-of-service VOICE\n{DETACHED}\n service-policy type qos input VOICE",
    ],
    ids=["shaped otherwise", "another policy"],
)
def test_a_port_that_somebody_has_taken_over_is_theirs(switch: ConfiguredSwitch, typed: str) -> None:
    DRIVER.push(switch, [LIMIT])
    switch.type_in(typed)
    before = switch.text()
    assert DRIVER.enforced(switch) == {}
    DRIVER.push(switch, [LIMIT.inverse()])
    assert switch.text() == before


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


# --- caps ------------------------------------------------------------------------------------------------------------


def caps(switch: ConfiguredSwitch) -> list[str]:
    return [line for line in switch.text().splitlines() if "max-entries" in line]


def test_a_cap_is_one_line_with_its_number_first() -> None:
    assert DRIVER.render([CAP]) == ("ip nat translation max-entries 200 10.10.0.7",)
    assert DRIVER.render([CAP.inverse()]) == ("no ip nat translation max-entries 200 10.10.0.7",)
    assert DRIVER.render([FOR_ALL]) == ("ip nat translation max-entries 500 host",)


def test_another_cap_takes_the_old_one_away_first(switch: ConfiguredSwitch) -> None:
    """Two lines for one address could both stand."""
    DRIVER.push(switch, [CAP, OTHER_CAP, FOR_ALL])
    diff = DRIVER.push(switch, [Change(CAP.slot, SessionCap(200), SessionCap(100))])
    assert changed(diff) == [
        "-ip nat translation max-entries 200 10.10.0.7",
        "+ip nat translation max-entries 100 10.10.0.7",
    ]
    assert DRIVER.enforced(switch) == {
        CAP.slot: SessionCap(100),
        OTHER_CAP.slot: SessionCap(200),
        FOR_ALL.slot: SessionCap(500),
    }


def test_a_cap_that_somebody_changed_is_taken_back_as_it_stands(switch: ConfiguredSwitch) -> None:
    switch.type_in("ip nat translation max-entries 999 10.10.0.7")
    DRIVER.push(switch, [CAP.inverse()])
    assert caps(switch) == []


def test_the_limit_of_the_table_and_the_low_mark_are_not_ours(switch: ConfiguredSwitch) -> None:
    switch.type_in("ip nat translation max-entries 100000\nip nat translation low-mark 80 host")
    before = switch.text()
    assert DRIVER.enforced(switch) == {}
    DRIVER.push(switch, [CAP, FOR_ALL])
    DRIVER.push(switch, [FOR_ALL.inverse(), CAP.inverse()])
    assert switch.text() == before


@pytest.mark.parametrize("line", ["many host", "200 GUESTS", "200 10.10.0.300"])
def test_a_cap_that_nobody_can_read_is_an_error(switch: ConfiguredSwitch, line: str) -> None:
    switch.answers = {"show running-config": lambda _: f"ip nat translation max-entries {line}\nend"}
    with pytest.raises(UnexpectedOutput):
        DRIVER.enforced(switch)
