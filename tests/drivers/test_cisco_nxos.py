"""NX-OS: what of a forwarding table is a place, what is refused, and a diff that nobody but NAPALM has made."""

from dataclasses import replace
from importlib import import_module
from typing import cast

import pytest
from configured_switch import ConfiguredSwitch
from model_cisco_nxos import BLOCK, LIMIT, MAC, Model
from replay import Replay

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Role, Station
from switchguard.core.penalties import Quarantine, RateLimit
from switchguard.errors import DeviceError, UnexpectedDiff, UnexpectedOutput
from switchguard.ports import Enforces, ReadsFdb, ReadsNat

nxos = import_module("switchguard.drivers.cisco_nxos")

DRIVER = cast(Enforces, plugins.driver("cisco_nxos"))
HEADING = "   VLAN     MAC Address      Type      age     Secure NTFY Ports\n"


@pytest.fixture
def switch() -> ConfiguredSwitch:
    return Model()


def fdb(*rows: str) -> list[tuple[int | None, str]]:
    text = HEADING + "".join(f"{row}\n" for row in rows)
    session = Replay(
        Device("core1", "cisco_nxos", Role.CORE), frozenset({"cli"}), {("ask", "show mac address-table"): text}
    )
    assert isinstance(DRIVER, ReadsFdb)
    return [(entry.vlan, entry.port) for entry in DRIVER.fdb(session)]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_station_on_a_port_channel_of_both_peers_is_on_that_port() -> None:
    assert fdb("+   10     0200.0000.0007   dynamic  0         F      F    Po113") == [(10, "port-channel113")]


@pytest.mark.parametrize(
    "where",
    ["vPC Peer-Link(R)", "nve1(10.9.0.101)", "sup-eth1(R)", "sup-eth1(R) (Lo0)", "(R)", "Drop"],
)
def test_a_router_a_tunnel_the_cpu_and_nowhere_are_no_places(where: str) -> None:
    assert fdb(f"*   10     0200.0000.0007   dynamic  0         F      F    {where}") == []


def test_a_station_of_the_vpc_peer_is_behind_the_link_to_it() -> None:
    assert fdb("*   10     0200.0000.0007   dynamic  0         F      F    vPC Peer-Link") == [(10, "vPC Peer-Link")]


@pytest.mark.parametrize("where", ["Eth1/2", "vPC Peer-Link"])
def test_a_gateways_mac_is_no_station(where: str) -> None:
    assert fdb(f"G   10     0200.0000.0007   static   -         F      F    {where}") == []


def test_a_place_that_is_no_port_is_an_error() -> None:
    with pytest.raises(UnexpectedOutput):
        fdb("*   10     0200.0000.0007   dynamic  0         F      F    somewhere else")


def test_address_translation_is_not_read() -> None:
    assert not isinstance(DRIVER, ReadsNat)


def test_a_configuration_with_fewer_lines_than_the_switch_counts_is_an_error(switch: ConfiguredSwitch) -> None:
    counted = {**switch.answers, nxos.COUNT_CONFIG: lambda _: "99"}
    with pytest.raises(UnexpectedOutput, match="lines of a running configuration, which should be: '99'"):
        DRIVER.enforced(replace(switch, answers=counted))


# --- writing ---------------------------------------------------------------------------------------------------------


def test_lines_are_those_of_the_guides() -> None:
    assert DRIVER.render([BLOCK, LIMIT]) == (
        "mac address-table static 0200.0000.0007 vlan 10 drop",
        "policy-map type qos SWITCHGUARD-Et1-7",
        " class class-default",
        "  police cir 64000 bps bc 200 ms conform transmit violate drop",
        " exit",
        "exit",
        "interface Ethernet1/7",
        " service-policy type qos input SWITCHGUARD-Et1-7",
        "exit",
    )
    assert DRIVER.render([BLOCK.inverse()]) == ("no mac address-table static 0200.0000.0007 vlan 10",)


def test_the_diff_says_that_it_is_computed(switch: ConfiguredSwitch) -> None:
    assert DRIVER.facts.diff == "computed"
    assert DRIVER.push(switch, [BLOCK]).source == "computed"


def test_a_candidate_that_holds_somebody_elses_line_is_not_committed(switch: ConfiguredSwitch) -> None:
    with pytest.raises(UnexpectedDiff, match="snmp-server contact"):
        DRIVER.push(replace(switch, extra=("snmp-server contact me",)), [BLOCK])
    assert switch.commits == 0


def test_a_static_entry_of_the_administrator_is_not_overwritten(switch: ConfiguredSwitch) -> None:
    switch.type_in("mac address-table static 0200.0000.0007 vlan 10 interface Ethernet1/3")
    with pytest.raises(DeviceError, match="which a drop would overwrite"):
        DRIVER.push(switch, [BLOCK])


def test_a_policy_of_the_administrator_is_not_replaced(switch: ConfiguredSwitch) -> None:
    switch.type_in("policy-map type qos VOICE\ninterface Ethernet1/7\n service-policy type qos input VOICE")
    with pytest.raises(DeviceError, match="VOICE of somebody else"):
        DRIVER.push(switch, [LIMIT])


def test_a_drop_that_the_forwarding_table_contradicts_is_an_error(switch: ConfiguredSwitch) -> None:
    DRIVER.push(switch, [BLOCK])
    row = "* 10 0200.0000.0007 dynamic 0 F F Eth1/7\n"
    answers = {**switch.answers, "show mac address-table": lambda _: HEADING + row}
    with pytest.raises(DeviceError, match=f"configured to drop {MAC} in VLAN 10"):
        DRIVER.enforced(replace(switch, answers=answers))


def test_a_drop_is_not_contradicted_by_what_the_peer_tells(switch: ConfiguredSwitch) -> None:
    """The station is still plugged in at the peer, which may not drop it yet."""
    DRIVER.push(switch, [BLOCK])
    row = "* 10 0200.0000.0007 dynamic 0 F F vPC Peer-Link\n"
    answers = {**switch.answers, "show mac address-table": lambda _: HEADING + row}
    assert BLOCK.slot in DRIVER.enforced(replace(switch, answers=answers))


@pytest.mark.parametrize(
    "change",
    [
        Change(Slot("sw1", "limit", Station(port="Ethernet1/7")), None, RateLimit(7_999)),
        Change(Slot("sw1", "quarantine", Station(port="Ethernet1/7")), None, Quarantine(99)),
    ],
)
def test_what_has_no_line_is_refused(change: Change) -> None:
    with pytest.raises(DeviceError, match="NX-OS cannot express"):
        DRIVER.render([change])


def test_a_port_that_is_no_ports_name_reaches_no_command() -> None:
    change = Change(Slot("sw1", "limit", Station(port="Ethernet1/7\nreload")), None, RateLimit(64_000))
    with pytest.raises(DeviceError, match="no name of a port"):
        DRIVER.render([change])
