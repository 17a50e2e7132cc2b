"""Any value of the core <-> JSON: snapshots in files, verdicts in the ledger, answers for programs.

One codec, compiled once per type from its annotations, so that a new field needs no second place to be written down.
Strict when reading: an unknown key, a missing one or a wrong type is an error that names the way to it
(`nat[3].sessions: a whole number is expected, not 'many'`).

Spelling: addresses, networks and MACs as text, times in ISO 8601, durations in seconds, sets as sorted lists, penalties
with their `kind`, mappings as objects where the key has a text form and as lists of pairs where it has none.
"""

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from operator import attrgetter
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from switchguard.core.model import Mac, Snapshot
from switchguard.errors import SnapshotError

SCHEMA = 1
"""Of snapshot files. A file of another schema is refused."""

T = TypeVar("T")
Encoder = Callable[[Any], Any]
Decoder = Callable[[Any], Any]


class Malformed(ValueError):
    """Data that is no value of the wanted type; `path` leads to the spot."""

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(f"{path.lstrip('.')}: {why}" if path else why)
        self.why, self.path = why, path

    def below(self, step: str) -> "Malformed":
        return Malformed(self.why, step + self.path)


# --- for everybody ---------------------------------------------------------------------------------------------------


def to_json(value: object) -> Any:
    """Plain data (dict, list, str, int, float, bool, None) for any core value, or mapping or sequence of them."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted(to_json(item) for item in value)
    if isinstance(value, Sequence):
        return [to_json(item) for item in value]
    return _encoder(cast(Hashable, type(value)))(value)


def from_json(kind: type[T], data: object) -> T:
    """The value that `to_json` made `data` from. Raises Malformed."""
    return cast(T, _decoder(cast(Hashable, kind))(data))


def save_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Atomically; gzipped if the name ends in `.gz`; for its owner's eyes only, since it says who used the network.

    SnapshotError if it cannot be written.
    """
    document = {"schema": SCHEMA, "snapshot": _encoder(Snapshot)(snapshot)}
    octets = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    try:
        write = _replace if path.is_file() or not path.exists() else Path.write_bytes  # never replace /dev/null
        write(path, gzip.compress(octets, compresslevel=5) if path.suffix == ".gz" else octets)
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be written: {error.strerror}") from error


def load_snapshot(path: Path) -> Snapshot:
    """SnapshotError names the file and what is wrong with it."""
    try:
        octets = path.read_bytes()
        document = json.loads(gzip.decompress(octets) if path.suffix == ".gz" else octets)
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zlib.error) as error:
        raise SnapshotError(f"{path}: is no snapshot: {error}") from error
    if not isinstance(document, dict) or set(document) != {"schema", "snapshot"}:
        raise SnapshotError(f"{path}: is no snapshot: an object with schema and snapshot is expected")
    if document["schema"] != SCHEMA:
        raise SnapshotError(f"{path}: has schema {document['schema']!r}; this switchguard reads schema {SCHEMA}")
    try:
        return from_json(Snapshot, document["snapshot"])
    except Malformed as error:
        raise SnapshotError(f"{path}: {error}") from error


