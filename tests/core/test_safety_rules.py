"""The safety rules of the design, one class each, as far as decisions can hold them.

Of rule 7 the order of recording, of rule 9 the check before every write, and of rule 11 the command lines, host keys
and secrets are the edge's and the drivers' to hold.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from plan_builders import (
    CORE_ADDRESS,
    CORE_MAC,
    HOUR,
    NOW,
    UNREADABLE,
    Reality,
    at,
    client,
    ip,
    mac,
    observing,
    ours,
    planned,
    policy,
    request,
    safeguards_of,
    slots_of,
    verdict,
    who,
    world,
)

from switchguard.core.changes import Enforced, Plan, Slot
from switchguard.core.decide import decide, manual
from switchguard.core.explain import change_sentence, verdict_sentence
from switchguard.core.model import ClientId, FdbEntry, Gap, Link, Mac, Mode, Station
from switchguard.core.penalties import Block, Exemption, Finding, RateLimit, SessionCap
from switchguard.core.policy import Policy, Rule, Safeguards, Sentence

V7 = verdict(7)
LIMIT = verdict(7, RateLimit(64_000))
BLOCKED = {"core": {at("core", 7): Block()}}
HELD = [ours(at("core", 7), V7)]
STAGE = Exemption("x1", "stage", mac=mac(7))


def refused(made: Plan, safeguard: str) -> bool:
    """Nothing is done nor would be, for this reason."""
    return (made.changes, made.observed, made.flushes) == ((), (), ()) and set(safeguards_of(made)) == {safeguard}


class TestRule1OneChokePointForEveryPath:
    @pytest.mark.parametrize(
        "exemption",
        [
            STAGE,
            Exemption("x1", "stage", network=ip_network("10.10.0.96/28")),
            Exemption("x1", "stage", user="alice"),
            Exemption("x1", "stage", mac=mac(7), until=NOW + HOUR),
        ],
    )
    def test_the_exempt_are_refused_whoever_asks(self, exemption: Exemption) -> None:
        seen = world(replace(client(7), owner="alice"))
        for asked in (V7, request(7), request(7, on_device="core", vlan=10), verdict(7, SessionCap(9))):
            assert refused(planned([asked], seen, exemptions=[exemption]), "exemption")

    def test_exemptions_of_the_policy_count_as_those_of_the_ledger(self) -> None:
        assert refused(planned([V7], world(client(7)), by=policy(exemptions=(STAGE,))), "exemption")

    def test_an_exemption_lifts_what_stands(self) -> None:
        made = planned([V7], world(client(7)), HELD, BLOCKED, exemptions=[STAGE])
        assert [(it.slot, it.after, it.why) for it in made.changes] == [(at("core", 7), None, "it is exempt: stage")]
        assert safeguards_of(made) == ["exemption"]

    def test_an_exempt_user_is_exempt_with_every_mac(self) -> None:
        alice = replace(client(7), identity=ClientId("user:alice"))
        assert refused(planned([V7], world(alice), exemptions=[Exemption("x", "staff", user="alice")]), "exemption")

    @pytest.mark.parametrize(
        "exemption",
        [
            Exemption("x1", "over", mac=mac(7), until=NOW),
            Exemption("x1", "another MAC", mac=mac(70)),
            Exemption("x1", "another network", network=ip_network("10.10.0.10/32")),
            Exemption("x1", "another family", network=ip_network("::/0")),
            Exemption("x1", "part of a name", user="alic"),
        ],
    )
    def test_exemptions_match_whole_values_until_they_end(self, exemption: Exemption) -> None:
        seen = world(replace(client(7), owner="alice"))
        assert slots_of(planned([V7], seen, exemptions=[exemption])) == [at("core", 7)]

    def test_a_person_can_override_an_exemption_and_it_is_written_down(self) -> None:
        made = planned([request(7, override_exemption=True)], world(client(7)), exemptions=[STAGE])
        assert slots_of(made) == [at("core", 7)]
        assert made.changes[0].why == "complaints, asked for by anna, overriding the exemption: stage"

    def test_overriding_nothing_is_not_written_down(self) -> None:
        made = planned([request(7, override_exemption=True)], world(client(7)))
        assert made.changes[0].why == "complaints, asked for by anna"

    def test_a_rule_cannot_override(self) -> None:
        sly = replace(V7, rule="manual", override_exemption=True)
        assert refused(planned([sly], world(client(7)), exemptions=[STAGE]), "exemption")

    def test_exemptions_that_cannot_be_read_stop_everything(self) -> None:
        gap = Gap("ledger", "enforced", "disk full")
        made = planned([V7], world(client(7)), [ours(at("core", 8), verdict(8))], BLOCKED, exemptions=gap)
        assert made == Plan(NOW, refusals=made.refusals)
        assert safeguards_of(made) == ["exemption"]
        assert made.refusals[0].device is None, "the ledger is no device"

    def test_who_gets_an_exempt_clients_old_address_is_not_exempt_by_it(self) -> None:
        """The address that a verdict remembers may be somebody else's by now, who may be exempt."""
        seen = world(replace(client(7), addresses=()), replace(client(8), addresses=(ip(7),)))
        exempt = [Exemption("x", "server", network=ip_network(f"{ip(7)}/32"))]
        assert slots_of(planned([V7], seen, exemptions=exempt)) == [at("core", 7)]


