"""A client under a penalty is gone and another one is there: the same device with another MAC, and how surely?

Nothing proves it. Each piece of evidence is so many times likelier if they are one device than if they are two; the
odds are the product of all (Bayes' rule with independent evidence), and whoever else has just arrived is a rival:

    odds(new)       = 1/100 * arrival * place * told * peers * presence
    confidence(new) = odds(new) / (1 + sum of the odds of everybody who has just arrived)

    prior     1/100                       somebody who arrives is hardly ever the one who has just left
    arrival   3 or 0.2                    a MAC never seen before, or one that was here earlier and has come back
              * 2                         if it is a locally administered one, as randomised MACs are
              * (1 - gap / within)        gap: from when the old one was last seen; at least 0.1
    place     1 + 29 / n**2               the same access port, with n MACs on it: a wall socket tells much, a radio
              0.3                         cell little. Another port: whoever moves is not the usual case
    told      30 / names, at least 1      the same DHCP hostname, which `names` clients have, a product's name at least
                                          ten; 0.05 for another one
              * 300 / ids, at least 1     the same client identifier; 0.02 for another one. Together at most 300: both
                                          are what a client says of itself, and what anybody may say of himself
    peers     25 ** ((low - floor) / (0.6 - floor)), at most 25
                                          `low` is the lower bound of how alike the sets of remote hosts are; `floor` is
                                          the same of either and somebody who is certainly another one (at least 0.1):
                                          everybody talks to the same few services, and everybody in a swarm to the
                                          same peers. 0.2 if the upper bound is below 0.08
    presence  0.3                         while the old one is still listed somewhere

It is no link at all, whatever else is true, if both were certainly there at the same time: the one began a session, or
moved, after the other had come, or was listed for longer than forwarding tables remember. And none if they have nothing
in common: neither port nor anything told nor peers. Who inherits an address inherits what the translation table still
has of it, so the peers of an address that the old one had count only if all its sessions began since.

The weights are chosen, not measured, so that no single observation decides (docs/identity.md has what each comes to):
port, arrival and a randomised MAC alone make 0.64; the very same peers elsewhere 0.31; both together 0.98. Port and
peers are not independent where people share a room and a torrent, hence n**2: from five MACs on a port they make less
than 0.8 together. Whoever copies somebody's hostname and client identifier in order to pass the blame on needs that MAC
never to have been seen, its owner's port, or its owner's peers as well.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import nlargest
from math import prod

from switchguard.core.model import Mac
from switchguard.core.policy import IdentityPolicy
from switchguard.core.sketch import Similarity, similarity
from switchguard.core.traces import Link, Print, Trace

PRIOR = 0.01
NEVER_SEEN, RETURNED, RANDOMISED, LATEST = 3.0, 0.2, 2.0, 0.1
SAME_PORT, OTHER_PORT = 29.0, 0.3
SAME_NAME, OTHER_NAME = 30.0, 0.05
SAME_ID, OTHER_ID = 300.0, 0.02
SAME_PEERS, OTHER_PEERS = 25.0, 0.2
ALIKE, UNLIKE, COMMON = 0.6, 0.08, 0.1
STILL_LISTED = 0.3
TYPICAL = 10
"""So many clients have a hostname that is the name of a product, however few of them are here now."""
_PRODUCT = re.compile(
    "iphone|ipad|ipod|macbook|imac|galaxy|android|pixel|redmi|xiaomi|huawei|oneplus|oppo|vivo|moto|kindle|chromebook"
    "|^(laptop|phone|pc|localhost|ubuntu|debian|fedora|raspberrypi|windows)$"
)
AGEING = timedelta(seconds=300)
"""So long a forwarding table may list somebody who is gone (IEEE 802.1Q, 8.8.3)."""
SLACK = timedelta(seconds=5)
"""Tables of one poll are not read at the same moment."""
ENOUGH = 16
"""Remote hosts, below which a set says nothing about whose it is."""
BESIDE = 50
"""With so many others that have traces a set of remote hosts is compared, those with most of them."""
WORTH_NOTING = 0.2
"""A link less certain than this is nobody's business."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What everybody else is like, at this moment."""

    at: datetime
    on_port: Mapping[tuple[str, str], frozenset[Mac]] = field(default_factory=dict)
    """(device, port) -> who is there."""
    names: Mapping[str, frozenset[Mac]] = field(default_factory=dict)
    """Hostname -> which MACs have told it; likewise client identifiers below."""
    ids: Mapping[str, frozenset[Mac]] = field(default_factory=dict)
    floors: Mapping[Mac, float] = field(default_factory=dict)
    """MAC -> how alike its remote hosts are, at least, to those of somebody who is certainly another one."""
    settled: bool = True
    """Whether somebody has been watching for long enough to know who was never seen before."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A piece of evidence: so many times likelier if they are one, and the sentence."""

    weight: float
    told: str
    common: bool = False
    """Something that both have, without which there is no link."""


