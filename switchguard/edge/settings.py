"""A site's files -> what switchguard works with. Whatever is wrong is said with file, line and the right word."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import TypeVar, cast

from switchguard import plugins
from switchguard.core.model import Device, Mode, Network, Policy, Role
from switchguard.core.rules import KINDS
from switchguard.edge.credentials import ReferredSecret, forget_secrets, read_reference
from switchguard.edge.marks import Marked, read_marked
from switchguard.edge.site_models import HostModel, PollModel, SiteModel, SnmpModel
from switchguard.edge.strict import Complaint, Key, Strict, check, keys
from switchguard.errors import NotConfigured, SiteError, UnknownPlugin
from switchguard.ports import Endpoint, HostRow, Secret, SnmpAccess, Source

POLICY_FILE = "switchguard.yaml"
HOST_FILES = ("hosts.yaml", "groups.yaml", "defaults.yaml")

Steps = Sequence[str | int]
Model = TypeVar("Model", bound=Strict)


@dataclass(frozen=True, slots=True)
class Poll:
    """How often to read what."""

    nat_size: timedelta
    nat: timedelta
    tables: timedelta
    counters: timedelta


@dataclass(frozen=True, slots=True)
class Follow:
    """What to follow between two polls: sessions that begin, to judge; sessions that end, to count."""

    begins: bool = False
    ends: bool = False
    tick: timedelta = timedelta(seconds=0.25)
    window: timedelta = timedelta(seconds=10)
    windows: int = 3


@dataclass(frozen=True, slots=True)
class SharedLink:
    """The link to the internet that everybody shares."""

    device: str
    interface: str
    capacity_bps: int


@dataclass(frozen=True, slots=True)
class Site:
    """A site directory, read and checked. Secrets are references still, followed when first needed."""

    path: Path
    policy: Policy
    devices: tuple[Device, ...]
    endpoints: Mapping[str, Endpoint]
    poll: Poll
    ledger: str
    """A file, or a database URL: as SqlLedger takes it."""
    link: SharedLink | None = None
    follow: Follow = Follow()


def load_site(path: Path) -> Site:
    """Reads switchguard.yaml and the inventory below `path`, and fetches no secret. SiteError for anything wrong."""
    forget_secrets()
    if not path.is_dir():
        raise SiteError("is no directory with a switchguard.yaml in it", str(path))
    marked = read_marked(path / POLICY_FILE)
    model = _checked(SiteModel, marked)
    policy = _policy(model, marked)
    found = _hosts(path, model)
    devices = tuple(device for device, _endpoint in found)
    _refer(model, marked, path, devices)
    return Site(
        path=path,
        policy=policy,
        devices=devices,
        endpoints={device.name: endpoint for device, endpoint in found},
        poll=_poll(model.poll),
        ledger=model.ledger if "://" in model.ledger else str(path / model.ledger),
        follow=_follow(model),
        link=None if (link := model.link) is None else SharedLink(link.device, link.interface, link.capacity),
    )


def missing_credentials(site: Site) -> tuple[NotConfigured, ...]:
    """Follows every reference to a secret, and says which lead nowhere."""
    return tuple(error for endpoint in site.endpoints.values() for error in _unresolved(_secrets(endpoint)))


def settings_reference() -> str:
    """Every key of a site's files, as Markdown."""
    return "\n".join(
        (
            "## switchguard.yaml",
            "",
            *_table(keys(SiteModel)),
            "",
            "## hosts.yaml, groups.yaml, defaults.yaml",
            "",
            "Nornir's own keys `hostname`, `port`, `username`, `platform` and `groups`; for switchguard, under",
            "`data: {switchguard: ...}`:",
            "",
            *_table(keys(HostModel)),
            "",
            "A reference to a secret is `{env: NAME}`, `{file: path}` or `{command: [program, argument, ...]}`.",
            "",
        )
    )


# --- the policy ------------------------------------------------------------------------------------------------------


