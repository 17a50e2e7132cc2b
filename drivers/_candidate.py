"""Changes through a candidate configuration: look first, load, compare with what we meant, commit.

What has to be typed follows from the lines that stand on the device, not from what we remember of it: pushing twice
is pushing once, and releasing what is already gone does nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from switchguard.core.changes import Change, Diff, Enforced, Slot
from switchguard.core.model import Role
from switchguard.core.penalties import Penalty, Quarantine
from switchguard.errors import DeviceError
from switchguard.ports import Session

from . import _config_lines, _diffs, _quarantine
from ._config_lines import Config, Edit, Part


@dataclass(frozen=True, slots=True)
class Together:
    """Penalties that share lines with each other: what one of them needs depends on all the others."""

    concerns: Callable[[Slot], bool]
    edits: Callable[[str, Config, Sequence[Change]], tuple[Edit, ...]]
    rendered: Callable[[Sequence[Change]], Iterable[str]]
    """As far as it can be said without the device."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one platform words penalties."""

    show: str
    """The question for the lines that concern us; see `_config_lines.read`."""
    parts: Callable[[Slot, Penalty | None], tuple[Part, ...]]
    """The lines of a penalty in a slot, in the order of typing. DeviceError for one that cannot be expressed."""
    standing: Callable[[str, Config], Enforced]
    obstacle: Callable[[Slot, Config], str]
    """Why a slot must not be filled, because somebody else's lines are in the way; empty if it may."""
    diff: _diffs.Sort
    quarantine: _quarantine.Wording | None = None
    """None: the platform has none."""
    count: str = ""
    """A question for the number of these lines, where a configuration has no end; see `_config_lines.read_counted`."""
    closing: tuple[str, ...] = ()
    """What a candidate must finish with."""
    at_gateways: str = ""
    """A second question of the same sort, for lines that concern only routers: one line holds no longer question."""
    together: Together | None = None

    def shares_lines(self, change: Change) -> bool:
        return self.together is not None and self.together.concerns(change.slot)


def standing(dialect: Dialect, session: Session) -> Enforced:
    return _stands(dialect, session.device.name, read(dialect, session))


def _stands(dialect: Dialect, device: str, config: Config) -> Enforced:
    moved = _quarantine.standing(dialect.quarantine, device, config) if dialect.quarantine else {}
    return {**dialect.standing(device, config), **moved}


def read(dialect: Dialect, session: Session) -> Config:
    device, text = session.device.name, session.ask(dialect.show)
    if dialect.count:
        return _config_lines.read_counted(device, text, session.ask(dialect.count))
    config = _config_lines.read(device, text)
    if not dialect.at_gateways or session.device.role is not Role.GATEWAY:
        return config
    return tuple(dict.fromkeys((*config, *_config_lines.read(device, session.ask(dialect.at_gateways)))))


def render(dialect: Dialect, changes: Sequence[Change]) -> tuple[str, ...]:
    """As if exactly `before` stood in every slot."""
    wording = dialect.quarantine
    ports = [change for change in changes if change.slot.kind == Quarantine.kind] if wording else []
    shared = [change for change in changes if dialect.shares_lines(change)]
    others = [change for change in changes if change not in ports and change not in shared]
    return (
        *_config_lines.commands(edit for change in others for edit in _edits_from_before(dialect, change)),
        *(dialect.together.rendered(shared) if dialect.together else ()),
        *(line for change in ports if wording for line in _quarantine.rendered(wording, change)),
    )


def _edits_from_before(dialect: Dialect, change: Change) -> tuple[Edit, ...]:
    before = () if change.before is None else dialect.parts(change.slot, change.before)
    stood = tuple(_config_lines.Line(part.path, part.wants) for part in before if part.wants is not None)
    return _config_lines.edits(dialect.parts(change.slot, change.after), stood)


def due(dialect: Dialect, device: str, config: Config, changes: Sequence[Change]) -> tuple[tuple[Edit, ...], ...]:
    """For each change that is still needed, how to make it; those that share lines edit by edit. DeviceError when
    somebody else's lines stand there."""
    stands = _stands(dialect, device, config)
    needed = [change for change in changes if stands.get(change.slot) != change.after]
    for change in needed:
        asked = change.after is not None and change.slot.kind != Quarantine.kind
        why_not = dialect.obstacle(change.slot, config) if asked else ""
        if why_not:
            raise DeviceError(device, why_not)
    shared = [change for change in needed if dialect.shares_lines(change)]
    own = (_edits(dialect, change, config) for change in needed if change not in shared)
    together = dialect.together.edits(device, config, shared) if dialect.together and shared else ()
    return (*own, *((edit,) for edit in together))


def _edits(dialect: Dialect, change: Change, config: Config) -> tuple[Edit, ...]:
    if dialect.quarantine and change.slot.kind == Quarantine.kind:
        return _quarantine.edits(dialect.quarantine, change, config)
    return _config_lines.edits(dialect.parts(change.slot, change.after), config)


def preview(dialect: Dialect, session: Session, changes: Sequence[Change]) -> Diff:
    """Computed; the device is only read."""
    wanted = due(dialect, session.device.name, read(dialect, session), changes)
    return Diff(_diffs.computed(edit for edits in wanted for edit in edits), "computed")


def push(dialect: Dialect, session: Session, changes: Sequence[Change]) -> Diff:
    """One commit. UnexpectedDiff or DeviceError before it, when the device announces anything but our lines."""
    wanted = due(dialect, session.device.name, read(dialect, session), changes)
    return load(dialect, session, wanted, commit=True)


def load(dialect: Dialect, session: Session, wanted: Sequence[Sequence[Edit]], commit: bool) -> Diff:
    """The announced diff; every group of edits must be part of it. Without `commit`, the candidate is discarded."""
    if not wanted:
        return Diff("", "computed")
    lines = _config_lines.commands(edit for edits in wanted for edit in edits)
    with session.candidate((*lines, *dialect.closing)) as candidate:
        diff = candidate.diff()
        _diffs.check(session.device.name, diff, wanted, dialect.diff)
        if commit:
            candidate.commit()
    return Diff(diff, "computed" if dialect.diff == "typed" else "device")
