"""FortiOS: whose group it is, one shaper for two penalties, whose sessions are cleared, and what `show` says."""

from collections.abc import Callable, Sequence
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from model_fortinet import BLOCK, BY_ADDRESS, BY_IPV6, CAP, LIMIT, MAC, START, SUBNET, Firewall

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, RateLimit, SessionCap
from switchguard.errors import DeviceError, UnexpectedOutput

DRIVER: Any = plugins.driver("fortinet")
config = import_module("switchguard.drivers._fortios_config")
OURS, SHAPED = f"switchguard-{MAC}", "switchguard-10.10.0.7"
GROUP, GROUP6, ADDRESS = "firewall addrgrp", "firewall addrgrp6", "firewall address"
SHAPER, SHAPING = "firewall shaper per-ip-shaper", "firewall shaping-policy"


# --- the group -------------------------------------------------------------------------------------------------------


def test_a_block_makes_a_member_of_the_group() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [BLOCK])
    assert firewall.tables[GROUP]["switchguard"]["member"] == f'"none" "{OURS}"'
    assert firewall.tables[ADDRESS][OURS] == {"type": "mac", "macaddr": f'"{MAC}"'}


def test_a_release_leaves_nothing_behind() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [BLOCK, LIMIT, CAP])
    DRIVER.push(firewall, [it.inverse() for it in (BLOCK, LIMIT, CAP)])
    assert firewall.tables == START


def without_group(firewall: Firewall) -> None:
    firewall.tables[GROUP].clear()
    del firewall.tables["firewall policy"]["9"]


def without_policy(firewall: Firewall) -> None:
    del firewall.tables["firewall policy"]["9"]


def with_policy_disabled(firewall: Firewall) -> None:
    firewall.tables["firewall policy"]["9"]["status"] = "disable"


def with_policy_that_accepts(firewall: Firewall) -> None:
    firewall.tables["firewall policy"]["9"]["action"] = "accept"


def without_another_member(firewall: Firewall) -> None:
    firewall.tables[GROUP]["switchguard"].clear()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (without_group, "it has no `firewall addrgrp` called 'switchguard'"),
        (without_policy, "no policy denies"),
        (with_policy_disabled, "no policy denies"),
        (with_policy_that_accepts, "no policy denies"),
        (without_another_member, "keeps no empty group"),
    ],
)
@pytest.mark.parametrize("change", [BLOCK, BY_ADDRESS, SUBNET], ids=["mac", "address", "subnet"])
def test_a_block_that_would_not_be_in_force_is_refused(
    spoil: Callable[[Firewall], None], why: str, change: Change
) -> None:
    firewall = Firewall()
    spoil(firewall)
    with pytest.raises(DeviceError, match=why):
        DRIVER.push(firewall, [change])
    assert firewall.typed == []


def without_group_of_ipv6(firewall: Firewall) -> None:
    firewall.tables[GROUP6].clear()


def without_its_policy(firewall: Firewall) -> None:
    del firewall.tables["firewall policy"]["9"]["srcaddr6"]


@pytest.mark.parametrize(
    ("spoil", "why"), [(without_group_of_ipv6, "it has no `firewall addrgrp6`"), (without_its_policy, "its srcaddr6")]
)
def test_addresses_of_ipv6_need_a_group_and_a_source_of_their_own(spoil: Callable[[Firewall], None], why: str) -> None:
    firewall = Firewall()
    spoil(firewall)
    DRIVER.push(firewall, [BY_ADDRESS])
    with pytest.raises(DeviceError, match=why):
        DRIVER.push(firewall, [BY_IPV6])
    assert DRIVER.enforced(firewall) == {BY_ADDRESS.slot: BY_ADDRESS.after}


def test_an_address_may_be_blocked_and_shaped_and_either_ends_by_itself() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [BY_ADDRESS, LIMIT])
    DRIVER.push(firewall, [LIMIT.inverse()])
    assert DRIVER.enforced(firewall) == {BY_ADDRESS.slot: BY_ADDRESS.after}
    DRIVER.push(firewall, [LIMIT, BY_ADDRESS.inverse()])
    assert DRIVER.enforced(firewall) == {LIMIT.slot: LIMIT.after}


@pytest.mark.parametrize("change", [BY_ADDRESS, SUBNET, BY_IPV6], ids=["address", "subnet", "IPv6"])
def test_a_blocked_address_leaves_nothing_behind(change: Change) -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [change])
    assert firewall.tables != START
    DRIVER.push(firewall, [change.inverse()])
    assert firewall.tables == START


