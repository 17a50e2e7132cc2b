"""RouterOS's console as far as its lists go: `add`, `remove` and `set [find ...]`, `print terse`, `:put`, several in a
line.

Strict as the console is: a menu, a property or a value that it does not know is refused in its words, and adding the
same rule twice makes two of them. Items have no names: `place-before` takes the number that the last `print` of this
login gave one (help.mikrotik.com, Command Line Interface, item names and numbers).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from switchguard.core.model import Mac

Kind = Callable[[str], str | None]
"""What a property may be: the spelling in which it is printed, or None if it is no such thing."""
_RATE_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


class Refused(Exception):
    """In the console's words."""


# --- what properties may be ------------------------------------------------------------------------------------------


def _one_of(*choices: str) -> Kind:
    return lambda word: word if word in choices else None


def _matching(shape: str) -> Kind:
    pattern = re.compile(shape)
    return lambda word: word if pattern.fullmatch(word) else None


def _mac(word: str) -> str | None:
    try:
        return str(Mac.parse(word)).upper()
    except ValueError:
        return None


def _masked_mac(word: str) -> str | None:
    address, _, mask = word.partition("/")
    known, bits = _mac(address), _mac(mask or "FF:FF:FF:FF:FF:FF")
    return f"{known}/{bits}" if known and bits else None


def _network(version: int, host_mask: bool = False) -> Kind:
    """`host_mask`: whether a single address is printed with its mask."""

    def network(word: str) -> str | None:
        try:
            found = ip_network(word)
        except ValueError:
            return None
        if found.version != version and version:
            return None
        alone = found.prefixlen == found.max_prefixlen and not host_mask
        return str(found.network_address) if alone else str(found)

    return network


def _rates(word: str) -> str | None:
    found = re.fullmatch(r"(\d+)([kMG]?)/(\d+)([kMG]?)", word)
    if not found:
        return None
    factors = {unit: factor for factor, unit in _RATE_UNITS} | {"": 1}
    return "/".join(_rate(int(found[at]) * factors[found[at + 1]]) for at in (1, 3))


def _rate(bps: int) -> str:
    factor, unit = next(((f, u) for f, u in _RATE_UNITS if bps and bps % f == 0), (1, ""))
    return f"{bps // factor}{unit}"


@dataclass(frozen=True, slots=True)
class Menu:
    properties: Mapping[str, Kind]
    needed: tuple[str, ...] = ()
    unique: str = ""
    """The property that no two items share."""
    also: Mapping[str, str] = field(default_factory=dict)
    """What is printed of every item besides."""
    fixed: bool = False
    """Nothing can be added; what has properties can be set."""


_ACTION = _one_of("accept", "drop", "fasttrack-connection", "passthrough")
_LOG = {"log": "no", "log-prefix": ""}


def _firewall(version: int, *chains: str) -> Menu:
    return Menu(
        {
            "comment": _matching(r"[^\"]*"),
            "chain": _one_of(*chains),
            "action": _ACTION,
            "protocol": _matching(r"[a-z0-9-]+"),
            "connection-state": _matching(r"(?:new|established|related|invalid|untracked)(?:,[a-z]+)*"),
            "connection-limit": _matching(r"\d+,\d+"),
            "src-address": _network(version),
            "dst-address": _network(version),
            "src-mac-address": _mac,
        },
        needed=("chain",),
        also=_LOG,
    )


