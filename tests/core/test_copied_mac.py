"""A copied MAC gets nobody banned, whoever asks; the port of the copy can be penalised, as carefully as any port."""

from dataclasses import replace
from datetime import timedelta

import pytest
from plan_builders import (
    HOUR,
    NOTHING,
    NOW,
    UPLINKS,
    Reality,
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
    verdict,
    world,
)

from switchguard.core.changes import Slot, Whereabouts
from switchguard.core.decide import decide
from switchguard.core.evidence import Evidence
from switchguard.core.model import (
    Attribution,
    ClientId,
    Contested,
    FdbEntry,
    Gap,
    Link,
    Location,
    Mac,
    Reading,
    Snapshot,
    Station,
    Table,
)
from switchguard.core.penalties import Block, Exemption, Notify, Penalty, Quarantine, RateLimit, Verdict
from switchguard.core.policy import Policy, Rule, Sentence
from switchguard.core.rules import blind_spots, judge_all
from switchguard.core.stillthere import gone, stale

WHY = "it is on 2 edge ports at once: sw1 Gi0/7, sw2 Gi0/3"
SUSPECT = Location("sw2", Station("Gi0/3", 10, mac(7)), 4.0, 0.8)
COPIED = Contested(
    mac(7), (("sw1", "Gi0/7"), ("sw2", "Gi0/3")), WHY, certain=True, at_once=True, suspect=SUSPECT, addresses=(ip(7),)
)
MOVED_OR_COPIED = replace(COPIED, certain=False, at_once=False, suspect=None)
PORT = ClientId("interface:sw2 Gi0/3")
PORT_SLOT = Slot("sw2", "quarantine", Station(port="Gi0/3"))
RULE = Rule("copies", "copied_mac", 0.0, 1, Sentence(Quarantine(99)))


def copied(it: Contested = COPIED, on_port: frozenset[Mac] = frozenset({mac(7)})) -> Attribution:
    """Seven's MAC is on two switches."""
    nobodys = replace(client(7, on=None), why_no_location=WHY)
    rows = (FdbEntry("sw1", "Gi0/7", mac(7), 10), FdbEntry("sw2", "Gi0/3", mac(7), 10))
    seen = world(nobodys, client(8), contested={mac(7): it})
    ports = {**seen.macs_on_port, ("sw1", "Gi0/7"): frozenset({mac(7)}), ("sw2", "Gi0/3"): on_port}
    return replace(seen, sightings={**seen.sightings, mac(7): rows}, macs_on_port=ports)


def on_port(penalty: Penalty | None = None) -> Verdict:
    return replace(verdict(7, penalty or Quarantine(99), "copies"), client=PORT, addresses=())


# --- the MAC ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contested", [COPIED, MOVED_OR_COPIED], ids=["certain", "not yet"])
@pytest.mark.parametrize("place", ["core", "access", "gateway", "sw2"])
def test_no_rule_blocks_it_anywhere(contested: Contested, place: str) -> None:
    made = planned([verdict(7)], copied(contested), by=policy(place))
    assert (made.changes, safeguards_of(made)) == ((), ["copied_mac"])
    assert made.refusals[0].why == f"{mac(7)} may be used by more than one station: {WHY}"


@pytest.mark.parametrize(
    "asked",
    [
        request(7),
        request(7, override_exemption=True),
        request(7, on_device="sw2", vlan=10),
        replace(verdict(7), follows="v1"),
        replace(verdict(7), client=ClientId(f"address:{ip(7)}"), macs=()),
    ],
    ids=["a person", "with the override", "with a place", "a follow-up", "by its address"],
)
def test_nobody_else_blocks_it_either(asked: Verdict) -> None:
    assert safeguards_of(planned([asked], copied())) == ["copied_mac"]


def test_a_block_that_a_reload_lost_is_not_put_back() -> None:
    made = planned([verdict(7)], copied(MOVED_OR_COPIED), [ours(at("sw1", 7), verdict(7))])
    assert (slots_of(made), set(safeguards_of(made))) == ([], {"copied_mac"})


def test_what_stands_is_lifted_when_there_are_certainly_two() -> None:
    held, there = [ours(at("core", 7), verdict(7))], {"core": {at("core", 7): Block()}}
    made = planned([verdict(7)], copied(), held, there)
    assert [(it.slot, it.after) for it in made.changes] == [(at("core", 7), None)]
    assert set(safeguards_of(made)) == {"copied_mac"}


