"""A recorded conversation with a device, played back: whatever was not recorded is an error, not an empty answer.

A recording is a directory `tests/recordings/<platform>/<table>/<case>/` with

* `session.yaml`: the device, what the site lets us speak, and which question got which file as its answer (`Replay`);
  for a platform that is never asked anything, which of its captures the file is,
* `expected.json`: what the driver must make of it (`as_json`: fields at their defaults are left out; any row order),
* `SOURCE`: where the shape comes from.

Show what a driver makes of a recording: `python tests/drivers/replay.py tests/recordings/linux/arp/neigh_json`.
"""

import json
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml

from switchguard import plugins
from switchguard.core.model import Device, NatUsage, Role, Table
from switchguard.core.penalties import Penalty
from switchguard.errors import CommandRefused, UnexpectedOutput
from switchguard.ports import (
    Candidate,
    Enforces,
    Oid,
    ReadsArp,
    ReadsCapture,
    ReadsCounters,
    ReadsFdb,
    ReadsInterfaces,
    ReadsLeases,
    ReadsLinks,
    ReadsNat,
    ReadsNatSize,
    SnmpValue,
    Transport,
)

RECORDINGS = Path(__file__).parents[1] / "recordings"
AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
"""When every recording was made, as far as the drivers know."""

READS: Mapping[Table, type] = {
    "nat": ReadsNat,
    "nat_size": ReadsNatSize,
    "arp": ReadsArp,
    "fdb": ReadsFdb,
    "interfaces": ReadsInterfaces,
    "counters": ReadsCounters,
    "links": ReadsLinks,
    "leases": ReadsLeases,
    "enforced": Enforces,
}
"""Table -> the capability that claims to read it; the method has the table's name."""

Rows = dict[tuple[int, ...], SnmpValue]


class NotRecorded(Exception):
    """A driver asked something that the recording does not answer. No DeviceError: it must not pass for one."""


@dataclass(frozen=True)
class Recording:
    """One case of one table of one platform."""

    path: Path

    @property
    def platform(self) -> str:
        return self.path.parts[-3]

    @property
    def table(self) -> Table:
        return cast(Table, self.path.parts[-2])

    def __str__(self) -> str:
        return "/".join(self.path.parts[-3:])

    @property
    def expected(self) -> object:
        return json.loads((self.path / "expected.json").read_text())

    def session(self) -> "Replay":
        return Replay.load(self.path)


def recordings() -> tuple[Recording, ...]:
    return tuple(Recording(path.parent) for path in sorted(RECORDINGS.glob("*/*/*/session.yaml")))


@dataclass
class Replay:
    """A `ports.Session` that answers from a recording. `session.yaml` has

    * `device`: fields of `core.model.Device` (`platform` is filled in), `speaks`: cli, snmp, candidate;
    * `ask`, `stream`, `feed`: question -> file with the answer; `refused`: question -> the error that came instead;
    * `file`: name of one of the driver's captures -> the file, where nothing is ever asked;
    * `free_text`: questions whose answer also holds lines that are none of the driver's business (a configuration);
    * `walked`: the subtrees that `walk.txt` covers, which is what `snmpbulkwalk -On` prints. Outside of them nothing is
      known; a scalar belongs to its own subtree;
    * `vlans`: VLAN -> the file with everything that the bridge of that VLAN answers. Its rows are kept below 0.VLAN.
    """

    device: Device
    transports: frozenset[Transport]
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    free_text: frozenset[str] = frozenset()
    walked: tuple[tuple[int, ...], ...] = ()
    rows: Rows = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    damaged: bool = False
    """Whether an answer is not as it was recorded. Names in it may lead to questions that the device would refuse."""

    @classmethod
    def load(cls, path: Path) -> "Replay":
        said = yaml.safe_load((path / "session.yaml").read_text())
        about = {"name": "recorded", "platform": path.parts[-3], "role": "gateway", **said.get("device", {})}
        about["role"] = Role(about["role"])
        for name in ("uplinks", "lan_interfaces"):
            about[name] = tuple(about.get(name, ()))
        walk, vlans = path / "walk.txt", said.get("vlans", {})
        in_vlans = {
            (0, int(vlan), *oid): value
            for vlan, file in vlans.items()
            for oid, value in parse_walk((path / file).read_text()).items()
        }
        return cls(
            device=Device(**about),
            transports=frozenset(said.get("speaks", ["cli"])),
            answers={
                (verb, question): _text((path / file).read_bytes())
                for verb in ("ask", "stream", "feed", "file")
                for question, file in said.get(verb, {}).items()
            },
            refusals=dict(said.get("refused", {})),
            free_text=frozenset(said.get("free_text", ())),
            walked=(*(numbers(str(oid)) for oid in said.get("walked", ())), *((0, int(vlan)) for vlan in vlans)),
            rows=(parse_walk(walk.read_text()) if walk.exists() else {}) | in_vlans,
        )

    def speaks(self, transport: Transport) -> bool:
        return transport in self.transports

    def ask(self, command: str) -> str:
        return self._answer("ask", command)

    def stream(self, command: str) -> Iterator[bytes]:
        text = self._answer("stream", command).encode()
        for start in range(0, len(text), 100):  # chunks end in the middle of lines, as they do on a wire
            yield text[start : start + 100]

    def feed(self, command: str, text: str) -> str:
        return self._answer("feed", f"{command} <<< {text}")

    def configure(self, lines: Sequence[str]) -> str:
        raise NotRecorded(f"configure {list(lines)}")

    def candidate(self, lines: Sequence[str]) -> AbstractContextManager[Candidate]:
        raise NotRecorded(f"candidate {list(lines)}")

    def close(self) -> None:
        pass

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        for oid in oids:
            self._known("get", numbers(oid))
        return {oid: self.rows.get(numbers(oid)) for oid in oids}

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        root = numbers(column)
        self._known("walk", root)
        return {oid[len(root) :]: value for oid, value in self.rows.items() if oid[: len(root)] == root and oid != root}

    def walk_vlan(self, column: Oid, vlan: int) -> Mapping[tuple[int, ...], SnmpValue]:
        return self.walk(f"0.{vlan}.{column}")

    def _answer(self, verb: str, question: str) -> str:
        self.asked.append((verb, question))
        if question in self.refusals:
            raise CommandRefused(self.device.name, question, self.refusals[question])
        if (verb, question) not in self.answers and self.damaged:
            raise CommandRefused(self.device.name, question, "there is no such thing")
        if (verb, question) not in self.answers:
            raise NotRecorded(
                f"{verb} {question!r}; recorded: {sorted(self.answers)}, refused: {sorted(self.refusals)}"
            )
        return self.answers[verb, question]

    def _known(self, verb: str, oid: tuple[int, ...]) -> None:
        self.asked.append((verb, ".".join(map(str, oid))))
        if "snmp" not in self.transports or not any(oid[: len(root)] == root for root in self.walked):
            raise NotRecorded(f"{verb} {'.'.join(map(str, oid))}")


