"""Devices from Nornir: its own hosts.yaml, groups.yaml and defaults.yaml, or any of its inventory plugins by name.

Only Nornir's inventory is used, none of its runners, connections or logging. What is for switchguard stands under
`data: {switchguard: ...}`; a key of the host wins over its groups', in Nornir's order of inheritance, and those win
over the defaults'. (Nornir itself would take the whole of the nearest `switchguard`; then a host that only names its
uplinks would lose its group's credentials.)
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from nornir.core.exceptions import PluginNotRegistered
from nornir.core.inventory import Host, Inventory
from nornir.core.plugins.inventory import InventoryPluginRegister

from switchguard.core.model import Device
from switchguard.errors import SiteError, UnknownPlugin
from switchguard.ports import Endpoint, HostRow, Interpret

OURS = "switchguard"
FILES = {"host_file": "hosts.yaml", "group_file": "groups.yaml", "defaults_file": "defaults.yaml"}


class SimpleInventorySource:
    """ports.Source. `options` go to the Nornir plugin; SimpleInventory's files default to those of the site."""

    def __init__(self, site: Path, plugin: str, options: Mapping[str, object], interpret: Interpret) -> None:
        files = {name: str(site / file) for name, file in FILES.items()} if plugin == "SimpleInventory" else {}
        self._plugin, self._options, self._interpret = plugin, {**files, **options}, interpret

    def devices(self) -> Iterable[tuple[Device, Endpoint]]:
        """SiteError if the plugin cannot load its hosts, or for a host that makes no sense."""
        inventory = self._load()
        _refuse_plain_options(inventory)
        return tuple(self._interpret(_row(host)) for host in inventory.hosts.values())

    def _load(self) -> Inventory:
        InventoryPluginRegister.auto_register()
        try:
            plugin = InventoryPluginRegister.get_plugin(self._plugin)
        except PluginNotRegistered as error:
            raise UnknownPlugin("Nornir inventory plugin", self._plugin, InventoryPluginRegister.available) from error
        try:
            return plugin(**self._options).load()
        except Exception as error:  # process boundary: Nornir's plugins are other people's code and raise anything
            raise SiteError(f"the inventory plugin {self._plugin} failed: {type(error).__name__}: {error}") from error


def _row(host: Host) -> HostRow:
    layers = [host.defaults.data, *(group.data for group in reversed(host.extended_groups())), host.data]
    ours: dict[str, object] = {}
    for layer in layers:
        part = (layer or {}).get(OURS) or {}
        if not isinstance(part, Mapping):
            raise SiteError(f"{host.name}: data.{OURS} is a mapping of keys, not {part!r}")
        ours |= part
    return HostRow(host.name, host.platform, host.hostname, host.port, host.username, host.password, ours)


def _refuse_plain_options(inventory: Inventory) -> None:
    """Nornir's connection_options are not read, so a password in them is an oversight that should not stay."""
    places = {
        name: element.connection_options for name, element in (*inventory.hosts.items(), *inventory.groups.items())
    }
    for where, options in {**places, "defaults": inventory.defaults.connection_options}.items():
        for name, option in options.items():
            if isinstance(option.password, str):
                raise SiteError(f"{where}: connection_options.{name} has a password in plain text, and is not read")
