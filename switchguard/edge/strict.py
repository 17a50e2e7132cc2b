"""Strict models: unknown keys, missing units and wrong types become sentences that name the nearest right thing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from ipaddress import ip_network
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticUndefined, core_schema

from switchguard.core.model import Mac, Network, plain_network
from switchguard.edge import units
from switchguard.edge.moments import by, parse_end
from switchguard.errors import UnknownPlugin


class Strict(BaseModel):
    """Nothing is converted in silence, nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class Unit:
    """How a value is written, for the reference."""

    text: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value's own key `by` says which of the models it is; `sort` is what that names."""

    by: str
    sort: str
    models: Mapping[str, type[Strict]]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {name: handler.generate_schema(model) for name, model in self.models.items()}
        return core_schema.tagged_union_schema(choices, discriminator=self.by)


def _parsed_by(parse: Any) -> BeforeValidator:
    def validate(value: object) -> object:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return parse(str(value))
        return value

    return BeforeValidator(validate)


def _network(text: str) -> Network:
    try:
        return plain_network(text)
    except ValueError as error:
        if "has a scope" in str(error):
            raise
        if "host bits" not in str(error):
            raise ValueError(f"{text!r} is not a network; write it like 10.10.0.0/16 or 2001:db8::/48") from None
        raise ValueError(f"{text!r} has host bits set; did you mean {ip_network(text, strict=False)}?") from None


def _clock(text: str) -> time:
    """24:00 would be another day's 00:00."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.ASCII):
        raise ValueError(f"{text!r} is not a time of day; write it like 00:00 or 06:30")
    return time.fromisoformat(text)


def _zone(text: str) -> tzinfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(text, sorted(available_timezones()), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "write it like Europe/Berlin or UTC"
        raise ValueError(f"no time zone called {text!r}; {hint}") from None


def _term(text: str) -> timedelta | None:
    return None if text == "forever" else units.parse_duration(text)


def _unquoted(value: object) -> object:
    """3 is as good as "3"; 1.10 is not, because as a number it is 1.1."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_unquoted)]
"""Text that may look like a whole number: there are switches whose ports are called 1, 2 and 3."""
SnmpVersion = Annotated[Literal["1", "2c", "3"], BeforeValidator(_unquoted)]
Duration = Annotated[timedelta, _parsed_by(units.parse_duration), Unit("duration: 10s, 5m, 2h, 2d, 1w")]
Term = Annotated[timedelta | None, _parsed_by(_term), Unit("duration, or `forever`")]
Rate = Annotated[int, _parsed_by(units.parse_rate), Unit("rate: 64kbps, 20Mbps, 1Gbps")]
Share = Annotated[float, _parsed_by(units.parse_share), Unit("share: 5%, 12.5%")]
Factor = Annotated[float, _parsed_by(units.parse_factor), Unit("factor: 1.5x, 2x")]
Size = Annotated[int, _parsed_by(units.parse_size), Unit("amount of data: 500MB, 1GB, 1GiB")]
ClockTime = Annotated[time, _parsed_by(_clock), Unit("time of day: 00:00, 06:30")]
ZoneName = Annotated[tzinfo, _parsed_by(_zone), Unit("time zone: Europe/Berlin, UTC")]
MacText = Annotated[Mac, _parsed_by(Mac.parse), Unit("MAC address, any spelling")]
NetworkText = Annotated[Network, _parsed_by(_network), Unit("network: 10.10.0.0/16")]
Reference = Annotated[Any, Unit("reference to a secret")]
Moment = Annotated[
    datetime,
    _parsed_by(parse_end),
    Unit("day (to its end) or time, by `time_zone` unless it says otherwise: 2026-12-01T18:00+01:00"),
]
"""As it is written, and so without a zone perhaps: whoever knows the site's clock makes a moment of it (moments.by)."""


# --- models that are declared elsewhere ------------------------------------------------------------------------------


