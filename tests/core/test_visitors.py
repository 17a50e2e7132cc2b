"""Whom an address means now, and what a visitor may lift: nobody reads about somebody else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchguard.core.decide import decide
from switchguard.core.follow import follow
from switchguard.core.model import Attribution, Client, ClientId, Mac
from switchguard.core.penalties import Block, Decision, Notify, Penalty, Quarantine, RateLimit, SessionCap, Verdict
from switchguard.core.policy import Policy, Probation, Rule, Sentence, Zone
from switchguard.core.visitors import Case, LetMeBack, faces, let_back, liftable, names

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAC, OTHER = Mac(0x020000000007), Mac(0x020000000009)
ADDRESS, ELSEWHERE = ip_address("10.10.0.7"), ip_address("10.10.0.9")
SIX = ip_address("2001:db8::7")
USUAL = Probation(SessionCap(100), HOUR)
RULE = Rule("swarm", "naughty_factor", 0.8, 3, Sentence(Block(), probation=USUAL))
POLICY = Policy(rules=(RULE,))
VERDICT = Verdict("v1", ClientId(f"mac:{MAC}"), "swarm", Block(), NOW - HOUR, NOW + HOUR, "because", (MAC,), (ADDRESS,))


def client(identity: str, macs: tuple[Mac, ...], *addresses: str) -> Client:
    return Client(ClientId(identity), macs, tuple(map(ip_address, addresses)), None, None, "not asked")


def seen(*clients: Client) -> Attribution:
    return Attribution(NOW, clients)


def of(address: str, attribution: Attribution, *verdicts: Verdict) -> set[str]:
    return set(faces(attribution, verdicts).of(ip_address(address)))


# --- whom an address means -------------------------------------------------------------------------------------------


def test_a_client_is_found_by_every_address_that_it_has_now() -> None:
    now = seen(client(f"mac:{MAC}", (MAC,), "10.10.0.50", str(SIX)))
    assert of("10.10.0.50", now, VERDICT) == of(str(SIX), now, VERDICT) == {"v1"}


def test_whoever_gets_an_old_address_reads_nothing_about_the_one_before() -> None:
    now = seen(client(f"mac:{MAC}", (MAC,), "10.10.0.50"), client(f"mac:{OTHER}", (OTHER,), str(ADDRESS)))
    assert of(str(ADDRESS), now, VERDICT) == set()


def test_who_is_not_there_is_not_found_by_an_address_of_yesterday() -> None:
    assert of(str(ADDRESS), seen(), VERDICT) == set()


def test_an_address_of_two_macs_is_nobodys() -> None:
    contested = seen(client(f"mac:{MAC}", (MAC,)), client(f"address:{ADDRESS}", (), str(ADDRESS)))
    assert of(str(ADDRESS), contested, VERDICT) == set()


def test_the_victim_of_a_copied_mac_reads_nothing_of_the_copier() -> None:
    port = replace(VERDICT, client=ClientId("interface:sw1 Gi0/9"), penalty=Quarantine(99), addresses=())
    assert of(str(ADDRESS), seen(client(f"mac:{MAC}", (MAC,), str(ADDRESS))), port) == set()


def test_a_user_is_found_by_the_address_of_the_session_that_is_open_now() -> None:
    told = replace(VERDICT, client=ClientId("user:alice"), macs=(), addresses=(ADDRESS,))
    now = seen(client("user:alice", (), "10.99.0.7"), client("user:bob", (), str(ADDRESS)))
    assert (of("10.99.0.7", now, told), of(str(ADDRESS), now, told)) == ({"v1"}, set())


def test_a_penalty_on_an_address_is_about_whoever_has_it() -> None:
    put = replace(VERDICT, client=ClientId(f"address:{ADDRESS}"), macs=())
    assert of(str(ADDRESS), seen(client(f"mac:{OTHER}", (OTHER,), str(ADDRESS))), put) == {"v1"}
    assert of(str(ELSEWHERE), seen(), put) == set()


def test_a_penalty_of_a_subnet_is_about_everybody_in_it_and_nobody_else() -> None:
    network = ip_network("203.0.113.0/24")
    put = replace(VERDICT, client=ClientId(f"network:{network}"), macs=(), addresses=(), network=network)
    assert of("203.0.113.200", seen(), put) == {"v1"}
    assert of("203.0.114.1", seen(), put) == of("2001:db8::1", seen(), put) == set()


addresses = st.integers(0, 20).map(lambda number: ip_address("10.10.0.0") + number)
macs = st.integers(1, 6).map(lambda number: Mac(0x020000000000 + number))


@given(st.dictionaries(addresses, macs), st.lists(macs, max_size=4), st.lists(addresses, max_size=3))
def test_nobody_is_ever_told_about_another_mac(
    holders: dict[object, Mac], guilty: list[Mac], once: list[object]
) -> None:
    clients = [
        Client(ClientId(f"mac:{mac}"), (mac,), tuple(a for a, m in holders.items() if m == mac), None, None, "-")  # type: ignore[misc]  # drawn addresses
        for mac in set(holders.values())
    ]
    verdicts = [
        replace(VERDICT, id=str(mac), client=ClientId(f"mac:{mac}"), macs=(mac,), addresses=tuple(once))  # type: ignore[arg-type]  # drawn addresses
        for mac in guilty
    ]
    found = faces(seen(*clients), verdicts)
    for address, mac in holders.items():
        assert found.of(address) == ({str(mac)} & {str(it) for it in guilty})  # type: ignore[arg-type]  # drawn address


def test_what_was_sentenced_just_now_names_its_addresses_itself() -> None:
    assert (names(VERDICT, ADDRESS), names(VERDICT, ELSEWHERE)) == (True, False)
    assert names(replace(VERDICT, addresses=(), network=ip_network("10.10.0.0/24")), ELSEWHERE)


def test_probation_does_not_name_the_addresses_of_the_penalty_before() -> None:
    """Its client may have had another one for hours, and a neighbour that one."""
    (_, (watched,)) = let_back([Case(VERDICT, "naughty_factor", "in force")], POLICY, LetMeBack(), NOW)
    assert not names(watched, ADDRESS)
    assert names(replace(watched, network=ip_network("10.10.0.0/24")), ELSEWHERE)


# --- what a visitor may lift -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [SessionCap(50), RateLimit(64_000), Block(), Quarantine(99)])
def test_a_rules_penalty_for_what_can_be_fixed_may_be_lifted(penalty: Penalty) -> None:
    assert liftable(Case(replace(VERDICT, penalty=penalty), "naughty_factor", "in force"))


@pytest.mark.parametrize(
    "case",
    [
        Case(replace(VERDICT, penalty=Notify()), "naughty_factor", "told"),
        Case(replace(VERDICT, routine=True), "everyone", "in force"),
        Case(replace(VERDICT, probation=True), "naughty_factor", "in force"),
        Case(replace(VERDICT, rule="manual", requested_by="ada"), "", "in force"),
        Case(replace(VERDICT, network=ip_network("10.10.0.0/24")), "connections", "in force"),
        Case(VERDICT, "quota", "in force"),
        Case(VERDICT, "registered_only", "in force"),
        Case(VERDICT, "naughty_factor", "ending"),
    ],
)
def test_what_is_not_the_visitors_to_end_stays(case: Case) -> None:
    assert not liftable(case)
    assert let_back([case], POLICY, LetMeBack(), NOW) == ((), ())


def test_probation_follows_and_is_an_offence_no_more() -> None:
    (release,), (watched,) = let_back([Case(VERDICT, "naughty_factor", "in force")], POLICY, LetMeBack(), NOW)
    assert release.verdict == VERDICT
    assert (watched.penalty, watched.since, watched.until, watched.probation) == (
        SessionCap(100),
        NOW,
        NOW + HOUR,
        True,
    )
    assert watched.id != VERDICT.id
    decision = decide((), [watched], (), POLICY, NOW + HOUR)
    assert (decision.standing, [it.verdict for it in decision.released]) == ((), [watched])


def test_probation_after_a_penalty_that_followed_another_outlives_that_one() -> None:
    followed = replace(VERDICT, follows="v0")
    _, (watched,) = let_back([Case(followed, "naughty_factor", "in force")], POLICY, LetMeBack(), NOW)
    assert watched.follows is None
    decision, _ = follow(Decision((watched,)), (), seen(), POLICY, NOW)
    assert (decision.standing, decision.released) == ((watched,), ())


def test_the_pages_own_probation_goes_before_the_rules_and_none_is_needed() -> None:
    case = Case(VERDICT, "naughty_factor", "in force")
    own = LetMeBack(1, Probation(RateLimit(1_000_000), 2 * HOUR))
    assert let_back([case], POLICY, own, NOW)[1][0].penalty == RateLimit(1_000_000)
    without = replace(POLICY, rules=(replace(RULE, sentence=Sentence(Block())),))
    assert let_back([case], without, LetMeBack(), NOW)[1] == ()
    assert let_back([case], replace(POLICY, rules=()), LetMeBack(), NOW)[1] == ()


def test_probation_is_no_harder_than_the_zone_allows() -> None:
    zone = Zone("vpn", (ip_network("10.10.0.0/16"),), ladder=(Notify(),))
    case = Case(VERDICT, "naughty_factor", "in force")
    _, (watched,) = let_back([case], replace(POLICY, zones=(zone,)), LetMeBack(), NOW)
    assert watched.penalty == Notify()
