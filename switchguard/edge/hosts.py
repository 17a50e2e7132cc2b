"""A site's inventory -> devices, and the ways to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from switchguard import plugins
from switchguard.core.model import Device, Mode, Role
from switchguard.edge.complaints import HOST_FILES, POLICY_FILE, host_error
from switchguard.edge.credentials import ReferredSecret, read_reference
from switchguard.edge.marks import read_marked
from switchguard.edge.napalm_platforms import objection, verifies_tls
from switchguard.edge.site_models import HostModel, SiteModel, SnmpModel
from switchguard.edge.strict import Complaint, check
from switchguard.errors import SiteError, UnknownPlugin
from switchguard.ports import Endpoint, HostRow, Secret, SnmpAccess, Source


def read_hosts(path: Path, model: SiteModel) -> tuple[tuple[Device, Endpoint], ...]:
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
            raise host_error(self.site, row.name, ("platform",), f"{row.name}: {why}", below=())
        self._check_way(row, row.platform, model)
        return Device(
            name=row.name,
            platform=row.platform,
            role=Role(model.role),
            mode=Mode(model.mode),
            uplinks=tuple(model.uplinks),
            zone=model.zone,
            lan_interfaces=tuple(model.lan_interfaces),
            mlag_peer=model.mlag_peer,
            public_addresses=model.public_addresses,
        )

    def _check_way(self, row: HostRow, platform: str, model: HostModel) -> None:
        """An option that would be ignored is a mistake."""
        if why := objection(platform, model.napalm):
            way = ("napalm", "transport") if why.startswith("napalm.transport") else ("napalm",)
            raise host_error(self.site, row.name, way, f"{row.name}: {why}")
        if model.ca_file is None:
            return
        file = self._file(model.ca_file)
        wrong = ""
        if not verifies_tls(platform, model.napalm):
            wrong = "this device is not reached over https; say `napalm: {transport: https}`, where the platform has it"
        elif file is None or not Path(file).is_file():
            wrong = f"there is no file {file}"
        if wrong:
            raise host_error(self.site, row.name, ("ca_file",), f"{row.name}: ca_file: {wrong}")

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
            ca_file=self._file(model.ca_file),
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
            raise host_error(self.site, row.name, name.split("."), f"{row.name}: {name}: {error}", below) from error

    def _file(self, name: str | None) -> str | None:
        return None if name is None else str(self.site / Path(name).expanduser())

    def _error(self, row: HostRow, complaints: Sequence[Complaint]) -> SiteError:
        first = complaints[0]
        return host_error(self.site, row.name, first.way, f"{row.name}: {first.why}")
