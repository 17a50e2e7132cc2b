"""What may be written in a site's files: every key, its default, unit and meaning, and the core value it becomes."""

from collections.abc import Mapping
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from switchguard.core.evidence import NAT
from switchguard.core.penalties import Block, Exemption, Notify, Quarantine
from switchguard.core.policy import Rule, Safeguards, Sentence, SharedLink, Zone
from switchguard.core.rules import KINDS, connections
from switchguard.edge.connection_log import ConnectionLog
from switchguard.edge.history import Retention
from switchguard.edge.identity_models import IdentityModel, LeasesModel
from switchguard.edge.landing_models import LandingModel
from switchguard.edge.moments import by
from switchguard.edge.netbox import Person, base_url
from switchguard.edge.notice_models import NoticesModel
from switchguard.edge.paths import below
from switchguard.edge.penalty_models import BoxModel, Ladder, PenaltyModel, SofterLadder, sentence_of
from switchguard.edge.rule_models import rule_models, zone_keys
from switchguard.edge.strict import (
    Built,
    Duration,
    MacText,
    Moment,
    Name,
    NetworkText,
    OneOf,
    Rate,
    Reference,
    Share,
    SnmpVersion,
    Strict,
    ZoneName,
)
from switchguard.edge.user_models import UserSources

BRAKES = Safeguards()


NetBoxUrl = Annotated[str, AfterValidator(base_url)]
ListenText = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[0-9.]+):[0-9]{1,5}$")]
EngineId = Annotated[str, Field(pattern=r"^(0x)?([0-9a-fA-F]{2}){5,32}$")]


class PollModel(Strict):
    nat_size: Duration = Field(
        default=timedelta(seconds=10), description="how often to ask for the size of the NAT table"
    )
    nat: Duration = Field(default=timedelta(seconds=60), description="how often to read the whole NAT table and judge")
    tables: Duration = Field(
        default=timedelta(minutes=5), description="how often to read ARP, forwarding tables and neighbours"
    )
    counters: Duration = Field(default=timedelta(seconds=60), description="how often to read the counters of the ports")
    nat_ceiling: Share = Field(
        default=0.1,
        gt=0,
        description="at most so much of the time may be spent reading the NAT table: where reading takes longer than "
        "this share of `nat`, it is read less often, but at least once an hour",
    )


class StreamModel(Strict):
    """How closely a stream of sessions is watched: `detect: stream`."""

    tick: Duration = Field(default=timedelta(seconds=0.25), description="how often to add up the sessions that began")
    window: Duration = Field(default=timedelta(seconds=10), description="how long the sessions that count may be ago")
    windows: int = Field(
        default=3, ge=1, description="in how many windows in a row, each a tick later, before the tables are looked at"
    )

    @model_validator(mode="after")
    def _wide_enough(self) -> Self:
        if self.window < self.tick:
            raise ValueError("the window is shorter than the tick")
        return self


class LinkModel(Strict):
    device: str = Field(description="the device that has the shared link")
    interface: Name = Field(description="its interface on that link")
    capacity: Rate = Field(description="what the link can carry towards the clients")
    capacity_out: Rate | None = Field(
        default=None, description="what it can carry to the internet, where that is not the same"
    )

    def link(self) -> SharedLink:
        return SharedLink(self.device, self.interface, self.capacity, self.capacity_out or self.capacity)


class HistoryModel(Strict):
    """How long what everybody used is kept."""

    minutes: Duration = Field(default=Retention().minutes, description="poll by poll; then only hour by hour")
    hours: Duration = Field(default=Retention().hours, description="hour by hour; then only day by day")
    days: Duration = Field(default=Retention().days, description="day by day; then not at all")
    routine: Duration = Field(
        default=Retention().routine,
        description="penalties that were nobody's fault and have ended: limits for everybody, tiers of new devices",
    )

    @model_validator(mode="after")
    def _finer_is_shorter(self) -> Self:
        self.retention()
        return self

    def retention(self) -> Retention:
        return Retention(self.minutes, self.hours, self.days, self.routine)


class LogModel(Strict):
    """A firewall's log of connections."""

    file: str = Field(
        description="the log; its rotated and compressed predecessors are found beside it; a relative path starts at "
        "the site"
    )
    match: str = Field(min_length=1, description="only lines with this text; each is one connection from its `SRC=`")

    def log(self, name: str, site: Path, zone: tzinfo) -> ConnectionLog:
        return ConnectionLog(name, below(site, self.file), self.match, zone)


