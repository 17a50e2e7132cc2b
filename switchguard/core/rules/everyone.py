"""A rate limit or a session cap for each and every client of a zone.

Nobody's fault, so the brakes against a mass of new penalties do not count it; exemptions and infrastructure do.
"""

from switchguard.core.evidence import Evidence
from switchguard.core.explain import penalty_phrase
from switchguard.core.keys import About
from switchguard.core.penalties import Finding
from switchguard.core.policy import Rule
from switchguard.core.rules._findings import about, gentle
from switchguard.core.rules._sight import clients_of

KIND = "everyone"
ABOUT = About(
    "every client, so that each has the same limit; restrict it with `zones` or `networks`",
    for_polls=1,
    penalties=("cap", "limit"),
)


def judge(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Everyone here; nobody if the penalty would cut people off, for that is not what this rule is for."""
    if not gentle(rule):
        return ()
    because = f"everybody here has {penalty_phrase(rule.sentence.penalty)}"
    return tuple(about(client, evidence, rule, 0.0, because, routine=True) for client in clients_of(evidence, rule))