class TestRule2NeverTheNetworkItself:
    @pytest.mark.parametrize(
        "reserved",
        [
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:fb",
            "00:00:00:00:00:00",
            "00:00:5e:00:01:07",
            "00:00:5e:00:02:07",
            "00:00:0c:07:ac:07",
            "00:00:0c:9f:f0:07",
            "00:05:73:a0:00:07",
            "00:07:b4:00:01:01",
        ],
    )
    def test_reserved_macs(self, reserved: str) -> None:
        victim = Mac.parse(reserved)
        asked = request(7, client=ClientId(f"mac:{victim}"), macs=(victim,), on_device="core", vlan=10)
        assert refused(planned([asked], world()), "infrastructure")

    def test_macs_of_our_own_devices(self) -> None:
        asked = request(7, client=ClientId(f"mac:{CORE_MAC}"), macs=(CORE_MAC,), override_exemption=True)
        made = planned([asked], world())
        assert refused(made, "infrastructure")
        assert made.refusals[0].why == f"{CORE_MAC} belongs to core"

    def test_addresses_of_our_own_devices(self) -> None:
        asked = replace(verdict(7, SessionCap(9)), addresses=(CORE_ADDRESS,))
        assert refused(planned([asked], world(client(7))), "infrastructure")

    def test_a_block_that_turns_out_to_be_on_our_own_device_is_lifted(self) -> None:
        seen = world(client(7), infrastructure={mac(7): "sw3"})
        made = planned([V7], seen, HELD, BLOCKED)
        assert [it.after for it in made.changes] == [None]

    @pytest.mark.parametrize("asked", [V7, request(7), request(7, on_device="core", vlan=10)])
    def test_a_mac_with_many_addresses_may_be_a_router(self, asked: object) -> None:
        router = replace(client(7), addresses=tuple(ip_address(f"10.10.1.{n}") for n in range(9)))
        assert refused(planned([asked], world(router)), "router")  # type: ignore[list-item]  # a Verdict each

    def test_eight_addresses_are_still_a_client(self) -> None:
        busy = replace(client(7), addresses=tuple(ip_address(f"10.10.1.{n}") for n in range(8)))
        assert slots_of(planned([replace(V7, addresses=())], world(busy))) == [at("core", 7)]

    def test_taking_many_addresses_does_not_shake_off_a_block(self) -> None:
        router = replace(client(7), addresses=tuple(ip_address(f"10.10.1.{n}") for n in range(9)))
        assert planned([V7], world(router), HELD, BLOCKED).changes == ()

    def test_a_lost_block_is_not_put_back_on_what_may_be_a_router(self) -> None:
        router = replace(client(7), addresses=tuple(ip_address(f"10.10.1.{n}") for n in range(9)))
        made = planned([V7], world(router), HELD)
        assert (made.changes, made.forgotten, set(safeguards_of(made))) == ((), (at("core", 7),), {"router"})

    def test_a_mac_seen_on_uplinks_only_is_beyond_our_edge(self) -> None:
        rows = (FdbEntry("core", "Gi0/1", mac(7), 10), FdbEntry("sw1", "Gi0/24", mac(7), 10))
        seen = world(client(7, on=None), sightings={mac(7): rows})
        assert refused(planned([V7, request(7, on_device="core", vlan=10)], seen), "uplink")

    def test_uplinks_unknown_means_no_port_action(self) -> None:
        made = planned([LIMIT], world(client(7), uplinks_known=frozenset({"core"})), by=policy("sw1"))
        assert [it.slot.address for it in made.changes] == [ip(7)], "the gateway does it instead"
        assert "the uplinks of sw1 are not known" in made.changes[0].why


