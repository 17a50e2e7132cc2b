"""The forwarding plane of one lab switch: what it has learnt, and doing to frames what its configuration says.

A plane is Open vSwitch's userspace datapath in the switch's own network namespace; `open_plane` must be called in
there. Ports are called as the kernel calls them (`Gi0_1`, `Et3`): no network device may have a slash in its name.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from switchguard.errors import LabError
from switchguard.lab.topology import LAB, Port, Switch

BRIDGE = "br0"

MacInVlan = tuple[str, int]
"""A MAC spelt 02:00:00:00:00:07, and a VLAN."""


@dataclass(frozen=True, slots=True)
class FdbRow:
    """One learnt address. `port` is the kernel's name of the port."""

    mac: str
    vlan: int
    port: str
    age_s: int


@dataclass(frozen=True, slots=True)
class PortRow:
    """One port. `access_vlan` is None on a trunk; `vlans` are those that it carries."""

    name: str
    """As the kernel calls it: Gi0_1, Et3."""
    short: str
    """As ifName tells it: Gi0/1 on IOS; EOS abbreviates nothing there, Ethernet3."""
    long: str
    """As the vendor writes it in a configuration: GigabitEthernet0/1, Ethernet3."""
    if_index: int
    up: bool
    access_vlan: int | None
    vlans: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlaneState:
    """Everything that a configuration can ask of the plane; what is not named here is not in force."""

    drops: frozenset[MacInVlan] = frozenset()
    """Frames from or to this MAC in this VLAN (Cisco `mac address-table static M vlan V drop`)."""
    drops_to: frozenset[MacInVlan] = frozenset()
    """Frames to this MAC in this VLAN, but not from it (Arista's meaning of the same line)."""
    denied: frozenset[tuple[str, str]] = frozenset()
    """(port, MAC): frames from this MAC that enter by this port (a MAC access list, inbound)."""
    denied_to: frozenset[tuple[str, str]] = frozenset()
    """(port, MAC): frames to this MAC that enter by this port."""
    down: frozenset[str] = frozenset()
    """Ports that are shut."""
    rates: Mapping[str, int] = field(default_factory=dict)
    """Port -> bits per second that may enter by it (policing what the client sends)."""
    shapes: Mapping[str, int] = field(default_factory=dict)
    """Port -> bits per second that may leave by it (shaping what the client receives)."""
    moved: Mapping[str, int] = field(default_factory=dict)
    """Access port -> the VLAN that it is in, where that is not the one that it is built for."""


