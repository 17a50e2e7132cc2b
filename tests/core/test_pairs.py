"""A pair of switches that are one to whoever is plugged into both: one place, and a block on both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import BRIDGE, CORE, GW, NOON, OWN, SW1, arp, fdb, ip, mac, only, port, reading, swarm
from plan_builders import CORE_FACTS, ENFORCERS, UNREADABLE, at, ours, planned, policy, request, slots_of, verdict, who

from switchguard.core import explain
from switchguard.core.accounting import Books, Moved, account
from switchguard.core.attribute import attribute
from switchguard.core.changes import Change, Enforced, Enforcer, Facts, HeldSlot, Plan
from switchguard.core.evidence import Traffic
from switchguard.core.model import (
    PEER_LINK,
    Attribution,
    Device,
    FdbEntry,
    Gap,
    Link,
    Mode,
    PortCounters,
    Snapshot,
)
from switchguard.core.pairs import each_once, peers, twin
from switchguard.core.penalties import Block, RateLimit, Verdict
from switchguard.core.policy import Policy
from switchguard.core.refresh import refresh
from switchguard.core.stillthere import gone, whereabouts
from switchguard.core.trails import noted

NX1 = replace(CORE, name="nx1", platform="cisco_nxos", mode=Mode.ENFORCE, mlag_peer="nx2")
NX2 = replace(NX1, name="nx2", mlag_peer="nx1")
PAIR = ("nx1", "nx2")
PO10, PO1 = "port-channel10", "port-channel1"
V7, V8 = verdict(7), verdict(8)
"""7 is plugged into both, 8 into nx1 alone."""


def pair(*rows: FdbEntry, devices: tuple[Device, ...] = (GW, SW1, NX1, NX2), without: tuple[str, ...] = ()) -> Snapshot:
    """gw and sw1 are plugged into both switches as well. `without`: switches that cannot be asked."""
    links = [Link(it, "Eth1/47", "sw1", BRIDGE, OWN["sw1"]) for it in ("nx1", "nx2")]
    links += [Link("nx1", "Eth1/49", "nx2", BRIDGE), Link("nx2", "Eth1/49", "nx1", BRIDGE)]
    table = [*rows, *(fdb(it, PO1, OWN["sw1"]) for it in ("nx1", "nx2"))]
    return Snapshot(
        at=NOON,
        devices=devices,
        nat=(swarm(ip(7)), swarm(ip(8))),
        neighbors=(arp(7), arp(8)),
        fdb=tuple(row for row in table if row.device not in without),
        links=tuple(link for link in links if link.device not in without),
        interfaces=(port("sw1", "Gi0/24", owner=OWN["sw1"]), port("gw", "lan0", owner=OWN["gw"])),
        readings=tuple(reading(it, "fdb") for it in ("nx1", "nx2") if it not in without),
        gaps=tuple(Gap(it, "fdb", "no answer in 10 s") for it in without),
    )


ON_BOTH = (fdb("nx1", PO10, 7), fdb("nx2", PO10, 7))
ON_FIRST = (fdb("nx1", "Ethernet1/5", 8), fdb("nx2", PEER_LINK, 8))
SEEN = pair(*ON_BOTH, *ON_FIRST)


def place(attribution: Attribution, number: int) -> tuple[str, str | None] | None:
    location = only(attribution, who(number)).location
    return None if location is None else (explain.switches(location), location.station.port)


# --- which switches --------------------------------------------------------------------------------------------------


def test_only_those_who_name_each_other_are_a_pair() -> None:
    assert peers((NX1, NX2, CORE)) == {"nx1": "nx2", "nx2": "nx1"}
    assert peers((NX1, replace(NX2, mlag_peer="nx3"))) == {}
    assert peers((replace(NX1, mlag_peer="nx1"),)) == {}


def test_only_an_aggregate_is_on_both() -> None:
    pairs = peers((NX1, NX2))
    assert (twin(("nx1", PO10), pairs), twin(("nx1", "Ethernet1/5"), pairs)) == (("nx2", PO10), None)
    both = {("nx1", PO10), ("nx2", PO10), ("sw1", PO10)}
    assert each_once(both, pairs, rather=("nx2",)) == {("nx2", PO10), ("sw1", PO10)}


# --- where somebody is -----------------------------------------------------------------------------------------------


def test_a_host_on_an_aggregate_of_both_has_one_place() -> None:
    found = attribute(SEEN)
    location = only(found, who(7)).location
    assert location is not None
    assert (place(found, 7), location.confidence, found.contested) == (("nx1+nx2", PO10), 1.0, {})
    assert explain.location_sentence(location).startswith(f"nx1+nx2 port {PO10}, VLAN 10, ")
    assert [step.entry for step in location.path if step.table == "fdb"] == [f"{mac(7)} on {PO10} in VLAN 10"] * 2


def test_without_the_sites_word_two_switches_are_no_pair() -> None:
    alone = tuple(replace(it, mlag_peer=None) for it in SEEN.devices)
    assert place(attribute(replace(SEEN, devices=alone)), 7) is None


def test_a_host_on_one_of_them_is_there_alone() -> None:
    found = attribute(SEEN)
    assert place(found, 8) == ("nx1", "Ethernet1/5")
    assert found.uplinks["nx2", PEER_LINK] == "its MLAG peer is there"


def test_an_aggregate_that_only_one_of_them_has_is_there_alone() -> None:
    assert place(attribute(pair(fdb("nx1", PO10, 7), fdb("nx2", PEER_LINK, 7))), 7) == ("nx1", PO10)


def test_the_link_to_the_peer_does_not_make_all_aggregates_uplinks() -> None:
    assert ("nx1", PO10) not in attribute(SEEN).uplinks


def test_the_link_to_the_peer_proves_nothing_about_other_uplinks() -> None:
    lonely = replace(pair(*ON_BOTH, *ON_FIRST), links=())
    table = tuple(row for row in lonely.fdb if row.port != PO1)
    assert attribute(replace(lonely, fdb=table)).uplinks_known == frozenset()


@pytest.mark.parametrize("dead", ["nx1", "nx2"])
def test_while_one_cannot_be_asked_the_other_tells(dead: str) -> None:
    found = attribute(pair(*ON_BOTH, without=(dead,)))
    alive = "nx2" if dead == "nx1" else "nx1"
    assert place(found, 7) == (alive, PO10)


def test_a_host_on_two_unrelated_ports_is_contested_all_the_same() -> None:
    found = attribute(pair(*ON_BOTH, fdb("nx2", "Ethernet1/6", 7)))
    assert place(found, 7) is None
    assert found.contested[mac(7)].ports == (("nx1", PO10), ("nx2", "Ethernet1/6"))


@pytest.mark.parametrize("port_name", ["Ethernet1/5", PO10])
def test_the_same_name_on_switches_that_are_no_pair_is_two_places(port_name: str) -> None:
    rows = (fdb("nx1", port_name, 7), fdb("sw1", port_name, 7), fdb("sw1", "Gi0/24", OWN["gw"]))
    assert place(attribute(pair(*rows)), 7) is None


def test_the_same_plain_port_on_both_is_two_places() -> None:
    assert place(attribute(pair(fdb("nx1", "Ethernet1/5", 7), fdb("nx2", "Ethernet1/5", 7))), 7) is None


def test_what_both_ends_carried_is_summed() -> None:
    """Where the gateway counts no octets, the ports do."""
    books = Books()
    moved: tuple[Moved, ...] = ()
    for minute in (0, 1):
        at = NOON + timedelta(minutes=minute)
        counters = [PortCounters(it, PO10, at, 100 * minute, 7_000 * minute, uptime_s=at.timestamp()) for it in PAIR]
        seen = pair(*ON_BOTH)
        readings = tuple(replace(it, at=at) for it in (*seen.readings, reading("gw", "nat")))
        seen = replace(seen, at=at, counters=tuple(counters), readings=readings)
        made = account(books, seen, attribute(seen))
        books, moved = made.books, made.moved
    assert moved == (Moved(who(7), Traffic(NOON, NOON + timedelta(minutes=1), 14_000, 200)),)


# --- who is no copy --------------------------------------------------------------------------------------------------


def looks(*tables: tuple[FdbEntry, ...]) -> Attribution:
    """One look after the other, ten seconds apart."""
    seen: Snapshot | None = None
    for number, rows in enumerate(tables):
        later = timedelta(seconds=10 * number)
        new = pair(*rows)
        new = replace(new, at=NOON + later, readings=tuple(replace(it, at=it.at + later) for it in new.readings))
        new = refresh(seen, new)
        seen = noted(new, attribute(new))
    assert seen is not None
    return attribute(seen)


def test_whoever_changes_from_one_end_to_the_other_has_not_moved() -> None:
    first, second = (ON_BOTH[0], fdb("nx2", PEER_LINK, 7)), (fdb("nx1", PEER_LINK, 7), ON_BOTH[1])
    found = looks(first, second, first, second)
    assert (found.contested, place(found, 7)) == ({}, ("nx2", PO10))


def test_whoever_is_on_both_ends_in_every_look_is_no_copy() -> None:
    assert looks(ON_BOTH, ON_BOTH, ON_BOTH).contested == {}


def test_a_copy_on_a_port_of_its_own_is_still_found() -> None:
    copied = (fdb("nx1", "Ethernet1/5", 7), fdb("nx2", PEER_LINK, 7))
    found = looks(ON_BOTH, copied, ON_BOTH, copied)
    assert found.contested[mac(7)].at_once
    assert found.contested[mac(7)].ports == (("nx1", "Ethernet1/5"), ("nx1", PO10))


# --- where a block goes ----------------------------------------------------------------------------------------------

ABLE: Mapping[str, Enforcer] = {
    "gw": ENFORCERS["gw"],
    "nx1": Enforcer(NX1, CORE_FACTS),
    "nx2": Enforcer(NX2, CORE_FACTS),
}
EMPTY: Mapping[str, Enforced | Gap] = {"nx1": {}, "nx2": {}}
DEAD = replace(UNREADABLE, device="nx2")


def plan_for(
    wanted: Sequence[Verdict],
    seen: Attribution,
    held: Sequence[HeldSlot] = (),
    enforced: Mapping[str, Enforced | Gap] = EMPTY,
    enforcers: Mapping[str, Enforcer] = ABLE,
    by: Policy | None = None,
) -> Plan:
    return planned(wanted, seen, held, enforced, enforcers, by=by)


@pytest.mark.parametrize("number", [7, 8])
@pytest.mark.parametrize("zone", ["core", "access", "nx1", "nx2"])
def test_a_block_goes_to_both(number: int, zone: str) -> None:
    made = plan_for([verdict(number)], attribute(SEEN), by=policy(zone))
    assert (slots_of(made), made.refusals) == ([at("nx1", number), at("nx2", number)], ())


def test_a_person_who_names_one_gets_both() -> None:
    made = plan_for([request(8, on_device="nx1")], attribute(SEEN))
    assert slots_of(made) == [at("nx1", 8), at("nx2", 8)]


def test_a_limit_of_a_port_goes_to_the_switch_that_has_the_port() -> None:
    facts = Facts({"limit": ("port",)})
    able = {name: replace(ABLE[name], facts=facts) for name in ("nx1", "nx2")}
    made = plan_for([request(8, RateLimit(64_000), on_device="nx1")], attribute(SEEN), enforcers=able)
    assert [(change.slot.device, change.slot.station.port) for change in made.changes] == [("nx1", "Ethernet1/5")]


def test_a_switch_that_does_not_carry_the_vlan_needs_no_block() -> None:
    seen = pair(fdb("nx1", "Ethernet1/5", 8, 30))
    assert slots_of(plan_for([V8], attribute(seen))) == [at("nx1", 8, 30)]


def test_a_release_goes_to_both() -> None:
    held = [ours(at(name, 7), V7) for name in ("nx1", "nx2")]
    there = {name: {at(name, 7): Block()} for name in ("nx1", "nx2")}
    made = plan_for([], attribute(SEEN), held, there)
    assert [(it.slot, it.after) for it in made.changes] == [(at("nx1", 7), None), (at("nx2", 7), None)]


def test_somebody_elses_entry_on_one_keeps_the_block_from_both() -> None:
    pinned = (*ON_BOTH[:1], replace(ON_BOTH[1], static=True))
    made = plan_for([V7], attribute(pair(*pinned)), by=policy("core"))
    assert [it.slot.device for it in made.changes] == ["gw"]
    assert "somebody has a static entry" in made.changes[0].why


@pytest.mark.parametrize(
    ("rows", "without"),
    [
        ((fdb("nx1", PO1, 7), fdb("nx2", PEER_LINK, 7)), ()),
        ((fdb("nx1", PO1, 7), fdb("nx2", PEER_LINK, 7)), ("nx1",)),
    ],
    ids=["it is behind an uplink of the peer", "nobody knows where it is on the peer"],
)
def test_who_is_beyond_the_edge_of_either_is_left_alone(rows: tuple[FdbEntry, ...], without: tuple[str, ...]) -> None:
    made = plan_for([request(7, on_device="nx2")], attribute(pair(*rows, without=without)))
    assert (made.changes, [it.safeguard for it in made.refusals]) == ((), ["uplink"])


# --- when one of them fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tables", [(), ("nx2",)], ids=["its table was read", "nor was its table"])
def test_one_that_cannot_be_read_is_refused_by_name_and_the_other_is_blocked(tables: tuple[str, ...]) -> None:
    made = plan_for([V7], attribute(pair(*ON_BOTH, without=tables)), enforced={"nx1": {}, "nx2": DEAD})
    assert slots_of(made) == [at("nx1", 7)]
    assert [(it.device, it.safeguard, it.verdict) for it in made.refusals] == [("nx2", "gap", V7.id)]


def test_when_it_is_back_it_gets_its_part() -> None:
    half: Mapping[str, Enforced | Gap] = {"nx1": {at("nx1", 7): Block()}, "nx2": {}}
    made = plan_for([V7], attribute(SEEN), [ours(at("nx1", 7), V7)], half)
    assert made.changes == (Change(at("nx2", 7), None, Block(), (V7.id,), V7.because),)


def test_also_when_whoever_is_cut_is_seen_nowhere_any_more() -> None:
    half: Mapping[str, Enforced | Gap] = {"nx1": {at("nx1", 7): Block()}, "nx2": {}}
    silent = attribute(pair(*ON_FIRST))
    assert slots_of(plan_for([V7], silent, [ours(at("nx1", 7), V7)], half)) == [at("nx2", 7)]
    whole = {name: {at(name, 7): Block()} for name in ("nx1", "nx2")}
    assert slots_of(plan_for([V7], silent, [ours(at(name, 7), V7) for name in whole], whole)) == []


def test_also_for_a_person_who_named_the_switch() -> None:
    half: Mapping[str, Enforced | Gap] = {"nx1": {at("nx1", 7): Block()}, "nx2": {}}
    asked = request(7, on_device="nx1")
    assert slots_of(plan_for([asked], attribute(pair(*ON_FIRST)), [ours(at("nx1", 7), asked)], half)) == [at("nx2", 7)]


def test_a_full_list_takes_no_more_also_then() -> None:
    able = {**ABLE, "nx2": replace(ABLE["nx2"], facts=replace(CORE_FACTS, capacity={"block": 1}))}
    full: Mapping[str, Enforced | Gap] = {"nx1": {at("nx1", 7): Block()}, "nx2": {at("nx2", 9): Block()}}
    silent = attribute(pair(*ON_FIRST))
    assert plan_for([V7], silent, [ours(at("nx1", 7), V7)], full, able).changes == ()


def test_a_push_that_failed_on_one_is_tried_again_there_alone() -> None:
    half: Mapping[str, Enforced | Gap] = {"nx1": {at("nx1", 7): Block()}, "nx2": {}}
    held = [ours(at("nx1", 7), V7), ours(at("nx2", 7), V7, state="failed")]
    assert slots_of(plan_for([V7], attribute(SEEN), held, half)) == [at("nx2", 7)]


def test_planning_twice_changes_nothing() -> None:
    whole = {name: {at(name, 7): Block()} for name in ("nx1", "nx2")}
    made = plan_for([V7], attribute(SEEN), [ours(at(name, 7), V7) for name in whole], whole)
    assert (made.changes, made.refusals, made.adopted, made.forgotten) == ((), (), (), ())


# --- is it still there? ----------------------------------------------------------------------------------------------


def moved(now: Snapshot, number: int = 7) -> dict[str, str]:
    """What is said of it after a plan was made for `SEEN` and the tables are as they are `now`."""
    found = attribute(SEEN)
    made = plan_for([verdict(number)], found)
    expected = tuple(whereabouts(made.changes, found))
    assert {it.device for it in expected} == {"nx1", "nx2"}
    return {str(mac): why for mac, why in gone(expected, now).items()}


def test_nothing_has_changed() -> None:
    assert (moved(SEEN), moved(SEEN, 8)) == ({}, {})


@pytest.mark.parametrize(
    "rows",
    [(ON_BOTH[0], fdb("nx2", PEER_LINK, 7)), (fdb("nx1", PEER_LINK, 7), ON_BOTH[1]), ON_BOTH[:1], ON_BOTH[1:]],
)
def test_whoever_lost_one_of_two_cables_is_still_there(rows: tuple[FdbEntry, ...]) -> None:
    assert moved(pair(*rows, *ON_FIRST)) == {}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((fdb("nx1", "Ethernet1/9", 7), fdb("nx2", PEER_LINK, 7)), "not on nx2 port-channel10 any more"),
        ((ON_BOTH[0], fdb("nx2", "Ethernet1/9", 7)), "has moved since it was judged: it is on nx2 Ethernet1/9"),
        ((), "is not on"),
    ],
)
def test_whoever_is_elsewhere_is_not_blocked(rows: tuple[FdbEntry, ...], why: str) -> None:
    assert why in moved(pair(*rows, *ON_FIRST))[str(mac(7))]


def test_whoever_left_the_port_of_one_is_not_blocked() -> None:
    now = pair(*ON_BOTH, fdb("nx1", PEER_LINK, 8), fdb("nx2", "Ethernet1/6", 8))
    assert "8 has moved" in moved(now, 8)[str(mac(8))] or "not on nx1 Ethernet1/5" in moved(now, 8)[str(mac(8))]
