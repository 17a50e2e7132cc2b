"""What only IOS does: its order of lines, whose lines it leaves alone, and which diffs stop a commit."""

from ipaddress import IPv4Address, ip_address
from typing import cast

import pytest
from configured_switch import ConfiguredSwitch
from model_cisco_ios import BLOCK, FOR_ALL, IN_VLAN_20, LIMIT, MAC, OTHER_LIMIT, Model
from replay import RECORDINGS, Replay

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, NatSize, NatUsage, Station
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import CommandRefused, DeviceError, UnexpectedDiff, UnexpectedOutput, Unreachable
from switchguard.ports import Enforces, ReadsNat, ReadsNatSize

DRIVER = cast(Enforces, plugins.driver("cisco_ios"))
CLOCK = "07:41:03.512 UTC Thu Dec 18 2025"


@pytest.fixture
def switch() -> ConfiguredSwitch:
    return Model()


def limit(port: str, bps: int) -> Change:
    return Change(Slot("sw1", "limit", Station(port=port)), None, RateLimit(bps))


# --- lines -----------------------------------------------------------------------------------------------------------


def test_a_block_is_one_line() -> None:
    assert DRIVER.render([BLOCK]) == ("mac address-table static 0200.0000.0007 vlan 10 drop",)


def test_a_block_is_taken_back_without_the_word_drop() -> None:
    assert DRIVER.render([BLOCK.inverse()]) == ("no mac address-table static 0200.0000.0007 vlan 10",)


def test_a_limit_is_defined_before_it_is_attached() -> None:
    assert DRIVER.render([LIMIT]) == (
        "policy-map SWITCHGUARD-Gi0-7",
        " class class-default",
        "  police cir 64000 bc 12000 conform-action transmit exceed-action drop",
        " exit",
        "exit",
        "interface GigabitEthernet0/7",
        " service-policy input SWITCHGUARD-Gi0-7",
        "exit",
    )


def test_a_limit_is_detached_before_it_is_deleted() -> None:
    assert DRIVER.render([LIMIT.inverse()]) == (
        "interface GigabitEthernet0/7",
        " no service-policy input SWITCHGUARD-Gi0-7",
        "exit",
        "no policy-map SWITCHGUARD-Gi0-7",
    )


def test_another_rate_replaces_the_policer_and_nothing_else(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [LIMIT])
    faster = Change(LIMIT.slot, RateLimit(64_000), RateLimit(128_000))
    diff = DRIVER.push(switch, [faster])
    assert [line for line in diff.text.splitlines() if "police" in line or "service" in line] == [
        "+  police cir 128000 bc 24000 conform-action transmit exceed-action drop"
    ]
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(128_000)}


def test_the_older_catalysts_have_their_own_policer(switch: ConfiguredSwitch) -> None:
    catalyst = type("Catalyst", (type(DRIVER),), {"police": "catalyst"})()
    catalyst.push(switch, [LIMIT])
    assert "\n  police 64000 12000 exceed-action drop\n" in switch.text()
    assert catalyst.enforced(switch) == DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(64_000)}


def test_the_inverse_restores_the_whole_configuration(switch: ConfiguredSwitch) -> None:
    before = switch.text()
    changes = [BLOCK, LIMIT, OTHER_LIMIT]
    DRIVER.push(switch, changes)
    DRIVER.push(switch, [change.inverse() for change in reversed(changes)])
    assert switch.text() == before


def test_a_release_leaves_the_same_mac_in_another_vlan_blocked(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK, IN_VLAN_20])
    DRIVER.push(switch, [BLOCK.inverse()])
    assert DRIVER.enforced(switch) == {IN_VLAN_20.slot: Block()}


@pytest.mark.parametrize(
    "change",
    [
        limit("Gi0/7\nno shutdown", 64_000),
        limit("", 64_000),
        limit("Gi0/7", 7_999),
        Change(Slot("sw1", "block", Station(mac=MAC)), None, Block()),
        Change(Slot("sw1", "block", Station(vlan=4095, mac=MAC)), None, Block()),
        Change(Slot("sw1", "block", Station(vlan=10, mac=Mac.parse("0100.5e00.0001"))), None, Block()),
        Change(Slot("sw1", "block", Station(vlan=10, mac=MAC)), None, Block(by="address")),
        Change(Slot("sw1", "cap", Station(port="Gi0/7")), None, SessionCap(100)),
        Change(Slot("sw1", "cap", address=ip_address("2001:db8::7")), None, SessionCap(100)),
        Change(Slot("sw1", "cap", address=ip_address("10.10.0.7")), None, SessionCap(0)),
        Change(Slot("sw1", "cap"), None, SessionCap(1 << 31)),
    ],
)
def test_what_cannot_be_said_is_refused(change: Change) -> None:
    with pytest.raises(DeviceError):
        DRIVER.render([change])


