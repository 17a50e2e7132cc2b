"""A switch for tests of writing: a running configuration under a vendor's grammar, and candidates for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from switchguard.core.model import Device, Mac, Role
from switchguard.errors import CommandRefused
from switchguard.lab.frontends.config import Grammar, Tree, load, render
from switchguard.lab.frontends.pipes import pipe
from switchguard.lab.plane import PortRow
from switchguard.ports import Candidate, Oid, SnmpValue, Transport

Answers = Mapping[str, Callable[["ConfiguredSwitch"], str]]
DiffOf = Callable[["ConfiguredSwitch", Tree, Sequence[str]], str]


def access_ports(long: str, short: str, count: int = 8) -> tuple[PortRow, ...]:
    """Access ports of VLAN 10, called GigabitEthernet0/1 and Gi0/1 or Ethernet1 and Et1."""
    return tuple(
        PortRow(f"{short}{n}".replace("/", "_"), f"{short}{n}", f"{long}{n}", n, True, 10, (10,))
        for n in range(1, count + 1)
    )


@dataclass
class ConfiguredSwitch:
    """A `ports.Session`. `extra` lines come into every candidate behind the driver's back."""

    platform: str
    grammar: Grammar
    indent: int
    answers: Answers
    diff_of: DiffOf
    running: Tree = field(default_factory=dict)
    learned: Mapping[tuple[int, Mac], str] = field(default_factory=dict)
    """(VLAN, MAC) -> port of the stations that were heard."""
    extra: tuple[str, ...] = ()
    shown_diff: str | None = None
    """Instead of the true one."""
    commits: int = 0
    typed: list[Sequence[str]] = field(default_factory=list)
    """The lines of every commit."""
    role: Role = Role.ACCESS

    @property
    def device(self) -> Device:
        return Device("sw1", self.platform, self.role)

    def type_in(self, text: str) -> None:
        """What an administrator does."""
        self.running = self._with(text.splitlines())

    def text(self) -> str:
        return "\n".join([*render(self.grammar, self.running, self.indent), "!", "end"])

    def speaks(self, transport: Transport) -> bool:
        return transport in ("cli", "candidate")

    def ask(self, command: str) -> str:
        question, bar, words = command.partition(" | ")
        if command in self.answers:
            return self.answers[command](self)
        shown = pipe(words) if bar else str
        if question not in self.answers or shown is None:
            raise CommandRefused("sw1", command, "% Invalid input detected at '^' marker.")
        return shown(self.answers[question](self))

    @contextmanager
    def candidate(self, lines: Sequence[str]) -> Iterator[Candidate]:
        typed = (*lines, *self.extra)
        yield _Loaded(self, self._with(typed), typed)

    def _with(self, lines: Sequence[str]) -> Tree:
        tree, refused = load(self.grammar, self.running, lines)
        if refused:
            raise CommandRefused("sw1", refused[0][0], str(refused[0][1]))
        return tree

    def stream(self, command: str) -> Iterator[bytes]:
        raise NotImplementedError

    def feed(self, command: str, text: str) -> str:
        raise NotImplementedError

    def configure(self, lines: Sequence[str]) -> str:
        """All or nothing, which is more than a command line does: a refused line is an error of the test anyway."""
        self.running = self._with((*lines, *self.extra))
        self.typed.append(lines)
        return ""

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        raise NotImplementedError

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        raise NotImplementedError

    def close(self) -> None:
        pass


@dataclass
class _Loaded:
    switch: ConfiguredSwitch
    tree: Tree
    typed: Sequence[str]

    def diff(self) -> str:
        shown = self.switch.shown_diff
        return self.switch.diff_of(self.switch, self.tree, self.typed) if shown is None else shown

    def commit(self) -> None:
        self.switch.running = self.tree
        self.switch.commits += 1
        self.switch.typed.append(self.typed)


def static_entries(switch: ConfiguredSwitch) -> dict[tuple[int, Mac], str]:
    """(VLAN, MAC) -> port, or `Drop`."""
    nodes = (node for node in switch.running.values() if node.text.startswith("mac address-table static"))
    words = (node.text.split() for node in nodes)
    return {(int(said[5]), Mac.parse(said[3])): "Drop" if said[6] == "drop" else said[7] for said in words}
