"""Clients that trade places, and what their switches tell of it: the notifications that a real switch sends."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from switchguard.errors import LabError
from switchguard.lab import wires
from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.topology import COMMUNITY, STATION, Port, Switch

TRAPS = f"{STATION.ip}:1162"
"""Where the lab's switches send their notifications."""
_LINK_DOWN, _LINK_UP = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.4"
_IF_INDEX = "1.3.6.1.2.1.2.2.1.1"
_MAC_CHANGED, _CHANGES = "1.3.6.1.4.1.9.9.215.2.0.1", "1.3.6.1.4.1.9.9.215.1.1.8.1.2.1"
"""cmnMacChangedNotification and cmnHistMacChangedMsg of CISCO-MAC-NOTIFICATION-MIB."""


@contextmanager
def traded(lab: Lab, first: str, second: str) -> Iterator[float]:
    """Two clients of one VLAN have pulled their plugs and put them in where the other one was; afterwards, back. The
    switches notice and say so: links go down and up, and each station is learnt where it has come to. Yields when they
    began to say so (time.time)."""
    if lab.client(first).vlan != lab.client(second).vlan:
        raise LabError(f"{first} and {second} are in different VLANs")
    places = {first: lab.topology.access_of(second), second: lab.topology.access_of(first)}
    _trade(lab, first, second)
    began = time.time()
    try:
        for who, (switch, port) in places.items():
            _tell_link(switch, port)
            _tell_station(switch, port, lab.client(who).own_mac)
        yield began
    finally:
        _trade(lab, first, second)


def _trade(lab: Lab, first: str, second: str) -> None:
    """The cables stay where they are in the switches; it is their other ends that change hands."""
    for who, other in ((first, second), (second, first)):
        with entered(who):
            _run("ip", "link", "set", "dev", "eth0", "down")
            _run("ip", "link", "set", "dev", "eth0", "name", f"from-{who}")
            _run("ip", "link", "set", "dev", f"from-{who}", "netns", other)
    for who, other in ((first, second), (second, first)):
        with entered(who):
            _run("ip", "link", "set", "dev", f"from-{other}", "name", "eth0")
            wires.plug_in(lab.topology.client(who))
        lab.client(who).ping(lab.client(who).gateway)


def _tell_link(switch: Switch, port: Port) -> None:
    for kind in (_LINK_DOWN, _LINK_UP):
        _notify(switch, kind, f"{_IF_INDEX}.{port.if_index}", "i", str(port.if_index))


def _tell_station(switch: Switch, port: Port, mac: str) -> None:
    vlan = port.access_vlan or 0
    learnt = "01" + f"{vlan:04x}" + mac.replace(":", "") + f"{port.number:04x}"
    _notify(switch, _MAC_CHANGED, _CHANGES, "x", learnt)


def _notify(switch: Switch, kind: str, *variables: str) -> None:
    """From the switch's management address, by net-snmp's snmptrap."""
    with entered(switch.name):
        _run("snmptrap", "-m", "", "-v2c", "-c", COMMUNITY, TRAPS, "", kind, *variables)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"MIBS": ""})
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