class TrapsModel(Strict):
    """Traps and informs only make switchguard look; what it then sees decides."""

    listen: ListenText = Field(
        description="address and UDP port, such as `0.0.0.0:9162` or `[::]:9162`; the usual 162 takes root",
    )
    community: Reference = Field(default=None, description="version 2c: the community of the senders")
    user: str | None = Field(default=None, description="version 3: the user of the senders, with the keys below")
    auth_key: Reference = Field(default=None, description="version 3: the authentication password")
    auth_protocol: Literal["md5", "sha", "sha224", "sha256", "sha384", "sha512"] = Field(
        default="sha", description="version 3"
    )
    priv_key: Reference = Field(default=None, description="version 3: the privacy password")
    priv_protocol: Literal["des", "aes", "aes192", "aes256"] = Field(default="aes", description="version 3")
    engine_ids: list[EngineId] = Field(
        default_factory=list, description="version 3: engine IDs of the devices that send traps; informs need none"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.community is None and self.user is None:
            raise ValueError("traps need a community or a user")
        if self.user is not None and (self.auth_key is None or self.priv_key is None):
            raise ValueError("SNMP version 3 needs user, auth_key, priv_key")
        return self


class MetricsModel(Strict):
    """A page of numbers for Prometheus, without anybody's name in it (docs/metrics.md)."""

    listen: ListenText = Field(
        description="address and TCP port, such as `127.0.0.1:9108`; whoever reaches it may read it"
    )


class NetBoxModel(Strict):
    """The registry is NetBox (4.2 or newer): its MAC addresses and what they are assigned to."""

    url: NetBoxUrl = Field(description="where NetBox is, without `/api`: `https://netbox.example.org`")
    token: Reference = Field(
        description="an API token that may view MAC addresses and, for tenants, devices and virtual machines, or, for "
        "contacts, contact assignments; all of them, since what it may not view is not registered. It need not write"
    )
    person: Person = Field(
        default="tenant",
        description="whose a device is: its tenant, its contact (the primary one first), or the device itself; a "
        "device that has none is its own person",
    )
    refresh: Duration = Field(default=timedelta(minutes=10), description="how often to ask anew")
    timeout: Duration = Field(default=timedelta(seconds=10), description="of each answer")
    ca_file: str | None = Field(
        default=None,
        description="PEM file of the authority that NetBox's certificate is from, if the machine does not know it; "
        "a relative path starts at the site",
    )


class RegistryModel(Strict):
    """Which device belongs to which person."""

    file: str | None = Field(
        default=None,
        description="a CSV file with the columns `mac` and `person`, or a YAML file `person: [mac, ...]`; either may"
        " say how people are told things (docs/notices.md); a relative path starts at the site",
    )
    netbox: NetBoxModel | None = Field(
        default=None,
        description="instead of a file: NetBox 4.2 or newer, over its REST API; written after its documentation, no "
        "real NetBox has been asked yet",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.netbox is None):
            raise ValueError("a registry is either a 'file' or 'netbox'")
        return self


class ZoneModel(Strict):
    networks: list[NetworkText] = Field(min_length=1, description="whose addresses belong to the zone; no two overlap")
    enforce_at: str = Field(
        default="core", description="a role (gateway, core, access) or a device: where penalties are put"
    )

    ladder: SofterLadder = Field(
        default_factory=list,
        description="the hardest that a rule may do here, the first time, the second time and so on: "
        "`[notify, {cap: 100}]`; without it, whatever the rule says",
    )

    contact: Reference = Field(
        default=None,
        description="who is told what happens in the zone, beside the person: a mail address, or a reference to an "
        "apprise address; needs `notices`",
    )

    users: UserSources = Field(
        default_factory=list,
        description="where the sessions of VPN users are told: in such a zone a client is a person, and an address "
        "without a session is nobody's (docs/vpn.md); one source or a list of them",
    )

    def zone(self, name: str) -> Zone:
        return Zone(name, tuple(self.networks), self.enforce_at, tuple(step.penalty() for step in self.ladder))


class ExemptModel(Strict):
    network: NetworkText | None = Field(default=None, description="everybody in this network")
    mac: MacText | None = Field(default=None, description="the client with this MAC address")
    user: str | None = Field(default=None, min_length=1, description="this VPN user")
    until: Moment | None = Field(default=None, description="when the exemption ends; without it, never")
    why: str = Field(min_length=1, description="for whoever wonders later")

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if sum(it is not None for it in (self.network, self.mac, self.user)) != 1:
            raise ValueError("an exemption is for exactly one of network, mac and user")
        return self

    def exemption(self, zone: tzinfo) -> Exemption:
        """`zone`: the site's, in which it ends."""
        until = None if self.until is None else by(zone, self.until)
        subject = next(str(it) for it in (self.network, self.mac, self.user) if it is not None)
        return Exemption(f"site {subject}", self.why, self.network, self.mac, self.user, until)


class RuleModel(Built):
    """What every rule may be told; each kind has keys of its own besides (rule_models.py)."""

    kind: str = Field(description="which rule it is: one of the kinds below")
    for_polls: int = Field(
        default=3, ge=1, description="in how many polls in a row, before anything happens; some kinds say otherwise"
    )
    zones: list[Name] = Field(default_factory=list, description="only clients of these zones")
    networks: list[NetworkText] = Field(
        default_factory=list, description="only clients with an address in one of these networks, beside the zones'"
    )

    @model_validator(mode="after")
    def _fitting_threshold(self) -> Self:
        if (params := self.value()) is not None:
            params.fits(self.threshold())
        return self

    @model_validator(mode="after")
    def _fitting_penalty(self) -> Self:
        about, sentence = KINDS[self.kind].ABOUT, self.sentence()
        steps = (sentence, *sentence.then)
        if about.penalties and any(step.penalty.kind not in about.penalties for step in steps):
            raise ValueError(f"a rule of kind {self.kind} takes only {' or '.join(about.penalties)} as its penalty")
        return self

    @model_validator(mode="after")
    def _fit_for_subnets(self) -> Self:
        params = self.value()
        if isinstance(params, connections.Params) and params.subnets == "apply" and params.log != NAT:
            sentence = self.sentence()
            penalties = [it.penalty for it in (sentence, *sentence.then)]
            penalties += [it.probation.penalty for it in (sentence, *sentence.then) if it.probation is not None]
            if any(it == Block("mac") or isinstance(it, Quarantine) for it in penalties):
                raise ValueError("with subnets: apply the penalty must be one for addresses, such as {block: address}")
        return self

    def sentence(self) -> Sentence:
        ladder: list[PenaltyModel] | None = getattr(self, "penalty", None)
        if ladder is not None:
            return sentence_of(ladder)
        return KINDS[self.kind].ABOUT.sentence or Sentence(Notify())

    def threshold(self) -> float:
        about = KINDS[self.kind].ABOUT
        return 0.0 if about.threshold is None else float(getattr(self, about.threshold.name))

    def rule(self, name: str, zones: Mapping[str, Zone], site_zone: tzinfo) -> Rule:
        """`zones` has all that the rule names."""
        about = KINDS[self.kind].ABOUT
        return Rule(
            name=name,
            kind=self.kind,
            above=self.threshold(),
            for_polls=self.for_polls,
            sentence=self.sentence(),
            params=self.value(site_zone, **dict.fromkeys(zone_keys(about), site_zone)),
            networks=(*(network for zone in self.zones for network in zones[zone].networks), *self.networks),
        )


RULES = rule_models(RuleModel, Ladder)
RuleOfSomeKind = Annotated[RuleModel, OneOf("kind", "kind of rule", RULES)]


class SafeguardsModel(Strict):
    new_per_cycle: int = Field(
        default=BRAKES.new_per_cycle, ge=0, description="more new penalties at once are all refused"
    )
    share_of_clients: Share = Field(
        default=BRAKES.share_of_clients, description="likewise, as a share of the clients seen"
    )
    per_device: int = Field(default=BRAKES.per_device, ge=0, description="penalties that one device may hold")
    max_addresses_per_mac: int = Field(
        default=BRAKES.max_addresses_per_mac, ge=1, description="a MAC with more addresses is a router and left alone"
    )
    max_macs_per_port: int = Field(
        default=BRAKES.max_macs_per_port,
        ge=1,
        description="a port with more MACs gets no port action; telephones do not count",
    )
    min_confidence: float = Field(
        default=BRAKES.min_confidence, ge=0, le=1, description="a location less certain than this is not written to"
    )
    max_age: Duration = Field(
        default=timedelta(seconds=BRAKES.max_age_s), description="observations older than this justify no write"
    )
    widest_subnet: int = Field(
        default=BRAKES.widest_subnet,
        ge=8,
        le=32,
        description="prefix length: no penalty covers a larger IPv4 network than this",
    )
    widest_subnet_ipv6: int = Field(default=BRAKES.widest_subnet_ipv6, ge=16, le=128, description="likewise for IPv6")
    least_for_everyone: int = Field(
        default=BRAKES.least_for_everyone, ge=1, description="sessions: `cap everyone` to fewer than this is refused"
    )

    def safeguards(self) -> Safeguards:
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "max_age"}
        return Safeguards(**values, max_age_s=self.max_age.total_seconds())