def _policy(model: SiteModel, marked: Marked) -> Policy:
    _no_overlap(model, marked)
    for name, rule in model.rules.items():
        if rule.kind not in KINDS:
            unknown = UnknownPlugin("kind of rule", rule.kind, KINDS)
            raise _at(marked, ("rules", name, "kind"), f"rule {name!r}: {unknown}")
    return Policy(
        mode=Mode(model.mode),
        zones=tuple(zone.zone(name) for name, zone in model.zones.items()),
        rules=tuple(rule.rule(name) for name, rule in model.rules.items()),
        exemptions=tuple(exempt.exemption() for exempt in model.exempt),
        safeguards=model.safeguards.safeguards(),
    )


def _no_overlap(model: SiteModel, marked: Marked) -> None:
    networks = [
        (name, number, network) for name, zone in model.zones.items() for number, network in enumerate(zone.networks)
    ]
    for (one, _, first), (other, number, second) in combinations(networks, 2):
        if _overlap(first, second):
            why = f"{second} of zone {other!r} overlaps {first} of zone {one!r}: a client must be in one zone only"
            raise _at(marked, ("zones", other, "networks", number), why)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _refer(model: SiteModel, marked: Marked, path: Path, devices: Iterable[Device]) -> None:
    """What the files name in each other must exist."""
    names = {device.name for device in devices}
    for name, zone in model.zones.items():
        if zone.enforce_at not in {*names, *Role}:
            places = UnknownPlugin("role or device", zone.enforce_at, (*Role, *names))
            raise _at(marked, ("zones", name, "enforce_at"), f"zone {name!r}: {places}")
    if model.link is not None and model.link.device not in names:
        raise _at(marked, ("link", "device"), f"link: {UnknownPlugin('device', model.link.device, names)}")
    for device in devices:
        if device.zone is not None and device.zone not in model.zones:
            why = UnknownPlugin("zone", device.zone, model.zones)
            raise _host_error(path, device.name, ("zone",), f"{device.name}: {why}")


def _follow(model: SiteModel) -> Follow:
    closely = model.stream
    return Follow(
        begins=model.detect == "stream",
        ends=model.accounting == "events",
        tick=closely.tick,
        window=closely.window,
        windows=closely.windows,
    )


def _poll(model: PollModel) -> Poll:
    return Poll(model.nat_size, model.nat, model.tables, model.counters)


# --- the hosts -------------------------------------------------------------------------------------------------------


