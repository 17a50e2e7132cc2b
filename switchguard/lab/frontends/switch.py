"""One switch behind a front end: running and startup configuration, files in flash, and the plane that follows every
change."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from switchguard.core.model import Mac
from switchguard.errors import LabError
from switchguard.lab.frontends.config import Complaint, Grammar, Tree, load, render
from switchguard.lab.frontends.faults import Faults
from switchguard.lab.plane import FdbRow, PlaneState, PortRow, link_states

FLASH_OCTETS = 122_185_728
"""Room in flash, as `dir` tells it."""
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


class ForwardingPlane(Protocol):
    """What a front end needs of lab.plane.Plane."""

    def fdb(self) -> list[FdbRow]: ...

    def ports(self) -> list[PortRow]: ...

    def sync(self, wanted: PlaneState) -> None: ...


@dataclass(frozen=True, slots=True)
class Neighbor:
    """Who announces itself on a port (LLDP). `capabilities` are the letters of `show lldp neighbors`: B bridge, R
    router, T phone."""

    short: str
    long: str
    system: str
    port_id: str
    capabilities: str


@dataclass(frozen=True, slots=True)
class Chassis:
    """The box and its cabling. `port_macs` is by the kernel's name of the port."""

    base_mac: Mac
    port_macs: Mapping[str, Mac] = field(default_factory=dict)
    neighbors: tuple[Neighbor, ...] = ()

    @property
    def own_macs(self) -> frozenset[Mac]:
        return frozenset({self.base_mac, *self.port_macs.values()})


@dataclass(frozen=True, slots=True)
class Vendor:
    """What differs between vendors below the command line."""

    grammar: Grammar
    indent: int
    derive: Callable[[Tree, Sequence[PortRow]], PlaneState]
    preset: tuple[str, ...] = ()
    """Lines that an administrator types before any management works."""
    initial: Callable[[str, Sequence[PortRow]], list[str]] = lambda name, ports: initial(name, ports)
    """The configuration that a switch of this name has when nobody touched it."""


class Switch:
    """`state` holds flash/ and the startup configuration; the running configuration is lost with the process, as in a
    power cut.

    LabError if the startup configuration has a line that the grammar does not know, or the plane refuses what is
    asked of it.
    """

    def __init__(
        self, name: str, vendor: Vendor, plane: ForwardingPlane, chassis: Chassis, state: Path, faults: Faults
    ) -> None:
        self.name, self.vendor, self.plane, self.chassis, self.faults = name, vendor, plane, chassis, faults
        self.started = time.time()
        self.flash = state / "flash"
        self.flash.mkdir(parents=True, exist_ok=True)
        self._startup = state / "startup-config"
        if not self._startup.exists():
            self._startup.write_text("\n".join((*vendor.initial(name, plane.ports()), *vendor.preset, "")))
        self.running: Tree = {}
        self._in_force: PlaneState | None = None
        self.reload()

    @property
    def startup(self) -> str:
        return self._startup.read_text()

    @property
    def hostname(self) -> str:
        line = self.running.get("hostname")
        return line.arguments[0] if line else self.name

    def install(self, tree: Tree) -> None:
        """Make this the running configuration, on the wire first."""
        wanted = self.vendor.derive(tree, self.plane.ports())
        if wanted != self._in_force:
            self.plane.sync(wanted)
        self._in_force, self.running = wanted, tree

    def save(self) -> None:
        self.write_startup(self.text())

    def write_startup(self, text: str) -> None:
        self._startup.write_text(text)

    def text(self, tree: Tree | None = None) -> str:
        """A configuration as the device lists it, the running one by default."""
        lines = render(self.vendor.grammar, self.running if tree is None else tree, self.vendor.indent)
        return "\n".join((*lines, "!", "end", ""))

    def read(self, text: str) -> tuple[Tree, list[tuple[str, Complaint]]]:
        """A whole configuration from its text, and the lines that it cannot have."""
        return load(self.vendor.grammar, {}, text.splitlines())

    def reload(self) -> None:
        tree, refused = self.read(self.startup)
        if refused:
            raise LabError(f"{self.name}: {self._startup} has a line that this switch does not take: {refused[0][0]!r}")
        self.started = time.time()
        self._in_force = None
        self.install(tree)

    def file(self, path: str) -> Path | None:
        """Where flash:NAME and flash:/NAME are; None for anything else."""
        name = re.sub(r"^flash:/?", "", path)
        return self.flash / name if path.startswith("flash:") and _FILE_NAME.fullmatch(name) else None

    def links(self) -> Mapping[str, Mapping[str, Any]]:
        """The kernel's view of the ports: counters and link state."""
        return link_states()

    def port_mac(self, port: PortRow) -> Mac:
        return self.chassis.port_macs.get(port.name, self.chassis.base_mac)


def initial(hostname: str, ports: Sequence[PortRow]) -> list[str]:
    """The configuration that a switch has when nobody touched it: its name, its VLANs, its ports. Cisco and
    Arista write it alike."""
    lines = [f"hostname {hostname}"]
    lines += [f"vlan {vlan}" for vlan in sorted({vlan for port in ports for vlan in port.vlans})]
    for port in ports:
        lines.append(f"interface {port.long}")
        if port.access_vlan is None:
            lines += [f" switchport trunk allowed vlan {','.join(map(str, port.vlans))}", " switchport mode trunk"]
        else:
            lines += [f" switchport access vlan {port.access_vlan}", " switchport mode access"]
    return [*lines, "snmp-server location the lab"]
