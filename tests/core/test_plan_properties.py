"""What holds for every plan, whatever the network, the ledger and the devices say."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_network
from random import Random
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from plan_builders import (
    CORE_MAC,
    HOUR,
    NOW,
    UPLINKS,
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
    verdict,
    world,
)

from switchguard.core.changes import Enforced, HeldSlot, Plan, Slot
from switchguard.core.model import Attribution, Gap, Mac, Station
from switchguard.core.penalties import Block, Exemption, Penalty, RateLimit, SessionCap, Verdict
from switchguard.core.policy import Policy, Safeguards
from switchguard.core.reserved import never_a_client

T = TypeVar("T")
NUMBERS = st.integers(1, 6)
PENALTIES: st.SearchStrategy[Penalty] = st.sampled_from(
    [Block(), Block("address"), SessionCap(100), SessionCap(50), RateLimit(64_000)]
)
RULES = st.sampled_from(["swarm", "quota"])
PLACES = st.sampled_from(["core", "access", "gateway", "sw2"])
VRRP = Mac.parse("00:00:5e:00:01:07")
EXEMPT = Exemption("x1", "stage", mac=mac(5))
ITS_ADDRESS = Exemption("x2", "stage", network=ip_network(f"{ip(5)}/32"))
SITES = st.sampled_from([None, "sw1", "sw2"])


bounded = settings(deadline=None, max_examples=50)
"""A case is a whole network: slow to draw, and the machine that runs this may be busy."""


@dataclass(frozen=True)
class Case:
    """Everything that a plan depends on."""

    wanted: tuple[Verdict, ...]
    attribution: Attribution
    reality: Reality
    policy: Policy
    watching: tuple[str, ...]

    def plan(self, reality: Reality | None = None) -> Plan:
        there = reality or self.reality
        return planned(
            self.wanted,
            self.attribution,
            there.held,
            there.enforced,
            observing(*self.watching),
            [EXEMPT, ITS_ADDRESS],
            self.policy,
        )


@st.composite
def slots(draw: st.DrawFn) -> tuple[Slot, Penalty]:
    """Ours or somebody else's, sensible or not."""
    number, device = draw(NUMBERS), draw(st.sampled_from(["core", "sw1", "sw2"]))
    some: list[tuple[Slot, Penalty]] = [
        (at(device, number), Block()),
        (at("gw", number, vlan=None), Block()),
        (Slot("gw", "cap", address=ip(number)), SessionCap(draw(st.sampled_from([50, 100])))),
        (Slot("sw1", "limit", Station(port=f"Gi0/{number}")), RateLimit(64_000)),
    ]
    return draw(st.sampled_from(some))


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    number, rule, penalty = draw(NUMBERS), draw(RULES), draw(PENALTIES)
    since = NOW - draw(st.sampled_from([timedelta(0), HOUR]))
    made = replace(verdict(number, penalty, rule, since), id=f"{rule}-{number}-{penalty!r}")
    if draw(st.booleans()):
        made = replace(request(number, penalty), id=f"manual-{number}-{penalty!r}")
    victim = draw(st.sampled_from([made.macs[0]] * 4 + [VRRP, CORE_MAC]))
    return replace(made, macs=(victim,), override_exemption=draw(st.booleans()) and made.rule != "manual")


@st.composite
def networks(draw: st.DrawFn) -> Attribution:
    people = [
        client(number, draw(SITES), draw(st.sampled_from([10, 20, None])), draw(st.sampled_from([0.5, 0.95])))
        for number in draw(st.sets(NUMBERS))
    ]
    seen = world(*people)
    uplink = draw(st.sampled_from([("sw1", "Gi0/1"), ("sw1", "Gi0/24")]))
    known = draw(st.sampled_from([seen.uplinks_known, frozenset({"core"})]))
    return replace(seen, uplinks={**UPLINKS, uplink: "the site declares it"}, uplinks_known=known)


@st.composite
def cases(draw: st.DrawFn, limits: Safeguards | None = None) -> Case:
    wanted = {it.id: it for it in draw(st.lists(verdicts(), max_size=6))}
    there = dict(draw(st.lists(slots(), max_size=8)))
    tables: dict[str, Enforced | Gap] = {
        name: {slot: penalty for slot, penalty in there.items() if slot.device == name}
        for name in ("gw", "core", "sw1", "sw2")
    }
    for name in draw(st.sets(st.sampled_from(["gw", "core", "sw1", "sw2"]), max_size=1)):
        tables[name] = Gap(name, "enforced", "no answer")
    more = dict(draw(st.lists(slots(), max_size=3)))
    held = tuple(draw(holdings(slot, penalty, wanted)) for slot, penalty in {**there, **more}.items())
    kept = tuple(it for it in held if it is not None)
    braked = draw(st.sampled_from([Safeguards(), Safeguards(new_per_cycle=9, share_of_clients=1, per_device=3)]))
    watching = tuple(sorted(draw(st.sets(st.sampled_from(["gw", "core", "sw1"]), max_size=1))))
    return Case(
        tuple(wanted.values()),
        draw(networks()),
        Reality(tables, kept),
        policy(draw(PLACES), limits or braked),
        watching,
    )


@st.composite
def holdings(draw: st.DrawFn, slot: Slot, penalty: Penalty, wanted: Mapping[str, Verdict]) -> HeldSlot | None:
    """Maybe ours, for a verdict of that kind if there is one, or for one that ended."""
    if draw(st.booleans()):
        return None
    fitting = [it for it in wanted.values() if it.penalty.kind == slot.kind]
    causes = draw(st.sets(st.sampled_from([*fitting, verdict(9)]), min_size=1, max_size=2))
    state = draw(st.sampled_from(["planned", "pushed", "verified", "failed", "releasing"]))
    return replace(ours(slot, *sorted(causes, key=lambda it: it.id), penalty=penalty), state=state)  # type: ignore[arg-type]  # a sampled literal


