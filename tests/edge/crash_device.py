"""A switch whose configuration is a file: it goes on existing when the process that talks to it is killed.

It takes one line after the other, as a command line without candidate configurations does, so that a push can end
between two lines. `steps` is called at every point where a process may die; `faults` make the device misbehave.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from switchguard.core.changes import Change, Diff, Enforced, Facts, Slot
from switchguard.core.model import Address, Device, Mode, Network, Role
from switchguard.core.penalties import Penalty
from switchguard.edge.snapshots import from_json, to_json
from switchguard.errors import CommandRefused, DeviceError, NotConfigured, UnexpectedDiff, Unreachable
from switchguard.ports import Candidate, Driver, Opens, Session, SnmpValue, Transport

Fault = Literal[
    "refuse", "drop before", "drop after", "drop halfway", "lose", "wrong diff", "unreadable", "defect",
    "refuse and go", "defect and go", "defect everywhere",
]  # fmt: skip


def toy(name: str) -> Device:
    return Device(name, "toy", Role.CORE, Mode.ENFORCE)


@dataclass
class Rack:
    """Files in a folder, one per device."""

    folder: Path
    steps: Callable[[], None] = lambda: None
    faults: dict[str, Fault] = field(default_factory=dict)
    open_now: set[str] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)
    commits: list[tuple[str, int]] = field(default_factory=list)
    flushed: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def read(self, device: str) -> dict[Slot, Penalty]:
        path = self.folder / f"{device}.json"
        rows = json.loads(path.read_text()) if path.exists() else []
        return {from_json(Slot, slot): from_json(PENALTY, penalty) for slot, penalty in rows}

    def write(self, device: str, blocks: Mapping[Slot, Penalty]) -> None:
        path = self.folder / f"{device}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps([[to_json(slot), to_json(penalty)] for slot, penalty in blocks.items()]))
        os.replace(new, path)

    @property
    def opens(self) -> Opens:
        return self._open

    @property
    def driver_of(self) -> Callable[[str], Driver]:
        return lambda _platform: ToyDriver()

    @contextmanager
    def _open(self, device: Device) -> Iterator[Session]:
        assert device.name not in self.open_now, "two sessions with one device at a time"
        self.open_now.add(device.name)
        self.opened.append(device.name)
        try:
            yield ToySession(self, device)
        finally:
            self.open_now.discard(device.name)


PENALTY: type[Penalty] = Penalty  # type: ignore[assignment]  # the codec takes any annotation


@dataclass
class ToySession:
    rack: Rack
    device: Device
    dropped: bool = False

    def ask(self, command: str) -> str:
        name, fault = self.device.name, self.rack.faults.get(self.device.name)
        if self.dropped or fault == "unreadable":
            raise Unreachable(name, "connection lost")
        if fault == "defect everywhere":
            raise KeyError("port")
        if command.startswith("flush "):
            if fault == "refuse":
                raise CommandRefused(name, command, "% Permission denied")
            if fault == "defect":
                raise KeyError("flush")
            self.rack.steps()
            self.rack.flushed.append((name, tuple(command.split()[1:])))
            return str(len(command.split()) - 1)
        self.rack.steps()
        return json.dumps([[to_json(slot), to_json(it)] for slot, it in self.rack.read(name).items()])

    def configure(self, lines: Sequence[str]) -> str:
        name, fault = self.device.name, self.rack.faults.get(self.device.name)
        if self.dropped or fault == "drop before":
            self._drop()
        if fault in ("refuse", "refuse and go"):
            if fault == "refuse and go":
                self.rack.faults[name] = "unreadable"
            raise CommandRefused(name, lines[0], "% Invalid input detected")
        if fault == "wrong diff":
            raise UnexpectedDiff(name, ["no router bgp 65000"])
        if fault in ("defect", "defect and go"):
            if fault == "defect and go":
                self.rack.faults[name] = "defect everywhere"
            raise KeyError("vlan")
        for number, line in enumerate(lines):
            if fault == "drop halfway" and number == len(lines) // 2:
                self._drop()
            self.rack.steps()
            if fault != "lose":
                self._take(line)
            self.rack.steps()
        self.rack.commits.append((name, len(lines)))
        if fault == "drop after":
            self._drop()
        return ""

    def _take(self, line: str) -> None:
        slot, penalty = json.loads(line)
        blocks = self.rack.read(self.device.name)
        blocks.pop(from_json(Slot, slot), None)
        if penalty is not None:
            blocks[from_json(Slot, slot)] = from_json(PENALTY, penalty)
        self.rack.write(self.device.name, blocks)

    def _drop(self) -> None:
        self.dropped = True
        raise Unreachable(self.device.name, "connection lost")

    def speaks(self, transport: Transport) -> bool:
        return transport == "cli"

    def stream(self, command: str) -> Iterator[bytes]:
        raise self._no()

    def feed(self, command: str, text: str) -> str:
        raise self._no()

    def get(self, oids: Sequence[str]) -> Mapping[str, SnmpValue | None]:
        raise self._no()

    def walk(self, column: str) -> Mapping[tuple[int, ...], SnmpValue]:
        raise self._no()

    def candidate(self, lines: Sequence[str]) -> AbstractContextManager[Candidate]:
        raise self._no()

    def close(self) -> None:
        pass

    def _no(self) -> DeviceError:
        return NotConfigured(self.device.name, "the toy has a command line only")


class ToyDriver:
    platform = "toy"
    facts = Facts({"block": ("mac_vlan",)})

    def enforced(self, session: Session) -> Enforced:
        return {from_json(Slot, slot): from_json(PENALTY, it) for slot, it in json.loads(session.ask("show blocks"))}

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        return tuple(json.dumps([to_json(change.slot), to_json(change.after)]) for change in changes)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return Diff("\n".join(self.render(changes)), "computed")

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        session.configure(self.render(changes))
        return self.preview(session, changes)

    def clear_sessions(self, session: Session, addresses: Sequence[Address | Network]) -> int:
        return int(session.ask(" ".join(["flush", *map(str, addresses)])))


class BlindDriver:
    """Neither enforces nor clears anything."""

    platform = "blind"