MENUS: Mapping[str, Menu] = {
    "/interface bridge filter": Menu(
        {
            "comment": _matching(r"[^\"]*"),
            "chain": _one_of("input", "forward", "output"),
            "action": _ACTION,
            "mac-protocol": _matching(r"[a-z0-9-]+"),
            "src-mac-address": _masked_mac,
            "dst-mac-address": _masked_mac,
        },
        needed=("chain",),
        also=_LOG,
    ),
    "/interface bridge port": Menu({"hw": _one_of("yes", "no")}, fixed=True),
    "/interface ethernet switch rule": Menu(
        {
            "comment": _matching(r"[^\"]*"),
            "switch": _one_of("switch1"),
            "ports": _matching(r"[\w-]+(?:,[\w-]+)*"),
            "mac-protocol": _matching(r"[a-z0-9-]+"),
            "src-mac-address": _masked_mac,
            "dst-mac-address": _masked_mac,
            "new-dst-ports": _matching(r"(?:[\w-]+(?:,[\w-]+)*)?"),
        },
        needed=("switch",),
        also={"copy-to-cpu": "no", "redirect-to-cpu": "no", "mirror": "no"},
    ),
    "/interface ethernet switch": Menu({}, fixed=True),
    "/interface ethernet switch port": Menu({}, fixed=True),
    "/ip firewall raw": _firewall(4, "prerouting", "output"),
    "/ipv6 firewall raw": _firewall(6, "prerouting", "output"),
    "/ip firewall filter": _firewall(4, "input", "forward", "output"),
    "/ipv6 firewall filter": _firewall(6, "input", "forward", "output"),
    "/ip firewall connection": Menu({}, fixed=True),
    "/queue simple": Menu(
        {
            "comment": _matching(r"[^\"]*"),
            "name": _matching(r"[^\"]+"),
            "target": _network(0, host_mask=True),
            "max-limit": _rates,
        },
        needed=("target",),
        unique="name",
        also={"parent": "none", "packet-marks": "", "priority": "8/8", "limit-at": "0/0", "bucket-size": "0.1/0.1"},
    ),
}


# --- lists -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    fields: Mapping[str, str]
    flags: str = ""


Lists = Mapping[str, tuple[Item, ...]]
EMPTY: Lists = dict.fromkeys(MENUS, ())


def add(lists: Lists, menu: str, told: Mapping[str, str], before: Item | None = None) -> Lists:
    """With one item more, before `before` or at the end."""
    known, items = MENUS[menu], lists.get(menu, ())
    fields = {key: _spelt(known, key, value) for key, value in told.items()}
    if missing := [key for key in known.needed if key not in fields]:
        raise Refused(f"missing value(s) of argument(s) {' '.join(missing)}")
    if known.unique and any(item.fields.get(known.unique) == fields.get(known.unique) for item in items):
        raise Refused(f"failure: already have such {known.unique}")
    at = items.index(before) if before else len(items)
    return {**lists, menu: (*items[:at], Item(fields), *items[at:])}


def _spelt(menu: Menu, key: str, value: str) -> str:
    spelling = menu.properties[key](value)
    if spelling is None:
        what = "input does not match any value of" if key in ("chain", "action") else "invalid value for argument"
        raise Refused(f"{what} {key}")
    return spelling


def printed(menu: str, items: tuple[Item, ...]) -> str:
    """`print terse`: the comment first, as RouterOS has it."""
    also = MENUS[menu].also
    return "".join(f"{row(number, item, also)}\n" for number, item in enumerate(items))


def row(number: int, item: Item, also: Mapping[str, str] | None = None) -> str:
    comment = {"comment": item.fields["comment"]} if "comment" in item.fields else {}
    own = {key: value or '""' for key, value in {**comment, **item.fields}.items()}
    told = " ".join(f"{key}={value}" for key, value in {**own, **(also or {})}.items())
    return f"{number:>2} {item.flags:<3} {told}"


# --- the console -----------------------------------------------------------------------------------------------------

_COMMAND = re.compile(r"((?:/[a-z0-9]+)(?: [a-z0-9]+)*?) (add|remove|set|print|find)\b ?(.*)")
_SET = re.compile(r"\[(find [^\]]*)\] ([a-z0-9-]+)=(\S+)")
_PROPERTY = re.compile(r"\s*([a-z][a-z0-9-]*)=(\"[^\"]*\"|\S*)")
_CONDITION = re.compile(r"find ([a-z][a-z0-9-]*)([=~])\"([^\"]*)\"")
_PARTS = re.compile(r"(?:\"[^\"]*\"|[^;\"])+")