# --- caps ------------------------------------------------------------------------------------------------------------


def cap(before: int | None, after: int | None) -> Change:
    slot = Slot("sw1", "cap", address=ip_address("10.10.0.7"))
    return Change(slot, SessionCap(before) if before else None, SessionCap(after) if after else None)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (cap(None, 200), "ip nat translation max-entries host 10.10.0.7 200"),
        (cap(200, 100), "ip nat translation max-entries host 10.10.0.7 100"),
        (cap(200, None), "no ip nat translation max-entries host 10.10.0.7 200"),
    ],
)
def test_a_cap_is_one_line_and_is_taken_back_with_its_number(change: Change, line: str) -> None:
    assert DRIVER.render([change]) == (line,)


def test_the_cap_for_all_and_that_of_one_host_leave_each_other_alone(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [FOR_ALL, cap(None, 200)])
    DRIVER.push(switch, [FOR_ALL.inverse()])
    assert [line for line in switch.text().splitlines() if "max-entries" in line] == [
        "ip nat translation max-entries host 10.10.0.7 200"
    ]


def test_a_cap_of_nothing_is_none(switch: ConfiguredSwitch) -> None:
    switch.type_in("ip nat translation max-entries all-host 0")
    assert DRIVER.enforced(switch) == {}
    DRIVER.push(switch, [FOR_ALL])
    assert DRIVER.enforced(switch) == {FOR_ALL.slot: SessionCap(500)}


def test_other_limits_of_the_table_are_nobody_s_cap(switch: ConfiguredSwitch) -> None:
    shown = ("60000", "all-vrf 500", "vrf GUESTS 500", "list LAPTOPS 500")
    config = "\n".join(f"ip nat translation max-entries {words}" for words in shown)
    switch.answers = {"show running-config": lambda _: f"{config}\nend"}
    assert DRIVER.enforced(switch) == {}


def test_a_cap_that_nobody_can_read_is_an_error(switch: ConfiguredSwitch) -> None:
    switch.answers = {"show running-config": lambda _: "ip nat translation max-entries host 10.10.0.7 many\nend"}
    with pytest.raises(UnexpectedOutput):
        DRIVER.enforced(switch)


def test_a_cap_that_somebody_changed_is_taken_back_as_it_stands(switch: ConfiguredSwitch) -> None:
    switch.type_in("ip nat translation max-entries host 10.10.0.7 999")
    DRIVER.push(switch, [cap(200, None)])
    assert switch.typed[-1][0] == "no ip nat translation max-entries host 10.10.0.7 999"
    assert "max-entries" not in switch.text()


# --- other people's lines --------------------------------------------------------------------------------------------


def test_a_static_entry_of_an_administrator_is_not_overwritten(switch: ConfiguredSwitch) -> None:
    switch.type_in("mac address-table static 0200.0000.0007 vlan 10 interface GigabitEthernet0/3")
    for attempt in (DRIVER.push, DRIVER.preview):
        with pytest.raises(DeviceError, match="static entry to interface GigabitEthernet0/3"):
            attempt(switch, [BLOCK])
    assert switch.commits == 0


def test_a_foreign_service_policy_is_not_replaced(switch: ConfiguredSwitch) -> None:
    switch.type_in("policy-map VOICE\ninterface GigabitEthernet0/7\n service-policy input VOICE")
    with pytest.raises(DeviceError, match="service-policy VOICE of somebody else"):
        DRIVER.push(switch, [LIMIT])
    assert switch.commits == 0


def test_a_release_does_not_touch_what_somebody_put_in_its_place(switch: ConfiguredSwitch) -> None:
    switch.type_in("mac address-table static 0200.0000.0007 vlan 10 interface GigabitEthernet0/3")
    switch.type_in("policy-map VOICE\ninterface GigabitEthernet0/7\n service-policy input VOICE")
    before = switch.text()
    DRIVER.push(switch, [BLOCK.inverse(), LIMIT.inverse()])
    assert switch.text() == before


def test_a_limit_that_lost_its_policer_is_repaired(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [LIMIT])
    switch.type_in("policy-map SWITCHGUARD-Gi0-7\n class class-default\n  no police")
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(0)}
    DRIVER.push(switch, [LIMIT])
    assert DRIVER.enforced(switch) == {LIMIT.slot: RateLimit(64_000)}


