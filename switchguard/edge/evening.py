"""A recorded evening: what a site's devices told, look by look, so that a policy can be tried where it harms nobody.

A look is a snapshot with only those tables that were read then, as a gathering returns it: translations and counters
every minute, say, places when they changed. Beside the looks an evening has what the tables do not tell: the firewall's
log (connections per source and minute), how the interfaces were used in the weeks before, and since when devices are
known. It is one JSON document; the spelling is that of snapshots (snapshots.py). Compressed if its name ends in `.gz`.
"""

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from switchguard.core.evidence import Connections, InterfaceRates
from switchguard.core.model import Address, Mac, Snapshot
from switchguard.edge.snapshots import Malformed, from_json, to_json
from switchguard.errors import SnapshotError

SCHEMA = 1
"""A file of another schema is refused."""


@dataclass(frozen=True, slots=True)
class Evening:
    """`looks` are oldest first; there is at least one."""

    about: str
    looks: tuple[Snapshot, ...]
    connections: Mapping[str, Mapping[Address, tuple[Connections, ...]]] = field(default_factory=dict)
    """Name of a log -> source -> its new connections, minute by minute."""
    interfaces: tuple[InterfaceRates, ...] = ()
    """Hour by hour, before the evening."""
    first_seen: Mapping[Mac, datetime] = field(default_factory=dict)
    """Of devices that were known before the evening."""

    def __post_init__(self) -> None:
        if not self.looks:
            raise ValueError("an evening has at least one look")
        if any(later.at <= earlier.at for earlier, later in pairwise(self.looks)):
            raise ValueError("the looks of an evening are in the order of time")


def save_evening(path: Path, evening: Evening) -> None:
    """The same evening is the same octets. SnapshotError if it cannot be written."""
    document = {"schema": SCHEMA, "evening": _sparse(evening)}
    octets = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    try:
        path.write_bytes(gzip.compress(octets, mtime=0) if path.suffix == ".gz" else octets)
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be written: {error.strerror}") from error


def load_evening(path: Path) -> Evening:
    """From an evening, or from one snapshot as a very short one. SnapshotError names the file and what is wrong."""
    try:
        octets = path.read_bytes()
        document = json.loads(gzip.decompress(octets) if path.suffix == ".gz" else octets)
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zlib.error) as error:
        raise SnapshotError(f"{path}: is no evening: {error}") from error
    kind = next((it for it in ("evening", "snapshot") if isinstance(document, dict) and it in document), None)
    if kind is None or set(document) != {"schema", kind}:
        raise SnapshotError(f"{path}: is no evening: an object with schema and evening (or snapshot) is expected")
    if document["schema"] != SCHEMA:
        raise SnapshotError(f"{path}: has schema {document['schema']!r}; this switchguard reads schema {SCHEMA}")
    try:
        if kind == "evening":
            return from_json(Evening, document["evening"])
        return Evening("one snapshot", (from_json(Snapshot, document["snapshot"]),))
    except (Malformed, ValueError) as error:
        raise SnapshotError(f"{path}: {error}") from error


def _sparse(value: Any) -> Any:
    """As JSON, without what is as it would be anyway: that is most of it."""
    if is_dataclass(value) and not isinstance(value, type | Mac):
        told = {it.name: getattr(value, it.name) for it in fields(value)}
        usual = {it.name: _usual(it) for it in fields(value)}
        return {name: _sparse(item) for name, item in told.items() if item != usual[name]}
    if isinstance(value, tuple):
        return [_sparse(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _sparse(item) for key, item in value.items()}
    return to_json(value)


def _usual(told: "Field[Any]") -> object:
    return told.default if told.default_factory is MISSING else told.default_factory()
