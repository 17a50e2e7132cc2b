"""A CloudEngine switch as far as our lines go: blackholes as on VRP 5, and limits by named profiles."""

from model_huawei_vrp import BLOCK, BLOCKS, HIER_CONFIG, LIMIT, OTHER_LIMIT, HuaweiSwitch, spelt_for_hier_config, switch

from switchguard.lab.frontends.config import GLOBAL, Rule

__all__ = ["HIER_CONFIG", "Model", "spelt_for_hier_config"]

REPLACES = (
    ("interface ", "qos car inbound "),
    ("qos car SWITCHGUARD-GigabitEthernet0-0-7 ",),
    ("qos car SWITCHGUARD-GigabitEthernet0-0-1 ",),
)
CHANGES = (*BLOCKS, (LIMIT,), (LIMIT, BLOCK, OTHER_LIMIT))
RULES = (
    Rule(GLOBAL, "qos car <name> | cir <number:64-10000000> kbps", group="profile"),
    Rule("interface", "qos car inbound | <name>"),
)


def Model() -> HuaweiSwitch:  # noqa: N802  the suite asks for this name
    return switch("huawei_vrpv8", RULES)
