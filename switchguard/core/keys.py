"""How a rule's module says what it can be told: one declaration for the settings, the reference and the code.

    @dataclass(frozen=True, slots=True)
    class Params(RuleParams):
        below: Share = key("the green threshold", 0.05)

The type says how the value is written in the site's file (`Share`: 5%), the text is the line in the reference.
"""

from dataclasses import MISSING, dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from switchguard.core.policy import Rule, RuleParams, Sentence

Form = Literal["share", "octets", "rate", "number", "count"]
Share = Annotated[float, "share"]
"""0.0-1.0, written 12%."""
Octets = Annotated[int, "octets"]
"""Written 1GB."""
Bps = Annotated[int, "rate"]
"""Bits per second, written 64kbps."""

P = TypeVar("P", bound=RuleParams)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The key whose value becomes `Rule.above`. `default` None: it must be said."""

    name: str
    form: Form
    meaning: str
    default: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the settings must know about a kind of rule."""

    meaning: str
    """The kind in a sentence, for the reference."""
    params: type[RuleParams] | None = None
    """A dataclass whose fields are made by `key`; None: there is nothing but the threshold."""
    threshold: Threshold | None = None
    for_polls: int = 3
    """The default of that key."""
    sentence: Sentence | None = None
    """What happens where the site names no penalty; None: it must name one."""
    penalties: tuple[str, ...] | None = None
    """Kinds of penalty that make sense; None: all do; none at all: the rule has its own."""


def key(meaning: str, default: Any = MISSING, *, at_least: float | None = None, at_most: float | None = None) -> Any:
    """A field of a Params; without default it must be said."""
    return field(default=default, metadata={"meaning": meaning, "at_least": at_least, "at_most": at_most})


def params_of(rule: Rule, params: type[P]) -> P:
    """The rule's own, or the defaults. ValueError if they are another kind's."""
    if rule.params is None:
        return params()
    if not isinstance(rule.params, params):
        raise ValueError(f"rule {rule.name!r} of kind {rule.kind} has the parameters of another kind")
    return rule.params
