"""Forgetting the translations of a client on IOS, where there is no command for a whole host."""

from importlib import import_module
from ipaddress import ip_address, ip_network

import pytest
from replay import Replay

from switchguard import plugins
from switchguard.core.model import Device, Role
from switchguard.errors import CommandRefused
from switchguard.ports import ClearsSessions

clearing = import_module("switchguard.drivers._cisco_clear")

SHOW = ("ask", "show ip nat translations")
TABLE = """\
Pro Inside global      Inside local       Outside local      Outside global
tcp 203.0.113.5:51413  10.10.0.7:51413    198.51.100.1:6881  198.51.100.1:6881
udp 203.0.113.5:1024   10.10.0.7:1024     ---                ---
icmp 203.0.113.5:9     10.10.0.7:9        198.51.100.2:9     198.51.100.2:9
--- 203.0.113.6        10.10.0.7          ---                ---
tcp 203.0.113.5:50000  10.10.0.8:50000    198.51.100.3:443   198.51.100.3:443
Total number of translations: 5
"""
WITH_REMOTE = (
    "clear ip nat translation tcp inside 203.0.113.5 51413 10.10.0.7 51413 outside 198.51.100.1 6881 198.51.100.1 6881"
)
WITHOUT = "clear ip nat translation udp inside 203.0.113.5 1024 10.10.0.7 1024"


def router(*answered: str, **refused: str) -> Replay:
    answers = {SHOW: TABLE} | {("ask", command): "" for command in answered}
    return Replay(Device("gw1", "cisco_xe", Role.GATEWAY), frozenset({"cli"}), answers, refused)


@pytest.mark.parametrize("platform", ["cisco_ios", "cisco_xe"])
def test_each_translation_of_the_client_goes_and_nobody_elses(platform: str) -> None:
    driver, session = plugins.driver(platform), router(WITH_REMOTE, WITHOUT)
    assert isinstance(driver, ClearsSessions)
    assert driver.clear_sessions(session, [ip_address("10.10.0.7")]) == 2
    assert [command for _, command in session.asked] == [SHOW[1], WITH_REMOTE, WITHOUT]


def test_a_subnet_means_everybody_in_it() -> None:
    session = router(WITH_REMOTE, WITHOUT)
    assert clearing.clear(session, [ip_network("10.10.0.0/29")]) == 2


def test_a_translation_that_ended_by_itself_is_no_error() -> None:
    session = router(WITHOUT, **{WITH_REMOTE: "% Translation not found"})
    assert clearing.clear(session, [ip_address("10.10.0.7")]) == 1


def test_a_router_that_refuses_every_line_is_an_error() -> None:
    session = router(**{WITH_REMOTE: "% Invalid input", WITHOUT: "% Invalid input"})
    with pytest.raises(CommandRefused):
        clearing.clear(session, [ip_address("10.10.0.7")])


def test_a_client_without_translations_needs_no_line() -> None:
    assert clearing.clear(router(), [ip_address("10.10.0.9")]) == 0
