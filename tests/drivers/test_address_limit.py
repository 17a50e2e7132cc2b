"""Limits by address on IOS: where they are put, in what order lines are typed, and what is left of them afterwards."""

from importlib import import_module
from ipaddress import ip_address
from typing import cast

import pytest
from configured_switch import ConfiguredSwitch
from model_cisco_ios import BEHIND_A_ROUTER, LIMIT, NEAR, NEXT_TO_IT, OF_IPV6, Model

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Role, Station
from switchguard.core.penalties import RateLimit
from switchguard.errors import CommandRefused, DeviceError
from switchguard.ports import Enforces

DRIVER = cast(Enforces, plugins.driver("cisco_ios"))
POLICED = "police cir 64000 bc 12000 conform-action transmit exceed-action drop"
UP, DOWN = "SG-10.10.0.7-UP", "SG-10.10.0.7-DOWN"


@pytest.fixture
def router() -> ConfiguredSwitch:
    return Model()


def typed(router: ConfiguredSwitch) -> list[str]:
    """The lines of the last commit."""
    return [line.strip() for line in router.typed[-1] if line.strip() not in ("exit", "end")]


def attached(router: ConfiguredSwitch) -> list[str]:
    """Interface and line of every policy that is attached."""
    return [
        f"{node.text}: {line.text}"
        for node in router.running.values()
        for line in node.children.values()
        if line.text.startswith("service-policy")
    ]


# --- lines -----------------------------------------------------------------------------------------------------------


