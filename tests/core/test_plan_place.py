"""Where a penalty goes: the zone's place, else the client's switch, else the gateway; or nowhere, with the reason."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import cast

import pytest
from plan_builders import (
    ACCESS_FACTS,
    CORE_FACTS,
    ENFORCERS,
    GW,
    ROUTER_FACTS,
    UNREADABLE,
    WIDE,
    able,
    at,
    client,
    ip,
    mac,
    ours,
    planned,
    policy,
    request,
    safeguards_of,
    slots_of,
    usage,
    verdict,
    who,
    world,
)

from switchguard import plugins
from switchguard.core.changes import Enforcer, Facts, Slot
from switchguard.core.model import ClientId, FdbEntry, Mode, Station
from switchguard.core.penalties import Block, Quarantine, RateLimit, SessionCap
from switchguard.core.policy import Policy, Zone
from switchguard.ports import Enforces

V7 = verdict(7)
AT_GATEWAY = at("gw", 7, vlan=None)
WHOLE_MAC = Facts({"block": ("mac_device",)})


def why(number_of_refusals: int, *args: object, **kwargs: object) -> str:
    made = planned(*args, **kwargs)  # type: ignore[arg-type]  # handed through as they are
    assert (made.changes, len(made.refusals)) == ((), number_of_refusals)
    return made.refusals[0].why


# --- the zone's place ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "slot"),
    [
        ("core", at("core", 7)),
        ("access", at("sw1", 7)),
        ("gateway", AT_GATEWAY),
        ("sw2", at("sw2", 7)),
    ],
)
def test_a_zone_names_a_role_or_a_device(place: str, slot: Slot) -> None:
    assert slots_of(planned([V7], world(client(7)), by=policy(place))) == [slot]


def test_without_a_zone_it_is_the_core() -> None:
    assert slots_of(planned([V7], world(client(7)), by=Policy(Mode.ENFORCE, safeguards=WIDE))) == [at("core", 7)]


def test_the_first_zone_that_has_the_address_counts() -> None:
    zones = (
        Zone("v6", (ip_network("2001:db8::/32"),), "gateway"),
        Zone("stage", (ip_network("10.10.0.107/32"),), "access"),
        Zone("everybody", (ip_network("10.0.0.0/8"),), "core"),
    )
    made = planned([V7, verdict(8)], world(client(7), client(8)), by=Policy(Mode.ENFORCE, zones, safeguards=WIDE))
    assert slots_of(made) == [at("core", 8), at("sw1", 7)]


def test_a_place_that_is_no_device_is_named_with_those_there_are() -> None:
    made = planned([request(7, on_device="sw9")], world(client(7)))
    assert made.refusals[0].why == "sw9: it is no device that can enforce; there are: core, gw, sw1, sw2"
    assert (made.refusals[0].safeguard, made.refusals[0].device) == ("unsupported", "sw9")


def test_without_any_device_that_can_enforce_there_is_no_place() -> None:
    made = planned([V7], world(client(7, on=None)), enforcers={})
    assert (made.changes, safeguards_of(made)) == ((), ["unsupported"])


def test_all_core_switches_that_see_the_mac_get_it() -> None:
    twins = {**ENFORCERS, "core2": replace(ENFORCERS["core"], device=replace(ENFORCERS["core"].device, name="core2"))}
    seen = world(client(7))
    seen = replace(seen, vlans={**seen.vlans, "core2": frozenset({10})})
    empty = {"core2": dict[Slot, Block]()}
    assert slots_of(planned([V7], seen, (), empty, twins)) == [at("core", 7)]
    row = FdbEntry("core2", "Po1", mac(7), 10)
    both = replace(
        seen, sightings={mac(7): (*seen.sightings[mac(7)], row)}, uplinks={**seen.uplinks, ("core2", "Po1"): "x"}
    )
    assert slots_of(planned([V7], both, (), empty, twins)) == [at("core", 7), at("core2", 7)]


# --- fallback --------------------------------------------------------------------------------------------------------


def test_a_place_that_cannot_block_macs_leaves_it_to_the_clients_switch() -> None:
    made = planned([V7], world(client(7)), enforcers=able("core", Facts({})))
    assert slots_of(made) == [at("sw1", 7)]
    assert made.changes[0].why.endswith(
        "not at the first choice: core: arista_eos has no way here for a block of its MAC"
    )


def test_a_place_that_does_not_carry_the_vlan_leaves_it_to_the_clients_switch() -> None:
    seen = world(client(7, vlan=30), vlans={"core": frozenset({10}), "sw1": frozenset({30})})
    assert slots_of(planned([V7], seen)) == [at("sw1", 7, vlan=30)]


def test_a_full_list_leaves_it_to_the_clients_switch() -> None:
    full = replace(CORE_FACTS, capacity={"block": 1})
    theirs = {"core": {at("core", 1): Block()}}
    made = planned([V7], world(client(7)), (), theirs, able("core", full))
    assert slots_of(made) == [at("sw1", 7)]


def test_a_place_that_cannot_be_read_leaves_it_to_the_clients_switch() -> None:
    assert slots_of(planned([V7], world(client(7)), (), {"core": UNREADABLE})) == [at("sw1", 7)]


def test_a_place_that_holds_it_already_and_cannot_be_read_keeps_it() -> None:
    made = planned([V7], world(client(7)), [ours(at("core", 7), V7)], {"core": UNREADABLE})
    assert (made.changes, safeguards_of(made)) == ((), ["gap"])


def test_a_place_that_holds_it_keeps_it_while_its_vlans_are_unknown() -> None:
    seen = world(client(7), vlans={"sw1": frozenset({10})})
    made = planned([V7], seen, [ours(at("core", 7), V7)], {"core": {at("core", 7): Block()}})
    assert (made.changes, made.refusals) == ((), ())


def test_the_gateway_is_the_last_resort() -> None:
    enforcers = {"gw": ENFORCERS["gw"]}
    assert slots_of(planned([V7], world(client(7)), enforcers=enforcers)) == [AT_GATEWAY]


def test_if_nothing_helps_every_place_says_why() -> None:
    seen = world(client(7, vlan=30), vlans={})
    told = why(1, [V7], seen, enforcers=able("gw", Facts({})))
    assert told == (
        "core: it carries no VLAN 30; sw1: it carries no VLAN 30; gw: linux has no way here for a block of its MAC"
    )


def test_a_gateway_that_is_not_the_first_hop_does_not_see_the_mac() -> None:
    gw2 = Enforcer(replace(GW, name="gw2"), ROUTER_FACTS)
    made = planned([V7], world(client(7)), (), {"gw2": {}}, {**ENFORCERS, "gw2": gw2}, by=policy("gw2"))
    assert slots_of(made) == [at("sw1", 7)]


def test_a_gateway_that_took_over_gets_the_block_as_well() -> None:
    gw2 = Enforcer(replace(GW, name="gw2"), ROUTER_FACTS)
    seven = client(7)
    assert seven.location is not None
    path = tuple(replace(step, device="gw2") for step in seven.location.path)
    seen = world(replace(seven, location=replace(seven.location, path=path), usage=usage(7, "gw2")))
    there = {"gw": {AT_GATEWAY: Block()}, "gw2": dict[Slot, Block]()}
    made = planned([V7], seen, [ours(AT_GATEWAY, V7)], there, {**ENFORCERS, "gw2": gw2}, by=policy("gateway"))
    assert [(it.slot, it.after) for it in made.changes] == [(at("gw2", 7, vlan=None), Block())]


# --- VLANs -----------------------------------------------------------------------------------------------------------


def test_a_block_goes_to_every_vlan_where_the_mac_is_seen() -> None:
    rows = (FdbEntry("core", "Gi0/2", mac(7), 20), FdbEntry("sw1", "Gi0/7", mac(7), 10))
    made = planned([V7], world(client(7), sightings={mac(7): rows}))
    assert slots_of(made) == [at("core", 7, 10), at("core", 7, 20)]


def test_a_location_without_a_vlan_takes_those_of_the_other_switches() -> None:
    rows = (FdbEntry("core", "Gi0/2", mac(7), 20), FdbEntry("sw1", "Gi0/7", mac(7), None))
    assert slots_of(planned([V7], world(client(7, vlan=None), sightings={mac(7): rows}))) == [at("core", 7, 20)]


def test_the_shadow_of_a_drop_entry_is_no_further_vlan() -> None:
    rows = (FdbEntry("core", "Gi0/2", mac(7), 10), FdbEntry("sw2", "Gi0/9", mac(7), 20, static=True))
    assert slots_of(planned([V7], world(client(7), sightings={mac(7): rows}))) == [at("core", 7, 10)]


def test_no_vlan_at_all_is_no_place_for_a_block_per_vlan() -> None:
    rows = (FdbEntry("sw1", "Gi0/7", mac(7), None),)
    seen = world(client(7, vlan=None), sightings={mac(7): rows})
    assert "core: it carries no VLAN of this MAC" in why(1, [V7], seen, enforcers=able("gw", Facts({})))


def test_somebody_elses_static_entry_is_not_overwritten() -> None:
    rows = (FdbEntry("sw1", "Gi0/7", mac(7), 10, static=True), FdbEntry("core", "Gi0/2", mac(7), 10))
    made = planned([V7], world(client(7), sightings={mac(7): rows}), by=policy("sw1"), enforcers=able("gw", Facts({})))
    assert (made.changes, safeguards_of(made)) == ((), ["foreign"])
    assert "static entry" in made.refusals[0].why


# --- named by a person -----------------------------------------------------------------------------------------------


def test_a_person_names_the_device_and_the_vlan() -> None:
    made = planned([request(7, on_device="sw2", vlan=20)], world(client(7, confidence=0.1)))
    assert slots_of(made) == [at("sw2", 7, 20)]


def test_a_person_names_a_mac_that_nobody_has_seen() -> None:
    nameless = request(7, addresses=())
    made = planned([nameless], world(), enforcers=able("core", WHOLE_MAC))
    assert slots_of(made) == [at("core", 7, vlan=None)]


def test_a_person_names_a_gateway_as_the_first_hop() -> None:
    assert slots_of(planned([request(7, on_device="gw")], world())) == [AT_GATEWAY]


def test_a_named_device_is_not_replaced_by_another() -> None:
    made = planned([request(7, on_device="core", vlan=30)], world(client(7)))
    assert (made.changes, [it.device for it in made.refusals]) == ((), ["core"])


def test_a_person_names_an_address() -> None:
    asked = request(7, Block("address"), client=ClientId(f"address:{ip(7)}"), macs=(), addresses=(ip(7),))
    made = planned([asked], world(client(7)))
    assert slots_of(made) == [Slot("gw", "block", address=ip(7))]


# --- unlocated -------------------------------------------------------------------------------------------------------


def test_who_is_known_but_not_where_is_blocked_where_it_does_not_matter_where() -> None:
    assert slots_of(planned([V7], world(client(7, on=None)))) == [AT_GATEWAY]
    made = planned([V7], world(client(7, on=None)), enforcers=able("core", WHOLE_MAC))
    assert slots_of(made) == [at("core", 7, vlan=None)]


def test_a_mac_on_two_edge_ports_may_be_a_copy_and_is_blocked_nowhere() -> None:
    rows = (FdbEntry("sw1", "Gi0/7", mac(7), 10), FdbEntry("sw2", "Gi0/7", mac(7), 10))
    contested = replace(client(7, on=None), why_no_location="it is on 2 edge ports")
    made = planned([V7], world(contested, sightings={mac(7): rows}), by=policy("gateway"))
    assert (made.changes, safeguards_of(made)) == ((), ["unlocated"])
    assert "it is on 2 edge ports" in made.refusals[0].why


def test_a_mac_that_attribution_does_not_know_is_blocked_nowhere() -> None:
    told = why(1, [V7], world(), by=policy("access"))
    assert told.startswith("its switch is not known: the client is not seen now; gw: ")


def test_a_client_without_a_mac_cannot_be_blocked_by_mac() -> None:
    vpn = verdict(7)
    vpn = replace(vpn, client=ClientId("user:alice"), macs=(), addresses=(ip(7),))
    made = planned([vpn], world())
    assert (made.changes, safeguards_of(made)) == ((), ["unlocated"])


def test_a_client_without_a_mac_can_be_capped_by_address() -> None:
    vpn = replace(verdict(7, SessionCap(100)), client=ClientId("user:alice"), macs=(), addresses=(ip(7),))
    assert slots_of(planned([vpn], world())) == [Slot("gw", "cap", address=ip(7))]


def test_an_identity_is_enough_to_know_the_mac_or_the_address() -> None:
    assert slots_of(planned([replace(V7, macs=())], world(client(7)))) == [at("core", 7)]
    capped = replace(verdict(7, SessionCap(9)), client=ClientId(f"address:{ip(7)}"), macs=(), addresses=())
    assert slots_of(planned([capped], world())) == [Slot("gw", "cap", address=ip(7))]


def test_a_cap_is_the_gateways_also_where_the_switches_are_of_a_platform_that_translates() -> None:
    core = able("core", replace(CORE_FACTS, penalties={**CORE_FACTS.penalties, "cap": ("address",)}))
    made = planned([verdict(7, SessionCap(9))], world(client(7)), enforcers=core)
    assert slots_of(made) == [Slot("gw", "cap", address=ip(7))]


def test_link_local_addresses_are_not_capped() -> None:
    local = ip_address("fe80::7")
    capped = replace(verdict(7, SessionCap(9)), addresses=(local,))
    assert "gw: none of its addresses is known" in why(1, [capped], world())


@pytest.mark.parametrize("written", ["2001:db8::1%a;}b", "2001:db8::1%lan10", "2001:db8::1%x\ny"])
def test_an_address_with_a_scope_comes_into_no_slot(written: str) -> None:
    capped = replace(verdict(7, SessionCap(9)), addresses=(ip_address(written),))
    assert "gw: none of its addresses is known" in why(1, [capped], world())


def test_each_mac_of_a_user_goes_to_its_own_place_and_one_that_cannot_does_not_free_the_others() -> None:
    alice = replace(V7, client=ClientId("user:alice"), macs=(mac(7), mac(8), mac(9)))
    rows = (FdbEntry("sw1", "Gi0/9", mac(9), 10), FdbEntry("sw2", "Gi0/9", mac(9), 10))
    seen = world(client(7), client(8, on="sw2"), replace(client(9, on=None), why_no_location="on 2 edge ports"))
    seen = replace(seen, sightings={**seen.sightings, mac(9): rows})
    made = planned([alice], seen, by=policy("access"))
    assert slots_of(made) == [at("sw1", 7), at("sw2", 8)]
    assert [it.what for it in made.refusals] == [f"a block of its MAC for {mac(9)} of user:alice"]


def test_a_user_with_one_location_has_it_for_that_mac_only() -> None:
    seven = client(7)
    alice = replace(seven, identity=ClientId("user:alice"), macs=(mac(7), mac(8)))
    asked = replace(V7, client=ClientId("user:alice"), macs=())
    assert slots_of(planned([asked], world(alice), by=policy("access"))) == [at("gw", 8, vlan=None), at("sw1", 7)]


# --- ports -----------------------------------------------------------------------------------------------------------

LIMIT = verdict(7, RateLimit(64_000))
PORT = Slot("sw1", "limit", Station(port="Gi0/7"))


def test_a_limit_goes_to_the_port_if_the_zone_names_the_access_switch() -> None:
    assert slots_of(planned([LIMIT], world(client(7)), by=policy("access"))) == [PORT]


def test_a_limit_is_never_put_on_a_port_as_a_fallback() -> None:
    made = planned([LIMIT], world(client(7)), by=policy("core"))
    assert slots_of(made) == [Slot("gw", "limit", address=ip(7))]
    without = planned([LIMIT], world(client(7)), by=policy("core"), enforcers=able("gw", Facts({})))
    assert (without.changes, safeguards_of(without)) == ((), ["unsupported"])


def test_where_a_device_can_do_better_than_a_port_it_does() -> None:
    able_to_both = able("sw1", Facts({"limit": ("port", "mac_device")}))
    made = planned([LIMIT], world(client(7)), by=policy("access"), enforcers=able_to_both)
    assert slots_of(made) == [Slot("sw1", "limit", Station(mac=mac(7)))]


LIKE_IOS = Facts({"limit": ("address", "port"), "cap": ("address",)}, only_ipv4=frozenset({"cap"}))


def test_of_a_platform_of_routers_and_switches_only_the_gateway_limits_by_address() -> None:
    both = {name: replace(it, facts=LIKE_IOS) for name, it in ENFORCERS.items()}
    made = [planned([LIMIT], world(client(7)), by=policy(place), enforcers=both) for place in ("access", "gateway")]
    assert [slots_of(it) for it in made] == [[PORT], [Slot("gw", "limit", address=ip(7))]]


def test_a_cap_for_ipv4_passes_over_the_other_addresses_of_a_client() -> None:
    seen = replace(client(7), addresses=(ip(7), ip_address("2001:db8::7")))
    made = planned([verdict(7, SessionCap(100))], world(seen), by=policy("gateway"), enforcers=able("gw", LIKE_IOS))
    assert slots_of(made) == [Slot("gw", "cap", address=ip(7))]


def test_a_client_of_ipv6_alone_has_no_cap_for_ipv4() -> None:
    seen = replace(client(7), addresses=(ip_address("2001:db8::7"),))
    asked = replace(verdict(7, SessionCap(100)), addresses=())
    assert "IPv4 addresses only" in why(1, [asked], world(seen), by=policy("gateway"), enforcers=able("gw", LIKE_IOS))


def test_a_limit_by_mac_where_a_device_has_one() -> None:
    made = planned([LIMIT], world(client(7)), enforcers=able("core", Facts({"limit": ("mac_device",)})))
    assert slots_of(made) == [Slot("core", "limit", Station(mac=mac(7)))]


def test_a_quarantine_is_the_ports() -> None:
    made = planned([verdict(7, Quarantine(99))], world(client(7)), by=policy("access"))
    assert [(it.slot.kind, it.slot.station.port, it.after) for it in made.changes] == [
        ("quarantine", "Gi0/7", Quarantine(99))
    ]


def test_a_port_that_is_not_known_is_not_limited() -> None:
    made = planned([LIMIT], world(client(7, on=None)), by=policy("sw1"), enforcers=able("gw", Facts({})))
    assert (made.changes, safeguards_of(made)) == ((), ["unlocated"])


def test_a_port_of_another_switch_is_not_limited() -> None:
    made = planned([LIMIT], world(client(7)), by=policy("sw2"), enforcers=able("gw", Facts({})))
    assert (made.changes, safeguards_of(made)) == ((), ["unsupported"])
    assert "sw2: the client is on a port of sw1" in made.refusals[0].why


def test_a_limit_that_stands_is_not_moved_because_the_uplinks_are_unknown_for_once() -> None:
    seen = world(client(7), uplinks_known=frozenset())
    held, there = [ours(PORT, LIMIT, penalty=RateLimit(64_000))], {"sw1": {PORT: RateLimit(64_000)}}
    made = planned([LIMIT], seen, held, there, by=policy("access"))
    assert (made.changes, made.refusals) == ((), ())


# --- lists with an end -----------------------------------------------------------------------------------------------


def test_the_last_free_entry_is_given_once_and_to_a_person_first() -> None:
    one = able("gw", replace(ROUTER_FACTS, capacity={"block": 1}))
    asked = request(8)
    made = planned([V7, asked], world(client(7), client(8)), by=policy("gateway"), enforcers=one)
    assert slots_of(made) == [at("gw", 8, vlan=None), at("sw1", 7)]


def test_a_release_makes_room() -> None:
    one = able("gw", replace(ROUTER_FACTS, capacity={"block": 1}))
    there = {"gw": {at("gw", 8, vlan=None): Block()}}
    held = [ours(at("gw", 8, vlan=None), verdict(8))]
    made = planned([V7], world(client(7)), held, there, one, by=policy("gateway"))
    assert [(it.slot, it.after) for it in made.changes] == [(at("gw", 8, vlan=None), None), (AT_GATEWAY, Block())]


def test_the_seventeenth_block_of_a_procurve_goes_to_the_clients_switch() -> None:
    """Whoever put the others there; what the driver says of its capacity is what counts."""
    procurve = able("core", cast(Enforces, plugins.driver("hp_procurve")).facts)
    fifteen = {"core": {at("core", 100 + n, vlan=None): Block() for n in range(15)}}
    made = planned([V7, verdict(8)], world(client(7), client(8)), (), fifteen, procurve)
    assert sorted(map(str, slots_of(made))) == sorted(map(str, [at("core", 7, vlan=None), at("sw1", 8)]))
    (moved,) = (it for it in made.changes if it.slot.device == "sw1")
    assert moved.why.endswith("not at the first choice: core: it holds 16 of at most 16 entries of this kind")


def test_a_full_list_everywhere_is_a_refusal() -> None:
    full = {name: replace(it, facts=replace(it.facts, capacity={"block": 0})) for name, it in ENFORCERS.items()}
    made = planned([V7], world(client(7)), enforcers=full)
    assert (made.changes, safeguards_of(made)) == ((), ["capacity"])
    assert made.refusals[0].client == who(7)


def test_what_is_there_already_takes_no_more_room() -> None:
    one = able("core", replace(CORE_FACTS, capacity={"block": 1}))
    made = planned([V7], world(client(7)), [ours(at("core", 7), V7)], {"core": {at("core", 7): Block()}}, one)
    assert (made.changes, made.refusals) == ((), ())


def test_facts_of_an_access_switch_are_as_the_other_tests_assume() -> None:
    assert ACCESS_FACTS.penalties["block"] == ("mac_vlan",)


# --- who is cut already ----------------------------------------------------------------------------------------------

BEHIND = world(sightings={mac(7): (FdbEntry("core", "Gi0/2", mac(7), 10),)})
"""Client 7 is nowhere but in the core's memory of its uplink."""
BLOCKED = ours(at("sw1", 7), V7)
AS_BLOCKED = {"sw1": {at("sw1", 7): Block()}}