def test_what_stands_stays_while_it_may_only_have_moved() -> None:
    held, there = [ours(at("core", 7), verdict(7))], {"core": {at("core", 7): Block()}}
    assert planned([verdict(7)], copied(MOVED_OR_COPIED), held, there).changes == ()


def test_its_only_address_is_not_blocked_and_one_of_several_is() -> None:
    asked = replace(verdict(7, Block("address")), client=ClientId(f"address:{ip(7)}"), macs=())
    assert safeguards_of(planned([asked], copied(), by=policy("gateway"))) == ["copied_mac"]
    several = copied(replace(COPIED, addresses=(ip(7), ip(9))))
    apart = replace(
        several, clients=(replace(client(7, on=None), identity=asked.client, macs=(), addresses=(ip(7),)), client(8))
    )
    assert slots_of(planned([asked], apart, by=policy("gateway"))) == [Slot("gw", "block", address=ip(7))]


def test_its_exempt_owner_is_exempt_under_the_address_alone() -> None:
    asked = replace(verdict(7, RateLimit(64_000)), client=ClientId(f"address:{ip(7)}"), macs=())
    made = planned([asked], copied(), exemptions=[Exemption("x", "keynote", mac=mac(7))], by=policy("gateway"))
    assert safeguards_of(made) == ["exemption"]


def test_everybody_else_is_blocked_as_ever() -> None:
    assert slots_of(planned([verdict(8)], copied())) == [at("core", 8)]


# --- the port --------------------------------------------------------------------------------------------------------


def test_the_suspicious_port_is_penalised() -> None:
    made = planned([on_port()], copied())
    assert [(it.slot, it.after) for it in made.changes] == [(PORT_SLOT, Quarantine(99))]
    assert safeguards_of(made) == []


def test_a_penalty_of_the_port_stays_when_there_is_nothing_to_see_any_more() -> None:
    reality = Reality(NOTHING)
    reality = reality.after(planned([on_port()], copied()))
    quiet = world(client(7), client(8))
    assert planned([on_port()], quiet, reality.held, reality.enforced).changes == ()
    assert slots_of(planned([], quiet, reality.held, reality.enforced)) == [PORT_SLOT]


@pytest.mark.parametrize(
    ("seen", "safeguard"),
    [
        (world(client(7), client(8)), "unlocated"),
        (copied(MOVED_OR_COPIED), "unlocated"),
        (replace(copied(), uplinks={**UPLINKS, ("sw2", "Gi0/3"): "an access point"}), "uplink"),
        (replace(copied(), uplinks_known=frozenset()), "uplink"),
        (copied(on_port=frozenset({mac(7), mac(20)})), "spread"),
        (copied(on_port=frozenset({mac(20)})), "spread"),
        (copied(replace(COPIED, suspect=replace(SUSPECT, age_s=400.0))), "confidence"),
        (
            replace(
                copied(), neighbors_on_port={("sw2", "Gi0/3"): (Link("sw2", "Gi0/3", "ap", frozenset({"bridge"})),)}
            ),
            "uplink",
        ),
    ],
    ids=["no copy", "not certain", "uplink", "uplinks unknown", "two MACs", "another MAC", "long ago", "neighbour"],
)
def test_a_port_is_spared_for_the_reasons_of_every_port(seen: Attribution, safeguard: str) -> None:
    made = planned([on_port()], seen)
    assert (made.changes, safeguards_of(made)) == ((), [safeguard])


def test_a_port_with_the_mac_of_somebody_exempt_is_spared() -> None:
    """If we are wrong about the port, it is the owner's."""
    made = planned([on_port()], copied(), exemptions=[Exemption("x", "keynote", mac=mac(7))])
    assert (made.changes, safeguards_of(made)) == ((), ["exemption"])


# --- the rule --------------------------------------------------------------------------------------------------------


def found(it: Contested) -> Evidence:
    return Evidence(copied(it), NOW)


def test_the_rule_finds_the_suspicious_port() -> None:
    (finding,) = judge_all(found(COPIED), [RULE])
    assert (finding.client, finding.macs, finding.location, finding.penalty) == (PORT, (mac(7),), SUSPECT, None)
    assert finding.because == f"it seems to use a copy of {mac(7)}, which was on sw1 Gi0/7 before: {WHY}"
    (sentenced,) = decide([finding], (), (), Policy(rules=(RULE,)), NOW).standing
    assert slots_of(planned([sentenced], copied())) == [PORT_SLOT]


