"""Only devices that are registered to a person; the others get the rule's penalty: a tier, or nothing.

Without a registry, or with an empty one, nobody is judged: a list that cannot be read must not shut out everybody.
A client without a MAC cannot be looked up and is left to other rules.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from switchguard.core.evidence import Evidence, age
from switchguard.core.explain import duration
from switchguard.core.keys import About, key, params_of
from switchguard.core.model import Client
from switchguard.core.penalties import Finding
from switchguard.core.policy import Rule, RuleParams
from switchguard.core.rules._findings import about, gentle
from switchguard.core.rules._sight import clients_of

KIND = "registered_only"


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    grace: timedelta = key("how long after it was first seen a device may still be registered", timedelta(minutes=15))

    @property
    def needs(self) -> tuple[Literal["registry"]]:
        return ("registry",)


ABOUT = About("clients none of whose MACs is registered to a person", Params)


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Everyone who is here unregistered for longer than the grace."""
    if not evidence.registry:
        return ()
    grace = params_of(rule, Params).grace
    return tuple(
        about(client, evidence, rule, seen.total_seconds(), _because(seen), "seconds", routine=gentle(rule))
        for client in clients_of(evidence, rule)
        if client.macs and evidence.registry.keys().isdisjoint(client.macs)
        if (seen := _here_for(client, evidence)) is not None and seen >= grace
    )


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    if evidence.registry is None:
        return (evidence.no_registry or "there is no registry, or it could not be read",)
    return () if evidence.registry else ("the registry is empty",)


def _here_for(client: Client, evidence: Evidence) -> timedelta | None:
    """Since the last of its MACs was first seen; None if the ledger does not know one of them yet."""
    if not all(mac in evidence.first_seen for mac in client.macs):
        return None
    return age(evidence.now, max(evidence.first_seen[mac] for mac in client.macs))


def _because(seen: timedelta) -> str:
    return f"its MAC is registered to nobody, {duration(seen)} after it was first seen"
