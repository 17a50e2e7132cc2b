"""Junos: a cap for everyone as the screen of the clients' zones, and of nobody else's."""

from ipaddress import ip_address
from typing import cast

import pytest
from model_juniper_junos import CAP, JunosSwitch, Model

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.penalties import SessionCap
from switchguard.errors import DeviceError
from switchguard.ports import Enforces

JUNOS = cast(Enforces, plugins.driver("juniper_junos"))
ZONE = "security zones security-zone"


@pytest.fixture
def firewall() -> JunosSwitch:
    return Model()


def of_security(firewall: JunosSwitch) -> list[str]:
    return [line for line in firewall.text().splitlines() if "SWITCHGUARD" in line]


def test_the_screen_is_of_the_zones_that_the_clients_are_in(firewall: JunosSwitch) -> None:
    diff = JUNOS.push(firewall, [CAP])
    assert diff.source == "device"
    assert of_security(firewall) == [
        "set security screen ids-option SWITCHGUARD limit-session source-ip-based 500",
        f"set {ZONE} trust screen SWITCHGUARD",
        f"set {ZONE} guests screen SWITCHGUARD",
    ]


def test_a_release_leaves_what_was_there_before(firewall: JunosSwitch) -> None:
    start = firewall.text()
    JUNOS.push(firewall, [CAP])
    JUNOS.push(firewall, [CAP.inverse()])
    assert firewall.typed[-1] == (
        "delete security screen ids-option SWITCHGUARD",
        f"delete {ZONE} trust screen",
        f"delete {ZONE} guests screen",
    )
    assert firewall.text() == start


def test_another_number_takes_the_place_of_the_first(firewall: JunosSwitch) -> None:
    JUNOS.push(firewall, [CAP])
    JUNOS.push(firewall, [Change(CAP.slot, SessionCap(500), SessionCap(1000))])
    assert firewall.typed[-1] == ("set security screen ids-option SWITCHGUARD limit-session source-ip-based 1000",)
    assert JUNOS.enforced(firewall) == {CAP.slot: SessionCap(1000)}


@pytest.mark.parametrize(
    ("lan", "typed", "why"),
    [
        ((), "", "a cap for everyone needs `lan_interfaces`"),
        (("ge-0/0/9",), "", "no security zone has the interface ge-0/0/9"),
        (
            ("irb.10",),
            f"set {ZONE} trust interfaces ge-0/0/4.0",
            "zone trust also has ge-0/0/4, which is not among the site's lan_interfaces",
        ),
        (
            ("irb.10",),
            f"set {ZONE} trust interfaces all",
            "zone trust also has all, which is not among the site's lan_interfaces",
        ),
        (
            ("irb.10", "ge-0/0/3.0"),
            f"set {ZONE} guests screen SOMEBODY",
            "zone guests has the screen SOMEBODY of somebody else, and takes only one",
        ),
    ],
    ids=["unnamed", "in no zone", "a zone with more", "a zone of all", "somebody else's screen"],
)
def test_a_zone_that_is_not_the_clients_alone_gets_no_screen(
    firewall: JunosSwitch, lan: tuple[str, ...], typed: str, why: str
) -> None:
    firewall.lan = lan
    firewall.type_in(typed)
    start = firewall.text()
    with pytest.raises(DeviceError, match=why):
        JUNOS.preview(firewall, [CAP])
    with pytest.raises(DeviceError, match=why):
        JUNOS.push(firewall, [CAP])
    assert firewall.text() == start


def test_somebody_elses_screen_of_another_zone_is_of_no_concern(firewall: JunosSwitch) -> None:
    JUNOS.push(firewall, [CAP])
    assert f"set {ZONE} untrust screen SOMEBODY" in firewall.text()


def test_it_can_be_taken_back_when_the_site_no_longer_says_where_the_clients_are(firewall: JunosSwitch) -> None:
    start = firewall.text()
    JUNOS.push(firewall, [CAP])
    firewall.lan = ()
    assert JUNOS.enforced(firewall) == {CAP.slot: SessionCap(500)}
    JUNOS.push(firewall, [CAP.inverse()])
    assert firewall.text() == start


@pytest.mark.parametrize(
    "typed",
    [
        f"delete {ZONE} guests screen",
        "set security screen ids-option SWITCHGUARD alarm-without-drop",
        f"set {ZONE} untrust screen SWITCHGUARD",
        "delete security screen ids-option SWITCHGUARD limit-session",
    ],
    ids=["a zone lacks it", "it only alarms", "a zone too many", "empty, beside somebody else's"],
)
def test_what_is_not_as_we_wrote_it_is_mended_and_can_be_taken_back(firewall: JunosSwitch, typed: str) -> None:
    JUNOS.push(firewall, [CAP])
    whole = sorted(of_security(firewall))
    firewall.type_in(typed)
    assert JUNOS.enforced(firewall) == {CAP.slot: SessionCap(0)}
    JUNOS.push(firewall, [CAP])
    assert sorted(of_security(firewall)) == whole
    firewall.type_in(typed)
    JUNOS.push(firewall, [CAP.inverse()])
    assert of_security(firewall) == []


def test_a_screen_that_no_zone_has_stops_nobody(firewall: JunosSwitch) -> None:
    firewall.type_in("set security screen ids-option SWITCHGUARD limit-session source-ip-based 500")
    assert JUNOS.enforced(firewall) == {}
    JUNOS.push(firewall, [CAP])
    assert JUNOS.enforced(firewall) == {CAP.slot: SessionCap(500)}


@pytest.mark.parametrize("sessions", [0, 8_000_001])
def test_a_number_that_the_reference_does_not_have_cannot_be_expressed(sessions: int) -> None:
    with pytest.raises(DeviceError, match="Junos cannot express"):
        JUNOS.render([Change(CAP.slot, None, SessionCap(sessions))])


def test_one_address_cannot_be_capped() -> None:
    client = Slot("sw1", "cap", address=ip_address("10.10.0.7"))
    with pytest.raises(DeviceError, match="Junos cannot express"):
        JUNOS.render([Change(client, None, SessionCap(500))])
    assert JUNOS.facts.penalties["cap"] == ("everyone",)
