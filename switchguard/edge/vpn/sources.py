"""Every source of users -> who is connected now, and who was: each is asked, and goes on from what it told before.

They are asked after the translation tables, so that whoever got an address while those were read is known by then. A
source that cannot be read is a Gap; what it told last stays, and is believed for as long as core/users.py says.
"""

import logging
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from switchguard.core.model import Device, Gap, Network, Reading, Snapshot, UserSession, UserZone
from switchguard.core.user_sessions import CONFIRMED_FOR, Told, carry_on
from switchguard.edge.session_local import LocalShell
from switchguard.edge.vpn import listing, management, openvpn, radius, strongswan, wireguard
from switchguard.edge.vpn.reading import CannotRead, Read
from switchguard.errors import DeviceError
from switchguard.ports import Opens, Secret

log = logging.getLogger(__name__)
PATIENCE_S = 10.0
_WORKERS = 8
_THIS_MACHINE = "this machine"


@dataclass(frozen=True, slots=True)
class WireGuard:
    """`device` None: this machine, here and below."""

    device: str | None
    interface: str
    names: Path | None
    idle: timedelta


@dataclass(frozen=True, slots=True)
class OpenVPN:
    """Either a status file or the management interface."""

    device: str | None
    status: str | None
    management: str | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class StrongSwan:
    device: str | None


@dataclass(frozen=True, slots=True)
class Radius:
    detail: str


@dataclass(frozen=True, slots=True)
class Listing:
    file: Path


@dataclass(frozen=True, slots=True)
class Command:
    """`run` is a program and its arguments, run in `site`."""

    run: tuple[str, ...]
    site: Path


Source = WireGuard | OpenVPN | StrongSwan | Radius | Listing | Command


@dataclass(frozen=True, slots=True)
class UserSource:
    name: str
    """The zone and the kind: `vpn/wireguard`."""
    source: Source

    @property
    def password(self) -> Secret | None:
        return self.source.password if isinstance(self.source, OpenVPN) else None


