"""The same device with another MAC: what speaks for it, what against, and crowds in which it is easily mistaken."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOON
from hypothesis import given
from hypothesis import strategies as st
from identity_builders import (
    MINUTE,
    Swarm,
    burnt_in,
    randomised,
    scene,
    seen_talking,
    sketch,
    talking,
    told,
    trace,
)

from switchguard.core.identity import (
    AGEING,
    Scene,
    both_there,
    contradicted,
    counted,
    link_sentence,
    own_id,
    recognise,
    resemblance,
)
from switchguard.core.policy import IdentityPolicy
from switchguard.core.sketch import similarity
from switchguard.core.traces import Link, Trace

POLICY = IdentityPolicy()
WITHIN = POLICY.within
PEERS = list(range(1000))
OLD = talking(trace(burnt_in(7), NOON - 60 * MINUTE, NOON), PEERS)
NEW = talking(trace(randomised(7), NOON + MINUTE), PEERS)


def links(*new: Trace, old: Trace = OLD, at: Scene | None = None) -> tuple[Link, ...]:
    return recognise([old], new, at or scene(NOON + 2 * MINUTE, (old, *new)), POLICY)


def confidence(new: Trace, old: Trace = OLD) -> float:
    return next((link.confidence for link in links(new, old=old)), 0.0)


# --- what speaks for it ----------------------------------------------------------------------------------------------


def test_the_same_peers_on_the_same_port_are_the_same_device() -> None:
    assert confidence(NEW) == pytest.approx(0.977, abs=0.002)


def test_the_port_and_a_fresh_randomised_mac_alone_are_not_enough() -> None:
    assert confidence(replace(NEW, prints=())) == pytest.approx(0.63, abs=0.02)


def test_the_very_same_peers_elsewhere_are_not_enough() -> None:
    assert confidence(replace(NEW, port="Gi0/9")) == pytest.approx(0.3, abs=0.02)


def test_a_hostname_that_nobody_else_has_is_enough_beside_the_port() -> None:
    old, new = (told(replace(it, prints=()), "toms-laptop") for it in (OLD, NEW))
    assert confidence(new, old) > 0.95


def test_hostname_and_client_identifier_copied_by_somebody_elsewhere_pass_no_blame_on() -> None:
    """An offender names itself like a neighbour and goes; the neighbour comes, on another port, as ever."""
    ident = "ff:00:00:00:01:00:02"
    old = told(replace(OLD, prints=()), "alice", ident)
    alice = told(replace(NEW, mac=burnt_in(99), port="Gi0/9", prints=()), "alice", ident)
    assert confidence(alice, old) < POLICY.follow_above
    known = replace(alice, first_seen=NOON - timedelta(days=9))
    assert confidence(known, old) < 0.2


def test_the_name_of_a_product_is_many_peoples_even_where_only_two_are_seen_with_it() -> None:
    old, new = (told(replace(it, prints=(), port=None), "iphone") for it in (OLD, NEW))
    assert confidence(new, old) < 0.2


def test_a_client_identifier_that_is_but_the_mac_says_nothing() -> None:
    assert own_id(told(OLD, client_id=f"01:{OLD.mac}")) is None
    assert own_id(told(OLD, client_id="01:02:00:00:00:77:07")) is not None


def test_behind_a_crowded_radio_cell_the_port_says_little() -> None:
    crowd = frozenset({NEW.mac, *(randomised(number) for number in range(100, 129))})
    crowded = replace(scene(NOON + 2 * MINUTE, (OLD, NEW)), on_port={("sw1", "Gi0/7"): crowd})
    ((link),) = recognise([OLD], [NEW], crowded, POLICY)
    assert link.confidence < POLICY.follow_above


# --- what speaks against it ------------------------------------------------------------------------------------------


def test_who_was_active_at_the_same_time_is_somebody_else() -> None:
    awake = replace(OLD, last_seen=NOON + 2 * MINUTE, last_active=NOON + 2 * MINUTE)
    assert both_there(awake, NEW)
    assert links(NEW, old=awake) == ()


def test_being_listed_a_little_longer_is_no_contradiction_but_lowers_the_confidence() -> None:
    listed = replace(OLD, last_seen=NOON + 2 * MINUTE)
    assert 0.8 < confidence(NEW, listed) < confidence(NEW)
    for_ever = replace(OLD, last_seen=NEW.appeared + AGEING + MINUTE)
    assert links(NEW, old=for_ever) == ()


def test_another_hostname_lowers_it_below_any_threshold() -> None:
    assert confidence(told(NEW, "annas-phone"), told(OLD, "toms-laptop")) < 0.75


def test_other_peers_lower_it() -> None:
    elsewhere = talking(NEW, list(range(5000, 6000)))
    assert confidence(elsewhere) < confidence(replace(NEW, prints=()))


def test_who_comes_too_late_or_was_there_before_is_no_candidate() -> None:
    late = replace(NEW, appeared=NOON + WITHIN + MINUTE, first_seen=NOON + WITHIN + MINUTE)
    early = replace(NEW, appeared=NOON - 90 * MINUTE, first_seen=NOON - 90 * MINUTE)
    assert links(late) == links(early) == ()


def test_who_has_come_back_is_less_likely_than_who_was_never_seen() -> None:
    assert confidence(replace(NEW, first_seen=NOON - timedelta(days=3))) < confidence(NEW)


def test_a_link_is_given_up_when_both_are_seen_at_once() -> None:
    (link,) = links(NEW)
    back = replace(OLD, last_seen=NOON + 3 * MINUTE, last_active=NOON + 3 * MINUTE)
    assert contradicted(link, {back.mac: back, NEW.mac: NEW})
    assert not contradicted(link, {OLD.mac: OLD, NEW.mac: NEW})


def test_going_back_to_the_old_mac_contradicts_nothing() -> None:
    (link,) = links(NEW)
    again = NOON + 20 * MINUTE
    back = replace(OLD, appeared=again, last_seen=again, last_active=again)
    assert not contradicted(link, {back.mac: back, NEW.mac: NEW})


# --- populations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("peers", [300, 800, 3000])
def test_two_clients_of_one_swarm_are_not_linked(peers: int, seed: int) -> None:
    """One is blocked and leaves; minutes later another one, elsewhere, opens the same torrent with a fresh MAC."""
    swarm = Swarm(peers, seed)
    old = talking(trace(randomised(1), NOON - 30 * MINUTE, NOON), swarm.joined(200))
    swarm.later(3)
    other = talking(trace(randomised(2), NOON + 3 * MINUTE, port="Gi0/12"), swarm.joined(200))
    assert confidence(other, old) < 0.5


@pytest.mark.parametrize("seed", range(5))
def test_not_even_behind_the_same_access_point(seed: int) -> None:
    swarm = Swarm(500, seed)
    old = talking(trace(randomised(1), NOON - 30 * MINUTE, NOON), swarm.joined(200))
    swarm.later(3)
    other = talking(trace(randomised(2), NOON + 3 * MINUTE), swarm.joined(200))
    crowd = frozenset(randomised(number) for number in range(2, 22))
    there = replace(scene(NOON + 4 * MINUTE, (old, other)), on_port={("sw1", "Gi0/7"): crowd})
    assert all(link.confidence < POLICY.follow_above for link in recognise([old], [other], there, POLICY))


@pytest.mark.parametrize(("peers", "nodes", "macs"), [(300, 20, 6), (300, 20, 10), (150, 10, 6), (120, 15, 6)])
def test_nor_in_a_small_swarm_behind_a_small_one(peers: int, nodes: int, macs: int) -> None:
    """Nobody else shows what the swarm has in common, and what they have is nearly everything."""
    for seed in range(20):
        swarm = Swarm(peers, seed)
        old = talking(trace(randomised(1), NOON - 30 * MINUTE, NOON), swarm.joined(peers * 19 // 20, nodes))
        swarm.later(2)
        other = talking(trace(randomised(2), NOON + 2 * MINUTE), swarm.joined(peers * 19 // 20, nodes))
        crowd = frozenset(randomised(number) for number in range(2, 2 + macs))
        there = replace(scene(NOON + 3 * MINUTE, (old, other)), on_port={("sw1", "Gi0/7"): crowd})
        assert all(link.confidence < POLICY.follow_above for link in recognise([old], [other], there, POLICY))


@pytest.mark.parametrize("macs", range(5, 40))
def test_from_five_macs_on_a_port_it_takes_more_than_the_port_and_the_same_peers(macs: int) -> None:
    crowd = frozenset(randomised(number) for number in range(7, 7 + macs))
    at_once = replace(NEW, appeared=NOON, first_seen=NOON)
    crowded = replace(scene(NOON + MINUTE, (OLD, at_once)), on_port={("sw1", "Gi0/7"): crowd})
    (link,) = recognise([OLD], [at_once], crowded, POLICY)
    assert link.confidence < POLICY.follow_above


@pytest.mark.parametrize("seed", range(5))
def test_who_is_still_there_shows_what_a_swarm_has_in_common(seed: int) -> None:
    """Of a small swarm everybody knows nearly everybody: alike, and no evidence, as the third one shows."""
    swarm = Swarm(150, seed)
    old = talking(trace(randomised(1), NOON - 30 * MINUTE, NOON), swarm.joined(140, nodes=10))
    other = talking(trace(randomised(2), NOON + MINUTE), swarm.joined(140, nodes=10))
    third = seen_talking(swarm.joined(140, nodes=10))
    there = scene(NOON + 2 * MINUTE, (old, other), [third])
    (link,) = recognise([old], [other], there, POLICY)
    alone = confidence(replace(other, prints=()), replace(old, prints=()))
    assert link.similarity is not None
    assert link.similarity[0] > 0.6
    assert link.confidence < POLICY.follow_above
    assert link.confidence == pytest.approx(alone, abs=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_client_is_found_again_in_its_swarm(seed: int) -> None:
    swarm = Swarm(3000, seed)
    before = swarm.joined(300)
    swarm.later(2)
    old = talking(trace(randomised(1), NOON - 30 * MINUTE, NOON), before)
    assert confidence(talking(trace(randomised(2), NOON + 2 * MINUTE), swarm.went_on(before)), old) > 0.8


def breakfast(seed: int, names: bool) -> tuple[Trace, Trace, list[Trace]]:
    """Forty phones behind one access point change their MACs within ten minutes; one of them was under a penalty. All
    talk to the same clouds and each to a few hosts of its own. The last value has everybody who came, the culprit's new
    self, which is the second value, among them."""
    chance = random.Random(seed)
    clouds = list(range(60))
    own = [[1000 * phone + host for host in range(40)] for phone in range(1, 41)]

    def hosts(phone: int) -> set[int]:
        return {*chance.sample(clouds, 40), *chance.sample(own[phone], 30)}

    def phone(number: int) -> Trace:
        came = NOON + timedelta(seconds=chance.uniform(5, 600))
        made = talking(trace(randomised(100 + number), came), hosts(number))
        return told(made, f"phone-{number}" if names else "iphone")

    came = [phone(number) for number in range(40)]
    culprit = talking(trace(randomised(3), NOON - 60 * MINUTE, NOON), hosts(3), hosts(3))
    return told(culprit, "phone-3" if names else "iphone"), came[3], came


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("names", [False, True])
def test_at_breakfast_no_penalty_follows_the_wrong_phone(seed: int, names: bool) -> None:
    old, right, came = breakfast(seed, names)
    at = NOON + 11 * MINUTE
    everybody = [replace(it, last_seen=at) for it in came]
    found = recognise([old], everybody, scene(at, (old, *everybody)), POLICY)
    followed = {link.new for link in found if link.confidence > POLICY.follow_above}
    assert followed <= {right.mac}
    assert followed == ({right.mac} if names else set())


@pytest.mark.parametrize("seed", range(3))
def test_nor_while_they_come_one_after_the_other(seed: int) -> None:
    old, right, came = breakfast(seed, names=False)
    arrived: list[Trace] = []
    for newcomer in sorted(came, key=lambda it: it.appeared):
        arrived.append(newcomer)
        at = newcomer.appeared + timedelta(seconds=1)
        crowd = frozenset(randomised(number) for number in range(100, 140))
        there = replace(scene(at, (old, *arrived)), on_port={("sw1", "Gi0/7"): crowd})
        found = recognise([old], arrived, there, POLICY)
        assert {link.new for link in found if link.confidence > POLICY.follow_above} <= {right.mac}


# --- what always holds -----------------------------------------------------------------------------------------------

hosts = st.sets(st.integers(0, 400), max_size=200)
ports = st.sampled_from([None, "Gi0/1", "Gi0/2"])
names = st.sampled_from([None, "a", "b"])


@given(hosts, hosts)
def test_similarity_is_symmetric_and_within_its_bounds(one: set[int], other: set[int]) -> None:
    there = similarity(sketch(one), sketch(other), (len(one), len(other)))
    back = similarity(sketch(other), sketch(one), (len(other), len(one)))
    assert there == back
    assert there is None or 0 <= there.low <= there.value <= there.high <= 1


@given(hosts.filter(bool), hosts.filter(bool))
def test_small_sets_are_compared_exactly(one: set[int], other: set[int]) -> None:
    small, little = set(sorted(one)[:64]), set(sorted(other)[:64])
    found = similarity(sketch(small), sketch(little), (len(small), len(little)))
    assert found is not None
    assert found.value == pytest.approx(len(small & little) / len(small | little))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.8, 0.97])
def test_the_bounds_hold_in_nineteen_of_twenty_cases(share: float) -> None:
    chance, held = random.Random(7), 0
    for _ in range(400):
        size, other = chance.randint(80, 600), chance.randint(80, 600)
        shared = round(share * (size + other) / (1 + share))
        shared = min(shared, size, other)
        pool = [chance.getrandbits(40) for _ in range(size + other - shared)]
        one, two = set(pool[:size]), set(pool[size - shared :])
        truth = len(one & two) / len(one | two)
        found = similarity(sketch(one), sketch(two), (len(one), len(two)))
        assert found is not None
        held += found.low <= truth <= found.high
    assert held >= 0.93 * 400


@given(hosts, hosts, ports, ports, names, names, st.integers(-20, 40))
def test_without_anything_in_common_there_is_no_link(
    one: set[int], two: set[int], port: str | None, other: str | None, name: str | None, called: str | None, gap: int
) -> None:
    old = told(talking(trace(randomised(1), NOON - 60 * MINUTE, NOON, port), one), name)
    new = told(talking(trace(randomised(2), NOON + gap * MINUTE, None, other), two - one), called)
    found = resemblance(old, new, scene(NOON + 41 * MINUTE, (old, new)), WITHIN)
    common = (port is not None and port == other) or (name is not None and name == called)
    assert found is None or common


@given(st.permutations(range(6)))
def test_the_order_of_those_who_came_is_irrelevant(order: list[int]) -> None:
    came = [talking(trace(randomised(it), NOON + it * MINUTE), PEERS[: 150 * it + 100]) for it in range(1, 7)]
    there = scene(NOON + 10 * MINUTE, (OLD, *came))
    assert recognise([OLD], [came[it] for it in order], there, POLICY) == recognise([OLD], came, there, POLICY)


@given(st.integers(1, 30))
def test_all_rivals_together_are_never_more_than_certain(rivals: int) -> None:
    came = [talking(trace(randomised(number), NOON + MINUTE), PEERS) for number in range(10, 10 + rivals)]
    there = scene(NOON + 2 * MINUTE, (OLD, *came))
    assert sum(link.confidence for link in recognise([OLD], came, there, POLICY)) <= 1.0 + 0.001 * rivals


# --- over several polls ----------------------------------------------------------------------------------------------


def test_a_link_must_hold_in_two_polls_and_looks_in_between_do_not_count() -> None:
    found = links(NEW)
    (first,) = counted((), found, POLICY, judged=True)
    (looked,) = counted((first,), found, POLICY, judged=False)
    (second,) = counted((looked,), found, POLICY, judged=True)
    assert (first.polls, looked.polls, second.polls) == (1, 1, 2)


def test_a_link_that_weakens_before_it_is_believed_starts_again() -> None:
    weak = tuple(replace(link, confidence=0.6) for link in links(NEW))
    (first,) = counted((), links(NEW), POLICY, judged=True)
    (then,) = counted((first,), weak, POLICY, judged=True)
    assert then.polls == 0


def test_what_a_person_has_undone_stays_undone() -> None:
    (link,) = links(NEW)
    undone = replace(link, undone="two laptops (ada)")
    assert counted((undone,), links(NEW), POLICY, judged=True) == (undone,)


def test_a_link_says_what_it_rests_on() -> None:
    (link,) = links(NEW)
    assert link_sentence(link) == (
        "da:00:00:00:00:07 is probably what was 00:1b:21:00:00:07, confidence 0.98: on the same port, sw1 Gi0/7, 100% "
        "of their remote hosts in common (94% to 100%), its MAC was never seen before, its MAC is randomised, it came "
        "60 s after the old one was last seen"
    )
