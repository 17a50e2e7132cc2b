"""The composition root: a site's files become doors to its devices and its ledger."""

import atexit
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from switchguard import plugins
from switchguard.core.changes import Enforced, Enforcer, Outcome, Plan, Slot
from switchguard.core.model import Device, Gap, Snapshot, Table
from switchguard.core.penalties import Penalty
from switchguard.cycle import Doors
from switchguard.edge.apply import apply
from switchguard.edge.archive import Archive
from switchguard.edge.evidence import Memory
from switchguard.edge.gather import gather, read_enforced
from switchguard.edge.history import History
from switchguard.edge.kept import KeptSessions
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.netbox import NetBox, NetBoxRegistry
from switchguard.edge.notify import LogNotifier
from switchguard.edge.registry import Registered, Registry
from switchguard.edge.session import open_session
from switchguard.edge.settings import Site, load_site
from switchguard.edge.snapshots import load_snapshot
from switchguard.edge.stream import streams
from switchguard.ports import ClearsSessions, Enforces, Notifier, Session, Stream

KEEP_S = 150.0
"""A resting session is closed after this long: longer than the usual poll period, shorter than an EXEC time-out."""


def clock() -> datetime:
    return datetime.now(UTC)


def site_directory(given: Path | None) -> Path:
    """--site, else $SWITCHGUARD_SITE, else /etc/switchguard when it has a policy, else here."""
    if given is not None:
        return given
    if named := os.environ.get("SWITCHGUARD_SITE"):
        return Path(named)
    system = Path("/etc/switchguard")
    return system if (system / "switchguard.yaml").exists() else Path.cwd()


def _nobody_listens(_event: str, **_facts: object) -> None:
    return


@dataclass
class Wiring:
    """One site, wired up. The ledger opens when it is first needed, sessions when they are."""

    site: Site
    tell: Callable[[str], None] | None = None
    warn: Callable[..., None] = _nobody_listens
    """Hears of logs and registries that cannot be read: an event, and its facts by name."""

    @classmethod
    def of(cls, directory: Path | None) -> "Wiring":
        return cls(load_site(site_directory(directory)))

    @cached_property
    def ledger(self) -> SqlLedger:
        return SqlLedger(self.site.ledger)

    @cached_property
    def archive(self) -> Archive:
        return Archive(self.ledger.store)

    @cached_property
    def memory(self) -> Memory:
        site = self.site
        history = History(self.ledger.store, site.history, site.policy.zone)
        return Memory(history, self.archive, self.warn, site.logs, self.registry)

    @cached_property
    def registry(self) -> Registered | None:
        match self.site.registry:
            case None:
                return None
            case NetBox() as netbox:
                return NetBoxRegistry(netbox)
            case file:
                return Registry(file)

    @cached_property
    def notifier(self) -> Notifier:
        return LogNotifier()

    @cached_property
    def devices(self) -> Mapping[str, Device]:
        return {device.name: device for device in self.site.devices}

    @cached_property
    def enforcers(self) -> Mapping[str, Enforcer]:
        drivers = {device.name: plugins.driver(device.platform) for device in self.site.devices}
        return {
            name: Enforcer(self.devices[name], driver.facts, isinstance(driver, ClearsSessions))
            for name, driver in drivers.items()
            if isinstance(driver, Enforces)
        }

    @cached_property
    def sessions(self) -> KeptSessions:
        kept = KeptSessions(self.site.endpoints, KEEP_S)
        atexit.register(kept.close)
        return kept

    def opens(self, device: Device) -> AbstractContextManager[Session]:
        return self.sessions.open(device)

    def streams(self, what: Literal["begins", "ends"]) -> Mapping[str, Stream]:
        """Each in a session of its own, however many others a device has."""
        return streams(self.site.devices, lambda device: open_session(device, self.site.endpoints[device.name]), what)

    def gather(self, tables: Collection[Table]) -> Snapshot:
        return gather(self.site.devices, self.opens, tables, clock, tell=self.tell)

    def gather_from(self, names: Collection[str], tables: Collection[Table]) -> Snapshot:
        chosen = [device for device in self.site.devices if device.name in names]
        return gather(chosen, self.opens, tables, clock, tell=self.tell)

    def enforced(self) -> Mapping[str, Enforced | Gap]:
        return read_enforced(self.site.devices, self.opens, clock)

    def apply(self, plan: Plan) -> tuple[Outcome, ...]:
        return apply(plan, devices=self.devices, opens=self.opens, ledger=self.ledger, clock=clock, tell=self.tell)

    def doors(self) -> Doors:
        memory = self.memory
        return Doors(
            self.gather,
            self.enforced,
            self.apply,
            self.ledger,
            self.enforcers,
            clock,
            memory.recall,
            memory.keep,
            self.gather_from,
        )

    def doors_from(self, file: Path) -> Doors:
        """A saved snapshot instead of the devices: no device is contacted, and what we hold counts as enforced."""
        snapshot = load_snapshot(file)

        def held() -> Mapping[str, Enforced | Gap]:
            by_device: dict[str, dict[Slot, Penalty]] = {name: {} for name in self.enforcers}
            for slot in self.ledger.held():
                by_device.setdefault(slot.slot.device, {})[slot.slot] = slot.penalty
            return by_device

        return replace(
            self.doors(), gather=lambda _tables: snapshot, gather_from=None, enforced=held, clock=lambda: snapshot.at
        )
