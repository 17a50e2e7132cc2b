"""What is remembered of those who matter, from tables as they are read, and what goes over to whom."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from builders import NOON, arp, fdb, ip, mac, network, swarm, usage
from identity_builders import MINUTE, Swarm, sketch

from switchguard.core.attribute import attribute
from switchguard.core.follow import follow, gone_over, suspects
from switchguard.core.model import ClientId, Lease, Mac, NatUsage, Snapshot
from switchguard.core.penalties import Block, Decision, Notify, PastPenalty, Verdict
from switchguard.core.policy import IdentityPolicy, Policy
from switchguard.core.same import present, seen_again
from switchguard.core.traces import KEPT_PRINTS, Arrivals, Identities, Link

RULES = IdentityPolicy()
POLICY = Policy(identity=RULES)
PEERS = range(800)
CULPRIT, FRESH = mac(7), Mac(0xDA0000000007)
HOUR = timedelta(hours=1)
VERDICT = Verdict(
    "v1",
    ClientId("mac:02:00:00:00:00:07"),
    "swarm",
    Block(),
    NOON,
    NOON + 2 * HOUR,
    "577 sessions",
    (CULPRIT,),
    (ip(7),),
)


def talks(
    number: int, hosts: Sequence[int] = PEERS, newest_s: float | None = None, oldest_s: float | None = None
) -> NatUsage:
    made = swarm(number, 2 * len(hosts), len(hosts))
    return replace(made, sketch=sketch(hosts), newest_s=newest_s, oldest_s=oldest_s)


def look(minutes: float, who: Mac, nat: Sequence[NatUsage] = (), number: int = 7, port: str = "Gi0/7") -> Snapshot:
    rows = (fdb("core", "Gi0/2", who), fdb("sw1", port, who), fdb("sw2", "Gi0/24", who))
    found = network(nat, (arp(number, holder=who),), rows)
    at = NOON + minutes * MINUTE
    return replace(found, at=at, readings=tuple(replace(it, at=at) for it in found.readings))


def after(known: Identities, seen: Snapshot, *wanted: Mac, newcomers: Sequence[Mac] = ()) -> Identities:
    arrivals = Arrivals(dict.fromkeys(newcomers))
    return seen_again(known, set(wanted), arrivals, attribute(seen), seen.leases, RULES, judged=True)


def changed_its_mac(gap: float = 2.0) -> Identities:
    known = after(Identities(), look(0, CULPRIT, [talks(7, newest_s=5.0)]), CULPRIT)
    for poll in range(2):
        seen = look(gap + poll, FRESH, [talks(7, oldest_s=30.0)])
        known = after(known, seen, CULPRIT, newcomers=[FRESH])
    return known


def test_a_changed_mac_is_recognised_in_the_tables() -> None:
    (link,) = changed_its_mac().links
    assert (link.old, link.new, link.polls) == (CULPRIT, FRESH, 2)
    assert link.confidence > 0.95


def test_sessions_left_over_from_whoever_had_the_address_before_are_no_evidence() -> None:
    """The new holder of the address has done nothing yet, and the table still has the old one's sessions."""
    known = after(Identities(), look(0, CULPRIT, [talks(7, newest_s=5.0)]), CULPRIT)
    seen = look(2, FRESH, [talks(7, oldest_s=600.0)], port="Gi0/9")
    known = after(known, seen, CULPRIT, newcomers=[FRESH])
    assert known.links == ()
    assert [trace.prints for trace in known.traces if trace.mac == FRESH] == [()]


def test_while_nobody_is_suspected_only_arrivals_are_remembered() -> None:
    assert after(Identities(), look(0, CULPRIT, [talks(7)])).traces == ()


def test_what_is_remembered_has_a_fixed_size_and_ends() -> None:
    known = Identities()
    for poll in range(10):
        known = after(known, look(poll, CULPRIT, [talks(7, range(poll, poll + 500))]), CULPRIT)
    (trace,) = known.traces
    assert len(trace.prints) == KEPT_PRINTS
    assert after(known, look(45, mac(8), number=8)).traces == ()


def test_a_static_row_is_nobody() -> None:
    seen = look(0, FRESH)
    configured = replace(fdb("sw1", "Gi0/3", CULPRIT), static=True)
    attribution = attribute(replace(seen, fdb=(*seen.fdb, configured)))
    assert FRESH in present(attribution)
    assert CULPRIT not in present(attribution)


def test_a_hostname_comes_from_the_lease() -> None:
    lease = Lease("dhcp", ip(7), CULPRIT, "Toms-Laptop", "ff:01:02")
    (trace,) = after(Identities(), replace(look(0, CULPRIT), leases=(lease,)), CULPRIT).traces
    assert (trace.hostname, trace.client_id) == ("toms-laptop", "ff:01:02")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("suspected", [False, True])
