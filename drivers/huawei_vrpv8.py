"""Huawei VRP 8: CloudEngine switches (blocks, limits), NE routers; what `huawei_vrp` says apart from limits.

A configuration here is a candidate until it is committed: netmiko's huawei_vrpv8 commits, and what the device refuses
is cleared (`clear configuration candidate`, NE8000 command reference) instead of being left for somebody's next commit.
Ports keep the names that the tables give them (`10GE1/0/1`, `GE1/0/3`), which are those of a CloudEngine's
configuration.

Writes, beside blackholes
* limit: `qos car SWITCHGUARD-GE1-0-3 cir 1000 kbps`, a profile of every port's own, and `qos car inbound` with its name
  on the port: what the client sends (CloudEngine 12800 configuration guide, QoS, inbound interface-based rate
  limiting). A port takes one profile: somebody else's is left alone, and the limit refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from switchguard.core.changes import Change, Enforced, Facts, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Session

from . import huawei_vrp
from ._typed import Dialect, Step
from .huawei_vrp import Config, HuaweiVrp

_PROFILE = re.compile(r"qos car (\S+) cir (\d+) ([kmg]bps)(?: cbs \d+(?: [km]?bytes)?)?")
_KBPS = {"kbps": 1, "mbps": 1_000, "gbps": 1_000_000}
_OURS = "SWITCHGUARD-"
_ATTACHED = " qos car inbound "


@dataclass(frozen=True, slots=True)
class Policed(Config):
    profiles: Mapping[str, int] = field(default_factory=dict)
    """Name -> kilobits per second."""
    attached: Mapping[str, str] = field(default_factory=dict)
    """Port -> name."""


class HuaweiVrpV8(HuaweiVrp):
    platform = "huawei_vrpv8"
    facts = Facts(
        penalties=HuaweiVrp.facts.penalties,
        directions=HuaweiVrp.facts.directions,
        ownership=HuaweiVrp.facts.ownership,
        unverified=(
            *HuaweiVrp.facts.unverified,
            "clear configuration candidate takes back exactly what was typed since the last commit",
            "a configuration has a profile as it was typed, perhaps with a burst behind it",
            "a profile that is typed again replaces the one before, also where it is applied",
        ),
    )

    @property
    def dialect(self) -> Dialect[Any]:
        return Dialect(_read, _assume, _standing, _steps, _obstacle)

    def port(self, name: str) -> str:
        return name


def _profile(port: str) -> str:
    return _OURS + re.sub(r"[^A-Za-z0-9]", "-", port)


def _read(session: Session) -> Policed:
    said = huawei_vrp.configuration(session)
    base = huawei_vrp.read(session.device.name, said)
    profiles, attached, port = dict[str, int](), dict[str, str](), ""
    for line in said:
        if not line.startswith(" "):
            port = line.removeprefix("interface ") if line.startswith("interface ") else ""
        if found := _PROFILE.fullmatch(line):
            profiles[found[1]] = int(found[2]) * _KBPS[found[3]]
        elif line.startswith(f"qos car {_OURS}"):
            raise UnexpectedOutput(session.device.name, line)
        elif port and line.startswith(_ATTACHED):
            attached[port] = line.removeprefix(_ATTACHED)
    return Policed(base.blackholes, base.statics, base.rates, profiles, attached)


def _assume(changes: Sequence[Change]) -> Policed:
    before = dict(huawei_vrp.limited_before(changes))
    return Policed(
        profiles={_profile(port): kbps for port, kbps in before.items()},
        attached={port: _profile(port) for port in before},
    )


def _standing(device: str, config: Policed) -> Enforced:
    """A limit of 0 for a profile of ours that is gone, or says what we would not: it is replaced."""
    limits = {
        Slot(device, RateLimit.kind, Station(port=port)): RateLimit(config.profiles.get(name, 0) * 1000)
        for port, name in config.attached.items()
        if name == _profile(port)
    }
    return {**huawei_vrp.blocks(device, config), **limits}


def _obstacle(slot: Slot, config: Policed) -> str:
    if slot.kind == Block.kind:
        return huawei_vrp.obstacle(slot, config)
    port = slot.station.port or ""
    name = config.attached.get(port, _profile(port))
    return "" if name == _profile(port) else f"{port} has the QoS profile {name} of somebody else, and takes only one"


def _steps(changes: Sequence[Change], config: Policed) -> tuple[Step, ...]:
    return tuple(huawei_vrp.step(change.slot, change.after, partial(_limit, config=config)) for change in changes)


def _limit(port: str, kbps: int | None, config: Policed) -> Step:
    """Defined before it is applied, and taken off the port before it is deleted."""
    name, head = _profile(port), f"interface {port}"
    defined, applied = "qos car {} cir {} kbps", f"{_ATTACHED}{name}"
    stood = config.profiles.get(name)
    gone = (defined.format(name, stood), head, applied) if stood else (head, applied)
    if kbps is None:
        return Step((head, " undo qos car inbound", "quit", f"undo qos car {name}"), minus=gone)
    come = (defined.format(name, kbps), head, applied)
    return Step((*come, "quit"), minus=gone if config.attached.get(port) == name else (), plus=come)