def test_a_client_that_we_cut_is_not_beyond_our_edge_and_its_block_can_be_extended() -> None:
    longer = request(7)
    made = planned([V7, longer], BEHIND, [BLOCKED], AS_BLOCKED, by=policy("access"))
    assert (made.changes, made.refusals) == ((), ())
    assert [(it.slot, set(it.verdicts)) for it in made.adopted] == [(at("sw1", 7), {V7.id, longer.id})]


def test_a_block_that_is_about_to_be_lifted_is_kept_for_a_new_cause() -> None:
    longer, leaving = request(7), ours(at("sw1", 7), V7, state="releasing")
    made = planned([longer], BEHIND, [leaving], AS_BLOCKED, by=policy("access"))
    assert (made.changes, made.refusals) == ((), ())
    assert [(it.slot, it.verdicts) for it in made.adopted] == [(at("sw1", 7), (longer.id,))]


def test_a_block_that_was_only_meant_hides_nobody() -> None:
    meant = ours(at("sw1", 7), V7, state="planned")
    made = planned([request(7)], BEHIND, [meant], by=policy("access"))
    assert (made.changes, safeguards_of(made)) == ((), ["uplink"])


def test_who_is_seen_on_uplinks_only_and_not_cut_by_us_stays_beyond_our_edge() -> None:
    made = planned([request(7)], BEHIND, [ours(at("sw1", 8), verdict(8))], {"sw1": {at("sw1", 8): Block()}})
    assert (slots_of(made), safeguards_of(made)) == ([at("sw1", 8)], ["uplink"])
    assert [it.after for it in made.changes] == [None]
