"""A site's files -> what switchguard works with. Whatever is wrong is said with file, line and the right word."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from switchguard.core.evidence import NAT
from switchguard.core.model import Device, Mac, Mode, Network, Role
from switchguard.core.policy import Box, Policy, Rule, Zone
from switchguard.core.rules import connections, unusual_traffic
from switchguard.core.visitors import Landing
from switchguard.edge.complaints import POLICY_FILE, Steps, at, checked, host_error
from switchguard.edge.connection_log import ConnectionLog
from switchguard.edge.credentials import ReferredSecret, forget_secrets, read_reference
from switchguard.edge.history import Retention
from switchguard.edge.hosts import read_hosts
from switchguard.edge.leases import LeaseSource
from switchguard.edge.marks import Marked, read_marked
from switchguard.edge.netbox import NetBox
from switchguard.edge.paths import below
from switchguard.edge.registry import known_languages, read_registry
from switchguard.edge.site_models import (
    PollModel,
    RegistryModel,
    RuleModel,
    SiteModel,
    TrapsModel,
)
from switchguard.edge.units import spell_duration
from switchguard.edge.user_models import LOCAL
from switchguard.edge.vpn.sources import UsersOf, UserSource
from switchguard.errors import NotConfigured, SiteError, UnknownPlugin
from switchguard.ports import Endpoint, Listening, Secret, SnmpAccess

if TYPE_CHECKING:
    from switchguard.edge.notify_settings import NoticeSettings


@dataclass(frozen=True, slots=True)
class Poll:
    """How often to read what."""

    nat_size: timedelta
    nat: timedelta
    tables: timedelta
    counters: timedelta
    nat_ceiling: float = 0.1


@dataclass(frozen=True, slots=True)
class Follow:
    """What to follow between two polls: sessions that begin, to judge; sessions that end, to count."""

    begins: bool = False
    ends: bool = False
    counters: bool = False
    """Whether gateways count single clients, instead of telling of sessions that end."""
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
    leases: tuple[LeaseSource, ...] = ()
    snooping: frozenset[str] = frozenset()
    """Devices that are asked which leases they have overheard."""
    keepalive: timedelta = timedelta(seconds=150)
    """How long a connection may rest."""
    follow: Follow = Follow()
    history: Retention = field(default_factory=Retention)
    logs: tuple[ConnectionLog, ...] = ()
    traps: Listening | None = None
    metrics: tuple[str, int] | None = None
    """Address and TCP port of the page for Prometheus."""
    registry: Path | NetBox | None = None
    """A file, which may change while the service runs; what was in it at the start is in the policy. NetBox is asked
    when somebody wants to know."""
    landing: Landing = field(default_factory=Landing)
    notices: "NoticeSettings | None" = None
    users: tuple[UsersOf, ...] = ()
    """Zones whose clients are people, known by their sessions."""


def load_site(path: Path, policy_file: Path | None = None) -> Site:
    """Reads switchguard.yaml and the inventory below `path`, and fetches no secret. SiteError for anything wrong.

    `policy_file` is read in the place of switchguard.yaml: what would another policy do? What it names is of the site.
    """
    forget_secrets()
    if not path.is_dir():
        raise SiteError("is no directory with a switchguard.yaml in it", str(path))
    marked = read_marked(policy_file or path / POLICY_FILE)
    model = checked(SiteModel, marked)
    policy = _policy(model, marked, path)
    found = read_hosts(path, model)
    devices = tuple(device for device, _endpoint in found)
    policy = replace(policy, public_addresses={it.name: n for it in devices if (n := it.public_addresses) is not None})
    _refer(model, marked, path, devices)
    return Site(
        path=path,
        policy=policy,
        devices=devices,
        endpoints={device.name: endpoint for device, endpoint in found},
        poll=_poll(model.poll),
        ledger=model.ledger if "://" in model.ledger else str(path / model.ledger),
        leases=tuple(_leases(model, path)),
        snooping=frozenset(it.snooping for it in model.leases.values() if it.snooping is not None),
        keepalive=model.keepalive,
        follow=_follow(model),
        history=model.history.retention(),
        logs=tuple(log.log(name, path, policy.zone) for name, log in model.logs.items()),
        traps=None if model.traps is None else _listening(model.traps, path),
        metrics=None if model.metrics is None else _place(model.metrics.listen),
        registry=_source(model.registry, path),
        landing=model.landing.landing("" if model.notices is None else model.notices.contact, model.language),
        notices=_notices(model, marked, path),
        users=tuple(_users(model, marked, path)),
    )


def missing_credentials(site: Site) -> tuple[NotConfigured, ...]:
    """Follows every reference to a secret, and says which lead nowhere."""
    tokens = (site.registry.token,) if isinstance(site.registry, NetBox) else ()
    servers = () if site.notices is None else site.notices.targets.secrets()
    of_devices = (secret for endpoint in site.endpoints.values() for secret in _secrets(endpoint))
    of_users = tuple(secret for zone in site.users for it in zone.sources if (secret := it.password) is not None)
    return tuple(_unresolved((*of_devices, *tokens, *servers, *of_users)))


def exemptions_over(site: Site, now: datetime) -> tuple[str, ...]:
    """`switchguard.yaml:11: 02:…:07 (keynote) is exempt no more`: old entries are no mistake, a wrong year is."""
    over = [(n, it) for n, it in enumerate(site.policy.exemptions) if it.until is not None and it.until <= now]
    marked = read_marked(site.path / POLICY_FILE) if over else Marked("", None)
    lines = (marked.line_of(("exempt", number, "until")) for number, _ in over)
    return tuple(
        f"{POLICY_FILE}:{line}: {it.mac or it.network or it.user} ({it.why}) is exempt no more"
        for line, (_, it) in zip(lines, over, strict=True)
    )


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


# --- the policy ------------------------------------------------------------------------------------------------------


def _policy(model: SiteModel, marked: Marked, path: Path) -> Policy:
    _no_overlap(model, marked)
    zones = {name: zone.zone(name) for name, zone in model.zones.items()}
    zone = model.time_zone or machine_zone()
    return Policy(
        mode=Mode(model.mode),
        zones=tuple(zones.values()),
        rules=tuple(_rule(name, rule, zones, zone, model, marked) for name, rule in model.rules.items()),
        exemptions=tuple(exempt.exemption(zone) for exempt in model.exempt),
        safeguards=model.safeguards.safeguards(),
        box=_box(model, marked),
        zone=zone,
        link=None if model.link is None else model.link.link(),
        registry=_registry(_source(model.registry, path), marked),
        identity=model.identity.policy(),
    )


def _box(model: SiteModel, marked: Marked) -> Box | None:
    if model.box is None:
        return None
    if model.link is None:
        raise at(marked, ("box",), "box: a share of which link? The site has no 'link'")
    return model.box.box(model.link.link())


def _rule(
    name: str, rule: RuleModel, zones: Mapping[str, Zone], zone: tzinfo, model: SiteModel, marked: Marked
) -> Rule:
    for number, wanted in enumerate(rule.zones):
        if wanted not in zones:
            why = f"rule {name!r}: {UnknownPlugin('zone', wanted, zones)}"
            raise at(marked, ("rules", name, "zones", number), why)
    made = rule.rule(name, zones, zone)
    if isinstance(made.params, connections.Params) and made.params.log not in (NAT, *model.logs):
        why = f"rule {name!r}: {UnknownPlugin('log', made.params.log, (NAT, *model.logs))}"
        raise at(marked, ("rules", name, "log"), why)
    kept = model.history.hours
    if isinstance(made.params, unusual_traffic.Params) and made.params.history > kept:
        why = f"rule {name!r} would never judge: hours are kept for {spell_duration(kept)} only (history.hours)"
        raise at(marked, ("rules", name, "history"), why)
    for needed in made.params.needs if made.params is not None else ():
        if getattr(model, needed) is None:
            raise at(marked, ("rules", name), f"rule {name!r} would never find anybody: the site has no {needed!r}")
    return made


def _source(model: RegistryModel | None, site: Path) -> Path | NetBox | None:
    if model is None or model.netbox is None:
        return None if model is None or model.file is None else below(site, model.file)
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
        ca_file=None if netbox.ca_file is None else str(below(site, netbox.ca_file)),
    )


def _registry(source: Path | NetBox | None, marked: Marked) -> Mapping[Mac, str] | None:
    """What a file says now. NetBox is not asked to read a site; only that its certificate's authority is there."""
    if isinstance(source, NetBox):
        if source.ca_file is not None and not Path(source.ca_file).exists():
            raise at(marked, ("registry", "netbox", "ca_file"), f"registry: there is no file {source.ca_file}")
        return None
    if source is None:
        return None
    if not source.exists():
        raise at(marked, ("registry", "file"), f"registry: there is no file {source}")
    return read_registry(source)


