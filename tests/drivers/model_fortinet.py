"""A FortiGate as far as our lines go: tables of entries, edited line by line and shown whole, defaults left out."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from bare_session import BareSession

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Mac, Role, Station
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import CommandRefused

HIER_CONFIG = "FORTINET_FORTIOS"

MAC, OTHER = Mac.parse("02:00:00:00:00:07"), Mac.parse("02:00:00:00:00:08")
ADDRESS, IPV6 = ip_address("10.10.0.7"), ip_address("2001:db8:0:10::7")
BLOCK = Change(Slot("gw1", "block", Station(mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("gw1", "block", Station(mac=OTHER)), None, Block())
LIMIT = Change(Slot("gw1", "limit", address=ADDRESS), None, RateLimit(64_000))
IPV6_LIMIT = Change(Slot("gw1", "limit", address=IPV6), None, RateLimit(2_500_000))
CAP = Change(Slot("gw1", "cap", address=ADDRESS), None, SessionCap(200))
BY_ADDRESS = Change(Slot("gw1", "block", address=ADDRESS), None, Block("address"))
BY_IPV6 = Change(Slot("gw1", "block", address=IPV6), None, Block("address"))
SUBNET = Change(Slot("gw1", "block", network=ip_network("10.20.0.0/24")), None, Block("address"))
IPV6_SUBNET = Change(Slot("gw1", "block", network=ip_network("2001:db8:20::/48")), None, Block("address"))
CHANGES = (
    (BLOCK,),
    (BLOCK, OTHER_BLOCK),
    (LIMIT,),
    (CAP,),
    (LIMIT, CAP),
    (BLOCK, IPV6_LIMIT, CAP, OTHER_BLOCK, LIMIT),
    (BY_ADDRESS,),
    (BY_IPV6, SUBNET),
    (BLOCK, LIMIT, BY_ADDRESS, IPV6_SUBNET, BY_IPV6, IPV6_LIMIT, SUBNET),
)

Entry = dict[str, str]
"""Setting -> its words, as they were typed."""
Tables = dict[str, dict[str, Entry]]

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "firewall address": ("type", "macaddr", "subnet", "comment"),
    "firewall address6": ("ip6",),
    "firewall addrgrp": ("member",),
    "firewall addrgrp6": ("member",),
    "firewall policy": (
        *("name", "srcintf", "dstintf", "srcaddr", "dstaddr", "srcaddr6", "dstaddr6", "action", "schedule", "service"),
        "status",
    ),
    "firewall shaper per-ip-shaper": ("max-bandwidth", "bandwidth-unit", "max-concurrent-session"),
    "firewall shaping-policy": (
        *("status", "ip-version", "service", "srcintf", "dstintf", "srcaddr", "dstaddr", "srcaddr6", "dstaddr6"),
        "per-ip-shaper",
    ),
}
START: Tables = {
    "firewall address": {"none": {"subnet": "0.0.0.0 255.255.255.255"}, "all": {}},
    "firewall address6": {"all": {}, "none": {"ip6": "::/128"}},
    "firewall addrgrp": {"switchguard": {"member": '"none"'}},
    "firewall addrgrp6": {"switchguard": {"member": '"none"'}},
    "firewall policy": {
        "9": {"name": '"deny"', "srcaddr": '"switchguard"', "srcaddr6": '"switchguard"', "service": '"ALL"'},
        "1": {"name": '"out"', "srcaddr": '"all"', "dstaddr": '"all"', "action": "accept", "service": '"ALL"'},
    },
    "firewall shaper per-ip-shaper": {"guests": {"max-bandwidth": "5", "bandwidth-unit": "mbps"}},
    "firewall shaping-policy": {"3": {"service": '"ALL"', "srcaddr": '"all"', "per-ip-shaper": '"guests"'}},
}


def shown(tables: Tables, path: str) -> list[str]:
    lines = [f"config {path}"]
    for name, entry in tables[path].items():
        lines.append(f"    edit {name}" if name.isdecimal() else f'    edit "{name}"')
        lines += [f"        set {key} {words}" for key, words in entry.items()]
        lines.append("    next")
    return [*lines, "end"]


@dataclass
class Firewall(BareSession):
    """A `ports.Session`."""

    tables: Tables = field(default_factory=lambda: {p: {n: dict(e) for n, e in t.items()} for p, t in START.items()})
    typed: list[Sequence[str]] = field(default_factory=list)
    sessions: str = "total session 0\n"
    asked: list[str] = field(default_factory=list)

    @property
    def device(self) -> Device:
        return Device("gw1", "fortinet", Role.GATEWAY)

    def text(self) -> str:
        """As hier_config is told it: ends of entries are its own business."""
        return "\n".join(line for path in self.tables for line in shown(self.tables, path) if line.strip() != "next")

    def ask(self, command: str) -> str:
        self.asked.append(command)
        if command.startswith("diagnose sys session "):
            return self.sessions if command.endswith(" list") else ""
        path = command.removeprefix("show ")
        if path not in self.tables:
            raise CommandRefused("gw1", command, "command parse error before ''")
        return "\n".join(shown(self.tables, path)) + "\n"

    def configure(self, lines: Sequence[str]) -> str:
        said = list(lines)
        self.typed.append(said)
        path = name = ""
        for number, line in enumerate(lines):
            match shlex.split(line), path, name:
                case ["config", *words], "", "":
                    path = " ".join(words)
                case ["edit", name], _, "" if path in self.tables:
                    self.tables[path].setdefault(name, {})
                case ["delete", gone], _, "" if gone in self.tables.get(path, {}):
                    self._delete(path, gone, line)
                case ["move", moved, "before", other], _, "" if {moved, other} <= self.tables.get(path, {}).keys():
                    self._move(path, moved, other)
                case ["set", key, _, *_], _, _ if name and key in SETTINGS[path]:
                    self._set(path, name, key, line)
                case ["append" | "unselect" as verb, "member", *members], _, _ if name and members:
                    said[number] = self._regrouped(path, name, verb, members)
                case ["unset", key], _, _ if name and key in SETTINGS[path]:
                    self.tables[path][name].pop(key, None)
                case ["next"], _, _ if name:
                    name = ""
                case ["end"], _, "" if path:
                    path = ""
                case _:
                    raise CommandRefused("gw1", line, "command parse error before ''")
        assert (path, name) == ("", ""), "a table or an entry that was not left"
        self.typed[-1] = as_hier_config(said)
        return ""

    def _set(self, path: str, name: str, key: str, line: str) -> None:
        words = line.split(maxsplit=2)[2]
        for named in shlex.split(words) if key in ("member", "srcaddr", "srcaddr6") else ():
            if not any(named in self.tables[of] for of in self.tables if of.startswith("firewall addr")):
                raise CommandRefused(
                    "gw1", line, f"entry not found in datasource\n\nvalue parse error before '{named}'"
                )
        self.tables[path][name][key] = words

    def _regrouped(self, path: str, name: str, verb: str, members: Sequence[str]) -> str:
        """As one line that sets them all."""
        stood = shlex.split(self.tables[path][name].get("member", ""))
        stay = [it for it in stood if it not in members]
        words = " ".join(f'"{it}"' for it in (*stay, *(members if verb == "append" else ())))
        if not words or (verb == "unselect" and len(stay) == len(stood)):
            raise CommandRefused("gw1", f"{verb} member", "command parse error before ''")
        line = f"        set member {words}"
        self._set(path, name, "member", line)
        return line

    def _delete(self, path: str, name: str, line: str) -> None:
        words = (word for table in self.tables.values() for entry in table.values() for word in entry.values())
        if any(f'"{name}"' in word for word in words):
            raise CommandRefused(
                "gw1", line, f"The entry is used by other 1 entries\nCommand fail. Return code -23 {name}"
            )
        del self.tables[path][name]

    def _move(self, path: str, moved: str, other: str) -> None:
        entry = self.tables[path].pop(moved)
        items = list(self.tables[path].items())
        at = [name for name, _ in items].index(other)
        self.tables[path] = dict([*items[:at], (moved, entry), *items[at:]])


def as_hier_config(lines: Sequence[str]) -> list[str]:
    """hier_config negates an entry as it does a setting, has no order, and writes no ends of entries."""
    said = (line.replace("    delete ", "    unset edit ") for line in lines)
    return [line for line in said if line.strip() != "next" and not line.strip().startswith("move ")]


Model = Firewall