class Console:
    """One login. `answers` are commands that only print; `install` gets the lists whenever they change."""

    def __init__(
        self,
        lists: Callable[[], Lists],
        install: Callable[[Lists], None],
        answers: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        self._lists, self._install = lists, install
        self._answers = answers or {}
        self._numbers: dict[str, tuple[Item, ...]] = {}

    def run(self, line: str) -> str:
        """What a line prints. What stands before a command that is refused has been done."""
        said = ""
        for command in (part.strip() for part in _PARTS.findall(line)):
            try:
                said += self._one(command) if command else ""
            except Refused as why:
                return f"{said}{why}\n"
        return said

    def _one(self, command: str) -> str:
        if command.startswith(":put "):
            return f"{self._value(command[5:].strip())}\n"
        if command in self._answers:
            return self._answers[command]()
        menu, verb, rest = self._understood(command)
        if verb == "print" and rest == "terse without-paging":
            self._numbers[menu] = self._lists().get(menu, ())
            return printed(menu, self._numbers[menu])
        if verb == "add" and not MENUS[menu].fixed:
            self._add(menu, rest, command)
            return ""
        if verb == "remove" and rest.startswith("[") and rest.endswith("]"):
            gone = tuple(self._found(menu, rest[1:-1]))
            self._install({**self._lists(), menu: tuple(it for it in self._lists().get(menu, ()) if it not in gone)})
            return ""
        if verb == "set" and (said := _SET.fullmatch(rest)) and said[2] in MENUS[menu].properties:
            self._set(menu, tuple(self._found(menu, said[1])), {said[2]: _spelt(MENUS[menu], said[2], said[3])})
            return ""
        raise Refused(f"expected end of command (line 1 column {len(command) - len(rest) + 1})")

    def _set(self, menu: str, these: tuple[Item, ...], told: Mapping[str, str]) -> None:
        items = self._lists().get(menu, ())
        changed = tuple(Item({**it.fields, **told}, it.flags) if it in these else it for it in items)
        self._install({**self._lists(), menu: changed})

    def _understood(self, command: str) -> tuple[str, str, str]:
        found = _COMMAND.fullmatch(command)
        if not found or found[1] not in MENUS:
            word = _first_unknown(command)
            raise Refused(f"bad command name {word} (line 1 column {command.find(word) + 1})")
        return found[1], found[2], found[3]

    def _value(self, text: str) -> str:
        if quoted := re.fullmatch(r"\"([^\"]*)\"", text):
            return quoted[1]
        if counted := re.fullmatch(r"\[:len \[(.+)\]\]", text):
            menu, verb, rest = self._understood(counted[1])
            return str(len(list(self._found(menu, f"{verb} {rest}"))))
        raise Refused("expected command name (line 1 column 6)")

    def _add(self, menu: str, text: str, command: str) -> None:
        told, at = {}, 0
        for found in _PROPERTY.finditer(text):
            if found.start() != at or (found[1] not in MENUS[menu].properties and found[1] != "place-before"):
                break
            told[found[1]], at = found[2].strip('"'), found.end()
        if text[at:].strip():
            raise Refused(f"expected end of command (line 1 column {len(command) - len(text) + at + 2})")
        before = self._numbered(menu, told.pop("place-before", ""))
        self._install(add(self._lists(), menu, told, before))

    def _numbered(self, menu: str, number: str) -> Item | None:
        if not number:
            return None
        items = self._numbers.get(menu, ())
        item = items[int(number)] if number.isdecimal() and int(number) < len(items) else None
        if item is None or item not in self._lists().get(menu, ()):
            raise Refused("no such item")
        return item

    def _found(self, menu: str, condition: str) -> Iterator[Item]:
        found = _CONDITION.fullmatch(condition.strip())
        if not found:
            raise Refused("syntax error (line 1 column 1)")
        key, sign, value = found.groups()
        for item in self._lists().get(menu, ()):
            told = item.fields.get(key, "")
            if re.search(value, told) if sign == "~" else told == value:
                yield item


def _first_unknown(command: str) -> str:
    words = command.lstrip("/").split()
    for at in range(1, len(words)):
        if not any(f"{menu[1:]} ".startswith(" ".join(words[:at]) + " ") for menu in MENUS):
            return words[at - 1]
    return words[-1]