def test_where_it_cannot_be_told_both_ports_are_named_and_none_is_penalised() -> None:
    (finding,) = judge_all(found(replace(COPIED, suspect=None)), [RULE])
    assert finding.client == "interface:sw1 Gi0/7, sw2 Gi0/3"
    assert (finding.penalty, finding.until) == (Notify(), NOW + HOUR)


def test_who_may_only_have_moved_is_not_found() -> None:
    assert judge_all(found(MOVED_OR_COPIED), [RULE]) == ()


def test_without_switches_the_rule_is_blind() -> None:
    nothing = Evidence(replace(copied(), uplinks_known=frozenset()), NOW)
    assert blind_spots(nothing, [RULE]) == (("copies", "no switch tells its stations and its uplinks"),)


# --- before the push -------------------------------------------------------------------------------------------------


def expected(made_on: str = "core") -> tuple[Whereabouts, ...]:
    return planned([verdict(7)], world(client(7)), by=policy(made_on)).whereabouts


def table(*rows: FdbEntry, of: tuple[str, ...] = ("core", "sw1"), gaps: tuple[Gap, ...] = ()) -> Snapshot:
    name: Table = "fdb"
    readings = tuple(Reading(device, name, NOW, 10, 0.1) for device in of)
    return Snapshot(NOW, (), fdb=rows, readings=readings, gaps=gaps)


HOME_ROWS = (FdbEntry("core", "Gi0/2", mac(7), 10), FdbEntry("sw1", "Gi0/7", mac(7), 10))


def test_a_block_says_what_it_rests_on() -> None:
    assert [(it.device, it.ports, it.edge) for it in expected()] == [
        ("core", frozenset({"Gi0/2"}), None),
        ("sw1", frozenset({"Gi0/7"}), "Gi0/7"),
    ]
    assert [it.device for it in expected("access")] == ["sw1"]


def test_what_was_read_just_now_is_not_read_again() -> None:
    assert stale(expected(), NOW + timedelta(seconds=4), timedelta(seconds=5)) == ()
    assert stale(expected(), NOW + timedelta(seconds=6), timedelta(seconds=5)) == expected()


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (table(*HOME_ROWS), None),
        (table(HOME_ROWS[0], FdbEntry("sw1", "Gi0/9", mac(7), 10)), "is not on sw1 Gi0/7 any more, but on sw1 Gi0/9"),
        (table(HOME_ROWS[0]), "is not on sw1 Gi0/7 any more"),
        (table(*HOME_ROWS, FdbEntry("sw1", "Gi0/9", mac(7), 20)), "is on several ports now: sw1 Gi0/7, sw1 Gi0/9"),
        (
            table(FdbEntry("core", "Gi0/3", mac(7), 10), HOME_ROWS[1]),
            "has moved since it was judged: it is on core Gi0/3",
        ),
        (table(HOME_ROWS[1]), None),
    ],
    ids=["there", "moved", "gone", "on two ports", "elsewhere for the core", "hidden from the core"],
)
def test_a_mac_that_is_not_where_it_was_is_not_blocked(seen: Snapshot, why: str | None) -> None:
    assert gone(expected(), seen) == ({} if why is None else {mac(7): f"{mac(7)} {why}"})


def test_a_switch_that_does_not_answer_vouches_for_nobody() -> None:
    gap = Gap("sw1", "fdb", "no answer in 2 s")
    why = f"whether {mac(7)} is still there cannot be asked: sw1: no answer in 2 s"
    assert gone(expected(), table(HOME_ROWS[0], of=("core",), gaps=(gap,))) == {mac(7): why}


def test_a_release_and_a_notice_rest_on_no_place() -> None:
    held, there = [ours(at("core", 7), verdict(7))], {"core": {at("core", 7): Block()}}
    assert planned([], world(client(7)), held, there).whereabouts == ()
    assert planned([verdict(7, Notify())], world(client(7))).whereabouts == ()


def test_who_has_no_place_is_believed() -> None:
    """Where no switch is read, the gateway's own table is all the evidence that there is."""
    made = planned([verdict(7)], world(client(7, on=None)), by=policy("gateway"))
    assert [(it.slot.device, made.whereabouts) for it in made.changes] == [("gw", ())]
