"""A penalty for a whole subnet hits who was meant and nobody else, or it is refused."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import (
    CORE_ADDRESS,
    ENFORCERS,
    HOUR,
    NOTHING,
    NOW,
    WIDE,
    Reality,
    able,
    client,
    ip,
    mac,
    ours,
    planned,
    policy,
    safeguards_of,
    world,
)
from test_plan_properties import bounded

from switchguard.core.changes import Facts, Plan, SessionFlush, Slot
from switchguard.core.explain import change_sentence, flush_sentence
from switchguard.core.model import ClientId, Network
from switchguard.core.penalties import Block, Exemption, Notify, Penalty, RateLimit, Verdict
from switchguard.core.policy import Policy, Safeguards, Zone

OUTSIDE = ip_network("192.0.2.0/24")
ABLE = able("gw", Facts({"block": ("mac_adjacent", "address", "network"), "limit": ("address", "network")}))


def on(network: Network, penalty: Penalty | None = None) -> Verdict:
    """A rule's, for the subnet of two sources that were seen."""
    return Verdict(
        id=f"probing {network}",
        client=ClientId(f"network:{network}"),
        rule="probing",
        penalty=penalty or Block("address"),
        since=NOW,
        until=NOW + HOUR,
        because="6 sources together: 900 connections",
        addresses=(network[0], network[-1]),
        network=network,
    )


def slot(network: Network = OUTSIDE, kind: str = "block") -> Slot:
    return Slot("gw", kind, network=network)


def made(verdict: Verdict, by: Policy | None = None, exemptions: Sequence[Exemption] = ()) -> Plan:
    return planned([verdict], world(client(7)), enforcers=ABLE, exemptions=exemptions, by=by)


def test_a_subnet_is_blocked_as_one_and_its_sessions_are_forgotten_at_once() -> None:
    plan = made(on(OUTSIDE))
    assert [(it.slot, it.before, it.after) for it in plan.changes] == [(slot(), None, Block("address"))]
    assert plan.flushes == (SessionFlush("gw", (OUTSIDE,), on(OUTSIDE).id),)
    assert change_sentence(plan.changes[0]).startswith("new: a block of its address for 192.0.2.0/24 on gw")
    assert flush_sentence(plan.flushes[0]) == "forget the sessions of 192.0.2.0/24 on gw"


def test_the_same_verdict_changes_nothing_twice_and_is_lifted_at_its_end() -> None:
    start = Reality(NOTHING)
    there = start.after(made(on(OUTSIDE)))
    again = planned([on(OUTSIDE)], world(), there.held, there.enforced, ABLE)
    assert (again.changes, again.adopted, again.refusals) == ((), (), ())
    end = planned((), world(), there.held, there.enforced, ABLE)
    assert there.after(end) == start


def test_a_device_that_takes_no_subnets_gets_no_addresses_one_by_one() -> None:
    plan = planned([on(OUTSIDE)], world(), enforcers=ENFORCERS)
    assert (plan.changes, safeguards_of(plan)) == ((), ["unsupported"])
    assert "linux has no way here for a block of its address on a whole subnet" in plan.refusals[0].why


def test_a_subnet_has_no_mac() -> None:
    plan = made(on(OUTSIDE, Block()))
    assert (plan.changes, safeguards_of(plan)) == ((), ["unsupported"])
    assert "{block: address}" in plan.refusals[0].why


def test_a_subnet_counts_as_one_at_the_brakes() -> None:
    one = policy(safeguards=Safeguards(new_per_cycle=1))
    busy = on(OUTSIDE)
    assert len(made(replace(busy, addresses=tuple(OUTSIDE)), one).changes) == 1
    two = planned([busy, on(ip_network("198.51.100.0/24"))], world(client(7)), enforcers=ABLE, by=one)
    assert (two.changes, set(safeguards_of(two))) == ((), {"blast_radius"})


# --- never -----------------------------------------------------------------------------------------------------------


def test_a_single_exempt_address_spares_the_subnet() -> None:
    exempt = Exemption("x1", "partner", network=ip_network("192.0.2.77/32"))
    plan = made(on(OUTSIDE), exemptions=[exempt])
    assert (plan.changes, plan.flushes, safeguards_of(plan)) == ((), (), ["exemption"])


def test_an_exemption_that_came_later_lifts_what_stands() -> None:
    exempt = Exemption("x1", "partner", network=ip_network("192.0.0.0/8", strict=False))
    held = ours(slot(), on(OUTSIDE), penalty=Block("address"))
    enforced = {"gw": {slot(): Block("address")}}
    plan = planned([on(OUTSIDE)], world(), [held], enforced, ABLE, [exempt])
    assert [(it.slot, it.after) for it in plan.changes] == [(slot(), None)]


def test_an_expired_exemption_spares_nobody() -> None:
    over = Exemption("x1", "partner", network=OUTSIDE, until=NOW - timedelta(seconds=1))
    assert len(made(on(OUTSIDE), exemptions=[over]).changes) == 1


