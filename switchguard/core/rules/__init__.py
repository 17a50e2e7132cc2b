"""One module per kind of rule; this folder is the list. A module has what `RuleModule` asks for.

Modules whose name begins with an underscore are shared by rules and are none themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast, runtime_checkable

from switchguard.core.evidence import Evidence, Streaks
from switchguard.core.keys import About
from switchguard.core.model import Gap
from switchguard.core.penalties import Finding
from switchguard.core.policy import Rule


class RuleModule(Protocol):
    KIND: str
    ABOUT: About

    def judge(self, evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
        """Everyone who is over the rule's threshold in this poll; `Finding.streak` is the previous one plus one."""


@runtime_checkable
class LooksBack(Protocol):
    """A rule that adds up what clients did since certain moments."""

    def looks_back(self, rule: Rule, now: datetime) -> tuple[datetime, ...]:
        """The moments; traffic that the ledger sums across one of them would not count."""


@runtime_checkable
class HeedsEnds(Protocol):
    """A rule to which the ends of past penalties matter for a while."""

    def heeds_ends_since(self, rule: Rule, now: datetime) -> datetime:
        """What ended before makes no difference."""


@runtime_checkable
class MayBeBlind(Protocol):
    """A rule that can judge nobody while something is missing."""

    def blind(self, evidence: Evidence, rule: Rule) -> tuple[str, ...]:
        """What is missing, in a sentence each."""


def _modules() -> Mapping[str, RuleModule]:
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    modules = (cast(RuleModule, import_module(f"{__name__}.{name}")) for name in names)
    return {module.KIND: module for module in modules}


KINDS = _modules()


def judge_all(evidence: Evidence, rules: Iterable[Rule]) -> tuple[Finding, ...]:
    """Every rule's findings, sorted by rule and client. To be asked once per poll of the translation tables, because
    each time counts as one breach. ValueError for a rule of an unknown kind.
    """
    findings = (finding for rule in rules for finding in _module(rule).judge(evidence, rule))
    return tuple(sorted(findings, key=lambda finding: (finding.rule, finding.client)))


def cuts(rules: Iterable[Rule], now: datetime) -> tuple[datetime, ...]:
    """The moments across which no span of `Evidence.traffic` may reach, oldest first; before the first of them nothing
    is needed. The ends of past penalties of a rule that `adds_up` are such moments too, each for its client."""
    modules = ((_module(rule), rule) for rule in rules)
    return tuple(
        sorted({at for module, rule in modules if isinstance(module, LooksBack) for at in module.looks_back(rule, now)})
    )


def adds_up(rule: Rule) -> bool:
    """It counts what a client moved since its last penalty of this rule ended."""
    return isinstance(_module(rule), LooksBack)


def ends_matter_since(rules: Iterable[Rule], now: datetime) -> datetime:
    """A penalty that ended earlier makes no difference to what any of these rules finds."""
    known = tuple(rules)
    heeding = ((_module(rule), rule) for rule in known)
    since = (module.heeds_ends_since(rule, now) for module, rule in heeding if isinstance(module, HeedsEnds))
    return min((now, *cuts(known, now), *since))


def blind_spots(evidence: Evidence, rules: Iterable[Rule]) -> tuple[tuple[str, str], ...]:
    """(rule, sentence): who judges nobody at the moment, and for want of what."""
    modules = ((_module(rule), rule) for rule in rules)
    return tuple(
        (rule.name, why)
        for module, rule in modules
        if isinstance(module, MayBeBlind)
        for why in module.blind(evidence, rule)
    )


def _module(rule: Rule) -> RuleModule:
    if rule.kind not in KINDS:
        raise ValueError(f"rule {rule.name!r}: no kind of rule called {rule.kind!r}; there are: {', '.join(KINDS)}")
    return KINDS[rule.kind]


def advance(streaks: Streaks, findings: Sequence[Finding], gaps: Iterable[Gap] = ()) -> Mapping[tuple[str, str], int]:
    """The streaks after this poll. Who no longer breaches starts again from zero.

    A missing translation or ARP table pauses instead: who was not found breaching may just not have been seen.
    """
    paused = any(gap.table in ("nat", "arp") for gap in gaps)
    breaching = {(finding.rule, str(finding.client)): finding.streak for finding in findings}
    return {**streaks, **breaching} if paused else breaching