@dataclass(frozen=True, slots=True)
class Resemblance:
    """How `new` resembles `old`; `similarity` is that of the remote hosts, if both had enough of them."""

    old: Mac
    new: Mac
    reasons: tuple[Reason, ...]
    similarity: Similarity | None = None

    @property
    def odds(self) -> float:
        return PRIOR * prod(reason.weight for reason in self.reasons)


# --- comparing two ---------------------------------------------------------------------------------------------------


def resemblance(old: Trace, new: Trace, scene: Scene, within: timedelta) -> Resemblance | None:
    """None if they cannot be one device, or have nothing in common."""
    if new.appeared <= old.appeared or not -AGEING <= new.appeared - old.last_seen <= within or both_there(old, new):
        return None
    alike = _closest(old.prints, new.prints)
    reasons = (
        *_arrival(old, new, scene, within),
        *_place(old, new, scene),
        *_told(old, new, scene),
        *_peers(alike, max(scene.floors.get(old.mac, COMMON), scene.floors.get(new.mac, COMMON))),
        *_presence(old, scene),
    )
    if not any(reason.common for reason in reasons):
        return None
    return Resemblance(old.mac, new.mac, reasons, alike)


def both_there(one: Trace, other: Trace) -> bool:
    """Certainly at the same time: whoever came first was still doing something when the second one was there."""
    first, second = sorted((one, other), key=lambda trace: (trace.appeared, trace.mac))
    return first.last_active > second.appeared + SLACK or first.last_seen > second.appeared + AGEING


def _arrival(old: Trace, new: Trace, scene: Scene, within: timedelta) -> Iterator[Reason]:
    gap = max(new.appeared - old.last_seen, timedelta(0))
    yield Reason(max(LATEST, 1 - gap / within), f"it came {_minutes(gap)} after the old one was last seen")
    if new.first_seen < new.appeared:
        yield Reason(RETURNED, "it had been here before")
    elif scene.settled:
        yield Reason(NEVER_SEEN, "its MAC was never seen before")
    if new.mac.is_local:
        yield Reason(RANDOMISED, "its MAC is randomised")


def _place(old: Trace, new: Trace, scene: Scene) -> Iterator[Reason]:
    if old.port is None or new.port is None or old.device is None:
        return
    if (old.device, old.port) != (new.device, new.port):
        yield Reason(OTHER_PORT, f"on another port, {new.device} {new.port} instead of {old.device} {old.port}")
        return
    there = max(1, len(scene.on_port.get((old.device, old.port), frozenset()) - {old.mac}))
    crowd = "" if there == 1 else f", with {there} MACs on it"
    yield Reason(1 + SAME_PORT / there**2, f"on the same port, {old.device} {old.port}{crowd}", common=True)


def _told(old: Trace, new: Trace, scene: Scene) -> Iterator[Reason]:
    """What a client says of itself counts for no more than a client identifier that nobody else has."""
    pair = {old.mac, new.mac}
    names = len(scene.names.get(old.hostname or "", frozenset()) - pair) + 1
    names = max(names, TYPICAL) if _PRODUCT.search(old.hostname or "") else names
    ids = len(scene.ids.get(own_id(old) or "", frozenset()) - pair) + 1
    name = _same(old.hostname, new.hostname, names, (SAME_NAME, OTHER_NAME), "hostname")
    ident = _same(own_id(old), own_id(new), ids, (SAME_ID, OTHER_ID), "client identifier")
    spare = SAME_ID
    for reason in (ident, name):
        if reason is not None:
            yield replace(reason, weight=min(reason.weight, spare))
            spare = max(1.0, spare / max(reason.weight, 1.0))


def _same(one: str | None, other: str | None, having: int, weights: tuple[float, float], what: str) -> Reason | None:
    """`having`: how many clients tell the same."""
    if one is None or other is None:
        return None
    same, differs = weights
    if one != other:
        return Reason(differs, f"with another {what}")
    shared = "" if having == 1 else f", which {having} clients have"
    return Reason(max(1.0, same / having), f"with the same {what}{shared}", common=having < same)


def own_id(trace: Trace) -> str | None:
    """The client identifier, unless it is but the MAC (RFC 2132, 9.14: type 1 and the hardware address)."""
    if trace.client_id is None or trace.client_id in (str(trace.mac), f"01:{trace.mac}"):
        return None
    return trace.client_id


def _peers(alike: Similarity | None, floor: float) -> Iterator[Reason]:
    if alike is None:
        return
    told = f"{alike.value:.0%} of their remote hosts in common ({alike.low:.0%} to {alike.high:.0%})"
    if alike.high < UNLIKE:
        yield Reason(OTHER_PEERS, told)
        return
    reach = min(1.0, max(0.0, (alike.low - floor) / (ALIKE - floor))) if floor < ALIKE else 0.0
    others = f", others up to {floor:.0%}" if floor > COMMON else ""
    yield Reason(SAME_PEERS**reach, f"{told}{others}", common=reach > 0)


