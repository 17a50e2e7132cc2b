"""A Catalyst that routes and translates, as far as our lines go."""

from collections.abc import Sequence
from ipaddress import ip_address

from configured_switch import ConfiguredSwitch, access_ports, static_entries

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Role, Station
from switchguard.core.penalties import Block, Quarantine, RateLimit, SessionCap
from switchguard.lab.frontends.config import Tree, incremental
from switchguard.lab.frontends.grammar_ios import ios_grammar

HIER_CONFIG = "CISCO_IOS"
REPLACES = (("interface ", "switchport access vlan "),)
MAC, OTHER = Mac.parse("0200.0000.0007"), Mac.parse("0200.0000.0008")
BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=MAC)), None, Block())
IN_VLAN_20 = Change(Slot("sw1", "block", Station(vlan=20, mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=OTHER)), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="Gi0/7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", Station(port="Gi0/1")), None, RateLimit(64_000))
CAP = Change(Slot("sw1", "cap", address=ip_address("10.10.0.7")), None, SessionCap(200))
NEAR = Change(Slot("sw1", "limit", address=ip_address("10.10.0.7")), None, RateLimit(64_000))
NEXT_TO_IT = Change(Slot("sw1", "limit", address=ip_address("10.10.0.8")), None, RateLimit(1_000_000))
BEHIND_A_ROUTER = Change(Slot("sw1", "limit", address=ip_address("10.77.0.7")), None, RateLimit(64_000))
OF_IPV6 = Change(Slot("sw1", "limit", address=ip_address("2001:db8:10::7")), None, RateLimit(64_000))
FOR_ALL = Change(Slot("sw1", "cap"), None, SessionCap(500))
QUARANTINE = Change(Slot("sw1", "quarantine", Station(port="Gi0/7")), None, Quarantine(99))
CHANGES = (
    (QUARANTINE,),
    (QUARANTINE, BLOCK, LIMIT),
    (BLOCK,),
    (BLOCK, IN_VLAN_20, OTHER_BLOCK),
    (LIMIT,),
    (LIMIT, BLOCK, OTHER_LIMIT),
    (CAP,),
    (CAP, BLOCK, LIMIT),
    (FOR_ALL,),
    (FOR_ALL, CAP),
    (NEAR,),
    (NEAR, NEXT_TO_IT),
    (BEHIND_A_ROUTER,),
    (NEAR, OF_IPV6, BEHIND_A_ROUTER, CAP, BLOCK, LIMIT),
)

OWN_MAC = Mac.parse("0011.2233.4400")


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    ports = access_ports("GigabitEthernet0/", "Gi0/")
    switch = ConfiguredSwitch(
        "cisco_ios",
        ios_grammar(ports, {OWN_MAC}),
        1,
        {"show running-config": lambda it: it.text(), "show mac address-table": _mac_table},
        _napalm_diff,
        role=Role.GATEWAY,
    )
    switch.type_in("hostname sw1\nvlan 10\nvlan 20")
    for port in ports:
        switch.type_in(f"interface {port.long}\n switchport mode access\n switchport access vlan 10")
    switch.type_in("interface GigabitEthernet0/7\n description a client's\n spanning-tree portfast")
    switch.type_in(
        "interface Vlan10\n ip address 10.10.0.1 255.255.0.0\n ipv6 address 2001:db8:10::1/64\n ip nat inside"
    )
    switch.type_in("interface Vlan20\n ip address 10.20.0.1 255.255.0.0\n ip nat inside")
    switch.type_in("interface Vlan99\n ip address 198.51.100.2 255.255.255.0\n ip nat outside")
    switch.type_in("ip access-list extended OFFICE\n permit ip host 10.10.0.7 any\n permit ip any host 10.10.0.7")
    return switch


def _napalm_diff(switch: ConfiguredSwitch, _: Tree, typed: Sequence[str]) -> str:
    """What NAPALM makes of `show archive config incremental-diffs` (ios.py, _normalize_merge_diff_incr)."""
    commands = [line for line in incremental(switch.grammar, switch.running, typed) if line.strip() not in ("", "end")]
    return "\n".join(("-" if line.strip().startswith("no ") else "+") + line for line in commands).strip()


def _mac_table(switch: ConfiguredSwitch) -> str:
    static = static_entries(switch)
    rows = {key: ("DYNAMIC", port) for key, port in switch.learned.items()}
    rows |= {key: ("STATIC", port.replace("GigabitEthernet", "Gi")) for key, port in static.items()}
    return "\n".join(
        [
            "          Mac Address Table",
            "-------------------------------------------",
            "",
            "Vlan    Mac Address       Type        Ports",
            "----    -----------       --------    -----",
            *(f"{vlan:4}    {mac.dotted()}    {sort:8}    {port}" for (vlan, mac), (sort, port) in rows.items()),
            f"Total Mac Addresses for this criterion: {len(rows)}",
        ]
    )