class TestRule3PortActionsAreSpecial:
    """On the client's access switch, by a device that can do nothing else."""

    ON_SW1 = request(7, RateLimit(64_000), on_device="sw1")

    def test_the_default_action_is_on_the_mac(self) -> None:
        assert slots_of(planned([V7], world(client(7)), by=policy("access"))) == [at("sw1", 7)]

    def test_an_uplink_is_refused(self) -> None:
        seen = world(client(7), uplinks={("sw1", "Gi0/7"): "the site declares it", ("core", "Gi0/2"): "sw1"})
        rows = {mac(7): (FdbEntry("sw2", "Gi0/1", mac(7), 10),)}
        assert refused(planned([self.ON_SW1], replace(seen, sightings=rows)), "uplink")

    def test_a_link_aggregate_is_refused(self) -> None:
        seven = client(7)
        assert seven.location is not None
        there = replace(seven.location, station=Station("Port-channel1", 10, mac(7)))
        assert refused(planned([self.ON_SW1], world(replace(seven, location=there))), "uplink")

    @pytest.mark.parametrize("capabilities", [{"bridge"}, {"wlan-access-point", "telephone"}, set[str]()])
    def test_a_neighbour_that_is_no_telephone_is_refused(self, capabilities: set[str]) -> None:
        link = Link("sw1", "Gi0/7", "thing", frozenset(capabilities))
        seen = world(client(7), neighbors_on_port={("sw1", "Gi0/7"): (link,)})
        assert refused(planned([self.ON_SW1], seen), "uplink")

    @pytest.mark.parametrize("chassis", [mac(70), None])
    def test_a_telephone_does_not_count(self, chassis: Mac | None) -> None:
        phone = Link("sw1", "Gi0/7", "SEP0200", frozenset({"bridge", "telephone"}), chassis)
        seen = world(
            client(7),
            neighbors_on_port={("sw1", "Gi0/7"): (phone,)},
            macs_on_port={("sw1", "Gi0/7"): frozenset({mac(7), mac(70)})},
        )
        assert len(planned([self.ON_SW1], seen).changes) == 1
        crowded = replace(seen, macs_on_port={("sw1", "Gi0/7"): frozenset({mac(7), mac(70), mac(71)})})
        assert refused(planned([self.ON_SW1], crowded), "spread")

    def test_more_macs_than_allowed_are_refused(self) -> None:
        seen = world(client(7), macs_on_port={("sw1", "Gi0/7"): frozenset({mac(7), mac(8)})})
        assert refused(planned([self.ON_SW1], seen), "spread")
        two = policy(safeguards=Safeguards(max_macs_per_port=2))
        assert len(planned([self.ON_SW1], seen, by=two).changes) == 1

    def test_a_port_where_somebody_else_is_by_now_is_refused(self) -> None:
        seen = world(client(7), macs_on_port={("sw1", "Gi0/7"): frozenset({mac(8)})})
        assert refused(planned([self.ON_SW1], seen), "spread")

    @pytest.mark.parametrize("weak", [client(7, confidence=0.69), client(7, age=301)])
    def test_weak_evidence_is_refused_even_if_a_person_names_the_switch(self, weak: object) -> None:
        assert refused(planned([self.ON_SW1], world(weak)), "confidence")  # type: ignore[arg-type]  # Clients