def writes(made: Plan) -> list[Slot]:
    """Where something would be put or changed, were every device in enforce mode."""
    return [change.slot for change in (*made.changes, *made.observed) if change.after is not None]


@bounded
@given(cases())
def test_applying_a_plan_again_and_again_comes_to_rest(case: Case) -> None:
    """At rest after as many rounds as a penalty that moves needs, and never back to an earlier state."""
    reality, seen = case.reality, []
    for _ in range(8):
        made = case.plan(reality)
        if not (made.changes or made.adopted or made.forgotten):
            return
        seen.append(reality)
        reality = reality.after(made)
        assert reality not in seen
    raise AssertionError("it never rests")


@bounded
@given(cases(limits=Safeguards(new_per_cycle=100, share_of_clients=100.0)))
def test_planning_twice_repeats_nothing(case: Case) -> None:
    """What was just written or adopted is not again: the second plan leaves old places, and lets late causes join."""
    made = case.plan()
    after = case.reality.after(made)
    again, causes = case.plan(after), {it.slot: set(it.verdicts) for it in after.held}
    written = {it.slot for it in made.changes if it.after is not None}
    rewritten = [it for it in again.changes if it.after is not None and it.slot in written]
    assert not any(set(it.verdicts) == causes[it.slot] for it in (*rewritten, *again.adopted))


@bounded
@given(cases())
def test_applying_and_swapping_restores(case: Case) -> None:
    made = case.plan()
    after = case.reality.after(made).enforced
    for change in reversed(made.changes):
        back = change.inverse()
        table = after[back.slot.device]
        assert not isinstance(table, Gap)
        assert table.get(back.slot) == back.before
        restored = {slot: penalty for slot, penalty in table.items() if slot != back.slot}
        after = {**after, back.slot.device: restored | ({back.slot: back.after} if back.after is not None else {})}
    assert after == case.reality.enforced


@bounded
@given(cases())
def test_no_plan_touches_the_exempt_the_reserved_or_the_network_itself(case: Case) -> None:
    for slot in writes(case.plan()):
        victim = slot.station.mac
        assert victim not in (EXEMPT.mac, CORE_MAC)
        assert victim is None or never_a_client(victim) is None
        assert slot.address != ip(5)
    assert not any(ip(5) in flush.addresses for flush in case.plan().flushes)


@bounded
@given(cases())
def test_no_plan_touches_an_uplink(case: Case) -> None:
    assert not any((slot.device, slot.station.port) in case.attribution.uplinks for slot in writes(case.plan()))


@bounded
@given(cases())
def test_no_plan_removes_or_changes_what_is_not_held(case: Case) -> None:
    made, held = case.plan(), {it.slot for it in case.reality.held}
    assert {change.slot for change in (*made.changes, *made.observed) if change.before is not None} <= held
    assert {change.slot for change in made.adopted} | set(made.forgotten) <= held


@bounded
@given(cases())
def test_no_plan_touches_a_device_that_cannot_be_read(case: Case) -> None:
    made = case.plan()
    dark = {name for name, table in case.reality.enforced.items() if isinstance(table, Gap)}
    assert not dark & {change.slot.device for change in (*made.changes, *made.observed, *made.adopted)}
    assert not dark & {slot.device for slot in made.forgotten}


@bounded
@given(cases(), st.randoms())
def test_order_is_irrelevant(case: Case, random: Random) -> None:
    def shuffled(items: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(items, len(items)))

    sightings = {found: shuffled(rows) for found, rows in case.attribution.sightings.items()}
    attribution = replace(case.attribution, clients=shuffled(case.attribution.clients), sightings=sightings)
    reality = replace(case.reality, held=shuffled(case.reality.held))
    assert replace(case, wanted=shuffled(case.wanted), attribution=attribution, reality=reality).plan() == case.plan()


@bounded
@given(cases())
def test_releases_come_first(case: Case) -> None:
    kinds = [change.after is not None for change in case.plan().changes]
    assert kinds == sorted(kinds)


@bounded
@given(cases())
def test_only_devices_that_enforce_are_written_to_except_to_lift(case: Case) -> None:
    made = case.plan()
    assert not any(it.after is not None and it.slot.device in case.watching for it in made.changes)
    assert not any(it.after is None or it.slot.device not in case.watching for it in made.observed)


@bounded
@given(cases(limits=Safeguards(new_per_cycle=1, share_of_clients=1.0)))
def test_no_more_new_penalties_than_the_brake_allows(case: Case) -> None:
    held = {id_ for it in case.reality.held for id_ in it.verdicts}
    by_hand = {it.id for it in case.wanted if it.requested_by is not None}
    fresh = {id_ for change in case.plan().changes for id_ in change.verdicts} - held - by_hand
    shared = {it.slot for it in case.reality.held}
    written = {id_ for change in case.plan().changes if change.slot not in shared for id_ in change.verdicts}
    assert len(fresh & written) <= 1


@bounded
@given(cases())
def test_wanting_nothing_lifts_everything_that_can_be_read(case: Case) -> None:
    made = replace(case, wanted=()).plan()
    left = case.reality.after(made).held
    assert all(isinstance(case.reality.enforced[it.slot.device], Gap) for it in left)
