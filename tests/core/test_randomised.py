"""What a policy makes of a rule's penalty for a MAC that will soon be another one."""

from dataclasses import replace
from datetime import timedelta

from builders import NOON

from switchguard.core.model import ClientId, Mac
from switchguard.core.penalties import Block, Notify, Quarantine, RateLimit, Verdict
from switchguard.core.policy import IdentityPolicy
from switchguard.core.randomised import eased

HOUR = timedelta(hours=1)
LOCAL, GLOBAL = Mac(0xDA0000000007), Mac(0x001B21000007)
VERDICT = Verdict("v1", ClientId("mac:da:00:00:00:00:07"), "swarm", Block(), NOON, NOON + 4 * HOUR, "", (LOCAL,))
POLICY = IdentityPolicy(randomised_at_most=HOUR, randomised_instead=Quarantine(99))


def test_a_randomised_mac_gets_less_time_and_something_else_than_a_block_of_the_mac() -> None:
    assert eased(VERDICT, POLICY, NOON) == replace(VERDICT, penalty=Quarantine(99), until=NOON + HOUR)
    endless = replace(VERDICT, until=None, penalty=RateLimit(64_000))
    assert eased(endless, POLICY, NOON) == replace(endless, until=NOON + HOUR)


def test_nothing_is_made_longer() -> None:
    short = replace(VERDICT, until=NOON + HOUR / 2)
    assert eased(short, POLICY, NOON).until == short.until


def test_any_other_mac_and_any_other_authority_stay_as_they_are() -> None:
    both = replace(VERDICT, macs=(LOCAL, GLOBAL))
    others = (both, replace(VERDICT, requested_by="ada"), replace(VERDICT, routine=True))
    for verdict in (*others, replace(VERDICT, penalty=Notify())):
        assert eased(verdict, POLICY, NOON) == verdict


def test_without_a_policy_a_randomised_mac_is_a_mac_like_any_other() -> None:
    assert eased(VERDICT, IdentityPolicy(), NOON) == VERDICT
