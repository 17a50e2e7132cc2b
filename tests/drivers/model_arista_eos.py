"""An Arista switch as far as our lines go."""

import json
from collections.abc import Sequence
from ipaddress import ip_address

from configured_switch import ConfiguredSwitch, access_ports, static_entries

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, Quarantine, RateLimit, SessionCap
from switchguard.lab.frontends.config import Tree, render, unified
from switchguard.lab.frontends.grammar_eos import eos_grammar
from switchguard.lab.plane import PortRow

HIER_CONFIG = "ARISTA_EOS"
REPLACES = (("interface ", "switchport access vlan "),)
MAC, OTHER = Mac.parse("0200.0000.0007"), Mac.parse("0200.0000.0008")
BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=MAC)), None, Block())
IN_VLAN_20 = Change(Slot("sw1", "block", Station(vlan=20, mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=OTHER)), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="Ethernet7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", Station(port="Ethernet1")), None, RateLimit(2_000_000))
QUARANTINE = Change(Slot("sw1", "quarantine", Station(port="Ethernet7")), None, Quarantine(99))
CAP = Change(Slot("sw1", "cap", address=ip_address("10.10.0.7")), None, SessionCap(200))
OTHER_CAP = Change(Slot("sw1", "cap", address=ip_address("10.10.0.70")), None, SessionCap(200))
FOR_ALL = Change(Slot("sw1", "cap"), None, SessionCap(500))
CHANGES = (
    (QUARANTINE,),
    (QUARANTINE, BLOCK, LIMIT),
    (BLOCK,),
    (BLOCK, IN_VLAN_20, OTHER_BLOCK),
    (LIMIT,),
    (LIMIT, BLOCK, OTHER_LIMIT),
    (CAP,),
    (CAP, OTHER_CAP, BLOCK, LIMIT),
    (FOR_ALL,),
    (FOR_ALL, CAP),
)


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    channel = PortRow("Po1", "Po1", "Port-Channel1", 1001, True, None, (10, 20))
    ports = (*access_ports("Ethernet", "Et"), channel)
    switch = ConfiguredSwitch(
        "arista_eos",
        eos_grammar(ports),
        3,
        {"show running-config": lambda it: it.text(), "show mac address-table | json": _mac_table},
        _napalm_diff,
    )
    switch.type_in("hostname sw1\nvlan 10\nvlan 20")
    for port in ports:
        switch.type_in(f"interface {port.long}\n switchport mode access\n switchport access vlan 10")
    switch.type_in("interface Ethernet7\n description a client's")
    switch.type_in("mac access-list CONTROL\n 10 permit any any\nip access-list NOBODY\n 10 deny ip any any")
    return switch


def _napalm_diff(switch: ConfiguredSwitch, tree: Tree, _: Sequence[str]) -> str:
    """What NAPALM makes of `show session-config named S diffs`: without its two headlines (eos.py, compare_config)."""
    before, after = (render(switch.grammar, config, switch.indent) for config in (switch.running, tree))
    return "\n".join(unified(before, after, "system:/running-config", "session:/S-session-config")[2:]).strip()


def _mac_table(switch: ConfiguredSwitch) -> str:
    learned = [
        {"macAddress": str(mac), "vlanId": vlan, "entryType": "dynamic", "interface": port, "moves": 1}
        for (vlan, mac), port in switch.learned.items()
    ]
    static = [
        {"macAddress": str(mac), "vlanId": vlan, "entryType": "static", "interface": port}
        for (vlan, mac), port in static_entries(switch).items()
    ]
    return json.dumps({"unicastTable": {"tableEntries": learned + static}, "multicastTable": {"tableEntries": []}})