class Built(Strict):
    """A model that becomes a value of the core, a dataclass that has the same keys and more sense."""

    builds: ClassVar[type[Any] | None] = None

    def value(self, zone: tzinfo = UTC, /, **otherwise: object) -> Any:
        """Made of what was said; of `otherwise` where nothing was; of the dataclass's own defaults for the rest.

        `zone` is whose clock is meant where a time does not say. ValueError if the dataclass finds that what was said
        makes no sense.
        """
        if self.builds is None:
            return None
        names = {field.name for field in fields(self.builds)}
        said = {name: _value(getattr(self, name), zone) for name in self.model_fields_set & names}
        return self.builds(**{**otherwise, **said})

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.value()
        return self


Made = TypeVar("Made", bound=Built)


@dataclass(frozen=True, slots=True)
class Declared:
    """One key of a model that is made of declarations. `default` `...`: it must be said."""

    form: Any
    meaning: str
    default: Any = ...
    at_least: float | None = None
    at_most: float | None = None


def declare(name: str, base: type[Made], builds: type[Any] | None, declared: Mapping[str, Declared]) -> type[Made]:
    """The base with these keys besides; one that it has already is replaced."""
    made: dict[str, Any] = {
        name: (it.form, Field(default=it.default, description=it.meaning, ge=it.at_least, le=it.at_most))
        for name, it in declared.items()
    }
    model = create_model(name, __base__=base, **made)
    model.builds = builds
    return model


def _value(said: Any, zone: tzinfo) -> Any:
    match said:
        case list():
            return tuple(_value(it, zone) for it in said)
        case datetime():
            return by(zone, said)
        case Built():
            return said.value(zone)
        case _:
            return said


# --- complaints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one value, and the way to it."""

    way: tuple[str | int, ...]
    why: str


def check(model: type[Strict], data: object) -> Strict | tuple[Complaint, ...]:
    """The model, or everything that is wrong with the data, in the order of the file's keys."""
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError as error:
        return tuple(_complaint(model, data, details) for details in error.errors())


def _complaint(model: type[Strict], data: object, details: ErrorDetails) -> Complaint:
    way, here = _place(model, details["loc"])
    way = tuple(_as_written(way, data))
    name = ".".join(str(step) for step in way)
    known = sorted(here.model_fields) if _is_model(here) else []
    match details["type"]:
        case "extra_forbidden":
            why = f"unknown key {name!r}; {_hint(str(way[-1]), known)}"
        case "missing":
            why = f"{name!r} is missing"
        case "union_tag_not_found" if (one_of := _one_of(here)) and isinstance(details["input"], dict):
            why = f"'{name}.{one_of.by}' is missing; {_hint('', sorted(one_of.models))}"
        case "union_tag_invalid" if one_of := _one_of(here):
            way = (*way, one_of.by)
            why = f"{name}: {UnknownPlugin(one_of.sort, str(details['input'][one_of.by]), one_of.models)}"
        case "model_type" | "dict_type" | "model_attributes_type":
            why = f"a mapping is expected here, `key: value` in each line, not {_sort_of(details['input'])}"
            if way:
                wanted = _child(here, way[-1])
                keys = f"; known are: {', '.join(sorted(wanted.model_fields))}" if _is_model(wanted) else ""
                why = f"{name}: {why}{keys}"
        case "value_error":
            why = f"{name}: {details['ctx']['error']}" if name else str(details["ctx"]["error"])
        case _:
            why = f"{name}: {details['msg'][0].lower()}{details['msg'][1:]}, not {details['input']!r}"
    return Complaint(way, why)


def _sort_of(data: object) -> str:
    """A long one is not quoted."""
    return "a list" if isinstance(data, list) else repr(data)


def _hint(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}? Known are: {', '.join(known)}" if near else f"known are: {', '.join(known)}"