class TestRule4TooManyAtOnceLookLikeOurMistake:
    def crowd(self, count: int = 300) -> Plan:
        people = [client(n) for n in range(1, 100)]
        limits = Safeguards(new_per_cycle=10, share_of_clients=0.05)
        return planned([verdict(n) for n in range(1, count + 1)], world(*people), by=policy(safeguards=limits))

    def test_more_than_may_be_are_all_refused(self) -> None:
        assert refused(self.crowd(11), "blast_radius")
        assert refused(self.crowd(5), "blast_radius"), "4.95 clients are 5 %"
        assert len(self.crowd(4).changes) == 4

    def test_one_client_may_always_be_penalised_by_several_rules(self) -> None:
        limits = policy(safeguards=Safeguards(share_of_clients=0.0))
        both = [V7, verdict(7, RateLimit(64_000), "hog")]
        assert len(planned(both, world(client(7)), by=limits).changes) == 2
        assert refused(planned([V7, verdict(8)], world(client(7), client(8)), by=limits), "blast_radius")

    def test_no_new_penalty_at_all(self) -> None:
        none = policy(safeguards=Safeguards(new_per_cycle=0))
        assert refused(planned([V7], world(client(7)), by=none), "blast_radius")

    def test_what_was_refused_does_not_slip_through_in_the_next_cycle(self) -> None:
        limits = policy(safeguards=Safeguards(share_of_clients=0.0))
        wanted, seen = [V7, verdict(8)], world(client(7), client(8))
        for minute in range(5):
            now = NOW + timedelta(minutes=minute)
            assert refused(planned(wanted, seen, by=limits, now=now), "blast_radius")

    def test_what_waited_for_other_reasons_is_let_in_bit_by_bit(self) -> None:
        limits = policy(safeguards=Safeguards(share_of_clients=0.0))
        older, seen = verdict(8, since=NOW - HOUR), world(client(7), client(8))
        first = planned([V7, older], seen, by=limits)
        assert (slots_of(first), [it.verdict for it in first.refusals]) == ([at("core", 8)], ["swarm-7"])
        held, there = [ours(at("core", 8), older)], {"core": {at("core", 8): Block()}}
        assert slots_of(planned([V7, older], seen, held, there, by=limits)) == [at("core", 7)]

    def test_what_is_only_observed_is_braked_as_it_came(self) -> None:
        limits = policy(safeguards=Safeguards(share_of_clients=0.0))
        seen, watching = world(client(7), client(8)), observing("core")
        came_apart = planned([V7, verdict(8, since=NOW - HOUR)], seen, by=limits, enforcers=watching)
        assert (len(came_apart.observed), came_apart.refusals) == (2, ())
        came_together = planned([V7, verdict(8)], seen, by=limits, enforcers=watching)
        assert refused(came_together, "blast_radius")

    def test_a_person_is_not_held_back_by_a_crowd(self) -> None:
        limits = policy(safeguards=Safeguards(share_of_clients=0.0))
        seen = world(client(7), client(8), client(9))
        made = planned([V7, verdict(8), request(9)], seen, by=limits)
        assert (slots_of(made), safeguards_of(made)) == ([at("core", 9)], ["blast_radius"] * 2)

    def test_a_device_that_holds_enough_stops_a_person_too(self) -> None:
        full = policy(safeguards=Safeguards(per_device=1))
        seen = world(client(7), client(8))
        assert refused(planned([V7, request(8)], seen, HELD, BLOCKED, by=full), "blast_radius")
        made = planned([V7, verdict(8), request(8)], seen, HELD, BLOCKED, by=full)
        assert (made.changes, [it.verdict for it in made.refusals]) == ((), ["manual-8", "swarm-8"])

    def test_a_full_device_refuses_all_of_the_cycle(self) -> None:
        full = policy("access", Safeguards(share_of_clients=1.0, per_device=1))
        seen = world(client(7), client(8), client(9, on="sw2"))
        assert refused(planned([V7, verdict(8), verdict(9)], seen, by=full), "blast_radius")

    def test_a_ladder_that_begins_gently_ends_under_the_brakes(self) -> None:
        """A limit for forty strangers is harmless. A block of forty, half a day later, is as many as ever."""
        steps = Sentence(RateLimit(1_000_000), 12 * HOUR, then=(Sentence(Block(), 12 * HOUR),))
        rule = Rule("opt_in", "registered_only", 0.0, 1, steps)
        by = replace(policy(safeguards=Safeguards()), rules=(rule,))
        strangers = range(31, 71)
        seen = world(*(client(n) for n in strangers))
        found = [Finding(who(n), "opt_in", 1, 0, "", 1, (mac(n),), (ip(n),), routine=True) for n in strangers]
        limits = decide(found, (), (), by, NOW)
        assert len(planned(limits.standing, seen, by=by).changes) == 40
        blocks = decide(found, limits.standing, (), by, NOW + 12 * HOUR)
        assert {it.penalty for it in blocks.standing} == {Block()}
        made = planned(blocks.standing, seen, by=by, now=NOW + 12 * HOUR)
        assert (made.changes, {it.safeguard for it in made.refusals}) == ((), {"blast_radius"})

    def test_lines_in_several_vlans_are_one_penalty(self) -> None:
        one = policy(safeguards=Safeguards(per_device=1))
        rows = (FdbEntry("core", "Gi0/2", mac(7), 20), FdbEntry("sw1", "Gi0/7", mac(7), 10))
        made = planned([V7], world(client(7), sightings={mac(7): rows}), by=one)
        assert slots_of(made) == [at("core", 7, 10), at("core", 7, 20)]

    def test_brakes_never_stop_a_release(self) -> None:
        held = [ours(at("core", n), verdict(n)) for n in range(1, 90)]
        there = {"core": {at("core", n): Block() for n in range(1, 90)}}
        none = policy(safeguards=Safeguards(new_per_cycle=0, per_device=0))
        assert len(planned([], world(), held, there, by=none).changes) == 89

    def test_lost_lines_are_put_back_whatever_their_number(self) -> None:
        many = [verdict(n) for n in range(1, 20)]
        held = [ours(at("core", n), verdict(n)) for n in range(1, 20)]
        limits = policy(safeguards=Safeguards(new_per_cycle=1))
        made = planned(many, world(*(client(n) for n in range(1, 20))), held, by=limits)
        assert (len(made.changes), made.refusals) == (19, ())


