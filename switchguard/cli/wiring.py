"""The composition root: a site's files become doors to its devices and its ledger."""

import atexit
import os
import shlex
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from switchguard import plugins
from switchguard.core.changes import Enforced, Enforcer, Outcome, Plan, Slot
from switchguard.core.letters import Letter, Register
from switchguard.core.model import Attribution, Device, Gap, Mac, Role, Sight, Snapshot, Table
from switchguard.core.notices import News, letters
from switchguard.core.penalties import Penalty
from switchguard.core.policy import Policy
from switchguard.cycle import Doors
from switchguard.edge.apply import apply
from switchguard.edge.archive import Archive
from switchguard.edge.evidence import Memory
from switchguard.edge.gather import gather, read_enforced
from switchguard.edge.history import History, Note
from switchguard.edge.kept import KeptSessions
from switchguard.edge.leases import read_all
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.netbox import NetBox, NetBoxRegistry
from switchguard.edge.notify import LogNotifier
from switchguard.edge.notify_outbox import Outbox
from switchguard.edge.recheck import FRESH
from switchguard.edge.registry import Registered, Registry
from switchguard.edge.session import open_session
from switchguard.edge.settings import Site, load_site
from switchguard.edge.snapshots import load_snapshot
from switchguard.edge.stream import streams
from switchguard.edge.turns import Alone, Turns
from switchguard.edge.vpn.pages import PAGES, pages_from, pages_text
from switchguard.edge.vpn.sources import Pages, Users
from switchguard.errors import LedgerError
from switchguard.ports import ClearsSessions, Driver, Enforces, Notifier, Session, Stream

if TYPE_CHECKING:
    from switchguard.edge.notify_post import Postman


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


_SHARED = ("ledger", "archive", "memory", "registry", "sessions", "turns", "users", "alone")


