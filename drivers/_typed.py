"""Changes typed line by line, on platforms whose library has no candidate: look first, type what is missing, save.

What has to be typed follows from what stands on the device, not from what we remember of it: pushing twice is pushing
once, and releasing what is already gone does nothing. The diff is computed; the read-back after a push is the proof.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from switchguard.core.changes import Change, Diff, Enforced, Slot
from switchguard.errors import DeviceError
from switchguard.ports import Session

Config = TypeVar("Config")
"""What a driver reads of a configuration, in its own words."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: what is typed for it, and the lines of the configuration that go and come."""

    commands: tuple[str, ...]
    minus: tuple[str, ...] = ()
    plus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect(Generic[Config]):
    """How one platform words penalties."""

    read: Callable[[Session], Config]
    """What of the configuration concerns us. UnexpectedOutput for anything but a whole answer."""
    assume: Callable[[Sequence[Change]], Config]
    """The same, if exactly `before` stood in every slot."""
    standing: Callable[[str, Config], Enforced]
    steps: Callable[[Sequence[Change], Config], Sequence[Step]]
    """What these changes need, all of them together, where this stands. DeviceError for what cannot be expressed."""
    obstacle: Callable[[Slot, Config], str] = lambda _slot, _config: ""
    """Why a slot must not be filled, because somebody else's lines are in the way; empty if it may."""


def standing(dialect: Dialect[Config], session: Session) -> Enforced:
    return dialect.standing(session.device.name, dialect.read(session))


def render(dialect: Dialect[Config], changes: Sequence[Change]) -> tuple[str, ...]:
    """As if exactly `before` stood in every slot."""
    return tuple(line for step in dialect.steps(changes, dialect.assume(changes)) for line in step.commands)


def preview(dialect: Dialect[Config], session: Session, changes: Sequence[Change]) -> Diff:
    """The device is only read."""
    return computed(_due(dialect, session, changes))


def push(dialect: Dialect[Config], session: Session, changes: Sequence[Change]) -> Diff:
    """Everything at once, then saved. DeviceError before the first line when somebody else's lines are in the way."""
    steps = _due(dialect, session, changes)
    if lines := [line for step in steps for line in step.commands]:
        session.configure(lines)
    return computed(steps)


def computed(steps: Sequence[Step]) -> Diff:
    """Lines that go, lines that come, in the order of typing; empty when nothing changes."""
    said = (sign + line for step in steps for sign, of in (("-", step.minus), ("+", step.plus)) for line in of)
    return Diff("\n".join(said), "computed")


def _due(dialect: Dialect[Config], session: Session, changes: Sequence[Change]) -> Sequence[Step]:
    device, config = session.device.name, dialect.read(session)
    stands = dialect.standing(device, config)
    needed = [change for change in changes if stands.get(change.slot) != change.after]
    for change in needed:
        if change.after is not None and (why_not := dialect.obstacle(change.slot, config)):
            raise DeviceError(device, why_not)
    return dialect.steps(needed, config)


class Typed(ABC):
    """The writing half of a driver, by its dialect."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect[Any]: ...

    def enforced(self, session: Session) -> Enforced:
        return standing(self.dialect, session)

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        return render(self.dialect, changes)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return preview(self.dialect, session, changes)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return push(self.dialect, session, changes)
