"""An ArubaOS-Switch as far as our lines go."""

from collections.abc import Sequence

from configured_switch import ConfiguredSwitch

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, RateLimit
from switchguard.lab.frontends.config import Tree
from switchguard.lab.frontends.grammar_procurve import procurve_grammar
from switchguard.lab.frontends.procurve_text import lockouts, rate_limits
from switchguard.lab.plane import PortRow

HIER_CONFIG = "HP_PROCURVE"
REPLACES = (("interface ", "rate-limit all in "), ("interface ", "rate-limit all out "))

MAC, OTHER = Mac.parse("020000-000007"), Mac.parse("020000-000008")
BLOCK = Change(Slot("sw1", "block", Station(mac=MAC)), None, Block())
OTHER_BLOCK = Change(Slot("sw1", "block", Station(mac=OTHER)), None, Block())
LIMIT = Change(Slot("sw1", "limit", Station(port="7")), None, RateLimit(64_000))
OTHER_LIMIT = Change(Slot("sw1", "limit", Station(port="1")), None, RateLimit(2_000_000))
CHANGES = ((BLOCK,), (BLOCK, OTHER_BLOCK), (LIMIT,), (LIMIT, BLOCK, OTHER_LIMIT))


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    ports = tuple(PortRow(str(n), str(n), str(n), n, True, 10, (10,)) for n in range(1, 9))
    switch = ConfiguredSwitch(
        "hp_procurve",
        procurve_grammar(ports, {Mac.parse("001122-334400")}),
        3,
        {
            "show lockout-mac": lambda it: lockouts(it.running),
            "show rate-limit all": lambda it: rate_limits(it.running, ports),
        },
        _no_candidate,
    )
    switch.type_in('hostname "sw1"\nvlan 10\n untagged 1-8\ninterface 7\n name "a client\'s"')
    return switch


def _no_candidate(_: ConfiguredSwitch, _tree: Tree, _typed: Sequence[str]) -> str:
    raise NotImplementedError
