"""One RouterOS switch as all its logins see it: lists that are kept with every change, and the plane that follows.

What the lists mean for frames (help.mikrotik.com, Bridging and Switching, Bridge Firewall): the rules of the chain
`forward` are looked at from the first on, and the first that fits decides. Queues and the lists of the router see
nothing of what is only bridged.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from switchguard.lab.frontends.faults import Faults
from switchguard.lab.frontends.routeros_console import EMPTY, Item, Lists, row
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane
from switchguard.lab.frontends.tables import arp_table
from switchguard.lab.plane import PlaneState

BRIDGE_FILTER = "/interface bridge filter"
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
        self.install({**EMPTY, **lists})

    def install(self, lists: Lists) -> None:
        """On the wire first."""
        self.plane.sync(self._meant(lists))
        self.lists = lists
        told = {menu: [(dict(item.fields), item.flags) for item in items] for menu, items in lists.items()}
        self._kept.write_text(json.dumps(told))

    def _meant(self, lists: Lists) -> PlaneState:
        ports = self.plane.ports()
        rules = tuple(_forward_drops(lists.get(BRIDGE_FILTER, ())))
        return PlaneState(
            drops_to=frozenset(
                (rule["dst-mac-address"], vlan)
                for rule in rules
                if "dst-mac-address" in rule
                for port in ports
                for vlan in port.vlans
            ),
            denied=frozenset(
                (port.name, rule["src-mac-address"]) for rule in rules if "src-mac-address" in rule for port in ports
            ),
        )

    # --- what only prints --------------------------------------------------------------------------------------------

    def answers(self) -> Mapping[str, Callable[[], str]]:
        printing = {
            "/interface bridge host": self._hosts,
            "/interface bridge port": self._ports,
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
        for port in self.plane.ports():
            told = {"pvid": str(port.access_vlan)} if port.access_vlan else {}
            yield Item({"interface": port.long, "bridge": "bridge1", "hw": "no", **told}, "" if port.up else "I")

    def _neighbors(self) -> Iterator[Item]:
        for known in arp_table():
            mac = str(known.mac).upper()
            yield Item({"address": known.address, "mac-address": mac, "interface": "mgmt", "published": "no"}, "DC")


def _terse(rows: Callable[[], Iterator[Item]]) -> Callable[[], str]:
    return lambda: "".join(f"{row(number, item)}\n" for number, item in enumerate(rows()))


def _forward_drops(rules: tuple[Item, ...]) -> Iterator[Mapping[str, str]]:
    """Rules that drop one MAC, up to the one that accepts everything."""
    for item in rules:
        matchers = {key: it for key, it in item.fields.items() if key not in ("chain", "action", "comment")}
        if "X" in item.flags or item.fields.get("chain") != "forward":
            continue
        if not matchers and item.fields.get("action", "accept") == "accept":
            return
        if item.fields.get("action") == "drop" and len(matchers) == 1:
            yield {key: it.removesuffix(_ALONE).lower() for key, it in matchers.items() if it.endswith(_ALONE)}
