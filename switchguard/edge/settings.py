"""A site's files -> what switchguard works with. Whatever is wrong is said with file, line and the right word."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from inspect import getdoc
from itertools import combinations
from pathlib import Path
from typing import TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from switchguard import plugins
from switchguard.core.evidence import NAT
from switchguard.core.model import Box, Device, Mac, Mode, Network, Policy, Role, Rule, Zone
from switchguard.core.rules import KINDS, connections
from switchguard.edge.connection_log import ConnectionLog
from switchguard.edge.credentials import ReferredSecret, forget_secrets, read_reference
from switchguard.edge.history import Retention
from switchguard.edge.marks import Marked, read_marked
from switchguard.edge.netbox import NetBox
from switchguard.edge.registry import read_registry
from switchguard.edge.site_models import (
    RULES,
    HostModel,
    PollModel,
    RegistryModel,
    RuleModel,
    SiteModel,
    SnmpModel,
    TrapsModel,
)
from switchguard.edge.strict import Complaint, Key, Strict, check, keys
from switchguard.errors import NotConfigured, SiteError, UnknownPlugin
from switchguard.ports import Endpoint, HostRow, Listening, Secret, SnmpAccess, Source

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
class Site:
    """A site directory, read and checked. Secrets are references still, followed when first needed."""

    path: Path
    policy: Policy
    devices: tuple[Device, ...]
    endpoints: Mapping[str, Endpoint]
    poll: Poll
    ledger: str
    """A file, or a database URL: as SqlLedger takes it."""
    follow: Follow = Follow()
    history: Retention = field(default_factory=Retention)
    logs: tuple[ConnectionLog, ...] = ()
    traps: Listening | None = None
    registry: Path | NetBox | None = None
    """A file, which may change while the service runs; what was in it at the start is in the policy. NetBox is asked
    when somebody wants to know."""


def load_site(path: Path, policy_file: Path | None = None) -> Site:
    """Reads switchguard.yaml and the inventory below `path`, and fetches no secret. SiteError for anything wrong.

    `policy_file` is read in the place of switchguard.yaml: what would another policy do? What it names is of the site.
    """
    forget_secrets()
    if not path.is_dir():
        raise SiteError("is no directory with a switchguard.yaml in it", str(path))
    marked = read_marked(policy_file or path / POLICY_FILE)
    model = _checked(SiteModel, marked)
    policy = _policy(model, marked, path)
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
        history=model.history.retention(),
        logs=tuple(log.log(name, path, policy.zone) for name, log in model.logs.items()),
        traps=None if model.traps is None else _listening(model.traps, path),
        registry=_source(model.registry, path),
    )


def missing_credentials(site: Site) -> tuple[NotConfigured, ...]:
    """Follows every reference to a secret, and says which lead nowhere."""
    tokens = (site.registry.token,) if isinstance(site.registry, NetBox) else ()
    of_devices = (secret for endpoint in site.endpoints.values() for secret in _secrets(endpoint))
    return tuple(_unresolved((*of_devices, *tokens)))


def settings_reference() -> str:
    """Every key of a site's files, as Markdown."""
    common = dict.fromkeys((*RuleModel.model_fields, "penalty"))
    prefix = "rules.<name>."
    penalties = (key for key in keys(RULES["quota"], prefix) if key.name.startswith(f"{prefix}penalty"))
    return "\n".join(
        (
            "## switchguard.yaml",
            "",
            *_table(keys(SiteModel)),
            "",
            "### Every rule",
            "",
            *_table((*keys(RuleModel, prefix), *penalties)),
            "",
            *(line for kind in RULES for line in _of_kind(kind, common)),
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


def _of_kind(kind: str, common: Collection[str]) -> Iterator[str]:
    """What a kind of rule does, its own keys, and what else is special about it."""
    about, model = KINDS[kind].ABOUT, RULES[kind]
    own = [key for key in keys(model) if key.name.split(".")[0].removesuffix("[]") not in common]
    _, _, judgement = (getdoc(KINDS[kind]) or "").partition("\n\n")
    yield from (f"### kind: {kind}", "", f"{about.meaning[0].upper()}{about.meaning[1:]}.", "", judgement, "")
    if own:
        yield from (*_table(own), "")
    if about.penalties == ():
        yield from ("It takes no `penalty`: it has its own.", "")
    elif about.sentence is not None:
        yield from ("Without a `penalty`, people are told.", "")
    if about.penalties:
        yield from (f"Its penalty is {' or '.join(f'`{it}`' for it in about.penalties)}.", "")
    polls = model.model_fields["for_polls"].default
    yield from (f"`for_polls` is {polls} unless you say otherwise.", "")


# --- the policy ------------------------------------------------------------------------------------------------------


def _policy(model: SiteModel, marked: Marked, path: Path) -> Policy:
    _no_overlap(model, marked)
    zones = {name: zone.zone(name) for name, zone in model.zones.items()}
    zone = model.time_zone or machine_zone()
    return Policy(
        mode=Mode(model.mode),
        zones=tuple(zones.values()),
        rules=tuple(_rule(name, rule, zones, zone, model, marked) for name, rule in model.rules.items()),
        exemptions=tuple(exempt.exemption() for exempt in model.exempt),
        safeguards=model.safeguards.safeguards(),
        box=_box(model, marked),
        zone=zone,
        link=None if model.link is None else model.link.link(),
        registry=_registry(_source(model.registry, path), marked),
    )


def _box(model: SiteModel, marked: Marked) -> Box | None:
    if model.box is None:
        return None
    if model.link is None:
        raise _at(marked, ("box",), "box: a share of which link? The site has no 'link'")
    return model.box.box(model.link.link())


def _rule(
    name: str, rule: RuleModel, zones: Mapping[str, Zone], zone: tzinfo, model: SiteModel, marked: Marked
) -> Rule:
    for number, wanted in enumerate(rule.zones):
        if wanted not in zones:
            why = f"rule {name!r}: {UnknownPlugin('zone', wanted, zones)}"
            raise _at(marked, ("rules", name, "zones", number), why)
    made = rule.rule(name, zones, zone)
    if isinstance(made.params, connections.Params) and made.params.log not in (NAT, *model.logs):
        why = f"rule {name!r}: {UnknownPlugin('log', made.params.log, (NAT, *model.logs))}"
        raise _at(marked, ("rules", name, "log"), why)
    for needed in made.params.needs if made.params is not None else ():
        if getattr(model, needed) is None:
            raise _at(marked, ("rules", name), f"rule {name!r} would never find anybody: the site has no {needed!r}")
    return made


def _source(model: RegistryModel | None, site: Path) -> Path | NetBox | None:
    if model is None or model.netbox is None:
        return None if model is None or model.file is None else site / Path(model.file).expanduser()
    netbox = model.netbox
    try:
        reference = read_reference(netbox.token, site)
    except ValueError as error:
        raise SiteError(f"registry.netbox.token: {error}", str(site / POLICY_FILE)) from error
    return NetBox(
        url=netbox.url,
        token=ReferredSecret("registry", "registry.netbox.token", reference),
        person=netbox.person,
        refresh_s=netbox.refresh.total_seconds(),
        timeout_s=netbox.timeout.total_seconds(),
        ca_file=None if netbox.ca_file is None else str(site / Path(netbox.ca_file).expanduser()),
    )


def _registry(source: Path | NetBox | None, marked: Marked) -> Mapping[Mac, str] | None:
    """What a file says now. NetBox is not asked to read a site; only that its certificate's authority is there."""
    if isinstance(source, NetBox):
        if source.ca_file is not None and not Path(source.ca_file).exists():
            raise _at(marked, ("registry", "netbox", "ca_file"), f"registry: there is no file {source.ca_file}")
        return None
    if source is None:
        return None
    if not source.exists():
        raise _at(marked, ("registry", "file"), f"registry: there is no file {source}")
    return read_registry(source)


def machine_zone(localtime: Path = Path("/etc/localtime")) -> tzinfo:
    """What the link leads to; UTC where that says nothing."""
    _, zoneinfo, name = str(localtime.resolve()).rpartition("zoneinfo/")
    try:
        return ZoneInfo(name) if zoneinfo else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


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


def _listening(model: TrapsModel, site: Path) -> Listening:
    def secret(name: str) -> Secret | None:
        value = getattr(model, name)
        if value is None:
            return None
        try:
            return ReferredSecret("traps", f"traps.{name}", read_reference(value, site))
        except ValueError as error:
            raise SiteError(f"traps.{name}: {error}", str(site / POLICY_FILE)) from error

    accesses = []
    if model.community is not None:
        accesses.append(SnmpAccess(community=secret("community")))
    if model.user is not None:
        keys = secret("auth_key"), secret("priv_key")
        accesses.append(SnmpAccess("3", None, model.user, keys[0], model.auth_protocol, keys[1], model.priv_protocol))
    address, _, port = model.listen.rpartition(":")
    engines = tuple(bytes.fromhex(text.removeprefix("0x")) for text in model.engine_ids)
    return Listening(address.strip("[]"), int(port), tuple(accesses), engines)


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
            compress=model.compress,
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
