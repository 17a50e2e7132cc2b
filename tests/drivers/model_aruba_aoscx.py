"""An AOS-CX switch as far as our lines go."""

from collections.abc import Sequence

from configured_switch import ConfiguredSwitch, access_ports

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block
from switchguard.lab.frontends.config import GLOBAL, Command, Grammar, Rule, Tree
from switchguard.lab.frontends.kinds import kinds

HIER_CONFIG = "ARUBA_AOSCX"

MAC, OTHER = Mac.parse("02:00:00:00:00:07"), Mac.parse("02:00:00:00:00:08")
BLOCK = Change(Slot("sw1", "block", Station(mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(mac=OTHER)), None, Block())
CHANGES = ((BLOCK,), (BLOCK, OTHER_BLOCK))


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    switch = ConfiguredSwitch(
        "aruba_aoscx", _grammar(), 4, {"show mac-address-table lockout": _lockouts}, _no_candidate
    )
    switch.type_in("hostname sw1\nmac-lockout 02:00:00:00:00:09")
    return switch


def _grammar() -> Grammar:
    return Grammar(
        (Rule(GLOBAL, "hostname | <name>"), Rule(GLOBAL, "mac-lockout <colon-mac>", group="lockout", check=_unicast)),
        {
            **kinds(access_ports("1/1/", "1/1/"), ""),
            "colon-mac": lambda word, _: word if word.count(":") == 5 else None,
        },
    )


def _unicast(_: Tree, command: Command) -> str:
    return "Invalid MAC address" if Mac.parse(command.arguments[0]).is_multicast else ""


def _lockouts(switch: ConfiguredSwitch) -> str:
    macs = [node.arguments[0] for node in switch.running.values() if node.rule.group == "lockout"]
    rows = [f"{mac}    static" for mac in macs]
    head = [f"Number of MAC lockout addresses : {len(macs)}", "", "MAC Address          Type", "-" * 42]
    return "\n".join([*head, *rows])


def _no_candidate(_: ConfiguredSwitch, _tree: Tree, _typed: Sequence[str]) -> str:
    raise NotImplementedError
