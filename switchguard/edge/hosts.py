"""A site's inventory -> devices, and the ways to them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote

from switchguard import plugins
from switchguard.core.model import Device, Mode, Role
from switchguard.edge.complaints import HOST_FILES, POLICY_FILE, host_error
from switchguard.edge.credentials import ReferredSecret, read_reference
from switchguard.edge.marks import read_marked
from switchguard.edge.napalm_platforms import objection, verifies_tls
from switchguard.edge.paths import below
from switchguard.edge.site_models import HostModel, SiteModel, SnmpModel
from switchguard.edge.strict import Complaint, check
from switchguard.errors import SiteError, UnknownPlugin
from switchguard.ports import Endpoint, HostRow, Secret, SnmpAccess, Source

LONGEST_NAME = 255
"""Characters of a name in the name of a file, where what is no letter, digit, dot, dash or _ takes three or more."""
LONGEST_HOST = 253
"""Octets of a name in DNS."""
SHOWN = 40
"""Characters of something too long."""


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


def _no_name(name: object) -> str:
    """Why a device cannot be called so. A name is shown on terminals and is the name of a file with a lock."""
    if not isinstance(name, str):
        return "the name of a host is text, and this is none in YAML; write it in quotes"
    if not name or name in (".", "..") or not name.isprintable() or len(quote(name, safe="")) > LONGEST_NAME:
        most = f"at most {LONGEST_NAME} characters, other than '.' and '..'"
        return f"the name of a host is of printable characters, best letters, digits, dots, dashes and _, and {most}"
    return ""


def _no_host(host: object) -> str:
    """Why nothing can be reached by this name."""
    if not isinstance(host, str):
        return f"{host!r} is no text; write it in quotes"
    shown = host if len(host) <= SHOWN else f"{host[:SHOWN]}…"
    try:
        host.encode("idna")
    except UnicodeError:
        return f"{shown!r} is no name of a host: its labels have 1 to 63 characters"
    if not host.isprintable() or " " in host or host.startswith("-") or len(host) > LONGEST_HOST:
        return f"{shown!r} is neither an address nor a name of a host"
    return ""


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """A host's row -> the device and the way to it."""

    site: Path

    def __call__(self, row: HostRow) -> tuple[Device, Endpoint]:
        self._check_names(row)
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

    def _check_names(self, row: HostRow) -> None:
        """An inventory hands on what it finds, whatever a HostRow says: `5:` and `true:` are no texts in YAML."""
        name: object = row.name
        if why := _no_name(name):
            written = name if isinstance(name, str) else json.dumps(name, default=str)
            raise host_error(self.site, written, ("name",), f"{name!r:.60}: {why}", below=())
        where = ("hostname",) if row.host else ("name",)
        if why := _no_host(row.host or row.name):
            raise host_error(self.site, row.name, where, f"{row.name}: hostname: {why}", below=())

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
        return None if name is None else str(below(self.site, name))

    def _error(self, row: HostRow, complaints: Sequence[Complaint]) -> SiteError:
        first = complaints[0]
        return host_error(self.site, row.name, first.way, f"{row.name}: {first.why}")
