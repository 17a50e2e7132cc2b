"""A Catalyst 9300 as far as our lines go: those of the older ones, below netmiko's other name."""

from dataclasses import replace

import model_cisco_ios
from configured_switch import ConfiguredSwitch

HIER_CONFIG, REPLACES, CHANGES = model_cisco_ios.HIER_CONFIG, model_cisco_ios.REPLACES, model_cisco_ios.CHANGES


def Model() -> ConfiguredSwitch:  # noqa: N802  the suite asks for this name
    return replace(model_cisco_ios.Model(), platform="cisco_xe")