def machine_zone(localtime: Path = Path("/etc/localtime"), environment: Mapping[str, str] = os.environ) -> tzinfo:
    """What $TZ names, as containers are told, else what the link leads to; UTC where that says nothing."""
    _, _, name = str(localtime.resolve()).rpartition("zoneinfo/")
    try:
        return ZoneInfo(environment.get("TZ", "").removeprefix(":") or name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _leases(model: SiteModel, path: Path) -> Iterator[LeaseSource]:
    for name, leases in model.leases.items():
        try:
            source = leases.source(name, path)
        except ValueError as error:
            raise SiteError(f"leases.{name}.password: {error}", str(path / POLICY_FILE)) from error
        if source is not None:
            yield source


def _no_overlap(model: SiteModel, marked: Marked) -> None:
    networks = [
        (name, number, network) for name, zone in model.zones.items() for number, network in enumerate(zone.networks)
    ]
    for (one, _, first), (other, number, second) in combinations(networks, 2):
        if _overlap(first, second):
            why = f"{second} of zone {other!r} overlaps {first} of zone {one!r}: a client must be in one zone only"
            raise at(marked, ("zones", other, "networks", number), why)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _refer(model: SiteModel, marked: Marked, path: Path, devices: Iterable[Device]) -> None:
    """What the files name in each other must exist."""
    names = {device.name for device in devices}
    for name, zone in model.zones.items():
        if zone.enforce_at not in {*names, *Role}:
            places = UnknownPlugin("role or device", zone.enforce_at, (*Role, *names))
            raise at(marked, ("zones", name, "enforce_at"), f"zone {name!r}: {places}")
        for number, users in enumerate(zone.users):
            if users.device not in {LOCAL, *names}:
                unknown = UnknownPlugin("device", users.device, (LOCAL, *names))
                way = _way_of_users(marked, name, number, users.kind, "device")
                raise at(marked, way, f"zone {name!r}: {unknown}")
    if model.link is not None and model.link.device not in names:
        raise at(marked, ("link", "device"), f"link: {UnknownPlugin('device', model.link.device, names)}")
    for name, leases in model.leases.items():
        if leases.snooping is not None and leases.snooping not in names:
            unheard = UnknownPlugin("device", leases.snooping, names)
            raise at(marked, ("leases", name, "snooping"), f"leases {name!r}: {unheard}")
        if name in names:
            raise at(marked, ("leases", name), f"leases {name!r}: a device has this name")
    if model.identity.per_person and model.registry is None:
        raise at(marked, ("identity", "per_person"), "identity.per_person: which person's? The site has no 'registry'")
    for device in devices:
        if device.zone is not None and device.zone not in model.zones:
            zones = UnknownPlugin("zone", device.zone, model.zones)
            raise host_error(path, device.name, ("zone",), f"{device.name}: {zones}")
        if why := _no_pair(device, {it.name: it for it in devices}):
            raise host_error(path, device.name, ("mlag_peer",), f"{device.name}: mlag_peer: {why}")


def _no_pair(device: Device, devices: Mapping[str, Device]) -> str:
    """What is wrong with its peer; "" if nothing, or if it has none."""
    peer = device.mlag_peer
    if peer is None:
        return ""
    if peer == device.name:
        return "a switch is not its own peer"
    if peer not in devices:
        return str(UnknownPlugin("device", peer, devices.keys() - {device.name}))
    theirs = devices[peer].mlag_peer
    return "" if theirs == device.name else f"{peer} names {theirs or 'none'} as its own; both have to name each other"


def _follow(model: SiteModel) -> Follow:
    closely = model.stream
    return Follow(
        begins=model.detect == "stream",
        ends=model.accounting == "events",
        counters=model.accounting == "nft",
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
    engines = tuple(bytes.fromhex(text.removeprefix("0x")) for text in model.engine_ids)
    return Listening(*_place(model.listen), tuple(accesses), engines)


def _way_of_users(marked: Marked, zone: str, number: int, *keys: str) -> Steps:
    """A single source may be written without a list around it."""
    listed: tuple[str | int, ...] = ("zones", zone, "users", number, *keys)
    return listed if listed in marked.lines else ("zones", zone, "users", *keys)


def _users(model: SiteModel, marked: Marked, path: Path) -> Iterator[UsersOf]:
    for name, zone in model.zones.items():
        kinds: list[str] = []
        sources: list[UserSource] = []
        for number, users in enumerate(zone.users):
            kinds.append(users.kind)
            try:
                sources.append(users.source(name, kinds.count(users.kind), path))
            except ValueError as error:
                way = _way_of_users(marked, name, number, users.kind, "password")
                raise at(marked, way, f"zones.{name}.users.{users.kind}.password: {error}") from None
        if sources:
            yield UsersOf(name, tuple(zone.networks), tuple(sources))


def _notices(model: SiteModel, marked: Marked, path: Path) -> "NoticeSettings | None":
    contacts = {name: zone.contact for name, zone in model.zones.items()}
    if model.notices is None:
        alone = next((name for name, contact in contacts.items() if contact is not None), None)
        if alone is not None:
            raise at(marked, ("zones", alone, "contact"), f"zone {alone!r}: nobody is told: the site has no 'notices'")
        return None
    from switchguard.edge.notify_settings import notice_settings  # with its templates: only where there are some

    made = notice_settings(model.notices, contacts, model.language, path, marked)
    source = _source(model.registry, path)
    if isinstance(source, Path):
        known_languages(source, made.texts.words)
    return made


def _place(listen: str) -> tuple[str, int]:
    address, _, port = listen.rpartition(":")
    return address.strip("[]"), int(port)


def _poll(model: PollModel) -> Poll:
    return Poll(model.nat_size, model.nat, model.tables, model.counters, model.nat_ceiling)
