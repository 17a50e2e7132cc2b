"""A cap for everybody behind one gateway: one line there, which counts the sessions of each inside address by itself.

It is only ever a person's: no rule asks for it, and no penalty of one client turns into it. Such a line cannot spare
anybody, so it is refused while somebody behind that gateway is exempt, unless the person overrides that.
"""

from collections.abc import Iterable
from datetime import datetime

from switchguard.core.changes import Slot
from switchguard.core.decide import is_manual
from switchguard.core.model import Attribution, ClientId, Network
from switchguard.core.penalties import Exemption, SessionCap, Verdict
from switchguard.core.policy import Policy
from switchguard.core.safeguards import Objection, overrides_exemption

_SORT = "everyone:"


def everyone_on(gateway: str) -> ClientId:
    return ClientId(f"{_SORT}{gateway}")


def everyone_meant(verdict: Verdict) -> bool:
    """Whether it is a person's cap for everybody on the gateway that it names."""
    on = verdict.on_device
    return is_manual(verdict) and on is not None and verdict.client == everyone_on(on)


def is_for_everyone(slot: Slot) -> bool:
    return slot == Slot(slot.device, SessionCap.kind)


def never_everyone(
    verdict: Verdict, exempt: Iterable[Exemption], attribution: Attribution, policy: Policy, now: datetime
) -> Objection | None:
    """Why everybody must not be capped like this, whoever asks; None also for a verdict about one client."""
    if not everyone_meant(verdict):
        return None
    if not isinstance(verdict.penalty, SessionCap):
        return Objection("unsupported", "only a cap of sessions can be for everybody")
    least = policy.safeguards.least_for_everyone
    if verdict.penalty.sessions < least:
        why = f"fewer than {least:,} sessions for each would cut people off (safeguards: least_for_everyone)"
        return Objection("blast_radius", why)
    spared = spared_by(exempt, attribution, policy, now)
    if spared is None or overrides_exemption(verdict):
        return None
    who = spared.network or spared.mac or spared.user
    return Objection("exemption", f"it would hold for {who} too, who is exempt: {spared.why}")


def spared_by(exempt: Iterable[Exemption], attribution: Attribution, policy: Policy, now: datetime) -> Exemption | None:
    """The first exemption, by id, of somebody who is or may be behind a gateway. A network is none where it is in no
    zone of the site and no client has an address in it; a MAC and a person may turn up behind any gateway."""
    for exemption in sorted(exempt, key=lambda it: it.id):
        if exemption.until is not None and exemption.until <= now:
            continue
        if exemption.network is None or _inside(exemption.network, attribution, policy):
            return exemption
    return None


def how_many_now(verdict: Verdict, attribution: Attribution) -> str:
    """How hard it hits those who were seen: `3 of 120 clients seen have more now`. Empty where no table tells."""
    if not isinstance(verdict.penalty, SessionCap):
        return ""
    used = [
        client.usage.sessions
        for client in attribution.clients
        if client.usage is not None and client.usage.device == verdict.on_device
    ]
    more = sum(sessions > verdict.penalty.sessions for sessions in used)
    return f"{more} of {len(used)} clients seen there have more now" if used else ""


def _inside(network: Network, attribution: Attribution, policy: Policy) -> bool:
    ours = [it for zone in policy.zones for it in zone.networks]
    if not ours or any(network.version == it.version and network.overlaps(it) for it in ours):
        return True
    seen = (address for client in attribution.clients for address in client.addresses)
    return any(it.version == network.version and it in network for it in seen)
