"""Drivers and inventory sources by name, through entry points: a third party's package is a first-class citizen."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from switchguard.errors import UnknownPlugin
from switchguard.ports import Driver


@cache
def _registered(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def driver_names() -> tuple[str, ...]:
    return tuple(sorted(_registered("switchguard.drivers")))


@cache
def driver(platform: str) -> Driver:
    """The driver of a platform (netmiko's name). UnknownPlugin lists those there are."""
    points = _registered("switchguard.drivers")
    if platform not in points:
        raise UnknownPlugin("driver", platform, points)
    return cast(Driver, points[platform].load()())


def inventory_source(name: str) -> Any:
    """The factory of an inventory source. UnknownPlugin lists those there are."""
    points = _registered("switchguard.inventory")
    if name not in points:
        raise UnknownPlugin("inventory source", name, points)
    return points[name].load()