class InventoryModel(Strict):
    source: str = Field(default="simple", description="which of switchguard's inventory sources; `simple` asks Nornir")
    plugin: str = Field(default="SimpleInventory", description="the Nornir inventory plugin that `simple` asks")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the Nornir plugin")


class SiteModel(Strict):
    """switchguard.yaml"""

    mode: Literal["observe", "enforce"] = Field(
        default="observe",
        description="`observe` writes to no device; `enforce` does, where the device is in this mode too",
    )
    poll: PollModel = Field(default=PollModel(), description="how often to read what")
    detect: Literal["poll", "stream"] = Field(
        default="poll",
        description="`stream` also follows every session while it begins, where the gateway tells; a swarm is then "
        "found within a second",
    )
    stream: StreamModel = Field(default=StreamModel(), description="how closely, with `detect: stream`")
    accounting: Literal["poll", "events", "nft"] = Field(
        default="poll",
        description="`events` also counts the octets of sessions that begin and end between two polls, where the "
        "gateway tells; `nft` lets Linux gateways in mode `enforce` count every client's octets in a table of ours "
        "(`switchguard counters`), which misses nothing and costs less, also while `nat` is read rarely",
    )
    link: LinkModel | None = Field(default=None, description="the link to the internet that everybody shares")
    traps: TrapsModel | None = Field(
        default=None, description="where to listen for traps, so that penalties follow who moves within two seconds"
    )
    metrics: MetricsModel | None = Field(
        default=None, description="where `run` offers numbers for Prometheus; without it, nowhere"
    )
    registry: RegistryModel | None = Field(
        default=None, description="the people whose devices are known, for `registered_only` and quotas per person"
    )
    keepalive: Duration = Field(
        default=timedelta(seconds=150),
        description="how long a connection to a device rests before it is closed: longer than `poll.nat`, or every "
        "poll logs in anew; shorter than the time-out of the devices' lines",
    )
    identity: IdentityModel = Field(
        default=IdentityModel(), description="when two MACs are one device, and what a randomised one changes"
    )
    leases: dict[Name, LeasesModel] = Field(
        default_factory=dict, description="DHCP leases, by which devices are known again; the name is yours"
    )
    history: HistoryModel = Field(default=HistoryModel(), description="how long what everybody used is kept")
    logs: dict[Name, LogModel] = Field(
        default_factory=dict, description="logs of connections, for rules of the kind `connections`; the name is yours"
    )
    time_zone: ZoneName | None = Field(default=None, description="whose clock is meant; without it, the machine's own")
    box: BoxModel | None = Field(
        default=None, description="one ceiling for all who are limited for an offence; needs `link`"
    )
    zones: dict[str, ZoneModel] = Field(default_factory=dict, description="clients by network; the name is yours")
    exempt: list[ExemptModel] = Field(default_factory=list, description="who is never touched, by any rule or command")
    rules: dict[str, RuleOfSomeKind] = Field(
        default_factory=dict, description="who gets which penalty; the name is yours"
    )
    safeguards: SafeguardsModel = Field(default=SafeguardsModel(), description="brakes against our own mistakes")
    landing: LandingModel = Field(
        default=LandingModel(), description="the page where clients read what stands against them"
    )
    notices: NoticesModel | None = Field(
        default=None, description="who is told what happens, and where; without it, the log is (docs/notices.md)"
    )
    language: str = Field(
        default="en",
        description="in which people are told things whose own language is not known: `en`, `de`, `fr`, `es`, or one"
        " of the site's own",
    )
    inventory: InventoryModel = Field(default=InventoryModel(), description="where the devices are listed")
    ledger: str = Field(
        default="state/switchguard.db", description="the ledger: a file below the site, or a database URL of SQLAlchemy"
    )