def test_everything_is_defined_before_it_is_used_and_attached_at_last(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    assert typed(router) == [
        f"ip access-list extended {UP}",
        "permit ip host 10.10.0.7 any",
        f"class-map match-any {UP}",
        f"match access-group name {UP}",
        "policy-map SWITCHGUARD-UP-Vl10",
        f"class {UP}",
        POLICED,
        f"ip access-list extended {DOWN}",
        "permit ip any host 10.10.0.7",
        f"class-map match-any {DOWN}",
        f"match access-group name {DOWN}",
        "policy-map SWITCHGUARD-DOWN-Vl10",
        f"class {DOWN}",
        POLICED,
        "interface Vlan10",
        "service-policy input SWITCHGUARD-UP-Vl10",
        "interface Vlan10",
        "service-policy output SWITCHGUARD-DOWN-Vl10",
    ]


def test_the_next_client_is_a_class_of_the_same_policies(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    before = attached(router)
    DRIVER.push(router, [NEXT_TO_IT])
    assert attached(router) == before
    assert "\n class SG-10.10.0.7-UP\n" in router.text()
    assert "\n class SG-10.10.0.8-UP\n" in router.text()


def test_one_of_two_is_let_go_and_the_other_stays(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEXT_TO_IT])
    alone = router.text()
    DRIVER.push(router, [NEAR])
    DRIVER.push(router, [NEAR.inverse()])
    assert router.text() == alone
    assert typed(router) == [
        "policy-map SWITCHGUARD-DOWN-Vl10",
        f"no class {DOWN}",
        "policy-map SWITCHGUARD-UP-Vl10",
        f"no class {UP}",
        f"no class-map match-any {UP}",
        f"no class-map match-any {DOWN}",
        f"no ip access-list extended {UP}",
        f"no ip access-list extended {DOWN}",
    ]


def test_the_last_one_leaves_nothing_behind(router: ConfiguredSwitch) -> None:
    before = router.text()
    DRIVER.push(router, [NEAR, OF_IPV6, BEHIND_A_ROUTER])
    DRIVER.push(router, [BEHIND_A_ROUTER.inverse()])
    DRIVER.push(router, [OF_IPV6.inverse(), NEAR.inverse()])
    assert router.text() == before
    assert typed(router)[:3] == [
        "interface Vlan10",
        "no service-policy output SWITCHGUARD-DOWN-Vl10",
        "no policy-map SWITCHGUARD-DOWN-Vl10",
    ]


def test_one_goes_and_another_comes_in_one_commit(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    policies = attached(router)
    DRIVER.push(router, [NEAR.inverse(), NEXT_TO_IT])
    assert attached(router) == policies
    assert DRIVER.enforced(router) == {NEXT_TO_IT.slot: RateLimit(1_000_000)}
    assert "10.10.0.7-" not in router.text()


def test_another_rate_replaces_the_policers_and_nothing_else(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    faster = Change(NEAR.slot, RateLimit(64_000), RateLimit(128_000))
    assert DRIVER.preview(router, [faster]).text.splitlines() == [
        " policy-map SWITCHGUARD-UP-Vl10",
        f"  class {UP}",
        f"-  {POLICED}",
        "+  police cir 128000 bc 24000 conform-action transmit exceed-action drop",
        " policy-map SWITCHGUARD-DOWN-Vl10",
        f"  class {DOWN}",
        f"-  {POLICED}",
        "+  police cir 128000 bc 24000 conform-action transmit exceed-action drop",
    ]
    DRIVER.push(router, [faster])
    assert DRIVER.enforced(router) == {NEAR.slot: RateLimit(128_000)}


def test_the_preview_of_a_release_says_that_the_policy_stays_for_the_others(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR, NEXT_TO_IT])
    shown = DRIVER.preview(router, [NEAR.inverse()]).text.splitlines()
    assert " policy-map SWITCHGUARD-UP-Vl10" in shown
    assert f"- class {UP}" in shown


@pytest.mark.parametrize("change", [NEAR, NEXT_TO_IT, OF_IPV6, BEHIND_A_ROUTER])
def test_no_name_is_longer_than_ios_takes(router: ConfiguredSwitch, change: Change) -> None:
    DRIVER.push(router, [change])
    names = [line.split()[-1] for line in typed(router) if line.startswith(("class-map", "policy-map"))]
    assert max(map(len, names)) <= 40


# --- where -----------------------------------------------------------------------------------------------------------


def test_a_client_is_limited_on_the_network_that_it_is_on(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    assert attached(router) == [
        "interface Vlan10: service-policy input SWITCHGUARD-UP-Vl10",
        "interface Vlan10: service-policy output SWITCHGUARD-DOWN-Vl10",
    ]


def test_a_client_behind_another_router_is_limited_on_every_inside_interface_and_no_other(
    router: ConfiguredSwitch,
) -> None:
    DRIVER.push(router, [BEHIND_A_ROUTER])
    assert {line.partition(":")[0] for line in attached(router)} == {"interface Vlan10", "interface Vlan20"}


def test_a_limit_that_is_not_on_every_interface_any_more_is_completed(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [BEHIND_A_ROUTER])
    router.type_in("interface Vlan30\n ip address 10.30.0.1 255.255.0.0\n ip nat inside")
    assert DRIVER.enforced(router) == {BEHIND_A_ROUTER.slot: RateLimit(0)}
    DRIVER.push(router, [BEHIND_A_ROUTER])
    assert "interface Vlan30: service-policy output SWITCHGUARD-DOWN-Vl30" in attached(router)
    assert DRIVER.enforced(router) == {BEHIND_A_ROUTER.slot: RateLimit(64_000)}


def test_a_limit_moves_when_its_client_s_network_does(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    router.type_in("interface Vlan10\n ip address 10.40.0.1 255.255.0.0")
    router.type_in("interface Vlan20\n ip address 10.10.0.1 255.255.0.0")
    DRIVER.push(router, [NEAR])
    assert {line.partition(":")[0] for line in attached(router)} == {"interface Vlan20"}
    assert DRIVER.enforced(router) == {NEAR.slot: RateLimit(64_000)}


def test_a_router_without_an_inside_refuses(router: ConfiguredSwitch) -> None:
    router.type_in("interface Vlan10\n no ip nat inside\ninterface Vlan20\n no ip nat inside")
    with pytest.raises(DeviceError, match="none of its interfaces is said to face the clients"):
        DRIVER.push(router, [NEAR])


def test_a_switch_is_not_asked_for_limits_by_address(router: ConfiguredSwitch) -> None:
    """The second question costs a running configuration."""
    router.role = Role.ACCESS
    router.answers = {"show running-config": lambda it: it.text()}
    assert DRIVER.enforced(router) == {}
    with pytest.raises(DeviceError, match="none of its interfaces"):
        DRIVER.push(router, [NEAR])


def test_an_address_on_two_networks_is_nobody_s(router: ConfiguredSwitch) -> None:
    router.type_in("interface Vlan20\n ip address 10.10.0.1 255.255.255.0")
    with pytest.raises(DeviceError, match="on the networks of Vlan10 and Vlan20, and nobody can say who is meant"):
        DRIVER.push(router, [NEAR])
    assert router.commits == 0


@pytest.mark.parametrize("vrf", ["vrf forwarding GUESTS", "ip vrf forwarding GUESTS"])
def test_an_address_that_may_be_in_two_vrfs_is_nobody_s(router: ConfiguredSwitch, vrf: str) -> None:
    shown = router.answers["show running-config"]
    router.answers = {
        **router.answers,
        "show running-config": lambda it: shown(it).replace("interface Vlan20\n", f"interface Vlan20\n {vrf}\n"),
    }
    why = r"10\.77\.0\.7 may be behind routers of GUESTS and the global table, and nobody can say who is meant"
    with pytest.raises(DeviceError, match=why):
        DRIVER.push(router, [BEHIND_A_ROUTER])
    DRIVER.push(router, [NEAR])
    assert DRIVER.enforced(router) == {NEAR.slot: RateLimit(64_000)}


def test_a_question_is_no_longer_than_ios_reads() -> None:
    ios = import_module("switchguard.drivers.cisco_ios")
    assert max(map(len, (ios.SHOW_CONFIG, ios.SHOW_ROUTER_CONFIG))) <= 254


# --- other people's lines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "side"), [("service-policy input VOICE", "input"), ("service-policy output VOICE", "output")]
)
def test_a_foreign_policy_on_the_inside_interface_is_not_replaced(
    router: ConfiguredSwitch, line: str, side: str
) -> None:
    router.type_in(f"policy-map VOICE\ninterface Vlan10\n {line}")
    before = router.text()
    for attempt in (DRIVER.push, DRIVER.preview):
        with pytest.raises(DeviceError, match=f"Vlan10 has the {line} of somebody else .* takes only one {side}"):
            attempt(router, [NEAR])
    DRIVER.push(router, [NEAR.inverse()])
    assert router.text() == before


def test_a_foreign_policy_elsewhere_is_no_obstacle(router: ConfiguredSwitch) -> None:
    router.type_in("policy-map VOICE\ninterface Vlan20\n service-policy input VOICE")
    DRIVER.push(router, [NEAR])
    with pytest.raises(DeviceError, match="Vlan20 has the service-policy input VOICE"):
        DRIVER.push(router, [BEHIND_A_ROUTER])


def test_a_limit_on_the_whole_port_is_in_the_way_of_single_clients_and_the_other_way_round(
    router: ConfiguredSwitch,
) -> None:
    whole = Change(Slot("sw1", "limit", Station(port="Vl10")), None, RateLimit(64_000))
    DRIVER.push(router, [whole])
    with pytest.raises(DeviceError, match="for the whole port"):
        DRIVER.push(router, [NEAR])
    DRIVER.push(router, [whole.inverse()])
    DRIVER.push(router, [NEAR, LIMIT])
    with pytest.raises(DeviceError, match="SWITCHGUARD-UP-Vl10 for single clients"):
        DRIVER.push(router, [whole])


def test_a_stranger_s_class_in_our_policy_keeps_it(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    router.type_in("class-map match-any VOICE\npolicy-map SWITCHGUARD-UP-Vl10\n class VOICE")
    DRIVER.push(router, [NEAR.inverse()])
    assert attached(router) == ["interface Vlan10: service-policy input SWITCHGUARD-UP-Vl10"]
    assert " class VOICE" in router.text()
    assert DRIVER.enforced(router) == {}


def test_a_stranger_s_line_in_our_list_is_not_made_part_of_a_limit(router: ConfiguredSwitch) -> None:
    router.type_in(f"ip access-list extended {UP}\n permit ip host 10.10.0.99 any")
    with pytest.raises(DeviceError, match=r"has a line of somebody else: permit ip host 10\.10\.0\.99 any"):
        DRIVER.push(router, [NEAR])


def test_a_list_like_ours_under_another_name_is_not_ours(router: ConfiguredSwitch) -> None:
    """The model has one called OFFICE with the same lines."""
    DRIVER.push(router, [NEAR])
    DRIVER.push(router, [NEAR.inverse()])
    assert (
        "ip access-list extended OFFICE\n permit ip host 10.10.0.7 any\n permit ip any host 10.10.0.7" in router.text()
    )


# --- what half a limit is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        f"policy-map SWITCHGUARD-UP-Vl10\n class {UP}\n  no police",
        f"policy-map SWITCHGUARD-DOWN-Vl10\n no class {DOWN}",
        "interface Vlan10\n no service-policy output SWITCHGUARD-DOWN-Vl10",
        f"ip access-list extended {DOWN}\n no permit ip any host 10.10.0.7",
        f"class-map match-any {UP}\n no match access-group name {UP}",
        f"policy-map SWITCHGUARD-DOWN-Vl10\n class {DOWN}\n  police cir 128000",
    ],
)
def test_a_limit_that_lost_a_part_is_no_limit_and_is_repaired(router: ConfiguredSwitch, broken: str) -> None:
    DRIVER.push(router, [NEAR])
    whole = router.text()
    router.type_in(broken)
    assert DRIVER.enforced(router) == {NEAR.slot: RateLimit(0)}
    DRIVER.push(router, [NEAR])
    assert router.text() == whole


@pytest.mark.parametrize("upto", range(1, 30))
def test_whatever_a_lost_session_left_is_found_and_taken_away(router: ConfiguredSwitch, upto: int) -> None:
    before = router.text()
    router.type_in("\n".join(DRIVER_LINES[:upto]))
    for slot in DRIVER.enforced(router):
        DRIVER.push(router, [Change(slot, RateLimit(0), None)])
    assert (DRIVER.enforced(router), router.text()) == ({}, before)


def test_numbers_of_entries_make_no_difference(router: ConfiguredSwitch) -> None:
    """Newer releases show them."""
    DRIVER.push(router, [NEAR, OF_IPV6])
    shown = router.answers["show running-config"]

    def numbered(it: ConfiguredSwitch) -> str:
        of_ipv4 = shown(it).replace(" permit ip host 10.10.0.7 any", " 10 permit ip host 10.10.0.7 any")
        return of_ipv4.replace(" permit ipv6 any", " sequence 10 permit ipv6 any")

    router.answers = {**router.answers, "show running-config": numbered}
    assert DRIVER.enforced(router) == {NEAR.slot: RateLimit(64_000), OF_IPV6.slot: RateLimit(64_000)}


def test_a_policer_on_several_lines_is_not_typed_again(router: ConfiguredSwitch) -> None:
    """A router would announce no change, and the whole commit be refused."""
    DRIVER.push(router, [NEAR])
    whole, shown = router.text(), router.answers["show running-config"]
    apart = POLICED.replace(" conform", "\n   conform").replace(" exceed", "\n   exceed")
    router.answers = {**router.answers, "show running-config": lambda it: shown(it).replace(POLICED, apart)}
    router.type_in("interface Vlan10\n no service-policy output SWITCHGUARD-DOWN-Vl10")
    DRIVER.push(router, [NEAR])
    assert (DRIVER.enforced(router), router.text()) == ({NEAR.slot: RateLimit(64_000)}, whole)


def test_an_address_that_looks_like_a_mac_in_part_can_be_limited(router: ConfiguredSwitch) -> None:
    odd = Change(Slot("sw1", "limit", address=ip_address("2001:db8:aa:bb:cc:dd:ee:ff")), None, RateLimit(64_000))
    DRIVER.push(router, [odd])
    assert DRIVER.enforced(router) == {odd.slot: RateLimit(64_000)}
    DRIVER.push(router, [odd.inverse()])
    assert DRIVER.enforced(router) == {}


def test_a_policer_below_the_least_is_refused(router: ConfiguredSwitch) -> None:
    slow = Change(Slot("sw1", "limit", address=ip_address("10.10.0.7")), None, RateLimit(7_999))
    for attempt in (lambda: DRIVER.push(router, [slow]), lambda: DRIVER.render([slow])):
        with pytest.raises(DeviceError, match="only to 8000 or more"):
            attempt()


def test_a_class_map_that_somebody_else_uses_stays(router: ConfiguredSwitch) -> None:
    DRIVER.push(router, [NEAR])
    router.type_in(f"policy-map THEIRS\n class {UP}")
    with pytest.raises(CommandRefused, match="being used by policy-map THEIRS"):
        DRIVER.push(router, [NEAR.inverse()])


def _lines() -> list[str]:
    router = Model()
    DRIVER.push(router, [NEAR])
    return [line for line in router.typed[-1] if line.strip() != "end"]


DRIVER_LINES = _lines()