def test_a_member_whose_subnet_was_changed_is_no_block_but_can_be_released() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [BY_ADDRESS])
    firewall.tables[ADDRESS]["switchguard-block-10.10.0.7"]["subnet"] = "10.10.0.0 255.255.255.0"
    assert DRIVER.enforced(firewall)[BY_ADDRESS.slot] != BY_ADDRESS.after
    DRIVER.push(firewall, [BY_ADDRESS.inverse()])
    assert firewall.tables == START


def test_a_block_behind_a_policy_that_was_taken_away_is_not_in_force_but_can_be_released() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [BLOCK])
    without_policy(firewall)
    assert DRIVER.enforced(firewall)[BLOCK.slot] != BLOCK.after
    DRIVER.push(firewall, [BLOCK.inverse()])
    assert (OURS in firewall.tables[ADDRESS], DRIVER.enforced(firewall)) == (False, {})


def test_a_member_whose_address_was_changed_is_no_block() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [BLOCK])
    firewall.tables[ADDRESS][OURS]["macaddr"] = '"02:00:00:00:00:99"'
    assert DRIVER.enforced(firewall)[BLOCK.slot] != BLOCK.after


class Busy(Firewall):
    """Somebody adds a member of his own after we have looked, and before we type."""

    def configure(self, lines: Sequence[str]) -> str:
        self.tables[ADDRESS]["the hall, 2nd floor"] = {}
        stood = self.tables[GROUP]["switchguard"]["member"]
        self.tables[GROUP]["switchguard"]["member"] = f'{stood} "the hall, 2nd floor"'
        return super().configure(lines)


def test_members_that_somebody_adds_meanwhile_stay() -> None:
    firewall = Busy()
    DRIVER.push(firewall, [BLOCK])
    assert firewall.tables[GROUP]["switchguard"]["member"] == f'"none" "the hall, 2nd floor" "{OURS}"'
    DRIVER.push(firewall, [BLOCK.inverse()])
    assert OURS not in firewall.tables[GROUP]["switchguard"]["member"]
    assert '"the hall, 2nd floor"' in firewall.tables[GROUP]["switchguard"]["member"]


def test_a_name_that_could_end_a_word_is_never_typed() -> None:
    firewall = Firewall()
    firewall.tables[GROUP]["switchguard"]["member"] = r'"none" "a\" \"b"'
    with pytest.raises(DeviceError, match="is no name for FortiOS"):
        DRIVER.push(firewall, [BLOCK])
    assert firewall.typed == []


@pytest.mark.parametrize("mac", ["01:00:5e:00:00:01", "00:00:00:00:00:00"])
def test_only_a_station_is_blocked(mac: str) -> None:
    with pytest.raises(DeviceError, match="cannot express"):
        DRIVER.render([Change(Slot("gw1", "block", Station(mac=Mac.parse(mac))), None, Block())])


# --- shapers ---------------------------------------------------------------------------------------------------------


def test_a_limit_and_a_cap_of_one_client_share_a_shaper_and_a_policy() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [LIMIT])
    DRIVER.push(firewall, [CAP])
    assert firewall.tables[SHAPER][SHAPED] == {"max-bandwidth": "64", "max-concurrent-session": "200"}
    assert list(firewall.tables[SHAPING]) == ["4", "3"]


def test_a_cap_outlives_the_limit_of_the_same_client() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [LIMIT, CAP])
    DRIVER.push(firewall, [LIMIT.inverse()])
    assert firewall.tables[SHAPER][SHAPED] == {"max-concurrent-session": "200"}
    assert DRIVER.enforced(firewall) == {CAP.slot: CAP.after}


def test_a_shaper_without_its_policy_shapes_nobody() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [LIMIT])
    del firewall.tables[SHAPING]["4"]
    assert DRIVER.enforced(firewall)[LIMIT.slot] != LIMIT.after
    DRIVER.push(firewall, [LIMIT])
    assert DRIVER.enforced(firewall) == {LIMIT.slot: LIMIT.after}