def _text(octets: bytes) -> str:
    """Windows marks the order of octets; `switchguard analyze` recodes such a file before a driver sees it."""
    return octets.decode("utf-16" if octets.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")


def numbers(oid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in oid.strip(".").split("."))


def parse_walk(text: str) -> Rows:
    """What `snmpbulkwalk -On` prints. A wrapped Hex-STRING continues on lines that do not begin with a dot."""
    joined = text.replace("\n.", "\0.").replace("\n", " ").split("\0")
    rows: Rows = {}
    for line in filter(str.strip, joined):
        oid, _, value = line.strip().partition(" = ")
        if not value.startswith("No "):  # No Such Object, No Such Instance, No more variables
            rows[numbers(oid)] = _value(value)
    return rows


def _value(text: str) -> SnmpValue:
    kind, _, rest = text.partition(": ")
    match kind:
        case "INTEGER" | "Counter32" | "Counter64" | "Gauge32":
            return int(rest.split("(")[-1].split(")")[0].split()[0])
        case "Timeticks":
            return int(rest[1:].split(")")[0])
        case "Hex-STRING" | "BITS":
            return bytes.fromhex("".join(octet for octet in rest.split() if len(octet) == 2))
        case "STRING":
            return rest.strip().removeprefix('"').removesuffix('"').encode()
        case "IpAddress":
            return bytes(int(part) for part in rest.split("."))
        case "OID":
            return rest.strip().strip(".")
        case '""':
            return b""
    raise ValueError(f"no value as net-snmp prints it: {text!r}")


def read(driver: object, table: Table, session: Replay) -> object:
    """What the driver reads from that table, as `as_json` writes it."""
    saved = [(name, text) for (verb, name), text in session.answers.items() if verb == "file"]
    if saved:
        return as_json(_saved(driver, session.device.name, *saved[0]))
    method: Callable[..., object] = getattr(driver, table)
    return as_json(method(session, AT) if table in ("counters", "leases") else method(session))


def _saved(driver: object, device: str, capture: str, text: str) -> tuple[NatUsage, ...]:
    """UnexpectedOutput for a table that is not whole, of which `switchguard analyze` tells."""
    assert isinstance(driver, ReadsCapture)
    octets = text.encode("utf-8", "surrogatepass")
    table = driver.read_capture([octets[at : at + 100] for at in range(0, len(octets), 100)], capture, ())
    if table.unparsed or not table.complete or not table.entries:
        raise UnexpectedOutput(device, str(table.samples), "a saved table that is not whole")
    return table.usages


def as_json(value: Any) -> Any:
    """A core value for comparison: fields at their defaults left out, tuples and mappings in a fixed order."""
    if is_dataclass(value):
        kind = {"kind": value.kind} if isinstance(value, Penalty) else {}
        if not kind and [f.name for f in fields(value)] == ["value"]:
            return str(value)  # a Mac
        told = [f for f in fields(value) if getattr(value, f.name) != _default(f)]
        return kind | {f.name: as_json(getattr(value, f.name)) for f in told}
    if isinstance(value, Mapping):
        return _sorted({"slot": as_json(slot), "penalty": as_json(penalty)} for slot, penalty in value.items())
    if isinstance(value, tuple | list | frozenset):
        return _sorted(as_json(each) for each in value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _default(of: "Field[object]") -> object:
    return of.default_factory() if of.default_factory is not MISSING else of.default


def _sorted(values: Iterator[Any]) -> list[Any]:
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


if __name__ == "__main__":
    shown = Recording(Path(sys.argv[1]).absolute())
    named = plugins.driver(sys.argv[2] if len(sys.argv) > 2 else shown.platform)
    sys.stdout.write(json.dumps(read(named, shown.table, shown.session()), indent=1) + "\n")