def test_who_is_under_a_penalty_too_shows_what_a_swarm_has_in_common(seed: int, suspected: bool) -> None:
    """Three at an access point share a torrent. One is blocked and leaves, another one stays, a stranger comes."""
    swarm = Swarm(200, seed)
    hosts = {who: sorted(swarm.joined(190, nodes=10)) for who in (CULPRIT, mac(8), FRESH)}

    def sees(minutes: float, *who: Mac) -> Snapshot:
        there = [*who, *(mac(100 + number) for number in range(2))]
        looks = [look(minutes, one, port="Gi0/7", number=7 + number) for number, one in enumerate(there)]
        nat = [talks(7 + number, hosts[one], 5.0, 30.0 if one == FRESH else 300.0) for number, one in enumerate(who)]
        rows = tuple(row for it in looks for row in it.fdb)
        return replace(looks[0], nat=tuple(nat), neighbors=tuple(it.neighbors[-1] for it in looks), fdb=rows)

    suspects = (CULPRIT, mac(8)) if suspected else (CULPRIT,)
    known = Identities()
    for minutes in (0, 1):
        known = after(known, sees(minutes, CULPRIT, mac(8)), *suspects)
    for minutes in (3, 4):
        known = after(known, sees(minutes, mac(8), FRESH), *suspects, newcomers=[FRESH])
    linked = {(it.old, it.new): it.confidence for it in known.links}
    assert linked.get((CULPRIT, FRESH), 0.0) < 0.5


# --- going over ------------------------------------------------------------------------------------------------------


def went_over(
    known: Identities, minutes: float = 4, standing: Sequence[Verdict] = (VERDICT,)
) -> tuple[Decision, Identities]:
    seen = look(minutes, FRESH)
    now = NOON + minutes * MINUTE
    decision, links = follow(Decision(tuple(standing)), known.links, attribute(seen), POLICY, now)
    return decision, replace(known, links=links)


def test_what_goes_over_is_a_verdict_of_its_own_that_ends_with_the_first() -> None:
    decision, known = went_over(changed_its_mac())
    old, new = decision.standing
    assert old == VERDICT
    assert (new.client, new.macs, new.follows) == (f"mac:{FRESH}", (FRESH,), "v1")
    assert (new.penalty, new.until, new.since) == (VERDICT.penalty, VERDICT.until, NOON + 4 * MINUTE)
    assert new.id != VERDICT.id
    assert new.because.startswith(f"follows v1, because {FRESH} is probably what was {CULPRIT}, confidence 0.9")
    assert new.because.endswith("577 sessions")
    assert known.links[0].followed == ("v1",)


def test_it_goes_over_once_so_that_whoever_lifts_it_has_the_last_word() -> None:
    decision, known = went_over(changed_its_mac())
    again, _ = went_over(known, 5)
    assert again.standing == (VERDICT,)
    assert len(decision.standing) == 2


def test_it_ends_when_the_first_one_is_lifted() -> None:
    decision, known = went_over(changed_its_mac())
    later, _ = went_over(known, 5, [it for it in decision.standing if it.follows])
    assert later.standing == ()
    assert [release.why for release in later.released] == ["the penalty that it follows has ended"]


def test_it_ends_when_somebody_says_that_they_are_two_devices() -> None:
    decision, known = went_over(changed_its_mac())
    undone = replace(known, links=tuple(replace(it, undone="two laptops (ada)") for it in known.links))
    later, _ = went_over(undone, 5, decision.standing)
    assert later.standing == (VERDICT,)
    assert [release.why for release in later.released] == [f"{CULPRIT} and {FRESH} are two devices: two laptops (ada)"]


def test_it_ends_though_the_pass_that_carried_it_over_began_before_somebody_said_so() -> None:
    """Such a pass does not get to note on the link what went over."""
    before = changed_its_mac()
    decision, _ = went_over(before)
    undone = replace(before, links=tuple(replace(it, undone="two laptops (ada)") for it in before.links))
    assert undone.links[0].followed == ()
    later, _ = went_over(undone, 5, decision.standing)
    assert later.standing == (VERDICT,)
    assert [release.why for release in later.released] == [f"{CULPRIT} and {FRESH} are two devices: two laptops (ada)"]


THIRD = Mac(0xDA0000000008)


def chain() -> tuple[Verdict, ...]:
    """It went over to the second MAC, and on to the third."""
    second = replace(VERDICT, id="v2", client=ClientId(f"mac:{FRESH}"), macs=(FRESH,), follows="v1")
    third = replace(VERDICT, id="v3", client=ClientId(f"mac:{THIRD}"), macs=(THIRD,), follows="v2")
    return VERDICT, second, third