class TestRule5TheClockAloneEndsAPenalty:
    RULE = Rule("swarm", "naughty_factor", 0.8, 1, Sentence(Block()))

    def test_unplugging_is_no_pardon(self) -> None:
        decision = decide((), [V7], (), Policy(rules=(self.RULE,)), NOW + HOUR)
        assert decision.standing == (V7,)
        assert planned(decision.standing, world(), HELD, BLOCKED) == Plan(NOW)

    def test_a_device_with_a_gap_keeps_what_it_has(self) -> None:
        for wanted in ([V7], []):
            made = planned(wanted, world(client(7)), HELD, {"core": UNREADABLE})
            assert (made.changes, made.forgotten, safeguards_of(made)) == ((), (), ["gap"])

    def test_on_time_it_is_released(self) -> None:
        decision = decide((), [V7], (), Policy(rules=(self.RULE,)), NOW + 2 * HOUR)
        made = planned(decision.standing, world(), HELD, BLOCKED, now=NOW + 2 * HOUR)
        assert [it.after for it in made.changes] == [None]


class TestRule6OnlyWhatWePutThere:
    def test_an_administrators_drop_is_neither_lifted_nor_made_ours(self) -> None:
        assert planned([], world(client(7)), (), BLOCKED) == Plan(NOW)
        made = planned([V7], world(client(7)), (), BLOCKED)
        assert (made.changes, made.adopted, safeguards_of(made)) == ((), (), ["foreign"])

    def test_releasing_everything_releases_ours(self) -> None:
        there = {"core": {at("core", 7): Block(), at("core", 1): Block()}}
        made = planned([], world(), HELD, there)
        assert [(it.slot, it.after) for it in made.changes] == [(at("core", 7), None)]


class TestRule7ACrashIsRepairedByTheNextCycle:
    SEEN = world(client(7))

    def test_before_the_push_it_is_pushed(self) -> None:
        held = [ours(at("core", 7), V7, state="planned")]
        assert slots_of(planned([V7], self.SEEN, held)) == [at("core", 7)]

    def test_after_the_push_it_is_adopted(self) -> None:
        held = [ours(at("core", 7), V7, state="planned")]
        made = planned([V7], self.SEEN, held, BLOCKED)
        assert (made.changes, [it.slot for it in made.adopted]) == ((), [at("core", 7)])

    def test_a_release_that_was_cut_short_is_repeated(self) -> None:
        held = [ours(at("core", 7), V7, state="releasing")]
        assert [it.after for it in planned([], self.SEEN, held, BLOCKED).changes] == [None]
        assert planned([], self.SEEN, held).forgotten == (at("core", 7),)

    def test_a_block_whose_verdict_ended_meanwhile_is_not_orphaned(self) -> None:
        held = [ours(at("core", 7), V7, state="pushed")]
        assert [it.after for it in planned([], self.SEEN, held, BLOCKED).changes] == [None]


