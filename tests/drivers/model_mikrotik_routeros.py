"""A RouterOS gateway as far as our lines go: the console of the lab's front end, without the terminal around it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from bare_session import BareSession

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Mac, Role, Station
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import CommandRefused
from switchguard.lab.frontends.routeros_console import EMPTY, Console, Item, Lists

MAC, OTHER = Mac.parse("02:00:00:00:00:07"), Mac.parse("02:00:00:00:00:08")
ADDRESS, IPV6 = ip_address("10.10.0.7"), ip_address("2001:db8:0:10::7")
BLOCK = Change(Slot("gw1", "block", Station(mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("gw1", "block", Station(mac=OTHER)), None, Block())
BY_ADDRESS = Change(Slot("gw1", "block", address=ADDRESS), None, Block(by="address"))
BY_IPV6 = Change(Slot("gw1", "block", address=IPV6), None, Block(by="address"))
SUBNET = Change(Slot("gw1", "block", network=ip_network("10.11.0.0/24")), None, Block(by="address"))
LIMIT = Change(Slot("gw1", "limit", address=ADDRESS), None, RateLimit(64_000))
IPV6_LIMIT = Change(Slot("gw1", "limit", address=IPV6), None, RateLimit(2_500_000))
CAP = Change(Slot("gw1", "cap", address=ADDRESS), None, SessionCap(200))
IPV6_CAP = Change(Slot("gw1", "cap", address=IPV6), None, SessionCap(10))
CHANGES = (
    (BLOCK,),
    (BLOCK, OTHER_BLOCK),
    (BY_ADDRESS, BY_IPV6, SUBNET),
    (LIMIT, IPV6_LIMIT),
    (CAP, IPV6_CAP),
    (CAP, BLOCK, LIMIT, BY_ADDRESS),
)
REFUSALS = ("bad command name", "expected", "invalid", "input does not", "missing", "failure:", "no such", "syntax")

SOMEBODYS: Lists = {
    **EMPTY,
    "/interface bridge filter": (Item({"comment": "the hall", "chain": "forward", "action": "accept"}),),
    "/ip firewall filter": (
        Item({"comment": "special dummy rule", "chain": "forward", "action": "passthrough"}, "D"),
        Item({"chain": "forward", "connection-state": "established,related", "action": "accept"}),
    ),
    "/queue simple": (Item({"name": "everybody", "target": "10.10.0.0/16", "max-limit": "200M/200M"}),),
}


@dataclass
class Router(BareSession):
    """A `ports.Session`. Refuses, and keeps, what a line before the refused one did."""

    lists: Lists = field(default_factory=lambda: SOMEBODYS)
    role: Role = Role.GATEWAY
    answers: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    typed: list[Sequence[str]] = field(default_factory=list)
    console: Console = field(init=False)

    def __post_init__(self) -> None:
        self.console = Console(lambda: self.lists, self.install, self.answers)

    def install(self, lists: Lists) -> None:
        self.lists = lists

    @property
    def device(self) -> Device:
        return Device("gw1", "mikrotik_routeros", self.role)

    def ask(self, command: str) -> str:
        said = self.console.run(command)
        if said.startswith(REFUSALS):
            raise CommandRefused("gw1", command, said)
        return said

    def configure(self, lines: Sequence[str]) -> str:
        self.typed.append(lines)
        return "".join(self.ask(line) for line in lines)


Model = Router
SNOOPING = Item({"switch": "switch1", "mac-protocol": "arp", "ports": "ether9"}, "D")


def switch(
    kind: str = "Marvell-98DX3236", rules: int = 0, bonded: bool = False, chips: int = 1, role: Role = Role.ACCESS
) -> Router:
    """ether2 and ether3 (or a bond of both) are hardware offloaded, ether4 is not."""
    offloaded = ("bond1",) if bonded else ("ether3", "ether2")
    chip = "/interface ethernet switch"
    lists = {
        "/interface bridge port": (
            *(Item({"interface": it}, "H") for it in offloaded),
            Item({"interface": "ether4"}),
        ),
        chip: tuple(Item({"name": f"switch{number}", "type": kind}) for number in range(1, chips + 1)),
        f"{chip} port": tuple(Item({"name": f"ether{number}", "switch": "switch1"}) for number in (2, 3, 4)),
        f"{chip} rule": (SNOOPING,) * rules,
    }
    return Router({**EMPTY, **lists}, role)


REAL = {"switch chip": lambda: switch(role=Role.CORE)}
