"""What may be written in a site's files: every key, its default, unit and meaning, and the core value it becomes."""

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from switchguard.core.model import (
    Block,
    Exemption,
    Penalty,
    RateLimit,
    Rule,
    Safeguards,
    Sentence,
    SessionCap,
    Zone,
)
from switchguard.edge.strict import (
    Duration,
    Factor,
    MacText,
    Moment,
    Name,
    NetworkText,
    Rate,
    Reference,
    Share,
    SnmpVersion,
    Strict,
    Term,
)

BRAKES = Safeguards()


class PollModel(Strict):
    nat_size: Duration = Field(
        default=timedelta(seconds=10), description="how often to ask for the size of the NAT table"
    )
    nat: Duration = Field(default=timedelta(seconds=60), description="how often to read the whole NAT table and judge")
    tables: Duration = Field(
        default=timedelta(minutes=5), description="how often to read ARP, forwarding tables and neighbours"
    )
    counters: Duration = Field(default=timedelta(seconds=60), description="how often to read the counters of the ports")


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
    capacity: Rate = Field(description="what the link can carry")


class ZoneModel(Strict):
    networks: list[NetworkText] = Field(min_length=1, description="whose addresses belong to the zone; no two overlap")
    enforce_at: str = Field(
        default="core", description="a role (gateway, core, access) or a device: where penalties are put"
    )

    def zone(self, name: str) -> Zone:
        return Zone(name, tuple(self.networks), self.enforce_at)


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

    def exemption(self) -> Exemption:
        subject = next(str(it) for it in (self.network, self.mac, self.user) if it is not None)
        return Exemption(f"site {subject}", self.why, self.network, self.mac, self.user, self.until)


class PenaltyModel(Strict):
    block: Literal["mac", "address"] | None = Field(
        default=None, description="cut the client off, by its MAC or its address"
    )
    cap: int | None = Field(default=None, gt=0, description="at most this many sessions at a time")
    limit: Rate | None = Field(default=None, description="at most this much traffic")
    lasts: Term = Field(default=timedelta(hours=2), description="the first time")
    escalate: Factor = Field(default=1.0, description="each further time it lasts this much longer")
    at_most: Duration | None = Field(default=None, description="but never longer than this")
    forget_after: Duration = Field(
        default=timedelta(days=7), description="after this long, an ended penalty counts half"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(it is not None for it in (self.block, self.cap, self.limit)) != 1:
            raise ValueError("a penalty is exactly one of block, cap and limit")
        if self.at_most is not None and (self.lasts is None or self.lasts > self.at_most):
            raise ValueError("at_most is shorter than lasts")
        return self

    def penalty(self) -> Penalty:
        if self.block is not None:
            return Block(self.block)
        return SessionCap(self.cap) if self.cap is not None else RateLimit(self.limit or 0)

    def sentence(self) -> Sentence:
        return Sentence(self.penalty(), self.lasts, self.escalate, self.at_most, self.forget_after)


class RuleModel(Strict):
    kind: str = Field(description="which rule it is: a module of switchguard/core/rules")
    above: float = Field(ge=0, le=1, description="the threshold, from 0.0 to 1.0")
    for_polls: int = Field(default=3, ge=1, description="in how many polls in a row, before anything happens")
    penalty: PenaltyModel = Field(description="what happens then")

    def rule(self, name: str) -> Rule:
        return Rule(name, self.kind, self.above, self.for_polls, self.penalty.sentence())


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
    accounting: Literal["poll", "events"] = Field(
        default="poll",
        description="`events` also counts the octets of sessions that begin and end between two polls, where the "
        "gateway tells",
    )
    link: LinkModel | None = Field(default=None, description="the link to the internet that everybody shares")
    zones: dict[str, ZoneModel] = Field(default_factory=dict, description="clients by network; the name is yours")
    exempt: list[ExemptModel] = Field(default_factory=list, description="who is never touched, by any rule or command")
    rules: dict[str, RuleModel] = Field(default_factory=dict, description="who gets which penalty; the name is yours")
    safeguards: SafeguardsModel = Field(default=SafeguardsModel(), description="brakes against our own mistakes")
    inventory: InventoryModel = Field(default=InventoryModel(), description="where the devices are listed")
    ledger: str = Field(
        default="state/switchguard.db", description="the ledger: a file below the site, or a database URL of SQLAlchemy"
    )


class SnmpModel(Strict):
    version: SnmpVersion = Field(default="2c", description="3 means authentication and privacy, both")
    community: Reference = Field(default=None, description="version 2c: the community")
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
        needed = ("community",) if self.version == "2c" else ("user", "auth_key", "priv_key")
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
    snmp: SnmpModel | None = Field(default=None, description="access by SNMP; without it, no SNMP")
    username: str | None = Field(default=None, description="instead of the inventory's own username")
    password: Reference = Field(default=None, description="login password")
    enable_password: Reference = Field(default=None, description="enable password")
    key_file: str | None = Field(default=None, description="SSH private key; a relative path starts at the site")
    known_hosts: str | None = Field(
        default=None, description="accepted SSH host keys; relative to the site; else the user's own"
    )
    napalm: dict[str, Any] = Field(default_factory=dict, description="optional arguments of the NAPALM driver")
    timeout: Duration = Field(default=timedelta(seconds=10), description="of each answer")

    @model_validator(mode="after")
    def _no_secrets_in_options(self) -> Self:
        found = [name for name in SECRET_OPTIONS if name in self.napalm]
        if found:
            raise ValueError(f"napalm.{found[0]} would be a secret in plain text; use password or enable_password")
        return self