class TestRule8CausesAndPlacesAreKeptApart:
    def test_the_last_cause_releases(self) -> None:
        quota = verdict(7, rule="quota")
        held = [ours(at("core", 7), V7, quota)]
        for left, after in (([V7, quota], []), ([quota], []), ([V7], []), ([], [None])):
            made = planned(left, world(client(7)), held, BLOCKED)
            assert [it.after for it in made.changes] == after

    def test_the_new_place_is_seen_before_the_old_one_is_opened(self) -> None:
        reality = Reality({"core": {}, "gw": {}, "sw1": {at("sw1", 7): Block()}, "sw2": {}}, (ours(at("sw1", 7), V7),))
        blocked = []
        for _ in range(3):
            made = planned([V7], world(client(7, on="sw2")), reality.held, reality.enforced, by=policy("access"))
            reality = reality.after(made)
            blocked.append({it.slot.device for it in reality.held})
        assert blocked == [{"sw1", "sw2"}, {"sw2"}, {"sw2"}]


class TestRule9ObserveIsTheDefault:
    def test_nothing_is_written_unless_site_and_device_say_so(self) -> None:
        assert Policy().mode is Mode.OBSERVE
        for by, enforcers in ((policy(mode=Mode.OBSERVE), observing()), (policy(), observing("core"))):
            made = planned([V7], world(client(7)), by=by, enforcers=enforcers)
            assert (made.changes, made.flushes, [it.slot for it in made.observed]) == ((), (), [at("core", 7)])

    def test_what_we_put_there_ends_on_time_in_observe_mode_too(self) -> None:
        made = planned([], world(), HELD, BLOCKED, by=policy(mode=Mode.OBSERVE))
        assert ([it.after for it in made.changes], made.observed) == ([None], ())

    def test_paused_means_nothing_at_all_not_even_releases(self) -> None:
        made = planned([verdict(8)], world(client(8)), HELD, BLOCKED, paused="keynote")
        assert made == Plan(NOW, refusals=made.refusals)
        assert ([it.why for it in made.refusals], safeguards_of(made)) == (["paused: keynote"], ["paused"])

    def test_release_all_is_a_plan_for_nobody(self) -> None:
        held = [ours(at("core", 7), V7), ours(Slot("gw", "cap", address=ip(8)), verdict(8), penalty=SessionCap(9))]
        there: Mapping[str, Enforced] = {
            "core": {at("core", 7): Block()},
            "gw": {Slot("gw", "cap", address=ip(8)): SessionCap(9)},
        }
        reality = Reality({**there, "sw1": {}, "sw2": {}}, tuple(held))
        assert reality.after(planned([], world(), held, there)).held == ()


class TestRule10EvidenceStays:
    def test_every_verdict_and_change_says_why(self) -> None:
        rule = Rule("swarm", "naughty_factor", 0.8, 1, Sentence(Block()))
        breach = Finding(V7.client, "swarm", 0.93, 0.8, "1,490 of 1,500 hosts differ", macs=(mac(7),))
        (sentenced,) = decide([breach], (), (), Policy(rules=(rule,)), NOW).standing
        (change,) = planned([sentenced], world(client(7))).changes
        assert "1,490 of 1,500 hosts differ" in verdict_sentence(sentenced)
        assert "1,490 of 1,500 hosts differ" in change_sentence(change)


class TestRule11TextFromPeopleStaysText:
    def test_an_id_is_harmless_whatever_a_person_is_called(self) -> None:
        asked = manual(ClientId("user:x; reload\n"), Block(), NOW, HOUR, "no shutdown\n", "anna")
        assert asked.id.isalnum()

    def test_a_reason_cannot_steer_the_terminal(self) -> None:
        assert "\x1b" not in verdict_sentence(replace(V7, because="\x1b[2Jall is well"))