# --- the device's diff -----------------------------------------------------------------------------------------------


def test_the_diff_of_a_push_is_the_device_s(switch: ConfiguredSwitch) -> None:
    diff = DRIVER.push(switch, [BLOCK])
    assert (diff.text, diff.source) == ("+mac address-table static 0200.0000.0007 vlan 10 drop", "device")


def test_a_preview_is_computed_because_a_candidate_writes_to_flash(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    diff = DRIVER.preview(switch, [BLOCK.inverse(), LIMIT])
    assert diff.source == "computed"
    assert diff.text.splitlines() == [
        "-mac address-table static 0200.0000.0007 vlan 10 drop",
        "+policy-map SWITCHGUARD-Gi0-7",
        "+ class class-default",
        "+  police cir 64000 bc 12000 conform-action transmit exceed-action drop",
        " interface GigabitEthernet0/7",
        "+ service-policy input SWITCHGUARD-Gi0-7",
    ]
    assert switch.commits == 1


@pytest.mark.parametrize(
    "extra",
    [
        "snmp-server contact somebody-else",
        "mac address-table static 0200.0000.0099 vlan 10 drop",
        "no vlan 20",
        "interface GigabitEthernet0/1\n shutdown",
    ],
)
def test_a_line_that_is_not_ours_stops_the_commit(switch: ConfiguredSwitch, extra: str) -> None:
    switch.extra = tuple(extra.splitlines())
    with pytest.raises(UnexpectedDiff):
        DRIVER.push(switch, [BLOCK])
    assert switch.commits == 0


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "! incremental-diff failed; falling back to echo of merge file\n"
        "+mac address-table static 0200.0000.0007 vlan 10 drop",
        "-mac address-table static 0200.0000.0007 vlan 10 drop",
        "+mac address-table static 0200.0000.0007 vlan 100 drop",
        "+mac address-table static 0200.0000.0007 vlan 10 drop\n+interface Vlan99",
        "+interface GigabitEthernet0/1\n+ mac address-table static 0200.0000.0007 vlan 10 drop now",
    ],
)
def test_a_diff_that_is_not_what_we_meant_stops_the_commit(switch: ConfiguredSwitch, shown: str) -> None:
    switch.shown_diff = shown
    with pytest.raises(DeviceError):
        DRIVER.push(switch, [BLOCK])
    assert switch.commits == 0


def test_our_policy_on_another_port_is_not_ours(switch: ConfiguredSwitch) -> None:
    switch.shown_diff = (
        "+policy-map SWITCHGUARD-Gi0-7\n+ class class-default\n"
        "+  police cir 64000 bc 12000 conform-action transmit exceed-action drop\n"
        "+interface GigabitEthernet0/1\n+ service-policy input SWITCHGUARD-Gi0-7"
    )
    with pytest.raises(UnexpectedDiff):
        DRIVER.push(switch, [LIMIT])


def test_spelling_makes_no_difference(switch: ConfiguredSwitch) -> None:
    """Another case, blanks, the short name of the port, and the noise of the real command."""
    switch.shown_diff = (
        "+    mac address-table static 0200.0000.0007  vlan 10 drop\n+    interface Gi0/7\n"
        "+        service-policy input SWITCHGUARD-Gi0-7\n+    exit\n!some remark\n"
        "+policy-map SWITCHGUARD-Gi0-7\n+ class class-default\n"
        "+  police cir 64000 bc 12000  conform-action transmit  exceed-action drop"
    )
    DRIVER.push(switch, [BLOCK, LIMIT])
    assert switch.commits == 1


def test_the_cpu_s_own_mac_is_refused_by_the_device(switch: ConfiguredSwitch) -> None:
    own = Change(Slot("sw1", "block", Station(vlan=10, mac=Mac.parse("0011.2233.4400"))), None, Block())
    with pytest.raises(CommandRefused):
        DRIVER.push(switch, [own])
    assert DRIVER.enforced(switch) == {}


# --- reading back ----------------------------------------------------------------------------------------------------


