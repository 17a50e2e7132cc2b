"""What only ProCurve has at the access layer: filtering databases that are no VLANs, and a short list of lockouts.

`switchguard lab run --switch sw1=hp_procurve --switch sw2=hp_procurve pytest tests/lab/test_e2e_procurve.py -m lab`;
skipped in a lab of other makes. See test_e2e_makes for what all makes have to do.
"""

import os
from pathlib import Path
from typing import cast

import pytest
from desk import ON_SW1, ON_SW2, Desk

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block
from switchguard.edge.session import open_session
from switchguard.edge.settings import load_site
from switchguard.lab.frontends.grammar_procurve import LOCKOUTS
from switchguard.lab.topology import LAB
from switchguard.ports import Enforces

DRIVER = cast(Enforces, plugins.driver("hp_procurve"))
access_makes = {LAB.switch(name).make.platform for name in ("sw1", "sw2")}
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(access_makes != {"hp_procurve"}, reason="the access switches of this lab are of another make"),
]


def lockouts(desk: Desk, switch: str) -> int:
    """As the switch itself counts them."""
    return int(desk.ask(switch, "show lockout-mac")[-1].split()[-1])


def fill(switch: str) -> None:
    """With other people's lockouts."""
    site = load_site(Path(os.environ["SWITCHGUARD_SITE"]))
    device = next(device for device in site.devices if device.name == switch)
    theirs = (Slot(switch, "block", Station(mac=Mac(0x020000009900 + n))) for n in range(LOCKOUTS))
    with open_session(device, site.endpoints[switch]) as session:
        DRIVER.push(session, [Change(slot, None, Block()) for slot in theirs])


def test_a_client_behind_databases_that_are_no_vlans_is_found_in_its_vlan_and_cut(desk: Desk) -> None:
    found = desk.types("locate", desk.mac(ON_SW2), "--json").object["location"]
    assert (found["device"], found["port"], found["vlan"]) == ("sw2", "2", 20)
    said = desk.types("block", "mac", desk.mac(ON_SW2), "--yes")
    assert (said.status, lockouts(desk, "sw2"), desk.offline()) == (0, 1, {ON_SW2}), said.out + said.err


def test_a_limit_is_put_on_the_port_both_ways(desk: Desk) -> None:
    said = desk.types("limit", "mac", desk.mac(ON_SW1), "--rate", "64kbps", "--on", "sw1", "--yes")
    assert said.status == 0, said.out + said.err
    (row,) = (line.split() for line in desk.ask("sw1", "show rate-limit all") if line.startswith("  8 "))
    assert (row[2:4], row[6:8]) == (["64", "kbps"], ["64", "kbps"])


def test_the_seventeenth_goes_somewhere_else_and_the_plan_says_so(desk: Desk) -> None:
    fill("sw1")
    said = desk.types("block", "mac", desk.mac(ON_SW1), "--yes")
    assert f"it holds {LOCKOUTS} of at most {LOCKOUTS} entries of this kind" in said.out
    assert (said.status, lockouts(desk, "sw1"), desk.offline()) == (0, LOCKOUTS, {ON_SW1})
