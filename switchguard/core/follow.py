"""A penalty goes over to the MAC that its device has now, as a verdict of its own, and ends with the one it follows.

Each penalty goes over to each MAC once: whoever lifts what went over has the last word. It is a rule's verdict like any
other, so no exemption is overridden on the way, and the brakes count it. A link that turns out to be wrong, or that a
person undoes, ends what it carried over.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from switchguard.core.decide import identify
from switchguard.core.identity import link_sentence
from switchguard.core.model import Attribution, Client, ClientId, Mac
from switchguard.core.penalties import Decision, Notify, PastPenalty, Release, Verdict
from switchguard.core.policy import IdentityPolicy, Policy
from switchguard.core.randomised import eased
from switchguard.core.same import present
from switchguard.core.traces import Link

ORPHANED = "the penalty that it follows has ended"


def suspects(
    standing: Iterable[Verdict], past: Iterable[PastPenalty], policy: IdentityPolicy, now: datetime
) -> set[Mac]:
    """Whose device may come back with another MAC: who is under a penalty that could go over, or was until lately."""
    ended = (it.client for it in past if not it.routine and now - it.ended <= policy.within)
    return {mac for it in standing if _goes_over(it) for mac in _macs(it)}.union(*map(_mac_of, ended))


def follow(
    decision: Decision, links: Sequence[Link], attribution: Attribution, policy: Policy, now: datetime
) -> tuple[Decision, tuple[Link, ...]]:
    """The decision with what goes over and what no longer does, and the links, which remember what went over."""
    decision = _without_orphans(decision, links)
    there = present(attribution)
    taken: list[Verdict] = []
    after: list[Link] = []
    for link in links:
        carried = tuple(_carried(link, decision.standing, there, policy, now))
        taken += carried
        after.append(replace(link, followed=(*link.followed, *(it.follows or "" for it in carried))))
    standing = tuple(sorted((*decision.standing, *taken), key=lambda it: (it.since, it.id)))
    return replace(decision, standing=standing), tuple(after)


def _carried(
    link: Link, standing: Iterable[Verdict], there: Mapping[Mac, Client], policy: Policy, now: datetime
) -> Iterator[Verdict]:
    rules, client = policy.identity, there.get(link.new)
    if client is None or link.undone is not None or link.confidence <= rules.follow_above:
        return
    if link.polls < rules.for_polls or now - link.at > rules.within:
        return
    for verdict in standing:
        theirs = _macs(verdict)
        if _goes_over(verdict) and link.old in theirs and link.new not in theirs and verdict.id not in link.followed:
            yield _followed(verdict, link, client, policy, now)


def _followed(verdict: Verdict, link: Link, client: Client, policy: Policy, now: datetime) -> Verdict:
    made = Verdict(
        id=identify(client.identity, f"follows {verdict.id}", verdict.since),
        client=client.identity,
        rule=verdict.rule,
        penalty=verdict.penalty,
        since=now,
        until=verdict.until,
        because=f"follows {verdict.id}, because {link_sentence(link)}; {verdict.because}",
        macs=(link.new,),
        addresses=client.addresses,
        offence=verdict.offence,
        location=client.location,
        probation=verdict.probation,
        follows=verdict.id,
    )
    return eased(made, policy.identity, now)


def _without_orphans(decision: Decision, links: Iterable[Link]) -> Decision:
    """What went over ends with what it follows, and with the link that carried it."""
    stand = {verdict.id for verdict in decision.standing}
    wrong = {(link.new, id_): _broken(link) for link in links for id_ in link.followed if _broken(link)}
    ends: list[Release] = []
    while orphans := [it for it in decision.standing if it.id in stand and _why_orphan(it, stand, wrong)]:
        ends += [Release(it, _why_orphan(it, stand, wrong)) for it in orphans]
        stand -= {it.id for it in orphans}
    kept = tuple(it for it in decision.standing if it.id in stand)
    return replace(decision, standing=kept, released=(*decision.released, *ends))


def _why_orphan(verdict: Verdict, stand: Collection[str], wrong: Mapping[tuple[Mac, str], str]) -> str:
    """Empty: it is none."""
    if verdict.follows is None:
        return ""
    broken = next((wrong[mac, verdict.follows] for mac in verdict.macs if (mac, verdict.follows) in wrong), "")
    return broken or (ORPHANED if verdict.follows not in stand else "")


def _broken(link: Link) -> str:
    if link.undone is not None:
        return f"{link.old} and {link.new} are two devices: {link.undone}"
    return f"{link.old} and {link.new} are two devices: {', '.join(link.because)}" if not link.confidence else ""


def _goes_over(verdict: Verdict) -> bool:
    """A notice has been told, a limit for everybody is nobody's own, and a subnet is no device."""
    return not (isinstance(verdict.penalty, Notify) or verdict.routine or verdict.network is not None)


def _macs(verdict: Verdict) -> frozenset[Mac]:
    return frozenset(verdict.macs) | _mac_of(verdict.client)


def _mac_of(client: ClientId) -> frozenset[Mac]:
    kind, _, name = client.partition(":")
    return frozenset({Mac.parse(name)}) if kind == "mac" else frozenset()
