"""A Junos switch with ELS, and a firewall, as far as our statements go."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module

from configured_switch import access_ports

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Mac, Role, Station
from switchguard.core.penalties import Block, Quarantine, RateLimit, SessionCap
from switchguard.errors import CommandRefused
from switchguard.lab.frontends.junos_config import Config, Schema, compare, display_set, load
from switchguard.lab.frontends.schema_junos import check, derive, initial, junos_schema
from switchguard.lab.plane import PlaneState
from switchguard.ports import Candidate, Oid, SnmpValue, Transport

HIER_CONFIG = "JUNIPER_JUNOS"
MAC, OTHER = Mac.parse("0200.0000.0007"), Mac.parse("0200.0000.0008")
BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=MAC)), None, Block())
IN_VLAN_20 = Change(Slot("sw1", "block", Station(vlan=20, mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=OTHER)), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="ge-0/0/7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", Station(port="ge-0/0/1")), None, RateLimit(2_000_000))
CAP = Change(Slot("sw1", "cap"), None, SessionCap(500))
MOVED = Change(Slot("sw1", "quarantine", Station(port="ge-0/0/7")), None, Quarantine(99))
CHANGES = (
    (BLOCK,),
    (BLOCK, IN_VLAN_20, OTHER_BLOCK),
    (LIMIT,),
    (LIMIT, BLOCK, OTHER_LIMIT),
    (CAP,),
    (MOVED,),
    (MOVED, LIMIT, CAP, BLOCK),
)

_config = import_module("switchguard.drivers._junos_config")
_junos = import_module("switchguard.drivers.juniper_junos")
ELS = "<rpc-reply><l2ng-l2ald-rtb-macdb/></rpc-reply>"
BEFORE_ELS = "<rpc-reply><ethernet-switching-table-information/></rpc-reply>"
_SHOWN = re.compile(r"set (firewall|vlans|interfaces|security (screen|zones)) ")
_PORTS = access_ports("ge-0/0/", "ge-0/0/")


@dataclass
class JunosSwitch:
    """A `ports.Session`. `extra` lines come into every candidate behind the driver's back."""

    schema: Schema = field(default_factory=lambda: junos_schema(_PORTS))
    active: Config = ()
    style: str = ELS
    lan: tuple[str, ...] = ("irb.10", "ge-0/0/3")
    extra: tuple[str, ...] = ()
    rewrite: Callable[[str], str] = str
    """What becomes of the announcement on its way to us."""
    commits: int = 0
    typed: list[Sequence[str]] = field(default_factory=list)

    @property
    def device(self) -> Device:
        return Device("sw1", "juniper_junos", Role.ACCESS, lan_interfaces=self.lan)

    @property
    def plane(self) -> PlaneState:
        """What happens to frames."""
        return derive(self.active, _PORTS)

    def type_in(self, text: str) -> None:
        """What an administrator does."""
        self.active = self._with(text.splitlines())

    def text(self) -> str:
        return "\n".join(display_set(self.active))

    def speaks(self, transport: Transport) -> bool:
        return transport in ("cli", "candidate")

    def ask(self, command: str) -> str:
        shown = [line for line in display_set(self.active) if _SHOWN.match(line)]
        answers = {
            _config.SHOW: "\n".join(shown),
            _config.SHOW_LAST: shown[-1],
            _junos.MAC_SUMMARY: self.style,
        }
        return answers[command]

    @contextmanager
    def candidate(self, lines: Sequence[str]) -> Iterator[Candidate]:
        typed = (*lines, *self.extra)
        yield _Loaded(self, self._with(typed), typed)

    def _with(self, lines: Sequence[str]) -> Config:
        config, refused = load(self.schema, self.active, lines)
        refused += check(config)
        if refused:
            raise CommandRefused("sw1", refused[0].word, refused[0].message)
        return config

    def stream(self, command: str) -> Iterator[bytes]:
        raise NotImplementedError

    def feed(self, command: str, text: str) -> str:
        raise NotImplementedError

    def configure(self, lines: Sequence[str]) -> str:
        raise NotImplementedError

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        raise NotImplementedError

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        raise NotImplementedError

    def close(self) -> None:
        pass


@dataclass
class _Loaded:
    switch: JunosSwitch
    config: Config
    typed: Sequence[str]

    def diff(self) -> str:
        return self.switch.rewrite(compare(self.switch.active, self.config))

    def commit(self) -> None:
        self.switch.active = self.config
        self.switch.commits += 1
        self.switch.typed.append(self.typed)


def Model() -> JunosSwitch:  # noqa: N802  the suite asks for this name
    switch = JunosSwitch()
    switch.type_in("\n".join([*initial("sw1", _PORTS), "set vlans guests vlan-id 20"]))
    switch.type_in('set interfaces ge-0/0/7 description "a client\'s"')
    switch.type_in(
        "set security screen ids-option SOMEBODY alarm-without-drop\n"
        "set security zones security-zone untrust screen SOMEBODY\n"
        "set security zones security-zone untrust interfaces ge-0/0/2.0\n"
        "set security zones security-zone trust interfaces irb.10\n"
        "set security zones security-zone guests interfaces ge-0/0/3.0"
    )
    switch.type_in(
        "set firewall family ethernet-switching filter SOMEBODY term all then accept\n"
        "set firewall policer SOMEBODY if-exceeding bandwidth-limit 1m\n"
        "set firewall policer SOMEBODY if-exceeding burst-size-limit 15k"
    )
    return switch


def spelt_for_hier_config(typed: Sequence[str]) -> list[str]:
    """To hier_config the word `set` is part of what is deleted."""
    return [f"delete set{line.removeprefix('delete')}" if line.startswith("delete ") else line for line in typed]