@dataclass(frozen=True, slots=True)
class UsersOf:
    """A zone whose addresses are people's."""

    zone: str
    networks: tuple[Network, ...]
    sources: tuple[UserSource, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What is known from one source. `since`: it has been read again and again since then."""

    read: datetime
    since: datetime
    sessions: tuple[UserSession, ...]


Pages = Mapping[str, Page]


@dataclass
class Users:
    """All sources of a site. `recall` gives what an earlier process knew."""

    zones: Sequence[UsersOf]
    devices: Mapping[str, Device]
    opens: Opens
    clock: Callable[[], datetime]
    recall: Callable[[], Pages] = dict
    _pages: dict[str, Page] | None = None
    _details: dict[str, radius.Detail] = field(default_factory=dict)
    _reading: Lock = field(default_factory=Lock)

    @property
    def pages(self) -> Pages:
        """For the next process."""
        return dict(self._pages or {})

    def seen_by(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, and who is connected as of now."""
        with self._reading:
            if self._pages is None:
                self._pages = dict(self.recall())
            asked = [(of, it) for of in self.zones for it in of.sources]
            with ThreadPoolExecutor(max(1, min(_WORKERS, len(asked))), thread_name_prefix="users") as pool:
                answers = list(pool.map(lambda pair: self._ask(*pair), asked))
        notes = [note for found in answers for note in found]
        return replace(
            snapshot,
            users=tuple(it for name in self._names() if name in self._pages for it in self._pages[name].sessions),
            user_zones=tuple(self._zone(of) for of in self.zones),
            readings=(*snapshot.readings, *(it for it in notes if isinstance(it, Reading))),
            gaps=(*snapshot.gaps, *(it for it in notes if isinstance(it, Gap))),
        )

    def _names(self) -> list[str]:
        return [it.name for of in self.zones for it in of.sources]

    def _zone(self, of: UsersOf) -> UserZone:
        pages = [(self._pages or {}).get(it.name) for it in of.sources]
        since = [page.since for page in pages if page is not None]
        return UserZone(of.zone, of.networks, max(since) if len(since) == len(pages) else None)

    def _ask(self, of: UsersOf, source: UserSource) -> Iterable[Reading | Gap]:
        at = self.clock()
        try:
            read = _inside(self._read(source, at), of.networks)
            page = self._turned(source, read, at)
        except (CannotRead, DeviceError) as error:
            return (Gap(source.name, "users", str(error)),)
        except Exception as error:  # the boundary of a source: a parser's defect must not stop the pass
            log.exception("a source of users failed in a way that it should not")
            return (Gap(source.name, "users", f"a defect in switchguard: {type(error).__name__}: {error}"),)
        reading = Reading(source.name, "users", at, len(read.told), (self.clock() - at).total_seconds())
        if self._pages is not None:
            self._pages[source.name] = page
        return (reading, Gap(source.name, "users", read.note)) if read.note else (reading,)

    def _turned(self, source: UserSource, read: Read, at: datetime) -> Page:
        before = (self._pages or {}).get(source.name)
        sessions = carry_on(
            before.sessions if before else (),
            read.told,
            source.name,
            at,
            before.read if before else None,
            complete=read.complete,
            renewed=isinstance(source.source, StrongSwan),
        )
        followed = before is not None and at - before.read <= CONFIRMED_FOR
        return Page(at, before.since if before is not None and followed else at, sessions)

    def _read(self, source: UserSource, at: datetime) -> Read:
        match source.source:
            case WireGuard() as tunnel:
                names = wireguard.read_names(tunnel.names) if tunnel.names is not None else {}
                dump = self._shell(tunnel.device, wireguard.COMMAND)
                return wireguard.read_peers(dump, tunnel.interface, names, tunnel.idle)
            case OpenVPN(management=str(where)) as server:
                return openvpn.read_status(management.ask_status(where, server.password, PATIENCE_S), at)
            case OpenVPN() as server:
                text = self._shell(server.device, f"cat -- {shlex.quote(str(server.status))}")
                return openvpn.read_status(text, at)
            case StrongSwan(device):
                return strongswan.read_sas(self._shell(device, strongswan.COMMAND), at)
            case Radius(detail):
                return self._details.setdefault(detail, radius.Detail(detail)).read(at)
            case Listing(file):
                return listing.read_list(_text_of(file), at)
            case Command(run, site):
                return listing.read_list(_output_of(run, site), at)

    def _shell(self, device: str | None, command: str) -> str:
        if device is None:
            return b"".join(LocalShell(_THIS_MACHINE, PATIENCE_S).stream(command)).decode("utf-8", "replace")
        with self.opens(self.devices[device]) as session:
            return b"".join(session.stream(command)).decode("utf-8", "replace")


def _inside(read: Read, networks: Sequence[Network]) -> Read:
    """Only addresses of the zone count here: a source may tell of other networks as well."""

    def within(told: Told) -> Told:
        return replace(told, addresses=tuple(it for it in told.addresses if _is_inside(it, networks)))

    told = tuple(it for it in map(within, read.told) if it.addresses)
    if read.told and not told:
        listed = ", ".join(map(str, networks))
        return Read((), f"none of its {len(read.told)} sessions has an address in {listed}", read.complete)
    return replace(read, told=told)


def _is_inside(held: object, networks: Sequence[Network]) -> bool:
    """A network that reaches beyond the zone (a route to everywhere) makes nobody the holder of the whole zone."""
    for network in networks:
        if isinstance(held, type(network)):
            if held.prefixlen >= network.prefixlen and held.network_address in network:
                return True
        elif isinstance(held, type(network.network_address)) and held in network:
            return True
    return False


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _output_of(run: Sequence[str], site: Path) -> str:
    try:
        done = subprocess.run(
            run, cwd=site, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except OSError as error:
        raise CannotRead(f"{run[0]}: cannot be run: {error.strerror}") from None
    except (subprocess.TimeoutExpired, UnicodeDecodeError):
        raise CannotRead(f"{run[0]}: gave no text within {PATIENCE_S:g} s") from None
    if done.returncode:
        raise CannotRead(f"{run[0]}: ended with status {done.returncode}: {done.stderr.strip()[:200]}")
    return done.stdout
