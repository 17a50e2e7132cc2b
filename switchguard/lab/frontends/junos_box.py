"""One Junos switch as all its sessions see it: the active configuration and those before it, one candidate for
everybody with its lock, and the timer that takes a commit back."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from switchguard.errors import LabError
from switchguard.lab.frontends.faults import Fault, Faults
from switchguard.lab.frontends.junos_config import Config, Refusal, compare, display_set, load
from switchguard.lab.frontends.schema_junos import check, derive, initial, junos_schema
from switchguard.lab.frontends.switch import Chassis, ForwardingPlane

FOREIGN = "set snmp contact somebody-else"
"""What nobody asked for; see faults.Fault.WRONG_DIFF."""
KEPT = 50
"""Configurations that can be rolled back to, the active one among them."""


class JunosBox:
    """`state` holds the active configuration, which a restart keeps. `minute_s` is how long a minute of the rollback
    timer takes, in seconds. LabError if the stored configuration has a line that the schema does not know."""

    def __init__(
        self,
        name: str,
        plane: ForwardingPlane,
        chassis: Chassis,
        state: Path,
        faults: Faults,
        minute_s: float = 60.0,
    ) -> None:
        self.name, self.plane, self.chassis, self.faults = name, plane, chassis, faults
        self.schema = junos_schema(plane.ports())
        self.minute_s = minute_s
        self._file = state / "startup-config"
        if not self._file.exists():
            state.mkdir(parents=True, exist_ok=True)
            self._file.write_text("\n".join((*initial(name, plane.ports()), "")))
        self.history: list[Config] = []
        self.candidate: Config = ()
        self.owner: object = None
        """The session that has the lock."""
        self._timer: asyncio.TimerHandle | None = None
        self.reload()

    @property
    def active(self) -> Config:
        return self.history[0]

    @property
    def hostname(self) -> str:
        names = (it[-1].split()[1] for it in self.active if it[0] == "system" and it[-1].startswith("host-name "))
        return next(names, self.name)

    def reload(self) -> None:
        """A power cut: candidate, lock and timer are gone, and a commit on trial with them."""
        self._confirm()
        config, refused = load(self.schema, (), self._file.read_text().splitlines())
        if refused:
            raise LabError(f"{self.name}: {self._file} has a line that this switch does not take: {refused[0].word!r}")
        self.plane.sync(derive(config, self.plane.ports()))
        self.history, self.candidate, self.owner = [config], config, None

    # --- the candidate -----------------------------------------------------------------------------------------------

    def lock(self, session: object) -> Refusal | None:
        if self.owner not in (None, session):
            return Refusal("configuration database locked by another session", "lock-configuration")
        if self.candidate != self.active:
            return Refusal("configuration database modified", "lock-configuration")
        self.owner = session
        return None

    def unlock(self, session: object) -> Refusal | None:
        """What was not committed is gone."""
        if self.owner is not session:
            return Refusal("configuration database not locked", "unlock-configuration")
        self.owner, self.candidate = None, self.active
        return None

    def leave(self, session: object) -> None:
        """The session ends, or its connection does."""
        if self.owner is session:
            self.unlock(session)

    def load(self, lines: Sequence[str]) -> list[Refusal]:
        self.candidate, refused = load(self.schema, self.candidate, lines)
        return refused

    def rollback(self, number: int) -> Refusal | None:
        if number >= len(self.history):
            return Refusal("could not open configuration database", str(number))
        self.candidate = self.history[number]
        return None

    def compare(self, number: int) -> str:
        """Of the candidate with an earlier configuration."""
        return compare(self.history[number], self.wanted) if number < len(self.history) else ""

    @property
    def wanted(self) -> Config:
        """The candidate, with what a fault adds."""
        foreign = [FOREIGN] if self.faults.now() is Fault.WRONG_DIFF and self.candidate != self.active else []
        return load(self.schema, self.candidate, foreign)[0]

    async def commit(self, minutes: int | None = None) -> list[Refusal]:
        """`minutes`: taken back unless another commit follows. Nothing changes when something is refused."""
        refused = list(check(self.candidate))
        fault = await self.faults.before_commit()
        if fault is Fault.REFUSE_COMMIT:
            refused.append(Refusal("configuration check-out failed"))
        if refused:
            return refused
        if fault is not Fault.IGNORE_COMMIT:
            self._confirm()
            self._install(self.wanted, kept=minutes is None)
            if minutes is not None:
                self._timer = asyncio.get_running_loop().call_later(minutes * self.minute_s, self.revert)
        self.candidate = self.active
        self.faults.amid_commit()
        self.faults.after_commit()
        return []

    def revert(self) -> None:
        """Nobody has confirmed."""
        self._confirm()
        if len(self.history) > 1:
            self._install(self.history[1], kept=True)
            self.candidate = self.active

    def _confirm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _install(self, config: Config, kept: bool) -> None:
        """On the wire first. `kept`: also after a power cut."""
        self.plane.sync(derive(config, self.plane.ports()))
        self.history = [config, *self.history][:KEPT]
        if kept:
            self._file.write_text("\n".join((*display_set(config), "")))