def _presence(old: Trace, scene: Scene) -> Iterator[Reason]:
    if old.last_seen >= scene.at:
        yield Reason(STILL_LISTED, "the old one is still listed")


def _closest(ones: Iterable[Print], others: Sequence[Print]) -> Similarity | None:
    """Of all pairs of moments, the most alike: a set that was still growing resembles another that was."""
    pairs = ((one, other) for one in ones for other in others)
    found = (similarity(one.sketch, other.sketch, (one.remotes, other.remotes)) for one, other in pairs)
    return max((it for it in found if it is not None and it.sample >= ENOUGH), key=_by_low, default=None)


def floors(traces: Iterable[Trace], others: Sequence[Print]) -> Mapping[Mac, float]:
    """As Scene has it: for each trace, how alike its newest remote hosts are to somebody else's, at least.

    Whoever has a trace as well, being under a penalty too, is certainly somebody else if both were there at once.
    """
    everybody = tuple(traces)
    closest = ((it.mac, _closest(it.prints[-1:], (*others, *_beside(it, everybody)))) for it in everybody)
    return {mac: max(COMMON, found.low) for mac, found in closest if found is not None}


def _beside(trace: Trace, everybody: Iterable[Trace]) -> Sequence[Print]:
    newest = (it.prints[-1] for it in everybody if it.prints and it.mac != trace.mac and both_there(it, trace))
    return nlargest(BESIDE, newest, key=lambda it: (it.remotes, it.sketch))


def _by_low(found: Similarity) -> tuple[float, float]:
    return found.low, found.value


def _minutes(gap: timedelta) -> str:
    seconds = int(gap.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


# --- everybody who left, everybody who came --------------------------------------------------------------------------


def recognise(old: Iterable[Trace], new: Sequence[Trace], scene: Scene, policy: IdentityPolicy) -> tuple[Link, ...]:
    """The links that are worth noting, most certain first; each newcomer is weighed against all the others."""
    found = (link for gone in old for link in _rivals(gone, new, scene, policy))
    return tuple(sorted(found, key=lambda link: (-link.confidence, link.old, link.new)))


def _rivals(gone: Trace, new: Iterable[Trace], scene: Scene, policy: IdentityPolicy) -> Iterator[Link]:
    found = [it for came in new if (it := resemblance(gone, came, scene, policy.within)) is not None]
    total = 1 + sum(it.odds for it in found)
    for it in found:
        confidence = round(it.odds / total, 3)
        if confidence >= WORTH_NOTING:
            told = tuple(reason.told for reason in sorted(it.reasons, key=lambda reason: -reason.weight))
            alike = None if it.similarity is None else (it.similarity.value, it.similarity.low, it.similarity.high)
            yield Link(it.old, it.new, confidence, told, scene.at, scene.at, similarity=alike)


def contradicted(link: Link, traces: Mapping[Mac, Trace]) -> bool:
    """What has been seen since then forbids it."""
    old, new = traces.get(link.old), traces.get(link.new)
    return old is not None and new is not None and both_there(old, new)


def counted(known: Iterable[Link], found: Iterable[Link], policy: IdentityPolicy, judged: bool) -> tuple[Link, ...]:
    """The links after this pass, by MACs. Polls above the threshold are counted, up to as many as the policy asks for;
    what a person has undone stays undone. `judged`: whether this pass was a poll, not only a look in between."""
    before = {(link.old, link.new): link for link in known}
    now = {(link.old, link.new): _grown(before.get((link.old, link.new)), link, policy, judged) for link in found}
    return tuple(link for _, link in sorted({**before, **now}.items()))


def _grown(before: Link | None, link: Link, policy: IdentityPolicy, judged: bool) -> Link:
    if before is not None and before.undone is not None:
        return before
    polls = 0 if before is None else before.polls
    if polls < policy.for_polls:
        polls = polls + judged if link.confidence > policy.follow_above else 0
    grown = replace(link, polls=polls)
    return grown if before is None else replace(grown, since=before.since, followed=before.followed)


def link_sentence(link: Link) -> str:
    """`02:…:77:07 is probably what was 02:…:07, confidence 0.97: …`; if nothing ever looked like it, what was said."""
    if link.undone is not None and not link.because:
        return f"{link.old} and {link.new} are two devices: {link.undone}"
    undone = f"; undone: {link.undone}" if link.undone is not None else ""
    told = ", ".join(link.because)
    return f"{link.new} is probably what was {link.old}, confidence {link.confidence:.2f}: {told}{undone}"
