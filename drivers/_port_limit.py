"""A rate limit on an access port, as a policy of its own attached inbound: what IOS and EOS have in common.

Every port has its own policy-map, named after it: a limit can be taken back without looking at other ports, and what
is ours is known by its name.
"""

import re
from dataclasses import dataclass

from switchguard.core.changes import Slot

from . import _port_names
from ._config_lines import Config, Line, Part

CLASS = "class class-default"


@dataclass(frozen=True, slots=True)
class Wording:
    policy: str
    """What stands before the name of a policy where it is defined, with a blank at the end."""
    attach: str
    """The same where it is attached to an interface."""


def policy_name(port: str) -> str:
    return "SWITCHGUARD-" + re.sub(r"[^A-Za-z0-9]", "-", _port_names.short(port))


def parts(wording: Wording, slot: Slot, police: str | None) -> tuple[Part, ...]:
    """`police` None: no policy. DeviceError when the slot names no port."""
    port = _port_names.for_a_command(slot.device, slot.station.port or "")
    policy, attach = wording.policy + policy_name(port), wording.attach + policy_name(port)
    interface = (f"interface {port}",)
    return (
        Part((policy, CLASS), "police ", police, Line((), f"no {policy}")),
        Part(interface, wording.attach, attach if police else None, Line(interface, f"no {attach}")),
    )


def our_ports(wording: Wording, config: Config) -> tuple[str, ...]:
    """Long names of the ports with our policy."""
    return tuple(port for port, name in _attached(wording, config) if name == policy_name(port))


def foreign_policy(wording: Wording, config: Config, port: str) -> str:
    """The policy on a port that is not ours, or an empty string."""
    names = (name for at, name in _attached(wording, config) if at == port)
    return next((name for name in names if name != policy_name(port)), "")


def policers(wording: Wording, config: Config, port: str) -> tuple[str, ...]:
    return lines_in((wording.policy + policy_name(port), CLASS), config)


def lines_in(path: tuple[str, ...], config: Config) -> tuple[str, ...]:
    return tuple(line.text for line in config if line.path == path)


def _attached(wording: Wording, config: Config) -> list[tuple[str, str]]:
    return [
        (line.path[0].removeprefix("interface "), line.text.removeprefix(wording.attach))
        for line in config
        if line.path and line.path[0].startswith("interface ") and line.text.startswith(wording.attach)
    ]