def _replace(path: Path, octets: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


# --- encoding --------------------------------------------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


_TO_TEXT: Mapping[type, Encoder] = {
    Mac: str, IPv4Address: str, IPv6Address: str, IPv4Network: str, IPv6Network: str, datetime: datetime.isoformat,
}  # fmt: skip
_ENCODERS: Mapping[Any, Encoder] = {
    **_TO_TEXT, str: _same, bool: _same, int: int, float: float, NoneType: _same, timedelta: timedelta.total_seconds,
}  # fmt: skip


@cache
def _encoder(hint: Any) -> Encoder:
    hint = _plain(hint)
    if hint in _ENCODERS:
        return _ENCODERS[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _same
    if origin in (Union, UnionType):
        return _encode_union(args)
    if origin is tuple:
        return _encode_tuple(args)
    if origin is Sequence:
        return _encode_tuple((args[0], ...))
    if origin is frozenset:
        member = _encoder(args[0])
        return lambda value: sorted(member(item) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        return _encode_mapping(*args)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("value")
    if is_dataclass(hint):
        return _encode_dataclass(cast(type, hint))
    raise TypeError(f"{hint!r} has no JSON form here")


def _encode_union(args: tuple[Any, ...]) -> Encoder:
    rest = [arg for arg in args if arg is not NoneType]
    if len(rest) == 1:
        only = _encoder(rest[0])
        return lambda value: None if value is None else only(value)
    return lambda value: _encoder(cast(Hashable, type(value)))(value)


def _encode_tuple(args: tuple[Any, ...]) -> Encoder:
    if args[-1] is Ellipsis:
        member = _encoder(args[0])
        return lambda value: [member(item) for item in value]
    members = [_encoder(arg) for arg in args]
    return lambda value: [encode(item) for encode, item in zip(members, value, strict=True)]


def _encode_mapping(key: Any, item: Any) -> Encoder:
    encode_key, encode_item = _encoder(key), _encoder(item)
    if _has_text_form(key):
        return lambda value: {encode_key(k): encode_item(v) for k, v in value.items()}
    return lambda value: [[encode_key(k), encode_item(v)] for k, v in value.items()]


def _encode_dataclass(cls: type) -> Encoder:
    hints, names = get_type_hints(cls), _names(cls)
    pairs = [(name, _encoder(hints[name])) for name in names]
    tag = {"kind": kind} if (kind := _tag(cls)) else {}
    if len(names) < 2:
        return lambda value: {**tag, **{name: encode(getattr(value, name)) for name, encode in pairs}}
    read = attrgetter(*names)
    return lambda value: {
        **tag,
        **{name: encode(item) for (name, encode), item in zip(pairs, read(value), strict=True)},
    }


# --- decoding --------------------------------------------------------------------------------------------------------


def _exactly(kind: type, what: str) -> Decoder:
    def decode(data: Any) -> Any:
        if type(data) is not kind:
            raise Malformed(f"{what} is expected, not {data!r}")
        return data

    return decode


def _from_text(parse: Callable[[str], Any], what: str) -> Decoder:
    def decode(data: Any) -> Any:
        if type(data) is not str:
            raise Malformed(f"{what} is expected, not {data!r}")
        try:
            return parse(data)
        except ValueError as error:
            raise Malformed(f"{what} is expected, not {data!r}") from error

    return decode


def _number(data: Any) -> float:
    if type(data) is not float and type(data) is not int:
        raise Malformed(f"a number is expected, not {data!r}")
    return float(data)


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its offset")
    return moment


def _seconds(data: Any) -> timedelta:
    try:
        return timedelta(seconds=_number(data))
    except OverflowError as error:
        raise Malformed(f"a duration in seconds is expected, not {data!r}") from error


_DECODERS: Mapping[Any, Decoder] = {
    str: _exactly(str, "text"),
    bool: _exactly(bool, "true or false"),
    int: _exactly(int, "a whole number"),
    NoneType: _exactly(NoneType, "null"),
    float: _number,
    timedelta: _seconds,
    datetime: _from_text(_aware, "a time with its offset"),
    Mac: _from_text(Mac.parse, "a MAC address"),
    IPv4Address: _from_text(IPv4Address, "an IPv4 address"),
    IPv6Address: _from_text(IPv6Address, "an IPv6 address"),
    IPv4Network: _from_text(IPv4Network, "an IPv4 network"),
    IPv6Network: _from_text(IPv6Network, "an IPv6 network"),
}
_TEXT_UNIONS: Mapping[frozenset[type], Decoder] = {
    frozenset({IPv4Address, IPv6Address}): _from_text(ip_address, "an address"),
    frozenset({IPv4Network, IPv6Network}): _from_text(ip_network, "a network"),
    frozenset({IPv4Address, IPv6Address, IPv4Network, IPv6Network}): _from_text(
        lambda text: ip_network(text) if "/" in text else ip_address(text), "an address or a network"
    ),
}


@cache
def _decoder(hint: Any) -> Decoder:
    hint = _plain(hint)
    if hint in _DECODERS:
        return _DECODERS[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _one_of({arg: arg for arg in args})
    if origin in (Union, UnionType):
        return _decode_union(args)
    if origin is tuple and args[-1] is not Ellipsis:
        return _decode_row(args)
    if origin in (tuple, frozenset):
        return _decode_many(origin, args[0])
    if origin is Sequence:
        return _decode_many(tuple, args[0])
    if origin is not None and issubclass(origin, Mapping):
        return _decode_mapping(*args)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _one_of({member.value: member for member in hint})
    if is_dataclass(hint):
        return _decode_dataclass(cast(type, hint))
    raise TypeError(f"{hint!r} has no JSON form here")


def _one_of(choices: Mapping[Any, Any]) -> Decoder:
    def decode(data: Any) -> Any:
        if not isinstance(data, str | int) or data not in choices:
            raise Malformed(f"one of {', '.join(map(str, choices))} is expected, not {data!r}")
        return choices[data]

    return decode


def _decode_union(args: tuple[Any, ...]) -> Decoder:
    rest = [_plain(arg) for arg in args if arg is not NoneType]
    decode = _decoder(rest[0]) if len(rest) == 1 else _TEXT_UNIONS.get(frozenset(rest)) or _decode_tagged(rest)
    if len(rest) == len(args):
        return decode
    return lambda data: None if data is None else decode(data)


def _decode_tagged(kinds: Sequence[type]) -> Decoder:
    decoders = {_tag(kind): _decoder(kind) for kind in kinds}

    def decode(data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("kind"), str) or data["kind"] not in decoders:
            raise Malformed(f"an object whose kind is one of {', '.join(map(str, decoders))} is expected, not {data!r}")
        return decoders[data["kind"]](data)

    return decode


def _decode_row(args: tuple[Any, ...]) -> Decoder:
    members = [_decoder(arg) for arg in args]

    def decode(data: Any) -> Any:
        if not isinstance(data, list) or len(data) != len(members):
            raise Malformed(f"a list of {len(members)} is expected, not {data!r}")
        return tuple(member(item) for member, item in zip(members, data, strict=True))

    return decode


def _decode_many(collect: type, arg: Any) -> Decoder:
    member = _decoder(arg)

    def decode(data: Any) -> Any:
        if not isinstance(data, list):
            raise Malformed(f"a list is expected, not {data!r}")
        try:
            return collect(map(member, data))
        except Malformed as error:
            raise _first_failure(data, member) or error from error

    return decode


def _first_failure(data: Sequence[Any], member: Decoder) -> Malformed | None:
    for number, item in enumerate(data):
        try:
            member(item)
        except Malformed as error:
            return error.below(f"[{number}]")
    return None


def _decode_mapping(key: Any, item: Any) -> Decoder:
    decode_key, decode_item = _decoder(key), _decoder(item)
    pairs = _decode_many(tuple, tuple[key, item])

    def decode(data: Any) -> Any:
        if not isinstance(data, dict):
            raise Malformed(f"an object is expected, not {data!r}")
        return {decode_key(k): decode_item(v) for k, v in data.items()}

    return decode if _has_text_form(key) else lambda data: dict(pairs(data))


def _decode_dataclass(cls: type) -> Decoder:
    hints, tag = get_type_hints(cls), _tag(cls)
    decoders = {name: _decoder(hints[name]) for name in _names(cls)}
    needed = {field.name for field in fields(cls) if not _has_default(field)}

    def decode(data: Any) -> Any:
        if not isinstance(data, dict):
            raise Malformed(f"an object ({cls.__name__}) is expected, not {data!r}")
        if tag is not None:
            data = {name: item for name, item in data.items() if name != "kind"}
        if not decoders.keys() >= data.keys() >= needed:
            raise Malformed(_wrong_keys(cls.__name__, data.keys(), set(decoders), needed))
        values = {}
        for name, item in data.items():
            try:
                values[name] = decoders[name](item)
            except Malformed as error:
                raise error.below(f".{name}") from error
        return cls(**values)

    return decode


def _wrong_keys(what: str, got: Set[str], known: set[str], needed: set[str]) -> str:
    unknown, missing = sorted(got - known), sorted(needed - got)
    parts = [f"{word}: {', '.join(names)}" for word, names in (("unknown", unknown), ("missing", missing)) if names]
    return f"{what}: {'; '.join(parts)}"


# --- annotations -----------------------------------------------------------------------------------------------------


def _plain(hint: Any) -> Any:
    """A NewType is written as what it is made of."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def _tag(cls: type) -> str | None:
    """The `kind` of a penalty is a class variable; a field of that name is written like any other."""
    return None if "kind" in _names(cls) else cast(str | None, getattr(cls, "kind", None))


def _has_default(field: "Field[Any]") -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _has_text_form(key: Any) -> bool:
    kinds = get_args(key) if get_origin(key) in (Union, UnionType) else (_plain(key),)
    return all(kind is str or kind in _TO_TEXT for kind in kinds)
