"""Gateways -> their streams of sessions, each over a connection of its own, which is busy all the time."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal

from switchguard import plugins
from switchguard.core.model import Device, Role
from switchguard.ports import Driver, FollowsNat, Opens, Stream, Ticks


def streams(
    devices: Collection[Device],
    opens: Opens,
    what: Literal["begins", "ends"],
    driver_of: Callable[[str], Driver] = plugins.driver,
) -> Mapping[str, Stream]:
    """Gateway -> its stream, of those whose driver can follow. `opens` must give every caller another connection."""
    drivers = {device: driver_of(device.platform) for device in devices if device.role is Role.GATEWAY}
    return {
        device.name: _stream(device, driver, opens, what)
        for device, driver in drivers.items()
        if isinstance(driver, FollowsNat)
    }


def _stream(device: Device, driver: FollowsNat, opens: Opens, what: Literal["begins", "ends"]) -> Stream:
    def follow(tick_s: float) -> Ticks:
        with opens(device) as session:
            yield from driver.nat_begins(session, tick_s) if what == "begins" else driver.nat_ends(session, tick_s)

    return follow
