"""Who is in the lab, and which cable goes where.

    internet ─── gw ═══ core ─── sw1 ─── c01 … c10
    198.18/15    NAT      │                odd numbers in VLAN 10, even ones in VLAN 20
                          └───── sw2 ─── c11 … c20

Every device is a network namespace of its name; `oob` is the management network, where switchguard sits. The double
line is two cables, one per VLAN, because a kernel without 802.1Q devices can build this lab as well.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from switchguard.lab.makes import CHOSEN, GATEWAY, GATEWAYS, Make, chosen, chosen_gateway

VLANS: Mapping[int, str] = {10: "delegates", 20: "staff"}
MANAGEMENT = IPv4Network("10.255.0.0/24")
STATION = IPv4Interface("10.255.0.1/24")
"""Where switchguard runs: the lab's own outer namespace."""
ANSWERING = IPv4Network("198.18.0.0/15")
"""131,072 addresses (RFC 2544, for benchmarks) that all answer."""
INTERNET, WAN = IPv4Interface("198.51.100.1/24"), IPv4Interface("198.51.100.2/24")
TABLE_LIMIT = 16_384
"""Translations that the gateway allows."""

UPLINK = 24
"""The port of an access switch that leads to the core."""

USERNAME = "netadmin"
PASSWORD = "lab-only"  # noqa: S105  a password for a network that nobody else can reach
COMMUNITY = "lab-public"
SNMP_USER, SNMP_AUTH_KEY, SNMP_PRIV_KEY = "switchguard", "lab-auth-key", "lab-priv-key"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a cable: an interface in a namespace, and its MAC."""

    namespace: str
    interface: str
    mac: str


@dataclass(frozen=True, slots=True)
class Port:
    """A switch port. `number` is the OpenFlow port and dot1dBasePort, which is never the ifIndex here."""

    number: int
    name: str
    short: str
    """ifName: Gi0/1 on IOS; EOS abbreviates nothing there, Ethernet3."""
    long: str
    if_index: int
    mac: str
    peer: str
    """The namespace at the other end of the cable, and the name of the interface there."""
    peer_interface: str
    access_vlan: int | None = None
    """None is a trunk with all VLANs."""

    @property
    def vlans(self) -> tuple[int, ...]:
        return tuple(VLANS) if self.access_vlan is None else (self.access_vlan,)

    @property
    def alias(self) -> str:
        return f"to {self.peer}"


@dataclass(frozen=True, slots=True)
class Switch:
    """`fdb_ids` is VLAN -> filtering database (IEEE 802.1Q 8.8)."""

    name: str
    make: Make
    management: IPv4Address
    bridge_mac: str
    ports: tuple[Port, ...]
    fdb_ids: Mapping[int, int]
    telephones: tuple[str, ...] = ()
    """Ports with a telephone between the wall and the client."""

    def port_to(self, peer: str) -> Port:
        return next(port for port in self.ports if port.peer == peer)


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    vlan: int
    address: IPv4Interface
    gateway: IPv4Address
    mac: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """`lans` is VLAN -> the gateway's address there, on an interface called lan<VLAN>."""

    name: str
    management: IPv4Address
    lans: Mapping[int, IPv4Interface]
    platform: str = GATEWAYS[0]

    def mac(self, vlan: int) -> str:
        return f"02:67:77:00:00:{vlan:02x}"


