"""One module per kind of rule; this folder is the list. A module has `KIND` and `judge`, as in `RuleModule`.

Modules whose name begins with an underscore are shared by rules and are none themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from switchguard.core.model import Attribution, Finding, Gap, Rule

Streaks = Mapping[tuple[str, str], int]
"""(rule, client) -> consecutive polls over the threshold."""


class RuleModule(Protocol):
    KIND: str

    def judge(self, attribution: Attribution, rule: Rule, streaks: Streaks) -> tuple[Finding, ...]:
        """Everyone who is over the rule's threshold in this poll; `Finding.streak` is the previous one plus one."""


def _modules() -> Mapping[str, RuleModule]:
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    modules = (cast(RuleModule, import_module(f"{__name__}.{name}")) for name in names)
    return {module.KIND: module for module in modules}


KINDS = _modules()


def judge_all(attribution: Attribution, rules: Iterable[Rule], streaks: Streaks) -> tuple[Finding, ...]:
    """Every rule's findings, sorted by rule and client. To be asked once per poll of the translation tables, because
    each time counts as one breach. ValueError for a rule of an unknown kind.
    """
    findings = (finding for rule in rules for finding in _module(rule).judge(attribution, rule, streaks))
    return tuple(sorted(findings, key=lambda finding: (finding.rule, finding.client)))


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
