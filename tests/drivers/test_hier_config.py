"""A second opinion on our lines: hier_config, which knows how other vendors' configurations are merged and negated.

`model_<platform>.py` says which platform it is there, `HIER_CONFIG = "CISCO_IOS"`; its model tells its configuration
as `text()` and keeps the lines of every push in `typed`. `REPLACES`, if there, are beginnings of lines, with those of
their sections, of which only the last one typed stands and hier_config does not know it. `spelt_for_hier_config`, if
there, makes lines that it understands of those that were typed.

The lines that were typed must lead, as hier_config sees it, from the configuration before to the one that our own model
has afterwards; the lines of the release back to the start.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

import pytest
from hier_config import get_hconfig, get_hconfig_driver
from hier_config.models import IdempotentCommandsRule, MatchRule, Platform
from hier_config.platforms.driver_base import HConfigDriverBase
from hier_config.root import HConfig

from switchguard import plugins
from switchguard.core.changes import Change
from switchguard.ports import Enforces

Lines = frozenset[tuple[str, ...]]
_MARKS = ("!", "end", "exit")


def cases() -> Iterator[Any]:
    for name in plugins.driver_names():
        if find_spec(f"model_{name}") is None:
            continue
        module = import_module(f"model_{name}")
        for number, changes in enumerate(module.CHANGES if hasattr(module, "HIER_CONFIG") else ()):
            yield pytest.param(name, module, changes, id=f"{name}-{number}")


def platform(module: ModuleType) -> HConfigDriverBase:
    driver = get_hconfig_driver(Platform[module.HIER_CONFIG])
    for path in getattr(module, "REPLACES", ()):
        rule = IdempotentCommandsRule(match_rules=tuple(MatchRule(startswith=part) for part in path))
        driver.rules.idempotent_commands.append(rule)
    return driver


def future(before: HConfig, typed: Iterable[str]) -> HConfig:
    """Section by section: indentation tells where each ends."""
    sections: list[list[str]] = []
    for line in typed:
        if not line.startswith(" "):
            sections.append([])
        sections[-1] += [line] if not line.strip().startswith(_MARKS) else []
    for section in filter(None, sections):
        before = before.future(get_hconfig(before.driver, "\n".join(section)))
    return before


def lines(config: HConfig) -> Lines:
    """Every line with the sections that it is in, in no order; no vendor tells Port-channel1 from Port-Channel1."""
    said = (tuple(part.text.lower() for part in child.lineage()) for child in config.all_children())
    return frozenset(path for path in said if path[-1] not in _MARKS)


@pytest.mark.parametrize(("name", "module", "changes"), tuple(cases()))
def test_our_lines_lead_there_and_back(name: str, module: ModuleType, changes: Sequence[Change]) -> None:
    driver, device, vendor = cast(Enforces, plugins.driver(name)), module.Model(), platform(module)
    start = get_hconfig(vendor, device.text())
    spelt = getattr(module, "spelt_for_hier_config", tuple)
    driver.push(device, changes)
    there = future(start, spelt(device.typed[-1]))
    assert lines(there) == lines(get_hconfig(vendor, device.text()))
    driver.push(device, [change.inverse() for change in reversed(changes)])
    assert lines(future(there, spelt(device.typed[-1]))) == lines(start)
