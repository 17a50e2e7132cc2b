"""What the recordings do not show of Huawei: exact lines, other people's entries, and ports that nobody tells."""

from importlib import import_module
from typing import Any, cast

import pytest
from configured_switch import Answers
from model_huawei_vrp import BLOCK, LIMIT, MAC, HuaweiSwitch, Model
from model_huawei_vrpv8 import Model as Model8

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.errors import DeviceError, UnexpectedOutput
from switchguard.ports import Enforces, ReadsCapture

sessions = import_module("switchguard.drivers._huawei_sessions")
VRP = cast(Enforces, plugins.driver("huawei_vrp"))
V8 = cast(Enforces, plugins.driver("huawei_vrpv8"))
HEAD = "Current Total Sessions : {}\n"
TCP = " tcp  VPN: public --> public  10.10.0.{0}:50000[203.0.113.2:2060] --> 198.51.100.9:443\n"


def of(usages: Any) -> dict[str, int]:
    return {str(usage.address): usage.sessions for usage in usages}


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_the_undo_of_a_block_names_its_mac_and_its_vlan() -> None:
    """With less it would take everybody's away."""
    lines = VRP.render([BLOCK.inverse()])
    assert lines == ("undo mac-address blackhole 0200-0000-0007 vlan 10",)


def test_a_release_leaves_everybody_elses_blackholes() -> None:
    switch = Model()
    VRP.push(switch, [BLOCK])
    VRP.push(switch, [BLOCK.inverse()])
    assert "mac-address blackhole 0200-0000-0099 vlan 10" in switch.text()


@pytest.mark.parametrize("station", [Station(mac=MAC), Station(mac=MAC, vlan=0), Station(vlan=10)])
def test_a_block_without_its_mac_or_its_vlan_is_never_typed(station: Station) -> None:
    slot = Slot("sw1", "block", station)
    for change in (Change(slot, None, Block()), Change(slot, Block(), None)):
        with pytest.raises(DeviceError, match="needs a MAC and a VLAN"):
            VRP.render([change])


def test_a_static_entry_is_not_replaced() -> None:
    switch, theirs = Model(), Station(vlan=10, mac=Mac.parse("0200-0000-0098"))
    with pytest.raises(DeviceError, match="has a static entry, which a blackhole would replace"):
        VRP.push(switch, [Change(Slot("sw1", "block", theirs), None, Block())])
    assert switch.typed == []


def test_a_configured_block_that_the_switch_does_not_keep_is_no_block() -> None:
    empty = "MAC Address    VLAN/VSI/BD   Learned-From   Type\nTotal items: 0\n"
    switch = Model()
    deaf: Answers = {**switch.answers, "display mac-address blackhole": lambda _: empty}
    with pytest.raises(DeviceError, match="its table of blackholes has no such entry"):
        VRP.enforced(HuaweiSwitch(switch.platform, switch.grammar, 1, deaf, switch.diff_of, switch.running))


def test_a_configuration_without_its_end_is_no_configuration() -> None:
    switch = Model()
    cut: Answers = {**switch.answers, "display current-configuration": lambda it: it.text().removesuffix("return")}
    with pytest.raises(UnexpectedOutput, match="without its end"):
        VRP.enforced(HuaweiSwitch(switch.platform, switch.grammar, 1, cut, switch.diff_of, switch.running))


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_limit_goes_both_ways() -> None:
    head = "interface GigabitEthernet0/0/7"
    assert VRP.render([LIMIT]) == (head, " qos lr inbound cir 64", " qos lr outbound cir 64", "quit")
    assert VRP.render([LIMIT.inverse()]) == (head, " undo qos lr inbound", " undo qos lr outbound", "quit")


@pytest.mark.parametrize("port", ["", "GE0/0/1; reboot", "GE0/0/1\nreboot", "7"])
def test_what_is_no_port_reaches_no_command_line(port: str) -> None:
    with pytest.raises(DeviceError, match="no name of a port"):
        VRP.render([Change(Slot("sw1", "limit", Station(port=port)), None, RateLimit(64_000))])


def test_less_than_the_device_can_is_refused() -> None:
    with pytest.raises(DeviceError, match="VRP cannot express"):
        VRP.render([Change(LIMIT.slot, None, RateLimit(63_000))])


