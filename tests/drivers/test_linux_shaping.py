"""Limits on a real kernel: shaped where nothing is in the way, policed where something is, and gone without a trace."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import cast

import pytest
from model_linux import Kernel, Shaper

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.penalties import RateLimit
from switchguard.errors import CommandRefused
from switchguard.ports import Enforces

DRIVER = cast(Enforces, plugins.driver("linux"))
ONE, TWO, SIX = "10.10.0.7", "10.10.0.8", "2001:db8:10::7"
BOXED = RateLimit(64_000, within=20_000_000)


class Refusing(Shaper):
    """A kernel that has everything but mirred."""

    def feed(self, command: str, text: str) -> str:
        if command == "tc -batch -" and "mirred" in text:
            head, _, _ = text.partition("filter add dev lan0")
            super().feed(command, head)
            raise CommandRefused("gw1", command, "Error: Failed to load TC action module.\nWe have an error")
        return super().feed(command, text)


@pytest.fixture
def gateway() -> Iterator[Shaper]:
    made = Shaper()
    yield made
    made.close()


def change(address: str, after: RateLimit | None, before: RateLimit | None = None) -> Change:
    return Change(Slot("gw1", RateLimit.kind, address=ip_address(address)), before, after)


def limits(gateway: Kernel) -> dict[str, RateLimit]:
    return {str(slot.address): cast(RateLimit, it) for slot, it in DRIVER.enforced(gateway).items()}


def surroundings(gateway: Kernel) -> str:
    """Devices, qdiscs and filters, without their counters and states."""
    devices = gateway.ask("ip -br link show | cut -d' ' -f1")
    return devices + gateway.ask("tc qdisc show | cut -d' ' -f1-5") + gateway.ask("tc filter show dev lan0 egress")


def test_a_limit_is_shaped_and_the_table_knows_nothing_of_it(gateway: Shaper) -> None:
    diff = DRIVER.push(gateway, [change(ONE, BOXED)])
    assert diff.text == f"+ tc sgdown, sgup htb ceil 64000bit within 20000000bit {{ {ONE} }}\n"
    assert limits(gateway) == {ONE: BOXED}
    with pytest.raises(CommandRefused):
        gateway.ask("nft list table inet switchguard")


def test_the_preview_is_the_diff_of_the_push(gateway: Shaper) -> None:
    changes = [change(ONE, BOXED), change(TWO, RateLimit(1_234_568))]
    assert DRIVER.preview(gateway, changes) == DRIVER.push(gateway, changes)


def test_one_ceiling_counts_for_all_members(gateway: Shaper) -> None:
    DRIVER.push(gateway, [change(ONE, BOXED), change(SIX, BOXED)])
    wider = RateLimit(64_000, within=40_000_000)
    DRIVER.push(gateway, [change(ONE, wider, BOXED), change(SIX, wider, BOXED)])
    assert limits(gateway) == {ONE: wider, SIX: wider}
    assert "classid" not in gateway.ask("tc class show dev sgdown")
    assert gateway.ask("tc class show dev sgdown").count("parent 5347:1 ") == 2


def test_a_member_can_leave_the_box_and_stay_limited(gateway: Shaper) -> None:
    alone = RateLimit(64_000)
    DRIVER.push(gateway, [change(ONE, BOXED), change(TWO, BOXED)])
    diff = DRIVER.push(gateway, [change(ONE, alone, BOXED)])
    assert [line[:1] for line in diff.text.splitlines()] == ["-", "+"]
    assert limits(gateway) == {ONE: alone, TWO: BOXED}


def test_what_can_be_shaped_now_is_no_longer_policed(gateway: Shaper) -> None:
    DRIVER.push(gateway, [change(ONE, RateLimit(1_234_568))])
    DRIVER.push(gateway, [change(ONE, RateLimit(64_000), RateLimit(1_234_568))])
    assert "elements" not in gateway.ask("nft list table inet switchguard").replace("limit_1234568_up", "")
    assert limits(gateway) == {ONE: RateLimit(64_000)}


def test_nothing_is_left_when_the_last_limit_ends(gateway: Shaper) -> None:
    before = surroundings(gateway)
    DRIVER.push(gateway, [change(ONE, BOXED), change(SIX, RateLimit(8_000))])
    DRIVER.push(gateway, [change(ONE, None, BOXED)])
    assert limits(gateway) == {SIX: RateLimit(8_000)}
    DRIVER.push(gateway, [change(SIX, None, RateLimit(8_000))])
    assert surroundings(gateway) == before


def test_half_a_member_is_no_limit_and_is_repaired(gateway: Shaper) -> None:
    DRIVER.push(gateway, [change(ONE, BOXED)])
    gateway.ask("tc filter del dev lan0 ingress pref 20496")
    assert limits(gateway) == {ONE: RateLimit(0)}
    DRIVER.push(gateway, [change(ONE, BOXED, RateLimit(0))])
    assert limits(gateway) == {ONE: BOXED}


def test_what_a_crash_left_over_goes_with_the_next_change(gateway: Shaper) -> None:
    DRIVER.push(gateway, [change(ONE, BOXED)])
    gateway.ask("tc class add dev sgdown parent 5347: classid 5347:77 htb rate 1mbit")
    DRIVER.push(gateway, [change(TWO, BOXED)])
    assert "5347:77" not in gateway.ask("tc class show dev sgdown")


def test_devices_left_over_without_our_classes_are_used(gateway: Shaper) -> None:
    gateway.ask("ip link add name sgdown up type ifb && tc qdisc add dev lan0 clsact")
    DRIVER.push(gateway, [change(ONE, BOXED)])
    assert limits(gateway) == {ONE: BOXED}


# --- somebody else's -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (
            "tc qdisc add dev lan0 clsact && tc filter add dev lan0 egress pref 7 u32 match u32 0 0 flowid 1:1",
            "lan0 has egress filters of somebody else",
        ),
        ("tc qdisc add dev lan0 ingress", "lan0 has an ingress qdisc of somebody else"),
        (
            "ip link add name sgup up type ifb && tc qdisc add dev sgup root handle 9: htb",
            "sgup has the root qdisc htb 9: of somebody else",
        ),
    ],
    ids=["filters", "ingress", "device"],
)
def test_what_is_somebody_elses_stays_and_the_limit_is_policed(gateway: Shaper, theirs: str, reason: str) -> None:
    gateway.ask(theirs)
    before = surroundings(gateway)
    diff = DRIVER.push(gateway, [change(ONE, BOXED)])
    assert diff.text.splitlines() == [
        f"+ inet switchguard limit_64000_of_20000000_ip4 {{ {ONE} }}",
        f"# policed, not shaped: {reason}",
    ]
    assert limits(gateway) == {ONE: BOXED}
    DRIVER.push(gateway, [change(ONE, None, BOXED)])
    assert surroundings(gateway) == before


def test_a_root_qdisc_of_a_lan_interface_is_never_touched(gateway: Shaper) -> None:
    gateway.ask("tc qdisc add dev lan0 root handle 1: htb default 1")
    DRIVER.push(gateway, [change(ONE, BOXED)])
    assert limits(gateway) == {ONE: BOXED}
    assert "qdisc htb 1: root" in gateway.ask("tc qdisc show dev lan0")


def test_filters_that_came_after_ours_stay_when_ours_go(gateway: Shaper) -> None:
    DRIVER.push(gateway, [change(ONE, BOXED)])
    gateway.ask("tc filter add dev lan0 egress pref 7 u32 match u32 0 0 flowid 1:1")
    DRIVER.push(gateway, [change(ONE, None, BOXED)])
    left = gateway.ask("tc filter show dev lan0 egress")
    assert "pref 7 " in left
    assert "sgdown" not in left


def test_a_kernel_that_cannot_is_put_back_and_the_limit_is_policed() -> None:
    gateway = Refusing()
    try:
        before = surroundings(gateway)
        diff = DRIVER.push(gateway, [change(ONE, BOXED)])
        assert "# policed, not shaped: the kernel refused: Error: Failed to load TC action module." in diff.text
        assert limits(gateway) == {ONE: BOXED}
        assert surroundings(gateway) == before
    finally:
        gateway.close()


def test_without_the_names_of_lan_interfaces_limits_are_policed() -> None:
    gateway = Kernel()
    try:
        diff = DRIVER.push(gateway, [change(ONE, BOXED)])
        assert diff.text.splitlines()[-1] == "# policed, not shaped: the site names no lan_interfaces"
        assert limits(gateway) == {ONE: BOXED}
    finally:
        gateway.close()
