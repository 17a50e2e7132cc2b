"""The keys `identity` and `leases` of switchguard.yaml: when two MACs are one device, and which DHCP servers tell."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from switchguard.core.policy import IdentityPolicy
from switchguard.edge.credentials import ReferredSecret, read_reference
from switchguard.edge.leases import Kind, LeaseSource
from switchguard.edge.paths import below
from switchguard.edge.penalty_models import StepModel
from switchguard.edge.strict import Duration, Reference, Strict, Unit

USUAL = IdentityPolicy()
FILES: tuple[Kind, ...] = ("dnsmasq", "isc", "kea")


def _never(text: object) -> object:
    return 1.0 if text == "never" else text


def _api(where: str) -> str:
    parts = urlsplit(where)
    if not (where.startswith("unix:/") or (parts.scheme in ("http", "https") and parts.hostname)):
        raise ValueError("is no control API; write it like http://127.0.0.1:8000/ or unix:/run/kea/kea4-ctrl-socket")
    return where


class RandomisedModel(Strict):
    """What a rule does to a randomised MAC: one whose first octet has the bit of locally administered addresses."""

    at_most: Duration | None = Field(
        default=None, description="no penalty of a rule is longer; without it, as long as for any other MAC"
    )
    instead: StepModel | None = Field(
        default=None,
        description="what takes the place of a block of the MAC: `{block: address}`, `{limit: 64kbps}`, "
        "`{quarantine: 99}`; what is put on a port needs a port that is the client's alone",
    )


class IdentityModel(Strict):
    """docs/identity.md says what the confidence is made of."""

    follow_above: Annotated[float, BeforeValidator(_never), Unit("number from 0.0 to 1.0, or `never`")] = Field(
        default=USUAL.follow_above,
        ge=0.5,
        le=1,
        description="a penalty goes over to another MAC when it is more certain than this that both are one device",
    )
    for_polls: int = Field(default=USUAL.for_polls, ge=1, description="in so many polls in a row")
    within: Duration = Field(
        default=USUAL.within, description="how soon after the old MAC was last seen the new one must come"
    )
    per_person: bool = Field(
        default=USUAL.per_person,
        description="all MACs that the registry has for one person are one client: rules see their sum, and penalties "
        "go to all of them that are here",
    )
    randomised: RandomisedModel = Field(default=RandomisedModel(), description="what is different for randomised MACs")

    def policy(self) -> IdentityPolicy:
        instead = self.randomised.instead
        return IdentityPolicy(
            follow_above=self.follow_above,
            for_polls=self.for_polls,
            within=self.within,
            per_person=self.per_person,
            randomised_at_most=self.randomised.at_most,
            randomised_instead=None if instead is None else instead.penalty(),
        )


class LeasesModel(Strict):
    """Exactly one of dnsmasq, isc, kea, kea_api and snooping."""

    dnsmasq: str | None = Field(default=None, description="dnsmasq's lease file; a relative path starts at the site")
    isc: str | None = Field(default=None, description="ISC dhcpd's dhcpd.leases; likewise")
    kea: str | None = Field(default=None, description="Kea's lease file, kea-leases4.csv or kea-leases6.csv; likewise")
    kea_api: Annotated[str, AfterValidator(_api)] | None = Field(
        default=None,
        description="Kea's control API, with its hook `lease_cmds`: `http://127.0.0.1:8000/`, "
        "`https://dhcp.example.org:8000/` or `unix:/run/kea/kea4-ctrl-socket`",
    )
    snooping: str | None = Field(
        default=None, description="a switch that overhears DHCP, whose driver tells: its name in the inventory"
    )
    user: str | None = Field(default=None, description="of `kea_api` over HTTP")
    password: Reference = Field(default=None, description="likewise")
    timeout: Duration = Field(default=timedelta(seconds=10), description="of an answer of `kea_api`")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in (*FILES, "kea_api", "snooping")) != 1:
            raise ValueError("leases come from exactly one of dnsmasq, isc, kea, kea_api and snooping")
        if (self.user is None) != (self.password is None) or (self.user is not None and self.kea_api is None):
            raise ValueError("'user' and 'password' belong together, and to kea_api")
        return self

    def source(self, name: str, site: Path) -> LeaseSource | None:
        """None for a switch, which is asked with the other switches. ValueError for a reference that is none."""
        for kind in FILES:
            file: str | None = getattr(self, kind)
            if file is not None:
                return LeaseSource(name, kind, str(below(site, file)))
        if self.kea_api is None:
            return None
        key = f"leases.{name}.password"
        secret = None if self.password is None else ReferredSecret("leases", key, read_reference(self.password, site))
        return LeaseSource(name, "kea_api", self.kea_api, self.user, secret, self.timeout.total_seconds())