class Plane:
    """One switch's plane. Keeps nothing between calls: Open vSwitch and the kernel hold the state."""

    def __init__(self, switch: Switch, sockets: Path) -> None:
        self._switch = switch
        self._sockets = sockets

    def fdb(self) -> list[FdbRow]:
        """What the switch has learnt and not forgotten, sorted by VLAN and MAC."""
        names = {str(port.number): port.name for port in self._switch.ports}
        rows = (line.split() for line in self._appctl("fdb/show", BRIDGE).splitlines()[1:])
        learnt = (row for row in rows if row[0] in names and row[3] != "static")
        return sorted(
            (FdbRow(mac, int(vlan), names[port], int(age)) for port, vlan, mac, age in learnt),
            key=lambda row: (row.vlan, row.mac),
        )

    def ports(self) -> list[PortRow]:
        """Every port that carries clients' traffic, in the order of the front panel; the management port is not one."""
        links = link_states()
        return [
            PortRow(
                name=port.name,
                short=port.short,
                long=port.long,
                if_index=port.if_index,
                up=links[port.name]["operstate"] == "UP",
                access_vlan=port.access_vlan,
                vlans=port.vlans,
            )
            for port in self._switch.ports
        ]

    def sync(self, wanted: PlaneState) -> None:
        """Make the plane as wanted: doing it twice changes nothing. LabError names what Open vSwitch or tc refused."""
        self._shut(wanted.down)
        self._move(wanted.moved)
        self._shape(wanted.shapes)
        meters = {self._port(name).number: max(1, rate // 1000) for name, rate in wanted.rates.items()}
        obsolete = self._set_meters(meters)
        self._ofctl("replace-flows", "-", text="\n".join(flows(self._switch, wanted)) + "\n", bundle=True)
        for meter in obsolete:
            self._ofctl("del-meter", f"meter={meter}")
        self._forget(wanted.drops | wanted.drops_to)
        self._appctl("revalidator/purge")

    def flush(self) -> None:
        """Forget every learnt address, as after `clear mac address-table dynamic`.

        The shortcuts go as well: a frame that takes one teaches the table nothing for up to half a second.
        """
        self._appctl("fdb/flush", BRIDGE)
        self._appctl("revalidator/purge")

    def _set_meters(self, wanted: Mapping[int, int]) -> list[int]:
        """Meters by number, in kbit/s. Gives back those no longer wanted, which the old flows still use."""
        present = {int(number) for number in re.findall(r"meter=(\d+)", self._ofctl("dump-meters"))}
        for number, kbps in wanted.items():
            verb = "mod-meter" if number in present else "add-meter"
            self._ofctl(verb, f"meter={number},kbps,band=type=drop,rate={kbps}")
        return sorted(present - set(wanted))

    def _forget(self, blocked: Iterable[MacInVlan]) -> None:
        """A configured entry takes the place of the learnt one. Only static rows can be deleted singly."""
        learnt = {(row.mac, row.vlan): row.port for row in self.fdb()}
        for mac, vlan in sorted(set(blocked) & set(learnt)):
            self._appctl("fdb/add", BRIDGE, learnt[mac, vlan], str(vlan), mac)
            self._appctl("fdb/del", BRIDGE, str(vlan), mac)

    def _shut(self, down: frozenset[str]) -> None:
        links = link_states()
        for port in self._switch.ports:
            is_up, should_be_up = "UP" in links[port.name]["flags"], port.name not in down
            if is_up != should_be_up:
                self._run("ip", "link", "set", "dev", port.name, "up" if should_be_up else "down")

    def _move(self, moved: Mapping[str, int]) -> None:
        """An access port's VLAN is the tag that its frames get."""
        told = json.loads(self._vsctl("--format=json", "--columns=name,tag", "list", "port"))["data"]
        tags = {name: tag for name, tag in told if isinstance(tag, int)}
        wanted = {port.name: moved.get(port.name, port.access_vlan) for port in self._switch.ports}
        for name, vlan in wanted.items():
            if vlan is not None and tags.get(name) != vlan:
                self._vsctl("set", "port", name, f"tag={vlan}")

    def _shape(self, shapes: Mapping[str, int]) -> None:
        """A hierarchical token bucket on the way out. What comes in needs a meter: it reaches us before its qdisc."""
        qdiscs = json.loads(self._run("tc", "-j", "qdisc", "show"))
        present = {qdisc["dev"] for qdisc in qdiscs if qdisc["kind"] == "htb"}
        for name in sorted(present - set(shapes)):
            self._run("tc", "qdisc", "del", "dev", name, "root")
        for name, rate in shapes.items():
            if name not in present:
                self._run("tc", "qdisc", "add", "dev", name, "root", "handle", "1:", "htb", "default", "1")
            rate_words = ("rate", f"{rate}bit", "quantum", "1514")
            self._run("tc", "class", "replace", "dev", name, "parent", "1:", "classid", "1:1", "htb", *rate_words)

    def _port(self, name: str) -> Port:
        return next(port for port in self._switch.ports if port.name == name)

    def _appctl(self, *words: str) -> str:
        return self._run("ovs-appctl", "-t", str(self._sockets / "switch.ctl"), *words)

    def _vsctl(self, *words: str) -> str:
        return self._run("ovs-vsctl", f"--db=unix:{self._sockets / 'db.sock'}", "--timeout=10", *words)

    def _ofctl(self, verb: str, *words: str, text: str = "", bundle: bool = False) -> str:
        options = ("-O", "OpenFlow14", "--bundle") if bundle else ("-O", "OpenFlow14")
        return self._run("ovs-ofctl", *options, verb, f"unix:{self._sockets / BRIDGE}.mgmt", *words, text=text)

    def _run(self, *command: str, text: str = "") -> str:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{self._switch.name}: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


def open_plane(switch: str) -> Plane:
    """The plane of the switch in whose namespace we run; its sockets are in $SWITCHGUARD_LAB/ovs/<switch>."""
    return Plane(LAB.switch(switch), Path(os.environ["SWITCHGUARD_LAB"]) / "ovs" / switch)


def flows(switch: Switch, wanted: PlaneState) -> Iterator[str]:
    """The OpenFlow table that does what is wanted, and forwards everything else as a learning switch does.

    A frame on an access port has no tag yet when it is looked up, so "in this VLAN" is spelt port by port.
    """
    for match in (match for port in switch.ports for match in _matches(port, wanted)):
        yield f"priority=100,{match},actions=drop"
    numbers = {port.name: port.number for port in switch.ports}
    for name in wanted.rates:
        yield f"priority=50,in_port={numbers[name]},actions=meter:{numbers[name]},NORMAL"
    yield "priority=0,actions=NORMAL"


def link_states() -> dict[str, dict[str, Any]]:
    """`ip -j -s link` of the namespace that we are in, by interface name."""
    told = subprocess.run(["ip", "-j", "-s", "link", "show"], capture_output=True, text=True, check=True).stdout
    return {link["ifname"]: link for link in json.loads(told)}


def _matches(port: Port, wanted: PlaneState) -> Iterator[str]:
    """Frames that enter by this port and shall go no further."""
    for vlan in port.vlans:
        tag = f"dl_vlan={vlan}" if port.access_vlan is None else "vlan_tci=0x0000"
        for mac, in_vlan in sorted(wanted.drops):
            if in_vlan == vlan:
                yield f"in_port={port.number},{tag},dl_src={mac}"
        for mac, in_vlan in sorted(wanted.drops | wanted.drops_to):
            if in_vlan == vlan:
                yield f"in_port={port.number},{tag},dl_dst={mac}"
    for side, denied in (("src", wanted.denied), ("dst", wanted.denied_to)):
        for name, mac in sorted(denied):
            if name == port.name:
                yield f"in_port={port.number},dl_{side}={mac}"
