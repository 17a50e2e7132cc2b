"""A penalty goes over to the MAC that its device has now, as a verdict of its own, and ends with the one it follows.

Each penalty goes over to each MAC once: whoever lifts what went over has the last word. It is a rule's verdict like any
other, so no exemption is overridden on the way, and the brakes count it. A link that turns out to be wrong ends what it
carried over. Between two MACs that a person has told apart nothing stays that came from the one to the other, directly
or by others in between: that goes by the MACs of the penalties, not by what a pass remembers, which may have begun
before the person spoke.
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
    there, apart = present(attribution), _told_apart(links)
    taken: list[Verdict] = []
    after: list[Link] = []
    for link in links:
        carried = tuple(
            it
            for it in _carried(link, decision.standing, there, policy, now)
            if not _came_over(it, decision.standing, apart)
        )
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
    apart = _told_apart(links)
    wrong = {(link.new, id_): _contradicted(link) for link in links for id_ in link.followed if _contradicted(link)}
    undone = {it.id: why for it in decision.standing if (why := _came_over(it, decision.standing, apart))}
    ends: list[Release] = []
    while orphans := [
        Release(it, why)
        for it in decision.standing
        if it.id in stand and (why := undone.get(it.id) or _why_orphan(it, stand, wrong))
    ]:
        ends += orphans
        stand -= {it.verdict.id for it in orphans}
    kept = tuple(it for it in decision.standing if it.id in stand)
    return replace(decision, standing=kept, released=(*decision.released, *ends))


def _why_orphan(verdict: Verdict, stand: Collection[str], wrong: Mapping[tuple[Mac, str], str]) -> str:
    """Empty: it is none."""
    if verdict.follows is None:
        return ""
    broken = next((wrong[mac, verdict.follows] for mac in verdict.macs if (mac, verdict.follows) in wrong), "")
    return broken or (ORPHANED if verdict.follows not in stand else "")


def _contradicted(link: Link) -> str:
    if link.undone is not None or link.confidence:
        return ""
    return f"{link.old} and {link.new} are two devices: {', '.join(link.because)}"


# --- what a person has told apart ------------------------------------------------------------------------------------

Pairs = Mapping[tuple[Mac, Mac], str]
"""Two MACs that are two devices, in either order, and who says so."""


def _told_apart(links: Iterable[Link]) -> Pairs:
    undone = [link for link in links if link.undone is not None]
    why = {(link.old, link.new): f"{link.old} and {link.new} are two devices: {link.undone}" for link in undone}
    return {(new, old): why[old, new] for old, new in why} | why


def _came_over(verdict: Verdict, standing: Iterable[Verdict], apart: Pairs) -> str:
    """Why it should not have come here, if it came from a MAC that is another device's; empty: it should."""
    if verdict.follows is None or not apart:
        return ""
    came_from = sorted({mac for it in _followed_by(verdict, standing) for mac in _macs(it)})
    pairs = ((old, new) for new in sorted(_macs(verdict)) for old in came_from)
    return next((apart[pair] for pair in pairs if pair in apart), "")


def _followed_by(verdict: Verdict, standing: Iterable[Verdict]) -> Iterator[Verdict]:
    """What it follows, and what that follows, and so on."""
    by_id = {it.id: it for it in standing}
    at = by_id.get(verdict.follows or "")
    while at is not None:
        yield at
        at = by_id.get(at.follows or "")


def gone_over(standing: Sequence[Verdict], one: Mac, other: Mac) -> tuple[Verdict, ...]:
    """What came from one of them to the other, by whatever way, and further from there."""
    apart = {(one, other): "apart", (other, one): "apart"}
    found = {it.id for it in standing if _came_over(it, standing, apart)}
    return tuple(
        it for it in standing if it.id in found or any(above.id in found for above in _followed_by(it, standing))
    )


# --- small things ----------------------------------------------------------------------------------------------------


def _goes_over(verdict: Verdict) -> bool:
    """A notice has been told, a limit for everybody is nobody's own, and a subnet is no device."""
    return not (isinstance(verdict.penalty, Notify) or verdict.routine or verdict.network is not None)


def _macs(verdict: Verdict) -> frozenset[Mac]:
    return frozenset(verdict.macs) | _mac_of(verdict.client)


def _mac_of(client: ClientId) -> frozenset[Mac]:
    kind, _, name = client.partition(":")
    return frozenset({Mac.parse(name)}) if kind == "mac" else frozenset()
