"""The operator's desk with another make at the access layer: the whole way to the device, and the frames of clients.

`switchguard lab run --switch sw1=juniper_junos --switch sw2=juniper_junos pytest tests/lab/test_e2e_makes.py -m lab`; a
make is one row of MAKES. Skipped in a lab of other makes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import pytest
from desk import ON_SW1, ON_SW2, Desk, Said, session_with

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Station
from switchguard.core.penalties import Quarantine
from switchguard.lab.control import Lab
from switchguard.lab.topology import LAB
from switchguard.ports import Enforces

Commit = Literal["refused", "done"]
ALSO_ON_SW1 = "c10"
"""In the same VLAN as ON_SW1."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What one make is known by."""

    port: str
    """Of ON_SW1, as `locate` tells it."""
    show: str
    """What shows everything that we may have changed."""
    diff: Literal["device", "computed"]
    faults: Mapping[str, tuple[str, Commit]]
    """A word of faults.Fault -> what is then said, and what became of the commit."""
    limited: str = ""
    """A line that a limit of ON_SW1 puts there; empty for a make that limits nobody at the access."""
    quarantines: bool = False
    """Whether the driver can put a port into another VLAN here, and the switch has VLAN 99."""
    varies: tuple[str, ...] = ()
    """How lines begin that are another each time."""


MAKES: Mapping[str, Expected] = {
    "cisco_nxos": Expected(
        port="Ethernet1/8",
        show="show running-config",
        diff="computed",
        faults={
            "refuse-commit": ("Configuration merge failed", "refused"),
            "ignore-commit": ("the device shows nothing", "refused"),
            "drop-session-before": ("commit", "refused"),
            "drop-session-after": ("commit", "done"),
        },
        limited="  service-policy type qos input SWITCHGUARD-Et1-8",
    ),
    "hp_procurve": Expected(
        port="8",
        show="show running-config",
        diff="computed",
        faults={
            "refuse-commit": ("Invalid input: lockout-mac", "refused"),
            "ignore-commit": ("the device shows nothing", "refused"),
            "drop-session-before": ("closed the connection", "refused"),
            "drop-session-after": ("closed the connection", "done"),
        },
        limited="   rate-limit all in kbps 64",
    ),
    "juniper_junos": Expected(
        port="ge-0/0/8",
        show="show configuration | display set",
        diff="device",
        faults={
            "refuse-commit": ("configuration check-out failed", "refused"),
            "ignore-commit": ("the device shows nothing", "refused"),
            "drop-session-before": ("closed the connection during 'commit'", "refused"),
            "drop-session-after": ("closed the connection during 'commit'", "done"),
            "wrong-diff": ("snmp contact somebody-else", "refused"),
        },
        limited="set interfaces ge-0/0/8 unit 0 family ethernet-switching filter input SWITCHGUARD-ge-0-0-8",
        quarantines=True,
    ),
    "mikrotik_routeros": Expected(
        port="ether8",
        show="/interface bridge filter print terse without-paging",
        diff="computed",
        faults={
            "refuse-commit": ("not enough permissions", "refused"),
            "ignore-commit": ("the device shows nothing", "refused"),
            "drop-session-before": ("closed the connection", "refused"),
        },
    ),
}
MAKE = LAB.switch("sw1").make.platform
HERE = MAKES.get(MAKE, MAKES["juniper_junos"])
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(MAKE not in MAKES, reason="the access switches of this lab are of another make"),
]


def configuration(desk: Desk) -> list[str]:
    return [line for line in desk.ask("sw1", HERE.show) if not line.startswith(("!", *HERE.varies))]


def block(desk: Desk, client: str) -> Said:
    return desk.types("block", "mac", desk.mac(client), "--yes")


def unblock(desk: Desk, client: str) -> Said:
    return desk.types("unblock", "mac", desk.mac(client), "--yes")


def test_a_client_is_found_on_its_port(desk: Desk) -> None:
    found = desk.types("locate", desk.mac(ON_SW1), "--json").object["location"]
    assert (found["device"], found["port"], found["vlan"]) == ("sw1", HERE.port, 20)


def test_a_block_cuts_one_client_and_its_release_restores_the_configuration(desk: Desk) -> None:
    before = configuration(desk)
    said = block(desk, ON_SW1)
    assert (said.status, f"sw1 (diff: {HERE.diff})" in said.out) == (0, True), said.out + said.err
    assert desk.offline() == {ON_SW1}
    assert unblock(desk, ON_SW1).status == 0
    assert (desk.offline(), configuration(desk)) == (set(), before)


def test_two_blocks_in_one_vlan_end_one_by_one(desk: Desk) -> None:
    before = configuration(desk)
    for client in (ON_SW1, ALSO_ON_SW1):
        assert block(desk, client).status == 0
    assert desk.offline() == {ON_SW1, ALSO_ON_SW1}
    assert unblock(desk, ON_SW1).status == 0
    assert desk.offline() == {ALSO_ON_SW1}
    assert unblock(desk, ALSO_ON_SW1).status == 0
    assert (desk.offline(), configuration(desk)) == (set(), before)


def test_a_block_survives_a_restart(lab: Lab, desk: Desk) -> None:
    assert block(desk, ON_SW1).status == 0
    lab.reload("sw1")
    assert desk.offline() == {ON_SW1}


@pytest.mark.parametrize("fault", HERE.faults)
def test_a_switch_that_misbehaves_is_blamed_and_the_next_pass_repairs_it(lab: Lab, desk: Desk, fault: str) -> None:
    why, commit = HERE.faults[fault]
    before = configuration(desk)
    lab.fault("sw1", fault)
    said = block(desk, ON_SW1)
    assert why in said.out
    assert (said.status, desk.offline()) == ((0, {ON_SW1}) if commit == "done" else (1, set()))
    lab.fault("sw1", "none")
    assert desk.types("apply", "--yes").status == 0
    assert (desk.offline(), set(desk.states().values())) == ({ON_SW1}, {"verified"})
    assert desk.types("release-all", "--yes").status == 0
    assert (desk.offline(), configuration(desk)) == (set(), before)


def test_one_switch_that_refuses_does_not_stop_the_other(lab: Lab, desk: Desk) -> None:
    lab.fault("sw1", "refuse-commit")
    assert (block(desk, ON_SW1).status, block(desk, ON_SW2).status) == (1, 0)
    assert desk.offline() == {ON_SW2}


@pytest.mark.skipif(not HERE.limited, reason="this make limits nobody at the access")
def test_a_limit_comes_and_goes_and_cuts_nobody(desk: Desk) -> None:
    before = configuration(desk)
    said = desk.types("limit", "mac", desk.mac(ON_SW1), "--rate", "64kbps", "--on", "sw1", "--yes")
    assert said.status == 0, said.out + said.err
    assert (HERE.limited in configuration(desk), desk.offline()) == (True, set())
    assert desk.types("release-all", "--yes").status == 0
    assert configuration(desk) == before


@pytest.mark.skipif(not HERE.quarantines, reason="this make puts nobody into quarantine")
def test_quarantine_takes_a_port_away_and_brings_it_back(desk: Desk) -> None:
    driver = cast(Enforces, plugins.driver(MAKE))
    moved = Change(Slot("sw1", Quarantine.kind, Station(port=HERE.port)), None, Quarantine(99))
    before = sorted(configuration(desk))
    with session_with("sw1") as session:
        driver.push(session, [moved])
        assert driver.enforced(session)[moved.slot] == Quarantine(99)
        assert desk.offline() == {ON_SW1}
        driver.push(session, [moved.inverse()])
    assert (desk.offline(), sorted(configuration(desk))) == (set(), before)
