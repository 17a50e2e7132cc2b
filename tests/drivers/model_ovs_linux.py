"""Open vSwitch as far as our commands go, and the real one with its dummy datapath, which needs no rights."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Mac, Role, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.edge.session import open_session
from switchguard.errors import CommandRefused
from switchguard.ports import Endpoint, Session

MAC, OTHER = Mac.parse("02:00:00:00:00:07"), Mac.parse("02:00:00:00:00:08")
BLOCK = Change(Slot("ovs1", "block", Station(mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("ovs1", "block", Station(mac=OTHER)), None, Block())
LIMIT = Change(Slot("ovs1", "limit", Station(mac=MAC)), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("ovs1", "limit", Station(mac=OTHER)), None, RateLimit(2_000_000))
CHANGES = ((BLOCK,), (BLOCK, OTHER_BLOCK), (LIMIT,), (LIMIT, OTHER_LIMIT, BLOCK))

DEVICE = Device("ovs1", "ovs_linux", Role.ACCESS)
OFCTL = "ovs-ofctl -O OpenFlow14"
FLOW = re.compile(r"(?:cookie=(\w+)(?:/-1)?,\s*)?priority=(\d+)(?:,(\S+?))?(?:[, ]actions=(\S+))?")
Flow = tuple[str, str]
"""Priority and match: what identifies a flow."""


@dataclass
class Bridge:
    flows: dict[Flow, tuple[str, str]] = field(default_factory=lambda: {("0", ""): ("", "NORMAL")})
    """-> cookie, actions."""
    meters: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        said = [
            f" {cookie and f'cookie={cookie}, '}priority={priority}{match and f',{match}'} actions={actions}"
            for (priority, match), (cookie, actions) in self.flows.items()
        ]
        meters = [f"meter={number} kbps bands=\ntype=drop rate={rate}\n" for number, rate in self.meters.items()]
        return "\n".join([*said, "OFPST_METER_CONFIG reply (OF1.4) (xid=0x2):", *meters])


def parsed(line: str) -> tuple[Flow, tuple[str, str]]:
    found = FLOW.fullmatch(line.strip())
    assert found, line
    cookie, priority, match, actions = found.groups()
    return (priority, match or ""), (cookie or "", actions or "")


class Model:
    """A `ports.Session` with two bridges. Anything but the commands below is refused."""

    def __init__(self) -> None:
        self.bridges = {"br0": Bridge(), "br1": Bridge()}

    @property
    def device(self) -> Device:
        return DEVICE

    def ask(self, command: str) -> str:
        if command.startswith("for b in"):
            return "".join(f"bridge {name}\n{bridge.text()}\n" for name, bridge in self.bridges.items()) + "end\n"
        verb, name, meter = command.removeprefix(f"{OFCTL} ").split(" ", 2)
        number, _, rest = meter.removeprefix("meter=").partition(",")
        meters = self.bridges[name].meters
        match verb:
            case "add-meter" if number not in meters:
                meters[number] = rest.rpartition("rate=")[2]
            case "mod-meter" if number in meters:
                meters[number] = rest.rpartition("rate=")[2]
            case "del-meter":
                del meters[number]
            case _:
                raise CommandRefused("ovs1", command, "OFPMMFC_METER_EXISTS")
        return ""

    def feed(self, command: str, text: str) -> str:
        words = command.removeprefix(f"{OFCTL} ").split()
        if words[0] == "diff-flows":
            return self._diff(self.bridges[words[1]].flows, dict(map(parsed, text.splitlines())))
        assert words[:2] == ["--bundle", "add-flows"]
        for line in text.splitlines():
            verb, _, flow = line.partition(" ")
            self._apply(self.bridges[words[2]], verb, *parsed(flow))
        return ""

    def _apply(self, bridge: Bridge, verb: str, key: Flow, value: tuple[str, str]) -> None:
        if verb == "add":
            through = re.search(r"meter:(\d+)", value[1])
            assert not through or through[1] in bridge.meters
            bridge.flows[key] = value
        else:
            assert (verb, bridge.flows.pop(key)[0]) == ("delete_strict", value[0])

    @staticmethod
    def _diff(before: Mapping[Flow, Any], after: Mapping[Flow, Any]) -> str:
        gone = [f"-{key}" for key in before if after.get(key) != before[key]]
        come = [f"+{key}" for key in after if before.get(key) != after[key]]
        return "\n".join([*gone, *come])

    def close(self) -> None:
        pass


class OpenVSwitch:
    """The real daemons in a directory of their own, with one bridge of the dummy datapath."""

    def __init__(self) -> None:
        if not all(map(shutil.which, ("ovsdb-server", "ovs-vswitchd", "ovs-ofctl"))):
            pytest.skip("Open vSwitch is not installed")
        self._home = tempfile.TemporaryDirectory()
        self._before = dict(os.environ)
        os.environ.update(dict.fromkeys(("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"), self._home.name))
        schema, database = "/usr/share/openvswitch/vswitch.ovsschema", f"{self._home.name}/conf.db"
        quiet = ("--pidfile", "--detach", "--no-chdir", "--log-file", "-vconsole:off")
        run("ovsdb-tool", "create", database, schema)
        run("ovsdb-server", database, f"--remote=punix:{self._home.name}/db.sock", *quiet)
        run("ovs-vsctl", "--no-wait", "init")
        run("ovs-vswitchd", "--enable-dummy=override", "--disable-system", *quiet)
        run("ovs-vsctl", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
        self._open = ExitStack()
        self._session = self._open.enter_context(open_session(DEVICE, Endpoint("local")))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def close(self) -> None:
        self._open.close()
        run("ovs-appctl", "exit")
        run("ovs-appctl", "-t", "ovsdb-server", "exit")
        os.environ.clear()
        os.environ.update(self._before)
        self._home.cleanup()


def run(*command: str) -> None:
    assert Path(command[0]).name == command[0]
    subprocess.run(command, check=True, capture_output=True)


REAL: Mapping[str, Callable[[], Session]] = {"open vswitch": OpenVSwitch}