@dataclass
class Wiring:
    """One site, wired up. The ledger opens when it is first needed, sessions when they are."""

    site: Site
    tell: Callable[[str], None] | None = None
    warn: Callable[..., None] = _nobody_listens
    """Hears of logs and registries that cannot be read: an event, and its facts by name."""
    in_a_hurry: bool = False

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

    def people(self, policy: Policy) -> Mapping[Mac, str] | None:
        """Whose each registered MAC is, as the registry is now."""
        return policy.registry if self.registry is None else self.registry.people()

    @cached_property
    def registry(self) -> Registered | None:
        match self.site.registry:
            case None:
                return None
            case NetBox() as netbox:
                return NetBoxRegistry(netbox)
            case file:
                return Registry(file)

    def letters(self, news: News) -> tuple[Letter, ...]:
        """What people are to be told of what was decided, as the registry knows them now."""
        notices = self.site.notices
        if notices is None:
            return ()
        people = None if self.registry is None else self.registry.people()
        contacts = {} if self.registry is None else self.registry.contacts()
        return letters(news, self.site.policy, notices.telling, Register(people or {}, contacts))

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.ledger.store)

    @cached_property
    def postman(self) -> "Postman | None":
        """None where the site tells nobody."""
        if self.site.notices is None:
            return None
        from switchguard.edge.notify_post import Postman  # apprise takes its time, and most commands tell nobody

        return Postman(self.outbox, self.site.notices, self.site.policy.zone, clock, self.warn)

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
            name: Enforcer(self.devices[name], driver.facts, _clears_sessions(self.devices[name], driver))
            for name, driver in drivers.items()
            if isinstance(driver, Enforces)
        }

    @cached_property
    def sessions(self) -> KeptSessions:
        kept = KeptSessions(self.site.endpoints, self.site.keepalive.total_seconds())
        atexit.register(kept.close)
        return kept

    @cached_property
    def turns(self) -> Turns:
        return Turns(self._beside_ledger("locks"), _this_process())

    @cached_property
    def alone(self) -> Alone:
        """For the service."""
        return Alone(self._beside_ledger("run"), _this_process())

    def _beside_ledger(self, ending: str) -> Path | None:
        """By its real name, so that a symbolic link leads to the same place."""
        ledger = self.site.ledger
        return None if "://" in ledger else Path(f"{Path(ledger).resolve()}.{ending}")

    def opens(self, device: Device) -> AbstractContextManager[Session]:
        return self.sessions.open_now(device) if self.in_a_hurry else self.sessions.open(device)

    def hurried(self) -> "Wiring":
        """The same site, ledger, memory and sessions, and a second session where the first is in use: who uses this
        waits for no table that is being read. Sessions of VPN users are asked for as ever."""
        made = replace(self, in_a_hurry=True)
        made.__dict__.update({name: getattr(self, name) for name in _SHARED})
        return made

    def streams(self, what: Literal["begins", "ends"]) -> Mapping[str, Stream]:
        """Each in a session of its own, however many others a device has."""
        return streams(self.site.devices, lambda device: open_session(device, self.site.endpoints[device.name]), what)

    def gather(self, tables: Collection[Table]) -> Snapshot:
        """With the recent past of MACs that move about, as far as any process of this site has seen it. Together with
        the tables that say who is where, the leases."""
        wanted = {*tables, "leases"} if "fdb" in tables else tables
        snooping = self.site.snooping
        found = gather(self.site.devices, self.opens, wanted, clock, tell=self.tell, snooping=snooping)
        found = self._with_users(found, tables)
        found = self._with_leases(found) if "leases" in wanted else found
        return replace(found, sights=self._sights(found.at)) if "fdb" in tables else found

    def _with_leases(self, found: Snapshot) -> Snapshot:
        told = read_all(self.site.leases, clock)
        return replace(
            found,
            leases=(*found.leases, *told.leases),
            readings=(*found.readings, *told.readings),
            gaps=(*found.gaps, *told.gaps),
        )

    def _sights(self, now: datetime) -> tuple[Sight, ...]:
        """Nothing without a ledger: looking needs none."""
        if "://" not in self.site.ledger and not Path(self.site.ledger).exists():
            return ()
        try:
            return self.memory.trails.known(now)
        except LedgerError as error:
            self.warn("where MACs have been is not known", why=str(error))
            return ()

    def look_again(self, names: Collection[str]) -> Snapshot:
        """The forwarding tables of these devices, right before something is pushed."""
        return gather([device for device in self.site.devices if device.name in names], self.opens, {"fdb"}, clock)

    def gather_from(self, names: Collection[str], tables: Collection[Table]) -> Snapshot:
        chosen = [device for device in self.site.devices if device.name in names]
        return self._with_users(gather(chosen, self.opens, tables, clock, tell=self.tell), tables)

    def _with_users(self, found: Snapshot, tables: Collection[Table]) -> Snapshot:
        """Together with the tables that say who has which address, the sessions of VPN users; they are asked last."""
        if not self.site.users or "arp" not in tables:
            return found
        return self.users.seen_by(found)

    @cached_property
    def users(self) -> Users:
        return Users(self.site.users, self.devices, self.opens, clock, self._known_users)

    def _known_users(self) -> Pages:
        """As an earlier process left it. Nothing without a ledger: looking needs none."""
        if "://" not in self.site.ledger and not Path(self.site.ledger).exists():
            return {}
        try:
            return pages_from(self.memory.history.mark(PAGES))
        except LedgerError as error:
            self.warn("who was connected before is not known", why=str(error))
            return {}

    def keep(self, policy: Policy, snapshot: Snapshot, attribution: Attribution) -> None:
        self.memory.keep(policy, snapshot, attribution)
        if self.site.users:
            self.memory.history.add(Note(snapshot.at), {PAGES: pages_text(self.users.pages)})

    def enforced(self) -> Mapping[str, Enforced | Gap]:
        return read_enforced(self.site.devices, self.opens)

    def enforced_on(self, names: Collection[str]) -> Mapping[str, Enforced | Gap]:
        return read_enforced([device for device in self.site.devices if device.name in names], self.opens)

    def apply(self, plan: Plan, fresh: timedelta = FRESH) -> tuple[Outcome, ...]:
        return apply(
            plan,
            devices=self.devices,
            opens=self.opens,
            ledger=self.ledger,
            clock=clock,
            tell=self.tell,
            turns=self.turns.take,
            look=self.look_again,
            fresh=fresh,
        )

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
            self.keep,
            self.gather_from,
            self.enforced_on,
            people=self.people,
            letters=self.letters,
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
            self.doors(),
            gather=lambda _tables: snapshot,
            gather_from=None,
            enforced_on=None,
            enforced=held,
            clock=lambda: snapshot.at,
        )


def _this_process() -> str:
    return f"process {os.getpid()} ({shlex.join((Path(sys.argv[0]).name, *sys.argv[1:]))})"


def _clears_sessions(device: Device, driver: Driver) -> bool:
    """A switch of a platform that could translate has no sessions to clear."""
    return isinstance(driver, ClearsSessions) and device.role is Role.GATEWAY
