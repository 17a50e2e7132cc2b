"""What may be written below a zone's `users`: where its people's sessions are told."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from switchguard.edge.credentials import ReferredSecret, read_reference
from switchguard.edge.paths import below
from switchguard.edge.strict import Duration, Reference, Strict
from switchguard.edge.vpn.sources import Command, Listing, OpenVPN, Radius, Source, StrongSwan, UserSource, WireGuard

LOCAL = "local"
_DEVICE = "one of the site's devices, whose shell is asked; `local` is this machine"

InterfaceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.=+-]{1,15}$")]
ManagementText = Annotated[str, Field(pattern=r"^(unix:/.+|(127(\.[0-9]{1,3}){3}|\[::1\]|localhost):[0-9]{1,5})$")]


class WireGuardModel(Strict):
    device: str = Field(default=LOCAL, description=_DEVICE)
    interface: InterfaceName = Field(description="the tunnel, such as `wg0`")
    names: str | None = Field(
        default=None,
        description="file of lines `PUBLIC-KEY person`; a relative path starts at the site. A peer that is not in it "
        "is called by its key",
    )
    idle: Duration = Field(
        default=timedelta(minutes=3), description="without a handshake for this long a peer is not connected"
    )

    def source(self, site: Path, _where: str) -> Source:
        names = None if self.names is None else below(site, self.names)
        return WireGuard(_device(self.device), self.interface, names, self.idle)


class OpenVPNModel(Strict):
    status: str | None = Field(
        default=None, description="the status file, of version 2 or 3 (`status FILE 60`, `status-version 2`)"
    )
    device: str = Field(default=LOCAL, description=f"where the status file is: {_DEVICE}")
    management: ManagementText | None = Field(
        default=None,
        description="instead of a file: the management interface on this machine, `127.0.0.1:7505` or "
        "`unix:/run/openvpn/management.sock`",
    )
    password: Reference = Field(default=None, description="of the management interface, if it wants one")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.status is None) == (self.management is None):
            raise ValueError("OpenVPN is asked either by its 'status' file or by 'management'")
        if self.management is None and self.password is not None:
            raise ValueError("only the management interface has a password")
        if self.management is not None and self.device != LOCAL:
            raise ValueError("the management interface is asked from this machine; it has no 'device'")
        return self

    def source(self, site: Path, where: str) -> Source:
        password = None
        if self.password is not None:
            password = ReferredSecret(where, f"{where}.password", read_reference(self.password, site))
        return OpenVPN(_device(self.device), self.status, self.management, password)


class StrongSwanModel(Strict):
    device: str = Field(default=LOCAL, description=_DEVICE)

    def source(self, _site: Path, _where: str) -> Source:
        return StrongSwan(_device(self.device))


class RadiusModel(Strict):
    detail: str = Field(
        description="FreeRADIUS's detail files on this machine, also as a pattern: "
        "`/var/log/freeradius/radacct/*/detail-*`; a relative path starts at the site"
    )

    def source(self, site: Path, _where: str) -> Source:
        return Radius(str(below(site, self.detail)))


class ListModel(Strict):
    file: str = Field(
        description="a CSV file with the columns `user` and `address`, and maybe `since`, `until`, `peer`; a relative "
        "path starts at the site"
    )

    def source(self, site: Path, _where: str) -> Source:
        return Listing(below(site, self.file))


class CommandModel(Strict):
    run: list[str] = Field(
        min_length=1, description="a program of this machine and its arguments, which prints what a CSV file would say"
    )

    def source(self, site: Path, _where: str) -> Source:
        return Command(tuple(self.run), site)


class UserSourceModel(Strict):
    """Where people's sessions are told; exactly one of these."""

    wireguard: WireGuardModel | None = Field(default=None, description="`wg show all dump` (docs/vpn.md)")
    openvpn: OpenVPNModel | None = Field(default=None, description="its status file or management interface")
    strongswan: StrongSwanModel | None = Field(default=None, description="`swanctl --list-sas --raw`")
    radius: RadiusModel | None = Field(default=None, description="accounting, as FreeRADIUS writes it")
    csv: ListModel | None = Field(default=None, description="a list that something else writes")
    command: CommandModel | None = Field(default=None, description="a list that a program prints")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            kinds = ", ".join(type(self).model_fields)
            raise ValueError(f"a source of users is exactly one of {kinds}; write several as a list")
        return self

    @property
    def kind(self) -> str:
        return next(iter(self.model_fields_set))

    @property
    def device(self) -> str:
        return str(getattr(getattr(self, self.kind), "device", LOCAL))

    def source(self, zone: str, number: int, site: Path) -> UserSource:
        """ValueError for a password that is no reference to one."""
        model = getattr(self, self.kind)
        name = f"{zone}/{self.kind}" + (f" {number}" if number > 1 else "")
        return UserSource(name, model.source(site, f"zones.{zone}.users.{self.kind}"))


def _device(name: str) -> str | None:
    return None if name == LOCAL else name


def _as_list(said: object) -> object:
    return [said] if isinstance(said, dict) else said


UserSources = Annotated[list[UserSourceModel], BeforeValidator(_as_list)]