def test_an_exempt_mac_in_the_subnet_spares_it() -> None:
    inside = ip_network(f"{ip(7)}/32")
    assert len(made(on(inside)).changes) == 1
    assert safeguards_of(made(on(inside), exemptions=[Exemption("x1", "stage", mac=mac(7))])) == ["exemption"]


def test_a_subnet_with_a_device_of_ours_is_spared() -> None:
    plan = made(on(ip_network(f"{CORE_ADDRESS}/28", strict=False)))
    assert (plan.changes, safeguards_of(plan)) == ((), ["infrastructure"])


@pytest.mark.parametrize("reserved", ["224.0.0.0/16", "127.0.0.0/16", "169.254.0.0/16", "fe80::/64", "ff02::/48"])
def test_reserved_networks_are_nobodys(reserved: str) -> None:
    assert safeguards_of(made(on(ip_network(reserved)))) == ["infrastructure"]


@pytest.mark.parametrize(
    ("network", "safeguards"),
    [
        ("198.51.0.0/16", []),
        ("198.50.0.0/15", ["blast_radius"]),
        ("2001:db8:1::/48", []),
        ("2001:db8::/47", ["blast_radius"]),
    ],
)
def test_a_subnet_wider_than_the_widest_is_refused(network: str, safeguards: list[str]) -> None:
    assert safeguards_of(made(on(ip_network(network)))) == safeguards


def test_the_widest_subnet_is_the_sites_to_choose() -> None:
    narrow = policy(safeguards=replace(WIDE, widest_subnet=25))
    assert safeguards_of(made(on(OUTSIDE), narrow)) == ["blast_radius"]


def test_an_inside_subnet_must_lie_in_one_zone() -> None:
    halls = tuple(Zone(f"hall {number}", (ip_network(f"10.20.{number}.0/24"),)) for number in (0, 1))
    site = replace(policy(), zones=halls)
    assert safeguards_of(made(on(ip_network("10.20.0.0/25")), site)) == []
    assert safeguards_of(made(on(ip_network("10.20.0.0/23")), site)) == ["spread"]
    assert safeguards_of(made(on(ip_network("10.20.0.0/22")), replace(site, zones=halls[:1]))) == ["spread"]


def test_clients_of_ours_in_no_zone_are_not_taken_for_outsiders() -> None:
    plan = made(on(ip_network("10.10.0.96/27")), replace(policy(), zones=()))
    assert (plan.changes, safeguards_of(plan)) == ((), ["spread"])


def test_a_suggestion_covers_nobody_and_needs_no_safeguard() -> None:
    exempt = Exemption("x1", "partner", network=ip_network("192.0.2.77/32"))
    plan = made(on(OUTSIDE, Notify()), exemptions=[exempt])
    assert (plan.changes, plan.refusals) == ((), ())


# --- whatever the subnet ---------------------------------------------------------------------------------------------


@st.composite
def subnets(draw: st.DrawFn) -> Network:
    """Near our own networks and exemptions more often than not."""
    if draw(st.booleans()):
        length = draw(st.sampled_from([8, 15, 16, 24, 26, 27, 28, 29, 30, 32]))
        return IPv4Network((0x0A0A0000 + draw(st.integers(0, 127)), length), strict=False)
    length = draw(st.sampled_from([32, 47, 48, 64, 124, 125, 126, 127, 128]))
    return IPv6Network((0x20010DB8 << 96 | draw(st.integers(0, 7)), length), strict=False)


EXEMPT = (ip_network("10.10.0.72/30"), ip_network("2001:db8::5/128"))
UNBRAKED = policy(safeguards=Safeguards(new_per_cycle=100, share_of_clients=100.0))
PENALTIES: st.SearchStrategy[Penalty] = st.sampled_from([Block("address"), RateLimit(64_000)])


@bounded
@given(st.lists(st.builds(on, subnets(), PENALTIES), max_size=4), st.booleans())
def test_no_plan_covers_the_exempt_or_the_network_itself(verdicts: list[Verdict], standing: bool) -> None:
    """Neither what is new, nor what stood before somebody became exempt."""
    seen = world(client(7), infrastructure_addresses={CORE_ADDRESS: "core", ip_address("2001:db8::1"): "core"})
    exemptions = [Exemption(f"x{number}", "stage", network=network) for number, network in enumerate(EXEMPT)]
    start = Reality(NOTHING)
    if standing:
        start = start.after(planned(verdicts, world(), enforcers=ABLE, by=UNBRAKED))
    plan = planned(verdicts, seen, start.held, start.enforced, ABLE, exemptions, UNBRAKED)
    covered = [it.slot.network for it in start.after(plan).held if it.slot.network is not None]
    cleared = [it for flush in plan.flushes for it in flush.addresses if isinstance(it, IPv4Network | IPv6Network)]
    for network in (*covered, *cleared):
        assert not any(network.overlaps(it) for it in EXEMPT)
        assert not any(it.version == network.version and it in network for it in seen.infrastructure_addresses)
        assert network.prefixlen >= (16 if network.version == 4 else 48)