@dataclass(frozen=True, slots=True)
class Topology:
    gateway: Gateway
    switches: tuple[Switch, ...]
    clients: tuple[Client, ...]
    server: str
    """The client that the gateway forwards TCP port 8080 to."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        switches, clients = (switch.name for switch in self.switches), (client.name for client in self.clients)
        return ("internet", self.gateway.name, *switches, *clients)

    @property
    def managed(self) -> Mapping[str, IPv4Address]:
        """Device -> address on the management network."""
        return {self.gateway.name: self.gateway.management} | {each.name: each.management for each in self.switches}

    @property
    def front_ends(self) -> tuple[str, ...]:
        """Devices with a front end: it has a startup configuration, can be told to misbehave, and to restart."""
        gateway = () if self.gateway.platform == GATEWAYS[0] else (self.gateway.name,)
        return (*(switch.name for switch in self.switches), *gateway)

    def switch(self, name: str) -> Switch:
        """KeyError for a name that is no switch."""
        return {switch.name: switch for switch in self.switches}[name]

    def client(self, name: str) -> Client:
        """KeyError for a name that is no client."""
        return {client.name: client for client in self.clients}[name]

    def cables(self) -> Iterator[tuple[End, End]]:
        """Every cable between two devices of the network, once."""
        for switch in self.switches:
            for port in switch.ports:
                near, far = End(switch.name, port.name, port.mac), self._far_end(switch, port)
                if far.namespace not in self._above(switch):
                    yield near, far

    def access_of(self, client: str) -> tuple[Switch, Port]:
        """The switch and the port that a client is plugged into."""
        switch = next(switch for switch in self.switches if any(port.peer == client for port in switch.ports))
        return switch, switch.port_to(client)

    def _above(self, switch: Switch) -> frozenset[str]:
        """Switches whose own list of ports has the cable to this one already."""
        names = [each.name for each in self.switches]
        return frozenset(names[: names.index(switch.name)])

    def _far_end(self, switch: Switch, port: Port) -> End:
        if port.access_vlan is None:
            mac = self.switch(port.peer).port_to(switch.name).mac
        elif port.peer == self.gateway.name:
            mac = self.gateway.mac(port.access_vlan)
        else:
            mac = self.client(port.peer).mac
        return End(port.peer, port.peer_interface, mac)


def client(number: int) -> Client:
    """c07 is 02:00:00:00:00:07 at 10.10.0.107; c08 is 02:00:00:00:00:08 at 10.20.0.108."""
    vlan = 10 if number % 2 else 20
    return Client(
        name=f"c{number:02}",
        vlan=vlan,
        address=IPv4Interface(f"10.{vlan}.0.{100 + number}/22"),
        gateway=IPv4Address(f"10.{vlan}.0.1"),
        mac=f"02:00:00:00:00:{number:02}",
    )


def _core(make: Make, gateway: str, access: Mapping[str, Make]) -> Switch:
    below = [(name, of.kernel.format(UPLINK), None) for name, of in access.items()]
    lans = [(gateway, f"lan{vlan}", vlan) for vlan in VLANS]
    return Switch(
        name="core",
        make=make,
        management=IPv4Address("10.255.0.10"),
        bridge_mac=_switch_mac(10, 0),
        ports=tuple(_port(make, 10, n, *peer) for n, peer in enumerate((*lans, *below), start=1)),
        fdb_ids={vlan: vlan for vlan in VLANS},
    )


def _access_switch(
    name: str,
    make: Make,
    last: int,
    uplink: str,
    clients: tuple[Client, ...],
    fdb_ids: Mapping[int, int],
    telephones: tuple[int, ...] = (),
) -> Switch:
    return Switch(
        name=name,
        make=make,
        management=IPv4Address(f"10.255.0.{last}"),
        bridge_mac=_switch_mac(last, 0),
        ports=(
            *(_port(make, last, n, client.name, "eth0", client.vlan) for n, client in enumerate(clients, start=1)),
            _port(make, last, UPLINK, "core", uplink, None),
        ),
        fdb_ids=fdb_ids,
        telephones=tuple(make.kernel.format(number) for number in telephones),
    )


def _port(make: Make, last: int, n: int, peer: str, interface: str, access_vlan: int | None) -> Port:
    kernel, short, long = (name.format(n) for name in (make.kernel, make.short, make.long))
    return Port(n, kernel, short, long, make.first_index + n, _switch_mac(last, n), peer, interface, access_vlan)


def _switch_mac(last: int, port: int) -> str:
    return f"02:5a:00:{last:02x}:00:{port:02x}"


def _lab(makes: Mapping[str, Make], platform: str) -> Topology:
    gateway = Gateway(
        name=GATEWAY,
        management=IPv4Address("10.255.0.2"),
        lans={vlan: IPv4Interface(f"10.{vlan}.0.1/22") for vlan in VLANS},
        platform=platform,
    )
    clients = tuple(client(number) for number in range(1, 21))
    same_ids = {vlan: vlan for vlan in VLANS}
    other_ids = {10: 2, 20: 3}
    core, sw1, sw2 = (makes[name] for name in ("core", "sw1", "sw2"))
    switches = (
        _core(core, gateway.name, {"sw1": sw1, "sw2": sw2}),
        _access_switch("sw1", sw1, 11, core.kernel.format(3), clients[:10], same_ids),
        _access_switch("sw2", sw2, 12, core.kernel.format(4), clients[10:], other_ids, telephones=(3,)),
    )
    return Topology(gateway, switches, clients, server="c03")


LAB = _lab(chosen(os.environ.get(CHOSEN, "")), chosen_gateway(os.environ.get(CHOSEN, "")))
"""The one lab that there is, of the makes that $SWITCHGUARD_LAB_SWITCHES chooses. On sw2 filtering databases and VLANs
have different numbers, as on ProCurve and Junos."""
