"""A Huawei S switch as far as our lines go. `undo` and `quit` are its words for `no` and `exit`."""

from collections.abc import Sequence
from typing import NoReturn

from configured_switch import Answers, ConfiguredSwitch, access_ports

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.errors import CommandRefused
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree, render
from switchguard.lab.frontends.kinds import kinds

HIER_CONFIG = "HUAWEI_VRP"
REPLACES = (("interface ", "qos lr inbound "), ("interface ", "qos lr outbound "))

MAC, OTHER = Mac.parse("0200-0000-0007"), Mac.parse("0200-0000-0008")
BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=MAC)), None, Block())
ELSEWHERE = Change(Slot("sw1", "block", Station(vlan=20, mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(vlan=10, mac=OTHER)), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="GigabitEthernet0/0/7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", Station(port="GigabitEthernet0/0/1")), None, RateLimit(2_000_000))
BLOCKS: tuple[tuple[Change, ...], ...] = ((BLOCK,), (BLOCK, ELSEWHERE, OTHER_BLOCK))
CHANGES = (*BLOCKS, (LIMIT,), (LIMIT, BLOCK, OTHER_LIMIT))
RATES = (
    Rule("interface", "qos lr inbound | cir <number:64-10000000>"),
    Rule("interface", "qos lr outbound | cir <number:64-10000000>"),
)
START = """sysname sw1
mac-address blackhole 0200-0000-0099 vlan 10
mac-address static 0200-0000-0098 GigabitEthernet0/0/8 vlan 10
interface GigabitEthernet0/0/1
 description another's
interface GigabitEthernet0/0/7
 description a client's"""


class HuaweiSwitch(ConfiguredSwitch):
    """Takes `no` and `exit` for what they are there: nothing."""

    def _with(self, lines: Sequence[str]) -> Tree:
        return super()._with([_word_by_word(line) for line in lines])

    def text(self) -> str:
        return "\n".join(["#", *render(self.grammar, self.running, self.indent), "#", "return"])


def _word_by_word(line: str) -> str:
    blanks, word, rest = line[: len(line) - len(line.lstrip())], *line.strip().partition(" ")[::2]
    if word in ("no", "exit"):
        raise CommandRefused("sw1", line, "Error: Unrecognized command found at '^' position.")
    return f"{blanks}{ {'undo': 'no', 'quit': 'exit'}.get(word, word) } {rest}".rstrip()


def spelt_for_hier_config(lines: Sequence[str]) -> Sequence[str]:
    return [line for line in lines if line != "quit"]


def Model() -> HuaweiSwitch:  # noqa: N802  the suite asks for this name
    return switch("huawei_vrp", RATES)


def switch(platform: str, limits: Sequence[Rule]) -> HuaweiSwitch:
    """`limits` are its rules for those."""
    answers: Answers = {"display current-configuration": _told, "display mac-address blackhole": _blackholes}
    made = HuaweiSwitch(platform, _grammar(limits), 1, answers, _no_candidate)
    made.type_in(START)
    return made


def _told(device: ConfiguredSwitch) -> str:
    return device.text()


def _grammar(limits: Sequence[Rule]) -> Grammar:
    blackhole = "mac-address blackhole <huawei-mac> vlan <vlan>"
    return Grammar(
        (
            Rule(GLOBAL, "sysname | <name>"),
            Rule(GLOBAL, "mac-address static <huawei-mac> <port> vlan <vlan>", group="macs"),
            Rule(GLOBAL, blackhole, group="macs", check=_unicast),
            Rule(GLOBAL, "interface <port>", opens="interface"),
            Rule("interface", "description | <line>"),
            *limits,
        ),
        {**kinds(access_ports("GigabitEthernet0/0/", "GigabitEthernet0/0/"), ""), "huawei-mac": _mac},
    )


def _mac(word: str, _: str) -> str | None:
    return word.lower() if word.count("-") == 2 else None


def _unicast(_: Tree, command: Command) -> str:
    return "Error: The MAC address is invalid." if Mac.parse(command.arguments[0]).is_multicast else ""


def _blackholes(device: ConfiguredSwitch) -> str:
    rule = "-" * 79
    words = [line.split() for line in device.text().splitlines() if line.startswith("mac-address blackhole")]
    rows = [f"{said[2]} {said[4] + '/-':<33}-                   blackhole" for said in words]
    head = "MAC Address    VLAN/VSI                          Learned-From        Type"
    return "\n".join([rule, head, rule, *rows, rule, f"Total items displayed = {len(rows)}"])


def _no_candidate(_: ConfiguredSwitch, _tree: Tree, _typed: Sequence[str]) -> NoReturn:
    raise NotImplementedError