def _hosts(path: Path, model: SiteModel) -> tuple[tuple[Device, Endpoint], ...]:
    try:
        make = plugins.inventory_source(model.inventory.source)
        source = cast(Source, make(path, model.inventory.plugin, model.inventory.options, _Interpreter(path)))
        return tuple(source.devices())
    except UnknownPlugin as error:
        raise SiteError(str(error), str(path / POLICY_FILE)) from error
    except SiteError as error:
        if error.file is None:
            for file in HOST_FILES:  # when Nornir stumbles over a file, we can say where
                if (path / file).exists():
                    read_marked(path / file)
        raise


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """A host's row -> the device and the way to it."""

    site: Path

    def __call__(self, row: HostRow) -> tuple[Device, Endpoint]:
        checked = check(HostModel, row.data)
        if not isinstance(checked, HostModel):
            raise self._error(row, cast(tuple[Complaint, ...], checked))
        return self._device(row, checked), self._endpoint(row, checked)

    def _device(self, row: HostRow, model: HostModel) -> Device:
        names = plugins.driver_names()
        if row.platform not in names:
            why = (
                UnknownPlugin("driver", row.platform or "", names)
                if row.platform
                else f"platform is missing; there are: {', '.join(names)}"
            )
            raise _host_error(self.site, row.name, ("platform",), f"{row.name}: {why}", below=())
        return Device(
            name=row.name,
            platform=row.platform,
            role=Role(model.role),
            mode=Mode(model.mode),
            uplinks=tuple(model.uplinks),
            zone=model.zone,
            lan_interfaces=tuple(model.lan_interfaces),
        )

    def _endpoint(self, row: HostRow, model: HostModel) -> Endpoint:
        own = model.password if model.password is not None else row.password
        return Endpoint(
            host=row.host or row.name,
            port=row.port,
            username=model.username or row.username,
            password=self._secret(row, "password", own),
            enable_password=self._secret(row, "enable_password", model.enable_password),
            key_file=self._file(model.key_file),
            known_hosts=self._file(model.known_hosts),
            timeout_s=model.timeout.total_seconds(),
            snmp=None if model.snmp is None else self._snmp(row, model.snmp),
            napalm_options=dict(model.napalm),
        )

    def _snmp(self, row: HostRow, model: SnmpModel) -> SnmpAccess:
        return SnmpAccess(
            version=model.version,
            community=self._secret(row, "snmp.community", model.community),
            user=model.user,
            auth_key=self._secret(row, "snmp.auth_key", model.auth_key),
            auth_protocol=model.auth_protocol,
            priv_key=self._secret(row, "snmp.priv_key", model.priv_key),
            priv_protocol=model.priv_protocol,
            port=model.port,
            timeout_s=model.timeout.total_seconds(),
            retries=model.retries,
        )

    def _secret(self, row: HostRow, name: str, value: object) -> Secret | None:
        if value is None:
            return None
        try:
            return ReferredSecret(row.name, name, read_reference(value, self.site))
        except ValueError as error:
            below = () if value is row.password else ("data", "switchguard")
            raise _host_error(self.site, row.name, name.split("."), f"{row.name}: {name}: {error}", below) from error

    def _file(self, name: str | None) -> str | None:
        return None if name is None else str(self.site / Path(name).expanduser())

    def _error(self, row: HostRow, complaints: Sequence[Complaint]) -> SiteError:
        first = complaints[0]
        return _host_error(self.site, row.name, first.way, f"{row.name}: {first.why}")


# --- where it went wrong ---------------------------------------------------------------------------------------------


def _checked(model: type[Model], marked: Marked) -> Model:
    checked = check(model, marked.data)
    if isinstance(checked, model):
        return checked
    first, *others = cast(tuple[Complaint, ...], checked)
    more = "".join(f"\n{marked.file}:{marked.line_of(it.way)}: {it.why}" for it in others)
    raise _at(marked, first.way, first.why + more)


def _at(marked: Marked, way: Steps, why: str) -> SiteError:
    return SiteError(why, marked.file, marked.line_of(way))


def _host_error(site: Path, host: str, way: Steps, why: str, below: Steps = ("data", "switchguard")) -> SiteError:
    """At the key, in whichever of Nornir's files has it; else at the host."""
    inside = (*below, *way)
    hosts, groups, defaults = (read_marked(site / name) if (site / name).exists() else None for name in HOST_FILES)
    of_groups = [steps for steps in (groups.lines if groups else ()) if steps[1:] == inside]
    places = [(hosts, (host, *inside)), *((groups, steps) for steps in of_groups), (defaults, inside), (hosts, (host,))]
    return next((_at(it, steps, why) for it, steps in places if it is not None and steps in it.lines), SiteError(why))


# --- small things ----------------------------------------------------------------------------------------------------


def _secrets(endpoint: Endpoint) -> Iterator[Secret]:
    snmp = endpoint.snmp
    of_snmp = (snmp.community, snmp.auth_key, snmp.priv_key) if snmp is not None else ()
    return (secret for secret in (endpoint.password, endpoint.enable_password, *of_snmp) if secret is not None)


def _unresolved(secrets: Iterable[Secret]) -> Iterator[NotConfigured]:
    for secret in secrets:
        try:
            secret.reveal()
        except NotConfigured as error:
            yield error


def _table(rows: Iterable[Key]) -> Iterator[str]:
    yield "| key | default | written as | meaning |"
    yield "|---|---|---|---|"
    for key in rows:
        yield f"| `{key.name}` | {key.default} | {key.form} | {key.meaning} |"