def test_vrp_8_has_a_profile_for_every_port() -> None:
    name = "SWITCHGUARD-GigabitEthernet0-0-7"
    head = "interface GigabitEthernet0/0/7"
    assert V8.render([LIMIT]) == (f"qos car {name} cir 64 kbps", head, f" qos car inbound {name}", "quit")
    assert V8.render([LIMIT.inverse()]) == (head, " undo qos car inbound", "quit", f"undo qos car {name}")


def test_a_profile_of_somebody_else_stays_where_it_is() -> None:
    device = Model8()
    device.type_in("qos car 100M cir 100000 kbps\ninterface GigabitEthernet0/0/7\n qos car inbound 100M")
    assert LIMIT.slot not in V8.enforced(device)
    with pytest.raises(DeviceError, match="has the QoS profile 100M of somebody else"):
        V8.push(device, [LIMIT])


def test_a_limit_whose_profile_says_something_else_is_replaced() -> None:
    device = Model8()
    V8.push(device, [LIMIT])
    device.type_in("qos car SWITCHGUARD-GigabitEthernet0-0-7 cir 9000 kbps")
    assert V8.enforced(device)[LIMIT.slot] == RateLimit(9_000_000)
    V8.push(device, [Change(LIMIT.slot, RateLimit(9_000_000), RateLimit(64_000))])
    assert V8.enforced(device)[LIMIT.slot] == RateLimit(64_000)


# --- sessions --------------------------------------------------------------------------------------------------------


def test_the_ports_of_a_router_are_not_told() -> None:
    """443 may be printed as 47873, which would make a swarm of every reader of web pages."""
    text = "".join(
        f"""     Protocol          : TCP(6)
     SrcAddr  Port Vpn : 10.10.0.7       3780
     DestAddr Port Vpn : 198.51.100.{n}    47873
     NAT-Info
       New SrcAddr     : 203.0.113.2
       New SrcPort     : ----
       New DestAddr    : ----
       New DestPort    : ----
"""
        for n in range(1, 4)
    )
    (usage,) = sessions.usage("gw1", f"  NAT Session Table Information:\n{text}  Total : 3\n", sessions.SESSIONS)
    assert (usage.sessions, usage.remotes, usage.remote_ports, usage.high_port_share) == (3, 3, 0, 0.0)


def test_a_table_with_fewer_sessions_than_it_says_was_cut_off() -> None:
    with pytest.raises(UnexpectedOutput, match="1 sessions of 2"):
        sessions.usage("fw1", HEAD.format(2) + TCP.format(7), sessions.FIREWALL)


def test_a_table_without_a_total_has_no_end_that_could_be_known() -> None:
    with pytest.raises(UnexpectedOutput, match="1 sessions of None"):
        sessions.usage("fw1", TCP.format(7), sessions.FIREWALL)


def test_a_number_that_the_terminal_has_broken_is_whole_again() -> None:
    text = HEAD.format(1) + TCP.format(7).replace(":443\n", ":44\n3\n")
    (usage,) = sessions.usage("fw1", text, sessions.FIREWALL)
    assert usage.top_port == 443


def test_what_the_other_unit_sent_is_no_session_of_this_one() -> None:
    text = HEAD.format(2) + TCP.format(7) + TCP.format(8).replace("public  10", "public  Remote 10")
    assert of(sessions.usage("fw1", text, sessions.FIREWALL)) == {"10.10.0.7": 1}


def test_an_unreadable_line_of_a_saved_table_is_quoted_with_its_number() -> None:
    """Also after lines that were broken."""
    lines = HEAD.format(2) + TCP.format(7).replace(":443\n", ":44\n3\n") + " what is this?\n" + TCP.format(8)
    reader = plugins.driver("huawei_vrp")
    assert isinstance(reader, ReadsCapture)
    found = reader.read_capture([lines.encode()], "firewall", ())
    assert (found.entries, found.unparsed, found.samples) == (2, 1, ((4, " what is this?"),))
    assert of(found.usages) == {"10.10.0.7": 1, "10.10.0.8": 1}


def test_a_saved_table_without_a_header_is_read_all_the_same() -> None:
    found = sessions.read_capture([TCP.format(7).encode()], "huawei_vrp", sessions.FIREWALL, ())
    assert (of(found.usages), found.complete) == ({"10.10.0.7": 1}, True)


def test_a_saved_table_that_lost_its_end_is_not_complete() -> None:
    found = sessions.read_capture([(HEAD.format(9) + TCP.format(7)).encode()], "huawei_vrp", sessions.FIREWALL, ())
    assert (of(found.usages), found.complete) == ({"10.10.0.7": 1}, False)
