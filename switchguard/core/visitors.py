"""Whom an address means at this moment, and what may be lifted at a visitor's own wish: the landing page's decisions.

An address changes hands. Whose it is says the newest attribution and nothing older: who is not in it is not found by an
address of yesterday, since whoever has that address now would read about somebody else. Only a penalty that was put on
an address, or on a whole subnet, is about whoever is there.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Literal

from switchguard.core.decide import is_manual, on_probation
from switchguard.core.ladder import step
from switchguard.core.model import Address, Attribution, ClientId, Mac, Network
from switchguard.core.penalties import Notify, Release, Verdict
from switchguard.core.policy import Policy, Probation

A_DAY = timedelta(hours=24)
"""What `per_day` counts back: whoever has used up today's wishes does not get new ones at midnight."""

NOT_TO_FIX = frozenset({"quota", "registered_only"})
"""Kinds of rule whose penalty no client can end by setting something right."""

PEOPLE = ("mac:", "user:")
"""How the identities of clients begin whose MACs are their own."""

State = Literal["told", "in force", "ending"]


@dataclass(frozen=True, slots=True)
class LetMeBack:
    """How often within 24 hours a client may lift its own penalties, and what follows; None: what the rule says."""

    per_day: int = 2
    probation: Probation | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    """What a site says about its landing page."""

    url: str | None = None
    """Where visitors reach it, with https, for RFC 8908."""
    contact: str = ""
    """Whom to ask; shown as it is."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose X-Forwarded-For is believed."""
    let_me_back: LetMeBack | None = None
    language: str = "en"
    """For visitors whose own languages the page does not speak."""


@dataclass(frozen=True, slots=True)
class Face:
    """An address, as a network of one, or a subnet, and the ids of the verdicts that are about whoever is there."""

    network: Network
    verdicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Faces:
    """What one attribution knew."""

    at: datetime
    faces: tuple[Face, ...] = ()

    def of(self, address: Address) -> frozenset[str]:
        """Ids of the verdicts that concern whoever has this address."""
        here = (face for face in self.faces if face.network.version == address.version and address in face.network)
        return frozenset(verdict for face in here for verdict in face.verdicts)


@dataclass(frozen=True, slots=True)
class Case:
    """One penalty as its client may hear of it. `kind` is the rule's; empty where the policy has that rule no more."""

    verdict: Verdict
    kind: str
    state: State


@dataclass(frozen=True, slots=True)
class Known:
    """All that stands against a visitor, as of the last look at the network."""

    at: datetime
    cases: tuple[Case, ...] = ()
    wishes: int | None = None
    """How often the visitor may still ask to be let back; None: the site does not grant it, or nothing could be
    lifted."""


def faces(attribution: Attribution, verdicts: Iterable[Verdict]) -> Faces:
    """Whom each address means, of those who have something against them."""
    held = _addresses(attribution)
    found: dict[Network, set[str]] = defaultdict(set)
    for verdict in verdicts:
        for network in _whereabouts(verdict, held):
            found[network].add(verdict.id)
    rows = sorted(found.items(), key=lambda it: (it[0].version, int(it[0].network_address), it[0].prefixlen))
    return Faces(attribution.at, tuple(Face(network, tuple(sorted(ids))) for network, ids in rows))


def names(verdict: Verdict, address: Address) -> bool:
    """Whether a verdict is about this address by its own words: it was sentenced with it, or lies in its subnet.
    Probation has the addresses that its client was once sentenced with; one of them may be a neighbour's by now."""
    network = verdict.network
    inside = network is not None and network.version == address.version and address in network
    return inside or (address in verdict.addresses and not verdict.probation)


def liftable(case: Case) -> bool:
    """A rule's own penalty for what this one client does and can stop doing. What a person asked for, what everybody
    has, a subnet's penalty and probation are not the visitor's to end, and a notice has nothing to lift."""
    verdict = case.verdict
    spared = isinstance(verdict.penalty, Notify) or verdict.routine or verdict.probation or verdict.network is not None
    return case.state == "in force" and case.kind not in NOT_TO_FIX and not spared and not is_manual(verdict)


def let_back(
    cases: Sequence[Case], policy: Policy, granted: LetMeBack, now: datetime
) -> tuple[tuple[Release, ...], tuple[Verdict, ...]]:
    """What ends at the visitor's wish, and the probation that begins."""
    freed = [case.verdict for case in cases if liftable(case)]
    rules = {rule.name: rule for rule in policy.rules}
    watched = []
    for verdict in freed:
        rule = rules.get(verdict.rule)
        usual = None if rule is None else step(rule.sentence, verdict.offence - 1)[0].probation
        if (probation := granted.probation or usual) is not None:
            watched.append(on_probation(verdict, probation, policy, now))
    return tuple(Release(verdict, "fixed, its user says: let back in at the own wish") for verdict in freed), tuple(
        watched
    )


def _addresses(attribution: Attribution) -> Mapping[ClientId | Mac, list[Address]]:
    held: dict[ClientId | Mac, list[Address]] = defaultdict(list)
    for client in attribution.clients:
        keys: tuple[ClientId | Mac, ...] = (client.identity, *client.macs)
        for key in keys:
            held[key] += client.addresses
    return held


def _whereabouts(verdict: Verdict, held: Mapping[ClientId | Mac, list[Address]]) -> Iterator[Network]:
    if verdict.network is not None:
        yield verdict.network
        return
    # The MAC of a penalty on a port may be its victim's: somebody else copied it.
    macs = verdict.macs if verdict.client.startswith(PEOPLE) else ()
    keys: tuple[ClientId | Mac, ...] = (verdict.client, *macs)
    for key in keys:
        yield from map(ip_network, held.get(key, ()))
    yield from (ip_network(it) for it in verdict.addresses if verdict.client == f"address:{it}")
