"""Counters of single clients on a Linux gateway: the script, and what nft lists. A real one counts in tests/lab."""

import json
from importlib import import_module
from ipaddress import ip_address
from typing import Any, cast

import pytest

from switchguard.core.model import ClientOctets, Device, Role
from switchguard.errors import NotConfigured, UnexpectedOutput
from switchguard.ports import Session

counters: Any = import_module("switchguard.drivers._nft_counters")
GATEWAY = Device("gw1", "linux", Role.GATEWAY, lan_interfaces=("lan10", "lan20"))


class Listed:
    """A gateway that answers every question with this."""

    device = GATEWAY

    def __init__(self, *sets: dict[str, Any]) -> None:
        self._sets = sets

    def ask(self, _command: str) -> str:
        return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *({"set": it} for it in self._sets)]})


def counted(name: str, *elements: tuple[str, int, int]) -> dict[str, Any]:
    rows = [
        {"elem": {"val": address, "expires": 86_000, "counter": {"packets": packets, "bytes": octets}}}
        for address, packets, octets in elements
    ]
    return {"family": "inet", "name": name, "table": "switchguard_counters", "type": "ipv4_addr", "elem": rows}


def read(*sets: dict[str, Any]) -> tuple[ClientOctets, ...]:
    return cast(tuple[ClientOctets, ...], counters.read(cast(Session, Listed(*sets))))


def test_both_ways_of_a_client_are_one_row() -> None:
    found = read(counted("sent4", ("10.10.0.7", 3, 300)), counted("received4", ("10.10.0.7", 9, 9000)))
    assert found == (ClientOctets("gw1", ip_address("10.10.0.7"), 9000, 300, 9, 3),)


def test_a_client_that_only_received_has_sent_nothing() -> None:
    found = read(counted("sent6"), counted("received6", ("fd00::7", 1, 1280)))
    assert found == (ClientOctets("gw1", ip_address("fd00::7"), 1280, 0, 1, 0),)


def test_a_set_without_anybody_has_no_elements_at_all() -> None:
    assert read({"family": "inet", "name": "sent4", "table": "switchguard_counters"}) == ()


def test_sets_of_other_names_are_not_ours() -> None:
    assert read(counted("sent", ("10.10.0.7", 3, 300))) == ()


def test_an_element_without_a_counter_is_no_guess() -> None:
    with pytest.raises(UnexpectedOutput, match="an element that counts nobody"):
        read({"name": "sent4", "elem": ["10.10.0.7"]})


def test_only_what_crosses_the_gateway_counts() -> None:
    lines = counters.script("gw1", GATEWAY.lan_interfaces)
    assert [line for line in lines if "saddr" in line and "sent4" in line] == [
        'add rule inet switchguard_counters count iifname { "lan10", "lan20" } oifname != { "lan10", "lan20" } '
        "update @sent4 { ip saddr counter }"
    ]


@pytest.mark.parametrize("names", [(), ('lan0"; flush ruleset #',), ("averyveryverylongname",)])
def test_what_is_no_name_of_an_interface_never_reaches_a_script(names: tuple[str, ...]) -> None:
    with pytest.raises(NotConfigured, match="counters need `lan_interfaces`"):
        counters.script("gw1", names)
