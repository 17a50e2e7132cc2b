"""The operator's desk with an NX-OS switch that is reached over NX-API only: SSH to it would be refused.

`switchguard lab run --switch sw1=cisco_nxos --switch sw2=cisco_nxos pytest tests/lab/test_e2e_nxapi.py -m lab`
"""

from pathlib import Path

import pytest
from desk import ON_SW1, ON_SW2, Desk, Said

from switchguard.lab.control import Lab
from switchguard.lab.site import over_https
from switchguard.lab.topology import LAB

SWITCH, CLIENT = "sw2", ON_SW2
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(LAB.switch(SWITCH) not in over_https(LAB), reason="no switch of this lab is reached over HTTPS"),
]


@pytest.fixture(autouse=True)
def without_ssh(desk: Desk) -> None:
    """Its host key is on no file of the site."""
    address = str(LAB.switch(SWITCH).management)
    known = desk.site / "known_hosts"
    known.write_text("".join(line for line in known.read_text().splitlines(True) if not line.startswith(address)))


def certificate(desk: Desk) -> Path:
    return desk.site / "certificates" / f"{SWITCH}.pem"


def configuration(desk: Desk) -> list[str]:
    return [line for line in Desk(desk.lab, desk.lab.directory / "site").running(SWITCH) if not line.startswith("!")]


def block(desk: Desk, client: str = CLIENT) -> Said:
    return desk.types("block", "mac", desk.mac(client), "--yes")


def test_a_check_says_that_it_can_be_read_and_written(desk: Desk) -> None:
    said = desk.types("check", "--connect")
    assert said.status == 0, said.out + said.err


def test_a_client_is_found_and_its_block_cuts_it_alone(desk: Desk) -> None:
    before = configuration(desk)
    found = desk.types("locate", desk.mac(CLIENT), "--json").object["location"]
    assert (found["device"], found["port"].startswith("Ethernet1/")) == (SWITCH, True)
    said = block(desk)
    assert (said.status, f"{SWITCH} (diff: computed)" in said.out) == (0, True), said.out + said.err
    assert desk.offline() == {CLIENT}
    assert desk.types("unblock", "mac", desk.mac(CLIENT), "--yes").status == 0
    assert (desk.offline(), configuration(desk)) == (set(), before)


def test_a_block_survives_a_restart(lab: Lab, desk: Desk) -> None:
    assert block(desk).status == 0
    lab.reload(SWITCH)
    assert desk.offline() == {CLIENT}


@pytest.mark.parametrize(
    ("fault", "why", "done"),
    [
        ("refuse-commit", "Configuration merge failed", False),
        ("ignore-commit", "the device shows nothing", False),
        ("drop-session-before", "closed the connection", False),
        ("drop-session", "closed the connection", True),
        ("drop-session-after", "closed the connection", True),
    ],
)
def test_a_switch_that_misbehaves_is_blamed_and_the_next_pass_repairs_it(
    lab: Lab, desk: Desk, fault: str, why: str, done: bool
) -> None:
    before = configuration(desk)
    lab.fault(SWITCH, fault)
    said = block(desk)
    assert why in said.out
    assert (said.status, desk.offline()) == ((0, {CLIENT}) if done else (1, set()))
    lab.fault(SWITCH, "none")
    assert desk.types("apply", "--yes").status == 0
    assert (desk.offline(), set(desk.states().values())) == ({CLIENT}, {"verified"})
    assert desk.types("release-all", "--yes").status == 0
    assert (desk.offline(), configuration(desk)) == (set(), before)


def test_a_switch_with_another_certificate_is_told_nothing_and_the_others_are_served(lab: Lab, desk: Desk) -> None:
    other = next(switch for switch in lab.topology.switches if switch.name == "sw1")
    certificate(desk).write_text((lab.directory / "state" / other.name / "https.crt").read_text())
    said = desk.types("check", "--connect")
    assert (said.status, "shows a certificate that is not to be trusted" in said.out + said.err) == (1, True)
    assert block(desk, ON_SW1).status == 0
    assert desk.offline() == {ON_SW1}