class SnmpModel(Strict):
    version: SnmpVersion = Field(
        default="2c", description="3 means authentication and privacy, both; 1 is slow, and has no 64-bit counters"
    )
    community: Reference = Field(default=None, description="versions 1 and 2c: the community")
    user: str | None = Field(default=None, description="version 3: the user")
    auth_key: Reference = Field(default=None, description="version 3: the authentication password")
    auth_protocol: Literal["md5", "sha", "sha224", "sha256", "sha384", "sha512"] = Field(
        default="sha", description="version 3"
    )
    priv_key: Reference = Field(default=None, description="version 3: the privacy password")
    priv_protocol: Literal["des", "aes", "aes192", "aes256"] = Field(default="aes", description="version 3")
    port: int = Field(default=161, ge=1, le=65535, description="UDP port")
    timeout: Duration = Field(default=timedelta(seconds=2), description="of each attempt")
    retries: int = Field(default=2, ge=0, description="after the first attempt")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = ("community",) if self.version != "3" else ("user", "auth_key", "priv_key")
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"SNMP version {self.version} needs {', '.join(missing)}")
        return self


SECRET_OPTIONS = ("secret", "password", "enable_password", "passphrase")


class HostModel(Strict):
    """`data: {switchguard: ...}` of a host, a group or the defaults; the host's own keys win."""

    role: Literal["gateway", "core", "access"] = Field(description="what the device is for")
    mode: Literal["observe", "enforce"] = Field(default="observe", description="`enforce`: may be written to")
    uplinks: list[Name] = Field(
        default_factory=list, description="ports that lead to other devices, beside those found"
    )
    zone: str | None = Field(default=None, description="the zone that the device serves")
    lan_interfaces: list[Name] = Field(default_factory=list, description="gateways: interfaces that face the clients")
    public_addresses: int | None = Field(
        default=None,
        ge=1,
        description="gateways: to how many public addresses it translates, if every translation has a port of its own "
        "there, whoever it is to: Cisco IOS and ASA (without `extended`), Junos pools without overloading, "
        "carrier-grade NAT with endpoint-independent mapping. Their ports are then a ceiling for `nat_pressure`. Say "
        "nothing where one port serves many servers at a time, as on Linux, VyOS, RouterOS and pf: there ports run "
        "out towards a single server only, which no size of a table tells",
    )
    mlag_peer: str | None = Field(
        default=None,
        description="the other switch of a vPC, MLAG, MC-LAG or VSX pair, each naming the other: an aggregate that "
        "both have under one name is one place, and a block of a MAC goes to both (docs/penalties.md)",
    )
    snmp: SnmpModel | None = Field(default=None, description="access by SNMP; without it, no SNMP")
    username: str | None = Field(default=None, description="instead of the inventory's own username")
    password: Reference = Field(default=None, description="login password")
    enable_password: Reference = Field(default=None, description="enable password")
    key_file: str | None = Field(default=None, description="SSH private key; a relative path starts at the site")
    known_hosts: str | None = Field(
        default=None, description="accepted SSH host keys; relative to the site; else the user's own"
    )
    napalm: dict[str, Any] = Field(
        default_factory=dict,
        description="optional arguments of the NAPALM driver; `transport` says how a device is asked and written to: "
        "arista_eos `https`, `https_certs`, `http` or `ssh`, cisco_nxos `ssh` or `https` (NX-API)",
    )
    ca_file: str | None = Field(
        default=None,
        description="with `transport: https`: PEM file of the authority that the device's certificate is from, or the "
        "device's own certificate; without it, the device must show one that the machine trusts. A relative path "
        "starts at the site",
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="of each answer")
    compress: bool = Field(
        default=False, description="long answers of a machine with a shell come through gzip: for a slow link"
    )

    @model_validator(mode="after")
    def _only_gateways_translate(self) -> Self:
        if self.public_addresses is not None and self.role != "gateway":
            raise ValueError("public_addresses is for gateways")
        return self

    @model_validator(mode="after")
    def _no_secrets_in_options(self) -> Self:
        found = [name for name in SECRET_OPTIONS if name in self.napalm]
        if found:
            raise ValueError(f"napalm.{found[0]} would be a secret in plain text; use password or enable_password")
        return self