def _place(model: type[Strict], loc: Sequence[str | int]) -> tuple[tuple[str | int, ...], Any]:
    """The way as the file has it, without the choices that pydantic notes on the way, and the model that holds its end.

    For a choice that could not be made, it is the choice itself.
    """
    way: list[str | int] = []
    holder: Any = model
    here: Any = model
    for step in loc:
        if one_of := _one_of(here):
            here = one_of.models[str(step)]
            continue
        way.append(step)
        holder = here
        here = _child(here, step)
    return tuple(way), here if _one_of(here) else holder


def _as_written(way: Sequence[str | int], data: object) -> Iterator[str | int]:
    """Without the number of an item that the file has instead of a list of one."""
    here = data
    for step in way:
        if isinstance(step, int) and not isinstance(here, list):
            continue
        yield step
        held = here if isinstance(here, dict) else dict(enumerate(here)) if isinstance(here, list) else {}
        here = held.get(step)


def _child(here: Any, step: str | int) -> Any:
    """What a model, mapping or list has there; None for a key that it does not know."""
    if _is_model(here):
        info = here.model_fields.get(step)
        return None if info is None else _unwrapped(info.annotation)
    return _unwrapped((get_args(here) or (None,))[-1])


def _unwrapped(hint: Any) -> Any:
    return hint if _one_of(hint) else _inner(hint)


def _one_of(hint: Any) -> OneOf | None:
    found = (it for it in get_args(hint)[1:] if isinstance(it, OneOf)) if get_origin(hint) is Annotated else iter(())
    return next(found, None)


# --- the reference ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a file, for people."""

    name: str
    default: str
    form: str
    meaning: str


def keys(model: type[Strict], prefix: str = "") -> Iterator[Key]:
    """Every key, depth first; `<name>` stands for a name that the site chooses, `[]` for each item of a list."""
    for name, info in model.model_fields.items():
        inner = _inner(info.annotation)
        yield Key(f"{prefix}{name}", _default(info), _form(info), info.description or "")
        if _is_model(inner):
            yield from keys(inner, f"{prefix}{name}.")
        elif _is_model(item := _unwrapped((get_args(inner) or (None,))[-1])):
            step = ".<name>" if get_origin(inner) is dict else "[]"
            yield from keys(item, f"{prefix}{name}{step}.")


def _is_model(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Strict)


def _inner(hint: Any) -> Any:
    """Without `| None` and Annotated."""
    if get_origin(hint) is Annotated:
        return _inner(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        rest = [arg for arg in get_args(hint) if arg is not NoneType]
        return _inner(rest[0]) if len(rest) == 1 else hint
    return hint


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value in ({}, [], ()) or isinstance(value, BaseModel):
        return "–"
    return f"`{_spelled(value, _unit(info))}`"


def _spelled(value: Any, form: str) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return units.spell_duration(value)
        case time():
            return f"{value:%H:%M}"
        case float() if form.startswith("share"):
            return f"{value * 100:g}%"
        case float() if form.startswith("factor"):
            return f"{value:g}x"
        case int() if form.startswith("rate"):
            return units.spell_rate(value)
        case _:
            return str(value)


def _unit(info: FieldInfo) -> str:
    found = [it.text for it in (*info.metadata, *_annotations(info.annotation)) if isinstance(it, Unit)]
    return found[0] if found else ""


def _annotations(hint: Any) -> Iterator[object]:
    if get_origin(hint) is Annotated:
        yield from get_args(hint)[1:]
    for arg in get_args(hint):
        if get_origin(hint) is not Literal:
            yield from _annotations(arg)


def _form(info: FieldInfo) -> str:
    inner, unit = _inner(info.annotation), _unit(info)
    origin = get_origin(inner)
    if unit:
        return f"list of ({unit})" if origin is list else unit
    if origin is Literal:
        return " or ".join(f"`{_spelled(choice, '')}`" for choice in get_args(inner))
    if _is_model(inner) or (origin is not None and issubclass(origin, Mapping)):
        return "mapping"
    if origin is list:
        return "list"
    return {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}.get(inner, str(inner))
