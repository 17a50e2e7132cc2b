"""What a site's file may say about each kind of rule, made of what the rule's own module declares.

A new kind of rule is one module in core/rules: its keys, their defaults, units and meanings are found here, and so they
are in the errors and in the reference.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime, time, timedelta, tzinfo
from ipaddress import IPv4Network, IPv6Network
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from switchguard.core.keys import About, Form, Threshold
from switchguard.core.model import RuleParams
from switchguard.core.rules import KINDS
from switchguard.edge.strict import (
    ClockTime,
    Declared,
    Duration,
    Moment,
    NetworkText,
    Rate,
    Share,
    Size,
    Strict,
    ZoneName,
    declare,
)

FORMS: Mapping[Form, Any] = {"share": Share, "octets": Size, "rate": Rate, "number": float, "count": int}
TYPES: Mapping[Any, Any] = {
    timedelta: Duration, time: ClockTime, datetime: Moment, tzinfo: ZoneName, IPv4Network | IPv6Network: NetworkText,
}  # fmt: skip

RuleBase = TypeVar("RuleBase", bound=Strict)


def rule_models(base: type[RuleBase], penalty: type[Strict]) -> Mapping[str, type[RuleBase]]:
    """Kind -> the model of such a rule: the base's keys, the penalty where the kind takes one, and the kind's own."""
    return {kind: declare(kind, base, _declared(kind, module.ABOUT, penalty)) for kind, module in KINDS.items()}


def params_of_model(model: Strict, about: About, site_zone: tzinfo) -> RuleParams:
    """The values that were said, and the site's time zone where none was. ValueError if they contradict each other."""
    params = about.params
    said = {name: _value(getattr(model, name)) for name in model.model_fields_set if name in _hints(params)}
    zones = {name: site_zone for name, hint in _hints(params).items() if hint is tzinfo}
    return params(**{**zones, **said})


def _declared(kind: str, about: About, penalty: type[Strict]) -> Mapping[str, Declared]:
    return {
        "kind": Declared(Literal[kind], "which rule it is"),
        "for_polls": Declared(int, "in how many polls in a row, before anything happens", about.for_polls, at_least=1),
        **({} if about.threshold is None else _threshold(about.threshold)),
        **_own_keys(about.params),
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


def _penalty(about: About, penalty: type[Strict]) -> Mapping[str, Declared]:
    if about.penalties == ():
        return {}
    if about.sentence is None:
        return {"penalty": Declared(penalty, "what happens then")}
    return {"penalty": Declared(penalty | None, "what happens then; without it, people are told", None)}


def _own_keys(params: type[Any]) -> Mapping[str, Declared]:
    hints = _hints(params)
    return {it.name: _own_key(it, hints[it.name]) for it in fields(params)} if is_dataclass(params) else {}


def _own_key(field: "Field[Any]", hint: Any) -> Declared:
    told = field.metadata
    default = ... if field.default is MISSING else field.default
    if hint is tzinfo or isinstance(default, tuple):
        hint, default = hint | None, None
    return Declared(_written(hint), told["meaning"], default, told["at_least"], told["at_most"])


def _written(hint: Any) -> Any:
    """The type of a value -> how it is written in the file."""
    if hint in TYPES:
        return TYPES[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return FORMS[args[1]]
    if origin is UnionType or NoneType in args:
        (rest,) = (arg for arg in args if arg is not NoneType)
        return _written(rest) | None
    if origin is tuple:
        return list[_written(args[0])]  # type: ignore[misc]  # a type that is made at run time
    return _nested(hint) if is_dataclass(hint) else hint


def _nested(kind: Any) -> type[Strict]:
    return declare(kind.__name__, _Nested, {**_own_keys(kind), "_kind": kind})
