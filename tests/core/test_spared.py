"""Who is exempt gets no verdict, and keeps none."""

from dataclasses import replace

from plan_builders import NOW, client, mac, planned, policy, request, verdict, world

from switchguard.core.penalties import Decision, Exemption, Release
from switchguard.core.plan import nothing
from switchguard.core.policy import Safeguards
from switchguard.core.spared import spare

V7, V8 = verdict(7), verdict(8)
STAGE = Exemption("x1", "stage", mac=mac(7))
WHY = "it is exempt: stage"


def test_a_new_one_is_no_verdict_and_an_old_one_ends() -> None:
    old = replace(V7, id="hog-7", rule="hog")
    made = planned([V7, old, V8], world(client(7), client(8)), exemptions=[STAGE])
    assert spare(Decision((old, V7, V8)), {old.id}, made) == Decision((V8,), (Release(old, WHY),), spared=(V7,))


def test_what_a_person_asked_for_waits_for_the_person() -> None:
    asked = request(7)
    made = planned([asked], world(client(7)), exemptions=[STAGE])
    assert [it.why for it in made.refusals] == [WHY]
    assert spare(Decision((asked,)), (), made) == Decision((asked,))


def test_what_another_safeguard_refuses_stands() -> None:
    made = planned([V7], world(client(7)), by=policy(safeguards=Safeguards(new_per_cycle=0)))
    assert [it.safeguard for it in made.refusals] == ["blast_radius"]
    assert spare(Decision((V7,)), (), made) == Decision((V7,))
    assert spare(Decision((V7,)), (), nothing(NOW)) == Decision((V7,))
