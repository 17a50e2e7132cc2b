"""One RouterOS switch as all its logins see it: lists that are kept with every change, and the plane that follows.

What the lists mean for frames (help.mikrotik.com, Bridging and Switching, Bridge Firewall): the rules of the chain
`forward` are looked at from the first on, and the first that fits decides. Queues and the lists of the router see
nothing of what is only bridged. A frame that enters by a port which is hardware offloaded (`/interface bridge port set
[find interface="ether8"] hw=yes`) is the switch chip's: no bridge filter sees it, but the rules of the chip, which look
at no other frames. That even such frames pass the bridge when they leave by another kind of port, is left out.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.routeros_console import EMPTY, Item, Lists, row
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane
from switchguard.lab.frontends.tables import arp_table
from switchguard.lab.plane import PlaneState

BRIDGE_FILTER, BRIDGE_PORT = "/interface bridge filter", "/interface bridge port"
CHIP_RULE, CHIP, CHIP_PORT = (f"/interface ethernet switch{it}" for it in (" rule", "", " port"))
_ALONE = "/FF:FF:FF:FF:FF:FF"


class RouterosBox:
    """`state` holds the lists: RouterOS keeps them at once, so that a restart changes nothing."""

    def __init__(self, name: str, plane: ForwardingPlane, chassis: Chassis, state: Path, faults: Faults) -> None:
        self.name, self.plane, self.chassis, self.faults = name, plane, chassis, faults
        self._kept = state / "startup-config"
        self.lists: Lists = EMPTY
        self.reload()

    def reload(self) -> None:
        told = json.loads(self._kept.read_text()) if self._kept.exists() else {}
        lists = {menu: tuple(Item(fields, flags) for fields, flags in items) for menu, items in told.items()}
        ports = tuple(Item({"interface": port.long, "hw": "no"}) for port in self.plane.ports())
        self.install({**EMPTY, BRIDGE_PORT: ports, **lists})

    def install(self, lists: Lists) -> None:
        """On the wire first."""
        self.plane.sync(self._meant(lists))
        self.lists = lists
        told = {menu: [(dict(item.fields), item.flags) for item in items] for menu, items in lists.items()}
        self._kept.write_text(json.dumps(told))

    def _meant(self, lists: Lists) -> PlaneState:
        offloaded = _offloaded(lists)
        dropped = [
            (port.name, drop)
            for port in self.plane.ports()
            for drop in (
                _chip_drops(lists.get(CHIP_RULE, ()), port.long)
                if port.long in offloaded
                else _forward_drops(lists.get(BRIDGE_FILTER, ()))
            )
        ]
        return PlaneState(
            denied=frozenset((port, mac) for port, (side, mac) in dropped if side == "src-mac-address"),
            denied_to=frozenset((port, mac) for port, (side, mac) in dropped if side == "dst-mac-address"),
        )

    # --- what only prints --------------------------------------------------------------------------------------------

    def answers(self) -> Mapping[str, Callable[[], str]]:
        printing = {
            "/interface bridge host": self._hosts,
            BRIDGE_PORT: self._ports,
            CHIP: lambda: iter([Item({"name": "switch1", "type": "Marvell-98DX3236", "mirror-source": "none"})]),
            CHIP_PORT: self._chip_ports,
            "/ip arp": self._neighbors,
            "/ipv6 neighbor": lambda: iter(()),
        }
        return {f"{menu} print terse without-paging": _terse(rows) for menu, rows in printing.items()}

    def _hosts(self) -> Iterator[Item]:
        ports = {port.name: port.long for port in self.plane.ports()}
        for learnt in self.plane.fdb():
            port = {"interface": ports[learnt.port], "bridge": "bridge1", "on-interface": ports[learnt.port]}
            yield Item({"mac-address": learnt.mac.upper(), "vid": str(learnt.vlan), **port}, "D E")
        for name, mac in self.chassis.port_macs.items():
            if name in ports:
                own = {"interface": ports[name], "bridge": "bridge1", "on-interface": ports[name]}
                yield Item({"mac-address": str(mac).upper(), **own}, "DL")

    def _ports(self) -> Iterator[Item]:
        offloaded = _offloaded(self.lists)
        for port in self.plane.ports():
            told = {"pvid": str(port.access_vlan)} if port.access_vlan else {}
            hw, flag = ("yes", "H") if port.long in offloaded else ("no", "")
            yield Item({"interface": port.long, "bridge": "bridge1", "hw": hw, **told}, flag if port.up else f"I{flag}")

    def _chip_ports(self) -> Iterator[Item]:
        yield from (Item({"name": port.long, "switch": "switch1"}) for port in self.plane.ports())
        yield Item({"name": "switch1-cpu", "switch": "switch1"})

    def _neighbors(self) -> Iterator[Item]:
        for known in arp_table():
            mac = str(known.mac).upper()
            yield Item({"address": known.address, "mac-address": mac, "interface": "mgmt", "published": "no"}, "DC")


def _terse(rows: Callable[[], Iterator[Item]]) -> Callable[[], str]:
    return lambda: "".join(f"{row(number, item)}\n" for number, item in enumerate(rows()))


def _offloaded(lists: Lists) -> frozenset[str]:
    return frozenset(it.fields["interface"] for it in lists.get(BRIDGE_PORT, ()) if it.fields["hw"] == "yes")


Drop = tuple[str, str]
"""The property that is looked at, and the MAC that is dropped for it."""


def _forward_drops(rules: tuple[Item, ...]) -> Iterator[Drop]:
    forward = (item for item in rules if "X" not in item.flags and item.fields.get("chain") == "forward")
    return _drops(
        ((item.fields, item.fields.get("action", "accept") == "drop") for item in forward), ("chain", "action")
    )


def _chip_drops(rules: tuple[Item, ...], port: str) -> Iterator[Drop]:
    """A rule without ports is for all of them; one that sends frames to no port drops them."""
    here = (item.fields for item in rules if port in item.fields.get("ports", port).split(","))
    return _drops(((told, told.get("new-dst-ports") == "") for told in here), ("switch", "ports", "new-dst-ports"))


def _drops(rules: Iterable[tuple[Mapping[str, str], bool]], others: tuple[str, ...]) -> Iterator[Drop]:
    """Rules that drop one MAC, up to the one that accepts everything. `others`: what else a rule says."""
    for told, drops in rules:
        matchers = {key: it for key, it in told.items() if key not in ("comment", *others)}
        if not matchers and not drops:
            return
        if drops and len(matchers) == 1:
            yield from ((key, it.removesuffix(_ALONE).lower()) for key, it in matchers.items() if it.endswith(_ALONE))
