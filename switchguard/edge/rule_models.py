"""What a site's file may say about each kind of rule, made of what the rule's own module declares.

A new kind of rule is one module in core/rules: its keys, their defaults, units and meanings are found here, and so they
are in the errors and in the reference.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime, time, timedelta, tzinfo
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from switchguard.core.keys import About, Form, Threshold
from switchguard.core.rules import KINDS
from switchguard.edge.strict import (
    Built,
    ClockTime,
    Declared,
    Duration,
    Moment,
    Rate,
    Share,
    Size,
    ZoneName,
    declare,
)

FORMS: Mapping[Form, Any] = {"share": Share, "octets": Size, "rate": Rate, "number": float, "count": int}
TYPES: Mapping[Any, Any] = {timedelta: Duration, time: ClockTime, datetime: Moment, tzinfo: ZoneName}

_LADDER = "a list of penalties is for the first time, the second time and so on"

RuleBase = TypeVar("RuleBase", bound=Built)


def rule_models(base: type[RuleBase], penalty: Any) -> Mapping[str, type[RuleBase]]:
    """Kind -> the model of such a rule: the base's keys, the kind's own, and the penalty where the kind takes one."""
    return {
        kind: declare(kind, base, module.ABOUT.params, _declared(kind, module.ABOUT, penalty))
        for kind, module in KINDS.items()
    }


def zone_keys(about: About) -> tuple[str, ...]:
    """The keys that are the site's time zone unless something else is said."""
    return () if about.params is None else tuple(it for it, hint in _hints(about.params).items() if hint is tzinfo)


def _hints(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _declared(kind: str, about: About, penalty: Any) -> Mapping[str, Declared]:
    return {
        "kind": Declared(Literal[kind], "which rule it is"),
        "for_polls": Declared(int, "in how many polls in a row, before anything happens", about.for_polls, at_least=1),
        **({} if about.threshold is None else _threshold(about.threshold)),
        **({} if about.params is None else _own_keys(about.params)),
        **_penalty(about, penalty),
    }


def _threshold(told: Threshold) -> Mapping[str, Declared]:
    default = ... if told.default is None else told.default
    whole = told.form in ("octets", "rate", "count")
    return {
        told.name: Declared(
            FORMS[told.form],
            told.meaning,
            int(default) if whole and isinstance(default, float) else default,
            at_least=0,
            at_most=told.at_most,
        )
    }


def _penalty(about: About, penalty: Any) -> Mapping[str, Declared]:
    if about.penalties == ():
        return {}
    if about.sentence is None:
        return {"penalty": Declared(penalty, f"what happens then; {_LADDER}")}
    return {"penalty": Declared(penalty | None, f"what happens then; {_LADDER}; without it, people are told", None)}


def _own_keys(kind: type[Any]) -> Mapping[str, Declared]:
    hints = _hints(kind)
    return {field.name: _own_key(field, hints[field.name]) for field in fields(kind)}


def _own_key(field: "Field[Any]", hint: Any) -> Declared:
    told = field.metadata
    default = ... if field.default is MISSING else field.default
    if hint is tzinfo or isinstance(default, tuple):  # the meaning says what there is without it
        hint, default = hint | None, None
    return Declared(_written(hint), told["meaning"], default, told["at_least"], told["at_most"])


def _written(hint: Any) -> Any:
    """The type of a value -> how it is written in the file."""
    if hint in TYPES:
        return TYPES[hint]
    args = get_args(hint)
    if get_origin(hint) is Annotated:
        return FORMS[args[1]]
    if NoneType in args:
        (rest,) = (arg for arg in args if arg is not NoneType)
        return _written(rest) | None
    if get_origin(hint) is tuple:
        return list[_written(args[0])]  # type: ignore[misc]  # a type that is made at run time
    return _nested(hint) if is_dataclass(hint) else hint


def _nested(kind: Any) -> type[Built]:
    return declare(kind.__name__, Built, kind, _own_keys(kind))
