"""A MAC that two stations use: the port that it was copied from is named, and penalised if the rule says so.

Whoever copies a neighbour's MAC is cut off, if at all, at his own port: the MAC itself is never blocked (copies.py says
when it counts as copied, and which port is the suspect). Where the port of the copy cannot be told from the owner's,
all of them are named in a notice, and none is penalised. A penalty is put on the port under the same safeguards as
every action on a port: no neighbour but a telephone, no aggregate, no uplink, nobody exempt there, and no more MACs
than `safeguards.max_macs_per_port`.
"""

from dataclasses import dataclass
from datetime import timedelta

from switchguard.core.copies import listed_ports, port_name
from switchguard.core.evidence import Evidence
from switchguard.core.keys import About, key, params_of
from switchguard.core.model import Contested
from switchguard.core.penalties import Finding, Notify
from switchguard.core.policy import Rule, RuleParams, Sentence
from switchguard.core.rules._findings import alarm
from switchguard.core.rules._sight import within

KIND = "copied_mac"


@dataclass(frozen=True, slots=True)
class Params(RuleParams):
    tell_again: timedelta = key(
        "where the port cannot be told, a notice that goes on is told again after this long", timedelta(hours=1)
    )


ABOUT = About(
    "a MAC that more than one station uses: a notice, or a penalty for the port of the copy",
    Params,
    for_polls=2,
    sentence=Sentence(Notify()),
    penalties=("notify", "limit", "quarantine"),
)


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """The suspicious ports; all ports of a MAC in one finding where none of them is more suspicious than another."""
    return tuple(
        _finding(it, evidence, rule)
        for _, it in sorted(evidence.attribution.contested.items())
        if it.certain and within(it.addresses, rule.networks)
    )


def blind(evidence: Evidence, rule: Rule) -> tuple[str, ...]:
    return () if evidence.attribution.uplinks_known else ("no switch tells its stations and its uplinks",)


def _finding(it: Contested, evidence: Evidence, rule: Rule) -> Finding:
    suspect = it.suspect
    if suspect is None or suspect.station.port is None:
        named = port_name(it.ports) if it.ports else f"mac:{it.mac}"
        because = f"more than one station uses {it.mac}, and which is the copy cannot be told: {it.why}"
        return alarm(named, evidence, rule, len(it.ports), because, again=params_of(rule, Params).tell_again)
    place = (suspect.device, suspect.station.port)
    client = port_name([place])
    owner = listed_ports(port for port in it.ports if port != place)
    because = f"it seems to use a copy of {it.mac}, which was on {owner} before: {it.why}"
    return Finding(
        client,
        rule.name,
        value=len(it.ports),
        threshold=rule.above,
        because=because,
        streak=evidence.streak(rule, client) + 1,
        macs=(it.mac,),
        location=suspect,
    )