def test_a_policy_behind_somebody_elses_shapes_nobody_and_is_put_first_again() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [LIMIT])
    firewall.configure([f"config {SHAPING}", "    move 3 before 4", "end"])
    assert DRIVER.enforced(firewall) == {LIMIT.slot: RateLimit(0)}
    DRIVER.push(firewall, [LIMIT])
    assert list(firewall.tables[SHAPING]) == ["4", "3"]
    assert DRIVER.enforced(firewall) == {LIMIT.slot: LIMIT.after}


def test_only_the_shaper_is_typed_for_another_rate() -> None:
    firewall = Firewall()
    DRIVER.push(firewall, [LIMIT])
    diff = DRIVER.preview(firewall, [Change(LIMIT.slot, LIMIT.after, RateLimit(128_000))]).text
    changed = [line for line in diff.splitlines() if "set " in line]
    assert changed == ["-        set max-bandwidth 64", "+        set max-bandwidth 128"]


@pytest.mark.parametrize("penalty", [RateLimit(999), RateLimit(10**12), RateLimit(64_000, within=1), SessionCap(0)])
def test_what_a_shaper_cannot_express_is_refused(penalty: RateLimit | SessionCap) -> None:
    with pytest.raises(DeviceError, match="cannot express"):
        DRIVER.render([Change(Slot("gw1", penalty.kind, address=ip_address("10.10.0.7")), None, penalty)])


# --- sessions --------------------------------------------------------------------------------------------------------


def session(source: str) -> str:
    return (
        "session info: proto=17 proto_state=01 duration=3 expire=170 timeout=0 flags=00000000 use=3\n"
        f"hook=post dir=org act=snat {source}:6881->198.18.0.5:51413(203.0.113.5:6881)\n"
        f"hook=pre dir=reply act=dnat 198.18.0.5:51413->203.0.113.5:6881({source}:6881)\n"
    )


def test_sessions_are_cleared_behind_a_filter_that_is_taken_away_again() -> None:
    firewall = Firewall(sessions=session("10.10.0.7") * 2 + "total session 2\n")
    assert DRIVER.clear_sessions(firewall, [ip_address("10.10.0.7"), ip_address("2001:db8::7")]) == 2
    assert firewall.asked == [
        "diagnose sys session filter clear",
        "diagnose sys session filter src 10.10.0.7",
        "diagnose sys session list",
        "diagnose sys session clear",
        "diagnose sys session filter clear",
    ]


@pytest.mark.parametrize("whose", [ip_address("10.10.0.7"), ip_network("10.10.0.0/28")])
def test_nothing_is_cleared_while_the_filter_shows_somebody_else(whose: object) -> None:
    firewall = Firewall(sessions=session("10.10.0.7") + session("10.10.0.70") + "total session 2\n")
    with pytest.raises(UnexpectedOutput, match=r"somebody else's.*10\.10\.0\.70"):
        DRIVER.clear_sessions(firewall, [whose])
    assert "diagnose sys session clear" not in firewall.asked


@pytest.mark.parametrize("end", ["", "total session 2\n"])
def test_a_list_of_sessions_that_is_not_whole_is_an_error(end: str) -> None:
    with pytest.raises(UnexpectedOutput, match="1 sessions, and no total of as many"):
        DRIVER.nat(Firewall(sessions=session("10.10.0.7") + end))


def test_a_session_without_its_directions_is_counted_and_quoted() -> None:
    """An excerpt, as people paste them."""
    text = "session info: proto=6 proto_state=01 duration=1 expire=2 timeout=3 flags=0 use=4\nstate=local\n"
    found = DRIVER.read_capture([(text + session("10.10.0.7")).encode()], "sessions", ())
    assert (found.entries, found.unparsed) == (1, 1)


# --- configurations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "config firewall address\n",
        'config firewall address\n    edit "a"\nend\n',
        'config firewall address\n    edit "a\n    next\nend\n',
        "config firewall policy\nend\n",
        "config firewall address\n    set a b\nend\n",
        "config firewall address\n--More--\nend\n",
        "command parse error before 'firewall'\n",
    ],
)
def test_a_table_that_is_not_whole_is_an_error(text: str) -> None:
    with pytest.raises(UnexpectedOutput):
        config.table("gw1", text, "firewall address")


def test_tables_inside_of_an_entry_are_passed_over() -> None:
    text = (
        'config firewall address\n    edit "a"\n        config list\n            edit 1\n                set ip 1\n'
        "            next\n        end\n        set type mac\n    next\nend\n"
    )
    assert config.table("gw1", text, "firewall address")["a"].settings == {"type": ("mac",)}
