"""A Nexus as far as our lines go."""

import re
from collections.abc import Sequence
from functools import partial

from configured_switch import ConfiguredSwitch, access_ports, static_entries
from netutils.config.compliance import diff_network_config

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.lab.frontends.config import Tree, render
from switchguard.lab.frontends.grammar_nxos import nxos_grammar

HIER_CONFIG = "CISCO_NXOS"
SHOW_CONFIG = (
    'show running-config | egrep "^mac address-table static|^policy-map|^ +class|^ +police|^interface|^ +service-policy'
    '|^vlan configuration|^control-plane|^system qos"'
)
MAC, OTHER = Mac.parse("0200.0000.0007"), Mac.parse("0200.0000.0008")
BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=MAC)), None, Block())
IN_VLAN_20 = Change(Slot("sw1", "block", Station(vlan=20, mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=OTHER)), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="Ethernet1/7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", Station(port="Ethernet1/1")), None, RateLimit(2_000_000))
CHANGES = (
    (BLOCK,),
    (BLOCK, IN_VLAN_20, OTHER_BLOCK),
    (LIMIT,),
    (LIMIT, BLOCK, OTHER_LIMIT),
)


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    ports = access_ports("Ethernet1/", "Eth1/")
    answers = {SHOW_CONFIG: _asked, f"{SHOW_CONFIG} | count": _counted, "show mac address-table": _mac_table}
    switch = ConfiguredSwitch(
        "cisco_nxos", nxos_grammar(ports, {Mac.parse("0011.2233.4400")}), 2, answers, _offline_diff
    )
    switch.type_in("hostname sw1\nvlan 10\nvlan 20")
    for port in ports:
        switch.type_in(f"interface {port.long}\n switchport mode access\n switchport access vlan 10")
    switch.type_in("interface Ethernet1/7\n description a client's")
    return switch


def _config(switch: ConfiguredSwitch) -> list[str]:
    lines = render(switch.grammar, switch.running, switch.indent)
    return ["!Command: show running-config", *("" if line == "!" else line for line in lines)]


def _asked(switch: ConfiguredSwitch) -> str:
    pattern = re.compile(SHOW_CONFIG.split('"')[1])
    return "\n".join(line for line in _config(switch) if pattern.search(line))


def _counted(switch: ConfiguredSwitch) -> str:
    return str(len(_asked(switch).splitlines()))


def _offline_diff(switch: ConfiguredSwitch, _: Tree, typed: Sequence[str]) -> str:
    """What NAPALM makes without asking the device (nxos.py, _get_merge_diff)."""
    difference = partial(diff_network_config, network_os="cisco_nxos")
    return str(difference("\n".join(["", *typed]), "\n".join(_config(switch))))


def _mac_table(switch: ConfiguredSwitch) -> str:
    rows = {key: ("dynamic", "0", port) for key, port in switch.learned.items()}
    rows |= {key: ("static", "-", port) for key, port in static_entries(switch).items()}
    return "\n".join(
        [
            "Legend: ",
            "        * - primary entry, G - Gateway MAC, (R) - Routed MAC, O - Overlay MAC",
            "        age - seconds since last seen,+ - primary entry using vPC Peer-Link,",
            "        (T) - True, (F) - False, C - ControlPlane MAC, ~ - vsan",
            "   VLAN     MAC Address      Type      age     Secure NTFY Ports",
            "---------+-----------------+--------+---------+------+----+------------------",
            "G    -     0011.2233.4400   static   -         F      F    sup-eth1(R)",
            *(
                f"* {vlan:4}     {mac.dotted()}   {sort:7}  {age:9} F      F    {port}"
                for (vlan, mac), (sort, age, port) in rows.items()
            ),
        ]
    )