def test_a_block_that_the_forwarding_table_contradicts_is_no_block(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    table = switch.answers["show mac address-table"](switch).replace("STATIC      Drop", "DYNAMIC     Gi0/7")
    switch.answers = {**switch.answers, "show mac address-table": lambda _: table}
    with pytest.raises(DeviceError, match="its forwarding table has it on Gi0/7"):
        DRIVER.enforced(switch)


def test_a_drop_row_without_a_line_is_not_ours(switch: ConfiguredSwitch) -> None:
    switch.learned = {(10, MAC): "Drop"}
    assert DRIVER.enforced(switch) == {}


def test_a_configuration_without_its_end_is_an_error(switch: ConfiguredSwitch) -> None:
    switch.answers = {"show running-config": lambda it: it.text().removesuffix("end")}
    with pytest.raises(UnexpectedOutput, match="without its end"):
        DRIVER.enforced(switch)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Gi0/1", "GigabitEthernet0/1"),
        ("Po12", "Port-channel12"),
        ("Vl100", "Vlan100"),
        ("Twe1/0/43", "TwentyFiveGigE1/0/43"),
        ("Hu1/0/3", "HundredGigE1/0/3"),
        ("Te1/1/1", "TenGigabitEthernet1/1/1"),
    ],
)
def test_a_port_has_one_short_and_one_long_name(switch: ConfiguredSwitch, one: str, other: str) -> None:
    lines = DRIVER.render([limit(one, 64_000)])
    assert lines == DRIVER.render([limit(other, 64_000)])
    assert f"interface {other}" in lines
    shown = [line for line in lines if line.strip() != "exit"]
    switch.answers = {"show running-config": lambda _: "\n".join([*shown, "end"])}
    assert DRIVER.enforced(switch) == {limit(one, 64_000).slot: RateLimit(64_000)}


# --- the size of the table -------------------------------------------------------------------------------------------


class Hung(Replay):
    """Its agent answers, its terminal does not."""

    def ask(self, command: str) -> str:
        raise Unreachable("gw1", "no prompt within 10 s")


@pytest.mark.parametrize(("case", "size"), [("snmp_ext", NatSize("gw1", 48_120, None)), ("snmp_nothing_counted", None)])
def test_a_router_without_a_prompt_tells_its_size_over_snmp_if_that_counts(case: str, size: NatSize | None) -> None:
    recorded = Replay.load(RECORDINGS / "cisco_xe/nat_size" / case)
    hung = Hung(recorded.device, frozenset({"snmp", "cli"}), walked=recorded.walked, rows=recorded.rows)
    if size is None:
        with pytest.raises(Unreachable):
            cast(ReadsNatSize, DRIVER).nat_size(hung)
    else:
        assert cast(ReadsNatSize, DRIVER).nat_size(hung) == size


# --- translations ----------------------------------------------------------------------------------------------------


def nat(switch: ConfiguredSwitch, text: str, clock: str = CLOCK) -> tuple[NatUsage, ...]:
    switch.answers = {"show clock": lambda _: clock, "show ip nat translations verbose": lambda _: text}
    return cast(ReadsNat, DRIVER).nat(switch)


@pytest.mark.parametrize(
    "line",
    [
        "icmp 209.165.200.227:68192.168.1.3:69     209.165.200.1:68   209.165.200.1:68",
        "tcp 203.0.113.1:80  10.10.0.7:443  198.51.100.300:1  198.51.100.300:1",
        "tcp 203.0.113.1:80  10.10.0.7:443  198.51.100.3:1",
        "    create 00:00:34, use 00:",
        "Pro Inside global",
    ],
)
def test_a_line_that_cannot_be_understood_spoils_the_table(switch: ConfiguredSwitch, line: str) -> None:
    with pytest.raises(UnexpectedOutput):
        nat(switch, line + "\n")


def test_idle_times_of_xe_need_a_clock(switch: ConfiguredSwitch) -> None:
    with pytest.raises(UnexpectedOutput, match="no clock"):
        nat(switch, "", clock="% Invalid input")


def test_a_thousand_hosts_leave_a_sketch_of_fixed_size(switch: ConfiguredSwitch) -> None:
    remotes = [f"198.51.{n // 250}.{n % 250}:6881" for n in range(1000)]
    rows = (f"tcp 203.0.113.1:9 10.10.0.7:9 {remote} {remote}" for remote in remotes)
    (usage,) = nat(switch, "\n".join(rows))
    assert (usage.address, usage.sessions, usage.remotes, len(usage.sketch)) == (
        IPv4Address("10.10.0.7"),
        1000,
        1000,
        64,
    )


def test_remote_hosts_are_hashed_as_on_every_other_gateway(switch: ConfiguredSwitch) -> None:
    """SplitMix64 of 192.0.2.1, so that the sketches of one client on two gateways compare."""
    (usage,) = nat(switch, "tcp 203.0.113.1:80 10.10.0.7:80 192.0.2.1:80 192.0.2.1:80")
    assert usage.sketch == (10_801_868_193_361_724_956,)