def apart(one: Mac, other: Mac) -> Link:
    return Link(one, other, 0.0, (), NOON, NOON, undone="two laptops (ada)")


@pytest.mark.parametrize(
    ("one", "other", "left"),
    [(CULPRIT, FRESH, ["v1"]), (CULPRIT, THIRD, ["v1", "v2"]), (THIRD, FRESH, ["v1", "v2"]), (FRESH, mac(99), None)],
)
def test_two_devices_have_nothing_from_each_other_by_whatever_way(one: Mac, other: Mac, left: list[str] | None) -> None:
    later, _ = went_over(Identities(links=(apart(one, other),)), 5, chain())
    assert [it.id for it in later.standing] == left or ["v1", "v2", "v3"]
    lifted = {it.id for it in gone_over(chain(), one, other)}
    assert {it.verdict.id for it in later.released} == lifted


def test_nor_does_it_go_over_by_another_way_again() -> None:
    """The first and the fresh MAC were told apart; the one in between was linked with both."""
    known = changed_its_mac()
    second = replace(VERDICT, id="v2", client=ClientId(f"mac:{CULPRIT}"), macs=(CULPRIT,), follows="v0")
    first = replace(VERDICT, id="v0", client=ClientId(f"mac:{THIRD}"), macs=(THIRD,))
    told = replace(known, links=(*known.links, apart(FRESH, THIRD)))
    assert went_over(told, standing=[first, second])[0].standing == (first, second)
    assert len(went_over(known, standing=[first, second])[0].standing) == 3


def test_it_ends_when_both_are_seen_at_once() -> None:
    decision, known = went_over(changed_its_mac())
    both = look(6, CULPRIT, [talks(7, newest_s=1.0)])
    here = (fdb("core", "Gi0/2", FRESH), fdb("sw1", "Gi0/8", FRESH), fdb("sw2", "Gi0/24", FRESH))
    known = after(known, replace(both, fdb=(*both.fdb, *here)), CULPRIT, FRESH)
    later, _ = went_over(known, 7, decision.standing)
    assert later.standing == (VERDICT,)
    assert "both were there at the same time" in later.released[0].why


def test_nothing_goes_over_before_the_second_poll() -> None:
    known = after(Identities(), look(0, CULPRIT, [talks(7, newest_s=5.0)]), CULPRIT)
    known = after(known, look(2, FRESH, [talks(7, oldest_s=30.0)]), CULPRIT, newcomers=[FRESH])
    assert went_over(known)[0].standing == (VERDICT,)


def test_a_notice_and_a_limit_for_everybody_go_over_to_nobody() -> None:
    known = changed_its_mac()
    for verdict in (replace(VERDICT, penalty=Notify()), replace(VERDICT, routine=True)):
        assert went_over(known, standing=[verdict])[0].standing == (verdict,)


def test_a_persons_penalty_goes_over_without_the_persons_authority() -> None:
    asked = replace(VERDICT, rule="manual", requested_by="ada", override_exemption=True, on_device="core")
    _, new = went_over(changed_its_mac(), standing=[asked])[0].standing
    assert (new.requested_by, new.override_exemption, new.on_device) == (None, False, None)


def test_a_randomised_mac_gets_what_the_policy_has_for_it() -> None:
    rules = replace(RULES, randomised_at_most=30 * MINUTE, randomised_instead=Block("address"))
    at = NOON + 4 * MINUTE
    decision, _ = follow(
        Decision((VERDICT,)), changed_its_mac().links, attribute(look(4, FRESH)), Policy(identity=rules), at
    )
    assert (decision.standing[1].penalty, decision.standing[1].until) == (Block("address"), at + 30 * MINUTE)


def test_who_was_released_a_moment_ago_is_still_looked_for() -> None:
    def ended(minutes: float, routine: bool = False) -> PastPenalty:
        return PastPenalty(VERDICT.client, "swarm", NOON - HOUR, NOON - minutes * MINUTE, routine)

    assert suspects((), [ended(5)], RULES, NOON) == {CULPRIT}
    assert suspects((), [ended(45), ended(5, routine=True)], RULES, NOON) == set()


def test_everything_is_decided_by_the_clock_of_the_pass() -> None:
    known, late = changed_its_mac(), datetime(2026, 11, 21, tzinfo=NOON.tzinfo)
    decision, _ = follow(Decision((VERDICT,)), known.links, attribute(look(4, FRESH)), POLICY, late)
    assert decision.standing == (VERDICT,)


def test_an_ordinary_client_leaves_no_print_with_a_handful_of_hosts() -> None:
    seen = look(0, CULPRIT, [replace(usage(7, 20, 5), sketch=sketch(range(5)))])
    (trace,) = after(Identities(), seen, CULPRIT).traces
    assert trace.prints == ()
