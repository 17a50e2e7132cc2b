"""Why some tables have a reader of our own: what the templates of ntc-templates make of them.

Each of these pins a fault. When one fails, the fault is gone, and the reader may go as well.
"""

from collections.abc import Mapping
from typing import Any

import pytest
import textfsm
from ntc_templates.parse import parse_output


def parsed(platform: str, command: str, text: str) -> list[Mapping[str, Any]]:
    return list(parse_output(platform, command, text))


# --- cisco_asa, show xlate -------------------------------------------------------------------------------------------

PAT = "TCP PAT from inside:10.10.0.7/29853 to outside:203.0.113.33/29853 flags ri idle 0:02:09 timeout 0:00:30\n"


def test_the_inside_host_of_a_translated_port_on_asa_is_lost() -> None:
    (row,) = parsed("cisco_asa", "show xlate", f"1 in use, 5 most used\n{PAT}")
    assert row["source"] == []


def test_the_second_line_of_the_legend_of_asa_is_an_error() -> None:
    legend = "Flags: D - DNS, i - dynamic, r - portmap,\n       s - static, T - twice, N - net-to-net\n"
    with pytest.raises(textfsm.TextFSMError):
        parsed("cisco_asa", "show xlate", f"1 in use, 5 most used\n{legend}{PAT}")


# --- cisco_ios, show ip nat translations -----------------------------------------------------------------------------

HEADING = "Pro Inside global      Inside local       Outside local      Outside global\n"
TCP = "tcp 203.0.113.5:51413  10.10.0.7:51413    198.51.100.1:6881  198.51.100.1:6882\n"
GRE = "gre 203.0.113.5:1      10.10.0.7:1        198.51.100.2:1     198.51.100.2:1\n"


def test_the_ports_outside_of_a_translation_on_ios_are_swapped() -> None:
    (row,) = parsed("cisco_ios", "show ip nat translations", HEADING + TCP)
    assert (row["outside_local_port"], row["outside_global_port"]) == ("6882", "6881")


def test_translations_of_gre_on_ios_vanish() -> None:
    assert len(parsed("cisco_ios", "show ip nat translations", HEADING + TCP + GRE)) == 1


# --- mikrotik_routeros, /ip firewall connection print terse -----------------------------------------------------------

CONNECTIONS = "ip firewall connection print terse without-paging"
ENDS = (
    "src-address=10.10.0.7 src-port=6881 dst-address=198.18.0.5 dst-port=51413 reply-src-address=198.18.0.5 "
    "reply-src-port=51413 reply-dst-address=203.0.113.9 reply-dst-port=6881"
)
COUNTS = (
    "orig-packets=2 orig-bytes=1 804 orig-fasttrack-packets=0 orig-fasttrack-bytes=0 repl-packets=1 repl-bytes=131 "
    "repl-fasttrack-packets=0 repl-fasttrack-bytes=0 orig-rate=0bps repl-rate=0bps"
)


def test_a_connection_of_tcp_on_routeros_is_read() -> None:
    row = f"0 SAC protocol=tcp {ENDS} tcp-state=established timeout=23h59m52s {COUNTS}\n"
    assert parsed("mikrotik_routeros", CONNECTIONS, row)[0]["origin_bytes"] == "1 804"


def test_a_connection_of_udp_on_routeros_is_an_error() -> None:
    with pytest.raises(textfsm.TextFSMError):
        parsed("mikrotik_routeros", CONNECTIONS, f"0 S C protocol=udp {ENDS} timeout=2m41s {COUNTS}\n")


# --- fortinet, get system arp -----------------------------------------------------------------------------------------


def test_half_a_row_of_neighbours_on_fortios_is_a_whole_one() -> None:
    (row,) = parsed("fortinet", "get system arp", "10.10.3.5         0          02:00:00 hall_staff\n")
    assert row["mac_address"] == "02:00:00"


# --- huawei_vrp -------------------------------------------------------------------------------------------------------

SESSIONS = """  NAT Session Table Information:

     Protocol          : TCP(6)
     SrcAddr  Port Vpn : 10.10.0.7       3780
     DestAddr Port Vpn : 198.51.100.9    5888

  Total : 1
"""
RULE = "-" * 79
MAC_HEADING = f"{RULE}\nMAC Address    VLAN/VSI                          Learned-From        Type\n{RULE}\n"


@pytest.mark.parametrize("command", ["display nat session all", "display firewall session table"])
def test_whatever_huawei_displays_is_taken_for_a_directory(command: str) -> None:
    """The index shortens `dir` to d, so that the error comes from a template that nobody has asked for."""
    with pytest.raises(textfsm.TextFSMError, match="State Error raised"):
        parsed("huawei_vrp", command, SESSIONS)


def test_a_station_of_a_vsi_on_huawei_is_an_error() -> None:
    with pytest.raises(textfsm.TextFSMError):
        parsed("huawei_vrp", "display mac-address", f"{MAC_HEADING}0200-0000-0008 -/customers  GE0/0/1  dynamic\n")


def test_half_a_table_of_stations_on_huawei_is_a_whole_one() -> None:
    whole = f"{MAC_HEADING}0200-0000-0007 10/-  GE0/0/7  dynamic\n0200-0000-0008 10/-  GE0/0/8  dynamic\n"
    rows = parsed("huawei_vrp", "display mac-address", f"{whole}{RULE}\nTotal items displayed = 9\n")
    assert len(rows) == 2


# --- aruba_aoscx, show arp all-vrfs -----------------------------------------------------------------------------------


def test_an_error_message_of_aos_cx_is_an_empty_table_of_neighbours() -> None:
    assert parsed("aruba_aoscx", "show arp all-vrfs", "Invalid input: all-vrfs\n") == []


# --- hp_procurve, show mac-address ------------------------------------------------------------------------------------


def test_an_error_message_of_procurve_is_an_empty_table_of_stations() -> None:
    assert parsed("hp_procurve", "show mac-address", "Invalid input: mac-address\n") == []


# --- vyos, show arp --------------------------------------------------------------------------------------------------

IPROUTE_ROWS = (
    "Address      Interface    Link layer address    State\n10.10.0.7    eth1         02:00:00:00:00:07     REACHABLE\n"
)


def test_the_neighbours_of_vyos_1_4_are_an_error() -> None:
    with pytest.raises(textfsm.TextFSMError):
        parsed("vyos", "show arp", IPROUTE_ROWS)


# --- cisco_ios, show vrf ---------------------------------------------------------------------------------------------

VRF_HEADING = "  Name                             Default RD            Protocols   Interfaces\n"


def test_the_vrfs_of_an_ios_that_does_not_indent_them_are_an_error() -> None:
    row = "GUESTS                           65000:20              ipv4        Gi0/0/1.20\n"
    with pytest.raises(textfsm.TextFSMError):
        parsed("cisco_ios", "show vrf", VRF_HEADING + row)


def test_the_interface_of_a_vrf_without_protocols_on_ios_passes_for_a_protocol() -> None:
    row = "  NEW                              <not set>                         Gi1/0/1\n"
    assert [it["protocols"] for it in parsed("cisco_ios", "show vrf", VRF_HEADING + row)] == ["Gi1/0/1"]
